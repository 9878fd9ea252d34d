/* --wave: a VCD file as IEEE 1364-2005 §18 has it, whose signals end where the results say, and which changes nothing. */
#include "tests/e2e/program.h"

#define SIGNALS_MAX 64

struct signal {
	char code[8], name[48]; /* "dma.busy" */
	unsigned bits, changes;
	uint64_t value;
};

struct wave {
	struct signal signal[SIGNALS_MAX];
	unsigned signals;
	uint64_t end_ps;
};

static struct signal *by_code(struct wave *wave, const char *code)
{
	for (unsigned i = 0; i < wave->signals; i++)
		if (strcmp(wave->signal[i].code, code) == 0)
			return &wave->signal[i];
	fail_msg("value of '%s', which is not declared", code);
	return NULL;
}

static const struct signal *by_name(struct wave *wave, const char *name)
{
	for (unsigned i = 0; i < wave->signals; i++)
		if (strcmp(wave->signal[i].name, name) == 0)
			return &wave->signal[i];
	fail_msg("no signal '%s'", name);
	return NULL;
}

/* Declarations, up to $enddefinitions. The outermost scope is SystemC's. */
static void read_header(FILE *in, struct wave *wave)
{
	char line[200], word[48], scope[48] = "";
	bool timescale = false;
	while (fgets(line, sizeof(line), in) && !strstr(line, "$enddefinitions")) {
		struct signal *signal = &wave->signal[wave->signals];
		timescale |= strstr(line, "1 ps") != NULL;
		if (sscanf(line, " $scope module %47s", word) == 1)
			snprintf(scope, sizeof(scope), "%s", word);
		if (sscanf(line, " $var wire %u %7s %47s", &signal->bits, signal->code, word) != 3)
			continue;
		assert_true(wave->signals < SIGNALS_MAX - 1);
		assert_true(strlen(scope) + strlen(word) + 2 <= sizeof(signal->name));
		strcpy(signal->name, scope);
		strcat(signal->name, ".");
		strcat(signal->name, word);
		wave->signals++;
	}
	assert_true(timescale);
}

static void change(struct wave *wave, const char *code, uint64_t value)
{
	struct signal *signal = by_code(wave, code);
	signal->value = value;
	signal->changes++;
}

static struct wave read_wave(const char *path)
{
	struct wave wave = {0};
	char line[200], code[8], digits[80];
	unsigned long long at;
	FILE *in = fopen(path, "r");
	assert_non_null(in);
	read_header(in, &wave);
	while (fgets(line, sizeof(line), in)) {
		if (sscanf(line, "#%llu", &at) == 1) {
			assert_true(at >= wave.end_ps); /* time never goes back */
			wave.end_ps = at;
		} else if (sscanf(line, "b%79[01] %7s", digits, code) == 2) {
			change(&wave, code, strtoull(digits, NULL, 2));
		} else if ((line[0] == '0' || line[0] == '1') && sscanf(line + 1, "%7s", code) == 1) {
			change(&wave, code, (uint64_t)(line[0] - '0'));
		}
	}
	fclose(in);
	return wave;
}

static const char job[] = "[a]\nrw=randrw\nbs=4k\niodepth=4\nnumber_ios=100\n";

static json_t *run_with_wave(const char *name, const char *extra)
{
	char arguments[400];
	snprintf(arguments, sizeof(arguments), "--wave %s --job %s %s", name,
		 program_file_of("wave.fio", job), extra);
	return program_run_json(arguments);
}

static void test_wave_signals_end_where_the_results_say(void **state)
{
	(void)state;
	const char *path = program_file_of("signals.vcd", "");
	json_t *results = run_with_wave(path, "");
	struct wave wave = read_wave(path);
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
		assert_true((double)by_name(&wave, counters[i].signal)->value ==
			    json_at(results, counters[i].result));
	double end_ns = json_at(results, "sim/boot_ns") + json_at(results, "sim/time_ns");
	assert_true((double)wave.end_ps / 1000 > end_ns * 0.9 &&
		    (double)wave.end_ps / 1000 < end_ns * 1.1 + 1e6);
	json_decref(results);
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
	const char *path = program_file_of("busy.vcd", "");
	json_decref(run_with_wave(path, ""));
	struct wave wave = read_wave(path);
	for (unsigned i = 0; i < ARRAY_SIZE(busy); i++)
		assert_true(by_name(&wave, busy[i])->changes >= 2);
	/* ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK */
	assert_int_equal(by_name(&wave, "virtio.device_status")->value, 0x0f);
	/* Nothing is left over. */
	assert_int_equal(by_name(&wave, "dma.busy")->value, 0);
	assert_int_equal(by_name(&wave, "mover.jobs")->value, 0);
}

static void test_wave_changes_no_result(void **state)
{
	(void)state;
	const char *path = program_file_of("same.vcd", "");
	char arguments[300];
	static const char *const extra[] = {"", "--set device.offload=firmware"};
	for (unsigned i = 0; i < ARRAY_SIZE(extra); i++) {
		json_t *with = run_with_wave(path, extra[i]);
		snprintf(arguments, sizeof(arguments), "--job %s %s", program_file_of("wave.fio", job),
			 extra[i]);
		json_t *without = program_run_json(arguments);
		static const char *const parts[] = {"jobs", "device", "link", "stages_ns"};
		for (unsigned k = 0; k < ARRAY_SIZE(parts); k++)
			assert_true(json_equal(json_object_get(with, parts[k]),
					       json_object_get(without, parts[k])));
		json_decref(with);
		json_decref(without);
	}
}

static void test_wave_that_cannot_be_written_is_named(void **state)
{
	(void)state;
	struct program_result result = program_run("run --wave /nonexistent/x.vcd", 60);
	assert_int_equal(result.status, 2);
	assert_non_null(
		strstr(result.err, "--wave /nonexistent/x.vcd: cannot write: No such file or directory"));
	program_free(&result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wave_signals_end_where_the_results_say),
		cmocka_unit_test(test_wave_shows_every_block_at_work),
		cmocka_unit_test(test_wave_changes_no_result),
		cmocka_unit_test(test_wave_that_cannot_be_written_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
