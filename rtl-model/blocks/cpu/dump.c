#include "rtl-model/blocks/cpu/state.h"

#include <inttypes.h>

static const char *const register_names[32] = {
	"zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0",  "a1",  "a2", "a3", "a4", "a5",
	"a6",   "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};

static const char *state_name(enum cpu_state state)
{
	switch (state) {
	case CPU_RUNNING: return "running";
	case CPU_ASLEEP: return "asleep in wfi";
	case CPU_HALTED: return "halted";
	case CPU_STUCK: return "stuck";
	}
	ASSERT(false);
	return "";
}

static void print_csr(void *ctx, const char *name, uint32_t value)
{
	fprintf(ctx, "  %-9s %08" PRIx32 "\n", name, value);
}

void iss_dump(const struct cpu *cpu, FILE *out)
{
	const struct iss *c = const_iss_of(cpu);
	fprintf(out, "core %s at pc %08" PRIx32 ", %" PRIu64 " ps\n", state_name(c->state), c->pc,
		iss_time_ps(c));
	for (unsigned i = 0; i < 32; i++)
		fprintf(out, "  %-4s %08" PRIx32 "%s", register_names[i], c->r[i], i % 4 == 3 ? "\n" : "");
	csr_each(c, print_csr, out);
	fprintf(out, "last control transfers, oldest first\n");
	const struct transfers *t = &c->transfers;
	for (uint64_t n = t->count < TRANSFERS ? 0 : t->count - TRANSFERS; n != t->count; n++) {
		const struct transfer *e = &t->ring[n % TRANSFERS];
		fprintf(out, "  %08" PRIx32 " -> %08" PRIx32 "\n", e->from, e->to);
	}
}
