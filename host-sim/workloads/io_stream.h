/* The order of a job's I/Os, apart from time: what comes next follows from the seed alone, so that the verify
 * phase can repeat the order instead of having it remembered. */
#ifndef KICKSTAND_HOST_SIM_WORKLOADS_IO_STREAM_H
#define KICKSTAND_HOST_SIM_WORKLOADS_IO_STREAM_H

#include "host-sim/workloads/fio_job.h"
#include "host-sim/workloads/random_map.h"
#include "host-sim/workloads/skew.h"
#include "pcie/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where one direction's I/Os go. */
struct io_source {
	const struct fio_sizes *sizes;
	uint64_t position;      /* where sequential I/O goes on, from the region's start */
	uint64_t last;          /* where the last I/O began */
	unsigned sequence_left; /* rw=randread:N: I/Os before the next random offset */
	uint64_t places;        /* random offsets there are, in steps of align_bytes */
	struct random_map *map; /* NULL = blocks may repeat */
	struct skew *skew;      /* NULL = even */
};

struct io_stream {
	const struct fio_job *job;
	struct fio_region region;
	bool wrap; /* begin the region again when it is done */
	struct rng rng;
	struct io_source source[IO_DIRECTIONS];
	struct random_map
		map[IO_DIRECTIONS]; /* directions with blocks of the same size share the first one's */
	struct io trimmed;          /* rw=trimwrite: the trim whose write is next */
	bool write_next;

	/* Replay */
	unsigned clone;
	size_t entry;     /* of the log, next to look at */
	uint64_t pass_us; /* when this pass over the log began */
};

/* The I/Os of clone `clone`. The job stays the caller's. -1 if out of memory. */
MUST_USE int io_stream_init(struct io_stream *s, const struct fio_job *job, unsigned clone,
			    struct fio_region region, bool wrap);
void io_stream_free(struct io_stream *s);

/* Begins at the beginning. The order depends on `seed`. */
void io_stream_start(struct io_stream *s, uint64_t seed);

/* The next read, write or trim; in a replay, flush too. False when the region (or the log) is done and does not wrap. */
MUST_USE bool io_stream_next(struct io_stream *s, struct io *io);

#ifdef __cplusplus
}
#endif
#endif
