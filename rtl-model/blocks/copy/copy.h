/* The copy engine: short transfers between guest memory and the request memory on behalf of the firmware. With offload
 * level `firmware` the core reads rings and descriptors through it. */
#ifndef KICKSTAND_BLOCKS_COPY_COPY_H
#define KICKSTAND_BLOCKS_COPY_COPY_H

#include "csr.h"
#include "pcie/base.h"
#include "rtl-model/blocks/dma/dma.h"
#include "rtl-model/fifo.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Copies that may be outstanding, finished ones not yet taken by the firmware included. */
#define COPIES_MAX 256u

struct copy_stats {
	uint64_t to_guest, from_guest, bytes, failed, refused;
};

struct copy {
	struct dma_request_fifo *dma; /* channel DMA_COPY */
	uint8_t *sram;
	struct dma_done_fifo done; /* cookie: the firmware's tag */
	uint64_t host;
	uint32_t local;
	unsigned outstanding;
	struct copy_stats stats;
};

/* `events` is woken when copy_events changes. */
void copy_init(struct copy *copy, struct dma_request_fifo *dma, uint8_t *sram, const struct waker *events);

/* Forgets everything. The caller aborts the DMA channel first. */
void copy_reset(struct copy *copy);

bool copy_csr_read(struct copy *copy, uint64_t now_ps, uint32_t offset, uint32_t *value);
bool copy_csr_write(struct copy *copy, uint64_t now_ps, uint32_t offset, uint32_t value);
uint32_t copy_events(const struct copy *copy, uint64_t now_ps);
bool copy_busy(const struct copy *copy);

#ifdef __cplusplus
}
#endif
#endif
