/* The integer distributions against the C library's floating point. */
#include "host-sim/workloads/skew.h"

#include <math.h>

#include "tests/check.h"

static void test_exp2_negative_agrees_with_libm(void **state)
{
	(void)state;
	for (uint64_t q16 = 0; q16 < 40 << 16; q16 += 977) {
		double exact = exp2(-(double)q16 / 65536), ours = (double)exp2_negative_q62(q16) * 0x1p-62;
		assert_true(fabs(ours - exact) <= exact * 1e-6 + 0x1p-60);
	}
	assert_int_equal(exp2_negative_q62(0), UINT64_C(1) << 62);
	assert_int_equal(exp2_negative_q62(UINT64_C(64) << 16), 0);
	assert_int_equal(exp2_negative_q62(UINT64_MAX), 0);
}

/* How often each rank was drawn: the scatter is undone by counting blocks in the scatter's order. */
static void count_ranks(const struct skew *skew, uint64_t seed, unsigned draws, unsigned *counts)
{
	struct rng rng;
	unsigned *blocks = calloc(skew->count, sizeof(*blocks));
	rng_seed(&rng, seed, 0);
	for (unsigned i = 0; i < draws; i++) {
		uint64_t block = skew_draw(skew, &rng);
		assert_true(block < skew->count);
		blocks[block]++;
	}
	for (uint64_t rank = 0; rank < skew->count; rank++)
		counts[rank] = blocks[permutation_at(&skew->scatter, rank)];
	free(blocks);
}

/* Within five deviations of a binomial count. */
static void expect_share(double share, unsigned count, unsigned draws, const char *what)
{
	double mean = share * draws, deviation = sqrt(mean * (1 - share)) + 1;
	if (fabs(count - mean) > 5 * deviation)
		fail_msg("%s: %u of %u, expected %.1f", what, count, draws, mean);
}

static void test_skew_zipf_ranks_weigh_as_their_power(void **state)
{
	static const double thetas[] = {0.3, 0.9, 1.1, 2.0};
	static unsigned counts[5000];
	const unsigned draws = 400000;
	struct skew *skew = malloc(sizeof(*skew));
	(void)state;
	for (size_t t = 0; t < ARRAY_SIZE(thetas); t++) {
		double total = 0, weight[5000];
		unsigned sum = 0;
		char what[64];
		for (unsigned r = 0; r < 5000; r++)
			total += weight[r] = pow(r + 1, -thetas[t]);
		skew_init(skew, FIO_ZIPF, (uint64_t)lrint(thetas[t] * 1e6), 5000, 9);
		count_ranks(skew, t, draws, counts);
		for (unsigned r = 0; r < 20; r++) {
			snprintf(what, sizeof(what), "theta %.1f rank %u", thetas[t], r);
			expect_share(weight[r] / total, counts[r], draws, what);
		}
		/* Whole decades of ranks, too, where each rank alone is too rare to tell. */
		double expected = 0;
		for (unsigned r = 0, next = 10; r < 5000; r++) {
			expected += weight[r] / total;
			sum += counts[r];
			if (r + 1 == next || r + 1 == 5000) {
				snprintf(what, sizeof(what), "theta %.1f up to rank %u", thetas[t], r);
				expect_share(expected, sum, draws, what);
				next = next * 3 / 2;
			}
		}
	}
	free(skew);
}

static void test_skew_pareto_part_h_gets_the_rest_of_the_ios(void **state)
{
	static const double parts[] = {0.05, 0.2, 0.4};
	static unsigned counts[20000];
	const unsigned draws = 200000;
	struct skew *skew = malloc(sizeof(*skew));
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		double h = parts[i], k = log(h) / log(1 - h);
		skew_init(skew, FIO_PARETO, (uint64_t)lrint(h * 1e6), 20000, 9);
		count_ranks(skew, i, draws, counts);
		/* fio: rank = count * u^k, so a part (b / count)^(1 / k) is below rank b; at b = h that is 1 - h. */
		unsigned sum = 0;
		for (unsigned r = 0; r < 20000; r++) {
			sum += counts[r];
			if ((r + 1) % 1000 == 0 || r + 1 == (unsigned)(h * 20000))
				expect_share(pow((r + 1) / 20000.0, 1 / k), sum, draws, "pareto");
			if (r + 1 == (unsigned)(h * 20000))
				expect_share(1 - h, sum, draws, "pareto at h");
		}
	}
	free(skew);
}

static void test_skew_normal_is_centred_with_the_given_deviation(void **state)
{
	const unsigned draws = 200000;
	const uint64_t count = 1000000;
	struct skew *skew = malloc(sizeof(*skew));
	struct rng rng;
	double sum = 0, squares = 0;
	unsigned within_1 = 0, within_2 = 0;
	(void)state;
	skew_init(skew, FIO_NORMAL, 10000000, count, 0); /* 10 % */
	rng_seed(&rng, 1, 0);
	for (unsigned i = 0; i < draws; i++) {
		uint64_t block = skew_draw(skew, &rng);
		assert_true(block < count);
		double z = ((double)block - (double)count / 2) / ((double)count / 10);
		sum += z;
		squares += z * z;
		within_1 += fabs(z) <= 1;
		within_2 += fabs(z) <= 2;
	}
	assert_true(fabs(sum / draws) < 0.01);
	assert_true(fabs(sqrt(squares / draws) - 1) < 0.01);
	assert_true(fabs((double)within_1 / draws - 0.6827) <
		    0.012); /* twelve uniforms are close to normal */
	assert_true(fabs((double)within_2 / draws - 0.9545) < 0.005);
	free(skew);
}

static void test_skew_extreme_parameters_stay_inside(void **state)
{
	static const uint64_t counts[] = {
		1, 2, 3, 31, 32, 33, 1000003, UINT64_C(1) << 40, (UINT64_C(1) << 55) - 1};
	static const struct {
		enum fio_distribution kind;
		uint64_t micro;
	} kinds[] = {
		{FIO_ZIPF, 1},        {FIO_ZIPF, 999999}, {FIO_ZIPF, 100000000},  {FIO_PARETO, 1},
		{FIO_PARETO, 999999}, {FIO_NORMAL, 1},    {FIO_NORMAL, 99999999},
	};
	struct skew *skew = malloc(sizeof(*skew));
	struct rng rng;
	(void)state;
	rng_seed(&rng, 1, 0);
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
			skew_init(skew, kinds[k].kind, kinds[k].micro, counts[c], c);
			for (unsigned i = 0; i < 1000; i++)
				assert_true(skew_draw(skew, &rng) < counts[c]);
		}
	}
	free(skew);
}

static void test_skew_zipf_theta_100_always_draws_one_block(void **state)
{
	struct skew *skew = malloc(sizeof(*skew));
	struct rng rng;
	(void)state;
	rng_seed(&rng, 1, 0);
	skew_init(skew, FIO_ZIPF, 100000000, 1 << 20, 3);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(skew_draw(skew, &rng), permutation_at(&skew->scatter, 0));
	free(skew);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exp2_negative_agrees_with_libm),
		cmocka_unit_test(test_skew_zipf_ranks_weigh_as_their_power),
		cmocka_unit_test(test_skew_pareto_part_h_gets_the_rest_of_the_ios),
		cmocka_unit_test(test_skew_normal_is_centred_with_the_given_deviation),
		cmocka_unit_test(test_skew_extreme_parameters_stay_inside),
		cmocka_unit_test(test_skew_zipf_theta_100_always_draws_one_block),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
