/* UNIX stream sockets that carry messages with file descriptors (SCM_RIGHTS), for kernel threads: calls look blocking
 * and let simulated time and other descriptors go on meanwhile (loop.h). */
#ifndef KICKSTAND_HOST_SIM_SERVE_CHANNEL_H
#define KICKSTAND_HOST_SIM_SERVE_CHANNEL_H

#include "host-sim/serve/loop.h"

#include <sys/types.h>

#define CHANNEL_FDS_MAX 64u

/* Descriptors that came with a message. Whoever keeps one sets its entry to -1; channel_close_fds closes the rest. */
struct channel_fds {
	int fd[CHANNEL_FDS_MAX];
	unsigned count;
};

struct channel {
	struct loop *loop;
	int fd;
};

enum channel_result {
	CHANNEL_OK,
	CHANNEL_END,       /* the peer closed between two messages, or the loop stops */
	CHANNEL_TRUNCATED, /* the peer closed inside a message */
	CHANNEL_TOO_MANY_FDS,
	CHANNEL_ERROR, /* errno */
};
const char *channel_result_name(enum channel_result result);

/* Receives exactly `bytes`. Descriptors that come along are added to `fds`; with NULL they are an error and closed. Only
 * from a kernel thread. */
MUST_USE enum channel_result channel_receive(struct channel *channel, void *data, size_t bytes,
					     struct channel_fds *fds);

/* Sends all of it, the descriptors with the first byte (they stay the caller's). While the peer's buffer is full the thread
 * waits. Only from a kernel thread. */
MUST_USE enum channel_result channel_send(struct channel *channel, const void *data, size_t bytes,
					  const int *fds, unsigned fd_count);

/* Sends all of it or nothing, at once: false if the peer has no room (or is gone). From anywhere. */
MUST_USE bool channel_send_now(struct channel *channel, const void *data, size_t bytes);

void channel_close(struct channel *channel);
void channel_close_fds(struct channel_fds *fds);
/* Takes descriptor `index` out: the caller's to close. -1 if there is none. */
int channel_take_fd(struct channel_fds *fds, unsigned index);

/* A listening socket of mode 0600. */
struct listener {
	int fd;
	char path[108];
	dev_t dev; /* of the socket file, so that only ours is removed */
	ino_t ino;
};

/* A socket file that nobody listens on any more is replaced; one that is in use, or another kind of file, is left alone and
 * is an error. Returns 0, or -1 with a one-line reason. */
MUST_USE int listener_open(struct listener *listener, const char *path, char *error, size_t error_size);
void listener_close(struct listener *listener);

/* Accepts a connection, non-blocking; -1 with errno (EAGAIN: nobody is there). */
int listener_accept(const struct listener *listener);

#endif
