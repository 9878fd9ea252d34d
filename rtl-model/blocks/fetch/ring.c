/* Available rings: how the engine learns that there are new chains, and how it asks to be told (virtio 1.4 §2.7.6,
 * §2.7.10). */
#include "rtl-model/blocks/fetch/state.h"

#include <linux/virtio_ring.h>

/* Available ring: flags, idx, ring[], used_event; used ring: flags, idx, ring[] of 8 bytes, avail_event. */
#define RING_OFFSET        4u
#define INDEX_OFFSET       2u
#define RING_TAIL_BYTES    6u /* of either ring, besides its elements */
#define AVAIL_ENTRY_BYTES  2u
#define USED_ELEMENT_BYTES 8u
#define BEAT_BYTES         16u /* that come from the DMA engine in a cycle */

/* One machine serves all rings, an event at a time: a pipeline of `ring_cycles` from the event to the first transfer it
 * asks for. A second transfer takes it a cycle more. */
static uint64_t begin_event(struct fetch_model *fetch, uint64_t now_ps)
{
	uint64_t start_ps = max_u64(now_ps, fetch->ring_free_ps);
	fetch->ring_request_ps = start_ps + fetch->ring_cycles * fetch->period_ps;
	fetch->ring_free_ps = fetch->ring_request_ps - fetch->period_ps;
	return start_ps;
}

static void transfer(struct fetch_model *fetch, struct queue *queue, enum cookie_kind kind,
		     struct dma_request request)
{
	request.cookie = fetch_cookie(kind, fetch_queue_index(fetch, queue));
	queue->transfers++;
	dma_request_fifo_push(fetch->ports.dma, fetch->ring_request_ps, request);
	fetch->ring_free_ps = fetch->ring_request_ps - fetch->period_ps;
	fetch->ring_request_ps += fetch->period_ps;
}

static void ring_fault(struct fetch_model *fetch, uint64_t now_ps, struct queue *queue, uint8_t error)
{
	fetch->entries -= queue->entries;
	queue->entries = 0;
	queue->state = QUEUE_FAULT;
	queue->error = error;
	fetch->faults |= UINT64_C(1) << fetch_queue_index(fetch, queue);
	fetch->base.stats.faults++;
	waker_wake(fetch->ports.events, now_ps);
}

/* ---- reads ---- */

/* As many entries as one read may bring: batch, end of the ring, room. */
static unsigned entries_to_read(const struct fetch_model *fetch, const struct queue *queue, unsigned wanted)
{
	unsigned to_end = queue->size - (queue->next & (queue->size - 1u));
	return min_u32(min_u32(wanted, to_end), min_u32(fetch->batch, fetch_room(fetch)));
}

static void read_index(struct fetch_model *fetch, struct queue *queue)
{
	queue->state = QUEUE_READING;
	queue->wanted++;
	fetch->base.stats.index_reads++;
	ring_stamps_look(&queue->stamps);
	transfer(fetch, queue, COOKIE_INDEX,
		 (struct dma_request){.addr = queue->avail, .bytes = 4, .data = queue->index_data});
}

static void read_entries(struct fetch_model *fetch, struct queue *queue, unsigned count)
{
	unsigned at = queue->next & (queue->size - 1u);
	queue->state = QUEUE_READING;
	queue->wanted++;
	queue->entries = (uint16_t)count;
	fetch->entries += count;
	fetch->base.stats.ring_reads++;
	transfer(fetch, queue, COOKIE_RING,
		 (struct dma_request){.addr = queue->avail + RING_OFFSET + AVAIL_ENTRY_BYTES * at,
				      .bytes = AVAIL_ENTRY_BYTES * count,
				      .data = queue->ring_data});
}

/* ---- asking for doorbells ---- */

static void write_wish(struct fetch_model *fetch, struct queue *queue, uint64_t offset, uint16_t value)
{
	store_le16(queue->arm_data, value);
	fetch->base.stats.arm_writes++;
	transfer(fetch, queue, COOKIE_ARM,
		 (struct dma_request){
			 .addr = queue->used + offset, .bytes = 2, .write = true, .data = queue->arm_data});
}

/* used.flags: what drivers without EVENT_IDX look at (D-032, D-033). */
static void write_used_flags(struct fetch_model *fetch, struct queue *queue, bool suppress)
{
	queue->suppressed = suppress;
	write_wish(fetch, queue, 0, suppress ? VRING_USED_F_NO_NOTIFY : 0);
}

/* avail_event, behind the used ring: "kick when you publish this index" (D-035). */
static void write_avail_event(struct fetch_model *fetch, struct queue *queue)
{
	queue->armed = true;
	write_wish(fetch, queue, RING_OFFSET + (uint64_t)USED_ELEMENT_BYTES * queue->size, queue->next);
}

/* Makes the driver ring for the next buffer. False if it does so already. */
static bool arm(struct fetch_model *fetch, struct queue *queue)
{
	if (queue->event_idx ? queue->armed : !queue->suppressed)
		return false;
	if (queue->event_idx)
		write_avail_event(fetch, queue);
	else
		write_used_flags(fetch, queue, false);
	return true;
}

/* Keeps the driver from ringing. With EVENT_IDX that takes no doing: avail_event stays behind. */
static void disarm(struct fetch_model *fetch, struct queue *queue)
{
	if (!queue->event_idx && !queue->suppressed)
		write_used_flags(fetch, queue, true);
}

/* ---- steps ---- */

/* The ring is empty as far as we know: go on looking, or ask for a doorbell and look once more, or rest. */
static void ring_empty(struct fetch_model *fetch, struct queue *queue)
{
	if (queue->poll) {
		disarm(fetch, queue);
		read_index(fetch, queue);
	} else if (arm(fetch, queue) || queue->again) {
		queue->again = false;
		read_index(fetch, queue); /* travels behind the write (D-037, ORD-011) */
	} else {
		queue->state = QUEUE_RESTING;
	}
}

/* Goes on with a queue whose `seen` may be ahead of `next`. */
static void ring_continue(struct fetch_model *fetch, struct queue *queue)
{
	unsigned available = (uint16_t)(queue->seen - queue->next);
	if (available == 0) {
		ring_empty(fetch, queue);
		return;
	}
	unsigned count = entries_to_read(fetch, queue, available);
	if (count == 0) {
		fetch->base.stats.stall_no_slot++;
		queue->state = QUEUE_WAIT_ROOM;
		fetch->rooms_wanted |= UINT64_C(1) << fetch_queue_index(fetch, queue);
		return;
	}
	read_entries(fetch, queue, count);
}

/* avail.idx has been read. False: a fault. */
static bool take_index(struct fetch_model *fetch, uint64_t now_ps, struct queue *queue)
{
	uint16_t index = load_le16(queue->index_data + INDEX_OFFSET);
	if ((uint16_t)(index - queue->next) > queue->size) { /* V-021, V-022 */
		ring_fault(fetch, now_ps, queue, RECORD_ERROR_AVAIL_RANGE);
		return false;
	}
	queue->seen = index;
	if (queue->quiet && index == queue->next)
		fetch->base.stats.empty_services++;
	queue->quiet = false;
	return true;
}

/* Takes the entries that were read, as far as avail.idx covers them: on the driver's word more may have been read. */
static void take_entries(struct fetch_model *fetch, uint64_t now_ps, uint64_t start_ps, struct queue *queue)
{
	uint64_t ready_ps =
		start_ps + fetch->head_cycles * fetch->period_ps; /* the first; then one a cycle */
	unsigned count = min_u32(queue->entries, (uint16_t)(queue->seen - queue->next));
	for (unsigned i = 0; i < count; i++) {
		fetch->head[fetch->heads_last++ % HEADS] = (struct head){
			.queue = (uint16_t)fetch_queue_index(fetch, queue),
			.head = load_le16(queue->ring_data + (size_t)AVAIL_ENTRY_BYTES * i),
			.sequence = queue->next++,
			.doorbell_ps = queue->stamps.doorbell_ps,
			.service_ps = queue->stamps.service_ps,
			.head_ps = now_ps,
			.ready_ps = ready_ps + i * fetch->period_ps,
		};
		queue->chains++;
		queue->armed = false; /* avail_event is behind now */
	}
	fetch->base.stats.ring_entries += count;
	fetch->entries -= queue->entries;
	queue->entries = 0;
}

void fetch_ring_done(struct fetch_model *fetch, uint64_t now_ps, struct queue *queue, enum cookie_kind kind,
		     enum dma_status status)
{
	unsigned beats =
		kind == COOKIE_RING ? (queue->entries * AVAIL_ENTRY_BYTES + BEAT_BYTES - 1) / BEAT_BYTES : 0;
	uint64_t start_ps = begin_event(fetch, now_ps + (max_u32(beats, 1) - 1) * fetch->period_ps);
	queue->transfers--;
	if (queue->state != QUEUE_READING || kind == COOKIE_ARM)
		return;
	if (status != DMA_OK) { /* V-029 */
		ring_fault(fetch, now_ps, queue, RECORD_ERROR_DMA_RING);
		return;
	}
	if (kind == COOKIE_INDEX && !take_index(fetch, now_ps, queue))
		return;
	if (--queue->wanted != 0)
		return;
	take_entries(fetch, now_ps, start_ps, queue);
	ring_continue(fetch, queue);
}

void fetch_ring_serve(struct fetch_model *fetch, uint64_t now_ps, const struct service *service)
{
	struct queue *queue = &fetch->queue[service->queue];
	fetch->base.stats.services++;
	if (queue->state == QUEUE_STOPPED || queue->state == QUEUE_FAULT)
		return;
	ring_stamps_service(&queue->stamps, service->doorbell_ps, now_ps);
	if (queue->state != QUEUE_RESTING) {
		queue->again = true;
		return;
	}
	queue->quiet = true;
	begin_event(fetch, now_ps);
	unsigned hinted = (uint16_t)(service->hint - queue->next), count = 0;
	if (service->hint_valid && hinted <= queue->size)
		count = entries_to_read(fetch, queue, hinted);
	read_index(fetch, queue); /* also confirms the hint (V-068) */
	if (count != 0)
		read_entries(fetch, queue, count);
}

/* In turn, so that none of the queues can keep the others from the slots. */
void fetch_ring_retry(struct fetch_model *fetch, uint64_t now_ps)
{
	while (fetch->rooms_wanted != 0 && fetch_room(fetch) != 0) {
		do
			fetch->room_turn = (fetch->room_turn + 1) % QUEUES_MAX;
		while (!(fetch->rooms_wanted >> fetch->room_turn & 1));
		fetch->rooms_wanted &= ~(UINT64_C(1) << fetch->room_turn);
		begin_event(fetch, now_ps);
		ring_continue(fetch, &fetch->queue[fetch->room_turn]);
	}
}

/* ---- start and stop ---- */

/* False if the ring or the table would run past the end of the address space (V-020). */
static bool addresses_ok(const struct queue *queue)
{
	uint64_t desc_bytes = (uint64_t)DESC_BYTES * queue->size;
	uint64_t avail_bytes = (uint64_t)AVAIL_ENTRY_BYTES * queue->size + RING_TAIL_BYTES;
	uint64_t used_bytes = (uint64_t)USED_ELEMENT_BYTES * queue->size + RING_TAIL_BYTES;
	return queue->desc + (desc_bytes - 1) >= queue->desc &&
	       queue->avail + (avail_bytes - 1) >= queue->avail &&
	       queue->used + (used_bytes - 1) >= queue->used;
}

void fetch_ring_start(struct fetch_model *fetch, uint64_t now_ps, struct queue *queue)
{
	queue->state = QUEUE_RESTING;
	queue->error = RECORD_ERROR_NONE;
	queue->next = queue->seen = 0;
	queue->wanted = 0;
	queue->armed = queue->suppressed = queue->again = queue->quiet = false;
	if (!addresses_ok(queue))
		ring_fault(fetch, now_ps, queue, RECORD_ERROR_ADDRESS_WRAP);
}

void fetch_ring_stop(struct fetch_model *fetch, struct queue *queue)
{
	fetch->entries -= queue->entries;
	queue->entries = 0;
	queue->state = QUEUE_STOPPED;
	fetch->rooms_wanted &= ~(UINT64_C(1) << fetch_queue_index(fetch, queue));
}

void fetch_ring_poll(struct fetch_model *fetch, uint64_t now_ps, struct queue *queue, bool poll)
{
	bool begin = poll && !queue->poll && queue->state == QUEUE_RESTING;
	queue->poll = poll;
	if (begin) {
		begin_event(fetch, now_ps);
		ring_empty(fetch, queue);
	}
}
