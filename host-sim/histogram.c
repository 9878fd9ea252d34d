#include "host-sim/histogram.h"

#include <math.h>

static unsigned bucket_of(uint64_t value)
{
	if (value < 2u << HISTOGRAM_BITS)
		return (unsigned)value;
	unsigned shift = 63u - HISTOGRAM_BITS - (unsigned)__builtin_clzll(value);
	return (shift << HISTOGRAM_BITS) + (unsigned)(value >> shift);
}

static uint64_t middle_of(unsigned bucket)
{
	if (bucket < 2u << HISTOGRAM_BITS)
		return bucket;
	unsigned shift = (bucket >> HISTOGRAM_BITS) - 1;
	uint64_t low = (uint64_t)(bucket - (shift << HISTOGRAM_BITS)) << shift;
	return low + (UINT64_C(1) << shift) / 2;
}

void histogram_record(struct histogram *h, uint64_t value)
{
	h->min = h->count ? min_u64(h->min, value) : value;
	h->max = max_u64(h->max, value);
	h->count++;
	h->sum += value;
	h->sum_squares += (unsigned __int128)value * value;
	h->bucket[bucket_of(value)]++;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
	if (from->count == 0)
		return;
	h->min = h->count ? min_u64(h->min, from->min) : from->min;
	h->max = max_u64(h->max, from->max);
	h->count += from->count;
	h->sum += from->sum;
	h->sum_squares += from->sum_squares;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		h->bucket[i] += from->bucket[i];
}

uint64_t histogram_percentile(const struct histogram *h, uint32_t percent_micro)
{
	const uint32_t whole = 100000000;
	uint64_t seen = 0;
	if (h->count == 0)
		return 0;
	unsigned __int128 rank = ((unsigned __int128)h->count * percent_micro + whole - 1) / whole;
	if (rank <= 1)
		return h->min;
	if (rank >= h->count)
		return h->max;
	unsigned i = 0;
	while ((seen += h->bucket[i]) < rank)
		i++;
	return max_u64(h->min, min_u64(h->max, middle_of(i)));
}

double histogram_mean(const struct histogram *h)
{
	return h->count ? (double)h->sum / (double)h->count : 0;
}

/* Deviations are summed around the whole part of the mean: the squares of the values themselves could be so much
 * larger than their differences that nothing would be left of them. */
double histogram_stddev(const struct histogram *h)
{
	if (h->count < 2)
		return 0;
	unsigned __int128 mean = h->sum / h->count, rest = h->sum % h->count;
	unsigned __int128 around = h->sum_squares - mean * (h->sum + rest);
	double squares = (double)around - (double)rest * (double)rest / (double)h->count;
	return squares > 0 ? sqrt(squares / (double)(h->count - 1)) : 0;
}
