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

struct msix {
	struct msix_ports ports;
	unsigned vectors;
	uint32_t pba_offset;
	uint64_t holdoff_ps;
	unsigned threshold;
	struct vector *vector;
	unsigned busy; /* vectors with held or ready events: nothing to look at while 0 */
	uint8_t message[MESSAGES][4];
	unsigned message_next;
	struct msix_stats stats;
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

struct msix *msix_create(const struct config *config, const struct msix_ports *ports)
{
	struct msix *msix = calloc(1, sizeof(*msix));
	if (!msix)
		return NULL;
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
	msix_reset(msix);
	return msix;
}

void msix_free(struct msix *msix)
{
	if (!msix)
		return;
	free(msix->vector);
	free(msix);
}

void msix_reset(struct msix *msix)
{
	for (unsigned i = 0; i < msix->vectors; i++)
		msix->vector[i] = (struct vector){.control = VECTOR_MASKED};
	msix->busy = 0;
}

void msix_drop_events(struct msix *msix)
{
	for (unsigned i = 0; i < msix->vectors; i++) {
		msix->vector[i].pending = msix->vector[i].ready = false;
		msix->vector[i].held = 0;
		msix->vector[i].release_ps = 0;
	}
	msix->busy = 0;
}

/* ---- events ---- */

static bool masked(const struct msix *msix, const struct vector *vector)
{
	return msix->ports.control->msix_function_mask || (vector->control & VECTOR_MASKED);
}

static bool blocked(const struct msix *msix, const struct vector *vector)
{
	return !msix->ports.control->msix_enable || masked(msix, vector);
}

static bool threshold_reached(const struct msix *msix, const struct vector *vector)
{
	return msix->threshold != 0 && vector->held >= msix->threshold;
}

/* All that has come for the vector is one message now: towards the link, or to the PBA if it is blocked. */
static void fire(struct msix *msix, struct vector *vector)
{
	if (vector->held != 0 || vector->ready)
		msix->busy--;
	vector->held = 0;
	vector->pending = blocked(msix, vector);
	vector->ready = !vector->pending;
	msix->busy += vector->ready;
}

void msix_event(struct msix *msix, uint64_t now_ps, unsigned index, bool moderated)
{
	ASSERT(index < msix->vectors);
	struct vector *vector = &msix->vector[index];
	msix->stats.events++;
	if (!msix->ports.control->msix_enable) {
		msix->stats.disabled++;
		return;
	}
	if (masked(msix, vector))
		msix->stats.masked++;
	if (vector->held != 0 || vector->ready || vector->pending)
		msix->stats.coalesced++;
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

static void send(struct msix *msix, uint64_t now_ps, struct vector *vector)
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
	msix->stats.sent++;
}

uint64_t msix_step(struct msix *msix, uint64_t now_ps)
{
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
static void blocking_changed(struct msix *msix, uint64_t now_ps, struct vector *vector)
{
	if (!(blocked(msix, vector) ? vector->ready : vector->pending))
		return;
	fire(msix, vector);
	waker_wake(msix->ports.self, now_ps);
}

void msix_control_changed(struct msix *msix, uint64_t now_ps)
{
	for (unsigned i = 0; i < msix->vectors; i++)
		blocking_changed(msix, now_ps, &msix->vector[i]);
	if (msix->busy != 0) /* Bus Master Enable may be set again */
		waker_wake(msix->ports.self, now_ps);
}

/* ---- BAR 1 ---- */

uint32_t msix_bar_read32(const struct msix *msix, uint32_t offset)
{
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

void msix_bar_write32(struct msix *msix, uint64_t now_ps, uint32_t offset, uint32_t data, uint8_t be)
{
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

bool msix_csr_read(struct msix *msix, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	(void)now_ps;
	switch (offset) {
	case CSR_MSIX_HOLDOFF_NS: *value = (uint32_t)(msix->holdoff_ps / PS_PER_NS); return true;
	case CSR_MSIX_THRESHOLD: *value = msix->threshold; return true;
	case CSR_MSIX_PENDING: *value = msix_waiting(msix); return true;
	default: return false;
	}
}

bool msix_csr_write(struct msix *msix, uint64_t now_ps, uint32_t offset, uint32_t value)
{
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

unsigned msix_waiting(const struct msix *msix)
{
	unsigned count = 0;
	for (unsigned i = 0; i < msix->vectors; i++) {
		const struct vector *vector = &msix->vector[i];
		count += vector->held != 0 || vector->ready || vector->pending;
	}
	return count;
}

const struct msix_stats *msix_stats(const struct msix *msix)
{
	return &msix->stats;
}
