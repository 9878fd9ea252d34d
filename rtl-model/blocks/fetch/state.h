/* The fetch engine's state and what its source files share: ring.c walks the available rings, chain.c the descriptor
 * chains, fetch.c is the block around them. Private to blocks/fetch. */
#ifndef KICKSTAND_BLOCKS_FETCH_STATE_H
#define KICKSTAND_BLOCKS_FETCH_STATE_H

#include "rtl-model/blocks/fetch/fetch.h"
#include "rtl-model/blocks/fetch/ring_stamps.h"

#define WALKERS_MAX 64u
#define WINDOW_MAX  32u /* descriptors of one read */
#define BATCH_MAX   256u
#define HEADS       SLOTS /* every head is sure of a slot */
#define DESC_BYTES  16u

enum queue_state {
	QUEUE_STOPPED,
	QUEUE_RESTING,   /* waits for a service */
	QUEUE_READING,   /* avail.idx, ring entries or, on the driver's word, both are being read */
	QUEUE_WAIT_ROOM, /* entries are known to be there, slots are short */
	QUEUE_FAULT,
};

struct queue {
	/* registers */
	uint64_t desc, avail, used;
	uint16_t size;
	bool event_idx, indirect, poll;
	/* state */
	enum queue_state state;
	uint8_t error;
	uint16_t next;      /* available index to take next */
	uint16_t seen;      /* avail.idx as read last */
	uint16_t entries;   /* being read or just read; slots are set aside for them */
	unsigned wanted;    /* QUEUE_READING: reads that have to come back before the next step */
	bool armed;         /* avail_event is at `next`, and avail.idx was or is being read behind that */
	bool suppressed;    /* used.flags is NO_NOTIFY */
	bool again;         /* a service came while busy */
	bool quiet;         /* the service that started this has found nothing yet */
	unsigned transfers; /* of the ring, outstanding */
	unsigned chains;    /* heads waiting, chains being walked, records not taken yet */
	struct ring_stamps stamps;
	/* memory for transfers */
	uint8_t index_data[4];
	uint8_t arm_data[2];
	uint8_t ring_data[BATCH_MAX * 2];
};

/* A chain to be walked. */
struct head {
	uint16_t queue, head, sequence;
	uint64_t doorbell_ps, service_ps, head_ps;
	uint64_t ready_ps; /* its first read can be asked for */
};

enum walker_state { WALKER_FREE, WALKER_TABLE, WALKER_HEADER };

struct walker {
	enum walker_state state;
	uint16_t queue, slot;
	bool indirect;           /* in an indirect table now */
	uint64_t table;          /* address of the table being walked */
	uint32_t entries;        /* in it */
	uint32_t walked;         /* links followed in it: as many as entries mean a loop */
	uint32_t first, count;   /* window that was read */
	unsigned pieces;         /* header reads outstanding */
	uint32_t header_have;    /* header bytes asked for */
	uint16_t header_segment; /* segment the next ones are in */
	bool header_failed;
	uint64_t free_ps; /* WALKER_FREE: since */
	uint64_t readable, writable;
	uint8_t window[WINDOW_MAX * DESC_BYTES];
};

struct fetch_model {
	struct fetch base;
	struct fetch_ports ports;
	struct record_fifo records;
	uint64_t period_ps;
	unsigned ring_cycles, head_cycles, parse_cycles, record_cycles;
	unsigned batch, prefetch, inflight;
	struct queue queue[QUEUES_MAX];
	uint64_t faults;       /* bit n: queue n */
	uint64_t rooms_wanted; /* queues in QUEUE_WAIT_ROOM */
	unsigned room_turn;    /* queue that was given room last */
	unsigned csr_queue;
	struct head head[HEADS];
	uint32_t heads_first, heads_last;
	struct walker walker[WALKERS_MAX];
	unsigned walkers_busy;
	uint16_t free_slot[SLOTS];
	bool slot_taken[SLOTS];
	unsigned free_slots;
	unsigned entries; /* sum over queues */
	/* When the machines that all queues and chains share are free. */
	uint64_t ring_free_ps, dispatcher_free_ps, parser_free_ps;
	uint64_t ring_request_ps; /* of the ring's event in hand: time of its next transfer */
};

/* What a completion is for, in its cookie. */
enum cookie_kind { COOKIE_INDEX, COOKIE_RING, COOKIE_ARM, COOKIE_TABLE, COOKIE_HEADER };

static inline uint32_t fetch_cookie(enum cookie_kind kind, unsigned index)
{
	return (uint32_t)kind << 16 | index;
}

static inline unsigned fetch_queue_index(const struct fetch_model *fetch, const struct queue *queue)
{
	return (unsigned)(queue - fetch->queue);
}

static inline bool fetch_queue_busy(const struct queue *queue)
{
	return queue->transfers != 0 || queue->chains != 0;
}

static inline unsigned fetch_heads_waiting(const struct fetch_model *fetch)
{
	return fetch->heads_last - fetch->heads_first;
}

/* Slots that are free and not promised to a ring entry. */
static inline unsigned fetch_room(const struct fetch_model *fetch)
{
	return fetch->free_slots - fetch_heads_waiting(fetch) - fetch->entries;
}

unsigned fetch_slot_take(struct fetch_model *fetch);

/* ring.c */
void fetch_ring_start(struct fetch_model *fetch, uint64_t now_ps, struct queue *queue);
void fetch_ring_stop(struct fetch_model *fetch, struct queue *queue);
/* Polling begins or ends. */
void fetch_ring_poll(struct fetch_model *fetch, uint64_t now_ps, struct queue *queue, bool poll);
void fetch_ring_serve(struct fetch_model *fetch, uint64_t now_ps, const struct service *service);
void fetch_ring_done(struct fetch_model *fetch, uint64_t now_ps, struct queue *queue, enum cookie_kind kind,
		     enum dma_status status);
/* Goes on with queues that wait for slots, as far as there are any. */
void fetch_ring_retry(struct fetch_model *fetch, uint64_t now_ps);

/* chain.c */
/* Starts walkers for waiting heads, as many as may be at work. */
void fetch_chain_start(struct fetch_model *fetch, uint64_t now_ps);
void fetch_chain_done(struct fetch_model *fetch, uint64_t now_ps, struct walker *walker,
		      enum cookie_kind kind, enum dma_status status);

#endif
