/* NBD disks against real servers: nbdkit on a Unix socket in a directory under build/, ended with the test. */
#include "rtl-model/blocks/media/store_ops.h"
#include "tests/check.h"
#include "tests/unit/rtl-model/media_dir.h"
#include "tests/unit/rtl-model/media_shadow.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#define MIB ((size_t)1 << 20)

struct server {
	pid_t pid;
	char socket[PATH_MAX];
	char uri[PATH_MAX + 64];
};

static void pause_ms(unsigned ms)
{
	struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
	nanosleep(&time, NULL);
}

/* nbdkit writes its pid file when it is ready to answer. */
static void wait_for_file(const char *path, pid_t pid)
{
	for (unsigned i = 0; i < 2000 && access(path, F_OK) != 0; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			fail_msg("nbdkit ended at once");
		pause_ms(5);
	}
	assert_int_equal(access(path, F_OK), 0);
}

/* Starts nbdkit with the arguments given as one line. `where`: options for the address, NULL = the socket. */
static void start_server(struct server *server, void **state, const char *where, const char *arguments)
{
	char pid_file[PATH_MAX], command[4 * PATH_MAX], address[PATH_MAX + 8];
	dir_file(state, "socket", server->socket);
	dir_file(state, "pid", pid_file);
	unlink(server->socket);
	unlink(pid_file);
	snprintf(address, sizeof(address), "-U %s", server->socket);
	snprintf(server->uri, sizeof(server->uri), "nbd+unix:///?socket=%s", server->socket);
	snprintf(command, sizeof(command), "exec nbdkit -f --exit-with-parent -P %s %s %s 2>/dev/null",
		 pid_file, where ? where : address, arguments);
	server->pid = fork();
	if (server->pid == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	wait_for_file(pid_file, server->pid);
}

static void stop_server(const struct server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
}

static struct store *open_good(const char *spec, bool read_only)
{
	char error[8192] = "";
	struct store *store = store_open(spec, read_only, 1, error, sizeof(error));
	if (!store)
		fail_msg("%s", error);
	return store;
}

static void check_refused(const char *spec, bool read_only, const char *words)
{
	char error[8192] = "";
	assert_null(store_open(spec, read_only, 1, error, sizeof(error)));
	if (!strstr(error, spec) || !strstr(error, words) || strchr(error, '\n'))
		fail_msg("\"%s\" should name %s and say \"%s\"", error, spec, words);
}

static void test_nbd_random_operations_equal_shadow(void **state)
{
	struct server server;
	uint64_t seed = test_seed(31);
	start_server(&server, state, NULL, "memory 300k");
	struct store *store = open_good(server.uri, false);
	const struct store_info *info = store_info(store);
	assert_string_equal(info->kind, "nbd");
	assert_int_equal(info->bytes, 300 * 1024);
	assert_true(info->can_flush);
	assert_true(info->can_discard);
	assert_true(info->can_zero);
	struct shadow shadow = {.size = 300 * 1024, .unit = 512, .discard_zeroes = true};
	shadow.bytes = calloc(1, shadow.size);
	shadow_run(store, &shadow, seed, 1000);
	assert_int_equal(store_flush(store), 0);
	assert_null(store_error(store));
	free(shadow.bytes);
	store_close(store);
	stop_server(&server);
}

static void test_nbd_every_kind_of_address_connects(void **state)
{
	struct server server;
	char spec[PATH_MAX + 128];
	static const char *const prefixes[] = {
		"nbd+unix:///?socket=", "nbd:nbd+unix:///?socket=", "nbd:unix:"};
	start_server(&server, state, NULL, "memory 64M");
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		snprintf(spec, sizeof(spec), "%s%s", prefixes[i], server.socket);
		struct store *store = open_good(spec, false);
		assert_int_equal(store_info(store)->bytes, 64 * MIB);
		assert_string_equal(store_info(store)->spec, spec);
		store_close(store);
	}
	stop_server(&server);
}

/* A TCP port that was free a moment ago. */
static unsigned free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static void test_nbd_tcp_address_connects(void **state)
{
	struct server server;
	char where[64], spec[64];
	unsigned port = free_port();
	snprintf(where, sizeof(where), "-i 127.0.0.1 -p %u", port);
	start_server(&server, state, where, "memory 1M");
	snprintf(spec, sizeof(spec), "nbd://127.0.0.1:%u", port);
	struct store *store = open_good(spec, false);
	assert_int_equal(store_info(store)->bytes, MIB);
	store_close(store);
	snprintf(spec, sizeof(spec), "nbd:nbd://127.0.0.1:%u/", port);
	store_close(open_good(spec, false));
	stop_server(&server);
}

static void test_nbd_file_server_data_reaches_file(void **state)
{
	struct server server;
	char path[PATH_MAX], arguments[PATH_MAX + 16];
	uint8_t data[4096], found[4096];
	int fd = open(dir_file(state, "served", path), O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	snprintf(arguments, sizeof(arguments), "file %s", path);
	start_server(&server, state, NULL, arguments);
	struct store *store = open_good(server.uri, false);
	memset(data, 0x4d, sizeof(data));
	assert_int_equal(store_write(store, 8192, data, sizeof(data)), 0);
	assert_int_equal(store_flush(store), 0);
	assert_int_equal(pread(fd, found, sizeof(found), 8192), sizeof(found));
	assert_memory_equal(found, data, sizeof(data));
	assert_int_equal(store_zero(store, 8192, 512, false), 0);
	assert_int_equal(store_zero(store, 8704, 512, true), 0);
	assert_int_equal(pread(fd, found, sizeof(found), 8192), sizeof(found));
	for (unsigned i = 0; i < sizeof(found); i++)
		assert_int_equal(found[i], i < 1024 ? 0 : 0x4d);
	store_close(store);
	stop_server(&server);
	close(fd);
}

static uint64_t allocated_bytes(int fd)
{
	struct stat status;
	assert_int_equal(fstat(fd, &status), 0);
	return (uint64_t)status.st_blocks * 512;
}

static void test_nbd_zero_frees_space_only_if_it_may(void **state)
{
	struct server server;
	char path[PATH_MAX], arguments[PATH_MAX + 16];
	int fd = open(dir_file(state, "space", path), O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	snprintf(arguments, sizeof(arguments), "file %s", path);
	start_server(&server, state, NULL, arguments);
	struct store *store = open_good(server.uri, false);
	uint8_t *data = malloc(MIB);
	memset(data, 0x66, MIB);
	assert_int_equal(store_write(store, 0, data, MIB), 0);
	assert_int_equal(store_flush(store), 0);
	uint64_t full = allocated_bytes(fd);
	assert_int_equal(store_zero(store, 0, MIB / 2, false), 0);
	assert_int_equal(store_flush(store), 0);
	assert_true(allocated_bytes(fd) >= full);
	assert_int_equal(store_zero(store, 0, MIB / 2, true), 0);
	assert_true(allocated_bytes(fd) <= full - MIB / 2);
	free(data);
	store_close(store);
	stop_server(&server);
	close(fd);
}

static void test_nbd_large_accesses_are_cut_to_the_servers_limit(void **state)
{
	struct server server;
	start_server(&server, state, NULL,
		     "--filter=blocksize-policy memory 100M blocksize-minimum=512 blocksize-preferred=4096 "
		     "blocksize-maximum=65536 blocksize-error-policy=error");
	struct store *store = open_good(server.uri, false);
	uint8_t *data = malloc(40 * MIB), *found = malloc(40 * MIB);
	struct rng rng;
	rng_seed(&rng, 1, 0);
	for (size_t i = 0; i < 40 * MIB; i += 8) {
		uint64_t word = rng_u64(&rng);
		memcpy(data + i, &word, 8);
	}
	assert_int_equal(store_write(store, 512, data, 40 * MIB), 0);
	assert_int_equal(store_read(store, 512, found, 40 * MIB), 0);
	assert_memory_equal(found, data, 40 * MIB);
	assert_int_equal(store_zero(store, 0, 100 * MIB, false), 0);
	assert_int_equal(store_discard(store, 0, 100 * MIB), 0);
	free(data);
	free(found);
	store_close(store);
	stop_server(&server);
}

static void test_nbd_zero_longer_than_32_bits_is_cut(void **state)
{
	struct server server;
	start_server(&server, state, NULL, "memory 16G");
	struct store *store = open_good(server.uri, false);
	uint8_t data[512];
	static const uint64_t places[] = {0, UINT64_C(5) << 30, (UINT64_C(9) << 30) - 512, UINT64_C(9) << 30};
	memset(data, 0x55, sizeof(data));
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		assert_int_equal(store_write(store, places[i], data, 512), 0);
	assert_int_equal(store_zero(store, 0, UINT64_C(9) << 30, true), 0);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		assert_int_equal(store_read(store, places[i], data, 512), 0);
		assert_int_equal(data[0], i == 3 ? 0x55 : 0);
	}
	assert_int_equal(store_discard(store, 0, UINT64_C(16) << 30), 0);
	store_close(store);
	stop_server(&server);
}

static void test_nbd_server_killed_ends_in_eio(void **state)
{
	struct server server;
	uint8_t data[4096] = {0};
	start_server(&server, state, NULL, "memory 64M");
	struct store *store = open_good(server.uri, false);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(store_write(store, i * 4096, data, sizeof(data)), 0);
	stop_server(&server);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(store_write(store, 0, data, sizeof(data)), -EIO);
		assert_int_equal(store_read(store, 0, data, sizeof(data)), -EIO);
		assert_int_equal(store_flush(store), -EIO);
		assert_int_equal(store_discard(store, 0, 512), -EIO);
		assert_int_equal(store_zero(store, 0, 512, true), -EIO);
	}
	assert_non_null(strstr(store_error(store), server.uri));
	assert_non_null(strstr(store_error(store), "connection was lost"));
	store_close(store);
}

/* The server dies while a command is on its way: its answer is delayed by more than the time to the kill. */
static void test_nbd_server_killed_within_a_command_ends_in_eio(void **state)
{
	struct server server;
	uint8_t data[4096];
	start_server(&server, state, NULL, "--filter=delay memory 64M rdelay=60");
	struct store *store = open_good(server.uri, false);
	pid_t killer = fork();
	if (killer == 0) {
		pause_ms(200);
		kill(server.pid, SIGKILL);
		_exit(0);
	}
	assert_int_equal(store_read(store, 0, data, sizeof(data)), -EIO);
	assert_non_null(strstr(store_error(store), server.uri));
	waitpid(killer, NULL, 0);
	store_close(store);
	stop_server(&server);
}

static void test_nbd_silent_server_is_given_up(void **state)
{
	struct server server;
	char error[8192];
	uint8_t data[4096];
	start_server(&server, state, NULL, "--filter=delay memory 64M rdelay=60");
	struct store *store = store_nbd_open(server.uri, false, 200, error, sizeof(error));
	assert_non_null(store);
	store->spec = strdup(server.uri); /* store_open's part */
	assert_int_equal(store_read(store, 0, data, sizeof(data)), -EIO);
	assert_non_null(strstr(store_error(store), "does not answer"));
	assert_int_equal(store_write(store, 0, data, sizeof(data)), -EIO);
	store_close(store);
	stop_server(&server);
}

static void test_nbd_server_errors_are_handed_on_and_pass(void **state)
{
	struct server server;
	char trigger[PATH_MAX], arguments[PATH_MAX + 128];
	uint8_t data[512] = {0};
	dir_file(state, "trigger", trigger);
	snprintf(arguments, sizeof(arguments),
		 "--filter=error memory 64M error-pread=EIO error-pwrite=ENOSPC error-rate=100%% "
		 "error-file=%s",
		 trigger);
	start_server(&server, state, NULL, arguments);
	struct store *store = open_good(server.uri, false);
	assert_int_equal(store_write(store, 0, data, 512), 0);
	close(open(trigger, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(store_write(store, 1024, data, 512), -ENOSPC);
	assert_non_null(
		strstr(store_error(store), "write of 512 bytes at 1024 failed: No space left on device"));
	assert_non_null(strstr(store_error(store), server.uri));
	assert_int_equal(store_read(store, 0, data, 512), -EIO);
	unlink(trigger);
	assert_int_equal(store_read(store, 0, data, 512), 0);
	assert_int_equal(store_write(store, 1024, data, 512), 0);
	store_close(store);
	stop_server(&server);
}

static void test_nbd_poor_servers_get_replacements(void **state)
{
	struct server server;
	uint8_t data[1024];
	start_server(&server, state, NULL, "--filter=nozero memory 64M zeromode=none");
	struct store *store = open_good(server.uri, false);
	assert_false(store_info(store)->can_zero);
	memset(data, 0x21, sizeof(data));
	assert_int_equal(store_write(store, 0, data, sizeof(data)), 0);
	assert_int_equal(store_zero(store, 0, 512, false), 0);
	assert_int_equal(store_read(store, 0, data, sizeof(data)), 0);
	assert_int_equal(data[511], 0);
	assert_int_equal(data[512], 0x21);
	store_close(store);
	stop_server(&server);

	start_server(
		&server, state, NULL, /* cannot trim, has no room, has no cache */
		"eval get_size='echo 64M' pread='head -c $3 /dev/zero' pwrite='echo ENOSPC >&2; exit 1'");
	store = open_good(server.uri, false);
	assert_false(store_info(store)->can_discard);
	assert_false(store_info(store)->can_flush);
	assert_int_equal(store_discard(store, 0, 512), 0);
	assert_int_equal(store_flush(store), 0);
	assert_int_equal(store_write(store, 0, data, 512), -ENOSPC);
	store_close(store);
	stop_server(&server);
}

static void test_nbd_unfit_servers_are_refused(void **state)
{
	static const struct {
		const char *arguments;
		bool read_only;
		const char *words; /* NULL: accepted */
	} cases[] = {
		{"-r memory 64M", false, "device.read_only=on"},
		{"-r memory 64M", true, NULL},
		{"memory 1000", false, "no multiple of 512"},
		{"memory 0", false, "nothing in it"},
		{"--filter=blocksize-policy memory 64M blocksize-minimum=4096 blocksize-preferred=4096",
		 false, "--filter=blocksize"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct server server;
		start_server(&server, state, NULL, cases[i].arguments);
		if (cases[i].words) {
			check_refused(server.uri, cases[i].read_only, cases[i].words);
		} else {
			struct store *store = open_good(server.uri, cases[i].read_only);
			uint8_t data[512];
			assert_true(store_info(store)->read_only);
			assert_int_equal(store_read(store, 0, data, 512), 0);
			assert_int_equal(store_write(store, 0, data, 512), -EROFS);
			store_close(store);
		}
		stop_server(&server);
	}
}

static void test_nbd_no_server_is_refused(void **state)
{
	char path[PATH_MAX], spec[PATH_MAX + 64];
	dir_file(state, "nobody", path);
	snprintf(spec, sizeof(spec), "nbd+unix:///?socket=%s", path);
	check_refused(spec, false, "no NBD server");
	snprintf(spec, sizeof(spec), "nbd:unix:%s", path);
	check_refused(spec, false, "no NBD server");
	check_refused("nbd:", false, "no NBD server");
	check_refused("nbd:http://127.0.0.1/", false, "no NBD server");
	check_refused("nbd:not a uri", false, "no NBD server");
	snprintf(spec, sizeof(spec), "nbd://127.0.0.1:%u", free_port());
	check_refused(spec, false, "no NBD server");
}

/* Something listens that is no NBD server: it says the given bytes (none: nothing at all) and waits. */
static void test_nbd_other_peers_are_refused(void **state)
{
	static const char *const greetings[] = {
		"",
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"NBDMAGICNBDMAGICNBDMAGICNBDMAGICNBDMAGIC",
		"NBDMAGICIHAVEOPT\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
		"\xff\xff\xff\xff",
	};
	for (size_t i = 0; i < ARRAY_SIZE(greetings); i++) {
		char path[PATH_MAX], spec[PATH_MAX + 64], error[8192];
		struct sockaddr_un address = {.sun_family = AF_UNIX};
		dir_file(state, "peer", path);
		unlink(path);
		memcpy(address.sun_path, path, strlen(path));
		int listener = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
		assert_int_equal(listen(listener, 1), 0);
		pid_t peer = fork();
		if (peer == 0) {
			int fd = accept(listener, NULL, NULL);
			if (fd < 0 || write(fd, greetings[i], strlen(greetings[i])) < 0)
				_exit(1);
			pause_ms(60000);
			_exit(0);
		}
		snprintf(spec, sizeof(spec), "nbd:unix:%s", path);
		assert_null(store_nbd_open(spec, false, 300, error, sizeof(error)));
		assert_non_null(strstr(error, "no NBD server"));
		kill(peer, SIGKILL);
		waitpid(peer, NULL, 0);
		close(listener);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nbd_random_operations_equal_shadow),
		cmocka_unit_test(test_nbd_every_kind_of_address_connects),
		cmocka_unit_test(test_nbd_tcp_address_connects),
		cmocka_unit_test(test_nbd_file_server_data_reaches_file),
		cmocka_unit_test(test_nbd_zero_frees_space_only_if_it_may),
		cmocka_unit_test(test_nbd_large_accesses_are_cut_to_the_servers_limit),
		cmocka_unit_test(test_nbd_zero_longer_than_32_bits_is_cut),
		cmocka_unit_test(test_nbd_server_killed_ends_in_eio),
		cmocka_unit_test(test_nbd_server_killed_within_a_command_ends_in_eio),
		cmocka_unit_test(test_nbd_silent_server_is_given_up),
		cmocka_unit_test(test_nbd_server_errors_are_handed_on_and_pass),
		cmocka_unit_test(test_nbd_poor_servers_get_replacements),
		cmocka_unit_test(test_nbd_unfit_servers_are_refused),
		cmocka_unit_test(test_nbd_no_server_is_refused),
		cmocka_unit_test(test_nbd_other_peers_are_refused),
	};
	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
