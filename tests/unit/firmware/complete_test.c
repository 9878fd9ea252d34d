#include "tests/unit/firmware/fixture.h"

static const struct request odd = {.type = VIRTIO_BLK_T_IN, .in_bytes = 1}; /* answered without a job */

static void start(struct fixture *fixture, uint32_t queues, uint64_t features)
{
	struct mock_straps straps = mock_default_straps();
	straps.queues = queues;
	fixture_start(fixture, &straps);
	go_live(fixture, features);
}

/* What the driver will see of each queue, in the order of the used ring. */
struct expected {
	uint16_t next; /* IN_ORDER: sequence number that comes next */
	unsigned in_flight;
};

static void check_order(const struct mock_card *mock, unsigned from, struct expected *queues)
{
	for (unsigned i = from; i < mock->completions; i++) {
		const struct mock_completion *completion = &mock->completed[i];
		struct expected *queue = &queues[completion->queue];
		assert_int_equal(completion->sequence, queue->next++);
		assert_int_equal(completion->head, completion->sequence % 256);
		assert_int_equal(completion->status, VIRTIO_BLK_S_OK);
		assert_int_equal(completion->len,
				 512u * (1 + completion->sequence % 8) + 1); /* its own len */
		assert_true(completion->written);
		assert_in_range(queue->in_flight, 1, SLOTS);
		queue->in_flight--;
	}
}

static void offer_read(struct fixture *fixture, unsigned queue)
{
	const struct request request = {.queue = queue,
					.type = VIRTIO_BLK_T_IN,
					.in_bytes = 512u * (1 + fixture->sequence[queue] % 8)};
	offer(fixture, &request);
}

/* Requests end in any order, records come in any order of queues; more of them than the sequence numbers have values. */
static void test_complete_in_order_any_order_of_ends_used_as_offered(void **state)
{
	(void)state;
	enum { QUEUES = 2, ROUNDS = 300000 };
	struct rng rng;
	struct fixture fixture;
	struct expected queues[QUEUES] = {0};
	rng_seed(&rng, test_seed(6), 0);
	start(&fixture, QUEUES, FEATURES_USUAL | BIT(VIRTIO_F_IN_ORDER));
	struct mock_card *mock = fixture.mock;
	unsigned wanted = 0; /* requests in flight, swings between 1 and all slots */
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned seen = mock->completions;
		if (round % 1000 == 0)
			wanted = 1 + (unsigned)rng_below(&rng, SLOTS);
		if (slots_in_use(&fixture) < wanted) {
			unsigned queue = (unsigned)rng_below(&rng, QUEUES);
			queues[queue].in_flight++;
			offer_read(&fixture, queue);
		} else if (mock->jobs != 0) {
			mock_job_end(mock, mock->job_order[rng_below(&rng, mock->jobs)], JOB_RESULT_OK, NULL);
		}
		if (rng_below(&rng, 4) != 0) /* else let some gather */
			settle(&fixture);
		check_order(mock, seen, queues);
		mock_log_clear(mock);
	}
	settle(&fixture);
	while (mock->jobs != 0) {
		unsigned seen = mock->completions;
		end_job(&fixture, mock->job_order[rng_below(&rng, mock->jobs)], JOB_RESULT_OK, NULL);
		check_order(mock, seen, queues);
	}
	for (unsigned i = 0; i < QUEUES; i++)
		assert_int_equal(queues[i].in_flight, 0);
	assert_true(mock->completions > QUEUES * 65536u);
	assert_int_equal(slots_in_use(&fixture), 0);
	fixture_free(&fixture);
}

static void test_complete_in_order_bad_requests_wait_for_their_turn(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, 1, FEATURES_USUAL | BIT(VIRTIO_F_IN_ORDER));
	static const struct request requests[] = {
		{.type = VIRTIO_BLK_T_IN, .in_bytes = 512},
		{.type = 99},
		{.type = VIRTIO_BLK_T_IN, .in_bytes = 512, .error = RECORD_ERROR_DMA_HEADER},
		{.type = VIRTIO_BLK_T_IN, .in_bytes = 1},
	};
	static const uint8_t status[] = {VIRTIO_BLK_S_OK, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_S_IOERR,
					 VIRTIO_BLK_S_IOERR};
	unsigned first = submit(&fixture, &requests[0]);
	for (unsigned i = 1; i < ARRAY_SIZE(requests); i++)
		submit(&fixture, &requests[i]);
	assert_int_equal(fixture.mock->completions, 0);
	end_job(&fixture, first, JOB_RESULT_OK, NULL);
	assert_int_equal(fixture.mock->completions, ARRAY_SIZE(requests));
	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
		assert_int_equal(fixture.mock->completed[i].sequence, i);
		assert_int_equal(fixture.mock->completed[i].status, status[i]);
	}
	fixture_free(&fixture);
}

static void test_complete_any_order_as_they_end(void **state)
{
	(void)state;
	struct fixture fixture;
	const struct request read = {.type = VIRTIO_BLK_T_IN, .in_bytes = 512};
	start(&fixture, 1, FEATURES_USUAL);
	unsigned slots[3];
	for (unsigned i = 0; i < 3; i++)
		slots[i] = submit(&fixture, &read);
	static const unsigned order[3] = {2, 0, 1};
	for (unsigned i = 0; i < 3; i++) {
		end_job(&fixture, slots[order[i]], JOB_RESULT_OK, NULL);
		assert_int_equal(only_completion(&fixture, i)->sequence, order[i]);
	}
	fixture_free(&fixture);
}

/* The used-ring writer takes completions in bursts of any size, or none for long. What it has no room for waits, in
 * order, and the firmware still answers the driver. (That it never pushes without room the mock sees to.) */
static void push_with_little_room(uint64_t features)
{
	struct rng rng;
	struct fixture fixture;
	rng_seed(&rng, test_seed(7), features);
	start(&fixture, 2, features);
	struct mock_card *mock = fixture.mock;
	mock->used_stalled = true;
	uint16_t next[2] = {0};
	unsigned seen = 0;
	for (unsigned round = 0; round < 20000; round++) {
		struct request request = odd;
		request.queue = (unsigned)rng_below(&rng, 2);
		if (mock->free_slots != 0)
			offer(&fixture, &request);
		turns(&fixture, 1 + (unsigned)rng_below(&rng, 3));
		if (rng_below(&rng, 100) == 0)
			mock_used_run(mock, (unsigned)rng_below(&rng, 2 * MOCK_PUSHES_MAX));
		for (; seen < mock->completions; seen++) {
			const struct mock_completion *completion = &mock->completed[seen];
			assert_int_equal(completion->sequence, next[completion->queue]++);
			assert_int_equal(completion->status, VIRTIO_BLK_S_IOERR);
			assert_int_equal(completion->len, 0);
		}
		mock_log_clear(mock);
	}
	mock->used_stalled = false;
	mock_used_run(mock, SLOTS);
	settle(&fixture);
	assert_int_equal(mock->completions, fixture.sequence[0] + fixture.sequence[1]);
	assert_int_equal(slots_in_use(&fixture), 0);
	fixture_free(&fixture);
}

static void test_complete_no_room_in_used_ring_writer_waits_in_order(void **state)
{
	(void)state;
	push_with_little_room(FEATURES_USUAL);
	push_with_little_room(FEATURES_USUAL | BIT(VIRTIO_F_IN_ORDER));
}

static void test_complete_no_room_driver_still_answered(void **state)
{
	(void)state;
	struct fixture fixture;
	uint8_t status;
	start(&fixture, 1, FEATURES_USUAL);
	fixture.mock->used_stalled = true;
	while (fixture.mock->free_slots != 0)
		offer(&fixture, &odd);
	turns(&fixture, 20);
	mock_status_write(fixture.mock, STATUS_ALL | VIRTIO_CONFIG_S_FAILED);
	turns(&fixture, 2);
	assert_true(mock_status_read(fixture.mock, &status));
	assert_int_equal(status, STATUS_ALL | VIRTIO_CONFIG_S_FAILED);
	fixture.mock->used_stalled = false;
	mock_used_run(fixture.mock, SLOTS);
	settle(&fixture);
	assert_int_equal(fixture.mock->completions, SLOTS);
	fixture_free(&fixture);
}

/* Register accesses of a 4 KiB read, both halves of it alone. */
static void test_complete_read_costs_nine_register_accesses(void **state)
{
	(void)state;
	struct fixture fixture;
	const struct request read = {.type = VIRTIO_BLK_T_IN, .in_bytes = 4096};
	start(&fixture, 1, FEATURES_USUAL);
	unsigned slot = submit(&fixture, &read);
	end_job(&fixture, slot, JOB_RESULT_OK, NULL); /* the first one asks for room */
	offer(&fixture, &read);
	mock_log_clear(fixture.mock);
	card_poll(fixture.card);
	assert_int_equal(fixture.mock->log_count, 4); /* EVENTS, RECORD, JOB, RECORD */
	mock_job_end(fixture.mock, fixture.mock->job_order[0], JOB_RESULT_OK, NULL);
	mock_log_clear(fixture.mock);
	card_poll(fixture.card);
	assert_int_equal(fixture.mock->log_count, 5); /* EVENTS, DONE, PUSH_BYTES, PUSH, DONE */
	assert_true(fixture.mock->asleep);
	fixture_free(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_complete_in_order_any_order_of_ends_used_as_offered, "D-055"),
		REQ_TEST(test_complete_in_order_bad_requests_wait_for_their_turn, "D-055"),
		cmocka_unit_test(test_complete_any_order_as_they_end),
		cmocka_unit_test(test_complete_no_room_in_used_ring_writer_waits_in_order),
		cmocka_unit_test(test_complete_no_room_driver_still_answered),
		cmocka_unit_test(test_complete_read_costs_nine_register_accesses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
