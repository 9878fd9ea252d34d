/* The recommendation on sweeps small enough to work out by hand. */
#include "host-sim/sweep/recommend.h"
#include "tests/unit/host-sim/sweep/rows.h"

#include <math.h>

struct world {
	struct rows rows;
	struct study study;
	struct recommendation r;
	char *text;
};

static void conclude(struct world *w)
{
	char error[300];
	size_t size;
	rows_write(&w->rows);
	if (study_load(&w->study, w->rows.folder, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	assert_int_equal(recommend(&w->r, &w->study), 0);
	FILE *out = open_memstream(&w->text, &size);
	recommendation_print(&w->r, &w->study, out);
	fclose(out);
	print_message("%s", w->text);
}

static void finish(struct world *w)
{
	free(w->text);
	recommendation_free(&w->r);
	study_free(&w->study);
	rows_end(&w->rows);
}

static void assert_says(const struct world *w, const char *words)
{
	if (!strstr(w->text, words))
		fail_msg("'%s' is not in:\n%s", words, w->text);
}

#define ADD(world, role, error, iops0, iops1, iops2, p0, p1, p2)                                             \
	rows_add(&(world)->rows, role, (const double[]){iops0, iops1, iops2}, (const double[]){p0, p1, p2},  \
		 error)

static void test_recommend_clear_winner_is_best_and_gains_are_right(void **state)
{
	struct world w;
	struct gain gain;
	(void)state;
	rows_begin(&w.rows, 3);
	rows_objective(&w.rows, "iops", "maximise");
	rows_constrain(&w.rows, "p99_us", "<=", 80);
	ADD(&w, "baseline", NULL, 100, 102, 101, 50, 51, 52);
	ADD(&w, "point", NULL, 111, 111, 111, 60, 60, 60);
	ADD(&w, "point", NULL, 121, 122, 120, 70, 71, 72);
	ADD(&w, "point", NULL, 190, 191, 192, 90, 91, 92); /* breaks the constraint */
	conclude(&w);
	assert_int_equal(w.r.verdict, VERDICT_BEST);
	assert_int_equal(w.r.best, 2);
	assert_int_equal(w.r.considered, 4);
	assert_int_equal(w.r.satisfying, 3);
	assert_int_equal(w.r.ties, 0);
	/* Differences 21, 20, 19 on 101: mean 20, deviation 1, t(2) = 4.302653. */
	assert_true(gain_over_baseline(&w.study, &w.study.point[2], w.study.objective, &gain));
	assert_int_equal(gain.kind, GAIN_BETTER);
	assert_true(fabs(gain.change - 20.0 / 101) < 1e-12);
	assert_true(fabs(gain.low - (20 - 4.302653 / sqrt(3)) / 101) < 1e-6);
	assert_true(fabs(gain.high - (20 + 4.302653 / sqrt(3)) / 101) < 1e-6);
	/* p99 went up, which is worse. */
	assert_true(gain_over_baseline(&w.study, &w.study.point[2], 1, &gain));
	assert_int_equal(gain.kind, GAIN_WORSE);
	assert_says(&w, "Highest iops 121 ");
	assert_says(&w, "point 2 (card.x=2)");
	assert_says(&w, "beyond chance");
	assert_says(&w, "iops +19.8 %");
	finish(&w);
}

static void test_recommend_overlapping_points_are_ties(void **state)
{
	struct world w;
	(void)state;
	rows_begin(&w.rows, 3);
	rows_objective(&w.rows, "p99_us", "minimise");
	ADD(&w, "baseline", NULL, 1, 1, 1, 50, 55, 60);
	ADD(&w, "point", NULL, 1, 1, 1, 54, 50, 58); /* mean 54 */
	ADD(&w, "point", NULL, 1, 1, 1, 90, 91, 92);
	conclude(&w);
	assert_int_equal(w.r.verdict, VERDICT_TIED);
	assert_int_equal(w.r.best, 1);
	assert_int_equal(w.r.ties, 1);
	assert_int_equal(w.r.tie[0], 0);
	assert_says(&w, "not told apart from 1 of the 2 others");
	assert_says(&w, "nothing here is shown to be better");
	finish(&w);
}

/* Differences of 10, 11, 12 (t = 19.05, p = 0.00274 on two degrees) are clear for one comparison, and among nine (0.05 / 9 =
 * 0.0056), but not among thirty (0.0017). */
static void test_recommend_many_comparisons_ask_for_more(void **state)
{
	(void)state;
	for (unsigned others = 1; others <= 30; others += others == 1 ? 8 : 21) {
		struct world w;
		rows_begin(&w.rows, 3);
		rows_objective(&w.rows, "iops", "maximise");
		ADD(&w, "point", NULL, 200, 200, 200, 1, 1, 1);
		ADD(&w, "point", NULL, 190, 189, 188, 1, 1, 1);
		for (unsigned i = 1; i < others; i++)
			ADD(&w, "point", NULL, 10, 10, 10, 1, 1, 1);
		conclude(&w);
		assert_int_equal(w.r.best, 0);
		assert_int_equal(w.r.verdict, others < 30 ? VERDICT_BEST : VERDICT_TIED);
		finish(&w);
	}
}

static void test_recommend_no_point_satisfies_names_the_nearest_in_order(void **state)
{
	struct world w;
	(void)state;
	rows_begin(&w.rows, 1);
	rows_objective(&w.rows, "iops", "maximise");
	rows_constrain(&w.rows, "p99_us", "<=", 100);
	rows_constrain(&w.rows, "iops", ">=", 1000);
	ADD(&w, "point", NULL, 1000, 0, 0, 150, 0, 0); /* 50 % over */
	ADD(&w, "point", NULL, 900, 0, 0, 120, 0, 0);  /* 20 % over, 10 % under */
	ADD(&w, "point", NULL, 700, 0, 0, 100, 0, 0);  /* 30 % under */
	ADD(&w, "point", NULL, 10, 0, 0, 90, 0, 0);    /* 99 % under */
	ADD(&w, "point", NULL, 950, 0, 0, NAN, 0, 0);  /* not measured */
	conclude(&w);
	assert_int_equal(w.r.verdict, VERDICT_NONE);
	assert_int_equal(w.r.best, STUDY_NONE);
	assert_int_equal(w.r.nearests, 3);
	assert_int_equal(w.r.nearest[0], 1);
	assert_int_equal(w.r.nearest[1], 2);
	assert_int_equal(w.r.nearest[2], 0);
	assert_says(&w, "No point of 5 satisfies p99_us <= 100 and iops >= 1000.");
	assert_says(&w, "Nearest is point 1 (card.x=1), which misses p99_us <= 100 with 120 and iops >= 1000 "
			"with 900.");
	finish(&w);
}

static void test_recommend_points_with_failed_runs_are_not_considered(void **state)
{
	struct world w;
	(void)state;
	rows_begin(&w.rows, 3);
	rows_objective(&w.rows, "iops", "maximise");
	ADD(&w, "point", NULL, 10, 11, 12, 1, 1, 1);
	ADD(&w, "point", "deadlock", 99, 99, 99, 1, 1, 1);
	conclude(&w);
	assert_int_equal(w.r.verdict, VERDICT_ONLY);
	assert_int_equal(w.r.best, 0);
	assert_int_equal(w.r.considered, 1);
	assert_says(&w, "1 point was not considered");
	finish(&w);
}

static void test_recommend_one_seed_says_that_chance_is_unknown(void **state)
{
	struct world w;
	struct gain gain;
	(void)state;
	rows_begin(&w.rows, 1);
	rows_objective(&w.rows, "iops", "maximise");
	ADD(&w, "baseline", NULL, 10, 0, 0, 1, 0, 0);
	ADD(&w, "point", NULL, 12, 0, 0, 1, 0, 0);
	ADD(&w, "point", NULL, 12, 0, 0, 1, 0, 0);
	conclude(&w);
	assert_int_equal(w.r.verdict, VERDICT_ONE_SEED);
	assert_int_equal(w.r.best, 1);
	assert_int_equal(w.r.ties, 1);
	assert_true(gain_over_baseline(&w.study, &w.study.point[1], 0, &gain));
	assert_int_equal(gain.kind, GAIN_UNSURE);
	assert_true(isnan(gain.low));
	assert_says(&w, "one seed");
	assert_says(&w, "exactly the same figure");
	finish(&w);
}

static void test_recommend_equal_points_keep_the_baseline(void **state)
{
	struct world w;
	(void)state;
	rows_begin(&w.rows, 3);
	rows_objective(&w.rows, "iops", "maximise");
	ADD(&w, "point", NULL, 10, 11, 12, 1, 1, 1);
	ADD(&w, "baseline", NULL, 10, 11, 12, 1, 1, 1);
	conclude(&w);
	assert_int_equal(w.r.best, 1);
	assert_int_equal(w.r.ties, 1);
	assert_says(&w, "the baseline itself");
	finish(&w);
}

static void test_recommend_interval_over_the_bound_is_said(void **state)
{
	struct world w;
	(void)state;
	rows_begin(&w.rows, 3);
	rows_objective(&w.rows, "iops", "maximise");
	rows_constrain(&w.rows, "p99_us", "<=", 80);
	ADD(&w, "point", NULL, 10, 11, 12, 77, 79, 81); /* 79 +- 4.97 */
	ADD(&w, "point", NULL, 1, 1, 1, 20, 21, 22);
	conclude(&w);
	assert_int_equal(check_constraint(&w.study.point[0], &w.study.constraint[0]), CHECK_UNSURE);
	assert_int_equal(check_constraint(&w.study.point[1], &w.study.constraint[0]), CHECK_MET);
	assert_says(&w, "reaches over that bound");
	finish(&w);
}

static void test_recommend_without_objective_or_figures_says_so(void **state)
{
	struct world w;
	(void)state;
	rows_begin(&w.rows, 1);
	ADD(&w, "point", "no such job", 1, 0, 0, 1, 0, 0);
	conclude(&w);
	assert_int_equal(w.r.verdict, VERDICT_NO_OBJECTIVE);
	assert_says(&w, "no [objective]");
	free(w.text);
	recommendation_free(&w.r);
	study_free(&w.study);
	rows_objective(&w.rows, "iops", "maximise");
	conclude(&w);
	assert_int_equal(w.r.verdict, VERDICT_NO_FIGURES);
	assert_says(&w, "Nothing can be recommended");
	finish(&w);
}

/* The load is not the card's doing. */
static void test_recommend_other_load_than_the_baseline_is_said(void **state)
{
	struct world w;
	(void)state;
	rows_begin(&w.rows, 3);
	rows_objective(&w.rows, "iops", "maximise");
	json_t *keys = json_object_get(json_array_get(json_object_get(w.rows.sweep, "axes"), 0), "keys");
	json_array_set_new(keys, 0, json_string("job.iodepth"));
	ADD(&w, "baseline", NULL, 10, 11, 12, 1, 1, 1);
	ADD(&w, "point", NULL, 20, 21, 22, 1, 1, 1);
	conclude(&w);
	assert_true(w.study.axis[0].load);
	assert_says(&w, "card.x, which is load, not card");
	finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recommend_clear_winner_is_best_and_gains_are_right),
		cmocka_unit_test(test_recommend_overlapping_points_are_ties),
		cmocka_unit_test(test_recommend_many_comparisons_ask_for_more),
		cmocka_unit_test(test_recommend_no_point_satisfies_names_the_nearest_in_order),
		cmocka_unit_test(test_recommend_points_with_failed_runs_are_not_considered),
		cmocka_unit_test(test_recommend_one_seed_says_that_chance_is_unknown),
		cmocka_unit_test(test_recommend_equal_points_keep_the_baseline),
		cmocka_unit_test(test_recommend_interval_over_the_bound_is_said),
		cmocka_unit_test(test_recommend_without_objective_or_figures_says_so),
		cmocka_unit_test(test_recommend_other_load_than_the_baseline_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
