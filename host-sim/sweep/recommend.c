#include "host-sim/sweep/recommend.h"

#include <math.h>
#include <stdlib.h>

#define LEVEL (1 - STUDY_CONFIDENCE)

/* ---- constraints ---- */

enum check check_constraint(const struct study_point *point, const struct study_constraint *constraint)
{
	const struct estimate *e = &point->estimate[constraint->metric];
	double side = constraint->at_most ? 1 : -1;
	if (isnan(e->mean))
		return CHECK_MISSING;
	if (side * e->mean > side * constraint->bound)
		return CHECK_BROKEN;
	return e->half > side * (constraint->bound - e->mean) ? CHECK_UNSURE : CHECK_MET;
}

bool satisfies(const struct study *study, const struct study_point *point)
{
	for (unsigned i = 0; i < study->constraints; i++)
		if (check_constraint(point, &study->constraint[i]) <= CHECK_BROKEN)
			return false;
	return true;
}

/* How far the worst constraint is missed, in parts of its bound; 0 if all are met. */
static double miss(const struct study *study, const struct study_point *point)
{
	double worst = 0;
	for (unsigned i = 0; i < study->constraints; i++) {
		const struct study_constraint *c = &study->constraint[i];
		double mean = point->estimate[c->metric].mean;
		double over = c->at_most ? mean - c->bound : c->bound - mean;
		if (isnan(mean))
			return INFINITY;
		worst = fmax(worst, c->bound == 0 ? over : over / fabs(c->bound));
	}
	return worst;
}

/* Three at most are kept, in order. */
static void add_nearest(struct recommendation *r, const struct study *study, unsigned point)
{
	double distance = miss(study, &study->point[point]);
	unsigned place = r->nearests;
	if (isinf(distance))
		return;
	while (place > 0 && miss(study, &study->point[r->nearest[place - 1]]) > distance)
		place--;
	if (place == RECOMMEND_NEAREST)
		return;
	if (r->nearests < RECOMMEND_NEAREST)
		r->nearests++;
	for (unsigned i = r->nearests - 1; i > place; i--)
		r->nearest[i] = r->nearest[i - 1];
	r->nearest[place] = point;
}

/* ---- the best, and who may be as good ---- */

/* A point with a failed run is none to recommend, whatever its other runs gave. */
static bool is_considered(const struct study *study, const struct study_point *point)
{
	return point->complete && !isnan(point->estimate[study->objective].mean);
}

static bool is_candidate(const struct study *study, unsigned point)
{
	return is_considered(study, &study->point[point]) && satisfies(study, &study->point[point]);
}

/* The objective, turned so that more is better. */
static double worth(const struct study *study, unsigned point)
{
	double mean = study->point[point].estimate[study->objective].mean;
	return study->maximise ? mean : -mean;
}

static void find_best(struct recommendation *r, const struct study *study)
{
	for (unsigned i = 0; i < study->points; i++) {
		if (!is_considered(study, &study->point[i]))
			continue;
		r->considered++;
		if (!is_candidate(study, i)) {
			add_nearest(r, study, i);
			continue;
		}
		r->satisfying++;
		/* Of equals the baseline: there is no reason to change. */
		if (r->best == STUDY_NONE || worth(study, i) > worth(study, r->best) ||
		    (worth(study, i) == worth(study, r->best) && i == study->baseline))
			r->best = i;
	}
}

/* Among many comparisons some would seem clear by chance: the level is divided by their number (Bonferroni). */
static bool is_tied(const struct recommendation *r, const struct study *study, unsigned point)
{
	struct estimate lead = estimate_difference(
		study_samples(study, &study->point[r->best], study->objective),
		study_samples(study, &study->point[point], study->objective), study->seeds, STUDY_CONFIDENCE);
	return isnan(lead.p) ? lead.mean == 0 : lead.p > LEVEL / (r->satisfying - 1);
}

/* qsort_r's order: more worth first, then as in the sweep. */
static int by_worth(const void *a, const void *b, void *ctx)
{
	const struct study *study = ctx;
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
	double difference = worth(study, y) - worth(study, x);
	return difference != 0 ? (difference > 0 ? 1 : -1) : (x > y) - (x < y);
}

static void find_ties(struct recommendation *r, const struct study *study)
{
	for (unsigned i = 0; i < study->points; i++)
		if (i != r->best && is_candidate(study, i) && is_tied(r, study, i))
			r->tie[r->ties++] = i;
	qsort_r(r->tie, r->ties, sizeof(*r->tie), by_worth, (void *)(uintptr_t)study);
}

static enum verdict verdict_of(const struct recommendation *r, const struct study *study)
{
	if (r->considered == 0)
		return VERDICT_NO_FIGURES;
	if (r->best == STUDY_NONE)
		return VERDICT_NONE;
	if (r->satisfying == 1)
		return VERDICT_ONLY;
	if (study->seeds == 1)
		return VERDICT_ONE_SEED;
	return r->ties ? VERDICT_TIED : VERDICT_BEST;
}

int recommend(struct recommendation *r, const struct study *study)
{
	*r = (struct recommendation){.best = STUDY_NONE, .tie = calloc(study->points + 1, sizeof(*r->tie))};
	if (!r->tie)
		return -1;
	if (study->objective == STUDY_NONE)
		return 0;
	find_best(r, study);
	if (r->best != STUDY_NONE)
		r->nearests = 0;
	if (r->satisfying > 1)
		find_ties(r, study);
	r->verdict = verdict_of(r, study);
	return 0;
}

void recommendation_free(struct recommendation *r)
{
	free(r->tie);
	*r = (struct recommendation){0};
}

/* ---- against the baseline ---- */

static enum gain_kind kind_of(const struct estimate *change, int better)
{
	if (change->mean == 0 && !(change->half > 0))
		return GAIN_SAME;
	if (!(change->p <= LEVEL))
		return GAIN_UNSURE;
	if (better == 0)
		return GAIN_CHANGED;
	return (change->mean > 0) == (better > 0) ? GAIN_BETTER : GAIN_WORSE;
}

bool gain_over_baseline(const struct study *study, const struct study_point *best, unsigned metric,
			struct gain *gain)
{
	if (study->baseline == STUDY_NONE || best == &study->point[study->baseline])
		return false;
	const struct study_point *base = &study->point[study->baseline];
	double from = fabs(base->estimate[metric].mean);
	struct estimate change =
		estimate_difference(study_samples(study, best, metric), study_samples(study, base, metric),
				    study->seeds, STUDY_CONFIDENCE);
	if (!(from > 0) || isnan(change.mean))
		return false;
	*gain = (struct gain){kind_of(&change, study->metric[metric].better), change.mean / from,
			      (change.mean - change.half) / from, (change.mean + change.half) / from};
	return true;
}
