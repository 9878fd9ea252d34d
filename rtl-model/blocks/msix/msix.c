#include "rtl-model/blocks/msix/msix.h"

#include "rtl-model/byte_enable.h"

#include <stdlib.h>
#include <string.h>

#define VECTOR_MASKED  1u /* Vector Control bit 0 */
#define PBA_OFFSET_MIN 0x800u
#define PAGE_BYTES     0x1000u

/* A message's data has to stay until the DMA engine has sent it: as many as its channel holds, and the one in work. */
#define MESSAGES (dma_request_fifo_depth + 1)

struct vector {
	uint32_t addr_lo, addr_hi, data, control;
	bool pending;        /* PBA bit */
	bool ready;          /* to be sent as soon as it may and the DMA channel has room; not blocked() */
	uint32_t held;       /* events held back by moderation */
	uint64_t release_ps; /* end of the hold-off that runs */
};

struct msix_model {
	struct msix base;
	struct msix_ports ports;
	unsigned vectors;
	uint32_t pba_offset;
	uint64_t holdoff_ps;
	unsigned threshold;
	struct vector *vector;
	unsigned busy; /* vectors with held or ready events: nothing to look at while 0 */
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

static void reset(struct msix *base)
{
	struct msix_model *msix = (struct msix_model *)base;
	for (unsigned i = 0; i < msix->vectors; i++)
		msix->vector[i] = (struct vector){.control = VECTOR_MASKED};
	msix->busy = 0;
}

static void drop_events(struct msix *base)
{
	struct msix_model *msix = (struct msix_model *)base;
	for (unsigned i = 0; i < msix->vectors; i++) {
		msix->vector[i].pending = msix->vector[i].ready = false;
		msix->vector[i].held = 0;
		msix->vector[i].release_ps = 0;
	}
	msix->busy = 0;
}

/* ---- events ---- */

static bool masked(const struct msix_model *msix, const struct vector *vector)
{
	return msix->ports.control->msix_function_mask || (vector->control & VECTOR_MASKED);
}

static bool blocked(const struct msix_model *msix, const struct vector *vector)
{
	return !msix->ports.control->msix_enable || masked(msix, vector);
}

static bool threshold_reached(const struct msix_model *msix, const struct vector *vector)
{
	return msix->threshold != 0 && vector->held >= msix->threshold;
}

/* All that has come for the vector is one message now: towards the link, or to the PBA if it is blocked. */
static void fire(struct msix_model *msix, struct vector *vector)
{
	if (vector->held != 0 || vector->ready)
		msix->busy--;
	vector->held = 0;
	vector->pending = blocked(msix, vector);
	vector->ready = !vector->pending;
	msix->busy += vector->ready;
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
	if (masked(msix, vector))
		msix->base.stats.masked++;
	if (vector->held != 0 || vector->ready || vector->pending)
		msix->base.stats.coalesced++;
	if (moderated && !vector->ready && now_ps < vector->release_ps) {
		if (vector->held++ == 0)
			msix->busy++;
		if (!threshold_reached(msix, vector)) {
			waker_wake(msix->ports.self, vector->release_ps);
			return;
		}
	}
	fire(msix, vector);
	waker_wake(msix->ports.self, now_ps);
}

static void send(struct msix_model *msix, uint64_t now_ps, struct vector *vector)
{
	uint8_t *message = msix->message[msix->message_next];
	msix->message_next = (msix->message_next + 1) % MESSAGES;
	store_le32(message, vector->data);
	dma_request_fifo_push(msix->ports.dma, now_ps,
			      (struct dma_request){.addr = (uint64_t)vector->addr_hi << 32 | vector->addr_lo,
						   .bytes = 4,
						   .write = true,
						   .data = message});
	vector->ready = false;
	msix->busy--;
	vector->release_ps = now_ps + msix->holdoff_ps;
	msix->base.stats.sent++;
}

static uint64_t step(struct msix *base, uint64_t now_ps)
{
	struct msix_model *msix = (struct msix_model *)base;
	uint64_t next_ps = TIME_NEVER_PS;
	bool may_send = cfg_control_may_master(msix->ports.control);
	for (unsigned i = 0; msix->busy != 0 && i < msix->vectors; i++) {
		struct vector *vector = &msix->vector[i];
		if (vector->held != 0 && (vector->release_ps <= now_ps || threshold_reached(msix, vector)))
			fire(msix, vector);
		/* A full channel wakes us when it has room. */
		if (vector->ready && may_send && !dma_request_fifo_full(msix->ports.dma))
			send(msix, now_ps, vector);
		if (vector->held != 0)
			next_ps = min_u64(next_ps, vector->release_ps);
	}
	return next_ps;
}

/* The vector may have been freed to send what is pending, or have been blocked before it could send. */
static void blocking_changed(struct msix_model *msix, uint64_t now_ps, struct vector *vector)
{
	if (!(blocked(msix, vector) ? vector->ready : vector->pending))
		return;
	fire(msix, vector);
	waker_wake(msix->ports.self, now_ps);
}

static void control_changed(struct msix *base, uint64_t now_ps)
{
	struct msix_model *msix = (struct msix_model *)base;
	for (unsigned i = 0; i < msix->vectors; i++)
		blocking_changed(msix, now_ps, &msix->vector[i]);
	if (msix->busy != 0) /* Bus Master Enable may be set again */
		waker_wake(msix->ports.self, now_ps);
}

/* ---- BAR 1 ---- */

static uint32_t bar_read32(struct msix *base, uint32_t offset)
{
	const struct msix_model *msix = (const struct msix_model *)base;
	if (offset < msix->vectors * MSIX_ENTRY_BYTES) {
		const struct vector *vector = &msix->vector[offset / MSIX_ENTRY_BYTES];
		const uint32_t words[4] = {vector->addr_lo, vector->addr_hi, vector->data, vector->control};
		return words[offset / 4 % 4];
	}
	uint32_t word = 0;
	if (offset >= msix->pba_offset) {
		unsigned first = (offset - msix->pba_offset) * 8;
		for (unsigned i = 0; i < 32 && first + i < msix->vectors; i++)
			word |= (uint32_t)msix->vector[first + i].pending << i;
	}
	return word;
}

static void bar_write32(struct msix *base, uint64_t now_ps, uint32_t offset, uint32_t data, uint8_t be)
{
	struct msix_model *msix = (struct msix_model *)base;
	/* Address bits 1:0 are zero and only the mask bit of Vector Control exists (§7.7.2.9, §7.7.2.12). */
	static const uint32_t writable[4] = {~UINT32_C(3), ~UINT32_C(0), ~UINT32_C(0), VECTOR_MASKED};
	if (offset >= msix->vectors * MSIX_ENTRY_BYTES)
		return;
	struct vector *vector = &msix->vector[offset / MSIX_ENTRY_BYTES];
	uint32_t *const words[4] = {&vector->addr_lo, &vector->addr_hi, &vector->data, &vector->control};
	uint32_t *word = words[offset / 4 % 4];
	*word = be_merge(*word, data, be) & writable[offset / 4 % 4];
	blocking_changed(msix, now_ps, vector);
}

/* ---- registers ---- */

static unsigned waiting(const struct msix *base)
{
	const struct msix_model *msix = (const struct msix_model *)base;
	unsigned count = 0;
	for (unsigned i = 0; i < msix->vectors; i++) {
		const struct vector *vector = &msix->vector[i];
		count += vector->held != 0 || vector->ready || vector->pending;
	}
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
	default: return false;
	}
}

static bool csr_write(struct msix *base, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	struct msix_model *msix = (struct msix_model *)base;
	switch (offset) {
	case CSR_MSIX_HOLDOFF_NS:
		msix->holdoff_ps = value * PS_PER_NS;
		return true; /* from the next message on */
	case CSR_MSIX_THRESHOLD:
		msix->threshold = value & CSR_MSIX_THRESHOLD_COUNT_MASK;
		waker_wake(msix->ports.self, now_ps); /* what is held may be enough now */
		return true;
	case CSR_MSIX_PENDING: return true; /* read-only */
	default: return false;
	}
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
	msix->holdoff_ps = config->msix.holdoff_ps;
	msix->threshold = config->msix.threshold;
	msix->vector = calloc(msix->vectors, sizeof(*msix->vector));
	if (!msix->vector) {
		free(msix);
		return NULL;
	}
	ports->dma->producer = ports->self;
	reset(&msix->base);
	return &msix->base;
}
