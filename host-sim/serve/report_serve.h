/* Report and results of a served card. */
#ifndef KICKSTAND_HOST_SIM_SERVE_REPORT_SERVE_H
#define KICKSTAND_HOST_SIM_SERVE_REPORT_SERVE_H

#include "host-sim/serve/serve.h"

void report_serve(const struct serve *serve, FILE *out);
/* As results_write. */
MUST_USE int results_write_serve(const struct serve *serve, const char *path, char *error, size_t error_size);

#endif
