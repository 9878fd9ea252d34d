/* The host-target interface, and whole programs that end through it. */
#include "tests/unit/rtl-model/cpu_fixture.h"

enum {
	TOHOST = (int)0x80002000,
	FROMHOST = (int)0x80002040,
	BLOCK = (int)0x80003000, /* of a system call */
	TEXT = (int)0x80004000,
};

struct console {
	FILE *file;
	char *text;
	size_t size;
};

static struct console *console_open(void)
{
	struct console *c = calloc(1, sizeof(*c));
	c->file = open_memstream(&c->text, &c->size);
	assert_non_null(c->file);
	return c;
}

static const char *console_text(struct console *c)
{
	fflush(c->file);
	return c->text;
}

static void console_free(struct console *c)
{
	fclose(c->file);
	free(c->text);
	free(c);
}

static uint8_t *tcm_at(struct core *core, uint32_t address)
{
	return core->tcm + (address - (uint32_t)TCM);
}

/* Executes one store of `value` to tohost, the next word being `high`. */
static void send(struct core *core, uint32_t tohost, uint32_t high, uint32_t value)
{
	CORE_LOAD(core, asm_sw(A1, A0, 0), ASM_WFI);
	if (tohost + 8 <= (uint32_t)TCM + TCM_BYTES)
		store_le32(tcm_at(core, tohost + 4), high);
	cpu_set_register(core->cpu, A0, tohost);
	cpu_set_register(core->cpu, A1, value);
	core_run(core);
}

static void test_htif_odd_value_halts_with_exit_code(void **state)
{
	(void)state;
	static const uint32_t codes[] = {0, 1, 42, 0x7fffffff};
	struct core *core = core_new(NULL, NULL);
	cpu_set_htif(core->cpu, (uint32_t)TOHOST, 0, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		send(core, (uint32_t)TOHOST, 0, codes[i] << 1 | 1);
		assert_int_equal(cpu_state(core->cpu), CPU_HALTED);
		assert_int_equal(cpu_exit_code(core->cpu), codes[i]);
		assert_int_equal(load_le32(tcm_at(core, (uint32_t)TOHOST)), codes[i] << 1 | 1);
		assert_int_equal(core_instructions(core), 1);
	}
	core_free(core);
}

static void test_htif_zero_and_other_words_do_nothing(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	cpu_set_htif(core->cpu, (uint32_t)TOHOST, (uint32_t)FROMHOST, NULL);
	send(core, (uint32_t)TOHOST, 0, 0);
	assert_int_equal(cpu_state(core->cpu), CPU_ASLEEP);
	assert_int_equal(load_le32(tcm_at(core, (uint32_t)FROMHOST)), 0);
	send(core, (uint32_t)TOHOST + 4, 0, 1);
	assert_int_equal(cpu_state(core->cpu), CPU_ASLEEP);
	cpu_set_htif(core->cpu, 0, 0, NULL);
	send(core, (uint32_t)TOHOST, 0, 1);
	assert_int_equal(cpu_state(core->cpu), CPU_ASLEEP);
	core_free(core);
}

static void test_htif_character_goes_to_console_and_is_acknowledged(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	struct console *console = console_open();
	cpu_set_htif(core->cpu, (uint32_t)TOHOST, (uint32_t)FROMHOST, console->file);
	for (const char *c = "aA\n"; *c; c++) { /* 'a' is odd, and yet no exit */
		store_le64(tcm_at(core, (uint32_t)FROMHOST), 0);
		send(core, (uint32_t)TOHOST, 0x01010000, (uint8_t)*c);
		assert_int_equal(cpu_state(core->cpu), CPU_ASLEEP);
		assert_int_equal(load_le64(tcm_at(core, (uint32_t)TOHOST)), 0);
		assert_true(load_le32(tcm_at(core, (uint32_t)FROMHOST)) != 0);
	}
	assert_string_equal(console_text(console), "aA\n");
	console_free(console);
	core_free(core);
}

static void put_call(struct core *core, uint32_t block, uint64_t number, uint64_t a0, uint64_t a1,
		     uint64_t a2)
{
	const uint64_t words[] = {number, a0, a1, a2};
	for (uint32_t i = 0; i < 4; i++)
		store_le64(tcm_at(core, block + 8 * i), words[i]);
}

static void test_htif_write_call_answers_with_length_or_error(void **state)
{
	(void)state;
	static const struct {
		uint64_t number, file, address, bytes;
		int64_t result;
		const char *output;
	} rows[] = {
		{64, 1, 0x80004000, 5, 5, "hello"},
		{64, 2, 0x80004001, 3, 3, "ell"},
		{64, 1, 0x80004000, 0, 0, ""},
		{64, 1, 0x20000000, 4, 4, "sram"},
		{64, 1, 0x8000fffe, 2, 2, "zz"},
		{64, 1, 0x8000fffe, 3, -14, ""}, /* EFAULT: beyond the end */
		{64, 1, 0x80010000, 1, -14, ""},
		{64, 1, 0x7fffffff, 1, -14, ""},
		{64, 1, 0x80004000, UINT64_MAX, -14, ""},
		{64, 1, UINT64_MAX, 2, -14, ""},
		{64, 1, 0x180004000, 5, -14, ""},
		{64, 0, 0x80004000, 5, -9, ""}, /* EBADF */
		{64, 3, 0x80004000, 5, -9, ""},
		{63, 0, 0x80004000, 5, -38, ""}, /* ENOSYS */
		{93, 7, 0, 0, -38, ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct core *core = core_new(NULL, NULL);
		struct console *console = console_open();
		cpu_set_htif(core->cpu, (uint32_t)TOHOST, (uint32_t)FROMHOST, console->file);
		memcpy(tcm_at(core, (uint32_t)TEXT), "hello", 5);
		memcpy(core->sram, "sram", 4);
		memcpy(core->tcm + TCM_BYTES - 2, "zz", 2);
		put_call(core, (uint32_t)BLOCK, rows[i].number, rows[i].file, rows[i].address, rows[i].bytes);
		send(core, (uint32_t)TOHOST, 0, (uint32_t)BLOCK);
		assert_int_equal(load_le64(tcm_at(core, (uint32_t)BLOCK)), rows[i].result);
		assert_int_equal(load_le64(tcm_at(core, (uint32_t)FROMHOST)), 1);
		assert_int_equal(load_le64(tcm_at(core, (uint32_t)TOHOST)), 0);
		assert_string_equal(console_text(console), rows[i].output);
		assert_int_equal(cpu_state(core->cpu), CPU_ASLEEP);
		console_free(console);
		core_free(core);
	}
}

/* The block, tohost or fromhost at the very end of the memory or outside it. */
static void test_htif_words_at_the_edge_stay_inside_memory(void **state)
{
	(void)state;
	struct core *core = core_new(NULL, NULL);
	const uint32_t last = (uint32_t)TCM + TCM_BYTES - 4;
	cpu_set_htif(core->cpu, (uint32_t)TOHOST, last, NULL);
	static const uint32_t blocks[] = {0x8000ffc2, 0x8000fffe, 0x90000000, 0x00000002, 0xfffffffe};
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		send(core, (uint32_t)TOHOST, 0, blocks[i]);
		assert_int_equal(load_le64(tcm_at(core, (uint32_t)TOHOST)), 0);
		assert_int_equal(cpu_state(core->cpu), CPU_ASLEEP);
	}
	cpu_set_htif(core->cpu, last, 0, NULL);
	send(core, last, 0, 7);
	assert_int_equal(cpu_state(core->cpu), CPU_HALTED);
	assert_int_equal(cpu_exit_code(core->cpu), 3);
	core_free(core);
}

/* ---- programs ----------------------------------------------------------------------------------------------- */

/* Runs build/programs/<name>.elf; its exit code. */
static unsigned run_program(const char *name, struct console *console)
{
	struct core *core = core_new(NULL, NULL);
	const struct cpu_memory memory[CPU_MEMORIES] = {{(uint32_t)TCM, TCM_BYTES, core->tcm}, {0, 0, NULL}};
	struct cpu_program program;
	char path[100], error[200];
	snprintf(path, sizeof(path), "build/programs/%s.elf", name);
	if (cpu_load_elf(path, memory, &program, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	assert_true(program.tohost != 0);
	cpu_set_htif(core->cpu, program.tohost, program.fromhost, console ? console->file : NULL);
	cpu_reset(core->cpu, 0, program.entry);
	core_run(core);
	assert_int_equal(cpu_state(core->cpu), CPU_HALTED);
	unsigned code = cpu_exit_code(core->cpu);
	core_free(core);
	return code;
}

static void test_cpu_compressed_program_passes_its_checks(void **state)
{
	(void)state;
	assert_int_equal(run_program("compressed", NULL), 0);
}

static void test_htif_console_program_prints(void **state)
{
	(void)state;
	struct console *console = console_open();
	assert_int_equal(run_program("console", console), 0);
	assert_string_equal(console_text(console), "hello from the core\nhello world\n");
	console_free(console);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_htif_odd_value_halts_with_exit_code),
		cmocka_unit_test(test_htif_zero_and_other_words_do_nothing),
		cmocka_unit_test(test_htif_character_goes_to_console_and_is_acknowledged),
		cmocka_unit_test(test_htif_write_call_answers_with_length_or_error),
		cmocka_unit_test(test_htif_words_at_the_edge_stay_inside_memory),
		cmocka_unit_test(test_cpu_compressed_program_passes_its_checks),
		cmocka_unit_test(test_htif_console_program_prints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
