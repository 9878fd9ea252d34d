#include "host-sim/driver/virtqueue.h"

#include <stdlib.h>
#include <string.h>

#define DESC_ALIGN 4096u /* more than the 16, 2 and 4 bytes asked for (§2.7): whole pages, as Linux */

/* Ring fields at their byte offsets, §2.7.6 and §2.7.8. */
static uint16_t load(const uint8_t *at)
{
	return *(const volatile uint16_t *)(const void *)at;
}

static void store(uint8_t *at, uint16_t value)
{
	*(volatile uint16_t *)(void *)at = value;
}

static uint8_t *avail_flags(const struct virtqueue *vq)
{
	return vq->avail;
}
static uint8_t *avail_idx(const struct virtqueue *vq)
{
	return vq->avail + 2;
}
static uint8_t *used_event(const struct virtqueue *vq)
{
	return vq->avail + 4 + 2 * (size_t)vq->size;
}
static const uint8_t *used_flags(const struct virtqueue *vq)
{
	return vq->used;
}
static const uint8_t *used_idx(const struct virtqueue *vq)
{
	return vq->used + 2;
}
static const uint8_t *avail_event(const struct virtqueue *vq)
{
	return vq->used + 4 + 8 * (size_t)vq->size;
}

int virtqueue_create(struct virtqueue *vq, const struct host_ops *ops, uint16_t size,
		     const struct virtqueue_features *features, unsigned max_pieces)
{
	*vq = (struct virtqueue){.ops = ops, .features = *features, .size = size};
	vq->desc = ops->dma_alloc(ops->ctx, 16 * (uint64_t)size, DESC_ALIGN, DMA_TO_DEVICE, &vq->desc_addr);
	vq->avail =
		ops->dma_alloc(ops->ctx, 6 + 2 * (uint64_t)size, DESC_ALIGN, DMA_TO_DEVICE, &vq->avail_addr);
	vq->used = ops->dma_alloc(ops->ctx, 6 + 8 * (uint64_t)size, DESC_ALIGN, DMA_RING_FROM_DEVICE,
				  &vq->used_addr);
	vq->head = calloc(size, sizeof(*vq->head));
	vq->offered = calloc(size, sizeof(*vq->offered));
	if (features->indirect) {
		vq->indirect_entries = max_pieces;
		vq->indirect = ops->dma_alloc(ops->ctx, 16 * (uint64_t)size * max_pieces, DESC_ALIGN,
					      DMA_TO_DEVICE, &vq->indirect_addr);
	}
	if (!vq->desc || !vq->avail || !vq->used || !vq->head || !vq->offered ||
	    (features->indirect && !vq->indirect)) {
		virtqueue_free(vq);
		return -1;
	}
	virtqueue_reset(vq);
	return 0;
}

void virtqueue_free(struct virtqueue *vq)
{
	free(vq->head);
	free(vq->offered);
	vq->head = NULL;
	vq->offered = NULL;
}

void virtqueue_reset(struct virtqueue *vq)
{
	memset(vq->avail, 0, 6 + 2 * (size_t)vq->size);
	memset(vq->used, 0, 6 + 8 * (size_t)vq->size);
	memset(vq->head, 0, vq->size * sizeof(*vq->head));
	/* Free descriptors are chained through `next`; with IN_ORDER they are used in table order, whose last one points
	 * to the first (§2.7.9, G-038). */
	for (unsigned i = 0; i < vq->size; i++) {
		vq->head[i].next = (uint16_t)((i + 1) % vq->size);
		vq->desc[i] = (struct vring_desc){.next = vq->head[i].next};
	}
	vq->free_head = 0;
	vq->free_count = vq->size;
	vq->avail_index = vq->published = vq->kicked = vq->used_index = vq->in_flight = 0;
	vq->offered_first = vq->offered_last = 0;
	vq->batch = false;
}

static void fill_desc(struct vring_desc *desc, const struct buffer *piece, bool writable, bool more)
{
	desc->addr = piece->addr;
	desc->len = piece->bytes;
	desc->flags = (uint16_t)((writable ? VRING_DESC_F_WRITE : 0) | (more ? VRING_DESC_F_NEXT : 0));
}

static void fill_indirect(struct virtqueue *vq, uint16_t head, const struct buffer *pieces, unsigned readable,
			  unsigned count)
{
	struct vring_desc *table = vq->indirect + (size_t)head * vq->indirect_entries;
	for (unsigned i = 0; i < count; i++) {
		fill_desc(&table[i], &pieces[i], i >= readable, i + 1 < count);
		table[i].next = (uint16_t)(i + 1 < count ? i + 1 : 0);
	}
	vq->desc[head].addr = vq->indirect_addr + 16 * (uint64_t)head * vq->indirect_entries;
	vq->desc[head].len = 16 * count;
	vq->desc[head].flags = VRING_DESC_F_INDIRECT;
}

int virtqueue_add(struct virtqueue *vq, const struct buffer *pieces, unsigned readable, unsigned writable,
		  void *cookie)
{
	unsigned count = readable + writable;
	bool indirect = vq->features.indirect && count > 1 && count <= vq->indirect_entries;
	unsigned needed = indirect ? 1 : count;
	if (needed > vq->free_count)
		return -1;
	uint16_t head = vq->free_head, at = head;
	if (indirect) {
		fill_indirect(vq, head, pieces, readable, count);
		at = vq->head[head].next;
	} else {
		for (unsigned i = 0; i < count; i++) {
			fill_desc(&vq->desc[at], &pieces[i], i >= readable, i + 1 < count);
			vq->desc[at].next = vq->head[at].next;
			at = vq->head[at].next;
		}
	}
	vq->free_head = at;
	vq->free_count = (uint16_t)(vq->free_count - needed);
	vq->head[head].cookie = cookie;
	vq->head[head].chain = (uint16_t)needed;
	vq->head[head].writable = 0;
	for (unsigned i = readable; i < count; i++)
		vq->head[head].writable += pieces[i].bytes;
	store(vq->avail + 4 + 2 * (size_t)(vq->avail_index & (vq->size - 1u)), head);
	vq->offered[vq->offered_last++ & (vq->size - 1u)] = head;
	vq->avail_index++;
	vq->in_flight++;
	return head;
}

bool virtqueue_publish(struct virtqueue *vq)
{
	vq->published = vq->avail_index;
	__atomic_thread_fence(
		__ATOMIC_RELEASE); /* entries before the index (G-051): the device may be another program */
	store(avail_idx(vq), vq->published);
	vq->ops->dma_sync(
		vq->ops->ctx); /* the full barrier of G-052: what the device wrote until now is seen */
	uint16_t old = vq->kicked, now = vq->published;
	vq->kicked = now;
	if (now == old)
		return false;
	if (vq->features.event_idx)
		return vring_need_event(load(avail_event(vq)), now, old);
	return !(load(used_flags(vq)) & VRING_USED_F_NO_NOTIFY);
}

bool virtqueue_has_used(const struct virtqueue *vq)
{
	vq->ops->dma_sync(vq->ops->ctx);
	return vq->batch || load(used_idx(vq)) != vq->used_index;
}

static void give_back(struct virtqueue *vq, uint16_t head)
{
	uint16_t chain = vq->head[head].chain, last = head;
	vq->head[head].cookie = NULL;
	vq->free_count = (uint16_t)(vq->free_count + chain);
	vq->in_flight--;
	if (vq->features.in_order)
		return; /* the table is a ring: nothing to relink */
	for (uint16_t i = 1; i < chain; i++)
		last = vq->head[last].next;
	vq->head[last].next = vq->free_head;
	vq->free_head = head;
}

/* IN_ORDER: the element names the last buffer of a batch; those before it are used too, all of them (§2.7.9). */
static void *take_in_order(struct virtqueue *vq, uint16_t *head, uint32_t *len)
{
	*head = vq->offered[vq->offered_first++ & (vq->size - 1u)];
	*len = *head == vq->batch_last ? vq->batch_len : vq->head[*head].writable;
	vq->batch = *head != vq->batch_last;
	void *cookie = vq->head[*head].cookie;
	vq->used_index++;
	give_back(vq, *head);
	return cookie;
}

void *virtqueue_take(struct virtqueue *vq, uint16_t *head, uint32_t *len, uint64_t *bad)
{
	while (virtqueue_has_used(vq)) {
		if (vq->batch)
			return take_in_order(vq, head, len);
		const uint8_t *element = vq->used + 4 + 8 * (size_t)(vq->used_index & (vq->size - 1u));
		uint32_t id = load_le32(element);
		*len = load_le32(element + 4);
		if (id >= vq->size || !vq->head[id].cookie) {
			vq->used_index++;
			(*bad)++;
			continue;
		}
		if (*len > vq->head[id].writable) {
			*len = vq->head[id].writable;
			(*bad)++;
		}
		if (vq->features.in_order) {
			vq->batch = true;
			vq->batch_last = (uint16_t)id;
			vq->batch_len = *len;
			return take_in_order(vq, head, len);
		}
		*head = (uint16_t)id;
		vq->used_index++;
		void *cookie = vq->head[id].cookie;
		give_back(vq, *head);
		return cookie;
	}
	return NULL;
}

void virtqueue_disable_interrupts(struct virtqueue *vq)
{
	if (!vq->features.event_idx) /* with EVENT_IDX used_event lies behind already */
		store(avail_flags(vq), VRING_AVAIL_F_NO_INTERRUPT);
}

bool virtqueue_enable_interrupts(struct virtqueue *vq)
{
	if (vq->features.event_idx)
		store(used_event(vq), vq->used_index);
	else
		store(avail_flags(vq), 0);
	return virtqueue_has_used(vq);
}
