/* Results read back: what is in the rows, what is missing from them, and rows that are no rows. */
#include "host-sim/stages.h"
#include "host-sim/sweep/study.h"
#include "pcie/base.h"
#include "tests/unit/host-sim/sweep/rows.h"

#include <math.h>

static struct study load(struct rows *rows)
{
	struct study study;
	char error[300];
	rows_write(rows);
	if (study_load(&study, rows->folder, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	return study;
}

static void finish(struct study *study, struct rows *rows)
{
	study_free(study);
	rows_end(rows);
}

static void test_study_rows_give_figures_per_point_and_seed(void **state)
{
	struct rows rows;
	(void)state;
	rows_begin(&rows, 2);
	rows_add(&rows, "baseline", (const double[]){10, 12}, (const double[]){5, 7}, NULL);
	rows_add(&rows, "point", (const double[]){20, 26}, (const double[]){NAN, 9}, NULL);
	struct study study = load(&rows);
	assert_int_equal(study.points, 2);
	assert_int_equal(study.seeds, 2);
	assert_int_equal(study.metrics, 3 + SPAN_COUNT);
	assert_int_equal(study.baseline, 0);
	assert_string_equal(study_value(&study, &study.point[1], 0), "1");
	assert_true(study.point[1].estimate[0].mean == 23);
	assert_true(study_samples(&study, &study.point[1], 0)[1] == 26);
	/* One of two is missing: a mean, but no interval. */
	assert_true(study.point[1].estimate[1].mean == 9 && isnan(study.point[1].estimate[1].half));
	assert_true(study.point[1].complete);
	finish(&study, &rows);
}

static void test_study_stages_are_metrics_by_their_names(void **state)
{
	struct rows rows;
	(void)state;
	rows_begin(&rows, 1);
	rows_add(&rows, "point", (const double[]){1}, (const double[]){1}, NULL);
	struct study study = load(&rows);
	assert_string_equal(study.metric[3 + SPAN_MEDIUM].name, "medium");
	assert_true(study.metric[3 + SPAN_MEDIUM].stage);
	assert_true(study.point[0].estimate[3 + SPAN_MEDIUM].mean == 8000);
	assert_true(isnan(study.point[0].estimate[3 + SPAN_DATA].mean)); /* this row has none */
	finish(&study, &rows);
}

static void test_study_failed_run_leaves_its_point_incomplete(void **state)
{
	struct rows rows;
	(void)state;
	rows_begin(&rows, 2);
	rows_add(&rows, "point", (const double[]){1, 2}, (const double[]){1, 2}, "deadlock");
	struct study study = load(&rows);
	assert_false(study.point[0].complete);
	assert_int_equal(study.point[0].estimate[0].count, 1);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(study.point[0].runs, 1), "error")),
		"deadlock");
	assert_null(json_object_get(json_array_get(study.point[0].runs, 0), "error"));
	finish(&study, &rows);
}

/* A sweep that was interrupted has no row for some runs: the others keep their seeds. */
static void test_study_missing_row_keeps_seeds_apart(void **state)
{
	struct rows rows;
	(void)state;
	rows_begin(&rows, 3);
	rows_add(&rows, "point", (const double[]){1, 2, 3}, (const double[]){1, 2, 3}, NULL);
	json_array_remove(rows.list, 1);
	struct study study = load(&rows);
	const double *iops = study_samples(&study, &study.point[0], 0);
	assert_true(iops[0] == 1 && isnan(iops[1]) && iops[2] == 3);
	assert_false(study.point[0].complete);
	finish(&study, &rows);
}

/* The base once more as a point: its row has values of the configuration, such as 2048, where the specification has 2k. */
static void test_study_point_equal_to_the_base_is_one_point(void **state)
{
	struct rows rows;
	(void)state;
	rows_begin(&rows, 1);
	rows_add(&rows, "baseline", (const double[]){1}, (const double[]){1}, NULL);
	json_object_set_new(json_object_get(rows_last(&rows, 0), "axes"), "card.x", json_integer(2048));
	json_object_set_new(json_object_get(rows_last(&rows, 0), "level"), "card.x", json_null());
	json_object_set_new(rows_last(&rows, 0), "id", json_string("same"));
	rows_add(&rows, "point", (const double[]){3}, (const double[]){1}, NULL);
	rows_add(&rows, "point", (const double[]){1}, (const double[]){1}, NULL);
	json_object_set_new(rows_last(&rows, 0), "id", json_string("same"));
	struct study study = load(&rows);
	assert_int_equal(study.points, 2);
	assert_int_equal(study.point[study.baseline].number, 2);
	assert_string_equal(study_value(&study, &study.point[study.baseline], 0), "2");
	finish(&study, &rows);
}

static void test_study_base_value_that_no_axis_has_is_added(void **state)
{
	static const struct {
		const char *value, *expected;
		size_t values;
	} table[] = {
		{"2048", "2048", 11}, {"7", "7", 10},         {"7.0", "7", 10},
		{"\"on\"", "on", 11}, {"null", "(none)", 11},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct rows rows;
		rows_begin(&rows, 1);
		rows_add(&rows, "baseline", (const double[]){1}, (const double[]){1}, NULL);
		json_object_set_new(json_object_get(rows_last(&rows, 0), "axes"), "card.x",
				    json_loads(table[i].value, JSON_DECODE_ANY, NULL));
		json_object_set_new(json_object_get(rows_last(&rows, 0), "level"), "card.x", json_null());
		struct study study = load(&rows);
		assert_string_equal(study_value(&study, &study.point[0], 0), table[i].expected);
		assert_int_equal(json_array_size(study.axis[0].values), table[i].values);
		finish(&study, &rows);
	}
}

/* ---- files that are not the program's ---- */

static void put_file(const char *folder, const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static void assert_refused(const struct rows *rows, const char *words)
{
	struct study study;
	char error[300] = "";
	assert_int_equal(study_load(&study, rows->folder, error, sizeof(error)), -1);
	if (!strstr(error, words) || strchr(error, '\n'))
		fail_msg("'%s' is not in the one line: %s", words, error);
}

static void test_study_bad_files_are_refused_in_one_line(void **state)
{
	static const struct {
		const char *name, *text, *words;
	} table[] = {
		{"sweep.json", "", "sweep.json"},
		{"sweep.json", "[]", "no seeds"},
		{"sweep.json", "{\"seeds\": [1]}", "no metrics"},
		{"sweep.json", "{\"seeds\": [1], \"metrics\": [{}], \"constraints\": [{\"metric\": \"x\"}]}",
		 "constraint"},
		{"results.jsonl", "", "no rows"},
		{"results.jsonl", "{\"point\": 0", "results.jsonl:1"},
		{"results.jsonl", "[]\n", "no point"},
		{"results.jsonl", "{\"point\": \"0\"}\n", "no point"},
		{"results.jsonl", "{\"point\": 0, \"seed\": 99}\n", "no seed"},
		{"results.jsonl", "{\"point\": 0, \"seed\": 1}\n{\"point\": 0, \"seed\": 1}\n", "more runs"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct rows rows;
		rows_begin(&rows, 1);
		rows_add(&rows, "point", (const double[]){1}, (const double[]){1}, NULL);
		rows_write(&rows);
		put_file(rows.folder, table[i].name, table[i].text);
		assert_refused(&rows, table[i].words);
		rows_end(&rows);
	}
}

static void test_study_rows_with_values_of_other_types_have_no_figures(void **state)
{
	static const char *const keys[] = {"role", "id",    "status",  "command",
					   "axes", "level", "metrics", "run"};
	static const char *const values[] = {"null", "[]", "{}", "\"text\"", "-1", "1e308", "true"};
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
		for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
			struct rows rows;
			rows_begin(&rows, 1);
			rows_add(&rows, "point", (const double[]){1}, (const double[]){1}, NULL);
			json_object_set_new(rows_last(&rows, 0), keys[k],
					    json_loads(values[v], JSON_DECODE_ANY, NULL));
			struct study study = load(&rows);
			assert_int_equal(study.points, 1);
			assert_non_null(study_value(&study, &study.point[0], 0));
			if (strcmp(keys[k], "metrics") == 0)
				assert_true(isnan(study.point[0].estimate[0].mean));
			finish(&study, &rows);
		}
	}
}

/* Bytes of good files changed at random: read, or refused in one line. */
static void test_study_damaged_rows_are_read_or_refused(void **state)
{
	struct rng rng;
	(void)state;
	rng_seed(&rng, test_seed(1), 0);
	struct rows rows;
	rows_begin(&rows, 2);
	for (unsigned i = 0; i < 3; i++)
		rows_add(&rows, "point", (const double[]){1, 2}, (const double[]){1, 2},
			 i == 1 ? "bad" : NULL);
	for (unsigned round = 0; round < 400; round++) {
		static const char *const names[] = {"sweep.json", "results.jsonl"};
		char path[128], text[8192], error[300] = "";
		struct study study;
		rows_write(&rows);
		snprintf(path, sizeof(path), "%s/%s", rows.folder, names[round % 2]);
		FILE *file = fopen(path, "r+");
		size_t size = fread(text, 1, sizeof(text), file);
		for (unsigned n = 0; n < 4; n++)
			text[rng_below(&rng, size)] = "\"{}[]:,0-9e\n\\x"[rng_below(&rng, 14)];
		rewind(file);
		fwrite(text, 1, size, file);
		fclose(file);
		if (study_load(&study, rows.folder, error, sizeof(error)) == 0)
			study_free(&study);
		else
			assert_true(error[0] != '\0' && !strchr(error, '\n'));
	}
	rows_end(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_study_rows_give_figures_per_point_and_seed),
		cmocka_unit_test(test_study_stages_are_metrics_by_their_names),
		cmocka_unit_test(test_study_failed_run_leaves_its_point_incomplete),
		cmocka_unit_test(test_study_missing_row_keeps_seeds_apart),
		cmocka_unit_test(test_study_point_equal_to_the_base_is_one_point),
		cmocka_unit_test(test_study_base_value_that_no_axis_has_is_added),
		cmocka_unit_test(test_study_bad_files_are_refused_in_one_line),
		cmocka_unit_test(test_study_rows_with_values_of_other_types_have_no_figures),
		cmocka_unit_test(test_study_damaged_rows_are_read_or_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
