/* Inside of the stores: what each kind implements, and what store.c has checked before it calls.
 *
 * A kind's open function fills in `info` (bytes and the capabilities) and returns a struct whose first member
 * is struct store, or NULL with a reason. */
#ifndef KICKSTAND_BLOCKS_MEDIA_STORE_OPS_H
#define KICKSTAND_BLOCKS_MEDIA_STORE_OPS_H

#include "rtl-model/blocks/media/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Every range is inside the size and not empty, and only stores that are not read-only are changed.
 * Results are 0 or a negative errno; close frees the store. */
struct store_ops {
	int (*read)(struct store *store, uint64_t offset, void *data, size_t bytes);
	int (*write)(struct store *store, uint64_t offset, const void *data, size_t bytes);
	int (*flush)(struct store *store);
	int (*discard)(struct store *store, uint64_t offset, uint64_t bytes);
	int (*zero)(struct store *store, uint64_t offset, uint64_t bytes, bool may_unmap);
	void (*close)(struct store *store);
};

struct store {
	const struct store_ops *ops;
	struct store_info info;
	char *spec;
	const char *reason; /* set by a kind that knows more about its failure than the errno says */
	char *error;        /* first failure as a line, NULL: none */
};

struct store *store_ram_open(const char *spec, bool read_only, uint64_t seed, char *error, size_t error_size);
struct store *store_null_open(const char *spec, bool read_only, char *error, size_t error_size);
struct store *store_file_open(const char *spec, bool read_only, char *error, size_t error_size);
/* `patience_ms`: how long the server may leave us without an answer. */
struct store *store_nbd_open(const char *spec, bool read_only, unsigned patience_ms, char *error,
			     size_t error_size);

/* Puts together the reason of a failed open: "disk SPEC: …". Returns NULL, for `return store_fail(…)`. */
void *store_fail(char *error, size_t error_size, const char *spec, const char *format, ...) PRINTF_LIKE(4, 5);

/* A whole number of sectors, 1..STORE_BYTES_MAX bytes? False with a reason that ends in `mend`. */
MUST_USE bool store_check_size(const char *spec, uint64_t bytes, const char *mend, char *error,
			       size_t error_size);

/* Size of a "kind:SIZE" specification, checked as above. */
MUST_USE bool store_parse_size(const char *spec, uint64_t *bytes, char *error, size_t error_size);

/* Writes zeroes as data, for stores without a better way. */
MUST_USE int store_write_zeroes(struct store *store, uint64_t offset, uint64_t bytes);

#ifdef __cplusplus
}
#endif
#endif
