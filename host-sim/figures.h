/* All counters of a run in one flat struct, so that the time before the first I/O can be taken off. */
#ifndef KICKSTAND_HOST_SIM_FIGURES_H
#define KICKSTAND_HOST_SIM_FIGURES_H

#include "host-sim/guest.h"

struct figures_link {
	uint64_t tlps, by_type[TLP_TYPE_COUNT];
	uint64_t tlp_bytes, payload_bytes, wire_bytes;
	uint64_t dllps, dllp_bytes;
	uint64_t busy_ps, replays;
	uint64_t stall_credit_ps[TLP_CLASS_COUNT];
};

/* Only uint64_t members: figures_subtract relies on it. */
struct figures {
	uint64_t time_ps, events;
	struct {
		uint64_t written, coalesced, serviced, ignored, fifo_full;
	} doorbells;
	struct {
		uint64_t services, empty_services, index_reads, ring_reads, ring_entries, descriptor_reads,
			descriptors;
		uint64_t indirect_tables, header_reads, arm_writes, requests, bad_chains, faults;
		uint64_t stall_no_slot, stall_no_walker;
	} fetch;
	struct {
		uint64_t reads, writes, passed_on, completed, failed, dropped, stall_used;
	} direct;
	struct {
		uint64_t events, sent, coalesced, masked, suppressed, intx;
	} msix;
	struct {
		uint64_t completions, updates, decisions, interrupts;
	} used;
	struct {
		uint64_t reads, writes, read_bytes, write_bytes, read_tlps, write_tlps;
		uint64_t failed, aborted, timeouts, unexpected;
		uint64_t stall_no_tag, stall_backlog, stall_bus_master;
	} dma;
	struct {
		uint64_t jobs, chunks, segments, failed, cancelled, stall_no_buffer;
	} mover;
	struct {
		uint64_t reads, writes, flushes, others, read_bytes, write_bytes, errors, busy_ps;
		uint64_t stall_channel_ps, stall_transfer_ps;
	} media;
	struct {
		uint64_t cycles, asleep_cycles, instructions, bus_reads, bus_writes, bus_cycles,
			sram_accesses, traps;
	} core;
	struct {
		uint64_t unsupported, malformed, poisoned, unexpected, error_messages, held, resets;
	} endpoint;
	struct figures_link up, down;
	struct {
		uint64_t busy_ps, interrupts, violations, unsupported, errors;
	} host;
};

struct figures figures_now(struct guest *guest);

/* What came after `start`. */
struct figures figures_since(const struct figures *end, const struct figures *start);

#endif
