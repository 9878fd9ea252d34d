#include "host-sim/driver/settings.h"

struct pci_settings pci_settings_of(const struct config *config)
{
	return (struct pci_settings){
		.mps_bytes = config->link.mps,
		.mrrs_bytes = config->link.mrrs,
		.extended_tags = config->link.tags > 32,
		.tags_10bit = config->link.tags > 256,
	};
}

struct blk_settings blk_settings_of(const struct config *config, uint32_t max_bytes, unsigned vcpus)
{
	return (struct blk_settings){
		.pci = pci_settings_of(config),
		.event_idx = config->guest.event_idx,
		.indirect = config->guest.indirect,
		.notification_data = config->guest.notification_data,
		.in_order = config->guest.in_order,
		.config_wce = config->guest.config_wce,
		.msix = config->guest.msix,
		.queues = config->guest.queues,
		.queue_size = config->guest.queue_size,
		.segment_bytes = config->guest.segment_bytes,
		.max_bytes = max_bytes,
		.vcpus = vcpus,
	};
}
