#include "rtl-model/blocks/used/used.h"

#include <stdlib.h>
#include <string.h>

#include <linux/virtio_ring.h>

#define BATCH_MAX         256u
#define ELEMENT_BYTES     8u
#define RING_OFFSET       4u
#define INDEX_OFFSET      2u
#define AVAIL_ENTRY_BYTES 2u
#define RING_TAIL_BYTES   6u /* of either ring, besides its elements */
/* Payload memory for transfers in flight: as many as the DMA channel can hold, reused in turn. A transfer takes one
 * line; elements take one line each. */
#define LINES      1024u
#define LINE_BYTES 8u
/* Transfers outstanding; an update makes at most `batch` status writes and four more. */
#define TRANSFERS_MAX 240u

struct queue {
	/* registers */
	uint64_t used, avail;
	uint16_t size;
	bool event_idx, in_order, run;
	/* state */
	uint16_t index;          /* used.idx as written */
	uint16_t decided;        /* used.idx at the last decision, 0 before the first */
	bool decision;           /* a read of used_event or avail.flags is outstanding */
	unsigned transfers;      /* outstanding, of all kinds */
	uint16_t decision_index; /* used.idx when it was issued */
	uint8_t event_data[2];
};

enum cookie_kind { COOKIE_WRITE, COOKIE_DECISION };

struct used {
	struct used_ports ports;
	struct completion_fifo completions; /* the firmware's */
	struct completion_fifo direct;      /* the direct path's */
	struct dma_done_fifo done;
	uint64_t period_ps;
	unsigned cycles, batch;
	struct queue queue[QUEUES_MAX];
	unsigned csr_queue;
	uint32_t push_len;
	uint64_t faults;
	unsigned transfers; /* outstanding */
	uint64_t next_update_ps;
	uint8_t line[LINES][LINE_BYTES];
	unsigned line_next;
	struct used_stats stats;
};

static const struct slot *slot_at(const struct used *used, unsigned slot)
{
	return (const struct slot *)(used->ports.sram + (size_t)slot * SLOT_BYTES);
}

/* ---- transfers ---- */

/* `lines` adjacent lines of payload memory. */
static uint8_t *take_lines(struct used *used, unsigned lines)
{
	if (used->line_next + lines > LINES)
		used->line_next = 0;
	uint8_t *data = used->line[used->line_next];
	used->line_next += lines;
	return data;
}

static void transfer(struct used *used, uint64_t now_ps, struct queue *queue, enum cookie_kind kind,
		     struct dma_request request)
{
	request.cookie = (uint32_t)kind << 16 | (uint32_t)(queue - used->queue);
	queue->transfers++;
	used->transfers++;
	dma_request_fifo_push(used->ports.dma, now_ps, request);
}

static void write_guest(struct used *used, uint64_t now_ps, struct queue *queue, uint64_t addr, uint8_t *data,
			uint32_t bytes)
{
	transfer(used, now_ps, queue, COOKIE_WRITE,
		 (struct dma_request){.addr = addr, .bytes = bytes, .write = true, .data = data});
}

/* ---- updates ---- */

static void write_status(struct used *used, uint64_t now_ps, struct queue *queue,
			 const struct completion *completion)
{
	uint8_t *data = take_lines(used, 1);
	data[0] = completion->status;
	write_guest(used, now_ps, queue, completion->status_addr, data, 1);
}

/* Elements from used.idx on; one write, or two where the ring wraps. */
static void write_elements(struct used *used, uint64_t now_ps, struct queue *queue,
			   const struct completion *batch, unsigned count)
{
	for (unsigned done = 0; done < count;) {
		unsigned at = (queue->index + done) & (queue->size - 1u);
		unsigned here = min_u32(count - done, queue->size - at);
		uint8_t *data = take_lines(used, here);
		for (unsigned i = 0; i < here; i++) {
			store_le32(data + (size_t)i * ELEMENT_BYTES, batch[done + i].head);
			store_le32(data + (size_t)i * ELEMENT_BYTES + 4, batch[done + i].len);
		}
		write_guest(used, now_ps, queue, queue->used + RING_OFFSET + (uint64_t)at * ELEMENT_BYTES,
			    data, here * ELEMENT_BYTES);
		done += here;
	}
}

static void write_index(struct used *used, uint64_t now_ps, struct queue *queue)
{
	uint8_t *data = take_lines(used, 1);
	store_le16(data, queue->index);
	write_guest(used, now_ps, queue, queue->used + INDEX_OFFSET, data, 2);
}

/* used_event stands behind the available ring; without EVENT_IDX the wish is in avail.flags (§2.7.7). */
static void read_decision(struct used *used, uint64_t now_ps, struct queue *queue)
{
	uint64_t addr = queue->avail;
	if (queue->event_idx)
		addr += RING_OFFSET + AVAIL_ENTRY_BYTES * (uint64_t)queue->size;
	queue->decision = true;
	queue->decision_index = queue->index;
	used->stats.decisions++;
	transfer(used, now_ps, queue, COOKIE_DECISION,
		 (struct dma_request){.addr = addr, .bytes = 2, .data = queue->event_data});
}

static void stamp_and_free(struct used *used, uint64_t now_ps, unsigned index, const struct completion *batch,
			   unsigned count)
{
	struct probe *probe = used->ports.probe;
	for (unsigned i = 0; i < count; i++) {
		unsigned slot = batch[i].slot;
		probe_stamp(probe, slot, STAGE_USED, now_ps);
		probe_retired(probe, slot, index, batch[i].head);
		used->ports.slot_free(used->ports.ctx, now_ps, slot);
	}
}

static void update(struct used *used, uint64_t now_ps, unsigned index, const struct completion *batch,
		   unsigned count)
{
	struct queue *queue = &used->queue[index];
	uint64_t at_ps = now_ps + used->cycles * used->period_ps;
	for (unsigned i = 0; i < count; i++)
		write_status(used, at_ps, queue, &batch[i]);
	if (queue->in_order) /* one element stands for the batch: the last one's, in the first one's place (§2.7.9) */
		write_elements(used, at_ps, queue, &batch[count - 1], 1);
	else
		write_elements(used, at_ps, queue, batch, count);
	queue->index = (uint16_t)(queue->index + count);
	write_index(used, at_ps, queue);
	used->stats.updates++;
	used->stats.completions += count;
	if (!queue->decision)
		read_decision(used, at_ps, queue);
	stamp_and_free(used, at_ps, index, batch, count);
}

/* When the next completion is there, and in which line. Who came first goes first. */
static uint64_t next_completion_ps(const struct used *used)
{
	return min_u64(completion_fifo_next_ps(&used->completions), completion_fifo_next_ps(&used->direct));
}

static struct completion_fifo *next_line(struct used *used)
{
	return completion_fifo_next_ps(&used->direct) < completion_fifo_next_ps(&used->completions)
		       ? &used->direct
		       : &used->completions;
}

/* Takes the completions at the head of a line that are for one running queue. Returns their number; *index is the
 * queue. */
static unsigned take_batch(struct used *used, uint64_t now_ps, struct completion *batch, unsigned *index)
{
	unsigned count = 0;
	struct completion_fifo *line = next_line(used);
	while (count < used->batch && completion_fifo_ready(line, now_ps)) {
		const struct completion *next = completion_fifo_peek(line);
		unsigned queue = next->queue;
		if (count != 0 && queue != *index)
			break;
		*index = queue;
		batch[count] = completion_fifo_pop(line, now_ps);
		if (used->queue[queue].run) {
			count++;
		} else {
			used->stats.dropped++;
			used->ports.slot_free(used->ports.ctx, now_ps, batch[count].slot);
		}
	}
	return count;
}

/* ---- decisions ---- */

static bool interrupt_wanted(struct queue *queue)
{
	uint16_t value = load_le16(queue->event_data);
	uint16_t old = queue->decided;
	queue->decided = queue->decision_index;
	if (!queue->event_idx)
		return !(value & VRING_AVAIL_F_NO_INTERRUPT);
	/* §2.7.7.2: used_event among the entries written since the last decision */
	return (uint16_t)(queue->decision_index - value - 1) < (uint16_t)(queue->decision_index - old);
}

static void ring_fault(struct used *used, uint64_t now_ps, unsigned index)
{
	used->faults |= UINT64_C(1) << index;
	used->stats.faults++;
	waker_wake(used->ports.events, now_ps);
}

static void decide(struct used *used, uint64_t now_ps, unsigned index, enum dma_status status)
{
	struct queue *queue = &used->queue[index];
	queue->decision = false;
	if (!queue->run)
		return;
	if (status != DMA_OK) {
		ring_fault(used, now_ps, index);
		return;
	}
	if (interrupt_wanted(queue)) {
		used->stats.interrupts++;
		used->ports.interrupt(used->ports.ctx, now_ps, index);
	} else {
		used->stats.suppressed++;
	}
	if (queue->index != queue->decision_index)
		read_decision(used, now_ps, queue);
}

/* ---- the block ---- */

struct used *used_create(const struct config *config, const struct used_ports *ports)
{
	struct used *used = calloc(1, sizeof(*used));
	if (!used)
		return NULL;
	used->ports = *ports;
	used->completions.consumer = used->direct.consumer = used->done.consumer = ports->self;
	used->period_ps = config_period_ps(config->device.clock_mhz);
	used->cycles = config->used.cycles;
	used->batch = config->used.batch;
	return used;
}

void used_free(struct used *used)
{
	free(used);
}

struct dma_done_fifo *used_dma_done(struct used *used)
{
	return &used->done;
}

struct completion_fifo *used_direct(struct used *used)
{
	return &used->direct;
}

void used_reset(struct used *used)
{
	completion_fifo_clear(&used->completions);
	completion_fifo_clear(&used->direct);
	dma_done_fifo_clear(&used->done);
	memset(used->queue, 0, sizeof(used->queue));
	used->faults = 0;
	used->transfers = 0;
}

uint64_t used_step(struct used *used, uint64_t now_ps)
{
	struct completion batch[BATCH_MAX];
	while (dma_done_fifo_ready(&used->done, now_ps)) {
		struct dma_done done = dma_done_fifo_pop(&used->done, now_ps);
		used->transfers--;
		used->queue[done.cookie & 0xffff].transfers--;
		if (done.cookie >> 16 == COOKIE_DECISION)
			decide(used, now_ps, done.cookie & 0xffff, done.status);
	}
	if (next_completion_ps(used) <= now_ps && now_ps >= used->next_update_ps &&
	    used->transfers < TRANSFERS_MAX) {
		unsigned index = 0;
		unsigned count = take_batch(used, now_ps, batch, &index);
		if (count != 0)
			update(used, now_ps, index, batch, count);
		used->next_update_ps = now_ps + used->cycles * used->period_ps;
	}
	uint64_t next_ps = next_completion_ps(used);
	if (next_ps != TIME_NEVER_PS && used->transfers >= TRANSFERS_MAX)
		next_ps = TIME_NEVER_PS; /* transfers coming back wake us */
	else if (next_ps != TIME_NEVER_PS)
		next_ps = max_u64(next_ps, used->next_update_ps);
	return min_u64(next_ps, dma_done_fifo_next_ps(&used->done));
}

bool used_busy(const struct used *used)
{
	return completion_fifo_count(&used->completions) != 0 || completion_fifo_count(&used->direct) != 0 ||
	       used->transfers != 0;
}

const struct used_stats *used_stats(const struct used *used)
{
	return &used->stats;
}

/* ---- registers ---- */

static bool queue_busy(const struct used *used, unsigned index)
{
	if (used->queue[index].transfers != 0)
		return true;
	const struct completion_fifo *const lines[] = {&used->completions, &used->direct};
	for (unsigned n = 0; n < ARRAY_SIZE(lines); n++)
		for (uint32_t i = lines[n]->head; i != lines[n]->tail; i++)
			if (lines[n]->entry[i % completion_fifo_depth].queue == index)
				return true;
	return false;
}

static uint32_t push_room(const struct used *used)
{
	return completion_fifo_depth - completion_fifo_count(&used->completions);
}

static void push(struct used *used, uint64_t now_ps, uint32_t value)
{
	uint32_t number = value & CSR_USED_PUSH_SLOT_MASK;
	if (push_room(used) == 0 || number >= SLOTS || slot_at(used, number)->queue >= QUEUES_MAX) {
		used->stats.dropped++;
		return;
	}
	const struct slot *slot = slot_at(used, number);
	uint8_t status = (uint8_t)((value & CSR_USED_PUSH_STATUS_MASK) >> CSR_USED_PUSH_STATUS_SHIFT);
	probe_stamp(used->ports.probe, number, STAGE_USED_PUSH, now_ps);
	completion_fifo_push(&used->completions, now_ps,
			     (struct completion){.slot = (uint16_t)number,
						 .queue = slot->queue,
						 .head = slot->head,
						 .status = status,
						 .len = used->push_len,
						 .status_addr = slot->status_addr});
}

bool used_csr_read(struct used *used, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	const struct queue *queue = &used->queue[used->csr_queue];
	(void)now_ps;
	switch (offset) {
	case CSR_USED_PUSH_BYTES: *value = used->push_len; break;
	case CSR_USED_PUSH: *value = 0; break;
	case CSR_USED_STATE: *value = push_room(used); break;
	case CSR_USED_QUEUE_SELECT: *value = used->csr_queue; break;
	case CSR_USED_QUEUE_USED_LO: *value = (uint32_t)queue->used; break;
	case CSR_USED_QUEUE_USED_HI: *value = (uint32_t)(queue->used >> 32); break;
	case CSR_USED_QUEUE_AVAIL_LO: *value = (uint32_t)queue->avail; break;
	case CSR_USED_QUEUE_AVAIL_HI: *value = (uint32_t)(queue->avail >> 32); break;
	case CSR_USED_QUEUE_CONFIG:
		*value = queue->size | (queue->event_idx ? CSR_USED_QUEUE_CONFIG_EVENT_IDX_MASK : 0) |
			 (queue->in_order ? CSR_USED_QUEUE_CONFIG_IN_ORDER_MASK : 0);
		break;
	case CSR_USED_QUEUE_CONTROL: *value = queue->run; break;
	case CSR_USED_QUEUE_STATE:
		*value = queue_busy(used, used->csr_queue) | (uint32_t)queue->index
								     << CSR_USED_QUEUE_STATE_INDEX_SHIFT;
		break;
	case CSR_USED_FAULT_LO: *value = (uint32_t)used->faults; break;
	case CSR_USED_FAULT_HI: *value = (uint32_t)(used->faults >> 32); break;
	case CSR_USED_BATCH: *value = used->batch; break;
	default: return false;
	}
	return true;
}

/* False if the ring would run past the end of the address space (V-020). */
static bool addresses_ok(const struct queue *queue)
{
	uint64_t used_bytes = (uint64_t)ELEMENT_BYTES * queue->size + RING_TAIL_BYTES;
	uint64_t avail_bytes = (uint64_t)AVAIL_ENTRY_BYTES * queue->size + RING_TAIL_BYTES;
	return queue->used + (used_bytes - 1) >= queue->used &&
	       queue->avail + (avail_bytes - 1) >= queue->avail;
}

/* A start needs a usable size, and everything of an earlier life to be over. */
static void start(struct used *used, uint64_t now_ps, struct queue *queue)
{
	if (!is_power_of_2(queue->size) || queue_busy(used, used->csr_queue))
		return;
	queue->index = queue->decided = 0;
	queue->run = addresses_ok(queue);
	if (!queue->run)
		ring_fault(used, now_ps, used->csr_queue);
}

static void write_control(struct used *used, uint64_t now_ps, struct queue *queue, uint32_t value)
{
	bool run = value & CSR_USED_QUEUE_CONTROL_RUN_MASK;
	if (!run)
		queue->run = false;
	else if (!queue->run)
		start(used, now_ps, queue);
}

bool used_csr_write(struct used *used, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	struct queue *queue = &used->queue[used->csr_queue];
	switch (offset) {
	case CSR_USED_PUSH_BYTES: used->push_len = value; break;
	case CSR_USED_PUSH: push(used, now_ps, value); break;
	case CSR_USED_QUEUE_SELECT: used->csr_queue = value % QUEUES_MAX; break;
	case CSR_USED_QUEUE_USED_LO: queue->used = (queue->used >> 32 << 32) | value; break;
	case CSR_USED_QUEUE_USED_HI: queue->used = (uint32_t)queue->used | (uint64_t)value << 32; break;
	case CSR_USED_QUEUE_AVAIL_LO: queue->avail = (queue->avail >> 32 << 32) | value; break;
	case CSR_USED_QUEUE_AVAIL_HI: queue->avail = (uint32_t)queue->avail | (uint64_t)value << 32; break;
	case CSR_USED_QUEUE_CONFIG:
		queue->size = value & CSR_USED_QUEUE_CONFIG_SIZE_MASK;
		queue->event_idx = value & CSR_USED_QUEUE_CONFIG_EVENT_IDX_MASK;
		queue->in_order = value & CSR_USED_QUEUE_CONFIG_IN_ORDER_MASK;
		break;
	case CSR_USED_QUEUE_CONTROL: write_control(used, now_ps, queue, value); break;
	case CSR_USED_FAULT_LO: used->faults &= ~(uint64_t)value; break;
	case CSR_USED_FAULT_HI: used->faults &= ~((uint64_t)value << 32); break;
	case CSR_USED_BATCH: used->batch = max_u32(1, min_u32(value, BATCH_MAX)); break;
	case CSR_USED_STATE:
	case CSR_USED_QUEUE_STATE: break; /* read-only */
	default: return false;
	}
	return true;
}

uint32_t used_events(const struct used *used)
{
	return used->faults ? CSR_SYS_EVENTS_DMA_FAULT_MASK : 0;
}
