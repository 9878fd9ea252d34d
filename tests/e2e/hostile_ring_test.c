/* Split rings that break the rules (guide section 6.1, V-021..V-029, and rings that wrap, V-020), against the whole card:
 * the prescribed answer at both offload levels, nothing touched that was not offered, then reset and work. */
#include "tests/e2e/hostile.h"

#define SIZE MACHINE_QUEUE_SIZE
#define PAGE 4096u

/* ---- the available ring ---- */

static void some_io(struct machine *m, unsigned count)
{
	uint8_t data[512];
	for (unsigned i = 0; i < count; i++)
		CHECK_EQUAL(machine_request(m, 0, IN, i, data, sizeof(data), 1000), 0);
}

/* After `done` good requests avail.idx moves by `step`. */
struct index_jump {
	unsigned done;
	uint16_t step;
};

static void index_jump(struct machine *m)
{
	const struct index_jump *jump = m->arg;
	uint8_t *disk = machine_disk(m);
	machine_probe(m);
	some_io(m, jump->done);
	machine_set_avail_index(m, 0, (uint16_t)(jump->done + jump->step));
	machine_kick(m, 0);
	machine_expect_stopped(m);
	CHECK_EQUAL(machine_used_index(m, 0), jump->done);
	machine_check_disk(m, disk, 0, 0);
	machine_restart(m);
	machine_check_alive(m);
	free(disk);
}

static void run_jumps(const struct index_jump *jumps, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct machine_options options = {.arg = &jumps[i], .disk = HOSTILE_DISK};
		machine_run_levels(index_jump, &options, "device.queues=2", "host.vcpus=1", NULL);
	}
}

static void test_index_too_far_ahead_needs_reset(void **state)
{
	static const struct index_jump jumps[] = {{0, SIZE + 1}, {0, 0x8000}, {3, SIZE + 1}, {70, 0x7fff}};
	(void)state;
	run_jumps(jumps, ARRAY_SIZE(jumps));
}

static void test_index_moved_back_needs_reset(void **state)
{
	static const struct index_jump jumps[] = {{0, 0xffff}, {1, 0xffff}, {70, (uint16_t)-70}};
	(void)state;
	run_jumps(jumps, ARRAY_SIZE(jumps));
}

/* As far ahead as is allowed: every descriptor is the head of a chain in a table. */
static void full_ring(struct machine *m)
{
	uint8_t *disk = machine_disk(m);
	struct machine_buffers buffers[SIZE];
	machine_probe(m);
	for (unsigned i = 0; i < SIZE; i++) {
		struct machine_piece pieces[3];
		buffers[i] = machine_buffers(m, IN, i, 512);
		uint64_t table = machine_table(m, pieces, hostile_read_pieces(&buffers[i], pieces, 3));
		machine_desc(m, 0, (uint16_t)i, table, 48, INDIRECT, 0);
		store_le16(m->blk.queue[0].vq.avail + 4 + 2 * (size_t)i, (uint16_t)(SIZE - 1 - i));
	}
	machine_set_avail_index(m, 0, SIZE);
	machine_kick(m, 0);
	CHECK(machine_wait_used(m, 0, SIZE, 10000));
	for (unsigned i = 0; i < SIZE; i++) {
		CHECK_EQUAL(*buffers[i].status, VIRTIO_BLK_S_OK);
		CHECK(memcmp(buffers[i].data, disk + (size_t)i * 512, 512) == 0);
	}
	machine_expect_no_harm(m);
	free(disk);
}

static void test_index_one_queue_size_ahead_works(void **state)
{
	static const struct machine_options options = {.disk = HOSTILE_DISK};
	(void)state;
	machine_run_levels(full_ring, &options, "guest.indirect=on", NULL);
}

/* The same head in several ring entries of one batch. Each is a request; all end. */
static void same_head(struct machine *m)
{
	enum { TIMES = 5 };
	uint8_t *disk = machine_disk(m);
	struct machine_piece pieces[3];
	uint32_t id, len;
	machine_probe(m);
	struct machine_buffers buffers = machine_buffers(m, IN, HOSTILE_SECTOR, 512);
	machine_chain(m, 0, 7, pieces, hostile_read_pieces(&buffers, pieces, 3));
	for (unsigned i = 0; i < TIMES; i++)
		store_le16(m->blk.queue[0].vq.avail + 4 + 2 * (size_t)i, 7);
	machine_set_avail_index(m, 0, TIMES);
	machine_kick(m, 0);
	CHECK(machine_wait_used(m, 0, TIMES, 1000));
	for (uint16_t i = 0; i < TIMES; i++) {
		machine_used_element(m, 0, i, &id, &len);
		CHECK_EQUAL(id, 7);
		CHECK_EQUAL(len, 513);
	}
	CHECK_EQUAL(*buffers.status, VIRTIO_BLK_S_OK);
	CHECK(memcmp(buffers.data, disk + HOSTILE_SECTOR * 512, 512) == 0);
	machine_expect_no_harm(m);
	free(disk);
}

static void test_same_head_twice_completes_twice(void **state)
{
	static const struct machine_options options = {.disk = HOSTILE_DISK};
	(void)state;
	machine_run_levels(same_head, &options, "device.queues=2", "host.vcpus=1", NULL);
}

/* ---- a driver that changes its mind ---- */

/* Sees every read of the watched memory; once its data is on its way, the memory is overwritten. */
struct scribbler {
	struct watched {
		uint64_t addr, bytes;
		uint8_t *data;
		unsigned reads;
		uint16_t tag;
	} watched[3];
	unsigned count;
};

static void scribble(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct scribbler *scribbler = ctx;
	struct tlp tlp;
	(void)at_ps;
	if (tlp_decode(&tlp, wire, size) != TLP_OK)
		return;
	for (unsigned i = 0; i < scribbler->count; i++) {
		struct watched *watched = &scribbler->watched[i];
		if (from_card && tlp.type == TLP_MRD && tlp.addr < watched->addr + watched->bytes &&
		    tlp.addr + tlp.length_dw * 4u > watched->addr) {
			watched->reads++;
			watched->tag = tlp.tag;
		} else if (!from_card && tlp.type == TLP_CPLD && watched->reads == 1 &&
			   tlp.tag == watched->tag) {
			memset(watched->data, 0xff, watched->bytes);
		}
	}
}

static void watch(struct scribbler *scribbler, uint8_t *data, uint64_t addr, uint64_t bytes)
{
	scribbler->watched[scribbler->count++] = (struct watched){.addr = addr, .bytes = bytes, .data = data};
}

static void rewritten(struct machine *m)
{
	const bool *indirect = m->arg;
	struct scribbler scribbler = {.count = 0};
	uint8_t *disk = machine_disk(m), *expected = machine_disk(m);
	machine_probe(m);
	const struct virtqueue *vq = &m->blk.queue[0].vq;
	struct machine_buffers buffers = machine_buffers(m, OUT, HOSTILE_SECTOR, 512);
	const struct machine_piece pieces[] = {
		{buffers.header_addr, 16, 0}, {buffers.data_addr, 512, 0}, {buffers.status_addr, 1, WRITE}};
	memset(buffers.data, 0x77, 512);
	memset(expected + HOSTILE_SECTOR * 512, 0x77, 512);
	watch(&scribbler, buffers.header, buffers.header_addr, 16);
	if (*indirect) {
		uint64_t table = machine_table(m, pieces, 3);
		machine_desc(m, 0, 0, table, 48, INDIRECT, 0);
		watch(&scribbler, memory_at(&m->guest.memory, table, 48), table, 48);
	} else {
		machine_chain(m, 0, 0, pieces, 3);
	}
	watch(&scribbler, (uint8_t *)vq->desc, vq->desc_addr, 48);
	root_tap(m->guest.root, scribble, &scribbler);
	machine_offer(m, 0, 0);
	CHECK(machine_wait_used(m, 0, 1, 1000));
	root_tap(m->guest.root, NULL, NULL);
	for (unsigned i = 0; i < scribbler.count; i++)
		CHECK_EQUAL(scribbler.watched[i].reads, 1);
	CHECK_EQUAL(*buffers.status, VIRTIO_BLK_S_OK);
	machine_check_disk(m, expected, 0, 0);
	machine_expect_no_harm(m);
	free(disk);
	free(expected);
}

static void test_descriptors_and_header_are_read_once(void **state)
{
	static const bool indirect[] = {false, true};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(indirect); i++) {
		const struct machine_options options = {.arg = &indirect[i], .disk = HOSTILE_DISK};
		machine_run_levels(rewritten, &options, "device.queues=2", "host.vcpus=1",
				   "guest.indirect=on", NULL);
	}
}

/* ---- wishes that make no sense ---- */

static void one_read(struct machine *m, uint16_t head)
{
	struct machine_piece pieces[3];
	uint16_t used = machine_used_index(m, 0);
	struct machine_buffers buffers = machine_buffers(m, IN, HOSTILE_SECTOR, 512);
	machine_chain(m, 0, head, pieces, hostile_read_pieces(&buffers, pieces, 3));
	machine_offer(m, 0, head);
	CHECK(machine_wait_used(m, 0, (uint16_t)(used + 1), 1000));
	CHECK_EQUAL(*buffers.status, VIRTIO_BLK_S_OK);
	machine_wait_us(m, 20);
}

/* used_event, with EVENT_IDX, says which element is worth an interrupt; anything else is not. avail.flags is full of bits
 * that mean nothing with EVENT_IDX. */
static void garbage_used_event(struct machine *m)
{
	static const struct {
		uint16_t event;
		bool interrupt;
	} steps[] = {{0xdead, false}, {0x8002, false}, {2, true}, {0, false},
		     {3, false},      {0xffff, false}, {6, true}};
	machine_probe(m);
	struct virtqueue *vq = &m->blk.queue[0].vq;
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		store_le16(vq->avail, 0xffff);
		store_le16(vq->avail + 4 + 2 * (size_t)vq->size, steps[i].event);
		one_read(m, 0);
		CHECK_EQUAL(machine_took_interrupt(m, m->blk.queue[0].vector), steps[i].interrupt);
	}
	machine_expect_no_harm(m);
}

/* Without EVENT_IDX only bit 0 of avail.flags counts, and used_event is not looked at. */
static void garbage_flags(struct machine *m)
{
	static const struct {
		uint16_t flags;
		bool interrupt;
	} steps[] = {{0xfffe, true}, {0xffff, false}, {0x8001, false}, {2, true}, {0, true}, {1, false}};
	machine_probe(m);
	struct virtqueue *vq = &m->blk.queue[0].vq;
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		store_le16(vq->avail, steps[i].flags);
		store_le16(vq->avail + 4 + 2 * (size_t)vq->size, 0xdead);
		one_read(m, 0);
		CHECK_EQUAL(machine_took_interrupt(m, m->blk.queue[0].vector), steps[i].interrupt);
	}
	machine_expect_no_harm(m);
}

static void test_garbage_wishes_only_choose_interrupts(void **state)
{
	(void)state;
	machine_run_levels(garbage_used_event, NULL, "device.queues=2", "host.vcpus=1", NULL);
	machine_run_levels(garbage_flags, NULL, "device.queues=2", "host.vcpus=1", "guest.event_idx=off",
			   NULL);
}

/* ---- where rings may be ---- */

/* Sets queue 0 up with other addresses than its own; queue 1 as usual. */
static void set_up_rings(struct machine *m, uint64_t desc, uint64_t avail, uint64_t used)
{
	struct virtqueue vq = m->blk.queue[0].vq;
	machine_renegotiate(m, 0);
	vq.desc_addr = desc;
	vq.avail_addr = avail;
	vq.used_addr = used;
	machine_enable(m, 0, &vq);
	for (unsigned i = 1; i < m->blk.queues; i++)
		machine_enable(m, i, &m->blk.queue[i].vq);
	machine_driver_ok(m);
}

struct ring_addresses {
	const char *name;
	uint64_t desc, avail, used;
};

static void misaligned(struct machine *m)
{
	const struct ring_addresses *add = m->arg;
	machine_probe(m);
	const struct virtqueue *vq = &m->blk.queue[0].vq;
	set_up_rings(m, vq->desc_addr + add->desc, vq->avail_addr + add->avail, vq->used_addr + add->used);
	machine_expect_needs_reset(m);
}

static void test_misaligned_rings_need_reset(void **state)
{
	static const struct ring_addresses rows[] = {
		{"table by 8", 8, 0, 0},     {"table by 1", 1, 0, 0},     {"available ring by 1", 0, 1, 0},
		{"used ring by 2", 0, 0, 2}, {"used ring by 1", 0, 0, 1},
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct machine_options options = {.arg = &rows[i], .disk = HOSTILE_DISK};
		machine_run_levels(misaligned, &options, "device.queues=2", "host.vcpus=1", NULL);
	}
}

/* As little as the specification asks for: 16, 2 and 4. */
static void least_aligned(struct machine *m)
{
	uint64_t addr;
	machine_probe(m);
	struct virtqueue *vq = &m->blk.queue[0].vq, usual = *vq;
	uint8_t *memory = machine_memory(m, 4 * PAGE, DMA_BOTH, &addr);
	void *table = memory + 16;
	vq->desc = table;
	vq->avail = memory + PAGE + 2;
	vq->used = memory + 2 * PAGE + 4;
	set_up_rings(m, addr + 16, addr + PAGE + 2, addr + 2 * PAGE + 4);
	machine_check_alive(m);
	vq->desc = usual.desc;
	vq->avail = usual.avail;
	vq->used = usual.used;
	machine_expect_no_harm(m);
}

static void test_least_aligned_rings_work(void **state)
{
	(void)state;
	machine_run_levels(least_aligned, NULL, "device.queues=2", "host.vcpus=1", NULL);
}

/* All parts of the ring, and the data buffer of a read, in one page at these offsets. The card's own writes become
 * descriptors with meaningless addresses, so the checker has something to say; but whatever happens there happens to
 * that page, and a reset ends it. */
static void overlapping(struct machine *m)
{
	const struct ring_addresses *at = m->arg;
	uint64_t page;
	uint8_t *disk = machine_disk(m);
	machine_probe(m);
	uint8_t *memory = machine_memory(m, PAGE, DMA_BOTH, &page);
	struct machine_buffers buffers = machine_buffers(m, IN, HOSTILE_SECTOR, 512);
	set_up_rings(m, page + at->desc, page + at->avail, page + at->used);
	uint64_t before_bytes = page - m->guest.memory.base;
	uint8_t *before = malloc(before_bytes);
	ASSERT(before);
	memcpy(before, m->guest.memory.data, before_bytes);
	void *table = memory + at->desc;
	const struct vring_desc chain[] = {{buffers.header_addr, 16, NEXT, 1},
					   {page, 512, NEXT | WRITE, 2},
					   {buffers.status_addr, 1, WRITE, 0}};
	memcpy(table, chain, sizeof(chain));
	for (uint16_t i = 1; i <= 8; i++) {
		store_le16(memory + at->avail + 2, i);
		store_le16(memory + at->avail + 4, 0);
		machine_kick(m, 0);
		machine_wait_us(m, 100);
	}
	root_sync(m->guest.root);
	CHECK(memcmp(before, m->guest.memory.data, before_bytes) == 0);
	machine_check_disk(m, disk, 0, 0);
	machine_check_guards(m);
	CHECK(root_stats(m->guest.root)->interrupts <= 8 + 1);
	machine_restart(m);
	machine_check_alive(m);
	free(before);
	free(disk);
}

static void test_overlapping_rings_harm_nobody(void **state)
{
	static const struct ring_addresses rows[] = {
		{"all in one place", 0, 0, 0},
		{"available ring in the table", 0, 48, 2048},
		{"used ring in the available ring", 2048, 0, 0},
		{"used ring in the table", 0, 2048, 0},
		{"only the data buffer", 0, 1024, 2048},
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct machine_options options = {
			.arg = &rows[i], .disk = HOSTILE_DISK, .violations = 100};
		machine_run_levels(overlapping, &options, "device.queues=2", "host.vcpus=1", NULL);
	}
}

/* Guest memory starts at 0: one part of the ring is there. */
static void at_zero(struct machine *m)
{
	const unsigned *part = m->arg;
	uint64_t addr;
	uint8_t *memory = machine_memory(m, PAGE, DMA_BOTH, &addr);
	CHECK_EQUAL(addr, 0);
	machine_probe(m);
	struct virtqueue *vq = &m->blk.queue[0].vq, usual = *vq;
	void *table = memory;
	switch (*part) {
	case 0: vq->desc = table, vq->desc_addr = 0; break;
	case 1: vq->avail = memory, vq->avail_addr = 0; break;
	default: vq->used = memory, vq->used_addr = 0;
	}
	set_up_rings(m, vq->desc_addr, vq->avail_addr, vq->used_addr);
	machine_check_alive(m);
	vq->desc = usual.desc, vq->desc_addr = usual.desc_addr;
	vq->avail = usual.avail, vq->avail_addr = usual.avail_addr;
	vq->used = usual.used, vq->used_addr = usual.used_addr;
	machine_expect_no_harm(m);
}

static void test_ring_at_address_0_works(void **state)
{
	static const unsigned parts[] = {0, 1, 2};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
		const struct machine_options options = {.arg = &parts[i], .disk = HOSTILE_DISK};
		machine_run_levels(at_zero, &options, "host.memory_base=0", NULL);
	}
}

/* A part of the ring where there is no memory, at the end of the address space, or where a read fails. */
struct bad_ring {
	const char *name;
	uint64_t desc, avail, used; /* 0 = as usual */
	enum root_fault_kind fault;
	uint64_t fault_offset; /* in the available ring */
};

#define NOWHERE  UINT64_C(0x300000000000)
#define TOP_PAGE (-(uint64_t)PAGE)

static void bad_ring(struct machine *m)
{
	const struct bad_ring *bad = m->arg;
	uint8_t *disk = machine_disk(m);
	struct machine_piece pieces[3];
	printf("row: %s\n", bad->name);
	machine_probe(m);
	const struct virtqueue *vq = &m->blk.queue[0].vq;
	root_allow(m->guest.root, NOWHERE, PAGE, ROOT_READ | ROOT_WRITE); /* allowed, but not there */
	set_up_rings(m, bad->desc ? bad->desc : vq->desc_addr, bad->avail ? bad->avail : vq->avail_addr,
		     bad->used ? bad->used : vq->used_addr);
	machine_wait_us(m, 50); /* the first look at the ring is over */
	const struct root_fault fault = {
		.kind = bad->fault, .addr = vq->avail_addr + bad->fault_offset, .bytes = 2, .count = 1};
	if (bad->fault != ROOT_FAULT_NONE)
		root_inject(m->guest.root, &fault);
	struct machine_buffers buffers = machine_buffers(m, IN, HOSTILE_SECTOR, 512);
	machine_chain(m, 0, 0, pieces, hostile_read_pieces(&buffers, pieces, 3));
	if (bad->desc == TOP_PAGE + PAGE - 256)
		machine_offer(m, 0, SIZE - 1);
	machine_offer(m, 0, 0);
	machine_expect_stopped(m);
	machine_check_disk(m, disk, 0, 0);
	machine_restart(m);
	machine_check_alive(m);
	free(disk);
}

static void run_bad_rings(const struct bad_ring *rows, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct machine_options options = {.arg = &rows[i], .disk = HOSTILE_DISK};
		machine_run_levels(bad_ring, &options, "device.queues=2", "host.vcpus=1", NULL);
	}
}

static void test_unreadable_ring_needs_reset(void **state)
{
	enum { INDEX = 2, ENTRIES = 4, EVENT = 4 + 2 * SIZE };
	static const struct bad_ring rows[] = {
		{"table: no memory there", .desc = NOWHERE},
		{"available ring: no memory there", .avail = NOWHERE},
		{"index: CA", .fault = ROOT_FAULT_CA, .fault_offset = INDEX},
		{"index: poisoned", .fault = ROOT_FAULT_POISON, .fault_offset = INDEX},
		{"index: no completion", .fault = ROOT_FAULT_DROP, .fault_offset = INDEX},
		{"entries: UR", .fault = ROOT_FAULT_UR, .fault_offset = ENTRIES},
		{"entries: no completion", .fault = ROOT_FAULT_DROP, .fault_offset = ENTRIES},
		{"used_event: UR", .fault = ROOT_FAULT_UR, .fault_offset = EVENT},
		{"used_event: poisoned", .fault = ROOT_FAULT_POISON, .fault_offset = EVENT},
		{"used_event: no completion", .fault = ROOT_FAULT_DROP, .fault_offset = EVENT},
	};
	(void)state;
	run_bad_rings(rows, ARRAY_SIZE(rows));
}

static void test_ring_past_the_end_of_the_address_space_needs_reset(void **state)
{
	static const struct bad_ring rows[] = {
		{"table", .desc = TOP_PAGE + PAGE - 256},
		{"available ring", .avail = TOP_PAGE + PAGE - 64},
		{"used ring", .used = TOP_PAGE + PAGE - 256},
	};
	(void)state;
	run_bad_rings(rows, ARRAY_SIZE(rows));
}

/* Writes are posted: that nobody takes them cannot be seen on the link. The requests are done, the driver never learns of it. */
static void used_ring_nowhere(struct machine *m)
{
	struct machine_piece pieces[3];
	machine_probe(m);
	const struct virtqueue *vq = &m->blk.queue[0].vq;
	root_allow(m->guest.root, NOWHERE, PAGE, ROOT_READ | ROOT_WRITE);
	set_up_rings(m, vq->desc_addr, vq->avail_addr, NOWHERE);
	struct machine_buffers buffers = machine_buffers(m, IN, HOSTILE_SECTOR, 512);
	machine_chain(m, 0, 0, pieces, hostile_read_pieces(&buffers, pieces, 3));
	machine_offer(m, 0, 0);
	machine_wait_us(m, 100);
	root_sync(m->guest.root);
	CHECK_EQUAL(*buffers.status, VIRTIO_BLK_S_OK);
	CHECK(root_stats(m->guest.root)->unsupported > 0);
	machine_expect_no_harm(m);
}

static void test_used_ring_without_memory_loses_completions(void **state)
{
	(void)state;
	machine_run_levels(used_ring_nowhere, NULL, "device.queues=2", "host.vcpus=1", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_ring_past_the_end_of_the_address_space_needs_reset, "V-020"),
		REQ_TEST(test_index_too_far_ahead_needs_reset, "V-021"),
		REQ_TEST(test_index_moved_back_needs_reset, "V-022"),
		REQ_TEST(test_index_one_queue_size_ahead_works, "V-021"),
		REQ_TEST(test_same_head_twice_completes_twice, "V-023"),
		REQ_TEST(test_descriptors_and_header_are_read_once, "V-024"),
		REQ_TEST(test_garbage_wishes_only_choose_interrupts, "V-025 D-023 D-024 D-025 D-026"),
		REQ_TEST(test_misaligned_rings_need_reset, "V-026"),
		REQ_TEST(test_least_aligned_rings_work, "V-026 G-034"),
		REQ_TEST(test_overlapping_rings_harm_nobody, "V-027"),
		REQ_TEST(test_ring_at_address_0_works, "V-028"),
		REQ_TEST(test_unreadable_ring_needs_reset, "V-029"),
		REQ_TEST(test_used_ring_without_memory_loses_completions, "V-029"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
