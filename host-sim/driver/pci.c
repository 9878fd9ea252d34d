#include "host-sim/driver/pci.h"

#include <inttypes.h>
#include <stdio.h>

#include <linux/virtio_ids.h>

#define VENDOR_VIRTIO             0x1af4u
#define DEVICE_MODERN_BLOCK       (0x1040u + VIRTIO_ID_BLOCK)
#define DEVICE_TRANSITIONAL_BLOCK 0x1001u

/* Windows of the host bridge, as a PC's firmware hands them out: below 4 GiB for 32-bit BARs, far above memory for
 * 64-bit ones. */
#define WINDOW_32_BASE UINT64_C(0xfe000000)
#define WINDOW_32_END  UINT64_C(0xfe800000)
#define WINDOW_64_BASE UINT64_C(0x200000000000)

#define MSIX_ENTRY_BYTES 16u
#define FLR_WAIT_NS      100000000u /* PCIe 6.0 §6.6.2: 100 ms */

static uint32_t read(const struct pci_device *pci, unsigned reg, unsigned bytes)
{
	return pci->ops->config_read(pci->ops->ctx, reg, bytes);
}

static void write(const struct pci_device *pci, unsigned reg, unsigned bytes, uint32_t value)
{
	pci->ops->config_write(pci->ops->ctx, reg, bytes, value);
}

unsigned pci_find_capability(const struct pci_device *pci, unsigned id, unsigned from)
{
	if (!(read(pci, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	unsigned at = read(pci, from ? from + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST, 1) & ~3u;
	for (unsigned i = 0; at >= PCI_STD_HEADER_SIZEOF && i < PCI_CAPABILITIES_MAX; i++) {
		if (read(pci, at + PCI_CAP_LIST_ID, 1) == id)
			return at;
		at = read(pci, at + PCI_CAP_LIST_NEXT, 1) & ~3u;
	}
	return 0;
}

/* Size and kind of BAR `index` (PCIe 6.0 §7.5.1.2.1), with decoding off. Returns how many registers it takes. */
static unsigned size_bar(struct pci_device *pci, unsigned index)
{
	struct pci_bar *bar = &pci->bar[index];
	unsigned reg = PCI_BASE_ADDRESS_0 + 4 * index;
	write(pci, reg, 4, UINT32_MAX);
	uint32_t low = read(pci, reg, 4);
	*bar = (struct pci_bar){0};
	if (low == 0)
		return 1;
	bar->is_io = low & PCI_BASE_ADDRESS_SPACE_IO;
	if (bar->is_io) {
		bar->bytes = (~(low & PCI_BASE_ADDRESS_IO_MASK) & 0xffff) + 1;
		return 1;
	}
	bar->is_64bit = (low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
	bar->prefetchable = low & PCI_BASE_ADDRESS_MEM_PREFETCH;
	uint64_t mask = low & PCI_BASE_ADDRESS_MEM_MASK;
	if (!bar->is_64bit) {
		bar->bytes = (uint32_t)~mask + UINT64_C(1);
		return 1;
	}
	if (index + 1 == PCI_BARS)
		return 1; /* without a second half: of no use */
	write(pci, reg + 4, 4, UINT32_MAX);
	mask = (mask & UINT32_MAX) | (uint64_t)read(pci, reg + 4, 4) << 32;
	bar->bytes = ~mask + 1;
	return 2;
}

static void write_bar(const struct pci_device *pci, unsigned index)
{
	unsigned reg = PCI_BASE_ADDRESS_0 + 4 * index;
	write(pci, reg, 4, (uint32_t)pci->bar[index].addr);
	if (pci->bar[index].is_64bit)
		write(pci, reg + 4, 4, (uint32_t)(pci->bar[index].addr >> 32));
}

static int place_bars(struct pci_device *pci, char *error, size_t error_size)
{
	uint64_t next_32 = WINDOW_32_BASE, next_64 = WINDOW_64_BASE;
	for (unsigned i = 0; i < PCI_BARS; i += size_bar(pci, i))
		;
	for (unsigned i = 0; i < PCI_BARS; i++) {
		struct pci_bar *bar = &pci->bar[i];
		uint64_t *next = bar->is_64bit ? &next_64 : &next_32;
		if (bar->bytes == 0 || bar->is_io)
			continue;
		bar->addr = (*next + bar->bytes - 1) & ~(bar->bytes - 1);
		*next = bar->addr + bar->bytes;
		if (!bar->is_64bit && *next > WINDOW_32_END) {
			snprintf(error, error_size,
				 "BAR %u needs %" PRIu64 " bytes, more than the 32-bit window has", i,
				 bar->bytes);
			return -1;
		}
		write_bar(pci, i);
	}
	return 0;
}

static unsigned size_code(unsigned bytes)
{
	return (unsigned)__builtin_ctz(bytes) - 7; /* 128 << code */
}

static void set_device_control(const struct pci_device *pci, const struct pci_settings *settings)
{
	uint16_t control = (uint16_t)read(pci, pci->pcie + PCI_EXP_DEVCTL, 2);
	uint32_t capabilities = read(pci, pci->pcie + PCI_EXP_DEVCAP, 4);
	unsigned mps_code = min_u32(size_code(settings->mps_bytes), capabilities & PCI_EXP_DEVCAP_PAYLOAD);
	control &= (uint16_t) ~(PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_READRQ | PCI_EXP_DEVCTL_EXT_TAG);
	control |= (uint16_t)(mps_code << 5 | size_code(settings->mrrs_bytes) << 12);
	if (settings->extended_tags && (capabilities & PCI_EXP_DEVCAP_EXT_TAG))
		control |= PCI_EXP_DEVCTL_EXT_TAG;
	control |= PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE;
	write(pci, pci->pcie + PCI_EXP_DEVCTL, 2, control);
	/* 10-Bit Tag Requester Enable, PCIe 6.0 §7.5.3.16 bit 12; supported: §7.5.3.15 bit 17 */
	if (settings->tags_10bit && (read(pci, pci->pcie + PCI_EXP_DEVCAP2, 4) & 1u << 17))
		write(pci, pci->pcie + PCI_EXP_DEVCTL2, 2,
		      read(pci, pci->pcie + PCI_EXP_DEVCTL2, 2) | 1u << 12);
}

static void find_msix(struct pci_device *pci)
{
	pci->msix = pci_find_capability(pci, PCI_CAP_ID_MSIX, 0);
	pci->msix_vectors = 0;
	if (!pci->msix)
		return;
	uint32_t table = read(pci, pci->msix + PCI_MSIX_TABLE, 4);
	unsigned bar = table & PCI_MSIX_TABLE_BIR;
	uint32_t offset = table & PCI_MSIX_TABLE_OFFSET;
	unsigned vectors = (read(pci, pci->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
	if (bar >= PCI_BARS || pci->bar[bar].is_io ||
	    offset + (uint64_t)vectors * MSIX_ENTRY_BYTES > pci->bar[bar].bytes)
		return;
	pci->msix_vectors = vectors;
	pci->msix_table = pci->bar[bar].addr + offset;
}

void pci_set_command(const struct pci_device *pci, uint16_t set, uint16_t clear)
{
	uint16_t command = (uint16_t)read(pci, PCI_COMMAND, 2);
	write(pci, PCI_COMMAND, 2, (command & (uint16_t)~clear) | set);
}

int pci_probe(struct pci_device *pci, const struct host_ops *ops, const struct pci_settings *settings,
	      char *error, size_t error_size)
{
	*pci = (struct pci_device){.ops = ops};
	pci->vendor_id = (uint16_t)read(pci, PCI_VENDOR_ID, 2);
	pci->device_id = (uint16_t)read(pci, PCI_DEVICE_ID, 2);
	if (pci->vendor_id != VENDOR_VIRTIO ||
	    (pci->device_id != DEVICE_MODERN_BLOCK && pci->device_id != DEVICE_TRANSITIONAL_BLOCK)) {
		snprintf(error, error_size, "no virtio block device behind the root port, found %04x:%04x",
			 pci->vendor_id, pci->device_id);
		return -1;
	}
	if ((read(pci, PCI_HEADER_TYPE, 1) & PCI_HEADER_TYPE_MASK) != PCI_HEADER_TYPE_NORMAL) {
		snprintf(error, error_size, "the device has the configuration header of a bridge");
		return -1;
	}
	pci->revision_id = (uint8_t)read(pci, PCI_REVISION_ID, 1);
	pci->subsystem_id = (uint16_t)read(pci, PCI_SUBSYSTEM_ID, 2);
	pci_set_command(pci, 0, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (place_bars(pci, error, error_size) != 0)
		return -1;
	pci->pm = pci_find_capability(pci, PCI_CAP_ID_PM, 0);
	pci->pcie = pci_find_capability(pci, PCI_CAP_ID_EXP, 0);
	find_msix(pci);
	if (pci->pcie)
		set_device_control(pci, settings);
	pci_set_command(pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, PCI_COMMAND_INTX_DISABLE);
	return 0;
}

void pci_msix_set(const struct pci_device *pci, unsigned entry, uint64_t addr, uint32_t data)
{
	const struct host_ops *ops = pci->ops;
	uint64_t at = pci->msix_table + (uint64_t)entry * MSIX_ENTRY_BYTES;
	ops->mmio_write(ops->ctx, at + PCI_MSIX_ENTRY_LOWER_ADDR, 4, (uint32_t)addr);
	ops->mmio_write(ops->ctx, at + PCI_MSIX_ENTRY_UPPER_ADDR, 4, (uint32_t)(addr >> 32));
	ops->mmio_write(ops->ctx, at + PCI_MSIX_ENTRY_DATA, 4, data);
	ops->mmio_write(ops->ctx, at + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
}

void pci_msix_mask(const struct pci_device *pci, unsigned entry, bool mask)
{
	pci->ops->mmio_write(pci->ops->ctx,
			     pci->msix_table + (uint64_t)entry * MSIX_ENTRY_BYTES +
				     PCI_MSIX_ENTRY_VECTOR_CTRL,
			     4, mask ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}

void pci_msix_enable(const struct pci_device *pci, bool enable)
{
	uint16_t flags = (uint16_t)read(pci, pci->msix + PCI_MSIX_FLAGS, 2);
	flags &= (uint16_t) ~(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	write(pci, pci->msix + PCI_MSIX_FLAGS, 2, enable ? flags | PCI_MSIX_FLAGS_ENABLE : flags);
}

void pci_function_reset(const struct pci_device *pci)
{
	pci_set_command(pci, 0, PCI_COMMAND_MASTER);
	for (unsigned i = 0; i < 100; i++) {
		if (!(read(pci, pci->pcie + PCI_EXP_DEVSTA, 2) & PCI_EXP_DEVSTA_TRPND))
			break;
		pci->ops->delay_ns(pci->ops->ctx, 1000000);
	}
	uint16_t control = (uint16_t)read(pci, pci->pcie + PCI_EXP_DEVCTL, 2);
	write(pci, pci->pcie + PCI_EXP_DEVCTL, 2, control | PCI_EXP_DEVCTL_BCR_FLR);
	pci->ops->delay_ns(pci->ops->ctx, FLR_WAIT_NS);
}

void pci_restore(const struct pci_device *pci, const struct pci_settings *settings)
{
	for (unsigned i = 0; i < PCI_BARS; i++)
		if (pci->bar[i].bytes != 0)
			write_bar(pci, i);
	if (pci->pcie)
		set_device_control(pci, settings);
	pci_set_command(pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, PCI_COMMAND_INTX_DISABLE);
}
