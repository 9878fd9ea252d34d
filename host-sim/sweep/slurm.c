#include "host-sim/sweep/slurm.h"

#include "host-sim/sweep/folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARRAY_MAX 1000 /* Slurm's default for MaxArraySize is 1001 */
#define PIECE_MIN 20   /* runs; a task costs about a second to start */

unsigned slurm_piece(uint64_t runs)
{
	return (unsigned)max_u64(PIECE_MIN, (runs + ARRAY_MAX - 1) / ARRAY_MAX);
}

/* A word for a #SBATCH line: sbatch knows double quotes and backslashes there. */
static void put_option_word(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void put_head(const char *name, const char *folder, FILE *out)
{
	fprintf(out,
		"#!/bin/sh\n# Written by `kickstand sweep`; ./submit hands it to Slurm.\n"
		"#SBATCH --job-name=%s\n#SBATCH --chdir=",
		name);
	put_option_word(folder, out);
	fputc('\n', out);
}

static int put_array(const struct plan *plan, const char *folder, unsigned jobs, char *error,
		     size_t error_size)
{
	struct new_file file = {0};
	new_file_begin(&file, folder, "sweep.sbatch");
	if (file.out) {
		put_head("kickstand-sweep", folder, file.out);
		fprintf(file.out,
			"#SBATCH --array=0-%u\n#SBATCH --cpus-per-task=%u\n#SBATCH --output=slurm/%%a.log\n"
			"exec ninja -f \"ninja/$SLURM_ARRAY_TASK_ID.ninja\" -j "
			"\"${SLURM_CPUS_PER_TASK:-%u}\"\n",
			plan->pieces - 1, jobs, jobs);
	}
	return new_file_end(&file, error, error_size);
}

static int put_collect(const char *folder, char *error, size_t error_size)
{
	struct new_file file = {0};
	char program[FOLDER_PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	program[length > 0 ? length : 0] = '\0';
	new_file_begin(&file, folder, "collect.sbatch");
	if (file.out) {
		put_head("kickstand-collect", folder, file.out);
		fputs("#SBATCH --output=slurm/collect.log\nexec ", file.out);
		put_option_word(program, file.out);
		fputs(" sweep --collect --out .\n", file.out);
	}
	return new_file_end(&file, error, error_size);
}

static int put_submit(const char *folder, char *error, size_t error_size)
{
	static const char text[] =
		"#!/bin/sh\n"
		"# Hands the sweep to Slurm: submit [SBATCH OPTION]..., such as --partition=NAME --time=30\n"
		"# Written by `kickstand sweep`.\n"
		"set -e\n"
		"cd \"${0%/*}\"\n"
		"array=$(sbatch --parsable \"$@\" sweep.sbatch)\n"
		"collect=$(sbatch --parsable --dependency=\"afterany:${array%%;*}\" \"$@\" collect.sbatch)\n"
		"echo \"array job ${array%%;*}, its results collected by job ${collect%%;*}\"\n";
	struct new_file file = {0};
	new_file_begin(&file, folder, "submit");
	if (file.out) {
		fputs(text, file.out);
		fchmod(fileno(file.out), 0777 & ~022);
	}
	return new_file_end(&file, error, error_size);
}

int slurm_write(const struct plan *plan, const char *folder, unsigned jobs, char *error, size_t error_size)
{
	char whole[FOLDER_PATH_MAX], logs[FOLDER_PATH_MAX + 8];
	if (!realpath(folder, whole)) {
		snprintf(error, error_size, "%s: %s", folder, strerror(errno));
		return -1;
	}
	snprintf(logs, sizeof(logs), "%s/slurm", whole);
	if (mkdir(logs, 0777) != 0 && errno != EEXIST) {
		snprintf(error, error_size, "%s: cannot be made: %s", logs, strerror(errno));
		return -1;
	}
	if (put_array(plan, whole, jobs, error, error_size) != 0 ||
	    put_collect(whole, error, error_size) != 0)
		return -1;
	return put_submit(whole, error, error_size);
}

int slurm_submit(const char *folder, char *error, size_t error_size)
{
	char script[FOLDER_PATH_MAX + 8];
	int status = -1;
	snprintf(script, sizeof(script), "%s/submit", folder);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		execl(script, script, (char *)NULL);
		_exit(127);
	}
	if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	snprintf(error, error_size,
		 "%s failed; what sbatch says above tells why (is Slurm installed, and slurmctld up?)",
		 script);
	return -1;
}
