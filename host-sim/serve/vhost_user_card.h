/* Rings of a vhost-user client on the card.
 *
 * The protocol hands over rings; the PCI function, which the client keeps for itself, is played here: this is a virtio
 * driver in miniature that finds the card, negotiates, programs queues and vectors, rings doorbells. Guest rings are shown
 * to the card through views (ring_view.h) at addresses above all guest memory.
 *
 * A ring is on the card while it is started and enabled and all that is needed is known. The card is live (DRIVER_OK) while any
 * ring is on it. Everything that blocks is for the connection's kernel thread. */
#ifndef KICKSTAND_HOST_SIM_SERVE_VHOST_USER_CARD_H
#define KICKSTAND_HOST_SIM_SERVE_VHOST_USER_CARD_H

#include "host-sim/driver/virtio.h"
#include "host-sim/serve/card.h"
#include "host-sim/serve/ring_view.h"
#include "host-sim/serve/vhost_user_memory.h"

#define VHOST_USER_RINGS_MAX 64u

/* Signals of a ring that are held back for a moment, so that one stands for several. In pace free the card completes a
 * request faster than the guest can submit the next, and a guest that has many to submit would be interrupted after
 * each. Whether it pays is learnt: a hold has paid if the guest went on kicking during it. One that waits for the only
 * request it has never does, and is signalled at once. */
struct vhost_user_hold {
	int timer; /* timerfd; -1: nothing is ever held */
	bool armed;
	unsigned kicks, kicks_before; /* of the ring, and when the hold began */
	unsigned score;               /* of late: 0 = no hold has paid, HOLD_SCORE_MAX = each has */
	unsigned untried;             /* signals since the last hold */
};

struct vhost_user_ring {
	struct vhost_user_card *owner;
	unsigned index;
	/* what the client has said of it */
	uint16_t size; /* 0: not yet */
	uint16_t base;
	bool addressed;
	struct vhost_user_vring_addr addr;
	int kick, call, err; /* eventfds, -1: none */
	bool started, enabled;
	bool failed; /* it cannot run as it is; has been said */
	/* on the card */
	bool on_card;
	struct ring_view view;
	uint64_t doorbell;
	uint16_t vector;
	uint16_t called; /* view.used when the client was last signalled */
	struct vhost_user_hold hold;
};

struct vhost_user_card {
	struct card *card;
	struct virtio_device virtio;
	bool found;
	uint64_t offered; /* by the card */
	unsigned queues, vectors;
	uint16_t queue_size_max;
	/* of the client of the moment */
	uint64_t features; /* as it has accepted them */
	int writeback;     /* cache mode the driver has set, -1: none */
	bool live;
	bool broken; /* DEVICE_NEEDS_RESET */
	struct vhost_user_ring ring[VHOST_USER_RINGS_MAX];
	/* The configuration interrupt has come; not from a kernel thread. */
	void (*config_changed)(void *ctx);
	void *ctx;
};

/* At the first connection: looks the card up. Returns 0, or -1 with a reason. */
MUST_USE int vhost_user_card_find(struct vhost_user_card *card, char *error, size_t error_size);

/* A new client: nothing is known of any ring. */
void vhost_user_card_begin(struct vhost_user_card *card);
/* It is gone: nothing reaches its memory from now on. The card is reset, descriptors are closed. */
void vhost_user_card_end(struct vhost_user_card *card);
/* The part of that which needs no simulated time, for when there is none any more: descriptors and views. */
void vhost_user_card_drop(struct vhost_user_card *card);

/* Virtio features for the client: the card's, without those that the protocol cannot carry. */
uint64_t vhost_user_card_features(const struct vhost_user_card *card);
/* Rings that run are stopped if that changes anything; settle starts them again. */
void vhost_user_card_accept(struct vhost_user_card *card, uint64_t features);

/* Device configuration, as the card has it now; zeroes where it has none. */
void vhost_user_card_config(struct vhost_user_card *card, uint8_t config[VHOST_USER_CONFIG_BYTES]);
/* The driver chooses the cache mode. */
void vhost_user_card_set_writeback(struct vhost_user_card *card, bool writeback);

/* Brings the card in line with the rings: those that can run and do not are started. What cannot be done is said, and
 * signalled on the ring's error descriptor. */
void vhost_user_card_settle(struct vhost_user_card *card, const struct vhost_user_memory *memory,
			    const struct inflight_area *inflight);
/* Takes one ring off the card, everything it has taken being given back; ring->base is then the next index. */
void vhost_user_card_stop(struct vhost_user_card *card, struct vhost_user_ring *ring);
/* All of them, to be started again by settle. The card may then be reached by nothing of the client. */
void vhost_user_card_park(struct vhost_user_card *card);

/* A disabled ring takes nothing new; what it has taken is finished. */
void vhost_user_card_enable(struct vhost_user_ring *ring, bool enable);
/* Descriptors of a ring; they become the card's to close, -1 takes them away. kick: 0, or -1 with errno. */
MUST_USE int vhost_user_card_set_kick(struct vhost_user_ring *ring, int fd);
void vhost_user_card_set_call(struct vhost_user_ring *ring, int fd);
void vhost_user_card_set_err(struct vhost_user_ring *ring, int fd);

/* After config_changed: finds out what it was. True if the device needs a reset: the rings have been told. */
bool vhost_user_card_check(struct vhost_user_card *card);

#endif
