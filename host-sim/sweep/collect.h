/* Puts the results of a sweep's runs together: DIR/results.jsonl and DIR/results.csv, a row a run in the order of the plan.
 * README.md has the keys of a row. One run is in memory at a time. */
#ifndef KICKSTAND_HOST_SIM_SWEEP_COLLECT_H
#define KICKSTAND_HOST_SIM_SWEEP_COLLECT_H

#include "pcie/base.h"

struct collected {
	uint64_t runs;           /* of the plan */
	uint64_t done;           /* with results and exit status 0 */
	uint64_t failed;         /* rows with an error */
	uint64_t missing;        /* not run yet: no row */
	char first_failure[600]; /* "point 3 seed 1: message" */
};

/* -1 with a one-line reason. */
MUST_USE int collect_results(struct collected *collected, const char *folder, char *error, size_t error_size);

#endif
