#include "rtl-model/blocks/fetch/fetch.h"

#include <stdlib.h>

#include <linux/virtio_ring.h>

#define WALKERS_MAX 64u
#define WINDOW_MAX 32u     /* descriptors of one read */
#define BATCH_MAX 256u
#define HEADS 256u
#define DESC_BYTES 16u
/* A header cut into more pieces is read in rounds. With this bound no guest can make the engine have more than
 * WALKERS_MAX * 4 + QUEUES_MAX * 3 transfers outstanding, which fits the DMA channel. */
#define HEADER_READS 4u

/* Available ring: flags, idx, ring[]; used ring: flags, idx, ring[] of 8 bytes (virtio 1.4 §2.7.6, §2.7.8). */
#define AVAIL_RING_OFFSET 4u
#define USED_RING_OFFSET 4u
#define USED_ELEMENT_BYTES 8u

enum queue_state {
	QUEUE_STOPPED,
	QUEUE_RESTING,    /* waits for a service */
	QUEUE_READ_INDEX, /* avail.idx is being read */
	QUEUE_READ_RING,  /* ring entries are being read */
	QUEUE_READ_BOTH,  /* both, the entries on the driver's word (NOTIFICATION_DATA) */
	QUEUE_WAIT_ROOM,  /* entries are known to be there, slots or heads are short */
	QUEUE_FAULT,
};

struct queue {
	/* registers */
	uint64_t desc, avail, used;
	uint16_t size;
	bool event_idx, indirect, poll;
	/* state */
	enum queue_state state;
	uint16_t next;        /* available index to take next */
	uint16_t seen;        /* avail.idx as read last */
	uint16_t requested;   /* entries being read */
	bool armed;           /* doorbells are enabled and the ring was looked at after that */
	bool suppressed;      /* used.flags was set to NO_NOTIFY */
	bool again;           /* a service came while busy */
	bool quiet;           /* the service that started this found nothing yet */
	unsigned reads;       /* ring-level reads outstanding */
	unsigned chains;      /* heads waiting and chains being walked */
	uint8_t error;
	uint64_t doorbell_ps, service_ps;
	/* memory for transfers */
	uint8_t index_data[4];
	uint8_t arm_data[2];
	uint8_t ring_data[BATCH_MAX * 2];
};

struct head {
	uint16_t queue, head, sequence;
	uint64_t doorbell_ps, service_ps, head_ps;
};

enum walker_state { WALKER_FREE, WALKER_TABLE, WALKER_HEADER };

struct walker {
	enum walker_state state;
	uint16_t queue, slot;
	bool indirect;           /* in an indirect table now */
	uint64_t table;          /* address of the table being walked */
	uint32_t entries;        /* in it */
	uint32_t walked;         /* descriptors taken from it: more than entries means a loop */
	uint32_t first, count;   /* window that was read */
	unsigned pieces;         /* header reads outstanding */
	uint32_t header_have;    /* header bytes asked for */
	uint16_t header_segment; /* segment the next ones are in */
	bool header_failed;
	uint64_t readable, writable;
	uint8_t window[WINDOW_MAX * DESC_BYTES];
};

struct fetch {
	struct fetch_ports ports;
	struct service_fifo services;
	struct dma_done_fifo done;
	struct record_fifo records;
	uint64_t period_ps;
	unsigned parse_cycles, batch, prefetch, inflight;
	struct queue queue[QUEUES_MAX];
	uint64_t faults;
	unsigned csr_queue;
	struct head head[HEADS];
	uint32_t heads_first, heads_last;
	struct walker walker[WALKERS_MAX];
	unsigned walkers_busy;
	uint16_t free_slot[SLOTS];
	unsigned free_slots;
	unsigned entries_requested; /* ring entries being read, of all queues */
	uint64_t rooms_wanted;  /* queues in QUEUE_WAIT_ROOM */
	uint64_t parser_free_ps;
	struct fetch_stats stats;
};

/* ---- DMA cookies: what a completion is for ---- */

enum cookie_kind { COOKIE_INDEX, COOKIE_RING, COOKIE_ARM, COOKIE_TABLE, COOKIE_HEADER };

static uint32_t cookie(enum cookie_kind kind, unsigned index)
{
	return (uint32_t)kind << 16 | index;
}

static void dma_read(struct fetch *fetch, uint64_t at_ps, uint64_t addr, uint32_t bytes, uint8_t *data, uint32_t c)
{
	dma_request_fifo_push(fetch->ports.dma, at_ps,
			      (struct dma_request){ .addr = addr, .bytes = bytes, .data = data, .cookie = c });
}

static void dma_write(struct fetch *fetch, uint64_t at_ps, uint64_t addr, uint32_t bytes, uint8_t *data, uint32_t c)
{
	dma_request_fifo_push(
		fetch->ports.dma, at_ps,
		(struct dma_request){ .addr = addr, .bytes = bytes, .write = true, .data = data, .cookie = c });
}

/* ---- slots and records ---- */

static struct slot *slot_at(const struct fetch *fetch, unsigned slot)
{
	return (struct slot *)(fetch->ports.sram + (size_t)slot * SLOT_BYTES);
}

static struct slot_segment *segments_of(const struct fetch *fetch, unsigned slot)
{
	return (struct slot_segment *)(fetch->ports.sram + (size_t)slot * SLOT_BYTES + SLOT_SEGMENT_OFFSET);
}

static unsigned slot_take(struct fetch *fetch)
{
	ASSERT(fetch->free_slots != 0);
	unsigned slot = fetch->free_slot[--fetch->free_slots];
	probe_clear(fetch->ports.probe, slot);
	return slot;
}

/* ---- rings ---- */

static unsigned heads_waiting(const struct fetch *fetch)
{
	return fetch->heads_last - fetch->heads_first;
}

/* Ring entries that may be taken now: every head, waiting or being read, is sure of a slot. */
static unsigned room_for_heads(const struct fetch *fetch)
{
	unsigned reserved = heads_waiting(fetch) + fetch->entries_requested;
	return fetch->free_slots > reserved ? fetch->free_slots - reserved : 0;
}

static void read_index(struct fetch *fetch, uint64_t now_ps, struct queue *queue)
{
	queue->state = QUEUE_READ_INDEX;
	queue->reads++;
	fetch->stats.index_reads++;
	dma_read(fetch, now_ps, queue->avail, 4, queue->index_data,
		 cookie(COOKIE_INDEX, (unsigned)(queue - fetch->queue)));
}

static void read_ring(struct fetch *fetch, uint64_t now_ps, struct queue *queue, unsigned count)
{
	unsigned slot = queue->next & (queue->size - 1u);
	queue->requested = (uint16_t)count;
	fetch->entries_requested += count;
	queue->reads++;
	fetch->stats.ring_reads++;
	dma_read(fetch, now_ps, queue->avail + AVAIL_RING_OFFSET + 2u * slot, 2 * count, queue->ring_data,
		 cookie(COOKIE_RING, (unsigned)(queue - fetch->queue)));
}

/* As many entries as one read may bring: batch, end of the ring, room. */
static unsigned entries_to_read(const struct fetch *fetch, const struct queue *queue, unsigned wanted)
{
	unsigned to_end = queue->size - (queue->next & (queue->size - 1u));
	return min_u32(min_u32(wanted, to_end), min_u32(fetch->batch, room_for_heads(fetch)));
}

static void rest(struct queue *queue)
{
	queue->state = QUEUE_RESTING;
}

static void ring_fault(struct fetch *fetch, uint64_t now_ps, struct queue *queue, uint8_t error)
{
	queue->state = QUEUE_FAULT;
	queue->error = error;
	fetch->faults |= UINT64_C(1) << (queue - fetch->queue);
	fetch->stats.faults++;
	waker_wake(fetch->ports.events, now_ps);
}

/* used.flags: what drivers without EVENT_IDX look at (virtio 1.4 §2.7.10). */
static void write_used_flags(struct fetch *fetch, uint64_t now_ps, struct queue *queue, bool suppress)
{
	queue->suppressed = suppress;
	store_le16(queue->arm_data, suppress ? VRING_USED_F_NO_NOTIFY : 0);
	fetch->stats.arm_writes++;
	queue->reads++;
	dma_write(fetch, now_ps, queue->used, 2, queue->arm_data,
		  cookie(COOKIE_ARM, (unsigned)(queue - fetch->queue)));
}

/* avail_event, behind the used ring: "kick when you publish this index". */
static void write_avail_event(struct fetch *fetch, uint64_t now_ps, struct queue *queue)
{
	store_le16(queue->arm_data, queue->next);
	fetch->stats.arm_writes++;
	queue->reads++;
	dma_write(fetch, now_ps, queue->used + USED_RING_OFFSET + (uint64_t)USED_ELEMENT_BYTES * queue->size, 2,
		  queue->arm_data, cookie(COOKIE_ARM, (unsigned)(queue - fetch->queue)));
}

/* The ring is empty as far as we know: re-enable doorbells and look once more, or rest. */
static void ring_empty(struct fetch *fetch, uint64_t now_ps, struct queue *queue)
{
	if (queue->poll) {
		queue->armed = false;
		if (!queue->event_idx && !queue->suppressed)
			write_used_flags(fetch, now_ps, queue, true);
		read_index(fetch, now_ps, queue);
		return;
	}
	bool arm = queue->event_idx ? !queue->armed : queue->suppressed;
	queue->armed = true;
	if (arm && queue->event_idx)
		write_avail_event(fetch, now_ps, queue);
	else if (arm)
		write_used_flags(fetch, now_ps, queue, false);
	if (arm || queue->again) {
		queue->again = false;
		read_index(fetch, now_ps, queue); /* travels behind the write */
		return;
	}
	rest(queue);
}

/* Goes on with a queue whose `seen` may be ahead of `next`. */
static void ring_continue(struct fetch *fetch, uint64_t now_ps, struct queue *queue)
{
	unsigned available = (uint16_t)(queue->seen - queue->next);
	if (available == 0) {
		ring_empty(fetch, now_ps, queue);
		return;
	}
	if (queue->event_idx)
		queue->armed = false; /* avail_event is behind avail.idx: no more kicks until it is written again */
	unsigned count = entries_to_read(fetch, queue, available);
	if (count == 0) {
		fetch->stats.stall_no_slot++;
		queue->state = QUEUE_WAIT_ROOM;
		fetch->rooms_wanted |= UINT64_C(1) << (queue - fetch->queue);
		return;
	}
	queue->state = QUEUE_READ_RING;
	read_ring(fetch, now_ps, queue, count);
}

/* avail.idx has been read. False: a fault. */
static bool take_index(struct fetch *fetch, uint64_t now_ps, struct queue *queue)
{
	uint16_t index = load_le16(queue->index_data + 2);
	if ((uint16_t)(index - queue->next) > queue->size) { /* V-021, V-022 */
		ring_fault(fetch, now_ps, queue, RECORD_ERROR_AVAIL_RANGE);
		return false;
	}
	queue->seen = index;
	if (queue->quiet && index == queue->next)
		fetch->stats.empty_services++;
	queue->quiet = false;
	return true;
}

/* Ring entries have been read: `count` of them are sure to be valid. */
static void take_entries(struct fetch *fetch, uint64_t now_ps, struct queue *queue, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct head *head = &fetch->head[fetch->heads_last++ % HEADS];
		*head = (struct head){
			.queue = (uint16_t)(queue - fetch->queue),
			.head = load_le16(queue->ring_data + (size_t)2 * i),
			.sequence = queue->next++,
			.doorbell_ps = queue->doorbell_ps,
			.service_ps = queue->service_ps,
			.head_ps = now_ps,
		};
		queue->chains++;
	}
	fetch->stats.ring_entries += count;
	ring_continue(fetch, now_ps, queue);
}

static void ring_done(struct fetch *fetch, uint64_t now_ps, struct queue *queue, enum cookie_kind kind,
		      enum dma_status status)
{
	queue->reads--;
	if (kind == COOKIE_RING)
		fetch->entries_requested -= queue->requested;
	if (queue->state == QUEUE_STOPPED || queue->state == QUEUE_FAULT || kind == COOKIE_ARM)
		return;
	if (status != DMA_OK) { /* V-029 */
		ring_fault(fetch, now_ps, queue, RECORD_ERROR_DMA_RING);
		return;
	}
	if (queue->state == QUEUE_READ_BOTH) {
		/* The second of the two decides; the first to come back only leaves its data. */
		queue->state = kind == COOKIE_INDEX ? QUEUE_READ_RING : QUEUE_READ_INDEX;
		if (kind == COOKIE_INDEX)
			take_index(fetch, now_ps, queue);
		return;
	}
	if (kind == COOKIE_INDEX && !take_index(fetch, now_ps, queue))
		return;
	unsigned known = min_u32(queue->requested, (uint16_t)(queue->seen - queue->next));
	queue->requested = 0;
	take_entries(fetch, now_ps, queue, known);
}

static void serve(struct fetch *fetch, uint64_t now_ps, const struct service *service)
{
	struct queue *queue = &fetch->queue[service->queue];
	fetch->stats.services++;
	if (queue->state == QUEUE_STOPPED || queue->state == QUEUE_FAULT)
		return;
	queue->doorbell_ps = service->doorbell_ps;
	queue->service_ps = now_ps;
	if (queue->state != QUEUE_RESTING) {
		queue->again = true;
		return;
	}
	queue->quiet = true;
	unsigned hinted = (uint16_t)(service->hint - queue->next);
	unsigned count = 0;
	if (service->hint_valid && hinted <= queue->size)
		count = entries_to_read(fetch, queue, hinted);
	read_index(fetch, now_ps, queue);
	if (count != 0) { /* the index read beside it confirms the hint (V-068) */
		queue->state = QUEUE_READ_BOTH;
		read_ring(fetch, now_ps, queue, count);
	}
}

/* ---- chains ---- */

static void walker_end(struct fetch *fetch, uint64_t now_ps, struct walker *walker, uint8_t error)
{
	struct slot *slot = slot_at(fetch, walker->slot);
	slot->error = error;
	slot->readable_bytes = (uint32_t)walker->readable;
	slot->writable_bytes = (uint32_t)walker->writable;
	if (error != RECORD_ERROR_NONE)
		fetch->stats.bad_chains++;
	fetch->stats.requests++;
	fetch->queue[walker->queue].chains--;
	walker->state = WALKER_FREE;
	fetch->walkers_busy--;
	uint64_t at_ps = now_ps + fetch->period_ps;
	probe_stamp(fetch->ports.probe, walker->slot, STAGE_RECORD, at_ps);
	record_fifo_push(&fetch->records, at_ps, walker->slot);
}

static void read_window(struct fetch *fetch, uint64_t at_ps, struct walker *walker, uint32_t first)
{
	/* A chain in the table usually goes on behind its head; an indirect table is one chain and its length is known. */
	uint32_t wanted = walker->indirect ? WINDOW_MAX : fetch->prefetch;
	walker->first = first;
	walker->count = min_u32(min_u32(wanted, WINDOW_MAX), walker->entries - first);
	walker->state = WALKER_TABLE;
	fetch->stats.descriptor_reads++;
	dma_read(fetch, at_ps, walker->table + (uint64_t)DESC_BYTES * first, walker->count * DESC_BYTES,
		 walker->window, cookie(COOKIE_TABLE, (unsigned)(walker - fetch->walker)));
}

/* Reads the first 16 device-readable bytes into the slot, wherever the driver has put them (D-016). */
static void read_header(struct fetch *fetch, uint64_t at_ps, struct walker *walker)
{
	uint8_t *header = (uint8_t *)&slot_at(fetch, walker->slot)->type;
	const struct slot_segment *segments = segments_of(fetch, walker->slot);
	while (walker->header_have < HEADER_BYTES && walker->pieces < HEADER_READS) {
		const struct slot_segment *segment = &segments[walker->header_segment++];
		uint32_t bytes = min_u32(segment->bytes, HEADER_BYTES - walker->header_have);
		dma_read(fetch, at_ps, segment->addr, bytes, header + walker->header_have,
			 cookie(COOKIE_HEADER, (unsigned)(walker - fetch->walker)));
		fetch->stats.header_reads++;
		walker->header_have += bytes;
		walker->pieces++;
	}
}

static void header_done(struct fetch *fetch, uint64_t now_ps, struct walker *walker, enum dma_status status)
{
	walker->header_failed |= status != DMA_OK;
	if (--walker->pieces != 0)
		return;
	if (walker->header_failed)
		walker_end(fetch, now_ps, walker, RECORD_ERROR_DMA_HEADER);
	else if (walker->header_have == HEADER_BYTES)
		walker_end(fetch, now_ps, walker, RECORD_ERROR_NONE);
	else
		read_header(fetch, now_ps, walker);
}

static void chain_complete(struct fetch *fetch, uint64_t at_ps, struct walker *walker)
{
	struct slot *slot = slot_at(fetch, walker->slot);
	if (walker->writable == 0) { /* V-086: nowhere to put a status */
		walker_end(fetch, at_ps, walker, RECORD_ERROR_NO_STATUS);
		return;
	}
	const struct slot_segment *last = &segments_of(fetch, walker->slot)[slot->segments - 1];
	slot->status_addr = last->addr + last->bytes - 1;
	if (walker->readable < HEADER_BYTES) { /* V-087 */
		walker_end(fetch, at_ps, walker, RECORD_ERROR_SHORT_HEADER);
		return;
	}
	walker->state = WALKER_HEADER;
	read_header(fetch, at_ps, walker);
}

/* Adds a buffer to the slot's segment list. */
static uint8_t add_segment(struct fetch *fetch, struct walker *walker, uint64_t addr, uint32_t bytes, uint16_t flags)
{
	struct slot *slot = slot_at(fetch, walker->slot);
	bool writable = flags & VRING_DESC_F_WRITE;
	if (bytes == 0)
		return RECORD_ERROR_ZERO_LENGTH; /* V-016, V-017 */
	if (addr + (bytes - 1) < addr)
		return RECORD_ERROR_ADDRESS_WRAP; /* V-020 */
	if (!writable && walker->writable != 0)
		return RECORD_ERROR_ORDER; /* V-015 */
	if (slot->segments == SLOT_SEGMENTS_MAX || walker->readable + walker->writable + bytes > UINT32_MAX)
		return RECORD_ERROR_TOO_LONG; /* V-005, V-007 */
	segments_of(fetch, walker->slot)[slot->segments++] =
		(struct slot_segment){ .addr = addr, .bytes = bytes, .flags = flags & VRING_DESC_F_WRITE };
	*(writable ? &walker->writable : &walker->readable) += bytes;
	slot->readable_segments += !writable;
	return RECORD_ERROR_NONE;
}

static uint8_t check_indirect(const struct fetch *fetch, const struct walker *walker, uint64_t addr, uint32_t bytes,
			      uint16_t flags)
{
	if (!fetch->queue[walker->queue].indirect)
		return RECORD_ERROR_INDIRECT_NOT_NEGOTIATED; /* V-008 */
	if (walker->indirect)
		return RECORD_ERROR_INDIRECT_NESTED; /* V-009 */
	if (flags & VRING_DESC_F_NEXT)
		return RECORD_ERROR_INDIRECT_AND_NEXT; /* V-010, V-011 */
	if (bytes == 0 || bytes % DESC_BYTES != 0)
		return RECORD_ERROR_INDIRECT_LENGTH; /* V-012, V-013 */
	if (addr + (bytes - 1) < addr)
		return RECORD_ERROR_ADDRESS_WRAP;
	return RECORD_ERROR_NONE;
}

/* Goes through the descriptors of the window. Ends the chain, reads the next window, or enters an indirect table. */
static void parse_window(struct fetch *fetch, uint64_t at_ps, struct walker *walker)
{
	uint32_t index = walker->first;
	for (;;) {
		const uint8_t *desc = walker->window + (size_t)(index - walker->first) * DESC_BYTES;
		uint64_t addr = load_le64(desc);
		uint32_t bytes = load_le32(desc + 8);
		uint16_t flags = load_le16(desc + 12), next = load_le16(desc + 14);
		uint8_t error;
		fetch->stats.descriptors++;
		if (++walker->walked > walker->entries) { /* V-004, V-006 */
			walker_end(fetch, at_ps, walker, RECORD_ERROR_LOOP);
			return;
		}
		if (flags & VRING_DESC_F_INDIRECT) {
			error = check_indirect(fetch, walker, addr, bytes, flags);
			if (error != RECORD_ERROR_NONE) {
				walker_end(fetch, at_ps, walker, error);
				return;
			}
			fetch->stats.indirect_tables++;
			walker->indirect = true;
			walker->table = addr;
			walker->entries = bytes / DESC_BYTES;
			walker->walked = 0;
			read_window(fetch, at_ps, walker, 0);
			return;
		}
		error = add_segment(fetch, walker, addr, bytes, flags);
		if (error == RECORD_ERROR_NONE && (flags & VRING_DESC_F_NEXT) && next >= walker->entries)
			error = RECORD_ERROR_NEXT_RANGE; /* V-002, V-003 */
		if (error != RECORD_ERROR_NONE) {
			walker_end(fetch, at_ps, walker, error);
			return;
		}
		if (!(flags & VRING_DESC_F_NEXT)) {
			chain_complete(fetch, at_ps, walker);
			return;
		}
		index = next;
		if (index < walker->first || index >= walker->first + walker->count) {
			read_window(fetch, at_ps, walker, index);
			return;
		}
	}
}

static struct walker *free_walker(struct fetch *fetch)
{
	if (fetch->walkers_busy >= fetch->inflight)
		return NULL;
	for (unsigned i = 0; i < WALKERS_MAX; i++)
		if (fetch->walker[i].state == WALKER_FREE)
			return &fetch->walker[i];
	return NULL;
}

static void start_walker(struct fetch *fetch, uint64_t now_ps, struct walker *walker, const struct head *head)
{
	const struct queue *queue = &fetch->queue[head->queue];
	struct probe *probe = fetch->ports.probe;
	unsigned number = slot_take(fetch);
	fetch->walkers_busy++;
	walker->queue = head->queue;
	walker->slot = (uint16_t)number;
	walker->indirect = false;
	walker->table = queue->desc;
	walker->entries = queue->size;
	walker->walked = 0;
	walker->pieces = walker->header_have = walker->header_segment = 0;
	walker->header_failed = false;
	walker->readable = walker->writable = 0;
	*slot_at(fetch, number) =
		(struct slot){ .queue = head->queue, .head = head->head, .sequence = head->sequence };
	probe_stamp(probe, number, STAGE_DOORBELL, head->doorbell_ps);
	probe_stamp(probe, number, STAGE_SERVICE, head->service_ps);
	probe_stamp(probe, number, STAGE_HEAD, head->head_ps);
	if (head->head >= queue->size) /* V-001 */
		walker_end(fetch, now_ps, walker, RECORD_ERROR_HEAD_RANGE);
	else
		read_window(fetch, now_ps, walker, head->head);
}

/* Starts chains for waiting heads. Heads of stopped queues are dropped: they were never taken (D-013). */
static void start_walkers(struct fetch *fetch, uint64_t now_ps)
{
	while (heads_waiting(fetch) != 0) {
		const struct head *head = &fetch->head[fetch->heads_first % HEADS];
		struct queue *queue = &fetch->queue[head->queue];
		if (queue->state == QUEUE_STOPPED || queue->state == QUEUE_FAULT) {
			queue->chains--;
			fetch->heads_first++;
			continue;
		}
		struct walker *walker = free_walker(fetch);
		if (!walker) {
			fetch->stats.stall_no_walker++;
			return;
		}
		fetch->heads_first++;
		start_walker(fetch, now_ps, walker, head);
	}
}

static void walker_done(struct fetch *fetch, uint64_t now_ps, struct walker *walker, enum cookie_kind kind,
			enum dma_status status)
{
	if (kind == COOKIE_HEADER) {
		header_done(fetch, now_ps, walker, status);
		return;
	}
	if (status != DMA_OK) { /* V-014, V-029 */
		walker_end(fetch, now_ps, walker, RECORD_ERROR_DMA_DESCRIPTOR);
		return;
	}
	/* One parser for all chains, a descriptor a cycle. */
	uint64_t start_ps = max_u64(now_ps, fetch->parser_free_ps);
	fetch->parser_free_ps = start_ps + walker->count * fetch->period_ps;
	parse_window(fetch, start_ps + fetch->parse_cycles * fetch->period_ps, walker);
}

/* ---- the block ---- */

struct fetch *fetch_create(const struct config *config, const struct fetch_ports *ports)
{
	struct fetch *fetch = calloc(1, sizeof(*fetch));
	if (!fetch)
		return NULL;
	fetch->ports = *ports;
	fetch->services.consumer = fetch->done.consumer = ports->self;
	fetch->records.consumer = ports->events;
	ports->dma->producer = ports->self;
	fetch->period_ps = config_period_ps(config->device.clock_mhz);
	fetch->parse_cycles = config->fetch.parse_cycles;
	fetch->batch = config->fetch.batch;
	fetch->prefetch = config->fetch.prefetch;
	fetch->inflight = config->fetch.inflight;
	fetch_reset(fetch);
	return fetch;
}

void fetch_free(struct fetch *fetch)
{
	free(fetch);
}

struct service_fifo *fetch_services(struct fetch *fetch)
{
	return &fetch->services;
}

struct dma_done_fifo *fetch_dma_done(struct fetch *fetch)
{
	return &fetch->done;
}

void fetch_reset(struct fetch *fetch)
{
	service_fifo_clear(&fetch->services);
	dma_done_fifo_clear(&fetch->done);
	record_fifo_clear(&fetch->records);
	memset(fetch->queue, 0, sizeof(fetch->queue));
	memset(fetch->walker, 0, sizeof(fetch->walker));
	fetch->walkers_busy = fetch->entries_requested = 0;
	fetch->heads_first = fetch->heads_last = 0;
	fetch->faults = fetch->rooms_wanted = 0;
	fetch->parser_free_ps = 0;
	fetch->free_slots = SLOTS;
	for (unsigned i = 0; i < SLOTS; i++)
		fetch->free_slot[i] = (uint16_t)(SLOTS - 1 - i);
}

static void take_done(struct fetch *fetch, uint64_t now_ps)
{
	while (dma_done_fifo_ready(&fetch->done, now_ps)) {
		struct dma_done done = dma_done_fifo_pop(&fetch->done, now_ps);
		enum cookie_kind kind = (enum cookie_kind)(done.cookie >> 16);
		unsigned index = done.cookie & 0xffff;
		if (kind <= COOKIE_ARM)
			ring_done(fetch, now_ps, &fetch->queue[index], kind, done.status);
		else
			walker_done(fetch, now_ps, &fetch->walker[index], kind, done.status);
	}
}

static void retry_rooms(struct fetch *fetch, uint64_t now_ps)
{
	while (fetch->rooms_wanted != 0 && room_for_heads(fetch) != 0) {
		unsigned index = (unsigned)__builtin_ctzll(fetch->rooms_wanted);
		fetch->rooms_wanted &= fetch->rooms_wanted - 1;
		if (fetch->queue[index].state == QUEUE_WAIT_ROOM)
			ring_continue(fetch, now_ps, &fetch->queue[index]);
	}
}

uint64_t fetch_step(struct fetch *fetch, uint64_t now_ps)
{
	take_done(fetch, now_ps);
	while (service_fifo_ready(&fetch->services, now_ps)) {
		struct service service = service_fifo_pop(&fetch->services, now_ps);
		serve(fetch, now_ps, &service);
	}
	retry_rooms(fetch, now_ps);
	start_walkers(fetch, now_ps);
	return min_u64(dma_done_fifo_next_ps(&fetch->done), service_fifo_next_ps(&fetch->services));
}

void fetch_slot_free(struct fetch *fetch, uint64_t now_ps, unsigned slot)
{
	ASSERT(slot < SLOTS && fetch->free_slots < SLOTS);
	fetch->free_slot[fetch->free_slots++] = (uint16_t)slot;
	if (fetch->rooms_wanted != 0)
		waker_wake(fetch->ports.self, now_ps);
}

bool fetch_busy(const struct fetch *fetch)
{
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		if (fetch->queue[i].reads != 0 || fetch->queue[i].chains != 0)
			return true;
	return false;
}

unsigned fetch_slots_in_use(const struct fetch *fetch)
{
	return SLOTS - fetch->free_slots;
}

unsigned fetch_walkers_busy(const struct fetch *fetch)
{
	return fetch->walkers_busy;
}

const struct fetch_stats *fetch_stats(const struct fetch *fetch)
{
	return &fetch->stats;
}

/* ---- registers ---- */

static uint32_t pop_record(struct fetch *fetch, uint64_t now_ps)
{
	if (!record_fifo_ready(&fetch->records, now_ps))
		return 0;
	uint16_t slot = record_fifo_pop(&fetch->records, now_ps);
	probe_stamp(fetch->ports.probe, slot, STAGE_FIRMWARE, now_ps);
	return slot | CSR_FETCH_RECORD_VALID_MASK;
}

static uint32_t alloc_slot(struct fetch *fetch)
{
	if (room_for_heads(fetch) == 0)
		return 0;
	return slot_take(fetch) | CSR_FETCH_SLOT_ALLOC_VALID_MASK;
}

static uint32_t queue_state(const struct queue *queue)
{
	return (queue->reads != 0 || queue->chains != 0 ? CSR_FETCH_QUEUE_STATE_BUSY_MASK : 0) |
	       (queue->state == QUEUE_FAULT ? CSR_FETCH_QUEUE_STATE_FAULT_MASK : 0) |
	       (uint32_t)queue->error << CSR_FETCH_QUEUE_STATE_ERROR_SHIFT |
	       (uint32_t)queue->next << CSR_FETCH_QUEUE_STATE_FETCHED_SHIFT;
}

bool fetch_csr_read(struct fetch *fetch, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	const struct queue *queue = &fetch->queue[fetch->csr_queue];
	switch (offset) {
	case CSR_FETCH_RECORD: *value = pop_record(fetch, now_ps); break;
	case CSR_FETCH_SLOT_ALLOC: *value = alloc_slot(fetch); break;
	case CSR_FETCH_SLOT_FREE: *value = 0; break;
	case CSR_FETCH_QUEUE_SELECT: *value = fetch->csr_queue; break;
	case CSR_FETCH_QUEUE_DESC_LO: *value = (uint32_t)queue->desc; break;
	case CSR_FETCH_QUEUE_DESC_HI: *value = (uint32_t)(queue->desc >> 32); break;
	case CSR_FETCH_QUEUE_AVAIL_LO: *value = (uint32_t)queue->avail; break;
	case CSR_FETCH_QUEUE_AVAIL_HI: *value = (uint32_t)(queue->avail >> 32); break;
	case CSR_FETCH_QUEUE_USED_LO: *value = (uint32_t)queue->used; break;
	case CSR_FETCH_QUEUE_USED_HI: *value = (uint32_t)(queue->used >> 32); break;
	case CSR_FETCH_QUEUE_CONFIG:
		*value = queue->size | (queue->event_idx ? CSR_FETCH_QUEUE_CONFIG_EVENT_IDX_MASK : 0) |
			 (queue->indirect ? CSR_FETCH_QUEUE_CONFIG_INDIRECT_MASK : 0);
		break;
	case CSR_FETCH_QUEUE_CONTROL:
		*value = (queue->state != QUEUE_STOPPED ? CSR_FETCH_QUEUE_CONTROL_RUN_MASK : 0) |
			 (queue->poll ? CSR_FETCH_QUEUE_CONTROL_POLL_MASK : 0);
		break;
	case CSR_FETCH_QUEUE_STATE: *value = queue_state(queue); break;
	case CSR_FETCH_FAULT_LO: *value = (uint32_t)fetch->faults; break;
	case CSR_FETCH_FAULT_HI: *value = (uint32_t)(fetch->faults >> 32); break;
	case CSR_FETCH_BATCH: *value = fetch->batch; break;
	case CSR_FETCH_PREFETCH: *value = fetch->prefetch; break;
	case CSR_FETCH_INFLIGHT: *value = fetch->inflight; break;
	default: return false;
	}
	return true;
}

static void start_queue(struct queue *queue)
{
	queue->state = QUEUE_RESTING;
	queue->next = queue->seen = queue->requested = 0;
	queue->armed = queue->suppressed = queue->again = false;
	queue->error = RECORD_ERROR_NONE;
}

static void write_control(struct fetch *fetch, uint64_t now_ps, struct queue *queue, uint32_t value)
{
	bool run = value & CSR_FETCH_QUEUE_CONTROL_RUN_MASK;
	bool poll = value & CSR_FETCH_QUEUE_CONTROL_POLL_MASK;
	/* A start needs a usable size, and the last reads of an earlier life to be back. */
	if (run && queue->state == QUEUE_STOPPED && is_power_of_2(queue->size) && queue->reads == 0)
		start_queue(queue);
	if (!run && queue->state != QUEUE_STOPPED) {
		queue->state = QUEUE_STOPPED;
		fetch->rooms_wanted &= ~(UINT64_C(1) << (queue - fetch->queue));
		waker_wake(fetch->ports.self, now_ps);
	}
	bool begin = poll && !queue->poll && queue->state == QUEUE_RESTING;
	queue->poll = poll;
	if (begin)
		ring_empty(fetch, now_ps, queue);
}

static uint32_t clamp(uint32_t value, uint32_t max)
{
	return max_u32(1, min_u32(value, max));
}

bool fetch_csr_write(struct fetch *fetch, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	struct queue *queue = &fetch->queue[fetch->csr_queue];
	switch (offset) {
	case CSR_FETCH_SLOT_FREE:
		if (value < SLOTS && fetch->free_slots < SLOTS)
			fetch_slot_free(fetch, now_ps, value);
		break;
	case CSR_FETCH_QUEUE_SELECT: fetch->csr_queue = value % QUEUES_MAX; break;
	case CSR_FETCH_QUEUE_DESC_LO: queue->desc = (queue->desc >> 32 << 32) | value; break;
	case CSR_FETCH_QUEUE_DESC_HI: queue->desc = (uint32_t)queue->desc | (uint64_t)value << 32; break;
	case CSR_FETCH_QUEUE_AVAIL_LO: queue->avail = (queue->avail >> 32 << 32) | value; break;
	case CSR_FETCH_QUEUE_AVAIL_HI: queue->avail = (uint32_t)queue->avail | (uint64_t)value << 32; break;
	case CSR_FETCH_QUEUE_USED_LO: queue->used = (queue->used >> 32 << 32) | value; break;
	case CSR_FETCH_QUEUE_USED_HI: queue->used = (uint32_t)queue->used | (uint64_t)value << 32; break;
	case CSR_FETCH_QUEUE_CONFIG:
		queue->size = value & CSR_FETCH_QUEUE_CONFIG_SIZE_MASK;
		queue->event_idx = value & CSR_FETCH_QUEUE_CONFIG_EVENT_IDX_MASK;
		queue->indirect = value & CSR_FETCH_QUEUE_CONFIG_INDIRECT_MASK;
		break;
	case CSR_FETCH_QUEUE_CONTROL: write_control(fetch, now_ps, queue, value); break;
	case CSR_FETCH_FAULT_LO: fetch->faults &= ~(uint64_t)value; break;
	case CSR_FETCH_FAULT_HI: fetch->faults &= ~((uint64_t)value << 32); break;
	case CSR_FETCH_BATCH: fetch->batch = clamp(value, BATCH_MAX); break;
	case CSR_FETCH_PREFETCH: fetch->prefetch = clamp(value, WINDOW_MAX); break;
	case CSR_FETCH_INFLIGHT: fetch->inflight = clamp(value, WALKERS_MAX); break;
	case CSR_FETCH_RECORD:
	case CSR_FETCH_SLOT_ALLOC:
	case CSR_FETCH_QUEUE_STATE: break; /* read-only */
	default: return false;
	}
	return true;
}

uint32_t fetch_events(const struct fetch *fetch, uint64_t now_ps)
{
	return (record_fifo_ready(&fetch->records, now_ps) ? CSR_SYS_EVENTS_RECORD_MASK : 0) |
	       (fetch->faults ? CSR_SYS_EVENTS_DMA_FAULT_MASK : 0);
}
