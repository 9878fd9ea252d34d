/* Wrong command lines, configurations, disks and jobs: one line that says what, where and the mend, and the exit status. */
#include "tests/e2e/program.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct bad_case {
	const char *arguments;
	int status;
	const char *says[3]; /* all of these, on standard error */
};

static void check_cases(const struct bad_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct program_result result = program_run(cases[i].arguments, 60);
		unsigned lines = 0;
		printf("%s", result.err);
		assert_int_equal(result.status, cases[i].status);
		for (const char *c = result.err; *c; c++)
			lines += *c == '\n';
		assert_int_equal(lines, 1);
		for (unsigned j = 0; j < 3 && cases[i].says[j]; j++)
			assert_non_null(strstr(result.err, cases[i].says[j]));
		program_free(&result);
	}
}

static void test_command_line_mistakes_are_named(void **state)
{
	(void)state;
	static const struct bad_case cases[] = {
		{"walk", 2, {"walk", "--help"}},
		{"run --frobnicate", 2, {"--frobnicate"}},
		{"run --job", 2, {"--job"}},
		{"run extra", 2, {"extra", "--help"}},
		{"run --seed x", 2, {"--seed", "x"}},
		{"run --set link", 2, {"link", "section.key=value"}},
		{"run --set lnk.gen=3", 2, {"lnk", "kickstand config"}},
		{"run --set link.gn=3", 2, {"link.gn", "kickstand config"}},
		{"run --set link.gen=6", 2, {"link.gen", "6", "1 to 5"}},
		{"run --set link.mps=200", 2, {"link.mps", "200", "power of 2"}},
		{"run --set link.mps=2048", 2, {"link.mps", "1024"}},
		{"run --set device.queue_size=100", 2, {"device.queue_size", "100", "power of 2"}},
		{"run --set device.offload=all", 2, {"device.offload", "all", "firmware|fetch|full"}},
		{"run --set device.offload=full --set core.poll_ns=1000",
		 2,
		 {"core.poll_ns", "device.offload=full"}},
		{"run --set virtio.packed=on", 2, {"packed", "not implemented yet"}},
		{"run --set media.read_ns=fast", 2, {"media.read_ns", "fast", "nanoseconds"}},
		{"run --set virtio.event_idx=maybe", 2, {"virtio.event_idx", "maybe", "on or off"}},
		{"run --set guest.queues=2", 2, {"guest.queues", "device.queues"}},
		{"run --set msix.adaptive=on", 2, {"msix.adaptive", "msix.holdoff_ns"}},
		{"run --set msix.adaptive=on --set msix.holdoff_ns=9 --set msix.threshold=1",
		 2,
		 {"msix.adaptive", "msix.threshold"}},
		{"run --set notify.adaptive=on", 2, {"notify.adaptive", "notify.holdoff_ns"}},
		{"run --set notify.adaptive=on --set notify.holdoff_ns=9 --set notify.mode=fifo",
		 2,
		 {"notify.adaptive", "notify.mode"}},
		{"run --set notify.adaptive=on --set notify.holdoff_ns=9 --set notify.threshold=1",
		 2,
		 {"notify.adaptive", "notify.threshold"}},
		{"run --config /nonexistent.ini", 2, {"/nonexistent.ini", "No such file"}},
		{"run --job /nonexistent.fio", 2, {"/nonexistent.fio", "No such file"}},
		{"run --firmware /nonexistent.elf", 2, {"/nonexistent.elf", "No such file"}},
		{"run --json /nonexistent/x.json --set media.read_ns=0",
		 2,
		 {"/nonexistent/x.json", "No such file"}},
		{"run --trace /nonexistent/x.trace", 2, {"/nonexistent/x.trace", "No such file"}},
	};
	check_cases(cases, ARRAY_SIZE(cases));
}

static void test_configuration_file_mistakes_name_file_and_line(void **state)
{
	(void)state;
	struct program_result result;
	char arguments[300];
	static const struct {
		const char *text, *says[2];
	} cases[] = {
		{"[link]\ngen = 3\nlanes = 5\n", {":3:", "link.lanes"}},
		{"[link]\nwidth = 4\n", {":2:", "link.width"}},
		{"[links]\ngen = 4\n", {":2:", "[links]"}},
		{"[link]\nnonsense\n", {":2:", "key = value"}},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *path = program_file_of("bad.ini", cases[i].text);
		snprintf(arguments, sizeof(arguments), "run --config %s", path);
		result = program_run(arguments, 60);
		printf("%s", result.err);
		assert_int_equal(result.status, 2);
		assert_non_null(strstr(result.err, path));
		assert_non_null(strstr(result.err, cases[i].says[0]));
		assert_non_null(strstr(result.err, cases[i].says[1]));
		program_free(&result);
	}
}

static void test_disks_that_cannot_be_used_are_named(void **state)
{
	(void)state;
	char missing[200], empty[200], odd[200], folder[200];
	snprintf(missing, sizeof(missing), "run --disk %s/missing.img", program_folder());
	snprintf(empty, sizeof(empty), "run --disk %s", program_image("empty.img", 0, 0));
	snprintf(odd, sizeof(odd), "run --disk %s", program_image("odd.img", 1000, 0));
	snprintf(folder, sizeof(folder), "run --disk %s", program_folder());
	const struct bad_case cases[] = {
		{missing, 2, {"missing.img", "truncate -s"}},
		{empty, 2, {"empty.img"}},
		{odd, 2, {"odd.img", "512"}},
		{folder, 2, {"directory"}},
		{"run --disk ram:", 2, {"ram:"}},
		{"run --disk ram:many", 2, {"ram:many"}},
		{"run --disk ram:100", 2, {"512"}},
		{"run --disk nbd:unix:/nonexistent.sock", 2, {"nonexistent.sock"}},
	};
	check_cases(cases, ARRAY_SIZE(cases));
}

static void test_elf_files_that_cannot_run_are_named(void **state)
{
	(void)state;
	char text[200], machine[200];
	snprintf(text, sizeof(text), "run --firmware %s", program_file_of("text.elf", "not a program\n"));
	snprintf(machine, sizeof(machine), "run --firmware build/kickstand");
	const struct bad_case cases[] = {
		{text, 2, {"text.elf", "ELF"}},
		{machine, 2, {"build/kickstand"}},
	};
	check_cases(cases, ARRAY_SIZE(cases));
}

static void test_job_file_mistakes_name_file_and_line(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says[2];
	} cases[] = {
		{"[a]\nrw=randread\nfrobnicate=1\n", {":3:", "frobnicate"}},
		{"[a]\nrw=sideways\n", {":2:", "sideways"}},
		{"[a]\nrw=read\nbs=4q\n", {":3:", "4q"}},
		{"[a]\nrw=read\nbs=1000\n", {"a", "512"}},
		{"[a]\nrw=read\nsize=1g\n", {"a", "size"}},
		{"[a]\nrw=read\niodepth=0\n", {":3:", "iodepth"}},
		{"", {"job", ""}},
		{"[a]\nrw=randread\niodepth=256\nbs=1m\nnumjobs=8\n", {"host.memory", ""}},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char arguments[300];
		const char *path = program_file_of("bad.fio", cases[i].text);
		snprintf(arguments, sizeof(arguments), "run --disk ram:64M --job %s", path);
		struct program_result result = program_run(arguments, 60);
		printf("%s", result.err);
		assert_int_equal(result.status, 2);
		assert_non_null(strstr(result.err, cases[i].says[0]));
		assert_non_null(strstr(result.err, cases[i].says[1]));
		program_free(&result);
	}
}

static void test_media_errors_end_with_status_1(void **state)
{
	(void)state;
	char arguments[300];
	snprintf(arguments, sizeof(arguments), "run --set media.error_rate=100000 --disk ram:16M --job %s",
		 program_file_of("r.fio", "[a]\nrw=randread\nbs=4k\nnumber_ios=1000\n"));
	struct program_result result = program_run(arguments, 60);
	assert_int_equal(result.status, 1);
	assert_non_null(strstr(result.out, "failed with status 1"));
	program_free(&result);
}

static void test_help_is_no_error(void **state)
{
	(void)state;
	static const char *const commands[] = {"--help", "run --help", "config --help", "core --help"};
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct program_result result = program_run(commands[i], 60);
		assert_int_equal(result.status, 0);
		assert_non_null(strstr(result.out, "usage: kickstand"));
		assert_string_equal(result.err, "");
		program_free(&result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_line_mistakes_are_named),
		cmocka_unit_test(test_configuration_file_mistakes_name_file_and_line),
		cmocka_unit_test(test_disks_that_cannot_be_used_are_named),
		cmocka_unit_test(test_elf_files_that_cannot_run_are_named),
		cmocka_unit_test(test_job_file_mistakes_name_file_and_line),
		cmocka_unit_test(test_media_errors_end_with_status_1),
		cmocka_unit_test(test_help_is_no_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
