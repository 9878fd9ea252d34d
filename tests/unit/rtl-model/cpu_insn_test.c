/* Every instruction of RV32I, M and Zicsr against results computed here by other means than the simulator uses. */
#include "tests/unit/rtl-model/cpu_fixture.h"

static const uint32_t edges[] = {
	0,          1,          2,          3,          7,          31,         32,
	33,         0x7ff,      0x800,      0xfff,      0x1000,     0x7fff,     0x8000,
	0xffff,     0x10000,    0x55555555, 0xaaaaaaaa, 0x7fffffff, 0x80000000, 0x80000001,
	0xfffff800, 0xffff8000, 0xfffffffe, 0xffffffff,
};

/* ---- expectations ----------------------------------------------------------------------------------- */

/* Value of a two's complement word, in 64 bits. */
static int64_t value_of(uint32_t v)
{
	return v < 0x80000000 ? (int64_t)v : (int64_t)v - INT64_C(0x100000000);
}

static uint32_t want_add(uint32_t a, uint32_t b)
{
	return (uint32_t)((uint64_t)a + b);
}
static uint32_t want_sub(uint32_t a, uint32_t b)
{
	return (uint32_t)(UINT64_C(0x100000000) + a - b);
}
static uint32_t want_slt(uint32_t a, uint32_t b)
{
	return value_of(a) < value_of(b) ? 1 : 0;
}
static uint32_t want_sltu(uint32_t a, uint32_t b)
{
	return (uint64_t)a < (uint64_t)b ? 1 : 0;
}

static uint32_t want_sll(uint32_t a, uint32_t b)
{
	for (uint32_t n = b % 32; n; n--)
		a += a;
	return a;
}

static uint32_t want_srl(uint32_t a, uint32_t b)
{
	for (uint32_t n = b % 32; n; n--)
		a /= 2;
	return a;
}

static uint32_t want_sra(uint32_t a, uint32_t b)
{
	for (uint32_t n = b % 32; n; n--)
		a = a / 2 + (a & 0x80000000);
	return a;
}

/* Bit by bit, from the truth table. */
static uint32_t bitwise(uint32_t a, uint32_t b, const char *table)
{
	uint32_t result = 0;
	for (uint32_t bit = 1; bit; bit <<= 1)
		if (table[(a & bit ? 2 : 0) + (b & bit ? 1 : 0)] == '1')
			result += bit;
	return result;
}

static uint32_t want_xor(uint32_t a, uint32_t b)
{
	return bitwise(a, b, "0110");
}
static uint32_t want_or(uint32_t a, uint32_t b)
{
	return bitwise(a, b, "0111");
}
static uint32_t want_and(uint32_t a, uint32_t b)
{
	return bitwise(a, b, "0001");
}

/* Long multiplication, sign and magnitude apart. */
static uint64_t product(uint64_t magnitude_a, uint64_t magnitude_b, bool negative)
{
	uint64_t sum = 0;
	for (unsigned bit = 0; bit < 33; bit++)
		if (magnitude_b >> bit & 1)
			sum += magnitude_a << bit;
	return negative ? 0 - sum : sum;
}

static uint64_t magnitude(uint32_t v)
{
	int64_t value = value_of(v);
	return (uint64_t)(value < 0 ? -value : value);
}

static bool negative(uint32_t v)
{
	return value_of(v) < 0;
}

static uint32_t want_mul(uint32_t a, uint32_t b)
{
	return (uint32_t)product(a, b, false);
}

static uint32_t want_mulh(uint32_t a, uint32_t b)
{
	return (uint32_t)(product(magnitude(a), magnitude(b), negative(a) != negative(b)) >> 32);
}

static uint32_t want_mulhsu(uint32_t a, uint32_t b)
{
	return (uint32_t)(product(magnitude(a), b, negative(a)) >> 32);
}

static uint32_t want_mulhu(uint32_t a, uint32_t b)
{
	return (uint32_t)(product(a, b, false) >> 32);
}

/* Table 7.1 of the ISA manual: division by zero gives all ones, overflow the dividend. */
static uint32_t want_div(uint32_t a, uint32_t b)
{
	return b == 0 ? 0xffffffff : (uint32_t)(value_of(a) / value_of(b));
}

static uint32_t want_divu(uint32_t a, uint32_t b)
{
	return b == 0 ? 0xffffffff : (uint32_t)((uint64_t)a / b);
}

static uint32_t want_rem(uint32_t a, uint32_t b)
{
	return b == 0 ? a : (uint32_t)(value_of(a) - value_of(a) / value_of(b) * value_of(b));
}

static uint32_t want_remu(uint32_t a, uint32_t b)
{
	return b == 0 ? a : (uint32_t)(a - (uint64_t)a / b * b);
}

/* ---- registers and immediates ------------------------------------------------------------------------ */

struct operation {
	const char *name;
	uint32_t funct7, funct3;
	uint32_t (*want)(uint32_t a, uint32_t b);
};

static const struct operation register_operations[] = {
	{"add", 0, 0, want_add},       {"sub", 32, 0, want_sub},    {"sll", 0, 1, want_sll},
	{"slt", 0, 2, want_slt},       {"sltu", 0, 3, want_sltu},   {"xor", 0, 4, want_xor},
	{"srl", 0, 5, want_srl},       {"sra", 32, 5, want_sra},    {"or", 0, 6, want_or},
	{"and", 0, 7, want_and},       {"mul", 1, 0, want_mul},     {"mulh", 1, 1, want_mulh},
	{"mulhsu", 1, 2, want_mulhsu}, {"mulhu", 1, 3, want_mulhu}, {"div", 1, 4, want_div},
	{"divu", 1, 5, want_divu},     {"rem", 1, 6, want_rem},     {"remu", 1, 7, want_remu},
};

/* Sets rs1 and rs2, executes the one instruction and checks rd, that nothing else changed, and pc. */
static void check_one(struct core *core, const char *name, uint32_t word, uint32_t rd, uint32_t rs1,
		      uint32_t a, uint32_t rs2, uint32_t b, uint32_t want)
{
	CORE_LOAD(core, word);
	uint32_t before[32];
	for (unsigned i = 1; i < 32; i++)
		cpu_set_register(core->cpu, i, 0x1000001 * i);
	cpu_set_register(core->cpu, rs1, a);
	cpu_set_register(core->cpu, rs2, b);
	for (unsigned i = 0; i < 32; i++)
		before[i] = core_reg(core, i);
	cpu_single_step(core->cpu);
	for (unsigned i = 0; i < 32; i++) {
		uint32_t expected = i == rd && i != 0 ? want : before[i];
		if (core_reg(core, i) != expected)
			fail_msg("%s x%u, x%u (%#x), x%u (%#x): x%u is %#x, not %#x", name, rd, rs1, a, rs2,
				 b, i, core_reg(core, i), expected);
	}
	assert_int_equal(core_pc(core), (uint32_t)TCM + 4);
	assert_int_equal(core_instructions(core), 1);
}

static void test_cpu_register_operation_at_edges_gives_result(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	for (size_t o = 0; o < ARRAY_SIZE(register_operations); o++) {
		const struct operation *op = &register_operations[o];
		for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
			for (size_t j = 0; j < ARRAY_SIZE(edges); j++) {
				uint32_t a = edges[i], b = edges[j];
				check_one(core, op->name, asm_r(op->funct7, A2, A1, op->funct3, A0, 0x33), A0,
					  A1, a, A2, b, op->want(a, b));
			}
		}
	}
	core_free(core);
}

static void test_cpu_register_operation_with_shared_registers_gives_result(void **state)
{
	(void)state;
	static const uint32_t choices[] = {0, 1, 5, 8, 15, 16, 31};
	struct core *core = core_new(NULL, NULL);
	for (size_t o = 0; o < ARRAY_SIZE(register_operations); o++) {
		const struct operation *op = &register_operations[o];
		for (unsigned n = 0; n < ARRAY_SIZE(choices) * ARRAY_SIZE(choices) * ARRAY_SIZE(choices);
		     n++) {
			uint32_t rd = choices[n % 7], rs1 = choices[n / 7 % 7], rs2 = choices[n / 49];
			uint32_t a = rs1 ? 0x87654321 : 0, b = rs2 ? 0x13579bdf : 0;
			if (rs1 == rs2)
				a = b;
			check_one(core, op->name, asm_r(op->funct7, rs2, rs1, op->funct3, rd, 0x33), rd, rs1,
				  a, rs2, b, op->want(a, b));
		}
	}
	core_free(core);
}

static void test_cpu_immediate_operation_at_edges_gives_result(void **state)
{
	(void)state;
	static const struct operation operations[] = {
		{"addi", 0, 0, want_add}, {"slti", 0, 2, want_slt}, {"sltiu", 0, 3, want_sltu},
		{"xori", 0, 4, want_xor}, {"ori", 0, 6, want_or},   {"andi", 0, 7, want_and},
	};
	static const int32_t immediates[] = {-2048, -2047, -1365, -1, 0, 1, 2, 1365, 2046, 2047};
	struct core *core = core_new(NULL, NULL);
	for (size_t o = 0; o < ARRAY_SIZE(operations); o++) {
		for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
			for (size_t j = 0; j < ARRAY_SIZE(immediates); j++) {
				uint32_t b = (uint32_t)immediates[j];
				check_one(core, operations[o].name,
					  asm_i(immediates[j], A1, operations[o].funct3, A0, 0x13), A0, A1,
					  edges[i], A2, b, operations[o].want(edges[i], b));
			}
		}
	}
	core_free(core);
}

static void test_cpu_immediate_shift_by_every_amount_gives_result(void **state)
{
	(void)state;
	static const struct operation operations[] = {
		{"slli", 0, 1, want_sll},
		{"srli", 0, 5, want_srl},
		{"srai", 32, 5, want_sra},
	};
	struct core *core = core_new(NULL, NULL);
	for (size_t o = 0; o < ARRAY_SIZE(operations); o++) {
		const struct operation *op = &operations[o];
		for (size_t i = 0; i < ARRAY_SIZE(edges); i++)
			for (uint32_t n = 0; n < 32; n++)
				check_one(core, op->name, asm_r(op->funct7, n, A1, op->funct3, A0, 0x13), A0,
					  A1, edges[i], A2, 0, op->want(edges[i], n));
	}
	core_free(core);
}

static void test_cpu_upper_immediate_gives_result(void **state)
{
	(void)state;
	static const uint32_t uppers[] = {0, 0x1000, 0x12345000, 0x7ffff000, 0x80000000, 0xfffff000};
	struct core *core = core_new(NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(uppers); i++) {
		check_one(core, "lui", asm_lui(A0, uppers[i]), A0, A1, 1, A2, 2, uppers[i]);
		check_one(core, "auipc", asm_auipc(A0, uppers[i]), A0, A1, 1, A2, 2,
			  want_add((uint32_t)TCM, uppers[i]));
		check_one(core, "lui", asm_lui(ZERO, uppers[i]), ZERO, A1, 1, A2, 2, 0);
	}
	core_free(core);
}

static void test_cpu_fence_changes_nothing(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	check_one(core, "fence", ASM_FENCE, ZERO, A1, 1, A2, 2, 0);
	check_one(core, "fence.tso", 0x8330000f, ZERO, A1, 1, A2, 2, 0);
	check_one(core, "fence.i", ASM_FENCE_I, ZERO, A1, 1, A2, 2, 0);
	core_free(core);
}

/* ---- control transfers --------------------------------------------------------------------------------- */

static void test_cpu_branch_at_edges_goes_where_comparison_says(void **state)
{
	(void)state;
	static const int32_t offsets[] = {-4096, -2, 6, 4094, 8};
	struct core *core = core_new(NULL, NULL);
	const uint32_t at = 0x4000;
	for (size_t i = 0; i < ARRAY_SIZE(edges) * ARRAY_SIZE(edges); i++) {
		uint32_t a = edges[i / ARRAY_SIZE(edges)], b = edges[i % ARRAY_SIZE(edges)];
		const struct {
			uint32_t funct3;
			bool taken;
		} branches[] = {
			{0, a == b}, {1, a != b},   {4, want_slt(a, b) == 1}, {5, want_slt(a, b) == 0},
			{6, a < b},  {7, !(a < b)},
		};
		for (size_t k = 0; k < ARRAY_SIZE(branches); k++) {
			int32_t offset = offsets[(i + k) % ARRAY_SIZE(offsets)];
			core_put(core, at, asm_branch(branches[k].funct3, A1, A2, offset));
			cpu_reset(core->cpu, 0, (uint32_t)TCM + at);
			cpu_set_register(core->cpu, A1, a);
			cpu_set_register(core->cpu, A2, b);
			cpu_single_step(core->cpu);
			assert_int_equal(core_pc(core),
					 (uint32_t)TCM + at + (uint32_t)(branches[k].taken ? offset : 4));
		}
	}
	core_free(core);
}

static void test_cpu_jal_links_and_reaches_a_mebibyte(void **state)
{
	(void)state;
	static const int32_t offsets[] = {-1048576, -4, 2, 4, 1048574, 0x1234};
	struct core *core = core_new(NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		for (uint32_t rd = 0; rd < 2; rd++) {
			core_put(core, 0x100, asm_jal(rd, offsets[i]));
			cpu_reset(core->cpu, 0, (uint32_t)TCM + 0x100);
			cpu_single_step(core->cpu);
			assert_int_equal(core_pc(core), (uint32_t)TCM + 0x100 + (uint32_t)offsets[i]);
			assert_int_equal(core_reg(core, rd), rd ? (uint32_t)TCM + 0x104 : 0);
		}
	}
	core_free(core);
}

static void test_cpu_jalr_clears_bit_0_and_links(void **state)
{
	(void)state;
	static const struct {
		uint32_t rd, rs1, base;
		int32_t imm;
		uint32_t target;
	} rows[] = {
		{RA, A0, 0x80000200, 0, 0x80000200},    {RA, A0, 0x80000200, 1, 0x80000200},
		{RA, A0, 0x80000201, 0, 0x80000200},    {RA, A0, 0x80000203, -2048, 0x7ffffa02},
		{A0, A0, 0x80000200, 2047, 0x800009fe}, {ZERO, A0, 0x80000200, 4, 0x80000204},
		{RA, A0, 0xffffffff, 3, 0x00000002},    {A0, A0, 0x00000000, -2, 0xfffffffe},
	};
	struct core *core = core_new(NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CORE_LOAD(core, asm_jalr(rows[i].rd, rows[i].rs1, rows[i].imm));
		cpu_set_register(core->cpu, rows[i].rs1, rows[i].base);
		cpu_single_step(core->cpu);
		assert_int_equal(core_pc(core), rows[i].target);
		assert_int_equal(core_reg(core, rows[i].rd), rows[i].rd ? (uint32_t)TCM + 4 : 0);
	}
	core_free(core);
}

/* ---- memory ----------------------------------------------------------------------------------------------- */

static const struct {
	uint32_t base;
	bool tcm;
} memories[] = {{(uint32_t)TCM + 0x4000, true}, {SRAM + 0x800, false}};

static uint8_t *bytes_of(struct core *core, uint32_t address)
{
	return address >= (uint32_t)TCM ? core->tcm + (address - (uint32_t)TCM)
					: core->sram + (address - SRAM);
}

static void test_cpu_load_extends_as_its_kind_says(void **state)
{
	(void)state;
	static const uint8_t bytes[] = {0x80, 0x7f, 0xff, 0x00, 0x01, 0x80, 0xfe, 0xff};
	static const struct {
		const char *name;
		uint32_t funct3, offset, want;
	} rows[] = {
		{"lb", 0, 0, 0xffffff80},  {"lb", 0, 1, 0x0000007f},  {"lb", 0, 2, 0xffffffff},
		{"lb", 0, 3, 0x00000000},  {"lbu", 4, 0, 0x00000080}, {"lbu", 4, 2, 0x000000ff},
		{"lbu", 4, 5, 0x00000080}, {"lh", 1, 0, 0x00007f80},  {"lh", 1, 4, 0xffff8001},
		{"lh", 1, 6, 0xfffffffe},  {"lh", 1, 2, 0x000000ff},  {"lhu", 5, 4, 0x00008001},
		{"lhu", 5, 6, 0x0000fffe}, {"lw", 2, 0, 0x00ff7f80},  {"lw", 2, 4, 0xfffe8001},
	};
	static const int32_t displacements[] = {0, 2040, -2048};
	struct core *core = core_new(NULL, NULL);
	for (size_t m = 0; m < ARRAY_SIZE(memories); m++) {
		memcpy(bytes_of(core, memories[m].base), bytes, sizeof(bytes));
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			for (size_t d = 0; d < ARRAY_SIZE(displacements); d++) {
				int32_t imm = displacements[d];
				uint32_t base = memories[m].base + rows[i].offset - (uint32_t)imm;
				check_one(core, rows[i].name, asm_i(imm, A1, rows[i].funct3, A0, 0x03), A0,
					  A1, base, A2, 0, rows[i].want);
				check_one(core, rows[i].name, asm_i(imm, A1, rows[i].funct3, A1, 0x03), A1,
					  A1, base, A2, 0, rows[i].want);
				check_one(core, rows[i].name, asm_i(imm, A1, rows[i].funct3, ZERO, 0x03),
					  ZERO, A1, base, A2, 0, 0);
			}
		}
	}
	core_free(core);
}

static void test_cpu_store_writes_its_bytes_only(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	for (size_t m = 0; m < ARRAY_SIZE(memories); m++) {
		for (uint32_t funct3 = 0; funct3 < 3; funct3++) {
			uint32_t size = 1u << funct3;
			for (uint32_t offset = 0; offset < 8; offset += size) {
				for (int32_t imm = -2048; imm <= 2047; imm += 4095 - 3 * (int32_t)size + 3) {
					int32_t aligned = imm & -4;
					uint32_t base = memories[m].base + 8 + offset;
					uint8_t *at = bytes_of(core, memories[m].base);
					memset(at, 0xa5, 24);
					check_one(core, "store", asm_s(aligned, A2, A1, funct3), ZERO, A1,
						  base - (uint32_t)aligned, A2, 0x44332211, 0);
					for (uint32_t i = 0; i < 24; i++) {
						bool inside = i >= 8 + offset && i < 8 + offset + size;
						uint32_t value = inside ? 0x11 * (i - 8 - offset + 1) : 0xa5;
						assert_int_equal(at[i], value);
					}
				}
			}
		}
	}
	core_free(core);
}

static void test_cpu_access_at_memory_ends_works(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	static const struct {
		uint32_t address, funct3;
	} rows[] = {
		{(uint32_t)TCM + TCM_BYTES - 4, 2}, {(uint32_t)TCM + TCM_BYTES - 2, 1},
		{(uint32_t)TCM + TCM_BYTES - 1, 0}, {SRAM, 2},
		{SRAM + SRAM_BYTES - 4, 2},         {SRAM + SRAM_BYTES - 2, 1},
		{SRAM + SRAM_BYTES - 1, 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t mask = 0xffffffff >> (32 - (8u << rows[i].funct3));
		CORE_LOAD(core, asm_s(0, A2, A1, rows[i].funct3), asm_i(0, A1, rows[i].funct3, A0, 0x03));
		cpu_set_register(core->cpu, A1, rows[i].address);
		cpu_set_register(core->cpu, A2, 0x12345678);
		core_steps(core, 2);
		assert_int_equal(core_reg(core, A0), 0x12345678 & mask);
		assert_int_equal(core_instructions(core), 2);
	}
	core_free(core);
}

/* ---- Zicsr ------------------------------------------------------------------------------------------------- */

static void test_cpu_csr_instruction_reads_and_changes_mscratch(void **state)
{
	(void)state;
	static const struct {
		uint32_t funct3, source, operand, before, after;
	} rows[] = {
		{1, A1, 0x0ff00ff0, 0x12345678, 0x0ff00ff0},
		{2, A1, 0x0ff00ff0, 0x12345678, 0x1ff45ff8},
		{3, A1, 0x0ff00ff0, 0x12345678, 0x10045008},
		{1, ZERO, 0, 0x12345678, 0},
		{2, ZERO, 0, 0x12345678, 0x12345678},
		{3, ZERO, 0, 0x12345678, 0x12345678},
		{5, 31, 0, 0x12345678, 31},
		{5, 0, 0, 0x12345678, 0},
		{6, 31, 0, 0x12345678, 0x1234567f},
		{6, 0, 0, 0x12345678, 0x12345678},
		{7, 31, 0, 0x12345678, 0x12345660},
		{7, 16, 0, 0x12345678, 0x12345668},
	};
	struct core *core = core_new(NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (uint32_t rd = 0; rd < 2; rd++) {
			CORE_LOAD(core, asm_csrrw(ZERO, MSCRATCH, A2),
				  asm_csr(rows[i].funct3, rd ? A0 : ZERO, MSCRATCH, rows[i].source));
			cpu_set_register(core->cpu, A2, rows[i].before);
			cpu_set_register(core->cpu, A1, rows[i].operand);
			core_steps(core, 2);
			assert_int_equal(core_csr(core, MSCRATCH), rows[i].after);
			assert_int_equal(core_reg(core, A0), rd ? rows[i].before : 0);
			assert_int_equal(core_reg(core, ZERO), 0);
			assert_int_equal(core_instructions(core), 2);
		}
	}
	core_free(core);
}

static void test_cpu_csr_exchange_with_itself_swaps(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, asm_csrrwi(ZERO, MSCRATCH, 9), asm_csrrw(A0, MSCRATCH, A0));
	cpu_set_register(core->cpu, A0, 0xabcdef01);
	core_steps(core, 2);
	assert_int_equal(core_reg(core, A0), 9);
	assert_int_equal(core_csr(core, MSCRATCH), 0xabcdef01);
	core_free(core);
}

/* ---- code ---------------------------------------------------------------------------------------------------- */

static void test_cpu_store_to_code_takes_effect_at_fence_i(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	/* The instruction at 0x10 is executed, replaced, and executed again after fence.i. */
	CORE_LOAD(core, asm_jal(ZERO, 0x10), asm_sw(A1, A2, 0x10), ASM_FENCE_I, asm_jal(ZERO, 4),
		  asm_addi(A0, A0, 1), asm_bne(A3, ZERO, 12), asm_addi(A3, ZERO, 1), asm_jal(ZERO, -24),
		  ASM_WFI);
	cpu_set_register(core->cpu, A1, asm_addi(A0, A0, 100));
	cpu_set_register(core->cpu, A2, (uint32_t)TCM);
	core_run(core);
	assert_int_equal(cpu_state(core->cpu), CPU_ASLEEP);
	assert_int_equal(core_reg(core, A0), 101);
	core_free(core);
}

static void test_cpu_reset_forgets_registers_and_code(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, asm_addi(A0, A0, 1), asm_csrrwi(ZERO, MSCRATCH, 5), ASM_WFI);
	core_run(core);
	CORE_LOAD(core, asm_addi(A0, A0, 7), ASM_WFI);
	core_run(core);
	assert_int_equal(core_reg(core, A0), 7);
	assert_int_equal(core_csr(core, MSCRATCH), 0);
	assert_int_equal(core_instructions(core), 2);
	core_free(core);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpu_register_operation_at_edges_gives_result),
		cmocka_unit_test(test_cpu_register_operation_with_shared_registers_gives_result),
		cmocka_unit_test(test_cpu_immediate_operation_at_edges_gives_result),
		cmocka_unit_test(test_cpu_immediate_shift_by_every_amount_gives_result),
		cmocka_unit_test(test_cpu_upper_immediate_gives_result),
		cmocka_unit_test(test_cpu_fence_changes_nothing),
		cmocka_unit_test(test_cpu_branch_at_edges_goes_where_comparison_says),
		cmocka_unit_test(test_cpu_jal_links_and_reaches_a_mebibyte),
		cmocka_unit_test(test_cpu_jalr_clears_bit_0_and_links),
		cmocka_unit_test(test_cpu_load_extends_as_its_kind_says),
		cmocka_unit_test(test_cpu_store_writes_its_bytes_only),
		cmocka_unit_test(test_cpu_access_at_memory_ends_works),
		cmocka_unit_test(test_cpu_csr_instruction_reads_and_changes_mscratch),
		cmocka_unit_test(test_cpu_csr_exchange_with_itself_swaps),
		cmocka_unit_test(test_cpu_store_to_code_takes_effect_at_fence_i),
		cmocka_unit_test(test_cpu_reset_forgets_registers_and_code),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
