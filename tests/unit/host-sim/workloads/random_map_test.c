#include "host-sim/workloads/random_map.h"

#include "tests/check.h"

static void test_permutation_every_count_up_to_600_is_a_bijection(void **state)
{
	struct permutation p;
	bool seen[600];
	(void)state;
	for (uint64_t count = 1; count <= 600; count++) {
		for (uint64_t key = 0; key < 5; key++) {
			memset(seen, 0, sizeof(seen));
			permutation_init(&p, count, key);
			for (uint64_t i = 0; i < count; i++) {
				uint64_t to = permutation_at(&p, i);
				assert_true(to < count);
				assert_false(seen[to]);
				seen[to] = true;
			}
		}
	}
}

static void test_permutation_large_counts_stay_inside_and_distinct(void **state)
{
	static const uint64_t counts[] = {(UINT64_C(1) << 20) + 1, UINT64_C(3) << 40, UINT64_C(1) << 55,
					  UINT64_MAX};
	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
		struct permutation p;
		uint64_t out[256];
		permutation_init(&p, counts[c], 42);
		for (unsigned i = 0; i < 256; i++) {
			out[i] = permutation_at(&p, counts[c] - 1 - i);
			assert_true(out[i] < counts[c]);
			for (unsigned j = 0; j < i; j++)
				assert_true(out[i] != out[j]);
		}
	}
}

/* A random order has neighbours that lie about a third of the range apart, first halves that hit each part of the
 * range alike, and hardly any element in its own place. */
static void test_permutation_order_looks_random(void **state)
{
	(void)state;
	for (uint64_t key = 1; key <= 20; key++) {
		const uint64_t count = 10000;
		struct permutation p;
		unsigned tenth[10] = {0}, fixed = 0, steps_up_by_one = 0;
		uint64_t distance = 0, before = 0;
		permutation_init(&p, count, key);
		for (uint64_t i = 0; i < count; i++) {
			uint64_t at = permutation_at(&p, i);
			if (i < count / 2)
				tenth[at / (count / 10)]++;
			fixed += at == i;
			steps_up_by_one += i && at == before + 1;
			distance += i ? (at > before ? at - before : before - at) : 0;
			before = at;
		}
		assert_in_range(distance / (count - 1), count * 31 / 100, count * 36 / 100);
		assert_in_range(fixed, 0, 10);
		assert_in_range(steps_up_by_one, 0, 20);
		for (unsigned t = 0; t < 10; t++)
			assert_in_range(tenth[t], 400, 600); /* 500 expected, deviation about 16 */
	}
}

static void test_random_map_passes_cover_each_block_once_in_new_order(void **state)
{
	const uint64_t blocks = 1000;
	struct random_map map;
	uint64_t first[1000], block, same = 0;
	(void)state;
	assert_int_equal(random_map_init(&map, blocks, 5, false), 0);
	for (unsigned pass = 0; pass < 3; pass++) {
		bool seen[1000] = {false};
		random_map_restart(&map, pass);
		for (uint64_t i = 0; i < blocks; i++) {
			assert_true(random_map_draw(&map, &block));
			assert_true(block < blocks && !seen[block]);
			seen[block] = true;
			if (pass == 0)
				first[i] = block;
			same += pass == 1 && first[i] == block;
		}
		assert_false(random_map_draw(&map, &block));
	}
	assert_in_range(same, 0, 20);
	random_map_free(&map);
}

static void test_random_map_draws_of_several_blocks_never_overlap(void **state)
{
	struct rng rng;
	(void)state;
	rng_seed(&rng, test_seed(3), 0);
	for (unsigned round = 0; round < 50; round++) {
		uint64_t blocks = 1 + rng_below(&rng, 700), block, covered = 0;
		bool seen[700] = {false};
		struct random_map map;
		assert_int_equal(random_map_init(&map, blocks, round, true), 0);
		while (random_map_draw(&map, &block)) {
			uint64_t want = 1 + rng_below(&rng, 16);
			uint64_t room = random_map_room(&map, block, want);
			assert_in_range(room, 1, want);
			/* The room ends at the wanted size, the end, or a covered block, and nowhere else. */
			assert_true(room == want || block + room == blocks || seen[block + room]);
			for (uint64_t b = block; b < block + room; b++) {
				assert_false(seen[b]);
				seen[b] = true;
			}
			random_map_cover(&map, block, room);
			covered += room;
		}
		assert_int_equal(covered, blocks);
		random_map_free(&map);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_permutation_every_count_up_to_600_is_a_bijection),
		cmocka_unit_test(test_permutation_large_counts_stay_inside_and_distinct),
		cmocka_unit_test(test_permutation_order_looks_random),
		cmocka_unit_test(test_random_map_passes_cover_each_block_once_in_new_order),
		cmocka_unit_test(test_random_map_draws_of_several_blocks_never_overlap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
