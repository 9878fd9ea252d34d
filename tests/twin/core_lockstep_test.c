/* The RTL core beside the instruction-set simulator, on random programs: in lockstep an instruction at a time, and running
 * freely ahead of time as in the device. Registers, memory, traps, register accesses and cycles must agree exactly. */
#include "rtl-model/blocks/cpu/decode.h"
#include "tests/twin/core_coverage.h"

#include <inttypes.h>

enum { PROGRAMS = 1000, FREE_PROGRAMS = 200, EVENTS_MAX = 2048, STEPS_MAX = 200000 };

/* One core and what is around it. Both worlds are alike, and what the one's registers do the other's do too. */
struct world {
	struct core *core;
	struct line_event events[EVENTS_MAX]; /* sorted by time */
	size_t count, next;
};

struct pair {
	struct world iss, rtl;
	struct core_program program;
	struct coverage coverage;
	uint64_t seed, steps;
	struct rng rng;   /* of the manner in which the core is called */
	bool interrupted; /* the trace has told of an interrupt that the simulator has still to take */
	uint32_t interrupted_pc;
};

/* ---- registers and lines ----------------------------------------------------------------------------------- */

static void add_event(struct world *w, struct line_event event)
{
	size_t at = w->count++;
	assert_true(w->count <= EVENTS_MAX);
	for (; at > w->next && w->events[at - 1].at_ps > event.at_ps; at--)
		w->events[at] = w->events[at - 1];
	w->events[at] = event;
}

static unsigned line_of(uint32_t random)
{
	static const unsigned lines[] = {3, 7, 11};
	return lines[random % 3];
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
	if (addr == LINE_AFTER && w->count < EVENTS_MAX - 8)
		add_event(w, (struct line_event){now_ps + 1 + value % 40000, line_of(value >> 16), true});
	if (addr == LINE_UP)
		cpu_set_interrupt(w->core->cpu, now_ps, line_of(value), true);
	if (addr == LINE_DOWN)
		cpu_set_interrupt(w->core->cpu, now_ps, line_of((value & 31) / 4), false);
	return core_bus_write(w->core, now_ps, addr, value);
}

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

static void world_start(struct world *w, const struct core_program *p, uint64_t seed)
{
	struct rng rng;
	uint64_t at_ps = 0;
	rng_seed(&rng, seed, 11);
	memcpy(w->core->tcm, p->tcm, TCM_BYTES);
	memcpy(w->core->sram, p->sram, SRAM_BYTES);
	memcpy(w->core->regs, p->regs, sizeof(p->regs));
	w->core->accesses = 0;
	w->count = w->next = 0;
	cpu_reset(w->core->cpu, 0, (uint32_t)TCM);
	for (unsigned i = 0; i < 3; i++)
		cpu_set_interrupt(w->core->cpu, 0, line_of(i), false);
	for (unsigned i = 1; i < 32; i++)
		cpu_set_register(w->core->cpu, i, p->x[i]);
	for (unsigned i = 0; i < 300; i++) { /* pulses, long and short, at any time between two edges */
		unsigned line = line_of((uint32_t)rng_u64(&rng));
		at_ps += 1 + rng_below(&rng, i % 3 ? 20000 : 300000);
		add_event(w, (struct line_event){at_ps, line, true});
		at_ps += 1 + rng_below(&rng, i % 2 ? 3000 : 60000);
		add_event(w, (struct line_event){at_ps, line, false});
	}
	for (unsigned i = 0; i < 3; i++) /* so that no wfi waits for ever */
		add_event(w, (struct line_event){at_ps + 1000, line_of(i), true});
}

static void pair_start(struct pair *pair)
{
	core_program_generate(&pair->program, pair->seed);
	world_start(&pair->iss, &pair->program, pair->seed);
	world_start(&pair->rtl, &pair->program, pair->seed);
	pair->steps = 0;
}

/* ---- comparing ------------------------------------------------------------------------------------------------ */

static void differs(const struct pair *pair, const char *what, uint64_t iss, uint64_t rtl)
{
	fail_msg("%s differs after %" PRIu64 " instructions, at pc %#x: iss %#" PRIx64 ", rtl %#" PRIx64
		 "; replay with KICKSTAND_TEST_SEED=%" PRIu64 " build/tests/twin/core_lockstep_test",
		 what, pair->steps, core_pc(pair->iss.core), iss, rtl, pair->seed);
}

static void compare_registers(const struct pair *pair)
{
	const struct core *iss = pair->iss.core, *rtl = pair->rtl.core;
	for (unsigned i = 0; i <= 32; i++) {
		char name[8];
		snprintf(name, sizeof(name), "x%u", i);
		if (core_reg(iss, i) != core_reg(rtl, i))
			differs(pair, i == 32 ? "pc" : name, core_reg(iss, i), core_reg(rtl, i));
	}
}

static void compare_csrs(const struct pair *pair)
{
	static const struct {
		const char *name;
		unsigned number;
	} csrs[] = {
		{"mstatus", MSTATUS}, {"mie", MIE},         {"mtvec", MTVEC},       {"mscratch", MSCRATCH},
		{"mepc", MEPC},       {"mcause", MCAUSE},   {"mtval", MTVAL},       {"mip", MIP},
		{"mcycle", MCYCLE},   {"mcycleh", MCYCLEH}, {"minstret", MINSTRET}, {"minstreth", MINSTRETH},
	};
	for (size_t i = 0; i < ARRAY_SIZE(csrs); i++) {
		uint32_t iss = core_csr(pair->iss.core, csrs[i].number);
		uint32_t rtl = core_csr(pair->rtl.core, csrs[i].number);
		if (iss != rtl)
			differs(pair, csrs[i].name, iss, rtl);
	}
}

static void compare_time(const struct pair *pair)
{
	const struct cpu *iss = pair->iss.core->cpu, *rtl = pair->rtl.core->cpu;
	struct cpu_stats a = cpu_stats(iss, cpu_time_ps(iss)), b = cpu_stats(rtl, cpu_time_ps(rtl));
	if (cpu_state(iss) != cpu_state(rtl))
		differs(pair, "state", cpu_state(iss), cpu_state(rtl));
	if (a.cycles != b.cycles)
		differs(pair, "cycles", a.cycles, b.cycles);
	if (memcmp(&a, &b, sizeof(a)) != 0)
		differs(pair, "a statistic (instructions shown)", a.instructions, b.instructions);
}

static void compare_accesses(const struct pair *pair)
{
	const struct core *iss = pair->iss.core, *rtl = pair->rtl.core;
	if (iss->accesses != rtl->accesses)
		differs(pair, "number of register accesses", iss->accesses, rtl->accesses);
	if (iss->accesses == 0)
		return;
	const struct access *a = &iss->log[iss->accesses - 1], *b = &rtl->log[rtl->accesses - 1];
	if (a->at_ps != b->at_ps || a->addr != b->addr || a->value != b->value || a->write != b->write)
		differs(pair, "register access", a->addr, b->addr);
}

static void compare_memory(const struct pair *pair, uint32_t offset, uint32_t bytes)
{
	for (uint32_t at = offset & ~3u; at < offset + bytes; at += 4)
		if (load_le32(pair->iss.core->tcm + at) != load_le32(pair->rtl.core->tcm + at))
			differs(pair, "memory", load_le32(pair->iss.core->tcm + at),
				load_le32(pair->rtl.core->tcm + at));
}

static void compare_all_memory(const struct pair *pair)
{
	compare_memory(pair, 0, TCM_BYTES);
	assert_memory_equal(pair->iss.core->sram, pair->rtl.core->sram, SRAM_BYTES);
	assert_memory_equal(pair->iss.core->regs, pair->rtl.core->regs, REGS_BYTES);
}

/* ---- lockstep ------------------------------------------------------------------------------------------------- */

static uint32_t raw_at(const struct core *core, uint32_t pc)
{
	uint32_t offset = pc - (uint32_t)TCM;
	if (offset > TCM_BYTES - 4)
		return 0;
	uint32_t raw = load_le32(core->tcm + offset);
	return raw_bytes(raw) == 4 ? raw : raw & 0xffff;
}

/* The address a load or store will use. */
static uint32_t address_of(const struct core *core, uint32_t raw)
{
	uint32_t word = raw_bytes(raw) == 4 ? raw : expand16(raw);
	int32_t imm = (int32_t)word >> 20;
	if ((word & 0x7f) == 0x23)
		imm = (imm & ~31) | (int32_t)(word >> 7 & 31);
	return core_reg(core, word >> 15 & 31) + (uint32_t)imm;
}

/* What the simulator has just done, from its state before and after. */
static struct ended ended_of(const struct core *core, const struct cpu_stats *before, struct ended ended)
{
	struct cpu_stats after = cpu_stats(core->cpu, cpu_time_ps(core->cpu));
	ended.next_pc = core_pc(core);
	ended.retired = after.instructions != before->instructions;
	ended.interrupted = after.interrupts != before->interrupts;
	ended.slept = cpu_state(core->cpu) == CPU_ASLEEP;
	ended.cause = core_csr(core, MCAUSE);
	ended.vectored = core_csr(core, MTVEC) & 1;
	return ended;
}

/* An interrupt is taken, and then the first instruction of the handler is executed in the same step. */
static void count_step(struct pair *pair, const struct cpu_stats *before, struct ended ended)
{
	ended = ended_of(pair->iss.core, before, ended);
	if (ended.interrupted)
		ended.retired = false;
	coverage_add(&pair->coverage, &ended);
}

static void lockstep_one(struct pair *pair)
{
	struct cpu *iss = pair->iss.core->cpu, *rtl = pair->rtl.core->cpu;
	uint32_t pc = core_pc(pair->iss.core), raw = raw_at(pair->iss.core, pc);
	uint32_t address = address_of(pair->iss.core, raw);
	struct cpu_stats before = cpu_stats(iss, cpu_time_ps(iss));
	cpu_single_step(iss);
	cpu_single_step(rtl);
	pair->steps++;
	compare_registers(pair);
	compare_csrs(pair);
	compare_time(pair);
	compare_accesses(pair);
	if (address - (uint32_t)TCM < TCM_BYTES - 4)
		compare_memory(pair, address - (uint32_t)TCM, 4);
	count_step(pair, &before, (struct ended){.pc = pc, .raw = raw, .address = address});
}

static bool at_end(const struct core *core)
{
	return cpu_state(core->cpu) != CPU_RUNNING && core_csr(core, MIE) == 0;
}

static void run_in_lockstep(struct pair *pair)
{
	while (!at_end(pair->iss.core)) {
		uint64_t now_ps = cpu_time_ps(pair->iss.core->cpu);
		assert_true(pair->steps < STEPS_MAX);
		if (cpu_state(pair->iss.core->cpu) == CPU_ASLEEP)
			now_ps = max_u64(now_ps, next_event_ps(&pair->iss));
		deliver(&pair->iss, now_ps);
		deliver(&pair->rtl, now_ps);
		lockstep_one(pair);
	}
	compare_all_memory(pair);
}

static void test_cores_agree_in_lockstep(void **state)
{
	struct pair *pair = *state;
	uint64_t first = test_seed(1), steps = 0, interrupts = 0;
	for (pair->seed = first; pair->seed < first + PROGRAMS; pair->seed++) {
		pair_start(pair);
		run_in_lockstep(pair);
		steps += pair->steps;
		interrupts += cpu_stats(pair->rtl.core->cpu, 0).interrupts;
	}
	print_message("%" PRIu64 " instructions, %" PRIu64 " interrupts\n", steps, interrupts);
	if (!getenv("KICKSTAND_TEST_SEED"))
		assert_int_equal(coverage_missing(&pair->coverage), 0);
}

/* ---- running freely -------------------------------------------------------------------------------------------- */

/* How the RTL core is called; it tells of every instruction, and the simulator follows. */
enum manner {
	LIMIT_EXACT,      /* the next event */
	LIMIT_NEARER,     /* a promise for a shorter time than could be given */
	LIMIT_NOW,        /* none at all */
	CALLED_TOO_OFTEN, /* woken for nothing between the times it asks for */
	MANNERS
};

/* The simulator's line events come at its own local time. An interrupt that comes between its last instruction and this
 * entry of the trace is part of its next step, as it is an entry of its own in the trace. */
static void follow(void *ctx, const struct cpu_trace *t)
{
	struct pair *pair = ctx;
	struct core *core = pair->iss.core;
	struct cpu *iss = core->cpu;
	if (t->interrupted) {
		pair->interrupted = true; /* seen when the handler's first instruction ends */
		pair->interrupted_pc = t->pc;
		return;
	}
	while (cpu_state(iss) == CPU_ASLEEP)
		deliver(&pair->iss, next_event_ps(&pair->iss));
	deliver(&pair->iss, cpu_time_ps(iss)); /* also what comes between waking and the edge */
	uint32_t pc = core_pc(core);
	if (pc != (pair->interrupted ? pair->interrupted_pc : t->pc))
		differs(pair, "pc of the trace", pc, t->pc);
	struct cpu_stats before = cpu_stats(iss, cpu_time_ps(iss));
	cpu_single_step(iss);
	pair->steps++;
	struct cpu_stats after = cpu_stats(iss, cpu_time_ps(iss));
	if ((after.interrupts != before.interrupts) != pair->interrupted)
		differs(pair, "interrupt of the trace", after.interrupts - before.interrupts,
			pair->interrupted);
	if ((after.instructions != before.instructions) != t->retired)
		differs(pair, "retired of the trace", after.instructions - before.instructions, t->retired);
	if (core_pc(core) != t->next_pc)
		differs(pair, "next pc of the trace", core_pc(core), t->next_pc);
	if (!pair->interrupted && raw_at(core, pc) != t->insn && t->retired)
		differs(pair, "instruction of the trace", raw_at(core, pc), t->insn);
	if (t->rd && core_reg(core, t->rd) != t->value)
		differs(pair, "value of the trace", core_reg(core, t->rd), t->value);
	pair->interrupted = false;
}

static uint64_t limit_of(struct pair *pair, enum manner manner, uint64_t now_ps)
{
	uint64_t limit_ps = next_event_ps(&pair->rtl);
	if (manner == LIMIT_NOW)
		return now_ps;
	if (manner == LIMIT_NEARER)
		return min_u64(limit_ps, now_ps + rng_below(&pair->rng, 50000));
	return limit_ps;
}

/* As the kernel would let time pass. */
static void run_freely(struct pair *pair, enum manner manner)
{
	struct cpu *rtl = pair->rtl.core->cpu;
	uint64_t wake_ps = 0, now_ps = 0;
	while (!at_end(pair->rtl.core)) {
		uint64_t next_ps = min_u64(wake_ps, next_event_ps(&pair->rtl));
		assert_true(next_ps != TIME_NEVER_PS);
		if (manner == CALLED_TOO_OFTEN && rng_below(&pair->rng, 2))
			next_ps = now_ps + rng_below(&pair->rng, next_ps - now_ps + 1);
		now_ps = next_ps;
		deliver(&pair->rtl, now_ps);
		wake_ps = cpu_step(rtl, now_ps, limit_of(pair, manner, now_ps));
	}
}

static void test_cores_agree_when_the_rtl_runs_ahead(void **state)
{
	struct pair *pair = *state;
	uint64_t first = test_seed(5000);
	cpu_rtl_set_trace(pair->rtl.core->cpu, follow, pair);
	for (pair->seed = first; pair->seed < first + FREE_PROGRAMS; pair->seed++) {
		for (enum manner manner = LIMIT_EXACT; manner < MANNERS; manner++) {
			rng_seed(&pair->rng, pair->seed, 100 + manner);
			pair_start(pair);
			run_freely(pair, manner);
			compare_registers(pair);
			compare_csrs(pair);
			compare_time(pair);
			compare_accesses(pair);
			compare_all_memory(pair);
		}
	}
}

/* ---- set-up --------------------------------------------------------------------------------------------------- */

static void world_new(struct world *w, core_create_fn *create)
{
	const struct cpu_bus bus = {w, world_read, world_write};
	w->core = core_new_of(create, NULL, &bus);
}

static int set_up(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	world_new(&pair->iss, cpu_create);
	world_new(&pair->rtl, cpu_rtl_create);
	*state = pair;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *pair = *state;
	core_free(pair->iss.core);
	core_free(pair->rtl.core);
	free(pair);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cores_agree_in_lockstep, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cores_agree_when_the_rtl_runs_ahead, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
