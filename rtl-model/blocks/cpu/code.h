/* The decoded form of memory 0: one struct insn for every 16-bit unit, filled when it is first reached.
 *
 * Before and after the memory lies a guard as long as a jal reaches. Its entries stay undecoded for ever, so the
 * execution loop may follow a branch without a range check: it lands on an undecoded entry and asks. */
#ifndef KICKSTAND_BLOCKS_CPU_CODE_H
#define KICKSTAND_BLOCKS_CPU_CODE_H

#include "rtl-model/blocks/cpu/cpu.h"
#include "rtl-model/blocks/cpu/decode.h"

struct code {
	struct cpu_memory memory; /* memory 0 */
	struct insn *entries;     /* allocated, guards included */
	struct insn *first;       /* decoded form of the memory's first unit */
	size_t count;
	size_t dirty_from, dirty_to; /* entries that may have been filled */
};

MUST_USE bool code_init(struct code *code, const struct cpu_memory *memory);
void code_free(struct code *code);

/* Forgets everything decoded (reset, fence.i). */
void code_forget(struct code *code);

static inline bool code_contains(const struct code *code, uint32_t pc)
{
	return pc - code->memory.base < code->memory.bytes;
}

static inline uint32_t code_pc(const struct code *code, const struct insn *insn)
{
	return code->memory.base + 2 * (uint32_t)(insn - code->first);
}

static inline struct insn *code_at(const struct code *code, uint32_t pc)
{
	return code->first + (pc - code->memory.base) / 2;
}

/* Decodes the instruction at `insn`. False if it does not lie wholly in the memory. */
bool code_fill(struct code *code, struct insn *insn, const struct cycle_table *cycles);

#endif
