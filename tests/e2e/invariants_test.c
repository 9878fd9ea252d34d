/* Laws that simulated results must obey whatever the configuration, checked on the program's own output. */
#include "tests/e2e/program.h"

#include <math.h>

static json_t *run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static json_t *run(const char *format, ...)
{
	char arguments[1000];
	va_list args;
	va_start(args, format);
	vsnprintf(arguments, sizeof(arguments), format, args);
	va_end(args);
	return program_run_json(arguments);
}

static void assert_within(double value, double expected, double fraction)
{
	if (fabs(value - expected) > fraction * fabs(expected))
		fail_msg("%g is not within %g %% of %g", value, 100 * fraction, expected);
}

#define NO_GUEST_COST                                                                                        \
	"--set host.submit_ns=0 --set host.complete_ns=0 --set host.interrupt_ns=0 --set "                   \
	"host.mmio_write_ns=0"

/* ---- determinism ---- */

/* The document without its wall-clock figures, as text. */
static char *canonical(json_t *root)
{
	json_t *sim = json_object_get(root, "sim");
	json_object_del(sim, "wall_s");
	json_object_del(sim, "ios_per_wall_s");
	return json_dumps(root, JSON_SORT_KEYS | JSON_INDENT(1));
}

static char *file_text(const char *path)
{
	FILE *in = fopen(path, "r");
	assert_non_null(in);
	fseek(in, 0, SEEK_END);
	long size = ftell(in);
	rewind(in);
	char *text = malloc((size_t)size + 1);
	assert_int_equal(fread(text, 1, (size_t)size, in), size);
	text[size] = '\0';
	fclose(in);
	return text;
}

static void test_same_seed_gives_same_bytes(void **state)
{
	(void)state;
	const char *job =
		program_file_of("mix.fio", "[a]\nrw=randrw\nbssplit=512/20:4k/60:32k/20\niodepth=16\n"
					   "numjobs=3\nnumber_ios=1500\nfsync=50\n");
	char *text[3], *trace[2];
	for (unsigned i = 0; i < 3; i++) {
		const char *path = program_file_of(i ? "b.trace" : "a.trace", "");
		json_t *root =
			run("--job %s --set device.queues=2 --set link.error_ppm=200 --seed %u --trace %s",
			    job, i == 2 ? 8 : 7, path);
		text[i] = canonical(root);
		if (i < 2)
			trace[i] = file_text(path);
		json_decref(root);
	}
	assert_string_equal(text[0], text[1]);
	assert_string_equal(trace[0], trace[1]);
	assert_string_not_equal(text[0], text[2]);
	for (unsigned i = 0; i < 3; i++)
		free(text[i]);
	free(trace[0]);
	free(trace[1]);
}

/* ---- Little's law ---- */

static void test_iops_times_latency_is_queue_depth(void **state)
{
	(void)state;
	static const struct {
		unsigned depth, jobs;
		const char *rw, *bs;
	} cases[] = {{1, 1, "randread", "4k"},    {8, 1, "randread", "4k"},  {32, 1, "randwrite", "4k"},
		     {128, 1, "randread", "512"}, {32, 4, "randread", "4k"}, {4, 1, "read", "128k"}};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char job[300];
		snprintf(job, sizeof(job),
			 "[a]\nrw=%s\nbs=%s\niodepth=%u\nnumjobs=%u\nsize=64m\nnorandommap\ngroup_reporting\n"
			 "number_ios=%u\ndo_verify=0\n",
			 cases[i].rw, cases[i].bs, cases[i].depth, cases[i].jobs,
			 cases[i].depth * 200 > 500 ? cases[i].depth * 200 : 500);
		json_t *root = run("--job %s --set device.queues=%u --set guest.indirect=on " NO_GUEST_COST,
				   program_file_of("little.fio", job), cases[i].jobs);
		const char *direction = strstr(cases[i].rw, "read") ? "read" : "write";
		char iops[40], mean[60];
		snprintf(iops, sizeof(iops), "jobs/0/%s/iops", direction);
		snprintf(mean, sizeof(mean), "jobs/0/%s/lat_ns/mean", direction);
		/* The last I/Os of a job run with fewer than the full depth in flight: half a depth's worth of I/Os. */
		assert_within(json_at(root, iops) * json_at(root, mean) * 1e-9,
			      cases[i].depth * cases[i].jobs, 0.01);
		json_decref(root);
	}
}

/* ---- bytes on the link ---- */

#define FRAMING    8
#define HEADER_3DW 12
#define HEADER_4DW 16

static double by_type(const json_t *root, const char *direction, const char *type)
{
	const json_t *types =
		json_object_get(json_object_get(json_object_get(root, "link"), direction), "by_type");
	return json_number_value(json_object_get(types, type));
}

/* Header sizes follow from the address map: guest memory and doorbells lie above 4 GiB, interrupt messages below. */
static void test_link_bytes_follow_from_tlp_counts(void **state)
{
	(void)state;
	const char *job = program_file_of("bytes.fio", "[a]\nrw=randrw\nbs=4k\niodepth=8\nnumber_ios=2000\n");
	json_t *root = run("--job %s", job);
	double messages = json_at(root, "device/msix/sent");
	double up = HEADER_4DW * (by_type(root, "up", "MRd") + by_type(root, "up", "MWr") - messages) +
		    HEADER_3DW * messages + json_at(root, "link/up/payload_bytes");
	assert_true(json_at(root, "link/up/tlp_bytes") == up);
	assert_true(json_at(root, "link/up/bytes") == up + FRAMING * json_at(root, "link/up/tlps"));
	assert_true(json_at(root, "link/up/tlps") == by_type(root, "up", "MRd") + by_type(root, "up", "MWr"));
	double down = HEADER_3DW * by_type(root, "down", "CplD") + HEADER_4DW * by_type(root, "down", "MWr") +
		      json_at(root, "link/down/payload_bytes");
	assert_true(json_at(root, "link/down/tlp_bytes") == down);
	assert_true(json_at(root, "link/down/bytes") == down + FRAMING * json_at(root, "link/down/tlps"));
	/* Every doorbell is one TLP down, every message one up. */
	assert_true(by_type(root, "down", "MWr") ==
		    json_at(root, "device/doorbells/written") + json_at(root, "device/doorbells/ignored"));
	/* All data passes, and what the rings need besides is small. */
	double reads = json_at(root, "jobs/0/read/io_bytes"), writes = json_at(root, "jobs/0/write/io_bytes");
	assert_true(json_at(root, "link/up/payload_bytes") >= reads);
	assert_true(json_at(root, "link/down/payload_bytes") >= writes);
	json_decref(root);
}

/* ---- the core's time ---- */

static void test_core_is_busy_or_asleep_all_the_time(void **state)
{
	(void)state;
	static const unsigned clocks_mhz[] = {250, 1000, 1600};
	for (size_t i = 0; i < ARRAY_SIZE(clocks_mhz); i++) {
		json_t *root =
			run("--set core.clock_mhz=%u --job %s", clocks_mhz[i],
			    program_file_of("core.fio", "[a]\nrw=randread\niodepth=4\nnumber_ios=2000\n"));
		double elapsed_cycles = json_at(root, "sim/time_ns") * clocks_mhz[i] / 1000;
		assert_true(json_at(root, "device/core/busy_cycles") +
				    json_at(root, "device/core/asleep_cycles") ==
			    json_at(root, "device/core/cycles"));
		assert_true(fabs(json_at(root, "device/core/cycles") - elapsed_cycles) <=
			    elapsed_cycles * 1e-4 + 3);
		json_decref(root);
	}
}

static void test_slow_core_is_the_bound(void **state)
{
	(void)state;
	json_t *root =
		run("--set core.clock_mhz=100 --job %s " NO_GUEST_COST,
		    program_file_of("bound.fio",
				    "[a]\nrw=randread\nbs=4k\niodepth=64\nnorandommap\nnumber_ios=5000\n"));
	double cycles_per_io = json_at(root, "device/core/busy_cycles") / json_at(root, "sim/ios");
	assert_true(json_at(root, "device/core/busy_ratio") > 0.98);
	assert_within(json_at(root, "jobs/0/read/iops"), 100e6 / cycles_per_io, 0.02);
	json_decref(root);
}

/* ---- hold-off ---- */

static void test_holdoff_saves_services_and_costs_latency(void **state)
{
	(void)state;
	static const unsigned holdoffs_ns[] = {0, 500, 2000, 8000, 20000};
	const char *busy = program_file_of(
		"busy.fio", "[a]\nrw=randread\nbs=4k\niodepth=32\nnorandommap\nnumber_ios=5000\n");
	const char *single =
		program_file_of("single.fio", "[a]\nrw=randread\nbs=4k\niodepth=1\nnumber_ios=300\n");
	double services = INFINITY, latency = 0;
	for (size_t i = 0; i < ARRAY_SIZE(holdoffs_ns); i++) {
		json_t *root = run("--set notify.holdoff_ns=%u --set guest.event_idx=off --job %s",
				   holdoffs_ns[i], busy);
		double now = json_at(root, "device/doorbells/serviced");
		assert_true(now <= services * 1.02);
		services = now;
		assert_true(json_at(root, "device/doorbells/serviced") +
				    json_at(root, "device/doorbells/coalesced") ==
			    json_at(root, "device/doorbells/written"));
		json_decref(root);
		root = run("--set notify.holdoff_ns=%u --job %s", holdoffs_ns[i], single);
		double mean = json_at(root, "jobs/0/read/lat_ns/mean");
		assert_true(mean >= latency);
		/* At queue depth 1 every request waits out the whole hold-off. */
		if (i > 0)
			assert_within(mean - latency, holdoffs_ns[i] - holdoffs_ns[i - 1], 0.02);
		latency = mean;
		json_decref(root);
	}
	assert_true(services < 2500);
}

static void test_threshold_ends_holdoff(void **state)
{
	(void)state;
	const char *job =
		program_file_of("threshold.fio", "[a]\nrw=randread\nbs=4k\niodepth=1\nnumber_ios=300\n");
	json_t *held = run("--set notify.holdoff_ns=20000 --job %s", job);
	json_t *ended = run("--set notify.holdoff_ns=20000 --set notify.threshold=1 --job %s", job);
	json_t *none = run("--job %s", job);
	assert_true(json_at(held, "jobs/0/read/lat_ns/mean") >
		    json_at(none, "jobs/0/read/lat_ns/mean") + 19000);
	assert_within(json_at(ended, "jobs/0/read/lat_ns/mean"), json_at(none, "jobs/0/read/lat_ns/mean"),
		      0.001);
	json_decref(held);
	json_decref(ended);
	json_decref(none);
}

static double p50_us(json_t *root)
{
	return json_at(root, "total/lat_ns/percentile/50.000000") / 1000;
}

/* At queue depth 1 adaptive hold-off costs nothing, where the fixed one costs all of its time; at 64 it saves nearly as many
 * services; and where there are too few requests for a batch it does not wait for the rest of it that long. */
static void test_adaptive_holdoff_follows_the_load(void **state)
{
	(void)state;
	static const char *const impls[] = {"model", "rtl"};
	static const char common[] = "--set guest.event_idx=off --set notify.holdoff_ns=16000 "
				     "--set notify.threshold=%u --set notify.adaptive=%s "
				     "--set notify.impl=%s --job %s";
	const char *single =
		program_file_of("single.fio", "[a]\nrw=randread\nbs=4k\niodepth=1\nnumber_ios=1000\n");
	const char *few = program_file_of(
		"few.fio", "[a]\nrw=randread\nbs=4k\niodepth=8\nnorandommap\nnumber_ios=5000\n");
	const char *busy = program_file_of(
		"busy.fio", "[a]\nrw=randread\nbs=4k\niodepth=64\nnorandommap\nnumber_ios=20000\n");
	json_t *none = run("--set guest.event_idx=off --job %s", single);
	for (size_t i = 0; i < ARRAY_SIZE(impls); i++) {
		json_t *fixed = run(common, 8, "off", impls[i], single),
		       *adaptive = run(common, 8, "on", impls[i], single);
		assert_true(p50_us(fixed) > p50_us(none) + 15.8);
		assert_within(p50_us(adaptive), p50_us(none), 0.03);
		json_decref(fixed);
		json_decref(adaptive);
		fixed = run(common, 8, "off", impls[i], busy);
		adaptive = run(common, 8, "on", impls[i], busy);
		assert_true(json_at(fixed, "device/doorbells/serviced") < 20000 / 7);
		assert_within(json_at(adaptive, "device/doorbells/serviced"),
			      json_at(fixed, "device/doorbells/serviced"), 0.15);
		assert_true(p50_us(adaptive) < p50_us(fixed) * 1.03);
		json_decref(fixed);
		json_decref(adaptive);
		fixed = run(common, 16, "off", impls[i], few);
		adaptive = run(common, 16, "on", impls[i], few);
		assert_true(p50_us(adaptive) < p50_us(fixed) - 4);
		assert_true(json_at(adaptive, "device/doorbells/serviced") < 5000 / 4);
		json_decref(fixed);
		json_decref(adaptive);
	}
	json_decref(none);
}

/* ---- interrupts ---- */

static void test_moderation_saves_interrupts(void **state)
{
	(void)state;
	const char *job = program_file_of(
		"moderation.fio", "[a]\nrw=randread\nbs=4k\niodepth=32\nnorandommap\nnumber_ios=5000\n");
	json_t *none = run(
		"--set guest.event_idx=off --set host.interrupt_ns=0 --set host.complete_ns=0 --job %s", job);
	json_t *some = run("--set guest.event_idx=off --set host.interrupt_ns=0 --set host.complete_ns=0 "
			   "--set msix.holdoff_ns=10000 --job %s",
			   job);
	double per_interval = json_at(some, "sim/time_ns") / 10000;
	assert_true(json_at(some, "device/msix/sent") < json_at(none, "device/msix/sent") / 4);
	assert_true(json_at(some, "device/msix/sent") <= per_interval + 2);
	json_decref(none);
	json_decref(some);
}

/* At queue depth 1 adaptive moderation costs nothing, where the fixed one lets an interrupt out each hold-off only; at 64
 * it saves nearly as many. */
static void test_adaptive_moderation_follows_the_load(void **state)
{
	(void)state;
	static const char *const impls[] = {"model", "rtl"};
	static const char common[] =
		"--set guest.event_idx=off --set msix.holdoff_ns=%u --set msix.threshold=16 "
		"--set msix.adaptive=%s --set msix.impl=%s --job %s";
	const char *single =
		program_file_of("single.fio", "[a]\nrw=randread\nbs=4k\niodepth=1\nnumber_ios=1000\n");
	const char *busy = program_file_of(
		"busy.fio", "[a]\nrw=randread\nbs=4k\niodepth=64\nnorandommap\nnumber_ios=20000\n");
	json_t *none = run("--set guest.event_idx=off --job %s", single);
	json_t *unmoderated = run("--set guest.event_idx=off --job %s", busy);
	for (size_t i = 0; i < ARRAY_SIZE(impls); i++) {
		json_t *fixed = run(common, 20000, "off", impls[i], single),
		       *adaptive = run(common, 20000, "on", impls[i], single);
		assert_within(p50_us(fixed), 20, 0.03);
		assert_within(p50_us(adaptive), p50_us(none), 0.03);
		json_decref(fixed);
		json_decref(adaptive);
		fixed = run(common, 16000, "off", impls[i], busy);
		adaptive = run(common, 16000, "on", impls[i], busy);
		assert_true(json_at(fixed, "device/msix/sent") <
			    json_at(unmoderated, "device/msix/sent") / 5);
		assert_within(json_at(adaptive, "device/msix/sent"), json_at(fixed, "device/msix/sent"),
			      0.15);
		json_decref(fixed);
		json_decref(adaptive);
	}
	json_decref(none);
	json_decref(unmoderated);
}

/* ---- the breakdown ---- */

static void test_stages_add_up_to_latency(void **state)
{
	(void)state;
	static const char *const modes[] = {"", "--set device.offload=firmware", "--set core.poll_ns=20000",
					    "--set guest.msix=off"};
	const char *job =
		program_file_of("stages.fio", "[a]\nrw=randrw\nbs=8k\niodepth=8\nnumber_ios=1000\n");
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		json_t *root = run("%s --job %s", modes[i], job), *stage;
		const char *name;
		double sum = 0;
		json_object_foreach(json_object_get(root, "stages_ns"), name, stage) sum +=
			json_number_value(json_object_get(stage, "mean"));
		double reads = json_at(root, "jobs/0/read/total_ios"),
		       writes = json_at(root, "jobs/0/write/total_ios");
		double mean = (reads * json_at(root, "jobs/0/read/lat_ns/mean") +
			       writes * json_at(root, "jobs/0/write/lat_ns/mean")) /
			      (reads + writes);
		assert_within(sum, mean, 0.0001);
		json_decref(root);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_seed_gives_same_bytes),
		REQ_TEST(test_iops_times_latency_is_queue_depth, "PERF-009"),
		REQ_TEST(test_link_bytes_follow_from_tlp_counts, "PERF-001 PERF-003 PERF-004"),
		cmocka_unit_test(test_core_is_busy_or_asleep_all_the_time),
		cmocka_unit_test(test_slow_core_is_the_bound),
		cmocka_unit_test(test_holdoff_saves_services_and_costs_latency),
		cmocka_unit_test(test_threshold_ends_holdoff),
		cmocka_unit_test(test_adaptive_holdoff_follows_the_load),
		cmocka_unit_test(test_moderation_saves_interrupts),
		cmocka_unit_test(test_adaptive_moderation_follows_the_load),
		cmocka_unit_test(test_stages_add_up_to_latency),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
