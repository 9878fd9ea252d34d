/* DISCARD, WRITE_ZEROES and SECURE_ERASE with ranges that break the rules (guide section 6.4), against the whole card, at
 * both offload levels: the prescribed status, and no sector touched outside the ranges. */
#include "tests/e2e/hostile.h"

static void check_zeroed(struct hostile *h)
{
	uint64_t sector = h->row->changed_sector;
	uint8_t *disk = machine_disk(h->m);
	for (uint32_t i = 0; i < h->row->changed_sectors * 512; i++)
		CHECK_EQUAL(disk[sector * 512 + i], 0);
	free(disk);
}

/* On a disk that cannot be written these are not even offered; on one that can they are, and refused. */
static void test_change_of_read_only_device_is_refused(void **state)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		const struct hostile_row rows[] = {
			{"negotiated", .ring = PUT(16), .type = types[i], .ranges = {{HOSTILE_SECTOR, 1}},
			 IOERR(1), .setting = "device.read_only=on", .disk_writable = true},
			{"not offered", .ring = PUT(16), .type = types[i], .ranges = {{HOSTILE_SECTOR, 1}},
			 UNSUPP(1), .setting = "device.read_only=on"},
		};
		RUN_ALL(rows);
	}
}

#define RANGE_SECTORS_MAX 0x3fffffu /* as the device's configuration says */
#define SEGMENTS_MAX      32u

/* The same rows for all three. */
static void run_ranges(const struct hostile_row *rows, unsigned count)
{
	static const struct {
		uint32_t type;
		const char *setting;
	} types[] = {
		{VIRTIO_BLK_T_DISCARD, NULL},
		{VIRTIO_BLK_T_WRITE_ZEROES, NULL},
		{VIRTIO_BLK_T_SECURE_ERASE, "virtio.secure_erase=on"},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		for (unsigned j = 0; j < count; j++) {
			struct hostile_row row = rows[j];
			row.type = types[i].type;
			row.setting = types[i].setting;
			printf("type %u\n", row.type);
			hostile_run_all(&row, 1);
		}
	}
}

#define RUN_RANGES(rows) run_ranges(rows, ARRAY_SIZE(rows))

static void test_short_range_is_an_io_error(void **state)
{
	static const struct hostile_row rows[] = {
		{"none", .ring = BARE, IOERR(1)},
		{"1 byte", .ring = PUT(1), .ranges = {{HOSTILE_SECTOR, 1}}, IOERR(1)},
		{"15 bytes", .ring = PUT(15), .ranges = {{HOSTILE_SECTOR, 1}}, IOERR(1)},
	};
	(void)state;
	RUN_RANGES(rows);
}

static void test_odd_range_bytes_are_an_io_error(void **state)
{
	static const struct hostile_row rows[] = {
		{"17 bytes", .ring = PUT(17), .ranges = {{HOSTILE_SECTOR, 1}}, IOERR(1)},
		{"24 bytes", .ring = PUT(24), .ranges = {{HOSTILE_SECTOR, 1}}, IOERR(1)},
	};
	(void)state;
	RUN_RANGES(rows);
}

static void test_too_many_ranges_are_an_io_error(void **state)
{
	static const struct hostile_row rows[] = {
		{"one more than the maximum", .ring = PUT(16 * (SEGMENTS_MAX + 1)),
		 .ranges = {{HOSTILE_SECTOR, 1}}, IOERR(1)},
		{"a page of them", .ring = PUT(4096), .ranges = {{HOSTILE_SECTOR, 1}}, IOERR(1)},
	};
	(void)state;
	RUN_RANGES(rows);
}

static void test_too_long_range_is_an_io_error(void **state)
{
	static const struct hostile_row rows[] = {
		{"one more than the maximum", .ring = PUT(16), .ranges = {{0, RANGE_SECTORS_MAX + 1}},
		 IOERR(1)},
		{"2^32 - 1", .ring = PUT(16), .ranges = {{HOSTILE_SECTOR, UINT32_MAX}}, IOERR(1)},
		{"2^23: no bytes in 32 bits", .ring = PUT(16), .ranges = {{0, 1u << 23}}, IOERR(1)},
	};
	(void)state;
	RUN_RANGES(rows);
}

static void test_range_outside_the_disk_changes_nothing(void **state)
{
	static const struct hostile_row rows[] = {
		{"across the end", .ring = PUT(16), .ranges = {{HOSTILE_DISK_SECTORS - 1, 2}}, IOERR(1)},
		{"behind the end", .ring = PUT(16), .ranges = {{HOSTILE_DISK_SECTORS, 1}}, IOERR(1)},
		{"wrapping", .ring = PUT(16), .ranges = {{UINT64_MAX, 2}}, IOERR(1)},
		{"wrapping in bytes", .ring = PUT(16), .ranges = {{BIT(55), 1}}, IOERR(1)},
		{"behind a good one", .ring = PUT(32),
		 .ranges = {{HOSTILE_SECTOR, 1}, {HOSTILE_DISK_SECTORS, 1}}, IOERR(1),
		 CHANGES(HOSTILE_SECTOR, 1)},
	};
	(void)state;
	RUN_RANGES(rows);
}

static void test_empty_range_is_no_error(void **state)
{
	static const struct hostile_row rows[] = {
		{"alone", .ring = PUT(16), .ranges = {{HOSTILE_SECTOR, 0}}, OK(1)},
		{"behind one that is not", .ring = PUT(32), .ranges = {{HOSTILE_SECTOR, 1}, {200, 0}}, OK(1),
		 CHANGES(HOSTILE_SECTOR, 1)},
		{"at the end", .ring = PUT(32), .ranges = {{HOSTILE_SECTOR, 1}, {HOSTILE_DISK_SECTORS, 0}},
		 OK(1), CHANGES(HOSTILE_SECTOR, 1)},
	};
	(void)state;
	RUN_RANGES(rows);
}

static void test_unknown_range_flag_is_unsupported(void **state)
{
	static const struct hostile_row rows[] = {
		{"bit 1", .ring = PUT(16), .ranges = {{HOSTILE_SECTOR, 1, 2}}, UNSUPP(1)},
		{"bit 31", .ring = PUT(16), .ranges = {{HOSTILE_SECTOR, 1, UINT32_C(1) << 31}}, UNSUPP(1)},
		{"in the second", .ring = PUT(32), .ranges = {{HOSTILE_SECTOR, 1}, {200, 1, 4}}, UNSUPP(1)},
	};
	(void)state;
	RUN_RANGES(rows);
}

static void test_discard_with_unmap_is_unsupported(void **state)
{
	static const struct hostile_row rows[] = {
		{"discard", .ring = PUT(16), .type = VIRTIO_BLK_T_DISCARD, .ranges = {{HOSTILE_SECTOR, 1, 1}},
		 UNSUPP(1)},
		{"secure erase", .ring = PUT(16), .type = VIRTIO_BLK_T_SECURE_ERASE,
		 .ranges = {{HOSTILE_SECTOR, 1, 1}}, UNSUPP(1), .setting = "virtio.secure_erase=on"},
		{"write zeroes", .ring = PUT(16), .type = VIRTIO_BLK_T_WRITE_ZEROES,
		 .ranges = {{HOSTILE_SECTOR, 1, 1}}, OK(1), CHANGES(HOSTILE_SECTOR, 1),
		 .check = check_zeroed},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_unknown_flag_wins_over_a_bad_range(void **state)
{
	static const struct hostile_row rows[] = {
		{"in one range", .ring = PUT(16), .ranges = {{HOSTILE_DISK_SECTORS, 1, 2}}, UNSUPP(1)},
		{"a bad range before it", .ring = PUT(32),
		 .ranges = {{HOSTILE_DISK_SECTORS, 1}, {HOSTILE_SECTOR, 1, 2}}, UNSUPP(1)},
		{"too long a range before it", .ring = PUT(32),
		 .ranges = {{0, UINT32_MAX}, {HOSTILE_SECTOR, 1, 2}}, UNSUPP(1)},
	};
	(void)state;
	RUN_RANGES(rows);
}

static void test_unaligned_range_is_no_error(void **state)
{
	static const struct hostile_row rows[] = {
		{"discard", .ring = PUT(16), .type = VIRTIO_BLK_T_DISCARD, .ranges = {{101, 3}}, OK(1),
		 CHANGES(101, 3), .setting = "media.block_bytes=4096"},
		{"write zeroes", .ring = PUT(16), .type = VIRTIO_BLK_T_WRITE_ZEROES, .ranges = {{101, 3}},
		 OK(1), CHANGES(101, 3), .check = check_zeroed, .setting = "media.block_bytes=4096"},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_overlapping_ranges_are_applied(void **state)
{
	static const struct hostile_row rows[] = {
		{"twice the same", .ring = PUT(32), .type = VIRTIO_BLK_T_WRITE_ZEROES,
		 .ranges = {{HOSTILE_SECTOR, 4}, {HOSTILE_SECTOR, 4}}, OK(1), CHANGES(HOSTILE_SECTOR, 4),
		 .check = check_zeroed},
		{"half", .ring = PUT(32), .type = VIRTIO_BLK_T_WRITE_ZEROES,
		 .ranges = {{HOSTILE_SECTOR, 4}, {HOSTILE_SECTOR + 2, 4}}, OK(1), CHANGES(HOSTILE_SECTOR, 6),
		 .check = check_zeroed},
		{"discard", .ring = PUT(32), .type = VIRTIO_BLK_T_DISCARD,
		 .ranges = {{HOSTILE_SECTOR, 4}, {HOSTILE_SECTOR, 2}}, OK(1), CHANGES(HOSTILE_SECTOR, 4)},
	};
	(void)state;
	RUN_ALL(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_change_of_read_only_device_is_refused, "V-101"),
		REQ_TEST(test_short_range_is_an_io_error, "V-115"),
		REQ_TEST(test_odd_range_bytes_are_an_io_error, "V-116"),
		REQ_TEST(test_too_many_ranges_are_an_io_error, "V-117"),
		REQ_TEST(test_too_long_range_is_an_io_error, "V-118"),
		REQ_TEST(test_range_outside_the_disk_changes_nothing, "V-119"),
		REQ_TEST(test_empty_range_is_no_error, "V-120"),
		REQ_TEST(test_unknown_range_flag_is_unsupported, "V-121 D-152"),
		REQ_TEST(test_discard_with_unmap_is_unsupported, "V-122 D-153"),
		REQ_TEST(test_unknown_flag_wins_over_a_bad_range, "V-123"),
		REQ_TEST(test_unaligned_range_is_no_error, "V-124"),
		REQ_TEST(test_overlapping_ranges_are_applied, "V-125"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
