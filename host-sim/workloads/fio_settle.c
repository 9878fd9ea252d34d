/* What becomes of a job's options once all are read, and what they mean on a disk of a known size. */
#include "host-sim/workloads/fio_options.h"

#include "pcie/rng.h"

#include <inttypes.h>
#include <string.h>

void fio_job_defaults(struct fio_job *job)
{
	static const uint32_t percentiles[] = {
		1000000,  5000000,  10000000, 20000000, 30000000, 40000000, 50000000, 60000000, 70000000,
		80000000, 90000000, 95000000, 99000000, 99500000, 99900000, 99950000, 99990000,
	};
	memset(job, 0, sizeof(*job));
	job->direction[IO_READ] = true;
	job->sequence = 1;
	for (unsigned d = 0; d < IO_DIRECTIONS; d++) {
		job->sizes[d].bs = 4096;
		job->random_percent[d] = 100;
	}
	job->read_percent = 50;
	job->repeat_random = true;
	job->loops = 1;
	job->replay_time_scale = 100;
	job->numjobs = 1;
	job->think_blocks = 1;
	job->iodepth = 1;
	job->submit_batch = 1;
	job->complete_min = 1;
	job->verify_phase = true;
	job->clat_percentiles = true;
	job->percentiles = ARRAY_SIZE(percentiles);
	memcpy(job->percentile_micro, percentiles, sizeof(percentiles));
	job->kb_base = 1024;
}

/* fio's precedence, whatever the order in the file: bssplit, then bsrange, then bs. */
static void settle_sizes(struct fio_job *job)
{
	for (unsigned d = 0; d < IO_DIRECTIONS; d++) {
		struct fio_sizes *sizes = &job->sizes[d];
		if (sizes->splits) {
			sizes->min_bytes = UINT32_MAX;
			sizes->max_bytes = 0;
			for (unsigned i = 0; i < sizes->splits; i++) {
				sizes->min_bytes = min_u32(sizes->min_bytes, sizes->split[i].bytes);
				sizes->max_bytes = max_u32(sizes->max_bytes, sizes->split[i].bytes);
			}
		} else {
			sizes->min_bytes = sizes->range_min ? sizes->range_min : sizes->bs;
			sizes->max_bytes = sizes->range_min ? sizes->range_max : sizes->bs;
		}
		sizes->align_bytes = job->random && sizes->ba ? sizes->ba : sizes->min_bytes;
		if (sizes->align_bytes != sizes->min_bytes && job->direction[d])
			job->no_random_map = true;
	}
}

/* Kind, place and size of all I/Os are the log's, and so are flushes; as in fio, options about them do not count. */
static void settle_replay(struct fio_job *job)
{
	job->random = job->trimwrite = job->sequence_identical = false;
	job->sequence = 1;
	job->gap_bytes = 0;
	for (unsigned d = 0; d < IO_DIRECTIONS; d++) {
		job->direction[d] = job->iolog->max_bytes[d] != 0;
		job->sizes[d] = (struct fio_sizes){.bs = job->iolog->max_bytes[d]};
	}
	job->size = job->io_size = job->offset = job->offset_increment = (struct fio_amount){0};
	job->fsync_blocks = job->fdatasync_blocks = 0;
}

static const char *settle_conflict(const struct fio_job *job)
{
	if (job->time_based && !job->runtime_ps)
		return "time_based needs an end; give runtime";
	for (unsigned a = 0; a < IO_DIRECTIONS; a++)
		for (unsigned b = 0; b < IO_DIRECTIONS; b++)
			if (job->rate_bytes[a] && job->rate_iops[b])
				return "rate and rate_iops exclude each other; leave one out";
	return NULL;
}

/* True with a remark where the depth is not what the file says, or not what fio would make of it. */
static bool settle_depth(struct fio_job *job, char *remark, size_t size)
{
	if (job->iodepth == 1 || (job->engine_given && !job->sync_engine))
		return false;
	if (!job->sync_engine) {
		snprintf(remark, size,
			 "iodepth %u without ioengine: taken as libaio, where fio would take psync and "
			 "ignore iodepth",
			 job->iodepth);
		return true;
	}
	snprintf(remark, size, "iodepth %u is capped at 1: the ioengine is a synchronous one", job->iodepth);
	job->iodepth = 1;
	return true;
}

enum fio_outcome fio_job_settle(struct fio_job *job, char *reason, size_t reason_size)
{
	const char *conflict = settle_conflict(job);
	if (conflict) {
		snprintf(reason, reason_size, "%s", conflict);
		return FIO_REFUSED;
	}
	if (job->iolog)
		settle_replay(job);
	settle_sizes(job);
	if (job->distribution != FIO_UNIFORM)
		job->no_random_map = true;
	job->verify_phase = job->verify_phase && job->verify && job->direction[IO_WRITE];
	bool remark = settle_depth(job, reason, reason_size);
	if (job->iodepth_low == 0 || job->iodepth_low > job->iodepth)
		job->iodepth_low = job->iodepth;
	if (job->submit_batch == 0 || job->submit_batch > job->iodepth)
		job->submit_batch = job->iodepth;
	job->complete_min = min_u32(job->complete_min, job->iodepth);
	job->complete_max = max_u32(job->complete_max, job->complete_min);
	return remark ? FIO_IGNORED : FIO_TAKEN;
}

static uint64_t align_up(uint64_t value, uint64_t to)
{
	uint64_t missing = (to - value % to) % to;
	return missing > UINT64_MAX - value ? UINT64_MAX : value + missing;
}

static uint64_t smallest_block(const struct fio_job *job)
{
	uint64_t bytes = UINT64_MAX;
	for (unsigned d = 0; d < IO_DIRECTIONS; d++)
		if (job->direction[d])
			bytes = min_u64(bytes, job->sizes[d].min_bytes);
	return bytes;
}

static uint64_t percent_of(uint64_t bytes, uint64_t percent)
{
	return (uint64_t)((unsigned __int128)bytes * percent / 100);
}

/* fio's get_start_offset: an offset given in percent is rounded up to a block. Saturates instead of wrapping. */
static uint64_t start_offset(const struct fio_job *job, unsigned clone, uint64_t disk_bytes)
{
	const struct fio_amount *offset = &job->offset, *increment = &job->offset_increment;
	unsigned __int128 start = offset->percent ? percent_of(disk_bytes, offset->value) : offset->value;
	start += (unsigned __int128)clone *
		 (increment->percent ? percent_of(disk_bytes, increment->value) : increment->value);
	if (start > disk_bytes)
		return UINT64_MAX;
	if (!offset->percent && !increment->percent)
		return (uint64_t)start;
	return align_up((uint64_t)start, job->offset_align ? job->offset_align : smallest_block(job));
}

struct fio_region fio_job_region(const struct fio_job *job, unsigned clone, uint64_t disk_bytes)
{
	struct fio_region region = {.offset = start_offset(job, clone, disk_bytes)};
	uint64_t rest = region.offset < disk_bytes ? disk_bytes - region.offset : 0;
	region.bytes = rest;
	if (job->size.percent) {
		region.bytes = min_u64(percent_of(disk_bytes, job->size.value), rest);
		region.bytes -= region.bytes % smallest_block(job);
	} else if (job->size.value) {
		region.bytes = job->size.value;
	}
	region.io_bytes = job->iolog ? UINT64_MAX : region.bytes;
	if (job->io_size.value)
		region.io_bytes = job->io_size.percent ? percent_of(region.bytes, job->io_size.value)
						       : job->io_size.value;
	return region;
}

static bool sectors_only(uint64_t bytes)
{
	return bytes % 512 == 0;
}

static bool sizes_in_sectors(const struct fio_sizes *sizes)
{
	bool whole = sectors_only(sizes->min_bytes) && sectors_only(sizes->align_bytes);
	for (unsigned i = 0; i < sizes->splits; i++)
		whole = whole && sectors_only(sizes->split[i].bytes);
	return whole;
}

static int check_region(const struct fio_job *job, unsigned clone, uint64_t disk_bytes, char *error,
			size_t error_size)
{
	struct fio_region region = fio_job_region(job, clone, disk_bytes);
	uint64_t largest = 0;
	for (unsigned d = 0; d < IO_DIRECTIONS; d++)
		if (job->direction[d])
			largest = max_u64(largest, job->sizes[d].min_bytes);
	if (region.offset >= disk_bytes || region.bytes > disk_bytes - region.offset)
		snprintf(error, error_size,
			 "job '%s': clone %u needs bytes up to offset + size of a disk of %" PRIu64
			 " bytes; lower offset, offset_increment, size or numjobs, or give a larger --disk",
			 job->name, clone, disk_bytes);
	else if (!sectors_only(region.offset) || !sectors_only(job->gap_bytes))
		snprintf(error, error_size,
			 "job '%s': offset, offset_increment, offset_align and rw=…:N must be multiples of "
			 "512",
			 job->name);
	else if (region.bytes < largest)
		snprintf(error, error_size,
			 "job '%s': size is %" PRIu64 " bytes, less than one block of %" PRIu64
			 "; raise size or lower bs",
			 job->name, region.bytes, largest);
	else
		return 0;
	return -1;
}

int fio_job_check(const struct fio_job *job, uint64_t disk_bytes, char *error, size_t error_size)
{
	if (job->iolog)
		return iolog_check(job->iolog, disk_bytes, error, error_size);
	for (unsigned d = 0; d < IO_DIRECTIONS; d++) {
		if (job->direction[d] && !sizes_in_sectors(&job->sizes[d])) {
			snprintf(error, error_size,
				 "job '%s': block sizes and ba must be multiples of 512, the disk's sector",
				 job->name);
			return -1;
		}
	}
	/* Clones lie at even steps, so that those between the first and the last are inside the disk when these two
	 * are. A step in percent is rounded up for each, which moves none of them past the last. */
	if (check_region(job, 0, disk_bytes, error, error_size) != 0)
		return -1;
	return check_region(job, job->numjobs - 1, disk_bytes, error, error_size);
}

uint64_t fio_job_start_delay_ps(const struct fio_job *job, unsigned clone, uint64_t run_seed)
{
	struct rng rng;
	uint64_t span = job->start_delay_max_ps - job->start_delay_min_ps;
	rng_seed(&rng, job->seed_given ? job->seed : run_seed, UINT64_C(0x5d) << 32 | clone);
	return job->start_delay_min_ps + (span ? rng_below(&rng, span + 1) : 0);
}
