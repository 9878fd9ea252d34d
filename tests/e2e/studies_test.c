/* The ready studies in docs/studies: their specifications are accepted, their points run, their pictures are there. */
#include "tests/e2e/program.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#define STUDIES     "docs/studies"
#define STUDIES_MIN 7u
#define PICTURE_MAX 150000

/* Plans the study without running it, as for a cluster, then runs the plan's last point: the first may be the baseline. */
static void plan_and_run_a_point(const char *name)
{
	char text[1000];
	const char *out = program_path_of(name);
	snprintf(text, sizeof(text), "sweep " STUDIES "/%s/study.ini --out %s --launcher slurm", name, out);
	struct program_result result = program_run(text, 60);
	if (result.status != 0)
		fail_msg("%s: status %d\n%s%s", name, result.status, result.out, result.err);
	program_free(&result);

	size_t bytes;
	snprintf(text, sizeof(text), "%s/plan.jsonl", out);
	char *plan = program_read_file(text, &bytes), *last = NULL, *state;
	for (char *line = strtok_r(plan, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
		last = line;
	assert_non_null(last);
	json_t *row = json_loads(last, 0, NULL);
	assert_non_null(row);
	snprintf(text, sizeof(text), "%s/run-point %s", out, json_string_value(json_object_get(row, "id")));
	/* Full-size runs: the ordinary build does them. */
	if (!strstr(program_itself(), "sanitize") && system(text) != 0)
		fail_msg("%s: %s", name, json_string_value(json_object_get(row, "command")));
	json_decref(row);
	free(plan);
}

/* Every picture the answer shows is there and small; the answer names the command that repeats it. */
static void check_answer(const char *name)
{
	char path[800], command[600];
	size_t bytes;
	snprintf(path, sizeof(path), STUDIES "/%s/README.md", name);
	char *answer = program_read_file(path, &bytes);
	snprintf(command, sizeof(command), "build/kickstand sweep " STUDIES "/%s/study.ini --out ", name);
	if (!strstr(answer, command))
		fail_msg("%s does not name its command", path);
	unsigned pictures = 0;
	for (const char *at = answer; (at = strstr(at, "](")); at += 2) {
		int length = (int)strcspn(at + 2, ")#");
		struct stat status;
		snprintf(path, sizeof(path), STUDIES "/%s/%.*s", name, length, at + 2);
		if (stat(path, &status) != 0)
			fail_msg("%s names %s, which is not there", name, path);
		if (strstr(path, ".png")) {
			assert_in_range(status.st_size, 1000, PICTURE_MAX);
			pictures++;
		}
	}
	assert_true(pictures >= 1);
	free(answer);
}

static void test_studies_are_accepted_and_run(void **state)
{
	(void)state;
	unsigned count = 0;
	DIR *studies = opendir(STUDIES);
	assert_non_null(studies);
	for (const struct dirent *entry; (entry = readdir(studies));) {
		char path[600];
		snprintf(path, sizeof(path), STUDIES "/%s/study.ini", entry->d_name);
		if (access(path, R_OK) != 0)
			continue;
		plan_and_run_a_point(entry->d_name);
		check_answer(entry->d_name);
		count++;
	}
	closedir(studies);
	assert_true(count >= STUDIES_MIN);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_studies_are_accepted_and_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
