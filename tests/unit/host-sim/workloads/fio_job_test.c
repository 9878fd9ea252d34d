#include "host-sim/workloads/fio_job.h"

#include <unistd.h>

#include "tests/check.h"

static struct fio_jobs parse(const char *text)
{
	struct fio_jobs jobs;
	char error[512] = "";
	if (fio_jobs_parse(&jobs, text, "t.fio", error, sizeof(error)) != 0)
		fail_msg("%s\nfor:\n%s", error, text);
	return jobs;
}

/* The message of a job file that must be refused. */
static void expect_error(const char *text, const char *begins, const char *contains)
{
	struct fio_jobs jobs;
	char error[512] = "";
	if (fio_jobs_parse(&jobs, text, "t.fio", error, sizeof(error)) == 0)
		fail_msg("accepted:\n%s", text);
	if (strncmp(error, begins, strlen(begins)) != 0 || !strstr(error, contains) || strchr(error, '\n'))
		fail_msg("'%s' for:\n%s", error, text);
	assert_int_equal(jobs.count, 0);
	assert_null(jobs.job);
}

static void test_fio_job_defaults_are_those_of_fio(void **state)
{
	struct fio_jobs jobs = parse("[a]\n");
	const struct fio_job *job = &jobs.job[0];
	(void)state;
	assert_int_equal(jobs.count, 1);
	assert_string_equal(job->name, "a");
	assert_false(job->random);
	assert_true(job->direction[IO_READ]);
	assert_false(job->direction[IO_WRITE]);
	for (unsigned d = 0; d < IO_DIRECTIONS; d++) {
		assert_int_equal(job->sizes[d].min_bytes, 4096);
		assert_int_equal(job->sizes[d].max_bytes, 4096);
		assert_int_equal(job->sizes[d].align_bytes, 4096);
		assert_int_equal(job->random_percent[d], 100);
	}
	assert_int_equal(job->iodepth, 1);
	assert_int_equal(job->iodepth_low, 1);
	assert_int_equal(job->submit_batch, 1);
	assert_int_equal(job->complete_min, 1);
	assert_int_equal(job->numjobs, 1);
	assert_int_equal(job->loops, 1);
	assert_int_equal(job->read_percent, 50);
	assert_true(job->repeat_random);
	assert_false(job->verify);
	assert_false(job->verify_phase);
	assert_true(job->clat_percentiles);
	assert_false(job->slat_percentiles);
	assert_int_equal(job->percentiles, 17);
	assert_int_equal(job->percentile_micro[0], 1000000);
	assert_int_equal(job->percentile_micro[16], 99990000);
	fio_jobs_free(&jobs);
}

/* Values fio itself refuses, values that have no meaning here, and what is not a job file. */
static void test_fio_job_errors_name_file_line_and_mend(void **state)
{
	static const struct {
		const char *text, *begins, *contains;
	} rows[] = {
		{"", "t.fio:1: ", "add a [name]"},
		{"[global]\nbs=4k\n", "t.fio:3: ", "no job"},
		{"bs=4k\n[a]\n", "t.fio:1: ", "outside of any section"},
		{"[a]\n\nfrobnicate=1\n", "t.fio:3: option 'frobnicate' is not supported; ",
		 "docs/workloads.md"},
		{"[a\n", "t.fio:1: ", "']'"},
		{"[]\n", "t.fio:1: ", "1 to 255"},
		{"[globalx]\n", "t.fio:1: ", "rename the job"},
		{"[a]\ninclude b.fio\n", "t.fio:2: ", "copy"},
		{"[a]\nsize=${SIZE}\n", "t.fio:2: option 'size'", "write the value"},
		{"[a]\nbs=$pagesize\n", "t.fio:2: option 'bs'", "write the value"},
		{"[a]\nsize=8*$mb_memory\n", "t.fio:2: option 'size'", "write the value"},
		{"[a]\nbs=(4*1024)\n", "t.fio:2: option 'bs'", "is not accepted"},
		{"[a]\nbs\n", "t.fio:2: option 'bs' has no value", "give a size"},
		{"[a]\nbs=\n", "t.fio:2: option 'bs' has no value", "give a size"},
		{"[a]\nbs=0\n", "t.fio:2: option 'bs'", "is not accepted"},
		{"[a]\nbs=4k,4k,4k,4k\n", "t.fio:2: option 'bs'", "read,write,trim"},
		{"[a]\nbs=2g\n", "t.fio:2: option 'bs'", "up to 1g"},
		{"[a]\nbs=4k-8k\n", "t.fio:2: option 'bs'", "is not accepted"},
		{"[a]\nbsrange=4k\n", "t.fio:2: option 'bsrange'", "MIN-MAX"},
		{"[a]\nbssplit=4k/60:64k/50\n", "t.fio:2: option 'bssplit'", "add up to 100"},
		{"[a]\nbssplit=4k/60:64k/30\n", "t.fio:2: option 'bssplit'", "add up to 100"},
		{"[a]\nbssplit=4k/100:64k\n", "t.fio:2: option 'bssplit'", "add up to 100"},
		{"[a]\nbssplit=4k/0:64k/100\n", "t.fio:2: option 'bssplit'", "add up to 100"},
		{"[a]\nbssplit=:\n", "t.fio:2: option 'bssplit'", "SIZE/PERCENT"},
		{"[a]\nrw=random\n", "t.fio:2: option 'rw'", "randread"},
		{"[a]\nrw=write:-4k\n", "t.fio:2: option 'rw'", "positive number"},
		{"[a]\nrw=randread:0\n", "t.fio:2: option 'rw'", "positive number"},
		{"[a]\niodepth=0\n", "t.fio:2: option 'iodepth'", "1 to 65536"},
		{"[a]\nnumjobs=5000\n", "t.fio:2: option 'numjobs'", "1 to 4096"},
		{"[a]\nrwmixread=101\n", "t.fio:2: option 'rwmixread'", "0 to 100"},
		{"[a]\nrwmixwrite=101\n", "t.fio:2: option 'rwmixwrite'", "0 to 100"},
		{"[a]\nruntime=x\n", "t.fio:2: option 'runtime'", "2 (seconds)"},
		{"[a]\nthinktime=1.5\n", "t.fio:2: option 'thinktime'", "20 (microseconds)"},
		{"[a]\nthinktime_blocks=0\n", "t.fio:2: option 'thinktime_blocks'", "is not accepted"},
		{"[a]\nrandom_distribution=zipf:1\n", "t.fio:2: option 'random_distribution'", "0.999"},
		{"[a]\nrandom_distribution=zipf:1.2:0.5\n", "t.fio:2: ", "centre"},
		{"[a]\nrandom_distribution=pareto:1\n", "t.fio:2: option 'random_distribution'", "0 to 1"},
		{"[a]\nrandom_distribution=normal\n", "t.fio:2: option 'random_distribution'", "PERCENT"},
		{"[a]\nrandom_distribution=zoned:60/10:40/90\n", "t.fio:2: option 'random_distribution'",
		 "zipf"},
		{"[a]\nioengine=mmap\n", "t.fio:2: option 'ioengine'", "libaio"},
		{"[a]\nioengine=null\n", "t.fio:2: option 'ioengine'", "libaio"},
		{"[a]\ndirect=yes\n", "t.fio:2: option 'direct'", "0 or 1"},
		{"[a]\nverify=crc99\n", "t.fio:2: option 'verify'", "crc32c"},
		{"[a]\nverify_only\n", "t.fio:2: option 'verify_only' has no value", ""},
		{"[a]\nverify_only=1\n", "t.fio:2: option 'verify_only'", "in one run"},
		{"[a]\nverify_backlog=8\n", "t.fio:2: option 'verify_backlog' is not supported",
		 "leave it out"},
		{"[a]\nread_iolog=x:y\n", "t.fio:2: option 'read_iolog'", "one log serves all clones"},
		{"[a]\nread_iolog=-\n", "t.fio:2: option 'read_iolog'", "one log serves all clones"},
		{"[a]\nreplay_no_stall=2\n", "t.fio:2: option 'replay_no_stall'", "0 or 1"},
		{"[a]\nreplay_time_scale=0\n", "t.fio:2: option 'replay_time_scale'", "1 to 1000000"},
		{"[a]\nreplay_skip=read,flush\n", "t.fio:2: option 'replay_skip'", "read, write, trim, sync"},
		{"[a]\nreplay_scale=2\n", "t.fio:2: option 'replay_scale'", "--disk"},
		{"[a]\nmerge_blktrace_file=x\n", "t.fio:2: option 'merge_blktrace_file'", "read_iolog"},
		{"[a]\nwrite_iolog=x\n", "t.fio:2: option 'write_iolog'", "--trace"},
		{"[a]\nnrfiles=2\n", "t.fio:2: option 'nrfiles'", "one disk"},
		{"[a]\nsync=dsync\n", "t.fio:2: option 'sync'", "fdatasync=1"},
		{"[a]\nzonemode=zbd\n", "t.fio:2: option 'zonemode'", "no zones"},
		{"[a]\nexit_what=all\n", "t.fio:2: option 'exit_what'", "group"},
		{"[a]\npercentile_list=101\n", "t.fio:2: option 'percentile_list'", "50:99:99.9"},
		{"[a]\nkb_base=1001\n", "t.fio:2: option 'kb_base'", "1000 or 1024"},
		{"[a]\nsize=101%\n", "t.fio:2: option 'size'", "percentage"},
		{"[a]\nsize=99999999999g\n", "t.fio:2: option 'size'", "is not accepted"},
		{"[a]\ntime_based\n", "t.fio:1: job 'a'", "give runtime"},
		{"\n[a]\nrate=1m\nrate_iops=5\n", "t.fio:2: job 'a'", "leave one out"},
		{"[global]\n\nbs=x\n[a]\n", "t.fio:3: option 'bs'", "is not accepted"},
		{"[a]\nbs=4k\n[b]\nbs=5q\n", "t.fio:4: option 'bs'", "is not accepted"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_error(rows[i].text, rows[i].begins, rows[i].contains);
}

static void test_fio_job_global_sections_apply_to_jobs_below(void **state)
{
	struct fio_jobs jobs = parse("; defaults\n"
				     "[global]\n"
				     "bs=8k ; inline comment\n"
				     "  iodepth = 4\r\n"
				     "# another\n"
				     "[a]\n"
				     "[b]\n"
				     "bs=1k\n"
				     "[global]\n"
				     "iodepth=16\n"
				     "rw=randwrite\n"
				     "[b]\n");
	(void)state;
	assert_int_equal(jobs.count, 3);
	assert_string_equal(jobs.job[0].name, "a");
	assert_int_equal(jobs.job[0].sizes[0].bs, 8192);
	assert_int_equal(jobs.job[0].iodepth, 4);
	assert_int_equal(jobs.job[1].sizes[0].bs, 1024);
	assert_int_equal(jobs.job[1].iodepth, 4);
	assert_false(jobs.job[1].random);
	assert_string_equal(jobs.job[2].name, "b");
	assert_int_equal(jobs.job[2].sizes[0].bs, 8192);
	assert_int_equal(jobs.job[2].iodepth, 16);
	assert_true(jobs.job[2].random);
	assert_int_equal(jobs.job[2].line, 12);
	assert_int_equal(jobs.globals.count, 4);
	assert_string_equal(jobs.globals.option[0].value, "8k");
	assert_int_equal(jobs.job[1].options.count, 1);
	assert_string_equal(jobs.job[1].options.option[0].name, "bs");
	fio_jobs_free(&jobs);
}

static void test_fio_job_description_and_name_kept(void **state)
{
	struct fio_jobs jobs =
		parse("[global]\ndescription=of all\n[a]\nname=renamed\n[b]\ndescription=b's own\n");
	(void)state;
	assert_string_equal(jobs.job[0].name, "renamed");
	assert_string_equal(jobs.job[0].description, "of all");
	assert_string_equal(jobs.job[1].description, "b's own");
	fio_jobs_free(&jobs);
}

static void test_fio_job_stonewall_numbers_phases_and_groups(void **state)
{
	/* phase and group of each job: a stonewall opens both, new_group only a group; the first job none. */
	static const unsigned expected[][2] = {{0, 0}, {0, 0}, {1, 1}, {1, 1}, {1, 2}, {2, 3}};
	struct fio_jobs jobs =
		parse("[a]\nstonewall\n[b]\n[c]\nwait_for_previous\n[d]\nstonewall=0\n[e]\nnew_group\n"
		      "[f]\nstonewall=1\n");
	(void)state;
	assert_int_equal(jobs.count, ARRAY_SIZE(expected));
	for (unsigned i = 0; i < jobs.count; i++) {
		assert_int_equal(jobs.job[i].phase, expected[i][0]);
		assert_int_equal(jobs.job[i].group, expected[i][1]);
	}
	fio_jobs_free(&jobs);
}

static void test_fio_job_ignored_options_leave_notes(void **state)
{
	struct fio_jobs jobs =
		parse("[a]\nfilename=/dev/vdb\ndirect=0\niodepth=8\nioengine=psync\ninvalidate=1\n");
	(void)state;
	assert_int_equal(jobs.notes, 4);
	assert_string_equal(jobs.note[0],
			    "t.fio:2: option 'filename' is ignored: the disk is the one given by --disk, "
			    "shared by all jobs");
	assert_non_null(strstr(jobs.note[1], "t.fio:3: option 'direct' is ignored: "));
	assert_non_null(strstr(jobs.note[2], "t.fio:6: option 'invalidate'"));
	assert_string_equal(jobs.note[3],
			    "t.fio:1: iodepth 8 is capped at 1: the ioengine is a synchronous one");
	fio_jobs_free(&jobs);
	jobs = parse("[a]\niodepth=8\nioengine=libaio\n[b]\nioengine=psync\n");
	assert_int_equal(jobs.notes, 0);
	fio_jobs_free(&jobs);
	jobs = parse("[a]\niodepth=8\n");
	assert_int_equal(jobs.notes, 1);
	assert_string_equal(jobs.note[0],
			    "t.fio:1: iodepth 8 without ioengine: taken as libaio, where fio would take "
			    "psync and ignore iodepth");
	assert_int_equal(jobs.job[0].iodepth, 8);
	fio_jobs_free(&jobs);
}

static void test_fio_job_load_missing_directory_or_binary_file_is_an_error(void **state)
{
	struct fio_jobs jobs;
	char error[256], path[] = "/tmp/kickstand-job-XXXXXX";
	(void)state;
	assert_int_equal(fio_jobs_load(&jobs, "/nonexistent/x.fio", error, sizeof(error)), -1);
	assert_string_equal(error, "/nonexistent/x.fio: cannot read the job file: No such file or directory");
	assert_int_equal(fio_jobs_load(&jobs, "/tmp", error, sizeof(error)), -1);
	assert_string_equal(error, "/tmp: cannot read the job file: Is a directory");
	int fd = mkstemp(path);
	assert_int_equal(write(fd, "[a]\n\0b", 6), 6);
	assert_int_equal(fio_jobs_load(&jobs, path, error, sizeof(error)), -1);
	assert_non_null(strstr(error, "NUL byte"));
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, "[a]\nbs=1k\n", 10, 0), 10);
	assert_int_equal(fio_jobs_load(&jobs, path, error, sizeof(error)), 0);
	assert_int_equal(jobs.job[0].sizes[0].bs, 1024);
	fio_jobs_free(&jobs);
	close(fd);
	unlink(path);
}

static void test_fio_job_region_follows_offset_size_and_increment(void **state)
{
	const uint64_t disk = 100 << 20, m = 1 << 20;
	static const struct {
		const char *options;
		unsigned clone;
		uint64_t offset, bytes, io_bytes; /* in KiB */
	} rows[] = {
		{"", 0, 0, 102400, 102400},
		{"size=10m", 0, 0, 10240, 10240},
		{"size=10%", 0, 0, 10240, 10240},
		{"offset=30m", 0, 30720, 71680, 71680},
		{"offset=30m\nsize=10m", 0, 30720, 10240, 10240},
		{"offset=95%\nsize=10%", 0, 97280, 5120, 5120},
		{"size=10m\noffset_increment=10m", 3, 30720, 10240, 10240},
		{"offset=5m\nsize=10m\noffset_increment=10%", 2, 25600, 10240, 10240},
		{"size=10m\nio_size=1m", 0, 0, 10240, 1024},
		{"size=10m\nio_size=20m", 0, 0, 10240, 20480},
		{"size=10m\nio_size=50%", 0, 0, 10240, 5120},
		{"bs=64k\nsize=1%", 0, 0, 1024, 1024},               /* 1 MiB is a multiple of 64 KiB */
		{"bs=48k\nsize=1%", 0, 0, 1008, 1008},               /* 1024 rounded down to 21 blocks */
		{"bs=48k\noffset=1%\nsize=2m", 0, 1056, 2048, 2048}, /* 1024 rounded up to 22 blocks */
		{"offset=1%\noffset_align=3m\nsize=2m", 0, 3072, 2048, 2048},
	};
	char text[128];
	(void)state;
	assert_int_equal(m * 100, disk);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(text, sizeof(text), "[a]\nnumjobs=4\n%s\n", rows[i].options);
		struct fio_jobs jobs = parse(text);
		struct fio_region region = fio_job_region(&jobs.job[0], rows[i].clone, disk);
		if (region.offset != rows[i].offset << 10 || region.bytes != rows[i].bytes << 10 ||
		    region.io_bytes != rows[i].io_bytes << 10)
			fail_msg("%llu %llu %llu KiB for %s", (unsigned long long)region.offset >> 10,
				 (unsigned long long)region.bytes >> 10,
				 (unsigned long long)region.io_bytes >> 10, rows[i].options);
		fio_jobs_free(&jobs);
	}
}

static void test_fio_job_check_finds_what_does_not_fit_the_disk(void **state)
{
	static const struct {
		const char *options, *contains; /* NULL: fits */
	} rows[] = {
		{"", NULL},
		{"size=1m", NULL},
		{"size=1048577", "offset + size"},
		{"size=2m", "larger --disk"},
		{"offset=512k\nsize=513k", "offset + size"},
		{"offset=1m", "offset + size"},
		{"offset=99999999999m", "offset + size"},
		{"offset=100%", "offset + size"},
		{"offset=50%\noffset_align=0x8000000000000000", "offset + size"},
		{"numjobs=4\nsize=256k\noffset_increment=256k", NULL},
		{"numjobs=5\nsize=256k\noffset_increment=256k", "clone 4"},
		{"numjobs=4096\noffset_increment=9999999999999999", "clone 4095"},
		{"bs=512", NULL},
		{"bs=1000", "multiples of 512"},
		{"rw=read\nbs=4k,1000", NULL}, /* writes are not used */
		{"rw=rw\nbs=4k,1000", "multiples of 512"},
		{"bssplit=4k/50:1000/50", "multiples of 512"},
		{"rw=randread\nba=100", "multiples of 512"},
		{"offset=100", "multiples of 512"},
		{"rw=read:100", "multiples of 512"},
		{"bs=2m", "less than one block"},
		{"size=2k", "less than one block"},
		{"rw=rw\nbs=4k,2m", "less than one block"},
		{"bs=64k\nsize=1%", "less than one block"},
	};
	char text[128], error[256];
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(text, sizeof(text), "[job x]\n%s\n", rows[i].options);
		struct fio_jobs jobs = parse(text);
		error[0] = '\0';
		int result = fio_job_check(&jobs.job[0], 1 << 20, error, sizeof(error));
		if ((result == 0) != !rows[i].contains ||
		    (result && (!strstr(error, rows[i].contains) || !strstr(error, "job 'job x'"))))
			fail_msg("%d '%s' for %s", result, error, rows[i].options);
		fio_jobs_free(&jobs);
	}
}

static void test_fio_job_start_delay_range_drawn_per_clone(void **state)
{
	struct fio_jobs jobs = parse("[a]\nstartdelay=1ms-2ms\n[b]\nstartdelay=3us\n");
	uint64_t first = fio_job_start_delay_ps(&jobs.job[0], 0, 1);
	bool differs = false;
	(void)state;
	for (unsigned clone = 0; clone < 20; clone++) {
		uint64_t delay = fio_job_start_delay_ps(&jobs.job[0], clone, 1);
		assert_in_range(delay, PS_PER_MS, 2 * PS_PER_MS);
		differs = differs || delay != first;
	}
	assert_true(differs);
	assert_int_equal(fio_job_start_delay_ps(&jobs.job[0], 0, 1), first);
	assert_int_equal(fio_job_start_delay_ps(&jobs.job[1], 7, 1), 3 * PS_PER_US);
	fio_jobs_free(&jobs);
}

/* Mutated job files: refused with a message or accepted, never a crash. */
static void test_fio_job_mutated_files_never_crash(void **state)
{
	static const char seed_text[] =
		"[global]\nbs=4k,8k,16k\nbssplit=4k/60:64k/40,1k:2k\nrate=1m,500k\nkb_base=1000\n"
		"[a "
		"b]\nrw=randrw:8\nrandom_distribution=zipf:1.2\npercentile_list=50:99.9\nstonewall\nsize=20%"
		"\n"
		"startdelay=1-2ms\nverify=crc32c\noffset=0x1000\n[c]\nrw=write:4k\ndescription=x y z\n";
	static const char alphabet[] = "[]=:,/;#%\n\t .0123456789kmgxis$";
	struct rng rng;
	char text[sizeof(seed_text) + 64], error[300];
	(void)state;
	rng_seed(&rng, test_seed(7), 0);
	for (int round = 0; round < 20000; round++) {
		struct fio_jobs jobs;
		memcpy(text, seed_text, sizeof(seed_text));
		for (uint64_t n = 1 + rng_below(&rng, 6); n; n--)
			text[rng_below(&rng, sizeof(seed_text) - 1)] =
				rng_below(&rng, 4) ? alphabet[rng_below(&rng, sizeof(alphabet) - 1)]
						   : (char)(1 + rng_below(&rng, 255));
		if (fio_jobs_parse(&jobs, text, "t.fio", error, sizeof(error)) != 0) {
			assert_int_equal(strncmp(error, "t.fio:", 6), 0);
			continue;
		}
		for (unsigned i = 0; i < jobs.count; i++) {
			int unused = fio_job_check(&jobs.job[i], 1 << 20, error, sizeof(error));
			(void)unused;
		}
		fio_jobs_free(&jobs);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fio_job_defaults_are_those_of_fio),
		cmocka_unit_test(test_fio_job_errors_name_file_line_and_mend),
		cmocka_unit_test(test_fio_job_global_sections_apply_to_jobs_below),
		cmocka_unit_test(test_fio_job_description_and_name_kept),
		cmocka_unit_test(test_fio_job_stonewall_numbers_phases_and_groups),
		cmocka_unit_test(test_fio_job_ignored_options_leave_notes),
		cmocka_unit_test(test_fio_job_load_missing_directory_or_binary_file_is_an_error),
		cmocka_unit_test(test_fio_job_region_follows_offset_size_and_increment),
		cmocka_unit_test(test_fio_job_check_finds_what_does_not_fit_the_disk),
		cmocka_unit_test(test_fio_job_start_delay_range_drawn_per_clone),
		cmocka_unit_test(test_fio_job_mutated_files_never_crash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
