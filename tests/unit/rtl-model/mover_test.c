/* The data mover at its work: every kind of job, pieces of any size, chunks, buffers that run short, jobs that are refused. */
#include "tests/unit/rtl-model/csr_check.h"
#include "tests/unit/rtl-model/mover_fixture.h"

/* ---- registers ---- */

static bool read_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return mover_csr_read(self, now_ps, offset, value);
}

static bool write_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return mover_csr_write(self, now_ps, offset, value);
}

static void test_mover_registers_reset_value_and_access(void **state)
{
	(void)state;
	static const struct csr_case cases[] = {
		{.offset = CSR_MOVER_JOB, .action = true},
		{.offset = CSR_MOVER_DONE},
		{.offset = CSR_MOVER_CANCEL, .writable = 1},
		{.offset = CSR_MOVER_ACTIVE},
	};
	struct rig *rig = rig_create(1);
	rig_start(rig);
	const struct csr_block block = {rig->mover, read_register, write_register};
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
	rig_reset(rig);
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
	rig_free(rig);
}

/* ---- data between medium and guest memory ---- */

/* Runs a data job and compares every byte of guest memory, medium and request memory. */
static void move_and_compare(struct rig *rig, unsigned number, const struct job_spec *spec)
{
	struct expected *expected = expected_create(rig);
	expected_move(expected, rig, number, spec, 0, spec->bytes);
	job_push(rig, number, spec);
	memcpy(expected->sram + (size_t)number * SLOT_BYTES, slot_of(rig, number), sizeof(struct slot));
	assert_int_equal(job_wait(rig, number), JOB_RESULT_OK);
	expected_result(expected, number, JOB_RESULT_OK, spec->bytes);
	assert_expected(rig, expected);
	assert_at_rest(rig);
	free(expected);
}

#define PIECES_MAX 8

struct layout {
	uint32_t readable[PIECES_MAX], writable[PIECES_MAX];
	uint32_t skip, bytes;
};

static void move_layout(const struct layout *layout, bool write, uint32_t chunk_bytes, unsigned buffers)
{
	struct rig *rig = rig_create(1);
	rig->config.mover.chunk_bytes = chunk_bytes;
	rig->config.mover.buffers = buffers;
	rig_start(rig);
	slot_begin(rig, 3);
	for (unsigned i = 0; i < PIECES_MAX && layout->readable[i] != 0; i++)
		add_segment(rig, 3, layout->readable[i], false);
	for (unsigned i = 0; i < PIECES_MAX && layout->writable[i] != 0; i++)
		add_segment(rig, 3, layout->writable[i], true);
	move_and_compare(rig, 3,
			 &(struct job_spec){.op = write ? JOB_WRITE : JOB_READ,
					    .bytes = layout->bytes,
					    .skip = layout->skip,
					    .offset = 0x1200});
	rig_free(rig);
}

static const struct {
	uint32_t chunk_bytes;
	unsigned buffers;
} chunkings[] = {{512, 256}, {512, 1}, {1000, 2}, {4096, 3}, {16384, 256}};

/* Data begins behind the header wherever the driver has cut it, and may end anywhere in a piece. */
static void test_mover_write_gathers_pieces_of_any_size(void **state)
{
	(void)state;
	static const struct layout layouts[] = {
		{{16, 512}, {1}, 16, 512},
		{{528}, {1}, 16, 512},
		{{1, 15, 512}, {1}, 16, 512},
		{{1, 2, 3, 10, 512}, {1}, 16, 512},
		{{20, 508}, {1}, 16, 512},
		{{15, 1, 1, 511}, {1}, 16, 512},
		{{17, 1, 2, 3, 4, 5, 7, 10000}, {1}, 16, 9728},
		{{16, 511, 513, 1, 1023, 4096}, {1}, 16, 6144},
		{{16, 4095, 1, 4097, 4095}, {1}, 16, 12288},
		{{16, 65536}, {1}, 16, 65536},
		{{65552}, {1}, 16, 65536},
		{{100, 1000}, {1}, 16, 512}, /* more is there than the job asks for */
		{{16, 1}, {1}, 16, 1},       /* of one byte */
		{{700}, {1}, 0, 512},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(layouts); i++)
		for (unsigned j = 0; j < ARRAY_SIZE(chunkings); j++)
			move_layout(&layouts[i], true, chunkings[j].chunk_bytes, chunkings[j].buffers);
}

static void test_mover_read_scatters_to_pieces_of_any_size(void **state)
{
	(void)state;
	static const struct layout layouts[] = {
		{{16}, {512, 1}, 0, 512},
		{{16}, {513}, 0, 512}, /* the status shares the last piece */
		{{16}, {1, 511, 1}, 0, 512},
		{{1, 15}, {511, 1, 1}, 0, 512},
		{{16}, {1, 2, 3, 4, 5, 6, 7, 5000}, 0, 4608},
		{{16}, {511, 513, 1, 1023, 4096, 1}, 0, 6144 - 512},
		{{16}, {4095, 1, 4097, 4095, 1}, 0, 12288},
		{{16}, {65536, 1}, 0, 65536},
		{{16}, {100, 1000}, 99, 777}, /* the firmware may ask for data behind other data */
		{{16}, {100, 1000}, 100, 1000},
		{{16, 16, 16}, {600}, 5, 1},
		{{0}, {512, 1}, 0, 512},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(layouts); i++)
		for (unsigned j = 0; j < ARRAY_SIZE(chunkings); j++)
			move_layout(&layouts[i], false, chunkings[j].chunk_bytes, chunkings[j].buffers);
}

/* The longest list there can be. */
static void test_mover_takes_as_many_pieces_as_a_slot_holds(void **state)
{
	(void)state;
	for (unsigned write = 0; write < 2; write++) {
		struct rig *rig = rig_create(1);
		uint32_t bytes = 0;
		rig_start(rig);
		slot_begin(rig, SLOTS - 1);
		for (unsigned i = 0; i < SLOT_SEGMENTS_MAX; i++) {
			add_segment(rig, SLOTS - 1, 1 + i % 37, !write);
			bytes += 1 + i % 37;
		}
		move_and_compare(rig, SLOTS - 1,
				 &(struct job_spec){
					 .op = write ? JOB_WRITE : JOB_READ, .bytes = bytes, .offset = 512});
		assert_int_equal(mover_stats(rig->mover)->segments, SLOT_SEGMENTS_MAX);
		rig_free(rig);
	}
}

/* ---- small data ---- */

static void test_mover_local_jobs_move_between_slot_and_guest(void **state)
{
	(void)state;
	static const struct {
		uint32_t pieces[3];
		uint32_t skip, bytes;
	} rows[] = {
		{{20, 1}, 0, 20},   {{21}, 0, 20},        {{1, 20}, 0, 20},     {{1, 1, 200}, 1, 16},
		{{16, 16}, 16, 16}, {{10, 600}, 16, 512}, {{528}, 16, 512},     {{17, 511}, 16, 512},
		{{1}, 0, 1},        {{600}, 88, 512},     {{300, 212}, 0, 512},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		for (unsigned to_guest = 0; to_guest < 2; to_guest++) {
			struct rig *rig = rig_create(i);
			struct rng rng;
			rng_seed(&rng, i, 0);
			fill(&rng, rig->sram, SRAM_BYTES);
			rig_start(rig);
			slot_begin(rig, 9);
			for (unsigned j = 0; j < 3 && rows[i].pieces[j] != 0; j++)
				add_segment(rig, 9, rows[i].pieces[j], to_guest);
			move_and_compare(
				rig, 9,
				&(struct job_spec){.op = to_guest ? JOB_LOCAL_TO_GUEST : JOB_GUEST_TO_LOCAL,
						   .bytes = rows[i].bytes,
						   .skip = rows[i].skip});
			assert_int_equal(rig->medium.seen_count, 0);
			rig_free(rig);
		}
}

/* ---- jobs without data ---- */

static void test_mover_jobs_without_data_are_one_access(void **state)
{
	(void)state;
	static const struct {
		uint32_t op;
		enum media_op media_op;
		int fill; /* what it leaves on the medium; -1: nothing */
	} rows[] = {
		{JOB_FLUSH, MEDIA_FLUSH, -1},
		{JOB_DISCARD, MEDIA_DISCARD, FILL_DISCARD},
		{JOB_WRITE_ZEROES, MEDIA_WRITE_ZEROES, 0},
		{JOB_SECURE_ERASE, MEDIA_SECURE_ERASE, FILL_ERASE},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = rig_create(1);
		rig->config.mover.chunk_bytes = 512; /* is of no concern */
		rig_start(rig);
		struct expected *expected = expected_create(rig);
		slot_begin(rig, 0);
		const struct job_spec spec = {.op = rows[i].op,
					      .bytes = 12345, /* means nothing without data */
					      .skip = 67,
					      .offset = 0x3000,
					      .range_bytes = 0x5400};
		assert_int_equal(job_run(rig, 0, &spec), JOB_RESULT_OK);
		assert_int_equal(slot_of(rig, 0)->job_done_bytes, 0);
		if (rows[i].fill >= 0)
			memset(expected->medium + spec.offset, rows[i].fill, spec.range_bytes);
		memcpy(expected->sram, rig->sram, sizeof(struct slot));
		assert_expected(rig, expected);
		assert_int_equal(rig->medium.seen_count, 1);
		assert_int_equal(rig->medium.seen[0].request.op, rows[i].media_op);
		assert_int_equal(mover_stats(rig->mover)->jobs[rows[i].op], 1);
		assert_at_rest(rig);
		free(expected);
		rig_free(rig);
	}
}

/* A range may be larger than any job with data. */
static void test_mover_range_has_64_bits(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	rig_start(rig);
	slot_begin(rig, 0);
	assert_int_equal(job_run(rig, 0,
				 &(struct job_spec){.op = JOB_DISCARD,
						    .offset = UINT64_C(0x123456789a00),
						    .range_bytes = UINT64_C(0x1fffffffe00)}),
			 JOB_RESULT_MEDIA_ERROR); /* not on this medium */
	assert_int_equal(rig->medium.seen[0].request.offset, UINT64_C(0x123456789a00));
	assert_int_equal(rig->medium.seen[0].request.bytes, UINT64_C(0x1fffffffe00));
	rig_free(rig);
}

/* Every access of a job that has to be stable is; the job is not over before they are. */
static void test_mover_flags_reach_every_access(void **state)
{
	(void)state;
	for (uint32_t flags = 0; flags < 4; flags++) {
		struct rig *rig = rig_create(1);
		rig->config.mover.chunk_bytes = 4096;
		rig_start(rig);
		struct job_spec write = plain_job(rig, 0, true, 12288, 0);
		write.flags = flags;
		slot_begin(rig, 1);
		job_push(rig, 0, &write);
		job_push(rig, 1,
			 &(struct job_spec){.op = JOB_WRITE_ZEROES,
					    .flags = flags,
					    .offset = 0x8000,
					    .range_bytes = 512});
		for (uint64_t us = 0; us < 100; us++) {
			sim_run_for(&rig->sim, PS_PER_US);
			bool over = mover_events(rig->mover, rig->sim.now_ps);
			assert_true(!over || medium_outstanding(&rig->medium) < 4);
		}
		assert_int_equal(rig->medium.seen_count, 4);
		for (unsigned i = 0; i < 4; i++) {
			assert_int_equal(rig->medium.seen[i].request.stable, flags & 1);
			assert_int_equal(rig->medium.seen[i].request.may_unmap, flags >> 1);
		}
		rig_free(rig);
	}
}

/* The end of a write is told when its last access is over, and no sooner. */
static void test_mover_write_ends_with_its_last_access(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	rig->config.mover.chunk_bytes = 1024;
	rig->medium.access_ps_min = PS_PER_US;
	rig->medium.access_ps_max = 50 * PS_PER_US;
	rig_start(rig);
	struct job_spec spec = plain_job(rig, 0, true, 16384, 0);
	struct expected *expected = expected_create(rig);
	expected_move(expected, rig, 0, &spec, 0, spec.bytes);
	job_push(rig, 0, &spec);
	uint64_t last_ps = 0;
	while (!mover_events(rig->mover, rig->sim.now_ps)) {
		sim_run_for(&rig->sim, 10 * PS_PER_NS);
		assert_true(rig->sim.now_ps < PS_PER_MS);
	}
	for (unsigned i = 0; i < rig->medium.seen_count; i++)
		last_ps = max_u64(last_ps, rig->medium.seen[i].end_ps);
	assert_true(last_ps <= rig->sim.now_ps && rig->sim.now_ps - last_ps < 10 * PS_PER_NS);
	assert_memory_equal(rig->medium.bytes, expected->medium, MEDIUM_BYTES);
	free(expected);
	rig_free(rig);
}

/* ---- chunks ---- */

/* One access a chunk: in order, without gaps, none longer than a chunk, none shorter but the last. */
static void test_mover_cuts_data_into_chunks(void **state)
{
	(void)state;
	static const uint32_t sizes[] = {1, 511, 4095, 4096, 4097, 8191, 8192, 8193, 40960, 40961};
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		for (unsigned write = 0; write < 2; write++) {
			struct rig *rig = rig_create(1);
			uint64_t at = 0x600;
			rig->config.mover.chunk_bytes = 4096;
			rig_start(rig);
			struct job_spec spec = plain_job(rig, 0, write, sizes[i], at);
			assert_int_equal(job_run(rig, 0, &spec), JOB_RESULT_OK);
			unsigned chunks = (sizes[i] + 4095) / 4096;
			assert_int_equal(rig->medium.seen_count, chunks);
			assert_int_equal(mover_stats(rig->mover)->chunks, chunks);
			for (unsigned j = 0; j < chunks; j++) {
				const struct media_request *request = &rig->medium.seen[j].request;
				assert_int_equal(request->op, write ? MEDIA_WRITE : MEDIA_READ);
				assert_int_equal(request->offset, at);
				assert_int_equal(request->bytes,
						 min_u32(4096, sizes[i] - (uint32_t)(at - 0x600)));
				at += request->bytes;
			}
			rig_free(rig);
		}
}

/* Chunks of a job are on the medium all together. */
static void test_mover_chunks_share_the_time_of_the_medium(void **state)
{
	(void)state;
	for (unsigned write = 0; write < 2; write++) {
		struct rig *rig = rig_create(1);
		rig->config.mover.chunk_bytes = 512;
		rig_start(rig);
		struct job_spec spec = plain_job(rig, 0, write, 16 * 512, 0);
		job_push(rig, 0, &spec);
		sim_run_for(&rig->sim, 8 * PS_PER_US + PS_PER_US); /* one access, and what DMA takes */
		assert_int_equal(rig->medium.busy_max, 16);
		assert_int_equal(take_done(rig), 0);
		rig_free(rig);
	}
}

/* Medium and link work at the same time: what is there goes on its way while the medium works on the rest. */
static void test_mover_medium_and_link_overlap(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	rig->config.mover.chunk_bytes = 4096;
	rig->medium.parallelism = 1;
	rig_start(rig);
	struct job_spec spec = plain_job(rig, 0, false, 4 * 4096, 0);
	job_push(rig, 0, &spec);
	for (unsigned i = 1; i <= 4; i++) {
		sim_run(&rig->sim, i * 8 * PS_PER_US + PS_PER_US);
		assert_int_equal(rig->host->write_bytes, i * 4096);
		assert_int_equal(rig->medium.seen_count, min_u32(i + 1, 4));
	}
	assert_int_equal(take_done(rig), 0);
	rig_free(rig);
}

/* ---- time and stamps ---- */

static void test_mover_job_takes_its_cycles_to_the_first_access(void **state)
{
	(void)state;
	static const struct {
		unsigned clock_mhz, cycles;
		uint64_t time_ps;
	} rows[] = {{500, 8, 16000}, {500, 1, 2000}, {250, 100, 400000}, {1000, 7, 7000}};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = rig_create(1);
		rig->config.device.clock_mhz = rows[i].clock_mhz;
		rig->config.mover.job_cycles = rows[i].cycles;
		rig_start(rig);
		struct job_spec read = plain_job(rig, 0, false, 512, 0);
		struct job_spec write = plain_job(rig, 1, true, 512, 0);
		sim_run(&rig->sim, 12345);
		job_push(rig, 0, &read);
		job_push(rig, 1, &write);
		assert_int_equal(get(rig, CSR_MOVER_ACTIVE), 2);
		sim_run_for(&rig->sim, rows[i].time_ps - 1);
		assert_int_equal(medium_outstanding(&rig->medium) + rig->host->reads, 0);
		sim_run_for(&rig->sim, 1);
		assert_int_equal(rig->medium.seen_count, 1);
		assert_int_equal(rig->host->reads, 1);
		rig_free(rig);
	}
}

static void test_mover_stamps_first_and_last_access(void **state)
{
	(void)state;
	for (unsigned write = 0; write < 2; write++) {
		struct rig *rig = rig_create(1);
		uint64_t first_ps = TIME_NEVER_PS, last_ps = 0;
		rig->config.mover.chunk_bytes = 512;
		rig->medium.parallelism = 3;
		rig->medium.access_ps_min = PS_PER_US;
		rig_start(rig);
		struct job_spec spec = plain_job(rig, 5, write, 4096, 0);
		sim_run(&rig->sim, 777 * PS_PER_NS);
		assert_int_equal(job_run(rig, 5, &spec), JOB_RESULT_OK);
		for (unsigned i = 0; i < rig->medium.seen_count; i++) {
			first_ps = min_u64(first_ps, rig->medium.seen[i].start_ps);
			last_ps = max_u64(last_ps, rig->medium.seen[i].end_ps);
		}
		const uint64_t *at_ps = rig->probe.slot[5].at_ps;
		assert_int_equal(at_ps[STAGE_JOB], 777 * PS_PER_NS);
		assert_int_equal(at_ps[STAGE_MEDIA_START], first_ps);
		assert_int_equal(at_ps[STAGE_MEDIA_END], last_ps);
		assert_true(at_ps[STAGE_JOB_DONE] >= last_ps && at_ps[STAGE_JOB_DONE] < PS_PER_MS);
		assert_int_equal(at_ps[STAGE_USED], TIME_NEVER_PS);
		rig_free(rig);
	}
}

/* What the medium was asked to do for a request, as a recording has it. */
static void test_mover_notes_the_work_of_a_request(void **state)
{
	static const struct {
		uint32_t job;
		enum work_op op;
	} cases[] = {{JOB_DISCARD, WORK_DISCARD},
		     {JOB_WRITE_ZEROES, WORK_WRITE_ZEROES},
		     {JOB_SECURE_ERASE, WORK_SECURE_ERASE}};
	(void)state;
	struct rig *rig = rig_create(1);
	rig_start(rig);
	for (unsigned write = 0; write < 2; write++) {
		struct job_spec spec = plain_job(rig, 5, write, 4096, 512 * 9);
		const struct probe_work *work = &rig->probe.work[5];
		assert_int_equal(work->op, WORK_OTHER);
		assert_int_equal(job_run(rig, 5, &spec), JOB_RESULT_OK);
		assert_int_equal(work->op, write ? WORK_WRITE : WORK_READ);
		assert_int_equal(work->ranges, 1);
		assert_int_equal(work->range[0].sector, 9);
		assert_int_equal(work->range[0].bytes, 4096);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct probe_work *work = &rig->probe.work[6];
		slot_begin(rig, 6);
		for (unsigned range = 0; range < 3; range++) {
			struct slot *slot = slot_of(rig, 6);
			slot->job_op = cases[i].job;
			slot->job_offset = UINT64_C(512) * range;
			slot->job_range_bytes = 512;
			set(rig, CSR_MOVER_JOB, 6);
			sim_run_for(&rig->sim, PS_PER_MS);
			assert_int_equal(take_done(rig), 6);
			assert_int_equal(work->ranges, range + 1);
			assert_int_equal(work->range[range].sector, range);
			assert_int_equal(work->range[range].bytes, 512);
		}
		assert_int_equal(work->op, cases[i].op);
	}
	slot_begin(rig, 7);
	slot_of(rig, 7)->job_op = JOB_FLUSH;
	set(rig, CSR_MOVER_JOB, 7);
	sim_run_for(&rig->sim, PS_PER_MS);
	assert_int_equal(take_done(rig), 7);
	assert_int_equal(rig->probe.work[7].op, WORK_FLUSH);
	assert_int_equal(rig->probe.work[7].ranges, 0);
	rig_free(rig);
}

static void test_mover_event_stands_while_ends_wait(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	rig->medium.access_ps_min = rig->medium.access_ps_max = PS_PER_US;
	rig_start(rig);
	for (unsigned slot = 0; slot < 3; slot++) {
		struct job_spec spec = plain_job(rig, slot, false, 512, 512 * slot);
		job_push(rig, slot, &spec);
	}
	assert_int_equal(get(rig, CSR_MOVER_ACTIVE), 3);
	assert_int_equal(rig->event_wakes, 0);
	assert_int_equal(take_done(rig), -1);
	sim_run_for(&rig->sim, 10 * PS_PER_US);
	assert_true(rig->event_wakes > 0);
	assert_int_equal(get(rig, CSR_MOVER_ACTIVE), 0);
	for (unsigned seen = 0; seen != 7;) {
		assert_int_equal(mover_events(rig->mover, rig->sim.now_ps), CSR_SYS_EVENTS_DONE_MASK);
		int slot = take_done(rig);
		assert_true(slot >= 0 && slot < 3 && !(seen >> slot & 1));
		seen |= 1u << slot;
	}
	assert_int_equal(take_done(rig), -1);
	rig_free(rig);
}

/* ---- back-pressure ---- */

/* Never more chunks than buffers, whatever is asked for, and everything comes to its end. */
static void test_mover_works_with_the_buffers_it_has(void **state)
{
	(void)state;
	static const unsigned buffers[] = {1, 2, 5};
	for (unsigned i = 0; i < ARRAY_SIZE(buffers); i++) {
		struct rig *rig = rig_create(1);
		rig->config.mover.buffers = buffers[i];
		rig->config.mover.chunk_bytes = 1024;
		rig->medium.access_ps_min = 100 * PS_PER_NS;
		rig->medium.access_ps_max = PS_PER_US;
		rig_start(rig);
		struct expected *expected = expected_create(rig);
		for (unsigned slot = 0; slot < 20; slot++) {
			struct job_spec spec = plain_job(rig, slot, slot & 1, 10240, 10240 * slot);
			expected_move(expected, rig, slot, &spec, 0, spec.bytes);
			job_push(rig, slot, &spec);
		}
		while (mover_jobs(rig->mover) != 0) {
			sim_run_for(&rig->sim, 50 * PS_PER_NS);
			assert_true(medium_outstanding(&rig->medium) <= buffers[i]);
			assert_true(rig->sim.now_ps < PS_PER_S);
		}
		assert_int_equal(rig->medium.busy_max, buffers[i]);
		assert_true(mover_stats(rig->mover)->stall_no_buffer > 0);
		assert_int_equal(mover_stats(rig->mover)->chunks, 200);
		sim_run_for(&rig->sim, PS_PER_US);
		assert_memory_equal(rig->host->memory, expected->guest, GUEST_BYTES);
		assert_memory_equal(rig->medium.bytes, expected->medium, MEDIUM_BYTES);
		assert_at_rest(rig);
		free(expected);
		rig_free(rig);
	}
}

/* A large job does not keep the buffers from a small one behind it. */
static void test_mover_small_job_overtakes_a_large_one(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	rig->config.mover.buffers = 2;
	rig->config.mover.chunk_bytes = 512;
	rig_start(rig);
	struct job_spec large = plain_job(rig, 0, false, 100 * 512, 0);
	struct job_spec small = plain_job(rig, 1, false, 2 * 512, 0);
	job_push(rig, 0, &large);
	job_push(rig, 1, &small);
	sim_run_for(&rig->sim, 5 * 8 * PS_PER_US); /* two at a time, in turn: four accesses' time is enough */
	assert_int_equal(take_done(rig), 1);
	assert_int_equal(take_done(rig), -1);
	sim_run_for(&rig->sim, PS_PER_MS);
	assert_int_equal(take_done(rig), 0);
	rig_free(rig);
}

/* The configuration may ask for more buffers than the medium's queue has room for accesses. */
static void test_mover_fills_no_queue_over_its_end(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	rig->config.mover.buffers = 4096;
	rig->config.mover.chunk_bytes = 512;
	rig->medium.hold = true;
	rig_start(rig);
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		struct job_spec spec = {.op = JOB_READ, .bytes = 8 * 512, .offset = 0};
		slot_begin(rig, slot);
		rig->free_addr = GUEST_BASE; /* all to the same place */
		add_segment(rig, slot, 8 * 512 + 1, true);
		job_push(rig, slot, &spec);
	}
	sim_run_for(&rig->sim, PS_PER_MS);
	assert_int_equal(medium_outstanding(&rig->medium), media_request_fifo_depth);
	medium_set_hold(&rig->medium, &rig->sim, false);
	sim_run_for(&rig->sim, PS_PER_MS);
	for (unsigned slot = 0; slot < SLOTS; slot++)
		assert_int_equal(slot_of(rig, (unsigned)take_done(rig))->job_result, JOB_RESULT_OK);
	assert_at_rest(rig);
	rig_free(rig);
}

/* As long as the DMA engine takes nothing (Bus Master Enable clear) transfers wait, as many as its queues hold. */
static void test_mover_waits_for_the_dma_engine(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	rig_start(rig);
	struct expected *expected = expected_create(rig);
	host_set_hold(rig->host, true);
	for (unsigned slot = 0; slot < 8; slot++) {
		struct job_spec spec = {.op = slot & 1 ? JOB_WRITE : JOB_READ, .offset = 512 * slot};
		slot_begin(rig, slot);
		for (unsigned i = 0; i < SLOT_SEGMENTS_MAX; i++)
			add_segment(rig, slot, 3, !(slot & 1));
		spec.bytes = 3 * SLOT_SEGMENTS_MAX;
		expected_move(expected, rig, slot, &spec, 0, spec.bytes);
		job_push(rig, slot, &spec);
	}
	sim_run_for(&rig->sim, PS_PER_MS);
	assert_in_range(dma_request_fifo_count(&rig->host->requests), 1, dma_request_fifo_depth - 1);
	assert_int_equal(get(rig, CSR_MOVER_ACTIVE), 8);
	rig->host->read_ps_max = 5 * PS_PER_US;
	host_set_hold(rig->host, false);
	sim_run_for(&rig->sim, PS_PER_MS);
	assert_int_equal(get(rig, CSR_MOVER_ACTIVE), 0);
	assert_memory_equal(rig->host->memory, expected->guest, GUEST_BYTES);
	assert_memory_equal(rig->medium.bytes, expected->medium, MEDIUM_BYTES);
	assert_int_equal(mover_stats(rig->mover)->segments, 8 * SLOT_SEGMENTS_MAX);
	free(expected);
	rig_free(rig);
}

/* ---- jobs that are refused ---- */

/* A job that does not fit its slot touches nothing, and its slot takes a good one afterwards. */
static void test_mover_job_that_does_not_fit_is_refused(void **state)
{
	(void)state;
	/* The slot has 16 + 1024 readable bytes in two pieces, 1024 + 1 writable ones in two. */
	static const struct job_spec rows[] = {
		{.op = JOB_READ, .bytes = 0},
		{.op = JOB_READ, .bytes = 1026},
		{.op = JOB_READ, .bytes = 1025, .skip = 1},
		{.op = JOB_READ, .bytes = 1, .skip = 1025},
		{.op = JOB_READ, .bytes = UINT32_MAX},
		{.op = JOB_READ, .bytes = UINT32_MAX, .skip = UINT32_MAX},
		{.op = JOB_READ, .bytes = 2, .skip = UINT32_MAX},
		{.op = JOB_WRITE, .bytes = 0, .skip = 16},
		{.op = JOB_WRITE, .bytes = 1025, .skip = 16}, /* would go on into writable pieces */
		{.op = JOB_WRITE, .bytes = 1041},
		{.op = JOB_WRITE, .bytes = 1, .skip = 1040},
		{.op = JOB_WRITE, .bytes = UINT32_MAX, .skip = 16},
		{.op = JOB_LOCAL_TO_GUEST, .bytes = 0},
		{.op = JOB_LOCAL_TO_GUEST, .bytes = SLOT_LOCAL_BYTES + 1},
		{.op = JOB_GUEST_TO_LOCAL, .bytes = SLOT_LOCAL_BYTES + 1},
		{.op = JOB_GUEST_TO_LOCAL, .bytes = 16, .skip = 1025},
		{.op = JOB_GUEST_TO_LOCAL + 1, .bytes = 512},
		{.op = UINT32_MAX, .bytes = 512},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = rig_create(1);
		rig_start(rig);
		struct job_spec good = plain_job(rig, 2, i & 1, 1024, 0);
		struct expected *expected = expected_create(rig);
		assert_int_equal(job_run(rig, 2, &rows[i]), JOB_RESULT_BAD_JOB);
		assert_int_equal(slot_of(rig, 2)->job_done_bytes, 0);
		memcpy(expected->sram + 2 * SLOT_BYTES, slot_of(rig, 2), sizeof(struct slot));
		assert_expected(rig, expected);
		assert_int_equal(rig->medium.seen_count + rig->host->reads + rig->host->writes, 0);
		assert_int_equal(mover_stats(rig->mover)->bad, 1);
		assert_at_rest(rig);
		move_and_compare(rig, 2, &good);
		free(expected);
		rig_free(rig);
	}
}

/* The slot's own account of its segments may be wrong too. */
static void test_mover_list_that_lies_is_refused(void **state)
{
	(void)state;
	static const struct {
		uint16_t segments, readable_segments;
		uint32_t zero_segment; /* index of one that is made empty */
		bool write;
	} rows[] = {
		{3, UINT16_MAX, 9, false}, {3, SLOT_SEGMENTS_MAX, 9, false},
		{3, 3, 9, false},          {1, 1, 9, false},
		{0, 1, 9, false},          {3, 0, 9, true},
		{UINT16_MAX, 1, 9, true},  {3, 2, 1, true},
		{3, 2, 0, true},           {3, 1, 1, false},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = rig_create(1);
		rig_start(rig);
		struct job_spec spec = plain_job(rig, 0, rows[i].write, 1024, 0);
		slot_of(rig, 0)->segments = rows[i].segments;
		slot_of(rig, 0)->readable_segments = rows[i].readable_segments;
		segments_of(rig, 0)[rows[i].zero_segment].bytes = 0;
		assert_int_equal(job_run(rig, 0, &spec), JOB_RESULT_BAD_JOB);
		assert_int_equal(rig->medium.seen_count + rig->host->reads + rig->host->writes, 0);
		rig_free(rig);
	}
}

/* A slot has one job at a time, and the next only when the end of the last has been taken. */
static void test_mover_second_job_of_a_slot_is_refused(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	rig_start(rig);
	struct job_spec spec = plain_job(rig, 4, true, 1024, 0);
	struct expected *expected = expected_create(rig);
	expected_move(expected, rig, 4, &spec, 0, spec.bytes);
	job_push(rig, 4, &spec);
	set(rig, CSR_MOVER_JOB, 4); /* before it has started */
	sim_run_for(&rig->sim, PS_PER_US);
	set(rig, CSR_MOVER_JOB, 4); /* while it is at work */
	assert_int_equal(get(rig, CSR_MOVER_ACTIVE), 1);
	sim_run_for(&rig->sim, PS_PER_MS);
	set(rig, CSR_MOVER_JOB, 4); /* its end waits in DONE */
	set(rig, CSR_MOVER_JOB, SLOTS);
	set(rig, CSR_MOVER_JOB, 0xffff);
	assert_int_equal(mover_stats(rig->mover)->bad, 5);
	assert_int_equal(get(rig, CSR_MOVER_ACTIVE), 0);
	assert_int_equal(job_wait(rig, 4), JOB_RESULT_OK);
	assert_int_equal(rig->medium.seen_count, 1);
	assert_memory_equal(rig->medium.bytes, expected->medium, MEDIUM_BYTES);
	assert_int_equal(job_run(rig, 4, &spec), JOB_RESULT_OK);
	free(expected);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mover_registers_reset_value_and_access),
		REQ_TEST(test_mover_write_gathers_pieces_of_any_size, "V-092"),
		REQ_TEST(test_mover_read_scatters_to_pieces_of_any_size, "V-092"),
		cmocka_unit_test(test_mover_takes_as_many_pieces_as_a_slot_holds),
		cmocka_unit_test(test_mover_local_jobs_move_between_slot_and_guest),
		cmocka_unit_test(test_mover_jobs_without_data_are_one_access),
		cmocka_unit_test(test_mover_range_has_64_bits),
		cmocka_unit_test(test_mover_flags_reach_every_access),
		cmocka_unit_test(test_mover_write_ends_with_its_last_access),
		cmocka_unit_test(test_mover_cuts_data_into_chunks),
		cmocka_unit_test(test_mover_chunks_share_the_time_of_the_medium),
		cmocka_unit_test(test_mover_medium_and_link_overlap),
		cmocka_unit_test(test_mover_job_takes_its_cycles_to_the_first_access),
		cmocka_unit_test(test_mover_stamps_first_and_last_access),
		cmocka_unit_test(test_mover_notes_the_work_of_a_request),
		cmocka_unit_test(test_mover_event_stands_while_ends_wait),
		cmocka_unit_test(test_mover_works_with_the_buffers_it_has),
		cmocka_unit_test(test_mover_small_job_overtakes_a_large_one),
		cmocka_unit_test(test_mover_fills_no_queue_over_its_end),
		cmocka_unit_test(test_mover_waits_for_the_dma_engine),
		cmocka_unit_test(test_mover_job_that_does_not_fit_is_refused),
		cmocka_unit_test(test_mover_list_that_lies_is_refused),
		cmocka_unit_test(test_mover_second_job_of_a_slot_is_refused),
	};
	return cmocka_run_group_tests_name("mover", tests, NULL, NULL);
}
