/* The PCIe link: when a TLP that is ready to go reaches the other side.
 *
 * One `struct link_dir` is one direction. The sender pushes wire bytes with the time they are ready;
 * the receiver pops them at their arrival times. In between stand flow-control credits by class
 * (PCIe 6.0 §2.6), the ordering rules (§2.4), serialisation at the lane rate with framing and DLLP
 * overhead, the pipeline and propagation delay, and optionally replays after bad LCRCs.
 *
 * Nothing here ticks. A TLP's start of transmission is decided only when simulated time has reached
 * it, so a TLP pushed later but ready earlier still goes first, and a burst costs no event of its own: the
 * receiver is woken once, when something that needs it has arrived. Receivers that only look at what
 * arrived when they next run (posted writes into memory) may call that lazy through `urgent`. How often and
 * when anybody asks changes no arrival time.
 *
 * Who goes next: posted TLPs in push order, non-posted TLPs in push order, completions by ready time; among
 * the three, the one ready first. A TLP without credits lets the others pass, except that nothing passes
 * posted TLPs that were ready earlier (non-posted: or pushed earlier) but completions with RO, or
 * with IDO and another ID. DLLPs that are due go before TLPs.
 *
 * Credits are plain counts; modular counters (FC-009, FC-010) give the same decisions as long as no more than
 * half their range is advertised. Not modelled: the replay buffer's limits, replay timer and REPLAY_NUM (a Nak
 * always arrives), corrupt DLLPs, the Ack timer (the TLPs left over from the last full ack_interval are not
 * acknowledged), periodic UpdateFCs (FC-012) and UpdateFCs of infinite classes, link training.
 *
 * All state is in the struct, buffers grow on demand and are freed by link_dir_free(). If memory runs out after
 * creation, the program ends with a message. */
#ifndef KICKSTAND_PCIE_LINK_H
#define KICKSTAND_PCIE_LINK_H

#include "pcie/base.h"
#include "pcie/tlp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Flow-control credits a receiver advertises; 0 = infinite (FC-006). Data units are 16 bytes. A TLP
 * with more data than is advertised at all (the receiver breaks FC-005) takes all there is. */
struct link_credits {
	uint32_t header[TLP_CLASS_COUNT];
	uint32_t data[TLP_CLASS_COUNT];
};

struct link_config {
	unsigned generation;     /* 1..5 */
	unsigned lanes;          /* 1, 2, 4, 8, 16 */
	uint64_t propagation_ps; /* last bit sent to TLP visible at the receiver: wire, PHY and pipeline */
	unsigned ack_interval;   /* TLPs received per Ack DLLP sent back */
	unsigned fc_interval;    /* TLPs freed, of one class, per UpdateFC DLLP sent back; fewer if the
				    * sender could run out of credits for a largest TLP */
	uint64_t drain_ps;       /* arrival to the receiver's buffer being free again: credits go back
				    * by themselves, also for dropped TLPs (FC-016) and for receivers
				    * that look at them later */
	uint64_t fc_latency_ps;  /* buffer freed to UpdateFC leaving the receiver */
	uint32_t error_ppm;      /* chance that a TLP's LCRC arrives bad, in parts per million, < 1000000 */
	uint64_t seed;           /* of the errors */
};

/* Wire bytes per TLP besides its own (framing, sequence number, LCRC) and per DLLP, PERF-001. */
#define LINK_TLP_OVERHEAD_BYTES 8u
#define LINK_DLLP_BYTES         8u

/* Lane rate after line coding and skip ordered sets, as bytes = ps * num / den. */
struct link_rate {
	uint64_t num, den;
};

/* Of what has started on the lanes of this direction, DLLPs of the other direction's receiver included. */
struct link_stats {
	uint64_t tlps[TLP_TYPE_COUNT]; /* those of undefined Fmt/Type are in no row */
	uint64_t tlp_bytes;            /* header + payload + digest */
	uint64_t payload_bytes;
	uint64_t wire_bytes; /* tlp_bytes + framing of every TLP, replays included */
	uint64_t dllps;
	uint64_t dllp_bytes;
	uint64_t busy_ps;                          /* time the lanes carried TLPs or DLLPs */
	uint64_t replays;                          /* TLPs sent again */
	uint64_t stall_credit_ps[TLP_CLASS_COUNT]; /* time a ready TLP waited for credits only: lanes idle */
};

/* A TLP handed to the receiver. The bytes stay valid until the next link_push, link_reserve or link_pop of
 * this direction. */
struct link_rx {
	uint64_t arrive_ps;
	const uint8_t *wire;
	size_t size;
};

struct link_dir;

/* Called inside link_push when the receiver should run at `at_ps`, a lower bound of an urgent arrival, unless
 * an earlier time has been asked for. A receiver that runs calls link_pop until there is nothing, then
 * link_next_ps, and runs again at that time. */
struct link_receiver {
	void *ctx;
	void (*wake)(void *ctx, uint64_t at_ps);
	/* True if the arrival of this TLP needs the receiver at once; NULL = always. */
	bool (*urgent)(void *ctx, const uint8_t *wire, size_t size);
};

/* Makes one direction. `credits` is what its receiver advertises; `receiver` may be NULL: nobody to wake, and
 * all arrivals are urgent. The structs are copied. Returns NULL when out of memory. Owner: caller,
 * link_dir_free.
 *
 * Before the first push two directions are paired: each carries the Ack, Nak and UpdateFC DLLPs of the other.
 * They are one link, and time is common to both. */
struct link_dir *link_dir_create(const struct link_config *config, const struct link_credits *credits,
				 const struct link_receiver *receiver);
void link_dir_free(struct link_dir *dir);
void link_dir_pair(struct link_dir *a, struct link_dir *b);

/* Queues a TLP (copied, at least 4 bytes, not necessarily well-formed) that is ready to be sent at
 * `ready_ps`, which must not be before any time the link, in either direction, has been asked about (`now_ps`
 * below). Posted TLPs must be pushed in their order, and completions of one transaction with ready times that do
 * not decrease. The queue is unbounded: senders limit themselves by link_backlog_bytes. */
void link_push(struct link_dir *dir, uint64_t ready_ps, const uint8_t *wire, size_t size);

/* The same without a copy: room for up to `size` bytes to encode into, then the push of what was written. */
uint8_t *link_reserve(struct link_dir *dir, size_t size);
void link_push_reserved(struct link_dir *dir, uint64_t ready_ps, size_t size);

/* Next TLP that has arrived by `now_ps`, in order of arrival. Returns false if there is none. */
MUST_USE bool link_pop(struct link_dir *dir, uint64_t now_ps, struct link_rx *rx);

/* Earliest time an urgent TLP can arrive, TIME_NEVER_PS if none is on its way: exact if nothing else comes in
 * between. With nothing left to pop at now_ps the answer is later than now_ps. */
uint64_t link_next_ps(struct link_dir *dir, uint64_t now_ps);

/* Bytes queued but not yet on the wire at `now_ps`, framing included, and the time at which no more than
 * `bytes` of the present queue will be left: now_ps if so already, else later than now_ps; up to one TLP late,
 * and too early when credits are short, TLPs are not ready or DLLPs take their share (ask again then). */
uint64_t link_backlog_bytes(struct link_dir *dir, uint64_t now_ps);
uint64_t link_drain_ps(struct link_dir *dir, uint64_t now_ps, uint64_t bytes);

/* Fault injection: from now on the receiver sends no UpdateFC before `until_ps` (credit starvation, RC-012).
 * Those that were to leave until then leave at that time. */
void link_hold_credits(struct link_dir *dir, uint64_t now_ps, uint64_t until_ps);

/* The link goes down, both ways: everything queued or in flight is lost, credits are as after initialisation.
 * What has arrived by now_ps can still be popped. Lanes are free again when what they carry is through. */
void link_down(struct link_dir *dir, uint64_t now_ps);

/* The rate after line coding, skip ordered sets taken off: what TLPs and DLLPs share. */
struct link_rate link_rate_of(const struct link_config *config);

/* Valid until the next call; the values are those at now_ps or later. */
const struct link_stats *link_stats(struct link_dir *dir, uint64_t now_ps);

#ifdef __cplusplus
}
#endif
#endif
