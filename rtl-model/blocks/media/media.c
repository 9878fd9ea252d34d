#include "rtl-model/blocks/media/media.h"

#include <errno.h>
#include <stdlib.h>

/* One more than the flushes that can wait for their barrier; a further one waits in the request queue. */
#define FLUSHES_MAX 1024u

enum { LATENCY_STREAM = 0x6d656400, ERROR_STREAM };

/* An access that holds a channel. */
struct access {
	struct media_request request;
	int error;         /* known from the start: injected, or beyond the capacity */
	uint32_t epoch;    /* see struct media */
	uint64_t start_ps; /* got its channel */
	uint64_t ready_ps; /* its latency is over */
	uint64_t end_ps;   /* its last byte has passed the transfer stage */
	struct access *next_transfer;
};

/* An access in its latency. `order` decides between equal times. */
struct due {
	uint64_t at_ps, order;
	struct access *access;
};

struct waiting_flush {
	struct media_request request;
	uint64_t since_ps;
};

struct media {
	struct media_request_fifo requests;
	struct media_done_fifo *done;
	struct store *store;
	struct config config;
	uint64_t sectors;
	struct rng latency_rng, error_rng; /* apart, so that errors do not change the times */

	/* Every channel's access is idle, in its latency (a heap), or in the transfer stage (a list by end). */
	struct access *access;
	struct access **idle;
	unsigned channels, idle_count;
	struct due *due;
	unsigned due_count;
	uint64_t starts;
	struct access *transfer_first, *transfer_last;

	/* The transfer stage is busy until then; bytes * 10^6 left over from the division by bandwidth_mbps. */
	uint64_t transfer_free_ps, transfer_remainder;

	/* Flush number f ends epoch f. It may start when no access of an epoch up to f is left, and is itself of epoch
	 * f + 1, so that the flush behind it waits for it. Numbers are free running. */
	struct waiting_flush flush[FLUSHES_MAX];
	uint32_t flush_head, flush_tail;
	uint32_t left_in_epoch[FLUSHES_MAX];

	struct media_stats stats;
};

/* ---- accesses in their latency: a binary heap by time, then by order of start ---- */

static bool is_earlier(const struct due *a, const struct due *b)
{
	return a->at_ps != b->at_ps ? a->at_ps < b->at_ps : a->order < b->order;
}

static void due_push(struct media *media, struct due new)
{
	unsigned at = media->due_count++;
	while (at != 0 && is_earlier(&new, &media->due[(at - 1) / 2])) {
		media->due[at] = media->due[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	media->due[at] = new;
}

static struct access *due_pop(struct media *media)
{
	struct access *first = media->due[0].access;
	struct due last = media->due[--media->due_count];
	unsigned at = 0;
	for (;;) {
		unsigned child = 2 * at + 1;
		if (child >= media->due_count)
			break;
		if (child + 1 < media->due_count && is_earlier(&media->due[child + 1], &media->due[child]))
			child++;
		if (!is_earlier(&media->due[child], &last))
			break;
		media->due[at] = media->due[child];
		at = child;
	}
	media->due[at] = last;
	return first;
}

/* ---- flushes and what they wait for ---- */

static uint32_t *left_in(struct media *media, uint32_t epoch)
{
	return &media->left_in_epoch[epoch % FLUSHES_MAX];
}

static unsigned flushes_waiting(const struct media *media)
{
	return media->flush_tail - media->flush_head;
}

static void accept_flush(struct media *media, uint64_t since_ps, const struct media_request *request)
{
	media->flush[media->flush_tail % FLUSHES_MAX] = (struct waiting_flush){*request, since_ps};
	media->flush_tail++;
	++*left_in(media, media->flush_tail);
}

/* Only the oldest flush can have nothing left before it. */
static bool flush_is_free(struct media *media)
{
	return flushes_waiting(media) != 0 && *left_in(media, media->flush_head) == 0;
}

/* ---- how long, and with what result ---- */

static uint64_t latency_ps(struct media *media, const struct media_request *request)
{
	const struct config *config = &media->config;
	uint64_t mean_ps = request->op == MEDIA_READ    ? config->media.read_ps
			   : request->op == MEDIA_FLUSH ? config->media.flush_ps
							: config->media.write_ps;
	if (request->stable && (request->op == MEDIA_WRITE || request->op == MEDIA_WRITE_ZEROES))
		mean_ps += config->media.flush_ps;
	uint64_t random_ps = mean_ps * config->media.jitter_pct / 100;
	return mean_ps - random_ps + (random_ps ? rng_exponential(&media->latency_rng, random_ps) : 0);
}

static bool hits_error_range(const struct config *config, const struct media_request *request)
{
	if (request->op == MEDIA_FLUSH || request->bytes == 0)
		return false;
	if (!(request->op == MEDIA_READ ? config->media.error_reads : config->media.error_writes))
		return false;
	uint64_t first = request->offset / STORE_SECTOR_BYTES;
	uint64_t last = (request->offset + request->bytes - 1) / STORE_SECTOR_BYTES;
	return first <= config->media.error_last_sector && last >= config->media.error_first_sector;
}

static int foreseen_error(struct media *media, const struct media_request *request)
{
	uint64_t capacity = media->sectors * STORE_SECTOR_BYTES;
	if (request->op != MEDIA_FLUSH &&
	    (request->bytes > capacity || request->offset > capacity - request->bytes)) {
		media->stats.errors_range++;
		return -EIO;
	}
	if (hits_error_range(&media->config, request) &&
	    rng_chance_ppm(&media->error_rng, media->config.media.error_ppm)) {
		media->stats.errors_injected++;
		return -EIO;
	}
	return 0;
}

static bool moves_bytes(const struct access *access)
{
	enum media_op op = access->request.op;
	return access->error == 0 && access->request.bytes != 0 && (op == MEDIA_READ || op == MEDIA_WRITE);
}

/* ---- life of an access: start, transfer, end ---- */

static void start(struct media *media, uint64_t now_ps, const struct media_request *request, uint32_t epoch)
{
	struct access *access = media->idle[--media->idle_count];
	*access = (struct access){.request = *request, .start_ps = now_ps, .epoch = epoch};
	access->error = foreseen_error(media, request);
	access->ready_ps = now_ps + latency_ps(media, request);
	due_push(media, (struct due){access->ready_ps, media->starts++, access});
}

static void start_flush(struct media *media, uint64_t now_ps)
{
	struct waiting_flush *flush = &media->flush[media->flush_head % FLUSHES_MAX];
	media->stats.stall_barrier_ps += now_ps - flush->since_ps;
	media->flush_head++;
	start(media, now_ps, &flush->request, media->flush_head);
}

static void take_request(struct media *media, uint64_t now_ps)
{
	uint64_t since_ps = media_request_fifo_next_ps(&media->requests);
	struct media_request request = media_request_fifo_pop(&media->requests, now_ps);
	if (request.op == MEDIA_FLUSH) {
		accept_flush(media, since_ps, &request);
		return;
	}
	ASSERT((request.op != MEDIA_READ && request.op != MEDIA_WRITE) || request.bytes <= UINT32_MAX);
	media->stats.stall_channel_ps += now_ps - since_ps;
	++*left_in(media, media->flush_tail);
	start(media, now_ps, &request, media->flush_tail);
}

static int change_store(struct media *media, const struct media_request *request)
{
	switch (request->op) {
	case MEDIA_READ: return store_read(media->store, request->offset, request->data, request->bytes);
	case MEDIA_WRITE: return store_write(media->store, request->offset, request->data, request->bytes);
	case MEDIA_FLUSH: return store_flush(media->store);
	case MEDIA_DISCARD: return store_discard(media->store, request->offset, request->bytes);
	case MEDIA_WRITE_ZEROES:
		return store_zero(media->store, request->offset, request->bytes, request->may_unmap);
	case MEDIA_SECURE_ERASE: return store_zero(media->store, request->offset, request->bytes, false);
	}
	return -EINVAL;
}

static int perform(struct media *media, const struct media_request *request)
{
	int error = change_store(media, request);
	if (error == 0 && request->stable)
		error = store_flush(media->store);
	if (error)
		media->stats.errors_store++;
	else if (request->op == MEDIA_READ)
		media->stats.read_bytes += request->bytes;
	else if (request->op == MEDIA_WRITE)
		media->stats.write_bytes += request->bytes;
	return error;
}

static void end(struct media *media, struct access *access)
{
	int error = access->error ? access->error : perform(media, &access->request);
	media->stats.accesses[access->request.op]++;
	media->stats.busy_ps += access->end_ps - access->start_ps;
	--*left_in(media, access->epoch);
	media->idle[media->idle_count++] = access;
	media_done_fifo_push(media->done, access->end_ps,
			     (struct media_done){access->request.cookie, error, access->start_ps});
}

static void end_transfer(struct media *media)
{
	struct access *access = media->transfer_first;
	media->transfer_first = access->next_transfer;
	end(media, access);
}

/* The access is the next to pass the transfer stage: 10^6 / bandwidth_mbps picoseconds a byte. What the division
 * leaves over goes to the next access, so that the rate is exact in the long run. */
static void begin_transfer(struct media *media, struct access *access)
{
	uint64_t begin_ps = max_u64(access->ready_ps, media->transfer_free_ps);
	uint64_t work = access->request.bytes * 1000000 + media->transfer_remainder;
	media->stats.stall_transfer_ps += begin_ps - access->ready_ps;
	media->transfer_remainder = work % media->config.media.bandwidth_mbps;
	access->end_ps = begin_ps + work / media->config.media.bandwidth_mbps;
	media->transfer_free_ps = access->end_ps;
	access->next_transfer = NULL;
	if (media->transfer_first)
		media->transfer_last->next_transfer = access;
	else
		media->transfer_first = access;
	media->transfer_last = access;
}

static void end_latency(struct media *media)
{
	struct access *access = due_pop(media);
	if (moves_bytes(access)) {
		begin_transfer(media, access);
		return;
	}
	access->end_ps = access->ready_ps;
	end(media, access);
}

/* ---- events ---- */

/* When the request at the head of the queue can be taken: a flush at once, as it waits elsewhere; others need a
 * channel. */
static uint64_t request_ps(struct media *media)
{
	uint64_t visible_ps = media_request_fifo_next_ps(&media->requests);
	if (visible_ps == TIME_NEVER_PS)
		return TIME_NEVER_PS;
	if (media_request_fifo_peek(&media->requests)->op == MEDIA_FLUSH)
		return flushes_waiting(media) < FLUSHES_MAX - 1 ? visible_ps : TIME_NEVER_PS;
	return media->idle_count != 0 ? visible_ps : TIME_NEVER_PS;
}

uint64_t media_step(struct media *media, uint64_t now_ps)
{
	uint64_t at_ps = 0; /* a request that has waited for a channel starts when the channel became free */
	for (;;) {
		uint64_t transfer_ps = media->transfer_first ? media->transfer_first->end_ps : TIME_NEVER_PS;
		uint64_t latency_end_ps = media->due_count != 0 ? media->due[0].at_ps : TIME_NEVER_PS;
		uint64_t taken_ps = request_ps(media);
		uint64_t next_ps = min_u64(min_u64(transfer_ps, latency_end_ps), taken_ps);
		if (next_ps > now_ps || next_ps == TIME_NEVER_PS)
			return next_ps;
		at_ps = max_u64(at_ps, next_ps);
		if (next_ps == transfer_ps)
			end_transfer(media);
		else if (next_ps == latency_end_ps)
			end_latency(media);
		else
			take_request(media, at_ps);
		if (flush_is_free(media) && media->idle_count != 0)
			start_flush(media, at_ps);
	}
}

/* ---- the rest ---- */

struct media *media_create(const struct config *config, struct store *store, struct media_done_fifo *done)
{
	struct media *media = calloc(1, sizeof(*media));
	if (!media)
		return NULL;
	media->config = *config;
	media->store = store;
	media->done = done;
	media->sectors = store_info(store)->bytes / STORE_SECTOR_BYTES;
	rng_seed(&media->latency_rng, config->sim.seed, LATENCY_STREAM);
	rng_seed(&media->error_rng, config->sim.seed, ERROR_STREAM);
	media->channels = config->media.parallelism;
	media->access = calloc(media->channels, sizeof(*media->access));
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are what it holds */
	media->idle = calloc(media->channels, sizeof(*media->idle));
	media->due = calloc(media->channels, sizeof(*media->due));
	if (!media->access || !media->idle || !media->due) {
		media_free(media);
		return NULL;
	}
	for (unsigned i = 0; i < media->channels; i++)
		media->idle[media->idle_count++] = &media->access[i];
	return media;
}

void media_free(struct media *media)
{
	if (!media)
		return;
	free(media->access);
	free(media->idle);
	free(media->due);
	free(media);
}

struct media_request_fifo *media_requests(struct media *media)
{
	return &media->requests;
}

unsigned media_channels_busy(const struct media *media)
{
	return media->channels - media->idle_count;
}

unsigned media_outstanding(const struct media *media)
{
	return media_request_fifo_count(&media->requests) + flushes_waiting(media) +
	       media_channels_busy(media);
}

const struct media_stats *media_stats(const struct media *media)
{
	return &media->stats;
}

void media_set_sectors(struct media *media, uint64_t sectors)
{
	media->sectors = min_u64(sectors, store_info(media->store)->bytes / STORE_SECTOR_BYTES);
}

uint64_t media_sectors(const struct media *media)
{
	return media->sectors;
}
