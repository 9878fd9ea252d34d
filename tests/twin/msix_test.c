/* The MSI-X generator's C model beside its RTL twin: the same events, masks, table, registers and resets, the same DMA channel with its
 * back-pressure. Every vector's messages have to be the same, address and data, and within a few cycles of the other side's but
 * for one in a hundred; table, PBA and registers read the same, statistics are equal.
 *
 * What happens comes in slots of 16 cycles, the channel is emptied at odd moments or not at all, and hold-offs end in the second
 * half of a slot. After what frees many vectors at once the messages are given time to leave. Where an event comes in the
 * cycle in which its vector's message leaves, one message or two are right, and the sides may differ: that is left to
 * the unit tests, which both pass. */
#include "rtl-model/blocks/msix/msix_rtl.h"
#include "tests/check.h"

#define RUNS         200u
#define ACTIONS      300u
#define SLOT         16u /* cycles */
#define TOLERANCE    4u  /* cycles: hold-offs that end together are taken one after the other by the RTL */
#define MESSAGES_MAX 4096u
#define VECTORS_MAX  150u

enum { MODEL, TWIN_RTL, SIDES };
enum { ENTRY = 16, DATA = 8, CONTROL = 12 };

struct message {
	uint64_t at_ps, addr;
	uint32_t data;
	bool matched;
};

struct side {
	struct msix *msix;
	struct cfg_control control;
	struct dma_request_fifo dma;
	struct waker self;
	uint64_t wake_ps;
	struct message message[MESSAGES_MAX];
	unsigned count;
};

struct pair {
	struct config config;
	struct side side[SIDES];
	struct rng rng;
	uint64_t period_ps, now_ps;
	unsigned take_every; /* cycles between two takes of the channel, 0: it is stalled */
	unsigned vectors;
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
	if (!its_turn || !dma_request_fifo_ready(&side->dma, p->now_ps))
		return;
	struct dma_request request = dma_request_fifo_pop(&side->dma, p->now_ps);
	assert_true(request.write);
	assert_int_equal(request.bytes, 4);
	assert_true(side->count < MESSAGES_MAX);
	side->message[side->count++] =
		(struct message){p->now_ps, request.addr, load_le32(request.data), false};
}

static void run(struct pair *p, unsigned cycles)
{
	for (unsigned i = 0; i < cycles; i++) {
		p->now_ps += p->period_ps;
		for (unsigned s = 0; s < SIDES; s++) {
			struct side *side = &p->side[s];
			take(p, side);
			while (side->wake_ps <= p->now_ps) {
				side->wake_ps = TIME_NEVER_PS;
				wake(side, msix_step(side->msix, p->now_ps));
			}
		}
	}
}

/* Whatever may leave has left, if the channel is not stalled. */
static void settle(struct pair *p)
{
	run(p, SLOT * (1 + (p->vectors * max_u32(p->take_every, 1) + 4) / SLOT));
}

static void write_bar(struct pair *p, uint32_t offset, uint32_t data, uint8_t be)
{
	for (unsigned s = 0; s < SIDES; s++)
		msix_bar_write32(p->side[s].msix, p->now_ps, offset, data, be);
}

static void write_register(struct pair *p, uint32_t offset, uint32_t value)
{
	for (unsigned s = 0; s < SIDES; s++)
		assert_true(msix_csr_write(p->side[s].msix, p->now_ps, offset, value));
}

static void event(struct pair *p, unsigned vector, bool moderated)
{
	for (unsigned s = 0; s < SIDES; s++)
		msix_event(p->side[s].msix, p->now_ps, vector, moderated);
}

static void set_control(struct pair *p, const struct cfg_control *control)
{
	for (unsigned s = 0; s < SIDES; s++) {
		p->side[s].control = *control;
		msix_control_changed(p->side[s].msix, p->now_ps);
	}
}

/* ---- what has to be the same ---- */

static void check_reads(struct pair *p)
{
	for (uint32_t at = 0; at < msix_bar_bytes(p->vectors); at += 4)
		assert_int_equal(msix_bar_read32(p->side[TWIN_RTL].msix, at),
				 msix_bar_read32(p->side[MODEL].msix, at));
	static const uint32_t offsets[] = {CSR_MSIX_HOLDOFF_NS, CSR_MSIX_THRESHOLD, CSR_MSIX_PENDING,
					   CSR_MSIX_ADAPTIVE};
	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
		uint32_t value[SIDES];
		for (unsigned s = 0; s < SIDES; s++)
			assert_true(msix_csr_read(p->side[s].msix, p->now_ps, offsets[i], &value[s]));
		assert_int_equal(value[TWIN_RTL], value[MODEL]);
	}
	assert_int_equal(msix_waiting(p->side[TWIN_RTL].msix), msix_waiting(p->side[MODEL].msix));
}

/* Each message of the model has one of the RTL that is the same; order may differ where they come together. Returns how
 * many are further apart than they should be. */
static unsigned check_messages(struct pair *p)
{
	unsigned late = 0;
	struct side *model = &p->side[MODEL], *rtl = &p->side[TWIN_RTL];
	assert_int_equal(rtl->count, model->count);
	for (unsigned i = 0; i < model->count; i++) {
		const struct message *m = &model->message[i];
		unsigned first = i > 2 * TOLERANCE ? i - 2 * TOLERANCE : 0, at = first;
		while (at < rtl->count && (rtl->message[at].matched || rtl->message[at].data != m->data ||
					   rtl->message[at].addr != m->addr))
			at++;
		assert_true(at < rtl->count);
		struct message *r = &rtl->message[at];
		r->matched = true;
		uint64_t apart_ps = r->at_ps > m->at_ps ? r->at_ps - m->at_ps : m->at_ps - r->at_ps;
		late += apart_ps > TOLERANCE * p->period_ps;
	}
	return late;
}

/* ---- what happens ---- */

static unsigned any_vector(struct pair *p)
{
	return below(p, 3) ? below(p, min_u32(p->vectors, 4)) : below(p, p->vectors);
}

static void write_table(struct pair *p)
{
	static const uint8_t enables[] = {0xf, 0xf, 1, 2, 4, 8, 3, 12, 0, 5};
	uint32_t offset = any_vector(p) * ENTRY + 4 * below(p, 3);
	write_bar(p, offset, (uint32_t)rng_u64(&p->rng), enables[below(p, ARRAY_SIZE(enables))]);
}

/* Vectors become free, or no longer; the channel is not moved meanwhile. */
static void change_control(struct pair *p)
{
	struct cfg_control control = p->side[MODEL].control;
	switch (below(p, 4)) {
	case 0: control.msix_enable = below(p, 4) != 0; break;
	case 1: control.msix_function_mask = below(p, 2); break;
	case 2: control.bus_master = below(p, 4) != 0; break;
	case 3: control.power_state = below(p, 4) ? 0 : 3; break;
	}
	set_control(p, &control);
	settle(p);
}

static uint32_t any_holdoff_ns(struct pair *p)
{
	uint64_t cycles = below(p, 3) ? SLOT * below(p, 20) + SLOT / 2 : 0;
	return (uint32_t)(cycles * p->period_ps / PS_PER_NS);
}

static void act(struct pair *p)
{
	unsigned draw = below(p, 100);
	if (draw < 50) {
		event(p, any_vector(p), below(p, 4) != 0);
	} else if (draw < 62) {
		write_bar(p, any_vector(p) * ENTRY + CONTROL, below(p, 2), below(p, 8) ? 0xf : 0xe);
	} else if (draw < 70) {
		write_table(p);
	} else if (draw < 78) {
		change_control(p);
	} else if (draw < 82) {
		static const unsigned intervals[] = {0, 1, 1, 2, 3};
		p->take_every = intervals[below(p, ARRAY_SIZE(intervals))];
		settle(p);
	} else if (draw < 90) {
		run(p, SLOT * below(p, 40));
	} else if (draw < 93) {
		write_register(p, CSR_MSIX_HOLDOFF_NS, any_holdoff_ns(p));
		settle(p);
	} else if (draw < 95) {
		write_register(p, CSR_MSIX_THRESHOLD, below(p, 6));
		settle(p);
	} else if (draw < 96) {
		write_register(p, CSR_MSIX_ADAPTIVE, below(p, 2));
		settle(p);
	} else if (draw < 99) {
		check_reads(p);
	} else {
		bool all = below(p, 2);
		for (unsigned s = 0; s < SIDES; s++)
			(all ? msix_reset : msix_drop_events)(p->side[s].msix);
	}
	run(p, SLOT);
}

/* ---- runs ---- */

static struct pair *pair_create(unsigned vectors, const char *clock)
{
	struct pair *p = calloc(1, sizeof(*p));
	char error[160];
	assert_non_null(p);
	config_defaults(&p->config);
	p->config.msix.vectors = p->vectors = vectors;
	if (config_set(&p->config, clock, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	p->period_ps = config_period_ps(p->config.device.clock_mhz);
	p->take_every = 1;
	for (unsigned s = 0; s < SIDES; s++) {
		struct side *side = &p->side[s];
		side->self = (struct waker){wake, side};
		side->wake_ps = TIME_NEVER_PS;
		side->control = (struct cfg_control){.bus_master = true, .msix_enable = true};
		const struct msix_ports ports = {
			.self = &side->self, .control = &side->control, .dma = &side->dma};
		side->msix = (s == MODEL ? msix_create : msix_rtl_create)(&p->config, &ports);
		assert_non_null(side->msix);
	}
	return p;
}

static void pair_free(struct pair *p)
{
	for (unsigned s = 0; s < SIDES; s++)
		msix_free(p->side[s].msix);
	free(p);
}

/* Each vector its own address and data, not masked. */
static void program_all(struct pair *p)
{
	for (unsigned v = 0; v < p->vectors; v++) {
		write_bar(p, v * ENTRY, 0xfee00000 + 4 * v, 0xf);
		write_bar(p, v * ENTRY + 4, v % 3, 0xf);
		write_bar(p, v * ENTRY + DATA, 0x4000 + v, 0xf);
		write_bar(p, v * ENTRY + CONTROL, 0, 0xf);
		run(p, SLOT);
	}
}

/* Everything that waits is sent. */
static void drain(struct pair *p)
{
	const struct cfg_control open = {.bus_master = true, .msix_enable = true};
	p->take_every = 1;
	settle(p);
	set_control(p, &open);
	settle(p);
	for (unsigned v = 0; v < p->vectors; v++) {
		write_bar(p, v * ENTRY + CONTROL, 0, 0xf);
		run(p, SLOT);
	}
	run(p, SLOT * 40);
	for (unsigned s = 0; s < SIDES; s++)
		assert_int_equal(msix_waiting(p->side[s].msix), 0);
}

static void test_msix_twin_random_traffic_same_messages(void **state)
{
	(void)state;
	static const char *const clocks[] = {"device.clock_mhz=500", "device.clock_mhz=250",
					     "device.clock_mhz=1000"};
	static const unsigned counts[] = {2, 3, 65, 64, 1, 128, VECTORS_MAX, 17};
	uint64_t seed = test_seed(42);
	unsigned messages = 0, late = 0;
	for (unsigned i = 0; i < RUNS; i++) {
		struct pair *p = pair_create(counts[i % ARRAY_SIZE(counts)], clocks[i % 3]);
		rng_seed(&p->rng, seed, i);
		program_all(p);
		write_register(p, CSR_MSIX_ADAPTIVE, i / 2 % 2);
		write_register(p, CSR_MSIX_HOLDOFF_NS, any_holdoff_ns(p));
		settle(p);
		for (unsigned n = 0; n < ACTIONS; n++)
			act(p);
		drain(p);
		late += check_messages(p);
		check_reads(p);
		assert_memory_equal(&p->side[TWIN_RTL].msix->stats, &p->side[MODEL].msix->stats,
				    sizeof(struct msix_stats));
		messages += p->side[MODEL].count;
		pair_free(p);
	}
	assert_true(messages > 20 * RUNS);
	assert_true(late <= messages / 100); /* after a walk, and what comes of that */
}

/* ---- named stages (README.md, Times) ---- */

static void test_msix_twin_cycles_of_named_stages(void **state)
{
	(void)state;
	struct pair *p = pair_create(65, "device.clock_mhz=500");
	program_all(p);
	write_register(p, CSR_MSIX_HOLDOFF_NS, 64); /* 32 cycles */
	run(p, SLOT);
	uint64_t start_ps = p->now_ps + p->period_ps; /* the edge that takes the event */
	event(p, 7, true);
	run(p, SLOT / 2);
	event(p, 7, true);
	run(p, 10 * SLOT);
	uint64_t masked_ps = p->now_ps;
	write_bar(p, 9 * ENTRY + CONTROL, 1, 0xf);
	event(p, 9, true);
	run(p, SLOT);
	write_bar(p, 9 * ENTRY + CONTROL, 0, 0xf);
	run(p, SLOT);
	for (unsigned s = 0; s < SIDES; s++) {
		const struct side *side = &p->side[s];
		assert_int_equal(side->count, 3);
		/* event to DMA channel */
		assert_int_equal(side->message[0].at_ps, start_ps + p->period_ps);
		/* message to end of hold-off, and that to the channel */
		assert_int_equal(side->message[1].at_ps, side->message[0].at_ps + 33 * p->period_ps);
		/* write that unmasks to channel */
		assert_int_equal(side->message[2].at_ps, masked_ps + (SLOT + 2) * p->period_ps);
	}
	pair_free(p);
}

static void test_msix_twin_one_message_a_cycle(void **state)
{
	(void)state;
	struct pair *p = pair_create(VECTORS_MAX, "device.clock_mhz=500");
	const struct cfg_control masked = {
		.bus_master = true, .msix_enable = true, .msix_function_mask = true};
	const struct cfg_control open = {.bus_master = true, .msix_enable = true};
	program_all(p);
	set_control(p, &masked);
	run(p, SLOT);
	for (unsigned v = 0; v < VECTORS_MAX; v++) {
		event(p, v, false);
		run(p, SLOT);
	}
	set_control(p, &open);
	run(p, 2 * VECTORS_MAX);
	for (unsigned s = 0; s < SIDES; s++) {
		const struct side *side = &p->side[s];
		assert_int_equal(side->count, VECTORS_MAX);
		for (unsigned i = 1; i < side->count; i++) {
			assert_int_equal(side->message[i].at_ps, side->message[i - 1].at_ps + p->period_ps);
			assert_int_equal(side->message[i].data, 0x4000 + i);
		}
	}
	pair_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_msix_twin_random_traffic_same_messages, "INT-002 INT-004 INT-005"),
		cmocka_unit_test(test_msix_twin_cycles_of_named_stages),
		cmocka_unit_test(test_msix_twin_one_message_a_cycle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
