#include "tests/twin/core_coverage.h"

#include "rtl-model/blocks/cpu/decode.h"

/* ---- what an instruction is ------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	uint32_t match, mask;
} ops[OP_COUNT] = {
#define INSN(name, match, mask, format, cost, kind) [OP_##name] = {#name, match, mask},
	INSNS(INSN)
#undef INSN
};

static enum op op_of(uint32_t word)
{
	for (enum op op = OP_UNDECODED + 1; op < OP_SPIN; op++)
		if ((word & ops[op].mask) == ops[op].match)
			return op;
	return OP_ILLEGAL;
}

/* 16-bit forms, by the listing of the C extension (table 16.5 to 16.7). The first that matches it is. */
static const struct {
	const char *name;
	uint32_t match, mask;
} forms[FORMS_16] = {
	{"c.addi4spn", 0x0000, 0xe003}, {"c.lw", 0x4000, 0xe003},       {"c.sw", 0xc000, 0xe003},
	{"c.nop", 0x0001, 0xef83},      {"c.addi", 0x0001, 0xe003},     {"c.jal", 0x2001, 0xe003},
	{"c.li", 0x4001, 0xe003},       {"c.addi16sp", 0x6101, 0xef83}, {"c.lui", 0x6001, 0xe003},
	{"c.srli", 0x8001, 0xfc03},     {"c.srai", 0x8401, 0xfc03},     {"c.andi", 0x8801, 0xec03},
	{"c.sub", 0x8c01, 0xfc63},      {"c.xor", 0x8c21, 0xfc63},      {"c.or", 0x8c41, 0xfc63},
	{"c.and", 0x8c61, 0xfc63},      {"c.j", 0xa001, 0xe003},        {"c.beqz", 0xc001, 0xe003},
	{"c.bnez", 0xe001, 0xe003},     {"c.slli", 0x0002, 0xf003},     {"c.lwsp", 0x4002, 0xe003},
	{"c.ebreak", 0x9002, 0xffff},   {"c.jr", 0x8002, 0xf07f},       {"c.mv", 0x8002, 0xf003},
	{"c.jalr", 0x9002, 0xf07f},     {"c.add", 0x9002, 0xf003},      {"c.swsp", 0xc002, 0xe003},
};

static int form_of(uint32_t half)
{
	for (int i = 0; i < FORMS_16; i++)
		if ((half & forms[i].mask) == forms[i].match)
			return i;
	return -1;
}

static bool is_branch(enum op op)
{
	return op >= OP_BEQ && op <= OP_BGEU;
}

static bool is_load(enum op op)
{
	return op >= OP_LB && op <= OP_LHU;
}

static bool is_store(enum op op)
{
	return op >= OP_SB && op <= OP_SW;
}

static bool is_register_operation(enum op op)
{
	return op >= OP_ADD && op <= OP_AND;
}

static bool is_immediate_operation(enum op op)
{
	return op >= OP_ADDI && op <= OP_SRAI;
}

static bool is_csr(enum op op)
{
	return op >= OP_CSRRW && op <= OP_CSRRCI;
}

static bool writes_rd(enum op op)
{
	return !is_branch(op) && !is_store(op) && op != OP_FENCE && op != OP_FENCE_I && op != OP_MRET &&
	       op != OP_WFI;
}

static enum producer producer_of(enum op op, uint32_t address)
{
	if (op == OP_AUIPC)
		return FROM_AUIPC;
	if (op == OP_JAL || op == OP_JALR)
		return FROM_LINK;
	if (is_load(op))
		return address >= (uint32_t)TCM ? FROM_TCM : address >= SRAM ? FROM_SRAM : FROM_BUS;
	if (op >= OP_MUL && op <= OP_MULHU)
		return FROM_MUL;
	if (op >= OP_DIV && op <= OP_REMU)
		return FROM_DIV;
	return is_csr(op) ? FROM_CSR : FROM_ARITHMETIC;
}

/* What the instruction needs the register for which its field rs1 or rs2 names; CONSUMERS if it has no such field. */
static enum consumer consumer_of(enum op op, bool second)
{
	if (is_register_operation(op))
		return second ? TO_ARITHMETIC_2 : TO_ARITHMETIC_1;
	if (op >= OP_MUL && op <= OP_MULHU)
		return second ? TO_MUL_2 : TO_MUL_1;
	if (op >= OP_DIV && op <= OP_REMU)
		return second ? TO_DIV_2 : TO_DIV_1;
	if (is_store(op))
		return second ? TO_STORE_DATA : TO_STORE_BASE;
	if (is_branch(op))
		return second ? TO_BRANCH_2 : TO_BRANCH_1;
	if (second)
		return CONSUMERS;
	if (is_immediate_operation(op))
		return TO_ARITHMETIC_1;
	if (is_load(op))
		return TO_LOAD_BASE;
	if (op == OP_JALR)
		return TO_JUMP_BASE;
	return op >= OP_CSRRW && op <= OP_CSRRC ? TO_CSR : CONSUMERS;
}

/* ---- counting ------------------------------------------------------------------------------------------------- */

static void add_hazards(struct coverage *c, enum op op, uint32_t word)
{
	for (int second = 0; second < 2; second++) {
		uint32_t source = word >> (second ? 20 : 15) & 31;
		enum consumer consumer = consumer_of(op, second);
		if (source == 0 || consumer == CONSUMERS)
			continue;
		for (unsigned distance = 0; distance < DISTANCES; distance++) {
			if (c->last[distance].rd != source)
				continue;
			c->hazard[c->last[distance].producer][consumer][distance]++;
			break; /* older ones have been overwritten */
		}
	}
}

static void add_to_history(struct coverage *c, enum op op, uint32_t word, uint32_t address)
{
	memmove(&c->last[1], &c->last[0], sizeof(c->last) - sizeof(c->last[0]));
	c->last[0].rd = writes_rd(op) ? word >> 7 & 31 : 0;
	c->last[0].producer = producer_of(op, address);
}

static void add_retired(struct coverage *c, const struct ended *e, enum op op, uint32_t word)
{
	bool wide = raw_bytes(e->raw) == 4;
	c->op[op]++;
	c->place[e->pc % 8 / 2][wide]++;
	if (!wide)
		c->form_16[form_of(e->raw)]++;
	if (is_branch(op))
		c->branch[word >> 31][e->next_pc != e->pc + raw_bytes(e->raw)][wide]++;
	if (op == OP_WFI)
		c->wfi[e->slept]++;
	add_hazards(c, op, word);
	add_to_history(c, op, word, e->address);
}

void coverage_add(struct coverage *c, const struct ended *e)
{
	uint32_t word = raw_bytes(e->raw) == 4 ? e->raw : expand16(e->raw);
	enum op op = op_of(word);
	if (e->retired) {
		add_retired(c, e, op, word);
		return;
	}
	if (e->interrupted) {
		c->interrupt[e->cause & 15][e->vectored]++;
		c->interrupted[op]++;
		return;
	}
	c->exception[e->cause & 15]++;
	if (op == OP_ECALL || op == OP_EBREAK || op == OP_ILLEGAL)
		c->op[op]++;
	if (e->raw == 0x9002)
		c->form_16[form_of(e->raw)]++;
}

/* ---- what is missing --------------------------------------------------------------------------------------- */

static unsigned missing(unsigned count, const char *what, const char *which, unsigned a, unsigned b,
			unsigned c)
{
	if (count)
		return 0;
	print_message("not reached: %s %s %u %u %u\n", what, which, a, b, c);
	return 1;
}

unsigned coverage_missing(const struct coverage *c)
{
	static const unsigned exceptions[] = {1, 2, 3, 4, 5, 6, 7, 11}, interrupts[] = {3, 7, 11};
	unsigned n = 0;
	for (enum op op = OP_UNDECODED + 1; op < OP_SPIN; op++)
		n += missing(c->op[op], "instruction", ops[op].name, 0, 0, 0);
	n += missing(c->op[OP_ILLEGAL], "illegal instruction", "", 0, 0, 0);
	for (unsigned i = 0; i < FORMS_16; i++)
		n += missing(c->form_16[i], "instruction", forms[i].name, 0, 0, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(exceptions); i++)
		n += missing(c->exception[exceptions[i]], "exception", "", exceptions[i], 0, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(interrupts); i++)
		for (unsigned vectored = 0; vectored < 2; vectored++)
			n += missing(c->interrupt[interrupts[i]][vectored], "interrupt", "", interrupts[i],
				     vectored, 0);
	for (unsigned p = 0; p < PRODUCERS; p++)
		for (unsigned to = 0; to < CONSUMERS; to++)
			for (unsigned d = 0; d < DISTANCES; d++)
				n += missing(c->hazard[p][to][d], "hazard", "", p, to, d);
	for (unsigned i = 0; i < 4; i++)
		for (unsigned wide = 0; wide < 2; wide++)
			n += missing(c->place[i][wide], "place", "", i, wide, 0);
	for (unsigned backward = 0; backward < 2; backward++)
		for (unsigned taken = 0; taken < 2; taken++)
			for (unsigned wide = 0; wide < 2; wide++)
				n += missing(c->branch[backward][taken][wide], "branch", "", backward, taken,
					     wide);
	static const enum op before[] = {OP_ADDI, OP_LW,    OP_SW,      OP_BEQ, OP_BNE,
					 OP_JAL,  OP_JALR,  OP_MUL,     OP_DIV, OP_CSRRW,
					 OP_WFI,  OP_ECALL, OP_FENCE_I, OP_LUI, OP_ILLEGAL};
	for (unsigned i = 0; i < ARRAY_SIZE(before); i++)
		n += missing(c->interrupted[before[i]], "interrupt before instruction",
			     before[i] == OP_ILLEGAL ? "illegal" : ops[before[i]].name, 0, 0, 0);
	n += missing(c->wfi[0], "wfi without sleep", "", 0, 0, 0);
	n += missing(c->wfi[1], "wfi with sleep", "", 0, 0, 0);
	return n;
}
