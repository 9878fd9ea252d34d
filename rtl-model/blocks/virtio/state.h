/* What the two sides of the virtio registers share. Private to blocks/virtio. */
#ifndef KICKSTAND_BLOCKS_VIRTIO_STATE_H
#define KICKSTAND_BLOCKS_VIRTIO_STATE_H

#include "rtl-model/blocks/virtio/virtio_regs.h"

/* One queue's registers as after a reset (virtio 1.4 §4.1.4.3). */
void virtio_queue_regs_reset(struct virtio_regs *regs, unsigned queue);

/* Both halves of a 64-bit register are written on their own (D-074). */
static inline void set_half(uint64_t *field, bool high, uint32_t value)
{
	if (high)
		*field = (uint32_t)*field | (uint64_t)value << 32;
	else
		*field = *field >> 32 << 32 | value;
}

#endif
