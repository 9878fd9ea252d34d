/* Requests that break the rules in rings that do not (guide section 6.4), against the whole card, at both offload levels:
 * the prescribed status, the medium as it was outside the range asked for, and a device that goes on. */
#include "tests/e2e/hostile.h"

/* What the driver got is what the disk holds. */
static void check_read(struct hostile *h)
{
	uint64_t sector = h->row->sector ? h->row->sector : HOSTILE_SECTOR;
	uint32_t bytes = h->row->used_bytes / 512 * 512;
	CHECK(memcmp(h->data, h->disk + sector * 512, bytes) == 0);
	for (uint32_t i = bytes; i < HOSTILE_DATA_BYTES; i++)
		CHECK_EQUAL(h->data[i], HOSTILE_PATTERN);
}

/* The range holds the driver's pattern. */
static void check_written(struct hostile *h)
{
	uint64_t sector = h->row->changed_sector;
	uint8_t *disk = machine_disk(h->m);
	for (uint32_t i = 0; i < h->row->changed_sectors * 512; i++)
		CHECK_EQUAL(disk[sector * 512 + i], HOSTILE_PATTERN);
	free(disk);
}

/* Nothing of the data buffer was written. */
static void check_untouched(struct hostile *h)
{
	CHECK(memcmp(h->data, h->before, sizeof(h->before)) == 0);
}

/* ---- the shape of requests ---- */

static void test_chain_without_status_needs_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"nothing writable", .ring = {HEADER, {AT_DATA, 512}}, .type = OUT},
		{"only a header", .ring = {{AT_HEADER, 16}}, .type = VIRTIO_BLK_T_FLUSH},
		{"nothing readable", .ring = {{AT_DATA, 512, WRITE | NEXT, 1}, STATUS}, .type = IN},
		{"only a status", .ring = {STATUS}, .type = VIRTIO_BLK_T_FLUSH},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_short_header_needs_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"15 bytes", .ring = {{AT_HEADER, 15, NEXT, 1}, STATUS}, .type = VIRTIO_BLK_T_FLUSH},
		{"1 byte", .ring = {{AT_HEADER, 1, NEXT, 1}, {AT_DATA, 512, WRITE | NEXT, 2}, STATUS},
		 .type = IN},
		{"8 and 7 bytes", .ring = {{AT_HEADER, 8, NEXT, 1}, {AT_HEADER, 7, NEXT, 2, 8}, STATUS},
		 .type = VIRTIO_BLK_T_FLUSH},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_status_of_several_bytes_counts_as_data(void **state)
{
	static const struct hostile_row rows[] = {
		{"read", .ring = {HEADER, {AT_DATA, 512, WRITE | NEXT, 2}, {AT_STATUS, 4, WRITE}}, .type = IN,
		 IOERR(0), .check = check_untouched},
		{"write", .ring = {HEADER, DATA, {AT_STATUS, 4, WRITE}}, .type = OUT, OK(0),
		 CHANGES(HOSTILE_SECTOR, 1), .check = check_written},
		{"flush", .ring = {HEADER, {AT_STATUS, 64, WRITE}}, .type = VIRTIO_BLK_T_FLUSH, OK(0)},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_data_not_in_sectors_is_an_io_error(void **state)
{
	static const struct hostile_row rows[] = {
		{"read 1", .ring = GET(1), .type = IN, IOERR(0), .check = check_untouched},
		{"read 511", .ring = GET(511), .type = IN, IOERR(0), .check = check_untouched},
		{"read 513", .ring = GET(513), .type = IN, IOERR(0), .check = check_untouched},
		{"write 1", .ring = PUT(1), .type = OUT, IOERR(1)},
		{"write 511", .ring = PUT(511), .type = OUT, IOERR(1)},
		{"write 513", .ring = PUT(513), .type = OUT, IOERR(1)},
	};
	(void)state;
	RUN_ALL(rows);
}

/* blk_size is advice: sectors are the unit. */
static void test_sectors_within_a_block_work(void **state)
{
	static const struct hostile_row rows[] = {
		{"read", .ring = GET(512), .type = IN, OK(513), .check = check_read,
		 .setting = "media.block_bytes=4096"},
		{"write", .ring = PUT(512), .type = OUT, OK(1), .sector = 101, CHANGES(101, 1),
		 .check = check_written, .setting = "media.block_bytes=4096"},
		{"write across", .ring = PUT(1024), .type = OUT, OK(1), .sector = 103, CHANGES(103, 2),
		 .check = check_written, .setting = "media.block_bytes=4096"},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_no_data_is_no_error(void **state)
{
	static const struct hostile_row rows[] = {
		{"read", .ring = BARE, .type = IN, OK(1)},
		{"write", .ring = BARE, .type = OUT, OK(1)},
		{"read at the very end", .ring = BARE, .type = IN, .sector = HOSTILE_DISK_SECTORS, OK(1)},
		{"read behind the end", .ring = BARE, .type = IN, .sector = HOSTILE_DISK_SECTORS + 1,
		 IOERR(1)},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_request_behind_the_end_is_an_io_error(void **state)
{
	static const struct hostile_row rows[] = {
		{"read", .ring = GET(512), .type = IN, .sector = HOSTILE_DISK_SECTORS, IOERR(0),
		 .check = check_untouched},
		{"write", .ring = PUT(512), .type = OUT, .sector = HOSTILE_DISK_SECTORS, IOERR(1)},
		{"write far behind", .ring = PUT(512), .type = OUT, .sector = BIT(40), IOERR(1)},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_request_across_the_end_is_an_io_error(void **state)
{
	static const struct hostile_row rows[] = {
		{"read", .ring = GET(1024), .type = IN, .sector = HOSTILE_DISK_SECTORS - 1, IOERR(0),
		 .check = check_untouched},
		{"write", .ring = PUT(1024), .type = OUT, .sector = HOSTILE_DISK_SECTORS - 1, IOERR(1)},
		{"write up to the end", .ring = PUT(1024), .type = OUT, .sector = HOSTILE_DISK_SECTORS - 2,
		 OK(1), CHANGES(HOSTILE_DISK_SECTORS - 2, 2), .check = check_written},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_wrapping_sector_is_an_io_error(void **state)
{
	static const struct hostile_row rows[] = {
		{"sectors wrap", .ring = PUT(1024), .type = OUT, .sector = UINT64_MAX, IOERR(1)},
		{"bytes wrap to sector 0", .ring = PUT(512), .type = OUT, .sector = BIT(55), IOERR(1)},
		{"bytes wrap to sector 100", .ring = PUT(512), .type = OUT, .sector = BIT(55) + 100,
		 IOERR(1)},
		{"read", .ring = GET(1024), .type = IN, .sector = UINT64_MAX - 1, IOERR(0),
		 .check = check_untouched},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_superfluous_parts_are_ignored(void **state)
{
	static const struct hostile_row rows[] = {
		{"readable bytes in a read",
		 .ring = {HEADER, {AT_TABLE, 100, NEXT, 2}, {AT_DATA, 512, WRITE | NEXT, 3}, STATUS},
		 .type = IN, OK(513), .check = check_read},
		{"writable bytes in a write",
		 .ring = {HEADER, DATA, {AT_STATUS, 32, WRITE | NEXT, 3}, {AT_STATUS, 1, WRITE, 0, 32}},
		 .type = OUT, OK(0), CHANGES(HOSTILE_SECTOR, 1), .check = check_written},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_segment_limits_are_advice(void **state)
{
	static const struct hostile_row rows[] = {
		{"more segments than seg_max",
		 .ring = {HEADER,
			  {AT_DATA, 512, WRITE | NEXT, 2},
			  {AT_DATA, 512, WRITE | NEXT, 3, 512},
			  {AT_DATA, 512, WRITE | NEXT, 4, 1024},
			  STATUS},
		 .type = IN, OK(1537), .check = check_read, .setting = "device.seg_max=2"},
		{"a segment above size_max", .ring = GET(2048), .type = IN, OK(2049), .check = check_read,
		 .setting = "device.size_max=1024"},
	};
	(void)state;
	RUN_ALL(rows);
}

/* ---- types ---- */

static void run_types(const uint32_t *types, unsigned count, uint64_t without)
{
	for (unsigned i = 0; i < count; i++) {
		const struct hostile_row rows[] = {
			{"bare", .ring = BARE, .type = types[i], .without = without, UNSUPP(1)},
			{"with data to write", .ring = PUT(512), .type = types[i], .without = without,
			 UNSUPP(1)},
			{"with data to read", .ring = GET(512), .type = types[i], .without = without,
			 UNSUPP(0), .check = check_untouched},
		};
		printf("type %#x\n", types[i]);
		RUN_ALL(rows);
	}
}

static void test_unknown_type_is_unsupported(void **state)
{
	static const uint32_t types[] = {6, 7, 9, 12, 17, 0xffff, 0x100, 0x10001};
	(void)state;
	run_types(types, ARRAY_SIZE(types), 0);
}

static void test_barrier_bit_is_unsupported(void **state)
{
	static const uint32_t types[] = {UINT32_C(1) << 31, UINT32_C(1) << 31 | OUT};
	(void)state;
	run_types(types, ARRAY_SIZE(types), 0);
}

static void test_legacy_types_are_unsupported(void **state)
{
	static const uint32_t types[] = {2, 3, 5};
	(void)state;
	run_types(types, ARRAY_SIZE(types), 0);
}

static void test_types_not_negotiated_are_unsupported(void **state)
{
	static const uint32_t discard = VIRTIO_BLK_T_DISCARD, zeroes = VIRTIO_BLK_T_WRITE_ZEROES;
	(void)state;
	run_types(&discard, 1, BIT(VIRTIO_BLK_F_DISCARD));
	run_types(&zeroes, 1, BIT(VIRTIO_BLK_F_WRITE_ZEROES));
}

static void test_types_not_offered_are_unsupported(void **state)
{
	static const uint32_t types[] = {10 /* GET_LIFETIME */, VIRTIO_BLK_T_SECURE_ERASE};
	(void)state;
	run_types(types, ARRAY_SIZE(types), 0);
}

static void test_zone_types_are_unsupported(void **state)
{
	static const uint32_t types[] = {15, 16, 18, 20, 22, 24, 26};
	(void)state;
	run_types(types, ARRAY_SIZE(types), 0);
}

static void test_flush_without_negotiation_is_executed(void **state)
{
	static const struct hostile_row rows[] = {
		{"flush", .ring = BARE, .type = VIRTIO_BLK_T_FLUSH, .without = BIT(VIRTIO_BLK_F_FLUSH),
		 OK(1)},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_reserved_word_is_ignored(void **state)
{
	static const struct hostile_row rows[] = {
		{"read", .ring = GET(512), .type = IN, .ioprio = UINT32_MAX, OK(513), .check = check_read},
		{"write", .ring = PUT(512), .type = OUT, .ioprio = 0x80000001, OK(1),
		 CHANGES(HOSTILE_SECTOR, 1), .check = check_written},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_flush_with_sector_or_data_is_a_flush(void **state)
{
	static const struct hostile_row rows[] = {
		{"a sector", .ring = BARE, .type = VIRTIO_BLK_T_FLUSH, OK(1)},
		{"a sector behind the end", .ring = BARE, .type = VIRTIO_BLK_T_FLUSH, .sector = UINT64_MAX,
		 OK(1)},
		{"data to write", .ring = PUT(512), .type = VIRTIO_BLK_T_FLUSH, OK(1)},
		{"data to read", .ring = GET(512), .type = VIRTIO_BLK_T_FLUSH, OK(0),
		 .check = check_untouched},
	};
	(void)state;
	RUN_ALL(rows);
}

/* The string, as far as there is room, and nothing behind it. */
static void check_id(struct hostile *h)
{
	static const char serial[20] = "kickstand-0000000001"; /* sim.seed=1 */
	uint32_t room = h->row->ring[1].at == AT_DATA ? h->row->ring[1].bytes : 0;
	for (uint32_t i = 0; i < HOSTILE_DATA_BYTES; i++)
		CHECK_EQUAL(h->data[i],
			    i < room && i < sizeof(serial) ? (uint8_t)serial[i] : HOSTILE_PATTERN);
}

static void test_id_goes_as_far_as_there_is_room(void **state)
{
	static const struct hostile_row rows[] = {
		{"no room", .ring = BARE, .type = VIRTIO_BLK_T_GET_ID, OK(1), .check = check_id},
		{"1 byte", .ring = GET(1), .type = VIRTIO_BLK_T_GET_ID, OK(2), .check = check_id},
		{"19 bytes", .ring = GET(19), .type = VIRTIO_BLK_T_GET_ID, OK(20), .check = check_id},
		{"20 bytes", .ring = GET(20), .type = VIRTIO_BLK_T_GET_ID, OK(21), .check = check_id},
		{"21 bytes", .ring = GET(21), .type = VIRTIO_BLK_T_GET_ID, OK(20), .check = check_id},
		{"a page", .ring = GET(4096), .type = VIRTIO_BLK_T_GET_ID, OK(20), .check = check_id},
	};
	(void)state;
	RUN_ALL(rows);
}

/* ---- read-only devices ---- */

static void test_write_to_read_only_device_is_an_io_error(void **state)
{
	static const struct hostile_row rows[] = {
		{"offered and accepted", .ring = PUT(512), .type = OUT, IOERR(1),
		 .setting = "device.read_only=on"},
		{"offered, not accepted", .ring = PUT(512), .type = OUT, IOERR(1),
		 .setting = "device.read_only=on", .without = BIT(VIRTIO_BLK_F_RO)},
		{"a read", .ring = GET(512), .type = IN, OK(513), .check = check_read,
		 .setting = "device.read_only=on"},
	};
	(void)state;
	RUN_ALL(rows);
}

/* ---- requests among each other ---- */

#define WRITES        12u
#define WRITE_SECTORS 16u

/* Writes in flight together, of overlapping ranges, in both queues. Each sector holds what one of those that cover it has
 * brought; the neighbours hold what they did. */
static void overlapping_writes(struct machine *m)
{
	struct blk_request request[WRITES];
	uint8_t *disk = machine_disk(m);
	machine_probe(m);
	for (unsigned i = 0; i < WRITES; i++) {
		request[i] = (struct blk_request){
			.type = OUT, .sector = HOSTILE_SECTOR + i, .data_bytes = WRITE_SECTORS * 512};
		memset(machine_guarded(m, WRITE_SECTORS * 512, DMA_TO_DEVICE, &request[i].data_addr),
		       0x80 + (int)i, WRITE_SECTORS * 512);
		CHECK_EQUAL(blk_submit(&m->blk, &m->blk.queue[i % 2], &request[i]), 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		blk_publish(&m->blk.queue[i]);
		machine_kick(m, i);
		CHECK(machine_wait_used(m, i, WRITES / 2, 10000));
		for (unsigned j = 0; j < WRITES / 2; j++)
			CHECK_EQUAL(blk_take(&m->blk.queue[i])->status, VIRTIO_BLK_S_OK);
	}
	uint8_t *now = machine_disk(m);
	for (unsigned sector = 0; sector < WRITES + WRITE_SECTORS - 1; sector++) {
		const uint8_t *data = now + (size_t)(HOSTILE_SECTOR + sector) * 512;
		unsigned writer = data[0] - 0x80u;
		CHECK(writer < WRITES && writer <= sector && sector < writer + WRITE_SECTORS);
		for (unsigned i = 1; i < 512; i++)
			CHECK_EQUAL(data[i], data[0]);
	}
	machine_check_disk(m, disk, HOSTILE_SECTOR, WRITES + WRITE_SECTORS - 1);
	machine_check_alive(m);
	free(now);
	free(disk);
}

static void test_overlapping_writes_leave_one_of_them(void **state)
{
	static const struct machine_options options = {.disk = HOSTILE_DISK};
	(void)state;
	machine_run_levels(overlapping_writes, &options, "device.queues=2", "host.vcpus=1", "media.jitter=90",
			   NULL);
}

/* The capacity shrinks below a request in flight and comes back. */
static void shrinking(struct machine *m)
{
	enum { FEW = HOSTILE_DISK_SECTORS / 2 };
	struct machine_piece pieces[3];
	uint32_t id, len;
	machine_probe(m);
	struct machine_buffers buffers = machine_buffers(m, IN, HOSTILE_DISK_SECTORS - 8, 4096);
	machine_chain(m, 0, 0, pieces, hostile_read_pieces(&buffers, pieces, 3));
	machine_offer(m, 0, 0);
	machine_wait_us(m, 20);
	CHECK(device_resize(m->guest.device, FEW));
	CHECK(machine_wait_used(m, 0, 1, 1000));
	machine_used_element(m, 0, 0, &id, &len);
	CHECK(*buffers.status == VIRTIO_BLK_S_OK || *buffers.status == VIRTIO_BLK_S_IOERR);
	CHECK_EQUAL(len, *buffers.status == VIRTIO_BLK_S_OK ? 4097 : 0);
	/* Now that the driver knows, there is nothing there. */
	CHECK(blk_config_changed(&m->blk));
	CHECK_EQUAL(m->blk.capacity_sectors, FEW);
	*buffers.status = 0xff;
	machine_offer(m, 0, 0);
	CHECK(machine_wait_used(m, 0, 2, 1000));
	CHECK_EQUAL(*buffers.status, VIRTIO_BLK_S_IOERR);
	CHECK(device_resize(m->guest.device, HOSTILE_DISK_SECTORS));
	machine_wait_us(m, 10);
	*buffers.status = 0xff;
	machine_offer(m, 0, 0);
	CHECK(machine_wait_used(m, 0, 3, 1000));
	CHECK_EQUAL(*buffers.status, VIRTIO_BLK_S_OK);
	machine_expect_no_harm(m);
}

static void test_capacity_shrinks_below_a_request_in_flight(void **state)
{
	static const struct machine_options options = {.disk = HOSTILE_DISK};
	(void)state;
	machine_run_levels(shrinking, &options, "media.read_ns=100000", "device.queues=2", "host.vcpus=1",
			   NULL);
}

/* ---- buffers where they should not be ---- */

enum alias { ALIAS_TABLE, ALIAS_AVAIL, ALIAS_USED, ALIAS_HEADER, ALIAS_STATUS, ALIAS_COUNT };

/* A read whose data goes over a part of the ring, its own header or its status byte. The driver has itself to blame for
 * what the ring holds then; everything else stays whole, and a reset is enough. */
static void aliasing(struct machine *m)
{
	const enum alias *alias = m->arg;
	uint8_t *disk = machine_disk(m);
	machine_probe(m);
	const struct virtqueue *vq = &m->blk.queue[0].vq;
	struct machine_buffers buffers = machine_buffers(m, IN, HOSTILE_SECTOR, 512);
	uint64_t headers;
	uint8_t *header = machine_guarded(m, 512, DMA_BOTH, &headers);
	memcpy(header, buffers.header, 16);
	root_allow(m->guest.root, vq->desc_addr, 16u * vq->size, ROOT_READ | ROOT_WRITE);
	root_allow(m->guest.root, vq->avail_addr, 6 + 2u * vq->size, ROOT_READ | ROOT_WRITE);
	const struct machine_piece targets[ALIAS_COUNT] = {
		[ALIAS_TABLE] = {vq->desc_addr, 512, WRITE},
		[ALIAS_AVAIL] = {vq->avail_addr, 6 + 2u * vq->size, WRITE},
		[ALIAS_USED] = {vq->used_addr, 512, WRITE},
		[ALIAS_HEADER] = {headers, 512, WRITE},
		[ALIAS_STATUS] = {headers, 512, WRITE},
	};
	struct machine_piece pieces[] = {{headers, 16, 0},
					 targets[*alias],
					 {buffers.data_addr, 512 - targets[*alias].bytes, WRITE},
					 {buffers.status_addr, 1, WRITE}};
	bool whole = targets[*alias].bytes == 512;
	if (whole)
		pieces[2] = pieces[3];
	if (*alias == ALIAS_STATUS)
		pieces[2].addr = headers + 100;
	machine_chain(m, 0, 0, pieces, whole ? 3 : 4);
	for (unsigned i = 0; i < 4; i++) {
		machine_kick(m, 0);
		machine_wait_us(m, 100);
		if (i == 0)
			machine_offer(m, 0, 0);
	}
	machine_check_disk(m, disk, 0, 0);
	machine_check_guards(m);
	CHECK(root_stats(m->guest.root)->interrupts < 8);
	if (!(virtio_status(&m->blk.virtio) & VIRTIO_CONFIG_S_NEEDS_RESET))
		machine_check_queue(m, 1);
	machine_restart(m);
	machine_check_alive(m);
	free(disk);
}

static void test_data_over_the_ring_harms_only_the_ring(void **state)
{
	static const enum alias aliases[] = {ALIAS_TABLE, ALIAS_AVAIL, ALIAS_USED, ALIAS_HEADER,
					     ALIAS_STATUS};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(aliases); i++) {
		/* What the disk holds makes chains with senseless addresses. */
		const struct machine_options options = {
			.arg = &aliases[i], .disk = HOSTILE_DISK, .violations = 100};
		machine_run_levels(aliasing, &options, "device.queues=2", "host.vcpus=1", NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_chain_without_status_needs_reset, "V-086"),
		REQ_TEST(test_short_header_needs_reset, "V-087"),
		REQ_TEST(test_status_of_several_bytes_counts_as_data, "V-091"),
		REQ_TEST(test_data_not_in_sectors_is_an_io_error, "V-093"),
		REQ_TEST(test_sectors_within_a_block_work, "V-094"),
		REQ_TEST(test_no_data_is_no_error, "V-095"),
		REQ_TEST(test_request_behind_the_end_is_an_io_error, "V-096"),
		REQ_TEST(test_request_across_the_end_is_an_io_error, "V-097"),
		REQ_TEST(test_wrapping_sector_is_an_io_error, "V-098"),
		REQ_TEST(test_capacity_shrinks_below_a_request_in_flight, "V-099"),
		REQ_TEST(test_write_to_read_only_device_is_an_io_error, "V-100 D-151"),
		REQ_TEST(test_superfluous_parts_are_ignored, "V-102 V-103"),
		REQ_TEST(test_segment_limits_are_advice, "V-104"),
		REQ_TEST(test_unknown_type_is_unsupported, "V-105 D-167"),
		REQ_TEST(test_barrier_bit_is_unsupported, "V-106"),
		REQ_TEST(test_legacy_types_are_unsupported, "V-107"),
		REQ_TEST(test_flush_without_negotiation_is_executed, "V-108"),
		REQ_TEST(test_types_not_negotiated_are_unsupported, "V-109"),
		REQ_TEST(test_types_not_offered_are_unsupported, "V-110"),
		REQ_TEST(test_zone_types_are_unsupported, "V-111 D-166"),
		REQ_TEST(test_reserved_word_is_ignored, "V-112"),
		REQ_TEST(test_flush_with_sector_or_data_is_a_flush, "V-113"),
		REQ_TEST(test_id_goes_as_far_as_there_is_room, "V-114 D-168"),
		REQ_TEST(test_overlapping_writes_leave_one_of_them, "V-125"),
		REQ_TEST(test_data_over_the_ring_harms_only_the_ring, "V-126"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
