/* Comparisons of results made up for the purpose: what counts as a change, as significant, as past a limit. */
#include "tests/check.h"

#include "host-sim/compare/compare.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], error[600];

static const char *path_of(const char *name)
{
	static char path[4][200];
	static unsigned next;
	char *out = path[next++ % 4];
	snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
	return out;
}

static void put(const char *name, const char *text)
{
	FILE *out = fopen(path_of(name), "w");
	assert_non_null(out);
	for (const char *c = text; *c; c++)
		fputc(*c == '\'' ? '"' : *c, out);
	fclose(out);
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "build/tests/compare-%d", (int)getpid());
	return mkdir(folder, 0777);
}

static int remove_folder(void **state)
{
	(void)state;
	char command[200];
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

struct made {
	unsigned seed;
	double iops, p99_us, core_load;
	const char *holdoff;
};

/* A run's document, as far as a comparison reads it. */
static void put_document(const char *name, const struct made *made)
{
	char text[2000];
	snprintf(text, sizeof(text),
		 "{'kickstand': {'version': '0.1', 'seed': %u, 'disk': 'ram:64M', 'config': {'sim': {'seed': "
		 "'%u'},"
		 " 'notify': {'holdoff_ns': '%s'}, 'link': {'gen': '4'}}}, 'sim': {'ios': 1000, "
		 "'interrupted': false},"
		 " 'global options': {'bs': '4k'}, 'jobs': [{'jobname': 'one', 'job options': {'iodepth': "
		 "'8'}, 'read':"
		 " {'total_ios': 1000, 'iops': %g}, 'write': {'total_ios': 0}}], 'total': {'iops': %g, "
		 "'lat_ns':"
		 " {'mean': 10000, 'percentile': {'99.000000': %.12g}}}, 'device': {'core': {'busy_ratio': "
		 "%g}}}",
		 made->seed, made->seed, made->holdoff ? made->holdoff : "0", made->iops, made->iops,
		 made->p99_us * 1000, made->core_load);
	put(name, text);
}

static void add(struct side *side, const char *name)
{
	if (side_add(side, path_of(name), error, sizeof(error)) != 0)
		fail_msg("%s", error);
}

static struct side side_of(const struct made *made, unsigned count)
{
	struct side side = {0};
	for (unsigned i = 0; i < count; i++) {
		char name[40];
		snprintf(name, sizeof(name), "run%u.json", i);
		put_document(name, &made[i]);
		add(&side, name);
	}
	return side;
}

static const struct change *change_of(const struct comparison *comparison, const char *subject,
				      enum metric_id metric)
{
	for (unsigned i = 0; i < comparison->changes; i++)
		if (comparison->change[i].metric == metric &&
		    strcmp(comparison->change[i].subject, subject) == 0)
			return &comparison->change[i];
	fail_msg("no change of %s in %s", metrics[metric].name, subject);
	return NULL;
}

static void compare(struct comparison *result, const struct made *a, unsigned a_count, const struct made *b,
		    unsigned b_count, const struct compare_options *options)
{
	/* Names and configurations of the result are the sides': kept until the program ends. */
	static struct side kept[100];
	static unsigned used;
	assert_true(used + 2 <= ARRAY_SIZE(kept));
	kept[used] = side_of(a, a_count);
	kept[used + 1] = side_of(b, b_count);
	if (compare_sides(result, &kept[used], &kept[used + 1], options, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	used += 2;
}

static const struct compare_options plain = {.alpha = 0.05};

static void test_single_runs_show_changes_without_significance(void **state)
{
	(void)state;
	static const struct made a = {1, 1000, 50, 0.5, "0"}, b = {1, 1100, 60, 0.4, "2000"};
	struct comparison result;
	compare(&result, &a, 1, &b, 1, &plain);
	const struct change *iops = change_of(&result, "all jobs", METRIC_IOPS);
	assert_true(isnan(iops->p) && !iops->significant);
	assert_int_equal(change_direction(iops), 1);
	assert_true(fabs(iops->change - 100) < 1e-9);
	assert_int_equal(change_direction(change_of(&result, "all jobs", METRIC_P99_US)), -1);
	assert_int_equal(change_direction(change_of(&result, "all jobs", METRIC_CORE_LOAD)), 1);
	assert_int_equal(change_direction(change_of(&result, "all jobs", METRIC_MEAN_US)), 0);
	assert_true(result.few_seeds);
	assert_int_equal(result.tests, 0);
	/* The only job is the whole run: not repeated. */
	for (unsigned i = 0; i < result.changes; i++)
		assert_string_equal(result.change[i].subject, "all jobs");
	assert_int_equal(result.keys, 1);
	assert_string_equal(result.key[0].key, "notify.holdoff_ns");
	assert_string_equal(result.key[0].a, "0");
	assert_string_equal(result.key[0].b, "2000");
	comparison_free(&result);
}

static void test_seeds_tell_change_from_chance(void **state)
{
	(void)state;
	static const struct made a[] = {
		{1, 1000, 50, 0.5, 0}, {2, 1010, 70, 0.5, 0}, {3, 990, 60, 0.5, 0}, {4, 1005, 55, 0.5, 0}};
	static const struct made b[] = {
		{1, 1100, 52, 0.6, 0}, {2, 1110, 69, 0.6, 0}, {3, 1090, 63, 0.6, 0}, {4, 1105, 58, 0.6, 0}};
	struct comparison result;
	compare(&result, a, 4, b, 4, &plain);
	assert_true(change_of(&result, "all jobs", METRIC_IOPS)->significant);
	assert_int_equal(change_direction(change_of(&result, "all jobs", METRIC_IOPS)), 1);
	assert_false(change_of(&result, "all jobs", METRIC_P99_US)->significant);
	assert_int_equal(change_direction(change_of(&result, "all jobs", METRIC_P99_US)), 0);
	/* What no seed changes is certain, and no test. */
	const struct change *load = change_of(&result, "all jobs", METRIC_CORE_LOAD);
	assert_true(load->certain && load->significant && load->p == 0);
	assert_int_equal(result.tests, 2);
	assert_false(result.few_seeds);
	comparison_free(&result);
	/* With a rank test four seeds a side have p >= 2 / 70; two tests double that. */
	const struct compare_options ranks = {.test = TEST_MANN_WHITNEY, .alpha = 0.06};
	compare(&result, a, 4, b, 4, &ranks);
	const struct change *iops = change_of(&result, "all jobs", METRIC_IOPS);
	assert_true(fabs(iops->p - 2.0 / 70) < 1e-12 && fabs(iops->p_holm - 4.0 / 70) < 1e-12);
	assert_true(iops->significant);
	comparison_free(&result);
}

static struct compare_options limit_on(enum metric_id metric, double value, bool relative)
{
	struct compare_options options = plain;
	options.limit[metric] = (struct limit){.set = true, .relative = relative, .value = value};
	return options;
}

static unsigned past(const struct made *a, unsigned a_count, const struct made *b, unsigned b_count,
		     struct compare_options options)
{
	struct comparison result;
	compare(&result, a, a_count, b, b_count, &options);
	unsigned count = result.past_limits;
	comparison_free(&result);
	return count;
}

static void test_limits_are_for_the_worse(void **state)
{
	(void)state;
	static const struct made a = {1, 1000, 50, 0.5, 0}, slower = {1, 900, 60, 0.56, 0},
				 faster = {1, 1200, 40, 0.3, 0};
	assert_int_equal(past(&a, 1, &slower, 1, limit_on(METRIC_IOPS, 0.05, true)), 1);
	assert_int_equal(past(&a, 1, &slower, 1, limit_on(METRIC_IOPS, 0.11, true)), 0);
	assert_int_equal(past(&a, 1, &slower, 1, limit_on(METRIC_P99_US, 0.19, true)), 1);
	assert_int_equal(past(&a, 1, &slower, 1, limit_on(METRIC_P99_US, 0.21, true)), 0);
	assert_int_equal(past(&a, 1, &slower, 1, limit_on(METRIC_P99_US, 9, false)), 1);
	assert_int_equal(past(&a, 1, &slower, 1, limit_on(METRIC_P99_US, 11, false)), 0);
	assert_int_equal(past(&a, 1, &slower, 1, limit_on(METRIC_CORE_LOAD, 0.05, false)), 1);
	assert_int_equal(past(&a, 1, &slower, 1, limit_on(METRIC_CORE_LOAD, 0.07, false)), 0);
	assert_int_equal(past(&a, 1, &faster, 1, limit_on(METRIC_IOPS, 0, true)), 0);
	assert_int_equal(past(&a, 1, &faster, 1, limit_on(METRIC_P99_US, 0, true)), 0);
	assert_int_equal(past(&a, 1, &a, 1, limit_on(METRIC_P99_US, 0, true)), 0);
}

static void test_limit_needs_significance_where_there_are_seeds(void **state)
{
	(void)state;
	static const struct made a[] = {{1, 1000, 50, 0.5, 0}, {2, 1300, 50, 0.5, 0}, {3, 700, 50, 0.5, 0}};
	static const struct made noisy[] = {
		{1, 900, 50, 0.5, 0}, {2, 1200, 50, 0.5, 0}, {3, 600, 50, 0.5, 0}};
	static const struct made clear[] = {{1, 90, 50, 0.5, 0}, {2, 120, 50, 0.5, 0}, {3, 60, 50, 0.5, 0}};
	assert_int_equal(past(a, 3, noisy, 3, limit_on(METRIC_IOPS, 0.05, true)), 0);
	assert_int_equal(past(a, 3, clear, 3, limit_on(METRIC_IOPS, 0.05, true)), 1);
	/* The same change without seeds to judge it by counts. */
	assert_int_equal(past(a, 1, noisy, 1, limit_on(METRIC_IOPS, 0.05, true)), 1);
}

/* A percentile is the middle of a bucket that is up to 1/128 of its value wide. */
static void test_a_step_of_the_histogram_is_no_change(void **state)
{
	(void)state;
	static const struct made a[] = {{1, 1, 50, 0.5, 0},
					{2, 1, 50, 0.5, 0},
					{3, 1, 50, 0.5, 0},
					{4, 1, 50, 0.5, 0},
					{5, 1, 50, 0.5, 0}};
	static const struct made step[] = {{1, 1, 50.38, 0.5, 0},
					   {2, 1, 50.38, 0.5, 0},
					   {3, 1, 50.38, 0.5, 0},
					   {4, 1, 50.38, 0.5, 0},
					   {5, 1, 50.38, 0.5, 0}};
	static const struct made more[] = {{1, 1, 53, 0.5, 0},
					   {2, 1, 53, 0.5, 0},
					   {3, 1, 53, 0.5, 0},
					   {4, 1, 53, 0.5, 0},
					   {5, 1, 53, 0.5, 0}};
	struct comparison result;
	compare(&result, a, 5, step, 5, &plain);
	assert_false(change_of(&result, "all jobs", METRIC_P99_US)->significant);
	comparison_free(&result);
	compare(&result, a, 5, more, 5, &plain);
	assert_true(change_of(&result, "all jobs", METRIC_P99_US)->significant);
	comparison_free(&result);
	assert_int_equal(past(a, 5, step, 5, limit_on(METRIC_P99_US, 0.001, true)), 0);
	assert_int_equal(past(a, 1, step, 1, limit_on(METRIC_P99_US, 0.001, true)), 0);
	assert_int_equal(past(a, 1, more, 1, limit_on(METRIC_P99_US, 0.001, true)), 1);
}

/* ---- files ---- */

static int add_again(struct side *side, const char *name)
{
	int bad = side_add(side, path_of(name), error, sizeof(error));
	return bad;
}

static void test_runs_of_a_side_are_repeats(void **state)
{
	(void)state;
	struct side side = {0};
	put_document("a.json", &(struct made){1, 1, 1, 1, "0"});
	put_document("b.json", &(struct made){2, 1, 1, 1, "5"});
	add(&side, "a.json");
	assert_int_equal(add_again(&side, "a.json"), -1);
	assert_non_null(strstr(error, "a.json: seed 1 is on this side already"));
	assert_int_equal(add_again(&side, "b.json"), -1);
	assert_non_null(strstr(error, "b.json: differs from the runs before it in notify.holdoff_ns"));
	side_free(&side);
}

static void test_files_that_are_no_results_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"", "no JSON"},
		{"{", "no JSON"},
		{"{\n 'a': 1,,\n}", "line 2: no JSON"},
		{"[]", "no results of a run"},
		{"{}", "no results of a run"},
		{"{'kickstand': 3}", "no results of a run"},
		{"{'kickstand': {'config': {}}, 'total': {}, 'sim': {'interrupted': true}}", "interrupted"},
		{"{'point': 1}\n", ":1: not a row"},
		{"{'point': 1, 'status': 0, 'seed': 1, 'axes': {}, 'config': {}, 'run': {}}\nrubbish\n",
		 ":2: no JSON"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct side side = {0};
		put("bad.json", cases[i].text);
		if (add_again(&side, "bad.json") == 0)
			fail_msg("accepted: %s", cases[i].text);
		if (!strstr(error, cases[i].says) || !strstr(error, "bad.json"))
			fail_msg("%s: %s", cases[i].text, error);
		side_free(&side);
	}
	struct side side = {0};
	assert_int_equal(add_again(&side, "none.json"), -1);
	assert_non_null(strstr(error, "No such file"));
	side_free(&side);
}

/* Three points, of which the last failed; the third row repeats the first (values drawn twice). */
static void put_rows(const char *name, double iops, const char *extra)
{
	char text[4000];
	snprintf(text, sizeof(text),
		 "{'point': 0, 'role': 'baseline', 'seed': 1, 'status': 0, 'axes': {'x.y': 1}, 'config': "
		 "{'x.y': 1},"
		 " 'run': {'sim': {'ios': 5}, 'total': {'iops': %g}}}\n"
		 "{'point': 1, 'role': 'point', 'seed': 1, 'status': 0, 'axes': {'x.y': 2}, 'config': "
		 "{'x.y': 2},"
		 " 'run': {'sim': {'ios': 5}, 'total': {'iops': %g}}}\n"
		 "{'point': 2, 'role': 'point', 'seed': 1, 'status': 0, 'axes': {'x.y': 2}, 'config': "
		 "{'x.y': 2},"
		 " 'run': {'sim': {'ios': 5}, 'total': {'iops': %g}}}\n"
		 "{'point': 3, 'role': 'point', 'seed': 1, 'status': 3, 'error': 'watchdog', 'axes': {'x.y': "
		 "4},"
		 " 'config': {'x.y': 4}, 'run': null}\n%s",
		 iops, 2 * iops, 2 * iops, extra);
	put(name, text);
}

static const char extra_row[] =
	"{'point': 4, 'role': 'point', 'seed': 1, 'status': 0, 'axes': {'x.y': 9}, 'config': {'x.y': 9},"
	" 'run': {'sim': {'ios': 5}, 'total': {'iops': 1}}}\n";

static void test_rows_of_sweeps_are_matched_by_their_axes(void **state)
{
	(void)state;
	struct side a = {0}, b = {0};
	struct comparison result;
	put_rows("a.jsonl", 100, extra_row);
	put_rows("b.jsonl", 110, "");
	add(&a, "a.jsonl");
	add(&b, "b.jsonl");
	assert_int_equal(a.count, 3);
	assert_int_equal(a.left_out, 1);
	assert_int_equal(compare_sides(&result, &a, &b, &plain, error, sizeof(error)), 0);
	assert_int_equal(result.cases, 2);
	assert_int_equal(result.only_a, 1);
	assert_int_equal(result.only_b, 0);
	assert_string_equal(result.change[0].of->label, "baseline");
	assert_string_equal(result.change[1].of->label, "x.y=2");
	assert_true(result.change[1].a_mean == 200 && result.change[1].b_mean == 220);
	comparison_free(&result);
	side_free(&a);
	side_free(&b);
}

static void test_single_points_are_picked_from_rows(void **state)
{
	(void)state;
	struct side a = {0}, b = {0};
	struct comparison result;
	put_rows("a.jsonl", 100, "");
	add(&a, "a.jsonl#0");
	add(&b, "a.jsonl#2");
	assert_int_equal(compare_sides(&result, &a, &b, &plain, error, sizeof(error)), 0);
	assert_int_equal(result.cases, 1);
	assert_true(result.change[0].a_mean == 100 && result.change[0].b_mean == 200);
	assert_int_equal(result.keys, 1);
	assert_string_equal(result.key[0].key, "x.y");
	comparison_free(&result);
	side_free(&a);
	assert_int_equal(add_again(&a, "a.jsonl#7"), -1);
	assert_non_null(strstr(error, "no point 7"));
	side_free(&a);
	side_free(&b);
}

static void test_nothing_in_common_is_an_error(void **state)
{
	(void)state;
	struct side a = {0}, b = {0};
	struct comparison result;
	put_rows("a.jsonl", 100, "");
	put("b.jsonl", extra_row);
	add(&a, "a.jsonl");
	add(&b, "b.jsonl");
	assert_int_equal(compare_sides(&result, &a, &b, &plain, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "nothing stands on both sides"));
	/* Nor may a limit pass because its figure is missing. */
	const struct compare_options options = limit_on(METRIC_P99_US, 0.05, true);
	assert_int_equal(compare_sides(&result, &a, &a, &options, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "p99_us"));
	comparison_free(&result);
	side_free(&a);
	side_free(&b);
}

static void test_jobs_are_compared_by_name_and_direction(void **state)
{
	(void)state;
	static const char format[] = "{'kickstand': {'version': '0.1', 'seed': %u, 'config': {}}, 'sim': "
				     "{'ios': 9}, 'total': {'iops': 10},"
				     " 'jobs': [{'jobname': 'fill', 'write': {'total_ios': 3, 'iops': 30, "
				     "'bw_bytes': 5e6, 'lat_ns': {'mean': 4000},"
				     " 'clat_ns': {'percentile': {'99.000000': 7000}}}}, {'jobname': "
				     "'mixed', 'read': {'total_ios': 3, 'iops': 40,"
				     " 'lat_ns': {'percentile': {'99.000000': 9000}}}}, {'jobname': 'mixed', "
				     "'read': {'total_ios': 3,"
				     " 'iops': 50}, 'trim': {'total_ios': 1, 'iops': 5}}]}";
	char text[2000];
	struct side a = {0}, b = {0};
	struct comparison result;
	for (unsigned seed = 1; seed <= 2; seed++) {
		snprintf(text, sizeof(text), format, seed);
		put("jobs.json", text);
		add(seed == 1 ? &a : &b, "jobs.json");
	}
	assert_int_equal(compare_sides(&result, &a, &b, &plain, error, sizeof(error)), 0);
	assert_true(change_of(&result, "fill write", METRIC_IOPS)->a_mean == 30);
	assert_true(change_of(&result, "fill write", METRIC_MBYTES_PER_S)->a_mean == 5);
	assert_true(change_of(&result, "fill write", METRIC_MEAN_US)->a_mean == 4);
	assert_true(change_of(&result, "fill write", METRIC_P99_US)->a_mean == 7);
	assert_true(change_of(&result, "mixed read", METRIC_P99_US)->a_mean == 9);
	assert_true(change_of(&result, "mixed.2 read", METRIC_IOPS)->a_mean == 50);
	assert_true(change_of(&result, "mixed trim", METRIC_IOPS)->a_mean == 5);
	assert_true(result.completion_percentiles);
	comparison_free(&result);
	side_free(&a);
	side_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_single_runs_show_changes_without_significance),
		cmocka_unit_test(test_seeds_tell_change_from_chance),
		cmocka_unit_test(test_limits_are_for_the_worse),
		cmocka_unit_test(test_limit_needs_significance_where_there_are_seeds),
		cmocka_unit_test(test_a_step_of_the_histogram_is_no_change),
		cmocka_unit_test(test_runs_of_a_side_are_repeats),
		cmocka_unit_test(test_files_that_are_no_results_are_named),
		cmocka_unit_test(test_rows_of_sweeps_are_matched_by_their_axes),
		cmocka_unit_test(test_single_points_are_picked_from_rows),
		cmocka_unit_test(test_nothing_in_common_is_an_error),
		cmocka_unit_test(test_jobs_are_compared_by_name_and_direction),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
