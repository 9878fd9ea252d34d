#include "rtl-model/blocks/media/store_ops.h"

#include <stdlib.h>
#include <string.h>

static int null_read(struct store *store, uint64_t offset, void *data, size_t bytes)
{
	(void)store;
	(void)offset;
	memset(data, 0, bytes);
	return 0;
}

static int null_write(struct store *store, uint64_t offset, const void *data, size_t bytes)
{
	(void)store;
	(void)offset;
	(void)data;
	(void)bytes;
	return 0;
}

static int null_flush(struct store *store)
{
	(void)store;
	return 0;
}

static int null_discard(struct store *store, uint64_t offset, uint64_t bytes)
{
	return null_write(store, offset, NULL, bytes);
}

static int null_zero(struct store *store, uint64_t offset, uint64_t bytes, bool may_unmap)
{
	(void)may_unmap;
	return null_write(store, offset, NULL, bytes);
}

static void null_close(struct store *store)
{
	free(store);
}

static const struct store_ops null_ops = {null_read,    null_write, null_flush,
					  null_discard, null_zero,  null_close};

struct store *store_null_open(const char *spec, bool read_only, char *error, size_t error_size)
{
	uint64_t bytes;
	if (!store_parse_size(spec, &bytes, error, error_size))
		return NULL;
	struct store *store = calloc(1, sizeof(*store));
	if (!store)
		return store_fail(error, error_size, spec, "out of memory");
	store->ops = &null_ops;
	store->info = (struct store_info){.bytes = bytes,
					  .read_only = read_only,
					  .can_discard = true,
					  .can_zero = true,
					  .kind = "null"};
	return store;
}
