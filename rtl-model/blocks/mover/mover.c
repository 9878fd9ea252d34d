#include "rtl-model/blocks/mover/state.h"

#include <stdlib.h>
#include <string.h>

/* ---- jobs ---- */

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
	job->reported = !job->direct;
	mover->active--;
	probe_stamp(mover->ports.probe, index, STAGE_JOB_DONE, now_ps);
	job_fifo_push(job->direct ? &mover->direct_done : &mover->done, now_ps, index);
}

void mover_job_end_if_complete(struct mover *mover, uint64_t now_ps, uint16_t index)
{
	struct job *job = &mover->job[index];
	bool more = job->left_bytes != 0 && job->result == JOB_RESULT_OK;
	if (job->chunks == 0 && !more && !job->waits)
		job_end(mover, now_ps, index);
}

/* Finds the job's data in the slot's segment list. False if there is not as much as the job asks for. */
static bool find_data(const struct mover *mover, uint16_t index, struct cursor *at)
{
	const struct slot *slot = slot_at(mover, index);
	const struct slot_segment *segments = segments_of(mover, index);
	bool to_guest = job_to_guest(slot->job_op);
	uint16_t end = to_guest ? slot->segments : slot->readable_segments;
	*at = (struct cursor){.segment = to_guest ? slot->readable_segments : 0};
	if (!cursor_advance(segments, at, slot->job_skip))
		return false;
	struct cursor last = *at;
	return cursor_advance(segments, &last, slot->job_bytes) &&
	       (last.segment < end || (last.segment == end && last.within == 0));
}

/* The firmware is trusted to be right, but not with memory: a job that does not fit its slot is refused. */
static bool job_fits(const struct mover *mover, uint16_t index, struct cursor *at)
{
	const struct slot *slot = slot_at(mover, index);
	if (!job_is_data(slot->job_op))
		return slot->job_op <= JOB_SECURE_ERASE;
	return slot->job_bytes != 0 && find_data(mover, index, at) &&
	       (!job_is_local(slot->job_op) || slot->job_bytes <= SLOT_LOCAL_BYTES);
}

static void line_up(struct mover *mover, uint16_t index)
{
	struct line *line = &mover->wait_buffer;
	mover->job_next[index] = NONE;
	*(line->first == NONE ? &line->first : &mover->job_next[line->last]) = index;
	line->last = index;
	mover->job[index].waits = true;
}

static uint16_t next_in_line(struct mover *mover)
{
	uint16_t index = mover->wait_buffer.first;
	mover->wait_buffer.first = mover->job_next[index];
	mover->job[index].waits = false;
	return index;
}

/* Jobs that do not touch the medium tell nothing of the request. */
static void note_work(struct mover *mover, uint16_t index)
{
	static const enum work_op ops[] = {
		[JOB_READ] = WORK_READ,
		[JOB_WRITE] = WORK_WRITE,
		[JOB_FLUSH] = WORK_FLUSH,
		[JOB_DISCARD] = WORK_DISCARD,
		[JOB_WRITE_ZEROES] = WORK_WRITE_ZEROES,
		[JOB_SECURE_ERASE] = WORK_SECURE_ERASE,
	};
	const struct slot *slot = slot_at(mover, index);
	uint32_t op = slot->job_op;
	if (op > JOB_SECURE_ERASE)
		return;
	uint64_t bytes = job_is_data(op) ? slot->job_bytes : op == JOB_FLUSH ? 0 : slot->job_range_bytes;
	probe_note_work(mover->ports.probe, index, ops[op], slot->job_offset / STORE_SECTOR_BYTES, bytes);
}

static void job_start(struct mover *mover, uint64_t now_ps, uint16_t index)
{
	const struct slot *slot = slot_at(mover, index);
	struct job *job = &mover->job[index];
	*job = (struct job){
		.active = true, .direct = job->direct, .op = slot->job_op, .offset = slot->job_offset};
	if (!job_fits(mover, index, &job->at)) {
		mover->stats.bad++;
		job->result = JOB_RESULT_BAD_JOB;
		job_end(mover, now_ps, index);
		return;
	}
	mover->stats.jobs[job->op]++;
	note_work(mover, index);
	job->left_bytes = job_is_data(job->op) ? slot->job_bytes : 1;
	line_up(mover, index);
}

/* ---- the line for buffers ---- */

/* One chunk a turn, so that a large job does not keep others from the buffers. */
static void start_chunks(struct mover *mover, uint64_t now_ps)
{
	while (mover->wait_buffer.first != NONE) {
		uint16_t index = mover->wait_buffer.first;
		struct job *job = &mover->job[index];
		if (mover->cancel && job->result == JOB_RESULT_OK)
			job->result = JOB_RESULT_CANCELLED;
		if (job->result == JOB_RESULT_OK && mover->chunk_free == NONE) {
			mover->stats.stall_no_buffer++;
			return;
		}
		next_in_line(mover);
		if (job->result == JOB_RESULT_OK)
			mover_chunk_start(mover, now_ps, index);
		if (job->left_bytes != 0 && job->result == JOB_RESULT_OK)
			line_up(mover, index);
		else
			mover_job_end_if_complete(mover, now_ps, index);
	}
}

/* Somebody waits though there is a buffer. */
static bool buffer_is_wanted(const struct mover *mover)
{
	return mover->wait_buffer.first != NONE && mover->chunk_free != NONE;
}

/* ---- the block ---- */

static void pools_init(struct mover *mover)
{
	mover->wait_buffer = mover->wait_dma = (struct line){NONE, NONE};
	mover->chunk_free = NONE;
	for (unsigned i = mover->buffers; i-- != 0;)
		if (mover->chunk[i].state != CHUNK_MEDIA)
			mover_chunk_release(mover, &mover->chunk[i]);
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

struct job_fifo *mover_direct_done(struct mover *mover)
{
	return &mover->direct_done;
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
	job_fifo_clear(&mover->direct_done);
	memset(mover->job, 0, sizeof(mover->job));
	mover->transfers = mover->active = 0;
	mover->cancel = false;
	pools_init(mover);
}

uint64_t mover_step(struct mover *mover, uint64_t now_ps)
{
	while (media_done_fifo_ready(&mover->media_done, now_ps)) {
		struct media_done done = media_done_fifo_pop(&mover->media_done, now_ps);
		mover_chunk_accessed(mover, now_ps, &done);
	}
	while (dma_done_fifo_ready(&mover->dma_done, now_ps)) {
		struct dma_done done = dma_done_fifo_pop(&mover->dma_done, now_ps);
		mover_chunk_transferred(mover, now_ps, &done);
	}
	while (job_fifo_ready(&mover->jobs, now_ps))
		job_start(mover, now_ps, job_fifo_pop(&mover->jobs, now_ps));
	do { /* a chunk that fails at once leaves its buffer to the next in line */
		start_chunks(mover, now_ps);
		mover_chunks_feed(mover, now_ps);
	} while (buffer_is_wanted(mover));
	return min_u64(
		min_u64(media_done_fifo_next_ps(&mover->media_done), dma_done_fifo_next_ps(&mover->dma_done)),
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

static void accept(struct mover *mover, uint64_t at_ps, unsigned slot, bool direct)
{
	mover->job[slot].active = true;
	mover->job[slot].direct = direct;
	mover->active++;
	probe_stamp(mover->ports.probe, slot, STAGE_JOB, at_ps);
	job_fifo_push(&mover->jobs, at_ps + mover->job_cycles * mover->period_ps, (uint16_t)slot);
}

void mover_start_direct(struct mover *mover, uint64_t at_ps, unsigned slot)
{
	ASSERT(!mover->job[slot].active && !mover->job[slot].reported);
	accept(mover, at_ps, slot, true);
}

/* ---- registers ---- */

static void push_job(struct mover *mover, uint64_t now_ps, uint32_t slot)
{
	if (slot >= SLOTS || mover->job[slot].active || mover->job[slot].reported)
		mover->stats.bad++;
	else
		accept(mover, now_ps, slot, false);
}

static uint32_t pop_done(struct mover *mover, uint64_t now_ps)
{
	if (!job_fifo_ready(&mover->done, now_ps))
		return 0;
	uint16_t slot = job_fifo_pop(&mover->done, now_ps);
	mover->job[slot].reported = false;
	return slot | CSR_MOVER_DONE_VALID_MASK;
}

bool mover_csr_read(struct mover *mover, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	switch (offset) {
	case CSR_MOVER_JOB: *value = 0; return true;
	case CSR_MOVER_DONE: *value = pop_done(mover, now_ps); return true;
	case CSR_MOVER_CANCEL: *value = mover->cancel; return true;
	case CSR_MOVER_ACTIVE: *value = mover->active; return true;
	default: return false;
	}
}

bool mover_csr_write(struct mover *mover, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case CSR_MOVER_JOB: push_job(mover, now_ps, value & CSR_MOVER_JOB_SLOT_MASK); return true;
	case CSR_MOVER_CANCEL:
		mover->cancel = value & CSR_MOVER_CANCEL_CANCEL_MASK;
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
