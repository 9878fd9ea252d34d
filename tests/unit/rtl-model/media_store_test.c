/* Stores in memory, and what store.c checks for all kinds. */
#include "rtl-model/blocks/media/store.h"
#include "tests/check.h"
#include "tests/unit/rtl-model/media_shadow.h"

#include <errno.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static struct store *open_good(const char *spec, bool read_only, uint64_t seed)
{
	char error[512] = "";
	struct store *store = store_open(spec, read_only, seed, error, sizeof(error));
	if (!store)
		fail_msg("%s", error);
	return store;
}

/* The pattern as store.h defines it, written down a second time. */
static uint64_t mix(uint64_t z)
{
	z ^= z >> 30;
	z *= 0xbf58476d1ce4e5b9u;
	z ^= z >> 27;
	z *= 0x94d049bb133111ebu;
	z ^= z >> 31;
	return z;
}

static uint8_t pattern_byte(uint64_t seed, uint64_t offset)
{
	const uint64_t g = 0x9e3779b97f4a7c15u;
	uint64_t sector = offset / 512, i = offset % 512 / 8;
	uint64_t word = mix(mix(seed + g) + (sector + 1) * g) + i * 0xd1342543de82ef95u;
	return (uint8_t)(word >> (offset % 8 * 8));
}

static void test_pattern_any_sector_equals_definition(void **state)
{
	(void)state;
	static const uint64_t sectors[] = {
		0, 1, 7, 8, 0x7fffffff, UINT64_C(1) << 40, (UINT64_C(1) << 53) - 1};
	static const uint64_t seeds[] = {0, 1, 12345, UINT64_MAX};
	for (size_t s = 0; s < ARRAY_SIZE(seeds); s++)
		for (size_t i = 0; i < ARRAY_SIZE(sectors); i++) {
			uint8_t data[514];
			memset(data, 0x5a, sizeof(data));
			store_pattern(seeds[s], sectors[i], data + 1); /* any alignment */
			for (unsigned b = 0; b < 512; b++)
				assert_int_equal(data[b + 1], pattern_byte(seeds[s], sectors[i] * 512 + b));
			assert_int_equal(data[0], 0x5a);
			assert_int_equal(data[513], 0x5a);
		}
}

static int compare_words(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void test_pattern_many_sectors_words_all_differ(void **state)
{
	(void)state;
	enum { SECTORS = 4096 };
	uint64_t *words = malloc(SECTORS * 512);
	for (unsigned i = 0; i < SECTORS; i++)
		store_pattern(1, i, (uint8_t *)words + i * 512);
	qsort(words, SECTORS * 64, sizeof(*words), compare_words);
	for (unsigned i = 1; i < SECTORS * 64; i++)
		assert_true(words[i - 1] != words[i]);
	free(words);
}

static void test_ram_random_operations_equal_shadow(void **state)
{
	(void)state;
	/* A size that ends inside a page. */
	static const size_t units[] = {1, 512, 4096};
	struct shadow shadow = {.size = 70 * 4096 + 512, .discard_zeroes = true};
	uint64_t seed = test_seed(11);
	for (size_t u = 0; u < ARRAY_SIZE(units); u++) {
		struct store *store = open_good("ram:287232", false, seed);
		assert_int_equal(store_info(store)->bytes, shadow.size);
		shadow.unit = units[u];
		shadow.bytes = malloc(shadow.size);
		for (size_t i = 0; i < shadow.size; i++)
			shadow.bytes[i] = pattern_byte(seed, i);
		shadow_run(store, &shadow, seed + u, 3000);
		free(shadow.bytes);
		store_close(store);
	}
}

static uint64_t resident_bytes(void)
{
	unsigned long total = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu %lu", &total, &resident), 2);
	fclose(file);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void test_ram_64_gib_costs_only_what_is_written(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, 3, 0);
	uint64_t before = resident_bytes();
	struct store *store = open_good("ram:64G", false, 7);
	uint8_t page[4096];
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t at = rng_below(&rng, 64 * GIB / 4096) * 4096;
		assert_int_equal(store_read(store, at, page, sizeof(page)), 0);
		assert_int_equal(page[100], pattern_byte(7, at + 100));
	}
	assert_true(resident_bytes() - before <
		    8 * MIB); /* 400 MiB were read, a page of bits per 128 MiB of disk */
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(
			store_write(store, rng_below(&rng, 64 * GIB / 4096) * 4096, page, sizeof(page)), 0);
	assert_true(resident_bytes() - before < 16 * MIB);
	assert_int_equal(store_read(store, 64 * GIB - 1, page, 1), 0);
	assert_int_equal(page[0], pattern_byte(7, 64 * GIB - 1));
	store_close(store);
}

static void test_ram_discard_gives_memory_back(void **state)
{
	(void)state;
	uint64_t before = resident_bytes();
	struct store *store = open_good("ram:64M", false, 7);
	uint8_t *data = malloc(32 * MIB);
	memset(data, 0x77, 32 * MIB);
	assert_int_equal(store_write(store, 0, data, 32 * MIB), 0);
	uint64_t written = resident_bytes();
	assert_true(written - before > 60 * MIB);
	assert_int_equal(store_discard(store, 0, 32 * MIB), 0);
	assert_true(written - resident_bytes() > 30 * MIB);
	free(data);
	store_close(store);
}

static void test_null_reads_zeroes_after_writes(void **state)
{
	(void)state;
	struct store *store = open_good("null:1T", false, 7);
	uint8_t data[1000];
	memset(data, 0x33, sizeof(data));
	assert_string_equal(store_info(store)->kind, "null");
	assert_int_equal(store_write(store, 12345, data, sizeof(data)), 0);
	assert_int_equal(store_read(store, 12345, data, sizeof(data)), 0);
	for (unsigned i = 0; i < sizeof(data); i++)
		assert_int_equal(data[i], 0);
	assert_int_equal(store_discard(store, 0, 1024 * GIB), 0);
	assert_int_equal(store_zero(store, 0, 1024 * GIB, false), 0);
	assert_int_equal(store_flush(store), 0);
	store_close(store);
}

static void test_open_sizes_as_given_or_refused(void **state)
{
	(void)state;
	static const struct {
		const char *spec;
		uint64_t bytes; /* 0: refused */
	} cases[] = {
		{"ram:512", 512},
		{"ram:64k", 65536},
		{"ram:64M", 64 * MIB},
		{"null:3G", 3 * GIB},
		{"null:4194304T", UINT64_C(1) << 62},
		{"null:4194305T", 0},
		{"ram:4194305T", 0},
		{"ram:4194304T", 0}, /* fits the rule, not an address space */
		{"ram:", 0},
		{"null:", 0},
		{"ram:0", 0},
		{"null:0", 0},
		{"ram:511", 0},
		{"ram:513", 0},
		{"ram:1000", 0},
		{"ram:-512", 0},
		{"ram:64X", 0},
		{"ram:64M:", 0},
		{"ram: 64M", 0},
		{"ram:99999999999999999999", 0},
		{"ram:16777216T", 0}, /* 2^64 */
		{"", 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char error[512] = "";
		struct store *store = store_open(cases[i].spec, false, 1, error, sizeof(error));
		if (cases[i].bytes == 0) {
			assert_null(store);
			assert_non_null(strstr(error, cases[i].spec));
			assert_null(strchr(error, '\n'));
			assert_non_null(strchr(error, ';')); /* the mend comes after it */
			continue;
		}
		assert_non_null(store);
		assert_int_equal(store_info(store)->bytes, cases[i].bytes);
		assert_string_equal(store_info(store)->spec, cases[i].spec);
		store_close(store);
	}
}

static void test_open_short_error_buffer_stays_inside(void **state)
{
	(void)state;
	char error[16];
	memset(error, 0x5a, sizeof(error));
	assert_null(store_open("ram:a-long-thing-that-is-no-size", false, 1, error, 8));
	assert_int_equal(strlen(error), 7);
	assert_int_equal(error[8], 0x5a);
}

static void test_access_outside_size_is_refused_and_touches_nothing(void **state)
{
	(void)state;
	static const struct {
		uint64_t offset, bytes;
	} ranges[] = {
		{65536, 1},          {65535, 2},          {0, 65537},          {UINT64_MAX, 1},
		{UINT64_MAX - 3, 4}, {UINT64_MAX - 3, 8}, {1, UINT64_MAX - 0}, {UINT64_C(1) << 62, 512},
	};
	struct store *store = open_good("ram:64k", false, 5);
	uint8_t data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		uint64_t offset = ranges[i].offset, bytes = ranges[i].bytes;
		assert_int_equal(store_read(store, offset, data, bytes), -EINVAL);
		assert_int_equal(store_write(store, offset, data, bytes), -EINVAL);
		assert_int_equal(store_discard(store, offset, bytes), -EINVAL);
		assert_int_equal(store_zero(store, offset, bytes, true), -EINVAL);
	}
	assert_int_equal(data[0], 1);
	assert_int_equal(store_read(store, 65536, data, 0), 0); /* nothing, at the very end */
	assert_int_equal(store_write(store, 65536, data, 0), 0);
	assert_null(store_error(store));
	for (unsigned at = 0; at < 65536; at += 8) {
		assert_int_equal(store_read(store, at, data, 8), 0);
		assert_int_equal(data[5], pattern_byte(5, at + 5));
	}
	store_close(store);
}

static void test_read_only_changes_refused_and_contents_kept(void **state)
{
	(void)state;
	static const char *const specs[] = {"ram:64k", "null:64k"};
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		struct store *store = open_good(specs[i], true, 5);
		uint8_t before[512], after[512], data[512] = {9};
		assert_true(store_info(store)->read_only);
		assert_false(store_info(store)->can_discard);
		assert_false(store_info(store)->can_zero);
		assert_int_equal(store_read(store, 1024, before, 512), 0);
		assert_int_equal(store_write(store, 1024, data, 512), -EROFS);
		assert_int_equal(store_zero(store, 1024, 512, false), -EROFS);
		assert_int_equal(store_discard(store, 1024, 512), -EROFS);
		assert_int_equal(store_flush(store), 0);
		assert_int_equal(store_read(store, 1024, after, 512), 0);
		assert_memory_equal(before, after, 512);
		assert_null(store_error(store));
		store_close(store);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pattern_any_sector_equals_definition),
		cmocka_unit_test(test_pattern_many_sectors_words_all_differ),
		cmocka_unit_test(test_ram_random_operations_equal_shadow),
		cmocka_unit_test(test_ram_64_gib_costs_only_what_is_written),
		cmocka_unit_test(test_ram_discard_gives_memory_back),
		cmocka_unit_test(test_null_reads_zeroes_after_writes),
		cmocka_unit_test(test_open_sizes_as_given_or_refused),
		cmocka_unit_test(test_open_short_error_buffer_stays_inside),
		cmocka_unit_test(test_access_outside_size_is_refused_and_touches_nothing),
		cmocka_unit_test(test_read_only_changes_refused_and_contents_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
