/* Storage of one link direction: the bytes of its TLPs, and records in order.
 *
 * Two containers, both rings that grow on demand and never shrink. Nothing here knows about time. */
#ifndef KICKSTAND_PCIE_LINK_STORE_H
#define KICKSTAND_PCIE_LINK_STORE_H

#include "pcie/base.h"

/* Blocks of bytes, made in order and released in any order: TLPs of different classes overtake each other.
 * A block keeps its position, which is a running count, when the ring grows; its address changes. */
struct link_arena {
	uint8_t *bytes;
	uint64_t capacity; /* a power of 2 */
	uint64_t head, tail;
	size_t reserved; /* bytes the last link_arena_reserve gave */
};

/* False if out of memory. Later growth that fails ends the program with a message. */
MUST_USE bool link_arena_init(struct link_arena *arena);
void link_arena_free(struct link_arena *arena);

/* Room for a block of up to `size` bytes. It becomes a block with link_arena_commit, which returns its
 * position; another reserve before that replaces this one. */
uint8_t *link_arena_reserve(struct link_arena *arena, size_t size);
uint64_t link_arena_commit(struct link_arena *arena, size_t size);

uint8_t *link_arena_at(const struct link_arena *arena, uint64_t position);
void link_arena_release(struct link_arena *arena, uint64_t position);

/* Slots of one size, addressed by running index head..tail-1. All zero is an empty ring. */
struct link_ring {
	uint8_t *slots;
	uint64_t capacity; /* a power of 2, or 0 */
	uint64_t head, tail;
};

void link_ring_free(struct link_ring *ring);
void link_ring_grow(struct link_ring *ring, size_t slot_bytes);

static inline bool link_ring_empty(const struct link_ring *ring)
{
	return ring->head == ring->tail;
}

static inline void *link_ring_at(const struct link_ring *ring, uint64_t index, size_t slot_bytes)
{
	return ring->slots + (index & (ring->capacity - 1)) * slot_bytes;
}

/* Adds a slot, contents undefined, and returns its index. */
static inline uint64_t link_ring_add(struct link_ring *ring, size_t slot_bytes)
{
	if (ring->tail - ring->head == ring->capacity)
		link_ring_grow(ring, slot_bytes);
	return ring->tail++;
}

#endif
