#include "host-sim/sweep/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_US 1000.0

const struct metric metrics[METRICS] = {
	[METRIC_IOPS] = {"iops", "1/s", 1, false, "I/Os per second of simulated time, all jobs together"},
	[METRIC_MBYTES_PER_S] = {"mbytes_per_s", "MB/s", 1, false, "data moved, in 10^6 bytes a second"},
	[METRIC_MEAN_US] = {"mean_us", "us", -1, false,
			    "mean latency, from the job's I/O made to its completion"},
	[METRIC_P50_US] = {"p50_us", "us", -1, true, "median latency"},
	[METRIC_P90_US] = {"p90_us", "us", -1, true, "90 % of the latencies are at most this"},
	[METRIC_P99_US] = {"p99_us", "us", -1, true, "99 % of the latencies are at most this"},
	[METRIC_P99_9_US] = {"p99_9_us", "us", -1, true, "99.9 % of the latencies are at most this"},
	[METRIC_MAX_US] = {"max_us", "us", -1, false, "largest latency"},
	[METRIC_DOORBELLS_PER_IO] = {"doorbells_per_io", "", -1, false,
				     "doorbells the driver writes, per I/O"},
	[METRIC_SERVICES_PER_IO] = {"services_per_io", "", -1, false,
				    "times the notify unit has a queue served, per I/O"},
	[METRIC_INTERRUPTS_PER_IO] = {"interrupts_per_io", "", -1, false, "interrupt messages sent, per I/O"},
	[METRIC_CORE_LOAD] = {"core_load", "", -1, false, "part of the time that the core is busy, 0 to 1"},
	[METRIC_CORE_CYCLES_PER_IO] = {"core_cycles_per_io", "cycles", -1, false,
				       "busy cycles of the core, per I/O"},
	[METRIC_LINK_UP_LOAD] = {"link_up_load", "", 0, false,
				 "part of the time that the link to the host is busy"},
	[METRIC_LINK_DOWN_LOAD] = {"link_down_load", "", 0, false,
				   "part of the time that the link to the card is busy"},
	[METRIC_LINK_UP_BYTES_PER_IO] = {"link_up_bytes_per_io", "bytes", -1, false,
					 "bytes on the link to the host, overheads included, per I/O"},
	[METRIC_LINK_DOWN_BYTES_PER_IO] = {"link_down_bytes_per_io", "bytes", -1, false,
					   "bytes on the link to the card, overheads included, per I/O"},
	[METRIC_MEDIUM_LOAD] = {"medium_load", "", 0, false, "part of the medium's channels that are busy"},
	[METRIC_GUEST_LOAD] = {"guest_load", "", 0, false,
			       "part of its CPUs' time that the guest spends in the driver"},
};

static bool is_called(const struct metric *metric, const char *name)
{
	size_t length = strlen(metric->name);
	if (strcmp(metric->name, name) == 0)
		return true;
	return length > 3 && strcmp(metric->name + length - 3, "_us") == 0 && strlen(name) == length - 3 &&
	       strncmp(metric->name, name, length - 3) == 0;
}

enum metric_id metric_find(const char *name)
{
	unsigned i = 0;
	while (i < METRICS && !is_called(&metrics[i], name))
		i++;
	return (enum metric_id)i;
}

void metric_names(char *text, size_t size)
{
	size_t length = 0;
	for (unsigned i = 0; i < METRICS && length < size; i++)
		length += (size_t)snprintf(text + length, size - length, "%s%s", i ? ", " : "",
					   metrics[i].name);
}

double metric_number(const json_t *document, const char *path)
{
	const json_t *at = document;
	while (at) {
		char key[64];
		size_t length = strcspn(path, "/");
		snprintf(key, sizeof(key), "%.*s", (int)length, path);
		at = json_object_get(at, key);
		if (!path[length])
			break;
		path += length + 1;
	}
	return json_is_number(at) ? json_number_value(at) : NAN;
}

static double link_bytes(const json_t *link)
{
	return metric_number(link, "bytes") + metric_number(link, "dllp_bytes");
}

static void latency_metrics(const json_t *latency, double value[METRICS])
{
	static const struct {
		enum metric_id id;
		const char *path;
	} paths[] = {
		{METRIC_MEAN_US, "mean"},
		{METRIC_MAX_US, "max"},
		{METRIC_P50_US, "percentile/50.000000"},
		{METRIC_P90_US, "percentile/90.000000"},
		{METRIC_P99_US, "percentile/99.000000"},
		{METRIC_P99_9_US, "percentile/99.900000"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		value[paths[i].id] = metric_number(latency, paths[i].path) / NS_PER_US;
}

void metrics_of(const json_t *document, double value[METRICS])
{
	const json_t *total = json_object_get(document, "total"), *card = json_object_get(document, "device");
	const json_t *link = json_object_get(document, "link");
	const json_t *up = json_object_get(link, "up"), *down = json_object_get(link, "down");
	double ios = metric_number(document, "sim/ios");
	value[METRIC_IOPS] = metric_number(total, "iops");
	value[METRIC_MBYTES_PER_S] = metric_number(total, "bw_bytes") / 1e6;
	latency_metrics(json_object_get(total, "lat_ns"), value);
	value[METRIC_DOORBELLS_PER_IO] = metric_number(card, "doorbells/written") / ios;
	value[METRIC_SERVICES_PER_IO] = metric_number(card, "doorbells/serviced") / ios;
	/* INTx is two messages, one at either edge. */
	value[METRIC_INTERRUPTS_PER_IO] =
		(metric_number(card, "msix/sent") + metric_number(card, "msix/intx_messages") / 2) / ios;
	value[METRIC_CORE_LOAD] = metric_number(card, "core/busy_ratio");
	value[METRIC_CORE_CYCLES_PER_IO] = metric_number(card, "core/busy_cycles") / ios;
	value[METRIC_LINK_UP_LOAD] = metric_number(up, "utilisation");
	value[METRIC_LINK_DOWN_LOAD] = metric_number(down, "utilisation");
	value[METRIC_LINK_UP_BYTES_PER_IO] = link_bytes(up) / ios;
	value[METRIC_LINK_DOWN_BYTES_PER_IO] = link_bytes(down) / ios;
	value[METRIC_MEDIUM_LOAD] =
		metric_number(card, "media/channels_busy_mean") / metric_number(card, "media/channels");
	value[METRIC_GUEST_LOAD] = metric_number(document, "host/busy_ratio");
	for (unsigned i = 0; i < METRICS; i++)
		if (!isfinite(value[i]))
			value[i] = NAN;
}
