/* One run of a sweep: a point with one of its seeds. */
#ifndef KICKSTAND_HOST_SIM_SWEEP_POINT_H
#define KICKSTAND_HOST_SIM_SWEEP_POINT_H

#include "host-sim/sweep/spec.h"

struct point {
	uint64_t number;
	bool baseline;
	uint64_t seed;
	int level[DESIGN_AXES_MAX];
	struct config config;
	const struct job_template *job;
	struct job_option option[JOB_OPTIONS_MAX]; /* texts of the specification, or of `text` */
	unsigned options;
	char text[DESIGN_AXES_MAX][AXIS_KEYS_MAX][AXIS_TEXT_MAX]; /* values of the axes */
	char *job_text;                                           /* its own job file */
	char job_name[HASH_NAME_MAX + 4];                         /* that file's name: HASH.fio */
	char *arguments;        /* of `kickstand run`, for a shell in the sweep's folder */
	char id[HASH_NAME_MAX]; /* names the run's files: the same arguments, the same name */
};

/* Works out point `number` with the `seed`-th seed. -1 if out of memory. Free with point_free. */
MUST_USE int point_make(struct point *point, const struct sweep_spec *spec, uint64_t number, unsigned seed);
void point_free(struct point *point);

/* "notify.holdoff_ns=500 job.iodepth=4", or "baseline". */
void point_label(const struct point *point, const struct sweep_spec *spec, char *text, size_t size);

/* Everything about the run that is known beforehand: point, role, seed, id, command, axes, level, config. */
json_t *point_json(const struct point *point, const struct sweep_spec *spec);

#endif
