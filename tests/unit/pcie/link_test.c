/* Timing, credits, ordering, replays and questions of one link, case by case. Bandwidth is in
 * link_bandwidth_test.c, random traffic in link_random_test.c. */
#include "tests/unit/pcie/link_fixture.h"

static unsigned data_units(unsigned payload_bytes)
{
	return (payload_bytes + 15) / 16;
}

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

/* ---- Ordering ---- */

enum must { NO, YES, EITHER };

struct kind {
	enum tlp_type type;
	unsigned payload_bytes, attr, id;
};

#define READ                                                                                                 \
	{                                                                                                    \
		TLP_MRD, 0, 0, 1                                                                             \
	}
#define IO_WRITE                                                                                             \
	{                                                                                                    \
		TLP_IOWR, 4, 0, 1                                                                            \
	}
#define SWAP                                                                                                 \
	{                                                                                                    \
		TLP_CAS, 32, 0, 1                                                                            \
	} /* non-posted with two data units */
#define SMALL 16, 0, 1
#define WRITE                                                                                                \
	{                                                                                                    \
		TLP_MWR, 32, 0, 1                                                                            \
	}
#define COMPLETED                                                                                            \
	{                                                                                                    \
		TLP_CPLD, 32, 0, 1                                                                           \
	}

/* The table of PCIe 6.0 §2.4.1: may `later` pass `earlier`, which waits for credits? `earlier` lacks one data
 * credit where it has data, so that a smaller one of its own class could go. */
static const struct {
	struct kind later, earlier;
	enum must must;
	bool passes; /* what this link does where the table leaves it open */
} ordering[] = {
	{{TLP_MWR, SMALL}, WRITE, NO, false},
	{{TLP_MWR, SMALL}, READ, YES, true},
	{{TLP_MWR, SMALL}, SWAP, YES, true},
	{{TLP_MWR, SMALL}, COMPLETED, EITHER, true},
	{{TLP_MSG, 0, 0, 1}, WRITE, NO, false},
	{{TLP_MSG, 0, 0, 1}, READ, YES, true},
	{{TLP_MSG, 0, 0, 1}, SWAP, YES, true},
	{{TLP_MWR, 16, TLP_ATTR_RELAXED, 1}, WRITE, EITHER, false},
	{READ, WRITE, NO, false},
	{READ, READ, EITHER, false},
	{READ, SWAP, EITHER, false},
	{READ, COMPLETED, EITHER, true},
	{{TLP_MRD, 0, TLP_ATTR_RELAXED, 1}, WRITE, NO, false},
	{IO_WRITE, WRITE, NO, false},
	{IO_WRITE, READ, EITHER, false},
	{IO_WRITE, SWAP, EITHER, false},
	{IO_WRITE, COMPLETED, EITHER, true},
	{{TLP_CPLD, SMALL}, WRITE, NO, false},
	{{TLP_CPLD, SMALL}, READ, YES, true},
	{{TLP_CPLD, SMALL}, SWAP, YES, true},
	{{TLP_CPLD, SMALL}, COMPLETED, NO, false}, /* one transaction */
	{{TLP_CPLD, 16, TLP_ATTR_RELAXED, 1}, WRITE, EITHER, true},
	{{TLP_CPLD, 16, TLP_ATTR_IDO, 1}, WRITE, NO, false},
	{{TLP_CPLD, 16, TLP_ATTR_IDO, 2}, WRITE, EITHER, true},
};

/* A first TLP like `earlier` takes credits away until the receiver returns them at 50 µs; then the two come, well
 * apart. */
static bool passes(struct kind later, struct kind earlier)
{
	struct wire first = make_tlp(earlier.type, earlier.payload_bytes ? 16 : 0, 0, 1);
	struct wire one = make_tlp(earlier.type, earlier.payload_bytes, earlier.attr, earlier.id);
	struct wire two = make_tlp(later.type, later.payload_bytes, later.attr, later.id);
	enum tlp_class class_ = tlp_class_of(earlier.type);
	struct link_credits credits = infinite_credits;
	if (earlier.payload_bytes != 0)
		credits.data[class_] = 1 + data_units(earlier.payload_bytes) - 1;
	else
		credits.header[class_] = 1;

	struct link_config config = plain_config(3, 8);
	struct pair p = make_pair(&config, &credits, NULL);
	link_hold_credits(p.a, 0, 50 * PS_PER_US);
	push(p.a, 0, &first);
	push(p.a, 1 * PS_PER_US, &one);
	push(p.a, 2 * PS_PER_US, &two);
	assert_true(pop_arrival(p.a, 49 * PS_PER_US) < 1 * PS_PER_US);
	struct link_rx rx;
	bool passed = link_pop(p.a, 49 * PS_PER_US, &rx);
	if (passed) {
		assert_int_equal(rx.size, two.size);
		assert_memory_equal(rx.wire, two.bytes, two.size);
	}
	/* Then all come, in order. */
	assert_true(link_pop(p.a, 99 * PS_PER_US, &rx));
	assert_int_equal(rx.size, one.size);
	assert_memory_equal(rx.wire, one.bytes, one.size);
	assert_int_equal(count_pops(p.a, 99 * PS_PER_US), passed ? 0 : 1);
	free_pair(p);
	return passed;
}

static void test_link_blocked_tlp_is_passed_as_the_ordering_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ordering); i++) {
		bool passed = passes(ordering[i].later, ordering[i].earlier);
		if (passed != ordering[i].passes)
			fail_msg("row %zu: %s %s %s", i, tlp_type_name(ordering[i].later.type),
				 passed ? "passed" : "did not pass", tlp_type_name(ordering[i].earlier.type));
		assert_true(ordering[i].must == EITHER || passed == (ordering[i].must == YES));
	}
}

static void test_link_read_waits_for_write_pushed_before_it_even_if_ready_later(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 8);
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	struct wire write = make_tlp(TLP_MWR, 4, 0, 1), read = make_tlp(TLP_MRD, 0, 0, 1);
	struct link_rx rx;
	push(p.a, 8000000, &write);
	push(p.a, 1000000, &read);
	assert_true(link_pop(p.a, PS_PER_S, &rx));
	assert_int_equal(tlp_wire_class(rx.wire), TLP_POSTED);
	assert_true(link_pop(p.a, PS_PER_S, &rx));
	assert_int_equal(rx.arrive_ps, 8000000 + lanes_ps(3, 8, 24 + 20) + 70000);
	free_pair(p);
}

static void test_link_completion_waits_only_for_writes_ready_before_it(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 8);
	struct wire write = make_tlp(TLP_MWR, 4, 0, 1), completion = make_tlp(TLP_CPL, 0, 0, 1);
	static const struct {
		uint64_t write_ready_ps, completion_ready_ps;
		enum tlp_class first;
	} cases[] = {
		{8000000, 7999999, TLP_COMPLETION},
		{8000000, 8000000, TLP_POSTED}, /* equal: push order */
		{8000000, 8000001, TLP_POSTED},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pair p = make_pair(&config, &infinite_credits, NULL);
		struct link_rx rx;
		push(p.a, cases[i].write_ready_ps, &write);
		push(p.a, cases[i].completion_ready_ps, &completion);
		assert_true(link_pop(p.a, PS_PER_S, &rx));
		assert_int_equal(tlp_wire_class(rx.wire), cases[i].first);
		free_pair(p);
	}
}

static void test_link_completion_pushed_before_an_equally_ready_blocked_write_goes(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 8);
	struct link_credits credits = {{1, 0, 0}, {0, 0, 0}};
	struct wire write = make_tlp(TLP_MWR, 4, 0, 1), completion = make_tlp(TLP_CPL, 0, 0, 1);
	struct pair p = make_pair(&config, &credits, NULL);
	link_hold_credits(p.a, 0, TIME_NEVER_PS);
	push(p.a, 0, &write);
	push(p.a, 1000000, &completion);
	push(p.a, 1000000, &write);
	push(p.a, 1000000, &completion);
	assert_int_equal(count_pops(p.a, PS_PER_S), 2);
	free_pair(p);
}

/* ---- Credits ---- */

/* Credits each type takes besides one header (PCIe 6.0 §2.6.1), by hand. */
static const struct {
	enum tlp_type type;
	unsigned payload_bytes;
	enum tlp_class class_;
	unsigned data;
} consumption[] = {
	{TLP_MRD, 0, TLP_NON_POSTED, 0},      {TLP_MRDLK, 0, TLP_NON_POSTED, 0},
	{TLP_IORD, 0, TLP_NON_POSTED, 0},     {TLP_CFGRD0, 0, TLP_NON_POSTED, 0},
	{TLP_CFGRD1, 0, TLP_NON_POSTED, 0},   {TLP_IOWR, 4, TLP_NON_POSTED, 1},
	{TLP_CFGWR0, 4, TLP_NON_POSTED, 1},   {TLP_CFGWR1, 4, TLP_NON_POSTED, 1},
	{TLP_FETCHADD, 4, TLP_NON_POSTED, 1}, {TLP_FETCHADD, 8, TLP_NON_POSTED, 1},
	{TLP_SWAP, 8, TLP_NON_POSTED, 1},     {TLP_CAS, 16, TLP_NON_POSTED, 1},
	{TLP_CAS, 32, TLP_NON_POSTED, 2},     {TLP_MWR, 4, TLP_POSTED, 1},
	{TLP_MWR, 16, TLP_POSTED, 1},         {TLP_MWR, 20, TLP_POSTED, 2},
	{TLP_MWR, 32, TLP_POSTED, 2},         {TLP_MWR, 36, TLP_POSTED, 3},
	{TLP_MWR, 128, TLP_POSTED, 8},        {TLP_MWR, 4096, TLP_POSTED, 256},
	{TLP_MSG, 0, TLP_POSTED, 0},          {TLP_MSGD, 4, TLP_POSTED, 1},
	{TLP_CPL, 0, TLP_COMPLETION, 0},      {TLP_CPLLK, 0, TLP_COMPLETION, 0},
	{TLP_CPLD, 4, TLP_COMPLETION, 1},     {TLP_CPLD, 64, TLP_COMPLETION, 4},
	{TLP_CPLD, 68, TLP_COMPLETION, 5},    {TLP_CPLDLK, 4, TLP_COMPLETION, 1},
};

/* How many of `wire` arrive when no credit is ever returned. */
static unsigned arrivals_with(const struct wire *wire, const struct link_credits *credits)
{
	struct link_config config = plain_config(4, 16);
	struct pair p = make_pair(&config, credits, NULL);
	link_hold_credits(p.a, 0, TIME_NEVER_PS);
	for (int i = 0; i < 5; i++)
		push(p.a, 0, wire);
	unsigned n = count_pops(p.a, PS_PER_S);
	free_pair(p);
	return n;
}

static void test_link_tlp_takes_the_credits_of_its_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(consumption); i++) {
		struct wire wire = make_tlp(consumption[i].type, consumption[i].payload_bytes, 0, 0);
		enum tlp_class own = consumption[i].class_;
		unsigned data = consumption[i].data;

		/* One header each. */
		struct link_credits credits = infinite_credits;
		credits.header[own] = 3;
		assert_int_equal(arrivals_with(&wire, &credits), 3);

		/* So many data units each, and a TLP goes whole or not at all. */
		credits = infinite_credits;
		credits.data[own] = data ? 3 * data : 1;
		assert_int_equal(arrivals_with(&wire, &credits), data ? 3 : 5);
		if (data > 1) {
			credits.data[own] = 3 * data - 1;
			assert_int_equal(arrivals_with(&wire, &credits), 2);
		}

		/* Nothing of the other classes. */
		credits = (struct link_credits){{1, 1, 1}, {1, 1, 1}};
		credits.header[own] = credits.data[own] = 0;
		assert_int_equal(arrivals_with(&wire, &credits), 5);
	}
}

static void test_link_digest_is_part_of_the_header_credit(void **state)
{
	(void)state;
	static uint8_t payload[16];
	struct tlp tlp = {.type = TLP_MWR, .td = true, .length_dw = 4, .payload = payload};
	struct wire wire;
	wire.size = tlp_encode(&tlp, wire.bytes, sizeof(wire.bytes));
	assert_int_equal(wire.size, 12 + 16 + 4);
	struct link_credits credits = {{5, 0, 0}, {3, 0, 0}};
	assert_int_equal(arrivals_with(&wire, &credits), 3);
}

static void test_link_zero_advertised_is_infinite(void **state)
{
	(void)state;
	struct link_config config = plain_config(5, 16);
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	static const struct kind kinds[] = {WRITE, READ, SWAP, COMPLETED};
	link_hold_credits(p.a, 0, TIME_NEVER_PS);
	for (unsigned i = 0; i < 5000; i++)
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
			struct wire wire = make_tlp(kinds[k].type, kinds[k].payload_bytes, 0, 1);
			push(p.a, 0, &wire);
		}
	assert_int_equal(count_pops(p.a, PS_PER_S), 20000);
	/* No UpdateFC for an infinite class. */
	assert_int_equal(link_stats(p.b, PS_PER_S)->dllps, 0);
	free_pair(p);
}

/* With one header credit the second TLP starts after: arrival, buffer freed, UpdateFC made, sent and come back. */
static void test_link_credit_comes_back_after_the_whole_loop(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 4);
	config.drain_ps = 11000;
	config.fc_latency_ps = 40000;
	struct link_credits credits = {{1, 0, 0}, {0, 0, 0}};
	struct wire write = make_tlp(TLP_MWR, 128, 0, 0);
	uint64_t tlp_ps = lanes_ps(3, 4, 12 + 128 + 8);
	uint64_t loop_ps = tlp_ps + 70000 + 11000 + 40000 + lanes_ps(3, 4, 8) + 70000;
	struct pair p = make_pair(&config, &credits, NULL);
	for (int i = 0; i < 4; i++)
		push(p.a, 1000, &write);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pop_arrival(p.a, PS_PER_S), 1000 + i * loop_ps + tlp_ps + 70000);
	/* Three times the lanes were idle and only the credit was missing; */
	const struct link_stats *stats = link_stats(p.a, PS_PER_S);
	assert_in_range(stats->stall_credit_ps[TLP_POSTED], 3 * (loop_ps - tlp_ps),
			3 * (loop_ps - tlp_ps) + 3);
	assert_int_equal(stats->stall_credit_ps[TLP_NON_POSTED], 0);
	/* four UpdateFCs went back on the other lanes. */
	assert_int_equal(link_stats(p.b, PS_PER_S)->dllps, 4);
	assert_int_equal(link_stats(p.b, PS_PER_S)->dllp_bytes, 32);
	free_pair(p);
}

static void test_link_updatefc_waits_for_a_tlp_on_the_reverse_lanes(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 4);
	struct link_credits credits = {{1, 0, 0}, {0, 0, 0}};
	struct wire write = make_tlp(TLP_MWR, 128, 0, 0), completion = make_tlp(TLP_CPLD, 4096, 0, 0);
	uint64_t tlp_ps = lanes_ps(3, 4, 12 + 128 + 8);
	struct pair p = make_pair(&config, &credits, NULL);
	push(p.a, 0, &write);
	push(p.a, 0, &write);
	/* Two completions that start just before the UpdateFC is due: it goes between them. */
	uint64_t start_ps = tlp_ps + 70000 - 10;
	push(p.b, start_ps, &completion);
	push(p.b, start_ps, &completion);
	uint64_t completion_bytes = 12 + 4096 + 8;
	uint64_t returned_ps = start_ps + lanes_ps(3, 4, completion_bytes + 8) + 70000;
	assert_int_equal(pop_arrival(p.a, PS_PER_S), tlp_ps + 70000);
	assert_int_equal(pop_arrival(p.a, PS_PER_S), returned_ps + tlp_ps + 70000);
	assert_int_equal(pop_arrival(p.b, PS_PER_S), start_ps + lanes_ps(3, 4, completion_bytes) + 70000);
	assert_int_equal(pop_arrival(p.b, PS_PER_S),
			 start_ps + lanes_ps(3, 4, 2 * completion_bytes + 8) + 70000);
	free_pair(p);
}

static void test_link_buffers_are_freed_whether_or_not_the_receiver_looks(void **state)
{
	(void)state;
	struct link_config config = plain_config(4, 4);
	struct link_credits credits = {{2, 2, 2}, {4, 2, 4}};
	struct pair p = make_pair(&config, &credits, NULL);
	static const struct kind kinds[] = {WRITE, READ, IO_WRITE, COMPLETED};
	for (unsigned i = 0; i < 100; i++)
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
			struct wire wire = make_tlp(kinds[k].type, kinds[k].payload_bytes, 0, 1);
			push(p.a, 0, &wire);
		}
	/* A malformed one, which every receiver drops. */
	static const uint8_t malformed[12] = {0x9f, 0, 0, 0};
	for (unsigned i = 0; i < 100; i++)
		link_push(p.a, 0, malformed, sizeof(malformed));
	assert_int_equal(link_stats(p.a, PS_PER_S)->wire_bytes,
			 100 * (12 + 32 + 8 + 20 + 12 + 4 + 8 + 12 + 32 + 8 + 20));
	assert_int_equal(count_pops(p.a, PS_PER_S), 500);
	free_pair(p);
}

/* Every advertisement from the smallest legal one, every interval: all arrive. */
static void test_link_minimum_credits_never_deadlock(void **state)
{
	(void)state;
	for (unsigned mps = 128; mps <= 4096; mps *= 2)
		for (unsigned more = 0; more < 20; more++)
			for (unsigned fc_interval = 1; fc_interval <= 9; fc_interval += 4) {
				struct link_config config = plain_config(4, 8);
				config.fc_interval = fc_interval;
				struct link_credits credits = {{1 + more / 4, 1 + more / 4, 1 + more / 4},
							       {mps / 16 + more, 1 + more, mps / 16 + more}};
				struct pair p = make_pair(&config, &credits, NULL);
				struct wire small = make_tlp(TLP_MWR, 64, 0, 0);
				struct wire wires[] = {
					make_tlp(TLP_MWR, mps, 0, 0), make_tlp(TLP_MRD, 0, 0, 0),
					make_tlp(TLP_CFGWR0, 4, 0, 0), make_tlp(TLP_CPLD, mps, 0, 0)};
				for (unsigned i = 0; i < 40; i++) {
					push(p.a, 0, &small);
					push(p.a, 0, &wires[i % 4]);
				}
				assert_int_equal(count_pops(p.a, PS_PER_S), 80);
				free_pair(p);
			}
}

static void test_link_throughput_is_bound_by_credits_per_round_trip(void **state)
{
	(void)state;
	static const struct link_credits cases[] = {{{4, 0, 0}, {0, 0, 0}},
						    {{0, 0, 0}, {64, 0, 0}},
						    {{4, 0, 0}, {1024, 0, 0}},
						    {{64, 0, 0}, {79, 0, 0}}};
	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		struct link_config config = plain_config(4, 8);
		config.propagation_ps = 500000;
		config.drain_ps = 20000;
		config.fc_latency_ps = 40000;
		struct pair p = make_pair(&config, &cases[c], NULL);
		struct wire write = make_tlp(TLP_MWR, 256, 0, 0);
		uint64_t round_trip_ps =
			lanes_ps(4, 8, 12 + 256 + 8) + 500000 + 20000 + 40000 + lanes_ps(4, 8, 8) + 500000;
		for (unsigned i = 0; i < 4001; i++)
			push(p.a, 0, &write);
		uint64_t first_ps = pop_arrival(p.a, PS_PER_S), last_ps = 0;
		for (unsigned i = 0; i < 4000; i++)
			last_ps = pop_arrival(p.a, PS_PER_S);
		/* Four TLPs in each round trip of a credit; each is rounded up by less than 3 ps. */
		assert_in_range(last_ps - first_ps, 1000 * round_trip_ps, 1000 * (round_trip_ps + 3));
		free_pair(p);
	}
}

static void test_link_held_credits_come_at_the_end_of_the_hold(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 8);
	config.fc_latency_ps = 40000;
	struct link_credits credits = {{2, 0, 0}, {0, 0, 0}};
	struct wire write = make_tlp(TLP_MWR, 4, 0, 0), read = make_tlp(TLP_MRD, 0, 0, 0);
	uint64_t tlp_ps = lanes_ps(3, 8, 24), dllp_ps = lanes_ps(3, 8, 8);
	struct pair p = make_pair(&config, &credits, NULL);
	push(p.a, 0, &write);
	/* The first UpdateFC has left by the time of the hold; the second is due in it. */
	uint64_t hold_ps = tlp_ps + 70000 + 40000;
	push(p.a, hold_ps - 10, &write);
	link_hold_credits(p.a, hold_ps, 9 * PS_PER_US);
	push(p.a, hold_ps, &write); /* takes the second credit until the first is back */
	push(p.a, hold_ps, &write);
	push(p.a, hold_ps, &read);
	assert_int_equal(count_pops(p.a, 8 * PS_PER_US), 3);
	assert_int_equal(pop_arrival(p.a, PS_PER_S), 9 * PS_PER_US + dllp_ps + 70000 + tlp_ps + 70000);
	assert_int_equal(count_pops(p.a, PS_PER_S), 1);
	free_pair(p);
}

static void test_link_tlp_larger_than_all_data_credits_takes_them_all(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 8);
	struct link_credits credits = {{0, 0, 0}, {8, 0, 0}};
	struct pair p = make_pair(&config, &credits, NULL);
	struct wire large = make_tlp(TLP_MWR, 256, 0, 0), small = make_tlp(TLP_MWR, 4, 0, 0);
	push(p.a, 0, &small);
	push(p.a, 0, &large);
	push(p.a, 0, &small);
	uint64_t first_ps = pop_arrival(p.a, PS_PER_S), second_ps = pop_arrival(p.a, PS_PER_S);
	assert_true(second_ps > first_ps + 140000); /* waited for the credit of the first, */
	assert_true(pop_arrival(p.a, PS_PER_S) > second_ps + 140000); /* and was waited for */
	free_pair(p);
}

static void test_link_dllps_are_counted_per_interval(void **state)
{
	(void)state;
	static const struct {
		unsigned ack_interval, fc_interval, tlps, dllps;
	} cases[] = {{1, 1, 100, 200}, {4, 5, 100, 25 + 20}, {7, 100, 99, 14}, {3, 1, 2, 2}};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct link_config config = plain_config(3, 8);
		config.ack_interval = cases[i].ack_interval;
		config.fc_interval = cases[i].fc_interval;
		struct link_credits credits = {{127, 0, 0}, {2047, 0, 0}};
		struct pair p = make_pair(&config, &credits, NULL);
		struct wire write = make_tlp(TLP_MWR, 64, 0, 0);
		for (unsigned k = 0; k < cases[i].tlps; k++)
			push(p.a, 0, &write);
		assert_int_equal(link_stats(p.b, PS_PER_S)->dllps, cases[i].dllps);
		assert_int_equal(link_stats(p.b, PS_PER_S)->dllp_bytes, 8 * cases[i].dllps);
		assert_int_equal(link_stats(p.a, PS_PER_S)->dllps, 0);
		free_pair(p);
	}
}

/* ---- Errors ---- */

/* A seed whose first transmissions fail and succeed as `bad` says, at one in two. */
static uint64_t seed_with(const bool *bad, unsigned n)
{
	for (uint64_t seed = 0;; seed++) {
		struct rng r;
		rng_seed(&r, seed, 0);
		unsigned i = 0;
		while (i < n && rng_chance_ppm(&r, 500000) == bad[i])
			i++;
		if (i == n)
			return seed;
	}
}

static void test_link_bad_lcrc_replays_it_and_all_sent_after_it(void **state)
{
	(void)state;
	/* Four are sent: good, bad, then two that the receiver drops whether good or bad; three again; the second of
	 * those is bad once more, and its successor dropped; two again. */
	static const bool bad[] = {false, true, false, true, false, true, false, false, false};
	struct link_config config = plain_config(3, 4);
	config.error_ppm = 500000;
	config.seed = seed_with(bad, ARRAY_SIZE(bad));
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	for (unsigned i = 0; i < 4; i++) {
		struct wire write = make_tlp(TLP_MWR, 256, 0, i);
		push(p.a, 0, &write);
	}
	/* The Nak leaves when the bad TLP has arrived; the sender answers it at once, its lanes being idle. */
	uint64_t nak_ps = 70000 + lanes_ps(3, 4, 8) + 70000;
	uint64_t first_nak_ps = lanes_ps(3, 4, 2 * 276) + nak_ps;
	uint64_t second_nak_ps = first_nak_ps + lanes_ps(3, 4, 2 * 276) + nak_ps;
	uint64_t expected_ps[] = {lanes_ps(3, 4, 276), first_nak_ps + lanes_ps(3, 4, 276),
				  second_nak_ps + lanes_ps(3, 4, 276),
				  second_nak_ps + lanes_ps(3, 4, 2 * 276)};
	for (unsigned i = 0; i < 4; i++) {
		struct link_rx rx;
		assert_true(link_pop(p.a, PS_PER_S, &rx));
		assert_int_equal(load_be32(rx.wire + 4) >> 16, i);
		assert_int_equal(rx.arrive_ps, expected_ps[i] + 70000);
	}
	assert_int_equal(count_pops(p.a, PS_PER_S), 0);
	const struct link_stats *stats = link_stats(p.a, PS_PER_S);
	assert_int_equal(stats->replays, 5);
	assert_int_equal(stats->wire_bytes, 9 * 276);
	assert_int_equal(stats->tlps[TLP_MWR], 4);
	assert_int_equal(stats->tlp_bytes, 4 * 268);
	assert_int_equal(link_stats(p.b, PS_PER_S)->dllps, 2); /* one Nak for each recovery */
	free_pair(p);
}

static void test_link_replay_goes_before_new_tlps_and_takes_no_new_credits(void **state)
{
	(void)state;
	static const bool bad[] = {true, false, false, false, false, false};
	struct link_config config = plain_config(3, 4);
	config.error_ppm = 500000;
	config.seed = seed_with(bad, ARRAY_SIZE(bad));
	struct link_credits credits = {{2, 0, 0}, {0, 0, 0}};
	struct pair p = make_pair(&config, &credits, NULL);
	struct wire write = make_tlp(TLP_MWR, 256, 0, 0),
		    completion = make_tlp(TLP_CPLD, 4, TLP_ATTR_RELAXED, 0);
	uint64_t nak_ps = lanes_ps(3, 4, 276) + 70000 + lanes_ps(3, 4, 8) + 70000;
	push(p.a, 0, &write);
	push(p.a, 0, &write);
	push(p.a, nak_ps - 1000, &completion); /* on the lanes when the Nak comes */
	push(p.a, nak_ps - 999, &completion);  /* behind the replay of all three */
	uint64_t again_ps = nak_ps - 1000 + lanes_ps(3, 4, 24);
	for (unsigned i = 1; i <= 2; i++)
		assert_in_range(pop_arrival(p.a, PS_PER_S) - 70000, again_ps + lanes_ps(3, 4, i * 276) - 1,
				again_ps + lanes_ps(3, 4, i * 276));
	for (unsigned i = 1; i <= 2; i++)
		assert_in_range(pop_arrival(p.a, PS_PER_S) - 70000,
				again_ps + lanes_ps(3, 4, 2 * 276 + i * 24) - 1,
				again_ps + lanes_ps(3, 4, 2 * 276 + i * 24));
	free_pair(p);
}

static void test_link_without_errors_never_replays(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 8);
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	struct wire write = make_tlp(TLP_MWR, 64, 0, 0);
	for (unsigned i = 0; i < 10000; i++)
		push(p.a, 0, &write);
	assert_int_equal(count_pops(p.a, PS_PER_S), 10000);
	assert_int_equal(link_stats(p.a, PS_PER_S)->replays, 0);
	free_pair(p);
}

static void test_link_error_rate_is_the_one_asked_for_and_shows_in_the_tail(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 8);
	config.error_ppm = 10000;
	config.seed = 7;
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	struct wire write = make_tlp(TLP_MWR, 64, 0, 0);
	uint64_t alone_ps = lanes_ps(3, 8, 84) + 70000, late = 0;
	for (uint64_t i = 0; i < 100000; i++) {
		push(p.a, i * PS_PER_US, &write);
		uint64_t took_ps = pop_arrival(p.a, i * PS_PER_US + 900000) - i * PS_PER_US;
		late += took_ps > alone_ps;
	}
	/* 1000 expected, standard deviation 31. */
	assert_in_range(late, 850, 1150);
	assert_in_range(link_stats(p.a, PS_PER_S)->replays, late, late + late / 10);
	free_pair(p);
}

/* ---- Receivers ---- */

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

static bool posted_is_lazy(void *ctx, const uint8_t *wire, size_t size)
{
	(void)ctx, (void)size;
	return tlp_wire_class(wire) != TLP_POSTED;
}

/* ---- Link down ---- */

static void test_link_down_loses_what_is_under_way_and_resets_credits(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 4);
	struct link_credits credits = {{2, 0, 0}, {0, 0, 0}};
	struct link_receiver receiver = {.urgent = posted_is_lazy};
	struct wire write = make_tlp(TLP_MWR, 128, 0, 0), read = make_tlp(TLP_MRD, 0, 0, 0);
	struct pair p = make_pair(&config, &credits, &receiver);
	link_hold_credits(p.a, 0, TIME_NEVER_PS);
	for (int i = 0; i < 4; i++)
		push(p.a, 0, &write);
	push(p.b, 0, &read);
	/* The first has arrived, the second is on its way, the others wait for credits. */
	uint64_t down_ps = lanes_ps(3, 4, 148) + 70000;
	push(p.b, down_ps - 10, &read);
	assert_int_equal(link_next_ps(p.a, down_ps), TIME_NEVER_PS);
	link_down(p.a, down_ps);
	assert_int_equal(link_backlog_bytes(p.a, down_ps), 0);
	assert_int_equal(count_pops(p.a, PS_PER_US), 1);
	assert_int_equal(count_pops(p.b, PS_PER_US), 1);
	assert_int_equal(link_next_ps(p.a, PS_PER_US), TIME_NEVER_PS);
	/* Credits are as at first, and the hold is over. */
	for (int i = 0; i < 4; i++)
		push(p.a, PS_PER_US, &write);
	assert_int_equal(pop_arrival(p.a, 2 * PS_PER_US), PS_PER_US + lanes_ps(3, 4, 148) + 70000);
	assert_int_equal(pop_arrival(p.a, 2 * PS_PER_US), PS_PER_US + lanes_ps(3, 4, 2 * 148) + 70000);
	assert_int_equal(count_pops(p.a, PS_PER_S), 2);
	free_pair(p);
}

static void test_link_down_forgets_tlps_not_acknowledged(void **state)
{
	(void)state;
	struct link_config config = plain_config(3, 4);
	config.ack_interval = 2;
	struct wire write = make_tlp(TLP_MWR, 128, 0, 0);
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	push(p.a, 0, &write);
	link_down(p.a, PS_PER_US);
	push(p.a, PS_PER_US, &write);
	assert_int_equal(link_stats(p.b, 2 * PS_PER_US)->dllps, 0);
	push(p.a, 2 * PS_PER_US, &write);
	assert_int_equal(link_stats(p.b, 3 * PS_PER_US)->dllps, 1);
	free_pair(p);
}

static void test_link_down_while_a_nak_is_due_starts_afresh(void **state)
{
	(void)state;
	static const bool bad[] = {true, false, false};
	struct link_config config = plain_config(3, 4);
	config.error_ppm = 500000;
	config.seed = seed_with(bad, ARRAY_SIZE(bad));
	struct wire write = make_tlp(TLP_MWR, 128, 0, 0);
	struct pair p = make_pair(&config, &infinite_credits, NULL);
	push(p.a, 0, &write);
	link_down(p.b, 1000);
	push(p.a, PS_PER_US, &write);
	assert_int_equal(pop_arrival(p.a, PS_PER_S), PS_PER_US + lanes_ps(3, 4, 148) + 70000);
	assert_int_equal(count_pops(p.a, PS_PER_S), 0);
	assert_int_equal(link_stats(p.a, PS_PER_S)->replays, 0);
	assert_int_equal(link_stats(p.b, PS_PER_S)->dllps, 0);
	free_pair(p);
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
		cmocka_unit_test(test_link_long_stream_does_not_drift),
		REQ_TEST(test_link_rate_takes_off_coding_and_skip_sets, "PERF-002"),
		cmocka_unit_test(test_link_idle_lanes_start_when_ready),
		cmocka_unit_test(test_link_pushed_later_but_ready_earlier_goes_first),
		cmocka_unit_test(test_link_completions_sort_by_ready_time_and_stay_in_order_when_equal),
		REQ_TEST(test_link_posted_are_sent_in_push_order_whatever_their_ready_times, "ORD-001"),
		REQ_TEST(test_link_blocked_tlp_is_passed_as_the_ordering_table_says, "ORD-007 ORD-008"),
		REQ_TEST(test_link_read_waits_for_write_pushed_before_it_even_if_ready_later,
			 "ORD-008 ORD-011"),
		REQ_TEST(test_link_completion_waits_only_for_writes_ready_before_it, "ORD-007"),
		REQ_TEST(test_link_completion_pushed_before_an_equally_ready_blocked_write_goes, "ORD-007"),
		REQ_TEST(test_link_tlp_takes_the_credits_of_its_type, "FC-001 FC-002 FC-003 FC-004"),
		REQ_TEST(test_link_digest_is_part_of_the_header_credit, "FC-002"),
		REQ_TEST(test_link_zero_advertised_is_infinite, "FC-006"),
		cmocka_unit_test(test_link_credit_comes_back_after_the_whole_loop),
		cmocka_unit_test(test_link_updatefc_waits_for_a_tlp_on_the_reverse_lanes),
		REQ_TEST(test_link_buffers_are_freed_whether_or_not_the_receiver_looks, "FC-016"),
		REQ_TEST(test_link_minimum_credits_never_deadlock, "FC-005"),
		REQ_TEST(test_link_throughput_is_bound_by_credits_per_round_trip, "FC-014"),
		cmocka_unit_test(test_link_held_credits_come_at_the_end_of_the_hold),
		cmocka_unit_test(test_link_tlp_larger_than_all_data_credits_takes_them_all),
		cmocka_unit_test(test_link_dllps_are_counted_per_interval),
		REQ_TEST(test_link_bad_lcrc_replays_it_and_all_sent_after_it, "DLL-002 DLL-008"),
		REQ_TEST(test_link_replay_goes_before_new_tlps_and_takes_no_new_credits, "DLL-008"),
		REQ_TEST(test_link_without_errors_never_replays, "DLL-007"),
		REQ_TEST(test_link_error_rate_is_the_one_asked_for_and_shows_in_the_tail, "DLL-007"),
		REQ_TEST(test_link_down_loses_what_is_under_way_and_resets_credits, "DLL-009"),
		cmocka_unit_test(test_link_down_forgets_tlps_not_acknowledged),
		cmocka_unit_test(test_link_down_while_a_nak_is_due_starts_afresh),
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
