/* Which doorbell and service brought a request: observation only, the same for model and RTL. A queue that is rung while its
 * ring is being read looks once more; what that second look finds was brought by the first doorbell since the look before. */
#ifndef KICKSTAND_RTL_MODEL_BLOCKS_FETCH_RING_STAMPS_H
#define KICKSTAND_RTL_MODEL_BLOCKS_FETCH_RING_STAMPS_H

#include <stdbool.h>
#include <stdint.h>

struct ring_stamps {
	uint64_t doorbell_ps, service_ps; /* of what is being read or has been read */
	bool heard;                       /* a service came since avail.idx was asked for */
	uint64_t heard_doorbell_ps, heard_service_ps;
};

static inline void ring_stamps_service(struct ring_stamps *stamps, uint64_t doorbell_ps, uint64_t now_ps)
{
	if (stamps->heard)
		return;
	stamps->heard = true;
	stamps->heard_doorbell_ps = doorbell_ps;
	stamps->heard_service_ps = now_ps;
}

/* avail.idx is asked for. Without a service the stamps stay: older than any request that will be found. */
static inline void ring_stamps_look(struct ring_stamps *stamps)
{
	if (!stamps->heard)
		return;
	stamps->heard = false;
	stamps->doorbell_ps = stamps->heard_doorbell_ps;
	stamps->service_ps = stamps->heard_service_ps;
}

#endif
