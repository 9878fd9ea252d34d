/* The simulation kernel as C sees it: SystemC's scheduler behind plain functions.
 *
 * Everything in simulated time, the simulated host included, runs in this one kernel, so there is one
 * order of events. SystemC has one kernel per process, hence no handle: these functions are its only
 * state. Processes are created before the first kernel_run, threads at any time. */
#ifndef KICKSTAND_RTL_MODEL_KERNEL_H
#define KICKSTAND_RTL_MODEL_KERNEL_H

#include "pcie/base.h"

#ifdef __cplusplus
extern "C" {
#endif

uint64_t kernel_now_ps(void);

/* Time of the earliest pending event, TIME_NEVER_PS if nothing is pending. */
uint64_t kernel_next_ps(void);

/* Runs events up to and including `until_ps`. Returns earlier when kernel_stop was called (time stays where
 * it was) or when nothing is pending any more (time stays at the last event). */
void kernel_run(uint64_t until_ps);

/* From inside a process or thread: makes kernel_run return after the present instant. */
void kernel_stop(void);

/* Events executed since the start: the `events` of a report. */
uint64_t kernel_events(void);

/* A process is a step function that is called at the times it asks for. It returns when it wants to run
 * next, TIME_NEVER_PS if only a wake can make it run. The name appears in waves. Processes live until
 * the program ends. */
typedef uint64_t kernel_step_fn(void *ctx, uint64_t now_ps);
struct kernel_process;
struct kernel_process *kernel_process_create(const char *name, kernel_step_fn *step, void *ctx);

/* Makes the process run at `at_ps` (now, if that has passed) unless it runs earlier anyway. */
void kernel_process_wake(struct kernel_process *process, uint64_t at_ps);

/* Threads: C code that blocks in simulated time (the simulated CPUs). */
typedef void kernel_thread_fn(void *arg);
void kernel_thread_spawn(const char *name, kernel_thread_fn *fn, void *arg);

/* Only from a thread. Waits; while waiting other processes and threads run. */
void kernel_wait_ps(uint64_t delay_ps);

struct kernel_event;
struct kernel_event *kernel_event_create(void);
void kernel_event_free(struct kernel_event *event);
/* Wakes the threads that wait for it at `at_ps` (now, if passed). An earlier pending notification
 * wins. Not remembered: check your condition, then wait, in a loop. */
void kernel_event_notify(struct kernel_event *event, uint64_t at_ps);
void kernel_event_wait(struct kernel_event *event);
/* As kernel_event_wait, at most until `until_ps`. */
void kernel_event_wait_until(struct kernel_event *event, uint64_t until_ps);

/* Waves look at every instant (wave.h): `begin` is called before its first process runs, `end` after its last; both once more
 * when something else has made a process run at the same instant. While somebody observes, processes never run ahead of
 * SystemC, which takes time but changes nothing else. */
struct kernel_observer {
	void *ctx;
	void (*begin)(void *ctx, uint64_t now_ps);
	void (*end)(void *ctx, uint64_t now_ps);
};
/* One at most; NULL: no more. It outlives its being one. */
void kernel_observe(const struct kernel_observer *observer);

#ifdef __cplusplus
}
#endif
#endif
