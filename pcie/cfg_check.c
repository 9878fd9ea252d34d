/* Can the wanted configuration space be laid out? Says what is wrong, where, and what to use instead. */
#include "pcie/cfg_layout.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <stdarg.h>
#include <stdio.h>

struct reason {
	char *text;
	size_t size;
};

PRINTF_LIKE(2, 3) static int refuse(const struct reason *why, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why->text, why->size, format, args);
	va_end(args);
	return -1;
}

static int check_bars(const struct cfg_space_config *config, const struct reason *why)
{
	for (unsigned i = 0; i < CFG_BAR_COUNT; i++) {
		const struct cfg_bar *bar = &config->bar[i];
		uint64_t size_max = bar->is_64bit ? UINT64_C(1) << 63 : UINT64_C(1) << 31;
		if (bar->size_bytes == 0)
			continue;
		if (!is_power_of_2(bar->size_bytes) || bar->size_bytes < 128 || bar->size_bytes > size_max)
			return refuse(why, "BAR%u: size %llu is not a power of 2 from 128 to %llu", i,
				      (unsigned long long)bar->size_bytes, (unsigned long long)size_max);
		if (bar->is_64bit && (i + 1 == CFG_BAR_COUNT || config->bar[i + 1].size_bytes != 0))
			return refuse(why, "BAR%u: is 64-bit, so BAR%u must exist and be left empty", i,
				      i + 1);
	}
	return 0;
}

static int check_numbers(const struct cfg_space_config *config, const struct reason *why)
{
	unsigned mps = config->mps_supported_bytes;
	if (config->link_generation < 1 || config->link_generation > 5)
		return refuse(why, "link generation %u: use 1 to 5", config->link_generation);
	if (!is_power_of_2(config->link_lanes) || config->link_lanes > 16)
		return refuse(why, "link of %u lanes: use 1, 2, 4, 8 or 16", config->link_lanes);
	if (!is_power_of_2(mps) || mps < 128 || mps > 4096)
		return refuse(why, "largest payload %u: use a power of 2 from 128 to 4096", mps);
	if (config->class_code >> 24 != 0)
		return refuse(why, "class code 0x%x: use 24 bits", config->class_code);
	if (config->interrupt_pin > 4)
		return refuse(why, "interrupt pin %u: use 0 (none) to 4 (INTD)", config->interrupt_pin);
	if (config->msix_vectors < 1 || config->msix_vectors > 2048)
		return refuse(why, "%u MSI-X vectors: use 1 to 2048", config->msix_vectors);
	return 0;
}

/* A piece of a BAR that a capability points to. */
struct region {
	const char *name;
	uint8_t bar;
	uint32_t offset;
	uint64_t length;
	unsigned alignment;
};

static int check_region(const struct cfg_space_config *config, const struct region *r,
			const struct reason *why)
{
	if (r->bar >= CFG_BAR_COUNT || config->bar[r->bar].size_bytes == 0)
		return refuse(why, "%s: BAR%u is not implemented", r->name, r->bar);
	ASSERT(r->alignment != 0);
	if (r->offset % r->alignment != 0)
		return refuse(why, "%s: offset 0x%x is not a multiple of %u", r->name, r->offset,
			      r->alignment);
	uint64_t size = config->bar[r->bar].size_bytes;
	if (r->offset > size || r->length > size - r->offset)
		return refuse(why, "%s: does not fit into BAR%u, which has %llu bytes", r->name, r->bar,
			      (unsigned long long)size);
	return 0;
}

static int check_apart(const struct region *a, const struct region *b, const struct reason *why)
{
	if (a->bar == b->bar && a->offset < b->offset + b->length && b->offset < a->offset + a->length)
		return refuse(why, "%s and %s overlap in BAR%u", a->name, b->name, a->bar);
	return 0;
}

unsigned cfg_virtio_cap_bytes(const struct cfg_virtio_cap *cap)
{
	bool longer = cap->cfg_type == VIRTIO_PCI_CAP_NOTIFY_CFG || cap->cfg_type == VIRTIO_PCI_CAP_PCI_CFG;
	return sizeof(struct virtio_pci_cap) + (longer ? 4 : 0);
}

static struct region virtio_region(const struct cfg_virtio_cap *cap)
{
	static const struct {
		const char *name;
		unsigned alignment;
	} types[] = {
		[VIRTIO_PCI_CAP_COMMON_CFG] = {"virtio common configuration", 4},
		[VIRTIO_PCI_CAP_NOTIFY_CFG] = {"virtio notification", 2},
		[VIRTIO_PCI_CAP_ISR_CFG] = {"virtio ISR", 1},
		[VIRTIO_PCI_CAP_DEVICE_CFG] = {"virtio device configuration", 4},
	};
	return (struct region){types[cap->cfg_type].name, cap->bar, cap->offset, cap->length,
			       types[cap->cfg_type].alignment};
}

static int check_virtio_cap(const struct cfg_space_config *config, const struct cfg_virtio_cap *cap,
			    const struct region *table, const struct region *pba, const struct reason *why)
{
	const struct region region = virtio_region(cap);
	const uint32_t multiplier = cap->notify_off_multiplier;
	if (check_region(config, &region, why) || check_apart(table, &region, why) ||
	    check_apart(pba, &region, why))
		return -1;
	if (cap->cfg_type == VIRTIO_PCI_CAP_NOTIFY_CFG && multiplier != 0 &&
	    (!is_power_of_2(multiplier) || multiplier % 2 != 0))
		return refuse(why, "notify_off_multiplier %u: use 0 or a power of 2 from 2 on", multiplier);
	return 0;
}

/* MSI-X structures and virtio structures lie inside their BARs, and nothing shares registers with MSI-X. */
static int check_regions(const struct cfg_space_config *config, const struct reason *why)
{
	const unsigned n = config->msix_vectors;
	const struct region table = {"MSI-X table", config->msix_bar, config->msix_table_offset,
				     n * (uint64_t)PCI_MSIX_ENTRY_SIZE, 8};
	const struct region pba = {"MSI-X PBA", config->msix_bar, config->msix_pba_offset, (n + 63) / 64 * 8u,
				   8};
	unsigned end = CFG_FIRST_CAPABILITY + CFG_PM_BYTES + CFG_MSIX_BYTES + CFG_EXPRESS_BYTES;
	unsigned windows = 0;

	if (check_region(config, &table, why) || check_region(config, &pba, why) ||
	    check_apart(&table, &pba, why))
		return -1;
	for (unsigned i = 0; i < config->virtio_cap_count; i++) {
		const struct cfg_virtio_cap *cap = &config->virtio_cap[i];
		if (cap->cfg_type < VIRTIO_PCI_CAP_COMMON_CFG || cap->cfg_type > VIRTIO_PCI_CAP_PCI_CFG)
			return refuse(why, "virtio capability %u: type %u, use 1 to 5", i, cap->cfg_type);
		if (cap->cfg_type == VIRTIO_PCI_CAP_PCI_CFG)
			windows++;
		else if (check_virtio_cap(config, cap, &table, &pba, why))
			return -1;
		end += cfg_virtio_cap_bytes(cap);
	}
	if (windows > 1)
		return refuse(why, "%u virtio PCI configuration access capabilities: use one", windows);
	if (end > CFG_EXTENDED_START)
		return refuse(why, "capabilities end at 0x%x, beyond 0xff: use fewer virtio capabilities",
			      end);
	return 0;
}

int cfg_layout_check(const struct cfg_space_config *config, char *error, size_t error_size)
{
	const struct reason why = {error, error_size};
	if (check_bars(config, &why) || check_numbers(config, &why) || check_regions(config, &why))
		return -1;
	return 0;
}
