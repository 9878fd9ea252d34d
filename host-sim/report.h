/* The report a person reads. */
#ifndef KICKSTAND_HOST_SIM_REPORT_H
#define KICKSTAND_HOST_SIM_REPORT_H

#include "host-sim/results.h"

void report_print(const struct run *run, FILE *out);

#endif
