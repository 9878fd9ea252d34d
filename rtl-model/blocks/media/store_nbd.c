/* A disk behind an NBD server, through libnbd.
 *
 * One command at a time, sent with libnbd's asynchronous calls only because those let us stop waiting: a server
 * that dies or falls silent ends in -EIO on every further access, never in a hang. */
#include "rtl-model/blocks/media/store_ops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

/* Block lengths of the protocol are 32 bits (NBD protocol, "Request message"). */
#define RANGE_BYTES_MAX (UINT64_C(1) << 30)
/* Payload that every server has to take (NBD protocol, "Block size constraints"). */
#define PAYLOAD_BYTES_DEFAULT (UINT64_C(32) << 20)

struct store_nbd {
	struct store store;
	struct nbd_handle *handle; /* NULL: the connection is gone for good */
	int patience_ms;
	uint64_t payload_bytes_max;
	bool can_zero_range;
};

/* ---- waiting ---- */

/* Lets libnbd work until something has happened. 0, -ETIMEDOUT, or -EIO with the reason in nbd_get_error. */
static int progress(struct store_nbd *nbd)
{
	int happened = nbd_poll(nbd->handle, nbd->patience_ms);
	if (happened > 0 || (happened < 0 && nbd_get_errno() == EINTR))
		return 0;
	return happened == 0 ? -ETIMEDOUT : -EIO;
}

static int lose(struct store_nbd *nbd, const char *reason)
{
	nbd->store.reason = reason;
	/* Closing also makes sure that a late answer is not written into the caller's buffer. */
	nbd_close(nbd->handle);
	nbd->handle = NULL;
	return -EIO;
}

/* Result of the command `cookie` (negative: it could not even be sent). */
static int finish(struct store_nbd *nbd, int64_t cookie)
{
	int done = cookie < 0 ? -1 : 0;
	while (done == 0) {
		done = nbd_aio_command_completed(nbd->handle, (uint64_t)cookie);
		if (done != 0)
			break;
		int result = progress(nbd);
		if (result == -ETIMEDOUT)
			return lose(nbd, "the server does not answer any more; look at its state");
		if (result != 0)
			return lose(nbd, "the connection was lost; is the server still running?");
	}
	if (done > 0)
		return 0;
	int code = nbd_get_errno();
	if (!nbd_aio_is_ready(nbd->handle))
		return lose(nbd, "the connection was lost; is the server still running?");
	return code > 0 ? -code : -EIO;
}

/* ---- access ---- */

static int nbd_store_read(struct store *store, uint64_t offset, void *data, size_t bytes)
{
	struct store_nbd *nbd = (struct store_nbd *)store;
	uint8_t *to = data;
	int result = nbd->handle ? 0 : -EIO;
	while (bytes != 0 && result == 0) {
		size_t piece = (size_t)min_u64(bytes, nbd->payload_bytes_max);
		result = finish(nbd, nbd_aio_pread(nbd->handle, to, piece, offset, NBD_NULL_COMPLETION, 0));
		to += piece;
		offset += piece;
		bytes -= piece;
	}
	return result;
}

static int nbd_store_write(struct store *store, uint64_t offset, const void *data, size_t bytes)
{
	struct store_nbd *nbd = (struct store_nbd *)store;
	const uint8_t *from = data;
	int result = nbd->handle ? 0 : -EIO;
	while (bytes != 0 && result == 0) {
		size_t piece = (size_t)min_u64(bytes, nbd->payload_bytes_max);
		result =
			finish(nbd, nbd_aio_pwrite(nbd->handle, from, piece, offset, NBD_NULL_COMPLETION, 0));
		from += piece;
		offset += piece;
		bytes -= piece;
	}
	return result;
}

static int nbd_store_flush(struct store *store)
{
	struct store_nbd *nbd = (struct store_nbd *)store;
	return nbd->handle ? finish(nbd, nbd_aio_flush(nbd->handle, NBD_NULL_COMPLETION, 0)) : -EIO;
}

static int nbd_store_discard(struct store *store, uint64_t offset, uint64_t bytes)
{
	struct store_nbd *nbd = (struct store_nbd *)store;
	int result = nbd->handle ? 0 : -EIO;
	while (bytes != 0 && result == 0) {
		uint64_t piece = min_u64(bytes, RANGE_BYTES_MAX);
		result = finish(nbd, nbd_aio_trim(nbd->handle, piece, offset, NBD_NULL_COMPLETION, 0));
		offset += piece;
		bytes -= piece;
	}
	return result;
}

static int nbd_store_zero(struct store *store, uint64_t offset, uint64_t bytes, bool may_unmap)
{
	struct store_nbd *nbd = (struct store_nbd *)store;
	uint32_t flags = may_unmap ? 0 : LIBNBD_CMD_FLAG_NO_HOLE;
	if (!nbd->can_zero_range)
		return store_write_zeroes(store, offset, bytes);
	int result = nbd->handle ? 0 : -EIO;
	while (bytes != 0 && result == 0) {
		uint64_t piece = min_u64(bytes, RANGE_BYTES_MAX);
		result = finish(nbd, nbd_aio_zero(nbd->handle, piece, offset, NBD_NULL_COMPLETION, flags));
		offset += piece;
		bytes -= piece;
	}
	return result;
}

static void nbd_store_close(struct store *store)
{
	struct store_nbd *nbd = (struct store_nbd *)store;
	if (nbd->handle)
		nbd_aio_disconnect(nbd->handle, 0);
	nbd_close(nbd->handle);
	free(nbd);
}

static const struct store_ops nbd_ops = {nbd_store_read,    nbd_store_write, nbd_store_flush,
					 nbd_store_discard, nbd_store_zero,  nbd_store_close};

/* ---- opening ---- */

static int begin_connect(struct nbd_handle *handle, const char *spec)
{
	static const char socket_prefix[] = "nbd:unix:", prefix[] = "nbd:";
	if (strncmp(spec, socket_prefix, strlen(socket_prefix)) == 0)
		return nbd_aio_connect_unix(handle, spec + strlen(socket_prefix));
	if (strncmp(spec, prefix, strlen(prefix)) == 0 && strncmp(spec, "nbd://", 6) != 0)
		return nbd_aio_connect_uri(handle, spec + strlen(prefix));
	return nbd_aio_connect_uri(handle, spec);
}

static bool connect_server(const char *spec, struct store_nbd *nbd, char *error, size_t error_size)
{
	int result = begin_connect(nbd->handle, spec) == 0 ? 0 : -EIO;
	while (result == 0 && !nbd_aio_is_ready(nbd->handle))
		result = progress(nbd);
	if (result == 0)
		return true;
	store_fail(error, error_size, spec, "no NBD server: %s; start one or mend the address",
		   result == -ETIMEDOUT ? "it does not answer" : nbd_get_error());
	return false;
}

/* Asks the server what it offers. */
static bool examine(const char *spec, struct store_nbd *nbd, char *error, size_t error_size)
{
	struct store_info *info = &nbd->store.info;
	int64_t bytes = nbd_get_size(nbd->handle);
	if (bytes < 0) {
		store_fail(error, error_size, spec, "the server tells no size: %s; use another export",
			   nbd_get_error());
		return false;
	}
	info->bytes = (uint64_t)bytes;
	if (!store_check_size(spec, info->bytes, "give the server's image such a size", error, error_size))
		return false;
	if (!info->read_only && nbd_is_read_only(nbd->handle) > 0) {
		store_fail(error, error_size, spec,
			   "the server offers it read-only; use --set device.read_only=on");
		return false;
	}
	if (nbd_get_block_size(nbd->handle, LIBNBD_SIZE_MINIMUM) > STORE_SECTOR_BYTES) {
		store_fail(error, error_size, spec,
			   "the server takes no single sectors; put `--filter=blocksize` of nbdkit in front");
		return false;
	}
	int64_t payload = nbd_get_block_size(nbd->handle, LIBNBD_SIZE_MAXIMUM);
	nbd->payload_bytes_max =
		payload > 0 ? min_u64((uint64_t)payload, PAYLOAD_BYTES_DEFAULT) : PAYLOAD_BYTES_DEFAULT;
	info->can_flush = nbd_can_flush(nbd->handle) > 0;
	info->can_discard = nbd_can_trim(nbd->handle) > 0;
	info->can_zero = nbd->can_zero_range = nbd_can_zero(nbd->handle) > 0;
	return true;
}

struct store *store_nbd_open(const char *spec, bool read_only, unsigned patience_ms, char *error,
			     size_t error_size)
{
	struct store_nbd *nbd = calloc(1, sizeof(*nbd));
	if (!nbd)
		return store_fail(error, error_size, spec, "out of memory");
	nbd->store.ops = &nbd_ops;
	nbd->store.info.kind = "nbd";
	nbd->store.info.read_only = read_only;
	nbd->patience_ms = (int)patience_ms;
	nbd->handle = nbd_create();
	if (nbd->handle && connect_server(spec, nbd, error, error_size) &&
	    examine(spec, nbd, error, error_size))
		return &nbd->store;
	if (!nbd->handle)
		store_fail(error, error_size, spec, "out of memory");
	nbd_store_close(&nbd->store);
	return NULL;
}
