#include "rtl-model/blocks/dma/dma.h"

#include <stdlib.h>
#include <string.h>

#define TAGS_MAX 1024u /* 10-bit tags */
#define TAG_10BIT_FIRST 256u /* a 10-bit requester uses 256..1023, PCIe 6.0 §2.2.6.2 */
#define READS_MAX 512u
#define NONE UINT16_MAX

/* A read request with TLPs in flight. */
struct read {
	uint32_t cookie;
	uint16_t tags;        /* TLPs in flight */
	bool issued;          /* all its TLPs have been sent */
	bool failed;
	bool forgotten;       /* aborted: drop the data, report nothing */
	enum dma_channel channel;
	uint16_t next_free;
};

enum tag_state { TAG_FREE, TAG_IN_FLIGHT, TAG_QUARANTINED };

struct tag {
	enum tag_state state;
	uint16_t read;
	uint16_t older, newer; /* list in order of issue: the first to time out is the oldest */
	uint64_t issued_ps;
	struct tlp_requester expect;
	uint8_t *data;         /* where the next byte goes */
};

struct channel {
	struct dma_request_fifo requests;
	struct dma_done_fifo *done;
	struct dma_request now; /* request being cut into TLPs */
	bool active;
	uint16_t read;          /* its entry, for reads */
};

struct dma {
	struct dma_ports ports;
	uint64_t period_ps;
	unsigned tlp_cycles, bytes_per_cycle, backlog_bytes, tags_wanted;
	struct channel channel[DMA_CHANNELS];
	unsigned turn;          /* channel served last */
	uint64_t free_ps;       /* when the next TLP can be made */
	struct tag tag[TAGS_MAX];
	uint16_t tag_oldest, tag_newest;
	unsigned tag_last, tags_used, tags_quarantined;
	struct read read[READS_MAX];
	uint16_t read_free;
	unsigned reads_used;
	struct dma_stats stats;
};

/* ---- pools ---- */

static void pools_init(struct dma *dma)
{
	memset(dma->tag, 0, sizeof(dma->tag));
	dma->tag_oldest = dma->tag_newest = NONE;
	dma->tags_used = dma->tags_quarantined = 0;
	dma->reads_used = 0;
	for (unsigned i = 0; i < READS_MAX; i++)
		dma->read[i].next_free = (uint16_t)(i + 1 < READS_MAX ? i + 1 : NONE);
	dma->read_free = 0;
}

/* Tag numbers this function may use now, [first, first + count). PCIe 6.0 §2.2.6.2 (TAG-002, TAG-003). */
static unsigned tag_range(const struct dma *dma, unsigned *first)
{
	const struct cfg_control *control = dma->ports.control;
	unsigned count = control->extended_tag ? 256 : 32;
	*first = 0;
	if (control->tag_10bit) {
		*first = TAG_10BIT_FIRST;
		count = TAGS_MAX - TAG_10BIT_FIRST;
	}
	return min_u32(count, dma->tags_wanted);
}

/* A free tag, searched from the one used last so that a tag rests before it is used again; NONE if all are taken. */
static uint16_t tag_take(struct dma *dma)
{
	unsigned first;
	unsigned count = tag_range(dma, &first);
	if (dma->tags_used >= count)
		return NONE;
	for (unsigned i = 1; i <= count; i++) {
		unsigned number = first + (dma->tag_last + i) % count;
		if (dma->tag[number].state == TAG_FREE) {
			dma->tag_last = number - first;
			return (uint16_t)number;
		}
	}
	return NONE;
}

static void tag_unlink(struct dma *dma, uint16_t number)
{
	struct tag *tag = &dma->tag[number];
	*(tag->older == NONE ? &dma->tag_oldest : &dma->tag[tag->older].newer) = tag->newer;
	*(tag->newer == NONE ? &dma->tag_newest : &dma->tag[tag->newer].older) = tag->older;
}

static void tag_link(struct dma *dma, uint16_t number, uint64_t now_ps)
{
	struct tag *tag = &dma->tag[number];
	tag->issued_ps = now_ps;
	tag->older = dma->tag_newest;
	tag->newer = NONE;
	*(dma->tag_newest == NONE ? &dma->tag_oldest : &dma->tag[dma->tag_newest].newer) = number;
	dma->tag_newest = number;
}

static void pending_changed(const struct dma *dma)
{
	if (dma->ports.pending)
		dma->ports.pending(dma->ports.ctx, dma->tags_used != 0);
}

static void tag_release(struct dma *dma, uint16_t number)
{
	tag_unlink(dma, number);
	if (dma->tag[number].state == TAG_QUARANTINED)
		dma->tags_quarantined--;
	dma->tag[number].state = TAG_FREE;
	dma->tags_used--;
	dma->stats.tags_in_use = dma->tags_used;
	if (dma->tags_used == 0)
		pending_changed(dma);
}

/* ---- ends of requests ---- */

static void report(struct dma *dma, uint64_t now_ps, enum dma_channel channel, uint32_t cookie, bool write,
		   enum dma_status status)
{
	if (status == DMA_FAILED)
		dma->stats.failed++;
	else if (status == DMA_ABORTED)
		dma->stats.aborted++;
	else
		*(write ? &dma->stats.writes : &dma->stats.reads) += 1;
	if (dma->channel[channel].done)
		dma_done_fifo_push(dma->channel[channel].done, now_ps, (struct dma_done){ cookie, status });
}

static void read_end_if_complete(struct dma *dma, uint64_t now_ps, uint16_t index)
{
	struct read *read = &dma->read[index];
	if (read->tags != 0 || !read->issued)
		return;
	if (!read->forgotten)
		report(dma, now_ps, read->channel, read->cookie, false, read->failed ? DMA_FAILED : DMA_OK);
	read->next_free = dma->read_free;
	dma->read_free = index;
	dma->reads_used--;
}

/* One TLP of the read is over. A channel may have waited for its tag or its entry. */
static void read_tlp_end(struct dma *dma, uint64_t now_ps, uint16_t index, bool failed)
{
	dma->read[index].tags--;
	dma->read[index].failed |= failed;
	read_end_if_complete(dma, now_ps, index);
	waker_wake(dma->ports.self, now_ps);
}

static void tag_end(struct dma *dma, uint64_t now_ps, uint16_t number, bool failed)
{
	tag_release(dma, number);
	read_tlp_end(dma, now_ps, dma->tag[number].read, failed);
}

/* The read fails, but its tag stays out of use for a whole timeout, so that a late completion cannot be taken for
 * another request's (TAG-006, TAG-009). */
static void tag_quarantine(struct dma *dma, uint64_t now_ps, uint16_t number)
{
	dma->tag[number].state = TAG_QUARANTINED;
	dma->tags_quarantined++;
	tag_unlink(dma, number);
	tag_link(dma, number, now_ps);
	read_tlp_end(dma, now_ps, dma->tag[number].read, true);
}

/* ---- making TLPs ---- */

static void send(struct dma *dma, uint64_t ready_ps, const struct tlp *tlp)
{
	uint8_t *wire = link_reserve(dma->ports.up, TLP_WIRE_BYTES_MAX);
	size_t size = tlp_encode(tlp, wire, TLP_WIRE_BYTES_MAX);
	ASSERT(size != 0);
	link_push_reserved(dma->ports.up, ready_ps, size);
}

static void send_write(struct dma *dma, uint64_t ready_ps, uint64_t addr, uint32_t bytes, const uint8_t *data)
{
	uint8_t padded[TLP_PAYLOAD_BYTES_MAX + 8];
	struct tlp tlp = {
		.type = TLP_MWR,
		.requester_id = *dma->ports.requester_id,
		.td = dma->ports.control->ecrc_generate,
	};
	tlp_set_span(&tlp, addr, bytes);
	tlp.payload = data;
	if ((addr | bytes) & 3) {
		memset(padded, 0, 4);
		memset(padded + (size_t)tlp.length_dw * 4 - 4, 0, 4);
		memcpy(padded + (addr & 3), data, bytes);
		tlp.payload = padded;
	}
	send(dma, ready_ps, &tlp);
	dma->stats.write_tlps++;
	dma->stats.write_bytes += bytes;
}

static void send_read(struct dma *dma, uint64_t ready_ps, uint16_t number, uint64_t addr, uint32_t bytes)
{
	struct tlp tlp = {
		.type = TLP_MRD,
		.requester_id = *dma->ports.requester_id,
		.tag = number,
		.td = dma->ports.control->ecrc_generate,
	};
	tlp_set_span(&tlp, addr, bytes);
	send(dma, ready_ps, &tlp);
	dma->stats.read_tlps++;
	dma->stats.read_bytes += bytes;
}

/* Sends the next TLP of a read. False if there is no tag. */
static bool advance_read(struct dma *dma, uint64_t ready_ps, struct channel *channel)
{
	struct dma_request *now = &channel->now;
	uint16_t number = tag_take(dma);
	if (number == NONE)
		return false;
	uint32_t mrrs = dma->ports.control->mrrs_bytes;
	uint32_t bytes = tlp_split_bytes(now->addr, now->bytes, mrrs, mrrs);
	struct tag *tag = &dma->tag[number];
	tag->state = TAG_IN_FLIGHT;
	tag->read = channel->read;
	tag->data = now->data;
	tlp_requester_start(&tag->expect, now->addr, bytes, 0, 0);
	tag_link(dma, number, ready_ps);
	if (dma->tags_used++ == 0)
		pending_changed(dma);
	dma->stats.tags_in_use = dma->tags_used;
	dma->stats.tags_in_use_max = max_u32(dma->stats.tags_in_use_max, dma->tags_used);
	dma->read[channel->read].tags++;
	send_read(dma, ready_ps, number, now->addr, bytes);
	now->addr += bytes;
	now->data += bytes;
	now->bytes -= bytes;
	return true;
}

static uint32_t advance_write(struct dma *dma, uint64_t ready_ps, struct dma_request *now)
{
	uint32_t mps = dma->ports.control->mps_bytes;
	uint32_t bytes = tlp_split_bytes(now->addr, now->bytes, mps, mps);
	send_write(dma, ready_ps, now->addr, bytes, now->data);
	now->addr += bytes;
	now->data += bytes;
	now->bytes -= bytes;
	return bytes;
}

/* Takes the channel's next request into work. False if there is none or no room to track it. */
static bool activate(struct dma *dma, uint64_t now_ps, enum dma_channel index)
{
	struct channel *channel = &dma->channel[index];
	while (!channel->active) {
		if (!dma_request_fifo_ready(&channel->requests, now_ps))
			return false;
		const struct dma_request *next = dma_request_fifo_peek(&channel->requests);
		if (!next->write && dma->read_free == NONE)
			return false;
		channel->now = dma_request_fifo_pop(&channel->requests, now_ps);
		ASSERT(channel->now.bytes != 0);
		if (channel->now.addr + (channel->now.bytes - 1) < channel->now.addr) {
			report(dma, now_ps, index, channel->now.cookie, channel->now.write, DMA_FAILED);
			continue;
		}
		channel->active = true;
		if (!channel->now.write) {
			channel->read = dma->read_free;
			dma->read_free = dma->read[channel->read].next_free;
			dma->reads_used++;
			dma->read[channel->read] =
				(struct read){ .cookie = channel->now.cookie, .channel = index };
		}
	}
	return true;
}

/* Makes one TLP for the channel at free_ps. False if it cannot go on. */
static bool serve(struct dma *dma, uint64_t now_ps, enum dma_channel index)
{
	struct channel *channel = &dma->channel[index];
	if (!activate(dma, now_ps, index))
		return false;
	uint32_t bytes = 0;
	if (channel->now.write) {
		bytes = advance_write(dma, dma->free_ps, &channel->now);
	} else if (!advance_read(dma, dma->free_ps, channel)) {
		dma->stats.stall_no_tag++;
		return false;
	}
	unsigned cycles = max_u32(dma->tlp_cycles, (bytes + dma->bytes_per_cycle - 1) / dma->bytes_per_cycle);
	dma->free_ps += cycles * dma->period_ps;
	if (channel->now.bytes != 0)
		return true;
	channel->active = false;
	if (channel->now.write) {
		report(dma, dma->free_ps, index, channel->now.cookie, true, DMA_OK);
	} else {
		dma->read[channel->read].issued = true;
		read_end_if_complete(dma, now_ps, channel->read);
	}
	return true;
}

static bool work_waits(const struct dma *dma, uint64_t now_ps)
{
	for (unsigned i = 0; i < DMA_CHANNELS; i++)
		if (dma->channel[i].active || dma_request_fifo_ready(&dma->channel[i].requests, now_ps))
			return true;
	return false;
}

/* One TLP from the next channel in turn that can go on. */
static bool serve_one(struct dma *dma, uint64_t now_ps)
{
	for (unsigned i = 1; i <= DMA_CHANNELS; i++) {
		unsigned index = (dma->turn + i) % DMA_CHANNELS;
		if (serve(dma, now_ps, (enum dma_channel)index)) {
			dma->turn = index;
			return true;
		}
	}
	return false;
}

static uint64_t next_request_ps(const struct dma *dma)
{
	uint64_t next_ps = TIME_NEVER_PS;
	for (unsigned i = 0; i < DMA_CHANNELS; i++)
		next_ps = min_u64(next_ps, dma_request_fifo_next_ps(&dma->channel[i].requests));
	return next_ps;
}

/* Fills the transmit buffer. TLPs are made ahead of time up to its size, in one call. Returns when to go on. */
static uint64_t transmit(struct dma *dma, uint64_t now_ps)
{
	if (!work_waits(dma, now_ps))
		return next_request_ps(dma);
	if (!cfg_control_may_master(dma->ports.control)) {
		dma->stats.stall_bus_master++;
		return TIME_NEVER_PS; /* the endpoint wakes us when that changes */
	}
	dma->free_ps = max_u64(dma->free_ps, now_ps);
	for (;;) {
		if (link_backlog_bytes(dma->ports.up, now_ps) >= dma->backlog_bytes) {
			dma->stats.stall_backlog++;
			return max_u64(link_drain_ps(dma->ports.up, now_ps, dma->backlog_bytes / 2),
				       now_ps + dma->period_ps);
		}
		if (!serve_one(dma, now_ps))
			break;
	}
	uint64_t next_ps = next_request_ps(dma);
	return next_ps > now_ps ? next_ps : TIME_NEVER_PS; /* tags come back with completions, which wake us */
}

/* ---- completions and timeouts ---- */

static void tag_timeout(struct dma *dma, uint64_t now_ps, uint16_t number)
{
	struct tag *tag = &dma->tag[number];
	if (tag->state == TAG_QUARANTINED) { /* rested long enough: no answer will come any more */
		tag_release(dma, number);
		return;
	}
	dma->stats.timeouts++;
	bool forgotten = dma->read[tag->read].forgotten;
	tag_quarantine(dma, now_ps, number);
	if (!forgotten && dma->ports.timeout)
		dma->ports.timeout(dma->ports.ctx, now_ps);
}

static uint64_t check_timeouts(struct dma *dma, uint64_t now_ps)
{
	uint64_t limit_ps = dma->ports.control->completion_timeout_ps;
	if (limit_ps == TIME_NEVER_PS)
		return TIME_NEVER_PS;
	while (dma->tag_oldest != NONE && dma->tag[dma->tag_oldest].issued_ps + limit_ps <= now_ps)
		tag_timeout(dma, now_ps, dma->tag_oldest);
	return dma->tag_oldest == NONE ? TIME_NEVER_PS : dma->tag[dma->tag_oldest].issued_ps + limit_ps;
}

static enum dma_completion failure_kind(const struct tlp *cpl)
{
	return cpl->status == TLP_CA ? DMA_COMPLETION_CA : DMA_COMPLETION_UR;
}

enum dma_completion dma_complete(struct dma *dma, uint64_t now_ps, const struct tlp *cpl)
{
	struct tag *tag = &dma->tag[cpl->tag % TAGS_MAX];
	if (cpl->requester_id != *dma->ports.requester_id || tag->state != TAG_IN_FLIGHT) {
		dma->stats.unexpected++;
		return DMA_COMPLETION_UNEXPECTED;
	}
	const uint8_t *data;
	uint32_t bytes;
	enum dma_completion result = DMA_COMPLETION_OK;
	switch (tlp_requester_accept(&tag->expect, cpl, &data, &bytes)) {
	case TLP_CPL_PART:
	case TLP_CPL_DONE:
		if (!dma->read[tag->read].forgotten)
			memcpy(tag->data, data, bytes);
		tag->data += bytes;
		if (tag->expect.bytes != 0)
			return DMA_COMPLETION_OK;
		tag_end(dma, now_ps, cpl->tag, false);
		break;
	case TLP_CPL_ERROR:
		result = failure_kind(cpl);
		tag_end(dma, now_ps, cpl->tag, true);
		break;
	case TLP_CPL_POISONED:
		result = DMA_COMPLETION_POISONED;
		tag_end(dma, now_ps, cpl->tag, true);
		break;
	case TLP_CPL_UNEXPECTED:
		/* The right tag with the wrong shape: the request can no longer be trusted (ERR-009). */
		dma->stats.unexpected++;
		tag_quarantine(dma, now_ps, cpl->tag);
		return DMA_COMPLETION_UNEXPECTED;
	}
	return result;
}

/* ---- the block ---- */

struct dma *dma_create(const struct config *config, const struct dma_ports *ports)
{
	struct dma *dma = calloc(1, sizeof(*dma));
	if (!dma)
		return NULL;
	dma->ports = *ports;
	dma->period_ps = config_period_ps(config->device.clock_mhz);
	dma->tlp_cycles = config->device.tlp_cycles;
	dma->bytes_per_cycle = config->device.bytes_per_cycle;
	dma->backlog_bytes = config->device.tx_backlog_bytes;
	dma->tags_wanted = config->link.tags;
	for (unsigned i = 0; i < DMA_CHANNELS; i++)
		dma->channel[i].requests.consumer = ports->self;
	pools_init(dma);
	return dma;
}

void dma_free(struct dma *dma)
{
	free(dma);
}

struct dma_request_fifo *dma_requests(struct dma *dma, enum dma_channel channel)
{
	return &dma->channel[channel].requests;
}

void dma_connect(struct dma *dma, enum dma_channel channel, struct dma_done_fifo *done)
{
	dma->channel[channel].done = done;
}

uint64_t dma_step(struct dma *dma, uint64_t now_ps)
{
	uint64_t timeout_ps = check_timeouts(dma, now_ps);
	uint64_t next_ps = transmit(dma, now_ps);
	if (timeout_ps == TIME_NEVER_PS) /* reads may have been sent just now */
		timeout_ps = check_timeouts(dma, now_ps);
	return min_u64(next_ps, timeout_ps);
}

static void abort_channel(struct dma *dma, uint64_t now_ps, enum dma_channel index)
{
	struct channel *channel = &dma->channel[index];
	for (unsigned i = 0; i < TAGS_MAX; i++) {
		struct read *read = &dma->read[dma->tag[i].read];
		if (dma->tag[i].state != TAG_IN_FLIGHT || read->channel != index || read->forgotten)
			continue;
		read->forgotten = true;
		if (!(channel->active && !channel->now.write && channel->read == dma->tag[i].read))
			report(dma, now_ps, index, read->cookie, false, DMA_ABORTED);
	}
	if (channel->active) {
		report(dma, now_ps, index, channel->now.cookie, channel->now.write, DMA_ABORTED);
		channel->active = false;
		if (!channel->now.write) {
			dma->read[channel->read].forgotten = true;
			dma->read[channel->read].issued = true;
			read_end_if_complete(dma, now_ps, channel->read);
		}
	}
	while (dma_request_fifo_count(&channel->requests) != 0) {
		struct dma_request *request = dma_request_fifo_peek(&channel->requests);
		report(dma, now_ps, index, request->cookie, request->write, DMA_ABORTED);
		channel->requests.head++;
	}
}

void dma_abort(struct dma *dma, uint64_t now_ps, enum dma_channel channel)
{
	for (unsigned i = 0; i < DMA_CHANNELS; i++)
		if (channel == DMA_CHANNELS || channel == (enum dma_channel)i)
			abort_channel(dma, now_ps, (enum dma_channel)i);
}

void dma_link_down(struct dma *dma, uint64_t now_ps)
{
	dma_abort(dma, now_ps, DMA_CHANNELS);
	pools_init(dma);
	pending_changed(dma);
}

bool dma_busy(const struct dma *dma)
{
	if (dma->tags_used > dma->tags_quarantined)
		return true;
	for (unsigned i = 0; i < DMA_CHANNELS; i++)
		if (dma->channel[i].active || dma_request_fifo_count(&dma->channel[i].requests) != 0)
			return true;
	return false;
}

const struct dma_stats *dma_stats(const struct dma *dma)
{
	return &dma->stats;
}
