/* Descriptor chains that break the rules (guide section 6.1, V-001..V-020), against the whole card: the prescribed answer
 * at both offload levels, nothing touched that was not offered, then reset and work. */
#include "tests/e2e/hostile.h"

#define SIZE         MACHINE_QUEUE_SIZE
#define SEGMENTS_MAX 128u /* docs/virtio-choices.md */
#define WINDOW       4u   /* descriptors of the queue's table in one read */

/* ---- chains ---- */

static void test_head_out_of_range_needs_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"head is the queue size", .head = SIZE, .type = OUT},
		{"head is 0xffff", .head = 0xffff, .type = OUT},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_next_out_of_range_needs_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"first next", .ring = {{AT_HEADER, 16, NEXT, SIZE}, DATA, STATUS}, .type = OUT},
		{"last next", .ring = {HEADER, DATA, {AT_STATUS, 1, WRITE | NEXT, 0xffff}}, .type = OUT},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_next_out_of_table_needs_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"one past a table of three, where memory goes on", .ring = TABLE(48),
		 .table = {HEADER, {AT_DATA, 512, NEXT, 3}, STATUS, STATUS}, .type = OUT},
		{"far past it", .ring = TABLE(48), .table = {{AT_HEADER, 16, NEXT, 0xffff}, DATA, STATUS},
		 .type = OUT},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_loop_needs_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"a descriptor that follows itself", .ring = {{AT_HEADER, 16, NEXT, 0}}, .type = OUT},
		{"two that follow each other", .ring = {HEADER, {AT_DATA, 512, NEXT, 0}}, .type = OUT},
		{"a loop behind a good beginning", .ring = {HEADER, DATA, {AT_DATA, 512, NEXT, 3}, DATA},
		 .type = OUT},
		{"a loop of writable ones", .ring = {HEADER, {AT_DATA, 512, NEXT | WRITE, 1}}, .type = IN},
		{"in a table", .ring = TABLE(48), .table = {HEADER, DATA, {AT_DATA, 512, NEXT, 1}},
		 .type = OUT},
	};
	(void)state;
	RUN_ALL(rows);
}

/* ---- how long a chain may be ---- */

struct table_reads {
	uint64_t first, end; /* the table */
	unsigned descriptors;
};

static void count_table_reads(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct table_reads *reads = ctx;
	struct tlp tlp;
	(void)at_ps;
	if (from_card && tlp_decode(&tlp, wire, size) == TLP_OK && tlp.type == TLP_MRD &&
	    tlp.addr >= reads->first && tlp.addr < reads->end)
		reads->descriptors += tlp.length_dw * 4u / 16;
}

/* A loop whose members are far apart, so that each is a read of its own. */
static void wide_loop(struct machine *m)
{
	struct machine_buffers buffers;
	struct table_reads reads = {0};
	machine_probe(m);
	const struct virtqueue *vq = &m->blk.queue[0].vq;
	reads.first = vq->desc_addr;
	reads.end = vq->desc_addr + 16u * SIZE;
	buffers = machine_buffers(m, OUT, HOSTILE_SECTOR, 512);
	machine_desc(m, 0, 0, buffers.header_addr, 16, NEXT, SIZE / 2);
	machine_desc(m, 0, SIZE / 2, buffers.data_addr, 512, NEXT, 0);
	root_tap(m->guest.root, count_table_reads, &reads);
	machine_offer(m, 0, 0);
	machine_expect_stopped(m);
	root_tap(m->guest.root, NULL, NULL);
	CHECK(reads.descriptors >= 2);
	CHECK(reads.descriptors <= SIZE * WINDOW); /* SIZE reads */
	machine_restart(m);
	machine_check_alive(m);
}

static void test_wide_loop_is_given_up_after_queue_size_reads(void **state)
{
	(void)state;
	machine_run_levels(wide_loop, NULL, NULL);
}

static void long_table(struct machine *m)
{
	const unsigned *count = m->arg;
	struct machine_piece pieces[SEGMENTS_MAX + 1];
	uint8_t *disk = machine_disk(m);
	machine_probe(m);
	struct machine_buffers buffers = machine_buffers(m, IN, HOSTILE_SECTOR, 4096);
	uint64_t table = machine_table(m, pieces, hostile_read_pieces(&buffers, pieces, *count));
	machine_desc(m, 0, 5, table, *count * 16, INDIRECT, 0);
	machine_offer(m, 0, 5);
	if (*count <= SEGMENTS_MAX) {
		CHECK(machine_wait_used(m, 0, 1, 1000));
		CHECK_EQUAL(*buffers.status, VIRTIO_BLK_S_OK);
		CHECK(memcmp(buffers.data, disk + HOSTILE_SECTOR * 512, 4096) == 0);
		machine_expect_no_harm(m);
	} else {
		machine_expect_needs_reset(m);
		CHECK_EQUAL(*buffers.status, 0xff);
	}
	free(disk);
}

static void test_table_longer_than_queue_works_up_to_the_limit(void **state)
{
	static const unsigned counts[] = {SIZE, SIZE + 1, SEGMENTS_MAX, SEGMENTS_MAX + 1};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		const struct machine_options options = {.arg = &counts[i], .disk = HOSTILE_DISK};
		machine_run_levels(long_table, &options, "guest.indirect=on", NULL);
	}
}

/* All descriptors of the queue in one chain; with `more`, the last one goes on where the chain has been. */
static void whole_queue(struct machine *m)
{
	const bool *more = m->arg;
	struct machine_piece pieces[SIZE];
	uint8_t *disk = machine_disk(m);
	machine_probe(m);
	struct machine_buffers buffers = machine_buffers(m, IN, HOSTILE_SECTOR, 4096);
	machine_chain(m, 0, 0, pieces, hostile_read_pieces(&buffers, pieces, SIZE));
	if (*more)
		machine_desc(m, 0, SIZE - 1, buffers.status_addr, 1, WRITE | NEXT, 1);
	machine_offer(m, 0, 0);
	if (*more) {
		machine_expect_needs_reset(m);
		CHECK_EQUAL(*buffers.status, 0xff);
	} else {
		CHECK(machine_wait_used(m, 0, 1, 1000));
		CHECK_EQUAL(*buffers.status, VIRTIO_BLK_S_OK);
		CHECK(memcmp(buffers.data, disk + HOSTILE_SECTOR * 512, 4096) == 0);
		machine_expect_no_harm(m);
	}
	free(disk);
}

static void test_direct_chain_longer_than_queue_needs_reset(void **state)
{
	static const bool more[] = {false, true};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(more); i++) {
		const struct machine_options options = {.arg = &more[i], .disk = HOSTILE_DISK};
		machine_run_levels(whole_queue, &options, NULL);
	}
}

static void test_chain_of_more_than_4_gib_is_refused(void **state)
{
	enum { HALF = 0x80000000u };
	static const struct hostile_row rows[] = {
		{"2^32 and 16 bytes readable",
		 .ring = {HEADER, {AT_HOLE, HALF, NEXT, 2}, {AT_HOLE, HALF, NEXT, 3}, STATUS}, .type = OUT},
		{"2^32 + 1 bytes writable",
		 .ring = {HEADER, {AT_HOLE, HALF, NEXT | WRITE, 2}, {AT_HOLE, HALF, NEXT | WRITE, 3}, STATUS},
		 .type = IN},
		{"almost 2^32 bytes: no such range on the disk",
		 .ring = {HEADER, {AT_HOLE, HALF, NEXT, 2}, {AT_HOLE, HALF - 512, NEXT, 3}, STATUS},
		 .type = OUT, .completes = true, .status = VIRTIO_BLK_S_IOERR, .used_bytes = 1},
		{"2^32 - 1 bytes writable",
		 .ring = {HEADER, {AT_HOLE, UINT32_MAX - 1 - 17, NEXT | WRITE, 2}, STATUS}, .type = IN,
		 .completes = true, .status = VIRTIO_BLK_S_IOERR},
	};
	(void)state;
	RUN_ALL(rows);
}

/* ---- indirect tables ---- */

static void test_indirect_without_negotiation_needs_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"not accepted", .ring = TABLE(48), .table = GOOD, .type = OUT,
		 .setting = "guest.indirect=off"},
		{"not offered", .ring = TABLE(48), .table = GOOD, .type = OUT,
		 .setting = "virtio.indirect=off"},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_nested_indirect_needs_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"the only entry", .ring = TABLE(16), .table = {{AT_OTHER, 48, INDIRECT}}, .type = OUT},
		{"the last entry", .ring = TABLE(32), .table = {HEADER, {AT_OTHER, 48, INDIRECT}},
		 .type = OUT},
		{"a table that names itself", .ring = TABLE(16), .table = TABLE(16), .type = OUT},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_indirect_with_next_needs_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"at the head", .ring = {{AT_TABLE, 48, INDIRECT | NEXT, 1}}, .table = GOOD, .type = OUT},
		{"next out of range too", .ring = {{AT_TABLE, 48, INDIRECT | NEXT, 0xffff}}, .table = GOOD,
		 .type = OUT},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_descriptors_behind_indirect_need_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"header, table, status", .ring = {HEADER, {AT_TABLE, 32, INDIRECT | NEXT, 2}, STATUS},
		 .table = {{AT_DATA, 256, NEXT, 1}, {AT_DATA, 256}}, .type = OUT},
		{"table, status", .ring = {{AT_TABLE, 32, INDIRECT | NEXT, 1}, STATUS},
		 .table = {HEADER, {AT_DATA, 512}}, .type = OUT},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_indirect_of_no_bytes_needs_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"at the head", .ring = TABLE(0), .table = GOOD, .type = OUT},
		{"behind a header", .ring = {HEADER, {AT_TABLE, 0, INDIRECT}}, .table = GOOD, .type = OUT},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_indirect_of_odd_length_needs_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"15 bytes", .ring = TABLE(15), .table = GOOD, .type = OUT},
		{"47 bytes", .ring = TABLE(47), .table = GOOD, .type = OUT},
		{"49 bytes", .ring = TABLE(49), .table = GOOD, .type = OUT},
		{"2^32 - 1 bytes", .ring = TABLE(UINT32_MAX), .table = GOOD, .type = OUT},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_unreadable_table_needs_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"no memory there", .ring = {{AT_HOLE, 48, INDIRECT}}, .type = OUT},
		{"UR", .ring = TABLE(48), .table = GOOD, .type = OUT, .fault = ROOT_FAULT_UR,
		 .fault_at = AT_TABLE},
		{"CA", .ring = TABLE(48), .table = GOOD, .type = OUT, .fault = ROOT_FAULT_CA,
		 .fault_at = AT_TABLE},
		{"poisoned", .ring = TABLE(48), .table = GOOD, .type = OUT, .fault = ROOT_FAULT_POISON,
		 .fault_at = AT_TABLE},
		{"no completion", .ring = TABLE(48), .table = GOOD, .type = OUT, .fault = ROOT_FAULT_DROP,
		 .fault_at = AT_TABLE},
		{"the queue's own table", .ring = GOOD, .type = OUT, .fault = ROOT_FAULT_UR,
		 .fault_at = AT_RING},
	};
	(void)state;
	RUN_ALL(rows);
}

/* ---- buffers ---- */

static void test_readable_behind_writable_needs_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"status before data", .ring = {HEADER, {AT_STATUS, 1, WRITE | NEXT, 2}, {AT_DATA, 512}},
		 .type = OUT},
		{"data to write, more to read",
		 .ring = {HEADER, {AT_DATA, 512, WRITE | NEXT, 2}, {AT_DATA, 512, NEXT, 3, 512}, STATUS},
		 .type = IN},
		{"writable header", .ring = {{AT_HEADER, 16, WRITE | NEXT, 1}, DATA, STATUS}, .type = OUT},
		{"in a table", .ring = TABLE(48),
		 .table = {HEADER, {AT_STATUS, 1, WRITE | NEXT, 2}, {AT_DATA, 512}}, .type = OUT},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_empty_data_descriptor_needs_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"readable", .ring = {HEADER, {AT_DATA, 0, NEXT, 2}, STATUS}, .type = OUT},
		{"writable", .ring = {HEADER, {AT_DATA, 0, NEXT | WRITE, 2}, STATUS}, .type = IN},
		{"among others", .ring = {HEADER, DATA, {AT_DATA, 0, NEXT, 3}, STATUS}, .type = OUT},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_empty_header_or_status_needs_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"header", .ring = {{AT_HEADER, 0, NEXT, 1}, DATA, STATUS}, .type = OUT},
		{"part of the header",
		 .ring = {{AT_HEADER, 0, NEXT, 1}, {AT_HEADER, 16, NEXT, 2}, {AT_DATA, 512, NEXT, 3}, STATUS},
		 .type = OUT},
		{"status", .ring = {HEADER, DATA, {AT_STATUS, 0, WRITE}}, .type = OUT},
	};
	(void)state;
	RUN_ALL(rows);
}

#define FAILS .completes = true, .status = VIRTIO_BLK_S_IOERR, .used_bytes = 1

static void test_unreadable_buffer_is_an_io_error(void **state)
{
	static const struct hostile_row rows[] = {
		{"data: no memory there", .ring = {HEADER, {AT_HOLE, 512, NEXT, 2}, STATUS}, .type = OUT,
		 FAILS},
		{"the second half of the data", .ring = {HEADER, DATA, {AT_HOLE, 512, NEXT, 3}, STATUS},
		 .type = OUT, FAILS, .changed_sector = HOSTILE_SECTOR, .changed_sectors = 2},
		{"up to the end of the address space",
		 .ring = {HEADER, {AT_DATA, 256, NEXT, 2}, {AT_TOP, 256, NEXT, 3}, STATUS}, .type = OUT,
		 FAILS, .changed_sector = HOSTILE_SECTOR, .changed_sectors = 1},
		{"data: UR", .ring = GOOD, .type = OUT, .fault = ROOT_FAULT_UR, .fault_at = AT_DATA, FAILS},
		{"data: CA", .ring = GOOD, .type = OUT, .fault = ROOT_FAULT_CA, .fault_at = AT_DATA, FAILS},
		{"data: poisoned", .ring = GOOD, .type = OUT, .fault = ROOT_FAULT_POISON, .fault_at = AT_DATA,
		 FAILS},
		{"data: no completion", .ring = GOOD, .type = OUT, .fault = ROOT_FAULT_DROP,
		 .fault_at = AT_DATA, FAILS},
		{"header: no memory there", .ring = {{AT_HOLE, 16, NEXT, 1}, DATA, STATUS}, .type = OUT,
		 FAILS},
		{"header: UR", .ring = GOOD, .type = OUT, .fault = ROOT_FAULT_UR, .fault_at = AT_HEADER,
		 FAILS},
		{"header: poisoned", .ring = GOOD, .type = OUT, .fault = ROOT_FAULT_POISON,
		 .fault_at = AT_HEADER, FAILS},
		{"header: no completion", .ring = GOOD, .type = OUT, .fault = ROOT_FAULT_DROP,
		 .fault_at = AT_HEADER, FAILS},
		{"ranges of a discard", .ring = {HEADER, {AT_HOLE, 16, NEXT, 2}, STATUS},
		 .type = VIRTIO_BLK_T_DISCARD, FAILS},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_lost_writes_do_not_stop_the_device(void **state)
{
	static const struct hostile_row rows[] = {
		{"data: no memory there", .ring = {HEADER, {AT_HOLE, 512, NEXT | WRITE, 2}, STATUS},
		 .type = IN, .completes = true, .status = VIRTIO_BLK_S_OK, .used_bytes = 513},
		{"status: no memory there",
		 .ring = {HEADER, {AT_DATA, 512, NEXT | WRITE, 2}, {AT_HOLE, 1, WRITE}}, .type = IN,
		 .completes = true, .status = 0xff, .used_bytes = 513},
	};
	(void)state;
	RUN_ALL(rows);
}

static void test_wrapping_address_needs_reset(void **state)
{
	static const struct hostile_row rows[] = {
		{"readable", .ring = {HEADER, {AT_TOP, 512, NEXT, 2}, STATUS}, .type = OUT},
		{"writable", .ring = {HEADER, {AT_TOP, 512, NEXT | WRITE, 2}, STATUS}, .type = IN},
		{"header", .ring = {{AT_TOP, 16, NEXT, 1, 248}, DATA, STATUS}, .type = OUT},
		{"status", .ring = {HEADER, DATA, {AT_TOP, 2, WRITE, 0, 255}}, .type = OUT},
		{"table", .ring = {{AT_TOP, 48, INDIRECT, 0, 240}}, .type = OUT},
		{"2^32 - 1 bytes", .ring = {HEADER, {AT_TOP, UINT32_MAX - 64, NEXT, 2}, STATUS}, .type = OUT},
	};
	(void)state;
	RUN_ALL(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_head_out_of_range_needs_reset, "V-001 D-002 D-003"),
		REQ_TEST(test_next_out_of_range_needs_reset, "V-002"),
		REQ_TEST(test_next_out_of_table_needs_reset, "V-003"),
		REQ_TEST(test_loop_needs_reset, "V-004"),
		REQ_TEST(test_wide_loop_is_given_up_after_queue_size_reads, "V-004"),
		REQ_TEST(test_table_longer_than_queue_works_up_to_the_limit, "V-005 D-017"),
		REQ_TEST(test_direct_chain_longer_than_queue_needs_reset, "V-006"),
		REQ_TEST(test_chain_of_more_than_4_gib_is_refused, "V-007"),
		REQ_TEST(test_indirect_without_negotiation_needs_reset, "V-008"),
		REQ_TEST(test_nested_indirect_needs_reset, "V-009"),
		REQ_TEST(test_indirect_with_next_needs_reset, "V-010"),
		REQ_TEST(test_descriptors_behind_indirect_need_reset, "V-011"),
		REQ_TEST(test_indirect_of_no_bytes_needs_reset, "V-012"),
		REQ_TEST(test_indirect_of_odd_length_needs_reset, "V-013"),
		REQ_TEST(test_unreadable_table_needs_reset, "V-014"),
		REQ_TEST(test_readable_behind_writable_needs_reset, "V-015"),
		REQ_TEST(test_empty_data_descriptor_needs_reset, "V-016"),
		REQ_TEST(test_empty_header_or_status_needs_reset, "V-017"),
		REQ_TEST(test_unreadable_buffer_is_an_io_error, "V-018"),
		REQ_TEST(test_lost_writes_do_not_stop_the_device, "V-019"),
		REQ_TEST(test_wrapping_address_needs_reset, "V-020"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
