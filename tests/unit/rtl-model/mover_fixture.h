/* The data mover between guest memory and a medium of plain bytes, with a firmware that describes jobs in slots. */
#ifndef KICKSTAND_TESTS_MOVER_FIXTURE_H
#define KICKSTAND_TESTS_MOVER_FIXTURE_H

#include "rtl-model/blocks/mover/mover.h"
#include "tests/unit/rtl-model/host_fixture.h"

#include <errno.h>

#define GUEST_BASE    UINT64_C(0x240000000)
#define GUEST_BYTES   UINT64_C(0x80000)
#define MEDIUM_BYTES  UINT64_C(0x80000)
#define MEDIUM_BUSY   1024u
#define SEEN_MAX      2048u
#define GUARD_BYTES   7u /* between pieces of guest memory: odd, so that pieces stand anywhere */
#define FILL_DISCARD  0xdd
#define FILL_ERASE    0xee
#define SEGMENT_WRITE 2u /* VIRTQ_DESC_F_WRITE */

/* ---- the medium ---- */

struct medium_access {
	struct media_request request;
	uint64_t start_ps, end_ps;
	uint64_t checksum; /* of a write's data: nobody else may touch it */
};

/* Accesses take a random time and take effect at its end, each kind in a way of its own. */
struct medium {
	struct media_request_fifo requests;
	struct media_done_fifo *done;
	struct sim_process *process;
	struct rng rng;
	uint8_t bytes[MEDIUM_BYTES];
	/* behaviour */
	uint64_t access_ps_min, access_ps_max;
	unsigned parallelism;
	struct host_range bad; /* what touches it ends in -EIO */
	bool hold;
	/* state */
	struct medium_access busy[MEDIUM_BUSY]; /* in order of arrival */
	unsigned busy_count;
	/* what was seen */
	struct medium_access seen[SEEN_MAX]; /* in order of arrival */
	unsigned seen_count, busy_max;
};

static inline bool ranges_meet(uint64_t first, uint64_t first_bytes, uint64_t second, uint64_t second_bytes)
{
	return first < second + second_bytes && second < first + first_bytes;
}

static inline uint64_t data_checksum(const struct media_request *request)
{
	uint64_t sum = 0;
	if (request->op == MEDIA_WRITE)
		for (uint64_t i = 0; i < request->bytes; i++)
			sum = (sum ^ request->data[i]) * UINT64_C(0x100000001b3);
	return sum;
}

static inline void medium_take(struct medium *medium, uint64_t now_ps)
{
	struct medium_access *access = &medium->busy[medium->busy_count++];
	assert_true(medium->busy_count <= MEDIUM_BUSY);
	access->request = media_request_fifo_pop(&medium->requests, now_ps);
	access->start_ps = now_ps;
	access->end_ps = now_ps + medium->access_ps_min +
			 rng_below(&medium->rng, medium->access_ps_max - medium->access_ps_min + 1);
	access->checksum = data_checksum(&access->request);
	if (access->request.op == MEDIA_READ) /* the buffer is the medium's until it is done */
		memset(access->request.data, 0xa5, access->request.bytes);
	if (medium->seen_count < SEEN_MAX)
		medium->seen[medium->seen_count] = *access;
	medium->seen_count++;
	medium->busy_max = max_u32(medium->busy_max, medium->busy_count);
}

static inline int medium_perform(struct medium *medium, const struct medium_access *access)
{
	const struct media_request *request = &access->request;
	assert_int_equal(data_checksum(request), access->checksum);
	if (request->op == MEDIA_FLUSH)
		return 0;
	if (request->bytes > MEDIUM_BYTES || request->offset > MEDIUM_BYTES - request->bytes ||
	    ranges_meet(request->offset, request->bytes, medium->bad.addr, medium->bad.bytes))
		return -EIO;
	uint8_t *at = medium->bytes + request->offset;
	switch (request->op) {
	case MEDIA_READ: memcpy(request->data, at, request->bytes); break;
	case MEDIA_WRITE: memcpy(at, request->data, request->bytes); break;
	case MEDIA_DISCARD: memset(at, FILL_DISCARD, request->bytes); break;
	case MEDIA_WRITE_ZEROES: memset(at, 0, request->bytes); break;
	case MEDIA_SECURE_ERASE: memset(at, FILL_ERASE, request->bytes); break;
	case MEDIA_FLUSH: break;
	}
	return 0;
}

static inline uint64_t medium_step(void *ctx, uint64_t now_ps)
{
	struct medium *medium = ctx;
	unsigned kept = 0;
	uint64_t next_ps = TIME_NEVER_PS;
	for (unsigned i = 0; i < medium->busy_count; i++) {
		struct medium_access access = medium->busy[i];
		if (access.end_ps > now_ps) {
			medium->busy[kept++] = access;
			continue;
		}
		media_done_fifo_push(medium->done, now_ps,
				     (struct media_done){access.request.cookie,
							 medium_perform(medium, &access), access.start_ps});
	}
	medium->busy_count = kept;
	while (!medium->hold && medium->busy_count < medium->parallelism &&
	       media_request_fifo_ready(&medium->requests, now_ps))
		medium_take(medium, now_ps);
	for (unsigned i = 0; i < medium->busy_count; i++)
		next_ps = min_u64(next_ps, medium->busy[i].end_ps);
	return next_ps;
}

static inline void medium_set_hold(struct medium *medium, struct sim *sim, bool hold)
{
	medium->hold = hold;
	sim_wake(medium->process, sim->now_ps);
}

static inline unsigned medium_outstanding(const struct medium *medium)
{
	return medium->busy_count + media_request_fifo_count(&medium->requests);
}

/* ---- everything together ---- */

struct rig {
	struct config config;
	struct sim sim;
	struct sim_process *process;
	struct host *host;
	struct medium medium;
	struct mover *mover;
	struct probe probe;
	struct waker events;
	unsigned event_wakes;
	uint64_t free_addr; /* guest memory given out so far */
	_Alignas(16) uint8_t sram[SRAM_BYTES];
};

static inline uint64_t rig_step(void *ctx, uint64_t now_ps)
{
	return mover_step(((struct rig *)ctx)->mover, now_ps);
}

static inline void rig_event(void *ctx, uint64_t at_ps)
{
	(void)at_ps;
	((struct rig *)ctx)->event_wakes++;
}

static inline void fill(struct rng *rng, uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		bytes[i] = (uint8_t)rng_u64(rng);
}

/* Guest memory and medium hold noise. Adjust config and behaviour, then rig_start. */
static inline struct rig *rig_create(uint64_t seed)
{
	struct rig *rig = aligned_alloc(16, (sizeof(*rig) + 15) / 16 * 16);
	struct rng rng;
	assert_non_null(rig);
	memset(rig, 0, sizeof(*rig));
	config_defaults(&rig->config);
	rig->host = host_create(&rig->sim, GUEST_BASE, GUEST_BYTES, seed);
	rig->medium.process = sim_add(&rig->sim, medium_step, &rig->medium);
	rig->medium.requests.consumer = &rig->medium.process->waker;
	rig->medium.access_ps_min = rig->medium.access_ps_max = 8 * PS_PER_US;
	rig->medium.parallelism = MEDIUM_BUSY;
	rng_seed(&rig->medium.rng, seed, 78);
	rig->process = sim_add(&rig->sim, rig_step, rig);
	rig->events = (struct waker){rig_event, rig};
	rig->free_addr = GUEST_BASE;
	rng_seed(&rng, seed, 79);
	fill(&rng, rig->host->memory, GUEST_BYTES);
	fill(&rng, rig->medium.bytes, MEDIUM_BYTES);
	return rig;
}

static inline void rig_start(struct rig *rig)
{
	const struct mover_ports ports = {
		.self = &rig->process->waker,
		.dma = &rig->host->requests,
		.sram = rig->sram,
		.probe = &rig->probe,
		.events = &rig->events,
	};
	rig->mover = mover_create(&rig->config, &ports);
	assert_non_null(rig->mover);
	mover_connect(rig->mover, &rig->medium.requests);
	rig->host->done = mover_dma_done(rig->mover);
	rig->medium.done = mover_media_done(rig->mover);
}

static inline void rig_free(struct rig *rig)
{
	mover_free(rig->mover);
	host_free(rig->host);
	free(rig);
}

/* What the card does at a reset of the engines: first the DMA engine drops everything, then they forget. */
static inline void rig_reset(struct rig *rig)
{
	host_abort(rig->host);
	mover_reset(rig->mover, rig->sim.now_ps);
}

/* Everything has come to its end. */
static inline void assert_at_rest(struct rig *rig)
{
	assert_false(mover_busy(rig->mover));
	assert_int_equal(mover_jobs(rig->mover), 0);
	assert_int_equal(medium_outstanding(&rig->medium), 0);
	assert_true(host_idle(rig->host));
}

/* ---- registers ---- */

static inline uint32_t get(struct rig *rig, uint32_t offset)
{
	uint32_t value;
	assert_true(mover_csr_read(rig->mover, rig->sim.now_ps, offset, &value));
	return value;
}

static inline void set(struct rig *rig, uint32_t offset, uint32_t value)
{
	assert_true(mover_csr_write(rig->mover, rig->sim.now_ps, offset, value));
}

/* Slot of the next job that has ended, or -1. */
static inline int take_done(struct rig *rig)
{
	bool event = mover_events(rig->mover, rig->sim.now_ps) & CSR_SYS_EVENTS_DONE_MASK;
	uint32_t value = get(rig, CSR_MOVER_DONE);
	assert_int_equal(event, value >> 31);
	return value >> 31 ? (int)(value & 0xffff) : -1;
}

/* ---- slots ---- */

static inline struct slot *slot_of(struct rig *rig, unsigned number)
{
	return (struct slot *)(void *)(rig->sram + (size_t)number * SLOT_BYTES);
}

static inline struct slot_segment *segments_of(struct rig *rig, unsigned number)
{
	return (struct slot_segment *)(void *)(rig->sram + (size_t)number * SLOT_BYTES + SLOT_SEGMENT_OFFSET);
}

static inline uint8_t *local_of(struct rig *rig, unsigned number)
{
	return rig->sram + (size_t)number * SLOT_BYTES + SLOT_LOCAL_OFFSET;
}

/* A new request without memory. The slot's small memory keeps what it holds. */
static inline void slot_begin(struct rig *rig, unsigned number)
{
	memset(slot_of(rig, number), 0, SLOT_LOCAL_OFFSET);
	probe_begin(&rig->probe, number);
}

/* One more piece of guest memory that the card may read, or write. Readable ones first. */
static inline void add_segment_at(struct rig *rig, unsigned number, uint64_t addr, uint32_t bytes, bool write)
{
	struct slot *slot = slot_of(rig, number);
	assert_true(slot->segments < SLOT_SEGMENTS_MAX);
	segments_of(rig, number)[slot->segments++] =
		(struct slot_segment){.addr = addr, .bytes = bytes, .flags = write ? SEGMENT_WRITE : 0};
	slot->readable_segments = (uint16_t)(slot->readable_segments + !write);
	*(write ? &slot->writable_bytes : &slot->readable_bytes) += bytes;
}

static inline void add_segment(struct rig *rig, unsigned number, uint32_t bytes, bool write)
{
	uint64_t addr = rig->free_addr + GUARD_BYTES;
	rig->free_addr = addr + bytes;
	host_allow(rig->host, addr, bytes, write ? HOST_WRITE : HOST_READ);
	add_segment_at(rig, number, addr, bytes, write);
}

/* `bytes` of guest memory in pieces of any size. */
static inline void add_pieces(struct rig *rig, struct rng *rng, unsigned number, uint32_t bytes, bool write)
{
	while (bytes != 0) {
		uint32_t piece = 1 + (uint32_t)rng_below(rng, min_u32(bytes, 1u << rng_below(rng, 12)));
		if (slot_of(rig, number)->segments >= SLOT_SEGMENTS_MAX - 20)
			piece = bytes;
		add_segment(rig, number, piece, write);
		bytes -= piece;
	}
}

/* Guest address of byte `index` of all that the card may read (or write), in the list's order. */
static inline uint64_t byte_addr(struct rig *rig, unsigned number, bool write, uint32_t index)
{
	const struct slot_segment *segment = segments_of(rig, number);
	for (;; segment++) {
		if (!(segment->flags & SEGMENT_WRITE) == write)
			continue;
		if (index < segment->bytes)
			return segment->addr + index;
		index -= segment->bytes;
	}
}

/* ---- jobs ---- */

struct job_spec {
	uint32_t op, bytes, skip, flags;
	uint64_t offset, range_bytes;
};

static inline bool is_to_guest(const struct job_spec *spec)
{
	return spec->op == JOB_READ || spec->op == JOB_LOCAL_TO_GUEST;
}

static inline bool is_local(const struct job_spec *spec)
{
	return spec->op == JOB_LOCAL_TO_GUEST || spec->op == JOB_GUEST_TO_LOCAL;
}

static inline void job_push(struct rig *rig, unsigned number, const struct job_spec *spec)
{
	struct slot *slot = slot_of(rig, number);
	slot->job_op = spec->op;
	slot->job_bytes = spec->bytes;
	slot->job_skip = spec->skip;
	slot->job_flags = spec->flags;
	slot->job_offset = spec->offset;
	slot->job_range_bytes = spec->range_bytes;
	slot->job_result = slot->job_done_bytes = 0x5a5a5a5a; /* to be written by the mover */
	set(rig, CSR_MOVER_JOB, number);
}

/* Lets the job, the only one, come to its end. */
static inline uint32_t job_wait(struct rig *rig, unsigned number)
{
	sim_run_for(&rig->sim, 10 * PS_PER_MS);
	assert_int_equal(take_done(rig), number);
	assert_int_equal(take_done(rig), -1);
	return slot_of(rig, number)->job_result;
}

static inline uint32_t job_run(struct rig *rig, unsigned number, const struct job_spec *spec)
{
	job_push(rig, number, spec);
	return job_wait(rig, number);
}

/* A request as drivers usually lay them out, header and status in pieces of their own, and its job. */
static inline struct job_spec plain_job(struct rig *rig, unsigned number, bool write, uint32_t bytes,
					uint64_t offset)
{
	slot_begin(rig, number);
	add_segment(rig, number, HEADER_BYTES, false);
	add_segment(rig, number, bytes, !write);
	add_segment(rig, number, 1, true);
	return (struct job_spec){.op = write ? JOB_WRITE : JOB_READ,
				 .bytes = bytes,
				 .skip = write ? HEADER_BYTES : 0,
				 .offset = offset};
}

/* ---- what memory and medium have to hold ---- */

struct expected {
	uint8_t guest[GUEST_BYTES], medium[MEDIUM_BYTES], sram[SRAM_BYTES];
};

static inline struct expected *expected_create(const struct rig *rig)
{
	struct expected *expected = malloc(sizeof(*expected));
	assert_non_null(expected);
	memcpy(expected->guest, rig->host->memory, GUEST_BYTES);
	memcpy(expected->medium, rig->medium.bytes, MEDIUM_BYTES);
	memcpy(expected->sram, rig->sram, SRAM_BYTES);
	return expected;
}

/* The card's end of the job's data: on the medium, or in the slot. */
static inline uint8_t *expected_card(struct expected *expected, unsigned number, const struct job_spec *spec)
{
	return is_local(spec) ? expected->sram + (size_t)number * SLOT_BYTES + SLOT_LOCAL_OFFSET
			      : expected->medium + spec->offset;
}

/* The job has moved `bytes` from byte `from` of its data on. */
static inline void expected_move(struct expected *expected, struct rig *rig, unsigned number,
				 const struct job_spec *spec, uint32_t from, uint32_t bytes)
{
	bool to_guest = is_to_guest(spec);
	uint8_t *card = expected_card(expected, number, spec);
	for (uint32_t i = from; i < from + bytes; i++) {
		uint64_t addr = byte_addr(rig, number, to_guest, spec->skip + i);
		uint8_t *guest = &expected->guest[addr - GUEST_BASE];
		*(to_guest ? guest : &card[i]) = to_guest ? card[i] : *guest;
	}
}

/* The mover has said how the job ended. */
static inline void expected_result(struct expected *expected, unsigned number, uint32_t result,
				   uint32_t done_bytes)
{
	struct slot *slot = (struct slot *)(void *)(expected->sram + (size_t)number * SLOT_BYTES);
	slot->job_result = result;
	slot->job_done_bytes = done_bytes;
}

/* Gives the job's data other bytes than are at its destination, so that one can tell which have been moved. */
static inline void contrast(struct rig *rig, struct rng *rng, struct expected *expected, unsigned number,
			    const struct job_spec *spec)
{
	const uint8_t *card = expected_card(expected, number, spec);
	for (uint32_t i = 0; i < spec->bytes; i++) {
		uint64_t at = byte_addr(rig, number, is_to_guest(spec), spec->skip + i) - GUEST_BASE;
		rig->host->memory[at] = expected->guest[at] = (uint8_t)(card[i] ^ (1 + rng_below(rng, 255)));
	}
}

/* Takes over what has been moved of a piece of the job's data; every byte is there as it should be, or not at all.
 * Returns how many are there. Before, the data had `contrast`. */
static inline uint32_t settle_piece(struct rig *rig, struct expected *expected, unsigned number,
				    const struct job_spec *spec, uint32_t from, uint32_t bytes)
{
	bool to_guest = is_to_guest(spec);
	uint32_t moved = 0;
	uint8_t *card = expected_card(expected, number, spec);
	const uint8_t *card_now = is_local(spec) ? local_of(rig, number) : rig->medium.bytes + spec->offset;
	for (uint32_t i = from; i < from + bytes; i++) {
		uint64_t at = byte_addr(rig, number, to_guest, spec->skip + i) - GUEST_BASE;
		uint8_t source = to_guest ? card[i] : expected->guest[at];
		uint8_t *destination = to_guest ? &expected->guest[at] : &card[i];
		uint8_t now = to_guest ? rig->host->memory[at] : card_now[i];
		assert_true(now == source || now == *destination);
		moved += now == source;
		*destination = now;
	}
	return moved;
}

/* The same for all of the data. Chunks come to the medium whole or not at all. Returns the bytes of whole chunks. */
static inline uint32_t settle(struct rig *rig, struct expected *expected, unsigned number,
			      const struct job_spec *spec)
{
	uint32_t chunk_bytes = rig->config.mover.chunk_bytes, whole = 0;
	for (uint32_t from = 0; from < spec->bytes; from += chunk_bytes) {
		uint32_t bytes = min_u32(chunk_bytes, spec->bytes - from);
		uint32_t moved = settle_piece(rig, expected, number, spec, from, bytes);
		assert_true(moved == bytes || moved == 0 || spec->op != JOB_WRITE);
		if (moved == bytes)
			whole += bytes;
	}
	return whole;
}

/* The same for a job on a range. Returns whether the range is as the job leaves it. */
static inline bool settle_range(struct rig *rig, struct expected *expected, const struct job_spec *spec)
{
	static const uint8_t fills[] = {[JOB_DISCARD] = FILL_DISCARD, [JOB_SECURE_ERASE] = FILL_ERASE};
	const uint8_t *now = rig->medium.bytes + spec->offset;
	uint8_t *range = expected->medium + spec->offset;
	bool there = true;
	for (uint64_t i = 0; i < spec->range_bytes; i++)
		there = there && now[i] == fills[spec->op];
	if (!there)
		assert_memory_equal(now, range, spec->range_bytes);
	memcpy(range, now, spec->range_bytes);
	return there;
}

static inline void assert_expected(const struct rig *rig, const struct expected *expected)
{
	assert_memory_equal(rig->host->memory, expected->guest, GUEST_BYTES);
	assert_memory_equal(rig->medium.bytes, expected->medium, MEDIUM_BYTES);
	assert_memory_equal(rig->sram, expected->sram, SRAM_BYTES);
}

#endif
