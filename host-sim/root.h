/* The root complex: the host's end of the link.
 *
 * Towards the guest it is configuration, memory-mapped I/O, interrupts; towards the card it is TLPs. Reads by the card
 * are answered from guest memory after the root complex latency, split as the specification allows; writes land in
 * guest memory or, in the interrupt window, become interrupts, all in order of arrival.
 *
 * Blocking calls may be made from kernel threads only. */
#ifndef KICKSTAND_HOST_SIM_ROOT_H
#define KICKSTAND_HOST_SIM_ROOT_H

#include "host-sim/memory.h"
#include "pcie/rng.h"
#include "pcie/tlp.h"
#include "rtl-model/device.h"

/* Where a write is an interrupt, as on x86: 0xfee00000 | CPU << 12, the data being the vector. */
#define ROOT_MSI_BASE  UINT64_C(0xfee00000)
#define ROOT_MSI_BYTES UINT64_C(0x100000)
/* The same for a guest that is somebody else's and may have RAM there (as on Arm): the end of the address space. */
#define ROOT_MSI_BASE_TOP (UINT64_MAX - ROOT_MSI_BYTES + 1)
#define ROOT_BUS          1u /* bus number behind the root port; the card is device 0, function 0 on it */

/* ORDERED: writes must not have Relaxed Ordering set. */
enum root_access { ROOT_READ = 1, ROOT_WRITE = 2, ROOT_ORDERED = 4 };

/* What the host does to a read of the card, for tests (RC-012). */
enum root_fault_kind {
	ROOT_FAULT_NONE,
	ROOT_FAULT_UR,
	ROOT_FAULT_CA,
	ROOT_FAULT_CRS,
	ROOT_FAULT_RESERVED_STATUS,
	ROOT_FAULT_DROP, /* no completion: the card has to time out */
	ROOT_FAULT_LATE, /* completion after `delay_ps` */
	ROOT_FAULT_POISON,
	ROOT_FAULT_WRONG_TAG, /* and then the right one never comes */
	ROOT_FAULT_BYTE_COUNT,
	ROOT_FAULT_LOWER_ADDRESS,
	ROOT_FAULT_DUPLICATE, /* the last completion comes twice */
	ROOT_FAULT_NO_DATA,   /* Cpl with status SC for a read */
	ROOT_FAULT_WRONG_TC,
};

struct root_fault {
	enum root_fault_kind kind;
	uint64_t addr, bytes; /* reads that touch this range */
	unsigned count;       /* how many of them */
	unsigned skip;        /* after letting this many pass */
	uint64_t delay_ps;
};

struct root_stats {
	uint64_t config_requests, mmio_reads, mmio_writes;
	uint64_t reads, read_bytes, writes, write_bytes;
	uint64_t interrupts, intx_messages;
	uint64_t unsupported; /* requests of the card to addresses without memory */
	uint64_t err_cor, err_nonfatal, err_fatal;
	uint64_t crs_retries, timeouts;
	uint64_t violations; /* of the checker (RC-013) */
};

struct root;

struct root_ports {
	void *ctx;
	uint64_t msi_base; /* ROOT_MSI_BASE or ROOT_MSI_BASE_TOP */
	/* Interrupt message to CPU `cpu`. */
	void (*interrupt)(void *ctx, uint64_t now_ps, unsigned cpu, uint32_t vector);
	/* Level of INTA, as the card's messages have it. */
	void (*intx)(void *ctx, uint64_t now_ps, bool level);
	/* A line worth a person's attention: checker violations, unexpected TLPs. */
	void (*log)(void *ctx, const char *line);
};

/* NULL when out of memory. Connect the device before anything else is called. */
struct root *root_create(const struct config *config, struct memory *memory, const struct root_ports *ports);
void root_connect(struct root *root, struct device *device);
void root_free(struct root *root);

/* What device_create is given as struct device_host. */
void root_receive(void *ctx, uint64_t arrive_ps, const uint8_t *wire, size_t size);
bool root_urgent(void *ctx, const uint8_t *wire, size_t size);

/* Configuration access of 1, 2 or 4 bytes inside one DW of the card. Blocks until completed. A read that fails gives
 * all ones; a request answered CRS is repeated for up to a second (RC-003). */
uint32_t root_config_read(struct root *root, unsigned reg, unsigned bytes);
void root_config_write(struct root *root, unsigned reg, unsigned bytes, uint32_t value);

/* Memory-mapped access of 1, 2, 4 or 8 bytes: one TLP, or several if it is not naturally aligned, as CPUs split it. The
 * write is posted and does not block; the read blocks and gives all ones if it fails or times out (RC-005, RC-009). */
void root_mmio_write(struct root *root, uint64_t addr, unsigned bytes, uint64_t value);
uint64_t root_mmio_read(struct root *root, uint64_t addr, unsigned bytes);

/* Sends any TLP, well-formed or not, and does not wait for an answer. Completions of it are dropped. */
void root_send_raw(struct root *root, const uint8_t *wire, size_t size);

/* Sends a non-posted request and blocks for its completion; false if there is none within the timeout. The payload,
 * if any, is copied to `data` (4096 bytes). */
bool root_request(struct root *root, struct tlp *request, struct tlp *completion, uint8_t *data);

/* The data of a read that a region has been asked for (memory_ops.ask); NULL: there is none. */
void root_read_done(struct root *root, unsigned token, const uint8_t *data);

/* The address of interrupt messages to a CPU. */
uint64_t root_msi_addr(const struct root *root, unsigned cpu);

/* Brings guest memory up to the present: everything the card wrote that has arrived by now. */
void root_sync(struct root *root);

/* Tells the checker what the card may do to a piece of guest memory (bits of root_access; 0 takes it back). Pieces do
 * not overlap; the same piece again replaces what was said of it. Without any such call memory is not checked. */
void root_allow(struct root *root, uint64_t addr, uint64_t bytes, unsigned access);

void root_inject(struct root *root, const struct root_fault *fault);

/* Hot reset of the link below the root port. What the host still waits for has failed: it gets all ones at once. */
void root_hot_reset(struct root *root);

/* A protocol analyser on the root port: called for every TLP of the card before it takes effect and for every TLP to the
 * card, at the time it arrives or is ready to go. NULL takes it off. */
typedef void root_tap_fn(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size);
void root_tap(struct root *root, root_tap_fn *tap, void *ctx);

const struct root_stats *root_stats(const struct root *root);

#endif
