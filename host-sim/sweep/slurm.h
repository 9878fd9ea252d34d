/* Runs a plan on a cluster: an array job over the pieces of the plan, a job that collects, a script that submits both. */
#ifndef KICKSTAND_HOST_SIM_SWEEP_SLURM_H
#define KICKSTAND_HOST_SIM_SWEEP_SLURM_H

#include "host-sim/sweep/plan.h"

/* How many runs a task gets, so that tasks are worth their start and stay below Slurm's usual limit of an array. */
unsigned slurm_piece(uint64_t runs);

/* Writes sweep.sbatch, collect.sbatch and submit; `jobs` is the number of CPUs, and of runs at a time, of a task. -1 with a
 * one-line reason. */
MUST_USE int slurm_write(const struct plan *plan, const char *folder, unsigned jobs, char *error,
			 size_t error_size);

/* Runs the script submit. -1 with a one-line reason; sbatch has said more. */
MUST_USE int slurm_submit(const char *folder, char *error, size_t error_size);

#endif
