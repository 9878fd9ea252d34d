#include "host-sim/serve/channel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

union control {
	char bytes[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

const char *channel_result_name(enum channel_result result)
{
	switch (result) {
	case CHANNEL_OK: return "no error";
	case CHANNEL_END: return "end of connection";
	case CHANNEL_TRUNCATED: return "connection closed inside a message";
	case CHANNEL_TOO_MANY_FDS: return "more file descriptors than a message may have";
	case CHANNEL_ERROR: return strerror(errno);
	}
	return "?";
}

/* ---- descriptors ---- */

void channel_close_fds(struct channel_fds *fds)
{
	for (unsigned i = 0; i < fds->count; i++)
		if (fds->fd[i] >= 0)
			close(fds->fd[i]);
	fds->count = 0;
}

int channel_take_fd(struct channel_fds *fds, unsigned index)
{
	if (index >= fds->count)
		return -1;
	int fd = fds->fd[index];
	fds->fd[index] = -1;
	return fd;
}

/* Collects what came with a piece of a message. */
static enum channel_result take_fds(struct msghdr *header, struct channel_fds *fds)
{
	enum channel_result result = header->msg_flags & MSG_CTRUNC ? CHANNEL_TOO_MANY_FDS : CHANNEL_OK;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (fds && fds->count < CHANNEL_FDS_MAX) {
				fds->fd[fds->count++] = fd;
			} else {
				close(fd);
				result = CHANNEL_TOO_MANY_FDS;
			}
		}
	}
	return result;
}

/* ---- messages ---- */

enum channel_result channel_receive(struct channel *channel, void *data, size_t bytes,
				    struct channel_fds *fds)
{
	union control control;
	uint8_t *to = data;
	size_t done = 0;
	while (done < bytes) {
		struct iovec piece = {to + done, bytes - done};
		struct msghdr header = {.msg_iov = &piece,
					.msg_iovlen = 1,
					.msg_control = control.bytes,
					.msg_controllen = sizeof(control.bytes)};
		if (loop_stopping(channel->loop))
			return CHANNEL_END;
		ssize_t got = recvmsg(channel->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (got < 0 && errno == EAGAIN) {
			if (loop_wait_readable(channel->loop, channel->fd) != 0)
				return CHANNEL_ERROR;
			continue;
		}
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0 || (got < 0 && errno == ECONNRESET))
			return done == 0 ? CHANNEL_END : CHANNEL_TRUNCATED;
		if (got < 0)
			return CHANNEL_ERROR;
		enum channel_result result = take_fds(&header, fds);
		if (result != CHANNEL_OK)
			return result;
		done += (size_t)got;
	}
	return CHANNEL_OK;
}

static ssize_t send_piece(int fd, const void *data, size_t bytes, const int *fds, unsigned fd_count)
{
	union control control;
	struct iovec piece = {(void *)(uintptr_t)data, bytes};
	struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1};
	if (fd_count != 0) {
		ASSERT(fd_count <= CHANNEL_FDS_MAX);
		memset(&control, 0, sizeof(control));
		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
	}
	return sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

enum channel_result channel_send(struct channel *channel, const void *data, size_t bytes, const int *fds,
				 unsigned fd_count)
{
	const uint8_t *from = data;
	size_t done = 0;
	while (done < bytes) {
		ssize_t sent =
			send_piece(channel->fd, from + done, bytes - done, fds, done == 0 ? fd_count : 0);
		if (sent >= 0)
			done += (size_t)sent;
		else if (errno == EAGAIN && !loop_stopping(channel->loop)) {
			if (loop_wait_writable(channel->loop, channel->fd) != 0)
				return CHANNEL_ERROR;
		} else if (errno == EPIPE || errno == ECONNRESET || errno == EAGAIN)
			return CHANNEL_END;
		else if (errno != EINTR)
			return CHANNEL_ERROR;
	}
	return CHANNEL_OK;
}

bool channel_send_now(struct channel *channel, const void *data, size_t bytes)
{
	/* A message well below the buffer's size goes whole or not at all. */
	return send_piece(channel->fd, data, bytes, NULL, 0) == (ssize_t)bytes;
}

void channel_close(struct channel *channel)
{
	if (channel->fd < 0)
		return;
	loop_unwatch(channel->loop, channel->fd);
	close(channel->fd);
	channel->fd = -1;
}

/* ---- listening ---- */

/* Whether somebody answers at the address. */
static bool somebody_listens(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return true; /* not known: leave it alone */
	bool refused =
		connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) != 0 && errno == ECONNREFUSED;
	close(fd);
	return !refused;
}

/* Makes room for the socket file. Returns 0, or -1 with a reason. */
static int clear_path(const struct sockaddr_un *addr, char *error, size_t error_size)
{
	struct stat status;
	if (lstat(addr->sun_path, &status) != 0) {
		if (errno == ENOENT)
			return 0;
		snprintf(error, error_size, "%s: %s", addr->sun_path, strerror(errno));
		return -1;
	}
	if (!S_ISSOCK(status.st_mode)) {
		snprintf(error, error_size, "%s: exists and is no socket; name another path or remove it",
			 addr->sun_path);
		return -1;
	}
	if (somebody_listens(addr)) {
		snprintf(error, error_size,
			 "%s: somebody listens there already; stop that or name another path",
			 addr->sun_path);
		return -1;
	}
	if (unlink(addr->sun_path) != 0) {
		snprintf(error, error_size, "%s: cannot replace the stale socket: %s", addr->sun_path,
			 strerror(errno));
		return -1;
	}
	return 0;
}

int listener_open(struct listener *listener, const char *path, char *error, size_t error_size)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct stat status;
	if (strlen(path) >= sizeof(addr.sun_path)) {
		snprintf(error, error_size, "%s: too long for a socket path (at most %zu bytes)", path,
			 sizeof(addr.sun_path) - 1);
		return -1;
	}
	memcpy(addr.sun_path, path, strlen(path) + 1);
	memcpy(listener->path, path, strlen(path) + 1);
	if (clear_path(&addr, error, error_size) != 0)
		return -1;
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The mode holds from the first moment: nobody else may connect in between. */
	mode_t mask = umask(0177);
	bool ok = listener->fd >= 0 && bind(listener->fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
	umask(mask);
	if (!ok || listen(listener->fd, 8) != 0 || stat(path, &status) != 0) {
		snprintf(error, error_size, "%s: cannot listen: %s", path, strerror(errno));
		if (listener->fd >= 0)
			close(listener->fd);
		return -1;
	}
	listener->dev = status.st_dev;
	listener->ino = status.st_ino;
	return 0;
}

void listener_close(struct listener *listener)
{
	struct stat status;
	if (listener->fd < 0)
		return;
	if (lstat(listener->path, &status) == 0 && status.st_dev == listener->dev &&
	    status.st_ino == listener->ino)
		unlink(listener->path);
	close(listener->fd);
	listener->fd = -1;
}

int listener_accept(const struct listener *listener)
{
	return accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}
