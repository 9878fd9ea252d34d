#include "tests/e2e/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 96
#define LOOK_US   10000

const char *program_folder(void)
{
	static char folder[64];
	if (folder[0] == '\0') {
		snprintf(folder, sizeof(folder), "build/tests/e2e/files-%d", (int)getpid());
		mkdir("build/tests/e2e", 0777);
		if (mkdir(folder, 0777) != 0 && errno != EEXIST)
			fail_msg("%s: %s", folder, strerror(errno));
	}
	return folder;
}

/* Kept to the end, for the tests that hold on to them. */
struct path {
	struct path *next;
	char text[];
};

const char *program_path_of(const char *name)
{
	static struct path *all;
	size_t size = strlen(program_folder()) + strlen(name) + 2;
	struct path *path = malloc(sizeof(*path) + size);
	assert_non_null(path);
	snprintf(path->text, size, "%s/%s", program_folder(), name);
	path->next = all;
	all = path;
	return path->text;
}

const char *program_file_of(const char *name, const char *text)
{
	const char *path = program_path_of(name);
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
	return path;
}

const char *program_image(const char *name, uint64_t bytes, uint64_t seed)
{
	const char *path = program_path_of(name);
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(ftruncate(fileno(out), (off_t)bytes), 0);
	for (uint64_t at = 0; seed != 0 && at < bytes; at += 8) {
		uint64_t word = splitmix64(&seed);
		assert_int_equal(fwrite(&word, 1, 8, out), 8);
	}
	fclose(out);
	return path;
}

const char *program_itself(void)
{
	static char self[4096];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	assert_true(length > 0);
	return strstr(self, "/sanitize/") ? "build/sanitize/kickstand" : "build/kickstand";
}

static char *text_of(int fd)
{
	struct stat status;
	assert_int_equal(fstat(fd, &status), 0);
	char *text = malloc((size_t)status.st_size + 1);
	assert_non_null(text);
	assert_int_equal(pread(fd, text, (size_t)status.st_size, 0), status.st_size);
	text[status.st_size] = '\0';
	return text;
}

static char *read_back(int fd)
{
	char *text = text_of(fd);
	close(fd);
	return text;
}

static int temporary_file(void)
{
	int fd = open(program_folder(), O_TMPFILE | O_RDWR, 0600);
	assert_true(fd >= 0);
	return fd;
}

static void split(char *line, char **words)
{
	unsigned count = 0;
	char *state;
	for (char *word = strtok_r(line, " ", &state); word; word = strtok_r(NULL, " ", &state)) {
		assert_true(count < WORDS_MAX - 1);
		words[count++] = word;
		while ((word = strchr(word, '@')) != NULL)
			*word = ' ';
	}
	words[count] = NULL;
}

struct program_child program_spawn(const char *line, unsigned limit_s)
{
	char *words[WORDS_MAX], *copy = strdup(line);
	split(copy, words);
	struct program_child child = {.out = temporary_file(), .err = temporary_file()};
	printf("run: %s\n", line);
	fflush(stdout);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (child.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
		dup2(child.out, STDOUT_FILENO);
		dup2(child.err, STDERR_FILENO);
		alarm(limit_s);
		execvp(words[0], words);
		_exit(127);
	}
	free(copy);
	return child;
}

struct program_child program_start(const char *arguments, unsigned limit_s)
{
	char *line;
	assert_true(asprintf(&line, "%s %s", program_itself(), arguments) > 0);
	struct program_child child = program_spawn(line, limit_s);
	free(line);
	return child;
}

char *program_said(const struct program_child *child)
{
	return text_of(child->err);
}

bool program_ends(const struct program_child *child, double limit_s)
{
	for (double waited_s = 0;; waited_s += LOOK_US / 1e6) {
		siginfo_t info = {0};
		assert_int_equal(waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
		if (info.si_pid == child->pid)
			return true;
		if (waited_s >= limit_s)
			return false;
		usleep(LOOK_US);
	}
}

struct program_result program_wait(struct program_child *child)
{
	int status;
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	struct program_result result = {.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
					.out = read_back(child->out),
					.err = read_back(child->err)};
	if (result.status < 0)
		printf("ended by signal %d\n%s", WTERMSIG(status), result.err);
	return result;
}

void program_kill(struct program_child *child)
{
	kill(child->pid, SIGKILL);
	assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
	close(child->out);
	close(child->err);
}

struct program_result program_run(const char *arguments, unsigned limit_s)
{
	struct program_child child = program_start(arguments, limit_s);
	return program_wait(&child);
}

void program_free(struct program_result *result)
{
	free(result->out);
	free(result->err);
}

char *program_read_file(const char *path, size_t *bytes)
{
	int fd = open(path, O_RDONLY);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) != 0)
		fail_msg("%s: %s", path, strerror(errno));
	*bytes = (size_t)status.st_size;
	return read_back(fd);
}

json_t *program_run_json(const char *arguments)
{
	const char *path = program_path_of("result.json");
	char *all;
	json_error_t error;
	assert_true(asprintf(&all, "run %s --json %s", arguments, path) > 0);
	struct program_result result = program_run(all, 300);
	if (result.status != 0)
		printf("%s%s", result.out, result.err);
	assert_int_equal(result.status, 0);
	json_t *root = json_load_file(path, 0, &error);
	assert_non_null(root);
	program_free(&result);
	free(all);
	return root;
}

double json_at(const json_t *root, const char *path)
{
	char *copy = strdup(path), *state;
	const json_t *at = root;
	for (char *key = strtok_r(copy, "/", &state); key; key = strtok_r(NULL, "/", &state)) {
		at = json_is_array(at) ? json_array_get(at, (size_t)atoi(key)) : json_object_get(at, key);
		if (!at)
			fail_msg("no '%s' in %s", key, path);
	}
	free(copy);
	return json_number_value(at);
}

double sum_of_jobs(const json_t *root, const char *path)
{
	const json_t *job;
	size_t i;
	double sum = 0;
	json_array_foreach(json_object_get(root, "jobs"), i, job) sum += json_at(job, path);
	return sum;
}
