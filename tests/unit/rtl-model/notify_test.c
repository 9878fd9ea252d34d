/* Built twice: for the model, and with TWIN defined for the RTL twin. */
#include "tests/unit/rtl-model/csr_check.h"
#include "tests/unit/rtl-model/notify_bench.h"

/* The queues served since `from`, as text. */
static const char *order(const struct bench *b, unsigned from)
{
	static char text[4096];
	size_t length = 0;
	text[0] = 0;
	for (unsigned i = from; i < b->count; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%u ",
					   b->given[i].service.queue);
	return text;
}

static uint64_t waiting(struct bench *b)
{
	const struct notify_stats *s = &b->notify->stats;
	return s->written - s->coalesced - s->serviced - s->dropped;
}

/* ---- registers ---- */

static bool read_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return notify_csr_read(self, now_ps, offset, value);
}

static bool write_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return notify_csr_write(self, now_ps, offset, value);
}

static void test_notify_registers_reset_value_and_access(void **state)
{
	(void)state;
	static const struct csr_case cases[] = {
		{.offset = 0x00, .writable = UINT32_MAX}, /* ENABLE */
		{.offset = 0x04, .writable = UINT32_MAX},
		{.offset = 0x08, .action = true}, /* KICK */
		{.offset = 0x10, .reset = 777, .writable = UINT32_MAX},
		{.offset = 0x14, .reset = 5, .writable = 0xffff},
		{.offset = 0x18}, /* PENDING */
		{.offset = 0x1c},
		{.offset = 0x20, .writable = 1},
		{.offset = 0x24, .writable = 1}, /* ADAPTIVE */
	};
	struct bench *b = BENCH("notify.holdoff_ns=777", "notify.threshold=5");
	const struct csr_block block = {b->notify, read_register, write_register};
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
	bench_free(b);
}

static void test_notify_pending_registers_show_what_waits(void **state)
{
	(void)state;
	static const char *const modes[] = {"notify.mode=pending", "notify.mode=fifo"};
	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
		struct bench *b = BENCH(modes[i], "notify.holdoff_ns=100");
		enable_all(b);
		ring(b, 10, 0);
		ring(b, 20, 31);
		ring(b, 30, 32);
		ring(b, 40, 63);
		assert_int_equal(get(b, CSR_NOTIFY_PENDING_LO), 0x80000001);
		assert_int_equal(get(b, CSR_NOTIFY_PENDING_HI), 0x80000001);
		assert_true(notify_busy(b->notify));
		run(b, 200 * NS);
		assert_int_equal(get(b, CSR_NOTIFY_PENDING_LO), 0);
		assert_int_equal(get(b, CSR_NOTIFY_PENDING_HI), 0);
		assert_false(notify_busy(b->notify));
		bench_free(b);
	}
}

/* ---- timing ---- */

static void test_notify_doorbell_service_visible_one_cycle_later(void **state)
{
	(void)state;
	static const char *const modes[] = {"notify.mode=pending", "notify.mode=fifo"};
	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
		struct bench *b = BENCH(modes[i]);
		enable_all(b);
		ring(b, 12345, 7); /* between two edges */
		run(b, 1000 * NS);
		assert_int_equal(b->count, 1);
		assert_int_equal(b->given[0].at_ps, 14000 + PERIOD_PS);
		assert_int_equal(b->given[0].service.doorbell_ps, 14000);
		bench_free(b);
	}
}

static void test_notify_many_queues_one_service_a_cycle(void **state)
{
	(void)state;
	struct bench *b = BENCH("notify.holdoff_ns=100");
	enable_all(b);
	for (unsigned i = 0; i < 64; i++) /* taken one a cycle */
		doorbell_fifo_push(&b->notify->doorbells, 4000, (struct doorbell){(uint16_t)i, 0});
	run(b, 1000 * NS);
	assert_int_equal(b->count, 64);
	/* From the 51st cycle on hold-offs end while doorbells still come in: the RTL takes them in turns. */
	uint64_t last_ps = 0;
	for (unsigned i = 0; i < 64; i++) {
		uint64_t expected_ps = 4000 + 100 * NS + (i + 1) * PERIOD_PS;
		assert_in_range(b->given[i].at_ps, expected_ps, expected_ps + 64 * PERIOD_PS);
		assert_true(i == 0 || b->given[i].at_ps >= last_ps + PERIOD_PS);
		last_ps = b->given[i].at_ps;
	}
	bench_free(b);
}

static void test_notify_holdoff_counts_from_first_doorbell(void **state)
{
	(void)state;
	/* Fractions of a nanosecond count as one: that is what the register holds. */
	static const struct {
		uint64_t configured_ps, holdoff_ps;
	} cases[] = {{0, 0},       {1, 1000},          {999, 1000},
		     {2000, 2000}, {1234567, 1235000}, {4000000000000, 4000000000000}};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t holdoff_ps = cases[i].holdoff_ps, start_ps = 1000000;
		struct bench *b = BENCH(NULL);
		b->config.notify.holdoff_ps = cases[i].configured_ps;
		notify_free(b->notify);
		b->notify = CREATE(&b->config, &b->self, &b->out);
		assert_non_null(b->notify);
		enable_all(b);
		ring(b, start_ps, 3);
		if (holdoff_ps > 5 * PERIOD_PS) {
			ring(b, start_ps + holdoff_ps / 2, 3);
			ring(b, start_ps + holdoff_ps - PERIOD_PS, 3);
		}
		uint64_t given_ps = edge_ps(start_ps + holdoff_ps) + PERIOD_PS;
		run(b, given_ps - 1);
		assert_int_equal(b->count, 0);
		run(b, given_ps);
		assert_int_equal(b->count, 1);
		assert_int_equal(b->given[0].service.doorbell_ps, start_ps);
		/* The next doorbell starts a hold-off of its own. */
		start_ps = edge_ps(3000000 + holdoff_ps);
		ring(b, start_ps, 3);
		given_ps = edge_ps(start_ps + holdoff_ps) + PERIOD_PS;
		run(b, given_ps - 1);
		assert_int_equal(b->count, 1);
		run(b, given_ps);
		assert_int_equal(b->count, 2);
		assert_int_equal(b->given[1].service.doorbell_ps, start_ps);
		bench_free(b);
	}
}

static void test_notify_threshold_ends_holdoff(void **state)
{
	(void)state;
	for (unsigned threshold = 1; threshold <= 5; threshold++) {
		struct bench *b = BENCH("notify.holdoff_ns=10000");
		put(b, CSR_NOTIFY_THRESHOLD, threshold);
		enable_all(b);
		for (unsigned i = 1; i < threshold; i++)
			ring(b, i * 10 * NS, 5);
		ring(b, 60 * NS, 6); /* another queue's doorbells do not count */
		run(b, 90 * NS);
		assert_int_equal(b->count, threshold == 1);
		ring(b, 100 * NS, 5);
		run(b, 100 * NS + PERIOD_PS);
		assert_int_equal(b->given[b->count - 1].service.queue, 5);
		assert_int_equal(b->given[b->count - 1].at_ps, 100 * NS + PERIOD_PS);
		run(b, 1000 * PS_PER_US);
		assert_int_equal(b->count, 2); /* queue 6 by its time, queue 5 once */
		bench_free(b);
	}
}

static void test_notify_shorter_holdoff_or_lower_threshold_acts_at_once(void **state)
{
	(void)state;
	static const struct {
		uint32_t offset, value;
	} cases[] = {{CSR_NOTIFY_HOLDOFF_NS, 50}, {CSR_NOTIFY_THRESHOLD, 2}};
	static const char *const modes[] = {"notify.mode=pending", "notify.mode=fifo"};
	for (unsigned i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		bool fifo = i >= ARRAY_SIZE(cases);
		struct bench *b = BENCH("notify.holdoff_ns=100000", modes[fifo]);
		enable_all(b);
		ring(b, 0, 5);
		ring(b, 10 * NS, 5);
		run(b, 200 * NS);
		assert_int_equal(b->count, 0);
		put(b, cases[i % 2].offset, cases[i % 2].value);
		run(b, 200 * NS + 2 * PERIOD_PS);
		/* In FIFO mode only time counts. */
		assert_int_equal(b->count, !fifo ? 1 : cases[i % 2].offset == CSR_NOTIFY_HOLDOFF_NS ? 2 : 0);
		bench_free(b);
	}
}

/* ---- coalescing ---- */

static void test_notify_doorbells_in_holdoff_coalesced(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 40; n++) {
		struct bench *b = BENCH("notify.holdoff_ns=1000");
		enable_all(b);
		for (unsigned i = 0; i < n; i++)
			ring(b, 100 + i * 10 * NS, 2);
		run(b, 100000 * NS);
		assert_int_equal(b->count, 1);
		assert_int_equal(b->notify->stats.written, n);
		assert_int_equal(b->notify->stats.coalesced, n - 1);
		assert_int_equal(b->notify->stats.serviced, 1);
		bench_free(b);
	}
}

static void test_notify_fifo_serves_every_doorbell_in_order(void **state)
{
	(void)state;
	static const unsigned queues[] = {5, 5, 2, 63, 5, 2, 2, 0};
	struct bench *b = BENCH("notify.mode=fifo", "notify.arbitration=strict", "notify.holdoff_ns=300");
	enable_all(b);
	for (unsigned i = 0; i < ARRAY_SIZE(queues); i++)
		ring(b, 2000 + i * 20 * NS, queues[i]);
	run(b, 100000 * NS);
	assert_string_equal(order(b, 0), "5 5 2 63 5 2 2 0 ");
	for (unsigned i = 0; i < b->count; i++) {
		assert_int_equal(b->given[i].service.doorbell_ps, 2000 + i * 20 * NS);
		assert_int_equal(b->given[i].at_ps, 2000 + i * 20 * NS + 300 * NS + PERIOD_PS);
	}
	assert_int_equal(b->notify->stats.coalesced, 0);
	assert_int_equal(b->notify->stats.serviced, ARRAY_SIZE(queues));
	bench_free(b);
}

static void test_notify_full_fifo_falls_back_to_pending(void **state)
{
	(void)state;
	struct bench *b = BENCH("notify.mode=fifo", "notify.fifo_depth=3", "notify.holdoff_ns=1000");
	enable_all(b);
	static const unsigned queues[] = {1, 2, 1, 7, 7, 1, 9};
	for (unsigned i = 0; i < ARRAY_SIZE(queues); i++)
		ring(b, 1000 + i * 10 * NS, queues[i]);
	run(b, 100000 * NS);
	/* Three entries, then 7 and 1 and 9 pending, the second 7 merged into the first. */
	assert_int_equal(b->notify->stats.fifo_full, 3);
	assert_int_equal(b->notify->stats.coalesced, 1);
	assert_int_equal(b->notify->stats.serviced, 6);
	assert_string_equal(order(b, 0), "1 2 1 7 1 9 ");
	bench_free(b);
}

/* A stream of doorbells that keeps the FIFO full must not keep the queue that fell back waiting. */
static void test_notify_fifo_storm_does_not_starve_pending(void **state)
{
	(void)state;
	struct bench *b = BENCH("notify.mode=fifo", "notify.fifo_depth=8");
	enable_all(b);
	b->stalled = true; /* 4 services wait, then 8 entries */
	for (unsigned i = 0; i < 12; i++)
		ring(b, i * PERIOD_PS, 0);
	ring(b, 12 * PERIOD_PS, 1);
	assert_int_equal(b->notify->stats.fifo_full, 1);
	b->stalled = false;
	for (unsigned i = 13; i < 100; i++)
		ring(b, i * PERIOD_PS, 0);
	unsigned position = 0;
	while (position < b->count && b->given[position].service.queue != 1)
		position++;
	assert_int_equal(position, 12); /* behind the four that had left and the eight before it */
	bench_free(b);
}

/* ---- arbitration ---- */

/* Queues become pending one after another while nothing can be served; queue 4 was served last. */
static void test_notify_arbitration_order_of_waiting_queues(void **state)
{
	(void)state;
	static const struct {
		const char *setting, *expected;
	} cases[] = {
		{"notify.arbitration=round_robin", "5 63 0 2 "},
		{"notify.arbitration=strict", "0 2 5 63 "},
		{"notify.arbitration=oldest", "5 2 63 0 "},
		{"notify.arbitration=weighted", "5 63 0 2 "},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench *b = BENCH(cases[i].setting);
		enable_all(b);
		b->stalled = true;
		for (unsigned n = 0; n < 4; n++)
			ring(b, n * PERIOD_PS, 4);
		static const unsigned arrivals[] = {5, 2, 63, 0};
		for (unsigned n = 0; n < 4; n++)
			ring(b, (10 + n) * PERIOD_PS, arrivals[n]);
		b->stalled = false;
		run(b, 1000 * NS);
		assert_string_equal(order(b, 4), cases[i].expected);
		bench_free(b);
	}
}

/* The consumer's queue is full; every time it takes a service all of `queues` have a doorbell again. */
static void keep_pending(struct bench *b, const unsigned *queues, unsigned count, unsigned services)
{
	assert_true(service_fifo_full(&b->out));
	for (unsigned n = 0; n < services; n++) {
		for (unsigned q = 0; q < count; q++)
			ring(b, b->now_ps, queues[q]);
		assert_true(b->count < ARRAY_SIZE(b->given));
		b->given[b->count++] = (struct given){b->now_ps, service_fifo_pop(&b->out, b->now_ps)};
		run(b, b->now_ps + 4 * PERIOD_PS);
	}
}

/* 12 services, of queues that always have a doorbell. */
static void test_notify_arbitration_order_under_load(void **state)
{
	(void)state;
	static const struct {
		const char *arbitration, *weights, *expected;
	} cases[] = {
		{"notify.arbitration=round_robin", "notify.weights=0", "1 2 17 1 2 17 1 2 17 1 2 17 "},
		{"notify.arbitration=strict", "notify.weights=0", "1 1 1 1 1 1 1 1 1 1 1 1 "},
		{"notify.arbitration=oldest", "notify.weights=0", "1 2 17 1 2 17 1 2 17 1 2 17 "},
		{"notify.arbitration=weighted", "notify.weights=0", "1 2 17 1 2 17 1 2 17 1 2 17 "},
		/* queue 1 (and 17): 2, queue 2: 3 */
		{"notify.arbitration=weighted", "notify.weights=0x320", "1 1 2 2 2 17 17 1 1 2 2 2 "},
		{"notify.arbitration=weighted", "notify.weights=0x10", "1 2 17 1 2 17 1 2 17 1 2 17 "},
		{"notify.arbitration=weighted", "notify.weights=0xf00", "1 2 2 2 2 2 2 2 2 2 2 2 "},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench *b = BENCH(cases[i].arbitration, cases[i].weights);
		static const unsigned queues[] = {1, 2, 17};
		enable_all(b);
		b->stalled = true;
		for (unsigned n = 0; n < 4; n++) {
			put(b, CSR_NOTIFY_KICK, 63);
			run(b, b->now_ps + 4 * PERIOD_PS);
		}
		keep_pending(b, queues, 3, 16);
		assert_string_equal(order(b, 4), cases[i].expected);
		bench_free(b);
	}
}

/* A queue that has nothing more to do gives its turn away and starts the next one with its full weight. */
static void test_notify_weighted_turn_ends_early_and_starts_anew(void **state)
{
	(void)state;
	struct bench *b = BENCH("notify.arbitration=weighted", "notify.weights=0x33");
	enable_all(b);
	b->stalled = true;
	static const unsigned first[] = {0, 1, 1, 1}; /* queue 0 had one of its three */
	for (unsigned n = 0; n < 4; n++)
		ring(b, 10 * n * PERIOD_PS, first[n]);
	run(b, b->now_ps + 4 * PERIOD_PS);
	static const unsigned both[] = {0, 1};
	keep_pending(b, both, 2, 10);
	assert_string_equal(order(b, 0), "0 1 1 1 0 0 0 1 1 1 ");
	bench_free(b);
}

/* ---- disabled queues ---- */

static void test_notify_disabled_queue_doorbell_ignored(void **state)
{
	(void)state;
	static const char *const modes[] = {"notify.mode=pending", "notify.mode=fifo"};
	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
		struct bench *b = BENCH(modes[i]);
		put(b, CSR_NOTIFY_ENABLE_LO, 1u << 3);
		put(b, CSR_NOTIFY_ENABLE_HI, 1u << 31);
		static const unsigned ignored[] = {0, 2, 4, 31, 32, 62, 64, 67, 127, 1023, 65535};
		for (unsigned n = 0; n < ARRAY_SIZE(ignored); n++)
			ring(b, n * 100, ignored[n]);
		run(b, 1000 * NS);
		assert_int_equal(b->count, 0);
		assert_int_equal(b->notify->stats.ignored, ARRAY_SIZE(ignored));
		assert_int_equal(b->notify->stats.written, 0);
		/* Enabling later brings none of them back. */
		enable_all(b);
		run(b, 2000 * NS);
		assert_int_equal(b->count, 0);
		ring(b, 2001 * NS, 3);
		ring(b, 2002 * NS, 63);
		run(b, 3000 * NS);
		assert_string_equal(order(b, 0), "3 63 ");
		bench_free(b);
	}
}

static void test_notify_disabling_drops_what_waits(void **state)
{
	(void)state;
	static const char *const modes[] = {"notify.mode=pending", "notify.mode=fifo"};
	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
		struct bench *b = BENCH(modes[i], "notify.holdoff_ns=1000", "notify.fifo_depth=4");
		enable_all(b);
		for (unsigned n = 0; n < 6; n++) /* fills the FIFO and falls back */
			ring(b, n * 10, n % 2 ? 40 : 41);
		put(b, CSR_NOTIFY_ENABLE_HI, ~(1u << (40 - 32)));
		put(b, CSR_NOTIFY_ENABLE_HI, UINT32_MAX);
		run(b, 100000 * NS);
		for (unsigned n = 0; n < b->count; n++)
			assert_int_equal(b->given[n].service.queue, 41);
		assert_true(b->count >= 1);
		assert_true(b->notify->stats.dropped >= 1);
		assert_int_equal(waiting(b), 0);
		bench_free(b);
	}
}

/* ---- kicks of the firmware's own ---- */

static void test_notify_own_kick_bypasses_holdoff(void **state)
{
	(void)state;
	static const char *const modes[] = {"notify.mode=pending", "notify.mode=fifo"};
	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
		struct bench *b = BENCH(modes[i], "notify.holdoff_ns=100000", "notify.threshold=100");
		enable_all(b);
		run(b, 5000);
		put(b, CSR_NOTIFY_KICK, 33);
		run(b, 6000 + PERIOD_PS);
		assert_int_equal(b->count, 1);
		assert_int_equal(b->given[0].service.queue, 33);
		assert_int_equal(b->given[0].service.doorbell_ps, TIME_NEVER_PS);
		assert_false(b->given[0].service.hint_valid);
		assert_int_equal(b->notify->stats.serviced, 0);
		assert_int_equal(b->notify->stats.own_kicks, 1);
		bench_free(b);
	}
}

static void test_notify_own_kick_and_doorbell_share_a_service(void **state)
{
	(void)state;
	struct bench *b = BENCH("notify.holdoff_ns=100000");
	enable_all(b);
	put(b, CSR_NOTIFY_DATA_MODE, 1);
	/* Doorbell first: the kick ends its hold-off. */
	ring_value(b, 2000, 8, 0x00050008);
	run(b, 8000);
	put(b, CSR_NOTIFY_KICK, 8);
	run(b, 50 * NS);
	assert_int_equal(b->count, 1);
	assert_in_range(b->given[0].at_ps, 8000 + PERIOD_PS, 8000 + 2 * PERIOD_PS);
	assert_int_equal(b->given[0].service.doorbell_ps, 2000);
	assert_false(
		b->given[0].service.hint_valid); /* the firmware wants the ring looked at, whatever it says */
	/* Kick first, not served yet for want of room. */
	b->stalled = true;
	for (unsigned i = 0; i < 4; i++) {
		put(b, CSR_NOTIFY_KICK, 20 + i);
		run(b, (100 + 10 * i) * NS);
	}
	put(b, CSR_NOTIFY_KICK, 8);
	ring_value(b, 200 * NS, 8, 0x00060008);
	b->stalled = false;
	run(b, 300 * NS);
	assert_int_equal(b->given[5].service.queue, 8);
	assert_int_equal(b->given[5].service.doorbell_ps, 200 * NS);
	assert_int_equal(b->notify->stats.coalesced, 0);
	assert_int_equal(b->notify->stats.serviced, 2);
	assert_int_equal(b->count, 6);
	bench_free(b);
}

static void test_notify_own_kick_of_disabled_or_unknown_queue_ignored(void **state)
{
	(void)state;
	struct bench *b = BENCH(NULL);
	put(b, CSR_NOTIFY_ENABLE_LO, 1);
	static const uint32_t values[] = {1, 63, 64, 255};
	for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
		put(b, CSR_NOTIFY_KICK, values[i]);
	run(b, 1000 * NS);
	assert_int_equal(b->count, 0);
	assert_int_equal(b->notify->stats.own_kicks, 0);
	bench_free(b);
}

/* ---- NOTIFICATION_DATA ---- */

static void test_notify_hint_is_latest_avail_index(void **state)
{
	(void)state;
	static const char *const modes[] = {"notify.mode=pending", "notify.mode=fifo"};
	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
		struct bench *b = BENCH(modes[i], "notify.holdoff_ns=100");
		enable_all(b);
		/* Not negotiated: the upper half means nothing. */
		ring_value(b, 1000, 4, 0xffff0004);
		run(b, 1000 * NS);
		assert_false(b->given[0].service.hint_valid);
		put(b, CSR_NOTIFY_DATA_MODE, 1);
		ring_value(b, 2000 * NS, 4, 0x12340004);
		ring_value(b, 2001 * NS, 4, 0x92350004); /* bit 31: wrap, or index bit 15 of a split ring */
		run(b, 3000 * NS);
		assert_true(b->given[b->count - 1].service.hint_valid);
		assert_int_equal(b->given[b->count - 1].service.hint, 0x9235);
		assert_int_equal(b->count, i == 0 ? 2 : 3);
		if (i == 1)
			assert_int_equal(b->given[1].service.hint, 0x1234);
		put(b, CSR_NOTIFY_DATA_MODE, 0);
		ring_value(b, 4000 * NS, 4, 0x92360004);
		run(b, 5000 * NS);
		assert_false(b->given[b->count - 1].service.hint_valid);
		bench_free(b);
	}
}

/* ---- back-pressure, reset ---- */

static void test_notify_full_service_queue_sleeps_until_room(void **state)
{
	(void)state;
	struct bench *b = BENCH(NULL);
	enable_all(b);
	b->stalled = true;
	for (unsigned i = 0; i < 10; i++)
		ring(b, i * PERIOD_PS, i);
	assert_int_equal(service_fifo_count(&b->out), 4);
	assert_int_equal(b->wake_ps, TIME_NEVER_PS); /* it does not ask again and again */
	uint64_t steps = b->steps;
	run(b, PS_PER_S);
	assert_int_equal(b->steps, steps);
	b->stalled = false;
	run(b, PS_PER_S + 100 * PERIOD_PS);
	assert_string_equal(order(b, 0), "0 1 2 3 4 5 6 7 8 9 ");
	bench_free(b);
}

static void test_notify_reset_forgets_doorbells_and_keeps_settings(void **state)
{
	(void)state;
	static const char *const modes[] = {"notify.mode=pending", "notify.mode=fifo"};
	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
		struct bench *b = BENCH(modes[i], "notify.holdoff_ns=100", "notify.threshold=9");
		enable_all(b);
		put(b, CSR_NOTIFY_DATA_MODE, 1);
		for (unsigned n = 0; n < 20; n++)
			ring(b, n * 10, n);
		doorbell_fifo_push(&b->notify->doorbells, 5000, (struct doorbell){30, 0});
		notify_reset(b->notify);
		assert_false(notify_busy(b->notify));
		assert_int_equal(waiting(b), 0);
		assert_int_equal(b->notify->stats.dropped, 20);
		enable_all(b);
		run(b, 10000 * NS);
		assert_int_equal(b->count, 0);
		assert_int_equal(get(b, CSR_NOTIFY_HOLDOFF_NS), 100);
		assert_int_equal(get(b, CSR_NOTIFY_THRESHOLD), 9);
		assert_int_equal(get(b, CSR_NOTIFY_DATA_MODE), 0);
		bench_free(b);
	}
}

static void count_wake(void *ctx, uint64_t at_ps)
{
	(void)at_ps;
	++*(unsigned *)ctx;
}

/* The endpoint stops when it finds no room for a doorbell, and must hear of the room a reset makes. */
static void test_notify_reset_of_full_doorbell_queue_wakes_producer(void **state)
{
	(void)state;
	struct bench *b = BENCH(NULL);
	unsigned wakes = 0;
	struct waker producer = {count_wake, &wakes};
	b->notify->doorbells.producer = &producer;
	for (unsigned i = 0; i < doorbell_fifo_depth; i++)
		doorbell_fifo_push(&b->notify->doorbells, 1000, (struct doorbell){0, 0});
	notify_reset(b->notify);
	assert_int_equal(wakes, 1);
	assert_false(doorbell_fifo_full(&b->notify->doorbells));
	bench_free(b);
}

/* ---- storms and random traffic ---- */

static void test_notify_storm_work_bounded_and_others_served(void **state)
{
	(void)state;
	static const char *const arbitrations[] = {
		"notify.arbitration=round_robin", "notify.arbitration=oldest", "notify.arbitration=weighted"};
	static const char *const modes[] = {"notify.mode=pending", "notify.mode=fifo"};
	for (unsigned i = 0; i < ARRAY_SIZE(arbitrations) * 2; i++) {
		struct bench *b = BENCH(arbitrations[i / 2], modes[i % 2], "notify.fifo_depth=16");
		enable_all(b);
		uint64_t rings = 0;
		for (unsigned round = 0; round < 20; round++) {
			uint64_t start_ps = b->now_ps + PERIOD_PS;
			unsigned before = b->count;
			ring(b, start_ps, 9);
			rings++;
			for (unsigned n = 1; n < 100; n++, rings++) /* one every cycle */
				ring(b, start_ps + n * PERIOD_PS, 8);
			unsigned at = before;
			while (at < b->count && b->given[at].service.queue != 9)
				at++;
			assert_true(at < b->count && at - before <= 16 + 4);
		}
		run(b, b->now_ps + PS_PER_US);
		assert_int_equal(waiting(b), 0);
		assert_true(b->steps <= 2 * rings + 2 * b->count);
		assert_true(b->count <= b->now_ps / PERIOD_PS); /* one a cycle at most */
		bench_free(b);
	}
}

/* What the test knows of each queue while it does anything at random. */
struct expectation {
	bool enabled;
	bool wanted;          /* a doorbell came and no service since */
	uint64_t doorbell_ps; /* the last */
};

static void check_services(struct bench *b, unsigned from, struct expectation *queues)
{
	for (unsigned i = from; i < b->count; i++) {
		const struct given *given = &b->given[i];
		struct expectation *queue = &queues[given->service.queue];
		/* It has left the unit one cycle before; a doorbell that came after that is another one's. */
		if (queue->wanted && queue->doorbell_ps + PERIOD_PS <= given->at_ps)
			queue->wanted = false;
	}
}

static void random_action(struct bench *b, struct rng *rng, struct expectation *queues)
{
	unsigned index =
		(unsigned)rng_below(rng, 4) ? (unsigned)rng_below(rng, 5) * 15 : (unsigned)rng_below(rng, 80);
	uint64_t draw = rng_below(rng, 100);
	if (draw < 60) {
		ring(b, b->now_ps, index);
		if (index < QUEUES_MAX && queues[index].enabled) {
			queues[index].wanted = true;
			queues[index].doorbell_ps = b->now_ps;
		}
	} else if (draw < 75) {
		run(b, b->now_ps + rng_below(rng, 20) * PERIOD_PS);
	} else if (draw < 85) {
		b->stalled = rng_below(rng, 2);
	} else if (draw < 88 && index < QUEUES_MAX) {
		queues[index] = (struct expectation){.enabled = !queues[index].enabled};
		uint32_t lo = 0, hi = 0;
		for (unsigned i = 0; i < 32; i++) {
			lo |= (uint32_t)queues[i].enabled << i;
			hi |= (uint32_t)queues[32 + i].enabled << i;
		}
		put(b, CSR_NOTIFY_ENABLE_LO, lo);
		put(b, CSR_NOTIFY_ENABLE_HI, hi);
	} else if (draw < 92) {
		put(b, CSR_NOTIFY_KICK, index);
	} else if (draw < 94) {
		put(b, CSR_NOTIFY_HOLDOFF_NS, (uint32_t)rng_below(rng, 40));
		put(b, CSR_NOTIFY_THRESHOLD, (uint32_t)rng_below(rng, 5));
	}
}

static void test_notify_random_traffic_no_doorbell_lost(void **state)
{
	(void)state;
	static const char *const arbitrations[] = {"notify.arbitration=round_robin",
						   "notify.arbitration=strict", "notify.arbitration=oldest",
						   "notify.arbitration=weighted"};
	static const char *const modes[] = {"notify.mode=pending", "notify.mode=fifo"};
	uint64_t seed = test_seed(64);
	for (unsigned i = 0; i < 160; i++) {
		struct rng rng;
		rng_seed(&rng, seed, i);
		struct bench *b = BENCH(arbitrations[i % 4], modes[i / 4 % 2], "notify.fifo_depth=5",
					"notify.weights=0x21");
		struct expectation queues[QUEUES_MAX] = {0};
		for (unsigned n = 0; n < QUEUES_MAX; n++)
			queues[n].enabled = true;
		enable_all(b);
		for (unsigned n = 0; n < 2000; n++) {
			unsigned before = b->count;
			random_action(b, &rng, queues);
			check_services(b, before, queues);
		}
		unsigned before = b->count;
		b->stalled = false;
		run(b, b->now_ps + PS_PER_MS);
		check_services(b, before, queues);
		for (unsigned n = 0; n < QUEUES_MAX; n++)
			assert_false(queues[n].wanted);
		assert_int_equal(waiting(b), 0);
		assert_false(notify_busy(b->notify));
		assert_true(b->notify->stats.coalesced != 0 && b->notify->stats.dropped != 0);
		assert_true(i / 4 % 2 == 0 || b->notify->stats.fifo_full != 0);
		bench_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notify_registers_reset_value_and_access),
		cmocka_unit_test(test_notify_pending_registers_show_what_waits),
		cmocka_unit_test(test_notify_doorbell_service_visible_one_cycle_later),
		cmocka_unit_test(test_notify_many_queues_one_service_a_cycle),
		cmocka_unit_test(test_notify_holdoff_counts_from_first_doorbell),
		cmocka_unit_test(test_notify_threshold_ends_holdoff),
		cmocka_unit_test(test_notify_shorter_holdoff_or_lower_threshold_acts_at_once),
		cmocka_unit_test(test_notify_doorbells_in_holdoff_coalesced),
		cmocka_unit_test(test_notify_fifo_serves_every_doorbell_in_order),
		cmocka_unit_test(test_notify_full_fifo_falls_back_to_pending),
		REQ_TEST(test_notify_fifo_storm_does_not_starve_pending, "V-069"),
		cmocka_unit_test(test_notify_arbitration_order_of_waiting_queues),
		cmocka_unit_test(test_notify_arbitration_order_under_load),
		cmocka_unit_test(test_notify_weighted_turn_ends_early_and_starts_anew),
		REQ_TEST(test_notify_disabled_queue_doorbell_ignored, "D-001 V-064 V-065"),
		cmocka_unit_test(test_notify_disabling_drops_what_waits),
		cmocka_unit_test(test_notify_own_kick_bypasses_holdoff),
		cmocka_unit_test(test_notify_own_kick_and_doorbell_share_a_service),
		cmocka_unit_test(test_notify_own_kick_of_disabled_or_unknown_queue_ignored),
		cmocka_unit_test(test_notify_hint_is_latest_avail_index),
		cmocka_unit_test(test_notify_full_service_queue_sleeps_until_room),
		cmocka_unit_test(test_notify_reset_forgets_doorbells_and_keeps_settings),
		cmocka_unit_test(test_notify_reset_of_full_doorbell_queue_wakes_producer),
		REQ_TEST(test_notify_storm_work_bounded_and_others_served, "V-069"),
		cmocka_unit_test(test_notify_random_traffic_no_doorbell_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
