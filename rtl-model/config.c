#include "rtl-model/config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

enum key_type { KEY_UNSIGNED, KEY_U64, KEY_BOOL, KEY_ENUM, KEY_TIME_NS, KEY_BYTES, KEY_PERCENT, KEY_PPM };

struct key {
	const char *section, *name;
	enum key_type type;
	size_t offset;
	const char *unit;
	const char *fallback; /* the default, as text */
	uint64_t min, max;    /* in the key's unit */
	const char *names;    /* KEY_ENUM: "first|second|…", in the order of the enum */
	bool power_of_2;
	const char *meaning;
	const char *source; /* where the default comes from */
};

#define AT(section_, field) offsetof(struct config, section_.field)

static const char offload_names[] = "firmware|fetch|full";
static const char impl_names[] = "model|rtl";
static const char mode_names[] = "pending|fifo";
static const char arbitration_names[] = "round_robin|strict|oldest|weighted";

/* Sources: "QEMU" = what hw/virtio and hw/block default to; "model" = a choice of ours with the reason given in
 * docs/timing.md; "PCIe" = the Base Specification's reset or recommended value. */
static const struct key keys[] = {
	{"sim", "seed", KEY_U64, AT(sim, seed), "", "1", 0, UINT64_MAX, NULL, false,
	 "seed of everything random", "model"},

	{"link", "gen", KEY_UNSIGNED, AT(link, gen), "", "4", 1, 5, NULL, false,
	 "PCIe generation (lane rate and line code)", "model: current server cards"},
	{"link", "lanes", KEY_UNSIGNED, AT(link, lanes), "", "8", 1, 16, NULL, true, "link width",
	 "model: current server cards"},
	{"link", "mps", KEY_UNSIGNED, AT(link, mps), "bytes", "256", 128, 4096, NULL, true,
	 "Max_Payload_Size the host programs", "model: usual server root ports"},
	{"link", "mrrs", KEY_UNSIGNED, AT(link, mrrs), "bytes", "512", 128, 4096, NULL, true,
	 "Max_Read_Request_Size the host programs", "PCIe: reset value"},
	{"link", "rcb", KEY_UNSIGNED, AT(link, rcb), "bytes", "64", 64, 128, NULL, true,
	 "Read Completion Boundary of the root complex", "PCIe: reset value"},
	{"link", "tags", KEY_UNSIGNED, AT(link, tags), "", "256", 1, 768, NULL, false,
	 "reads the card keeps outstanding; above 32 needs extended, above 256 10-bit tags",
	 "PCIe: 8-bit tags"},
	{"link", "propagation_ns", KEY_TIME_NS, AT(link, propagation_ps), "ns", "70", 0, 100000, NULL, false,
	 "last bit sent to TLP seen by the other side: PHY, data link layer, wire", "model: docs/timing.md"},
	{"link", "root_complex_ns", KEY_TIME_NS, AT(link, root_complex_ps), "ns", "390", 0, 1000000, NULL,
	 false, "read request seen by the root complex to completion ready: memory and its path",
	 "model: docs/timing.md"},
	{"link", "root_complex_jitter", KEY_PERCENT, AT(link, root_complex_jitter_pct), "%", "10", 0, 100,
	 NULL, false, "part of root_complex_ns that is exponentially distributed", "model: docs/timing.md"},
	{"link", "rcb_pieces", KEY_BOOL, AT(link, rcb_pieces), "", "off", 0, 1, NULL, false,
	 "root complex ends every completion at the RCB instead of filling MPS", "model: best case"},
	{"link", "posted_headers", KEY_UNSIGNED, AT(link, posted_headers), "credits", "64", 1, 127, NULL,
	 false, "posted header credits each receiver advertises", "public PCIe models"},
	{"link", "posted_data", KEY_UNSIGNED, AT(link, posted_data), "credits", "1024", 8, 2047, NULL, false,
	 "posted data credits (16 bytes each), at least MPS / 16", "public PCIe models"},
	{"link", "non_posted_headers", KEY_UNSIGNED, AT(link, non_posted_headers), "credits", "64", 1, 127,
	 NULL, false, "non-posted header credits", "public PCIe models"},
	{"link", "non_posted_data", KEY_UNSIGNED, AT(link, non_posted_data), "credits", "64", 1, 2047, NULL,
	 false, "non-posted data credits", "public PCIe models"},
	{"link", "ack_interval", KEY_UNSIGNED, AT(link, ack_interval), "TLPs", "4", 1, 64, NULL, false,
	 "TLPs acknowledged by one Ack DLLP", "model: docs/timing.md"},
	{"link", "fc_interval", KEY_UNSIGNED, AT(link, fc_interval), "TLPs", "4", 1, 64, NULL, false,
	 "TLPs freed per UpdateFC DLLP", "model: docs/timing.md"},
	{"link", "fc_latency_ns", KEY_TIME_NS, AT(link, fc_latency_ps), "ns", "40", 0, 30000, NULL, false,
	 "receive buffer freed to UpdateFC sent", "PCIe: §2.6.1.2 guideline"},
	{"link", "error_ppm", KEY_PPM, AT(link, error_ppm), "ppm", "0", 0, 500000, NULL, false,
	 "chance that a TLP arrives with a bad LCRC and is replayed", "model: no errors"},
	{"link", "completion_timeout_ns", KEY_TIME_NS, AT(link, completion_timeout_ps), "ns", "10000000",
	 50000, 64000000000u, NULL, false, "completion timeout of the root complex's own requests",
	 "PCIe: §2.8"},

	{"device", "queues", KEY_UNSIGNED, AT(device, queues), "", "1", 1, 64, NULL, false,
	 "virtqueues offered", "QEMU: one per vCPU; here one"},
	{"device", "queue_size", KEY_UNSIGNED, AT(device, queue_size), "", "256", 2, 32768, NULL, true,
	 "largest queue size offered", "QEMU"},
	{"device", "offload", KEY_ENUM, AT(device, offload), "", "fetch", 0, 2, offload_names, false,
	 "who walks the rings: the firmware through the copy engine, or the fetch engine", "model"},
	{"device", "impl", KEY_ENUM, AT(device, impl), "", "model", 0, 1, impl_names, false,
	 "rtl: notify, fetch, msix and core are RTL, whatever their own keys say", "model"},
	{"device", "clock_mhz", KEY_UNSIGNED, AT(device, clock_mhz), "MHz", "500", 10, 4000, NULL, false,
	 "clock of the engines", "model: docs/timing.md"},
	{"device", "register_cycles", KEY_UNSIGNED, AT(device, register_cycles), "cycles", "8", 1, 10000,
	 NULL, false, "request received to completion ready for a register read by the host",
	 "model: docs/timing.md"},
	{"device", "tlp_cycles", KEY_UNSIGNED, AT(device, tlp_cycles), "cycles", "1", 1, 1000, NULL, false,
	 "least spacing of TLPs made by the DMA engine", "model: docs/timing.md"},
	{"device", "bytes_per_cycle", KEY_UNSIGNED, AT(device, bytes_per_cycle), "bytes", "64", 4, 256, NULL,
	 true, "width of the DMA data path", "model: docs/timing.md"},
	{"device", "tx_backlog_bytes", KEY_UNSIGNED, AT(device, tx_backlog_bytes), "bytes", "2048", 128,
	 65536, NULL, false, "TLPs the transmit buffer holds before the DMA engine waits",
	 "model: docs/timing.md"},
	{"device", "seg_max", KEY_UNSIGNED, AT(device, seg_max), "", "126", 1, 126, NULL, false,
	 "data segments per request offered (SEG_MAX)", "QEMU: 128-entry queue less 2"},
	{"device", "size_max", KEY_BYTES, AT(device, size_max), "bytes", "0", 0, UINT32_MAX, NULL, false,
	 "bytes per segment offered (SIZE_MAX); 0 = not offered", "QEMU"},
	{"device", "read_only", KEY_BOOL, AT(device, read_only), "", "off", 0, 1, NULL, false,
	 "offer VIRTIO_BLK_F_RO and refuse writes", "QEMU"},

	{"notify", "mode", KEY_ENUM, AT(notify, mode), "", "pending", 0, 1, mode_names, false,
	 "one pending bit per queue, or a FIFO of doorbells", "model"},
	{"notify", "holdoff_ns", KEY_TIME_NS, AT(notify, holdoff_ps), "ns", "0", 0, 4000000000u, NULL, false,
	 "first doorbell of a queue to its service", "model: no coalescing"},
	{"notify", "threshold", KEY_UNSIGNED, AT(notify, threshold), "doorbells", "0", 0, 65535, NULL, false,
	 "doorbells that end the hold-off early, 0 = only time does", "model: no coalescing"},
	{"notify", "adaptive", KEY_BOOL, AT(notify, adaptive), "", "off", 0, 1, NULL, false,
	 "hold-off follows the queue's doorbells: none if they come rarely, otherwise what threshold of them "
	 "take, at most holdoff_ns",
	 "model: fixed"},
	{"notify", "arbitration", KEY_ENUM, AT(notify, arbitration), "", "round_robin", 0, 3,
	 arbitration_names, false, "order among queues with a doorbell", "model"},
	{"notify", "fifo_depth", KEY_UNSIGNED, AT(notify, fifo_depth), "", "64", 1, 1024, NULL, false,
	 "doorbells the FIFO holds; more fall back to the pending bit", "model"},
	{"notify", "weights", KEY_U64, AT(notify, weights), "", "0", 0, UINT64_MAX, NULL, false,
	 "weighted arbitration: 4 bits a queue, queue 0 lowest, repeated every 16 queues; 0 counts as 1",
	 "model"},
	{"notify", "impl", KEY_ENUM, AT(notify, impl), "", "model", 0, 1, impl_names, false, "C model or RTL",
	 "model"},

	{"fetch", "batch", KEY_UNSIGNED, AT(fetch, batch), "entries", "16", 1, 256, NULL, false,
	 "available ring entries per read", "model"},
	{"fetch", "prefetch", KEY_UNSIGNED, AT(fetch, prefetch), "descriptors", "4", 1, 32, NULL, false,
	 "descriptors per table read, from the head on", "model: one 64-byte read"},
	{"fetch", "inflight", KEY_UNSIGNED, AT(fetch, inflight), "chains", "32", 1, 64, NULL, false,
	 "chains walked at a time", "model"},
	{"fetch", "ring_cycles", KEY_UNSIGNED, AT(fetch, ring_cycles), "cycles", "4", 2, 1000, NULL, false,
	 "service, avail.idx or ring entries received to the ring's next transfer; impl=model", "RTL fetch"},
	{"fetch", "head_cycles", KEY_UNSIGNED, AT(fetch, head_cycles), "cycles", "6", 1, 1000, NULL, false,
	 "ring entries received to the first descriptor read, then one a cycle; impl=model", "RTL fetch"},
	{"fetch", "parse_cycles", KEY_UNSIGNED, AT(fetch, parse_cycles), "cycles", "3", 2, 1000, NULL, false,
	 "descriptors received to the chain's next read, besides one for each descriptor; impl=model",
	 "RTL fetch"},
	{"fetch", "record_cycles", KEY_UNSIGNED, AT(fetch, record_cycles), "cycles", "3", 1, 1000, NULL,
	 false, "header received to the record at the core's side; impl=model", "RTL fetch"},
	{"fetch", "impl", KEY_ENUM, AT(fetch, impl), "", "model", 0, 1, impl_names, false, "C model or RTL",
	 "model"},

	{"direct", "cycles", KEY_UNSIGNED, AT(direct, cycles), "cycles", "4", 1, 1000, NULL, false,
	 "direct path (offload full): record to job, and end of the job to completion",
	 "model: docs/timing.md"},

	{"used", "batch", KEY_UNSIGNED, AT(used, batch), "elements", "16", 1, 256, NULL, false,
	 "used elements per update of used.idx, if that many wait", "model"},
	{"used", "cycles", KEY_UNSIGNED, AT(used, cycles), "cycles", "4", 1, 1000, NULL, false,
	 "time to make an update", "model: docs/timing.md"},

	{"msix", "vectors", KEY_UNSIGNED, AT(msix, vectors), "", "0", 0, 2048, NULL, false,
	 "MSI-X table size, 0 = queues + 1", "QEMU"},
	{"msix", "holdoff_ns", KEY_TIME_NS, AT(msix, holdoff_ps), "ns", "0", 0, 4000000000u, NULL, false,
	 "least time between two interrupts of a queue vector", "model: no moderation"},
	{"msix", "threshold", KEY_UNSIGNED, AT(msix, threshold), "events", "0", 0, 65535, NULL, false,
	 "events that end the hold-off early, 0 = only time does", "model: no moderation"},
	{"msix", "adaptive", KEY_BOOL, AT(msix, adaptive), "", "off", 0, 1, NULL, false,
	 "hold-off follows the vector's events: none if they come rarely, otherwise what threshold of them "
	 "take, at most holdoff_ns",
	 "model: fixed"},
	{"msix", "impl", KEY_ENUM, AT(msix, impl), "", "model", 0, 1, impl_names, false, "C model or RTL",
	 "model"},

	{"core", "clock_mhz", KEY_UNSIGNED, AT(core, clock_mhz), "MHz", "1000", 10, 4000, NULL, false,
	 "clock of the RISC-V core", "model: docs/timing.md"},
	{"core", "impl", KEY_ENUM, AT(core, impl), "", "model", 0, 1, impl_names, false,
	 "instruction-set simulator or RTL", "model"},
	{"core", "poll_ns", KEY_TIME_NS, AT(core, poll_ps), "ns", "0", 0, 1000000000, NULL, false,
	 "firmware polls a queue this long after its last request", "model: no polling"},
	{"core", "csr_read_cycles", KEY_UNSIGNED, AT(core, csr_read_cycles), "cycles", "8", 2, 1000, NULL,
	 false, "load from a register of a block (crosses into the engines' clock and back)",
	 "model: docs/timing.md"},
	{"core", "csr_write_cycles", KEY_UNSIGNED, AT(core, csr_write_cycles), "cycles", "2", 2, 1000, NULL,
	 false, "store to a register of a block (posted)", "model: docs/timing.md"},
	{"core", "sram_cycles", KEY_UNSIGNED, AT(core, sram_cycles), "cycles", "3", 2, 1000, NULL, false,
	 "load or store of the request memory", "model: docs/timing.md"},
	{"core", "load_use_cycles", KEY_UNSIGNED, AT(core, load_use_cycles), "cycles", "1", 0, 100, NULL,
	 false, "extra when the next instruction needs the loaded value; impl=model", "RTL core"},
	{"core", "branch_miss_cycles", KEY_UNSIGNED, AT(core, branch_miss_cycles), "cycles", "1", 0, 100,
	 NULL, false, "extra for a branch taken forward or not taken backward; impl=model", "RTL core"},
	{"core", "jump_cycles", KEY_UNSIGNED, AT(core, jump_cycles), "cycles", "1", 0, 100, NULL, false,
	 "extra for jalr and fence.i; impl=model", "RTL core"},
	{"core", "mul_cycles", KEY_UNSIGNED, AT(core, mul_cycles), "cycles", "1", 1, 100, NULL, false,
	 "multiplication; impl=model", "RTL core"},
	{"core", "div_cycles", KEY_UNSIGNED, AT(core, div_cycles), "cycles", "34", 1, 100, NULL, false,
	 "division and remainder; impl=model", "RTL core"},
	{"core", "trap_cycles", KEY_UNSIGNED, AT(core, trap_cycles), "cycles", "1", 0, 100, NULL, false,
	 "extra for entering or leaving a trap; impl=model", "RTL core"},

	{"mover", "chunk_bytes", KEY_BYTES, AT(mover, chunk_bytes), "bytes", "16384", 512, 1048576, NULL,
	 true, "piece in which data moves between medium and link", "model"},
	{"mover", "buffers", KEY_UNSIGNED, AT(mover, buffers), "", "256", 1, 1024, NULL, false,
	 "chunks on the card at a time", "model"},
	{"mover", "job_cycles", KEY_UNSIGNED, AT(mover, job_cycles), "cycles", "8", 1, 1000, NULL, false,
	 "job pushed to its first access", "model: docs/timing.md"},

	{"virtio", "event_idx", KEY_BOOL, AT(virtio, event_idx), "", "on", 0, 1, NULL, false,
	 "offer VIRTIO_F_EVENT_IDX", "QEMU"},
	{"virtio", "indirect", KEY_BOOL, AT(virtio, indirect), "", "on", 0, 1, NULL, false,
	 "offer VIRTIO_F_INDIRECT_DESC", "QEMU"},
	{"virtio", "packed", KEY_BOOL, AT(virtio, packed), "", "off", 0, 1, NULL, false,
	 "offer VIRTIO_F_RING_PACKED (not implemented yet)", "QEMU"},
	{"virtio", "notification_data", KEY_BOOL, AT(virtio, notification_data), "", "off", 0, 1, NULL, false,
	 "offer VIRTIO_F_NOTIFICATION_DATA", "QEMU"},
	{"virtio", "in_order", KEY_BOOL, AT(virtio, in_order), "", "off", 0, 1, NULL, false,
	 "offer VIRTIO_F_IN_ORDER", "QEMU"},
	{"virtio", "ring_reset", KEY_BOOL, AT(virtio, ring_reset), "", "on", 0, 1, NULL, false,
	 "offer VIRTIO_F_RING_RESET", "QEMU"},
	{"virtio", "config_wce", KEY_BOOL, AT(virtio, config_wce), "", "on", 0, 1, NULL, false,
	 "offer VIRTIO_BLK_F_CONFIG_WCE", "QEMU"},
	{"virtio", "discard", KEY_BOOL, AT(virtio, discard), "", "on", 0, 1, NULL, false,
	 "offer VIRTIO_BLK_F_DISCARD", "QEMU"},
	{"virtio", "write_zeroes", KEY_BOOL, AT(virtio, write_zeroes), "", "on", 0, 1, NULL, false,
	 "offer VIRTIO_BLK_F_WRITE_ZEROES", "QEMU"},
	{"virtio", "secure_erase", KEY_BOOL, AT(virtio, secure_erase), "", "off", 0, 1, NULL, false,
	 "offer VIRTIO_BLK_F_SECURE_ERASE", "QEMU"},
	{"virtio", "lifetime", KEY_BOOL, AT(virtio, lifetime), "", "off", 0, 1, NULL, false,
	 "offer VIRTIO_BLK_F_LIFETIME", "QEMU"},
	{"virtio", "access_platform", KEY_BOOL, AT(virtio, access_platform), "", "on", 0, 1, NULL, false,
	 "offer VIRTIO_F_ACCESS_PLATFORM and VIRTIO_F_ORDER_PLATFORM, as an add-in card should",
	 "virtio 1.4 §6.1"},

	{"guest", "event_idx", KEY_BOOL, AT(guest, event_idx), "", "on", 0, 1, NULL, false,
	 "driver accepts VIRTIO_F_EVENT_IDX", "Linux"},
	{"guest", "indirect", KEY_BOOL, AT(guest, indirect), "", "off", 0, 1, NULL, false,
	 "driver accepts VIRTIO_F_INDIRECT_DESC and uses it for every request", "model: shows chains"},
	{"guest", "packed", KEY_BOOL, AT(guest, packed), "", "off", 0, 1, NULL, false,
	 "driver accepts VIRTIO_F_RING_PACKED (not implemented yet)", "Linux"},
	{"guest", "notification_data", KEY_BOOL, AT(guest, notification_data), "", "on", 0, 1, NULL, false,
	 "driver accepts VIRTIO_F_NOTIFICATION_DATA if offered", "Linux"},
	{"guest", "in_order", KEY_BOOL, AT(guest, in_order), "", "on", 0, 1, NULL, false,
	 "driver accepts VIRTIO_F_IN_ORDER if offered", "model"},
	{"guest", "config_wce", KEY_BOOL, AT(guest, config_wce), "", "off", 0, 1, NULL, false,
	 "driver accepts VIRTIO_BLK_F_CONFIG_WCE", "model"},
	{"guest", "msix", KEY_BOOL, AT(guest, msix), "", "on", 0, 1, NULL, false,
	 "driver uses MSI-X; off: INTx", "Linux"},
	{"guest", "queues", KEY_UNSIGNED, AT(guest, queues), "", "0", 0, 64, NULL, false,
	 "queues the driver uses, 0 = all there are", "Linux"},
	{"guest", "queue_size", KEY_UNSIGNED, AT(guest, queue_size), "", "0", 0, 32768, NULL, false,
	 "queue size the driver sets, 0 = the device's", "Linux"},
	{"guest", "segment_bytes", KEY_BYTES, AT(guest, segment_bytes), "bytes", "0", 0, UINT32_MAX, NULL,
	 false, "largest piece of a data buffer, 0 = one piece", "model: contiguous buffers"},
	{"guest", "check", KEY_BOOL, AT(guest, check), "", "on", 0, 1, NULL, false,
	 "root complex checks every TLP of the card against the PCIe rules and the offered buffers", "model"},

	{"media", "read_ns", KEY_TIME_NS, AT(media, read_ps), "ns", "8000", 0, 10000000000u, NULL, false,
	 "latency of a read", "model: docs/timing.md"},
	{"media", "write_ns", KEY_TIME_NS, AT(media, write_ps), "ns", "10000", 0, 10000000000u, NULL, false,
	 "latency of a write into the cache", "model: docs/timing.md"},
	{"media", "flush_ns", KEY_TIME_NS, AT(media, flush_ps), "ns", "20000", 0, 10000000000u, NULL, false,
	 "latency of a flush", "model: docs/timing.md"},
	{"media", "parallelism", KEY_UNSIGNED, AT(media, parallelism), "", "64", 1, 4096, NULL, false,
	 "accesses served at a time", "model: docs/timing.md"},
	{"media", "bandwidth_mbps", KEY_UNSIGNED, AT(media, bandwidth_mbps), "MB/s", "12000", 1, 1000000,
	 NULL, false, "transfer rate of all channels together, in 10^6 bytes a second",
	 "model: docs/timing.md"},
	{"media", "jitter", KEY_PERCENT, AT(media, jitter_pct), "%", "10", 0, 100, NULL, false,
	 "part of the latency that is exponentially distributed, the mean staying the same", "model"},
	{"media", "error_rate", KEY_PPM, AT(media, error_ppm), "ppm", "0", 0, 1000000, NULL, false,
	 "chance that an access in the error range fails", "model: no errors"},
	{"media", "error_first_sector", KEY_U64, AT(media, error_first_sector), "sectors", "0", 0, UINT64_MAX,
	 NULL, false, "first sector of the error range", "model"},
	{"media", "error_last_sector", KEY_U64, AT(media, error_last_sector), "sectors",
	 "18446744073709551615", 0, UINT64_MAX, NULL, false, "last sector of the error range", "model"},
	{"media", "error_reads", KEY_BOOL, AT(media, error_reads), "", "on", 0, 1, NULL, false,
	 "errors hit reads", "model"},
	{"media", "error_writes", KEY_BOOL, AT(media, error_writes), "", "on", 0, 1, NULL, false,
	 "errors hit writes", "model"},
	{"media", "block_bytes", KEY_UNSIGNED, AT(media, block_bytes), "bytes", "512", 512, 4096, NULL, true,
	 "logical block size shown to the driver (blk_size)", "QEMU"},

	{"host", "vcpus", KEY_UNSIGNED, AT(host, vcpus), "", "0", 0, 64, NULL, false,
	 "CPUs of the simulated guest, 0 = one per queue", "model"},
	{"host", "memory", KEY_BYTES, AT(host, memory_bytes), "bytes", "1G", 1048576, UINT64_C(1) << 40, NULL,
	 false, "guest memory; only what is touched costs", "model"},
	{"host", "memory_base", KEY_BYTES, AT(host, memory_base), "bytes", "4G", 0, UINT64_C(1) << 44, NULL,
	 false, "address where guest memory starts; from 4G on the card needs 64-bit addresses",
	 "model: servers"},
	{"host", "submit_ns", KEY_TIME_NS, AT(host, submit_ps), "ns", "150", 0, 1000000000, NULL, false,
	 "CPU time to build and publish a request", "model: docs/timing.md"},
	{"host", "mmio_write_ns", KEY_TIME_NS, AT(host, mmio_write_ps), "ns", "50", 0, 1000000000, NULL,
	 false, "CPU time of a posted register write", "model: docs/timing.md"},
	{"host", "interrupt_ns", KEY_TIME_NS, AT(host, interrupt_ps), "ns", "800", 0, 1000000000, NULL, false,
	 "interrupt received to the driver's handler running", "model: docs/timing.md"},
	{"host", "complete_ns", KEY_TIME_NS, AT(host, complete_ps), "ns", "150", 0, 1000000000, NULL, false,
	 "CPU time to complete a request", "model: docs/timing.md"},
	{"host", "watchdog_ns", KEY_TIME_NS, AT(host, watchdog_ps), "ns", "10000000000", 1000,
	 UINT64_C(1) << 53, NULL, false,
	 "simulated time without a completion, I/O being outstanding, that ends the run", "model"},
};

/* Splits "a|b|c": the index of `name`, or -1. */
static int enum_index(const char *names, const char *name)
{
	size_t length = strlen(name);
	int index = 0;
	for (const char *at = names; at; index++) {
		const char *end = strchr(at, '|');
		size_t span = end ? (size_t)(end - at) : strlen(at);
		if (span == length && memcmp(at, name, span) == 0)
			return index;
		at = end ? end + 1 : NULL;
	}
	return -1;
}

static void enum_name(const char *names, unsigned index, char *text, size_t size)
{
	while (index--)
		names = strchr(names, '|') + 1;
	snprintf(text, size, "%.*s", (int)strcspn(names, "|"), names);
}

static int parse_u64(const char *text, uint64_t *value)
{
	char *end;
	if (!isdigit((unsigned char)text[0]))
		return -1;
	errno = 0;
	*value = strtoull(text, &end, 0);
	return errno || *end ? -1 : 0;
}

int parse_bytes(const char *text, uint64_t *bytes)
{
	static const char suffixes[] = "kmgt";
	char *end;
	if (!isdigit((unsigned char)text[0]))
		return -1;
	errno = 0;
	uint64_t value = strtoull(text, &end, 0);
	if (errno)
		return -1;
	if (*end) {
		const char *suffix = strchr(suffixes, tolower((unsigned char)*end));
		if (!suffix)
			return -1;
		unsigned shift = 10 * (unsigned)(suffix - suffixes + 1);
		if (value > UINT64_MAX >> shift)
			return -1;
		value <<= shift;
		end++;
		if (tolower((unsigned char)end[0]) == 'i')
			end++;
		if (tolower((unsigned char)end[0]) == 'b')
			end++;
	}
	if (*end)
		return -1;
	*bytes = value;
	return 0;
}

/* "12", "12.5" or "0.125" nanoseconds to picoseconds, exactly. */
static int parse_ns(const char *text, uint64_t *ps)
{
	char *end;
	if (!isdigit((unsigned char)text[0]))
		return -1;
	errno = 0;
	uint64_t whole = strtoull(text, &end, 10);
	if (errno || whole > UINT64_MAX / PS_PER_NS - 1)
		return -1;
	uint64_t fraction = 0;
	if (*end == '.') {
		uint64_t unit = 100;
		for (end++; isdigit((unsigned char)*end); end++, unit /= 10)
			fraction += (uint64_t)(*end - '0') * unit;
	}
	if (*end)
		return -1;
	*ps = whole * PS_PER_NS + fraction;
	return 0;
}

static int parse_bool(const char *text, uint64_t *value)
{
	static const char *const words[2] = {"0|off|no|false", "1|on|yes|true"};
	for (unsigned i = 0; i < 2; i++) {
		if (enum_index(words[i], text) >= 0) {
			*value = i;
			return 0;
		}
	}
	return -1;
}

/* Reads `text` as the key's type; *value is in the unit kept in the struct. */
static int parse_value(const struct key *key, const char *text, uint64_t *value)
{
	switch (key->type) {
	case KEY_UNSIGNED:
	case KEY_U64:
	case KEY_PERCENT:
	case KEY_PPM: return parse_u64(text, value);
	case KEY_BYTES: return parse_bytes(text, value);
	case KEY_TIME_NS: return parse_ns(text, value);
	case KEY_BOOL: return parse_bool(text, value);
	case KEY_ENUM: {
		int index = enum_index(key->names, text);
		*value = (uint64_t)index;
		return index < 0 ? -1 : 0;
	}
	}
	return -1;
}

static bool key_is_u64(const struct key *key)
{
	return key->type == KEY_U64 || key->type == KEY_TIME_NS || key->offset == AT(host, memory_bytes) ||
	       key->offset == AT(host, memory_base);
}

static uint64_t key_load(const struct config *config, const struct key *key)
{
	const void *at = (const char *)config + key->offset;
	if (key_is_u64(key))
		return *(const uint64_t *)at;
	if (key->type == KEY_BOOL)
		return *(const bool *)at;
	return *(const unsigned *)at;
}

static void key_store(struct config *config, const struct key *key, uint64_t value)
{
	void *at = (char *)config + key->offset;
	if (key_is_u64(key))
		*(uint64_t *)at = value;
	else if (key->type == KEY_BOOL)
		*(bool *)at = value != 0;
	else
		*(unsigned *)at = (unsigned)value;
}

static const char *key_expects(const struct key *key, char *text, size_t size)
{
	switch (key->type) {
	case KEY_BOOL: snprintf(text, size, "on or off"); break;
	case KEY_ENUM: snprintf(text, size, "one of %s", key->names); break;
	case KEY_TIME_NS:
		snprintf(text, size, "%" PRIu64 " to %" PRIu64 " nanoseconds", key->min, key->max);
		break;
	case KEY_BYTES:
		snprintf(text, size, "%s%" PRIu64 " to %" PRIu64 " bytes (suffix k, M or G)",
			 key->power_of_2 ? "a power of 2, " : "", key->min, key->max);
		break;
	default:
		snprintf(text, size, "%s%" PRIu64 " to %" PRIu64 "%s%s",
			 key->power_of_2 ? "a power of 2, " : "", key->min, key->max, key->unit[0] ? " " : "",
			 key->unit);
	}
	return text;
}

static const struct key *find_key(const char *section, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static bool known_section(const char *section)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i].section, section) == 0)
			return true;
	return false;
}

static int set_key(struct config *config, const char *section, const char *name, const char *text,
		   char *error, size_t error_size)
{
	char expects[160];
	const struct key *key = find_key(section, name);
	if (!key) {
		if (!known_section(section))
			snprintf(error, error_size, "unknown section [%s]; see `kickstand config` for all",
				 section);
		else
			snprintf(error, error_size, "unknown key %s.%s; see `kickstand config` for all",
				 section, name);
		return -1;
	}
	uint64_t value;
	uint64_t scale = key->type == KEY_TIME_NS ? PS_PER_NS : 1;
	if (parse_value(key, text, &value) != 0 || (key->type != KEY_ENUM && key->type != KEY_BOOL &&
						    (value < key->min * scale || value / scale > key->max ||
						     (key->power_of_2 && !is_power_of_2(value))))) {
		snprintf(error, error_size, "%s.%s: '%s' is not accepted; give %s", section, name, text,
			 key_expects(key, expects, sizeof(expects)));
		return -1;
	}
	key_store(config, key, value);
	return 0;
}

void config_defaults(struct config *config)
{
	char error[200];
	memset(config, 0, sizeof(*config));
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		int bad = set_key(config, keys[i].section, keys[i].name, keys[i].fallback, error,
				  sizeof(error));
		ASSERT(!bad);
	}
}

/* Copies [start, end) without surrounding blanks; false if it does not fit. */
static bool copy_trimmed(char *out, size_t size, const char *start, const char *end)
{
	while (start < end && isspace((unsigned char)*start))
		start++;
	while (end > start && isspace((unsigned char)end[-1]))
		end--;
	if ((size_t)(end - start) >= size)
		return false;
	memcpy(out, start, (size_t)(end - start));
	out[end - start] = '\0';
	return true;
}

int config_set(struct config *config, const char *assignment, char *error, size_t error_size)
{
	char section[32], name[48], value[128];
	const char *dot = strchr(assignment, '.');
	const char *equals = strchr(assignment, '=');
	if (!dot || !equals || dot > equals || !copy_trimmed(section, sizeof(section), assignment, dot) ||
	    !copy_trimmed(name, sizeof(name), dot + 1, equals) ||
	    !copy_trimmed(value, sizeof(value), equals + 1, equals + strlen(equals))) {
		snprintf(error, error_size, "'%.80s' is not of the form section.key=value", assignment);
		return -1;
	}
	return set_key(config, section, name, value, error, error_size);
}

struct load_state {
	struct config config;
	const char *path;
	char *error;
	size_t error_size;
	bool failed;
};

/* inih calls this for every line "name = value"; 0 makes it remember the line number. */
static int load_line(void *user, const char *section, const char *name, const char *value)
{
	struct load_state *load = user;
	char reason[240];
	if (load->failed)
		return 0;
	if (set_key(&load->config, section, name, value, reason, sizeof(reason)) == 0)
		return 1;
	load->failed = true;
	snprintf(load->error, load->error_size, "%s", reason);
	return 0;
}

int config_load(struct config *config, const char *path, char *error, size_t error_size)
{
	char reason[240] = "not a [section] or key = value line";
	struct load_state load = {
		.config = *config, .path = path, .error = reason, .error_size = sizeof(reason)};
	int line = ini_parse(path, load_line, &load);
	if (line < 0) {
		snprintf(error, error_size, "%s: cannot read: %s", path, strerror(errno));
		return -1;
	}
	if (line > 0) {
		snprintf(error, error_size, "%s:%d: %s", path, line, reason);
		return -1;
	}
	*config = load.config;
	return 0;
}

int config_check(const struct config *config, char *error, size_t error_size)
{
	const char *reason = NULL;
	if (config->link.mps > 1024)
		reason = "link.mps: the card supports at most 1024 bytes; lower it";
	else if (config->link.posted_data < config->link.mps / 16)
		reason = "link.posted_data: less than link.mps / 16, so no full write could ever be sent; "
			 "raise it";
	else if (config->device.offload == CONFIG_OFFLOAD_FULL && config->core.poll_ps)
		reason = "core.poll_ns: with device.offload=full the firmware sees no reads and writes after "
			 "which "
			 "to poll; set it to 0 or use device.offload=fetch";
	else if (config->notify.adaptive && config->notify.mode == CONFIG_NOTIFY_FIFO)
		reason = "notify.adaptive: with notify.mode=fifo no doorbells are merged, so there is "
			 "nothing to "
			 "wait for; use notify.mode=pending or switch it off";
	else if (config->notify.adaptive && config->notify.holdoff_ps == 0)
		reason = "notify.adaptive: notify.holdoff_ns is the longest hold-off, and is 0; raise it or "
			 "switch this off";
	else if (config->notify.adaptive && config->notify.threshold == 1)
		reason = "notify.adaptive: with notify.threshold=1 no doorbell is ever held; raise that, set "
			 "it "
			 "to 0 or switch this off";
	else if (config->msix.adaptive && config->msix.holdoff_ps == 0)
		reason = "msix.adaptive: msix.holdoff_ns is the longest hold-off, and is 0; raise it or "
			 "switch "
			 "this off";
	else if (config->msix.adaptive && config->msix.threshold == 1)
		reason = "msix.adaptive: with msix.threshold=1 no event is ever held; raise that, set it to "
			 "0 or "
			 "switch this off";
	else if (config->virtio.packed || config->guest.packed)
		reason = "packed: packed virtqueues are not implemented yet; leave it off";
	else if (config->guest.queues > config->device.queues)
		reason = "guest.queues: more than device.queues; lower it or raise that";
	else if (config->guest.queue_size && !is_power_of_2(config->guest.queue_size))
		reason = "guest.queue_size: a split virtqueue's size is a power of 2; choose one";
	else if (config->guest.queue_size > config->device.queue_size)
		reason = "guest.queue_size: more than device.queue_size; lower it or raise that";
	else if (config->device.size_max && config->device.size_max < 512)
		reason = "device.size_max: below 512 no sector fits a segment; raise it or set 0";
	else if (config->media.error_first_sector > config->media.error_last_sector)
		reason = "media.error_first_sector: after media.error_last_sector; swap them";
	if (!reason)
		return 0;
	snprintf(error, error_size, "%s", reason);
	return -1;
}

static void format_value(const struct config *config, const struct key *key, char *text, size_t size)
{
	uint64_t value = key_load(config, key);
	switch (key->type) {
	case KEY_BOOL: snprintf(text, size, "%s", value ? "on" : "off"); break;
	case KEY_ENUM: enum_name(key->names, (unsigned)value, text, size); break;
	case KEY_TIME_NS:
		if (value % PS_PER_NS)
			snprintf(text, size, "%" PRIu64 ".%03" PRIu64, value / PS_PER_NS, value % PS_PER_NS);
		else
			snprintf(text, size, "%" PRIu64, value / PS_PER_NS);
		break;
	default: snprintf(text, size, "%" PRIu64, value);
	}
}

void config_each(const struct config *config,
		 void (*each)(void *ctx, const char *section, const char *key, const char *value), void *ctx)
{
	char text[48];
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		format_value(config, &keys[i], text, sizeof(text));
		each(ctx, keys[i].section, keys[i].name, text);
	}
}

static void print_row(const struct config *config, const struct key *key, enum config_format format,
		      FILE *out)
{
	char value[48], name[80];
	format_value(config, key, value, sizeof(value));
	snprintf(name, sizeof(name), "%s.%s", key->section, key->name);
	switch (format) {
	case CONFIG_FORMAT_INI:
		fprintf(out, "; %s%s%s\n%s = %s\n", key->meaning, key->unit[0] ? ", in " : "", key->unit,
			key->name, value);
		break;
	case CONFIG_FORMAT_MARKDOWN:
		fprintf(out, "| `%s` | %s | %s | %s | %s |\n", name, key->fallback, key->unit, key->meaning,
			key->source);
		break;
	case CONFIG_FORMAT_TABLE:
		fprintf(out, "%-28s %-12s %-9s (default %s) %s", name, value, key->unit, key->fallback,
			key->meaning);
		if (key->type == KEY_ENUM)
			fprintf(out, ": %s", key->names);
		fputc('\n', out);
		break;
	}
}

void config_print(const struct config *config, enum config_format format, FILE *out)
{
	const char *section = "";
	if (format == CONFIG_FORMAT_MARKDOWN)
		fprintf(out, "| key | default | unit | meaning | source of the default |\n"
			     "| --- | --- | --- | --- | --- |\n");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (format == CONFIG_FORMAT_INI && strcmp(section, keys[i].section) != 0)
			fprintf(out, "%s[%s]\n", i ? "\n" : "", keys[i].section);
		section = keys[i].section;
		print_row(config, &keys[i], format, out);
	}
}
