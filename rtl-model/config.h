/* Configuration of a run: one struct, one table of keys.
 *
 * Every key of the INI file and of --set is a row of the table in config.c: section, name, type, unit,
 * default, bounds, meaning and where the default comes from. Nothing else in the program knows a default.
 * Times are given in nanoseconds (decimals allowed) and kept in picoseconds. */
#ifndef KICKSTAND_RTL_MODEL_CONFIG_H
#define KICKSTAND_RTL_MODEL_CONFIG_H

#include "pcie/base.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

enum config_offload { CONFIG_OFFLOAD_FIRMWARE, CONFIG_OFFLOAD_FETCH, CONFIG_OFFLOAD_FULL };
enum config_impl { CONFIG_IMPL_MODEL, CONFIG_IMPL_RTL };
enum config_notify_mode { CONFIG_NOTIFY_PENDING, CONFIG_NOTIFY_FIFO };
enum config_arbitration {
	CONFIG_ARBITRATION_ROUND_ROBIN,
	CONFIG_ARBITRATION_STRICT,
	CONFIG_ARBITRATION_OLDEST,
	CONFIG_ARBITRATION_WEIGHTED,
};

struct config {
	struct {
		uint64_t seed;
	} sim;
	struct {
		unsigned gen, lanes, mps, mrrs, rcb, tags;
		uint64_t propagation_ps, root_complex_ps;
		unsigned root_complex_jitter_pct;
		bool rcb_pieces;
		unsigned posted_headers, posted_data, non_posted_headers, non_posted_data;
		unsigned ack_interval, fc_interval;
		uint64_t fc_latency_ps;
		unsigned error_ppm;
		uint64_t completion_timeout_ps;
	} link;
	struct {
		unsigned queues, queue_size;
		enum config_offload offload;
		enum config_impl impl;
		unsigned clock_mhz;
		unsigned register_cycles, tlp_cycles, bytes_per_cycle;
		unsigned tx_backlog_bytes;
		unsigned seg_max, size_max;
		bool read_only;
	} device;
	struct {
		enum config_notify_mode mode;
		uint64_t holdoff_ps;
		unsigned threshold;
		bool adaptive;
		enum config_arbitration arbitration;
		unsigned fifo_depth;
		uint64_t weights; /* 4 bits a queue, queue 0 lowest, repeated every 16 queues; 0 = 1 */
		enum config_impl impl;
	} notify;
	struct {
		unsigned batch, prefetch, inflight;
		unsigned ring_cycles, head_cycles, parse_cycles, record_cycles;
		enum config_impl impl;
	} fetch;
	struct {
		unsigned cycles;
	} direct;
	struct {
		unsigned batch;
		unsigned cycles;
	} used;
	struct {
		unsigned vectors; /* 0 = one per queue and one for configuration changes */
		uint64_t holdoff_ps;
		unsigned threshold;
		bool adaptive;
		enum config_impl impl;
	} msix;
	struct {
		unsigned clock_mhz;
		enum config_impl impl;
		uint64_t poll_ps;
		unsigned csr_read_cycles, csr_write_cycles, sram_cycles;
		unsigned load_use_cycles, branch_miss_cycles, jump_cycles, mul_cycles, div_cycles,
			trap_cycles;
	} core;
	struct {
		unsigned chunk_bytes, buffers;
		unsigned job_cycles;
	} mover;
	struct {
		bool event_idx, indirect, packed, notification_data, in_order, ring_reset, config_wce;
		bool discard, write_zeroes, secure_erase, lifetime, access_platform;
	} virtio;
	struct {
		bool event_idx, indirect, packed, notification_data, in_order, config_wce;
		bool msix;
		unsigned queues;        /* queues the driver uses, 0 = all it finds */
		unsigned queue_size;    /* 0 = the device's */
		unsigned segment_bytes; /* largest piece of a buffer, 0 = whole buffers */
		bool check;             /* checker mode of the root complex (RC-013) */
	} guest;
	struct {
		uint64_t read_ps, write_ps, flush_ps;
		unsigned parallelism, bandwidth_mbps;
		unsigned jitter_pct;
		unsigned error_ppm;
		uint64_t error_first_sector, error_last_sector;
		bool error_reads, error_writes;
		unsigned block_bytes;
	} media;
	struct {
		unsigned vcpus;
		uint64_t memory_bytes, memory_base;
		uint64_t submit_ps, mmio_write_ps, interrupt_ps, complete_ps;
		uint64_t watchdog_ps;
	} host;
};

/* Fills in every default. */
void config_defaults(struct config *config);

/* Sets one key from "section.key=value". Returns 0, or -1 with a one-line reason that names the key, the
 * value and what is accepted; *config is then unchanged. */
MUST_USE int config_set(struct config *config, const char *assignment, char *error, size_t error_size);

/* Reads an INI file of [section] and key = value lines. Errors name file and line. */
MUST_USE int config_load(struct config *config, const char *path, char *error, size_t error_size);

/* Checks that do not concern a single key (MPS above what the device supports, more queues than vCPUs can …).
 * Call after the last change. */
MUST_USE int config_check(const struct config *config, char *error, size_t error_size);

enum config_format { CONFIG_FORMAT_TABLE, CONFIG_FORMAT_INI, CONFIG_FORMAT_MARKDOWN };

/* Prints every key with value, unit, default, meaning and source. */
void config_print(const struct config *config, enum config_format format, FILE *out);

/* Calls `each` with every key's section, name and present value as text, in table order. */
void config_each(const struct config *config,
		 void (*each)(void *ctx, const char *section, const char *key, const char *value), void *ctx);

/* Cycle time of a clock given in MHz, rounded to a picosecond. */
static inline uint64_t config_period_ps(unsigned clock_mhz)
{
	return (1000000u + clock_mhz / 2) / clock_mhz;
}

/* Parses "4096", "4k", "64M", "1G" (powers of 1024, as fio's default). Returns -1 if malformed or too large. */
MUST_USE int parse_bytes(const char *text, uint64_t *bytes);

/* Whether a block with this impl is the RTL twin: device.impl = rtl stands for all four. */
static inline bool config_is_rtl(const struct config *config, enum config_impl impl)
{
	return impl == CONFIG_IMPL_RTL || config->device.impl == CONFIG_IMPL_RTL;
}

#ifdef __cplusplus
}
#endif
#endif
