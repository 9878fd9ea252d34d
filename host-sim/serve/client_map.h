/* Memory that a client shares with us by a file descriptor.
 *
 * The client can make the file shorter at any time, and what is then behind its end raises SIGBUS when touched. That
 * must not end the server: the whole mapping becomes zeroed memory of our own instead, and the client is to be
 * disconnected (client_map_lost). */
#ifndef KICKSTAND_HOST_SIM_SERVE_CLIENT_MAP_H
#define KICKSTAND_HOST_SIM_SERVE_CLIENT_MAP_H

#include "pcie/base.h"

#include <sys/types.h>

#define CLIENT_MAPS_MAX 1024u

struct client_map {
	uint8_t *data; /* of the byte at `offset` of the file; NULL: nothing is mapped */
	uint64_t bytes;
	/* What it maps, to tell whether two descriptors mean the same. */
	dev_t dev;
	ino_t ino;
	uint64_t offset;
	unsigned slot;
};

/* Maps [offset, offset + bytes) of the file, to be read and written. The descriptor stays the caller's and is not needed
 * afterwards. Returns 0, or -1 with a one-line reason: no plain file, beyond its end, not writable, too many. */
MUST_USE int client_map_create(struct client_map *map, int fd, uint64_t offset, uint64_t bytes, char *error,
			       size_t error_size);
/* Nothing if nothing is mapped. */
void client_map_destroy(struct client_map *map);

/* Whether the file was found shorter than it was. */
bool client_map_lost(const struct client_map *map);

#endif
