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

struct fetch;

struct fetch_ports {
	const struct waker *self;
	struct dma_request_fifo *dma; /* channel DMA_FETCH */
	uint8_t *sram;                /* request memory, SRAM_BYTES */
	struct probe *probe;
	const struct waker *events; /* woken when fetch_events changes */
};

/* NULL when out of memory. */
struct fetch *fetch_create(const struct config *config, const struct fetch_ports *ports);
void fetch_free(struct fetch *fetch);

/* In: services from the notify unit, completions from the DMA engine. */
struct service_fifo *fetch_services(struct fetch *fetch);
struct dma_done_fifo *fetch_dma_done(struct fetch *fetch);

/* Forgets everything: queues stopped, slots free. The caller aborts the DMA channel. */
void fetch_reset(struct fetch *fetch);

uint64_t fetch_step(struct fetch *fetch, uint64_t now_ps);

/* The request in this slot is finished. A slot that is not in use is left alone and counted. */
void fetch_slot_free(struct fetch *fetch, uint64_t now_ps, unsigned slot);

/* Block FETCH of the CSR bus. */
bool fetch_csr_read(struct fetch *fetch, uint64_t now_ps, uint32_t offset, uint32_t *value);
bool fetch_csr_write(struct fetch *fetch, uint64_t now_ps, uint32_t offset, uint32_t value);

/* This block's bits of SYS.EVENTS as they are at now_ps. */
uint32_t fetch_events(const struct fetch *fetch, uint64_t now_ps);

bool fetch_busy(const struct fetch *fetch);
unsigned fetch_slots_in_use(const struct fetch *fetch);
unsigned fetch_walkers_busy(const struct fetch *fetch);
const struct fetch_stats *fetch_stats(const struct fetch *fetch);

#ifdef __cplusplus
}
#endif
#endif
