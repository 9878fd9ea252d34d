/* Observation: time stamps of requests on their way through the card, what the requests were, and doorbells, for the
 * latency breakdown, the trace and recordings.
 *
 * Blocks stamp the slot of a request when it passes them; the mover notes what it is told to do for it, which holds at
 * all offload levels. Nothing in the model reads any of this to decide anything. */
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

enum work_op {
	WORK_OTHER, /* the medium had no part in it: GET_ID, refused requests and the like */
	WORK_READ,
	WORK_WRITE,
	WORK_FLUSH,
	WORK_DISCARD,
	WORK_WRITE_ZEROES,
	WORK_SECURE_ERASE,
};

/* As many as fit into a slot's small memory, where the firmware has them read. */
#define WORK_RANGES_MAX (SLOT_LOCAL_BYTES / 16u)

/* What was done on the medium for a request. */
struct probe_work {
	uint64_t number; /* counts requests in the order in which they were taken from the rings, from 1 */
	enum work_op op;
	unsigned ranges; /* READ and WRITE: 1; FLUSH and OTHER: 0 */
	struct work_range {
		uint64_t sector, bytes;
	} range[WORK_RANGES_MAX];
};

/* Who is told; functions may be NULL. */
struct probe_observer {
	void *ctx;
	/* Request (queue, head) has been given back to the driver. */
	void (*retired)(void *ctx, unsigned queue, unsigned head, const struct stamps *stamps,
			const struct probe_work *work);
	/* The driver has written a doorbell, which gets to the notify unit at this time. */
	void (*doorbell)(void *ctx, uint64_t at_ps, unsigned queue);
};

struct probe {
	struct stamps slot[SLOTS];
	struct probe_work work[SLOTS];
	uint64_t in_flight[SLOTS]; /* number of the request in the slot, 0 = free */
	uint64_t taken;            /* requests so far */
	struct probe_observer observer;
};

/* A request has taken the slot. */
static inline void probe_begin(struct probe *probe, unsigned slot)
{
	memset(&probe->slot[slot], 0xff, sizeof(probe->slot[slot])); /* TIME_NEVER_PS in every entry */
	probe->in_flight[slot] = ++probe->taken;
	probe->work[slot].number = probe->taken;
	probe->work[slot].op = WORK_OTHER;
	probe->work[slot].ranges = 0;
}

/* The request has left it, given back to the driver or not. */
static inline void probe_end(struct probe *probe, unsigned slot)
{
	probe->in_flight[slot] = 0;
}

/* All requests with smaller numbers have left the card. */
static inline uint64_t probe_oldest(const struct probe *probe)
{
	uint64_t oldest = probe->taken + 1;
	for (unsigned i = 0; i < SLOTS; i++)
		if (probe->in_flight[i] != 0)
			oldest = min_u64(oldest, probe->in_flight[i]);
	return oldest;
}

static inline void probe_retired(struct probe *probe, unsigned slot, unsigned queue, unsigned head)
{
	const struct probe_observer *observer = &probe->observer;
	probe_end(probe, slot);
	if (observer->retired)
		observer->retired(observer->ctx, queue, head, &probe->slot[slot], &probe->work[slot]);
}

static inline void probe_doorbell(const struct probe *probe, uint64_t at_ps, unsigned queue)
{
	if (probe->observer.doorbell)
		probe->observer.doorbell(probe->observer.ctx, at_ps, queue);
}

/* The mover is given a job; requests with several ranges give it several. */
static inline void probe_note_work(struct probe *probe, unsigned slot, enum work_op op, uint64_t sector,
				   uint64_t bytes)
{
	struct probe_work *work = &probe->work[slot];
	work->op = op;
	if (bytes == 0 || work->ranges == WORK_RANGES_MAX)
		return;
	work->range[work->ranges].sector = sector;
	work->range[work->ranges++].bytes = bytes;
}

static inline void probe_stamp(struct probe *probe, unsigned slot, enum stage stage, uint64_t now_ps)
{
	probe->slot[slot].at_ps[stage] = now_ps;
}

#endif
