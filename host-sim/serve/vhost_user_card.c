#include "host-sim/serve/vhost_user_card.h"

#include "host-sim/root.h"
#include "host-sim/serve/event_fd.h"
#include "rtl-model/kernel.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* How long a signal is held back; a guest under TCG takes some tens of microseconds from one request to the next. */
#define HOLD_NS          50000
#define HOLD_SCORE_MAX   256u
#define HOLD_MEMORY      8u  /* holds that count */
#define HOLD_TRY_EVERY   64u /* signals, when it did not pay of late */
#define CONFIG_VECTOR    0u
#define RESET_LIMIT_NS   UINT64_C(1000000000)
#define DRAIN_LIMIT_PS   (10 * PS_PER_S)
#define LOOK_PS          (5 * PS_PER_US)
#define QUIET_LIMIT_PS   PS_PER_MS /* a card at rest for so long will not finish anything */
#define WRITEBACK_OFFSET 32u       /* struct virtio_blk_config.wce */

/* Views are above all guest memory, 1 MiB each. */
#define VIEW_BASE  (UINT64_C(1) << 63)
#define VIEW_BYTES UINT64_C(0x100000)
#define VIEW_USED  UINT64_C(0x80000)

/* Newer kernel headers name it. */
#define F_RING_RESET        40
#define F_NOTIFICATION_DATA 38
#define F_SR_IOV            37

#define BIT(n) (UINT64_C(1) << (n))

/* What the client must not be offered: packed rings (views are of split ones), in-order use (a used element stands for several,
 * which in-flight tracking cannot follow), notification data (a kick has none), translated addresses (no IOTLB), queue
 * reset (GET_VRING_BASE is that). */
#define NOT_FOR_CLIENT                                                                                       \
	(BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER) | BIT(F_NOTIFICATION_DATA) |                     \
	 BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(F_SR_IOV) | BIT(F_RING_RESET))
/* What is accepted for our own part, whether the client knows of it or not: addresses are those of the bus, legacy drivers have
 * the same rings and requests on this machine, single queues are reset. */
#define ALWAYS_ACCEPTED (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(F_RING_RESET))

/* ---- finding it ---- */

int vhost_user_card_find(struct vhost_user_card *card, char *error, size_t error_size)
{
	if (card->found)
		return 0;
	if (virtio_find(&card->virtio, &card->card->pci, error, error_size) != 0)
		return -1;
	card->offered = virtio_device_features(&card->virtio);
	card->queues = virtio_common_read(&card->virtio, VIRTIO_PCI_COMMON_NUMQ, 2);
	card->queues = min_u32(card->queues, VHOST_USER_RINGS_MAX);
	card->queue_size_max = virtio_queue_size(&card->virtio, 0);
	card->vectors = min_u32(card->card->pci.msix_vectors, CARD_VECTORS_MAX);
	card->found = true;
	return 0;
}

uint64_t vhost_user_card_features(const struct vhost_user_card *card)
{
	return card->offered & ~NOT_FOR_CLIENT;
}

/* ---- signals ---- */

static void call(struct vhost_user_ring *ring)
{
	ring->called = ring->view.used;
	event_fd_signal(ring->call);
}

/* ---- signals that are held back ---- */

static bool hold_pays(const struct vhost_user_hold *hold)
{
	return hold->score >= HOLD_SCORE_MAX / 2 || hold->untried >= HOLD_TRY_EVERY;
}

static void call_soon(struct vhost_user_ring *ring)
{
	static const struct itimerspec delay = {.it_value.tv_nsec = HOLD_NS};
	struct vhost_user_hold *hold = &ring->hold;
	if (hold->armed)
		return;
	hold->untried++;
	if (hold->timer < 0 || !hold_pays(hold) || timerfd_settime(hold->timer, 0, &delay, NULL) != 0) {
		call(ring);
		return;
	}
	hold->armed = true;
	hold->untried = 0;
	hold->kicks_before = hold->kicks;
}

static void hold_over(void *ctx)
{
	struct vhost_user_ring *ring = ctx;
	struct vhost_user_hold *hold = &ring->hold;
	uint64_t count;
	if (read(hold->timer, &count, sizeof(count)) != sizeof(count))
		return;
	hold->armed = false;
	hold->score -= hold->score / HOLD_MEMORY;
	if (hold->kicks != hold->kicks_before)
		hold->score += HOLD_SCORE_MAX / HOLD_MEMORY;
	if (ring->on_card)
		call(ring);
}

static void hold_begin(struct vhost_user_ring *ring)
{
	struct loop *loop = ring->owner->card->loop;
	ring->hold = (struct vhost_user_hold){.timer = -1};
	if (loop_pace(loop) != LOOP_FREE) /* the card's own moderation is at work */
		return;
	ring->hold.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (ring->hold.timer >= 0 && loop_watch(loop, ring->hold.timer, hold_over, ring) != 0) {
		close(ring->hold.timer);
		ring->hold.timer = -1;
	}
}

/* A signal that is held goes out with take_off, which looks whether one is owed. */
static void hold_end(struct vhost_user_ring *ring)
{
	if (ring->hold.timer < 0)
		return;
	loop_unwatch(ring->owner->card->loop, ring->hold.timer);
	close(ring->hold.timer);
	ring->hold.timer = -1;
}

static void message(void *ctx, unsigned vector)
{
	struct vhost_user_card *card = ctx;
	if (vector == CONFIG_VECTOR)
		card->config_changed(card->ctx);
	for (unsigned i = 0; i < card->queues; i++)
		if (card->ring[i].on_card && card->ring[i].vector == vector)
			call_soon(&card->ring[i]);
}

static void ring_doorbell(const struct vhost_user_ring *ring)
{
	if (ring->on_card && ring->owner->live)
		root_mmio_write(ring->owner->card->guest.root, ring->doorbell, 2, ring->index);
}

/* The client's kick. One may stand for several, and carries nothing. */
static void kicked(void *ctx)
{
	struct vhost_user_ring *ring = ctx;
	if (!event_fd_take(ring->kick))
		return;
	ring->hold.kicks++;
	ring_doorbell(ring);
}

int vhost_user_card_set_kick(struct vhost_user_ring *ring, int fd)
{
	struct loop *loop = ring->owner->card->loop;
	if (ring->kick >= 0)
		loop_unwatch(loop, ring->kick);
	event_fd_replace(&ring->kick, fd);
	/* Only a ring on the card is listened to: until then kicks wait in the descriptor. */
	return fd >= 0 && ring->on_card ? loop_watch(loop, fd, kicked, ring) : 0;
}

void vhost_user_card_set_call(struct vhost_user_ring *ring, int fd)
{
	event_fd_replace(&ring->call, fd);
	if (ring->on_card)
		call(ring); /* what the old one, or none, was told may not have been heard */
}

void vhost_user_card_set_err(struct vhost_user_ring *ring, int fd)
{
	event_fd_replace(&ring->err, fd);
}

/* ---- a ring onto the card and off it ---- */

static bool runs(const struct vhost_user_ring *ring)
{
	return ring->started && ring->enabled && ring->size != 0 && ring->addressed && ring->kick >= 0 &&
	       !ring->failed;
}

static void give_up(struct vhost_user_ring *ring, const char *reason)
{
	ring->failed = true;
	card_say(ring->owner->card, "vhost-user: ring %u cannot run: %s", ring->index, reason);
	event_fd_signal(ring->err);
}

/* The ring's parts in memory. Returns NULL, or what is wrong with them. */
static const char *locate(const struct vhost_user_ring *ring, const struct vhost_user_memory *memory,
			  struct ring_view_setup *setup, uint64_t *desc)
{
	uint64_t guest;
	const uint64_t desc_bytes = (uint64_t)ring->size * sizeof(struct vring_desc);
	setup->size = ring->size;
	setup->base = ring->base;
	if (!vhost_user_memory_at(memory, ring->addr.desc, desc_bytes, desc))
		return "its descriptor table is not in one region of memory";
	setup->avail = vhost_user_memory_at(memory, ring->addr.avail, ring_avail_bytes(ring->size), &guest);
	if (!setup->avail)
		return "its available ring is not in one region of memory";
	setup->used = vhost_user_memory_at(memory, ring->addr.used, ring_used_bytes(ring->size), &guest);
	if (!setup->used)
		return "its used ring is not in one region of memory";
	if (*desc % VRING_DESC_ALIGN_SIZE != 0 || (uintptr_t)setup->avail % VRING_AVAIL_ALIGN_SIZE != 0 ||
	    (uintptr_t)setup->used % VRING_USED_ALIGN_SIZE != 0)
		return "its parts are not aligned in memory";
	return NULL;
}

static const char *show_view(struct vhost_user_ring *ring, const struct ring_view_setup *setup)
{
	uint64_t at = VIEW_BASE + ring->index * VIEW_BYTES;
	if (ring_view_create(&ring->view, setup) != 0)
		return "out of memory";
	if (ring_view_show(&ring->view, &ring->owner->card->guest.memory, at, at + VIEW_USED) != 0) {
		ring_view_free(&ring->view);
		return "out of memory";
	}
	return NULL;
}

static int program_queue(struct vhost_user_ring *ring, uint64_t desc)
{
	const struct virtio_device *virtio = &ring->owner->virtio;
	const struct virtqueue queue = {.size = ring->size,
					.desc_addr = desc,
					.avail_addr = ring->view.avail_addr,
					.used_addr = ring->view.used_addr};
	ring->doorbell = virtio_queue_doorbell(virtio, ring->index);
	return virtio_queue_enable(virtio, ring->index, &queue, ring->vector);
}

static void put_on_card(struct vhost_user_ring *ring, const struct vhost_user_memory *memory,
			const struct inflight_area *inflight)
{
	struct vhost_user_card *card = ring->owner;
	struct ring_view_setup setup;
	uint64_t desc;
	const char *fault = locate(ring, memory, &setup, &desc);
	setup.inflight = inflight_of(inflight, ring->index, ring->size);
	if (!fault && inflight->map.data && !setup.inflight.region)
		fault = "the in-flight area has no place for it";
	if (!fault)
		fault = show_view(ring, &setup);
	if (fault) {
		give_up(ring, fault);
		return;
	}
	if (ring->view.redo != 0)
		card_say(card->card, "vhost-user: ring %u: %u requests of before are done again", ring->index,
			 ring->view.redo);
	ring->vector = card->vectors > 1 ? (uint16_t)(1 + ring->index % (card->vectors - 1)) : 0;
	ring->on_card = true;
	if (program_queue(ring, desc) != 0 || loop_watch(card->card->loop, ring->kick, kicked, ring) != 0) {
		give_up(ring, "the card or the loop does not take it");
		return; /* comes off with the next park */
	}
	hold_begin(ring);
	/* The client may not have heard of what an earlier server gave back. */
	call(ring);
}

/* The card does not touch the ring any more. */
static void take_off(struct vhost_user_ring *ring)
{
	if (!ring->on_card)
		return;
	ring->on_card = false;
	hold_end(ring);
	loop_unwatch(ring->owner->card->loop, ring->kick);
	ring->base = ring_view_base(&ring->view);
	/* The card may have been stopped before it sent the interrupt. */
	if (ring->called != ring->view.used && !ring->view.cut)
		call(ring);
	ring_view_free(&ring->view);
}

/* ---- draining ---- */

static bool drained(const struct vhost_user_card *card)
{
	for (unsigned i = 0; i < card->queues; i++) {
		const struct vhost_user_ring *ring = &card->ring[i];
		if (ring->on_card && ring->view.frozen && !ring_view_drained(&ring->view))
			return false;
	}
	return true;
}

/* Until the rings that are frozen have given back all they took. The end of waiting is the card's rest, or a limit. */
static void drain(struct vhost_user_card *card)
{
	uint64_t limit_ps = kernel_now_ps() + DRAIN_LIMIT_PS, quiet_ps = kernel_now_ps() + QUIET_LIMIT_PS;
	const char *what;
	while (!drained(card) && !card->broken && !loop_stopping(card->card->loop)) {
		uint64_t now_ps = kernel_now_ps();
		if (!device_quiescent(card->card->guest.device, &what))
			quiet_ps = now_ps + QUIET_LIMIT_PS;
		if (now_ps >= limit_ps || now_ps >= quiet_ps)
			return;
		kernel_wait_ps(LOOK_PS);
	}
}

static void freeze(struct vhost_user_ring *ring)
{
	if (!ring->on_card)
		return;
	ring_view_freeze(&ring->view, true);
	ring_doorbell(ring); /* so that it takes all it has been shown */
}

static void say_lost(const struct vhost_user_ring *ring)
{
	unsigned left = (uint16_t)(ring->view.exposed - ring->view.used);
	if (ring->on_card && left != 0 && !ring->view.cut)
		card_say(ring->owner->card, "vhost-user: ring %u stops with %u requests unfinished",
			 ring->index, left);
}

/* ---- the card's life ---- */

static void restore_writeback(struct vhost_user_card *card)
{
	if (card->writeback < 0 || !virtio_has(&card->virtio, VIRTIO_BLK_F_CONFIG_WCE))
		return;
	virtio_config_write(&card->virtio, WRITEBACK_OFFSET, 1, (uint32_t)card->writeback);
	virtio_config_read(&card->virtio, WRITEBACK_OFFSET, 1); /* it has arrived */
}

static int activate(struct vhost_user_card *card, const struct vhost_user_memory *memory,
		    const struct inflight_area *inflight)
{
	char error[200];
	if (virtio_negotiate(&card->virtio, card->features | ALWAYS_ACCEPTED, error, sizeof(error)) != 0) {
		card_say(card->card, "vhost-user: %s", error);
		return -1;
	}
	for (unsigned i = 0; i < card->vectors; i++)
		card_bind_vector(card->card, i);
	pci_msix_enable(&card->card->pci, true);
	if (virtio_config_vector(&card->virtio, CONFIG_VECTOR) != 0) {
		card_say(card->card, "vhost-user: the card takes no vector for configuration changes");
		return -1;
	}
	restore_writeback(card);
	for (unsigned i = 0; i < card->queues; i++)
		if (runs(&card->ring[i]))
			put_on_card(&card->ring[i], memory, inflight);
	virtio_add_status(&card->virtio, VIRTIO_CONFIG_S_DRIVER_OK);
	card->live = virtio_status(&card->virtio) & VIRTIO_CONFIG_S_DRIVER_OK;
	if (!card->live)
		card_say(card->card, "vhost-user: the card does not go live");
	return card->live ? 0 : -1;
}

/* Status 0, or by force: afterwards the card reaches nothing. */
static void deactivate(struct vhost_user_card *card)
{
	if (virtio_reset(&card->virtio, RESET_LIMIT_NS) != 0)
		card_reset(card->card);
	for (unsigned i = 0; i < card->queues; i++) {
		say_lost(&card->ring[i]);
		take_off(&card->ring[i]);
	}
	card->live = card->broken = false;
}

static bool any_on_card(const struct vhost_user_card *card, const struct vhost_user_ring *except)
{
	for (unsigned i = 0; i < card->queues; i++)
		if (card->ring[i].on_card && &card->ring[i] != except)
			return true;
	return false;
}

void vhost_user_card_park(struct vhost_user_card *card)
{
	if (!card->live && !any_on_card(card, NULL))
		return;
	for (unsigned i = 0; i < card->queues; i++)
		freeze(&card->ring[i]);
	drain(card);
	deactivate(card);
}

void vhost_user_card_stop(struct vhost_user_card *card, struct vhost_user_ring *ring)
{
	if (!ring->on_card)
		return;
	/* Without queue reset the others are stopped, too, and go on after the next settle. */
	if (card->live && !card->broken && virtio_has(&card->virtio, F_RING_RESET) &&
	    any_on_card(card, ring)) {
		freeze(ring);
		drain(card);
		if (virtio_queue_reset(&card->virtio, ring->index, RESET_LIMIT_NS) == 0) {
			say_lost(ring);
			take_off(ring);
			return;
		}
	}
	vhost_user_card_park(card);
}

void vhost_user_card_settle(struct vhost_user_card *card, const struct vhost_user_memory *memory,
			    const struct inflight_area *inflight)
{
	bool wanted = false;
	for (unsigned i = 0; i < card->queues; i++)
		wanted |= runs(&card->ring[i]) && !card->ring[i].on_card;
	if (!wanted)
		return;
	if (card->live && (card->broken || !virtio_has(&card->virtio, F_RING_RESET)))
		vhost_user_card_park(card);
	if (!card->live) {
		if (activate(card, memory, inflight) != 0)
			deactivate(card);
		return;
	}
	/* A queue is enabled on a live device as after a queue reset (virtio 1.4 §4.1.5.1.3). */
	for (unsigned i = 0; i < card->queues; i++)
		if (runs(&card->ring[i]) && !card->ring[i].on_card)
			put_on_card(&card->ring[i], memory, inflight);
}

void vhost_user_card_enable(struct vhost_user_ring *ring, bool enable)
{
	ring->enabled = enable;
	if (!ring->on_card)
		return;
	ring_view_freeze(&ring->view, !enable);
	ring_doorbell(ring);
}

void vhost_user_card_accept(struct vhost_user_card *card, uint64_t features)
{
	if (features == card->features)
		return;
	vhost_user_card_park(card);
	card->features = features;
}

/* ---- configuration ---- */

void vhost_user_card_config(struct vhost_user_card *card, uint8_t config[VHOST_USER_CONFIG_BYTES])
{
	const struct virtio_device *virtio = &card->virtio;
	uint32_t bytes = min_u32(virtio->device.bytes, VHOST_USER_CONFIG_BYTES) & ~3u;
	uint32_t generation;
	memset(config, 0, VHOST_USER_CONFIG_BYTES);
	do {
		generation = virtio_common_read(virtio, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
		for (uint32_t at = 0; at < bytes; at += 4)
			store_le32(config + at, virtio_config_read(virtio, at, 4));
	} while (virtio_common_read(virtio, VIRTIO_PCI_COMMON_CFGGENERATION, 1) != generation);
	/* A card that has just been reset is not in the mode that the client believes it to be in. */
	if (card->writeback >= 0)
		config[WRITEBACK_OFFSET] = (uint8_t)card->writeback;
}

void vhost_user_card_set_writeback(struct vhost_user_card *card, bool writeback)
{
	card->writeback = writeback;
	if (card->live)
		restore_writeback(card);
}

bool vhost_user_card_check(struct vhost_user_card *card)
{
	if (!card->live || card->broken)
		return card->broken;
	uint8_t status = virtio_status(&card->virtio);
	if (!card->live || status == UINT8_MAX || !(status & VIRTIO_CONFIG_S_NEEDS_RESET))
		return false;
	card->broken = true;
	card_say(card->card, "vhost-user: the device needs a reset: the guest's rings make no sense to it");
	for (unsigned i = 0; i < card->queues; i++)
		if (card->ring[i].on_card)
			event_fd_signal(card->ring[i].err);
	return true;
}

/* ---- clients ---- */

void vhost_user_card_begin(struct vhost_user_card *card)
{
	card->features = 0;
	card->writeback = -1;
	card->live = card->broken = false;
	for (unsigned i = 0; i < VHOST_USER_RINGS_MAX; i++)
		card->ring[i] = (struct vhost_user_ring){
			.owner = card, .index = i, .kick = -1, .call = -1, .err = -1, .hold.timer = -1};
	card->card->sink = (struct card_sink){.ctx = card, .message = message};
}

void vhost_user_card_drop(struct vhost_user_card *card)
{
	card->card->sink = (struct card_sink){0};
	for (unsigned i = 0; i < card->queues; i++) {
		struct vhost_user_ring *ring = &card->ring[i];
		ring->view.cut = true;
		take_off(ring);
		event_fd_replace(&ring->kick, -1);
		event_fd_replace(&ring->call, -1);
		event_fd_replace(&ring->err, -1);
	}
}

void vhost_user_card_end(struct vhost_user_card *card)
{
	/* Not drained: the client may already look at its used rings to go on with another server, so nothing more is given
	 * back. What has not been is done again there. */
	for (unsigned i = 0; i < card->queues; i++) {
		card->ring[i].view.cut = true;
		ring_view_freeze(&card->ring[i].view, true);
	}
	if (card->live || any_on_card(card, NULL))
		deactivate(card);
	pci_msix_enable(&card->card->pci, false);
	vhost_user_card_drop(card);
}
