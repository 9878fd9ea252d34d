/* The descriptor-fetch engine (split virtqueues, virtio 1.4 §2.7).
 *
 * For a queue that is to be served it reads avail.idx, then ring entries (up to `batch` in a read), then walks the
 * chains: `prefetch` descriptors per table read from the head on, indirect tables in pieces of up to 32, `inflight`
 * chains at a time. It checks everything the driver wrote, gathers the 16-byte request header, puts a record into a
 * slot of the request memory (struct slot and its segment list in csr.h) and hands the slot to the core.
 *
 * When a ring is empty it re-enables doorbells (avail_event with EVENT_IDX, used.flags without), reads avail.idx once
 * more behind that write, and only then rests (D-037, ORD-011). While a queue is polled it leaves doorbells
 * suppressed and goes on reading avail.idx.
 *
 * A chain that breaks the rules is handed over with slot.error set; a ring that does (avail.idx too far, ring not
 * readable) stops its queue with a fault. What follows is the firmware's decision. */
#ifndef KICKSTAND_BLOCKS_FETCH_FETCH_H
#define KICKSTAND_BLOCKS_FETCH_FETCH_H

#include "csr.h"
#include "pcie/base.h"
#include "rtl-model/blocks/dma/dma.h"
#include "rtl-model/blocks/notify/notify.h"
#include "rtl-model/config.h"
#include "rtl-model/fifo.h"
#include "rtl-model/probe.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A request on its way to the core. */
struct record {
	uint16_t slot, queue;
};

FIFO_DEFINE(record_fifo, struct record, SLOTS);

struct fetch_stats {
	uint64_t services;       /* queues handed over by the notify unit */
	uint64_t empty_services; /* of them, found nothing new */
	uint64_t index_reads, ring_reads, ring_entries;
	uint64_t descriptor_reads, descriptors, indirect_tables;
	uint64_t header_reads;
	uint64_t arm_writes; /* avail_event or used.flags */
	uint64_t requests;   /* records handed over */
	uint64_t bad_chains, faults;
	uint64_t bad_frees; /* of slots that were not in use */
	uint64_t stall_no_slot, stall_no_walker;
};

struct fetch_ports {
	const struct waker *self;
	struct dma_request_fifo *dma; /* channel DMA_FETCH */
	uint8_t *sram;                /* request memory, SRAM_BYTES */
	struct probe *probe;
	const struct waker *events; /* woken when fetch_events changes */
};

struct fetch;

/* What an implementation does; see the functions below. */
struct fetch_ops {
	void (*free)(struct fetch *fetch);
	void (*reset)(struct fetch *fetch);
	uint64_t (*step)(struct fetch *fetch, uint64_t now_ps);
	void (*slot_free)(struct fetch *fetch, uint64_t now_ps, unsigned slot);
	bool (*csr_read)(struct fetch *fetch, uint64_t now_ps, uint32_t offset, uint32_t *value);
	bool (*csr_write)(struct fetch *fetch, uint64_t now_ps, uint32_t offset, uint32_t value);
	uint32_t (*events)(const struct fetch *fetch, uint64_t now_ps);
	uint64_t (*next_event_ps)(
		const struct fetch *fetch); /* NULL: events are there when they are announced */
	bool (*busy)(const struct fetch *fetch);
	unsigned (*slots_in_use)(const struct fetch *fetch);
	unsigned (*walkers_busy)(const struct fetch *fetch);
};

/* What the model and the RTL twin (fetch_rtl.h) have in common. */
struct fetch {
	const struct fetch_ops *ops;
	struct service_fifo services; /* in, from the notify unit */
	struct dma_done_fifo done;    /* in, from the DMA engine */
	struct fetch_stats stats;
};

/* The C model. NULL when out of memory. */
struct fetch *fetch_create(const struct config *config, const struct fetch_ports *ports);

static inline void fetch_free(struct fetch *fetch)
{
	if (fetch)
		fetch->ops->free(fetch);
}

/* Forgets everything: queues stopped, slots free. The caller aborts the DMA channel. */
static inline void fetch_reset(struct fetch *fetch)
{
	fetch->ops->reset(fetch);
}

static inline uint64_t fetch_step(struct fetch *fetch, uint64_t now_ps)
{
	return fetch->ops->step(fetch, now_ps);
}

/* The request in this slot is finished. A slot that is not in use is left alone and counted. */
static inline void fetch_slot_free(struct fetch *fetch, uint64_t now_ps, unsigned slot)
{
	fetch->ops->slot_free(fetch, now_ps, slot);
}

/* Block FETCH of the CSR bus. */
static inline bool fetch_csr_read(struct fetch *fetch, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return fetch->ops->csr_read(fetch, now_ps, offset, value);
}

static inline bool fetch_csr_write(struct fetch *fetch, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return fetch->ops->csr_write(fetch, now_ps, offset, value);
}

/* This block's bits of SYS.EVENTS as they are at now_ps. */
static inline uint32_t fetch_events(const struct fetch *fetch, uint64_t now_ps)
{
	return fetch->ops->events(fetch, now_ps);
}

/* When an event that is on its way gets there, TIME_NEVER_PS if none is. May have passed. */
static inline uint64_t fetch_next_event_ps(const struct fetch *fetch)
{
	return fetch->ops->next_event_ps ? fetch->ops->next_event_ps(fetch) : TIME_NEVER_PS;
}

static inline bool fetch_busy(const struct fetch *fetch)
{
	return fetch->ops->busy(fetch);
}

static inline unsigned fetch_slots_in_use(const struct fetch *fetch)
{
	return fetch->ops->slots_in_use(fetch);
}

static inline unsigned fetch_walkers_busy(const struct fetch *fetch)
{
	return fetch->ops->walkers_busy(fetch);
}

#ifdef __cplusplus
}
#endif
#endif
