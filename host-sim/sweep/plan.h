/* Writes a sweep's folder: what is to be run, for ninja, for Slurm and for a person.
 *
 *   sweep.json         what the sweep is about
 *   plan.jsonl         a line a run: point, role, seed, id, command, axes, level, config
 *   run-point          a script: runs one point, given its id
 *   points/ID.args     the options of its `kickstand run`
 *   jobs/              the job files that they name, and logs to be replayed
 *   ninja/N.ninja      a piece of the plan for ninja */
#ifndef KICKSTAND_HOST_SIM_SWEEP_PLAN_H
#define KICKSTAND_HOST_SIM_SWEEP_PLAN_H

#include "host-sim/sweep/spec.h"

struct plan {
	uint64_t runs;
	unsigned pieces;
};

/* `piece` is the number of runs in a ninja file. -1 with a one-line reason. */
MUST_USE int plan_write(struct plan *plan, const struct sweep_spec *spec, const char *folder, unsigned piece,
			char *error, size_t error_size);

#endif
