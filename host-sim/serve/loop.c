#include "host-sim/serve/loop.h"

#include "rtl-model/kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

/* How far simulated time runs between two looks at the descriptors: about one I/O. */
#define SLICE_PS  (20 * PS_PER_US)
#define READY_MAX 64
#define NS_PER_S  UINT64_C(1000000000)
/* A card without work is given this much time to finish what it may be about to do anyway. */
#define NEAR_PS PS_PER_US

/* A descriptor somebody is interested in; its place in the table is its number. */
struct watch {
	uint32_t generation; /* a late event of an earlier owner of the number is none */
	loop_ready_fn *ready;
	void *ctx;
	struct kernel_event *event; /* of the thread that waits, NULL = none does */
	bool known;                 /* to epoll */
};

struct loop {
	enum loop_pace pace;
	struct loop_ports ports;
	int epoll;
	struct watch *watch;
	size_t watches;
	struct kernel_process *clock; /* wakes at wall time, so that simulated time gets there */
	uint64_t start_ns, start_ps;
	bool stopping;
	struct loop_stats stats;
};

static uint64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t tick(void *ctx, uint64_t now_ps)
{
	(void)ctx;
	(void)now_ps;
	return TIME_NEVER_PS;
}

struct loop *loop_create(enum loop_pace pace, const struct loop_ports *ports)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	if (!loop)
		return NULL;
	loop->pace = pace;
	loop->ports = *ports;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		free(loop);
		return NULL;
	}
	loop->clock = kernel_process_create("wall_clock", tick, loop);
	return loop;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	for (size_t i = 0; i < loop->watches; i++)
		if (loop->watch[i].event)
			kernel_event_free(loop->watch[i].event);
	free(loop->watch);
	close(loop->epoll);
	free(loop);
}

/* ---- descriptors ---- */

static struct watch *watch_of(struct loop *loop, int fd)
{
	size_t index = (size_t)fd;
	if (index >= loop->watches) {
		size_t count = index + 64;
		struct watch *grown = realloc(loop->watch, count * sizeof(*grown));
		if (!grown)
			return NULL;
		memset(grown + loop->watches, 0, (count - loop->watches) * sizeof(*grown));
		loop->watch = grown;
		loop->watches = count;
	}
	return &loop->watch[index];
}

static int tell_epoll(struct loop *loop, int fd, struct watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events,
				    .data.u64 = (uint64_t)watch->generation << 32 | (uint32_t)fd};
	if (epoll_ctl(loop->epoll, watch->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0)
		return -1;
	watch->known = true;
	return 0;
}

int loop_watch(struct loop *loop, int fd, loop_ready_fn *ready, void *ctx)
{
	struct watch *watch = watch_of(loop, fd);
	if (!watch)
		return -1;
	ASSERT(!watch->ready && !watch->event);
	watch->generation++;
	watch->ready = ready;
	watch->ctx = ctx;
	if (tell_epoll(loop, fd, watch, EPOLLIN) == 0)
		return 0;
	watch->ready = NULL;
	return -1;
}

void loop_unwatch(struct loop *loop, int fd)
{
	struct watch *watch = fd >= 0 && (size_t)fd < loop->watches ? &loop->watch[fd] : NULL;
	if (!watch || !watch->known)
		return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
	watch->known = false;
	watch->ready = NULL;
	watch->generation++;
}

static int wait_for(struct loop *loop, int fd, uint32_t events)
{
	struct watch *watch = watch_of(loop, fd);
	if (!watch)
		return -1;
	if (loop->stopping)
		return 0;
	ASSERT(!watch->ready && !watch->event);
	struct kernel_event *event = kernel_event_create();
	watch->generation++;
	watch->event = event;
	if (tell_epoll(loop, fd, watch, events) == 0)
		kernel_event_wait(event);
	/* The table may have grown meanwhile. */
	watch = &loop->watch[fd];
	bool failed = !watch->known;
	watch->event = NULL;
	kernel_event_free(event);
	loop_unwatch(loop, fd);
	return failed ? -1 : 0;
}

int loop_wait_readable(struct loop *loop, int fd)
{
	return wait_for(loop, fd, EPOLLIN | EPOLLONESHOT);
}

int loop_wait_writable(struct loop *loop, int fd)
{
	return wait_for(loop, fd, EPOLLOUT | EPOLLONESHOT);
}

static void dispatch(struct loop *loop, const struct epoll_event *event)
{
	struct watch *watch = &loop->watch[(uint32_t)event->data.u64];
	if (watch->generation != event->data.u64 >> 32)
		return;
	if (watch->ready)
		watch->ready(watch->ctx);
	else if (watch->event)
		kernel_event_notify(watch->event, kernel_now_ps());
}

/* ---- time ---- */

static uint64_t wall_ps(const struct loop *loop)
{
	return loop->start_ps + (clock_ns() - loop->start_ns) * (PS_PER_NS);
}

/* Pace wall: simulated time goes to where the clock is, or a slice closer. */
static void follow_clock(struct loop *loop)
{
	uint64_t now_ps = kernel_now_ps(), target_ps = wall_ps(loop);
	if (target_ps <= now_ps)
		return;
	uint64_t lag_ns = (target_ps - now_ps) / PS_PER_NS, next_ps = kernel_next_ps();
	if (next_ps <= target_ps && lag_ns > loop->stats.lag_max_ns)
		loop->stats.lag_max_ns = lag_ns;
	if (next_ps <= target_ps)
		target_ps = min_u64(target_ps, max_u64(next_ps, now_ps) + SLICE_PS);
	kernel_process_wake(loop->clock, target_ps);
	kernel_run(target_ps);
}

static bool held(const struct loop *loop)
{
	return loop->ports.held && loop->ports.held(loop->ports.ctx);
}

static void run_slice(struct loop *loop)
{
	if (held(loop))
		kernel_run(kernel_now_ps() + 1); /* threads that have been woken */
	else if (loop->pace == LOOP_WALL)
		follow_clock(loop);
	else if (kernel_next_ps() != TIME_NEVER_PS)
		kernel_run(max_u64(kernel_next_ps(), kernel_now_ps()) + SLICE_PS);
}

/* How long there is nothing to simulate. */
static uint64_t idle_ns(const struct loop *loop)
{
	uint64_t next_ps = kernel_next_ps();
	bool still = held(loop);
	if (next_ps == TIME_NEVER_PS)
		return UINT64_MAX;
	uint64_t now_ps = loop->pace == LOOP_WALL && !still ? wall_ps(loop) : kernel_now_ps();
	if (next_ps <= now_ps)
		return 0;
	if (still)
		return UINT64_MAX;
	if (loop->pace == LOOP_FREE && (next_ps - now_ps <= NEAR_PS || loop->ports.busy(loop->ports.ctx)))
		return 0;
	return (next_ps - now_ps) / PS_PER_NS;
}

/* Looks at the descriptors, and sleeps if there is nothing else to do. A card without work that sleeps until its next
 * timer finds it due then: in pace free that is simulated time catching up. */
static void poll_descriptors(struct loop *loop)
{
	struct epoll_event events[READY_MAX];
	uint64_t limit_ns = loop->stopping ? 0 : idle_ns(loop);
	struct timespec limit = {.tv_sec = (time_t)(limit_ns / NS_PER_S),
				 .tv_nsec = (long)(limit_ns % NS_PER_S)};
	uint64_t before_ns = limit_ns != 0 ? clock_ns() : 0;
	int count =
		epoll_pwait2(loop->epoll, events, READY_MAX, limit_ns == UINT64_MAX ? NULL : &limit, NULL);
	if (limit_ns != 0)
		loop->stats.asleep_ns += clock_ns() - before_ns;
	if (loop->pace == LOOP_WALL && !held(loop))
		follow_clock(loop); /* what comes in comes in now */
	for (int i = 0; i < count; i++)
		dispatch(loop, &events[i]);
}

void loop_run(struct loop *loop)
{
	loop->start_ns = clock_ns();
	loop->start_ps = kernel_now_ps();
	kernel_run(kernel_now_ps() + 1); /* threads begin: before that nothing is pending */
	while (!loop->stopping && !(loop->ports.over && loop->ports.over(loop->ports.ctx))) {
		poll_descriptors(loop);
		run_slice(loop);
	}
	loop->stats.wall_ns = clock_ns() - loop->start_ns;
	/* Threads leave by themselves. */
	for (size_t i = 0; i < loop->watches; i++)
		if (loop->watch[i].event)
			kernel_event_notify(loop->watch[i].event, kernel_now_ps());
	loop->stopping = true;
	kernel_run(kernel_now_ps() + SLICE_PS);
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

bool loop_stopping(const struct loop *loop)
{
	return loop->stopping;
}

enum loop_pace loop_pace(const struct loop *loop)
{
	return loop->pace;
}

struct loop_stats loop_stats(const struct loop *loop)
{
	return loop->stats;
}
