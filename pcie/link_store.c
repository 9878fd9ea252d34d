#include "pcie/link_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Small enough to stay in the first-level cache as long as few TLPs are under way. */
#define ARENA_BYTES_FIRST 8192u
#define RING_SLOTS_FIRST  16u

/* In front of every block. Blocks are multiples of this, so that it fits wherever a block ends. */
struct block {
	uint32_t bytes; /* this header and padding included */
	uint32_t released;
};

static void *allocate(size_t bytes)
{
	void *p = malloc(bytes);
	if (p == NULL) {
		fprintf(stderr, "kickstand: link: no memory for %zu bytes of queued TLPs\n", bytes);
		exit(3);
	}
	return p;
}

static uint64_t block_bytes(size_t size)
{
	return (sizeof(struct block) + size + sizeof(struct block) - 1) & ~(sizeof(struct block) - 1);
}

static struct block *block_at(const struct link_arena *a, uint64_t position)
{
	return (struct block *)(void *)(a->bytes + (position & (a->capacity - 1)));
}

bool link_arena_init(struct link_arena *a)
{
	*a = (struct link_arena){.bytes = malloc(ARENA_BYTES_FIRST), .capacity = ARENA_BYTES_FIRST};
	return a->bytes != NULL;
}

void link_arena_free(struct link_arena *a)
{
	free(a->bytes);
}

/* Doubles the ring. A block lies between two multiples of the capacity, hence also between two of the double
 * one: copied in pieces that end at such multiples, every block stays in one piece. */
static void arena_grow(struct link_arena *a)
{
	struct link_arena grown = *a;
	grown.capacity = a->capacity * 2;
	grown.bytes = (uint8_t *)allocate(grown.capacity);
	for (uint64_t from = a->head; from < a->tail;) {
		uint64_t n = min_u64(a->tail - from, a->capacity - (from & (a->capacity - 1)));
		memcpy(block_at(&grown, from), block_at(a, from), n);
		from += n;
	}
	free(a->bytes);
	*a = grown;
}

uint8_t *link_arena_reserve(struct link_arena *a, size_t size)
{
	uint64_t need = block_bytes(size);
	for (;;) {
		uint64_t to_wrap = a->capacity - (a->tail & (a->capacity - 1));
		uint64_t skip = need <= to_wrap ? 0 : to_wrap;
		if (a->tail - a->head + skip + need > a->capacity) {
			arena_grow(a);
			continue;
		}
		if (skip != 0) {
			*block_at(a, a->tail) = (struct block){.bytes = (uint32_t)skip, .released = 1};
			a->tail += skip;
		}
		a->reserved = size;
		return (uint8_t *)(block_at(a, a->tail) + 1);
	}
}

uint64_t link_arena_commit(struct link_arena *a, size_t size)
{
	ASSERT(size <= a->reserved);
	uint64_t position = a->tail;
	*block_at(a, position) = (struct block){.bytes = (uint32_t)block_bytes(size), .released = 0};
	a->tail += block_bytes(size);
	a->reserved = 0;
	return position;
}

uint8_t *link_arena_at(const struct link_arena *a, uint64_t position)
{
	return (uint8_t *)(block_at(a, position) + 1);
}

void link_arena_release(struct link_arena *a, uint64_t position)
{
	block_at(a, position)->released = 1;
	while (a->head != a->tail && block_at(a, a->head)->released)
		a->head += block_at(a, a->head)->bytes;
}

void link_ring_free(struct link_ring *r)
{
	free(r->slots);
}

void link_ring_grow(struct link_ring *r, size_t slot_bytes)
{
	struct link_ring grown = *r;
	grown.capacity = r->capacity == 0 ? RING_SLOTS_FIRST : r->capacity * 2;
	grown.slots = (uint8_t *)allocate(grown.capacity * slot_bytes);
	for (uint64_t i = r->head; i != r->tail; i++)
		memcpy(link_ring_at(&grown, i, slot_bytes), link_ring_at(r, i, slot_bytes), slot_bytes);
	free(r->slots);
	*r = grown;
}
