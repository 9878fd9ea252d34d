/* Guest memory behind a DMA channel: what the DMA engine, the link and the host do to the requests of one block, without
 * any TLP.
 *
 * Writes are reported done when they are taken and become visible later, in their order. A read is answered some time
 * after everything written before it has become visible; reads overtake each other as they like. What the driver has not
 * described may not be touched: every byte knows what the card may do to it. */
#ifndef KICKSTAND_TESTS_HOST_FIXTURE_H
#define KICKSTAND_TESTS_HOST_FIXTURE_H

#include "rtl-model/blocks/dma/dma.h"
#include "tests/unit/rtl-model/sim.h"

#define HOST_OPS 1024u

enum host_access { HOST_READ = 1, HOST_WRITE = 2 };

struct host_range {
	uint64_t addr, bytes;
};

struct host_op {
	struct dma_request request;
	uint64_t at_ps;   /* write: visible; read: data is taken from memory */
	uint64_t done_ps; /* read: answered */
	bool sampled;
	uint8_t data[512]; /* of transfers this short; longer reads are sampled when they are answered */
};

struct host {
	struct dma_request_fifo requests; /* what the block pushes into */
	struct dma_done_fifo *done;       /* the block's */
	struct sim *sim;
	struct sim_process *process;
	struct rng rng;
	/* memory */
	uint64_t base, bytes;
	uint8_t *memory, *allowed;     /* allowed: HOST_* per byte; NULL: everything */
	struct host_range unmapped[8]; /* reads fail there, writes get lost */
	unsigned unmapped_count;
	/* behaviour */
	uint64_t read_ps_min, read_ps_max, write_ps_max;
	uint64_t gap_ps; /* between requests taken */
	bool hold;       /* nothing is taken: bus master off */
	/* state */
	struct host_op op[HOST_OPS];
	unsigned first_free;
	uint16_t free_op[HOST_OPS];
	uint16_t busy[HOST_OPS]; /* in order of arrival */
	unsigned busy_count;
	uint64_t visible_ps; /* when the last write is */
	uint64_t next_take_ps;
	/* what was seen */
	uint64_t reads, writes, read_bytes, write_bytes;
	unsigned reads_out_max;
	void *ctx;
	void (*taken)(void *ctx, const struct dma_request *request);    /* may be NULL */
	void (*answered)(void *ctx, const struct dma_request *request); /* read data is in place */
	void (*written)(void *ctx, const struct dma_request *request,
			const uint8_t *data); /* becomes visible */
};

static inline uint8_t *host_at(const struct host *host, uint64_t addr, uint64_t bytes)
{
	assert_true(addr >= host->base && bytes <= host->bytes && addr - host->base <= host->bytes - bytes);
	return host->memory + (addr - host->base);
}

static inline void host_allow(struct host *host, uint64_t addr, uint64_t bytes, unsigned access)
{
	host_at(host, addr, bytes);
	memset(host->allowed + (addr - host->base), (int)access, bytes);
}

static inline void host_unmap(struct host *host, uint64_t addr, uint64_t bytes)
{
	assert_true(host->unmapped_count < ARRAY_SIZE(host->unmapped));
	host->unmapped[host->unmapped_count++] = (struct host_range){addr, bytes};
}

static inline bool host_is_unmapped(const struct host *host, const struct dma_request *request)
{
	if (request->addr + (request->bytes - 1) < request->addr)
		return true;
	for (unsigned i = 0; i < host->unmapped_count; i++) {
		const struct host_range *range = &host->unmapped[i];
		if (request->addr < range->addr + range->bytes &&
		    range->addr < request->addr + request->bytes)
			return true;
	}
	return false;
}

static inline void host_check_allowed(const struct host *host, const struct dma_request *request)
{
	unsigned access = request->write ? HOST_WRITE : HOST_READ;
	host_at(host, request->addr, request->bytes);
	if (!host->allowed)
		return;
	for (uint32_t i = 0; i < request->bytes; i++)
		if (!(host->allowed[request->addr - host->base + i] & access))
			fail_msg("%s of %u bytes at %#llx, not allowed at byte %u",
				 request->write ? "write" : "read", request->bytes,
				 (unsigned long long)request->addr, i);
}

static inline uint64_t host_between(struct host *host, uint64_t min_ps, uint64_t max_ps)
{
	return min_ps + rng_below(&host->rng, max_ps - min_ps + 1);
}

/* Takes the next request off the queue. */
static inline void host_take(struct host *host, uint64_t now_ps)
{
	struct dma_request request = dma_request_fifo_pop(&host->requests, now_ps);
	host->next_take_ps = now_ps + host->gap_ps;
	assert_true(request.bytes != 0);
	if (host->taken)
		host->taken(host->ctx, &request);
	bool lost = host_is_unmapped(host, &request);
	if (!lost)
		host_check_allowed(host, &request);
	*(request.write ? &host->writes : &host->reads) += 1;
	*(request.write ? &host->write_bytes : &host->read_bytes) += request.bytes;
	if (request.write)
		dma_done_fifo_push(host->done, now_ps, (struct dma_done){request.cookie, DMA_OK});
	if (request.write && lost)
		return;
	assert_true(host->busy_count < HOST_OPS);
	uint16_t index = host->free_op[host->busy_count];
	host->busy[host->busy_count++] = index;
	struct host_op *op = &host->op[index];
	*op = (struct host_op){.request = request};
	if (request.write) {
		assert_true(request.bytes <= sizeof(op->data) || !host->written);
		host->visible_ps =
			max_u64(host->visible_ps, now_ps + host_between(host, 0, host->write_ps_max));
		op->at_ps = host->visible_ps;
		if (request.bytes <= sizeof(op->data))
			memcpy(op->data, request.data, request.bytes);
		else
			memcpy(host_at(host, request.addr, request.bytes), request.data, request.bytes);
	} else {
		uint64_t answer_ps = now_ps + host_between(host, host->read_ps_min, host->read_ps_max);
		op->at_ps = max_u64(host->visible_ps, host_between(host, now_ps, answer_ps));
		op->done_ps = max_u64(answer_ps, op->at_ps);
	}
}

static inline void host_finish_write(struct host *host, struct host_op *op)
{
	const struct dma_request *request = &op->request;
	if (request->bytes > sizeof(op->data))
		return;
	memcpy(host_at(host, request->addr, request->bytes), op->data, request->bytes);
	if (host->written)
		host->written(host->ctx, request, op->data);
}

static inline void host_finish_read(struct host *host, uint64_t now_ps, struct host_op *op)
{
	const struct dma_request *request = &op->request;
	bool failed = host_is_unmapped(host, request);
	if (!failed && op->sampled)
		memcpy(request->data, op->data, request->bytes);
	else if (!failed)
		memcpy(request->data, host_at(host, request->addr, request->bytes), request->bytes);
	if (!failed && host->answered)
		host->answered(host->ctx, request);
	dma_done_fifo_push(host->done, now_ps,
			   (struct dma_done){request->cookie, failed ? DMA_FAILED : DMA_OK});
}

/* True if the operation is over. */
static inline bool host_advance(struct host *host, uint64_t now_ps, struct host_op *op)
{
	if (op->at_ps > now_ps)
		return false;
	if (op->request.write) {
		host_finish_write(host, op);
		return true;
	}
	if (!op->sampled && op->request.bytes <= sizeof(op->data) && !host_is_unmapped(host, &op->request)) {
		memcpy(op->data, host_at(host, op->request.addr, op->request.bytes), op->request.bytes);
		op->sampled = true;
	}
	if (op->done_ps > now_ps)
		return false;
	host_finish_read(host, now_ps, op);
	return true;
}

static inline uint64_t host_step(void *ctx, uint64_t now_ps)
{
	struct host *host = ctx;
	uint64_t next_ps = TIME_NEVER_PS;
	while (!host->hold && now_ps >= host->next_take_ps && dma_request_fifo_ready(&host->requests, now_ps))
		host_take(host, now_ps);
	if (!host->hold && dma_request_fifo_count(&host->requests) != 0)
		next_ps = max_u64(dma_request_fifo_next_ps(&host->requests), host->next_take_ps);
	unsigned kept = 0, count = host->busy_count, reads = 0;
	uint16_t over[HOST_OPS];
	unsigned over_count = 0;
	for (unsigned i = 0; i < count; i++) {
		struct host_op *op = &host->op[host->busy[i]];
		if (host_advance(host, now_ps, op)) {
			over[over_count++] = host->busy[i];
			continue;
		}
		reads += !op->request.write;
		next_ps = min_u64(next_ps, op->at_ps > now_ps ? op->at_ps : op->done_ps);
		host->busy[kept++] = host->busy[i];
	}
	host->busy_count = kept;
	for (unsigned i = 0; i < over_count; i++)
		host->free_op[kept + i] = over[i];
	host->reads_out_max = max_u32(host->reads_out_max, reads + over_count);
	return next_ps;
}

/* What dma_abort does to the channel: every request ends at once; what has been written stays written. */
static inline void host_abort(struct host *host)
{
	uint64_t now_ps = host->sim->now_ps;
	unsigned kept = 0, count = host->busy_count;
	uint16_t over[HOST_OPS];
	unsigned over_count = 0;
	for (unsigned i = 0; i < count; i++) {
		struct host_op *op = &host->op[host->busy[i]];
		if (op->request.write) {
			host->busy[kept++] = host->busy[i];
			continue;
		}
		over[over_count++] = host->busy[i];
		dma_done_fifo_push(host->done, now_ps, (struct dma_done){op->request.cookie, DMA_ABORTED});
	}
	host->busy_count = kept;
	for (unsigned i = 0; i < over_count; i++)
		host->free_op[kept + i] = over[i];
	while (dma_request_fifo_count(&host->requests) != 0) {
		uint32_t cookie = dma_request_fifo_peek(&host->requests)->cookie;
		host->requests.head++;
		dma_done_fifo_push(host->done, now_ps, (struct dma_done){cookie, DMA_ABORTED});
	}
}

/* Nothing waits, nothing is on its way. */
static inline bool host_idle(const struct host *host)
{
	return host->busy_count == 0 && dma_request_fifo_count(&host->requests) == 0;
}

static inline void host_set_hold(struct host *host, bool hold)
{
	host->hold = hold;
	sim_wake(host->process, host->sim->now_ps);
}

/* Memory of `bytes` at `base`; nothing of it is allowed to the card yet. `done` may be set later. */
static inline struct host *host_create(struct sim *sim, uint64_t base, uint64_t bytes, uint64_t seed)
{
	struct host *host = calloc(1, sizeof(*host));
	assert_non_null(host);
	host->sim = sim;
	host->process = sim_add(sim, host_step, host);
	host->requests.consumer = &host->process->waker;
	rng_seed(&host->rng, seed, 77);
	host->base = base;
	host->bytes = bytes;
	host->memory = calloc(1, bytes);
	host->allowed = calloc(1, bytes);
	assert_non_null(host->memory);
	assert_non_null(host->allowed);
	host->read_ps_min = host->read_ps_max = 500 * PS_PER_NS;
	for (unsigned i = 0; i < HOST_OPS; i++)
		host->free_op[i] = (uint16_t)i;
	return host;
}

static inline void host_free(struct host *host)
{
	free(host->memory);
	free(host->allowed);
	free(host);
}

#endif
