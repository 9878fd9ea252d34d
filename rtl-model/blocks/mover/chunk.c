/* Chunks: pieces of a job, each with a buffer, on their way between medium and guest memory. */
#include "rtl-model/blocks/mover/state.h"

/* Transfers outstanding on the DMA channel: its queues hold 512. */
#define TRANSFERS_MAX 256u

void mover_chunk_release(struct mover *mover, struct chunk *chunk)
{
	chunk->state = CHUNK_FREE;
	chunk->next = mover->chunk_free;
	mover->chunk_free = (uint16_t)(chunk - mover->chunk);
}

static void chunk_end(struct mover *mover, uint64_t now_ps, struct chunk *chunk, uint32_t result)
{
	uint16_t index = chunk->slot;
	struct job *job = &mover->job[index];
	if (chunk->orphan) { /* the slot is another request's now */
		mover_chunk_release(mover, chunk);
		return;
	}
	if (result != JOB_RESULT_OK && job->result == JOB_RESULT_OK)
		job->result = result;
	if (result == JOB_RESULT_OK && job_is_data(job->op))
		job->done_bytes += chunk->bytes;
	job->chunks--;
	mover_chunk_release(mover, chunk);
	mover_job_end_if_complete(mover, now_ps, index);
}

static void chunk_to_dma(struct mover *mover, struct chunk *chunk)
{
	struct line *line = &mover->wait_dma;
	uint16_t index = (uint16_t)(chunk - mover->chunk);
	chunk->state = CHUNK_DMA_WAITS;
	chunk->next = NONE;
	*(line->first == NONE ? &line->first : &mover->chunk[line->last].next) = index;
	line->last = index;
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
	uint32_t op = mover->job[chunk->slot].op;
	chunk->state = CHUNK_MEDIA;
	mover->in_media++;
	media_request_fifo_push(mover->media, now_ps,
				(struct media_request){
					.op = media_op[op],
					.offset = chunk->offset,
					.bytes = job_is_data(op) ? chunk->bytes : slot->job_range_bytes,
					.data = chunk->data,
					.stable = slot->job_flags & JOB_FLAG_STABLE,
					.may_unmap = slot->job_flags & JOB_FLAG_UNMAP,
					.cookie = (uint32_t)(chunk - mover->chunk),
				});
}

void mover_chunk_start(struct mover *mover, uint64_t now_ps, uint16_t index)
{
	struct job *job = &mover->job[index];
	uint16_t number = mover->chunk_free;
	struct chunk *chunk = &mover->chunk[number];
	uint32_t bytes = min_u32(job->left_bytes, mover->chunk_bytes);
	mover->chunk_free = chunk->next;
	*chunk = (struct chunk){
		.slot = index, .bytes = bytes, .offset = job->offset, .at = job->at, .left_bytes = bytes};
	chunk->data = mover->memory + (size_t)number * mover->chunk_bytes;
	if (job_is_local(job->op))
		chunk->data = (uint8_t *)slot_at(mover, index) + SLOT_LOCAL_OFFSET;
	job->left_bytes -= bytes;
	job->offset += bytes;
	job->chunks++;
	mover->stats.chunks++;
	if (job_is_data(job->op))
		(void)cursor_advance(segments_of(mover, index), &job->at, bytes);
	if (job->op == JOB_WRITE || job_is_local(job->op))
		chunk_to_dma(mover, chunk);
	else
		chunk_to_media(mover, now_ps, chunk);
}

/* Gives the chunk's next piece to the DMA engine. */
static void send_piece(struct mover *mover, uint64_t now_ps, struct chunk *chunk)
{
	const struct slot_segment *segments = segments_of(mover, chunk->slot);
	uint32_t bytes = min_u32(chunk->left_bytes, cursor_piece(segments, &chunk->at));
	if (bytes == 0) { /* the list has changed under the job */
		chunk->result = JOB_RESULT_BAD_JOB;
		return;
	}
	dma_request_fifo_push(mover->ports.dma, now_ps,
			      (struct dma_request){
				      .addr = segments[chunk->at.segment].addr + chunk->at.within,
				      .bytes = bytes,
				      .write = job_to_guest(mover->job[chunk->slot].op),
				      .data = chunk->data + (chunk->bytes - chunk->left_bytes),
				      .cookie = (uint32_t)(chunk - mover->chunk),
			      });
	(void)cursor_advance(segments, &chunk->at, bytes);
	chunk->left_bytes -= bytes;
	chunk->transfers++;
	mover->transfers++;
	mover->stats.segments++;
}

/* The chunk's data is where it should be, or its transfers have failed. */
static void chunk_moved(struct mover *mover, uint64_t now_ps, struct chunk *chunk)
{
	bool write = mover->job[chunk->slot].op == JOB_WRITE;
	if (write && mover->cancel && chunk->result == JOB_RESULT_OK)
		chunk->result = JOB_RESULT_CANCELLED;
	if (write && chunk->result == JOB_RESULT_OK)
		chunk_to_media(mover, now_ps, chunk);
	else
		chunk_end(mover, now_ps, chunk, chunk->result);
}

/* A chunk that has failed or is cancelled needs no more transfers. */
void mover_chunks_feed(struct mover *mover, uint64_t now_ps)
{
	while (mover->wait_dma.first != NONE) {
		struct chunk *chunk = &mover->chunk[mover->wait_dma.first];
		if (mover->cancel && chunk->result == JOB_RESULT_OK)
			chunk->result = JOB_RESULT_CANCELLED;
		while (chunk->left_bytes != 0 && chunk->result == JOB_RESULT_OK) {
			if (mover->transfers == TRANSFERS_MAX)
				return;
			send_piece(mover, now_ps, chunk);
		}
		mover->wait_dma.first = chunk->next;
		chunk->state = CHUNK_DMA;
		if (chunk->transfers == 0)
			chunk_moved(mover, now_ps, chunk);
	}
}

void mover_chunk_transferred(struct mover *mover, uint64_t now_ps, const struct dma_done *done)
{
	struct chunk *chunk = &mover->chunk[done->cookie];
	mover->transfers--;
	chunk->transfers--;
	if (done->status != DMA_OK && chunk->result == JOB_RESULT_OK)
		chunk->result = JOB_RESULT_DMA_ERROR;
	if (chunk->transfers == 0 && chunk->state == CHUNK_DMA)
		chunk_moved(mover, now_ps, chunk);
}

void mover_chunk_accessed(struct mover *mover, uint64_t now_ps, const struct media_done *done)
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
	else if (mover->job[chunk->slot].op != JOB_READ)
		chunk_end(mover, now_ps, chunk, JOB_RESULT_OK);
	else
		chunk_to_dma(mover, chunk);
}
