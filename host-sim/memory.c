#include "host-sim/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- RAM ---- */

int memory_create(struct memory *memory, uint64_t base, uint64_t bytes, char *error, size_t error_size)
{
	*memory = (struct memory){.base = base, .next = base};
	if (bytes == 0)
		return 0;
	void *data =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (data == MAP_FAILED) {
		snprintf(error, error_size, "host.memory: cannot reserve %" PRIu64 " bytes: %s; lower it",
			 bytes, strerror(errno));
		return -1;
	}
	memory->bytes = bytes;
	memory->data = data;
	return 0;
}

void memory_destroy(struct memory *memory)
{
	if (memory->data)
		munmap(memory->data, memory->bytes);
	free(memory->region);
	*memory = (struct memory){0};
}

void *memory_alloc(struct memory *memory, uint64_t bytes, uint64_t align, uint64_t *addr)
{
	uint64_t at = (memory->next + align - 1) & ~(align - 1);
	uint8_t *data = at < memory->next ? NULL : memory_at(memory, at, bytes);
	if (!data)
		return NULL;
	memory->next = at + bytes;
	*addr = at;
	return data;
}

/* ---- regions ---- */

/* Where the first region above `addr` is or would be. */
static size_t region_above(const struct memory *memory, uint64_t addr)
{
	size_t low = 0, high = memory->regions;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (memory->region[middle].base <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool overlap(uint64_t base_a, uint64_t bytes_a, uint64_t base_b, uint64_t bytes_b)
{
	return bytes_a != 0 && bytes_b != 0 &&
	       (base_a <= base_b ? base_b - base_a < bytes_a : base_a - base_b < bytes_b);
}

int memory_add(struct memory *memory, const struct memory_region *region)
{
	if (region->bytes == 0 || region->base + (region->bytes - 1) < region->base ||
	    overlap(region->base, region->bytes, memory->base, memory->bytes))
		return -1;
	size_t at = region_above(memory, region->base);
	for (size_t i = at == 0 ? 0 : at - 1; i < memory->regions && i <= at; i++)
		if (overlap(region->base, region->bytes, memory->region[i].base, memory->region[i].bytes))
			return -1;
	if (memory->regions == memory->room) {
		size_t room = memory->room ? 2 * memory->room : 16;
		struct memory_region *grown = realloc(memory->region, room * sizeof(*grown));
		if (!grown)
			return -1;
		memory->region = grown;
		memory->room = room;
	}
	memmove(memory->region + at + 1, memory->region + at,
		(memory->regions - at) * sizeof(*memory->region));
	memory->region[at] = *region;
	memory->regions++;
	memory->last = at;
	return 0;
}

bool memory_remove(struct memory *memory, uint64_t base, uint64_t bytes)
{
	size_t above = region_above(memory, base);
	if (above == 0 || memory->region[above - 1].base != base || memory->region[above - 1].bytes != bytes)
		return false;
	memmove(memory->region + above - 1, memory->region + above,
		(memory->regions - above) * sizeof(*memory->region));
	memory->regions--;
	memory->last = 0;
	return true;
}

static bool holds(const struct memory_region *region, uint64_t addr, uint64_t bytes)
{
	return addr >= region->base && bytes <= region->bytes && addr - region->base <= region->bytes - bytes;
}

const struct memory_region *memory_find(struct memory *memory, uint64_t addr, uint64_t bytes)
{
	/* The same region as last time, mostly. */
	if (memory->last < memory->regions && holds(&memory->region[memory->last], addr, bytes))
		return &memory->region[memory->last];
	size_t above = region_above(memory, addr);
	if (above == 0 || !holds(&memory->region[above - 1], addr, bytes))
		return NULL;
	memory->last = above - 1;
	return &memory->region[above - 1];
}
