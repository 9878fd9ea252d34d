#include "host-sim/histogram.h"

#include <math.h>

#include "tests/check.h"

#define VALUES 20000

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static struct histogram *record_all(const uint64_t *values, unsigned count)
{
	struct histogram *h = calloc(1, sizeof(*h));
	for (unsigned i = 0; i < count; i++)
		histogram_record(h, values[i]);
	return h;
}

/* The definition: the smallest value with at least this part of all values at or below it. */
static uint64_t exact_percentile(const uint64_t *sorted, unsigned count, uint32_t micro)
{
	for (unsigned i = 0; i < count; i++)
		if ((unsigned __int128)(i + 1) * 100000000 >= (unsigned __int128)count * micro)
			return sorted[i];
	return sorted[count - 1];
}

static uint64_t draw(struct rng *rng, unsigned kind)
{
	switch (kind) {
	case 0: return rng_below(rng, 300);                         /* where each value has its own bucket */
	case 1: return rng_exponential(rng, 50 * PS_PER_US);        /* as latencies are */
	case 2: return rng_u64(rng) >> rng_below(rng, 64);          /* every size of number */
	default: return 20 * PS_PER_US + rng_below(rng, PS_PER_NS); /* all nearly the same */
	}
}

static void test_histogram_percentiles_within_a_256th_of_exact(void **state)
{
	static const uint32_t micros[] = {1,        1000000,  25000000, 50000000, 90000000,
					  99000000, 99900000, 99990000, 100000000};
	static uint64_t values[VALUES];
	struct rng rng;
	(void)state;
	rng_seed(&rng, test_seed(1), 0);
	for (unsigned kind = 0; kind < 4; kind++) {
		for (unsigned i = 0; i < VALUES; i++)
			values[i] = draw(&rng, kind);
		struct histogram *h = record_all(values, VALUES);
		qsort(values, VALUES, sizeof(values[0]), compare);
		for (size_t p = 0; p < ARRAY_SIZE(micros); p++) {
			uint64_t exact = exact_percentile(values, VALUES, micros[p]);
			uint64_t ours = histogram_percentile(h, micros[p]);
			uint64_t error = ours > exact ? ours - exact : exact - ours;
			if (error > exact / 256)
				fail_msg("kind %u, %u: %llu instead of %llu", kind, micros[p],
					 (unsigned long long)ours, (unsigned long long)exact);
		}
		assert_int_equal(histogram_percentile(h, 1), values[0]);
		assert_int_equal(histogram_percentile(h, 100000000), values[VALUES - 1]);
		free(h);
	}
}

static void test_histogram_count_sum_extremes_mean_deviation_exact(void **state)
{
	static uint64_t values[VALUES];
	struct rng rng;
	(void)state;
	rng_seed(&rng, test_seed(2), 0);
	for (unsigned kind = 0; kind < 4; kind++) {
		long double mean = 0, squares = 0;
		unsigned __int128 sum = 0;
		for (unsigned i = 0; i < VALUES; i++) {
			values[i] = draw(&rng, kind) >> (kind == 2 ? 8 : 0); /* up to 20 hours */
			sum += values[i];
		}
		struct histogram *h = record_all(values, VALUES);
		mean = (long double)sum / VALUES;
		for (unsigned i = 0; i < VALUES; i++)
			squares += (values[i] - mean) * (values[i] - mean);
		long double deviation = sqrtl(squares / (VALUES - 1));
		qsort(values, VALUES, sizeof(values[0]), compare);
		assert_int_equal(h->count, VALUES);
		assert_true(h->sum == sum);
		assert_int_equal(h->min, values[0]);
		assert_int_equal(h->max, values[VALUES - 1]);
		assert_true(fabsl(histogram_mean(h) - mean) <= mean * 1e-14L);
		assert_true(fabsl(histogram_stddev(h) - deviation) <= deviation * 1e-9L);
		free(h);
	}
}

static void test_histogram_small_sets_have_exact_percentiles(void **state)
{
	struct histogram *h = calloc(1, sizeof(*h));
	(void)state;
	assert_int_equal(histogram_percentile(h, 50000000), 0);
	assert_true(histogram_mean(h) == 0 && histogram_stddev(h) == 0);
	histogram_record(h, 123456789);
	assert_int_equal(histogram_percentile(h, 1), 123456789);
	assert_int_equal(histogram_percentile(h, 50000000), 123456789);
	assert_int_equal(histogram_percentile(h, 100000000), 123456789);
	assert_true(histogram_mean(h) == 123456789.0 && histogram_stddev(h) == 0);
	histogram_record(h, 0);
	assert_int_equal(h->min, 0);
	assert_int_equal(histogram_percentile(h, 50000000), 0);
	assert_int_equal(histogram_percentile(h, 50000001), 123456789);
	free(h);
}

static void test_histogram_whole_range_of_64_bits_has_buckets(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int delta = -2; delta <= 2; delta++) {
			struct histogram *h = calloc(1, sizeof(*h));
			uint64_t value = (UINT64_C(1) << bit) + (uint64_t)(int64_t)delta;
			histogram_record(h, 0);
			histogram_record(h, value);
			histogram_record(h, UINT64_MAX);
			uint64_t middle = histogram_percentile(h, 50000000);
			uint64_t error = middle > value ? middle - value : value - middle;
			assert_true(error <= value / 256);
			assert_int_equal(h->max, UINT64_MAX);
			free(h);
		}
	}
}

/* Buckets follow each other without gap or overlap: a percentile never falls as the value grows. */
static void test_histogram_buckets_are_ordered(void **state)
{
	uint64_t before = 0;
	(void)state;
	for (uint64_t value = 1; value < UINT64_MAX / 2; value += value / 300 + 1) {
		struct histogram *h = calloc(1, sizeof(*h));
		histogram_record(h, 0);
		histogram_record(h, value);
		histogram_record(h, UINT64_MAX);
		uint64_t middle = histogram_percentile(h, 50000000);
		assert_true(middle >= before);
		before = middle;
		free(h);
	}
}

static void test_histogram_merge_equals_recording_everything_in_one(void **state)
{
	struct histogram *all = calloc(1, sizeof(*all)), *sum = calloc(1, sizeof(*sum));
	struct rng rng;
	(void)state;
	rng_seed(&rng, test_seed(3), 0);
	for (unsigned part = 0; part < 5; part++) {
		struct histogram *h = calloc(1, sizeof(*h));
		for (unsigned i = 0; i < part * 100; i++) { /* the first one stays empty */
			uint64_t value = draw(&rng, part % 4);
			histogram_record(h, value);
			histogram_record(all, value);
		}
		histogram_merge(sum, h);
		free(h);
	}
	assert_memory_equal(all, sum, sizeof(*all));
	free(all);
	free(sum);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histogram_percentiles_within_a_256th_of_exact),
		cmocka_unit_test(test_histogram_count_sum_extremes_mean_deviation_exact),
		cmocka_unit_test(test_histogram_small_sets_have_exact_percentiles),
		cmocka_unit_test(test_histogram_whole_range_of_64_bits_has_buckets),
		cmocka_unit_test(test_histogram_buckets_are_ordered),
		cmocka_unit_test(test_histogram_merge_equals_recording_everything_in_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
