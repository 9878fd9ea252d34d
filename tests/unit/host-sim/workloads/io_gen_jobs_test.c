/* Whole jobs: random combinations of options, and the totals of the real fio. */
#include <jansson.h>

#include "tests/unit/host-sim/workloads/fio_tool.h"
#include "tests/unit/host-sim/workloads/io_gen_fixture.h"

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

static void compare_with_fio(const char *options, json_t *theirs)
{
	static const char *const names[] = {"read", "write", "trim"};
	struct run run = run_job(options, 16 * M);
	for (unsigned d = 0; d < IO_DIRECTIONS; d++) {
		json_t *direction = json_object_get(theirs, names[d]);
		json_int_t fio_ios = json_integer_value(json_object_get(direction, "total_ios"));
		json_int_t fio_bytes = json_integer_value(json_object_get(direction, "io_bytes"));
		json_int_t bytes = 0;
		for (unsigned n = 0; n < run.count; n++)
			bytes += run.io[n].ddir == d ? run.io[n].bytes : 0;
		if (fio_ios != count_ddir(&run, d) || fio_bytes != bytes)
			fail_msg("%s: %s %u I/Os, %lld bytes; fio has %lld and %lld", options, names[d],
				 count_ddir(&run, d), (long long)bytes, (long long)fio_ios,
				 (long long)fio_bytes);
	}
	/* fio counts the flushes of fsync only, not those of fdatasync and end_fsync. */
	json_int_t syncs = json_integer_value(json_object_get(json_object_get(theirs, "sync"), "total_ios"));
	unsigned ours = count_ddir(&run, IO_SYNC) - (strstr(options, "end_fsync=1") != NULL);
	if (syncs != ours)
		fail_msg("%s: %u flushes, fio has %lld", options, ours, (long long)syncs);
	free_run(&run);
}

static void test_io_gen_totals_are_those_of_fio(void **state)
{
	char *text = malloc(1 << 16);
	size_t length = (size_t)sprintf(text, "[global]\nioengine=null\nstonewall\n");
	int status;
	(void)state;
	need_fio();
	for (size_t i = 0; i < ARRAY_SIZE(compared); i++)
		length += (size_t)sprintf(text + length, "[j%zu]\n%s\n", i, compared[i]);
	char *output = run_fio("--output-format=json", text, &status);
	assert_int_equal(status, 0);
	const char *json = strchr(output, '{'); /* behind fio's remarks */
	assert_non_null(json);
	json_t *root = json_loads(json, JSON_DISABLE_EOF_CHECK, NULL);
	json_t *jobs = json_object_get(root, "jobs");
	assert_int_equal(json_array_size(jobs), ARRAY_SIZE(compared));
	for (size_t i = 0; i < ARRAY_SIZE(compared); i++)
		compare_with_fio(compared[i], json_array_get(jobs, i));
	json_decref(root);
	free(output);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_io_gen_random_jobs_stay_inside_the_disk),
		cmocka_unit_test(test_io_gen_totals_are_those_of_fio),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
