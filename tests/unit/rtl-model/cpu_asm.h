/* Encoders for the instructions tests use, from the tables of the unprivileged ISA manual ("RV32/64G Instruction Set
 * Listings"). They share nothing with the decoder under test. */
#ifndef KICKSTAND_TESTS_CPU_ASM_H
#define KICKSTAND_TESTS_CPU_ASM_H

#include <stdint.h>

enum { ZERO, RA, SP, GP, TP, T0, T1, T2, S0, S1, A0, A1, A2, A3, A4, A5, A6, A7, S2 };

static inline uint32_t asm_r(uint32_t funct7, uint32_t rs2, uint32_t rs1, uint32_t funct3, uint32_t rd,
			     uint32_t opcode)
{
	return funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}

static inline uint32_t asm_i(int32_t imm, uint32_t rs1, uint32_t funct3, uint32_t rd, uint32_t opcode)
{
	return ((uint32_t)imm & 0xfff) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}

static inline uint32_t asm_s(int32_t imm, uint32_t rs2, uint32_t rs1, uint32_t funct3)
{
	uint32_t u = (uint32_t)imm;
	return (u >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (u & 0x1f) << 7 | 0x23;
}

static inline uint32_t asm_branch(uint32_t funct3, uint32_t rs1, uint32_t rs2, int32_t offset)
{
	uint32_t u = (uint32_t)offset;
	return (u >> 12 & 1) << 31 | (u >> 5 & 0x3f) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 |
	       (u >> 1 & 0xf) << 8 | (u >> 11 & 1) << 7 | 0x63;
}

static inline uint32_t asm_jal(uint32_t rd, int32_t offset)
{
	uint32_t u = (uint32_t)offset;
	return (u >> 20 & 1) << 31 | (u >> 1 & 0x3ff) << 21 | (u >> 11 & 1) << 20 | (u >> 12 & 0xff) << 12 |
	       rd << 7 | 0x6f;
}

/* `upper` is the value's upper 20 bits, in place. */
static inline uint32_t asm_lui(uint32_t rd, uint32_t upper)
{
	return (upper & 0xfffff000) | rd << 7 | 0x37;
}
static inline uint32_t asm_auipc(uint32_t rd, uint32_t upper)
{
	return (upper & 0xfffff000) | rd << 7 | 0x17;
}
static inline uint32_t asm_jalr(uint32_t rd, uint32_t rs1, int32_t imm)
{
	return asm_i(imm, rs1, 0, rd, 0x67);
}

static inline uint32_t asm_addi(uint32_t rd, uint32_t rs1, int32_t imm)
{
	return asm_i(imm, rs1, 0, rd, 0x13);
}
static inline uint32_t asm_add(uint32_t rd, uint32_t rs1, uint32_t rs2)
{
	return asm_r(0, rs2, rs1, 0, rd, 0x33);
}
static inline uint32_t asm_mul(uint32_t rd, uint32_t rs1, uint32_t rs2)
{
	return asm_r(1, rs2, rs1, 0, rd, 0x33);
}
static inline uint32_t asm_div(uint32_t rd, uint32_t rs1, uint32_t rs2)
{
	return asm_r(1, rs2, rs1, 4, rd, 0x33);
}
static inline uint32_t asm_nop(void)
{
	return asm_addi(ZERO, ZERO, 0);
}

static inline uint32_t asm_lb(uint32_t rd, uint32_t rs1, int32_t imm)
{
	return asm_i(imm, rs1, 0, rd, 0x03);
}
static inline uint32_t asm_lh(uint32_t rd, uint32_t rs1, int32_t imm)
{
	return asm_i(imm, rs1, 1, rd, 0x03);
}
static inline uint32_t asm_lw(uint32_t rd, uint32_t rs1, int32_t imm)
{
	return asm_i(imm, rs1, 2, rd, 0x03);
}
static inline uint32_t asm_sb(uint32_t rs2, uint32_t rs1, int32_t imm)
{
	return asm_s(imm, rs2, rs1, 0);
}
static inline uint32_t asm_sh(uint32_t rs2, uint32_t rs1, int32_t imm)
{
	return asm_s(imm, rs2, rs1, 1);
}
static inline uint32_t asm_sw(uint32_t rs2, uint32_t rs1, int32_t imm)
{
	return asm_s(imm, rs2, rs1, 2);
}

static inline uint32_t asm_beq(uint32_t rs1, uint32_t rs2, int32_t offset)
{
	return asm_branch(0, rs1, rs2, offset);
}
static inline uint32_t asm_bne(uint32_t rs1, uint32_t rs2, int32_t offset)
{
	return asm_branch(1, rs1, rs2, offset);
}

/* `source` is a register or, in the immediate forms (funct3 5 to 7), the value. */
static inline uint32_t asm_csr(uint32_t funct3, uint32_t rd, uint32_t csr, uint32_t source)
{
	return csr << 20 | source << 15 | funct3 << 12 | rd << 7 | 0x73;
}
static inline uint32_t asm_csrrw(uint32_t rd, uint32_t csr, uint32_t rs1)
{
	return asm_csr(1, rd, csr, rs1);
}
static inline uint32_t asm_csrrs(uint32_t rd, uint32_t csr, uint32_t rs1)
{
	return asm_csr(2, rd, csr, rs1);
}
static inline uint32_t asm_csrrc(uint32_t rd, uint32_t csr, uint32_t rs1)
{
	return asm_csr(3, rd, csr, rs1);
}
static inline uint32_t asm_csrrwi(uint32_t rd, uint32_t csr, uint32_t v)
{
	return asm_csr(5, rd, csr, v);
}
static inline uint32_t asm_csrrsi(uint32_t rd, uint32_t csr, uint32_t v)
{
	return asm_csr(6, rd, csr, v);
}
static inline uint32_t asm_csrrci(uint32_t rd, uint32_t csr, uint32_t v)
{
	return asm_csr(7, rd, csr, v);
}

enum {
	ASM_ECALL = 0x00000073,
	ASM_EBREAK = 0x00100073,
	ASM_MRET = 0x30200073,
	ASM_WFI = 0x10500073,
	ASM_FENCE = 0x0ff0000f,
	ASM_FENCE_I = 0x0000100f,
	ASM_UNIMP = (int)0xc0001073, /* csrrw x0, cycle, x0: writes a read-only CSR */
};

enum {
	MSTATUS = 0x300,
	MISA = 0x301,
	MIE = 0x304,
	MTVEC = 0x305,
	MSCRATCH = 0x340,
	MEPC = 0x341,
	MCAUSE = 0x342,
	MTVAL = 0x343,
	MIP = 0x344,
	MCYCLE = 0xb00,
	MINSTRET = 0xb02,
	MCYCLEH = 0xb80,
	MINSTRETH = 0xb82,
	CYCLE = 0xc00,
	INSTRET = 0xc02,
	CYCLEH = 0xc80,
	INSTRETH = 0xc82,
};

#endif
