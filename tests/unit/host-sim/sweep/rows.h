/* A sweep's folder as its results are read from, written by hand. */
#ifndef KICKSTAND_TESTS_UNIT_HOST_SIM_SWEEP_ROWS_H
#define KICKSTAND_TESTS_UNIT_HOST_SIM_SWEEP_ROWS_H

#include "tests/check.h"

#include <jansson.h>

#define ROWS_SEEDS_MAX 8

struct rows {
	char folder[64]; /* made, empty */
	json_t *sweep;
	json_t *list;
	unsigned seeds;
};

/* With metrics iops (more is better), p99_us and doorbells_per_io (less), and one axis "card.x" with values "0" to "9". */
void rows_begin(struct rows *rows, unsigned seeds);
/* "p99_us", "<=", 80 */
void rows_constrain(struct rows *rows, const char *metric, const char *op, double bound);
void rows_objective(struct rows *rows, const char *metric, const char *goal);

/* One row a seed for the point with the next number, whose axis has the value of that number, modulo 10. `error`, if given,
 * is the last seed's. */
void rows_add(struct rows *rows, const char *role, const double *iops, const double *p99_us,
	      const char *error);

/* The row of the last point's `seed`-th seed, to change it. */
json_t *rows_last(struct rows *rows, unsigned seed);

/* Writes sweep.json and results.jsonl; can be done again after changes. */
void rows_write(const struct rows *rows);
void rows_end(struct rows *rows);

#endif
