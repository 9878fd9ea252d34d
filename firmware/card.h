/* The firmware's state and its parts. One instance, in main.c, passed to everyone. */
#ifndef KICKSTAND_FIRMWARE_CARD_H
#define KICKSTAND_FIRMWARE_CARD_H

#include "firmware/hal.h"
#include "firmware/ring.h"
#include "firmware/virtio_defs.h"

/* What a DISCARD, WRITE_ZEROES or SECURE_ERASE request may hold: ranges that fit the slot's small memory, of as many
 * sectors as keep their bytes in 31 bits. */
#define RANGES_MAX        (SLOT_LOCAL_BYTES / RANGE_BYTES)
#define RANGE_SECTORS_MAX 0x3fffffu

/* Adaptive polling of one queue (poll.c). Times are the lower half of TIMER.TIME. */
struct poll_state {
	bool active;
	uint32_t window_cycles; /* how long to poll after a request, adapts; 0 = not set yet */
	uint32_t deadline;      /* when polling ends, or ended: a window after the last request */
};

struct queue_state {
	bool running;           /* its requests are served; those of other queues are dropped */
	bool resetting;         /* the driver asked for a queue reset (virtio 1.4 §2.6.1) */
	bool engines_idle;      /* in a queue reset: fetch engine and used-ring writer are done with it */
	uint16_t inflight;      /* requests of it the firmware holds slots for */
	uint16_t next_sequence; /* IN_ORDER: request to be given back next */
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
	uint32_t poll_cycles; /* longest polling window, 0 = no polling */
	uint64_t capacity_sectors;
	uint32_t media_flags;
	bool read_only;
	uint64_t offered; /* feature bits */
	/* what the driver chose; 0 = nothing agreed yet */
	uint64_t negotiated;
	/* life */
	bool live;                 /* DRIVER_OK */
	bool broken;               /* DEVICE_NEEDS_RESET was set */
	uint32_t resetting_queues; /* how many */
	struct queue_state queue[QUEUES_MAX];
	/* poll.c: TIMER.COMPARE */
	bool timer_set;
	uint32_t timer_at;
	/* complete.c */
	uint32_t push_room;                   /* pushes the used-ring writer has room for, at least */
	uint16_t waiting_first, waiting_last; /* line of finished requests it had no room for */
	uint16_t finished[QUEUES_MAX]
			 [SLOTS]; /* IN_ORDER: requests that wait for their turn, by sequence % SLOTS */
	struct rings rings;
};

static inline bool negotiated(const struct card *card, unsigned feature)
{
	return card->negotiated >> feature & 1;
}

static inline bool offered(const struct card *card, unsigned feature)
{
	return card->offered >> feature & 1;
}

#ifdef HAL_MOCK
/* main.c: one turn of the event loop */
void card_poll(struct card *card);
#endif

/* bringup.c: straps, offers, device configuration space */
void card_init(struct card *card);
void card_offer(struct card *card);
void card_capacity_changed(struct card *card);

/* status.c: device_status, resets, the configuration interrupt */
void status_event(struct card *card);
void function_reset_event(struct card *card);
void needs_reset(struct card *card);

/* queue.c: starting, stopping and resetting virtqueues */
void queues_start(struct card *card);
void queue_stop(struct card *card, unsigned queue);
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
void complete_waiting(struct card *card);
void slot_drop(struct card *card, unsigned slot);
void drop_finished(struct card *card, unsigned queue);
void completions_forget(struct card *card);

/* poll.c: polling window after the last request */
void poll_request_seen(struct card *card, unsigned queue);
void poll_event(struct card *card);
void poll_forget(struct card *card);

/* ring.c: rings walked by the core itself (offload level firmware) */
void rings_init(void);
void ring_start(struct card *card, unsigned queue, const struct queue_setup *setup);
void ring_stop(struct card *card, unsigned queue);
bool ring_busy(const struct card *card, unsigned queue);
void ring_service_event(struct card *card);
void ring_copy_event(struct card *card);
void rings_retry(struct card *card);
void rings_forget(struct card *card);

/* console.c */
void console_print(const char *text);
void console_print_number(uint32_t value);

#endif
