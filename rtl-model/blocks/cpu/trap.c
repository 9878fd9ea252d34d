#include "rtl-model/blocks/cpu/state.h"

#define CAUSE_INTERRUPT 0x80000000u

static uint32_t handler_base(const struct iss *c)
{
	return c->machine.mtvec & ~3u;
}

static void enter(struct iss *c, uint32_t cause, uint32_t tval, uint32_t handler)
{
	struct machine *m = &c->machine;
	m->mepc = c->pc;
	m->mcause = cause;
	m->mtval = tval;
	m->mstatus = MSTATUS_MPP | (m->mstatus & MSTATUS_MIE ? MSTATUS_MPIE : 0);
	transfers_add(&c->transfers, c->pc, handler);
	c->pc = handler;
	/* The slot of the instruction that does not retire, or does not start, and the way to the handler. */
	c->account.count.cycles += 1 + c->cycle_table.trap;
}

void cpu_exception(struct iss *c, enum cause cause, uint32_t tval)
{
	/* The handler's own first instruction traps: it would do so for ever. */
	if (c->pc == handler_base(c))
		c->state = CPU_STUCK;
	c->account.count.traps++;
	enter(c, cause, tval, handler_base(c));
}

bool cpu_interruptible(const struct iss *c)
{
	return (c->machine.mstatus & MSTATUS_MIE) && c->machine.mie;
}

bool cpu_take_interrupt(struct iss *c)
{
	static const unsigned priority[] = {11, 3, 7}; /* privileged ISA §3.1.9: external, software, timer */
	uint32_t pending = c->machine.mip & c->machine.mie;
	if (!(c->machine.mstatus & MSTATUS_MIE) || !pending)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(priority); i++) {
		unsigned bit = priority[i];
		if (!(pending >> bit & 1))
			continue;
		bool vectored = c->machine.mtvec & 1;
		c->account.count.interrupts++;
		enter(c, CAUSE_INTERRUPT | bit, 0, handler_base(c) + (vectored ? 4 * bit : 0));
		return true;
	}
	ASSERT(false);
	return false;
}

void cpu_leave_trap(struct iss *c)
{
	struct machine *m = &c->machine;
	m->mstatus = MSTATUS_MPP | MSTATUS_MPIE | (m->mstatus & MSTATUS_MPIE ? MSTATUS_MIE : 0);
	c->pc = m->mepc;
}
