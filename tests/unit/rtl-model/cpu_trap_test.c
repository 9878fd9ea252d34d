/* Traps, interrupts, wfi and the CSRs, against the privileged ISA manual. */
#include "tests/unit/rtl-model/cpu_fixture.h"

enum {
	HANDLER = 0x400,
	MSTATUS_MIE = 0x8,
	MSTATUS_MPIE = 0x80,
	MSTATUS_MPP = 0x1800,
	SOFTWARE = 3,
	TIMER = 7,
	EXTERNAL = 11,
};

/* Three instructions that set mtvec to the handler, mie to all sources and mstatus.MIE. */
#define ENABLE_INTERRUPTS                                                                                    \
	asm_csrrw(ZERO, MTVEC, S0), asm_csrrw(ZERO, MIE, S1), asm_csrrsi(ZERO, MSTATUS, MSTATUS_MIE)

/* Registers ENABLE_INTERRUPTS wants; `mode` is 1 for vectored. */
static void prepare(struct core *core, uint32_t mode)
{
	cpu_set_register(core->cpu, S0, ((uint32_t)TCM + HANDLER) | mode);
	cpu_set_register(core->cpu, S1, 0x888);
}

/* ---- exceptions ---------------------------------------------------------------------------------------- */

static const struct exception {
	const char *name;
	uint32_t word; /* with A1 as the base register */
	uint32_t a1;
	uint32_t cause, tval;
} exceptions[] = {
	{"ecall", ASM_ECALL, 0, 11, 0},
	{"ebreak", ASM_EBREAK, 0, 3, 0x80000100},
	{"c.ebreak", 0x9002, 0, 3, 0x80000100},
	/* misaligned, in every memory; before any look at what is there */
	{"lh", 0x00059503, 0x80001001, 4, 0x80001001},
	{"lhu", 0x0005d503, 0x80001003, 4, 0x80001003},
	{"lw", 0x0005a503, 0x80001001, 4, 0x80001001},
	{"lw", 0x0005a503, 0x80001002, 4, 0x80001002},
	{"lw", 0x0005a503, 0x20000003, 4, 0x20000003},
	{"lw", 0x0005a503, 0x10000002, 4, 0x10000002},
	{"lw", 0x0005a503, 0x00000002, 4, 0x00000002},
	{"lw", 0x0005a503, 0x8000fffe, 4, 0x8000fffe},
	{"c.lw", 0x4188, 0x80001002, 4, 0x80001002},
	{"sh", 0x00a59023, 0x80001001, 6, 0x80001001},
	{"sw", 0x00a5a023, 0x80001001, 6, 0x80001001},
	{"sw", 0x00a5a023, 0x20000002, 6, 0x20000002},
	{"sw", 0x00a5a023, 0x10000003, 6, 0x10000003},
	{"sw", 0x00a5a023, 0xffffffff, 6, 0xffffffff},
	/* nothing there: just outside each memory, and nowhere near */
	{"lb", 0x00058503, 0x80010000, 5, 0x80010000},
	{"lb", 0x00058503, 0x7fffffff, 5, 0x7fffffff},
	{"lw", 0x0005a503, 0x80010000, 5, 0x80010000},
	{"lw", 0x0005a503, 0x20001000, 5, 0x20001000},
	{"lh", 0x00059503, 0x1ffffffe, 5, 0x1ffffffe},
	{"lw", 0x0005a503, 0x00000000, 5, 0x00000000},
	{"lw", 0x0005a503, 0x10001000, 5, 0x10001000},
	{"sb", 0x00a58023, 0x80010000, 7, 0x80010000},
	{"sw", 0x00a5a023, 0x7ffffffc, 7, 0x7ffffffc},
	{"sw", 0x00a5a023, 0x00000000, 7, 0x00000000},
	{"sw", 0x00a5a023, 0x10001000, 7, 0x10001000},
	/* registers are words */
	{"lb", 0x00058503, 0x10000000, 5, 0x10000000},
	{"lhu", 0x0005d503, 0x10000002, 5, 0x10000002},
	{"sb", 0x00a58023, 0x10000001, 7, 0x10000001},
	{"sh", 0x00a59023, 0x10000000, 7, 0x10000000},
	/* illegal: mtval is the instruction */
	{"all ones", 0xffffffff, 0, 2, 0xffffffff},
	{"all zeros, 16 bits", 0xabcd0000, 0, 2, 0x0000},
	{"c.lwsp x0", 0xabcd4002, 0, 2, 0x4002},
	{"unimp", 0xc0001073, 0, 2, 0xc0001073},
	{"slli by 32", 0x02059513, 0, 2, 0x02059513},
	{"sub with funct3 1", 0x40b51533, 0, 2, 0x40b51533},
	{"branch with funct3 2", 0x00b52063, 0, 2, 0x00b52063},
	{"ld", 0x0005b503, 0x80001000, 2, 0x0005b503},
	{"lwu", 0x0005e503, 0x80001000, 2, 0x0005e503},
	{"sd", 0x00a5b023, 0x80001000, 2, 0x00a5b023},
	{"jalr with funct3 1", 0x00059567, 0x80000000, 2, 0x00059567},
	{"flw", 0x0005a507, 0x80001000, 2, 0x0005a507},
	{"lr.w", 0x1005a52f, 0x80001000, 2, 0x1005a52f},
	{"addiw", 0x0015851b, 0, 2, 0x0015851b},
	{"sret", 0x10200073, 0, 2, 0x10200073},
	{"uret", 0x00200073, 0, 2, 0x00200073},
	{"sfence.vma", 0x12000073, 0, 2, 0x12000073},
	{"ecall with rd", 0x000000f3, 0, 2, 0x000000f3},
	{"system with funct3 4", 0x00004073, 0, 2, 0x00004073},
	{"csr that does not exist", 0x3a001073, 0, 2, 0x3a001073},
	{"satp", 0x18002573, 0, 2, 0x18002573},
	{"time", 0xc0102573, 0, 2, 0xc0102573},
	{"write to mhartid", 0xf1459073, 0, 2, 0xf1459073},
	{"set bits of cycle", 0xc000e073, 0, 2, 0xc000e073},
};

static void check_exception(struct core *core, const struct exception *e, bool interrupts_on)
{
	core_put(core, 0x100, e->word);
	cpu_reset(core->cpu, 0, (uint32_t)TCM);
	CORE_LOAD(core, asm_csrrw(ZERO, MTVEC, S0), interrupts_on ? asm_csrrsi(ZERO, MSTATUS, 8) : asm_nop());
	cpu_set_register(core->cpu, S0, (uint32_t)TCM + HANDLER);
	core_steps(core, 2);
	cpu_set_register(core->cpu, 32, (uint32_t)TCM + 0x100);
	cpu_set_register(core->cpu, A0, 0x600d);
	cpu_set_register(core->cpu, A1, e->a1);
	cpu_single_step(core->cpu);
	if (core_csr(core, MCAUSE) != e->cause || core_csr(core, MTVAL) != e->tval)
		fail_msg("%s at %#x: cause %u, mtval %#x", e->name, e->a1, core_csr(core, MCAUSE),
			 core_csr(core, MTVAL));
	assert_int_equal(core_csr(core, MEPC), (uint32_t)TCM + 0x100);
	assert_int_equal(core_pc(core), (uint32_t)TCM + HANDLER);
	assert_int_equal(core_csr(core, MSTATUS), MSTATUS_MPP | (interrupts_on ? MSTATUS_MPIE : 0));
	assert_int_equal(core_reg(core, A0), 0x600d);
	assert_int_equal(core_instructions(core), 2);
	assert_int_equal(cpu_stats(core->cpu, 0).traps, 1);
	assert_int_equal(cpu_stats(core->cpu, 0).interrupts, 0);
	assert_int_equal(cpu_state(core->cpu), CPU_RUNNING);
	assert_int_equal(core->accesses, 0);
}

static void test_cpu_exception_reports_cause_value_and_address(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(exceptions); i++) {
		check_exception(core, &exceptions[i], false);
		check_exception(core, &exceptions[i], true);
	}
	core_free(core);
}

/* Executes `word` at TCM + at, then whatever is there, and checks the fetch fault that follows. */
static void check_fetch_fault(struct core *core, uint32_t at, uint32_t word, uint32_t s1, uint32_t mepc,
			      uint32_t mtval, unsigned retired)
{
	CORE_LOAD(core, asm_csrrw(ZERO, MTVEC, S0));
	cpu_set_register(core->cpu, S0, (uint32_t)TCM + HANDLER);
	cpu_set_register(core->cpu, S1, s1);
	cpu_single_step(core->cpu);
	if (at + 4 <= TCM_BYTES)
		core_put(core, at, word);
	else
		store_le16(core->tcm + at, (uint16_t)word);
	cpu_set_register(core->cpu, 32, (uint32_t)TCM + at);
	core_steps(core, retired + 1);
	assert_int_equal(core_csr(core, MCAUSE), 1);
	assert_int_equal(core_csr(core, MEPC), mepc);
	assert_int_equal(core_csr(core, MTVAL), mtval);
	assert_int_equal(core_pc(core), (uint32_t)TCM + HANDLER);
	assert_int_equal(core_instructions(core), 1 + retired);
}

static void test_cpu_fetch_outside_memory_faults_at_target(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	const uint32_t jalr = asm_jalr(ZERO, S1, 0);
	check_fetch_fault(core, 0x100, jalr, 0, 0, 0, 1);
	check_fetch_fault(core, 0x100, jalr, 0x80010000, 0x80010000, 0x80010000, 1);
	check_fetch_fault(core, 0x100, jalr, 0xfffffffe, 0xfffffffe, 0xfffffffe, 1);
	check_fetch_fault(core, 0x100, jalr, SRAM, SRAM, SRAM, 1); /* code runs from memory 0 only */
	check_fetch_fault(core, 0x100, asm_jal(ZERO, -0x104), 0, 0x7ffffffc, 0x7ffffffc, 1);
	check_fetch_fault(core, 0x100, asm_jal(ZERO, -1048576), 0, 0x7ff00100, 0x7ff00100, 1);
	check_fetch_fault(core, 0xfffc, asm_jal(ZERO, 1048574), 0, 0x8010fffa, 0x8010fffa, 1);
	check_fetch_fault(core, 0x100, asm_beq(ZERO, ZERO, -4096), 0, 0x7ffff100, 0x7ffff100, 1);
	check_fetch_fault(core, 0xfffc, asm_nop(), 0, 0x80010000, 0x80010000, 1); /* off the end */
	check_fetch_fault(core, 0xfffe, 0x0001, 0, 0x80010000, 0x80010000, 1);    /* c.nop */
	/* The first half of a 32-bit instruction is the memory's last: mtval is the half that is missing. */
	check_fetch_fault(core, 0xfffe, 0x0013, 0, 0x8000fffe, 0x80010000, 0);
	core_free(core);
}

static void test_cpu_mret_restores_interrupt_enable(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	for (uint32_t before = 0; before < 4; before++) {
		uint32_t mie = before & 1 ? MSTATUS_MIE : 0, mpie = before & 2 ? MSTATUS_MPIE : 0;
		CORE_LOAD(core, asm_csrrw(ZERO, MSTATUS, A0), asm_csrrw(ZERO, MEPC, A1), ASM_MRET);
		cpu_set_register(core->cpu, A0, mie | mpie);
		cpu_set_register(core->cpu, A1, (uint32_t)TCM + 0x203);
		core_steps(core, 3);
		assert_int_equal(core_pc(core), (uint32_t)TCM + 0x202);
		assert_int_equal(core_csr(core, MSTATUS),
				 MSTATUS_MPP | MSTATUS_MPIE | (mpie ? MSTATUS_MIE : 0));
	}
	core_free(core);
}

/* ---- CSRs --------------------------------------------------------------------------------------------------- */

static const struct {
	unsigned number;
	uint32_t after_ones, after_zeros; /* what is read after writing all ones, all zeros */
} writable[] = {
	{MSTATUS, 0x1888, 0x1800},
	{MISA, 0x40001104, 0x40001104},
	{MIE, 0x888, 0},
	{MTVEC, 0xfffffffd, 0},
	{0x310, 0, 0}, /* mstatush */
	{MSCRATCH, 0xffffffff, 0},
	{MEPC, 0xfffffffe, 0},
	{MCAUSE, 0xffffffff, 0},
	{MTVAL, 0xffffffff, 0},
	{MIP, 0, 0},
	{MCYCLE, 0xffffffff, 0},
	{MINSTRET, 0xffffffff, 0},
	{MCYCLEH, 0xffffffff, 0},
	{MINSTRETH, 0xffffffff, 0},
};
static const unsigned read_only[] = {CYCLE, INSTRET, CYCLEH, INSTRETH, 0xf11, 0xf12, 0xf13, 0xf14, 0xf15};

static bool exists(unsigned number)
{
	for (size_t i = 0; i < ARRAY_SIZE(writable); i++)
		if (writable[i].number == number)
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(read_only); i++)
		if (read_only[i] == number)
			return true;
	return false;
}

/* Executes one CSR instruction after mtvec has been set; true if it trapped as illegal. */
static bool illegal(struct core *core, uint32_t word)
{
	CORE_LOAD(core, asm_csrrw(ZERO, MTVEC, S0), word);
	prepare(core, 0);
	core_steps(core, 2);
	if (core_instructions(core) == 2)
		return false;
	assert_int_equal(core_csr(core, MCAUSE), 2);
	assert_int_equal(core_csr(core, MTVAL), word);
	return true;
}

static void test_cpu_csr_numbers_that_do_not_exist_are_illegal(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	uint32_t value;
	for (unsigned number = 0; number < 4096; number++) {
		assert_int_equal(illegal(core, asm_csrrs(A0, number, ZERO)), !exists(number));
		assert_int_equal(cpu_get_csr(core->cpu, number, &value), exists(number));
		bool may_write = exists(number) && number < 0xc00;
		if (number != MTVEC)
			assert_int_equal(illegal(core, asm_csrrw(A0, number, S0)), !may_write);
	}
	core_free(core);
}

static void test_cpu_csr_write_to_read_only_is_illegal_in_every_form(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(read_only); i++) {
		unsigned number = read_only[i];
		assert_true(illegal(core, asm_csrrw(ZERO, number, ZERO)));
		assert_true(illegal(core, asm_csrrs(A0, number, A1))); /* even if the register holds 0 */
		assert_true(illegal(core, asm_csrrc(A0, number, A1)));
		assert_true(illegal(core, asm_csrrwi(A0, number, 0)));
		assert_true(illegal(core, asm_csrrsi(A0, number, 1)));
		assert_true(illegal(core, asm_csrrci(A0, number, 1)));
		assert_false(illegal(core, asm_csrrs(A0, number, ZERO)));
		assert_false(illegal(core, asm_csrrc(A0, number, ZERO)));
		assert_false(illegal(core, asm_csrrsi(A0, number, 0)));
		assert_false(illegal(core, asm_csrrci(A0, number, 0)));
	}
	core_free(core);
}

static void test_cpu_csr_write_keeps_legal_bits_only(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(writable); i++) {
		unsigned number = writable[i].number;
		CORE_LOAD(core, asm_csrrw(ZERO, number, A1), asm_csrrs(A0, number, ZERO));
		cpu_set_register(core->cpu, A1, 0xffffffff);
		core_steps(core, 2);
		assert_int_equal(core_reg(core, A0), writable[i].after_ones);
		CORE_LOAD(core, asm_csrrw(ZERO, number, ZERO), asm_csrrs(A0, number, ZERO));
		core_steps(core, 2);
		assert_int_equal(core_reg(core, A0), writable[i].after_zeros);
	}
	core_free(core);
}

static void test_cpu_counters_count_before_the_reading_instruction(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	/* 1 + 1 + 34 (div) cycles and 3 instructions before the first read */
	CORE_LOAD(core, asm_nop(), asm_nop(), asm_div(A5, A5, A5), asm_csrrs(A0, CYCLE, ZERO),
		  asm_csrrs(A1, INSTRET, ZERO), asm_csrrs(A2, MCYCLE, ZERO), asm_csrrs(A3, MINSTRET, ZERO),
		  ASM_WFI);
	core_run(core);
	assert_int_equal(core_reg(core, A0), 36);
	assert_int_equal(core_reg(core, A1), 4);
	assert_int_equal(core_reg(core, A2), 38);
	assert_int_equal(core_reg(core, A3), 6);
	core_free(core);
}

static void test_cpu_counter_write_takes_effect_after_the_instruction(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, asm_csrrwi(ZERO, MINSTRET, 20), asm_csrrs(A0, MINSTRET, ZERO),
		  asm_csrrwi(ZERO, MCYCLE, 0), asm_csrrs(A1, MCYCLE, ZERO), asm_csrrw(ZERO, MCYCLE, A7),
		  asm_csrrwi(ZERO, MCYCLEH, 5), asm_nop(), asm_csrrs(A2, MCYCLE, ZERO),
		  asm_csrrs(A3, MCYCLEH, ZERO), asm_csrrs(A4, CYCLEH, ZERO), asm_csrrwi(ZERO, MINSTRETH, 7),
		  asm_csrrs(A5, INSTRETH, ZERO), ASM_WFI);
	cpu_set_register(core->cpu, A7, 0xfffffffd);
	core_run(core);
	assert_int_equal(core_reg(core, A0), 20);
	assert_int_equal(core_reg(core, A1), 0);
	/* 0xfffffffd after the write; mcycleh is written one cycle later; two more cycles carry into it */
	assert_int_equal(core_reg(core, A2), 0xffffffff);
	assert_int_equal(core_reg(core, A3), 6);
	assert_int_equal(core_reg(core, A4), 6);
	assert_int_equal(core_reg(core, A5), 7);
	assert_int_equal(core_instructions(core),
			 13); /* the simulator's own count is not the program's to change */
	core_free(core);
}

/* ---- interrupts ---------------------------------------------------------------------------------------------- */

static void test_cpu_interrupt_taken_with_cause_and_vector(void **state)
{
	(void)state;
	static const unsigned bits[] = {SOFTWARE, TIMER, EXTERNAL};
	struct core *core = core_new(NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		for (uint32_t vectored = 0; vectored < 2; vectored++) {
			CORE_LOAD(core, ENABLE_INTERRUPTS, asm_nop());
			prepare(core, vectored);
			core_steps(core, 3);
			cpu_set_interrupt(core->cpu, 0, bits[i], true);
			assert_int_equal(core_csr(core, MIP), 1u << bits[i]);
			core_put(core, HANDLER + (vectored ? 4 * bits[i] : 0), asm_nop());
			cpu_single_step(core->cpu);
			assert_int_equal(core_pc(core),
					 (uint32_t)TCM + HANDLER + (vectored ? 4 * bits[i] : 0) + 4);
			assert_int_equal(core_csr(core, MCAUSE), 0x80000000 | bits[i]);
			assert_int_equal(core_csr(core, MEPC), (uint32_t)TCM + 12);
			assert_int_equal(core_csr(core, MTVAL), 0);
			assert_int_equal(core_csr(core, MSTATUS), MSTATUS_MPP | MSTATUS_MPIE);
			assert_int_equal(cpu_stats(core->cpu, 0).interrupts, 1);
			assert_int_equal(cpu_stats(core->cpu, 0).traps, 0);
			cpu_set_interrupt(core->cpu, 0, bits[i], false);
		}
	}
	core_free(core);
}

static void test_cpu_exception_in_vectored_mode_goes_to_base(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, ENABLE_INTERRUPTS, ASM_ECALL);
	prepare(core, 1);
	core_steps(core, 4);
	assert_int_equal(core_pc(core), (uint32_t)TCM + HANDLER);
	core_free(core);
}

static void test_cpu_interrupt_priority_is_external_software_timer(void **state)
{
	(void)state;
	static const unsigned order[] = {EXTERNAL, SOFTWARE, TIMER};
	struct core *core = core_new(NULL, NULL);
	for (unsigned pending = 1; pending < 8; pending++) {
		CORE_LOAD(core, ENABLE_INTERRUPTS, asm_nop());
		core_put(core, HANDLER, asm_nop());
		prepare(core, 0);
		core_steps(core, 3);
		for (unsigned i = 0; i < 3; i++)
			cpu_set_interrupt(core->cpu, 0, order[i], pending >> i & 1);
		cpu_single_step(core->cpu);
		assert_int_equal(core_csr(core, MCAUSE), 0x80000000 | order[__builtin_ctz(pending)]);
		for (unsigned i = 0; i < 3; i++)
			cpu_set_interrupt(core->cpu, 0, order[i], false);
	}
	core_free(core);
}

static void test_cpu_interrupt_disabled_is_not_taken(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	for (uint32_t enables = 0; enables < 3; enables++) { /* bit 0 mstatus.MIE, bit 1 mie */
		CORE_LOAD(core, asm_csrrw(ZERO, MTVEC, S0), asm_csrrw(ZERO, MIE, S1),
			  asm_csrrwi(ZERO, MSTATUS, enables & 1 ? MSTATUS_MIE : 0), asm_nop(), asm_nop(),
			  asm_nop());
		prepare(core, 0);
		cpu_set_register(core->cpu, S1, enables & 2 ? 1u << TIMER : 1u << EXTERNAL);
		cpu_set_interrupt(core->cpu, 0, TIMER, true);
		core_steps(core, 6);
		assert_int_equal(core_pc(core), (uint32_t)TCM + 24);
		cpu_set_interrupt(core->cpu, 0, TIMER, false);
	}
	core_free(core);
}

/* A row of 4-byte instructions of one cycle each: an interrupt at time t is taken before the instruction that starts at
 * the first clock edge at or after t. */
static void test_cpu_interrupt_is_taken_at_the_right_instruction(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	for (uint64_t at_ps = 3000; at_ps < 20000; at_ps += 250) {
		CORE_LOAD(core, ENABLE_INTERRUPTS);
		for (uint32_t i = 0; i < 40; i++)
			core_put(core, 12 + 4 * i, asm_nop());
		core_put(core, HANDLER, asm_csrrw(ZERO, MIE, ZERO));
		core_put(core, HANDLER + 4, ASM_WFI);
		prepare(core, 0);
		const struct line_event events[] = {{at_ps, EXTERNAL, true}};
		core_play(core, events, 1, 100000);
		uint64_t taken_at = (at_ps + PERIOD_PS - 1) / PERIOD_PS;
		assert_int_equal(core_csr(core, MEPC), (uint32_t)TCM + 4 * taken_at);
		assert_int_equal(cpu_state(core->cpu), CPU_ASLEEP);
		/* 2 cycles to enter, then the two instructions of the handler */
		assert_int_equal(cpu_stats(core->cpu, 100000).cycles, taken_at + 2 + 2);
		cpu_set_interrupt(core->cpu, 100000, EXTERNAL, false);
	}
	core_free(core);
}

/* The instruction in progress is finished first. */
static void test_cpu_interrupt_during_division_waits_for_its_end(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	for (uint64_t at_ps = 4001; at_ps <= 38000; at_ps += 1001) {
		CORE_LOAD(core, ENABLE_INTERRUPTS, asm_nop(), asm_div(A0, A1, A2), asm_nop(), asm_nop());
		core_put(core, HANDLER, asm_csrrw(ZERO, MIE, ZERO));
		core_put(core, HANDLER + 4, ASM_WFI);
		prepare(core, 0);
		const struct line_event events[] = {{at_ps, TIMER, true}};
		core_play(core, events, 1, 100000);
		assert_int_equal(core_csr(core, MEPC),
				 (uint32_t)TCM + 20); /* div runs from 4000 to 38000 ps */
		assert_int_equal(cpu_stats(core->cpu, 100000).cycles, 38 + 2 + 2);
		cpu_set_interrupt(core->cpu, 100000, TIMER, false);
	}
	core_free(core);
}

static void test_cpu_interrupt_that_goes_away_is_not_taken(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	/* Up and down again during the division; and before interrupts are enabled. */
	CORE_LOAD(core, ENABLE_INTERRUPTS, asm_nop(), asm_div(A0, A1, A2), asm_nop(),
		  asm_csrrw(ZERO, MIE, ZERO), ASM_WFI);
	prepare(core, 0);
	const struct line_event events[] = {
		{500, EXTERNAL, true},
		{1500, EXTERNAL, false},
		{10000, EXTERNAL, true},
		{20000, EXTERNAL, false},
	};
	core_play(core, events, ARRAY_SIZE(events), 100000);
	assert_int_equal(cpu_stats(core->cpu, 100000).interrupts, 0);
	assert_int_equal(core_pc(core), (uint32_t)TCM + 32);
	core_free(core);
}

static void test_cpu_interrupt_pending_when_enabled_is_taken_next(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, ENABLE_INTERRUPTS, asm_nop());
	core_put(core, HANDLER, asm_csrrw(ZERO, MIE, ZERO));
	core_put(core, HANDLER + 4, ASM_WFI);
	prepare(core, 0);
	const struct line_event events[] = {{100, SOFTWARE, true}};
	core_play(core, events, 1, 50000);
	assert_int_equal(core_csr(core, MEPC), (uint32_t)TCM + 12);
	core_free(core);
}

/* The handler saves mepc, enables interrupts again and is interrupted by another source; both return. */
static void test_cpu_nested_interrupts_return_in_order(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, ENABLE_INTERRUPTS);
	for (uint32_t i = 0; i < 60; i++)
		core_put(core, 12 + 4 * i, asm_addi(A0, A0, 1));
	core_put(core, 12 + 4 * 60, ASM_WFI);
	const uint32_t software = HANDLER + 4 * SOFTWARE, external = HANDLER + 4 * EXTERNAL;
	core_put(core, software, asm_jal(ZERO, 0x100));
	core_put(core, external, asm_jal(ZERO, 0x200));
	const uint32_t outer[] = {asm_csrrs(T0, MEPC, ZERO),
				  asm_sw(ZERO, S2, 0), /* lowers the software line, by the bus below */
				  asm_csrrsi(ZERO, MSTATUS, MSTATUS_MIE),
				  asm_addi(A1, A1, 1),
				  asm_addi(A1, A1, 1),
				  asm_addi(A1, A1, 1),
				  asm_addi(A1, A1, 1),
				  asm_csrrci(ZERO, MSTATUS, MSTATUS_MIE),
				  asm_csrrw(ZERO, MEPC, T0),
				  ASM_MRET};
	for (uint32_t i = 0; i < ARRAY_SIZE(outer); i++)
		core_put(core, software + 0x100 + 4 * i, outer[i]);
	core_put(core, external + 0x200, asm_addi(A2, A1, 0)); /* how far the outer one had come */
	core_put(core, external + 0x204, asm_csrrw(ZERO, MIE, ZERO));
	core_put(core, external + 0x208, ASM_MRET);
	prepare(core, 1);
	cpu_set_register(core->cpu, S2, REGS);
	/* 10 additions; the interrupt at 13 ns costs 2, jal 1, csrrs 1, sw 2, csrrsi 1, then A1 counts from 20 ns on. */
	const struct line_event events[] = {
		{13000, SOFTWARE, true},
		{18000, SOFTWARE, false},
		{22000, EXTERNAL, true},
	};
	core_play(core, events, ARRAY_SIZE(events), 500000);
	assert_int_equal(core_reg(core, A2), 2);
	assert_int_equal(core_reg(core, A1), 4);
	assert_int_equal(core_reg(core, A0), 60);
	assert_int_equal(cpu_stats(core->cpu, 500000).interrupts, 2);
	assert_int_equal(core_csr(core, MSTATUS), MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_MIE);
	assert_int_equal(core->accesses, 1);
	assert_int_equal(core->log[0].at_ps, 17000);
	core_free(core);
}

/* ---- wfi -------------------------------------------------------------------------------------------------------- */

static void test_cpu_wfi_wakes_at_next_edge(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	for (uint64_t at_ps = 4000; at_ps < 9000; at_ps += 125) {
		CORE_LOAD(core, asm_csrrw(ZERO, MIE, S1), asm_nop(), ASM_WFI, asm_sw(ZERO, S2, 0), ASM_WFI);
		cpu_set_register(core->cpu, S1, 1u << EXTERNAL);
		cpu_set_register(core->cpu, S2, REGS);
		core->accesses = 0;
		const struct line_event events[] = {{at_ps, EXTERNAL, true}};
		core_play(core, events, 1, 10000);
		/* wfi takes the cycle from 2 to 3 ns; sleep begins at 3 ns. */
		uint64_t woken = (at_ps + PERIOD_PS - 1) / PERIOD_PS;
		assert_int_equal(core->accesses, 1);
		assert_int_equal(core->log[0].at_ps, woken * PERIOD_PS);
		struct cpu_stats stats = cpu_stats(core->cpu, woken * PERIOD_PS);
		assert_int_equal(stats.cycles, 3);
		assert_int_equal(stats.asleep_cycles, woken - 3);
		cpu_set_interrupt(core->cpu, 10001, EXTERNAL, false);
	}
	core_free(core);
}

static void test_cpu_wfi_with_pending_interrupt_does_not_sleep(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, asm_csrrw(ZERO, MIE, S1), ASM_WFI, asm_addi(A0, ZERO, 1), asm_csrrw(ZERO, MIE, ZERO),
		  ASM_WFI);
	cpu_set_register(core->cpu, S1, 1u << TIMER);
	const struct line_event events[] = {{0, TIMER, true}};
	core_play(core, events, 1, 10000);
	assert_int_equal(core_reg(core, A0), 1);
	assert_int_equal(core_pc(core), (uint32_t)TCM + 20);
	assert_int_equal(cpu_stats(core->cpu, 5000).asleep_cycles, 0);
	assert_int_equal(cpu_state(core->cpu), CPU_ASLEEP);
	core_free(core);
}

static void test_cpu_wfi_is_woken_by_enabled_lines_only(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, asm_csrrw(ZERO, MIE, S1), ASM_WFI, asm_addi(A0, ZERO, 1), asm_csrrw(ZERO, MIE, ZERO),
		  ASM_WFI);
	cpu_set_register(core->cpu, S1, 1u << TIMER);
	const struct line_event events[] = {
		{5000, EXTERNAL, true},
		{6000, SOFTWARE, true},
		{7000, TIMER, false},
		{8000, TIMER, true},
	};
	core_play(core, events, 3, 7999);
	assert_int_equal(cpu_state(core->cpu), CPU_ASLEEP);
	assert_int_equal(core_reg(core, A0), 0);
	assert_int_equal(cpu_stats(core->cpu, 7999).asleep_cycles, 5);
	core_play(core, events + 3, 1, 20000);
	assert_int_equal(core_reg(core, A0), 1);
	core_free(core);
}

static void test_cpu_wfi_with_interrupts_on_traps_behind_it(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, ENABLE_INTERRUPTS, ASM_WFI, asm_nop());
	core_put(core, HANDLER, asm_csrrw(ZERO, MIE, ZERO));
	core_put(core, HANDLER + 4, ASM_WFI);
	prepare(core, 0);
	const struct line_event events[] = {{7300, EXTERNAL, true}};
	core_play(core, events, 1, 50000);
	assert_int_equal(core_csr(core, MEPC), (uint32_t)TCM + 16);
	/* awake 0 to 4, asleep 4 to 8, interrupt 2, two instructions */
	struct cpu_stats stats = cpu_stats(core->cpu, 12000);
	assert_int_equal(stats.cycles, 8);
	assert_int_equal(stats.asleep_cycles, 4);
	core_free(core);
}

static void test_cpu_reset_keeps_line_levels(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	cpu_set_interrupt(core->cpu, 0, EXTERNAL, true);
	CORE_LOAD(core, asm_csrrs(A0, MIP, ZERO), ASM_WFI);
	core_run(core);
	assert_int_equal(core_reg(core, A0), 1 << EXTERNAL);
	core_free(core);
}

/* ---- dead ends -------------------------------------------------------------------------------------------------- */

static void test_cpu_trap_in_first_instruction_of_handler_is_stuck(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	static const uint32_t handlers[] = {0xffffffff, ASM_ECALL, ASM_EBREAK, 0x00002003 /* lw x0, 0(x0) */};
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
		CORE_LOAD(core, ENABLE_INTERRUPTS, ASM_ECALL);
		core_put(core, HANDLER, handlers[i]);
		prepare(core, 0);
		core_run(core);
		assert_int_equal(cpu_state(core->cpu), CPU_STUCK);
		assert_int_equal(core_csr(core, MEPC), (uint32_t)TCM + HANDLER);
		assert_int_equal(cpu_step(core->cpu, 1000000, TIME_NEVER_PS), TIME_NEVER_PS);
	}
	CORE_LOAD(core, ASM_ECALL); /* mtvec is 0, where there is no memory */
	core_run(core);
	assert_int_equal(cpu_state(core->cpu), CPU_STUCK);
	assert_int_equal(core_csr(core, MCAUSE), 1);
	core_free(core);
}

static void test_cpu_trap_later_in_handler_is_not_stuck(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, asm_csrrw(ZERO, MTVEC, S0), ASM_ECALL);
	core_put(core, HANDLER, asm_addi(A0, A0, 1));
	core_put(core, HANDLER + 4, asm_addi(A1, A0, -3));
	core_put(core, HANDLER + 8, asm_beq(A1, ZERO, 8));
	core_put(core, HANDLER + 12, ASM_ECALL);
	core_put(core, HANDLER + 16, ASM_WFI);
	prepare(core, 0);
	core_run(core);
	assert_int_equal(cpu_state(core->cpu), CPU_ASLEEP);
	assert_int_equal(core_reg(core, A0), 3);
	core_free(core);
}

static void test_cpu_jump_to_itself_is_stuck_unless_interruptible(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, asm_nop(), asm_jal(ZERO, 0));
	core_run(core);
	assert_int_equal(cpu_state(core->cpu), CPU_STUCK);
	assert_int_equal(core_pc(core), (uint32_t)TCM + 4);

	CORE_LOAD(core, 0xa001a001 /* c.j to itself */);
	core_run(core);
	assert_int_equal(cpu_state(core->cpu), CPU_STUCK);

	CORE_LOAD(core, ENABLE_INTERRUPTS, asm_jal(RA, 0));
	core_put(core, HANDLER, asm_csrrw(ZERO, MIE, ZERO));
	core_put(core, HANDLER + 4, ASM_WFI);
	prepare(core, 0);
	const struct line_event events[] = {{1000001, EXTERNAL, true}};
	core_play(core, events, 1, 2000000);
	assert_int_equal(cpu_state(core->cpu), CPU_ASLEEP);
	assert_int_equal(core_csr(core, MEPC), (uint32_t)TCM + 12);
	assert_int_equal(core_reg(core, RA), (uint32_t)TCM + 16);
	/* A round takes a cycle: the first to begin after 1000.001 ns begins at 1001 ns. */
	assert_int_equal(core_csr(core, MCYCLE), 1001 + 2 + 2);
	core_free(core);
}

static void test_cpu_halt_stops_the_core(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, asm_addi(A0, A0, 1), asm_jal(ZERO, -4));
	cpu_step(core->cpu, 0, TIME_NEVER_PS);
	cpu_halt(core->cpu);
	uint32_t count = core_reg(core, A0);
	assert_int_equal(cpu_step(core->cpu, 1000000000, TIME_NEVER_PS), TIME_NEVER_PS);
	cpu_single_step(core->cpu);
	assert_int_equal(core_reg(core, A0), count);
	assert_int_equal(cpu_state(core->cpu), CPU_HALTED);
	core_free(core);
}

static unsigned count_of(const char *text, const char *wanted)
{
	unsigned n = 0;
	size_t length = strlen(wanted);
	for (; *text; text++)
		n += strncmp(text, wanted, length) == 0;
	return n;
}

/* The caller frees. */
static char *dump_of(const struct core *core)
{
	char *text = calloc(1, 4096);
	FILE *out = fmemopen(text, 4095, "w");
	assert_non_null(out);
	cpu_dump(core->cpu, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void test_cpu_dump_shows_state_registers_and_transfers(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	CORE_LOAD(core, asm_lui(A0, 0x12345000), asm_jal(ZERO, 16), 0, 0, 0, asm_jal(ZERO, 0));
	core_run(core);
	char *text = dump_of(core);
	assert_non_null(strstr(text, "stuck at pc 80000014"));
	assert_non_null(strstr(text, "a0   12345000"));
	assert_non_null(strstr(text, "mcause"));
	assert_non_null(strstr(text, "80000004 -> 80000014"));
	assert_int_equal(count_of(text, " -> "), 1);
	free(text);
	core_free(core);
}

static void test_cpu_dump_shows_the_last_16_transfers(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	/* a jump, 30 rounds of a loop, an exception */
	CORE_LOAD(core, asm_jal(ZERO, 8), 0, asm_addi(A0, ZERO, 30), asm_addi(A0, A0, -1),
		  asm_bne(A0, ZERO, -4), ASM_ECALL);
	core_run(core);
	char *text = dump_of(core);
	assert_int_equal(count_of(text, " -> "), 16);
	assert_int_equal(count_of(text, "80000010 -> 8000000c"), 14);
	assert_non_null(
		strstr(text, "80000010 -> 8000000c\n  80000014 -> 00000000\n  00000000 -> 00000000\n"));
	free(text);
	core_free(core);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpu_exception_reports_cause_value_and_address),
		cmocka_unit_test(test_cpu_fetch_outside_memory_faults_at_target),
		cmocka_unit_test(test_cpu_mret_restores_interrupt_enable),
		cmocka_unit_test(test_cpu_csr_numbers_that_do_not_exist_are_illegal),
		cmocka_unit_test(test_cpu_csr_write_to_read_only_is_illegal_in_every_form),
		cmocka_unit_test(test_cpu_csr_write_keeps_legal_bits_only),
		cmocka_unit_test(test_cpu_counters_count_before_the_reading_instruction),
		cmocka_unit_test(test_cpu_counter_write_takes_effect_after_the_instruction),
		cmocka_unit_test(test_cpu_interrupt_taken_with_cause_and_vector),
		cmocka_unit_test(test_cpu_exception_in_vectored_mode_goes_to_base),
		cmocka_unit_test(test_cpu_interrupt_priority_is_external_software_timer),
		cmocka_unit_test(test_cpu_interrupt_disabled_is_not_taken),
		cmocka_unit_test(test_cpu_interrupt_is_taken_at_the_right_instruction),
		cmocka_unit_test(test_cpu_interrupt_during_division_waits_for_its_end),
		cmocka_unit_test(test_cpu_interrupt_that_goes_away_is_not_taken),
		cmocka_unit_test(test_cpu_interrupt_pending_when_enabled_is_taken_next),
		cmocka_unit_test(test_cpu_nested_interrupts_return_in_order),
		cmocka_unit_test(test_cpu_wfi_wakes_at_next_edge),
		cmocka_unit_test(test_cpu_wfi_with_pending_interrupt_does_not_sleep),
		cmocka_unit_test(test_cpu_wfi_is_woken_by_enabled_lines_only),
		cmocka_unit_test(test_cpu_wfi_with_interrupts_on_traps_behind_it),
		cmocka_unit_test(test_cpu_reset_keeps_line_levels),
		cmocka_unit_test(test_cpu_trap_in_first_instruction_of_handler_is_stuck),
		cmocka_unit_test(test_cpu_trap_later_in_handler_is_not_stuck),
		cmocka_unit_test(test_cpu_jump_to_itself_is_stuck_unless_interruptible),
		cmocka_unit_test(test_cpu_halt_stops_the_core),
		cmocka_unit_test(test_cpu_dump_shows_state_registers_and_transfers),
		cmocka_unit_test(test_cpu_dump_shows_the_last_16_transfers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
