#include "host-sim/workloads/io_gen.h"

#include <math.h>

#include <jansson.h>

#include "tests/check.h"
#include "tests/unit/host-sim/workloads/fio_tool.h"

#define K UINT64_C(1024)
#define M (1024 * K)

/* The I/Os a job does when up to `depth` are in flight and each takes `latency_ps`. */
struct run {
	struct io *io;
	uint64_t *issued_ps;
	unsigned count;
	uint64_t end_ps; /* when the generator was done and nothing in flight */
	unsigned drains; /* times it wanted the queue empty */
};

struct device {
	unsigned depth;
	uint64_t latency_ps;
	uint64_t stop_at_ps; /* 0 = let it run */
};

static void record(struct run *run, const struct io *io, uint64_t now_ps)
{
	if ((run->count & (run->count - 1)) == 0) {
		size_t room = run->count ? run->count * 2 : 64;
		run->io = reallocarray(run->io, room, sizeof(*run->io));
		run->issued_ps = reallocarray(run->issued_ps, room, sizeof(*run->issued_ps));
	}
	run->io[run->count] = *io;
	run->issued_ps[run->count++] = now_ps;
}

static struct run drive(struct io_gen *gen, struct device device)
{
	struct run run = {0};
	uint64_t now = 0, done_ps[256];
	enum io_ddir ddir[256];
	unsigned first = 0, in_flight = 0;
	for (;;) {
		struct io io;
		uint64_t wake = TIME_NEVER_PS;
		enum io_gen_answer answer = IO_GEN_DRAIN;
		if (device.stop_at_ps && now >= device.stop_at_ps)
			io_gen_stop(gen);
		assert_int_equal(io_gen_in_flight(gen), in_flight);
		if (in_flight < device.depth) {
			answer = io_gen_next(gen, now, &io, &wake);
			assert_true(answer != IO_GEN_DRAIN || in_flight > 0);
			run.drains += answer == IO_GEN_DRAIN;
		}
		if (answer == IO_GEN_READY) {
			unsigned slot = (first + in_flight++) % 256;
			record(&run, &io, now);
			done_ps[slot] = now + device.latency_ps;
			ddir[slot] = io.ddir;
			continue;
		}
		if (answer == IO_GEN_DONE && in_flight == 0)
			break;
		assert_true(answer != IO_GEN_WAIT || (wake > now && wake != TIME_NEVER_PS));
		if (in_flight && (answer != IO_GEN_WAIT || done_ps[first] <= wake)) {
			now = max_u64(now, done_ps[first]);
			io_gen_done(gen, ddir[first]);
			first = (first + 1) % 256;
			in_flight--;
		} else {
			now = wake;
		}
	}
	run.end_ps = now;
	return run;
}

static void free_run(struct run *run)
{
	free(run->io);
	free(run->issued_ps);
}

static struct run run_clone(const char *options, uint64_t disk, unsigned clone, uint64_t seed,
			    struct device device)
{
	char text[512], error[256];
	struct fio_jobs jobs;
	snprintf(text, sizeof(text), "[a]\n%s\n", options);
	if (fio_jobs_parse(&jobs, text, "t.fio", error, sizeof(error)) != 0 ||
	    fio_job_check(&jobs.job[0], disk, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	struct io_gen *gen = io_gen_create(&jobs.job[0], clone, disk, seed);
	assert_non_null(gen);
	struct run run = drive(gen, device);
	io_gen_free(gen);
	fio_jobs_free(&jobs);
	return run;
}

static struct run run_job(const char *options, uint64_t disk)
{
	return run_clone(options, disk, 0, 1, (struct device){.depth = 1, .latency_ps = 1000});
}

static unsigned count_ddir(const struct run *run, enum io_ddir ddir)
{
	unsigned count = 0;
	for (unsigned i = 0; i < run->count; i++)
		count += run->io[i].ddir == ddir;
	return count;
}

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

static void test_io_gen_sequential_gap_skips_and_ends_at_the_region(void **state)
{
	static const uint64_t expected[] = {0, 12, 24}; /* KiB: 4 written, 8 skipped */
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

static void test_io_gen_randseed_overrides_the_run_seed(void **state)
{
	const struct device device = {.depth = 1, .latency_ps = 1};
	struct run a = run_clone("rw=randread\nrandseed=5", M, 0, 1, device);
	struct run b = run_clone("rw=randread\nrandseed=5", M, 0, 2, device);
	(void)state;
	assert_int_equal(a.count, b.count);
	assert_memory_equal(a.io, b.io, a.count * sizeof(*a.io));
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
	const struct device device = {.depth = 4, .latency_ps = PS_PER_US};
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

/* Anything the parser and the check accept runs inside the disk, in whole sectors. */
static void test_io_gen_random_jobs_stay_inside_the_disk(void **state)
{
	static const char *const pieces[] = {
		"rw=randrw",
		"rw=randwrite",
		"rw=write:12k",
		"rw=randread:5",
		"rw=trimwrite",
		"rw=randtrim",
		"bs=512",
		"bs=4k,8k,16k",
		"bsrange=1k-20k",
		"bssplit=4k/30:6k/30:512/",
		"ba=512",
		"norandommap",
		"offset=3%",
		"size=77777",
		"size=31%",
		"io_size=300k",
		"number_ios=50",
		"loops=2",
		"fsync=3",
		"verify=crc32c",
		"fdatasync=5",
		"end_fsync=1",
		"rwmixread=80",
		"percentage_random=40",
		"randrepeat=0",
		"random_distribution=zipf:0.8",
		"random_distribution=pareto:0.1",
		"random_distribution=normal:40",
		"offset_increment=20%\nnumjobs=3",
		"rw_sequencer=identical",
		"thinktime=2",
		"rate_iops=1000000",
		"runtime=3ms",
		"runtime=100us\ntime_based",
		"io_size=40%",
	};
	struct rng rng;
	unsigned ran = 0;
	(void)state;
	rng_seed(&rng, test_seed(11), 0);
	for (unsigned round = 0; round < 3000; round++) {
		char text[512] = "[a]\n", error[256];
		uint64_t disk = 512 * (1 + rng_below(&rng, 1000));
		struct fio_jobs jobs;
		for (uint64_t n = rng_below(&rng, 7); n; n--) {
			strcat(text, pieces[rng_below(&rng, ARRAY_SIZE(pieces))]);
			strcat(text, "\n");
		}
		if (fio_jobs_parse(&jobs, text, "t", error, sizeof(error)) != 0)
			continue;
		if (fio_job_check(&jobs.job[0], disk, error, sizeof(error)) == 0) {
			unsigned clone = (unsigned)rng_below(&rng, jobs.job[0].numjobs);
			struct io_gen *gen = io_gen_create(&jobs.job[0], clone, disk, round);
			struct run run =
				drive(gen, (struct device){.depth = 1 + (unsigned)rng_below(&rng, 40),
							   .latency_ps = 1 + rng_below(&rng, PS_PER_US)});
			assert_true(run.count > 0);
			for (unsigned i = 0; i < run.count; i++) {
				const struct io *io = &run.io[i];
				assert_true(io->offset % 512 == 0 && io->bytes % 512 == 0);
				assert_true(io->offset <= disk && io->bytes <= disk - io->offset);
				assert_int_equal(io->bytes == 0, io->ddir >= IO_DIRECTIONS);
			}
			ran++;
			free_run(&run);
			io_gen_free(gen);
		}
		fio_jobs_free(&jobs);
	}
	assert_true(ran > 1000);
}

/* How much fio does for the same options: I/Os by direction and bytes. With one I/O in flight, and mixes at 0 or
 * 100 %, these follow from the options alone. */
static const char *const compared[] = {
	"rw=read\nsize=1m",
	"rw=read\nsize=1000000\nbs=64k",
	"rw=write\nsize=1m\nbs=4k,16k",
	"rw=randread\nsize=1m",
	"rw=randread\nsize=1m\nio_size=256k",
	"rw=randread\nsize=1m\nio_size=3m",
	"rw=write\nsize=1m\nio_size=3m",
	"rw=randread\nsize=1m\nnorandommap",
	"rw=randread\nsize=1m\nnumber_ios=100",
	"rw=read\nsize=1m\nnumber_ios=100\nloops=3",
	"rw=randwrite\nsize=1m\nloops=3",
	"rw=write\nsize=1m\nfsync=8",
	"rw=write\nsize=1m\nfsync=5\nend_fsync=1",
	"rw=randwrite\nsize=512k\nfdatasync=1",
	"rw=write\nsize=1m\nbs=8k\noffset=64k",
	"rw=trim\nsize=1m\nbs=16k",
	"rw=randtrim\nsize=1m\nbs=16k",
	"rw=rw\nsize=1m\nrwmixread=100",
	"rw=randrw\nsize=1m\nrwmixwrite=100",
	"rw=randread\nsize=1m\nbs=12k",
	"rw=randread\nsize=1m\nbs=4k\nba=512",
};

static void test_io_gen_totals_are_those_of_fio(void **state)
{
	static const char *const names[] = {"read", "write", "trim"};
	char *text = malloc(1 << 16);
	size_t length = (size_t)sprintf(text, "[global]\nioengine=null\nstonewall\n");
	int status;
	(void)state;
	need_fio();
	for (size_t i = 0; i < ARRAY_SIZE(compared); i++)
		length += (size_t)sprintf(text + length, "[j%zu]\n%s\n", i, compared[i]);
	char *output = run_fio("--output-format=json", text, &status);
	char *json = strchr(output, '{');
	assert_int_equal(status, 0);
	assert_non_null(json);
	json_t *root = json_loads(json, 0, NULL), *jobs = json_object_get(root, "jobs");
	assert_int_equal(json_array_size(jobs), ARRAY_SIZE(compared));
	for (size_t i = 0; i < ARRAY_SIZE(compared); i++) {
		struct run run = run_job(compared[i], 16 * M);
		json_t *theirs = json_array_get(jobs, i);
		for (unsigned d = 0; d < IO_DIRECTIONS; d++) {
			uint64_t bytes = 0;
			json_t *direction = json_object_get(theirs, names[d]);
			json_int_t fio_ios = json_integer_value(json_object_get(direction, "total_ios"));
			json_int_t fio_bytes = json_integer_value(json_object_get(direction, "io_bytes"));
			for (unsigned n = 0; n < run.count; n++)
				bytes += run.io[n].ddir == d ? run.io[n].bytes : 0;
			if (fio_ios != count_ddir(&run, d) || fio_bytes != (json_int_t)bytes)
				fail_msg("%s: %s %u I/Os, %llu bytes; fio has %lld and %lld\n", compared[i],
					 names[d], count_ddir(&run, d), (unsigned long long)bytes,
					 (long long)fio_ios, (long long)fio_bytes);
		}
		/* fio counts the flushes of fsync only, not those of fdatasync and end_fsync. */
		json_int_t syncs =
			json_integer_value(json_object_get(json_object_get(theirs, "sync"), "total_ios"));
		unsigned ours = count_ddir(&run, IO_SYNC) - (strstr(compared[i], "end_fsync=1") != NULL);
		if (syncs != ours)
			fail_msg("%s: %u flushes, fio has %lld", compared[i], ours, (long long)syncs);
		free_run(&run);
	}
	json_decref(root);
	free(output);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_io_gen_sequential_read_goes_through_the_region_once),
		cmocka_unit_test(test_io_gen_sequential_gap_skips_and_ends_at_the_region),
		cmocka_unit_test(test_io_gen_random_map_covers_every_block_exactly_once),
		cmocka_unit_test(test_io_gen_random_order_differs_by_seed_clone_and_pass),
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
		cmocka_unit_test(test_io_gen_runtime_ends_after_ramp_and_runtime),
		cmocka_unit_test(test_io_gen_time_based_verify_loops_until_runtime),
		cmocka_unit_test(test_io_gen_thinktime_pauses_with_queue_empty),
		cmocka_unit_test(test_io_gen_rate_spaces_ios_exactly_and_catches_up),
		cmocka_unit_test(test_io_gen_poisson_gaps_have_mean_and_deviation_alike),
		cmocka_unit_test(test_io_gen_stop_drains_flushes_and_skips_verify),
		cmocka_unit_test(test_io_gen_measure_from_is_start_plus_ramp),
		cmocka_unit_test(test_io_gen_random_jobs_stay_inside_the_disk),
		cmocka_unit_test(test_io_gen_totals_are_those_of_fio),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
