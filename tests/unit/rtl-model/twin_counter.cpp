#include "tests/unit/rtl-model/twin_counter.h"

#include "rtl-model/twin.hpp"

#include "twin_counter/Vtwin_counter.h"

struct counter {
	counter(const char *name, uint64_t clock_period_ps) : rtl(name), period_ps(clock_period_ps) {}

	twin::instance<Vtwin_counter> rtl;
	uint64_t period_ps;
};

struct counter *counter_create(const char *name, uint64_t period_ps)
{
	return new counter(name, period_ps);
}

void counter_free(struct counter *counter)
{
	delete counter;
}

uint8_t counter_add(struct counter *counter, uint64_t now_ps, uint8_t add)
{
	counter->rtl->add_i = add;
	twin::cycle(*counter->rtl, now_ps, counter->period_ps);
	return counter->rtl->sum_o;
}
