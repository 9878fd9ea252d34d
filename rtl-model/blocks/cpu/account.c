#include "rtl-model/blocks/cpu/common.h"

void account_reset(struct account *account, uint64_t now_ps)
{
	account->start_ps = now_ps;
	account->woken_periods = 0;
	account->count = (struct cpu_stats){0};
}

uint64_t account_periods_until(const struct account *account, uint64_t at_ps)
{
	uint64_t local_ps = account_time_ps(account);
	return at_ps <= local_ps ? 0 : (at_ps - local_ps - 1) / account->period_ps + 1;
}

void account_wake(struct account *account, uint64_t now_ps)
{
	struct cpu_stats *count = &account->count;
	count->asleep_cycles += account_periods_until(account, now_ps);
	account->woken_periods = count->cycles + count->asleep_cycles;
}

struct cpu_stats account_stats(const struct account *account, enum cpu_state state, uint64_t now_ps)
{
	uint64_t elapsed = now_ps < account->start_ps ? 0 : (now_ps - account->start_ps) / account->period_ps;
	struct cpu_stats stats = account->count;
	if (elapsed >= stats.cycles + stats.asleep_cycles && state != CPU_RUNNING) {
		stats.asleep_cycles = elapsed - stats.cycles;
	} else {
		/* The core has run ahead of now, or is about to go on: awake, except that a core which was woken between
		 * two edges sleeps until the second. */
		uint64_t woken = account->woken_periods;
		stats.asleep_cycles -= woken > elapsed ? woken - elapsed : 0;
		stats.cycles = elapsed - stats.asleep_cycles;
	}
	return stats;
}
