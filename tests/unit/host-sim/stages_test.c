#include "host-sim/stages.h"
#include "tests/check.h"

static struct stamps no_stamps(void)
{
	struct stamps stamps;
	for (unsigned i = 0; i < STAGE_COUNT; i++)
		stamps.at_ps[i] = TIME_NEVER_PS;
	return stamps;
}

static uint64_t length(const struct spans *spans, enum span span)
{
	for (unsigned i = 0; i < SPAN_COUNT; i++)
		if (spans->what[i] == span)
			return spans->from_ps[i + 1] - spans->from_ps[i];
	fail_msg("no span %d", span);
	return 0;
}

/* A read that passed everywhere, each stage one longer than the one before. */
static void test_spans_of_full_read_are_the_differences(void **state)
{
	(void)state;
	const struct guest_stamps guest = {1000, 1001, 1066, 1078};
	struct stamps card = no_stamps();
	const uint64_t at_ps[STAGE_COUNT] = {
		[STAGE_DOORBELL] = 1003,    [STAGE_SERVICE] = 1006,   [STAGE_HEAD] = 1010,
		[STAGE_RECORD] = 1015,      [STAGE_FIRMWARE] = 1021,  [STAGE_JOB] = 1028,
		[STAGE_MEDIA_START] = 1030, [STAGE_MEDIA_END] = 1036, [STAGE_JOB_DONE] = 1045,
		[STAGE_USED_PUSH] = 1055,   [STAGE_USED] = 1056};
	memcpy(card.at_ps, at_ps, sizeof(at_ps));
	struct spans spans = spans_of(&guest, &card, false);
	const uint64_t expected[SPAN_COUNT] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 10, 12};
	for (unsigned i = 0; i < SPAN_COUNT; i++)
		assert_int_equal(length(&spans, (enum span)i), expected[i]);
}

/* A write's data comes before the medium starts. */
static void test_spans_of_write_put_data_before_medium(void **state)
{
	(void)state;
	const struct guest_stamps guest = {0, 0, 100, 100};
	struct stamps card = no_stamps();
	card.at_ps[STAGE_JOB] = 10;
	card.at_ps[STAGE_MEDIA_START] = 30;
	card.at_ps[STAGE_MEDIA_END] = 90;
	card.at_ps[STAGE_JOB_DONE] = 90;
	card.at_ps[STAGE_USED_PUSH] = card.at_ps[STAGE_USED] = 90;
	struct spans spans = spans_of(&guest, &card, true);
	assert_int_equal(length(&spans, SPAN_MEDIUM) + length(&spans, SPAN_DATA), 80);
	assert_int_equal(length(&spans, SPAN_DATA), 20);
	assert_int_equal(length(&spans, SPAN_MEDIUM), 60);
}

static void test_spans_without_own_doorbell_leave_it_out(void **state)
{
	(void)state;
	const struct guest_stamps guest = {100, 110, 200, 210};
	struct stamps card = no_stamps();
	card.at_ps[STAGE_DOORBELL] = 50; /* of an earlier request */
	card.at_ps[STAGE_SERVICE] = 60;
	card.at_ps[STAGE_HEAD] = 130;
	struct spans spans = spans_of(&guest, &card, false);
	assert_int_equal(length(&spans, SPAN_NOTIFY), 0);
	assert_int_equal(length(&spans, SPAN_SUBMIT), 10);
	/* Until the ring entry was known it was the ring that was waited for. */
	assert_int_equal(length(&spans, SPAN_DOORBELL) + length(&spans, SPAN_RING), 20);
	assert_int_equal(length(&spans, SPAN_DOORBELL), 0);
}

/* Whatever the stamps, spans are in order, without gap, from creation to completion. */
static void test_spans_always_add_up(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(1), 0);
	for (unsigned round = 0; round < 20000; round++) {
		struct guest_stamps guest;
		struct stamps card;
		guest.created_ps = rng_below(&rng, 1000);
		guest.submitted_ps = guest.created_ps + rng_below(&rng, 100);
		guest.completed_ps = guest.submitted_ps + rng_below(&rng, 1000);
		guest.handler_ps = rng_below(&rng, 3000);
		for (unsigned i = 0; i < STAGE_COUNT; i++)
			card.at_ps[i] = rng_chance_ppm(&rng, 200000) ? TIME_NEVER_PS : rng_below(&rng, 3000);
		struct spans spans = spans_of(&guest, &card, rng_below(&rng, 2));
		assert_int_equal(spans.from_ps[0], guest.created_ps);
		assert_int_equal(spans.from_ps[SPAN_COUNT], guest.completed_ps);
		for (unsigned i = 0; i < SPAN_COUNT; i++)
			assert_true(spans.from_ps[i] <= spans.from_ps[i + 1]);
	}
}

/* Of a served card: what the request was tells whether its data came before the medium. */
static void test_stages_of_the_card_follow_the_operation(void **state)
{
	static const struct {
		enum work_op op;
		uint64_t medium_ps, data_ps;
	} cases[] = {{WORK_READ, 80, 10}, {WORK_WRITE, 60, 30}, {WORK_FLUSH, 80, 10}};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stages *stages = calloc(1, sizeof(*stages));
		struct stamps card = no_stamps();
		const struct probe_work work = {.op = cases[i].op};
		assert_non_null(stages);
		card.at_ps[STAGE_HEAD] = card.at_ps[STAGE_JOB] = 100;
		card.at_ps[STAGE_MEDIA_START] = 130;
		card.at_ps[STAGE_MEDIA_END] = 180;
		card.at_ps[STAGE_JOB_DONE] = card.at_ps[STAGE_USED_PUSH] = card.at_ps[STAGE_USED] = 190;
		stages_record_card(stages, &card, &work);
		assert_int_equal(stages->span[SPAN_MEDIUM].max, cases[i].medium_ps);
		assert_int_equal(stages->span[SPAN_DATA].max, cases[i].data_ps);
		free(stages);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spans_of_full_read_are_the_differences),
		cmocka_unit_test(test_spans_of_write_put_data_before_medium),
		cmocka_unit_test(test_spans_without_own_doorbell_leave_it_out),
		cmocka_unit_test(test_spans_always_add_up),
		cmocka_unit_test(test_stages_of_the_card_follow_the_operation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
