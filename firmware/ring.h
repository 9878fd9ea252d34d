/* State of the rings the core walks itself (ring.c). */
#ifndef KICKSTAND_FIRMWARE_RING_H
#define KICKSTAND_FIRMWARE_RING_H

#include "csr.h"

#include <stdbool.h>
#include <stdint.h>

#define WALKS_MAX 64u /* chains walked at a time */

enum ring_phase {
	RING_OFF,
	RING_RESTING,      /* waits for a doorbell */
	RING_READ_INDEX,   /* avail.idx is being read */
	RING_READ_ENTRIES, /* ring entries are being read */
	RING_WAIT_ROOM,    /* there are entries, but no free slot or walk */
};

struct ring {
	enum ring_phase phase;
	uint64_t desc, avail, used; /* guest addresses */
	uint16_t size;
	uint16_t next, seen; /* available indices: to take next, read last */
	uint16_t requested;  /* entries being read */
	bool armed;          /* avail_event is at `next` */
	bool again;          /* a doorbell came while busy */
	uint16_t copies;     /* outstanding for the ring itself */
	uint16_t walks;      /* chains being walked */
};

/* A chain being walked, by slot. It has exactly one copy outstanding. */
struct walk {
	bool indirect;            /* in an indirect table now */
	uint64_t table;           /* the table being walked */
	uint32_t entries, walked; /* of the table, and links followed in it */
	uint32_t first, count;    /* window in the slot's small memory */
	uint16_t header_segment;  /* the next piece of the header is there */
	uint16_t header_have;     /* header bytes asked for */
};

struct rings {
	struct ring ring[QUEUES_MAX];
	struct walk walk[SLOTS];
	unsigned walks;    /* in progress */
	bool waiting;      /* there may be rings in RING_WAIT_ROOM */
	unsigned favoured; /* queue that goes first when there is room again */
};

/* Rings wait for slots, which no event announces. (Where a chain is in their way, the end of its copy will.) */
static inline bool rings_wait_for_slots(const struct rings *rings)
{
	return rings->waiting && rings->walks < WALKS_MAX;
}

#endif
