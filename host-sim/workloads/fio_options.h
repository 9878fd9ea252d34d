/* The table of fio options: how each is read into struct fio_job, why it is ignored, or why it is refused. */
#ifndef KICKSTAND_HOST_SIM_WORKLOADS_FIO_OPTIONS_H
#define KICKSTAND_HOST_SIM_WORKLOADS_FIO_OPTIONS_H

#include "host-sim/workloads/fio_job.h"

#ifdef __cplusplus
extern "C" {
#endif

enum fio_outcome {
	FIO_TAKEN,
	FIO_IGNORED, /* with a reason */
	FIO_REFUSED, /* with a reason */
};

/* fio's own name of an option or alias ("rw" for "readwrite"), a static string; NULL if fio has no such option. */
const char *fio_option_canonical(const char *name);

/* Applies one option, given by its canonical name, to the job. `value` is NULL for an option without one
 * (stonewall) and must live as long as the job. `reason` gets the text behind "option 'x'". */
enum fio_outcome fio_option_apply(struct fio_job *job, const char *name, const char *value, char *reason,
				  size_t reason_size);

/* fio's defaults, before any option. */
void fio_job_defaults(struct fio_job *job);

/* Settles what depends on several options, when all of a job's have been applied: FIO_REFUSED with a reason,
 * FIO_IGNORED with a remark, or FIO_TAKEN. */
enum fio_outcome fio_job_settle(struct fio_job *job, char *reason, size_t reason_size);

#ifdef __cplusplus
}
#endif
#endif
