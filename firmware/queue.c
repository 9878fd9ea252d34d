/* Virtqueues: from the driver's registers to the engines and back (virtio 1.4 §2.6, §2.7, §4.1.5.1.3). */
#include "firmware/card.h"

static struct queue_setup read_setup(unsigned queue)
{
	reg_write(CSR_VIRTIO_QUEUE_SELECT_ADDR, queue);
	return (struct queue_setup){
		.desc = {reg_read(CSR_VIRTIO_QUEUE_DESC_LO_ADDR), reg_read(CSR_VIRTIO_QUEUE_DESC_HI_ADDR)},
		.driver = {reg_read(CSR_VIRTIO_QUEUE_DRIVER_LO_ADDR),
			   reg_read(CSR_VIRTIO_QUEUE_DRIVER_HI_ADDR)},
		.device = {reg_read(CSR_VIRTIO_QUEUE_DEVICE_LO_ADDR),
			   reg_read(CSR_VIRTIO_QUEUE_DEVICE_HI_ADDR)},
		.size = reg_read(CSR_VIRTIO_QUEUE_SIZE_ADDR),
		.enabled = reg_read(CSR_VIRTIO_QUEUE_ENABLE_ADDR) != 0,
	};
}

/* True if `bytes` from a multiple of `align` on are within the address space. */
static bool usable(const uint32_t addr[2], uint32_t bytes, uint32_t align)
{
	bool wraps = addr[1] == UINT32_MAX && addr[0] + (bytes - 1) < addr[0];
	return addr[0] % align == 0 && !wraps;
}

static bool setup_usable(const struct queue_setup *setup)
{
	return usable(setup->desc, DESC_BYTES * setup->size, DESC_ALIGN) &&
	       usable(setup->driver, RING_TAIL_BYTES + 2 * setup->size, AVAIL_ALIGN) &&
	       usable(setup->device, RING_TAIL_BYTES + 8 * setup->size, USED_ALIGN);
}

static void program_fetch(const struct card *card, unsigned queue, const struct queue_setup *setup)
{
	reg_write(CSR_FETCH_QUEUE_SELECT_ADDR, queue);
	reg_write(CSR_FETCH_QUEUE_DESC_LO_ADDR, setup->desc[0]);
	reg_write(CSR_FETCH_QUEUE_DESC_HI_ADDR, setup->desc[1]);
	reg_write(CSR_FETCH_QUEUE_AVAIL_LO_ADDR, setup->driver[0]);
	reg_write(CSR_FETCH_QUEUE_AVAIL_HI_ADDR, setup->driver[1]);
	reg_write(CSR_FETCH_QUEUE_USED_LO_ADDR, setup->device[0]);
	reg_write(CSR_FETCH_QUEUE_USED_HI_ADDR, setup->device[1]);
	reg_write(CSR_FETCH_QUEUE_CONFIG_ADDR,
		  setup->size | (negotiated(card, F_EVENT_IDX) ? CSR_FETCH_QUEUE_CONFIG_EVENT_IDX_MASK : 0) |
			  (negotiated(card, F_INDIRECT_DESC) ? CSR_FETCH_QUEUE_CONFIG_INDIRECT_MASK : 0));
	reg_write(CSR_FETCH_QUEUE_CONTROL_ADDR, CSR_FETCH_QUEUE_CONTROL_RUN_MASK);
}

static void program_used(const struct card *card, unsigned queue, const struct queue_setup *setup)
{
	reg_write(CSR_USED_QUEUE_SELECT_ADDR, queue);
	reg_write(CSR_USED_QUEUE_USED_LO_ADDR, setup->device[0]);
	reg_write(CSR_USED_QUEUE_USED_HI_ADDR, setup->device[1]);
	reg_write(CSR_USED_QUEUE_AVAIL_LO_ADDR, setup->driver[0]);
	reg_write(CSR_USED_QUEUE_AVAIL_HI_ADDR, setup->driver[1]);
	reg_write(CSR_USED_QUEUE_CONFIG_ADDR,
		  setup->size | (negotiated(card, F_EVENT_IDX) ? CSR_USED_QUEUE_CONFIG_EVENT_IDX_MASK : 0) |
			  (negotiated(card, F_IN_ORDER) ? CSR_USED_QUEUE_CONFIG_IN_ORDER_MASK : 0));
	reg_write(CSR_USED_QUEUE_CONTROL_ADDR, CSR_USED_QUEUE_CONTROL_RUN_MASK);
}

/* Sets or clears a queue's bit in a pair of registers, the lower of which is at addr_lo. */
static void set_bit(uint32_t addr_lo, unsigned queue, bool enable)
{
	uint32_t addr = queue < 32 ? addr_lo : addr_lo + 4;
	uint32_t bit = UINT32_C(1) << (queue % 32);
	uint32_t word = reg_read(addr);
	reg_write(addr, enable ? word | bit : word & ~bit);
}

static void enable_doorbells(unsigned queue, bool enable)
{
	set_bit(CSR_NOTIFY_ENABLE_LO_ADDR, queue, enable);
}

/* Reads and writes of the queue need the core no more. With IN_ORDER they do: it keeps the order. */
static void enable_direct_path(const struct card *card, unsigned queue, bool enable)
{
	if (card->offload == OFFLOAD_FULL && !negotiated(card, F_IN_ORDER))
		set_bit(CSR_DIRECT_ENABLE_LO_ADDR, queue, enable);
}

/* Sets the engines to work on a queue and looks at its ring once, without waiting for a doorbell. */
static void queue_start(struct card *card, unsigned queue)
{
	struct queue_setup setup = read_setup(queue);
	if (!setup.enabled)
		return;
	if (!setup_usable(&setup)) { /* V-020, V-026 */
		needs_reset(card);
		return;
	}
	card->queue[queue] = (struct queue_state){.running = true};
	program_used(card, queue, &setup);
	if (card->offload == OFFLOAD_FIRMWARE)
		ring_start(card, queue, &setup);
	else
		program_fetch(card, queue, &setup);
	enable_direct_path(card, queue, true);
	enable_doorbells(queue, true);
	reg_write(CSR_NOTIFY_KICK_ADDR, queue);
}

static void clear_enabled_events(void)
{
	reg_write(CSR_VIRTIO_QUEUE_ENABLED_LO_ADDR, UINT32_MAX);
	reg_write(CSR_VIRTIO_QUEUE_ENABLED_HI_ADDR, UINT32_MAX);
}

/* DRIVER_OK: all enabled queues at once. */
void queues_start(struct card *card)
{
	clear_enabled_events();
	for (unsigned i = 0; i < card->queues && !card->broken; i++)
		if (!card->queue[i].running && !card->queue[i].resetting)
			queue_start(card, i);
}

/* The driver has enabled a queue. Before DRIVER_OK that means nothing yet; after, it is back from a queue reset. */
void queue_enabled_event(struct card *card)
{
	if (card->live && !card->broken)
		queues_start(card);
	else
		clear_enabled_events();
}

/* Takes no more of a queue's buffers and gives none back. What is in work goes on until it ends, and is then dropped. */
void queue_stop(struct card *card, unsigned queue)
{
	card->queue[queue].running = false;
	enable_doorbells(queue, false);
	enable_direct_path(card, queue, false);
	if (card->offload == OFFLOAD_FIRMWARE) {
		ring_stop(card, queue);
	} else {
		reg_write(CSR_FETCH_QUEUE_SELECT_ADDR, queue);
		reg_write(CSR_FETCH_QUEUE_CONTROL_ADDR, 0);
	}
	reg_write(CSR_USED_QUEUE_SELECT_ADDR, queue);
	reg_write(CSR_USED_QUEUE_CONTROL_ADDR, 0);
	drop_finished(card, queue);
}

/* Everything has been reset: no queue runs. */
void queues_forget(struct card *card)
{
	for (unsigned i = 0; i < card->queues; i++)
		card->queue[i] = (struct queue_state){0};
	card->resetting_queues = 0;
}

/* ---- queue reset ---- */

static void queue_reset_begin(struct card *card, unsigned queue)
{
	struct queue_state *state = &card->queue[queue];
	if (state->resetting)
		return;
	queue_stop(card, queue);
	state->resetting = true;
	card->resetting_queues++;
}

void queue_reset_event(struct card *card)
{
	for (unsigned word = 0; word < 2; word++) {
		uint32_t queues = reg_read(CSR_VIRTIO_QUEUE_RESET_LO_ADDR + 4 * word);
		for (unsigned i = 0; queues != 0; i++, queues >>= 1)
			if (queues & 1)
				queue_reset_begin(card, 32 * word + i);
	}
}

static bool engines_hold_queue(const struct card *card, unsigned queue)
{
	if (card->offload == OFFLOAD_FIRMWARE) {
		if (ring_busy(card, queue))
			return true;
	} else {
		reg_write(CSR_FETCH_QUEUE_SELECT_ADDR, queue);
		if (reg_read(CSR_FETCH_QUEUE_STATE_ADDR) & CSR_FETCH_QUEUE_STATE_BUSY_MASK)
			return true;
	}
	if (card->offload ==
	    OFFLOAD_FULL) { /* behind the fetch engine, so that no record is overlooked on its way */
		reg_write(CSR_DIRECT_QUEUE_SELECT_ADDR, queue);
		if (reg_read(CSR_DIRECT_QUEUE_STATE_ADDR) & CSR_DIRECT_QUEUE_STATE_BUSY_MASK)
			return true;
	}
	reg_write(CSR_USED_QUEUE_SELECT_ADDR, queue);
	return reg_read(CSR_USED_QUEUE_STATE_ADDR) & CSR_USED_QUEUE_STATE_BUSY_MASK;
}

/* Finishes queue resets whose last request has ended. When the engines have become idle, their last records may still wait
 * in FETCH.RECORD: the next turn of the event loop takes them, and only then all requests are known. */
void queue_resets_poll(struct card *card)
{
	for (unsigned i = 0; i < card->queues; i++) {
		struct queue_state *state = &card->queue[i];
		if (!state->resetting)
			continue;
		if (!state->engines_idle) {
			state->engines_idle = !engines_hold_queue(card, i);
			continue;
		}
		if (state->inflight != 0)
			continue;
		*state = (struct queue_state){0};
		card->resetting_queues--;
		reg_write(i < 32 ? CSR_VIRTIO_QUEUE_RESET_LO_ADDR : CSR_VIRTIO_QUEUE_RESET_HI_ADDR,
			  UINT32_C(1) << (i % 32));
	}
}

/* A ring could not be read, or its index makes no sense: the driver has lost its mind or its memory. */
void ring_fault_event(struct card *card)
{
	static const uint32_t faults[] = {CSR_FETCH_FAULT_LO_ADDR, CSR_FETCH_FAULT_HI_ADDR,
					  CSR_USED_FAULT_LO_ADDR, CSR_USED_FAULT_HI_ADDR};
	uint32_t any = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(faults); i++) {
		uint32_t queues = reg_read(faults[i]);
		reg_write(faults[i], queues);
		any |= queues;
	}
	if (any != 0) /* none if a reset came in between */
		needs_reset(card);
}
