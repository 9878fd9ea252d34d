/* The RISC-V core: an RV32IMC instruction-set simulator with machine mode, interrupts and a cycle cost model.
 *
 * RV32I 2.1, M 2.0, C 2.0, Zicsr, Zifencei; machine mode only (Privileged 1.12): traps, mret, wfi, mstatus(h),
 * misa, mie, mip, mtvec (direct and vectored), mepc, mcause, mtval, mscratch, mcycle(h), minstret(h), the read-only
 * mvendorid, marchid, mimpid, mhartid, mconfigptr (all 0) and the unprivileged cycle(h), instret(h). Everything else
 * raises an illegal-instruction trap. Misaligned loads and stores trap. Stores into code take effect at fence.i.
 *
 * Time: the core runs ahead of simulated time until it touches the CSR bus, sleeps in wfi, stops, or looks at the
 * interrupt lines (an interrupt could be taken: mstatus.MIE and an enabled source; a read of mip; wfi). A bus access at
 * a later time than now makes cpu_step return that time, and the access happens when it is called again: all other
 * blocks see the core's accesses in order of time. What depends on the interrupt lines happens only before `limit_ps` of
 * cpu_step (time of the next event) or at now, so that an interrupt raised by another block is taken at the right
 * instruction: the first that starts at or after the time of the raise, on the core's clock.
 *
 * mcycle counts the cycles the core is awake: wfi stops its clock.
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

/* Memory the core reaches directly, base and size multiples of 4. Memory 0 holds the program (code can run from it only)
 * and is accessed in a single cycle; the others cost core.sram_cycles. */
struct cpu_memory {
	uint32_t base, bytes;
	uint8_t *data;
};
#define CPU_MEMORIES 2

/* Why the core does not run. */
enum cpu_state {
	CPU_RUNNING,
	CPU_ASLEEP, /* wfi */
	CPU_HALTED, /* wrote tohost, or cpu_halt */
	CPU_STUCK, /* the first instruction of the trap handler traps, or jal to itself with no interrupt enabled */
};

struct cpu_stats {
	uint64_t cycles;        /* awake, stalls included */
	uint64_t asleep_cycles; /* in wfi, halted or stuck */
	uint64_t instructions;  /* retired; one that traps does not */
	uint64_t traps, interrupts;
	uint64_t bus_reads, bus_writes, bus_cycles;
	uint64_t sram_accesses;
};

/* The core runs ahead of simulated time by no more than this and one instruction, even if nothing stops it: a loop
 * without bus access must not keep cpu_step from returning. */
#define CPU_RUN_AHEAD_CYCLES 32768

struct cpu;

/* What an implementation does; see the functions below. */
struct cpu_ops {
	void (*free)(struct cpu *cpu);
	void (*reset)(struct cpu *cpu, uint64_t now_ps, uint32_t entry);
	uint64_t (*step)(struct cpu *cpu, uint64_t now_ps, uint64_t limit_ps);
	void (*single_step)(struct cpu *cpu);
	void (*set_interrupt)(struct cpu *cpu, uint64_t now_ps, unsigned bit, bool level);
	enum cpu_state (*state)(const struct cpu *cpu);
	void (*halt)(struct cpu *cpu);
	void (*set_htif)(struct cpu *cpu, uint32_t tohost, uint32_t fromhost, FILE *console);
	unsigned (*exit_code)(const struct cpu *cpu);
	uint32_t (*get_register)(const struct cpu *cpu, unsigned index);
	void (*set_register)(struct cpu *cpu, unsigned index, uint32_t value);
	bool (*get_csr)(const struct cpu *cpu, unsigned number, uint32_t *value);
	uint64_t (*time_ps)(const struct cpu *cpu);
	struct cpu_stats (*stats)(const struct cpu *cpu, uint64_t now_ps);
	void (*dump)(const struct cpu *cpu, FILE *out);
};

/* What the instruction-set simulator and the RTL core (cpu_rtl.h) have in common. */
struct cpu {
	const struct cpu_ops *ops;
};

/* The instruction-set simulator. `memory` is used in place; `bus` is copied and may be NULL: no registers. NULL when out of
 * memory. The clock's period comes from core.clock_mhz. */
struct cpu *cpu_create(const struct config *config, const struct cpu_bus *bus,
		       const struct cpu_memory memory[CPU_MEMORIES]);

static inline void cpu_free(struct cpu *cpu)
{
	if (cpu)
		cpu->ops->free(cpu);
}

/* Reset: registers 0, pc at `entry`, counters 0, decoded code forgotten. The interrupt lines keep their levels. The first
 * instruction starts at now_ps, from which the clock's edges are counted. */
static inline void cpu_reset(struct cpu *cpu, uint64_t now_ps, uint32_t entry)
{
	cpu->ops->reset(cpu, now_ps, entry);
}

/* Runs as described above. `limit_ps`: no other block does anything before this time (TIME_NEVER_PS if none will). Returns
 * when it wants to run again: time of a bus access, limit or CPU_RUN_AHEAD_CYCLES reached, TIME_NEVER_PS asleep, halted
 * or stuck. Calling it earlier than that is harmless. */
static inline uint64_t cpu_step(struct cpu *cpu, uint64_t now_ps, uint64_t limit_ps)
{
	return cpu->ops->step(cpu, now_ps, limit_ps);
}

/* Executes exactly one instruction (lockstep, debuggers), after taking a pending interrupt. Bus accesses happen at the
 * local time. Nothing happens asleep, halted or stuck. */
static inline void cpu_single_step(struct cpu *cpu)
{
	cpu->ops->single_step(cpu);
}

/* Level of an interrupt line: bit number in mip (3 software, 7 timer, 11 external). May wake the core, on the next edge
 * of its clock; the caller then calls cpu_step at now_ps. */
static inline void cpu_set_interrupt(struct cpu *cpu, uint64_t now_ps, unsigned bit, bool level)
{
	cpu->ops->set_interrupt(cpu, now_ps, bit, level);
}

static inline enum cpu_state cpu_state(const struct cpu *cpu)
{
	return cpu->ops->state(cpu);
}

static inline void cpu_halt(struct cpu *cpu)
{
	cpu->ops->halt(cpu);
}

/* For bare programs: addresses of the HTIF words `tohost` and `fromhost` in memory 0 (0 = none), as cpu_load_elf returns
 * them. A 32-bit store to tohost acts:
 *   odd v                 halts with exit code v >> 1
 *   even v, not 0         system call, v being the address of eight 64-bit words: number, arguments. Number 64 writes to
 *                         `console` (file 1 or 2); the others get -ENOSYS. The result replaces the number.
 *   any v, if the word after tohost is 0x01010000 (device 1, command 1): the character v goes to the console
 * After a system call or character tohost is cleared and fromhost set, not 0. */
static inline void cpu_set_htif(struct cpu *cpu, uint32_t tohost, uint32_t fromhost, FILE *console)
{
	cpu->ops->set_htif(cpu, tohost, fromhost, console);
}

static inline unsigned cpu_exit_code(const struct cpu *cpu)
{
	return cpu->ops->exit_code(cpu);
}

/* Registers for debuggers, dumps and tests. pc is register 32. */
static inline uint32_t cpu_get_register(const struct cpu *cpu, unsigned index)
{
	return cpu->ops->get_register(cpu, index);
}

static inline void cpu_set_register(struct cpu *cpu, unsigned index, uint32_t value)
{
	cpu->ops->set_register(cpu, index, value);
}

/* Machine CSR by number; false if it does not exist. */
static inline bool cpu_get_csr(const struct cpu *cpu, unsigned number, uint32_t *value)
{
	return cpu->ops->get_csr(cpu, number, value);
}

/* Local time: how far the core has run. */
static inline uint64_t cpu_time_ps(const struct cpu *cpu)
{
	return cpu->ops->time_ps(cpu);
}

/* cycles and asleep_cycles up to `now_ps`: their sum is the elapsed time in whole periods, always. The other counters
 * are as of local time. */
static inline struct cpu_stats cpu_stats(const struct cpu *cpu, uint64_t now_ps)
{
	return cpu->ops->stats(cpu, now_ps);
}

/* pc, registers, CSRs and the last 16 control transfers, for a person. */
static inline void cpu_dump(const struct cpu *cpu, FILE *out)
{
	cpu->ops->dump(cpu, out);
}

/* What a program says of itself. Addresses of symbols are 0 if it has none. */
struct cpu_program {
	uint32_t entry, tohost, fromhost;
	uint32_t code_bytes, data_bytes,
		stack_bytes; /* as its linker script says (firmware_*_bytes), else 0 */
};

/* Loads an ELF32 RISC-V executable into `memory`, every loadable segment at its physical address. Returns -1 with a
 * one-line reason, memory untouched: not an ELF, wrong machine, class or type, truncated file, segment outside the
 * memories or overlapping another ("too large: … bytes at …, memory has …"), entry or symbol outside memory 0. */
MUST_USE int cpu_load_elf(const char *path, const struct cpu_memory memory[CPU_MEMORIES],
			  struct cpu_program *program, char *error, size_t error_size);

#ifdef __cplusplus
}
#endif
#endif
