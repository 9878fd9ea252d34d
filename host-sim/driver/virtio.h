/* virtio-pci transport, driver's side (virtio 1.4 §3.1, §4.1): capabilities, status, features, queues, doorbells. */
#ifndef KICKSTAND_HOST_SIM_DRIVER_VIRTIO_H
#define KICKSTAND_HOST_SIM_DRIVER_VIRTIO_H

#include "host-sim/driver/pci.h"
#include "host-sim/driver/virtqueue.h"

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

/* A virtio structure in a BAR. */
struct virtio_window {
	uint64_t addr;
	uint32_t bytes; /* 0: not there */
	unsigned capability;
};

struct virtio_device {
	struct pci_device *pci;
	struct virtio_window common, notify, isr, device, pci_cfg;
	uint32_t notify_multiplier;
	uint64_t features; /* negotiated */
};

/* Walks the vendor capabilities and takes the first usable one of each kind (G-069..G-071). Returns 0, or -1 with a
 * reason if one is missing. */
MUST_USE int virtio_find(struct virtio_device *virtio, struct pci_device *pci, char *error,
			 size_t error_size);

/* Registers of the common configuration; natural width (G-068). */
uint32_t virtio_common_read(const struct virtio_device *virtio, unsigned offset, unsigned bytes);
void virtio_common_write(const struct virtio_device *virtio, unsigned offset, unsigned bytes, uint32_t value);

uint8_t virtio_status(const struct virtio_device *virtio);
/* Adds status bits. */
void virtio_add_status(const struct virtio_device *virtio, uint8_t bits);
/* Writes 0 and polls until it reads 0 (G-076). Returns 0, or -1 if that takes longer than `limit_ns`. */
MUST_USE int virtio_reset(const struct virtio_device *virtio, uint64_t limit_ns);

uint64_t virtio_device_features(const struct virtio_device *virtio);

/* Reset, ACKNOWLEDGE, DRIVER, features = offered & wanted, FEATURES_OK, re-read (G-017). Returns 0, or -1 with a reason,
 * FAILED set. */
MUST_USE int virtio_negotiate(struct virtio_device *virtio, uint64_t wanted, char *error, size_t error_size);
bool virtio_has(const struct virtio_device *virtio, unsigned feature);

/* Device configuration: 1, 2 or 4 bytes at once; the 64-bit one retries while config_generation changes (G-011). */
uint32_t virtio_config_read(const struct virtio_device *virtio, unsigned offset, unsigned bytes);
uint64_t virtio_config_read64(const struct virtio_device *virtio, unsigned offset);
void virtio_config_write(const struct virtio_device *virtio, unsigned offset, unsigned bytes, uint32_t value);

/* Largest size of queue `index`, 0 if there is no such queue. */
uint16_t virtio_queue_size(const struct virtio_device *virtio, unsigned index);

/* Where the doorbell of a queue is. */
uint64_t virtio_queue_doorbell(const struct virtio_device *virtio, unsigned index);

/* Programs size, addresses and vector (VIRTIO_MSI_NO_VECTOR = none) and enables the queue (G-075). Returns 0, or -1 if
 * the vector cannot be had. */
MUST_USE int virtio_queue_enable(const struct virtio_device *virtio, unsigned index,
				 const struct virtqueue *vq, uint16_t vector);

/* Queue reset (§4.1.5.1.3): returns when it is finished, or -1 after `limit_ns`. */
MUST_USE int virtio_queue_reset(const struct virtio_device *virtio, unsigned index, uint64_t limit_ns);

/* Maps configuration changes to a vector; -1 if it cannot be had. */
MUST_USE int virtio_config_vector(const struct virtio_device *virtio, uint16_t vector);

/* Reads and clears ISR status. */
uint8_t virtio_isr(const struct virtio_device *virtio);

/* Access through the PCI configuration access capability (§4.1.4.9) at an offset of BAR `bar`. */
uint32_t virtio_window_read(const struct virtio_device *virtio, unsigned bar, uint32_t offset,
			    unsigned bytes);
void virtio_window_write(const struct virtio_device *virtio, unsigned bar, uint32_t offset, unsigned bytes,
			 uint32_t value);

#endif
