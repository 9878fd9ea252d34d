/* Anything the driver, the engines and the host may do, in any order and also in the middle of what the firmware does. The
 * mock fails the test when the firmware panics, completes or frees a slot that is not its own, or pushes without room;
 * here it is checked that device_status is always answered, that nothing is left after a reset, and that at rest every
 * request has found its end. */
#include "tests/unit/firmware/guest_ring.h"

#define QUEUES 3
#define STEPS  3000
#define ROUNDS 60

#define FETCH_CONTROL 7 /* words of the engines' queue registers */
#define USED_CONTROL  5

struct fuzz {
	struct fixture fixture;
	struct rng rng;
	bool core_walks; /* offload level firmware */
	unsigned starts[QUEUES];
	struct guest_ring ring[QUEUES];
	bool ring_set_up[QUEUES];
	bool sane;     /* in this round the driver keeps to the rules of the ring */
	unsigned seen; /* completions */
};

static uint64_t below(struct fuzz *fuzz, uint64_t bound)
{
	return rng_below(&fuzz->rng, bound);
}

static unsigned some_queue(struct fuzz *fuzz)
{
	return (unsigned)below(fuzz, QUEUES);
}

/* ---- the driver ---- */

static void forget_rings(struct fuzz *fuzz)
{
	memset(fuzz->ring_set_up, 0, sizeof(fuzz->ring_set_up));
}

static void write_some_status(struct fuzz *fuzz)
{
	static const uint8_t usual[] = {0,
					VIRTIO_CONFIG_S_ACKNOWLEDGE,
					VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER,
					STATUS_ALL & ~VIRTIO_CONFIG_S_DRIVER_OK,
					STATUS_ALL,
					STATUS_ALL};
	bool odd = below(fuzz, 8) == 0;
	uint8_t value = odd ? (uint8_t)rng_u64(&fuzz->rng) : usual[below(fuzz, ARRAY_SIZE(usual))];
	if (value == 0)
		forget_rings(fuzz);
	mock_status_write(fuzz->fixture.mock, value);
}

static void write_some_features(struct fuzz *fuzz)
{
	uint64_t features = (fuzz->fixture.mock->device_features & rng_u64(&fuzz->rng)) | FEATURES_LEAST;
	if (below(fuzz, 8) == 0)
		features = rng_u64(&fuzz->rng);
	mock_features_write(fuzz->fixture.mock, features);
}

static void take_used(struct fuzz *fuzz)
{
	const struct mock_card *mock = fuzz->fixture.mock;
	for (; fuzz->seen < mock->completions; fuzz->seen++) {
		const struct mock_completion *completion = &mock->completed[fuzz->seen];
		struct guest_ring *ring = &fuzz->ring[completion->queue];
		if (fuzz->ring_set_up[completion->queue] && fuzz->sane && completion->written)
			guest_ring_release(ring, completion->head);
	}
}

static void enable_some_queue(struct fuzz *fuzz)
{
	unsigned queue = some_queue(fuzz);
	const struct mock_card *mock = fuzz->fixture.mock;
	bool reset_over = !mock->unanswered && !mock->resetting && !mock->function_reset;
	if (mock->queue[queue].enable || (fuzz->core_walks && !reset_over))
		return; /* rings are written anew only when nobody reads the old ones any more */
	take_used(fuzz);
	uint64_t address = queue_address(queue) + (below(fuzz, 20) == 0 ? below(fuzz, 64) : 0);
	uint16_t size = (uint16_t)(1u << (below(fuzz, 4) ? 6 + below(fuzz, 3) : below(fuzz, 9)));
	mock_queue_write(fuzz->fixture.mock, queue, size, address, address + 0x4000, address + 0x6000);
	if (fuzz->core_walks) {
		guest_ring_init(&fuzz->ring[queue], &fuzz->fixture, queue,
				fuzz->fixture.mock->queue[queue].size);
		fuzz->ring_set_up[queue] = true;
	}
	mock_queue_enable(fuzz->fixture.mock, queue);
}

static void reset_some_queue(struct fuzz *fuzz)
{
	unsigned queue = some_queue(fuzz);
	fuzz->ring_set_up[queue] = false;
	mock_queue_reset(fuzz->fixture.mock, queue);
}

static void driver_writes_something(struct fuzz *fuzz)
{
	switch (below(fuzz, 8)) {
	case 0:
	case 1: write_some_status(fuzz); break;
	case 2: write_some_features(fuzz); break;
	case 3:
	case 4: enable_some_queue(fuzz); break;
	case 5: reset_some_queue(fuzz); break;
	case 6: mock_writeback_write(fuzz->fixture.mock, (uint8_t)below(fuzz, 2)); break;
	default: mock_doorbell(fuzz->fixture.mock, some_queue(fuzz));
	}
}

static const uint32_t types[] = {0, 1, 4, 8, 10, 11, 13, 14, 99};

/* A driver out of its mind: descriptors in use are written over, bits flip, avail.idx is anywhere. */
static void damage_something(struct fuzz *fuzz, struct guest_ring *ring)
{
	uint8_t *byte = mock_guest(fuzz->fixture.mock, ring->desc + below(fuzz, 16u * ring->size), 1);
	ring->free = ring->size;
	memset(ring->busy, 0, sizeof(ring->busy));
	if (below(fuzz, 50) == 0)
		*byte = (uint8_t)(*byte ^ 1u << below(fuzz, 8));
	if (below(fuzz, 200) == 0)
		ring->added = (uint16_t)rng_u64(&fuzz->rng);
}

static void driver_offers_something(struct fuzz *fuzz)
{
	unsigned queue = some_queue(fuzz);
	struct guest_ring *ring = &fuzz->ring[queue];
	struct chain chain;
	if (!fuzz->core_walks || !fuzz->ring_set_up[queue])
		return;
	if (!fuzz->sane)
		damage_something(fuzz, ring);
	chain_cut(&chain, ring, &fuzz->rng, types[below(fuzz, ARRAY_SIZE(types))], below(fuzz, 2100),
		  (uint32_t)below(fuzz, 3) * 16, (uint32_t)below(fuzz, 3) * 512);
	bool indirect = fuzz->fixture.mock->driver_features & BIT(VIRTIO_RING_F_INDIRECT_DESC) || !fuzz->sane;
	unsigned direct = indirect ? (unsigned)below(fuzz, chain.count + 1) : chain.count;
	if (ring->free <= direct)
		return;
	guest_ring_add(ring, chain_lay_out(&chain, ring, &fuzz->rng, direct));
	guest_ring_publish(ring);
	mock_doorbell(fuzz->fixture.mock, queue);
}

/* ---- the engines ---- */

static void fetch_something(struct fuzz *fuzz)
{
	struct mock_card *mock = fuzz->fixture.mock;
	unsigned queue = some_queue(fuzz);
	const struct mock_queue *registers = &mock->queue[queue];
	if (fuzz->starts[queue] != registers->starts) { /* the engine counts from 0 with each start */
		fuzz->starts[queue] = registers->starts;
		fuzz->fixture.sequence[queue] = 0;
	}
	bool late = mock_queue_in_reset(mock, queue) && registers->fetch_busy;
	if (fuzz->core_walks || !(registers->fetch[FETCH_CONTROL] & 1 || late) || mock->free_slots == 0)
		return;
	struct request request = {
		.queue = queue,
		.type = types[below(fuzz, ARRAY_SIZE(types))],
		.sector = below(fuzz, 2) ? below(fuzz, 2100) : rng_u64(&fuzz->rng),
		.out_bytes = (uint32_t)below(fuzz, 5) * 16,
		.in_bytes = (uint32_t)below(fuzz, 5) * 512,
		.error = below(fuzz, 300) ? 0 : (uint16_t)below(fuzz, RECORD_ERROR_DMA_HEADER + 1),
	};
	offer(&fuzz->fixture, &request);
}

static void end_some_job(struct fuzz *fuzz)
{
	struct mock_card *mock = fuzz->fixture.mock;
	uint8_t data[SLOT_LOCAL_BYTES];
	if (mock->jobs == 0)
		return;
	for (unsigned i = 0; i < sizeof(data); i += 16) { /* ranges, more or less sensible */
		store_le64(data + i, below(fuzz, 10) ? below(fuzz, 2048) : rng_u64(&fuzz->rng));
		store_le32(data + i + 8, (uint32_t)below(fuzz, below(fuzz, 10) ? 32 : UINT32_MAX));
		store_le32(data + i + 12, below(fuzz, 10) ? 0 : (uint32_t)below(fuzz, 4));
	}
	unsigned slot = mock->job_order[below(fuzz, mock->jobs)];
	uint32_t result = below(fuzz, 10) ? JOB_RESULT_OK : (uint32_t)below(fuzz, JOB_RESULT_BAD_JOB + 1);
	mock_job_end(mock, slot, result, mock->job[slot].job_op == JOB_GUEST_TO_LOCAL ? data : NULL);
}

static void run_some_copy(struct fuzz *fuzz)
{
	struct mock_card *mock = fuzz->fixture.mock;
	unsigned index = mock->copies ? (unsigned)below(fuzz, mock->copies) : 0;
	if (mock_copy_may_run(mock, index))
		mock_copy_run(mock, index, below(fuzz, 500) == 0);
}

static void engines_change_something(struct fuzz *fuzz)
{
	struct mock_card *mock = fuzz->fixture.mock;
	struct mock_queue *queue = &mock->queue[some_queue(fuzz)];
	switch (below(fuzz, 8)) {
	case 0: queue->fetch_busy = below(fuzz, 2); break;
	case 1: queue->used_busy = below(fuzz, 2); break;
	case 2: mock->used_stalled = below(fuzz, 2); break;
	case 3: mock->busy_reads = (unsigned)below(fuzz, 5); break;
	case 4: mock->now += below(fuzz, 5000); break;
	case 5: mock_used_run(mock, (unsigned)below(fuzz, 100)); break;
	case 6:
		if (below(fuzz, 50) == 0 && (queue->used[USED_CONTROL] & 1))
			*(below(fuzz, 2) ? &mock->fetch_faults : &mock->used_faults) |= rng_u64(&fuzz->rng);
		break;
	default:
		if (below(fuzz, 50) == 0) {
			forget_rings(fuzz);
			mock_function_reset(mock);
		}
	}
}

static void management_sends_something(struct fuzz *fuzz)
{
	struct mock_card *mock = fuzz->fixture.mock;
	static const uint32_t codes[] = {MAILBOX_RESIZE, MAILBOX_RESIZE, MAILBOX_RESIZE, MAILBOX_FAIL,
					 MAILBOX_READ_ONLY};
	if (mock->mail.tail - mock->mail.head > 100 || below(fuzz, 30) != 0)
		return;
	mock->straps.sectors = below(fuzz, 2) ? 2048 : below(fuzz, 2048);
	mock->mail.entry[mock->mail.tail++ % ARRAY_SIZE(mock->mail.entry)] =
		codes[below(fuzz, ARRAY_SIZE(codes))];
}

static void something_happens(struct fuzz *fuzz)
{
	switch (below(fuzz, 16)) {
	case 0:
		if (below(fuzz, 3) == 0)
			driver_writes_something(fuzz);
		break;
	case 1: engines_change_something(fuzz); break;
	case 2: management_sends_something(fuzz); break;
	case 3:
	case 4:
	case 5: fetch_something(fuzz); break;
	case 6:
	case 7: driver_offers_something(fuzz); break;
	case 8:
	case 9:
	case 10: end_some_job(fuzz); break;
	default: run_some_copy(fuzz);
	}
}

static void meanwhile(void *ctx, bool write, uint32_t addr)
{
	struct fuzz *fuzz = ctx;
	(void)write;
	(void)addr;
	if (below(fuzz, 10) == 0)
		something_happens(fuzz);
}

/* ---- what has to hold ---- */

/* Nobody does anything new, and everybody finishes what they have begun. */
static void let_all_finish(struct fuzz *fuzz)
{
	struct mock_card *mock = fuzz->fixture.mock;
	uint8_t status;
	mock->meanwhile = NULL;
	mock->used_stalled = false;
	for (unsigned i = 0; i < QUEUES; i++)
		mock->queue[i].fetch_busy = mock->queue[i].used_busy = false;
	turns(&fuzz->fixture, 3);
	assert_true(
		mock_status_read(mock, &status)); /* the driver is answered, whatever else there is to do */
	do {
		mock_used_run(mock, SLOTS);
		while (mock->copies != 0)
			mock_copy_run(mock, 0, false);
		while (mock->jobs != 0)
			mock_job_end(mock, mock->job_order[0], JOB_RESULT_MEDIA_ERROR, NULL);
		turns(&fuzz->fixture, 4);
	} while (mock->copies != 0 || mock->jobs != 0 || mock->pushes.head != mock->pushes.tail);
	mock->now = mock->compare == UINT64_MAX ? mock->now : mock->compare; /* polling ends */
	settle(&fuzz->fixture);
	assert_int_equal(slots_in_use(&fuzz->fixture), 0);
	assert_int_equal(mock->queues_resetting, 0);
}

static void check_reset(struct fuzz *fuzz)
{
	struct mock_card *mock = fuzz->fixture.mock;
	unsigned left = 100;
	uint8_t status;
	mock->meanwhile = NULL;
	mock_status_write(mock, 0);
	do {
		assert_true(left-- != 0);
		card_poll(fuzz->fixture.card);
	} while (!mock_status_read(mock, &status) || status != 0);
	assert_int_equal(slots_in_use(&fuzz->fixture), 0);
	assert_int_equal(mock->jobs, 0);
	assert_int_equal(mock->copies, 0);
	assert_int_equal(mock->doorbells_enabled, 0);
	assert_int_equal(fuzz->fixture.card->resetting_queues, 0);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_false((mock->queue[i].fetch[FETCH_CONTROL] | mock->queue[i].used[USED_CONTROL]) & 1);
	forget_rings(fuzz);
	settle(&fuzz->fixture);
	take_used(fuzz);
}

/* Usually the driver gets the card going, as otherwise little would happen. */
static void bring_up(struct fuzz *fuzz)
{
	struct mock_card *mock = fuzz->fixture.mock;
	mock_status_write(mock, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	mock_features_write(mock, (mock->device_features & rng_u64(&fuzz->rng)) | FEATURES_LEAST |
					  BIT(VIRTIO_F_RING_RESET));
	mock_status_write(mock, STATUS_ALL & ~VIRTIO_CONFIG_S_DRIVER_OK);
	settle(&fuzz->fixture);
	for (unsigned i = 0; i < 2 * QUEUES; i++)
		enable_some_queue(fuzz);
	mock_status_write(mock, STATUS_ALL);
}

static uint64_t fuzz_once(uint64_t seed, uint32_t offload)
{
	struct mock_straps straps = mock_default_straps();
	struct fuzz *fuzz = calloc(1, sizeof(*fuzz));
	assert_non_null(fuzz);
	rng_seed(&fuzz->rng, seed, offload);
	straps.offload = offload;
	straps.queues = QUEUES;
	straps.poll_cycles = below(fuzz, 2) ? 1000 : 0;
	straps.slots = below(fuzz, 3) ? SLOTS : 1 + (unsigned)below(fuzz, 20);
	fuzz->core_walks = offload == OFFLOAD_FIRMWARE;
	fixture_start(&fuzz->fixture, &straps);
	struct mock_card *mock = fuzz->fixture.mock;
	for (unsigned round = 0; round < ROUNDS; round++) {
		fuzz->sane = below(fuzz, 3) != 0;
		if (below(fuzz, 10) != 0)
			bring_up(fuzz);
		mock->meanwhile = meanwhile;
		mock->meanwhile_ctx = fuzz;
		for (uint64_t step = below(fuzz, STEPS); step != 0; step--) {
			if (below(fuzz, 3) == 0)
				card_poll(fuzz->fixture.card);
			else
				something_happens(fuzz);
			take_used(fuzz);
		}
		if (below(fuzz, 2))
			let_all_finish(fuzz);
		check_reset(fuzz);
		mock_log_clear(mock);
	}
	uint64_t completions = mock->completions;
	fixture_free(&fuzz->fixture);
	free(fuzz);
	return completions;
}

static void fuzz_many(uint64_t fallback, uint32_t offload)
{
	uint64_t seed = test_seed(fallback), completions = 0;
	for (unsigned i = 0; i < 25; i++)
		completions += fuzz_once(seed + i, offload);
	assert_true(completions > 5000); /* so that something was tested */
}

static void test_fuzz_requests_from_the_fetch_engine(void **state)
{
	(void)state;
	fuzz_many(1000, OFFLOAD_FETCH);
}

static void test_fuzz_rings_walked_by_the_core(void **state)
{
	(void)state;
	fuzz_many(2000, OFFLOAD_FIRMWARE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_fuzz_requests_from_the_fetch_engine, "D-010 D-011 V-052 V-053 V-054"),
		REQ_TEST(test_fuzz_rings_walked_by_the_core, "D-010 D-011 V-052 V-053 V-054"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
