/* fio's I/O logs, as written by fio, by hand and by nobody. */
#include "host-sim/workloads/iolog.h"
#include "tests/check.h"
#include "tests/unit/host-sim/workloads/fio_tool.h"

static int read_text(struct iolog *log, const char *text, size_t bytes, unsigned skip, char error[400])
{
	FILE *in = fmemopen((void *)(uintptr_t)text, bytes, "r");
	assert_non_null(in);
	int failed = iolog_read(log, in, "l.log", skip, error, 400);
	fclose(in);
	return failed;
}

static struct iolog good(const char *text, unsigned skip)
{
	struct iolog log;
	char error[400] = "";
	if (read_text(&log, text, strlen(text), skip, error) != 0)
		fail_msg("%s", error);
	return log;
}

static void expect(const struct iolog *log, const struct iolog_entry *entries, size_t count)
{
	assert_int_equal(log->entries, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(log->entry[i].at_us, entries[i].at_us);
		assert_int_equal(log->entry[i].offset, entries[i].offset);
		assert_int_equal(log->entry[i].bytes, entries[i].bytes);
		assert_int_equal(log->entry[i].file, entries[i].file);
		assert_int_equal(log->entry[i].ddir, entries[i].ddir);
	}
}

/* ---- what the formats mean ---- */

static void test_iolog_version_2_adds_waits_up(void **state)
{
	(void)state;
	struct iolog log = good("fio version 2 iolog\n"
				"/dev/a add\n/dev/b add\n/dev/a open\n/dev/b open\n"
				"/dev/a read 4096 512\n"
				"/dev/a wait 150 0\n"
				"/dev/b write 0 1024\n"
				"/dev/b wait 50 0\n"
				"/dev/a trim 8192 4096\n"
				"/dev/a sync 0 0\n"
				"/dev/b datasync 77 0\n"
				"/dev/a wait 1000 0\n"
				"/dev/a close\n/dev/b close\n",
				0);
	const struct iolog_entry entries[] = {
		{0, 4096, 512, 0, IO_READ}, {150, 0, 1024, 1, IO_WRITE}, {200, 8192, 4096, 0, IO_TRIM},
		{200, 0, 0, 0, IO_SYNC},    {200, 0, 0, 1, IO_DATASYNC},
	};
	expect(&log, entries, ARRAY_SIZE(entries));
	assert_int_equal(log.end_us, 1200);
	assert_int_equal(log.files, 2);
	assert_int_equal(log.max_bytes[IO_READ], 512);
	assert_int_equal(log.max_bytes[IO_WRITE], 1024);
	assert_int_equal(log.max_bytes[IO_TRIM], 4096);
	iolog_free(&log);
}

/* Times count from the first I/O, as fio replays them; a step back is none. */
static void test_iolog_version_3_has_times(void **state)
{
	(void)state;
	struct iolog log = good("fio version 3 iolog\n"
				"0 q0 add\n5 q1 add\n7 q0 open\n"
				"1000 q1 write 512 512\r\n"
				"\n"
				"1003 q0 read 0 512\n"
				"900 q0 read 1024 512\n"
				"2000 q0\tsync 0  0\n"
				"2500 q0 close",
				0);
	const struct iolog_entry entries[] = {{0, 512, 512, 1, IO_WRITE},
					      {3, 0, 512, 0, IO_READ},
					      {3, 1024, 512, 0, IO_READ},
					      {1000, 0, 0, 0, IO_SYNC}};
	expect(&log, entries, ARRAY_SIZE(entries));
	assert_int_equal(log.end_us, 1500);
	iolog_free(&log);
}

static void test_iolog_skipped_kinds_leave_the_times_of_the_others(void **state)
{
	static const char text[] = "fio version 3 iolog\n"
				   "0 q0 add\n"
				   "10 q0 trim 1048576 2147483136\n"
				   "20 q0 read 0 512\n"
				   "30 q0 write 0 4096\n"
				   "40 q0 datasync 0 0\n"
				   "50 q0 read 512 512\n";
	(void)state;
	struct iolog log = good(text, 1u << IO_TRIM | 1u << IO_WRITE | 1u << IO_SYNC | 1u << IO_DATASYNC);
	const struct iolog_entry entries[] = {{0, 0, 512, 0, IO_READ}, {30, 512, 512, 0, IO_READ}};
	expect(&log, entries, ARRAY_SIZE(entries));
	assert_int_equal(log.max_bytes[IO_WRITE] + log.max_bytes[IO_TRIM], 0);
	char error[400];
	assert_int_equal(iolog_check(&log, 1024, error, sizeof(error)), 0);
	iolog_free(&log);
}

static void test_iolog_beyond_the_disk_is_named_by_line(void **state)
{
	char error[400];
	(void)state;
	struct iolog log = good("fio version 3 iolog\n0 f add\n1 f read 512 512\n2 f write 4096 1024\n"
				"3 f trim 0 512\n",
				0);
	assert_int_equal(iolog_check(&log, 5120, error, sizeof(error)), 0);
	assert_int_equal(iolog_check(&log, 5119, error, sizeof(error)), -1);
	assert_ptr_equal(strstr(error, "l.log:4: "), error);
	assert_non_null(strstr(error, "--disk"));
	iolog_free(&log);
}

/* ---- bad logs ---- */

static void test_iolog_malformed_is_refused_with_its_line(void **state)
{
#define V2 "fio version 2 iolog\nf add\n"
#define V3 "fio version 3 iolog\n0 f add\n"
	static const struct {
		const char *text, *where, *what;
	} cases[] = {
		{"", "l.log:1: ", "version 2 or 3"},
		{"\n", "l.log:1: ", "version 2 or 3"},
		{"fio version 1 iolog\n", "l.log:1: ", "version 2 or 3"},
		{"rwar0 0 512\n", "l.log:1: ", "version 2 or 3"},
		{V2, "l.log:2: ", "no I/O"},
		{V2 "f read 0\n", "l.log:3: ", "FILE ACTION OFFSET LENGTH"},
		{V2 "f read 0 512 9\n", "l.log:3: ", "FILE ACTION OFFSET LENGTH"},
		{V2 "f read 0 512 9 9 9 9 9 9\n", "l.log:3: ", "FILE ACTION OFFSET LENGTH"},
		{V2 "f\n", "l.log:3: ", "FILE ACTION OFFSET LENGTH"},
		{V2 "0 f read 0 512\n", "l.log:3: ", "'FILE add"},
		{V3 "f read 0 512\n", "l.log:3: ", "time 'f' is not a number"},
		{V3 "1 f read 0\n", "l.log:3: ", "TIME FILE ACTION"},
		{V2 "f peek 0 512\n", "l.log:3: ", "unknown action 'peek'"},
		{V2 "f unlink\n", "l.log:3: ", "unknown action 'unlink'"},
		{V2 "g read 0 512\n", "l.log:3: ", "'g' has no add"},
		{V2 "g open\n", "l.log:3: ", "'g' has no add"},
		{V2 "f read 256 512\n", "l.log:3: ", "multiple of 512"},
		{V2 "f write 512 100\n", "l.log:3: ", "multiple of 512"},
		{V2 "f write 512 0\n", "l.log:3: ", "no bytes"},
		{V2 "f read -512 512\n", "l.log:3: ", "'-512' is not a number"},
		{V2 "f read 0x200 512\n", "l.log:3: ", "'0x200' is not a number"},
		{V2 "f read +512 512\n", "l.log:3: ", "not a number"},
		{V2 "f read 0 4k\n", "l.log:3: ", "'4k' is not a number"},
		{V2 "f read 99999999999999999999999 512\n", "l.log:3: ", "too large"},
		{V2 "f read 0 1073742336\n", "l.log:3: ", "at most 1073741824"},
		{V2 "f trim 0 2147483648\n", "l.log:3: ", "at most 2147483136"},
		{V2 "f read 18446744073709551104 1024\n", "l.log:3: ", "64 bits"},
		{V2 "f wait 10000000000001 0\n", "l.log:3: ", "too large"},
		{V2 "f wait 9000000000000 0\nf wait 9000000000000 0\n", "l.log:4: ", "115 days"},
		{V3 "1 f wait 100 0\n", "l.log:3: ", "instead of wait"},
		{V3 "99999999999999 f read 0 512\n", "l.log:3: ", "too large"},
		{V3 "1 f read 0 512\nfio version 3 iolog\n", "l.log:4: ", "second log"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct iolog log;
		char error[400] = "";
		const char *text = cases[i].text[0] ? cases[i].text : "\n";
		assert_int_equal(read_text(&log, text, strlen(text), 0, error), -1);
		if (strstr(error, cases[i].where) != error || !strstr(error, cases[i].what) ||
		    strchr(error, '\n'))
			fail_msg("case %zu: '%s'", i, error);
		assert_null(log.entry);
		assert_null(log.name);
	}
}

static void test_iolog_unreadable_is_refused(void **state)
{
	struct iolog log;
	char error[400], text[6000];
	(void)state;
	assert_int_equal(iolog_load(&log, "/nonexistent/log", 0, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "/nonexistent/log: cannot read"));
	assert_int_equal(iolog_load(&log, "/tmp", 0, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "/tmp: cannot read"));
	/* Empty, a line that never ends, a NUL byte, one file too many. */
	assert_int_equal(iolog_load(&log, "/dev/null", 0, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "/dev/null:1: "));
	memset(text, 'x', sizeof(text));
	memcpy(text, V2, strlen(V2));
	assert_int_equal(read_text(&log, text, sizeof(text), 0, error), -1);
	assert_non_null(strstr(error, "l.log:3: longer"));
	assert_int_equal(read_text(&log, V2 "f read \0 512\nf close\n", strlen(V2) + 21, 0, error), -1);
	assert_non_null(strstr(error, "l.log:3: longer"));
	char *many = malloc(20 * (IOLOG_FILES_MAX + 2)), *end = many;
	end += sprintf(end, "fio version 2 iolog\n");
	for (unsigned i = 0; i <= IOLOG_FILES_MAX; i++)
		end += sprintf(end, "f%u add\n", i);
	assert_int_equal(read_text(&log, many, (size_t)(end - many), 0, error), -1);
	assert_non_null(strstr(error, "l.log:1026: more than 1024 files"));
	free(many);
}

/* Whatever comes, it is refused with a line or holds what a replay relies on. */
static void check_invariants(const struct iolog *log)
{
	uint64_t last_us = 0;
	assert_true(log->entries != 0 && log->files <= IOLOG_FILES_MAX);
	for (size_t i = 0; i < log->entries; i++) {
		const struct iolog_entry *entry = &log->entry[i];
		assert_true(entry->at_us >= last_us && entry->at_us <= log->end_us);
		assert_true(entry->ddir <= IO_DATASYNC && entry->file < log->files);
		assert_true(entry->offset % 512 == 0 && entry->bytes % 512 == 0);
		assert_true(entry->offset + entry->bytes >= entry->offset);
		assert_true(entry->offset + entry->bytes <= log->end_offset || entry->bytes == 0);
		if (entry->ddir < IO_DIRECTIONS)
			assert_true(entry->bytes != 0 && entry->bytes <= log->max_bytes[entry->ddir]);
		else
			assert_true(entry->bytes == 0);
		last_us = entry->at_us;
	}
}

static void test_iolog_random_bytes_never_get_past_the_checks(void **state)
{
	static const char *const words[] = {
		"fio version 2 iolog",
		"fio version 3 iolog",
		"read",
		"write",
		"trim",
		"sync",
		"datasync",
		"wait",
		"add",
		"open",
		"close",
		"f",
		"g",
		"0",
		"512",
		"1024",
		"18446744073709551615",
		"4294967296",
		"-1",
		"1e3",
		"\t",
		"\r",
		"\n",
		"\n",
		"\n",
		"\n",
		"\n",
	};
	struct rng rng;
	unsigned accepted = 0;
	(void)state;
	rng_seed(&rng, test_seed(3), 1);
	for (unsigned round = 0; round < 20000; round++) {
		char text[1500], error[400] = "";
		struct iolog log;
		bool v3 = rng_below(&rng, 2);
		size_t length =
			(size_t)sprintf(text, "%s\n%sf add\n", v3 ? words[1] : words[0], v3 ? "0 " : "");
		unsigned pieces = (unsigned)rng_below(&rng, 30);
		for (unsigned i = 0; i < pieces; i++) {
			if (rng_below(&rng, 3) == 0)
				length += (size_t)sprintf(text + length, "%s f %s %u %u\n", v3 ? "5" : "",
							  words[2 + rng_below(&rng, 6)],
							  512 * (unsigned)rng_below(&rng, 9),
							  512 * (unsigned)rng_below(&rng, 9));
			else if (rng_below(&rng, 4) == 0)
				length += (size_t)sprintf(text + length, "%s ",
							  words[rng_below(&rng, ARRAY_SIZE(words))]);
		}
		if (rng_below(&rng, 4) == 0)
			text[rng_below(&rng, length)] = (char)rng_u64(&rng);
		if (read_text(&log, text, length, (unsigned)rng_below(&rng, 32), error) == 0) {
			check_invariants(&log);
			iolog_free(&log);
			accepted++;
		} else {
			assert_ptr_equal(strstr(error, "l.log:"), error);
		}
	}
	assert_in_range(accepted, 500, 19000); /* both happen */
}

/* ---- the real fio ---- */

/* The log of a real run: what was done is known from the job. */
static void test_iolog_of_the_real_fio_is_read(void **state)
{
	struct iolog log;
	char error[400], folder[] = "/tmp/kickstand-iolog-XXXXXX", text[400];
	unsigned count[IO_DATASYNC + 1] = {0}, seen[16] = {0};
	int status;
	(void)state;
	need_fio();
	assert_non_null(mkdtemp(folder));
	snprintf(text, sizeof(text),
		 "cd %s && fio --name=a --filename=a.img --size=64k --rw=randrw --bs=4k --ioengine=psync "
		 "--fdatasync=4 --end_fsync=1 --write_iolog=a.log 2>&1",
		 folder);
	free(command_output(text, &status));
	assert_int_equal(status, 0);
	snprintf(text, sizeof(text), "%s/a.log", folder);
	if (iolog_load(&log, text, 0, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	check_invariants(&log);
	for (size_t i = 0; i < log.entries; i++) {
		const struct iolog_entry *entry = &log.entry[i];
		count[entry->ddir]++;
		if (entry->ddir < IO_DIRECTIONS) {
			assert_int_equal(entry->bytes, 4096);
			seen[entry->offset / 4096]++;
		}
	}
	assert_int_equal(count[IO_READ] + count[IO_WRITE], 16);
	assert_true(count[IO_DATASYNC] >= count[IO_WRITE] / 4 - 1);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(log.files, 1);
	iolog_free(&log);
	snprintf(text, sizeof(text), "rm -r %s", folder);
	free(command_output(text, &status));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_iolog_version_2_adds_waits_up),
		cmocka_unit_test(test_iolog_version_3_has_times),
		cmocka_unit_test(test_iolog_skipped_kinds_leave_the_times_of_the_others),
		cmocka_unit_test(test_iolog_beyond_the_disk_is_named_by_line),
		cmocka_unit_test(test_iolog_malformed_is_refused_with_its_line),
		cmocka_unit_test(test_iolog_unreadable_is_refused),
		cmocka_unit_test(test_iolog_random_bytes_never_get_past_the_checks),
		cmocka_unit_test(test_iolog_of_the_real_fio_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
