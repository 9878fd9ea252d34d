/* What a guest does is recorded (`serve --record`) and replayed (`run`, read_iolog), here and with the real fio. */
#include "tests/e2e/vfio_user_client.h"
#include "tests/unit/host-sim/workloads/fio_tool.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUEUES 2u

static const char *const offloads[] = {"fetch", "firmware"};

/* ---- logs, read without the program's help ---- */

struct line {
	unsigned queue;
	double at_us;
	char action[12];
	unsigned long long offset, length;
};

struct lines {
	struct line *line;
	size_t count;
};

/* The I/Os of a recording; every line must be whole. */
static struct lines read_log(const char *path)
{
	struct lines lines = {0};
	char text[200];
	double last_us = 0;
	FILE *in = fopen(path, "r");
	assert_non_null(in);
	assert_non_null(fgets(text, sizeof(text), in));
	assert_string_equal(text, "fio version 3 iolog\n");
	while (fgets(text, sizeof(text), in)) {
		struct line line;
		int fields = sscanf(text, "%lf q%u %11s %llu %llu", &line.at_us, &line.queue, line.action,
				    &line.offset, &line.length);
		if ((fields != 3 && fields != 5) || text[strlen(text) - 1] != '\n')
			fail_msg("%s: '%s'", path, text);
		assert_true(line.at_us >= last_us);
		last_us = line.at_us;
		if (fields == 3)
			continue;
		lines.line = reallocarray(lines.line, lines.count + 1, sizeof(line));
		lines.line[lines.count++] = line;
	}
	fclose(in);
	return lines;
}

static const struct line *next_of_queue(const struct lines *lines, unsigned queue, size_t *at)
{
	while (*at < lines->count && lines->line[*at].queue != queue)
		++*at;
	return *at < lines->count ? &lines->line[(*at)++] : NULL;
}

/* The same in each queue, times aside. */
static void expect_same(const struct lines *a, const struct lines *b)
{
	assert_int_equal(a->count, b->count);
	for (unsigned queue = 0; queue < QUEUES; queue++) {
		size_t at_a = 0, at_b = 0;
		const struct line *x, *y;
		while ((x = next_of_queue(a, queue, &at_a)) != NULL) {
			y = next_of_queue(b, queue, &at_b);
			assert_non_null(y);
			assert_string_equal(x->action, y->action);
			assert_int_equal(x->offset, y->offset);
			assert_int_equal(x->length, y->length);
		}
	}
}

static double count_of(const struct lines *lines, const char *action, double *bytes)
{
	double count = 0, sum = 0;
	for (size_t i = 0; i < lines->count; i++) {
		if (strcmp(lines->line[i].action, action) != 0)
			continue;
		count++;
		sum += (double)lines->line[i].length;
	}
	if (bytes)
		*bytes = sum;
	return count;
}

static unsigned count_lines(const char *path)
{
	FILE *in = fopen(path, "r");
	unsigned count = 0;
	assert_non_null(in);
	for (int byte; (byte = fgetc(in)) != EOF;)
		count += byte == '\n';
	fclose(in);
	return count;
}

/* ---- recordings ---- */

#define TWO_QUEUES "--set device.queues=2"

/* Runs a job against a served card that records. Returns the log's path. */
static const char *record(const char *name, const char *job, const char *offload)
{
	char options[400], arguments[600];
	const char *path = program_path_of(name), *doorbells;
	snprintf(options, sizeof(options),
		 "--disk ram:32M --record %s " TWO_QUEUES " --set device.offload=%s", path, offload);
	struct served server = vf_serve(options);
	snprintf(arguments, sizeof(arguments), "--connect vfio-user:%s " TWO_QUEUES " --job %s",
		 server.socket, job);
	json_t *root = program_run_json(arguments);
	assert_int_equal(json_at(root, "sim/errors"), 0);
	json_decref(root);
	free(served_end(&server));
	snprintf(options, sizeof(options), "%s.doorbells", name);
	doorbells = program_path_of(options);
	assert_true(count_lines(doorbells) > 0);
	return path;
}

/* Known I/Os come out, exactly. */
static void test_record_holds_what_the_guest_did(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const char *job = program_file_of(
			"known.fio",
			"[global]\niodepth=4\n[a]\nrw=write\nbs=4k\nsize=64k\noffset=8m\nfsync=4\n"
			"[b]\nstonewall\nrw=read\nbs=512\nsize=2k\n"
			"[c]\nstonewall\nrw=trimwrite\nbs=1m\nsize=2m\noffset=1m\n");
		struct lines lines = read_log(record("known.log", job, offloads[i]));
		size_t at = 0;
		for (unsigned n = 0; n < 16; n++) {
			assert_string_equal(lines.line[at].action, "write");
			assert_int_equal(lines.line[at].queue, 0);
			assert_int_equal(lines.line[at].offset, (8 << 20) + 4096 * n);
			assert_int_equal(lines.line[at++].length, 4096);
			if (n % 4 == 3 && n != 15) /* the job's end comes before its last flush */
				assert_string_equal(lines.line[at++].action, "sync");
		}
		for (unsigned n = 0; n < 4; n++) {
			assert_string_equal(lines.line[at].action, "read");
			assert_int_equal(lines.line[at].queue, 1); /* the second clone of the run */
			assert_int_equal(lines.line[at].offset, 512 * n);
			assert_int_equal(lines.line[at++].length, 512);
		}
		for (unsigned n = 0; n < 4; n++) {
			assert_string_equal(lines.line[at].action, n % 2 ? "write" : "trim");
			assert_int_equal(lines.line[at].offset, (1 + n / 2) << 20);
			assert_int_equal(lines.line[at++].length, 1 << 20);
		}
		assert_int_equal(lines.count, at);
		free(lines.line);
	}
}

#define RICH                                                                                                 \
	"[global]\niodepth=16\nbssplit=512/20:4k/60:64k/20\nnumber_ios=400\nnumjobs=2\n"                     \
	"[a]\nrw=randrw\nfsync=10\n[b]\nrw=randtrim\nnumber_ios=50\n"

static const char *replay_job(const char *name, const char *log, const char *more)
{
	char text[600];
	/* Names are relative to the job file, which is beside the log. */
	snprintf(text, sizeof(text), "[replay]\nread_iolog=%s\nnumjobs=2\niodepth=64\n%s",
		 strrchr(log, '/') + 1, more);
	return program_file_of(name, text);
}

static void test_replay_recorded_again_is_the_same(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const char *first = record("first.log", program_file_of("rich.fio", RICH), offloads[i]);
		const char *second = record(
			"second.log", replay_job("again.fio", first, "replay_no_stall=1\n"), offloads[i]);
		struct lines a = read_log(first), b = read_log(second);
		assert_true(count_of(&a, "read", NULL) > 100 && count_of(&a, "write", NULL) > 100);
		assert_true(count_of(&a, "sync", NULL) > 10);
		assert_int_equal(count_of(&a, "trim", NULL), 100);
		expect_same(&a, &b);
		free(a.line);
		free(b.line);
	}
}

/* ---- replay in the simulation ---- */

/* When and in which order requests were made, by the trace. */
static int by_time(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	return (x->at_us > y->at_us) - (x->at_us < y->at_us);
}

static struct lines read_trace(const char *path)
{
	json_error_t error;
	struct lines lines = {0};
	json_t *root = json_load_file(path, 0, &error), *event;
	size_t i;
	long last = 0;
	assert_non_null(root);
	json_array_foreach(json_object_get(root, "traceEvents"), i, event)
	{
		json_t *args = json_object_get(event, "args");
		const json_t *request = json_object_get(args, "request");
		if (!request || json_integer_value(request) == last)
			continue; /* the first slice of each request is its making */
		last = (long)json_integer_value(request);
		struct line line = {
			.at_us = json_number_value(json_object_get(event, "ts")),
			.queue = (unsigned)json_integer_value(json_object_get(args, "queue")),
			.offset = (unsigned long long)json_integer_value(json_object_get(args, "offset")),
			.length = (unsigned long long)json_integer_value(json_object_get(args, "bytes")),
		};
		snprintf(line.action, sizeof(line.action), "%s",
			 json_string_value(json_object_get(args, "op")));
		lines.line = reallocarray(lines.line, lines.count + 1, sizeof(line));
		lines.line[lines.count++] = line;
	}
	json_decref(root);
	qsort(lines.line, lines.count, sizeof(*lines.line), by_time);
	return lines;
}

/* Both queues, 20 us apart; every tenth is a flush. */
static const char *spread_log(void)
{
	char text[20000];
	char *end = text + sprintf(text, "fio version 3 iolog\n0 q0 add\n0 q1 add\n");
	for (unsigned i = 0; i < 200; i++)
		end += sprintf(end, "%u q%u %s %u %u\n", 1000 + 20 * i, i % 3 == 0,
			       i % 10 == 9  ? "sync"
			       : i % 2 == 0 ? "read"
					    : "write",
			       i % 10 == 9 ? 0 : 4096 * (i % 77), i % 10 == 9 ? 0 : 512 * (1 + i % 8));
	return program_file_of("spread.log", text);
}

static json_t *run_spread(const char *more, const char *rest)
{
	char arguments[600];
	const char *log = spread_log();
	snprintf(arguments, sizeof(arguments), "--disk ram:1M " TWO_QUEUES " --job %s %s",
		 replay_job("spread.fio", log, more), rest);
	return program_run_json(arguments);
}

static void test_replay_keeps_order_and_times(void **state)
{
	static const struct {
		const char *more;
		double step_us;
	} cases[] = {{"", 20}, {"replay_time_scale=50\n", 40}, {"replay_time_scale=200\n", 10}};
	char rest[300];
	(void)state;
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		const char *path = program_path_of("spread.trace");
		snprintf(rest, sizeof(rest), "--trace %s", path);
		json_t *root = run_spread(cases[c].more, rest);
		struct lines log = read_log(spread_log()), trace = read_trace(path);
		expect_same(&log, &trace);
		/* The device is idle in between: I/Os go at their times, up to what the guest's CPU is busy with. */
		double start_us = trace.line[0].at_us;
		for (size_t i = 0; i < trace.count; i++) {
			double late_us = trace.line[i].at_us - start_us - cases[c].step_us * (double)i;
			if (late_us < -0.001 || late_us > 5)
				fail_msg("I/O %zu is %g us late", i, late_us);
		}
		json_decref(root);
		free(log.line);
		free(trace.line);
	}
}

/* The document without its wall-clock figures, as text. */
static char *canonical(json_t *root)
{
	json_t *sim = json_object_get(root, "sim");
	json_object_del(sim, "wall_s");
	json_object_del(sim, "ios_per_wall_s");
	char *text = json_dumps(root, JSON_SORT_KEYS | JSON_INDENT(1));
	json_decref(root);
	return text;
}

static void test_replay_same_log_gives_same_bytes(void **state)
{
	(void)state;
	char *a = canonical(run_spread("verify=crc32c\n", "")),
	     *b = canonical(run_spread("verify=crc32c\n", ""));
	assert_string_equal(a, b);
	free(a);
	free(b);
}

/* ---- with the real fio ---- */

static void test_log_of_the_real_fio_is_replayed(void **state)
{
	char line[1000];
	(void)state;
	need_fio();
	const char *image = program_image("fio.img", 1 << 20, 3), *log = program_path_of("fio.log");
	unlink(log);
	snprintf(line, sizeof(line),
		 "fio --name=a --filename=%s --size=1m --rw=randrw --bssplit=4k/50:16k/50 --ioengine=psync "
		 "--fsync=8 "
		 "--write_iolog=%s >/dev/null",
		 image, log);
	assert_int_equal(system(line), 0);
	snprintf(line, sizeof(line), "--disk %s --job %s", image,
		 program_file_of("fio.fio", "[a]\nread_iolog=fio.log\nverify=md5\n"));
	json_t *root = program_run_json(line);
	/* Each byte once, read or written; and the writes read back. */
	assert_int_equal(json_at(root, "sim/errors"), 0);
	assert_int_equal(json_at(root, "jobs/0/read/io_bytes"), 1 << 20);
	assert_true(json_at(root, "jobs/0/write/io_bytes") > 256 << 10);
	assert_true(json_at(root, "jobs/0/sync/total_ios") > 0);
	json_decref(root);
}

static void test_recording_is_replayed_by_the_real_fio(void **state)
{
	char line[1000];
	double bytes;
	json_error_t error;
	(void)state;
	need_fio();
	/* fio 3.33 cannot replay trims (it says so and goes on). */
	const char *log = record(
		"forfio.log",
		program_file_of("forfio.fio", "[a]\nrw=randrw\nbssplit=512/20:4k/60:64k/20\nnumber_ios=500\n"
					      "iodepth=16\nfsync=10\nnumjobs=2\n"),
		"fetch");
	const char *image = program_image("replayed.img", 32 << 20, 0), *json = program_path_of("fio.json");
	snprintf(line, sizeof(line),
		 "fio --name=a --read_iolog=%s --replay_redirect=%s --ioengine=psync --output-format=json "
		 "--output=%s",
		 log, image, json);
	assert_int_equal(system(line), 0);
	json_t *root = json_load_file(json, 0, &error);
	if (!root)
		fail_msg("%s:%d: %s", json, error.line, error.text);
	struct lines lines = read_log(log);
	assert_int_equal(json_at(root, "jobs/0/read/total_ios"), count_of(&lines, "read", &bytes));
	assert_int_equal(json_at(root, "jobs/0/read/io_bytes"), bytes);
	assert_int_equal(json_at(root, "jobs/0/write/total_ios"), count_of(&lines, "write", &bytes));
	assert_int_equal(json_at(root, "jobs/0/write/io_bytes"), bytes);
	assert_int_equal(json_at(root, "jobs/0/sync/total_ios"), count_of(&lines, "sync", NULL));
	json_decref(root);
	free(lines.line);
}

/* ---- when things go wrong ---- */

static void expect_refused(const char *arguments, const char *what)
{
	struct program_result result = program_run(arguments, 30);
	assert_int_equal(result.status, 2);
	if (!strstr(result.err, what) || strchr(result.err, '\n') != result.err + strlen(result.err) - 1)
		fail_msg("%s: '%s'", arguments, result.err);
	program_free(&result);
}

static void test_bad_log_is_refused_with_one_line(void **state)
{
	static const struct {
		const char *log, *what;
	} cases[] = {
		{"fio version 1 iolog\n", "bad.log:1: "},
		{"fio version 3 iolog\n0 f add\n1 f peek 0 512\n", "bad.log:3: unknown action"},
		{"fio version 3 iolog\n0 f add\n1 f read 0 100\n", "bad.log:3: "},
		{"fio version 3 iolog\n0 f add\n1 f read 0 512\n2 f read 1048576 512\n", "bad.log:4: "},
	};
	char arguments[300];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		program_file_of("bad.log", cases[i].log);
		snprintf(arguments, sizeof(arguments), "run --disk ram:1M --job %s",
			 program_file_of("bad.fio", "[a]\nread_iolog=bad.log\n"));
		expect_refused(arguments, cases[i].what);
	}
	snprintf(arguments, sizeof(arguments), "run --disk ram:1M --job %s",
		 program_file_of("bad.fio", "[a]\nread_iolog=none.log\n"));
	expect_refused(arguments, "none.log: cannot read");
}

static void test_recording_of_a_killed_server_can_be_used(void **state)
{
	char options[400], arguments[400];
	(void)state;
	const char *log = program_path_of("killed.log");
	snprintf(options, sizeof(options), "--disk ram:32M --record %s", log);
	struct served server = vf_serve(options);
	snprintf(arguments, sizeof(arguments), "run --connect vfio-user:%s --job %s", server.socket,
		 program_file_of("long.fio",
				 "[a]\nrw=randrw\nbs=4k\niodepth=32\nnorandommap\ntime_based\nruntime=60\n"));
	struct program_child client = program_start(arguments, 60);
	struct stat status = {0};
	for (unsigned i = 0; i < 1000 && status.st_size < 100000; i++) {
		usleep(10000);
		assert_int_equal(stat(log, &status), 0);
	}
	assert_true(status.st_size >= 100000);
	served_kill(&server);
	struct program_result result = program_wait(&client);
	assert_int_equal(result.status, 1);
	program_free(&result);
	struct lines lines = read_log(log);
	assert_true(lines.count > 1000);
	snprintf(arguments, sizeof(arguments), "--disk ram:32M --job %s",
		 program_file_of("killed.fio", "[a]\nread_iolog=killed.log\niodepth=32\n"));
	json_t *root = program_run_json(arguments);
	assert_int_equal(sum_of_jobs(root, "read/total_ios") + sum_of_jobs(root, "write/total_ios"),
			 lines.count);
	json_decref(root);
	free(lines.line);
}

static void test_full_disk_is_reported_at_the_end(void **state)
{
	char options[400], arguments[400];
	(void)state;
	const char *log = program_path_of("full.log");
	assert_int_equal(symlink("/dev/full", log), 0);
	snprintf(options, sizeof(options), "--disk ram:32M --record %s", log);
	struct served server = vf_serve(options);
	snprintf(arguments, sizeof(arguments), "--connect vfio-user:%s --job %s", server.socket,
		 program_file_of("full.fio", "[a]\nrw=randread\nnumber_ios=100\n"));
	json_decref(program_run_json(arguments));
	kill(server.child.pid, SIGTERM);
	struct program_result result = program_wait(&server.child);
	assert_int_equal(result.status, 2);
	assert_non_null(strstr(result.err, "full.log: No space left on device"));
	assert_non_null(strstr(result.out, "recorded"));
	program_free(&result);
	snprintf(arguments, sizeof(arguments), "serve --vfio-user %s --record /nonexistent/log",
		 program_path_of("unused"));
	expect_refused(arguments, "/nonexistent/log");
}

/* A server that cannot start does not touch what another one records. */
static void test_refused_server_leaves_a_recording_alone(void **state)
{
	char options[400], arguments[400];
	(void)state;
	const char *log = program_path_of("kept.log");
	snprintf(options, sizeof(options), "--disk ram:32M --record %s", log);
	struct served server = vf_serve(options);
	snprintf(arguments, sizeof(arguments), "--connect vfio-user:%s --job %s", server.socket,
		 program_file_of("kept.fio", "[a]\nrw=randread\nnumber_ios=100\n"));
	json_decref(program_run_json(arguments));
	snprintf(arguments, sizeof(arguments), "serve --vfio-user %s --record %s", server.socket, log);
	struct program_result result = program_run(arguments, 30);
	assert_int_equal(result.status, 2);
	program_free(&result);
	free(served_end(&server));
	struct lines lines = read_log(log);
	assert_int_equal(lines.count, 100);
	free(lines.line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_holds_what_the_guest_did),
		cmocka_unit_test(test_replay_recorded_again_is_the_same),
		cmocka_unit_test(test_replay_keeps_order_and_times),
		cmocka_unit_test(test_replay_same_log_gives_same_bytes),
		cmocka_unit_test(test_log_of_the_real_fio_is_replayed),
		cmocka_unit_test(test_recording_is_replayed_by_the_real_fio),
		cmocka_unit_test(test_bad_log_is_refused_with_one_line),
		cmocka_unit_test(test_recording_of_a_killed_server_can_be_used),
		cmocka_unit_test(test_full_disk_is_reported_at_the_end),
		cmocka_unit_test(test_refused_server_leaves_a_recording_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
