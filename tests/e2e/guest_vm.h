/* A Linux guest under the distribution's QEMU, on a served card, in a test: starts `kickstand serve` and QEMU as child
 * processes, runs a shell script in the guest, and reads what it prints. */
#ifndef KICKSTAND_TESTS_E2E_GUEST_VM_H
#define KICKSTAND_TESTS_E2E_GUEST_VM_H

#include "tests/e2e/program.h"

/* A running `kickstand serve`. */
struct server {
	pid_t pid;
	const char *socket, *out, *err; /* paths */
};

/* Starts `kickstand serve --vhost-user SOCKET ARGUMENTS` and waits until it listens. The socket's name is the test's own. */
struct server server_start(const char *arguments);
/* The same socket again, after the server was killed. */
void server_restart(struct server *server, const char *arguments);
/* SIGTERM; returns the exit status, after at most `limit_s`. */
int server_stop(struct server *server, unsigned limit_s);
void server_kill(struct server *server);
/* CPU time the process has used. */
double server_cpu_s(const struct server *server);

struct guest_vm {
	pid_t pid;
	const char *serial, *monitor, *log; /* paths */
};

/* Boots the guest on the server's disk, with `queues` queues; `job` is run by its shell. `extra`: more words for QEMU. */
struct guest_vm vm_start(const struct server *server, unsigned queues, const char *job, const char *extra);
/* Until the guest has printed a line that contains `text`; fails the test after `limit_s`. */
void vm_wait_for(struct guest_vm *vm, const char *text, unsigned limit_s);
/* A command of QEMU's monitor. */
void vm_monitor(struct guest_vm *vm, const char *command);
/* Until the guest is off; fails the test after `limit_s`, or if /job did not end with status 0. Returns what it printed;
 * the caller's. */
char *vm_end(struct guest_vm *vm, unsigned limit_s);

#endif
