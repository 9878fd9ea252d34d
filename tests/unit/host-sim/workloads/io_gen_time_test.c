/* When a job does its I/Os, and when it ends. */
#include <math.h>

#include "tests/unit/host-sim/workloads/io_gen_fixture.h"

static void test_io_gen_runtime_ends_after_ramp_and_runtime(void **state)
{
	const struct device device = {.depth = 4, .latency_ps = PS_PER_US};
	struct run run =
		run_clone("rw=randread\ntime_based\nruntime=3ms\nramp_time=1ms", 64 * K, 0, 1, device);
	(void)state;
	assert_true(run.count > 16 * 10); /* many passes */
	assert_true(run.issued_ps[run.count - 1] < 4 * PS_PER_MS);
	assert_in_range(run.end_ps, 4 * PS_PER_MS, 4 * PS_PER_MS + device.latency_ps);
	free_run(&run);
	/* Not time based: the region once, or until runtime. */
	run = run_clone("rw=read\nruntime=3ms", 64 * K, 0, 1, device);
	assert_int_equal(run.count, 16);
	free_run(&run);
	run = run_clone("rw=read\nruntime=10us", M, 0, 1, device);
	assert_in_range(run.count, 36, 40);
	free_run(&run);
	/* A pause ends with the job. */
	run = run_clone("rw=read\nruntime=10us\nthinktime=1s", M, 0, 1, device);
	assert_int_equal(run.end_ps, 10 * PS_PER_US);
	free_run(&run);
}

static void test_io_gen_time_based_verify_loops_until_runtime(void **state)
{
	struct run run = run_clone("rw=randwrite\nverify=crc32c\ntime_based\nruntime=1ms", 64 * K, 0, 1,
				   (struct device){.depth = 4, .latency_ps = PS_PER_US});
	unsigned backs = 0;
	(void)state;
	for (unsigned i = 0; i < run.count; i++)
		backs += run.io[i].readback;
	assert_true(backs > 100);
	assert_in_range(count_ddir(&run, IO_WRITE) - backs, 0, 16);
	assert_in_range(run.end_ps, PS_PER_MS, PS_PER_MS + PS_PER_US);
	free_run(&run);
}

static void test_io_gen_thinktime_pauses_with_queue_empty(void **state)
{
	const struct device device = {.depth = 8, .latency_ps = PS_PER_US}; /* never full */
	struct run run =
		run_clone("rw=read\nsize=64k\nthinktime=100\nthinktime_blocks=4\nthinktime_blocks_type=issue",
			  M, 0, 1, device);
	(void)state;
	assert_int_equal(run.count, 16);
	for (unsigned i = 4; i < run.count; i++)
		assert_int_equal(run.issued_ps[i] - run.issued_ps[i - 1],
				 i % 4 ? 0 : device.latency_ps + 100 * PS_PER_US);
	free_run(&run);
	/* One I/O at a time is paused after. */
	run = run_clone("rw=read\nsize=16k\nthinktime=5us", M, 0, 1,
			(struct device){.depth = 1, .latency_ps = 1000});
	for (unsigned i = 1; i < run.count; i++)
		assert_int_equal(run.issued_ps[i] - run.issued_ps[i - 1], 5 * PS_PER_US + 1000);
	free_run(&run);
}

static void test_io_gen_rate_spaces_ios_exactly_and_catches_up(void **state)
{
	struct run run = run_clone("rw=read\nrate_iops=1000\nsize=40k", M, 0, 1,
				   (struct device){.depth = 4, .latency_ps = PS_PER_US});
	(void)state;
	for (unsigned i = 0; i < run.count; i++)
		assert_int_equal(run.issued_ps[i], i * PS_PER_MS);
	free_run(&run);
	run = run_job("rw=read\nrate=4m\nbs=1k\nsize=40k", M); /* 4 MiB/s: 1 KiB every 244.140625 µs */
	for (unsigned i = 0; i < run.count; i++)
		assert_int_equal(run.issued_ps[i], i * UINT64_C(244140625));
	free_run(&run);
	/* A device that takes 10 ms for the first of every ten loses nothing on average: depth 1 holds it up. */
	run = run_clone("rw=read\nrate_iops=1000\nsize=40k", M, 0, 1,
			(struct device){.depth = 1, .latency_ps = 10 * PS_PER_MS});
	for (unsigned i = 0; i < run.count; i++)
		assert_int_equal(run.issued_ps[i], i * 10 * PS_PER_MS);
	free_run(&run);
	/* Each direction has its own: reads, unlimited, only wait for the writes before them. */
	run = run_job("rw=randrw\nrate_iops=0,500\nsize=256k", M);
	uint64_t writes = 0;
	for (unsigned i = 0; i < run.count; i++) {
		if (run.io[i].ddir == IO_WRITE)
			assert_in_range(run.issued_ps[i] - writes++ * 2 * PS_PER_MS, 0, run.count * 1000);
		else if (i > 0)
			assert_int_equal(run.issued_ps[i], run.issued_ps[i - 1] + 1000);
	}
	free_run(&run);
}

static void test_io_gen_poisson_gaps_have_mean_and_deviation_alike(void **state)
{
	struct run run = run_clone("rw=read\nbs=512\nrate_iops=10000\nrate_process=poisson\nsize=10m", 10 * M,
				   0, 4, (struct device){.depth = 250, .latency_ps = 10});
	double n = run.count - 1, sum = 0, squares = 0;
	(void)state;
	for (unsigned i = 1; i < run.count; i++) {
		double gap = (double)(run.issued_ps[i] - run.issued_ps[i - 1]);
		sum += gap;
		squares += gap * gap;
	}
	double mean = sum / n, deviation = sqrt(squares / n - mean * mean);
	assert_true(fabs(mean / 1e8 - 1) < 0.03); /* 100 µs; 20000 gaps: deviation of the mean 0.7 % */
	assert_true(fabs(deviation / mean - 1) < 0.05);
	free_run(&run);
}

static void test_io_gen_stop_drains_flushes_and_skips_verify(void **state)
{
	struct run run =
		run_clone("rw=randwrite\nverify=crc32c\nend_fsync=1\nloops=5", M, 0, 1,
			  (struct device){.depth = 8, .latency_ps = PS_PER_US, .stop_at_ps = 3 * PS_PER_US});
	(void)state;
	assert_in_range(run.count, 24, 26);
	assert_int_equal(count_ddir(&run, IO_SYNC), 1);
	assert_int_equal(count_ddir(&run, IO_READ), 0);
	assert_int_equal(run.io[run.count - 1].ddir, IO_SYNC);
	free_run(&run);
}

static void test_io_gen_readback_time_is_that_of_the_verify_phases(void **state)
{
	struct fio_jobs jobs;
	char error[200];
	(void)state;
	/* 16 writes and 16 reads of 1 µs, one after the other, twice. */
	assert_int_equal(fio_jobs_parse(&jobs, "[a]\nrw=write\nverify=crc32c\nsize=64k\nloops=2\n", "t",
					error, sizeof(error)),
			 0);
	struct io_gen *gen = io_gen_create(&jobs.job[0], 0, M, 1);
	struct run run = drive(gen, (struct device){.depth = 1, .latency_ps = PS_PER_US});
	assert_int_equal(run.end_ps, 64 * PS_PER_US);
	assert_int_equal(io_gen_readback_ps(gen), 32 * PS_PER_US);
	free_run(&run);
	io_gen_free(gen);
	fio_jobs_free(&jobs);
}

static void test_io_gen_measure_from_is_start_plus_ramp(void **state)
{
	struct fio_jobs jobs;
	char error[200];
	struct io io;
	uint64_t wake;
	(void)state;
	assert_int_equal(fio_jobs_parse(&jobs, "[a]\nramp_time=2ms\n", "t", error, sizeof(error)), 0);
	struct io_gen *gen = io_gen_create(&jobs.job[0], 0, M, 1);
	assert_int_equal(io_gen_measure_from_ps(gen), TIME_NEVER_PS);
	assert_int_equal(io_gen_next(gen, 5 * PS_PER_MS, &io, &wake), IO_GEN_READY);
	assert_int_equal(io_gen_measure_from_ps(gen), 7 * PS_PER_MS);
	io_gen_free(gen);
	fio_jobs_free(&jobs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_io_gen_runtime_ends_after_ramp_and_runtime),
		cmocka_unit_test(test_io_gen_time_based_verify_loops_until_runtime),
		cmocka_unit_test(test_io_gen_thinktime_pauses_with_queue_empty),
		cmocka_unit_test(test_io_gen_rate_spaces_ios_exactly_and_catches_up),
		cmocka_unit_test(test_io_gen_poisson_gaps_have_mean_and_deviation_alike),
		cmocka_unit_test(test_io_gen_stop_drains_flushes_and_skips_verify),
		cmocka_unit_test(test_io_gen_readback_time_is_that_of_the_verify_phases),
		cmocka_unit_test(test_io_gen_measure_from_is_start_plus_ramp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
