#include "host-sim/workloads/fio_options.h"

#include "host-sim/workloads/fio_parsers.h"

#include <inttypes.h>
#include <string.h>

enum kind {
	KIND_FLAG,         /* bool; the value may be missing */
	KIND_BOOL,         /* bool */
	KIND_UNSIGNED,     /* unsigned */
	KIND_U64,          /* uint64_t */
	KIND_SECONDS,      /* uint64_t ps; seconds if without a unit */
	KIND_MICROSECONDS, /* the same, microseconds */
	KIND_AMOUNT,       /* struct fio_amount */
	KIND_CHOICE,       /* bool: the second of two words */
	KIND_ONLY, /* one of the words, nothing to store; other values are refused for the reason given */
	KIND_CUSTOM,
	KIND_IGNORED,
	KIND_REFUSED,
};

struct option {
	const char *name, *alias;
	struct {
		enum kind kind;
		size_t at;           /* of the field in struct fio_job */
		uint64_t min, max;   /* KIND_UNSIGNED, KIND_U64 */
		fio_parser *parse;   /* KIND_CUSTOM */
		const char *accepts; /* KIND_CHOICE, KIND_ONLY: words; KIND_CUSTOM: for the message */
	};
	const char *text; /* what it does here, or why it is ignored or refused */
};

/* Where a field is; the comparison, never evaluated, makes the compiler check that it has the kind's type. */
#define AT(type, field)                                                                                      \
	(offsetof(struct fio_job, field) + 0 * sizeof(&((const struct fio_job *)0)->field == (const type *)0))

/* clang-format off */
#define FLAG(field)             { .kind = KIND_FLAG, .at = AT(bool, field) }
#define BOOL(field)             { .kind = KIND_BOOL, .at = AT(bool, field) }
#define COUNT(field, low, high) { .kind = KIND_UNSIGNED, .at = AT(unsigned, field), .min = low, .max = high }
#define NUMBER(field, low)      { .kind = KIND_U64, .at = AT(uint64_t, field), .min = low, .max = UINT64_MAX }
#define SECONDS(field)          { .kind = KIND_SECONDS, .at = AT(uint64_t, field) }
#define MICROSECONDS(field)     { .kind = KIND_MICROSECONDS, .at = AT(uint64_t, field) }
#define AMOUNT(field)           { .kind = KIND_AMOUNT, .at = AT(struct fio_amount, field) }
#define CHOICE(field, words)    { .kind = KIND_CHOICE, .at = AT(bool, field), .accepts = words }
#define ONLY(words)             { .kind = KIND_ONLY, .accepts = words }
#define CUSTOM(parser, values)  { .kind = KIND_CUSTOM, .parse = parser, .accepts = values }
#define IGNORED                 { .kind = KIND_IGNORED }
#define REFUSED                 { .kind = KIND_REFUSED }
/* clang-format on */

static const char one_disk[] = "the disk is the one given by --disk, shared by all jobs";
static const char no_files[] = "there are no files, only the disk";
static const char no_cache[] = "the guest has no page cache";
static const char no_process[] = "jobs are simulated, not processes or threads";
static const char no_host_cost[] = "reading the clock costs no simulated time";
static const char own_data[] =
	"written data always names its sector and write, so that every byte can be checked";
static const char own_check[] = "the check has no headers: it compares every byte with what was written";
static const char engine_detail[] = "the driver's own costs are set by the [host] configuration";
static const char no_logs[] = "no log is written; use --json for results or --trace for single I/Os";
static const char only_logs[] = "it only concerns logs, which are not written";
static const char no_zones[] = "the disk has no zones; leave it out";
static const char no_blktrace[] = "blktrace files are not read; give a log of version 2 or 3 with read_iolog";
static const char no_steady[] = "runs are not ended by their results; use runtime or number_ios";
static const char no_flow[] = "jobs do not pace each other; use rate or rate_iops";

static const struct option options[] = {
	/* Job description */
	{"name", NULL, CUSTOM(fio_parse_name, "a name of up to 255 characters"),
	 "name of the job in reports"},
	{"description", NULL, CUSTOM(fio_parse_description, "a text"), "text for the report"},
	{"numjobs", NULL, COUNT(numjobs, 1, 4096),
	 "clones of the job; they share its region unless offset_increment sets them apart"},
	{"loops", NULL, COUNT(loops, 1, 1000000000), "times the job's work is repeated"},
	{"kb_base", NULL, CUSTOM(fio_parse_kb_base, "1000 or 1024"), "meaning of k, m, g in this section"},
	{"unit_base", NULL, IGNORED, "reports are in bytes"},

	/* I/O type */
	{"rw", "readwrite",
	 CUSTOM(fio_parse_rw,
		"read, write, trim, rw, trimwrite, randread, randwrite, randtrim, randrw or randtrimwrite"),
	 "kind of I/O; :N behind it as in fio (I/Os per random offset, or bytes to skip)"},
	{"rw_sequencer", NULL, CHOICE(sequence_identical, "sequential|identical"),
	 "what rw=randread:N does N times"},
	{"direct", NULL, CUSTOM(fio_parse_direct, "0 or 1"),
	 "always 1 (a remark if 0): the guest has no page cache"},
	{"buffered", NULL, CUSTOM(fio_parse_buffered, "0 or 1"), "always 0 (a remark if 1)"},
	{"rwmixread", NULL, COUNT(read_percent, 0, 100), "percentage of reads in rw and randrw"},
	{"rwmixwrite", NULL, CUSTOM(fio_parse_rwmixwrite, "0 to 100"),
	 "percentage of writes in rw and randrw"},
	{"random_distribution", NULL,
	 CUSTOM(fio_parse_random_distribution, "random, zipf:THETA, pareto:H (0 to 1) or normal:PERCENT "
					       "(deviation in percent of the region)"),
	 "which offsets random I/O prefers; other than random it may repeat blocks"},
	{"percentage_random", NULL, CUSTOM(fio_parse_percentage_random, "0 to 100, for read,write,trim"),
	 "the rest continues behind the I/O before"},
	{"norandommap", NULL, FLAG(no_random_map), "random I/O may repeat blocks within a pass"},
	{"randrepeat", NULL, BOOL(repeat_random), "every loop draws the same offsets; 0 = each loop its own"},
	{"randseed", NULL, CUSTOM(fio_parse_randseed, "a number"),
	 "seed of this job's offsets; without it they follow from the run's seed"},
	{"allrandrepeat", NULL, IGNORED, "runs are always repeatable; choose another run with --seed"},
	{"random_generator", NULL, IGNORED, "blocks are visited in the order of a keyed permutation"},
	{"softrandommap", NULL, IGNORED, "the random map always fits"},
	{"unified_rw_reporting", NULL, ONLY("none|0"), "directions are always reported apart; leave it out"},
	{"fallocate", NULL, IGNORED, no_files},
	{"fadvise_hint", NULL, IGNORED, no_cache},
	{"write_hint", NULL, IGNORED, "virtio-blk carries no hints"},

	/* Block size */
	{"bs", "blocksize", CUSTOM(fio_parse_bs, "a size up to 1g, for read,write,trim"), "size of an I/O"},
	{"bsrange", "blocksize_range", CUSTOM(fio_parse_bsrange, "MIN-MAX, for read,write,trim"),
	 "sizes evenly from the multiples of MIN"},
	{"bssplit", NULL,
	 CUSTOM(fio_parse_bssplit,
		"SIZE/PERCENT:SIZE/PERCENT:… with percentages that add up to 100, for read,write,trim"),
	 "sizes by percentage"},
	{"ba", "blockalign", CUSTOM(fio_parse_blockalign, "a size up to 1g, for read,write,trim"),
	 "alignment of random offsets; other than bs, blocks may repeat"},
	{"bs_unaligned", "blocksize_unaligned", REFUSED, "a disk transfers whole sectors; leave it out"},
	{"bs_is_seq_rand", NULL, REFUSED, "give sizes for reads, writes and trims instead"},

	/* Size and place */
	{"size", NULL, AMOUNT(size), "bytes of the region, or % of the disk; default: all behind offset"},
	{"io_size", "io_limit", AMOUNT(io_size),
	 "bytes transferred per loop, or % of the region; default: the region once"},
	{"offset", NULL, AMOUNT(offset), "start of the region in bytes, or % of the disk"},
	{"offset_align", NULL, NUMBER(offset_align, 0),
	 "alignment of offsets given in percent; default: smallest block size"},
	{"offset_increment", NULL, AMOUNT(offset_increment), "added to offset for each clone"},
	{"number_ios", NULL, NUMBER(number_ios, 0), "I/Os per loop at most"},
	{"filesize", NULL, REFUSED, "the disk's size is that of --disk; use size"},
	{"fill_device", "fill_fs", REFUSED, "leave out size to use the whole disk"},
	{"file_append", NULL, REFUSED, no_files},
	{"filename", NULL, IGNORED, one_disk},
	{"filename_format", NULL, IGNORED, one_disk},
	{"unique_filename", NULL, IGNORED, one_disk},
	{"directory", NULL, IGNORED, one_disk},
	{"opendir", NULL, IGNORED, one_disk},
	{"lockfile", NULL, IGNORED, no_files},
	{"nrfiles", "nr_files", ONLY("1"),
	 "there is one disk; use offset_increment to give clones regions of their own"},
	{"openfiles", NULL, IGNORED, no_files},
	{"file_service_type", NULL, IGNORED, no_files},
	{"create_serialize", NULL, IGNORED, no_files},
	{"create_fsync", NULL, IGNORED, no_files},
	{"create_on_open", NULL, IGNORED, no_files},
	{"create_only", NULL, ONLY("0"), "there is no file to create; leave it out"},
	{"allow_file_create", NULL, IGNORED, no_files},
	{"allow_mounted_write", NULL, IGNORED, "the simulated guest mounts nothing"},
	{"overwrite", NULL, IGNORED, no_files},
	{"unlink", NULL, IGNORED, no_files},
	{"unlink_each_loop", NULL, IGNORED, no_files},
	{"pre_read", NULL, IGNORED, no_cache},
	{"invalidate", NULL, IGNORED, no_cache},
	{"ioscheduler", NULL, IGNORED,
	 "the guest has no I/O scheduler; requests reach the driver in the job's order"},

	/* Engine and depth */
	{"ioengine", NULL,
	 CUSTOM(fio_parse_ioengine, "libaio, io_uring, posixaio, sync, psync, vsync, pvsync or pvsync2"),
	 "asynchronous engines are all the same, synchronous ones make iodepth 1; default libaio (fio: "
	 "psync)"},
	{"iodepth", NULL, COUNT(iodepth, 1, 65536), "I/Os in flight per clone"},
	{"iodepth_batch", "iodepth_batch_submit", COUNT(submit_batch, 0, 65536),
	 "I/Os the driver queues before it notifies the device (plugging); 0 = iodepth"},
	{"iodepth_batch_complete_min", "iodepth_batch_complete", COUNT(complete_min, 0, 65536),
	 "completions waited for at once; 0 = only those already there"},
	{"iodepth_batch_complete_max", NULL, COUNT(complete_max, 0, 65536),
	 "completions taken at once at most"},
	{"iodepth_low", NULL, COUNT(iodepth_low, 0, 65536),
	 "depth to drain to before the queue is filled again"},
	{"io_submit_mode", NULL, ONLY("inline"), "submission is not offloaded; use inline"},
	{"serialize_overlap", NULL, IGNORED, "overlapping I/Os in flight are judged exactly by the check"},
	{"hipri", NULL, REFUSED, "completion is by interrupt; leave it out"},
	{"sqthread_poll", NULL, REFUSED, "submission is by the job itself; leave it out"},
	{"sqthread_poll_cpu", NULL, IGNORED, engine_detail},
	{"fixedbufs", NULL, IGNORED, engine_detail},
	{"registerfiles", NULL, IGNORED, engine_detail},
	{"nonvectored", NULL, IGNORED, engine_detail},
	{"userspace_reap", NULL, IGNORED, engine_detail},
	{"nowait", NULL, IGNORED, engine_detail},
	{"uncached", NULL, IGNORED, no_cache},
	{"force_async", NULL, IGNORED, engine_detail},
	{"prio", NULL, IGNORED, "requests carry no priority"},
	{"prioclass", NULL, IGNORED, "requests carry no priority"},

	/* Time and rate */
	{"runtime", "timeout", SECONDS(runtime_ps), "simulated time after which the job ends"},
	{"time_based", NULL, FLAG(time_based), "go on until runtime, however often the region is done"},
	{"ramp_time", NULL, SECONDS(ramp_ps), "simulated time before measuring starts; comes before runtime"},
	{"startdelay", NULL, CUSTOM(fio_parse_startdelay, "a time, or a range FROM-TO"),
	 "wait before the job starts"},
	{"thinktime", NULL, MICROSECONDS(think_ps),
	 "pause after thinktime_blocks I/Os, when all in flight are done"},
	{"thinktime_blocks", NULL, NUMBER(think_blocks, 1), "I/Os between pauses"},
	{"thinktime_blocks_type", NULL, CHOICE(think_at_issue, "complete|issue"),
	 "whether completed or issued I/Os count"},
	{"thinktime_spin", NULL, IGNORED, "a pause is a pause: other jobs do not wait for the CPU"},
	{"thinktime_iotime", NULL, REFUSED, "use thinktime_blocks"},
	{"rate", NULL, CUSTOM(fio_parse_rate, "bytes a second, for read,write,trim"),
	 "bandwidth cap of each clone"},
	{"rate_iops", NULL, CUSTOM(fio_parse_rate_iops, "I/Os a second, for read,write,trim"),
	 "IOPS cap of each clone"},
	{"rate_process", NULL, CHOICE(rate_poisson, "linear|poisson"),
	 "even spacing, or a Poisson process of that rate"},
	{"rate_min", "ratemin", REFUSED, no_steady},
	{"rate_iops_min", NULL, REFUSED, no_steady},
	{"rate_cycle", "ratecycle", IGNORED, "rates are kept exactly, not on average"},
	{"rate_ignore_thinktime", NULL, REFUSED,
	 "a job always catches up with its rate after a pause; leave it out"},
	{"max_latency", NULL, REFUSED, "look at the report's max instead"},
	{"latency_target", NULL, REFUSED, no_steady},
	{"latency_window", NULL, REFUSED, no_steady},
	{"latency_percentile", NULL, REFUSED, no_steady},
	{"latency_run", NULL, REFUSED, no_steady},
	{"clocksource", NULL, IGNORED, no_host_cost},
	{"gtod_reduce", NULL, IGNORED, no_host_cost},
	{"gtod_cpu", NULL, IGNORED, no_host_cost},

	/* Flushes */
	{"fsync", NULL, NUMBER(fsync_blocks, 0), "a flush after every so many writes"},
	{"fdatasync", NULL, NUMBER(fdatasync_blocks, 0), "the same: virtio-blk has one kind of flush"},
	{"end_fsync", NULL, BOOL(end_fsync), "a flush when a loop's I/O is done"},
	{"fsync_on_close", NULL, BOOL(end_fsync), "as end_fsync"},
	{"sync", NULL, ONLY("none|0"), "writes have no write-through flag; use fdatasync=1"},
	{"sync_file_range", NULL, REFUSED, "use fdatasync"},
	{"write_barrier", NULL, REFUSED, "use fsync"},
	{"atomic", NULL, IGNORED, "a sector is written whole or not at all"},

	/* Order of jobs */
	{"stonewall", "wait_for_previous", FLAG(stonewall),
	 "start when the jobs above are done; new reporting group"},
	{"exitall", NULL, FLAG(exit_all), "the first job of a group to end, ends the group"},
	{"exit_what", NULL, ONLY("group"), "exitall ends the job's group"},
	{"exitall_on_error", NULL, REFUSED, "errors end the job, or none with continue_on_error"},
	{"new_group", NULL, FLAG(new_group), "new reporting group"},
	{"wait_for", NULL, REFUSED, "use stonewall"},
	{"thread", NULL, IGNORED, no_process},
	{"nice", NULL, IGNORED, no_process},
	{"cpumask", NULL, IGNORED, "clones are placed on the guest's vCPUs in turn"},
	{"cpus_allowed", NULL, IGNORED, "clones are placed on the guest's vCPUs in turn"},
	{"cpus_allowed_policy", NULL, IGNORED, "clones are placed on the guest's vCPUs in turn"},
	{"numa_cpu_nodes", NULL, IGNORED, no_process},
	{"numa_mem_policy", NULL, IGNORED, no_process},
	{"mem", "iomem", IGNORED, "buffers are in guest memory"},
	{"iomem_align", "mem_align", IGNORED, "buffers are aligned to pages"},
	{"hugepage-size", NULL, IGNORED, "buffers are in guest memory"},
	{"lockmem", NULL, IGNORED, no_process},
	{"uid", NULL, IGNORED, no_process},
	{"gid", NULL, IGNORED, no_process},
	{"cgroup", NULL, IGNORED, no_process},
	{"cgroup_weight", NULL, IGNORED, no_process},
	{"cgroup_nodelete", NULL, IGNORED, no_process},
	{"exec_prerun", NULL, REFUSED, "a simulated guest runs no programs"},
	{"exec_postrun", NULL, REFUSED, "a simulated guest runs no programs"},
	{"profile", NULL, REFUSED, "give the workload by options"},
	{"flow", NULL, REFUSED, no_flow},
	{"flow_id", NULL, REFUSED, no_flow},
	{"flow_sleep", NULL, REFUSED, no_flow},

	/* Verification and data */
	{"verify", NULL, CUSTOM(fio_parse_verify, "0, crc32c or another of fio's methods"),
	 "data read is compared byte by byte with what was written, whatever the method"},
	{"do_verify", NULL, BOOL(verify_phase), "with verify: read back everything written after each loop"},
	{"verify_fatal", NULL, BOOL(verify_fatal), "the first difference ends the job"},
	{"verify_pattern", NULL, IGNORED, own_data},
	{"verify_interval", NULL, IGNORED, own_check},
	{"verify_offset", NULL, IGNORED, own_check},
	{"verify_dump", NULL, IGNORED, "the report names the first difference"},
	{"verify_async", NULL, IGNORED, "checking costs no simulated time"},
	{"verify_async_cpus", NULL, IGNORED, "checking costs no simulated time"},
	{"verify_state_save", NULL, IGNORED, "the check knows all writes of the run"},
	{"verify_state_load", NULL, ONLY("0"), "there is no state of earlier runs; leave it out"},
	{"verify_only", NULL, ONLY("0"), "there is no state of earlier runs; write and verify in one run"},
	{"experimental_verify", NULL, IGNORED, own_check},
	{"verify_backlog", NULL, REFUSED, "everything is read back after the writes; leave it out"},
	{"verify_backlog_batch", NULL, REFUSED, "everything is read back after the writes; leave it out"},
	{"trim_percentage", NULL, REFUSED, "use a job with rw=trimwrite"},
	{"trim_verify_zero", NULL, REFUSED, "discarded sectors may read as anything"},
	{"trim_backlog", NULL, REFUSED, "use a job with rw=trimwrite"},
	{"trim_backlog_batch", NULL, REFUSED, "use a job with rw=trimwrite"},
	{"zero_buffers", NULL, IGNORED, own_data},
	{"refill_buffers", NULL, IGNORED, own_data},
	{"scramble_buffers", NULL, IGNORED, own_data},
	{"buffer_pattern", NULL, IGNORED, own_data},
	{"buffer_compress_percentage", NULL, IGNORED, own_data},
	{"buffer_compress_chunk", NULL, IGNORED, own_data},
	{"dedupe_percentage", NULL, IGNORED, own_data},
	{"dedupe_mode", NULL, IGNORED, own_data},
	{"dedupe_working_set_percentage", NULL, IGNORED, own_data},
	{"dedupe_global", NULL, IGNORED, own_data},

	/* Errors */
	{"continue_on_error", NULL,
	 CUSTOM(fio_parse_continue_on_error, "none, read, write, io, verify, all, 0 or 1"),
	 "which errors are counted and passed over; any other ends the job"},
	{"ignore_error", NULL, REFUSED, "use continue_on_error"},
	{"error_dump", NULL, IGNORED, "errors are always reported"},

	/* Zones and replay */
	{"zonemode", NULL, ONLY("none"), no_zones},
	{"zonesize", NULL, REFUSED, no_zones},
	{"zonerange", NULL, REFUSED, no_zones},
	{"zoneskip", NULL, REFUSED, no_zones},
	{"zonecapacity", NULL, REFUSED, no_zones},
	{"read_beyond_wp", NULL, REFUSED, no_zones},
	{"max_open_zones", NULL, REFUSED, no_zones},
	{"job_max_open_zones", NULL, REFUSED, no_zones},
	{"ignore_zone_limits", NULL, REFUSED, no_zones},
	{"zone_reset_threshold", NULL, REFUSED, no_zones},
	{"zone_reset_frequency", NULL, REFUSED, no_zones},
	{"read_iolog", NULL, CUSTOM(fio_parse_read_iolog, "the name of an I/O log"),
	 "replay a log of version 2 or 3 (relative to the job file); see Replay below"},
	{"read_iolog_chunked", NULL, IGNORED, "logs are read whole"},
	{"replay_no_stall", NULL, BOOL(replay_no_stall),
	 "replay as fast as iodepth allows, without the log's times"},
	{"replay_redirect", NULL, IGNORED, one_disk},
	{"replay_scale", NULL, REFUSED, "offsets are replayed as they are; give a larger --disk"},
	{"replay_align", NULL, REFUSED, "offsets are replayed as they are; leave it out"},
	{"replay_time_scale", NULL, COUNT(replay_time_scale, 1, 1000000),
	 "percentage of the log's speed: 50 takes twice the time"},
	{"replay_skip", NULL, CUSTOM(fio_parse_replay_skip, "a list of read, write, trim, sync"),
	 "kinds of I/O of the log to leave out; sync means datasync too"},
	{"merge_blktrace_file", NULL, REFUSED, no_blktrace},
	{"merge_blktrace_scalars", NULL, REFUSED, no_blktrace},
	{"merge_blktrace_iters", NULL, REFUSED, no_blktrace},
	{"write_iolog", NULL, REFUSED,
	 "a simulated guest's I/O is the job's; use --trace, or `kickstand serve --record` for a real "
	 "guest's"},

	/* Reports */
	{"group_reporting", NULL, FLAG(group_reporting), "one report for all clones and jobs of a group"},
	{"stats", NULL, ONLY("1"), "every job is reported; leave it out"},
	{"clat_percentiles", NULL, BOOL(clat_percentiles), "percentiles of completion latency (default on)"},
	{"lat_percentiles", NULL, BOOL(lat_percentiles), "percentiles of total latency"},
	{"slat_percentiles", NULL, BOOL(slat_percentiles), "percentiles of submission latency"},
	{"percentile_list", NULL, CUSTOM(fio_parse_percentile_list, "up to 20 percentages, as 50:99:99.9"),
	 "which percentiles are reported"},
	{"significant_figures", NULL, IGNORED, "numbers are printed in full"},
	{"disk_util", NULL, IGNORED, "the report has the device's own figures"},
	{"disable_lat", NULL, IGNORED, no_host_cost},
	{"disable_clat", NULL, IGNORED, no_host_cost},
	{"disable_slat", NULL, IGNORED, no_host_cost},
	{"disable_bw_measurement", "disable_bw", IGNORED, no_host_cost},
	{"write_bw_log", NULL, REFUSED, no_logs},
	{"write_lat_log", NULL, REFUSED, no_logs},
	{"write_iops_log", NULL, REFUSED, no_logs},
	{"write_hist_log", NULL, REFUSED, no_logs},
	{"per_job_logs", NULL, IGNORED, only_logs},
	{"bwavgtime", NULL, IGNORED, only_logs},
	{"iopsavgtime", NULL, IGNORED, only_logs},
	{"log_entries", NULL, IGNORED, only_logs},
	{"log_avg_msec", NULL, IGNORED, only_logs},
	{"log_hist_msec", NULL, IGNORED, only_logs},
	{"log_hist_coarseness", NULL, IGNORED, only_logs},
	{"log_max_value", NULL, IGNORED, only_logs},
	{"log_offset", NULL, IGNORED, only_logs},
	{"log_prio", NULL, IGNORED, only_logs},
	{"log_compression", NULL, IGNORED, only_logs},
	{"log_compression_cpus", NULL, IGNORED, only_logs},
	{"log_store_compressed", NULL, IGNORED, only_logs},
	{"log_unix_epoch", NULL, IGNORED, only_logs},
	{"log_alternate_epoch", NULL, IGNORED, only_logs},
	{"log_alternate_epoch_clock_id", NULL, IGNORED, only_logs},
	{"block_error_percentiles", NULL, REFUSED, "errors are counted, not placed"},
	{"steadystate", "ss", REFUSED, no_steady},
	{"steadystate_duration", "ss_dur", REFUSED, no_steady},
	{"steadystate_ramp_time", "ss_ramp", REFUSED, no_steady},
};

static const struct option *find_option(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (strcmp(options[i].name, name) == 0 ||
		    (options[i].alias && strcmp(options[i].alias, name) == 0))
			return &options[i];
	return NULL;
}

const char *fio_option_canonical(const char *name)
{
	const struct option *option = find_option(name);
	return option ? option->name : NULL;
}

/* Stores the value of an option of a general kind; false if it is not accepted. */
static bool store_value(struct fio_job *job, const struct option *option, const char *value)
{
	void *field = (char *)job + option->at;
	uint64_t number;
	unsigned index;
	switch (option->kind) {
	case KIND_FLAG:
	case KIND_BOOL: return fio_parse_bool(value, (bool *)field) == 0;
	case KIND_SECONDS: return fio_parse_time(value, PS_PER_S, (uint64_t *)field) == 0;
	case KIND_MICROSECONDS: return fio_parse_time(value, PS_PER_US, (uint64_t *)field) == 0;
	case KIND_AMOUNT: return fio_parse_amount(value, job->kb_base, (struct fio_amount *)field) == 0;
	case KIND_UNSIGNED:
	case KIND_U64:
		if (fio_parse_bytes(value, job->kb_base, &number) != 0 || number < option->min ||
		    number > option->max)
			return false;
		if (option->kind == KIND_U64)
			*(uint64_t *)field = number;
		else
			*(unsigned *)field = (unsigned)number;
		return true;
	case KIND_CHOICE:
		if (!fio_word_index(option->accepts, value, &index))
			return false;
		*(bool *)field = index == 1;
		return true;
	default: return false;
	}
}

static void describe_accepted(const struct option *option, char *text, size_t size)
{
	switch (option->kind) {
	case KIND_FLAG: snprintf(text, size, "0, 1 or no value"); break;
	case KIND_BOOL: snprintf(text, size, "0 or 1"); break;
	case KIND_UNSIGNED: snprintf(text, size, "%" PRIu64 " to %" PRIu64, option->min, option->max); break;
	case KIND_U64: snprintf(text, size, "a number, as 4096 or 4k"); break;
	case KIND_SECONDS: snprintf(text, size, "a time, as 2 (seconds), 10ms or 500us"); break;
	case KIND_MICROSECONDS: snprintf(text, size, "a time, as 20 (microseconds), 10ms or 1s"); break;
	case KIND_AMOUNT: snprintf(text, size, "a number of bytes, as 64m, or a percentage, as 20%%"); break;
	default: snprintf(text, size, "%s", option->accepts);
	}
}

enum fio_outcome fio_option_apply(struct fio_job *job, const char *name, const char *value, char *reason,
				  size_t reason_size)
{
	char accepted[200];
	unsigned index;
	const struct option *option = find_option(name);
	ASSERT(option);
	reason[0] = '\0';
	if (option->kind == KIND_IGNORED) {
		snprintf(reason, reason_size, "%s", option->text);
		return FIO_IGNORED;
	}
	if (option->kind == KIND_REFUSED) {
		snprintf(reason, reason_size, " is not supported: %s", option->text);
		return FIO_REFUSED;
	}
	if (!value && option->kind == KIND_FLAG)
		value = "1";
	if (!value || !value[0]) {
		describe_accepted(option, accepted, sizeof(accepted));
		snprintf(reason, reason_size, " has no value; give %s", accepted);
		return FIO_REFUSED;
	}
	if (option->kind == KIND_ONLY) {
		if (fio_word_index(option->accepts, value, &index))
			return FIO_TAKEN;
		snprintf(reason, reason_size, ": '%.60s' is not supported: %s", value, option->text);
		return FIO_REFUSED;
	}
	enum fio_outcome outcome = option->kind == KIND_CUSTOM
					   ? option->parse(job, value, reason, reason_size)
				   : store_value(job, option, value) ? FIO_TAKEN
								     : FIO_REFUSED;
	if (outcome == FIO_REFUSED && !reason[0]) {
		describe_accepted(option, accepted, sizeof(accepted));
		snprintf(reason, reason_size, ": '%.60s' is not accepted; give %s", value, accepted);
	}
	return outcome;
}

void fio_options_print(FILE *out)
{
	fprintf(out, "| option | support | meaning here, or the reason |\n| --- | --- | --- |\n");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *option = &options[i];
		fprintf(out, "| `%s`", option->name);
		if (option->alias)
			fprintf(out, ", `%s`", option->alias);
		fputs(" | ", out);
		if (option->kind == KIND_ONLY)
			fprintf(out, "only `%.*s`", (int)strcspn(option->accepts, "|"), option->accepts);
		else if (option->kind == KIND_IGNORED)
			fputs("ignored", out);
		else
			fputs(option->kind == KIND_REFUSED ? "error" : "yes", out);
		fprintf(out, " | %s |\n", option->text);
	}
}
