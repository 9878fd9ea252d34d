/* The notify unit: doorbells in, "serve this queue" out.
 *
 * Mode `pending`: one pending bit per queue. A doorbell sets it; service clears it. The first doorbell starts the
 * hold-off timer, and the queue becomes eligible when the timer ends or when `threshold` doorbells have come;
 * doorbells to a pending queue are coalesced. The hold-off is fixed or, if adaptive, follows the queue's doorbells
 * (rtl-model/pace.h). Mode `fifo`: every doorbell is an entry of its own, served in order, each after the hold-off; when
 * the FIFO is full a doorbell falls back to the pending bit, so none is ever lost. Between the FIFO and the pending
 * bits the one that came first goes first.
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

struct notify;

/* What an implementation does; see the functions below. */
struct notify_ops {
	void (*free)(struct notify *notify);
	void (*reset)(struct notify *notify);
	uint64_t (*step)(struct notify *notify, uint64_t now_ps);
	bool (*csr_read)(struct notify *notify, uint64_t now_ps, uint32_t offset, uint32_t *value);
	bool (*csr_write)(struct notify *notify, uint64_t now_ps, uint32_t offset, uint32_t value);
	uint64_t (*waiting)(const struct notify *notify);
};

/* What the model and the RTL twin (notify_rtl.h) have in common. */
struct notify {
	const struct notify_ops *ops;
	struct doorbell_fifo doorbells; /* in */
	struct notify_stats stats;
};

/* The C model. `self` makes notify_step run; `out` is owned by the consumer: the fetch engine, or the firmware's
 * queue. NULL when out of memory. */
struct notify *notify_create(const struct config *config, const struct waker *self, struct service_fifo *out);

static inline void notify_free(struct notify *notify)
{
	if (notify)
		notify->ops->free(notify);
}

/* Forgets all doorbells and disables all queues; settings are kept. */
static inline void notify_reset(struct notify *notify)
{
	notify->ops->reset(notify);
}

static inline uint64_t notify_step(struct notify *notify, uint64_t now_ps)
{
	return notify->ops->step(notify, now_ps);
}

/* Registers of block NOTIFY, except SERVICE, which belongs to the consumer of `out`. False: no such register. */
static inline bool notify_csr_read(struct notify *notify, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return notify->ops->csr_read(notify, now_ps, offset, value);
}

static inline bool notify_csr_write(struct notify *notify, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return notify->ops->csr_write(notify, now_ps, offset, value);
}

/* Queues with a doorbell or a kick that waits to be served, bit n for queue n. */
static inline uint64_t notify_waiting(const struct notify *notify)
{
	return notify->ops->waiting(notify);
}

static inline bool notify_busy(const struct notify *notify)
{
	return doorbell_fifo_count(&notify->doorbells) != 0 || notify_waiting(notify) != 0;
}

#ifdef __cplusplus
}
#endif
#endif
