/* fio job files: what the simulated guest is to do to the disk.
 *
 * A job file is read as fio reads it ("Job file format" in fio's HOWTO): [global] sections give defaults for the
 * jobs below them, every other section is a job, `;` and `#` start comments, several sections may have the same
 * name. Options are a table (fio_options.c); each is honoured, ignored for a stated reason, or an error with
 * file and line. README.md says where jobs mean something else here than under fio.
 *
 * Every value is in its final unit: bytes, picoseconds, millionths. Percentages of the disk are resolved by
 * fio_job_region, when the disk is known. */
#ifndef KICKSTAND_HOST_SIM_WORKLOADS_FIO_JOB_H
#define KICKSTAND_HOST_SIM_WORKLOADS_FIO_JOB_H

#include "host-sim/workloads/fio_value.h"
#include "host-sim/workloads/io.h"
#include "host-sim/workloads/iolog.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FIO_SPLITS_MAX      64
#define FIO_PERCENTILES_MAX 20

/* Block sizes of one direction. */
struct fio_sizes {
	uint32_t min_bytes, max_bytes; /* sizes are multiples of min_bytes, or one of the splits */
	uint32_t align_bytes;          /* of random offsets */
	unsigned splits;               /* 0 = any multiple of min_bytes */
	struct {
		uint32_t bytes;
		unsigned percent;
	} split[FIO_SPLITS_MAX]; /* percentages add up to 100 */

	/* As given by bs, bsrange and ba; 0 = not given. */
	uint32_t bs, range_min, range_max, ba;
};

enum fio_distribution { FIO_UNIFORM, FIO_ZIPF, FIO_PARETO, FIO_NORMAL };

/* What continue_on_error lets pass; every other error ends the job. */
enum fio_continue { FIO_CONTINUE_READ = 1, FIO_CONTINUE_WRITE = 2, FIO_CONTINUE_VERIFY = 4 };

/* An option as written, under fio's own name ("rw" for readwrite), for the report. */
struct fio_option_text {
	const char *name; /* static */
	char *value;      /* NULL if none was given */
	unsigned line;
};

struct fio_option_list {
	struct fio_option_text *option;
	unsigned count;
};

struct fio_job {
	char name[256];
	unsigned line;  /* of its [section] */
	unsigned phase; /* jobs of one phase run together, phases one after the other (stonewall) */
	unsigned group; /* reporting group (stonewall, new_group) */
	struct fio_option_list options; /* its own section's; owned by struct fio_jobs */
	const char *description;        /* NULL = none; one of the options' values */

	/* What */
	bool random;
	bool direction[IO_DIRECTIONS]; /* reads, writes, trims */
	bool trimwrite;                /* each block trimmed, then written */
	unsigned sequence;             /* rw=randread:8: I/Os per random offset; 1 = each its own */
	bool sequence_identical;       /* … which all go to that offset, instead of on from it */
	uint64_t gap_bytes;            /* rw=write:4k: skipped after each sequential I/O */
	struct fio_sizes sizes[IO_DIRECTIONS];
	unsigned read_percent; /* of a mixed workload */
	unsigned random_percent[IO_DIRECTIONS];
	enum fio_distribution distribution;
	uint64_t distribution_micro; /* zipf theta, pareto h, normal deviation in percent */
	bool no_random_map;          /* blocks may repeat within a pass */
	bool repeat_random;          /* every loop draws the same offsets (randrepeat) */
	bool seed_given;
	uint64_t seed; /* randseed */

	/* Where and how much */
	struct fio_amount size, io_size, offset, offset_increment;
	uint64_t offset_align; /* of offsets given in percent; 0 = smallest block size */
	uint64_t number_ios;   /* 0 = no limit */
	unsigned loops;

	/* When */
	unsigned numjobs;
	uint64_t runtime_ps, ramp_ps; /* 0 = no limit, none */
	uint64_t start_delay_min_ps, start_delay_max_ps;
	bool time_based;
	uint64_t think_ps;
	uint64_t think_blocks;
	bool think_at_issue; /* counts issued instead of completed I/Os */
	uint64_t rate_bytes[IO_DIRECTIONS], rate_iops[IO_DIRECTIONS]; /* a second; 0 = unlimited */
	bool rate_poisson;
	bool stonewall, new_group;
	bool exit_all; /* its end ends every job of its group */

	/* How */
	bool engine_given; /* else libaio, where fio would take psync */
	bool sync_engine;  /* forces iodepth 1 */
	unsigned iodepth, iodepth_low;
	unsigned submit_batch;                   /* I/Os made before the driver is told (plugging) */
	unsigned complete_min, complete_max;     /* completions taken at once */
	uint64_t fsync_blocks, fdatasync_blocks; /* a flush every so many writes; 0 = never */
	bool end_fsync;

	/* Replay: all there is to do is in the log. Clone i does what concerns files i, i + numjobs, … of it. */
	const char *read_iolog;     /* as written; NULL = none */
	struct iolog *iolog;        /* read; NULL = none. Owned by struct fio_jobs */
	bool replay_no_stall;       /* without the log's times */
	unsigned replay_time_scale; /* percent of the log's speed */
	unsigned replay_skip;       /* kinds of I/O left out: a bit per enum io_ddir */

	/* Checks */
	bool verify;          /* data read is compared */
	bool verify_phase;    /* everything written is read back when a loop's writes are done */
	bool verify_fatal;    /* the first bad read ends the job */
	unsigned continue_on; /* enum fio_continue */

	/* Report */
	bool group_reporting;
	bool slat_percentiles, clat_percentiles, lat_percentiles;
	unsigned percentiles;
	uint32_t percentile_micro[FIO_PERCENTILES_MAX]; /* 99.9 % is 99900000; ascending */

	unsigned kb_base;
};

struct fio_jobs {
	struct fio_job *job;
	unsigned count;
	struct fio_option_list globals; /* of every [global] section */
	char **note; /* "FILE:LINE: option 'x' is ignored: reason", for those who want to know */
	unsigned notes;
};

/* Reads a job file. -1 with one line "FILE:LINE: what; the mend" on any error, *jobs then being empty. Owner:
 * caller, fio_jobs_free. */
MUST_USE int fio_jobs_load(struct fio_jobs *jobs, const char *path, char *error, size_t error_size);

/* The same from memory; `file` is the name used in messages. */
MUST_USE int fio_jobs_parse(struct fio_jobs *jobs, const char *text, const char *file, char *error,
			    size_t error_size);

void fio_jobs_free(struct fio_jobs *jobs);

/* Where clone `clone` of the job works, in bytes from the start of the disk. Meaningful after fio_job_check. */
struct fio_region {
	uint64_t offset, bytes;
	uint64_t io_bytes; /* transferred per loop: io_size, or the region once */
};
struct fio_region fio_job_region(const struct fio_job *job, unsigned clone, uint64_t disk_bytes);

/* Whether the job can run on a disk of this size: regions inside the disk, sizes and offsets multiples of 512
 * bytes, room for at least one block. -1 with one line that names the job. */
MUST_USE int fio_job_check(const struct fio_job *job, uint64_t disk_bytes, char *error, size_t error_size);

/* When clone `clone` starts, after its phase has begun (startdelay; a range is drawn from the seed). */
uint64_t fio_job_start_delay_ps(const struct fio_job *job, unsigned clone, uint64_t run_seed);

/* Writes the table of options, their support and the reasons, as Markdown. */
void fio_options_print(FILE *out);

#ifdef __cplusplus
}
#endif
#endif
