/* What a disk held before the run, read by the host on its own, not through the card: what the check of reads compares
 * sectors with that the guest has not written. */
#ifndef KICKSTAND_HOST_SIM_ORIGINAL_H
#define KICKSTAND_HOST_SIM_ORIGINAL_H

#include "host-sim/verify.h"
#include "rtl-model/blocks/media/store.h"

struct original {
	const struct store_info *info;
	uint64_t seed;
	int fd;              /* image files: a descriptor of our own; -1: none */
	struct store *store; /* NBD: a connection of our own */
};

/* The store stays open as long as the original is used. Returns false if the contents cannot be known: then sectors
 * never written are not checked. */
bool original_open(struct original *original, const struct store_info *info, uint64_t seed);
void original_close(struct original *original);

/* For verify_config; ctx is the struct original. 0 or a negative errno: the server is gone. */
int original_read(void *ctx, uint64_t sector, uint32_t count, uint8_t *data);

#endif
