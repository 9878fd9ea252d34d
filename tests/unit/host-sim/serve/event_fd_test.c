/* Eventfds of a peer that means no good, and our own. */
#include "tests/check.h"

#include "host-sim/serve/event_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* The loop: takes the descriptor, or fails with what `ctx` points at. */
int loop_watch(struct loop *loop, int fd, loop_ready_fn *ready, void *ctx)
{
	(void)loop, (void)ready;
	assert_true(fcntl(fd, F_GETFD) >= 0);
	errno = *(int *)ctx;
	return errno == 0 ? 0 : -1;
}

static void ready(void *ctx)
{
	(void)ctx;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void test_event_fd_accept_takes_eventfds_only(void **state)
{
	int pair[2], ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	const int others[] = {ends[0],
			      ends[1],
			      pair[0],
			      pair[1],
			      open("/dev/null", O_RDWR),
			      memfd_create("anon_inode:[eventfd]", 0),
			      timerfd_create(CLOCK_MONOTONIC, 0)};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_true(is_open(others[i]));
		assert_false(event_fd_accept(others[i]));
		close(others[i]);
	}
	assert_false(event_fd_accept(-1));
	int fd = eventfd(0, 0);
	assert_true(event_fd_accept(fd));
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	(void)state;
}

static void test_event_fd_signal_adds_one_until_it_is_taken(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	uint64_t count;
	assert_false(event_fd_take(fd));
	assert_true(event_fd_signal(fd) && event_fd_signal(fd) && event_fd_signal(fd));
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 3);
	assert_true(event_fd_signal(fd));
	assert_true(event_fd_take(fd));
	assert_false(event_fd_take(fd));
	assert_false(event_fd_signal(-1));
	close(fd);
	(void)state;
}

/* The peer has made the counter full and blocking: that must not stop us. */
static void test_event_fd_signal_does_not_block(void **state)
{
	const uint64_t most = UINT64_MAX - 1;
	int fd = eventfd(0, 0);
	assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
	alarm(10);
	assert_false(event_fd_signal(fd));
	alarm(0);
	assert_true(event_fd_take(fd));
	close(fd);
	(void)state;
}

static void test_event_fd_replace_closes_what_was_there(void **state)
{
	int slot = -1, first = eventfd(0, 0), second = eventfd(0, 0);
	event_fd_replace(&slot, first);
	assert_int_equal(slot, first);
	event_fd_replace(&slot, second);
	assert_int_equal(slot, second);
	assert_false(is_open(first));
	event_fd_replace(&slot, -1);
	assert_int_equal(slot, -1);
	assert_false(is_open(second));
	(void)state;
}

static void test_event_fd_open_leaves_nothing_when_it_cannot_be_watched(void **state)
{
	int error = 0;
	int fd = event_fd_open(NULL, ready, &error);
	assert_true(is_open(fd));
	assert_true(event_fd_accept(fd));
	close(fd);
	error = ENOSPC;
	assert_int_equal(event_fd_open(NULL, ready, &error), -1);
	assert_int_equal(errno, ENOSPC);
	assert_false(is_open(fd)); /* the lowest free number: it was used and closed again */
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_event_fd_accept_takes_eventfds_only),
		cmocka_unit_test(test_event_fd_signal_adds_one_until_it_is_taken),
		cmocka_unit_test(test_event_fd_signal_does_not_block),
		cmocka_unit_test(test_event_fd_replace_closes_what_was_there),
		cmocka_unit_test(test_event_fd_open_leaves_nothing_when_it_cannot_be_watched),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
