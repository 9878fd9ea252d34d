/* Rows of a sweep as a table (RFC 4180): nested keys get names with dots, a column each. */
#ifndef KICKSTAND_HOST_SIM_SWEEP_CSV_H
#define KICKSTAND_HOST_SIM_SWEEP_CSV_H

#include "pcie/base.h"

#include <jansson.h>
#include <stdio.h>

/* The names of the columns, in order: what a person looks for first stands first. */
struct csv {
	json_t *columns; /* an object, for its order and its quick search; the values mean nothing */
};

void csv_begin(struct csv *csv);
void csv_end(struct csv *csv);

/* Adds the columns of a row that are new. */
void csv_learn(struct csv *csv, const json_t *row);

void csv_head(const struct csv *csv, FILE *out);
void csv_row(const struct csv *csv, const json_t *row, FILE *out);

#endif
