#include "tests/unit/firmware/fixture.h"

#define WINDOW  1600u /* poll_cycles: a multiple of 16 */
#define RUN     1u
#define POLL    2u
#define CONTROL 7 /* word of the fetch engine's queue registers */

static const struct request read_request = {.type = VIRTIO_BLK_T_IN, .in_bytes = 512};

static void start(struct fixture *fixture, uint32_t queues, uint32_t poll_cycles, uint64_t now)
{
	struct mock_straps straps = mock_default_straps();
	straps.queues = queues;
	straps.poll_cycles = poll_cycles;
	fixture_start(fixture, &straps);
	fixture->mock->now = now;
	go_live(fixture, FEATURES_USUAL);
}

static void advance(struct fixture *fixture, uint64_t cycles)
{
	fixture->mock->now += cycles;
	settle(fixture);
}

static void request_on(struct fixture *fixture, unsigned queue)
{
	struct request request = read_request;
	request.queue = queue;
	end_job(fixture, submit(fixture, &request), JOB_RESULT_OK, NULL);
}

static bool polled(const struct fixture *fixture, unsigned queue)
{
	uint32_t control = fixture->mock->queue[queue].fetch[CONTROL];
	assert_true(control & RUN);
	return control & POLL;
}

/* How long the queue is polled if nothing more comes: to the cycle. */
static uint32_t time_window(struct fixture *fixture, unsigned queue)
{
	uint32_t cycles = 0;
	while (polled(fixture, queue)) {
		advance(fixture, 1);
		cycles++;
		assert_in_range(cycles, 1, WINDOW);
	}
	return cycles;
}

static void test_poll_off_touches_no_timer(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, 1, 0, 0);
	mock_log_clear(fixture.mock);
	request_on(&fixture, 0);
	assert_false(polled(&fixture, 0));
	assert_int_equal(mock_count(fixture.mock, false, CSR_TIMER_TIME_LO_ADDR), 0);
	assert_int_equal(mock_count(fixture.mock, true, CSR_FETCH_QUEUE_CONTROL_ADDR), 0);
	fixture_free(&fixture);
}

static void test_poll_begins_with_a_request_and_lasts_a_window_after_the_last(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, 1, WINDOW, 12345);
	assert_false(polled(&fixture, 0));
	for (unsigned i = 0; i < 20; i++) {
		request_on(&fixture, 0);
		assert_true(polled(&fixture, 0));
		advance(&fixture, WINDOW - 1);
	}
	assert_true(polled(&fixture, 0));
	assert_int_equal(time_window(&fixture, 0), 1);
	assert_true(fixture.mock->compare == UINT64_MAX); /* and the timer rests */
	fixture_free(&fixture);
}

/* The next request is out of reach of the whole window: half as long the next time, down to a sixteenth. It is within reach:
 * twice as long, up to the whole. */
static void test_poll_window_shrinks_in_vain_and_grows_when_too_short(void **state)
{
	(void)state;
	static const uint32_t shrinking[] = {WINDOW,     WINDOW / 2,  WINDOW / 4,
					     WINDOW / 8, WINDOW / 16, WINDOW / 16};
	static const uint32_t growing[] = {WINDOW / 8, WINDOW / 4, WINDOW / 2, WINDOW};
	struct fixture fixture;
	start(&fixture, 1, WINDOW, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(shrinking); i++) {
		request_on(&fixture, 0);
		assert_int_equal(time_window(&fixture, 0), shrinking[i]);
		advance(&fixture, WINDOW); /* the next request is far away */
	}
	advance(&fixture, WINDOW);
	request_on(&fixture, 0);
	assert_int_equal(time_window(&fixture, 0), WINDOW / 16);
	for (unsigned i = 0; i < ARRAY_SIZE(growing); i++) {
		request_on(&fixture, 0);
		assert_int_equal(time_window(&fixture, 0), growing[i]);
	}
	fixture_free(&fixture);
}

static void test_poll_queues_have_windows_of_their_own(void **state)
{
	(void)state;
	struct fixture fixture;
	struct rng rng;
	uint64_t until[64] = {0};
	bool started[64] = {0};
	rng_seed(&rng, test_seed(8), 0);
	start(&fixture, 64, WINDOW, 0);
	/* Every queue sees its only request at a random time: the first window is the whole one. */
	for (uint64_t now = 0; now < 64 * 40 + WINDOW; now += 20) {
		unsigned queue = (unsigned)rng_below(&rng, 64);
		if (!started[queue] && now < 64 * 40) {
			started[queue] = true;
			until[queue] = fixture.mock->now + WINDOW;
			request_on(&fixture, queue);
		}
		advance(&fixture, 20);
		for (unsigned i = 0; i < 64; i++)
			assert_int_equal(polled(&fixture, i), started[i] && fixture.mock->now < until[i]);
	}
	assert_true(fixture.mock->compare == UINT64_MAX);
	fixture_free(&fixture);
}

static void test_poll_shorter_window_ends_before_one_that_began_earlier(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, 2, WINDOW, 0);
	request_on(&fixture, 1);
	time_window(&fixture, 1); /* the next one is half as long */
	advance(&fixture, WINDOW);
	request_on(&fixture, 0);
	request_on(&fixture, 1);
	assert_int_equal(time_window(&fixture, 1), WINDOW / 2);
	assert_int_equal(time_window(&fixture, 0), WINDOW - WINDOW / 2);
	fixture_free(&fixture);
}

/* Times are compared by their lower half: it wraps in the middle of windows. */
static void test_poll_time_wraps_no_matter(void **state)
{
	(void)state;
	for (uint64_t before = 0; before <= WINDOW; before += WINDOW / 8) {
		struct fixture fixture;
		start(&fixture, 2, WINDOW, (UINT64_C(7) << 32) - before);
		request_on(&fixture, 0);
		advance(&fixture, WINDOW / 4);
		request_on(&fixture, 1);
		assert_int_equal(time_window(&fixture, 0), WINDOW - WINDOW / 4);
		assert_int_equal(time_window(&fixture, 1), WINDOW / 4);
		fixture_free(&fixture);
	}
}

static void test_poll_longest_window_works(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, 1, UINT32_MAX, 99);
	request_on(&fixture, 0);
	advance(&fixture, INT32_MAX - 1);
	assert_true(polled(&fixture, 0));
	advance(&fixture, 1);
	assert_false(polled(&fixture, 0));
	fixture_free(&fixture);
}

/* The timer is written when polling begins and ends, not with every request; a request costs one look at the clock. */
static void test_poll_busy_queue_leaves_the_timer_alone(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, 1, WINDOW, 0);
	request_on(&fixture, 0);
	mock_log_clear(fixture.mock);
	for (unsigned i = 0; i < 10; i++)
		request_on(&fixture, 0);
	assert_int_equal(mock_count(fixture.mock, false, CSR_TIMER_TIME_LO_ADDR), 10);
	assert_int_equal(mock_count(fixture.mock, true, CSR_TIMER_COMPARE_HI_ADDR), 0);
	fixture_free(&fixture);
}

static void test_poll_stopped_queue_not_started_by_the_timer(void **state)
{
	(void)state;
	for (unsigned how = 0; how < 2; how++) {
		struct fixture fixture;
		start(&fixture, 1, WINDOW, 0);
		request_on(&fixture, 0);
		if (how == 0) {
			needs_reset(fixture.card);
		} else {
			fixture.mock->queue[0].fetch_busy = true;
			mock_queue_reset(fixture.mock, 0);
		}
		fixture.mock->now += WINDOW;
		turns(&fixture, 5);
		assert_int_equal(fixture.mock->queue[0].fetch[CONTROL], 0);
		fixture_free(&fixture);
	}
}

static void test_poll_forgotten_over_resets(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, 1, WINDOW, 0);
	request_on(&fixture, 0);
	time_window(&fixture, 0); /* the next window would be a shorter one */
	request_on(&fixture, 0);
	assert_int_equal(write_status(&fixture, 0), 0);
	assert_true(fixture.mock->compare == UINT64_MAX);
	go_live(&fixture, FEATURES_USUAL);
	assert_false(polled(&fixture, 0));
	request_on(&fixture, 0);
	assert_int_equal(time_window(&fixture, 0), WINDOW);
	/* The same over a queue reset, while the timer runs. */
	request_on(&fixture, 0);
	mock_queue_reset(fixture.mock, 0);
	settle(&fixture);
	enable_queue(&fixture, 0, 256);
	settle(&fixture);
	assert_false(polled(&fixture, 0));
	request_on(&fixture, 0);
	assert_int_equal(time_window(&fixture, 0), WINDOW);
	fixture_free(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_poll_off_touches_no_timer),
		cmocka_unit_test(test_poll_begins_with_a_request_and_lasts_a_window_after_the_last),
		cmocka_unit_test(test_poll_window_shrinks_in_vain_and_grows_when_too_short),
		cmocka_unit_test(test_poll_queues_have_windows_of_their_own),
		cmocka_unit_test(test_poll_shorter_window_ends_before_one_that_began_earlier),
		cmocka_unit_test(test_poll_time_wraps_no_matter),
		cmocka_unit_test(test_poll_longest_window_works),
		cmocka_unit_test(test_poll_busy_queue_leaves_the_timer_alone),
		cmocka_unit_test(test_poll_stopped_queue_not_started_by_the_timer),
		cmocka_unit_test(test_poll_forgotten_over_resets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
