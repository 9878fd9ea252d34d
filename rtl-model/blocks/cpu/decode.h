/* Decoding: the bits of one instruction to a struct insn. Pure functions. */
#ifndef KICKSTAND_BLOCKS_CPU_DECODE_H
#define KICKSTAND_BLOCKS_CPU_DECODE_H

#include "rtl-model/blocks/cpu/insn.h"

/* The cycle table of README.md in cycles. */
struct cycle_table {
	uint32_t load_use, branch_miss, jump, mul, div, trap;
	uint32_t sram, csr_read, csr_write;
};

/* Fills *insn from `raw`, fetched at `pc`. `next` is what follows it in memory (0 if nothing does): a load is charged
 * there and then for a successor that needs its result. */
void decode(struct insn *insn, const struct cycle_table *cycles, uint32_t pc, uint32_t raw, uint32_t next);

/* The 32-bit instruction a 16-bit one abbreviates; 0, which is illegal, if it is none. */
uint32_t expand16(uint32_t raw);

#endif
