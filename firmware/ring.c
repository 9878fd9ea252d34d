/* Split rings walked by the core itself (offload level firmware), with the copy engine for every access to guest memory.
 *
 * The same steps and checks as the fetch engine's (rtl-model/blocks/fetch): avail.idx, ring entries, descriptors in
 * windows from the head on, indirect tables, the request header; then doorbells are enabled again and the ring is looked
 * at once more. Each step starts a copy and goes on when the copy engine reports it done, so many requests are on their
 * way at a time. */
#include "firmware/card.h"
#include "firmware/virtio_defs.h"

#define ENTRIES_MAX 16u  /* ring entries per read */
#define WINDOW_DIRECT 4u /* descriptors per read of the table: one 64-byte read */
#define WINDOW_MAX (SLOT_LOCAL_BYTES / DESC_BYTES)

/* What a finished copy was for, in its tag, with the queue or slot it belongs to. */
enum copy_kind { COPY_INDEX, COPY_ENTRIES, COPY_ARM, COPY_WINDOW, COPY_HEADER };
#define TAG_INDEX_BITS 12u

enum ring_phase { RING_OFF, RING_RESTING, RING_READ_INDEX, RING_READ_ENTRIES, RING_WAIT_SLOT };

struct ring {
	enum ring_phase phase;
	uint64_t desc, avail, used;
	uint16_t size;
	uint16_t next, seen;   /* available indices: to take next, read last */
	uint16_t requested;    /* entries being read */
	bool armed;            /* avail_event is at `next` */
	bool again;            /* a doorbell came while busy */
	uint16_t copies;       /* outstanding for the ring itself */
	uint16_t walks;        /* chains being walked */
};

struct walk {
	bool indirect;
	uint64_t table;
	uint32_t entries, walked; /* of the table */
	uint32_t first, count;    /* window in the slot's small memory */
	uint32_t header_have;
	uint16_t header_segment, pieces;
	bool failed;
};

/* Scratch memory of a ring in the request memory. */
struct ring_scratch {
	uint8_t index[4];
	uint8_t arm[4];
	uint8_t entries[2 * ENTRIES_MAX];
	uint8_t unused[24];
};

static struct ring rings[QUEUES_MAX];
static struct walk walks[SLOTS];

static struct ring_scratch *scratch(unsigned queue)
{
	return (struct ring_scratch *)(hal_sram() + SRAM_SCRATCH_OFFSET) + queue;
}

static uint16_t get16(const uint8_t *p)
{
	return *(const uint16_t *)p;
}

static void copy(uint64_t host, const void *local, uint32_t bytes, bool to_guest, enum copy_kind kind, unsigned index)
{
	uint32_t tag = (uint32_t)kind << TAG_INDEX_BITS | index;
	while (reg_read(CSR_COPY_STATE_ADDR) == 0)
		; /* room comes as the DMA engine proceeds; what is done waits in COPY.DONE */
	reg_write(CSR_COPY_HOST_LO_ADDR, (uint32_t)host);
	reg_write(CSR_COPY_HOST_HI_ADDR, (uint32_t)(host >> 32));
	reg_write(CSR_COPY_LOCAL_ADDR, (uint32_t)((const uint8_t *)local - hal_sram()));
	reg_write(CSR_COPY_START_ADDR, bytes | (to_guest ? CSR_COPY_START_TO_GUEST_MASK : 0) |
					       tag << CSR_COPY_START_TAG_SHIFT);
}

/* ---- the ring ---- */

static void read_index(unsigned queue)
{
	struct ring *ring = &rings[queue];
	ring->phase = RING_READ_INDEX;
	ring->copies++;
	copy(ring->avail, scratch(queue)->index, 4, false, COPY_INDEX, queue);
}

/* With EVENT_IDX the driver is told which index is worth a doorbell; without, it always rings (used.flags stays 0). */
static void ring_empty(const struct card *card, unsigned queue)
{
	struct ring *ring = &rings[queue];
	bool arm = negotiated(card, F_EVENT_IDX) && !ring->armed;
	if (arm) {
		*(uint16_t *)scratch(queue)->arm = ring->next;
		ring->armed = true;
		ring->copies++;
		copy(ring->used + 4 + 8u * (uint64_t)ring->size, scratch(queue)->arm, 2, true, COPY_ARM, queue);
	}
	if (arm || ring->again) {
		ring->again = false;
		read_index(queue); /* travels behind the write */
		return;
	}
	ring->phase = RING_RESTING;
}

static void ring_continue(const struct card *card, unsigned queue)
{
	struct ring *ring = &rings[queue];
	unsigned available = (uint16_t)(ring->seen - ring->next);
	unsigned at = ring->next & (ring->size - 1u);
	if (available == 0) {
		ring_empty(card, queue);
		return;
	}
	ring->armed = false;
	if (available > ring->size - at)
		available = ring->size - at;
	if (available > ENTRIES_MAX)
		available = ENTRIES_MAX;
	ring->requested = (uint16_t)available;
	ring->phase = RING_READ_ENTRIES;
	ring->copies++;
	copy(ring->avail + 4 + 2u * at, scratch(queue)->entries, 2 * available, false, COPY_ENTRIES, queue);
}

static void index_read(struct card *card, unsigned queue)
{
	struct ring *ring = &rings[queue];
	uint16_t index = get16(scratch(queue)->index + 2);
	if ((uint16_t)(index - ring->next) > ring->size) { /* V-021, V-022 */
		ring->phase = RING_OFF;
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
	rings[slot->queue].walks--;
	blk_request(card, number);
}

static void read_window(unsigned number, uint32_t first)
{
	struct walk *walk = &walks[number];
	uint32_t wanted = walk->indirect ? WINDOW_MAX : WINDOW_DIRECT;
	walk->first = first;
	walk->count = wanted < walk->entries - first ? wanted : walk->entries - first;
	copy(walk->table + (uint64_t)DESC_BYTES * first, slot_local(number), walk->count * DESC_BYTES, false,
	     COPY_WINDOW, number);
}

/* The first 16 readable bytes, piece by piece as the driver has cut them (D-016). */
static void read_header(unsigned number)
{
	struct walk *walk = &walks[number];
	uint8_t *header = (uint8_t *)&slot_at(number)->type;
	while (walk->header_have < HEADER_BYTES) {
		const struct slot_segment *segment = &slot_segments(number)[walk->header_segment++];
		uint32_t bytes = HEADER_BYTES - walk->header_have;
		if (bytes > segment->bytes)
			bytes = segment->bytes;
		walk->pieces++;
		copy(segment->addr, header + walk->header_have, bytes, false, COPY_HEADER, number);
		walk->header_have += bytes;
	}
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
		read_header(number);
}

static uint32_t add_segment(unsigned number, uint64_t addr, uint32_t bytes, bool writable)
{
	struct slot *slot = slot_at(number);
	uint32_t *total = writable ? &slot->writable_bytes : &slot->readable_bytes;
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
		(struct slot_segment){ .addr = addr, .bytes = bytes, .flags = writable ? DESC_F_WRITE : 0 };
	slot->readable_segments += !writable;
	*total += bytes;
	return RECORD_ERROR_NONE;
}

static uint32_t check_indirect(const struct card *card, const struct walk *walk, uint64_t addr, uint32_t bytes,
			       uint16_t flags)
{
	if (!negotiated(card, F_INDIRECT_DESC))
		return RECORD_ERROR_INDIRECT_NOT_NEGOTIATED; /* V-008 */
	if (walk->indirect)
		return RECORD_ERROR_INDIRECT_NESTED; /* V-009 */
	if (flags & DESC_F_NEXT)
		return RECORD_ERROR_INDIRECT_AND_NEXT; /* V-010, V-011 */
	if (bytes == 0 || bytes % DESC_BYTES != 0)
		return RECORD_ERROR_INDIRECT_LENGTH; /* V-012, V-013 */
	if (addr + (bytes - 1) < addr)
		return RECORD_ERROR_ADDRESS_WRAP;
	return RECORD_ERROR_NONE;
}

struct desc {
	uint64_t addr;
	uint32_t bytes;
	uint16_t flags, next;
};

/* Takes the descriptors of the window that was read. Each is looked at once (V-024). */
static void parse_window(struct card *card, unsigned number)
{
	struct walk *walk = &walks[number];
	uint32_t index = walk->first;
	for (;;) {
		struct desc desc = ((const struct desc *)slot_local(number))[index - walk->first];
		uint32_t error;
		if (++walk->walked > walk->entries) { /* V-004, V-006 */
			walk_end(card, number, RECORD_ERROR_LOOP);
			return;
		}
		if (desc.flags & DESC_F_INDIRECT) {
			error = check_indirect(card, walk, desc.addr, desc.bytes, desc.flags);
			if (error != RECORD_ERROR_NONE) {
				walk_end(card, number, error);
				return;
			}
			walk->indirect = true;
			walk->table = desc.addr;
			walk->entries = desc.bytes / DESC_BYTES;
			walk->walked = 0;
			read_window(number, 0);
			return;
		}
		error = add_segment(number, desc.addr, desc.bytes, desc.flags & DESC_F_WRITE);
		if (error == RECORD_ERROR_NONE && (desc.flags & DESC_F_NEXT) && desc.next >= walk->entries)
			error = RECORD_ERROR_NEXT_RANGE; /* V-002, V-003 */
		if (error != RECORD_ERROR_NONE) {
			walk_end(card, number, error);
			return;
		}
		if (!(desc.flags & DESC_F_NEXT)) {
			chain_complete(card, number);
			return;
		}
		index = desc.next;
		if (index < walk->first || index >= walk->first + walk->count) {
			read_window(number, index);
			return;
		}
	}
}

static void walk_start(struct card *card, unsigned queue, unsigned number, uint16_t head)
{
	struct ring *ring = &rings[queue];
	struct slot *slot = slot_at(number);
	*slot = (struct slot){ .queue = (uint16_t)queue, .head = head, .sequence = ring->next };
	walks[number] = (struct walk){ .table = ring->desc, .entries = ring->size };
	ring->walks++;
	if (head >= ring->size) /* V-001 */
		walk_end(card, number, RECORD_ERROR_HEAD_RANGE);
	else
		read_window(number, head);
}

/* Starts the chains whose ring entries have been read, as far as there are slots. */
static void entries_start(struct card *card, unsigned queue)
{
	struct ring *ring = &rings[queue];
	const uint8_t *entries = scratch(queue)->entries;
	unsigned done;
	for (done = 0; done < ring->requested && !card->broken; done++) {
		uint32_t slot = reg_read(CSR_FETCH_SLOT_ALLOC_ADDR);
		if (!(slot & CSR_FETCH_SLOT_ALLOC_VALID_MASK))
			break;
		walk_start(card, queue, slot & CSR_FETCH_SLOT_ALLOC_SLOT_MASK, get16(entries + 2 * done));
		ring->next++;
	}
	if (card->broken)
		return;
	if (done == ring->requested) {
		ring->requested = 0;
		ring_continue(card, queue);
		return;
	}
	/* The rest is read again when a slot is free: cheaper than remembering it. */
	ring->requested = 0;
	ring->phase = RING_WAIT_SLOT;
	card->rings_waiting++;
}

/* ---- events ---- */

static void ring_copy_done(struct card *card, enum copy_kind kind, unsigned queue, bool error)
{
	struct ring *ring = &rings[queue];
	ring->copies--;
	if (ring->phase == RING_OFF || kind == COPY_ARM)
		return;
	if (error) { /* V-029 */
		ring->phase = RING_OFF;
		needs_reset(card);
	} else if (kind == COPY_INDEX) {
		index_read(card, queue);
	} else {
		entries_start(card, queue);
	}
}

static void walk_copy_done(struct card *card, enum copy_kind kind, unsigned number, bool error)
{
	struct walk *walk = &walks[number];
	if (kind == COPY_WINDOW) {
		if (error) /* V-014, V-029 */
			walk_end(card, number, RECORD_ERROR_DMA_DESCRIPTOR);
		else
			parse_window(card, number);
		return;
	}
	walk->failed |= error;
	if (--walk->pieces == 0)
		walk_end(card, number, walk->failed ? RECORD_ERROR_DMA_HEADER : RECORD_ERROR_NONE);
}

/* Rings that ran out of slots go on when there are some again. */
void rings_retry(struct card *card)
{
	uint32_t slot = reg_read(CSR_FETCH_SLOT_ALLOC_ADDR);
	if (!(slot & CSR_FETCH_SLOT_ALLOC_VALID_MASK))
		return;
	reg_write(CSR_FETCH_SLOT_FREE_ADDR, slot & CSR_FETCH_SLOT_ALLOC_SLOT_MASK);
	for (unsigned i = 0; i < card->queues; i++)
		if (rings[i].phase == RING_WAIT_SLOT)
			ring_continue(card, i);
	card->rings_waiting = 0;
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
		if (card->broken || rings[queue].phase == RING_OFF)
			continue;
		if (rings[queue].phase == RING_RESTING)
			read_index(queue);
		else
			rings[queue].again = true;
	}
}

void ring_start(unsigned queue, const struct queue_setup *setup)
{
	rings[queue] = (struct ring){
		.phase = RING_RESTING,
		.desc = setup->desc[0] | (uint64_t)setup->desc[1] << 32,
		.avail = setup->driver[0] | (uint64_t)setup->driver[1] << 32,
		.used = setup->device[0] | (uint64_t)setup->device[1] << 32,
		.size = (uint16_t)setup->size,
	};
}

void ring_stop(unsigned queue)
{
	rings[queue].phase = RING_OFF;
}

bool ring_busy(unsigned queue)
{
	return rings[queue].copies != 0 || rings[queue].walks != 0;
}

void rings_forget(struct card *card)
{
	card->rings_waiting = 0;
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		rings[i] = (struct ring){ 0 };
}
