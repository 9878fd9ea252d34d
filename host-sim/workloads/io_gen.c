#include "host-sim/workloads/io_gen.h"

#include "host-sim/workloads/io_stream.h"

#include <stdlib.h>

enum phase {
	PHASE_RUN,
	PHASE_DRAIN, /* the loop's I/Os are given out */
	PHASE_READ_BACK,
	PHASE_DRAIN_READS,
	PHASE_DONE,
};

struct io_gen {
	const struct fio_job *job;
	struct io_stream stream;
	uint64_t seed;
	enum phase phase;
	bool started, stopped;
	uint64_t start_ps, end_ps; /* end_ps: runtime is over */
	uint64_t in_flight;
	uint64_t readback_ps; /* spent in verify phases */
	unsigned loops_left;
	uint64_t loop;

	uint64_t loop_ps; /* when this loop began; TIME_NEVER_PS: not yet */

	/* Of this loop; reading back repeats as many I/Os as were drawn. */
	uint64_t drawn, bytes, writes;
	uint64_t repeated;
	uint64_t readback_begin_ps;
	bool sync_due;  /* the last I/O was a write after which a flush is to come */
	struct io held; /* drawn, but not due yet */
	bool have_held;
	bool synced;

	/* Pauses */
	uint64_t issued, completed; /* reads, writes and trims of the whole job */
	uint64_t think_count;       /* of them, at which the last pause ended */
	uint64_t think_until_ps;    /* TIME_NEVER_PS: no pause */

	/* Rates, of the whole job */
	struct rng rate_rng;
	uint64_t rate_ios[IO_DIRECTIONS], rate_bytes[IO_DIRECTIONS];
	uint64_t poisson_ps[IO_DIRECTIONS];
};

/* Seeds of the loops: all the same with randrepeat, as in fio. */
static uint64_t loop_seed(const struct io_gen *gen)
{
	return gen->job->repeat_random ? gen->seed : gen->seed + gen->loop;
}

static void start_loop(struct io_gen *gen)
{
	io_stream_start(&gen->stream, loop_seed(gen));
	gen->drawn = gen->bytes = gen->writes = gen->repeated = 0;
	gen->sync_due = gen->have_held = gen->synced = false;
	gen->loop_ps = TIME_NEVER_PS;
	gen->phase = PHASE_RUN;
}

/* A time-based job without verify phase never ends a loop; with one, each pass is a loop, as in fio. */
static bool runs_on(const struct fio_job *job)
{
	return job->time_based && !job->verify_phase;
}

struct io_gen *io_gen_create(const struct fio_job *job, unsigned clone, uint64_t disk_bytes,
			     uint64_t run_seed)
{
	struct io_gen *gen = calloc(1, sizeof(*gen));
	if (!gen)
		return NULL;
	uint64_t mixed = (job->seed_given ? job->seed : run_seed) ^ (uint64_t)clone << 48;
	gen->job = job;
	gen->seed = splitmix64(&mixed);
	gen->loops_left = job->loops;
	gen->think_until_ps = TIME_NEVER_PS;
	rng_seed(&gen->rate_rng, gen->seed, UINT64_C(0x7a7e) << 40);
	if (io_stream_init(&gen->stream, job, clone, fio_job_region(job, clone, disk_bytes),
			   runs_on(job) || job->io_size.value != 0) != 0) {
		free(gen);
		return NULL;
	}
	start_loop(gen);
	return gen;
}

void io_gen_free(struct io_gen *gen)
{
	if (!gen)
		return;
	io_stream_free(&gen->stream);
	free(gen);
}

static void start(struct io_gen *gen, uint64_t now_ps)
{
	const struct fio_job *job = gen->job;
	gen->started = true;
	gen->start_ps = now_ps;
	gen->end_ps = TIME_NEVER_PS;
	if (job->runtime_ps) {
		uint64_t length = job->runtime_ps > TIME_NEVER_PS - job->ramp_ps
					  ? TIME_NEVER_PS
					  : job->runtime_ps + job->ramp_ps;
		gen->end_ps = length > TIME_NEVER_PS - now_ps ? TIME_NEVER_PS : now_ps + length;
	}
}

/* fio counts a trim and its write as one against number_ios and io_size. */
static bool limit_reached(const struct io_gen *gen)
{
	const struct fio_job *job = gen->job;
	unsigned per_io = job->trimwrite ? 2 : 1;
	if (gen->stream.write_next)
		return false;
	if (job->number_ios && gen->drawn / per_io >= job->number_ios)
		return true;
	return !runs_on(job) && gen->bytes / per_io >= gen->stream.region.io_bytes;
}

static bool sync_after(const struct io_gen *gen, uint64_t blocks)
{
	return blocks && gen->writes % blocks == 0;
}

/* Draws the loop's next I/O into gen->held; false when the loop has no more. */
static bool draw(struct io_gen *gen)
{
	const struct fio_job *job = gen->job;
	if (limit_reached(gen))
		return false;
	if (gen->sync_due) {
		gen->held = (struct io){.ddir = sync_after(gen, job->fsync_blocks) ? IO_SYNC : IO_DATASYNC};
		gen->sync_due = false;
		return true;
	}
	if (!io_stream_next(&gen->stream, &gen->held))
		return false;
	gen->drawn++;
	gen->bytes += gen->held.bytes;
	if (gen->held.ddir == IO_WRITE) {
		gen->writes++;
		gen->sync_due = sync_after(gen, job->fsync_blocks) || sync_after(gen, job->fdatasync_blocks);
	}
	return true;
}

static uint64_t scaled_time(uint64_t count, uint64_t per_second)
{
	unsigned __int128 ps = (unsigned __int128)count * PS_PER_S / per_second;
	return ps > TIME_NEVER_PS / 2 ? TIME_NEVER_PS / 2 : (uint64_t)ps;
}

/* When a replay is to do the held I/O. Late ones do not move those behind them. */
static uint64_t due_ps(const struct io_gen *gen)
{
	return gen->held.due_ps ? gen->loop_ps + gen->held.due_ps : 0;
}

/* When the rate allows the held I/O: as if all before it had kept the rate exactly, so that a job held up by a
 * slow device catches up. */
static uint64_t rate_allows_ps(const struct io_gen *gen)
{
	const struct fio_job *job = gen->job;
	enum io_ddir ddir = gen->held.ddir;
	if (ddir >= IO_DIRECTIONS || (!job->rate_bytes[ddir] && !job->rate_iops[ddir]))
		return 0;
	if (job->rate_poisson)
		return gen->start_ps + gen->poisson_ps[ddir];
	if (job->rate_bytes[ddir])
		return gen->start_ps + scaled_time(gen->rate_bytes[ddir], job->rate_bytes[ddir]);
	return gen->start_ps + scaled_time(gen->rate_ios[ddir], job->rate_iops[ddir]);
}

static void count_rate(struct io_gen *gen)
{
	const struct fio_job *job = gen->job;
	enum io_ddir ddir = gen->held.ddir;
	gen->rate_ios[ddir]++;
	gen->rate_bytes[ddir] += gen->held.bytes;
	uint64_t mean_ps = 0;
	if (job->rate_bytes[ddir])
		mean_ps = scaled_time(gen->held.bytes, job->rate_bytes[ddir]);
	else if (job->rate_iops[ddir])
		mean_ps = scaled_time(1, job->rate_iops[ddir]);
	if (job->rate_poisson)
		gen->poisson_ps[ddir] = min_u64(
			gen->poisson_ps[ddir] + rng_exponential(&gen->rate_rng, mean_ps), TIME_NEVER_PS / 2);
}

/* Whether a pause is due or on. In fio, too, the queue is drained before the pause begins. */
static enum io_gen_answer think(struct io_gen *gen, uint64_t now_ps, uint64_t *wake_ps)
{
	const struct fio_job *job = gen->job;
	uint64_t count = job->think_at_issue ? gen->issued : gen->completed;
	if (!job->think_ps || count - gen->think_count < job->think_blocks)
		return IO_GEN_READY;
	if (gen->in_flight)
		return IO_GEN_DRAIN;
	if (gen->think_until_ps == TIME_NEVER_PS)
		gen->think_until_ps = job->think_ps > TIME_NEVER_PS - 1 - now_ps ? TIME_NEVER_PS - 1
										 : now_ps + job->think_ps;
	if (now_ps < gen->think_until_ps) {
		*wake_ps = gen->think_until_ps;
		return IO_GEN_WAIT;
	}
	gen->think_until_ps = TIME_NEVER_PS;
	gen->think_count = job->think_at_issue ? gen->issued : gen->completed;
	return IO_GEN_READY;
}

static enum io_gen_answer give(struct io_gen *gen, const struct io *io, struct io *out)
{
	*out = *io;
	gen->in_flight++;
	return IO_GEN_READY;
}

static enum io_gen_answer next_of_run(struct io_gen *gen, uint64_t now_ps, struct io *io, uint64_t *wake_ps)
{
	enum io_gen_answer answer = think(gen, now_ps, wake_ps);
	if (answer != IO_GEN_READY)
		return answer;
	if (gen->loop_ps == TIME_NEVER_PS)
		gen->loop_ps = now_ps;
	if (!gen->have_held && !draw(gen)) {
		gen->phase = PHASE_DRAIN;
		return IO_GEN_DRAIN;
	}
	gen->have_held = true;
	*wake_ps = max_u64(rate_allows_ps(gen), due_ps(gen));
	if (now_ps < *wake_ps)
		return IO_GEN_WAIT;
	gen->have_held = false;
	if (gen->held.ddir < IO_DIRECTIONS) {
		gen->issued++;
		count_rate(gen);
	}
	return give(gen, &gen->held, io);
}

static void end_loop(struct io_gen *gen)
{
	/* A log may have nothing for this clone, however often it is replayed. */
	bool again = gen->drawn != 0 && (gen->job->time_based || --gen->loops_left > 0);
	gen->loop++;
	if (gen->stopped || !again)
		gen->phase = PHASE_DONE;
	else
		start_loop(gen);
}

/* After the loop's last I/O: the flush, then the verify phase. */
static enum io_gen_answer next_after_run(struct io_gen *gen, uint64_t now_ps, struct io *io)
{
	const struct io sync = {.ddir = IO_SYNC};
	if (gen->job->end_fsync && gen->writes && !gen->synced) {
		gen->synced = true;
		return give(gen, &sync, io);
	}
	if (gen->job->verify_phase && !gen->stopped) {
		io_stream_start(&gen->stream, loop_seed(gen));
		gen->phase = PHASE_READ_BACK;
		gen->readback_begin_ps = now_ps;
	} else {
		end_loop(gen);
	}
	return IO_GEN_DRAIN;
}

/* Repeats the loop's I/Os; writes become reads, the rest is left out. */
static enum io_gen_answer next_read_back(struct io_gen *gen, struct io *io)
{
	while (gen->repeated < gen->drawn) {
		struct io again;
		bool any = io_stream_next(&gen->stream, &again);
		ASSERT(any);
		gen->repeated++;
		if (again.ddir != IO_WRITE)
			continue;
		again.ddir = IO_READ;
		again.readback = true;
		return give(gen, &again, io);
	}
	gen->phase = PHASE_DRAIN_READS;
	return IO_GEN_DRAIN;
}

/* One state's answer. IO_GEN_DRAIN with nothing in flight means that the next state is to be asked. */
static enum io_gen_answer next_of_phase(struct io_gen *gen, uint64_t now_ps, struct io *io, uint64_t *wake_ps)
{
	bool idle = gen->in_flight == 0;
	switch (gen->phase) {
	case PHASE_RUN: return next_of_run(gen, now_ps, io, wake_ps);
	case PHASE_DRAIN: return idle ? next_after_run(gen, now_ps, io) : IO_GEN_DRAIN;
	case PHASE_READ_BACK: return next_read_back(gen, io);
	case PHASE_DRAIN_READS:
		if (idle) {
			gen->readback_ps += now_ps - gen->readback_begin_ps;
			end_loop(gen);
		}
		return IO_GEN_DRAIN;
	case PHASE_DONE: return IO_GEN_DONE;
	}
	ASSERT(!"phase");
	return IO_GEN_DONE;
}

void io_gen_stop(struct io_gen *gen)
{
	gen->stopped = true;
	gen->have_held = false;
	if (gen->phase == PHASE_RUN)
		gen->phase = PHASE_DRAIN;
	else if (gen->phase == PHASE_READ_BACK)
		gen->phase = PHASE_DRAIN_READS;
}

enum io_gen_answer io_gen_next(struct io_gen *gen, uint64_t now_ps, struct io *io, uint64_t *wake_ps)
{
	if (!gen->started)
		start(gen, now_ps);
	if (now_ps >= gen->end_ps && !gen->stopped)
		io_gen_stop(gen);
	for (;;) {
		enum io_gen_answer answer = next_of_phase(gen, now_ps, io, wake_ps);
		if (answer == IO_GEN_WAIT)
			*wake_ps = min_u64(*wake_ps, gen->end_ps);
		if (answer != IO_GEN_DRAIN || gen->in_flight)
			return answer;
	}
}

void io_gen_done(struct io_gen *gen, enum io_ddir ddir)
{
	ASSERT(gen->in_flight > 0);
	gen->in_flight--;
	if (ddir < IO_DIRECTIONS)
		gen->completed++;
}

uint64_t io_gen_in_flight(const struct io_gen *gen)
{
	return gen->in_flight;
}

uint64_t io_gen_measure_from_ps(const struct io_gen *gen)
{
	return gen->started ? gen->start_ps + gen->job->ramp_ps : TIME_NEVER_PS;
}

uint64_t io_gen_readback_ps(const struct io_gen *gen)
{
	return gen->readback_ps;
}
