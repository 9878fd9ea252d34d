#include "rtl-model/blocks/msix/msix.h"

#include "rtl-model/byte_enable.h"
#include "rtl-model/pace.h"

#include <stdlib.h>
#include <string.h>

#define VECTOR_MASKED  1u /* Vector Control bit 0 */
#define PBA_OFFSET_MIN 0x800u
#define PAGE_BYTES     0x1000u
#define WORDS          (MSIX_VECTORS_MAX / 64)

/* A message's data has to stay until the DMA engine has sent it: as many as its channel holds, and the one in work. */
#define MESSAGES (dma_request_fifo_depth + 1)

struct vector {
	uint32_t addr_lo, addr_hi, data;
	uint32_t held;     /* events held back by moderation */
	bool timed;        /* its hold-off may be running */
	uint64_t sent_ps;  /* that is since then */
	unsigned halvings; /* of the longest hold-off: PACE_CLASSES */
	struct pace pace;  /* of its events */
};

struct msix_model {
	struct msix base;
	struct msix_ports ports;
	unsigned vectors;
	uint32_t pba_offset;
	uint64_t period_ps, holdoff_ps;
	unsigned threshold;
	bool adaptive;
	struct vector *vector;
	/* A bit a vector. What waits is sent or, if it is blocked, shown in the PBA. Events held do not wait yet. */
	uint64_t masks[WORDS], waits[WORDS], holds[WORDS];
	unsigned last; /* vector sent last */
	uint64_t next_message_ps;
	uint8_t message[MESSAGES][4];
	unsigned message_next;
};

unsigned msix_vector_count(const struct config *config)
{
	return config->msix.vectors ? config->msix.vectors : config->device.queues + 1;
}

uint32_t msix_pba_offset(unsigned vectors)
{
	uint32_t table_bytes = vectors * MSIX_ENTRY_BYTES;
	return table_bytes <= PBA_OFFSET_MIN ? PBA_OFFSET_MIN
					     : (table_bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

uint32_t msix_bar_bytes(unsigned vectors)
{
	uint32_t bytes = PAGE_BYTES;
	while (bytes < msix_pba_offset(vectors) + (vectors + 63) / 64 * 8)
		bytes *= 2;
	return bytes;
}

static void drop_events(struct msix *base)
{
	struct msix_model *msix = (struct msix_model *)base;
	memset(msix->waits, 0, sizeof(msix->waits));
	memset(msix->holds, 0, sizeof(msix->holds));
	for (unsigned i = 0; i < msix->vectors; i++) {
		msix->vector[i].held = 0;
		msix->vector[i].timed = false;
	}
}

static void reset(struct msix *base)
{
	struct msix_model *msix = (struct msix_model *)base;
	memset(msix->vector, 0, msix->vectors * sizeof(*msix->vector));
	memset(msix->masks, 0xff, sizeof(msix->masks));
	drop_events(base);
}

static uint64_t next_multiple(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

/* ---- bits of vectors ---- */

static bool is_set(const uint64_t *bits, unsigned index)
{
	return bits[index / 64] >> index % 64 & 1;
}

static void put_bit(uint64_t *bits, unsigned index, bool value)
{
	uint64_t bit = UINT64_C(1) << index % 64;
	bits[index / 64] = value ? bits[index / 64] | bit : bits[index / 64] & ~bit;
}

static unsigned words(const struct msix_model *msix)
{
	return (msix->vectors + 63) / 64;
}

/* ---- events ---- */

/* No vector may send. */
static bool all_blocked(const struct msix_model *msix)
{
	return !msix->ports.control->msix_enable || msix->ports.control->msix_function_mask;
}

static uint32_t longest_ns(const struct msix_model *msix)
{
	return (uint32_t)(msix->holdoff_ps / PS_PER_NS);
}

/* End of the vector's hold-off; 0 if none runs. The card's time counter counts nanoseconds. */
static uint64_t release_ps(const struct msix_model *msix, const struct vector *vector)
{
	return vector->timed
		       ? (vector->sent_ps / PS_PER_NS + (longest_ns(msix) >> vector->halvings)) * PS_PER_NS
		       : 0;
}

static bool threshold_reached(const struct msix_model *msix, const struct vector *vector)
{
	return msix->threshold != 0 && vector->held >= msix->threshold;
}

/* All that has come for the vector is one message now: towards the link, or to the PBA if it is blocked. */
static void fire(struct msix_model *msix, unsigned index)
{
	msix->vector[index].held = 0;
	msix->vector[index].timed = false;
	put_bit(msix->holds, index, false);
	put_bit(msix->waits, index, true);
}

static void event(struct msix *base, uint64_t now_ps, unsigned index, bool moderated)
{
	struct msix_model *msix = (struct msix_model *)base;
	ASSERT(index < msix->vectors);
	struct vector *vector = &msix->vector[index];
	msix->base.stats.events++;
	if (!msix->ports.control->msix_enable) {
		msix->base.stats.disabled++;
		return;
	}
	if (msix->ports.control->msix_function_mask || is_set(msix->masks, index))
		msix->base.stats.masked++;
	if (moderated && msix->adaptive)
		pace_arrival(&vector->pace, next_multiple(now_ps, msix->period_ps) / PS_PER_NS,
			     longest_ns(msix));
	if (vector->held != 0 || is_set(msix->waits, index))
		msix->base.stats.coalesced++;
	if (is_set(msix->waits, index))
		return;
	if (moderated && now_ps < release_ps(msix, vector)) {
		vector->held++;
		put_bit(msix->holds, index, true);
		if (!threshold_reached(msix, vector)) {
			waker_wake(msix->ports.self, release_ps(msix, vector));
			return;
		}
	}
	fire(msix, index);
	waker_wake(msix->ports.self, now_ps);
}

/* ---- messages ---- */

/* Fires what has been held long enough. Returns when the next hold-off with events ends. */
static uint64_t end_holdoffs(struct msix_model *msix, uint64_t now_ps)
{
	uint64_t next_ps = TIME_NEVER_PS;
	for (unsigned word = 0; word < words(msix); word++) {
		for (uint64_t left = msix->holds[word]; left != 0; left &= left - 1) {
			unsigned index = word * 64 + (unsigned)__builtin_ctzll(left);
			struct vector *vector = &msix->vector[index];
			bool over = release_ps(msix, vector) <= now_ps;
			if (over && msix->adaptive && vector->held == 1) /* held in vain */
				pace_forget(&vector->pace);
			if (over || threshold_reached(msix, vector))
				fire(msix, index);
			else
				next_ps = min_u64(next_ps, release_ps(msix, vector));
		}
	}
	return next_ps;
}

/* The next vector to send, in turn from the one behind the last. False if there is none. */
static bool pick(const struct msix_model *msix, unsigned *index)
{
	unsigned count = words(msix), first = msix->last / 64;
	if (all_blocked(msix) || !cfg_control_may_master(msix->ports.control))
		return false;
	for (unsigned i = 0; i <= count; i++) {
		unsigned word = (first + i) % count;
		uint64_t ready = msix->waits[word] & ~msix->masks[word];
		if (i == 0)
			ready &= ~UINT64_C(1) << msix->last % 64;
		if (ready != 0) {
			*index = word * 64 + (unsigned)__builtin_ctzll(ready);
			return true;
		}
	}
	return false;
}

static void send(struct msix_model *msix, uint64_t now_ps, unsigned index)
{
	struct vector *vector = &msix->vector[index];
	uint8_t *message = msix->message[msix->message_next];
	msix->message_next = (msix->message_next + 1) % MESSAGES;
	store_le32(message, vector->data);
	dma_request_fifo_push(msix->ports.dma, now_ps + msix->period_ps,
			      (struct dma_request){.addr = (uint64_t)vector->addr_hi << 32 | vector->addr_lo,
						   .bytes = 4,
						   .write = true,
						   .data = message});
	put_bit(msix->waits, index, false);
	vector->timed = !msix->adaptive || pace_is_fast(&vector->pace, longest_ns(msix));
	vector->halvings = msix->adaptive ? pace_class(&vector->pace, longest_ns(msix), msix->threshold) : 0;
	vector->sent_ps = now_ps + msix->period_ps;
	msix->last = index;
	msix->base.stats.sent++;
}

/* The generator works at clock edges: one message a cycle. */
static uint64_t step(struct msix *base, uint64_t now_ps)
{
	struct msix_model *msix = (struct msix_model *)base;
	uint64_t edge_ps = next_multiple(now_ps, msix->period_ps);
	unsigned index;
	if (now_ps != edge_ps)
		return edge_ps;
	uint64_t next_ps = end_holdoffs(msix, now_ps);
	/* A full channel wakes us when it has room. */
	if (pick(msix, &index) && !dma_request_fifo_full(msix->ports.dma)) {
		if (now_ps >= msix->next_message_ps) {
			send(msix, now_ps, index);
			msix->next_message_ps = now_ps + msix->period_ps;
		}
		next_ps = min_u64(next_ps, msix->next_message_ps); /* perhaps for another one */
	}
	return next_ps == TIME_NEVER_PS ? next_ps : next_multiple(next_ps, msix->period_ps);
}

static void control_changed(struct msix *base, uint64_t now_ps)
{
	const struct msix_model *msix = (const struct msix_model *)base;
	waker_wake(msix->ports.self, now_ps);
}

/* ---- BAR 1 ---- */

static uint32_t bar_read32(struct msix *base, uint32_t offset)
{
	const struct msix_model *msix = (const struct msix_model *)base;
	if (offset < msix->vectors * MSIX_ENTRY_BYTES) {
		unsigned index = offset / MSIX_ENTRY_BYTES;
		const struct vector *vector = &msix->vector[index];
		const uint32_t dwords[4] = {vector->addr_lo, vector->addr_hi, vector->data,
					    is_set(msix->masks, index) ? VECTOR_MASKED : 0};
		return dwords[offset / 4 % 4];
	}
	unsigned word = (offset - msix->pba_offset) / 8;
	if (offset < msix->pba_offset || word >= words(msix))
		return 0;
	uint64_t pending = msix->waits[word] & (all_blocked(msix) ? UINT64_MAX : msix->masks[word]);
	return (uint32_t)(offset % 8 ? pending >> 32 : pending);
}

static void bar_write32(struct msix *base, uint64_t now_ps, uint32_t offset, uint32_t data, uint8_t be)
{
	struct msix_model *msix = (struct msix_model *)base;
	/* Address bits 1:0 are zero and only the mask bit of Vector Control exists (§7.7.2.9, §7.7.2.12). */
	static const uint32_t writable[4] = {~UINT32_C(3), ~UINT32_C(0), ~UINT32_C(0), VECTOR_MASKED};
	if (offset >= msix->vectors * MSIX_ENTRY_BYTES)
		return;
	unsigned index = offset / MSIX_ENTRY_BYTES;
	struct vector *vector = &msix->vector[index];
	uint32_t control = is_set(msix->masks, index);
	uint32_t *const dwords[4] = {&vector->addr_lo, &vector->addr_hi, &vector->data, &control};
	uint32_t *dword = dwords[offset / 4 % 4];
	*dword = be_merge(*dword, data, be) & writable[offset / 4 % 4];
	put_bit(msix->masks, index, control & VECTOR_MASKED);
	waker_wake(msix->ports.self, now_ps); /* it may be free to send now */
}

/* ---- registers ---- */

static unsigned waiting(const struct msix *base)
{
	const struct msix_model *msix = (const struct msix_model *)base;
	unsigned count = 0;
	for (unsigned word = 0; word < words(msix); word++)
		count += (unsigned)__builtin_popcountll(msix->waits[word] | msix->holds[word]);
	return count;
}

static bool csr_read(struct msix *base, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	struct msix_model *msix = (struct msix_model *)base;
	(void)now_ps;
	switch (offset) {
	case CSR_MSIX_HOLDOFF_NS: *value = (uint32_t)(msix->holdoff_ps / PS_PER_NS); return true;
	case CSR_MSIX_THRESHOLD: *value = msix->threshold; return true;
	case CSR_MSIX_PENDING: *value = waiting(base); return true;
	case CSR_MSIX_ADAPTIVE: *value = msix->adaptive; return true;
	default: return false;
	}
}

/* Counts for the hold-offs that run, but starts none anew that is over. */
static void set_holdoff(struct msix_model *msix, uint64_t now_ps, uint64_t holdoff_ps)
{
	for (unsigned i = 0; i < msix->vectors; i++)
		if (release_ps(msix, &msix->vector[i]) <= now_ps && msix->vector[i].held == 0)
			msix->vector[i].timed = false;
	msix->holdoff_ps = holdoff_ps;
}

static bool csr_write(struct msix *base, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	struct msix_model *msix = (struct msix_model *)base;
	switch (offset) {
	case CSR_MSIX_HOLDOFF_NS: set_holdoff(msix, now_ps, value * PS_PER_NS); break;
	case CSR_MSIX_THRESHOLD: msix->threshold = value & CSR_MSIX_THRESHOLD_COUNT_MASK; break;
	case CSR_MSIX_ADAPTIVE: msix->adaptive = value & CSR_MSIX_ADAPTIVE_ENABLE_MASK; break;
	case CSR_MSIX_PENDING: return true; /* read-only */
	default: return false;
	}
	waker_wake(msix->ports.self, now_ps); /* what is held may go now */
	return true;
}

/* ---- creation ---- */

static void destroy(struct msix *base)
{
	free(((struct msix_model *)base)->vector);
	free(base);
}

static const struct msix_ops model_ops = {
	.free = destroy,
	.reset = reset,
	.drop_events = drop_events,
	.event = event,
	.step = step,
	.control_changed = control_changed,
	.bar_read32 = bar_read32,
	.bar_write32 = bar_write32,
	.csr_read = csr_read,
	.csr_write = csr_write,
	.waiting = waiting,
};

struct msix *msix_create(const struct config *config, const struct msix_ports *ports)
{
	struct msix_model *msix = calloc(1, sizeof(*msix));
	if (!msix)
		return NULL;
	msix->base.ops = &model_ops;
	msix->ports = *ports;
	msix->vectors = msix_vector_count(config);
	msix->pba_offset = msix_pba_offset(msix->vectors);
	msix->period_ps = config_period_ps(config->device.clock_mhz);
	msix->holdoff_ps = next_multiple(config->msix.holdoff_ps, PS_PER_NS);
	msix->threshold = config->msix.threshold;
	msix->adaptive = config->msix.adaptive;
	msix->vector = calloc(msix->vectors, sizeof(*msix->vector));
	if (!msix->vector) {
		free(msix);
		return NULL;
	}
	msix->last = msix->vectors - 1;
	ports->dma->producer = ports->self;
	reset(&msix->base);
	return &msix->base;
}
