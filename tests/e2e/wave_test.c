/* --wave: VCD and FST files whose signals end where the results say, show every block at work, and change nothing. FST is
 * read by way of fst2vcd, which GTKWave brings. */
#include "tests/e2e/program.h"
#include "tests/vcd.h"

static const char job[] = "[a]\nrw=randrw\nbs=4k\niodepth=4\nnumber_ios=100\n";

static const struct format {
	const char *suffix, *top; /* outermost scope of the model's signals */
} formats[] = {{"vcd", "SystemC"}, {"fst", "model"}};

static const char *wave_path(const char *name, const struct format *format)
{
	char file[64];
	snprintf(file, sizeof(file), "%s.%s", name, format->suffix);
	return program_path_of(file);
}

static json_t *run_with_wave(const char *wave, const char *extra)
{
	char arguments[600];
	snprintf(arguments, sizeof(arguments), "--wave %s --job %s %s", wave,
		 program_file_of("wave.fio", job), extra);
	return program_run_json(arguments);
}

static json_t *run_without_wave(const char *extra)
{
	char arguments[400];
	snprintf(arguments, sizeof(arguments), "--job %s %s", program_file_of("wave.fio", job), extra);
	return program_run_json(arguments);
}

static struct vcd read_wave(const char *path, const struct format *format)
{
	if (strcmp(format->suffix, "vcd") == 0)
		return vcd_read(path);
	char line[600];
	const char *converted = program_path_of("converted.vcd");
	snprintf(line, sizeof(line), "fst2vcd -f %s -o %s", path, converted);
	struct program_child child = program_spawn(line, 60);
	struct program_result result = program_wait(&child);
	assert_int_equal(result.status, 0);
	program_free(&result);
	return vcd_read(converted);
}

static const struct vcd_values *model(const struct vcd *wave, const struct format *format, const char *signal)
{
	char name[100];
	snprintf(name, sizeof(name), "%s.%s", format->top, signal);
	return vcd_of(wave, name);
}

static void check_counters(const struct vcd *wave, const struct format *format, const json_t *results)
{
	static const struct {
		const char *signal, *result;
	} counters[] = {
		{"used.completions", "device/used/completions"},
		{"fetch.requests", "device/fetch/requests"},
		{"notify.doorbells", "device/doorbells/written"},
		{"notify.serviced", "device/doorbells/serviced"},
		{"msix.sent", "device/msix/sent"},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(counters); i++)
		assert_true((double)vcd_last(model(wave, format, counters[i].signal)) ==
			    json_at(results, counters[i].result));
	double end_ns = json_at(results, "sim/boot_ns") + json_at(results, "sim/time_ns");
	assert_true((double)wave->end_ps / 1000 > end_ns * 0.9 &&
		    (double)wave->end_ps / 1000 < end_ns * 1.1 + 1e6);
}

static void test_wave_signals_end_where_the_results_say(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
		const char *path = wave_path("signals", &formats[i]);
		json_t *results = run_with_wave(path, "");
		struct vcd wave = read_wave(path, &formats[i]);
		check_counters(&wave, &formats[i], results);
		vcd_free(&wave);
		json_decref(results);
	}
}

static void test_wave_shows_every_block_at_work(void **state)
{
	(void)state;
	static const char *const busy[] = {"fetch.busy",
					   "dma.busy",
					   "dma.tags_in_use",
					   "mover.jobs",
					   "media.outstanding",
					   "used.busy",
					   "core.pc",
					   "core.asleep",
					   "core.interrupt",
					   "link.up_backlog_bytes",
					   "endpoint.msix_enable",
					   "virtio.device_status"};
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
		const char *path = wave_path("busy", &formats[i]);
		json_decref(run_with_wave(path, ""));
		struct vcd wave = read_wave(path, &formats[i]);
		for (unsigned k = 0; k < ARRAY_SIZE(busy); k++)
			assert_true(model(&wave, &formats[i], busy[k])->changes >= 2);
		/* ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK */
		assert_int_equal(vcd_last(model(&wave, &formats[i], "virtio.device_status")), 0x0f);
		/* Nothing is left over. */
		assert_int_equal(vcd_last(model(&wave, &formats[i], "dma.busy")), 0);
		assert_int_equal(vcd_last(model(&wave, &formats[i], "mover.jobs")), 0);
		vcd_free(&wave);
	}
}

/* Two libraries wrote them: SystemC and Verilator's. */
static void test_wave_is_the_same_in_both_formats(void **state)
{
	(void)state;
	struct vcd wave[2];
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
		const char *path = wave_path("both", &formats[i]);
		json_decref(run_with_wave(path, ""));
		wave[i] = read_wave(path, &formats[i]);
	}
	assert_int_equal(wave[0].signals, wave[1].signals);
	for (size_t i = 0; i < wave[0].signals; i++) {
		const char *name = strchr(wave[0].signal[i].name, '.') + 1;
		const struct vcd_values *a = &wave[0].values[wave[0].signal[i].values];
		const struct vcd_values *b = model(&wave[1], &formats[1], name);
		assert_int_equal(a->changes, b->changes);
		for (size_t k = 1; k < a->changes; k++) { /* but for when the first value is written */
			assert_int_equal(a->change[k].at_ps, b->change[k].at_ps);
			assert_int_equal(a->change[k].value, b->change[k].value);
		}
	}
	vcd_free(&wave[0]);
	vcd_free(&wave[1]);
}

static void check_same_results(const char *wave, const char *extra)
{
	static const char *const parts[] = {"jobs", "device", "link", "stages_ns"};
	json_t *with = run_with_wave(wave, extra), *without = run_without_wave(extra);
	for (unsigned k = 0; k < ARRAY_SIZE(parts); k++)
		assert_true(json_equal(json_object_get(with, parts[k]), json_object_get(without, parts[k])));
	json_decref(with);
	json_decref(without);
}

static void test_wave_changes_no_result(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
		check_same_results(wave_path("same", &formats[i]), "");
		check_same_results(wave_path("same", &formats[i]), "--set device.offload=firmware");
	}
}

static void test_wave_that_cannot_be_written_is_named(void **state)
{
	(void)state;
	static const struct {
		const char *arguments, *complaint;
	} cases[] = {
		{"run --wave /nonexistent/x.vcd",
		 "--wave /nonexistent/x.vcd: cannot write: No such file or directory"},
		{"run --wave /nonexistent/x",
		 "--wave /nonexistent/x.vcd: cannot write: No such file or directory"},
		{"run --wave /nonexistent/x.fst",
		 "--wave /nonexistent/x.fst: cannot write: No such file or directory"},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct program_result result = program_run(cases[i].arguments, 60);
		assert_int_equal(result.status, 2);
		assert_non_null(strstr(result.err, cases[i].complaint));
		program_free(&result);
	}
}

/* Runs with at most `blocks` of 1 KiB in a file, which is as a full disk is to whoever minds the signal. */
static struct program_result run_limited(unsigned blocks, const char *wave, const char *job_path)
{
	char line[900];
	snprintf(line, sizeof(line), "sh -c trap@''@XFSZ;ulimit@-f@%u;exec@%s@run@--wave@%s@--job@%s",
		 blocks * 2, program_itself(), wave, job_path);
	struct program_child child = program_spawn(line, 120);
	return program_wait(&child);
}

static void test_wave_on_a_full_disk_is_told(void **state)
{
	(void)state;
	const char *longer =
		program_file_of("longer.fio", "[a]\nrw=randread\nbs=4k\niodepth=4\nnumber_ios=8000\n");
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
		const char *path = wave_path("full", &formats[i]);
		/* Full from the beginning, and while it runs. */
		struct program_result result = run_limited(10, path, longer);
		assert_int_equal(result.status, 2);
		assert_non_null(strstr(result.err, ": cannot write: "));
		program_free(&result);
		result = run_limited(300, path, longer);
		assert_int_equal(result.status, 2);
		assert_non_null(strstr(result.err, ": could not be written; is the disk full?"));
		program_free(&result);
	}
}

/* Times at which a signal goes up. */
static size_t rises(const struct vcd_values *values, uint64_t *at_ps, size_t room)
{
	size_t count = 0;
	for (size_t i = 1; i < values->changes; i++) {
		if (values->change[i].value == 0 || values->change[i - 1].value != 0)
			continue;
		assert_true(count < room);
		at_ps[count++] = values->change[i].at_ps;
	}
	return count;
}

/* docs/waves: one request after the other in full RTL. All signals of the layout are there and move, and what happens to a
 * request happens in its order on the one time axis. */
static void test_wave_layout_shows_the_path_of_a_request(void **state)
{
	(void)state;
	enum { REQUESTS = 3, STEPS = 5, ROOM = 64 };
	static const char *const steps[STEPS] = {"rtl.notify.doorbell_valid_i", "rtl.notify.service_valid_o",
						 "rtl.fetch.see_start_o", "rtl.fetch.event_record_o",
						 "rtl.msix.message_valid_o"};
	const struct format *fst = &formats[1];
	const char *path = wave_path("request", fst);
	char arguments[400], line[200];
	snprintf(arguments, sizeof(arguments), "--wave %s --job docs/waves/request.fio --set device.impl=rtl",
		 path);
	json_decref(program_run_json(arguments));
	struct vcd wave = read_wave(path, fst);
	FILE *layout = fopen("docs/waves/request.gtkw", "r");
	unsigned signals = 0;
	assert_non_null(layout);
	while (fgets(line, sizeof(line), layout)) {
		if (strncmp(line, "model.", 6) != 0 && strncmp(line, "rtl.", 4) != 0)
			continue;
		line[strcspn(line, "[\n")] = '\0';
		assert_true(vcd_of(&wave, line)->changes >= 1);
		signals++;
	}
	fclose(layout);
	assert_true(signals > 30);
	uint64_t at_ps[STEPS][ROOM];
	for (unsigned i = 0; i < STEPS; i++) {
		size_t count = rises(vcd_of(&wave, steps[i]), at_ps[i], ROOM);
		assert_int_equal(count, REQUESTS);
		for (unsigned k = 0; i > 0 && k < REQUESTS; k++)
			assert_true(at_ps[i][k] > at_ps[i - 1][k]);
	}
	for (unsigned k = 1; k < REQUESTS; k++) /* depth 1 */
		assert_true(at_ps[0][k] > at_ps[STEPS - 1][k - 1]);
	vcd_free(&wave);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wave_signals_end_where_the_results_say),
		cmocka_unit_test(test_wave_shows_every_block_at_work),
		cmocka_unit_test(test_wave_is_the_same_in_both_formats),
		cmocka_unit_test(test_wave_changes_no_result),
		cmocka_unit_test(test_wave_that_cannot_be_written_is_named),
		cmocka_unit_test(test_wave_on_a_full_disk_is_told),
		cmocka_unit_test(test_wave_layout_shows_the_path_of_a_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
