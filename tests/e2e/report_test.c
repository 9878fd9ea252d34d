/* Report, JSON, progress: where they go, what they say of runs that end early, badly or at once. */
#include "tests/e2e/nbd_server.h"
#include "tests/e2e/run_check.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>

static const char short_job[] = "[a]\nrw=randrw\niodepth=8\nnumber_ios=300\n";
/* Goes on until it is stopped. */
static const char endless_job[] =
	"[a]\nrw=randrw\nbs=4k\niodepth=8\nsize=16m\nnorandommap\ntime_based\nruntime=1000s\n"
	"[b]\nstonewall\nrw=read\n";

static unsigned lines_of(const char *text)
{
	unsigned lines = 0;
	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* `kickstand run` with the rest of a shell's command line; the exit status, and in *err what it said. */
static int shell_run(const char *rest, char **err)
{
	char *command;
	const char *err_path = program_path_of("shell.err");
	size_t bytes;
	assert_true(asprintf(&command, "%s run %s 2>%s", program_itself(), rest, err_path) > 0);
	printf("%s\n", command);
	int status = system(command);
	*err = program_read_file(err_path, &bytes);
	printf("%s", *err);
	free(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- where output goes ---- */

static void test_json_on_standard_output_is_all_there_is(void **state)
{
	(void)state;
	char arguments[300];
	const char *job = program_file_of("short.fio", short_job), *path = program_path_of("file.json");
	static const char *const wall[] = {"wall_s", "ios_per_wall_s"};
	json_error_t error;
	snprintf(arguments, sizeof(arguments), "run --json - --job %s", job);
	struct program_result direct = program_run(arguments, 60);
	assert_int_equal(direct.status, 0);
	assert_string_equal(direct.err, "");
	json_t *root = json_loads(direct.out, 0, &error); /* nothing before or behind it */
	if (!root)
		fail_msg("%d: %s", error.line, error.text);
	check_document(root);
	snprintf(arguments, sizeof(arguments), "run --json %s --job %s", path, job);
	struct program_result beside = program_run(arguments, 60);
	json_t *other = json_load_file(path, 0, &error);
	assert_non_null(other);
	for (size_t i = 0; i < ARRAY_SIZE(wall); i++) {
		json_object_del(json_object_get(root, "sim"), wall[i]);
		json_object_del(json_object_get(other, "sim"), wall[i]);
	}
	assert_int_equal(json_equal(root, other), 1);
	json_decref(root);
	json_decref(other);
	program_free(&direct);
	program_free(&beside);
}

static void test_output_that_cannot_be_written_is_one_line_and_status_2(void **state)
{
	(void)state;
	static const struct {
		const char *rest, *says[2];
	} cases[] = {
		{"--json /dev/full >/dev/null", {"--json /dev/full", "No space left"}},
		{"--json . >/dev/null", {"--json .", "directory"}},
		{"--json '' >/dev/null", {"--json ", "No such file"}},
		{"--json /proc/none/x >/dev/null", {"--json /proc/none/x", "No such file"}},
		{"--json - >/dev/full", {"--json -", "No space left"}},
		{">/dev/full", {"standard output", "No space left"}},
		{"--help >/dev/full", {"standard output", "No space left"}},
		{"--trace /dev/full >/dev/null", {"--trace /dev/full", "No space left"}},
	};
	const char *job = program_file_of("short.fio", short_job);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char rest[300], *err;
		snprintf(rest, sizeof(rest), "--job %s %s", job, cases[i].rest);
		assert_int_equal(shell_run(rest, &err), 2);
		assert_int_equal(lines_of(err), 1);
		for (unsigned s = 0; s < 2; s++)
			assert_non_null(strstr(err, cases[i].says[s]));
		free(err);
	}
}

/* A reader that has seen enough ends the program quietly. */
static void test_report_into_closed_pipe_is_no_message(void **state)
{
	(void)state;
	char rest[300], *err;
	snprintf(rest, sizeof(rest), "--job %s | head -n 1 >/dev/null",
		 program_file_of("short.fio", short_job));
	shell_run(rest, &err);
	assert_string_equal(err, "");
	free(err);
}

/* ---- ^C ---- */

static struct program_result interrupted(const char *arguments, unsigned after_ms, unsigned signals)
{
	struct program_child child = program_start(arguments, 100);
	pause_ms(after_ms);
	for (unsigned i = 0; i < signals; i++) {
		kill(child.pid, SIGINT);
		pause_ms(200);
	}
	return program_wait(&child);
}

/* The jobs end, what is in flight is waited for, and report and JSON tell of what was done. */
static void test_interrupted_run_reports_what_was_done(void **state)
{
	(void)state;
	static const char *const options[] = {"", "--disk null:64M",
					      "--set device.offload=firmware --set device.queues=2"};
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		char arguments[400];
		const char *json = program_path_of("interrupted.json");
		json_error_t error;
		unlink(json);
		snprintf(arguments, sizeof(arguments), "run --json %s --job %s %s", json,
			 program_file_of("endless.fio", endless_job), options[i]);
		struct program_result result = interrupted(arguments, 700, 1);
		assert_int_equal(result.status, 130);
		assert_string_equal(result.err, "");
		assert_non_null(strstr(result.out, "\ninterrupted: "));
		json_t *root = json_load_file(json, 0, &error);
		assert_non_null(root);
		check_document(root);
		check_report_agrees(result.out, root);
		assert_true(json_is_true(json_object_get(json_object_get(root, "sim"), "interrupted")));
		assert_true(json_at(root, "sim/errors") == 0);
		assert_true(json_at(root, "jobs/0/read/total_ios") > 0);
		assert_true(json_at(root, "jobs/1/read/total_ios") == 0); /* the job behind did not begin */
		json_decref(root);
		program_free(&result);
	}
}

static void test_second_interrupt_ends_a_run_that_does_not_end(void **state)
{
	(void)state;
	struct program_result result = interrupted("run --firmware build/programs/broken_spin.elf "
						   "--set host.watchdog_ns=1000000000000",
						   700, 2);
	assert_int_equal(result.status, -1); /* by the signal */
	assert_string_equal(result.out, "");
	program_free(&result);
}

/* As background jobs of a shell are started. */
static void test_interrupt_that_was_ignored_at_the_start_stays_so(void **state)
{
	(void)state;
	char arguments[300];
	snprintf(arguments, sizeof(arguments), "run --job %s",
		 program_file_of("some.fio", "[a]\nrw=randread\niodepth=8\nnorandommap\nnumber_ios=40000\n"));
	signal(SIGINT, SIG_IGN);
	struct program_result result = interrupted(arguments, 100, 1);
	signal(SIGINT, SIG_DFL);
	assert_int_equal(result.status, 0);
	assert_null(strstr(result.out, "interrupted"));
	program_free(&result);
}

/* ---- progress ---- */

/* Everything that arrives at the terminal until the program is gone. */
static void read_terminal(int terminal, char *text, size_t size)
{
	size_t used = 0;
	ssize_t got;
	while (used + 1 < size && (got = read(terminal, text + used, size - 1 - used)) > 0)
		used += (size_t)got; /* ends with EIO when the last one has closed it */
	text[used] = '\0';
}

static void test_progress_shows_on_a_terminal_and_is_wiped(void **state)
{
	(void)state;
	char text[65536], job[200];
	snprintf(job, sizeof(job), "%s", program_file_of("endless.fio", endless_job));
	int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		int slave = open(ptsname(terminal), O_RDWR | O_NOCTTY), null = open("/dev/null", O_WRONLY);
		dup2(null, STDOUT_FILENO);
		dup2(slave, STDERR_FILENO);
		close(slave);
		close(terminal);
		alarm(60);
		execl(program_itself(), "kickstand", "run", "--job", job, NULL);
		_exit(127);
	}
	pause_ms(2000);
	kill(pid, SIGINT);
	read_terminal(terminal, text, sizeof(text));
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 130);
	close(terminal);
	double ms, ios, rate;
	assert_int_equal(sscanf(text, "\r%lf ms simulated, %lf I/Os, %lf a second ", &ms, &ios, &rate), 3);
	assert_true(ms > 0 && ios > 0 && rate > 0);
	const char *end = "\r\033[K";
	assert_true(strlen(text) > 4 && strcmp(text + strlen(text) - 4, end) == 0);
	assert_null(strchr(text, '\n'));
}

/* ---- figures of unusual runs ---- */

static json_t *run_unusual(const char *job, const char *options, int status, char **report)
{
	char arguments[400];
	const char *json = program_path_of("unusual.json");
	snprintf(arguments, sizeof(arguments), "run --json %s --job %s %s", json,
		 program_file_of("unusual.fio", job), options);
	struct program_result result = program_run(arguments, 60);
	if (result.status != status)
		fail_msg("exit status %d\n%s\n%s", result.status, result.out, result.err);
	check_report_text(result.out);
	json_t *root = json_load_file(json, 0, NULL);
	assert_non_null(root);
	check_numbers(root, "");
	*report = strdup(result.out);
	program_free(&result);
	return root;
}

/* Divisions by no time, no I/O, no data. */
static void test_runs_with_next_to_nothing_to_report_have_figures(void **state)
{
	(void)state;
	static const struct {
		const char *job, *options;
		int status;
	} cases[] = {
		{"[a]\nrw=read\nnumber_ios=1\n", "", 0},
		{"[a]\nrw=trim\nnumber_ios=1\n", "", 0},
		{"[a]\nrw=write\nnumber_ios=1\nbs=512\nfsync=1\nend_fsync=1\n", "--disk ram:512", 0},
		{"[a]\nrw=read\nnumber_ios=5\nramp_time=1s\n", "", 0}, /* over before it is measured */
		{"[a]\nrw=randread\nnumber_ios=50\n", "--set media.error_rate=1000000", 1},
		{"[a]\nrw=randread\nnumber_ios=50\ncontinue_on_error=all\n", "--set media.error_rate=1000000",
		 1},
		{"[a]\nrw=randrw\nnumber_ios=50\n",
		 "--set media.read_ns=0 --set media.write_ns=0 --set host.submit_ns=0 --set "
		 "host.complete_ns=0 --set "
		 "host.interrupt_ns=0 --set host.mmio_write_ns=0 --set link.root_complex_ns=0 --set "
		 "link.propagation_ns=0",
		 0},
		{"[a]\nrw=randread\nnumber_ios=10\n",
		 "--set media.read_ns=10000000000 --set host.watchdog_ns=1000000000000", 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *report;
		json_t *root = run_unusual(cases[i].job, cases[i].options, cases[i].status, &report);
		if (cases[i].status == 0 && !strstr(cases[i].job, "ramp"))
			check_document(root);
		json_decref(root);
		free(report);
	}
}

static void test_errors_are_counted_alike_in_report_and_document(void **state)
{
	(void)state;
	char *report;
	json_t *root = run_unusual("[a]\nrw=randread\nnumber_ios=500\niodepth=4\ncontinue_on_error=all\n",
				   "--set media.error_rate=200000", 1, &report);
	double errors = json_at(root, "sim/errors");
	char expected[80];
	assert_true(errors > 50 && errors < 150);
	assert_true(json_at(root, "jobs/0/total_err") == errors);
	assert_true(json_at(root, "jobs/0/read/total_ios") == 500 - errors);
	assert_true(json_at(root, "device/media/errors") == errors);
	snprintf(expected, sizeof(expected), "%.0f errors, the first: Input/output error", errors);
	assert_non_null(strstr(report, expected));
	assert_non_null(strstr(report, "failed with status 1"));
	assert_null(strstr(report, "verified"));
	json_decref(root);
	free(report);
}

/* Names come from a file and go into a table, JSON and a timeline. */
static void test_strange_job_names_reach_report_and_document(void **state)
{
	(void)state;
	static const char *const names[] = {"with blanks and a very long name indeed",
					    "\"quoted\"",
					    "100%s%n",
					    "back\\slash",
					    "\xc3\xa4\xc3\xb6",
					    "a/b",
					    "{",
					    "-1"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char job[200], options[200], *report;
		const char *trace = program_path_of("name.trace");
		snprintf(job, sizeof(job), "[%s]\nrw=read\nnumber_ios=3\n", names[i]);
		snprintf(options, sizeof(options), "--trace %s", trace);
		json_t *root = run_unusual(job, options, 0, &report),
		       *timeline = json_load_file(trace, 0, NULL);
		const json_t *first = json_array_get(json_object_get(root, "jobs"), 0);
		assert_string_equal(json_string_value(json_object_get(first, "jobname")), names[i]);
		assert_non_null(timeline);
		json_decref(timeline);
		json_decref(root);
		free(report);
	}
}

/* The same run in single figures for people and machines, over all the kinds of figures there are. */
static void test_moderation_and_error_figures_agree(void **state)
{
	(void)state;
	const struct job_run runs[] = {
		{"moderated", "[a]\nrw=randread\niodepth=16\nnumber_ios=500\nlat_percentiles=1\n",
		 "--set msix.holdoff_ns=10000 --set notify.holdoff_ns=2000 --set guest.event_idx=off", 16,
		 IO(500, 0, 0, 0, ANY, 0)},
		{"replays", "[a]\nrw=randwrite\niodepth=16\nnumber_ios=500\nlat_percentiles=1\n",
		 "--set link.error_ppm=20000", 16, IO(0, 500, 0, 0, 0, ANY)},
		{"line interrupts", "[a]\nrw=randread\niodepth=16\nnumber_ios=500\nlat_percentiles=1\n",
		 "--set guest.msix=off", 16, IO(500, 0, 0, 0, ANY, 0)},
	};
	check_job_runs(runs, ARRAY_SIZE(runs));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_on_standard_output_is_all_there_is),
		cmocka_unit_test(test_output_that_cannot_be_written_is_one_line_and_status_2),
		cmocka_unit_test(test_report_into_closed_pipe_is_no_message),
		cmocka_unit_test(test_interrupted_run_reports_what_was_done),
		cmocka_unit_test(test_second_interrupt_ends_a_run_that_does_not_end),
		cmocka_unit_test(test_interrupt_that_was_ignored_at_the_start_stays_so),
		cmocka_unit_test(test_progress_shows_on_a_terminal_and_is_wiped),
		cmocka_unit_test(test_runs_with_next_to_nothing_to_report_have_figures),
		cmocka_unit_test(test_errors_are_counted_alike_in_report_and_document),
		cmocka_unit_test(test_strange_job_names_reach_report_and_document),
		cmocka_unit_test(test_moderation_and_error_figures_agree),
	};
	signal(SIGINT, SIG_DFL); /* shells ignore it for what they start in the background */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
