#include "rtl-model/blocks/cpu/code.h"

#include <stdlib.h>
#include <string.h>

/* A jal reaches 1 MiB each way: 2^19 units of 16 bits. Untouched pages of calloc cost nothing. */
enum { GUARD = 1 << 19 };

bool code_init(struct code *code, const struct cpu_memory *memory)
{
	code->memory = *memory;
	code->count = GUARD + memory->bytes / 2 + GUARD + 1;
	code->entries = calloc(code->count, sizeof(*code->entries));
	if (!code->entries)
		return false;
	code->first = code->entries + GUARD;
	code->dirty_from = code->count;
	code->dirty_to = 0;
	return true;
}

void code_free(struct code *code)
{
	free(code->entries);
}

void code_forget(struct code *code)
{
	if (code->dirty_from < code->dirty_to)
		memset(code->entries + code->dirty_from, 0,
		       (code->dirty_to - code->dirty_from) * sizeof(*code->entries));
	code->dirty_from = code->count;
	code->dirty_to = 0;
}

/* Up to 32 bits at `offset` of the memory; what lies beyond its end reads as 0. */
static uint32_t fetch(const struct cpu_memory *memory, uint32_t offset)
{
	if (offset >= memory->bytes)
		return 0;
	if (memory->bytes - offset < 4)
		return load_le16(memory->data + offset);
	return load_le32(memory->data + offset);
}

/* Whether the instruction `raw` at `offset` lies wholly in the memory. */
static bool fits(const struct cpu_memory *memory, uint32_t offset, uint32_t raw)
{
	return offset < memory->bytes && memory->bytes - offset >= raw_bytes(raw);
}

bool code_fill(struct code *code, struct insn *insn, const struct cycle_table *cycles)
{
	uint32_t pc = code_pc(code, insn);
	uint32_t offset = pc - code->memory.base;
	uint32_t raw = fetch(&code->memory, offset);
	uint32_t bytes = raw_bytes(raw);
	if (!fits(&code->memory, offset, raw))
		return false;
	uint32_t next = fetch(&code->memory, offset + bytes);
	decode(insn, cycles, pc, raw, fits(&code->memory, offset + bytes, next) ? next : 0);
	size_t index = (size_t)(insn - code->entries);
	if (index < code->dirty_from)
		code->dirty_from = index;
	if (index >= code->dirty_to)
		code->dirty_to = index + 1;
	return true;
}
