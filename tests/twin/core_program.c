#include "tests/twin/core_program.h"

/* Where things are in the TCM. */
enum {
	CODE_BYTES = 0x6000,
	HANDLER = 0x6000,
	DATA = 0x8000, /* 4 KiB that programs write */
	LITERALS = 0xa000,
};
/* In the request memory and in the registers: written below, read-only literals above. */
enum { SRAM_LITERALS = 0x800, REGS_LITERALS = 0x400 };

/* Registers with a meaning; the others are free. */
enum {
	STACK = 2,       /* DATA */
	MIDDLE = 3,      /* DATA + 2048 */
	SRAM_MIDDLE = 4, /* SRAM + 1024 */
	DATA_LOW = 8,    /* DATA, for 16-bit loads and stores */
	REGS_LOW = 9,    /* REGS */
	SRAM_LOW = 10,   /* SRAM */
	SETUP = 25,      /* to make a value for what follows */
	ONE = 26,        /* 1 */
	RECOVERY = 27,   /* where to go on after a fetch fault */
	NOWHERE = 28,    /* an address where nothing is */
	COUNTER = 29,    /* of the loop */
	HANDLER_A = 30,
	HANDLER_B = 31,
};
static const uint32_t reserved = 1u << 0 | 1u << STACK | 1u << MIDDLE | 1u << SRAM_MIDDLE | 1u << DATA_LOW |
				 1u << REGS_LOW | 1u << SRAM_LOW | 1u << SETUP | 1u << ONE | 1u << RECOVERY |
				 1u << NOWHERE | 1u << COUNTER | 1u << HANDLER_A | 1u << HANDLER_B;

static uint32_t pick(struct core_program *p, uint32_t bound)
{
	return (uint32_t)rng_below(&p->rng, bound);
}

static void put16(struct core_program *p, uint32_t half)
{
	assert_true(p->at + 2 <= CODE_BYTES);
	store_le16(p->tcm + p->at, (uint16_t)half);
	p->at += 2;
}

static void put32(struct core_program *p, uint32_t word)
{
	put16(p, word);
	put16(p, word >> 16);
}

static uint32_t here(const struct core_program *p)
{
	return (uint32_t)TCM + p->at;
}

/* ---- registers -------------------------------------------------------------------------------------------- */

static uint32_t wrote(struct core_program *p, uint32_t rd)
{
	p->recent[2] = p->recent[1];
	p->recent[1] = p->recent[0];
	p->recent[0] = rd;
	return rd;
}

static uint32_t free_register(struct core_program *p)
{
	uint32_t rd;
	do {
		rd = pick(p, 32);
	} while (reserved >> rd & 1);
	return rd;
}

/* Mostly a free register; x0 now and then. */
static uint32_t pick_rd(struct core_program *p)
{
	return pick(p, 16) ? wrote(p, free_register(p)) : 0;
}

/* Among x11 to x15, for 16-bit instructions. */
static uint32_t pick_rd_low(struct core_program *p)
{
	return wrote(p, 11 + pick(p, 5));
}

/* Mostly one that was written just before. */
static uint32_t pick_rs(struct core_program *p)
{
	return pick(p, 2) ? p->recent[pick(p, 3)] : pick(p, 30);
}

static void put_constant(struct core_program *p, uint32_t rd, uint32_t value)
{
	put32(p, asm_lui(rd, value + 0x800));
	put32(p, asm_addi(rd, rd, (int32_t)(value << 20) >> 20));
}

/* ---- single instructions ----------------------------------------------------------------------------- */

static void put_operation(struct core_program *p)
{
	static const uint32_t funct7s[] = {0, 1, 1, 32};
	uint32_t funct7 = funct7s[pick(p, 4)];
	uint32_t funct3 = funct7 == 32 ? 5 * pick(p, 2) : pick(p, 8);
	uint32_t rs1 = pick_rs(p), rs2 = pick_rs(p);
	if (funct7 == 1 && funct3 >= 4 && pick(p, 3)) /* divisions take long */
		funct7 = funct3 == 5 ? 32 : 0;
	put32(p, asm_r(funct7, rs2, rs1, funct3, pick_rd(p), 0x33));
}

static void put_immediate(struct core_program *p)
{
	uint32_t funct3 = pick(p, 8), rs1 = pick_rs(p);
	int32_t imm = (int32_t)pick(p, 4096) - 2048;
	if (funct3 == 1)
		imm &= 31;
	if (funct3 == 5)
		imm = (imm & 31) | (pick(p, 2) ? 0x400 : 0);
	put32(p, asm_i(imm, rs1, funct3, pick_rd(p), 0x13));
}

static void put_upper(struct core_program *p)
{
	uint32_t upper = (uint32_t)rng_u64(&p->rng);
	put32(p, pick(p, 2) ? asm_lui(pick_rd(p), upper) : asm_auipc(pick_rd(p), upper));
}

/* A base register and an offset that suits it. */
static uint32_t pick_base(struct core_program *p, int32_t *imm)
{
	switch (pick(p, 12)) {
	case 0:
	case 1: *imm = (int32_t)pick(p, 2048) - 1024; return SRAM_MIDDLE;
	case 2: *imm = (int32_t)pick(p, 0x700); return REGS_LOW;
	case 3: *imm = (int32_t)pick(p, 2048); return NOWHERE;
	case 4: *imm = (int32_t)pick(p, 2048); return STACK;
	default: *imm = (int32_t)pick(p, 4096) - 2048; return MIDDLE;
	}
}

/* Mostly aligned, so that programs do not consist of traps. */
static void put_access(struct core_program *p)
{
	static const uint32_t loads[] = {0, 1, 2, 4, 5};
	int32_t imm;
	uint32_t base = pick_base(p, &imm);
	if (pick(p, 20))
		imm &= -4;
	if (base == REGS_LOW && imm >= REGS_LITERALS && pick(p, 2))
		put32(p, asm_lw(pick_rd(p), base, imm));
	else if (pick(p, 2))
		put32(p, asm_i(imm, base, loads[pick(p, 5)], pick_rd(p), 0x03));
	else if (base == REGS_LOW)
		put32(p, asm_s(imm & 0x3ff, pick_rs(p), base, pick(p, 8) ? 2 : pick(p, 3)));
	else
		put32(p, asm_s(imm, pick_rs(p), base, pick(p, 3)));
}

/* 16-bit instructions on x11 to x15, or on a free register. */
static void put_compressed(struct core_program *p)
{
	uint32_t random = (uint32_t)rng_u64(&p->rng);
	uint32_t low = 3 + pick(p, 5), imm6 = random & 0x107c; /* x11 to x15 as a three-bit field */
	uint32_t base = pick(p, 4) ? 0 : 1 + pick(p, 2);       /* x8 mostly; registers, request memory */
	uint32_t offset = random & (base == 1 ? 0x1c40 : 0x1c60);
	switch (pick(p, 20)) {
	case 0: put16(p, 0x8001 | imm6 | low << 7); break; /* c.srli */
	case 1: put16(p, 0x8401 | imm6 | low << 7); break; /* c.srai */
	case 2: put16(p, 0x8801 | imm6 | low << 7); break; /* c.andi */
	case 3:
	case 4:
	case 5: put16(p, 0x8c01 | (random & 0x7c) | low << 7); break; /* c.sub, c.xor, c.or, c.and */
	case 6:
	case 7: put16(p, 0x0001 | pick_rd(p) << 7 | imm6); break;                  /* c.addi, c.nop */
	case 8: put16(p, 0x4001 | pick_rd(p) << 7 | imm6); break;                  /* c.li */
	case 9: put16(p, 0x6001 | wrote(p, free_register(p)) << 7 | imm6); break;  /* c.lui */
	case 10: put16(p, 0x0002 | pick_rd(p) << 7 | (random & 0x7c)); break;      /* c.slli */
	case 11: put16(p, (random & 0x1fe0) | (pick_rd_low(p) - 8) << 2); break;   /* c.addi4spn */
	case 12: put16(p, 0xc002 | (random & 0x1f80) | pick_rs(p) << 2); break;    /* c.swsp */
	case 13: put16(p, 0x4002 | wrote(p, free_register(p)) << 7 | imm6); break; /* c.lwsp */
	case 14:
		put16(p, 0x8002 | wrote(p, free_register(p)) << 7 | (1 + pick(p, 31)) << 2);
		break; /* c.mv */
	case 15:
		put16(p, 0x9002 | wrote(p, free_register(p)) << 7 | (1 + pick(p, 31)) << 2);
		break; /* c.add */
	case 16:
	case 17: put16(p, 0x4000 | offset | base << 7 | (pick_rd_low(p) - 8) << 2); break; /* c.lw */
	case 18: put16(p, 0xc000 | offset | base << 7 | (random & 0x1c)); break;           /* c.sw */
	case 19:                                  /* c.addi16sp down and up again */
		put16(p, 0x6101 | 0x1000 | 0x40); /* by -496 */
		put16(p, 0xc002 | (random & 0x1f80) | pick_rs(p) << 2);
		put32(p, asm_addi(STACK, STACK, 496));
		break;
	}
}

static void put_csr(struct core_program *p)
{
	static const uint32_t numbers[] = {MSCRATCH,  MSCRATCH, MTVAL,   MCAUSE, MEPC,    MINSTRET,
					   MINSTRETH, MCYCLE,   MCYCLEH, CYCLE,  INSTRET, MIP,
					   INSTRETH,  MISA,     CYCLEH,  0x123,  MSTATUS, 0xf14};
	static const uint32_t kinds[] = {1, 2, 3, 5, 6, 7};
	uint32_t number = numbers[pick(p, ARRAY_SIZE(numbers))], kind = kinds[pick(p, 6)];
	uint32_t source = pick(p, 2) ? pick_rs(p) : 0;
	if (number == MSTATUS) /* interrupts on or off, nothing else */
		put32(p, asm_csr(pick(p, 3) ? 6 : 7, pick_rd(p), MSTATUS, 8));
	else
		put32(p, asm_csr(kind, pick_rd(p), number, source));
}

/* Counters about to carry into their upper halves, and then written or read. */
static void put_counter_carry(struct core_program *p)
{
	static const uint32_t halves[] = {MCYCLE, MINSTRET, MCYCLEH, MINSTRETH};
	uint32_t low = halves[pick(p, 2)];
	put32(p, asm_addi(SETUP, ZERO, -1 - (int32_t)pick(p, 4)));
	put32(p, asm_csrrw(ZERO, low, SETUP));
	for (unsigned n = 1 + pick(p, 3); n; n--)
		put32(p, asm_csr(1 + pick(p, 2), pick_rd(p), halves[pick(p, 4)], pick(p, 2) ? SETUP : 0));
}

static void put_interrupt_enables(struct core_program *p)
{
	static const uint32_t masks[] = {0x888, 0x888, 0x880, 0x808, 0x088, 0x80};
	put_constant(p, SETUP, masks[pick(p, ARRAY_SIZE(masks))]);
	put32(p, asm_csrrw(pick_rd(p), MIE, SETUP));
}

static void put_system(struct core_program *p)
{
	static const uint32_t words[] = {ASM_ECALL,  ASM_EBREAK, ASM_FENCE, ASM_FENCE_I,
					 0xffffffff, 0x00000000, 0x9002 /* c.ebreak, and 0 */};
	put32(p, words[pick(p, ARRAY_SIZE(words))]);
	if (p->tcm[p->at - 2] == 0 && p->tcm[p->at - 1] == 0 && pick(p, 2))
		put16(p, 0x0001);
}

static void put_bus(struct core_program *p)
{
	switch (pick(p, 4)) {
	case 0: put32(p, asm_sw(pick_rs(p), REGS_LOW, (pick(p, 2) ? LINE_AFTER : LINE_UP) - REGS)); break;
	case 1: put32(p, asm_lw(pick_rd(p), REGS_LOW, TIME - REGS)); break;
	case 2: put32(p, asm_lw(pick_rd(p), REGS_LOW, 4 * (int32_t)pick(p, 256))); break;
	case 3: put32(p, asm_sw(pick_rs(p), REGS_LOW, 4 * (int32_t)pick(p, 256))); break;
	}
}

static void put_plain(struct core_program *p)
{
	uint32_t kind = pick(p, 100);
	if (kind < 22)
		put_operation(p);
	else if (kind < 36)
		put_immediate(p);
	else if (kind < 40)
		put_upper(p);
	else if (kind < 58)
		put_access(p);
	else if (kind < 82)
		put_compressed(p);
	else if (kind < 90)
		put_csr(p);
	else if (kind < 92)
		put_interrupt_enables(p);
	else if (kind < 94)
		put_system(p);
	else if (kind < 98)
		put_bus(p);
	else
		put32(p, ASM_WFI);
}

/* ---- transfers ----------------------------------------------------------------------------------------------- */

/* Writes `count` instructions behind a gap of `bytes`, and returns to the gap; *end is behind them. */
static void put_behind(struct core_program *p, uint32_t bytes, uint32_t count, uint32_t *end)
{
	uint32_t from = p->at;
	p->at += bytes;
	while (count--)
		put_plain(p);
	*end = p->at;
	p->at = from;
}

static uint32_t c_jump(uint32_t match, uint32_t offset)
{
	return match | (offset >> 11 & 1) << 12 | (offset >> 4 & 1) << 11 | (offset >> 8 & 3) << 9 |
	       (offset >> 10 & 1) << 8 | (offset >> 6 & 1) << 7 | (offset >> 7 & 1) << 6 |
	       (offset >> 1 & 7) << 3 | (offset >> 5 & 1) << 2;
}

static uint32_t c_branch(uint32_t match, uint32_t low, uint32_t offset)
{
	return match | (offset >> 8 & 1) << 12 | (offset >> 3 & 3) << 10 | low << 7 | (offset >> 6 & 3) << 5 |
	       (offset >> 1 & 3) << 3 | (offset >> 5 & 1) << 2;
}

/* Over a few instructions. */
static void put_skip(struct core_program *p)
{
	static const uint32_t conditions[] = {0, 1, 4, 5, 6, 7};
	uint32_t kind = pick(p, 9), count = pick(p, 5), end, from = p->at;
	uint32_t bytes = kind < 4 ? 4 : kind == 4 ? 8 : kind == 5 ? 10 : kind == 6 ? 10 : 2;
	put_behind(p, bytes, count, &end);
	uint32_t offset = end - from;
	switch (kind) {
	case 0:
	case 1:
	case 2: put32(p, asm_branch(conditions[pick(p, 6)], pick_rs(p), pick_rs(p), (int32_t)offset)); break;
	case 3: put32(p, asm_jal(pick_rd(p), (int32_t)offset)); break;
	case 4:
		put32(p, asm_auipc(SETUP, 0));
		put32(p, asm_jalr(pick_rd(p), SETUP, (int32_t)(offset | pick(p, 2))));
		break;
	case 5:
		put_constant(p, SETUP, (uint32_t)TCM + end);
		put16(p, 0x8002 | SETUP << 7); /* c.jr */
		break;
	case 6:
		put_constant(p, SETUP, (uint32_t)TCM + end);
		put16(p, 0x9002 | SETUP << 7); /* c.jalr */
		break;
	case 7: put16(p, c_jump(pick(p, 2) ? 0xa001 : 0x2001, offset)); break; /* c.j, c.jal */
	case 8: put16(p, c_branch(pick(p, 2) ? 0xc001 : 0xe001, pick(p, 8), offset)); break;
	}
	p->at = end;
}

/* Away to where there is no code; the handler comes back behind it. */
static void put_fetch_fault(struct core_program *p)
{
	uint32_t from = p->at;
	bool to_end = pick(p, 2); /* the last half of the memory, which begins a 32-bit instruction */
	p->at += 8 + 8 + 4;
	uint32_t end = p->at;
	p->at = from;
	put_constant(p, RECOVERY, (uint32_t)TCM + end);
	put_constant(p, SETUP,
		     to_end ? (uint32_t)TCM + TCM_BYTES - 2 : (uint32_t)rng_u64(&p->rng) & 0x7ffffffe);
	put32(p, asm_jalr(pick_rd(p), SETUP, 0));
}

/* mret as a jump, with interrupts off so that none changes mepc in between. */
static void put_return(struct core_program *p)
{
	put_constant(p, SETUP, here(p) + 20);
	put32(p, asm_csrrci(ZERO, MSTATUS, 8));
	put32(p, asm_csrrw(ZERO, MEPC, SETUP));
	put32(p, ASM_MRET);
}

/* A backward branch that is never taken. */
static void put_backward_not_taken(struct core_program *p)
{
	static const uint32_t conditions[] = {1, 4, 6};
	uint32_t rs = pick_rs(p);
	put32(p, asm_branch(conditions[pick(p, 3)], rs, rs, -(int32_t)(4 + 2 * pick(p, 8))));
}

/* The loop's last branch, in every form. */
static void put_loop_end(struct core_program *p, uint32_t top)
{
	put32(p, asm_addi(COUNTER, COUNTER, -1));
	int32_t back = (int32_t)(top - p->at);
	switch (pick(p, 8)) {
	case 0: put32(p, asm_branch(1, COUNTER, ZERO, back)); break;
	case 1: put32(p, asm_branch(4, ZERO, COUNTER, back)); break;
	case 2: put32(p, asm_branch(6, ZERO, COUNTER, back)); break;
	case 3: put32(p, asm_branch(5, COUNTER, ONE, back)); break;
	case 4: put32(p, asm_branch(7, COUNTER, ONE, back)); break;
	case 5:
		put32(p, asm_i(1, COUNTER, 2, SETUP, 0x13)); /* slti */
		put32(p, asm_branch(0, SETUP, ZERO, back - 4));
		break;
	default:
		if (back < -240) {
			put32(p, asm_branch(1, COUNTER, ZERO, back));
			break;
		}
		/* 16 bits: of x15, which is made from the counter */
		wrote(p, 15);
		if (pick(p, 2)) {
			put32(p, asm_addi(15, COUNTER, 0));
			put16(p, c_branch(0xe001, 7, (uint32_t)back - 4)); /* c.bnez */
		} else {
			put32(p, asm_i(1, COUNTER, 2, 15, 0x13));          /* slti */
			put16(p, c_branch(0xc001, 7, (uint32_t)back - 4)); /* c.beqz */
		}
	}
}

/* ---- hazards ------------------------------------------------------------------------------------------------ */

/* An address that holds `value`, in the memory the producer loads from. */
static uint32_t literal(struct core_program *p, enum producer producer, uint32_t value)
{
	uint32_t n = 4 * p->literals++;
	if (producer == FROM_SRAM) {
		n = SRAM_LITERALS + n % SRAM_LITERALS;
		store_le32(p->sram + n, value);
		return SRAM + n;
	}
	if (producer == FROM_BUS) {
		n = REGS_LITERALS + 4 * (p->regs_used++ % ((PROGRAM_REGS - REGS - REGS_LITERALS) / 4));
		p->regs[n / 4] = value;
		return REGS + n;
	}
	assert_true(LITERALS + n < TCM_BYTES - 4);
	store_le32(p->tcm + LITERALS + n, value);
	return (uint32_t)TCM + LITERALS + n;
}

/* What must stand before the producer, and then the producer itself: `reg` becomes `value` where that can be chosen. */
static void put_producer(struct core_program *p, enum producer producer, uint32_t reg, uint32_t value)
{
	switch (producer) {
	case FROM_ARITHMETIC:
		if ((value & 0xfff) == 0) {
			put32(p, asm_lui(reg, value));
		} else {
			put32(p, asm_lui(SETUP, value + 0x800));
			put32(p, asm_addi(reg, SETUP, (int32_t)(value << 20) >> 20));
		}
		break;
	case FROM_AUIPC: put32(p, asm_auipc(reg, 0)); break;
	case FROM_LINK:
		if (pick(p, 2)) {
			put32(p, asm_jal(reg, 4));
		} else {
			put32(p, asm_auipc(SETUP, 0));
			put32(p, asm_jalr(reg, SETUP, 8));
		}
		break;
	case FROM_TCM:
	case FROM_SRAM:
	case FROM_BUS:
		put_constant(p, SETUP, literal(p, producer, value));
		put32(p, asm_lw(reg, SETUP, 0));
		break;
	case FROM_MUL:
	case FROM_DIV:
		put_constant(p, SETUP, value);
		put32(p, producer == FROM_MUL ? asm_mul(reg, SETUP, ONE) : asm_div(reg, SETUP, ONE));
		break;
	case FROM_CSR:
		put_constant(p, SETUP, value);
		put32(p, asm_csrrw(ZERO, MSCRATCH, SETUP));
		put32(p, asm_csrrs(reg, MSCRATCH, ZERO));
		break;
	case PRODUCERS: break;
	}
}

/* What auipc and jal give is where they stand. */
static bool is_place(enum producer producer)
{
	return producer == FROM_AUIPC || producer == FROM_LINK;
}

static uint32_t some_word(struct core_program *p)
{
	static const uint32_t words[] = {0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffff000, 0x00001000};
	return pick(p, 2) ? words[pick(p, ARRAY_SIZE(words))] : (uint32_t)rng_u64(&p->rng);
}

static void put_filler(struct core_program *p)
{
	switch (pick(p, 4)) {
	case 0: put16(p, 0x0001); break;
	case 1: put32(p, asm_addi(SETUP, SETUP, 1)); break;
	case 2: put32(p, asm_lw(SETUP, MIDDLE, 0)); break;
	case 3: put32(p, asm_mul(SETUP, ONE, COUNTER)); break;
	}
}

/* The consumer reads `reg`, which holds `value`, or its place. */
static void put_consumer(struct core_program *p, enum consumer consumer, uint32_t reg, bool place,
			 uint32_t value, uint32_t scratch)
{
	static const uint32_t conditions[] = {0, 1, 4, 5, 6, 7};
	static const uint32_t loads[] = {0, 1, 2, 4, 5}, stores[] = {STACK, STACK, SRAM_LOW, REGS_LOW};
	uint32_t other = pick(p, 30), condition = conditions[pick(p, 6)], m = pick(p, 4);
	int32_t offset = place ? (int32_t)(scratch - value) : 4 * (int32_t)pick(p, 200);
	switch (consumer) {
	case TO_ARITHMETIC_1:
		put32(p, pick(p, 2) ? asm_add(pick_rd(p), reg, other) : asm_addi(pick_rd(p), reg, 5));
		break;
	case TO_ARITHMETIC_2: put32(p, asm_r(0, reg, other, pick(p, 8), pick_rd(p), 0x33)); break;
	case TO_MUL_1: put32(p, asm_r(1, other, reg, m, pick_rd(p), 0x33)); break;
	case TO_MUL_2: put32(p, asm_r(1, reg, other, m, pick_rd(p), 0x33)); break;
	case TO_DIV_1: put32(p, asm_r(1, other, reg, 4 + m, pick_rd(p), 0x33)); break;
	case TO_DIV_2: put32(p, asm_r(1, reg, other, 4 + m, pick_rd(p), 0x33)); break;
	case TO_LOAD_BASE: put32(p, asm_i(offset, reg, loads[pick(p, 5)], pick_rd(p), 0x03)); break;
	case TO_STORE_BASE: put32(p, asm_s(offset, other, reg, pick(p, 3))); break;
	case TO_STORE_DATA:
		put32(p, asm_s(4 * (int32_t)pick(p, 200), reg, stores[pick(p, ARRAY_SIZE(stores))],
			       pick(p, 3) ? 2 : pick(p, 2)));
		break;
	case TO_BRANCH_1:
		put32(p, asm_branch(condition, reg, other, 8));
		put_filler(p);
		put16(p, 1);
		break;
	case TO_BRANCH_2:
		put32(p, asm_branch(condition, other, reg, 8));
		put_filler(p);
		put16(p, 1);
		break;
	case TO_JUMP_BASE: put32(p, asm_jalr(pick_rd(p), reg, (int32_t)(here(p) + 4 - value))); break;
	case TO_CSR: put32(p, asm_csr(1 + pick(p, 3), pick_rd(p), MSCRATCH, reg)); break;
	case CONSUMERS: break;
	}
}

static void put_hazard(struct core_program *p)
{
	static const uint32_t bases[] = {(uint32_t)TCM + DATA, (uint32_t)TCM + DATA, SRAM, REGS};
	enum producer producer = pick(p, PRODUCERS);
	enum consumer consumer = pick(p, CONSUMERS);
	uint32_t reg = free_register(p), value = some_word(p), scratch;
	put32(p, asm_jal(ZERO, 8)); /* over a word that may be written */
	scratch = here(p);
	put32(p, 0);
	if (consumer == TO_LOAD_BASE || consumer == TO_STORE_BASE)
		value = bases[pick(p, ARRAY_SIZE(bases))];
	if (consumer == TO_JUMP_BASE)
		value = here(p) & ~3u;
	put_producer(p, producer, reg, value);
	if (is_place(producer))
		value = here(p) - (producer == FROM_AUIPC ? 4 : 0);
	for (uint32_t n = pick(p, DISTANCES); n; n--)
		put_filler(p);
	put_consumer(p, consumer, reg, is_place(producer), value, scratch);
	wrote(p, reg);
}

/* Code that changes what follows behind a fence.i, right behind it or a little later. */
static void put_self_modification(struct core_program *p)
{
	uint32_t rd = free_register(p), between = pick(p, 3);
	put_constant(p, SETUP, literal(p, FROM_TCM, asm_addi(rd, rd, 1 + (int32_t)pick(p, 1000))));
	put32(p, asm_lw(rd, SETUP, 0));
	put32(p, asm_auipc(SETUP, 0));
	put32(p, asm_sw(rd, SETUP, 12 + 4 * (int32_t)between));
	put32(p, ASM_FENCE_I);
	while (between--)
		put32(p, asm_addi(SETUP, SETUP, 1));
	put32(p, asm_nop());
}

/* ---- the whole ----------------------------------------------------------------------------------------------- */

/* Exceptions go on behind the instruction, fetch faults at RECOVERY; interrupts lower their line. The code serves direct
 * and vectored mode. */
static void put_handler(struct core_program *p)
{
	enum { INTERRUPT = 64, EXCEPTION = 96 };
	const uint32_t exception[] = {
		asm_csrrs(HANDLER_A, MCAUSE, ZERO),
		asm_branch(4, HANDLER_A, ZERO, INTERRUPT - EXCEPTION - 4),
		asm_addi(HANDLER_B, HANDLER_A, -1),
		asm_bne(HANDLER_B, ZERO, 12),
		asm_csrrw(ZERO, MEPC, RECOVERY),
		ASM_MRET,
		asm_csrrs(HANDLER_A, MEPC, ZERO),
		asm_i(0, HANDLER_A, 5, HANDLER_B, 0x03), /* lhu */
		asm_i(3, HANDLER_B, 7, HANDLER_B, 0x13), /* andi */
		asm_addi(HANDLER_B, HANDLER_B, -3),
		asm_beq(HANDLER_B, ZERO, 12),
		asm_addi(HANDLER_A, HANDLER_A, 2),
		asm_jal(ZERO, 8),
		asm_addi(HANDLER_A, HANDLER_A, 4),
		asm_csrrw(ZERO, MEPC, HANDLER_A),
		ASM_MRET,
	};
	const uint32_t interrupt[] = {
		asm_csrrs(HANDLER_A, MCAUSE, ZERO),
		asm_sw(HANDLER_A, REGS_LOW, LINE_DOWN - REGS),
		asm_csrrs(HANDLER_B, MCYCLE, ZERO),
		asm_sw(HANDLER_B, REGS_LOW, LINE_DOWN - REGS + 12),
		ASM_MRET,
	};
	uint8_t *at = p->tcm + HANDLER;
	store_le32(at, asm_jal(ZERO, EXCEPTION));
	for (uint32_t cause = 3; cause <= 11; cause += 4)
		store_le32(at + 4 * cause, asm_jal(ZERO, INTERRUPT - 4 * (int32_t)cause));
	for (uint32_t i = 0; i < ARRAY_SIZE(exception); i++)
		store_le32(at + EXCEPTION + 4 * i, exception[i]);
	for (uint32_t i = 0; i < ARRAY_SIZE(interrupt); i++)
		store_le32(at + INTERRUPT + 4 * i, interrupt[i]);
}

static void prepare_registers(struct core_program *p)
{
	for (unsigned i = 1; i < 32; i++)
		p->x[i] = some_word(p);
	p->x[STACK] = p->x[DATA_LOW] = (uint32_t)TCM + DATA;
	p->x[MIDDLE] = (uint32_t)TCM + DATA + 2048;
	p->x[SRAM_LOW] = SRAM;
	p->x[SRAM_MIDDLE] = SRAM + 1024;
	p->x[REGS_LOW] = REGS;
	p->x[ONE] = 1;
	p->x[NOWHERE] = 0x40000000;
	p->x[SETUP] = ((uint32_t)TCM + HANDLER) | pick(p, 2);
}

static void put_loop(struct core_program *p)
{
	put32(p, asm_addi(COUNTER, ZERO, 1 + (int32_t)pick(p, 5)));
	if (pick(p, 2))
		put16(p, 0x0001); /* so that everything comes at every alignment */
	uint32_t top = p->at;
	for (uint32_t n = 1 + pick(p, 10); n; n--) {
		switch (pick(p, 24)) {
		case 0:
		case 1:
		case 2: put_hazard(p); break;
		case 3:
		case 4:
		case 5: put_skip(p); break;
		case 6: put_backward_not_taken(p); break;
		case 7: put_self_modification(p); break;
		case 8: put_fetch_fault(p); break;
		case 9: put_return(p); break;
		case 10: put_counter_carry(p); break;
		default: put_plain(p); break;
		}
	}
	put_loop_end(p, top);
}

void core_program_generate(struct core_program *p, uint64_t seed)
{
	memset(p, 0, sizeof(*p));
	rng_seed(&p->rng, seed, 7);
	for (size_t i = DATA; i < TCM_BYTES; i++)
		p->tcm[i] = (uint8_t)rng_u64(&p->rng);
	store_le16(p->tcm + TCM_BYTES - 2, 0x0003); /* half an instruction */
	for (size_t i = 0; i < SRAM_BYTES; i++)
		p->sram[i] = (uint8_t)rng_u64(&p->rng);
	prepare_registers(p);
	put_handler(p);
	put32(p, asm_csrrw(ZERO, MTVEC, SETUP));
	put_interrupt_enables(p);
	if (pick(p, 4))
		put32(p, asm_csrrsi(ZERO, MSTATUS, 8));
	for (uint32_t loops = 2 + pick(p, 12); loops; loops--)
		put_loop(p);
	put32(p, asm_csrrw(ZERO, MIE, ZERO));
	put32(p, ASM_WFI);
}
