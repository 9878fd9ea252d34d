/* Replay of I/O logs: order, times, clones, loops. */
#include "tests/unit/host-sim/workloads/io_gen_fixture.h"

#include <unistd.h>

#define US PS_PER_US

static char log_path[64];

static void put_log(const char *text)
{
	snprintf(log_path, sizeof(log_path), "/tmp/kickstand-replay-%d.log", (int)getpid());
	FILE *out = fopen(log_path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

/* Four I/Os 100 us apart on two files, and a flush. */
static const char four[] = "fio version 3 iolog\n"
			   "0 q0 add\n0 q1 add\n0 q0 open\n0 q1 open\n"
			   "50 q0 write 4096 1024\n"
			   "150 q1 read 0 512\n"
			   "250 q0 sync 0 0\n"
			   "350 q1 trim 8192 4096\n"
			   "450 q0 read 4096 512\n"
			   "550 q0 close\n";

static struct run replay_clone(const char *text, const char *options, unsigned clone, struct device device)
{
	char all[400];
	put_log(text);
	snprintf(all, sizeof(all), "read_iolog=%s\n%s", log_path, options);
	struct run run = run_clone(all, M, clone, 1, device);
	unlink(log_path);
	return run;
}

static struct run replay(const char *text, const char *options, unsigned depth, uint64_t latency_ps)
{
	return replay_clone(text, options, 0, (struct device){.depth = depth, .latency_ps = latency_ps});
}

static void expect(const struct run *run, unsigned i, enum io_ddir ddir, uint64_t offset, uint32_t bytes,
		   uint64_t at_ps)
{
	assert_true(i < run->count);
	assert_int_equal(run->io[i].ddir, ddir);
	assert_int_equal(run->io[i].offset, offset);
	assert_int_equal(run->io[i].bytes, bytes);
	assert_int_equal(run->issued_ps[i], at_ps);
}

static void expect_four(const struct run *run, uint64_t step_ps)
{
	assert_int_equal(run->count, 5);
	expect(run, 0, IO_WRITE, 4096, 1024, 0);
	expect(run, 1, IO_READ, 0, 512, step_ps);
	expect(run, 2, IO_SYNC, 0, 0, 2 * step_ps);
	expect(run, 3, IO_TRIM, 8192, 4096, 3 * step_ps);
	expect(run, 4, IO_READ, 4096, 512, 4 * step_ps);
}

static void test_replay_does_the_log_at_its_times(void **state)
{
	static const struct {
		const char *options;
		uint64_t step_ps;
	} cases[] = {
		{"", 100 * US},
		{"replay_time_scale=100", 100 * US},
		{"replay_time_scale=50", 200 * US},
		{"replay_time_scale=400", 25 * US},
		/* About I/Os that the log has its own of. */
		{"rw=randtrim\nbs=16k\nbssplit=4k/50:8k/50\nsize=128k\noffset=64k\nfsync=1\nio_size=512",
		 100 * US},
		{"replay_redirect=/dev/null\nread_iolog_chunked=1\nfilename=x", 100 * US},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run run = replay(four, cases[i].options, 1, US);
		expect_four(&run, cases[i].step_ps);
		free_run(&run);
	}
}

static void test_replay_no_stall_goes_as_fast_as_the_device(void **state)
{
	(void)state;
	struct run run = replay(four, "replay_no_stall=1", 1, 7 * US);
	expect_four(&run, 7 * US);
	free_run(&run);
	run = replay(four, "replay_no_stall=1", 8, 7 * US);
	expect_four(&run, 0);
	free_run(&run);
}

/* A slow device holds I/Os up; those behind them keep their own times. */
static void test_replay_late_ios_do_not_move_later_ones(void **state)
{
	(void)state;
	struct run run = replay(four, "", 1, 150 * US);
	expect(&run, 0, IO_WRITE, 4096, 1024, 0);
	expect(&run, 1, IO_READ, 0, 512, 150 * US);
	expect(&run, 2, IO_SYNC, 0, 0, 300 * US);
	expect(&run, 3, IO_TRIM, 8192, 4096, 450 * US);
	expect(&run, 4, IO_READ, 4096, 512, 600 * US);
	free_run(&run);
	static const char burst[] = "fio version 2 iolog\nf add\n"
				    "f read 0 512\nf read 512 512\nf read 1024 512\nf wait 500 0\n"
				    "f read 1536 512\n";
	run = replay(burst, "", 1, 100 * US);
	expect(&run, 2, IO_READ, 1024, 512, 200 * US);
	expect(&run, 3, IO_READ, 1536, 512, 500 * US);
	free_run(&run);
	run = replay(burst, "", 3, 100 * US);
	expect(&run, 2, IO_READ, 1024, 512, 0);
	expect(&run, 3, IO_READ, 1536, 512, 500 * US);
	free_run(&run);
}

static void test_replay_clones_share_the_files_out(void **state)
{
	const struct device device = {.depth = 4, .latency_ps = US};
	(void)state;
	struct run run = replay_clone(four, "numjobs=2", 0, device);
	assert_int_equal(run.count, 3);
	expect(&run, 0, IO_WRITE, 4096, 1024, 0);
	expect(&run, 1, IO_SYNC, 0, 0, 200 * US);
	expect(&run, 2, IO_READ, 4096, 512, 400 * US);
	free_run(&run);
	run = replay_clone(four, "numjobs=2", 1, device);
	assert_int_equal(run.count, 2);
	expect(&run, 0, IO_READ, 0, 512, 100 * US);
	expect(&run, 1, IO_TRIM, 8192, 4096, 300 * US);
	free_run(&run);
	/* More clones than files: nothing to do, and an end to it. */
	static const char *const endless[] = {"numjobs=3", "numjobs=3\nloops=5",
					      "numjobs=3\ntime_based\nruntime=1",
					      "numjobs=3\ntime_based\nruntime=1\nverify=md5"};
	for (size_t i = 0; i < ARRAY_SIZE(endless); i++) {
		run = replay_clone(four, endless[i], 2, device);
		assert_int_equal(run.count, 0);
		free_run(&run);
	}
}

static void test_replay_skip_leaves_kinds_out(void **state)
{
	(void)state;
	struct run run = replay(four, "replay_skip=write,sync", 4, US);
	assert_int_equal(run.count, 3);
	expect(&run, 0, IO_READ, 0, 512, 0);
	expect(&run, 1, IO_TRIM, 8192, 4096, 200 * US);
	free_run(&run);
}

static void test_replay_loops_repeat_the_log_with_its_times(void **state)
{
	(void)state;
	struct run run = replay(four, "loops=2", 1, US);
	assert_int_equal(run.count, 10);
	/* The second loop begins when the first one's last I/O is done. */
	expect(&run, 5, IO_WRITE, 4096, 1024, 401 * US);
	expect(&run, 9, IO_READ, 4096, 512, 801 * US);
	free_run(&run);
	/* Time-based jobs never drain: a pass is as long as the log, to its last line. */
	run = replay(four, "time_based\nruntime=1650us", 1, US);
	assert_int_equal(run.count, 17);
	expect(&run, 5, IO_WRITE, 4096, 1024, 500 * US);
	expect(&run, 16, IO_READ, 0, 512, 1600 * US);
	free_run(&run);
	run = replay(four, "number_ios=3", 1, US);
	assert_int_equal(run.count, 3);
	free_run(&run);
}

static void test_replay_verify_reads_the_writes_back(void **state)
{
	(void)state;
	struct run run = replay(four, "verify=crc32c", 1, US);
	assert_int_equal(run.count, 6);
	expect(&run, 5, IO_READ, 4096, 1024, 401 * US);
	assert_true(run.io[5].readback);
	free_run(&run);
	run = replay("fio version 3 iolog\n0 q0 add\n1 q0 sync 0 0\n", "verify=crc32c", 1, US);
	assert_int_equal(run.count, 1);
	free_run(&run);
}

/* Names are relative to the job file; errors are those of the log. */
static void test_replay_log_is_found_beside_the_job_file(void **state)
{
	char error[400], folder[] = "/tmp/kickstand-replay-XXXXXX", path[100];
	struct fio_jobs jobs;
	static const struct {
		const char *file, *value;
		bool found;
	} cases[] = {{"job.fio", "a.log", true}, {"job.fio", "./a.log", true}, {"job.fio", "b.log", false}};
	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/a.log", folder);
	FILE *out = fopen(path, "w");
	fputs(four, out);
	fclose(out);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char file[100], text[100];
		snprintf(file, sizeof(file), "%s/%s", folder, cases[i].file);
		snprintf(text, sizeof(text), "[global]\nread_iolog=%s\n[x]\n[y]\nnumjobs=2\n",
			 cases[i].value);
		int failed = fio_jobs_parse(&jobs, text, file, error, sizeof(error));
		assert_int_equal(failed, cases[i].found ? 0 : -1);
		if (!failed)
			assert_int_equal(jobs.job[0].iolog->entries + jobs.job[1].iolog->entries, 10);
		else
			assert_ptr_equal(strstr(error, folder), error);
		fio_jobs_free(&jobs);
	}
	assert_int_equal(
		fio_jobs_parse(&jobs, "[x]\nread_iolog=nowhere.log\n", "j.fio", error, sizeof(error)), -1);
	assert_ptr_equal(strstr(error, "nowhere.log: cannot read"), error);
	unlink(path);
	rmdir(folder);
}

static void test_replay_beyond_the_disk_is_refused(void **state)
{
	char text[200], error[400];
	struct fio_jobs jobs;
	(void)state;
	put_log(four);
	snprintf(text, sizeof(text), "[x]\nread_iolog=%s\n", log_path);
	assert_int_equal(fio_jobs_parse(&jobs, text, "/j.fio", error, sizeof(error)), 0);
	assert_int_equal(fio_job_check(&jobs.job[0], 12288, error, sizeof(error)), 0);
	assert_int_equal(fio_job_check(&jobs.job[0], 12288 - 512, error, sizeof(error)), -1);
	assert_non_null(strstr(error, ".log:9: "));
	fio_jobs_free(&jobs);
	unlink(log_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replay_does_the_log_at_its_times),
		cmocka_unit_test(test_replay_no_stall_goes_as_fast_as_the_device),
		cmocka_unit_test(test_replay_late_ios_do_not_move_later_ones),
		cmocka_unit_test(test_replay_clones_share_the_files_out),
		cmocka_unit_test(test_replay_skip_leaves_kinds_out),
		cmocka_unit_test(test_replay_loops_repeat_the_log_with_its_times),
		cmocka_unit_test(test_replay_verify_reads_the_writes_back),
		cmocka_unit_test(test_replay_log_is_found_beside_the_job_file),
		cmocka_unit_test(test_replay_beyond_the_disk_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
