/* Adaptive interrupt moderation: the hold-off of a vector follows its events. Built twice, as msix_test.c.
 *
 * What is expected is said in time and counts: nothing held where events are rare, a message for as many events as the threshold
 * where they are frequent, and how many events a change takes. */
#include "tests/unit/rtl-model/msix_bench.h"

#define VECTOR  2u
#define VECTORS 4u

static struct bench *adaptive_bench(uint32_t longest_ns, unsigned threshold)
{
	struct bench *b = BENCH(VECTORS, "msix.adaptive=on");
	csr_write(b, CSR_MSIX_HOLDOFF_NS, longest_ns);
	csr_write(b, CSR_MSIX_THRESHOLD, threshold);
	program_all(b);
	return b;
}

/* An event now; whether its message, or that of what was held before, has left at once. */
static bool event_sends(struct bench *b, unsigned vector)
{
	unsigned before = b->count;
	event(b, edge_ps(b->now_ps), vector, true);
	return b->count == before + 1;
}

/* `count` events, each `interval_ns` after the last one; time goes on to just before the next one. Returns how many
 * have left at once. */
static unsigned events_steadily(struct bench *b, unsigned count, uint64_t interval_ns)
{
	unsigned at_once = 0;
	for (unsigned i = 0; i < count; i++) {
		uint64_t at_ps = edge_ps(b->now_ps);
		at_once += event_sends(b, VECTOR);
		run(b, at_ps + interval_ns * NS - 1);
	}
	return at_once;
}

static uint64_t ns_between_last_messages(const struct bench *b)
{
	return (b->message[b->count - 1].at_ps - b->message[b->count - 2].at_ps) / NS;
}

static void test_msix_adaptive_rare_events_sent_at_once(void **state)
{
	(void)state;
	static const struct {
		uint32_t longest_ns;
		unsigned threshold;
		uint64_t interval_ns;
	} cases[] = {{4000, 8, 2010},
		     {4000, 0, 3000},
		     {4000, 2, 4000},
		     {4000, 65535, 40000},
		     {1000000, 4, 510000}};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench *b = adaptive_bench(cases[i].longest_ns, cases[i].threshold);
		assert_int_equal(events_steadily(b, 50, cases[i].interval_ns), 50);
		assert_int_equal(b->count, 50);
		bench_free(b);
	}
}

static void test_msix_adaptive_frequent_events_share_messages(void **state)
{
	(void)state;
	static const unsigned thresholds[] = {2, 3, 8, 16, 50};
	for (unsigned i = 0; i < ARRAY_SIZE(thresholds); i++) {
		unsigned threshold = thresholds[i];
		struct bench *b = adaptive_bench(20000, threshold);
		/* The mean falls from 20,000 ns by a quarter an event: 15,000, 11,250, 8,440. From the fourth message on
		 * a hold-off runs. */
		assert_int_equal(events_steadily(b, 4 + 100 * threshold, 40), 4 + 100);
		assert_int_equal(b->count, 4 + 100);
		assert_int_equal(ns_between_last_messages(b), threshold * 40);
		assert_int_equal(b->msix->stats.coalesced, 100 * (threshold - 1));
		bench_free(b);
	}
}

static void test_msix_adaptive_without_threshold_holds_for_the_longest(void **state)
{
	(void)state;
	struct bench *b = adaptive_bench(8000, 0);
	events_steadily(b, 1000, 100);
	for (unsigned i = 4; i < b->count; i++)
		assert_int_equal(b->message[i].at_ps - b->message[i - 1].at_ps, 8000 * NS + PERIOD_PS);
	assert_in_range(b->count, 4 + 95900 / 8002, 4 + 99700 / 8002);
	bench_free(b);
}

/* A burst that ends before there are enough: the longest hold-off halved, but long enough for the threshold. */
static void test_msix_adaptive_broken_burst_waits_as_long_as_a_batch_takes(void **state)
{
	(void)state;
	static const struct {
		uint32_t longest_ns, interval_ns;
		unsigned threshold;
		uint64_t held_ns;
	} cases[] = {
		{16000, 100, 8, 1000},   /* 800 ns for 8: 1,000, not 500 */
		{16000, 100, 5, 1000},   /* 5 count as 8 */
		{16000, 100, 4, 500},    /* 400 */
		{16000, 100, 9, 2000},   /* 9 count as 16 */
		{16000, 900, 8, 8000},   /* 7,200 */
		{16000, 900, 32, 16000}, /* the longest at most */
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench *b = adaptive_bench(cases[i].longest_ns, cases[i].threshold);
		events_steadily(b, 4 + 20 * cases[i].threshold, cases[i].interval_ns);
		run(b, b->now_ps + 1000000 * NS);
		/* A pause of any length is not a slower pace; its end is sent at once, and two more are held. */
		assert_int_equal(events_steadily(b, 3, cases[i].interval_ns), 1);
		run(b, b->now_ps + 1000000 * NS);
		assert_int_equal(ns_between_last_messages(b), cases[i].held_ns + PERIOD_PS / NS);
		bench_free(b);
	}
}

/* An event held in vain: from then on events are sent at once, until they come often enough again. */
static void test_msix_adaptive_follows_a_change_of_pace(void **state)
{
	(void)state;
	struct bench *b = adaptive_bench(16000, 8);
	for (unsigned round = 0; round < 5; round++) {
		assert_int_equal(events_steadily(b, 4 + 10 * 8, 900), 4 + 10);
		run(b, b->now_ps + 1000000 * NS);
		assert_int_equal(events_steadily(b, 1, 7000), 1);
		assert_int_equal(events_steadily(b, 1, 9000), 0);
		assert_int_equal(ns_between_last_messages(b), 8000 + PERIOD_PS / NS);
		assert_int_equal(events_steadily(b, 20, 9000), 20);
		run(b, b->now_ps + 1000000 * NS);
		msix_reset(b->msix); /* the next round begins with nothing known */
		program_all(b);
	}
	bench_free(b);
}

/* Queue depth 1: the next event comes some time after the message of the last, however long that was held. */
static void test_msix_adaptive_closed_loop_of_one_is_seldom_held(void **state)
{
	(void)state;
	struct bench *b = adaptive_bench(50000, 0);
	unsigned held = 0;
	for (unsigned i = 0; i < 600; i++) {
		held += !event_sends(b, VECTOR);
		while (b->count == i)
			run(b, b->now_ps + PERIOD_PS);
		run(b, b->now_ps + 12500 * NS);
	}
	/* 50,000 (the first has no interval), 40,600, 33,600, 28,300, 24,400: less than half. */
	assert_int_equal(held, 600 / 6);
	bench_free(b);
}

static void test_msix_adaptive_vectors_have_their_own_pace(void **state)
{
	(void)state;
	struct bench *b = adaptive_bench(16000, 4);
	unsigned at_once = 0;
	for (unsigned i = 0; i < 4000; i++) {
		run(b, 100 * (i + 1) * NS);
		event_sends(b, 1);
		if (i % 200 == 77)
			at_once += event_sends(b, 3);
	}
	unsigned messages[VECTORS] = {0};
	for (unsigned n = 0; n < b->count; n++)
		messages[(b->message[n].data - data_of(0)) / 3]++;
	assert_in_range(messages[1], 1000, 1004); /* every 100 ns, by fours */
	assert_int_equal(messages[3], 20);        /* every 20,000 ns, singly */
	assert_int_equal(at_once, 20);
	bench_free(b);
}

static void test_msix_adaptive_unmoderated_events_do_not_count(void **state)
{
	(void)state;
	struct bench *b = adaptive_bench(16000, 4);
	for (unsigned i = 0; i < 100; i++)
		event(b, b->now_ps + 50 * NS, VECTOR, false);
	assert_int_equal(b->count, 100);
	/* The first three moderated ones have a mean over 8,000 still. */
	assert_int_equal(events_steadily(b, 4 + 4, 100), 4 + 1);
	bench_free(b);
}

static void test_msix_adaptive_function_reset_forgets_virtio_reset_does_not(void **state)
{
	(void)state;
	struct bench *b = adaptive_bench(16000, 8);
	events_steadily(b, 4 + 8, 100);
	msix_drop_events(b->msix);
	run(b, b->now_ps + 1000000 * NS);
	assert_int_equal(events_steadily(b, 2, 100), 1);
	run(b, b->now_ps + 10 * NS);
	msix_reset(b->msix);
	program_all(b);
	assert_int_equal(events_steadily(b, 4 + 2, 100), 4);
	bench_free(b);
}

/* The card's counter of nanoseconds has 40 bits. */
static void test_msix_adaptive_wrap_of_time(void **state)
{
	(void)state;
	struct bench *b = adaptive_bench(16000, 8);
	run(b, ((UINT64_C(1) << 40) - 20000) * NS);
	assert_int_equal(events_steadily(b, 4 + 8 * 50, 100),
			 4 + 50); /* 20,000 ns before to 20,400 behind it */
	assert_int_equal(events_steadily(b, 1, 100000), 0);
	assert_int_equal(ns_between_last_messages(b), 1000 + PERIOD_PS / NS);
	assert_int_equal(events_steadily(b, 4 + 8, 100), 4 + 1); /* learnt anew behind it */
	bench_free(b);
}

static void test_msix_adaptive_switched_by_register(void **state)
{
	(void)state;
	struct bench *b = BENCH(VECTORS, "msix.holdoff_ns=1000");
	program_all(b);
	assert_int_equal(events_steadily(b, 2, 500), 1);
	run(b, b->now_ps + 10000 * NS);
	csr_write(b, CSR_MSIX_ADAPTIVE, 1);
	assert_int_equal(events_steadily(b, 2, 600), 2);
	run(b, b->now_ps + 10000 * NS);
	csr_write(b, CSR_MSIX_ADAPTIVE, 0);
	assert_int_equal(events_steadily(b, 2, 500), 1);
	bench_free(b);
}

/* Whatever comes: each event has a message behind it, the longest hold-off later at most. */
static void test_msix_adaptive_random_traffic_bounded_wait(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(78), 0);
	for (unsigned i = 0; i < 40; i++) {
		uint32_t longest_ns = 1u << rng_below(&rng, 15);
		struct bench *b = adaptive_bench(longest_ns, (unsigned)rng_below(&rng, 20));
		uint64_t owed_ps[VECTORS] = {0}; /* since then */
		unsigned seen = 0;
		for (unsigned n = 0; n < 1000; n++) {
			unsigned vector = (unsigned)rng_below(&rng, VECTORS);
			run(b, b->now_ps + rng_below(&rng, 1u << rng_below(&rng, 16)) * NS);
			for (; seen < b->count; seen++)
				owed_ps[(b->message[seen].data - data_of(0)) / 3] = 0;
			for (unsigned v = 0; v < VECTORS; v++)
				assert_true(owed_ps[v] == 0 ||
					    b->now_ps < owed_ps[v] + longest_ns * NS + 2 * A_WHILE);
			if (owed_ps[vector] == 0)
				owed_ps[vector] = b->now_ps;
			event(b, b->now_ps, vector, true);
		}
		run(b, b->now_ps + 1000000 * NS);
		assert_int_equal(b->msix->stats.events, 1000);
		assert_int_equal(b->msix->stats.sent + b->msix->stats.coalesced, 1000);
		assert_int_equal(msix_waiting(b->msix), 0);
		bench_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_msix_adaptive_rare_events_sent_at_once),
		cmocka_unit_test(test_msix_adaptive_frequent_events_share_messages),
		cmocka_unit_test(test_msix_adaptive_without_threshold_holds_for_the_longest),
		cmocka_unit_test(test_msix_adaptive_broken_burst_waits_as_long_as_a_batch_takes),
		cmocka_unit_test(test_msix_adaptive_follows_a_change_of_pace),
		cmocka_unit_test(test_msix_adaptive_closed_loop_of_one_is_seldom_held),
		cmocka_unit_test(test_msix_adaptive_vectors_have_their_own_pace),
		cmocka_unit_test(test_msix_adaptive_unmoderated_events_do_not_count),
		cmocka_unit_test(test_msix_adaptive_function_reset_forgets_virtio_reset_does_not),
		cmocka_unit_test(test_msix_adaptive_wrap_of_time),
		cmocka_unit_test(test_msix_adaptive_switched_by_register),
		cmocka_unit_test(test_msix_adaptive_random_traffic_bounded_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
