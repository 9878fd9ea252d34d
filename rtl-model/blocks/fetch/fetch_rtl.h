/* The RTL twin of the fetch engine: ks_fetch.sv, run by Verilator behind the interface of fetch.h.
 *
 * The module is clocked while it is active or something waits for it. Register writes and freed slots are queued and presented
 * one a clock edge; a register read first clocks them in, at once, so the order of accesses is kept. What the DMA engine has
 * read is streamed to the module in beats of 16 bytes, one a cycle. */
#ifndef KICKSTAND_BLOCKS_FETCH_FETCH_RTL_H
#define KICKSTAND_BLOCKS_FETCH_FETCH_RTL_H

#include "rtl-model/blocks/fetch/fetch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* NULL when out of memory. */
struct fetch *fetch_rtl_create(const struct config *config, const struct fetch_ports *ports);

/* For tests: at each clock edge requests, completions and services are each held back with this chance. 0 ends it. */
void fetch_rtl_stall(struct fetch *fetch, uint64_t seed, unsigned percent);

/* For benchmarks: clock edges so far. */
uint64_t fetch_rtl_edges(const struct fetch *fetch);

#ifdef __cplusplus
}
#endif
#endif
