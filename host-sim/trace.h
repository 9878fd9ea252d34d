/* The timeline of a run as Chrome trace events (JSON array format, read by Perfetto and chrome://tracing).
 *
 * One process per place (guest, notify, fetch, core, medium, data, used ring), one slice per request and stage there,
 * and flow arrows that follow each request from slice to slice. Slices of one place that overlap in time stand on
 * lanes below each other. */
#ifndef KICKSTAND_HOST_SIM_TRACE_H
#define KICKSTAND_HOST_SIM_TRACE_H

#include "host-sim/stages.h"
#include "host-sim/workloads/io.h"

struct trace;

/* Starts writing to a file. NULL with a one-line reason. */
struct trace *trace_open(const char *path, char *error, size_t error_size);

/* A request has been completed. */
void trace_request(struct trace *trace, unsigned queue, enum io_ddir ddir, uint64_t offset, uint32_t bytes,
		   const struct spans *spans);

/* A doorbell was written by a CPU. */
void trace_doorbell(struct trace *trace, unsigned cpu, unsigned queue, uint64_t at_ps);

/* Ends the file. Returns 0, or -1 with a reason if anything could not be written. */
MUST_USE int trace_close(struct trace *trace, char *error, size_t error_size);

#endif
