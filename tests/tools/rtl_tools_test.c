/* The tools around the RTL twins: what they say of the twins as they are, and that they would say something else of others. */
#include "tests/check.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs a line of shell; returns its exit status and, in a buffer of the caller's, what it printed. */
static int run(const char *line, char *out, size_t size)
{
	char command[600];
	printf("run: %s\n", line);
	fflush(stdout);
	snprintf(command, sizeof(command), "%s 2>&1", line);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	size_t bytes = fread(out, 1, size - 1, pipe);
	out[bytes] = '\0';
	int status = pclose(pipe);
	printf("%s", out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static unsigned count_of(const char *text, const char *part)
{
	unsigned count = 0;
	for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
		count++;
	return count;
}

/* Yosys reads every block with every choice of options, finds no latches, loops or conflicting drivers. */
static void test_rtl_with_all_options_is_synthesizable(void **state)
{
	(void)state;
	char out[16384];
	assert_int_equal(run("tools/synth.py --check", out, sizeof(out)), 0);
	static const char *const blocks[] = {"ks_notify ", "ks_msix ", "ks_fetch ", "ks_core "};
	for (unsigned i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		assert_non_null(strstr(out, blocks[i]));
}

static void test_rtl_with_all_options_has_no_lint(void **state)
{
	(void)state;
	char out[16384];
	assert_int_equal(run("tools/lint_rtl.py", out, sizeof(out)), 0);
}

/* A small block goes all the way, and every kind of cell it becomes is known to the table. */
static void test_synthesis_of_a_small_block_is_counted(void **state)
{
	(void)state;
	char out[4096];
	unsigned luts, memory, flip_flops;
	assert_int_equal(run("tools/synth.py --only '17 vectors, no moderation'", out, sizeof(out)), 0);
	const char *counts = strstr(out, "no threshold: ");
	assert_non_null(counts);
	assert_int_equal(sscanf(counts, "no threshold: %u LUTs %u of these memory %u flip-flops", &luts,
				&memory, &flip_flops),
			 3);
	/* An entry has an address of 62 bits and data of 32, of which a 7-series LUT holds 32 at most. */
	assert_true(memory >= (62 + 32) * 17 / 32);
	assert_true(luts > memory && flip_flops > 0);
}

static void test_accuracy_of_equals_is_perfect(void **state)
{
	(void)state;
	char out[8192];
	assert_int_equal(run("tools/accuracy.py --only 'depth 1' --ios 1 --against device.impl=model", out,
			     sizeof(out)),
			 0);
	assert_non_null(strstr(out, "limits (mean 5 %, worst 15 %) held"));
	const char *all = strstr(out, "all (");
	assert_non_null(all);
	assert_non_null(strstr(all, "all: 0.0 0.0 %"));
}

static void test_accuracy_tells_a_slower_card(void **state)
{
	(void)state;
	char out[8192];
	assert_int_equal(run("tools/accuracy.py --only 'depth 1' --ios 1 --against media.read_ns=20000", out,
			     sizeof(out)),
			 1);
	assert_non_null(strstr(out, "exceeded"));
}

/* A few short runs in RTL: is the model as near as it is said to be? */
static void test_accuracy_of_the_model_holds_in_short_runs(void **state)
{
	(void)state;
	char out[8192];
	assert_int_equal(run("tools/accuracy.py --only 'depth 8' --ios 10", out, sizeof(out)), 0);
	assert_true(count_of(out, "depth 8") >= 3);
}

/* Counts as Verilator writes them: the fields of a point are led by \1 and parted by \2. */
static void put_point(FILE *out, const char *page, unsigned line, const char *name, unsigned count)
{
	fprintf(out,
		"C "
		"'\1f\2rtl-model/blocks/notify/ks_first_set.sv\1l\2%u\1n\0022\1page\2%s/"
		"ks_first_set\1o\2%s\1h\2top.x' "
		"%u\n",
		line, page, name, count);
}

static void test_coverage_lists_what_a_test_leaves_out(void **state)
{
	(void)state;
	char out[65536], folder[64], path[80], line[200];
	snprintf(folder, sizeof(folder), "build/coverage-%d", (int)getpid());
	assert_int_equal(mkdir(folder, 0777), 0);
	/* Two runs: line 10 ran in one of them, line 11 in none; a bit went up and down over both, another only up. */
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/run-%u.dat", folder, i);
		FILE *counts = fopen(path, "w");
		assert_non_null(counts);
		fprintf(counts, "# SystemC::Coverage-3\n");
		put_point(counts, "v_line", 10, "block", i);
		put_point(counts, "v_branch", 11, "if", 0);
		put_point(counts, "v_toggle", 12, "any_o", 1);
		put_point(counts, "v_toggle", 13, "other_o", i);
		fclose(counts);
	}
	snprintf(line, sizeof(line), "tools/coverage.py --keep --toggles --folder %s", folder);
	assert_int_equal(run(line, out, sizeof(out)), 1);
	snprintf(line, sizeof(line), "rm -r %s", folder);
	assert_int_equal(system(line), 0);
	unsigned points, bits;
	double ran, settled, moved;
	const char *row = strstr(out, "\nks_first_set ");
	assert_non_null(row);
	assert_int_equal(
		sscanf(row, " ks_first_set %u %lf %lf %u %lf", &points, &ran, &settled, &bits, &moved), 5);
	assert_int_equal(points, 2);
	assert_true(ran == 50.0 && moved == 50.0);
	assert_int_equal(bits, 2);
	assert_int_equal(count_of(out, "never ran: rtl-model/blocks/notify/ks_first_set.sv:11: if: "), 1);
	assert_null(strstr(out, "ks_first_set.sv:10"));
	assert_non_null(strstr(out, "never up and down: ks_first_set: other_o\n"));
	assert_non_null(strstr(out, "1 lines and branches never ran, 1 of them unexplained"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rtl_with_all_options_is_synthesizable),
		cmocka_unit_test(test_rtl_with_all_options_has_no_lint),
		cmocka_unit_test(test_synthesis_of_a_small_block_is_counted),
		cmocka_unit_test(test_accuracy_of_equals_is_perfect),
		cmocka_unit_test(test_accuracy_tells_a_slower_card),
		cmocka_unit_test(test_accuracy_of_the_model_holds_in_short_runs),
		cmocka_unit_test(test_coverage_lists_what_a_test_leaves_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
