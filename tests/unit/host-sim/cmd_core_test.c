/* `kickstand core` as a user sees it: exit status, standard output, standard error, JSON. Each command runs in a child
 * process. What both implementations do alike is tested with both. */
#include "host-sim/commands.h"
#include "tests/check.h"

#include <jansson.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS_MAX = 12 };

struct outcome {
	int status; /* exit status, -1 if the process was killed */
	char out[4096], err[8192];
};

static void read_all(FILE *file, char *text, size_t size)
{
	rewind(file);
	size_t n = fread(text, 1, size - 1, file);
	text[n] = '\0';
	fclose(file);
}

/* Runs "kickstand core" with the words of `arguments`. */
static struct outcome core_command(const char *arguments)
{
	struct outcome outcome = {.status = -1};
	char words[500], *argv[ARGS_MAX + 1] = {(char[]){"core"}};
	int argc = 1, status;
	snprintf(words, sizeof(words), "%s", arguments);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
		assert_true(argc < ARGS_MAX);
		argv[argc++] = word;
	}
	FILE *out = tmpfile(), *err = tmpfile();
	assert_true(out && err);
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(fileno(out), STDOUT_FILENO);
		dup2(fileno(err), STDERR_FILENO);
		status = cmd_core(argc, argv);
		fflush(NULL);
		_exit(status);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status))
		outcome.status = WEXITSTATUS(status);
	read_all(out, outcome.out, sizeof(outcome.out));
	read_all(err, outcome.err, sizeof(outcome.err));
	return outcome;
}

/* The same with "--impl iss" or "--impl rtl" before them. */
static const char *const impls[] = {"iss", "rtl"};

static struct outcome core_command_with(const char *impl, const char *arguments)
{
	char whole[500];
	snprintf(whole, sizeof(whole), "--impl %s %s", impl, arguments);
	return core_command(whole);
}

static unsigned lines(const char *text)
{
	unsigned n = 0;
	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* ---- good programs ------------------------------------------------------------------------------------------ */

static void test_core_program_exit_code_is_exit_status(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(impls); i++) {
		struct outcome o = core_command_with(impls[i], "build/programs/end_exit.elf");
		assert_int_equal(o.status, 42);
		assert_string_equal(o.err, "");
		/* li is one instruction, the branch, la is two, and the store: 5 and the cycle of a branch taken forward */
		assert_non_null(strstr(o.out, "exit code 42: 5 instructions, 6 cycles, CPI 1.200"));
		assert_non_null(strstr(o.out, "MIPS"));
		assert_int_equal(lines(o.out), 1);
	}
}

static void test_core_exit_code_above_255_does_not_look_like_success(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(impls); i++) {
		struct outcome o = core_command_with(impls[i], "build/programs/end_exit_large.elf");
		assert_int_equal(o.status, 255);
		assert_non_null(strstr(o.out, "exit code 256"));
	}
}

static void test_core_program_output_precedes_the_result(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(impls); i++) {
		struct outcome o = core_command_with(impls[i], "build/programs/console.elf");
		assert_int_equal(o.status, 0);
		assert_int_equal(strncmp(o.out, "hello from the core\nhello world\nexit code 0: ", 45), 0);
	}
}

static void test_core_cost_settings_change_cycles(void **state)
{
	(void)state;
	struct outcome o = core_command(
		"--set core.branch_miss_cycles=11 --set core.clock_mhz=500 build/programs/end_exit.elf");
	assert_int_equal(o.status, 42);
	assert_non_null(strstr(o.out, "5 instructions, 16 cycles"));
}

/* Both ways of choosing; both implementations count the same instructions and cycles. */
static void test_core_implementations_agree_on_a_benchmark(void **state)
{
	(void)state;
	static const char *const choices[] = {"", "--set core.impl=rtl ", "--impl rtl "};
	char results[ARRAY_SIZE(choices)][200];
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		char arguments[200];
		snprintf(arguments, sizeof(arguments), "%s--max-cycles 100000 build/programs/bench.elf",
			 choices[i]);
		struct outcome o = core_command(arguments);
		assert_int_equal(o.status, 3);
		const char *figures = strchr(o.err, '(');
		assert_non_null(figures);
		snprintf(results[i], sizeof(results[i]), "%.*s", (int)strcspn(figures, "\n"), figures);
		assert_string_equal(results[i], results[0]);
	}
}

static void test_core_json_holds_result_and_configuration(void **state)
{
	(void)state;
	char path[] = "/tmp/kickstand-core-XXXXXX", arguments[200];
	close(mkstemp(path));
	snprintf(arguments, sizeof(arguments),
		 "--json %s --set core.div_cycles=20 build/programs/end_exit.elf", path);
	assert_int_equal(core_command(arguments).status, 42);
	json_t *root = json_load_file(path, 0, NULL);
	assert_non_null(root);
	json_int_t exit_code, instructions, cycles, traps;
	double cpi, seconds, mips;
	const char *end, *program, *div, *version;
	assert_int_equal(
		json_unpack(root,
			    "{s:{s:s, s:I, s:I, s:I, s:F, s:I}, s:{s:F, s:F}, s:{s:s, s:s, s:{s:{s:s}}}}",
			    "core", "end", &end, "exit_code", &exit_code, "instructions", &instructions,
			    "cycles", &cycles, "cpi", &cpi, "traps", &traps, "wall", "seconds", &seconds,
			    "mips", &mips, "kickstand", "program", &program, "version", &version, "config",
			    "core", "div_cycles", &div),
		0);
	assert_string_equal(end, "exit");
	assert_string_equal(program, "build/programs/end_exit.elf");
	assert_string_equal(div, "20");
	assert_int_equal(exit_code, 42);
	assert_int_equal(instructions, 5);
	assert_int_equal(cycles, 6);
	assert_int_equal(traps, 0);
	assert_true(cpi > 1.19 && cpi < 1.21);
	json_decref(root);
	unlink(path);
}

static void test_core_help_tells_every_option(void **state)
{
	(void)state;
	static const char *const options[] = {"--impl", "--max-cycles", "--set", "--json", "--gdb"};
	struct outcome o = core_command("--help");
	assert_int_equal(o.status, 0);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		assert_non_null(strstr(o.out, options[i]));
}

/* ---- programs that do not end ------------------------------------------------------------------------------ */

static void test_core_program_that_does_not_end_dumps_registers(void **state)
{
	(void)state;
	static const struct {
		const char *arguments, *reason, *dump;
	} rows[] = {
		{"build/programs/end_asleep.elf", "deadlock: sleeps in wfi", "asleep in wfi at pc 80000004"},
		{"build/programs/end_spin.elf", "stuck: ", "stuck at pc 80000000"},
		{"build/programs/end_trap.elf", "stuck: ", "stuck at pc 00000000"},
		{"--max-cycles 1000 build/programs/end_loop.elf", "max-cycles: did not end",
		 "running at pc 800000"},
	};
	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		size_t row = i / 2;
		struct outcome o = core_command_with(impls[i % 2], rows[row].arguments);
		assert_int_equal(o.status, 3);
		assert_string_equal(o.out, "");
		assert_int_equal(strncmp(o.err, "kickstand core: build/programs/end_", 35), 0);
		if (!strstr(o.err, rows[row].reason) || !strstr(o.err, rows[row].dump))
			fail_msg("%s: %s", rows[row].arguments, o.err);
		assert_non_null(strstr(o.err, "mcause"));
	}
}

/* A round of the loop is 3 instructions and 4 cycles, after a first instruction of 1. */
static void test_core_max_cycles_stops_at_the_cycle(void **state)
{
	(void)state;
	static const struct {
		unsigned long limit, instructions;
	} rows[] = {{1, 1}, {5, 4}, {9, 7}, {100001, 75001}, {65537, 49153}};
	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		size_t row = i / 2;
		char arguments[100], want[100];
		snprintf(arguments, sizeof(arguments), "--max-cycles %lu build/programs/end_loop.elf",
			 rows[row].limit);
		snprintf(want, sizeof(want), "(%lu instructions, %lu cycles)", rows[row].instructions,
			 rows[row].limit);
		struct outcome o = core_command_with(impls[i % 2], arguments);
		assert_int_equal(o.status, 3);
		if (!strstr(o.err, want))
			fail_msg("wanted %s: %s", want, o.err);
	}
}

static void test_core_max_cycles_above_need_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(core_command("--max-cycles 6 build/programs/end_exit.elf").status, 42);
	assert_int_equal(core_command("--max-cycles 5 build/programs/end_exit.elf").status, 3);
	assert_int_equal(core_command("--max-cycles 0xffffffffffffffff build/programs/end_exit.elf").status,
			 42);
}

static void test_core_json_of_failure_says_how_it_ended(void **state)
{
	(void)state;
	char path[] = "/tmp/kickstand-core-XXXXXX", arguments[200];
	const char *end;
	close(mkstemp(path));
	snprintf(arguments, sizeof(arguments), "--json %s build/programs/end_asleep.elf", path);
	assert_int_equal(core_command(arguments).status, 3);
	json_t *root = json_load_file(path, 0, NULL);
	assert_int_equal(json_unpack(root, "{s:{s:s}}", "core", "end", &end), 0);
	assert_string_equal(end, "deadlock");
	json_decref(root);
	unlink(path);
}

/* ---- errors of the user -------------------------------------------------------------------------------------- */

static void test_core_usage_error_is_one_line_with_the_mend(void **state)
{
	(void)state;
	static const struct {
		const char *arguments, *want;
	} rows[] = {
		{"", "no program; give one ELF file"},
		{"a.elf b.elf", "more than one program"},
		{"--impl qemu build/programs/end_exit.elf", "give iss or rtl"},
		{"--gdb 1234 build/programs/end_exit.elf", "not implemented yet"},
		{"--max-cycles 0 build/programs/end_exit.elf", "--max-cycles 0: not accepted"},
		{"--max-cycles -5 build/programs/end_exit.elf", "--max-cycles -5: not accepted"},
		{"--max-cycles 12x build/programs/end_exit.elf", "--max-cycles 12x: not accepted"},
		{"--max-cycles 99999999999999999999 build/programs/end_exit.elf", "not accepted"},
		{"--max-cycles", "--max-cycles: needs a value"},
		{"--frequency 3 build/programs/end_exit.elf", "--frequency: no such option"},
		{"-x build/programs/end_exit.elf", "no such option"},
		{"--set link.gen=3 build/programs/end_exit.elf", "give core.KEY=VALUE"},
		{"--set core.speed=3 build/programs/end_exit.elf", "unknown key core.speed"},
		{"--set core.div_cycles=0 build/programs/end_exit.elf", "1 to 100"},
		{"--set core.impl=qemu build/programs/end_exit.elf", "give one of model|rtl"},
		{"build/programs/missing.elf", "cannot open: No such file or directory"},
		{"/dev/null", "not an ELF file"},
		{"tests/check.h", "not an ELF file"},
		{"/proc/self/exe", "not a 32-bit ELF file"},
		{"build/programs/elsewhere.elf", "memory has 16777216 at 0x80000000"},
		{"--json /nonexistent/x.json build/programs/end_exit.elf", "cannot write the result"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct outcome o = core_command(rows[i].arguments);
		if (o.status != 2 || !strstr(o.err, rows[i].want) || lines(o.err) != 1 ||
		    strncmp(o.err, "kickstand core: ", 16) != 0)
			fail_msg("core %s: status %d, %s", rows[i].arguments, o.status, o.err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_core_program_exit_code_is_exit_status),
		cmocka_unit_test(test_core_exit_code_above_255_does_not_look_like_success),
		cmocka_unit_test(test_core_program_output_precedes_the_result),
		cmocka_unit_test(test_core_cost_settings_change_cycles),
		cmocka_unit_test(test_core_implementations_agree_on_a_benchmark),
		cmocka_unit_test(test_core_json_holds_result_and_configuration),
		cmocka_unit_test(test_core_help_tells_every_option),
		cmocka_unit_test(test_core_program_that_does_not_end_dumps_registers),
		cmocka_unit_test(test_core_max_cycles_stops_at_the_cycle),
		cmocka_unit_test(test_core_max_cycles_above_need_changes_nothing),
		cmocka_unit_test(test_core_json_of_failure_says_how_it_ended),
		cmocka_unit_test(test_core_usage_error_is_one_line_with_the_mend),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
