#include "host-sim/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR_BYTES 512u

uint32_t client_max_bytes(const struct fio_job *job)
{
	uint32_t max_bytes = SECTOR_BYTES;
	for (unsigned i = IO_READ; i <= IO_WRITE; i++)
		if (job->direction[i])
			max_bytes = max_u32(max_bytes, job->sizes[i].max_bytes);
	return max_bytes;
}

int client_check_job(const struct blk_device *blk, const struct fio_job *job, char *error, size_t error_size)
{
	const struct virtqueue *vq = &blk->queue[0].vq;
	unsigned pieces = blk_pieces(blk, client_max_bytes(job));
	bool changes = job->direction[IO_WRITE] || job->direction[IO_TRIM];
	if (changes && blk->read_only)
		snprintf(error, error_size, "job '%s' writes, but the disk is read-only; use a reading job",
			 job->name);
	else if (job->direction[IO_TRIM] && !virtio_has(&blk->virtio, VIRTIO_BLK_F_DISCARD))
		snprintf(error, error_size,
			 "job '%s' trims, but the card does not offer DISCARD; set virtio.discard=on or use "
			 "a disk that can",
			 job->name);
	else if (blk->seg_max != 0 && pieces > blk->seg_max)
		snprintf(error, error_size,
			 "job '%s': a request of %u bytes is %u segments, more than seg_max %u; raise "
			 "guest.segment_bytes or "
			 "device.seg_max",
			 job->name, client_max_bytes(job), pieces, blk->seg_max);
	else if (!vq->features.indirect && pieces + 3 > vq->size)
		snprintf(error, error_size,
			 "job '%s': a request takes up to %u descriptors, the queue has %u; raise "
			 "guest.queue_size or set "
			 "guest.indirect=on",
			 job->name, pieces + 3, vq->size);
	else
		return 0;
	return -1;
}

int client_init(struct client *client, struct client_shared *shared, const struct fio_job *job,
		unsigned clone, struct guest_cpu *cpu, struct blk_queue *queue, char *error,
		size_t error_size)
{
	const struct host_ops *ops = shared->blk->pci.ops;
	uint64_t buffer_bytes = (client_max_bytes(job) + 4095u) & ~UINT64_C(4095);
	*client = (struct client){.shared = shared,
				  .job = job,
				  .clone = clone,
				  .cpu = cpu,
				  .queue = queue,
				  .depth = job->iodepth};
	client->gen = io_gen_create(job, clone, shared->blk->capacity_sectors * SECTOR_BYTES, shared->seed);
	client->stats = calloc(1, sizeof(*client->stats));
	client->io = calloc(client->depth, sizeof(*client->io));
	if (!client->gen || !client->stats || !client->io) {
		snprintf(error, error_size, "out of memory");
		return -1;
	}
	uint64_t addr;
	uint8_t *data = ops->dma_alloc(ops->ctx, buffer_bytes * client->depth, 4096, DMA_BOTH, &addr);
	if (!data) {
		snprintf(error, error_size,
			 "job '%s' needs %" PRIu64
			 " bytes of buffers, more than guest memory has left; raise host.memory",
			 job->name, buffer_bytes * client->depth);
		return -1;
	}
	for (unsigned i = client->depth; i-- != 0;) {
		struct client_io *io = &client->io[i];
		io->client = client;
		io->data = data + i * buffer_bytes;
		io->request.data_addr = addr + i * buffer_bytes;
		io->next_free = client->free;
		client->free = io;
	}
	client->refill = true;
	return 0;
}

void client_free(struct client *client)
{
	io_gen_free(client->gen);
	free(client->stats);
	free(client->io);
}

void client_begin(struct client *client, uint64_t start_ps)
{
	client->state = CLIENT_WAITS;
	client->start_ps = start_ps;
}

void client_stop(struct client *client)
{
	io_gen_stop(client->gen);
}

/* ---- requests ---- */

static void fill_request(struct client_io *io)
{
	static const uint32_t types[] = {
		[IO_READ] = VIRTIO_BLK_T_IN,        [IO_WRITE] = VIRTIO_BLK_T_OUT,
		[IO_TRIM] = VIRTIO_BLK_T_DISCARD,   [IO_SYNC] = VIRTIO_BLK_T_FLUSH,
		[IO_DATASYNC] = VIRTIO_BLK_T_FLUSH,
	};
	struct blk_request *request = &io->request;
	bool data = io->io.ddir == IO_READ || io->io.ddir == IO_WRITE;
	request->type = types[io->io.ddir];
	request->sector = io->io.offset / SECTOR_BYTES;
	request->sectors = io->io.bytes / SECTOR_BYTES;
	request->range_flags = 0;
	request->data_bytes = data ? io->io.bytes : 0;
	request->cookie = io;
}

/* Tells the check what is about to become visible to the card, and makes the data of writes. */
static void verify_submitted(struct client_io *io)
{
	struct verify *verify = io->client->shared->verify;
	const struct blk_request *request = &io->request;
	if (!verify)
		return;
	switch (io->io.ddir) {
	case IO_READ: io->verify_handle = verify_read_submitted(verify); break;
	case IO_WRITE:
		io->verify_handle =
			verify_write_submitted(verify, VERIFY_DATA, request->sector, request->sectors);
		verify_fill(verify, io->verify_handle, request->sector, request->sectors, io->data);
		break;
	case IO_TRIM:
		io->verify_handle =
			verify_write_submitted(verify, VERIFY_DISCARD, request->sector, request->sectors);
		break;
	case IO_SYNC:
	case IO_DATASYNC: io->flush_handle = verify_flush_submitted(verify); break;
	}
}

static void check_read(struct client_io *io, bool ok)
{
	struct client_shared *shared = io->client->shared;
	struct verify_fault fault;
	/* Every read is compared, whatever the job's `verify` says: that only asks for the read-back at the end. */
	if (ok && !verify_read_check(shared->verify, io->verify_handle, io->request.sector,
				     io->request.sectors, io->data, &fault)) {
		if (shared->bad_reads++ == 0)
			shared->first_fault = fault;
		job_stats_error(io->client->stats, EILSEQ);
		if (io->client->job->verify_fatal || !(io->client->job->continue_on & FIO_CONTINUE_VERIFY))
			client_stop(io->client);
	}
	verify_read_done(shared->verify, io->verify_handle);
}

static void verify_completed(struct client_io *io, bool ok)
{
	struct verify *verify = io->client->shared->verify;
	if (!verify)
		return;
	switch (io->io.ddir) {
	case IO_READ: check_read(io, ok); break;
	case IO_WRITE:
	case IO_TRIM: verify_write_done(verify, io->verify_handle, ok); break;
	case IO_SYNC:
	case IO_DATASYNC: verify_flush_done(verify, io->flush_handle, ok); break;
	}
}

/* ---- submission ---- */

/* Puts the I/O into the ring; false if it does not fit now. */
static bool submit(struct client *client, struct client_io *io)
{
	struct client_shared *shared = client->shared;
	if (blk_submit(shared->blk, client->queue, &io->request) != 0) {
		client->refused = io;
		return false;
	}
	client->refused = NULL;
	io->stamps.submitted_ps = kernel_now_ps();
	return true;
}

static void kick(struct client *client)
{
	struct client_shared *shared = client->shared;
	uint64_t before_ps = kernel_now_ps();
	if (shared->trace)
		trace_doorbell(shared->trace, client->cpu->index, client->queue->index, before_ps);
	blk_kick(shared->blk, client->queue);
	client->cpu->busy_ps += kernel_now_ps() - before_ps;
}

static struct client_io *make_io(struct client *client, const struct io *what)
{
	struct client_io *io = client->free;
	client->free = io->next_free;
	io->io = *what;
	io->stamps = (struct guest_stamps){.created_ps = kernel_now_ps()};
	fill_request(io);
	client->in_flight++;
	job_stats_depth(client->stats, client->in_flight);
	return io;
}

/* What was measured ends here, unless more comes. */
static void note_end(struct client *client)
{
	client->stats->end_ps = kernel_now_ps();
	client->stats->readback_ps = io_gen_readback_ps(client->gen);
}

/* The next I/O of the job, if one is due. */
static struct client_io *next_io(struct client *client, uint64_t *wake_ps)
{
	struct io what;
	switch (io_gen_next(client->gen, kernel_now_ps(), &what, wake_ps)) {
	case IO_GEN_READY: break;
	case IO_GEN_WAIT: return NULL;
	case IO_GEN_DRAIN: *wake_ps = TIME_NEVER_PS; return NULL;
	case IO_GEN_DONE:
		*wake_ps = TIME_NEVER_PS;
		client->state = client->in_flight ? CLIENT_DRAINS : CLIENT_OVER;
		note_end(client);
		return NULL;
	}
	client->stats->start_ps = io_gen_measure_from_ps(client->gen);
	struct client_io *io = make_io(client, &what);
	guest_cpu_spend(client->cpu, client->shared->guest->config->host.submit_ps);
	verify_submitted(io);
	return io;
}

static bool may_submit(struct client *client, uint64_t *wake_ps)
{
	*wake_ps = TIME_NEVER_PS;
	if (client->state == CLIENT_WAITS) {
		if (kernel_now_ps() < client->start_ps) {
			*wake_ps = client->start_ps;
			return false;
		}
		client->state = CLIENT_RUNS;
	}
	/* Once full, the queue is filled again only after it has run down to iodepth_low and as many completions have come
	 * as the job takes at once. */
	if (client->in_flight >= client->depth) {
		client->refill = false;
		client->taken = 0;
	}
	if (client->in_flight <= client->job->iodepth_low &&
	    (client->taken >= client->job->complete_min || client->in_flight == 0))
		client->refill = true;
	return client->state == CLIENT_RUNS && (client->refused || (client->free && client->refill));
}

bool client_run(struct client *client, uint64_t *wake_ps)
{
	unsigned submitted = 0, made = 0;
	if (client->shared->dead || !may_submit(client, wake_ps))
		return false;
	while (submitted < client->job->submit_batch) {
		struct client_io *io = client->refused;
		if (!io && client->free) {
			io = next_io(client, wake_ps);
			made += io != NULL;
		}
		if (!io || !submit(client, io))
			break;
		submitted++;
	}
	/* Making an I/O takes time: even if the ring is full, an interrupt may have come that makes room. */
	if (submitted == 0)
		return made != 0;
	job_stats_submitted(client->stats, submitted);
	if (blk_publish(client->queue))
		kick(client);
	return true;
}

/* ---- completion ---- */

static int error_of(uint8_t status)
{
	switch (status) {
	case VIRTIO_BLK_S_OK: return 0;
	case VIRTIO_BLK_S_UNSUPP: return EOPNOTSUPP;
	default: return EIO;
	}
}

static void note_error(struct client_io *io, int error)
{
	static const char *const names[] = {"read", "write", "trim", "sync", "datasync"};
	struct client *client = io->client;
	bool goes_on = io->io.ddir == IO_READ ? client->job->continue_on & FIO_CONTINUE_READ
					      : client->job->continue_on & FIO_CONTINUE_WRITE;
	job_stats_error(client->stats, error);
	if (client->shared->first_error[0] == '\0')
		snprintf(client->shared->first_error, sizeof(client->shared->first_error),
			 "job '%s': %s of %u bytes at offset %" PRIu64 " failed with status %u (%s)",
			 client->job->name, names[io->io.ddir], io->io.bytes, io->io.offset,
			 io->request.status, strerror(error));
	if (!goes_on)
		client_stop(client);
}

static void record(struct client_io *io)
{
	struct client *client = io->client;
	struct client_shared *shared = client->shared;
	const struct guest_stamps *stamps = &io->stamps;
	const struct job_io_times times = {stamps->created_ps, stamps->submitted_ps, stamps->completed_ps};
	const struct stamps *card =
		&shared->retired[client->queue->index * client->queue->vq.size + io->request.head];
	struct spans spans = spans_of(stamps, card, io->io.ddir == IO_WRITE);
	if (stamps->completed_ps >= io_gen_measure_from_ps(client->gen)) {
		job_stats_io(client->stats, io->io.ddir, io->io.bytes, &times);
		stages_record(shared->stages, &spans);
	}
	if (shared->trace)
		trace_request(shared->trace, client->queue->index, io->io.ddir, io->io.offset, io->io.bytes,
			      &spans);
}

void client_complete(struct client_io *io, struct guest_cpu *cpu, uint64_t handler_ps)
{
	struct client *client = io->client;
	struct client_shared *shared = client->shared;
	int error = error_of(io->request.status);
	guest_cpu_spend(cpu, shared->guest->config->host.complete_ps);
	io->stamps.handler_ps = handler_ps;
	io->stamps.completed_ps = kernel_now_ps();
	shared->completed++;
	shared->last_completion_ps = io->stamps.completed_ps;
	verify_completed(io, error == 0);
	if (error == 0)
		record(io);
	else
		note_error(io, error);
	io_gen_done(client->gen, io->io.ddir);
	io->next_free = client->free;
	client->free = io;
	client->in_flight--;
	client->taken++;
	note_end(client);
	if (client->state == CLIENT_DRAINS && client->in_flight == 0)
		client->state = CLIENT_OVER;
}
