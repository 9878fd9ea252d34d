/* Random programs for the core: every instruction, hazards between two instructions at a distance of one to three, traps,
 * interrupts, self-modifying code. The same program for the same seed. */
#ifndef KICKSTAND_TESTS_TWIN_CORE_PROGRAM_H
#define KICKSTAND_TESTS_TWIN_CORE_PROGRAM_H

#include "tests/unit/rtl-model/cpu_fixture.h"

/* Registers of blocks that act; those below PROGRAM_REGS only keep what is written. */
enum {
	PROGRAM_REGS = REGS + 0x700,
	LINE_DOWN = REGS + 0x700,  /* a write of the number of a line lowers it at once */
	LINE_UP = REGS + 0x710,    /* a write raises one of the lines at once */
	LINE_AFTER = REGS + 0x704, /* a write raises one of the lines some time later */
	TIME = REGS + 0x708,       /* reads the time of the access in ns */
};

/* What a register's value comes from, and what it is needed for. */
enum producer {
	FROM_ARITHMETIC, /* lui included */
	FROM_AUIPC,
	FROM_LINK,
	FROM_TCM,
	FROM_SRAM,
	FROM_BUS,
	FROM_MUL,
	FROM_DIV,
	FROM_CSR,
	PRODUCERS
};
enum consumer {
	TO_ARITHMETIC_1,
	TO_ARITHMETIC_2,
	TO_MUL_1,
	TO_MUL_2,
	TO_DIV_1,
	TO_DIV_2,
	TO_LOAD_BASE,
	TO_STORE_BASE,
	TO_STORE_DATA,
	TO_BRANCH_1,
	TO_BRANCH_2,
	TO_JUMP_BASE,
	TO_CSR,
	CONSUMERS
};
enum { DISTANCES = 3 };

struct core_program {
	struct rng rng;
	uint32_t at; /* where the next instruction goes */
	uint8_t tcm[TCM_BYTES], sram[SRAM_BYTES];
	uint32_t regs[REGS_BYTES / 4], regs_used, literals;
	uint32_t x[32];
	unsigned recent[3]; /* registers written last */
};

/* Starts at the beginning of the TCM and ends asleep, with no interrupt enabled. */
void core_program_generate(struct core_program *program, uint64_t seed);

#endif
