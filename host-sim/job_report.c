#include "host-sim/job_report.h"

#include <inttypes.h>
#include <stdio.h>

/* fio's latency classes: a value belongs to the first that it is below. */
static const char *const latency_names[JOB_LATENCY_MS] = {"2",   "4",   "10",  "20",   "50",   "100",
							  "250", "500", "750", "1000", "2000", ">=2000"};
static const uint32_t latency_bounds[JOB_LATENCY_MS] = {2,   4,   10,  20,   50,   100,
							250, 500, 750, 1000, 2000, UINT32_MAX};

static const char *const level_names[JOB_DEPTHS] = {"1", "2", "4", "8", "16", "32", ">=64"};
static const char *const batch_names[JOB_DEPTHS] = {"0", "4", "8", "16", "32", "64", ">=64"};

static void count_latency(uint64_t *classes, uint64_t value)
{
	unsigned i = 0;
	while (i < JOB_LATENCY_MS - 1 && value >= latency_bounds[i])
		i++;
	classes[i]++;
}

void job_stats_io(struct job_stats *s, enum io_ddir ddir, uint32_t bytes, const struct job_io_times *times)
{
	uint64_t clat_ps = times->completed_ps - times->submitted_ps;
	if (ddir >= IO_DIRECTIONS) {
		histogram_record(&s->sync_ps, times->completed_ps - times->created_ps);
		return;
	}
	s->direction[ddir].bytes += bytes;
	s->direction[ddir].ios++;
	histogram_record(&s->direction[ddir].slat_ps, times->submitted_ps - times->created_ps);
	histogram_record(&s->direction[ddir].clat_ps, clat_ps);
	histogram_record(&s->direction[ddir].lat_ps, times->completed_ps - times->created_ps);
	if (clat_ps < PS_PER_US)
		count_latency(s->latency_ns, clat_ps / PS_PER_NS);
	else if (clat_ps < PS_PER_MS)
		count_latency(s->latency_us, clat_ps / PS_PER_US);
	else
		count_latency(s->latency_ms, clat_ps / PS_PER_MS);
}

void job_stats_error(struct job_stats *s, int error)
{
	if (s->errors++ == 0)
		s->first_error = error;
}

static unsigned log2_of(unsigned value)
{
	return 31u - (unsigned)__builtin_clz(value);
}

/* 1, 2-3, 4-7, … 64 and more */
void job_stats_depth(struct job_stats *s, unsigned depth)
{
	s->depth[depth ? min_u32(log2_of(depth), JOB_DEPTHS - 1) : 0]++;
}

/* 0, 1-4, 5-8, … 33-64, more than 64 */
static unsigned batch_class(unsigned ios)
{
	if (ios <= 4)
		return ios > 0;
	return min_u32(log2_of(ios - 1), JOB_DEPTHS - 1);
}

void job_stats_submitted(struct job_stats *s, unsigned ios)
{
	s->submitted[batch_class(ios)]++;
}

void job_stats_completed(struct job_stats *s, unsigned ios)
{
	s->completed[batch_class(ios)]++;
}

static void add_counts(uint64_t *to, const uint64_t *from, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		to[i] += from[i];
}

void job_stats_merge(struct job_stats *s, const struct job_stats *from)
{
	for (unsigned d = 0; d < IO_DIRECTIONS; d++) {
		s->direction[d].bytes += from->direction[d].bytes;
		s->direction[d].ios += from->direction[d].ios;
		s->direction[d].short_ios += from->direction[d].short_ios;
		s->direction[d].dropped_ios += from->direction[d].dropped_ios;
		histogram_merge(&s->direction[d].slat_ps, &from->direction[d].slat_ps);
		histogram_merge(&s->direction[d].clat_ps, &from->direction[d].clat_ps);
		histogram_merge(&s->direction[d].lat_ps, &from->direction[d].lat_ps);
	}
	histogram_merge(&s->sync_ps, &from->sync_ps);
	add_counts(s->depth, from->depth, JOB_DEPTHS);
	add_counts(s->submitted, from->submitted, JOB_DEPTHS);
	add_counts(s->completed, from->completed, JOB_DEPTHS);
	add_counts(s->latency_ns, from->latency_ns, JOB_LATENCY_NS);
	add_counts(s->latency_us, from->latency_us, JOB_LATENCY_US);
	add_counts(s->latency_ms, from->latency_ms, JOB_LATENCY_MS);
	if (s->end_ps == 0)
		s->start_ps = from->start_ps;
	s->start_ps = min_u64(s->start_ps, from->start_ps);
	s->end_ps = max_u64(s->end_ps, from->end_ps);
	s->readback_ps = max_u64(s->readback_ps, from->readback_ps);
	if (s->errors == 0)
		s->first_error = from->first_error;
	s->errors += from->errors;
}

static uint64_t whole_ps(const struct job_stats *s)
{
	return s->end_ps > s->start_ps ? s->end_ps - s->start_ps : 0;
}

uint64_t job_stats_duration_ps(const struct job_stats *s, const struct fio_job *job, enum io_ddir ddir)
{
	uint64_t whole = whole_ps(s), readback = min_u64(s->readback_ps, whole);
	if (ddir != IO_READ)
		return whole - readback;
	return job->direction[IO_READ] || readback == 0 ? whole : readback;
}

/* json_object_set_new frees the value on failure; one failure spoils the report, which the caller sees at the
 * end. */
struct object {
	json_t *json;
	bool failed;
};

static struct object new_object(void)
{
	struct object object = {.json = json_object()};
	object.failed = !object.json;
	return object;
}

static void add(struct object *object, const char *key, json_t *value)
{
	if (!value || json_object_set_new(object->json, key, value) != 0)
		object->failed = true;
}

static void add_int(struct object *object, const char *key, uint64_t value)
{
	add(object, key, json_integer((json_int_t)min_u64(value, INT64_MAX)));
}

static json_t *finish(struct object object)
{
	if (!object.failed)
		return object.json;
	json_decref(object.json);
	return NULL;
}

/* JSON is UTF-8; bytes of a job file that are not, show as question marks. */
static json_t *text_json(const char *text)
{
	json_t *json = json_string(text);
	char ascii[1024];
	size_t i;
	if (json)
		return json;
	for (i = 0; i < sizeof(ascii) - 1 && text[i]; i++)
		ascii[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	ascii[i] = '\0';
	return json_string(ascii);
}

static uint64_t to_ns(uint64_t ps)
{
	return ps / PS_PER_NS + (ps % PS_PER_NS >= PS_PER_NS / 2);
}

static json_t *percentile_json(const struct fio_job *job, const struct histogram *h)
{
	struct object object = new_object();
	for (unsigned i = 0; i < job->percentiles; i++) {
		uint32_t micro = job->percentile_micro[i];
		char key[24];
		snprintf(key, sizeof(key), "%" PRIu32 ".%06" PRIu32, micro / 1000000, micro % 1000000);
		add_int(&object, key, to_ns(histogram_percentile(h, micro)));
	}
	return finish(object);
}

static json_t *latency_json(const struct fio_job *job, const struct histogram *h, bool percentiles)
{
	struct object object = new_object();
	add_int(&object, "min", to_ns(h->min));
	add_int(&object, "max", to_ns(h->max));
	add(&object, "mean", json_real(histogram_mean(h) / (double)PS_PER_NS));
	add(&object, "stddev", json_real(histogram_stddev(h) / (double)PS_PER_NS));
	add_int(&object, "N", h->count);
	if (percentiles && h->count)
		add(&object, "percentile", percentile_json(job, h));
	return finish(object);
}

static uint64_t to_ms(uint64_t ps)
{
	return ps / PS_PER_MS + (ps % PS_PER_MS >= PS_PER_MS / 2);
}

static json_t *direction_json(const struct fio_job *job, const struct job_stats *stats, enum io_ddir ddir)
{
	struct object object = new_object();
	uint64_t bytes = stats->direction[ddir].bytes, ios = stats->direction[ddir].ios;
	uint64_t ps = job_stats_duration_ps(stats, job, ddir);
	uint64_t bytes_per_s = ps ? (uint64_t)((unsigned __int128)bytes * PS_PER_S / ps) : 0;
	add_int(&object, "io_bytes", bytes);
	add_int(&object, "io_kbytes", bytes >> 10);
	add_int(&object, "bw_bytes", bytes_per_s);
	add_int(&object, "bw", bytes_per_s >> 10);
	add(&object, "iops", json_real(ps ? (double)ios * (double)PS_PER_S / (double)ps : 0));
	add_int(&object, "runtime", ios ? to_ms(ps) : 0);
	add_int(&object, "total_ios", ios);
	add_int(&object, "short_ios", stats->direction[ddir].short_ios);
	add_int(&object, "drop_ios", stats->direction[ddir].dropped_ios);
	add(&object, "slat_ns", latency_json(job, &stats->direction[ddir].slat_ps, job->slat_percentiles));
	add(&object, "clat_ns", latency_json(job, &stats->direction[ddir].clat_ps, job->clat_percentiles));
	add(&object, "lat_ns", latency_json(job, &stats->direction[ddir].lat_ps, job->lat_percentiles));
	return finish(object);
}

static json_t *sync_json(const struct fio_job *job, const struct job_stats *stats)
{
	struct object object = new_object();
	add_int(&object, "total_ios", stats->sync_ps.count);
	add(&object, "lat_ns", latency_json(job, &stats->sync_ps, true));
	return finish(object);
}

/* Parts of `total` in percent. As in fio, a class that is not empty never shows as less than `least`. */
static json_t *share_json(const uint64_t *counts, const char *const *names, unsigned classes, uint64_t total,
			  double least)
{
	struct object object = new_object();
	for (unsigned i = 0; i < classes; i++) {
		double percent = total ? 100.0 * (double)counts[i] / (double)total : 0;
		add(&object, names[i], json_real(counts[i] && percent < least ? least : percent));
	}
	return finish(object);
}

static uint64_t sum(const uint64_t *counts, unsigned count)
{
	uint64_t total = 0;
	for (unsigned i = 0; i < count; i++)
		total += counts[i];
	return total;
}

static void add_distributions(struct object *object, const struct job_stats *s)
{
	uint64_t ios = s->direction[IO_READ].ios + s->direction[IO_WRITE].ios + s->direction[IO_TRIM].ios;
	add(object, "iodepth_level",
	    share_json(s->depth, level_names, JOB_DEPTHS, sum(s->depth, JOB_DEPTHS), 0.1));
	add(object, "iodepth_submit",
	    share_json(s->submitted, batch_names, JOB_DEPTHS, sum(s->submitted, JOB_DEPTHS), 0.1));
	add(object, "iodepth_complete",
	    share_json(s->completed, batch_names, JOB_DEPTHS, sum(s->completed, JOB_DEPTHS), 0.1));
	add(object, "latency_ns", share_json(s->latency_ns, latency_names, JOB_LATENCY_NS, ios, 0.01));
	add(object, "latency_us", share_json(s->latency_us, latency_names, JOB_LATENCY_US, ios, 0.01));
	add(object, "latency_ms", share_json(s->latency_ms, latency_names, JOB_LATENCY_MS, ios, 0.01));
}

json_t *job_report_options(const struct fio_option_list *list)
{
	struct object object = new_object();
	for (unsigned i = 0; i < list->count; i++)
		if (list->option[i].value)
			add(&object, list->option[i].name, text_json(list->option[i].value));
	return finish(object);
}

json_t *job_report(const struct fio_job *job, const struct job_stats *stats)
{
	struct object object = new_object();
	add(&object, "jobname", text_json(job->name));
	add_int(&object, "groupid", job->group);
	add_int(&object, "error", job->continue_on ? 0 : (uint64_t)stats->first_error);
	add_int(&object, "eta", 0);
	add_int(&object, "elapsed", stats->end_ps / PS_PER_S + (stats->end_ps % PS_PER_S != 0));
	add(&object, "job options", job_report_options(&job->options));
	add(&object, "read", direction_json(job, stats, IO_READ));
	add(&object, "write", direction_json(job, stats, IO_WRITE));
	add(&object, "trim", direction_json(job, stats, IO_TRIM));
	add(&object, "sync", sync_json(job, stats));
	add_int(&object, "job_runtime", to_ms(whole_ps(stats)));
	add_distributions(&object, stats);
	if (job->continue_on) {
		add_int(&object, "total_err", stats->errors);
		add_int(&object, "first_error", (uint64_t)stats->first_error);
	}
	if (job->description)
		add(&object, "desc", text_json(job->description));
	return finish(object);
}
