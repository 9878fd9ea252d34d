/* The fetch engine with rings in guest memory, built from the layouts of virtio 1.4 §2.7, and a driver that fills them. */
#ifndef KICKSTAND_TESTS_FETCH_FIXTURE_H
#define KICKSTAND_TESTS_FETCH_FIXTURE_H

#include "rtl-model/blocks/fetch/fetch.h"
#include "tests/unit/rtl-model/host_fixture.h"

#ifdef TWIN
#include "rtl-model/blocks/fetch/fetch_rtl.h"
#define IS_TWIN      true
#define FETCH_CREATE fetch_rtl_create
#else
#define IS_TWIN      false
#define FETCH_CREATE fetch_create
#endif

#define GUEST_BASE UINT64_C(0x200000000)
#define NEXT       1u
#define WRITE      2u
#define INDIRECT   4u

/* A virtqueue as the driver sees it. */
struct vq {
	unsigned number;
	uint16_t size;
	bool event_idx, indirect;
	uint64_t desc, avail, used;
	uint16_t added;  /* ring entries written */
	uint16_t index;  /* avail.idx as published */
	uint16_t kicked; /* avail.idx at the last decision to kick */
};

struct rig {
	struct config config;
	struct fetch *(*create)(const struct config *config, const struct fetch_ports *ports);
	struct sim sim;
	struct sim_process *process;
	struct host *host;
	struct fetch *fetch;
	struct probe probe;
	struct waker events;
	unsigned event_wakes;
	uint64_t free_addr; /* guest memory given out so far */
	_Alignas(16) uint8_t sram[SRAM_BYTES];
};

static inline uint64_t rig_step(void *ctx, uint64_t now_ps)
{
	return fetch_step(((struct rig *)ctx)->fetch, now_ps);
}

static inline void rig_event(void *ctx, uint64_t at_ps)
{
	(void)at_ps;
	((struct rig *)ctx)->event_wakes++;
}

/* Adjust config, then rig_start. */
static inline struct rig *rig_create(uint64_t guest_bytes, uint64_t seed)
{
	struct rig *rig = aligned_alloc(16, (sizeof(*rig) + 15) / 16 * 16);
	assert_non_null(rig);
	memset(rig, 0, sizeof(*rig));
	config_defaults(&rig->config);
	rig->create = FETCH_CREATE;
	rig->host = host_create(&rig->sim, GUEST_BASE, guest_bytes, seed);
	rig->process = sim_add(&rig->sim, rig_step, rig);
	rig->events = (struct waker){rig_event, rig};
	rig->free_addr = GUEST_BASE;
	return rig;
}

static inline void rig_start(struct rig *rig)
{
	const struct fetch_ports ports = {
		.self = &rig->process->waker,
		.dma = &rig->host->requests,
		.sram = rig->sram,
		.probe = &rig->probe,
		.events = &rig->events,
	};
	rig->fetch = rig->create(&rig->config, &ports);
	assert_non_null(rig->fetch);
	rig->host->done = &rig->fetch->done;
}

static inline void rig_free(struct rig *rig)
{
	fetch_free(rig->fetch);
	host_free(rig->host);
	free(rig);
}

/* ---- registers ---- */

static inline uint32_t get(struct rig *rig, uint32_t offset)
{
	uint32_t value;
	assert_true(fetch_csr_read(rig->fetch, rig->sim.now_ps, offset, &value));
	return value;
}

static inline void set(struct rig *rig, uint32_t offset, uint32_t value)
{
	assert_true(fetch_csr_write(rig->fetch, rig->sim.now_ps, offset, value));
}

/* Lets what was written to registers take effect, where that needs clock edges. */
static inline void rig_settle(struct rig *rig)
{
	get(rig, CSR_FETCH_QUEUE_STATE);
}

static inline const struct fetch_stats *stats_of(struct rig *rig)
{
	rig_settle(rig);
	return &rig->fetch->stats;
}

static inline unsigned slots_in_use(struct rig *rig)
{
	rig_settle(rig);
	return fetch_slots_in_use(rig->fetch);
}

static inline uint32_t queue_get(struct rig *rig, unsigned queue, uint32_t offset)
{
	set(rig, CSR_FETCH_QUEUE_SELECT, queue);
	return get(rig, offset);
}

static inline void queue_set(struct rig *rig, unsigned queue, uint32_t offset, uint32_t value)
{
	set(rig, CSR_FETCH_QUEUE_SELECT, queue);
	set(rig, offset, value);
}

static inline uint16_t fetched(struct rig *rig, unsigned queue)
{
	return (uint16_t)(queue_get(rig, queue, CSR_FETCH_QUEUE_STATE) >> 16);
}

/* What the firmware does to start a queue. */
static inline void program(struct rig *rig, const struct vq *vq)
{
	set(rig, CSR_FETCH_QUEUE_SELECT, vq->number);
	set(rig, CSR_FETCH_QUEUE_DESC_LO, (uint32_t)vq->desc);
	set(rig, CSR_FETCH_QUEUE_DESC_HI, (uint32_t)(vq->desc >> 32));
	set(rig, CSR_FETCH_QUEUE_AVAIL_LO, (uint32_t)vq->avail);
	set(rig, CSR_FETCH_QUEUE_AVAIL_HI, (uint32_t)(vq->avail >> 32));
	set(rig, CSR_FETCH_QUEUE_USED_LO, (uint32_t)vq->used);
	set(rig, CSR_FETCH_QUEUE_USED_HI, (uint32_t)(vq->used >> 32));
	set(rig, CSR_FETCH_QUEUE_CONFIG,
	    vq->size | (uint32_t)vq->event_idx << 16 | (uint32_t)vq->indirect << 17);
	set(rig, CSR_FETCH_QUEUE_CONTROL, 1);
}

/* ---- the driver ---- */

static inline uint8_t *guest(const struct rig *rig, uint64_t addr, uint64_t bytes)
{
	return host_at(rig->host, addr, bytes);
}

/* Guest memory, zeroed, which the card may use as told. */
static inline uint64_t guest_alloc(struct rig *rig, uint64_t bytes, uint64_t align, unsigned access)
{
	uint64_t addr = (rig->free_addr + align - 1) & ~(align - 1);
	rig->free_addr = addr + bytes;
	memset(guest(rig, addr, bytes), 0, bytes);
	host_allow(rig->host, addr, bytes, access);
	return addr;
}

/* Rings exactly as large as §2.7 says. In the used ring the engine may write flags or avail_event only. */
static inline struct vq vq_create(struct rig *rig, unsigned number, uint16_t size, bool event_idx,
				  bool indirect)
{
	struct vq vq = {.number = number, .size = size, .event_idx = event_idx, .indirect = indirect};
	vq.desc = guest_alloc(rig, 16 * (uint64_t)size, 16, HOST_READ);
	vq.avail = guest_alloc(rig, 6 + 2 * (uint64_t)size, 2, 0);
	host_allow(rig->host, vq.avail, 4 + 2 * (uint64_t)size, HOST_READ);
	vq.used = guest_alloc(rig, 6 + 8 * (uint64_t)size, 4, 0);
	host_allow(rig->host, event_idx ? vq.used + 4 + 8 * (uint64_t)size : vq.used, 2, HOST_WRITE);
	return vq;
}

static inline uint16_t avail_event(const struct rig *rig, const struct vq *vq)
{
	return load_le16(guest(rig, vq->used + 4 + 8 * (uint64_t)vq->size, 2));
}

static inline uint16_t used_flags(const struct rig *rig, const struct vq *vq)
{
	return load_le16(guest(rig, vq->used, 2));
}

static inline void put_desc_at(struct rig *rig, uint64_t addr, uint64_t buffer, uint32_t bytes,
			       uint16_t flags, uint16_t next)
{
	uint8_t *desc = guest(rig, addr, 16);
	store_le64(desc, buffer);
	store_le32(desc + 8, bytes);
	store_le16(desc + 12, flags);
	store_le16(desc + 14, next);
}

static inline void put_desc(struct rig *rig, const struct vq *vq, unsigned index, uint64_t buffer,
			    uint32_t bytes, uint16_t flags, uint16_t next)
{
	put_desc_at(rig, vq->desc + 16 * (uint64_t)index, buffer, bytes, flags, next);
}

static inline void add_head(struct rig *rig, struct vq *vq, uint16_t head)
{
	store_le16(guest(rig, vq->avail + 4 + 2 * (uint64_t)(vq->added % vq->size), 2), head);
	vq->added++;
}

static inline void publish(struct rig *rig, struct vq *vq)
{
	vq->index = vq->added;
	store_le16(guest(rig, vq->avail + 2, 2), vq->index);
}

/* Whether the driver rings for what it has published since it last thought about it (§2.7.10, §2.7.13). */
static inline bool kick_wanted(const struct rig *rig, struct vq *vq)
{
	uint16_t old = vq->kicked;
	vq->kicked = vq->index;
	if (!vq->event_idx)
		return !(used_flags(rig, vq) & 1);
	for (uint16_t i = old; i != vq->index; i++) /* "when avail_event was among the indices passed" */
		if (i == avail_event(rig, vq))
			return true;
	return false;
}

static inline void serve_hinted(struct rig *rig, const struct vq *vq, bool hinted, uint16_t hint)
{
	service_fifo_push(&rig->fetch->services, rig->sim.now_ps,
			  (struct service){.queue = (uint16_t)vq->number,
					   .hint_valid = hinted,
					   .hint = hint,
					   .doorbell_ps = rig->sim.now_ps});
}

static inline void serve(struct rig *rig, const struct vq *vq)
{
	serve_hinted(rig, vq, false, 0);
}

/* ---- requests ---- */

/* A piece of a request. */
struct piece {
	uint64_t addr;
	uint32_t bytes;
	bool write;
};

#define PIECES_MAX 130u

struct chain {
	struct piece piece[PIECES_MAX];
	unsigned count;
	uint8_t header[16];
};

static inline uint64_t add_piece(struct rig *rig, struct chain *chain, uint32_t bytes, bool write,
				 uint32_t header_bytes)
{
	uint64_t addr = guest_alloc(rig, bytes, 1, 0);
	host_allow(rig->host, addr, header_bytes, HOST_READ);
	chain->piece[chain->count++] = (struct piece){addr, bytes, write};
	return addr;
}

/* Fills in the header, of which the first `have` bytes are in pieces already. */
static inline void add_header_piece(struct rig *rig, struct chain *chain, unsigned have, uint32_t bytes)
{
	uint32_t header_bytes = min_u32(bytes, have < 16 ? 16 - have : 0);
	uint64_t addr = add_piece(rig, chain, bytes, false, header_bytes);
	memcpy(guest(rig, addr, bytes), chain->header + have, header_bytes);
}

/* Header, data and status as drivers usually lay them out. */
static inline struct chain plain_chain(struct rig *rig, uint32_t data_bytes, bool write_data, uint64_t seed)
{
	struct chain chain = {0};
	for (unsigned i = 0; i < 16; i++)
		chain.header[i] = (uint8_t)(seed * 7 + 3 * i + 1);
	add_header_piece(rig, &chain, 0, 16);
	if (data_bytes != 0)
		add_piece(rig, &chain, data_bytes, write_data, 0);
	add_piece(rig, &chain, 1, true, 0);
	return chain;
}

/* Descriptors `first`, first + 1, … of the queue's table; returns how many. */
static inline unsigned put_chain(struct rig *rig, const struct vq *vq, unsigned first,
				 const struct chain *chain)
{
	for (unsigned i = 0; i < chain->count; i++)
		put_desc(rig, vq, first + i, chain->piece[i].addr, chain->piece[i].bytes,
			 (uint16_t)((chain->piece[i].write ? WRITE : 0) | (i + 1 < chain->count ? NEXT : 0)),
			 (uint16_t)(first + i + 1));
	return chain->count;
}

/* The same in an indirect table, which is returned. */
static inline uint64_t put_table(struct rig *rig, const struct chain *chain, unsigned first)
{
	uint64_t table = guest_alloc(rig, 16 * (uint64_t)(chain->count - first), 1, HOST_READ);
	for (unsigned i = first; i < chain->count; i++)
		put_desc_at(
			rig, table + 16 * (uint64_t)(i - first), chain->piece[i].addr, chain->piece[i].bytes,
			(uint16_t)((chain->piece[i].write ? WRITE : 0) | (i + 1 < chain->count ? NEXT : 0)),
			(uint16_t)(i - first + 1));
	return table;
}

/* ---- records ---- */

static inline struct slot *slot_of(struct rig *rig, unsigned number)
{
	return (struct slot *)(void *)(rig->sram + (size_t)number * SLOT_BYTES);
}

/* Slot number of the next record, or -1. */
static inline int take_record(struct rig *rig)
{
	bool event = fetch_events(rig->fetch, rig->sim.now_ps) & CSR_SYS_EVENTS_RECORD_MASK;
	uint32_t value = get(rig, CSR_FETCH_RECORD);
	assert_true(value >> 31 || !event); /* one may just have come */
	return value >> 31 ? (int)(value & 0xffff) : -1;
}

static inline void free_slot(struct rig *rig, unsigned number)
{
	set(rig, CSR_FETCH_SLOT_FREE, number);
}

/* The record says what the driver has written. */
static inline void assert_record(struct rig *rig, unsigned number, const struct vq *vq, uint16_t head,
				 uint16_t sequence, const struct chain *chain)
{
	const struct slot *slot = slot_of(rig, number);
	const struct slot_segment *segments =
		(const struct slot_segment *)(const void *)((const uint8_t *)slot + SLOT_SEGMENT_OFFSET);
	uint32_t readable = 0, writable = 0, readable_count = 0;
	assert_int_equal(slot->error, RECORD_ERROR_NONE);
	assert_int_equal(slot->queue, vq->number);
	assert_int_equal(slot->head, head);
	assert_int_equal(slot->sequence, sequence);
	assert_int_equal(slot->segments, chain->count);
	for (unsigned i = 0; i < chain->count; i++) {
		assert_int_equal(segments[i].addr, chain->piece[i].addr);
		assert_int_equal(segments[i].bytes, chain->piece[i].bytes);
		assert_int_equal(segments[i].flags, chain->piece[i].write ? WRITE : 0);
		*(chain->piece[i].write ? &writable : &readable) += chain->piece[i].bytes;
		readable_count += !chain->piece[i].write;
	}
	assert_int_equal(slot->readable_segments, readable_count);
	assert_int_equal(slot->readable_bytes, readable);
	assert_int_equal(slot->writable_bytes, writable);
	const struct piece *last = &chain->piece[chain->count - 1];
	assert_int_equal(slot->status_addr, last->addr + last->bytes - 1);
	assert_int_equal(slot->type, load_le32(chain->header));
	assert_int_equal(slot->ioprio, load_le32(chain->header + 4));
	assert_int_equal(slot->sector, load_le64(chain->header + 8));
}

/* Every slot that is not in use can be had: none is promised to anybody. */
static inline void assert_slots_free(struct rig *rig)
{
	uint32_t slots[SLOTS + 1];
	unsigned count = 0, in_use = slots_in_use(rig);
	while ((slots[count] = get(rig, CSR_FETCH_SLOT_ALLOC)) != 0)
		count++;
	assert_int_equal(count, SLOTS - in_use);
	while (count != 0)
		free_slot(rig, slots[--count] & 0xffff);
	assert_int_equal(slots_in_use(rig), in_use);
}

/* Nothing is under way any more. */
static inline void assert_at_rest(struct rig *rig)
{
	rig_settle(rig);
	assert_true(host_idle(rig->host));
	assert_false(fetch_busy(rig->fetch));
	assert_int_equal(fetch_walkers_busy(rig->fetch), 0);
}

#endif
