/* What of the core random programs have reached: instructions, traps, hazards, alignments. */
#ifndef KICKSTAND_TESTS_TWIN_CORE_COVERAGE_H
#define KICKSTAND_TESTS_TWIN_CORE_COVERAGE_H

#include "rtl-model/blocks/cpu/insn.h"
#include "tests/twin/core_program.h"

enum { FORMS_16 = 27 };

/* One instruction that has ended, as seen from outside. */
struct ended {
	uint32_t pc, raw; /* 16-bit ones in the low half */
	uint32_t next_pc;
	bool retired, interrupted; /* neither: it trapped */
	bool slept;                /* a wfi that had to wait */
	uint32_t cause;            /* if it did not retire */
	bool vectored;             /* mtvec's mode */
	uint32_t address;          /* of a load or store */
};

struct coverage {
	unsigned op[OP_COUNT]; /* retired, or trapped where that is all an instruction does */
	unsigned form_16[FORMS_16];
	unsigned exception[16], interrupt[16][2]; /* by cause; direct, vectored */
	unsigned hazard[PRODUCERS][CONSUMERS][DISTANCES];
	unsigned place[4][2];           /* first half of a group of four; 16, 32 bits */
	unsigned branch[2][2][2];       /* backward; taken; 16, 32 bits */
	unsigned interrupted[OP_COUNT]; /* instructions that were interrupted before they began */
	unsigned wfi[2];                /* went on at once, slept */
	/* What is needed to see pairs: the last instructions that retired. */
	struct {
		uint32_t rd;
		enum producer producer;
	} last[DISTANCES];
};

void coverage_add(struct coverage *coverage, const struct ended *ended);

/* Prints what has not been reached; the number of such things. */
unsigned coverage_missing(const struct coverage *coverage);

#endif
