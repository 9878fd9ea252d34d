#include "host-sim/serve/client_map.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* What a signal handler can reach: the one place where this has to be known outside of a structure. An entry is free while
 * its `bytes` are 0. */
static struct {
	uint8_t *volatile start;
	volatile size_t bytes;
	volatile sig_atomic_t lost;
} mapped[CLIENT_MAPS_MAX];

static void bus_error(int number, siginfo_t *info, void *context)
{
	const uint8_t *at = info->si_addr;
	int saved = errno;
	(void)context;
	for (unsigned i = 0; i < CLIENT_MAPS_MAX; i++) {
		uint8_t *start = mapped[i].start;
		size_t bytes = mapped[i].bytes;
		if (bytes == 0 || at < start || (size_t)(at - start) >= bytes)
			continue;
		/* All of it, because pages may be huge. */
		if (mmap(start, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
			break;
		mapped[i].lost = 1;
		errno = saved;
		return;
	}
	/* Not ours: the access is repeated and ends the program as it would have. */
	signal(number, SIG_DFL);
	errno = saved;
}

static int take_slot(unsigned *slot)
{
	for (*slot = 0; *slot < CLIENT_MAPS_MAX; (*slot)++)
		if (mapped[*slot].bytes == 0)
			return 0;
	return -1;
}

static void watch(unsigned slot, uint8_t *start, size_t bytes)
{
	struct sigaction action = {.sa_sigaction = bus_error, .sa_flags = SA_SIGINFO};
	sigaction(SIGBUS, &action, NULL);
	mapped[slot].lost = 0;
	mapped[slot].start = start;
	mapped[slot].bytes = bytes;
}

/* From the start of the file on, whatever the alignment of `offset`, in units of its pages, which may be huge. */
static uint64_t map_bytes(const struct stat *status, uint64_t end)
{
	uint64_t unit = is_power_of_2((uint64_t)status->st_blksize) ? (uint64_t)status->st_blksize : 4096;
	return (end + unit - 1) & ~(unit - 1);
}

int client_map_create(struct client_map *map, int fd, uint64_t offset, uint64_t bytes, char *error,
		      size_t error_size)
{
	struct stat status;
	unsigned slot;
	*map = (struct client_map){0};
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
		snprintf(error, error_size, "the file descriptor is of no plain file or memfd");
		return -1;
	}
	uint64_t file_bytes = (uint64_t)status.st_size;
	if (bytes == 0 || bytes > file_bytes || offset > file_bytes - bytes) {
		snprintf(error, error_size, "%llu bytes from %llu on, but the file has only %llu",
			 (unsigned long long)bytes, (unsigned long long)offset,
			 (unsigned long long)file_bytes);
		return -1;
	}
	if (take_slot(&slot) != 0) {
		snprintf(error, error_size, "more than %u mappings", CLIENT_MAPS_MAX);
		return -1;
	}
	uint64_t length = map_bytes(&status, offset + bytes);
	uint8_t *start = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (start == MAP_FAILED) {
		snprintf(error, error_size, "cannot map it: %s", strerror(errno));
		return -1;
	}
	watch(slot, start, length);
	*map = (struct client_map){.data = start + offset,
				   .bytes = bytes,
				   .dev = status.st_dev,
				   .ino = status.st_ino,
				   .offset = offset,
				   .slot = slot};
	return 0;
}

void client_map_destroy(struct client_map *map)
{
	if (!map->data)
		return;
	munmap(mapped[map->slot].start, mapped[map->slot].bytes);
	mapped[map->slot].bytes = 0;
	map->data = NULL;
}

bool client_map_lost(const struct client_map *map)
{
	return map->data && mapped[map->slot].lost;
}
