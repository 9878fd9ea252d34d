/* The DMA engine: how requests become TLPs, who goes when, and what is reported. Completions and errors are in
 * dma_completion_test.c, random runs in dma_random_test.c. */
#include "tests/unit/rtl-model/dma_fixture.h"

#define GUARD 64u

static const uint32_t offsets[] = {0,   1,   2,   3,    4,    5,    60,   63,   64,
				   127, 129, 255, 2048, 4032, 4089, 4092, 4094, 4095};
static const uint32_t lengths[] = {1,   2,   3,   4,   5,   7,   8,   63,   64,   65,   127,  128,
				   129, 255, 256, 257, 511, 512, 513, 4095, 4096, 4097, 8191, 12289};

/* ---- splitting ---- */

/* What one request has put on the wire: consecutive pieces, and no more of them than needed: a piece ends at the request's
 * end, at a page's end, or on a multiple of the limit. */
static void assert_pieces(const struct bench *bench, unsigned first, uint64_t addr, uint32_t bytes,
			  uint32_t limit)
{
	for (unsigned i = first; i < bench->count; i++) {
		const struct seen *seen = &bench->seen[i];
		assert_int_equal(seen->addr, addr);
		assert_true(seen->bytes > 0 && seen->bytes <= bytes);
		addr += seen->bytes;
		bytes -= seen->bytes;
		assert_true(bytes == 0 || addr % limit == 0);
	}
	assert_int_equal(bytes, 0);
}

static void check_write(struct bench *bench, uint64_t addr, uint32_t bytes)
{
	uint8_t data[12289];
	uint8_t *target = bench->memory + (addr - MEMORY_BASE);
	fill_pattern(data, bytes, addr + bytes);
	memset(target - GUARD, 0x5a, bytes + 2 * GUARD);
	unsigned first = bench->count = 0;
	request(bench, DMA_MOVER, true, addr, data, bytes, 7);
	bench_run_for(bench, 100 * PS_PER_US);
	assert_pieces(bench, first, addr, bytes, bench->control.mps_bytes);
	assert_memory_equal(target, data, bytes);
	for (unsigned i = 0; i < GUARD; i++) {
		assert_int_equal(target[-1 - (int)i], 0x5a);
		assert_int_equal(target[bytes + i], 0x5a);
	}
	assert_done(bench, DMA_MOVER, 7, DMA_OK);
}

static void test_dma_write_of_any_alignment_is_cut_by_the_rules(void **state)
{
	(void)state;
	static const unsigned sizes[] = {128, 256, 512, 4096};
	for (unsigned s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct bench *bench = bench_create();
		bench->control.mps_bytes = sizes[s];
		bench_start(bench);
		for (unsigned o = 0; o < ARRAY_SIZE(offsets); o++)
			for (unsigned n = 0; n < ARRAY_SIZE(lengths); n++)
				check_write(bench, MEMORY_BASE + 0x4000 + offsets[o], lengths[n]);
		check_write(bench, UINT64_C(0x100000000) - 6000, 12000);
		bench_free(bench);
	}
}

static void check_read(struct bench *bench, uint64_t addr, uint32_t bytes)
{
	uint8_t data[12289 + 2 * GUARD];
	memset(data, 0x5a, bytes + 2 * GUARD);
	bench->count = 0;
	request(bench, DMA_FETCH, false, addr, data + GUARD, bytes, 9);
	bench_run_for(bench, 100 * PS_PER_US);
	assert_pieces(bench, 0, addr, bytes, bench->control.mrrs_bytes);
	assert_none_done(bench, DMA_FETCH);
	for (unsigned i = 0; i < bench->count; i++)
		assert_int_equal(answer(bench, &bench->seen[i], bench->seen[i].bytes), DMA_COMPLETION_OK);
	assert_done(bench, DMA_FETCH, 9, DMA_OK);
	assert_memory_equal(data + GUARD, bench->memory + (addr - MEMORY_BASE), bytes);
	for (unsigned i = 0; i < GUARD; i++) {
		assert_int_equal(data[i], 0x5a);
		assert_int_equal(data[GUARD + bytes + i], 0x5a);
	}
}

static void test_dma_read_of_any_alignment_is_cut_by_the_rules(void **state)
{
	(void)state;
	static const unsigned sizes[] = {128, 256, 512, 4096};
	for (unsigned s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct bench *bench = bench_create();
		bench->control.mrrs_bytes = sizes[s];
		fill_pattern(bench->memory, sizeof(bench->memory), s);
		bench_start(bench);
		for (unsigned o = 0; o < ARRAY_SIZE(offsets); o++)
			for (unsigned n = 0; n < ARRAY_SIZE(lengths); n++)
				check_read(bench, MEMORY_BASE + 0x4000 + offsets[o], lengths[n]);
		check_read(bench, UINT64_C(0x100000000) - 6000, 12000);
		bench_free(bench);
	}
}

/* MPS and MRRS as they are when a TLP is made: a request half sent goes on with the new ones. */
static void test_dma_mps_changed_in_mid_request_holds_for_later_tlps(void **state)
{
	(void)state;
	static uint8_t data[8192];
	struct bench *bench = bench_create();
	bench->config.device.tx_backlog_bytes = 1024;
	bench->config.link.gen = 1;
	bench->config.link.lanes = 1;
	bench->control.mps_bytes = 512;
	bench_start(bench);
	request(bench, DMA_MOVER, true, MEMORY_BASE, data, sizeof(data), 0);
	bench_run_for(bench, 3 * PS_PER_US);
	unsigned made = (unsigned)dma_stats(bench->dma)->write_tlps;
	assert_in_range(made, 2, 8);
	bench->size_before = 512;
	bench->control.mps_bytes = 128;
	bench_run_for(bench, 100 * PS_PER_US);
	assert_done(bench, DMA_MOVER, 0, DMA_OK);
	assert_int_equal(bench->count, made + (sizeof(data) - 512 * made) / 128);
	for (unsigned i = 0; i < bench->count; i++)
		assert_int_equal(bench->seen[i].bytes, i < made ? 512 : 128);
	bench_free(bench);
}

static void test_dma_mrrs_changed_in_mid_request_holds_for_later_tlps(void **state)
{
	(void)state;
	static uint8_t data[4096];
	static const struct {
		unsigned mrrs, offset, bytes;
	} steps[] = {{1024, 0, 1024}, {128, 1024, 128}, {2048, 1152, 896}, {4096, 2048, 2048}};
	struct bench *bench = bench_create();
	bench->config.link.tags = 1;
	bench->control.mrrs_bytes = steps[0].mrrs;
	bench_start(bench);
	request(bench, DMA_FETCH, false, MEMORY_BASE, data, sizeof(data), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		bench_run_for(bench, PS_PER_US);
		assert_int_equal(bench->count, i + 1);
		assert_int_equal(bench->seen[i].addr, MEMORY_BASE + steps[i].offset);
		assert_int_equal(bench->seen[i].bytes, steps[i].bytes);
		if (i + 1 < ARRAY_SIZE(steps))
			bench->control.mrrs_bytes = steps[i + 1].mrrs;
		answer(bench, &bench->seen[i], steps[i].bytes);
	}
	assert_done(bench, DMA_FETCH, 0, DMA_OK);
	bench_free(bench);
}

static void test_dma_range_past_the_end_of_the_address_space_fails_without_tlp(void **state)
{
	(void)state;
	static uint8_t data[4096];
	struct bench *bench = bench_create();
	bench_start(bench);
	request(bench, DMA_COPY, true, UINT64_MAX, data, 2, 1);
	request(bench, DMA_COPY, false, UINT64_MAX - 4094, data, 4096, 2);
	request(bench, DMA_COPY, false, UINT64_MAX - 4095, data, 4096, 3); /* just fits */
	bench_run_for(bench, PS_PER_US);
	assert_done(bench, DMA_COPY, 1, DMA_FAILED);
	assert_done(bench, DMA_COPY, 2, DMA_FAILED);
	assert_none_done(bench, DMA_COPY);
	assert_int_equal(bench->count, 8);
	assert_int_equal(bench->seen[0].addr, UINT64_MAX - 4095);
	bench_free(bench);
}

/* The digest is there when it is asked for, and right: CRC-32 over header and payload with the variant bits set, bit by
 * bit (PCIe 6.0 §2.7.1). */
static uint32_t crc32_bitwise(const uint8_t *data, size_t size)
{
	uint32_t crc = UINT32_MAX;
	for (size_t i = 0; i < size; i++) {
		uint8_t byte = data[i];
		if (i == 0)
			byte |= 0x01; /* Type[0] */
		if (i == 2)
			byte |= 0x40; /* EP */
		crc ^= byte;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
	}
	return ~crc;
}

static void test_dma_digest_is_sent_when_enabled(void **state)
{
	(void)state;
	static uint8_t data[300];
	struct bench *bench = bench_create();
	bench_start(bench);
	for (unsigned enabled = 0; enabled < 2; enabled++) {
		bench->control.ecrc_generate = enabled;
		fill_pattern(data, sizeof(data), enabled);
		request(bench, DMA_USED, true, MEMORY_BASE + 1, data, 99, 0);
		request(bench, DMA_USED, false, MEMORY_BASE + 1, data, 99, 0);
		dma_step(bench->dma, bench->now_ps);
		bench->due_ps = TIME_NEVER_PS;
		bench->now_ps += PS_PER_US;
		struct link_rx rx;
		for (unsigned i = 0; i < 2; i++) {
			assert_true(link_pop(bench->up, bench->now_ps, &rx));
			assert_int_equal(check_wire(bench, rx.wire, rx.size).digest, enabled);
			if (enabled)
				assert_int_equal(load_le32(rx.wire + rx.size - 4),
						 crc32_bitwise(rx.wire, rx.size - 4));
		}
		assert_false(link_pop(bench->up, bench->now_ps, &rx));
	}
	bench_free(bench);
}

/* ---- order and turns ---- */

/* Whatever the other channels do, a channel's requests go in their order, and a read behind a write stays behind it. */
static void test_dma_requests_of_a_channel_stay_in_order(void **state)
{
	(void)state;
	static uint8_t data[1024];
	struct bench *bench = bench_create();
	bench_start(bench);
	for (unsigned i = 0; i < 40; i++)
		for (unsigned c = 0; c < DMA_CHANNELS; c++)
			request(bench, (enum dma_channel)c, (i + c) % 3 != 0,
				MEMORY_BASE + 0x4000 * c + 256 * i + c, data, 200, i);
	bench_run_for(bench, 100 * PS_PER_US);
	unsigned next[DMA_CHANNELS] = {0};
	for (unsigned i = 0; i < bench->count; i++) {
		const struct seen *seen = &bench->seen[i];
		unsigned c = (unsigned)((seen->addr - MEMORY_BASE) / 0x4000);
		assert_int_equal(seen->addr, MEMORY_BASE + 0x4000 * c + 256 * next[c] + c);
		assert_int_equal(seen->write, (next[c] + c) % 3 != 0);
		next[c]++;
	}
	for (unsigned c = 0; c < DMA_CHANNELS; c++)
		assert_int_equal(next[c], 40);
	bench_free(bench);
}

/* What is pushed on one channel when a write of another is reported done arrives behind that write. */
static void test_dma_request_after_done_arrives_behind_the_write(void **state)
{
	(void)state;
	static uint8_t data[4096];
	struct bench *bench = bench_create();
	bench_start(bench);
	for (unsigned round = 0; round < 50; round++) {
		bench->count = 0;
		request(bench, DMA_MOVER, true, MEMORY_BASE, data, 700 + 50 * round, 1);
		bench_run(bench, bench->now_ps);
		while (dma_done_fifo_count(&bench->done[DMA_MOVER]) == 0)
			bench_run_for(bench, 1000);
		bench->now_ps = max_u64(bench->now_ps, dma_done_fifo_next_ps(&bench->done[DMA_MOVER]));
		assert_done(bench, DMA_MOVER, 1, DMA_OK);
		request(bench, DMA_USED, true, MEMORY_BASE + 0x8000, data, 2, 2);
		bench_run_for(bench, 10 * PS_PER_US);
		for (unsigned i = 0; i + 1 < bench->count; i++)
			assert_true(bench->seen[i].addr < MEMORY_BASE + 0x8000);
		assert_int_equal(bench->seen[bench->count - 1].addr, MEMORY_BASE + 0x8000);
		assert_done(bench, DMA_USED, 2, DMA_OK);
	}
	bench_free(bench);
}

/* With work on every channel each gets one TLP in turn, however large its requests are. */
static void test_dma_channels_take_turns_by_tlp(void **state)
{
	(void)state;
	static uint8_t data[8192];
	struct bench *bench = bench_create();
	bench_start(bench);
	for (unsigned i = 0; i < 100; i++) {
		request(bench, DMA_MSIX, true, MEMORY_BASE, data, 4, 0);
		request(bench, DMA_USED, true, MEMORY_BASE + 0x4000, data, 8, 0);
		request(bench, DMA_FETCH, false, MEMORY_BASE + 0x8000, data, 16, 0);
		request(bench, DMA_COPY, true, MEMORY_BASE + 0xc000, data, 4096, 0);
		request(bench, DMA_MOVER, true, MEMORY_BASE + 0x10000, data, 8192, 0);
	}
	bench_run_for(bench, 50 * PS_PER_US);
	unsigned served[DMA_CHANNELS] = {0};
	for (unsigned i = 0; i < 500; i++) {
		served[(bench->seen[i].addr - MEMORY_BASE) / 0x4000]++;
		if (i % DMA_CHANNELS == DMA_CHANNELS - 1)
			for (unsigned c = 0; c < DMA_CHANNELS; c++)
				assert_int_equal(served[c], i / DMA_CHANNELS + 1);
	}
	bench_free(bench);
}

/* The first request of a channel that cannot go on (no tag) does not keep the engine from noticing one of another channel
 * that becomes visible later. */
static void test_dma_channel_without_tag_does_not_delay_others(void **state)
{
	(void)state;
	static uint8_t data[64];
	struct bench *bench = bench_create();
	bench->config.link.tags = 1;
	bench_start(bench);
	request(bench, DMA_FETCH, false, MEMORY_BASE, data, 64, 1);
	request(bench, DMA_FETCH, false, MEMORY_BASE, data, 64, 2);
	dma_request_fifo_push(
		dma_requests(bench->dma, DMA_USED), bench->now_ps + 5000,
		(struct dma_request){
			.addr = MEMORY_BASE, .bytes = 2, .write = true, .data = data, .cookie = 3});
	bench->due_ps = 3000; /* something else wakes the engine in between */
	bench_run_for(bench, PS_PER_US);
	assert_int_equal(bench->count, 2);
	assert_true(bench->seen[1].write);
	assert_true(bench->seen[1].arrive_ps < 20000);
	bench_free(bench);
}

/* ---- holding back ---- */

static void may_master(struct bench *bench, bool bus_master, unsigned power_state)
{
	bench->control.bus_master = bus_master;
	bench->control.power_state = power_state;
	bench_wake(bench, bench->now_ps); /* as the endpoint does */
}

/* Nothing is sent while Bus Master Enable is clear or in D3hot, and nothing is lost: not even of a request half sent. */
static void check_hold(bool bus_master, unsigned power_state)
{
	static uint8_t data[4096];
	struct bench *bench = bench_create();
	bench->config.device.tx_backlog_bytes = 512;
	bench->config.link.gen = 1;
	bench->config.link.lanes = 1;
	bench_start(bench);
	fill_pattern(data, sizeof(data), 3);
	may_master(bench, bus_master, power_state);
	request(bench, DMA_MOVER, true, MEMORY_BASE + 3, data, 4000, 1);
	request(bench, DMA_FETCH, false, MEMORY_BASE, data, 4, 2);
	bench_run_for(bench, 10 * PS_PER_MS);
	assert_int_equal(bench->count, 0);
	assert_true(dma_busy(bench->dma));
	may_master(bench, true, 0);
	bench_run_for(bench, 4 * PS_PER_US);
	may_master(bench, bus_master, power_state);
	unsigned made = (unsigned)(dma_stats(bench->dma)->write_tlps + dma_stats(bench->dma)->read_tlps);
	assert_in_range(made, 1, 15);
	bench_run_for(bench, 10 * PS_PER_MS);
	assert_int_equal(bench->count, made); /* what was on the link has arrived */
	assert_none_done(bench, DMA_MOVER);
	may_master(bench, true, 0);
	bench_run_for(bench, PS_PER_MS);
	assert_done(bench, DMA_MOVER, 1, DMA_OK);
	assert_memory_equal(bench->memory + 3, data, 4000);
	bench_free(bench);
}

static void test_dma_without_bus_master_waits_and_goes_on(void **state)
{
	(void)state;
	check_hold(false, 0);
}

static void test_dma_in_d3hot_waits_and_goes_on(void **state)
{
	(void)state;
	check_hold(true, 3);
}

/* Completions of reads that are out are taken whatever the state. */
static void test_dma_without_bus_master_still_takes_completions(void **state)
{
	(void)state;
	uint8_t data[64];
	struct bench *bench = bench_create();
	bench_start(bench);
	memset(bench->memory, 0x77, 64);
	request(bench, DMA_FETCH, false, MEMORY_BASE, data, 64, 1);
	bench_run_for(bench, PS_PER_US);
	may_master(bench, false, 0);
	assert_int_equal(answer(bench, &bench->seen[0], 64), DMA_COMPLETION_OK);
	assert_done(bench, DMA_FETCH, 1, DMA_OK);
	assert_memory_equal(data, bench->memory, 64);
	bench_free(bench);
}

/* The transmit buffer takes no more than its size and one TLP, however long the link stands still. */
static void test_dma_stops_at_the_backlog_limit(void **state)
{
	(void)state;
	static uint8_t data[65536];
	static const unsigned limits[] = {128, 2048, 20000};
	for (unsigned i = 0; i < ARRAY_SIZE(limits); i++) {
		struct bench *bench = bench_create();
		bench->config.device.tx_backlog_bytes = limits[i];
		bench->config.link.gen = 1;
		bench->config.link.lanes = 1;
		bench_start(bench);
		request(bench, DMA_MOVER, true, MEMORY_BASE, data, sizeof(data), 1);
		uint64_t most = 0;
		while (dma_done_fifo_count(&bench->done[DMA_MOVER]) == 0) {
			bench_run_for(bench, 10000);
			most = max_u64(most, link_backlog_bytes(bench->up, bench->now_ps));
		}
		assert_true(most < limits[i] + 256 + 16 + 8);
		assert_true(most + 256 + 24 >= limits[i]); /* and the room is used */
		assert_true(dma_stats(bench->dma)->stall_backlog > 0);
		bench_run_for(bench, PS_PER_MS);
		assert_int_equal(bench->count, 65536 / 256);
		bench_free(bench);
	}
}

/* The cycle table: a TLP takes tlp_cycles or its payload's passage through the data path, whichever is longer. */
static void test_dma_tlp_takes_the_cycles_of_the_table(void **state)
{
	(void)state;
	static const struct {
		unsigned tlp_cycles, bytes_per_cycle;
		uint32_t bytes;
		bool write;
		unsigned cycles;
	} rows[] = {
		{1, 64, 4, true, 1},   {1, 64, 256, true, 4}, {1, 64, 130, true, 3},  {3, 64, 130, true, 3},
		{8, 64, 256, true, 8}, {1, 8, 256, true, 32}, {2, 64, 512, false, 2}, {1, 4, 512, false, 1},
	};
	static uint8_t data[512];
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bench *bench = bench_create();
		bench->config.device.clock_mhz = 500;
		bench->config.device.tlp_cycles = rows[i].tlp_cycles;
		bench->config.device.bytes_per_cycle = rows[i].bytes_per_cycle;
		bench_start(bench);
		bench->now_ps = 1000;
		request(bench, DMA_COPY, rows[i].write, MEMORY_BASE, data, rows[i].bytes, 0);
		request(bench, DMA_COPY, true, MEMORY_BASE, data, 4, 1);
		dma_step(bench->dma, bench->now_ps);
		uint64_t at_ps = 1000 + rows[i].cycles * 2000;
		if (rows[i].write) {
			assert_int_equal(dma_done_fifo_next_ps(&bench->done[DMA_COPY]), at_ps);
			dma_done_fifo_pop(&bench->done[DMA_COPY], at_ps);
		}
		assert_int_equal(dma_done_fifo_next_ps(&bench->done[DMA_COPY]),
				 at_ps + 2000 * rows[i].tlp_cycles);
		bench_free(bench);
	}
}

/* ---- giving up ---- */

/* Requests in every stage on one channel: each is reported exactly once, and the other channels do not notice. */
static void test_dma_abort_of_a_channel_reports_every_request_once(void **state)
{
	(void)state;
	static uint8_t data[8][4096];
	struct bench *bench = bench_create();
	bench->config.link.tags = 6;
	bench_start(bench);
	memset(data, 0x5a, sizeof(data));
	request(bench, DMA_COPY, false, MEMORY_BASE, data[0], 64, 0);   /* answered in part */
	request(bench, DMA_COPY, false, MEMORY_BASE, data[1], 1024, 1); /* in flight */
	request(bench, DMA_USED, false, MEMORY_BASE, data[7], 64, 70);  /* of another channel */
	request(bench, DMA_COPY, false, MEMORY_BASE, data[2], 4096, 2); /* its first TLPs in flight */
	request(bench, DMA_COPY, false, MEMORY_BASE, data[3], 64, 3);   /* waiting */
	request(bench, DMA_COPY, true, MEMORY_BASE, data[4], 64, 4);
	bench_run_for(bench, PS_PER_US);
	assert_int_equal(bench->count, 6);
	dma_abort(bench->dma, bench->now_ps, DMA_COPY);
	unsigned reported = 0;
	while (dma_done_fifo_count(&bench->done[DMA_COPY]) != 0) {
		struct dma_done done = take_done(bench, DMA_COPY);
		assert_int_equal(done.status, DMA_ABORTED);
		assert_true(done.cookie < 5 && !(reported >> done.cookie & 1));
		reported |= 1u << done.cookie;
	}
	assert_int_equal(reported, 0x1f);
	assert_int_equal(dma_stats(bench->dma)->aborted, 5);
	assert_none_done(bench, DMA_USED);
	/* Late answers: nothing is written, the tags come back, nothing else is reported. */
	request(bench, DMA_COPY, false, MEMORY_BASE, data[6], 64, 6);
	bench_run_for(bench, PS_PER_US);
	assert_int_equal(bench->count, 6); /* no tag yet */
	memset(bench->memory, 0x11, sizeof(bench->memory));
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(answer(bench, &bench->seen[i], bench->seen[i].bytes), DMA_COMPLETION_OK);
	for (unsigned i = 0; i < 6; i++)
		for (unsigned k = 0; k < 4096; k++)
			assert_int_equal(data[i][k], 0x5a);
	assert_done(bench, DMA_USED, 70, DMA_OK);
	bench_run_for(bench, PS_PER_US);
	answer(bench, &bench->seen[6], 64);
	assert_done(bench, DMA_COPY, 6, DMA_OK);
	assert_none_done(bench, DMA_COPY);
	assert_false(dma_busy(bench->dma));
	bench_free(bench);
}

/* A write half sent ends there. */
static void test_dma_abort_stops_a_write_in_the_middle(void **state)
{
	(void)state;
	static uint8_t data[16384];
	struct bench *bench = bench_create();
	bench->config.link.gen = 1;
	bench->config.link.lanes = 1;
	bench_start(bench);
	memset(data, 0x99, sizeof(data));
	request(bench, DMA_MOVER, true, MEMORY_BASE, data, sizeof(data), 1);
	bench_run_for(bench, 10 * PS_PER_US);
	unsigned made = (unsigned)dma_stats(bench->dma)->write_tlps;
	dma_abort(bench->dma, bench->now_ps, DMA_CHANNELS);
	assert_done(bench, DMA_MOVER, 1, DMA_ABORTED);
	bench_run_for(bench, PS_PER_MS);
	assert_int_equal(bench->count, made);
	assert_in_range(made, 2, 63);
	for (unsigned i = 0; i < sizeof(data); i++)
		assert_int_equal(bench->memory[i], i < 256 * made ? 0x99 : 0);
	bench_free(bench);
}

/* A producer that waits for room in the queue hears of it. */
static void test_dma_abort_of_a_full_queue_wakes_its_producer(void **state)
{
	(void)state;
	static uint8_t data[4];
	struct bench *bench = bench_create();
	struct bench producer = {.due_ps = TIME_NEVER_PS};
	struct waker waker = {bench_wake, &producer};
	bench_start(bench);
	dma_connect(bench->dma, DMA_MSIX, NULL);
	dma_requests(bench->dma, DMA_MSIX)->producer = &waker;
	may_master(bench, false, 0);
	while (!dma_request_fifo_full(dma_requests(bench->dma, DMA_MSIX)))
		request(bench, DMA_MSIX, true, MEMORY_BASE, data, 4, 0);
	dma_abort(bench->dma, 5000, DMA_MSIX);
	assert_int_equal(producer.due_ps, 5000);
	bench_free(bench);
}

/* Link down: all requests end, all tags are free, and what comes late is not taken for an answer. */
static void test_dma_link_down_frees_everything(void **state)
{
	(void)state;
	static uint8_t data[4096];
	struct bench *bench = bench_create();
	bench->config.link.tags = 4;
	bench_start(bench);
	request(bench, DMA_FETCH, false, MEMORY_BASE, data, 4096, 1);
	bench_run_for(bench, PS_PER_US);
	assert_int_equal(bench->count, 4);
	assert_true(bench->pending);
	dma_link_down(bench->dma, bench->now_ps);
	assert_done(bench, DMA_FETCH, 1, DMA_ABORTED);
	assert_false(bench->pending);
	assert_false(dma_busy(bench->dma));
	assert_int_equal(dma_stats(bench->dma)->tags_in_use, 0);
	memset(bench->tag_out, 0, sizeof(bench->tag_out));
	bench->reads_out = 0;
	struct tlp late = {
		.type = TLP_CPL, .requester_id = bench->id, .tag = bench->seen[0].tag, .status = TLP_UR};
	assert_int_equal(dma_complete(bench->dma, bench->now_ps, &late), DMA_COMPLETION_UNEXPECTED);
	bench->count = 0;
	request(bench, DMA_FETCH, false, MEMORY_BASE, data, 2048, 2);
	bench_run_for(bench, PS_PER_US);
	assert_int_equal(bench->count, 4);
	for (unsigned i = 0; i < 4; i++)
		answer(bench, &bench->seen[i], 512);
	assert_done(bench, DMA_FETCH, 2, DMA_OK);
	bench_free(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_dma_write_of_any_alignment_is_cut_by_the_rules,
			 "TLP-003 TLP-004 TLP-005 TLP-007 TLP-008 TLP-012 TLP-018 ORD-003 ORD-012 CAP-010"),
		REQ_TEST(test_dma_read_of_any_alignment_is_cut_by_the_rules,
			 "TLP-003 TLP-004 TLP-005 TLP-007 TLP-008 CPL-012 ORD-003 ORD-012 CAP-010"),
		REQ_TEST(test_dma_mps_changed_in_mid_request_holds_for_later_tlps, "CAP-004"),
		REQ_TEST(test_dma_mrrs_changed_in_mid_request_holds_for_later_tlps, "CAP-004"),
		REQ_TEST(test_dma_range_past_the_end_of_the_address_space_fails_without_tlp, "V-020"),
		REQ_TEST(test_dma_digest_is_sent_when_enabled, "TLP-017"),
		REQ_TEST(test_dma_requests_of_a_channel_stay_in_order, "ORD-001 ORD-011"),
		REQ_TEST(test_dma_request_after_done_arrives_behind_the_write, "ORD-001"),
		cmocka_unit_test(test_dma_channels_take_turns_by_tlp),
		cmocka_unit_test(test_dma_channel_without_tag_does_not_delay_others),
		REQ_TEST(test_dma_without_bus_master_waits_and_goes_on, "ACC-002 V-084"),
		REQ_TEST(test_dma_in_d3hot_waits_and_goes_on, "ACC-016"),
		REQ_TEST(test_dma_without_bus_master_still_takes_completions, "ACC-002"),
		cmocka_unit_test(test_dma_stops_at_the_backlog_limit),
		cmocka_unit_test(test_dma_tlp_takes_the_cycles_of_the_table),
		REQ_TEST(test_dma_abort_of_a_channel_reports_every_request_once, "RST-005"),
		cmocka_unit_test(test_dma_abort_stops_a_write_in_the_middle),
		cmocka_unit_test(test_dma_abort_of_a_full_queue_wakes_its_producer),
		REQ_TEST(test_dma_link_down_frees_everything, "DLL-009 ERR-010"),
	};
	return cmocka_run_group_tests_name("dma", tests, NULL, NULL);
}
