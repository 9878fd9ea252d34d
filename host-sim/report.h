/* The report a person reads. */
#ifndef KICKSTAND_HOST_SIM_REPORT_H
#define KICKSTAND_HOST_SIM_REPORT_H

#include "host-sim/results.h"

void report_print(const struct run *run, FILE *out);

/* One line about a run with errors: what failed first. */
void report_first_error(const struct run *run, FILE *out);

/* Its parts about the card: doorbells, interrupts, core, medium and link of so many requests; stages of a request. */
void report_card(const struct config *config, const struct figures *f, uint64_t requests, FILE *out);
void report_stages(const struct stages *stages, FILE *out);

#endif
