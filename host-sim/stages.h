/* Where a request's time goes: the card's stamps (rtl-model/probe.h) and the guest's own put together into stages that
 * follow each other without gap and add up to the latency. */
#ifndef KICKSTAND_HOST_SIM_STAGES_H
#define KICKSTAND_HOST_SIM_STAGES_H

#include "host-sim/histogram.h"
#include "rtl-model/probe.h"

enum span {
	SPAN_SUBMIT,    /* guest: building the request, until it is in the ring */
	SPAN_DOORBELL,  /* doorbell written and on its way; absent if none was needed */
	SPAN_NOTIFY,    /* notify unit: hold-off, arbitration */
	SPAN_RING,      /* fetch engine: avail.idx and ring entry */
	SPAN_FETCH,     /* fetch engine: descriptors and header */
	SPAN_CORE_WAIT, /* parsed, until the firmware takes it */
	SPAN_FIRMWARE,  /* firmware: checks, job */
	SPAN_MEDIUM,    /* medium, waiting for a channel included */
	SPAN_DATA,      /* data between card and guest memory */
	SPAN_DONE,      /* data moved, until the firmware completes it */
	SPAN_USED,      /* used-ring writer */
	SPAN_INTERRUPT, /* used ring written, until the driver's handler runs */
	SPAN_COMPLETE,  /* guest: handler running, until this request is completed */
	SPAN_COUNT,
};

/* The guest's stamps of a request. */
struct guest_stamps {
	uint64_t created_ps, submitted_ps, handler_ps, completed_ps;
};

/* A request's stages in order of time: the i-th is what[i], from from_ps[i] to from_ps[i + 1]. */
struct spans {
	enum span what[SPAN_COUNT];
	uint64_t from_ps[SPAN_COUNT + 1];
};

/* `write`: data goes to the medium after it has come from the guest, so these two change places. Stages that were skipped
 * are empty. */
struct spans spans_of(const struct guest_stamps *guest, const struct stamps *card, bool write);

struct stages {
	struct histogram span[SPAN_COUNT];
};

void stages_record(struct stages *stages, const struct spans *spans);
/* The card's part of a request whose guest keeps no time: from doorbell or service until it is used. */
void stages_record_card(struct stages *stages, const struct stamps *card, const struct probe_work *work);

/* "doorbell", and what it is, for reports. */
const char *span_name(enum span span);
const char *span_meaning(enum span span);

#endif
