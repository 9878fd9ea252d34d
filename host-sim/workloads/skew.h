/* Skewed choice of blocks (fio's random_distribution), in integers, so that the blocks drawn are the same on
 * every machine.
 *
 * Zipf and Pareto draw a rank from a table of cumulative weights over ranges of ranks: exact for the first
 * ranks, then 32 ranges to the octave, evenly inside a range. Ranks are scattered over the region by a permutation,
 * as fio does with a hash. Normal adds up twelve uniform numbers around the middle of the region. */
#ifndef KICKSTAND_HOST_SIM_WORKLOADS_SKEW_H
#define KICKSTAND_HOST_SIM_WORKLOADS_SKEW_H

#include "host-sim/workloads/fio_job.h"
#include "host-sim/workloads/random_map.h"
#include "pcie/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SKEW_RANGES_MAX 2100

struct skew {
	enum fio_distribution kind;
	uint64_t count;
	uint64_t micro;             /* normal: deviation in percent of count */
	struct permutation scatter; /* of ranks */
	unsigned ranges;
	uint64_t first[SKEW_RANGES_MAX + 1]; /* rank each range begins with; the last is count */
	uint64_t upto[SKEW_RANGES_MAX];      /* weight of the range and those before it */
};

/* `micro` as in struct fio_job: theta, h or deviation. count > 0 */
void skew_init(struct skew *skew, enum fio_distribution kind, uint64_t micro, uint64_t count, uint64_t key);

/* A block, 0..count-1. */
uint64_t skew_draw(const struct skew *skew, struct rng *rng);

/* 2^-(exponent_q16 / 65536) in 1/2^62, for tests. */
uint64_t exp2_negative_q62(uint64_t exponent_q16);

#ifdef __cplusplus
}
#endif
#endif
