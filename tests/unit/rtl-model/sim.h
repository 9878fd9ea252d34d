/* A clock for tests of blocks: things that want to run at their times, and wakers for them. */
#ifndef KICKSTAND_TESTS_SIM_H
#define KICKSTAND_TESTS_SIM_H

#include "rtl-model/fifo.h"
#include "tests/check.h"

/* Does what has fallen due and says when it wants to run again. */
typedef uint64_t sim_step(void *ctx, uint64_t now_ps);

struct sim_process {
	sim_step *step;
	void *ctx;
	uint64_t due_ps;
	struct waker waker;
};

struct sim {
	uint64_t now_ps;
	struct sim_process process[8];
	unsigned count;
};

static inline void sim_wake(void *ctx, uint64_t at_ps)
{
	struct sim_process *process = ctx;
	process->due_ps = min_u64(process->due_ps, at_ps);
}

/* The waker stays valid as long as the sim. Step and context may be set later. */
static inline struct sim_process *sim_add(struct sim *sim, sim_step *step, void *ctx)
{
	struct sim_process *process = &sim->process[sim->count++];
	assert_true(sim->count <= ARRAY_SIZE(sim->process));
	*process = (struct sim_process){.step = step, .ctx = ctx, .due_ps = TIME_NEVER_PS};
	process->waker = (struct waker){sim_wake, process};
	return process;
}

static inline struct sim_process *sim_next(struct sim *sim)
{
	struct sim_process *next = &sim->process[0];
	for (unsigned i = 1; i < sim->count; i++)
		if (sim->process[i].due_ps < next->due_ps)
			next = &sim->process[i];
	return next;
}

static inline void sim_run(struct sim *sim, uint64_t until_ps)
{
	for (unsigned steps = 0;; steps++) {
		struct sim_process *next = sim_next(sim);
		assert_true(steps < 100000000); /* time stands still */
		if (next->due_ps > until_ps)
			break;
		sim->now_ps = max_u64(sim->now_ps, next->due_ps);
		next->due_ps = TIME_NEVER_PS;
		sim_wake(next, next->step(next->ctx, sim->now_ps));
	}
	sim->now_ps = max_u64(sim->now_ps, until_ps);
}

static inline void sim_run_for(struct sim *sim, uint64_t ps)
{
	sim_run(sim, sim->now_ps + ps);
}

#endif
