/* A running `kickstand serve` in a test, whatever its protocol: start, what it holds of its clients, end.
 *
 * All functions fail the test when something is not as it has to be. */
#ifndef KICKSTAND_TESTS_E2E_SERVED_H
#define KICKSTAND_TESTS_E2E_SERVED_H

#include "tests/e2e/program.h"

struct served {
	struct program_child child;
	const char *protocol; /* the option that names it */
	const char *socket;   /* path */
};

/* `kickstand serve PROTOCOL SOCKET OPTIONS` on a new socket, and waits until it listens. */
struct served served_start(const char *protocol, const char *options);
/* Another on the same socket, after that one was killed. */
void served_restart(struct served *served, const char *options);
/* SIGTERM; it must end with status 0. Returns what it wrote to standard error, freed by the caller. */
char *served_end(struct served *served);
void served_kill(struct served *served); /* SIGKILL */

/* A connection to a socket; -1 if nobody listens. */
int socket_connect(const char *path);
/* Sends it all, with descriptors; false if the other end is gone. */
bool socket_send(int fd, const void *data, size_t bytes, const int *fds, unsigned count);

unsigned served_fds(const struct served *served); /* it has open */
/* Waits until it has so many: some are closed when the reply has gone already. */
void served_expect_fds(const struct served *served, unsigned fds);
unsigned served_mappings(const struct served *served); /* of clients' memory */
double served_cpu_s(const struct served *served);      /* CPU time it has used */

#endif
