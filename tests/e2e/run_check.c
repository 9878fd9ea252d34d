#include "tests/e2e/run_check.h"

#include <ctype.h>
#include <math.h>

static const char *const directions[] = {"read", "write", "trim"};

/* ---- the document ---- */

/* Every number is a number, and none is below zero. */
void check_numbers(const json_t *value, const char *path)
{
	const char *key;
	const json_t *child;
	size_t i;
	char below[300];
	if (json_is_number(value)) {
		double number = json_number_value(value);
		if (!isfinite(number) || number < 0 || number > 1e19)
			fail_msg("%s is %g", path, number);
	} else if (json_is_object(value)) {
		void *at;
		for (at = json_object_iter((json_t *)(uintptr_t)value); at;
		     at = json_object_iter_next((json_t *)(uintptr_t)value, at)) {
			key = json_object_iter_key(at);
			child = json_object_iter_value(at);
			snprintf(below, sizeof(below), "%.200s/%.80s", path, key);
			check_numbers(child, below);
		}
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, child)
		{
			snprintf(below, sizeof(below), "%.200s/%zu", path, i);
			check_numbers(child, below);
		}
	}
}

/* Every key that the design promises to readers of the document. */
static void check_keys(const json_t *root)
{
	static const char *const numbers[] = {
		"kickstand/seed",
		"kickstand/config/link/gen",
		"sim/time_ns",
		"sim/wall_s",
		"sim/ios_per_wall_s",
		"sim/events",
		"sim/ios",
		"sim/errors",
		"device/doorbells/written",
		"device/doorbells/coalesced",
		"device/doorbells/serviced",
		"device/fetch/requests",
		"device/msix/sent",
		"device/msix/suppressed",
		"device/msix/coalesced",
		"device/msix/masked",
		"device/core/cycles",
		"device/core/instructions",
		"device/core/busy_ratio",
		"device/core/code_bytes",
		"device/core/data_bytes",
		"device/core/stack_bytes",
		"device/dma/reads",
		"device/dma/writes",
		"link/up/tlps",
		"link/up/bytes",
		"link/up/utilisation",
		"link/up/by_type",
		"link/down/tlps",
		"link/down/bytes",
		"link/down/utilisation",
		"link/down/by_type",
		"jobs/0/jobname",
		"jobs/0/groupid",
		"jobs/0/error",
		"jobs/0/job options",
		"jobs/0/read/io_bytes",
		"jobs/0/read/bw_bytes",
		"jobs/0/read/iops",
		"jobs/0/read/total_ios",
		"jobs/0/read/slat_ns/mean",
		"jobs/0/read/clat_ns/mean",
		"jobs/0/read/lat_ns/stddev",
		"jobs/0/write/runtime",
		"jobs/0/trim/lat_ns/max",
		"jobs/0/sync/lat_ns/N",
		"jobs/0/iodepth_level/1",
		"jobs/0/iodepth_submit/4",
		"jobs/0/iodepth_complete/>=64",
		"jobs/0/latency_us/10",
	};
	static const char *const stages[] = {"submit",    "doorbell",  "notify",  "ring", "fetch",
					     "core_wait", "firmware",  "medium",  "data", "done",
					     "used",      "interrupt", "complete"};
	static const char *const values[] = {"mean", "p50", "p99", "max"};
	char path[80];
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		json_at(root, numbers[i]);
	for (size_t i = 0; i < ARRAY_SIZE(stages) * ARRAY_SIZE(values); i++) {
		snprintf(path, sizeof(path), "stages_ns/%s/%s", stages[i / 4], values[i % 4]);
		json_at(root, path);
	}
	assert_true(json_is_string(json_object_get(json_object_get(root, "kickstand"), "version")));
}

/* Smallest, mean and largest of a latency, and its percentiles, in order. */
static void check_latency(const json_t *latency)
{
	const char *key;
	json_t *value;
	double last = 0, count = json_at(latency, "N");
	if (count == 0)
		return;
	assert_true(json_at(latency, "min") <= json_at(latency, "mean") + 0.5);
	assert_true(json_at(latency, "mean") <= json_at(latency, "max") + 0.5);
	assert_true(json_at(latency, "stddev") <= json_at(latency, "max"));
	json_object_foreach(json_object_get(latency, "percentile"), key, value)
	{
		assert_true(json_number_value(value) >= last);
		last = json_number_value(value);
	}
	assert_true(last <= json_at(latency, "max"));
}

static double percents(const json_t *object)
{
	const char *key;
	json_t *value;
	double sum = 0;
	json_object_foreach((json_t *)(uintptr_t)object, key, value) sum += json_number_value(value);
	return sum;
}

static void check_direction(const json_t *job, const json_t *direction)
{
	double ios = json_at(direction, "total_ios"), bytes = json_at(direction, "io_bytes");
	static const char *const latencies[] = {"slat_ns", "clat_ns", "lat_ns"};
	for (size_t i = 0; i < ARRAY_SIZE(latencies); i++) {
		const json_t *latency = json_object_get(direction, latencies[i]);
		check_latency(latency);
		assert_true(json_at(latency, "N") == ios);
	}
	assert_true(fabs(json_at(direction, "slat_ns/mean") + json_at(direction, "clat_ns/mean") -
			 json_at(direction, "lat_ns/mean")) < 0.01);
	assert_true((ios == 0) == (bytes == 0));
	if (ios != 0) {
		assert_true(bytes >= ios * 512);
		/* The same duration behind both rates. */
		double by_rate = json_at(direction, "iops") * bytes / ios;
		assert_true(fabs(by_rate - json_at(direction, "bw_bytes")) <= 1 + by_rate * 1e-6);
		assert_true(fabs(percents(json_object_get(job, "iodepth_level")) - 100) < 1);
	}
}

void check_document(const json_t *root)
{
	const json_t *job;
	size_t i;
	check_keys(root);
	check_numbers(root, "");
	json_array_foreach(json_object_get(root, "jobs"), i, job)
	{
		for (unsigned d = 0; d < ARRAY_SIZE(directions); d++)
			check_direction(job, json_object_get(job, directions[d]));
		double latencies = percents(json_object_get(job, "latency_ns")) +
				   percents(json_object_get(job, "latency_us")) +
				   percents(json_object_get(job, "latency_ms"));
		if (latencies != 0)
			assert_true(latencies > 99.9 && latencies < 101);
	}
	static const char *const ratios[] = {"device/core/busy_ratio", "link/up/utilisation",
					     "link/down/utilisation", "host/busy_ratio"};
	for (size_t r = 0; r < ARRAY_SIZE(ratios); r++)
		if (json_at(root, ratios[r]) > 1.0001)
			fail_msg("%s is %g", ratios[r], json_at(root, ratios[r]));
	assert_true(json_at(root, "device/media/channels_busy_mean") <=
		    json_at(root, "device/media/channels") + 0.001);
	assert_true(json_at(root, "device/core/busy_cycles") + json_at(root, "device/core/asleep_cycles") ==
		    json_at(root, "device/core/cycles"));
	assert_true(json_at(root, "device/dma/failed") == 0);
	assert_true(json_at(root, "device/used/completions") == json_at(root, "sim/ios"));
}

/* ---- the report ---- */

/* "2.12M" */
static double short_value(const char *text)
{
	static const char suffixes[] = "kMGT";
	char *end;
	double value = strtod(text, &end);
	const char *suffix = *end ? strchr(suffixes, *end) : NULL;
	for (ptrdiff_t i = suffix ? suffix - suffixes : -1; i >= 0; i--)
		value *= 1000;
	return value;
}

/* Three digits are shown. */
static void assert_shown(double shown, double value, const char *what)
{
	if (fabs(shown - value) > value * 0.0051 + 1e-9)
		fail_msg("%s: the report shows %g, the JSON has %g", what, shown, value);
}

static void assert_rounded(double shown, double value, double step, const char *what)
{
	if (fabs(shown - value) > step / 2 + 1e-6 + value * 1e-9)
		fail_msg("%s: the report shows %g, the JSON has %g", what, shown, value);
}

/* No figure that is none. Minus signs stand in names ("MSI-X") and options, never before a number. */
void check_report_text(const char *report)
{
	for (const char *c = report; *c; c++) {
		bool starts = c == report || !isalnum((unsigned char)c[-1]);
		if (starts && (strncasecmp(c, "nan", 3) == 0 || strncasecmp(c, "inf ", 4) == 0 ||
			       strncasecmp(c, "-nan", 4) == 0 || strncasecmp(c, "-inf", 4) == 0))
			fail_msg("not a number: %.40s", c);
		if (starts && *c == '-' && isdigit((unsigned char)c[1]) && (c == report || c[-1] == ' '))
			fail_msg("a negative number: %.40s", c);
	}
}

static const char *line_with(const char *report, const char *start)
{
	char key[120];
	snprintf(key, sizeof(key), "\n%s", start);
	const char *line = strstr(report, key);
	if (!line)
		fail_msg("no line '%s' in the report:\n%s", start, report);
	return line + 1;
}

/* The n-th line of this job and direction: clones have the same name. */
static const char *job_line(const char *report, const char *name, const char *direction, unsigned n)
{
	char key[120];
	const char *line = report;
	snprintf(key, sizeof(key), "\n%-20.20s %-5s ", name, direction);
	for (unsigned i = 0; line && i <= n; i++) {
		line = strstr(line, key);
		line = line ? line + 1 : NULL;
	}
	if (!line)
		fail_msg("no line %u of '%s %s' in the report:\n%s", n, name, direction, report);
	return line + strlen(key) - 1;
}

static void check_job_line(const char *report, const json_t *job, const char *direction, unsigned n)
{
	const json_t *figures = json_object_get(job, direction);
	const char *name = json_string_value(json_object_get(job, "jobname"));
	char iops[20], rate[20];
	double mean, p50, p99, p999, max;
	if (json_at(figures, "total_ios") == 0)
		return;
	const char *line = job_line(report, name, direction, n);
	assert_int_equal(
		sscanf(line, "%19s %19s %lf %lf %lf %lf %lf", iops, rate, &mean, &p50, &p99, &p999, &max), 7);
	assert_shown(short_value(iops), json_at(figures, "iops"), "IOPS");
	assert_shown(short_value(rate), json_at(figures, "bw_bytes"), "bytes/s");
	assert_rounded(mean, json_at(figures, "lat_ns/mean") / 1000, 0.01, "mean");
	assert_rounded(max, json_at(figures, "lat_ns/max") / 1000, 0.012, "max");
	assert_true(p50 <= p99 && p99 <= p999 && p999 <= max);
	if (json_object_get(json_object_get(figures, "lat_ns"), "percentile"))
		assert_rounded(p99, json_at(figures, "lat_ns/percentile/99.000000") / 1000, 0.012, "p99");
}

/* Number of earlier jobs of the same name that have a line for the direction. */
static unsigned namesakes(const json_t *jobs, size_t index, const char *direction)
{
	unsigned count = 0;
	const char *name = json_string_value(json_object_get(json_array_get(jobs, index), "jobname"));
	for (size_t i = 0; i < index; i++) {
		const json_t *other = json_array_get(jobs, i);
		if (strcmp(json_string_value(json_object_get(other, "jobname")), name) == 0 &&
		    json_at(json_object_get(other, direction), "total_ios") != 0)
			count++;
	}
	return count;
}

static void check_link_line(const char *report, const json_t *root, const char *name)
{
	char key[20], rate[20];
	double busy, tlps, bytes, ios = json_at(root, "sim/ios");
	const json_t *link = json_object_get(json_object_get(root, "link"), name);
	snprintf(key, sizeof(key), "link %-4s  ", name);
	assert_int_equal(sscanf(line_with(report, key) + strlen(key),
				"%lf %% busy, %19s bytes/s; %lf TLPs and %lf bytes per I/O", &busy, rate,
				&tlps, &bytes),
			 4);
	assert_rounded(busy, 100 * json_at(link, "utilisation"), 0.1, "link busy");
	assert_rounded(tlps, json_at(link, "tlps") / ios, 0.1, "TLPs per I/O");
	assert_rounded(bytes, (json_at(link, "bytes") + json_at(link, "dllp_bytes")) / ios, 1,
		       "bytes per I/O");
}

static void check_figure_lines(const char *report, const json_t *root)
{
	double ratio, written, coalesced, serviced, ios = json_at(root, "sim/ios");
	assert_int_equal(sscanf(line_with(report, "doorbells  "),
				"doorbells %lf per I/O: %lf written, %lf coalesced, %lf serviced", &ratio,
				&written, &coalesced, &serviced),
			 4);
	assert_rounded(ratio, json_at(root, "device/doorbells/written") / ios, 0.001, "doorbells per I/O");
	assert_true(written == json_at(root, "device/doorbells/written"));
	assert_true(coalesced == json_at(root, "device/doorbells/coalesced"));
	assert_true(serviced == json_at(root, "device/doorbells/serviced"));
	double sent, unwanted, moderated,
		interrupts = json_at(root, "device/msix/sent") +
			     floor(json_at(root, "device/msix/intx_messages") / 2);
	assert_int_equal(
		sscanf(line_with(report, "interrupts "),
		       "interrupts %lf per I/O: %lf sent, %lf not wanted by the driver, %lf coalesced",
		       &ratio, &sent, &unwanted, &moderated),
		4);
	assert_true(sent == interrupts);
	assert_rounded(ratio, interrupts / ios, 0.001, "interrupts per I/O");
	assert_true(unwanted == json_at(root, "device/msix/suppressed"));
	assert_true(moderated == json_at(root, "device/msix/coalesced"));
	double busy, cycles, instructions;
	assert_int_equal(sscanf(line_with(report, "core       "),
				"core %lf %% busy; %lf cycles, %lf instructions", &busy, &cycles,
				&instructions),
			 3);
	assert_rounded(busy, 100 * json_at(root, "device/core/busy_ratio"), 0.1, "core busy");
	assert_rounded(cycles, json_at(root, "device/core/busy_cycles") / ios, 1, "cycles per I/O");
	assert_rounded(instructions, json_at(root, "device/core/instructions") / ios, 1, "instructions");
	assert_int_equal(sscanf(line_with(report, "guest      "), "guest %lf", &busy), 1);
	assert_rounded(busy, 100 * json_at(root, "host/busy_ratio"), 0.1, "guest busy");
	check_link_line(report, root, "up");
	check_link_line(report, root, "down");
	double simulated_ms;
	assert_int_equal(sscanf(line_with(report, "time       "), "time %lf ms simulated", &simulated_ms), 1);
	assert_rounded(simulated_ms, json_at(root, "sim/time_ns") / 1e6, 0.0011, "simulated time");
}

static void check_stage_lines(const char *report, const json_t *root)
{
	const char *name;
	json_t *stage;
	double shares = 0;
	json_object_foreach(json_object_get(root, "stages_ns"), name, stage)
	{
		char key[40];
		double mean, p50, p99, max, share;
		snprintf(key, sizeof(key), "  %-18s ", name);
		assert_int_equal(sscanf(line_with(report, key) + strlen(key), "%lf %lf %lf %lf %lf", &mean,
					&p50, &p99, &max, &share),
				 5);
		assert_rounded(mean, json_at(stage, "mean") / 1000, 0.001, name);
		assert_rounded(p50, json_at(stage, "p50") / 1000, 0.01, name);
		assert_rounded(p99, json_at(stage, "p99") / 1000, 0.01, name);
		assert_rounded(max, json_at(stage, "max") / 1000, 0.01, name);
		shares += share;
	}
	assert_true(fabs(shares - 100) < 1);
}

void check_report_agrees(const char *report, const json_t *root)
{
	const json_t *jobs = json_object_get(root, "jobs"), *job;
	size_t i;
	check_report_text(report);
	json_array_foreach(jobs, i, job) for (unsigned d = 0; d < ARRAY_SIZE(directions); d++)
		check_job_line(report, job, directions[d], namesakes(jobs, i, directions[d]));
	check_figure_lines(report, root);
	check_stage_lines(report, root);
	double done;
	const char *verdict = strstr(report, " I/Os done");
	assert_non_null(verdict);
	while (verdict[-1] != '\n')
		verdict--;
	verdict += strncmp(verdict, "interrupted: ", 13) == 0 ? 13 : 0;
	assert_int_equal(sscanf(verdict, "%lf I/Os done", &done), 1);
	assert_true(done == json_at(root, "sim/ios"));
}

/* ---- a run ---- */

static void assert_known(double value, double expected, const char *what)
{
	if (expected != ANY && value != expected)
		fail_msg("%s: %.0f, not %.0f", what, value, expected);
}

/* Line rates in 10^6 bytes a second and lane, encoding taken off (PCIe base specification 4.2.1, 4.2.2). */
static double link_bytes_per_ns(const json_t *root)
{
	static const double lane[] = {
		0, 0.25, 0.5, 8.0 / 8 * 128 / 130, 16.0 / 8 * 128 / 130, 32.0 / 8 * 128 / 130};
	const json_t *link =
		json_object_get(json_object_get(json_object_get(root, "kickstand"), "config"), "link");
	unsigned gen = (unsigned)strtoul(json_string_value(json_object_get(link, "gen")), NULL, 0);
	unsigned lanes = (unsigned)strtoul(json_string_value(json_object_get(link, "lanes")), NULL, 0);
	assert_true(gen >= 1 && gen <= 5);
	return lane[gen] * lanes;
}

/* Facts that follow from the job, and laws no run can break. */
static void check_facts(const struct job_run *r, const json_t *root)
{
	double reads = sum_of_jobs(root, "read/total_ios"), writes = sum_of_jobs(root, "write/total_ios");
	double trims = sum_of_jobs(root, "trim/total_ios"), syncs = sum_of_jobs(root, "sync/total_ios");
	double read_bytes = sum_of_jobs(root, "read/io_bytes"),
	       write_bytes = sum_of_jobs(root, "write/io_bytes");
	assert_known(reads, r->reads, "reads");
	assert_known(writes, r->writes, "writes");
	assert_known(trims, r->trims, "trims");
	assert_known(syncs, r->syncs, "syncs");
	assert_known(read_bytes, r->read_bytes, "bytes read");
	assert_known(write_bytes, r->write_bytes, "bytes written");
	assert_true(json_at(root, "sim/errors") == 0);
	double time_ns = json_at(root, "sim/time_ns"), rate = link_bytes_per_ns(root);
	/* All data crossed the link, and no faster than it can. Nothing was read or written twice on the medium. */
	if (!r->ramps) {
		assert_true(reads + writes + trims + syncs == json_at(root, "sim/ios"));
		assert_true(json_at(root, "device/media/read_bytes") == read_bytes);
		assert_true(json_at(root, "device/media/write_bytes") == write_bytes);
	}
	assert_true(json_at(root, "link/up/payload_bytes") >= read_bytes);
	assert_true(json_at(root, "link/down/payload_bytes") >= write_bytes);
	assert_true(json_at(root, "link/up/bytes") <= rate * time_ns);
	assert_true(json_at(root, "link/down/bytes") <= rate * time_ns);
	/* Little: the time all I/Os took together is at most depth times the time there was. */
	double occupied_ns = 0;
	const json_t *job;
	size_t i;
	json_array_foreach(json_object_get(root, "jobs"), i, job)
	{
		for (unsigned d = 0; d < ARRAY_SIZE(directions); d++) {
			const json_t *direction = json_object_get(job, directions[d]);
			occupied_ns += json_at(direction, "total_ios") * json_at(direction, "lat_ns/mean");
		}
		occupied_ns += json_at(job, "sync/total_ios") * json_at(job, "sync/lat_ns/mean");
	}
	if (r->depth != 0 && occupied_ns > r->depth * time_ns * 1.0001)
		fail_msg("%.3f I/Os in flight on average, more than %u", occupied_ns / time_ns, r->depth);
}

void check_job_runs(const struct job_run *runs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct job_run *r = &runs[i];
		const char *json = program_path_of("run.json"), *job = program_file_of("run.fio", r->job);
		char *arguments;
		json_error_t error;
		assert_true(asprintf(&arguments, "run --job %s --json %s %s", job, json, r->options) > 0);
		printf("%s\n", r->name);
		struct program_result result = program_run(arguments, 100);
		if (result.status != 0)
			fail_msg("%s: exit status %d\n%s\n%s%s", r->name, result.status, r->job, result.out,
				 result.err);
		assert_string_equal(result.err, "");
		json_t *root = json_load_file(json, 0, &error);
		if (!root)
			fail_msg("%s: %s:%d: %s", r->name, json, error.line, error.text);
		check_document(root);
		check_report_agrees(result.out, root);
		check_facts(r, root);
		if (r->more)
			r->more(root);
		json_decref(root);
		program_free(&result);
		free(arguments);
	}
}
