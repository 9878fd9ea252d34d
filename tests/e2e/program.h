/* The real program in a test: runs build/kickstand (the sanitizer build's own from there) and looks at what it did. Programs
 * that a failed test leaves behind end with it. */
#ifndef KICKSTAND_TESTS_E2E_PROGRAM_H
#define KICKSTAND_TESTS_E2E_PROGRAM_H

#include "tests/check.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

struct program_result {
	int status;      /* exit status, -1 if it did not end by itself */
	char *out, *err; /* what it printed; free with program_free */
};

/* The program itself: that of the same build as this test. */
const char *program_itself(void);

/* Runs `kickstand` with the words of `arguments` (split at blanks). A run that takes longer than `limit_s` fails the test. */
struct program_result program_run(const char *arguments, unsigned limit_s);
void program_free(struct program_result *result);

/* The same in two steps, to do something to the program while it runs. */
struct program_child {
	pid_t pid;
	int out, err;
};
struct program_child program_start(const char *arguments, unsigned limit_s);
/* Any program: a line of words; '@' stands for a blank inside a word. */
struct program_child program_spawn(const char *line, unsigned limit_s);
/* What it has written to standard error so far; freed by the caller. */
char *program_said(const struct program_child *child);
/* Whether it is gone within that time; program_wait then does not wait. */
bool program_ends(const struct program_child *child, double limit_s);
struct program_result program_wait(struct program_child *child);
void program_kill(struct program_child *child); /* SIGKILL */

/* Runs `kickstand run ARGUMENTS --json FILE`, expects exit status 0 and returns the document; owner: caller. */
json_t *program_run_json(const char *arguments);

/* A new file with this text in the test's own folder; the path stays valid until the program ends. */
const char *program_file_of(const char *name, const char *text);
/* An image file of `bytes`, filled with a pattern of `seed` (0 = zeroes). */
const char *program_image(const char *name, uint64_t bytes, uint64_t seed);
/* Path of a file in that folder that need not exist. */
const char *program_path_of(const char *name);
/* All of a file; freed by the caller. */
char *program_read_file(const char *path, size_t *bytes);
/* The folder itself, below build/. */
const char *program_folder(void);

/* Value at a path of keys, "device/doorbells/written" or "jobs/0/read/iops"; fails the test if it is missing. */
double json_at(const json_t *root, const char *path);
/* Sum over all jobs of a number at this path in each. */
double sum_of_jobs(const json_t *root, const char *path);

#endif
