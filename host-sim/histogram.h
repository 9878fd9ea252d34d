/* Distribution of latencies: exact count, sum, extremes, mean and deviation; percentiles within 0.4 %.
 *
 * Values below 256 ps have a bucket each; above, every power of 2 is cut into 128 buckets, so that the middle of a
 * bucket is within 1/256 of each value in it. All state is integer; adding histograms up gives exactly what
 * recording everything in one would have. An all-zero struct is an empty histogram.
 *
 * The sum of squares, which only the deviation needs, holds 10^7 latencies of an hour. */
#ifndef KICKSTAND_HOST_SIM_HISTOGRAM_H
#define KICKSTAND_HOST_SIM_HISTOGRAM_H

#include "pcie/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HISTOGRAM_BITS    7
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

struct histogram {
	uint64_t count, min, max; /* min, max: 0 if empty */
	unsigned __int128 sum, sum_squares;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_record(struct histogram *h, uint64_t value);

/* Adds what `from` has. */
void histogram_merge(struct histogram *h, const struct histogram *from);

/* The smallest value that at least this part of the values does not exceed (nearest rank), in millionths of a
 * percent: 99.9 % is 99900000. Exact for the first and the last value; 0 if empty. */
uint64_t histogram_percentile(const struct histogram *h, uint32_t percent_micro);

/* For reports only. 0 if empty; the deviation is that of a sample (n - 1), as fio's. */
double histogram_mean(const struct histogram *h);
double histogram_stddev(const struct histogram *h);

#ifdef __cplusplus
}
#endif
#endif
