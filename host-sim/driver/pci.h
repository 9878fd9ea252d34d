/* PCI side of the driver: enumeration, BARs, capabilities, MSI-X (PCIe 6.0 §7.5, §7.7; virtio 1.4 §4.1). */
#ifndef KICKSTAND_HOST_SIM_DRIVER_PCI_H
#define KICKSTAND_HOST_SIM_DRIVER_PCI_H

#include "host-sim/driver/host_ops.h"

#include <linux/pci_regs.h>

#define PCI_BARS 6u

struct pci_bar {
	uint64_t addr, bytes; /* 0 bytes: not implemented */
	bool is_64bit, prefetchable, is_io;
};

struct pci_device {
	const struct host_ops *ops;
	uint16_t vendor_id, device_id, subsystem_id;
	uint8_t revision_id;
	struct pci_bar bar[PCI_BARS];
	unsigned pm, msix, pcie; /* capability offsets, 0 = none */
	unsigned msix_vectors;
	uint64_t msix_table; /* address */
};

/* What the host wants of the link's ends. */
struct pci_settings {
	unsigned mps_bytes, mrrs_bytes;
	bool extended_tags, tags_10bit;
};

/* Finds the card, sizes and places its BARs, walks its capabilities, programs Device Control, switches memory space and
 * bus mastering on. Returns 0, or -1 with a one-line reason. */
MUST_USE int pci_probe(struct pci_device *pci, const struct host_ops *ops,
		       const struct pci_settings *settings, char *error, size_t error_size);

/* As many capabilities as fit behind the header: a list that is longer is a loop. */
#define PCI_CAPABILITIES_MAX 48u

/* Offset of the first capability with this ID after `from` (0 = from the start), 0 if there is none. In a list that is a
 * loop there is always one more: callers that go through all of them stop after PCI_CAPABILITIES_MAX. */
unsigned pci_find_capability(const struct pci_device *pci, unsigned id, unsigned from);

/* Points an MSI-X table entry at a message and unmasks it. */
void pci_msix_set(const struct pci_device *pci, unsigned entry, uint64_t addr, uint32_t data);
void pci_msix_mask(const struct pci_device *pci, unsigned entry, bool mask);
void pci_msix_enable(const struct pci_device *pci, bool enable);

void pci_set_command(const struct pci_device *pci, uint16_t set, uint16_t clear);

/* Function-level reset as software does it: quiet the function, wait, reset, wait, restore nothing (RST-007). */
void pci_function_reset(const struct pci_device *pci);

/* Places the BARs again at the addresses pci_probe chose, and restores Device Control: after a reset. */
void pci_restore(const struct pci_device *pci, const struct pci_settings *settings);

#endif
