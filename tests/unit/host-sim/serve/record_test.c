/* Recordings, read back with the reader of I/O logs. */
#include "host-sim/serve/record.h"
#include "host-sim/workloads/iolog.h"
#include "tests/check.h"

#include <sys/stat.h>
#include <unistd.h>

#define QUEUES 4u

/* A recording, and the card's part: requests taken, given back, dropped. */
struct rig {
	char folder[40], path[60], doorbells[80];
	struct record *record;
	struct probe probe;
	unsigned queue[SLOTS];
	char error[300];
};

static void retired(void *ctx, unsigned queue, unsigned head, const struct stamps *stamps,
		    const struct probe_work *work)
{
	struct rig *rig = ctx;
	(void)head;
	record_retired(rig->record, queue, stamps, work, probe_oldest(&rig->probe));
}

static struct rig *rig_create(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	strcpy(rig->folder, "/tmp/kickstand-record-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	snprintf(rig->path, sizeof(rig->path), "%s/a.log", rig->folder);
	snprintf(rig->doorbells, sizeof(rig->doorbells), "%s.doorbells", rig->path);
	rig->probe.observer = (struct probe_observer){.ctx = rig, .retired = retired};
	return rig;
}

static void rig_open(struct rig *rig)
{
	rig->record = record_open(rig->path, QUEUES, rig->error, sizeof(rig->error));
	if (!rig->record)
		fail_msg("%s", rig->error);
}

static void rig_close(struct rig *rig)
{
	if (record_close(rig->record, rig->error, sizeof(rig->error)) != 0)
		fail_msg("%s", rig->error);
}

static void rig_free(struct rig *rig)
{
	unlink(rig->path);
	unlink(rig->doorbells);
	rmdir(rig->folder);
	free(rig);
}

static struct iolog rig_log(const struct rig *rig)
{
	struct iolog log;
	char error[400];
	if (iolog_load(&log, rig->path, 0, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	return log;
}

static void take(struct rig *rig, unsigned slot, unsigned queue, uint64_t at_ps)
{
	probe_begin(&rig->probe, slot);
	probe_stamp(&rig->probe, slot, STAGE_HEAD, at_ps);
	rig->queue[slot] = queue;
}

static void give_back(struct rig *rig, unsigned slot)
{
	probe_retired(&rig->probe, slot, rig->queue[slot], 0);
}

/* One at a time, all of one kind. */
static void do_work(struct rig *rig, uint64_t at_ps, unsigned queue, enum work_op op, uint64_t sector,
		    uint64_t bytes)
{
	take(rig, 0, queue, at_ps);
	if (op != WORK_OTHER)
		probe_note_work(&rig->probe, 0, op, sector, bytes);
	give_back(rig, 0);
}

static void expect(const struct iolog *log, size_t i, uint64_t at_us, unsigned file, enum io_ddir ddir,
		   uint64_t offset, uint32_t bytes)
{
	assert_true(i < log->entries);
	assert_int_equal(log->entry[i].at_us, at_us);
	assert_int_equal(log->entry[i].file, file);
	assert_int_equal(log->entry[i].ddir, ddir);
	assert_int_equal(log->entry[i].offset, offset);
	assert_int_equal(log->entry[i].bytes, bytes);
}

static void test_record_names_each_kind_of_request(void **state)
{
	struct rig *rig = rig_create();
	(void)state;
	rig_open(rig);
	do_work(rig, 10 * PS_PER_US, 0, WORK_READ, 8, 4096);
	do_work(rig, 11 * PS_PER_US + 999999, 3, WORK_WRITE, 1, 512);
	do_work(rig, 12 * PS_PER_US, 1, WORK_FLUSH, 0, 0);
	do_work(rig, 13 * PS_PER_US, 1, WORK_OTHER, 0, 0);
	do_work(rig, 13 * PS_PER_US, 1, WORK_SECURE_ERASE, 0, 512);
	do_work(rig, 14 * PS_PER_US, 2, WORK_DISCARD, 16, UINT64_C(0x3fffff) * 512);
	do_work(rig, 15 * PS_PER_US, 2, WORK_WRITE_ZEROES, 2, (2 << 20) + 512);
	take(rig, 7, 1, 20 * PS_PER_US);
	for (unsigned i = 0; i < WORK_RANGES_MAX + 1; i++) /* one more than can be */
		probe_note_work(&rig->probe, 7, WORK_DISCARD, 100 * i, 512 * (i + 1));
	give_back(rig, 7);
	const struct record_stats stats = *record_stats(rig->record);
	assert_int_equal(stats.requests, 6);
	assert_int_equal(stats.left_out, 2);
	assert_int_equal(stats.late, 0);
	rig_close(rig);
	struct iolog log = rig_log(rig);
	assert_int_equal(log.files, QUEUES);
	assert_int_equal(log.entries, 7 + WORK_RANGES_MAX);
	expect(&log, 0, 0, 0, IO_READ, 4096, 4096);
	expect(&log, 1, 1, 3, IO_WRITE, 512, 512);
	expect(&log, 2, 2, 1, IO_SYNC, 0, 0);
	expect(&log, 3, 4, 2, IO_TRIM, 8192, 0x3fffffu * 512u);
	expect(&log, 4, 5, 2, IO_WRITE, 1024, 1 << 20);
	expect(&log, 5, 5, 2, IO_WRITE, 1024 + (1 << 20), 1 << 20);
	expect(&log, 6, 5, 2, IO_WRITE, 1024 + (2 << 20), 512);
	for (unsigned i = 0; i < WORK_RANGES_MAX; i++)
		expect(&log, 7 + i, 10, 1, IO_TRIM, 51200 * i, 512 * (i + 1));
	iolog_free(&log);
	rig_free(rig);
}

/* Offload level firmware: no engine has stamped it. */
static void test_record_without_early_stamps_takes_the_first_there_is(void **state)
{
	struct rig *rig = rig_create();
	(void)state;
	rig_open(rig);
	do_work(rig, PS_PER_US, 0, WORK_READ, 0, 512);
	probe_begin(&rig->probe, 1);
	probe_stamp(&rig->probe, 1, STAGE_JOB, 5 * PS_PER_US);
	probe_stamp(&rig->probe, 1, STAGE_USED, 9 * PS_PER_US);
	probe_note_work(&rig->probe, 1, WORK_READ, 1, 512);
	give_back(rig, 1);
	rig_close(rig);
	struct iolog log = rig_log(rig);
	expect(&log, 1, 4, 0, IO_READ, 512, 512);
	iolog_free(&log);
	rig_free(rig);
}

/* ---- order ---- */

#define REQUESTS 20000u

/* Requests in any order of completion, some never completed: the log has those that were, in the order they came. */
static void test_record_random_requests_come_back_in_order(void **state)
{
	static struct iolog_entry expected[REQUESTS];
	static unsigned slot_entry[SLOTS];
	static bool done[REQUESTS];
	struct rig *rig = rig_create();
	struct rng rng;
	uint64_t now_ps = 12345678;
	unsigned taken = 0, in_flight = 0;
	(void)state;
	rng_seed(&rng, test_seed(11), 2);
	memset(done, 0, sizeof(done));
	rig_open(rig);
	while (taken < REQUESTS || in_flight != 0) {
		unsigned slot = (unsigned)rng_below(&rng, SLOTS);
		bool busy = rig->probe.in_flight[slot] != 0;
		if (!busy && taken < REQUESTS && in_flight < 1 + taken / 50 % SLOTS) {
			now_ps += rng_below(&rng, 3) == 0 ? rng_below(&rng, 3 * PS_PER_US) : 0;
			struct iolog_entry *entry = &expected[taken];
			*entry = (struct iolog_entry){.at_us = now_ps / PS_PER_US,
						      .file = (uint16_t)rng_below(&rng, QUEUES),
						      .ddir = (uint8_t)rng_below(&rng, 4)};
			if (entry->ddir < IO_DIRECTIONS) {
				entry->offset = 512 * rng_below(&rng, UINT64_C(1) << 40);
				entry->bytes = 512 * (1 + (uint32_t)rng_below(&rng, 300));
			}
			take(rig, slot, entry->file, now_ps);
			slot_entry[slot] = taken++;
			in_flight++;
		} else if (busy) {
			static const enum work_op ops[] = {WORK_READ, WORK_WRITE, WORK_DISCARD, WORK_FLUSH};
			const struct iolog_entry *entry = &expected[slot_entry[slot]];
			in_flight--;
			if (rng_below(&rng, 50) == 0) { /* a reset has come between */
				probe_end(&rig->probe, slot);
				continue;
			}
			done[slot_entry[slot]] = true;
			probe_note_work(&rig->probe, slot, ops[entry->ddir], entry->offset / 512,
					entry->bytes);
			give_back(rig, slot);
		}
		if (rng_below(&rng, 20) == 0)
			record_flush_if_idle(rig->record, probe_oldest(&rig->probe));
	}
	assert_int_equal(record_stats(rig->record)->late, 0);
	rig_close(rig);
	struct iolog log = rig_log(rig);
	size_t at = 0;
	uint64_t first_us = UINT64_MAX;
	for (unsigned i = 0; i < REQUESTS; i++) {
		if (!done[i])
			continue;
		first_us = min_u64(first_us, expected[i].at_us);
		expect(&log, at++, expected[i].at_us - first_us, expected[i].file,
		       (enum io_ddir)expected[i].ddir, expected[i].offset, expected[i].bytes);
	}
	assert_int_equal(log.entries, at);
	iolog_free(&log);
	rig_free(rig);
}

/* One that takes for ever neither holds the others up for good nor is lost. */
static void test_record_of_a_stuck_request_goes_on(void **state)
{
	struct rig *rig = rig_create();
	struct stat status;
	(void)state;
	rig_open(rig);
	take(rig, 9, 2, PS_PER_US);
	for (unsigned i = 0; i < 10000; i++)
		do_work(rig, (2 + i) * PS_PER_US, 0, WORK_READ, i, 512);
	record_flush_if_idle(rig->record, probe_oldest(&rig->probe));
	assert_int_equal(stat(rig->path, &status), 0);
	assert_true(status.st_size > 60000);
	probe_note_work(&rig->probe, 9, WORK_WRITE, 77, 512);
	give_back(rig, 9);
	assert_int_equal(record_stats(rig->record)->late, 1);
	rig_close(rig);
	struct iolog log = rig_log(rig);
	assert_int_equal(log.entries, 10001);
	unsigned writes = 0;
	for (size_t i = 0, read = 0; i < log.entries; i++) {
		if (log.entry[i].ddir == IO_READ)
			assert_int_equal(log.entry[i].offset, 512 * read++);
		else
			writes += log.entry[i].offset == UINT64_C(77) * 512;
	}
	assert_int_equal(writes, 1);
	iolog_free(&log);
	rig_free(rig);
}

/* ---- files ---- */

static char *file_text(const char *path)
{
	static char text[1 << 16];
	FILE *in = fopen(path, "r");
	assert_non_null(in);
	text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
	fclose(in);
	return text;
}

/* What a server leaves that is killed while the card is idle. */
static void test_record_is_complete_whenever_the_card_is_idle(void **state)
{
	struct rig *rig = rig_create();
	(void)state;
	rig_open(rig);
	char *text = file_text(rig->path);
	assert_ptr_equal(strstr(text, IOLOG_HEADER_V3 "\n0 q0 add\n0 q0 open\n"), text);
	for (unsigned i = 0; i < 100; i++) {
		record_doorbell(rig->record, 1500 * i * PS_PER_NS, i % QUEUES);
		do_work(rig, i * PS_PER_US, i % QUEUES, WORK_READ, i, 512);
		record_flush_if_idle(rig->record, probe_oldest(&rig->probe));
		struct iolog log = rig_log(rig);
		assert_int_equal(log.entries, i + 1);
		iolog_free(&log);
	}
	/* Doorbells: a line each. */
	FILE *in = fopen(rig->doorbells, "r");
	unsigned long long time_ns;
	unsigned queue, lines = 0;
	assert_non_null(in);
	for (; fscanf(in, "%llu %u\n", &time_ns, &queue) == 2; lines++) {
		assert_int_equal(time_ns, 1500 * lines);
		assert_int_equal(queue, lines % QUEUES);
	}
	assert_true(feof(in));
	fclose(in);
	assert_int_equal(lines, 100);
	assert_int_equal(record_stats(rig->record)->doorbells, 100);
	rig_close(rig);
	assert_non_null(strstr(file_text(rig->path), "\n99 q3 close\n"));
	rig_free(rig);
}

static void test_record_full_disk_is_reported_once_at_the_end(void **state)
{
	struct rig *rig = rig_create();
	(void)state;
	assert_int_equal(symlink("/dev/full", rig->path), 0);
	rig_open(rig);
	for (unsigned i = 0; i < 50000; i++)
		do_work(rig, i * PS_PER_US, 0, WORK_READ, i, 512);
	assert_int_equal(record_close(rig->record, rig->error, sizeof(rig->error)), -1);
	assert_non_null(strstr(rig->error, rig->path));
	assert_non_null(strstr(rig->error, "No space left"));
	assert_null(strchr(rig->error, '\n'));
	rig_free(rig);
}

static void test_record_that_cannot_be_written_is_refused(void **state)
{
	char error[300];
	struct rig *rig = rig_create();
	(void)state;
	assert_null(record_open("/nonexistent/a.log", QUEUES, error, sizeof(error)));
	assert_non_null(strstr(error, "/nonexistent/a.log"));
	assert_int_equal(mkdir(rig->doorbells, 0700), 0);
	assert_null(record_open(rig->path, QUEUES, error, sizeof(error)));
	assert_non_null(strstr(error, ".doorbells"));
	rmdir(rig->doorbells);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_names_each_kind_of_request),
		cmocka_unit_test(test_record_without_early_stamps_takes_the_first_there_is),
		cmocka_unit_test(test_record_random_requests_come_back_in_order),
		cmocka_unit_test(test_record_of_a_stuck_request_goes_on),
		cmocka_unit_test(test_record_is_complete_whenever_the_card_is_idle),
		cmocka_unit_test(test_record_full_disk_is_reported_once_at_the_end),
		cmocka_unit_test(test_record_that_cannot_be_written_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
