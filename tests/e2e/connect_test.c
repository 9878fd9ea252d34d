/* `kickstand run --connect`: the simulated guest's driver against a served card, through the whole path. */
#include "tests/e2e/vfio_user_client.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *job(const char *name, const char *text)
{
	return program_file_of(name, text);
}

static const char *short_job(void)
{
	static char arguments[300];
	snprintf(arguments, sizeof(arguments), "--job %s",
		 job("short.fio", "[a]\nrw=randrw\nbs=4k\niodepth=8\nnumber_ios=200\n"));
	return arguments;
}

/* Runs the jobs against the server; the caller frees the document. */
static json_t *run(const struct served *server, const char *address_tail, const char *rest)
{
	char arguments[500];
	snprintf(arguments, sizeof(arguments), "--connect vfio-user:%s%s %s", server->socket, address_tail,
		 rest);
	return program_run_json(arguments);
}

static void check_run(const struct served *server, const char *tail, const char *rest, unsigned ios)
{
	json_t *root = run(server, tail, rest);
	assert_int_equal(json_at(root, "sim/errors"), 0);
	assert_true(json_at(root, "sim/ios") >= ios);
	assert_true(json_at(root, "host/interrupts") > 0);
	/* Nothing is said of what only the server knows. */
	assert_null(json_object_get(root, "device"));
	assert_null(json_object_get(root, "link"));
	json_decref(root);
}

#define MIXED                                                                                                \
	"[global]\nbssplit=512/20:4k/60:64k/20\niodepth=16\nnumber_ios=1500\nverify=crc32c\nfsync=100\n"     \
	"[a]\nrw=randrw\n[b]\nstonewall\nrw=write\n[c]\nstonewall\nrw=randtrim\nnumber_ios=200\n"

static void test_connect_verifies_all_data(void **state)
{
	(void)state;
	const char *image = program_image("connect.img", 16 << 20, 5);
	char options[300], rest[300];
	snprintf(options, sizeof(options), "--disk %s", image);
	struct served server = vf_serve(options);
	/* With --disk, sectors that nobody has written are compared with the image, and the image with what was written. */
	snprintf(rest, sizeof(rest), "--disk %s --job %s", image, job("mixed.fio", MIXED));
	check_run(&server, "", rest, 3000);
	check_run(&server, ",dma=messages", rest, 3000);
	snprintf(rest, sizeof(rest), "--job %s", job("mixed.fio", MIXED));
	check_run(&server, "", rest, 3000);
	free(served_end(&server));
}

static void test_connect_uses_queues_and_ways_of_interrupting(void **state)
{
	(void)state;
	static const char *const settings[] = {
		"--set device.queues=4 --set host.vcpus=4",
		"--set device.queues=4 --set host.vcpus=2 --set guest.queues=2",
		"--set guest.msix=off",
		"--set guest.msix=off --set guest.event_idx=off --set device.queues=2 --set host.vcpus=2",
		"--set guest.event_idx=off --set guest.indirect=off",
		"--set guest.queue_size=16",
	};
	struct served server = vf_serve("--disk ram:64M --set device.queues=4");
	const char *jobs = job("queues.fio", "[a]\nrw=randrw\nbs=4k\niodepth=8\nnumjobs=4\nnumber_ios=500\n"
					     "verify=crc32c\n");
	unsigned fds = vf_fds_with_client(&server);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		char rest[300];
		snprintf(rest, sizeof(rest), "%s --job %s", settings[i], jobs);
		check_run(&server, "", rest, 2000);
		assert_int_equal(vf_fds_with_client(&server), fds);
	}
	char *err = served_end(&server);
	if (strstr(err, "checker") || strstr(err, "no memory"))
		fail_msg("%s", err);
	free(err);
}

/* The wall clock is what the figures are about. */
static void test_connect_reports_wall_clock_time(void **state)
{
	(void)state;
	struct served server = vf_serve("--disk ram:64M --pace wall --set media.read_ns=5000000");
	char rest[300];
	snprintf(rest, sizeof(rest), "--job %s",
		 job("slow.fio", "[a]\nrw=randread\nbs=4k\niodepth=1\nnumber_ios=40\n"));
	json_t *root = run(&server, "", rest);
	double ns = json_at(root, "sim/time_ns");
	assert_true(ns >= 40 * 5e6 && ns < 40 * 5e6 * 10);
	assert_true(json_at(root, "jobs/0/read/lat_ns/mean") >= 5e6);
	json_decref(root);
	snprintf(rest, sizeof(rest), "run --connect vfio-user:%s --job %s", server.socket,
		 job("slow.fio", "[a]\nrw=randread\nbs=4k\niodepth=1\nnumber_ios=4\n"));
	struct program_result result = program_run(rest, 60);
	assert_int_equal(result.status, 0);
	assert_non_null(strstr(result.out, "wall clock"));
	assert_non_null(strstr(result.out, "all data verified"));
	program_free(&result);
	free(served_end(&server));
}

static void expect_one_line(struct program_result *result, int status, const char *part)
{
	unsigned lines = 0;
	printf("%s", result->err);
	assert_int_equal(result->status, status);
	for (const char *c = result->err; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, 1);
	assert_non_null(strstr(result->err, part));
	program_free(result);
}

static void test_connect_without_a_server_says_so(void **state)
{
	(void)state;
	struct program_result result = program_run("run --connect vfio-user:/nonexistent/socket", 30);
	expect_one_line(&result, 2, "/nonexistent/socket: cannot connect");
	result = program_run("run --connect tcp:1234", 30);
	expect_one_line(&result, 2, "vfio-user:PATH");
	char arguments[300];
	snprintf(arguments, sizeof(arguments), "run --connect vfio-user:%s", program_file_of("plain", "x"));
	result = program_run(arguments, 30);
	expect_one_line(&result, 2, "cannot connect");
	result = program_run("run --connect vfio-user:/x --trace /dev/null", 30);
	expect_one_line(&result, 2, "--trace");
}

static void test_connect_second_client_is_refused(void **state)
{
	(void)state;
	struct served server = vf_serve("");
	struct vf_client first;
	char arguments[300];
	vf_open(&first, &server);
	snprintf(arguments, sizeof(arguments), "run --connect vfio-user:%s", server.socket);
	struct program_result result = program_run(arguments, 30);
	expect_one_line(&result, 2, "no other client");
	vf_close(&first);
	check_run(&server, "", short_job(), 100);
	free(served_end(&server));
}

static struct program_child start_endless(const struct served *server, const char *tail)
{
	char arguments[300];
	snprintf(arguments, sizeof(arguments), "run --connect vfio-user:%s%s --job %s", server->socket, tail,
		 job("endless.fio", "[a]\nrw=randrw\nbs=4k\niodepth=8\ntime_based\nruntime=60\n"));
	struct program_child child = program_start(arguments, 60);
	usleep(700000);
	assert_int_equal(waitpid(child.pid, NULL, WNOHANG), 0);
	return child;
}

static void test_connect_server_killed_midway_is_one_line(void **state)
{
	(void)state;
	static const char *const tails[] = {"", ",dma=messages"};
	for (unsigned i = 0; i < 2; i++) {
		struct served server = vf_serve("");
		struct program_child child = start_endless(&server, tails[i]);
		served_kill(&server);
		struct program_result result = program_wait(&child);
		expect_one_line(&result, 1, "server has closed the connection");
		/* The stale socket is replaced by a new server. */
		server = vf_serve("");
		check_run(&server, tails[i], short_job(), 100);
		free(served_end(&server));
	}
}

static void test_connect_client_killed_midway_leaves_the_server_to_the_next(void **state)
{
	(void)state;
	static const char *const tails[] = {"", ",dma=messages"};
	struct served server = vf_serve("");
	unsigned fds = vf_fds_with_client(&server);
	for (unsigned i = 0; i < 4; i++) {
		struct program_child child = start_endless(&server, tails[i % 2]);
		kill(child.pid, SIGKILL);
		struct program_result result = program_wait(&child);
		assert_int_equal(result.status, -1);
		program_free(&result);
		assert_int_equal(vf_fds_with_client(&server), fds);
		check_run(&server, "", short_job(), 100);
	}
	char *err = served_end(&server);
	if (strstr(err, "checker") || strstr(err, "no memory"))
		fail_msg("%s", err);
	free(err);
}

static void test_connect_is_interrupted_with_a_report(void **state)
{
	(void)state;
	struct served server = vf_serve("");
	struct program_child child = start_endless(&server, "");
	kill(child.pid, SIGINT);
	struct program_result result = program_wait(&child);
	assert_int_equal(result.status, 128 + SIGINT);
	assert_non_null(strstr(result.out, "interrupted"));
	program_free(&result);
	free(served_end(&server));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect_verifies_all_data),
		cmocka_unit_test(test_connect_uses_queues_and_ways_of_interrupting),
		cmocka_unit_test(test_connect_reports_wall_clock_time),
		cmocka_unit_test(test_connect_without_a_server_says_so),
		cmocka_unit_test(test_connect_second_client_is_refused),
		cmocka_unit_test(test_connect_server_killed_midway_is_one_line),
		cmocka_unit_test(test_connect_client_killed_midway_leaves_the_server_to_the_next),
		cmocka_unit_test(test_connect_is_interrupted_with_a_report),
	};
	signal(SIGINT, SIG_DFL); /* shells ignore it for what they start in the background */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
