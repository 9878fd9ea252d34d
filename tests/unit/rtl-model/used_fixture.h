/* The used-ring writer with rings in guest memory, a firmware that pushes completions, and an independent statement of
 * when the driver is to be interrupted. */
#ifndef KICKSTAND_TESTS_USED_FIXTURE_H
#define KICKSTAND_TESTS_USED_FIXTURE_H

#include "rtl-model/blocks/used/used.h"
#include "tests/unit/rtl-model/host_fixture.h"

#define GUEST_BASE UINT64_C(0x180000000)

/* A virtqueue's rings, and what is known of the card's doings. */
struct vq {
	unsigned number;
	uint16_t size;
	bool event_idx, in_order;
	uint64_t avail, used;
	/* seen on the link */
	uint16_t index;     /* used.idx in the last write of it */
	uint16_t decided;   /* used.idx at the last decision */
	uint16_t asked;     /* used.idx when the read for the decision left */
	bool interrupt_due; /* the specification wants one, now */
	unsigned interrupts, decisions;
};

struct rig {
	struct config config;
	struct sim sim;
	struct sim_process *process;
	struct host *host;
	struct used *used;
	struct probe probe;
	struct waker events;
	unsigned event_wakes;
	struct vq vq[QUEUES_MAX]; /* size 0: not there */
	uint64_t free_addr;
	bool slot_out[SLOTS]; /* pushed, not yet free again */
	unsigned slots_freed, retired;
	_Alignas(16) uint8_t sram[SRAM_BYTES];
};

static inline uint64_t rig_step(void *ctx, uint64_t now_ps)
{
	return used_step(((struct rig *)ctx)->used, now_ps);
}

static inline void rig_event(void *ctx, uint64_t at_ps)
{
	(void)at_ps;
	((struct rig *)ctx)->event_wakes++;
}

static inline void rig_interrupt(void *ctx, uint64_t now_ps, unsigned queue)
{
	struct rig *rig = ctx;
	assert_int_equal(now_ps, rig->sim.now_ps);
	assert_true(rig->vq[queue].interrupt_due); /* D-024, D-028 */
	rig->vq[queue].interrupt_due = false;
	rig->vq[queue].interrupts++;
}

static inline void rig_slot_free(void *ctx, uint64_t now_ps, unsigned slot)
{
	struct rig *rig = ctx;
	(void)now_ps;
	assert_true(slot < SLOTS && rig->slot_out[slot]);
	rig->slot_out[slot] = false;
	rig->slots_freed++;
}

static inline void rig_retired(void *ctx, unsigned queue, unsigned head, const struct stamps *stamps,
			       const struct probe_work *work)
{
	struct rig *rig = ctx;
	assert_ptr_equal(work, &rig->probe.work[stamps - rig->probe.slot]);
	assert_true(queue < QUEUES_MAX && head < 0x10000 && stamps->at_ps[STAGE_USED] > rig->sim.now_ps);
	rig->retired++;
}

static inline bool inside(uint64_t addr, uint64_t start, uint64_t bytes)
{
	return addr >= start && addr - start < bytes;
}

/* A request of the block leaves. Writes leave in the order in which the host sees them. */
static inline void rig_taken(void *ctx, const struct dma_request *request)
{
	struct rig *rig = ctx;
	for (unsigned q = 0; q < QUEUES_MAX; q++) {
		struct vq *vq = &rig->vq[q];
		if (vq->size == 0)
			continue;
		if (request->write && request->addr == vq->used + 2)
			vq->index = load_le16(request->data);
		if (!request->write && inside(request->addr, vq->avail, 6 + 2 * (uint64_t)vq->size))
			vq->asked = vq->index;
	}
}

/* §2.7.7.2, entry by entry: with EVENT_IDX an interrupt is due if one of the entries written since the last decision stands
 * at used_event; without, if avail.flags does not say no. */
static inline bool spec_wants_interrupt(const struct vq *vq, uint16_t value)
{
	if (!vq->event_idx)
		return !(value & 1);
	for (uint16_t i = vq->decided; i != vq->asked; i++)
		if (i == value)
			return true;
	return false;
}

static inline void rig_answered(void *ctx, const struct dma_request *request)
{
	struct rig *rig = ctx;
	for (unsigned q = 0; q < QUEUES_MAX; q++) {
		struct vq *vq = &rig->vq[q];
		if (vq->size == 0 || !inside(request->addr, vq->avail, 6 + 2 * (uint64_t)vq->size))
			continue;
		assert_false(vq->interrupt_due); /* the last one has come: D-025, D-027 */
		vq->interrupt_due = spec_wants_interrupt(vq, load_le16(request->data));
		vq->decided = vq->asked;
		vq->decisions++;
	}
}

static inline struct rig *rig_create(uint64_t guest_bytes, uint64_t seed)
{
	struct rig *rig = aligned_alloc(16, (sizeof(*rig) + 15) / 16 * 16);
	assert_non_null(rig);
	memset(rig, 0, sizeof(*rig));
	config_defaults(&rig->config);
	rig->host = host_create(&rig->sim, GUEST_BASE, guest_bytes, seed);
	rig->host->ctx = rig;
	rig->host->taken = rig_taken;
	rig->host->answered = rig_answered;
	rig->process = sim_add(&rig->sim, rig_step, rig);
	rig->events = (struct waker){rig_event, rig};
	rig->free_addr = GUEST_BASE;
	rig->probe.observer = (struct probe_observer){.ctx = rig, .retired = rig_retired};
	return rig;
}

static inline void rig_start(struct rig *rig)
{
	const struct used_ports ports = {
		.self = &rig->process->waker,
		.dma = &rig->host->requests,
		.sram = rig->sram,
		.probe = &rig->probe,
		.events = &rig->events,
		.ctx = rig,
		.interrupt = rig_interrupt,
		.slot_free = rig_slot_free,
	};
	rig->used = used_create(&rig->config, &ports);
	assert_non_null(rig->used);
	rig->host->done = used_dma_done(rig->used);
}

static inline void rig_free(struct rig *rig)
{
	for (unsigned q = 0; q < QUEUES_MAX; q++)
		assert_false(rig->vq[q].interrupt_due);
	used_free(rig->used);
	host_free(rig->host);
	free(rig);
}

/* ---- registers ---- */

static inline uint32_t get(struct rig *rig, uint32_t offset)
{
	uint32_t value;
	assert_true(used_csr_read(rig->used, rig->sim.now_ps, offset, &value));
	return value;
}

static inline void set(struct rig *rig, uint32_t offset, uint32_t value)
{
	assert_true(used_csr_write(rig->used, rig->sim.now_ps, offset, value));
}

static inline uint32_t queue_get(struct rig *rig, unsigned queue, uint32_t offset)
{
	set(rig, CSR_USED_QUEUE_SELECT, queue);
	return get(rig, offset);
}

static inline void queue_run(struct rig *rig, unsigned queue, bool run)
{
	set(rig, CSR_USED_QUEUE_SELECT, queue);
	set(rig, CSR_USED_QUEUE_CONTROL, run);
}

static inline bool queue_busy(struct rig *rig, unsigned queue)
{
	return queue_get(rig, queue, CSR_USED_QUEUE_STATE) & CSR_USED_QUEUE_STATE_BUSY_MASK;
}

static inline void program(struct rig *rig, const struct vq *vq)
{
	set(rig, CSR_USED_QUEUE_SELECT, vq->number);
	set(rig, CSR_USED_QUEUE_USED_LO, (uint32_t)vq->used);
	set(rig, CSR_USED_QUEUE_USED_HI, (uint32_t)(vq->used >> 32));
	set(rig, CSR_USED_QUEUE_AVAIL_LO, (uint32_t)vq->avail);
	set(rig, CSR_USED_QUEUE_AVAIL_HI, (uint32_t)(vq->avail >> 32));
	set(rig, CSR_USED_QUEUE_CONFIG,
	    vq->size | (uint32_t)vq->event_idx << 16 | (uint32_t)vq->in_order << 17);
	set(rig, CSR_USED_QUEUE_CONTROL, 1);
}

/* ---- the driver's memory ---- */

static inline uint8_t *guest(const struct rig *rig, uint64_t addr, uint64_t bytes)
{
	return host_at(rig->host, addr, bytes);
}

static inline uint64_t guest_alloc(struct rig *rig, uint64_t bytes, uint64_t align, unsigned access)
{
	uint64_t addr = (rig->free_addr + align - 1) & ~(align - 1);
	rig->free_addr = addr + bytes;
	memset(guest(rig, addr, bytes), 0, bytes);
	host_allow(rig->host, addr, bytes, access);
	return addr;
}

/* Rings of §2.7 of which the block may touch: used.idx and the elements; used_event or avail.flags. */
static inline struct vq *vq_create(struct rig *rig, unsigned number, uint16_t size, bool event_idx,
				   bool in_order)
{
	struct vq *vq = &rig->vq[number];
	*vq = (struct vq){.number = number, .size = size, .event_idx = event_idx, .in_order = in_order};
	vq->avail = guest_alloc(rig, 6 + 2 * (uint64_t)size, 2, 0);
	host_allow(rig->host, event_idx ? vq->avail + 4 + 2 * (uint64_t)size : vq->avail, 2, HOST_READ);
	vq->used = guest_alloc(rig, 6 + 8 * (uint64_t)size, 4, 0);
	host_allow(rig->host, vq->used + 2, 2 + 8 * (uint64_t)size, HOST_WRITE);
	program(rig, vq);
	return vq;
}

static inline uint16_t used_idx(const struct rig *rig, const struct vq *vq)
{
	return load_le16(guest(rig, vq->used + 2, 2));
}

static inline uint32_t element_id(const struct rig *rig, const struct vq *vq, uint16_t index)
{
	return load_le32(guest(rig, vq->used + 4 + 8 * (uint64_t)(index % vq->size), 8));
}

static inline uint32_t element_len(const struct rig *rig, const struct vq *vq, uint16_t index)
{
	return load_le32(guest(rig, vq->used + 8 + 8 * (uint64_t)(index % vq->size), 4));
}

static inline void set_used_event(struct rig *rig, const struct vq *vq, uint16_t value)
{
	store_le16(guest(rig, vq->avail + 4 + 2 * (uint64_t)vq->size, 2), value);
}

static inline void set_avail_flags(struct rig *rig, const struct vq *vq, uint16_t value)
{
	store_le16(guest(rig, vq->avail, 2), value);
}

/* ---- the firmware ---- */

static inline struct slot *slot_of(struct rig *rig, unsigned number)
{
	return (struct slot *)(void *)(rig->sram + (size_t)number * SLOT_BYTES);
}

/* Completes the request in a slot. The slot's contents are another's at once. */
static inline void push(struct rig *rig, const struct vq *vq, unsigned number, uint16_t head, uint8_t status,
			uint32_t len, uint64_t status_addr)
{
	assert_true(get(rig, CSR_USED_STATE) != 0);
	assert_false(rig->slot_out[number]);
	rig->slot_out[number] = true;
	*slot_of(rig, number) =
		(struct slot){.queue = (uint16_t)vq->number, .head = head, .status_addr = status_addr};
	set(rig, CSR_USED_PUSH_BYTES, len);
	set(rig, CSR_USED_PUSH, number | (uint32_t)status << 16);
	memset(slot_of(rig, number), 0xff, sizeof(struct slot));
}

#endif
