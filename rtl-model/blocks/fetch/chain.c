/* Descriptor chains: from a head to a checked list of segments and the request header (virtio 1.4 §2.7.5, §5.2.6). */
#include "rtl-model/blocks/fetch/state.h"

#include <linux/virtio_ring.h>

/* A header cut into more pieces is read in rounds. With this bound no guest can make the engine have more than
 * WALKERS_MAX * 4 + QUEUES_MAX * 3 transfers outstanding, which fits the DMA channel. */
#define HEADER_READS 4u

/* Stages of the RTL that no key is worth: a head and a walker that are there to the read that the dispatcher asks for;
 * one piece of a header to the next. */
#define DISPATCH_CYCLES 2u
#define PIECE_CYCLES    2u

static struct slot *slot_at(const struct fetch_model *fetch, unsigned slot)
{
	return (struct slot *)(fetch->ports.sram + (size_t)slot * SLOT_BYTES);
}

static struct slot_segment *segments_of(const struct fetch_model *fetch, unsigned slot)
{
	return (struct slot_segment *)(fetch->ports.sram + (size_t)slot * SLOT_BYTES + SLOT_SEGMENT_OFFSET);
}

static void read_guest(struct fetch_model *fetch, uint64_t at_ps, struct walker *walker,
		       enum cookie_kind kind, uint64_t addr, uint32_t bytes, uint8_t *data)
{
	dma_request_fifo_push(fetch->ports.dma, at_ps,
			      (struct dma_request){
				      .addr = addr,
				      .bytes = bytes,
				      .data = data,
				      .cookie = fetch_cookie(kind, (unsigned)(walker - fetch->walker)),
			      });
}

/* The record is at the core's side at at_ps. */
static void walker_end(struct fetch_model *fetch, uint64_t at_ps, struct walker *walker, uint8_t error)
{
	struct slot *slot = slot_at(fetch, walker->slot);
	slot->error = error;
	slot->readable_bytes = (uint32_t)walker->readable;
	slot->writable_bytes = (uint32_t)walker->writable;
	if (error != RECORD_ERROR_NONE)
		fetch->base.stats.bad_chains++;
	fetch->base.stats.requests++;
	walker->state = WALKER_FREE;
	walker->free_ps = at_ps;
	fetch->walkers_busy--;
	probe_stamp(fetch->ports.probe, walker->slot, STAGE_RECORD, at_ps);
	record_fifo_push(&fetch->records, at_ps, (struct record){walker->slot, walker->queue});
}

static void read_window(struct fetch_model *fetch, uint64_t at_ps, struct walker *walker, uint32_t first)
{
	/* A chain in the table usually goes on behind its head; an indirect table is one chain and its length is known. */
	uint32_t wanted = walker->indirect ? WINDOW_MAX : fetch->prefetch;
	walker->first = first;
	walker->count = min_u32(min_u32(wanted, WINDOW_MAX), walker->entries - first);
	walker->state = WALKER_TABLE;
	fetch->base.stats.descriptor_reads++;
	read_guest(fetch, at_ps, walker, COOKIE_TABLE, walker->table + (uint64_t)DESC_BYTES * first,
		   walker->count * DESC_BYTES, walker->window);
}

/* Reads the first 16 device-readable bytes into the slot, wherever the driver has put them (D-016). */
static void read_header(struct fetch_model *fetch, uint64_t at_ps, struct walker *walker)
{
	uint8_t *header = (uint8_t *)&slot_at(fetch, walker->slot)->type;
	const struct slot_segment *segments = segments_of(fetch, walker->slot);
	while (walker->header_have < HEADER_BYTES && walker->pieces < HEADER_READS) {
		const struct slot_segment *segment = &segments[walker->header_segment++];
		uint32_t bytes = min_u32(segment->bytes, HEADER_BYTES - walker->header_have);
		read_guest(fetch, at_ps, walker, COOKIE_HEADER, segment->addr, bytes,
			   header + walker->header_have);
		fetch->base.stats.header_reads++;
		walker->header_have += bytes;
		walker->pieces++;
		at_ps += PIECE_CYCLES * fetch->period_ps;
	}
}

static void header_done(struct fetch_model *fetch, uint64_t start_ps, struct walker *walker,
			enum dma_status status)
{
	uint64_t at_ps = start_ps + fetch->record_cycles * fetch->period_ps;
	fetch->parser_free_ps = at_ps - fetch->period_ps;
	walker->header_failed |= status != DMA_OK;
	if (--walker->pieces != 0)
		return;
	fetch->parser_free_ps = at_ps;
	if (walker->header_failed)
		walker_end(fetch, at_ps, walker, RECORD_ERROR_DMA_HEADER);
	else if (walker->header_have == HEADER_BYTES)
		walker_end(fetch, at_ps, walker, RECORD_ERROR_NONE);
	else
		read_header(fetch, at_ps + PIECE_CYCLES * fetch->period_ps, walker);
}

static void chain_complete(struct fetch_model *fetch, uint64_t at_ps, struct walker *walker)
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

struct descriptor {
	uint64_t addr;
	uint32_t bytes;
	uint16_t flags, next;
};

static struct descriptor load_descriptor(const struct walker *walker, uint32_t index)
{
	const uint8_t *desc = walker->window + (size_t)(index - walker->first) * DESC_BYTES;
	return (struct descriptor){
		.addr = load_le64(desc),
		.bytes = load_le32(desc + 8),
		.flags = load_le16(desc + 12),
		.next = load_le16(desc + 14),
	};
}

/* Adds a buffer to the slot's segment list. */
static uint8_t add_segment(struct fetch_model *fetch, struct walker *walker, const struct descriptor *desc)
{
	struct slot *slot = slot_at(fetch, walker->slot);
	bool writable = desc->flags & VRING_DESC_F_WRITE;
	if (desc->bytes == 0)
		return RECORD_ERROR_ZERO_LENGTH; /* V-016, V-017 */
	if (desc->addr + (desc->bytes - 1) < desc->addr)
		return RECORD_ERROR_ADDRESS_WRAP; /* V-020 */
	if (!writable && walker->writable != 0)
		return RECORD_ERROR_ORDER; /* V-015 */
	if (slot->segments == SLOT_SEGMENTS_MAX ||
	    walker->readable + walker->writable + desc->bytes > UINT32_MAX)
		return RECORD_ERROR_TOO_LONG; /* V-005, V-007 */
	if ((desc->flags & VRING_DESC_F_NEXT) && desc->next >= walker->entries)
		return RECORD_ERROR_NEXT_RANGE; /* V-002, V-003 */
	segments_of(fetch, walker->slot)[slot->segments++] = (struct slot_segment){
		.addr = desc->addr, .bytes = desc->bytes, .flags = desc->flags & VRING_DESC_F_WRITE};
	*(writable ? &walker->writable : &walker->readable) += desc->bytes;
	slot->readable_segments += !writable;
	return RECORD_ERROR_NONE;
}

static uint8_t check_indirect(const struct fetch_model *fetch, const struct walker *walker,
			      const struct descriptor *desc)
{
	if (!fetch->queue[walker->queue].indirect)
		return RECORD_ERROR_INDIRECT_NOT_NEGOTIATED; /* V-008 */
	if (walker->indirect)
		return RECORD_ERROR_INDIRECT_NESTED; /* V-009 */
	if (desc->flags & VRING_DESC_F_NEXT)
		return RECORD_ERROR_INDIRECT_AND_NEXT; /* V-010, V-011 */
	if (desc->bytes == 0 || desc->bytes % DESC_BYTES != 0)
		return RECORD_ERROR_INDIRECT_LENGTH; /* V-012, V-013 */
	if (desc->addr + (desc->bytes - 1) < desc->addr)
		return RECORD_ERROR_ADDRESS_WRAP;
	return RECORD_ERROR_NONE;
}

/* The chain goes on, from its first entry, in a table of its own. WRITE of the descriptor means nothing (D-021). */
static void enter_table(struct fetch_model *fetch, uint64_t at_ps, struct walker *walker,
			const struct descriptor *desc)
{
	uint8_t error = check_indirect(fetch, walker, desc);
	if (error != RECORD_ERROR_NONE) {
		walker_end(fetch, at_ps, walker, error);
		return;
	}
	fetch->base.stats.indirect_tables++;
	walker->indirect = true;
	walker->table = desc->addr;
	walker->entries = desc->bytes / DESC_BYTES;
	walker->walked = 0;
	read_window(fetch, at_ps, walker, 0);
}

/* Goes through the descriptors of the window, a cycle each. Ends the chain, which takes a cycle of its own, reads the next
 * window, or enters an indirect table. */
static void parse_window(struct fetch_model *fetch, uint64_t start_ps, struct walker *walker)
{
	uint32_t index = walker->first;
	uint64_t at_ps = start_ps + fetch->parse_cycles * fetch->period_ps;
	while (index >= walker->first && index < walker->first + walker->count) {
		const struct descriptor desc = load_descriptor(walker, index);
		fetch->base.stats.descriptors++;
		at_ps += fetch->period_ps;
		/* The parser has done its part a cycle before the read is asked for. */
		fetch->parser_free_ps = at_ps - fetch->period_ps;
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			enter_table(fetch, at_ps, walker, &desc);
			return;
		}
		uint8_t error = add_segment(fetch, walker, &desc);
		if (error != RECORD_ERROR_NONE) {
			walker_end(fetch, at_ps, walker, error);
			return;
		}
		if (!(desc.flags & VRING_DESC_F_NEXT)) {
			fetch->parser_free_ps = at_ps;
			chain_complete(fetch, at_ps + fetch->period_ps, walker);
			return;
		}
		if (++walker->walked == walker->entries) { /* V-004, V-006 */
			walker_end(fetch, at_ps, walker, RECORD_ERROR_LOOP);
			return;
		}
		index = desc.next;
	}
	read_window(fetch, at_ps, walker, index);
}

static struct walker *free_walker(struct fetch_model *fetch)
{
	if (fetch->walkers_busy >= fetch->inflight)
		return NULL;
	for (unsigned i = 0; i < WALKERS_MAX; i++)
		if (fetch->walker[i].state == WALKER_FREE)
			return &fetch->walker[i];
	return NULL;
}

/* One dispatcher for all heads, a head a cycle. */
static uint64_t dispatch_ps(struct fetch_model *fetch, uint64_t now_ps, const struct walker *walker,
			    const struct head *head)
{
	uint64_t there_ps = max_u64(now_ps, walker->free_ps) + DISPATCH_CYCLES * fetch->period_ps;
	uint64_t at_ps = max_u64(head->ready_ps, max_u64(there_ps, fetch->dispatcher_free_ps));
	fetch->dispatcher_free_ps = at_ps + fetch->period_ps;
	return at_ps;
}

static void start_walker(struct fetch_model *fetch, uint64_t now_ps, struct walker *walker,
			 const struct head *head)
{
	const struct queue *queue = &fetch->queue[head->queue];
	struct probe *probe = fetch->ports.probe;
	uint64_t at_ps = dispatch_ps(fetch, now_ps, walker, head);
	unsigned number = fetch_slot_take(fetch);
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
		(struct slot){.queue = head->queue, .head = head->head, .sequence = head->sequence};
	probe_stamp(probe, number, STAGE_DOORBELL, head->doorbell_ps);
	probe_stamp(probe, number, STAGE_SERVICE, head->service_ps);
	probe_stamp(probe, number, STAGE_HEAD, head->head_ps);
	if (head->head >= queue->size) /* V-001 */
		walker_end(fetch, at_ps + fetch->record_cycles * fetch->period_ps, walker,
			   RECORD_ERROR_HEAD_RANGE);
	else
		read_window(fetch, at_ps, walker, head->head);
}

/* Starts chains for waiting heads. Heads of stopped queues are dropped: they were never taken (D-013). While heads wait
 * a walker is at work, whose end brings us back here. */
void fetch_chain_start(struct fetch_model *fetch, uint64_t now_ps)
{
	while (fetch_heads_waiting(fetch) != 0) {
		const struct head *head = &fetch->head[fetch->heads_first % HEADS];
		struct queue *queue = &fetch->queue[head->queue];
		if (queue->state == QUEUE_STOPPED || queue->state == QUEUE_FAULT) {
			queue->chains--;
			fetch->heads_first++;
			continue;
		}
		struct walker *walker = free_walker(fetch);
		if (!walker) {
			fetch->base.stats.stall_no_walker++;
			return;
		}
		fetch->heads_first++;
		start_walker(fetch, now_ps, walker, head);
	}
}

void fetch_chain_done(struct fetch_model *fetch, uint64_t now_ps, struct walker *walker,
		      enum cookie_kind kind, enum dma_status status)
{
	uint64_t start_ps = max_u64(now_ps, fetch->parser_free_ps); /* one parser for all chains */
	if (kind == COOKIE_HEADER) {
		header_done(fetch, start_ps, walker, status);
		return;
	}
	uint64_t end_ps = start_ps + walker->count * fetch->period_ps; /* a descriptor comes in a cycle */
	if (status == DMA_OK)
		parse_window(fetch, start_ps, walker);
	else /* V-014, V-029 */
		walker_end(fetch, start_ps + fetch->record_cycles * fetch->period_ps, walker,
			   RECORD_ERROR_DMA_DESCRIPTOR);
	fetch->parser_free_ps = max_u64(fetch->parser_free_ps, end_ps);
}
