/* The RTL core (ks_core.sv) behind the functions of cpu.h. */
#ifndef KICKSTAND_BLOCKS_CPU_CPU_RTL_H
#define KICKSTAND_BLOCKS_CPU_CPU_RTL_H

#include "rtl-model/blocks/cpu/cpu.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As cpu_create. Of the costs only those of memory 1 and of registers come from the configuration. Memory 0 begins at
 * TCM_BASE. Returns NULL when out of memory. */
struct cpu *cpu_rtl_create(const struct config *config, const struct cpu_bus *bus,
			   const struct cpu_memory memory[CPU_MEMORIES]);

/* What became of one instruction. */
struct cpu_trace {
	uint64_t at_ps;    /* end of its last cycle */
	uint32_t pc, insn; /* as fetched; 16-bit ones in the low half */
	uint32_t next_pc;
	bool retired; /* else it trapped, or was interrupted before it began */
	bool interrupted;
	uint8_t rd; /* register written, 0 = none */
	uint32_t value;
};

/* `trace` is called for every instruction that ends; NULL: no longer. `cpu` comes from cpu_rtl_create. */
void cpu_rtl_set_trace(struct cpu *cpu, void (*trace)(void *ctx, const struct cpu_trace *entry), void *ctx);

#ifdef __cplusplus
}
#endif
#endif
