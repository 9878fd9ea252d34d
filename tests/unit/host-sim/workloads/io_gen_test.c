/* Which I/Os a job does, and in which order. */
#include <math.h>

#include "tests/unit/host-sim/workloads/io_gen_fixture.h"

static void test_io_gen_sequential_read_goes_through_the_region_once(void **state)
{
	struct run run = run_job("rw=read\nbs=8k\noffset=16k\nsize=66k", M);
	(void)state;
	assert_int_equal(run.count, 8); /* the last 2k do not hold a block */
	for (unsigned i = 0; i < run.count; i++) {
		assert_int_equal(run.io[i].ddir, IO_READ);
		assert_int_equal(run.io[i].offset, 16 * K + i * 8 * K);
		assert_int_equal(run.io[i].bytes, 8 * K);
		assert_false(run.io[i].readback);
	}
	free_run(&run);
}

static void test_io_gen_sequential_gap_skips_and_begins_again_until_size_is_done(void **state)
{
	static const uint64_t expected[] = {0,  12, 24, 0,
					    12, 24, 0,  12}; /* KiB: 4 written, 8 skipped; as fio 3.33 */
	struct run run = run_job("rw=write:8k\nsize=32k", M);
	(void)state;
	assert_int_equal(run.count, ARRAY_SIZE(expected));
	for (unsigned i = 0; i < run.count; i++)
		assert_int_equal(run.io[i].offset, expected[i] * K);
	free_run(&run);
}

/* Bytes covered by each sector of the region, for all passes a job does. */
static void expect_each_sector_covered(const char *options, uint64_t disk, uint64_t from, uint64_t bytes,
				       unsigned times, unsigned ddir_mask)
{
	struct run run = run_job(options, disk);
	unsigned char *covered = calloc(disk / 512, 1);
	for (unsigned i = 0; i < run.count; i++) {
		const struct io *io = &run.io[i];
		if (!(ddir_mask >> io->ddir & 1))
			continue;
		assert_true(io->offset >= from && io->offset + io->bytes <= from + bytes);
		for (uint64_t s = io->offset / 512; s < (io->offset + io->bytes) / 512; s++)
			covered[s]++;
	}
	for (uint64_t s = from / 512; s < (from + bytes) / 512; s++)
		if (covered[s] != times)
			fail_msg("%s: sector %llu covered %u times", options, (unsigned long long)s,
				 covered[s]);
	free(covered);
	free_run(&run);
}

static void test_io_gen_random_map_covers_every_block_exactly_once(void **state)
{
	const unsigned r = 1 << IO_READ, w = 1 << IO_WRITE, t = 1 << IO_TRIM;
	(void)state;
	expect_each_sector_covered("rw=randread", M, 0, M, 1, r);
	expect_each_sector_covered("rw=randread\nbs=512\nsize=100000", M, 0, 99840, 1, r);
	expect_each_sector_covered("rw=randwrite\nbs=12k\noffset=4k\nsize=360k", M, 4 * K, 360 * K, 1, w);
	expect_each_sector_covered("rw=randtrim\nbs=64k", M, 0, M, 1, t);
	expect_each_sector_covered("rw=randrw", M, 0, M, 1, r | w);
	expect_each_sector_covered("rw=randrw\nloops=3", M, 0, M, 3, r | w);
	expect_each_sector_covered("rw=randread\nio_size=3m", M, 0, M, 3, r);
	expect_each_sector_covered("rw=randtrimwrite", M, 0, M, 1, w);
	expect_each_sector_covered("rw=randtrimwrite", M, 0, M, 1, t);
	/* Several sizes: no block twice, none left out. */
	expect_each_sector_covered("rw=randread\nbssplit=4k/60:64k/40", M, 0, M, 1, r);
	expect_each_sector_covered("rw=randwrite\nbsrange=512-16k", M, 0, M, 1, w);
	expect_each_sector_covered("rw=randrw\nbssplit=1k/10:2k/20:8k/70", M, 0, M, 1, r | w);
}

static void test_io_gen_random_order_differs_by_seed_clone_and_pass(void **state)
{
	const struct device device = {.depth = 4, .latency_ps = 1000};
	struct run base = run_clone("rw=randread\nloops=2\nrandrepeat=0", M, 0, 1, device);
	struct run seed = run_clone("rw=randread\nloops=2\nrandrepeat=0", M, 0, 2, device);
	struct run clone = run_clone("rw=randread\nloops=2\nrandrepeat=0\nnumjobs=2", M, 1, 1, device);
	struct run repeat = run_clone("rw=randread\nloops=2", M, 0, 1, device);
	unsigned same_seed = 0, same_clone = 0, same_loop = 0, same_repeat = 0;
	(void)state;
	for (unsigned i = 0; i < 512; i++) {
		same_seed += base.io[i].offset == seed.io[i].offset;
		same_clone += base.io[i].offset == clone.io[i].offset;
	}
	for (unsigned i = 0; i < 256; i++) {
		same_loop += base.io[i].offset == base.io[256 + i].offset;
		same_repeat += repeat.io[i].offset == repeat.io[256 + i].offset;
	}
	assert_in_range(same_seed, 0, 12);
	assert_in_range(same_clone, 0, 12);
	assert_in_range(same_loop, 0, 12);
	assert_int_equal(same_repeat, 256); /* randrepeat, fio's default */
	free_run(&base);
	free_run(&seed);
	free_run(&clone);
	free_run(&repeat);
}

static void test_io_gen_passes_of_one_loop_have_orders_of_their_own(void **state)
{
	struct run run = run_job("rw=randread\nio_size=2m", M);
	unsigned same = 0;
	(void)state;
	assert_int_equal(run.count, 512);
	for (unsigned i = 0; i < 256; i++)
		same += run.io[i].offset == run.io[256 + i].offset;
	assert_in_range(same, 0, 12);
	free_run(&run);
}

static void test_io_gen_randseed_overrides_the_run_seed(void **state)
{
	const struct device device = {.depth = 1, .latency_ps = 1};
	struct run a = run_clone("rw=randread\nrandseed=5", M, 0, 1, device);
	struct run b = run_clone("rw=randread\nrandseed=5", M, 0, 2, device);
	(void)state;
	assert_int_equal(a.count, b.count);
	for (unsigned i = 0; i < a.count; i++)
		assert_int_equal(a.io[i].offset, b.io[i].offset);
	free_run(&a);
	free_run(&b);
}

/* The same I/Os in the same order, however fast the device and deep the queue. */
static void test_io_gen_order_does_not_depend_on_time(void **state)
{
	static const char *const jobs[] = {
		"rw=randrw\nbssplit=4k/60:16k/40\nfsync=7\nloops=2\nverify=crc32c",
		"rw=randrw\nrate_iops=100000,7000\nrate_process=poisson\nthinktime=3\nthinktime_blocks=5",
		"rw=randwrite\nrandom_distribution=zipf:1.1\nverify=md5\nend_fsync=1",
	};
	(void)state;
	for (size_t j = 0; j < ARRAY_SIZE(jobs); j++) {
		struct run a = run_clone(jobs[j], M, 0, 9, (struct device){.depth = 1, .latency_ps = 12345});
		struct run b =
			run_clone(jobs[j], M, 0, 9, (struct device){.depth = 200, .latency_ps = 7777777});
		assert_int_equal(a.count, b.count);
		for (unsigned i = 0; i < a.count; i++) {
			assert_int_equal(a.io[i].ddir, b.io[i].ddir);
			assert_int_equal(a.io[i].offset, b.io[i].offset);
			assert_int_equal(a.io[i].bytes, b.io[i].bytes);
			assert_int_equal(a.io[i].readback, b.io[i].readback);
		}
		free_run(&a);
		free_run(&b);
	}
}

static void test_io_gen_mix_keeps_its_percentage(void **state)
{
	static const unsigned percents[] = {0, 1, 30, 70, 100};
	char options[64];
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(percents); i++) {
		snprintf(options, sizeof(options), "rw=randrw\nbs=512\nrwmixread=%u", percents[i]);
		struct run run = run_job(options, 10 * M);
		double n = run.count, p = percents[i] / 100.0;
		assert_int_equal(run.count, 10 * M / 512);
		assert_true(fabs(count_ddir(&run, IO_READ) - n * p) <= 5 * sqrt(n * p * (1 - p)));
		free_run(&run);
	}
}

static void test_io_gen_sequential_mix_keeps_two_positions(void **state)
{
	struct run run = run_job("rw=rw\nsize=256k\nbs=4k,8k", M);
	uint64_t at[2] = {0, 0}, bytes = 0;
	(void)state;
	for (unsigned i = 0; i < run.count; i++) {
		assert_int_equal(run.io[i].offset, at[run.io[i].ddir]);
		assert_int_equal(run.io[i].bytes, run.io[i].ddir == IO_READ ? 4 * K : 8 * K);
		at[run.io[i].ddir] += run.io[i].bytes;
		bytes += run.io[i].bytes;
	}
	assert_in_range(bytes, 256 * K, 256 * K + 4 * K); /* read and written together */
	free_run(&run);
}

static void test_io_gen_sizes_keep_their_shares(void **state)
{
	struct run run =
		run_job("rw=randread\nnorandommap\nbssplit=4k/10:64k/50:32k/40\nio_size=800m", 100 * M);
	unsigned count[3] = {0};
	(void)state;
	for (unsigned i = 0; i < run.count; i++) {
		uint32_t k = run.io[i].bytes / K;
		assert_true(k == 4 || k == 64 || k == 32);
		count[k == 4 ? 0 : k == 64 ? 1 : 2]++;
	}
	double n = run.count;
	assert_in_range(run.count, 10000, 25000);
	assert_true(fabs(count[0] - 0.1 * n) < 5 * sqrt(n * 0.09));
	assert_true(fabs(count[1] - 0.5 * n) < 5 * sqrt(n * 0.25));
	assert_true(fabs(count[2] - 0.4 * n) < 5 * sqrt(n * 0.24));
	free_run(&run);
	run = run_job("rw=read\nbsrange=1k-4k\nsize=10m", 100 * M);
	unsigned each[5] = {0};
	for (unsigned i = 0; i < run.count; i++)
		each[run.io[i].bytes / K]++;
	n = run.count;
	for (unsigned k = 1; k <= 4; k++)
		assert_true(fabs(each[k] - n / 4) < 5 * sqrt(n * 3 / 16));
	free_run(&run);
}

static void test_io_gen_blockalign_offsets_are_multiples_and_stay_inside(void **state)
{
	struct run run = run_job("rw=randread\nbs=4k\nba=512\nsize=64k\nnumber_ios=500\nio_size=4m", M);
	bool odd = false;
	uint64_t highest = 0;
	(void)state;
	assert_int_equal(run.count, 500);
	for (unsigned i = 0; i < run.count; i++) {
		assert_int_equal(run.io[i].offset % 512, 0);
		odd = odd || run.io[i].offset % 4096;
		highest = max_u64(highest, run.io[i].offset + run.io[i].bytes);
	}
	assert_true(odd);
	assert_int_equal(highest, 64 * K); /* 500 draws from 121 places miss the last with a chance of 2 % */
	free_run(&run);
}

static void test_io_gen_random_sequence_continues_or_repeats(void **state)
{
	struct run run = run_job("rw=randread:8\nio_size=800k\nsize=100m\nnorandommap", 100 * M);
	unsigned jumps = 0;
	(void)state;
	assert_int_equal(run.count, 200);
	for (unsigned i = 1; i < run.count; i++) {
		bool on = run.io[i].offset == run.io[i - 1].offset + 4 * K;
		assert_true(on || i % 8 == 0);
		jumps += !on;
	}
	assert_int_equal(jumps, 24);
	free_run(&run);
	run = run_job("rw=randread:4\nrw_sequencer=identical\nio_size=800k\nsize=100m\nnorandommap", 100 * M);
	for (unsigned i = 0; i < run.count; i++)
		assert_int_equal(run.io[i].offset, run.io[i / 4 * 4].offset);
	assert_true(run.io[0].offset != run.io[4].offset);
	free_run(&run);
}

static void test_io_gen_percentage_random_continues_the_rest(void **state)
{
	struct run run = run_job("rw=randread\npercentage_random=30\nnorandommap\nio_size=40m", 100 * M);
	double n = run.count, on = 0;
	(void)state;
	for (unsigned i = 1; i < run.count; i++)
		on += run.io[i].offset == run.io[i - 1].offset + run.io[i - 1].bytes;
	assert_true(fabs(on - 0.7 * n) < 5 * sqrt(n * 0.21));
	free_run(&run);
}

static void test_io_gen_zipf_prefers_few_blocks(void **state)
{
	struct run run = run_job("rw=randread\nrandom_distribution=zipf:1.2\nsize=4m\nio_size=40m", 4 * M);
	unsigned hits[1024] = {0}, most = 0;
	(void)state;
	assert_int_equal(run.count, 10240);
	for (unsigned i = 0; i < run.count; i++)
		most = max_u32(most, ++hits[run.io[i].offset / 4096]);
	/* The first of 1024 ranks weighs 1 / sum(r^-1.2) = 0.226. */
	assert_in_range(most, 2100, 2550);
	free_run(&run);
}

static void test_io_gen_fsync_follows_every_nth_write(void **state)
{
	struct run run = run_job("rw=rw\nfsync=4\nsize=512k\nbs=1k", M);
	unsigned writes = 0, syncs = 0;
	(void)state;
	for (unsigned i = 0; i < run.count; i++) {
		if (run.io[i].ddir == IO_SYNC) {
			assert_true(i > 0 && run.io[i - 1].ddir == IO_WRITE && writes % 4 == 0);
			assert_int_equal(run.io[i].bytes, 0);
			syncs++;
		} else {
			assert_true(i == 0 || run.io[i - 1].ddir != IO_WRITE || writes % 4 != 0);
		}
		writes += run.io[i].ddir == IO_WRITE;
	}
	assert_in_range(writes, 200, 312);
	assert_in_range(syncs, (writes - 1) / 4, writes / 4);
	free_run(&run);
	run = run_job("rw=write\nfdatasync=2\nsize=16k", M);
	assert_int_equal(run.count, 5); /* w w s w w, and none after the last */
	assert_int_equal(run.io[2].ddir, IO_DATASYNC);
	assert_int_equal(run.io[4].ddir, IO_WRITE);
	free_run(&run);
}

static void test_io_gen_end_fsync_comes_last_with_queue_empty(void **state)
{
	const struct device device = {.depth = 8, .latency_ps = 1000000};
	struct run run = run_clone("rw=randwrite\nsize=64k\nend_fsync=1\nloops=2", M, 0, 1, device);
	(void)state;
	assert_int_equal(run.count, 2 * 17);
	for (unsigned loop = 0; loop < 2; loop++) {
		unsigned at = loop * 17 + 16;
		assert_int_equal(run.io[at].ddir, IO_SYNC);
		assert_true(run.issued_ps[at] >= run.issued_ps[at - 1] + device.latency_ps);
	}
	assert_true(run.issued_ps[17] >= run.issued_ps[16] + device.latency_ps); /* loops do not overlap */
	free_run(&run);
	run = run_job("rw=read\nsize=64k\nend_fsync=1", M);
	assert_int_equal(run.count, 16); /* nothing written, nothing to flush */
	free_run(&run);
}

static void test_io_gen_verify_phase_reads_back_writes_in_order(void **state)
{
	static const char *const jobs[] = {
		"rw=write\nverify=crc32c\nsize=64k",
		"rw=randwrite\nverify=crc32c\nfsync=3\nloops=2",
		"rw=randrw\nverify=sha256\nbssplit=4k/60:16k/40\nend_fsync=1\nloops=2\nrandrepeat=0",
		"rw=randwrite\nverify=crc32c\nnorandommap\nio_size=3m\nnumber_ios=100",
		"rw=trimwrite\nverify=crc32c\nloops=2",
		"rw=randwrite:4\nverify=xxhash\npercentage_random=50",
	};
	(void)state;
	for (size_t j = 0; j < ARRAY_SIZE(jobs); j++) {
		struct run run =
			run_clone(jobs[j], M, 0, 3, (struct device){.depth = 16, .latency_ps = 1000});
		unsigned write = 0, checked = 0;
		for (unsigned i = 0; i < run.count; i++) {
			if (!run.io[i].readback)
				continue;
			while (run.io[write].ddir != IO_WRITE)
				write++;
			assert_true(write < i);
			assert_int_equal(run.io[i].ddir, IO_READ);
			assert_int_equal(run.io[i].offset, run.io[write].offset);
			assert_int_equal(run.io[i].bytes, run.io[write].bytes);
			/* No write of this loop in flight any more. */
			assert_true(run.issued_ps[i] >= run.issued_ps[write] + 1000);
			write++;
			checked++;
		}
		assert_int_equal(checked, count_ddir(&run, IO_WRITE));
		assert_true(checked > 0);
		free_run(&run);
	}
}

static void test_io_gen_trimwrite_writes_what_it_trimmed(void **state)
{
	static const char *const jobs[] = {"rw=trimwrite\nio_size=64k\nsize=512k",
					   "rw=randtrimwrite\nnumber_ios=16"};
	(void)state;
	for (size_t j = 0; j < ARRAY_SIZE(jobs); j++) {
		struct run run = run_job(jobs[j], M);
		assert_int_equal(run.count, 32); /* 64 KiB are trimmed and 64 KiB written */
		for (unsigned i = 0; i < run.count; i += 2) {
			assert_int_equal(run.io[i].ddir, IO_TRIM);
			assert_int_equal(run.io[i + 1].ddir, IO_WRITE);
			assert_int_equal(run.io[i].offset, run.io[i + 1].offset);
			assert_int_equal(run.io[i].bytes, run.io[i + 1].bytes);
			assert_true(i == 0 || run.io[i].offset != run.io[i - 2].offset);
		}
		free_run(&run);
	}
}

static void test_io_gen_clones_work_in_their_own_regions(void **state)
{
	(void)state;
	for (unsigned clone = 0; clone < 4; clone++) {
		struct run run = run_clone("rw=randwrite\nnumjobs=4\nsize=256k\noffset_increment=256k", M,
					   clone, 1, (struct device){.depth = 2, .latency_ps = 10});
		assert_int_equal(run.count, 64);
		for (unsigned i = 0; i < run.count; i++)
			assert_int_equal(run.io[i].offset / (256 * K), clone);
		free_run(&run);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_io_gen_sequential_read_goes_through_the_region_once),
		cmocka_unit_test(test_io_gen_sequential_gap_skips_and_begins_again_until_size_is_done),
		cmocka_unit_test(test_io_gen_random_map_covers_every_block_exactly_once),
		cmocka_unit_test(test_io_gen_random_order_differs_by_seed_clone_and_pass),
		cmocka_unit_test(test_io_gen_passes_of_one_loop_have_orders_of_their_own),
		cmocka_unit_test(test_io_gen_randseed_overrides_the_run_seed),
		cmocka_unit_test(test_io_gen_order_does_not_depend_on_time),
		cmocka_unit_test(test_io_gen_mix_keeps_its_percentage),
		cmocka_unit_test(test_io_gen_sequential_mix_keeps_two_positions),
		cmocka_unit_test(test_io_gen_sizes_keep_their_shares),
		cmocka_unit_test(test_io_gen_blockalign_offsets_are_multiples_and_stay_inside),
		cmocka_unit_test(test_io_gen_random_sequence_continues_or_repeats),
		cmocka_unit_test(test_io_gen_percentage_random_continues_the_rest),
		cmocka_unit_test(test_io_gen_zipf_prefers_few_blocks),
		cmocka_unit_test(test_io_gen_fsync_follows_every_nth_write),
		cmocka_unit_test(test_io_gen_end_fsync_comes_last_with_queue_empty),
		cmocka_unit_test(test_io_gen_verify_phase_reads_back_writes_in_order),
		cmocka_unit_test(test_io_gen_trimwrite_writes_what_it_trimmed),
		cmocka_unit_test(test_io_gen_clones_work_in_their_own_regions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
