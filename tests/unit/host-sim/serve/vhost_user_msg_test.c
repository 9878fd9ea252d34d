/* vhost-user messages: layouts against bytes typed from the protocol's text, and what is well-formed. */
#include "host-sim/serve/vhost_user_msg.h"
#include "tests/check.h"

/* The table of the protocol (docs/interop/vhost-user.rst, "Front-end message types"): payload sizes, descriptors, whether
 * there is a reply. `varies`: the size depends on what is in it. */
static const struct row {
	uint32_t request;
	uint32_t bytes;
	unsigned fds_min, fds_max;
	bool replies, varies;
} rows[] = {
	{1, 0, 0, 0, true, false},    /* GET_FEATURES */
	{2, 8, 0, 0, false, false},   /* SET_FEATURES */
	{3, 0, 0, 0, false, false},   /* SET_OWNER */
	{4, 0, 0, 0, false, false},   /* RESET_OWNER */
	{5, 8, 0, 8, false, true},    /* SET_MEM_TABLE */
	{8, 8, 0, 0, false, false},   /* SET_VRING_NUM */
	{9, 40, 0, 0, false, false},  /* SET_VRING_ADDR */
	{10, 8, 0, 0, false, false},  /* SET_VRING_BASE */
	{11, 8, 0, 0, true, false},   /* GET_VRING_BASE */
	{12, 8, 0, 1, false, false},  /* SET_VRING_KICK */
	{13, 8, 0, 1, false, false},  /* SET_VRING_CALL */
	{14, 8, 0, 1, false, false},  /* SET_VRING_ERR */
	{15, 0, 0, 0, true, false},   /* GET_PROTOCOL_FEATURES */
	{16, 8, 0, 0, false, false},  /* SET_PROTOCOL_FEATURES */
	{17, 0, 0, 0, true, false},   /* GET_QUEUE_NUM */
	{18, 8, 0, 0, false, false},  /* SET_VRING_ENABLE */
	{21, 0, 1, 1, false, false},  /* SET_BACKEND_REQ_FD */
	{24, 12, 0, 0, true, true},   /* GET_CONFIG */
	{25, 12, 0, 0, false, true},  /* SET_CONFIG */
	{31, 20, 0, 0, true, true},   /* GET_INFLIGHT_FD */
	{32, 20, 1, 1, false, true},  /* SET_INFLIGHT_FD */
	{34, 0, 0, 0, false, false},  /* RESET_DEVICE */
	{36, 0, 0, 0, true, false},   /* GET_MAX_MEM_SLOTS */
	{37, 40, 1, 1, false, false}, /* ADD_MEM_REG */
	{38, 40, 0, 1, false, false}, /* REM_MEM_REG */
	{39, 8, 0, 0, false, false},  /* SET_STATUS */
	{40, 0, 0, 0, true, false},   /* GET_STATUS */
};

static struct vhost_user_message message_of(uint32_t request, uint32_t bytes)
{
	return (struct vhost_user_message){.header = {request, 1, bytes}};
}

static void test_requests_are_those_of_the_protocol(void **state)
{
	(void)state;
	for (uint32_t request = 0; request < 300; request++) {
		const struct vhost_user_request_info *info = vhost_user_request_info(request);
		const struct row *row = NULL;
		for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
			if (rows[i].request == request)
				row = &rows[i];
		assert_int_equal(info->name != NULL, row != NULL);
		if (!row)
			continue;
		assert_int_equal(info->bytes_min, row->bytes);
		assert_int_equal(info->fds_min, row->fds_min);
		assert_int_equal(info->fds_max, row->fds_max);
		assert_int_equal(info->replies, row->replies);
		assert_int_equal(info->bytes_max != info->bytes_min, row->varies);
	}
}

static void test_header_sizes_but_the_right_ones_are_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		for (uint32_t bytes = 0; bytes < 400; bytes++) {
			const struct vhost_user_message message = message_of(rows[i].request, bytes);
			bool good = bytes == rows[i].bytes ||
				    (rows[i].varies && bytes > rows[i].bytes &&
				     bytes <= vhost_user_request_info(rows[i].request)->bytes_max);
			assert_int_equal(vhost_user_header_check(&message.header) == NULL, good);
		}
}

static void test_header_version_reply_flag_and_length_are_checked(void **state)
{
	static const struct {
		struct vhost_user_header header;
		bool good;
	} cases[] = {
		{{1, 0x1, 0}, true},          {{1, 0x9, 0}, true}, /* with need-reply */
		{{1, 0x0, 0}, false},         {{1, 0x2, 0}, false},          {{1, 0x3, 0}, false},
		{{1, 0x5, 0}, false},                                  /* a reply */
		{{1, 0xd, 0}, false},         {{99, 0x1, 4096}, true}, /* not known: to be skipped */
		{{99, 0x1, 4097}, false},     {{1, 0x1, UINT32_MAX}, false}, {{99, 0x1, UINT32_MAX}, false},
		{{UINT32_MAX, 0x1, 0}, true},
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(vhost_user_header_check(&cases[i].header) == NULL, cases[i].good);
}

static void test_layout_matches_typed_bytes(void **state)
{
	/* SET_MEM_TABLE with one region: guest 0x100000000, 0x40000000 bytes, user 0x7f0000000000, offset 0x80000000 */
	static const uint8_t table[] = {
		1, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 1, 0, 0, 0,    0, 0, 0, 0x40,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0,
	};
	/* SET_VRING_ADDR: ring 2, descriptors 0x1000, used 0x3000, available 0x2000 */
	static const uint8_t addr[] = {2, 0, 0, 0, 0, 0,    0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x30, 0, 0,
				       0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0,    0, 0, 0, 0, 0, 0, 0, 0,    0, 0};
	static const uint8_t inflight[] = {0, 0x20, 0, 0, 0, 0, 0, 0, 0,   0x10,
					   0, 0,    0, 0, 0, 0, 4, 0, 128, 0};
	static const uint8_t config[] = {32, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x5a};
	struct vhost_user_message m = {0};
	(void)state;
	memcpy(m.payload.bytes, table, sizeof(table));
	assert_int_equal(m.payload.table.count, 1);
	assert_int_equal(m.payload.table.region[0].guest, 0x100000000);
	assert_int_equal(m.payload.table.region[0].bytes, 0x40000000);
	assert_int_equal(m.payload.table.region[0].user, 0x7f0000000000);
	assert_int_equal(m.payload.table.region[0].offset, 0x80000000);
	memcpy(m.payload.bytes, addr, sizeof(addr));
	assert_int_equal(m.payload.addr.index, 2);
	assert_int_equal(m.payload.addr.desc, 0x1000);
	assert_int_equal(m.payload.addr.used, 0x3000);
	assert_int_equal(m.payload.addr.avail, 0x2000);
	memcpy(m.payload.bytes, inflight, sizeof(inflight));
	assert_int_equal(m.payload.inflight.bytes, 0x2000);
	assert_int_equal(m.payload.inflight.offset, 0x1000);
	assert_int_equal(m.payload.inflight.queues, 4);
	assert_int_equal(m.payload.inflight.queue_size, 128);
	memcpy(m.payload.bytes, config, sizeof(config));
	assert_int_equal(m.payload.config.offset, 32);
	assert_int_equal(m.payload.config.size, 1);
	assert_int_equal(m.payload.config.data[0], 0x5a);
}

static void test_table_regions_size_and_descriptors_must_agree(void **state)
{
	(void)state;
	for (uint32_t count = 0; count < 12; count++)
		for (uint32_t bytes = 8; bytes <= 8 + 32 * 8; bytes += 16)
			for (unsigned fds = 0; fds < 10; fds++) {
				struct vhost_user_message message =
					message_of(VHOST_USER_SET_MEM_TABLE, bytes);
				message.payload.table.count = count;
				bool good = count <= 8 && bytes == 8 + 32 * count && fds == count;
				assert_int_equal(vhost_user_message_check(&message, fds) == NULL, good);
			}
	/* A count whose product wraps. */
	struct vhost_user_message message = message_of(VHOST_USER_SET_MEM_TABLE, 8);
	message.payload.table.count = 0x08000000;
	assert_non_null(vhost_user_message_check(&message, 0));
}

static void test_vring_fd_bit_8_and_descriptor_must_agree(void **state)
{
	static const struct {
		uint64_t value;
		unsigned fds;
		bool good;
	} cases[] = {{0, 1, true},      {0, 0, false},          {0, 2, false},
		     {0x100, 0, true},  {0x1ff, 0, true},       {0x100, 1, false},
		     {0x200, 1, false}, {UINT64_MAX, 0, false}, {255, 1, true}};
	(void)state;
	for (uint32_t request = VHOST_USER_SET_VRING_KICK; request <= VHOST_USER_SET_VRING_ERR; request++)
		for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
			struct vhost_user_message message = message_of(request, 8);
			message.payload.u64 = cases[i].value;
			assert_int_equal(vhost_user_message_check(&message, cases[i].fds) == NULL,
					 cases[i].good);
		}
}

static void test_config_offset_size_and_payload_must_agree(void **state)
{
	static const struct {
		uint32_t offset, size, payload;
		bool good;
	} cases[] = {
		{0, 57, 69, true}, /* QEMU 7.2 */
		{0, 256, 268, true},         {32, 1, 13, true},
		{32, 1, 268, true}, /* SPDK: always the whole structure */
		{0, 57, 68, false},          {0, 257, 268, false},
		{256, 0, 12, true},          {256, 1, 13, false},
		{257, 0, 12, false},         {UINT32_MAX, 2, 14, false},
		{2, UINT32_MAX, 268, false}, {UINT32_MAX, UINT32_MAX, 268, false},
	};
	(void)state;
	for (uint32_t request = VHOST_USER_GET_CONFIG; request <= VHOST_USER_SET_CONFIG; request++)
		for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
			struct vhost_user_message message = message_of(request, cases[i].payload);
			message.payload.config.offset = cases[i].offset;
			message.payload.config.size = cases[i].size;
			assert_int_equal(vhost_user_message_check(&message, 0) == NULL, cases[i].good);
		}
}

/* Random messages: whatever passes keeps the promises its handlers rely on. */
static void test_random_messages_that_pass_are_within_bounds(void **state)
{
	struct rng rng;
	unsigned passed = 0;
	(void)state;
	rng_seed(&rng, test_seed(1), 0);
	for (unsigned round = 0; round < 400000; round++) {
		struct vhost_user_message message;
		const struct row *row = &rows[rng_below(&rng, ARRAY_SIZE(rows))];
		unsigned fds = (unsigned)rng_below(&rng, 10);
		message.header.request = rng_below(&rng, 8) ? row->request : (uint32_t)rng_u64(&rng);
		message.header.flags = rng_below(&rng, 8) ? 1 : (uint32_t)rng_u64(&rng);
		message.header.size = rng_below(&rng, 2) ? row->bytes : (uint32_t)rng_below(&rng, 300);
		for (unsigned i = 0; i < 5; i++) {
			uint64_t value = rng_u64(&rng) >> rng_below(&rng, 64);
			memcpy(message.payload.bytes + 8 * i, &value, sizeof(value));
		}
		if (vhost_user_header_check(&message.header) || vhost_user_message_check(&message, fds))
			continue;
		passed++;
		assert_true(message.header.size <= sizeof(message.payload));
		if (message.header.request == VHOST_USER_SET_MEM_TABLE)
			assert_true(message.payload.table.count <= 8 && message.payload.table.count == fds);
		if (message.header.request == VHOST_USER_GET_CONFIG)
			assert_true((uint64_t)message.payload.config.offset + message.payload.config.size <=
				    256);
		if (message.header.request == VHOST_USER_ADD_MEM_REG)
			assert_int_equal(fds, 1);
	}
	assert_true(passed > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_are_those_of_the_protocol),
		cmocka_unit_test(test_header_sizes_but_the_right_ones_are_refused),
		cmocka_unit_test(test_header_version_reply_flag_and_length_are_checked),
		cmocka_unit_test(test_layout_matches_typed_bytes),
		cmocka_unit_test(test_table_regions_size_and_descriptors_must_agree),
		cmocka_unit_test(test_vring_fd_bit_8_and_descriptor_must_agree),
		cmocka_unit_test(test_config_offset_size_and_payload_must_agree),
		cmocka_unit_test(test_random_messages_that_pass_are_within_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
