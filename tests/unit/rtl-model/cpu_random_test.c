/* Random programs on three machines: the simulator running freely, the simulator an instruction at a time, and the
 * reference interpreter. Registers, CSRs, memory, instruction counts and, of the two simulators, cycles must agree. */
#include "tests/unit/rtl-model/cpu_fixture.h"
#include "tests/unit/rtl-model/cpu_reference.h"

/* The RTL core takes longer, with assertions and coverage much longer; core_lockstep_test runs more of its kind. */
#ifdef CORE_RTL
enum { PROGRAMS = 30, PROGRAMS_OF_BITS = 10, STEP_16 = 13 };
#else
enum { PROGRAMS = 400, PROGRAMS_OF_BITS = 300, STEP_16 = 1 };
#endif

enum {
	CODE_BYTES = 0x4000,
	HANDLER = 0x7000,
	DATA = 0x8000,
	CYCLES = 2 * CPU_RUN_AHEAD_CYCLES,
};

struct machines {
	struct core *running, *stepping;
	struct reference reference;
	uint8_t tcm[TCM_BYTES], sram[SRAM_BYTES]; /* the reference's */
	bool written[TCM_BYTES];
	uint64_t seed;
	struct rng rng;
	unsigned stale;
};

static uint32_t pick(struct machines *m, uint32_t bound)
{
	return (uint32_t)rng_below(&m->rng, bound);
}

/* ---- set-up ------------------------------------------------------------------------------------------------ */

/* Steps over the instruction that trapped, whatever its length; after a jump to where there is no memory, goes on
 * somewhere in the first 2 KiB. Uses x6 and x7. */
static void put_handler(struct machines *m)
{
	const uint32_t code[] = {
		asm_csrrs(T1, MCAUSE, ZERO),
		asm_addi(T1, T1, -1),
		asm_bne(T1, ZERO, 24),
		asm_csrrs(T1, INSTRET, ZERO),
		asm_i(0x7fe, T1, 7, T1, 0x13), /* andi */
		asm_lui(T2, (uint32_t)TCM),
		asm_add(T1, T1, T2),
		asm_jal(ZERO, 36),
		/* 32: not a fetch fault */
		asm_csrrs(T1, MEPC, ZERO),
		asm_i(0, T1, 5, T2, 0x03), /* lhu */
		asm_i(3, T2, 7, T2, 0x13), /* andi */
		asm_addi(T2, T2, -3),
		asm_beq(T2, ZERO, 12),
		asm_addi(T1, T1, 2),
		asm_jal(ZERO, 8),
		asm_addi(T1, T1, 4),
		/* 64 */
		asm_csrrw(ZERO, MEPC, T1),
		ASM_MRET,
	};
	for (uint32_t i = 0; i < ARRAY_SIZE(code); i++)
		store_le32(m->tcm + HANDLER + 4 * i, code[i]);
}

static void set_register(struct machines *m, unsigned index, uint32_t value)
{
	cpu_set_register(m->running->cpu, index, value);
	cpu_set_register(m->stepping->cpu, index, value);
	m->reference.x[index] = value;
}

/* Copies the memories to all three, resets, and sets mtvec by executing one instruction everywhere. */
static void start(struct machines *m)
{
	struct core *cores[] = {m->running, m->stepping};
	store_le32(m->tcm, asm_csrrw(ZERO, MTVEC, T0));
	for (size_t i = 0; i < 2; i++) {
		memcpy(cores[i]->tcm, m->tcm, TCM_BYTES);
		memcpy(cores[i]->sram, m->sram, SRAM_BYTES);
		cpu_reset(cores[i]->cpu, 0, (uint32_t)TCM);
	}
	memset(m->written, 0, sizeof(m->written));
	m->reference = (struct reference){
		.pc = (uint32_t)TCM,
		.tcm = {(uint32_t)TCM, TCM_BYTES, m->tcm},
		.sram = {SRAM, SRAM_BYTES, m->sram},
		.written = m->written,
	};
	for (unsigned i = 1; i < 32; i++)
		set_register(m, i, (uint32_t)rng_u64(&m->rng));
	set_register(m, T0, (uint32_t)TCM + HANDLER);
	set_register(m, SP, (uint32_t)TCM + DATA + 4 * pick(m, 1000));
	set_register(m, GP, (uint32_t)TCM + DATA + 2048);
	set_register(m, TP, SRAM + 2048);
	set_register(m, A5, (uint32_t)TCM + DATA + 4 * pick(m, 1000));
}

/* ---- running and comparing --------------------------------------------------------------------------- */

static void run_freely(struct machines *m)
{
	struct cpu *cpu = m->running->cpu;
	while (cpu_state(cpu) == CPU_RUNNING && core_cycles(m->running) < CYCLES) {
		uint64_t now_ps = cpu_time_ps(cpu);
		uint64_t limit_ps = pick(m, 4) ? now_ps + pick(m, 100000) : TIME_NEVER_PS;
		cpu_step(cpu, now_ps, limit_ps);
	}
}

/* Steps simulator and reference to where the free run has come. False if the program ran into code it had changed. */
static bool step_alongside(struct machines *m)
{
	struct cpu *cpu = m->stepping->cpu;
	struct reference *ref = &m->reference;
	uint64_t end_ps = cpu_time_ps(m->running->cpu);
	bool to_the_end = cpu_state(m->running->cpu) != CPU_RUNNING;
	while (cpu_state(cpu) == CPU_RUNNING && (cpu_time_ps(cpu) < end_ps || to_the_end)) {
		ref->cycles_before = core_cycles(m->stepping);
		cpu_single_step(cpu);
		ref->cycles_after = core_cycles(m->stepping);
		if (ref->cycles_after == ref->cycles_before)
			break; /* stuck in a jump to itself, which is not executed */
		if (reference_step(ref) == REFERENCE_STALE)
			return false;
		if (core_pc(m->stepping) != ref->pc)
			fail_msg("seed %llu: after %llu instructions pc is %#x, not %#x",
				 (unsigned long long)m->seed, (unsigned long long)ref->instret,
				 core_pc(m->stepping), ref->pc);
	}
	return true;
}

static void compare_with_reference(const struct machines *m)
{
	const struct core *core = m->stepping;
	const struct reference *ref = &m->reference;
	const struct {
		unsigned number;
		uint32_t want;
	} csrs[] = {
		{MSTATUS, ref->mstatus | 0x1800},
		{MIE, ref->mie},
		{MTVEC, ref->mtvec},
		{MSCRATCH, ref->mscratch},
		{MEPC, ref->mepc},
		{MCAUSE, ref->mcause},
		{MTVAL, ref->mtval},
		{MINSTRET, (uint32_t)(ref->instret + ref->minstret_offset)},
	};
	for (unsigned i = 0; i < 32; i++)
		if (core_reg(core, i) != ref->x[i])
			fail_msg("seed %llu: x%u is %#x, not %#x", (unsigned long long)m->seed, i,
				 core_reg(core, i), ref->x[i]);
	for (size_t i = 0; i < ARRAY_SIZE(csrs); i++)
		assert_int_equal(core_csr(core, csrs[i].number), csrs[i].want);
	assert_int_equal(core_instructions(core), ref->instret);
	assert_memory_equal(core->tcm, m->tcm, TCM_BYTES);
	assert_memory_equal(core->sram, m->sram, SRAM_BYTES);
}

static void compare_simulators(const struct machines *m)
{
	const struct core *a = m->running, *b = m->stepping;
	struct cpu_stats sa = cpu_stats(a->cpu, cpu_time_ps(a->cpu)),
			 sb = cpu_stats(b->cpu, cpu_time_ps(b->cpu));
	assert_int_equal(cpu_state(a->cpu), cpu_state(b->cpu));
	for (unsigned i = 0; i <= 32; i++)
		assert_int_equal(core_reg(a, i), core_reg(b, i));
	assert_memory_equal(&sa, &sb, sizeof(sa));
	assert_memory_equal(a->tcm, b->tcm, TCM_BYTES);
	assert_memory_equal(a->sram, b->sram, SRAM_BYTES);
}

static void run_one(struct machines *m)
{
	run_freely(m);
	if (!step_alongside(m)) {
		m->stale++;
		return;
	}
	compare_simulators(m);
	compare_with_reference(m);
}

/* ---- programs from instruction templates --------------------------------------------------------------- */

struct writer {
	struct machines *m;
	uint32_t at;
};

static void put16(struct writer *w, uint32_t half)
{
	store_le16(w->m->tcm + w->at, (uint16_t)half);
	w->at += 2;
}

static void put32(struct writer *w, uint32_t word)
{
	store_le32(w->m->tcm + w->at, word);
	w->at += 4;
}

/* Any register but those the frame of the program needs. */
static uint32_t pick_rd(struct writer *w)
{
	uint32_t rd;
	do {
		rd = pick(w->m, 32);
	} while (rd == GP || rd == TP || rd == T0 || rd == SP);
	return rd;
}

static uint32_t any_register(struct writer *w)
{
	return pick(w->m, 32);
}
static int32_t any_imm12(struct writer *w)
{
	return (int32_t)pick(w->m, 4096) - 2048;
}

static void put_register_operation(struct writer *w)
{
	static const uint32_t funct7s[] = {0, 1, 1, 32};
	uint32_t funct7 = funct7s[pick(w->m, 4)];
	uint32_t funct3 = funct7 == 32 ? 5 * pick(w->m, 2) : pick(w->m, 8);
	put32(w, asm_r(funct7, any_register(w), any_register(w), funct3, pick_rd(w), 0x33));
}

static void put_immediate_operation(struct writer *w)
{
	uint32_t funct3 = pick(w->m, 8);
	int32_t imm = any_imm12(w);
	if (funct3 == 1)
		imm &= 31;
	if (funct3 == 5)
		imm = (imm & 31) | (pick(w->m, 2) ? 0x400 : 0);
	put32(w, asm_i(imm, any_register(w), funct3, pick_rd(w), 0x13));
}

static void put_upper(struct writer *w)
{
	uint32_t upper = (uint32_t)rng_u64(&w->m->rng);
	put32(w, pick(w->m, 2) ? asm_lui(pick_rd(w), upper) : asm_auipc(pick_rd(w), upper));
}

/* Mostly aligned, so that programs do not consist of traps. */
static void put_memory_access(struct writer *w)
{
	static const uint32_t load_kinds[] = {0, 1, 2, 4, 5};
	uint32_t base = pick(w->m, 3) ? GP : TP;
	int32_t imm = any_imm12(w);
	if (pick(w->m, 16))
		imm &= -4;
	if (pick(w->m, 2))
		put32(w, asm_i(imm, base, load_kinds[pick(w->m, 5)], pick_rd(w), 0x03));
	else
		put32(w, asm_s(imm, any_register(w), base, pick(w->m, 3)));
}

static void put_compressed(struct writer *w)
{
	uint32_t random = (uint32_t)rng_u64(&w->m->rng);
	switch (pick(w->m, 8)) {
	case 0: put16(w, 0x8001 | (random & 0x1ffc)); break;                   /* arithmetic on x8 to x15 */
	case 1: put16(w, 0x0001 | pick_rd(w) << 7 | (random & 0x107c)); break; /* c.addi */
	case 2: put16(w, 0x4001 | pick_rd(w) << 7 | (random & 0x107c)); break; /* c.li */
	case 3: put16(w, 0x6001 | pick_rd(w) << 7 | (random & 0x107c)); break; /* c.lui */
	case 4: put16(w, 0x0002 | pick_rd(w) << 7 | (random & 0x007c)); break; /* c.slli */
	case 5: put16(w, 0x0000 | (random & 0x1ffc)); break;                   /* c.addi4spn */
	case 6: put16(w, 0xc002 | (random & 0x1ffc)); break;                   /* c.swsp */
	case 7: put16(w, 0x4002 | pick_rd(w) << 7 | (random & 0x107c)); break; /* c.lwsp */
	}
}

static void put_csr(struct writer *w)
{
	static const uint32_t numbers[] = {MSCRATCH, MSCRATCH, MTVAL,   MCAUSE,   MINSTRET, MINSTRETH, MCYCLE,
					   MCYCLEH,  CYCLE,    INSTRET, INSTRETH, MISA,     MIP,       0x123};
	static const uint32_t kinds[] = {1, 2, 3, 5, 6, 7};
	put32(w, asm_csr(kinds[pick(w->m, 6)], pick_rd(w), numbers[pick(w->m, ARRAY_SIZE(numbers))],
			 pick(w->m, 2) ? any_register(w) : 0));
}

static void put_system(struct writer *w)
{
	static const uint32_t words[] = {ASM_ECALL, ASM_EBREAK, ASM_FENCE, ASM_FENCE_I, 0xffffffff};
	put32(w, words[pick(w->m, ARRAY_SIZE(words))]);
}

static void put_plain(struct writer *w)
{
	uint32_t kind = pick(w->m, 64);
	if (kind < 18)
		put_register_operation(w);
	else if (kind < 30)
		put_immediate_operation(w);
	else if (kind < 34)
		put_upper(w);
	else if (kind < 46)
		put_memory_access(w);
	else if (kind < 60)
		put_compressed(w);
	else if (kind < 63)
		put_csr(w);
	else
		put_system(w);
}

/* A forward transfer over a few instructions: branch, jal, or auipc and jalr. */
static void put_skip(struct writer *w)
{
	static const uint32_t conditions[] = {0, 1, 4, 5, 6, 7};
	uint32_t kind = pick(w->m, 4), from = w->at;
	w->at += kind == 3 ? 8 : 4;
	for (uint32_t n = pick(w->m, 5); n; n--)
		put_plain(w);
	uint32_t end = w->at;
	int32_t offset = (int32_t)(end - from);
	w->at = from;
	if (kind < 2) {
		put32(w, asm_branch(conditions[pick(w->m, 6)], any_register(w), any_register(w), offset));
	} else if (kind == 2) {
		put32(w, asm_jal(pick_rd(w), offset));
	} else {
		put32(w, asm_auipc(T1, 0));
		put32(w, asm_jalr(pick_rd(w), T1, offset | (int32_t)pick(w->m, 2)));
	}
	w->at = end;
}

/* A block executed 1 to 20 times, with T0 as the counter. */
static void put_loop(struct writer *w)
{
	put32(w, asm_addi(T0, ZERO, 1 + (int32_t)pick(w->m, 20)));
	uint32_t top = w->at;
	for (uint32_t n = 1 + pick(w->m, 12); n; n--) {
		if (pick(w->m, 8) == 0)
			put_skip(w);
		else
			put_plain(w);
	}
	put32(w, asm_addi(T0, T0, -1));
	put32(w, asm_bne(T0, ZERO, (int32_t)(top - w->at)));
}

static void test_cpu_random_program_agrees_with_reference(void **state)
{
	struct machines *m = *state;
	uint64_t first = test_seed(1);
	uint64_t instructions = 0;
	m->stale = 0;
	for (m->seed = first; m->seed < first + PROGRAMS; m->seed++) {
		rng_seed(&m->rng, m->seed, 1);
		for (size_t i = 0; i < TCM_BYTES; i++)
			m->tcm[i] =
				i < SRAM_BYTES ? (m->sram[i] = (uint8_t)rng_u64(&m->rng)) : (uint8_t)(i * 7);
		put_handler(m);
		struct writer w = {m, 4};
		for (uint32_t loops = 1 + pick(m, 40); loops; loops--)
			put_loop(&w);
		put32(&w, ASM_WFI);
		assert_true(w.at < CODE_BYTES);
		start(m);
		run_one(m);
		assert_int_equal(cpu_state(m->running->cpu), CPU_ASLEEP); /* it came to its end */
		instructions += core_instructions(m->running);
	}
	assert_int_equal(m->stale, 0);
	assert_true(instructions > PROGRAMS * 500);
}

/* ---- programs of random bits ------------------------------------------------------------------------------- */

static void test_cpu_random_bits_agree_with_reference(void **state)
{
	struct machines *m = *state;
	static const uint8_t opcodes[] = {0x03, 0x13, 0x13, 0x17, 0x23, 0x33, 0x33,
					  0x37, 0x63, 0x67, 0x6f, 0x73, 0x0f};
	uint64_t first = test_seed(1000);
	m->stale = 0;
	for (m->seed = first; m->seed < first + PROGRAMS_OF_BITS; m->seed++) {
		rng_seed(&m->rng, m->seed, 2);
		for (size_t i = 0; i < TCM_BYTES; i += 2) {
			uint16_t half = (uint16_t)rng_u64(&m->rng);
			if (pick(m, 3) == 0)
				half = (uint16_t)((half & 0xff80) | opcodes[pick(m, ARRAY_SIZE(opcodes))]);
			store_le16(m->tcm + i, half);
		}
		for (size_t i = 0; i < SRAM_BYTES; i++)
			m->sram[i] = (uint8_t)rng_u64(&m->rng);
		put_handler(m);
		start(m);
		run_one(m);
	}
	assert_true(m->stale < PROGRAMS_OF_BITS / 2);
}

/* ---- every 16-bit encoding ------------------------------------------------------------------------------------ */

static void test_cpu_every_16_bit_encoding_agrees_with_reference(void **state)
{
	struct machines *m = *state;
	memset(m->tcm, 0, TCM_BYTES);
	put_handler(m);
	for (uint32_t half = 0; half < 0x10000; half += STEP_16) {
		if ((half & 3) == 3)
			continue;
		m->seed = half;
		rng_seed(&m->rng, half, 3);
		m->reference = (struct reference){
			.pc = (uint32_t)TCM + 0x1000,
			.tcm = {(uint32_t)TCM, TCM_BYTES, m->tcm},
			.sram = {SRAM, SRAM_BYTES, m->sram},
			.written = m->written,
		};
		store_le16(m->tcm + 0x1000, (uint16_t)half);
		store_le16(m->stepping->tcm + 0x1000, (uint16_t)half);
		cpu_reset(m->stepping->cpu, 0, (uint32_t)TCM + 0x1000);
		for (unsigned i = 1; i < 32; i++) {
			uint32_t value = (uint32_t)TCM + 0x2000 + 4 * pick(m, 0x1000);
			cpu_set_register(m->stepping->cpu, i, value);
			m->reference.x[i] = value;
		}
		cpu_single_step(m->stepping->cpu);
		if (core_cycles(m->stepping) != 0)
			reference_step(&m->reference);
		else
			assert_true(half == 0xa001 || half == 0x2001); /* c.j, c.jal to themselves */
		memset(m->written, 0, sizeof(m->written));
		assert_int_equal(core_pc(m->stepping), m->reference.pc);
		for (unsigned i = 0; i < 32; i++)
			assert_int_equal(core_reg(m->stepping, i), m->reference.x[i]);
		assert_int_equal(core_csr(m->stepping, MCAUSE), m->reference.mcause);
		assert_int_equal(core_csr(m->stepping, MTVAL), m->reference.mtval);
		assert_int_equal(core_instructions(m->stepping), m->reference.instret);
	}
}

static int set_up(void **state)
{
	static const struct cpu_bus no_registers;
	struct machines *m = calloc(1, sizeof(*m));
	m->running = core_new(NULL, &no_registers);
	m->stepping = core_new(NULL, &no_registers);
	*state = m;
	return 0;
}

static int tear_down(void **state)
{
	struct machines *m = *state;
	core_free(m->running);
	core_free(m->stepping);
	free(m);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cpu_random_program_agrees_with_reference, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_cpu_random_bits_agree_with_reference, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cpu_every_16_bit_encoding_agrees_with_reference, set_up,
						tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
