/* The data mover: carries out the job in a slot, between medium and guest memory.
 *
 * Data jobs are cut into chunks of `mover.chunk_bytes`, each with a buffer of its own on the card, so that medium and
 * link work at the same time: a READ chunk is read from the medium, then written to the guest; a WRITE chunk the other
 * way round. Where the data is in guest memory is the slot's segment list, less `job_skip` bytes (the request
 * header in front of written data). Jobs without data (FLUSH, DISCARD, …) are one access of the medium. LOCAL_* jobs
 * move small data between guest memory and the slot.
 *
 * A job ends when all its accesses have ended, with the first failure among them as its result; after a failure no
 * further chunk is begun. */
#ifndef KICKSTAND_BLOCKS_MOVER_MOVER_H
#define KICKSTAND_BLOCKS_MOVER_MOVER_H

#include "csr.h"
#include "pcie/base.h"
#include "rtl-model/blocks/dma/dma.h"
#include "rtl-model/blocks/media/media.h"
#include "rtl-model/config.h"
#include "rtl-model/fifo.h"
#include "rtl-model/probe.h"

#ifdef __cplusplus
extern "C" {
#endif

FIFO_DEFINE(job_fifo, uint16_t, SLOTS);

struct mover_stats {
	uint64_t jobs[JOB_GUEST_TO_LOCAL + 1];
	uint64_t chunks, segments;
	uint64_t failed, cancelled;
	/* Refused: does not fit its slot, or the slot has a job already, or one whose end was not taken from DONE. */
	uint64_t bad;
	uint64_t stall_no_buffer;
};

struct mover;

struct mover_ports {
	const struct waker *self;
	struct dma_request_fifo *dma; /* channel DMA_MOVER */
	uint8_t *sram;
	struct probe *probe;
	const struct waker *events; /* woken when mover_events changes */
};

/* NULL when out of memory. */
struct mover *mover_create(const struct config *config, const struct mover_ports *ports);
void mover_free(struct mover *mover);

/* The medium to work on. */
void mover_connect(struct mover *mover, struct media_request_fifo *media);

struct dma_done_fifo *mover_dma_done(struct mover *mover);
struct media_done_fifo *mover_media_done(struct mover *mover);

/* The direct path's side: a job that arrives at at_ps, and the slots of such jobs that have ended. */
void mover_start_direct(struct mover *mover, uint64_t at_ps, unsigned slot);
struct job_fifo *mover_direct_done(struct mover *mover);

/* Forgets all jobs that the medium has nothing to do with any more; those it is busy with end silently. The caller
 * aborts the DMA channel first. */
void mover_reset(struct mover *mover, uint64_t now_ps);

uint64_t mover_step(struct mover *mover, uint64_t now_ps);

bool mover_csr_read(struct mover *mover, uint64_t now_ps, uint32_t offset, uint32_t *value);
bool mover_csr_write(struct mover *mover, uint64_t now_ps, uint32_t offset, uint32_t value);
uint32_t mover_events(const struct mover *mover, uint64_t now_ps);

bool mover_busy(const struct mover *mover);
unsigned mover_jobs(const struct mover *mover);
const struct mover_stats *mover_stats(const struct mover *mover);

#ifdef __cplusplus
}
#endif
#endif
