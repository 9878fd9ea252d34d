#include "tests/check.h"

#include "pcie/link_store.h"

#define BLOCKS_MAX 64

struct block {
	uint64_t position;
	size_t size;
	uint8_t fill;
};

static void check_block(const struct link_arena *arena, const struct block *b)
{
	const uint8_t *bytes = link_arena_at(arena, b->position);
	for (size_t i = 0; i < b->size; i++)
		assert_int_equal(bytes[i], b->fill);
}

static struct block make_block(struct link_arena *arena, size_t size, uint8_t fill)
{
	memset(link_arena_reserve(arena, size + 7), fill, size);
	return (struct block){link_arena_commit(arena, size), size, fill};
}

static void test_arena_random_blocks_keep_their_bytes_in_any_order_of_release(void **state)
{
	(void)state;
	struct link_arena arena;
	struct rng r;
	struct block blocks[BLOCKS_MAX];
	unsigned count = 0;
	rng_seed(&r, test_seed(3), 0);
	assert_true(link_arena_init(&arena));
	for (unsigned step = 0; step < 20000; step++) {
		if (count < BLOCKS_MAX && rng_below(&r, 100) < (step / 1000 % 2 ? 40 : 60))
			blocks[count++] = make_block(&arena, 1 + rng_below(&r, 600), (uint8_t)step);
		else if (count != 0) {
			unsigned i = (unsigned)rng_below(&r, count);
			check_block(&arena, &blocks[i]);
			link_arena_release(&arena, blocks[i].position);
			blocks[i] = blocks[--count];
		}
	}
	for (unsigned i = 0; i < count; i++)
		check_block(&arena, &blocks[i]);
	link_arena_free(&arena);
}

static void test_arena_large_backlog_grows_and_keeps_everything(void **state)
{
	(void)state;
	struct link_arena arena;
	static struct block blocks[5000];
	assert_true(link_arena_init(&arena));
	/* Grow with the ring's contents wrapped around its end. */
	for (unsigned i = 0; i < 7; i++)
		link_arena_release(&arena, make_block(&arena, 1000, 0).position);
	for (unsigned i = 0; i < ARRAY_SIZE(blocks); i++)
		blocks[i] = make_block(&arena, 1 + i % 4112, (uint8_t)(i * 7));
	for (unsigned i = 0; i < ARRAY_SIZE(blocks); i++)
		check_block(&arena, &blocks[i]);
	link_arena_free(&arena);
}

static void test_arena_space_of_released_blocks_is_used_again(void **state)
{
	(void)state;
	struct link_arena arena;
	assert_true(link_arena_init(&arena));
	uint64_t capacity = arena.capacity;
	for (unsigned i = 0; i < 1000; i++) {
		struct block blocks[5];
		static const unsigned order[] = {3, 1, 4, 0, 2};
		for (unsigned k = 0; k < 5; k++)
			blocks[k] = make_block(&arena, 300, (uint8_t)k);
		for (unsigned k = 0; k < 5; k++)
			link_arena_release(&arena, blocks[order[k]].position);
	}
	assert_int_equal(arena.capacity, capacity);
	link_arena_free(&arena);
}

static void test_ring_grows_when_full_and_keeps_indices(void **state)
{
	(void)state;
	struct link_ring ring = {0};
	uint64_t next = 0;
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t index = link_ring_add(&ring, sizeof(uint64_t));
		assert_int_equal(index, i);
		*(uint64_t *)link_ring_at(&ring, index, sizeof(uint64_t)) = i * 3;
		if (i % 3 == 0) {
			assert_int_equal(*(uint64_t *)link_ring_at(&ring, ring.head, sizeof(uint64_t)),
					 next * 3);
			ring.head++;
			next++;
		}
	}
	for (; !link_ring_empty(&ring); ring.head++)
		assert_int_equal(*(uint64_t *)link_ring_at(&ring, ring.head, sizeof(uint64_t)), next++ * 3);
	assert_int_equal(next, 1000);
	link_ring_free(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arena_random_blocks_keep_their_bytes_in_any_order_of_release),
		cmocka_unit_test(test_arena_large_backlog_grows_and_keeps_everything),
		cmocka_unit_test(test_arena_space_of_released_blocks_is_used_again),
		cmocka_unit_test(test_ring_grows_when_full_and_keeps_indices),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
