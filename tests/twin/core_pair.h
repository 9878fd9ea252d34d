/* Both implementations of the core as one: the RTL core runs in the device, and the instruction-set simulator follows it
 * instruction by instruction, fed with the answers the RTL core got from the registers. Both must do the same at the same
 * time. Linked with --wrap=cpu_create, so that any device gets such a pair. For firmware that leaves mstatus.MIE off. */
#ifndef KICKSTAND_TESTS_TWIN_CORE_PAIR_H
#define KICKSTAND_TESTS_TWIN_CORE_PAIR_H

#include "rtl-model/blocks/cpu/cpu.h"

struct core_pair_figures {
	uint64_t instructions, accesses, sleeps;
};

/* What the process's pair has compared so far; ends the child of machine.h if the memories differ. */
struct core_pair_figures core_pair_check(void);

#endif
