#include "tests/e2e/served.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LIFE_S   600
#define LISTEN_S 30
#define END_S    60
#define LOOK_US  10000

/* It says so; the socket itself may be an earlier server's. */
static bool listens(const struct served *served)
{
	char *said = program_said(&served->child);
	bool does = strstr(said, " on ") != NULL;
	free(said);
	return does;
}

void served_restart(struct served *served, const char *options)
{
	char *arguments;
	assert_true(asprintf(&arguments, "serve %s %s %s", served->protocol, served->socket, options) > 0);
	served->child = program_start(arguments, LIFE_S);
	free(arguments);
	for (unsigned looks = 0; !listens(served); looks++)
		if (looks == LISTEN_S * 1000000 / LOOK_US || program_ends(&served->child, LOOK_US / 1e6))
			fail_msg("the server does not listen\n%s", program_said(&served->child));
}

struct served served_start(const char *protocol, const char *options)
{
	static unsigned number;
	char name[32];
	snprintf(name, sizeof(name), "serve%u.sock", number++);
	struct served served = {.protocol = protocol, .socket = program_path_of(name)};
	served_restart(&served, options);
	return served;
}

char *served_end(struct served *served)
{
	kill(served->child.pid, SIGTERM);
	if (!program_ends(&served->child, END_S))
		fail_msg("the server does not end\n%s", program_said(&served->child));
	struct program_result result = program_wait(&served->child);
	if (result.status != 0)
		fail_msg("the server ended with status %d\n%s", result.status, result.err);
	free(result.out);
	return result.err;
}

void served_kill(struct served *served)
{
	program_kill(&served->child);
}

int socket_connect(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	assert_true(strlen(path) < sizeof(addr.sun_path));
	strcpy(addr.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	close(fd);
	return -1;
}

bool socket_send(int fd, const void *data, size_t bytes, const int *fds, unsigned count)
{
	union {
		char bytes[CMSG_SPACE(64 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec piece = {(void *)(uintptr_t)data, bytes};
	struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1};
	if (count != 0) {
		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
	}
	ssize_t sent = sendmsg(fd, &header, MSG_NOSIGNAL);
	assert_true(sent == (ssize_t)bytes || (sent < 0 && (errno == EPIPE || errno == ECONNRESET)));
	return sent >= 0;
}

/* ---- what /proc says of it ---- */

static FILE *open_proc(const struct served *served, const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)served->child.pid, name);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	return file;
}

unsigned served_fds(const struct served *served)
{
	char path[64];
	unsigned count = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)served->child.pid);
	DIR *folder = opendir(path);
	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

void served_expect_fds(const struct served *served, unsigned fds)
{
	for (unsigned waited_us = 0; waited_us < 5000000; waited_us += LOOK_US) {
		if (served_fds(served) == fds)
			return;
		usleep(LOOK_US);
	}
	fail_msg("the server has %u descriptors open, not %u", served_fds(served), fds);
}

unsigned served_mappings(const struct served *served)
{
	char line[400];
	unsigned count = 0;
	FILE *maps = open_proc(served, "maps");
	while (fgets(line, sizeof(line), maps))
		count += strstr(line, "memfd:") != NULL;
	fclose(maps);
	return count;
}

double served_cpu_s(const struct served *served)
{
	char text[1000];
	unsigned long user, kernel;
	FILE *in = open_proc(served, "stat");
	assert_non_null(fgets(text, sizeof(text), in));
	fclose(in);
	const char *after = strrchr(text, ')'); /* the name may hold anything */
	assert_non_null(after);
	assert_int_equal(
		sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel), 2);
	return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}
