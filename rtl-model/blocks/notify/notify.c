#include "rtl-model/blocks/notify/notify.h"

#include <string.h>

void notify_init(struct notify *notify, const struct config *config, const struct waker *self,
		 struct service_fifo *out)
{
	memset(notify, 0, sizeof(*notify));
	notify->out = out;
	notify->doorbells.consumer = self;
	if (out)
		out->producer = self;
	notify->mode = config->notify.mode;
	notify->arbitration = config->notify.arbitration;
	notify->period_ps = config_period_ps(config->device.clock_mhz);
	notify->holdoff_ps = config->notify.holdoff_ps;
	notify->threshold = config->notify.threshold;
	notify->weights = config->notify.weights;
	notify->fifo_limit = config->notify.fifo_depth;
	notify_reset(notify);
}

void notify_reset(struct notify *notify)
{
	doorbell_fifo_clear(&notify->doorbells);
	memset(notify->queue, 0, sizeof(notify->queue));
	notify->pending = 0;
	notify->fifo_head = notify->fifo_tail = 0;
	notify->last = QUEUES_MAX - 1;
	notify->data_mode = false;
	notify->next_service_ps = 0;
}

/* ---- doorbells in ---- */

static bool is_pending(const struct notify *notify, unsigned index)
{
	return notify->pending >> index & 1;
}

static void set_pending(struct notify *notify, unsigned index, uint64_t now_ps)
{
	if (is_pending(notify, index))
		return;
	notify->pending |= UINT64_C(1) << index;
	notify->queue[index].doorbells = 0;
	notify->queue[index].hint_valid = false;
	notify->queue[index].first_ps = now_ps;
}

static void take_doorbell(struct notify *notify, uint64_t now_ps, const struct doorbell *doorbell)
{
	if (doorbell->queue >= QUEUES_MAX || !notify->queue[doorbell->queue].enabled) {
		notify->stats.ignored++;
		return;
	}
	struct notify_queue *queue = &notify->queue[doorbell->queue];
	uint16_t hint = (uint16_t)(doorbell->value >> 16);
	notify->stats.written++;
	if (notify->mode == CONFIG_NOTIFY_FIFO && !is_pending(notify, doorbell->queue)) {
		if (notify->fifo_tail - notify->fifo_head < notify->fifo_limit) {
			notify->fifo[notify->fifo_tail++ % ARRAY_SIZE(notify->fifo)] =
				(struct notify_fifo_entry){ doorbell->queue, hint, notify->data_mode, now_ps };
			return;
		}
		notify->stats.fifo_full++;
	}
	if (is_pending(notify, doorbell->queue))
		notify->stats.coalesced++;
	set_pending(notify, doorbell->queue, now_ps);
	queue->doorbells++;
	queue->hint_valid = notify->data_mode; /* the latest index is the furthest one */
	queue->hint = hint;
}

/* ---- services out ---- */

/* When this queue may be served: now, at the end of its hold-off, or never. */
static uint64_t eligible_ps(const struct notify *notify, unsigned index)
{
	const struct notify_queue *queue = &notify->queue[index];
	if (!is_pending(notify, index))
		return TIME_NEVER_PS;
	if (queue->own || (notify->threshold != 0 && queue->doorbells >= notify->threshold))
		return 0;
	return queue->first_ps + notify->holdoff_ps;
}

static bool eligible(const struct notify *notify, unsigned index, uint64_t now_ps)
{
	return eligible_ps(notify, index) <= now_ps;
}

static int pick_from(const struct notify *notify, unsigned start, uint64_t now_ps)
{
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		if (eligible(notify, (start + i) % QUEUES_MAX, now_ps))
			return (int)((start + i) % QUEUES_MAX);
	return -1;
}

static int pick_oldest(const struct notify *notify, uint64_t now_ps)
{
	int best = -1;
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		if (eligible(notify, i, now_ps) &&
		    (best < 0 || notify->queue[i].first_ps < notify->queue[best].first_ps))
			best = (int)i;
	return best;
}

static unsigned weight_of(const struct notify *notify, unsigned index)
{
	unsigned weight = (unsigned)(notify->weights >> (index % 16 * 4)) & 0xf;
	return weight ? weight : 1;
}

/* Round robin in which a queue is served up to `weight` times before the turn passes on. */
static int pick_weighted(struct notify *notify, uint64_t now_ps)
{
	if (eligible(notify, notify->last, now_ps) && notify->queue[notify->last].credit != 0)
		return (int)notify->last;
	int next = pick_from(notify, (notify->last + 1) % QUEUES_MAX, now_ps);
	if (next >= 0)
		notify->queue[next].credit = weight_of(notify, (unsigned)next);
	return next;
}

static int pick(struct notify *notify, uint64_t now_ps)
{
	switch (notify->arbitration) {
	case CONFIG_ARBITRATION_ROUND_ROBIN:
		return pick_from(notify, (notify->last + 1) % QUEUES_MAX, now_ps);
	case CONFIG_ARBITRATION_STRICT: return pick_from(notify, 0, now_ps);
	case CONFIG_ARBITRATION_OLDEST: return pick_oldest(notify, now_ps);
	case CONFIG_ARBITRATION_WEIGHTED: return pick_weighted(notify, now_ps);
	}
	return -1;
}

static void serve_pending(struct notify *notify, uint64_t now_ps, unsigned index)
{
	struct notify_queue *queue = &notify->queue[index];
	struct service service = {
		.queue = (uint16_t)index,
		.hint_valid = queue->hint_valid && !queue->own,
		.hint = queue->hint,
		.doorbell_ps = queue->doorbells ? queue->first_ps : TIME_NEVER_PS,
	};
	if (queue->doorbells)
		notify->stats.serviced++;
	if (queue->credit)
		queue->credit--;
	notify->pending &= ~(UINT64_C(1) << index);
	queue->own = false;
	queue->doorbells = 0;
	notify->last = index;
	service_fifo_push(notify->out, now_ps + notify->period_ps, service);
}

static bool serve_fifo(struct notify *notify, uint64_t now_ps)
{
	while (notify->fifo_head != notify->fifo_tail) {
		const struct notify_fifo_entry *entry =
			&notify->fifo[notify->fifo_head % ARRAY_SIZE(notify->fifo)];
		if (notify->queue[entry->queue].enabled && entry->at_ps + notify->holdoff_ps > now_ps)
			return false;
		notify->fifo_head++;
		if (!notify->queue[entry->queue].enabled) {
			notify->stats.ignored++;
			continue;
		}
		notify->stats.serviced++;
		service_fifo_push(notify->out, now_ps + notify->period_ps,
				  (struct service){ entry->queue, entry->hint_valid, entry->hint, entry->at_ps });
		return true;
	}
	return false;
}

static bool serve_one(struct notify *notify, uint64_t now_ps)
{
	if (serve_fifo(notify, now_ps))
		return true;
	int index = notify->pending ? pick(notify, now_ps) : -1;
	if (index < 0)
		return false;
	serve_pending(notify, now_ps, (unsigned)index);
	return true;
}

/* When something becomes eligible that is not yet. */
static uint64_t next_eligible_ps(const struct notify *notify)
{
	uint64_t next_ps = TIME_NEVER_PS;
	for (uint64_t left = notify->pending; left != 0; left &= left - 1)
		next_ps = min_u64(next_ps, eligible_ps(notify, (unsigned)__builtin_ctzll(left)));
	if (notify->fifo_head != notify->fifo_tail)
		next_ps = min_u64(next_ps, notify->fifo[notify->fifo_head % ARRAY_SIZE(notify->fifo)].at_ps +
						   notify->holdoff_ps);
	return next_ps;
}

uint64_t notify_step(struct notify *notify, uint64_t now_ps)
{
	while (doorbell_fifo_ready(&notify->doorbells, now_ps)) {
		struct doorbell doorbell = doorbell_fifo_pop(&notify->doorbells, now_ps);
		take_doorbell(notify, now_ps, &doorbell);
	}
	/* One service a cycle; a full queue wakes us when it has room. */
	while (now_ps >= notify->next_service_ps && !service_fifo_full(notify->out) && serve_one(notify, now_ps))
		notify->next_service_ps = now_ps + notify->period_ps;
	uint64_t next_ps = next_eligible_ps(notify);
	if (next_ps != TIME_NEVER_PS)
		next_ps = service_fifo_full(notify->out) ? TIME_NEVER_PS : max_u64(next_ps, notify->next_service_ps);
	return min_u64(next_ps, doorbell_fifo_next_ps(&notify->doorbells));
}

bool notify_busy(const struct notify *notify)
{
	return doorbell_fifo_count(&notify->doorbells) != 0 || next_eligible_ps(notify) != TIME_NEVER_PS;
}

/* ---- registers ---- */

static uint64_t enabled_queues(const struct notify *notify)
{
	uint64_t word = 0;
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		word |= (uint64_t)notify->queue[i].enabled << i;
	return word;
}

static void enable_word(struct notify *notify, unsigned first, uint32_t word)
{
	for (unsigned i = 0; i < 32; i++) {
		bool enable = word >> i & 1;
		if (enable == notify->queue[first + i].enabled)
			continue;
		notify->queue[first + i] = (struct notify_queue){ .enabled = enable };
		notify->pending &= ~(UINT64_C(1) << (first + i));
	}
}

static void own_kick(struct notify *notify, uint64_t now_ps, uint32_t index)
{
	if (index >= QUEUES_MAX || !notify->queue[index].enabled)
		return;
	notify->stats.own_kicks++;
	set_pending(notify, index, now_ps);
	notify->queue[index].own = true;
	waker_wake(notify->doorbells.consumer, now_ps);
}

bool notify_csr_read(struct notify *notify, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	(void)now_ps;
	switch (offset) {
	case CSR_NOTIFY_ENABLE_LO: *value = (uint32_t)enabled_queues(notify); return true;
	case CSR_NOTIFY_ENABLE_HI: *value = (uint32_t)(enabled_queues(notify) >> 32); return true;
	case CSR_NOTIFY_PENDING_LO: *value = (uint32_t)notify->pending; return true;
	case CSR_NOTIFY_PENDING_HI: *value = (uint32_t)(notify->pending >> 32); return true;
	case CSR_NOTIFY_HOLDOFF_NS: *value = (uint32_t)(notify->holdoff_ps / PS_PER_NS); return true;
	case CSR_NOTIFY_THRESHOLD: *value = notify->threshold; return true;
	case CSR_NOTIFY_DATA_MODE: *value = notify->data_mode; return true;
	case CSR_NOTIFY_KICK: *value = 0; return true;
	default: return false;
	}
}

bool notify_csr_write(struct notify *notify, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case CSR_NOTIFY_ENABLE_LO: enable_word(notify, 0, value); return true;
	case CSR_NOTIFY_ENABLE_HI: enable_word(notify, 32, value); return true;
	case CSR_NOTIFY_KICK: own_kick(notify, now_ps, value & CSR_NOTIFY_KICK_QUEUE_MASK); return true;
	case CSR_NOTIFY_HOLDOFF_NS: notify->holdoff_ps = value * PS_PER_NS; return true;
	case CSR_NOTIFY_THRESHOLD: notify->threshold = value & CSR_NOTIFY_THRESHOLD_COUNT_MASK; return true;
	case CSR_NOTIFY_DATA_MODE: notify->data_mode = value & 1; return true;
	case CSR_NOTIFY_PENDING_LO:
	case CSR_NOTIFY_PENDING_HI: return true; /* read-only */
	default: return false;
	}
}
