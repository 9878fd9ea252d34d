/* Seeded random traffic both ways, judged by checkers that recompute what they need from ready and arrival
 * times; polled in different ways; and compared with a simple model of the lanes. */
#include "tests/unit/pcie/link_fixture.h"

#define TLPS 400 /* each way */

/* What was pushed, and when it came out. */
struct record {
	struct wire wire;
	enum tlp_class class_;
	unsigned attr, id, payload_bytes;
	uint64_t push_ps, ready_ps, arrive_ps;
};

struct side {
	struct link_config config;
	struct link_credits credits;
	struct record tlps[TLPS];
	unsigned arrivals[TLPS]; /* indices of tlps, as popped */
	unsigned count;
};

struct world {
	struct side side[2];
	uint64_t hold_at_ps, hold_until_ps; /* link_hold_credits on side 0 */
};

/* ---- Traffic ---- */

static const struct {
	enum tlp_type type;
	unsigned payload_max;
} types[] = {{TLP_MWR, 512},  {TLP_MWR, 8}, {TLP_MRD, 0}, {TLP_CFGWR0, 4},
	     {TLP_CPLD, 512}, {TLP_CPL, 0}, {TLP_MSG, 0}};

/* Bytes 8..11 of the header name the TLP: address, destination, message or Requester ID and Tag. */
static void name_tlp(struct wire *wire, unsigned index)
{
	store_be32(wire->bytes + 8, 0x10000000u | index << 8);
}

static unsigned named(const uint8_t *wire)
{
	return load_be32(wire + 8) >> 8 & 0xfffff;
}

static uint32_t some_credits(struct rng *r, uint32_t least, uint32_t more)
{
	return rng_below(r, 3) == 0 ? 0 : least + (uint32_t)rng_below(r, more);
}

static void make_side(struct side *s, struct rng *r, bool errors)
{
	memset(s, 0, sizeof(*s));
	s->config = (struct link_config){
		.generation = 1 + (unsigned)rng_below(r, 5),
		.lanes = 1u << rng_below(r, 5),
		.propagation_ps = rng_below(r, 200000),
		.ack_interval = 1 + (unsigned)rng_below(r, 8),
		.fc_interval = 1 + (unsigned)rng_below(r, 8),
		.drain_ps = rng_below(r, 50000),
		.fc_latency_ps = rng_below(r, 100000),
		.error_ppm = errors ? (uint32_t)rng_below(r, 100000) : 0,
		.seed = rng_u64(r),
	};
	for (unsigned i = 0; i < TLP_CLASS_COUNT; i++) {
		s->credits.header[i] = some_credits(r, 1, 8);
		s->credits.data[i] = some_credits(r, i == TLP_NON_POSTED ? 1 : 32, 100);
	}
	/* Bursts and gaps; mean load around that of the lanes. */
	uint64_t now_ps = 0, byte_ps = lanes_ps(s->config.generation, s->config.lanes, 100) / 100 + 1;
	for (unsigned i = 0; i < TLPS; i++) {
		struct record *t = &s->tlps[i];
		unsigned k = (unsigned)rng_below(r, ARRAY_SIZE(types));
		t->payload_bytes =
			types[k].payload_max ? 4 * (1 + (unsigned)rng_below(r, types[k].payload_max / 4)) : 0;
		if (types[k].type == TLP_CFGWR0)
			t->payload_bytes = 4;
		t->class_ = tlp_class_of(types[k].type);
		t->attr = (unsigned)rng_below(r, 8);
		t->id = (unsigned)rng_below(r, 2);
		t->wire = make_tlp(types[k].type, t->payload_bytes, t->attr, t->id);
		name_tlp(&t->wire, i);
		if (rng_below(r, 3) == 0)
			now_ps += rng_below(r, 1000 * byte_ps);
		t->push_ps = now_ps;
		t->ready_ps = now_ps + rng_below(r, rng_below(r, 2) ? 1000 : 2000 * byte_ps);
		t->arrive_ps = TIME_NEVER_PS;
	}
}

static void make_world(struct world *w, struct rng *r, bool errors)
{
	make_side(&w->side[0], r, errors);
	make_side(&w->side[1], r, errors);
	w->hold_at_ps = w->hold_until_ps = TIME_NEVER_PS;
	if (rng_below(r, 3) == 0) {
		w->hold_at_ps = w->side[0].tlps[TLPS / 2].push_ps + rng_below(r, 1000);
		w->hold_until_ps = w->hold_at_ps + rng_below(r, 3000000);
	}
}

/* ---- Running ---- */

/* How the receivers look: only at the end, whenever something is pushed and at many random times, or exactly
 * when link_next_ps and the wakes tell them to. */
enum polling { AT_THE_END, ALL_THE_TIME, WHEN_WOKEN };

struct receiver {
	uint64_t wake_ps;
	unsigned wakes;
};

static void on_wake(void *ctx, uint64_t at_ps)
{
	struct receiver *r = (struct receiver *)ctx;
	assert_true(at_ps < r->wake_ps);
	r->wake_ps = at_ps;
}

/* Half of each class: those whose Requester or Completer ID is 1. */
static bool is_urgent(void *ctx, const uint8_t *wire, size_t size)
{
	(void)ctx, (void)size;
	return wire[5] == 1;
}

static void pop_all(struct link_dir *dir, struct side *s, uint64_t now_ps, bool exact)
{
	struct link_rx rx;
	while (link_pop(dir, now_ps, &rx)) {
		unsigned i = named(rx.wire);
		assert_true(i < TLPS && s->count < TLPS);
		assert_int_equal(s->tlps[i].arrive_ps, TIME_NEVER_PS); /* once */
		assert_int_equal(rx.size, s->tlps[i].wire.size);
		assert_memory_equal(rx.wire, s->tlps[i].wire.bytes, rx.size);
		assert_true(rx.arrive_ps <= now_ps);
		if (exact && s->tlps[i].id == 1)
			assert_int_equal(rx.arrive_ps, now_ps); /* an urgent one is never seen late */
		s->tlps[i].arrive_ps = rx.arrive_ps;
		s->arrivals[s->count++] = i;
	}
}

static void serve(struct link_dir *dir, struct side *s, struct receiver *r)
{
	uint64_t now_ps = r->wake_ps;
	pop_all(dir, s, now_ps, true);
	r->wake_ps = link_next_ps(dir, now_ps);
	assert_true(r->wake_ps > now_ps);
	r->wakes++;
}

/* Brings both receivers up to, not including, `until_ps`. */
static void look(struct world *w, struct link_dir *dir[2], struct receiver r[2], enum polling polling,
		 uint64_t from_ps, uint64_t until_ps, struct rng *rng)
{
	if (polling == WHEN_WOKEN) {
		for (;;) {
			unsigned i = r[1].wake_ps < r[0].wake_ps;
			if (r[i].wake_ps >= until_ps)
				break;
			serve(dir[i], &w->side[i], &r[i]);
		}
	} else if (polling == ALL_THE_TIME) {
		while ((from_ps += 1 + rng_below(rng, 20000)) < until_ps) {
			unsigned i = (unsigned)rng_below(rng, 2);
			switch (rng_below(rng, 4)) {
			case 0: (void)link_next_ps(dir[i], from_ps); break;
			case 1: (void)link_stats(dir[i], from_ps); break;
			case 2: (void)link_drain_ps(dir[i], from_ps, rng_below(rng, 1000)); break;
			default: pop_all(dir[i], &w->side[i], from_ps, false); break;
			}
		}
	}
}

static void run(struct world *w, enum polling polling)
{
	struct receiver r[2] = {{.wake_ps = TIME_NEVER_PS}, {.wake_ps = TIME_NEVER_PS}};
	struct link_dir *dir[2];
	struct rng rng;
	rng_seed(&rng, 1, 1);
	for (unsigned i = 0; i < 2; i++) {
		struct link_receiver receiver = {&r[i], polling == WHEN_WOKEN ? on_wake : NULL, is_urgent};
		dir[i] = link_dir_create(&w->side[i].config, &w->side[i].credits, &receiver);
		w->side[i].count = 0;
		for (unsigned k = 0; k < TLPS; k++)
			w->side[i].tlps[k].arrive_ps = TIME_NEVER_PS;
	}
	link_dir_pair(dir[0], dir[1]);

	uint64_t now_ps = 0;
	bool hold = w->hold_at_ps != TIME_NEVER_PS;
	for (unsigned next[2] = {0, 0};;) {
		uint64_t push_ps[2];
		for (unsigned i = 0; i < 2; i++)
			push_ps[i] = next[i] < TLPS ? w->side[i].tlps[next[i]].push_ps : TIME_NEVER_PS;
		unsigned i = push_ps[1] < push_ps[0];
		uint64_t at_ps = hold ? min_u64(push_ps[i], w->hold_at_ps) : push_ps[i];
		if (at_ps == TIME_NEVER_PS)
			break;
		look(w, dir, r, polling, now_ps, at_ps, &rng);
		now_ps = at_ps;
		if (hold && at_ps == w->hold_at_ps) {
			link_hold_credits(dir[0], at_ps, w->hold_until_ps);
			hold = false;
		} else {
			struct record *t = &w->side[i].tlps[next[i]++];
			push(dir[i], t->ready_ps, &t->wire);
		}
	}
	look(w, dir, r, polling, now_ps, now_ps + PS_PER_S / 1000, &rng);
	for (unsigned i = 0; i < 2; i++) {
		pop_all(dir[i], &w->side[i], now_ps + PS_PER_S, false);
		assert_int_equal(link_next_ps(dir[i], now_ps + PS_PER_S), TIME_NEVER_PS);
		assert_int_equal(link_backlog_bytes(dir[i], now_ps + PS_PER_S), 0);
		if (polling == WHEN_WOKEN) { /* no polling loops: 1.4 wakes for an urgent TLP on average */
			unsigned per_tlp =
				w->side[0].config.error_ppm || w->side[1].config.error_ppm ? 20 : 2;
			assert_true(r[i].wakes < per_tlp * TLPS);
		}
	}
	link_dir_free(dir[0]);
	link_dir_free(dir[1]);
}

/* ---- Checkers ---- */

static uint64_t wire_ps(const struct side *s, const struct record *t)
{
	return lanes_ps(s->config.generation, s->config.lanes, t->wire.size + 8);
}

/* Ready in the sense of the queue: a posted or non-posted TLP is ready when its predecessors are. */
static void find_queue_ready(const struct side *s, uint64_t queue_ready_ps[TLPS])
{
	uint64_t last_ps[TLP_CLASS_COUNT] = {0};
	for (unsigned i = 0; i < TLPS; i++) {
		const struct record *t = &s->tlps[i];
		last_ps[t->class_] = max_u64(last_ps[t->class_], t->ready_ps);
		queue_ready_ps[i] = t->class_ == TLP_COMPLETION ? t->ready_ps : last_ps[t->class_];
	}
}

static void check_times(const struct side *s)
{
	assert_int_equal(s->count, TLPS); /* exactly once: see pop_all */
	for (unsigned k = 0; k < TLPS; k++) {
		const struct record *t = &s->tlps[s->arrivals[k]];
		assert_true(t->arrive_ps >= t->ready_ps + wire_ps(s, t) - 1 + s->config.propagation_ps);
		if (k != 0)
			assert_true(t->arrive_ps >=
				    s->tlps[s->arrivals[k - 1]].arrive_ps + wire_ps(s, t) - 1);
	}
}

/* May `t`, which arrived before `u`, have passed it, which was in the queue before it? */
static bool legal_pass(const struct record *t, const struct record *u)
{
	if (t->class_ == u->class_)
		return false;
	if (u->class_ != TLP_POSTED || t->class_ == TLP_POSTED)
		return true;
	return t->class_ == TLP_COMPLETION &&
	       (t->attr & TLP_ATTR_RELAXED || (t->attr & TLP_ATTR_IDO && t->id != u->id));
}

static void check_order(const struct side *s)
{
	uint64_t queue_ready_ps[TLPS];
	find_queue_ready(s, queue_ready_ps);
	for (unsigned a = 0; a < TLPS; a++)
		for (unsigned b = a + 1; b < TLPS; b++) {
			unsigned i = s->arrivals[a], k = s->arrivals[b]; /* i came before k */
			const struct record *t = &s->tlps[i], *u = &s->tlps[k];
			bool u_was_first = queue_ready_ps[k] < queue_ready_ps[i] ||
					   (queue_ready_ps[k] == queue_ready_ps[i] && k < i);
			if (u_was_first)
				assert_true(legal_pass(t, u));
			/* A read never passes a write pushed before it. */
			if (t->class_ == TLP_NON_POSTED && u->class_ == TLP_POSTED)
				assert_true(i < k);
		}
}

/* At each start the credits taken so far are covered by what was advertised and what can have come back: the
 * UpdateFC for a TLP is back no sooner than its arrival and all the delays after it. */
static void check_credits(const struct side *s, const struct side *reverse)
{
	uint64_t back_ps = s->config.drain_ps + s->config.fc_latency_ps +
			   lanes_ps(reverse->config.generation, reverse->config.lanes, 8) - 1 +
			   reverse->config.propagation_ps;
	for (unsigned a = 0; a < TLPS; a++) {
		const struct record *t = &s->tlps[s->arrivals[a]];
		/* Without errors this is the start; with errors the TLP started earlier, but not its last replay. */
		uint64_t start_ps = t->arrive_ps - s->config.propagation_ps - wire_ps(s, t) + 1;
		uint64_t headers = 0, data = 0;
		for (unsigned b = 0; b <= a; b++) {
			const struct record *u = &s->tlps[s->arrivals[b]];
			if (u->class_ != t->class_ || u->arrive_ps + back_ps <= start_ps)
				continue;
			headers++;
			data += (u->payload_bytes + 15) / 16;
		}
		uint32_t header_limit = s->credits.header[t->class_], data_limit = s->credits.data[t->class_];
		assert_true(header_limit == 0 || headers <= header_limit);
		assert_true(data_limit == 0 || data <= data_limit);
	}
}

static void check_same(const struct world *a, const struct world *b)
{
	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 0; k < TLPS; k++) {
			assert_int_equal(a->side[i].arrivals[k], b->side[i].arrivals[k]);
			assert_int_equal(a->side[i].tlps[k].arrive_ps, b->side[i].tlps[k].arrive_ps);
		}
}

/* ---- Tests ---- */

static struct world world, other_world;

static void random_traffic_keeps_all_rules(uint64_t seed, bool errors, unsigned rounds)
{
	struct rng r;
	rng_seed(&r, seed, errors);
	for (unsigned round = 0; round < rounds; round++) {
		make_world(&world, &r, errors);
		run(&world, AT_THE_END);
		for (unsigned i = 0; i < 2; i++) {
			check_times(&world.side[i]);
			check_order(&world.side[i]);
			check_credits(&world.side[i], &world.side[!i]);
		}
		/* When anybody looks changes nothing. */
		other_world = world;
		run(&other_world, ALL_THE_TIME);
		check_same(&world, &other_world);
		run(&other_world, WHEN_WOKEN);
		check_same(&world, &other_world);
	}
}

static void test_link_random_traffic_keeps_all_rules_however_polled(void **state)
{
	(void)state;
	random_traffic_keeps_all_rules(test_seed(11), false, 60);
}

static void test_link_random_traffic_with_errors_keeps_all_rules(void **state)
{
	(void)state;
	random_traffic_keeps_all_rules(test_seed(12), true, 60);
}

static void test_link_same_seed_gives_same_errors_and_another_seed_others(void **state)
{
	(void)state;
	struct rng r;
	rng_seed(&r, test_seed(13), 0);
	make_world(&world, &r, true);
	world.side[0].config.error_ppm = 100000;
	other_world = world;
	run(&world, AT_THE_END);
	run(&other_world, AT_THE_END);
	check_same(&world, &other_world);
	other_world.side[0].config.seed++;
	run(&other_world, AT_THE_END);
	unsigned different = 0;
	for (unsigned k = 0; k < TLPS; k++)
		different += world.side[0].tlps[k].arrive_ps != other_world.side[0].tlps[k].arrive_ps;
	assert_true(different > TLPS / 4);
}

/* Infinite credits and no DLLPs: exact arrival times from the definition, by searching all TLPs for the next
 * each time, with time as an exact fraction. */
static void model_arrivals(const struct side *s, uint64_t arrive_ps[TLPS])
{
	uint64_t queue_ready_ps[TLPS];
	bool sent[TLPS] = {false};
	uint64_t base_ps = 0, bytes = 0; /* lanes are free `bytes` after base_ps */
	find_queue_ready(s, queue_ready_ps);
	for (unsigned n = 0; n < TLPS; n++) {
		struct exact_ps busy = exact_ps(s->config.generation, s->config.lanes, bytes);
		uint64_t free_ps = base_ps + (uint64_t)(busy.num / busy.den);
		/* A non-posted TLP comes after all posted ones pushed before it, which then count as ready first. */
		unsigned best = TLPS;
		uint64_t best_ps = TIME_NEVER_PS;
		for (unsigned i = 0; i < TLPS; i++) {
			bool waits = false;
			for (unsigned k = 0; k < i && s->tlps[i].class_ == TLP_NON_POSTED; k++)
				waits |= !sent[k] && s->tlps[k].class_ == TLP_POSTED;
			uint64_t start_ps = max_u64(queue_ready_ps[i], free_ps);
			if (sent[i] || waits || start_ps > best_ps ||
			    (start_ps == best_ps && queue_ready_ps[i] >= queue_ready_ps[best]))
				continue;
			best = i;
			best_ps = start_ps;
		}
		if (best_ps > free_ps)
			base_ps = best_ps, bytes = 0;
		bytes += s->tlps[best].wire.size + 8;
		sent[best] = true;
		arrive_ps[best] = base_ps + lanes_ps(s->config.generation, s->config.lanes, bytes) +
				  s->config.propagation_ps;
	}
}

static void test_link_without_credits_or_dllps_meets_simple_model_exactly(void **state)
{
	(void)state;
	struct rng r;
	rng_seed(&r, test_seed(14), 0);
	for (unsigned round = 0; round < 25; round++) {
		make_world(&world, &r, false);
		world.hold_at_ps = TIME_NEVER_PS;
		for (unsigned i = 0; i < 2; i++) {
			world.side[i].credits = infinite_credits;
			world.side[i].config.ack_interval = NO_ACKS;
		}
		run(&world, round % 2 ? AT_THE_END : ALL_THE_TIME);
		for (unsigned i = 0; i < 2; i++) {
			uint64_t arrive_ps[TLPS];
			model_arrivals(&world.side[i], arrive_ps);
			for (unsigned k = 0; k < TLPS; k++)
				assert_int_equal(world.side[i].tlps[k].arrive_ps, arrive_ps[k]);
		}
	}
}

/* Going down at any moment: what had arrived comes out as without it, nothing else does. */
static void test_link_down_at_any_moment_keeps_only_what_has_arrived(void **state)
{
	(void)state;
	struct rng r;
	rng_seed(&r, test_seed(15), 0);
	for (unsigned round = 0; round < 60; round++) {
		make_world(&world, &r, round % 2);
		world.hold_at_ps = TIME_NEVER_PS;
		run(&world, AT_THE_END);
		struct side *up = &world.side[0], *down = &world.side[1];
		struct link_dir *a = link_dir_create(&up->config, &up->credits, NULL);
		struct link_dir *b = link_dir_create(&down->config, &down->credits, NULL);
		link_dir_pair(a, b);
		uint64_t down_ps = rng_below(&r, up->tlps[TLPS - 1].push_ps + 1);
		for (unsigned i = 0; i < TLPS; i++) {
			if (up->tlps[i].push_ps <= down_ps)
				push(a, up->tlps[i].ready_ps, &up->tlps[i].wire);
			if (down->tlps[i].push_ps <= down_ps)
				push(b, down->tlps[i].ready_ps, &down->tlps[i].wire);
		}
		link_down(round % 4 < 2 ? a : b, down_ps);
		unsigned expected = 0;
		while (expected < TLPS && up->tlps[up->arrivals[expected]].arrive_ps <= down_ps)
			expected++;
		struct link_rx rx;
		for (unsigned i = 0; i < expected; i++) {
			assert_true(link_pop(a, down_ps + PS_PER_MS, &rx));
			assert_int_equal(named(rx.wire), up->arrivals[i]);
			assert_int_equal(rx.arrive_ps, up->tlps[up->arrivals[i]].arrive_ps);
		}
		assert_false(link_pop(a, down_ps + PS_PER_MS, &rx));
		/* And it works again. */
		for (unsigned i = 0; i < TLPS; i++)
			push(a, down_ps + PS_PER_MS, &up->tlps[i].wire);
		assert_int_equal(count_pops(a, down_ps + PS_PER_S), TLPS);
		link_dir_free(a);
		link_dir_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_link_random_traffic_keeps_all_rules_however_polled,
			 "ORD-001 ORD-007 ORD-008 FC-004"),
		REQ_TEST(test_link_random_traffic_with_errors_keeps_all_rules, "DLL-008 ORD-001"),
		REQ_TEST(test_link_same_seed_gives_same_errors_and_another_seed_others, "DLL-007"),
		cmocka_unit_test(test_link_without_credits_or_dllps_meets_simple_model_exactly),
		REQ_TEST(test_link_down_at_any_moment_keeps_only_what_has_arrived, "DLL-009"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
