/* Who may pass whom on a link, and credits. */
#include "tests/unit/pcie/link_fixture.h"

static unsigned data_units(unsigned payload_bytes)
{
	return (payload_bytes + 15) / 16;
}

/* ---- Ordering ---- */

enum must { NO, YES, EITHER };

struct kind {
	enum tlp_type type;
	unsigned payload_bytes, attr, id;
};

/* `mwr`, `cas` and `cpld` take two data credits, their small brothers one. */
static const struct kind mwr = {TLP_MWR, 32, 0, 1}, mwr_small = {TLP_MWR, 16, 0, 1},
			 mwr_ro = {TLP_MWR, 16, TLP_ATTR_RELAXED, 1}, msg = {TLP_MSG, 0, 0, 1},
			 mrd = {TLP_MRD, 0, 0, 1}, mrd_ro = {TLP_MRD, 0, TLP_ATTR_RELAXED, 1},
			 iowr = {TLP_IOWR, 4, 0, 1}, cas = {TLP_CAS, 32, 0, 1}, cpld = {TLP_CPLD, 32, 0, 1},
			 cpld_small = {TLP_CPLD, 16, 0, 1}, cpld_ro = {TLP_CPLD, 16, TLP_ATTR_RELAXED, 1},
			 cpld_ido = {TLP_CPLD, 16, TLP_ATTR_IDO, 1},
			 cpld_ido_other_id = {TLP_CPLD, 16, TLP_ATTR_IDO, 2};

/* A first TLP like `earlier` takes credits away until the receiver returns them at 50 µs; then the two come,
 * well apart. */
static bool passes(struct kind later, struct kind earlier)
{
	struct wire first = make_tlp(earlier.type, earlier.payload_bytes ? 16 : 0, 0, 1);
	struct wire one = make_tlp(earlier.type, earlier.payload_bytes, earlier.attr, earlier.id);
	struct wire two = make_tlp(later.type, later.payload_bytes, later.attr, later.id);
	enum tlp_class class_ = tlp_class_of(earlier.type);
	struct link_credits credits = infinite_credits;
	if (earlier.payload_bytes != 0)
		credits.data[class_] = data_units(earlier.payload_bytes); /* the first takes one */
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
	/* The table of PCIe 6.0 §2.4.1: may `later` pass `earlier`, which waits for credits? It lacks one
	 * data credit where it has data, so that a smaller one of its own class could go. */
	const struct {
		struct kind later, earlier;
		enum must must;
		bool passes; /* what this link does where the table leaves it open */
	} ordering[] = {
		{mwr_small, mwr, NO, false},
		{mwr_small, mrd, YES, true},
		{mwr_small, cas, YES, true},
		{mwr_small, cpld, EITHER, true},
		{msg, mwr, NO, false},
		{msg, mrd, YES, true},
		{msg, cas, YES, true},
		{mwr_ro, mwr, EITHER, false},
		{mrd, mwr, NO, false},
		{mrd, mrd, EITHER, false},
		{mrd, cas, EITHER, false},
		{mrd, cpld, EITHER, true},
		{mrd_ro, mwr, NO, false},
		{iowr, mwr, NO, false},
		{iowr, mrd, EITHER, false},
		{iowr, cas, EITHER, false},
		{iowr, cpld, EITHER, true},
		{cpld_small, mwr, NO, false},
		{cpld_small, mrd, YES, true},
		{cpld_small, cas, YES, true},
		{cpld_small, cpld, NO, false}, /* one transaction */
		{cpld_ro, mwr, EITHER, true},
		{cpld_ido, mwr, NO, false},
		{cpld_ido_other_id, mwr, EITHER, true},
	};
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
	const struct kind kinds[] = {mwr, mrd, cas, cpld};
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
	const struct kind kinds[] = {mwr, mrd, iowr, cpld};
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

/* The sender of §2.6.1.2 with its counters: 8 bits for headers, 12 for data, the receiver telling running sums. */
struct counters {
	unsigned bits;
	uint32_t limit, consumed;
};

static bool gate_opens(const struct counters *c, uint32_t needed)
{
	uint32_t mask = (1u << c->bits) - 1;
	return ((c->limit - (c->consumed + needed)) & mask) <= 1u << (c->bits - 1);
}

/* Long enough for both counters to wrap many times: each TLP starts when that sender would start it. */
static void test_link_gate_decides_as_modular_counters_do(void **state)
{
	enum { TLPS = 20000 };
	static const struct {
		uint32_t headers, data;
	} advertised[] = {{1, 16}, {2, 2047}, {127, 16}, {127, 2047}, {64, 100}, {100, 17}, {127, 128}};
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(9), 0);
	struct link_config config = plain_config(3, 8);
	config.drain_ps = 3000;
	config.fc_latency_ps = 40000;
	uint64_t *arrive_ps = calloc(TLPS, sizeof(*arrive_ps));
	uint32_t *units = calloc(TLPS, sizeof(*units));
	assert_true(arrive_ps != NULL && units != NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(advertised); i++) {
		const struct link_credits credits = {{advertised[i].headers, 0, 0},
						     {advertised[i].data, 0, 0}};
		struct counters headers = {8, advertised[i].headers, 0}, data = {12, advertised[i].data, 0};
		struct pair p = make_pair(&config, &credits, NULL);
		for (unsigned k = 0; k < TLPS; k++) {
			units[k] = 1 + (uint32_t)rng_below(&rng, 16);
			struct wire write = make_tlp(TLP_MWR, 16 * units[k], 0, 0);
			push(p.a, 0, &write);
		}
		for (unsigned k = 0; k < TLPS; k++)
			arrive_ps[k] = pop_arrival(p.a, PS_PER_S);
		uint64_t lanes_free_ps = 0, reverse_free_ps = 0;
		unsigned updates = 0;
		for (unsigned k = 0; k < TLPS; k++) {
			uint64_t start_ps = lanes_free_ps, tlp_ps = lanes_ps(3, 8, 12 + 16 * units[k] + 8);
			while (!gate_opens(&headers, 1) || !gate_opens(&data, units[k])) {
				assert_true(updates < k); /* or it would wait for ever */
				uint64_t due_ps = arrive_ps[updates] + 3000 + 40000;
				reverse_free_ps = max_u64(due_ps, reverse_free_ps) + lanes_ps(3, 8, 8);
				start_ps = max_u64(start_ps, reverse_free_ps + 70000);
				headers.limit++;
				data.limit += units[updates++];
			}
			headers.consumed++;
			data.consumed += units[k];
			/* Both sides round up to picoseconds, here once for each DLLP and TLP. */
			assert_in_range(arrive_ps[k], start_ps + tlp_ps + 70000 - 300,
					start_ps + tlp_ps + 70000 + 300);
			lanes_free_ps = arrive_ps[k] - 70000;
		}
		free_pair(p);
	}
	free(arrive_ps);
	free(units);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_link_blocked_tlp_is_passed_as_the_ordering_table_says, "ORD-007 ORD-008"),
		REQ_TEST(test_link_read_waits_for_write_pushed_before_it_even_if_ready_later,
			 "ORD-008 ORD-011"),
		REQ_TEST(test_link_completion_waits_only_for_writes_ready_before_it, "ORD-007"),
		REQ_TEST(test_link_completion_pushed_before_an_equally_ready_blocked_write_goes, "ORD-007"),
		REQ_TEST(test_link_tlp_takes_the_credits_of_its_type, "FC-001 FC-002 FC-003 FC-004"),
		REQ_TEST(test_link_digest_is_part_of_the_header_credit, "FC-002"),
		REQ_TEST(test_link_zero_advertised_is_infinite, "FC-006"),
		REQ_TEST(test_link_gate_decides_as_modular_counters_do, "FC-009 FC-010 FC-004"),
		cmocka_unit_test(test_link_credit_comes_back_after_the_whole_loop),
		cmocka_unit_test(test_link_updatefc_waits_for_a_tlp_on_the_reverse_lanes),
		REQ_TEST(test_link_buffers_are_freed_whether_or_not_the_receiver_looks, "FC-016"),
		REQ_TEST(test_link_minimum_credits_never_deadlock, "FC-005"),
		REQ_TEST(test_link_throughput_is_bound_by_credits_per_round_trip, "FC-014"),
		cmocka_unit_test(test_link_held_credits_come_at_the_end_of_the_hold),
		cmocka_unit_test(test_link_tlp_larger_than_all_data_credits_takes_them_all),
		cmocka_unit_test(test_link_dllps_are_counted_per_interval),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
