/* An integer workload of the kind firmware is made of: lists, matrices, a state machine over text, checksums.
 * Freestanding, so that the cross compiler and the host's compiler build the same text. */
#ifndef KICKSTAND_TESTS_PROGRAMS_MIX_H
#define KICKSTAND_TESTS_PROGRAMS_MIX_H

#include <stdint.h>

/* Runs the mix `rounds` times and returns a checksum over everything computed. */
uint32_t mix_run(unsigned rounds);

/* Rounds of the benchmark program, and of the one for the RTL core, which is simulated more slowly. */
#define MIX_ROUNDS       6000
#define MIX_ROUNDS_SHORT 300

#endif
