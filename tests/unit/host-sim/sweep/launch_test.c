/* Planning and running without a simulator: this program plays `kickstand run` itself, and so shows which points are run,
 * how often, and what becomes of those that fail. */
#include "tests/check.h"

#include "host-sim/sweep/collect.h"
#include "host-sim/sweep/folder.h"
#include "host-sim/sweep/launch.h"
#include "host-sim/sweep/slurm.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], out[80], error[5000];

/* ---- in place of the simulator ---- */

/* What `--set notify.threshold=N` asks for: N = 1 ends with status 3, 2 fails with results, 3 dies, 4 takes long. */
static int play_run(int argc, char **argv)
{
	const char *json = NULL, *threshold = "0";
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = argv[i + 1];
		if (strncmp(argv[i], "notify.threshold=", 17) == 0)
			threshold = argv[i] + 17;
	}
	FILE *runs = fopen("runs", "a");
	fprintf(runs, "%s\n", threshold);
	fclose(runs);
	if (threshold[0] == '1' && !threshold[1]) {
		fprintf(stderr, "kickstand run: deadlock at 5 ns\nstate\n");
		return 3;
	}
	if (threshold[0] == '3' && !threshold[1])
		raise(SIGKILL);
	if (threshold[0] == '4' && !threshold[1])
		sleep(60);
	FILE *file = fopen(json, "w");
	fprintf(file, "{\"sim\": {\"ios\": 1}, \"total\": {\"iops\": %s}}\n", threshold);
	fclose(file);
	if (threshold[0] == '2' && !threshold[1]) {
		fprintf(stderr, "kickstand run: wrong data\n");
		return 1;
	}
	return 0;
}

/* ---- help ---- */

static const char *path_of(const char *name)
{
	static char path[4][200];
	static unsigned next;
	char *text = path[next++ % 4];
	snprintf(text, sizeof(path[0]), "%s/%s", folder, name);
	return text;
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "build/tests/launch-%d", (int)getpid());
	snprintf(out, sizeof(out), "%s/out", folder);
	mkdir(folder, 0777);
	put("job.fio", "[one]\nrw=randread\n");
	put("a firmware: $5.elf", "");
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	char command[200];
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static int remove_out(void **state)
{
	(void)state;
	char command[200];
	snprintf(command, sizeof(command), "rm -rf %s", out);
	return system(command);
}

static void load(struct sweep_spec *spec, const char *axis)
{
	char text[600], path[200];
	snprintf(text, sizeof(text),
		 "[sweep]\njob=job.fio\nfirmware=a firmware: $5.elf\n[axis notify.threshold]\n%s\n", axis);
	put("spec.ini", text);
	snprintf(path, sizeof(path), "%s", path_of("spec.ini"));
	if (sweep_spec_load(spec, path, error, sizeof(error)) != 0)
		fail_msg("%s", error);
}

/* Plans and runs; gives the number of runs that were really done. */
static unsigned runs_of(const char *axis, unsigned piece)
{
	struct sweep_spec spec;
	struct plan plan;
	int stop_signal;
	unsigned runs = 0;
	load(&spec, axis);
	assert_int_equal(folder_make(out, error, sizeof(error)), 0);
	unlink(path_of("out/runs"));
	if (plan_write(&plan, &spec, out, piece, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	assert_int_equal(plan.pieces, (plan.runs + piece - 1) / piece);
	if (launch_local(&plan, out, 2, &stop_signal, error, sizeof(error)) != LAUNCH_DONE)
		fail_msg("%s", error);
	FILE *file = fopen(path_of("out/runs"), "r");
	for (int c; file && (c = fgetc(file)) != EOF;)
		runs += c == '\n';
	if (file)
		fclose(file);
	sweep_spec_free(&spec);
	return runs;
}

static struct collected collect(void)
{
	struct collected result;
	if (collect_results(&result, out, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	return result;
}

/* ---- tests ---- */

static void test_every_point_runs_once_whatever_the_pieces(void **state)
{
	(void)state;
	assert_int_equal(runs_of("range=10..19 step 1", 3), 10);
	assert_int_equal(collect().done, 10);
	assert_int_equal(runs_of("range=10..19 step 1", 3), 0);
	/* A point may move to another piece: its result stays good. */
	assert_int_equal(runs_of("range=10..19 step 1", 4), 0);
	assert_int_equal(runs_of("range=10..19 step 1", 100), 0);
	assert_int_not_equal(access(path_of("out/ninja/1.ninja"), F_OK), 0);
	/* Values that are new, on either side and between. */
	assert_int_equal(runs_of("range=8..21 step 1", 3), 4);
	assert_int_equal(collect().done, 14);
	/* Those that are gone have no rows any more, and their results wait. */
	assert_int_equal(runs_of("values=8,10", 3), 0);
	assert_int_equal(collect().done, 2);
}

static void test_equal_points_run_once_and_have_a_row_each(void **state)
{
	(void)state;
	assert_int_equal(runs_of("values=10,11\n[baseline]\nnotify.threshold=11", 100), 2);
	struct collected result = collect();
	assert_int_equal(result.runs, 3);
	assert_int_equal(result.done, 3);
}

static void test_results_older_than_firmware_are_made_again(void **state)
{
	(void)state;
	assert_int_equal(runs_of("values=10,11,12", 100), 3);
	usleep(20000);
	put("a firmware: $5.elf", "changed");
	assert_int_equal(runs_of("values=10,11,12", 100), 3);
	assert_int_equal(runs_of("values=10,11,12", 100), 0);
}

static void test_edited_arguments_run_again(void **state)
{
	(void)state;
	char command[300];
	assert_int_equal(runs_of("values=10,11,12", 100), 3);
	usleep(20000);
	/* Someone tried something by hand: the plan is put right, and the point is run. */
	snprintf(command, sizeof(command), "for f in %s/points/*.args; do echo rubbish > $f; break; done",
		 out);
	assert_int_equal(system(command), 0);
	assert_int_equal(runs_of("values=10,11,12", 100), 1);
}

static void test_points_that_fail_are_noted_and_tried_again(void **state)
{
	(void)state;
	assert_int_equal(runs_of("values=0,1,2,3,5", 2), 5);
	struct collected result = collect();
	assert_int_equal(result.done, 2);
	assert_int_equal(result.failed, 3);
	assert_string_equal(result.first_failure, "point 1 seed 1: deadlock at 5 ns");
	assert_int_equal(runs_of("values=0,1,2,3,5", 2), 3);
	result = collect();
	assert_int_equal(result.failed, 3);
}

static void test_interruption_leaves_no_halves_and_is_told(void **state)
{
	(void)state;
	struct sweep_spec spec;
	struct plan plan;
	int stop_signal = 0, status;
	char command[200];
	load(&spec, "values=10,4,11,12");
	assert_int_equal(folder_make(out, error, sizeof(error)), 0);
	assert_int_equal(plan_write(&plan, &spec, out, 100, error, sizeof(error)), 0);
	pid_t child = fork();
	if (child == 0) {
		enum launched outcome = launch_local(&plan, out, 1, &stop_signal, error, sizeof(error));
		_exit(outcome == LAUNCH_STOPPED ? stop_signal : 99);
	}
	/* The first is done, the second sleeps. */
	for (unsigned waited = 0; waited < 1000; waited++) {
		FILE *runs = fopen(path_of("out/runs"), "r");
		char text[20] = "";
		if (runs) {
			size_t length = fread(text, 1, sizeof(text) - 1, runs);
			text[length] = '\0';
			fclose(runs);
		}
		if (strstr(text, "4\n"))
			break;
		usleep(10000);
	}
	assert_int_equal(kill(child, SIGINT), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), SIGINT);
	struct collected result = collect();
	assert_int_equal(result.done, 1);
	assert_int_equal(result.missing, 3);
	snprintf(command, sizeof(command), "! ls %s/points | grep part", out);
	assert_int_equal(system(command), 0);
	sweep_spec_free(&spec);
	/* Starting again does the rest. */
	assert_int_equal(runs_of("values=10,11,12", 100), 2);
}

/* The address sanitizer keeps what was freed for a while: sizes say nothing then. */
#ifdef __SANITIZE_ADDRESS__
#define SIZES_MEAN_NOTHING true
#else
#define SIZES_MEAN_NOTHING false
#endif

static void test_ninja_gets_no_more_than_a_piece(void **state)
{
	(void)state;
	struct rusage before, after;
	if (SIZES_MEAN_NOTHING)
		skip();
	runs_of("range=10..109 step 1", 100);
	getrusage(RUSAGE_CHILDREN, &before);
	remove_out(state);
	assert_int_equal(runs_of("range=10..609 step 1", 100), 600);
	getrusage(RUSAGE_CHILDREN, &after);
	printf("%ld KiB for 100 points, %ld KiB for 600\n", before.ru_maxrss, after.ru_maxrss);
	assert_true(after.ru_maxrss - before.ru_maxrss < 512);
}

static long plan_kib(const char *axis)
{
	struct rusage usage;
	int status;
	pid_t child = fork();
	if (child == 0) {
		struct sweep_spec spec;
		struct plan plan;
		load(&spec, axis);
		_exit(folder_make(out, error, sizeof(error)) != 0 ||
		      plan_write(&plan, &spec, out, 1000, error, sizeof(error)) != 0);
	}
	assert_int_equal(wait4(child, &status, 0, &usage), child);
	assert_int_equal(status, 0);
	return usage.ru_maxrss;
}

static void test_plan_memory_does_not_grow_with_points(void **state)
{
	(void)state;
	static const char grid[] = "range=1..100 step 1\n[axis fetch.batch]\n";
	char few_points[120], many_points[120];
	if (SIZES_MEAN_NOTHING)
		skip();
	snprintf(few_points, sizeof(few_points), "%srange=1..10 step 1", grid);
	snprintf(many_points, sizeof(many_points), "%srange=1..60 step 1", grid);
	long few = plan_kib(few_points), many = plan_kib(many_points);
	printf("%ld KiB for 1000 points, %ld KiB for 6000\n", few, many);
	assert_true(many - few < 512);
}

static void test_folder_is_locked_against_another_sweep(void **state)
{
	(void)state;
	assert_int_equal(folder_make(out, error, sizeof(error)), 0);
	int lock = folder_lock(out, error, sizeof(error));
	assert_true(lock >= 0);
	assert_int_equal(folder_lock(out, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "another sweep is at work"));
	close(lock);
	lock = folder_lock(out, error, sizeof(error));
	assert_true(lock >= 0);
	close(lock);
}

static void test_folder_that_cannot_be_made_is_named(void **state)
{
	(void)state;
	assert_int_equal(folder_make("/proc/nothing", error, sizeof(error)), -1);
	assert_non_null(strstr(error, "/proc/nothing: cannot be made"));
	assert_int_equal(folder_make(path_of("job.fio"), error, sizeof(error)), -1);
	assert_non_null(strstr(error, "job.fio"));
}

/* Tasks that are worth their start, and no more of them than an array may have. */
static void test_slurm_pieces_fit_an_array(void **state)
{
	(void)state;
	static const uint64_t runs[] = {1, 19, 20, 21, 500, 20000, 20001, 999999, 1000000};
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
		unsigned piece = slurm_piece(runs[i]);
		assert_true(piece >= 20);
		assert_true((runs[i] + piece - 1) / piece <= 1000);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "run") == 0)
		return play_run(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_every_point_runs_once_whatever_the_pieces, remove_out),
		cmocka_unit_test_teardown(test_equal_points_run_once_and_have_a_row_each, remove_out),
		cmocka_unit_test_teardown(test_results_older_than_firmware_are_made_again, remove_out),
		cmocka_unit_test_teardown(test_edited_arguments_run_again, remove_out),
		cmocka_unit_test_teardown(test_points_that_fail_are_noted_and_tried_again, remove_out),
		cmocka_unit_test_teardown(test_interruption_leaves_no_halves_and_is_told, remove_out),
		cmocka_unit_test_teardown(test_ninja_gets_no_more_than_a_piece, remove_out),
		cmocka_unit_test_teardown(test_plan_memory_does_not_grow_with_points, remove_out),
		cmocka_unit_test_teardown(test_folder_is_locked_against_another_sweep, remove_out),
		cmocka_unit_test(test_folder_that_cannot_be_made_is_named),
		cmocka_unit_test(test_slurm_pieces_fit_an_array),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
