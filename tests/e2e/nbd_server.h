/* An NBD server for tests: nbdkit on a Unix socket in the test's folder, ended with the test. */
#ifndef KICKSTAND_TESTS_E2E_NBD_SERVER_H
#define KICKSTAND_TESTS_E2E_NBD_SERVER_H

#include "tests/e2e/program.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct nbd_server {
	pid_t pid;
	char socket[200];
	char disk[220]; /* for --disk */
};

static inline void pause_ms(unsigned ms)
{
	struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
	nanosleep(&time, NULL);
}

/* `arguments`: plugin, filters and their parameters. nbdkit writes its pid file when it is ready to answer. */
static inline struct nbd_server nbd_start(const char *arguments)
{
	struct nbd_server server;
	char command[1000];
	const char *ready = program_path_of("nbd.pid");
	snprintf(server.socket, sizeof(server.socket), "%s", program_path_of("nbd.sock"));
	snprintf(server.disk, sizeof(server.disk), "nbd:unix:%s", server.socket);
	unlink(server.socket);
	unlink(ready);
	snprintf(command, sizeof(command), "exec nbdkit -f --exit-with-parent -P %s -U %s %s 2>/dev/null",
		 ready, server.socket, arguments);
	printf("server: %s\n", command);
	fflush(stdout);
	server.pid = fork();
	if (server.pid == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	for (unsigned i = 0; i < 2000 && access(ready, F_OK) != 0; i++) {
		if (waitpid(server.pid, NULL, WNOHANG) == server.pid)
			fail_msg("nbdkit ended at once");
		pause_ms(5);
	}
	assert_int_equal(access(ready, F_OK), 0);
	return server;
}

static inline void nbd_stop(const struct nbd_server *server, int signal)
{
	kill(server->pid, signal);
	waitpid(server->pid, NULL, 0);
}

#endif
