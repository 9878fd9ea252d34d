/* The core's timer: a count of core clock cycles since power-on and one compare register.
 *
 * The count never stops and no reset touches it. The TIMER event is a level: time >= compare. */
#ifndef KICKSTAND_BLOCKS_TIMER_TIMER_H
#define KICKSTAND_BLOCKS_TIMER_TIMER_H

#include "pcie/base.h"
#include "rtl-model/fifo.h"

#ifdef __cplusplus
extern "C" {
#endif

struct timer {
	const struct waker *self;
	uint64_t period_ps;
	uint64_t compare_cycles;
	uint32_t compare_lo; /* as written; counts from the next write of COMPARE_HI on */
	uint32_t latched_hi; /* upper half of the time at the last read of TIME_LO */
};

/* `period_ps`: of the core clock. `self` is woken when compare changes: the event may have changed, and timer_step
 * wants to run at another time. */
void timer_init(struct timer *timer, uint64_t period_ps, const struct waker *self);

/* Compare as far away as it goes, no event. */
void timer_reset(struct timer *timer);

/* Returns when the event will be raised, TIME_NEVER_PS if it is raised already or never will be. */
uint64_t timer_step(struct timer *timer, uint64_t now_ps);

/* Level of the TIMER event. */
bool timer_event(const struct timer *timer, uint64_t now_ps);

/* Registers of block TIMER. False: no such register. */
bool timer_csr_read(struct timer *timer, uint64_t now_ps, uint32_t offset, uint32_t *value);
bool timer_csr_write(struct timer *timer, uint64_t now_ps, uint32_t offset, uint32_t value);

#ifdef __cplusplus
}
#endif
#endif
