/* What the instruction-set simulator and the shell of the RTL core share: time and statistics, the host-target interface,
 * the dump. Private to blocks/cpu. */
#ifndef KICKSTAND_BLOCKS_CPU_COMMON_H
#define KICKSTAND_BLOCKS_CPU_COMMON_H

#include "rtl-model/blocks/cpu/cpu.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Interrupt lines there are: bits of mip and mie (privileged ISA §3.1.9). */
#define INTERRUPTS 0x00000888u

/* ---- time ---- */

/* Local time is start_ps + (cycles + asleep_cycles) * period_ps. */
struct account {
	uint64_t start_ps, period_ps;
	uint64_t woken_periods; /* cycles + asleep_cycles when the last wfi ended */
	struct cpu_stats count; /* up to local time */
};

void account_reset(struct account *account, uint64_t now_ps);

static inline uint64_t account_time_ps(const struct account *account)
{
	return account->start_ps +
	       (account->count.cycles + account->count.asleep_cycles) * account->period_ps;
}

/* Clock edges from local time to the first one at or after `at_ps`. */
uint64_t account_periods_until(const struct account *account, uint64_t at_ps);

/* A core that is asleep wakes on the first edge at or after `now_ps`. */
void account_wake(struct account *account, uint64_t now_ps);

/* As cpu_stats, of a core in `state`. */
struct cpu_stats account_stats(const struct account *account, enum cpu_state state, uint64_t now_ps);

/* ---- host-target interface ---- */

struct htif {
	const struct cpu_memory *memory; /* the core's CPU_MEMORIES */
	uint32_t tohost, fromhost;
	FILE *console;
	unsigned exit_code;
};

/* Odd, so that no word has this address: there is no tohost or fromhost. */
#define HTIF_NONE 1u

/* As cpu_set_htif. */
void htif_set(struct htif *htif, uint32_t tohost, uint32_t fromhost, FILE *console);

/* Serves what the program has just written to tohost. True if it has ended. */
MUST_USE bool htif_serve(struct htif *htif);

/* ---- dump ---- */

/* The last control transfers. */
enum { TRANSFERS = 16 };
struct transfers {
	uint64_t count; /* transfer n stands at ring[n % TRANSFERS] */
	struct {
		uint32_t from, to;
	} ring[TRANSFERS];
};

static inline void transfers_add(struct transfers *t, uint32_t from, uint32_t to)
{
	uint64_t at = t->count++ % TRANSFERS;
	t->ring[at].from = from;
	t->ring[at].to = to;
}

/* As cpu_dump. */
void dump_core(const struct cpu *cpu, const struct transfers *transfers, FILE *out);

/* csr.c: calls `each` for every machine CSR worth a look. */
void csr_each(void (*each)(void *ctx, const char *name, unsigned number), void *ctx);

#ifdef __cplusplus
}
#endif
#endif
