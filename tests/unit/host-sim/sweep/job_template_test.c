/* Job files as a sweep uses them: options replaced in every job, logs copied, everything else left alone. */
#include "tests/check.h"

#include "host-sim/sweep/job_template.h"
#include "host-sim/workloads/fio_job.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[64], error[400];

static const char *path_of(const char *name)
{
	static char path[2][400];
	static unsigned next;
	char *out = path[next++ % 2];
	snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
	return out;
}

static void put(const char *name, const char *text)
{
	FILE *out = fopen(path_of(name), "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "build/tests/template-%d", (int)getpid());
	mkdir(folder, 0777);
	return mkdir(path_of("copies"), 0777);
}

static int remove_folder(void **state)
{
	(void)state;
	char command[200];
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static void load(struct job_template *job, const char *text)
{
	put("job.fio", text);
	if (job_template_load(job, path_of("job.fio"), error, sizeof(error)) != 0)
		fail_msg("%s", error);
}

/* The jobs of the text with the options. */
static struct fio_jobs parsed(const struct job_template *job, const struct job_option *option,
			      unsigned options)
{
	struct fio_jobs jobs;
	char *text = job_template_text(job, option, options);
	assert_non_null(text);
	if (fio_jobs_parse(&jobs, text, "generated", error, sizeof(error)) != 0)
		fail_msg("%s in\n%s", error, text);
	free(text);
	return jobs;
}

static const char several[] = "; three jobs\n"
			      "[global]\n"
			      "bs=4k\n"
			      "iodepth = 2\n"
			      "[first]\n"
			      "rw=randread\n"
			      "iodepth=3   # here\n"
			      "[second]\n"
			      "rw=write\n"
			      "[global]\n"
			      "bs=8k\n"
			      "[third]\n"
			      "rw=read";

static void test_template_without_options_stays_as_it_is(void **state)
{
	(void)state;
	struct job_template job;
	load(&job, several);
	char *text = job_template_text(&job, NULL, 0);
	assert_memory_equal(text, several, sizeof(several) - 1);
	assert_string_equal(text + sizeof(several) - 1, "\n");
	free(text);
	job_template_free(&job);
}

static void test_template_options_win_in_every_job(void **state)
{
	(void)state;
	static const struct job_option options[] = {{"iodepth", "16"}, {"number_ios", "77"}};
	struct job_template job;
	load(&job, several);
	struct fio_jobs jobs = parsed(&job, options, 2);
	assert_int_equal(jobs.count, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(jobs.job[i].iodepth, 16);
		assert_int_equal(jobs.job[i].number_ios, 77);
	}
	/* The rest is the file's. */
	assert_int_equal(jobs.job[0].sizes[IO_READ].max_bytes, 4096);
	assert_int_equal(jobs.job[2].sizes[IO_READ].max_bytes, 8192);
	assert_true(jobs.job[0].random && !jobs.job[2].random);
	fio_jobs_free(&jobs);
	job_template_free(&job);
}

static void test_template_tells_an_option_of_the_first_job(void **state)
{
	(void)state;
	struct job_template job;
	char value[40] = "";
	load(&job, several);
	assert_true(job_template_option(&job, "iodepth", value, sizeof(value)));
	assert_string_equal(value, "3");
	assert_true(job_template_option(&job, "rw", value, sizeof(value)));
	assert_string_equal(value, "randread");
	assert_false(job_template_option(&job, "numjobs", value, sizeof(value)));
	job_template_free(&job);
}

static const char log_text[] = "fio version 2 iolog\nq add\nq open\nq read 0 4096\nq close\n";

static void test_template_takes_logs_along(void **state)
{
	(void)state;
	struct job_template job;
	char copy[300];
	struct stat status;
	put("boot.log", log_text);
	load(&job, "[global]\niodepth=4\n[replay]\n  read_iolog = boot.log ; recorded\n");
	assert_int_equal(job.logs, 1);
	assert_null(strstr(job.text, "boot.log"));
	assert_int_equal(job_template_copy_logs(&job, path_of("copies"), error, sizeof(error)), 0);
	snprintf(copy, sizeof(copy), "copies/%s", job.log[0].name);
	assert_int_equal(stat(path_of(copy), &status), 0);
	assert_int_equal(status.st_size, sizeof(log_text) - 1);
	/* The job stands by itself beside the copy. */
	struct fio_jobs jobs;
	char *text = job_template_text(&job, NULL, 0);
	put("copies/job.fio", text);
	if (fio_jobs_load(&jobs, path_of("copies/job.fio"), error, sizeof(error)) != 0)
		fail_msg("%s", error);
	assert_non_null(jobs.job[0].iolog);
	fio_jobs_free(&jobs);
	free(text);
	job_template_free(&job);
}

/* So that results of another log are not taken for those of this one. */
static void test_template_changes_with_its_log(void **state)
{
	(void)state;
	struct job_template one, two;
	put("boot.log", log_text);
	load(&one, "[replay]\nread_iolog=boot.log\n");
	put("boot.log", "fio version 2 iolog\nq add\nq open\nq read 4096 4096\nq close\n");
	load(&two, "[replay]\nread_iolog=boot.log\n");
	assert_string_not_equal(one.text, two.text);
	job_template_free(&one);
	job_template_free(&two);
}

static void test_template_of_a_bad_file_is_refused(void **state)
{
	(void)state;
	struct job_template job;
	assert_int_equal(job_template_load(&job, path_of("none.fio"), error, sizeof(error)), -1);
	assert_non_null(strstr(error, "none.fio"));
	put("bad.fio", "[x]\nrw=sideways\n");
	assert_int_equal(job_template_load(&job, path_of("bad.fio"), error, sizeof(error)), -1);
	assert_non_null(strstr(error, "bad.fio:2: "));
	put("bad.fio", "[x]\nread_iolog=none.log\n");
	assert_int_equal(job_template_load(&job, path_of("bad.fio"), error, sizeof(error)), -1);
	assert_non_null(strstr(error, "none.log"));
	assert_null(job.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_template_without_options_stays_as_it_is),
		cmocka_unit_test(test_template_options_win_in_every_job),
		cmocka_unit_test(test_template_tells_an_option_of_the_first_job),
		cmocka_unit_test(test_template_takes_logs_along),
		cmocka_unit_test(test_template_changes_with_its_log),
		cmocka_unit_test(test_template_of_a_bad_file_is_refused),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
