/* What the files of the configuration space share among themselves; others include pcie/cfg_space.h. */
#ifndef KICKSTAND_PCIE_CFG_LAYOUT_H
#define KICKSTAND_PCIE_CFG_LAYOUT_H

#include "pcie/cfg_space.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CFG_FIRST_CAPABILITY 0x40u
#define CFG_EXTENDED_START   0x100u

/* Sizes of the capabilities in between. */
#define CFG_PM_BYTES      8u
#define CFG_MSIX_BYTES    12u
#define CFG_EXPRESS_BYTES 60u

/* virtio 1.4 §4.1.4: 16 bytes, and 4 more for NOTIFY_CFG and PCI_CFG, which have a field of their own. */
unsigned cfg_virtio_cap_bytes(const struct cfg_virtio_cap *cap);

/* Device Control 2: 10-Bit Tag Requester Enable; a name <linux/pci_regs.h> has not got. */
#define CFG_DEVCTL2_10BIT_TAG_REQUESTER 0x1000u

/* Returns 0, or -1 with a one-line reason. */
MUST_USE int cfg_layout_check(const struct cfg_space_config *config, char *error, size_t error_size);

#ifdef __cplusplus
}
#endif
#endif
