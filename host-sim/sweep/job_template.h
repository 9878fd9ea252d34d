/* A fio job file as a sweep uses it: every point gets a copy, with options of the sweep's own in it, that stands by itself
 * in the sweep's folder. I/O logs to be replayed are copied there, too. */
#ifndef KICKSTAND_HOST_SIM_SWEEP_JOB_TEMPLATE_H
#define KICKSTAND_HOST_SIM_SWEEP_JOB_TEMPLATE_H

#include "host-sim/sweep/hash.h"

#define JOB_LOGS_MAX    16
#define JOB_OPTIONS_MAX 64

struct job_template {
	char *path;
	char *text; /* read_iolog names the copies */
	struct job_log {
		char *path, *name; /* of the original, and the copy's name in the folder of the jobs */
	} log[JOB_LOGS_MAX];
	unsigned logs;
};

/* An option that replaces the file's, in every job of it. */
struct job_option {
	const char *name; /* fio's own name of it */
	const char *value;
};

/* Reads a job file, which must be a good one. -1 with a one-line reason. */
MUST_USE int job_template_load(struct job_template *job, const char *path, char *error, size_t error_size);
void job_template_free(struct job_template *job);

/* The file's text with the options. NULL if out of memory; freed by the caller. */
char *job_template_text(const struct job_template *job, const struct job_option *option, unsigned options);

/* Copies the logs to `folder`, where they are not there yet. -1 with a one-line reason. */
MUST_USE int job_template_copy_logs(const struct job_template *job, const char *folder, char *error,
				    size_t error_size);

/* What the file's first job gives for an option (by fio's own name), its [global] sections included; false if nothing. */
bool job_template_option(const struct job_template *job, const char *name, char *value, size_t value_size);

#endif
