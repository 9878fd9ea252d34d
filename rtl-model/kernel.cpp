#define SC_INCLUDE_DYNAMIC_PROCESSES
#include "rtl-model/kernel.h"

#include <systemc>

#include <array>
#include <cstdlib>
#include <deque>
#include <string>

using namespace sc_core;

// libsystemc.so refers to the entry point of programs that leave main() to it; ours do not.
int sc_main(int, char **)
{
	return 0;
}

namespace
{

// SystemC announces itself on standard output, where our report goes, and warns of a run in which no time passes, which
// is nothing special here: the processes' time may be ahead.
struct quiet_systemc {
	quiet_systemc()
	{
		setenv("SC_COPYRIGHT_MESSAGE", "DISABLE", 1);
		sc_report_handler::set_actions(SC_ID_NO_SC_START_ACTIVITY_, SC_DO_NOTHING);
	}
} quiet;

sc_time time_of(uint64_t ps)
{
	return sc_time::from_value(ps);
}

uint64_t systemc_now_ps()
{
	return sc_time_stamp().value();
}

// When SystemC itself has something to do next: a thread to wake, a clock edge of Verilated RTL.
uint64_t systemc_next_ps()
{
	sc_time delay = sc_time_to_pending_activity(sc_get_curr_simcontext());
	return delay == sc_max_time() - sc_time_stamp() ? TIME_NEVER_PS : systemc_now_ps() + delay.value();
}

} // namespace

struct kernel_process {
	std::string name;
	kernel_step_fn *step;
	void *ctx;
	size_t index; // in order of creation
	uint64_t due_ps;
};

namespace
{

// Runs the processes. SystemC sees one method with one event, notified for the earliest time any process wants; inside,
// processes are called in order of their times, and at equal times in order of creation.
//
// As long as SystemC has nothing else to do before a process is due, time goes on inside the method, without the
// round through SystemC's event queue: four fifths of all events are of that kind, and they cost a fifth of the price.
struct scheduler : sc_module {
	SC_HAS_PROCESS(scheduler);

	struct entry {
		uint64_t at_ps;
		kernel_process *process;

		bool before(const entry &other) const
		{
			return at_ps != other.at_ps ? at_ps < other.at_ps
						    : process->index < other.process->index;
		}
	};

	explicit scheduler(const sc_module_name &module_name) : sc_module(module_name)
	{
		SC_METHOD(run);
		sensitive << event;
		dont_initialize();
	}

	uint64_t next_due_ps() const { return waiting == 0 ? TIME_NEVER_PS : queue[waiting - 1].at_ps; }

	void run()
	{
		running = true;
		armed_ps = TIME_NEVER_PS;
		now_ps = systemc_now_ps();
		limit_ps = systemc_next_ps();
		if (observer)
			observer->begin(observer->ctx, now_ps);
		while (!stopping && waiting != 0) {
			entry first = queue[waiting - 1];
			if (first.at_ps > now_ps) {
				if (observer || first.at_ps >= limit_ps || first.at_ps > until_ps)
					break;
				now_ps = first.at_ps;
			}
			waiting--;
			first.process->due_ps = TIME_NEVER_PS;
			events++;
			wake(first.process, first.process->step(first.process->ctx, now_ps));
		}
		running = false;
		if (observer)
			observer->end(observer->ctx, now_ps);
		arm();
	}

	void wake(kernel_process *process, uint64_t at_ps)
	{
		if (at_ps >= process->due_ps)
			return;
		if (process->due_ps != TIME_NEVER_PS)
			remove(process);
		process->due_ps = at_ps;
		insert(entry{at_ps, process});
		if (!running)
			arm();
	}

	// The queue is short (a process stands in it once, and most sleep) and what is added is mostly due soon: a sorted
	// array, the earliest at its end, is faster here than any heap.
	void insert(entry added)
	{
		size_t at = waiting++;
		for (; at > 0 && queue[at - 1].before(added); at--)
			queue[at] = queue[at - 1];
		queue[at] = added;
	}

	void remove(const kernel_process *process)
	{
		size_t at = waiting - 1;
		while (queue[at].process != process)
			at--;
		for (waiting--; at < waiting; at++)
			queue[at] = queue[at + 1];
	}

	void arm()
	{
		uint64_t at_ps = next_due_ps();
		if (at_ps >= armed_ps)
			return;
		armed_ps = at_ps;
		notify(event, at_ps);
	}

	void notify(sc_event &target, uint64_t at_ps)
	{
		uint64_t systemc_ps = systemc_now_ps();
		if (at_ps < now())
			at_ps = now();
		if (at_ps <= systemc_ps)
			target.notify(SC_ZERO_TIME);
		else
			target.notify(time_of(at_ps - systemc_ps));
		if (at_ps < limit_ps)
			limit_ps = at_ps;
	}

	uint64_t now() const
	{
		if (running) // and so never behind SystemC
			return now_ps;
		uint64_t systemc_ps = systemc_now_ps();
		return now_ps > systemc_ps ? now_ps : systemc_ps;
	}

	sc_event event;
	std::deque<kernel_process> processes;
	std::array<entry, 64> queue;       // of processes that want to run, latest first
	size_t waiting = 0;                // entries of it
	uint64_t now_ps = 0;               // of the process that runs; may be ahead of SystemC
	uint64_t limit_ps = 0;             // SystemC has something to do then
	uint64_t armed_ps = TIME_NEVER_PS; // event is notified for then
	uint64_t until_ps = TIME_NEVER_PS; // end of the present kernel_run
	uint64_t events = 0;
	bool running = false, stopping = false;
	const kernel_observer *observer = nullptr;
};

// SystemC's kernel is one per process, and so is this part of it. Made on first use, because SystemC is not ready before main.
scheduler *only_scheduler;

[[gnu::noinline]] scheduler &make_scheduler()
{
	only_scheduler = new scheduler("kernel");
	return *only_scheduler;
}

inline scheduler &the_scheduler()
{
	return only_scheduler ? *only_scheduler : make_scheduler();
}

} // namespace

struct kernel_event {
	sc_event event;
};

uint64_t kernel_now_ps(void)
{
	return the_scheduler().now();
}

uint64_t kernel_next_ps(void)
{
	scheduler &s = the_scheduler();
	uint64_t due_ps = s.next_due_ps();
	uint64_t systemc_ps = s.running ? s.limit_ps : systemc_next_ps();
	return due_ps < systemc_ps ? due_ps : systemc_ps;
}

void kernel_run(uint64_t until_ps)
{
	scheduler &s = the_scheduler();
	uint64_t systemc_ps = systemc_now_ps();
	if (until_ps < s.now())
		return;
	s.until_ps = until_ps;
	s.stopping = false;
	s.armed_ps = TIME_NEVER_PS; // a stop may have left it behind
	s.arm();
	sc_time span =
		until_ps == TIME_NEVER_PS ? sc_max_time() - sc_time_stamp() : time_of(until_ps - systemc_ps);
	sc_start(span, SC_EXIT_ON_STARVATION);
	// SystemC comes to the end with what is due just then not yet done: that takes another start, of no duration.
	while (!s.stopping && systemc_now_ps() == until_ps && sc_pending_activity_at_current_time())
		sc_start(SC_ZERO_TIME, SC_EXIT_ON_STARVATION);
}

void kernel_stop(void)
{
	the_scheduler().stopping = true;
	sc_pause();
}

uint64_t kernel_events(void)
{
	return the_scheduler().events;
}

struct kernel_process *kernel_process_create(const char *name, kernel_step_fn *step, void *ctx)
{
	scheduler &s = the_scheduler();
	ASSERT(s.processes.size() < s.queue.size());
	s.processes.push_back(kernel_process{name, step, ctx, s.processes.size(), TIME_NEVER_PS});
	return &s.processes.back();
}

void kernel_process_wake(struct kernel_process *process, uint64_t at_ps)
{
	the_scheduler().wake(process, at_ps);
}

void kernel_thread_spawn(const char *name, kernel_thread_fn *fn, void *arg)
{
	sc_spawn_options options;
	options.set_stack_size(256 * 1024);
	sc_spawn([fn, arg] { fn(arg); }, name, &options);
}

void kernel_wait_ps(uint64_t delay_ps)
{
	the_scheduler().events++;
	wait(time_of(delay_ps));
}

struct kernel_event *kernel_event_create(void)
{
	return new kernel_event;
}

void kernel_event_free(struct kernel_event *event)
{
	delete event;
}

void kernel_event_notify(struct kernel_event *event, uint64_t at_ps)
{
	the_scheduler().notify(event->event, at_ps);
}

void kernel_event_wait(struct kernel_event *event)
{
	the_scheduler().events++;
	wait(event->event);
}

void kernel_event_wait_until(struct kernel_event *event, uint64_t until_ps)
{
	uint64_t now_ps = kernel_now_ps();
	the_scheduler().events++;
	if (until_ps > now_ps)
		wait(time_of(until_ps - now_ps), event->event);
}

void kernel_observe(const struct kernel_observer *observer)
{
	the_scheduler().observer = observer;
}
