#include "tests/e2e/guest_vm.h"

#include <unistd.h>

#define LOOK_US 10000
#define GUEST   "build/guest/"

/* What the guest has printed: it may be anything. */
static char *serial_of(const struct guest_vm *vm)
{
	size_t bytes;
	char *text = program_read_file(vm->serial, &bytes);
	for (size_t i = 0; i < bytes; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	return text;
}

/* Ends a guest that did not do what it should. */
static void give_up(struct guest_vm *vm)
{
	char *serial = serial_of(vm), *said = program_said(&vm->child);
	program_kill(&vm->child);
	printf("---- the guest\n%s\n---- QEMU\n%s\n", serial, said);
	free(serial);
	free(said);
}

/* ---- the guest ---- */

/* The guest's own archive and behind it one with /job. */
static const char *initramfs_with(const char *job)
{
	program_file_of("job", job);
	const char *path = program_file_of("initramfs.cpio", "");
	char line[1000];
	snprintf(line, sizeof(line),
		 "cat " GUEST "initramfs.cpio > %s && cd %s && echo job | cpio --quiet -o -H newc >> %s",
		 path, program_folder(), strrchr(path, '/') + 1);
	assert_int_equal(system(line), 0);
	return path;
}

struct guest_vm vm_start(const struct served *server, unsigned queues, const char *job, const char *extra)
{
	struct guest_vm vm = {0};
	char line[2000];
	const char *initramfs = initramfs_with(job);
	vm.serial = program_file_of("serial.log", "");
	vm.monitor = program_file_of("monitor.sock", "");
	unlink(vm.monitor);
	snprintf(line, sizeof(line),
		 "qemu-system-x86_64 -accel tcg -cpu max -smp %u -m 256M "
		 "-object memory-backend-memfd,id=ram0,size=256M,share=on -machine q35,memory-backend=ram0 "
		 "-nodefaults -no-user-config -display none -serial file:%s -monitor "
		 "unix:%s,server=on,wait=off "
		 "-kernel " GUEST "vmlinuz -initrd %s -append console=ttyS0@quiet@panic=-1 "
		 "-chardev socket,id=c0,path=%s,reconnect=1 "
		 "-device vhost-user-blk-pci,chardev=c0,num-queues=%u %s",
		 queues, vm.serial, vm.monitor, initramfs, server->socket, queues, extra);
	vm.child = program_spawn(line, 0);
	return vm;
}

void vm_wait_for(struct guest_vm *vm, const char *text, unsigned limit_s)
{
	for (unsigned looks = 0;; looks++) {
		char *serial = serial_of(vm);
		bool found = strstr(serial, text) != NULL;
		free(serial);
		if (found)
			return;
		if (looks == limit_s * 1000000 / LOOK_US || program_ends(&vm->child, LOOK_US / 1e6)) {
			give_up(vm);
			fail_msg("the guest did not say '%s' within %u s", text, limit_s);
		}
	}
}

void vm_monitor(struct guest_vm *vm, const char *command)
{
	char answer[4096];
	int fd = socket_connect(vm->monitor);
	assert_true(fd >= 0);
	dprintf(fd, "%s\n", command);
	/* Greeting, echo, and the prompt when the command is through. */
	size_t got = 0;
	unsigned prompts = 0;
	while (prompts < 2 && got < sizeof(answer) - 1) {
		ssize_t more = read(fd, answer + got, sizeof(answer) - 1 - got);
		if (more <= 0)
			break;
		got += (size_t)more;
		answer[got] = '\0';
		prompts = 0;
		for (const char *at = answer; (at = strstr(at, "(qemu) ")) != NULL; at++)
			prompts++;
	}
	close(fd);
}

char *vm_end(struct guest_vm *vm, unsigned limit_s)
{
	if (!program_ends(&vm->child, limit_s)) {
		give_up(vm);
		fail_msg("the guest is still there after %u s", limit_s);
	}
	struct program_result result = program_wait(&vm->child);
	char *serial = serial_of(vm);
	if (result.status != 0 || !strstr(serial, "GUEST status 0"))
		fail_msg("the guest did not do its job (QEMU's exit status %d)\n%s\n%s", result.status,
			 serial, result.err);
	program_free(&result);
	return serial;
}
