/* Inside a link direction; private to pcie/link*.c. See pcie/link.h for what it is.
 *
 * The life of a TLP:
 *
 *   link_push -> classes[].queue -> sent[replay_next..) -> sent[..settled) -> link_pop
 *                 (ready, waits)     (on the wire, or      (arrival time
 *                                     to be replayed)       is known)
 *
 * The life of a credit: taken when the TLP starts; the receiver frees the buffer drain_ps after arrival and
 * gathers (`withheld`), owes an UpdateFC (`updates`), sends it on the reverse lanes (`returns`), and the
 * sender may use it from its arrival. */
#ifndef KICKSTAND_PCIE_LINK_DIR_H
#define KICKSTAND_PCIE_LINK_DIR_H

#include "pcie/link.h"
#include "pcie/link_store.h"
#include "pcie/rng.h"

#define LINK_DATA_CREDIT_BYTES 16u

struct link_tlp {
	uint64_t ready_ps;
	uint64_t arrive_ps;  /* valid once settled */
	uint64_t order;      /* how many TLPs were pushed before it */
	uint64_t position;   /* of its bytes in the arena */
	uint64_t class_end;  /* wire bytes of its class that have started when it has: lower bound */
	uint64_t posted_end; /* the same of the posted class: what has to go before it; 0 if nothing has to */
	uint32_t size;
	uint16_t data; /* credits it takes, 0 where they are infinite */
	uint8_t headers;
	uint8_t class_; /* enum tlp_class */
	uint16_t id;    /* Requester ID of a request, Completer ID of a completion */
	bool relaxed, ido;
	bool urgent;
};

/* An Ack or UpdateFC to be sent at_ps at the earliest, or an UpdateFC that arrives at_ps. */
struct link_dllp {
	uint64_t at_ps;
	uint32_t headers, data; /* credits it returns */
	enum tlp_class class_;
};

struct link_class {
	struct link_ring queue; /* struct link_tlp in the order they will start */
	uint64_t sent_bytes;    /* wire bytes of this class ever started */
	uint64_t first_urgent;  /* no urgent TLP has a smaller queue index */
	/* The sender's credits, and what is on its way to it in order of arrival. */
	uint32_t headers, data;
	struct link_ring returns; /* struct link_dllp */
	/* At the receiver: freed, but in no UpdateFC yet. */
	struct {
		uint32_t tlps, headers, data;
	} withheld;
};

/* What the lanes carry next, as far as is known now. */
struct link_plan {
	enum { LINK_SEND_NOTHING, LINK_SEND_DLLP, LINK_SEND_NAK, LINK_SEND_REPLAY, LINK_SEND_TLP } what;
	uint64_t start_ps;       /* TIME_NEVER_PS for LINK_SEND_NOTHING */
	struct link_ring *queue; /* whose first element it is: an Ack, UpdateFC or new TLP */
};

struct link_dir {
	struct link_config config;
	struct link_credits advertised;
	struct link_receiver receiver;
	struct link_dir *reverse;
	struct link_rate rate;
	uint8_t type_of[256]; /* enum tlp_type by first wire byte */

	/* The lanes are free from free_ps + free_fraction / rate.num picoseconds on. */
	uint64_t free_ps, free_fraction;

	/* Sender */
	struct link_class classes[TLP_CLASS_COUNT];
	struct link_arena arena;
	uint64_t pushes;
	uint64_t queued_bytes; /* wire bytes in the three queues */
	struct link_ring sent; /* struct link_tlp in sequence-number order, until popped */
	uint64_t settled;      /* sent index: the receiver took all TLPs before it */
	uint64_t replay_next;  /* sent index of the next TLP to replay; sent.tail = none */
	uint64_t nak_ps;       /* arrival of a Nak at the sender, TIME_NEVER_PS = none on its way */
	struct rng errors;
	struct link_plan plan;
	bool plan_valid;

	/* Receiver: what it owes on the reverse lanes */
	uint32_t unacked;
	struct link_ring acks, updates; /* struct link_dllp in order of at_ps */
	uint64_t nak_due_ps;            /* TIME_NEVER_PS = no Nak to be sent */
	uint64_t hold_until_ps;         /* link_hold_credits */

	/* Questions and answers */
	uint64_t asked_ps;    /* everything that starts by then is decided */
	uint64_t wake_ps;     /* the receiver will ask by then */
	uint64_t sent_urgent; /* no urgent TLP has a smaller sent index */
	uint64_t popped;      /* position of the TLP last popped, UINT64_MAX = none */

	uint64_t stalls_until_ps; /* stats.stall_credit_ps is complete up to here */
	struct link_stats stats;
};

static inline struct link_tlp *link_tlp_at(const struct link_ring *ring, uint64_t index)
{
	return (struct link_tlp *)link_ring_at(ring, index, sizeof(struct link_tlp));
}

static inline struct link_dllp *link_dllp_at(const struct link_ring *ring, uint64_t index)
{
	return (struct link_dllp *)link_ring_at(ring, index, sizeof(struct link_dllp));
}

static inline uint64_t link_wire_bytes(const struct link_tlp *t)
{
	return t->size + LINK_TLP_OVERHEAD_BYTES;
}

/* When `bytes` that start at start_ps are through, in whole picoseconds; *fraction is the part of the
 * last one that is used, in 1/rate.num. start_ps is not before free_ps, and back-to-back TLPs go on where
 * the last one ended, so that rounding never adds up. */
static inline uint64_t link_lanes_end_ps(const struct link_dir *dir, uint64_t start_ps, uint64_t bytes,
					 uint64_t *fraction)
{
	uint64_t scaled = bytes * dir->rate.den + (start_ps == dir->free_ps ? dir->free_fraction : 0);
	*fraction = scaled % dir->rate.num;
	return start_ps + scaled / dir->rate.num;
}

/* pcie/link_run.c */

/* Decides everything that starts on the link by now_ps, both ways. */
void link_run_until(struct link_dir *dir, uint64_t now_ps);

/* pcie/link_choose.c: which TLP or DLLP starts next. */

const struct link_plan *link_plan(struct link_dir *dir);

/* A lower bound of the start of a class's first TLP, and so of all its TLPs; TIME_NEVER_PS if its queue is
 * empty. */
uint64_t link_class_bound_ps(const struct link_dir *dir, enum tlp_class class_, uint64_t now_ps);

/* A lower bound of the arrival of a queued TLP. */
uint64_t link_arrival_bound_ps(const struct link_dir *dir, const struct link_tlp *t, uint64_t now_ps);

/* Adds to the statistics who waited for nothing but credits while the lanes were idle up to until_ps. */
void link_account_stalls(struct link_dir *dir, uint64_t until_ps);

#endif
