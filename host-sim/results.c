#include "host-sim/results.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* ---- groups ---- */

static struct job_group *group_of(struct job_group *groups, unsigned *count, const struct fio_job *job,
				  bool clone_of_own)
{
	for (unsigned i = 0; i < *count; i++) {
		const struct fio_job *other = groups[i].job;
		if (other == job && !clone_of_own)
			return &groups[i];
		if (job->group_reporting && other->group_reporting && other->group == job->group)
			return &groups[i];
	}
	struct job_group *group = &groups[(*count)++];
	group->job = job;
	group->stats = calloc(1, sizeof(*group->stats));
	return group;
}

struct job_group *make_groups(const struct run *run, unsigned *count)
{
	struct job_group *groups = calloc(run->clients + 1, sizeof(*groups));
	*count = 0;
	if (!groups)
		return NULL;
	for (unsigned i = 0; i < run->clients; i++) {
		const struct client *client = &run->client[i];
		/* As fio: every clone is a job of its own in the report unless group_reporting adds them up. */
		struct job_group *group = group_of(groups, count, client->job, !client->job->group_reporting);
		if (!group->stats) {
			free_groups(groups, *count);
			return NULL;
		}
		job_stats_merge(group->stats, client->stats);
	}
	return groups;
}

void free_groups(struct job_group *groups, unsigned count)
{
	for (unsigned i = 0; groups && i < count; i++)
		free(groups[i].stats);
	free(groups);
}

/* ---- the document ---- */

static void add(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void add_ratio(json_t *object, const char *key, double numerator, double denominator)
{
	json_object_set_new(object, key, json_real(denominator > 0 ? numerator / denominator : 0));
}

static void add_config_key(void *ctx, const char *section, const char *key, const char *value)
{
	json_t *config = ctx;
	json_t *object = json_object_get(config, section);
	if (!object) {
		object = json_object();
		json_object_set_new(config, section, object);
	}
	json_object_set_new(object, key, json_string(value));
}

json_t *results_program(const struct config *config, const struct store *store)
{
	json_t *object = json_object(), *keys = json_object();
	config_each(config, add_config_key, keys);
	json_object_set_new(object, "version", json_string(KICKSTAND_VERSION));
	add(object, "seed", config->sim.seed);
	if (store)
		json_object_set_new(object, "disk", json_string(store_info(store)->spec));
	json_object_set_new(object, "config", keys);
	return object;
}

static json_t *sim_object(const struct run *run, const struct figures *figures)
{
	json_t *object = json_object();
	add(object, "time_ns", figures->time_ps / PS_PER_NS);
	add(object, "boot_ns", run->start.time_ps / PS_PER_NS);
	add(object, "ios", run->shared.completed);
	add(object, "events", figures->events);
	json_object_set_new(object, "wall_s", json_real(run->wall_s));
	add_ratio(object, "ios_per_wall_s", (double)run->shared.completed, run->wall_s);
	add(object, "errors", run->io_errors);
	json_object_set_new(object, "interrupted", json_boolean(run->interrupted));
	return object;
}

static json_t *doorbells_object(const struct figures *f)
{
	json_t *object = json_object();
	add(object, "written", f->doorbells.written);
	add(object, "coalesced", f->doorbells.coalesced);
	add(object, "serviced", f->doorbells.serviced);
	add(object, "ignored", f->doorbells.ignored);
	add(object, "fifo_full", f->doorbells.fifo_full);
	return object;
}

static json_t *fetch_object(const struct figures *f)
{
	json_t *object = json_object();
	add(object, "requests", f->fetch.requests);
	add(object, "services", f->fetch.services);
	add(object, "empty_services", f->fetch.empty_services);
	add(object, "index_reads", f->fetch.index_reads);
	add(object, "ring_reads", f->fetch.ring_reads);
	add(object, "ring_entries", f->fetch.ring_entries);
	add(object, "descriptor_reads", f->fetch.descriptor_reads);
	add(object, "descriptors", f->fetch.descriptors);
	add(object, "indirect_tables", f->fetch.indirect_tables);
	add(object, "header_reads", f->fetch.header_reads);
	add(object, "arm_writes", f->fetch.arm_writes);
	add(object, "bad_chains", f->fetch.bad_chains);
	add(object, "stall_no_slot", f->fetch.stall_no_slot);
	add(object, "stall_no_walker", f->fetch.stall_no_walker);
	return object;
}

static json_t *direct_object(const struct figures *f)
{
	json_t *object = json_object();
	add(object, "reads", f->direct.reads);
	add(object, "writes", f->direct.writes);
	add(object, "passed_on", f->direct.passed_on);
	add(object, "completed", f->direct.completed);
	add(object, "failed", f->direct.failed);
	add(object, "stall_used", f->direct.stall_used);
	return object;
}

static json_t *msix_object(const struct figures *f)
{
	json_t *object = json_object();
	add(object, "sent", f->msix.sent);
	add(object, "suppressed", f->msix.suppressed);
	add(object, "coalesced", f->msix.coalesced);
	add(object, "masked", f->msix.masked);
	add(object, "intx_messages", f->msix.intx);
	return object;
}

static json_t *core_object(struct device *device, const struct figures *f)
{
	json_t *object = json_object();
	const struct device_stats stats = device_stats(device);
	add(object, "cycles", f->core.cycles + f->core.asleep_cycles);
	add(object, "busy_cycles", f->core.cycles);
	add(object, "asleep_cycles", f->core.asleep_cycles);
	add(object, "instructions", f->core.instructions);
	add_ratio(object, "busy_ratio", (double)f->core.cycles,
		  (double)(f->core.cycles + f->core.asleep_cycles));
	add(object, "register_reads", f->core.bus_reads);
	add(object, "register_writes", f->core.bus_writes);
	add(object, "code_bytes", stats.code_bytes);
	add(object, "data_bytes", stats.data_bytes);
	add(object, "stack_bytes", stats.stack_bytes);
	return object;
}

static json_t *dma_object(const struct figures *f)
{
	json_t *object = json_object();
	add(object, "reads", f->dma.reads);
	add(object, "writes", f->dma.writes);
	add(object, "read_bytes", f->dma.read_bytes);
	add(object, "write_bytes", f->dma.write_bytes);
	add(object, "read_tlps", f->dma.read_tlps);
	add(object, "write_tlps", f->dma.write_tlps);
	add(object, "failed", f->dma.failed);
	add(object, "timeouts", f->dma.timeouts);
	add(object, "unexpected", f->dma.unexpected);
	add(object, "stall_no_tag", f->dma.stall_no_tag);
	add(object, "stall_backlog", f->dma.stall_backlog);
	add(object, "stall_bus_master", f->dma.stall_bus_master);
	return object;
}

static json_t *media_object(const struct config *config, const struct figures *f)
{
	json_t *object = json_object();
	add(object, "reads", f->media.reads);
	add(object, "writes", f->media.writes);
	add(object, "flushes", f->media.flushes);
	add(object, "others", f->media.others);
	add(object, "read_bytes", f->media.read_bytes);
	add(object, "write_bytes", f->media.write_bytes);
	add(object, "errors", f->media.errors);
	add_ratio(object, "channels_busy_mean", (double)f->media.busy_ps, (double)f->time_ps);
	add(object, "channels", config->media.parallelism);
	return object;
}

static json_t *used_object(const struct figures *f)
{
	json_t *object = json_object();
	add(object, "completions", f->used.completions);
	add(object, "updates", f->used.updates);
	add(object, "decisions", f->used.decisions);
	add(object, "interrupts", f->used.interrupts);
	return object;
}

static json_t *errors_object(const struct figures *f)
{
	json_t *object = json_object();
	add(object, "unsupported", f->endpoint.unsupported);
	add(object, "malformed", f->endpoint.malformed);
	add(object, "poisoned", f->endpoint.poisoned);
	add(object, "unexpected_completions", f->endpoint.unexpected);
	add(object, "messages", f->endpoint.error_messages);
	return object;
}

json_t *results_card(const struct config *config, struct device *device, const struct figures *f)
{
	json_t *object = json_object();
	json_object_set_new(object, "doorbells", doorbells_object(f));
	json_object_set_new(object, "fetch", fetch_object(f));
	json_object_set_new(object, "direct", direct_object(f));
	json_object_set_new(object, "used", used_object(f));
	json_object_set_new(object, "msix", msix_object(f));
	json_object_set_new(object, "core", core_object(device, f));
	json_object_set_new(object, "dma", dma_object(f));
	json_object_set_new(object, "media", media_object(config, f));
	json_object_set_new(object, "errors", errors_object(f));
	return object;
}

static json_t *link_object(const struct figures_link *link, uint64_t time_ps)
{
	json_t *object = json_object(), *types = json_object();
	add(object, "tlps", link->tlps);
	add(object, "bytes", link->wire_bytes);
	add(object, "tlp_bytes", link->tlp_bytes);
	add(object, "payload_bytes", link->payload_bytes);
	add(object, "dllps", link->dllps);
	add(object, "dllp_bytes", link->dllp_bytes);
	add(object, "replays", link->replays);
	add_ratio(object, "utilisation", (double)link->busy_ps, (double)time_ps);
	add(object, "stall_posted_credit_ns", link->stall_credit_ps[TLP_POSTED] / PS_PER_NS);
	add(object, "stall_non_posted_credit_ns", link->stall_credit_ps[TLP_NON_POSTED] / PS_PER_NS);
	for (unsigned i = 0; i < TLP_TYPE_COUNT; i++)
		if (link->by_type[i] != 0)
			add(types, tlp_type_name((enum tlp_type)i), link->by_type[i]);
	json_object_set_new(object, "by_type", types);
	return object;
}

json_t *results_links(const struct figures *f)
{
	json_t *object = json_object();
	json_object_set_new(object, "up", link_object(&f->up, f->time_ps));
	json_object_set_new(object, "down", link_object(&f->down, f->time_ps));
	return object;
}

json_t *results_stages(const struct stages *stages)
{
	json_t *object = json_object();
	for (unsigned i = 0; i < SPAN_COUNT; i++) {
		const struct histogram *h = &stages->span[i];
		json_t *stage = json_object();
		json_object_set_new(stage, "mean", json_real(histogram_mean(h) / (double)PS_PER_NS));
		json_object_set_new(stage, "p50",
				    json_real((double)histogram_percentile(h, 50000000) / (double)PS_PER_NS));
		json_object_set_new(stage, "p99",
				    json_real((double)histogram_percentile(h, 99000000) / (double)PS_PER_NS));
		json_object_set_new(stage, "max", json_real((double)h->max / (double)PS_PER_NS));
		json_object_set_new(object, span_name((enum span)i), stage);
	}
	return object;
}

static json_t *jobs_array(const struct run *run)
{
	unsigned count;
	struct job_group *groups = make_groups(run, &count);
	json_t *array = json_array();
	for (unsigned i = 0; groups && i < count; i++)
		json_array_append_new(array, job_report(groups[i].job, groups[i].stats));
	free_groups(groups, count);
	return array;
}

static json_t *total_latency(const struct histogram *h)
{
	static const struct {
		const char *name;
		uint32_t micro;
	} percentiles[] = {{"50.000000", 50000000}, {"90.000000", 90000000}, {"95.000000", 95000000},
			   {"99.000000", 99000000}, {"99.900000", 99900000}, {"99.990000", 99990000}};
	json_t *object = json_object(), *values = json_object();
	json_object_set_new(object, "min", json_real((double)h->min / (double)PS_PER_NS));
	json_object_set_new(object, "max", json_real((double)h->max / (double)PS_PER_NS));
	json_object_set_new(object, "mean", json_real(histogram_mean(h) / (double)PS_PER_NS));
	json_object_set_new(object, "stddev", json_real(histogram_stddev(h) / (double)PS_PER_NS));
	add(object, "N", h->count);
	for (size_t i = 0; h->count != 0 && i < ARRAY_SIZE(percentiles); i++)
		json_object_set_new(
			values, percentiles[i].name,
			json_real((double)histogram_percentile(h, percentiles[i].micro) / (double)PS_PER_NS));
	json_object_set_new(object, "percentile", values);
	return object;
}

/* All jobs and directions as one: what a sweep compares. Flushes have no bytes and are left out. */
static json_t *total_object(const struct run *run)
{
	json_t *object = json_object();
	struct job_stats *all = calloc(1, sizeof(*all));
	struct histogram *latency = calloc(1, sizeof(*latency));
	uint64_t bytes = 0;
	for (unsigned i = 0; all && i < run->clients; i++)
		job_stats_merge(all, run->client[i].stats);
	for (unsigned i = 0; all && latency && i < IO_DIRECTIONS; i++) {
		histogram_merge(latency, &all->direction[i].lat_ps);
		bytes += all->direction[i].bytes;
	}
	if (all && latency) {
		double seconds = (double)(all->end_ps - all->start_ps) / (double)PS_PER_S;
		add(object, "total_ios", latency->count);
		add(object, "io_bytes", bytes);
		add_ratio(object, "iops", (double)latency->count, seconds);
		add_ratio(object, "bw_bytes", (double)bytes, seconds);
		json_object_set_new(object, "lat_ns", total_latency(latency));
	}
	free(latency);
	free(all);
	return object;
}

static json_t *host_object(const struct run *run, const struct figures *f)
{
	json_t *object = json_object();
	add(object, "vcpus", run->guest.cpus);
	add(object, "interrupts", f->host.interrupts);
	add_ratio(object, "busy_ratio", (double)f->host.busy_ps, (double)f->time_ps * run->guest.cpus);
	return object;
}

int results_dump(json_t *root, const char *path, char *error, size_t error_size)
{
	FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
	bool bad = !out || json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) != 0 ||
		   fputc('\n', out) == EOF;
	if (out && out != stdout)
		bad = fclose(out) != 0 || bad;
	if (bad)
		snprintf(error, error_size, "--json %s: cannot write: %s", path, strerror(errno));
	json_decref(root);
	return bad ? -1 : 0;
}

int results_write(const struct run *run, const char *path, char *error, size_t error_size)
{
	struct figures figures = figures_since(&run->end, &run->start);
	json_t *root = json_object();
	json_object_set_new(root, "kickstand", results_program(run->options.config, run->options.store));
	json_object_set_new(root, "sim", sim_object(run, &figures));
	json_object_set_new(root, "global options", job_report_options(&run->options.jobs->globals));
	json_object_set_new(root, "jobs", jobs_array(run));
	json_object_set_new(root, "total", total_object(run));
	if (run->options.remote) {
		json_object_set_new(root, "host", host_object(run, &figures));
		json_object_set_new(root, "connect", json_string(vfio_client_address(run->options.remote)));
		return results_dump(root, path, error, error_size);
	}
	json_object_set_new(root, "device", results_card(run->options.config, run->guest.device, &figures));
	json_object_set_new(root, "host", host_object(run, &figures));
	json_object_set_new(root, "link", results_links(&figures));
	json_object_set_new(root, "stages_ns", results_stages(&run->stages));
	return results_dump(root, path, error, error_size);
}
