#include "rtl-model/blocks/cpu/state.h"

#include <assert.h>

/* The execution loop: one label an instruction, each ending in a jump to the next one's label. An indirect jump of its
 * own behind every instruction is what the branch predictor of the host needs to see the program's pattern.
 *
 * `left` counts both cycles and instructions: it starts at cycles << COST_SHIFT and every instruction subtracts its cost,
 * cycles << COST_SHIFT | 1. It becomes negative exactly when that many cycles are used up, because at least one
 * instruction has then been subtracted. An instruction costs a cycle or more, so the instruction count stays below
 * 1 << COST_SHIFT.
 *
 * Instructions that are 16 bits long have labels of their own: the next entry's address then does not depend on a value
 * loaded from this one. */

static_assert(HANDLER(OP_COUNT, 2) <= UINT8_MAX + 1, "struct insn keeps a handler in 8 bits");
static_assert(CPU_RUN_AHEAD_CYCLES <= EXECUTE_CYCLES_MAX, "cpu_step runs ahead in one stretch");

#define RD  c->r[insn->rd]
#define RS1 c->r[insn->rs1]
#define RS2 c->r[insn->rs2]
#define IMM ((uint32_t)insn->imm)

#define DISPATCH()                                                                                           \
	do {                                                                                                 \
		if (__builtin_expect(left < 0, 0))                                                           \
			goto leave;                                                                          \
		goto *handlers[insn->handler];                                                               \
	} while (0)

#define NEXT(bytes)                                                                                          \
	do {                                                                                                 \
		left -= insn->cost;                                                                          \
		insn += (bytes) / 2;                                                                         \
		DISPATCH();                                                                                  \
	} while (0)

/* An instruction with a 32-bit form only, and one with both. BYTES is its length within the body. */
#define WIDE(name, ...)                                                                                      \
	name##_4:                                                                                            \
	{                                                                                                    \
		enum { BYTES = 4 };                                                                          \
		__VA_ARGS__                                                                                  \
	}                                                                                                    \
	NEXT(4)
#define BOTH(name, ...)                                                                                      \
	name##_2:                                                                                            \
	{                                                                                                    \
		enum { BYTES = 2 };                                                                          \
		__VA_ARGS__                                                                                  \
	}                                                                                                    \
	NEXT(2);                                                                                             \
	WIDE(name, __VA_ARGS__)

#define JUMP_TO(target, cost_)                                                                               \
	do {                                                                                                 \
		struct insn *to = (target);                                                                  \
		left -= (cost_);                                                                             \
		transfers_add(&c->transfers, code_pc(&c->code, insn), code_pc(&c->code, to));                \
		insn = to;                                                                                   \
		DISPATCH();                                                                                  \
	} while (0)

#define BRANCH(condition)                                                                                    \
	if (condition)                                                                                       \
		JUMP_TO(insn + insn->imm, insn->taken_cost);

/* `at` becomes the bytes RS1 + IMM names, or the instruction is left to slow.c. Rotating the offset right puts its
 * alignment bits on top: one comparison finds both a misaligned address and one outside the memory. */
#define LOCATE(bytes, shift)                                                                                 \
	uint32_t address = RS1 + IMM;                                                                        \
	uint32_t offset = address - memory_base;                                                             \
	uint8_t *at;                                                                                         \
	if (__builtin_expect(rotate_right(offset, shift) < memory_bytes >> (shift), 1)) {                    \
		at = memory + offset;                                                                        \
	} else {                                                                                             \
		at = locate_sram(c, address, bytes);                                                         \
		if (!at)                                                                                     \
			goto slow;                                                                           \
		left -= sram_cost;                                                                           \
	}

#define LOAD(bytes, shift, value)                                                                            \
	LOCATE(bytes, shift)                                                                                 \
	RD = (value);

static inline uint32_t rotate_right(uint32_t v, unsigned n)
{
	return n ? v >> n | v << (32 - n) : v;
}

static uint8_t *locate_sram(struct iss *c, uint32_t address, uint32_t bytes)
{
	const struct cpu_memory *sram = &c->memory[1];
	uint32_t offset = address - sram->base;
	if (offset >= sram->bytes || offset % bytes != 0)
		return NULL;
	c->account.count.sram_accesses++;
	return sram->data + offset;
}

static uint32_t divide(uint32_t a, uint32_t b)
{
	if (b == 0)
		return UINT32_MAX;
	if (a == 0x80000000 && b == UINT32_MAX)
		return a;
	return (uint32_t)((int32_t)a / (int32_t)b);
}

static uint32_t remainder_of(uint32_t a, uint32_t b)
{
	if (b == 0)
		return a;
	if (a == 0x80000000 && b == UINT32_MAX)
		return 0;
	return (uint32_t)((int32_t)a % (int32_t)b);
}

bool cpu_execute(struct iss *c, uint32_t cycles)
{
#define LABELS_WIDE(name)                           [HANDLER(OP_##name, 4)] = &&name##_4,
#define LABELS_BOTH(name)                           [HANDLER(OP_##name, 2)] = &&name##_2, LABELS_WIDE(name)
#define LABELS_SLOW(name)                           [HANDLER(OP_##name, 2)] = &&slow, [HANDLER(OP_##name, 4)] = &&slow,
#define INSN(name, match, mask, format, cost, kind) LABELS_##kind(name)
	/* cppcheck-suppress internalAstError ; labels as values are unknown to it */
	static const void *const handlers[] = {[HANDLER(OP_UNDECODED, 2)] = &&undecoded,
					       INSNS(INSN) LABELS_SLOW(SPIN) LABELS_SLOW(ILLEGAL)};
#undef INSN
	uint8_t *const memory = c->memory[0].data;
	const uint32_t memory_base = c->memory[0].base, memory_bytes = c->memory[0].bytes;
	const uint32_t tohost = c->htif.tohost;
	const int64_t sram_cost = (int64_t)(c->cycle_table.sram - 1) << COST_SHIFT;
	const int64_t start = (int64_t)cycles << COST_SHIFT;
	bool finished = true;
	int64_t left = start;
	struct insn *insn;

	if (!code_contains(&c->code, c->pc))
		return false;
	insn = code_at(&c->code, c->pc);
	DISPATCH();

	BOTH(LUI, RD = IMM;);
	WIDE(AUIPC, RD = IMM;);
	BOTH(JAL, RD = code_pc(&c->code, insn) + BYTES; JUMP_TO(insn + insn->imm, insn->cost););
	BOTH(JALR, {
		uint32_t target = (RS1 + IMM) & ~1u;
		RD = code_pc(&c->code, insn) + BYTES;
		if (!code_contains(&c->code, target)) {
			left -= insn->cost;
			transfers_add(&c->transfers, code_pc(&c->code, insn), target);
			c->pc = target;
			goto settle;
		}
		JUMP_TO(code_at(&c->code, target), insn->cost);
	});
	BOTH(BEQ, BRANCH(RS1 == RS2));
	BOTH(BNE, BRANCH(RS1 != RS2));
	WIDE(BLT, BRANCH((int32_t)RS1 < (int32_t)RS2));
	WIDE(BGE, BRANCH((int32_t)RS1 >= (int32_t)RS2));
	WIDE(BLTU, BRANCH(RS1 < RS2));
	WIDE(BGEU, BRANCH(RS1 >= RS2));

	WIDE(LB, LOAD(1, 0, (uint32_t)(int8_t)*at));
	WIDE(LH, LOAD(2, 1, (uint32_t)(int16_t)load_le16(at)));
	BOTH(LW, LOAD(4, 2, load_le32(at)));
	WIDE(LBU, LOAD(1, 0, *at));
	WIDE(LHU, LOAD(2, 1, load_le16(at)));
	WIDE(SB, LOCATE(1, 0) *at = (uint8_t)RS2;);
	WIDE(SH, LOCATE(2, 1) store_le16(at, (uint16_t)RS2););
	BOTH(SW, {
		LOCATE(4, 2)
		if (__builtin_expect(address == tohost, 0))
			goto slow;
		store_le32(at, RS2);
	});

	BOTH(ADDI, RD = RS1 + IMM;);
	WIDE(SLTI, RD = (int32_t)RS1 < insn->imm;);
	WIDE(SLTIU, RD = RS1 < IMM;);
	WIDE(XORI, RD = RS1 ^ IMM;);
	WIDE(ORI, RD = RS1 | IMM;);
	BOTH(ANDI, RD = RS1 & IMM;);
	BOTH(SLLI, RD = RS1 << IMM;);
	BOTH(SRLI, RD = RS1 >> IMM;);
	BOTH(SRAI, RD = (uint32_t)((int32_t)RS1 >> IMM););
	BOTH(ADD, RD = RS1 + RS2;);
	BOTH(SUB, RD = RS1 - RS2;);
	WIDE(SLL, RD = RS1 << (RS2 & 31););
	WIDE(SLT, RD = (int32_t)RS1 < (int32_t)RS2;);
	WIDE(SLTU, RD = RS1 < RS2;);
	BOTH(XOR, RD = RS1 ^ RS2;);
	WIDE(SRL, RD = RS1 >> (RS2 & 31););
	WIDE(SRA, RD = (uint32_t)((int32_t)RS1 >> (RS2 & 31)););
	BOTH(OR, RD = RS1 | RS2;);
	BOTH(AND, RD = RS1 & RS2;);
	WIDE(FENCE, ); /* one hart, memory in order */

	WIDE(MUL, RD = RS1 * RS2;);
	WIDE(MULH, RD = (uint32_t)((int64_t)(int32_t)RS1 * (int32_t)RS2 >> 32););
	WIDE(MULHSU, RD = (uint32_t)((int64_t)(int32_t)RS1 * (int64_t)RS2 >> 32););
	WIDE(MULHU, RD = (uint32_t)((uint64_t)RS1 * RS2 >> 32););
	WIDE(DIV, RD = divide(RS1, RS2););
	WIDE(DIVU, RD = RS2 ? RS1 / RS2 : UINT32_MAX;);
	WIDE(REM, RD = remainder_of(RS1, RS2););
	WIDE(REMU, RD = RS2 ? RS1 % RS2 : RS1;);

undecoded:
	if (code_fill(&c->code, insn, &c->cycle_table))
		DISPATCH();
slow:
	finished = false;
leave:
	c->pc = code_pc(&c->code, insn);
settle:
	c->account.count.cycles += (uint64_t)(start - left) >> COST_SHIFT;
	c->account.count.instructions += (uint64_t)(start - left) & ((1 << COST_SHIFT) - 1);
	return finished;
}
