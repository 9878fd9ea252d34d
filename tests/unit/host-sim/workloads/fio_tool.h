/* Runs the real fio, to compare with. Tests that need it are skipped where it is not installed. */
#ifndef KICKSTAND_TESTS_FIO_TOOL_H
#define KICKSTAND_TESTS_FIO_TOOL_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"

static inline void need_fio(void)
{
	if (system("command -v fio >/dev/null 2>&1") == 0)
		return;
	print_message("fio is not installed (apt-get install fio): skipped\n");
	skip();
}

/* What a shell command prints; *status is its exit status. Freed by the caller. */
static inline char *command_output(const char *command, int *status)
{
	size_t size = 1 << 22, length;
	char *text = malloc(size);
	FILE *pipe = popen(command, "r");
	assert_non_null(text);
	assert_non_null(pipe);
	length = fread(text, 1, size - 1, pipe);
	text[length] = '\0';
	*status = WEXITSTATUS(pclose(pipe));
	return text;
}

/* Runs fio with these arguments on a job file of this text, in a folder of its own. */
static inline char *run_fio(const char *arguments, const char *job_text, int *status)
{
	char folder[] = "/tmp/kickstand-fio-XXXXXX", path[64], command[256];
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/job.fio", folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(job_text, file);
	fclose(file);
	snprintf(command, sizeof(command), "cd %s && fio %s job.fio 2>&1", folder, arguments);
	char *output = command_output(command, status);
	unlink(path);
	rmdir(folder);
	return output;
}

#endif
