#include "tests/unit/firmware/fixture.h"

#define CAPACITY 2048u /* sectors */
#define MEBIBYTE (1024u * 1024)

#define OK     VIRTIO_BLK_S_OK
#define IOERR  VIRTIO_BLK_S_IOERR
#define UNSUPP VIRTIO_BLK_S_UNSUPP

#define IN  VIRTIO_BLK_T_IN
#define OUT VIRTIO_BLK_T_OUT

#define STABLE    1u /* slot.job_flags */
#define MAY_UNMAP 2u

static void start_with(struct fixture *fixture, const struct mock_straps *straps, uint64_t features)
{
	fixture_start(fixture, straps);
	go_live(fixture, features);
}

static void start(struct fixture *fixture, uint64_t features)
{
	struct mock_straps straps = mock_default_straps();
	start_with(fixture, &straps, features);
}

static void start_read_only(struct fixture *fixture)
{
	struct mock_straps straps = mock_default_straps();
	straps.media_flags |= CSR_MEDIA_FLAGS_READ_ONLY_MASK;
	start_with(fixture, &straps, FEATURES_USUAL); /* RO is offered, not accepted */
}

/* The request is answered without the mover's help. */
static void answered_at_once(struct fixture *fixture, const struct request *request, uint8_t status,
			     uint32_t len)
{
	unsigned before = fixture->mock->completions;
	uint64_t jobs = fixture->mock->jobs_started;
	submit(fixture, request);
	const struct mock_completion *completion = only_completion(fixture, before);
	assert_int_equal(completion->status, status);
	assert_int_equal(completion->len, len);
	assert_int_equal(fixture->mock->jobs_started, jobs);
}

/* The request makes one job; returns its slot. */
static unsigned makes_job(struct fixture *fixture, const struct request *request)
{
	unsigned before = fixture->mock->completions;
	uint64_t jobs = fixture->mock->jobs_started;
	unsigned slot = submit(fixture, request);
	assert_int_equal(fixture->mock->completions, before);
	assert_int_equal(fixture->mock->jobs_started, jobs + 1);
	return slot;
}

static void ends_with(struct fixture *fixture, unsigned slot, uint32_t result, const void *data,
		      uint8_t status, uint32_t len)
{
	unsigned before = fixture->mock->completions;
	end_job(fixture, slot, result, data);
	const struct mock_completion *completion = only_completion(fixture, before);
	assert_int_equal(completion->status, status);
	assert_int_equal(completion->len, len);
}

/* ---- IN, OUT ---- */

static void test_blk_reads_and_writes_on_the_medium_move_their_data(void **state)
{
	(void)state;
	static const struct {
		struct request request;
		uint32_t bytes, skip;
		uint64_t offset;
		uint32_t len;
	} cases[] = {
		{{.type = IN, .in_bytes = 512}, 512, 0, 0, 513},
		{{.type = IN, .sector = 8, .in_bytes = 4096}, 4096, 0, 4096, 4097},
		{{.type = IN, .sector = CAPACITY - 1, .in_bytes = 512}, 512, 0, MEBIBYTE - 512, 513},
		{{.type = IN, .in_bytes = MEBIBYTE}, MEBIBYTE, 0, 0, MEBIBYTE + 1},
		{{.type = IN, .in_bytes = 512, .out_bytes = 100}, 512, 0, 0, 513}, /* V-102 */
		{{.type = OUT, .out_bytes = 512}, 512, 16, 0, 1},
		{{.type = OUT, .sector = 9, .out_bytes = 1536}, 1536, 16, 4608, 1},
		{{.type = OUT, .sector = CAPACITY - 1, .out_bytes = 512}, 512, 16, MEBIBYTE - 512, 1},
		{{.type = OUT, .out_bytes = MEBIBYTE}, MEBIBYTE, 16, 0, 1},
		{{.type = OUT, .out_bytes = 512, .in_bytes = 7}, 512, 16, 0, 0}, /* V-103 */
	};
	struct mock_straps straps = mock_default_straps();
	struct fixture fixture;
	straps.block_bytes = 4096; /* V-094: advisory */
	start_with(&fixture, &straps, FEATURES_USUAL);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned slot = makes_job(&fixture, &cases[i].request);
		const struct slot *job = &fixture.mock->job[slot];
		assert_int_equal(job->job_op, cases[i].request.type == IN ? JOB_READ : JOB_WRITE);
		assert_int_equal(job->job_bytes, cases[i].bytes);
		assert_int_equal(job->job_skip, cases[i].skip);
		assert_true(job->job_offset == cases[i].offset);
		ends_with(&fixture, slot, JOB_RESULT_OK, NULL, OK, cases[i].len);
	}
	fixture_free(&fixture);
}

static void test_blk_reads_and_writes_of_nothing_ok_on_the_medium(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, FEATURES_USUAL);
	for (unsigned type = IN; type <= OUT; type++) {
		const struct request first = {.type = type}, end = {.type = type, .sector = CAPACITY};
		const struct request behind = {.type = type, .sector = CAPACITY + 1};
		answered_at_once(&fixture, &first, OK, 1);
		answered_at_once(&fixture, &end, OK, 1);
		answered_at_once(&fixture, &behind, IOERR, 1);
	}
	fixture_free(&fixture);
}

static void test_blk_length_not_a_multiple_of_512_refused(void **state)
{
	(void)state;
	static const uint32_t lengths[] = {1, 2, 511, 513, 1023, 4095, 4097};
	struct fixture fixture;
	start(&fixture, FEATURES_USUAL);
	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		const struct request in = {.type = IN, .in_bytes = lengths[i]};
		const struct request out = {.type = OUT, .out_bytes = lengths[i]};
		answered_at_once(&fixture, &in, IOERR,
				 0); /* the status does not follow on what was written: nothing */
		answered_at_once(&fixture, &out, IOERR, 1);
	}
	fixture_free(&fixture);
}

/* Ranges that end up to and behind the end of the medium, and where sums wrap. */
static void test_blk_range_beyond_the_medium_refused(void **state)
{
	(void)state;
	static const struct {
		uint64_t sector;
		uint32_t bytes;
	} cases[] = {
		{CAPACITY, 512},          {CAPACITY - 1, 1024},     {0, (CAPACITY + 1) * 512},
		{CAPACITY + 1, 512},      {UINT64_MAX, 512},        {UINT64_MAX, 1024},
		{UINT64_MAX - 1, 1024},   {UINT64_MAX - 7, 4096},   {UINT64_MAX - CAPACITY, MEBIBYTE},
		{UINT64_C(1) << 55, 512}, {UINT64_C(1) << 63, 512}, {(UINT64_C(1) << 55) - 1, 1024},
		{UINT64_C(1) << 32, 512}, {0, 0xfffffe00},          {1, MEBIBYTE},
	};
	struct fixture fixture;
	start(&fixture, FEATURES_USUAL);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct request in = {.type = IN, .sector = cases[i].sector, .in_bytes = cases[i].bytes};
		const struct request out = {
			.type = OUT, .sector = cases[i].sector, .out_bytes = cases[i].bytes};
		answered_at_once(&fixture, &in, IOERR, 0);
		answered_at_once(&fixture, &out, IOERR, 1);
	}
	fixture_free(&fixture);
}

/* The same, against arithmetic in 128 bits. */
static void test_blk_random_ranges_decided_as_arithmetic_says(void **state)
{
	(void)state;
	struct rng rng;
	struct fixture fixture;
	rng_seed(&rng, test_seed(4), 0);
	start(&fixture, FEATURES_USUAL);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t sector = rng_below(&rng, 2) ? rng_below(&rng, CAPACITY + 4)
						     : rng_u64(&rng) >> rng_below(&rng, 64);
		uint32_t sectors = 1 + (uint32_t)rng_below(&rng, rng_below(&rng, 2) ? 16 : CAPACITY + 2);
		const struct request request = {.type = IN, .sector = sector, .in_bytes = sectors * 512};
		bool inside = (unsigned __int128)sector + sectors <= CAPACITY;
		mock_log_clear(fixture.mock);
		if (inside)
			ends_with(&fixture, makes_job(&fixture, &request), JOB_RESULT_OK, NULL, OK,
				  sectors * 512 + 1);
		else
			answered_at_once(&fixture, &request, IOERR, 0);
	}
	fixture_free(&fixture);
}

static void test_blk_read_only_refuses_all_that_writes(void **state)
{
	(void)state;
	static const struct request writes[] = {
		{.type = OUT, .out_bytes = 512},
		{.type = OUT},
		{.type = VIRTIO_BLK_T_DISCARD, .out_bytes = 16},
		{.type = VIRTIO_BLK_T_WRITE_ZEROES, .out_bytes = 16},
		{.type = VIRTIO_BLK_T_SECURE_ERASE, .out_bytes = 16},
	};
	const struct request read = {.type = IN, .in_bytes = 512}, flush = {.type = VIRTIO_BLK_T_FLUSH};
	struct fixture fixture;
	start_read_only(&fixture);
	for (unsigned i = 0; i < ARRAY_SIZE(writes); i++)
		answered_at_once(&fixture, &writes[i], IOERR, 1);
	ends_with(&fixture, makes_job(&fixture, &read), JOB_RESULT_OK, NULL, OK, 513);
	ends_with(&fixture, makes_job(&fixture, &flush), JOB_RESULT_OK, NULL, OK, 1);
	fixture_free(&fixture);
}

/* SEG_MAX and SIZE_MAX are not enforced: a request with as many segments as a slot holds is like any other. The reserved
 * word of the header is not looked at. */
static void test_blk_many_segments_and_reserved_word_no_matter(void **state)
{
	(void)state;
	struct mock_straps straps = mock_default_straps();
	struct fixture fixture;
	straps.size_max = 512;
	straps.seg_max = 1;
	start_with(&fixture, &straps, FEATURES_USUAL);
	const struct request request = {.type = IN, .in_bytes = 65536};
	unsigned number = (unsigned)mock_slot_take(fixture.mock, 0, 0, 0);
	struct slot *slot = mock_slot(fixture.mock, number);
	slot->error = RECORD_ERROR_NONE;
	slot->segments = SLOT_SEGMENTS_MAX;
	slot->readable_segments = 1;
	slot->readable_bytes = 16;
	slot->writable_bytes = request.in_bytes + 1;
	slot->type = IN;
	slot->ioprio = 0xdeadbeef;
	slot->sector = 0;
	mock_record(fixture.mock, number);
	settle(&fixture);
	assert_int_equal(fixture.mock->jobs, 1);
	ends_with(&fixture, number, JOB_RESULT_OK, NULL, OK, 65537);
	fixture_free(&fixture);
}

/* ---- write-through and write-back ---- */

static uint32_t flags_of_write(struct fixture *fixture, uint32_t type)
{
	static const struct virtio_blk_discard_write_zeroes range = {.num_sectors = 8};
	const struct request request = {.type = type, .out_bytes = type == OUT ? 4096 : sizeof(range)};
	unsigned slot = makes_job(fixture, &request);
	if (type != OUT) {
		assert_int_equal(fixture->mock->job[slot].job_op, JOB_GUEST_TO_LOCAL);
		end_job(fixture, slot, JOB_RESULT_OK, &range);
	}
	uint32_t flags = fixture->mock->job[slot].job_flags;
	end_job(fixture, slot, JOB_RESULT_OK, NULL);
	return flags;
}

static void test_blk_writes_stable_as_negotiated(void **state)
{
	(void)state;
	static const struct {
		uint64_t features;
		uint32_t flags;
	} cases[] = {
		{0, STABLE}, /* D-159 */
		{BIT(VIRTIO_BLK_F_FLUSH), 0},
		{BIT(VIRTIO_BLK_F_CONFIG_WCE), STABLE}, /* D-134 and D-160 */
		{BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_FLUSH), 0},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		start(&fixture, FEATURES_LEAST | BIT(VIRTIO_BLK_F_WRITE_ZEROES) | cases[i].features);
		assert_int_equal(flags_of_write(&fixture, OUT), cases[i].flags);
		assert_int_equal(flags_of_write(&fixture, VIRTIO_BLK_T_WRITE_ZEROES), cases[i].flags);
		fixture_free(&fixture);
	}
}

static void test_blk_writes_stable_as_the_writeback_field_says(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, FEATURES_USUAL | BIT(VIRTIO_BLK_F_CONFIG_WCE));
	static const uint8_t values[] = {0, 0, 1, 0, 1, 1, 2};
	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		mock_writeback_write(fixture.mock, values[i]);
		settle(&fixture);
		assert_int_equal(flags_of_write(&fixture, OUT), values[i] ? 0 : STABLE);
	}
	fixture_free(&fixture);
}

/* The field is written, the doorbell rings, the request comes: all after the firmware has looked for events. */
struct late_write {
	struct fixture *fixture;
	bool done;
};

static void write_field_then_request(void *ctx, bool write, uint32_t addr)
{
	struct late_write *late = ctx;
	const struct request request = {.type = OUT, .out_bytes = 512};
	if (late->done || write || addr != CSR_FETCH_RECORD_ADDR)
		return;
	late->done = true;
	mock_writeback_write(late->fixture->mock, 0);
	offer(late->fixture, &request);
}

static void test_blk_write_behind_a_change_of_writeback_obeys_it(void **state)
{
	(void)state;
	const struct request read = {.type = IN, .in_bytes = 512};
	struct fixture fixture;
	struct late_write late = {.fixture = &fixture};
	start(&fixture, FEATURES_USUAL | BIT(VIRTIO_BLK_F_CONFIG_WCE));
	offer(&fixture, &read);
	fixture.mock->meanwhile = write_field_then_request;
	fixture.mock->meanwhile_ctx = &late;
	settle(&fixture);
	assert_int_equal(fixture.mock->jobs, 2);
	const struct slot *job = &fixture.mock->job[fixture.mock->job_order[1]];
	assert_int_equal(job->job_op, JOB_WRITE);
	assert_int_equal(job->job_flags, STABLE);
	fixture_free(&fixture);
}

/* ---- FLUSH, GET_ID, GET_LIFETIME ---- */

static void test_blk_flush_executed_whatever_comes_with_it(void **state)
{
	(void)state;
	static const struct {
		struct request request;
		uint32_t len;
	} cases[] = {
		{{.type = VIRTIO_BLK_T_FLUSH}, 1},
		{{.type = VIRTIO_BLK_T_FLUSH, .sector = UINT64_MAX}, 1},
		{{.type = VIRTIO_BLK_T_FLUSH, .sector = 1, .out_bytes = 512}, 1},
		{{.type = VIRTIO_BLK_T_FLUSH, .in_bytes = 511}, 0},
	};
	for (unsigned negotiated = 0; negotiated < 2; negotiated++) {
		struct fixture fixture;
		start(&fixture, negotiated ? FEATURES_USUAL : FEATURES_LEAST);
		for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
			unsigned slot = makes_job(&fixture, &cases[i].request);
			assert_int_equal(fixture.mock->job[slot].job_op, JOB_FLUSH);
			ends_with(&fixture, slot, JOB_RESULT_OK, NULL, OK, cases[i].len);
		}
		fixture_free(&fixture);
	}
}

static void check_local_answer(uint32_t type, const void *answer, uint32_t answer_bytes)
{
	static const uint32_t rooms[] = {1, 5, 6, 7, 19, 20, 21, 512, 4096};
	struct fixture fixture;
	start(&fixture, FEATURES_USUAL | BIT(VIRTIO_BLK_F_LIFETIME));
	for (unsigned i = 0; i < ARRAY_SIZE(rooms); i++) {
		const struct request request = {.type = type, .sector = 77, .in_bytes = rooms[i]};
		uint32_t bytes = min_u32(rooms[i], answer_bytes);
		unsigned slot = makes_job(&fixture, &request);
		assert_int_equal(fixture.mock->job[slot].job_op, JOB_LOCAL_TO_GUEST);
		assert_int_equal(fixture.mock->job[slot].job_bytes, bytes);
		assert_int_equal(fixture.mock->job[slot].job_skip, 0);
		assert_memory_equal(fixture.mock->job_local[slot], answer, bytes);
		/* The status counts where it follows at once (virtio 1.4 §2.7.8.2). */
		ends_with(&fixture, slot, JOB_RESULT_OK, NULL, OK, bytes == rooms[i] ? bytes + 1 : bytes);
	}
	const struct request no_room = {.type = type};
	answered_at_once(&fixture, &no_room, OK, 1);
	fixture_free(&fixture);
}

static void test_blk_get_id_as_much_as_there_is_room_for(void **state)
{
	(void)state;
	check_local_answer(VIRTIO_BLK_T_GET_ID, "kickstand-0123456789", 20);
}

static void test_blk_get_lifetime_three_le16(void **state)
{
	(void)state;
	static const uint8_t answer[6] = {1, 0, 3, 0, 4, 0}; /* of lifetime = 0x040301 in the straps */
	check_local_answer(VIRTIO_BLK_T_GET_LIFETIME, answer, sizeof(answer));
}

/* ---- DISCARD, WRITE_ZEROES, SECURE_ERASE ---- */

struct range {
	uint64_t sector;
	uint32_t sectors, flags;
};
_Static_assert(sizeof(struct range) == 16, "virtio 1.4 §5.2.6");

static const uint32_t range_types[] = {VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES,
				       VIRTIO_BLK_T_SECURE_ERASE};
static const uint32_t range_jobs[] = {JOB_DISCARD, JOB_WRITE_ZEROES, JOB_SECURE_ERASE};

static void test_blk_ranges_payload_length_checked(void **state)
{
	(void)state;
	static const uint32_t bad[] = {0, 1, 15, 17, 24, 31, 33, 511, 513, 16 * 33, 4096, 0x10000010};
	struct fixture fixture;
	start(&fixture, FEATURES_USUAL);
	for (unsigned type = 0; type < ARRAY_SIZE(range_types); type++)
		for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
			const struct request request = {.type = range_types[type], .out_bytes = bad[i]};
			answered_at_once(&fixture, &request, IOERR, 1);
		}
	fixture_free(&fixture);
}

/* Submits ranges and lets them be read. Returns the slot. */
static unsigned read_ranges(struct fixture *fixture, uint32_t type, const struct range *ranges,
			    unsigned count)
{
	const struct request request = {.type = type, .sector = 5, .out_bytes = count * 16};
	unsigned slot = makes_job(fixture, &request);
	assert_int_equal(fixture->mock->job[slot].job_op, JOB_GUEST_TO_LOCAL);
	assert_int_equal(fixture->mock->job[slot].job_bytes, count * 16);
	assert_int_equal(fixture->mock->job[slot].job_skip, 16);
	end_job(fixture, slot, JOB_RESULT_OK, ranges);
	return slot;
}

static void check_ranges_refused(struct fixture *fixture, uint32_t type, const struct range *ranges,
				 unsigned count, uint8_t status)
{
	unsigned before = fixture->mock->completions;
	uint64_t jobs = fixture->mock->jobs_started;
	read_ranges(fixture, type, ranges, count);
	assert_int_equal(only_completion(fixture, before)->status, status);
	assert_int_equal(only_completion(fixture, before)->len, 1);
	assert_int_equal(fixture->mock->jobs_started, jobs + 1); /* reading them, and nothing applied */
}

static void test_blk_ranges_bad_flags_before_bad_ranges(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, FEATURES_USUAL);
	for (unsigned type = 0; type < ARRAY_SIZE(range_types); type++) {
		bool unmap_known = range_types[type] == VIRTIO_BLK_T_WRITE_ZEROES;
		for (unsigned bit = 0; bit < 32; bit++) {
			if (bit == 0 && unmap_known)
				continue;
			const struct range alone = {0, 8, 1u << bit};
			const struct range last[] = {
				{0, 8, 0}, {CAPACITY, 8, 0}, {8, 0x400000, 0}, {0, 8, 1u << bit}};
			check_ranges_refused(&fixture, range_types[type], &alone, 1, UNSUPP);
			check_ranges_refused(&fixture, range_types[type], last, 4, UNSUPP);
		}
	}
	fixture_free(&fixture);
}

static void test_blk_ranges_one_bad_range_nothing_applied(void **state)
{
	(void)state;
	static const struct range bad[] = {
		{CAPACITY, 1, 0},   {CAPACITY - 1, 2, 0},   {0, CAPACITY + 1, 0}, {UINT64_MAX, 1, 0},
		{UINT64_MAX, 2, 0}, {CAPACITY + 1, 0, 0},   {0, 0x400000, 0},     {0, UINT32_MAX, 0},
		{UINT64_MAX, 8, 0}, {UINT64_MAX - 7, 8, 0},
	};
	struct fixture fixture;
	start(&fixture, FEATURES_USUAL);
	for (unsigned type = 0; type < ARRAY_SIZE(range_types); type++)
		for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
			for (unsigned place = 0; place < 3; place++) {
				struct range ranges[3] = {{0, 8, 0}, {8, 8, 0}, {16, 8, 0}};
				ranges[place] = bad[i];
				check_ranges_refused(&fixture, range_types[type], ranges, 3, IOERR);
			}
	fixture_free(&fixture);
}

static void test_blk_ranges_above_the_announced_sectors_refused(void **state)
{
	(void)state;
	struct mock_straps straps = mock_default_straps();
	struct fixture fixture;
	straps.sectors = UINT64_C(1) << 40;
	start_with(&fixture, &straps, FEATURES_USUAL);
	uint32_t most = load_le32(fixture.mock->shown + 0x24); /* max_discard_sectors */
	const struct range largest = {1, most, 0}, larger = {1, most + 1, 0};
	unsigned slot = read_ranges(&fixture, VIRTIO_BLK_T_DISCARD, &largest, 1);
	assert_true(fixture.mock->job[slot].job_range_bytes == (uint64_t)most * 512);
	ends_with(&fixture, slot, JOB_RESULT_OK, NULL, OK, 1);
	check_ranges_refused(&fixture, VIRTIO_BLK_T_DISCARD, &larger, 1, IOERR);
	fixture_free(&fixture);
}

/* All ranges that are not empty, in their order, each when the one before is done. */
static void test_blk_ranges_applied_one_by_one(void **state)
{
	(void)state;
	struct mock_straps straps = mock_default_straps();
	struct rng rng;
	struct fixture fixture;
	rng_seed(&rng, test_seed(5), 0);
	straps.block_bytes = 4096; /* so that discard_sector_alignment is 8, to which nobody has to keep */
	start_with(&fixture, &straps, FEATURES_USUAL);
	for (unsigned round = 0; round < 300; round++) {
		struct range ranges[32];
		unsigned type = (unsigned)rng_below(&rng, ARRAY_SIZE(range_types));
		unsigned count = 1 + (unsigned)rng_below(&rng, 32), before = fixture.mock->completions;
		for (unsigned i = 0; i < count; i++) {
			ranges[i].sector = rng_below(&rng, CAPACITY);
			ranges[i].sectors = (uint32_t)rng_below(
				&rng, rng_below(&rng, 3) ? CAPACITY - ranges[i].sector : 1);
			ranges[i].flags =
				range_types[type] == VIRTIO_BLK_T_WRITE_ZEROES ? rng_u64(&rng) & 1 : 0;
		}
		unsigned slot = read_ranges(&fixture, range_types[type], ranges, count);
		for (unsigned i = 0; i < count; i++) {
			const struct slot *job = &fixture.mock->job[slot];
			if (ranges[i].sectors == 0)
				continue;
			assert_int_equal(fixture.mock->completions, before);
			assert_int_equal(job->job_op, range_jobs[type]);
			assert_true(job->job_offset == ranges[i].sector * 512);
			assert_true(job->job_range_bytes == (uint64_t)ranges[i].sectors * 512);
			assert_int_equal(job->job_flags, ranges[i].flags ? MAY_UNMAP : 0);
			end_job(&fixture, slot, JOB_RESULT_OK, NULL);
		}
		assert_int_equal(only_completion(&fixture, before)->status, OK);
		assert_int_equal(only_completion(&fixture, before)->len, 1);
	}
	fixture_free(&fixture);
}

static void test_blk_ranges_error_at_any_of_them_ends_the_request(void **state)
{
	(void)state;
	static const struct range ranges[] = {{0, 8, 0}, {0, 0, 0}, {8, 8, 0}, {16, 8, 0}};
	struct fixture fixture;
	start(&fixture, FEATURES_USUAL);
	for (unsigned failing = 0; failing < 3; failing++) {
		unsigned slot = read_ranges(&fixture, VIRTIO_BLK_T_DISCARD, ranges, ARRAY_SIZE(ranges));
		for (unsigned i = 0; i < failing; i++)
			end_job(&fixture, slot, JOB_RESULT_OK, NULL);
		ends_with(&fixture, slot, JOB_RESULT_MEDIA_ERROR, NULL, IOERR, 1);
		assert_int_equal(fixture.mock->jobs, 0);
	}
	fixture_free(&fixture);
}

/* ---- what is not supported ---- */

static void test_blk_unknown_types_unsupported(void **state)
{
	(void)state;
	static const uint32_t types[] = {2,          3,          5,          6,          7,
					 9,          12,         15,         16,         17,
					 18,         19,         20,         22,         24,
					 26,         27,         31,         0xff,       0xffff,
					 0x80000000, 0x80000001, 0x80000004, 0x0b000000, 0x0000000b | 0x100,
					 UINT32_MAX};
	struct fixture fixture;
	start(&fixture, FEATURES_USUAL);
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		const struct request plain = {.type = types[i]};
		const struct request with_data = {.type = types[i], .out_bytes = 16, .in_bytes = 512};
		answered_at_once(&fixture, &plain, UNSUPP, 1);
		answered_at_once(&fixture, &with_data, UNSUPP, 0);
	}
	fixture_free(&fixture);
}

static void test_blk_types_not_negotiated_unsupported(void **state)
{
	(void)state;
	static const struct request requests[] = {
		{.type = VIRTIO_BLK_T_DISCARD, .out_bytes = 16},
		{.type = VIRTIO_BLK_T_DISCARD, .out_bytes = 17},
		{.type = VIRTIO_BLK_T_WRITE_ZEROES, .out_bytes = 16},
		{.type = VIRTIO_BLK_T_SECURE_ERASE, .out_bytes = 16},
		{.type = VIRTIO_BLK_T_GET_LIFETIME, .in_bytes = 6},
	};
	struct fixture fixture;
	start(&fixture, FEATURES_LEAST); /* all of them are offered */
	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++)
		answered_at_once(&fixture, &requests[i], UNSUPP, requests[i].in_bytes ? 0 : 1);
	fixture_free(&fixture);
}

/* ---- failures ---- */

static void test_blk_job_failed_ioerr_and_nothing_claimed(void **state)
{
	(void)state;
	static const struct {
		struct request request;
		uint32_t len; /* the status, if it is all there is to write */
	} cases[] = {
		{{.type = IN, .in_bytes = 4096}, 0},
		{{.type = OUT, .out_bytes = 4096}, 1},
		{{.type = OUT, .out_bytes = 4096, .in_bytes = 1}, 0},
		{{.type = VIRTIO_BLK_T_FLUSH}, 1},
		{{.type = VIRTIO_BLK_T_GET_ID, .in_bytes = 20}, 0},
		{{.type = VIRTIO_BLK_T_GET_LIFETIME, .in_bytes = 6}, 0},
		{{.type = VIRTIO_BLK_T_DISCARD, .out_bytes = 16}, 1},
	};
	struct fixture fixture;
	start(&fixture, FEATURES_USUAL | BIT(VIRTIO_BLK_F_LIFETIME));
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		for (uint32_t result = JOB_RESULT_MEDIA_ERROR; result <= JOB_RESULT_BAD_JOB; result++)
			ends_with(&fixture, makes_job(&fixture, &cases[i].request), result, NULL, IOERR,
				  cases[i].len);
	assert_int_equal(fixture.mock->status, STATUS_ALL);
	fixture_free(&fixture);
}

static void test_blk_unreadable_header_ioerr_other_bad_chains_need_reset(void **state)
{
	(void)state;
	for (uint16_t error = RECORD_ERROR_HEAD_RANGE; error <= RECORD_ERROR_DMA_HEADER; error++) {
		const struct request request = {.type = IN, .in_bytes = 512, .error = error};
		struct fixture fixture;
		start(&fixture, FEATURES_USUAL);
		if (error == RECORD_ERROR_DMA_HEADER) {
			answered_at_once(&fixture, &request, IOERR, 0);
			assert_int_equal(fixture.mock->status, STATUS_ALL);
		} else {
			submit(&fixture, &request);
			assert_int_equal(fixture.mock->status, STATUS_ALL | VIRTIO_CONFIG_S_NEEDS_RESET);
			assert_int_equal(fixture.mock->config_interrupts, 1);
			assert_int_equal(fixture.mock->completions, 0);
		}
		assert_int_equal(fixture.mock->jobs_started, 0);
		assert_int_equal(slots_in_use(&fixture), 0);
		fixture_free(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_blk_reads_and_writes_on_the_medium_move_their_data, "V-094 V-102 V-103"),
		REQ_TEST(test_blk_reads_and_writes_of_nothing_ok_on_the_medium, "V-095"),
		REQ_TEST(test_blk_length_not_a_multiple_of_512_refused, "V-093"),
		REQ_TEST(test_blk_range_beyond_the_medium_refused, "V-096 V-097 V-098"),
		REQ_TEST(test_blk_random_ranges_decided_as_arithmetic_says, "V-096 V-097 V-098"),
		REQ_TEST(test_blk_read_only_refuses_all_that_writes, "D-151 V-100 V-101"),
		REQ_TEST(test_blk_many_segments_and_reserved_word_no_matter, "V-104 V-112"),
		REQ_TEST(test_blk_writes_stable_as_negotiated, "D-134 D-159 D-160"),
		REQ_TEST(test_blk_writes_stable_as_the_writeback_field_says, "D-160"),
		REQ_TEST(test_blk_write_behind_a_change_of_writeback_obeys_it, "D-160"),
		REQ_TEST(test_blk_flush_executed_whatever_comes_with_it, "D-161 V-108 V-113"),
		REQ_TEST(test_blk_get_id_as_much_as_there_is_room_for, "D-168 V-114"),
		cmocka_unit_test(test_blk_get_lifetime_three_le16),
		REQ_TEST(test_blk_ranges_payload_length_checked, "V-115 V-116 V-117"),
		REQ_TEST(test_blk_ranges_bad_flags_before_bad_ranges, "D-152 D-153 V-121 V-122 V-123"),
		REQ_TEST(test_blk_ranges_one_bad_range_nothing_applied, "V-119"),
		REQ_TEST(test_blk_ranges_above_the_announced_sectors_refused, "V-118"),
		REQ_TEST(test_blk_ranges_applied_one_by_one, "V-120 V-124"),
		cmocka_unit_test(test_blk_ranges_error_at_any_of_them_ends_the_request),
		REQ_TEST(test_blk_unknown_types_unsupported, "D-166 D-167 V-105 V-106 V-107 V-111"),
		REQ_TEST(test_blk_types_not_negotiated_unsupported, "V-109 V-110"),
		cmocka_unit_test(test_blk_job_failed_ioerr_and_nothing_claimed),
		REQ_TEST(test_blk_unreadable_header_ioerr_other_bad_chains_need_reset, "V-018 V-086 V-087"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
