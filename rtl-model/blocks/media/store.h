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

#define STORE_SECTOR_BYTES 512u
#define STORE_BYTES_MAX    (UINT64_C(1) << 62)

/* What a store can do. */
struct store_info {
	uint64_t bytes; /* a multiple of 512, 512..STORE_BYTES_MAX */
	bool read_only;
	bool can_flush; /* has something volatile in front of stable storage */
	bool can_discard; /* false: store_discard succeeds and changes nothing. A file system that turns out to refuse it
			   * makes a true become false */
	bool can_zero;    /* zeroes need not be sent as data */
	const char *kind; /* "ram", "file", "nbd", "null" */
	const char *spec; /* as given to store_open */
};

/* Opens a disk specification:
 *   ram:SIZE         memory, sparse, holds store_pattern of `seed` until written
 *   null:SIZE        swallows writes, reads zeroes
 *   nbd:URI          what libnbd understands; nbd://HOST:PORT/EXPORT and nbd+unix://… need no second "nbd:"
 *   nbd:unix:SOCKET  the default export behind a Unix socket
 *   PATH             raw image file or block device (write ./ram:x for a file of that name)
 * A file is locked against other runs and QEMU, shared if `read_only`. Returns NULL with a one-line reason (what,
 * where, the mend): missing file, no permission, in use, empty image, size not a multiple of 512, no server.
 * Owner: caller, store_close. */
struct store *store_open(const char *spec, bool read_only, uint64_t seed, char *error, size_t error_size);
void store_close(struct store *store);

const struct store_info *store_info(const struct store *store);

/* 0 or a negative errno: -EINVAL outside the size, -EROFS a change to a read-only store, else what the store said
 * (-EIO when its server is gone). Lengths may be any number of bytes inside the size; NBD servers may insist on
 * multiples of 512. */
MUST_USE int store_read(struct store *store, uint64_t offset, void *data, size_t bytes);
MUST_USE int store_write(struct store *store, uint64_t offset, const void *data, size_t bytes);
/* Everything written before is on stable storage when this returns 0 (fdatasync, NBD flush). */
MUST_USE int store_flush(struct store *store);
/* Deallocates; contents become undefined. (ram: and files: zeroes if can_discard.) */
MUST_USE int store_discard(struct store *store, uint64_t offset, uint64_t bytes);
/* Contents become zeroes; `may_unmap` allows deallocation. */
MUST_USE int store_zero(struct store *store, uint64_t offset, uint64_t bytes, bool may_unmap);

/* The first failure of the store itself since it was opened, as a line naming the disk, for the report; NULL if
 * none. -EINVAL and -EROFS of the checks above are the caller's and not in it. */
const char *store_error(const struct store *store);

/* Contents of never written sector `sector` of ram: disks, different in every sector and 8-byte word. With
 *   mix(z): z ^= z >> 30; z *= 0xbf58476d1ce4e5b9; z ^= z >> 27; z *= 0x94d049bb133111eb; z ^= z >> 31
 *   g = 0x9e3779b97f4a7c15
 * the little-endian 64-bit word i (0..63) of the sector is
 *   mix(mix(seed + g) + (sector + 1) * g) + i * 0xd1342543de82ef95      (all modulo 2^64). */
void store_pattern(uint64_t seed, uint64_t sector, uint8_t data[512]);

#ifdef __cplusplus
}
#endif
#endif
