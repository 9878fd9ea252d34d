/* `kickstand compare` as users and regression scripts run it: what it prints, and its exit status. */
#include "tests/e2e/program.h"

#include <unistd.h>

static const char job[] = "[load]\nrw=randrw\niodepth=4\nnumber_ios=400\n";

/* A result of `kickstand run`, in the test's folder. */
static const char *result_of(const char *name, const char *options)
{
	char arguments[1000];
	const char *path = program_path_of(name);
	snprintf(arguments, sizeof(arguments), "run --job %s --json %s %s", program_file_of("load.fio", job),
		 path, options);
	struct program_result result = program_run(arguments, 120);
	if (result.status != 0)
		fail_msg("%s%s", result.out, result.err);
	program_free(&result);
	return path;
}

static struct program_result compare(const char *format, ...) __attribute__((format(printf, 1, 2)));

static struct program_result compare(const char *format, ...)
{
	char *arguments, *all;
	va_list args;
	va_start(args, format);
	assert_true(vasprintf(&arguments, format, args) > 0);
	va_end(args);
	assert_true(asprintf(&all, "compare %s", arguments) > 0);
	struct program_result result = program_run(all, 60);
	printf("%s%s", result.out, result.err);
	free(arguments);
	free(all);
	return result;
}

static void check(struct program_result result, int status, const char *says)
{
	assert_int_equal(result.status, status);
	if (!strstr(status == 2 ? result.err : result.out, says))
		fail_msg("nowhere: %s", says);
	program_free(&result);
}

static void test_compare_of_a_run_with_itself_shows_no_change(void **state)
{
	(void)state;
	const char *a = result_of("a.json", "--seed 1"), *again = result_of("again.json", "--seed 1");
	struct program_result result =
		compare("%s %s --max-regression iops=0%% --max-regression p99=0%%", a, again);
	assert_int_equal(result.status, 0);
	assert_non_null(strstr(result.out, "configuration: no difference"));
	assert_null(strstr(result.out, "worse"));
	assert_null(strstr(result.out, "better"));
	program_free(&result);
}

static void test_compare_names_keys_jobs_and_figures(void **state)
{
	(void)state;
	const char *a = result_of("a.json", ""),
		   *b = result_of("b.json", "--set notify.holdoff_ns=9000 --set link.gen=3");
	struct program_result result = compare("%s %s", a, b);
	static const char *const says[] = {"notify.holdoff_ns                        0 -> 9000",
					   "link.gen                                 4 -> 3",
					   "all jobs",
					   "load read",
					   "load write",
					   "  p99_9_us ",
					   "  doorbells_per_io ",
					   "  interrupts_per_io ",
					   "  core_load ",
					   "  link_up_load ",
					   "  mbytes_per_s ",
					   "worse?",
					   "one run on a side",
					   "lat_percentiles=1"};
	assert_int_equal(result.status, 0);
	for (size_t i = 0; i < ARRAY_SIZE(says); i++)
		if (!strstr(result.out, says[i]))
			fail_msg("nowhere: %s", says[i]);
	program_free(&result);
}

static void test_compare_exit_status_is_a_gate(void **state)
{
	(void)state;
	const char *fast = result_of("fast.json", ""),
		   *slow = result_of("slow.json", "--set notify.holdoff_ns=9000");
	check(compare("%s %s --max-regression mean=20%%", fast, slow), 1, "PAST ITS LIMIT");
	check(compare("%s %s --max-regression mean_us=20%%", slow, fast), 0, "better?");
	check(compare("%s %s --max-regression mean=500%%", fast, slow), 0, "worse?");
	check(compare("%s %s --max-regression mean=500%% --max-regression iops=10%%", fast, slow), 1,
	      "past its limit");
	check(compare("%s %s --max-regression mean=0.5", fast, slow), 1, "PAST ITS LIMIT");
	/* With three files the first is compared with each of the others; the worst counts. */
	check(compare("%s %s %s --max-regression mean=20%%", fast, fast, slow), 1, "PAST ITS LIMIT");
	check(compare("%s %s %s --max-regression mean=20%%", fast, slow, fast), 1, "PAST ITS LIMIT");
}

static void test_compare_over_seeds_tells_change_from_chance(void **state)
{
	(void)state;
	char a[600] = "", b[600] = "", c[600] = "";
	for (unsigned seed = 1; seed <= 8; seed++) {
		char name[40], options[100];
		snprintf(name, sizeof(name), "a%u.json", seed);
		snprintf(options, sizeof(options), "--seed %u", seed);
		sprintf(a + strlen(a), " %s", result_of(name, options));
		snprintf(name, sizeof(name), "b%u.json", seed);
		snprintf(options, sizeof(options), "--seed %u --set link.propagation_ns=300", seed);
		sprintf(b + strlen(b), " %s", result_of(name, options));
		snprintf(name, sizeof(name), "c%u.json", seed);
		snprintf(options, sizeof(options), "--seed %u", seed + 100);
		sprintf(c + strlen(c), " %s", result_of(name, options));
	}
	/* A slower wire is seen … */
	struct program_result result =
		compare("--a%s --b%s --max-regression mean=1%% --json %s", a, b, program_path_of("ab.json"));
	assert_int_equal(result.status, 1);
	assert_non_null(strstr(result.out, "Welch's t tests (two-sided), p corrected by Holm's method"));
	assert_non_null(strstr(result.out, "a (n=8)"));
	program_free(&result);
	/* … other seeds of the same are not, whatever the limit. */
	check(compare("--a%s --b%s --max-regression iops=0%% --max-regression mean=0%% --max-regression "
		      "p99=0%%",
		      a, c),
	      0, "not significant");
	check(compare("--a%s --b%s --max-regression mean=1%% --test mann-whitney", a, b), 1, "Mann-Whitney");
	json_t *root = json_load_file(program_path_of("ab.json"), 0, NULL),
	       *comparison = json_array_get(json_object_get(root, "comparisons"), 0);
	assert_non_null(comparison);
	assert_true(json_at(root, "alpha") == 0.05);
	assert_true(json_at(comparison, "past_limits") >= 1);
	assert_true(json_at(comparison, "changes/0/a/seeds") == 8);
	assert_true(json_at(comparison, "changes/0/p_holm") < 0.05);
	assert_true(json_at(comparison, "changes/0/low") <= json_at(comparison, "changes/0/change"));
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(json_object_get(comparison, "configuration"), 0), "key")),
			    "link.propagation_ns");
	json_decref(root);
}

static const char *sweep(const char *name, const char *more)
{
	char text[500], arguments[1000];
	const char *out = program_path_of(name);
	program_file_of("load.fio", job);
	snprintf(text, sizeof(text),
		 "[sweep]\njob = load.fio\nrepeats = 3\n[axis notify.threshold]\nvalues = 0, 4\n%s", more);
	snprintf(arguments, sizeof(arguments), "sweep %s --out %s", program_file_of("sweep.ini", text), out);
	struct program_result result = program_run(arguments, 120);
	assert_int_equal(result.status, 0);
	program_free(&result);
	return out;
}

static void test_compare_of_sweeps_matches_points_and_picks_them(void **state)
{
	(void)state;
	const char *before = sweep("before", ""),
		   *after = sweep("after", "[set]\nhost.interrupt_ns = 9000\n");
	struct program_result result =
		compare("%s %s/results.jsonl --max-regression mean=5%%", before, after);
	assert_int_equal(result.status, 1);
	assert_non_null(strstr(result.out,
			       "host.interrupt_ns                        800 -> 9000   in 2 of 2 points"));
	assert_non_null(strstr(result.out, "notify.threshold=4"));
	assert_non_null(strstr(result.out, "2 points compared"));
	program_free(&result);
	check(compare("%s %s --max-regression mean=5%%", before, before), 0, "2 points compared");
	check(compare("%s#0 %s/results.jsonl#1", before, before), 0,
	      "notify.threshold                         0 -> 4");
	check(compare("%s#0 %s#7", before, before), 2, "no point 7");
}

static void test_compare_json_goes_to_standard_output(void **state)
{
	(void)state;
	const char *a = result_of("a.json", "");
	struct program_result result = compare("%s %s --json -", a, a);
	assert_int_equal(result.status, 0);
	json_t *root = json_loads(result.out, 0, NULL);
	assert_non_null(root);
	assert_int_equal(json_array_size(json_object_get(root, "comparisons")), 1);
	json_decref(root);
	program_free(&result);
}

static void check_mistake(const char *says, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void check_mistake(const char *says, const char *format, ...)
{
	char arguments[1000];
	unsigned lines = 0;
	va_list args;
	va_start(args, format);
	vsnprintf(arguments, sizeof(arguments), format, args);
	va_end(args);
	struct program_result result = program_run(arguments, 60);
	printf("%s", result.err);
	assert_int_equal(result.status, 2);
	for (const char *c = result.err; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, 1);
	if (!strstr(result.err, says))
		fail_msg("nowhere: %s", says);
	program_free(&result);
}

static void test_compare_mistakes_are_one_line_and_status_2(void **state)
{
	(void)state;
	const char *a = result_of("a.json", ""),
		   *other = result_of("other.json", "--seed 2 --set link.gen=3");
	const char *bad = program_file_of("bad.json", "{\"jobs\": [}\n");
	const char *fio = program_file_of("fio.json", "{\"jobs\": []}\n");
	check_mistake("two sides are needed", "compare");
	check_mistake("two sides are needed", "compare %s", a);
	check_mistake("two sides are needed", "compare --a %s", a);
	check_mistake("either files, or --a", "compare %s --a %s --b %s", a, a, a);
	check_mistake("/nonexistent.json: cannot read: No such file", "compare %s /nonexistent.json", a);
	check_mistake("bad.json: line 1: no JSON", "compare %s %s", a, bad);
	check_mistake("fio.json: no results of a run", "compare %s %s", a, fio);
	check_mistake("is not METRIC=LIMIT", "compare %s %s --max-regression p99", a, a);
	check_mistake("no metric 'p98'; there are iops", "compare %s %s --max-regression p98=5%%", a, a);
	check_mistake("is not METRIC=LIMIT", "compare %s %s --max-regression p99=-5%%", a, a);
	check_mistake("is not METRIC=LIMIT", "compare %s %s --max-regression p99=5x", a, a);
	check_mistake("neither more nor less", "compare %s %s --max-regression link_up_load=5%%", a, a);
	check_mistake("welch or mann-whitney", "compare %s %s --test guess", a, a);
	check_mistake("between 0 and 1", "compare %s %s --alpha 2", a, a);
	check_mistake("--frobnicate", "compare %s %s --frobnicate", a, a);
	check_mistake("seed 1 is on this side already", "compare --a %s %s --b %s", a, a, other);
	check_mistake("other.json: differs from the runs before it in link.gen", "compare --a %s %s --b %s",
		      a, other, a);
	struct program_result result = compare("%s %s --json /nonexistent/x", a, a);
	check(result, 2, "/nonexistent/x");
}

static void test_compare_of_an_interrupted_run_is_refused(void **state)
{
	(void)state;
	const char *path = result_of("cut.json", "");
	json_t *root = json_load_file(path, 0, NULL);
	json_object_set_new(json_object_get(root, "sim"), "interrupted", json_true());
	assert_int_equal(json_dump_file(root, path, 0), 0);
	json_decref(root);
	check(compare("%s %s", path, path), 2, "the run was interrupted");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare_of_a_run_with_itself_shows_no_change),
		cmocka_unit_test(test_compare_names_keys_jobs_and_figures),
		cmocka_unit_test(test_compare_exit_status_is_a_gate),
		cmocka_unit_test(test_compare_over_seeds_tells_change_from_chance),
		cmocka_unit_test(test_compare_of_sweeps_matches_points_and_picks_them),
		cmocka_unit_test(test_compare_json_goes_to_standard_output),
		cmocka_unit_test(test_compare_mistakes_are_one_line_and_status_2),
		cmocka_unit_test(test_compare_of_an_interrupted_run_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
