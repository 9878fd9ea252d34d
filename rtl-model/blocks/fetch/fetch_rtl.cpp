#include "rtl-model/blocks/fetch/fetch_rtl.h"

#include "pcie/rng.h"
#include "rtl-model/blocks/fetch/ring_stamps.h"
#include "rtl-model/twin.hpp"

#include "ks_fetch/Vks_fetch.h"

#include <memory>
#include <new>
#include <vector>

namespace
{

constexpr unsigned BEAT_BYTES = 16;
// By the low bits of a cookie; the bits above them are an offset in the first 16 bytes.
constexpr unsigned BUFFERS = 512;
constexpr unsigned BUFFER_BYTES = 512 + BEAT_BYTES;
// A read of a register takes as many clock edges as the module needs to get there: not many.
constexpr unsigned ACCESS_EDGES_MAX = 10000;

struct buffer {
	uint32_t bytes;
	uint8_t data[BUFFER_BYTES];
};

struct register_write {
	uint32_t offset, value;
};

struct head_stamps {
	uint64_t doorbell_ps, service_ps, head_ps;
};

// A queue of a fixed size whose producer minds it.
template <class T, unsigned depth> struct ring {
	T entry[depth];
	unsigned head = 0, tail = 0;
	void push(const T &value) { entry[tail++ % depth] = value; }
	T pop() { return entry[head++ % depth]; }
	void clear() { head = tail; }
};

struct stalls {
	struct rng rng;
	unsigned percent;
	bool now() { return percent != 0 && rng_below(&rng, 100) < percent; }
};

struct fetch_rtl : fetch {
	struct fetch_ports ports;
	uint64_t period_ps;
	uint64_t next_edge_ps; // the first one that has not been
	uint64_t seen_ps;      // latest time we were told
	twin::instance<Vks_fetch> rtl{"fetch"};
	std::unique_ptr<buffer[]> buffers;
	std::vector<register_write> writes; // not presented yet, from `writes_done` on
	size_t writes_done;
	// the completion that is being streamed
	bool streaming, stream_failed;
	uint32_t stream_cookie, stream_at, stream_bytes;
	uint32_t events_seen;
	uint64_t edges;
	struct stalls stall;
	// observation
	struct ring_stamps stamps[QUEUES_MAX];
	ring<head_stamps, 4> services_taken;
	ring<head_stamps, 2 * SLOTS> heads;
};

fetch_rtl *twin_of(struct fetch *fetch)
{
	return static_cast<fetch_rtl *>(fetch);
}

const fetch_rtl *twin_of(const struct fetch *fetch)
{
	return static_cast<const fetch_rtl *>(fetch);
}

uint8_t *data_of(fetch_rtl *fetch, uint32_t cookie)
{
	return fetch->buffers[cookie % BUFFERS].data + (cookie / BUFFERS) % BEAT_BYTES;
}

/* ---- inputs: set until the next edge ---- */

bool writes_wait(const fetch_rtl *fetch)
{
	return fetch->writes_done != fetch->writes.size();
}

// Not before the registers that were written before it: the queue may have been started just now.
void offer_service(fetch_rtl *fetch, uint64_t now_ps)
{
	Vks_fetch *module = &*fetch->rtl;
	if (!service_fifo_ready(&fetch->services, now_ps) || !module->svc_ready_o || writes_wait(fetch) ||
	    fetch->stall.now())
		return;
	const struct service service = service_fifo_pop(&fetch->services, now_ps);
	module->svc_valid_i = 1;
	module->svc_queue_i = (uint8_t)service.queue;
	module->svc_hint_valid_i = service.hint_valid;
	module->svc_hint_i = service.hint;
	fetch->services_taken.push({service.doorbell_ps, now_ps, 0});
}

void begin_stream(fetch_rtl *fetch, uint64_t now_ps)
{
	const struct dma_done done = dma_done_fifo_pop(&fetch->done, now_ps);
	fetch->streaming = true;
	fetch->stream_cookie = done.cookie;
	fetch->stream_failed = done.status != DMA_OK;
	fetch->stream_at = 0;
	fetch->stream_bytes = fetch->stream_failed ? 0 : fetch->buffers[done.cookie % BUFFERS].bytes;
}

void offer_completion(fetch_rtl *fetch, uint64_t now_ps)
{
	Vks_fetch *module = &*fetch->rtl;
	if (!fetch->streaming && dma_done_fifo_ready(&fetch->done, now_ps))
		begin_stream(fetch, now_ps);
	if (!fetch->streaming || !module->cpl_ready_o || fetch->stall.now())
		return;
	module->cpl_valid_i = 1;
	module->cpl_cookie_i = fetch->stream_cookie;
	module->cpl_failed_i = fetch->stream_failed;
	const uint8_t *data = data_of(fetch, fetch->stream_cookie) + fetch->stream_at;
	module->cpl_lo_i = load_le64(data);
	module->cpl_hi_i = load_le64(data + 8);
	fetch->stream_at += BEAT_BYTES;
	module->cpl_last_i = fetch->stream_at >= fetch->stream_bytes;
	fetch->streaming = !module->cpl_last_i;
}

// Presents an access. True if it will be taken at the next edge.
bool offer_access(fetch_rtl *fetch, bool write, uint32_t offset, uint32_t value)
{
	Vks_fetch *module = &*fetch->rtl;
	module->csr_valid_i = 1;
	module->csr_write_i = write;
	module->csr_addr_i = (uint16_t)offset;
	module->csr_wdata_i = value;
	return module->csr_ready_o;
}

void offer_write(fetch_rtl *fetch)
{
	if (!writes_wait(fetch))
		return;
	const struct register_write &write = fetch->writes[fetch->writes_done];
	if (!offer_access(fetch, true, write.offset, write.value))
		return;
	if (++fetch->writes_done == fetch->writes.size()) {
		fetch->writes.clear();
		fetch->writes_done = 0;
	}
}

/* ---- outputs ---- */

void take_request(fetch_rtl *fetch, uint64_t now_ps)
{
	Vks_fetch *module = &*fetch->rtl;
	if (!module->req_valid_o || dma_request_fifo_full(fetch->ports.dma) || fetch->stall.now())
		return;
	module->req_ready_i = 1;
	struct dma_request request = {};
	request.addr = module->req_addr_o;
	request.bytes = module->req_bytes_o;
	request.write = module->req_write_o;
	request.cookie = module->req_cookie_o;
	request.data = data_of(fetch, request.cookie);
	fetch->buffers[request.cookie % BUFFERS].bytes = request.bytes;
	if (request.write)
		store_le16(request.data, module->req_wdata_o);
	dma_request_fifo_push(fetch->ports.dma, now_ps, request);
}

void write_memory(fetch_rtl *fetch)
{
	const Vks_fetch *module = &*fetch->rtl;
	if (!module->mem_valid_o)
		return;
	ASSERT((module->mem_row_o + 1) * BEAT_BYTES <= SRAM_BYTES);
	uint8_t *row = fetch->ports.sram + (size_t)module->mem_row_o * BEAT_BYTES;
	uint8_t data[BEAT_BYTES];
	store_le64(data, module->mem_lo_o);
	store_le64(data + 8, module->mem_hi_o);
	if (module->mem_be_o == 0xffff) {
		memcpy(row, data, BEAT_BYTES);
		return;
	}
	for (unsigned i = 0; i < BEAT_BYTES; i++)
		if (module->mem_be_o >> i & 1)
			row[i] = data[i];
}

void count(fetch_rtl *fetch)
{
	const Vks_fetch *module = &*fetch->rtl;
	struct fetch_stats *stats = &fetch->stats;
	stats->services += module->stat_service_o;
	stats->empty_services += module->stat_empty_service_o;
	stats->index_reads += module->stat_index_read_o;
	stats->ring_reads += module->stat_ring_read_o;
	stats->ring_entries += module->stat_ring_entries_o;
	stats->descriptor_reads += module->stat_descriptor_read_o;
	stats->descriptors += module->stat_descriptor_o;
	stats->indirect_tables += module->stat_indirect_o;
	stats->header_reads += module->stat_header_read_o;
	stats->arm_writes += module->stat_arm_write_o;
	stats->requests += module->stat_request_o;
	stats->bad_chains += module->stat_bad_chain_o;
	stats->faults += module->stat_fault_o;
	stats->stall_no_slot += module->stat_no_slot_o;
	stats->stall_no_walker += module->stat_no_walker_o;
}

// Stamps of requests, from what is to be seen of the module.
void observe(fetch_rtl *fetch, uint64_t now_ps)
{
	const Vks_fetch *module = &*fetch->rtl;
	struct probe *probe = fetch->ports.probe;
	unsigned queue = module->see_queue_o;
	if (module->stat_service_o) {
		head_stamps service = fetch->services_taken.pop();
		if (module->see_live_o)
			ring_stamps_service(&fetch->stamps[queue], service.doorbell_ps, service.service_ps);
	}
	for (unsigned i = 0; i < module->stat_ring_entries_o; i++)
		fetch->heads.push(
			{fetch->stamps[queue].doorbell_ps, fetch->stamps[queue].service_ps, now_ps});
	if (module->stat_index_read_o)
		ring_stamps_look(&fetch->stamps[queue]);
	if (module->see_drop_o)
		fetch->heads.pop();
	if (module->see_start_o) {
		head_stamps head = fetch->heads.pop();
		unsigned slot = module->see_start_slot_o;
		probe_begin(probe, slot);
		probe_stamp(probe, slot, STAGE_DOORBELL, head.doorbell_ps);
		probe_stamp(probe, slot, STAGE_SERVICE, head.service_ps);
		probe_stamp(probe, slot, STAGE_HEAD, head.head_ps);
	}
	if (module->stat_request_o)
		probe_stamp(probe, module->see_record_slot_o, STAGE_RECORD, now_ps);
}

uint32_t events_of(const fetch_rtl *fetch)
{
	return (fetch->rtl->event_record_o ? CSR_SYS_EVENTS_RECORD_MASK : 0) |
	       (fetch->rtl->event_fault_o ? CSR_SYS_EVENTS_DMA_FAULT_MASK : 0);
}

/* ---- the clock ---- */

// One clock edge; the inputs but for requests are set.
void edge(fetch_rtl *fetch, uint64_t now_ps)
{
	Vks_fetch *module = &*fetch->rtl;
	take_request(fetch, now_ps);
	write_memory(fetch);
	count(fetch);
	observe(fetch, now_ps);
	twin::cycle(*module, now_ps, fetch->period_ps);
	module->csr_valid_i = module->svc_valid_i = module->cpl_valid_i = module->req_ready_i = 0;
	fetch->edges++;
	fetch->stats.bad_frees += module->see_bad_free_o;
	if (module->see_given_o)
		probe_end(fetch->ports.probe, module->see_given_slot_o);
	uint32_t shown = events_of(fetch);
	if (shown != fetch->events_seen)
		waker_wake(fetch->ports.events, now_ps);
	fetch->events_seen = shown;
}

// Reads a register, in no time: clocks in all that was written before it, then the read, until its data comes.
uint32_t read_now(fetch_rtl *fetch, uint64_t now_ps, uint32_t offset)
{
	bool taken = false;
	for (unsigned i = 0; !fetch->rtl->csr_rvalid_o || !taken; i++) {
		ASSERT(i < ACCESS_EDGES_MAX);
		if (writes_wait(fetch))
			offer_write(fetch);
		else if (!taken)
			taken = offer_access(fetch, false, offset, 0);
		edge(fetch, now_ps);
	}
	return fetch->rtl->csr_rdata_o;
}

/* ---- the block's functions ---- */

void destroy(struct fetch *base)
{
	delete twin_of(base);
}

void reset(struct fetch *base)
{
	fetch_rtl *fetch = twin_of(base);
	// The DMA channel has been aborted: nothing more may be asked of it. What is written meanwhile to the registers that
	// survive is kept.
	fetch->rtl->clear_i = 1;
	for (; writes_wait(fetch); fetch->writes_done++) {
		const struct register_write &write = fetch->writes[fetch->writes_done];
		offer_access(fetch, true, write.offset, write.value);
		twin::cycle(*fetch->rtl, fetch->seen_ps, fetch->period_ps);
	}
	fetch->rtl->csr_valid_i = 0;
	twin::cycle(*fetch->rtl, fetch->seen_ps, fetch->period_ps);
	fetch->rtl->clear_i = 0;
	service_fifo_clear(&fetch->services);
	dma_done_fifo_clear(&fetch->done);
	fetch->streaming = false;
	fetch->services_taken.clear();
	fetch->heads.clear();
	fetch->events_seen = events_of(fetch);
	for (unsigned i = 0; i < SLOTS; i++)
		probe_end(fetch->ports.probe, i);
	waker_wake(fetch->ports.self, fetch->seen_ps);
}

uint64_t step(struct fetch *base, uint64_t now_ps)
{
	fetch_rtl *fetch = twin_of(base);
	fetch->seen_ps = now_ps;
	if (twin::edge_ps(now_ps, fetch->period_ps) == now_ps && now_ps >= fetch->next_edge_ps) {
		offer_write(fetch);
		offer_service(fetch, now_ps);
		offer_completion(fetch, now_ps);
		edge(fetch, now_ps);
		fetch->next_edge_ps = now_ps + fetch->period_ps;
	}
	uint64_t next_ps = fetch->next_edge_ps;
	if (!fetch->rtl->active_o && !fetch->streaming && !writes_wait(fetch)) {
		next_ps =
			min_u64(dma_done_fifo_next_ps(&fetch->done), service_fifo_next_ps(&fetch->services));
		if (next_ps == TIME_NEVER_PS)
			return next_ps;
	}
	return twin::edge_ps(max_u64(max_u64(next_ps, fetch->next_edge_ps), now_ps), fetch->period_ps);
}

void write_later(fetch_rtl *fetch, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	fetch->seen_ps = now_ps;
	fetch->writes.push_back({offset, value});
	waker_wake(fetch->ports.self, now_ps);
}

void slot_free(struct fetch *base, uint64_t now_ps, unsigned slot)
{
	write_later(twin_of(base), now_ps, CSR_FETCH_SLOT_FREE, slot);
}

bool exists(fetch_rtl *fetch, uint32_t offset)
{
	fetch->rtl->csr_addr_i = (uint16_t)offset;
	fetch->rtl->eval();
	return fetch->rtl->csr_known_o;
}

// What a read that took something out of the module means for observers.
void observe_read(fetch_rtl *fetch, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	struct probe *probe = fetch->ports.probe;
	if (offset == CSR_FETCH_RECORD && (value & CSR_FETCH_RECORD_VALID_MASK))
		probe_stamp(probe, value & CSR_FETCH_RECORD_SLOT_MASK, STAGE_FIRMWARE, now_ps);
	if (offset == CSR_FETCH_SLOT_ALLOC && (value & CSR_FETCH_SLOT_ALLOC_VALID_MASK)) {
		probe_begin(probe, value & CSR_FETCH_SLOT_ALLOC_SLOT_MASK);
		probe_stamp(probe, value & CSR_FETCH_SLOT_ALLOC_SLOT_MASK, STAGE_HEAD, now_ps);
	}
}

bool csr_read(struct fetch *base, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	fetch_rtl *fetch = twin_of(base);
	if (!exists(fetch, offset))
		return false;
	fetch->seen_ps = now_ps;
	*value = read_now(fetch, now_ps, offset);
	observe_read(fetch, now_ps, offset, *value);
	waker_wake(fetch->ports.self, now_ps);
	return true;
}

bool csr_write(struct fetch *base, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	fetch_rtl *fetch = twin_of(base);
	if (!exists(fetch, offset))
		return false;
	write_later(fetch, now_ps, offset, value);
	return true;
}

uint32_t events(const struct fetch *base, uint64_t now_ps)
{
	(void)now_ps;
	return events_of(twin_of(base));
}

bool busy(const struct fetch *base)
{
	return twin_of(base)->rtl->busy_o || writes_wait(twin_of(base));
}

unsigned slots_in_use(const struct fetch *base)
{
	return twin_of(base)->rtl->slots_used_o;
}

unsigned walkers_busy(const struct fetch *base)
{
	return twin_of(base)->rtl->walkers_busy_o;
}

const struct fetch_ops rtl_ops = {
	.free = destroy,
	.reset = reset,
	.step = step,
	.slot_free = slot_free,
	.csr_read = csr_read,
	.csr_write = csr_write,
	.events = events,
	.next_event_ps = nullptr,
	.busy = busy,
	.slots_in_use = slots_in_use,
	.walkers_busy = walkers_busy,
};

} // namespace

struct fetch *fetch_rtl_create(const struct config *config, const struct fetch_ports *ports)
{
	fetch_rtl *fetch = new (std::nothrow) fetch_rtl();
	if (!fetch)
		return NULL;
	fetch->ops = &rtl_ops;
	fetch->ports = *ports;
	fetch->services.consumer = fetch->fetch::done.consumer = ports->self;
	ports->dma->producer = ports->self;
	fetch->period_ps = config_period_ps(config->device.clock_mhz);
	fetch->buffers.reset(new buffer[BUFFERS]());
	Vks_fetch *module = &*fetch->rtl;
	module->batch_i = (uint16_t)config->fetch.batch;
	module->prefetch_i = (uint8_t)config->fetch.prefetch;
	module->inflight_i = (uint8_t)config->fetch.inflight;
	module->rst_ni = 0;
	module->eval(); // so that the first rising edge is one
	twin::cycle(*module, 0, fetch->period_ps);
	module->rst_ni = 1;
	reset(fetch);
	return fetch;
}

void fetch_rtl_stall(struct fetch *fetch, uint64_t seed, unsigned percent)
{
	rng_seed(&twin_of(fetch)->stall.rng, seed, 5);
	twin_of(fetch)->stall.percent = percent;
}

uint64_t fetch_rtl_edges(const struct fetch *fetch)
{
	return twin_of(fetch)->edges;
}
