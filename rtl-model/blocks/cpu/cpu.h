/* The RISC-V core: an RV32IM(C) instruction-set simulator with machine mode, interrupts and a cycle cost model.
 *
 * RV32I 2.1, M 2.0, C 2.0, Zicsr, Zifencei; machine mode only (Privileged 1.12): traps, mret, wfi, mstatus,
 * misa, mie, mip, mtvec (direct and vectored), mepc, mcause, mtval, mscratch, mcycle(h), minstret(h), mhartid and the
 * unprivileged cycle, instret counters. Everything else raises an illegal-instruction trap.
 *
 * Time: the core runs ahead of simulated time until it touches the CSR bus, sleeps in wfi, stops, or an interrupt
 * could be taken (mstatus.MIE and an enabled source). A bus access at a later time than now makes cpu_step return that
 * time, and the access happens when it is called again: all other blocks see the core's accesses in order of
 * time. With interrupts globally enabled it runs no further than `limit_ps` of cpu_step allows (time of the next
 * event), so that an interrupt raised by another block is taken at the right instruction.
 *
 * Cycle costs come from struct config (core.*) and are documented in blocks/cpu/README.md. */
#ifndef KICKSTAND_BLOCKS_CPU_CPU_H
#define KICKSTAND_BLOCKS_CPU_CPU_H

#include "pcie/base.h"
#include "rtl-model/config.h"
#include "rtl-model/fifo.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Register space of the blocks: 32-bit aligned words; other sizes fault. `now_ps` is the time of the access. */
struct cpu_bus {
	void *ctx;
	/* Return false for an address without a register: access fault. */
	bool (*read)(void *ctx, uint64_t now_ps, uint32_t addr, uint32_t *value);
	bool (*write)(void *ctx, uint64_t now_ps, uint32_t addr, uint32_t value);
};

/* Memory the core reaches directly. Memory 0 holds the program (code can run from it only) and is accessed in a
 * single cycle; the others cost core.sram_cycles. */
struct cpu_memory {
	uint32_t base, bytes;
	uint8_t *data;
};
#define CPU_MEMORIES 2

/* Why the core does not run. */
enum cpu_state {
	CPU_RUNNING,
	CPU_ASLEEP,  /* wfi */
	CPU_HALTED,  /* wrote tohost, or cpu_halt */
	CPU_STUCK,   /* a trap inside a trap handler's first instruction, or jump to itself with interrupts off */
};

struct cpu_stats {
	uint64_t cycles;       /* awake, stalls included */
	uint64_t asleep_cycles;
	uint64_t instructions;
	uint64_t traps, interrupts;
	uint64_t bus_reads, bus_writes, bus_cycles;
	uint64_t sram_accesses;
};

struct cpu;

/* `memory` is used in place. NULL when out of memory. `period_ps` comes from core.clock_mhz. */
struct cpu *cpu_create(const struct config *config, const struct cpu_bus *bus,
		       const struct cpu_memory memory[CPU_MEMORIES]);
void cpu_free(struct cpu *cpu);

/* Reset: registers 0, pc at `entry`, counters 0, decoded code forgotten. */
void cpu_reset(struct cpu *cpu, uint64_t now_ps, uint32_t entry);

/* Runs as described above. `limit_ps`: no other block does anything before this time (TIME_NEVER_PS if
 * none will). Returns when it wants to run again: time of a bus access, limit reached, TIME_NEVER_PS asleep
 * or halted. */
uint64_t cpu_step(struct cpu *cpu, uint64_t now_ps, uint64_t limit_ps);

/* Level of an interrupt line: bit number in mip (3 software, 7 timer, 11 external). May wake the core; the
 * caller then calls cpu_step at now_ps. */
void cpu_set_interrupt(struct cpu *cpu, uint64_t now_ps, unsigned bit, bool level);

enum cpu_state cpu_state(const struct cpu *cpu);
void cpu_halt(struct cpu *cpu);

/* For bare programs: address of the HTIF word `tohost` (0 = none). A store of an odd value v halts with exit
 * code v >> 1; other values are HTIF system calls (write to the console is served, others fail). */
void cpu_set_tohost(struct cpu *cpu, uint32_t addr, FILE *console);
unsigned cpu_exit_code(const struct cpu *cpu);

/* Registers for debuggers, dumps and tests. pc is register 32. */
uint32_t cpu_get_register(const struct cpu *cpu, unsigned index);
void cpu_set_register(struct cpu *cpu, unsigned index, uint32_t value);
/* Machine CSR by number; false if it does not exist. */
bool cpu_get_csr(const struct cpu *cpu, unsigned number, uint32_t *value);

/* Local time: how far the core has run. */
uint64_t cpu_time_ps(const struct cpu *cpu);
/* Counters brought up to `now_ps`. cycles + asleep_cycles = elapsed time in periods, always. */
struct cpu_stats cpu_stats(const struct cpu *cpu, uint64_t now_ps);

/* Executes exactly one instruction (lockstep, debuggers). Bus accesses happen at the local time. */
void cpu_single_step(struct cpu *cpu);

/* pc, registers, CSRs and the last 16 control transfers, for a person. */
void cpu_dump(const struct cpu *cpu, FILE *out);

/* Loads an ELF32 RISC-V executable into `memory`. On success *entry and *tohost (0 if the symbol does not exist) are set.
 * Returns -1 with a one-line reason: not an ELF, wrong machine, class or type, segment outside the memory ("too
 * large: … bytes at …, memory has …"), truncated file. */
MUST_USE int cpu_load_elf(const char *path, const struct cpu_memory *memory, uint32_t *entry, uint32_t *tohost,
			  char *error, size_t error_size);

#ifdef __cplusplus
}
#endif
#endif
