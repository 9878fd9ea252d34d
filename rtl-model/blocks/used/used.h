/* The used-ring writer (split virtqueues, virtio 1.4 §2.7.8, §2.7.7).
 *
 * For every completion the firmware pushes it writes the status byte, then the used elements of up to `batch`
 * completions of one queue in as few writes as the ring allows, then used.idx: posted writes that the host sees in
 * this order, behind the request's data. Then it reads used_event (or avail.flags) behind them and decides whether
 * the driver wants an interrupt (§2.7.7.2, D-023..D-028). While a decision is outstanding further updates go on; if the
 * index has moved since, another decision follows.
 *
 * A queue is busy while completions of it wait or writes or reads of its rings are outstanding; it can be started only
 * when it is not. A ring that would run past the end of the address space is a fault at the start. */
#ifndef KICKSTAND_BLOCKS_USED_USED_H
#define KICKSTAND_BLOCKS_USED_USED_H

#include "csr.h"
#include "pcie/base.h"
#include "rtl-model/blocks/dma/dma.h"
#include "rtl-model/config.h"
#include "rtl-model/fifo.h"
#include "rtl-model/probe.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A completion as pushed, with what the slot said then. */
struct completion {
	uint16_t slot, queue, head;
	uint8_t status; /* VIRTIO_BLK_S_* */
	uint32_t len;   /* of the used element */
	uint64_t status_addr;
};

FIFO_DEFINE(completion_fifo, struct completion, 64);

struct used_stats {
	uint64_t completions, updates; /* updates of used.idx */
	uint64_t decisions, interrupts, suppressed;
	uint64_t dropped; /* pushed without room, or for a stopped queue */
	uint64_t faults;
};

struct used;

struct used_ports {
	const struct waker *self;
	struct dma_request_fifo *dma; /* channel DMA_USED */
	const uint8_t *sram;
	struct probe *probe;
	const struct waker *events; /* woken when used_events changes */
	void *ctx;
	/* The driver wants to be told that buffers of `queue` were used. */
	void (*interrupt)(void *ctx, uint64_t now_ps, unsigned queue);
	/* The slot is no longer needed. */
	void (*slot_free)(void *ctx, uint64_t now_ps, unsigned slot);
};

/* NULL when out of memory. */
struct used *used_create(const struct config *config, const struct used_ports *ports);
void used_free(struct used *used);
struct dma_done_fifo *used_dma_done(struct used *used);

/* Completions of the direct path come here, those of the firmware through the registers. */
struct completion_fifo *used_direct(struct used *used);

/* Forgets everything. The caller aborts the DMA channel first. */
void used_reset(struct used *used);

uint64_t used_step(struct used *used, uint64_t now_ps);

bool used_csr_read(struct used *used, uint64_t now_ps, uint32_t offset, uint32_t *value);
bool used_csr_write(struct used *used, uint64_t now_ps, uint32_t offset, uint32_t value);
uint32_t used_events(const struct used *used);

bool used_busy(const struct used *used);
const struct used_stats *used_stats(const struct used *used);

#ifdef __cplusplus
}
#endif
#endif
