/* What the tests of the card as a PCIe function share: its registers, its errors, what it sends. */
#ifndef KICKSTAND_TESTS_E2E_PCIE_HELP_H
#define KICKSTAND_TESTS_E2E_PCIE_HELP_H

#include "tests/e2e/load.h"

#include <linux/pci_regs.h>

/* A requester of the tests' own, whose tags the root complex does not use. */
#define TESTER_ID 0x00f8u /* bus 0, device 31, function 0 */

/* ---- registers, by configuration requests ---- */

unsigned aer_at(struct machine *m); /* offset of the AER structure */
uint32_t config_read(struct machine *m, unsigned reg, unsigned bytes);
void config_write(struct machine *m, unsigned reg, unsigned bytes, uint32_t value);

/* ---- errors ---- */

/* Status, Device Status and AER as they stand, and the messages that have come since errors_clear. */
struct errors {
	uint16_t status, device_status;
	uint32_t uncorrectable, correctable; /* AER status */
	unsigned first;                      /* first error pointer */
	uint32_t header[4];                  /* header log */
	uint64_t cor, nonfatal, fatal;       /* ERR_* messages */
};

/* Clears all error bits, and unmasks and enables all reporting (advisory errors are masked by default). Returns what to
 * give to errors_since. */
struct errors errors_clear(struct machine *m);
struct errors errors_since(struct machine *m, const struct errors *before);

/* ---- what the card sends ---- */

struct traffic {
	uint64_t reads, writes, interrupts, messages, completions;
	uint64_t last_request_ps; /* arrival of the last read, write or interrupt */
};

/* Counts from now on; one watch per machine at a time. */
void traffic_watch(struct machine *m, struct traffic *traffic);
void traffic_end(struct machine *m);

/* Nothing may come from the card and no byte of guest memory may change from quiet_begin on. What has arrived by then is
 * there already. */
struct quiet {
	struct traffic traffic;
	uint64_t reads_allowed; /* 0 unless set after quiet_begin */
	uint8_t *memory;
	uint64_t bytes;
};
void quiet_begin(struct machine *m, struct quiet *quiet);
/* Waits another `us`, checks, and ends the watch. */
void quiet_end(struct machine *m, struct quiet *quiet, uint64_t us);

/* ---- resets as software does them ---- */

/* BARs, Command and Device Control again, then the driver starts over. */
void recover_function(struct machine *m);

/* ---- raw TLPs ---- */

/* Encodes and sends; no answer is awaited. */
void send_tlp(struct machine *m, const struct tlp *tlp);

/* A non-posted request of the root complex and its completion's status, 0x100 if none came. */
unsigned request_status(struct machine *m, struct tlp *request, struct tlp *completion, uint8_t *data);

/* A memory read or write of 4 bytes at `addr`. `payload` may be NULL for reads. */
struct tlp memory_request(enum tlp_type type, uint64_t addr, const uint8_t *payload);
struct tlp config_request(enum tlp_type type, unsigned reg, const uint8_t *payload);

#endif
