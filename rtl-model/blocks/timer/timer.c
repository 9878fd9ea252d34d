#include "rtl-model/blocks/timer/timer.h"

#include "csr.h"

void timer_init(struct timer *timer, uint64_t period_ps, const struct waker *self)
{
	*timer = (struct timer){.self = self, .period_ps = period_ps};
	timer_reset(timer);
}

void timer_reset(struct timer *timer)
{
	timer->compare_lo = CSR_TIMER_COMPARE_LO_RESET;
	timer->compare_cycles = (uint64_t)CSR_TIMER_COMPARE_HI_RESET << 32 | CSR_TIMER_COMPARE_LO_RESET;
	timer->latched_hi = CSR_TIMER_TIME_HI_RESET;
}

bool timer_event(const struct timer *timer, uint64_t now_ps)
{
	return now_ps / timer->period_ps >= timer->compare_cycles;
}

uint64_t timer_step(struct timer *timer, uint64_t now_ps)
{
	if (timer_event(timer, now_ps) || timer->compare_cycles > (TIME_NEVER_PS - 1) / timer->period_ps)
		return TIME_NEVER_PS;
	return timer->compare_cycles * timer->period_ps;
}

bool timer_csr_read(struct timer *timer, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	uint64_t cycles = now_ps / timer->period_ps;
	switch (offset) {
	case CSR_TIMER_TIME_LO:
		timer->latched_hi = (uint32_t)(cycles >> 32);
		*value = (uint32_t)cycles;
		return true;
	case CSR_TIMER_TIME_HI: *value = timer->latched_hi; return true;
	case CSR_TIMER_COMPARE_LO: *value = timer->compare_lo; return true;
	case CSR_TIMER_COMPARE_HI: *value = (uint32_t)(timer->compare_cycles >> 32); return true;
	default: return false;
	}
}

bool timer_csr_write(struct timer *timer, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case CSR_TIMER_TIME_LO:
	case CSR_TIMER_TIME_HI: return true;
	case CSR_TIMER_COMPARE_LO: timer->compare_lo = value; return true;
	case CSR_TIMER_COMPARE_HI:
		timer->compare_cycles = (uint64_t)value << 32 | timer->compare_lo;
		waker_wake(timer->self, now_ps);
		return true;
	default: return false;
	}
}
