#include "host-sim/serve/event_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int event_fd_open(struct loop *loop, loop_ready_fn *ready, void *ctx)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0 || loop_watch(loop, fd, ready, ctx) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static bool is_eventfd(int fd)
{
	static const char wanted[] = "anon_inode:[eventfd]";
	char path[40], target[sizeof(wanted) + 1];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t length = readlink(path, target, sizeof(target));
	return length == sizeof(wanted) - 1 && memcmp(target, wanted, sizeof(wanted) - 1) == 0;
}

bool event_fd_accept(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return is_eventfd(fd) && flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* O_NONBLOCK is the peer's as well, and may have been taken back. */
bool event_fd_signal(int fd)
{
	const uint64_t one = 1;
	struct pollfd room = {.fd = fd, .events = POLLOUT};
	return fd >= 0 && poll(&room, 1, 0) == 1 && write(fd, &one, sizeof(one)) == sizeof(one);
}

bool event_fd_take(int fd)
{
	uint64_t count;
	return read(fd, &count, sizeof(count)) == sizeof(count);
}

void event_fd_replace(int *slot, int fd)
{
	if (*slot >= 0)
		close(*slot);
	*slot = fd;
}
