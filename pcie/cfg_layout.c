/* Which registers the configuration space has: offsets, reset values, write masks, and what survives resets.
 *
 *   0x00 header (PCIe 6.0 §7.5.1)          0x40 PM, MSI-X, PCI Express, then virtio capabilities
 *   0x100 AER (§7.8.4)                     0x148 Device Serial Number (§7.9.3), the last
 *
 * Bits not named in a row read 0 and ignore writes. */
#include "pcie/cfg_layout.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <string.h>

#define AER_AT    CFG_EXTENDED_START
#define SERIAL_AT 0x148 /* behind the 0x48 bytes of the largest AER structure */

/* Names <linux/pci_regs.h> has not got. */
#define LNKCAP_ASPM_OPTIONALITY       0x00400000u
#define LNKSTA2_EQUALIZATION_COMPLETE 0x001eu /* and its three phases successful */
#define LNKCTL2_WRITABLE              0xff9fu /* target speed, compliance and margin controls */
#define DEVCAP2_TIMEOUT_RANGES_ABCD   0x0000000fu
#define DEVCAP2_10BIT_TAG_COMPLETER   0x00010000u
#define DEVCAP2_10BIT_TAG_REQUESTER   0x00020000u

/* Error bits the function implements, and their defaults (CAP-005, CAP-006). */
#define UNCORRECTABLE_BITS           0x005ff030u
#define UNCORRECTABLE_MASK_RESET     0x00400000u
#define UNCORRECTABLE_SEVERITY_RESET 0x00462030u
#define CORRECTABLE_BITS             0x0000f1c1u
#define CORRECTABLE_MASK_RESET       0x0000e000u

/* One DW of registers, `at` from the start of its structure. */
struct row {
	uint16_t at;
	uint32_t reset, writable, rw1c, sticky, flr_kept;
};

static void or32(uint8_t *bytes, uint32_t bits)
{
	store_le32(bytes, load_le32(bytes) | bits);
}

static void add_rows(struct cfg_space *cfg, unsigned base, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned at = base + rows[i].at;
		or32(cfg->reset + at, rows[i].reset);
		or32(cfg->writable + at, rows[i].writable);
		or32(cfg->rw1c + at, rows[i].rw1c);
		or32(cfg->sticky + at, rows[i].sticky);
		or32(cfg->flr_kept + at, rows[i].flr_kept);
	}
}

#define ADD_ROWS(cfg, base, rows) add_rows(cfg, base, rows, ARRAY_SIZE(rows))

/* The end of the capability list while it grows. */
struct list {
	struct cfg_space *cfg;
	uint8_t link; /* where the pointer to the next capability goes */
	uint16_t end;
};

static uint16_t add_capability(struct list *list, uint8_t id, unsigned bytes)
{
	uint16_t at = list->end;
	list->cfg->reset[list->link] = (uint8_t)at;
	list->cfg->reset[at] = id;
	list->link = (uint8_t)(at + PCI_CAP_LIST_NEXT);
	list->end = (uint16_t)(at + bytes);
	return at;
}

static void add_header(struct cfg_space *cfg, const struct cfg_space_config *config)
{
	/* I/O Space is hardwired to 0: there is no I/O BAR. */
	const uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
				 PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE;
	const uint16_t status_rw1c = CFG_STATUS_MASTER_DATA_PARITY | CFG_STATUS_SIG_TARGET_ABORT |
				     CFG_STATUS_REC_TARGET_ABORT | CFG_STATUS_REC_MASTER_ABORT |
				     PCI_STATUS_SIG_SYSTEM_ERROR | CFG_STATUS_DETECTED_PARITY;
	const struct row rows[] = {
		{.at = PCI_VENDOR_ID, .reset = config->vendor_id | (uint32_t)config->device_id << 16},
		{.at = PCI_COMMAND,
		 .reset = (uint32_t)PCI_STATUS_CAP_LIST << 16,
		 .writable = command,
		 .rw1c = (uint32_t)status_rw1c << 16},
		{.at = PCI_CLASS_REVISION, .reset = config->revision_id | config->class_code << 8},
		{.at = PCI_CACHE_LINE_SIZE, .writable = 0xff},
		{.at = PCI_SUBSYSTEM_VENDOR_ID,
		 .reset = config->subsystem_vendor_id | (uint32_t)config->subsystem_id << 16},
		{.at = PCI_INTERRUPT_LINE, .reset = (uint32_t)config->interrupt_pin << 8, .writable = 0xff},
	};
	ADD_ROWS(cfg, 0, rows);
}

static void add_bar(struct cfg_space *cfg, unsigned i, const struct cfg_bar *bar)
{
	uint64_t address_bits = ~(bar->size_bytes - 1);
	const struct row rows[] = {
		{.at = 0,
		 .reset = (bar->is_64bit ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
			  (bar->prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0),
		 .writable = (uint32_t)address_bits},
		{.at = 4, .writable = bar->is_64bit ? (uint32_t)(address_bits >> 32) : 0},
	};
	cfg->bar[i] = *bar;
	ADD_ROWS(cfg, PCI_BASE_ADDRESS_0 + 4 * i, rows);
}

static void add_pm(struct list *list)
{
	const struct row rows[] = {
		{.at = 0, .reset = 3u << 16}, /* version 3, no D1, D2 or PME */
		{.at = PCI_PM_CTRL, .reset = PCI_PM_CTRL_NO_SOFT_RESET, .writable = PCI_PM_CTRL_STATE_MASK},
	};
	list->cfg->pm = add_capability(list, PCI_CAP_ID_PM, CFG_PM_BYTES);
	ADD_ROWS(list->cfg, list->cfg->pm, rows);
}

static void add_msix(struct list *list, const struct cfg_space_config *config)
{
	const struct row rows[] = {
		{.at = 0,
		 .reset = (config->msix_vectors - 1) << 16,
		 .writable = (uint32_t)(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) << 16},
		{.at = PCI_MSIX_TABLE, .reset = config->msix_table_offset | config->msix_bar},
		{.at = PCI_MSIX_PBA, .reset = config->msix_pba_offset | config->msix_bar},
	};
	list->cfg->msix = add_capability(list, PCI_CAP_ID_MSIX, CFG_MSIX_BYTES);
	ADD_ROWS(list->cfg, list->cfg->msix, rows);
}

static unsigned log2_of(unsigned power_of_2)
{
	return (unsigned)__builtin_ctz(power_of_2);
}

/* Endpoint, capability version 2. Slot and root registers read 0. The link is up at what it is capable of. */
static void add_express(struct list *list, const struct cfg_space_config *config)
{
	const uint32_t devctl = PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE |
				PCI_EXP_DEVCTL_URRE | PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_PAYLOAD |
				(config->extended_tag_supported ? PCI_EXP_DEVCTL_EXT_TAG : 0) |
				PCI_EXP_DEVCTL_NOSNOOP_EN | PCI_EXP_DEVCTL_READRQ;
	const uint32_t devsta_rw1c =
		PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_NFED | PCI_EXP_DEVSTA_FED | PCI_EXP_DEVSTA_URD;
	const uint32_t lnkctl =
		PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_RCB | PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES;
	const uint32_t devctl2 =
		PCI_EXP_DEVCTL2_COMP_TIMEOUT | PCI_EXP_DEVCTL2_COMP_TMOUT_DIS | PCI_EXP_DEVCTL2_IDO_REQ_EN |
		PCI_EXP_DEVCTL2_IDO_CMP_EN |
		(config->tag_10bit_requester_supported ? CFG_DEVCTL2_10BIT_TAG_REQUESTER : 0);
	const uint32_t speed_and_width = config->link_generation | config->link_lanes << 4;
	const struct row rows[] = {
		{.at = 0, .reset = 2u << 16},
		{.at = PCI_EXP_DEVCAP,
		 .reset = log2_of(config->mps_supported_bytes / 128) | PCI_EXP_DEVCAP_RBER |
			  PCI_EXP_DEVCAP_FLR | (config->extended_tag_supported ? PCI_EXP_DEVCAP_EXT_TAG : 0),
		 .flr_kept = PCI_EXP_DEVCAP_PWR_VAL | PCI_EXP_DEVCAP_PWR_SCL},
		{.at = PCI_EXP_DEVCTL, /* Initiate FLR reads 0, so it is not among the writable bits */
		 .reset = PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN | PCI_EXP_DEVCTL_READRQ_512B,
		 .writable = devctl,
		 .rw1c = devsta_rw1c << 16,
		 .flr_kept = PCI_EXP_DEVCTL_PAYLOAD},
		{.at = PCI_EXP_LNKCAP, .reset = speed_and_width | LNKCAP_ASPM_OPTIONALITY},
		{.at = PCI_EXP_LNKCTL,
		 .reset = (speed_and_width | PCI_EXP_LNKSTA_SLC) << 16,
		 .writable = lnkctl,
		 .flr_kept = lnkctl},
		{.at = PCI_EXP_DEVCAP2,
		 .reset = DEVCAP2_TIMEOUT_RANGES_ABCD | PCI_EXP_DEVCAP2_COMP_TMOUT_DIS |
			  DEVCAP2_10BIT_TAG_COMPLETER |
			  (config->tag_10bit_requester_supported ? DEVCAP2_10BIT_TAG_REQUESTER : 0)},
		{.at = PCI_EXP_DEVCTL2, .writable = devctl2},
		{.at = PCI_EXP_LNKCAP2, .reset = ((1u << config->link_generation) - 1) << 1},
		{.at = PCI_EXP_LNKCTL2,
		 .reset = config->link_generation |
			  (config->link_generation >= 3 ? LNKSTA2_EQUALIZATION_COMPLETE << 16 : 0),
		 .writable = LNKCTL2_WRITABLE,
		 .sticky = LNKCTL2_WRITABLE},
	};
	list->cfg->pcie = add_capability(list, PCI_CAP_ID_EXP, CFG_EXPRESS_BYTES);
	ADD_ROWS(list->cfg, list->cfg->pcie, rows);
}

static void add_virtio(struct list *list, const struct cfg_virtio_cap *cap)
{
	const bool window = cap->cfg_type == VIRTIO_PCI_CAP_PCI_CFG;
	const unsigned bytes = cfg_virtio_cap_bytes(cap);
	const uint32_t window_writable = window ? ~0u : 0;
	const struct row rows[] = {
		{.at = 0, .reset = bytes << 16 | (uint32_t)cap->cfg_type << 24},
		{.at = VIRTIO_PCI_CAP_BAR, .reset = window ? 0 : cap->bar, .writable = window ? 0xff : 0},
		{.at = VIRTIO_PCI_CAP_OFFSET, .reset = window ? 0 : cap->offset, .writable = window_writable},
		{.at = VIRTIO_PCI_CAP_LENGTH, .reset = window ? 0 : cap->length, .writable = window_writable},
		{.at = VIRTIO_PCI_NOTIFY_CAP_MULT, /* or pci_cfg_data */
		 .reset = window ? 0 : cap->notify_off_multiplier,
		 .writable = window_writable},
	};
	uint16_t at = add_capability(list, PCI_CAP_ID_VNDR, bytes);
	if (window)
		list->cfg->virtio_window = at;
	add_rows(list->cfg, at, rows, bytes / 4);
}

static uint32_t extended_header(unsigned id, unsigned version, unsigned next)
{
	return id | version << 16 | next << 20;
}

static void add_extended(struct cfg_space *cfg, const struct cfg_space_config *config)
{
	const uint32_t ecrc_enables = PCI_ERR_CAP_ECRC_GENE | PCI_ERR_CAP_ECRC_CHKE;
	const struct row aer[] = {
		{.at = 0, .reset = extended_header(PCI_EXT_CAP_ID_ERR, 2, SERIAL_AT)},
		{.at = PCI_ERR_UNCOR_STATUS, .rw1c = UNCORRECTABLE_BITS, .sticky = ~0u},
		{.at = PCI_ERR_UNCOR_MASK,
		 .reset = UNCORRECTABLE_MASK_RESET,
		 .writable = UNCORRECTABLE_BITS,
		 .sticky = ~0u},
		{.at = PCI_ERR_UNCOR_SEVER,
		 .reset = UNCORRECTABLE_SEVERITY_RESET,
		 .writable = UNCORRECTABLE_BITS,
		 .sticky = ~0u},
		{.at = PCI_ERR_COR_STATUS, .rw1c = CORRECTABLE_BITS, .sticky = ~0u},
		{.at = PCI_ERR_COR_MASK,
		 .reset = CORRECTABLE_MASK_RESET,
		 .writable = CORRECTABLE_BITS,
		 .sticky = ~0u},
		{.at = PCI_ERR_CAP,
		 .reset = PCI_ERR_CAP_ECRC_GENC | PCI_ERR_CAP_ECRC_CHKC,
		 .writable = ecrc_enables,
		 .sticky = ~0u},
		{.at = PCI_ERR_HEADER_LOG, .sticky = ~0u},
		{.at = PCI_ERR_HEADER_LOG + 4, .sticky = ~0u},
		{.at = PCI_ERR_HEADER_LOG + 8, .sticky = ~0u},
		{.at = PCI_ERR_HEADER_LOG + 12, .sticky = ~0u},
	};
	const struct row serial[] = {
		{.at = 0, .reset = extended_header(PCI_EXT_CAP_ID_DSN, 1, 0)},
		{.at = 4, .reset = (uint32_t)config->serial_number},
		{.at = 8, .reset = (uint32_t)(config->serial_number >> 32)},
	};
	cfg->aer = AER_AT;
	ADD_ROWS(cfg, AER_AT, aer);
	ADD_ROWS(cfg, SERIAL_AT, serial);
}

int cfg_space_init(struct cfg_space *cfg, const struct cfg_space_config *config, char *error,
		   size_t error_size)
{
	if (cfg_layout_check(config, error, error_size))
		return -1;

	memset(cfg, 0, sizeof(*cfg));
	add_header(cfg, config);
	for (unsigned i = 0; i < CFG_BAR_COUNT; i++)
		if (config->bar[i].size_bytes != 0)
			add_bar(cfg, i, &config->bar[i]);
	struct list list = {.cfg = cfg, .link = PCI_CAPABILITY_LIST, .end = CFG_FIRST_CAPABILITY};
	add_pm(&list);
	add_msix(&list, config);
	add_express(&list, config);
	for (unsigned i = 0; i < config->virtio_cap_count; i++)
		add_virtio(&list, &config->virtio_cap[i]);
	add_extended(cfg, config);
	cfg_space_reset(cfg, CFG_RESET_FUNDAMENTAL);
	return 0;
}
