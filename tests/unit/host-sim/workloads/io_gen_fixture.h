/* Runs a generator with a device of a given queue depth and latency. */
#ifndef KICKSTAND_TESTS_IO_GEN_FIXTURE_H
#define KICKSTAND_TESTS_IO_GEN_FIXTURE_H

#include "host-sim/workloads/io_gen.h"
#include "tests/check.h"

#define K UINT64_C(1024)
#define M (1024 * K)

/* The I/Os a job does when up to `depth` are in flight and each takes `latency_ps`. */
struct run {
	struct io *io;
	uint64_t *issued_ps;
	unsigned count;
	uint64_t end_ps; /* when the generator was done and nothing in flight */
	unsigned drains; /* times it wanted the queue empty */
};

struct device {
	unsigned depth;
	uint64_t latency_ps;
	uint64_t stop_at_ps; /* 0 = let it run */
};

static inline void record(struct run *run, const struct io *io, uint64_t now_ps)
{
	if ((run->count & (run->count - 1)) == 0) {
		size_t room = run->count ? run->count * 2 : 64;
		run->io = reallocarray(run->io, room, sizeof(*run->io));
		run->issued_ps = reallocarray(run->issued_ps, room, sizeof(*run->issued_ps));
	}
	run->io[run->count] = *io;
	run->issued_ps[run->count++] = now_ps;
}

static inline struct run drive(struct io_gen *gen, struct device device)
{
	struct run run = {0};
	uint64_t now = 0, done_ps[256];
	enum io_ddir ddir[256];
	unsigned first = 0, in_flight = 0;
	for (;;) {
		struct io io;
		uint64_t wake = TIME_NEVER_PS;
		enum io_gen_answer answer = IO_GEN_DRAIN;
		if (device.stop_at_ps && now >= device.stop_at_ps)
			io_gen_stop(gen);
		assert_int_equal(io_gen_in_flight(gen), in_flight);
		if (in_flight < device.depth) {
			answer = io_gen_next(gen, now, &io, &wake);
			assert_true(answer != IO_GEN_DRAIN || in_flight > 0);
			run.drains += answer == IO_GEN_DRAIN;
		}
		if (answer == IO_GEN_READY) {
			unsigned slot = (first + in_flight++) % 256;
			record(&run, &io, now);
			done_ps[slot] = now + device.latency_ps;
			ddir[slot] = io.ddir;
			continue;
		}
		if (answer == IO_GEN_DONE && in_flight == 0)
			break;
		assert_true(answer != IO_GEN_WAIT || (wake > now && wake != TIME_NEVER_PS));
		if (in_flight && (answer != IO_GEN_WAIT || done_ps[first] <= wake)) {
			now = max_u64(now, done_ps[first]);
			io_gen_done(gen, ddir[first]);
			first = (first + 1) % 256;
			in_flight--;
		} else {
			now = wake;
		}
	}
	run.end_ps = now;
	return run;
}

static inline void free_run(struct run *run)
{
	free(run->io);
	free(run->issued_ps);
}

static inline struct run run_clone(const char *options, uint64_t disk, unsigned clone, uint64_t seed,
				   struct device device)
{
	char text[512], error[256];
	struct fio_jobs jobs;
	snprintf(text, sizeof(text), "[a]\n%s\n", options);
	if (fio_jobs_parse(&jobs, text, "t.fio", error, sizeof(error)) != 0 ||
	    fio_job_check(&jobs.job[0], disk, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	struct io_gen *gen = io_gen_create(&jobs.job[0], clone, disk, seed);
	assert_non_null(gen);
	struct run run = drive(gen, device);
	io_gen_free(gen);
	fio_jobs_free(&jobs);
	return run;
}

static inline struct run run_job(const char *options, uint64_t disk)
{
	return run_clone(options, disk, 0, 1, (struct device){.depth = 1, .latency_ps = 1000});
}

static inline unsigned count_ddir(const struct run *run, enum io_ddir ddir)
{
	unsigned count = 0;
	for (unsigned i = 0; i < run->count; i++)
		count += run->io[i].ddir == ddir;
	return count;
}

#endif
