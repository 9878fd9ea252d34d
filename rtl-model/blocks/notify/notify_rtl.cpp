#include "rtl-model/blocks/notify/notify_rtl.h"

#include "rtl-model/twin.hpp"

#include "ks_notify/Vks_notify.h"

#include <deque>
#include <new>

namespace
{

constexpr uint64_t TIME_MASK = (UINT64_C(1) << 40) - 1; // TIME_BITS of the module

struct write {
	uint32_t offset, value;
};

// Doorbells come from a queue whose entries are visible from a time on, register writes at any time; the module sees
// one of each a cycle. What it has to give is shown after an edge; if the consumer has room it gets it, visible at the next
// edge, and the module hears that it was taken at that edge.
struct notify_rtl : notify {
	twin::instance<Vks_notify> rtl{"notify"};
	const struct waker *self;
	struct service_fifo *out;
	uint64_t period_ps;
	std::deque<write> writes;
	bool handed = false; // the service that is shown is the consumer's already
	uint64_t now_ps = 0;
	uint64_t last_edge_ps = TIME_NEVER_PS;

	void count()
	{
		stats.written += rtl->stat_written_o;
		stats.coalesced += rtl->stat_coalesced_o;
		stats.serviced += rtl->stat_serviced_o;
		stats.dropped += rtl->stat_dropped_o;
		stats.ignored += rtl->stat_ignored_o;
		stats.fifo_full += rtl->stat_fifo_full_o;
		stats.own_kicks += rtl->stat_own_kick_o;
	}

	void edge(bool doorbell_visible)
	{
		rtl->time_ns_i = now_ps / PS_PER_NS & TIME_MASK;
		rtl->service_ready_i = handed;
		rtl->doorbell_valid_i = doorbell_visible;
		if (doorbell_visible) {
			const struct doorbell *doorbell = doorbell_fifo_peek(&doorbells);
			rtl->doorbell_queue_i = doorbell->queue;
			rtl->doorbell_hint_i = static_cast<uint16_t>(doorbell->value >> 16);
		}
		rtl->csr_write_i = !writes.empty();
		if (!writes.empty()) {
			rtl->csr_addr_i = static_cast<uint16_t>(writes.front().offset);
			rtl->csr_wdata_i = writes.front().value;
		}
		rtl->eval();
		count();
		if (rtl->doorbell_valid_i && rtl->doorbell_ready_o)
			doorbell_fifo_pop(&doorbells, now_ps);
		if (rtl->csr_write_i && rtl->csr_ready_o)
			writes.pop_front();
		twin::cycle(*rtl, now_ps, period_ps);
		handed = false;
		rtl->service_ready_i = rtl->doorbell_valid_i = rtl->csr_write_i = 0;
	}

	// Register writes take effect before anything is read: in no time, past doorbells.
	void settle()
	{
		while (handed || !writes.empty() || rtl->active_o)
			edge(false);
	}

	// Some nanoseconds ago, by the module's counter.
	uint64_t edge_of(uint64_t time_ns) const
	{
		uint64_t now_ns = now_ps / PS_PER_NS;
		uint64_t ago_ns = (now_ns - time_ns) & TIME_MASK;
		return twin::edge_ps((now_ns - ago_ns) * PS_PER_NS, period_ps);
	}

	void hand_over()
	{
		if (handed || !rtl->service_valid_o || service_fifo_full(out))
			return;
		struct service service = {};
		service.queue = rtl->service_queue_o;
		service.hint_valid = rtl->service_hint_valid_o;
		service.hint = rtl->service_hint_o;
		service.doorbell_ps =
			rtl->service_doorbell_o ? edge_of(rtl->service_time_ns_o) : TIME_NEVER_PS;
		service_fifo_push(out, now_ps + period_ps, service);
		handed = true;
	}

	uint64_t next_ps() const
	{
		if (handed || !writes.empty() || rtl->active_o)
			return now_ps + period_ps;
		uint64_t next_ps = doorbell_fifo_next_ps(&doorbells);
		if (rtl->timer_o) {
			uint64_t now_ns = now_ps / PS_PER_NS;
			uint64_t left_ns = (rtl->deadline_ns_o - now_ns) & TIME_MASK;
			bool over = left_ns > TIME_MASK / 2; // one of several that ended together
			next_ps = over ? now_ps : min_u64(next_ps, (now_ns + left_ns) * PS_PER_NS);
		}
		return next_ps == TIME_NEVER_PS
			       ? next_ps
			       : twin::edge_ps(max_u64(next_ps, now_ps + period_ps), period_ps);
	}
};

notify_rtl *twin_of(struct notify *base)
{
	return static_cast<notify_rtl *>(base);
}

void destroy(struct notify *base)
{
	delete twin_of(base);
}

void reset(struct notify *base)
{
	notify_rtl *notify = twin_of(base);
	notify->settle();
	notify->rtl->clear_i = 1;
	notify->edge(false);
	notify->rtl->clear_i = 0;
	struct notify_stats *stats = &notify->stats;
	stats->dropped = stats->written - stats->coalesced - stats->serviced; // whatever waited
	if (doorbell_fifo_full(&notify->doorbells))                           // the endpoint waits for room
		waker_wake(notify->doorbells.producer, 0);
	doorbell_fifo_clear(&notify->doorbells);
}

uint64_t step(struct notify *base, uint64_t now_ps)
{
	notify_rtl *notify = twin_of(base);
	uint64_t edge_ps = twin::edge_ps(now_ps, notify->period_ps);
	notify->now_ps = now_ps;
	if (now_ps != edge_ps)
		return edge_ps;
	if (now_ps != notify->last_edge_ps)
		notify->edge(doorbell_fifo_ready(&notify->doorbells, now_ps));
	notify->last_edge_ps = now_ps;
	notify->hand_over();
	return notify->next_ps();
}

bool exists(notify_rtl *notify, uint32_t offset)
{
	notify->rtl->csr_addr_i = static_cast<uint16_t>(offset);
	notify->rtl->eval();
	return notify->rtl->csr_exists_o;
}

bool csr_read(struct notify *base, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	notify_rtl *notify = twin_of(base);
	notify->now_ps = now_ps;
	notify->settle();
	if (!exists(notify, offset))
		return false;
	*value = notify->rtl->csr_rdata_o;
	return true;
}

bool csr_write(struct notify *base, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	notify_rtl *notify = twin_of(base);
	if (!exists(notify, offset))
		return false;
	notify->writes.push_back({offset, value});
	waker_wake(notify->self, now_ps);
	return true;
}

uint64_t waiting(const struct notify *base)
{
	notify_rtl *notify = twin_of(const_cast<struct notify *>(base));
	notify->settle();
	return notify->rtl->waiting_o;
}

const struct notify_ops rtl_ops = {
	.free = destroy,
	.reset = reset,
	.step = step,
	.csr_read = csr_read,
	.csr_write = csr_write,
	.waiting = waiting,
};

} // namespace

struct notify *notify_rtl_create(const struct config *config, const struct waker *self,
				 struct service_fifo *out)
{
	notify_rtl *notify = new (std::nothrow) notify_rtl();
	if (!notify)
		return nullptr;
	notify->ops = &rtl_ops;
	notify->doorbells.consumer = notify->self = self;
	notify->out = out;
	out->producer = self;
	notify->period_ps = config_period_ps(config->device.clock_mhz);
	notify->rtl->fifo_mode_i = config->notify.mode == CONFIG_NOTIFY_FIFO;
	notify->rtl->fifo_limit_i = static_cast<uint16_t>(config->notify.fifo_depth);
	notify->rtl->arbitration_i = config->notify.arbitration;
	notify->rtl->weights_i = config->notify.weights;
	notify->rtl->holdoff_ns_i =
		static_cast<uint32_t>((config->notify.holdoff_ps + PS_PER_NS - 1) / PS_PER_NS);
	notify->rtl->threshold_i = static_cast<uint16_t>(config->notify.threshold);
	notify->rtl->adaptive_i = config->notify.adaptive;
	notify->rtl->rst_ni = 0;
	notify->edge(false);
	notify->rtl->rst_ni = 1;
	return notify;
}
