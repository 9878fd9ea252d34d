/* Results of a job, and their JSON with fio's names and units (fio --output-format=json, 3.33).
 *
 * Every key means what it means in fio. fio's keys for what is not simulated (CPU time, page faults, bandwidth
 * samples, latency targets) are left out; no key is added. Bandwidth and IOPS come from the time in ps, as
 * fio's `runtime` in whole milliseconds would be too coarse. */
#ifndef KICKSTAND_HOST_SIM_JOB_REPORT_H
#define KICKSTAND_HOST_SIM_JOB_REPORT_H

#include "host-sim/histogram.h"
#include "host-sim/workloads/fio_job.h"

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JOB_DEPTHS     7  /* fio's classes of queue depth */
#define JOB_LATENCY_NS 10 /* fio's classes of latency below 1 µs, below 1 ms, above */
#define JOB_LATENCY_US 10
#define JOB_LATENCY_MS 12

/* Of one clone, or of several merged. Large: allocate it. All zero at the start. */
struct job_stats {
	struct {
		uint64_t bytes, ios, short_ios, dropped_ios;
		struct histogram slat_ps, clat_ps, lat_ps;
	} direction[IO_DIRECTIONS];
	struct histogram sync_ps;
	uint64_t depth[JOB_DEPTHS], submitted[JOB_DEPTHS], completed[JOB_DEPTHS];
	uint64_t latency_ns[JOB_LATENCY_NS], latency_us[JOB_LATENCY_US], latency_ms[JOB_LATENCY_MS];
	uint64_t start_ps,
		end_ps; /* what was measured lies between (start_ps behind ramp_time); set by the caller */
	uint64_t readback_ps; /* of that, spent in verify phases; set by the caller */
	uint64_t errors;
	int first_error; /* errno, 0 = none */
};

/* Life of one I/O: the job made it, the driver had it queued for the device, its completion reached the job. */
struct job_io_times {
	uint64_t created_ps, submitted_ps, completed_ps;
};

/* An I/O that succeeded, flushes included. */
void job_stats_io(struct job_stats *s, enum io_ddir ddir, uint32_t bytes, const struct job_io_times *times);

/* One that failed; `error` is a positive errno. */
void job_stats_error(struct job_stats *s, int error);

/* Queue depth as an I/O is made, itself included; I/Os given to the driver, or taken from it, at once. */
void job_stats_depth(struct job_stats *s, unsigned depth);
void job_stats_submitted(struct job_stats *s, unsigned ios);
void job_stats_completed(struct job_stats *s, unsigned ios);

/* Adds `from` up with `s`, for group_reporting. The time measured becomes that from the first start to the last
 * end. */
void job_stats_merge(struct job_stats *s, const struct job_stats *from);

/* The time a direction's bandwidth and IOPS refer to. As in fio, verify phases count for reads only, and for a job
 * that does not read otherwise nothing else does. */
uint64_t job_stats_duration_ps(const struct job_stats *s, const struct fio_job *job, enum io_ddir ddir);

/* The job's object in fio's "jobs" array. NULL if out of memory. Owner: caller. */
json_t *job_report(const struct fio_job *job, const struct job_stats *stats);

/* fio's "global options" or "job options": name to value, the last one given winning. Like fio, leaves out
 * options without a value (stonewall). */
json_t *job_report_options(const struct fio_option_list *list);

#ifdef __cplusplus
}
#endif
#endif
