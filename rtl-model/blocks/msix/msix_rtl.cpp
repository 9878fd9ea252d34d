#include "rtl-model/blocks/msix/msix_rtl.h"

#include "rtl-model/twin.hpp"

#include "ks_msix/Vks_msix.h"

#include <deque>
#include <new>

namespace
{

constexpr uint64_t TIME_MASK = (UINT64_C(1) << 40) - 1; // TIME_BITS of the module
constexpr unsigned MESSAGES = dma_request_fifo_depth + 1;

struct levels {
	bool enable, function_mask, may_send;

	bool operator==(const levels &other) const
	{
		return enable == other.enable && function_mask == other.function_mask &&
		       may_send == other.may_send;
	}
};

enum input_kind { INPUT_LEVELS, INPUT_EVENT, INPUT_BAR, INPUT_CSR };

struct input {
	input_kind kind;
	levels control;
	unsigned vector;
	bool moderated;
	uint32_t offset, value;
	uint8_t be;
};

// Whatever others do to the generator waits in one line, in the order in which they did it, and is put before the module one
// a cycle. A message that is shown after an edge is the DMA engine's if it has room, visible at the next edge; the module
// hears at that edge that it was taken, and of nothing else.
struct msix_rtl : msix {
	twin::instance<Vks_msix> rtl{"msix"};
	struct msix_ports ports;
	uint64_t period_ps;
	std::deque<input> inputs;
	levels control = {}; // as it is behind the last of the inputs
	bool handed = false;
	uint64_t now_ps = 0;
	uint64_t last_edge_ps = TIME_NEVER_PS;
	uint8_t message[MESSAGES][4];
	unsigned message_next = 0;

	void count()
	{
		stats.events += rtl->stat_event_o;
		stats.sent += rtl->stat_sent_o;
		stats.coalesced += rtl->stat_coalesced_o;
		stats.masked += rtl->stat_masked_o;
		stats.disabled += rtl->stat_disabled_o;
	}

	void show(const levels &now)
	{
		rtl->enable_i = now.enable;
		rtl->function_mask_i = now.function_mask;
		rtl->may_send_i = now.may_send;
	}

	void show(const input &next)
	{
		switch (next.kind) {
		case INPUT_LEVELS: show(next.control); break;
		case INPUT_EVENT:
			rtl->event_valid_i = 1;
			rtl->event_vector_i = static_cast<uint16_t>(next.vector);
			rtl->event_moderated_i = next.moderated;
			break;
		case INPUT_BAR:
			rtl->bar_write_i = 1;
			rtl->bar_addr_i = static_cast<uint16_t>(next.offset);
			rtl->bar_wdata_i = next.value;
			rtl->bar_be_i = next.be;
			break;
		case INPUT_CSR:
			rtl->csr_write_i = 1;
			rtl->csr_addr_i = static_cast<uint16_t>(next.offset);
			rtl->csr_wdata_i = next.value;
			break;
		}
	}

	bool taken(const input &shown) const
	{
		switch (shown.kind) {
		case INPUT_EVENT: return rtl->event_ready_o;
		case INPUT_BAR: return rtl->bar_ready_o;
		case INPUT_CSR: return rtl->csr_ready_o;
		default: return true;
		}
	}

	void edge()
	{
		bool shown = !handed && !inputs.empty();
		rtl->time_ns_i = now_ps / PS_PER_NS & TIME_MASK;
		rtl->message_ready_i = handed;
		if (shown)
			show(inputs.front());
		rtl->eval();
		count();
		if (shown && taken(inputs.front()))
			inputs.pop_front();
		twin::cycle(*rtl, now_ps, period_ps);
		handed = false;
		rtl->message_ready_i = rtl->event_valid_i = rtl->bar_write_i = rtl->csr_write_i = 0;
	}

	// What has been done takes effect before anything is read: in no time.
	void settle()
	{
		while (handed || !inputs.empty() || rtl->active_o)
			edge();
	}

	void add(const input &last)
	{
		follow_control();
		inputs.push_back(last);
	}

	void follow_control()
	{
		levels now = {ports.control->msix_enable, ports.control->msix_function_mask,
			      cfg_control_may_master(ports.control)};
		if (now == control)
			return;
		control = now;
		inputs.push_back({INPUT_LEVELS, now, 0, false, 0, 0, 0});
	}

	void hand_over()
	{
		if (handed || !rtl->message_valid_o || dma_request_fifo_full(ports.dma))
			return;
		uint8_t *data = message[message_next];
		message_next = (message_next + 1) % MESSAGES;
		store_le32(data, rtl->message_data_o);
		struct dma_request request = {};
		request.addr = rtl->message_addr_o;
		request.bytes = 4;
		request.write = true;
		request.data = data;
		dma_request_fifo_push(ports.dma, now_ps + period_ps, request);
		handed = true;
	}

	uint64_t next_ps() const
	{
		if (handed || !inputs.empty() || rtl->active_o)
			return now_ps + period_ps;
		if (!rtl->timer_o)
			return TIME_NEVER_PS;
		uint64_t now_ns = now_ps / PS_PER_NS;
		uint64_t left_ns = (rtl->deadline_ns_o - now_ns) & TIME_MASK;
		bool over = left_ns > TIME_MASK / 2; // one of several that ended together
		uint64_t next_ps = over ? now_ps : (now_ns + left_ns) * PS_PER_NS;
		return twin::edge_ps(max_u64(next_ps, now_ps + period_ps), period_ps);
	}
};

msix_rtl *twin_of(struct msix *base)
{
	return static_cast<msix_rtl *>(base);
}

void destroy(struct msix *base)
{
	delete twin_of(base);
}

void reset(struct msix *base)
{
	msix_rtl *msix = twin_of(base);
	msix->follow_control();
	msix->settle();
	msix->rtl->reset_i = 1;
	msix->edge();
	msix->rtl->reset_i = 0;
	msix->settle();
}

void drop_events(struct msix *base)
{
	msix_rtl *msix = twin_of(base);
	msix->follow_control();
	msix->settle();
	msix->rtl->drop_i = 1;
	msix->edge();
	msix->rtl->drop_i = 0;
	msix->settle();
}

void event(struct msix *base, uint64_t now_ps, unsigned index, bool moderated)
{
	msix_rtl *msix = twin_of(base);
	msix->add({INPUT_EVENT, {}, index, moderated, 0, 0, 0});
	waker_wake(msix->ports.self, now_ps);
}

uint64_t step(struct msix *base, uint64_t now_ps)
{
	msix_rtl *msix = twin_of(base);
	uint64_t edge_ps = twin::edge_ps(now_ps, msix->period_ps);
	msix->now_ps = now_ps;
	msix->follow_control();
	if (now_ps != edge_ps)
		return edge_ps;
	if (now_ps != msix->last_edge_ps)
		msix->edge();
	msix->last_edge_ps = now_ps;
	msix->hand_over();
	return msix->next_ps();
}

void control_changed(struct msix *base, uint64_t now_ps)
{
	msix_rtl *msix = twin_of(base);
	msix->follow_control();
	waker_wake(msix->ports.self, now_ps);
}

uint32_t bar_read32(struct msix *base, uint32_t offset)
{
	msix_rtl *msix = twin_of(base);
	msix->follow_control();
	msix->settle();
	msix->rtl->bar_addr_i = static_cast<uint16_t>(offset);
	msix->rtl->eval();
	return msix->rtl->bar_rdata_o;
}

void bar_write32(struct msix *base, uint64_t now_ps, uint32_t offset, uint32_t data, uint8_t be)
{
	msix_rtl *msix = twin_of(base);
	msix->add({INPUT_BAR, {}, 0, false, offset, data, be});
	waker_wake(msix->ports.self, now_ps);
}

bool exists(msix_rtl *msix, uint32_t offset)
{
	msix->rtl->csr_addr_i = static_cast<uint16_t>(offset);
	msix->rtl->eval();
	return msix->rtl->csr_exists_o;
}

bool csr_read(struct msix *base, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	msix_rtl *msix = twin_of(base);
	msix->now_ps = now_ps;
	msix->settle();
	if (!exists(msix, offset))
		return false;
	*value = msix->rtl->csr_rdata_o;
	return true;
}

bool csr_write(struct msix *base, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	msix_rtl *msix = twin_of(base);
	if (!exists(msix, offset))
		return false;
	msix->add({INPUT_CSR, {}, 0, false, offset, value, 0});
	waker_wake(msix->ports.self, now_ps);
	return true;
}

unsigned waiting(const struct msix *base)
{
	msix_rtl *msix = twin_of(const_cast<struct msix *>(base));
	msix->settle();
	return msix->rtl->waiting_o;
}

const struct msix_ops rtl_ops = {
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

} // namespace

struct msix *msix_rtl_create(const struct config *config, const struct msix_ports *ports)
{
	msix_rtl *msix = new (std::nothrow) msix_rtl();
	if (!msix)
		return nullptr;
	msix->ops = &rtl_ops;
	msix->ports = *ports;
	msix->period_ps = config_period_ps(config->device.clock_mhz);
	msix->rtl->vectors_i = static_cast<uint16_t>(msix_vector_count(config));
	msix->rtl->holdoff_ns_i =
		static_cast<uint32_t>((config->msix.holdoff_ps + PS_PER_NS - 1) / PS_PER_NS);
	msix->rtl->threshold_i = static_cast<uint16_t>(config->msix.threshold);
	msix->rtl->adaptive_i = config->msix.adaptive;
	msix->rtl->rst_ni = 0;
	msix->edge();
	msix->rtl->rst_ni = 1;
	ports->dma->producer = ports->self;
	reset(msix);
	return msix;
}
