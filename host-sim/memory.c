#include "host-sim/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

int memory_create(struct memory *memory, uint64_t base, uint64_t bytes, char *error, size_t error_size)
{
	void *data =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (data == MAP_FAILED) {
		snprintf(error, error_size, "host.memory: cannot reserve %" PRIu64 " bytes: %s; lower it",
			 bytes, strerror(errno));
		return -1;
	}
	*memory = (struct memory){.base = base, .bytes = bytes, .data = data, .next = base};
	return 0;
}

void memory_destroy(struct memory *memory)
{
	if (memory->data)
		munmap(memory->data, memory->bytes);
	memory->data = NULL;
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
