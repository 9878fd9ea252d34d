#include "rtl-model/blocks/cpu/state.h"

#include <stdlib.h>
#include <string.h>

static struct cycle_table cycle_table(const struct config *config)
{
	return (struct cycle_table){
		.load_use = config->core.load_use_cycles,
		.branch_miss = config->core.branch_miss_cycles,
		.jump = config->core.jump_cycles,
		.mul = config->core.mul_cycles,
		.div = config->core.div_cycles,
		.trap = config->core.trap_cycles,
		.sram = config->core.sram_cycles,
		.csr_read = config->core.csr_read_cycles,
		.csr_write = config->core.csr_write_cycles,
	};
}

static void reset(struct cpu *cpu, uint64_t now_ps, uint32_t entry)
{
	struct iss *c = iss_of(cpu);
	uint32_t lines = c->machine.mip;
	memset(c->r, 0, sizeof(c->r));
	c->pc = entry & ~1u;
	c->state = CPU_RUNNING;
	c->machine = (struct machine){.mstatus = MSTATUS_MPP, .mip = lines};
	code_forget(&c->code);
	account_reset(&c->account, now_ps);
	c->transfers.count = 0;
	c->htif.exit_code = 0;
}

/* Executes for `cycles` cycles; returns as cpu_step. */
static uint64_t run(struct iss *c, uint32_t cycles)
{
	uint64_t end = c->account.count.cycles + cycles;
	while (c->state == CPU_RUNNING && c->account.count.cycles < end) {
		uint64_t stretch = end - c->account.count.cycles;
		if (cpu_interruptible(c)) {
			/* An instruction may only start at a time at which the lines are known. */
			if (iss_time_ps(c) >= c->known_ps)
				return iss_time_ps(c);
			if (cpu_take_interrupt(c))
				continue;
			stretch = min_u64(stretch, account_periods_until(&c->account, c->known_ps));
		}
		if (!cpu_execute(c, (uint32_t)stretch) && !cpu_execute_slow(c))
			return iss_time_ps(c);
	}
	return c->state == CPU_RUNNING ? iss_time_ps(c) : TIME_NEVER_PS;
}

static uint64_t step(struct cpu *cpu, uint64_t now_ps, uint64_t limit_ps)
{
	struct iss *c = iss_of(cpu);
	/* Lines are known before the next event; and at now_ps, or nothing would ever happen at the time of an event. */
	c->now_ps = now_ps;
	c->known_ps = max_u64(limit_ps, now_ps + 1);
	return run(c, CPU_RUN_AHEAD_CYCLES);
}

static void single_step(struct cpu *cpu)
{
	struct iss *c = iss_of(cpu);
	c->now_ps = c->known_ps = TIME_NEVER_PS;
	if (c->state == CPU_RUNNING)
		cpu_take_interrupt(c);
	run(c, 1);
}

static void set_interrupt(struct cpu *cpu, uint64_t now_ps, unsigned bit, bool level)
{
	struct iss *c = iss_of(cpu);
	ASSERT(bit < 32 && (INTERRUPTS >> bit & 1));
	struct machine *m = &c->machine;
	m->mip = level ? m->mip | 1u << bit : m->mip & ~(1u << bit);
	if (c->state == CPU_ASLEEP && (m->mip & m->mie)) {
		account_wake(&c->account, now_ps);
		c->state = CPU_RUNNING;
	}
}

static enum cpu_state state(const struct cpu *cpu)
{
	return const_iss_of(cpu)->state;
}

static void halt(struct cpu *cpu)
{
	iss_of(cpu)->state = CPU_HALTED;
}

static uint32_t get_register(const struct cpu *cpu, unsigned index)
{
	const struct iss *c = const_iss_of(cpu);
	ASSERT(index <= 32);
	return index == 32 ? c->pc : c->r[index];
}

static void set_register(struct cpu *cpu, unsigned index, uint32_t value)
{
	struct iss *c = iss_of(cpu);
	ASSERT(index <= 32);
	if (index == 32)
		c->pc = value & ~1u;
	else if (index != 0)
		c->r[index] = value;
}

static bool get_csr(const struct cpu *cpu, unsigned number, uint32_t *value)
{
	return csr_read(const_iss_of(cpu), number, value);
}

static struct cpu_stats stats(const struct cpu *cpu, uint64_t now_ps)
{
	const struct iss *c = const_iss_of(cpu);
	return account_stats(&c->account, c->state, now_ps);
}

static void set_htif(struct cpu *cpu, uint32_t tohost, uint32_t fromhost, FILE *console)
{
	htif_set(&iss_of(cpu)->htif, tohost, fromhost, console);
}

static unsigned exit_code(const struct cpu *cpu)
{
	return const_iss_of(cpu)->htif.exit_code;
}

static void dump(const struct cpu *cpu, FILE *out)
{
	dump_core(cpu, &const_iss_of(cpu)->transfers, out);
}

static uint64_t time_ps(const struct cpu *cpu)
{
	return iss_time_ps(const_iss_of(cpu));
}

/* ---- creation ---- */

static void destroy(struct cpu *cpu)
{
	code_free(&iss_of(cpu)->code);
	free(cpu);
}

static const struct cpu_ops iss_ops = {
	.free = destroy,
	.reset = reset,
	.step = step,
	.single_step = single_step,
	.set_interrupt = set_interrupt,
	.state = state,
	.halt = halt,
	.set_htif = set_htif,
	.exit_code = exit_code,
	.get_register = get_register,
	.set_register = set_register,
	.get_csr = get_csr,
	.time_ps = time_ps,
	.stats = stats,
	.dump = dump,
};

struct cpu *cpu_create(const struct config *config, const struct cpu_bus *bus,
		       const struct cpu_memory memory[CPU_MEMORIES])
{
	struct iss *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->base.ops = &iss_ops;
	for (size_t i = 0; i < CPU_MEMORIES; i++) {
		ASSERT(memory[i].base % 4 == 0 && memory[i].bytes % 4 == 0);
		c->memory[i] = memory[i];
	}
	if (bus)
		c->bus = *bus;
	c->cycle_table = cycle_table(config);
	c->account.period_ps = config_period_ps(config->core.clock_mhz);
	if (!code_init(&c->code, &memory[0])) {
		free(c);
		return NULL;
	}
	c->htif.memory = c->memory;
	cpu_set_htif(&c->base, 0, 0, NULL);
	cpu_reset(&c->base, 0, memory[0].base);
	return &c->base;
}
