/* Guest memory: one sparse range of guest addresses. Pages cost nothing until they are touched. */
#ifndef KICKSTAND_HOST_SIM_MEMORY_H
#define KICKSTAND_HOST_SIM_MEMORY_H

#include "pcie/base.h"

struct memory {
	uint64_t base, bytes;
	uint8_t *data;
	uint64_t next; /* memory_alloc hands out what is from here on */
};

/* Returns 0, or -1 with a one-line reason. */
MUST_USE int memory_create(struct memory *memory, uint64_t base, uint64_t bytes, char *error,
			   size_t error_size);
void memory_destroy(struct memory *memory);

/* Host pointer to [addr, addr + bytes), NULL if any of it is outside. */
static inline uint8_t *memory_at(const struct memory *memory, uint64_t addr, uint64_t bytes)
{
	if (addr < memory->base || bytes > memory->bytes || addr - memory->base > memory->bytes - bytes)
		return NULL;
	return memory->data + (addr - memory->base);
}

/* Zeroed memory at a multiple of `align` (a power of 2); its guest address in *addr. Never given back. NULL if there is
 * not enough. */
void *memory_alloc(struct memory *memory, uint64_t bytes, uint64_t align, uint64_t *addr);

#endif
