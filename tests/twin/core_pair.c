#include "tests/twin/core_pair.h"

#include "rtl-model/blocks/cpu/cpu_rtl.h"
#include "tests/e2e/machine.h"

struct cpu *__real_cpu_create(const struct config *config, const struct cpu_bus *bus,
			      const struct cpu_memory memory[CPU_MEMORIES]);
struct cpu *__wrap_cpu_create(const struct config *config, const struct cpu_bus *bus,
			      const struct cpu_memory memory[CPU_MEMORIES]);

struct access {
	uint64_t at_ps;
	uint32_t addr, value;
	bool write, ok, pending; /* made by the RTL core, not yet by the simulator */
};

struct pair {
	struct cpu base;
	struct cpu *rtl, *iss;
	struct cpu_bus bus;
	struct cpu_memory tcm;
	uint8_t *iss_tcm; /* the simulator's own: it stores after the RTL core has */
	struct access access;
	struct core_pair_figures figures;
};

/* The process has one: machine.h runs every machine in a process of its own. */
static struct pair *the_pair;

static struct pair *pair_of(struct cpu *cpu)
{
	return (struct pair *)cpu;
}

static const struct pair *const_pair_of(const struct cpu *cpu)
{
	return (const struct pair *)cpu;
}

/* ---- registers of blocks ---- */

static bool record(struct pair *p, struct access access)
{
	CHECK(!p->access.pending);
	p->access = access;
	p->access.pending = true;
	p->figures.accesses++;
	return access.ok;
}

static bool rtl_read(void *ctx, uint64_t now_ps, uint32_t addr, uint32_t *value)
{
	struct pair *p = ctx;
	bool ok = p->bus.read(p->bus.ctx, now_ps, addr, value);
	return record(p, (struct access){.at_ps = now_ps, .addr = addr, .value = *value, .ok = ok});
}

static bool rtl_write(void *ctx, uint64_t now_ps, uint32_t addr, uint32_t value)
{
	struct pair *p = ctx;
	bool ok = p->bus.write(p->bus.ctx, now_ps, addr, value);
	return record(p, (struct access){now_ps, addr, value, true, ok, false});
}

static bool iss_access(struct pair *p, uint64_t now_ps, uint32_t addr, bool write)
{
	CHECK(p->access.pending);
	p->access.pending = false;
	CHECK_EQUAL(p->access.write, write);
	CHECK_EQUAL(p->access.addr, addr);
	CHECK_EQUAL(p->access.at_ps, now_ps);
	return p->access.ok;
}

static bool iss_read(void *ctx, uint64_t now_ps, uint32_t addr, uint32_t *value)
{
	struct pair *p = ctx;
	bool ok = iss_access(p, now_ps, addr, false);
	*value = p->access.value;
	return ok;
}

static bool iss_write(void *ctx, uint64_t now_ps, uint32_t addr, uint32_t value)
{
	struct pair *p = ctx;
	bool ok = iss_access(p, now_ps, addr, true);
	CHECK_EQUAL(p->access.value, value);
	return ok;
}

/* ---- in lockstep ---- */

static void follow(void *ctx, const struct cpu_trace *t)
{
	struct pair *p = ctx;
	struct cpu *iss = p->iss;
	CHECK(!t->interrupted);
	CHECK_EQUAL(cpu_get_register(iss, 32), t->pc);
	struct cpu_stats before = cpu_stats(iss, cpu_time_ps(iss));
	cpu_single_step(iss);
	struct cpu_stats after = cpu_stats(iss, cpu_time_ps(iss));
	CHECK_EQUAL(after.instructions - before.instructions, t->retired);
	CHECK_EQUAL(cpu_get_register(iss, 32), t->next_pc);
	if (t->rd)
		CHECK_EQUAL(cpu_get_register(iss, t->rd), t->value);
	CHECK(!p->access.pending);
	p->figures.instructions++;
}

static void compare_all(const struct pair *p)
{
	for (unsigned i = 0; i <= 32; i++)
		CHECK_EQUAL(cpu_get_register(p->iss, i), cpu_get_register(p->rtl, i));
	CHECK_EQUAL(cpu_state(p->iss), cpu_state(p->rtl));
	CHECK_EQUAL(cpu_time_ps(p->iss), cpu_time_ps(p->rtl));
}

/* ---- the functions of cpu.h ---- */

static void pair_free(struct cpu *cpu)
{
	struct pair *p = pair_of(cpu);
	cpu_free(p->rtl);
	cpu_free(p->iss);
	free(p->iss_tcm);
	free(p);
	the_pair = NULL;
}

static void pair_reset(struct cpu *cpu, uint64_t now_ps, uint32_t entry)
{
	struct pair *p = pair_of(cpu);
	memcpy(p->iss_tcm, p->tcm.data, p->tcm.bytes);
	cpu_reset(p->rtl, now_ps, entry);
	cpu_reset(p->iss, now_ps, entry);
}

static uint64_t pair_step(struct cpu *cpu, uint64_t now_ps, uint64_t limit_ps)
{
	struct pair *p = pair_of(cpu);
	uint64_t next_ps = cpu_step(p->rtl, now_ps, limit_ps);
	compare_all(p);
	p->figures.sleeps += cpu_state(p->rtl) == CPU_ASLEEP;
	return next_ps;
}

static void pair_single_step(struct cpu *cpu)
{
	cpu_single_step(pair_of(cpu)->rtl);
}

static void pair_set_interrupt(struct cpu *cpu, uint64_t now_ps, unsigned bit, bool level)
{
	cpu_set_interrupt(pair_of(cpu)->rtl, now_ps, bit, level);
	cpu_set_interrupt(pair_of(cpu)->iss, now_ps, bit, level);
}

static enum cpu_state pair_state(const struct cpu *cpu)
{
	return cpu_state(const_pair_of(cpu)->rtl);
}

static void pair_halt(struct cpu *cpu)
{
	cpu_halt(pair_of(cpu)->rtl);
	cpu_halt(pair_of(cpu)->iss);
}

static void pair_set_htif(struct cpu *cpu, uint32_t tohost, uint32_t fromhost, FILE *console)
{
	cpu_set_htif(pair_of(cpu)->rtl, tohost, fromhost, console);
}

static unsigned pair_exit_code(const struct cpu *cpu)
{
	return cpu_exit_code(const_pair_of(cpu)->rtl);
}

static uint32_t pair_get_register(const struct cpu *cpu, unsigned index)
{
	return cpu_get_register(const_pair_of(cpu)->rtl, index);
}

static void pair_set_register(struct cpu *cpu, unsigned index, uint32_t value)
{
	cpu_set_register(pair_of(cpu)->rtl, index, value);
	cpu_set_register(pair_of(cpu)->iss, index, value);
}

static bool pair_get_csr(const struct cpu *cpu, unsigned number, uint32_t *value)
{
	return cpu_get_csr(const_pair_of(cpu)->rtl, number, value);
}

static uint64_t pair_time_ps(const struct cpu *cpu)
{
	return cpu_time_ps(const_pair_of(cpu)->rtl);
}

static struct cpu_stats pair_stats(const struct cpu *cpu, uint64_t now_ps)
{
	struct cpu_stats rtl = cpu_stats(const_pair_of(cpu)->rtl, now_ps);
	struct cpu_stats iss = cpu_stats(const_pair_of(cpu)->iss, now_ps);
	CHECK(memcmp(&rtl, &iss, sizeof(rtl)) == 0);
	return rtl;
}

static void pair_dump(const struct cpu *cpu, FILE *out)
{
	cpu_dump(const_pair_of(cpu)->rtl, out);
}

static const struct cpu_ops pair_ops = {
	.free = pair_free,
	.reset = pair_reset,
	.step = pair_step,
	.single_step = pair_single_step,
	.set_interrupt = pair_set_interrupt,
	.state = pair_state,
	.halt = pair_halt,
	.set_htif = pair_set_htif,
	.exit_code = pair_exit_code,
	.get_register = pair_get_register,
	.set_register = pair_set_register,
	.get_csr = pair_get_csr,
	.time_ps = pair_time_ps,
	.stats = pair_stats,
	.dump = pair_dump,
};

struct cpu *__wrap_cpu_create(const struct config *config, const struct cpu_bus *bus,
			      const struct cpu_memory memory[CPU_MEMORIES])
{
	struct pair *p = calloc(1, sizeof(*p));
	CHECK(p && !the_pair);
	p->base.ops = &pair_ops;
	p->bus = *bus;
	p->tcm = memory[0];
	p->iss_tcm = calloc(1, memory[0].bytes);
	CHECK(p->iss_tcm);
	const struct cpu_memory own[CPU_MEMORIES] = {{memory[0].base, memory[0].bytes, p->iss_tcm},
						     memory[1]};
	const struct cpu_bus to_device = {p, rtl_read, rtl_write}, replay = {p, iss_read, iss_write};
	p->rtl = cpu_rtl_create(config, &to_device, memory);
	p->iss = __real_cpu_create(config, &replay, own);
	CHECK(p->rtl && p->iss);
	cpu_rtl_set_trace(p->rtl, follow, p);
	the_pair = p;
	return &p->base;
}

struct core_pair_figures core_pair_check(void)
{
	CHECK(the_pair);
	CHECK(memcmp(the_pair->iss_tcm, the_pair->tcm.data, the_pair->tcm.bytes) == 0);
	return the_pair->figures;
}
