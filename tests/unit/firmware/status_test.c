#include "tests/unit/firmware/fixture.h"

#define A  VIRTIO_CONFIG_S_ACKNOWLEDGE
#define D  VIRTIO_CONFIG_S_DRIVER
#define F  VIRTIO_CONFIG_S_FEATURES_OK
#define OK VIRTIO_CONFIG_S_DRIVER_OK
#define NR VIRTIO_CONFIG_S_NEEDS_RESET
#define X  VIRTIO_CONFIG_S_FAILED

#define WRITEBACK 0x20 /* in struct virtio_blk_config, virtio 1.4 §5.2.4 */

static void start(struct fixture *fixture, uint32_t queues)
{
	struct mock_straps straps = mock_default_straps();
	straps.queues = queues;
	fixture_start(fixture, &straps);
}

static bool serves(const struct mock_card *mock)
{
	return mock->doorbells_enabled != 0 || mock->queue[0].fetch[7] != 0 || mock->queue[0].used[5] != 0;
}

/* ---- sequences of device_status ---- */

struct write {
	uint8_t value, read_back;
	bool live; /* rings are served now */
};

static void run_sequence(const struct write *writes, unsigned count)
{
	struct fixture fixture;
	start(&fixture, 1);
	mock_features_write(fixture.mock, FEATURES_USUAL);
	enable_queue(&fixture, 0, 256);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(write_status(&fixture, writes[i].value), writes[i].read_back);
		assert_int_equal(serves(fixture.mock), writes[i].live);
		if (writes[i].value == 0) { /* which also took the driver's registers back */
			mock_features_write(fixture.mock, FEATURES_USUAL);
			enable_queue(&fixture, 0, 256);
		}
	}
	fixture_free(&fixture);
}

#define SEQUENCE(...)                                                                                        \
	do {                                                                                                 \
		static const struct write writes[] = {__VA_ARGS__};                                          \
		run_sequence(writes, ARRAY_SIZE(writes));                                                    \
	} while (0)

static void test_status_legal_sequences_read_back_as_written(void **state)
{
	(void)state;
	SEQUENCE({0, 0, false}, {A, A, false}, {A | D, A | D, false}, {A | D | F, A | D | F, false},
		 {A | D | F | OK, A | D | F | OK, true}, {0, 0, false});
	/* Habits of drivers: two bits at once, no reset first, FAILED, everything over again. */
	SEQUENCE({A | D, A | D, false}, {A | D | F, A | D | F, false}, {STATUS_ALL, STATUS_ALL, true},
		 {STATUS_ALL | X, STATUS_ALL | X, true}, {0, 0, false}, {A | D, A | D, false},
		 {A | D | F, A | D | F, false}, {STATUS_ALL, STATUS_ALL, true});
	SEQUENCE({A | D | F | OK, STATUS_ALL, true}); /* all at once: features were written before */
	SEQUENCE({0, 0, false}, {0, 0, false}, {A, A, false}, {0, 0, false}, {A | X, A | X, false});
}

static void test_status_driver_ok_without_features_ok_not_live(void **state)
{
	(void)state;
	SEQUENCE({A | D, A | D, false}, {A | D | OK, A | D, false}, {A | D | OK, A | D, false},
		 {0, 0, false});
	SEQUENCE({OK, 0, false});
}

static void test_status_clearing_bits_keeps_them(void **state)
{
	(void)state;
	SEQUENCE({A | D | F, A | D | F, false}, {A, A | D | F, false}, {OK, STATUS_ALL, true},
		 {A, STATUS_ALL, true}, {F, STATUS_ALL, true});
}

static void test_status_reserved_and_device_bits_not_settable(void **state)
{
	(void)state;
	SEQUENCE({A | NR, A, false}, {A | 0x10, A, false}, {A | 0x20, A, false},
		 {0xff, STATUS_ALL | X, true});
}

/* Before DRIVER_OK: rings are set up, nothing looks at them. */
static void test_status_before_driver_ok_nothing_served(void **state)
{
	(void)state;
	struct fixture fixture;
	const struct request read = {.type = VIRTIO_BLK_T_IN, .in_bytes = 512};
	start(&fixture, 1);
	negotiate_features(&fixture, FEATURES_USUAL);
	enable_queue(&fixture, 0, 256);
	mock_doorbell(fixture.mock, 0);
	settle(&fixture);
	assert_false(serves(fixture.mock));
	assert_int_equal(fixture.mock->queue[0].kicks, 0);
	submit(&fixture, &read); /* a fetch engine would not bring any; if it did: */
	assert_int_equal(fixture.mock->jobs_started, 0);
	assert_int_equal(fixture.mock->completions, 0);
	assert_int_equal(slots_in_use(&fixture), 0);
	fixture_free(&fixture);
}

/* ---- features ---- */

static bool accepted(struct fixture *fixture, uint64_t features)
{
	uint8_t status = negotiate_features(fixture, features);
	assert_int_equal(status & ~F, A | D);
	write_status(fixture, 0);
	return status & F;
}

static void test_status_any_offered_subset_accepted_every_time(void **state)
{
	(void)state;
	struct fixture fixture;
	struct rng rng;
	rng_seed(&rng, test_seed(2), 0);
	start(&fixture, 2);
	uint64_t offer = fixture.mock->device_features;
	for (unsigned i = 0; i < 200; i++) {
		uint64_t features = (offer & rng_u64(&rng)) | FEATURES_LEAST;
		assert_true(accepted(&fixture, features));
		assert_true(accepted(&fixture, features)); /* D-009 */
		mock_log_clear(fixture.mock);
	}
	fixture_free(&fixture);
}

static void test_status_bad_feature_sets_refused(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, 1);
	uint64_t offer = fixture.mock->device_features;
	for (unsigned bit = 0; bit < 64; bit++)
		if (!(offer & BIT(bit)))
			assert_false(accepted(&fixture, offer | BIT(bit))); /* V-042 */
	assert_false(accepted(&fixture, 0));
	assert_false(accepted(&fixture, offer & ~BIT(VIRTIO_F_VERSION_1)));       /* V-043 */
	assert_false(accepted(&fixture, offer & ~BIT(VIRTIO_F_ACCESS_PLATFORM))); /* V-044 */
	assert_true(accepted(&fixture, offer & ~BIT(VIRTIO_F_ORDER_PLATFORM)));
	write_status(&fixture, A | D);
	mock_features_write(fixture.mock, offer);
	fixture.mock->driver_features_bad = true; /* a bit beyond 63 */
	assert_int_equal(write_status(&fixture, A | D | F), A | D);
	fixture_free(&fixture);
}

static void test_status_access_platform_needed_only_if_offered(void **state)
{
	(void)state;
	struct mock_straps straps = mock_default_straps();
	struct fixture fixture;
	straps.features &= ~BIT(VIRTIO_F_ACCESS_PLATFORM);
	fixture_start(&fixture, &straps);
	assert_true(accepted(&fixture, BIT(VIRTIO_F_VERSION_1)));
	fixture_free(&fixture);
}

static void test_status_features_after_features_ok_change_nothing(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, 1);
	negotiate_features(&fixture, FEATURES_USUAL);
	mock_features_write(fixture.mock, 0);
	assert_true(fixture.card->negotiated == FEATURES_USUAL);
	fixture.mock->driver_features = BIT(VIRTIO_F_IN_ORDER); /* hardware that lets it through */
	assert_int_equal(write_status(&fixture, STATUS_ALL | X), STATUS_ALL | X);
	assert_true(fixture.card->negotiated == FEATURES_USUAL);
	fixture_free(&fixture);
}

static void test_status_features_ok_sets_what_depends_on_features(void **state)
{
	(void)state;
	static const struct {
		uint64_t features;
		uint8_t writeback; /* shown to the driver */
		bool writable, notification_data;
	} cases[] = {
		{0, 0, false, false},
		{BIT(VIRTIO_BLK_F_FLUSH), 1, false, false},
		{BIT(VIRTIO_BLK_F_CONFIG_WCE), 0, true, false}, /* D-134, V-045 */
		{BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_FLUSH), 1, true, false},
		{BIT(VIRTIO_F_NOTIFICATION_DATA), 0, false, true},
	};
	struct fixture fixture;
	start(&fixture, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(negotiate_features(&fixture, FEATURES_LEAST | cases[i].features), A | D | F);
		assert_int_equal(fixture.mock->shown[WRITEBACK], cases[i].writeback);
		assert_int_equal(fixture.mock->writeback_writable, cases[i].writable);
		assert_int_equal(fixture.mock->data_mode, cases[i].notification_data);
		mock_writeback_write(fixture.mock, !cases[i].writeback); /* V-081: only if writable */
		settle(&fixture);
		assert_int_equal(fixture.mock->shown[WRITEBACK], cases[i].writeback ^ cases[i].writable);
		write_status(&fixture, 0);
		assert_int_equal(fixture.mock->shown[WRITEBACK], 1);
		assert_false(fixture.mock->writeback_writable);
	}
	fixture_free(&fixture);
}

/* ---- resets ---- */

static void check_quiet(const struct fixture *fixture)
{
	const struct mock_card *mock = fixture->mock;
	assert_int_equal(slots_in_use(fixture), 0);
	assert_false(serves(mock));
	assert_int_equal(mock->jobs, 0);
	assert_int_equal(mock->copies, 0);
	assert_true(mock->compare == UINT64_MAX);
}

/* A few requests from start to end, in a life that must know nothing of the one before. */
static void check_new_life(struct fixture *fixture, uint64_t features)
{
	const struct request read = {.type = VIRTIO_BLK_T_IN, .in_bytes = 4096};
	struct mock_card *mock = fixture->mock;
	mock->used_stalled = false;
	go_live(fixture, features);
	unsigned before = mock->completions;
	for (unsigned i = 0; i < 300; i++) {
		unsigned slot = submit(fixture, &read);
		end_job(fixture, slot, JOB_RESULT_OK, NULL);
		const struct mock_completion *completion = only_completion(fixture, before + i);
		assert_int_equal(completion->sequence, i);
		assert_int_equal(completion->status, VIRTIO_BLK_S_OK);
		assert_true(completion->written);
	}
	assert_int_equal(slots_in_use(fixture), 0);
}

static const uint64_t lives[] = {FEATURES_USUAL, FEATURES_USUAL | BIT(VIRTIO_F_IN_ORDER)};

static void test_status_reset_with_requests_in_every_stage_forgets_them(void **state)
{
	(void)state;
	for (unsigned old = 0; old < ARRAY_SIZE(lives); old++) {
		for (unsigned new = 0; new < ARRAY_SIZE(lives); new ++) {
			struct fixture fixture;
			start(&fixture, 1);
			go_live(&fixture, lives[old]);
			fill_stages(&fixture, 0);
			unsigned before = fixture.mock->completions;
			assert_int_equal(write_status(&fixture, 0), 0);
			check_quiet(&fixture);
			assert_int_equal(fixture.mock->completions, before);
			check_new_life(&fixture, lives[new]);
			fixture_free(&fixture);
		}
	}
}

static void test_status_reset_while_used_ring_writer_takes_nothing_is_answered(void **state)
{
	(void)state;
	const struct request odd = {.type = VIRTIO_BLK_T_IN, .in_bytes = 1};
	struct fixture fixture;
	uint8_t status;
	start(&fixture, 1);
	go_live(&fixture, FEATURES_USUAL);
	fixture.mock->used_stalled = true;
	for (unsigned i = 0; i < SLOTS; i++)
		offer(&fixture, &odd);
	turns(&fixture, 10);
	mock_status_write(fixture.mock, 0);
	turns(&fixture, 10);
	assert_true(mock_status_read(fixture.mock, &status));
	assert_int_equal(status, 0);
	settle(&fixture);
	check_quiet(&fixture);
	check_new_life(&fixture, FEATURES_USUAL);
	fixture_free(&fixture);
}

static void test_status_function_reset_with_requests_in_every_stage_forgets_them(void **state)
{
	(void)state;
	for (unsigned old = 0; old < ARRAY_SIZE(lives); old++) {
		struct fixture fixture;
		start(&fixture, 1);
		uint8_t power_up[DEVICE_CONFIG_BYTES];
		memcpy(power_up, fixture.mock->shown, sizeof(power_up));
		uint64_t offer = fixture.mock->device_features;
		go_live(&fixture, lives[old]);
		fill_stages(&fixture, 0);
		fixture.mock->device_features = 0;
		mock_function_reset(fixture.mock);
		settle(&fixture);
		assert_int_equal(fixture.mock->function_resets_done, 1);
		assert_int_equal(fixture.mock->status, 0);
		assert_true(fixture.mock->device_features == offer); /* V-085: as at power-up */
		assert_memory_equal(fixture.mock->shown, power_up, sizeof(power_up));
		check_quiet(&fixture);
		check_new_life(&fixture, lives[!old]);
		fixture_free(&fixture);
	}
}

/* What the driver does while the firmware waits for the engines. */
struct meanwhile {
	struct fixture *fixture;
	unsigned calls;
	uint8_t writes[4];
	bool at_answer; /* act at the write of the answer instead */
};

static void act_meanwhile(void *ctx, bool write, uint32_t addr)
{
	struct meanwhile *meanwhile = ctx;
	struct mock_card *mock = meanwhile->fixture->mock;
	uint8_t status;
	bool now = meanwhile->at_answer ? write && addr == CSR_VIRTIO_STATUS_ADDR
					: !write && addr == CSR_SYS_ENGINES_BUSY_ADDR;
	if (!now || meanwhile->calls >= ARRAY_SIZE(meanwhile->writes))
		return;
	if (!meanwhile->at_answer) { /* V-053: not 0 before the engines are empty */
		assert_true(mock_status_read(mock, &status));
		assert_int_equal(status, STATUS_ALL);
	}
	mock_status_write(mock, meanwhile->writes[meanwhile->calls++]);
}

static void test_status_reset_not_over_before_engines_are_empty(void **state)
{
	(void)state;
	static const uint8_t writes[][4] = {
		{0, 0, 0, 0},             /* V-054: again and again */
		{A, A | D, 0, A | D | F}, /* V-052: without waiting */
		{STATUS_ALL, STATUS_ALL, STATUS_ALL, STATUS_ALL},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
		struct fixture fixture;
		struct meanwhile meanwhile = {.fixture = &fixture};
		memcpy(meanwhile.writes, writes[i], sizeof(meanwhile.writes));
		start(&fixture, 1);
		go_live(&fixture, FEATURES_USUAL);
		fill_stages(&fixture, 0);
		fixture.mock->busy_reads = 4;
		fixture.mock->meanwhile = act_meanwhile;
		fixture.mock->meanwhile_ctx = &meanwhile;
		assert_int_equal(write_status(&fixture, 0), 0);
		assert_int_equal(meanwhile.calls, 4);
		fixture.mock->meanwhile = NULL;
		check_quiet(&fixture);
		check_new_life(&fixture, FEATURES_USUAL);
		fixture_free(&fixture);
	}
}

/* The driver writes on between the firmware's look and its answer: the answer does not count, the next one does. */
static void test_status_write_before_the_answer_answered_with_the_next(void **state)
{
	(void)state;
	static const struct {
		uint8_t first, then[4], status;
	} cases[] = {
		{A, {A | D, A | D | F, STATUS_ALL, STATUS_ALL}, STATUS_ALL},
		{A | D | F, {STATUS_ALL, 0, A, A | D}, A | D},
		{STATUS_ALL, {0, A, A | D | F, STATUS_ALL}, A | D},
		{STATUS_ALL, {0, 0, 0, 0}, 0},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		struct meanwhile meanwhile = {.fixture = &fixture, .at_answer = true};
		memcpy(meanwhile.writes, cases[i].then, sizeof(meanwhile.writes));
		start(&fixture, 1);
		mock_features_write(fixture.mock, FEATURES_USUAL);
		enable_queue(&fixture, 0, 256);
		fixture.mock->meanwhile = act_meanwhile;
		fixture.mock->meanwhile_ctx = &meanwhile;
		/* After a reset the driver's features are gone: FEATURES_OK is refused from there on. */
		assert_int_equal(write_status(&fixture, cases[i].first), cases[i].status);
		assert_int_equal(meanwhile.calls, 4);
		assert_int_equal(serves(fixture.mock), (cases[i].status & OK) != 0);
		fixture_free(&fixture);
	}
}

/* A driver that does not read back: FEATURES_OK, writeback = 0, DRIVER_OK in one go. */
static void write_on_at_first_answer(void *ctx, bool write, uint32_t addr)
{
	struct meanwhile *meanwhile = ctx;
	if (!write || addr != CSR_VIRTIO_STATUS_ADDR || meanwhile->calls++ != 0)
		return;
	mock_writeback_write(meanwhile->fixture->mock, 0);
	mock_status_write(meanwhile->fixture->mock, STATUS_ALL);
}

static void test_status_writeback_written_before_the_answer_kept(void **state)
{
	(void)state;
	struct fixture fixture;
	struct meanwhile meanwhile = {.fixture = &fixture};
	start(&fixture, 1);
	write_status(&fixture, A | D);
	mock_features_write(fixture.mock, FEATURES_USUAL | BIT(VIRTIO_BLK_F_CONFIG_WCE));
	fixture.mock->meanwhile = write_on_at_first_answer;
	fixture.mock->meanwhile_ctx = &meanwhile;
	assert_int_equal(write_status(&fixture, A | D | F), STATUS_ALL);
	assert_int_equal(fixture.mock->shown[WRITEBACK], 0);
	fixture_free(&fixture);
}

/* ---- DEVICE_NEEDS_RESET ---- */

static void test_status_needs_reset_set_once_and_only_if_live(void **state)
{
	(void)state;
	struct fixture fixture;
	start(&fixture, 3);
	struct mock_card *mock = fixture.mock;
	needs_reset(fixture.card);
	assert_int_equal(mock->status, 0);
	assert_int_equal(mock->config_interrupts, 0);
	go_live(&fixture, FEATURES_USUAL);
	for (unsigned i = 0; i < 3; i++) {
		needs_reset(fixture.card);
		assert_int_equal(mock->status, STATUS_ALL | NR);
		assert_int_equal(mock->config_interrupts, 1);
		assert_false(serves(mock));
		for (unsigned queue = 0; queue < 3; queue++)
			assert_true(mock->queue[queue].fetch[7] == 0 && mock->queue[queue].used[5] == 0);
	}
	long set = mock_last(mock, true, CSR_VIRTIO_STATUS_ADDR, NULL);
	assert_true(mock_last(mock, true, CSR_VIRTIO_CONFIG_CHANGED_ADDR, NULL) >
		    set); /* first the bit, then the news */
	assert_int_equal(write_status(&fixture, STATUS_ALL | X), STATUS_ALL | NR | X);
	assert_int_equal(write_status(&fixture, 0), 0);
	check_new_life(&fixture, FEATURES_USUAL);
	fixture_free(&fixture);
}

static void test_status_needs_reset_drops_requests_in_every_stage(void **state)
{
	(void)state;
	for (unsigned life = 0; life < ARRAY_SIZE(lives); life++) {
		struct fixture fixture;
		start(&fixture, 1);
		go_live(&fixture, lives[life]);
		fill_stages(&fixture, 0);
		unsigned before = fixture.mock->completions;
		uint64_t jobs = fixture.mock->jobs_started;
		needs_reset(fixture.card);
		turns(&fixture, 4);
		end_all_jobs(&fixture, JOB_RESULT_OK);
		mock_used_run(fixture.mock, SLOTS);
		settle(&fixture);
		assert_int_equal(fixture.mock->jobs_started, jobs);
		for (unsigned i = before; i < fixture.mock->completions; i++)
			assert_false(fixture.mock->completed[i].written);
		assert_int_equal(write_status(&fixture, 0), 0);
		check_quiet(&fixture);
		check_new_life(&fixture, lives[life]);
		fixture_free(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_status_legal_sequences_read_back_as_written, "D-004 D-010 D-084 V-051"),
		REQ_TEST(test_status_driver_ok_without_features_ok_not_live, "V-048"),
		REQ_TEST(test_status_clearing_bits_keeps_them, "V-049"),
		REQ_TEST(test_status_reserved_and_device_bits_not_settable, "V-050"),
		REQ_TEST(test_status_before_driver_ok_nothing_served, "D-001 V-064"),
		REQ_TEST(test_status_any_offered_subset_accepted_every_time, "D-006 D-009"),
		REQ_TEST(test_status_bad_feature_sets_refused, "D-007 D-052 D-054 V-042 V-043 V-044"),
		cmocka_unit_test(test_status_access_platform_needed_only_if_offered),
		REQ_TEST(test_status_features_after_features_ok_change_nothing, "V-047"),
		REQ_TEST(test_status_features_ok_sets_what_depends_on_features, "D-134 V-045 V-081"),
		REQ_TEST(test_status_reset_with_requests_in_every_stage_forgets_them, "D-010 D-011 V-053"),
		cmocka_unit_test(test_status_reset_while_used_ring_writer_takes_nothing_is_answered),
		REQ_TEST(test_status_function_reset_with_requests_in_every_stage_forgets_them, "D-004 V-085"),
		REQ_TEST(test_status_reset_not_over_before_engines_are_empty, "D-084 V-052 V-053 V-054"),
		cmocka_unit_test(test_status_write_before_the_answer_answered_with_the_next),
		cmocka_unit_test(test_status_writeback_written_before_the_answer_kept),
		REQ_TEST(test_status_needs_reset_set_once_and_only_if_live, "D-002 D-003"),
		REQ_TEST(test_status_needs_reset_drops_requests_in_every_stage, "D-002"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
