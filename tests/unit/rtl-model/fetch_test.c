/* The fetch engine with drivers that keep the rules: records, limits, doorbells, hints, start and stop. What others do is in
 * fetch_bad_test.c, random runs in fetch_random_test.c. */
#include "rtl-model/blocks/fetch/ring_stamps.h"
#include "tests/unit/rtl-model/csr_check.h"
#include "tests/unit/rtl-model/fetch_fixture.h"

#define GUEST_BYTES UINT64_C(0x200000)
#define LONG_PS     (100 * PS_PER_US)

/* ---- registers ---- */

static bool read_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return fetch_csr_read(self, now_ps, offset, value);
}

static bool write_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return fetch_csr_write(self, now_ps, offset, value);
}

static void test_fetch_registers_reset_value_and_access(void **state)
{
	(void)state;
	const uint32_t all = UINT32_MAX;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig->config.fetch.batch = 11;
	rig->config.fetch.prefetch = 7;
	rig->config.fetch.inflight = 5;
	rig_start(rig);
	const struct csr_case cases[] = {
		{.offset = CSR_FETCH_RECORD},
		{.offset = CSR_FETCH_SLOT_ALLOC, .reset = CSR_FETCH_SLOT_ALLOC_VALID_MASK, .action = true},
		{.offset = CSR_FETCH_SLOT_FREE},
		{.offset = CSR_FETCH_QUEUE_SELECT, .writable = QUEUES_MAX - 1},
		{.offset = CSR_FETCH_QUEUE_DESC_LO, .writable = all},
		{.offset = CSR_FETCH_QUEUE_DESC_HI, .writable = all},
		{.offset = CSR_FETCH_QUEUE_AVAIL_LO, .writable = all},
		{.offset = CSR_FETCH_QUEUE_AVAIL_HI, .writable = all},
		{.offset = CSR_FETCH_QUEUE_USED_LO, .writable = all},
		{.offset = CSR_FETCH_QUEUE_USED_HI, .writable = all},
		{.offset = CSR_FETCH_QUEUE_CONFIG, .writable = 0x3ffff},
		{.offset = CSR_FETCH_QUEUE_CONTROL, .writable = 2}, /* no start with that size */
		{.offset = CSR_FETCH_QUEUE_STATE},
		{.offset = CSR_FETCH_FAULT_LO},
		{.offset = CSR_FETCH_FAULT_HI},
		{.offset = CSR_FETCH_BATCH, .reset = 11, .action = true},
		{.offset = CSR_FETCH_PREFETCH, .reset = 7, .action = true},
		{.offset = CSR_FETCH_INFLIGHT, .reset = 5, .action = true},
	};
	const struct csr_block block = {rig->fetch, read_register, write_register};
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
	rig_free(rig);
}

static void test_fetch_limits_are_clamped(void **state)
{
	(void)state;
	static const struct {
		uint32_t offset, max;
	} rows[] = {{CSR_FETCH_BATCH, 256}, {CSR_FETCH_PREFETCH, 32}, {CSR_FETCH_INFLIGHT, 64}};
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig_start(rig);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		set(rig, rows[i].offset, 0);
		assert_int_equal(get(rig, rows[i].offset), 1);
		set(rig, rows[i].offset, UINT32_MAX);
		assert_int_equal(get(rig, rows[i].offset), rows[i].max);
		set(rig, rows[i].offset, rows[i].max - 1);
		assert_int_equal(get(rig, rows[i].offset), rows[i].max - 1);
	}
	rig_free(rig);
}

static void test_fetch_slots_are_given_out_once(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	bool out[SLOTS] = {false};
	rig_start(rig);
	for (unsigned i = 0; i < SLOTS; i++) {
		uint32_t slot = get(rig, CSR_FETCH_SLOT_ALLOC);
		assert_true(slot >> 31 && (slot & 0xffff) < SLOTS && !out[slot & 0xffff]);
		out[slot & 0xffff] = true;
	}
	assert_int_equal(get(rig, CSR_FETCH_SLOT_ALLOC), 0);
	assert_int_equal(slots_in_use(rig), SLOTS);
	free_slot(rig, 17);
	free_slot(rig, 17); /* twice, and one that does not exist: no harm */
	free_slot(rig, SLOTS);
	assert_int_equal(stats_of(rig)->bad_frees, 2);
	assert_int_equal(get(rig, CSR_FETCH_SLOT_ALLOC), CSR_FETCH_SLOT_ALLOC_VALID_MASK | 17);
	assert_int_equal(get(rig, CSR_FETCH_SLOT_ALLOC), 0);
	rig_free(rig);
}

/* ---- records ---- */

/* Adds a chain laid out by `layout`, rings, and expects its record. */
enum layout { DIRECT, TABLE, HEADER_DIRECT, ALL_BUT_ONE_DIRECT, TABLE_WITH_WRITE, LAYOUTS };

static void put_layout(struct rig *rig, const struct vq *vq, unsigned first, const struct chain *chain,
		       enum layout layout)
{
	unsigned direct = layout == HEADER_DIRECT ? 1 : layout == ALL_BUT_ONE_DIRECT ? chain->count - 1 : 0;
	if (layout == DIRECT) {
		put_chain(rig, vq, first, chain);
		return;
	}
	for (unsigned i = 0; i < direct; i++)
		put_desc(rig, vq, first + i, chain->piece[i].addr, chain->piece[i].bytes,
			 (uint16_t)(NEXT | (chain->piece[i].write ? WRITE : 0)), (uint16_t)(first + i + 1));
	put_desc(rig, vq, first + direct, put_table(rig, chain, direct), 16 * (chain->count - direct),
		 (uint16_t)(INDIRECT | (layout == TABLE_WITH_WRITE ? WRITE : 0)), 0xffff);
}

static void test_fetch_record_says_what_the_driver_wrote(void **state)
{
	(void)state;
	for (unsigned layout = 0; layout < LAYOUTS; layout++)
		for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
			struct rig *rig = rig_create(GUEST_BYTES, layout);
			rig_start(rig);
			struct vq vq = vq_create(rig, 5, 8, event_idx, true);
			struct chain chain = plain_chain(rig, 3000, event_idx, layout);
			program(rig, &vq);
			put_layout(rig, &vq, 2, &chain, (enum layout)layout);
			add_head(rig, &vq, 2);
			publish(rig, &vq);
			serve(rig, &vq);
			sim_run_for(&rig->sim, LONG_PS);
			int slot = take_record(rig);
			assert_true(slot >= 0);
			assert_record(rig, (unsigned)slot, &vq, 2, 0, &chain);
			assert_int_equal(take_record(rig), -1);
			assert_at_rest(rig);
			assert_true(rig->event_wakes > 0);
			assert_int_equal(slots_in_use(rig), 1);
			free_slot(rig, (unsigned)slot);
			assert_int_equal(slots_in_use(rig), 0);
			rig_free(rig);
		}
}

/* The header in any pieces: bit n of `cuts` ends one after byte n. With data behind it in the last one, or not. */
static void check_cut(struct rig *rig, struct vq *vq, unsigned cuts, bool joined)
{
	struct chain chain = {0};
	rig->free_addr = vq->used + 6 + 8 * (uint64_t)vq->size;
	for (unsigned i = 0; i < 16; i++)
		chain.header[i] = (uint8_t)(cuts * 5 + i);
	unsigned have = 0;
	for (unsigned i = 1; i <= 16; i++)
		if (i == 16 || cuts >> (i - 1) & 1) {
			add_header_piece(rig, &chain, have, i - have + (i == 16 && joined ? 512 : 0));
			have = i;
		}
	add_piece(rig, &chain, 513, true, 0); /* data and status in one, too */
	unsigned first = vq->index % 7;
	put_chain(rig, vq, first, &chain);
	add_head(rig, vq, (uint16_t)first);
	publish(rig, vq);
	serve(rig, vq);
	sim_run_for(&rig->sim, 10 * PS_PER_US);
	int slot = take_record(rig);
	assert_true(slot >= 0);
	assert_record(rig, (unsigned)slot, vq, (uint16_t)first, (uint16_t)(vq->index - 1), &chain);
	free_slot(rig, (unsigned)slot);
}

static void test_fetch_header_may_be_cut_anywhere(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig->host->read_ps_max = PS_PER_US;
	rig_start(rig);
	struct vq vq = vq_create(rig, 0, 32, false, false);
	program(rig, &vq);
	for (unsigned cuts = 0; cuts < 1u << 15; cuts++)
		check_cut(rig, &vq, cuts, cuts & 1);
	assert_int_equal(rig->host->reads_out_max,
			 4); /* however many pieces: the DMA channel's queue is finite */
	rig_free(rig);
}

/* The device reads each descriptor and the header once: what is checked is what is used, whatever the driver does to them
 * afterwards. */
static void scribble(void *ctx, const struct dma_request *request)
{
	struct rig *rig = ctx;
	if (request->bytes >= 4 && !request->write)
		memset(guest(rig, request->addr, request->bytes), 0xff, request->bytes);
}

static void test_fetch_reads_everything_once(void **state)
{
	(void)state;
	for (unsigned layout = 0; layout < LAYOUTS; layout++) {
		struct rig *rig = rig_create(GUEST_BYTES, layout);
		rig->config.fetch.prefetch = 32;
		rig_start(rig);
		struct vq vq = vq_create(rig, 0, 16, true, true);
		struct chain chain = plain_chain(rig, 512, true, layout);
		program(rig, &vq);
		put_layout(rig, &vq, 0, &chain, (enum layout)layout);
		add_head(rig, &vq, 0);
		publish(rig, &vq);
		serve(rig, &vq);
		while (rig->fetch->stats.ring_entries == 0)
			sim_run_for(&rig->sim, 1000);
		rig->host->ctx = rig;
		rig->host->answered = scribble; /* as soon as it has been read */
		sim_run_for(&rig->sim, LONG_PS);
		int slot = take_record(rig);
		assert_true(slot >= 0);
		assert_record(rig, (unsigned)slot, &vq, 0, 0, &chain);
		rig_free(rig);
	}
}

/* ---- limits ---- */

struct limit_watch {
	struct rig *rig;
	const struct vq *vq;
	unsigned ring_bytes_max, table_bytes_max, indirect_bytes_max;
	uint64_t ring_reads, index_reads, table_reads, indirect_reads, header_reads, writes;
	uint64_t entries;
};

static void watch(void *ctx, const struct dma_request *request)
{
	struct limit_watch *w = ctx;
	const struct vq *vq = w->vq;
	uint64_t addr = request->addr;
	if (request->write) {
		w->writes++;
	} else if (addr == vq->avail) {
		w->index_reads++;
		assert_int_equal(request->bytes, 4);
	} else if (addr > vq->avail && addr < vq->avail + 4 + 2 * (uint64_t)vq->size) {
		w->ring_reads++;
		w->entries += request->bytes / 2;
		w->ring_bytes_max = max_u32(w->ring_bytes_max, request->bytes);
	} else if (addr >= vq->desc && addr < vq->desc + 16 * (uint64_t)vq->size) {
		w->table_reads++;
		w->table_bytes_max = max_u32(w->table_bytes_max, request->bytes);
	} else if (request->bytes % 16 == 0 && request->bytes > 16) {
		w->indirect_reads++;
		w->indirect_bytes_max = max_u32(w->indirect_bytes_max, request->bytes);
	} else {
		w->header_reads++;
	}
	assert_true(fetch_walkers_busy(w->rig->fetch) <= w->rig->config.fetch.inflight);
}

/* 64 requests at once: every limit is used to the full and kept, and every read is counted. */
static void check_limits(unsigned batch, unsigned prefetch, unsigned inflight)
{
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig->config.fetch.batch = batch;
	rig->config.fetch.prefetch = prefetch;
	rig->config.fetch.inflight = inflight;
	rig_start(rig);
	struct vq vq = vq_create(rig, 3, 256, true, true);
	struct limit_watch w = {.rig = rig, .vq = &vq};
	static struct chain chain[64];
	program(rig, &vq);
	rig->host->ctx = &w;
	rig->host->taken = watch;
	for (unsigned i = 0; i < 64; i++) {
		chain[i] = plain_chain(rig, 64, true, i);
		if (i % 4 == 3) {
			for (unsigned k = 0; k < 40; k++) /* a table of more than one read */
				add_piece(rig, &chain[i], 32, true, 0);
			put_desc(rig, &vq, 3 * i, put_table(rig, &chain[i], 0), 16 * 43, INDIRECT, 0);
		} else {
			put_chain(rig, &vq, 3 * i, &chain[i]);
		}
		add_head(rig, &vq, (uint16_t)(3 * i));
	}
	publish(rig, &vq);
	serve(rig, &vq);
	sim_run_for(&rig->sim, PS_PER_MS);
	bool seen[64] = {false};
	for (unsigned i = 0; i < 64; i++) {
		int slot = take_record(rig);
		assert_true(slot >= 0);
		uint16_t sequence = slot_of(rig, (unsigned)slot)->sequence;
		assert_true(sequence < 64 && !seen[sequence]);
		seen[sequence] = true;
		assert_record(rig, (unsigned)slot, &vq, (uint16_t)(3 * sequence), sequence, &chain[sequence]);
	}
	const struct fetch_stats *stats = &rig->fetch->stats;
	assert_int_equal(w.ring_bytes_max, 2 * min_u32(batch, 64));
	assert_int_equal(w.table_bytes_max, 16 * prefetch);
	assert_int_equal(w.indirect_bytes_max, 16 * 32);
	assert_int_equal(w.ring_reads, (64 + batch - 1) / batch);
	assert_int_equal(w.entries, 64);
	assert_int_equal(stats->ring_entries, 64);
	assert_int_equal(stats->ring_reads, w.ring_reads);
	assert_int_equal(stats->index_reads, w.index_reads);
	assert_int_equal(stats->descriptor_reads, w.table_reads + w.indirect_reads);
	assert_int_equal(stats->header_reads, w.header_reads);
	assert_int_equal(stats->arm_writes, w.writes);
	assert_int_equal(stats->indirect_tables, 16);
	assert_int_equal(stats->descriptors, 48 * 3 + 16 * (1 + 43));
	assert_int_equal(stats->requests, 64);
	assert_int_equal(stats->bad_chains, 0);
	assert_int_equal(stats->services, 1);
	assert_int_equal(stats->empty_services, 0);
	assert_int_equal(stats->stall_no_walker != 0, inflight != 64);
	assert_true(rig->host->reads_out_max <= 4 * inflight + 2);
	assert_at_rest(rig);
	rig_free(rig);
}

static void test_fetch_limits_are_kept_and_reads_are_counted(void **state)
{
	(void)state;
	static const unsigned batches[] = {1, 5, 16, 256}, prefetches[] = {1, 4, 32},
			      inflights[] = {1, 3, 64};
	for (unsigned b = 0; b < ARRAY_SIZE(batches); b++)
		for (unsigned p = 0; p < ARRAY_SIZE(prefetches); p++)
			for (unsigned i = 0; i < ARRAY_SIZE(inflights); i++)
				check_limits(batches[b], prefetches[p], inflights[i]);
}

/* Every queue size, all the way round the ring; indices wrap through 65535 for some of them. Reads never leave the ring:
 * the host checks. */
static void run_round(uint16_t size, unsigned total)
{
	struct rig *rig = rig_create(GUEST_BYTES, size);
	rig->config.fetch.batch = 64;
	rig->config.fetch.prefetch = 3;
	rig_start(rig);
	struct vq vq = vq_create(rig, 0, size, true, false);
	struct chain chain = plain_chain(rig, 0, false, size);
	chain.piece[0].write = false;
	/* One descriptor is enough for a header and no status: a record with an error, which is all we need. */
	for (unsigned i = 0; i < size; i++)
		put_desc(rig, &vq, i, chain.piece[0].addr, 16, 0, 0);
	program(rig, &vq);
	serve(rig, &vq);
	unsigned taken = 0;
	while (taken < total) {
		unsigned group = min_u32(min_u32(size, 100), total - taken);
		for (unsigned i = 0; i < group; i++)
			add_head(rig, &vq, (uint16_t)((taken + i) * 7 % size));
		publish(rig, &vq);
		if (kick_wanted(rig, &vq))
			serve(rig, &vq);
		sim_run_for(&rig->sim, 20 * PS_PER_US);
		for (unsigned i = 0; i < group; i++, taken++) {
			int slot = take_record(rig);
			assert_true(slot >= 0);
			const struct slot *record = slot_of(rig, (unsigned)slot);
			assert_int_equal(record->sequence, taken & 0xffff);
			assert_int_equal(record->head, taken * 7 % size);
			assert_int_equal(record->error, RECORD_ERROR_NO_STATUS);
			free_slot(rig, (unsigned)slot);
		}
	}
	assert_int_equal(take_record(rig), -1);
	assert_int_equal(fetched(rig, 0), total & 0xffff);
	rig_free(rig);
}

static void test_fetch_rings_of_all_sizes_go_round(void **state)
{
	(void)state;
	for (unsigned size = 1; size <= 32768; size *= 2)
		run_round((uint16_t)size,
			  size == 2 || size == 256 || size == 32768 ? 66000 : 3 * min_u32(size, 3000));
}

/* ---- slots ---- */

/* More requests than slots: the rest waits until slots come back, and nothing is lost. */
static void test_fetch_without_slots_waits_for_them(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig->config.fetch.batch = 200;
	rig_start(rig);
	struct vq vq = vq_create(rig, 0, 1024, true, false);
	struct chain chain = plain_chain(rig, 512, true, 1);
	put_chain(rig, &vq, 0, &chain);
	program(rig, &vq);
	for (unsigned i = 0; i < 600; i++)
		add_head(rig, &vq, 0); /* the same one over and over: V-023 */
	publish(rig, &vq);
	serve(rig, &vq);
	sim_run_for(&rig->sim, PS_PER_MS);
	assert_int_equal(slots_in_use(rig), SLOTS);
	assert_int_equal(fetched(rig, 0), SLOTS);
	assert_true(rig->fetch->stats.stall_no_slot > 0);
	for (unsigned taken = 0; taken < 600; taken++) {
		if (taken % 3 == 0)
			sim_run_for(&rig->sim, 10 * PS_PER_US);
		int slot = take_record(rig);
		assert_true(slot >= 0);
		assert_record(rig, (unsigned)slot, &vq, 0, (uint16_t)taken, &chain);
		free_slot(rig, (unsigned)slot);
	}
	sim_run_for(&rig->sim, PS_PER_MS);
	assert_int_equal(take_record(rig), -1);
	assert_int_equal(slots_in_use(rig), 0);
	assert_at_rest(rig);
	rig_free(rig);
}

/* A slot promised to an entry that is being read is not given to the firmware. */
static void test_fetch_promised_slots_are_not_given_out(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig->config.fetch.batch = 100;
	rig_start(rig);
	struct vq vq = vq_create(rig, 0, 128, true, false);
	struct chain chain = plain_chain(rig, 512, true, 1);
	put_chain(rig, &vq, 0, &chain);
	program(rig, &vq);
	for (unsigned i = 0; i < 100; i++)
		add_head(rig, &vq, 0);
	publish(rig, &vq);
	serve(rig, &vq);
	unsigned given = 0;
	while (rig->fetch->stats.ring_reads == 0)
		sim_run_for(&rig->sim, 1000);
	while (get(rig, CSR_FETCH_SLOT_ALLOC) != 0)
		given++;
	assert_int_equal(given, SLOTS - 100);
	sim_run_for(&rig->sim, 600 * PS_PER_NS); /* entries known, chains being walked, heads waiting */
	assert_int_equal(get(rig, CSR_FETCH_SLOT_ALLOC), 0);
	sim_run_for(&rig->sim, LONG_PS);
	for (unsigned i = 0; i < 100; i++)
		assert_true(take_record(rig) >= 0);
	rig_free(rig);
}

/* All queues at once, each with more requests than its share: entries that are being read have their slots set aside. */
static void test_fetch_queues_share_the_slots(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig->config.fetch.batch = 256;
	rig->host->read_ps_max = 900 * PS_PER_NS;
	rig_start(rig);
	struct vq vq[QUEUES_MAX];
	struct chain chain = plain_chain(rig, 512, true, 1);
	for (unsigned q = 0; q < QUEUES_MAX; q++) {
		vq[q] = vq_create(rig, q, 256, true, false);
		put_chain(rig, &vq[q], 0, &chain);
		program(rig, &vq[q]);
		for (unsigned i = 0; i < 100; i++)
			add_head(rig, &vq[q], 0);
		publish(rig, &vq[q]);
	}
	unsigned done[QUEUES_MAX] = {0}, total = 0, kicked = 0;
	while (total < 100 * QUEUES_MAX) {
		while (kicked < QUEUES_MAX && !service_fifo_full(&rig->fetch->services))
			serve(rig, &vq[kicked++]);
		sim_run_for(&rig->sim, 3 * PS_PER_US);
		int slot;
		while ((slot = take_record(rig)) >= 0) {
			unsigned q = slot_of(rig, (unsigned)slot)->queue;
			assert_record(rig, (unsigned)slot, &vq[q], 0, slot_of(rig, (unsigned)slot)->sequence,
				      &chain);
			done[q]++;
			total++;
			free_slot(rig, (unsigned)slot);
		}
		assert_true(rig->sim.now_ps < PS_PER_S);
	}
	for (unsigned q = 0; q < QUEUES_MAX; q++)
		assert_int_equal(done[q], 100);
	assert_int_equal(take_record(rig), -1);
	rig_free(rig);
}

/* One queue that always has work does not keep another one from the slots. */
static void test_fetch_busy_queue_leaves_slots_to_others(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig_start(rig);
	struct chain chain = plain_chain(rig, 512, true, 1);
	struct vq vq[2];
	for (unsigned q = 0; q < 2; q++) {
		vq[q] = vq_create(rig, q, 4096, true, false);
		put_chain(rig, &vq[q], 0, &chain);
		program(rig, &vq[q]);
		for (unsigned i = 0; i < 2000; i++)
			add_head(rig, &vq[q], 0);
		publish(rig, &vq[q]);
		serve(rig, &vq[q]);
	}
	unsigned done[2] = {0};
	sim_run_for(&rig->sim, 100 * PS_PER_US); /* all slots are taken now */
	for (unsigned i = 0; i < 1000; i++) {
		int slot = take_record(rig);
		assert_true(slot >= 0);
		done[slot_of(rig, (unsigned)slot)->queue]++;
		free_slot(rig, (unsigned)slot);
		sim_run_for(&rig->sim, 5 * PS_PER_US);
	}
	assert_in_range(done[0], 400, 600);
	assert_in_range(done[1], 400, 600);
	rig_free(rig);
}

/* ---- doorbells ---- */

struct access {
	bool write;
	uint64_t addr;
	uint16_t value;
};

struct trace {
	struct access access[64];
	unsigned count;
};

static void trace_access(void *ctx, const struct dma_request *request)
{
	struct trace *trace = ctx;
	assert_true(trace->count < ARRAY_SIZE(trace->access));
	trace->access[trace->count++] =
		(struct access){request->write, request->addr, request->write ? load_le16(request->data) : 0};
}

static void assert_trace(struct trace *trace, const struct access *expected, unsigned count)
{
	assert_int_equal(trace->count, count);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(trace->access[i].write, expected[i].write);
		assert_int_equal(trace->access[i].addr, expected[i].addr);
		assert_int_equal(trace->access[i].value, expected[i].value);
	}
	trace->count = 0;
}

/* An empty ring with EVENT_IDX: index, then avail_event, then the index once more behind it. Further doorbells with nothing
 * new only look. used.flags stays alone. */
static void test_fetch_event_idx_arms_and_looks_again(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	struct trace trace = {0};
	rig->host->ctx = &trace;
	rig->host->taken = trace_access;
	rig_start(rig);
	struct vq vq = vq_create(rig, 0, 8, true, false);
	uint64_t event = vq.used + 4 + 8 * 8;
	program(rig, &vq);
	sim_run_for(&rig->sim, LONG_PS);
	assert_int_equal(trace.count, 0); /* a start looks at nothing by itself */
	serve(rig, &vq);
	sim_run_for(&rig->sim, LONG_PS);
	assert_trace(&trace, (struct access[]){{false, vq.avail, 0}, {true, event, 0}, {false, vq.avail, 0}},
		     3);
	serve(rig, &vq);
	sim_run_for(&rig->sim, LONG_PS);
	assert_trace(&trace, (struct access[]){{false, vq.avail, 0}}, 1);
	assert_int_equal(rig->fetch->stats.empty_services, 2);
	add_head(rig, &vq, 9); /* a bad one: no descriptor read in the trace */
	publish(rig, &vq);
	assert_true(kick_wanted(rig, &vq));
	serve(rig, &vq);
	sim_run_for(&rig->sim, LONG_PS);
	assert_trace(&trace,
		     (struct access[]){{false, vq.avail, 0},
				       {false, vq.avail + 4, 0},
				       {true, event, 1},
				       {false, vq.avail, 0}},
		     4);
	assert_int_equal(avail_event(rig, &vq), 1);
	rig_free(rig);
}

/* Without EVENT_IDX the default is doorbells: nothing is written. */
static void test_fetch_without_event_idx_writes_nothing(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	struct trace trace = {0};
	rig->host->ctx = &trace;
	rig->host->taken = trace_access;
	rig_start(rig);
	struct vq vq = vq_create(rig, 0, 8, false, false);
	program(rig, &vq);
	serve(rig, &vq);
	sim_run_for(&rig->sim, LONG_PS);
	assert_trace(&trace, (struct access[]){{false, vq.avail, 0}}, 1);
	add_head(rig, &vq, 9);
	publish(rig, &vq);
	assert_true(kick_wanted(rig, &vq));
	serve(rig, &vq);
	sim_run_for(&rig->sim, LONG_PS);
	assert_trace(&trace, (struct access[]){{false, vq.avail, 0}, {false, vq.avail + 4, 0}}, 2);
	rig_free(rig);
}

/* Polling: the driver is told not to ring, avail.idx is read on and on; at the end doorbells are asked for again and the
 * ring is looked at behind that. */
static void check_poll(bool event_idx)
{
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig_start(rig);
	struct vq vq = vq_create(rig, 2, 8, event_idx, false);
	program(rig, &vq);
	serve(rig, &vq);
	sim_run_for(&rig->sim, LONG_PS);
	assert_int_equal(rig->fetch->stats.arm_writes, event_idx);
	queue_set(rig, 2, CSR_FETCH_QUEUE_CONTROL, 3);
	sim_run_for(&rig->sim, LONG_PS);
	assert_int_equal(queue_get(rig, 2, CSR_FETCH_QUEUE_CONTROL), 3);
	uint64_t looks = rig->fetch->stats.index_reads;
	assert_in_range(looks, LONG_PS / (510 * PS_PER_NS), LONG_PS / (499 * PS_PER_NS) + 3);
	for (unsigned i = 0; i < 5; i++) {
		add_head(rig, &vq, 9);
		publish(rig, &vq);
		bool kick = kick_wanted(rig, &vq);
		assert_int_equal(kick, event_idx && i == 0); /* avail_event stood at 0 */
		sim_run_for(&rig->sim, 5 * PS_PER_US);
		int slot = take_record(rig);
		assert_true(slot >= 0);
		free_slot(rig, (unsigned)slot);
	}
	queue_set(rig, 2, CSR_FETCH_QUEUE_CONTROL, 1);
	sim_run_for(&rig->sim, LONG_PS);
	assert_true(host_idle(rig->host)); /* rests */
	if (event_idx)
		assert_int_equal(avail_event(rig, &vq), 5);
	else
		assert_int_equal(used_flags(rig, &vq), 0);
	add_head(rig, &vq, 9);
	publish(rig, &vq);
	assert_true(kick_wanted(rig, &vq));
	rig_free(rig);
}

static void test_fetch_polling_suppresses_doorbells(void **state)
{
	(void)state;
	check_poll(false);
	check_poll(true);
}

/* Doorbells in heaps, for all queues and for ones that do not run: each costs one look at most. */
static void test_fetch_storm_of_doorbells_is_bounded(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig_start(rig);
	struct vq vq = vq_create(rig, 0, 8, true, false), off = vq;
	off.number = 63;
	program(rig, &vq);
	unsigned rings = 0;
	for (unsigned i = 0; i < 20000; i++) {
		for (unsigned k = 0; k < 2; k++)
			if (!service_fifo_full(&rig->fetch->services))
				serve(rig, k ? &off : &vq), rings += !k;
		sim_run_for(&rig->sim, 20 * PS_PER_NS);
	}
	sim_run_for(&rig->sim, LONG_PS);
	const struct fetch_stats *stats = &rig->fetch->stats;
	assert_true(stats->index_reads <= rings + 2);
	assert_true(stats->index_reads <= 20000 * 20 / 500 + 3); /* one at a time */
	assert_int_equal(stats->arm_writes, 1);
	add_head(rig, &vq, 9);
	publish(rig, &vq);
	serve(rig, &vq);
	sim_run_for(&rig->sim, LONG_PS);
	assert_true(take_record(rig) >= 0);
	rig_free(rig);
}

/* ---- NOTIFICATION_DATA ---- */

static uint64_t record_latency(struct rig *rig, struct vq *vq, bool hinted, uint16_t hint)
{
	uint64_t start_ps = rig->sim.now_ps;
	serve_hinted(rig, vq, hinted, hint);
	while (!(fetch_events(rig->fetch, rig->sim.now_ps) & CSR_SYS_EVENTS_RECORD_MASK)) {
		sim_run_for(&rig->sim, 1000);
		assert_true(rig->sim.now_ps < start_ps + LONG_PS);
	}
	return rig->sim.now_ps - start_ps;
}

static void test_fetch_hint_saves_a_read_in_the_chain(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig_start(rig);
	struct vq vq = vq_create(rig, 0, 16, true, false);
	struct chain chain = plain_chain(rig, 512, true, 1);
	program(rig, &vq);
	sim_run_for(&rig->sim, LONG_PS);
	put_chain(rig, &vq, 0, &chain);
	uint64_t latency_ps[2];
	for (unsigned hinted = 0; hinted < 2; hinted++) {
		add_head(rig, &vq, 0);
		publish(rig, &vq);
		latency_ps[hinted] = record_latency(rig, &vq, hinted, vq.index);
		int slot = take_record(rig);
		assert_record(rig, (unsigned)slot, &vq, 0, (uint16_t)(vq.index - 1), &chain);
		sim_run_for(&rig->sim, LONG_PS);
		assert_int_equal(avail_event(rig, &vq),
				 vq.index); /* armed, though the hint brought everything */
		assert_at_rest(rig);
	}
	assert_in_range(latency_ps[0] - latency_ps[1], 499 * PS_PER_NS, 510 * PS_PER_NS);
	rig_free(rig);
}

/* Whatever the hint, the requests are those that avail.idx covers: not one fewer or more. */
static void test_fetch_hint_is_verified_against_memory(void **state)
{
	(void)state;
	static const uint16_t offsets[] = {0,  1,   2,      3,      4,      15,     16,
					   17, 100, 0x7fff, 0x8000, 0xff00, 0xfffe, 0xffff};
	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++)
		for (unsigned published = 0; published < 4; published++) {
			struct rig *rig = rig_create(GUEST_BYTES, i);
			rig->host->read_ps_max = 900 * PS_PER_NS; /* index first or entries first */
			rig->host->read_ps_min = 100 * PS_PER_NS;
			rig_start(rig);
			struct vq vq = vq_create(rig, 0, 16, i & 1, false);
			program(rig, &vq);
			serve(rig, &vq);
			sim_run_for(&rig->sim, LONG_PS);
			for (unsigned k = 0; k < 16; k++) /* old entries, as far as they are not new */
				add_head(rig, &vq, 99);
			vq.added = 0;
			for (unsigned k = 0; k < published; k++)
				add_head(rig, &vq, 20);
			publish(rig, &vq);
			serve_hinted(rig, &vq, true, offsets[i]);
			sim_run_for(&rig->sim, LONG_PS);
			for (unsigned k = 0; k < published; k++) {
				int slot = take_record(rig);
				assert_true(slot >= 0);
				assert_int_equal(slot_of(rig, (unsigned)slot)->head, 20);
				assert_int_equal(slot_of(rig, (unsigned)slot)->sequence, k);
			}
			assert_int_equal(take_record(rig), -1);
			assert_int_equal(fetched(rig, 0), published);
			assert_int_equal(get(rig, CSR_FETCH_FAULT_LO), 0);
			assert_at_rest(rig);
			rig_free(rig);
		}
}

/* ---- start and stop ---- */

static void test_fetch_start_needs_a_size_that_is_a_power_of_2(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig_start(rig);
	for (unsigned size = 0; size < 0x10000; size += size < 300 ? 1 : 251) {
		struct vq vq = {.number = 1, .size = (uint16_t)size};
		program(rig, &vq);
		bool power = size == 1 || size == 2 || size == 4 || size == 8 || size == 16 || size == 32 ||
			     size == 64 || size == 128 || size == 256;
		assert_int_equal(queue_get(rig, 1, CSR_FETCH_QUEUE_CONTROL), power);
		queue_set(rig, 1, CSR_FETCH_QUEUE_CONTROL, 0);
	}
	rig_free(rig);
}

/* After a stop no more buffers are taken; a start is a new life at index 0, and it waits for the end of the old one. */
static void test_fetch_stop_and_start_leave_nothing_behind(void **state)
{
	(void)state;
	unsigned turn = 0;
	for (uint64_t stop_ps = 0; stop_ps < 6 * PS_PER_US; stop_ps += 37 * PS_PER_NS) {
		struct rig *rig = rig_create(GUEST_BYTES, stop_ps);
		rig->config.fetch.inflight = 2; /* so that heads wait */
		rig->host->read_ps_min = 300 * PS_PER_NS;
		rig->host->read_ps_max = PS_PER_US;
		rig_start(rig);
		struct vq vq = vq_create(rig, 9, 32, turn++ & 1, false);
		struct chain chain = plain_chain(rig, 512, true, 1);
		put_chain(rig, &vq, 0, &chain);
		program(rig, &vq);
		for (unsigned i = 0; i < 20; i++)
			add_head(rig, &vq, 0);
		publish(rig, &vq);
		serve(rig, &vq);
		sim_run_for(&rig->sim, stop_ps);
		queue_set(rig, 9, CSR_FETCH_QUEUE_CONTROL, 0);
		uint16_t taken = fetched(rig, 9);
		/* A start now is ignored as long as something of the old life is under way. */
		bool busy = queue_get(rig, 9, CSR_FETCH_QUEUE_STATE) & CSR_FETCH_QUEUE_STATE_BUSY_MASK;
		queue_set(rig, 9, CSR_FETCH_QUEUE_CONTROL, 1);
		assert_int_equal(queue_get(rig, 9, CSR_FETCH_QUEUE_CONTROL), !busy);
		queue_set(rig, 9, CSR_FETCH_QUEUE_CONTROL, 0);
		uint64_t index_reads = rig->fetch->stats.index_reads;
		uint64_t begun = rig->fetch->stats.requests + fetch_walkers_busy(rig->fetch);
		sim_run_for(&rig->sim, LONG_PS);
		assert_int_equal(rig->fetch->stats.requests, begun);
		assert_int_equal(rig->fetch->stats.index_reads, index_reads);
		int slot;
		while ((slot = take_record(rig)) >= 0) {
			assert_true(slot_of(rig, (unsigned)slot)->sequence < taken);
			free_slot(rig, (unsigned)slot);
		}
		assert_at_rest(rig);
		assert_false(queue_get(rig, 9, CSR_FETCH_QUEUE_STATE) & CSR_FETCH_QUEUE_STATE_BUSY_MASK);
		assert_int_equal(slots_in_use(rig), 0);
		assert_slots_free(rig);
		/* The new life, with another ring. */
		struct vq again = vq_create(rig, 9, 16, true, false);
		struct chain other = plain_chain(rig, 1024, false, 2);
		put_chain(rig, &again, 5, &other);
		store_le16(guest(rig, again.used + 4 + 8 * 16, 2), 0x1234);
		program(rig, &again);
		assert_int_equal(fetched(rig, 9), 0);
		serve(rig, &again);
		sim_run_for(&rig->sim, LONG_PS);
		assert_int_equal(avail_event(rig, &again), 0); /* nothing is left of what was known before */
		add_head(rig, &again, 5);
		publish(rig, &again);
		serve(rig, &again);
		sim_run_for(&rig->sim, LONG_PS);
		slot = take_record(rig);
		assert_true(slot >= 0);
		assert_record(rig, (unsigned)slot, &again, 5, 0, &other);
		assert_int_equal(take_record(rig), -1);
		assert_int_equal(avail_event(rig, &again), 1);
		rig_free(rig);
	}
}

/* A queue stopped while doorbells were suppressed begins its next life with doorbells. */
static void test_fetch_start_forgets_suppression(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig_start(rig);
	for (unsigned life = 0; life < 3; life++) {
		struct vq vq = vq_create(rig, 0, 8, false, false);
		program(rig, &vq);
		queue_set(rig, 0, CSR_FETCH_QUEUE_CONTROL, 3);
		sim_run_for(&rig->sim, LONG_PS);
		assert_int_equal(used_flags(rig, &vq), 1);
		assert_int_equal(rig->fetch->stats.arm_writes, life + 1);
		queue_set(rig, 0, CSR_FETCH_QUEUE_CONTROL, 0);
		sim_run_for(&rig->sim, LONG_PS);
	}
	rig_free(rig);
}

/* The whole block is reset at any moment; what the DMA engine has sent out does not come back. */
static void test_fetch_reset_at_any_moment_forgets_everything(void **state)
{
	(void)state;
	for (uint64_t reset_ps = 0; reset_ps < 6 * PS_PER_US; reset_ps += 41 * PS_PER_NS) {
		struct rig *rig = rig_create(GUEST_BYTES, reset_ps);
		rig->host->read_ps_min = 300 * PS_PER_NS;
		rig->host->read_ps_max = PS_PER_US;
		rig_start(rig);
		struct vq vq[3];
		struct chain chain = plain_chain(rig, 512, true, 1);
		for (unsigned q = 0; q < 3; q++) {
			vq[q] = vq_create(rig, 20 * q, 128, q & 1, false);
			put_chain(rig, &vq[q], 0, &chain);
			program(rig, &vq[q]);
			for (unsigned i = 0; i < 110; i++)
				add_head(rig, &vq[q], 0);
			publish(rig, &vq[q]);
			serve(rig, &vq[q]);
		}
		sim_run_for(&rig->sim, reset_ps);
		if (!service_fifo_full(&rig->fetch->services))
			serve(rig, &vq[1]);
		host_abort(rig->host);
		fetch_reset(rig->fetch);
		assert_false(fetch_busy(rig->fetch));
		assert_int_equal(slots_in_use(rig), 0);
		assert_int_equal(fetch_events(rig->fetch, rig->sim.now_ps), 0);
		free_slot(rig, 0); /* of the old life */
		assert_slots_free(rig);
		static uint8_t before[SRAM_BYTES];
		memcpy(before, rig->sram, sizeof(before));
		program(rig, &vq[1]); /* the old service is not for this life */
		uint64_t reads = rig->host->reads, writes = rig->host->writes;
		sim_run_for(&rig->sim, LONG_PS);
		assert_int_equal(rig->host->reads, reads);
		assert_int_equal(rig->host->writes, writes);
		assert_memory_equal(rig->sram, before, sizeof(before));
		assert_int_equal(take_record(rig), -1);
		for (unsigned q = 0; q < 3; q++)
			assert_int_equal(queue_get(rig, 20 * q, CSR_FETCH_QUEUE_CONTROL), q == 1);
		queue_set(rig, 20, CSR_FETCH_QUEUE_CONTROL, 0);
		struct vq again = vq_create(rig, 20, 64, true, false);
		put_chain(rig, &again, 1, &chain);
		program(rig, &again);
		add_head(rig, &again, 1);
		publish(rig, &again);
		serve(rig, &again);
		sim_run_for(&rig->sim, LONG_PS);
		int slot = take_record(rig);
		assert_true(slot >= 0);
		assert_record(rig, (unsigned)slot, &again, 1, 0, &chain);
		rig_free(rig);
	}
}

/* ---- time ---- */

/* Four reads one behind the other, and the cycles of the table. Those of the RTL are what they are. */
static void test_fetch_record_takes_the_cycles_of_the_table(void **state)
{
	(void)state;
	static const struct {
		unsigned ring, head, parse, record;
	} rows[] = {{4, 6, 3, 3}, {2, 6, 3, 3}, {4, 60, 3, 3}, {4, 6, 100, 3}, {4, 6, 3, 50}};
	const uint64_t read_ps = 500 * PS_PER_NS, cycle_ps = 4 * PS_PER_NS;
	for (unsigned i = 0; i < (IS_TWIN ? 1 : ARRAY_SIZE(rows)); i++) {
		struct rig *rig = rig_create(GUEST_BYTES, 1);
		rig->config.device.clock_mhz = 250;
		rig->config.fetch.ring_cycles = rows[i].ring;
		rig->config.fetch.head_cycles = rows[i].head;
		rig->config.fetch.parse_cycles = rows[i].parse;
		rig->config.fetch.record_cycles = rows[i].record;
		rig_start(rig);
		struct vq vq = vq_create(rig, 0, 16, true, false);
		struct chain chain = plain_chain(rig, 512, true, 1);
		program(rig, &vq);
		sim_run_for(&rig->sim, LONG_PS);
		uint64_t start_ps = rig->sim.now_ps;
		put_chain(rig, &vq, 0, &chain);
		add_head(rig, &vq, 0);
		publish(rig, &vq);
		serve(rig, &vq);
		sim_run_for(&rig->sim, LONG_PS);
		int slot = take_record(rig);
		assert_true(slot >= 0);
		const struct stamps *stamps = &rig->probe.slot[slot];
		uint64_t entries_ps = start_ps + 2 * (read_ps + rows[i].ring * cycle_ps);
		/* 3 descriptors, and a cycle for the end of the chain */
		uint64_t record_ps = entries_ps + 2 * read_ps +
				     (rows[i].head + rows[i].parse + 3 + 1 + rows[i].record) * cycle_ps;
		assert_int_equal(stamps->at_ps[STAGE_DOORBELL], start_ps);
		assert_int_equal(stamps->at_ps[STAGE_SERVICE], start_ps);
		assert_in_range(stamps->at_ps[STAGE_HEAD], entries_ps, entries_ps + 2 * cycle_ps);
		assert_int_equal(stamps->at_ps[STAGE_RECORD], record_ps);
		assert_int_equal(stamps->at_ps[STAGE_FIRMWARE], rig->sim.now_ps);
		rig_free(rig);
	}
}

/* Requests are numbered as they stand in the ring, whatever becomes of them. */
static void test_fetch_numbers_requests_in_ring_order(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig_start(rig);
	struct vq vq = vq_create(rig, 0, 16, true, false);
	struct chain chain = plain_chain(rig, 512, true, 1);
	int slot[10];
	program(rig, &vq);
	put_chain(rig, &vq, 0, &chain);
	assert_int_equal(probe_oldest(&rig->probe), 1);
	for (unsigned i = 0; i < 10; i++)
		add_head(rig, &vq, 0);
	publish(rig, &vq);
	serve(rig, &vq);
	sim_run_for(&rig->sim, LONG_PS);
	for (unsigned i = 0; i < 10; i++) {
		slot[i] = take_record(rig);
		assert_true(slot[i] >= 0);
		assert_int_equal(rig->probe.work[slot[i]].number,
				 1 + slot_of(rig, (unsigned)slot[i])->sequence);
		assert_int_equal(rig->probe.work[slot[i]].op, WORK_OTHER);
	}
	assert_int_equal(probe_oldest(&rig->probe), 1);
	free_slot(rig, (unsigned)slot[1]);
	rig_settle(rig);
	assert_int_equal(probe_oldest(&rig->probe), 1);
	free_slot(rig, (unsigned)slot[0]);
	rig_settle(rig);
	assert_int_equal(probe_oldest(&rig->probe), 3);
	/* Offload level firmware: the core takes slots itself, when it has found a ring entry. */
	uint32_t taken = get(rig, CSR_FETCH_SLOT_ALLOC) & CSR_FETCH_SLOT_ALLOC_SLOT_MASK;
	assert_int_equal(rig->probe.work[taken].number, 11);
	assert_int_equal(rig->probe.slot[taken].at_ps[STAGE_HEAD], rig->sim.now_ps);
	fetch_reset(rig->fetch);
	assert_int_equal(probe_oldest(&rig->probe), 12);
	rig_free(rig);
}

/* One parser for all chains: a cycle per descriptor, and three to find the chain, to end it and to ask for its header. */
static void test_fetch_chains_share_the_parser(void **state)
{
	(void)state;
	struct rig *rig = rig_create(GUEST_BYTES, 1);
	rig->config.device.clock_mhz = 500;
	rig->config.fetch.prefetch = 4;
	rig_start(rig);
	struct vq vq = vq_create(rig, 0, 16, true, false);
	struct chain chain = plain_chain(rig, 512, true, 1);
	program(rig, &vq);
	put_chain(rig, &vq, 0, &chain);
	for (unsigned i = 0; i < 10; i++)
		add_head(rig, &vq, 0);
	publish(rig, &vq);
	serve(rig, &vq);
	sim_run_for(&rig->sim, LONG_PS);
	uint64_t last_ps = 0;
	for (unsigned i = 0; i < 10; i++) {
		int slot = take_record(rig);
		assert_true(slot >= 0);
		uint64_t at_ps = rig->probe.slot[slot].at_ps[STAGE_RECORD];
		if (i != 0)
			assert_int_equal(at_ps - last_ps, (3 + 3) * 2 * PS_PER_NS);
		last_ps = at_ps;
	}
	rig_free(rig);
}

/* Doorbells come every 200 ns, a look takes 500: what a look finds was brought by the first doorbell since the look before. */
static void test_fetch_stamps_are_of_the_first_doorbell_since_the_look_before(void **state)
{
	(void)state;
	struct ring_stamps stamps = {0};
	ring_stamps_service(&stamps, 100, 110);
	ring_stamps_look(&stamps);
	assert_int_equal(stamps.doorbell_ps, 100);
	assert_int_equal(stamps.service_ps, 110);
	ring_stamps_service(&stamps, 300, 310);
	ring_stamps_service(&stamps, 500, 510);
	assert_int_equal(stamps.doorbell_ps, 100); /* the first look is still under way */
	ring_stamps_look(&stamps);
	assert_int_equal(stamps.doorbell_ps, 300);
	assert_int_equal(stamps.service_ps, 310);
	ring_stamps_look(&stamps); /* once more before the queue rests, nobody has rung */
	assert_int_equal(stamps.doorbell_ps, 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fetch_registers_reset_value_and_access),
		cmocka_unit_test(test_fetch_limits_are_clamped),
		cmocka_unit_test(test_fetch_slots_are_given_out_once),
		REQ_TEST(test_fetch_record_says_what_the_driver_wrote, "D-020 D-021 D-022 V-090"),
		REQ_TEST(test_fetch_header_may_be_cut_anywhere, "D-016 V-088 V-089 V-090 V-092"),
		REQ_TEST(test_fetch_reads_everything_once, "V-024"),
		REQ_TEST(test_fetch_limits_are_kept_and_reads_are_counted, "D-020 D-022"),
		cmocka_unit_test(test_fetch_rings_of_all_sizes_go_round),
		REQ_TEST(test_fetch_without_slots_waits_for_them, "V-023"),
		cmocka_unit_test(test_fetch_promised_slots_are_not_given_out),
		REQ_TEST(test_fetch_queues_share_the_slots, "V-069"),
		REQ_TEST(test_fetch_busy_queue_leaves_slots_to_others, "V-069"),
		REQ_TEST(test_fetch_event_idx_arms_and_looks_again, "D-034 D-035 D-036 D-037 ORD-011"),
		REQ_TEST(test_fetch_without_event_idx_writes_nothing, "D-032 D-036"),
		REQ_TEST(test_fetch_polling_suppresses_doorbells, "D-032 D-033 D-034 D-035 D-037"),
		REQ_TEST(test_fetch_storm_of_doorbells_is_bounded, "D-036 V-065 V-069"),
		REQ_TEST(test_fetch_hint_saves_a_read_in_the_chain, "D-037"),
		REQ_TEST(test_fetch_hint_is_verified_against_memory, "V-068"),
		REQ_TEST(test_fetch_start_needs_a_size_that_is_a_power_of_2, "V-055"),
		REQ_TEST(test_fetch_stop_and_start_leave_nothing_behind, "D-013 D-014 D-015 V-071"),
		REQ_TEST(test_fetch_start_forgets_suppression, "D-014"),
		REQ_TEST(test_fetch_reset_at_any_moment_forgets_everything, "D-011 V-053"),
		cmocka_unit_test(test_fetch_record_takes_the_cycles_of_the_table),
		cmocka_unit_test(test_fetch_numbers_requests_in_ring_order),
		cmocka_unit_test(test_fetch_stamps_are_of_the_first_doorbell_since_the_look_before),
		cmocka_unit_test(test_fetch_chains_share_the_parser),
	};
	return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
