/* Accesses to the configuration space, resets, and what the registers mean for the rest of the device. */
#include "pcie/cfg_layout.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <string.h>

#define POWER_STATE_D0    0u
#define POWER_STATE_D3HOT 3u

/* Where pci_cfg_data lies in the PCI_CFG capability: behind the fields all virtio capabilities have. */
#define VIRTIO_WINDOW_DATA ((uint16_t)sizeof(struct virtio_pci_cap))

/* Completion timeout by Device Control 2 bits 3:0 (TAG-008): the end of each range. Codes that are reserved
 * act as the default. */
static uint64_t completion_timeout_ps(unsigned code)
{
	static const uint64_t range_end_ps[16] = {
		[0x0] = 50 * PS_PER_MS,   [0x1] = 100 * PS_PER_US, [0x2] = 10 * PS_PER_MS,
		[0x5] = 55 * PS_PER_MS,   [0x6] = 210 * PS_PER_MS, [0x9] = 900 * PS_PER_MS,
		[0xa] = 3500 * PS_PER_MS, [0xd] = 13 * PS_PER_S,   [0xe] = 64 * PS_PER_S,
	};
	return range_end_ps[code] ? range_end_ps[code] : range_end_ps[0];
}

static uint64_t bar_address(const struct cfg_space *cfg, unsigned i)
{
	if (cfg->bar[i].size_bytes == 0)
		return 0;
	const uint8_t *reg = cfg->value + PCI_BASE_ADDRESS_0 + 4 * i;
	uint64_t addr = cfg->bar[i].is_64bit ? load_le64(reg) : load_le32(reg);
	return addr & ~(uint64_t)0xf; /* type bits */
}

static void decode_control(struct cfg_space *cfg)
{
	struct cfg_control *c = &cfg->control;
	unsigned command = load_le16(cfg->value + PCI_COMMAND);
	unsigned msix = load_le16(cfg->value + cfg->msix + PCI_MSIX_FLAGS);
	unsigned devcap = load_le16(cfg->value + cfg->pcie + PCI_EXP_DEVCAP);
	unsigned devctl = load_le16(cfg->value + cfg->pcie + PCI_EXP_DEVCTL);
	unsigned devctl2 = load_le16(cfg->value + cfg->pcie + PCI_EXP_DEVCTL2);
	unsigned lnkctl = load_le16(cfg->value + cfg->pcie + PCI_EXP_LNKCTL);
	unsigned ecrc = load_le16(cfg->value + cfg->aer + PCI_ERR_CAP);
	unsigned mps_code = (devctl & PCI_EXP_DEVCTL_PAYLOAD) >> 5;
	unsigned mrrs_code = (devctl & PCI_EXP_DEVCTL_READRQ) >> 12;

	c->memory_space = command & PCI_COMMAND_MEMORY;
	c->bus_master = command & PCI_COMMAND_MASTER;
	c->intx_disable = command & PCI_COMMAND_INTX_DISABLE;
	c->msix_enable = msix & PCI_MSIX_FLAGS_ENABLE;
	c->msix_function_mask = msix & PCI_MSIX_FLAGS_MASKALL;
	c->relaxed_ordering = devctl & PCI_EXP_DEVCTL_RELAX_EN;
	c->no_snoop = devctl & PCI_EXP_DEVCTL_NOSNOOP_EN;
	c->extended_tag = devctl & PCI_EXP_DEVCTL_EXT_TAG;
	c->tag_10bit = devctl2 & CFG_DEVCTL2_10BIT_TAG_REQUESTER;
	c->ido_request = devctl2 & PCI_EXP_DEVCTL2_IDO_REQ_EN;
	c->ido_completion = devctl2 & PCI_EXP_DEVCTL2_IDO_CMP_EN;
	c->mps_bytes = 128u << min_u32(mps_code, devcap & PCI_EXP_DEVCAP_PAYLOAD);
	c->mrrs_bytes = 128u << min_u32(mrrs_code, 5);
	c->rcb_bytes = lnkctl & PCI_EXP_LNKCTL_RCB ? 128 : 64;
	c->completion_timeout_ps = devctl2 & PCI_EXP_DEVCTL2_COMP_TMOUT_DIS
					   ? TIME_NEVER_PS
					   : completion_timeout_ps(devctl2 & PCI_EXP_DEVCTL2_COMP_TIMEOUT);
	c->power_state = cfg->value[cfg->pm + PCI_PM_CTRL] & PCI_PM_CTRL_STATE_MASK;
	for (unsigned i = 0; i < CFG_BAR_COUNT; i++)
		c->bar_addr[i] = bar_address(cfg, i);
	c->ecrc_generate = ecrc & PCI_ERR_CAP_ECRC_GENE;
	c->ecrc_check = ecrc & PCI_ERR_CAP_ECRC_CHKE;
}

uint32_t cfg_space_read32(const struct cfg_space *cfg, uint16_t reg)
{
	ASSERT(reg % 4 == 0 && reg < CFG_SPACE_BYTES);
	return load_le32(cfg->value + reg);
}

void cfg_space_put32(struct cfg_space *cfg, uint16_t reg, uint32_t data)
{
	ASSERT(reg % 4 == 0 && reg < CFG_SPACE_BYTES);
	store_le32(cfg->value + reg, data);
	decode_control(cfg);
}

/* What the change of some bits of a register has an effect on. */
static unsigned effect_of_change(const struct cfg_space *cfg, uint16_t reg, uint32_t changed)
{
	const struct {
		unsigned reg;
		uint32_t bits;
		enum cfg_effect effect;
	} rows[] = {
		{PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE,
		 CFG_EFFECT_COMMAND},
		{cfg->msix, (uint32_t)(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) << 16,
		 CFG_EFFECT_MSIX},
		{cfg->pm + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK, CFG_EFFECT_POWER},
		{cfg->pcie + PCI_EXP_DEVCTL, 0xffff, CFG_EFFECT_DEVICE_CONTROL},
		{cfg->pcie + PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_RCB, CFG_EFFECT_DEVICE_CONTROL},
		{cfg->pcie + PCI_EXP_DEVCTL2, 0xffff, CFG_EFFECT_DEVICE_CONTROL},
		{cfg->aer + PCI_ERR_CAP, PCI_ERR_CAP_ECRC_GENE | PCI_ERR_CAP_ECRC_CHKE,
		 CFG_EFFECT_DEVICE_CONTROL},
	};
	if (reg >= PCI_BASE_ADDRESS_0 && reg <= PCI_BASE_ADDRESS_5)
		return changed ? CFG_EFFECT_BAR : 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (reg == rows[i].reg)
			return changed & rows[i].bits ? rows[i].effect : 0;
	return 0;
}

/* Effects of writing as such, whatever the bits read back. */
static unsigned effect_of_write(const struct cfg_space *cfg, uint16_t reg, uint32_t ones, uint8_t be)
{
	if (reg == cfg->pcie + PCI_EXP_DEVCTL && ones & PCI_EXP_DEVCTL_BCR_FLR)
		return CFG_EFFECT_FLR;
	if (cfg->virtio_window && reg == cfg->virtio_window + VIRTIO_WINDOW_DATA && be != 0)
		return CFG_EFFECT_VIRTIO_WINDOW;
	return 0;
}

/* A power state the function has not got leaves the state as it was. */
static void keep_supported_power_state(struct cfg_space *cfg, unsigned before)
{
	uint8_t *pmcsr = &cfg->value[cfg->pm + PCI_PM_CTRL];
	unsigned state = *pmcsr & PCI_PM_CTRL_STATE_MASK;
	if (state != POWER_STATE_D0 && state != POWER_STATE_D3HOT)
		*pmcsr = (uint8_t)((*pmcsr & ~PCI_PM_CTRL_STATE_MASK) | before);
}

/* First error pointer and header log hold while the status bit they belong to is set (CAP-008). */
static void release_first_error(struct cfg_space *cfg)
{
	uint8_t *aer = cfg->value + cfg->aer;
	uint32_t control = load_le32(aer + PCI_ERR_CAP);
	if (load_le32(aer + PCI_ERR_UNCOR_STATUS) >> PCI_ERR_CAP_FEP(control) & 1)
		return;
	store_le32(aer + PCI_ERR_CAP, control & ~(uint32_t)PCI_ERR_CAP_FEP(~0u));
	memset(aer + PCI_ERR_HEADER_LOG, 0, 16);
}

static uint32_t bits_of_enables(uint8_t be)
{
	uint32_t bits = 0;
	for (unsigned i = 0; i < 4; i++)
		if (be >> i & 1)
			bits |= 0xffu << 8 * i;
	return bits;
}

unsigned cfg_space_write32(struct cfg_space *cfg, uint16_t reg, uint32_t data, uint8_t be)
{
	uint32_t enabled = bits_of_enables(be);
	uint32_t before = cfg_space_read32(cfg, reg);
	uint32_t writable = load_le32(cfg->writable + reg) & enabled;
	uint32_t cleared = load_le32(cfg->rw1c + reg) & enabled & data;

	store_le32(cfg->value + reg, ((before & ~writable) | (data & writable)) & ~cleared);
	if (reg == cfg->pm + PCI_PM_CTRL)
		keep_supported_power_state(cfg, before & PCI_PM_CTRL_STATE_MASK);
	if (reg == cfg->aer + PCI_ERR_UNCOR_STATUS)
		release_first_error(cfg);
	decode_control(cfg);
	return effect_of_change(cfg, reg, before ^ cfg_space_read32(cfg, reg)) |
	       effect_of_write(cfg, reg, data & enabled, be);
}

void cfg_space_reset(struct cfg_space *cfg, enum cfg_reset kind)
{
	for (unsigned i = 0; i < CFG_SPACE_BYTES; i++) {
		uint8_t kept = 0;
		if (kind != CFG_RESET_FUNDAMENTAL)
			kept |= cfg->sticky[i];
		if (kind == CFG_RESET_FLR)
			kept |= cfg->flr_kept[i];
		cfg->value[i] = (uint8_t)((cfg->value[i] & kept) | (cfg->reset[i] & ~kept));
	}
	decode_control(cfg);
}

struct cfg_virtio_window cfg_space_virtio_window(const struct cfg_space *cfg)
{
	ASSERT(cfg->virtio_window != 0);
	const uint8_t *cap = cfg->value + cfg->virtio_window;
	return (struct cfg_virtio_window){
		.bar = cap[VIRTIO_PCI_CAP_BAR],
		.offset = load_le32(cap + VIRTIO_PCI_CAP_OFFSET),
		.length = load_le32(cap + VIRTIO_PCI_CAP_LENGTH),
	};
}

int cfg_space_decode(const struct cfg_space *cfg, uint64_t addr, uint32_t bytes, uint64_t *offset)
{
	const struct cfg_control *c = &cfg->control;
	if (!c->memory_space || c->power_state != POWER_STATE_D0)
		return CFG_DECODE_NONE;
	for (unsigned i = 0; i < CFG_BAR_COUNT; i++) {
		uint64_t from_start = addr - c->bar_addr[i]; /* huge if addr is below */
		if (from_start >= cfg->bar[i].size_bytes)
			continue;
		if (bytes > cfg->bar[i].size_bytes - from_start)
			return CFG_DECODE_OVERRUN;
		*offset = from_start;
		return (int)i;
	}
	return CFG_DECODE_NONE;
}

void cfg_space_set_status(struct cfg_space *cfg, unsigned bits)
{
	uint8_t *status = cfg->value + PCI_STATUS;
	ASSERT((bits & ~(unsigned)load_le16(cfg->rw1c + PCI_STATUS)) == 0);
	if (!(load_le16(cfg->value + PCI_COMMAND) & PCI_COMMAND_PARITY))
		bits &= ~(unsigned)CFG_STATUS_MASTER_DATA_PARITY;
	store_le16(status, (uint16_t)(load_le16(status) | bits));
}

static void set_bit(uint8_t *byte, uint8_t mask, bool on)
{
	*byte = (uint8_t)(on ? *byte | mask : *byte & ~mask);
}

void cfg_space_set_interrupt_status(struct cfg_space *cfg, bool level)
{
	set_bit(cfg->value + PCI_STATUS, CFG_STATUS_INTERRUPT, level);
}

void cfg_space_set_transactions_pending(struct cfg_space *cfg, bool pending)
{
	set_bit(cfg->value + cfg->pcie + PCI_EXP_DEVSTA, PCI_EXP_DEVSTA_TRPND, pending);
}

void cfg_space_set_slot_power(struct cfg_space *cfg, uint32_t value_dw)
{
	uint8_t *devcap = cfg->value + cfg->pcie + PCI_EXP_DEVCAP;
	uint32_t other = load_le32(devcap) & ~(uint32_t)(PCI_EXP_DEVCAP_PWR_VAL | PCI_EXP_DEVCAP_PWR_SCL);
	store_le32(devcap, other | (value_dw & 0x3ff) << 18);
}
