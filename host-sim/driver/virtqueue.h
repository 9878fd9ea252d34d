/* A split virtqueue, driver's side (virtio 1.4 §2.7): descriptors, available and used ring, notification decisions. */
#ifndef KICKSTAND_HOST_SIM_DRIVER_VIRTQUEUE_H
#define KICKSTAND_HOST_SIM_DRIVER_VIRTQUEUE_H

#include "host-sim/driver/host_ops.h"

#include <linux/virtio_ring.h>

/* A piece of DMA memory. */
struct buffer {
	uint64_t addr;
	uint32_t bytes;
};

struct virtqueue_features {
	bool event_idx, indirect, in_order;
};

struct virtqueue {
	const struct host_ops *ops;
	struct virtqueue_features features;
	uint16_t size;
	/* rings in DMA memory, with their bus addresses */
	struct vring_desc *desc;
	uint8_t *avail, *used;
	uint64_t desc_addr, avail_addr, used_addr;
	struct vring_desc *indirect; /* one table of indirect_entries per head */
	uint64_t indirect_addr;
	unsigned indirect_entries;
	/* the driver's own */
	uint16_t free_head, free_count;
	uint16_t avail_index; /* next to publish */
	uint16_t published;   /* avail.idx as the device sees it */
	uint16_t kicked;      /* avail.idx at the last kick decision */
	uint16_t used_index;  /* used elements taken */
	uint16_t in_flight;
	struct vq_head {
		void *cookie;   /* NULL = not in flight */
		uint16_t chain; /* descriptors it takes */
		uint16_t
			next; /* of this descriptor, free or not: the device could change the ones in the table */
		uint32_t writable; /* bytes of the chain the device may write */
	} * head;
	/* IN_ORDER: heads in the order offered, and what the last used element covers */
	uint16_t *offered;
	uint16_t offered_first, offered_last;
	bool batch;
	uint16_t batch_last;
	uint32_t batch_len;
};

/* Allocates the rings. `max_pieces` is the longest chain that will be added. Returns 0, or -1 if memory is short. */
MUST_USE int virtqueue_create(struct virtqueue *vq, const struct host_ops *ops, uint16_t size,
			      const struct virtqueue_features *features, unsigned max_pieces);
void virtqueue_free(struct virtqueue *vq);

/* Back to the state after create, for use after a reset. Requests in flight are forgotten. */
void virtqueue_reset(struct virtqueue *vq);

/* Puts a chain of `readable` then `writable` pieces into the ring; the device does not see it before
 * virtqueue_publish. Returns the head, or -1 if there are not enough descriptors. */
int virtqueue_add(struct virtqueue *vq, const struct buffer *pieces, unsigned readable, unsigned writable,
		  void *cookie);

/* Makes everything added visible. True if the device wants to be kicked (§2.7.10.1, §2.7.13). */
bool virtqueue_publish(struct virtqueue *vq);

/* Takes a used buffer: its cookie, with the head and the used length; NULL if there is none. A used element that makes
 * no sense is counted in *bad: skipped if its id is not in flight, cut down if its length is more than there is. */
void *virtqueue_take(struct virtqueue *vq, uint16_t *head, uint32_t *len, uint64_t *bad);

/* Whether the next used buffer shall raise an interrupt (§2.7.7). Enabling returns true if buffers were used
 * meanwhile: then look again. */
void virtqueue_disable_interrupts(struct virtqueue *vq);
bool virtqueue_enable_interrupts(struct virtqueue *vq);

/* True if there are used buffers to take. */
bool virtqueue_has_used(const struct virtqueue *vq);

/* Payload of the doorbell with NOTIFICATION_DATA (§2.9, §4.1.5.2). */
static inline uint32_t virtqueue_notification_data(const struct virtqueue *vq, uint16_t index)
{
	return index | (uint32_t)vq->published << 16;
}

#endif
