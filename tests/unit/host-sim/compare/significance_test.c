/* Tests of significance against published results, tables, and independent computations. */
#include "tests/check.h"

#include "host-sim/compare/significance.h"

#include <math.h>

static void close_to(double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance))
		fail_msg("%.10g is not %.10g within %g", value, expected, tolerance);
}

static struct sample sample_of(const double *value, unsigned count)
{
	return (struct sample){.value = value, .count = count};
}

/* Student 1908, hours of sleep gained by two drugs. Welch's test as R documents it (?t.test): t = -1.8608, df = 17.776,
 * p = 0.07939, interval -3.3654832 to 0.2054832. */
static const double sleep_1[] = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
static const double sleep_2[] = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};

static void test_welch_agrees_with_students_sleep_data(void **state)
{
	(void)state;
	struct welch result = welch(sample_of(sleep_2, 10), sample_of(sleep_1, 10), 0.95);
	close_to(result.change, -1.58, 1e-12);
	close_to(result.freedom, 17.776, 0.0005);
	close_to(result.p, 0.07939, 0.000005);
	close_to(result.low, -3.3654832, 0.00000005);
	close_to(result.high, 0.2054832, 0.00000005);
}

/* Two samples of n values each, with the same variance, have 2n - 2 degrees of freedom; their difference is made the quantile
 * of Student's distribution that tables give (for example NIST's handbook, 1.3.6.7.2). */
static void test_welch_agrees_with_tables_of_t(void **state)
{
	(void)state;
	static const struct {
		unsigned count;
		double quantile, p;
	} rows[] = {
		{2, 2.920, 0.10},  {2, 4.303, 0.05},   {2, 9.925, 0.01},  {3, 2.776, 0.05},
		{3, 4.604, 0.01},  {6, 1.812, 0.10},   {6, 2.228, 0.05},  {6, 3.169, 0.01},
		{11, 2.086, 0.05}, {11, 2.845, 0.01},  {16, 2.042, 0.05}, {31, 2.000, 0.05},
		{61, 1.980, 0.05}, {61, 3.373, 0.001},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		double a[61], b[61], n = rows[i].count, mean = 0, squares = 0;
		for (unsigned j = 0; j < rows[i].count; j++)
			a[j] = sin(j * 12.9898) * 10;
		for (unsigned j = 0; j < rows[i].count; j++)
			mean += a[j] / n;
		for (unsigned j = 0; j < rows[i].count; j++)
			squares += (a[j] - mean) * (a[j] - mean);
		double error = sqrt(2 * squares / (n - 1) / n);
		for (unsigned j = 0; j < rows[i].count; j++)
			b[j] = a[j] + rows[i].quantile * error;
		struct welch result =
			welch(sample_of(a, rows[i].count), sample_of(b, rows[i].count), 1 - rows[i].p);
		close_to(result.freedom, 2 * n - 2, 1e-6);
		close_to(result.p, rows[i].p, 0.0005 * rows[i].p / 0.05 + 1e-5);
		/* At the quantile the interval just reaches 0. */
		close_to(result.low / error, 0, 0.001);
	}
}

/* Simpson's rule over the density of Student's distribution. */
static double tail_of_t(double t, double freedom)
{
	double scale = exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / sqrt(freedom * M_PI), sum = 0;
	unsigned steps = 20000;
	double width = t / steps;
	for (unsigned i = 0; i <= steps; i++) {
		double x = i * width, weight = i == 0 || i == steps ? 1 : i % 2 ? 4 : 2;
		sum += weight * pow(1 + x * x / freedom, -(freedom + 1) / 2);
	}
	return 1 - 2 * scale * sum * width / 3;
}

static void test_welch_agrees_with_integrated_density(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(31), 0);
	for (unsigned round = 0; round < 200; round++) {
		double a[12], b[12], sums[2] = {0}, squares[2] = {0};
		unsigned counts[2] = {2 + (unsigned)rng_below(&rng, 10), 2 + (unsigned)rng_below(&rng, 10)};
		double *const values[2] = {a, b};
		double scale = 1 + (double)rng_below(&rng, 5);
		for (unsigned side = 0; side < 2; side++) {
			for (unsigned i = 0; i < counts[side]; i++) {
				values[side][i] =
					100 + (double)rng_below(&rng, 1000) / 100 * (side ? scale : 1);
				sums[side] += values[side][i] / counts[side];
			}
			for (unsigned i = 0; i < counts[side]; i++)
				squares[side] += pow(values[side][i] - sums[side], 2) / (counts[side] - 1.0);
			squares[side] /= counts[side];
		}
		double t = fabs(sums[1] - sums[0]) / sqrt(squares[0] + squares[1]);
		double freedom = pow(squares[0] + squares[1], 2) / (pow(squares[0], 2) / (counts[0] - 1.0) +
								    pow(squares[1], 2) / (counts[1] - 1.0));
		struct welch result = welch(sample_of(a, counts[0]), sample_of(b, counts[1]), 0.95);
		close_to(result.change, sums[1] - sums[0], 1e-9);
		close_to(result.p, tail_of_t(t, freedom), 1e-7);
		assert_true((result.p < 0.05) == (result.low > 0 || result.high < 0));
	}
}

static void test_welch_without_spread_or_seeds(void **state)
{
	(void)state;
	static const double same[] = {5, 5, 5}, other[] = {6, 6}, spread[] = {5, 5.5, 4.5};
	struct welch result = welch(sample_of(same, 3), sample_of(other, 2), 0.95);
	assert_true(result.p == 0 && isnan(result.freedom) && result.change == 1);
	assert_true(result.low == 1 && result.high == 1);
	result = welch(sample_of(same, 3), sample_of(same, 2), 0.95);
	assert_true(result.p == 1);
	result = welch(sample_of(same, 1), sample_of(spread, 3), 0.95);
	assert_true(isnan(result.p) && isnan(result.low) && result.change == 0);
	result = welch(sample_of(same, 0), sample_of(spread, 3), 0.95);
	assert_true(isnan(result.change));
	/* One side without spread is a test like any other. */
	result = welch(sample_of(other, 2), sample_of(spread, 3), 0.95);
	assert_true(result.p > 0 && result.p < 1);
}

/* Values in steps of w spread by w^2 / 12 at least: two samples of equal values are not certain then. */
static void test_welch_counts_rounding_as_spread(void **state)
{
	(void)state;
	static const double a[] = {100, 100}, b[] = {104, 104};
	struct sample rounded_a = {a, 2, 1}, rounded_b = {b, 2, 1};
	struct welch result = welch(rounded_a, rounded_b, 0.95);
	/* t = 4 / sqrt(2 * (1 / 12) / 2), 2 degrees of freedom: p = 1 - t / sqrt(2 + t^2) */
	double t = 4 / sqrt(1.0 / 12);
	close_to(result.freedom, 2, 1e-9);
	close_to(result.p, 1 - t / sqrt(2 + t * t), 1e-12);
}

/* Hollander and Wolfe 1973, 69f, as R documents it (?wilcox.test): W = 35, one-sided p = 0.1272, so two-sided 0.2544. */
static void test_mann_whitney_agrees_with_hollander_and_wolfe(void **state)
{
	(void)state;
	static const double x[] = {0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46};
	static const double y[] = {1.15, 0.88, 0.90, 0.74, 1.21};
	close_to(mann_whitney(sample_of(x, 10), sample_of(y, 5)), 0.2544, 0.0001);
	close_to(mann_whitney(sample_of(y, 5), sample_of(x, 10)), 0.2544, 0.0001);
}

/* All samples apart: 2 of the C(2n, n) orders are as extreme. */
static void test_mann_whitney_of_separate_samples_has_the_smallest_p(void **state)
{
	(void)state;
	static const double low[] = {1, 2, 3, 4, 5, 6}, high[] = {11, 12, 13, 14, 15, 16};
	static const double smallest[] = {2.0 / 2, 2.0 / 6, 2.0 / 20, 2.0 / 70, 2.0 / 252, 2.0 / 924};
	for (unsigned n = 1; n <= 6; n++)
		close_to(mann_whitney(sample_of(low, n), sample_of(high, n)), smallest[n - 1], 1e-12);
}

/* Every choice of the places of a, one by one; half-ranks for ties. */
static double p_by_counting(const double *all, unsigned count, unsigned of_a)
{
	double rank[16], observed = 0, middle = of_a * (count + 1) / 2.0;
	unsigned far = 0, total = 0;
	for (unsigned i = 0; i < count; i++) {
		rank[i] = 0.5;
		for (unsigned j = 0; j < count; j++)
			rank[i] += all[j] < all[i] ? 1 : all[j] == all[i] ? 0.5 : 0;
		observed += i < of_a ? rank[i] : 0;
	}
	for (unsigned set = 0; set < 1u << count; set++) {
		double sum = 0;
		if ((unsigned)__builtin_popcount(set) != of_a)
			continue;
		for (unsigned i = 0; i < count; i++)
			sum += set >> i & 1 ? rank[i] : 0;
		total++;
		far += fabs(sum - middle) >= fabs(observed - middle) - 1e-9;
	}
	return (double)far / total;
}

static void test_mann_whitney_agrees_with_counting_ties_included(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(32), 0);
	for (unsigned round = 0; round < 300; round++) {
		double all[16];
		unsigned a = 1 + (unsigned)rng_below(&rng, 6), b = 1 + (unsigned)rng_below(&rng, 6);
		uint64_t values = 2 + rng_below(&rng, 30);
		for (unsigned i = 0; i < a + b; i++)
			all[i] = (double)rng_below(&rng, values);
		close_to(mann_whitney(sample_of(all, a), sample_of(all + a, b)), p_by_counting(all, a + b, a),
			 1e-12);
	}
}

/* Above EXACT_MAX values: the exact p by the textbook's recurrence, ways(n, m, u) = ways(n - 1, m, u - m) + ways(n, m - 1, u). */
static void test_mann_whitney_of_many_values_is_near_the_exact_p(void **state)
{
	(void)state;
	enum { N = 30, U = N * N + 1 };
	static double ways[N + 1][N + 1][U];
	for (unsigned n = 0; n <= N; n++)
		for (unsigned m = 0; m <= N; m++)
			for (unsigned u = 0; u < U; u++)
				ways[n][m][u] = n == 0 || m == 0 ? u == 0
								 : (u >= m ? ways[n - 1][m][u - m] : 0) +
									   ways[n][m - 1][u];
	for (unsigned shift = 0; shift <= 20; shift += 4) {
		double a[N], b[N], total = 0, far = 0;
		unsigned u = 0;
		for (unsigned i = 0; i < N; i++) {
			a[i] = 2 * i;
			b[i] = 2 * i + 1 + 2 * (double)shift;
		}
		for (unsigned i = 0; i < N; i++)
			for (unsigned j = 0; j < N; j++)
				u += b[j] < a[i];
		for (unsigned i = 0; i < U; i++) {
			total += ways[N][N][i];
			far += fabs(i - N * N / 2.0) >= fabs(u - N * N / 2.0) ? ways[N][N][i] : 0;
		}
		double p = mann_whitney(sample_of(a, N), sample_of(b, N));
		printf("shift %u: %.6f, exact %.6f\n", shift, p, far / total);
		close_to(p, far / total, 0.002);
	}
}

static void test_mann_whitney_of_equal_values_is_1(void **state)
{
	(void)state;
	double same[60];
	for (unsigned i = 0; i < 60; i++)
		same[i] = 7;
	close_to(mann_whitney(sample_of(same, 5), sample_of(same, 4)), 1, 0);
	close_to(mann_whitney(sample_of(same, 60), sample_of(same, 60)), 1, 0);
	assert_true(isnan(mann_whitney(sample_of(same, 0), sample_of(same, 3))));
}

/* Worked by hand after Holm 1979: sorted 0.005 0.01 0.03 0.04, times 4 3 2 1, never falling. */
static void test_holm_corrects_a_family(void **state)
{
	(void)state;
	double p[] = {0.01, 0.04, 0.03, 0.005}, one[] = {0.2}, large[] = {0.9, 0.8, 0.7};
	static const double expected[] = {0.03, 0.06, 0.06, 0.02};
	holm(p, 4);
	for (unsigned i = 0; i < 4; i++)
		close_to(p[i], expected[i], 1e-12);
	holm(one, 1);
	close_to(one[0], 0.2, 0);
	holm(large, 3);
	for (unsigned i = 0; i < 3; i++)
		close_to(large[i], 1, 0);
	holm(NULL, 0);
}

/* Between no correction and Bonferroni's, in the order of the original, and no false alarm more often than it says. */
static void test_holm_keeps_order_and_bounds(void **state)
{
	(void)state;
	struct rng rng;
	unsigned alarms = 0, rounds = 4000;
	rng_seed(&rng, test_seed(33), 0);
	for (unsigned round = 0; round < rounds; round++) {
		double p[10], corrected[10];
		bool alarm = false;
		for (unsigned i = 0; i < 10; i++)
			p[i] = corrected[i] = ((double)rng_below(&rng, 1000000) + 0.5) / 1e6;
		holm(corrected, 10);
		for (unsigned i = 0; i < 10; i++) {
			assert_true(corrected[i] >= p[i] && corrected[i] <= fmin(1, 10 * p[i]) + 1e-12);
			for (unsigned j = 0; j < 10; j++)
				assert_true(p[i] > p[j] || corrected[i] <= corrected[j]);
			alarm |= corrected[i] < 0.05;
		}
		alarms += alarm;
	}
	printf("%u of %u families without effect raise an alarm\n", alarms, rounds);
	assert_in_range(alarms, rounds * 3 / 100, rounds * 7 / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_welch_agrees_with_students_sleep_data),
		cmocka_unit_test(test_welch_agrees_with_tables_of_t),
		cmocka_unit_test(test_welch_agrees_with_integrated_density),
		cmocka_unit_test(test_welch_without_spread_or_seeds),
		cmocka_unit_test(test_welch_counts_rounding_as_spread),
		cmocka_unit_test(test_mann_whitney_agrees_with_hollander_and_wolfe),
		cmocka_unit_test(test_mann_whitney_of_separate_samples_has_the_smallest_p),
		cmocka_unit_test(test_mann_whitney_agrees_with_counting_ties_included),
		cmocka_unit_test(test_mann_whitney_of_many_values_is_near_the_exact_p),
		cmocka_unit_test(test_mann_whitney_of_equal_values_is_1),
		cmocka_unit_test(test_holm_corrects_a_family),
		cmocka_unit_test(test_holm_keeps_order_and_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
