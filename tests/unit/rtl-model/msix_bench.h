/* The MSI-X generator on a bench: events in, a DMA channel for its messages. Tests that include this are built twice: for the
 * model, and with TWIN defined for the RTL twin. What is expected is the same. */
#ifndef KICKSTAND_TESTS_MSIX_BENCH_H
#define KICKSTAND_TESTS_MSIX_BENCH_H

#ifdef TWIN
#include "rtl-model/blocks/msix/msix_rtl.h"
#define CREATE msix_rtl_create
#else
#include "rtl-model/blocks/msix/msix.h"
#define CREATE msix_create
#endif
#include "tests/check.h"

#define NS        PS_PER_NS
#define PERIOD_PS UINT64_C(2000)  /* 500 MHz */
#define A_WHILE   (4 * PERIOD_PS) /* enough for a write or an event, and the message that comes of it */

enum { ENTRY = 16, DATA = 8, CONTROL = 12 };

struct message {
	uint64_t at_ps, addr;
	uint32_t data;
};

/* The generator with a DMA channel whose requests are taken at once, unless it is stalled. */
struct bench {
	struct config config;
	struct cfg_control control;
	struct dma_request_fifo dma;
	struct waker self;
	struct msix *msix;
	uint64_t now_ps, wake_ps;
	bool stalled;
	struct message message[8192];
	unsigned count;
	uint64_t steps;
};

static inline void wake(void *ctx, uint64_t at_ps)
{
	struct bench *b = ctx;
	b->wake_ps = min_u64(b->wake_ps, at_ps);
}

static inline struct bench *bench_new(unsigned vectors, const char *const settings[])
{
	struct bench *b = calloc(1, sizeof(*b));
	char error[160];
	config_defaults(&b->config);
	b->config.msix.vectors = vectors;
	for (unsigned i = 0; settings && settings[i]; i++)
		if (config_set(&b->config, settings[i], error, sizeof(error)) != 0)
			fail_msg("%s", error);
	b->self = (struct waker){wake, b};
	b->wake_ps = TIME_NEVER_PS;
	b->control = (struct cfg_control){.bus_master = true, .msix_enable = true};
	const struct msix_ports ports = {.self = &b->self, .control = &b->control, .dma = &b->dma};
	b->msix = CREATE(&b->config, &ports);
	assert_non_null(b->msix);
	return b;
}

#define BENCH(vectors, ...) bench_new(vectors, (const char *const[]){__VA_ARGS__, NULL})

static inline void bench_free(struct bench *b)
{
	msix_free(b->msix);
	free(b);
}

static inline void take_message(struct bench *b)
{
	struct dma_request request = dma_request_fifo_pop(&b->dma, b->now_ps);
	assert_true(request.write);
	assert_int_equal(request.bytes, 4);
	assert_true(b->count < ARRAY_SIZE(b->message));
	b->message[b->count++] = (struct message){b->now_ps, request.addr, load_le32(request.data)};
}

static inline void run(struct bench *b, uint64_t until_ps)
{
	for (;;) {
		uint64_t take_ps = b->stalled ? TIME_NEVER_PS : dma_request_fifo_next_ps(&b->dma);
		uint64_t at_ps = min_u64(take_ps, b->wake_ps);
		if (at_ps > until_ps)
			break;
		b->now_ps = max_u64(b->now_ps, at_ps);
		if (take_ps <= b->now_ps) {
			take_message(b);
			continue;
		}
		b->wake_ps = TIME_NEVER_PS;
		uint64_t next_ps = msix_step(b->msix, b->now_ps);
		b->wake_ps = min_u64(b->wake_ps, next_ps);
		b->steps++;
	}
	b->now_ps = max_u64(b->now_ps, until_ps);
}

static inline uint64_t edge_ps(uint64_t at_ps)
{
	return (at_ps + PERIOD_PS - 1) / PERIOD_PS * PERIOD_PS;
}

/* An event at `at_ps`, if that is not over, or now; and whatever happens at once because of it. */
static inline void event(struct bench *b, uint64_t at_ps, unsigned vector, bool moderated)
{
	run(b, at_ps);
	msix_event(b->msix, b->now_ps, vector, moderated);
	run(b, b->now_ps + A_WHILE);
}

static inline void write32(struct bench *b, uint32_t offset, uint32_t data)
{
	msix_bar_write32(b->msix, b->now_ps, offset, data, 0xf);
	run(b, b->now_ps + A_WHILE);
}

static inline void csr_write(struct bench *b, uint32_t offset, uint32_t value)
{
	assert_true(msix_csr_write(b->msix, b->now_ps, offset, value));
	run(b, b->now_ps + A_WHILE);
}

static inline uint32_t read32(struct bench *b, uint32_t offset)
{
	return msix_bar_read32(b->msix, offset);
}

static inline uint64_t addr_of(unsigned vector)
{
	return UINT64_C(0x123400000000) * (vector % 2) + UINT64_C(0xfee00000) + vector * 4;
}

static inline uint32_t data_of(unsigned vector)
{
	return 0x40000000 + vector * 3;
}

static inline void program(struct bench *b, unsigned vector)
{
	write32(b, vector * ENTRY, (uint32_t)addr_of(vector));
	write32(b, vector * ENTRY + 4, (uint32_t)(addr_of(vector) >> 32));
	write32(b, vector * ENTRY + DATA, data_of(vector));
	write32(b, vector * ENTRY + CONTROL, 0);
}

static inline void program_all(struct bench *b)
{
	for (unsigned i = 0; i < msix_vector_count(&b->config); i++)
		program(b, i);
}

#endif
