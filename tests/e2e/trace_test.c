/* The timeline: valid trace-event JSON whose slices nest, whose arrows meet them, and which agrees with the results. */
#include "tests/e2e/program.h"

struct slice {
	long pid, tid;
	double from_us, to_us;
	long request;
	const char *name;
};

struct trace_file {
	json_t *root;
	struct slice *slice;
	size_t slices;
	size_t flows, doorbells;
};

static const char *text(const json_t *event, const char *key)
{
	return json_string_value(json_object_get(event, key));
}

static double number(const json_t *event, const char *key)
{
	const json_t *value = json_object_get(event, key);
	assert_true(json_is_number(value));
	return json_number_value(value);
}

static struct trace_file load(const char *path)
{
	json_error_t error;
	struct trace_file trace = {.root = json_load_file(path, 0, &error)};
	if (!trace.root)
		fail_msg("%s:%d: %s", path, error.line, error.text);
	json_t *events = json_object_get(trace.root, "traceEvents"), *event;
	size_t i;
	trace.slice = calloc(json_array_size(events), sizeof(*trace.slice));
	json_array_foreach(events, i, event)
	{
		char phase = text(event, "ph")[0];
		if (phase == 'X') {
			double from_us = number(event, "ts");
			trace.slice[trace.slices++] = (struct slice){
				.pid = (long)number(event, "pid"),
				.tid = (long)number(event, "tid"),
				.from_us = from_us,
				.to_us = from_us + number(event, "dur"),
				.request = (long)number(json_object_get(event, "args"), "request"),
				.name = text(event, "name"),
			};
			assert_true(number(event, "dur") > 0);
		}
		trace.flows += phase == 's' || phase == 't' || phase == 'f';
		trace.doorbells += phase == 'i' && strcmp(text(event, "name"), "doorbell") == 0;
	}
	return trace;
}

static int by_lane_and_time(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	return (x->from_us > y->from_us) - (x->from_us < y->from_us);
}

static int by_request_and_time(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	if (x->request != y->request)
		return x->request < y->request ? -1 : 1;
	return (x->from_us > y->from_us) - (x->from_us < y->from_us);
}

#define TINY_US 1e-5 /* decimal fractions of microseconds, as doubles */

static void test_trace_slices_never_overlap_on_a_lane(void **state)
{
	(void)state;
	const char *path = program_file_of("lanes.trace", "");
	char arguments[400];
	snprintf(arguments, sizeof(arguments), "--set device.queues=2 --trace %s --job %s", path,
		 program_file_of("lanes.fio",
				 "[a]\nrw=randrw\nbssplit=512/30:4k/50:64k/20\niodepth=24\nnumjobs=2\n"
				 "number_ios=800\nfsync=40\n"));
	json_t *results = program_run_json(arguments);
	struct trace_file trace = load(path);
	qsort(trace.slice, trace.slices, sizeof(*trace.slice), by_lane_and_time);
	for (size_t i = 1; i < trace.slices; i++) {
		const struct slice *before = &trace.slice[i - 1], *now = &trace.slice[i];
		if (before->pid == now->pid && before->tid == now->tid)
			assert_true(now->from_us >= before->to_us - TINY_US);
	}
	assert_true(trace.doorbells == json_at(results, "device/doorbells/written") +
					       json_at(results, "device/doorbells/ignored"));
	json_decref(trace.root);
	json_decref(results);
	free(trace.slice);
}

static void test_trace_follows_each_request_without_gaps(void **state)
{
	(void)state;
	const char *path = program_file_of("flow.trace", "");
	char arguments[400];
	snprintf(arguments, sizeof(arguments), "--trace %s --job %s", path,
		 program_file_of("flow.fio", "[a]\nrw=randread\nbs=4k\niodepth=8\nnumber_ios=500\n"));
	json_t *results = program_run_json(arguments);
	struct trace_file trace = load(path);
	qsort(trace.slice, trace.slices, sizeof(*trace.slice), by_request_and_time);
	long requests = 0;
	double total_us = 0;
	for (size_t i = 0; i < trace.slices; i++) {
		const struct slice *now = &trace.slice[i];
		total_us += now->to_us - now->from_us;
		if (i == 0 || trace.slice[i - 1].request != now->request)
			requests++;
		else
			assert_true(now->from_us - trace.slice[i - 1].to_us < TINY_US &&
				    trace.slice[i - 1].to_us - now->from_us < TINY_US);
	}
	assert_int_equal(requests, (long)json_at(results, "sim/ios"));
	assert_int_equal(trace.flows, trace.slices); /* every slice has one arrow in or out */
	double mean_us = json_at(results, "jobs/0/read/lat_ns/mean") / 1000;
	assert_true(total_us / (double)requests > mean_us * 0.9999 &&
		    total_us / (double)requests < mean_us * 1.0001);
	json_decref(trace.root);
	json_decref(results);
	free(trace.slice);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace_slices_never_overlap_on_a_lane),
		cmocka_unit_test(test_trace_follows_each_request_without_gaps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
