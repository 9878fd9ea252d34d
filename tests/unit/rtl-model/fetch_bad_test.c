/* The fetch engine with drivers that break the rules (section 6 of the requirements): the chain or the ring is reported, the
 * number of reads is bounded, nothing outside what was described is touched (the host checks), and the next queue does not
 * notice. */
#include "tests/unit/rtl-model/fetch_fixture.h"

#define GUEST_BYTES UINT64_C(0x100000)
#define LONG_PS     PS_PER_MS
#define SIZE        16u

struct scene {
	struct rig *rig;
	struct vq vq;
	uint64_t page; /* of guest memory the card may read */
};

/* Descriptors are written by the row; the head is 0 if it does not say otherwise. */
typedef void prepare_fn(struct scene *scene);

static void desc(struct scene *s, unsigned index, uint64_t addr, uint32_t bytes, unsigned flags,
		 unsigned next)
{
	put_desc(s->rig, &s->vq, index, addr, bytes, (uint16_t)flags, (uint16_t)next);
}

static void table_desc(struct scene *s, uint64_t table, unsigned index, uint64_t addr, uint32_t bytes,
		       unsigned flags, unsigned next)
{
	put_desc_at(s->rig, table + 16 * (uint64_t)index, addr, bytes, (uint16_t)flags, (uint16_t)next);
}

static uint64_t new_table(struct scene *s, unsigned entries)
{
	return guest_alloc(s->rig, 16 * (uint64_t)entries, 16, HOST_READ);
}

/* ---- chains ---- */

static void next_beyond_table(struct scene *s)
{
	desc(s, 0, s->page, 16, NEXT, SIZE);
}
static void next_far_beyond_table(struct scene *s)
{
	desc(s, 0, s->page, 16, NEXT, 0xffff);
}

static void next_beyond_indirect_table(struct scene *s)
{
	uint64_t table = new_table(s, 2);
	table_desc(s, table, 0, s->page, 16, NEXT, 2);
	desc(s, 0, table, 32, INDIRECT, 0);
}

static void loop_of_one(struct scene *s)
{
	desc(s, 0, s->page, 16, NEXT, 0);
}

static void loop_of_two(struct scene *s)
{
	desc(s, 0, s->page, 16, NEXT, 12);
	desc(s, 12, s->page, 16, NEXT, 0);
}

static void loop_behind_prefix(struct scene *s)
{
	for (unsigned i = 0; i < SIZE; i++)
		desc(s, i, s->page, 16, NEXT, i + 1 < SIZE ? i + 1 : 7);
}

static void loop_in_indirect_table(struct scene *s)
{
	uint64_t table = new_table(s, 60);
	for (unsigned i = 0; i < 60; i++)
		table_desc(s, table, i, s->page, 16, NEXT, i == 59 ? 0 : i + 1);
	desc(s, 0, table, 16 * 60, INDIRECT, 0);
}

static void indirect_of(struct scene *s, unsigned segments)
{
	uint64_t table = new_table(s, segments);
	table_desc(s, table, 0, s->page, 16, NEXT, 1);
	for (unsigned i = 1; i < segments; i++)
		table_desc(s, table, i, s->page, 1, WRITE | (i + 1 < segments ? NEXT : 0), i + 1);
	desc(s, 0, table, 16 * segments, INDIRECT, 0);
}

static void indirect_of_17(struct scene *s)
{
	indirect_of(s, SIZE + 1);
}
static void indirect_of_128(struct scene *s)
{
	indirect_of(s, SLOT_SEGMENTS_MAX);
}
static void indirect_of_129(struct scene *s)
{
	indirect_of(s, SLOT_SEGMENTS_MAX + 1);
}
static void indirect_of_1000(struct scene *s)
{
	indirect_of(s, 1000);
}

static void sum_beyond_32_bits(struct scene *s)
{
	desc(s, 0, s->page, 16, NEXT, 1);
	desc(s, 1, s->page, 0xfffffff0, WRITE, 0);
}

static void sum_of_32_bits(struct scene *s)
{
	desc(s, 0, s->page, 16, NEXT, 1);
	desc(s, 1, s->page, 0xffffffef, WRITE, 0);
}

static void sum_far_beyond_32_bits(struct scene *s)
{
	for (unsigned i = 0; i < SIZE; i++)
		desc(s, i, s->page, i ? 0xffffffff : 16, (i ? WRITE : 0) | (i + 1 < SIZE ? NEXT : 0), i + 1);
}

static void indirect_not_negotiated(struct scene *s)
{
	indirect_of(s, 3);
	s->vq.indirect = false;
}

static void indirect_nested(struct scene *s)
{
	uint64_t table = new_table(s, 2), inner = new_table(s, 1);
	table_desc(s, table, 0, s->page, 16, NEXT, 1);
	table_desc(s, table, 1, inner, 16, INDIRECT, 0);
	desc(s, 0, table, 32, INDIRECT, 0);
}

static void indirect_and_next(struct scene *s)
{
	uint64_t table = new_table(s, 2);
	table_desc(s, table, 0, s->page, 16, NEXT, 1);
	table_desc(s, table, 1, s->page, 1, WRITE, 0);
	desc(s, 0, table, 32, INDIRECT | NEXT, 1);
	desc(s, 1, s->page, 1, WRITE, 0);
}

static void next_behind_direct_and_indirect(struct scene *s)
{
	desc(s, 3, s->page, 1, WRITE, 0);
	desc(s, 2, new_table(s, 2), 32, INDIRECT | NEXT, 3);
	desc(s, 0, s->page, 16, NEXT, 2);
}

static void indirect_of_0_bytes(struct scene *s)
{
	desc(s, 0, s->page, 0, INDIRECT, 0);
}
static void indirect_of_17_bytes(struct scene *s)
{
	desc(s, 0, s->page, 17, INDIRECT, 0);
}
static void indirect_of_15_bytes(struct scene *s)
{
	desc(s, 0, s->page, 15, INDIRECT, 0);
}

static void indirect_unreadable(struct scene *s)
{
	host_unmap(s->rig->host, GUEST_BASE + GUEST_BYTES - 4096, 4096);
	desc(s, 0, GUEST_BASE + GUEST_BYTES - 4096, 32, INDIRECT, 0);
}

static void indirect_partly_unreadable(struct scene *s)
{
	uint64_t table = GUEST_BASE + GUEST_BYTES - 4096 - 32 * 16;
	host_unmap(s->rig->host, GUEST_BASE + GUEST_BYTES - 4096, 4096);
	host_allow(s->rig->host, table, 32 * 16, HOST_READ);
	for (unsigned i = 0; i < 32; i++)
		table_desc(s, table, i, s->page, 16, NEXT, i + 1);
	desc(s, 0, table, 16 * 40, INDIRECT, 0);
}

static void indirect_wraps(struct scene *s)
{
	desc(s, 0, UINT64_MAX - 15, 32, INDIRECT, 0);
}

static void table_unreadable(struct scene *s)
{
	host_unmap(s->rig->host, s->vq.desc, 16);
}

static void readable_behind_writable(struct scene *s)
{
	desc(s, 0, s->page, 16, NEXT, 1);
	desc(s, 1, s->page, 512, NEXT | WRITE, 2);
	desc(s, 2, s->page, 1, 0, 0);
}

static void zero_length_data(struct scene *s)
{
	desc(s, 0, s->page, 16, NEXT, 1);
	desc(s, 1, s->page, 0, NEXT | WRITE, 2);
	desc(s, 2, s->page, 1, WRITE, 0);
}

static void zero_length_header(struct scene *s)
{
	desc(s, 0, s->page, 0, NEXT, 1);
	desc(s, 1, s->page, 1, WRITE, 0);
}

static void zero_length_status(struct scene *s)
{
	desc(s, 0, s->page, 16, NEXT, 1);
	desc(s, 1, s->page, 0, WRITE, 0);
}

static void buffer_wraps(struct scene *s)
{
	desc(s, 0, s->page, 16, NEXT, 1);
	desc(s, 1, UINT64_MAX - 510, 512, WRITE, 0);
}

static void buffer_ends_with_the_address_space(struct scene *s)
{
	desc(s, 0, s->page, 16, NEXT, 1);
	desc(s, 1, UINT64_MAX - 511, 512, WRITE, 0);
}

static void header_wraps(struct scene *s)
{
	desc(s, 0, UINT64_MAX, 16, NEXT, 1);
	desc(s, 1, s->page, 1, WRITE, 0);
}

static void header_unreadable(struct scene *s)
{
	host_unmap(s->rig->host, GUEST_BASE + GUEST_BYTES - 4096, 4096);
	desc(s, 0, s->page, 8, NEXT, 1);
	desc(s, 1, GUEST_BASE + GUEST_BYTES - 4096, 8, NEXT, 2);
	desc(s, 2, s->page, 1, WRITE, 0);
}

static void buffer_unwritable(struct scene *s)
{
	host_unmap(s->rig->host, GUEST_BASE + GUEST_BYTES - 4096, 4096);
	desc(s, 0, s->page, 16, NEXT, 1);
	desc(s, 1, GUEST_BASE + GUEST_BYTES - 4096, 512, WRITE, 0);
}

static void no_writable(struct scene *s)
{
	desc(s, 0, s->page, 16, 0, 0);
}
static void no_readable(struct scene *s)
{
	desc(s, 0, s->page, 1, WRITE, 0);
}

static void header_of_15(struct scene *s)
{
	desc(s, 0, s->page, 15, NEXT, 1);
	desc(s, 1, s->page, 1, WRITE, 0);
}

static void unknown_flags(struct scene *s)
{
	desc(s, 0, s->page, 16, 0xfff8 | NEXT, 1);
	desc(s, 1, s->page, 1, 0xfff8 | WRITE, 0);
}

static const struct {
	const char *what;
	prepare_fn *prepare;
	uint16_t error;
	unsigned reads_max; /* of descriptors and header */
} rows[] = {
	{"V-002", next_beyond_table, RECORD_ERROR_NEXT_RANGE, 1},
	{"V-002", next_far_beyond_table, RECORD_ERROR_NEXT_RANGE, 1},
	{"V-003", next_beyond_indirect_table, RECORD_ERROR_NEXT_RANGE, 2},
	{"V-004", loop_of_one, RECORD_ERROR_LOOP, SIZE},
	{"V-004", loop_of_two, RECORD_ERROR_LOOP, SIZE},
	{"V-004 V-006", loop_behind_prefix, RECORD_ERROR_LOOP, SIZE},
	{"V-004", loop_in_indirect_table, RECORD_ERROR_LOOP, 4},
	{"V-005", indirect_of_17, RECORD_ERROR_NONE, 3},
	{"V-005", indirect_of_128, RECORD_ERROR_NONE, 6},
	{"V-005", indirect_of_129, RECORD_ERROR_TOO_LONG, 6},
	{"V-005", indirect_of_1000, RECORD_ERROR_TOO_LONG, 6},
	{"V-007", sum_of_32_bits, RECORD_ERROR_NONE, 2},
	{"V-007", sum_beyond_32_bits, RECORD_ERROR_TOO_LONG, 1},
	{"V-007", sum_far_beyond_32_bits, RECORD_ERROR_TOO_LONG, SIZE},
	{"V-008", indirect_not_negotiated, RECORD_ERROR_INDIRECT_NOT_NEGOTIATED, 1},
	{"V-009", indirect_nested, RECORD_ERROR_INDIRECT_NESTED, 2},
	{"V-010", indirect_and_next, RECORD_ERROR_INDIRECT_AND_NEXT, 1},
	{"V-011", next_behind_direct_and_indirect, RECORD_ERROR_INDIRECT_AND_NEXT, 1},
	{"V-012", indirect_of_0_bytes, RECORD_ERROR_INDIRECT_LENGTH, 1},
	{"V-013", indirect_of_17_bytes, RECORD_ERROR_INDIRECT_LENGTH, 1},
	{"V-013", indirect_of_15_bytes, RECORD_ERROR_INDIRECT_LENGTH, 1},
	{"V-014", indirect_unreadable, RECORD_ERROR_DMA_DESCRIPTOR, 2},
	{"V-014", indirect_partly_unreadable, RECORD_ERROR_DMA_DESCRIPTOR, 3},
	{"V-014", table_unreadable, RECORD_ERROR_DMA_DESCRIPTOR, 1},
	{"V-015", readable_behind_writable, RECORD_ERROR_ORDER, 1},
	{"V-016", zero_length_data, RECORD_ERROR_ZERO_LENGTH, 1},
	{"V-017", zero_length_header, RECORD_ERROR_ZERO_LENGTH, 1},
	{"V-017", zero_length_status, RECORD_ERROR_ZERO_LENGTH, 1},
	{"V-018", header_unreadable, RECORD_ERROR_DMA_HEADER, 3},
	{"V-019", buffer_unwritable, RECORD_ERROR_NONE, 2},
	{"V-020", buffer_wraps, RECORD_ERROR_ADDRESS_WRAP, 1},
	{"V-020", buffer_ends_with_the_address_space, RECORD_ERROR_NONE, 2},
	{"V-020", header_wraps, RECORD_ERROR_ADDRESS_WRAP, 1},
	{"V-020", indirect_wraps, RECORD_ERROR_ADDRESS_WRAP, 1},
	{"V-086", no_writable, RECORD_ERROR_NO_STATUS, 1},
	{"V-086 V-087", no_readable, RECORD_ERROR_SHORT_HEADER, 1},
	{"V-087", header_of_15, RECORD_ERROR_SHORT_HEADER, 1},
	{"reserved flags", unknown_flags, RECORD_ERROR_NONE, 2},
};

static struct scene scene_create(uint64_t seed)
{
	struct scene scene = {.rig = rig_create(GUEST_BYTES, seed)};
	scene.rig->config.fetch.prefetch = 4;
	rig_start(scene.rig);
	scene.vq = vq_create(scene.rig, 7, SIZE, true, true);
	scene.page = guest_alloc(scene.rig, 4096, 4096, HOST_READ);
	return scene;
}

/* A queue with a proper driver is served as if nothing had happened. */
static void assert_others_work(struct rig *rig)
{
	struct vq vq = vq_create(rig, 8, 4, false, false);
	struct chain chain = plain_chain(rig, 512, true, 9);
	put_chain(rig, &vq, 1, &chain);
	program(rig, &vq);
	add_head(rig, &vq, 1);
	publish(rig, &vq);
	serve(rig, &vq);
	sim_run_for(&rig->sim, LONG_PS);
	int slot = take_record(rig);
	assert_true(slot >= 0);
	assert_record(rig, (unsigned)slot, &vq, 1, 0, &chain);
	free_slot(rig, (unsigned)slot);
	assert_at_rest(rig);
}

static void offer(struct scene *scene, uint16_t head)
{
	add_head(scene->rig, &scene->vq, head);
	publish(scene->rig, &scene->vq);
	serve(scene->rig, &scene->vq);
	sim_run_for(&scene->rig->sim, LONG_PS);
}

static void test_fetch_bad_chain_is_reported_after_few_reads(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("%s row %u\n", rows[i].what, i);
		struct scene scene = scene_create(i);
		rows[i].prepare(&scene);
		program(scene.rig, &scene.vq);
		offer(&scene, 0);
		int slot = take_record(scene.rig);
		assert_true(slot >= 0);
		const struct slot *record = slot_of(scene.rig, (unsigned)slot);
		const struct fetch_stats *stats = &scene.rig->fetch->stats;
		assert_int_equal(record->error, rows[i].error);
		assert_int_equal(record->queue, 7);
		assert_int_equal(record->head, 0);
		assert_true(record->segments <= SLOT_SEGMENTS_MAX);
		if (record->error == RECORD_ERROR_DMA_HEADER) /* there is still a place for the status */
			assert_int_equal(record->status_addr, scene.page);
		assert_true(stats->descriptor_reads + stats->header_reads <= rows[i].reads_max);
		assert_int_equal(stats->bad_chains, record->error != RECORD_ERROR_NONE);
		assert_int_equal(stats->faults, 0);
		assert_at_rest(scene.rig);
		assert_int_equal(take_record(scene.rig), -1);
		free_slot(scene.rig, (unsigned)slot);
		assert_others_work(scene.rig);
		assert_int_equal(slots_in_use(scene.rig), 0);
		rig_free(scene.rig);
	}
}

/* V-001 */
static void test_fetch_head_beyond_the_table_is_reported_without_read(void **state)
{
	(void)state;
	static const uint16_t heads[] = {SIZE, SIZE + 1, 0x8000, 0xffff};
	struct scene scene = scene_create(1);
	program(scene.rig, &scene.vq);
	for (unsigned i = 0; i < ARRAY_SIZE(heads); i++) {
		offer(&scene, heads[i]);
		int slot = take_record(scene.rig);
		assert_true(slot >= 0);
		assert_int_equal(slot_of(scene.rig, (unsigned)slot)->error, RECORD_ERROR_HEAD_RANGE);
		assert_int_equal(slot_of(scene.rig, (unsigned)slot)->head, heads[i]);
		free_slot(scene.rig, (unsigned)slot);
	}
	assert_int_equal(scene.rig->fetch->stats.descriptor_reads, 0);
	assert_others_work(scene.rig);
	rig_free(scene.rig);
}

/* ---- rings ---- */

/* The queue stops with a fault that names `error`; nothing more is read of it, doorbells or not. */
static void assert_fault(struct scene *scene, uint8_t error)
{
	struct rig *rig = scene->rig;
	uint32_t queue_state = queue_get(rig, 7, CSR_FETCH_QUEUE_STATE);
	assert_int_equal(get(rig, CSR_FETCH_FAULT_LO), 1u << 7);
	assert_int_equal(get(rig, CSR_FETCH_FAULT_HI), 0);
	assert_true(rig->event_wakes > 0);
	assert_slots_free(rig);
	assert_true(queue_state & CSR_FETCH_QUEUE_STATE_FAULT_MASK);
	assert_false(queue_state & CSR_FETCH_QUEUE_STATE_BUSY_MASK);
	assert_int_equal(queue_state >> 8 & 0xff, error);
	assert_true(fetch_events(rig->fetch, rig->sim.now_ps) & CSR_SYS_EVENTS_DMA_FAULT_MASK);
	assert_int_equal(rig->fetch->stats.faults, 1);
	uint64_t reads = rig->host->reads;
	serve(rig, &scene->vq);
	sim_run_for(&rig->sim, LONG_PS);
	assert_int_equal(rig->host->reads, reads);
	set(rig, CSR_FETCH_FAULT_LO, 1u << 7);
	assert_int_equal(get(rig, CSR_FETCH_FAULT_LO), 0);
	assert_int_equal(fetch_events(rig->fetch, rig->sim.now_ps), 0);
	assert_others_work(rig);
	/* A stop and a start, and it is as good as new. */
	queue_set(rig, 7, CSR_FETCH_QUEUE_CONTROL, 0);
	assert_int_equal(queue_get(rig, 7, CSR_FETCH_QUEUE_CONTROL), 0);
	scene->rig->host->unmapped_count = 0;
	scene->vq = vq_create(rig, 7, SIZE, false, true);
	program(rig, &scene->vq);
	offer(scene, SIZE);
	assert_true(take_record(rig) >= 0);
	assert_int_equal(queue_get(rig, 7, CSR_FETCH_QUEUE_STATE) & 0xff02, 0);
}

/* V-021, V-022: the index may be at most a ring ahead of what has been taken. */
static void test_fetch_index_too_far_ahead_stops_the_queue(void **state)
{
	(void)state;
	static const int jumps[] = {SIZE + 1, SIZE + 2, 0x7fff, 0x8000, -1, -2, -SIZE};
	for (unsigned i = 0; i < ARRAY_SIZE(jumps); i++)
		for (unsigned taken = 0; taken < 3; taken++)
			for (unsigned hinted = 0; hinted < 2; hinted++) {
				struct scene scene = scene_create(i);
				program(scene.rig, &scene.vq);
				for (unsigned k = 0; k < taken; k++) {
					offer(&scene, SIZE);
					free_slot(scene.rig, (unsigned)take_record(scene.rig));
				}
				store_le16(guest(scene.rig, scene.vq.avail + 2, 2),
					   (uint16_t)((int)taken + jumps[i]));
				serve_hinted(scene.rig, &scene.vq, hinted, (uint16_t)(taken + 3));
				sim_run_for(&scene.rig->sim, LONG_PS);
				assert_int_equal(take_record(scene.rig), -1);
				assert_fault(&scene, RECORD_ERROR_AVAIL_RANGE);
				rig_free(scene.rig);
			}
}

/* Both halves of the fault register, each bit cleared by itself. */
static void test_fetch_faults_are_cleared_by_writing_ones(void **state)
{
	(void)state;
	static const unsigned queues[] = {0, 31, 32, 40, 63};
	struct scene scene = scene_create(1);
	uint64_t expected = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(queues); i++) {
		scene.vq.number = queues[i];
		scene.vq.desc = UINT64_MAX;
		program(scene.rig, &scene.vq);
		expected |= UINT64_C(1) << queues[i];
	}
	for (unsigned i = 0; i < ARRAY_SIZE(queues); i++) {
		uint64_t faults = get(scene.rig, CSR_FETCH_FAULT_LO) |
				  (uint64_t)get(scene.rig, CSR_FETCH_FAULT_HI) << 32;
		assert_int_equal(faults, expected);
		uint64_t bit = UINT64_C(1) << queues[i];
		set(scene.rig, CSR_FETCH_FAULT_LO, (uint32_t)bit);
		set(scene.rig, CSR_FETCH_FAULT_HI, (uint32_t)(bit >> 32));
		expected &= ~bit;
	}
	rig_settle(scene.rig);
	assert_int_equal(fetch_events(scene.rig->fetch, 0), 0);
	rig_free(scene.rig);
}

static void test_fetch_full_ring_is_no_fault(void **state)
{
	(void)state;
	struct scene scene = scene_create(1);
	program(scene.rig, &scene.vq);
	for (unsigned i = 0; i < SIZE; i++)
		add_head(scene.rig, &scene.vq, SIZE);
	publish(scene.rig, &scene.vq);
	serve(scene.rig, &scene.vq);
	sim_run_for(&scene.rig->sim, LONG_PS);
	for (unsigned i = 0; i < SIZE; i++)
		assert_true(take_record(scene.rig) >= 0);
	assert_int_equal(get(scene.rig, CSR_FETCH_FAULT_LO), 0);
	rig_free(scene.rig);
}

/* V-029: at the first failed read. */
static void test_fetch_unreadable_ring_stops_the_queue(void **state)
{
	(void)state;
	for (unsigned part = 0; part < 3; part++) {
		struct scene scene = scene_create(part);
		program(scene.rig, &scene.vq);
		if (part != 0) { /* only the entries */
			host_unmap(scene.rig->host, scene.vq.avail + 4, 2);
			add_head(scene.rig, &scene.vq, 0);
			publish(scene.rig, &scene.vq);
		} else {
			host_unmap(scene.rig->host, scene.vq.avail, 64);
		}
		serve_hinted(scene.rig, &scene.vq, part == 2, 1);
		sim_run_for(&scene.rig->sim, LONG_PS);
		assert_int_equal(scene.rig->host->reads, part == 0 ? 1 : 2);
		assert_fault(&scene, RECORD_ERROR_DMA_RING);
		rig_free(scene.rig);
	}
}

/* V-020 of the rings: one that runs past the end of the address space is not begun. */
static void test_fetch_ring_beyond_the_address_space_stops_the_queue(void **state)
{
	(void)state;
	for (unsigned part = 0; part < 3; part++)
		for (unsigned fits = 0; fits < 2; fits++) {
			struct scene scene = scene_create(part);
			uint64_t *addr = part == 0   ? &scene.vq.desc
					 : part == 1 ? &scene.vq.avail
						     : &scene.vq.used;
			static const uint64_t bytes[] = {16 * SIZE, 6 + 2 * SIZE, 6 + 8 * SIZE};
			*addr = 0 - bytes[part] +
				!fits; /* its last byte is the address space's, or one further */
			program(scene.rig, &scene.vq);
			if (fits) {
				assert_int_equal(get(scene.rig, CSR_FETCH_FAULT_LO), 0);
			} else {
				assert_int_equal(scene.rig->host->reads, 0);
				assert_fault(&scene, RECORD_ERROR_ADDRESS_WRAP);
			}
			rig_free(scene.rig);
		}
}

/* V-026: misaligned rings work. V-028: so do rings at address 0. */
static void check_placement(uint64_t base, unsigned misalignment)
{
	struct rig *rig = rig_create(GUEST_BYTES, misalignment);
	rig->host->base = rig->free_addr = base;
	rig_start(rig);
	struct vq vq = {.number = 4, .size = 8, .event_idx = true};
	vq.desc = guest_alloc(rig, 16 * 8, 1, HOST_READ);
	for (unsigned i = 0; i < 2; i++) {
		rig->free_addr += misalignment;
		*(i ? &vq.used : &vq.avail) = guest_alloc(rig, 6 + 64, 1, HOST_READ | HOST_WRITE);
	}
	struct chain chain = plain_chain(rig, 512, true, 1);
	put_chain(rig, &vq, 1, &chain);
	program(rig, &vq);
	for (unsigned i = 0; i < 20; i++) {
		add_head(rig, &vq, 1);
		publish(rig, &vq);
		serve(rig, &vq);
		sim_run_for(&rig->sim, LONG_PS);
		int slot = take_record(rig);
		assert_true(slot >= 0);
		assert_record(rig, (unsigned)slot, &vq, 1, (uint16_t)i, &chain);
		assert_int_equal(avail_event(rig, &vq), i + 1);
		free_slot(rig, (unsigned)slot);
	}
	rig_free(rig);
}

static void test_fetch_ring_addresses_may_be_anything(void **state)
{
	(void)state;
	check_placement(0, 0);
	for (unsigned i = 0; i < 16; i++)
		check_placement(GUEST_BASE, i);
}

/* V-027: table, rings and buffers on top of each other, with random bytes in them. Whatever comes of it is a record or a
 * fault, soon; the engine stays inside what it was given. */
static void test_fetch_overlapping_garbage_rings_do_no_harm(void **state)
{
	(void)state;
	uint64_t seed = test_seed(1);
	for (unsigned run = 0; run < 3000; run++) {
		struct rig *rig = rig_create(0x20000, seed + run);
		struct rng *rng = &rig->host->rng;
		rig->config.fetch.prefetch = 1 + (unsigned)rng_below(rng, 32);
		rig_start(rig);
		memset(rig->host->allowed, HOST_READ | HOST_WRITE, rig->host->bytes);
		host_unmap(rig->host, 0, GUEST_BASE);
		host_unmap(rig->host, GUEST_BASE + 0x20000, UINT64_MAX - GUEST_BASE - 0x20000);
		for (unsigned i = 0; i < 0x800; i++) /* likely values: small numbers and nearby addresses */
			rig->host->memory[i] =
				(uint8_t)(rng_below(rng, 3) ? rng_below(rng, 8) : rng_u64(rng));
		for (unsigned i = 0; i < 0x80; i++)
			if (rng_below(rng, 3))
				store_le64(rig->host->memory + 16 * (size_t)i,
					   GUEST_BASE + rng_below(rng, 0x800));
		struct vq vq = {
			.number = 7,
			.size = (uint16_t)(1u << rng_below(rng, 7)),
			.event_idx = rng_below(rng, 2),
			.indirect = rng_below(rng, 2),
			.desc = GUEST_BASE + 16 * rng_below(rng, 16),
			.avail = GUEST_BASE + 2 * rng_below(rng, 128),
			.used = GUEST_BASE + 4 * rng_below(rng, 64),
		};
		program(rig, &vq);
		for (unsigned i = 0; i < 20; i++) {
			serve_hinted(rig, &vq, rng_below(rng, 2), (uint16_t)rng_below(rng, 70));
			sim_run_for(&rig->sim, 10 * PS_PER_US);
			int slot;
			while ((slot = take_record(rig)) >= 0) {
				assert_true(slot_of(rig, (unsigned)slot)->segments <= SLOT_SEGMENTS_MAX);
				assert_true(slot_of(rig, (unsigned)slot)->queue == 7);
				free_slot(rig, (unsigned)slot);
			}
		}
		queue_set(rig, 7, CSR_FETCH_QUEUE_CONTROL, 0);
		sim_run_for(&rig->sim, LONG_PS);
		while (take_record(rig) >= 0)
			;
		assert_at_rest(rig);
		rig->host->unmapped_count = 0;
		fetch_reset(rig->fetch);
		rig->free_addr = GUEST_BASE + 0x10000;
		assert_others_work(rig);
		rig_free(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_fetch_bad_chain_is_reported_after_few_reads,
			 "D-017 V-002 V-003 V-004 V-005 V-006 V-007 V-008 V-009 V-010 V-011 V-012 V-013 "
			 "V-014 V-015 V-016 V-017 "
			 "V-018 V-019 V-020 V-086 V-087"),
		REQ_TEST(test_fetch_head_beyond_the_table_is_reported_without_read, "V-001"),
		REQ_TEST(test_fetch_index_too_far_ahead_stops_the_queue, "V-021 V-022"),
		cmocka_unit_test(test_fetch_faults_are_cleared_by_writing_ones),
		REQ_TEST(test_fetch_full_ring_is_no_fault, "V-021"),
		REQ_TEST(test_fetch_unreadable_ring_stops_the_queue, "V-029"),
		REQ_TEST(test_fetch_ring_beyond_the_address_space_stops_the_queue, "V-020"),
		REQ_TEST(test_fetch_ring_addresses_may_be_anything, "V-026 V-028"),
		REQ_TEST(test_fetch_overlapping_garbage_rings_do_no_harm, "V-027"),
	};
	return cmocka_run_group_tests_name("fetch with bad drivers", tests, NULL, NULL);
}
