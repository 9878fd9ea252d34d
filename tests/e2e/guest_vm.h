/* A Linux guest under the distribution's QEMU, on a served card (--vhost-user), in a test: runs a shell script in it, and
 * reads what it prints. */
#ifndef KICKSTAND_TESTS_E2E_GUEST_VM_H
#define KICKSTAND_TESTS_E2E_GUEST_VM_H

#include "tests/e2e/served.h"

struct guest_vm {
	struct program_child child;
	const char *serial, *monitor; /* paths */
};

/* Boots the guest on the server's disk, with `queues` queues; `job` is run by its shell. `extra`: more words for QEMU. */
struct guest_vm vm_start(const struct served *server, unsigned queues, const char *job, const char *extra);
/* Until the guest has printed a line that contains `text`; fails the test after `limit_s`. */
void vm_wait_for(struct guest_vm *vm, const char *text, unsigned limit_s);
/* A command of QEMU's monitor. */
void vm_monitor(struct guest_vm *vm, const char *command);
/* Until the guest is off; fails the test after `limit_s`, or if /job did not end with status 0. Returns what it printed;
 * the caller's. */
char *vm_end(struct guest_vm *vm, unsigned limit_s);

#endif
