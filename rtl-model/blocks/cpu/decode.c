#include "rtl-model/blocks/cpu/decode.h"

enum format {
	FORMAT_R,
	FORMAT_I,
	FORMAT_SHIFT,
	FORMAT_S,
	FORMAT_B,
	FORMAT_U,
	FORMAT_J,
	FORMAT_CSR,
	FORMAT_CSRI,
	FORMAT_NONE
};
enum cost { COST_ALU, COST_BRANCH, COST_LOAD, COST_JUMP, COST_MUL, COST_DIV, COST_RETURN };

struct row {
	uint32_t match, mask;
	uint8_t op, format, cost;
};

static const struct row rows[] = {
#define INSN(name, match, mask, format, cost, kind) {match, mask, OP_##name, FORMAT_##format, COST_##cost},
	INSNS(INSN)
#undef INSN
};

static const struct row illegal = {0, 0, OP_ILLEGAL, FORMAT_NONE, COST_ALU};

static const struct row *find_row(uint32_t word)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if ((word & rows[i].mask) == rows[i].match)
			return &rows[i];
	return &illegal;
}

/* Bits high..low of w. */
static uint32_t bits(uint32_t w, unsigned high, unsigned low)
{
	return w >> low & ((2u << (high - low)) - 1);
}

/* `count` bits of w from `from` on, moved to `to`. */
static uint32_t move(uint32_t w, unsigned from, unsigned count, unsigned to)
{
	return bits(w, from + count - 1, from) << to;
}

/* `value` has `count` bits, the highest being the sign. */
static uint32_t sign_extend(uint32_t value, unsigned count)
{
	uint32_t sign = 1u << (count - 1);
	return (value ^ sign) - sign;
}

static uint32_t immediate(enum format format, uint32_t w)
{
	switch (format) {
	case FORMAT_I: return sign_extend(bits(w, 31, 20), 12);
	case FORMAT_SHIFT: return bits(w, 24, 20);
	case FORMAT_S: return sign_extend(move(w, 25, 7, 5) | move(w, 7, 5, 0), 12);
	case FORMAT_B:
		return sign_extend(
			move(w, 31, 1, 12) | move(w, 7, 1, 11) | move(w, 25, 6, 5) | move(w, 8, 4, 1), 13);
	case FORMAT_U: return w & 0xfffff000;
	case FORMAT_J:
		return sign_extend(move(w, 31, 1, 20) | move(w, 12, 8, 12) | move(w, 20, 1, 11) |
					   move(w, 21, 10, 1),
				   21);
	default: return 0;
	}
}

static bool writes_rd(enum format format)
{
	return format != FORMAT_S && format != FORMAT_B && format != FORMAT_NONE;
}

static bool reads_rs1(enum format format)
{
	return format != FORMAT_U && format != FORMAT_J && format != FORMAT_CSRI && format != FORMAT_NONE;
}

static bool reads_rs2(enum format format)
{
	return format == FORMAT_R || format == FORMAT_S || format == FORMAT_B;
}

static uint32_t full_word(uint32_t raw)
{
	return raw_bytes(raw) == 2 ? expand16(raw & 0xffff) : raw;
}

static bool reads_register(uint32_t raw, uint32_t reg)
{
	uint32_t word = full_word(raw);
	const struct row *row = find_row(word);
	return reg != 0 && ((reads_rs1(row->format) && bits(word, 19, 15) == reg) ||
			    (reads_rs2(row->format) && bits(word, 24, 20) == reg));
}

static uint32_t cycles_of(const struct cycle_table *cycles, enum cost cost, uint32_t rd, uint32_t imm,
			  uint32_t next)
{
	switch (cost) {
	case COST_ALU: return 1;
	case COST_BRANCH: return 1 + (bits(imm, 31, 31) ? cycles->branch_miss : 0); /* not taken */
	case COST_LOAD: return 1 + (reads_register(next, rd) ? cycles->load_use : 0);
	case COST_JUMP: return 1 + cycles->jump;
	case COST_MUL: return cycles->mul;
	case COST_DIV: return cycles->div;
	case COST_RETURN: return 1 + cycles->trap;
	}
	ASSERT(false);
	return 0;
}

void decode(struct insn *insn, const struct cycle_table *cycles, uint32_t pc, uint32_t raw, uint32_t next)
{
	uint32_t bytes = raw_bytes(raw);
	uint32_t word = full_word(raw);
	const struct row *row = find_row(word);
	enum op op = row->op;
	uint32_t imm = immediate(row->format, word);
	uint32_t rd = writes_rd(row->format) ? bits(word, 11, 7) : 0;

	if (op == OP_AUIPC)
		imm += pc;
	if (op == OP_JAL && imm == 0)
		op = OP_SPIN;
	if (row->format == FORMAT_B || row->format == FORMAT_J)
		imm = (uint32_t)((int32_t)imm / 2);
	insn->handler = (uint8_t)HANDLER(op, bytes);
	insn->rd = (uint8_t)(rd ? rd : REG_SINK);
	insn->rs1 = (uint8_t)bits(word, 19, 15);
	insn->rs2 = (uint8_t)bits(word, 24, 20);
	insn->imm = (int32_t)imm;
	insn->cost = cycles_of(cycles, row->cost, rd, imm, next) << COST_SHIFT | 1;
	insn->raw = bytes == 2 ? raw & 0xffff : raw;
	if (row->cost == COST_BRANCH)
		insn->taken_cost = (1 + (bits(imm, 31, 31) ? 0 : cycles->branch_miss)) << COST_SHIFT | 1;
}

/* ---- 16-bit instructions ---------------------------------------------------------------------------- */

enum {
#define INSN(name, match, mask, format, cost, kind) MATCH_##name = match,
	INSNS(INSN)
#undef INSN
};

static uint32_t make_r(uint32_t match, uint32_t rd, uint32_t rs1, uint32_t rs2)
{
	return match | rd << 7 | rs1 << 15 | rs2 << 20;
}

static uint32_t make_i(uint32_t match, uint32_t rd, uint32_t rs1, uint32_t imm)
{
	return match | rd << 7 | rs1 << 15 | imm << 20;
}

static uint32_t make_sw(uint32_t rs1, uint32_t rs2, uint32_t imm)
{
	return MATCH_SW | move(imm, 0, 5, 7) | rs1 << 15 | rs2 << 20 | move(imm, 5, 7, 25);
}

static uint32_t make_branch(uint32_t match, uint32_t rs1, uint32_t imm)
{
	return match | move(imm, 11, 1, 7) | move(imm, 1, 4, 8) | rs1 << 15 | move(imm, 5, 6, 25) |
	       move(imm, 12, 1, 31);
}

static uint32_t make_jal(uint32_t rd, uint32_t imm)
{
	return MATCH_JAL | rd << 7 | move(imm, 12, 8, 12) | move(imm, 11, 1, 20) | move(imm, 1, 10, 21) |
	       move(imm, 20, 1, 31);
}

/* Three-bit register fields name x8 to x15. */
static uint32_t reg3(uint32_t c, unsigned low)
{
	return 8 + bits(c, low + 2, low);
}

static uint32_t imm6(uint32_t c)
{
	return sign_extend(move(c, 12, 1, 5) | move(c, 2, 5, 0), 6);
}

static uint32_t imm_jump(uint32_t c)
{
	return sign_extend(move(c, 12, 1, 11) | move(c, 11, 1, 4) | move(c, 9, 2, 8) | move(c, 8, 1, 10) |
				   move(c, 7, 1, 6) | move(c, 6, 1, 7) | move(c, 3, 3, 1) | move(c, 2, 1, 5),
			   12);
}

static uint32_t imm_branch(uint32_t c)
{
	return sign_extend(move(c, 12, 1, 8) | move(c, 10, 2, 3) | move(c, 5, 2, 6) | move(c, 3, 2, 1) |
				   move(c, 2, 1, 5),
			   9);
}

/* Quadrant 0: loads and stores over three-bit registers. */
static uint32_t expand_q0(uint32_t c)
{
	uint32_t offset = move(c, 10, 3, 3) | move(c, 6, 1, 2) | move(c, 5, 1, 6);
	uint32_t wide_offset = move(c, 11, 2, 4) | move(c, 7, 4, 6) | move(c, 6, 1, 2) | move(c, 5, 1, 3);
	switch (bits(c, 15, 13)) {
	case 0: return wide_offset ? make_i(MATCH_ADDI, reg3(c, 2), 2, wide_offset) : 0; /* c.addi4spn */
	case 2: return make_i(MATCH_LW, reg3(c, 2), reg3(c, 7), offset);                 /* c.lw */
	case 6: return make_sw(reg3(c, 7), reg3(c, 2), offset);                          /* c.sw */
	default: return 0; /* floating point, reserved */
	}
}

/* c.srli, c.srai, c.andi and the register-register group, all on rd' = x8..x15. */
static uint32_t expand_arithmetic(uint32_t c)
{
	static const uint32_t register_ops[4] = {MATCH_SUB, MATCH_XOR, MATCH_OR, MATCH_AND};
	uint32_t rd = reg3(c, 7);
	bool bit12 =
		bits(c, 12, 12); /* shift amounts above 31 and the RV64 word operations do not exist here */
	switch (bits(c, 11, 10)) {
	case 0: return bit12 ? 0 : make_i(MATCH_SRLI, rd, rd, bits(c, 6, 2));
	case 1: return bit12 ? 0 : make_i(MATCH_SRAI, rd, rd, bits(c, 6, 2));
	case 2: return make_i(MATCH_ANDI, rd, rd, imm6(c));
	default: return bit12 ? 0 : make_r(register_ops[bits(c, 6, 5)], rd, rd, reg3(c, 2));
	}
}

/* c.addi16sp, c.lui: an immediate of 0 is reserved. */
static uint32_t expand_lui(uint32_t c)
{
	uint32_t rd = bits(c, 11, 7);
	uint32_t stack = sign_extend(move(c, 12, 1, 9) | move(c, 6, 1, 4) | move(c, 5, 1, 6) |
					     move(c, 3, 2, 7) | move(c, 2, 1, 5),
				     10);
	if (imm6(c) == 0)
		return 0;
	return rd == 2 ? make_i(MATCH_ADDI, 2, 2, stack) : MATCH_LUI | rd << 7 | imm6(c) << 12;
}

/* Quadrant 1: immediates and short jumps. */
static uint32_t expand_q1(uint32_t c)
{
	uint32_t rd = bits(c, 11, 7);
	switch (bits(c, 15, 13)) {
	case 0: return make_i(MATCH_ADDI, rd, rd, imm6(c)); /* c.nop, c.addi */
	case 1: return make_jal(1, imm_jump(c));            /* c.jal */
	case 2: return make_i(MATCH_ADDI, rd, 0, imm6(c));  /* c.li */
	case 3: return expand_lui(c);
	case 4: return expand_arithmetic(c);
	case 5: return make_jal(0, imm_jump(c));                           /* c.j */
	case 6: return make_branch(MATCH_BEQ, reg3(c, 7), imm_branch(c));  /* c.beqz */
	default: return make_branch(MATCH_BNE, reg3(c, 7), imm_branch(c)); /* c.bnez */
	}
}

/* c.jr, c.mv, c.ebreak, c.jalr, c.add: told apart by bit 12 and by which fields are 0. */
static uint32_t expand_register(uint32_t c)
{
	uint32_t rd = bits(c, 11, 7), rs2 = bits(c, 6, 2);
	bool bit12 = bits(c, 12, 12);
	if (rs2)
		return make_r(MATCH_ADD, rd, bit12 ? rd : 0, rs2);
	if (rd)
		return make_i(MATCH_JALR, bit12, rd, 0);
	return bit12 ? MATCH_EBREAK : 0;
}

/* Quadrant 2: stack-pointer-relative and full-register forms. */
static uint32_t expand_q2(uint32_t c)
{
	uint32_t rd = bits(c, 11, 7);
	uint32_t load_offset = move(c, 12, 1, 5) | move(c, 4, 3, 2) | move(c, 2, 2, 6);
	uint32_t store_offset = move(c, 9, 4, 2) | move(c, 7, 2, 6);
	switch (bits(c, 15, 13)) {
	case 0: return bits(c, 12, 12) ? 0 : make_i(MATCH_SLLI, rd, rd, bits(c, 6, 2)); /* c.slli */
	case 2: return rd ? make_i(MATCH_LW, rd, 2, load_offset) : 0;                   /* c.lwsp */
	case 4: return expand_register(c);
	case 6: return make_sw(2, bits(c, 6, 2), store_offset); /* c.swsp */
	default: return 0;                                      /* floating point */
	}
}

uint32_t expand16(uint32_t raw)
{
	switch (raw & 3) {
	case 0: return expand_q0(raw);
	case 1: return expand_q1(raw);
	default: return expand_q2(raw);
	}
}
