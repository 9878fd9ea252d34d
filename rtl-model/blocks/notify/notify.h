/* The notify unit: doorbells in, "serve this queue" out.
 *
 * Mode `pending`: one pending bit per queue. A doorbell sets it; service clears it. The first doorbell starts the
 * hold-off timer, and the queue becomes eligible when the timer ends or when `threshold` doorbells have come;
 * doorbells to a pending queue are coalesced. Mode `fifo`: every doorbell is an entry of its own, served in order, each
 * after the hold-off; when the FIFO is full a doorbell falls back to the pending bit, so none is ever lost. Between
 * the FIFO and the pending bits the one that came first goes first.
 *
 * Doorbells to queues that are not enabled are counted and dropped (virtio 1.4 §2.1: nothing is consumed before
 * DRIVER_OK; the firmware looks at every ring when it enables them), and so are those that wait when their queue is
 * disabled. */
#ifndef KICKSTAND_BLOCKS_NOTIFY_NOTIFY_H
#define KICKSTAND_BLOCKS_NOTIFY_NOTIFY_H

#include "csr.h"
#include "pcie/base.h"
#include "rtl-model/config.h"
#include "rtl-model/fifo.h"

#ifdef __cplusplus
extern "C" {
#endif

struct doorbell {
	uint16_t queue;
	uint32_t value; /* as written: queue index, or with NOTIFICATION_DATA avail.idx in bits 31:16 */
};

struct service {
	uint16_t queue;
	bool hint_valid; /* hint came with the doorbell (NOTIFICATION_DATA) */
	uint16_t hint;   /* avail.idx the driver claims */
	uint64_t
		doorbell_ps; /* when the first of the doorbells behind this service arrived; TIME_NEVER_PS for a kick
			       * of the firmware's own */
};

FIFO_DEFINE(doorbell_fifo, struct doorbell, 64);
FIFO_DEFINE(service_fifo, struct service, 4);

/* written = coalesced + serviced + dropped + those that wait */
struct notify_stats {
	uint64_t written;   /* doorbells received for enabled queues */
	uint64_t coalesced; /* of them, merged into an earlier one */
	uint64_t serviced;  /* services handed out because of doorbells */
	uint64_t dropped;   /* waited when their queue was disabled */
	uint64_t ignored;   /* doorbells for queues that are not enabled or do not exist */
	uint64_t fifo_full; /* doorbells that fell back to the pending bit */
	uint64_t own_kicks; /* kicks by the firmware */
};

struct notify_queue {
	bool enabled;
	bool own;           /* the firmware has kicked it */
	uint64_t since_ps;  /* pending since */
	uint32_t doorbells; /* since it became pending */
	uint64_t first_ps;  /* arrival of the first of them */
	bool hint_valid;    /* of the last of them */
	uint16_t hint;
	unsigned credit; /* weighted arbitration: services left in this round */
};

struct notify_fifo_entry {
	uint16_t queue, hint;
	bool hint_valid;
	uint64_t at_ps;
};

struct notify {
	/* in */
	struct doorbell_fifo doorbells;
	/* out: the fetch engine's or the firmware's queue */
	struct service_fifo *out;
	/* settings */
	enum config_notify_mode mode;
	enum config_arbitration arbitration;
	uint64_t period_ps, holdoff_ps, weights;
	unsigned threshold, fifo_limit;
	bool data_mode;
	/* state */
	struct notify_queue queue[QUEUES_MAX];
	uint64_t pending; /* bit n: queue n */
	struct notify_fifo_entry fifo[1024];
	uint32_t fifo_head, fifo_tail;
	unsigned last; /* queue served last */
	uint64_t next_service_ps;
	struct notify_stats stats;
};

/* `self` makes notify_step run; `out` is owned by the consumer. */
void notify_init(struct notify *notify, const struct config *config, const struct waker *self,
		 struct service_fifo *out);

/* Forgets all doorbells and disables all queues; settings are kept. */
void notify_reset(struct notify *notify);

uint64_t notify_step(struct notify *notify, uint64_t now_ps);

/* Registers of block NOTIFY, except SERVICE, which belongs to the consumer of `out`. False: no such register. */
bool notify_csr_read(struct notify *notify, uint64_t now_ps, uint32_t offset, uint32_t *value);
bool notify_csr_write(struct notify *notify, uint64_t now_ps, uint32_t offset, uint32_t value);

/* Doorbells that wait to be served. */
bool notify_busy(const struct notify *notify);

#ifdef __cplusplus
}
#endif
#endif
