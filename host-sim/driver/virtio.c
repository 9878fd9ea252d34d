#include "host-sim/driver/virtio.h"

#include <inttypes.h>
#include <stdio.h>

#define POLL_NS        1000u
#define Q_RESET_OFFSET 58u /* queue_reset, virtio 1.4 §4.1.4.3; newer kernel headers name it */

static uint32_t config(const struct pci_device *pci, unsigned reg, unsigned bytes)
{
	return pci->ops->config_read(pci->ops->ctx, reg, bytes);
}

/* The capability at `at` as a window; 0 bytes if its BAR is reserved, absent or too small. */
static struct virtio_window window_of(const struct pci_device *pci, unsigned at)
{
	struct virtio_window window = {.capability = at};
	unsigned bar = config(pci, at + VIRTIO_PCI_CAP_BAR, 1);
	uint32_t offset = config(pci, at + VIRTIO_PCI_CAP_OFFSET, 4);
	uint32_t bytes = config(pci, at + VIRTIO_PCI_CAP_LENGTH, 4);
	if (bar >= PCI_BARS || pci->bar[bar].is_io || offset > pci->bar[bar].bytes ||
	    bytes > pci->bar[bar].bytes - offset)
		return window;
	window.addr = pci->bar[bar].addr + offset;
	window.bytes = bytes;
	return window;
}

int virtio_find(struct virtio_device *virtio, struct pci_device *pci, char *error, size_t error_size)
{
	*virtio = (struct virtio_device){.pci = pci};
	struct virtio_window *const windows[] = {
		[VIRTIO_PCI_CAP_COMMON_CFG] = &virtio->common, [VIRTIO_PCI_CAP_NOTIFY_CFG] = &virtio->notify,
		[VIRTIO_PCI_CAP_ISR_CFG] = &virtio->isr,       [VIRTIO_PCI_CAP_DEVICE_CFG] = &virtio->device,
		[VIRTIO_PCI_CAP_PCI_CFG] = &virtio->pci_cfg,
	};
	for (unsigned at = 0, i = 0; i < PCI_CAPABILITIES_MAX; i++) {
		at = pci_find_capability(pci, PCI_CAP_ID_VNDR, at);
		if (at == 0)
			break;
		unsigned type = config(pci, at + VIRTIO_PCI_CAP_CFG_TYPE, 1);
		if (type == 0 || type >= ARRAY_SIZE(windows) || windows[type]->capability != 0)
			continue;
		struct virtio_window window = window_of(pci, at);
		if (window.bytes == 0 && type != VIRTIO_PCI_CAP_PCI_CFG)
			continue;
		*windows[type] = window;
		if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
			virtio->notify_multiplier = config(pci, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
	}
	if (virtio->common.bytes >= VIRTIO_PCI_COMMON_Q_USEDHI + 4 && virtio->notify.bytes >= 2 &&
	    virtio->isr.bytes >= 1 && virtio->device.bytes >= 8)
		return 0;
	snprintf(error, error_size,
		 "the card lacks virtio capabilities: common %u, notify %u, ISR %u, device %u bytes",
		 virtio->common.bytes, virtio->notify.bytes, virtio->isr.bytes, virtio->device.bytes);
	return -1;
}

static uint32_t mmio_read(const struct virtio_device *virtio, uint64_t addr, unsigned bytes)
{
	return virtio->pci->ops->mmio_read(virtio->pci->ops->ctx, addr, bytes);
}

static void mmio_write(const struct virtio_device *virtio, uint64_t addr, unsigned bytes, uint32_t value)
{
	virtio->pci->ops->mmio_write(virtio->pci->ops->ctx, addr, bytes, value);
}

uint32_t virtio_common_read(const struct virtio_device *virtio, unsigned offset, unsigned bytes)
{
	return mmio_read(virtio, virtio->common.addr + offset, bytes);
}

void virtio_common_write(const struct virtio_device *virtio, unsigned offset, unsigned bytes, uint32_t value)
{
	mmio_write(virtio, virtio->common.addr + offset, bytes, value);
}

static void delay_ns(const struct virtio_device *virtio, uint64_t ns)
{
	virtio->pci->ops->delay_ns(virtio->pci->ops->ctx, ns);
}

/* ---- status and features ---- */

uint8_t virtio_status(const struct virtio_device *virtio)
{
	return (uint8_t)virtio_common_read(virtio, VIRTIO_PCI_COMMON_STATUS, 1);
}

void virtio_add_status(const struct virtio_device *virtio, uint8_t bits)
{
	virtio_common_write(virtio, VIRTIO_PCI_COMMON_STATUS, 1, virtio_status(virtio) | bits);
}

int virtio_reset(const struct virtio_device *virtio, uint64_t limit_ns)
{
	virtio_common_write(virtio, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	for (uint64_t waited_ns = 0; virtio_status(virtio) != 0; waited_ns += POLL_NS) {
		if (waited_ns >= limit_ns)
			return -1;
		delay_ns(virtio, POLL_NS);
	}
	return 0;
}

uint64_t virtio_device_features(const struct virtio_device *virtio)
{
	virtio_common_write(virtio, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	uint64_t features = virtio_common_read(virtio, VIRTIO_PCI_COMMON_DF, 4);
	virtio_common_write(virtio, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	return features | (uint64_t)virtio_common_read(virtio, VIRTIO_PCI_COMMON_DF, 4) << 32;
}

static void write_features(const struct virtio_device *virtio, uint64_t features)
{
	virtio_common_write(virtio, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	virtio_common_write(virtio, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)features);
	virtio_common_write(virtio, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	virtio_common_write(virtio, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> 32));
}

int virtio_negotiate(struct virtio_device *virtio, uint64_t wanted, char *error, size_t error_size)
{
	if (virtio_reset(virtio, 1000000000) != 0) {
		snprintf(error, error_size, "device reset does not end: status %#x", virtio_status(virtio));
		return -1;
	}
	virtio_add_status(virtio, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	virtio_add_status(virtio, VIRTIO_CONFIG_S_DRIVER);
	uint64_t offered = virtio_device_features(virtio);
	virtio->features = offered & wanted;
	write_features(virtio, virtio->features);
	virtio_add_status(virtio, VIRTIO_CONFIG_S_FEATURES_OK);
	if (virtio_status(virtio) & VIRTIO_CONFIG_S_FEATURES_OK)
		return 0;
	virtio_add_status(virtio, VIRTIO_CONFIG_S_FAILED);
	snprintf(error, error_size, "the card refuses features %#" PRIx64 " of the %#" PRIx64 " it offers",
		 virtio->features, offered);
	return -1;
}

bool virtio_has(const struct virtio_device *virtio, unsigned feature)
{
	return virtio->features >> feature & 1;
}

/* ---- device configuration ---- */

uint32_t virtio_config_read(const struct virtio_device *virtio, unsigned offset, unsigned bytes)
{
	return mmio_read(virtio, virtio->device.addr + offset, bytes);
}

uint64_t virtio_config_read64(const struct virtio_device *virtio, unsigned offset)
{
	for (;;) {
		uint32_t before = virtio_common_read(virtio, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
		uint64_t low = virtio_config_read(virtio, offset, 4);
		uint64_t high = virtio_config_read(virtio, offset + 4, 4);
		if (virtio_common_read(virtio, VIRTIO_PCI_COMMON_CFGGENERATION, 1) == before)
			return low | high << 32;
	}
}

void virtio_config_write(const struct virtio_device *virtio, unsigned offset, unsigned bytes, uint32_t value)
{
	mmio_write(virtio, virtio->device.addr + offset, bytes, value);
}

/* ---- queues ---- */

static void select_queue(const struct virtio_device *virtio, unsigned index)
{
	virtio_common_write(virtio, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
}

uint16_t virtio_queue_size(const struct virtio_device *virtio, unsigned index)
{
	select_queue(virtio, index);
	return (uint16_t)virtio_common_read(virtio, VIRTIO_PCI_COMMON_Q_SIZE, 2);
}

uint64_t virtio_queue_doorbell(const struct virtio_device *virtio, unsigned index)
{
	select_queue(virtio, index);
	return virtio->notify.addr +
	       (uint64_t)virtio_common_read(virtio, VIRTIO_PCI_COMMON_Q_NOFF, 2) * virtio->notify_multiplier;
}

static void write64(const struct virtio_device *virtio, unsigned offset, uint64_t value)
{
	virtio_common_write(virtio, offset, 4, (uint32_t)value);
	virtio_common_write(virtio, offset + 4, 4, (uint32_t)(value >> 32));
}

int virtio_queue_enable(const struct virtio_device *virtio, unsigned index, const struct virtqueue *vq,
			uint16_t vector)
{
	select_queue(virtio, index);
	virtio_common_write(virtio, VIRTIO_PCI_COMMON_Q_SIZE, 2, vq->size);
	write64(virtio, VIRTIO_PCI_COMMON_Q_DESCLO, vq->desc_addr);
	write64(virtio, VIRTIO_PCI_COMMON_Q_AVAILLO, vq->avail_addr);
	write64(virtio, VIRTIO_PCI_COMMON_Q_USEDLO, vq->used_addr);
	if (vector != VIRTIO_MSI_NO_VECTOR) {
		virtio_common_write(virtio, VIRTIO_PCI_COMMON_Q_MSIX, 2, vector);
		if (virtio_common_read(virtio, VIRTIO_PCI_COMMON_Q_MSIX, 2) != vector)
			return -1; /* G-087 */
	}
	virtio_common_write(virtio, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	return 0;
}

int virtio_queue_reset(const struct virtio_device *virtio, unsigned index, uint64_t limit_ns)
{
	select_queue(virtio, index);
	virtio_common_write(virtio, Q_RESET_OFFSET, 2, 1);
	for (uint64_t waited_ns = 0; virtio_common_read(virtio, Q_RESET_OFFSET, 2) != 0 ||
				     virtio_common_read(virtio, VIRTIO_PCI_COMMON_Q_ENABLE, 2) != 0;
	     waited_ns += POLL_NS) {
		if (waited_ns >= limit_ns)
			return -1;
		delay_ns(virtio, POLL_NS);
		select_queue(virtio, index);
	}
	return 0;
}

int virtio_config_vector(const struct virtio_device *virtio, uint16_t vector)
{
	virtio_common_write(virtio, VIRTIO_PCI_COMMON_MSIX, 2, vector);
	return virtio_common_read(virtio, VIRTIO_PCI_COMMON_MSIX, 2) == vector ? 0 : -1;
}

uint8_t virtio_isr(const struct virtio_device *virtio)
{
	return (uint8_t)mmio_read(virtio, virtio->isr.addr, 1);
}

/* ---- the access window in configuration space ---- */

static void set_window(const struct virtio_device *virtio, unsigned bar, uint32_t offset, unsigned bytes)
{
	const struct host_ops *ops = virtio->pci->ops;
	unsigned at = virtio->pci_cfg.capability;
	ops->config_write(ops->ctx, at + VIRTIO_PCI_CAP_BAR, 1, bar);
	ops->config_write(ops->ctx, at + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	ops->config_write(ops->ctx, at + VIRTIO_PCI_CAP_LENGTH, 4, bytes);
}

uint32_t virtio_window_read(const struct virtio_device *virtio, unsigned bar, uint32_t offset, unsigned bytes)
{
	const struct host_ops *ops = virtio->pci->ops;
	set_window(virtio, bar, offset, bytes);
	return ops->config_read(ops->ctx, virtio->pci_cfg.capability + sizeof(struct virtio_pci_cap), bytes);
}

void virtio_window_write(const struct virtio_device *virtio, unsigned bar, uint32_t offset, unsigned bytes,
			 uint32_t value)
{
	const struct host_ops *ops = virtio->pci->ops;
	set_window(virtio, bar, offset, bytes);
	ops->config_write(ops->ctx, virtio->pci_cfg.capability + sizeof(struct virtio_pci_cap), bytes, value);
}
