#include "tests/e2e/guest_vm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX 96
#define LOOK_US   10000
#define GUEST     "build/guest/"

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Starts a program with the words of a line, its output in files. '@' stands for a blank inside a word. */
static pid_t start(const char *line, const char *out, const char *err)
{
	char *copy = strdup(line), *words[WORDS_MAX], *state;
	unsigned count = 0;
	for (char *word = strtok_r(copy, " ", &state); word; word = strtok_r(NULL, " ", &state)) {
		assert_true(count < WORDS_MAX - 1);
		words[count++] = word;
		for (; *word; word++)
			if (*word == '@')
				*word = ' ';
	}
	words[count] = NULL;
	printf("run: %s\n", line);
	fflush(stdout);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
		int out_fd = open(out, O_CREAT | O_APPEND | O_WRONLY, 0600);
		int err_fd = open(err, O_CREAT | O_APPEND | O_WRONLY, 0600);
		dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
		dup2(out_fd, STDOUT_FILENO);
		dup2(err_fd, STDERR_FILENO);
		execvp(words[0], words);
		_exit(127);
	}
	free(copy);
	return pid;
}

static char *text_of(const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return strdup("");
	assert_int_equal(fstat(fd, &status), 0);
	char *text = malloc((size_t)status.st_size + 1);
	assert_non_null(text);
	ssize_t got = read(fd, text, (size_t)status.st_size);
	assert_true(got >= 0);
	/* A guest's console may hold anything. */
	for (ssize_t i = 0; i < got; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	text[got] = '\0';
	close(fd);
	return text;
}

static void show(const char *path)
{
	char *text = text_of(path);
	printf("---- %s\n%s\n", path, text);
	free(text);
}

/* Exit status of a child; -1 if it was killed or is still there after `limit_s`. */
static int wait_for_end(pid_t pid, double limit_s)
{
	double end_s = now_s() + limit_s;
	int status;
	for (;;) {
		pid_t got = waitpid(pid, &status, WNOHANG);
		assert_true(got >= 0);
		if (got == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		if (now_s() > end_s)
			return -1;
		usleep(LOOK_US);
	}
}

/* ---- the server ---- */

static const char *own_program(void)
{
	static char self[4096];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	assert_true(length > 0);
	return strstr(self, "/sanitize/") ? "build/sanitize/kickstand" : "build/kickstand";
}

void server_restart(struct server *server, const char *arguments)
{
	char line[1000];
	snprintf(line, sizeof(line), "%s serve --vhost-user %s %s", own_program(), server->socket, arguments);
	unlink(server->out);
	server->pid = start(line, server->out, server->err);
	double end_s = now_s() + 30;
	for (;;) {
		char *err = text_of(server->err);
		char *listens = strstr(err, " on ");
		free(err);
		if (listens)
			return;
		if (now_s() > end_s || waitpid(server->pid, NULL, WNOHANG) != 0) {
			show(server->err);
			fail_msg("the server does not listen");
		}
		usleep(LOOK_US);
	}
}

struct server server_start(const char *arguments)
{
	static unsigned number;
	char name[64];
	struct server server;
	number++;
	snprintf(name, sizeof(name), "serve%u.sock", number);
	server.socket = program_file_of(name, "");
	unlink(server.socket);
	snprintf(name, sizeof(name), "serve%u.out", number);
	server.out = program_file_of(name, "");
	snprintf(name, sizeof(name), "serve%u.err", number);
	server.err = program_file_of(name, "");
	server_restart(&server, arguments);
	return server;
}

int server_stop(struct server *server, unsigned limit_s)
{
	kill(server->pid, SIGTERM);
	int status = wait_for_end(server->pid, limit_s);
	if (status != 0)
		show(server->err);
	return status;
}

void server_kill(struct server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	truncate(server->err, 0);
}

double server_cpu_s(const struct server *server)
{
	char path[64], text[1000];
	unsigned long user, kernel;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)server->pid);
	FILE *in = fopen(path, "r");
	assert_non_null(in);
	assert_non_null(fgets(text, sizeof(text), in));
	fclose(in);
	const char *after = strrchr(text, ')'); /* the name may hold anything */
	assert_non_null(after);
	assert_int_equal(
		sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel), 2);
	return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
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

struct guest_vm vm_start(const struct server *server, unsigned queues, const char *job, const char *extra)
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
	vm.log = program_file_of("qemu.log", "");
	vm.pid = start(line, vm.log, vm.log);
	return vm;
}

void vm_wait_for(struct guest_vm *vm, const char *text, unsigned limit_s)
{
	double end_s = now_s() + limit_s;
	for (;;) {
		char *serial = text_of(vm->serial);
		bool found = strstr(serial, text) != NULL;
		free(serial);
		if (found)
			return;
		if (now_s() > end_s || waitpid(vm->pid, NULL, WNOHANG) != 0) {
			show(vm->serial);
			kill(vm->pid, SIGKILL);
			fail_msg("the guest did not say '%s' within %u s", text, limit_s);
		}
		usleep(LOOK_US);
	}
}

void vm_monitor(struct guest_vm *vm, const char *command)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char answer[4096];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_true(fd >= 0 && strlen(vm->monitor) < sizeof(addr.sun_path));
	strcpy(addr.sun_path, vm->monitor);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
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
	int status = wait_for_end(vm->pid, limit_s);
	char *serial = text_of(vm->serial);
	if (status != 0 || !strstr(serial, "GUEST status 0")) {
		kill(vm->pid, SIGKILL);
		printf("---- %s\n%s\n", vm->serial, serial);
		show(vm->log);
		fail_msg("the guest did not do its job within %u s (QEMU's exit status %d)", limit_s, status);
	}
	return serial;
}
