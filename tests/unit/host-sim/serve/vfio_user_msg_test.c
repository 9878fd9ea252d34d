/* vfio-user messages: layouts byte by byte, and everything that must be refused. Numbers are the protocol's. */
#include "host-sim/serve/vfio_user_msg.h"
#include "tests/check.h"

#include <errno.h>

/* ---- headers and commands ---- */

static void put32(uint8_t *at, uint32_t value)
{
	store_le32(at, value);
}

static void test_header_fields_are_where_the_protocol_has_them(void **state)
{
	(void)state;
	const uint8_t wire[16] = {0x34, 0x12, 9, 0, 0x30, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0};
	struct vfio_user_header header;
	uint8_t back[16];
	assert_null(vfio_user_get_header(wire, &header));
	assert_int_equal(header.id, 0x1234);
	assert_int_equal(header.command, 9);
	assert_int_equal(header.bytes, 48);
	assert_int_equal(header.flags, 0x10);
	assert_int_equal(vfio_user_payload_bytes(&header), 32);
	vfio_user_put_header(back, &header);
	assert_memory_equal(back, wire, sizeof(wire));
}

static void test_header_that_loses_the_stream_is_refused(void **state)
{
	(void)state;
	static const struct {
		uint32_t bytes, flags;
		bool good;
	} cases[] = {
		{16, 0, true},
		{15, 0, false},
		{0, 0, false},
		{16, 1, true},
		{16, 2, false},
		{16, 0xf, false},
		{16 + (1 << 20) + 16, 0, true}, /* a REGION_WRITE of 1 MiB */
		{16 + (1 << 20) + 33, 0, false},
		{UINT32_MAX, 0, false},
		{16, 0xffffff10, true}, /* flags nobody knows yet */
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t wire[16] = {0};
		struct vfio_user_header header;
		put32(wire + 4, cases[i].bytes);
		put32(wire + 8, cases[i].flags);
		assert_int_equal(vfio_user_get_header(wire, &header) == NULL, cases[i].good);
	}
}

static void test_commands_have_their_sizes_and_descriptors(void **state)
{
	(void)state;
	static const struct {
		uint16_t command;
		uint32_t payload;
		unsigned fds;
		int error;
	} cases[] = {
		{1, 4, 0, 0},        {1, 3, 0, EINVAL},     {1, 200, 0, 0},      {1, 5000, 0, EINVAL},
		{1, 4, 1, EINVAL},   {2, 32, 0, 0},         {2, 32, 1, 0},       {2, 32, 2, EINVAL},
		{2, 31, 0, EINVAL},  {3, 24, 0, 0},         {3, 24, 1, 0},       {3, 23, 0, EINVAL},
		{4, 16, 0, 0},       {4, 12, 0, EINVAL},    {5, 32, 0, 0},       {5, 4064, 0, 0},
		{5, 31, 0, EINVAL},  {6, 16, 0, 0},         {6, 15, 0, EINVAL},  {7, 16, 0, 0},
		{7, 16, 1, EINVAL},  {8, 20, 16, 0},        {8, 20, 17, EINVAL}, {8, 19, 0, EINVAL},
		{8, 23, 0, 0},       {9, 16, 0, 0},         {9, 17, 0, EINVAL},  {10, 17, 0, 0},
		{10, 15, 0, EINVAL}, {11, 16, 0, ENOSYS},   {12, 17, 0, ENOSYS}, {13, 0, 0, 0},
		{13, 1, 0, EINVAL},  {14, 0, 0, ENOSYS},    {15, 8, 0, 0},       {15, 7, 0, EINVAL},
		{16, 8, 0, 0},       {17, 8, 0, 0},         {18, 8, 0, 0},       {0, 0, 0, ENOSYS},
		{19, 0, 0, ENOSYS},  {65535, 0, 0, ENOSYS}, {10, 15, 0, EINVAL}, {2, 33, 0, EINVAL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct vfio_user_header header = {.command = cases[i].command,
							.bytes = 16 + cases[i].payload};
		if (vfio_user_check_command(&header, cases[i].fds) != cases[i].error)
			fail_msg("command %u, %u bytes, %u descriptors", cases[i].command, cases[i].payload,
				 cases[i].fds);
	}
}

/* ---- VERSION ---- */

static int get_version(uint16_t major, uint16_t minor, const char *text, size_t bytes,
		       struct vfio_user_version *version)
{
	uint8_t payload[8192];
	store_le16(payload, major);
	store_le16(payload + 2, minor);
	if (text)
		memcpy(payload + 4, text, bytes);
	return vfio_user_get_version(payload, 4 + bytes, version);
}

static const char qemu_text[] =
	"{\"capabilities\": {\"pgsizes\": 4096, \"max_msg_fds\": 16, \"max_dma_maps\": 65535, "
	"\"max_data_xfer_size\": 1048576, \"migration\": {\"max_bitmap_size\": 256, \"pgsize\": 4096}, "
	"\"write_multiple\": true}}";

static void test_version_of_each_client_is_understood(void **state)
{
	(void)state;
	struct vfio_user_version version;
	assert_int_equal(get_version(0, 0, qemu_text, sizeof(qemu_text), &version), 0);
	assert_true(version.json && version.write_multiple && !version.twin_socket);
	assert_int_equal(version.max_msg_fds, 16);
	assert_int_equal(version.max_data_xfer_size, 1048576);
	/* SPDK: nothing. The protocol's defaults. */
	assert_int_equal(get_version(0, 1, NULL, 0, &version), 0);
	assert_false(version.json);
	assert_int_equal(version.minor, 1);
	assert_int_equal(version.max_msg_fds, 1);
	assert_int_equal(version.max_data_xfer_size, 1048576);
	assert_int_equal(version.max_dma_maps, 65535);
	assert_int_equal(version.pgsizes, 4096);
	/* Cloud Hypervisor's crate. */
	static const char crate[] = "{\"capabilities\":{\"max_msg_fds\":1,\"max_data_xfer_size\":1048576,"
				    "\"migration\":{\"pgsize\":4096}}}";
	assert_int_equal(get_version(0, 1, crate, sizeof(crate), &version), 0);
	assert_true(version.json && !version.write_multiple);
}

static void test_version_text_is_checked(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int error;
	} cases[] = {
		{"{}", 0},
		{"{\"capabilities\":{}}", 0},
		{"{\"other\":1}", 0},
		{"", EINVAL},
		{"[]", EINVAL},
		{"{", EINVAL},
		{"{\"capabilities\":[]}", EINVAL},
		{"{\"capabilities\":{\"max_msg_fds\":\"16\"}}", EINVAL},
		{"{\"capabilities\":{\"max_msg_fds\":-1}}", EINVAL},
		{"{\"capabilities\":{\"max_msg_fds\":4294967296}}", EINVAL},
		{"{\"capabilities\":{\"max_msg_fds\":1.5}}", EINVAL},
		{"{\"capabilities\":{\"max_data_xfer_size\":0}}", EINVAL},
		{"{\"capabilities\":{\"max_data_xfer_size\":99999999999999999999}}", EINVAL},
		{"{\"capabilities\":{\"write_multiple\":1}}", EINVAL},
		{"{\"capabilities\":{\"twin_socket\":true}}", EINVAL},
		{"{\"capabilities\":{\"twin_socket\":{\"supported\":true}}}", 0},
		{"{\"capabilities\":{\"max_msg_fds\":1,\"max_msg_fds\":2}}", EINVAL},
		{"{\"capabilities\":{\"unknown\":[1,{\"a\":null}]}}", 0},
	};
	struct vfio_user_version version;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (get_version(0, 0, cases[i].text, strlen(cases[i].text) + 1, &version) != cases[i].error)
			fail_msg("%s", cases[i].text);
	/* Without its NUL, with one in the middle, and deeper than anybody needs. */
	assert_int_equal(get_version(0, 0, "{}", 2, &version), EINVAL);
	assert_int_equal(get_version(0, 0, "{}\0rest", 8, &version), 0);
	assert_int_equal(get_version(0, 0, "{\0}", 4, &version), EINVAL);
	char deep[4097];
	memset(deep, '[', sizeof(deep));
	deep[4095] = '\0';
	assert_int_equal(get_version(0, 0, deep, 4096, &version), EINVAL);
	assert_int_equal(get_version(0, 0, deep, 4097, &version), EINVAL);
	assert_int_equal(vfio_user_get_version((const uint8_t *)"\0\0\0", 3, &version), EINVAL);
}

static void test_version_answer_suits_the_strictest_client(void **state)
{
	(void)state;
	static const struct {
		uint16_t minor, answered;
		const char *text;
		bool multiple;
	} cases[] = {{0, 0, qemu_text, true}, {1, 1, NULL, false}, {7, 1, "{}", false}};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vfio_user_version client, back;
		uint8_t payload[512];
		memset(payload, 0xee, sizeof(payload));
		const char *text = cases[i].text;
		assert_int_equal(get_version(0, cases[i].minor, text, text ? strlen(text) + 1 : 0, &client),
				 0);
		const struct vfio_user_version answer = vfio_user_answer_version(&client);
		size_t bytes = vfio_user_put_version(&answer, payload, sizeof(payload));
		/* QEMU: no longer than its own 198 bytes of payload, same minor, at most 16 descriptors, 65535 maps. */
		assert_true(bytes <= 4 + 194);
		assert_int_equal(payload[bytes - 1], 0);
		assert_int_equal(payload[bytes], 0xee);
		assert_int_equal(load_le16(payload), 0);
		assert_int_equal(load_le16(payload + 2), cases[i].answered);
		assert_int_equal(vfio_user_get_version(payload, bytes, &back), 0);
		assert_int_equal(back.write_multiple, cases[i].multiple);
		assert_int_equal(back.max_msg_fds, 16);
		assert_true(back.max_dma_maps <= 65535 && back.pgsizes % 4096 == 0 &&
			    back.max_data_xfer_size <= 64 << 20);
		assert_null(strstr((const char *)payload + 4, "twin_socket"));
	}
}

/* ---- memory ---- */

static void test_map_is_checked(void **state)
{
	(void)state;
	static const struct {
		uint32_t argsz, flags;
		uint64_t fd_offset, addr, bytes;
		int error;
	} cases[] = {
		{32, 3, 0, 0, 4096, 0},
		{32, 1, 4096, 0x100000, 0x200000, 0},
		{31, 3, 0, 0, 4096, EINVAL},
		{32, 0, 0, 0, 4096, EINVAL},
		{32, 4, 0, 0, 4096, EINVAL},
		{32, 7, 0, 0, 4096, EINVAL},
		{32, 3, 0, 0, 0, EINVAL},
		{32, 3, 0, 1, 4096, EINVAL},
		{32, 3, 0, 0, 4097, EINVAL},
		{32, 3, 512, 0, 4096, EINVAL},
		{32, 3, 0, 0xfffffffffffff000, 4096, 0},
		{32, 3, 0, 0xfffffffffffff000, 8192, EINVAL},
		{32, 3, 0, 4096, 0xfffffffffffff000, 0},
		{32, 3, 0, 8192, 0xfffffffffffff000, EINVAL},
		{32, 3, 0xfffffffffffff000, 0, 8192, EINVAL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct vfio_user_dma_map map = {cases[i].argsz, cases[i].flags, cases[i].fd_offset,
						      cases[i].addr, cases[i].bytes};
		if (vfio_user_check_map(&map) != cases[i].error)
			fail_msg("case %zu", i);
	}
}

static void test_unmap_reaches_the_last_byte(void **state)
{
	(void)state;
	static const struct {
		uint32_t argsz, flags;
		uint64_t addr, bytes;
		int error;
	} cases[] = {
		{24, 0, 0, 4096, 0},
		{24, 0, 0xfef00000, 0xffffffff01100000, 0}, /* QEMU, ends at 2^64 */
		{24, 0, 0xfef00000, 0xffffffff01100001, EINVAL},
		{24, 0, 1, UINT64_MAX, 0},
		{24, 0, 2, UINT64_MAX, EINVAL},
		{24, 0, 0, 0, EINVAL},
		{24, 2, 0, 0, 0},
		{24, 2, 0, 4096, EINVAL},
		{24, 2, 4096, 0, EINVAL},
		{24, 1, 0, 4096, EINVAL},
		{24, 3, 0, 0, EINVAL},
		{24, 4, 0, 4096, EINVAL},
		{23, 0, 0, 4096, EINVAL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct vfio_user_dma_unmap unmap = {cases[i].argsz, cases[i].flags, cases[i].addr,
							  cases[i].bytes};
		if (vfio_user_check_unmap(&unmap) != cases[i].error)
			fail_msg("case %zu", i);
	}
}

/* ---- interrupts ---- */

static void test_set_irqs_rows_are_checked(void **state)
{
	(void)state;
	enum { NONE = 1, BOOL = 2, FD = 4, MASK = 8, UNMASK = 16, TRIGGER = 32 };
	static const struct {
		uint32_t flags, index, start, count;
		unsigned extra, fds, irqs;
		int error;
	} cases[] = {
		{FD | TRIGGER, 2, 0, 16, 0, 16, 17, 0},
		{FD | TRIGGER, 2, 1, 16, 0, 16, 17, 0},
		{FD | TRIGGER, 2, 2, 16, 0, 16, 17, EINVAL},
		{FD | TRIGGER, 2, 0, 1, 0, 0, 17, 0}, /* without a descriptor: unbind */
		{FD | TRIGGER, 2, 0, 2, 0, 1, 17, EINVAL},
		{FD | TRIGGER, 2, 17, 1, 0, 1, 17, EINVAL},
		{FD | TRIGGER, 2, UINT32_MAX, 1, 0, 1, 17, EINVAL},
		{FD | TRIGGER, 2, 1, UINT32_MAX, 0, 0, 17, EINVAL},
		{FD | TRIGGER, 2, 0, 0, 0, 0, 17, EINVAL},
		{NONE | TRIGGER, 2, 0, 0, 0, 0, 17, 0}, /* the whole index */
		{NONE | TRIGGER, 2, 1, 0, 0, 0, 17, EINVAL},
		{NONE | TRIGGER, 2, 0, 0, 0, 1, 17, EINVAL},
		{NONE | TRIGGER, 1, 0, 0, 0, 0, 0, 0},
		{NONE | TRIGGER, 1, 0, 1, 0, 0, 0, EINVAL},
		{NONE | TRIGGER, 2, 3, 4, 0, 0, 17, 0},
		{NONE | TRIGGER, 2, 3, 4, 0, 4, 17, EINVAL},
		{BOOL | TRIGGER, 2, 3, 4, 4, 0, 17, 0},
		{BOOL | TRIGGER, 2, 3, 4, 3, 0, 17, EINVAL},
		{BOOL | TRIGGER, 2, 3, 4, 5, 0, 17, EINVAL},
		{NONE | TRIGGER, 2, 3, 4, 4, 0, 17, EINVAL},
		{NONE | MASK, 0, 0, 1, 0, 0, 1, 0},
		{NONE | UNMASK, 0, 0, 1, 0, 0, 1, 0},
		{BOOL | MASK, 0, 0, 1, 1, 0, 1, 0},
		{FD | MASK, 0, 0, 1, 0, 1, 1, 0},
		{FD | UNMASK, 0, 0, 1, 0, 1, 1, 0},
		{NONE | MASK, 2, 0, 1, 0, 0, 17, EINVAL},
		{NONE | UNMASK, 0, 0, 0, 0, 0, 1, EINVAL},
		{NONE, 0, 0, 1, 0, 0, 1, EINVAL},
		{TRIGGER, 0, 0, 1, 0, 0, 1, EINVAL},
		{NONE | BOOL | TRIGGER, 0, 0, 1, 1, 0, 1, EINVAL},
		{NONE | MASK | TRIGGER, 0, 0, 1, 0, 0, 1, EINVAL},
		{NONE | TRIGGER | 64, 0, 0, 1, 0, 0, 1, EINVAL},
		{NONE | TRIGGER, 5, 0, 0, 0, 0, 0, EINVAL},
		{NONE | TRIGGER, UINT32_MAX, 0, 0, 0, 0, 0, EINVAL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct vfio_user_set_irqs set = {20, cases[i].flags, cases[i].index, cases[i].start,
						       cases[i].count};
		if (vfio_user_check_set_irqs(&set, 20 + cases[i].extra, cases[i].fds, cases[i].irqs) !=
		    cases[i].error)
			fail_msg("case %zu", i);
	}
	const struct vfio_user_set_irqs small = {19, NONE | TRIGGER, 0, 0, 1};
	assert_int_equal(vfio_user_check_set_irqs(&small, 20, 0, 1), EINVAL);
}

/* ---- accesses ---- */

static void test_access_agrees_with_wider_arithmetic(void **state)
{
	(void)state;
	static const uint64_t edges[] = {0,    1,      8,        4095,           4096,
					 4097, 0x4000, 1u << 20, UINT64_MAX - 1, UINT64_MAX};
	struct rng rng;
	rng_seed(&rng, test_seed(1), 0);
	for (unsigned i = 0; i < 200000; i++) {
		uint64_t size = edges[rng_below(&rng, ARRAY_SIZE(edges))];
		uint64_t offset = edges[rng_below(&rng, ARRAY_SIZE(edges))] + rng_below(&rng, 3) - 1;
		uint32_t count =
			(uint32_t)(edges[rng_below(&rng, ARRAY_SIZE(edges))] + rng_below(&rng, 3) - 1);
		bool good = count >= 1 && count <= 1u << 20 &&
			    (unsigned __int128)offset + count <= (unsigned __int128)size;
		assert_int_equal(vfio_user_check_access(offset, count, size), good ? 0 : EINVAL);
	}
}

static void test_multi_counts_what_is_there(void **state)
{
	(void)state;
	uint8_t payload[8 + 200 * 24] = {0};
	static const struct {
		uint64_t writes;
		size_t bytes;
		int count;
	} cases[] = {
		{0, 8, 0},
		{1, 32, 1},
		{1, 31, -1},
		{200, 4808, 200},
		{200, 4807, -1},
		{1, 4808, 1}, /* the rest is not looked at */
		{201, 4808, -1},
		{UINT64_MAX, 4808, -1},
		{UINT64_C(1) << 61, 4808, -1},
		{0, 7, -1},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		store_le64(payload, cases[i].writes);
		assert_int_equal(vfio_user_multi_writes(payload, cases[i].bytes), cases[i].count);
	}
	uint8_t *third = payload + 8 + 2 * 24;
	store_le64(third, 0x3004);
	store_le32(third + 8, 4);
	store_le32(third + 12, 2);
	memcpy(third + 16, "ab", 2);
	const struct vfio_user_write write = vfio_user_multi_at(payload, 2);
	assert_int_equal(write.offset, 0x3004);
	assert_int_equal(write.region, 4);
	assert_int_equal(write.count, 2);
	assert_memory_equal(write.data, "ab", 2);
}

/* ---- DMA messages ---- */

static void test_dma_write_has_its_data_where_the_client_looks(void **state)
{
	(void)state;
	uint8_t message[64];
	const uint8_t data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	size_t bytes = vfio_user_put_dma(message, 5, VFIO_USER_NO_REPLY, VFIO_USER_LAYOUT_DOCUMENTED, 0x1000,
					 8, data);
	assert_int_equal(bytes, 16 + 16 + 8);
	assert_int_equal(load_le16(message), 5);
	assert_int_equal(load_le16(message + 2), 12);
	assert_int_equal(load_le32(message + 4), bytes);
	assert_int_equal(load_le32(message + 8), 0x10);
	assert_int_equal(load_le64(message + 16), 0x1000);
	assert_int_equal(load_le64(message + 24), 8);
	assert_memory_equal(message + 32, data, 8);
	/* QEMU: from 12 on, and 4 bytes behind them that count for the length. */
	bytes = vfio_user_put_dma(message, 5, 0, VFIO_USER_LAYOUT_QEMU, 0x1000, 8, data);
	assert_int_equal(bytes, 16 + 16 + 8);
	assert_int_equal(load_le64(message + 16), 0x1000);
	assert_int_equal(load_le32(message + 24), 8);
	assert_memory_equal(message + 28, data, 8);
	/* Reads look the same for all. */
	bytes = vfio_user_put_dma(message, 6, 0, VFIO_USER_LAYOUT_QEMU, 0x2000, 64, NULL);
	assert_int_equal(bytes, 32);
	assert_int_equal(load_le16(message + 2), 11);
	assert_int_equal(load_le64(message + 24), 64);
}

static void test_dma_reply_must_be_what_was_asked(void **state)
{
	(void)state;
	uint8_t payload[16 + 8] = {0};
	struct vfio_user_header header = {.command = 11, .bytes = 16 + 16 + 8, .flags = 1};
	store_le64(payload, 0x1000);
	store_le64(payload + 8, 8);
	assert_ptr_equal(vfio_user_dma_data(&header, payload, VFIO_USER_LAYOUT_DOCUMENTED, 0x1000, 8),
			 payload + 16);
	assert_null(vfio_user_dma_data(&header, payload, VFIO_USER_LAYOUT_DOCUMENTED, 0x1008, 8));
	assert_null(vfio_user_dma_data(&header, payload, VFIO_USER_LAYOUT_DOCUMENTED, 0x1000, 4));
	/* In QEMU's the data overwrites the upper half of the count. */
	store_le32(payload + 12, 0xdeadbeef);
	assert_ptr_equal(vfio_user_dma_data(&header, payload, VFIO_USER_LAYOUT_QEMU, 0x1000, 8),
			 payload + 12);
	header.bytes--;
	assert_null(vfio_user_dma_data(&header, payload, VFIO_USER_LAYOUT_QEMU, 0x1000, 8));
	header.bytes = 16;
	assert_null(vfio_user_dma_data(&header, payload, VFIO_USER_LAYOUT_QEMU, 0x1000, 8));
	header = (struct vfio_user_header){.command = 11, .bytes = 40, .flags = 0x21};
	assert_null(vfio_user_dma_data(&header, payload, VFIO_USER_LAYOUT_QEMU, 0x1000, 8));
	header = (struct vfio_user_header){.command = 12, .bytes = 40, .flags = 1};
	assert_null(vfio_user_dma_data(&header, payload, VFIO_USER_LAYOUT_QEMU, 0x1000, 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_fields_are_where_the_protocol_has_them),
		cmocka_unit_test(test_header_that_loses_the_stream_is_refused),
		cmocka_unit_test(test_commands_have_their_sizes_and_descriptors),
		cmocka_unit_test(test_version_of_each_client_is_understood),
		cmocka_unit_test(test_version_text_is_checked),
		cmocka_unit_test(test_version_answer_suits_the_strictest_client),
		cmocka_unit_test(test_map_is_checked),
		cmocka_unit_test(test_unmap_reaches_the_last_byte),
		cmocka_unit_test(test_set_irqs_rows_are_checked),
		cmocka_unit_test(test_access_agrees_with_wider_arithmetic),
		cmocka_unit_test(test_multi_counts_what_is_there),
		cmocka_unit_test(test_dma_write_has_its_data_where_the_client_looks),
		cmocka_unit_test(test_dma_reply_must_be_what_was_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
