#include "host-sim/job_report.h"

#include <math.h>

#include "tests/check.h"
#include "tests/unit/host-sim/workloads/fio_tool.h"

static struct fio_jobs parse(const char *text)
{
	struct fio_jobs jobs;
	char error[256];
	if (fio_jobs_parse(&jobs, text, "t.fio", error, sizeof(error)) != 0)
		fail_msg("%s", error);
	return jobs;
}

static void add_io(struct job_stats *s, enum io_ddir ddir, uint32_t bytes, uint64_t slat_ps, uint64_t clat_ps)
{
	struct job_io_times times = {.created_ps = 5 * PS_PER_MS};
	times.submitted_ps = times.created_ps + slat_ps;
	times.completed_ps = times.submitted_ps + clat_ps;
	job_stats_io(s, ddir, bytes, &times);
}

/* The value at "a/b/c"; fails if it is not there. */
static double number_at(const json_t *root, const char *path)
{
	char key[64];
	const char *rest = path;
	const json_t *at = root;
	while (rest) {
		assert_int_equal(fio_next_piece(&rest, '/', key, sizeof(key)), 0);
		at = json_object_get(at, key);
		if (!at)
			fail_msg("no %s", path);
	}
	assert_true(json_is_number(at));
	return json_number_value(at);
}

static void test_job_report_values_have_fios_units(void **state)
{
	struct fio_jobs jobs = parse("[a]\nbs=4k\nslat_percentiles=1\n");
	struct job_stats *s = calloc(1, sizeof(*s));
	(void)state;
	/* 1000 reads of 4 KiB in 20 ms: 50000 IOPS, 204800000 B/s, 200000 KiB/s. */
	for (unsigned i = 1; i <= 1000; i++)
		add_io(s, IO_READ, 4096, 2 * PS_PER_NS, i * PS_PER_US);
	add_io(s, IO_SYNC, 0, 0, 7 * PS_PER_US);
	s->start_ps = 5 * PS_PER_MS;
	s->end_ps = 25 * PS_PER_MS;
	static const struct {
		const char *path;
		double value;
	} rows[] = {
		{"groupid", 0},
		{"error", 0},
		{"job_runtime", 20},
		{"elapsed", 1},
		{"read/io_bytes", 4096000},
		{"read/io_kbytes", 4000},
		{"read/bw_bytes", 204800000},
		{"read/bw", 200000},
		{"read/iops", 50000},
		{"read/runtime", 20},
		{"read/total_ios", 1000},
		{"read/short_ios", 0},
		{"read/drop_ios", 0},
		{"read/slat_ns/min", 2},
		{"read/slat_ns/mean", 2},
		{"read/slat_ns/stddev", 0},
		{"read/slat_ns/percentile/50.000000", 2},
		{"read/clat_ns/min", 1000},
		{"read/clat_ns/max", 1000000},
		{"read/clat_ns/mean", 500500},
		{"read/clat_ns/N", 1000},
		{"read/lat_ns/min", 1002},
		{"read/lat_ns/max", 1000002},
		{"write/total_ios", 0},
		{"write/runtime", 0},
		{"write/iops", 0},
		{"write/clat_ns/min", 0},
		{"sync/total_ios", 1},
		{"sync/lat_ns/mean", 7000},
		{"sync/lat_ns/percentile/99.990000", 7000},
	};
	json_t *report = job_report(&jobs.job[0], s);
	assert_non_null(report);
	assert_string_equal(json_string_value(json_object_get(report, "jobname")), "a");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (fabs(number_at(report, rows[i].path) - rows[i].value) > 1e-9 * rows[i].value)
			fail_msg("%s is %f", rows[i].path, number_at(report, rows[i].path));
	/* Deviation of 1..n: sqrt(n (n + 1) / 12). */
	assert_true(fabs(number_at(report, "read/clat_ns/stddev") - 1000 * sqrt(1000.0 * 1001 / 12)) < 1);
	static const char *const percentiles[] = {"1.000000", "50.000000", "99.000000", "99.990000"};
	static const double expected[] = {10000, 500000, 990000, 1000000};
	for (unsigned i = 0; i < 4; i++) {
		char path[64];
		snprintf(path, sizeof(path), "read/clat_ns/percentile/%s", percentiles[i]);
		assert_true(fabs(number_at(report, path) - expected[i]) <= expected[i] / 256 + 1);
	}
	assert_null(
		json_object_get(json_object_get(json_object_get(report, "read"), "lat_ns"), "percentile"));
	assert_null(
		json_object_get(json_object_get(json_object_get(report, "write"), "clat_ns"), "percentile"));
	json_decref(report);
	free(s);
	fio_jobs_free(&jobs);
}

static void test_job_report_verify_phase_counts_for_reads_only(void **state)
{
	/* 10 ms, 4 of them reading back; 600 I/Os in each direction. */
	static const struct {
		const char *text;
		double read_iops, write_iops;
	} rows[] = {
		{"[a]\nrw=write\nverify=crc32c\n", 150000, 100000},
		{"[a]\nrw=rw\nverify=crc32c\n", 60000, 100000},
	};
	(void)state;
	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		struct fio_jobs jobs = parse(rows[r].text);
		struct job_stats *s = calloc(1, sizeof(*s));
		for (unsigned i = 0; i < 1200; i++)
			add_io(s, i % 2 ? IO_READ : IO_WRITE, 4096, 0, PS_PER_US);
		s->start_ps = PS_PER_MS;
		s->end_ps = 11 * PS_PER_MS;
		s->readback_ps = 4 * PS_PER_MS;
		json_t *report = job_report(&jobs.job[0], s);
		assert_true(fabs(number_at(report, "read/iops") - rows[r].read_iops) < 1e-6);
		assert_true(fabs(number_at(report, "write/iops") - rows[r].write_iops) < 1e-6);
		assert_true(number_at(report, "write/runtime") == 6);
		assert_true(number_at(report, "job_runtime") == 10);
		json_decref(report);
		free(s);
		fio_jobs_free(&jobs);
	}
}

static void test_job_report_latency_classes_end_below_their_name(void **state)
{
	/* fio: class "50" holds 20 to 49 of its unit, ">=2000" what is above, and each unit its own values. */
	static const struct {
		uint64_t clat_ps;
		const char *path;
	} rows[] = {
		{0, "latency_ns/2"},
		{1999, "latency_ns/2"},
		{2000, "latency_ns/4"},
		{49999, "latency_ns/50"},
		{50000, "latency_ns/100"},
		{999 * PS_PER_NS, "latency_ns/1000"},
		{PS_PER_US, "latency_us/2"},
		{3 * PS_PER_US, "latency_us/4"},
		{250 * PS_PER_US, "latency_us/500"},
		{999999 * PS_PER_NS, "latency_us/1000"},
		{PS_PER_MS, "latency_ms/2"},
		{749 * PS_PER_MS, "latency_ms/750"},
		{1000 * PS_PER_MS, "latency_ms/2000"},
		{2000 * PS_PER_MS, "latency_ms/>=2000"},
		{86400 * PS_PER_S, "latency_ms/>=2000"},
	};
	struct fio_jobs jobs = parse("[a]\n");
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct job_stats *s = calloc(1, sizeof(*s));
		add_io(s, IO_WRITE, 512, 0, rows[i].clat_ps);
		json_t *report = job_report(&jobs.job[0], s);
		if (number_at(report, rows[i].path) != 100)
			fail_msg("%llu ps is not in %s", (unsigned long long)rows[i].clat_ps, rows[i].path);
		json_decref(report);
		free(s);
	}
	fio_jobs_free(&jobs);
}

static void test_job_report_depth_classes_are_those_of_fio(void **state)
{
	static const struct {
		unsigned value;
		const char *level, *batch;
	} rows[] = {
		{1, "1", "4"},    {2, "2", "4"},      {3, "2", "4"},        {4, "4", "4"},
		{5, "4", "8"},    {7, "4", "8"},      {8, "8", "8"},        {9, "8", "16"},
		{16, "16", "16"}, {31, "16", "32"},   {32, "32", "32"},     {33, "32", "64"},
		{63, "32", "64"}, {64, ">=64", "64"}, {65, ">=64", ">=64"}, {5000, ">=64", ">=64"},
	};
	struct fio_jobs jobs = parse("[a]\n");
	char path[64];
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct job_stats *s = calloc(1, sizeof(*s));
		job_stats_depth(s, rows[i].value);
		job_stats_submitted(s, rows[i].value);
		job_stats_completed(s, 0);
		json_t *report = job_report(&jobs.job[0], s);
		snprintf(path, sizeof(path), "iodepth_level/%s", rows[i].level);
		assert_true(number_at(report, path) == 100);
		snprintf(path, sizeof(path), "iodepth_submit/%s", rows[i].batch);
		assert_true(number_at(report, path) == 100);
		assert_true(number_at(report, "iodepth_complete/0") == 100);
		json_decref(report);
		free(s);
	}
	fio_jobs_free(&jobs);
}

static void test_job_report_rare_class_shows_at_least_a_tenth_percent(void **state)
{
	struct fio_jobs jobs = parse("[a]\n");
	struct job_stats *s = calloc(1, sizeof(*s));
	(void)state;
	job_stats_depth(s, 1);
	for (unsigned i = 0; i < 9999; i++)
		job_stats_depth(s, 64);
	json_t *report = job_report(&jobs.job[0], s);
	assert_true(number_at(report, "iodepth_level/1") == 0.1);
	assert_true(fabs(number_at(report, "iodepth_level/>=64") - 99.99) < 1e-9);
	json_decref(report);
	free(s);
	fio_jobs_free(&jobs);
}

static void test_job_report_errors_follow_continue_on_error(void **state)
{
	struct fio_jobs jobs = parse("[a]\n[b]\ncontinue_on_error=all\n");
	struct job_stats *s = calloc(1, sizeof(*s));
	(void)state;
	job_stats_error(s, 5);
	job_stats_error(s, 84);
	json_t *report = job_report(&jobs.job[0], s);
	assert_true(number_at(report, "error") == 5);
	assert_null(json_object_get(report, "total_err"));
	json_decref(report);
	report = job_report(&jobs.job[1], s);
	assert_true(number_at(report, "error") == 0);
	assert_true(number_at(report, "total_err") == 2);
	assert_true(number_at(report, "first_error") == 5);
	json_decref(report);
	free(s);
	fio_jobs_free(&jobs);
}

static void test_job_report_merge_adds_up_clones(void **state)
{
	struct fio_jobs jobs = parse("[a]\n");
	struct job_stats *sum = calloc(1, sizeof(*sum)), *one = calloc(1, sizeof(*one)),
			 *all = calloc(1, sizeof(*all));
	(void)state;
	for (unsigned clone = 0; clone < 3; clone++) {
		memset(one, 0, sizeof(*one));
		for (unsigned i = 0; i < 100; i++) {
			enum io_ddir ddir = (enum io_ddir)(i % 4);
			add_io(one, ddir, 512 * (1 + clone), i, i * PS_PER_US);
			add_io(all, ddir, 512 * (1 + clone), i, i * PS_PER_US);
			job_stats_depth(one, i);
			job_stats_depth(all, i);
			job_stats_submitted(one, clone * 10);
			job_stats_submitted(all, clone * 10);
			job_stats_completed(one, 1);
			job_stats_completed(all, 1);
		}
		if (clone) {
			job_stats_error(one, 5);
			job_stats_error(all, 5);
		}
		one->start_ps = 100 - clone;
		one->end_ps = 1000 + clone;
		job_stats_merge(sum, one);
	}
	all->start_ps = 98;
	all->end_ps = 1002;
	assert_memory_equal(sum, all, sizeof(*all));
	free(sum);
	free(one);
	free(all);
	fio_jobs_free(&jobs);
}

static void test_job_report_text_that_is_not_utf8_is_still_json(void **state)
{
	struct fio_jobs jobs = parse("[na\xefve]\ndescription=caf\xe9\n");
	struct job_stats *s = calloc(1, sizeof(*s));
	(void)state;
	json_t *report = job_report(&jobs.job[0], s);
	assert_non_null(report);
	assert_string_equal(json_string_value(json_object_get(report, "jobname")), "na?ve");
	assert_string_equal(json_string_value(json_object_get(report, "desc")), "caf?");
	json_decref(report);
	free(s);
	fio_jobs_free(&jobs);
}

/* Fails where `ours` has a key, or a kind of value, that `theirs` has not. */
static void expect_subset(json_t *ours, json_t *theirs, const char *path)
{
	const char *key;
	json_t *value;
	json_object_foreach(ours, key, value)
	{
		char below[256];
		json_t *other = json_object_get(theirs, key);
		snprintf(below, sizeof(below), "%s/%s", path, key);
		if (!other)
			fail_msg("fio has no %s", below);
		if (json_typeof(value) != json_typeof(other))
			fail_msg("%s is of type %d, in fio %d", below, json_typeof(value),
				 json_typeof(other));
		if (json_is_object(value))
			expect_subset(value, other, below);
	}
}

/* Keys of fio that are left out, because nothing of the kind is simulated. */
static bool left_out(const char *key)
{
	static const char *const keys[] = {
		"usr_cpu",
		"sys_cpu",
		"ctx",
		"majf",
		"minf",
		"latency_depth",
		"latency_target",
		"latency_percentile",
		"latency_window",
		"bw_min",
		"bw_max",
		"bw_agg",
		"bw_mean",
		"bw_dev",
		"bw_samples",
		"iops_min",
		"iops_max",
		"iops_mean",
		"iops_stddev",
		"iops_samples",
	};
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return false;
}

static void expect_all_of_fio(json_t *ours, json_t *theirs, const char *path)
{
	const char *key;
	json_t *value;
	json_object_foreach(theirs, key, value)
	{
		char below[256];
		json_t *mine = json_object_get(ours, key);
		snprintf(below, sizeof(below), "%s/%s", path, key);
		if (!mine && !left_out(key))
			fail_msg("fio's %s is missing", below);
		if (mine && json_is_object(value))
			expect_all_of_fio(mine, value, below);
	}
}

static void test_job_report_has_the_keys_and_types_of_fio(void **state)
{
	static const char text[] =
		"[global]\nsize=1m\nbs=4k\nslat_percentiles=1\nlat_percentiles=1\n"
		"percentile_list=50:99.9:99.995\n"
		"[a]\nreadwrite=randrw\nfsync=4\ncontinue_on_error=all\ndescription=d\nstonewall\n";
	char *fio_text = malloc(1000);
	int status;
	(void)state;
	need_fio();
	snprintf(fio_text, 1000, "[global]\nioengine=null\n%s", text + strlen("[global]\n"));
	char *output = run_fio("--output-format=json", fio_text, &status);
	assert_int_equal(status, 0);
	json_t *root = json_loads(strchr(output, '{'), 0, NULL);
	assert_non_null(root);
	json_t *theirs = json_array_get(json_object_get(root, "jobs"), 0);

	struct fio_jobs jobs = parse(text);
	struct job_stats *s = calloc(1, sizeof(*s));
	add_io(s, IO_READ, 4096, 1000, PS_PER_US);
	add_io(s, IO_WRITE, 4096, 1000, PS_PER_US);
	add_io(s, IO_SYNC, 0, 1000, PS_PER_US);
	s->end_ps = PS_PER_S;
	json_t *ours = job_report(&jobs.job[0], s), *globals = job_report_options(&jobs.globals);
	/* fio's own null engine records no submission latency; ours has it in every direction that was used. */
	static const char *const used[] = {"read", "write"};
	for (unsigned i = 0; i < 2; i++)
		json_object_del(json_object_get(json_object_get(ours, used[i]), "slat_ns"), "percentile");
	expect_subset(ours, theirs, "");
	expect_all_of_fio(ours, theirs, "");
	assert_string_equal(json_string_value(json_object_get(json_object_get(ours, "job options"), "rw")),
			    "randrw");
	json_object_del(json_object_get(root, "global options"), "ioengine");
	assert_true(json_equal(globals, json_object_get(root, "global options")));
	assert_true(json_equal(json_object_get(ours, "job options"), json_object_get(theirs, "job options")));
	json_decref(globals);
	json_decref(ours);
	json_decref(root);
	free(s);
	free(output);
	free(fio_text);
	fio_jobs_free(&jobs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_job_report_values_have_fios_units),
		cmocka_unit_test(test_job_report_verify_phase_counts_for_reads_only),
		cmocka_unit_test(test_job_report_latency_classes_end_below_their_name),
		cmocka_unit_test(test_job_report_depth_classes_are_those_of_fio),
		cmocka_unit_test(test_job_report_rare_class_shows_at_least_a_tenth_percent),
		cmocka_unit_test(test_job_report_errors_follow_continue_on_error),
		cmocka_unit_test(test_job_report_merge_adds_up_clones),
		cmocka_unit_test(test_job_report_text_that_is_not_utf8_is_still_json),
		cmocka_unit_test(test_job_report_has_the_keys_and_types_of_fio),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
