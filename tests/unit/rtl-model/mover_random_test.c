/* The data mover in random runs: jobs of every kind with all that can go wrong, against a model that knows bytes and nothing
 * of chunks' ways; and a firmware gone mad, which must not get beyond the memory that is its own. */
#include "tests/unit/rtl-model/mover_fixture.h"

#define RUNS         150u
#define JOBS         150u /* of a run */
#define REGIONS      32u
#define REGION_BYTES (MEDIUM_BYTES / REGIONS)
#define AREA_BYTES   (GUEST_BYTES / REGIONS)
#define BYTES_MAX    6000u
#define BAD_REGION   5u  /* the medium fails somewhere in there */
#define HOLE_REGION  11u /* guest memory is missing somewhere in there */

/* A region of the medium and an area of guest memory of equal number belong to one job at a time. */
struct work {
	bool active, forgotten; /* forgotten: by a reset; the medium may still be at it */
	unsigned slot;
	struct job_spec spec;
	bool good;         /* nothing of what it touches is bad */
	bool may_cancel;   /* CANCEL was set during its life */
	uint32_t expected; /* result of a job that is not good; OK if it may be either error */
};

struct world {
	struct rig *rig;
	struct rng rng;
	struct expected *expected;
	struct work work[REGIONS];
	bool slot_used[SLOTS];
	unsigned pushed, ended[JOB_RESULT_BAD_JOB + 1], forgotten;
};

static uint32_t below(struct world *w, uint32_t bound)
{
	return (uint32_t)rng_below(&w->rng, bound);
}

/* ---- the firmware starts jobs ---- */

static bool data_meets(struct rig *rig, const struct work *work, const struct host_range *hole)
{
	for (uint32_t i = 0; i < work->spec.bytes; i++) {
		uint64_t addr = byte_addr(rig, work->slot, is_to_guest(&work->spec), work->spec.skip + i);
		if (ranges_meet(addr, 1, hole->addr, hole->bytes))
			return true;
	}
	return false;
}

/* How the job has to end if nobody cancels it. */
static void foresee(struct world *w, struct work *work)
{
	struct rig *rig = w->rig;
	const struct job_spec *spec = &work->spec;
	uint64_t bytes = spec->bytes ? spec->bytes : spec->range_bytes;
	bool unreadable = (spec->op == JOB_WRITE || spec->op == JOB_GUEST_TO_LOCAL) &&
			  data_meets(rig, work, &rig->host->unmapped[0]);
	bool bad = spec->op != JOB_FLUSH && !is_local(spec) &&
		   ranges_meet(spec->offset, bytes, rig->medium.bad.addr, rig->medium.bad.bytes);
	work->good = !unreadable && !bad;
	work->expected = unreadable && bad ? JOB_RESULT_OK
			 : unreadable      ? JOB_RESULT_DMA_ERROR
					   : JOB_RESULT_MEDIA_ERROR;
}

/* Other pieces come before and behind the data: a header, a status, the other direction's. */
static void describe_data(struct world *w, struct work *work)
{
	struct rig *rig = w->rig;
	struct job_spec *spec = &work->spec;
	bool to_guest = is_to_guest(spec);
	spec->skip = below(w, 2) ? below(w, 50) : 0;
	spec->bytes = 1 + below(w, is_local(spec) ? SLOT_LOCAL_BYTES : BYTES_MAX);
	if (to_guest)
		add_pieces(rig, &w->rng, work->slot, 1 + below(w, 30), false);
	add_pieces(rig, &w->rng, work->slot, spec->skip + spec->bytes + below(w, 3), to_guest);
	if (!to_guest)
		add_pieces(rig, &w->rng, work->slot, 1 + below(w, 30), true);
	contrast(rig, &w->rng, w->expected, work->slot, spec);
}

static void spoil(struct world *w, struct work *work)
{
	struct slot *slot = slot_of(w->rig, work->slot);
	bool to_guest = is_to_guest(&work->spec);
	uint32_t there = to_guest ? slot->writable_bytes : slot->readable_bytes;
	if (work->spec.bytes == 0)
		work->spec.op = JOB_GUEST_TO_LOCAL + 1 + below(w, 9);
	else
		work->spec.bytes = below(w, 2) ? 0 : there - work->spec.skip + 1 + below(w, 9999);
	work->good = false;
	work->expected = JOB_RESULT_BAD_JOB;
}

static void start_job(struct world *w)
{
	struct rig *rig = w->rig;
	unsigned region = below(w, REGIONS), number = below(w, SLOTS);
	struct work *work = &w->work[region];
	if (work->active || work->forgotten || w->slot_used[number])
		return;
	*work = (struct work){.active = true,
			      .slot = number,
			      .spec = {.op = below(w, 2) ? below(w, 2) : below(w, JOB_GUEST_TO_LOCAL + 1),
				       .offset = region * REGION_BYTES + below(w, 3000),
				       .flags = below(w, 4),
				       .range_bytes = 1 + below(w, BYTES_MAX)},
			      .may_cancel = get(rig, CSR_MOVER_CANCEL)};
	if (region == HOLE_REGION &&
	    is_to_guest(&work->spec)) /* what is written there gets lost, and nobody is told */
		work->spec.op = JOB_WRITE;
	w->slot_used[number] = true;
	w->pushed++;
	rig->free_addr = GUEST_BASE + region * AREA_BYTES;
	slot_begin(rig, number);
	if (work->spec.op == JOB_READ || work->spec.op == JOB_WRITE || is_local(&work->spec))
		describe_data(w, work);
	foresee(w, work);
	if (below(w, 20) == 0)
		spoil(w, work);
	job_push(rig, number, &work->spec);
	memcpy(w->expected->sram + (size_t)number * SLOT_BYTES, slot_of(rig, number), SLOT_LOCAL_OFFSET);
}

/* ---- and looks at what has become of them ---- */

/* Takes over what the job has done; says whether it is all, and how many bytes are in whole chunks. */
static bool take_over(struct world *w, const struct work *work, uint32_t *whole)
{
	const struct job_spec *spec = &work->spec;
	*whole = 0;
	if (work->expected == JOB_RESULT_BAD_JOB || spec->op == JOB_FLUSH)
		return spec->op == JOB_FLUSH;
	if (spec->bytes == 0)
		return settle_range(w->rig, w->expected, spec);
	*whole = settle(w->rig, w->expected, work->slot, spec);
	return *whole == spec->bytes;
}

static void release(struct world *w, struct work *work)
{
	size_t region = (size_t)(work - w->work);
	host_allow(w->rig->host, GUEST_BASE + region * AREA_BYTES, AREA_BYTES, 0);
	w->slot_used[work->slot] = false;
	work->active = work->forgotten = false;
}

static void check_end(struct world *w, struct work *work)
{
	const struct slot *slot = slot_of(w->rig, work->slot);
	uint32_t result = slot->job_result, whole;
	bool all = take_over(w, work, &whole);
	assert_int_equal(slot->job_done_bytes, whole);
	if (result == JOB_RESULT_CANCELLED)
		assert_true(work->may_cancel && work->expected != JOB_RESULT_BAD_JOB);
	else if (work->good)
		assert_int_equal(result, JOB_RESULT_OK);
	else if (work->expected != JOB_RESULT_OK)
		assert_int_equal(result, work->expected);
	else
		assert_in_range(result, JOB_RESULT_MEDIA_ERROR, JOB_RESULT_DMA_ERROR);
	assert_true(all || result != JOB_RESULT_OK);
	expected_result(w->expected, work->slot, result, whole);
	w->ended[result]++;
	release(w, work);
}

static unsigned active_count(const struct world *w)
{
	unsigned count = 0;
	for (unsigned i = 0; i < REGIONS; i++)
		count += w->work[i].active;
	return count;
}

static void take_ends(struct world *w)
{
	struct rig *rig = w->rig;
	int slot;
	while ((slot = take_done(rig)) >= 0) {
		struct work *work = w->work;
		while (work < w->work + REGIONS && !(work->active && work->slot == (unsigned)slot))
			work++;
		assert_true(work < w->work + REGIONS);
		sim_run(&rig->sim, max_u64(rig->sim.now_ps, rig->host->visible_ps));
		check_end(w, work);
	}
	assert_int_equal(get(rig, CSR_MOVER_ACTIVE), active_count(w));
}

/* ---- resets ---- */

/* The medium is through with what a reset has forgotten. */
static void settle_forgotten(struct world *w)
{
	for (unsigned i = 0; i < REGIONS; i++) {
		uint32_t whole;
		if (!w->work[i].forgotten)
			continue;
		take_over(w, &w->work[i], &whole);
		release(w, &w->work[i]);
	}
}

static void reset(struct world *w)
{
	struct rig *rig = w->rig;
	take_ends(w);
	rig_reset(rig);
	for (unsigned i = 0; i < REGIONS; i++) {
		struct work *work = &w->work[i];
		if (!work->active)
			continue;
		host_allow(rig->host, GUEST_BASE + i * AREA_BYTES, AREA_BYTES, 0);
		const struct slot *slot = slot_of(rig, work->slot);
		expected_result(w->expected, work->slot, slot->job_result, slot->job_done_bytes);
		work->active = false;
		work->forgotten = true;
		w->forgotten++;
	}
	assert_int_equal(mover_busy(rig->mover), medium_outstanding(&rig->medium) != 0);
	assert_int_equal(get(rig, CSR_MOVER_DONE) | get(rig, CSR_MOVER_ACTIVE) | get(rig, CSR_MOVER_CANCEL),
			 0);
}

static void set_cancel(struct world *w, bool cancel)
{
	set(w->rig, CSR_MOVER_CANCEL, cancel);
	for (unsigned i = 0; i < REGIONS && cancel; i++)
		w->work[i].may_cancel = true;
}

static void let_everything_end(struct world *w)
{
	struct rig *rig = w->rig;
	host_set_hold(rig->host, false);
	medium_set_hold(&rig->medium, &rig->sim, false);
	for (unsigned i = 0; mover_busy(rig->mover); i++) {
		assert_true(i < 1000);
		sim_run_for(&rig->sim, 50 * PS_PER_US);
	}
	take_ends(w);
	sim_run(&rig->sim, max_u64(rig->sim.now_ps, rig->host->visible_ps));
	settle_forgotten(w);
	assert_at_rest(rig);
}

/* ---- runs ---- */

static void act(struct world *w)
{
	struct rig *rig = w->rig;
	switch (below(w, 100)) {
	case 0 ... 79:
		for (unsigned i = 1 + below(w, 6); i != 0; i--)
			start_job(w);
		break;
	case 80 ... 81: set_cancel(w, below(w, 2)); break;
	case 82 ... 86: set_cancel(w, false); break;
	case 87 ... 89: host_set_hold(rig->host, below(w, 2)); break;
	case 90 ... 91: medium_set_hold(&rig->medium, &rig->sim, below(w, 2)); break;
	case 92: reset(w); break;
	case 93: let_everything_end(w); break;
	default: break;
	}
}

static struct world *world_create(uint64_t seed)
{
	static const uint32_t chunk_bytes[] = {512, 1024, 2048, 4096, 16384};
	static const unsigned buffers[] = {1, 2, 3, 8, 256};
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	rng_seed(&w->rng, seed, 0);
	struct rig *rig = w->rig = rig_create(seed);
	fill(&w->rng, rig->sram, SRAM_BYTES);
	rig->config.mover.chunk_bytes = chunk_bytes[below(w, ARRAY_SIZE(chunk_bytes))];
	rig->config.mover.buffers = buffers[below(w, ARRAY_SIZE(buffers))];
	rig->config.mover.job_cycles = 1 + below(w, 50);
	rig->medium.access_ps_max = below(w, 10000) * PS_PER_NS;
	rig->medium.access_ps_min = rig->medium.access_ps_max / 4;
	rig->medium.parallelism = 1 + below(w, 30);
	rig->medium.bad = (struct host_range){BAD_REGION * REGION_BYTES + below(w, 6000), 1 + below(w, 2000)};
	rig->host->read_ps_max = below(w, 3000) * PS_PER_NS;
	rig->host->read_ps_min = rig->host->read_ps_max / 4;
	rig->host->write_ps_max = below(w, 1000) * PS_PER_NS;
	rig->host->gap_ps = below(w, 2) ? 0 : below(w, 30) * PS_PER_NS;
	host_unmap(rig->host, GUEST_BASE + HOLE_REGION * AREA_BYTES + below(w, 6000), 1 + below(w, 1000));
	rig_start(rig);
	w->expected = expected_create(rig);
	return w;
}

static void random_run(uint64_t seed, unsigned ended[], unsigned *forgotten)
{
	struct world *w = world_create(seed);
	struct rig *rig = w->rig;
	for (unsigned steps = 0; w->pushed < JOBS && steps < 20000; steps++) {
		act(w);
		sim_run_for(&rig->sim, below(w, 2) ? 0 : below(w, 5000) * PS_PER_NS);
		assert_true(medium_outstanding(&rig->medium) <= rig->config.mover.buffers);
		if (below(w, 3))
			take_ends(w);
	}
	let_everything_end(w);
	assert_expected(rig, w->expected);
	for (unsigned i = 0; i <= JOB_RESULT_BAD_JOB; i++)
		ended[i] += w->ended[i];
	*forgotten += w->forgotten;
	free(w->expected);
	rig_free(rig);
	free(w);
}

static void test_mover_moves_exactly_the_bytes_it_tells(void **state)
{
	(void)state;
	uint64_t seed = test_seed(1);
	unsigned ended[JOB_RESULT_BAD_JOB + 1] = {0}, forgotten = 0;
	for (unsigned i = 0; i < RUNS; i++)
		random_run(seed * 1000003 + i, ended, &forgotten);
	/* the runs are about something */
	for (unsigned i = 0; i <= JOB_RESULT_BAD_JOB; i++)
		assert_true(ended[i] > RUNS / 2);
	assert_true(forgotten > RUNS);
}

/* ---- a firmware gone mad ---- */

static uint32_t any_number(struct world *w)
{
	static const uint32_t numbers[] = {0, 1, 16, 511, 512, 513, 0x7fffffff, 0xfffffffe, 0xffffffff};
	uint32_t number = (uint32_t)rng_u64(&w->rng);
	return below(w, 3) ? number >> below(w, 32) : numbers[below(w, ARRAY_SIZE(numbers))];
}

/* Anything in the slot but its small memory, at any time. */
static void scribble(struct world *w, unsigned number)
{
	struct slot *slot = slot_of(w->rig, number);
	struct slot_segment *segment = &segments_of(w->rig, number)[below(w, SLOT_SEGMENTS_MAX)];
	switch (below(w, 8)) {
	case 0: slot->job_op = below(w, 9) ? below(w, 8) : any_number(w); break;
	case 1: slot->job_bytes = any_number(w); break;
	case 2: slot->job_skip = below(w, 2) ? 0 : any_number(w); break;
	case 3: slot->job_offset = below(w, 2) ? below(w, MEDIUM_BYTES) : rng_u64(&w->rng); break;
	case 4: slot->job_range_bytes = below(w, 2) ? below(w, 9999) : rng_u64(&w->rng); break;
	case 5: slot->segments = (uint16_t)any_number(w); break;
	case 6: slot->readable_segments = (uint16_t)(below(w, 2) ? 0 : any_number(w)); break;
	default:
		segment->addr = below(w, 2) ? GUEST_BASE + below(w, GUEST_BYTES) : rng_u64(&w->rng);
		segment->bytes = any_number(w);
	}
}

static struct world *mad_world_create(uint64_t seed)
{
	struct world *w = world_create(seed);
	struct rig *rig = w->rig;
	/* All guest memory is open to it, and what is beyond answers UR. */
	memset(rig->host->allowed, HOST_READ | HOST_WRITE, GUEST_BYTES);
	host_unmap(rig->host, 0, GUEST_BASE);
	host_unmap(rig->host, GUEST_BASE + GUEST_BYTES, UINT64_MAX - GUEST_BASE - GUEST_BYTES);
	for (unsigned number = 0; number < SLOTS; number++)
		for (unsigned i = 0; i < SLOT_SEGMENTS_MAX; i++)
			segments_of(rig, number)[i] =
				(struct slot_segment){GUEST_BASE + below(w, GUEST_BYTES), any_number(w), 0};
	return w;
}

/* Outside the small memories and the answers nothing has changed in the request memory that the firmware did not do. */
static void assert_sram_is_the_firmwares(struct world *w)
{
	for (unsigned number = 0; number < SLOTS; number++) {
		size_t at = (size_t)number * SLOT_BYTES;
		assert_memory_equal(w->rig->sram + at, w->expected->sram + at, SLOT_LOCAL_OFFSET);
		at += SLOT_LOCAL_OFFSET + SLOT_LOCAL_BYTES;
		assert_memory_equal(w->rig->sram + at, w->expected->sram + at,
				    SLOT_BYTES - SLOT_LOCAL_OFFSET - SLOT_LOCAL_BYTES);
	}
	assert_memory_equal(w->rig->sram + SRAM_SCRATCH_OFFSET, w->expected->sram + SRAM_SCRATCH_OFFSET,
			    SRAM_BYTES - SRAM_SCRATCH_OFFSET);
}

/* Every buffer is there again: as many chunks are at work as there are buffers. */
static void assert_all_buffers_free(struct rig *rig)
{
	unsigned buffers = min_u32(rig->config.mover.buffers, media_request_fifo_depth);
	medium_set_hold(&rig->medium, &rig->sim, true);
	for (unsigned number = 0; number < SLOTS; number++) {
		slot_begin(rig, number);
		add_segment_at(rig, number, GUEST_BASE, 65536, true);
		job_push(rig, number, &(struct job_spec){.op = JOB_READ, .bytes = 65536});
	}
	sim_run_for(&rig->sim, PS_PER_MS);
	assert_int_equal(medium_outstanding(&rig->medium), buffers);
	rig_reset(rig);
}

static void mad_run(uint64_t seed, uint64_t jobs[])
{
	struct world *w = mad_world_create(seed);
	struct rig *rig = w->rig;
	unsigned pushed = 0, ended = 0;
	for (unsigned steps = 0; steps < 4000; steps++) {
		unsigned number = below(w, 2) ? below(w, 8) : below(w, SLOTS);
		for (unsigned i = below(w, 12); i != 0; i--)
			scribble(w, number);
		if (below(w, 2)) {
			uint64_t refused = mover_stats(rig->mover)->bad;
			set(rig, CSR_MOVER_JOB, below(w, 50) ? number : any_number(w));
			pushed += mover_stats(rig->mover)->bad == refused;
		}
		if (below(w, 4) == 0)
			sim_run_for(&rig->sim, below(w, 3000) * PS_PER_NS);
		while (below(w, 8) && take_done(rig) >= 0)
			ended++;
	}
	memcpy(w->expected->sram, rig->sram, SRAM_BYTES);
	sim_run_for(&rig->sim, 100 * PS_PER_MS);
	assert_at_rest(rig);
	for (int slot; (slot = take_done(rig)) >= 0; ended++) {
		const struct slot *end = slot_of(rig, (unsigned)slot);
		assert_in_range(end->job_result, JOB_RESULT_OK, JOB_RESULT_BAD_JOB);
		expected_result(w->expected, (unsigned)slot, end->job_result, end->job_done_bytes);
	}
	assert_int_equal(ended, pushed);
	assert_sram_is_the_firmwares(w);
	for (unsigned op = 0; op <= JOB_GUEST_TO_LOCAL; op++)
		jobs[op] += mover_stats(rig->mover)->jobs[op];
	assert_all_buffers_free(rig);
	free(w->expected);
	rig_free(rig);
	free(w);
}

static void test_mover_survives_any_slot_contents(void **state)
{
	(void)state;
	uint64_t seed = test_seed(1), jobs[JOB_GUEST_TO_LOCAL + 1] = {0};
	for (unsigned i = 0; i < RUNS / 5; i++)
		mad_run(seed * 1000003 + i, jobs);
	for (unsigned op = 0; op <= JOB_GUEST_TO_LOCAL; op++)
		assert_true(jobs[op] > RUNS); /* some of it makes sense to the mover */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_mover_moves_exactly_the_bytes_it_tells, "D-011 V-053"),
		cmocka_unit_test(test_mover_survives_any_slot_contents),
	};
	return cmocka_run_group_tests_name("mover random", tests, NULL, NULL);
}
