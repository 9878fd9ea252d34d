/* The DMA engine's tags, and what it makes of good, bad, late and missing completions. */
#include "tests/unit/rtl-model/dma_fixture.h"

#define GUARD 64u

/* ---- tags ---- */

/* Fills the link with reads until the engine has no tag left. */
static void read_much(struct bench *bench, uint8_t *data, unsigned reads)
{
	for (unsigned i = 0; i < reads; i++)
		request(bench, (enum dma_channel)(i % DMA_CHANNELS), false, MEMORY_BASE + 64 * (i % 64), data,
			64, i);
	bench_run_for(bench, 20 * PS_PER_US);
}

static void test_dma_tags_are_in_the_range_of_their_width(void **state)
{
	(void)state;
	static uint8_t data[256];
	static const struct {
		bool extended, wide;
		unsigned limit, first, count;
	} rows[] = {
		{false, false, 768, 0, 32},   {true, false, 768, 0, 256}, {true, true, 768, 256, 768},
		{false, true, 768, 256, 768}, {true, false, 100, 0, 100}, {false, false, 1, 0, 1},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bench *bench = bench_create();
		bench->control.extended_tag = rows[i].extended;
		bench->control.tag_10bit = rows[i].wide;
		bench->config.link.tags = rows[i].limit;
		bench_start(bench);
		bool seen[TAG_COUNT] = {false};
		/* More TLPs than reads can be tracked at a time: reads of two TLPs each. */
		bench->control.mrrs_bytes = 128;
		for (unsigned k = 0; k < 450; k++)
			request(bench, DMA_MOVER, false, MEMORY_BASE, data, 256, k);
		bench_run_for(bench, 100 * PS_PER_US);
		assert_int_equal(bench->count, rows[i].count);
		assert_int_equal(bench->reads_out,
				 rows[i].count); /* all different: the host checks (TAG-001) */
		for (unsigned k = 0; k < bench->count; k++) {
			assert_in_range(bench->seen[k].tag, rows[i].first, 1023);
			assert_true(bench->seen[k].tag < (rows[i].wide ? 1024 : rows[i].extended ? 256 : 32));
			seen[bench->seen[k].tag] = true;
		}
		unsigned used = 0;
		for (unsigned k = 0; k < TAG_COUNT; k++)
			used += seen[k];
		assert_int_equal(used, rows[i].count);
		assert_int_equal(dma_stats(bench->dma)->tags_in_use_max, rows[i].count);
		assert_true(dma_stats(bench->dma)->stall_no_tag > 0);
		bench_free(bench);
	}
}

/* More reads than can be tracked at a time: the rest wait for an entry, as for a tag. */
static void test_dma_more_reads_than_entries_wait(void **state)
{
	(void)state;
	static uint8_t data[1024][4];
	struct bench *bench = bench_create();
	bench->control.tag_10bit = true;
	bench->config.link.tags = 768;
	bench_start(bench);
	fill_pattern(bench->memory, 4096, 1);
	for (unsigned i = 0; i < 800; i++)
		request(bench, i % 2 ? DMA_FETCH : DMA_MOVER, false, MEMORY_BASE + 4 * i, data[i], 4, i);
	unsigned done = 0;
	while (done < 800) {
		bench_run_for(bench, PS_PER_US);
		assert_true(dma_busy(bench->dma));
		assert_in_range(bench->count, done + 1, done + 512);
		answer(bench, &bench->seen[done], 4);
		done++;
	}
	assert_memory_equal(data, bench->memory, 4 * 800);
	assert_false(dma_busy(bench->dma));
	bench_free(bench);
}

/* A change of width with reads out: old tags stay taken, new ones come from the new range. */
static void test_dma_tag_width_may_change_with_reads_out(void **state)
{
	(void)state;
	static uint8_t data[64];
	static const struct {
		bool extended, wide;
		unsigned below, from;
	} steps[] = {
		{true, false, 256, 0}, {false, false, 32, 0}, {true, true, 1024, 256}, {false, false, 32, 0}};
	struct bench *bench = bench_create();
	bench->config.link.tags = 768;
	bench_start(bench);
	unsigned answered = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		bench->control.extended_tag = steps[i].extended;
		bench->control.tag_10bit = steps[i].wide;
		unsigned before = bench->count;
		read_much(bench, data, 20);
		while (bench->count <
		       before + 20) { /* the wider ones hold the narrow range up: answer the oldest */
			answer(bench, &bench->seen[answered++], 64);
			bench_run_for(bench, PS_PER_US);
		}
		for (unsigned k = before; k < bench->count; k++)
			assert_in_range(bench->seen[k].tag, steps[i].from, steps[i].below - 1);
	}
	while (answered < bench->count)
		answer(bench, &bench->seen[answered++], 64);
	assert_false(dma_busy(bench->dma));
	bench_free(bench);
}

static void test_dma_tag_is_reused_only_after_the_final_completion(void **state)
{
	(void)state;
	uint8_t data[512], more[4];
	struct bench *bench = bench_create();
	bench->config.link.tags = 1;
	bench_start(bench);
	request(bench, DMA_FETCH, false, MEMORY_BASE, data, 512, 1);
	request(bench, DMA_FETCH, false, MEMORY_BASE, more, 4, 2);
	for (unsigned part = 0; part < 8; part++) {
		bench_run_for(bench, PS_PER_US);
		assert_int_equal(bench->count, 1);
		answer(bench, &bench->seen[0], 64);
	}
	bench_run_for(bench, PS_PER_US);
	assert_int_equal(bench->count, 2);
	bench_free(bench);
}

/* A tag that has just come back is the last to be used again. */
static void test_dma_tags_go_round(void **state)
{
	(void)state;
	uint8_t data[4];
	struct bench *bench = bench_create();
	bench_start(bench);
	for (unsigned i = 0; i < 600; i++) {
		request(bench, DMA_FETCH, false, MEMORY_BASE, data, 4, i);
		bench_run_for(bench, PS_PER_US);
		answer(bench, &bench->seen[i], 4);
		assert_done(bench, DMA_FETCH, i, DMA_OK);
		for (unsigned k = i > 255 ? i - 255 : 0; k < i; k++)
			assert_int_not_equal(bench->seen[k].tag, bench->seen[i].tag);
	}
	bench_free(bench);
}

/* Transactions Pending follows the reads that are out, and a timeout ends a read. */
static void test_dma_pending_is_told_while_reads_are_out(void **state)
{
	(void)state;
	uint8_t data[64];
	struct bench *bench = bench_create();
	bench_start(bench);
	request(bench, DMA_USED, true, MEMORY_BASE, data, 64, 0);
	bench_run_for(bench, PS_PER_US);
	assert_int_equal(bench->pending_calls, 0); /* posted */
	request(bench, DMA_FETCH, false, MEMORY_BASE, data, 32, 0);
	request(bench, DMA_FETCH, false, MEMORY_BASE, data + 32, 32, 1);
	bench_run_for(bench, PS_PER_US);
	assert_true(bench->pending);
	answer(bench, &bench->seen[2], 32);
	assert_true(bench->pending);
	answer(bench, &bench->seen[1], 32);
	assert_false(bench->pending);
	request(bench, DMA_FETCH, false, MEMORY_BASE, data, 64, 2);
	bench_run_for(bench, PS_PER_US);
	assert_true(bench->pending);
	bench_run_for(bench, PS_PER_MS);
	assert_int_equal(bench->timeouts, 1);
	assert_false(bench->pending); /* though the tag rests */
	assert_int_equal(dma_stats(bench->dma)->tags_in_use, 1);
	assert_false(dma_busy(bench->dma));
	assert_int_equal(bench->pending_calls, 4);
	bench_run_for(bench, PS_PER_MS);
	assert_int_equal(dma_stats(bench->dma)->tags_in_use, 0);
	bench_free(bench);
}

/* Throughput of reads: tags times request size a round trip (PERF of a latency-bound link). */
static void test_dma_read_rate_is_bound_by_tags_and_latency(void **state)
{
	(void)state;
	static uint8_t data[65536];
	static const unsigned tags[] = {1, 4, 32};
	for (unsigned i = 0; i < ARRAY_SIZE(tags); i++) {
		struct bench *bench = bench_create();
		const uint64_t latency_ps = 10 * PS_PER_US;
		bench->config.link.tags = tags[i];
		bench_start(bench);
		request(bench, DMA_MOVER, false, MEMORY_BASE, data, sizeof(data), 0);
		unsigned answered = 0;
		while (dma_done_fifo_count(&bench->done[DMA_MOVER]) == 0) {
			bench_run_for(bench, 1000);
			while (answered < bench->count &&
			       bench->seen[answered].arrive_ps + latency_ps <= bench->now_ps) {
				answer(bench, &bench->seen[answered], 512);
				answered++;
			}
		}
		uint64_t rounds = 128 / tags[i];
		assert_true(bench->now_ps >= rounds * latency_ps);
		assert_true(bench->now_ps <= rounds * (latency_ps + 100 * PS_PER_NS) + PS_PER_US);
		assert_int_equal(dma_stats(bench->dma)->tags_in_use_max, tags[i]);
		bench_free(bench);
	}
}

/* ---- timeouts ---- */

/* At the timeout the request fails; the tag rests for a whole timeout more, in which the answer is dropped. */
static void test_dma_timeout_fails_the_read_and_rests_its_tag(void **state)
{
	(void)state;
	uint8_t data[64 + 2 * GUARD], second[64];
	struct bench *bench = bench_create();
	bench->config.link.tags = 1;
	bench_start(bench);
	memset(data, 0x5a, sizeof(data));
	memset(bench->memory, 0x11, 4096);
	request(bench, DMA_FETCH, false, MEMORY_BASE, data + GUARD, 64, 1);
	bench_run(bench, PS_PER_MS - 1);
	assert_int_equal(bench->timeouts, 0);
	assert_none_done(bench, DMA_FETCH);
	bench_run(bench, PS_PER_MS + 10000);
	assert_int_equal(bench->timeouts, 1);
	assert_int_equal(dma_stats(bench->dma)->timeouts, 1);
	assert_done(bench, DMA_FETCH, 1, DMA_FAILED);
	request(bench, DMA_FETCH, false, MEMORY_BASE, second, 64, 2);
	bench_run(bench, PS_PER_MS * 3 / 2);
	assert_int_equal(bench->count, 1);                                               /* no tag for it */
	assert_int_equal(answer(bench, &bench->seen[0], 64), DMA_COMPLETION_UNEXPECTED); /* too late */
	for (unsigned i = 0; i < sizeof(data); i++)
		assert_int_equal(data[i], 0x5a);
	bench_run(bench, 2 * PS_PER_MS - 1);
	assert_int_equal(bench->count, 1);
	bench_run(bench, 2 * PS_PER_MS + PS_PER_US);
	assert_int_equal(bench->count, 2);
	answer(bench, &bench->seen[1], 64);
	assert_done(bench, DMA_FETCH, 2, DMA_OK);
	assert_memory_equal(second, bench->memory, 64);
	assert_int_equal(bench->timeouts, 1);
	bench_free(bench);
}

/* A read given up is nobody's error any more, but its tag rests like any other. */
static void test_dma_timeout_of_an_aborted_read_is_not_told(void **state)
{
	(void)state;
	uint8_t data[4];
	struct bench *bench = bench_create();
	bench_start(bench);
	request(bench, DMA_FETCH, false, MEMORY_BASE, data, 4, 1);
	bench_run_for(bench, PS_PER_US);
	dma_abort(bench->dma, bench->now_ps, DMA_CHANNELS);
	assert_done(bench, DMA_FETCH, 1, DMA_ABORTED);
	assert_true(dma_busy(bench->dma)); /* the host may still answer */
	bench_run_for(bench, PS_PER_MS);
	assert_false(dma_busy(bench->dma));
	assert_int_equal(bench->timeouts, 0);
	assert_int_equal(dma_stats(bench->dma)->timeouts, 1);
	assert_int_equal(dma_stats(bench->dma)->tags_in_use, 1);
	assert_none_done(bench, DMA_FETCH);
	bench_free(bench);
}

/* The timeout counts from the request, also when parts of the data have come; and every read has its own. */
static void test_dma_each_read_has_its_own_timeout(void **state)
{
	(void)state;
	uint8_t data[3][512];
	struct bench *bench = bench_create();
	bench_start(bench);
	for (unsigned i = 0; i < 3; i++) {
		request(bench, DMA_FETCH, false, MEMORY_BASE, data[i], 512, i);
		bench_run_for(bench, 200 * PS_PER_US);
	}
	answer(bench, &bench->seen[0], 64); /* in part */
	answer(bench, &bench->seen[1], 512);
	assert_done(bench, DMA_FETCH, 1, DMA_OK);
	bench_run(bench, PS_PER_MS + PS_PER_US);
	assert_done(bench, DMA_FETCH, 0, DMA_FAILED);
	assert_none_done(bench, DMA_FETCH);
	bench_run(bench, PS_PER_MS + 400 * PS_PER_US - PS_PER_US);
	assert_none_done(bench, DMA_FETCH);
	bench_run(bench, PS_PER_MS + 400 * PS_PER_US + PS_PER_US);
	assert_done(bench, DMA_FETCH, 2, DMA_FAILED);
	assert_int_equal(bench->timeouts, 2);
	bench_free(bench);
}

/* The limit is that of Device Control 2 as it stands; disabled, a read waits for ever. */
static void test_dma_timeout_follows_the_control_register(void **state)
{
	(void)state;
	uint8_t data[4];
	struct bench *bench = bench_create();
	bench->control.completion_timeout_ps = TIME_NEVER_PS;
	bench_start(bench);
	request(bench, DMA_FETCH, false, MEMORY_BASE, data, 4, 1);
	bench_run(bench, 100 * PS_PER_S);
	assert_none_done(bench, DMA_FETCH);
	assert_true(bench->pending);
	bench->control.completion_timeout_ps = 50 * PS_PER_US;
	bench_wake(bench, bench->now_ps); /* as the endpoint does */
	bench_run_for(bench, 1000);
	assert_done(bench, DMA_FETCH, 1, DMA_FAILED);
	request(bench, DMA_FETCH, false, MEMORY_BASE, data, 4, 2);
	bench_run_for(bench, 49 * PS_PER_US);
	assert_none_done(bench, DMA_FETCH);
	bench_run_for(bench, 2 * PS_PER_US);
	assert_done(bench, DMA_FETCH, 2, DMA_FAILED);
	bench_free(bench);
}

/* With timeouts disabled a tag put to rest still comes back: no number of bad completions stops the engine. */
static void test_dma_tag_rests_for_a_finite_time_without_timeouts(void **state)
{
	(void)state;
	uint8_t data[4];
	struct bench *bench = bench_create();
	bench->control.completion_timeout_ps = TIME_NEVER_PS;
	bench->config.link.tags = 1;
	bench_start(bench);
	for (unsigned i = 0; i < 20; i++) {
		request(bench, DMA_FETCH, false, MEMORY_BASE, data, 4, i);
		bench_run_for(bench, 60 * PS_PER_MS);
		assert_int_equal(bench->count, i + 1);
		uint8_t payload[16];
		struct tlp cpl = completion(bench, &bench->seen[i], 4, payload);
		cpl.byte_count = 8;
		assert_int_equal(dma_complete(bench->dma, bench->now_ps, &cpl), DMA_COMPLETION_UNEXPECTED);
		host_forget(bench, &bench->seen[i]);
		assert_done(bench, DMA_FETCH, i, DMA_FAILED);
		bench_run_for(bench, 40 * PS_PER_MS); /* no answer after the default range's end, 50 ms */
		assert_int_equal(dma_stats(bench->dma)->tags_in_use, 1);
	}
	bench_free(bench);
}

/* ---- bad completions ---- */

/* How a row spoils the completion at `offset` of a 256-byte read answered in pieces of 64. */
struct bad_row {
	const char *what;
	unsigned offset;
	enum dma_completion result;
	bool rests; /* the tag stays out of use, for the host may send more */
	void (*spoil)(struct tlp *cpl);
};

static void status_of(struct tlp *cpl, uint8_t status)
{
	cpl->type = TLP_CPL;
	cpl->status = status;
	cpl->length_dw = 0;
	cpl->payload = NULL;
	cpl->byte_count = 4;
	cpl->lower_addr = 0;
}

static void make_ur(struct tlp *cpl)
{
	status_of(cpl, 1);
}
static void make_crs(struct tlp *cpl)
{
	status_of(cpl, 2);
}
static void make_ca(struct tlp *cpl)
{
	status_of(cpl, 4);
}
static void make_reserved3(struct tlp *cpl)
{
	status_of(cpl, 3);
}
static void make_reserved7(struct tlp *cpl)
{
	status_of(cpl, 7);
}
static void make_no_data(struct tlp *cpl)
{
	status_of(cpl, 0);
}
static void make_ur_odd_count(struct tlp *cpl)
{
	status_of(cpl, 1);
	cpl->byte_count = 4096;
	cpl->lower_addr = 0x7f;
}
static void make_poisoned(struct tlp *cpl)
{
	cpl->ep = true;
}
static void count_up(struct tlp *cpl)
{
	cpl->byte_count++;
}
static void count_down(struct tlp *cpl)
{
	cpl->byte_count--;
}
static void lower_up(struct tlp *cpl)
{
	cpl->lower_addr = (cpl->lower_addr + 4) & 0x7f;
}
static void other_tc(struct tlp *cpl)
{
	cpl->tc = 1;
}
static void relaxed(struct tlp *cpl)
{
	cpl->attr = TLP_ATTR_RELAXED;
}
static void no_snoop(struct tlp *cpl)
{
	cpl->attr = TLP_ATTR_NO_SNOOP;
}
static void too_long(struct tlp *cpl)
{
	cpl->length_dw = 65;
}
static void not_at_boundary(struct tlp *cpl)
{
	cpl->length_dw = 3;
}

static const struct bad_row bad_rows[] = {
	{"UR", 0, DMA_COMPLETION_UR, false, make_ur},
	{"UR after data", 128, DMA_COMPLETION_UR, false, make_ur},
	{"UR with any byte count", 64, DMA_COMPLETION_UR, false, make_ur_odd_count},
	{"CA", 0, DMA_COMPLETION_CA, false, make_ca},
	{"CA at the end", 192, DMA_COMPLETION_CA, false, make_ca},
	{"CRS", 0, DMA_COMPLETION_UR, false, make_crs},
	{"reserved status 3", 64, DMA_COMPLETION_UR, false, make_reserved3},
	{"reserved status 7", 0, DMA_COMPLETION_UR, false, make_reserved7},
	{"SC without data", 0, DMA_COMPLETION_UR, false, make_no_data},
	{"SC without data after data", 64, DMA_COMPLETION_UR, false, make_no_data},
	{"poisoned at the end", 192, DMA_COMPLETION_POISONED, false, make_poisoned},
	{"byte count too large", 0, DMA_COMPLETION_UNEXPECTED, true, count_up},
	{"byte count too small", 64, DMA_COMPLETION_UNEXPECTED, true, count_down},
	{"lower address", 128, DMA_COMPLETION_UNEXPECTED, true, lower_up},
	{"traffic class", 0, DMA_COMPLETION_UNEXPECTED, true, other_tc},
	{"relaxed ordering", 0, DMA_COMPLETION_UNEXPECTED, true, relaxed},
	{"no snoop", 192, DMA_COMPLETION_UNEXPECTED, true, no_snoop},
	{"more data than asked for", 0, DMA_COMPLETION_UNEXPECTED, true, too_long},
	{"more data than is left", 192, DMA_COMPLETION_UNEXPECTED, true, too_long},
	{"cut off the boundary", 0, DMA_COMPLETION_UNEXPECTED, true, not_at_boundary},
};

static void check_bad_row(const struct bad_row *row)
{
	uint8_t data[256 + 2 * GUARD], payload[1024];
	struct bench *bench = bench_create();
	bench->config.link.tags = 2;
	bench_start(bench);
	memset(data, 0x5a, sizeof(data));
	memset(bench->memory, 0x11, sizeof(bench->memory));
	request(bench, DMA_FETCH, false, MEMORY_BASE, data + GUARD, 256, 1);
	bench_run_for(bench, PS_PER_US);
	struct seen *read = &bench->seen[0];
	while (read->answered < row->offset)
		answer(bench, read, 64);
	memset(payload, 0x33, sizeof(payload));
	struct tlp cpl = completion(bench, read, 64, payload);
	row->spoil(&cpl);
	assert_int_equal(dma_complete(bench->dma, bench->now_ps, &cpl), row->result);
	host_forget(bench, read);
	assert_done(bench, DMA_FETCH, 1, DMA_FAILED);
	assert_int_equal(dma_stats(bench->dma)->failed, 1);
	assert_int_equal(dma_stats(bench->dma)->unexpected, row->rests);
	/* Nothing beyond the good data has been touched, and nothing is by what follows. */
	cpl = completion(bench, read, 64, payload);
	if (row->offset < 192)
		assert_int_equal(dma_complete(bench->dma, bench->now_ps, &cpl), DMA_COMPLETION_UNEXPECTED);
	for (unsigned i = 0; i < sizeof(data); i++)
		assert_int_equal(data[i], i >= GUARD && i < GUARD + row->offset ? 0x11 : 0x5a);
	/* The tag is there again, or rests. */
	assert_int_equal(dma_stats(bench->dma)->tags_in_use, row->rests);
	for (unsigned i = 0; i < 2; i++)
		request(bench, DMA_FETCH, false, MEMORY_BASE, data, 4, 2 + i);
	bench_run_for(bench, PS_PER_US);
	assert_int_equal(bench->count, row->rests ? 2 : 3);
	assert_false(dma_done_fifo_count(&bench->done[DMA_FETCH]));
	bench_free(bench);
}

static void test_dma_bad_completion_fails_the_read_and_touches_nothing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad_rows); i++) {
		print_message("%s\n", bad_rows[i].what);
		check_bad_row(&bad_rows[i]);
	}
}

/* Completions that are no read's: dropped and counted, the reads that are out do not notice. */
static void test_dma_completion_of_nobody_is_dropped(void **state)
{
	(void)state;
	uint8_t data[64], payload[128];
	struct bench *bench = bench_create();
	bench_start(bench);
	memset(bench->memory, 0x11, 4096);
	memset(data, 0x5a, sizeof(data));
	request(bench, DMA_FETCH, false, MEMORY_BASE, data, 64, 1);
	bench_run_for(bench, PS_PER_US);
	struct seen *read = &bench->seen[0];
	struct tlp good = completion(bench, read, 64, payload), cpl = good;
	for (unsigned tag = 0; tag < TAG_COUNT; tag++) {
		cpl.tag = (uint16_t)tag;
		if (tag != read->tag)
			assert_int_equal(dma_complete(bench->dma, bench->now_ps, &cpl),
					 DMA_COMPLETION_UNEXPECTED);
	}
	cpl = good;
	cpl.requester_id ^= 8; /* another device's */
	assert_int_equal(dma_complete(bench->dma, bench->now_ps, &cpl), DMA_COMPLETION_UNEXPECTED);
	assert_int_equal(data[0], 0x5a);
	assert_int_equal(dma_complete(bench->dma, bench->now_ps, &good), DMA_COMPLETION_OK);
	assert_int_equal(data[63], 0x11);
	memset(bench->memory, 0x22, 4096);
	good = completion(bench, read, 64, payload); /* the last one once more */
	assert_int_equal(dma_complete(bench->dma, bench->now_ps, &good), DMA_COMPLETION_UNEXPECTED);
	assert_int_equal(data[63], 0x11);
	assert_done(bench, DMA_FETCH, 1, DMA_OK);
	assert_int_equal(dma_stats(bench->dma)->unexpected, TAG_COUNT - 1 + 2);
	bench_free(bench);
}

/* Poisoned data fails the read, but the rest of its completions are still to come: until then the tag must not go to
 * another read, which would take them for its own. */
static void test_dma_poisoned_completion_keeps_the_tag_until_the_rest_has_come(void **state)
{
	(void)state;
	uint8_t first[256], second[256], payload[128];
	struct bench *bench = bench_create();
	bench->config.link.tags = 1;
	bench_start(bench);
	memset(first, 0x5a, sizeof(first));
	memset(bench->memory, 0x11, 4096);
	request(bench, DMA_FETCH, false, MEMORY_BASE, first, 256, 1);
	request(bench, DMA_FETCH, false, MEMORY_BASE, second, 256, 2);
	bench_run_for(bench, PS_PER_US);
	struct seen *read = &bench->seen[0];
	answer(bench, read, 64);
	struct tlp cpl = completion(bench, read, 64, payload);
	cpl.ep = true;
	assert_int_equal(dma_complete(bench->dma, bench->now_ps, &cpl), DMA_COMPLETION_POISONED);
	read->answered += 64;
	bench_run_for(bench, PS_PER_US);
	assert_int_equal(bench->count, 1);
	assert_none_done(bench, DMA_FETCH);
	assert_int_equal(answer(bench, read, 64), DMA_COMPLETION_OK);
	assert_int_equal(answer(bench, read, 64), DMA_COMPLETION_OK);
	assert_done(bench, DMA_FETCH, 1, DMA_FAILED);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(first[i], i / 64 == 1 ? 0x5a : 0x11);
	bench_run_for(bench, PS_PER_US);
	assert_int_equal(bench->count, 2);
	answer(bench, &bench->seen[1], 256);
	assert_done(bench, DMA_FETCH, 2, DMA_OK);
	bench_free(bench);
}

/* One bad TLP of many fails the request, once, when the last of them is over. */
static void test_dma_request_of_many_tlps_fails_once_at_its_end(void **state)
{
	(void)state;
	static uint8_t data[4096];
	struct bench *bench = bench_create();
	bench_start(bench);
	request(bench, DMA_MOVER, false, MEMORY_BASE, data, 4096, 5);
	bench_run_for(bench, PS_PER_US);
	assert_int_equal(bench->count, 8);
	assert_int_equal(answer_status(bench, &bench->seen[2], TLP_UR), DMA_COMPLETION_UR);
	assert_int_equal(answer_status(bench, &bench->seen[7], TLP_CA), DMA_COMPLETION_CA);
	static const unsigned order[] = {6, 0, 5, 1, 4, 3};
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		assert_none_done(bench, DMA_MOVER);
		answer(bench, &bench->seen[order[i]], 512);
	}
	assert_done(bench, DMA_MOVER, 5, DMA_FAILED);
	assert_none_done(bench, DMA_MOVER);
	assert_int_equal(dma_stats(bench->dma)->failed, 1);
	assert_int_equal(dma_stats(bench->dma)->reads, 0);
	bench_free(bench);
}

/* IDO in a completion is the completer's choice. */
static void test_dma_completion_with_ido_is_accepted(void **state)
{
	(void)state;
	uint8_t data[64], payload[128];
	struct bench *bench = bench_create();
	bench_start(bench);
	request(bench, DMA_FETCH, false, MEMORY_BASE, data, 64, 1);
	bench_run_for(bench, PS_PER_US);
	struct tlp cpl = completion(bench, &bench->seen[0], 64, payload);
	cpl.attr = TLP_ATTR_IDO;
	assert_int_equal(dma_complete(bench->dma, bench->now_ps, &cpl), DMA_COMPLETION_OK);
	assert_done(bench, DMA_FETCH, 1, DMA_OK);
	bench_free(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_dma_tags_are_in_the_range_of_their_width, "TAG-001 TAG-002 TAG-003"),
		cmocka_unit_test(test_dma_more_reads_than_entries_wait),
		REQ_TEST(test_dma_tag_width_may_change_with_reads_out, "TAG-001 TAG-002 TAG-003"),
		REQ_TEST(test_dma_tag_is_reused_only_after_the_final_completion, "TAG-006"),
		REQ_TEST(test_dma_tags_go_round, "TAG-006"),
		REQ_TEST(test_dma_pending_is_told_while_reads_are_out, "TAG-011"),
		REQ_TEST(test_dma_read_rate_is_bound_by_tags_and_latency, "TAG-010"),
		REQ_TEST(test_dma_timeout_fails_the_read_and_rests_its_tag,
			 "TAG-006 TAG-007 TAG-009 ERR-007"),
		REQ_TEST(test_dma_timeout_of_an_aborted_read_is_not_told, "TAG-006"),
		REQ_TEST(test_dma_each_read_has_its_own_timeout, "TAG-007"),
		REQ_TEST(test_dma_timeout_follows_the_control_register, "TAG-007"),
		REQ_TEST(test_dma_tag_rests_for_a_finite_time_without_timeouts, "TAG-006"),
		REQ_TEST(test_dma_bad_completion_fails_the_read_and_touches_nothing,
			 "CPL-002 CPL-013 CPL-014 CPL-016 CPL-017 CPL-018 ERR-004 ERR-005 ERR-006 ERR-009 "
			 "ERR-010 ERR-011 "
			 "ERR-012"),
		REQ_TEST(test_dma_completion_of_nobody_is_dropped, "CPL-016 ERR-008 ERR-010"),
		REQ_TEST(test_dma_poisoned_completion_keeps_the_tag_until_the_rest_has_come,
			 "TAG-006 CPL-017 ERR-012"),
		REQ_TEST(test_dma_request_of_many_tlps_fails_once_at_its_end, "ERR-004"),
		cmocka_unit_test(test_dma_completion_with_ido_is_accepted),
	};
	return cmocka_run_group_tests_name("dma completions", tests, NULL, NULL);
}
