/* The I/Os of one running job (one clone of it), in order and with the earliest time of each.
 *
 * The caller keeps the queue: it asks for the next I/O whenever it has room, and reports each completion. The
 * generator knows the job's limits, flushes, pauses, rates, loops and the verify phase:
 *
 *   running -> draining -> end_fsync -> draining -> reading back -> draining -> next loop or done
 *
 * The order of I/Os depends on the seed, never on time; time only decides when each may start and when the job
 * ends. */
#ifndef KICKSTAND_HOST_SIM_WORKLOADS_IO_GEN_H
#define KICKSTAND_HOST_SIM_WORKLOADS_IO_GEN_H

#include "host-sim/workloads/fio_job.h"
#include "host-sim/workloads/io.h"

#ifdef __cplusplus
extern "C" {
#endif

enum io_gen_answer {
	IO_GEN_READY, /* *io is filled in and counts as issued */
	IO_GEN_WAIT,  /* nothing before *wake_ps; ask again then */
	IO_GEN_DRAIN, /* nothing before every I/O issued is done; ask again after the last io_gen_done */
	IO_GEN_DONE,  /* the job is over; I/Os issued may still be in flight */
};

struct io_gen;

/* Clone `clone` of a job that fio_job_check accepts for this disk. The job stays the caller's and is used until
 * io_gen_free. `run_seed` is used unless the job has a randseed. NULL if out of memory. */
struct io_gen *io_gen_create(const struct fio_job *job, unsigned clone, uint64_t disk_bytes,
			     uint64_t run_seed);
void io_gen_free(struct io_gen *gen);

/* The job starts with the first call; now_ps never goes back. */
MUST_USE enum io_gen_answer io_gen_next(struct io_gen *gen, uint64_t now_ps, struct io *io,
					uint64_t *wake_ps);

/* An I/O that io_gen_next gave is done, well or badly. */
void io_gen_done(struct io_gen *gen, enum io_ddir ddir);

/* Ends the job early (exitall, an error): I/Os in flight are still to be reported, end_fsync is still done, the
 * verify phase is not. */
void io_gen_stop(struct io_gen *gen);

/* I/Os given and not yet done. */
uint64_t io_gen_in_flight(const struct io_gen *gen);

/* Completions before this time are ramp_time's and are not to be measured; TIME_NEVER_PS before the start. */
uint64_t io_gen_measure_from_ps(const struct io_gen *gen);

/* Time spent in verify phases so far, those that are over. */
uint64_t io_gen_readback_ps(const struct io_gen *gen);

#ifdef __cplusplus
}
#endif
#endif
