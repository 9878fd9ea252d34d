#include "host-sim/serve/event_fd.h"
#include "host-sim/serve/vhost_user_request.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

void vhost_user_stop_ring(struct vhost_user_session *session, struct vhost_user_ring *ring)
{
	vhost_user_card_stop(session->card, ring);
	if (vhost_user_card_set_kick(ring, -1) != 0)
		ASSERT(!"taking a descriptor away cannot fail");
	ring->started = ring->failed = false;
	session->unsettled = true; /* others may have been stopped with it */
}

static struct vhost_user_ring *ring_of(struct vhost_user_exchange *x, uint64_t index)
{
	if (index < x->session->card->queues)
		return &x->session->card->ring[index];
	vhost_user_refuse(x, "there is no ring %" PRIu64 ", only %u", index, x->session->card->queues);
	return NULL;
}

/* A ring whose parameters are to be set: it must not run. */
static struct vhost_user_ring *ring_to_set(struct vhost_user_exchange *x, uint64_t index)
{
	struct vhost_user_ring *ring = ring_of(x, index);
	if (!ring)
		return NULL;
	if (ring->on_card && x->session->leaving)
		vhost_user_stop_ring(x->session, ring);
	if (ring->on_card) {
		vhost_user_refuse(x, "ring %" PRIu64 " is running", index);
		return NULL;
	}
	ring->failed = false;
	x->session->unsettled = true;
	return ring;
}

static int set_vring_num(struct vhost_user_exchange *x)
{
	uint32_t size = x->message->payload.state.num;
	struct vhost_user_ring *ring = ring_to_set(x, x->message->payload.state.index);
	if (!ring)
		return -1;
	if (!is_power_of_2(size) || size > VHOST_USER_RING_SIZE_MAX)
		return vhost_user_refuse(x, "%u entries are no size of a ring", size);
	if (size > x->session->card->queue_size_max)
		return vhost_user_refuse(
			x,
			"%u entries are more than device.queue_size, %u: raise that, or lower the client's",
			size, x->session->card->queue_size_max);
	ring->size = (uint16_t)size;
	return 0;
}

static int set_vring_addr(struct vhost_user_exchange *x)
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
		return vhost_user_refuse(x, "flags %#x: logging was not offered", addr->flags);
	if (addr->desc % VRING_DESC_ALIGN_SIZE != 0 || addr->avail % VRING_AVAIL_ALIGN_SIZE != 0 ||
	    addr->used % VRING_USED_ALIGN_SIZE != 0)
		return vhost_user_refuse(x, "parts of ring %u are not aligned", addr->index);
	ring->addr = *addr;
	ring->addressed = true;
	return 0;
}

static int set_vring_base(struct vhost_user_exchange *x)
{
	const struct vhost_user_vring_state *state = &x->message->payload.state;
	struct vhost_user_ring *ring = ring_to_set(x, state->index);
	if (!ring)
		return -1;
	if (state->num > UINT16_MAX)
		return vhost_user_refuse(x, "%u is no index of a split ring", state->num);
	ring->base = (uint16_t)state->num;
	return 0;
}

static int get_vring_base(struct vhost_user_exchange *x)
{
	const struct vhost_user_vring_state *state = &x->message->payload.state;
	struct vhost_user_ring *ring = ring_of(x, state->index);
	if (!ring)
		return -1;
	vhost_user_stop_ring(x->session, ring);
	x->reply->message.payload.state = (struct vhost_user_vring_state){state->index, ring->base};
	vhost_user_reply_bytes(x, sizeof(*state));
	return 0;
}

static int set_vring_enable(struct vhost_user_exchange *x)
{
	const struct vhost_user_vring_state *state = &x->message->payload.state;
	struct vhost_user_ring *ring = ring_of(x, state->index);
	if (!ring)
		return -1;
	if (state->num > 1)
		return vhost_user_refuse(x, "neither on nor off but %u", state->num);
	vhost_user_card_enable(ring, state->num != 0);
	x->session->unsettled = true;
	return 0;
}

/* The ring of SET_VRING_KICK, _CALL and _ERR; its descriptor in *fd, ours from now on, -1 if there is none. */
static struct vhost_user_ring *ring_fd(struct vhost_user_exchange *x, int *fd)
{
	struct vhost_user_ring *ring = ring_of(x, x->message->payload.u64 & VHOST_USER_VRING_MASK);
	*fd = -1;
	if (!ring || x->message->payload.u64 & VHOST_USER_VRING_NO_FD)
		return ring;
	if (!event_fd_accept(x->fds->fd[0])) {
		vhost_user_refuse(x, "the file descriptor is no eventfd");
		return NULL;
	}
	*fd = channel_take_fd(x->fds, 0);
	return ring;
}

static int set_vring_kick(struct vhost_user_exchange *x)
{
	int fd;
	struct vhost_user_ring *ring = ring_fd(x, &fd);
	if (!ring)
		return -1;
	if (fd < 0)
		return vhost_user_refuse(x, "rings are not polled: a kick descriptor is needed");
	if (ring->on_card && x->session->leaving)
		vhost_user_stop_ring(x->session, ring);
	if (vhost_user_card_set_kick(ring, fd) != 0)
		return vhost_user_refuse(x, "cannot wait for it: %s", strerror(errno));
	ring->started = true;
	ring->failed = false;
	x->session->unsettled = true;
	return 0;
}

static int set_vring_call(struct vhost_user_exchange *x)
{
	int fd;
	struct vhost_user_ring *ring = ring_fd(x, &fd);
	if (!ring)
		return -1;
	vhost_user_card_set_call(ring, fd);
	return 0;
}

static int set_vring_err(struct vhost_user_exchange *x)
{
	int fd;
	struct vhost_user_ring *ring = ring_fd(x, &fd);
	if (!ring)
		return -1;
	vhost_user_card_set_err(ring, fd);
	return 0;
}

const struct vhost_user_handler vhost_user_ring_handlers[VHOST_USER_REQUESTS] = {
	[VHOST_USER_SET_VRING_NUM] = {set_vring_num, 0},
	[VHOST_USER_SET_VRING_ADDR] = {set_vring_addr, 0},
	[VHOST_USER_SET_VRING_BASE] = {set_vring_base, 0},
	[VHOST_USER_GET_VRING_BASE] = {get_vring_base, 0},
	[VHOST_USER_SET_VRING_KICK] = {set_vring_kick, 0},
	[VHOST_USER_SET_VRING_CALL] = {set_vring_call, 0},
	[VHOST_USER_SET_VRING_ERR] = {set_vring_err, 0},
	[VHOST_USER_SET_VRING_ENABLE] = {set_vring_enable, 0},
};
