/* Adaptive hold-off of the notify unit: the hold-off of a queue follows its doorbells. Built twice, as notify_test.c.
 *
 * What is expected is said in time and counts: no delay where doorbells are rare, batches of the threshold where they are
 * frequent, and how many doorbells a change takes. */
#include "tests/unit/rtl-model/notify_bench.h"

#define QUEUE 9

static struct bench *adaptive_bench(uint32_t longest_ns, unsigned threshold)
{
	struct bench *b = BENCH("notify.adaptive=on");
	put(b, CSR_NOTIFY_HOLDOFF_NS, longest_ns);
	put(b, CSR_NOTIFY_THRESHOLD, threshold);
	enable_all(b);
	return b;
}

/* `count` doorbells, each `interval_ns` after the last one; time goes on to just before the next one. */
static void ring_steadily(struct bench *b, unsigned queue, unsigned count, uint64_t interval_ns)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t at_ps = edge_ps(b->now_ps);
		ring(b, at_ps, queue);
		run(b, at_ps + interval_ns * NS - 1);
	}
}

/* From the first doorbell behind it to the end of its hold-off: a service can be taken a cycle later. */
static uint64_t held_ns(const struct given *given)
{
	return (given->at_ps - given->service.doorbell_ps - PERIOD_PS) / NS;
}

static void test_notify_adaptive_rare_doorbells_served_at_once(void **state)
{
	(void)state;
	static const struct {
		uint32_t longest_ns;
		unsigned threshold;
		uint64_t interval_ns;
	} cases[] = {{4000, 8, 2010},  {4000, 0, 3000},   {4000, 2, 4000},          {4000, 65535, 4002},
		     {4000, 8, 40000}, {100, 8, 1000000}, {4000, 8, 3600000000000}, {1000000, 4, 510000}};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench *b = adaptive_bench(cases[i].longest_ns, cases[i].threshold);
		ring_steadily(b, QUEUE, 50, cases[i].interval_ns);
		assert_int_equal(b->count, 50);
		for (unsigned n = 0; n < b->count; n++)
			assert_int_equal(held_ns(&b->given[n]), 0);
		bench_free(b);
	}
}

static void test_notify_adaptive_frequent_doorbells_form_batches(void **state)
{
	(void)state;
	static const unsigned thresholds[] = {2, 3, 8, 16, 50};
	for (unsigned i = 0; i < ARRAY_SIZE(thresholds); i++) {
		unsigned threshold = thresholds[i];
		struct bench *b = adaptive_bench(20000, threshold);
		/* The mean falls from 20,000 ns by a quarter a doorbell: 15,000, 11,250, 8,440. The fourth is held. */
		ring_steadily(b, QUEUE, 3 + 100 * threshold, 40);
		run(b, b->now_ps + 100000 * NS);
		assert_int_equal(b->count, 3 + 100);
		for (unsigned n = 0; n < b->count; n++)
			assert_int_equal(held_ns(&b->given[n]), n < 3 ? 0 : (threshold - 1) * 40);
		assert_int_equal(b->notify->stats.coalesced, 100 * (threshold - 1));
		bench_free(b);
	}
}

static void test_notify_adaptive_without_threshold_holds_for_the_longest(void **state)
{
	(void)state;
	struct bench *b = adaptive_bench(8000, 0);
	ring_steadily(b, QUEUE, 1003, 100);
	run(b, b->now_ps + 100000 * NS);
	for (unsigned n = 0; n < b->count; n++)
		assert_int_equal(held_ns(&b->given[n]), n < 3 ? 0 : 8000);
	/* 81 doorbells a batch: the first and those of the 8,000 ns behind it. */
	assert_int_equal(b->count, 3 + (1000 + 80) / 81);
	bench_free(b);
}

/* A burst that ends before there are enough is served in time: the longest hold-off halved, but long enough for the
 * threshold at the pace so far. */
static void test_notify_adaptive_broken_burst_waits_as_long_as_a_batch_takes(void **state)
{
	(void)state;
	static const struct {
		uint32_t longest_ns, interval_ns;
		unsigned threshold;
		uint64_t held_ns;
	} cases[] = {
		{16000, 100, 8, 1000}, /* 800 ns for 8: 1,000, not 500 */
		{16000, 100, 5, 1000}, /* 5 count as 8 */
		{16000, 100, 4, 500},     {16000, 100, 9, 2000},    {16000, 900, 8, 8000},
		{16000, 1000, 16, 16000}, {16000, 1000, 32, 16000}, /* the longest at most */
		{16000, 10, 2, 125},                                /* 128 parts at least */
		{1000000, 10, 2, 7812},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench *b = adaptive_bench(cases[i].longest_ns, cases[i].threshold);
		ring_steadily(b, QUEUE, 3 + 20 * cases[i].threshold, cases[i].interval_ns);
		run(b, b->now_ps + 100000000 * NS);
		unsigned before = b->count;
		/* A pause of any length is not a slower pace. */
		ring_steadily(b, QUEUE, 1, cases[i].interval_ns);
		if (cases[i].threshold > 2)
			ring_steadily(b, QUEUE, 1, cases[i].interval_ns);
		run(b, b->now_ps + 100000000 * NS);
		assert_int_equal(b->count, before + 1);
		/* Ends at a clock edge. */
		assert_int_equal(held_ns(&b->given[before]), (cases[i].held_ns + 1) / 2 * 2);
		bench_free(b);
	}
}

/* Fast, then slow: one doorbell is held in vain. Then fast again: three are not held. */
static void test_notify_adaptive_follows_a_change_of_pace(void **state)
{
	(void)state;
	struct bench *b = adaptive_bench(16000, 8);
	for (unsigned round = 0; round < 5; round++) {
		unsigned before = b->count;
		ring_steadily(b, QUEUE, 3 + 10 * 8, 100);
		assert_int_equal(b->count, before + 3 + 10);
		for (unsigned n = before; n < b->count; n++)
			assert_int_equal(held_ns(&b->given[n]), n < before + 3 ? 0 : 700);
		run(b, b->now_ps + 1000000 * NS);
		before = b->count;
		ring_steadily(b, QUEUE, 20, 1000000);
		assert_int_equal(b->count, before + 20);
		for (unsigned n = before; n < b->count; n++)
			assert_int_equal(held_ns(&b->given[n]), n == before ? 1000 : 0);
	}
	bench_free(b);
}

/* Queue depth 1: the next doorbell comes some time after the service of the last, however long that was held. No doorbell is
 * worth waiting for, though they come faster than the longest hold-off. One in six pays for finding that out. */
static void test_notify_adaptive_closed_loop_of_one_is_seldom_held(void **state)
{
	(void)state;
	struct bench *b = adaptive_bench(50000, 0);
	unsigned held = 0;
	for (unsigned i = 0; i < 600; i++) {
		ring(b, edge_ps(b->now_ps), QUEUE);
		while (b->count == i)
			run(b, b->now_ps + PERIOD_PS);
		held += held_ns(&b->given[i]) != 0;
		run(b, b->now_ps + 12500 * NS);
	}
	/* 50,000 (the first has no interval), 40,600, 33,600, 28,300, 24,400: less than half. */
	assert_int_equal(held, 600 / 5);
	bench_free(b);
}

static void test_notify_adaptive_queues_have_their_own_pace(void **state)
{
	(void)state;
	struct bench *b = adaptive_bench(16000, 4);
	for (unsigned i = 0; i < 4000; i++) {
		ring(b, edge_ps(b->now_ps), 1);
		if (i % 10 == 5)
			ring(b, b->now_ps + 10 * NS, 2);
		if (i % 200 == 77)
			ring(b, b->now_ps + 20 * NS, 3);
		run(b, 100 * (i + 1) * NS);
	}
	unsigned services[4] = {0};
	for (unsigned n = 0; n < b->count; n++) {
		const struct given *given = &b->given[n];
		services[given->service.queue]++;
		if (given->service.queue == 3)
			assert_int_equal(held_ns(given), 0);
	}
	assert_in_range(services[1], 1000, 1003); /* every 100 ns, by fours */
	assert_in_range(services[2], 100, 103);   /* every 1,000 ns, by fours */
	assert_int_equal(services[3], 20);        /* every 20,000 ns, singly */
	bench_free(b);
}

/* The largest settings there are: nothing overflows. */
static void test_notify_adaptive_largest_settings(void **state)
{
	(void)state;
	static const struct {
		uint64_t interval_ns, held_ns;
	} cases[] = {
		{10000, 1000000000}, /* 65,536 take 0.66 s: the longest, 4 s, halved twice */
		{70000, 4000000000}, /* 4.6 s */
		{1000000000, 4000000000},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench *b = adaptive_bench(4000000000, 65535);
		ring_steadily(b, QUEUE, 60, cases[i].interval_ns);
		run(b, b->now_ps + UINT64_C(100000000000) * NS);
		unsigned before = b->count;
		ring_steadily(b, QUEUE, 2, cases[i].interval_ns);
		run(b, b->now_ps + UINT64_C(100000000000) * NS);
		assert_int_equal(b->count, before + 1);
		assert_int_equal(held_ns(&b->given[before]), cases[i].held_ns);
		bench_free(b);
	}
}

/* The card's counter of nanoseconds has 40 bits. */
static void test_notify_adaptive_wrap_of_time(void **state)
{
	(void)state;
	struct bench *b = adaptive_bench(16000, 8);
	run(b, ((UINT64_C(1) << 40) - 20000) * NS);
	ring_steadily(b, QUEUE, 3 + 8 * 50, 100); /* 20,000 ns before to 20,300 behind it */
	assert_int_equal(b->count, 3 + 50);
	for (unsigned n = 0; n < b->count; n++)
		assert_int_equal(held_ns(&b->given[n]), n < 3 ? 0 : 700);
	ring(b, edge_ps(b->now_ps), QUEUE);
	run(b, b->now_ps + 100000 * NS);
	assert_int_equal(held_ns(&b->given[53]), 1000);
	ring_steadily(b, QUEUE, 3 + 8, 100); /* learnt anew behind it */
	assert_int_equal(b->count, 54 + 3 + 1);
	bench_free(b);
}

static void test_notify_adaptive_switched_by_register(void **state)
{
	(void)state;
	struct bench *b = BENCH("notify.holdoff_ns=1000");
	enable_all(b);
	ring_steadily(b, QUEUE, 1, 10000);
	put(b, CSR_NOTIFY_ADAPTIVE, 1);
	ring_steadily(b, QUEUE, 1, 10000);
	put(b, CSR_NOTIFY_ADAPTIVE, 0);
	ring_steadily(b, QUEUE, 1, 10000);
	assert_int_equal(held_ns(&b->given[0]), 1000);
	assert_int_equal(held_ns(&b->given[1]), 0);
	assert_int_equal(held_ns(&b->given[2]), 1000);
	bench_free(b);
}

/* Whatever comes: no doorbell is lost, and none waits longer than the longest hold-off, but for its turn. */
static void test_notify_adaptive_random_traffic_bounded_wait(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(77), 0);
	for (unsigned i = 0; i < 40; i++) {
		uint32_t longest_ns = 1u << rng_below(&rng, 15);
		struct bench *b = adaptive_bench(longest_ns, (unsigned)rng_below(&rng, 20));
		for (unsigned n = 0; n < 1000; n++) {
			uint64_t later_ns = rng_below(&rng, 1u << rng_below(&rng, 16));
			ring(b, edge_ps(b->now_ps + later_ns * NS), (unsigned)rng_below(&rng, 4));
		}
		run(b, b->now_ps + 1000000 * NS);
		for (unsigned n = 0; n < b->count; n++)
			assert_in_range(held_ns(&b->given[n]), 0, longest_ns + 1 + 8 * PERIOD_PS / NS);
		const struct notify_stats *stats = &b->notify->stats;
		assert_int_equal(stats->written, 1000);
		assert_int_equal(stats->coalesced + stats->serviced, 1000);
		assert_int_equal(b->count, stats->serviced);
		bench_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notify_adaptive_rare_doorbells_served_at_once),
		cmocka_unit_test(test_notify_adaptive_frequent_doorbells_form_batches),
		cmocka_unit_test(test_notify_adaptive_without_threshold_holds_for_the_longest),
		cmocka_unit_test(test_notify_adaptive_broken_burst_waits_as_long_as_a_batch_takes),
		cmocka_unit_test(test_notify_adaptive_follows_a_change_of_pace),
		cmocka_unit_test(test_notify_adaptive_closed_loop_of_one_is_seldom_held),
		cmocka_unit_test(test_notify_adaptive_queues_have_their_own_pace),
		cmocka_unit_test(test_notify_adaptive_largest_settings),
		cmocka_unit_test(test_notify_adaptive_wrap_of_time),
		cmocka_unit_test(test_notify_adaptive_switched_by_register),
		cmocka_unit_test(test_notify_adaptive_random_traffic_bounded_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
