#include "host-sim/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Places a request is at, top to bottom in the picture. */
enum place {
	PLACE_GUEST,
	PLACE_NOTIFY,
	PLACE_FETCH,
	PLACE_CORE,
	PLACE_MEDIUM,
	PLACE_DATA,
	PLACE_USED,
	PLACE_COUNT
};

#define LANES 512u

struct trace {
	FILE *out;
	const char *path;
	bool first;
	uint64_t requests;
	uint64_t lane_free_ps[PLACE_COUNT][LANES]; /* end of the latest slice on each lane */
};

static const char *const place_names[PLACE_COUNT] = {
	[PLACE_GUEST] = "guest",    [PLACE_NOTIFY] = "notify unit", [PLACE_FETCH] = "fetch engine",
	[PLACE_CORE] = "core",      [PLACE_MEDIUM] = "medium",      [PLACE_DATA] = "data mover",
	[PLACE_USED] = "used ring",
};

static const enum place place_of[SPAN_COUNT] = {
	[SPAN_SUBMIT] = PLACE_GUEST,   [SPAN_DOORBELL] = PLACE_GUEST, [SPAN_NOTIFY] = PLACE_NOTIFY,
	[SPAN_RING] = PLACE_FETCH,     [SPAN_FETCH] = PLACE_FETCH,    [SPAN_CORE_WAIT] = PLACE_CORE,
	[SPAN_FIRMWARE] = PLACE_CORE,  [SPAN_MEDIUM] = PLACE_MEDIUM,  [SPAN_DATA] = PLACE_DATA,
	[SPAN_DONE] = PLACE_CORE,      [SPAN_USED] = PLACE_USED,      [SPAN_INTERRUPT] = PLACE_GUEST,
	[SPAN_COMPLETE] = PLACE_GUEST,
};

static const char *const ddir_names[] = {"read", "write", "trim", "sync", "datasync"};

static void begin_event(struct trace *trace)
{
	fputs(trace->first ? "\n" : ",\n", trace->out);
	trace->first = false;
}

/* Timestamps are microseconds; three decimals are nanoseconds, six picoseconds. */
static void print_us(struct trace *trace, const char *key, uint64_t ps)
{
	fprintf(trace->out, "\"%s\":%" PRIu64 ".%06" PRIu64 ",", key, ps / PS_PER_US, ps % PS_PER_US);
}

static void name_place(struct trace *trace, enum place place)
{
	begin_event(trace);
	fprintf(trace->out, "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"args\":{\"name\":\"%s\"}}",
		place + 1, place_names[place]);
	begin_event(trace);
	fprintf(trace->out,
		"{\"ph\":\"M\",\"name\":\"process_sort_index\",\"pid\":%d,\"args\":{\"sort_index\":%d}}",
		place + 1, place);
}

struct trace *trace_open(const char *path, char *error, size_t error_size)
{
	struct trace *trace = calloc(1, sizeof(*trace));
	FILE *out = trace ? fopen(path, "w") : NULL;
	if (!out) {
		snprintf(error, error_size, "--trace %s: cannot write: %s", path, strerror(errno));
		free(trace);
		return NULL;
	}
	trace->out = out;
	trace->path = path;
	trace->first = true;
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", out);
	for (unsigned i = 0; i < PLACE_COUNT; i++)
		name_place(trace, (enum place)i);
	return trace;
}

/* A lane on which nothing is at `from_ps`. Requests are written in order of completion, so a lane whose latest slice has
 * ended by then has no later one. */
static unsigned take_lane(struct trace *trace, enum place place, uint64_t from_ps, uint64_t to_ps)
{
	uint64_t *free_ps = trace->lane_free_ps[place];
	unsigned lane = 0;
	while (lane < LANES - 1 && free_ps[lane] > from_ps)
		lane++;
	free_ps[lane] = max_u64(free_ps[lane], to_ps);
	return lane;
}

static void print_slice(struct trace *trace, enum span span, unsigned lane, uint64_t from_ps, uint64_t to_ps,
			unsigned queue, enum io_ddir ddir, uint64_t offset, uint32_t bytes)
{
	begin_event(trace);
	fprintf(trace->out, "{\"ph\":\"X\",\"name\":\"%s\",\"cat\":\"request\",\"pid\":%d,\"tid\":%u,",
		span_name(span), place_of[span] + 1, lane);
	print_us(trace, "ts", from_ps);
	print_us(trace, "dur", to_ps - from_ps);
	fprintf(trace->out,
		"\"args\":{\"request\":%" PRIu64 ",\"queue\":%u,\"op\":\"%s\",\"offset\":%" PRIu64
		",\"bytes\":%u}}",
		trace->requests, queue, ddir_names[ddir], offset, bytes);
}

/* Flow events bind to the slice that encloses their time on the same lane. */
static void print_flow(struct trace *trace, char phase, enum span span, unsigned lane, uint64_t at_ps)
{
	begin_event(trace);
	fprintf(trace->out,
		"{\"ph\":\"%c\",\"name\":\"request\",\"cat\":\"request\",\"id\":%" PRIu64
		",\"pid\":%d,\"tid\":%u,",
		phase, trace->requests, place_of[span] + 1, lane);
	print_us(trace, "ts", at_ps);
	fputs("\"bp\":\"e\"}", trace->out);
}

void trace_request(struct trace *trace, unsigned queue, enum io_ddir ddir, uint64_t offset, uint32_t bytes,
		   const struct spans *spans)
{
	unsigned last = SPAN_COUNT;
	trace->requests++;
	for (unsigned i = 0; i < SPAN_COUNT; i++)
		if (spans->from_ps[i + 1] > spans->from_ps[i])
			last = i;
	bool begun = false;
	for (unsigned i = 0; i < SPAN_COUNT; i++) {
		uint64_t from_ps = spans->from_ps[i], to_ps = spans->from_ps[i + 1];
		if (to_ps == from_ps)
			continue;
		enum span span = spans->what[i];
		unsigned lane = take_lane(trace, place_of[span], from_ps, to_ps);
		print_slice(trace, span, lane, from_ps, to_ps, queue, ddir, offset, bytes);
		if (i == last && !begun)
			break; /* a single slice needs no arrow */
		print_flow(trace, !begun ? 's' : i == last ? 'f' : 't', span, lane, from_ps);
		begun = true;
	}
}

void trace_doorbell(struct trace *trace, unsigned cpu, unsigned queue, uint64_t at_ps)
{
	begin_event(trace);
	fprintf(trace->out, "{\"ph\":\"i\",\"s\":\"p\",\"name\":\"doorbell\",\"pid\":%d,\"tid\":%u,",
		PLACE_GUEST + 1, cpu);
	print_us(trace, "ts", at_ps);
	fprintf(trace->out, "\"args\":{\"queue\":%u}}", queue);
}

int trace_close(struct trace *trace, char *error, size_t error_size)
{
	fputs("\n]}\n", trace->out);
	bool bad = ferror(trace->out) != 0;
	bad = fclose(trace->out) != 0 || bad;
	if (bad)
		snprintf(error, error_size, "--trace %s: not all of it could be written: %s", trace->path,
			 strerror(errno));
	free(trace);
	return bad ? -1 : 0;
}
