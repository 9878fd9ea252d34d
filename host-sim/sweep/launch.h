/* Runs a plan on this machine: ninja, one piece of the plan after the other. */
#ifndef KICKSTAND_HOST_SIM_SWEEP_LAUNCH_H
#define KICKSTAND_HOST_SIM_SWEEP_LAUNCH_H

#include "host-sim/sweep/plan.h"

enum launched {
	LAUNCH_DONE,
	LAUNCH_STOPPED, /* by a signal: *stop_signal, or one that ninja got */
	LAUNCH_FAILED,  /* see error; ninja has said more */
};

/* `jobs` runs at a time. Signals INT and TERM end the points at work and then the launch; what was done stays. */
enum launched launch_local(const struct plan *plan, const char *folder, unsigned jobs, int *stop_signal,
			   char *error, size_t error_size);

#endif
