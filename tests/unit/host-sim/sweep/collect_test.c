/* Collecting: rows from a plan and from what its runs left behind, as JSON lines and as a table. */
#include "tests/check.h"

#include "host-sim/sweep/collect.h"
#include "host-sim/sweep/csv.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], error[600];

static const char *path_of(const char *name)
{
	static char path[200];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *out = fopen(path_of(name), "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static char *get(const char *name)
{
	FILE *in = fopen(path_of(name), "r");
	assert_non_null(in);
	char *text = calloc(1, 1 << 20);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, in) > 0);
	fclose(in);
	return text;
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "build/tests/collect-%d", (int)getpid());
	mkdir(folder, 0777);
	return mkdir(path_of("points"), 0777);
}

static int remove_folder(void **state)
{
	(void)state;
	char command[200];
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static const char plan[] =
	"{\"point\":0,\"role\":\"baseline\",\"seed\":1,\"id\":\"aa\",\"command\":\"kickstand run --set "
	"'a,b'\","
	"\"axes\":{\"x.y\":1},\"level\":{\"x.y\":null},\"config\":{\"x.y\":1,\"z.w\":\"on\"}}\n"
	"{\"point\":1,\"role\":\"point\",\"seed\":1,\"id\":\"bb\",\"command\":\"c\",\"axes\":{\"x.y\":2},"
	"\"level\":{\"x.y\":0},\"config\":{\"x.y\":2,\"z.w\":\"on\"}}\n"
	"{\"point\":2,\"role\":\"point\",\"seed\":1,\"id\":\"cc\",\"command\":\"c\",\"axes\":{\"x.y\":3},"
	"\"level\":{\"x.y\":1},\"config\":{\"x.y\":3,\"z.w\":\"on\"}}\n"
	"{\"point\":3,\"role\":\"point\",\"seed\":1,\"id\":\"dd\",\"command\":\"c\",\"axes\":{\"x.y\":4},"
	"\"level\":{\"x.y\":2},\"config\":{\"x.y\":4,\"z.w\":\"on\"}}\n";

/* aa is good, bb failed with results, cc was killed, dd has not run. */
static void put_sweep(void)
{
	put("plan.jsonl", plan);
	put("points/aa.json", "{\"kickstand\": {\"seed\": 1}, \"sim\": {\"ios\": 10, \"wall_s\": 0.5, "
			      "\"ios_per_wall_s\": 20.0},"
			      " \"total\": {\"iops\": 1234.5}, \"jobs\": [{\"jobname\": \"say "
			      "\\\"hi\\\"\"}], \"host\": {\"ok\": true}}");
	put("points/bb.failed", "1\nkickstand run: 3 I/Os failed, too bad\nmore\n");
	put("points/bb.failed.json",
	    "{\"sim\": {\"ios\": 7}, \"total\": {\"iops\": 5}, \"extra\": {\"deep\": 9}}");
	put("points/cc.failed", "137\n");
}

static void collect(struct collected *result)
{
	if (collect_results(result, folder, error, sizeof(error)) != 0)
		fail_msg("%s", error);
}

static json_t *row_number(unsigned number)
{
	char *text = get("results.jsonl"), *state, *line = strtok_r(text, "\n", &state);
	while (number-- && line)
		line = strtok_r(NULL, "\n", &state);
	json_t *row = line ? json_loads(line, 0, NULL) : NULL;
	free(text);
	return row;
}

static void test_collect_counts_good_failed_and_missing_runs(void **state)
{
	(void)state;
	struct collected result;
	put_sweep();
	collect(&result);
	assert_int_equal(result.runs, 4);
	assert_int_equal(result.done, 1);
	assert_int_equal(result.failed, 2);
	assert_int_equal(result.missing, 1);
	assert_string_equal(result.first_failure, "point 1 seed 1: 3 I/Os failed, too bad");
}

static void test_collect_rows_have_plan_status_and_results(void **state)
{
	(void)state;
	struct collected result;
	put_sweep();
	collect(&result);
	json_t *good = row_number(0), *failed = row_number(1), *killed = row_number(2);
	assert_null(row_number(3));
	assert_int_equal(json_integer_value(json_object_get(good, "status")), 0);
	assert_true(json_is_null(json_object_get(good, "error")));
	json_t *run = json_object_get(good, "run"), *sim = json_object_get(run, "sim");
	assert_int_equal(json_integer_value(json_object_get(sim, "ios")), 10);
	/* Wall clock and configuration do not belong there. */
	assert_null(json_object_get(sim, "wall_s"));
	assert_null(json_object_get(sim, "ios_per_wall_s"));
	assert_null(json_object_get(run, "kickstand"));
	json_t *metric = json_object_get(json_object_get(good, "metrics"), "iops");
	assert_true(json_real_value(metric) == 1234.5);
	assert_true(json_is_null(json_object_get(json_object_get(good, "metrics"), "p99_us")));
	assert_int_equal(json_integer_value(json_object_get(failed, "status")), 1);
	assert_string_equal(json_string_value(json_object_get(failed, "error")), "3 I/Os failed, too bad");
	assert_true(json_is_object(json_object_get(failed, "run")));
	assert_int_equal(json_integer_value(json_object_get(killed, "status")), 137);
	assert_string_equal(json_string_value(json_object_get(killed, "error")), "ended by signal 9");
	assert_true(json_is_null(json_object_get(killed, "run")));
	assert_int_equal(json_object_size(json_object_get(killed, "metrics")), 0);
	json_decref(good);
	json_decref(failed);
	json_decref(killed);
}

/* A reader of RFC 4180: fields of line `number`, cut off in place. */
static unsigned csv_fields(char *text, unsigned number, char *fields[], unsigned most)
{
	unsigned count = 0;
	for (char *at = text; *at; number--) {
		bool end = false;
		for (count = 0; !end; count++) {
			char *out = at;
			assert_true(count < most);
			fields[count] = out;
			bool quoted = *at == '"';
			at += quoted;
			while (quoted || (*at != ',' && *at != '\r')) {
				assert_true(*at != '\0');
				if (quoted && at[0] == '"' && at[1] != '"') {
					quoted = false;
					at++;
					continue;
				}
				at += quoted && *at == '"';
				*out++ = *at++;
			}
			end = *at == '\r';
			*out = '\0';
			at++;
		}
		assert_int_equal(*at, '\n');
		at++;
		if (number == 0)
			return count;
	}
	return 0;
}

static const char *field(char *heads[], char *values[], unsigned count, const char *name)
{
	for (unsigned i = 0; i < count; i++)
		if (strcmp(heads[i], name) == 0)
			return values[i];
	fail_msg("no column %s", name);
	return NULL;
}

static void test_collect_table_has_every_column_in_every_row(void **state)
{
	(void)state;
	struct collected result;
	char *heads[200] = {0}, *values[200] = {0};
	put_sweep();
	collect(&result);
	char *head_text = get("results.csv"), *text = get("results.csv");
	unsigned count = csv_fields(head_text, 0, heads, 200);
	assert_string_equal(heads[0], "point");
	/* An axis of one key stands once, in front. */
	unsigned axes = 0;
	for (unsigned i = 0; i < count; i++)
		axes += strcmp(heads[i], "x.y") == 0;
	assert_int_equal(axes, 1);
	assert_string_equal(heads[5], "x.y");
	assert_int_equal(csv_fields(text, 1, values, 200), count);
	assert_string_equal(field(heads, values, count, "command"), "kickstand run --set 'a,b'");
	assert_string_equal(field(heads, values, count, "run.jobs.0.jobname"), "say \"hi\"");
	assert_string_equal(field(heads, values, count, "run.host.ok"), "1");
	assert_string_equal(field(heads, values, count, "iops"), "1234.5");
	assert_string_equal(field(heads, values, count, "p99_us"), "");
	assert_string_equal(field(heads, values, count, "z.w"), "on");
	/* A column that only a later row has. */
	assert_string_equal(field(heads, values, count, "run.extra.deep"), "");
	free(text);
	text = get("results.csv");
	assert_int_equal(csv_fields(text, 2, values, 200), count);
	assert_string_equal(field(heads, values, count, "run.extra.deep"), "9");
	assert_string_equal(field(heads, values, count, "error"), "3 I/Os failed, too bad");
	free(text);
	text = get("results.csv");
	assert_int_equal(csv_fields(text, 3, values, 200), count);
	assert_string_equal(field(heads, values, count, "iops"), "");
	free(text);
	free(head_text);
}

static void test_collect_is_the_same_every_time(void **state)
{
	(void)state;
	struct collected result;
	put_sweep();
	collect(&result);
	char *first = get("results.csv"), *first_rows = get("results.jsonl");
	collect(&result);
	char *second = get("results.csv"), *second_rows = get("results.jsonl");
	assert_string_equal(first, second);
	assert_string_equal(first_rows, second_rows);
	free(first);
	free(second);
	free(first_rows);
	free(second_rows);
}

static void test_collect_of_no_sweep_is_refused(void **state)
{
	(void)state;
	struct collected result;
	assert_int_equal(collect_results(&result, "/nonexistent", error, sizeof(error)), -1);
	assert_non_null(strstr(error, "/nonexistent/plan.jsonl: cannot read"));
	put("plan.jsonl", "{\"point\":1}\n");
	assert_int_equal(collect_results(&result, folder, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "plan.jsonl:1: "));
	put("plan.jsonl", "no json\n");
	assert_int_equal(collect_results(&result, folder, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "plan.jsonl:1: "));
	/* Nothing half-written stays. */
	assert_int_not_equal(access(path_of("results.jsonl.part"), F_OK), 0);
}

/* A result that is cut off, as after a full disk, is no result. */
static void test_collect_takes_a_broken_result_for_missing(void **state)
{
	(void)state;
	struct collected result;
	put_sweep();
	put("points/aa.json", "{\"sim\": {\"ios\": 1");
	collect(&result);
	assert_int_equal(result.done, 0);
	assert_int_equal(result.missing, 2);
}

static long resident_kib(void)
{
	struct rusage usage;
	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

/* Thirty times the runs, the same memory. */
static void test_collect_memory_does_not_grow_with_runs(void **state)
{
	(void)state;
	struct collected result;
	long resident[2];
#ifdef __SANITIZE_ADDRESS__ /* which keeps what was freed for a while */
	skip();
#endif
	put_sweep();
	for (unsigned round = 0; round < 2; round++) {
		FILE *out = fopen(path_of("plan.jsonl"), "w");
		assert_non_null(out);
		for (unsigned i = 0; i < (round ? 30000u : 1000u); i++)
			fputs(plan, out);
		fclose(out);
		collect(&result);
		resident[round] = resident_kib();
	}
	printf("%ld KiB, %ld KiB\n", resident[0], resident[1]);
	assert_int_equal(result.runs, 120000);
	assert_true(resident[1] - resident[0] < 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_collect_counts_good_failed_and_missing_runs),
		cmocka_unit_test(test_collect_rows_have_plan_status_and_results),
		cmocka_unit_test(test_collect_table_has_every_column_in_every_row),
		cmocka_unit_test(test_collect_is_the_same_every_time),
		cmocka_unit_test(test_collect_of_no_sweep_is_refused),
		cmocka_unit_test(test_collect_takes_a_broken_result_for_missing),
		cmocka_unit_test(test_collect_memory_does_not_grow_with_runs),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
