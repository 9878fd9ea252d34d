/* The firmware's state and its parts. One instance, in main.c, passed to everyone. */
#ifndef KICKSTAND_FIRMWARE_CARD_H
#define KICKSTAND_FIRMWARE_CARD_H

#include "firmware/hal.h"

/* Adaptive polling of one queue (poll.c). */
struct poll_state {
	bool active;
	uint32_t window_cycles;  /* how long to poll after a request, adapts */
	uint64_t deadline;       /* TIMER time at which polling ends */
	uint64_t stopped_at;
};

struct queue_state {
	bool running;
	bool resetting;          /* the driver asked for a queue reset (virtio 1.4 §2.6.1) */
	uint16_t inflight;       /* requests of it the firmware holds slots for */
	uint16_t next_sequence;  /* IN_ORDER: request to be completed next */
	struct poll_state poll;
};

/* A queue as the driver set it up. */
struct queue_setup {
	uint32_t desc[2], driver[2], device[2]; /* addresses: low, high */
	uint32_t size;
	bool enabled;
};

struct card {
	/* from the straps and the medium */
	uint32_t offload;
	uint32_t queues;
	uint32_t poll_cycles;
	uint64_t capacity_sectors;
	uint32_t media_flags;
	bool read_only;
	uint64_t offered;        /* feature bits */
	/* what the driver chose */
	uint64_t negotiated;
	bool write_through;      /* writes are stable before they complete (virtio 1.4 §5.2.6.2) */
	/* life */
	bool live;               /* DRIVER_OK */
	bool broken;             /* DEVICE_NEEDS_RESET was set */
	uint32_t resetting_queues; /* how many */
	uint32_t rings_waiting;    /* rings without a free slot (offload firmware) */
	struct queue_state queue[QUEUES_MAX];
	uint16_t order[QUEUES_MAX][SLOTS]; /* IN_ORDER: slot of sequence number modulo SLOTS */
};

static inline bool negotiated(const struct card *card, unsigned feature)
{
	return card->negotiated >> feature & 1;
}

static inline bool offered(const struct card *card, unsigned feature)
{
	return card->offered >> feature & 1;
}

/* bringup.c: straps, offers, device configuration space */
void card_init(struct card *card);
void card_offer(struct card *card);
void card_capacity_changed(struct card *card);

/* status.c: device_status, resets, the configuration interrupt */
void status_event(struct card *card);
void function_reset_event(struct card *card);
void needs_reset(struct card *card);
void config_write_event(struct card *card);

/* queue.c: starting, stopping and resetting virtqueues */
void queues_start(struct card *card);
void queue_enabled_event(struct card *card);
void queue_reset_event(struct card *card);
void queue_resets_poll(struct card *card);
void queues_forget(struct card *card);
void ring_fault_event(struct card *card);

/* blk.c: requests of a virtio-blk device */
void blk_request(struct card *card, unsigned slot);
void blk_job_done(struct card *card, unsigned slot);

/* complete.c: giving requests back to the driver */
void complete(struct card *card, unsigned slot, uint32_t status, uint32_t used_bytes);
void slot_drop(struct card *card, unsigned slot);
void drop_finished(struct card *card, unsigned queue);

/* poll.c: polling window after the last request */
void poll_request_seen(struct card *card, unsigned queue);
void poll_event(struct card *card);
void poll_forget(struct card *card);

/* ring.c: rings walked by the core itself (offload level firmware) */
void ring_start(unsigned queue, const struct queue_setup *setup);
void ring_stop(unsigned queue);
bool ring_busy(unsigned queue);
void ring_service_event(struct card *card);
void ring_copy_event(struct card *card);
void rings_retry(struct card *card);
void rings_forget(struct card *card);

/* console.c */
void console_print(const char *text);
void console_print_number(uint32_t value);

#endif
