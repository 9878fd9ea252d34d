#include "host-sim/driver/blk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FEATURE(bit) (UINT64_C(1) << (bit))
#ifndef VIRTIO_F_NOTIFICATION_DATA
#define VIRTIO_F_NOTIFICATION_DATA 38 /* virtio 1.4 §6 */
#endif
#define NOTIFICATION_DATA_BYTES 4u
#define PIECES_MAX              256u
#define RANGE_OFFSET            offsetof(struct blk_header, range_sector)
#define RANGE_BYTES             16u

_Static_assert(sizeof(struct blk_header) == 32 && RANGE_OFFSET == 16,
	       "header and range as virtio 1.4 §5.2.6 has them");

static uint64_t wanted_features(const struct blk_settings *settings)
{
	uint64_t features = FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_F_ACCESS_PLATFORM) |
			    FEATURE(VIRTIO_F_ORDER_PLATFORM) | FEATURE(VIRTIO_F_RING_RESET) |
			    FEATURE(VIRTIO_BLK_F_SIZE_MAX) | FEATURE(VIRTIO_BLK_F_SEG_MAX) |
			    FEATURE(VIRTIO_BLK_F_RO) | FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
			    FEATURE(VIRTIO_BLK_F_FLUSH) | FEATURE(VIRTIO_BLK_F_TOPOLOGY) |
			    FEATURE(VIRTIO_BLK_F_MQ) | FEATURE(VIRTIO_BLK_F_DISCARD) |
			    FEATURE(VIRTIO_BLK_F_WRITE_ZEROES) | FEATURE(VIRTIO_BLK_F_SECURE_ERASE) |
			    FEATURE(15 /* VIRTIO_BLK_F_LIFETIME */);
	if (settings->event_idx)
		features |= FEATURE(VIRTIO_RING_F_EVENT_IDX);
	if (settings->indirect)
		features |= FEATURE(VIRTIO_RING_F_INDIRECT_DESC);
	if (settings->in_order)
		features |= FEATURE(VIRTIO_F_IN_ORDER);
	if (settings->notification_data)
		features |= FEATURE(VIRTIO_F_NOTIFICATION_DATA);
	if (settings->config_wce)
		features |= FEATURE(VIRTIO_BLK_F_CONFIG_WCE);
	return features;
}

/* ---- bring-up ---- */

static void read_config(struct blk_device *blk)
{
	const struct virtio_device *virtio = &blk->virtio;
	blk->capacity_sectors = virtio_config_read64(virtio, offsetof(struct virtio_blk_config, capacity));
	blk->read_only = virtio_has(virtio, VIRTIO_BLK_F_RO);
	blk->seg_max = blk->size_max = 0;
	blk->blk_size = 512;
	if (virtio_has(virtio, VIRTIO_BLK_F_SEG_MAX))
		blk->seg_max = virtio_config_read(virtio, offsetof(struct virtio_blk_config, seg_max), 4);
	if (virtio_has(virtio, VIRTIO_BLK_F_SIZE_MAX))
		blk->size_max = virtio_config_read(virtio, offsetof(struct virtio_blk_config, size_max), 4);
	if (virtio_has(virtio, VIRTIO_BLK_F_BLK_SIZE))
		blk->blk_size = virtio_config_read(virtio, offsetof(struct virtio_blk_config, blk_size), 4);
}

static unsigned device_queues(const struct blk_device *blk)
{
	if (!virtio_has(&blk->virtio, VIRTIO_BLK_F_MQ))
		return 1;
	return virtio_config_read(&blk->virtio, offsetof(struct virtio_blk_config, num_queues), 2);
}

static uint32_t piece_limit(const struct blk_device *blk)
{
	uint32_t limit = blk->settings.segment_bytes ? blk->settings.segment_bytes : UINT32_MAX;
	return blk->size_max ? min_u32(limit, blk->size_max) : limit;
}

unsigned blk_pieces(const struct blk_device *blk, uint32_t bytes)
{
	uint32_t limit = piece_limit(blk);
	return bytes / limit + (bytes % limit != 0);
}

static int create_queue(struct blk_device *blk, unsigned index, char *error, size_t error_size)
{
	const struct host_ops *ops = blk->pci.ops;
	struct blk_queue *queue = &blk->queue[index];
	const struct virtqueue_features features = {
		.event_idx = virtio_has(&blk->virtio, VIRTIO_RING_F_EVENT_IDX),
		.indirect = virtio_has(&blk->virtio, VIRTIO_RING_F_INDIRECT_DESC),
		.in_order = virtio_has(&blk->virtio, VIRTIO_F_IN_ORDER),
	};
	uint16_t size = virtio_queue_size(&blk->virtio, index);
	if (size == 0) {
		snprintf(error, error_size, "the card announces %u queues but queue %u does not exist",
			 blk->queues, index);
		return -1;
	}
	if (blk->settings.queue_size != 0 && blk->settings.queue_size < size)
		size = (uint16_t)blk->settings.queue_size;
	queue->index = index;
	queue->vector = VIRTIO_MSI_NO_VECTOR;
	queue->header = ops->dma_alloc(ops->ctx, size * sizeof(*queue->header), 64, DMA_TO_DEVICE,
				       &queue->header_addr);
	queue->status = ops->dma_alloc(ops->ctx, size, 64, DMA_FROM_DEVICE, &queue->status_addr);
	queue->free_memory = calloc(size, sizeof(*queue->free_memory));
	if (!queue->header || !queue->status || !queue->free_memory ||
	    virtqueue_create(&queue->vq, ops, size, &features,
			     blk_pieces(blk, blk->settings.max_bytes) + 3) != 0) {
		snprintf(error, error_size,
			 "guest memory is too small for %u queues of %u; raise host.memory", blk->queues,
			 size);
		return -1;
	}
	return 0;
}

static void reset_queue(struct blk_queue *queue)
{
	virtqueue_reset(&queue->vq);
	queue->free_memories = queue->vq.size;
	for (unsigned i = 0; i < queue->vq.size; i++)
		queue->free_memory[i] = (uint16_t)(queue->vq.size - 1 - i);
}

/* One vector per queue if there are enough, else queues share the ones there are; the first is for configuration
 * changes, and for everything if it is the only one (G-084, G-085). */
static uint16_t vector_of(const struct blk_device *blk, unsigned index)
{
	if (blk->vectors == 1)
		return BLK_CONFIG_VECTOR;
	return (uint16_t)(1 + index % (blk->vectors - 1));
}

static int set_up_vectors(struct blk_device *blk, char *error, size_t error_size)
{
	const struct host_ops *ops = blk->pci.ops;
	blk->vectors = 0;
	if (!blk->settings.msix || blk->pci.msix_vectors == 0)
		return 0;
	blk->vectors = min_u32(blk->pci.msix_vectors, blk->queues + 1);
	for (unsigned i = 0; i < blk->vectors; i++) {
		uint64_t addr;
		uint32_t data;
		ops->msi_message(ops->ctx, i == 0 ? 0 : (i - 1) % blk->settings.vcpus, i, &addr, &data);
		pci_msix_set(&blk->pci, i, addr, data);
	}
	pci_msix_enable(&blk->pci, true);
	if (virtio_config_vector(&blk->virtio, BLK_CONFIG_VECTOR) == 0)
		return 0;
	snprintf(error, error_size, "the card refuses MSI-X vector 0 for configuration changes");
	return -1;
}

static int start(struct blk_device *blk, char *error, size_t error_size)
{
	if (set_up_vectors(blk, error, error_size) != 0)
		return -1;
	for (unsigned i = 0; i < blk->queues; i++) {
		struct blk_queue *queue = &blk->queue[i];
		queue->vector = blk->vectors ? vector_of(blk, i) : VIRTIO_MSI_NO_VECTOR;
		queue->doorbell = virtio_queue_doorbell(&blk->virtio, i);
		reset_queue(queue);
		if (virtio_queue_enable(&blk->virtio, i, &queue->vq, queue->vector) != 0) {
			snprintf(error, error_size, "the card refuses MSI-X vector %u for queue %u",
				 queue->vector, i);
			return -1;
		}
	}
	virtio_add_status(&blk->virtio, VIRTIO_CONFIG_S_DRIVER_OK);
	return 0;
}

static int create_queues(struct blk_device *blk, char *error, size_t error_size)
{
	blk->queues = device_queues(blk);
	if (blk->settings.queues != 0)
		blk->queues = min_u32(blk->queues, blk->settings.queues);
	blk->queue = calloc(blk->queues, sizeof(*blk->queue));
	if (!blk->queue) {
		snprintf(error, error_size, "out of memory");
		return -1;
	}
	for (unsigned i = 0; i < blk->queues; i++)
		if (create_queue(blk, i, error, error_size) != 0)
			return -1;
	return 0;
}

int blk_probe(struct blk_device *blk, const struct host_ops *ops, const struct blk_settings *settings,
	      char *error, size_t error_size)
{
	*blk = (struct blk_device){.settings = *settings};
	if (pci_probe(&blk->pci, ops, &settings->pci, error, error_size) != 0 ||
	    virtio_find(&blk->virtio, &blk->pci, error, error_size) != 0 ||
	    virtio_negotiate(&blk->virtio, wanted_features(settings), error, error_size) != 0)
		return -1;
	read_config(blk);
	if (create_queues(blk, error, error_size) != 0 || start(blk, error, error_size) != 0) {
		virtio_add_status(&blk->virtio, VIRTIO_CONFIG_S_FAILED);
		blk_free(blk);
		return -1;
	}
	return 0;
}

int blk_restart(struct blk_device *blk, char *error, size_t error_size)
{
	if (virtio_negotiate(&blk->virtio, wanted_features(&blk->settings), error, error_size) != 0)
		return -1;
	read_config(blk);
	return start(blk, error, error_size);
}

void blk_free(struct blk_device *blk)
{
	for (unsigned i = 0; blk->queue && i < blk->queues; i++) {
		virtqueue_free(&blk->queue[i].vq);
		free(blk->queue[i].free_memory);
	}
	free(blk->queue);
	blk->queue = NULL;
}

/* ---- requests ---- */

static bool has_range(uint32_t type)
{
	return type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES ||
	       type == VIRTIO_BLK_T_SECURE_ERASE;
}

/* Cuts the data into pieces. Returns their number. */
static unsigned add_data(const struct blk_device *blk, const struct blk_request *request,
			 struct buffer *pieces)
{
	uint32_t limit = piece_limit(blk), done = 0;
	unsigned count = 0;
	while (done < request->data_bytes) {
		uint32_t bytes = min_u32(limit, request->data_bytes - done);
		ASSERT(count < PIECES_MAX);
		pieces[count++] = (struct buffer){request->data_addr + done, bytes};
		done += bytes;
	}
	return count;
}

int blk_submit(struct blk_device *blk, struct blk_queue *queue, struct blk_request *request)
{
	struct buffer pieces[PIECES_MAX + 2];
	if (queue->free_memories == 0)
		return -1;
	uint16_t memory = queue->free_memory[queue->free_memories - 1];
	struct blk_header *header = &queue->header[memory];
	uint64_t header_addr = queue->header_addr + memory * sizeof(*header);
	bool data_out = request->type == VIRTIO_BLK_T_OUT;
	unsigned readable = 0, count = 0;
	*header = (struct blk_header){.type = request->type};
	pieces[count++] = (struct buffer){header_addr, RANGE_OFFSET};
	if (has_range(request->type)) {
		header->range_sector = request->sector;
		header->range_sectors = request->sectors;
		header->range_flags = request->range_flags;
		pieces[count++] = (struct buffer){header_addr + RANGE_OFFSET, RANGE_BYTES};
	} else {
		header->sector = request->sector;
	}
	readable = count;
	count += add_data(blk, request, pieces + count);
	if (data_out)
		readable = count;
	pieces[count++] = (struct buffer){queue->status_addr + memory, 1};
	queue->status[memory] = 0xff; /* so that a status that was never written shows */
	request->memory = memory;
	int head = virtqueue_add(&queue->vq, pieces, readable, count - readable, request);
	if (head < 0)
		return -1;
	request->head = (uint16_t)head;
	queue->free_memories--;
	return 0;
}

bool blk_publish(struct blk_queue *queue)
{
	return virtqueue_publish(&queue->vq);
}

void blk_kick(const struct blk_device *blk, const struct blk_queue *queue)
{
	const struct host_ops *ops = blk->pci.ops;
	if (virtio_has(&blk->virtio, VIRTIO_F_NOTIFICATION_DATA))
		ops->mmio_write(ops->ctx, queue->doorbell, NOTIFICATION_DATA_BYTES,
				virtqueue_notification_data(&queue->vq, (uint16_t)queue->index));
	else
		ops->mmio_write(ops->ctx, queue->doorbell, 2, queue->index);
}

static uint32_t bytes_from_device(const struct blk_request *request)
{
	return request->type == VIRTIO_BLK_T_OUT ? 0 : request->data_bytes;
}

struct blk_request *blk_take(struct blk_queue *queue)
{
	uint16_t head;
	uint32_t len;
	struct blk_request *request = virtqueue_take(&queue->vq, &head, &len, &queue->bad_used);
	if (!request)
		return NULL;
	request->status = queue->status[request->memory];
	request->used_bytes = len;
	/* What lies beyond `len` cannot be relied on (G-047): a success whose data or status byte does is none. */
	if (request->status == VIRTIO_BLK_S_OK && len < bytes_from_device(request) + 1) {
		request->status = VIRTIO_BLK_S_IOERR;
		queue->bad_used++;
	}
	queue->free_memory[queue->free_memories++] = request->memory;
	return request;
}

bool blk_config_changed(struct blk_device *blk)
{
	if (virtio_status(&blk->virtio) & VIRTIO_CONFIG_S_NEEDS_RESET)
		return false;
	blk->capacity_sectors =
		virtio_config_read64(&blk->virtio, offsetof(struct virtio_blk_config, capacity));
	return true;
}
