/* Reads a VCD file (IEEE 1364-2005 §18), for tests of waves. */
#ifndef KICKSTAND_TESTS_VCD_H
#define KICKSTAND_TESTS_VCD_H

#include "tests/check.h"

#include <stdbool.h>

struct vcd_change {
	uint64_t at_ps, value; /* the low 64 bits */
};

struct vcd_values {
	struct vcd_change *change; /* in ascending time, the first one included */
	size_t changes;
};

struct vcd_signal {
	char *name; /* "model.dma.busy": scopes and signal, without its range */
	unsigned bits;
	size_t values; /* index; signals that are the same share it */
};

struct vcd {
	struct vcd_signal *signal;
	size_t signals;
	struct vcd_values *values;
	size_t codes;
	uint64_t end_ps;
};

/* Fails the test if the file is no VCD in picoseconds or its times go back. */
struct vcd vcd_read(const char *path);
void vcd_free(struct vcd *vcd);

/* Fails the test if there is no such signal. */
const struct vcd_values *vcd_of(const struct vcd *vcd, const char *name);
bool vcd_has(const struct vcd *vcd, const char *name);

/* Value at the end of the picosecond; as it was at first before that. */
uint64_t vcd_at(const struct vcd_values *values, uint64_t at_ps);
uint64_t vcd_last(const struct vcd_values *values);
/* How often it became `value`, from another. */
unsigned vcd_times(const struct vcd_values *values, uint64_t value);

#endif
