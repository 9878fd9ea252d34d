#include "rtl-model/blocks/notify/notify.h"

#include "rtl-model/pace.h"

#include <stdlib.h>

struct notify_queue {
	bool enabled;
	bool own;           /* the firmware has kicked it */
	uint64_t since_ps;  /* first doorbell since it became pending, or the kick if there is none */
	uint32_t doorbells; /* since it became pending */
	bool hint_valid;    /* of the last of them */
	uint16_t hint;
	unsigned halvings; /* of the hold-off, while it holds off: PACE_CLASSES */
	uint64_t turn;   /* of two eligible queues, the one with the smaller number has been so for longer */
	unsigned credit; /* weighted arbitration: services left in this round */
};

struct notify_fifo_entry {
	uint16_t queue, hint;
	bool hint_valid;
	uint64_t at_ps;
};

struct notify_model {
	struct notify base;
	struct service_fifo *out;
	/* settings */
	enum config_notify_mode mode;
	enum config_arbitration arbitration;
	uint64_t period_ps, holdoff_ps, weights;
	unsigned threshold, fifo_limit;
	bool data_mode, adaptive;
	/* state; bit n: queue n */
	struct notify_queue queue[QUEUES_MAX];
	struct pace pace[QUEUES_MAX]; /* stays when a queue is disabled */
	uint64_t pending, eligible;   /* a pending queue that is not eligible holds off */
	uint64_t turns;
	struct notify_fifo_entry fifo[1024];
	uint32_t fifo_head, fifo_tail;
	unsigned last;  /* queue served last */
	bool end_first; /* whose turn it is if a hold-off ends where something comes in */
	uint64_t next_operation_ps, next_service_ps;
};

static uint64_t next_multiple(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

static uint32_t longest_ns(const struct notify_model *notify)
{
	return (uint32_t)(notify->holdoff_ps / PS_PER_NS);
}

/* When a hold-off that began at `since_ps` is over: the card's time counter counts nanoseconds. */
static uint64_t over_ps(const struct notify_model *notify, uint64_t since_ps, unsigned halvings)
{
	return (since_ps / PS_PER_NS + (longest_ns(notify) >> halvings)) * PS_PER_NS;
}

/* ---- the FIFO of doorbells ---- */

static uint32_t fifo_count(const struct notify_model *notify)
{
	return notify->fifo_tail - notify->fifo_head;
}

static struct notify_fifo_entry *fifo_entry(struct notify_model *notify, uint32_t position)
{
	return &notify->fifo[position % ARRAY_SIZE(notify->fifo)];
}

static uint64_t fifo_eligible_ps(const struct notify_model *notify)
{
	if (fifo_count(notify) == 0)
		return TIME_NEVER_PS;
	return over_ps(notify, notify->fifo[notify->fifo_head % ARRAY_SIZE(notify->fifo)].at_ps, 0);
}

static void fifo_drop_queue(struct notify_model *notify, unsigned index)
{
	uint32_t kept = notify->fifo_head;
	for (uint32_t i = notify->fifo_head; i != notify->fifo_tail; i++)
		if (fifo_entry(notify, i)->queue != index)
			*fifo_entry(notify, kept++) = *fifo_entry(notify, i);
	notify->base.stats.dropped += notify->fifo_tail - kept;
	notify->fifo_tail = kept;
}

/* ---- enabling and forgetting ---- */

static void set_enabled(struct notify_model *notify, unsigned index, bool enabled)
{
	struct notify_queue *queue = &notify->queue[index];
	if (enabled == queue->enabled)
		return;
	if (queue->doorbells != 0)
		notify->base.stats.dropped++;
	*queue = (struct notify_queue){.enabled = enabled};
	notify->pending &= ~(UINT64_C(1) << index);
	notify->eligible &= ~(UINT64_C(1) << index);
	fifo_drop_queue(notify, index);
}

static void reset(struct notify *base)
{
	struct notify_model *notify = (struct notify_model *)base;
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		set_enabled(notify, i, false);
	notify->last = QUEUES_MAX - 1;
	notify->data_mode = notify->end_first = false;
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		pace_forget(&notify->pace[i]);
	notify->next_operation_ps = notify->next_service_ps = 0;
	if (doorbell_fifo_full(&notify->base.doorbells)) /* the endpoint waits for room */
		waker_wake(notify->base.doorbells.producer, 0);
	doorbell_fifo_clear(&notify->base.doorbells);
}

/* ---- from pending to eligible ---- */

static bool is_pending(const struct notify_model *notify, unsigned index)
{
	return notify->pending >> index & 1;
}

static void set_eligible(struct notify_model *notify, unsigned index)
{
	if (notify->eligible >> index & 1)
		return;
	notify->eligible |= UINT64_C(1) << index;
	notify->queue[index].turn = notify->turns++;
}

static bool enough_doorbells(const struct notify_model *notify, unsigned index)
{
	return notify->threshold != 0 && notify->queue[index].doorbells >= notify->threshold;
}

/* Queues that hold off. */
static uint64_t holding(const struct notify_model *notify)
{
	return notify->pending & ~notify->eligible;
}

static uint64_t queue_over_ps(const struct notify_model *notify, unsigned index)
{
	return over_ps(notify, notify->queue[index].since_ps, notify->queue[index].halvings);
}

/* Of `queues` that hold off, of which there is at least one, the first by length, longest first, then by age. */
static unsigned first_holding(const struct notify_model *notify, uint64_t queues)
{
	unsigned best = (unsigned)__builtin_ctzll(queues);
	for (uint64_t left = queues; left != 0; left &= left - 1) {
		unsigned index = (unsigned)__builtin_ctzll(left);
		const struct notify_queue *one = &notify->queue[index], *other = &notify->queue[best];
		if (one->halvings != other->halvings ? one->halvings < other->halvings
						     : one->since_ps < other->since_ps)
			best = index;
	}
	return best;
}

/* End of the hold-off that ends first. */
static uint64_t next_over_ps(const struct notify_model *notify)
{
	uint64_t next_ps = TIME_NEVER_PS;
	for (uint64_t left = holding(notify); left != 0; left &= left - 1)
		next_ps = min_u64(next_ps, queue_over_ps(notify, (unsigned)__builtin_ctzll(left)));
	return next_ps;
}

/* One that is over. */
static void end_holdoff(struct notify_model *notify, uint64_t now_ps)
{
	uint64_t over = 0;
	for (uint64_t left = holding(notify); left != 0; left &= left - 1)
		if (queue_over_ps(notify, (unsigned)__builtin_ctzll(left)) <= now_ps)
			over |= left & -left;
	unsigned index = first_holding(notify, over);
	if (notify->adaptive && notify->queue[index].doorbells == 1)
		pace_forget(&notify->pace[index]);
	set_eligible(notify, index);
}

/* After a change of hold-off or threshold. */
static void revisit_holdoffs(struct notify_model *notify, uint64_t now_ps)
{
	for (uint64_t left = holding(notify); left != 0;) {
		unsigned index = first_holding(notify, left);
		left &= ~(UINT64_C(1) << index);
		if (enough_doorbells(notify, index) || queue_over_ps(notify, index) <= now_ps)
			set_eligible(notify, index);
	}
}

/* ---- doorbells in ---- */

/* Chooses the hold-off of a queue that has become pending. False if it is served at once. */
static bool hold_off(struct notify_model *notify, unsigned index)
{
	const struct pace *pace = &notify->pace[index];
	notify->queue[index].halvings = 0;
	if (notify->holdoff_ps == 0)
		return false;
	if (!notify->adaptive)
		return true;
	notify->queue[index].halvings = pace_class(pace, longest_ns(notify), notify->threshold);
	return pace_is_fast(pace, longest_ns(notify));
}

static void pend_doorbell(struct notify_model *notify, unsigned index, uint64_t now_ps, uint16_t hint)
{
	struct notify_queue *queue = &notify->queue[index];
	bool was_pending = is_pending(notify, index);
	notify->pending |= UINT64_C(1) << index;
	if (notify->adaptive)
		pace_arrival(&notify->pace[index], now_ps / PS_PER_NS, longest_ns(notify));
	if (queue->doorbells++ == 0)
		queue->since_ps = now_ps;
	else
		notify->base.stats.coalesced++;
	queue->hint_valid = notify->data_mode;
	queue->hint = hint; /* the latest index is the furthest one */
	if ((!was_pending && !hold_off(notify, index)) || notify->holdoff_ps == 0 ||
	    enough_doorbells(notify, index))
		set_eligible(notify, index);
}

static void take_doorbell(struct notify_model *notify, uint64_t now_ps, const struct doorbell *doorbell)
{
	unsigned index = doorbell->queue;
	uint16_t hint = (uint16_t)(doorbell->value >> 16);
	if (index >= QUEUES_MAX || !notify->queue[index].enabled) {
		notify->base.stats.ignored++;
		return;
	}
	notify->base.stats.written++;
	/* While a queue is pending, its doorbells join that: behind one that has fallen back, all fall back. */
	if (notify->mode == CONFIG_NOTIFY_PENDING || is_pending(notify, index)) {
		pend_doorbell(notify, index, now_ps, hint);
	} else if (fifo_count(notify) == notify->fifo_limit) {
		notify->base.stats.fifo_full++;
		pend_doorbell(notify, index, now_ps, hint);
	} else {
		*fifo_entry(notify, notify->fifo_tail++) =
			(struct notify_fifo_entry){doorbell->queue, hint, notify->data_mode, now_ps};
	}
}

/* ---- arbitration ---- */

/* The first of `queues` from `start` on, the search going on at queue 0. */
static unsigned first_from(uint64_t queues, unsigned start)
{
	uint64_t upper = queues & ~UINT64_C(0) << start;
	return (unsigned)__builtin_ctzll(upper ? upper : queues);
}

static unsigned longest_eligible(const struct notify_model *notify, uint64_t queues)
{
	unsigned best = (unsigned)__builtin_ctzll(queues);
	for (uint64_t left = queues; left != 0; left &= left - 1) {
		unsigned index = (unsigned)__builtin_ctzll(left);
		if (notify->queue[index].turn < notify->queue[best].turn)
			best = index;
	}
	return best;
}

static unsigned weight_of(const struct notify_model *notify, unsigned index)
{
	unsigned weight = (unsigned)(notify->weights >> (index % 16 * 4)) & 0xf;
	return weight ? weight : 1;
}

/* One of `queues`, of which there is at least one. */
static unsigned pick(const struct notify_model *notify, uint64_t queues)
{
	unsigned last = notify->last;
	switch (notify->arbitration) {
	case CONFIG_ARBITRATION_ROUND_ROBIN: break;
	case CONFIG_ARBITRATION_STRICT: return first_from(queues, 0);
	case CONFIG_ARBITRATION_OLDEST: return longest_eligible(notify, queues);
	case CONFIG_ARBITRATION_WEIGHTED: /* round robin, but a queue keeps its turn for `weight` services */
		if ((queues >> last & 1) && notify->queue[last].credit != 0)
			return last;
		break;
	}
	return first_from(queues, (last + 1) % QUEUES_MAX);
}

/* ---- services out ---- */

static void hand_out(struct notify_model *notify, uint64_t now_ps, const struct service *service)
{
	if (service->doorbell_ps != TIME_NEVER_PS)
		notify->base.stats.serviced++;
	service_fifo_push(notify->out, now_ps + notify->period_ps, *service);
}

static void serve_pending(struct notify_model *notify, uint64_t now_ps, unsigned index)
{
	struct notify_queue *queue = &notify->queue[index];
	/* After a kick the firmware wants the ring looked at, whatever the driver said. */
	bool hint_valid = queue->doorbells != 0 && queue->hint_valid && !queue->own;
	const struct service service = {
		.queue = (uint16_t)index,
		.hint_valid = hint_valid,
		.hint = hint_valid ? queue->hint : 0,
		.doorbell_ps = queue->doorbells ? queue->since_ps : TIME_NEVER_PS,
	};
	if (index != notify->last || queue->credit == 0)
		queue->credit = weight_of(notify, index);
	queue->credit--;
	notify->last = index;
	notify->pending &= ~(UINT64_C(1) << index);
	notify->eligible &= ~(UINT64_C(1) << index);
	queue->own = false;
	queue->doorbells = 0;
	hand_out(notify, now_ps, &service);
}

static void serve_fifo(struct notify_model *notify, uint64_t now_ps)
{
	const struct notify_fifo_entry *entry = fifo_entry(notify, notify->fifo_head++);
	const struct service service = {
		.queue = entry->queue,
		.hint_valid = entry->hint_valid,
		.hint = entry->hint_valid ? entry->hint : 0,
		.doorbell_ps = entry->at_ps,
	};
	hand_out(notify, now_ps, &service);
}

static bool serve_one(struct notify_model *notify, uint64_t now_ps)
{
	uint64_t queues = notify->eligible;
	bool from_fifo = fifo_eligible_ps(notify) <= now_ps;
	if (queues == 0 && !from_fifo)
		return false;
	unsigned index = queues ? pick(notify, queues) : 0;
	/* Who came first goes first, so neither side can keep the other waiting for ever. */
	if (from_fifo &&
	    (queues == 0 || fifo_entry(notify, notify->fifo_head)->at_ps <= notify->queue[index].since_ps))
		serve_fifo(notify, now_ps);
	else
		serve_pending(notify, now_ps, index);
	return true;
}

/* When the next service can be made. */
static uint64_t next_service_ps(const struct notify_model *notify, uint64_t now_ps)
{
	if (service_fifo_full(notify->out)) /* a pop wakes us */
		return TIME_NEVER_PS;
	uint64_t next_ps = notify->eligible ? now_ps : fifo_eligible_ps(notify);
	return next_ps == TIME_NEVER_PS ? next_ps : max_u64(next_ps, notify->next_service_ps);
}

/* A hold-off ends or a doorbell is taken, in turns if both want to. */
static bool operate(struct notify_model *notify, uint64_t now_ps)
{
	bool over = next_over_ps(notify) <= now_ps;
	if (doorbell_fifo_ready(&notify->base.doorbells, now_ps) && !(over && notify->end_first)) {
		struct doorbell doorbell = doorbell_fifo_pop(&notify->base.doorbells, now_ps);
		take_doorbell(notify, now_ps, &doorbell);
		notify->end_first = true;
	} else if (over) {
		end_holdoff(notify, now_ps);
		notify->end_first = false;
	} else {
		return false;
	}
	return true;
}

/* The unit works at clock edges: one operation and one service a cycle. */
static uint64_t step(struct notify *base, uint64_t now_ps)
{
	struct notify_model *notify = (struct notify_model *)base;
	uint64_t edge_ps = next_multiple(now_ps, notify->period_ps);
	if (now_ps != edge_ps)
		return edge_ps;
	if (now_ps >= notify->next_operation_ps && operate(notify, now_ps))
		notify->next_operation_ps = now_ps + notify->period_ps;
	if (now_ps >= notify->next_service_ps && !service_fifo_full(notify->out) && serve_one(notify, now_ps))
		notify->next_service_ps = now_ps + notify->period_ps;
	uint64_t next_ps = min_u64(next_over_ps(notify), doorbell_fifo_next_ps(&notify->base.doorbells));
	if (next_ps != TIME_NEVER_PS)
		next_ps = max_u64(next_ps, notify->next_operation_ps);
	next_ps = min_u64(next_ps, next_service_ps(notify, now_ps));
	return next_ps == TIME_NEVER_PS ? next_ps : next_multiple(next_ps, notify->period_ps);
}

/* ---- registers ---- */

static uint64_t enabled_queues(const struct notify_model *notify)
{
	uint64_t word = 0;
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		word |= (uint64_t)notify->queue[i].enabled << i;
	return word;
}

/* Queues with a doorbell or a kick that waits. */
static uint64_t waiting(const struct notify *base)
{
	const struct notify_model *notify = (const struct notify_model *)base;
	uint64_t word = notify->pending;
	for (uint32_t i = notify->fifo_head; i != notify->fifo_tail; i++)
		word |= UINT64_C(1) << notify->fifo[i % ARRAY_SIZE(notify->fifo)].queue;
	return word;
}

/* Queues 63:32 if `high`. */
static uint32_t half(uint64_t queues, bool high)
{
	return (uint32_t)(high ? queues >> 32 : queues);
}

static void write_enable(struct notify_model *notify, unsigned first, uint32_t word)
{
	for (unsigned i = 0; i < 32; i++)
		set_enabled(notify, first + i, word >> i & 1);
}

static void own_kick(struct notify_model *notify, uint64_t now_ps, uint32_t index)
{
	if (index >= QUEUES_MAX || !notify->queue[index].enabled)
		return;
	notify->base.stats.own_kicks++;
	if (!is_pending(notify, index))
		notify->queue[index].since_ps = next_multiple(now_ps, notify->period_ps);
	notify->pending |= UINT64_C(1) << index;
	notify->queue[index].own = true;
	set_eligible(notify, index);
}

static bool csr_read(struct notify *base, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	struct notify_model *notify = (struct notify_model *)base;
	(void)now_ps;
	switch (offset) {
	case CSR_NOTIFY_ENABLE_LO: *value = half(enabled_queues(notify), false); return true;
	case CSR_NOTIFY_ENABLE_HI: *value = half(enabled_queues(notify), true); return true;
	case CSR_NOTIFY_PENDING_LO: *value = half(waiting(base), false); return true;
	case CSR_NOTIFY_PENDING_HI: *value = half(waiting(base), true); return true;
	case CSR_NOTIFY_HOLDOFF_NS: *value = (uint32_t)(notify->holdoff_ps / PS_PER_NS); return true;
	case CSR_NOTIFY_THRESHOLD: *value = notify->threshold; return true;
	case CSR_NOTIFY_DATA_MODE: *value = notify->data_mode; return true;
	case CSR_NOTIFY_ADAPTIVE: *value = notify->adaptive; return true;
	case CSR_NOTIFY_KICK: *value = 0; return true;
	default: return false;
	}
}

static bool csr_write(struct notify *base, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	struct notify_model *notify = (struct notify_model *)base;
	switch (offset) {
	case CSR_NOTIFY_ENABLE_LO: write_enable(notify, 0, value); break;
	case CSR_NOTIFY_ENABLE_HI: write_enable(notify, 32, value); break;
	case CSR_NOTIFY_KICK: own_kick(notify, now_ps, value & CSR_NOTIFY_KICK_QUEUE_MASK); break;
	case CSR_NOTIFY_HOLDOFF_NS:
		notify->holdoff_ps = value * PS_PER_NS;
		revisit_holdoffs(notify, now_ps);
		break;
	case CSR_NOTIFY_THRESHOLD:
		notify->threshold = value & CSR_NOTIFY_THRESHOLD_COUNT_MASK;
		revisit_holdoffs(notify, now_ps);
		break;
	case CSR_NOTIFY_DATA_MODE:
		notify->data_mode = value & CSR_NOTIFY_DATA_MODE_NOTIFICATION_DATA_MASK;
		break;
	case CSR_NOTIFY_ADAPTIVE: notify->adaptive = value & CSR_NOTIFY_ADAPTIVE_ENABLE_MASK; break;
	case CSR_NOTIFY_PENDING_LO:
	case CSR_NOTIFY_PENDING_HI: return true; /* read-only */
	default: return false;
	}
	notify->end_first = true;
	/* A queue may have become eligible, or ends its hold-off sooner. */
	if (notify->pending != 0 || fifo_count(notify) != 0)
		waker_wake(notify->base.doorbells.consumer, now_ps);
	return true;
}

/* ---- creation ---- */

static void destroy(struct notify *base)
{
	free(base);
}

static const struct notify_ops model_ops = {
	.free = destroy,
	.reset = reset,
	.step = step,
	.csr_read = csr_read,
	.csr_write = csr_write,
	.waiting = waiting,
};

struct notify *notify_create(const struct config *config, const struct waker *self, struct service_fifo *out)
{
	struct notify_model *notify = calloc(1, sizeof(*notify));
	if (!notify)
		return NULL;
	notify->base.ops = &model_ops;
	notify->base.doorbells.consumer = self;
	notify->out = out;
	out->producer = self;
	notify->mode = config->notify.mode;
	notify->arbitration = config->notify.arbitration;
	notify->period_ps = config_period_ps(config->device.clock_mhz);
	notify->holdoff_ps = next_multiple(config->notify.holdoff_ps, PS_PER_NS);
	notify->threshold = config->notify.threshold;
	notify->adaptive = config->notify.adaptive;
	notify->weights = config->notify.weights;
	notify->fifo_limit = config->notify.fifo_depth;
	reset(&notify->base);
	return &notify->base;
}
