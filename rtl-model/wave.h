/* Waves of a run (--wave): the blocks' signals as the C model shows them and, in FST, those of the RTL twins, on one time
 * axis.
 *
 * A name that ends in .fst makes an FST file. Any other makes a VCD file (.vcd is added), which SystemC writes: it has the
 * model's signals only.
 *
 * In FST what happens within one instant stands in the order in which it happened, a picosecond apart: inputs of a twin
 * just before its clock edge, so that the values left of an edge are those the edge has seen, then the edge, the next
 * twin's, and at last the model's signals. */
#ifndef KICKSTAND_RTL_MODEL_WAVE_H
#define KICKSTAND_RTL_MODEL_WAVE_H

#include "pcie/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The model's signals. Looking at them changes nothing. */
struct wave_signal {
	const char *name; /* "block.signal" */
	unsigned bits;    /* 1 to 64 */
	uint64_t (*value)(void *ctx, uint64_t now_ps);
};
struct wave_source {
	const struct wave_signal *signal;
	unsigned signals; /* at most WAVE_SIGNALS_MAX */
	void *ctx;
};
#define WAVE_SIGNALS_MAX 128u

/* Opens the file after the card and its twins have been made and before the kernel runs, once in a program. What `source`
 * points to outlives the waves. Returns 0, or -1 with a one-line reason. */
MUST_USE int wave_open(const char *path, const struct wave_source *source, char *error, size_t error_size);

/* Writes the rest; -1 with a reason if something could not be written. */
MUST_USE int wave_close(char *error, size_t error_size);

#ifdef __cplusplus
}
#endif
#endif
