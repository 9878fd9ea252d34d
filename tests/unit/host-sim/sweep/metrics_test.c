/* Metrics: their names, and how each is worked out from a run's document. */
#include "tests/check.h"

#include "host-sim/sweep/metrics.h"

#include <math.h>

static const char document[] =
	"{'sim': {'ios': 1000}, 'total': {'iops': 250000.0, 'bw_bytes': 1024000000.0, 'lat_ns': {'mean': "
	"12500.0,"
	" 'max': 40000.0, 'percentile': {'50.000000': 12000.0, '90.000000': 15000.0, '99.000000': 20000.0,"
	" '99.900000': 30000.0}}}, 'device': {'doorbells': {'written': 400, 'serviced': 300}, 'msix': "
	"{'sent': 500,"
	" 'intx_messages': 40}, 'core': {'busy_ratio': 0.25, 'busy_cycles': 290000}, 'media':"
	" {'channels_busy_mean': 16.0, 'channels': 64}}, 'link': {'up': {'bytes': 4600000, 'dllp_bytes': "
	"20000,"
	" 'utilisation': 0.5}, 'down': {'bytes': 200000, 'dllp_bytes': 48000, 'utilisation': 0.03}}, 'host':"
	" {'busy_ratio': 0.9}}";

static json_t *parse(const char *text)
{
	char copy[2000];
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	json_t *root = json_loads(copy, 0, NULL);
	assert_non_null(root);
	return root;
}

static void test_metrics_are_worked_out_from_a_document(void **state)
{
	(void)state;
	static const struct {
		enum metric_id id;
		double value;
	} expected[] = {
		{METRIC_IOPS, 250000},
		{METRIC_MBYTES_PER_S, 1024},
		{METRIC_MEAN_US, 12.5},
		{METRIC_MAX_US, 40},
		{METRIC_P50_US, 12},
		{METRIC_P90_US, 15},
		{METRIC_P99_US, 20},
		{METRIC_P99_9_US, 30},
		{METRIC_DOORBELLS_PER_IO, 0.4},
		{METRIC_SERVICES_PER_IO, 0.3},
		{METRIC_INTERRUPTS_PER_IO, 0.52},
		{METRIC_CORE_LOAD, 0.25},
		{METRIC_CORE_CYCLES_PER_IO, 290},
		{METRIC_LINK_UP_LOAD, 0.5},
		{METRIC_LINK_DOWN_LOAD, 0.03},
		{METRIC_LINK_UP_BYTES_PER_IO, 4620},
		{METRIC_LINK_DOWN_BYTES_PER_IO, 248},
		{METRIC_MEDIUM_LOAD, 0.25},
		{METRIC_GUEST_LOAD, 0.9},
	};
	json_t *root = parse(document);
	double value[METRICS];
	assert_int_equal(ARRAY_SIZE(expected), METRICS);
	metrics_of(root, value);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		if (fabs(value[expected[i].id] - expected[i].value) > 1e-9 * expected[i].value)
			fail_msg("%s is %g", metrics[expected[i].id].name, value[expected[i].id]);
	json_decref(root);
}

static void test_metrics_of_nothing_are_none(void **state)
{
	(void)state;
	static const char *const documents[] = {
		"{}", "{'sim': {'ios': 0}, 'device': {'doorbells': {'written': 5}}}",
		"{'sim': 3, 'total': [1], 'device': 'x', 'link': {'up': null}}"};
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
		json_t *root = parse(documents[i]);
		double value[METRICS];
		metrics_of(root, value);
		for (unsigned m = 0; m < METRICS; m++)
			assert_true(isnan(value[m]));
		json_decref(root);
	}
}

static void test_metrics_are_found_by_name(void **state)
{
	(void)state;
	char names[400];
	for (unsigned i = 0; i < METRICS; i++) {
		assert_int_equal(metric_find(metrics[i].name), i);
		assert_true(metrics[i].meaning[0] != '\0');
	}
	assert_int_equal(metric_find("p99"), METRIC_P99_US);
	assert_int_equal(metric_find("p99_9"), METRIC_P99_9_US);
	assert_int_equal(metric_find("mean"), METRIC_MEAN_US);
	assert_int_equal(metric_find("p9"), METRICS);
	assert_int_equal(metric_find(""), METRICS);
	assert_int_equal(metric_find("_us"), METRICS);
	metric_names(names, sizeof(names));
	assert_int_equal(strncmp(names, "iops, mbytes_per_s, ", 20), 0);
	assert_non_null(strstr(names, ", guest_load"));
}

/* docs/sweep.md lists them for users. */
static void test_metrics_stand_in_the_documentation(void **state)
{
	(void)state;
	char text[65536], row[80];
	FILE *in = fopen("docs/sweep.md", "r");
	assert_non_null(in);
	text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
	fclose(in);
	for (unsigned i = 0; i < METRICS; i++) {
		snprintf(row, sizeof(row), "| `%s` |", metrics[i].name);
		if (!strstr(text, row))
			fail_msg("docs/sweep.md has no row %s", row);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metrics_are_worked_out_from_a_document),
		cmocka_unit_test(test_metrics_of_nothing_are_none),
		cmocka_unit_test(test_metrics_are_found_by_name),
		cmocka_unit_test(test_metrics_stand_in_the_documentation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
