/* Results for machines: the JSON document of --json. */
#ifndef KICKSTAND_HOST_SIM_RESULTS_H
#define KICKSTAND_HOST_SIM_RESULTS_H

#include "host-sim/run.h"

#include <jansson.h>

#define KICKSTAND_VERSION "0.1"

/* A reporting group: the clones of one job, or with group_reporting all jobs of a group. */
struct job_group {
	const struct fio_job *job;
	struct job_stats *stats;
};

/* Adds up what the run's clones measured, one entry a reported job. NULL if out of memory; free with free_groups. */
struct job_group *make_groups(const struct run *run, unsigned *count);
void free_groups(struct job_group *groups, unsigned count);

/* Writes the document to a file. Returns 0, or -1 with a one-line reason. Wall-clock figures are the only ones that
 * differ between runs with the same seed, and stand in sim.wall_s and sim.ios_per_wall_s alone. */
/* Parts of it that are about the card; results_dump writes a document, takes its reference, and returns as results_write. */
json_t *results_program(const struct config *config, const struct store *store);
json_t *results_card(const struct config *config, struct device *device, const struct figures *f);
json_t *results_links(const struct figures *f);
json_t *results_stages(const struct stages *stages);
MUST_USE int results_dump(json_t *root, const char *path, char *error, size_t error_size);

MUST_USE int results_write(const struct run *run, const char *path, char *error, size_t error_size);

#endif
