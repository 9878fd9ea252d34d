/* Sockets and simulated time in one thread: what a client does becomes events of the simulation at the present instant,
 * and simulated time runs while there is something to simulate.
 *
 * Pace: `free` runs as fast as the machine allows whenever the card has work; `wall` lets simulated time follow the
 * clock on the wall and never run ahead of it. With nothing to do the thread sleeps, in both. */
#ifndef KICKSTAND_HOST_SIM_SERVE_LOOP_H
#define KICKSTAND_HOST_SIM_SERVE_LOOP_H

#include "pcie/base.h"

enum loop_pace { LOOP_FREE, LOOP_WALL };

struct loop;

struct loop_ports {
	void *ctx;
	/* Whether the card has work; without any, timers of the card wait for wall time. */
	bool (*busy)(void *ctx);
	/* The card waits for the client, who is asking for nothing: simulated time stands still, so that no timeout passes
	 * because the client is slow. May be NULL. */
	bool (*held)(void *ctx);
	/* Between two slices of simulated time; true ends loop_run. May be NULL. */
	bool (*over)(void *ctx);
};

/* NULL when out of memory or descriptors. One per process, made before simulated time first runs. */
struct loop *loop_create(enum loop_pace pace, const struct loop_ports *ports);
void loop_free(struct loop *loop);

/* Calls `ready` whenever `fd` is readable (or hung up), at the present instant and not from a kernel thread, so it must not
 * block in simulated time. Level-triggered. Returns 0, or -1 with errno. A descriptor is watched or waited for by one
 * party at a time. */
typedef void loop_ready_fn(void *ctx);
MUST_USE int loop_watch(struct loop *loop, int fd, loop_ready_fn *ready, void *ctx);
/* Before `fd` is closed. Nothing if it is not watched. */
void loop_unwatch(struct loop *loop, int fd);

/* From a kernel thread: blocks until `fd` can be read (or written), is hung up, or loop_stop was called. Returns 0, or -1
 * with errno. */
MUST_USE int loop_wait_readable(struct loop *loop, int fd);
MUST_USE int loop_wait_writable(struct loop *loop, int fd);

/* Runs until loop_stop, or ports.over says so. */
void loop_run(struct loop *loop);
/* From anywhere. Threads that wait are woken, and find loop_stopping. */
void loop_stop(struct loop *loop);
bool loop_stopping(const struct loop *loop);

enum loop_pace loop_pace(const struct loop *loop);

struct loop_stats {
	uint64_t wall_ns, asleep_ns; /* since loop_run began; of that, asleep for want of work */
	uint64_t lag_max_ns;         /* pace wall: how far simulated time has been behind */
};
struct loop_stats loop_stats(const struct loop *loop);

#endif
