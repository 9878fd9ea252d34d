/* The results of a sweep, read back from its folder: what each figure is at each point, over seeds. */
#ifndef KICKSTAND_HOST_SIM_SWEEP_STUDY_H
#define KICKSTAND_HOST_SIM_SWEEP_STUDY_H

#include "host-sim/sweep/statistics.h"
#include "pcie/base.h"

#include <limits.h>

#include <jansson.h>

#define STUDY_CONFIDENCE 0.95
#define STUDY_POINTS_MAX 5000     /* all are kept in memory, and shown in one page */
#define STUDY_NONE       UINT_MAX /* in place of a metric or point */

/* A figure: the metrics of the sweep (host-sim/sweep/metrics.h), then the mean time of each stage of a request. */
struct study_metric {
	const char *name, *unit, *meaning; /* of a stage: its own name; unit "ns" */
	int better;                        /* as in struct metric */
	bool stage;
};

struct study_axis {
	const char *name;
	json_t *values; /* of the specification, then those that only the base has; strings */
	bool load;      /* it varies the job: what the card is asked to do, not what it is */
};

struct study_constraint {
	unsigned metric;
	bool at_most; /* else at least */
	double bound;
};

struct study_point {
	uint64_t number; /* as in the rows */
	bool baseline;
	bool complete; /* every seed gave results */
	unsigned *at;  /* index into the values of each axis */
	json_t *runs;  /* [{"seed", "command", "error"}], in order of seeds; error only if it failed */
	double *value; /* [metric * seeds + seed], NAN where there is none */
	struct estimate *estimate; /* of each metric, over seeds */
};

struct study {
	json_t *sweep; /* sweep.json; the texts belong to it */
	struct study_metric *metric;
	unsigned metrics;
	struct study_axis *axis;
	unsigned axes;
	struct study_constraint *constraint;
	unsigned constraints;
	unsigned objective; /* STUDY_NONE = none */
	bool maximise;
	unsigned seeds;
	struct study_point *
		point; /* in order of their numbers; runs that several points share are in one of them alone */
	unsigned points;
	unsigned baseline; /* STUDY_NONE = none */
};

/* Reads FOLDER/sweep.json and FOLDER/results.jsonl. -1 with a one-line reason, 1 with one if there are too many points;
 * *study is empty then. */
MUST_USE int study_load(struct study *study, const char *folder, char *error, size_t error_size);
void study_free(struct study *study);

/* The value of an axis at a point. */
const char *study_value(const struct study *study, const struct study_point *point, unsigned axis);

/* A point's figures, one a seed. */
const double *study_samples(const struct study *study, const struct study_point *point, unsigned metric);

#endif
