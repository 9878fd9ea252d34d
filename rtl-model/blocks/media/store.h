/* Where a medium's bytes really are: memory, a raw image file, an NBD server, or nowhere.
 *
 * A store has no notion of simulated time; blocks/media gives it one. All calls block until the operation is
 * done. Offsets and lengths are checked against the size; errors are negative errno values and leave
 * other bytes as they were. */
#ifndef KICKSTAND_BLOCKS_MEDIA_STORE_H
#define KICKSTAND_BLOCKS_MEDIA_STORE_H

#include "pcie/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct store;

/* What a store can do. */
struct store_info {
	uint64_t bytes;     /* a multiple of 512 */
	bool read_only;
	bool can_flush;     /* has something volatile in front of stable storage */
	bool can_discard;
	bool can_zero;
	const char *kind;   /* "ram", "file", "nbd", "null" */
	const char *spec;   /* as given to store_open */
};

/* Opens a disk specification:
 *   ram:SIZE     memory, sparse, filled with store_pattern of `seed` until written
 *   null:SIZE    swallows writes, reads zeroes
 *   nbd:URI      libnbd
 *   PATH         raw image file, opened read-only if `read_only`
 * Returns NULL with a one-line reason (what, where, the mend): missing file, short or empty image, size not a
 * multiple of 512, bad size, no server. Owner: caller, store_close. */
struct store *store_open(const char *spec, bool read_only, uint64_t seed, char *error, size_t error_size);
void store_close(struct store *store);

const struct store_info *store_info(const struct store *store);

/* 0 or a negative errno. Lengths may be any number of bytes inside the size. */
MUST_USE int store_read(struct store *store, uint64_t offset, void *data, size_t bytes);
MUST_USE int store_write(struct store *store, uint64_t offset, const void *data, size_t bytes);
/* Everything written before is on stable storage when this returns 0 (fdatasync, NBD flush). */
MUST_USE int store_flush(struct store *store);
/* Deallocates; contents become undefined (zeroes here). */
MUST_USE int store_discard(struct store *store, uint64_t offset, uint64_t bytes);
/* Contents become zeroes; `may_unmap` allows deallocation. */
MUST_USE int store_zero(struct store *store, uint64_t offset, uint64_t bytes, bool may_unmap);

/* The first error since the store was opened, as a line naming the disk, for the report; NULL if none. */
const char *store_error(const struct store *store);

/* Contents of never written sector `sector` of ram: disks, 512 bytes; different in every sector and 8-byte word. */
void store_pattern(uint64_t seed, uint64_t sector, uint8_t data[512]);

#ifdef __cplusplus
}
#endif
#endif
