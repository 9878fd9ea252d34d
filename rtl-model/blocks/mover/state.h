/* The mover's state and what its source files share: mover.c has the jobs and the block, chunk.c the way of a chunk
 * between medium and guest memory. Private to blocks/mover. */
#ifndef KICKSTAND_BLOCKS_MOVER_STATE_H
#define KICKSTAND_BLOCKS_MOVER_STATE_H

#include "rtl-model/blocks/mover/cursor.h"
#include "rtl-model/blocks/mover/mover.h"

#define NONE UINT16_MAX

struct job {
	bool active;
	bool reported;       /* in DONE, not taken yet */
	bool direct;         /* of the direct path, not of the firmware */
	bool waits;          /* in the line for buffers */
	uint32_t op;         /* as it was at the start: the slot is the firmware's memory */
	uint32_t left_bytes; /* data not yet given to a chunk */
	uint64_t offset;     /* on the medium, of the next chunk */
	struct cursor at;    /* in guest memory, of the next chunk */
	uint16_t chunks;     /* in work */
	uint32_t result;     /* JOB_RESULT_* so far */
	uint32_t done_bytes;
};

enum chunk_state { CHUNK_FREE, CHUNK_MEDIA, CHUNK_DMA_WAITS, CHUNK_DMA };

struct chunk {
	enum chunk_state state;
	bool orphan; /* its job was forgotten by a reset */
	uint16_t slot;
	uint32_t bytes;
	uint64_t offset;
	struct cursor at;    /* in guest memory, of the next transfer */
	uint32_t left_bytes; /* not yet given to the DMA engine */
	uint16_t transfers;  /* given to it and not yet done */
	uint32_t result;     /* JOB_RESULT_* so far */
	uint8_t *data;       /* its buffer, or small data in the slot */
	uint16_t next;
};

/* A line of chunks or jobs, by index. */
struct line {
	uint16_t first, last;
};

struct mover {
	struct mover_ports ports;
	struct media_request_fifo *media;
	struct job_fifo jobs; /* pushed, on their way in */
	struct job_fifo done, direct_done;
	struct dma_done_fifo dma_done;
	struct media_done_fifo media_done;
	uint64_t period_ps;
	unsigned job_cycles, chunk_bytes, buffers;
	bool cancel;
	struct job job[SLOTS];
	uint16_t job_next[SLOTS];
	struct line wait_buffer; /* jobs */
	struct chunk *chunk;
	uint16_t chunk_free;
	struct line wait_dma; /* chunks */
	unsigned transfers;
	unsigned active, in_media;
	uint8_t *memory; /* chunk buffers */
	struct mover_stats stats;
};

static inline struct slot *slot_at(const struct mover *mover, unsigned slot)
{
	return (struct slot *)(mover->ports.sram + (size_t)slot * SLOT_BYTES);
}

static inline const struct slot_segment *segments_of(const struct mover *mover, unsigned slot)
{
	return (const struct slot_segment *)(mover->ports.sram + (size_t)slot * SLOT_BYTES +
					     SLOT_SEGMENT_OFFSET);
}

static inline bool job_is_data(uint32_t op)
{
	return op == JOB_READ || op == JOB_WRITE || op == JOB_LOCAL_TO_GUEST || op == JOB_GUEST_TO_LOCAL;
}

static inline bool job_is_local(uint32_t op)
{
	return op == JOB_LOCAL_TO_GUEST || op == JOB_GUEST_TO_LOCAL;
}

/* Device-writable memory is where READ and LOCAL_TO_GUEST put their data. */
static inline bool job_to_guest(uint32_t op)
{
	return op == JOB_READ || op == JOB_LOCAL_TO_GUEST;
}

/* The job is over if nothing of it is left to do. */
void mover_job_end_if_complete(struct mover *mover, uint64_t now_ps, uint16_t index);

/* To the free list. */
void mover_chunk_release(struct mover *mover, struct chunk *chunk);
/* Cuts the next chunk off the job. There is a free one. */
void mover_chunk_start(struct mover *mover, uint64_t now_ps, uint16_t index);
/* Hands transfers of waiting chunks to the DMA engine, in line, as far as it takes them. */
void mover_chunks_feed(struct mover *mover, uint64_t now_ps);
/* A transfer, an access of the medium is over. */
void mover_chunk_transferred(struct mover *mover, uint64_t now_ps, const struct dma_done *done);
void mover_chunk_accessed(struct mover *mover, uint64_t now_ps, const struct media_done *done);

#endif
