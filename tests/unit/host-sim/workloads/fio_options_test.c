#include "host-sim/workloads/fio_options.h"

#include "tests/check.h"
#include "tests/unit/host-sim/workloads/fio_tool.h"

static struct fio_jobs parse(const char *text)
{
	struct fio_jobs jobs;
	char error[512] = "";
	if (fio_jobs_parse(&jobs, text, "t.fio", error, sizeof(error)) != 0)
		fail_msg("%s\nfor:\n%s", error, text);
	return jobs;
}

/* Every honoured option: what it sets, where, to what. */
#define FIELD(f) offsetof(struct fio_job, f), sizeof(((struct fio_job *)0)->f)
static const struct {
	const char *options;
	size_t at, size;
	uint64_t value;
} honoured[] = {
	{"numjobs=4", FIELD(numjobs), 4},
	{"loops=3", FIELD(loops), 3},
	{"rw=randread", FIELD(random), true},
	{"readwrite=write", FIELD(direction[IO_WRITE]), true},
	{"rw=write", FIELD(direction[IO_READ]), false},
	{"rw=rw", FIELD(direction[IO_READ]), true},
	{"rw=readwrite", FIELD(direction[IO_WRITE]), true},
	{"rw=randrw", FIELD(direction[IO_WRITE]), true},
	{"rw=trim", FIELD(direction[IO_TRIM]), true},
	{"rw=randtrim", FIELD(random), true},
	{"rw=trimwrite", FIELD(trimwrite), true},
	{"rw=randtrimwrite", FIELD(trimwrite), true},
	{"rw=randwrite", FIELD(random), true},
	{"rw=randread:8", FIELD(sequence), 8},
	{"rw=write:4k", FIELD(gap_bytes), 4096},
	{"rw=randread:8\nrw_sequencer=identical", FIELD(sequence_identical), true},
	{"rw=randread:8\nrw_sequencer=sequential", FIELD(sequence_identical), false},
	{"rwmixread=70", FIELD(read_percent), 70},
	{"rwmixwrite=70", FIELD(read_percent), 30},
	{"rwmixread=70\nrwmixwrite=10", FIELD(read_percent), 90},
	{"random_distribution=random", FIELD(distribution), FIO_UNIFORM},
	{"random_distribution=zipf", FIELD(distribution_micro), 1100000},
	{"random_distribution=zipf:1.25", FIELD(distribution_micro), 1250000},
	{"random_distribution=pareto:0.3", FIELD(distribution), FIO_PARETO},
	{"random_distribution=normal:12.5", FIELD(distribution_micro), 12500000},
	{"random_distribution=zipf:0.9", FIELD(no_random_map), true},
	{"percentage_random=30", FIELD(random_percent[IO_TRIM]), 30},
	{"percentage_random=30,40", FIELD(random_percent[IO_READ]), 30},
	{"percentage_random=30,40", FIELD(random_percent[IO_TRIM]), 40},
	{"norandommap", FIELD(no_random_map), true},
	{"norandommap=0", FIELD(no_random_map), false},
	{"randrepeat=0", FIELD(repeat_random), false},
	{"randseed=77", FIELD(seed), 77},
	{"randseed=77", FIELD(seed_given), true},
	{"bs=8k", FIELD(sizes[IO_TRIM].min_bytes), 8192},
	{"blocksize=8k", FIELD(sizes[IO_READ].max_bytes), 8192},
	{"bs=8k,32k", FIELD(sizes[IO_READ].bs), 8192},
	{"bs=8k,32k", FIELD(sizes[IO_TRIM].bs), 32768},
	{"bs=8k,32k,", FIELD(sizes[IO_TRIM].bs), 4096},
	{"bs=,8k", FIELD(sizes[IO_READ].bs), 4096},
	{"bs=,8k", FIELD(sizes[IO_TRIM].bs), 8192},
	{"bs=,8k,", FIELD(sizes[IO_TRIM].bs), 4096},
	{"bs=4k,8k,16k", FIELD(sizes[IO_WRITE].bs), 8192},
	{"bsrange=1k-4k", FIELD(sizes[IO_WRITE].min_bytes), 1024},
	{"blocksize_range=1k-4k", FIELD(sizes[IO_WRITE].max_bytes), 4096},
	{"bsrange=4k:1k", FIELD(sizes[IO_READ].min_bytes), 1024},
	{"bsrange=1k-4k,2k-8k", FIELD(sizes[IO_TRIM].max_bytes), 8192},
	{"bsrange=1k-4k\nbs=512", FIELD(sizes[IO_READ].min_bytes), 1024},
	{"bssplit=4k/10:64k/50:32k/40", FIELD(sizes[IO_READ].splits), 3},
	{"bssplit=4k/10:64k/50:32k/40", FIELD(sizes[IO_READ].max_bytes), 65536},
	{"bssplit=4k/50:1k/:32k/", FIELD(sizes[IO_READ].split[1].percent), 25},
	{"bssplit=4k/50:1k:32k", FIELD(sizes[IO_READ].split[2].percent), 25},
	{"bssplit=2k/50:4k/50,4k/90:8k/10", FIELD(sizes[IO_READ].split[1].bytes), 4096},
	{"bssplit=2k/50:4k/50,4k/90:8k/10", FIELD(sizes[IO_WRITE].split[0].percent), 90},
	{"bssplit=2k/50:4k/50,4k/90:8k/10", FIELD(sizes[IO_TRIM].split[1].bytes), 8192},
	{"bssplit=4k", FIELD(sizes[IO_READ].split[0].percent), 100},
	{"rw=randread\nba=512", FIELD(sizes[IO_READ].align_bytes), 512},
	{"rw=randread\nblockalign=512", FIELD(no_random_map), true},
	{"rw=randread\nba=4k", FIELD(no_random_map), false},
	{"rw=read\nba=512", FIELD(sizes[IO_READ].align_bytes), 4096},
	{"size=64m", FIELD(size.value), 64 << 20},
	{"size=20%", FIELD(size.percent), true},
	{"io_size=1m", FIELD(io_size.value), 1 << 20},
	{"io_limit=50%", FIELD(io_size.value), 50},
	{"offset=1m", FIELD(offset.value), 1 << 20},
	{"offset=5%", FIELD(offset.percent), true},
	{"offset_align=8k", FIELD(offset_align), 8192},
	{"offset_increment=1m", FIELD(offset_increment.value), 1 << 20},
	{"number_ios=100", FIELD(number_ios), 100},
	{"ioengine=libaio\niodepth=32", FIELD(iodepth), 32},
	{"ioengine=io_uring\niodepth=32", FIELD(iodepth), 32},
	{"ioengine=posixaio\niodepth=32", FIELD(sync_engine), false},
	{"ioengine=psync\niodepth=32", FIELD(iodepth), 1},
	{"iodepth=32\nioengine=sync", FIELD(iodepth), 1},
	{"ioengine=vsync", FIELD(sync_engine), true},
	{"iodepth=32\niodepth_batch=8", FIELD(submit_batch), 8},
	{"iodepth=32\niodepth_batch_submit=0", FIELD(submit_batch), 32},
	{"iodepth=32\niodepth_batch=64", FIELD(submit_batch), 32},
	{"iodepth=32\niodepth_batch_complete_min=4", FIELD(complete_min), 4},
	{"iodepth=32\niodepth_batch_complete=0", FIELD(complete_min), 0},
	{"iodepth=32\niodepth_batch_complete_min=4", FIELD(complete_max), 4},
	{"iodepth=32\niodepth_batch_complete_max=8", FIELD(complete_max), 8},
	{"iodepth=32\niodepth_low=4", FIELD(iodepth_low), 4},
	{"iodepth=32\niodepth_low=40", FIELD(iodepth_low), 32},
	{"runtime=2", FIELD(runtime_ps), 2000000000000},
	{"timeout=5ms", FIELD(runtime_ps), 5000000000},
	{"runtime=2\ntime_based", FIELD(time_based), true},
	{"runtime=2\ntime_based=1", FIELD(time_based), true},
	{"runtime=2\ntime_based=0", FIELD(time_based), false},
	{"ramp_time=10us", FIELD(ramp_ps), 10000000},
	{"startdelay=3", FIELD(start_delay_min_ps), 3000000000000},
	{"startdelay=3", FIELD(start_delay_max_ps), 3000000000000},
	{"startdelay=1ms-2ms", FIELD(start_delay_max_ps), 2000000000},
	{"thinktime=20", FIELD(think_ps), 20000000},
	{"thinktime=20ms", FIELD(think_ps), 20000000000},
	{"thinktime=1\nthinktime_blocks=16", FIELD(think_blocks), 16},
	{"thinktime=1\nthinktime_blocks_type=issue", FIELD(think_at_issue), true},
	{"thinktime=1\nthinktime_blocks_type=complete", FIELD(think_at_issue), false},
	{"rate=1m,500k", FIELD(rate_bytes[IO_WRITE]), 512000},
	{"rate=,500k", FIELD(rate_bytes[IO_READ]), 0},
	{"rate=500k,", FIELD(rate_bytes[IO_WRITE]), 0},
	{"rate_iops=100", FIELD(rate_iops[IO_WRITE]), 100},
	{"rate_iops=100\nrate_process=poisson", FIELD(rate_poisson), true},
	{"fsync=32", FIELD(fsync_blocks), 32},
	{"fdatasync=16", FIELD(fdatasync_blocks), 16},
	{"end_fsync=1", FIELD(end_fsync), true},
	{"fsync_on_close=1", FIELD(end_fsync), true},
	{"rw=write\nverify=crc32c", FIELD(verify), true},
	{"rw=write\nverify=crc32c", FIELD(verify_phase), true},
	{"rw=write\nverify=crc32c\ndo_verify=0", FIELD(verify_phase), false},
	{"rw=read\nverify=md5", FIELD(verify_phase), false},
	{"verify=0", FIELD(verify), false},
	{"verify=sha3-512", FIELD(verify), true},
	{"verify=pattern\nverify_pattern=0xdeadbeef", FIELD(verify), true},
	{"verify=meta", FIELD(verify), true},
	{"verify_fatal=1", FIELD(verify_fatal), true},
	{"exitall", FIELD(exit_all), true},
	{"continue_on_error=none", FIELD(continue_on), 0},
	{"continue_on_error=io", FIELD(continue_on), FIO_CONTINUE_READ | FIO_CONTINUE_WRITE},
	{"continue_on_error=all", FIELD(continue_on), 7},
	{"continue_on_error=verify", FIELD(continue_on), FIO_CONTINUE_VERIFY},
	{"group_reporting", FIELD(group_reporting), true},
	{"group_reporting=1", FIELD(group_reporting), true},
	{"clat_percentiles=0", FIELD(clat_percentiles), false},
	{"lat_percentiles=1", FIELD(lat_percentiles), true},
	{"slat_percentiles=1", FIELD(slat_percentiles), true},
	{"percentile_list=99.9:50:99", FIELD(percentiles), 3},
	{"percentile_list=99.9:50:99", FIELD(percentile_micro[0]), 50000000},
	{"percentile_list=99.9:50:99", FIELD(percentile_micro[2]), 99900000},
	{"kb_base=1000\nbs=1m", FIELD(sizes[IO_READ].bs), 1000000},
	{"bs=1m\nkb_base=1000", FIELD(sizes[IO_READ].bs), 1000000},
	{"direct=1", FIELD(sync_engine), false},
	{"nrfiles=1\nsync=0\nzonemode=none\nexit_what=group\nstats=1", FIELD(numjobs), 1},
};

static uint64_t field_value(const struct fio_job *job, size_t at, size_t size)
{
	uint64_t value = 0;
	memcpy(&value, (const char *)job + at, size); /* little endian, as all test machines are */
	return value;
}

static void test_fio_job_each_option_sets_its_field(void **state)
{
	char text[256];
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(honoured); i++) {
		snprintf(text, sizeof(text), "[a]\n%s\n", honoured[i].options);
		struct fio_jobs jobs = parse(text);
		uint64_t value = field_value(&jobs.job[0], honoured[i].at, honoured[i].size);
		if (value != honoured[i].value)
			fail_msg("%llu for:\n%s", (unsigned long long)value, text);
		fio_jobs_free(&jobs);
	}
}

/* fio takes every job file that is accepted here (blanks around '=' apart, which fio takes for part of a value). */
static void test_fio_job_accepted_files_are_valid_fio(void **state)
{
	char *text = malloc(1 << 18);
	size_t length = 0;
	int status;
	(void)state;
	need_fio();
	for (size_t i = 0; i < ARRAY_SIZE(honoured); i++)
		length += (size_t)sprintf(text + length, "[job%zu]\nstonewall\n%s%s\n", i,
					  strstr(honoured[i].options, "size=") ? "" : "size=64m\n",
					  honoured[i].options);
	char *output = run_fio("--parse-only", text, &status);
	if (status != 0)
		fail_msg("fio says: %s", output);
	free(output);
	free(text);
}

/* Every option of fio is in the table, so that a message never calls one unknown. */
static void test_fio_options_table_has_every_option_of_fio(void **state)
{
	int status, known = 0;
	(void)state;
	need_fio();
	char *help = command_output("fio --cmdhelp=all 2>/dev/null", &status), *rest = help, *line;
	while ((line = strsep(&rest, "\n"))) {
		char name[64];
		if (sscanf(line, " %63[a-z_0-9-] :", name) != 1)
			continue;
		if (!fio_option_canonical(name))
			fail_msg("fio's option '%s' is not in the table", name);
		known++;
	}
	assert_in_range(known, 150, 400);
	free(help);
}

static void test_fio_options_print_lists_each_option_once(void **state)
{
	char *text = NULL;
	size_t size;
	(void)state;
	FILE *out = open_memstream(&text, &size);
	fio_options_print(out);
	fclose(out);
	assert_non_null(strstr(text, "| `bs`, `blocksize` | yes |"));
	assert_non_null(strstr(text, "| `filename` | ignored |"));
	assert_non_null(strstr(text, "| `read_iolog` | yes |"));
	assert_non_null(strstr(text, "| `nrfiles`, `nr_files` | only `1` |"));
	for (char *row = strstr(text, "\n| `"); row; row = strstr(row + 1, "\n| `")) {
		char name[64];
		assert_int_equal(sscanf(row, "\n| `%63[^`]`", name), 1);
		char again[80];
		snprintf(again, sizeof(again), "`%s`", name);
		char *first = strstr(text, again);
		assert_non_null(first);
		assert_null(strstr(first + 1, again));
	}
	free(text);
}

static void test_fio_options_print_equals_the_table_in_the_documentation(void **state)
{
	static char document[1 << 18];
	char *table = NULL;
	size_t size;
	(void)state;
	FILE *out = open_memstream(&table, &size), *file = fopen("docs/workloads.md", "r");
	fio_options_print(out);
	fclose(out);
	assert_non_null(file);
	document[fread(document, 1, sizeof(document) - 1, file)] = '\0';
	fclose(file);
	const char *theirs = strstr(document, "| option | support |");
	assert_non_null(theirs);
	if (strcmp(theirs, table) != 0) {
		file = fopen("build/fio-options.md", "w");
		fputs(table, file);
		fclose(file);
		fail_msg("the table in docs/workloads.md is out of date; replace it by build/fio-options.md");
	}
	free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fio_job_each_option_sets_its_field),
		cmocka_unit_test(test_fio_job_accepted_files_are_valid_fio),
		cmocka_unit_test(test_fio_options_table_has_every_option_of_fio),
		cmocka_unit_test(test_fio_options_print_lists_each_option_once),
		cmocka_unit_test(test_fio_options_print_equals_the_table_in_the_documentation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
