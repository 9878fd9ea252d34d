/* Timing of one link direction and the questions it answers. Ordering and credits are in link_flow_test.c,
 * replays in link_fault_test.c, bandwidth in link_bandwidth_test.c, random traffic in link_random_test.c. */
#include "tests/unit/pcie/link_fixture.h"

/* ---- Serialisation ---- */

/* 280 bytes: framing 8, 4DW header 16, payload 256. Worked from the byte time of one lane (4, 2, 65/64, 65/128,
 * 65/256 ns) times 280 times 1538/1534 over the lanes, rounded up; for instance generation 3 x4:
 * 1015.625 * 280 / 4 = 71093.75; * 1538 / 1534 = 71279.13; 71280 ps. */
static const uint64_t ps_of_280_bytes[5][5] = {
	{1122921, 561461, 280731, 140366, 70183}, {561461, 280731, 140366, 70183, 35092},
	{285117, 142559, 71280, 35640, 17820},    {142559, 71280, 35640, 17820, 8910},
	{71280, 35640, 17820, 8910, 4455},
};

static void test_link_tlp_takes_hand_computed_time(void **state)
{
	(void)state;
	struct wire write;
	static uint8_t payload[256];
	struct tlp tlp = {.type = TLP_MWR,
			  .addr64 = true,
			  .addr = UINT64_C(1) << 40,
			  .length_dw = 64,
			  .first_be = 0xf,
			  .last_be = 0xf,
			  .payload = payload};
	write.size = tlp_encode(&tlp, write.bytes, sizeof(write.bytes));
	assert_int_equal(write.size, 272);
	for (unsigned generation = 1; generation <= 5; generation++) {
		for (unsigned log2_lanes = 0; log2_lanes <= 4; log2_lanes++) {
			struct link_config config = plain_config(generation, 1u << log2_lanes);
			struct pair p = make_pair(&config, &infinite_credits, NULL);
			push(p.a, 5000, &write);
			uint64_t arrive_ps = 5000 + ps_of_280_bytes[generation - 1][log2_lanes] + 70000;
			assert_int_equal(pop_arrival(p.a, arrive_ps - 1), TIME_NEVER_PS);
			assert_int_equal(pop_arrival(p.a, arrive_ps), arrive_ps);
			free_pair(p);
		}
	}
}

static void test_link_headers_and_framing_are_charged(void **state)
{
	(void)state;
	static const struct {
		enum tlp_type type;
		bool addr64, td;
		unsigned payload_bytes, wire_bytes;
	} cases[] = {
		{TLP_MRD, false, false, 0, 12 + 8},         {TLP_MRD, true, false, 0, 16 + 8},
		{TLP_MWR, false, false, 4, 12 + 4 + 8},     {TLP_MWR, true, false, 4, 16 + 4 + 8},
		{TLP_MWR, true, true, 64, 16 + 64 + 4 + 8}, {TLP_CPLD, false, false, 64, 12 + 64 + 8},
		{TLP_CPL, false, false, 0, 12 + 8},         {TLP_MSG, false, false, 0, 16 + 8},
	};
	static uint8_t payload[64];
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tlp tlp = {.type = cases[i].type,
				  .addr64 = cases[i].addr64,
				  .td = cases[i].td,
				  .length_dw = (uint16_t)(cases[i].payload_bytes / 4),
				  .payload = payload};
		struct wire wire;
		wire.size = tlp_encode(&tlp, wire.bytes, sizeof(wire.bytes));
		struct link_config config = plain_config(1, 1);
		struct pair p = make_pair(&config, &infinite_credits, NULL);
		push(p.a, 0, &wire);
		assert_int_equal(pop_arrival(p.a, PS_PER_S), lanes_ps(1, 1, cases[i].wire_bytes) + 70000);
		const struct link_stats *stats = link_stats(p.a, PS_PER_S);
		assert_int_equal(stats->wire_bytes, cases[i].wire_bytes);
		assert_int_equal(stats->tlp_bytes, wire.size);
		assert_int_equal(stats->payload_bytes, cases[i].payload_bytes);
		assert_int_equal(stats->tlps[cases[i].type], 1);
		assert_int_equal(stats->busy_ps, lanes_ps(1, 1, cases[i].wire_bytes) - 1); /* rounded down */
		free_pair(p);
	}
}

/* What a TLP and a DLLP are made of on the wire besides themselves: PCIe 6.0 §3.6.1, §3.5.1; framing by §4.2.1, §4.2.2. */
static void test_link_sequence_number_lcrc_and_crc_are_on_the_wire(void **state)
{
	enum { SEQUENCE = 2, LCRC = 4, STP = 1, END = 1, STP_TOKEN = 4 /* the sequence number is in it */ };
	enum { DLLP = 4, CRC = 2, SDP = 1, SDP_TOKEN = 2 };
	(void)state;
	for (unsigned generation = 1; generation <= 5; generation++) {
		unsigned tlp = generation < 3 ? STP + SEQUENCE + LCRC + END : STP_TOKEN + LCRC;
		unsigned dllp = generation < 3 ? SDP + DLLP + CRC + END : SDP_TOKEN + DLLP + CRC;
		struct link_config config = plain_config(generation, 4);
		config.ack_interval = 1;
		struct pair p = make_pair(&config, &infinite_credits, NULL);
		struct wire write = make_tlp(TLP_MWR, 64, 0, 0), read = make_tlp(TLP_MRD, 0, 0, 0);
		push(p.a, 0, &write);
		/* Behind the Ack, which is sent as soon as the write is there. */
		uint64_t ack_ps = lanes_ps(generation, 4, write.size + tlp) + 70000;
		push(p.b, ack_ps, &read);
		assert_int_equal(pop_arrival(p.a, PS_PER_S), ack_ps);
		assert_int_equal(pop_arrival(p.b, PS_PER_S),
				 ack_ps + lanes_ps(generation, 4, dllp + read.size + tlp) + 70000);
		assert_int_equal(link_stats(p.a, PS_PER_S)->wire_bytes, write.size + tlp);
		assert_int_equal(link_stats(p.b, PS_PER_S)->dllp_bytes, dllp);
		free_pair(p);
	}
}

static void test_link_long_stream_does_not_drift(void **state)
{
	(void)state;
	struct link_config config = plain_config(5, 16);
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	struct wire read = make_tlp(TLP_MRD, 0, 0, 0);
	for (uint64_t i = 0; i < 200000; i++)
		push(p.a, 0, &read);
	for (uint64_t i = 1; i <= 200000; i++)
		assert_int_equal(pop_arrival(p.a, PS_PER_S), lanes_ps(5, 16, i * 20) + 70000);
	free_pair(p);
}

static void test_link_rate_takes_off_coding_and_skip_sets(void **state)
{
	(void)state;
	/* Bytes per second of one lane after line coding, as the published tables have it. */
	static const double lane_bytes_per_s[] = {0, 250e6, 500e6, 984.615e6, 1969.231e6, 3938.462e6};
	for (unsigned generation = 1; generation <= 5; generation++)
		for (unsigned lanes = 1; lanes <= 16; lanes *= 2) {
			struct link_config config = plain_config(generation, lanes);
			struct link_rate rate = link_rate_of(&config);
			double got = (double)rate.num / (double)rate.den * 1e12;
			double expected = lane_bytes_per_s[generation] * lanes * (1 - 4.0 / 1538);
			assert_true(got > expected * 0.999999 && got < expected * 1.000001);
		}
}

/* ---- When a TLP starts ---- */

static void test_link_idle_lanes_start_when_ready(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 4);
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	struct wire read = make_tlp(TLP_MRD, 0, 0, 0);
	uint64_t one_ps = lanes_ps(3, 4, 20), two_ps = lanes_ps(3, 4, 40);
	push(p.a, 1000000, &read);
	push(p.a, 1000000, &read); /* back to back */
	push(p.a, 9000000, &read); /* after a gap */
	assert_int_equal(pop_arrival(p.a, 20000000), 1000000 + one_ps + 70000);
	assert_int_equal(pop_arrival(p.a, 20000000), 1000000 + two_ps + 70000);
	assert_int_equal(pop_arrival(p.a, 20000000), 9000000 + one_ps + 70000);
	assert_int_equal(pop_arrival(p.a, 20000000), TIME_NEVER_PS);
	free_pair(p);
}

static void test_link_pushed_later_but_ready_earlier_goes_first(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 4);
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	struct wire completion = make_tlp(TLP_CPLD, 64, 0, 1), write = make_tlp(TLP_MWR, 64, 0, 2);
	struct link_rx rx;
	push(p.a, 5000000, &completion);
	assert_false(link_pop(p.a, 1000000, &rx)); /* asking decides nothing that starts later */
	push(p.a, 4000000, &write);
	assert_true(link_pop(p.a, 9000000, &rx));
	assert_int_equal(tlp_wire_class(rx.wire), TLP_POSTED);
	assert_int_equal(rx.arrive_ps, 4000000 + lanes_ps(3, 4, 12 + 64 + 8) + 70000);
	assert_true(link_pop(p.a, 9000000, &rx));
	assert_int_equal(tlp_wire_class(rx.wire), TLP_COMPLETION);
	free_pair(p);
}

static void test_link_completions_sort_by_ready_time_and_stay_in_order_when_equal(void **state)
{
	(void)state;
	static const uint64_t ready_ps[] = {500, 300, 500, 100, 300, 900, 100};
	static const unsigned expected[] = {3, 6, 1, 4, 0, 2, 5};
	struct link_config config = plain_config(5, 16);
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	/* The lanes are kept busy, so that all are there to choose from. */
	struct wire blocker = make_tlp(TLP_CPLD, 4096, 0, 99);
	push(p.a, 0, &blocker);
	for (unsigned i = 0; i < ARRAY_SIZE(ready_ps); i++) {
		struct wire completion = make_tlp(TLP_CPL, 0, 0, i);
		push(p.a, ready_ps[i], &completion);
	}
	struct link_rx rx;
	assert_true(link_pop(p.a, PS_PER_S, &rx));
	for (unsigned i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_true(link_pop(p.a, PS_PER_S, &rx));
		assert_int_equal(load_be32(rx.wire + 4) >> 16, expected[i]);
	}
	free_pair(p);
}

static void test_link_posted_are_sent_in_push_order_whatever_their_ready_times(void **state)
{
	(void)state;
	static const uint64_t ready_ps[] = {9000000, 100, 5000000, 12000000, 0};
	static const uint64_t start_ps[] = {9000000, 9000000, 9000000, 12000000, 12000000};
	static const unsigned bytes_ahead[] = {0, 24, 48, 0, 24};
	struct link_config config = plain_config(4, 8);
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(ready_ps); i++) {
		struct wire write = make_tlp(TLP_MWR, 4, i % 2 ? TLP_ATTR_RELAXED : 0, i);
		push(p.a, ready_ps[i], &write);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(ready_ps); i++) {
		struct link_rx rx;
		assert_true(link_pop(p.a, PS_PER_S, &rx));
		assert_int_equal(load_be32(rx.wire + 4) >> 16, i);
		assert_int_equal(rx.arrive_ps, start_ps[i] + lanes_ps(4, 8, bytes_ahead[i] + 24) + 70000);
	}
	free_pair(p);
}

struct wakes {
	uint64_t at_ps;
	unsigned count;
};

static void on_wake(void *ctx, uint64_t at_ps)
{
	struct wakes *w = (struct wakes *)ctx;
	w->at_ps = at_ps;
	w->count++;
}

/* ---- Questions ---- */

static void test_link_lazy_arrivals_wake_nobody(void **state)
{
	(void)state;
	struct wakes wakes = {0};
	struct link_receiver receiver = {&wakes, on_wake, posted_is_lazy};
	struct link_config config = plain_config(3, 8);
	struct pair p = make_pair(&config, &infinite_credits, &receiver);
	struct wire write = make_tlp(TLP_MWR, 128, 0, 0);
	for (int i = 0; i < 10; i++)
		push(p.a, 1000, &write);
	assert_int_equal(wakes.count, 0);
	assert_int_equal(link_next_ps(p.a, 1000), TIME_NEVER_PS);
	assert_int_equal(count_pops(p.a, PS_PER_US), 10);
	free_pair(p);
}

/* A read behind a burst of writes: one wake, at the moment of its arrival. */
static void test_link_urgent_tlp_wakes_once_when_it_arrives(void **state)
{
	(void)state;
	struct wakes wakes = {0};
	struct link_receiver receiver = {&wakes, on_wake, posted_is_lazy};
	struct link_config config = plain_config(3, 8);
	struct pair p = make_pair(&config, &infinite_credits, &receiver);
	struct wire write = make_tlp(TLP_MWR, 256, 0, 0), read = make_tlp(TLP_MRD, 0, 0, 0);
	for (int i = 0; i < 16; i++)
		push(p.a, 1000, &write);
	push(p.a, 1000, &read);
	push(p.a, 1000, &read);
	uint64_t arrive_ps = 1000 + lanes_ps(3, 8, 16 * 276 + 20) + 70000;
	assert_int_equal(wakes.count, 1);
	assert_int_equal(wakes.at_ps, arrive_ps);
	assert_int_equal(link_next_ps(p.a, 1000), arrive_ps);
	assert_int_equal(link_next_ps(p.a, 300000), arrive_ps); /* half of it decided */
	assert_int_equal(count_pops(p.a, arrive_ps - 1), 16);
	assert_int_equal(count_pops(p.a, arrive_ps), 1);
	uint64_t second_ps = 1000 + lanes_ps(3, 8, 16 * 276 + 40) + 70000;
	assert_int_equal(link_next_ps(p.a, arrive_ps), second_ps);
	assert_int_equal(count_pops(p.a, second_ps), 1);
	assert_int_equal(wakes.count, 1);
	free_pair(p);
}

static void test_link_wakes_again_only_for_an_earlier_arrival(void **state)
{
	(void)state;
	struct wakes wakes = {0};
	struct link_receiver receiver = {&wakes, on_wake, NULL};
	struct link_config config = plain_config(3, 8);
	struct pair p = make_pair(&config, &infinite_credits, &receiver);
	struct wire completion = make_tlp(TLP_CPL, 0, 0, 0);
	push(p.a, 5000000, &completion);
	push(p.a, 6000000, &completion);
	assert_int_equal(wakes.count, 1);
	push(p.a, 3000000, &completion);
	assert_int_equal(wakes.count, 2);
	assert_int_equal(wakes.at_ps, 3000000 + lanes_ps(3, 8, 20) + 70000);
	free_pair(p);
}

/* However long credits are away, each answer is later than the last, and few are needed. */
static void test_link_next_makes_progress_without_credits(void **state)
{
	(void)state;
	static const struct {
		uint64_t hold_ps;
		unsigned answers_max;
	} cases[] = {{0, 4}, {100 * PS_PER_US, 4}};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct link_config config = plain_config(3, 8);
		config.fc_latency_ps = 300000;
		struct link_credits credits = {{0, 1, 0}, {0, 0, 0}};
		struct pair p = make_pair(&config, &credits, NULL);
		struct wire read = make_tlp(TLP_MRD, 0, 0, 0);
		link_hold_credits(p.a, 0, cases[i].hold_ps);
		push(p.a, 0, &read);
		push(p.a, 0, &read);
		unsigned answers = 0, arrived = 0;
		for (uint64_t now_ps = 0; arrived < 2; answers++) {
			uint64_t next_ps = link_next_ps(p.a, now_ps);
			assert_true(next_ps > now_ps && next_ps != TIME_NEVER_PS);
			now_ps = next_ps;
			struct link_rx rx;
			while (link_pop(p.a, now_ps, &rx)) {
				assert_int_equal(rx.arrive_ps, now_ps); /* never woken late */
				arrived++;
			}
		}
		assert_in_range(answers, 2, cases[i].answers_max);
		assert_int_equal(link_next_ps(p.a, PS_PER_S), TIME_NEVER_PS);
		free_pair(p);
	}
}

static void test_link_credits_held_for_ever_are_nothing_to_wait_for(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 8);
	struct link_credits credits = {{1, 0, 0}, {0, 0, 0}};
	struct pair p = make_pair(&config, &credits, NULL);
	struct wire write = make_tlp(TLP_MWR, 4, 0, 0);
	link_hold_credits(p.a, 0, TIME_NEVER_PS);
	push(p.a, 0, &write);
	push(p.a, 0, &write);
	assert_int_equal(count_pops(p.a, PS_PER_US), 1);
	assert_int_equal(link_next_ps(p.a, PS_PER_US), TIME_NEVER_PS);
	assert_int_equal(link_drain_ps(p.a, PS_PER_US, 0), TIME_NEVER_PS);
	assert_int_equal(link_stats(p.a, PS_PER_US)->stall_credit_ps[TLP_POSTED],
			 PS_PER_US - lanes_ps(3, 8, 24) + 1);
	assert_int_equal(count_pops(p.a, PS_PER_S), 0);
	free_pair(p);
}

static void test_link_backlog_and_drain_time_follow_the_lanes(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 8);
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	struct wire write = make_tlp(TLP_MWR, 256, 0, 0);
	for (int i = 0; i < 10; i++)
		push(p.a, 1000, &write);
	assert_int_equal(link_backlog_bytes(p.a, 999), 2760);
	assert_int_equal(link_backlog_bytes(p.a, 1000), 9 * 276); /* the first has started */
	for (uint64_t bytes = 0; bytes <= 9 * 276; bytes += 92) {
		uint64_t at_ps = link_drain_ps(p.a, 1000, bytes);
		/* In time for the TLP whose start leaves no more than `bytes`, at most one TLP after it. */
		uint64_t tlps_left = bytes / 276;
		uint64_t start_ps = 1000 + lanes_ps(3, 8, (9 - tlps_left) * 276);
		if (tlps_left == 9)
			assert_int_equal(at_ps, 1000);
		else
			assert_in_range(at_ps, start_ps, start_ps + lanes_ps(3, 8, 276));
	}
	uint64_t at_ps = link_drain_ps(p.a, 1000, 600);
	assert_true(link_backlog_bytes(p.a, at_ps) <= 600);
	free_pair(p);
}

static void test_link_drain_time_makes_progress_without_credits(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 8);
	config.fc_latency_ps = 200000;
	struct link_credits credits = {{1, 0, 0}, {0, 0, 0}};
	struct pair p = make_pair(&config, &credits, NULL);
	struct wire write = make_tlp(TLP_MWR, 256, 0, 0);
	for (int i = 0; i < 10; i++)
		push(p.a, 0, &write);
	unsigned asked = 0;
	uint64_t now_ps = 0;
	for (; link_backlog_bytes(p.a, now_ps) != 0; asked++) {
		uint64_t next_ps = link_drain_ps(p.a, now_ps, 0);
		assert_true(next_ps > now_ps);
		now_ps = next_ps;
	}
	assert_in_range(asked, 2, 60);
	free_pair(p);
}

static void test_link_busy_time_ends_now_while_a_tlp_is_on_the_lanes(void **state)
{
	(void)state;
	struct link_config config = plain_config(1, 1);
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	struct wire write = make_tlp(TLP_MWR, 256, 0, 0);
	push(p.a, 1000, &write);
	push(p.a, 1000, &write);
	uint64_t through_ps = lanes_ps(1, 1, 2 * 276) - 1; /* rounded down */
	for (uint64_t ps = 0; ps <= 2 * through_ps; ps += 1000)
		assert_int_equal(link_stats(p.a, 1000 + ps)->busy_ps, min_u64(ps, through_ps));
	free_pair(p);
}

static void test_link_reserved_push_equals_copied_push(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 8);
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	struct wire write = make_tlp(TLP_MWR, 64, 0, 42);
	memcpy(link_reserve(p.a, TLP_WIRE_BYTES_MAX), write.bytes, write.size);
	link_push_reserved(p.a, 1000, write.size);
	struct link_rx rx;
	assert_true(link_pop(p.a, PS_PER_S, &rx));
	assert_int_equal(rx.size, write.size);
	assert_memory_equal(rx.wire, write.bytes, write.size);
	assert_int_equal(rx.arrive_ps, 1000 + lanes_ps(3, 8, 84) + 70000);
	free_pair(p);
}

static void test_link_carries_any_bytes_unchanged(void **state)
{
	(void)state;
	struct rng r;
	rng_seed(&r, test_seed(1), 0);
	struct link_config config = plain_config(3, 8);
	struct link_credits credits = {{4, 4, 4}, {16, 4, 16}};
	struct pair p = make_pair(&config, &credits, NULL);
	static uint8_t bytes[4096][48];
	static size_t sizes[4096];
	static bool seen[4096];
	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < 4096; i++) {
		sizes[i] = 8 + rng_below(&r, 41); /* unlike any length the header claims */
		for (size_t k = 0; k < sizes[i]; k++)
			bytes[i][k] = (uint8_t)rng_u64(&r);
		bytes[i][0] = (uint8_t)i; /* every first byte, most of them undefined */
		store_le16(&bytes[i][6], (uint16_t)i);
		link_push(p.a, rng_below(&r, PS_PER_US), bytes[i], sizes[i]);
	}
	struct link_rx rx;
	for (unsigned n = 0; n < 4096; n++) {
		assert_true(link_pop(p.a, PS_PER_S, &rx));
		unsigned i = load_le16(rx.wire + 6);
		assert_true(i < 4096 && !seen[i]);
		seen[i] = true;
		assert_int_equal(rx.size, sizes[i]);
		assert_memory_equal(rx.wire, bytes[i], sizes[i]);
	}
	assert_false(link_pop(p.a, PS_PER_S, &rx));
	free_pair(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_link_tlp_takes_hand_computed_time, "PERF-001 PERF-002"),
		REQ_TEST(test_link_headers_and_framing_are_charged, "PERF-001 PERF-003"),
		REQ_TEST(test_link_sequence_number_lcrc_and_crc_are_on_the_wire, "DLL-001 PERF-001"),
		cmocka_unit_test(test_link_long_stream_does_not_drift),
		REQ_TEST(test_link_rate_takes_off_coding_and_skip_sets, "PERF-002"),
		cmocka_unit_test(test_link_idle_lanes_start_when_ready),
		cmocka_unit_test(test_link_pushed_later_but_ready_earlier_goes_first),
		cmocka_unit_test(test_link_completions_sort_by_ready_time_and_stay_in_order_when_equal),
		REQ_TEST(test_link_posted_are_sent_in_push_order_whatever_their_ready_times, "ORD-001"),
		cmocka_unit_test(test_link_lazy_arrivals_wake_nobody),
		cmocka_unit_test(test_link_urgent_tlp_wakes_once_when_it_arrives),
		cmocka_unit_test(test_link_wakes_again_only_for_an_earlier_arrival),
		cmocka_unit_test(test_link_next_makes_progress_without_credits),
		cmocka_unit_test(test_link_credits_held_for_ever_are_nothing_to_wait_for),
		cmocka_unit_test(test_link_backlog_and_drain_time_follow_the_lanes),
		cmocka_unit_test(test_link_drain_time_makes_progress_without_credits),
		cmocka_unit_test(test_link_busy_time_ends_now_while_a_tlp_is_on_the_lanes),
		cmocka_unit_test(test_link_reserved_push_equals_copied_push),
		cmocka_unit_test(test_link_carries_any_bytes_unchanged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
