/* Jobs of every shape, run to the end and compared with what follows from the job file alone. */
#include "tests/e2e/run_check.h"

#define K  1024.0
#define M  (1024.0 * 1024.0)
#define Q4 "--set device.queues=4"

static double rate_of(const json_t *root, const char *path)
{
	return json_at(root, path);
}

/* rate=200m: 200 MiB a second, kept over the job's 4 MiB; the last I/O starts one I/O's time before the end. */
static void rate_is_kept(const json_t *root)
{
	double bytes_per_s = rate_of(root, "jobs/0/read/bw_bytes");
	if (bytes_per_s > 200 * M * 1.005 || bytes_per_s < 200 * M * 0.98)
		fail_msg("%.0f bytes a second", bytes_per_s);
}

static void iops_is_kept(const json_t *root)
{
	double iops = rate_of(root, "jobs/0/write/iops");
	if (iops > 50000 * 1.005 || iops < 50000 * 0.98)
		fail_msg("%.0f IOPS", iops);
}

static void poisson_rate_is_kept_on_average(const json_t *root)
{
	double iops = rate_of(root, "jobs/0/read/iops");
	if (iops > 50000 * 1.15 || iops < 50000 * 0.85)
		fail_msg("%.0f IOPS", iops);
}

/* 100 I/Os, 20 us of pause after every 4th: 24 or 25 pauses. */
static void pauses_are_made(const json_t *root)
{
	assert_true(json_at(root, "sim/time_ns") > 24 * 20000 + 100 * 7000);
}

static void runtime_is_kept(const json_t *root)
{
	double ms = json_at(root, "sim/time_ns") / 1e6;
	if (ms < 2 || ms > 2.1)
		fail_msg("%g ms", ms);
}

static void start_is_delayed(const json_t *root)
{
	assert_true(json_at(root, "sim/time_ns") > 1e6 + 10 * 8000);
	assert_true(json_at(root, "jobs/0/read/runtime") ==
		    0); /* whole milliseconds: the delay is not in it */
}

/* The second job starts when the first is over: neither is ever more than one deep. */
static void jobs_follow_each_other(const json_t *root)
{
	assert_int_equal(json_array_size(json_object_get(root, "jobs")), 2);
	assert_true(json_at(root, "jobs/0/groupid") == 0);
	assert_true(json_at(root, "jobs/1/groupid") == 1);
	double first = 200 * json_at(root, "jobs/0/read/lat_ns/mean");
	double second = 200 * json_at(root, "jobs/1/write/lat_ns/mean");
	assert_true(json_at(root, "sim/time_ns") + 1 >= first + second); /* it is cut to whole ns */
}

static void clones_report_each(const json_t *root)
{
	assert_int_equal(json_array_size(json_object_get(root, "jobs")), 4);
	for (unsigned i = 0; i < 4; i++) {
		const json_t *job = json_array_get(json_object_get(root, "jobs"), i);
		assert_true(json_at(job, "read/total_ios") == 200);
	}
}

static void clones_report_together(const json_t *root)
{
	assert_int_equal(json_array_size(json_object_get(root, "jobs")), 1);
}

/* One in flight at a time, whatever iodepth says. */
static void depth_is_one(const json_t *root)
{
	assert_true(json_at(root, "jobs/0/iodepth_level/1") == 100);
}

/* Eight at a time leave one doorbell where eight would have been. */
static void doorbells_are_saved(const json_t *root)
{
	assert_true(json_at(root, "device/doorbells/written") <= 800 / 8 + 1);
}

/* Exactly these requests are needed; which of them the first to end cuts off is open. */
static void first_ends_all(const json_t *root)
{
	assert_true(json_at(root, "jobs/1/write/total_ios") == 50);
	assert_true(json_at(root, "jobs/0/read/total_ios") < 20000);
}

static void percentage_is_kept(const json_t *root)
{
	double reads = json_at(root, "jobs/0/read/total_ios");
	assert_true(reads > 2048 * 0.65 && reads < 2048 * 0.75);
}

static void measured_is_what_came_after_the_ramp(const json_t *root)
{
	double reads = json_at(root, "jobs/0/read/total_ios"), all = json_at(root, "sim/ios");
	assert_true(reads > all * 0.6 && reads < all * 0.75); /* 1 ms of 3 ms is the ramp */
}

static const struct job_run one_by_one[] = {
	{"randread", "[a]\nrw=randread\nbs=4k\nnumber_ios=300\n", "", 1, IO(300, 0, 0, 0, 300 * 4 * K, 0),
	 .more = depth_is_one},
	{"smallest reads", "[a]\nrw=read\nbs=512\niodepth=4\nsize=256k\n", "", 4,
	 IO(512, 0, 0, 0, 256 * K, 0)},
	{"large writes", "[a]\nrw=write\nbs=128k\niodepth=8\nsize=8m\n", "", 8, IO(0, 64, 0, 0, 0, 8 * M)},
	{"largest", "[a]\nrw=randread\nbs=1m\niodepth=2\nsize=16m\n", "", 2, IO(16, 0, 0, 0, 16 * M, 0)},
	{"verified writes", "[a]\nrw=randwrite\nbs=4k\niodepth=32\nsize=4m\nverify=crc32c\n", "", 32,
	 IO(1024, 1024, 0, 0, 4 * M, 4 * M)},
	{"mixed", "[a]\nrw=randrw\nrwmixread=70\niodepth=16\nsize=8m\nnorandommap\n", "", 16,
	 IO(ANY, ANY, 0, 0, ANY, ANY), .more = percentage_is_kept},
	{"trims", "[a]\nrw=trim\nbs=64k\nsize=4m\n", "", 1, IO(0, 0, 64, 0, 0, 0)},
	{"random trims", "[a]\nrw=randtrim\nbs=4k\niodepth=32\nsize=1m\n", "", 32, IO(0, 0, 256, 0, 0, 0)},
	{"trim and write", "[a]\nrw=trimwrite\nbs=16k\nsize=1m\niodepth=4\n", "", 4, IO(0, 64, 64, 0, 0, M)},
	{"range of sizes", "[a]\nrw=randread\nbsrange=512-64k\niodepth=8\nsize=4m\n", "", 8,
	 IO(ANY, 0, 0, 0, 4 * M, 0)},
	{"split sizes", "[a]\nrw=randwrite\nbssplit=512/20:4k/60:64k/20\niodepth=8\nsize=4m\nverify=md5\n",
	 "", 8, IO(ANY, ANY, 0, 0, 4 * M, 4 * M)},
	{"sizes by direction", "[a]\nrw=randrw\nbs=4k,16k\nsize=4m\niodepth=8\nnumber_ios=500\n", "", 8,
	 IO(ANY, ANY, 0, 0, ANY, ANY)},
	{"deepest", "[a]\nrw=randread\nbs=512\niodepth=256\nnumber_ios=2000\n", "", 256,
	 IO(2000, 0, 0, 0, 2000 * 512, 0)},
	{"deeper than the ring", "[a]\nrw=randwrite\nbs=512\niodepth=256\nnumber_ios=2000\nverify=crc32c\n",
	 "--set device.queue_size=16", 256, IO(2000, 2000, 0, 0, 2000 * 512, 2000 * 512)},
	{"synchronous", "[a]\nioengine=psync\nrw=randread\niodepth=16\nnumber_ios=100\n", "", 1,
	 IO(100, 0, 0, 0, 400 * K, 0), .more = depth_is_one},
	{"clones", "[a]\nrw=randread\nnumjobs=4\niodepth=4\nnumber_ios=200\n", Q4, 16,
	 IO(800, 0, 0, 0, 3200 * K, 0), .more = clones_report_each},
	{"clones together", "[a]\nrw=randread\nnumjobs=16\niodepth=4\nnumber_ios=100\ngroup_reporting\n",
	 "--set device.queues=16", 64, IO(1600, 0, 0, 0, 6400 * K, 0), .more = clones_report_together},
	{"clones apart", "[a]\nrw=write\nnumjobs=3\niodepth=4\nsize=1m\noffset_increment=1m\nverify=crc32c\n",
	 Q4, 12, IO(768, 768, 0, 0, 3 * M, 3 * M)},
	{"clones over each other",
	 "[a]\nrw=randwrite\nnumjobs=4\niodepth=16\nsize=64k\nio_size=1m\nnorandommap\nverify=crc32c\n", Q4,
	 64, IO(1024, 1024, 0, 0, 4 * M, 4 * M)},
};

/* As in fio, no flush follows the last I/O unless end_fsync asks for it. */
static const struct job_run paced[] = {
	{"rate", "[a]\nrw=read\nbs=4k\niodepth=8\nsize=4m\nrate=200m\n", "", 8, IO(1024, 0, 0, 0, 4 * M, 0),
	 .more = rate_is_kept},
	{"rate of I/Os", "[a]\nrw=randwrite\niodepth=8\nnumber_ios=500\nrate_iops=50000\n", "", 8,
	 IO(0, 500, 0, 0, 0, 2000 * K), .more = iops_is_kept},
	{"random rate",
	 "[a]\nrw=randread\niodepth=64\nnumber_ios=1000\nrate_iops=50000\nrate_process=poisson\n", "", 64,
	 IO(1000, 0, 0, 0, 4000 * K, 0), .more = poisson_rate_is_kept_on_average},
	{"pauses", "[a]\nrw=randread\nnumber_ios=100\nthinktime=20us\nthinktime_blocks=4\n", "", 1,
	 IO(100, 0, 0, 0, 400 * K, 0), .more = pauses_are_made},
	{"batches",
	 "[a]\nrw=randread\niodepth=8\niodepth_batch=8\niodepth_batch_complete_min=8\nnumber_ios=800\n", "",
	 8, IO(800, 0, 0, 0, 3200 * K, 0), .more = doorbells_are_saved},
	{"low water mark", "[a]\nrw=randread\niodepth=32\niodepth_low=8\nnumber_ios=800\n", "", 32,
	 IO(800, 0, 0, 0, 3200 * K, 0)},
	{"for a time", "[a]\nrw=randread\niodepth=8\ntime_based\nruntime=2ms\nsize=64k\n", "", 8,
	 IO(ANY, 0, 0, 0, ANY, 0), .more = runtime_is_kept},
	{"after a ramp", "[a]\nrw=randread\niodepth=8\ntime_based\nramp_time=1ms\nruntime=2ms\n", "", 8,
	 IO(ANY, 0, 0, 0, ANY, 0), .ramps = true, .more = measured_is_what_came_after_the_ramp},
	{"later", "[a]\nrw=randread\nstartdelay=1ms\nnumber_ios=10\n", "", 1, IO(10, 0, 0, 0, 40 * K, 0),
	 .more = start_is_delayed},
	{"one after the other",
	 "[a]\nrw=randread\nnumber_ios=200\n[b]\nstonewall\nrw=randwrite\nnumber_ios=200\n", "", 1,
	 IO(200, 200, 0, 0, 800 * K, 800 * K), .more = jobs_follow_each_other},
	{"the first ends all",
	 "[a]\nrw=randread\nnumber_ios=20000\nnorandommap\n[b]\nexitall\nrw=randwrite\nnumber_ios=50\n", "",
	 2, IO(ANY, 50, 0, 0, ANY, 200 * K), .more = first_ends_all},
	{"flush after each", "[a]\nrw=randwrite\nnumber_ios=100\nfsync=1\n", "", 1,
	 IO(0, 100, 0, 99, 0, 400 * K)},
	{"flush after eight", "[a]\nrw=write\niodepth=16\nnumber_ios=256\nfsync=8\nend_fsync=1\n", "", 17,
	 IO(0, 256, 0, 32, 0, 1024 * K)},
	{"flush of data", "[a]\nrw=write\nnumber_ios=100\nfdatasync=4\n", "", 1,
	 IO(0, 100, 0, 24, 0, 400 * K)},
};

static const struct job_run places[] = {
	{"zipf", "[a]\nrw=randread\nrandom_distribution=zipf:1.2\niodepth=8\nnumber_ios=1000\n", "", 8,
	 IO(1000, 0, 0, 0, 4000 * K, 0)},
	{"pareto",
	 "[a]\nrw=randwrite\nrandom_distribution=pareto:0.2\niodepth=8\nnumber_ios=1000\nverify=crc32c\n", "",
	 8, IO(ANY, 1000, 0, 0, ANY, 4000 * K)},
	{"normal", "[a]\nrw=randrw\nrandom_distribution=normal:20\niodepth=8\nnumber_ios=1000\n", "", 8,
	 IO(ANY, ANY, 0, 0, ANY, ANY)},
	{"half random", "[a]\nrw=randread\npercentage_random=50\niodepth=8\nsize=4m\n", "", 8,
	 IO(ANY, 0, 0, 0, ANY, 0)},
	{"eight in a row", "[a]\nrw=randread:8\niodepth=8\nsize=4m\nnumber_ios=512\n", "", 8,
	 IO(512, 0, 0, 0, 2048 * K, 0)},
	{"the same eight times", "[a]\nrw=randread:8\nrw_sequencer=identical\nnumber_ios=128\n", "", 1,
	 IO(128, 0, 0, 0, 512 * K, 0)},
	{"with holes", "[a]\nrw=write:4k\nbs=4k\nsize=1m\niodepth=4\n", "", 4, IO(0, 256, 0, 0, 0, M)},
	{"three loops", "[a]\nrw=randwrite\nsize=256k\nloops=3\niodepth=4\nverify=crc32c\n", "", 4,
	 IO(192, 192, 0, 0, 768 * K, 768 * K)},
	{"eight rounds", "[a]\nrw=read\nbs=64k\nsize=1m\nio_size=8m\niodepth=4\n", "", 4,
	 IO(128, 0, 0, 0, 8 * M, 0)},
	{"less than the region", "[a]\nrw=randread\nsize=16m\nio_size=1m\niodepth=4\n", "", 4,
	 IO(256, 0, 0, 0, M, 0)},
	{"a part of the disk", "[a]\nrw=randwrite\noffset=50%\nsize=25%\nbs=64k\niodepth=8\n",
	 "--disk ram:16M", 8, IO(0, 64, 0, 0, 0, 4 * M)},
	{"aligned to sectors",
	 "[a]\nrw=randwrite\nbs=4k\nba=512\niodepth=8\nnumber_ios=500\nnorandommap\nverify=crc32c\n", "", 8,
	 IO(ANY, 500, 0, 0, ANY, 2000 * K)},
	{"decimal units", "[a]\nkb_base=1000\nrw=read\nbs=4096\nsize=4096k\niodepth=4\n", "", 4,
	 IO(1000, 0, 0, 0, 4096000, 0)},
	{"everything at once",
	 "[global]\niodepth=8\nsize=4m\nverify=crc32c\n[w]\nrw=randwrite\nbssplit=4k/50:32k/"
	 "50\nfsync=16\n[r]\nrw=randread\nbs=8k\n"
	 "[t]\nrw=randtrim\nbs=16k\nnumber_ios=40\nverify=0\n[m]\nrw=randrw\nbs=2k\nnumber_ios=500\n",
	 Q4, 32, IO(ANY, ANY, 40, ANY, ANY, ANY)},
};

static void test_jobs_of_one_shape_do_exactly_their_io(void **state)
{
	(void)state;
	check_job_runs(one_by_one, ARRAY_SIZE(one_by_one));
}

static void test_paced_jobs_keep_their_pace(void **state)
{
	(void)state;
	check_job_runs(paced, ARRAY_SIZE(paced));
}

static void test_jobs_stay_within_their_places(void **state)
{
	(void)state;
	check_job_runs(places, ARRAY_SIZE(places));
}

/* The other offload level does the same I/O. */
static void test_jobs_with_rings_walked_by_firmware_do_the_same(void **state)
{
	(void)state;
	char options[200];
	for (size_t i = 0; i < ARRAY_SIZE(one_by_one); i++) {
		struct job_run r = one_by_one[i];
		snprintf(options, sizeof(options), "%s --set device.offload=firmware", r.options);
		r.options = options;
		check_job_runs(&r, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jobs_of_one_shape_do_exactly_their_io),
		cmocka_unit_test(test_paced_jobs_keep_their_pace),
		cmocka_unit_test(test_jobs_stay_within_their_places),
		cmocka_unit_test(test_jobs_with_rings_walked_by_firmware_do_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
