#include "host-sim/serve/vhost_user_request.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_blk.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BIT(n) (UINT64_C(1) << (n))

#define PROTOCOL_FEATURES                                                                                    \
	(BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |                              \
	 BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) | BIT(VHOST_USER_PROTOCOL_F_CONFIG) |                        \
	 BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) | BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |               \
	 BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | BIT(VHOST_USER_PROTOCOL_F_STATUS))

#define WRITEBACK_OFFSET offsetof(struct virtio_blk_config, wce)

int vhost_user_refuse(struct vhost_user_exchange *x, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(x->reason, sizeof(x->reason), format, args);
	va_end(args);
	return -1;
}

void vhost_user_reply_bytes(struct vhost_user_exchange *x, uint32_t bytes)
{
	x->reply->message.header.size = bytes;
}

void vhost_user_reply_u64(struct vhost_user_exchange *x, uint64_t value)
{
	vhost_user_reply_bytes(x, sizeof(value));
	x->reply->message.payload.u64 = value;
}

/* ---- features ---- */

static int get_features(struct vhost_user_exchange *x)
{
	vhost_user_reply_u64(x, vhost_user_card_features(x->session->card) |
					BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	return 0;
}

static int set_features(struct vhost_user_exchange *x)
{
	struct vhost_user_card *card = x->session->card;
	uint64_t features = x->message->payload.u64;
	uint64_t unknown = features & ~(vhost_user_card_features(card) | BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	if (unknown != 0)
		return vhost_user_refuse(x, "features %#" PRIx64 " were not offered", unknown);
	vhost_user_card_accept(card, features & ~BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	/* A client that does not know of SET_VRING_ENABLE has its rings enabled from the start. */
	if (!(features & BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
		for (unsigned i = 0; i < card->queues; i++)
			vhost_user_card_enable(&card->ring[i], true);
	x->session->accepted = x->session->unsettled = true;
	return 0;
}

static int get_protocol_features(struct vhost_user_exchange *x)
{
	vhost_user_reply_u64(x, PROTOCOL_FEATURES);
	return 0;
}

static int set_protocol_features(struct vhost_user_exchange *x)
{
	uint64_t unknown = x->message->payload.u64 & ~PROTOCOL_FEATURES;
	if (unknown != 0)
		return vhost_user_refuse(x, "protocol features %#" PRIx64 " were not offered", unknown);
	x->session->protocol_features = x->message->payload.u64;
	return 0;
}

static int get_queue_num(struct vhost_user_exchange *x)
{
	vhost_user_reply_u64(x, x->session->card->queues);
	return 0;
}

/* SET_OWNER, and RESET_OWNER, which the protocol advises to ignore. */
static int nothing(struct vhost_user_exchange *x)
{
	(void)x;
	return 0;
}

/* ---- status and reset ---- */

/* QEMU 7.2 sets status 0 before it asks for GET_VRING_BASE, so rings must live on until then; but a client that does not ask
 * may set them up anew (ring_to_set). */
static int set_status(struct vhost_user_exchange *x)
{
	if (x->message->payload.u64 > UINT8_MAX)
		return vhost_user_refuse(x, "status %#" PRIx64 " is none", x->message->payload.u64);
	x->session->status = (uint8_t)x->message->payload.u64;
	x->session->leaving = x->session->status == 0;
	return 0;
}

static int get_status(struct vhost_user_exchange *x)
{
	uint8_t status = x->session->status;
	if (status != 0 && x->session->card->broken)
		status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	vhost_user_reply_u64(x, status);
	return 0;
}

static int reset_device(struct vhost_user_exchange *x)
{
	struct vhost_user_session *session = x->session;
	vhost_user_card_park(session->card);
	for (unsigned i = 0; i < session->card->queues; i++) {
		struct vhost_user_ring *ring = &session->card->ring[i];
		vhost_user_stop_ring(session, ring);
		ring->enabled = ring->addressed = false;
		ring->size = ring->base = 0;
	}
	inflight_area_close(&session->inflight);
	session->card->writeback = -1;
	session->status = 0;
	return 0;
}

/* ---- memory ---- */

/* Rings that could not run may now. */
static void memory_changed(struct vhost_user_session *session)
{
	for (unsigned i = 0; i < session->card->queues; i++)
		session->card->ring[i].failed = false;
	session->unsettled = true;
}

static int set_mem_table(struct vhost_user_exchange *x)
{
	struct vhost_user_session *session = x->session;
	struct vhost_user_memory_change change;
	if (vhost_user_memory_prepare(&session->memory, &change, &x->message->payload.table, x->fds->fd,
				      x->reason, sizeof(x->reason)) != 0)
		return -1;
	if (change.same) /* QEMU says it again at every start */
		return 0;
	/* The card must not look while it changes. */
	vhost_user_card_park(session->card);
	memory_changed(session);
	return vhost_user_memory_commit(&session->memory, &change, x->reason, sizeof(x->reason));
}

static int get_max_mem_slots(struct vhost_user_exchange *x)
{
	vhost_user_reply_u64(x, VHOST_USER_SLOTS_MAX);
	return 0;
}

static int add_mem_reg(struct vhost_user_exchange *x)
{
	struct vhost_user_session *session = x->session;
	if (vhost_user_memory_add(&session->memory, &x->message->payload.single.region, x->fds->fd[0],
				  x->reason, sizeof(x->reason)) != 0)
		return -1;
	memory_changed(session);
	return 0;
}

static int rem_mem_reg(struct vhost_user_exchange *x)
{
	struct vhost_user_session *session = x->session;
	vhost_user_card_park(session->card);
	memory_changed(session);
	return vhost_user_memory_remove(&session->memory, &x->message->payload.single.region, x->reason,
					sizeof(x->reason));
}

/* ---- configuration ---- */

/* As long as the request was: SPDK's is longer than the bytes it asks for. */
static int get_config(struct vhost_user_exchange *x)
{
	const struct vhost_user_config *wanted = &x->message->payload.config;
	struct vhost_user_config *answer = &x->reply->message.payload.config;
	uint8_t config[VHOST_USER_CONFIG_BYTES];
	vhost_user_card_config(x->session->card, config);
	memset(answer, 0, sizeof(*answer));
	answer->offset = wanted->offset;
	answer->size = wanted->size;
	answer->flags = wanted->flags;
	memcpy(answer->data, config + wanted->offset, wanted->size);
	vhost_user_reply_bytes(x, x->message->header.size);
	x->session->capacity = load_le64(config);
	x->session->config_told = true;
	return 0;
}

static int set_config(struct vhost_user_exchange *x)
{
	const struct vhost_user_config *config = &x->message->payload.config;
	if (config->offset != WRITEBACK_OFFSET || config->size != 1)
		return vhost_user_refuse(x,
					 "%u bytes at %u: only the cache mode, 1 byte at %zu, can be written",
					 config->size, config->offset, WRITEBACK_OFFSET);
	if (!(vhost_user_card_features(x->session->card) & BIT(VIRTIO_BLK_F_CONFIG_WCE)))
		return vhost_user_refuse(x, "the cache mode cannot be changed: CONFIG_WCE was not offered");
	vhost_user_card_set_writeback(x->session->card, config->data[0] != 0);
	return 0;
}

static int set_backend_req_fd(struct vhost_user_exchange *x)
{
	struct channel *backend = &x->session->backend;
	channel_close(backend);
	backend->loop = x->session->card->card->loop;
	backend->fd = channel_take_fd(x->fds, 0);
	return 0;
}

/* ---- in-flight tracking ---- */

static int get_inflight_fd(struct vhost_user_exchange *x)
{
	struct vhost_user_inflight_area *answer = &x->reply->message.payload.inflight;
	*answer = x->message->payload.inflight;
	vhost_user_reply_bytes(x, x->message->header.size);
	if (answer->queues == 0 || answer->queues > x->session->card->queues || answer->queue_size == 0 ||
	    answer->queue_size > VHOST_USER_RING_SIZE_MAX)
		vhost_user_refuse(x, "an area for %u queues of %u", answer->queues, answer->queue_size);
	else if ((x->reply->fd = inflight_area_create(answer)) >= 0)
		return 0;
	else
		vhost_user_refuse(x, "no memory for the area: %s", strerror(errno));
	answer->bytes = answer->offset = 0; /* the protocol's way to say no */
	return -1;
}

/* Rings that run go on with the area they have; QEMU sets it before they start. */
static int set_inflight_fd(struct vhost_user_exchange *x)
{
	struct vhost_user_session *session = x->session;
	vhost_user_card_park(session->card);
	memory_changed(session);
	if (x->message->payload.inflight.queues > session->card->queues)
		return vhost_user_refuse(x, "an area for %u queues, where there are %u",
					 x->message->payload.inflight.queues, session->card->queues);
	return inflight_area_open(&session->inflight, &x->message->payload.inflight, x->fds->fd[0], x->reason,
				  sizeof(x->reason));
}

/* ---- the table ---- */

/* Some clients (SPDK) ask for the number of queues without having accepted MQ. */
const struct vhost_user_handler vhost_user_device_handlers[VHOST_USER_REQUESTS] = {
	[VHOST_USER_GET_FEATURES] = {get_features, 0},
	[VHOST_USER_SET_FEATURES] = {set_features, 0},
	[VHOST_USER_SET_OWNER] = {nothing, 0},
	[VHOST_USER_RESET_OWNER] = {nothing, 0},
	[VHOST_USER_SET_MEM_TABLE] = {set_mem_table, 0},
	[VHOST_USER_GET_PROTOCOL_FEATURES] = {get_protocol_features, 0},
	[VHOST_USER_SET_PROTOCOL_FEATURES] = {set_protocol_features, 0},
	[VHOST_USER_GET_QUEUE_NUM] = {get_queue_num, 0},
	[VHOST_USER_SET_BACKEND_REQ_FD] = {set_backend_req_fd, VHOST_USER_WITH(BACKEND_REQ)},
	[VHOST_USER_GET_CONFIG] = {get_config, VHOST_USER_WITH(CONFIG)},
	[VHOST_USER_SET_CONFIG] = {set_config, VHOST_USER_WITH(CONFIG)},
	[VHOST_USER_GET_INFLIGHT_FD] = {get_inflight_fd, VHOST_USER_WITH(INFLIGHT_SHMFD)},
	[VHOST_USER_SET_INFLIGHT_FD] = {set_inflight_fd, VHOST_USER_WITH(INFLIGHT_SHMFD)},
	[VHOST_USER_RESET_DEVICE] = {reset_device, VHOST_USER_WITH(RESET_DEVICE)},
	[VHOST_USER_GET_MAX_MEM_SLOTS] = {get_max_mem_slots, VHOST_USER_WITH(CONFIGURE_MEM_SLOTS)},
	[VHOST_USER_ADD_MEM_REG] = {add_mem_reg, VHOST_USER_WITH(CONFIGURE_MEM_SLOTS)},
	[VHOST_USER_REM_MEM_REG] = {rem_mem_reg, VHOST_USER_WITH(CONFIGURE_MEM_SLOTS)},
	[VHOST_USER_SET_STATUS] = {set_status, VHOST_USER_WITH(STATUS)},
	[VHOST_USER_GET_STATUS] = {get_status, VHOST_USER_WITH(STATUS)},
};
