#include "rtl-model/blocks/media/store_ops.h"
#include "rtl-model/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A server that is silent for so long will not come back. */
#define NBD_PATIENCE_MS 30000

/* ---- opening ---- */

void *store_fail(char *error, size_t error_size, const char *spec, const char *format, ...)
{
	char reason[512];
	va_list args;
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	snprintf(error, error_size, "disk %s: %s", spec, reason);
	return NULL;
}

/* The device counts in sectors, so a size that is no number of sectors has no right answer. */
bool store_check_size(const char *spec, uint64_t bytes, const char *mend, char *error, size_t error_size)
{
	const char *wrong = bytes == 0                        ? "there is nothing in it"
			    : bytes % STORE_SECTOR_BYTES != 0 ? "its size is no multiple of 512"
			    : bytes > STORE_BYTES_MAX         ? "it is larger than 2^62 bytes"
							      : NULL;
	if (!wrong)
		return true;
	store_fail(error, error_size, spec, "%s (%" PRIu64 " bytes); %s", wrong, bytes, mend);
	return false;
}

bool store_parse_size(const char *spec, uint64_t *bytes, char *error, size_t error_size)
{
	static const char mend[] = "give a number with an optional suffix k, M, G or T, as in ram:64M";
	if (parse_bytes(strchr(spec, ':') + 1, bytes) == 0)
		return store_check_size(spec, *bytes, mend, error, error_size);
	store_fail(error, error_size, spec, "not a size; %s", mend);
	return false;
}

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static struct store *open_kind(const char *spec, bool read_only, uint64_t seed, char *error,
			       size_t error_size)
{
	if (starts_with(spec, "ram:"))
		return store_ram_open(spec, read_only, seed, error, error_size);
	if (starts_with(spec, "null:"))
		return store_null_open(spec, read_only, error, error_size);
	if (starts_with(spec, "nbd:") || starts_with(spec, "nbds:") || starts_with(spec, "nbd+unix:") ||
	    starts_with(spec, "nbds+unix:") || starts_with(spec, "nbd+vsock:") ||
	    starts_with(spec, "nbds+vsock:"))
		return store_nbd_open(spec, read_only, NBD_PATIENCE_MS, error, error_size);
	return store_file_open(spec, read_only, error, error_size);
}

struct store *store_open(const char *spec, bool read_only, uint64_t seed, char *error, size_t error_size)
{
	struct store *store = open_kind(spec, read_only, seed, error, error_size);
	if (!store)
		return NULL;
	store->spec = strdup(spec);
	if (!store->spec) {
		store_close(store);
		return store_fail(error, error_size, spec, "out of memory");
	}
	store->info.spec = store->spec;
	if (store->info.read_only)
		store->info.can_discard = store->info.can_zero = false;
	return store;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	free(store->spec);
	free(store->error);
	store->ops->close(store);
}

const struct store_info *store_info(const struct store *store)
{
	return &store->info;
}

/* ---- access ---- */

/* Keeps the first failure for the report, and hands `result` through. */
static int note(struct store *store, int result, const char *what, uint64_t offset, uint64_t bytes)
{
	if (result == 0 || store->error)
		return result;
	if (asprintf(&store->error, "disk %s: %s of %" PRIu64 " bytes at %" PRIu64 " failed: %s", store->spec,
		     what, bytes, offset, store->reason ? store->reason : strerror(-result)) < 0)
		store->error = NULL;
	return result;
}

static bool inside(const struct store *store, uint64_t offset, uint64_t bytes)
{
	return bytes <= store->info.bytes && offset <= store->info.bytes - bytes;
}

static int check_change(const struct store *store, uint64_t offset, uint64_t bytes)
{
	if (!inside(store, offset, bytes))
		return -EINVAL;
	return store->info.read_only ? -EROFS : 0;
}

int store_read(struct store *store, uint64_t offset, void *data, size_t bytes)
{
	if (!inside(store, offset, bytes))
		return -EINVAL;
	if (bytes == 0)
		return 0;
	return note(store, store->ops->read(store, offset, data, bytes), "read", offset, bytes);
}

int store_write(struct store *store, uint64_t offset, const void *data, size_t bytes)
{
	int refused = check_change(store, offset, bytes);
	if (refused || bytes == 0)
		return refused;
	return note(store, store->ops->write(store, offset, data, bytes), "write", offset, bytes);
}

int store_flush(struct store *store)
{
	if (!store->info.can_flush)
		return 0;
	return note(store, store->ops->flush(store), "flush", 0, store->info.bytes);
}

int store_discard(struct store *store, uint64_t offset, uint64_t bytes)
{
	int refused = check_change(store, offset, bytes);
	if (refused || bytes == 0 || !store->info.can_discard)
		return refused;
	return note(store, store->ops->discard(store, offset, bytes), "discard", offset, bytes);
}

int store_zero(struct store *store, uint64_t offset, uint64_t bytes, bool may_unmap)
{
	int refused = check_change(store, offset, bytes);
	if (refused || bytes == 0)
		return refused;
	return note(store, store->ops->zero(store, offset, bytes, may_unmap), "write of zeroes", offset,
		    bytes);
}

int store_write_zeroes(struct store *store, uint64_t offset, uint64_t bytes)
{
	static const uint8_t zeroes[65536];
	int result = 0;
	while (bytes != 0 && result == 0) {
		size_t piece = (size_t)min_u64(bytes, sizeof(zeroes));
		result = store->ops->write(store, offset, zeroes, piece);
		offset += piece;
		bytes -= piece;
	}
	return result;
}

const char *store_error(const struct store *store)
{
	return store->error;
}
