/* The virtio-pci registers of the card (virtio 1.4 §4.1.4.3 to §4.1.4.6): common configuration, ISR status and device
 * configuration as the driver sees them in BAR 4, and the firmware's side of them as block VIRTIO of the CSR bus.
 *
 * The hardware keeps the registers and enforces what needs no judgement: widths, ranges, read-only fields, banked
 * queue registers frozen while a queue is enabled. Everything with a decision in it (features, DRIVER_OK, reset,
 * queue reset) is the firmware's: a driver's write to device_status is an event, and a driver's read of it waits
 * until the firmware has answered, so the driver never sees a half-way value. A reset of a live device is the
 * exception: it may take long, so reads go on and give the old status until the firmware is done (D-084,
 * PCIe ACC-018). Until then the driver's writes to anything but device_status are ignored, and no interrupt is
 * raised.
 *
 * virtio_regs.c is the driver's side, virtio_csr.c the firmware's. */
#ifndef KICKSTAND_BLOCKS_VIRTIO_VIRTIO_REGS_H
#define KICKSTAND_BLOCKS_VIRTIO_VIRTIO_REGS_H

#include "csr.h"
#include "pcie/base.h"
#include "pcie/cfg_space.h"
#include "rtl-model/config.h"
#include "rtl-model/fifo.h"

#ifdef __cplusplus
extern "C" {
#endif

/* BAR 4 as guests know it from QEMU. */
#define VIRTIO_BAR               4u
#define VIRTIO_BAR_BYTES         0x4000u
#define VIRTIO_COMMON_OFFSET     0x0000u
#define VIRTIO_ISR_OFFSET        0x1000u
#define VIRTIO_DEVICE_OFFSET     0x2000u
#define VIRTIO_NOTIFY_OFFSET     0x3000u
#define VIRTIO_STRUCTURE_BYTES   0x1000u
#define VIRTIO_NOTIFY_MULTIPLIER 4u

struct virtio_queue_regs {
	uint16_t size, msix_vector;
	bool enable;
	uint64_t desc, driver, device;
};

struct virtio_ports {
	void *ctx;
	const struct cfg_control *control;
	const struct waker *events; /* woken when virtio_events changes */
	/* Wanted: an MSI-X message. `queue` events are moderated, configuration changes are not. */
	void (*msix)(void *ctx, uint64_t now_ps, unsigned vector, bool queue);
	/* Level of INTx has changed. */
	void (*intx)(void *ctx, uint64_t now_ps, bool level);
	/* Reads held back may go on: the driver's status writes have been answered, or a long reset has begun. */
	void (*answered)(void *ctx, uint64_t now_ps);
};

struct virtio_regs {
	struct virtio_ports ports;
	unsigned vectors;
	/* common configuration */
	uint32_t device_feature_select, driver_feature_select;
	uint64_t device_features, driver_features;
	bool driver_features_bad; /* the driver wrote a bit beyond 63 since the last reset */
	uint16_t config_msix_vector;
	uint8_t generation;
	bool generation_seen; /* the driver has read it as it is */
	uint16_t queue_select;
	struct virtio_queue_regs queue[QUEUES_MAX];
	/* device_status */
	uint8_t status; /* as the driver reads it */
	uint8_t wanted; /* as the driver wrote it since the last reset */
	bool unseen;    /* written since the firmware looked */
	bool unanswered;
	bool reset_seen; /* the driver wrote 0 since the firmware looked */
	bool resetting;  /* a live device is being reset */
	/* interrupts */
	uint8_t isr;
	bool intx_level;
	/* device configuration */
	uint8_t config[DEVICE_CONFIG_BYTES], staged[DEVICE_CONFIG_BYTES];
	bool config_dirty; /* changed since the driver last read of it */
	bool writeback_writable, writeback_written;
	/* the firmware's side */
	unsigned num_queues;
	uint16_t queue_size_max;
	unsigned csr_queue;
	uint64_t queues_enabled; /* since the firmware cleared the bit */
	uint64_t queues_in_reset;
};

void virtio_regs_init(struct virtio_regs *regs, const struct config *config,
		      const struct virtio_ports *ports);

/* Function-level or link reset, or power-on: everything to its first state. Offers by the firmware (features, queue
 * count, device configuration) stay: the firmware sets them again when it starts over. */
void virtio_regs_reset(struct virtio_regs *regs, uint64_t now_ps);

/* True if a read of this DW has to wait for the firmware's answer (device_status). */
bool virtio_read_waits(const struct virtio_regs *regs, uint32_t offset, uint8_t be);

/* One DW of BAR 4 below VIRTIO_NOTIFY_OFFSET at `offset` (DW aligned): side effects only for the bytes in `be`
 * (PCIe ACC-007, ACC-008). */
uint32_t virtio_bar_read32(struct virtio_regs *regs, uint64_t now_ps, uint32_t offset, uint8_t be);
void virtio_bar_write32(struct virtio_regs *regs, uint64_t now_ps, uint32_t offset, uint32_t data,
			uint8_t be);

/* The writeback field of the device configuration as it is now (virtio 1.4 §5.2.5). */
bool virtio_write_back(const struct virtio_regs *regs);

/* The card has used buffers of `queue`, or has changed its configuration, and the driver is to be told. */
void virtio_queue_interrupt(struct virtio_regs *regs, uint64_t now_ps, unsigned queue);
void virtio_config_interrupt(struct virtio_regs *regs, uint64_t now_ps);

/* MSI-X has been switched on or off: INTx follows (PCIe INT-008). */
void virtio_control_changed(struct virtio_regs *regs, uint64_t now_ps);

bool virtio_csr_read(struct virtio_regs *regs, uint64_t now_ps, uint32_t offset, uint32_t *value);
bool virtio_csr_write(struct virtio_regs *regs, uint64_t now_ps, uint32_t offset, uint32_t value);

/* This block's bits of SYS.EVENTS. */
uint32_t virtio_events(const struct virtio_regs *regs);

#ifdef __cplusplus
}
#endif
#endif
