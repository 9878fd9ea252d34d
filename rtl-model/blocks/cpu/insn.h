/* The instruction set, one row an instruction.
 *
 *   INSN(name, match, mask, format, cost, kind)
 *
 * A 32-bit word w is the instruction when (w & mask) == match; no two rows overlap. 16-bit instructions have no rows:
 * decode.c expands each to the 32-bit instruction it abbreviates (C extension 2.0: every one has an equivalent).
 * format  says which fields hold registers and the immediate (unprivileged ISA §2.2, §2.3)
 * cost    row of the cycle table in README.md
 * kind    how execute.c carries it out: WIDE and BOTH are executed in the loop, BOTH having a 16-bit form too;
 *         SLOW leaves the loop and is executed by slow.c
 */
#ifndef KICKSTAND_BLOCKS_CPU_INSN_H
#define KICKSTAND_BLOCKS_CPU_INSN_H

#include "pcie/base.h"

/* clang-format off */
#define INSNS(INSN) \
	/* RV32I */ \
	INSN(LUI,    0x00000037, 0x0000007f, U,     ALU,    BOTH) \
	INSN(AUIPC,  0x00000017, 0x0000007f, U,     ALU,    WIDE) \
	INSN(JAL,    0x0000006f, 0x0000007f, J,     ALU,    BOTH) \
	INSN(JALR,   0x00000067, 0x0000707f, I,     JUMP,   BOTH) \
	INSN(BEQ,    0x00000063, 0x0000707f, B,     BRANCH, BOTH) \
	INSN(BNE,    0x00001063, 0x0000707f, B,     BRANCH, BOTH) \
	INSN(BLT,    0x00004063, 0x0000707f, B,     BRANCH, WIDE) \
	INSN(BGE,    0x00005063, 0x0000707f, B,     BRANCH, WIDE) \
	INSN(BLTU,   0x00006063, 0x0000707f, B,     BRANCH, WIDE) \
	INSN(BGEU,   0x00007063, 0x0000707f, B,     BRANCH, WIDE) \
	INSN(LB,     0x00000003, 0x0000707f, I,     LOAD,   WIDE) \
	INSN(LH,     0x00001003, 0x0000707f, I,     LOAD,   WIDE) \
	INSN(LW,     0x00002003, 0x0000707f, I,     LOAD,   BOTH) \
	INSN(LBU,    0x00004003, 0x0000707f, I,     LOAD,   WIDE) \
	INSN(LHU,    0x00005003, 0x0000707f, I,     LOAD,   WIDE) \
	INSN(SB,     0x00000023, 0x0000707f, S,     ALU,    WIDE) \
	INSN(SH,     0x00001023, 0x0000707f, S,     ALU,    WIDE) \
	INSN(SW,     0x00002023, 0x0000707f, S,     ALU,    BOTH) \
	INSN(ADDI,   0x00000013, 0x0000707f, I,     ALU,    BOTH) \
	INSN(SLTI,   0x00002013, 0x0000707f, I,     ALU,    WIDE) \
	INSN(SLTIU,  0x00003013, 0x0000707f, I,     ALU,    WIDE) \
	INSN(XORI,   0x00004013, 0x0000707f, I,     ALU,    WIDE) \
	INSN(ORI,    0x00006013, 0x0000707f, I,     ALU,    WIDE) \
	INSN(ANDI,   0x00007013, 0x0000707f, I,     ALU,    BOTH) \
	INSN(SLLI,   0x00001013, 0xfe00707f, SHIFT, ALU,    BOTH) \
	INSN(SRLI,   0x00005013, 0xfe00707f, SHIFT, ALU,    BOTH) \
	INSN(SRAI,   0x40005013, 0xfe00707f, SHIFT, ALU,    BOTH) \
	INSN(ADD,    0x00000033, 0xfe00707f, R,     ALU,    BOTH) \
	INSN(SUB,    0x40000033, 0xfe00707f, R,     ALU,    BOTH) \
	INSN(SLL,    0x00001033, 0xfe00707f, R,     ALU,    WIDE) \
	INSN(SLT,    0x00002033, 0xfe00707f, R,     ALU,    WIDE) \
	INSN(SLTU,   0x00003033, 0xfe00707f, R,     ALU,    WIDE) \
	INSN(XOR,    0x00004033, 0xfe00707f, R,     ALU,    BOTH) \
	INSN(SRL,    0x00005033, 0xfe00707f, R,     ALU,    WIDE) \
	INSN(SRA,    0x40005033, 0xfe00707f, R,     ALU,    WIDE) \
	INSN(OR,     0x00006033, 0xfe00707f, R,     ALU,    BOTH) \
	INSN(AND,    0x00007033, 0xfe00707f, R,     ALU,    BOTH) \
	INSN(FENCE,  0x0000000f, 0x0000707f, NONE,  ALU,    WIDE) \
	INSN(ECALL,  0x00000073, 0xffffffff, NONE,  ALU,    SLOW) \
	INSN(EBREAK, 0x00100073, 0xffffffff, NONE,  ALU,    SLOW) \
	/* M */ \
	INSN(MUL,    0x02000033, 0xfe00707f, R,     MUL,    WIDE) \
	INSN(MULH,   0x02001033, 0xfe00707f, R,     MUL,    WIDE) \
	INSN(MULHSU, 0x02002033, 0xfe00707f, R,     MUL,    WIDE) \
	INSN(MULHU,  0x02003033, 0xfe00707f, R,     MUL,    WIDE) \
	INSN(DIV,    0x02004033, 0xfe00707f, R,     DIV,    WIDE) \
	INSN(DIVU,   0x02005033, 0xfe00707f, R,     DIV,    WIDE) \
	INSN(REM,    0x02006033, 0xfe00707f, R,     DIV,    WIDE) \
	INSN(REMU,   0x02007033, 0xfe00707f, R,     DIV,    WIDE) \
	/* Zifencei, Zicsr, machine mode */ \
	INSN(FENCE_I, 0x0000100f, 0x0000707f, NONE, JUMP,   SLOW) \
	INSN(CSRRW,  0x00001073, 0x0000707f, CSR,   ALU,    SLOW) \
	INSN(CSRRS,  0x00002073, 0x0000707f, CSR,   ALU,    SLOW) \
	INSN(CSRRC,  0x00003073, 0x0000707f, CSR,   ALU,    SLOW) \
	INSN(CSRRWI, 0x00005073, 0x0000707f, CSRI,  ALU,    SLOW) \
	INSN(CSRRSI, 0x00006073, 0x0000707f, CSRI,  ALU,    SLOW) \
	INSN(CSRRCI, 0x00007073, 0x0000707f, CSRI,  ALU,    SLOW) \
	INSN(MRET,   0x30200073, 0xffffffff, NONE,  RETURN, SLOW) \
	INSN(WFI,    0x10500073, 0xffffffff, NONE,  ALU,    SLOW)
/* clang-format on */

enum op {
	OP_UNDECODED, /* not looked at since reset or fence.i */
#define INSN(name, match, mask, format, cost, kind) OP_##name,
	INSNS(INSN)
#undef INSN
		OP_SPIN, /* jal to itself: the core is stuck unless an interrupt can end it */
	OP_ILLEGAL,      /* anything else */
	OP_COUNT
};

/* A decoded instruction. `handler` is HANDLER(op, bytes), `imm` is sign-extended; for a branch or jal it counts 16-bit
 * units, for auipc it is the result. Register x0 as destination is REG_SINK, so that writing needs no test. */
struct insn {
	uint8_t handler, rd, rs1, rs2;
	int32_t imm;
	uint32_t cost; /* cycles << COST_SHIFT | 1 */
	union {
		uint32_t raw; /* as fetched; 16-bit ones in the low half */
		uint32_t
			taken_cost; /* of a branch, which is never SLOW and so needs no raw: the cost if it is taken */
	};
};

enum { REG_SINK = 32, REG_COUNT };
enum { COST_SHIFT = 16 };

#define HANDLER(op, bytes) ((op) << 1 | (bytes) >> 2)
static inline enum op insn_op(const struct insn *insn)
{
	return (enum op)(insn->handler >> 1);
}
static inline uint32_t raw_bytes(uint32_t raw)
{
	return (raw & 3) == 3 ? 4 : 2;
}

#endif
