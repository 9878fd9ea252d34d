/* Guest memory as the root complex sees it: the simulated guest's RAM, one sparse range whose pages cost nothing until they
 * are touched, and regions that somebody else provides, such as memory that a socket client shares. */
#ifndef KICKSTAND_HOST_SIM_MEMORY_H
#define KICKSTAND_HOST_SIM_MEMORY_H

#include "pcie/base.h"

enum memory_access { MEMORY_READ = 1, MEMORY_WRITE = 2 };

/* A region that is not plain memory. All functions get ranges inside the region; false means there is nothing. */
struct memory_ops {
	bool (*read)(void *ctx, uint64_t addr, uint32_t bytes, uint8_t *data);
	bool (*write)(void *ctx, uint64_t addr, uint32_t bytes, const uint8_t *data);
	/* Instead of read, if the data comes later: root_read_done is called with the same token then. Reads are of whole
	 * DWs. */
	bool (*ask)(void *ctx, uint64_t addr, uint32_t bytes, unsigned token);
};

struct memory_region {
	uint64_t base, bytes;
	unsigned access; /* of the card: MEMORY_READ | MEMORY_WRITE */
	uint8_t *data;   /* the owner's; NULL: `ops` has it */
	const struct memory_ops *ops;
	void *ctx;
};

struct memory {
	/* RAM. */
	uint64_t base, bytes;
	uint8_t *data;
	uint64_t next; /* memory_alloc hands out what is from here on */
	/* Regions by address; they overlap neither each other nor the RAM. */
	struct memory_region *region;
	size_t regions, room, last;
};

/* Memory with that much RAM; 0 bytes for none. Returns 0, or -1 with a one-line reason. */
MUST_USE int memory_create(struct memory *memory, uint64_t base, uint64_t bytes, char *error,
			   size_t error_size);
void memory_destroy(struct memory *memory);

/* Adds a region. -1 if it is empty, runs past 2^64, overlaps another or there is no memory for it. */
MUST_USE int memory_add(struct memory *memory, const struct memory_region *region);
/* Takes out the region that is exactly this range; false if there is none. */
bool memory_remove(struct memory *memory, uint64_t base, uint64_t bytes);

/* The region that holds all of [addr, addr + bytes), whatever the access it allows; NULL if there is none. */
const struct memory_region *memory_find(struct memory *memory, uint64_t addr, uint64_t bytes);

/* Host pointer to [addr, addr + bytes) of the RAM, NULL if any of it is outside. */
static inline uint8_t *memory_at(const struct memory *memory, uint64_t addr, uint64_t bytes)
{
	if (addr < memory->base || bytes > memory->bytes || addr - memory->base > memory->bytes - bytes)
		return NULL;
	return memory->data + (addr - memory->base);
}

/* Zeroed RAM at a multiple of `align` (a power of 2); its guest address in *addr. Never given back. NULL if there is
 * not enough. */
void *memory_alloc(struct memory *memory, uint64_t bytes, uint64_t align, uint64_t *addr);

#endif
