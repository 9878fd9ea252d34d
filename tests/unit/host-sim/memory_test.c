/* The simulated guest's RAM: where it begins and ends, that it costs nothing, and how it is handed out. */
#include "tests/check.h"

#include "host-sim/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#define GIB  (UINT64_C(1) << 30)
#define PAGE 4096u

static struct memory make(uint64_t base, uint64_t bytes)
{
	struct memory memory;
	char error[200] = "";
	assert_int_equal(memory_create(&memory, base, bytes, error, sizeof(error)), 0);
	assert_string_equal(error, "");
	return memory;
}

/* ---- bounds ---- */

static void test_memory_spans_outside_it_have_no_address(void **state)
{
	enum { BASE = 0x100000, BYTES = 0x10000 };
	static const struct {
		uint64_t addr, bytes;
		bool inside;
	} cases[] = {
		{BASE, 1, true},
		{BASE, BYTES, true},
		{BASE, BYTES + 1, false},
		{BASE - 1, 1, false},
		{BASE - 1, 2, false},
		{BASE + BYTES - 1, 1, true},
		{BASE + BYTES - 1, 2, false},
		{BASE + BYTES, 1, false},
		{BASE + PAGE - 2, 4, true}, /* across a page */
		{BASE + PAGE - 1, BYTES - PAGE + 1, true},
		{BASE + PAGE - 1, BYTES - PAGE + 2, false},
		{0, 1, false},
		{0, UINT64_MAX, false},
		{BASE, UINT64_MAX, false}, /* ends that wrap */
		{BASE + 1, UINT64_MAX - BASE, false},
		{BASE + BYTES - 1, UINT64_MAX, false},
		{UINT64_MAX, 1, false},
		{UINT64_MAX, UINT64_MAX, false},
		{UINT64_MAX - BYTES + 1, BASE + BYTES, false},
	};
	(void)state;
	struct memory memory = make(BASE, BYTES);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t *data = memory_at(&memory, cases[i].addr, cases[i].bytes);
		if (cases[i].inside)
			assert_ptr_equal(data, memory.data + (cases[i].addr - BASE));
		else
			assert_null(data);
	}
	memory_destroy(&memory);
}

static void test_memory_at_the_top_of_the_address_space_ends_there(void **state)
{
	(void)state;
	struct memory memory = make(UINT64_MAX - 2 * PAGE + 1, 2 * PAGE);
	assert_non_null(memory_at(&memory, UINT64_MAX, 1));
	assert_non_null(memory_at(&memory, UINT64_MAX - 2 * PAGE + 1, 2 * PAGE));
	assert_null(memory_at(&memory, UINT64_MAX, 2));
	assert_null(memory_at(&memory, 0, 1));
	memory_destroy(&memory);
}

/* Bytes keep their places on both sides of every page boundary. */
static void test_memory_is_one_piece_across_pages(void **state)
{
	enum { PAGES = 16 };
	(void)state;
	struct memory memory = make(4 * GIB, PAGES * PAGE);
	for (unsigned page = 1; page < PAGES; page++)
		memset(memory_at(&memory, 4 * GIB + page * PAGE - 3, 6), (int)page, 6);
	for (unsigned page = 1; page < PAGES; page++)
		for (unsigned i = 0; i < 6; i++)
			assert_int_equal(*memory_at(&memory, 4 * GIB + page * PAGE - 3 + i, 1), page);
	memory_destroy(&memory);
}

/* ---- sparse ---- */

static size_t resident_pages(const struct memory *memory, uint64_t offset, size_t pages)
{
	unsigned char *there = calloc(pages, 1);
	size_t count = 0;
	assert_non_null(there);
	assert_int_equal(mincore(memory->data + offset, pages * PAGE, there), 0);
	for (size_t i = 0; i < pages; i++)
		count += there[i] & 1;
	free(there);
	return count;
}

static void test_memory_of_64_gib_costs_only_what_is_touched(void **state)
{
	(void)state;
	assert_int_equal(sysconf(_SC_PAGESIZE), PAGE);
	struct memory memory = make(4 * GIB, 64 * GIB);
	const uint64_t places[] = {0, 32 * GIB, 64 * GIB - PAGE};
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		uint8_t *data = memory_at(&memory, 4 * GIB + places[i], PAGE);
		assert_int_equal(data[0] | data[PAGE - 1], 0);
		memset(data, 0x5a, PAGE);
	}
	/* A huge page at most is there around each place, nothing in between. */
	assert_int_equal(resident_pages(&memory, 2 * GIB, GIB / PAGE), 0);
	assert_int_equal(resident_pages(&memory, 40 * GIB, GIB / PAGE), 0);
	assert_in_range(resident_pages(&memory, 32 * GIB, GIB / PAGE), 1, 512);
	memory_destroy(&memory);
	assert_null(memory.data);
}

static void test_memory_that_cannot_be_reserved_is_refused_with_a_reason(void **state)
{
	struct memory memory;
	char error[200] = "";
	(void)state;
	assert_int_equal(memory_create(&memory, 0, UINT64_C(1) << 62, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "host.memory"));
	assert_null(memory_at(&memory, 0, 1));
	memory_destroy(&memory);
}

/* ---- handing it out ---- */

static void test_memory_pieces_are_aligned_zeroed_and_apart(void **state)
{
	struct rng rng;
	uint64_t end = 4 * GIB + 64, addr = 0;
	(void)state;
	rng_seed(&rng, test_seed(1), 0);
	struct memory memory = make(4 * GIB + 64, 16 << 20);
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t align = UINT64_C(1) << rng_below(&rng, 13), bytes = 1 + rng_below(&rng, 5000);
		uint8_t *data = memory_alloc(&memory, bytes, align, &addr);
		assert_non_null(data);
		assert_ptr_equal(data, memory_at(&memory, addr, bytes));
		assert_int_equal(addr % align, 0);
		assert_true(addr >= end &&
			    addr - end < align); /* behind the last one, and no farther than it must */
		for (uint64_t j = 0; j < bytes; j++)
			assert_int_equal(data[j], 0);
		memset(data, 0xff, bytes);
		end = addr + bytes;
	}
	memory_destroy(&memory);
}

static void test_memory_that_is_used_up_gives_nothing_and_stays_as_it_was(void **state)
{
	uint64_t addr = 7;
	(void)state;
	struct memory memory = make(PAGE, 4 * PAGE);
	assert_non_null(memory_alloc(&memory, 3 * PAGE, 1, &addr));
	assert_null(memory_alloc(&memory, PAGE + 1, 1, &addr));
	assert_null(memory_alloc(&memory, UINT64_MAX, 1, &addr));
	assert_null(memory_alloc(&memory, 1, UINT64_C(1) << 63, &addr));
	assert_int_equal(addr, PAGE);
	assert_non_null(memory_alloc(&memory, PAGE, PAGE, &addr));
	assert_int_equal(addr, 4 * PAGE);
	assert_null(memory_alloc(&memory, 1, 1, &addr));
	memory_destroy(&memory);
	/* Rounding up runs past the end of the address space. */
	memory = make(UINT64_MAX - PAGE + 1, PAGE);
	assert_non_null(memory_alloc(&memory, PAGE - 1, 1, &addr));
	assert_null(memory_alloc(&memory, 1, 2 * PAGE, &addr));
	memory_destroy(&memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_spans_outside_it_have_no_address),
		cmocka_unit_test(test_memory_at_the_top_of_the_address_space_ends_there),
		cmocka_unit_test(test_memory_is_one_piece_across_pages),
		cmocka_unit_test(test_memory_of_64_gib_costs_only_what_is_touched),
		cmocka_unit_test(test_memory_that_cannot_be_reserved_is_refused_with_a_reason),
		cmocka_unit_test(test_memory_pieces_are_aligned_zeroed_and_apart),
		cmocka_unit_test(test_memory_that_is_used_up_gives_nothing_and_stays_as_it_was),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
