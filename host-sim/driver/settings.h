/* What the configuration wants of the driver. */
#ifndef KICKSTAND_HOST_SIM_DRIVER_SETTINGS_H
#define KICKSTAND_HOST_SIM_DRIVER_SETTINGS_H

#include "host-sim/driver/blk.h"
#include "rtl-model/config.h"

/* [link] */
struct pci_settings pci_settings_of(const struct config *config);

/* [link] and [guest]. `max_bytes` is the data of the largest request there will be, `vcpus` the guest's CPUs. */
struct blk_settings blk_settings_of(const struct config *config, uint32_t max_bytes, unsigned vcpus);

#endif
