/* A second RV32IMC machine-mode interpreter, for comparison: slow, direct, written from the ISA manuals over the raw
 * encodings. It shares no code with the simulator. No interrupts, no registers of blocks, no time. */
#ifndef KICKSTAND_TESTS_CPU_REFERENCE_H
#define KICKSTAND_TESTS_CPU_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

struct reference_memory {
	uint32_t base, bytes;
	uint8_t *data;
};

struct reference {
	uint32_t x[32], pc;
	struct reference_memory tcm, sram; /* code runs from tcm only */
	bool *written;                     /* a flag a byte of tcm: stored to since the last fence.i */
	uint32_t mstatus, mie, mtvec, mscratch, mepc, mcause, mtval;
	uint64_t instret, minstret_offset, mcycle_offset;
	uint64_t cycles_before, cycles_after; /* set by the caller for each step: what the counter read */
};

enum reference_step {
	REFERENCE_RETIRED,
	REFERENCE_TRAPPED,
	REFERENCE_WAITING, /* retired a wfi */
	REFERENCE_STALE,   /* the instruction was stored to without fence.i: what it does is not defined */
};

enum reference_step reference_step(struct reference *ref);

#endif
