/* The direct path between a fetch engine, a mover and a used-ring writer that are the test's own. */
#include "rtl-model/blocks/direct/direct.h"
#include "tests/unit/rtl-model/csr_check.h"
#include "tests/unit/rtl-model/sim.h"

#include <linux/virtio_blk.h>

#define PERIOD_PS    2000u /* 500 MHz */
#define CYCLES       4u
#define SECTORS      1000u
#define SECTOR_BYTES 512u

struct mover {
	struct job_fifo done;
	struct started {
		uint64_t at_ps;
		struct slot slot; /* as it was */
		unsigned number;
	} started[SLOTS];
	unsigned count;
};

struct used {
	struct completion_fifo completions;
};

void mover_start_direct(struct mover *mover, uint64_t at_ps, unsigned slot);
struct job_fifo *mover_direct_done(struct mover *mover)
{
	return &mover->done;
}

struct completion_fifo *used_direct(struct used *used)
{
	return &used->completions;
}

struct rig {
	struct sim sim;
	struct sim_process *process;
	struct config config;
	struct direct direct;
	struct mover mover;
	struct used used;
	struct probe probe;
	struct slot_fifo records; /* of the fetch engine */
	bool write_back;
	bool freed[SLOTS];
	unsigned frees;
	_Alignas(16) uint8_t sram[SRAM_BYTES];
};

static struct slot *slot_of(struct rig *rig, unsigned number)
{
	return (struct slot *)(rig->sram + (size_t)number * SLOT_BYTES);
}

void mover_start_direct(struct mover *mover, uint64_t at_ps, unsigned slot)
{
	struct rig *rig = (struct rig *)((uint8_t *)mover - offsetof(struct rig, mover));
	assert_true(mover->count < SLOTS);
	mover->started[mover->count++] = (struct started){at_ps, *slot_of(rig, slot), slot};
}

static uint64_t step(void *ctx, uint64_t now_ps)
{
	return direct_step(&((struct rig *)ctx)->direct, now_ps);
}

static bool take(void *ctx, uint64_t now_ps, unsigned *slot)
{
	struct rig *rig = ctx;
	if (!slot_fifo_ready(&rig->records, now_ps))
		return false;
	*slot = slot_fifo_pop(&rig->records, now_ps);
	return true;
}

static uint64_t next_record(void *ctx)
{
	return slot_fifo_next_ps(&((struct rig *)ctx)->records);
}

static void slot_free(void *ctx, uint64_t now_ps, unsigned slot)
{
	struct rig *rig = ctx;
	(void)now_ps;
	assert_false(rig->freed[slot]);
	rig->freed[slot] = true;
	rig->frees++;
}

static bool write_back(void *ctx)
{
	return ((struct rig *)ctx)->write_back;
}

static void put(struct rig *rig, uint32_t offset, uint32_t value)
{
	assert_true(direct_csr_write(&rig->direct, rig->sim.now_ps, offset, value));
}

static uint32_t get(struct rig *rig, uint32_t offset)
{
	uint32_t value;
	assert_true(direct_csr_read(&rig->direct, rig->sim.now_ps, offset, &value));
	return value;
}

/* Queues 0 to 31 enabled, SECTORS sectors. */
static struct rig *rig_new(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	config_defaults(&rig->config);
	rig->config.direct.cycles = CYCLES;
	rig->process = sim_add(&rig->sim, step, rig);
	const struct direct_ports ports = {
		.self = &rig->process->waker,
		.sram = rig->sram,
		.probe = &rig->probe,
		.mover = &rig->mover,
		.used = &rig->used,
		.ctx = rig,
		.take_record = take,
		.next_record_ps = next_record,
		.slot_free = slot_free,
		.write_back = write_back,
	};
	direct_init(&rig->direct, &rig->config, &ports);
	rig->records.consumer = &rig->process->waker;
	put(rig, CSR_DIRECT_ENABLE_LO, UINT32_MAX);
	put(rig, CSR_DIRECT_SECTORS_LO, SECTORS);
	return rig;
}

/* The fetch engine's record of a request with `bytes` of data. */
static struct slot *record(struct rig *rig, unsigned number, uint32_t type, uint64_t sector, uint32_t bytes)
{
	struct slot *slot = slot_of(rig, number);
	*slot = (struct slot){
		.queue = (uint16_t)(number % 8),
		.head = (uint16_t)(number + 100),
		.type = type,
		.sector = sector,
		.readable_bytes = HEADER_BYTES + (type == VIRTIO_BLK_T_OUT ? bytes : 0),
		.writable_bytes = 1 + (type == VIRTIO_BLK_T_OUT ? 0 : bytes),
		.status_addr = 0x1000 + number,
	};
	return slot;
}

static void hand_over(struct rig *rig, unsigned number)
{
	slot_fifo_push(&rig->records, rig->sim.now_ps, (uint16_t)number);
}

static void end_job(struct rig *rig, unsigned number, uint32_t result)
{
	slot_of(rig, number)->job_result = result;
	job_fifo_push(&rig->mover.done, rig->sim.now_ps, (uint16_t)number);
}

static void settle(struct rig *rig)
{
	sim_run_for(&rig->sim, 1000 * PERIOD_PS);
}

/* What the core finds in FETCH.RECORD, -1 for nothing. */
static int core_takes(struct rig *rig)
{
	uint32_t record_word = direct_pop_record(&rig->direct, rig->sim.now_ps);
	return record_word & CSR_FETCH_RECORD_VALID_MASK ? (int)(record_word & CSR_FETCH_RECORD_SLOT_MASK)
							 : -1;
}

/* ---- registers ---- */

static bool read_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return direct_csr_read(self, now_ps, offset, value);
}

static bool write_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return direct_csr_write(self, now_ps, offset, value);
}

static void test_direct_registers_match_the_map(void **state)
{
	(void)state;
	static const struct csr_case cases[] = {
		{.offset = CSR_DIRECT_ENABLE_LO, .reset = 0, .writable = UINT32_MAX},
		{.offset = CSR_DIRECT_ENABLE_HI, .reset = 0, .writable = UINT32_MAX},
		{.offset = CSR_DIRECT_CONTROL, .reset = 0, .writable = 7},
		{.offset = CSR_DIRECT_SECTORS_LO, .reset = 0, .writable = UINT32_MAX},
		{.offset = CSR_DIRECT_SECTORS_HI, .reset = 0, .writable = UINT32_MAX},
		{.offset = CSR_DIRECT_QUEUE_SELECT, .reset = 0, .writable = QUEUES_MAX - 1},
		{.offset = CSR_DIRECT_QUEUE_STATE, .reset = 0, .writable = 0},
	};
	struct rig *rig = rig_new();
	put(rig, CSR_DIRECT_ENABLE_LO, 0);
	put(rig, CSR_DIRECT_SECTORS_LO, 0);
	const struct csr_block block = {&rig->direct, read_register, write_register};
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
	free(rig);
}

/* ---- what is served here and what is not ---- */

static void test_direct_read_and_write_become_jobs(void **state)
{
	(void)state;
	static const struct {
		uint32_t type, bytes, job_op, job_skip;
		uint64_t sector;
	} rows[] = {
		{VIRTIO_BLK_T_IN, 4096, JOB_READ, 0, 16},
		{VIRTIO_BLK_T_OUT, 512, JOB_WRITE, 16, 0},
		{VIRTIO_BLK_T_IN, SECTOR_BYTES, JOB_READ, 0, SECTORS - 1}, /* the last one */
		{VIRTIO_BLK_T_OUT, SECTORS * SECTOR_BYTES, JOB_WRITE, 16, 0},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = rig_new();
		record(rig, 9, rows[i].type, rows[i].sector, rows[i].bytes);
		hand_over(rig, 9);
		settle(rig);
		assert_int_equal(rig->mover.count, 1);
		const struct started *job = &rig->mover.started[0];
		assert_int_equal(job->number, 9);
		assert_int_equal(job->at_ps, CYCLES * PERIOD_PS);
		assert_int_equal(job->slot.job_op, rows[i].job_op);
		assert_int_equal(job->slot.job_bytes, rows[i].bytes);
		assert_int_equal(job->slot.job_skip, rows[i].job_skip);
		assert_int_equal(job->slot.job_offset, rows[i].sector * SECTOR_BYTES);
		assert_int_equal(core_takes(rig), -1);
		assert_int_equal(direct_events(&rig->direct, rig->sim.now_ps), 0);
		free(rig);
	}
}

static void test_direct_passes_on_what_is_the_cores(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		uint32_t type, bytes;
		uint64_t sector;
		uint16_t error, queue;
		bool read_only;
	} rows[] = {
		{.what = "flush", .type = VIRTIO_BLK_T_FLUSH},
		{.what = "get id", .type = VIRTIO_BLK_T_GET_ID, .bytes = 20},
		{.what = "discard", .type = VIRTIO_BLK_T_DISCARD, .bytes = 16},
		{.what = "unknown type", .type = 0x1234, .bytes = 512},
		{.what = "no data", .type = VIRTIO_BLK_T_IN},
		{.what = "half a sector", .type = VIRTIO_BLK_T_IN, .bytes = 256},
		{.what = "a byte too much", .type = VIRTIO_BLK_T_OUT, .bytes = 513},
		{.what = "one sector too far", .type = VIRTIO_BLK_T_IN, .bytes = 1024, .sector = SECTORS - 1},
		{.what = "sector wraps", .type = VIRTIO_BLK_T_IN, .bytes = 1024, .sector = UINT64_MAX},
		{.what = "write to a read-only disk",
		 .type = VIRTIO_BLK_T_OUT,
		 .bytes = 512,
		 .read_only = true},
		{.what = "bad chain",
		 .type = VIRTIO_BLK_T_IN,
		 .bytes = 512,
		 .error = RECORD_ERROR_DMA_HEADER},
		{.what = "queue that is not ours", .type = VIRTIO_BLK_T_IN, .bytes = 512, .queue = 40},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = rig_new();
		struct slot *slot = record(rig, 5, rows[i].type, rows[i].sector, rows[i].bytes);
		slot->error = rows[i].error;
		if (rows[i].queue)
			slot->queue = rows[i].queue;
		if (rows[i].read_only)
			put(rig, CSR_DIRECT_CONTROL, CSR_DIRECT_CONTROL_READ_ONLY_MASK);
		print_message("%s\n", rows[i].what);
		hand_over(rig, 5);
		sim_run_for(&rig->sim, CYCLES * PERIOD_PS - 1);
		assert_int_equal(direct_events(&rig->direct, rig->sim.now_ps), 0);
		sim_run_for(&rig->sim, 1);
		assert_int_equal(direct_events(&rig->direct, rig->sim.now_ps), CSR_SYS_EVENTS_RECORD_MASK);
		put(rig, CSR_DIRECT_QUEUE_SELECT, slot->queue);
		assert_int_equal(get(rig, CSR_DIRECT_QUEUE_STATE), CSR_DIRECT_QUEUE_STATE_BUSY_MASK);
		assert_true(direct_busy(&rig->direct));
		assert_int_equal(core_takes(rig), 5);
		assert_int_equal(core_takes(rig), -1);
		assert_false(direct_busy(&rig->direct));
		assert_int_equal(get(rig, CSR_DIRECT_QUEUE_STATE), 0);
		assert_int_equal(rig->mover.count, 0);
		assert_int_equal(rig->direct.stats.passed_on, 1);
		free(rig);
	}
}

static void test_direct_read_of_a_read_only_disk_is_served(void **state)
{
	(void)state;
	struct rig *rig = rig_new();
	put(rig, CSR_DIRECT_CONTROL, CSR_DIRECT_CONTROL_READ_ONLY_MASK);
	record(rig, 1, VIRTIO_BLK_T_IN, 0, 512);
	hand_over(rig, 1);
	settle(rig);
	assert_int_equal(rig->mover.count, 1);
	free(rig);
}

/* D-159, D-160: a write is stable before it completes unless a write-back cache was agreed on, at the time of the write. */
static void test_direct_write_is_stable_as_the_cache_mode_says(void **state)
{
	(void)state;
	static const struct {
		uint32_t cache;
		bool write_back, stable;
	} rows[] = {
		{DIRECT_CACHE_WRITE_THROUGH, true, true},
		{DIRECT_CACHE_WRITE_BACK, false, false},
		{DIRECT_CACHE_AS_DRIVER_SAYS, true, false},
		{DIRECT_CACHE_AS_DRIVER_SAYS, false, true},
		{3, true, true}, /* no such mode: the safe side */
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = rig_new();
		put(rig, CSR_DIRECT_CONTROL, rows[i].cache << CSR_DIRECT_CONTROL_CACHE_SHIFT);
		rig->write_back = rows[i].write_back;
		record(rig, 1, VIRTIO_BLK_T_OUT, 0, 512);
		record(rig, 2, VIRTIO_BLK_T_IN, 0, 512);
		hand_over(rig, 1);
		hand_over(rig, 2);
		settle(rig);
		assert_int_equal(rig->mover.started[0].slot.job_flags, rows[i].stable ? JOB_FLAG_STABLE : 0);
		assert_int_equal(rig->mover.started[1].slot.job_flags, 0);
		free(rig);
	}
}

/* ---- ends ---- */

/* virtio 1.4 §2.7.8.2: len is what was certainly written, from the start. */
static void test_direct_end_becomes_a_completion(void **state)
{
	(void)state;
	static const struct {
		uint32_t type, bytes, writable_bytes, result;
		uint8_t status;
		uint32_t len;
	} rows[] = {
		{VIRTIO_BLK_T_IN, 4096, 4097, JOB_RESULT_OK, VIRTIO_BLK_S_OK, 4097},
		{VIRTIO_BLK_T_IN, 4096, 4097, JOB_RESULT_MEDIA_ERROR, VIRTIO_BLK_S_IOERR, 0},
		{VIRTIO_BLK_T_OUT, 512, 1, JOB_RESULT_OK, VIRTIO_BLK_S_OK, 1},
		{VIRTIO_BLK_T_OUT, 512, 1, JOB_RESULT_DMA_ERROR, VIRTIO_BLK_S_IOERR, 1},
		/* seven bytes in front of the status that nothing was written to */
		{VIRTIO_BLK_T_OUT, 512, 8, JOB_RESULT_OK, VIRTIO_BLK_S_OK, 0},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = rig_new();
		record(rig, 3, rows[i].type, 8, rows[i].bytes)->writable_bytes = rows[i].writable_bytes;
		hand_over(rig, 3);
		settle(rig);
		put(rig, CSR_DIRECT_QUEUE_SELECT, 3);
		assert_int_equal(get(rig, CSR_DIRECT_QUEUE_STATE), CSR_DIRECT_QUEUE_STATE_BUSY_MASK);
		uint64_t end_ps = rig->sim.now_ps;
		end_job(rig, 3, rows[i].result);
		settle(rig);
		assert_int_equal(completion_fifo_next_ps(&rig->used.completions),
				 end_ps + CYCLES * PERIOD_PS);
		struct completion end = completion_fifo_pop(&rig->used.completions, rig->sim.now_ps);
		assert_int_equal(end.slot, 3);
		assert_int_equal(end.queue, 3);
		assert_int_equal(end.head, 103);
		assert_int_equal(end.status, rows[i].status);
		assert_int_equal(end.len, rows[i].len);
		assert_int_equal(end.status_addr, 0x1003);
		assert_int_equal(get(rig, CSR_DIRECT_QUEUE_STATE), 0);
		assert_int_equal(rig->frees, 0); /* the used-ring writer's to free */
		free(rig);
	}
}

/* §2.6.1: after a queue reset no buffer is given back. */
static void test_direct_end_for_a_queue_taken_away_frees_the_slot(void **state)
{
	(void)state;
	struct rig *rig = rig_new();
	record(rig, 2, VIRTIO_BLK_T_IN, 0, 512);
	record(rig, 3, VIRTIO_BLK_T_IN, 0, 512);
	hand_over(rig, 2);
	hand_over(rig, 3);
	settle(rig);
	put(rig, CSR_DIRECT_ENABLE_LO, ~(UINT32_C(1) << 2));
	end_job(rig, 2, JOB_RESULT_OK);
	end_job(rig, 3, JOB_RESULT_OK);
	settle(rig);
	assert_int_equal(rig->frees, 1);
	assert_true(rig->freed[2]);
	assert_int_equal(completion_fifo_count(&rig->used.completions), 1);
	assert_int_equal(completion_fifo_peek(&rig->used.completions)->slot, 3);
	assert_int_equal(rig->direct.stats.dropped, 1);
	free(rig);
}

static void test_direct_end_waits_for_room(void **state)
{
	(void)state;
	struct rig *rig = rig_new();
	for (unsigned i = 0; i < completion_fifo_depth + 10; i++) {
		record(rig, i, VIRTIO_BLK_T_IN, 0, 512);
		hand_over(rig, i);
	}
	settle(rig);
	for (unsigned i = 0; i < completion_fifo_depth + 10; i++)
		end_job(rig, i, JOB_RESULT_OK);
	settle(rig);
	assert_true(completion_fifo_full(&rig->used.completions));
	for (unsigned i = 0; i < completion_fifo_depth + 10; i++) {
		assert_int_equal(completion_fifo_pop(&rig->used.completions, rig->sim.now_ps).slot, i);
		settle(rig);
	}
	assert_false(direct_busy(&rig->direct));
	free(rig);
}

static void test_direct_takes_one_record_in_its_time(void **state)
{
	(void)state;
	struct rig *rig = rig_new();
	for (unsigned i = 0; i < 20; i++) {
		record(rig, i, VIRTIO_BLK_T_IN, 0, 512);
		hand_over(rig, i);
	}
	settle(rig);
	assert_int_equal(rig->mover.count, 20);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(rig->mover.started[i].at_ps, (i + 1) * CYCLES * PERIOD_PS);
	free(rig);
}

static void test_direct_reset_forgets_everything(void **state)
{
	(void)state;
	struct rig *rig = rig_new();
	record(rig, 1, VIRTIO_BLK_T_IN, 0, 512);
	record(rig, 2, VIRTIO_BLK_T_FLUSH, 0, 0);
	hand_over(rig, 1);
	hand_over(rig, 2);
	settle(rig);
	direct_reset(&rig->direct);
	assert_false(direct_busy(&rig->direct));
	assert_int_equal(core_takes(rig), -1);
	assert_int_equal(get(rig, CSR_DIRECT_ENABLE_LO), 0);
	assert_int_equal(get(rig, CSR_DIRECT_SECTORS_LO), SECTORS);
	hand_over(rig, 1); /* a queue nobody has given to it */
	settle(rig);
	assert_int_equal(core_takes(rig), 1);
	free(rig);
}

/* Everything that comes in goes out once, on one of the three ways, whatever the order. */
static void test_direct_loses_and_doubles_nothing(void **state)
{
	(void)state;
	enum { FREE, HANDED, AT_MOVER };
	struct rng rng;
	rng_seed(&rng, test_seed(1), 0);
	struct rig *rig = rig_new();
	uint8_t where[SLOTS] = {FREE};
	unsigned begun = 0, ended = 0, seen = 0;
	for (unsigned turn = 0; turn < 200000; turn++) {
		unsigned n = (unsigned)rng_below(&rng, SLOTS);
		if (where[n] == FREE) {
			bool ours = rng_below(&rng, 4) != 0;
			record(rig, n, ours ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_FLUSH, rng_below(&rng, 8),
			       ours ? 512 : 0);
			hand_over(rig, n);
			where[n] = HANDED;
			begun++;
		}
		sim_run_for(&rig->sim, rng_below(&rng, 10) * PERIOD_PS / 2);
		for (; seen < rig->mover.count; seen++) {
			assert_int_equal(where[rig->mover.started[seen].number], HANDED);
			where[rig->mover.started[seen].number] = AT_MOVER;
		}
		rig->mover.count = seen = 0;
		n = (unsigned)rng_below(&rng, SLOTS);
		if (where[n] == AT_MOVER && rng_below(&rng, 2)) {
			end_job(rig, n, rng_below(&rng, 9) ? JOB_RESULT_OK : JOB_RESULT_MEDIA_ERROR);
			where[n] = HANDED;
		}
		if (completion_fifo_ready(&rig->used.completions, rig->sim.now_ps) && rng_below(&rng, 2)) {
			n = completion_fifo_pop(&rig->used.completions, rig->sim.now_ps).slot;
			assert_int_equal(where[n], HANDED);
			where[n] = FREE;
			ended++;
		}
		int core = rng_below(&rng, 2) ? core_takes(rig) : -1;
		if (core >= 0) {
			assert_int_equal(where[core], HANDED);
			where[core] = FREE;
			ended++;
		}
	}
	assert_true(ended > 20000 && begun - ended <= SLOTS);
	free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_direct_registers_match_the_map),
		cmocka_unit_test(test_direct_read_and_write_become_jobs),
		cmocka_unit_test(test_direct_passes_on_what_is_the_cores),
		cmocka_unit_test(test_direct_read_of_a_read_only_disk_is_served),
		REQ_TEST(test_direct_write_is_stable_as_the_cache_mode_says, "D-159 D-160"),
		cmocka_unit_test(test_direct_end_becomes_a_completion),
		cmocka_unit_test(test_direct_end_for_a_queue_taken_away_frees_the_slot),
		cmocka_unit_test(test_direct_end_waits_for_room),
		cmocka_unit_test(test_direct_takes_one_record_in_its_time),
		cmocka_unit_test(test_direct_reset_forgets_everything),
		cmocka_unit_test(test_direct_loses_and_doubles_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
