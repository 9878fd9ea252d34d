/* The commands of README.md, as they stand there, in a folder with what they take for granted. */
#include "tests/e2e/program.h"

#include <unistd.h>

#define COMMANDS_MAX 40

/* Lines of code blocks that run the program. Servers end when they are told to; they have tests of their own. */
static unsigned read_commands(char *text, char *commands[COMMANDS_MAX])
{
	unsigned count = 0;
	char *state;
	for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		bool command = strncmp(line, "    build/kickstand ", 20) == 0 ||
			       strncmp(line, "    truncate ", 13) == 0 ||
			       strncmp(line, "    nbdkit ", 11) == 0;
		if (!command || strstr(line, "kickstand serve"))
			continue;
		assert_true(count < COMMANDS_MAX);
		commands[count++] = line + 4;
	}
	return count;
}

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *format, ...)
{
	char *command;
	va_list args;
	va_start(args, format);
	assert_true(vasprintf(&command, format, args) > 0);
	va_end(args);
	printf("%s\n", command);
	fflush(stdout);
	int status = system(command);
	if (status != 0)
		fail_msg("exit status %d of %s", status, command);
	free(command);
}

static void test_readme_commands_run(void **state)
{
	(void)state;
	char *commands[COMMANDS_MAX];
	size_t bytes;
	if (strstr(program_itself(), "sanitize"))
		skip(); /* full-size runs: the ordinary build does them */
	char *text = program_read_file("README.md", &bytes);
	unsigned count = read_commands(text, commands);
	assert_true(count >= 10);
	shell("cd %s && ln -s ../../../../docs ../../../../build . && cp build/firmware/firmware.elf my.elf",
	      program_folder());
	for (unsigned i = 0; i < count; i++)
		shell("cd %s && { %s; } >output 2>&1 || { cat output; false; }", program_folder(),
		      commands[i]);
	shell("cd %s && rm docs build my.elf disk.img out.json output", program_folder());
	free(text);
}

/* The figures change with the model; what they are of does not. */
static void test_readme_report_has_the_lines_of_a_report(void **state)
{
	(void)state;
	size_t bytes;
	char *readme = program_read_file("README.md", &bytes), arguments[300], *line, *at;
	snprintf(arguments, sizeof(arguments), "run --job %s",
		 program_file_of("small.fio", "[randread]\nrw=randread\niodepth=32\nnumber_ios=500\n"));
	struct program_result result = program_run(arguments, 60);
	assert_int_equal(result.status, 0);
	for (line = strtok_r(result.out, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
		char label[40];
		size_t length =
			strncmp(line, "  ", 2) == 0 ? 20 : strcspn(line, "0123456789"); /* stages, figures */
		if (length < 4 || length >= sizeof(label) || (size_t)strspn(line, "0123456789") > 0)
			continue;
		snprintf(label, sizeof(label), "%.*s", (int)(length < 10 ? length : 10), line);
		if (!strstr(readme, label))
			fail_msg("README.md's report has no line like: %s", line);
	}
	program_free(&result);
	free(readme);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readme_commands_run),
		cmocka_unit_test(test_readme_report_has_the_lines_of_a_report),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
