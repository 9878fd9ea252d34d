#include "rtl-model/blocks/cpu/common.h"

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

struct csr_printer {
	const struct cpu *cpu;
	FILE *out;
};

static void print_csr(void *ctx, const char *name, unsigned number)
{
	const struct csr_printer *printer = ctx;
	uint32_t value = 0;
	ASSERT(cpu_get_csr(printer->cpu, number, &value));
	fprintf(printer->out, "  %-9s %08" PRIx32 "\n", name, value);
}

void dump_core(const struct cpu *cpu, const struct transfers *transfers, FILE *out)
{
	struct csr_printer printer = {cpu, out};
	uint64_t count = transfers->count;
	fprintf(out, "core %s at pc %08" PRIx32 ", %" PRIu64 " ps\n", state_name(cpu_state(cpu)),
		cpu_get_register(cpu, 32), cpu_time_ps(cpu));
	for (unsigned i = 0; i < 32; i++)
		fprintf(out, "  %-4s %08" PRIx32 "%s", register_names[i], cpu_get_register(cpu, i),
			i % 4 == 3 ? "\n" : "");
	csr_each(print_csr, &printer);
	fprintf(out, "last control transfers, oldest first\n");
	for (uint64_t n = count < TRANSFERS ? 0 : count - TRANSFERS; n != count; n++)
		fprintf(out, "  %08" PRIx32 " -> %08" PRIx32 "\n", transfers->ring[n % TRANSFERS].from,
			transfers->ring[n % TRANSFERS].to);
}
