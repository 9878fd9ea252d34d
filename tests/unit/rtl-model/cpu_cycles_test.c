/* The cycle cost model against counts made by hand from the table in blocks/cpu/README.md. */
#include "tests/unit/rtl-model/cpu_fixture.h"

/* Costs that cannot be mistaken for one another; every program ends with a wfi, 1 cycle. Of the RTL core only those of
 * what it is connected to can be chosen; its own are in its structure. */
static const char *const costs[] = {
	"core.load_use_cycles=3",   "core.branch_miss_cycles=5",
	"core.jump_cycles=7",       "core.mul_cycles=11",
	"core.div_cycles=40",       "core.trap_cycles=20",
	"core.sram_cycles=60",      "core.csr_read_cycles=97",
	"core.csr_write_cycles=29", NULL,
};
#ifdef CORE_RTL
enum { LOAD_USE = 1, MISS = 1, JUMP = 1, MUL = 1, DIV = 34, TRAP = 1 };
#else
enum { LOAD_USE = 3, MISS = 5, JUMP = 7, MUL = 11, DIV = 40, TRAP = 20 };
#endif
enum { SRAM_ACCESS = 60, READ = 97, WRITE = 29 };

/* A1 holds an address in memory 0, A2 one in the request memory, A3 that of a block's register, A4 is 1. `cycles` is without
 * the wfi at the end. The words are from the assembler: 0 to 7 words, wfi follows. */
static const struct program {
	const char *name;
	uint32_t words[7];
	unsigned cycles;
} programs[] = {
	{"nop", {0x00000013}, 1},
	{"three of the arithmetic unit", {0x00e70533, 0x40e70533, 0x00f71513}, 3},
	{"fence, fence.i", {0x0ff0000f, 0x0000100f}, 1 + 1 + JUMP},
	{"csrrw", {0x34071573}, 1},

	{"lw", {0x0005a503}, 1},
	{"lw, then nop", {0x0005a503, 0x00000013}, 2},
	{"lw a0, then add with a0 first", {0x0005a503, 0x00e507b3}, 1 + LOAD_USE + 1},
	{"lw a0, then add with a0 second", {0x0005a503, 0x00a707b3}, 1 + LOAD_USE + 1},
	{"lw a0, then addi of a0", {0x0005a503, 0x00150513}, 1 + LOAD_USE + 1},
	{"lw a0, one between, then a0", {0x0005a503, 0x00000013, 0x00e507b3}, 3},
	{"lw a0, then sw of a0", {0x0005a503, 0x00a5a223}, 1 + LOAD_USE + 1},
	{"lw a0, then lw over a0", {0x0005a503, 0x0005a503}, 2},
	{"lbu a0, then untaken branch on a0", {0x0005c503, 0x00051463}, 1 + LOAD_USE + 1},
	{"lhu a0, then csrrw of a0", {0x0005d503, 0x34051073}, 1 + LOAD_USE + 1},
	{"lw a0, then csrrwi 10", {0x0005a503, 0x34055073}, 2}, /* 10 is a0's number, but here a value */
	{"lw a0, then lui whose bits look like a0", {0x0005a503, 0x00a507b7}, 2},
	{"lw a0, then c.mv of a0, c.nop", {0x0005a503, 0x000187aa}, 1 + LOAD_USE + 2},
	{"c.lw a0, c.addi a0", {0x05054188}, 1 + LOAD_USE + 1},
	{"lw x0, then add of x0", {0x0005a003, 0x00000533}, 2},
	{"sw", {0x00e5a023}, 1},
	{"sw, sh, sb", {0x00e5a023, 0x00e59023, 0x00e58023}, 3},

	{"forward branch not taken", {0x00070463, 0x00000013}, 2},
	{"forward branch taken", {0x00071463, 0x00000013}, 1 + MISS},
	{"backward branch not taken", {0x00000013, 0xfe070ee3}, 1 + 1 + MISS},
	{"jal to a backward branch, taken to jal", {0x0080006f, 0x0080006f, 0xfe071ee3}, 3},
	{"jal over one", {0x0080056f, 0x00000013}, 1},
	{"jal, c.j", {0x0040056f, 0x0001a011}, 2},
	{"auipc, jalr", {0x00000517, 0x00850567}, 1 + 1 + JUMP},

	{"mul, mulh, mulhsu, mulhu", {0x02e70533, 0x02e71533, 0x02e72533, 0x02e73533}, 4 * MUL},
	{"mul a0, then add of a0", {0x02e70533, 0x00a507b3}, MUL + 1},
	{"mul a0, then sw of a0", {0x02e70533, 0x00a5a023}, MUL + 1},
	{"mul a0, then forward branch on a0, taken", {0x02e70533, 0x00051463, 0x00000013}, MUL + 1 + MISS},
	{"div, divu, rem, remu", {0x02e74533, 0x02e75533, 0x02e76533, 0x02e77533}, 4 * DIV},

	{"lw from request memory", {0x00062503}, SRAM_ACCESS},
	{"lw from request memory and use", {0x00062503, 0x00150513}, SRAM_ACCESS + LOAD_USE + 1},
	{"lbu and lh from request memory", {0x00064503, 0x00061783}, 2 * SRAM_ACCESS},
	{"sw, sb to request memory", {0x00e62023, 0x00e60023}, 2 * SRAM_ACCESS},
	{"read of a register", {0x0006a503}, READ},
	{"read of a register and use", {0x0006a503, 0x00150513}, READ + LOAD_USE + 1},
	{"write to a register", {0x00e6a023}, WRITE},
	{"two writes, a read", {0x00e6a023, 0x00e6a223, 0x0006a503}, 2 * WRITE + READ},
};

static void prepare(struct core *core)
{
	cpu_set_register(core->cpu, A1, (uint32_t)TCM + 0x1000);
	cpu_set_register(core->cpu, A2, SRAM + 0x100);
	cpu_set_register(core->cpu, A3, REGS);
	cpu_set_register(core->cpu, A4, 1);
}

static uint64_t cycles_of(struct core *core, const struct program *program)
{
	uint32_t at = 0;
	memset(core->tcm, 0, TCM_BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(program->words) && program->words[i]; i++, at += 4)
		core_put(core, at, program->words[i]);
	core_put(core, at, ASM_WFI);
	cpu_reset(core->cpu, 0, (uint32_t)TCM);
	prepare(core);
	core_run(core);
	assert_int_equal(cpu_state(core->cpu), CPU_ASLEEP);
	assert_int_equal(core_pc(core), (uint32_t)TCM + at + 4);
	return core_cycles(core);
}

static void test_cpu_program_costs_what_the_table_says(void **state)
{
	(void)state;
	struct core *core = core_new(costs, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		uint64_t cycles = cycles_of(core, &programs[i]);
		if (cycles != programs[i].cycles + 1)
			fail_msg("%s: %llu cycles, not %u", programs[i].name, (unsigned long long)cycles - 1,
				 programs[i].cycles);
	}
	core_free(core);
}

static void test_cpu_trap_and_return_cost_the_slot_and_the_penalty(void **state)
{
	(void)state;
	struct core *core = core_new(costs, NULL);
	CORE_LOAD(core, asm_csrrw(ZERO, MTVEC, A0), ASM_ECALL, ASM_WFI);
	core_put(core, 0x400, asm_csrrs(T0, MEPC, ZERO));
	core_put(core, 0x404, asm_addi(T0, T0, 4));
	core_put(core, 0x408, asm_csrrw(ZERO, MEPC, T0));
	core_put(core, 0x40c, ASM_MRET);
	cpu_set_register(core->cpu, A0, (uint32_t)TCM + 0x400);
	core_run(core);
	/* csrrw; ecall's slot and the trap; three instructions; mret and its penalty; wfi */
	assert_int_equal(core_cycles(core), 1 + (1 + TRAP) + 3 + (1 + TRAP) + 1);
	assert_int_equal(core_instructions(core), 1 + 3 + 1 + 1);
	core_free(core);
}

/* That there is nothing at an address is what the bus answers, after the time any answer takes. */
static void test_cpu_faulting_access_costs_its_answer_and_the_penalty(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint32_t word, cycles;
	} rows[] = {
		{"lw from nowhere", 0x00002583, READ + TRAP}, {"lb from a register", 0x00068583, READ + TRAP},
		{"sw to nowhere", 0x00002023, WRITE + TRAP},  {"sh to a register", 0x00069023, WRITE + TRAP},
		{"lw misaligned", 0x0016a583, 1 + TRAP},      {"sw misaligned", 0x00b6a0a3, 1 + TRAP},
	};
	struct core *core = core_new(costs, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CORE_LOAD(core, asm_csrrw(ZERO, MTVEC, A0), rows[i].word);
		core_put(core, 0x400, ASM_WFI);
		cpu_set_register(core->cpu, A0, (uint32_t)TCM + 0x400);
		cpu_set_register(core->cpu, A3, REGS);
		core_run(core);
		if (core_cycles(core) != 1 + rows[i].cycles + 1)
			fail_msg("%s: %llu cycles, not %u", rows[i].name,
				 (unsigned long long)core_cycles(core) - 2, rows[i].cycles);
	}
	core_free(core);
}

static void test_cpu_interrupt_costs_the_slot_and_the_penalty(void **state)
{
	(void)state;
	struct core *core = core_new(costs, NULL);
	CORE_LOAD(core, asm_csrrw(ZERO, MTVEC, A0), asm_csrrw(ZERO, MIE, A1), asm_csrrsi(ZERO, MSTATUS, 8),
		  asm_nop());
	core_put(core, 0x400, asm_csrrw(ZERO, MIE, ZERO));
	core_put(core, 0x404, ASM_WFI);
	cpu_set_register(core->cpu, A0, (uint32_t)TCM + 0x400);
	cpu_set_register(core->cpu, A1, 0x888);
	cpu_set_interrupt(core->cpu, 0, 11, true);
	core_run(core);
	assert_int_equal(core_cycles(core), 3 + (1 + TRAP) + 2);
	assert_int_equal(core_csr(core, MEPC), (uint32_t)TCM + 12);
	core_free(core);
}

/* A loop with the default costs, counted by hand:
 *	li a0, 10		1
 * 1:	lw a2, 0(a1)		10 * (1 + 1 load-use)
 *	add a3, a3, a2		10
 *	addi a0, a0, -1		10
 *	bnez a0, 1b		9 * 1, and 1 + 1 when it is not taken
 *	wfi			1 */
static void test_cpu_loop_costs_what_the_hand_count_says(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, asm_addi(A0, ZERO, 10), asm_lw(A2, A1, 0), asm_add(A3, A3, A2), asm_addi(A0, A0, -1),
		  asm_bne(A0, ZERO, -12), ASM_WFI);
	cpu_set_register(core->cpu, A1, (uint32_t)TCM + 0x1000);
	core_run(core);
	assert_int_equal(core_cycles(core), 1 + 20 + 10 + 10 + 11 + 1);
	assert_int_equal(core_instructions(core), 42);
	core_free(core);
}

static void test_cpu_statistics_count_accesses(void **state)
{
	(void)state;
	struct core *core = core_new(costs, NULL);
	CORE_LOAD(core, asm_lw(A0, A3, 0), asm_lw(A0, A3, 4), asm_sw(A0, A3, 0), asm_lw(A0, A2, 0),
		  asm_sb(A0, A2, 0), asm_lh(A0, A2, 0), asm_lw(A0, A1, 0), ASM_WFI);
	prepare(core);
	core_run(core);
	struct cpu_stats stats = cpu_stats(core->cpu, cpu_time_ps(core->cpu));
	assert_int_equal(stats.bus_reads, 2);
	assert_int_equal(stats.bus_writes, 1);
	assert_int_equal(stats.bus_cycles, 2 * READ + WRITE);
	assert_int_equal(stats.sram_accesses, 3);
	core_free(core);
}

/* The period is that of core.clock_mhz, rounded to a picosecond, and local time a whole number of periods. */
static void test_cpu_time_advances_by_periods_of_the_clock(void **state)
{
	(void)state;
	static const struct {
		const char *settings[2];
		uint64_t period_ps;
	} rows[] = {
		{{"core.clock_mhz=1000"}, 1000},
		{{"core.clock_mhz=800"}, 1250},
		{{"core.clock_mhz=300"}, 3333},
		{{"core.clock_mhz=10"}, 100000},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct core *core = core_new(rows[i].settings, NULL);
		CORE_LOAD(core, asm_nop(), asm_nop(), ASM_WFI);
		cpu_reset(core->cpu, 123, (uint32_t)TCM);
		core_steps(core, 3);
		assert_int_equal(cpu_time_ps(core->cpu), 123 + 3 * rows[i].period_ps);
		core_free(core);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpu_program_costs_what_the_table_says),
		cmocka_unit_test(test_cpu_trap_and_return_cost_the_slot_and_the_penalty),
		cmocka_unit_test(test_cpu_faulting_access_costs_its_answer_and_the_penalty),
		cmocka_unit_test(test_cpu_interrupt_costs_the_slot_and_the_penalty),
		cmocka_unit_test(test_cpu_loop_costs_what_the_hand_count_says),
		cmocka_unit_test(test_cpu_statistics_count_accesses),
		cmocka_unit_test(test_cpu_time_advances_by_periods_of_the_clock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
