/* How fast doorbells of a queue, or events of an interrupt vector, come: what adaptive hold-offs follow.
 *
 * The mean interval is a sliding one with weight 1/4, from shifts and additions alone, so that hardware can afford one a
 * queue (ks_pace.sv is this file in RTL). Two things only a hold-off knows decide what counts:
 *
 * - An interval longer than the longest hold-off says nothing of how the next batch will come, only that there was a
 *   pause: it is left out. A pause between bursts does not blur the pace within them.
 * - A hold-off that ends with nothing gained (one doorbell, one event) was wrong, whatever the mean says: pace_forget.
 *   It is learned anew from the longest interval down. At queue depth 1 the next doorbell comes only after the service of
 *   the last, however long that is held; an estimate from intervals alone would hold for ever.
 *
 * So a slow queue costs one hold-off in vain, and a fast one three unheld services until it is held. */
#ifndef KICKSTAND_RTL_MODEL_PACE_H
#define KICKSTAND_RTL_MODEL_PACE_H

#include "pcie/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An adaptive hold-off is the longest one halved 0 to PACE_CLASSES - 1 times. Hold-offs of a class end in the order in which
 * they began, so that hardware looks at one of each only (ks_holdoffs.sv). */
#define PACE_CLASSES 8u

#define PACE_TIME_MASK ((UINT64_C(1) << 40) - 1) /* the card's time counter: nanoseconds, for 18 minutes */

struct pace {
	bool known;
	uint64_t last_ns; /* the last one came */
	uint32_t mean_ns; /* interval */
};

static inline void pace_forget(struct pace *pace)
{
	pace->known = false;
}

/* One has come. */
static inline void pace_arrival(struct pace *pace, uint64_t now_ns, uint32_t longest_ns)
{
	uint64_t interval_ns = (now_ns - pace->last_ns) & PACE_TIME_MASK;
	if (!pace->known)
		pace->mean_ns = longest_ns;
	else if (interval_ns <= longest_ns)
		pace->mean_ns = pace->mean_ns - pace->mean_ns / 4 + (uint32_t)interval_ns / 4;
	pace->known = true;
	pace->last_ns = now_ns & PACE_TIME_MASK;
}

/* Whether another one is to be expected soon enough to wait for it: within half the longest hold-off. */
static inline bool pace_is_fast(const struct pace *pace, uint32_t longest_ns)
{
	return pace->known && pace->mean_ns <= longest_ns / 2;
}

/* Class of the shortest hold-off in which `threshold` of them come, that rounded up to a power of two; without a
 * threshold the longest. */
static inline unsigned pace_class(const struct pace *pace, uint32_t longest_ns, unsigned threshold)
{
	unsigned shift = 0, class_ = 0;
	while (threshold > 1u << shift)
		shift++;
	uint64_t wanted_ns = (uint64_t)pace->mean_ns << shift;
	while (threshold != 0 && class_ + 1 < PACE_CLASSES && wanted_ns <= longest_ns >> (class_ + 1))
		class_++;
	return class_;
}

#ifdef __cplusplus
}
#endif
#endif
