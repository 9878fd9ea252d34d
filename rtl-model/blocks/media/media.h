/* The medium: a store with a timing model.
 *
 * An access waits for one of `parallelism` channels, first come first served, and holds it until it is done. It takes
 * its latency there (fixed part and exponential part with the same mean, jitter_pct), then its bytes pass a transfer
 * stage shared by all channels at bandwidth_mbps, in the order in which their latencies end. The store is read or
 * written at the access's end, so accesses take effect in the order in which they complete.
 *
 * A flush waits until every access accepted before it has completed (virtio 1.4 §5.2.6.2); accesses behind it do not
 * wait for it. A stable write takes the latency of a write and of a flush.
 *
 * Errors are injected by sector range and rate, from the seed. An access with an injected error, or beyond the
 * capacity, takes its latency, moves no bytes and ends in -EIO. */
#ifndef KICKSTAND_BLOCKS_MEDIA_MEDIA_H
#define KICKSTAND_BLOCKS_MEDIA_MEDIA_H

#include "pcie/base.h"
#include "pcie/rng.h"
#include "rtl-model/blocks/media/store.h"
#include "rtl-model/config.h"
#include "rtl-model/fifo.h"

#ifdef __cplusplus
extern "C" {
#endif

enum media_op { MEDIA_READ, MEDIA_WRITE, MEDIA_FLUSH, MEDIA_DISCARD, MEDIA_WRITE_ZEROES, MEDIA_SECURE_ERASE };

struct media_request {
	enum media_op op;
	uint64_t offset; /* bytes */
	uint64_t bytes;  /* READ, WRITE: below 2^32 */
	uint8_t *
		data; /* READ: filled at completion, WRITE: read at completion; ours from push to completion */
	bool stable;  /* WRITE, WRITE_ZEROES: on stable storage before completion */
	bool may_unmap;  /* WRITE_ZEROES */
	uint32_t cookie; /* comes back */
};

struct media_done {
	uint32_t cookie;
	int error;         /* 0 or negative errno */
	uint64_t start_ps; /* a channel was free and the access began */
};

FIFO_DEFINE(media_request_fifo, struct media_request, 1024);
FIFO_DEFINE(media_done_fifo, struct media_done, 1024);

struct media_stats {
	uint64_t accesses[MEDIA_SECURE_ERASE + 1]; /* completed, well or not */
	uint64_t read_bytes, write_bytes;          /* data moved without error */
	uint64_t errors_injected;
	uint64_t errors_range; /* beyond the capacity */
	uint64_t errors_store;
	uint64_t busy_ps;           /* sum over channels of time occupied */
	uint64_t stall_channel_ps;  /* sum of waits for a channel */
	uint64_t stall_barrier_ps;  /* sum of waits of flushes for earlier accesses and a channel */
	uint64_t stall_transfer_ps; /* sum of waits for the transfer stage */
};

struct media;

/* `done` is where completions go; it is never full because requesters keep at most its depth outstanding.
 * The store stays the caller's. NULL when out of memory. */
struct media *media_create(const struct config *config, struct store *store, struct media_done_fifo *done);
void media_free(struct media *media);
struct media_request_fifo *media_requests(struct media *media);
/* Does everything that has fallen due. Returns when it wants to run again; a push into the queue comes on top. */
uint64_t media_step(struct media *media, uint64_t now_ps);

/* Accesses pushed and not yet completed. */
unsigned media_outstanding(const struct media *media);
const struct media_stats *media_stats(const struct media *media);
/* State for waves and dumps: channels busy now. */
unsigned media_channels_busy(const struct media *media);

/* Makes the medium look smaller, or larger up to the store's size; accesses that begin later fail beyond it. */
void media_set_sectors(struct media *media, uint64_t sectors);
uint64_t media_sectors(const struct media *media);

#ifdef __cplusplus
}
#endif
#endif
