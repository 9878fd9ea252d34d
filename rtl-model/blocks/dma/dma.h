/* The DMA engine: every access of the card to guest memory.
 *
 * Clients (fetch, used-ring writer, data mover, copy engine, MSI-X) queue requests on channels of their own. The engine
 * takes one TLP at a time from the channels in turn, splits at 4 KiB, MPS and MRRS (PCIe 6.0 §2.2.7), gives reads a
 * tag, and puts completions together again (§2.3.1.1). A channel's writes reach the link in their order, so what a
 * client pushes after the `done` of a write is seen by the host after that write (§2.4).
 *
 * A request is done: a write when its last TLP is queued on the link; a read when all data is there or it has
 * failed. Nothing is sent while Bus Master Enable is clear or in D3hot: requests wait (PCIe ACC-002). */
#ifndef KICKSTAND_BLOCKS_DMA_DMA_H
#define KICKSTAND_BLOCKS_DMA_DMA_H

#include "pcie/cfg_space.h"
#include "pcie/link.h"
#include "rtl-model/config.h"
#include "rtl-model/fifo.h"

#ifdef __cplusplus
extern "C" {
#endif

enum dma_channel { DMA_MSIX, DMA_USED, DMA_FETCH, DMA_COPY, DMA_MOVER, DMA_CHANNELS };

enum dma_status {
	DMA_OK,
	DMA_FAILED,  /* UR, CA, poison, timeout, or a range that wraps past 2^64 */
	DMA_ABORTED, /* dropped by dma_abort */
};

struct dma_request {
	uint64_t addr;  /* guest address */
	uint32_t bytes; /* > 0, any alignment */
	bool write;
	uint8_t *data;   /* write: source, read: destination; the client's to keep until done */
	uint32_t cookie; /* comes back */
};

struct dma_done {
	uint32_t cookie;
	enum dma_status status;
};

FIFO_DEFINE(dma_request_fifo, struct dma_request, 512);
FIFO_DEFINE(dma_done_fifo, struct dma_done, 512);

struct dma_stats {
	uint64_t reads, writes; /* requests done */
	uint64_t read_tlps, write_tlps;
	uint64_t read_bytes, write_bytes;
	uint64_t failed, aborted;
	uint64_t timeouts, unexpected;
	uint64_t stall_no_tag, stall_backlog, stall_bus_master; /* times the engine had to stop */
	unsigned tags_in_use, tags_in_use_max;
};

/* What became of a completion; the endpoint logs errors accordingly. */
enum dma_completion {
	DMA_COMPLETION_OK,
	DMA_COMPLETION_UR, /* Received Master Abort */
	DMA_COMPLETION_CA, /* Received Target Abort */
	DMA_COMPLETION_POISONED,
	DMA_COMPLETION_UNEXPECTED,
};

struct dma;

struct dma_ports {
	const struct waker *self;          /* makes dma_step run */
	struct link_dir *up;               /* towards the host */
	const struct cfg_control *control; /* MPS, MRRS, tags, bus master as they are now;
						     * wake the engine when bus master or the power state changes */
	const uint16_t *requester_id;      /* as captured by the endpoint */
	/* A read timed out (AER bit 14): told to the endpoint. */
	void (*timeout)(void *ctx, uint64_t now_ps);
	/* Whether reads are outstanding has changed (Device Status bit 5). */
	void (*pending)(void *ctx, bool pending);
	/* The last message that MSI-X has queued is on its way: nothing on that channel waits any more. */
	void (*messages_sent)(void *ctx, uint64_t now_ps);
	void *ctx;
};

/* NULL when out of memory. */
struct dma *dma_create(const struct config *config, const struct dma_ports *ports);
void dma_free(struct dma *dma);

struct dma_request_fifo *dma_requests(struct dma *dma, enum dma_channel channel);

/* Where a channel's requests are reported done: a queue owned by the client. Without one nobody is told. */
void dma_connect(struct dma *dma, enum dma_channel channel, struct dma_done_fifo *done);

uint64_t dma_step(struct dma *dma, uint64_t now_ps);

/* A completion has arrived. */
enum dma_completion dma_complete(struct dma *dma, uint64_t now_ps, const struct tlp *cpl);

/* Drops the requests of one channel (or of all: DMA_CHANNELS) that have not been sent, and forgets reads in flight:
 * their data will be dropped, their tags stay taken until they are answered or time out. Every request ends as
 * DMA_ABORTED, at once. */
void dma_abort(struct dma *dma, uint64_t now_ps, enum dma_channel channel);

/* Link down: no completion will ever come; all tags are free again. */
void dma_link_down(struct dma *dma, uint64_t now_ps);

/* Messages wait that may be sent: the endpoint answers nothing before they are on their way (PCIe 6.0 §2.4.1). */
bool dma_messages_wait(const struct dma *dma);
/* Requests or reads outstanding. */
bool dma_busy(const struct dma *dma);
const struct dma_stats *dma_stats(const struct dma *dma);

#ifdef __cplusplus
}
#endif
#endif
