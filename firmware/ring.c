/* Split rings walked by the core itself (offload level firmware), with the copy engine for every access to guest memory.
 *
 * The same steps and checks as the fetch engine's (rtl-model/blocks/fetch): avail.idx, ring entries, descriptors in
 * windows from the head on, indirect tables, the request header; then doorbells are enabled again and the ring is looked
 * at once more. Each step starts a copy and goes on when the copy engine reports it done, so many requests are on their
 * way at a time. A ring has two copies outstanding at most and a chain one: the copy engine has room for all of them,
 * and the core never has to wait for it. */
#include "firmware/card.h"

#define ENTRIES_MAX   16u /* ring entries per read */
#define WINDOW_DIRECT 4u  /* descriptors per read of the table: one 64-byte read */
#define WINDOW_MAX    (SLOT_LOCAL_BYTES / DESC_BYTES)
#define RING_COPIES   2u /* a ring writes avail_event and reads avail.idx at the same time */

/* What a finished copy was for, in its tag, with the queue or slot it belongs to. */
enum copy_kind { COPY_INDEX, COPY_ENTRIES, COPY_ARM, COPY_WINDOW, COPY_HEADER };
#define TAG_INDEX_BITS 12u

/* Scratch memory of a ring in the request memory. */
struct ring_scratch {
	uint16_t flags, index; /* the head of the available ring */
	uint16_t arm;          /* avail_event to be written */
	uint16_t entries[ENTRIES_MAX];
	uint16_t unused[13];
};
_Static_assert(sizeof(struct ring_scratch) * QUEUES_MAX <= SRAM_BYTES - SRAM_SCRATCH_OFFSET,
	       "scratch memory");

struct desc {
	uint64_t addr;
	uint32_t bytes;
	uint16_t flags, next;
};
_Static_assert(sizeof(struct desc) == DESC_BYTES, "virtio 1.4 §2.7.5");

static struct ring_scratch *scratch(unsigned queue)
{
	void *first = hal_sram() + SRAM_SCRATCH_OFFSET;
	return (struct ring_scratch *)first + queue;
}

static void copy(uint64_t host, const void *local, uint32_t bytes, bool to_guest, enum copy_kind kind,
		 unsigned index)
{
	uint32_t tag = (uint32_t)kind << TAG_INDEX_BITS | index;
	reg_write(CSR_COPY_HOST_LO_ADDR, (uint32_t)host);
	reg_write(CSR_COPY_HOST_HI_ADDR, (uint32_t)(host >> 32));
	reg_write(CSR_COPY_LOCAL_ADDR, (uint32_t)((const uint8_t *)local - hal_sram()));
	reg_write(CSR_COPY_START_ADDR,
		  bytes | (to_guest ? CSR_COPY_START_TO_GUEST_MASK : 0) | tag << CSR_COPY_START_TAG_SHIFT);
}

/* ---- the ring ---- */

static void read_index(struct ring *ring, unsigned queue)
{
	ring->phase = RING_READ_INDEX;
	ring->copies++;
	copy(ring->avail, &scratch(queue)->flags, 4, false, COPY_INDEX, queue);
}

/* With EVENT_IDX the driver is told which index is worth a doorbell; without, it always rings (used.flags stays 0). */
static void ring_empty(struct card *card, unsigned queue)
{
	struct ring *ring = &card->rings.ring[queue];
	bool arm = negotiated(card, F_EVENT_IDX) && !ring->armed;
	if (arm) {
		scratch(queue)->arm = ring->next;
		ring->armed = true;
		ring->copies++;
		copy(ring->used + 4 + 8u * (uint64_t)ring->size, &scratch(queue)->arm, 2, true, COPY_ARM,
		     queue);
	}
	if (arm || ring->again) {
		ring->again = false;
		read_index(ring, queue); /* travels behind the write */
		return;
	}
	ring->phase = RING_RESTING;
}

static void ring_continue(struct card *card, unsigned queue)
{
	struct ring *ring = &card->rings.ring[queue];
	unsigned available = (uint16_t)(ring->seen - ring->next);
	unsigned at = ring->next & (ring->size - 1u);
	if (available == 0) {
		ring_empty(card, queue);
		return;
	}
	ring->armed = false;
	available = min_u32(min_u32(available, ring->size - at), ENTRIES_MAX);
	ring->requested = (uint16_t)available;
	ring->phase = RING_READ_ENTRIES;
	ring->copies++;
	copy(ring->avail + 4 + 2u * at, scratch(queue)->entries, 2 * available, false, COPY_ENTRIES, queue);
}

static void index_read(struct card *card, unsigned queue)
{
	struct ring *ring = &card->rings.ring[queue];
	uint16_t index = scratch(queue)->index;
	if ((uint16_t)(index - ring->next) > ring->size) { /* V-021, V-022 */
		needs_reset(card);
		return;
	}
	ring->seen = index;
	ring_continue(card, queue);
}

/* ---- chains ---- */

static void walk_end(struct card *card, unsigned number, uint32_t error)
{
	struct slot *slot = slot_at(number);
	slot->error = (uint16_t)error;
	card->rings.ring[slot->queue].walks--;
	card->rings.walks--;
	blk_request(card, number);
}

static void read_window(struct walk *walk, unsigned number, uint32_t first)
{
	uint32_t wanted = walk->indirect ? WINDOW_MAX : WINDOW_DIRECT;
	walk->first = first;
	walk->count = min_u32(wanted, walk->entries - first);
	copy(walk->table + (uint64_t)DESC_BYTES * first, slot_local(number), walk->count * DESC_BYTES, false,
	     COPY_WINDOW, number);
}

/* Reads the next piece of the first 16 readable bytes, as the driver has cut them (D-016). */
static void read_header(struct walk *walk, unsigned number)
{
	const struct slot_segment *segment = &slot_segments(number)[walk->header_segment++];
	uint32_t bytes = min_u32(segment->bytes, HEADER_BYTES - walk->header_have);
	copy(segment->addr, (uint8_t *)&slot_at(number)->type + walk->header_have, bytes, false, COPY_HEADER,
	     number);
	walk->header_have = (uint16_t)(walk->header_have + bytes);
}

static void chain_complete(struct card *card, unsigned number)
{
	struct slot *slot = slot_at(number);
	if (slot->writable_bytes == 0) { /* V-086 */
		walk_end(card, number, RECORD_ERROR_NO_STATUS);
		return;
	}
	const struct slot_segment *last = &slot_segments(number)[slot->segments - 1];
	slot->status_addr = last->addr + last->bytes - 1;
	if (slot->readable_bytes < HEADER_BYTES) /* V-087 */
		walk_end(card, number, RECORD_ERROR_SHORT_HEADER);
	else
		read_header(&card->rings.walk[number], number);
}

static uint32_t add_segment(unsigned number, uint64_t addr, uint32_t bytes, bool writable)
{
	struct slot *slot = slot_at(number);
	if (bytes == 0)
		return RECORD_ERROR_ZERO_LENGTH; /* V-016, V-017 */
	if (addr + (bytes - 1) < addr)
		return RECORD_ERROR_ADDRESS_WRAP; /* V-020 */
	if (!writable && slot->writable_bytes != 0)
		return RECORD_ERROR_ORDER; /* V-015 */
	if (slot->segments == SLOT_SEGMENTS_MAX ||
	    (uint64_t)slot->readable_bytes + slot->writable_bytes + bytes > UINT32_MAX)
		return RECORD_ERROR_TOO_LONG; /* V-005, V-007 */
	slot_segments(number)[slot->segments++] =
		(struct slot_segment){.addr = addr, .bytes = bytes, .flags = writable ? DESC_F_WRITE : 0};
	slot->readable_segments += !writable;
	*(writable ? &slot->writable_bytes : &slot->readable_bytes) += bytes;
	return RECORD_ERROR_NONE;
}

static uint32_t check_indirect(const struct card *card, const struct walk *walk, const struct desc *desc)
{
	if (!negotiated(card, F_INDIRECT_DESC))
		return RECORD_ERROR_INDIRECT_NOT_NEGOTIATED; /* V-008 */
	if (walk->indirect)
		return RECORD_ERROR_INDIRECT_NESTED; /* V-009 */
	if (desc->flags & DESC_F_NEXT)
		return RECORD_ERROR_INDIRECT_AND_NEXT; /* V-010, V-011 */
	if (desc->bytes == 0 || desc->bytes % DESC_BYTES != 0)
		return RECORD_ERROR_INDIRECT_LENGTH; /* V-012, V-013 */
	if (desc->addr + (desc->bytes - 1) < desc->addr)
		return RECORD_ERROR_ADDRESS_WRAP;
	return RECORD_ERROR_NONE;
}

/* Goes from the ring's table, or what has been walked of it, to the indirect one (D-021, D-022). */
static uint32_t enter_indirect(const struct card *card, struct walk *walk, unsigned number,
			       const struct desc *desc)
{
	uint32_t error = check_indirect(card, walk, desc);
	if (error != RECORD_ERROR_NONE)
		return error;
	walk->indirect = true;
	walk->table = desc->addr;
	walk->entries = desc->bytes / DESC_BYTES;
	walk->walked = 0;
	read_window(walk, number, 0);
	return RECORD_ERROR_NONE;
}

/* Takes the descriptors of the window that was read. Each is looked at once (V-024). */
static void parse_window(struct card *card, unsigned number)
{
	struct walk *walk = &card->rings.walk[number];
	const struct desc *window = slot_local(number);
	uint32_t index = walk->first, error;
	do {
		const struct desc *desc = &window[index - walk->first];
		if (desc->flags & DESC_F_INDIRECT) {
			error = enter_indirect(card, walk, number, desc);
			if (error != RECORD_ERROR_NONE)
				walk_end(card, number, error);
			return;
		}
		error = add_segment(number, desc->addr, desc->bytes, desc->flags & DESC_F_WRITE);
		if (error == RECORD_ERROR_NONE && (desc->flags & DESC_F_NEXT) && desc->next >= walk->entries)
			error = RECORD_ERROR_NEXT_RANGE; /* V-002, V-003 */
		if (error != RECORD_ERROR_NONE) {
			walk_end(card, number, error);
			return;
		}
		if (!(desc->flags & DESC_F_NEXT)) {
			chain_complete(card, number);
			return;
		}
		if (++walk->walked == walk->entries) { /* V-004, V-006: as many links as entries are a loop */
			walk_end(card, number, RECORD_ERROR_LOOP);
			return;
		}
		index = desc->next;
	} while (index >= walk->first && index < walk->first + walk->count);
	read_window(walk, number, index);
}

static void walk_start(struct card *card, unsigned queue, unsigned number, uint16_t head)
{
	struct ring *ring = &card->rings.ring[queue];
	struct walk *walk = &card->rings.walk[number];
	struct slot *slot = slot_at(number);
	slot->queue = (uint16_t)queue;
	slot->head = head;
	slot->sequence = ring->next;
	slot->segments = slot->readable_segments = 0;
	slot->readable_bytes = slot->writable_bytes = 0;
	*walk = (struct walk){.table = ring->desc, .entries = ring->size};
	ring->walks++;
	card->rings.walks++;
	if (head >= ring->size) /* V-001 */
		walk_end(card, number, RECORD_ERROR_HEAD_RANGE);
	else
		read_window(walk, number, head);
}

/* ---- room ---- */

/* A free slot for a chain and leave to walk it. False if there is none. */
static bool take_room(struct card *card, unsigned *number)
{
	if (card->rings.walks == WALKS_MAX)
		return false;
	uint32_t slot = reg_read(CSR_FETCH_SLOT_ALLOC_ADDR);
	*number = slot & CSR_FETCH_SLOT_ALLOC_SLOT_MASK;
	return slot & CSR_FETCH_SLOT_ALLOC_VALID_MASK;
}

/* Starts the chains whose ring entries have been read, as far as there is room. The rest is read again when there is
 * some: cheaper than remembering it. */
static void entries_start(struct card *card, unsigned queue)
{
	struct ring *ring = &card->rings.ring[queue];
	const uint16_t *entries = scratch(queue)->entries;
	for (unsigned i = 0; i < ring->requested; i++) {
		unsigned number;
		if (!take_room(card, &number)) {
			ring->phase = RING_WAIT_ROOM;
			card->rings.waiting = true;
			return;
		}
		walk_start(card, queue, number, entries[i]);
		if (ring->phase == RING_OFF) /* the chain was bad: all rings have been stopped */
			return;
		ring->next++;
	}
	ring_continue(card, queue);
}

/* Lets the waiting rings go on if there is room again, another one first each time. */
void rings_retry(struct card *card)
{
	struct rings *rings = &card->rings;
	unsigned number, queue = rings->favoured;
	if (!take_room(card, &number))
		return;
	reg_write(CSR_FETCH_SLOT_FREE_ADDR, number);
	rings->waiting = false;
	for (unsigned i = 0; i < card->queues; i++) {
		if (rings->ring[queue].phase == RING_WAIT_ROOM)
			ring_continue(card, queue);
		queue = queue + 1 < card->queues ? queue + 1 : 0;
	}
	rings->favoured = queue + 1 < card->queues ? queue + 1 : 0;
}

/* ---- events ---- */

static void ring_copy_done(struct card *card, enum copy_kind kind, unsigned queue, bool error)
{
	struct ring *ring = &card->rings.ring[queue];
	ring->copies--;
	if (ring->phase == RING_OFF || kind == COPY_ARM)
		return;
	if (error) /* V-029 */
		needs_reset(card);
	else if (kind == COPY_INDEX)
		index_read(card, queue);
	else
		entries_start(card, queue);
}

static void walk_copy_done(struct card *card, enum copy_kind kind, unsigned number, bool error)
{
	struct walk *walk = &card->rings.walk[number];
	if (card->rings.ring[slot_at(number)->queue].phase == RING_OFF)
		walk_end(card, number, RECORD_ERROR_NONE); /* only to be dropped */
	else if (error)                                    /* V-014, V-018, V-029 */
		walk_end(card, number,
			 kind == COPY_HEADER ? RECORD_ERROR_DMA_HEADER : RECORD_ERROR_DMA_DESCRIPTOR);
	else if (kind == COPY_WINDOW)
		parse_window(card, number);
	else if (walk->header_have < HEADER_BYTES)
		read_header(walk, number);
	else
		walk_end(card, number, RECORD_ERROR_NONE);
}

void ring_copy_event(struct card *card)
{
	uint32_t done;
	while ((done = reg_read(CSR_COPY_DONE_ADDR)) & CSR_COPY_DONE_VALID_MASK) {
		uint32_t tag = done & CSR_COPY_DONE_TAG_MASK;
		enum copy_kind kind = (enum copy_kind)(tag >> TAG_INDEX_BITS);
		unsigned index = tag & ((1u << TAG_INDEX_BITS) - 1);
		bool error = done & CSR_COPY_DONE_ERROR_MASK;
		if (kind <= COPY_ARM)
			ring_copy_done(card, kind, index, error);
		else
			walk_copy_done(card, kind, index, error);
	}
}

void ring_service_event(struct card *card)
{
	uint32_t service;
	while ((service = reg_read(CSR_NOTIFY_SERVICE_ADDR)) & CSR_NOTIFY_SERVICE_VALID_MASK) {
		unsigned queue = service & CSR_NOTIFY_SERVICE_QUEUE_MASK;
		struct ring *ring = &card->rings.ring[queue];
		if (ring->phase == RING_RESTING)
			read_index(ring, queue);
		else
			ring->again = true;
	}
}

/* ---- starting and stopping ---- */

void rings_init(void)
{
	firmware_assert(reg_read(CSR_COPY_STATE_ADDR) >= RING_COPIES * QUEUES_MAX + WALKS_MAX);
}

void ring_start(struct card *card, unsigned queue, const struct queue_setup *setup)
{
	card->rings.ring[queue] = (struct ring){
		.phase = RING_RESTING,
		.desc = setup->desc[0] | (uint64_t)setup->desc[1] << 32,
		.avail = setup->driver[0] | (uint64_t)setup->driver[1] << 32,
		.used = setup->device[0] | (uint64_t)setup->device[1] << 32,
		.size = (uint16_t)setup->size,
	};
}

void ring_stop(struct card *card, unsigned queue)
{
	card->rings.ring[queue].phase = RING_OFF;
}

bool ring_busy(const struct card *card, unsigned queue)
{
	const struct ring *ring = &card->rings.ring[queue];
	return ring->copies != 0 || ring->walks != 0;
}

void rings_forget(struct card *card)
{
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		card->rings.ring[i] = (struct ring){0};
	card->rings.walks = 0;
	card->rings.waiting = false;
}
