/* Compares two sides, figure by figure: change, significance, direction, limit. */
#ifndef KICKSTAND_HOST_SIM_COMPARE_COMPARE_H
#define KICKSTAND_HOST_SIM_COMPARE_COMPARE_H

#include "host-sim/compare/side.h"

#include <stdio.h>

enum compare_test { TEST_WELCH, TEST_MANN_WHITNEY };

/* How much worse a metric may become. */
struct limit {
	bool set, relative;
	double value; /* relative: a part of a's mean, 0.05 for 5 % */
};

struct compare_options {
	enum compare_test test;
	double alpha;
	struct limit limit[METRICS];
};

/* One figure of one subject of one case. */
struct change {
	const struct compared_case *of; /* on side a */
	const char *subject;
	enum metric_id metric;
	unsigned a_count, b_count;
	double a_mean, b_mean;
	double change;    /* b less a */
	double low, high; /* confidence interval of it; NAN without seeds enough */
	double p, p_holm; /* NAN: not tested, a side has fewer than two seeds */
	bool certain;     /* no seed changes the figure, on either side: no test either */
	bool significant;
	bool past_limit;
};

struct key_change {
	const char *key;   /* owned by a configuration */
	const char *a, *b; /* texts; NULL: the side does not have it */
	unsigned cases;    /* that differ in it; a and b are of the first */
};

struct comparison {
	struct change *change;
	unsigned changes;
	struct key_change *key;
	unsigned keys;
	unsigned cases, only_a, only_b; /* cases on both sides, on one */
	unsigned tests, limit_tests;    /* families of Holm's correction: figures without a limit, with one */
	unsigned past_limits;
	bool completion_percentiles, few_seeds;
};

/* -1 with a one-line reason if nothing can be compared, or nothing for a limit. */
MUST_USE int compare_sides(struct comparison *comparison, const struct side *a, const struct side *b,
			   const struct compare_options *options, char *error, size_t error_size);
void comparison_free(struct comparison *comparison);

/* 1 better, -1 worse, 0 neither or not to be told apart from chance. */
int change_direction(const struct change *change);

/* For a person; with more than one case only what is significant or past a limit. */
void comparison_print(const struct comparison *comparison, const struct compare_options *options, FILE *out);

/* For a machine. Owner: caller. */
json_t *comparison_json(const struct comparison *comparison);

#endif
