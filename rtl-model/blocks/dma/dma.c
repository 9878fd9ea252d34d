#include "rtl-model/blocks/dma/dma.h"
#include "rtl-model/blocks/dma/tags.h"

#include <stdlib.h>
#include <string.h>

#define READS_MAX 512u
#define NONE      UINT16_MAX
/* How long a tag rests while software has completion timeouts switched off: the end of the default range (TAG-007). */
#define REST_PS (50 * PS_PER_MS)

/* A read request that has been begun: all its TLPs together. */
struct read {
	uint32_t cookie;
	uint16_t tags; /* TLPs in flight */
	bool issued;   /* all its TLPs have been sent */
	bool failed;
	bool forgotten; /* aborted: drop the data, report nothing */
	enum dma_channel channel;
	uint16_t next_free;
};

struct channel {
	struct dma_request_fifo requests;
	struct dma_done_fifo *done;
	struct dma_request now; /* request being cut into TLPs */
	bool active;
	uint16_t read; /* its entry, for reads */
};

struct dma {
	struct dma_ports ports;
	uint64_t period_ps;
	unsigned tlp_cycles, bytes_per_cycle, backlog_bytes, tags_wanted;
	struct channel channel[DMA_CHANNELS];
	unsigned turn;       /* channel served last */
	uint64_t free_ps;    /* when the next TLP can be made */
	uint64_t wire_bytes; /* ever given to the link */
	struct tags tags;
	struct read read[READS_MAX];
	uint16_t read_free;
	struct dma_stats stats;
};

/* ---- reads and their tags ---- */

static void pools_init(struct dma *dma)
{
	tags_init(&dma->tags);
	for (unsigned i = 0; i < READS_MAX; i++)
		dma->read[i].next_free = (uint16_t)(i + 1 < READS_MAX ? i + 1 : NONE);
	dma->read_free = 0;
}

static uint16_t read_take(struct dma *dma, enum dma_channel channel, uint32_t cookie)
{
	uint16_t index = dma->read_free;
	dma->read_free = dma->read[index].next_free;
	dma->read[index] = (struct read){.cookie = cookie, .channel = channel};
	return index;
}

/* Tags have changed hands. Transactions Pending speaks of reads that can still be answered; a timeout ends a read
 * (PCIe 6.0 §7.5.3.5). */
static void tags_changed(struct dma *dma, bool was_pending)
{
	bool pending = dma->tags.in_flight.count != 0;
	dma->stats.tags_in_use = tags_used(&dma->tags);
	dma->stats.tags_in_use_max = max_u32(dma->stats.tags_in_use_max, dma->stats.tags_in_use);
	if (pending != was_pending && dma->ports.pending)
		dma->ports.pending(dma->ports.ctx, pending);
}

/* ---- ends of requests ---- */

static bool channel_busy(const struct channel *channel)
{
	return channel->active || dma_request_fifo_count(&channel->requests) != 0;
}

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
		dma_done_fifo_push(dma->channel[channel].done, now_ps, (struct dma_done){cookie, status});
}

static void messages_changed(const struct dma *dma, uint64_t now_ps)
{
	if (!channel_busy(&dma->channel[DMA_MSIX]) && dma->ports.messages_sent)
		dma->ports.messages_sent(dma->ports.ctx, now_ps);
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
}

/* One TLP of the read is over; its tag is free, or rests if a completion of it may still come. A channel may have waited
 * for the tag or for an entry. */
static void tag_end(struct dma *dma, uint64_t now_ps, uint16_t number, bool failed, bool rest)
{
	uint16_t index = dma->tags.tag[number].read;
	if (rest)
		tags_rest(&dma->tags, number, now_ps);
	else
		tags_release(&dma->tags, number);
	tags_changed(dma, true);
	dma->read[index].tags--;
	dma->read[index].failed |= failed;
	read_end_if_complete(dma, now_ps, index);
	waker_wake(dma->ports.self, now_ps);
}

/* ---- making TLPs ---- */

static void send(struct dma *dma, uint64_t ready_ps, const struct tlp *tlp)
{
	uint8_t *wire = link_reserve(dma->ports.up, TLP_WIRE_BYTES_MAX);
	size_t size = tlp_encode(tlp, wire, TLP_WIRE_BYTES_MAX);
	ASSERT(size != 0);
	link_push_reserved(dma->ports.up, ready_ps, size);
	dma->wire_bytes += size + LINK_TLP_OVERHEAD_BYTES;
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
	bool was_pending = dma->tags.in_flight.count != 0;
	uint16_t number = tags_take(&dma->tags, dma->ports.control, dma->tags_wanted, ready_ps);
	if (number == TAG_NONE)
		return false;
	tags_changed(dma, was_pending);
	uint32_t mrrs = dma->ports.control->mrrs_bytes;
	uint32_t bytes = tlp_split_bytes(now->addr, now->bytes, mrrs, mrrs);
	struct tag *tag = &dma->tags.tag[number];
	tag->read = channel->read;
	tag->data = now->data;
	tlp_requester_start(&tag->expect, now->addr, bytes, 0, 0);
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
		if (!channel->now.write)
			channel->read = read_take(dma, index, channel->now.cookie);
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
	if (index == DMA_MSIX)
		messages_changed(dma, now_ps);
	if (channel->now.write) {
		report(dma, dma->free_ps, index, channel->now.cookie, true, DMA_OK);
	} else {
		dma->read[channel->read].issued = true;
		read_end_if_complete(dma, now_ps, channel->read);
	}
	return true;
}

/* One bit per channel that has something to send. */
static unsigned channels_waiting(const struct dma *dma, uint64_t now_ps)
{
	unsigned waiting = 0;
	for (unsigned i = 0; i < DMA_CHANNELS; i++)
		if (dma->channel[i].active || dma_request_fifo_ready(&dma->channel[i].requests, now_ps))
			waiting |= 1u << i;
	return waiting;
}

/* The channel whose turn it is: the next one after the one served last. */
static unsigned next_turn(unsigned waiting, unsigned last)
{
	unsigned after = waiting & ~((2u << last) - 1);
	return (unsigned)__builtin_ctz(after ? after : waiting);
}

/* When the next request becomes visible that is not yet. Those that are visible wait for something else: the head of one
 * channel that has no tag must not hide that of another. */
static uint64_t next_request_ps(const struct dma *dma, uint64_t now_ps)
{
	uint64_t next_ps = TIME_NEVER_PS;
	for (unsigned i = 0; i < DMA_CHANNELS; i++) {
		uint64_t head_ps = dma_request_fifo_next_ps(&dma->channel[i].requests);
		if (head_ps > now_ps)
			next_ps = min_u64(next_ps, head_ps);
	}
	return next_ps;
}

/* Fills the transmit buffer. TLPs are made ahead of time up to its size, in one call. Returns when to go on. */
static uint64_t transmit(struct dma *dma, uint64_t now_ps)
{
	unsigned waiting = channels_waiting(dma, now_ps);
	if (waiting == 0)
		return next_request_ps(dma, now_ps);
	if (!cfg_control_may_master(dma->ports.control)) {
		dma->stats.stall_bus_master++;
		return TIME_NEVER_PS; /* the endpoint wakes us when that changes */
	}
	dma->free_ps = max_u64(dma->free_ps, now_ps);
	uint64_t room_bytes = dma->wire_bytes + dma->backlog_bytes;
	uint64_t backlog_bytes = link_backlog_bytes(dma->ports.up, now_ps);
	while (waiting != 0) {
		if (dma->wire_bytes + backlog_bytes >= room_bytes) {
			dma->stats.stall_backlog++;
			return max_u64(link_drain_ps(dma->ports.up, now_ps, dma->backlog_bytes / 2),
				       now_ps + dma->period_ps);
		}
		unsigned index = next_turn(waiting, dma->turn);
		if (serve(dma, now_ps, (enum dma_channel)index))
			dma->turn = index;
		else
			waiting &= ~(1u << index);
	}
	return next_request_ps(dma, now_ps); /* tags come back with completions, which wake us */
}

/* ---- completions and timeouts ---- */

static void tag_timeout(struct dma *dma, uint64_t now_ps, uint16_t number)
{
	bool forgotten = dma->read[dma->tags.tag[number].read].forgotten;
	dma->stats.timeouts++;
	tag_end(dma, now_ps, number, true, true);
	if (!forgotten && dma->ports.timeout)
		dma->ports.timeout(dma->ports.ctx, now_ps);
}

/* A tag that has rested for as long as an answer may take is as good as new (TAG-006, TAG-009). */
static void tag_rested(struct dma *dma, uint64_t now_ps, uint16_t number)
{
	tags_release(&dma->tags, number);
	dma->stats.tags_in_use = tags_used(&dma->tags);
	waker_wake(dma->ports.self, now_ps);
}

/* When the oldest tag of the list will have been in it for `limit_ps`. */
static uint64_t due_ps(const struct dma *dma, const struct tag_list *list, uint64_t limit_ps)
{
	if (list->count == 0 || limit_ps == TIME_NEVER_PS)
		return TIME_NEVER_PS;
	return dma->tags.tag[list->oldest].since_ps + limit_ps;
}

static uint64_t check_timeouts(struct dma *dma, uint64_t now_ps)
{
	const struct tag_list *in_flight = &dma->tags.in_flight, *resting = &dma->tags.resting;
	uint64_t limit_ps = dma->ports.control->completion_timeout_ps;
	uint64_t rest_ps = limit_ps == TIME_NEVER_PS ? REST_PS : limit_ps;
	while (due_ps(dma, resting, rest_ps) <= now_ps)
		tag_rested(dma, now_ps, resting->oldest);
	while (due_ps(dma, in_flight, limit_ps) <= now_ps)
		tag_timeout(dma, now_ps, in_flight->oldest);
	return min_u64(due_ps(dma, in_flight, limit_ps), due_ps(dma, resting, rest_ps));
}

static enum dma_completion failure_kind(const struct tlp *cpl)
{
	return cpl->status == TLP_CA ? DMA_COMPLETION_CA : DMA_COMPLETION_UR;
}

/* Poisoned data fails the read (CPL-017). The completions behind it still come, and the tag is theirs until then
 * (TAG-006). `expect` is what was expected before it. */
static void poisoned(struct dma *dma, uint64_t now_ps, const struct tlp *cpl,
		     const struct tlp_requester *expect)
{
	struct tag *tag = &dma->tags.tag[cpl->tag];
	uint32_t bytes = min_u32(cpl->length_dw * 4u - expect->addr % 4, expect->bytes);
	if (bytes == expect->bytes) {
		tag_end(dma, now_ps, cpl->tag, true, false);
		return;
	}
	tag->expect = *expect;
	tag->expect.addr += bytes;
	tag->expect.bytes -= bytes;
	tag->data += bytes;
	dma->read[tag->read].failed = true;
}

enum dma_completion dma_complete(struct dma *dma, uint64_t now_ps, const struct tlp *cpl)
{
	struct tag *tag = &dma->tags.tag[cpl->tag % TAGS_MAX];
	if (cpl->requester_id != *dma->ports.requester_id || tag->state != TAG_IN_FLIGHT) {
		dma->stats.unexpected++;
		return DMA_COMPLETION_UNEXPECTED;
	}
	const struct tlp_requester expect = tag->expect;
	const uint8_t *data;
	uint32_t bytes;
	enum tlp_cpl_result result = tlp_requester_accept(&tag->expect, cpl, &data, &bytes);
	switch (result) {
	case TLP_CPL_PART:
	case TLP_CPL_DONE:
		if (!dma->read[tag->read].forgotten)
			memcpy(tag->data, data, bytes);
		tag->data += bytes;
		if (result == TLP_CPL_DONE)
			tag_end(dma, now_ps, cpl->tag, false, false);
		return DMA_COMPLETION_OK;
	case TLP_CPL_ERROR: tag_end(dma, now_ps, cpl->tag, true, false); return failure_kind(cpl);
	case TLP_CPL_POISONED: poisoned(dma, now_ps, cpl, &expect); return DMA_COMPLETION_POISONED;
	case TLP_CPL_UNEXPECTED: break;
	}
	/* The right tag with the wrong shape: the request can no longer be trusted (ERR-009). */
	dma->stats.unexpected++;
	tag_end(dma, now_ps, cpl->tag, true, true);
	return DMA_COMPLETION_UNEXPECTED;
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
	check_timeouts(dma, now_ps);
	uint64_t next_ps = transmit(dma, now_ps);
	return min_u64(next_ps, check_timeouts(dma, now_ps)); /* once more: reads may have been sent */
}

/* Reads whose TLPs have all been sent. The one being sent is the channel's own. */
static void forget_issued_reads(struct dma *dma, uint64_t now_ps, enum dma_channel index)
{
	const struct tag *tag;
	for (uint16_t i = dma->tags.in_flight.oldest; i != TAG_NONE; i = tag->newer) {
		tag = &dma->tags.tag[i];
		struct read *read = &dma->read[tag->read];
		if (read->channel != index || read->forgotten || !read->issued)
			continue;
		read->forgotten = true;
		report(dma, now_ps, index, read->cookie, false, DMA_ABORTED);
	}
}

static void abort_channel(struct dma *dma, uint64_t now_ps, enum dma_channel index)
{
	struct channel *channel = &dma->channel[index];
	forget_issued_reads(dma, now_ps, index);
	if (channel->active) {
		report(dma, now_ps, index, channel->now.cookie, channel->now.write, DMA_ABORTED);
		channel->active = false;
		if (!channel->now.write) {
			dma->read[channel->read].forgotten = true;
			dma->read[channel->read].issued = true;
			read_end_if_complete(dma, now_ps, channel->read);
		}
	}
	struct dma_request_fifo *requests = &channel->requests;
	for (uint32_t i = requests->head; i != requests->tail; i++) {
		const struct dma_request *request = &requests->entry[i % dma_request_fifo_depth];
		report(dma, now_ps, index, request->cookie, request->write, DMA_ABORTED);
	}
	bool was_full = dma_request_fifo_full(requests);
	dma_request_fifo_clear(requests);
	if (was_full)
		waker_wake(requests->producer, now_ps);
	if (index == DMA_MSIX)
		messages_changed(dma, now_ps);
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
	bool was_pending = dma->tags.in_flight.count != 0;
	pools_init(dma);
	tags_changed(dma, was_pending);
}

bool dma_messages_wait(const struct dma *dma)
{
	return channel_busy(&dma->channel[DMA_MSIX]) && cfg_control_may_master(dma->ports.control);
}

bool dma_busy(const struct dma *dma)
{
	if (dma->tags.in_flight.count != 0)
		return true;
	for (unsigned i = 0; i < DMA_CHANNELS; i++)
		if (channel_busy(&dma->channel[i]))
			return true;
	return false;
}

const struct dma_stats *dma_stats(const struct dma *dma)
{
	return &dma->stats;
}
