/* The DMA engine in random runs: requests on all channels, a host that answers in any order and any pieces, everything that
 * can go wrong, and both memories compared with what they should hold. */
#include "tests/unit/rtl-model/dma_fixture.h"

#define RUNS        400u
#define SLOTS_EACH  24u   /* requests outstanding per channel */
#define REQUESTS    300u  /* of a run */
#define SLOT_MEMORY 1024u /* of card memory, guards included */
#define GUARD       16u
#define BYTES_MAX   (SLOT_MEMORY - 2 * GUARD)
#define REGION      (MEMORY_BYTES / DMA_CHANNELS / SLOTS_EACH) /* of guest memory a request may use */

/* A request as the test knows it. */
struct order {
	bool out;
	bool write, harmed; /* a read that the host spoils may only end as failed */
	uint64_t addr;
	uint32_t bytes;
	uint64_t pushed;  /* in the channel's order */
	unsigned first;   /* bench->seen has its TLPs from here on */
	uint64_t free_ps; /* TLPs of an aborted request may be on the link until then */
	uint8_t data[SLOT_MEMORY];
};

struct run {
	struct bench *bench;
	struct rng rng;
	struct order order[DMA_CHANNELS][SLOTS_EACH];
	uint8_t model[MEMORY_BYTES]; /* what guest memory should hold */
	unsigned pushed, done, failed, aborted;
	uint64_t sequence, done_writes[DMA_CHANNELS];
	bool hostile;
	unsigned answered; /* reads before this one in bench->seen are over */
};

static uint32_t below(struct run *run, uint32_t bound)
{
	return (uint32_t)rng_below(&run->rng, bound);
}

/* An aborted write may have been sent in part. */
static void settle(struct run *run, const struct order *order)
{
	uint64_t offset = order->addr - MEMORY_BASE;
	if (order->write && order->free_ps != 0)
		memcpy(run->model + offset, run->bench->memory + offset, order->bytes);
}

static void push_random(struct run *run)
{
	unsigned c = below(run, DMA_CHANNELS), s = below(run, SLOTS_EACH);
	struct order *order = &run->order[c][s];
	if (order->out || run->pushed == REQUESTS || run->bench->now_ps < order->free_ps)
		return;
	settle(run, order);
	*order = (struct order){.out = true, .write = below(run, 2), .pushed = run->sequence++};
	order->first = run->bench->count;
	order->bytes = 1 + below(run, below(run, 4) ? 70 : BYTES_MAX);
	/* Its own piece of guest memory, anywhere around page boundaries. */
	uint64_t offset =
		(c * SLOTS_EACH + s) * (uint64_t)REGION + below(run, (uint32_t)REGION - order->bytes + 1);
	order->addr = MEMORY_BASE + offset;
	memset(order->data, 0x5a, sizeof(order->data));
	if (order->write) {
		fill_pattern(order->data + GUARD, order->bytes, rng_u64(&run->rng));
		memcpy(run->model + offset, order->data + GUARD, order->bytes);
	}
	request(run->bench, (enum dma_channel)c, order->write, order->addr, order->data + GUARD, order->bytes,
		s);
	run->pushed++;
}

static void check_done(struct run *run, unsigned c, const struct dma_done *done)
{
	struct order *order = &run->order[c][done->cookie];
	const uint8_t *guest = run->model + (order->addr - MEMORY_BASE);
	assert_true(done->cookie < SLOTS_EACH);
	assert_true(order->out);
	order->out = false;
	run->done++;
	run->failed += done->status == DMA_FAILED;
	run->aborted += done->status == DMA_ABORTED;
	if (done->status == DMA_ABORTED)
		order->free_ps = run->bench->now_ps + PS_PER_MS;
	if (order->write) {
		assert_int_not_equal(done->status, DMA_FAILED);
		assert_true(order->pushed >= run->done_writes[c]);
		run->done_writes[c] = order->pushed;
		return;
	}
	if (done->status == DMA_OK) {
		assert_false(order->harmed);
		assert_memory_equal(order->data + GUARD, guest, order->bytes);
	} else if (done->status == DMA_FAILED) {
		assert_true(order->harmed);
	}
	for (unsigned i = 0; i < GUARD; i++) {
		assert_int_equal(order->data[i], 0x5a);
		assert_int_equal(order->data[GUARD + order->bytes + i], 0x5a);
	}
}

static void take_all_done(struct run *run)
{
	for (unsigned c = 0; c < DMA_CHANNELS; c++)
		while (dma_done_fifo_ready(&run->bench->done[c], run->bench->now_ps)) {
			struct dma_done done = take_done(run->bench, (enum dma_channel)c);
			check_done(run, c, &done);
		}
}

static struct order *order_of(struct run *run, const struct seen *read)
{
	uint64_t index = (read->addr - MEMORY_BASE) / REGION;
	return &run->order[index / SLOTS_EACH][index % SLOTS_EACH];
}

/* Something that ends the read without its data. */
static void spoil(struct run *run, struct seen *read)
{
	struct bench *bench = run->bench;
	uint8_t payload[TLP_PAYLOAD_BYTES_MAX + 8];
	struct tlp cpl = completion(bench, read, read->bytes - read->answered, payload);
	if (read >= &bench->seen[order_of(run, read)->first]) /* not one that was aborted long ago */
		order_of(run, read)->harmed = true;
	switch (below(run, 5)) {
	case 0: answer_status(bench, read, (uint8_t)below(run, 8)); break; /* SC here is without data */
	case 1: cpl.byte_count++; break;
	case 2: cpl.lower_addr ^= 1u << below(run, 7); break;
	case 3: cpl.tc = 3; break;
	case 4: break; /* no answer at all */
	}
	if (cpl.byte_count != read->bytes - read->answered || cpl.tc != 0 ||
	    cpl.lower_addr != ((read->addr + read->answered) & 0x7f))
		assert_int_equal(dma_complete(bench->dma, bench->now_ps, &cpl), DMA_COMPLETION_UNEXPECTED);
	if (bench->tag_out[read->tag])
		host_forget(bench,
			    read); /* the card must not use it before the timeout is over: checked there */
	read->answered = read->bytes;
}

/* The next piece of any read that is out: all that is left, or up to some multiple of 64. */
static void answer_some(struct run *run)
{
	struct bench *bench = run->bench;
	while (run->answered < bench->count &&
	       (bench->seen[run->answered].write ||
		bench->seen[run->answered].answered == bench->seen[run->answered].bytes))
		run->answered++;
	if (run->answered == bench->count)
		return;
	struct seen *read = &bench->seen[run->answered + below(run, bench->count - run->answered)];
	uint32_t left = read->bytes - read->answered;
	if (read->write || left == 0)
		return;
	if (run->hostile && below(run, 12) == 0) {
		spoil(run, read);
		return;
	}
	uint64_t at = read->addr + read->answered, end = (at + 64 * (1 + below(run, 4))) & ~UINT64_C(63);
	if (end - at > 256) /* MPS of the host */
		end -= 64;
	assert_int_not_equal(answer(bench, read, (uint32_t)min_u64(left, end - at)),
			     DMA_COMPLETION_UNEXPECTED);
}

/* Software and fate. */
static void disturb(struct run *run)
{
	struct bench *bench = run->bench;
	switch (below(run, 8)) {
	case 0:
		bench->size_before = 4096;
		bench->control.mps_bytes = 128u << below(run, 6);
		break;
	case 1:
		bench->size_before = 4096;
		bench->control.mrrs_bytes = 128u << below(run, 6);
		break;
	case 2: bench->control.extended_tag = below(run, 2); break;
	case 3: bench->control.tag_10bit = below(run, 2); break;
	case 4: bench->control.bus_master = below(run, 4) != 0; break;
	case 5: bench->control.power_state = below(run, 4) ? 0 : 3; break;
	case 6: bench->control.ecrc_generate = below(run, 2); break;
	case 7:
		if (run->hostile && below(run, 4) == 0)
			dma_abort(bench->dma, bench->now_ps, (enum dma_channel)below(run, DMA_CHANNELS + 1));
		break;
	}
	bench_wake(bench, bench->now_ps);
}

static void random_run(uint64_t seed, uint64_t stream, bool hostile)
{
	struct run *run = calloc(1, sizeof(*run));
	assert_non_null(run);
	struct bench *bench = run->bench = bench_create();
	rng_seed(&run->rng, seed, stream);
	run->hostile = hostile;
	bench->config.link.tags = 1 + below(run, below(run, 3) ? 4 : 300);
	bench->config.link.gen = 1 + below(run, 5);
	bench->config.link.lanes = 1u << below(run, 5);
	bench->config.device.tx_backlog_bytes = 128 + below(run, 5000);
	bench->control.completion_timeout_ps = hostile ? 10 * PS_PER_MS : TIME_NEVER_PS;
	bench_start(bench);
	fill_pattern(bench->memory, sizeof(bench->memory), stream);
	memcpy(run->model, bench->memory, sizeof(run->model));
	bool disturbed = below(run, 2);
	while (run->done < REQUESTS) {
		push_random(run);
		if (disturbed && below(run, 50) == 0)
			disturb(run);
		for (unsigned i = below(run, 4); i != 0; i--)
			answer_some(run);
		/* Reads are answered long before their timeout; with none out there is time. */
		bench_run_for(bench,
			      run->answered < bench->count ? below(run, 50000) : below(run, 1000000) * 1000);
		take_all_done(run);
		if (run->pushed == REQUESTS) { /* the end has to come now */
			bench->control.bus_master = true;
			bench->control.power_state = 0;
			bench_wake(bench, bench->now_ps);
		}
		assert_true(bench->now_ps < 100 * PS_PER_S); /* no deadlock */
	}
	bench_run_for(bench, 20 * PS_PER_MS); /* late answers of forgotten reads time out */
	assert_false(dma_busy(bench->dma));
	assert_false(bench->pending);
	for (unsigned i = 0; i < DMA_CHANNELS * SLOTS_EACH; i++)
		settle(run, &run->order[i / SLOTS_EACH][i % SLOTS_EACH]);
	assert_memory_equal(bench->memory, run->model, sizeof(run->model));
	const struct dma_stats *stats = dma_stats(bench->dma);
	assert_int_equal(stats->reads + stats->writes + stats->failed + stats->aborted, REQUESTS);
	assert_int_equal(stats->failed, run->failed);
	assert_int_equal(stats->aborted, run->aborted);
	assert_true(stats->tags_in_use_max <= bench->config.link.tags);
	if (!hostile)
		assert_int_equal(run->failed + run->aborted, 0);
	bench_free(bench);
	free(run);
}

static void test_dma_random_requests_move_exactly_their_bytes(void **state)
{
	(void)state;
	uint64_t seed = test_seed(1);
	for (unsigned i = 0; i < RUNS; i++)
		random_run(seed, i, false);
}

static void test_dma_random_faults_fail_exactly_the_reads_they_hit(void **state)
{
	(void)state;
	uint64_t seed = test_seed(2);
	for (unsigned i = 0; i < RUNS; i++)
		random_run(seed, i, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_dma_random_requests_move_exactly_their_bytes,
			 "TLP-004 TLP-005 TLP-007 TLP-012 TAG-001 CPL-011 CPL-012 CPL-015 ACC-002 CAP-004"),
		REQ_TEST(test_dma_random_faults_fail_exactly_the_reads_they_hit,
			 "TAG-006 TAG-009 CPL-002 CPL-013 CPL-016 ERR-004 ERR-006 ERR-007 ERR-009 ERR-011"),
	};
	return cmocka_run_group_tests_name("dma random", tests, NULL, NULL);
}
