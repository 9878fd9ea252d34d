#include "rtl-model/blocks/mover/mover.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT16_MAX
/* Transfers outstanding on the DMA channel: its queues hold 512. */
#define TRANSFERS_MAX 256u

/* A place in the segment list of a slot. */
struct cursor {
	uint16_t segment;
	uint32_t within;
};

struct job {
	bool active;
	bool waits;            /* in the line for buffers */
	uint32_t left_bytes;   /* data not yet given to a chunk */
	uint64_t offset;       /* on the medium, of the next chunk */
	struct cursor at;      /* in guest memory, of the next chunk */
	uint16_t chunks;       /* in work */
	uint32_t result;       /* JOB_RESULT_* so far */
	uint32_t done_bytes;
};

enum chunk_state { CHUNK_FREE, CHUNK_MEDIA, CHUNK_DMA_WAITS, CHUNK_DMA };

struct chunk {
	enum chunk_state state;
	bool orphan;           /* its job was forgotten by a reset */
	uint16_t slot;
	uint32_t bytes;
	uint64_t offset;
	struct cursor at;
	uint32_t sent_bytes;   /* given to the DMA engine */
	uint16_t transfers;    /* of it, not yet done */
	bool failed;
	uint8_t *data;         /* its buffer, or small data in the slot */
	uint16_t next;
};

/* A line of chunks or jobs, by index. */
struct line {
	uint16_t first, last;
};

struct mover {
	struct mover_ports ports;
	struct media_request_fifo *media;
	struct job_fifo jobs;   /* pushed, on their way in */
	struct job_fifo done;
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
	struct line wait_dma;    /* chunks */
	unsigned transfers;
	unsigned active, in_media;
	uint8_t *memory;         /* chunk buffers */
	struct mover_stats stats;
};

static struct slot *slot_at(const struct mover *mover, unsigned slot)
{
	return (struct slot *)(mover->ports.sram + (size_t)slot * SLOT_BYTES);
}

static const struct slot_segment *segments_of(const struct mover *mover, unsigned slot)
{
	return (const struct slot_segment *)(mover->ports.sram + (size_t)slot * SLOT_BYTES + SLOT_SEGMENT_OFFSET);
}

/* ---- lines ---- */

static uint16_t *chunk_link(struct mover *mover, uint16_t index)
{
	return &mover->chunk[index].next;
}

static void chunk_line_push(struct mover *mover, struct line *line, uint16_t index)
{
	*chunk_link(mover, index) = NONE;
	*(line->first == NONE ? &line->first : chunk_link(mover, line->last)) = index;
	line->last = index;
}

static void job_line_push(struct mover *mover, uint16_t index)
{
	struct line *line = &mover->wait_buffer;
	mover->job_next[index] = NONE;
	*(line->first == NONE ? &line->first : &mover->job_next[line->last]) = index;
	line->last = index;
	mover->job[index].waits = true;
}

static uint16_t job_line_pop(struct mover *mover)
{
	uint16_t index = mover->wait_buffer.first;
	mover->wait_buffer.first = mover->job_next[index];
	mover->job[index].waits = false;
	return index;
}

static void chunk_release(struct mover *mover, struct chunk *chunk)
{
	chunk->state = CHUNK_FREE;
	chunk->next = mover->chunk_free;
	mover->chunk_free = (uint16_t)(chunk - mover->chunk);
}

/* ---- jobs ---- */

static bool job_is_data(uint32_t op)
{
	return op == JOB_READ || op == JOB_WRITE || op == JOB_LOCAL_TO_GUEST || op == JOB_GUEST_TO_LOCAL;
}

static bool job_is_local(uint32_t op)
{
	return op == JOB_LOCAL_TO_GUEST || op == JOB_GUEST_TO_LOCAL;
}

/* Device-writable memory is where READ and LOCAL_TO_GUEST put their data. */
static bool job_to_guest(uint32_t op)
{
	return op == JOB_READ || op == JOB_LOCAL_TO_GUEST;
}

static void job_end(struct mover *mover, uint64_t now_ps, uint16_t index)
{
	struct job *job = &mover->job[index];
	struct slot *slot = slot_at(mover, index);
	slot->job_result = job->result;
	slot->job_done_bytes = job->done_bytes;
	if (job->result == JOB_RESULT_CANCELLED)
		mover->stats.cancelled++;
	else if (job->result != JOB_RESULT_OK)
		mover->stats.failed++;
	job->active = false;
	mover->active--;
	probe_stamp(mover->ports.probe, index, STAGE_JOB_DONE, now_ps);
	job_fifo_push(&mover->done, now_ps, index);
}

static void job_end_if_complete(struct mover *mover, uint64_t now_ps, uint16_t index)
{
	struct job *job = &mover->job[index];
	bool more = job->left_bytes != 0 && job->result == JOB_RESULT_OK;
	if (job->chunks == 0 && !more && !job->waits)
		job_end(mover, now_ps, index);
}

static void cursor_advance(const struct slot_segment *segments, struct cursor *at, uint64_t bytes)
{
	while (bytes != 0) {
		uint32_t here = segments[at->segment].bytes - at->within;
		if (bytes < here) {
			at->within += (uint32_t)bytes;
			return;
		}
		bytes -= here;
		at->segment++;
		at->within = 0;
	}
}

/* The firmware is trusted to be right, but not with memory: a job that does not fit its slot is refused. */
static bool job_fits(const struct mover *mover, uint16_t index)
{
	const struct slot *slot = slot_at(mover, index);
	if (!job_is_data(slot->job_op))
		return slot->job_op <= JOB_SECURE_ERASE;
	uint32_t room = job_to_guest(slot->job_op) ? slot->writable_bytes : slot->readable_bytes;
	if (slot->job_skip > room || slot->job_bytes > room - slot->job_skip || slot->job_bytes == 0)
		return false;
	return !job_is_local(slot->job_op) || slot->job_bytes <= SLOT_LOCAL_BYTES;
}

static void job_start(struct mover *mover, uint64_t now_ps, uint16_t index)
{
	const struct slot *slot = slot_at(mover, index);
	struct job *job = &mover->job[index];
	*job = (struct job){ .active = true, .offset = slot->job_offset };
	if (!job_fits(mover, index)) {
		mover->stats.bad++;
		job->result = JOB_RESULT_BAD_JOB;
		job_end(mover, now_ps, index);
		return;
	}
	mover->stats.jobs[slot->job_op]++;
	job->left_bytes = job_is_data(slot->job_op) ? slot->job_bytes : 1;
	if (job_is_data(slot->job_op)) {
		job->at.segment = job_to_guest(slot->job_op) ? slot->readable_segments : 0;
		cursor_advance(segments_of(mover, index), &job->at, slot->job_skip);
	}
	job_line_push(mover, index);
}

/* ---- chunks ---- */

static void chunk_end(struct mover *mover, uint64_t now_ps, struct chunk *chunk, uint32_t result)
{
	uint16_t index = chunk->slot;
	bool orphan = chunk->orphan;
	struct job *job = &mover->job[index];
	if (!orphan) {
		if (result == JOB_RESULT_OK)
			job->done_bytes += chunk->bytes;
		else if (job->result == JOB_RESULT_OK)
			job->result = result;
		job->chunks--;
	}
	chunk_release(mover, chunk);
	if (!orphan)
		job_end_if_complete(mover, now_ps, index);
}

static void chunk_to_dma(struct mover *mover, struct chunk *chunk)
{
	chunk->state = CHUNK_DMA_WAITS;
	chunk_line_push(mover, &mover->wait_dma, (uint16_t)(chunk - mover->chunk));
}

static void chunk_to_media(struct mover *mover, uint64_t now_ps, struct chunk *chunk)
{
	static const enum media_op media_op[] = {
		[JOB_READ] = MEDIA_READ,
		[JOB_WRITE] = MEDIA_WRITE,
		[JOB_FLUSH] = MEDIA_FLUSH,
		[JOB_DISCARD] = MEDIA_DISCARD,
		[JOB_WRITE_ZEROES] = MEDIA_WRITE_ZEROES,
		[JOB_SECURE_ERASE] = MEDIA_SECURE_ERASE,
	};
	const struct slot *slot = slot_at(mover, chunk->slot);
	chunk->state = CHUNK_MEDIA;
	mover->in_media++;
	media_request_fifo_push(mover->media, now_ps,
				(struct media_request){
					.op = media_op[slot->job_op],
					.offset = chunk->offset,
					.bytes = job_is_data(slot->job_op) ? chunk->bytes : slot->job_range_bytes,
					.data = chunk->data,
					.stable = slot->job_flags & 1,
					.may_unmap = slot->job_flags & 2,
					.cookie = (uint32_t)(chunk - mover->chunk),
				});
}

/* Cuts the next chunk off the job. */
static void chunk_start(struct mover *mover, uint64_t now_ps, uint16_t index)
{
	struct job *job = &mover->job[index];
	const struct slot *slot = slot_at(mover, index);
	uint16_t number = mover->chunk_free;
	struct chunk *chunk = &mover->chunk[number];
	uint32_t bytes = min_u32(job->left_bytes, mover->chunk_bytes);
	mover->chunk_free = chunk->next;
	*chunk = (struct chunk){ .slot = index, .bytes = bytes, .offset = job->offset, .at = job->at };
	chunk->data = mover->memory + (size_t)number * mover->chunk_bytes;
	if (job_is_local(slot->job_op))
		chunk->data = (uint8_t *)slot_at(mover, index) + SLOT_LOCAL_OFFSET;
	job->left_bytes -= bytes;
	job->offset += bytes;
	job->chunks++;
	mover->stats.chunks++;
	if (job_is_data(slot->job_op))
		cursor_advance(segments_of(mover, index), &job->at, bytes);
	if (slot->job_op == JOB_WRITE || job_is_local(slot->job_op))
		chunk_to_dma(mover, chunk);
	else
		chunk_to_media(mover, now_ps, chunk);
}

/* Hands transfers of waiting chunks to the DMA engine, in line, as far as it takes them. */
static void feed_dma(struct mover *mover, uint64_t now_ps)
{
	while (mover->wait_dma.first != NONE) {
		struct chunk *chunk = &mover->chunk[mover->wait_dma.first];
		const struct slot_segment *segments = segments_of(mover, chunk->slot);
		bool to_guest = job_to_guest(slot_at(mover, chunk->slot)->job_op);
		while (chunk->sent_bytes < chunk->bytes && mover->transfers < TRANSFERS_MAX) {
			const struct slot_segment *segment = &segments[chunk->at.segment];
			uint32_t bytes =
				min_u32(chunk->bytes - chunk->sent_bytes, segment->bytes - chunk->at.within);
			dma_request_fifo_push(mover->ports.dma, now_ps,
					      (struct dma_request){
						      .addr = segment->addr + chunk->at.within,
						      .bytes = bytes,
						      .write = to_guest,
						      .data = chunk->data + chunk->sent_bytes,
						      .cookie = mover->wait_dma.first,
					      });
			cursor_advance(segments, &chunk->at, bytes);
			chunk->sent_bytes += bytes;
			chunk->transfers++;
			mover->transfers++;
			mover->stats.segments++;
		}
		if (chunk->sent_bytes < chunk->bytes)
			return;
		chunk->state = CHUNK_DMA;
		mover->wait_dma.first = chunk->next;
	}
}

static void transfer_done(struct mover *mover, uint64_t now_ps, const struct dma_done *done)
{
	struct chunk *chunk = &mover->chunk[done->cookie];
	mover->transfers--;
	chunk->transfers--;
	chunk->failed |= done->status != DMA_OK;
	if (chunk->transfers != 0 || chunk->state != CHUNK_DMA)
		return;
	if (chunk->failed)
		chunk_end(mover, now_ps, chunk, mover->cancel ? JOB_RESULT_CANCELLED : JOB_RESULT_DMA_ERROR);
	else if (slot_at(mover, chunk->slot)->job_op != JOB_WRITE)
		chunk_end(mover, now_ps, chunk, JOB_RESULT_OK);
	else if (mover->cancel)
		chunk_end(mover, now_ps, chunk, JOB_RESULT_CANCELLED);
	else
		chunk_to_media(mover, now_ps, chunk);
}

static void access_done(struct mover *mover, uint64_t now_ps, const struct media_done *done)
{
	struct chunk *chunk = &mover->chunk[done->cookie];
	struct probe *probe = mover->ports.probe;
	mover->in_media--;
	if (!chunk->orphan) {
		uint64_t *first_ps = &probe->slot[chunk->slot].at_ps[STAGE_MEDIA_START];
		*first_ps = min_u64(*first_ps, done->start_ps);
		probe_stamp(probe, chunk->slot, STAGE_MEDIA_END, now_ps);
	}
	if (chunk->orphan || done->error != 0)
		chunk_end(mover, now_ps, chunk, JOB_RESULT_MEDIA_ERROR);
	else if (slot_at(mover, chunk->slot)->job_op != JOB_READ)
		chunk_end(mover, now_ps, chunk, JOB_RESULT_OK);
	else if (mover->cancel)
		chunk_end(mover, now_ps, chunk, JOB_RESULT_CANCELLED);
	else
		chunk_to_dma(mover, chunk);
}

/* ---- the block ---- */

static void pools_init(struct mover *mover)
{
	mover->wait_buffer = mover->wait_dma = (struct line){ NONE, NONE };
	mover->chunk_free = NONE;
	for (unsigned i = mover->buffers; i-- != 0;)
		if (mover->chunk[i].state != CHUNK_MEDIA)
			chunk_release(mover, &mover->chunk[i]);
}

struct mover *mover_create(const struct config *config, const struct mover_ports *ports)
{
	struct mover *mover = calloc(1, sizeof(*mover));
	if (!mover)
		return NULL;
	mover->ports = *ports;
	mover->jobs.consumer = mover->dma_done.consumer = mover->media_done.consumer = ports->self;
	mover->done.consumer = ports->events;
	mover->period_ps = config_period_ps(config->device.clock_mhz);
	mover->job_cycles = config->mover.job_cycles;
	mover->chunk_bytes = config->mover.chunk_bytes;
	/* No more chunks than the medium's request queue holds. */
	mover->buffers = min_u32(config->mover.buffers, media_request_fifo_depth);
	mover->chunk = calloc(mover->buffers, sizeof(*mover->chunk));
	mover->memory = calloc(mover->buffers, mover->chunk_bytes);
	if (!mover->chunk || !mover->memory) {
		mover_free(mover);
		return NULL;
	}
	pools_init(mover);
	return mover;
}

void mover_free(struct mover *mover)
{
	if (!mover)
		return;
	free(mover->memory);
	free(mover->chunk);
	free(mover);
}

void mover_connect(struct mover *mover, struct media_request_fifo *media)
{
	mover->media = media;
}

struct dma_done_fifo *mover_dma_done(struct mover *mover)
{
	return &mover->dma_done;
}

struct media_done_fifo *mover_media_done(struct mover *mover)
{
	return &mover->media_done;
}

void mover_reset(struct mover *mover, uint64_t now_ps)
{
	/* Accesses whose results have come but were not looked at yet are over. */
	while (media_done_fifo_ready(&mover->media_done, now_ps)) {
		struct media_done done = media_done_fifo_pop(&mover->media_done, now_ps);
		mover->chunk[done.cookie].state = CHUNK_FREE;
		mover->in_media--;
	}
	for (unsigned i = 0; i < mover->buffers; i++)
		mover->chunk[i].orphan = mover->chunk[i].state == CHUNK_MEDIA;
	dma_done_fifo_clear(&mover->dma_done);
	job_fifo_clear(&mover->jobs);
	job_fifo_clear(&mover->done);
	memset(mover->job, 0, sizeof(mover->job));
	mover->transfers = mover->active = 0;
	mover->cancel = false;
	pools_init(mover);
}

static void start_chunks(struct mover *mover, uint64_t now_ps)
{
	/* One chunk a turn, so that a large job does not keep others from the buffers. */
	while (mover->wait_buffer.first != NONE) {
		uint16_t index = mover->wait_buffer.first;
		struct job *job = &mover->job[index];
		if (mover->cancel && job->result == JOB_RESULT_OK)
			job->result = JOB_RESULT_CANCELLED;
		if (job->result == JOB_RESULT_OK && mover->chunk_free == NONE) {
			mover->stats.stall_no_buffer++;
			return;
		}
		job_line_pop(mover);
		if (job->result == JOB_RESULT_OK)
			chunk_start(mover, now_ps, index);
		if (job->left_bytes != 0 && job->result == JOB_RESULT_OK)
			job_line_push(mover, index);
		else
			job_end_if_complete(mover, now_ps, index);
	}
}

uint64_t mover_step(struct mover *mover, uint64_t now_ps)
{
	while (media_done_fifo_ready(&mover->media_done, now_ps)) {
		struct media_done done = media_done_fifo_pop(&mover->media_done, now_ps);
		access_done(mover, now_ps, &done);
	}
	while (dma_done_fifo_ready(&mover->dma_done, now_ps)) {
		struct dma_done done = dma_done_fifo_pop(&mover->dma_done, now_ps);
		transfer_done(mover, now_ps, &done);
	}
	while (job_fifo_ready(&mover->jobs, now_ps))
		job_start(mover, now_ps, job_fifo_pop(&mover->jobs, now_ps));
	start_chunks(mover, now_ps);
	feed_dma(mover, now_ps);
	return min_u64(min_u64(media_done_fifo_next_ps(&mover->media_done), dma_done_fifo_next_ps(&mover->dma_done)),
		       job_fifo_next_ps(&mover->jobs));
}

bool mover_busy(const struct mover *mover)
{
	return mover->active != 0 || mover->in_media != 0;
}

unsigned mover_jobs(const struct mover *mover)
{
	return mover->active;
}

const struct mover_stats *mover_stats(const struct mover *mover)
{
	return &mover->stats;
}

/* ---- registers ---- */

static void push_job(struct mover *mover, uint64_t now_ps, uint32_t slot)
{
	if (slot >= SLOTS || mover->job[slot].active)
		return;
	mover->job[slot].active = true;
	mover->active++;
	probe_stamp(mover->ports.probe, slot, STAGE_JOB, now_ps);
	job_fifo_push(&mover->jobs, now_ps + mover->job_cycles * mover->period_ps, (uint16_t)slot);
}

bool mover_csr_read(struct mover *mover, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	*value = 0;
	switch (offset) {
	case CSR_MOVER_JOB: return true;
	case CSR_MOVER_DONE:
		if (job_fifo_ready(&mover->done, now_ps))
			*value = job_fifo_pop(&mover->done, now_ps) | CSR_MOVER_DONE_VALID_MASK;
		return true;
	case CSR_MOVER_CANCEL: *value = mover->cancel; return true;
	case CSR_MOVER_ACTIVE: *value = mover->active; return true;
	default: return false;
	}
}

bool mover_csr_write(struct mover *mover, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case CSR_MOVER_JOB: push_job(mover, now_ps, value); return true;
	case CSR_MOVER_CANCEL:
		mover->cancel = value & 1;
		waker_wake(mover->ports.self, now_ps);
		return true;
	case CSR_MOVER_DONE:
	case CSR_MOVER_ACTIVE: return true; /* read-only */
	default: return false;
	}
}

uint32_t mover_events(const struct mover *mover, uint64_t now_ps)
{
	return job_fifo_ready(&mover->done, now_ps) ? CSR_SYS_EVENTS_DONE_MASK : 0;
}
