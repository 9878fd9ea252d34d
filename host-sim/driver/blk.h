/* The virtio-blk driver (virtio 1.4 §5.2): brings the card up and turns block requests into chains. */
#ifndef KICKSTAND_HOST_SIM_DRIVER_BLK_H
#define KICKSTAND_HOST_SIM_DRIVER_BLK_H

#include "host-sim/driver/virtio.h"

#include <linux/virtio_blk.h>

/* What the driver is willing to use. */
struct blk_settings {
	struct pci_settings pci;
	bool event_idx, indirect, notification_data, in_order, config_wce;
	bool msix;
	unsigned queues;        /* 0 = as many as there are */
	unsigned queue_size;    /* 0 = as large as they are */
	uint32_t segment_bytes; /* largest piece of a data buffer, 0 = whole */
	uint32_t max_bytes;     /* of a request's data: sizes the indirect tables */
	unsigned vcpus;         /* queue vectors are spread over them */
};

/* A block request. The caller fills in the first part and keeps it until it is completed. */
struct blk_request {
	uint32_t type;    /* VIRTIO_BLK_T_* */
	uint64_t sector;  /* IN, OUT; start of the range of the others */
	uint32_t sectors; /* of the range: DISCARD, WRITE_ZEROES, SECURE_ERASE */
	uint32_t range_flags;
	uint64_t data_addr; /* IN, OUT, GET_ID, GET_LIFETIME: DMA memory */
	uint32_t data_bytes;
	void *cookie;
	/* filled in by the driver */
	uint16_t head;
	uint16_t memory; /* its header and status memory */
	uint8_t status;  /* VIRTIO_BLK_S_* */
	uint32_t used_bytes;
};

/* Header and range of a request, and its status byte, in DMA memory. */
struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
	uint64_t range_sector;
	uint32_t range_sectors, range_flags;
};

struct blk_queue {
	unsigned index;
	struct virtqueue vq;
	uint64_t doorbell;
	uint16_t vector; /* VIRTIO_MSI_NO_VECTOR without MSI-X */
	struct blk_header *header;
	uint64_t header_addr;
	uint8_t *status;
	uint64_t status_addr;
	uint16_t *free_memory;
	unsigned free_memories;
	uint64_t bad_used; /* used elements that made no sense */
};

struct blk_device {
	struct pci_device pci;
	struct virtio_device virtio;
	struct blk_settings settings;
	struct blk_queue *queue;
	unsigned queues, vectors;
	uint64_t capacity_sectors;
	uint32_t blk_size, seg_max, size_max;
	bool read_only;
};

#define BLK_CONFIG_VECTOR 0u

/* Probes, negotiates, sets up queues and vectors, sets DRIVER_OK (G-017). Returns 0, or -1 with a one-line reason. */
MUST_USE int blk_probe(struct blk_device *blk, const struct host_ops *ops,
		       const struct blk_settings *settings, char *error, size_t error_size);
void blk_free(struct blk_device *blk);

/* Everything from negotiation on again, after a reset of the card: the same queues, nothing in flight. */
MUST_USE int blk_restart(struct blk_device *blk, char *error, size_t error_size);

/* Adds a request to the ring. Returns 0, or -1 if ring or memory are full. */
MUST_USE int blk_submit(struct blk_device *blk, struct blk_queue *queue, struct blk_request *request);

/* Publishes what was added. True if a kick is due: then call blk_kick. */
bool blk_publish(struct blk_queue *queue);
void blk_kick(const struct blk_device *blk, const struct blk_queue *queue);

/* Next completed request, NULL if there is none. Its status is an error, too, if the device says that it has written less
 * than a success needs. */
struct blk_request *blk_take(struct blk_queue *queue);

/* The card has changed its configuration: reads the capacity again. False if it needs a reset. */
bool blk_config_changed(struct blk_device *blk);

/* Most data pieces a request of `bytes` is cut into. */
unsigned blk_pieces(const struct blk_device *blk, uint32_t bytes);

#endif
