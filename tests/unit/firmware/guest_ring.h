/* A driver's split virtqueue (virtio 1.4 §2.7) in the mock's guest memory, for rings the firmware walks itself. */
#ifndef KICKSTAND_TESTS_FIRMWARE_GUEST_RING_H
#define KICKSTAND_TESTS_FIRMWARE_GUEST_RING_H

#include "tests/unit/firmware/fixture.h"

#define GUEST_RING_SIZE_MAX 256u
#define PIECES_MAX          SLOT_SEGMENTS_MAX

/* One buffer as a descriptor shows it. */
struct piece {
	uint64_t addr;
	uint32_t bytes;
	bool write;
};

/* What a chain says, and how the firmware has to understand it. */
struct chain {
	uint32_t type;
	uint64_t sector;
	struct piece pieces[PIECES_MAX];
	unsigned count, readable;
	uint64_t readable_bytes, writable_bytes;
};

struct guest_ring {
	struct mock_card *mock;
	unsigned queue;
	uint16_t size;
	uint64_t desc, avail, used, memory; /* memory: for buffers and indirect tables */
	uint64_t memory_next;
	uint16_t published;             /* avail.idx */
	uint16_t added;                 /* entries written, published or not */
	bool busy[GUEST_RING_SIZE_MAX]; /* descriptors in chains the device has not used */
	unsigned free;
	struct chain chain[GUEST_RING_SIZE_MAX]; /* by head: for the test */
};

/* Straps with offload level firmware. */
struct mock_straps firmware_straps(unsigned queues);

/* The ring at the address enable_queue gives it. Every fourth queue has the same memory for buffers. */
void guest_ring_init(struct guest_ring *ring, struct fixture *fixture, unsigned queue, uint16_t size);

/* `bytes` of memory at an address of any alignment. It comes round again after half a mebibyte. */
uint64_t guest_ring_memory(struct guest_ring *ring, uint32_t bytes, struct rng *rng);

void guest_ring_desc(struct guest_ring *ring, uint64_t table, unsigned index, uint64_t addr, uint32_t bytes,
		     uint16_t flags, uint16_t next);
/* Adds to the available ring, without publishing it. */
void guest_ring_add(struct guest_ring *ring, uint16_t head);
void guest_ring_publish(struct guest_ring *ring);

/* A chain with `out` and `in` bytes of data, cut into pieces at random; its header is written to guest memory. */
void chain_cut(struct chain *chain, struct guest_ring *ring, struct rng *rng, uint32_t type, uint64_t sector,
	       uint32_t out, uint32_t in);

/* How a chain is laid out in descriptors: the first `direct` pieces in the ring's table, the others in an indirect table. */
uint16_t chain_lay_out(const struct chain *chain, struct guest_ring *ring, struct rng *rng, unsigned direct);

/* The device has used the chain: its descriptors are free again. */
void guest_ring_release(struct guest_ring *ring, uint16_t head);

/* What the firmware made of it, as it was when the job of `slot` was pushed. */
void chain_check(const struct chain *chain, const struct mock_card *mock, unsigned slot);

#endif
