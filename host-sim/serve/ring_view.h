/* A guest's split ring as the card sees it.
 *
 * A driver of a virtio PCI function always starts a ring at index 0; the protocol's rings start anywhere, and after a server
 * was killed some heads have to be done again. So the card is not shown the guest's rings but windows of ours: reads and
 * writes of them go to the guest's rings with indices translated. (The descriptor table is the guest's own.)
 *
 *   card's available index v  <->  guest's index v + avail_offset    entries below `redo` are heads to be done again
 *   card's used index u       <->  guest's index u + used_offset     used_event and avail_event likewise
 *
 * With `base` the guest's next index and K heads to be done again, avail_offset is base - K. Guest memory is read once
 * per entry and loaded and stored in naturally aligned pieces: an element before the index that publishes it. */
#ifndef KICKSTAND_HOST_SIM_SERVE_RING_VIEW_H
#define KICKSTAND_HOST_SIM_SERVE_RING_VIEW_H

#include "host-sim/memory.h"
#include "host-sim/serve/vhost_user_inflight.h"

struct ring_view {
	uint16_t size;
	uint8_t *guest_avail, *guest_used;
	struct inflight inflight;
	uint16_t avail_offset, used_offset;
	uint16_t redo;    /* heads that are done again; for the log */
	uint16_t exposed; /* avail.idx as the card has been shown it */
	uint16_t used;    /* used.idx as the card has written it */
	bool frozen;      /* nothing new is shown */
	bool cut;         /* nothing the card writes reaches the guest any more */
	/* The windows' contents as the card sees them. */
	uint8_t *avail_image, *used_image;
	/* Where they are. */
	struct memory *memory; /* NULL: nowhere */
	uint64_t avail_addr, used_addr;
};

/* Bytes of the rings of that size, as the guest has them. */
uint32_t ring_avail_bytes(uint16_t size);
uint32_t ring_used_bytes(uint16_t size);

struct ring_view_setup {
	uint16_t size;
	uint8_t *avail, *used; /* the guest's; aligned to 2 and 4 bytes */
	uint16_t base;         /* next available index; with in-flight tracking the rings themselves tell */
	struct inflight inflight;
};

/* Looks at the rings as they are and begins a life of the card's ring at index 0. Returns 0, or -1 when out of memory. */
MUST_USE int ring_view_create(struct ring_view *view, const struct ring_view_setup *setup);
void ring_view_free(struct ring_view *view);

/* Puts the windows at these addresses; 0, or -1 if something else is there. */
MUST_USE int ring_view_show(struct ring_view *view, struct memory *memory, uint64_t avail_addr,
			    uint64_t used_addr);
void ring_view_hide(struct ring_view *view);

/* Nothing new is shown from now on, or again. */
void ring_view_freeze(struct ring_view *view, bool frozen);
/* Whether everything that was shown has been given back. */
bool ring_view_drained(const struct ring_view *view);
/* The guest's next available index: of what has not been shown. With heads shown and not given back, which only a card that
 * was stopped by force leaves: the first of as many. */
uint16_t ring_view_base(const struct ring_view *view);

/* Accesses of the card, at an offset of the window; reads beyond the end are zero, writes there are dropped. */
void ring_view_read_avail(struct ring_view *view, uint32_t offset, uint32_t bytes, uint8_t *data);
void ring_view_read_used(struct ring_view *view, uint32_t offset, uint32_t bytes, uint8_t *data);
/* False if it makes no sense: a used index that jumps. */
bool ring_view_write_used(struct ring_view *view, uint32_t offset, uint32_t bytes, const uint8_t *data);

#endif
