/* The notify unit's C model beside its RTL twin: the same doorbells, register writes and reads, the same consumer. Every service has
 * to be the same, in the same order, with the same hint, in the same cycle; registers read the same, statistics are equal.
 *
 * What happens comes in slots of 16 cycles, doorbells in bursts of up to four, the consumer takes services at odd moments or
 * not at all, and hold-offs end in the middle of a slot, so none in the cycle in which a register write is carried out: the RTL
 * does that in a cycle of its own, the model at once. Register writes that concern many queues are worked off by the RTL one
 * queue a cycle, which is given the time and not looked at closer. What happens in all other cases is the subject of the
 * unit tests, which both pass. */
#include "rtl-model/blocks/notify/notify_rtl.h"
#include "tests/check.h"

#ifdef __SANITIZE_ADDRESS__ /* there the module also has assertions and coverage, at many times the time */
#define RUNS 60u
#else
#define RUNS 300u
#endif
#define ACTIONS   400u
#define SLOT      16u /* cycles */
#define WALK      (SLOT * 10)
#define GIVEN_MAX 8192u

enum { MODEL, TWIN_RTL, SIDES };

struct given {
	uint64_t at_ps;
	struct service service;
};

struct side {
	struct notify *notify;
	struct service_fifo out;
	struct waker self;
	uint64_t wake_ps;
	struct given given[GIVEN_MAX];
	unsigned count;
};

struct pair {
	struct config config;
	struct side side[SIDES];
	struct rng rng;
	uint64_t period_ps, now_ps;
	unsigned take_every; /* cycles between two takes of the consumer, 0: it is stalled */
	uint64_t enabled;
	unsigned queues; /* that doorbells are mostly for */
};

static unsigned below(struct pair *p, unsigned bound)
{
	return (unsigned)rng_below(&p->rng, bound);
}

static void wake(void *ctx, uint64_t at_ps)
{
	struct side *side = ctx;
	side->wake_ps = min_u64(side->wake_ps, at_ps);
}

static void take(struct pair *p, struct side *side)
{
	bool its_turn = p->take_every && p->now_ps / p->period_ps % p->take_every == 0;
	if (!its_turn || !service_fifo_ready(&side->out, p->now_ps))
		return;
	assert_true(side->count < GIVEN_MAX);
	side->given[side->count++] = (struct given){p->now_ps, service_fifo_pop(&side->out, p->now_ps)};
}

/* Cycle by cycle, as the consumer needs it. */
static void run(struct pair *p, unsigned cycles)
{
	for (unsigned i = 0; i < cycles; i++) {
		p->now_ps += p->period_ps;
		for (unsigned s = 0; s < SIDES; s++) {
			struct side *side = &p->side[s];
			take(p, side);
			while (side->wake_ps <= p->now_ps) {
				uint64_t at_ps = side->wake_ps;
				side->wake_ps = TIME_NEVER_PS;
				wake(side, notify_step(side->notify, max_u64(at_ps, p->now_ps)));
			}
		}
	}
}

static void put(struct pair *p, uint32_t offset, uint32_t value)
{
	for (unsigned s = 0; s < SIDES; s++)
		assert_true(notify_csr_write(p->side[s].notify, p->now_ps, offset, value));
}

static void check_registers(struct pair *p)
{
	static const uint32_t offsets[] = {
		CSR_NOTIFY_ENABLE_LO,  CSR_NOTIFY_ENABLE_HI, CSR_NOTIFY_PENDING_LO, CSR_NOTIFY_PENDING_HI,
		CSR_NOTIFY_HOLDOFF_NS, CSR_NOTIFY_THRESHOLD, CSR_NOTIFY_DATA_MODE,  CSR_NOTIFY_ADAPTIVE,
	};
	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
		uint32_t value[SIDES];
		for (unsigned s = 0; s < SIDES; s++)
			assert_true(notify_csr_read(p->side[s].notify, p->now_ps, offsets[i], &value[s]));
		assert_int_equal(value[TWIN_RTL], value[MODEL]);
	}
	assert_int_equal(notify_waiting(p->side[TWIN_RTL].notify), notify_waiting(p->side[MODEL].notify));
}

static void check_services(const struct pair *p)
{
	const struct side *model = &p->side[MODEL], *rtl = &p->side[TWIN_RTL];
	for (unsigned i = 0; i < model->count && i < rtl->count; i++) {
		const struct given *m = &model->given[i], *r = &rtl->given[i];
		assert_int_equal(r->service.queue, m->service.queue);
		assert_int_equal(r->service.hint_valid, m->service.hint_valid);
		assert_int_equal(r->service.hint, m->service.hint);
		assert_int_equal(r->service.doorbell_ps, m->service.doorbell_ps);
		assert_int_equal(r->at_ps, m->at_ps);
	}
	assert_int_equal(rtl->count, model->count);
}

/* ---- what happens ---- */

static unsigned any_queue(struct pair *p)
{
	return below(p, 20) == 0 ? below(p, 80) : below(p, p->queues) * (64 / p->queues);
}

static void ring(struct pair *p)
{
	for (unsigned n = 1 + below(p, 4); n != 0; n--) {
		struct doorbell doorbell = {(uint16_t)any_queue(p), (uint32_t)rng_u64(&p->rng)};
		for (unsigned s = 0; s < SIDES; s++)
			if (!doorbell_fifo_full(&p->side[s].notify->doorbells))
				doorbell_fifo_push(&p->side[s].notify->doorbells, p->now_ps, doorbell);
	}
}

/* Services stop: the consumer takes none and has no room. */
static void stop_services(struct pair *p)
{
	p->take_every = 0;
	for (unsigned n = 0; n < service_fifo_depth + 1; n++) {
		unsigned queue = below(p, 64);
		while (!(p->enabled >> queue & 1))
			queue = (queue + 1) % 64;
		put(p, CSR_NOTIFY_KICK, queue);
		run(p, SLOT);
	}
}

/* Bits that alternate: also when it is halved some times, as by adaptive hold-off, a length of 21 ns or more is 5 or 10
 * cycles longer than whole slots. */
static uint32_t any_holdoff_ns(struct pair *p)
{
	return below(p, 3) ? 0xaaa >> below(p, 8) : 0;
}

/* A write that may concern many queues. */
static void write_settings(struct pair *p)
{
	stop_services(p);
	switch (below(p, 5)) {
	case 0: put(p, CSR_NOTIFY_HOLDOFF_NS, any_holdoff_ns(p)); break;
	case 1: put(p, CSR_NOTIFY_THRESHOLD, below(p, 6)); break;
	case 2: put(p, CSR_NOTIFY_DATA_MODE, below(p, 2)); break;
	case 3:
		p->enabled ^= UINT64_C(1) << any_queue(p) % 64 | UINT64_C(1) << any_queue(p) % 64;
		p->enabled |= 1; /* for stop_services */
		put(p, CSR_NOTIFY_ENABLE_LO, (uint32_t)p->enabled);
		run(p, WALK);
		put(p, CSR_NOTIFY_ENABLE_HI, (uint32_t)(p->enabled >> 32));
		break;
	case 4: put(p, CSR_NOTIFY_ADAPTIVE, below(p, 2)); break;
	}
	run(p, WALK);
	check_registers(p);
}

static void act(struct pair *p)
{
	unsigned draw = below(p, 100);
	if (draw < 60) {
		ring(p);
	} else if (draw < 70) {
		put(p, CSR_NOTIFY_KICK, any_queue(p));
	} else if (draw < 85) {
		static const unsigned intervals[] = {0, 1, 2, 3, 7, 30};
		p->take_every = intervals[below(p, ARRAY_SIZE(intervals))];
	} else if (draw < 92) {
		run(p, SLOT * below(p, 40));
	} else if (draw < 95) {
		check_registers(p);
	} else {
		write_settings(p);
	}
	run(p, SLOT);
}

/* ---- runs ---- */

static void pair_create(struct pair *p, const char *const settings[], unsigned count)
{
	char error[160];
	config_defaults(&p->config);
	for (unsigned i = 0; i < count; i++)
		if (config_set(&p->config, settings[i], error, sizeof(error)) != 0)
			fail_msg("%s", error);
	p->period_ps = config_period_ps(p->config.device.clock_mhz);
	for (unsigned s = 0; s < SIDES; s++) {
		struct side *side = &p->side[s];
		side->self = (struct waker){wake, side};
		side->wake_ps = TIME_NEVER_PS;
		side->notify =
			(s == MODEL ? notify_create : notify_rtl_create)(&p->config, &side->self, &side->out);
		assert_non_null(side->notify);
	}
}

static void pair_free(struct pair *p)
{
	for (unsigned s = 0; s < SIDES; s++)
		notify_free(p->side[s].notify);
	free(p);
}

static void enable_all(struct pair *p)
{
	p->enabled = UINT64_MAX;
	put(p, CSR_NOTIFY_ENABLE_LO, UINT32_MAX);
	put(p, CSR_NOTIFY_ENABLE_HI, UINT32_MAX);
	run(p, SLOT);
}

static struct pair *random_pair(uint64_t seed, unsigned number)
{
	static const char *const modes[] = {"notify.mode=pending", "notify.mode=fifo"};
	static const char *const arbitrations[] = {"notify.arbitration=round_robin",
						   "notify.arbitration=strict", "notify.arbitration=oldest",
						   "notify.arbitration=weighted"};
	static const char *const clocks[] = {"device.clock_mhz=500", "device.clock_mhz=250",
					     "device.clock_mhz=1000"};
	struct pair *p = calloc(1, sizeof(*p));
	static const char *const lengths[] = {"notify.adaptive=off", "notify.adaptive=on"};
	char depth[40], weights[40], holdoff[40], threshold[40];
	assert_non_null(p);
	rng_seed(&p->rng, seed, number);
	snprintf(depth, sizeof(depth), "notify.fifo_depth=%u", 1 + below(p, 9));
	snprintf(weights, sizeof(weights), "notify.weights=%u", (unsigned)rng_u64(&p->rng));
	snprintf(holdoff, sizeof(holdoff), "notify.holdoff_ns=%u", any_holdoff_ns(p));
	snprintf(threshold, sizeof(threshold), "notify.threshold=%u", below(p, 9));
	const char *const settings[] = {lengths[number / 8 % 2],
					holdoff,
					threshold,
					modes[number % 2],
					arbitrations[number / 2 % 4],
					clocks[below(p, ARRAY_SIZE(clocks))],
					depth,
					weights};
	pair_create(p, settings, ARRAY_SIZE(settings));
	p->queues = 1u << below(p, 7);
	p->take_every = 1;
	return p;
}

static void drain(struct pair *p)
{
	p->take_every = 1;
	run(p, 4000);
	for (unsigned s = 0; s < SIDES; s++)
		assert_int_equal(notify_waiting(p->side[s].notify), 0);
}

static void test_notify_twin_random_traffic_same_services(void **state)
{
	(void)state;
	uint64_t seed = test_seed(4711);
	unsigned services = 0;
	for (unsigned i = 0; i < RUNS; i++) {
		struct pair *p = random_pair(seed, i);
		enable_all(p);
		for (unsigned n = 0; n < ACTIONS / 4; n++)
			act(p);
		if (i % 3 == 0) { /* a reset, with whatever there is */
			for (unsigned s = 0; s < SIDES; s++) {
				notify_reset(p->side[s].notify);
				service_fifo_clear(&p->side[s].out);
			}
			run(p, SLOT);
			check_registers(p);
			enable_all(p);
		}
		for (unsigned n = 0; n < ACTIONS / 4; n++)
			act(p);
		drain(p);
		check_services(p);
		check_registers(p);
		assert_memory_equal(&p->side[TWIN_RTL].notify->stats, &p->side[MODEL].notify->stats,
				    sizeof(struct notify_stats));
		services += p->side[MODEL].count;
		pair_free(p);
	}
	assert_true(services > 20 * RUNS);
}

/* ---- named stages (README.md, Times) ---- */

static struct pair *plain_pair(const char *setting)
{
	struct pair *p = calloc(1, sizeof(*p));
	assert_non_null(p);
	pair_create(p, &setting, 1);
	p->take_every = 1;
	enable_all(p);
	return p;
}

/* Cycles from the cycle in which a doorbell arrives to the one in which the consumer can take the service. */
static void test_notify_twin_cycles_of_named_stages(void **state)
{
	(void)state;
	static const struct {
		const char *setting;
		uint32_t holdoff_ns;
		unsigned cycles;
	} cases[] = {
		{"notify.mode=pending", 0, 1},   /* doorbell to service */
		{"notify.mode=fifo", 0, 1},      /* the same through the FIFO */
		{"notify.mode=pending", 64, 33}, /* end of hold-off to service: 1 */
		{"notify.mode=fifo", 64, 33},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pair *p = plain_pair(cases[i].setting);
		put(p, CSR_NOTIFY_HOLDOFF_NS, cases[i].holdoff_ns);
		run(p, SLOT);
		uint64_t start_ps = p->now_ps + p->period_ps;
		for (unsigned s = 0; s < SIDES; s++)
			doorbell_fifo_push(&p->side[s].notify->doorbells, start_ps, (struct doorbell){9, 9});
		run(p, 100);
		for (unsigned s = 0; s < SIDES; s++) {
			assert_int_equal(p->side[s].count, 1);
			assert_int_equal(p->side[s].given[0].at_ps,
					 start_ps + cases[i].cycles * p->period_ps);
		}
		pair_free(p);
	}
}

static void test_notify_twin_one_doorbell_and_one_service_a_cycle(void **state)
{
	(void)state;
	static const char *const modes[] = {"notify.mode=pending", "notify.mode=fifo"};
	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
		struct pair *p = plain_pair(modes[i]);
		uint64_t start_ps = p->now_ps + p->period_ps;
		for (unsigned s = 0; s < SIDES; s++)
			for (unsigned n = 0; n < 64; n++)
				doorbell_fifo_push(&p->side[s].notify->doorbells, start_ps,
						   (struct doorbell){(uint16_t)n, n});
		run(p, 100);
		check_services(p);
		for (unsigned n = 0; n < 64; n++)
			assert_int_equal(p->side[TWIN_RTL].given[n].at_ps, start_ps + (n + 1) * p->period_ps);
		pair_free(p);
	}
}

/* A kick by register takes effect at the next edge. */
static void test_notify_twin_kick_to_service(void **state)
{
	(void)state;
	struct pair *p = plain_pair("notify.holdoff_ns=100000");
	put(p, CSR_NOTIFY_KICK, 33);
	uint64_t start_ps = p->now_ps;
	run(p, 100);
	check_services(p);
	assert_int_equal(p->side[MODEL].given[0].at_ps, start_ps + 2 * p->period_ps);
	pair_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notify_twin_random_traffic_same_services),
		cmocka_unit_test(test_notify_twin_cycles_of_named_stages),
		cmocka_unit_test(test_notify_twin_one_doorbell_and_one_service_a_cycle),
		cmocka_unit_test(test_notify_twin_kick_to_service),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
