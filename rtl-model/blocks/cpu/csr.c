#include "rtl-model/blocks/cpu/state.h"

/* MXL = 32 bits, extensions C, I and M (privileged ISA §3.1.1). */
#define MISA (1u << 30 | 1u << ('I' - 'A') | 1u << ('M' - 'A') | 1u << ('C' - 'A'))

enum kind {
	CSR_CONSTANT,
	CSR_STORED, /* a word of struct machine, of which `mask` can be written */
	CSR_CYCLES, /* half of a counter */
	CSR_CYCLES_HIGH,
	CSR_INSTRUCTIONS,
	CSR_INSTRUCTIONS_HIGH,
};

struct row {
	uint16_t number;
	uint8_t kind;
	const char *name;
	size_t offset;  /* CSR_STORED */
	uint32_t value; /* CSR_CONSTANT: what it reads as; CSR_STORED: the writable bits */
};

#define CONSTANT(number, name, value)                                                                        \
	{                                                                                                    \
		number, CSR_CONSTANT, #name, 0, value                                                        \
	}
#define STORED(number, name, mask)                                                                           \
	{                                                                                                    \
		number, CSR_STORED, #name, offsetof(struct machine, name), mask                              \
	}
#define COUNTER(number, name, kind)                                                                          \
	{                                                                                                    \
		number, kind, #name, 0, 0                                                                    \
	}

static const struct row rows[] = {
	STORED(0x300, mstatus, MSTATUS_MIE | MSTATUS_MPIE),
	CONSTANT(0x301, misa, MISA),
	STORED(0x304, mie, INTERRUPTS),
	STORED(0x305, mtvec, ~2u),
	CONSTANT(0x310, mstatush, 0),
	STORED(0x340, mscratch, ~0u),
	STORED(0x341, mepc, ~1u),
	STORED(0x342, mcause, ~0u),
	STORED(0x343, mtval, ~0u),
	STORED(CSR_MIP, mip, 0), /* the lines' levels: every bit is read-only (privileged ISA §3.1.9) */
	COUNTER(0xb00, mcycle, CSR_CYCLES),
	COUNTER(0xb02, minstret, CSR_INSTRUCTIONS),
	COUNTER(0xb80, mcycleh, CSR_CYCLES_HIGH),
	COUNTER(0xb82, minstreth, CSR_INSTRUCTIONS_HIGH),
	COUNTER(0xc00, cycle, CSR_CYCLES),
	COUNTER(0xc02, instret, CSR_INSTRUCTIONS),
	COUNTER(0xc80, cycleh, CSR_CYCLES_HIGH),
	COUNTER(0xc82, instreth, CSR_INSTRUCTIONS_HIGH),
	/* Privileged ISA §3.1.2-3.1.5: must be readable, 0 = not implemented. */
	CONSTANT(0xf11, mvendorid, 0),
	CONSTANT(0xf12, marchid, 0),
	CONSTANT(0xf13, mimpid, 0),
	CONSTANT(0xf14, mhartid, 0),
	CONSTANT(0xf15, mconfigptr, 0),
};

static const struct row *find_row(unsigned number)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].number == number)
			return &rows[i];
	return NULL;
}

static uint64_t mcycle(const struct iss *c)
{
	return c->account.count.cycles + c->machine.mcycle_offset;
}

static uint64_t minstret(const struct iss *c)
{
	return c->account.count.instructions + c->machine.minstret_offset;
}

static uint32_t row_read(const struct iss *c, const struct row *row)
{
	switch ((enum kind)row->kind) {
	case CSR_CONSTANT: return row->value;
	case CSR_STORED: return *(const uint32_t *)((const char *)&c->machine + row->offset);
	case CSR_CYCLES: return (uint32_t)mcycle(c);
	case CSR_CYCLES_HIGH: return (uint32_t)(mcycle(c) >> 32);
	case CSR_INSTRUCTIONS: return (uint32_t)minstret(c);
	case CSR_INSTRUCTIONS_HIGH: return (uint32_t)(minstret(c) >> 32);
	}
	ASSERT(false);
	return 0;
}

bool csr_read(const struct iss *c, unsigned number, uint32_t *value)
{
	const struct row *row = find_row(number);
	if (!row)
		return false;
	*value = row_read(c, row);
	return true;
}

static uint64_t with_low(uint64_t v, uint32_t low)
{
	return (v & ~UINT64_C(0xffffffff)) | low;
}

static uint64_t with_high(uint64_t v, uint32_t high)
{
	return (v & 0xffffffff) | (uint64_t)high << 32;
}

void csr_write(struct iss *c, unsigned number, uint32_t value)
{
	const struct row *row = find_row(number);
	struct machine *m = &c->machine;
	uint32_t *stored = (uint32_t *)((char *)m + row->offset);
	switch ((enum kind)row->kind) {
	case CSR_CONSTANT: break;
	case CSR_STORED: *stored = (*stored & ~row->value) | (value & row->value); break;
	case CSR_CYCLES: m->mcycle_offset = with_low(mcycle(c), value) - c->account.count.cycles; break;
	case CSR_CYCLES_HIGH: m->mcycle_offset = with_high(mcycle(c), value) - c->account.count.cycles; break;
	case CSR_INSTRUCTIONS:
		m->minstret_offset = with_low(minstret(c), value) - c->account.count.instructions;
		break;
	case CSR_INSTRUCTIONS_HIGH:
		m->minstret_offset = with_high(minstret(c), value) - c->account.count.instructions;
		break;
	}
}

void csr_each(void (*each)(void *ctx, const char *name, unsigned number), void *ctx)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].kind != CSR_CONSTANT && rows[i].number >> 10 != 3)
			each(ctx, rows[i].name, rows[i].number);
}
