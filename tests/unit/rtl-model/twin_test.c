/* Waves of twins, and coverage, with two small ones in the kernel.
 *
 * The script below runs once; the tests look at different things in the file it left. */
#include "rtl-model/kernel.h"
#include "rtl-model/wave.h"
#include "tests/unit/rtl-model/twin_counter.h"
#include "tests/vcd.h"

#include <sys/wait.h>
#include <unistd.h>

#define SLOW_PERIOD_PS 3000u
#define FAST_PERIOD_PS 2000u

/* Calls of the twins in the order in which they are made. A process wakes at `at_ps` and makes all calls of its row; edges
 * of later times in a row are those of a core that runs ahead. */
static const struct call {
	uint64_t wake_ps;
	char twin; /* 'f' = fast, 's' = slow */
	uint64_t edge_ps;
	uint8_t add;
} script[] = {
	{2000, 'f', 2000, 1},   {4000, 'f', 4000, 2},   {6000, 'f', 6000, 3},
	{6000, 's', 6000, 5},   {9000, 's', 9000, 7},                           /* alone */
	{10000, 'f', 10000, 1}, {10000, 'f', 10000, 1}, {10000, 'f', 10000, 1}, /* in no time */
	{20000, 'f', 20000, 4}, {20000, 'f', 22000, 5}, {20000, 'f', 24000, 6}, /* ahead */
	{30000, 's', 30000, 9}, {30000, 'f', 30000, 8},
};

struct bench {
	struct counter *fast, *slow;
	struct kernel_process *process;
	unsigned next;
	uint64_t edges; /* the model's signal */
	uint8_t fast_sum, slow_sum;
};

static uint64_t play(void *ctx, uint64_t now_ps)
{
	struct bench *bench = ctx;
	for (; bench->next < ARRAY_SIZE(script) && script[bench->next].wake_ps == now_ps; bench->next++) {
		const struct call *call = &script[bench->next];
		bench->edges++;
		if (call->twin == 'f')
			bench->fast_sum = counter_add(bench->fast, call->edge_ps, call->add);
		else
			bench->slow_sum = counter_add(bench->slow, call->edge_ps, call->add);
	}
	return bench->next < ARRAY_SIZE(script) ? script[bench->next].wake_ps : TIME_NEVER_PS;
}

static uint64_t edges_of(void *ctx, uint64_t now_ps)
{
	(void)now_ps;
	return ((struct bench *)ctx)->edges;
}

static const struct wave_signal signals[] = {{"bench.edges", 16, edges_of}};

static struct vcd wave;
static struct bench bench;

static void convert(const char *fst, const char *vcd)
{
	char command[600];
	snprintf(command, sizeof(command), "fst2vcd -f %s -o %s", fst, vcd);
	assert_int_equal(system(command), 0);
}

static int run_script(void **state)
{
	(void)state;
	char error[300], fst[100], vcd[100];
	snprintf(fst, sizeof(fst), "build/twin_test-%d.fst", (int)getpid());
	snprintf(vcd, sizeof(vcd), "build/twin_test-%d.vcd", (int)getpid());
	bench.fast = counter_create("fast", FAST_PERIOD_PS);
	bench.slow = counter_create("slow", SLOW_PERIOD_PS);
	counter_free(counter_create("gone", FAST_PERIOD_PS));
	bench.process = kernel_process_create("bench", play, &bench);
	const struct wave_source source = {signals, ARRAY_SIZE(signals), &bench};
	/* SystemC's format has no room for twins. */
	assert_int_equal(wave_open(vcd, &source, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "RTL"));
	assert_int_equal(wave_open(fst, &source, error, sizeof(error)), 0);
	kernel_process_wake(bench.process, script[0].wake_ps);
	kernel_run(40000);
	assert_int_equal(wave_close(error, sizeof(error)), 0);
	convert(fst, vcd);
	wave = vcd_read(vcd);
	unlink(fst);
	unlink(vcd);
	return 0;
}

static int free_all(void **state)
{
	(void)state;
	vcd_free(&wave);
	counter_free(bench.fast);
	counter_free(bench.slow);
	return 0;
}

static const struct vcd_values *clock_of(char twin)
{
	return vcd_of(&wave, twin == 'f' ? "rtl.fast.clk_i" : "rtl.slow.clk_i");
}

/* The times at which a clock rose. */
static unsigned rising_edges(const struct vcd_values *clk, uint64_t *at_ps, unsigned room)
{
	unsigned count = 0;
	for (size_t i = 0; i < clk->changes; i++)
		if (clk->change[i].value == 1 && count < room)
			at_ps[count++] = clk->change[i].at_ps;
	return count;
}

static void test_wave_has_every_edge_at_its_time_or_picoseconds_after(void **state)
{
	(void)state;
	for (const char *twin = "fs"; *twin; twin++) {
		uint64_t at_ps[ARRAY_SIZE(script)];
		unsigned seen = rising_edges(clock_of(*twin), at_ps, ARRAY_SIZE(at_ps)), expected = 0;
		for (unsigned i = 0; i < ARRAY_SIZE(script); i++) {
			if (script[i].twin != *twin)
				continue;
			assert_true(expected < seen);
			assert_in_range(at_ps[expected], script[i].edge_ps, script[i].edge_ps + 20);
			expected++;
		}
		assert_int_equal(seen, expected);
	}
}

static void test_wave_left_of_an_edge_has_what_the_edge_saw(void **state)
{
	(void)state;
	for (const char *twin = "fs"; *twin; twin++) {
		const char *scope = *twin == 'f' ? "rtl.fast" : "rtl.slow";
		char name[60];
		const struct vcd_values *of[3];
		static const char *const ports[] = {"add_i", "next_o", "sum_o"};
		for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
			snprintf(name, sizeof(name), "%s.%s", scope, ports[i]);
			of[i] = vcd_of(&wave, name);
		}
		uint64_t at_ps[ARRAY_SIZE(script)];
		unsigned edges = rising_edges(clock_of(*twin), at_ps, ARRAY_SIZE(at_ps)), k = 0;
		uint8_t sum = 0;
		for (unsigned i = 0; i < ARRAY_SIZE(script) && k < edges; i++) {
			if (script[i].twin != *twin)
				continue;
			assert_int_equal(vcd_at(of[0], at_ps[k] - 1), script[i].add);
			assert_int_equal(vcd_at(of[2], at_ps[k] - 1), sum);
			sum = (uint8_t)(sum + script[i].add);
			assert_int_equal(vcd_at(of[1], at_ps[k] - 1), sum);
			assert_int_equal(vcd_at(of[2], at_ps[k]), sum);
			k++;
		}
	}
}

static void test_wave_clocks_fall_half_a_period_later(void **state)
{
	(void)state;
	for (const char *twin = "fs"; *twin; twin++) {
		const struct vcd_values *clk = clock_of(*twin);
		uint64_t half_ps = (*twin == 'f' ? FAST_PERIOD_PS : SLOW_PERIOD_PS) / 2;
		for (size_t i = 1; i + 1 < clk->changes; i++) {
			if (clk->change[i].value != 1)
				continue;
			uint64_t high_ps = clk->change[i + 1].at_ps - clk->change[i].at_ps;
			bool in_no_time = clk->change[i].at_ps / 1000 == 10 && high_ps < 10;
			assert_true(in_no_time || (high_ps <= half_ps && high_ps + 20 >= half_ps));
		}
		assert_int_equal(vcd_last(clk), 0);
	}
}

static void test_wave_has_the_model_beside_its_twins(void **state)
{
	(void)state;
	const struct vcd_values *edges = vcd_of(&wave, "model.bench.edges");
	assert_int_equal(vcd_last(edges), ARRAY_SIZE(script));
	for (unsigned i = 0; i < ARRAY_SIZE(script); i++) {
		if (i + 1 < ARRAY_SIZE(script) && script[i + 1].wake_ps == script[i].wake_ps)
			continue; /* not the last of its instant */
		assert_int_equal(vcd_at(edges, script[i].edge_ps + 100), i + 1);
	}
}

static void test_wave_has_no_twin_that_is_gone(void **state)
{
	(void)state;
	assert_true(vcd_has(&wave, "rtl.fast.twin_counter.sum_q"));
	assert_false(vcd_has(&wave, "rtl.gone.twin_counter.sum_q"));
}

static void test_wave_changes_nothing_in_the_twins(void **state)
{
	(void)state;
	uint8_t fast = 0, slow = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(script); i++)
		*(script[i].twin == 'f' ? &fast : &slow) += script[i].add;
	assert_int_equal(bench.fast_sum, fast);
	assert_int_equal(bench.slow_sum, slow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wave_has_every_edge_at_its_time_or_picoseconds_after),
		cmocka_unit_test(test_wave_left_of_an_edge_has_what_the_edge_saw),
		cmocka_unit_test(test_wave_clocks_fall_half_a_period_later),
		cmocka_unit_test(test_wave_has_the_model_beside_its_twins),
		cmocka_unit_test(test_wave_has_no_twin_that_is_gone),
		cmocka_unit_test(test_wave_changes_nothing_in_the_twins),
	};
	return cmocka_run_group_tests(tests, run_script, free_all);
}
