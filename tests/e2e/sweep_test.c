/* `kickstand sweep` as users run it: rows, going on after an end of any kind, failures, mistakes. */
#include "tests/e2e/program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS_MAX 200

static const char small_job[] = "[small]\nrw=randread\niodepth=4\nnumber_ios=60\n";

/* A specification in the test's folder, for the job small.fio there. */
static const char *put_spec(const char *name, const char *text)
{
	char whole[2000];
	program_file_of("small.fio", small_job);
	snprintf(whole, sizeof(whole), "[sweep]\njob = small.fio\n%s", text);
	return program_file_of(name, whole);
}

static struct program_result sweep(const char *spec, const char *out, const char *more)
{
	char arguments[1000];
	snprintf(arguments, sizeof(arguments), "sweep %s --out %s%s%s", spec, out, *more ? " " : "", more);
	return program_run(arguments, 300);
}

static void sweep_well(const char *spec, const char *out)
{
	struct program_result result = sweep(spec, out, "");
	if (result.status != 0)
		fail_msg("status %d\n%s%s", result.status, result.out, result.err);
	program_free(&result);
}

static const char *below(const char *out, const char *name)
{
	static char path[8][600];
	static unsigned next;
	char *text = path[next++ % 8];
	snprintf(text, sizeof(path[0]), "%s/%s", out, name);
	return text;
}

struct rows {
	json_t *row[ROWS_MAX];
	unsigned count;
};

static struct rows read_rows(const char *out)
{
	struct rows rows = {.count = 0};
	size_t bytes;
	char *text = program_read_file(below(out, "results.jsonl"), &bytes), *state;
	for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		assert_true(rows.count < ROWS_MAX);
		rows.row[rows.count] = json_loads(line, 0, NULL);
		assert_non_null(rows.row[rows.count++]);
	}
	free(text);
	return rows;
}

static void free_rows(struct rows *rows)
{
	for (unsigned i = 0; i < rows->count; i++)
		json_decref(rows->row[i]);
}

static const char *text_at(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));
	return text ? text : "";
}

static long long number_at(const json_t *row, const char *key)
{
	return json_integer_value(json_object_get(row, key));
}

/* When a run's result was made, in ns. */
static long long made_at(const char *out, const json_t *row)
{
	char name[100];
	struct stat status;
	snprintf(name, sizeof(name), "points/%s.json", text_at(row, "id"));
	if (stat(below(out, name), &status) != 0)
		return 0;
	return status.st_mtim.tv_sec * 1000000000ll + status.st_mtim.tv_nsec;
}

/* ---- rows ---- */

static void test_sweep_writes_a_row_a_run(void **state)
{
	(void)state;
	const char *out = program_path_of("grid");
	const char *spec = put_spec("grid.ini", "seeds = 5, 6\n[set]\njob.number_ios = 40\n"
						"[axis notify.holdoff_ns]\nvalues = 0, 3000\n"
						"[axis job.iodepth]\nvalues = 1, 2, 8\n[baseline]\n"
						"guest.event_idx = off\n");
	sweep_well(spec, out);
	struct rows rows = read_rows(out);
	static const int holdoffs[] = {0, 3000}, depths[] = {1, 2, 8};
	assert_int_equal(rows.count, 2 * (1 + 2 * 3));
	for (unsigned i = 0; i < rows.count; i++) {
		const json_t *row = rows.row[i], *axes = json_object_get(row, "axes");
		assert_int_equal(number_at(row, "point"), i / 2);
		assert_int_equal(number_at(row, "seed"), 5 + i % 2);
		assert_int_equal(number_at(row, "status"), 0);
		assert_string_equal(text_at(row, "role"), i < 2 ? "baseline" : "point");
		assert_true(json_at(row, "metrics/iops") > 1000);
		assert_true(json_at(row, "metrics/p99_us") >= json_at(row, "metrics/p50_us"));
		assert_true(json_at(row, "run/sim/ios") == 40);
		json_at(row, "run/stages_ns/notify/mean");
		json_at(row, "run/link/up/utilisation");
		json_at(row, "config/notify.holdoff_ns");
		if (i >= 2) {
			assert_int_equal(number_at(axes, "notify.holdoff_ns"), holdoffs[(i - 2) / 6]);
			assert_int_equal(number_at(axes, "job.iodepth"), depths[(i - 2) / 2 % 3]);
		}
	}
	/* The hold-off is felt at depth 1, and the baseline has no EVENT_IDX. */
	assert_true(json_at(rows.row[8], "metrics/mean_us") > json_at(rows.row[2], "metrics/mean_us") + 2.5);
	assert_string_equal(text_at(json_object_get(rows.row[0], "config"), "guest.event_idx"), "off");
	free_rows(&rows);
}

/* A field more or less would put everything behind it into the wrong column. No field here has a line break. */
static unsigned commas(const char *line)
{
	unsigned count = 0;
	bool quoted = false;
	for (; *line && *line != '\n'; line++) {
		quoted ^= *line == '"';
		count += *line == ',' && !quoted;
	}
	return count;
}

static void test_sweep_writes_the_same_as_a_table(void **state)
{
	(void)state;
	const char *out = program_path_of("table");
	size_t bytes;
	sweep_well(put_spec("table.ini", "repeats = 2\n[axis fetch.batch]\nvalues = 1, 16\n"), out);
	char *text = program_read_file(below(out, "results.csv"), &bytes), *at = text;
	unsigned columns = commas(text), lines = 0;
	assert_int_equal(strncmp(text, "point,role,seed,status,error,fetch.batch,iops,", 46), 0);
	assert_true(columns > 200);
	for (; *at; at = strchr(at, '\n') + 1, lines++)
		assert_int_equal(commas(at), columns);
	assert_int_equal(lines, 5);
	free(text);
}

static void test_command_of_a_row_reproduces_it(void **state)
{
	(void)state;
	const char *out = program_path_of("again");
	char command[3000], *program = realpath(program_itself(), NULL);
	sweep_well(
		put_spec("again.ini",
			 "disk = ram:1M\nseeds = 3\n[axis job.bssplit]\nvalues = \"4k/50:8k/50\", 16k/100\n"
			 "[axis link]\nkeys = link.gen link.lanes\nvalues = 3 4, 5 16\n"),
		out);
	struct rows rows = read_rows(out);
	assert_int_equal(rows.count, 4);
	for (unsigned i = 0; i < rows.count; i++) {
		const char *said = text_at(rows.row[i], "command");
		assert_int_equal(strncmp(said, "kickstand run ", 14), 0);
		snprintf(command, sizeof(command), "cd %s && %s %s --json x.json >/dev/null", out, program,
			 said + strlen("kickstand "));
		assert_int_equal(system(command), 0);
		json_t *run = json_load_file(below(out, "x.json"), 0, NULL);
		json_object_del(run, "kickstand");
		json_object_del(json_object_get(run, "sim"), "wall_s");
		json_object_del(json_object_get(run, "sim"), "ios_per_wall_s");
		/* Both through the same rounding of numbers. */
		char *mine = json_dumps(run, JSON_REAL_PRECISION(12));
		char *its = json_dumps(json_object_get(rows.row[i], "run"), JSON_REAL_PRECISION(12));
		assert_string_equal(mine, its);
		free(mine);
		free(its);
		json_decref(run);
	}
	free_rows(&rows);
	free(program);
}

/* ---- going on ---- */

static void test_sweep_started_again_runs_only_what_is_new(void **state)
{
	(void)state;
	const char *out = program_path_of("resume");
	sweep_well(put_spec("resume.ini", "[axis notify.threshold]\nvalues = 1, 4\n"), out);
	struct rows first = read_rows(out);
	assert_int_equal(first.count, 2);
	long long times[2] = {made_at(out, first.row[0]), made_at(out, first.row[1])};
	assert_true(times[0] != 0 && times[1] != 0);
	struct program_result result =
		sweep(put_spec("resume.ini", "[axis notify.threshold]\nvalues = 1, 4\n"), out, "");
	assert_int_equal(result.status, 0);
	assert_non_null(strstr(result.out, "no work to do"));
	program_free(&result);
	assert_true(made_at(out, first.row[0]) == times[0] && made_at(out, first.row[1]) == times[1]);
	/* An axis grows at both ends and in between, and a second one is added whose value is the default. */
	sweep_well(put_spec("resume.ini", "[axis fetch.batch]\nvalues = 16\n[axis notify.threshold]\n"
					  "values = 0, 1, 2, 4, 8\n"),
		   out);
	struct rows second = read_rows(out);
	assert_int_equal(second.count, 5);
	assert_string_equal(text_at(second.row[1], "id"), text_at(first.row[0], "id"));
	assert_string_equal(text_at(second.row[3], "id"), text_at(first.row[1], "id"));
	for (unsigned i = 0; i < 5; i++) {
		long long time = made_at(out, second.row[i]);
		if (i == 1 || i == 3)
			assert_true(time == times[i / 2]);
		else
			assert_true(time > times[0] && time > times[1]);
	}
	free_rows(&first);
	free_rows(&second);
}

static void test_results_older_than_the_program_are_made_again(void **state)
{
	(void)state;
	const char *out = program_path_of("older"), *spec = put_spec("older.ini", "repeats = 3\n");
	const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	char name[100];
	sweep_well(spec, out);
	struct rows rows = read_rows(out);
	long long before = made_at(out, rows.row[0]);
	snprintf(name, sizeof(name), "points/%s.json", text_at(rows.row[1], "id"));
	assert_int_equal(utimensat(AT_FDCWD, below(out, name), old, 0), 0);
	sweep_well(spec, out);
	assert_true(made_at(out, rows.row[1]) > before);
	assert_true(made_at(out, rows.row[0]) == before);
	free_rows(&rows);
}

/* Long enough to be stopped in the middle. */
static const char long_axes[] =
	"[set]\njob.number_ios = 4000\n[axis notify.holdoff_ns]\nrange = 100..2400 step 100\n";

static unsigned results_in(const char *out)
{
	char command[700];
	unsigned count = 0;
	snprintf(command, sizeof(command), "ls %s/points 2>/dev/null | grep -c json$", out);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_int_equal(fscanf(pipe, "%u", &count), 1);
	pclose(pipe);
	return count;
}

static struct program_child start_long_sweep(const char *spec, const char *out, unsigned results)
{
	char arguments[1000];
	snprintf(arguments, sizeof(arguments), "sweep %s --out %s --jobs 2", spec, out);
	struct program_child child = program_start(arguments, 300);
	for (unsigned waited = 0; results_in(out) < results; waited++) {
		assert_true(waited < 6000);
		assert_false(program_ends(&child, 0));
		usleep(10000);
	}
	return child;
}

static void check_no_halves(const char *out)
{
	char command[700];
	snprintf(command, sizeof(command), "! ls %s/points | grep -v -e 'args$' -e 'json$'", out);
	assert_int_equal(system(command), 0);
}

static void test_interrupted_sweep_goes_on_to_the_same_rows(void **state)
{
	(void)state;
	const char *out = program_path_of("stopped"), *whole = program_path_of("whole");
	const char *spec = put_spec("long.ini", long_axes);
	size_t bytes, whole_bytes;
	struct program_child child = start_long_sweep(spec, out, 3);
	assert_int_equal(kill(child.pid, SIGINT), 0);
	assert_true(program_ends(&child, 60));
	struct program_result result = program_wait(&child);
	assert_int_equal(result.status, 130);
	assert_non_null(strstr(result.err, "not been done yet; start the sweep again to go on"));
	program_free(&result);
	check_no_halves(out);
	/* What was done has its rows already, but for results that ninja had not yet noticed: it takes those back. */
	struct rows rows = read_rows(out);
	assert_in_range(rows.count, 1, 23);
	long long first = made_at(out, rows.row[0]);
	sweep_well(spec, out);
	assert_true(made_at(out, rows.row[0]) == first);
	sweep_well(spec, whole);
	char *text = program_read_file(below(out, "results.jsonl"), &bytes);
	char *whole_text = program_read_file(below(whole, "results.jsonl"), &whole_bytes);
	assert_int_equal(bytes, whole_bytes);
	assert_memory_equal(text, whole_text, bytes);
	free(text);
	free(whole_text);
	free_rows(&rows);
}

static void test_killed_sweep_takes_ninja_along_and_goes_on(void **state)
{
	(void)state;
	const char *out = program_path_of("killed"), *spec = put_spec("long.ini", long_axes);
	struct program_child child = start_long_sweep(spec, out, 2);
	program_kill(&child);
	/* The folder is free when the last of its programs has ended. */
	struct program_result result = {.status = 2};
	for (unsigned tries = 0; tries < 100 && result.status == 2; tries++) {
		usleep(100000);
		result = sweep(spec, out, "");
		if (result.status == 2)
			assert_non_null(strstr(result.err, "another sweep is at work there"));
		if (result.status == 2)
			program_free(&result);
	}
	assert_int_equal(result.status, 0);
	program_free(&result);
	check_no_halves(out);
	struct rows rows = read_rows(out);
	assert_int_equal(rows.count, 24);
	free_rows(&rows);
}

static void test_second_sweep_in_the_same_folder_is_refused(void **state)
{
	(void)state;
	const char *out = program_path_of("shared"), *spec = put_spec("long.ini", long_axes);
	struct program_child child = start_long_sweep(spec, out, 1);
	struct program_result result = sweep(spec, out, "");
	assert_int_equal(result.status, 2);
	assert_non_null(
		strstr(result.err, "another sweep is at work there; wait for it or give another --out"));
	program_free(&result);
	assert_int_equal(kill(child.pid, SIGTERM), 0);
	assert_true(program_ends(&child, 60));
	result = program_wait(&child);
	assert_int_equal(result.status, 143);
	program_free(&result);
}

/* ---- failures ---- */

static void test_points_that_fail_have_rows_and_the_sweep_says_so(void **state)
{
	(void)state;
	static const char axes[] =
		"[set]\njob.number_ios = 1000\njob.iodepth = 1\n"
		"[axis what]\nkeys = guest.queues media.error_rate host.watchdog_ns\n"
		"values = 1 0 10000000000, 2 0 10000000000, 1 1000000 10000000000, 1 0 1000\n";
	static const struct {
		int status;
		const char *error;
		bool results;
	} expected[] = {{0, "", true},
			{2, "guest.queues: more than device.queues", false},
			{1, "error", true},
			{3, "watchdog", false}};
	const char *out = program_path_of("failing"), *spec = put_spec("failing.ini", axes);
	for (unsigned round = 0; round < 2; round++) { /* failures are tried again */
		struct program_result result = sweep(spec, out, "");
		assert_int_equal(result.status, 1);
		assert_non_null(strstr(result.err, "3 runs failed, the first: point 1 seed 1: guest.queues"));
		program_free(&result);
		struct rows rows = read_rows(out);
		assert_int_equal(rows.count, 4);
		for (unsigned i = 0; i < 4; i++) {
			const json_t *row = rows.row[i];
			assert_int_equal(number_at(row, "status"), expected[i].status);
			if (!strstr(text_at(row, "error"), expected[i].error))
				fail_msg("point %u: %s", i, text_at(row, "error"));
			assert_true(json_is_null(json_object_get(row, "run")) == !expected[i].results);
		}
		free_rows(&rows);
	}
	/* With the trouble gone it ends well. */
	sweep_well(put_spec("failing.ini", "[axis guest.queues]\nvalues = 0, 1\n"), out);
}

static void test_collect_alone_makes_the_rows_anew(void **state)
{
	(void)state;
	const char *out = program_path_of("collect");
	char arguments[700];
	size_t bytes, again;
	sweep_well(put_spec("collect.ini", "repeats = 2\n"), out);
	char *first = program_read_file(below(out, "results.csv"), &bytes);
	unlink(below(out, "results.csv"));
	unlink(below(out, "results.jsonl"));
	snprintf(arguments, sizeof(arguments), "sweep --collect --out %s", out);
	struct program_result result = program_run(arguments, 60);
	assert_int_equal(result.status, 0);
	assert_non_null(strstr(result.out, "2 of 2 runs done"));
	program_free(&result);
	char *second = program_read_file(below(out, "results.csv"), &again);
	assert_int_equal(bytes, again);
	assert_memory_equal(first, second, bytes);
	free(first);
	free(second);
}

/* ---- mistakes ---- */

static void test_sweep_mistakes_are_one_line_and_status_2(void **state)
{
	(void)state;
	const char *good = put_spec("good.ini", ""),
		   *bad = put_spec("bad.ini", "[axis link.gen]\nvalues = 3, 9\n");
	const char *file = program_file_of("file", "");
	char texts[12][600];
	const struct {
		const char *arguments, *says;
	} cases[] = {
		{"sweep", "--out DIR"},
		{"sweep --out x", "kickstand sweep SPEC --out DIR"},
		{texts[0], "--out DIR"},
		{texts[1], "unexpected argument 'more'"},
		{texts[2], "--jobs: '0'"},
		{texts[3], "--jobs: 'two'"},
		{texts[4], "--launcher: 'cloud' is unknown"},
		{texts[5], "--submit goes with --launcher slurm"},
		{texts[6], "--collect takes what is in DIR"},
		{texts[7], "bad.ini:4: link.gen: '9' is not accepted"},
		{texts[8], "cannot be made"},
		{"sweep --collect --out /nonexistent", "/nonexistent/plan.jsonl: cannot read"},
		{"sweep /nonexistent.ini --out /tmp/x", "/nonexistent.ini: cannot read: No such file"},
		{"sweep --frobnicate", "--frobnicate"},
	};
	snprintf(texts[0], sizeof(texts[0]), "sweep %s", good);
	snprintf(texts[1], sizeof(texts[0]), "sweep %s more --out x", good);
	snprintf(texts[2], sizeof(texts[0]), "sweep %s --out x --jobs 0", good);
	snprintf(texts[3], sizeof(texts[0]), "sweep %s --out x --jobs two", good);
	snprintf(texts[4], sizeof(texts[0]), "sweep %s --out x --launcher cloud", good);
	snprintf(texts[5], sizeof(texts[0]), "sweep %s --out x --submit", good);
	snprintf(texts[6], sizeof(texts[0]), "sweep %s --out x --collect", good);
	snprintf(texts[7], sizeof(texts[0]), "sweep %s --out x", bad);
	snprintf(texts[8], sizeof(texts[0]), "sweep %s --out %s/x", good, file);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct program_result result = program_run(cases[i].arguments, 60);
		unsigned lines = 0;
		printf("%s", result.err);
		assert_int_equal(result.status, 2);
		for (const char *c = result.err; *c; c++)
			lines += *c == '\n';
		assert_int_equal(lines, 1);
		assert_non_null(strstr(result.err, cases[i].says));
		program_free(&result);
	}
}

static void test_sweep_without_ninja_says_what_to_install(void **state)
{
	(void)state;
	char line[1000];
	snprintf(line, sizeof(line), "env PATH=/nonexistent %s sweep %s --out %s", program_itself(),
		 put_spec("good.ini", ""), program_path_of("no-ninja"));
	struct program_child child = program_spawn(line, 60);
	struct program_result result = program_wait(&child);
	assert_int_equal(result.status, 2);
	assert_non_null(strstr(result.err, "ninja cannot be started: not found; install ninja-build"));
	program_free(&result);
}

/* ---- documentation ---- */

static void test_example_of_the_documentation_runs(void **state)
{
	(void)state;
	if (strstr(program_itself(), "sanitize"))
		skip(); /* full-size runs: the ordinary build does them */
	const char *out = program_path_of("example");
	sweep_well("docs/examples/coalescing.ini", out);
	struct rows rows = read_rows(out);
	assert_true(rows.count >= 20);
	for (unsigned i = 0; i < rows.count; i++)
		assert_int_equal(number_at(rows.row[i], "status"), 0);
	free_rows(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sweep_writes_a_row_a_run),
		cmocka_unit_test(test_sweep_writes_the_same_as_a_table),
		cmocka_unit_test(test_command_of_a_row_reproduces_it),
		cmocka_unit_test(test_sweep_started_again_runs_only_what_is_new),
		cmocka_unit_test(test_results_older_than_the_program_are_made_again),
		cmocka_unit_test(test_interrupted_sweep_goes_on_to_the_same_rows),
		cmocka_unit_test(test_killed_sweep_takes_ninja_along_and_goes_on),
		cmocka_unit_test(test_second_sweep_in_the_same_folder_is_refused),
		cmocka_unit_test(test_points_that_fail_have_rows_and_the_sweep_says_so),
		cmocka_unit_test(test_collect_alone_makes_the_rows_anew),
		cmocka_unit_test(test_sweep_mistakes_are_one_line_and_status_2),
		cmocka_unit_test(test_sweep_without_ninja_says_what_to_install),
		cmocka_unit_test(test_example_of_the_documentation_runs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
