/* The point to choose: the best by the sweep's objective among those that satisfy its constraints, and how sure that is. */
#ifndef KICKSTAND_HOST_SIM_SWEEP_RECOMMEND_H
#define KICKSTAND_HOST_SIM_SWEEP_RECOMMEND_H

#include "host-sim/sweep/study.h"

#include <stdio.h>

#define RECOMMEND_NEAREST 3

enum verdict {
	VERDICT_NO_OBJECTIVE, /* the specification has none */
	VERDICT_NO_FIGURES,   /* no point has all of its runs and the objective's figure */
	VERDICT_NONE,         /* no point satisfies the constraints: see nearest */
	VERDICT_ONLY,         /* one point satisfies them, so it has nobody to beat */
	VERDICT_ONE_SEED,     /* best, but nothing is known of chance */
	VERDICT_TIED,         /* best, but others may be as good: see tie */
	VERDICT_BEST,         /* better than every other, beyond chance */
};

struct recommendation {
	enum verdict verdict;
	unsigned considered; /* points with all their runs */
	unsigned satisfying; /* those of them that satisfy the constraints */
	unsigned best;       /* index of the point; STUDY_NONE in the first three verdicts */
	unsigned *tie;       /* points not told apart from the best, best first */
	unsigned ties;
	unsigned nearest[RECOMMEND_NEAREST]; /* when none satisfies them: nearest first */
	unsigned nearests;
};

/* -1 if out of memory. Free with recommendation_free. */
MUST_USE int recommend(struct recommendation *r, const struct study *study);
void recommendation_free(struct recommendation *r);

/* How a point stands to a constraint: by its mean, and by its interval. */
enum check {
	CHECK_MISSING, /* no figure */
	CHECK_BROKEN,  /* the mean lies beyond the bound */
	CHECK_UNSURE,  /* the mean does not, but the interval reaches over it */
	CHECK_MET,
};
enum check check_constraint(const struct study_point *point, const struct study_constraint *constraint);
/* Whether the means satisfy all of them. */
bool satisfies(const struct study *study, const struct study_point *point);

/* What the recommended point gains over the baseline in a metric, relative to the baseline's mean. */
enum gain_kind { GAIN_SAME, GAIN_UNSURE, GAIN_CHANGED, GAIN_BETTER, GAIN_WORSE };
struct gain {
	enum gain_kind kind;
	double change, low, high; /* low and high, the interval's ends, are NAN with one seed */
};
/* false if there is nothing to compare: no figure, or a baseline of 0. */
bool gain_over_baseline(const struct study *study, const struct study_point *best, unsigned metric,
			struct gain *gain);

/* The recommendation in sentences, a line each, for the terminal and the report. */
void recommendation_print(const struct recommendation *r, const struct study *study, FILE *out);

#endif
