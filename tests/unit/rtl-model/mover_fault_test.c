/* The data mover when things go wrong: errors of the medium and of DMA, jobs that are cancelled, resets, lists that change
 * under a job. */
#include "tests/unit/rtl-model/mover_fixture.h"

static void assert_ended(struct rig *rig, unsigned number, uint32_t result, uint32_t done_bytes)
{
	assert_int_equal(slot_of(rig, number)->job_result, result);
	assert_int_equal(slot_of(rig, number)->job_done_bytes, done_bytes);
}

/* ---- the medium fails ---- */

/* What is bad is not moved, what is not bad is, as far as chunks have been begun. */
static void test_mover_medium_error_ends_the_job_with_it(void **state)
{
	(void)state;
	static const struct {
		uint64_t bad; /* first bad byte, of 512, of a job of 8 chunks of 1024 */
		unsigned failed;
	} rows[] = {{0, 0}, {1536, 1}, {4096, 4}, {7680, 7}};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		for (unsigned write = 0; write < 2; write++) {
			struct rig *rig = rig_create(1);
			rig->config.mover.chunk_bytes = 1024;
			rig->medium.bad = (struct host_range){0x2000 + rows[i].bad, 512};
			rig_start(rig);
			struct job_spec spec = plain_job(rig, 0, write, 8 * 1024, 0x2000);
			struct expected *expected = expected_create(rig);
			for (unsigned chunk = 0; chunk < 8; chunk++)
				if (chunk != rows[i].failed)
					expected_move(expected, rig, 0, &spec, chunk * 1024, 1024);
			assert_int_equal(job_run(rig, 0, &spec), JOB_RESULT_MEDIA_ERROR);
			assert_ended(rig, 0, JOB_RESULT_MEDIA_ERROR, 7 * 1024);
			assert_memory_equal(rig->host->memory, expected->guest, GUEST_BYTES);
			assert_memory_equal(rig->medium.bytes, expected->medium, MEDIUM_BYTES);
			assert_int_equal(mover_stats(rig->mover)->failed, 1);
			assert_at_rest(rig);
			free(expected);
			rig_free(rig);
		}
}

static void test_mover_begins_no_chunk_after_a_failure(void **state)
{
	(void)state;
	for (unsigned write = 0; write < 2; write++)
		for (unsigned failed = 0; failed < 8; failed++) {
			struct rig *rig = rig_create(1);
			rig->config.mover.chunk_bytes = 1024;
			rig->config.mover.buffers = 1;
			rig->medium.bad = (struct host_range){failed * 1024, 1};
			rig_start(rig);
			struct job_spec spec = plain_job(rig, 0, write, 8 * 1024, 0);
			struct job_spec other = plain_job(rig, 1, write, 1024, 0x4000);
			job_push(rig, 0, &spec);
			job_push(rig, 1, &other);
			sim_run_for(&rig->sim, PS_PER_MS);
			assert_ended(rig, 0, JOB_RESULT_MEDIA_ERROR, failed * 1024);
			assert_ended(rig, 1, JOB_RESULT_OK, 1024);
			assert_int_equal(rig->medium.seen_count, failed + 1 + 1);
			assert_at_rest(rig);
			rig_free(rig);
		}
}

static void test_mover_range_that_fails_is_told(void **state)
{
	(void)state;
	for (uint32_t op = JOB_DISCARD; op <= JOB_SECURE_ERASE; op++) {
		struct rig *rig = rig_create(1);
		rig->medium.bad = (struct host_range){0x1000, 512};
		rig_start(rig);
		slot_begin(rig, 0);
		struct job_spec spec = {.op = op, .offset = 0x800, .range_bytes = 0x1000};
		assert_int_equal(job_run(rig, 0, &spec), JOB_RESULT_MEDIA_ERROR);
		assert_int_equal(mover_stats(rig->mover)->failed, 1);
		spec.offset = 0x1200;
		assert_int_equal(job_run(rig, 0, &spec), JOB_RESULT_OK);
		rig_free(rig);
	}
}

/* ---- DMA fails ---- */

/* The chunk with the piece that cannot be read stays away from the medium; memory that may be read is where the others
 * come from. */
static void test_mover_unreadable_data_ends_the_write(void **state)
{
	(void)state;
	for (unsigned failed = 0; failed < 4; failed++) {
		struct rig *rig = rig_create(1);
		rig->config.mover.chunk_bytes = 1024;
		rig_start(rig);
		slot_begin(rig, 0);
		add_segment(rig, 0, HEADER_BYTES, false);
		for (unsigned chunk = 0; chunk < 4; chunk++)
			for (unsigned i = 0; i < 4; i++) {
				add_segment(rig, 0, 256, false);
				if (chunk == failed && i == 2)
					host_unmap(rig->host, rig->free_addr - 100, 1);
			}
		struct job_spec spec = {.op = JOB_WRITE, .bytes = 4096, .skip = 16, .offset = 0x1000};
		struct expected *expected = expected_create(rig);
		for (unsigned chunk = 0; chunk < 4; chunk++)
			if (chunk != failed)
				expected_move(expected, rig, 0, &spec, chunk * 1024, 1024);
		assert_int_equal(job_run(rig, 0, &spec), JOB_RESULT_DMA_ERROR);
		assert_ended(rig, 0, JOB_RESULT_DMA_ERROR, 3 * 1024);
		assert_memory_equal(rig->medium.bytes, expected->medium, MEDIUM_BYTES);
		assert_int_equal(rig->medium.seen_count, 3);
		assert_int_equal(mover_stats(rig->mover)->failed, 1);
		assert_at_rest(rig);
		free(expected);
		rig_free(rig);
	}
}

/* A failed read must not leave the other transfers of its chunk behind: their answers would come into a buffer that is
 * somebody else's. */
static void test_mover_failed_chunk_waits_for_its_other_transfers(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		struct rig *rig = rig_create(seed);
		rig->config.mover.chunk_bytes = 1024;
		rig->config.mover.buffers = 1;
		rig->host->read_ps_min = 100 * PS_PER_NS;
		rig->host->read_ps_max = 9 * PS_PER_US;
		rig_start(rig);
		slot_begin(rig, 0);
		for (unsigned i = 0; i < 64; i++) {
			add_segment(rig, 0, 16, false);
			if (i == seed % 64)
				host_unmap(rig->host, rig->free_addr - 16, 16);
		}
		job_push(rig, 0, &(struct job_spec){.op = JOB_WRITE, .bytes = 1024});
		struct job_spec next = plain_job(rig, 1, true, 1024, 0x1000);
		struct expected *expected = expected_create(rig);
		expected_move(expected, rig, 1, &next, 0, 1024);
		job_push(rig, 1, &next);
		sim_run_for(&rig->sim, PS_PER_MS);
		assert_ended(rig, 0, JOB_RESULT_DMA_ERROR, 0);
		assert_ended(rig, 1, JOB_RESULT_OK, 1024);
		assert_memory_equal(rig->medium.bytes, expected->medium, MEDIUM_BYTES);
		free(expected);
		rig_free(rig);
	}
}

static void test_mover_unreadable_ranges_end_the_local_job(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	rig_start(rig);
	slot_begin(rig, 7);
	add_segment(rig, 7, 16, false);
	add_segment(rig, 7, 32, false);
	host_unmap(rig->host, rig->free_addr - 1, 1);
	assert_int_equal(
		job_run(rig, 7, &(struct job_spec){.op = JOB_GUEST_TO_LOCAL, .bytes = 32, .skip = 16}),
		JOB_RESULT_DMA_ERROR);
	assert_int_equal(slot_of(rig, 7)->job_done_bytes, 0);
	rig_free(rig);
}

/* An address that wraps is the DMA engine's to refuse; with others in the list the job ends once. */
static void test_mover_address_that_wraps_fails_the_job(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	rig_start(rig);
	slot_begin(rig, 0);
	add_segment(rig, 0, 512, false);
	add_segment_at(rig, 0, UINT64_MAX - 100, 512, false);
	assert_int_equal(job_run(rig, 0, &(struct job_spec){.op = JOB_WRITE, .bytes = 1024}),
			 JOB_RESULT_DMA_ERROR);
	assert_int_equal(rig->medium.seen_count, 0);
	assert_at_rest(rig);
	rig_free(rig);
}

/* Of several failures the first one counts: the medium's, in chunk 0, or the link's, in chunk 1. */
static void test_mover_first_failure_is_the_result(void **state)
{
	(void)state;
	for (unsigned media_first = 0; media_first < 2; media_first++) {
		struct rig *rig = rig_create(1);
		rig->config.mover.chunk_bytes = 512;
		rig->medium.bad = (struct host_range){0, 512};
		rig->host->gap_ps = media_first ? 20 * PS_PER_US : 0; /* an access takes 8 */
		rig_start(rig);
		slot_begin(rig, 0);
		add_segment(rig, 0, 512, false);
		add_segment(rig, 0, 512, false);
		host_unmap(rig->host, rig->free_addr - 512, 512);
		assert_int_equal(job_run(rig, 0, &(struct job_spec){.op = JOB_WRITE, .bytes = 1024}),
				 media_first ? JOB_RESULT_MEDIA_ERROR : JOB_RESULT_DMA_ERROR);
		assert_int_equal(rig->medium.seen_count, 1);
		assert_int_equal(mover_stats(rig->mover)->failed, 1);
		rig_free(rig);
	}
}

/* ---- jobs of all kinds, in the middle of which something happens ---- */

#define MIX          24u
#define MIX_BYTES    5000u
#define MIX_LOCAL    300u
#define REGION_BYTES 0x2000u

struct mix {
	struct rig *rig;
	struct expected *expected;
	struct job_spec job[MIX];
};

static void mix_push(struct mix *mix, unsigned number, struct rng *rng)
{
	struct rig *rig = mix->rig;
	struct job_spec *spec = &mix->job[number];
	*spec = (struct job_spec){
		.op = number % 8, .offset = REGION_BYTES * number, .range_bytes = MIX_BYTES};
	if (spec->op == JOB_READ || spec->op == JOB_WRITE)
		spec->bytes = MIX_BYTES;
	else if (is_local(spec))
		spec->bytes = MIX_LOCAL;
	slot_begin(rig, number);
	add_pieces(rig, rng, number, spec->bytes, is_to_guest(spec));
	contrast(rig, rng, mix->expected, number, spec);
	job_push(rig, number, spec);
	memcpy(mix->expected->sram + (size_t)number * SLOT_BYTES, slot_of(rig, number), SLOT_LOCAL_OFFSET);
}

/* More chunks than buffers, accesses and transfers of different lengths. */
static struct mix *mix_create(uint64_t seed)
{
	struct mix *mix = calloc(1, sizeof(*mix));
	struct rng rng;
	assert_non_null(mix);
	struct rig *rig = mix->rig = rig_create(seed);
	rng_seed(&rng, seed, 0);
	fill(&rng, rig->sram, SRAM_BYTES);
	rig->config.mover.chunk_bytes = 1024;
	rig->config.mover.buffers = 8;
	rig->medium.access_ps_min = PS_PER_US;
	rig->host->read_ps_max = 3 * PS_PER_US;
	rig->host->write_ps_max = 300 * PS_PER_NS;
	rig_start(rig);
	mix->expected = expected_create(rig);
	for (unsigned i = 0; i < MIX; i++)
		mix_push(mix, i, &rng);
	return mix;
}

static void mix_free(struct mix *mix)
{
	free(mix->expected);
	rig_free(mix->rig);
	free(mix);
}

/* Takes over what the job has done. Returns whether that is all of it; FLUSH leaves no trace. */
static bool mix_settle(struct mix *mix, unsigned number, uint32_t *moved)
{
	const struct job_spec *spec = &mix->job[number];
	*moved = 0;
	if (spec->op == JOB_FLUSH)
		return true;
	if (spec->bytes == 0)
		return settle_range(mix->rig, mix->expected, spec);
	*moved = settle(mix->rig, mix->expected, number, spec);
	return *moved == spec->bytes;
}

static void check_cancelled(struct mix *mix, unsigned number)
{
	const struct slot *slot = slot_of(mix->rig, number);
	uint32_t moved;
	bool all = mix_settle(mix, number, &moved);
	assert_true(slot->job_result == JOB_RESULT_CANCELLED || (slot->job_result == JOB_RESULT_OK && all));
	assert_int_equal(slot->job_done_bytes, moved);
	expected_result(mix->expected, number, slot->job_result, moved);
}

/* Jobs end as soon as what is under way is back; nothing new is begun, not even the second half of a chunk; what has
 * been moved is told. */
static void cancel_at(uint64_t cancel_ps, unsigned *cancelled)
{
	struct mix *mix = mix_create(cancel_ps);
	struct rig *rig = mix->rig;
	unsigned taken = 0;
	sim_run(&rig->sim, cancel_ps);
	set(rig, CSR_MOVER_CANCEL, 1);
	sim_run_for(&rig->sim, 0);
	uint32_t accesses = rig->medium.requests.tail, transfers = rig->host->requests.tail;
	sim_run_for(&rig->sim, 8 * PS_PER_US + 3 * PS_PER_US + 1);
	assert_int_equal(get(rig, CSR_MOVER_ACTIVE), 0);
	assert_int_equal(rig->medium.requests.tail, accesses);
	assert_int_equal(rig->host->requests.tail, transfers);
	assert_at_rest(rig);
	for (int slot; (slot = take_done(rig)) >= 0; taken++)
		check_cancelled(mix, (unsigned)slot);
	assert_int_equal(taken, MIX);
	assert_expected(rig, mix->expected);
	*cancelled += (unsigned)mover_stats(rig->mover)->cancelled;
	struct job_spec spec = plain_job(rig, 0, true, 512, 0);
	assert_int_equal(job_run(rig, 0, &spec), JOB_RESULT_CANCELLED);
	assert_int_equal(rig->medium.requests.tail, accesses);
	assert_int_equal(rig->host->requests.tail, transfers);
	set(rig, CSR_MOVER_CANCEL, 0);
	assert_int_equal(job_run(rig, 0, &spec), JOB_RESULT_OK);
	mix_free(mix);
}

static void test_mover_cancel_at_any_moment_ends_jobs_soon(void **state)
{
	(void)state;
	unsigned cancelled = 0;
	for (uint64_t cancel_ps = 0; cancel_ps < 100 * PS_PER_US; cancel_ps += 377 * PS_PER_NS)
		cancel_at(cancel_ps, &cancelled);
	assert_true(cancelled > 500); /* the sweep meets them at work */
}

/* Jobs that have nothing under way end at once, whatever the others wait for. */
static void test_mover_cancel_ends_waiting_jobs_at_once(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	rig->config.mover.buffers = 1;
	rig->medium.hold = true;
	rig_start(rig);
	for (unsigned slot = 0; slot < 3; slot++) {
		struct job_spec spec = plain_job(rig, slot, false, 512, 512 * slot);
		job_push(rig, slot, &spec);
	}
	sim_run_for(&rig->sim, PS_PER_US);
	set(rig, CSR_MOVER_CANCEL, 1);
	sim_run_for(&rig->sim, 0);
	assert_int_equal(take_done(rig), 1);
	assert_int_equal(take_done(rig), 2);
	assert_int_equal(get(rig, CSR_MOVER_ACTIVE), 1);
	medium_set_hold(&rig->medium, &rig->sim, false);
	assert_int_equal(job_wait(rig, 0), JOB_RESULT_CANCELLED);
	rig_free(rig);
}

/* Transfers that the DMA engine does not take (Bus Master Enable clear) have to come back first. */
static void test_mover_cancelled_job_waits_for_its_transfers(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	rig_start(rig);
	struct job_spec spec = plain_job(rig, 0, true, 1024, 0);
	host_set_hold(rig->host, true);
	job_push(rig, 0, &spec);
	sim_run_for(&rig->sim, PS_PER_US);
	set(rig, CSR_MOVER_CANCEL, 1);
	sim_run_for(&rig->sim, PS_PER_MS);
	assert_int_equal(get(rig, CSR_MOVER_ACTIVE), 1);
	assert_int_equal(take_done(rig), -1);
	host_set_hold(rig->host, false);
	assert_int_equal(job_wait(rig, 0), JOB_RESULT_CANCELLED);
	assert_int_equal(rig->medium.seen_count, 0);
	rig_free(rig);
}

/* WRITE jobs of `pieces` pieces in slots 0 and up; the DMA engine takes nothing yet. */
static void push_held_writes(struct rig *rig, unsigned jobs, unsigned pieces)
{
	host_set_hold(rig->host, true);
	rig->free_addr = GUEST_BASE;
	for (unsigned slot = 0; slot < jobs; slot++) {
		slot_begin(rig, slot);
		for (unsigned i = 0; i < pieces; i++)
			add_segment(rig, slot, 5, false);
		job_push(rig, slot,
			 &(struct job_spec){.op = JOB_WRITE, .bytes = 5 * pieces, .offset = 1024 * slot});
	}
	sim_run_for(&rig->sim, PS_PER_US);
}

/* Of a chunk that is half way in the DMA engine's queue when its job is cancelled the rest is not asked for. */
static void test_mover_cancel_stops_a_chunk_half_way(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	rig_start(rig);
	push_held_writes(rig, 8, 100);
	uint32_t asked = rig->host->requests.tail;
	assert_true(asked % 100 != 0 && asked < 700);
	host_unmap(rig->host, segments_of(rig, asked / 100)[0].addr, 5); /* fails too, but later */
	set(rig, CSR_MOVER_CANCEL, 1);
	host_set_hold(rig->host, false);
	sim_run_for(&rig->sim, PS_PER_MS);
	assert_int_equal(rig->host->requests.tail, asked);
	for (unsigned slot = 0; slot < 8; slot++)
		assert_ended(rig, slot, JOB_RESULT_CANCELLED, 0);
	assert_int_equal(rig->medium.seen_count, 0);
	assert_at_rest(rig);
	rig_free(rig);
}

/* ---- reset ---- */

static void assert_forgotten(struct rig *rig)
{
	assert_int_equal(mover_events(rig->mover, rig->sim.now_ps), 0);
	assert_int_equal(get(rig, CSR_MOVER_DONE), 0);
	assert_int_equal(get(rig, CSR_MOVER_ACTIVE), 0);
	assert_int_equal(get(rig, CSR_MOVER_CANCEL), 0);
	/* Busy as long as the medium is: a write it works on has not taken place yet. */
	assert_int_equal(mover_busy(rig->mover), medium_outstanding(&rig->medium) != 0);
}

/* After the reset there is no transfer any more, and when the mover is not busy nothing more happens to the medium. What
 * was moved before is whole. */
static void reset_at(uint64_t reset_ps, unsigned *orphans)
{
	struct mix *mix = mix_create(reset_ps);
	struct rig *rig = mix->rig;
	sim_run(&rig->sim, reset_ps);
	set(rig, CSR_MOVER_CANCEL, reset_ps & 1);
	rig_reset(rig);
	assert_forgotten(rig);
	uint32_t accesses = rig->medium.requests.tail, transfers = rig->host->requests.tail;
	*orphans += medium_outstanding(&rig->medium);
	memset(rig->host->allowed, 0, GUEST_BYTES);
	while (mover_busy(rig->mover)) {
		sim_run_for(&rig->sim, 10 * PS_PER_NS);
		assert_true(rig->sim.now_ps < reset_ps + 9 * PS_PER_US);
	}
	sim_run_for(&rig->sim, PS_PER_US); /* writes become visible */
	assert_forgotten(rig);
	assert_at_rest(rig);
	for (unsigned i = 0; i < MIX; i++) {
		uint32_t moved;
		mix_settle(mix, i, &moved);
		expected_result(mix->expected, i, slot_of(rig, i)->job_result,
				slot_of(rig, i)->job_done_bytes);
	}
	sim_run_for(&rig->sim, PS_PER_MS);
	assert_expected(rig, mix->expected);
	assert_int_equal(rig->medium.requests.tail, accesses);
	assert_int_equal(rig->host->requests.tail, transfers);
	assert_int_equal(take_done(rig), -1);
	mix_free(mix);
}

static void test_mover_reset_at_any_moment_forgets_everything(void **state)
{
	(void)state;
	unsigned orphans = 0;
	for (uint64_t reset_ps = 0; reset_ps < 100 * PS_PER_US; reset_ps += 377 * PS_PER_NS)
		reset_at(reset_ps, &orphans);
	assert_true(orphans > 300);
}

/* The slots are other requests' at once, though the medium still works for the old ones: their ends are nobody's. */
static void test_mover_slots_work_again_right_after_a_reset(void **state)
{
	(void)state;
	for (uint64_t reset_ps = 0; reset_ps < 50 * PS_PER_US; reset_ps += 611 * PS_PER_NS) {
		struct mix *mix = mix_create(reset_ps);
		struct rig *rig = mix->rig;
		sim_run(&rig->sim, reset_ps);
		rig_reset(rig);
		memset(rig->host->allowed, 0, GUEST_BYTES);
		rig_reset(rig); /* a second one is harmless (V-054) */
		sim_run_for(&rig->sim, PS_PER_US / 2);
		struct expected *expected = expected_create(rig);
		for (unsigned i = 0; i < MIX; i++) {
			struct job_spec spec = plain_job(rig, i, i & 1, 4096, 0x40000 + 4096 * i);
			expected_move(expected, rig, i, &spec, 0, 4096);
			job_push(rig, i, &spec);
		}
		sim_run_for(&rig->sim, PS_PER_MS);
		for (unsigned i = 0; i < MIX; i++)
			assert_ended(rig, (unsigned)take_done(rig), JOB_RESULT_OK, 4096);
		assert_int_equal(take_done(rig), -1);
		assert_memory_equal(rig->host->memory, expected->guest, GUEST_BYTES);
		assert_memory_equal(rig->medium.bytes + 0x40000, expected->medium + 0x40000,
				    MEDIUM_BYTES - 0x40000);
		assert_at_rest(rig);
		free(expected);
		mix_free(mix);
	}
}

/* The DMA engine tells the end of every request it drops; that must not count for those of the next life. */
static void test_mover_reset_with_a_full_dma_queue_leaves_it_empty(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	rig_start(rig);
	for (unsigned life = 0; life < 3; life++) {
		push_held_writes(rig, 8, 100);
		rig_reset(rig);
	}
	push_held_writes(rig, 8, 100);
	assert_in_range(dma_request_fifo_count(&rig->host->requests), 1, dma_request_fifo_depth - 1);
	host_set_hold(rig->host, false);
	sim_run_for(&rig->sim, PS_PER_MS);
	for (unsigned slot = 0; slot < 8; slot++)
		assert_ended(rig, slot, JOB_RESULT_OK, 500);
	assert_at_rest(rig);
	rig_free(rig);
}

/* The medium has ended its access in the very instant of the reset, and the mover has not looked yet. */
static void test_mover_reset_counts_accesses_that_have_just_ended(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	rig->config.mover.buffers = 1;
	rig_start(rig);
	struct job_spec spec = plain_job(rig, 0, true, 512, 0);
	job_push(rig, 0, &spec);
	sim_run_for(&rig->sim, PS_PER_US);
	rig->sim.now_ps = rig->medium.busy[0].end_ps;
	rig->medium.process->due_ps = medium_step(&rig->medium, rig->sim.now_ps);
	rig_reset(rig);
	assert_forgotten(rig);
	assert_false(mover_busy(rig->mover));
	assert_int_equal(job_run(rig, 0, &spec), JOB_RESULT_OK); /* the only buffer is free */
	assert_at_rest(rig);
	rig_free(rig);
}

/* Stamps belong to the request that is in the slot now. */
static void test_mover_forgotten_job_leaves_no_stamps(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	rig_start(rig);
	struct job_spec spec = plain_job(rig, 0, false, 512, 0);
	job_push(rig, 0, &spec);
	sim_run_for(&rig->sim, PS_PER_US);
	rig_reset(rig);
	probe_begin(&rig->probe, 0);
	sim_run_for(&rig->sim, PS_PER_MS);
	for (unsigned i = 0; i < STAGE_COUNT; i++)
		assert_int_equal(rig->probe.slot[0].at_ps[i], TIME_NEVER_PS);
	rig_free(rig);
}

/* ---- lists that change under a job ---- */

/* Nothing is moved by a list that is gone; the job ends, and so do those behind it. */
static void lose_lists_at(uint64_t at_ps, unsigned buffers, unsigned ended[])
{
	struct rig *rig = rig_create(1);
	rig->config.mover.chunk_bytes = 512;
	rig->config.mover.buffers = buffers;
	rig_start(rig);
	for (unsigned slot = 0; slot < 6; slot++) {
		struct job_spec spec = plain_job(rig, slot, slot != 5, slot < 3 ? 512 : 4096, 0x4000 * slot);
		job_push(rig, slot, &spec);
	}
	sim_run(&rig->sim, at_ps);
	for (unsigned slot = 3; slot < 5; slot++)
		memset(segments_of(rig, slot), 0, SLOT_SEGMENTS_MAX * sizeof(struct slot_segment));
	sim_run_for(&rig->sim, PS_PER_MS);
	for (unsigned slot = 0; slot < 6; slot++) {
		uint32_t result = slot_of(rig, slot)->job_result;
		assert_true(result == JOB_RESULT_OK ||
			    (result == JOB_RESULT_BAD_JOB && slot >= 3 && slot < 5));
		if (result == JOB_RESULT_OK)
			assert_ended(rig, slot, JOB_RESULT_OK, slot < 3 ? 512 : 4096);
		ended[result]++;
		assert_true(take_done(rig) >= 0);
	}
	assert_at_rest(rig);
	rig_free(rig);
}

static void test_mover_list_that_vanishes_ends_the_job(void **state)
{
	(void)state;
	unsigned ended[JOB_RESULT_BAD_JOB + 1] = {0};
	for (unsigned buffers = 1; buffers <= 3; buffers++) {
		lose_lists_at(4 * PS_PER_US, buffers, ended);
		assert_int_equal(ended[JOB_RESULT_BAD_JOB], 2 * buffers); /* their turn has not come yet */
	}
	for (uint64_t at_ps = 4 * PS_PER_US; at_ps < 300 * PS_PER_US; at_ps += 3 * PS_PER_US)
		lose_lists_at(at_ps, 1, ended);
	assert_true(ended[JOB_RESULT_BAD_JOB] > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mover_medium_error_ends_the_job_with_it),
		cmocka_unit_test(test_mover_begins_no_chunk_after_a_failure),
		cmocka_unit_test(test_mover_range_that_fails_is_told),
		REQ_TEST(test_mover_unreadable_data_ends_the_write, "ERR-004"),
		cmocka_unit_test(test_mover_failed_chunk_waits_for_its_other_transfers),
		REQ_TEST(test_mover_unreadable_ranges_end_the_local_job, "ERR-004"),
		cmocka_unit_test(test_mover_address_that_wraps_fails_the_job),
		cmocka_unit_test(test_mover_first_failure_is_the_result),
		cmocka_unit_test(test_mover_cancel_at_any_moment_ends_jobs_soon),
		cmocka_unit_test(test_mover_cancel_ends_waiting_jobs_at_once),
		cmocka_unit_test(test_mover_cancelled_job_waits_for_its_transfers),
		cmocka_unit_test(test_mover_cancel_stops_a_chunk_half_way),
		REQ_TEST(test_mover_reset_at_any_moment_forgets_everything, "D-011 V-053"),
		cmocka_unit_test(test_mover_slots_work_again_right_after_a_reset),
		cmocka_unit_test(test_mover_reset_with_a_full_dma_queue_leaves_it_empty),
		cmocka_unit_test(test_mover_reset_counts_accesses_that_have_just_ended),
		cmocka_unit_test(test_mover_forgotten_job_leaves_no_stamps),
		cmocka_unit_test(test_mover_list_that_vanishes_ends_the_job),
	};
	return cmocka_run_group_tests_name("mover faults", tests, NULL, NULL);
}
