/* The specification of a sweep, an INI file; docs/sweep.md describes it. */
#ifndef KICKSTAND_HOST_SIM_SWEEP_SPEC_H
#define KICKSTAND_HOST_SIM_SWEEP_SPEC_H

#include "host-sim/sweep/axis.h"
#include "host-sim/sweep/design.h"
#include "host-sim/sweep/job_template.h"
#include "host-sim/sweep/metrics.h"
#include "rtl-model/config.h"

#define SPEC_RUNS_MAX        1000000
#define SPEC_CONSTRAINTS_MAX METRICS

/* A value for one key: a configuration key, "job.OPTION" for a fio option, or "job" for the job file. */
struct setting {
	char *key, *value;
	unsigned long line;
};

struct settings {
	struct setting *item;
	unsigned count;
};

struct constraint {
	enum metric_id metric;
	bool at_most; /* else at least */
	double value;
};

struct sweep_spec {
	char *path;
	char *disk;
	char *firmware;       /* absolute; NULL = the program's own */
	struct config config; /* the base: `config` and [set] */
	struct settings set;  /* its other part: job and job options */
	struct settings baseline;
	struct axis *axis; /* as many as design.axes */
	struct design design;
	uint64_t *seed;
	unsigned seeds;
	struct constraint constraint[SPEC_CONSTRAINTS_MAX];
	unsigned constraints;
	enum metric_id objective; /* METRICS = none */
	bool maximise;
	struct job_template *job; /* every job file that some point uses */
	unsigned jobs;
};

/* Reads and checks a specification. -1 with one line "FILE:LINE: what; the mend", *spec then being empty. */
MUST_USE int sweep_spec_load(struct sweep_spec *spec, const char *path, char *error, size_t error_size);
void sweep_spec_free(struct sweep_spec *spec);

/* The job file that a value of the key "job" stands for; one that the specification has. */
const struct job_template *sweep_spec_job(const struct sweep_spec *spec, const char *value);

/* What the specification calls that file. */
const char *sweep_spec_job_name(const struct sweep_spec *spec, const struct job_template *job);

/* Points times seeds. */
uint64_t sweep_spec_runs(const struct sweep_spec *spec);

/* What kind of key it is: */
bool is_job_file(const char *key);
bool is_job_option(const char *key); /* &key[4] is the option then */

#endif
