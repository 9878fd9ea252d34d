/* The page as a file: its data are what the results are, and nothing in them gets out of the element they stand in. */
#include "host-sim/sweep/report_html.h"
#include "pcie/base.h"
#include "tests/unit/host-sim/sweep/rows.h"

#include <math.h>

static const char opening[] = "<script type=\"application/json\" id=\"data\">", closing[] = "</script>";

static char *make_page(struct rows *rows)
{
	char path[128], error[300], *page = NULL;
	size_t size = 0;
	rows_write(rows);
	if (report_html_make(rows->folder, NULL, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	snprintf(path, sizeof(path), "%s/report.html", rows->folder);
	FILE *in = fopen(path, "r");
	assert_non_null(in);
	assert_true(getdelim(&page, &size, '\0', in) > 0);
	fclose(in);
	return page;
}

/* The text of the data element as a browser finds its end: at the first "</script". */
static char *data_text(const char *page)
{
	const char *from = strstr(page, opening);
	assert_non_null(from);
	from += strlen(opening);
	const char *to = strstr(from, closing);
	assert_non_null(to);
	return strndup(from, (size_t)(to - from));
}

static json_t *data_of(struct rows *rows)
{
	char *page = make_page(rows), *text = data_text(page);
	json_error_t error;
	json_t *data = json_loads(text, 0, &error);
	if (!data)
		fail_msg("%s", error.text);
	free(text);
	free(page);
	return data;
}

static const json_t *item(const json_t *data, const char *list, size_t index)
{
	return json_array_get(json_object_get(data, list), index);
}

static void test_report_data_have_means_and_half_widths(void **state)
{
	struct rows rows;
	(void)state;
	rows_begin(&rows, 3);
	rows_objective(&rows, "iops", "maximise");
	rows_add(&rows, "baseline", (const double[]){10, 12, 14}, (const double[]){5, 5, 5}, NULL);
	rows_add(&rows, "point", (const double[]){20, 22, 24}, (const double[]){NAN, NAN, NAN}, NULL);
	json_t *data = data_of(&rows);
	const json_t *point = item(data, "points", 1);
	assert_true(json_number_value(json_array_get(json_object_get(point, "mean"), 0)) == 22);
	/* Deviation 2, t(2) = 4.302653: 2 * 4.302653 / sqrt(3) = 4.968276 */
	assert_true(fabs(json_number_value(json_array_get(json_object_get(point, "half"), 0)) - 4.968276) <
		    1e-5);
	assert_true(json_is_null(json_array_get(json_object_get(point, "mean"), 1)));
	assert_string_equal(json_string_value(json_object_get(item(data, "metrics", 0), "label")), "IOPS");
	assert_string_equal(json_string_value(json_object_get(item(data, "metrics", 1), "better")), "less");
	assert_int_equal(json_integer_value(json_object_get(data, "baseline")), 0);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(data, "recommendation"), "best")),
			 1);
	json_decref(data);
	rows_end(&rows);
}

static void test_report_commands_are_put_together_from_their_parts(void **state)
{
	struct rows rows;
	(void)state;
	rows_begin(&rows, 2);
	rows_add(&rows, "point", (const double[]){1, 2}, (const double[]){1, 2}, "late");
	json_object_set_new(rows_last(&rows, 0), "command",
			    json_string("kickstand run --x \xc3\xa4 --seed 10"));
	json_object_set_new(rows_last(&rows, 1), "command",
			    json_string("kickstand run --x \xc3\xb6 --seed 11"));
	json_t *data = data_of(&rows);
	const json_t *point = item(data, "points", 0);
	for (size_t i = 0; i < 2; i++) {
		char command[100];
		snprintf(command, sizeof(command), "%s%s",
			 json_string_value(json_object_get(point, "command")),
			 json_string_value(json_object_get(item(point, "runs", i), "tail")));
		assert_string_equal(command, i ? "kickstand run --x \xc3\xb6 --seed 11"
					       : "kickstand run --x \xc3\xa4 --seed 10");
	}
	assert_string_equal(json_string_value(json_object_get(item(point, "runs", 1), "error")), "late");
	json_decref(data);
	rows_end(&rows);
}

static void test_report_hostile_texts_stay_data(void **state)
{
	static const char *const texts[] = {
		"</script><script>alert(1)</script>",
		"<!--<script>",
		"]]>",
		"</SCRIPT >",
		"\xe2\x80\xa8\xe2\x80\xa9",
		"&lt;/script&gt;",
		"\\u003c/script>",
		"\"}]}",
		"@DATA@",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct rows rows;
		rows_begin(&rows, 1);
		json_object_set_new(rows.sweep, "spec", json_string(texts[i]));
		json_array_set_new(
			json_object_get(json_array_get(json_object_get(rows.sweep, "axes"), 0), "values"), 0,
			json_string(texts[i]));
		rows_add(&rows, "point", (const double[]){1}, (const double[]){1}, texts[i]);
		json_object_set_new(rows_last(&rows, 0), "command", json_string(texts[i]));
		char *page = make_page(&rows), *text = data_text(page);
		assert_null(strpbrk(text, "<>&"));
		for (const char *at = text; *at; at++)
			assert_true(*at >= ' ' && *at < 127);
		json_t *data = json_loads(text, 0, NULL);
		assert_string_equal(json_string_value(json_object_get(data, "title")), texts[i]);
		assert_string_equal(
			json_string_value(json_object_get(item(item(data, "points", 0), "runs", 0), "error")),
			texts[i]);
		json_decref(data);
		free(text);
		free(page);
		rows_end(&rows);
	}
}

/* Two scripts: the data, and ours. Nothing that a browser would fetch. */
static void test_report_page_asks_for_nothing(void **state)
{
	struct rows rows;
	(void)state;
	rows_begin(&rows, 1);
	rows_add(&rows, "point", (const double[]){1}, (const double[]){1}, NULL);
	char *page = make_page(&rows);
	assert_non_null(strstr(page, "default-src 'none'; script-src 'sha256-"));
	assert_null(strstr(page, "@SCRIPT@"));
	unsigned scripts = 0;
	for (const char *at = page; (at = strstr(at, "<script")) != NULL; at++)
		scripts++;
	assert_int_equal(scripts, 2);
	assert_null(strstr(page, "<script src"));
	assert_null(strstr(page, "@import"));
	assert_non_null(strstr(page, "Apache License"));
	free(page);
	rows_end(&rows);
}

static void test_report_same_results_give_the_same_page(void **state)
{
	struct rows rows;
	(void)state;
	rows_begin(&rows, 2);
	rows_add(&rows, "point", (const double[]){1, 3}, (const double[]){1, 2}, NULL);
	char *first = make_page(&rows), *second = make_page(&rows);
	assert_string_equal(first, second);
	free(first);
	free(second);
	rows_end(&rows);
}

static void test_report_too_many_points_are_refused_in_one_line(void **state)
{
	struct rows rows;
	char error[300];
	const double one = 1;
	(void)state;
	rows_begin(&rows, 1);
	for (unsigned i = 0; i <= STUDY_POINTS_MAX; i++)
		rows_add(&rows, "point", &one, &one, NULL);
	rows_write(&rows);
	assert_int_equal(report_html_make(rows.folder, NULL, error, sizeof(error)), 1);
	assert_non_null(strstr(error, "results.csv"));
	rows_end(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report_data_have_means_and_half_widths),
		cmocka_unit_test(test_report_commands_are_put_together_from_their_parts),
		cmocka_unit_test(test_report_hostile_texts_stay_data),
		cmocka_unit_test(test_report_page_asks_for_nothing),
		cmocka_unit_test(test_report_same_results_give_the_same_page),
		cmocka_unit_test(test_report_too_many_points_are_refused_in_one_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
