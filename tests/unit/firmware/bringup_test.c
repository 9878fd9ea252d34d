#include "tests/unit/firmware/fixture.h"

#define FLAG(name) CSR_MEDIA_FLAGS_##name##_MASK
#define MEDIA_FLAGS_ALL                                                                                      \
	(FLAG(READ_ONLY) | FLAG(FLUSH) | FLAG(DISCARD) | FLAG(WRITE_ZEROES) | FLAG(SECURE_ERASE) |           \
	 FLAG(LIFETIME))

/* What a block device on PCI may offer at all and this card can do (virtio 1.4 §5.2.3, §6). */
static const uint64_t possible =
	BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_RO) |
	BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_TOPOLOGY) |
	BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_DISCARD) |
	BIT(VIRTIO_BLK_F_WRITE_ZEROES) | BIT(VIRTIO_BLK_F_LIFETIME) | BIT(VIRTIO_BLK_F_SECURE_ERASE) |
	BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1) |
	BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_F_IN_ORDER) | BIT(VIRTIO_F_ORDER_PLATFORM) |
	BIT(VIRTIO_F_NOTIFICATION_DATA) | BIT(VIRTIO_F_RING_RESET);

static bool has(uint64_t features, unsigned bit)
{
	return features >> bit & 1;
}

/* The rules one by one. */
static void check_offer(uint64_t offer, uint64_t wanted, uint32_t media)
{
	static const struct {
		unsigned feature;
		uint32_t flag;
	} needs[] = {
		{VIRTIO_BLK_F_DISCARD, FLAG(DISCARD)},
		{VIRTIO_BLK_F_WRITE_ZEROES, FLAG(WRITE_ZEROES)},
		{VIRTIO_BLK_F_SECURE_ERASE, FLAG(SECURE_ERASE)},
		{VIRTIO_BLK_F_LIFETIME, FLAG(LIFETIME)},
	};
	uint64_t depends = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_RO);
	assert_true((offer & ~possible) == 0);
	assert_true(has(offer, VIRTIO_F_VERSION_1));
	assert_true(has(offer, VIRTIO_BLK_F_FLUSH));
	assert_int_equal(has(offer, VIRTIO_BLK_F_RO),
			 has(wanted, VIRTIO_BLK_F_RO) || (media & FLAG(READ_ONLY)));
	for (unsigned i = 0; i < ARRAY_SIZE(needs); i++) {
		assert_int_equal(has(offer, needs[i].feature),
				 has(wanted, needs[i].feature) && (media & needs[i].flag));
		depends |= BIT(needs[i].feature);
	}
	assert_true((offer & ~depends) == (wanted & possible & ~depends));
}

static uint64_t offer_of(uint64_t wanted, uint32_t media)
{
	struct mock_straps straps = mock_default_straps();
	struct fixture fixture;
	straps.features = wanted;
	straps.media_flags = media;
	fixture_start(&fixture, &straps);
	uint64_t offer = fixture.mock->device_features;
	fixture_free(&fixture);
	return offer;
}

static void test_bringup_every_strap_and_medium_offers_what_both_can(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(1), 0);
	for (uint32_t media = 0; media <= MEDIA_FLAGS_ALL; media++) {
		check_offer(offer_of(0, media), 0, media);
		check_offer(offer_of(~UINT64_C(0), media), ~UINT64_C(0), media);
		uint64_t random = rng_u64(&rng);
		check_offer(offer_of(random, media), random, media);
	}
	for (unsigned bit = 0; bit < 64; bit++)
		check_offer(offer_of(BIT(bit), MEDIA_FLAGS_ALL), BIT(bit), MEDIA_FLAGS_ALL);
}

/* struct virtio_blk_config as virtio 1.4 §5.2.4 lays it out, with what the straps below make of it. The last columns: the
 * field is there if this feature is offered. */
static const struct {
	uint32_t offset, bytes;
	uint64_t value;
	unsigned feature;
} fields[] = {
	{0x00, 8, UINT64_C(0x123456789a), VIRTIO_F_VERSION_1 /* always */},
	{0x08, 4, 65536, VIRTIO_BLK_F_SIZE_MAX},
	{0x0c, 4, 126, VIRTIO_BLK_F_SEG_MAX},
	{0x14, 4, 4096, VIRTIO_BLK_F_BLK_SIZE},
	{0x18, 1, 2, VIRTIO_BLK_F_TOPOLOGY},       /* physical_block_exp */
	{0x1a, 2, 1, VIRTIO_BLK_F_TOPOLOGY},       /* min_io_size */
	{0x1c, 4, 0x10203, VIRTIO_BLK_F_TOPOLOGY}, /* opt_io_size */
	{0x20, 1, 1, VIRTIO_BLK_F_CONFIG_WCE},     /* writeback */
	{0x22, 2, 7, VIRTIO_BLK_F_MQ},             /* num_queues */
	{0x24, 4, 0x3fffff, VIRTIO_BLK_F_DISCARD},
	{0x28, 4, 32, VIRTIO_BLK_F_DISCARD},
	{0x2c, 4, 8, VIRTIO_BLK_F_DISCARD}, /* discard_sector_alignment */
	{0x30, 4, 0x3fffff, VIRTIO_BLK_F_WRITE_ZEROES},
	{0x34, 4, 32, VIRTIO_BLK_F_WRITE_ZEROES},
	{0x38, 1, 1, VIRTIO_BLK_F_WRITE_ZEROES}, /* write_zeroes_may_unmap */
	{0x3c, 4, 0x3fffff, VIRTIO_BLK_F_SECURE_ERASE},
	{0x40, 4, 32, VIRTIO_BLK_F_SECURE_ERASE},
	{0x44, 4, 8, VIRTIO_BLK_F_SECURE_ERASE},
};

static void check_config(const struct mock_card *mock)
{
	uint8_t expected[96] = {0};
	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
		for (uint32_t byte = 0;
		     byte < fields[i].bytes && has(mock->device_features, fields[i].feature); byte++)
			expected[fields[i].offset + byte] = (uint8_t)(fields[i].value >> 8 * byte);
	assert_memory_equal(mock->shown, expected, sizeof(expected));
}

static void test_bringup_config_fields_are_there_if_offered_and_else_0(void **state)
{
	(void)state;
	struct mock_straps straps = mock_default_straps();
	straps.sectors = UINT64_C(0x123456789a);
	straps.size_max = 65536;
	straps.block_bytes = 4096;
	straps.physical_exp = 2;
	straps.optimal_blocks = 0x10203;
	straps.queues = 7;
	for (unsigned left_out = 0; left_out < 64; left_out++) {
		struct fixture fixture;
		straps.features = ~BIT(left_out);
		fixture_start(&fixture, &straps);
		check_config(fixture.mock);
		fixture_free(&fixture);
	}
}

static void test_bringup_write_zeroes_may_unmap_follows_medium(void **state)
{
	(void)state;
	for (unsigned can = 0; can < 2; can++) {
		struct mock_straps straps = mock_default_straps();
		struct fixture fixture;
		straps.media_flags = FLAG(WRITE_ZEROES) | (can ? FLAG(DISCARD) : 0);
		fixture_start(&fixture, &straps);
		assert_int_equal(fixture.mock->shown[0x38], can);
		fixture_free(&fixture);
	}
}

static void test_bringup_offer_complete_before_ready(void **state)
{
	(void)state;
	struct mock_straps straps = mock_default_straps();
	struct fixture fixture;
	straps.queues = 64;
	straps.queue_size = 32768;
	fixture_start(&fixture, &straps);
	struct mock_card *mock = fixture.mock;
	long ready = mock_last(mock, true, CSR_SYS_READY_ADDR, NULL);
	static const uint32_t before[] = {
		CSR_VIRTIO_DEVICE_FEATURES_LO_ADDR, CSR_VIRTIO_DEVICE_FEATURES_HI_ADDR,
		CSR_VIRTIO_NUM_QUEUES_ADDR,         CSR_VIRTIO_QUEUE_SIZE_MAX_ADDR,
		CSR_VIRTIO_CONFIG_CHANGED_ADDR,     CSR_SYS_EVENT_ENABLE_ADDR};
	assert_true(mock->ready);
	assert_int_equal(mock->num_queues, 64);
	assert_int_equal(mock->queue_size_max, 32768);
	assert_int_equal(mock->commits, 1);
	assert_int_equal(mock->config_interrupts, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(before); i++)
		assert_in_range(mock_last(mock, true, before[i], NULL), 0, ready - 1);
	assert_string_equal(mock->console, "virtio-blk: 64 queues, 1 MiB\n");
	fixture_free(&fixture);
}

static uint32_t last_reply(const struct mock_card *mock)
{
	assert_true(mock->reply_count != 0);
	return mock->replies[(mock->reply_count - 1) % ARRAY_SIZE(mock->replies)];
}

static void send_mail(struct fixture *fixture, uint32_t code)
{
	fixture->mock->mail.entry[fixture->mock->mail.tail++ % ARRAY_SIZE(fixture->mock->mail.entry)] = code;
	settle(fixture);
}

static uint64_t capacity_shown(const struct mock_card *mock)
{
	return load_le64(mock->shown);
}

static void test_bringup_resize_capacity_shown_at_once_and_announced_if_live(void **state)
{
	(void)state;
	struct mock_straps straps = mock_default_straps();
	struct fixture fixture;
	fixture_start(&fixture, &straps);
	struct mock_card *mock = fixture.mock;
	static const uint64_t sizes[] = {UINT64_C(0x1ffffffff), UINT64_C(0x200000000), 0, 2047};
	for (unsigned live = 0; live < 2; live++) {
		if (live)
			go_live(&fixture, FEATURES_USUAL);
		for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
			unsigned commits = mock->commits, interrupts = mock->config_interrupts;
			mock->straps.sectors = sizes[i];
			send_mail(&fixture, MAILBOX_RESIZE);
			assert_true(capacity_shown(mock) == sizes[i]);
			assert_int_equal(mock->commits, commits + 1); /* both halves together */
			assert_int_equal(mock->config_interrupts, interrupts + live);
			assert_int_equal(last_reply(mock), MAILBOX_ACK);
		}
	}
	fixture_free(&fixture);
}

static void test_bringup_resize_capacity_bounds_requests(void **state)
{
	(void)state;
	struct mock_straps straps = mock_default_straps();
	struct fixture fixture;
	fixture_start(&fixture, &straps);
	go_live(&fixture, FEATURES_USUAL);
	const struct request last = {.type = VIRTIO_BLK_T_IN, .sector = 2047, .in_bytes = 512};
	submit(&fixture, &last);
	assert_int_equal(fixture.mock->jobs, 1);
	fixture.mock->straps.sectors = 2047;
	send_mail(&fixture, MAILBOX_RESIZE);
	submit(&fixture, &last);
	assert_int_equal(only_completion(&fixture, 0)->status, VIRTIO_BLK_S_IOERR);
	fixture_free(&fixture);
}

static void test_bringup_mailbox_messages_obeyed_or_refused(void **state)
{
	(void)state;
	static const uint32_t unknown[] = {0, MAILBOX_READ_ONLY, MAILBOX_LOG_LEVEL, MAILBOX_ACK, 0xffff};
	struct mock_straps straps = mock_default_straps();
	struct fixture fixture;
	fixture_start(&fixture, &straps);
	for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++) {
		send_mail(&fixture, unknown[i]);
		assert_int_equal(last_reply(fixture.mock), MAILBOX_NAK);
		assert_int_equal(fixture.mock->reply_count, i + 1);
	}
	send_mail(&fixture, MAILBOX_FAIL); /* not in use: nothing to fail */
	assert_int_equal(last_reply(fixture.mock), MAILBOX_NAK);
	assert_int_equal(fixture.mock->status, 0);
	go_live(&fixture, FEATURES_USUAL);
	send_mail(&fixture, MAILBOX_FAIL);
	assert_int_equal(last_reply(fixture.mock), MAILBOX_ACK);
	assert_int_equal(fixture.mock->status, STATUS_ALL | VIRTIO_CONFIG_S_NEEDS_RESET);
	fixture_free(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_bringup_every_strap_and_medium_offers_what_both_can,
			 "D-005 D-008 D-051 D-132 D-133 D-136 D-163 D-164"),
		REQ_TEST(test_bringup_config_fields_are_there_if_offered_and_else_0, "D-012 D-135"),
		REQ_TEST(test_bringup_write_zeroes_may_unmap_follows_medium, "D-157"),
		cmocka_unit_test(test_bringup_offer_complete_before_ready),
		REQ_TEST(test_bringup_resize_capacity_shown_at_once_and_announced_if_live, "D-149 D-150"),
		REQ_TEST(test_bringup_resize_capacity_bounds_requests, "V-099"),
		cmocka_unit_test(test_bringup_mailbox_messages_obeyed_or_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
