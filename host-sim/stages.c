#include "host-sim/stages.h"

/* Later of `at` and the point before it; a stamp that is missing (or older, as that of a doorbell for earlier requests)
 * makes its span empty. */
static uint64_t not_before(uint64_t at_ps, uint64_t previous_ps)
{
	return at_ps == TIME_NEVER_PS || at_ps < previous_ps ? previous_ps : at_ps;
}

struct spans spans_of(const struct guest_stamps *guest, const struct stamps *card, bool write)
{
	const uint64_t *at = card->at_ps;
	/* A write's data comes first: the medium starts when it is there. A read's medium ends before the data moves. */
	uint64_t data_border_ps = write ? at[STAGE_MEDIA_START] : at[STAGE_MEDIA_END];
	bool own_doorbell = at[STAGE_DOORBELL] != TIME_NEVER_PS && at[STAGE_DOORBELL] >= guest->submitted_ps;
	uint64_t points[SPAN_COUNT + 1] = {
		[SPAN_SUBMIT] = guest->created_ps,
		[SPAN_DOORBELL] = guest->submitted_ps,
		[SPAN_NOTIFY] = own_doorbell ? at[STAGE_DOORBELL] : TIME_NEVER_PS,
		[SPAN_RING] = own_doorbell ? at[STAGE_SERVICE] : TIME_NEVER_PS,
		[SPAN_FETCH] = at[STAGE_HEAD],
		[SPAN_CORE_WAIT] = at[STAGE_RECORD],
		[SPAN_FIRMWARE] = at[STAGE_FIRMWARE],
		[SPAN_MEDIUM] = at[STAGE_JOB],
		[SPAN_DATA] = data_border_ps,
		[SPAN_DONE] = at[STAGE_JOB_DONE],
		[SPAN_USED] = at[STAGE_USED_PUSH],
		[SPAN_INTERRUPT] = at[STAGE_USED],
		[SPAN_COMPLETE] = guest->handler_ps,
		[SPAN_COUNT] = guest->completed_ps,
	};
	struct spans spans;
	uint64_t previous_ps = guest->created_ps;
	for (unsigned i = 0; i < SPAN_COUNT; i++)
		spans.what[i] = (enum span)i;
	if (write) {
		spans.what[SPAN_MEDIUM] = SPAN_DATA;
		spans.what[SPAN_DATA] = SPAN_MEDIUM;
	}
	for (unsigned i = 0; i <= SPAN_COUNT; i++) {
		uint64_t at_ps = not_before(points[i], previous_ps);
		if (at_ps >
		    guest->completed_ps) /* stamps of the card after the guest saw it: seen by polling */
			at_ps = guest->completed_ps;
		spans.from_ps[i] = previous_ps = at_ps;
	}
	return spans;
}

void stages_record(struct stages *stages, const struct spans *spans)
{
	for (unsigned i = 0; i < SPAN_COUNT; i++)
		histogram_record(&stages->span[spans->what[i]], spans->from_ps[i + 1] - spans->from_ps[i]);
}

void stages_record_card(struct stages *stages, const struct stamps *card, const struct probe_work *work)
{
	const uint64_t *at = card->at_ps;
	uint64_t from_ps = min_u64(at[STAGE_SERVICE], at[STAGE_HEAD]);
	const struct guest_stamps guest = {.created_ps = from_ps,
					   .submitted_ps = from_ps,
					   .handler_ps = at[STAGE_USED],
					   .completed_ps = at[STAGE_USED]};
	if (from_ps == TIME_NEVER_PS || at[STAGE_USED] == TIME_NEVER_PS)
		return;
	struct spans spans = spans_of(&guest, card, work->op == WORK_WRITE);
	stages_record(stages, &spans);
}

static const struct {
	const char *name, *meaning;
} names[SPAN_COUNT] = {
	[SPAN_SUBMIT] = {"submit", "guest builds the request"},
	[SPAN_DOORBELL] = {"doorbell", "doorbell write reaches the card"},
	[SPAN_NOTIFY] = {"notify", "hold-off and arbitration"},
	[SPAN_RING] = {"ring", "available index and entry are read"},
	[SPAN_FETCH] = {"fetch", "descriptors and header are read"},
	[SPAN_CORE_WAIT] = {"core_wait", "the core is busy or asleep"},
	[SPAN_FIRMWARE] = {"firmware", "firmware checks it and starts the job"},
	[SPAN_MEDIUM] = {"medium", "medium, its queue included"},
	[SPAN_DATA] = {"data", "data between card and guest memory"},
	[SPAN_DONE] = {"done", "firmware takes the finished job"},
	[SPAN_USED] = {"used", "used-ring writer"},
	[SPAN_INTERRUPT] = {"interrupt", "interrupt decision, message, entry"},
	[SPAN_COMPLETE] = {"complete", "driver completes it"},
};

const char *span_name(enum span span)
{
	return names[span].name;
}

const char *span_meaning(enum span span)
{
	return names[span].meaning;
}
