/* Running ahead of time must not be visible: whatever the moments at which cpu_step is called and the limits it is given, the
 * core's register accesses happen at the same times with the same values, and the same instructions are interrupted.
 * The measure is the core single-stepped, with every event delivered between two instructions. */
#include "tests/unit/rtl-model/cpu_fixture.h"

enum {
	LINE_AFTER = REGS + 0x100, /* a write raises the external line so many ps later */
	LINE_DOWN = REGS + 0x104,  /* a write lowers it at once */
	TIME = REGS + 0x108,       /* reads the time of the access in ns */
	HANDLER = 0x400,
	TIMER = 7,
	EXTERNAL = 11,
	EVENTS_MAX = 4096,
};

/* How cpu_step is called. */
enum manner {
	SINGLE_STEPS,
	LIMIT_EXACT,     /* the next event */
	LIMIT_NEARER,    /* a promise for a shorter time than could be given */
	LIMIT_NOW,       /* none at all */
	CALLED_TOO_OFTEN /* woken for nothing between the times it asks for */
};

struct world {
	struct core *core;
	struct rng rng;                       /* of the manner, not of the world */
	struct line_event events[EVENTS_MAX]; /* sorted by time */
	size_t count, next;
};

static void add_event(struct world *w, struct line_event event)
{
	size_t at = w->count++;
	assert_true(w->count <= EVENTS_MAX);
	for (; at > w->next && w->events[at - 1].at_ps > event.at_ps; at--)
		w->events[at] = w->events[at - 1];
	w->events[at] = event;
}

static bool world_read(void *ctx, uint64_t now_ps, uint32_t addr, uint32_t *value)
{
	struct world *w = ctx;
	if (!core_bus_read(w->core, now_ps, addr, value))
		return false;
	if (addr == TIME)
		*value = (uint32_t)(now_ps / PS_PER_NS);
	w->core->log[w->core->accesses - 1].value = *value;
	return true;
}

static bool world_write(void *ctx, uint64_t now_ps, uint32_t addr, uint32_t value)
{
	struct world *w = ctx;
	if (addr == LINE_AFTER)
		add_event(w, (struct line_event){now_ps + 1 + value % 40000, EXTERNAL, true});
	if (addr == LINE_DOWN)
		cpu_set_interrupt(w->core->cpu, now_ps, EXTERNAL, false);
	return core_bus_write(w->core, now_ps, addr, value);
}

/* ---- programs -------------------------------------------------------------------------------------------- */

/* In the handler and the program T0 to T2 belong to the handler, S0 points to data, S1 to LINE_AFTER, S2 to the request
 * memory. The handler logs the time, the cause and where it struck, and lowers the external line. */
static void put_handler(struct core *core)
{
	const uint32_t code[] = {
		asm_csrrs(T1, MEPC, ZERO),
		asm_sw(T1, S1, 0x20),
		asm_csrrs(T1, MCAUSE, ZERO),
		asm_sw(T1, S1, 0x24),
		asm_sw(ZERO, S1, LINE_DOWN - LINE_AFTER),
		asm_csrrs(T1, MCYCLE, ZERO),
		asm_sw(T1, S1, 0x28),
		asm_addi(T0, T0, 1),
		asm_lw(T2, S1, TIME - LINE_AFTER),
		ASM_MRET,
	};
	for (uint32_t i = 0; i < ARRAY_SIZE(code); i++)
		core_put(core, HANDLER + 4 * i, code[i]);
}

static uint32_t random_word(struct rng *rng)
{
	uint32_t rd = A0 + (uint32_t)rng_below(rng, 6), rs = A0 + (uint32_t)rng_below(rng, 6);
	switch (rng_below(rng, 20)) {
	case 0: return asm_div(rd, rs, rd);
	case 1: return asm_mul(rd, rs, rd);
	case 2: return asm_lw(rd, S0, 4 * (int32_t)rng_below(rng, 100));
	case 3: return asm_lw(rd, S2, 4 * (int32_t)rng_below(rng, 100));
	case 4: return asm_sw(rs, S2, 4 * (int32_t)rng_below(rng, 100));
	case 5: return asm_sw(rs, S1, 0); /* LINE_AFTER */
	case 6: return asm_sw(rs, S1, 0x10);
	case 7: return asm_lw(rd, S1, TIME - LINE_AFTER);
	case 8: return asm_csrrs(rd, MIP, ZERO);
	case 9: return asm_csrrs(rd, MCYCLE, ZERO);
	case 10: return asm_csrrci(ZERO, MSTATUS, 8);
	case 11:
	case 12: return asm_csrrsi(ZERO, MSTATUS, 8);
	case 13: return ASM_WFI;
	case 14: return asm_beq(rs, rd, 8);
	case 15: return asm_csrrs(rd, MINSTRET, ZERO);
	default: return asm_add(rd, rd, rs);
	}
}

/* The same program and the same events of other blocks for the same seed. */
static void world_start(struct world *w, uint64_t seed)
{
	static const uint32_t start[] = {0, 0, 0};
	struct rng rng;
	uint64_t at_ps = 0;
	rng_seed(&rng, seed, 1);
	core_load(w->core, start, ARRAY_SIZE(start));
	uint32_t words = 20 + (uint32_t)rng_below(&rng, 200);
	core_put(w->core, 0, asm_csrrw(ZERO, MTVEC, A0));
	core_put(w->core, 4, asm_csrrw(ZERO, MIE, A1));
	for (uint32_t i = 2; i < words; i++)
		core_put(w->core, 4 * i, random_word(&rng));
	core_put(w->core, 4 * words, asm_nop()); /* where a branch over the last word goes */
	core_put(w->core, 4 * words + 4, asm_jal(ZERO, -(int32_t)(4 * words - 4)));
	put_handler(w->core);
	memset(w->core->sram, 0, SRAM_BYTES);
	memset(w->core->regs, 0, sizeof(w->core->regs));
	w->core->accesses = 0;
	cpu_reset(w->core->cpu, 0, (uint32_t)TCM);
	cpu_set_interrupt(w->core->cpu, 0, EXTERNAL, false);
	cpu_set_interrupt(w->core->cpu, 0, TIMER, false);
	cpu_set_register(w->core->cpu, A0, (uint32_t)TCM + HANDLER);
	cpu_set_register(w->core->cpu, A1, rng_below(&rng, 4) ? 0x888 : 0x80);
	cpu_set_register(w->core->cpu, S0, (uint32_t)TCM + 0x2000);
	cpu_set_register(w->core->cpu, S1, LINE_AFTER);
	cpu_set_register(w->core->cpu, S2, SRAM);
	w->count = w->next = 0;
	for (unsigned i = 0; i < 60; i++) { /* pulses of the timer, short and long */
		at_ps += 1 + rng_below(&rng, 300000);
		add_event(w, (struct line_event){at_ps, TIMER, true});
		at_ps += 1 + rng_below(&rng, i % 2 ? 300 : 30000);
		add_event(w, (struct line_event){at_ps, TIMER, false});
	}
}

/* ---- the ways of letting time pass ------------------------------------------------------------------- */

static uint64_t next_event_ps(const struct world *w)
{
	return w->next < w->count ? w->events[w->next].at_ps : TIME_NEVER_PS;
}

static void deliver(struct world *w, uint64_t now_ps)
{
	while (next_event_ps(w) <= now_ps) {
		const struct line_event *e = &w->events[w->next++];
		cpu_set_interrupt(w->core->cpu, e->at_ps, e->bit, e->level);
	}
}

static void run_single_steps(struct world *w, uint64_t end_ps)
{
	struct cpu *cpu = w->core->cpu;
	while (cpu_time_ps(cpu) < end_ps) {
		deliver(w, cpu_time_ps(cpu));
		if (cpu_state(cpu) == CPU_RUNNING)
			cpu_single_step(cpu);
		else if (next_event_ps(w) < end_ps)
			deliver(w, next_event_ps(w));
		else
			return;
	}
}

static uint64_t limit_of(struct world *w, enum manner manner, uint64_t now_ps)
{
	uint64_t limit_ps = next_event_ps(w);
	if (manner == LIMIT_NOW)
		return now_ps;
	if (manner == LIMIT_NEARER)
		return min_u64(limit_ps, now_ps + rng_below(&w->rng, 50000));
	return limit_ps;
}

static void run_kernel(struct world *w, enum manner manner, uint64_t end_ps)
{
	struct cpu *cpu = w->core->cpu;
	uint64_t wake_ps = 0, now_ps = 0;
	for (;;) {
		uint64_t next_ps = min_u64(wake_ps, next_event_ps(w));
		if (manner == CALLED_TOO_OFTEN && next_ps != TIME_NEVER_PS && rng_below(&w->rng, 2))
			next_ps = now_ps + rng_below(&w->rng, next_ps - now_ps + 1);
		now_ps = next_ps;
		if (now_ps >= end_ps)
			return;
		deliver(w, now_ps);
		wake_ps = cpu_step(cpu, now_ps, limit_of(w, manner, now_ps));
		assert_true(wake_ps > now_ps);
		struct cpu_stats stats = cpu_stats(cpu, now_ps);
		assert_int_equal(stats.cycles + stats.asleep_cycles, now_ps / PERIOD_PS);
	}
}

/* ---- comparing ----------------------------------------------------------------------------------------------- */

/* Accesses before `end_ps`: a core may have run on, or not, behind it. */
static unsigned accesses_before(const struct core *core, uint64_t end_ps)
{
	unsigned n = core->accesses;
	while (n && core->log[n - 1].at_ps >= end_ps)
		n--;
	return n;
}

static void compare_logs(const struct core *want, const struct core *got, uint64_t end_ps, uint64_t seed,
			 int manner)
{
	unsigned count = accesses_before(want, end_ps);
	for (unsigned i = 0; i < count; i++) {
		const struct access *a = &want->log[i], *b = &got->log[i];
		if (i >= got->accesses || a->at_ps != b->at_ps || a->addr != b->addr ||
		    a->value != b->value || a->write != b->write)
			fail_msg("seed %llu, manner %d: access %u at %llu ps of %#x = %#x differs: %llu ps, "
				 "%#x = %#x",
				 (unsigned long long)seed, manner, i, (unsigned long long)a->at_ps, a->addr,
				 a->value, (unsigned long long)b->at_ps, b->addr, b->value);
	}
	assert_int_equal(accesses_before(got, end_ps), count);
}

static struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));
	const struct cpu_bus bus = {w, world_read, world_write};
	w->core = core_new(NULL, &bus);
	return w;
}

static void world_free(struct world *w)
{
	core_free(w->core);
	free(w);
}

static void test_cpu_accesses_do_not_depend_on_how_it_is_called(void **state)
{
	(void)state;
	const uint64_t end_ps = 20 * PS_PER_US;
	struct world *golden = world_new(), *other = world_new();
	uint64_t first = test_seed(1), accesses = 0, interrupts = 0, asleep = 0;
	for (uint64_t seed = first; seed < first + 60; seed++) {
		world_start(golden, seed);
		run_single_steps(golden, end_ps);
		for (enum manner manner = LIMIT_EXACT; manner <= CALLED_TOO_OFTEN; manner++) {
			world_start(other, seed);
			rng_seed(&other->rng, seed, (uint64_t)manner);
			run_kernel(other, manner, end_ps);
			compare_logs(golden->core, other->core, end_ps, seed, manner);
			struct cpu_stats a = cpu_stats(golden->core->cpu, end_ps - 1);
			struct cpu_stats b = cpu_stats(other->core->cpu, end_ps - 1);
			assert_int_equal(a.cycles, b.cycles);
			assert_int_equal(a.asleep_cycles, b.asleep_cycles);
		}
		struct cpu_stats stats = cpu_stats(golden->core->cpu, end_ps);
		accesses += golden->core->accesses;
		interrupts += stats.interrupts;
		asleep += stats.asleep_cycles;
	}
	/* The programs have done what they are for. */
	assert_true(accesses > 60 * 100);
	assert_true(interrupts > 60 * 10);
	assert_true(asleep > 60 * 1000);
	world_free(golden);
	world_free(other);
}

/* ---- single properties, by hand -------------------------------------------------------------------- */

static void test_cpu_access_later_than_now_waits_for_its_time(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, asm_nop(), asm_nop(), asm_nop(), asm_sw(A1, A0, 0), asm_nop(), asm_lw(A2, A0, 4),
		  ASM_WFI);
	cpu_set_register(core->cpu, A0, REGS);
	cpu_set_register(core->cpu, A1, 77);
	assert_int_equal(cpu_step(core->cpu, 0, TIME_NEVER_PS), 3000);
	assert_int_equal(core->accesses, 0);
	assert_int_equal(cpu_step(core->cpu, 2999, TIME_NEVER_PS), 3000);
	assert_int_equal(core->accesses, 0);
	core->regs[1] = 5;
	assert_int_equal(cpu_step(core->cpu, 3000, TIME_NEVER_PS), 6000); /* a write takes 2 cycles */
	assert_int_equal(core->accesses, 1);
	assert_int_equal(core->log[0].at_ps, 3000);
	assert_int_equal(core->log[0].value, 77);
	core->regs[1] = 6; /* changes after the core has run up to its read */
	/* A read takes 8. It may have set off an interrupt, so wfi cannot rely on the limit given before it. */
	assert_int_equal(cpu_step(core->cpu, 6000, TIME_NEVER_PS), 14000);
	assert_int_equal(core_reg(core, A2), 6);
	assert_int_equal(core->log[1].at_ps, 6000);
	assert_int_equal(cpu_step(core->cpu, 14000, TIME_NEVER_PS), TIME_NEVER_PS);
	core_free(core);
}

static void test_cpu_read_of_mip_waits_until_lines_are_known(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, asm_nop(), asm_nop(), asm_csrrs(A0, MIP, ZERO), asm_nop(), asm_csrrs(A1, MIP, ZERO),
		  ASM_WFI);
	assert_int_equal(cpu_step(core->cpu, 0, 2500), 4000); /* the first read is known, the second not */
	cpu_set_interrupt(core->cpu, 2500, 7, true);
	assert_int_equal(cpu_step(core->cpu, 2500, 3000), 4000);
	assert_int_equal(cpu_step(core->cpu, 4000, TIME_NEVER_PS), TIME_NEVER_PS);
	assert_int_equal(core_reg(core, A0), 0);
	assert_int_equal(core_reg(core, A1), 0x80);
	core_free(core);
}

static void test_cpu_without_interrupts_runs_beyond_the_limit(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	for (uint32_t i = 0; i < 100; i++)
		core_put(core, 4 * i, asm_nop());
	core_put(core, 400, asm_lw(A0, A1, 0));
	cpu_reset(core->cpu, 0, (uint32_t)TCM);
	cpu_set_register(core->cpu, A1, REGS);
	assert_int_equal(cpu_step(core->cpu, 0, 5000), 100000);
	core_free(core);
}

static void test_cpu_endless_loop_returns_after_the_run_ahead(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, asm_nop(), asm_jal(ZERO, -4));
	uint64_t now_ps = 0;
	for (unsigned i = 0; i < 5; i++) {
		uint64_t next_ps = cpu_step(core->cpu, now_ps, TIME_NEVER_PS);
		assert_in_range((next_ps - now_ps) / PERIOD_PS, CPU_RUN_AHEAD_CYCLES,
				CPU_RUN_AHEAD_CYCLES + 1);
		now_ps = next_ps;
	}
	core_free(core);
}

/* At every moment, run ahead or behind, awake, asleep or stuck: cycles + asleep = elapsed periods, and neither ever
 * decreases. */
static void test_cpu_cycles_and_sleep_add_up_to_elapsed_time(void **state)
{
	(void)state;
	static const char *const settings[] = {"core.clock_mhz=300", NULL}; /* 3333 ps */
	struct core *core = core_new(settings, NULL);
	const uint64_t start_ps = 1234567;
	CORE_LOAD(core, asm_csrrw(ZERO, MIE, S1), asm_div(A0, A0, A0), ASM_WFI, asm_div(A0, A0, A0), ASM_WFI,
		  asm_csrrw(ZERO, MIE, ZERO), asm_div(A0, A0, A0), asm_jal(ZERO, 0));
	cpu_reset(core->cpu, start_ps, (uint32_t)TCM);
	cpu_set_register(core->cpu, S1, 0x888);
	struct cpu_stats last = {0};
	uint64_t wake_ps = start_ps;
	for (uint64_t now_ps = start_ps; now_ps < start_ps + PS_PER_US; now_ps += 777) {
		uint64_t since_ps = now_ps - start_ps;
		cpu_set_interrupt(core->cpu, now_ps, TIMER, since_ps / 200000 % 2 == 1);
		if (cpu_state(core->cpu) == CPU_RUNNING && (wake_ps <= now_ps || wake_ps == TIME_NEVER_PS))
			wake_ps = cpu_step(core->cpu, now_ps, now_ps + 777);
		struct cpu_stats stats = cpu_stats(core->cpu, now_ps);
		assert_int_equal(stats.cycles + stats.asleep_cycles, since_ps / 3333);
		assert_true(stats.cycles >= last.cycles && stats.asleep_cycles >= last.asleep_cycles);
		last = stats;
	}
	assert_int_equal(cpu_state(core->cpu), CPU_STUCK);
	assert_int_equal(last.cycles, 1 + 34 + 1 + 34 + 1 + 1 + 34);
	core_free(core);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpu_accesses_do_not_depend_on_how_it_is_called),
		cmocka_unit_test(test_cpu_access_later_than_now_waits_for_its_time),
		cmocka_unit_test(test_cpu_read_of_mip_waits_until_lines_are_known),
		cmocka_unit_test(test_cpu_without_interrupts_runs_beyond_the_limit),
		cmocka_unit_test(test_cpu_endless_loop_returns_after_the_run_ahead),
		cmocka_unit_test(test_cpu_cycles_and_sleep_add_up_to_elapsed_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
