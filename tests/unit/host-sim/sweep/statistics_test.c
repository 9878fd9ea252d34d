/* Estimates against worked examples and printed tables. */
#include "host-sim/sweep/statistics.h"
#include "pcie/base.h"
#include "tests/check.h"

#include <math.h>

static void assert_close(double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance))
		fail_msg("%.12g is not %.12g", value, expected);
}

/* Values with mean 0 and standard error 1, so that the half width is the quantile itself. */
static double half_of_unit_sample(unsigned count, double confidence)
{
	double value[32];
	/* +-1 in turns: squares sum to n (n even), the error is sqrt(n / (n - 1) / n). */
	for (unsigned i = 0; i < count; i++)
		value[i] = (i % 2 ? -1.0 : 1.0) * sqrt(count - 1.0);
	return estimate_mean(value, count, confidence).half;
}

/* Two-sided quantiles as tables of Student's distribution print them (NIST/SEMATECH e-Handbook 1.3.6.7.2). */
static void test_estimate_even_samples_have_the_tables_quantiles(void **state)
{
	static const struct {
		unsigned count;
		double confidence, quantile;
	} rows[] = {
		{2, 0.95, 12.706}, {4, 0.95, 3.182},  {6, 0.95, 2.571},  {10, 0.95, 2.262}, {30, 0.95, 2.045},
		{2, 0.99, 63.657}, {10, 0.99, 3.250}, {10, 0.90, 1.833}, {30, 0.90, 1.699},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_close(half_of_unit_sample(rows[i].count, rows[i].confidence), rows[i].quantile,
			     0.0006);
}

static void test_estimate_mean_of_worked_example_is_right(void **state)
{
	/* Squared distances from 5 sum to 32; t(7) = 2.364624; 2.364624 * sqrt(32 / 7 / 8) = 1.787489. */
	static const double value[] = {2, 4, 4, 4, 5, 5, 7, 9};
	struct estimate e = estimate_mean(value, 8, 0.95);
	(void)state;
	assert_int_equal(e.count, 8);
	assert_close(e.mean, 5, 1e-12);
	assert_close(e.half, 1.787489, 2e-6);
}

/* Gosset's own data (Student 1908: additional hours of sleep, ten patients, two drugs): mean difference 1.58, t = 4.0621 on
 * nine degrees of freedom, p = 0.00283, interval 0.7001 to 2.4599. */
static void test_estimate_difference_of_students_sleep_data_is_as_published(void **state)
{
	static const double first[] = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
	static const double second[] = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
	struct estimate e = estimate_difference(second, first, 10, 0.95);
	(void)state;
	assert_int_equal(e.count, 10);
	assert_close(e.mean, 1.58, 1e-12);
	assert_close(e.mean - e.half, 0.7001142, 1e-6);
	assert_close(e.p, 0.002833, 1e-6);
}

static void test_estimate_too_few_values_have_no_interval(void **state)
{
	static const double value[] = {NAN, 3, NAN};
	struct estimate none = estimate_mean(value, 1, 0.95), one = estimate_mean(value, 3, 0.95);
	(void)state;
	assert_int_equal(none.count, 0);
	assert_true(isnan(none.mean) && isnan(none.half) && isnan(none.p));
	assert_int_equal(one.count, 1);
	assert_true(one.mean == 3 && isnan(one.half) && isnan(one.p));
}

static void test_estimate_difference_missing_values_leave_out_their_pair(void **state)
{
	static const double a[] = {10, NAN, 12, 14, 100}, b[] = {9, 5, 10, 11, NAN};
	struct estimate e = estimate_difference(a, b, 5, 0.95);
	(void)state;
	assert_int_equal(e.count, 3);
	assert_close(e.mean, 2, 1e-12);
	/* 1, 2, 3: deviation 1, t(2) = 4.302653. */
	assert_close(e.half, 4.302653 / sqrt(3), 1e-6);
}

static void test_estimate_no_spread_leaves_no_doubt(void **state)
{
	static const double same[] = {0.1, 0.1, 0.1}, more[] = {0.3, 0.3, 0.3};
	struct estimate e = estimate_difference(more, same, 3, 0.95),
			zero = estimate_difference(same, same, 3, 0.95);
	(void)state;
	assert_true(estimate_mean(same, 3, 0.95).half == 0);
	assert_true(e.half == 0 && e.p == 0);
	assert_true(zero.mean == 0 && zero.half == 0 && zero.p == 1);
}

/* A 95 % interval holds the true mean in 95 of 100 samples: 4000 samples of 5 sums of 12 uniforms (close to normal). */
static void test_estimate_interval_covers_the_mean_as_often_as_it_says(void **state)
{
	uint64_t seed = test_seed(1);
	unsigned covered = 0, samples = 4000;
	(void)state;
	for (unsigned n = 0; n < samples; n++) {
		double value[5];
		for (unsigned i = 0; i < 5; i++) {
			value[i] = 1e6 - 6;
			for (unsigned k = 0; k < 12; k++)
				value[i] += (double)(splitmix64(&seed) >> 11) * 0x1p-53;
		}
		struct estimate e = estimate_mean(value, 5, 0.95);
		covered += fabs(e.mean - 1e6) <= e.half;
	}
	/* Standard deviation 0.34 %; four of them. */
	assert_in_range(covered, samples * 936 / 1000, samples * 964 / 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_estimate_even_samples_have_the_tables_quantiles),
		cmocka_unit_test(test_estimate_mean_of_worked_example_is_right),
		cmocka_unit_test(test_estimate_difference_of_students_sleep_data_is_as_published),
		cmocka_unit_test(test_estimate_too_few_values_have_no_interval),
		cmocka_unit_test(test_estimate_difference_missing_values_leave_out_their_pair),
		cmocka_unit_test(test_estimate_no_spread_leaves_no_doubt),
		cmocka_unit_test(test_estimate_interval_covers_the_mean_as_often_as_it_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
