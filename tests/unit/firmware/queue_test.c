#include "tests/unit/firmware/fixture.h"

#define RUN 1u

/* Words of the fetch engine's and the used-ring writer's queue registers, in the order of the register map. */
enum {
	FETCH_DESC,
	FETCH_DESC_HI,
	FETCH_AVAIL,
	FETCH_AVAIL_HI,
	FETCH_USED,
	FETCH_USED_HI,
	FETCH_CONFIG,
	FETCH_CONTROL
};
enum { USED_USED, USED_USED_HI, USED_AVAIL, USED_AVAIL_HI, USED_CONFIG, USED_CONTROL };

static const struct request read_request = {.type = VIRTIO_BLK_T_IN, .in_bytes = 4096};

static void start(struct fixture *fixture, uint32_t queues, uint64_t features)
{
	struct mock_straps straps = mock_default_straps();
	straps.queues = queues;
	fixture_start(fixture, &straps);
	negotiate_features(fixture, features);
}

static uint64_t pair(const uint32_t *words)
{
	return words[0] | (uint64_t)words[1] << 32;
}

static void check_programmed(const struct mock_card *mock, unsigned queue, uint64_t desc, uint64_t driver,
			     uint64_t device, uint32_t fetch_config, uint32_t used_config)
{
	const struct mock_queue *registers = &mock->queue[queue];
	assert_true(pair(&registers->fetch[FETCH_DESC]) == desc);
	assert_true(pair(&registers->fetch[FETCH_AVAIL]) == driver);
	assert_true(pair(&registers->fetch[FETCH_USED]) == device);
	assert_true(pair(&registers->used[USED_AVAIL]) == driver);
	assert_true(pair(&registers->used[USED_USED]) == device);
	assert_int_equal(registers->fetch[FETCH_CONFIG], fetch_config);
	assert_int_equal(registers->used[USED_CONFIG], used_config);
	assert_int_equal(registers->fetch[FETCH_CONTROL], RUN);
	assert_int_equal(registers->used[USED_CONTROL], RUN);
}

/* ---- starting ---- */

static void test_queue_driver_ok_looks_at_every_enabled_ring_once(void **state)
{
	(void)state;
	struct fixture fixture;
	struct rng rng;
	rng_seed(&rng, test_seed(3), 0);
	for (unsigned round = 0; round < 20; round++) {
		start(&fixture, 64, FEATURES_USUAL);
		uint64_t enabled = rng_u64(&rng);
		for (unsigned i = 0; i < 64; i++)
			if (enabled >> i & 1)
				enable_queue(&fixture, i, 16);
		assert_int_equal(write_status(&fixture, STATUS_ALL), STATUS_ALL);
		assert_true(fixture.mock->doorbells_enabled == enabled);
		for (unsigned i = 0; i < 64; i++) {
			const struct mock_queue *queue = &fixture.mock->queue[i];
			assert_int_equal(queue->kicks, enabled >> i & 1);
			assert_int_equal(queue->fetch[FETCH_CONTROL], enabled >> i & 1);
			assert_int_equal(queue->used[USED_CONTROL], enabled >> i & 1);
		}
		fixture_free(&fixture);
	}
}

static void test_queue_engines_programmed_as_driver_and_features_say(void **state)
{
	(void)state;
	static const struct {
		uint64_t features;
		uint32_t fetch, used; /* flags above the size */
	} cases[] = {
		{0, 0, 0},
		{BIT(VIRTIO_RING_F_EVENT_IDX), 1u << 16, 1u << 16},
		{BIT(VIRTIO_RING_F_INDIRECT_DESC), 1u << 17, 0},
		{BIT(VIRTIO_F_IN_ORDER), 0, 1u << 17},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		start(&fixture, 33, FEATURES_LEAST | cases[i].features);
		mock_queue_write(fixture.mock, 32, 64, UINT64_C(0x123456789abcdef0),
				 UINT64_C(0xfedcba9876543212), UINT64_C(0x0f1e2d3c4b5a6978));
		mock_queue_enable(fixture.mock, 32);
		mock_queue_write(fixture.mock, 1, 256, 0x10, 0x2, 0x4);
		mock_queue_enable(fixture.mock, 1);
		write_status(&fixture, STATUS_ALL);
		check_programmed(fixture.mock, 32, UINT64_C(0x123456789abcdef0), UINT64_C(0xfedcba9876543212),
				 UINT64_C(0x0f1e2d3c4b5a6978), 64 | cases[i].fetch, 64 | cases[i].used);
		check_programmed(fixture.mock, 1, 0x10, 0x2, 0x4, 256 | cases[i].fetch, 256 | cases[i].used);
		fixture_free(&fixture);
	}
}

static void test_queue_size_never_written_is_the_largest(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, 1, FEATURES_USUAL);
	mock_queue_enable(fixture.mock, 0);
	write_status(&fixture, STATUS_ALL);
	check_programmed(fixture.mock, 0, 0, 0, 0, 256, 256); /* V-028: address 0 is one like any other */
	fixture_free(&fixture);
}

static void test_queue_misaligned_ring_needs_reset(void **state)
{
	(void)state;
	for (unsigned part = 0; part < 3; part++) {
		for (uint64_t offset = 0; offset < 32; offset++) {
			static const uint64_t alignment[3] = {16, 2, 4}; /* virtio 1.4 §2.7 */
			uint64_t address[3] = {0x1000, 0x2000, 0x3000};
			bool good = offset % alignment[part] == 0;
			struct fixture fixture;
			address[part] += offset;
			start(&fixture, 2, FEATURES_USUAL);
			mock_queue_write(fixture.mock, 0, 16, address[0], address[1], address[2]);
			mock_queue_enable(fixture.mock, 0);
			enable_queue(&fixture, 1, 16);
			assert_int_equal(write_status(&fixture, STATUS_ALL),
					 STATUS_ALL | (good ? 0 : VIRTIO_CONFIG_S_NEEDS_RESET));
			assert_int_equal(fixture.mock->config_interrupts, !good);
			assert_int_equal(fixture.mock->doorbells_enabled, good ? 3 : 0);
			assert_int_equal(fixture.mock->queue[0].fetch[FETCH_CONTROL], good);
			assert_int_equal(fixture.mock->queue[1].fetch[FETCH_CONTROL], good);
			fixture_free(&fixture);
		}
	}
}

/* Rings of 16 entries that end at the end of the address space, or behind it. */
static void test_queue_ring_that_wraps_needs_reset(void **state)
{
	(void)state;
	static const struct {
		unsigned part;
		uint64_t address;
		bool good;
	} cases[] = {
		{0, UINT64_MAX - 255, true}, {0, UINT64_MAX - 239, false}, {1, UINT64_MAX - 37, true},
		{1, UINT64_MAX - 35, false}, {2, UINT64_MAX - 135, true},  {2, UINT64_MAX - 131, false},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t address[3] = {0x1000, 0x2000, 0x3000};
		struct fixture fixture;
		address[cases[i].part] = cases[i].address;
		start(&fixture, 1, FEATURES_USUAL);
		mock_queue_write(fixture.mock, 0, 16, address[0], address[1], address[2]);
		mock_queue_enable(fixture.mock, 0);
		assert_int_equal(write_status(&fixture, STATUS_ALL),
				 STATUS_ALL | (cases[i].good ? 0 : VIRTIO_CONFIG_S_NEEDS_RESET));
		fixture_free(&fixture);
	}
}

static void test_queue_enabled_after_driver_ok_served_at_once(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, 2, FEATURES_USUAL);
	enable_queue(&fixture, 0, 16);
	write_status(&fixture, STATUS_ALL);
	mock_log_clear(fixture.mock);
	enable_queue(&fixture, 1, 32);
	settle(&fixture);
	assert_int_equal(fixture.mock->queue[0].kicks, 1); /* the one that runs is left alone */
	assert_int_equal(fixture.mock->queue[1].kicks, 1);
	assert_int_equal(fixture.mock->doorbells_enabled, 3);
	uint64_t address = queue_address(1);
	check_programmed(fixture.mock, 1, address, address + 0x4000, address + 0x6000, 32, 32);
	fixture_free(&fixture);
}

/* ---- queue reset ---- */

static void check_reset_done(const struct fixture *fixture, unsigned queue)
{
	assert_false(mock_queue_in_reset(fixture->mock, queue));
	assert_false(fixture->mock->queue[queue].enable);
	assert_false(fixture->mock->doorbells_enabled >> queue & 1);
	assert_int_equal(fixture->mock->queue[queue].fetch[FETCH_CONTROL], 0);
	assert_int_equal(fixture->mock->queue[queue].used[USED_CONTROL], 0);
}

/* One request from ring to used ring; sequence numbers start at 0 with the queue. */
static void check_served(struct fixture *fixture, unsigned queue, uint16_t sequence)
{
	struct request request = read_request;
	unsigned before = fixture->mock->completions;
	request.queue = queue;
	unsigned slot = submit(fixture, &request);
	end_job(fixture, slot, JOB_RESULT_OK, NULL);
	const struct mock_completion *completion = only_completion(fixture, before);
	assert_int_equal(completion->queue, queue);
	assert_int_equal(completion->sequence, sequence);
	assert_int_equal(completion->status, VIRTIO_BLK_S_OK);
	assert_true(completion->written);
}

static void reset_queue_with_requests(uint64_t features, unsigned victim)
{
	struct fixture fixture;
	start(&fixture, victim + 1, features);
	enable_queue(&fixture, 0, 256);
	enable_queue(&fixture, victim, 256);
	write_status(&fixture, STATUS_ALL);
	struct mock_card *mock = fixture.mock;
	fill_stages(&fixture, victim);
	unsigned before = mock->completions;
	uint64_t jobs = mock->jobs_started;
	mock->queue[victim].fetch_busy = true;
	mock_queue_reset(mock, victim);
	turns(&fixture, 10);
	mock_used_run(mock, SLOTS); /* drops what it holds: the queue does not run any more */
	turns(&fixture, 10);
	assert_true(mock_queue_in_reset(mock, victim)); /* D-089 */
	mock->queue[victim].fetch_busy = false;
	struct request late = read_request; /* the fetch engine's last one */
	late.queue = victim;
	offer(&fixture, &late);
	turns(&fixture, 10);
	assert_true(mock_queue_in_reset(mock, victim)); /* the mover still has some */
	end_all_jobs(&fixture, JOB_RESULT_OK);
	settle(&fixture);
	check_reset_done(&fixture, victim);
	assert_int_equal(mock->jobs_started, jobs);
	assert_int_equal(slots_in_use(&fixture), 0);
	for (unsigned i = before; i < mock->completions; i++)
		assert_false(mock->completed[i].written); /* D-013 */
	mock->used_stalled = false;
	check_served(&fixture, 0, 0); /* D-088 */
	/* Another life, at another place (D-015). */
	mock_queue_write(mock, victim, 64, 0x5000, 0x6000, 0x7000);
	mock_queue_enable(mock, victim);
	fixture.sequence[victim] = 0;
	settle(&fixture);
	uint32_t in_order = features & BIT(VIRTIO_F_IN_ORDER) ? 1u << 17 : 0;
	check_programmed(mock, victim, 0x5000, 0x6000, 0x7000, 64, 64 | in_order);
	for (uint16_t i = 0; i < 300; i++)
		check_served(&fixture, victim, i);
	fixture_free(&fixture);
}

static void test_queue_reset_with_requests_in_every_stage_drops_them(void **state)
{
	(void)state;
	static const unsigned queues[] = {1, 31, 32, 63};
	for (unsigned i = 0; i < ARRAY_SIZE(queues); i++) {
		reset_queue_with_requests(FEATURES_USUAL, queues[i]);
		reset_queue_with_requests(FEATURES_USUAL | BIT(VIRTIO_F_IN_ORDER), queues[i]);
	}
}

/* ---- the direct path ---- */

static void start_at(struct fixture *fixture, uint32_t offload, uint64_t features)
{
	struct mock_straps straps = mock_default_straps();
	straps.offload = offload;
	straps.queues = 40;
	fixture_start(fixture, &straps);
	negotiate_features(fixture, features);
	enable_queue(fixture, 1, 16);
	enable_queue(fixture, 39, 16);
	assert_int_equal(write_status(fixture, STATUS_ALL), STATUS_ALL);
}

static void test_queue_direct_path_serves_at_offload_full(void **state)
{
	(void)state;
	static const struct {
		uint32_t offload;
		uint64_t features, enabled;
	} rows[] = {
		{OFFLOAD_FETCH, FEATURES_USUAL, 0},
		{OFFLOAD_FULL, FEATURES_USUAL, UINT64_C(1) << 39 | 2},
		{OFFLOAD_FULL, FEATURES_USUAL | BIT(VIRTIO_F_IN_ORDER), 0}, /* the core keeps the order */
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fixture fixture;
		start_at(&fixture, rows[i].offload, rows[i].features);
		assert_true(fixture.mock->direct_enabled == rows[i].enabled);
		mock_queue_reset(fixture.mock, 39);
		settle(&fixture);
		assert_true(fixture.mock->direct_enabled == (rows[i].enabled & 2));
		fixture_free(&fixture);
	}
}

static void test_queue_direct_path_knows_capacity_and_cache(void **state)
{
	(void)state;
	const uint64_t flush = BIT(VIRTIO_BLK_F_FLUSH), wce = BIT(VIRTIO_BLK_F_CONFIG_WCE);
	const struct {
		uint64_t features;
		uint32_t cache;
	} rows[] = {
		{FEATURES_USUAL & ~(flush | wce), DIRECT_CACHE_WRITE_THROUGH},
		{(FEATURES_USUAL & ~wce) | flush, DIRECT_CACHE_WRITE_BACK},
		{FEATURES_USUAL | flush | wce, DIRECT_CACHE_AS_DRIVER_SAYS},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fixture fixture;
		start_at(&fixture, OFFLOAD_FULL, rows[i].features);
		assert_int_equal(fixture.mock->direct_control,
				 rows[i].cache << CSR_DIRECT_CONTROL_CACHE_SHIFT);
		assert_true(fixture.mock->direct_sectors == fixture.mock->straps.sectors);
		fixture_free(&fixture);
	}
}

/* D-089: the reset runs until nothing of the queue is in work. */
static void test_queue_reset_waits_for_the_direct_path(void **state)
{
	(void)state;
	struct fixture fixture;
	start_at(&fixture, OFFLOAD_FULL, FEATURES_USUAL);
	fixture.mock->direct_busy = UINT64_C(1) << 39;
	mock_queue_reset(fixture.mock, 39);
	turns(&fixture, 20);
	assert_true(mock_queue_in_reset(fixture.mock, 39));
	fixture.mock->direct_busy = 0;
	settle(&fixture);
	assert_false(mock_queue_in_reset(fixture.mock, 39));
	fixture_free(&fixture);
}

static void test_queue_reset_waits_for_the_engines(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, 1, FEATURES_USUAL);
	enable_queue(&fixture, 0, 256);
	write_status(&fixture, STATUS_ALL);
	struct mock_card *mock = fixture.mock;
	mock->queue[0].fetch_busy = mock->queue[0].used_busy = true;
	mock_queue_reset(mock, 0);
	turns(&fixture, 50);
	assert_true(mock_queue_in_reset(mock, 0));
	mock->queue[0].fetch_busy = false;
	turns(&fixture, 50);
	assert_true(mock_queue_in_reset(mock, 0));
	mock->queue[0].used_busy = false;
	settle(&fixture);
	check_reset_done(&fixture, 0);
	fixture_free(&fixture);
}

/* Other queues bring a request in every turn: the reset comes to its end nevertheless. */
static void test_queue_reset_ends_while_other_queues_are_busy(void **state)
{
	(void)state;
	struct fixture fixture;
	struct request request = read_request;
	start(&fixture, 2, FEATURES_USUAL);
	enable_queue(&fixture, 0, 256);
	enable_queue(&fixture, 1, 256);
	write_status(&fixture, STATUS_ALL);
	mock_queue_reset(fixture.mock, 0);
	for (unsigned i = 0; i < 20; i++) {
		request.queue = 1;
		offer(&fixture, &request);
		card_poll(fixture.card);
	}
	check_reset_done(&fixture, 0);
	fixture_free(&fixture);
}

static void test_queue_reset_before_driver_ok_done_and_reset_forgets_it(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, 1, FEATURES_USUAL);
	enable_queue(&fixture, 0, 256);
	mock_queue_reset(fixture.mock, 0);
	settle(&fixture);
	check_reset_done(&fixture, 0);
	/* The device reset overtakes the queue reset; the firmware sleeps again after it. */
	enable_queue(&fixture, 0, 256);
	fixture.mock->queue[0].fetch_busy = true;
	mock_queue_reset(fixture.mock, 0);
	turns(&fixture, 3);
	assert_int_equal(write_status(&fixture, 0), 0);
	go_live(&fixture, FEATURES_USUAL);
	check_served(&fixture, 0, 0);
	fixture_free(&fixture);
}

static void test_queue_reset_then_device_reset_with_requests_in_every_stage(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, 1, FEATURES_USUAL | BIT(VIRTIO_F_IN_ORDER));
	enable_queue(&fixture, 0, 256);
	write_status(&fixture, STATUS_ALL);
	fill_stages(&fixture, 0);
	mock_queue_reset(fixture.mock, 0);
	turns(&fixture, 3);
	assert_int_equal(write_status(&fixture, 0), 0);
	assert_int_equal(slots_in_use(&fixture), 0);
	fixture.mock->used_stalled = false;
	go_live(&fixture, FEATURES_USUAL);
	check_served(&fixture, 0, 0);
	fixture_free(&fixture);
}

/* ---- ring faults ---- */

static void test_queue_ring_fault_needs_reset(void **state)
{
	(void)state;
	for (unsigned queue = 0; queue < 64; queue++) {
		for (unsigned engine = 0; engine < 2; engine++) {
			struct fixture fixture;
			start(&fixture, 64, FEATURES_USUAL);
			enable_queue(&fixture, queue, 16);
			write_status(&fixture, STATUS_ALL);
			*(engine ? &fixture.mock->used_faults : &fixture.mock->fetch_faults) |= BIT(queue);
			settle(&fixture);
			assert_int_equal(fixture.mock->status, STATUS_ALL | VIRTIO_CONFIG_S_NEEDS_RESET);
			assert_int_equal(fixture.mock->config_interrupts, 1);
			assert_int_equal(fixture.mock->doorbells_enabled, 0);
			assert_true(fixture.mock->fetch_faults == 0 && fixture.mock->used_faults == 0);
			fixture_free(&fixture);
		}
	}
}

/* The fault's register is read after the reset that took it back: it is nobody's any more. */
static void fault_goes_away(void *ctx, bool write, uint32_t addr)
{
	struct mock_card *mock = ctx;
	if (!write && (addr == CSR_FETCH_FAULT_LO_ADDR || addr == CSR_USED_FAULT_LO_ADDR))
		mock->fetch_faults = mock->used_faults = 0;
}

static void test_queue_fault_gone_before_it_is_looked_at_ignored(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, 1, FEATURES_USUAL);
	enable_queue(&fixture, 0, 16);
	write_status(&fixture, STATUS_ALL);
	fixture.mock->fetch_faults = 1;
	fixture.mock->meanwhile = fault_goes_away;
	fixture.mock->meanwhile_ctx = fixture.mock;
	settle(&fixture);
	assert_int_equal(fixture.mock->status, STATUS_ALL);
	fixture_free(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_queue_driver_ok_looks_at_every_enabled_ring_once, "V-064"),
		cmocka_unit_test(test_queue_engines_programmed_as_driver_and_features_say),
		REQ_TEST(test_queue_size_never_written_is_the_largest, "V-028 V-058"),
		REQ_TEST(test_queue_misaligned_ring_needs_reset, "V-026"),
		cmocka_unit_test(test_queue_ring_that_wraps_needs_reset),
		cmocka_unit_test(test_queue_enabled_after_driver_ok_served_at_once),
		REQ_TEST(test_queue_reset_with_requests_in_every_stage_drops_them,
			 "D-013 D-015 D-088 D-089 V-071"),
		REQ_TEST(test_queue_reset_waits_for_the_engines, "D-089 D-090"),
		REQ_TEST(test_queue_reset_ends_while_other_queues_are_busy, "D-088"),
		cmocka_unit_test(test_queue_reset_before_driver_ok_done_and_reset_forgets_it),
		cmocka_unit_test(test_queue_reset_then_device_reset_with_requests_in_every_stage),
		REQ_TEST(test_queue_ring_fault_needs_reset, "D-002 D-003"),
		cmocka_unit_test(test_queue_direct_path_serves_at_offload_full),
		REQ_TEST(test_queue_direct_path_knows_capacity_and_cache, "D-160"),
		REQ_TEST(test_queue_reset_waits_for_the_direct_path, "D-089"),
		cmocka_unit_test(test_queue_fault_gone_before_it_is_looked_at_ignored),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
