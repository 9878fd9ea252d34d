#include "rtl-model/blocks/copy/copy.h"

#include <string.h>

void copy_init(struct copy *copy, struct dma_request_fifo *dma, uint8_t *sram, const struct waker *events)
{
	memset(copy, 0, sizeof(*copy));
	copy->dma = dma;
	copy->sram = sram;
	copy->done.consumer = events;
}

void copy_reset(struct copy *copy)
{
	dma_done_fifo_clear(&copy->done);
	copy->host = copy->local = copy->outstanding = 0;
}

static void start(struct copy *copy, uint64_t now_ps, uint32_t value)
{
	uint32_t bytes = value & CSR_COPY_START_BYTES_MASK;
	bool to_guest = value & CSR_COPY_START_TO_GUEST_MASK;
	uint32_t tag = value >> CSR_COPY_START_TAG_SHIFT;
	if (copy->outstanding == COPIES_MAX || bytes == 0 || bytes > 4096 ||
	    copy->local > SRAM_BYTES - bytes) {
		copy->stats.refused++;
		return;
	}
	copy->outstanding++;
	copy->stats.bytes += bytes;
	*(to_guest ? &copy->stats.to_guest : &copy->stats.from_guest) += 1;
	dma_request_fifo_push(copy->dma, now_ps,
			      (struct dma_request){.addr = copy->host,
						   .bytes = bytes,
						   .write = to_guest,
						   .data = copy->sram + copy->local,
						   .cookie = tag});
}

static uint32_t pop_done(struct copy *copy, uint64_t now_ps)
{
	if (!dma_done_fifo_ready(&copy->done, now_ps))
		return 0;
	struct dma_done done = dma_done_fifo_pop(&copy->done, now_ps);
	copy->outstanding--;
	copy->stats.failed += done.status != DMA_OK;
	return done.cookie | CSR_COPY_DONE_VALID_MASK |
	       (done.status != DMA_OK ? CSR_COPY_DONE_ERROR_MASK : 0);
}

bool copy_csr_read(struct copy *copy, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	switch (offset) {
	case CSR_COPY_HOST_LO: *value = (uint32_t)copy->host; return true;
	case CSR_COPY_HOST_HI: *value = (uint32_t)(copy->host >> 32); return true;
	case CSR_COPY_LOCAL: *value = copy->local; return true;
	case CSR_COPY_START: *value = 0; return true;
	case CSR_COPY_DONE: *value = pop_done(copy, now_ps); return true;
	case CSR_COPY_STATE: *value = COPIES_MAX - copy->outstanding; return true;
	default: return false;
	}
}

bool copy_csr_write(struct copy *copy, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case CSR_COPY_HOST_LO: copy->host = (copy->host >> 32 << 32) | value; return true;
	case CSR_COPY_HOST_HI: copy->host = (uint32_t)copy->host | (uint64_t)value << 32; return true;
	case CSR_COPY_LOCAL: copy->local = value & CSR_COPY_LOCAL_OFFSET_MASK; return true;
	case CSR_COPY_START: start(copy, now_ps, value); return true;
	case CSR_COPY_DONE:
	case CSR_COPY_STATE: return true; /* read-only */
	default: return false;
	}
}

uint32_t copy_events(const struct copy *copy, uint64_t now_ps)
{
	return dma_done_fifo_ready(&copy->done, now_ps) ? CSR_SYS_EVENTS_COPY_MASK : 0;
}

bool copy_busy(const struct copy *copy)
{
	return copy->outstanding != 0;
}
