/* The used-ring writer: what it writes, in which order, when it interrupts. A driver that sleeps is in used_random_test.c. */
#include "tests/unit/rtl-model/csr_check.h"
#include "tests/unit/rtl-model/used_fixture.h"

#define GUEST_BYTES UINT64_C(0x100000)
#define LONG_PS     (100 * PS_PER_US)

static bool read_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return used_csr_read(self, now_ps, offset, value);
}

static bool write_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return used_csr_write(self, now_ps, offset, value);
}

static void test_used_registers_reset_value_and_access(void **state)
{
	(void)state;
	const uint32_t all = UINT32_MAX;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig->config.used.batch = 13;
	rig_start(rig);
	const struct csr_case cases[] = {
		{.offset = CSR_USED_PUSH_BYTES, .writable = all},
		{.offset = CSR_USED_PUSH}, /* 0xa5a5 is no slot */
		{.offset = CSR_USED_STATE, .reset = completion_fifo_depth},
		{.offset = CSR_USED_QUEUE_SELECT, .writable = QUEUES_MAX - 1},
		{.offset = CSR_USED_QUEUE_USED_LO, .writable = all},
		{.offset = CSR_USED_QUEUE_USED_HI, .writable = all},
		{.offset = CSR_USED_QUEUE_AVAIL_LO, .writable = all},
		{.offset = CSR_USED_QUEUE_AVAIL_HI, .writable = all},
		{.offset = CSR_USED_QUEUE_CONFIG, .writable = 0x3ffff},
		{.offset = CSR_USED_QUEUE_CONTROL}, /* no start with that size */
		{.offset = CSR_USED_QUEUE_STATE},
		{.offset = CSR_USED_FAULT_LO},
		{.offset = CSR_USED_FAULT_HI},
		{.offset = CSR_USED_BATCH, .reset = 13, .action = true},
	};
	const struct csr_block block = {rig->used, read_register, write_register};
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
	assert_int_equal(used_stats(rig->used)->dropped, 1);
	set(rig, CSR_USED_BATCH, 0);
	assert_int_equal(get(rig, CSR_USED_BATCH), 1);
	set(rig, CSR_USED_BATCH, UINT32_MAX);
	assert_int_equal(get(rig, CSR_USED_BATCH), 256);
	rig_free(rig);
}

/* ---- order and content ---- */

enum kind { STATUS, ELEMENTS, INDEX, DECISION };

struct access {
	enum kind kind;
	uint64_t addr;
	uint32_t bytes;
};

struct trace {
	struct rig *rig;
	const struct vq *vq;
	struct access access[256];
	unsigned count;
};

static void trace_taken(void *ctx, const struct dma_request *request)
{
	struct trace *trace = ctx;
	const struct vq *vq = trace->vq;
	enum kind kind = STATUS;
	rig_taken(trace->rig, request);
	if (!request->write)
		kind = DECISION;
	else if (request->addr == vq->used + 2)
		kind = INDEX;
	else if (inside(request->addr, vq->used, 4 + 8 * (uint64_t)vq->size))
		kind = ELEMENTS;
	assert_true(trace->count < ARRAY_SIZE(trace->access));
	trace->access[trace->count++] = (struct access){kind, request->addr, request->bytes};
}

static void trace_answered(void *ctx, const struct dma_request *request)
{
	rig_answered(((struct trace *)ctx)->rig, request);
}

/* A batch of `count` completions onto a ring at index `index`: all status bytes in order, the elements in one write (or two
 * around the ring's end), then used.idx, then the question to the driver behind all that (D-029, D-030). */
static void check_order(uint16_t size, unsigned index, unsigned count, bool in_order)
{
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	struct trace trace = {.rig = rig};
	rig_start(rig);
	struct vq *vq = vq_create(rig, 3, size, true, in_order);
	uint64_t status = guest_alloc(rig, 64, 1, HOST_WRITE);
	trace.vq = vq;
	for (unsigned i = 0; i < index; i++) {
		push(rig, vq, 0, 1, 0, 0, status);
		sim_run_for(&rig->sim, 10 * PS_PER_US);
	}
	rig->host->ctx = &trace;
	rig->host->taken = trace_taken;
	rig->host->answered = trace_answered;
	for (unsigned i = 0; i < count; i++)
		push(rig, vq, i, (uint16_t)(40 + i), (uint8_t)(i + 1), 1000 + i, status + 2 * i);
	sim_run_for(&rig->sim, LONG_PS);
	unsigned n = 0;
	for (unsigned i = 0; i < count; i++, n++) {
		assert_int_equal(trace.access[n].kind, STATUS);
		assert_int_equal(trace.access[n].addr, status + 2 * i);
		assert_int_equal(trace.access[n].bytes, 1);
		assert_int_equal(*guest(rig, status + 2 * i, 1), i + 1);
	}
	unsigned elements = in_order ? 1 : count, at = index % size;
	while (elements != 0) {
		unsigned here = min_u32(elements, size - at);
		assert_int_equal(trace.access[n].kind, ELEMENTS);
		assert_int_equal(trace.access[n].addr, vq->used + 4 + 8 * (uint64_t)at);
		assert_int_equal(trace.access[n].bytes, 8 * here);
		elements -= here;
		at = 0;
		n++;
	}
	assert_int_equal(trace.access[n++].kind, INDEX);
	assert_int_equal(trace.access[n++].kind, DECISION);
	assert_int_equal(trace.count, n);
	assert_int_equal(used_idx(rig, vq), index + count);
	if (in_order) { /* one element, of the last buffer, in the place of the first */
		assert_int_equal(element_id(rig, vq, (uint16_t)index), 40 + count - 1);
		assert_int_equal(element_len(rig, vq, (uint16_t)index), 1000 + count - 1);
	}
	for (unsigned i = 0; i < count && !in_order; i++) {
		assert_int_equal(element_id(rig, vq, (uint16_t)(index + i)), 40 + i);
		assert_int_equal(element_len(rig, vq, (uint16_t)(index + i)), 1000 + i);
	}
	assert_int_equal(used_stats(rig->used)->updates, index + 1);
	assert_int_equal(used_stats(rig->used)->completions, index + count);
	assert_int_equal(rig->slots_freed, index + count);
	assert_int_equal(rig->retired, index + count);
	assert_false(used_busy(rig->used));
	rig_free(rig);
}

static void test_used_status_element_index_go_in_this_order(void **state)
{
	(void)state;
	for (unsigned index = 0; index < 10; index++)
		for (unsigned count = 1; count <= 8; count++)
			check_order(8, index, count, false);
	check_order(1, 3, 1, false);
	check_order(256, 0, 16, false);
	check_order(32768, 5, 16, false);
}

static void test_used_in_order_writes_one_element_for_a_batch(void **state)
{
	(void)state;
	for (unsigned index = 0; index < 10; index++)
		for (unsigned count = 1; count <= 8; count++)
			check_order(8, index, count, true);
}

/* Round the ring and through 65535, all sizes. */
static void run_round(uint16_t size, unsigned total, unsigned batch)
{
	struct rig *rig = rig_create(GUEST_BYTES, size);
	rig->config.used.batch = batch;
	rig_start(rig);
	struct vq *vq = vq_create(rig, 63, size, true, false);
	uint64_t status = guest_alloc(rig, 64, 1, HOST_WRITE);
	unsigned taken = 0;
	while (taken < total) {
		unsigned group = min_u32(min_u32(size, 64), total - taken);
		for (unsigned i = 0; i < group; i++)
			push(rig, vq, i, (uint16_t)(taken + i), 0, taken + i, status + i);
		sim_run_for(&rig->sim, 5 * PS_PER_US);
		assert_int_equal(used_idx(rig, vq), (taken + group) & 0xffff);
		for (unsigned i = 0; i < group; i++, taken++) {
			assert_int_equal(element_id(rig, vq, (uint16_t)taken), taken & 0xffff);
			assert_int_equal(element_len(rig, vq, (uint16_t)taken), taken);
		}
	}
	assert_int_equal(queue_get(rig, 63, CSR_USED_QUEUE_STATE), (total & 0xffff) << 16);
	rig_free(rig);
}

static void test_used_rings_of_all_sizes_go_round(void **state)
{
	(void)state;
	for (unsigned size = 1; size <= 32768; size *= 2)
		run_round((uint16_t)size,
			  size == 4 || size == 256 || size == 32768 ? 66000 : 3 * min_u32(size, 2000),
			  size == 256 ? 64 : 7);
}

/* A batch ends with its size, and where the next completion is of another queue. */
static void test_used_batches_are_of_one_queue_and_limited(void **state)
{
	(void)state;
	static const struct {
		unsigned batch;
		const char *queues;
		uint64_t updates;
	} rows[] = {{16, "aaaaaaaa", 1},
		    {3, "aaaaaaaa", 3},
		    {1, "aaaaaaaa", 8},
		    {16, "aabbbaab", 4},
		    {16, "abababab", 8}};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = rig_create(GUEST_BYTES, 1);
		rig->config.used.batch = rows[i].batch;
		rig_start(rig);
		struct vq *vq[2] = {vq_create(rig, 0, 16, true, false), vq_create(rig, 1, 16, true, false)};
		uint64_t status = guest_alloc(rig, 8, 1, HOST_WRITE);
		unsigned count[2] = {0};
		for (unsigned k = 0; rows[i].queues[k]; k++) {
			unsigned q = rows[i].queues[k] - 'a';
			push(rig, vq[q], k, (uint16_t)(100 * q + count[q]++), 0, 1, status + k);
		}
		sim_run_for(&rig->sim, LONG_PS);
		assert_int_equal(used_stats(rig->used)->updates, rows[i].updates);
		for (unsigned q = 0; q < 2; q++) {
			assert_int_equal(used_idx(rig, vq[q]), count[q]);
			for (unsigned k = 0; k < count[q]; k++)
				assert_int_equal(element_id(rig, vq[q], (uint16_t)k), 100 * q + k);
		}
		rig_free(rig);
	}
}

/* ---- decisions. That an interrupt comes exactly when it should is checked by the fixture. ---- */

/* Every value of used_event, with steps of 1 to 8 entries, several times round 65536. */
static void test_used_event_decides_by_the_entries_written(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	struct rng rng;
	rng_seed(&rng, test_seed(1), 0);
	rig->host->read_ps_min = rig->host->read_ps_max = 20 * PS_PER_NS;
	rig_start(rig);
	struct vq *vq = vq_create(rig, 0, 256, true, false);
	uint64_t status = guest_alloc(rig, 1, 1, HOST_WRITE);
	uint16_t index = 0;
	set_avail_flags(rig, vq, 1); /* not to be looked at: D-026 */
	for (unsigned event = 0; event < 0x20000; event++) {
		unsigned step = 1 + (unsigned)rng_below(&rng, 8);
		/* half of the time around the entries to be written */
		set_used_event(rig, vq,
			       (uint16_t)(event & 1 ? event >> 1 : index + rng_below(&rng, step + 4) - 2));
		for (unsigned i = 0; i < step; i++)
			push(rig, vq, i, 0, 0, 0, status);
		sim_run_for(&rig->sim, 200 * PS_PER_NS);
		index = (uint16_t)(index + step);
		assert_int_equal(vq->decided, index);
	}
	assert_int_equal(vq->decisions, 0x20000);
	assert_true(vq->interrupts > 0x6000 && vq->interrupts < 0x10000);
	assert_int_equal(used_stats(rig->used)->interrupts, vq->interrupts);
	assert_int_equal(used_stats(rig->used)->suppressed, 0x20000 - vq->interrupts);
	rig_free(rig);
}

/* The first update of a queue is no exception: entry 0 is what used_event may name. */
static void test_used_first_update_interrupts_for_entry_0_only(void **state)
{
	(void)state;
	static const struct {
		uint16_t event;
		unsigned interrupts;
	} rows[] = {{0, 1}, {1, 0}, {2, 0}, {0xffff, 0}, {0x8000, 0}};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = rig_create(GUEST_BYTES, 1);
		rig_start(rig);
		struct vq *vq = vq_create(rig, 0, 16, true, false);
		set_used_event(rig, vq, rows[i].event);
		push(rig, vq, 0, 0, 0, 0, guest_alloc(rig, 1, 1, HOST_WRITE));
		sim_run_for(&rig->sim, LONG_PS);
		assert_int_equal(vq->interrupts, rows[i].interrupts);
		rig_free(rig);
	}
}

static void test_used_flags_decide_without_event_idx(void **state)
{
	(void)state;
	static const struct {
		uint16_t flags;
		unsigned interrupts;
	} rows[] = {{0, 5}, {1, 0}, {2, 5}, {0xfffe, 5}, {0xffff, 0}, {3, 0}}; /* only bit 0 counts: V-025 */
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = rig_create(GUEST_BYTES, 1);
		rig_start(rig);
		struct vq *vq = vq_create(rig, 0, 4, false, false);
		uint64_t status = guest_alloc(rig, 1, 1, HOST_WRITE);
		set_used_event(rig, vq, 0x1234); /* not even read: the host would not allow it (D-023) */
		set_avail_flags(rig, vq, rows[i].flags);
		for (unsigned k = 0; k < 5; k++) {
			push(rig, vq, 0, 0, 0, 0, status);
			sim_run_for(&rig->sim, LONG_PS);
		}
		assert_int_equal(vq->interrupts, rows[i].interrupts);
		rig_free(rig);
	}
}

/* While a decision is outstanding updates go on; what they wrote is decided next, in one go. */
static void test_used_updates_go_on_while_a_decision_is_out(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig->host->read_ps_min = rig->host->read_ps_max = 10 * PS_PER_US;
	rig->config.used.batch = 1;
	rig_start(rig);
	struct vq *vq = vq_create(rig, 0, 64, true, false);
	uint64_t status = guest_alloc(rig, 1, 1, HOST_WRITE);
	set_used_event(rig, vq, 20);
	for (unsigned i = 0; i < 40; i++)
		push(rig, vq, i, (uint16_t)i, 0, 0, status);
	sim_run_for(&rig->sim, 5 * PS_PER_US);
	assert_int_equal(used_idx(rig, vq), 40);
	assert_int_equal(vq->decisions, 0);
	assert_true(queue_busy(rig, 0));
	sim_run_for(&rig->sim, 10 * PS_PER_US);
	assert_int_equal(vq->decisions, 1); /* for entry 0 alone */
	assert_int_equal(vq->interrupts, 0);
	sim_run_for(&rig->sim, LONG_PS);
	assert_int_equal(vq->decisions, 2);
	assert_int_equal(vq->interrupts, 1);
	assert_false(queue_busy(rig, 0));
	rig_free(rig);
}

/* ---- errors, limits ---- */

static void test_used_unreadable_event_is_a_fault(void **state)
{
	(void)state;
	for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
		struct rig *rig = rig_create(GUEST_BYTES, 1);
		rig_start(rig);
		struct vq *vq = vq_create(rig, 33, 16, event_idx, false),
			  *other = vq_create(rig, 2, 16, true, false);
		uint64_t status = guest_alloc(rig, 1, 1, HOST_WRITE);
		host_unmap(rig->host, vq->avail, 6 + 2 * 16);
		push(rig, vq, 0, 0, 0, 0, status);
		push(rig, other, 1, 5, 0, 0, status);
		sim_run_for(&rig->sim, LONG_PS);
		assert_int_equal(get(rig, CSR_USED_FAULT_LO), 0);
		assert_int_equal(get(rig, CSR_USED_FAULT_HI), 2);
		assert_int_equal(used_events(rig->used), CSR_SYS_EVENTS_DMA_FAULT_MASK);
		assert_true(rig->event_wakes > 0);
		assert_int_equal(used_stats(rig->used)->faults, 1);
		assert_int_equal(vq->interrupts, 0);
		assert_int_equal(other->interrupts, 1);
		set(rig, CSR_USED_FAULT_LO, 2); /* another queue's */
		assert_int_equal(get(rig, CSR_USED_FAULT_HI), 2);
		set(rig, CSR_USED_FAULT_HI, 2);
		assert_int_equal(used_events(rig->used), 0);
		rig_free(rig);
	}
}

static void test_used_ring_beyond_the_address_space_is_a_fault(void **state)
{
	(void)state;
	for (unsigned part = 0; part < 2; part++)
		for (unsigned fits = 0; fits < 2; fits++) {
			struct rig *rig = rig_create(GUEST_BYTES, 1);
			rig_start(rig);
			struct vq vq = {.number = 5, .size = 16};
			*(part ? &vq.avail : &vq.used) =
				0 - (uint64_t)(part ? 6 + 2 * 16 : 6 + 8 * 16) + !fits;
			program(rig, &vq);
			assert_int_equal(get(rig, CSR_USED_FAULT_LO), fits ? 0 : 1u << 5);
			assert_int_equal(queue_get(rig, 5, CSR_USED_QUEUE_CONTROL), fits);
			rig_free(rig);
		}
}

static void test_used_push_without_room_or_slot_is_dropped(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig_start(rig);
	struct vq *vq = vq_create(rig, 0, 256, true, false);
	uint64_t status = guest_alloc(rig, 64, 1, HOST_WRITE);
	for (unsigned i = 0; i < completion_fifo_depth; i++) {
		assert_int_equal(get(rig, CSR_USED_STATE), completion_fifo_depth - i);
		push(rig, vq, i, (uint16_t)i, 0, 0, status + i);
	}
	assert_int_equal(get(rig, CSR_USED_STATE), 0);
	set(rig, CSR_USED_PUSH, 100);
	assert_int_equal(used_stats(rig->used)->dropped, 1);
	sim_run_for(&rig->sim, LONG_PS);
	assert_int_equal(used_idx(rig, vq), completion_fifo_depth);
	assert_int_equal(get(rig, CSR_USED_STATE), completion_fifo_depth);
	set(rig, CSR_USED_PUSH, SLOTS);
	set(rig, CSR_USED_PUSH, 0xffff);
	slot_of(rig, 7)->queue = QUEUES_MAX;
	set(rig, CSR_USED_PUSH, 7);
	sim_run_for(&rig->sim, LONG_PS);
	assert_int_equal(used_stats(rig->used)->dropped, 4);
	assert_int_equal(used_idx(rig, vq), completion_fifo_depth);
	rig_free(rig);
}

/* The host takes nothing for a while, again and again: transfers pile up to a limit, and every one carries its own bytes. */
static void test_used_pile_up_keeps_every_byte(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	struct rng rng;
	rng_seed(&rng, test_seed(3), 0);
	rig->config.used.batch = 256;
	rig_start(rig);
	struct vq *vq[3];
	for (unsigned q = 0; q < 3; q++)
		vq[q] = vq_create(rig, q, 4096, q & 1, false);
	uint64_t status = guest_alloc(rig, 3 * 4096, 1, HOST_WRITE);
	unsigned count[3] = {0}, most = 0;
	for (unsigned step = 0; step < 3000; step++) {
		if (rng_below(&rng, 30) == 0)
			host_set_hold(rig->host, !rig->host->hold);
		unsigned q = (unsigned)rng_below(&rng, 3), slot = 0;
		for (unsigned burst = 1 + (unsigned)rng_below(&rng, 64); burst != 0; burst--) {
			while (slot < SLOTS && rig->slot_out[slot])
				slot++;
			if (slot == SLOTS || get(rig, CSR_USED_STATE) == 0 || count[q] == 4096)
				break;
			push(rig, vq[q], slot, (uint16_t)(count[q] * 3), (uint8_t)(count[q] + 1),
			     count[q] * 5, status + 4096 * q + count[q]);
			count[q]++;
		}
		sim_run_for(&rig->sim, rng_below(&rng, 200 * PS_PER_NS));
		most = max_u32(most, dma_request_fifo_count(&rig->host->requests));
	}
	host_set_hold(rig->host, false);
	sim_run_for(&rig->sim, PS_PER_MS);
	assert_in_range(most, 200, dma_request_fifo_depth);
	for (unsigned q = 0; q < 3; q++) {
		assert_int_equal(used_idx(rig, vq[q]), count[q]);
		for (unsigned i = 0; i < count[q]; i++) {
			assert_int_equal(element_id(rig, vq[q], (uint16_t)i), (uint16_t)(i * 3));
			assert_int_equal(element_len(rig, vq[q], (uint16_t)i), i * 5);
			assert_int_equal(*guest(rig, status + 4096 * q + i, 1), (uint8_t)(i + 1));
		}
	}
	assert_false(used_busy(rig->used));
	rig_free(rig);
}

/* ---- start, stop, reset ---- */

/* Completions of a queue that is stopped are dropped, their slots freed. Busy means that something may still be written. */
static void test_used_stopped_queue_writes_no_more(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig_start(rig);
	struct vq *vq = vq_create(rig, 0, 16, true, false);
	uint64_t status = guest_alloc(rig, 16, 1, HOST_WRITE);
	rig->host->hold = true; /* bus master off */
	push(rig, vq, 0, 1, 0, 0, status);
	sim_run_for(&rig->sim, LONG_PS);
	push(rig, vq, 1, 2, 0, 0, status); /* waits for its turn */
	queue_run(rig, 0, false);
	assert_true(queue_busy(rig, 0));
	sim_run_for(&rig->sim, LONG_PS);
	assert_int_equal(rig->slots_freed, 2);
	assert_int_equal(used_stats(rig->used)->dropped, 1);
	assert_true(queue_busy(rig, 0)); /* the first one's writes have not left yet */
	queue_run(rig, 0, true);
	assert_int_equal(queue_get(rig, 0, CSR_USED_QUEUE_CONTROL), 0); /* not while busy */
	host_set_hold(rig->host, false);
	sim_run_for(&rig->sim, LONG_PS);
	assert_false(queue_busy(rig, 0));
	vq->interrupt_due = false; /* none for a queue that is stopped */
	assert_int_equal(vq->interrupts, 0);
	assert_int_equal(used_idx(rig, vq), 1);
	uint64_t writes = rig->host->writes;
	push(rig, vq, 2, 3, 0, 0, status);
	sim_run_for(&rig->sim, LONG_PS);
	assert_int_equal(rig->host->writes, writes);
	/* The next life begins at index 0. */
	vq = vq_create(rig, 0, 8, true, false);
	assert_int_equal(queue_get(rig, 0, CSR_USED_QUEUE_CONTROL), 1);
	push(rig, vq, 3, 4, 0, 0, status);
	sim_run_for(&rig->sim, LONG_PS);
	assert_int_equal(used_idx(rig, vq), 1);
	assert_int_equal(element_id(rig, vq, 0), 4);
	assert_int_equal(vq->interrupts, 1);
	rig_free(rig);
}

static void test_used_start_needs_a_size_that_is_a_power_of_2(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig_start(rig);
	for (unsigned size = 0; size < 0x10000; size += size < 300 ? 1 : 251) {
		struct vq vq = {.number = 1, .size = (uint16_t)size};
		program(rig, &vq);
		bool power = size == 1 || size == 2 || size == 4 || size == 8 || size == 16 || size == 32 ||
			     size == 64 || size == 128 || size == 256;
		assert_int_equal(queue_get(rig, 1, CSR_USED_QUEUE_CONTROL), power);
		queue_run(rig, 1, false);
	}
	rig_free(rig);
}

static void test_used_reset_at_any_moment_forgets_everything(void **state)
{
	(void)state;
	for (uint64_t reset_ps = 0; reset_ps < 2 * PS_PER_US; reset_ps += 7 * PS_PER_NS) {
		struct rig *rig = rig_create(GUEST_BYTES, reset_ps);
		rig->host->gap_ps = 20 * PS_PER_NS;
		rig->config.used.batch = 4;
		rig_start(rig);
		struct vq *vq[2] = {vq_create(rig, 0, 16, true, false), vq_create(rig, 1, 16, false, false)};
		uint64_t status = guest_alloc(rig, 64, 1, HOST_WRITE);
		for (unsigned i = 0; i < 30; i++)
			push(rig, vq[i / 15], i, (uint16_t)i, 0, 0, status);
		sim_run_for(&rig->sim, reset_ps);
		host_abort(rig->host);
		used_reset(rig->used);
		unsigned freed = rig->slots_freed;
		uint64_t writes = rig->host->writes, reads = rig->host->reads;
		assert_false(used_busy(rig->used));
		for (unsigned q = 0; q < 2; q++) {
			assert_false(queue_busy(rig, q));
			assert_int_equal(queue_get(rig, q, CSR_USED_QUEUE_CONTROL), 0);
		}
		sim_run_for(&rig->sim, LONG_PS);
		assert_int_equal(rig->host->writes, writes);
		assert_int_equal(rig->host->reads, reads);
		assert_int_equal(rig->slots_freed, freed);
		unsigned interrupts = vq[0]->interrupts + vq[1]->interrupts;
		assert_int_equal(used_stats(rig->used)->interrupts, interrupts);
		memset(rig->slot_out, 0, sizeof(rig->slot_out));
		vq[0] = vq_create(rig, 0, 16, true, false);
		push(rig, vq[0], 3, 9, 2, 7, status);
		sim_run_for(&rig->sim, LONG_PS);
		assert_int_equal(used_idx(rig, vq[0]), 1);
		assert_int_equal(element_id(rig, vq[0], 0), 9);
		assert_int_equal(vq[0]->interrupts, 1);
		rig_free(rig);
	}
}

/* ---- time ---- */

/* used.cycles from completion to the first write, and between updates. */
static void test_used_update_takes_the_cycles_of_the_table(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig->config.device.clock_mhz = 500;
	rig->config.used.cycles = 10;
	rig->config.used.batch = 2;
	rig_start(rig);
	struct vq *vq = vq_create(rig, 0, 16, true, false);
	uint64_t status = guest_alloc(rig, 1, 1, HOST_WRITE);
	sim_run_for(&rig->sim, PS_PER_US);
	for (unsigned i = 0; i < 6; i++)
		push(rig, vq, i, 0, 0, 0, status);
	uint64_t start_ps = rig->sim.now_ps;
	assert_true(queue_busy(rig, 0)); /* they wait */
	for (unsigned update = 1; update <= 3; update++) {
		sim_wake(rig->process, rig->sim.now_ps + 5 * PS_PER_NS); /* too early changes nothing */
		sim_run(&rig->sim, start_ps + update * 20 * PS_PER_NS - 1);
		assert_int_equal(used_idx(rig, vq), 2 * (update - 1));
		sim_run(&rig->sim, start_ps + update * 20 * PS_PER_NS);
		assert_int_equal(used_idx(rig, vq), 2 * update);
	}
	assert_int_equal(rig->probe.slot[0].at_ps[STAGE_USED_PUSH], start_ps);
	assert_int_equal(rig->probe.slot[0].at_ps[STAGE_USED], start_ps + 20 * PS_PER_NS);
	sim_run_for(&rig->sim, LONG_PS);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_used_registers_reset_value_and_access),
		REQ_TEST(test_used_status_element_index_go_in_this_order, "D-029 D-030 ORD-001"),
		REQ_TEST(test_used_in_order_writes_one_element_for_a_batch, "D-055"),
		cmocka_unit_test(test_used_rings_of_all_sizes_go_round),
		cmocka_unit_test(test_used_batches_are_of_one_queue_and_limited),
		REQ_TEST(test_used_event_decides_by_the_entries_written, "D-026 D-027 D-028 V-025"),
		REQ_TEST(test_used_first_update_interrupts_for_entry_0_only, "D-027 D-028"),
		REQ_TEST(test_used_flags_decide_without_event_idx, "D-023 D-024 D-025 V-025"),
		REQ_TEST(test_used_updates_go_on_while_a_decision_is_out, "D-027 D-028"),
		REQ_TEST(test_used_unreadable_event_is_a_fault, "V-029"),
		REQ_TEST(test_used_ring_beyond_the_address_space_is_a_fault, "V-020"),
		cmocka_unit_test(test_used_push_without_room_or_slot_is_dropped),
		REQ_TEST(test_used_pile_up_keeps_every_byte, "D-029"),
		REQ_TEST(test_used_stopped_queue_writes_no_more, "D-013 D-014 V-071"),
		REQ_TEST(test_used_start_needs_a_size_that_is_a_power_of_2, "V-055"),
		REQ_TEST(test_used_reset_at_any_moment_forgets_everything, "D-011 V-053"),
		cmocka_unit_test(test_used_update_takes_the_cycles_of_the_table),
	};
	return cmocka_run_group_tests_name("used", tests, NULL, NULL);
}
