/* Which points a design has: counts, coverage, and what a Latin hypercube promises. */
#include "tests/check.h"

#include "host-sim/sweep/design.h"

#include <math.h>

static void test_grid_has_every_combination_once_last_axis_fastest(void **state)
{
	(void)state;
	const struct design design = {.kind = DESIGN_GRID, .axes = 3, .levels = {2, 3, 4}};
	int level[DESIGN_AXES_MAX];
	uint64_t number = 0;
	assert_int_equal(design_points(&design), 24);
	for (int a = 0; a < 2; a++)
		for (int b = 0; b < 3; b++)
			for (int c = 0; c < 4; c++) {
				design_point(&design, number++, level);
				assert_int_equal(level[0], a);
				assert_int_equal(level[1], b);
				assert_int_equal(level[2], c);
			}
}

static void test_grid_without_axes_is_one_point(void **state)
{
	(void)state;
	const struct design design = {.kind = DESIGN_GRID};
	int level[DESIGN_AXES_MAX];
	assert_int_equal(design_points(&design), 1);
	design_point(&design, 0, level);
}

static void test_base_comes_first_and_leaves_all_axes_alone(void **state)
{
	(void)state;
	static const enum design_kind kinds[] = {DESIGN_GRID, DESIGN_LHS, DESIGN_ONE_AT_A_TIME};
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct design design = {
			.kind = kinds[i], .axes = 2, .levels = {3, 5}, .lhs_points = 7, .seed = 1};
		int level[DESIGN_AXES_MAX];
		uint64_t without = design_points(&design);
		design.with_base = true;
		/* One at a time always has it. */
		assert_int_equal(design_points(&design), without + (kinds[i] != DESIGN_ONE_AT_A_TIME));
		design_point(&design, 0, level);
		assert_int_equal(level[0], DESIGN_BASE);
		assert_int_equal(level[1], DESIGN_BASE);
		design_point(&design, 1, level);
		assert_int_not_equal(level[0], DESIGN_BASE);
	}
}

static void test_one_at_a_time_moves_a_single_axis_through_its_levels(void **state)
{
	(void)state;
	const struct design design = {.kind = DESIGN_ONE_AT_A_TIME, .axes = 3, .levels = {4, 1, 3}};
	unsigned seen[3][4] = {{0}};
	assert_int_equal(design_points(&design), 1 + 4 + 1 + 3);
	for (uint64_t point = 1; point < design_points(&design); point++) {
		int level[DESIGN_AXES_MAX];
		unsigned moved = 0;
		design_point(&design, point, level);
		for (unsigned i = 0; i < 3; i++) {
			if (level[i] == DESIGN_BASE)
				continue;
			assert_in_range(level[i], 0, design.levels[i] - 1);
			moved++;
			seen[i][level[i]]++;
		}
		assert_int_equal(moved, 1);
	}
	for (unsigned i = 0; i < 3; i++)
		for (unsigned j = 0; j < design.levels[i]; j++)
			assert_int_equal(seen[i][j], 1);
}

static void test_sizes_beyond_64_bits_are_seen(void **state)
{
	(void)state;
	struct design design = {.kind = DESIGN_GRID, .axes = 8};
	for (unsigned i = 0; i < design.axes; i++)
		design.levels[i] = 100000;
	assert_true(design_points(&design) == UINT64_MAX);
	design.with_base = true;
	assert_true(design_points(&design) == UINT64_MAX);
}

/* McKay, Beckman and Conover 1979: with n points each of n equal parts of an axis is used exactly once. */
static void test_lhs_uses_each_part_of_each_axis_once(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(11), 0);
	for (unsigned round = 0; round < 300; round++) {
		unsigned points = 1 + (unsigned)rng_below(&rng, 200),
			 scale = 1 + (unsigned)rng_below(&rng, 50);
		const struct design design = {.kind = DESIGN_LHS,
					      .axes = 3,
					      .levels = {points, points * scale, points},
					      .lhs_points = points,
					      .seed = rng_u64(&rng)};
		bool used[3][200] = {{false}};
		assert_int_equal(design_points(&design), points);
		for (uint64_t point = 0; point < points; point++) {
			int level[DESIGN_AXES_MAX];
			design_point(&design, point, level);
			for (unsigned i = 0; i < 3; i++) {
				assert_in_range(level[i], 0, design.levels[i] - 1);
				unsigned part = (unsigned)level[i] / (design.levels[i] / points);
				assert_false(used[i][part]);
				used[i][part] = true;
			}
		}
	}
}

static void test_lhs_uses_few_levels_equally_often(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(12), 0);
	for (unsigned round = 0; round < 300; round++) {
		unsigned points = 2 + (unsigned)rng_below(&rng, 300);
		unsigned levels = 1 + (unsigned)rng_below(&rng, points);
		const struct design design = {.kind = DESIGN_LHS,
					      .axes = 1,
					      .levels = {levels},
					      .lhs_points = points,
					      .seed = rng_u64(&rng)};
		unsigned uses[300] = {0};
		for (uint64_t point = 0; point < points; point++) {
			int level[DESIGN_AXES_MAX];
			design_point(&design, point, level);
			uses[level[0]]++;
		}
		/* A level is points / levels parts wide, of which at most the outer two are shared with a neighbour. */
		for (unsigned i = 0; i < levels; i++)
			assert_in_range(uses[i], points / levels > 0 ? points / levels - 1 : 0,
					points / levels + 2);
	}
}

static double correlation(const struct design *design, unsigned a, unsigned b)
{
	double sum_a = 0, sum_b = 0, aa = 0, bb = 0, ab = 0, n = (double)design->lhs_points;
	for (uint64_t point = 0; point < design->lhs_points; point++) {
		int level[DESIGN_AXES_MAX];
		design_point(design, point, level);
		double x = level[a], y = level[b];
		sum_a += x;
		sum_b += y;
		aa += x * x;
		bb += y * y;
		ab += x * y;
	}
	return (n * ab - sum_a * sum_b) / sqrt((n * aa - sum_a * sum_a) * (n * bb - sum_b * sum_b));
}

/* Axes are ordered independently: ranks of n random orders correlate with a deviation of 1 / sqrt(n - 1). */
static void test_lhs_axes_are_independent(void **state)
{
	(void)state;
	static const unsigned sizes[] = {20, 100, 500};
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		double sum = 0, squares = 0;
		unsigned rounds = 200;
		for (unsigned round = 0; round < rounds; round++) {
			const struct design design = {.kind = DESIGN_LHS,
						      .axes = 2,
						      .levels = {sizes[s], sizes[s]},
						      .lhs_points = sizes[s],
						      .seed = round};
			double r = correlation(&design, 0, 1);
			sum += r;
			squares += r * r;
		}
		double deviation = 1 / sqrt(sizes[s] - 1.0);
		printf("%u points: mean %.4f, deviation %.4f (random: %.4f)\n", sizes[s], sum / rounds,
		       sqrt(squares / rounds), deviation);
		assert_true(fabs(sum / rounds) < 4 * deviation / sqrt(rounds));
		assert_true(sqrt(squares / rounds) < 1.5 * deviation);
	}
}

static void test_lhs_follows_its_seed(void **state)
{
	(void)state;
	struct design a = {.kind = DESIGN_LHS, .axes = 2, .levels = {50, 50}, .lhs_points = 50, .seed = 1};
	struct design b = a, other = a;
	unsigned same = 0;
	other.seed = 2;
	for (uint64_t point = 0; point < 50; point++) {
		int one[DESIGN_AXES_MAX], two[DESIGN_AXES_MAX], three[DESIGN_AXES_MAX];
		design_point(&a, point, one);
		design_point(&b, point, two);
		design_point(&other, point, three);
		assert_int_equal(one[0], two[0]);
		assert_int_equal(one[1], two[1]);
		same += one[0] == three[0];
	}
	assert_true(same < 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grid_has_every_combination_once_last_axis_fastest),
		cmocka_unit_test(test_grid_without_axes_is_one_point),
		cmocka_unit_test(test_base_comes_first_and_leaves_all_axes_alone),
		cmocka_unit_test(test_one_at_a_time_moves_a_single_axis_through_its_levels),
		cmocka_unit_test(test_sizes_beyond_64_bits_are_seen),
		cmocka_unit_test(test_lhs_uses_each_part_of_each_axis_once),
		cmocka_unit_test(test_lhs_uses_few_levels_equally_often),
		cmocka_unit_test(test_lhs_axes_are_independent),
		cmocka_unit_test(test_lhs_follows_its_seed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
