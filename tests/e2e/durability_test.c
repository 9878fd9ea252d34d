/* What is on the disk after a run, also after one that was cut off; and whether a disk that changes is noticed. */
#include "tests/e2e/nbd_server.h"
#include "tests/e2e/program.h"

#include "host-sim/verify_pattern.h"

#include <fcntl.h>
#include <sys/stat.h>

#define SEED        1 /* default of sim.seed */
#define BLOCK_BYTES 4096
#define MIB         (UINT64_C(1) << 20)

static char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *text_of(const char *format, ...)
{
	char *text;
	va_list args;
	va_start(args, format);
	assert_true(vasprintf(&text, format, args) > 0);
	va_end(args);
	return text;
}

static struct program_result run(const char *disk, const char *job, const char *more)
{
	char *arguments = text_of("run --disk %s --job %s %s", disk, job, more);
	struct program_result result = program_run(arguments, 100);
	free(arguments);
	return result;
}

static void expect_one_line(const char *text)
{
	const char *end = strchr(text, '\n');
	if (!end || end[1] != '\0')
		fail_msg("not one line: %s", text);
}

/* ---- runs that are cut off ---- */

/* One write after the other, each of them flushed or followed by a flush soon: so block n is the n-th write. */
static const char *writer_job(unsigned flush_every)
{
	char *text = text_of("[w]\nrw=write\nbs=4k\niodepth=1\nfsync=%u\nsize=64m\n", flush_every);
	const char *path = program_file_of("writer.fio", text);
	free(text);
	return path;
}

/* The whole block as the n-th write of the run wrote it? */
static bool block_is_written(const char *image, uint64_t block)
{
	for (unsigned i = 0; i < BLOCK_BYTES / 512; i++)
		if (!pattern_matches(SEED, block * 8 + i, block + 1,
				     (const uint8_t *)image + block * BLOCK_BYTES + i * 512))
			return false;
	return true;
}

static bool block_is_zero(const char *image, uint64_t block)
{
	return all_zero((const uint8_t *)image + block * BLOCK_BYTES, BLOCK_BYTES);
}

static void wait_until_written(const char *path, uint64_t block, pid_t child)
{
	int fd = open(path, O_RDONLY);
	uint64_t word = 0;
	assert_true(fd >= 0);
	for (unsigned i = 0; i < 30000 && word == 0; i++) {
		assert_int_equal(pread(fd, &word, 8, (off_t)(block * BLOCK_BYTES)), 8);
		if (waitpid(child, NULL, WNOHANG | WNOWAIT) == child && word == 0)
			fail_msg("ended too early");
		pause_ms(1);
	}
	close(fd);
	assert_true(word != 0);
}

/* The server keeps what it was not told to flush in a cache of its own, which dies with it. */
static void test_killed_nbd_server_has_every_flushed_write(void **state)
{
	(void)state;
	static const unsigned flush_every[] = {1, 8, 33};
	for (size_t i = 0; i < ARRAY_SIZE(flush_every); i++) {
		size_t bytes;
		const char *path = program_image("killed.img", 64 * MIB, 0),
			   *json = program_path_of("killed.json");
		char *arguments = text_of("--filter=cache file %s", path);
		struct nbd_server server = nbd_start(arguments);
		free(arguments);
		arguments = text_of("run --disk %s --job %s --json %s", server.disk,
				    writer_job(flush_every[i]), json);
		struct program_child child = program_start(arguments, 100);
		wait_until_written(path, 150, child.pid);
		nbd_stop(&server, SIGKILL);
		struct program_result result = program_wait(&child);
		printf("%s", result.err);
		/* One line, which names disk and cause; and nothing else is said to be wrong. */
		assert_int_equal(result.status, 1);
		expect_one_line(result.err);
		assert_non_null(strstr(result.err, server.disk));
		assert_non_null(strstr(result.err, "the connection was lost; is the server still running?"));
		assert_null(strstr(result.out, "WRONG DATA"));
		assert_null(strstr(result.out, "verified"));
		json_t *root = json_load_file(json, 0, NULL);
		assert_true(json_at(root, "jobs/0/error") == 5);
		assert_true(json_at(root, "sim/errors") == 1);
		uint64_t written = (uint64_t)json_at(root, "jobs/0/write/total_ios");
		uint64_t flushed = (uint64_t)json_at(root, "jobs/0/sync/total_ios") * flush_every[i];
		printf("%u writes acknowledged, %u of them flushed\n", (unsigned)written, (unsigned)flushed);
		assert_true(flushed > 0 && flushed <= written && written < flushed + 2 * flush_every[i]);
		char *image = program_read_file(path, &bytes);
		for (uint64_t b = 0; b < bytes / BLOCK_BYTES; b++) {
			bool good = block_is_written(image, b);
			if (b < flushed    ? !good
			    : b <= written ? !good && !block_is_zero(image, b)
					   : !block_is_zero(image, b))
				fail_msg("block %u: %s", (unsigned)b,
					 b < flushed ? "lost" : "not what was written");
		}
		free(image);
		json_decref(root);
		program_free(&result);
		free(arguments);
		unlink(path);
	}
}

static void test_killed_run_leaves_its_writes_in_order(void **state)
{
	(void)state;
	size_t bytes;
	const char *path = program_image("cut.img", 64 * MIB, 0);
	char *arguments = text_of("run --disk %s --job %s", path, writer_job(4));
	struct program_child child = program_start(arguments, 100);
	wait_until_written(path, 700, child.pid);
	kill(child.pid, SIGKILL);
	struct program_result result = program_wait(&child);
	assert_int_equal(result.status, -1);
	char *image = program_read_file(path, &bytes);
	uint64_t written = 0;
	while (written < bytes / BLOCK_BYTES && block_is_written(image, written))
		written++;
	assert_true(written > 700);
	for (uint64_t b = written + 1; b < bytes / BLOCK_BYTES; b++)
		assert_true(block_is_zero(image, b));
	free(image);
	free(arguments);
	program_free(&result);
	unlink(path);
}

static void test_image_is_not_shared_with_another_writer(void **state)
{
	(void)state;
	const char *path = program_image("busy.img", 64 * MIB, 0);
	char *arguments = text_of("run --disk %s --job %s", path, writer_job(1));
	struct program_child child = program_start(arguments, 100);
	wait_until_written(path, 10, child.pid);
	struct program_result second = run(path, writer_job(1), "");
	assert_int_equal(second.status, 2);
	expect_one_line(second.err);
	assert_non_null(strstr(second.err, "in use by another process"));
	kill(child.pid, SIGKILL);
	struct program_result first = program_wait(&child);
	program_free(&first);
	program_free(&second);
	free(arguments);
	unlink(path);
}

/* ---- runs that only read ---- */

static void test_reading_jobs_leave_the_image_as_it_was(void **state)
{
	(void)state;
	const char *path = program_image("read.img", 4 * MIB + 512, 5);
	const char *job =
		program_file_of("read.fio", "[seq]\nrw=read\nbs=64k\niodepth=8\n"
					    "[random]\nrw=randread\nbs=512\niodepth=32\nnumber_ios=2000\n");
	static const char *const options[] = {"", "--set device.read_only=on",
					      "--set device.offload=firmware"};
	size_t bytes, bytes_after;
	char *before = program_read_file(path, &bytes);
	struct stat status, status_after;
	assert_int_equal(stat(path, &status), 0);
	for (size_t i = 0; i <= ARRAY_SIZE(options); i++) {
		struct program_result result;
		if (i < ARRAY_SIZE(options)) {
			result = run(path, job, options[i]);
		} else {
			char *arguments = text_of("-r file %s", path);
			struct nbd_server server = nbd_start(arguments);
			result = run(server.disk, job, "--set device.read_only=on");
			nbd_stop(&server, SIGTERM);
			free(arguments);
		}
		assert_int_equal(result.status, 0);
		assert_non_null(strstr(result.out, "all data verified"));
		program_free(&result);
		char *after = program_read_file(path, &bytes_after);
		assert_int_equal(bytes_after, bytes);
		assert_memory_equal(after, before, bytes);
		free(after);
		assert_int_equal(stat(path, &status_after), 0);
		assert_int_equal(status_after.st_mtim.tv_sec, status.st_mtim.tv_sec);
		assert_int_equal(status_after.st_mtim.tv_nsec, status.st_mtim.tv_nsec);
	}
	free(before);
	unlink(path);
}

static void test_writing_job_on_read_only_card_is_refused(void **state)
{
	(void)state;
	const char *path = program_image("ro.img", MIB, 5);
	struct program_result result = run(path, writer_job(1), "--set device.read_only=on");
	assert_int_equal(result.status, 2);
	expect_one_line(result.err);
	program_free(&result);
	unlink(path);
}

/* ---- what verification finds ---- */

/* The image is changed behind the program's back while it reads what it wrote. */
static void test_image_corrupted_amid_run_is_found(void **state)
{
	(void)state;
	static const char *const verify[] = {"", "verify=crc32c\n", "verify=md5\nverify_fatal=1\n"};
	for (size_t i = 0; i < ARRAY_SIZE(verify); i++) {
		const char *path = program_image("corrupt.img", 2 * MIB, 0), flip = 0x5a;
		char *job = text_of("[fill]\nrw=write\nbs=64k\nsize=2m\n%s[look]\nstonewall\nrw=randread\nbs="
				    "4k\niodepth=16\n"
				    "norandommap\ntime_based\nruntime=20s\n",
				    verify[i]);
		char *arguments =
			text_of("run --disk %s --job %s", path, program_file_of("corrupt.fio", job));
		struct program_child child = program_start(arguments, 100);
		wait_until_written(path, 2 * MIB / BLOCK_BYTES - 1, child.pid);
		pause_ms(
			300); /* the verify phase of the first job is over, and what it wrote is known to be good */
		int fd = open(path, O_WRONLY);
		assert_int_equal(pwrite(fd, &flip, 1, 1000 * 512 + 77), 1);
		close(fd);
		struct program_result result = program_wait(&child);
		printf("%s", result.err);
		assert_int_equal(result.status, 1);
		expect_one_line(result.err);
		assert_non_null(
			strstr(result.err,
			       "wrong data: expected generation 8 of sector 1000, found damaged contents"));
		assert_non_null(strstr(result.out, "WRONG DATA in "));
		assert_null(strstr(result.out, "all data verified"));
		program_free(&result);
		free(arguments);
		free(job);
		unlink(path);
	}
}

static void test_image_cut_short_amid_run_is_an_io_error(void **state)
{
	(void)state;
	const char *path = program_image("short.img", 2 * MIB, 3);
	const char *job =
		program_file_of("short.fio", "[a]\nrw=randread\nnorandommap\ntime_based\nruntime=20s\n");
	char *arguments = text_of("run --disk %s --job %s", path, job);
	struct program_child child = program_start(arguments, 100);
	pause_ms(300);
	assert_int_equal(truncate(path, MIB), 0);
	struct program_result result = program_wait(&child);
	assert_int_equal(result.status, 1);
	expect_one_line(result.err);
	assert_non_null(strstr(result.err, path));
	assert_non_null(strstr(result.err, "the image has become shorter"));
	program_free(&result);
	free(arguments);
	unlink(path);
}

/* Reads and writes of the same few blocks, all in flight together: old and new contents are both right, nothing else is;
 * and what a sector held before its first write is only known from the image, which the write changes. */
static void test_overlapping_reads_and_writes_raise_no_false_alarm(void **state)
{
	(void)state;
	const char *job =
		program_file_of("overlap.fio", "[global]\nbs=4k\niodepth=32\nsize=256k\nnorandommap\n"
					       "[r]\nrw=randread\nnumjobs=2\n[w]\nrw=randwrite\nfsync=9\n"
					       "[t]\nrw=randtrim\niodepth=2\nnumber_ios=5\n");
	for (unsigned seed = 1; seed <= 12; seed++) {
		const char *path = program_image("overlap.img", MIB, 1000 + seed);
		char *more = text_of("--seed %u --set device.queues=%u", seed, 1 + seed % 3);
		struct program_result result = run(path, job, more);
		if (result.status != 0)
			fail_msg("seed %u: %s", seed, result.err);
		program_free(&result);
		char *server_of = text_of("file %s", program_image("overlap.img", MIB, 2000 + seed));
		struct nbd_server server = nbd_start(server_of);
		result = run(server.disk, job, more);
		if (result.status != 0)
			fail_msg("seed %u, NBD: %s", seed, result.err);
		program_free(&result);
		nbd_stop(&server, SIGTERM);
		free(server_of);
		free(more);
		unlink(path);
	}
}

/* The server fails one write in five: each is an error of that I/O, none is wrong data. */
static void test_failing_nbd_server_is_io_errors_only(void **state)
{
	(void)state;
	const char *path = program_image("failing.img", 4 * MIB, 8), *json = program_path_of("failing.json");
	char *arguments = text_of("--filter=error file %s error-pwrite=EIO error-pwrite-rate=20%%", path);
	struct nbd_server server = nbd_start(arguments);
	char *more = text_of("--json %s", json);
	struct program_result result =
		run(server.disk,
		    program_file_of("failing.fio",
				    "[a]\nrw=randrw\nbs=4k\nsize=4m\niodepth=8\ncontinue_on_error=all\n"
				    "number_ios=1000\n"),
		    more);
	printf("%s", result.err);
	assert_int_equal(result.status, 1);
	expect_one_line(result.err);
	assert_null(strstr(result.out, "WRONG DATA"));
	json_t *root = json_load_file(json, 0, NULL);
	double errors = json_at(root, "jobs/0/total_err");
	assert_true(errors > 50 && errors < 150);
	assert_true(json_at(root, "jobs/0/first_error") == 5);
	assert_true(json_at(root, "sim/errors") == errors);
	assert_true(json_at(root, "jobs/0/read/total_ios") + json_at(root, "jobs/0/write/total_ios") +
			    errors ==
		    1000);
	json_decref(root);
	program_free(&result);
	nbd_stop(&server, SIGTERM);
	free(arguments);
	free(more);
	unlink(path);
}

/* ---- what a run writes ---- */

/* Written sectors hold their own number and a write of this run; all others what they held. */
static void check_contents(const char *path, const char *before, size_t bytes, uint64_t from, uint64_t to,
			   uint64_t writes)
{
	size_t bytes_after;
	char *after = program_read_file(path, &bytes_after);
	assert_int_equal(bytes_after, bytes);
	for (uint64_t s = 0; s < bytes / 512; s++) {
		const uint8_t *sector = (const uint8_t *)after + s * 512;
		struct pattern_identity is;
		if (s * 512 < from || s * 512 >= to)
			assert_memory_equal(sector, before + s * 512, 512);
		else if (!pattern_identify(SEED, sector, &is) || !is.whole || is.sector != s ||
			 is.generation < 1 || is.generation > writes)
			fail_msg("sector %u holds something else", (unsigned)s);
	}
	free(after);
}

static void test_written_region_and_nothing_else_is_on_the_disk(void **state)
{
	(void)state;
	static const struct {
		const char *job, *options;
		uint64_t image_bytes, from, to, writes;
	} cases[] = {
		{"rw=randwrite\nbs=4k\nsize=1m\noffset=1m\niodepth=32\n", "", 4 * MIB, MIB, 2 * MIB, 256},
		{"rw=write\nbs=512\nsize=100k\noffset=512\niodepth=8\n", "", MIB + 512, 512, 512 + 102400,
		 200},
		{"rw=randwrite\nbs=1m\niodepth=4\n", "--set device.offload=firmware", 8 * MIB, 0, 8 * MIB, 8},
		{"rw=randwrite\nbs=8k\nnumjobs=4\nsize=256k\noffset_increment=256k\nverify=crc32c\n",
		 "--set device.queues=4", MIB + MIB / 2, 0, MIB, 128},
		{"rw=randwrite\nbssplit=512/30:4k/40:64k/30\nverify=sha256\niodepth=64\n",
		 "--set guest.indirect=on", 2 * MIB, 0, 2 * MIB, 4096},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (unsigned nbd = 0; nbd < 2; nbd++) {
			size_t bytes;
			const char *path = program_image("written.img", cases[i].image_bytes, 40 + i);
			char *before = program_read_file(path, &bytes),
			     *job = text_of("[a]\n%s", cases[i].job);
			struct program_result result;
			if (nbd) {
				char *arguments = text_of("file %s", path);
				struct nbd_server server = nbd_start(arguments);
				result = run(server.disk, program_file_of("written.fio", job),
					     cases[i].options);
				nbd_stop(&server, SIGTERM);
				free(arguments);
			} else {
				result = run(path, program_file_of("written.fio", job), cases[i].options);
			}
			assert_int_equal(result.status, 0);
			assert_non_null(strstr(result.out, "all data verified"));
			check_contents(path, before, bytes, cases[i].from, cases[i].to, cases[i].writes);
			program_free(&result);
			free(before);
			free(job);
			unlink(path);
		}
	}
}

int main(void)
{
	if (system("command -v nbdkit >/dev/null 2>&1") != 0) {
		print_message("nbdkit is missing: apt-get install nbdkit\n");
		return 1;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_nbd_server_has_every_flushed_write),
		cmocka_unit_test(test_killed_run_leaves_its_writes_in_order),
		cmocka_unit_test(test_image_is_not_shared_with_another_writer),
		cmocka_unit_test(test_reading_jobs_leave_the_image_as_it_was),
		cmocka_unit_test(test_writing_job_on_read_only_card_is_refused),
		cmocka_unit_test(test_image_corrupted_amid_run_is_found),
		cmocka_unit_test(test_image_cut_short_amid_run_is_an_io_error),
		cmocka_unit_test(test_overlapping_reads_and_writes_raise_no_false_alarm),
		cmocka_unit_test(test_failing_nbd_server_is_io_errors_only),
		cmocka_unit_test(test_written_region_and_nothing_else_is_on_the_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
