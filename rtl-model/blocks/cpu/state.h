/* The core's state and what its source files share. Private to blocks/cpu. */
#ifndef KICKSTAND_BLOCKS_CPU_STATE_H
#define KICKSTAND_BLOCKS_CPU_STATE_H

#include "rtl-model/blocks/cpu/code.h"
#include "rtl-model/blocks/cpu/common.h"

/* Machine-mode CSRs that are not constant. mcycle = cycles + mcycle_offset, so that a write does not disturb the
 * clock; minstret likewise. */
struct machine {
	uint32_t mstatus, mie, mip, mtvec, mscratch, mepc, mcause, mtval;
	uint64_t mcycle_offset, minstret_offset;
};

/* The instruction-set simulator. */
struct iss {
	struct cpu base;
	uint32_t r[REG_COUNT]; /* r[0] stays 0 */
	uint32_t pc;
	enum cpu_state state;
	struct machine machine;
	struct cpu_memory memory[CPU_MEMORIES];
	struct cpu_bus bus;
	struct code code;
	struct cycle_table cycle_table;

	struct account account;
	/* Of the present cpu_step: bus accesses happen up to now_ps, interrupt lines are known before known_ps. */
	uint64_t now_ps, known_ps;

	struct transfers transfers;
	struct htif htif;
};

static inline struct iss *iss_of(struct cpu *cpu)
{
	return (struct iss *)cpu; /* base is its first member */
}

static inline const struct iss *const_iss_of(const struct cpu *cpu)
{
	return (const struct iss *)cpu;
}

/* Local time. */
static inline uint64_t iss_time_ps(const struct iss *c)
{
	return account_time_ps(&c->account);
}

/* execute.c: runs from c->pc for `cycles` cycles, 0 < cycles <= EXECUTE_CYCLES_MAX, finishing the instruction during
 * which they end. False if it stopped earlier, before an instruction that cpu_execute_slow must carry out. */
enum { EXECUTE_CYCLES_MAX = 0xf000 };
bool cpu_execute(struct iss *c, uint32_t cycles);

/* slow.c: carries out the instruction at c->pc, which may be a trap. False, nothing having changed, if it
 * has to wait until simulated time has come as far as local time. */
bool cpu_execute_slow(struct iss *c);

/* trap.c */
enum cause {
	CAUSE_FETCH_FAULT = 1,
	CAUSE_ILLEGAL = 2,
	CAUSE_BREAKPOINT = 3,
	CAUSE_LOAD_MISALIGNED = 4,
	CAUSE_LOAD_FAULT = 5,
	CAUSE_STORE_MISALIGNED = 6,
	CAUSE_STORE_FAULT = 7,
	CAUSE_ECALL_M = 11,
};
/* The instruction at c->pc traps instead of retiring. */
void cpu_exception(struct iss *c, enum cause cause, uint32_t tval);
/* Takes the pending interrupt of highest priority. False if none is pending and enabled. */
bool cpu_take_interrupt(struct iss *c);
/* Whether the level of an interrupt line matters to what is executed next. */
bool cpu_interruptible(const struct iss *c);
/* What mret does to pc and mstatus. */
void cpu_leave_trap(struct iss *c);

/* csr.c: false if the CSR does not exist. A write to what is read-only has no effect here. */
enum { CSR_MIP = 0x344 };
bool csr_read(const struct iss *c, unsigned number, uint32_t *value);
void csr_write(struct iss *c, unsigned number, uint32_t value);
/* Fields of mstatus (privileged ISA §3.1.6). */
#define MSTATUS_MIE  0x00000008u
#define MSTATUS_MPIE 0x00000080u
#define MSTATUS_MPP  0x00001800u

#endif
