#include "host-sim/report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define US        (double)PS_PER_US
#define BAR_WIDTH 24

static double ratio(double numerator, double denominator)
{
	return denominator > 0 ? numerator / denominator : 0;
}

/* "2.36M", "80.7k", "950": three digits, decimal units. */
static const char *short_number(double value, char *text, size_t size)
{
	static const char suffixes[] = " kMGT";
	unsigned i = 0;
	while (value >= 999.5 && i + 2 < sizeof(suffixes)) {
		value /= 1000;
		i++;
	}
	int decimals = value >= 99.95 || (i == 0 && value == floor(value)) ? 0 : value >= 9.995 ? 1 : 2;
	snprintf(text, size, "%.*f%.*s", decimals, value, i != 0, &suffixes[i]);
	return text;
}

/* ---- head ---- */

static void print_card(const struct run *run, FILE *out)
{
	const struct config *config = run->options.config;
	static const char *const offloads[] = {"firmware", "fetch", "full"};
	const struct store_info *disk = store_info(run->options.store);
	fprintf(out, "kickstand %s   disk %s, %" PRIu64 " MiB   seed %" PRIu64 "\n", KICKSTAND_VERSION,
		disk->spec, disk->bytes >> 20, config->sim.seed);
	fprintf(out,
		"card    PCIe %u.0 x%u, MPS %u, MRRS %u; %u %s of %u; offload %s; core %u MHz, engines %u "
		"MHz\n",
		config->link.gen, config->link.lanes, config->link.mps, config->link.mrrs, run->blk.queues,
		run->blk.queues == 1 ? "queue" : "queues", run->blk.queue[0].vq.size,
		offloads[config->device.offload], config->core.clock_mhz, config->device.clock_mhz);
}

static void print_remote_card(const struct run *run, FILE *out)
{
	fprintf(out, "kickstand %s   %s, %" PRIu64 " MiB   seed %" PRIu64 "\n", KICKSTAND_VERSION,
		vfio_client_address(run->options.remote), run->blk.capacity_sectors >> 11,
		run->options.config->sim.seed);
	fprintf(out, "card    served; %u %s of %u\n", run->blk.queues,
		run->blk.queues == 1 ? "queue" : "queues", run->blk.queue[0].vq.size);
}

static void print_head(const struct run *run, FILE *out)
{
	if (run->options.remote)
		print_remote_card(run, out);
	else
		print_card(run, out);
	fprintf(out, "guest   %u %s, %s%s%s%s%s\n\n", run->guest.cpus, run->guest.cpus == 1 ? "CPU" : "CPUs",
		run->blk.vectors ? "MSI-X" : "INTx",
		run->blk.queue[0].vq.features.event_idx ? ", EVENT_IDX" : "",
		run->blk.queue[0].vq.features.indirect ? ", indirect descriptors" : "",
		run->blk.queue[0].vq.features.in_order ? ", IN_ORDER" : "",
		virtio_has(&run->blk.virtio, 38) ? ", NOTIFICATION_DATA" : "");
}

/* ---- jobs ---- */

static void print_latency(const char *name, const char *what, uint64_t ios, uint64_t bytes,
			  const struct histogram *h, double seconds, FILE *out)
{
	char iops[16], rate[16];
	fprintf(out, "%-20.20s %-5s %8s %9s %9.2f %9.2f %9.2f %9.2f %9.2f\n", name, what,
		short_number(ratio((double)ios, seconds), iops, sizeof(iops)),
		short_number(ratio((double)bytes, seconds), rate, sizeof(rate)), histogram_mean(h) / US,
		(double)histogram_percentile(h, 50000000) / US,
		(double)histogram_percentile(h, 99000000) / US,
		(double)histogram_percentile(h, 99900000) / US, (double)h->max / US);
}

static void print_group(const struct job_group *group, FILE *out)
{
	static const char *const names[IO_DIRECTIONS] = {"read", "write", "trim"};
	const struct job_stats *stats = group->stats;
	for (unsigned i = 0; i < IO_DIRECTIONS; i++) {
		double seconds =
			(double)job_stats_duration_ps(stats, group->job, (enum io_ddir)i) / (double)PS_PER_S;
		if (stats->direction[i].ios != 0)
			print_latency(group->job->name, names[i], stats->direction[i].ios,
				      stats->direction[i].bytes, &stats->direction[i].lat_ps, seconds, out);
	}
	if (stats->sync_ps.count != 0)
		print_latency(group->job->name, "sync", stats->sync_ps.count, 0, &stats->sync_ps,
			      (double)(stats->end_ps - stats->start_ps) / (double)PS_PER_S, out);
	if (stats->errors != 0)
		fprintf(out, "%-20.20s %" PRIu64 " %s, the first: %s\n", group->job->name, stats->errors,
			stats->errors == 1 ? "error" : "errors",
			stats->first_error == EILSEQ ? "wrong data" : strerror(stats->first_error));
}

static void print_jobs(const struct run *run, FILE *out)
{
	unsigned count;
	struct job_group *groups = make_groups(run, &count);
	fprintf(out, "%-20s %-5s %8s %9s %9s %9s %9s %9s %9s\n", "job", "", "IOPS", "bytes/s", "mean us",
		"p50", "p99", "p99.9", "max");
	for (unsigned i = 0; groups && i < count; i++)
		print_group(&groups[i], out);
	free_groups(groups, count);
	fputc('\n', out);
}

/* ---- figures ---- */

static void print_link(const char *name, const struct figures_link *link, const struct figures *f, double ios,
		       FILE *out)
{
	char rate[16], most[64] = "";
	uint64_t top = 0;
	for (unsigned i = 0; i < TLP_TYPE_COUNT; i++) {
		if (link->by_type[i] > top) {
			top = link->by_type[i];
			snprintf(most, sizeof(most), ", %.0f %% %s",
				 100 * ratio((double)top, (double)link->tlps),
				 tlp_type_name((enum tlp_type)i));
		}
	}
	fprintf(out, "link %-4s  %5.1f %% busy, %s bytes/s; %.1f TLPs and %.0f bytes per I/O%s", name,
		100 * ratio((double)link->busy_ps, (double)f->time_ps),
		short_number(ratio((double)(link->wire_bytes + link->dllp_bytes) * (double)PS_PER_S,
				   (double)f->time_ps),
			     rate, sizeof(rate)),
		ratio((double)link->tlps, ios), ratio((double)(link->wire_bytes + link->dllp_bytes), ios),
		most);
	if (link->replays != 0)
		fprintf(out, ", %" PRIu64 " replayed", link->replays);
	fputc('\n', out);
}

void report_card(const struct config *config, const struct figures *f, uint64_t requests, FILE *out)
{
	double ios = (double)requests;
	uint64_t core_cycles = f->core.cycles + f->core.asleep_cycles;
	fprintf(out,
		"doorbells  %.3f per I/O: %" PRIu64 " written, %" PRIu64 " coalesced, %" PRIu64 " serviced\n",
		ratio((double)f->doorbells.written, ios), f->doorbells.written, f->doorbells.coalesced,
		f->doorbells.serviced);
	uint64_t interrupts = f->msix.sent + f->msix.intx / 2;
	fprintf(out,
		"interrupts %.3f per I/O: %" PRIu64 " sent, %" PRIu64 " not wanted by the driver, %" PRIu64
		" coalesced\n",
		ratio((double)interrupts, ios), interrupts, f->msix.suppressed, f->msix.coalesced);
	fprintf(out,
		"core       %5.1f %% busy; %.0f cycles, %.0f instructions, %.1f register accesses per I/O\n",
		100 * ratio((double)f->core.cycles, (double)core_cycles), ratio((double)f->core.cycles, ios),
		ratio((double)f->core.instructions, ios),
		ratio((double)(f->core.bus_reads + f->core.bus_writes), ios));
	fprintf(out, "medium     %5.1f of %u channels busy\n",
		ratio((double)f->media.busy_ps, (double)f->time_ps), config->media.parallelism);
	print_link("up", &f->up, f, ios, out);
	print_link("down", &f->down, f, ios, out);
}

static void print_guest(const struct run *run, const struct figures *f, FILE *out)
{
	double ios = (double)run->shared.completed;
	char speed[16];
	fprintf(out, "guest      %5.1f %% of its CPU time in the driver\n",
		100 * ratio((double)f->host.busy_ps, (double)f->time_ps * run->guest.cpus));
	fprintf(out, "time       %.3f ms simulated in %.2f s: %s I/Os a second, %.0f events each\n\n",
		(double)f->time_ps / (double)PS_PER_MS, run->wall_s,
		short_number(ratio(ios, run->wall_s), speed, sizeof(speed)), ratio((double)f->events, ios));
}

/* ---- stages ---- */

void report_stages(const struct stages *stages, FILE *out)
{
	double total = 0;
	for (unsigned i = 0; i < SPAN_COUNT; i++)
		total += histogram_mean(&stages->span[i]);
	fprintf(out, "where the time goes   mean us     p50     p99     max   share\n");
	for (unsigned i = 0; i < SPAN_COUNT; i++) {
		const struct histogram *h = &stages->span[i];
		double mean = histogram_mean(h), share = ratio(mean, total);
		fprintf(out, "  %-18s %9.3f %7.2f %7.2f %7.2f %6.1f %%  ", span_name((enum span)i), mean / US,
			(double)histogram_percentile(h, 50000000) / US,
			(double)histogram_percentile(h, 99000000) / US, (double)h->max / US, 100 * share);
		for (int bar = 0; bar < (int)(share * BAR_WIDTH + 0.5); bar++)
			fputc('#', out);
		fprintf(out, "%s%s\n", share * BAR_WIDTH >= 0.5 ? " " : "", span_meaning((enum span)i));
	}
}

/* ---- verdict ---- */

static const char *disk_failure(const struct run *run)
{
	return run->options.store ? store_error(run->options.store) : NULL;
}

void report_first_error(const struct run *run, FILE *out)
{
	const char *disk_error = disk_failure(run);
	const struct client_shared *shared = &run->shared;
	fprintf(out, "%s%s\n", disk_error || shared->first_error[0] != '\0' ? "" : "wrong data: ",
		disk_error                       ? disk_error
		: shared->first_error[0] != '\0' ? shared->first_error
		: shared->bad_reads != 0         ? shared->first_fault.reason
						 : run->audit_fault.reason);
}

static void print_verdict(const struct run *run, FILE *out)
{
	const char *disk_error = disk_failure(run);
	if (run->shared.bad_reads != 0)
		fprintf(out, "\nWRONG DATA in %" PRIu64 " reads, the first: %s\n", run->shared.bad_reads,
			run->shared.first_fault.reason);
	if (run->audit_bad_sectors != 0)
		fprintf(out, "\nWRONG DATA in %" PRIu64 " sectors of the disk after the run, the first: %s\n",
			run->audit_bad_sectors, run->audit_fault.reason);
	if (run->shared.first_error[0] != '\0')
		fprintf(out, "\n%s\n", run->shared.first_error);
	if (disk_error)
		fprintf(out, "%s\n", disk_error);
	if (run->io_errors == 0)
		fprintf(out, "\n%s%" PRIu64 " I/Os done%s\n", run->interrupted ? "interrupted: " : "",
			run->shared.completed,
			run->shared.verify ? ", all data verified"
					   : " (null: disks keep no data, nothing was verified)");
}

/* What is inside the card only its server knows. */
static void print_remote(const struct run *run, const struct figures *f, FILE *out)
{
	char speed[16];
	double ios = (double)run->shared.completed;
	fprintf(out, "interrupts %.3f per I/O\n", ratio((double)f->host.interrupts, ios));
	fprintf(out,
		"time       %.3f ms of wall clock: %s I/Os a second. Latencies are the server's speed and "
		"this "
		"machine's, not\n           the card's; the card's own figures are in the report of "
		"kickstand "
		"serve\n",
		(double)f->time_ps / (double)PS_PER_MS,
		short_number(ratio(ios * (double)PS_PER_S, (double)f->time_ps), speed, sizeof(speed)));
}

void report_print(const struct run *run, FILE *out)
{
	struct figures figures = figures_since(&run->end, &run->start);
	print_head(run, out);
	print_jobs(run, out);
	if (run->options.remote) {
		print_remote(run, &figures, out);
		print_verdict(run, out);
		return;
	}
	report_card(run->options.config, &figures, run->shared.completed, out);
	print_guest(run, &figures, out);
	report_stages(&run->stages, out);
	print_verdict(run, out);
}
