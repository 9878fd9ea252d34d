/* Eventfds, by which the two ends of a socket signal each other besides their messages. -1 stands for none. */
#ifndef KICKSTAND_HOST_SIM_SERVE_EVENT_FD_H
#define KICKSTAND_HOST_SIM_SERVE_EVENT_FD_H

#include "host-sim/serve/loop.h"

/* A new one, watched by the loop; close it after loop_unwatch. -1 with errno. */
MUST_USE int event_fd_open(struct loop *loop, loop_ready_fn *ready, void *ctx);

/* Whether a descriptor of the peer's is an eventfd; it does not block from now on, the peer's end neither. Anything else could
 * block us, or end us with SIGPIPE. */
MUST_USE bool event_fd_accept(int fd);

/* Adds 1. False if there is nobody to tell, or it is so full that it says something anyway. */
bool event_fd_signal(int fd);

/* Takes the count; false if there was none. */
bool event_fd_take(int fd);

/* Closes what is in `slot` and puts `fd` there. */
void event_fd_replace(int *slot, int fd);

#endif
