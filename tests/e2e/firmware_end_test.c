/* Firmware that goes wrong: every way ends the run soon, with the right exit status and something to go by. */
#include "tests/e2e/program.h"

struct firmware_case {
	const char *elf, *options;
	int status;
	const char *says[2];
};

/* What a firmware developer needs of a card that has stopped. */
static const char *const dump[] = {
	"job 'randread' clone 0: ",
	"32 in flight",
	"queue 0: published ",
	"card at ",
	"fetch ",
	"mover ",
	"media ",
	"dma ",
	"msix ",
	"core ",
	" pc 8",
	"mepc ",
	"mcause ",
	"last control transfers",
};

static unsigned lines_of(const char *text)
{
	unsigned lines = 0;
	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static struct program_result run_firmware(const struct firmware_case *c)
{
	char arguments[300];
	snprintf(arguments, sizeof(arguments), "run --firmware %s %s", c->elf, c->options);
	struct program_result result = program_run(arguments, 100);
	printf("%.400s\n", result.err);
	assert_int_equal(result.status, c->status);
	assert_int_equal(strncmp(result.err, "kickstand run: ", 15), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(c->says) && c->says[i]; i++)
		assert_non_null(strstr(result.err, c->says[i]));
	return result;
}

#define PROGRAM(name) "build/programs/" name ".elf"

/* The fault meets the hundredth request, with the queue full. */
static void test_firmware_stopping_amid_io_ends_with_state_dump(void **state)
{
	(void)state;
	static const struct firmware_case cases[] = {
		{PROGRAM("broken_load"), "", 3, {"the firmware took a fatal trap at ", "mcause 0x5"}},
		{PROGRAM("broken_instruction"), "", 3, {"the firmware took a fatal trap at ", "mcause 0x2"}},
		{PROGRAM("broken_assertion"), "", 3, {"the firmware stopped on an assertion at ", " ns\n"}},
		{PROGRAM("broken_jump"),
		 "",
		 3,
		 {"the core is stuck (a jump to itself", "core stuck at pc 8"}},
		{PROGRAM("broken_sleep"),
		 "",
		 3,
		 {"deadlock at ", ": 32 I/Os outstanding and nothing left to happen"}},
		{PROGRAM("broken_spin"),
		 "--set host.watchdog_ns=2000000",
		 3,
		 {"watchdog: no completion for 2000000 ns with 32 I/Os outstanding"}},
		{PROGRAM("broken_spin"),
		 "--set host.watchdog_ns=2000000 --set device.offload=firmware --set guest.msix=off",
		 3,
		 {"watchdog: no completion for 2000000 ns with 32 I/Os outstanding"}},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct program_result result = run_firmware(&cases[i]);
		for (size_t d = 0; d < ARRAY_SIZE(dump); d++)
			if (!strstr(result.err, dump[d]))
				fail_msg("no '%s' in the dump of %s", dump[d], cases[i].elf);
		assert_string_equal(result.out, ""); /* no figures of a run that did not end */
		program_free(&result);
	}
}

/* One request is never answered; all others are. */
static void test_firmware_losing_a_request_is_a_deadlock(void **state)
{
	(void)state;
	char options[300];
	const char *job = program_file_of("lost.fio", "[a]\nrw=randread\niodepth=8\nnumber_ios=500\n");
	snprintf(options, sizeof(options), "--job %s", job);
	const struct firmware_case lost = {
		PROGRAM("broken_forget"),
		options,
		3,
		{"deadlock at ", ": 1 I/O outstanding and nothing left to happen"},
	};
	struct program_result result = run_firmware(&lost);
	assert_non_null(strstr(result.err, "published 500, used 499, in flight 1"));
	program_free(&result);
}

/* Not the card's end, but wrong data: the check must see it, whichever disk. */
static void test_firmware_answering_before_the_data_is_there_is_wrong_data(void **state)
{
	(void)state;
	static const char *const firmwares[] = {PROGRAM("broken_lie"), PROGRAM("broken_twice")};
	char options[300], on_image[400];
	snprintf(options, sizeof(options), "--job %s",
		 program_file_of("lie.fio", "[a]\nrw=randread\niodepth=8\nnumber_ios=500\n"));
	snprintf(on_image, sizeof(on_image), "%s --disk %s", options, program_image("lie.img", 4 << 20, 99));
	for (size_t i = 0; i < 2 * ARRAY_SIZE(firmwares); i++) {
		const struct firmware_case c = {firmwares[i / 2],
						i % 2 ? on_image : options,
						1,
						{"wrong data: expected the original contents"}};
		struct program_result result = run_firmware(&c);
		assert_int_equal(lines_of(result.err), 1);
		assert_non_null(strstr(result.out, "WRONG DATA in "));
		assert_null(strstr(result.out, "all data verified"));
		program_free(&result);
	}
}

/* A write that is acknowledged and lost shows even if nothing reads it: the disk is looked at after the run. */
static void test_firmware_losing_a_write_is_found_on_the_disk(void **state)
{
	(void)state;
	char options[2][400];
	const char *job = program_file_of("lose.fio", "[a]\nrw=randwrite\niodepth=8\nnumber_ios=500\n");
	snprintf(options[0], sizeof(options[0]), "--disk ram:4M --job %s", job);
	snprintf(options[1], sizeof(options[1]), "--disk %s --job %s", program_image("lose.img", 4 << 20, 9),
		 job);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct firmware_case c = {
			PROGRAM("broken_lie"),
			options[i],
			1,
			{"wrong data: expected generation ", ", found the original contents"}};
		struct program_result result = run_firmware(&c);
		assert_non_null(strstr(result.out, "WRONG DATA in 8 sectors of the disk after the run"));
		program_free(&result);
	}
}

static void test_firmware_never_coming_up_ends_with_state_dump(void **state)
{
	(void)state;
	static const struct firmware_case cases[] = {
		{PROGRAM("end_trap"), "", 3, {"the core is stuck (", "core stuck at pc 00000000"}},
		{PROGRAM("end_exit"), "", 3, {"the core is stuck (", "core stuck at pc 8"}},
		{PROGRAM("end_spin"), "", 3, {"the core is stuck (", "core stuck at pc 80000000"}},
		{PROGRAM("end_asleep"),
		 "",
		 3,
		 {"no virtio block device behind the root port", "core asleep in wfi"}},
		{PROGRAM("end_loop"),
		 "--set host.watchdog_ns=50000000",
		 3,
		 {"watchdog: the card has not come up within 50000000 ns\n", "core running"}},
		{PROGRAM("console"), "--set host.watchdog_ns=50000000", 3, {"core "}},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct program_result result = run_firmware(&cases[i]);
		assert_non_null(strstr(result.err, "card at "));
		program_free(&result);
	}
}

/* A served card stops, too, and takes no client. */
static void test_firmware_stopping_ends_the_server(void **state)
{
	(void)state;
	static const struct {
		const char *elf, *says, *core;
	} cases[] = {
		{PROGRAM("end_spin"), "the core is stuck (a jump to itself", "core stuck at pc 80000000"},
		{PROGRAM("end_trap"), "the core is stuck (", "core stuck at pc 00000000"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char arguments[300];
		snprintf(arguments, sizeof(arguments), "serve --vhost-user %s --firmware %s",
			 program_path_of("stopped.sock"), cases[i].elf);
		struct program_result result = program_run(arguments, 60);
		assert_int_equal(result.status, 3);
		assert_non_null(strstr(result.err, cases[i].says));
		assert_non_null(strstr(result.err, cases[i].core));
		assert_non_null(strstr(result.err, "card at "));
		program_free(&result);
	}
}

/* ---- files that are no firmware ---- */

static void write_file(const char *path, const char *data, size_t bytes)
{
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(data, 1, bytes, out), bytes);
	fclose(out);
}

/* The firmware with one byte changed, or cut off. */
static void check_file(const char *elf, size_t bytes, size_t at, char byte, const char *says)
{
	const char *path = program_path_of("changed.elf");
	char *copy = malloc(bytes);
	memcpy(copy, elf, bytes);
	if (at < bytes)
		copy[at] = byte;
	write_file(path, copy, bytes);
	free(copy);
	const struct firmware_case c = {path, "", 2, {path, says}};
	struct program_result result = run_firmware(&c);
	assert_int_equal(lines_of(result.err), 1);
	program_free(&result);
}

#define WHOLE SIZE_MAX

static void test_files_that_are_no_firmware_are_refused(void **state)
{
	(void)state;
	size_t bytes;
	char *elf = program_read_file("build/firmware/firmware.elf", &bytes);
	check_file(elf, 0, WHOLE, 0, "not an ELF file");
	check_file(elf, 3, WHOLE, 0, "ELF");
	check_file(elf, 40, WHOLE, 0, "truncated within the ELF header");
	check_file(elf, 60, WHOLE, 0, "truncated");
	check_file(elf, 3000, WHOLE, 0, "truncated within segment 0");
	check_file(elf, bytes, 4, 2, "not a 32-bit ELF file"); /* EI_CLASS */
	check_file(elf, bytes, 5, 2, "ndian");                 /* EI_DATA */
	check_file(elf, bytes, 16, 3, "");                     /* e_type: shared object */
	check_file(elf, bytes, 18, 40, "machine 40");          /* e_machine: ARM */
	free(elf);
	const struct firmware_case large = {PROGRAM("end_large"), "", 2, {"too large", "memory has 262144"}};
	struct program_result result = run_firmware(&large);
	assert_int_equal(lines_of(result.err), 1);
	program_free(&result);
	const struct firmware_case elsewhere = {PROGRAM("elsewhere"), "", 2, {"0x20000000", "linker script"}};
	result = run_firmware(&elsewhere);
	assert_int_equal(lines_of(result.err), 1);
	program_free(&result);
}

/* Any byte of the headers may be anything: an answer, never a crash. */
static void test_files_with_damaged_headers_never_crash_or_hang(void **state)
{
	(void)state;
	size_t bytes;
	char *elf = program_read_file("build/firmware/firmware.elf", &bytes), arguments[300];
	const char *path = program_path_of("damaged.elf");
	struct rng rng;
	rng_seed(&rng, test_seed(11), 0);
	snprintf(arguments, sizeof(arguments), "run --set host.watchdog_ns=100000 --firmware %s --job %s",
		 path, program_file_of("short.fio", "[a]\nrw=randread\nnumber_ios=10\n"));
	for (unsigned i = 0; i < 40; i++) {
		char *copy = malloc(bytes);
		memcpy(copy, elf, bytes);
		for (unsigned n = 0; n < 1 + i % 3; n++)
			copy[rng_below(&rng, 52 + 4 * 32)] = (char)rng_below(&rng, 256);
		write_file(path, copy, bytes);
		free(copy);
		struct program_result result = program_run(arguments, 60);
		if (result.status != 0 && result.status != 2 && result.status != 3)
			fail_msg("exit status %d\n%s", result.status, result.err);
		program_free(&result);
	}
	free(elf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_firmware_stopping_amid_io_ends_with_state_dump),
		cmocka_unit_test(test_firmware_losing_a_request_is_a_deadlock),
		cmocka_unit_test(test_firmware_answering_before_the_data_is_there_is_wrong_data),
		cmocka_unit_test(test_firmware_losing_a_write_is_found_on_the_disk),
		cmocka_unit_test(test_firmware_never_coming_up_ends_with_state_dump),
		cmocka_unit_test(test_firmware_stopping_ends_the_server),
		cmocka_unit_test(test_files_that_are_no_firmware_are_refused),
		cmocka_unit_test(test_files_with_damaged_headers_never_crash_or_hang),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
