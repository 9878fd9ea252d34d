/* One side of a comparison: figures of runs, read from result files.
 *
 *   RUN.json        the document of `kickstand run --json`
 *   SWEEP.jsonl     rows of a sweep, or the sweep's folder; each point is a case of its own
 *   SWEEP.jsonl#N   the rows of point N alone
 *
 * Runs of a case are repeats of each other: they differ in their seed and in nothing else. */
#ifndef KICKSTAND_HOST_SIM_COMPARE_SIDE_H
#define KICKSTAND_HOST_SIM_COMPARE_SIDE_H

#include "host-sim/sweep/metrics.h"

/* What was measured of the whole run, or of one direction of one job. */
struct subject {
	char *name;
	double value[METRICS]; /* NAN: none */
};

struct repeat {
	uint64_t seed;
	struct subject *subject;
	unsigned subjects;
	bool completion_percentiles; /* a job's percentiles are without its submission latency */
};

struct compared_case {
	char *label;    /* values of a sweep's axes; "" for documents and a chosen point */
	json_t *config; /* key to text: configuration and job options, without the seed */
	struct repeat *repeat;
	unsigned repeats;
};

struct side {
	struct compared_case *item;
	unsigned count;
	uint64_t left_out; /* rows of runs that failed */
};

/* Adds a file's runs. -1 with one line that says what is wrong with it. */
MUST_USE int side_add(struct side *side, const char *path, char *error, size_t error_size);
void side_free(struct side *side);

/* The case with this label, or NULL; it is quick if it is item `guess`. */
const struct compared_case *side_find(const struct side *side, const char *label, unsigned guess);

#endif
