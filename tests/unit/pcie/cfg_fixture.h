/* The configuration space of the default endpoint, and its offsets worked out by hand: PM 0x40 (8 bytes),
 * MSI-X 0x48 (12), PCI Express 0x54 (60), then virtio 0x90 (16, 16, 16, 20, 20). Numbers, not
 * <linux/pci_regs.h>: the code under test uses that header. */
#ifndef KICKSTAND_TESTS_UNIT_PCIE_CFG_FIXTURE_H
#define KICKSTAND_TESTS_UNIT_PCIE_CFG_FIXTURE_H

#include "pcie/cfg_space.h"
#include "tests/check.h"

enum {
	COMMAND = 0x04, /* with Status in the upper half */
	BAR0 = 0x10,
	BAR1 = 0x14,
	BAR4 = 0x20,
	BAR5 = 0x24,
	PMC = 0x40,
	PMCSR = 0x44,
	MSIX = 0x48,
	EXPRESS = 0x54,
	DEVCAP = EXPRESS + 0x04,
	DEVCTL = EXPRESS + 0x08, /* with Device Status */
	LNKCAP = EXPRESS + 0x0c,
	LNKCTL = EXPRESS + 0x10, /* with Link Status */
	DEVCAP2 = EXPRESS + 0x24,
	DEVCTL2 = EXPRESS + 0x28,
	LNKCAP2 = EXPRESS + 0x2c,
	LNKCTL2 = EXPRESS + 0x30,
	VIRTIO = 0x90,
	WINDOW = 0xd4, /* PCI_CFG */
	AER = 0x100,
	UNCOR_STATUS = AER + 0x04,
	UNCOR_MASK = AER + 0x08,
	UNCOR_SEVERITY = AER + 0x0c,
	COR_STATUS = AER + 0x10,
	COR_MASK = AER + 0x14,
	AER_CONTROL = AER + 0x18,
	HEADER_LOG = AER + 0x1c,
	SERIAL = 0x148,
};

enum {
	COMMAND_MEMORY = 0x0002,
	COMMAND_MASTER = 0x0004,
	COMMAND_PARITY = 0x0040,
	COMMAND_SERR = 0x0100,
	COMMAND_INTX_DISABLE = 0x0400
};

static const struct cfg_virtio_cap default_virtio_caps[] = {
	{.cfg_type = 1, .bar = 4, .offset = 0x0000, .length = 0x1000},
	{.cfg_type = 3, .bar = 4, .offset = 0x1000, .length = 0x1000},
	{.cfg_type = 4, .bar = 4, .offset = 0x2000, .length = 0x1000},
	{.cfg_type = 2, .bar = 4, .offset = 0x3000, .length = 0x1000, .notify_off_multiplier = 4},
	{.cfg_type = 5},
};

static inline struct cfg_space_config default_config(void)
{
	return (struct cfg_space_config){
		.vendor_id = 0x1af4,
		.device_id = 0x1042,
		.subsystem_vendor_id = 0x1af4,
		.subsystem_id = 0x1100,
		.revision_id = 1,
		.class_code = 0x010000,
		.bar = {[1] = {.size_bytes = 4096},
			[4] = {.size_bytes = 16384, .is_64bit = true, .prefetchable = true}},
		.interrupt_pin = 1,
		.msix_vectors = 5,
		.msix_bar = 1,
		.msix_table_offset = 0,
		.msix_pba_offset = 0x800,
		.link_generation = 3,
		.link_lanes = 8,
		.mps_supported_bytes = 512,
		.extended_tag_supported = true,
		.tag_10bit_requester_supported = true,
		.serial_number = 0x0123456789abcdef,
		.virtio_cap = default_virtio_caps,
		.virtio_cap_count = ARRAY_SIZE(default_virtio_caps),
	};
}

static inline void cfg_setup(struct cfg_space *cfg)
{
	const struct cfg_space_config config = default_config();
	char error[128] = "";
	if (cfg_space_init(cfg, &config, error, sizeof(error)) != 0)
		fail_msg("%s", error);
}

static inline unsigned cfg_write(struct cfg_space *cfg, unsigned reg, uint32_t data)
{
	return cfg_space_write32(cfg, (uint16_t)reg, data, 0xf);
}

/* The lower half of a DW: Command, Device Control and Link Control share theirs with RW1C status bits. */
static inline unsigned cfg_write16(struct cfg_space *cfg, unsigned reg, uint32_t data)
{
	return cfg_space_write32(cfg, (uint16_t)reg, data, 0x3);
}

static inline uint32_t cfg_read(const struct cfg_space *cfg, unsigned reg)
{
	return cfg_space_read32(cfg, (uint16_t)reg);
}

/* BAR1 at 0xfebf1000, BAR4 at 0x9_0000_4000, memory and bus mastering on. */
static inline void cfg_enable(struct cfg_space *cfg)
{
	cfg_write(cfg, BAR1, 0xfebf1000);
	cfg_write(cfg, BAR4, 0x00004000);
	cfg_write(cfg, BAR5, 0x9);
	cfg_write16(cfg, COMMAND, COMMAND_MEMORY | COMMAND_MASTER);
}

#endif
