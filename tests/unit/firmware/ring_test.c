#include "tests/unit/firmware/guest_ring.h"

#define INDIRECT BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define NEXT     VRING_DESC_F_NEXT
#define WRITE    VRING_DESC_F_WRITE
#define TABLE    VRING_DESC_F_INDIRECT

#define QUEUE_SIZE 256

static void start(struct fixture *fixture, struct guest_ring *ring, uint64_t features)
{
	struct mock_straps straps = firmware_straps(1);
	fixture_start(fixture, &straps);
	go_live(fixture, features);
	guest_ring_init(ring, fixture, 0, QUEUE_SIZE);
}

/* Lets copies finish, in any order the link allows, and the firmware go on, until nothing moves. */
static void run(struct fixture *fixture, struct rng *rng)
{
	struct mock_card *mock = fixture->mock;
	settle(fixture);
	while (mock->copies != 0) {
		unsigned index = rng ? (unsigned)rng_below(rng, mock->copies) : 0;
		if (!mock_copy_may_run(mock, index))
			index = 0;
		mock_copy_run(mock, index, false);
		settle(fixture);
		mock_log_clear(mock);
	}
}

static void kick(struct fixture *fixture, struct guest_ring *ring)
{
	guest_ring_publish(ring);
	mock_doorbell(fixture->mock, ring->queue);
}

/* ---- good chains ---- */

static void finish_jobs(struct fixture *fixture, struct guest_ring *ring, struct rng *rng)
{
	struct mock_card *mock = fixture->mock;
	while (mock->jobs != 0) {
		unsigned slot = mock->job_order[rng_below(rng, mock->jobs)];
		chain_check(&ring->chain[mock->job[slot].head], mock, slot);
		uint16_t head = mock->job[slot].head;
		unsigned before = mock->completions;
		end_job(fixture, slot, JOB_RESULT_OK, NULL);
		assert_int_equal(only_completion(fixture, before)->head, head);
		assert_int_equal(only_completion(fixture, before)->status, VIRTIO_BLK_S_OK);
		guest_ring_release(ring, head);
	}
}

static void add_random_chain(struct guest_ring *ring, struct rng *rng, bool indirect)
{
	struct chain chain;
	bool write = rng_below(rng, 2);
	uint32_t bytes = 512u * (1 + (uint32_t)rng_below(rng, 8));
	chain_cut(&chain, ring, rng, write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, rng_below(rng, 2000),
		  write ? bytes : 0, write ? 0 : bytes);
	unsigned direct = indirect ? (unsigned)rng_below(rng, chain.count + 1) : chain.count;
	if (ring->free < direct + 1)
		return;
	uint16_t head = chain_lay_out(&chain, ring, rng, direct);
	ring->chain[head] = chain;
	guest_ring_add(ring, head);
}

/* However a request is cut into descriptors, and wherever these are, it is the same request. */
static void test_ring_random_chains_understood(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(9), 0);
	for (unsigned indirect = 0; indirect < 2; indirect++) {
		struct fixture fixture;
		struct guest_ring ring;
		start(&fixture, &ring, FEATURES_USUAL | (indirect ? INDIRECT : 0));
		run(&fixture, &rng);
		for (unsigned round = 0; round < 1500; round++) {
			for (uint64_t more = 1 + rng_below(&rng, 6); more != 0; more--)
				add_random_chain(&ring, &rng, indirect);
			kick(&fixture, &ring);
			run(&fixture, &rng);
			finish_jobs(&fixture, &ring, &rng);
			assert_int_equal(ring.free, QUEUE_SIZE);
			assert_int_equal(slots_in_use(&fixture), 0);
		}
		assert_int_equal(fixture.mock->completions, ring.added);
		fixture_free(&fixture);
	}
}

/* Pieces with given lengths, the last of them the status. */
static void make_chain(struct chain *chain, struct guest_ring *ring, uint32_t type, const uint32_t *readable,
		       const uint32_t *writable)
{
	uint8_t header[16] = {(uint8_t)type};
	unsigned done = 0;
	*chain = (struct chain){.type = type};
	for (; *readable; readable++) {
		uint64_t addr = guest_ring_memory(ring, *readable, NULL);
		uint32_t here = min_u32(*readable, 16 - done);
		memcpy(mock_guest(ring->mock, addr, here), header + done, here);
		done += here;
		chain->pieces[chain->count++] = (struct piece){addr, *readable, false};
		chain->readable_bytes += *readable;
	}
	chain->readable = chain->count;
	for (; *writable; writable++) {
		chain->pieces[chain->count++] =
			(struct piece){guest_ring_memory(ring, *writable, NULL), *writable, true};
		chain->writable_bytes += *writable;
	}
}

static void test_ring_every_framing_of_a_request_accepted(void **state)
{
	(void)state;
	static const struct {
		uint32_t type, readable[20], writable[20];
	} cases[] = {
		{VIRTIO_BLK_T_IN, {16}, {512, 1}},
		{VIRTIO_BLK_T_IN, {16}, {513}},
		{VIRTIO_BLK_T_IN, {8, 8}, {512, 1}},
		{VIRTIO_BLK_T_IN, {1, 15}, {512, 1}},
		{VIRTIO_BLK_T_IN, {15, 1}, {1, 510, 1, 1}},
		{VIRTIO_BLK_T_IN, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {512, 1}},
		{VIRTIO_BLK_T_IN, {4, 4, 4, 4}, {1, 1, 1, 1, 1, 507, 1}},
		{VIRTIO_BLK_T_OUT, {16, 512}, {1}},
		{VIRTIO_BLK_T_OUT, {528}, {1}},
		{VIRTIO_BLK_T_OUT, {7, 521}, {1}},
		{VIRTIO_BLK_T_OUT, {17, 511}, {1}},
		{VIRTIO_BLK_T_OUT, {16, 1, 509, 2}, {1}},
	};
	struct rng rng;
	rng_seed(&rng, test_seed(10), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		struct guest_ring ring;
		struct chain chain;
		start(&fixture, &ring, FEATURES_USUAL | INDIRECT);
		make_chain(&chain, &ring, cases[i].type, cases[i].readable, cases[i].writable);
		for (unsigned direct = 0; direct <= chain.count; direct++) {
			uint16_t head = chain_lay_out(&chain, &ring, &rng, direct);
			ring.chain[head] = chain;
			guest_ring_add(&ring, head);
		}
		kick(&fixture, &ring);
		run(&fixture, &rng);
		assert_int_equal(fixture.mock->jobs, chain.count + 1);
		finish_jobs(&fixture, &ring, &rng);
		fixture_free(&fixture);
	}
}

/* As many segments as a slot holds, in an indirect table longer than the queue would allow; one more is too much. */
static void test_ring_longest_chain_accepted_longer_needs_reset(void **state)
{
	(void)state;
	for (unsigned pieces = SLOT_SEGMENTS_MAX - 1; pieces <= SLOT_SEGMENTS_MAX + 1; pieces++) {
		struct fixture fixture;
		struct guest_ring ring;
		start(&fixture, &ring, FEATURES_USUAL | INDIRECT);
		uint64_t table = guest_ring_memory(&ring, 200 * 16, NULL);
		uint64_t header = guest_ring_memory(&ring, 16, NULL),
			 data = guest_ring_memory(&ring, 65536, NULL);
		memset(mock_guest(fixture.mock, header, 16), 0, 16);
		for (unsigned i = 0; i < pieces; i++) {
			bool last = i + 1 == pieces;
			guest_ring_desc(&ring, table, i, i == 0 ? header : data,
					i == 0 ? 16
					: last ? 1
					       : 512,
					(uint16_t)((i ? WRITE : 0) | (last ? 0 : NEXT)), (uint16_t)(i + 1));
		}
		guest_ring_desc(&ring, ring.desc, 0, table, pieces * 16, TABLE, 0);
		guest_ring_add(&ring, 0);
		kick(&fixture, &ring);
		run(&fixture, NULL);
		bool good = pieces <= SLOT_SEGMENTS_MAX;
		assert_int_equal(fixture.mock->jobs, good);
		assert_int_equal(fixture.mock->status, STATUS_ALL | (good ? 0 : VIRTIO_CONFIG_S_NEEDS_RESET));
		fixture_free(&fixture);
	}
}

/* ---- violations ---- */

#define OUTSIDE (MOCK_GUEST_BASE - 0x10000) /* no memory there */

struct violation {
	const char *name;
	struct {
		uint64_t addr; /* 0: 64 KiB of memory; IN_TABLE, AT_THIRD: see there */
		uint32_t bytes;
		uint16_t flags, next;
	} direct[4], indirect[4];
	uint16_t head;
	bool indirect_not_negotiated;
	bool answered; /* IOERR instead of DEVICE_NEEDS_RESET */
};

#define IN_TABLE 1 /* address of the indirect table */
#define AT_THIRD 2 /* address of the third descriptor of the ring's table */

static const struct violation violations[] = {
	{.name = "V-001 head at queue size", .direct = {{0, 16, NEXT, 1}, {0, 513, WRITE, 0}}, .head = 256},
	{.name = "V-001 head at 65535", .direct = {{0, 16, NEXT, 1}, {0, 513, WRITE, 0}}, .head = 65535},
	{.name = "V-002 next at queue size", .direct = {{0, 16, NEXT, 256}}},
	{.name = "V-002 next at 65535", .direct = {{0, 16, NEXT, 65535}}},
	{.name = "V-003 next behind the table",
	 .direct = {{IN_TABLE, 32, TABLE, 0}},
	 .indirect = {{0, 16, NEXT, 2}, {0, 513, WRITE, 0}}},
	{.name = "V-004 loop of one", .direct = {{0, 16, NEXT, 0}}},
	{.name = "V-004 loop of two", .direct = {{0, 16, NEXT, 1}, {0, 16, NEXT, 0}}},
	{.name = "V-004 loop behind a prefix",
	 .direct = {{0, 16, NEXT, 1}, {0, 16, NEXT, 2}, {0, 16, NEXT, 1}}},
	{.name = "V-004 loop in a table",
	 .direct = {{IN_TABLE, 32, TABLE, 0}},
	 .indirect = {{0, 16, NEXT, 1}, {0, 1, WRITE | NEXT, 1}}},
	{.name = "V-007 more than 2^32 bytes",
	 .direct = {{0, 16, NEXT, 1}, {0, 0xfffffff0, WRITE | NEXT, 2}, {0, 0x20, WRITE, 0}}},
	{.name = "V-008 indirect not negotiated",
	 .direct = {{IN_TABLE, 32, TABLE, 0}},
	 .indirect = {{0, 16, NEXT, 1}, {0, 513, WRITE, 0}},
	 .indirect_not_negotiated = true},
	{.name = "V-009 indirect in a table, pointing to a good chain",
	 .direct = {{IN_TABLE, 32, TABLE, 0}, {0, 0, 0, 0}, {0, 16, NEXT, 1}, {0, 513, WRITE, 0}},
	 .indirect = {{AT_THIRD, 32, TABLE, 0}}},
	{.name = "V-009 indirect in a table behind a header",
	 .direct = {{IN_TABLE, 32, TABLE, 0}, {0, 0, 0, 0}, {0, 513, WRITE, 0}},
	 .indirect = {{0, 16, NEXT, 1}, {AT_THIRD, 16, TABLE, 0}}},
	{.name = "V-010 indirect and next",
	 .direct = {{IN_TABLE, 32, TABLE | NEXT, 1}, {0, 513, WRITE, 0}},
	 .indirect = {{0, 16, NEXT, 1}, {0, 513, WRITE, 0}}},
	{.name = "V-011 more behind the indirect one",
	 .direct = {{0, 16, NEXT, 1}, {IN_TABLE, 16, TABLE | NEXT, 2}, {0, 1, WRITE, 0}},
	 .indirect = {{0, 512, WRITE, 0}}},
	{.name = "V-012 table of length 0",
	 .direct = {{IN_TABLE, 0, TABLE, 0}},
	 .indirect = {{0, 16, NEXT, 1}, {0, 513, WRITE, 0}}},
	{.name = "V-013 table of 17 bytes",
	 .direct = {{IN_TABLE, 17, TABLE, 0}},
	 .indirect = {{0, 16, NEXT, 1}, {0, 513, WRITE, 0}}},
	{.name = "V-013 table of 8 bytes",
	 .direct = {{IN_TABLE, 8, TABLE, 0}},
	 .indirect = {{0, 16, NEXT, 1}, {0, 513, WRITE, 0}}},
	{.name = "V-014 table without memory", .direct = {{OUTSIDE, 32, TABLE, 0}}},
	{.name = "V-014 table that wraps", .direct = {{UINT64_MAX - 15, 32, TABLE, 0}}},
	{.name = "V-015 readable behind writable",
	 .direct = {{0, 16, NEXT, 1}, {0, 512, WRITE | NEXT, 2}, {0, 1, 0, 0}}},
	{.name = "V-015 writable first", .direct = {{0, 513, WRITE | NEXT, 1}, {0, 16, 0, 0}}},
	{.name = "V-016 data of length 0",
	 .direct = {{0, 16, NEXT, 1}, {0, 0, WRITE | NEXT, 2}, {0, 513, WRITE, 0}}},
	{.name = "V-017 header of length 0",
	 .direct = {{0, 0, NEXT, 1}, {0, 16, NEXT, 2}, {0, 513, WRITE, 0}}},
	{.name = "V-017 status of length 0",
	 .direct = {{0, 16, NEXT, 1}, {0, 512, WRITE | NEXT, 2}, {0, 0, WRITE, 0}}},
	{.name = "V-018 header without memory",
	 .direct = {{OUTSIDE, 16, NEXT, 1}, {0, 513, WRITE, 0}},
	 .answered = true},
	{.name = "V-018 second half of the header without memory",
	 .direct = {{0, 8, NEXT, 1}, {OUTSIDE, 8, NEXT, 2}, {0, 513, WRITE, 0}},
	 .answered = true},
	{.name = "V-020 data that wraps",
	 .direct = {{0, 16, NEXT, 1}, {UINT64_MAX, 2, WRITE | NEXT, 2}, {0, 1, WRITE, 0}}},
	{.name = "V-020 header that wraps", .direct = {{UINT64_MAX - 7, 16, NEXT, 1}, {0, 513, WRITE, 0}}},
	{.name = "V-086 nothing writable", .direct = {{0, 16, NEXT, 1}, {0, 512, 0, 0}}},
	{.name = "V-086 nothing readable", .direct = {{0, 513, WRITE, 0}}},
	{.name = "V-087 header too short", .direct = {{0, 15, NEXT, 1}, {0, 513, WRITE, 0}}},
};

static void lay_out_violation(struct guest_ring *ring, const struct violation *violation)
{
	uint64_t table = guest_ring_memory(ring, sizeof(violation->indirect), NULL);
	uint64_t memory = guest_ring_memory(ring, 65536, NULL);
	const uint64_t places[] = {memory, table, ring->desc + 32};
	memset(mock_guest(ring->mock, memory, 65536), 0, 65536); /* a header of zeros is a read of sector 0 */
	for (unsigned i = 0; i < ARRAY_SIZE(violation->direct); i++) {
		uint64_t addr = violation->direct[i].addr;
		guest_ring_desc(ring, ring->desc, i, addr < ARRAY_SIZE(places) ? places[addr] : addr,
				violation->direct[i].bytes, violation->direct[i].flags,
				violation->direct[i].next);
		addr = violation->indirect[i].addr;
		guest_ring_desc(ring, table, i, addr < ARRAY_SIZE(places) ? places[addr] : addr,
				violation->indirect[i].bytes, violation->indirect[i].flags,
				violation->indirect[i].next);
	}
	guest_ring_add(ring, violation->head);
}

/* A good request on the ring as it is after go_live. */
static void check_good_request(struct fixture *fixture, uint64_t features)
{
	struct guest_ring ring;
	struct rng rng;
	rng_seed(&rng, 1, 0);
	go_live(fixture, features);
	guest_ring_init(&ring, fixture, 0, QUEUE_SIZE);
	add_random_chain(&ring, &rng, false);
	kick(fixture, &ring);
	run(fixture, &rng);
	assert_int_equal(fixture->mock->jobs, 1);
	finish_jobs(fixture, &ring, &rng);
}

static void test_ring_violations_need_reset_and_nothing_else(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(violations); i++) {
		const struct violation *violation = &violations[i];
		struct fixture fixture;
		struct guest_ring ring;
		start(&fixture, &ring, FEATURES_USUAL | (violation->indirect_not_negotiated ? 0 : INDIRECT));
		lay_out_violation(&ring, violation);
		kick(&fixture, &ring);
		run(&fixture, NULL);
		uint8_t expected = STATUS_ALL | (violation->answered ? 0 : VIRTIO_CONFIG_S_NEEDS_RESET);
		if (fixture.mock->status != expected || fixture.mock->jobs_started != 0)
			fail_msg("%s: status 0x%x, %u jobs", violation->name, fixture.mock->status,
				 (unsigned)fixture.mock->jobs_started);
		assert_int_equal(fixture.mock->completions, violation->answered);
		if (violation->answered)
			assert_int_equal(fixture.mock->completed[0].status, VIRTIO_BLK_S_IOERR);
		assert_int_equal(slots_in_use(&fixture), 0);
		assert_int_equal(fixture.mock->config_interrupts, !violation->answered);
		assert_int_equal(write_status(&fixture, 0), 0);
		check_good_request(&fixture, FEATURES_USUAL);
		fixture_free(&fixture);
	}
}

/* A chain may have as many descriptors as the ring. One step more is known to be a loop, before anything is read again. */
static void test_ring_loop_found_within_as_many_reads_as_the_ring_is_long(void **state)
{
	(void)state;
	enum { SIZE = 16 };
	for (unsigned loop = 0; loop < 2; loop++) {
		struct mock_straps straps = firmware_straps(1);
		struct fixture fixture;
		struct guest_ring ring;
		fixture_start(&fixture, &straps);
		negotiate_features(&fixture, FEATURES_USUAL);
		enable_queue(&fixture, 0, SIZE);
		guest_ring_init(&ring, &fixture, 0, SIZE);
		write_status(&fixture, STATUS_ALL);
		uint64_t memory = guest_ring_memory(&ring, 512, NULL);
		memset(mock_guest(fixture.mock, memory, 512), 0, 512);
		/* Backwards, so that every step needs another read. */
		for (unsigned i = 0; i < SIZE; i++)
			guest_ring_desc(&ring, ring.desc, i, memory, i ? 16 : 513,
					(uint16_t)((i || loop ? NEXT : 0) | (i || loop ? 0 : WRITE)),
					(uint16_t)(i ? i - 1 : SIZE - 1));
		guest_ring_add(&ring, SIZE - 1);
		kick(&fixture, &ring);
		settle(&fixture);
		unsigned reads = 0;
		while (fixture.mock->copies != 0) {
			reads += fixture.mock->copy[0].host - ring.desc < SIZE * 16;
			mock_copy_run(fixture.mock, 0, false);
			settle(&fixture);
		}
		assert_int_equal(reads, SIZE);
		assert_int_equal(fixture.mock->status, STATUS_ALL | (loop ? VIRTIO_CONFIG_S_NEEDS_RESET : 0));
		assert_int_equal(fixture.mock->jobs_started, !loop);
		fixture_free(&fixture);
	}
}

/* avail.idx may be ahead of what was taken by the queue size at most. */
static void test_ring_available_index_out_of_range_needs_reset(void **state)
{
	(void)state;
	for (unsigned taken = 0; taken < 2; taken++) {
		static const struct {
			uint16_t ahead;
			bool good;
		} cases[] = {{0, true}, {QUEUE_SIZE + 1, false}, {0x8000, false}, {65535, false}};
		for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
			struct fixture fixture;
			struct guest_ring ring;
			struct rng rng;
			rng_seed(&rng, 11, i);
			start(&fixture, &ring, FEATURES_USUAL);
			for (unsigned request = 0; request < taken; request++)
				add_random_chain(&ring, &rng, false);
			kick(&fixture, &ring);
			run(&fixture, &rng);
			finish_jobs(&fixture, &ring, &rng);
			ring.added = (uint16_t)(ring.added + cases[i].ahead);
			kick(&fixture, &ring);
			run(&fixture, &rng);
			assert_int_equal(fixture.mock->status,
					 STATUS_ALL | (cases[i].good ? 0 : VIRTIO_CONFIG_S_NEEDS_RESET));
			assert_int_equal(fixture.mock->jobs_started, taken);
			fixture_free(&fixture);
		}
	}
}

/* Each read of the ring or its chains fails in turn. */
static void test_ring_reads_that_fail_need_reset_or_ioerr(void **state)
{
	(void)state;
	for (unsigned failing = 0; failing < 5; failing++) {
		struct fixture fixture;
		struct guest_ring ring;
		start(&fixture, &ring, FEATURES_USUAL | INDIRECT);
		run(&fixture, NULL);
		const struct violation good = {.direct = {{IN_TABLE, 32, TABLE, 0}},
					       .indirect = {{0, 16, NEXT, 1}, {0, 513, WRITE, 0}}};
		lay_out_violation(&ring, &good);
		kick(&fixture, &ring);
		settle(&fixture);
		/* avail.idx, ring entry, descriptor, indirect table, header */
		for (unsigned i = 0; i <= failing; i++) {
			assert_int_equal(fixture.mock->copies, 1);
			mock_copy_run(fixture.mock, 0, i == failing);
			settle(&fixture);
		}
		run(&fixture, NULL);
		assert_int_equal(fixture.mock->status,
				 STATUS_ALL | (failing == 4 ? 0 : VIRTIO_CONFIG_S_NEEDS_RESET));
		assert_int_equal(fixture.mock->completions, failing == 4);
		assert_int_equal(fixture.mock->jobs_started, 0);
		assert_int_equal(slots_in_use(&fixture), 0);
		fixture_free(&fixture);
	}
}

static void test_ring_without_memory_needs_reset_at_the_first_read(void **state)
{
	(void)state;
	struct mock_straps straps = firmware_straps(1);
	struct fixture fixture;
	fixture_start(&fixture, &straps);
	negotiate_features(&fixture, FEATURES_USUAL);
	mock_queue_write(fixture.mock, 0, 256, OUTSIDE, OUTSIDE, OUTSIDE);
	mock_queue_enable(fixture.mock, 0);
	write_status(&fixture, STATUS_ALL);
	assert_int_equal(fixture.mock->copies, 1);
	run(&fixture, NULL);
	assert_int_equal(fixture.mock->status, STATUS_ALL | VIRTIO_CONFIG_S_NEEDS_RESET);
	fixture_free(&fixture);
}

/* What was checked is what is used: descriptors and header are read once. */
static void test_ring_descriptors_changed_after_the_read_no_matter(void **state)
{
	(void)state;
	static const uint32_t readable[] = {9, 7, 0}, writable[] = {1, 511, 512, 3072, 1, 0};
	struct fixture fixture;
	struct guest_ring ring;
	start(&fixture, &ring, FEATURES_USUAL | INDIRECT);
	run(&fixture, NULL);
	struct chain *chain = &ring.chain[0];
	make_chain(chain, &ring, VIRTIO_BLK_T_IN, readable, writable);
	uint64_t table = guest_ring_memory(&ring, chain->count * 16, NULL);
	for (unsigned i = 0; i < chain->count; i++)
		guest_ring_desc(
			&ring, table, i, chain->pieces[i].addr, chain->pieces[i].bytes,
			(uint16_t)((i + 1 < chain->count ? NEXT : 0) | (chain->pieces[i].write ? WRITE : 0)),
			(uint16_t)(i + 1));
	guest_ring_desc(&ring, ring.desc, 0, table, chain->count * 16, TABLE, 0);
	guest_ring_add(&ring, 0);
	kick(&fixture, &ring);
	settle(&fixture);
	unsigned reads = 0;
	while (fixture.mock->copies != 0) {
		struct mock_copy copy = fixture.mock->copy[0];
		mock_copy_run(fixture.mock, 0, false);
		if (copy.host !=
		    ring.avail) /* what has been read is overwritten before anybody looks at it */
			memset(mock_guest(fixture.mock, copy.host, copy.bytes), 0xff, copy.bytes);
		settle(&fixture);
		reads++;
	}
	assert_int_equal(reads, 6); /* avail.idx, entry, descriptor, table, header in two pieces */
	assert_int_equal(fixture.mock->jobs, 1);
	chain_check(chain, fixture.mock, fixture.mock->job_order[0]);
	fixture_free(&fixture);
}

static void test_ring_head_offered_twice_both_served(void **state)
{
	(void)state;
	struct fixture fixture;
	struct guest_ring ring;
	struct rng rng;
	rng_seed(&rng, 13, 0);
	start(&fixture, &ring, FEATURES_USUAL);
	const struct violation good = {.direct = {{0, 16, NEXT, 1}, {0, 513, WRITE, 0}}};
	lay_out_violation(&ring, &good);
	guest_ring_add(&ring, 0);
	kick(&fixture, &ring);
	run(&fixture, &rng);
	assert_int_equal(fixture.mock->jobs, 2);
	end_all_jobs(&fixture, JOB_RESULT_OK);
	assert_int_equal(fixture.mock->completions, 2);
	assert_int_equal(slots_in_use(&fixture), 0);
	fixture_free(&fixture);
}

/* ---- room ---- */

/* Headers in pieces of a byte, and as many requests as there are slots: the copy engine never runs full (the mock fails
 * the test if it does), and nobody waits for it. */
static void test_ring_many_small_pieces_copy_engine_has_room(void **state)
{
	(void)state;
	static const uint32_t readable[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0},
			      writable[] = {513, 0};
	struct fixture fixture;
	struct guest_ring ring;
	struct rng rng;
	rng_seed(&rng, test_seed(14), 0);
	start(&fixture, &ring, FEATURES_USUAL | INDIRECT);
	for (unsigned i = 0; i < QUEUE_SIZE; i++) {
		struct chain chain;
		make_chain(&chain, &ring, VIRTIO_BLK_T_IN, readable, writable);
		uint16_t head = chain_lay_out(&chain, &ring, &rng, 0);
		ring.chain[head] = chain;
		guest_ring_add(&ring, head);
	}
	kick(&fixture, &ring);
	settle(&fixture);
	/* The host is slow: the firmware does all it can between two copies. */
	run(&fixture, &rng);
	assert_int_equal(fixture.mock->jobs, QUEUE_SIZE);
	finish_jobs(&fixture, &ring, &rng);
	fixture_free(&fixture);
}

static void test_ring_no_copy_comes_back_reset_still_answered(void **state)
{
	(void)state;
	struct fixture fixture;
	struct guest_ring ring;
	struct rng rng;
	rng_seed(&rng, 15, 0);
	start(&fixture, &ring, FEATURES_USUAL);
	for (unsigned i = 0; i < 30; i++)
		add_random_chain(&ring, &rng, false);
	kick(&fixture, &ring);
	for (unsigned i = 0; i < 4; i++) { /* up to where chains are being walked */
		settle(&fixture);
		mock_copy_run(fixture.mock, 0, false);
	}
	settle(&fixture);
	assert_int_equal(write_status(&fixture, 0), 0);
	assert_int_equal(slots_in_use(&fixture), 0);
	check_good_request(&fixture, FEATURES_USUAL);
	fixture_free(&fixture);
}

/* Two queues with more requests than there are slots: all are served in the end, and neither queue is kept waiting by the
 * other. */
static void test_ring_slots_exhausted_queues_take_turns(void **state)
{
	(void)state;
	enum { EACH = 200 };
	struct mock_straps straps = firmware_straps(2);
	struct fixture fixture;
	struct guest_ring rings[2];
	struct rng rng;
	rng_seed(&rng, test_seed(16), 0);
	straps.slots = 4;
	fixture_start(&fixture, &straps);
	go_live(&fixture, FEATURES_USUAL | INDIRECT);
	struct mock_card *mock = fixture.mock;
	unsigned served[2] = {0};
	for (unsigned queue = 0; queue < 2; queue++) {
		struct chain chain;
		guest_ring_init(&rings[queue], &fixture, queue, QUEUE_SIZE);
		for (unsigned i = 0; i < EACH; i++) {
			chain_cut(&chain, &rings[queue], &rng, VIRTIO_BLK_T_FLUSH, 0, 0, 0);
			guest_ring_add(&rings[queue], chain_lay_out(&chain, &rings[queue], &rng, 0));
		}
		kick(&fixture, &rings[queue]);
	}
	while (served[0] + served[1] < 2 * EACH) {
		unsigned idle = 0;
		while (mock->jobs == 0 && idle++ < 100) {
			if (mock->copies != 0)
				mock_copy_run(mock, 0, false);
			turns(&fixture, 2);
		}
		assert_true(mock->jobs != 0);
		unsigned slot = mock->job_order[rng_below(&rng, mock->jobs)];
		served[mock->job[slot].queue]++;
		mock_job_end(mock, slot, JOB_RESULT_OK, NULL);
		turns(&fixture, 2);
		if (served[0] < EACH && served[1] < EACH)
			assert_in_range(served[0] + 30 - served[1], 0, 60);
		mock_log_clear(mock);
	}
	run(&fixture, &rng);
	assert_int_equal(mock->completions, 2 * EACH);
	assert_int_equal(slots_in_use(&fixture), 0);
	fixture_free(&fixture);
}

/* ---- queue reset ---- */

static void test_ring_queue_reset_while_chains_are_walked(void **state)
{
	(void)state;
	for (unsigned copies = 0; copies < 40; copies++) {
		struct mock_straps straps = firmware_straps(2);
		struct fixture fixture;
		struct guest_ring rings[2];
		struct rng rng;
		rng_seed(&rng, 17, copies);
		fixture_start(&fixture, &straps);
		go_live(&fixture, FEATURES_USUAL | INDIRECT);
		struct mock_card *mock = fixture.mock;
		guest_ring_init(&rings[0], &fixture, 0, QUEUE_SIZE);
		guest_ring_init(&rings[1], &fixture, 1, QUEUE_SIZE);
		for (unsigned i = 0; i < 20; i++)
			add_random_chain(&rings[0], &rng, true);
		kick(&fixture, &rings[0]);
		settle(&fixture);
		for (unsigned i = 0; i < copies && mock->copies != 0; i++) {
			mock_copy_run(mock, 0, false);
			settle(&fixture);
		}
		uint64_t jobs = mock->jobs_started;
		mock_queue_reset(mock, 0);
		turns(&fixture, 3);
		assert_int_equal(mock_queue_in_reset(mock, 0), mock->copies != 0 || mock->jobs != 0);
		while (mock->copies != 0) {
			mock_copy_run(mock, 0, false);
			turns(&fixture, 3);
		}
		end_all_jobs(&fixture, JOB_RESULT_OK);
		settle(&fixture);
		assert_false(mock_queue_in_reset(mock, 0));
		assert_int_equal(mock->jobs_started, jobs);
		assert_int_equal(slots_in_use(&fixture), 0);
		/* The other queue goes on, and this one starts anew. */
		enable_queue(&fixture, 0, QUEUE_SIZE);
		guest_ring_init(&rings[0], &fixture, 0, QUEUE_SIZE);
		settle(&fixture);
		for (unsigned queue = 0; queue < 2; queue++) {
			add_random_chain(&rings[queue], &rng, true);
			kick(&fixture, &rings[queue]);
			run(&fixture, &rng);
			assert_int_equal(mock->jobs, 1);
			finish_jobs(&fixture, &rings[queue], &rng);
		}
		fixture_free(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_ring_random_chains_understood, "D-016 D-021 D-022 V-088 V-089 V-090 V-092"),
		REQ_TEST(test_ring_every_framing_of_a_request_accepted,
			 "D-016 D-021 D-022 V-088 V-089 V-090 V-092"),
		REQ_TEST(test_ring_longest_chain_accepted_longer_needs_reset, "D-017 V-005"),
		REQ_TEST(test_ring_violations_need_reset_and_nothing_else,
			 "D-002 V-001 V-002 V-003 V-004 V-006 V-007 V-008 V-009 V-010 V-011 V-012 V-013 "
			 "V-014 V-015 "
			 "V-016 V-017 V-018 V-020 V-086 V-087"),
		REQ_TEST(test_ring_loop_found_within_as_many_reads_as_the_ring_is_long, "V-004 V-006"),
		REQ_TEST(test_ring_available_index_out_of_range_needs_reset, "V-021 V-022"),
		REQ_TEST(test_ring_reads_that_fail_need_reset_or_ioerr, "V-014 V-018 V-029"),
		REQ_TEST(test_ring_without_memory_needs_reset_at_the_first_read, "V-029"),
		REQ_TEST(test_ring_descriptors_changed_after_the_read_no_matter, "V-024"),
		REQ_TEST(test_ring_head_offered_twice_both_served, "V-023"),
		REQ_TEST(test_ring_many_small_pieces_copy_engine_has_room, "V-088"),
		cmocka_unit_test(test_ring_no_copy_comes_back_reset_still_answered),
		REQ_TEST(test_ring_slots_exhausted_queues_take_turns, "V-069"),
		REQ_TEST(test_ring_queue_reset_while_chains_are_walked, "D-013 D-088 D-089 V-071"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
