#include "rtl-model/blocks/fetch/state.h"

#include <stdlib.h>

static void reset(struct fetch *base)
{
	struct fetch_model *fetch = (struct fetch_model *)base;
	service_fifo_clear(&fetch->base.services);
	dma_done_fifo_clear(&fetch->base.done);
	record_fifo_clear(&fetch->records);
	memset(fetch->queue, 0, sizeof(fetch->queue));
	memset(fetch->walker, 0, sizeof(fetch->walker));
	fetch->walkers_busy = fetch->entries = 0;
	fetch->heads_first = fetch->heads_last = 0;
	fetch->faults = fetch->rooms_wanted = 0;
	fetch->ring_free_ps = fetch->dispatcher_free_ps = fetch->parser_free_ps = 0;
	memset(fetch->slot_taken, 0, sizeof(fetch->slot_taken));
	fetch->free_slots = SLOTS;
	for (unsigned i = 0; i < SLOTS; i++) {
		fetch->free_slot[i] = (uint16_t)(SLOTS - 1 - i);
		probe_end(fetch->ports.probe, i);
	}
}

static void take_done(struct fetch_model *fetch, uint64_t now_ps)
{
	while (dma_done_fifo_ready(&fetch->base.done, now_ps)) {
		struct dma_done done = dma_done_fifo_pop(&fetch->base.done, now_ps);
		enum cookie_kind kind = (enum cookie_kind)(done.cookie >> 16);
		unsigned index = done.cookie & 0xffff;
		if (kind <= COOKIE_ARM)
			fetch_ring_done(fetch, now_ps, &fetch->queue[index], kind, done.status);
		else
			fetch_chain_done(fetch, now_ps, &fetch->walker[index], kind, done.status);
	}
}

static uint64_t step(struct fetch *base, uint64_t now_ps)
{
	struct fetch_model *fetch = (struct fetch_model *)base;
	take_done(fetch, now_ps);
	while (service_fifo_ready(&fetch->base.services, now_ps)) {
		struct service service = service_fifo_pop(&fetch->base.services, now_ps);
		fetch_ring_serve(fetch, now_ps, &service);
	}
	fetch_ring_retry(fetch, now_ps);
	fetch_chain_start(fetch, now_ps);
	return min_u64(dma_done_fifo_next_ps(&fetch->base.done), service_fifo_next_ps(&fetch->base.services));
}

unsigned fetch_slot_take(struct fetch_model *fetch)
{
	ASSERT(fetch->free_slots != 0);
	unsigned slot = fetch->free_slot[--fetch->free_slots];
	fetch->slot_taken[slot] = true;
	probe_begin(fetch->ports.probe, slot);
	return slot;
}

static void slot_free(struct fetch *base, uint64_t now_ps, unsigned slot)
{
	struct fetch_model *fetch = (struct fetch_model *)base;
	if (slot >= SLOTS || !fetch->slot_taken[slot]) {
		fetch->base.stats.bad_frees++;
		return;
	}
	fetch->slot_taken[slot] = false;
	probe_end(fetch->ports.probe, slot);
	fetch->free_slot[fetch->free_slots++] = (uint16_t)slot;
	if (fetch->rooms_wanted != 0)
		waker_wake(fetch->ports.self, now_ps);
}

static bool busy(const struct fetch *base)
{
	const struct fetch_model *fetch = (const struct fetch_model *)base;
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		if (fetch_queue_busy(&fetch->queue[i]))
			return true;
	return false;
}

static unsigned slots_in_use(const struct fetch *base)
{
	return SLOTS - ((const struct fetch_model *)base)->free_slots;
}

static unsigned walkers_busy(const struct fetch *base)
{
	return ((const struct fetch_model *)base)->walkers_busy;
}

/* ---- registers ---- */

static uint32_t pop_record(struct fetch_model *fetch, uint64_t now_ps)
{
	if (!record_fifo_ready(&fetch->records, now_ps))
		return 0;
	struct record record = record_fifo_pop(&fetch->records, now_ps);
	fetch->queue[record.queue].chains--;
	probe_stamp(fetch->ports.probe, record.slot, STAGE_FIRMWARE, now_ps);
	return record.slot | CSR_FETCH_RECORD_VALID_MASK;
}

/* The firmware has found a ring entry and wants a slot for its request (offload level firmware). */
static uint32_t alloc_slot(struct fetch_model *fetch, uint64_t now_ps)
{
	if (fetch_room(fetch) == 0)
		return 0;
	unsigned slot = fetch_slot_take(fetch);
	probe_stamp(fetch->ports.probe, slot, STAGE_HEAD, now_ps);
	return slot | CSR_FETCH_SLOT_ALLOC_VALID_MASK;
}

static uint32_t queue_state(const struct queue *queue)
{
	return (fetch_queue_busy(queue) ? CSR_FETCH_QUEUE_STATE_BUSY_MASK : 0) |
	       (queue->state == QUEUE_FAULT ? CSR_FETCH_QUEUE_STATE_FAULT_MASK : 0) |
	       (uint32_t)queue->error << CSR_FETCH_QUEUE_STATE_ERROR_SHIFT |
	       (uint32_t)queue->next << CSR_FETCH_QUEUE_STATE_FETCHED_SHIFT;
}

static bool csr_read(struct fetch *base, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	struct fetch_model *fetch = (struct fetch_model *)base;
	const struct queue *queue = &fetch->queue[fetch->csr_queue];
	switch (offset) {
	case CSR_FETCH_RECORD: *value = pop_record(fetch, now_ps); break;
	case CSR_FETCH_SLOT_ALLOC: *value = alloc_slot(fetch, now_ps); break;
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

/* A start needs a usable size, and everything of an earlier life to be over. */
static void write_control(struct fetch_model *fetch, uint64_t now_ps, struct queue *queue, uint32_t value)
{
	bool run = value & CSR_FETCH_QUEUE_CONTROL_RUN_MASK;
	if (run && queue->state == QUEUE_STOPPED && is_power_of_2(queue->size) && !fetch_queue_busy(queue))
		fetch_ring_start(fetch, now_ps, queue);
	if (!run && queue->state != QUEUE_STOPPED)
		fetch_ring_stop(fetch, queue);
	fetch_ring_poll(fetch, now_ps, queue, value & CSR_FETCH_QUEUE_CONTROL_POLL_MASK);
}

static uint32_t clamp(uint32_t value, uint32_t max)
{
	return max_u32(1, min_u32(value, max));
}

static bool csr_write(struct fetch *base, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	struct fetch_model *fetch = (struct fetch_model *)base;
	struct queue *queue = &fetch->queue[fetch->csr_queue];
	switch (offset) {
	case CSR_FETCH_SLOT_FREE: slot_free(base, now_ps, value); break;
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

static uint32_t events(const struct fetch *base, uint64_t now_ps)
{
	const struct fetch_model *fetch = (const struct fetch_model *)base;
	return (record_fifo_ready(&fetch->records, now_ps) ? CSR_SYS_EVENTS_RECORD_MASK : 0) |
	       (fetch->faults ? CSR_SYS_EVENTS_DMA_FAULT_MASK : 0);
}

static uint64_t next_event_ps(const struct fetch *base)
{
	return record_fifo_next_ps(&((const struct fetch_model *)base)->records);
}

/* ---- creation ---- */

static void destroy(struct fetch *base)
{
	free(base);
}

static const struct fetch_ops model_ops = {
	.free = destroy,
	.reset = reset,
	.step = step,
	.slot_free = slot_free,
	.csr_read = csr_read,
	.csr_write = csr_write,
	.events = events,
	.next_event_ps = next_event_ps,
	.busy = busy,
	.slots_in_use = slots_in_use,
	.walkers_busy = walkers_busy,
};

struct fetch *fetch_create(const struct config *config, const struct fetch_ports *ports)
{
	struct fetch_model *fetch = calloc(1, sizeof(*fetch));
	if (!fetch)
		return NULL;
	fetch->base.ops = &model_ops;
	fetch->base.services.consumer = fetch->base.done.consumer = ports->self;
	fetch->ports = *ports;
	fetch->records.consumer = ports->events;
	ports->dma->producer = ports->self;
	fetch->period_ps = config_period_ps(config->device.clock_mhz);
	fetch->ring_cycles = config->fetch.ring_cycles;
	fetch->head_cycles = config->fetch.head_cycles;
	fetch->parse_cycles = config->fetch.parse_cycles;
	fetch->record_cycles = config->fetch.record_cycles;
	fetch->batch = config->fetch.batch;
	fetch->prefetch = config->fetch.prefetch;
	fetch->inflight = config->fetch.inflight;
	reset(&fetch->base);
	return &fetch->base;
}
