/* The same job files through Kickstand and through the real fio: both accept them, or both refuse them, and both do the same
 * number of I/Os and bytes. fio's null engine does no I/O but counts like any other. */
#include "tests/e2e/program.h"
#include "tests/unit/host-sim/workloads/fio_tool.h"

/* Jobs of one file, each after the one before. What a seed decides, sizes drawn and the parts of a mix, is left out. */
static const char *const compared[] = {
	"rw=randread\nsize=4m\niodepth=8",
	"rw=read\nbs=512\nsize=256k",
	"rw=write\nbs=128k\nsize=8m\niodepth=4",
	"rw=randwrite\nbs=1m\nsize=4m\nloops=2",
	"rw=randread\nsize=1m\nnumber_ios=1000",
	"rw=randread\nsize=16m\nio_size=1m\nnorandommap",
	"rw=read\nbs=64k\nsize=1m\nio_size=8m",
	"rw=randrw\nrwmixread=0\nsize=1m",
	"rw=randrw\nrwmixwrite=0\nsize=1m",
	"rw=write:4k\nsize=1m",
	"rw=write:8k\nsize=32k",
	"rw=read:64k\nbs=4k\nsize=1m",
	"rw=randread:8\nsize=2m",
	"rw=randread:4\nrw_sequencer=identical\nsize=1m",
	"rw=trimwrite\nbs=16k\nsize=1m",
	"rw=randtrim\nsize=1m",
	"rw=randread\nnumjobs=3\nnumber_ios=50\nsize=1m\ngroup_reporting",
	"rw=randread\nnumjobs=2\nnumber_ios=50\nsize=1m",
	"rw=randwrite\nfsync=1\nnumber_ios=100\nsize=4m",
	"rw=randread\nrandom_distribution=zipf:1.1\nsize=2m",
	"rw=randread\npercentage_random=30\nnorandommap\nsize=2m",
	"rw=randread\nbs=6k\nsize=100k",
	"rw=read\nbs=4096\nsize=1000000",
	"rw=randread\nkb_base=1000\nbs=4096\nsize=4096k",
	"rw=randread\nsize=2mib\nbs=8kb",
	"rw=read\nsize=64k\noffset=1m\nbs=2k",
	"rw=randread\nsize=0x100000\nbs=0x1000",
	"rw=randread\nba=512\nnorandommap\nsize=1m",
	"rw=write\nsize=1m\nthinktime=10\nthinktime_blocks=50",
	"rw=read\nsize=256k\nrate=100m\nrate_process=linear",
};

static char *job_file(const char *head)
{
	char *text = malloc(1 << 16);
	size_t length = (size_t)sprintf(text, "[global]\nstonewall\n%s", head);
	for (size_t i = 0; i < ARRAY_SIZE(compared); i++)
		length += (size_t)sprintf(text + length, "[j%zu]\n%s\n", i, compared[i]);
	return text;
}

static json_t *fio_results(void)
{
	int status;
	char *text = job_file("ioengine=null\n"), *output = run_fio("--output-format=json", text, &status);
	const char *json = strchr(output, '{'); /* behind fio's remarks */
	if (status != 0 || !json)
		fail_msg("fio: exit status %d\n%s", status, output);
	json_t *root = json_loads(json, JSON_DISABLE_EOF_CHECK, NULL);
	assert_non_null(root);
	free(output);
	free(text);
	return root;
}

static double total(const json_t *job, const char *key)
{
	static const char *const directions[] = {"read", "write", "trim"};
	double sum = 0;
	for (size_t i = 0; i < ARRAY_SIZE(directions); i++)
		sum += json_at(json_object_get(job, directions[i]), key);
	return sum;
}

static void test_jobs_do_as_much_as_in_fio(void **state)
{
	(void)state;
	char arguments[300];
	need_fio();
	json_t *fio = fio_results();
	char *text = job_file("");
	snprintf(arguments, sizeof(arguments), "--disk ram:64M --job %s",
		 program_file_of("compared.fio", text));
	json_t *ours = program_run_json(arguments);
	json_t *fio_jobs = json_object_get(fio, "jobs"), *our_jobs = json_object_get(ours, "jobs"), *job;
	size_t i;
	assert_int_equal(json_array_size(our_jobs), json_array_size(fio_jobs));
	json_array_foreach(our_jobs, i, job)
	{
		const json_t *other = json_array_get(fio_jobs, i);
		static const char *const paths[] = {"read/total_ios", "write/total_ios", "trim/total_ios",
						    "read/io_bytes",  "write/io_bytes",  "sync/total_ios"};
		const char *name = json_string_value(json_object_get(job, "jobname"));
		assert_string_equal(name, json_string_value(json_object_get(other, "jobname")));
		assert_true(json_at(job, "groupid") == json_at(other, "groupid"));
		assert_true(total(job, "total_ios") > 0);
		for (size_t p = 0; p < ARRAY_SIZE(paths); p++)
			if (json_at(job, paths[p]) != json_at(other, paths[p]))
				fail_msg("%s: %s is %.0f, with fio %.0f\n%s", name, paths[p],
					 json_at(job, paths[p]), json_at(other, paths[p]), text);
		/* What the job file said is quoted in both. */
		assert_int_equal(json_equal(json_object_get(job, "job options"),
					    json_object_get(other, "job options")),
				 1);
	}
	json_decref(fio);
	json_decref(ours);
	free(text);
}

/* Every key of fio's document that docs/workloads.md promises is in ours, under the same name and of the same kind. */
static void test_results_have_the_keys_of_fio(void **state)
{
	(void)state;
	need_fio();
	static const char *const left_out[] = {
		/* of a job */
		"usr_cpu",
		"sys_cpu",
		"ctx",
		"majf",
		"minf",
		"latency_depth",
		"latency_target",
		"latency_percentile",
		"latency_window",
		"eta",
		"elapsed",
		/* of a direction */
		"bw_min",
		"bw_max",
		"bw_agg",
		"bw_mean",
		"bw_dev",
		"bw_samples",
		"iops_min",
		"iops_max",
		"iops_mean",
		"iops_stddev",
		"iops_samples",
	};
	char arguments[300], *text = job_file("");
	json_t *fio = fio_results();
	snprintf(arguments, sizeof(arguments), "--disk ram:64M --job %s", program_file_of("keys.fio", text));
	json_t *ours = program_run_json(arguments), *value, *below;
	json_t *job = json_array_get(json_object_get(ours, "jobs"), 0);
	const char *key, *key_below;
	json_object_foreach(json_array_get(json_object_get(fio, "jobs"), 0), key, value)
	{
		bool skip = false;
		for (size_t i = 0; i < ARRAY_SIZE(left_out); i++)
			skip = skip || strcmp(key, left_out[i]) == 0;
		if (skip)
			continue;
		const json_t *mine = json_object_get(job, key);
		if (!mine || json_typeof(mine) != json_typeof(value))
			fail_msg("fio's key '%s' is missing or something else", key);
		json_object_foreach(value, key_below, below)
		{
			skip = false;
			for (size_t i = 0; i < ARRAY_SIZE(left_out); i++)
				skip = skip || strcmp(key_below, left_out[i]) == 0;
			if (!skip && !json_object_get(mine, key_below))
				fail_msg("fio's key '%s/%s' is missing", key, key_below);
		}
	}
	json_decref(fio);
	json_decref(ours);
	free(text);
}

/* fio itself refuses these; so does Kickstand, naming the line. */
static void test_files_that_fio_refuses_are_refused(void **state)
{
	(void)state;
	need_fio();
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"[a]\nrw=sideways\n", ":2:"},
		{"[a]\nrw=read\nfrobnicate=1\n", ":3:"},
		{"[a]\nrw=read\nrwmixread=101\n", ":3:"},
		{"[a]\nrw=read\npercentage_random=101\n", ":3:"},
		{"[a]\nrw=read\nioengine=\n", ":3:"},
		{"[a]\nrw=read\nverify=crc33\n", ":3:"},
		{"[a]\nrw=read\nthinktime_blocks_type=none\n", ":3:"},
		{"[a]\nrw=read\nrandom_distribution=zipf:\n", ":3:"},
		{"[a]\nrw=read\nkb_base=1001\n", ":3:"},
		{"rw=read\n[a]\n", ":1:"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int status;
		char arguments[300], *output = run_fio("--parse-only", cases[i].text, &status);
		if (status == 0)
			fail_msg("fio accepts\n%s", cases[i].text);
		free(output);
		snprintf(arguments, sizeof(arguments), "run --job %s",
			 program_file_of("refused.fio", cases[i].text));
		struct program_result result = program_run(arguments, 60);
		printf("%s", result.err);
		assert_int_equal(result.status, 2);
		if (!strstr(result.err, cases[i].says) || strchr(result.err, '\n')[1] != '\0')
			fail_msg("not one line with %s: %s", cases[i].says, result.err);
		program_free(&result);
	}
}

/* Ways to write a job file that fio takes: blanks, comments, units, case, order, empty sections. */
static void test_files_that_fio_accepts_are_accepted(void **state)
{
	(void)state;
	need_fio();
	static const char *const cases[] = {
		"; a remark\n# another\n\n[a]\n\n  rw=randread\nnumber_ios=10\n",
		"[global]\nrw=randread\nnumber_ios=10\n\n[a]\n[b]\n[c]\nnumber_ios=20\n",
		"[global]\nrw=randread\n[global]\nnumber_ios=10\n[a]\n",
		"[a]\nrw=randread ; trailing\nnumber_ios=10\n",
		"[a]\r\nrw=randread\r\nnumber_ios=10\r\n",
		"[a b c]\nrw=randread\nnumber_ios=10\n",
		"[a]\nreadwrite=randread\nblocksize=4k\nnumber_ios=10\nsize=1M\n",
		"[a]\nrw=randread\nnumber_ios=10\nbs=4K\nsize=1mb\n",
		"[a]\nrw=randread\nbs=4k,8k\nsize=1m\nnumber_ios=10\n",
		"[a]\nrw=randrw\nbs=,8k\nsize=1m\nnumber_ios=10\n",
		"[a]\nrw=randread\nnorandommap=1\ntime_based=0\nnumber_ios=10\n",
		"[a]\nrw=randread\nnumber_ios=10\nbssplit=4k/:8k/40\n",
		"[a]\nrw=randread\nruntime=1ms\ntime_based\n",
		"[a]\nrw=randread\nruntime=500us\ntime_based=1\nstartdelay=100us\n",
		"[a]\nrw=randread\nnumber_ios=10\nname=other\n",
		"[a]\nrw=randread\nnumber_ios=10", /* no newline at the end */
	};
	char command[4096] = "fio --parse-only", arguments[300], name[40];
	int status;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char with_size[700];
		snprintf(with_size, sizeof(with_size), "%s\n%s", cases[i],
			 strstr(cases[i], "size=1") ? "" : "size=1m\n");
		snprintf(name, sizeof(name), "accepted-%zu.fio", i);
		strcat(strcat(command, " "), program_file_of(name, with_size));
	}
	char *output = command_output(strcat(command, " 2>&1"), &status); /* all at once: fio starts slowly */
	if (status != 0)
		fail_msg("fio refuses\n%s", output);
	free(output);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(arguments, sizeof(arguments), "run --job %s",
			 program_file_of("accepted.fio", cases[i]));
		struct program_result result = program_run(arguments, 60);
		if (result.status != 0)
			fail_msg("exit status %d\n%s%s", result.status, cases[i], result.err);
		program_free(&result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jobs_do_as_much_as_in_fio),
		cmocka_unit_test(test_results_have_the_keys_of_fio),
		cmocka_unit_test(test_files_that_fio_refuses_are_refused),
		cmocka_unit_test(test_files_that_fio_accepts_are_accepted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
