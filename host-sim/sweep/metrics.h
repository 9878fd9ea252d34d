/* The figures by which runs are compared, each a number taken from a run's JSON document. Sweeps put them into their rows,
 * constraints and objectives name them, `kickstand compare` tests them. */
#ifndef KICKSTAND_HOST_SIM_SWEEP_METRICS_H
#define KICKSTAND_HOST_SIM_SWEEP_METRICS_H

#include "pcie/base.h"

#include <jansson.h>

enum metric_id {
	METRIC_IOPS,
	METRIC_MBYTES_PER_S,
	METRIC_MEAN_US,
	METRIC_P50_US,
	METRIC_P90_US,
	METRIC_P99_US,
	METRIC_P99_9_US,
	METRIC_MAX_US,
	METRIC_DOORBELLS_PER_IO,
	METRIC_SERVICES_PER_IO,
	METRIC_INTERRUPTS_PER_IO,
	METRIC_CORE_LOAD,
	METRIC_CORE_CYCLES_PER_IO,
	METRIC_LINK_UP_LOAD,
	METRIC_LINK_DOWN_LOAD,
	METRIC_LINK_UP_BYTES_PER_IO,
	METRIC_LINK_DOWN_BYTES_PER_IO,
	METRIC_MEDIUM_LOAD,
	METRIC_GUEST_LOAD,
	METRICS,
};

/* Width of a histogram's buckets, relative to the value (host-sim/histogram.h). */
#define METRIC_RESOLUTION (1.0 / 128)

struct metric {
	const char *name, *unit;
	int better;   /* 1: more is better, -1: less is better, 0: neither by itself */
	bool rounded; /* a percentile, known to METRIC_RESOLUTION */
	const char *meaning;
};

extern const struct metric metrics[METRICS];

/* By name, with or without its unit ("p99" for "p99_us"); METRICS if there is none. */
enum metric_id metric_find(const char *name);

/* Writes all names with commas between them. */
void metric_names(char *text, size_t size);

/* The number at a path of keys such as "device/core/busy_ratio"; NAN if there is none. */
double metric_number(const json_t *document, const char *path);

/* All of a run's metrics; NAN for what the document does not have. */
void metrics_of(const json_t *document, double value[METRICS]);

#endif
