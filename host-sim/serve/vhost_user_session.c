#include "host-sim/serve/vhost_user_session.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/virtio_blk.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BIT(n) (UINT64_C(1) << (n))

#define PROTOCOL_FEATURES                                                                                    \
	(BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |                              \
	 BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) | BIT(VHOST_USER_PROTOCOL_F_CONFIG) |                        \
	 BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) | BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |               \
	 BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | BIT(VHOST_USER_PROTOCOL_F_STATUS))

#define RING_SIZE_MAX    32768u
#define WRITEBACK_OFFSET offsetof(struct virtio_blk_config, wce)
#define ACK_GOOD         0u
#define ACK_BAD          1u

/* What a handler works with. */
struct exchange {
	struct vhost_user_session *session;
	const struct vhost_user_message *message;
	struct channel_fds *fds;
	struct vhost_user_reply *reply;
	char reason[200]; /* of a refusal */
};

static int refuse(struct exchange *x, const char *format, ...) PRINTF_LIKE(2, 3);

static int refuse(struct exchange *x, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(x->reason, sizeof(x->reason), format, args);
	va_end(args);
	return -1;
}

/* ---- replies ---- */

static void reply_bytes(struct exchange *x, uint32_t bytes)
{
	x->reply->message.header.size = bytes;
}

static void reply_u64(struct vhost_user_reply *reply, uint64_t value)
{
	reply->message.header.size = sizeof(value);
	reply->message.payload.u64 = value;
}

/* ---- features ---- */

static int get_features(struct exchange *x)
{
	reply_u64(x->reply, vhost_user_card_features(x->session->card) | BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	return 0;
}

static int set_features(struct exchange *x)
{
	struct vhost_user_card *card = x->session->card;
	uint64_t features = x->message->payload.u64;
	uint64_t unknown = features & ~(vhost_user_card_features(card) | BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	if (unknown != 0)
		return refuse(x, "features %#" PRIx64 " were not offered", unknown);
	vhost_user_card_accept(card, features & ~BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	/* A client that does not know of SET_VRING_ENABLE has its rings enabled from the start. */
	if (!(features & BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
		for (unsigned i = 0; i < card->queues; i++)
			vhost_user_card_enable(&card->ring[i], true);
	x->session->accepted = x->session->unsettled = true;
	return 0;
}

static int get_protocol_features(struct exchange *x)
{
	reply_u64(x->reply, PROTOCOL_FEATURES);
	return 0;
}

static int set_protocol_features(struct exchange *x)
{
	uint64_t unknown = x->message->payload.u64 & ~PROTOCOL_FEATURES;
	if (unknown != 0)
		return refuse(x, "protocol features %#" PRIx64 " were not offered", unknown);
	x->session->protocol_features = x->message->payload.u64;
	return 0;
}

static int get_queue_num(struct exchange *x)
{
	reply_u64(x->reply, x->session->card->queues);
	return 0;
}

/* SET_OWNER, and RESET_OWNER, which the protocol advises to ignore. */
static int nothing(struct exchange *x)
{
	(void)x;
	return 0;
}

/* ---- status and reset ---- */

/* QEMU 7.2 sets status 0 before it asks for GET_VRING_BASE, so rings must live on until then; but a client that does not ask
 * may set them up anew (ring_to_set). */
static int set_status(struct exchange *x)
{
	if (x->message->payload.u64 > UINT8_MAX)
		return refuse(x, "status %#" PRIx64 " is none", x->message->payload.u64);
	x->session->status = (uint8_t)x->message->payload.u64;
	x->session->leaving = x->session->status == 0;
	return 0;
}

static int get_status(struct exchange *x)
{
	uint8_t status = x->session->status;
	if (status != 0 && x->session->card->broken)
		status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	reply_u64(x->reply, status);
	return 0;
}

/* Stops a ring and forgets its kick; the rest of it stays for the next start. */
static void stop_ring(struct vhost_user_session *session, struct vhost_user_ring *ring)
{
	vhost_user_card_stop(session->card, ring);
	if (vhost_user_card_set_kick(ring, -1) != 0)
		ASSERT(!"taking a descriptor away cannot fail");
	ring->started = ring->failed = false;
	session->unsettled = true; /* others may have been stopped with it */
}

static int reset_device(struct exchange *x)
{
	struct vhost_user_session *session = x->session;
	vhost_user_card_park(session->card);
	for (unsigned i = 0; i < session->card->queues; i++) {
		struct vhost_user_ring *ring = &session->card->ring[i];
		stop_ring(session, ring);
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

static int set_mem_table(struct exchange *x)
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

static int get_max_mem_slots(struct exchange *x)
{
	reply_u64(x->reply, VHOST_USER_SLOTS_MAX);
	return 0;
}

static int add_mem_reg(struct exchange *x)
{
	struct vhost_user_session *session = x->session;
	if (vhost_user_memory_add(&session->memory, &x->message->payload.single.region, x->fds->fd[0],
				  x->reason, sizeof(x->reason)) != 0)
		return -1;
	memory_changed(session);
	return 0;
}

static int rem_mem_reg(struct exchange *x)
{
	struct vhost_user_session *session = x->session;
	vhost_user_card_park(session->card);
	memory_changed(session);
	return vhost_user_memory_remove(&session->memory, &x->message->payload.single.region, x->reason,
					sizeof(x->reason));
}

/* ---- rings ---- */

static struct vhost_user_ring *ring_of(struct exchange *x, uint64_t index)
{
	if (index < x->session->card->queues)
		return &x->session->card->ring[index];
	refuse(x, "there is no ring %" PRIu64 ", only %u", index, x->session->card->queues);
	return NULL;
}

/* A ring whose parameters are to be set: it must not run. */
static struct vhost_user_ring *ring_to_set(struct exchange *x, uint64_t index)
{
	struct vhost_user_ring *ring = ring_of(x, index);
	if (!ring)
		return NULL;
	if (ring->on_card && x->session->leaving)
		stop_ring(x->session, ring);
	if (ring->on_card) {
		refuse(x, "ring %" PRIu64 " is running", index);
		return NULL;
	}
	ring->failed = false;
	x->session->unsettled = true;
	return ring;
}

static int set_vring_num(struct exchange *x)
{
	uint32_t size = x->message->payload.state.num;
	struct vhost_user_ring *ring = ring_to_set(x, x->message->payload.state.index);
	if (!ring)
		return -1;
	if (!is_power_of_2(size) || size > RING_SIZE_MAX)
		return refuse(x, "%u entries are no size of a ring", size);
	if (size > x->session->card->queue_size_max)
		return refuse(
			x,
			"%u entries are more than device.queue_size, %u: raise that, or lower the client's",
			size, x->session->card->queue_size_max);
	ring->size = (uint16_t)size;
	return 0;
}

static int set_vring_addr(struct exchange *x)
{
	const struct vhost_user_vring_addr *addr = &x->message->payload.addr;
	struct vhost_user_ring *ring = ring_of(x, addr->index);
	if (!ring)
		return -1;
	if (ring->on_card && memcmp(&ring->addr, addr, sizeof(*addr)) == 0)
		return 0;
	ring = ring_to_set(x, addr->index);
	if (!ring)
		return -1;
	if (addr->flags != 0)
		return refuse(x, "flags %#x: logging was not offered", addr->flags);
	if (addr->desc % VRING_DESC_ALIGN_SIZE != 0 || addr->avail % VRING_AVAIL_ALIGN_SIZE != 0 ||
	    addr->used % VRING_USED_ALIGN_SIZE != 0)
		return refuse(x, "parts of ring %u are not aligned", addr->index);
	ring->addr = *addr;
	ring->addressed = true;
	return 0;
}

static int set_vring_base(struct exchange *x)
{
	const struct vhost_user_vring_state *state = &x->message->payload.state;
	struct vhost_user_ring *ring = ring_to_set(x, state->index);
	if (!ring)
		return -1;
	if (state->num > UINT16_MAX)
		return refuse(x, "%u is no index of a split ring", state->num);
	ring->base = (uint16_t)state->num;
	return 0;
}

static int get_vring_base(struct exchange *x)
{
	const struct vhost_user_vring_state *state = &x->message->payload.state;
	struct vhost_user_ring *ring = ring_of(x, state->index);
	if (!ring)
		return -1;
	stop_ring(x->session, ring);
	x->reply->message.payload.state = (struct vhost_user_vring_state){state->index, ring->base};
	reply_bytes(x, sizeof(*state));
	return 0;
}

static int set_vring_enable(struct exchange *x)
{
	const struct vhost_user_vring_state *state = &x->message->payload.state;
	struct vhost_user_ring *ring = ring_of(x, state->index);
	if (!ring)
		return -1;
	if (state->num > 1)
		return refuse(x, "neither on nor off but %u", state->num);
	vhost_user_card_enable(ring, state->num != 0);
	x->session->unsettled = true;
	return 0;
}

/* Signals go through eventfds; writing to anything else could block us, or worse. */
static bool is_eventfd(int fd)
{
	static const char wanted[] = "anon_inode:[eventfd]";
	char path[40], target[sizeof(wanted) + 1];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t length = readlink(path, target, sizeof(target));
	return length == sizeof(wanted) - 1 && memcmp(target, wanted, sizeof(wanted) - 1) == 0;
}

/* The ring of SET_VRING_KICK, _CALL and _ERR; its descriptor in *fd, ours from now on, -1 if there is none. */
static struct vhost_user_ring *ring_fd(struct exchange *x, int *fd)
{
	struct vhost_user_ring *ring = ring_of(x, x->message->payload.u64 & VHOST_USER_VRING_MASK);
	*fd = -1;
	if (!ring || x->message->payload.u64 & VHOST_USER_VRING_NO_FD)
		return ring;
	int flags = fcntl(x->fds->fd[0], F_GETFL);
	if (!is_eventfd(x->fds->fd[0]) || flags < 0 ||
	    fcntl(x->fds->fd[0], F_SETFL, flags | O_NONBLOCK) != 0) {
		refuse(x, "the file descriptor is no eventfd");
		return NULL;
	}
	*fd = channel_take_fd(x->fds, 0);
	return ring;
}

static int set_vring_kick(struct exchange *x)
{
	int fd;
	struct vhost_user_ring *ring = ring_fd(x, &fd);
	if (!ring)
		return -1;
	if (fd < 0)
		return refuse(x, "rings are not polled: a kick descriptor is needed");
	if (ring->on_card && x->session->leaving)
		stop_ring(x->session, ring);
	if (vhost_user_card_set_kick(ring, fd) != 0)
		return refuse(x, "cannot wait for it: %s", strerror(errno));
	ring->started = true;
	ring->failed = false;
	x->session->unsettled = true;
	return 0;
}

static int set_vring_call(struct exchange *x)
{
	int fd;
	struct vhost_user_ring *ring = ring_fd(x, &fd);
	if (!ring)
		return -1;
	vhost_user_card_set_call(ring, fd);
	return 0;
}

static int set_vring_err(struct exchange *x)
{
	int fd;
	struct vhost_user_ring *ring = ring_fd(x, &fd);
	if (!ring)
		return -1;
	vhost_user_card_set_err(ring, fd);
	return 0;
}

/* ---- configuration ---- */

static uint64_t read_capacity(struct vhost_user_session *session)
{
	uint8_t config[VHOST_USER_CONFIG_BYTES];
	vhost_user_card_config(session->card, config);
	return load_le64(config);
}

/* As long as the request was: SPDK's is longer than the bytes it asks for. */
static int get_config(struct exchange *x)
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
	reply_bytes(x, x->message->header.size);
	x->session->capacity = load_le64(config);
	x->session->config_told = true;
	return 0;
}

static int set_config(struct exchange *x)
{
	const struct vhost_user_config *config = &x->message->payload.config;
	if (config->offset != WRITEBACK_OFFSET || config->size != 1)
		return refuse(x, "%u bytes at %u: only the cache mode, 1 byte at %zu, can be written",
			      config->size, config->offset, WRITEBACK_OFFSET);
	if (!(vhost_user_card_features(x->session->card) & BIT(VIRTIO_BLK_F_CONFIG_WCE)))
		return refuse(x, "the cache mode cannot be changed: CONFIG_WCE was not offered");
	vhost_user_card_set_writeback(x->session->card, config->data[0] != 0);
	return 0;
}

static int set_backend_req_fd(struct exchange *x)
{
	struct channel *backend = &x->session->backend;
	channel_close(backend);
	backend->loop = x->session->card->card->loop;
	backend->fd = channel_take_fd(x->fds, 0);
	return 0;
}

/* Without waiting for an answer: the client may be blocked in a request of its own and asks for the configuration first. */
static void tell_config_change(struct vhost_user_session *session)
{
	const struct vhost_user_header header = {.request = VHOST_USER_BACKEND_CONFIG_CHANGE,
						 .flags = VHOST_USER_VERSION};
	if (session->backend.fd < 0)
		return;
	if (!channel_send_now(&session->backend, &header, sizeof(header)))
		card_say(session->card->card, "vhost-user: the client does not take the news of a changed "
					      "configuration");
}

/* ---- in-flight tracking ---- */

static int get_inflight_fd(struct exchange *x)
{
	struct vhost_user_inflight_area *answer = &x->reply->message.payload.inflight;
	*answer = x->message->payload.inflight;
	reply_bytes(x, x->message->header.size);
	if (answer->queues == 0 || answer->queues > x->session->card->queues || answer->queue_size == 0 ||
	    answer->queue_size > RING_SIZE_MAX)
		refuse(x, "an area for %u queues of %u", answer->queues, answer->queue_size);
	else if ((x->reply->fd = inflight_area_create(answer)) >= 0)
		return 0;
	else
		refuse(x, "no memory for the area: %s", strerror(errno));
	answer->bytes = answer->offset = 0; /* the protocol's way to say no */
	return -1;
}

/* Rings that run go on with the area they have; QEMU sets it before they start. */
static int set_inflight_fd(struct exchange *x)
{
	struct vhost_user_session *session = x->session;
	vhost_user_card_park(session->card);
	memory_changed(session);
	if (x->message->payload.inflight.queues > session->card->queues)
		return refuse(x, "an area for %u queues, where there are %u",
			      x->message->payload.inflight.queues, session->card->queues);
	return inflight_area_open(&session->inflight, &x->message->payload.inflight, x->fds->fd[0], x->reason,
				  sizeof(x->reason));
}

/* ---- requests ---- */

struct handler {
	int (*handle)(struct exchange *x);
	unsigned feature; /* protocol feature that brings the request, plus 1; 0: none */
};

#define WITH(name) (VHOST_USER_PROTOCOL_F_##name + 1)

/* Some clients (SPDK) ask for the number of queues without having accepted MQ. */
static const struct handler handlers[VHOST_USER_REQUESTS] = {
	[VHOST_USER_GET_FEATURES] = {get_features, 0},
	[VHOST_USER_SET_FEATURES] = {set_features, 0},
	[VHOST_USER_SET_OWNER] = {nothing, 0},
	[VHOST_USER_RESET_OWNER] = {nothing, 0},
	[VHOST_USER_SET_MEM_TABLE] = {set_mem_table, 0},
	[VHOST_USER_SET_VRING_NUM] = {set_vring_num, 0},
	[VHOST_USER_SET_VRING_ADDR] = {set_vring_addr, 0},
	[VHOST_USER_SET_VRING_BASE] = {set_vring_base, 0},
	[VHOST_USER_GET_VRING_BASE] = {get_vring_base, 0},
	[VHOST_USER_SET_VRING_KICK] = {set_vring_kick, 0},
	[VHOST_USER_SET_VRING_CALL] = {set_vring_call, 0},
	[VHOST_USER_SET_VRING_ERR] = {set_vring_err, 0},
	[VHOST_USER_GET_PROTOCOL_FEATURES] = {get_protocol_features, 0},
	[VHOST_USER_SET_PROTOCOL_FEATURES] = {set_protocol_features, 0},
	[VHOST_USER_GET_QUEUE_NUM] = {get_queue_num, 0},
	[VHOST_USER_SET_VRING_ENABLE] = {set_vring_enable, 0},
	[VHOST_USER_SET_BACKEND_REQ_FD] = {set_backend_req_fd, WITH(BACKEND_REQ)},
	[VHOST_USER_GET_CONFIG] = {get_config, WITH(CONFIG)},
	[VHOST_USER_SET_CONFIG] = {set_config, WITH(CONFIG)},
	[VHOST_USER_GET_INFLIGHT_FD] = {get_inflight_fd, WITH(INFLIGHT_SHMFD)},
	[VHOST_USER_SET_INFLIGHT_FD] = {set_inflight_fd, WITH(INFLIGHT_SHMFD)},
	[VHOST_USER_RESET_DEVICE] = {reset_device, WITH(RESET_DEVICE)},
	[VHOST_USER_GET_MAX_MEM_SLOTS] = {get_max_mem_slots, WITH(CONFIGURE_MEM_SLOTS)},
	[VHOST_USER_ADD_MEM_REG] = {add_mem_reg, WITH(CONFIGURE_MEM_SLOTS)},
	[VHOST_USER_REM_MEM_REG] = {rem_mem_reg, WITH(CONFIGURE_MEM_SLOTS)},
	[VHOST_USER_SET_STATUS] = {set_status, WITH(STATUS)},
	[VHOST_USER_GET_STATUS] = {get_status, WITH(STATUS)},
};

static bool has(const struct vhost_user_session *session, unsigned feature)
{
	return session->protocol_features >> feature & 1;
}

static int carry_out(struct exchange *x)
{
	uint32_t request = x->message->header.request;
	const struct handler *handler = request < VHOST_USER_REQUESTS ? &handlers[request] : NULL;
	if (!handler || !handler->handle)
		return refuse(x, "not a request we know");
	if (handler->feature != 0 && !has(x->session, handler->feature - 1))
		return refuse(x, "its protocol feature was not accepted");
	return handler->handle(x);
}

static void say(const struct exchange *x, const char *reason)
{
	const struct vhost_user_header *header = &x->message->header;
	const char *name = vhost_user_request_info(header->request)->name;
	char number[20];
	snprintf(number, sizeof(number), "request %u", header->request);
	card_say(x->session->card->card, "vhost-user: %s: %s", name ? name : number, reason);
}

static enum vhost_user_outcome hang_up(const struct exchange *x, const char *reason)
{
	say(x, reason);
	return VHOST_USER_HANG_UP;
}

/* A failure: told the client if there is a way, and a person in any case. */
static enum vhost_user_outcome refused(struct exchange *x, bool acknowledge)
{
	uint32_t request = x->message->header.request;
	if (request == VHOST_USER_GET_INFLIGHT_FD) {
		say(x, x->reason);
		return VHOST_USER_ANSWER;
	}
	if (acknowledge && !vhost_user_request_info(request)->replies) {
		say(x, x->reason);
		reply_u64(x->reply, ACK_BAD);
		return VHOST_USER_ANSWER;
	}
	if (!vhost_user_request_info(request)->name) { /* to be ignored */
		say(x, x->reason);
		return VHOST_USER_SILENT;
	}
	return hang_up(x, x->reason);
}

enum vhost_user_outcome vhost_user_session_handle(struct vhost_user_session *session,
						  const struct vhost_user_message *message,
						  struct channel_fds *fds, struct vhost_user_reply *reply)
{
	struct exchange x = {.session = session, .message = message, .fds = fds, .reply = reply};
	const char *fault = vhost_user_header_check(&message->header);
	bool acknowledge = has(session, VHOST_USER_PROTOCOL_F_REPLY_ACK) &&
			   (message->header.flags & VHOST_USER_NEED_REPLY);
	if (!fault)
		fault = vhost_user_message_check(message, fds->count);
	if (fault)
		return hang_up(&x, fault);
	reply->fd = -1;
	/* Exactly these flags: QEMU refuses a reply that asks for one. */
	reply->message.header = (struct vhost_user_header){.request = message->header.request,
							   .flags = VHOST_USER_VERSION | VHOST_USER_REPLY};
	if (carry_out(&x) != 0)
		return refused(&x, acknowledge);
	if (vhost_user_memory_lost(&session->memory))
		return hang_up(&x, "the client has made its memory smaller");
	if (vhost_user_request_info(message->header.request)->replies)
		return VHOST_USER_ANSWER;
	if (!acknowledge)
		return VHOST_USER_SILENT;
	reply_u64(reply, ACK_GOOD);
	return VHOST_USER_ANSWER;
}

/* ---- between requests ---- */

void vhost_user_session_settle(struct vhost_user_session *session)
{
	if (!session->unsettled || !session->accepted)
		return;
	session->unsettled = false;
	bool live = session->card->live;
	vhost_user_card_settle(session->card, &session->memory, &session->inflight);
	/* While no driver was there the card had nobody to tell of a change. */
	if (!live && session->card->live && session->config_told &&
	    read_capacity(session) != session->capacity)
		tell_config_change(session);
}

bool vhost_user_session_config_changed(struct vhost_user_session *session)
{
	bool broken = vhost_user_card_check(session->card);
	if (vhost_user_memory_lost(&session->memory)) {
		card_say(session->card->card, "vhost-user: the client has made its memory smaller");
		return false;
	}
	if (!broken)
		tell_config_change(session);
	return true;
}

void vhost_user_session_begin(struct vhost_user_session *session, struct vhost_user_card *card)
{
	*session = (struct vhost_user_session){
		.card = card, .memory.card = &card->card->guest.memory, .backend.fd = -1};
	vhost_user_card_begin(card);
}

static void release(struct vhost_user_session *session)
{
	channel_close(&session->backend);
	inflight_area_close(&session->inflight);
	vhost_user_memory_clear(&session->memory);
}

void vhost_user_session_end(struct vhost_user_session *session)
{
	vhost_user_card_end(session->card);
	release(session);
}

void vhost_user_session_drop(struct vhost_user_session *session)
{
	vhost_user_card_drop(session->card);
	release(session);
}
