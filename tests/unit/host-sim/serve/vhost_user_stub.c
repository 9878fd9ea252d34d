#include "tests/unit/host-sim/serve/vhost_user_stub.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct stub *stub_of(struct vhost_user_card *card)
{
	return (struct stub *)card->card; /* its first member */
}

void stub_create(struct stub *stub, struct vhost_user_card *card)
{
	*stub = (struct stub){.capacity = 1000};
	*card = (struct vhost_user_card){.card = &stub->card};
}

/* ---- the card's side ---- */

void vhost_user_card_begin(struct vhost_user_card *card)
{
	card->queues = STUB_QUEUES;
	card->queue_size_max = STUB_QUEUE_SIZE_MAX;
	card->writeback = -1;
	for (unsigned i = 0; i < VHOST_USER_RINGS_MAX; i++)
		card->ring[i] = (struct vhost_user_ring){
			.owner = card, .index = i, .kick = -1, .call = -1, .err = -1};
}

static void set_fd(int *slot, int fd)
{
	CHECK(fd == -1 || fcntl(fd, F_GETFD) >= 0);
	if (*slot >= 0)
		CHECK(close(*slot) == 0);
	*slot = fd;
}

static bool runs(const struct vhost_user_ring *ring)
{
	return ring->started && ring->enabled && ring->size != 0 && ring->addressed && ring->kick >= 0;
}

void vhost_user_card_settle(struct vhost_user_card *card, const struct vhost_user_memory *memory,
			    const struct inflight_area *inflight)
{
	for (unsigned i = 0; i < STUB_QUEUES; i++) {
		struct vhost_user_ring *ring = &card->ring[i];
		uint64_t guest;
		bool valid;
		uint16_t heads[STUB_QUEUE_SIZE_MAX];
		if (!runs(ring) || ring->on_card)
			continue;
		CHECK(is_power_of_2(ring->size) && ring->size <= STUB_QUEUE_SIZE_MAX);
		CHECK(ring->addr.desc % 16 == 0 && ring->addr.avail % 2 == 0 && ring->addr.used % 4 == 0);
		uint8_t *used =
			vhost_user_memory_at(memory, ring->addr.used, ring_used_bytes(ring->size), &guest);
		struct inflight part = inflight_of(inflight, i, ring->size);
		if (!used)
			continue;
		memset(used, 0, ring_used_bytes(ring->size)); /* all of it is there */
		inflight_recover(&part, ring->base, heads, &valid);
		ring->on_card = card->live = true;
	}
}

void vhost_user_card_stop(struct vhost_user_card *card, struct vhost_user_ring *ring)
{
	(void)card;
	ring->on_card = false;
}

void vhost_user_card_park(struct vhost_user_card *card)
{
	stub_of(card)->parks++;
	card->live = false;
	for (unsigned i = 0; i < STUB_QUEUES; i++)
		card->ring[i].on_card = false;
}

void vhost_user_card_drop(struct vhost_user_card *card)
{
	vhost_user_card_park(card);
	for (unsigned i = 0; i < VHOST_USER_RINGS_MAX; i++) {
		set_fd(&card->ring[i].kick, -1);
		set_fd(&card->ring[i].call, -1);
		set_fd(&card->ring[i].err, -1);
	}
}

void vhost_user_card_end(struct vhost_user_card *card)
{
	vhost_user_card_drop(card);
}

uint64_t vhost_user_card_features(const struct vhost_user_card *card)
{
	(void)card;
	return STUB_FEATURES;
}

void vhost_user_card_accept(struct vhost_user_card *card, uint64_t features)
{
	CHECK((features & ~vhost_user_card_features(card)) == 0);
	card->features = features;
}

void vhost_user_card_config(struct vhost_user_card *card, uint8_t config[VHOST_USER_CONFIG_BYTES])
{
	memset(config, 0x5a, VHOST_USER_CONFIG_BYTES);
	store_le64(config, stub_of(card)->capacity);
}

void vhost_user_card_set_writeback(struct vhost_user_card *card, bool writeback)
{
	card->writeback = writeback;
}

void vhost_user_card_enable(struct vhost_user_ring *ring, bool enable)
{
	CHECK(ring->index < STUB_QUEUES);
	ring->enabled = enable;
}

int vhost_user_card_set_kick(struct vhost_user_ring *ring, int fd)
{
	CHECK(ring->index < STUB_QUEUES);
	set_fd(&ring->kick, fd);
	return 0;
}

void vhost_user_card_set_call(struct vhost_user_ring *ring, int fd)
{
	CHECK(ring->index < STUB_QUEUES);
	set_fd(&ring->call, fd);
}

void vhost_user_card_set_err(struct vhost_user_ring *ring, int fd)
{
	CHECK(ring->index < STUB_QUEUES);
	set_fd(&ring->err, fd);
}

bool vhost_user_card_check(struct vhost_user_card *card)
{
	card->broken = stub_of(card)->broken;
	return card->broken;
}

/* ---- of the loop, the channel, the card ---- */

int loop_watch(struct loop *loop, int fd, loop_ready_fn *ready, void *ctx)
{
	(void)loop, (void)fd, (void)ready, (void)ctx;
	return -1;
}

void loop_unwatch(struct loop *loop, int fd)
{
	(void)loop, (void)fd;
}

bool loop_stopping(const struct loop *loop)
{
	(void)loop;
	return true;
}

int loop_wait_readable(struct loop *loop, int fd)
{
	(void)loop, (void)fd;
	return -1;
}

int loop_wait_writable(struct loop *loop, int fd)
{
	(void)loop, (void)fd;
	return -1;
}

void card_say(const struct card *card, const char *format, ...)
{
	((struct stub *)(uintptr_t)card)->lines++; /* the card is its first member */
	CHECK(format);
}
