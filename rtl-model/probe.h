/* Time stamps of requests on their way through the card, for the latency breakdown and the trace.
 *
 * Blocks stamp the slot of a request when it passes them. Stamps are observation only: nothing in the model reads
 * them to decide anything. */
#ifndef KICKSTAND_RTL_MODEL_PROBE_H
#define KICKSTAND_RTL_MODEL_PROBE_H

#include "csr.h"
#include "pcie/base.h"

#include <string.h>

/* Points of a request's path on the card, in order of time for a read; a write has MEDIA_START after its data. */
enum stage {
	STAGE_DOORBELL, /* the doorbell that led to it arrived at the notify unit; absent if none was needed */
	STAGE_SERVICE,  /* its queue was handed to the fetch engine */
	STAGE_HEAD,     /* its available ring entry was known */
	STAGE_RECORD,   /* parsed, header fetched, handed to the core */
	STAGE_FIRMWARE,    /* the firmware took it up */
	STAGE_JOB,         /* the mover got its job */
	STAGE_MEDIA_START, /* first access of the medium began */
	STAGE_MEDIA_END,   /* last access of the medium ended */
	STAGE_JOB_DONE,    /* data moved */
	STAGE_USED_PUSH,   /* the firmware completed it */
	STAGE_USED,        /* its used element and used.idx were sent */
	STAGE_COUNT,
};

struct stamps {
	uint64_t at_ps[STAGE_COUNT]; /* TIME_NEVER_PS = did not pass there */
};

struct probe {
	struct stamps slot[SLOTS];
	/* Request (queue, head) has been given back to the driver; may be NULL. */
	void (*retired)(void *ctx, unsigned queue, unsigned head, const struct stamps *stamps);
	void *ctx;
};

static inline void probe_clear(struct probe *probe, unsigned slot)
{
	memset(&probe->slot[slot], 0xff, sizeof(probe->slot[slot])); /* TIME_NEVER_PS in every entry */
}

static inline void probe_stamp(struct probe *probe, unsigned slot, enum stage stage, uint64_t now_ps)
{
	probe->slot[slot].at_ps[stage] = now_ps;
}

#endif
