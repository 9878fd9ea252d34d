/* Rings walked by the firmware, against drivers that ring the doorbell only when they are told to (virtio 1.4 §2.7.10):
 * whatever happens in whatever order, no request is left lying. */
#include "tests/unit/firmware/guest_ring.h"

#define QUEUES     3
#define QUEUE_SIZE 16
#define STEPS      60000

struct world {
	struct fixture fixture;
	struct rng rng;
	bool event_idx;
	struct guest_ring ring[QUEUES];
	bool undecided[QUEUES];   /* published, and not decided yet whether to ring the doorbell */
	uint16_t decided[QUEUES]; /* avail.idx at the last decision */
	unsigned publishes, kicks;
	unsigned seen; /* completions */
};

static void publish(struct world *world, unsigned queue)
{
	struct guest_ring *ring = &world->ring[queue];
	uint64_t count = 1 + rng_below(&world->rng, rng_below(&world->rng, 4) ? 2 : QUEUE_SIZE);
	while (ring->free >= 2 && count-- != 0) {
		struct chain chain;
		chain_cut(&chain, ring, &world->rng, VIRTIO_BLK_T_FLUSH, 0, 0, 0);
		guest_ring_add(ring, chain_lay_out(&chain, ring, &world->rng, 0));
	}
	if (ring->published == ring->added)
		return;
	guest_ring_publish(ring);
	world->publishes++;
	world->undecided[queue] = true;
}

/* The driver's read of avail_event comes after its write of avail.idx, any time after. */
static void decide(struct world *world, unsigned queue)
{
	struct guest_ring *ring = &world->ring[queue];
	uint16_t event = load_le16(mock_guest(ring->mock, ring->used + 4 + 8u * ring->size, 2));
	uint16_t flags = load_le16(mock_guest(ring->mock, ring->used, 2));
	bool wanted = world->event_idx ? vring_need_event(event, ring->published, world->decided[queue])
				       : !(flags & VRING_USED_F_NO_NOTIFY);
	assert_int_equal(flags & ~VRING_USED_F_NO_NOTIFY, 0);
	assert_true(!world->event_idx || flags == 0); /* D-034 */
	world->undecided[queue] = false;
	world->decided[queue] = ring->published;
	world->kicks += wanted;
	if (wanted)
		mock_doorbell(ring->mock, queue);
}

static void drivers_act(struct world *world)
{
	unsigned queue = (unsigned)rng_below(&world->rng, QUEUES);
	if (world->undecided[queue])
		decide(world, queue);
	else
		publish(world, queue);
}

static void meanwhile(void *ctx, bool write, uint32_t addr)
{
	struct world *world = ctx;
	(void)write;
	(void)addr;
	if (rng_below(&world->rng, 64) == 0)
		drivers_act(world);
}

static void copy_something(struct world *world)
{
	struct mock_card *mock = world->fixture.mock;
	unsigned index = mock->copies ? (unsigned)rng_below(&world->rng, mock->copies) : 0;
	if (mock_copy_may_run(mock, index))
		mock_copy_run(mock, index, false);
}

static void end_something(struct world *world)
{
	struct mock_card *mock = world->fixture.mock;
	if (mock->jobs != 0)
		mock_job_end(mock, mock->job_order[rng_below(&world->rng, mock->jobs)], JOB_RESULT_OK, NULL);
}

static void take_used(struct world *world)
{
	struct mock_card *mock = world->fixture.mock;
	for (; world->seen < mock->completions; world->seen++)
		guest_ring_release(&world->ring[mock->completed[world->seen].queue],
				   mock->completed[world->seen].head);
	mock_log_clear(mock);
}

static void step(struct world *world)
{
	switch (rng_below(&world->rng, 8)) {
	case 0: drivers_act(world); break;
	case 1:
	case 2:
	case 3: copy_something(world); break;
	case 4: end_something(world); break;
	default: card_poll(world->fixture.card);
	}
	take_used(world);
}

/* The drivers do nothing more, but for the decisions that are due: everything published is served. */
static void come_to_rest(struct world *world)
{
	struct mock_card *mock = world->fixture.mock;
	mock->meanwhile = NULL;
	for (unsigned queue = 0; queue < QUEUES; queue++)
		if (world->undecided[queue])
			decide(world, queue);
	do {
		copy_something(world);
		end_something(world);
		turns(&world->fixture, 4); /* not until it sleeps: without slots it does not */
		take_used(world);
	} while (mock->copies != 0 || mock->jobs != 0 || (mock_events(mock) & mock->event_enable) != 0);
	settle(&world->fixture);
	for (unsigned queue = 0; queue < QUEUES; queue++) {
		const struct guest_ring *ring = &world->ring[queue];
		uint16_t event = load_le16(mock_guest(mock, ring->used + 4 + 8u * ring->size, 2));
		assert_int_equal(ring->free, QUEUE_SIZE); /* nothing left lying */
		if (world->event_idx)
			assert_int_equal(event, ring->published); /* and the next one will be announced */
	}
	assert_int_equal(slots_in_use(&world->fixture), 0);
}

static void run_world(bool event_idx, unsigned slots, uint64_t seed)
{
	struct mock_straps straps = firmware_straps(QUEUES);
	struct world *world = calloc(1, sizeof(*world));
	assert_non_null(world);
	world->event_idx = event_idx;
	rng_seed(&world->rng, seed, slots);
	straps.slots = slots;
	fixture_start(&world->fixture, &straps);
	negotiate_features(&world->fixture, FEATURES_USUAL | BIT(VIRTIO_RING_F_INDIRECT_DESC) |
						    (event_idx ? BIT(VIRTIO_RING_F_EVENT_IDX) : 0));
	for (unsigned queue = 0; queue < QUEUES; queue++) {
		enable_queue(&world->fixture, queue, QUEUE_SIZE);
		guest_ring_init(&world->ring[queue], &world->fixture, queue, QUEUE_SIZE);
	}
	write_status(&world->fixture, STATUS_ALL);
	for (unsigned i = 0; i < STEPS; i++) {
		world->fixture.mock->meanwhile = meanwhile;
		world->fixture.mock->meanwhile_ctx = world;
		step(world);
		if (rng_below(&world->rng, 200) == 0)
			come_to_rest(world);
	}
	come_to_rest(world);
	assert_true(world->publishes > STEPS / 20);
	if (event_idx)
		assert_true(world->kicks < world->publishes); /* some were spared */
	else
		assert_int_equal(world->kicks, world->publishes);
	fixture_free(&world->fixture);
	free(world);
}

static void test_ring_driver_kicks_only_when_told_no_request_lost(void **state)
{
	(void)state;
	uint64_t seed = test_seed(20);
	for (unsigned i = 0; i < 6; i++)
		run_world(true, i < 3 ? SLOTS : 2 + i, seed + i);
}

static void test_ring_driver_kicks_always_no_request_lost(void **state)
{
	(void)state;
	uint64_t seed = test_seed(21);
	run_world(false, SLOTS, seed);
	run_world(false, 3, seed + 1);
}

/* Doorbells without anything new, and new requests without the doorbells they need not have. */
static void test_ring_driver_spurious_kicks_harmless(void **state)
{
	(void)state;
	struct mock_straps straps = firmware_straps(1);
	struct fixture fixture;
	struct guest_ring *ring = calloc(1, sizeof(*ring));
	assert_non_null(ring);
	fixture_start(&fixture, &straps);
	go_live(&fixture, FEATURES_USUAL);
	guest_ring_init(ring, &fixture, 0, 256);
	for (unsigned i = 0; i < 100; i++) {
		mock_doorbell(fixture.mock, 0);
		settle(&fixture);
		if (fixture.mock->copies != 0 && i % 3 == 0)
			mock_copy_run(fixture.mock, 0, false);
		assert_in_range(fixture.mock->copies, 0, 2);
	}
	assert_int_equal(fixture.mock->status, STATUS_ALL);
	assert_int_equal(slots_in_use(&fixture), 0);
	fixture_free(&fixture);
	free(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_ring_driver_kicks_only_when_told_no_request_lost, "D-034 D-035 D-037"),
		REQ_TEST(test_ring_driver_kicks_always_no_request_lost, "D-032 D-037"),
		REQ_TEST(test_ring_driver_spurious_kicks_harmless, "D-036"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
