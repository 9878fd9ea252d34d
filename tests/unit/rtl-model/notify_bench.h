/* The notify unit on a bench: doorbells in, a consumer for its services. Tests that include this are built twice: for the
 * model, and with TWIN defined for the RTL twin. What is expected is the same. */
#ifndef KICKSTAND_TESTS_NOTIFY_BENCH_H
#define KICKSTAND_TESTS_NOTIFY_BENCH_H

#ifdef TWIN
#include "rtl-model/blocks/notify/notify_rtl.h"
#define CREATE notify_rtl_create
#else
#include "rtl-model/blocks/notify/notify.h"
#define CREATE notify_create
#endif
#include "tests/check.h"

#define PERIOD_PS 2000u /* 500 MHz */
#define NS        PS_PER_NS

struct given {
	uint64_t at_ps; /* when the consumer could take it */
	struct service service;
};

/* The unit with a consumer that takes services as soon as it sees them, unless it is stalled. */
struct bench {
	struct config config;
	struct notify *notify;
	struct service_fifo out;
	struct waker self;
	uint64_t now_ps, wake_ps;
	bool stalled;
	struct given given[4096];
	unsigned count;
	uint64_t steps;
};

static inline void wake(void *ctx, uint64_t at_ps)
{
	struct bench *b = ctx;
	b->wake_ps = min_u64(b->wake_ps, at_ps);
}

static inline struct bench *bench_new(const char *const settings[])
{
	struct bench *b = calloc(1, sizeof(*b));
	char error[160];
	config_defaults(&b->config);
	for (unsigned i = 0; settings && settings[i]; i++)
		if (config_set(&b->config, settings[i], error, sizeof(error)) != 0)
			fail_msg("%s", error);
	b->self = (struct waker){wake, b};
	b->wake_ps = TIME_NEVER_PS;
	b->notify = CREATE(&b->config, &b->self, &b->out);
	assert_non_null(b->notify);
	return b;
}

static inline void bench_free(struct bench *b)
{
	notify_free(b->notify);
	free(b);
}

#define BENCH(...) bench_new((const char *const[]){__VA_ARGS__, NULL})

/* Reading back makes sure that the write has been carried out. */
static inline void put(struct bench *b, uint32_t offset, uint32_t value)
{
	uint32_t read;
	assert_true(notify_csr_write(b->notify, b->now_ps, offset, value));
	assert_true(notify_csr_read(b->notify, b->now_ps, offset, &read));
}

static inline uint32_t get(struct bench *b, uint32_t offset)
{
	uint32_t value;
	assert_true(notify_csr_read(b->notify, b->now_ps, offset, &value));
	return value;
}

static inline void enable_all(struct bench *b)
{
	put(b, CSR_NOTIFY_ENABLE_LO, UINT32_MAX);
	put(b, CSR_NOTIFY_ENABLE_HI, UINT32_MAX);
}

/* Everything that falls due up to `until_ps`, that time included. */
static inline void run(struct bench *b, uint64_t until_ps)
{
	for (;;) {
		uint64_t take_ps = b->stalled ? TIME_NEVER_PS : service_fifo_next_ps(&b->out);
		uint64_t at_ps = min_u64(take_ps, b->wake_ps);
		if (at_ps > until_ps)
			break;
		b->now_ps = max_u64(b->now_ps, at_ps);
		if (take_ps <= b->now_ps) {
			assert_true(b->count < ARRAY_SIZE(b->given));
			b->given[b->count++] =
				(struct given){b->now_ps, service_fifo_pop(&b->out, b->now_ps)};
			continue;
		}
		b->wake_ps = TIME_NEVER_PS;
		uint64_t next_ps = notify_step(b->notify, b->now_ps);
		b->wake_ps = min_u64(b->wake_ps, next_ps);
		b->steps++;
	}
	b->now_ps = max_u64(b->now_ps, until_ps);
}

static inline uint64_t edge_ps(uint64_t at_ps)
{
	return (at_ps + PERIOD_PS - 1) / PERIOD_PS * PERIOD_PS;
}

/* A doorbell that reaches the unit at `at_ps`, and is taken at the next clock edge that has no other one. */
static inline void ring_value(struct bench *b, uint64_t at_ps, unsigned queue, uint32_t value)
{
	run(b, at_ps);
	doorbell_fifo_push(&b->notify->doorbells, at_ps, (struct doorbell){(uint16_t)queue, value});
	run(b, edge_ps(at_ps));
	while (doorbell_fifo_count(&b->notify->doorbells) != 0)
		run(b, b->now_ps + PERIOD_PS);
}

static inline void ring(struct bench *b, uint64_t at_ps, unsigned queue)
{
	ring_value(b, at_ps, queue, queue);
}

#endif
