/* The 4 KiB configuration space of a type-0 function: registers as bytes with write masks.
 *
 * The space is data: reset values, writable bits, write-1-to-clear bits and which bits survive a
 * function-level reset. cfg_space_write32 applies a write with byte enables and reports what changed by
 * flags, so that the endpoint acts on it (BAR moved, FLR, MSI-X enabled, power state, …). Side effects on
 * other blocks are the endpoint's business.
 *
 * Capabilities are added in order at create time: PM, MSI-X, PCIe v2, then the virtio vendor
 * capabilities; AER and Device Serial Number in the extended space (PCIe 6.0 §7.5, §7.7, §7.8.4).
 *
 * Choices the specification leaves open:
 * - No_Soft_Reset is 1: going from D3hot to D0 keeps all state (RST-010).
 * - A power state that is not supported (D1, D2) is not taken, the state stays (PM 1.2 §3.2.4).
 * - Max_Payload_Size above what is supported acts as the largest supported (CAP-003).
 * - Completion timeouts are the longest that the range chosen in Device Control 2 allows (TAG-008).
 * - A BAR set to 0 decodes address 0 like any other: what is unassigned is kept off by Memory Space.
 *
 * cfg_space.c applies accesses and resets, cfg_layout.c says which registers there are, cfg_check.c whether
 * they can be laid out as asked, cfg_error.c logs errors. */
#ifndef KICKSTAND_PCIE_CFG_SPACE_H
#define KICKSTAND_PCIE_CFG_SPACE_H

#include "pcie/base.h"
#include "pcie/tlp.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CFG_SPACE_BYTES 4096u
#define CFG_BAR_COUNT   6u

/* A memory BAR. size_bytes 0 = not implemented. A 64-bit BAR takes the next one as its upper half,
 * whose entry stays 0. */
struct cfg_bar {
	uint64_t size_bytes; /* power of 2, >= 128 */
	bool is_64bit;
	bool prefetchable;
};

struct cfg_virtio_cap {
	uint8_t cfg_type; /* VIRTIO_PCI_CAP_*_CFG, virtio 1.4 §4.1.4: 1..5 */
	uint8_t bar;
	uint32_t offset, length;
	uint32_t notify_off_multiplier; /* NOTIFY_CFG only */
};

struct cfg_space_config {
	uint16_t vendor_id, device_id, subsystem_vendor_id, subsystem_id;
	uint8_t revision_id;
	uint32_t class_code; /* 24 bits */
	struct cfg_bar bar[CFG_BAR_COUNT];
	uint8_t interrupt_pin; /* 1 = INTA */
	/* MSI-X */
	unsigned msix_vectors; /* 1..2048 */
	uint8_t msix_bar;
	uint32_t msix_table_offset, msix_pba_offset;
	/* PCI Express */
	unsigned link_generation, link_lanes;
	unsigned mps_supported_bytes; /* 128..4096 */
	bool extended_tag_supported;
	bool tag_10bit_requester_supported;
	uint64_t serial_number;
	/* virtio vendor capabilities, in list order; at most one PCI_CFG (type 5), whose other fields are the
	 * driver's to write and start as 0 */
	const struct cfg_virtio_cap *virtio_cap;
	unsigned virtio_cap_count;
};

/* What a configuration write changed. */
enum cfg_effect {
	CFG_EFFECT_COMMAND = 1 << 0, /* memory space, bus master or INTx disable */
	CFG_EFFECT_BAR = 1 << 1,
	CFG_EFFECT_MSIX = 1 << 2,           /* enable or function mask */
	CFG_EFFECT_DEVICE_CONTROL = 1 << 3, /* MPS, MRRS, tags, RO, IDO, timeout, error enables */
	CFG_EFFECT_FLR = 1 << 4,            /* Initiate Function Level Reset was written 1 */
	CFG_EFFECT_POWER = 1 << 5,          /* power state */
	CFG_EFFECT_VIRTIO_WINDOW = 1 << 6,  /* pci_cfg_data written: access the BAR (virtio 1.4 §4.1.4.9) */
};

/* Error bits of the AER uncorrectable status register, PCIe 6.0 §7.8.4.2 (CAP-006). */
enum cfg_aer {
	AER_POISONED = 12,
	AER_COMPLETION_TIMEOUT = 14,
	AER_COMPLETER_ABORT = 15,
	AER_UNEXPECTED_COMPLETION = 16,
	AER_OVERFLOW = 17,
	AER_MALFORMED = 18,
	AER_ECRC = 19,
	AER_UNSUPPORTED_REQUEST = 20,
	AER_INTERNAL = 22,
};

/* Bits of the AER correctable status register, PCIe 6.0 §7.8.4.5 (CAP-006). */
enum cfg_aer_correctable {
	AER_RECEIVER = 0,
	AER_BAD_TLP = 6,
	AER_BAD_DLLP = 7,
	AER_REPLAY_ROLLOVER = 8,
	AER_REPLAY_TIMEOUT = 12,
	AER_ADVISORY_NON_FATAL = 13,
	AER_CORRECTED_INTERNAL = 14,
};

/* Decoded control state: a copy of what the registers say now, kept current by every write and reset, so
 * that blocks need not parse registers. */
struct cfg_control {
	bool memory_space, bus_master, intx_disable;
	bool msix_enable, msix_function_mask;
	bool relaxed_ordering, no_snoop, extended_tag, tag_10bit, ido_request, ido_completion;
	unsigned mps_bytes, mrrs_bytes, rcb_bytes;
	uint64_t completion_timeout_ps;   /* TIME_NEVER_PS if disabled */
	unsigned power_state;             /* 0 = D0, 3 = D3hot */
	uint64_t bar_addr[CFG_BAR_COUNT]; /* of 32-bit or the lower of 64-bit BARs */
	bool ecrc_generate, ecrc_check;
};

struct cfg_space {
	uint8_t value[CFG_SPACE_BYTES];
	uint8_t reset[CFG_SPACE_BYTES];
	uint8_t writable[CFG_SPACE_BYTES];
	uint8_t rw1c[CFG_SPACE_BYTES];
	uint8_t sticky[CFG_SPACE_BYTES];   /* kept by hot reset and FLR */
	uint8_t flr_kept[CFG_SPACE_BYTES]; /* kept by FLR only (RST-004) */
	struct cfg_control control;
	struct cfg_bar bar[CFG_BAR_COUNT];
	uint16_t pm, msix, pcie, aer; /* capability offsets */
	uint16_t virtio_window;       /* offset of the PCI_CFG capability, 0 if none */
};

/* True if the function may send memory requests: DMA and MSI-X (ACC-002, ACC-016). Completions and messages
 * are not bound by it. */
static inline bool cfg_control_may_master(const struct cfg_control *control)
{
	return control->bus_master && control->power_state == 0;
}

/* Builds the space in its power-on state. Returns 0, or -1 with a one-line reason in `error` if the
 * configuration cannot be laid out (capabilities beyond 0x100, overlapping MSI-X, bad sizes). */
MUST_USE int cfg_space_init(struct cfg_space *cfg, const struct cfg_space_config *config, char *error,
			    size_t error_size);

/* One DW at byte offset `reg` (DW aligned, < 4096). Registers that do not exist read 0. Reading
 * pci_cfg_data is the endpoint's to do: it puts the data in place first with cfg_space_put32. */
uint32_t cfg_space_read32(const struct cfg_space *cfg, uint16_t reg);

/* Writes the bytes of `data` enabled in `be` (4 bits). Returns the CFG_EFFECT_* it had. Initiate Function
 * Level Reset is only reported: the caller completes the write and then calls cfg_space_reset (RST-004). */
unsigned cfg_space_write32(struct cfg_space *cfg, uint16_t reg, uint32_t data, uint8_t be);

/* Sets a register from the device's side, ignoring write masks. */
void cfg_space_put32(struct cfg_space *cfg, uint16_t reg, uint32_t data);

/* RST-001. A fundamental reset forgets everything, a hot reset keeps sticky bits, a function-level reset
 * also what belongs to the link (RST-002, RST-004). */
enum cfg_reset { CFG_RESET_FUNDAMENTAL, CFG_RESET_HOT, CFG_RESET_FLR };
void cfg_space_reset(struct cfg_space *cfg, enum cfg_reset kind);

/* The BAR access window of the PCI_CFG capability as the driver programmed it. */
struct cfg_virtio_window {
	uint8_t bar;
	uint32_t offset, length;
};
struct cfg_virtio_window cfg_space_virtio_window(const struct cfg_space *cfg);

enum cfg_decode_failure {
	CFG_DECODE_NONE = -1,    /* in no BAR, memory space off, or D3hot: UR (ACC-001, ACC-003, ACC-016) */
	CFG_DECODE_OVERRUN = -2, /* starts inside a BAR and runs past its end (ACC-005) */
};

/* Which implemented, enabled BAR holds [addr, addr + bytes): returns its index and the offset in it, or
 * one of enum cfg_decode_failure, *offset untouched. */
int cfg_space_decode(const struct cfg_space *cfg, uint64_t addr, uint32_t bytes, uint64_t *offset);

/* Logs an uncorrectable error, PCIe 6.0 §6.2: Device Status, AER status, first error pointer and header
 * log. `wire` is the TLP that caused it, as many bytes as there are, or NULL. With `advisory` an error of
 * severity non-fatal is handled as a correctable advisory non-fatal one (§6.2.3.2.4). Of several errors of
 * one TLP the caller logs the most significant (ERR-027). Returns the message to send (TLP_MSG_ERR_*), or
 * -1 for none: masked or reporting disabled (ERR-028). */
int cfg_space_log_error(struct cfg_space *cfg, enum cfg_aer error, bool advisory, const uint8_t *wire,
			size_t size);

/* Logs a correctable error of the link (ERR-026). Returns TLP_MSG_ERR_COR or -1. */
int cfg_space_log_correctable(struct cfg_space *cfg, enum cfg_aer_correctable error);

/* Status register bits set by traffic (CFG-007). */
enum cfg_status_bit {
	CFG_STATUS_INTERRUPT = 1 << 3,
	CFG_STATUS_MASTER_DATA_PARITY = 1 << 8,
	CFG_STATUS_SIG_TARGET_ABORT = 1 << 11,
	CFG_STATUS_REC_TARGET_ABORT = 1 << 12,
	CFG_STATUS_REC_MASTER_ABORT = 1 << 13,
	CFG_STATUS_DETECTED_PARITY = 1 << 15,
};
/* Sets RW1C bits; Master Data Parity Error only with Parity Error Response enabled. */
void cfg_space_set_status(struct cfg_space *cfg, unsigned bits);
/* Interrupt Status follows the level of the interrupt cause, whatever Interrupt Disable says (INT-014). */
void cfg_space_set_interrupt_status(struct cfg_space *cfg, bool level);
void cfg_space_set_transactions_pending(struct cfg_space *cfg, bool pending);
/* Captures the payload of Set_Slot_Power_Limit, read as a little-endian DW: value 7:0, scale 9:8. */
void cfg_space_set_slot_power(struct cfg_space *cfg, uint32_t value_dw);

#ifdef __cplusplus
}
#endif
#endif
