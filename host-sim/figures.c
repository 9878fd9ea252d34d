#include "host-sim/figures.h"

#include <string.h>

static struct figures_link link_figures(const struct link_stats *stats)
{
	struct figures_link figures = {
		.tlp_bytes = stats->tlp_bytes,
		.payload_bytes = stats->payload_bytes,
		.wire_bytes = stats->wire_bytes,
		.dllps = stats->dllps,
		.dllp_bytes = stats->dllp_bytes,
		.busy_ps = stats->busy_ps,
		.replays = stats->replays,
	};
	for (unsigned i = 0; i < TLP_TYPE_COUNT; i++) {
		figures.by_type[i] = stats->tlps[i];
		figures.tlps += stats->tlps[i];
	}
	memcpy(figures.stall_credit_ps, stats->stall_credit_ps, sizeof(figures.stall_credit_ps));
	return figures;
}

static uint64_t sum(const uint64_t *values, unsigned count)
{
	uint64_t total = 0;
	for (unsigned i = 0; i < count; i++)
		total += values[i];
	return total;
}

struct figures figures_now(struct guest *guest)
{
	struct device_stats card = device_stats(guest->device);
	const struct root_stats *root = root_stats(guest->root);
	struct figures figures = {
		.time_ps = kernel_now_ps(),
		.events = kernel_events(),
		.doorbells = {card.notify->written, card.notify->coalesced, card.notify->serviced,
			      card.notify->ignored, card.notify->fifo_full},
		.fetch = {card.fetch->services, card.fetch->empty_services, card.fetch->index_reads,
			  card.fetch->ring_reads, card.fetch->ring_entries, card.fetch->descriptor_reads,
			  card.fetch->descriptors, card.fetch->indirect_tables, card.fetch->header_reads,
			  card.fetch->arm_writes, card.fetch->requests, card.fetch->bad_chains,
			  card.fetch->faults, card.fetch->stall_no_slot, card.fetch->stall_no_walker},
		.direct = {card.direct->reads, card.direct->writes, card.direct->passed_on,
			   card.direct->completed, card.direct->failed, card.direct->dropped,
			   card.direct->stall_used},
		.msix = {card.msix->events, card.msix->sent, card.msix->coalesced, card.msix->masked,
			 card.used->suppressed, card.endpoint->intx_messages},
		.used = {card.used->completions, card.used->updates, card.used->decisions,
			 card.used->interrupts},
		.dma = {card.dma->reads, card.dma->writes, card.dma->read_bytes, card.dma->write_bytes,
			card.dma->read_tlps, card.dma->write_tlps, card.dma->failed, card.dma->aborted,
			card.dma->timeouts, card.dma->unexpected, card.dma->stall_no_tag,
			card.dma->stall_backlog, card.dma->stall_bus_master},
		.mover = {sum(card.mover->jobs, ARRAY_SIZE(card.mover->jobs)), card.mover->chunks,
			  card.mover->segments, card.mover->failed, card.mover->cancelled,
			  card.mover->stall_no_buffer},
		.media = {card.media->accesses[MEDIA_READ], card.media->accesses[MEDIA_WRITE],
			  card.media->accesses[MEDIA_FLUSH],
			  sum(card.media->accesses + MEDIA_DISCARD, MEDIA_SECURE_ERASE - MEDIA_DISCARD + 1),
			  card.media->read_bytes, card.media->write_bytes,
			  card.media->errors_injected + card.media->errors_range + card.media->errors_store,
			  card.media->busy_ps, card.media->stall_channel_ps, card.media->stall_transfer_ps},
		.core = {card.cpu.cycles, card.cpu.asleep_cycles, card.cpu.instructions, card.cpu.bus_reads,
			 card.cpu.bus_writes, card.cpu.bus_cycles, card.cpu.sram_accesses, card.cpu.traps},
		.endpoint = {card.endpoint->unsupported, card.endpoint->malformed, card.endpoint->poisoned,
			     card.endpoint->unexpected, card.endpoint->error_messages, card.endpoint->held,
			     card.endpoint->resets},
		.up = link_figures(card.up),
		.down = link_figures(card.down),
		.host = {.violations = root->violations,
			 .unsupported = root->unsupported,
			 .errors = root->err_cor + root->err_nonfatal + root->err_fatal},
	};
	for (unsigned i = 0; i < guest->cpus; i++) {
		figures.host.busy_ps += guest->cpu[i].busy_ps;
		figures.host.interrupts += guest->cpu[i].interrupts;
	}
	return figures;
}

struct figures figures_since(const struct figures *end, const struct figures *start)
{
	uint64_t a[sizeof(*end) / sizeof(uint64_t)], b[sizeof(*end) / sizeof(uint64_t)];
	struct figures difference;
	_Static_assert(sizeof(a) == sizeof(difference), "only uint64_t members");
	memcpy(a, end, sizeof(a));
	memcpy(b, start, sizeof(b));
	for (unsigned i = 0; i < ARRAY_SIZE(a); i++)
		a[i] -= b[i];
	memcpy(&difference, a, sizeof(a));
	return difference;
}
