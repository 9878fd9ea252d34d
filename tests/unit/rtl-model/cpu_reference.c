#include "tests/unit/rtl-model/cpu_reference.h"

#include <stddef.h>
#include <string.h>

#define FIELD(word, high, low) (((word) >> (low)) & ((UINT64_C(1) << ((high) - (low) + 1)) - 1))

struct trap {
	bool taken;
	uint32_t cause, value;
};

static struct trap none(void)
{
	return (struct trap){false, 0, 0};
}
static struct trap trap(uint32_t cause, uint32_t value)
{
	return (struct trap){true, cause, value};
}

static uint32_t extend(uint64_t value, unsigned bits)
{
	return (uint32_t)((int64_t)(value << (64 - bits)) >> (64 - bits));
}

static void set(struct reference *ref, uint32_t rd, uint32_t value)
{
	if (rd != 0)
		ref->x[rd] = value;
}

/* ---- memory ---- */

static uint8_t *find(struct reference *ref, uint32_t address, unsigned size)
{
	struct reference_memory *both[2] = {&ref->tcm, &ref->sram};
	for (int i = 0; i < 2; i++) {
		uint64_t first = both[i]->base, end = first + both[i]->bytes;
		if (address >= first && (uint64_t)address + size <= end)
			return both[i]->data + (address - first);
	}
	return NULL;
}

static struct trap load(struct reference *ref, uint32_t rd, uint32_t address, unsigned size, bool is_signed)
{
	if (address & (size - 1))
		return trap(4, address);
	const uint8_t *at = find(ref, address, size);
	if (!at)
		return trap(5, address);
	uint64_t value = 0;
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)at[i] << (8 * i);
	set(ref, rd, is_signed ? extend(value, 8 * size) : (uint32_t)value);
	return none();
}

static struct trap store(struct reference *ref, uint32_t address, unsigned size, uint32_t value)
{
	if (address & (size - 1))
		return trap(6, address);
	uint8_t *at = find(ref, address, size);
	if (!at)
		return trap(7, address);
	for (unsigned i = 0; i < size; i++) {
		at[i] = (uint8_t)(value >> (8 * i));
		if (address >= ref->tcm.base && address - ref->tcm.base < ref->tcm.bytes)
			ref->written[address - ref->tcm.base + i] = true;
	}
	return none();
}

/* ---- arithmetic ---- */

static uint32_t multiply_divide(uint32_t funct3, uint32_t a, uint32_t b)
{
	int64_t sa = (int32_t)a, sb = (int32_t)b, ua = a, ub = b;
	switch (funct3) {
	case 0: return (uint32_t)((uint64_t)sa * (uint64_t)sb);
	case 1: return (uint32_t)((uint64_t)(sa * sb) >> 32);
	case 2: return (uint32_t)((uint64_t)(sa * ub) >> 32);
	case 3: return (uint32_t)(((uint64_t)a * b) >> 32);
	case 4: return b ? (uint32_t)(sa / sb) : 0xffffffff;
	case 5: return b ? (uint32_t)(ua / ub) : 0xffffffff;
	case 6: return b ? (uint32_t)(sa % sb) : a;
	default: return b ? (uint32_t)(ua % ub) : a;
	}
}

static uint32_t arithmetic(uint32_t funct3, bool alternate, uint32_t a, uint32_t b)
{
	switch (funct3) {
	case 0: return alternate ? a - b : a + b;
	case 1: return a << (b & 31);
	case 2: return (int32_t)a < (int32_t)b;
	case 3: return a < b;
	case 4: return a ^ b;
	case 5: return alternate ? extend((uint64_t)(int64_t)(int32_t)a >> (b & 31), 32) : a >> (b & 31);
	case 6: return a | b;
	default: return a & b;
	}
}

static bool branch_taken(uint32_t funct3, uint32_t a, uint32_t b)
{
	switch (funct3) {
	case 0: return a == b;
	case 1: return a != b;
	case 4: return (int32_t)a < (int32_t)b;
	case 5: return (int32_t)a >= (int32_t)b;
	case 6: return a < b;
	default: return a >= b;
	}
}

/* ---- CSRs ---- */

static bool csr_read(const struct reference *ref, uint32_t number, uint32_t *value)
{
	uint64_t cycle = ref->cycles_before + ref->mcycle_offset;
	uint64_t instret = ref->instret + ref->minstret_offset;
	switch (number) {
	case 0x300: *value = ref->mstatus | 0x1800; return true; /* MPP is always machine mode */
	case 0x301: *value = 0x40001104; return true;
	case 0x304: *value = ref->mie; return true;
	case 0x305: *value = ref->mtvec; return true;
	case 0x310: *value = 0; return true;
	case 0x340: *value = ref->mscratch; return true;
	case 0x341: *value = ref->mepc; return true;
	case 0x342: *value = ref->mcause; return true;
	case 0x343: *value = ref->mtval; return true;
	case 0x344: *value = 0; return true;
	case 0xb00:
	case 0xc00: *value = (uint32_t)cycle; return true;
	case 0xb80:
	case 0xc80: *value = (uint32_t)(cycle >> 32); return true;
	case 0xb02:
	case 0xc02: *value = (uint32_t)instret; return true;
	case 0xb82:
	case 0xc82: *value = (uint32_t)(instret >> 32); return true;
	case 0xf11:
	case 0xf12:
	case 0xf13:
	case 0xf14:
	case 0xf15: *value = 0; return true;
	default: return false;
	}
}

static uint64_t replace(uint64_t old, bool high, uint32_t half)
{
	return high ? (old & 0xffffffff) | (uint64_t)half << 32 : (old >> 32 << 32) | half;
}

static void csr_write(struct reference *ref, uint32_t number, uint32_t value)
{
	uint64_t cycle = ref->cycles_after + ref->mcycle_offset;
	uint64_t instret = ref->instret + 1 + ref->minstret_offset; /* this instruction counted */
	switch (number) {
	case 0x300: ref->mstatus = value & 0x88; break;
	case 0x304: ref->mie = value & 0x888; break;
	case 0x305: ref->mtvec = value & 0xfffffffd; break;
	case 0x340: ref->mscratch = value; break;
	case 0x341: ref->mepc = value & 0xfffffffe; break;
	case 0x342: ref->mcause = value; break;
	case 0x343: ref->mtval = value; break;
	case 0xb00:
	case 0xb80: ref->mcycle_offset = replace(cycle, number == 0xb80, value) - ref->cycles_after; break;
	case 0xb02:
	case 0xb82:
		ref->minstret_offset = replace(instret, number == 0xb82, value) - (ref->instret + 1);
		break;
	default: break;
	}
}

static struct trap csr_instruction(struct reference *ref, uint32_t word)
{
	uint32_t number = FIELD(word, 31, 20), source = FIELD(word, 19, 15), funct3 = FIELD(word, 14, 12);
	uint32_t operand = funct3 & 4 ? source : ref->x[source];
	bool writes = (funct3 & 3) == 1 || source != 0;
	uint32_t old;
	if (!csr_read(ref, number, &old) || (writes && number >= 0xc00))
		return trap(2, word);
	set(ref, FIELD(word, 11, 7), old);
	if (!writes)
		return none();
	switch (funct3 & 3) {
	case 1: csr_write(ref, number, operand); break;
	case 2: csr_write(ref, number, old | operand); break;
	default: csr_write(ref, number, old & ~operand); break;
	}
	return none();
}

/* ---- 32-bit instructions: *next is where to go on ---- */

static struct trap system(struct reference *ref, uint32_t word, uint32_t *next)
{
	if (FIELD(word, 14, 12) == 4)
		return trap(2, word);
	if (FIELD(word, 14, 12) != 0)
		return csr_instruction(ref, word);
	switch (word) {
	case 0x00000073: return trap(11, 0);
	case 0x00100073: return trap(3, ref->pc);
	case 0x10500073: return none(); /* wfi: the caller sees it */
	case 0x30200073:
		ref->mstatus = 0x80 | (ref->mstatus & 0x80 ? 8 : 0);
		*next = ref->mepc;
		return none();
	default: return trap(2, word);
	}
}

static struct trap execute32(struct reference *ref, uint32_t word, uint32_t *next)
{
	uint32_t rd = FIELD(word, 11, 7), funct3 = FIELD(word, 14, 12), funct7 = FIELD(word, 31, 25);
	uint32_t a = ref->x[FIELD(word, 19, 15)], b = ref->x[FIELD(word, 24, 20)];
	uint32_t imm_i = extend(FIELD(word, 31, 20), 12);
	uint32_t imm_s = extend(FIELD(word, 31, 25) << 5 | FIELD(word, 11, 7), 12);
	uint32_t imm_b = extend(FIELD(word, 31, 31) << 12 | FIELD(word, 7, 7) << 11 |
					FIELD(word, 30, 25) << 5 | FIELD(word, 11, 8) << 1,
				13);
	uint32_t imm_j = extend(FIELD(word, 31, 31) << 20 | FIELD(word, 19, 12) << 12 |
					FIELD(word, 20, 20) << 11 | FIELD(word, 30, 21) << 1,
				21);
	switch (FIELD(word, 6, 0)) {
	case 0x37: set(ref, rd, word & 0xfffff000); return none();
	case 0x17: set(ref, rd, ref->pc + (word & 0xfffff000)); return none();
	case 0x6f:
		set(ref, rd, ref->pc + 4);
		*next = ref->pc + imm_j;
		return none();
	case 0x67:
		if (funct3 != 0)
			break;
		set(ref, rd, ref->pc + 4);
		*next = (a + imm_i) & 0xfffffffe;
		return none();
	case 0x63:
		if (funct3 == 2 || funct3 == 3)
			break;
		if (branch_taken(funct3, a, b))
			*next = ref->pc + imm_b;
		return none();
	case 0x03:
		if (funct3 == 3 || funct3 > 5)
			break;
		return load(ref, rd, a + imm_i, 1u << (funct3 & 3), funct3 < 4);
	case 0x23:
		if (funct3 > 2)
			break;
		return store(ref, a + imm_s, 1u << funct3, b);
	case 0x13:
		if (funct3 == 1 && funct7 != 0)
			break;
		if (funct3 == 5 && funct7 != 0 && funct7 != 0x20)
			break;
		set(ref, rd, arithmetic(funct3, funct3 == 5 && funct7 == 0x20, a, imm_i));
		return none();
	case 0x33:
		if (funct7 == 1) {
			set(ref, rd, multiply_divide(funct3, a, b));
			return none();
		}
		if (funct7 != 0 && !(funct7 == 0x20 && (funct3 == 0 || funct3 == 5)))
			break;
		set(ref, rd, arithmetic(funct3, funct7 == 0x20, a, b));
		return none();
	case 0x0f:
		if (funct3 > 1)
			break;
		if (funct3 == 1)
			memset(ref->written, 0, ref->tcm.bytes);
		return none();
	case 0x73: return system(ref, word, next);
	}
	return trap(2, word);
}

/* ---- 16-bit instructions, table by table of the C extension's chapter ---- */

static struct trap quadrant0(struct reference *ref, uint32_t half)
{
	uint32_t low = 8 + FIELD(half, 4, 2), base = ref->x[8 + FIELD(half, 9, 7)];
	uint32_t uimm = FIELD(half, 12, 10) << 3 | FIELD(half, 6, 6) << 2 | FIELD(half, 5, 5) << 6;
	uint32_t nzuimm = FIELD(half, 12, 11) << 4 | FIELD(half, 10, 7) << 6 | FIELD(half, 6, 6) << 2 |
			  FIELD(half, 5, 5) << 3;
	switch (FIELD(half, 15, 13)) {
	case 0:
		if (nzuimm == 0)
			return trap(2, half);
		set(ref, low, ref->x[2] + nzuimm);
		return none();
	case 2: return load(ref, low, base + uimm, 4, true);
	case 6: return store(ref, base + uimm, 4, ref->x[low]);
	default: return trap(2, half);
	}
}

static struct trap quadrant1_arithmetic(struct reference *ref, uint32_t half)
{
	uint32_t rd = 8 + FIELD(half, 9, 7), a = ref->x[rd], b = ref->x[8 + FIELD(half, 4, 2)];
	uint32_t shamt = FIELD(half, 12, 12) << 5 | FIELD(half, 6, 2);
	switch (FIELD(half, 11, 10)) {
	case 0:
		if (shamt > 31)
			return trap(2, half);
		set(ref, rd, a >> shamt);
		return none();
	case 1:
		if (shamt > 31)
			return trap(2, half);
		set(ref, rd, arithmetic(5, true, a, shamt));
		return none();
	case 2: set(ref, rd, a & extend(shamt, 6)); return none();
	}
	if (FIELD(half, 12, 12))
		return trap(2, half);
	switch (FIELD(half, 6, 5)) {
	case 0: set(ref, rd, a - b); break;
	case 1: set(ref, rd, a ^ b); break;
	case 2: set(ref, rd, a | b); break;
	case 3: set(ref, rd, a & b); break;
	}
	return none();
}

static struct trap quadrant1(struct reference *ref, uint32_t half, uint32_t *next)
{
	uint32_t rd = FIELD(half, 11, 7), rs1 = ref->x[8 + FIELD(half, 9, 7)];
	uint32_t imm = extend(FIELD(half, 12, 12) << 5 | FIELD(half, 6, 2), 6);
	uint32_t jump =
		extend(FIELD(half, 12, 12) << 11 | FIELD(half, 11, 11) << 4 | FIELD(half, 10, 9) << 8 |
			       FIELD(half, 8, 8) << 10 | FIELD(half, 7, 7) << 6 | FIELD(half, 6, 6) << 7 |
			       FIELD(half, 5, 3) << 1 | FIELD(half, 2, 2) << 5,
		       12);
	uint32_t branch =
		extend(FIELD(half, 12, 12) << 8 | FIELD(half, 11, 10) << 3 | FIELD(half, 6, 5) << 6 |
			       FIELD(half, 4, 3) << 1 | FIELD(half, 2, 2) << 5,
		       9);
	uint32_t imm16sp = extend(FIELD(half, 12, 12) << 9 | FIELD(half, 6, 6) << 4 | FIELD(half, 5, 5) << 6 |
					  FIELD(half, 4, 3) << 7 | FIELD(half, 2, 2) << 5,
				  10);
	switch (FIELD(half, 15, 13)) {
	case 0: set(ref, rd, ref->x[rd] + imm); return none();
	case 1:
		set(ref, 1, ref->pc + 2);
		*next = ref->pc + jump;
		return none();
	case 2: set(ref, rd, imm); return none();
	case 3:
		if (imm == 0)
			return trap(2, half);
		set(ref, rd, rd == 2 ? ref->x[2] + imm16sp : imm << 12);
		return none();
	case 4: return quadrant1_arithmetic(ref, half);
	case 5: *next = ref->pc + jump; return none();
	case 6:
		if (rs1 == 0)
			*next = ref->pc + branch;
		return none();
	default:
		if (rs1 != 0)
			*next = ref->pc + branch;
		return none();
	}
}

static struct trap quadrant2_register(struct reference *ref, uint32_t half, uint32_t *next)
{
	uint32_t rd = FIELD(half, 11, 7), rs2 = FIELD(half, 6, 2);
	uint32_t target = ref->x[rd] & 0xfffffffe;
	if (!FIELD(half, 12, 12)) {
		if (rs2 != 0)
			set(ref, rd, ref->x[rs2]);
		else if (rd != 0)
			*next = target;
		else
			return trap(2, half);
		return none();
	}
	if (rs2 != 0) {
		set(ref, rd, ref->x[rd] + ref->x[rs2]);
	} else if (rd != 0) {
		set(ref, 1, ref->pc + 2);
		*next = target;
	} else {
		return trap(3, ref->pc);
	}
	return none();
}

static struct trap quadrant2(struct reference *ref, uint32_t half, uint32_t *next)
{
	uint32_t rd = FIELD(half, 11, 7), rs2 = FIELD(half, 6, 2);
	uint32_t load_offset = FIELD(half, 12, 12) << 5 | FIELD(half, 6, 4) << 2 | FIELD(half, 3, 2) << 6;
	uint32_t store_offset = FIELD(half, 12, 9) << 2 | FIELD(half, 8, 7) << 6;
	switch (FIELD(half, 15, 13)) {
	case 0:
		if (FIELD(half, 12, 12))
			return trap(2, half);
		set(ref, rd, ref->x[rd] << rs2);
		return none();
	case 2:
		if (rd == 0)
			return trap(2, half);
		return load(ref, rd, ref->x[2] + load_offset, 4, true);
	case 4: return quadrant2_register(ref, half, next);
	case 6: return store(ref, ref->x[2] + store_offset, 4, ref->x[rs2]);
	default: return trap(2, half);
	}
}

static struct trap execute16(struct reference *ref, uint32_t half, uint32_t *next)
{
	switch (half & 3) {
	case 0: return quadrant0(ref, half);
	case 1: return quadrant1(ref, half, next);
	default: return quadrant2(ref, half, next);
	}
}

/* ---- one instruction ---- */

static bool fetch(struct reference *ref, uint32_t address, uint32_t *half, bool *stale)
{
	uint32_t offset = address - ref->tcm.base;
	if (offset >= ref->tcm.bytes)
		return false;
	*half = (uint32_t)(ref->tcm.data[offset] | ref->tcm.data[offset + 1] << 8);
	*stale = *stale || ref->written[offset] || ref->written[offset + 1];
	return true;
}

static enum reference_step enter(struct reference *ref, struct trap t)
{
	ref->mepc = ref->pc;
	ref->mcause = t.cause;
	ref->mtval = t.value;
	ref->mstatus = ref->mstatus & 8 ? 0x80 : 0;
	ref->pc = ref->mtvec & 0xfffffffc;
	return REFERENCE_TRAPPED;
}

enum reference_step reference_step(struct reference *ref)
{
	uint32_t low, high = 0, word;
	bool stale = false;
	if (!fetch(ref, ref->pc, &low, &stale))
		return enter(ref, trap(1, ref->pc));
	bool wide = (low & 3) == 3;
	if (wide && !fetch(ref, ref->pc + 2, &high, &stale))
		return enter(ref, trap(1, ref->pc + 2));
	if (stale)
		return REFERENCE_STALE;
	word = high << 16 | low;
	uint32_t next = ref->pc + (wide ? 4 : 2);
	struct trap t = wide ? execute32(ref, word, &next) : execute16(ref, word, &next);
	if (t.taken)
		return enter(ref, t);
	ref->pc = next;
	ref->instret++;
	return word == 0x10500073 ? REFERENCE_WAITING : REFERENCE_RETIRED;
}
