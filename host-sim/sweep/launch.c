#include "host-sim/sweep/launch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NINJA_INTERRUPTED 2 /* ninja's exit status */
#define NOT_FOUND         127

/* Set by a signal handler, which has no other way to tell. */
static volatile sig_atomic_t caught;

static void note_signal(int number)
{
	caught = number;
}

static void catch_signals(struct sigaction before[2])
{
	static const int signals[2] = {SIGINT, SIGTERM};
	const struct sigaction action = {.sa_handler = note_signal}; /* no SA_RESTART: waitpid is to return */
	caught = 0;
	for (unsigned i = 0; i < 2; i++) {
		/* Ignored from the start (nohup, a shell's background jobs): that is meant. */
		if (sigaction(signals[i], NULL, &before[i]) == 0 && before[i].sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
}

static void restore_signals(const struct sigaction before[2])
{
	sigaction(SIGINT, &before[0], NULL);
	sigaction(SIGTERM, &before[1], NULL);
}

static void become_ninja(const char *folder, unsigned piece, unsigned pieces, unsigned jobs)
{
	char file[40], count[16], status[80];
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	snprintf(file, sizeof(file), "ninja/%u.ninja", piece);
	snprintf(count, sizeof(count), "-j%u", jobs);
	if (pieces == 1)
		snprintf(status, sizeof(status), "[%%f/%%t] ");
	else
		snprintf(status, sizeof(status), "[%%f/%%t of part %u/%u] ", piece + 1, pieces);
	setenv("NINJA_STATUS", status, 1);
	if (chdir(folder) == 0)
		execlp("ninja", "ninja", "-f", file, count, (char *)NULL);
	_exit(NOT_FOUND);
}

/* Waits for it, and hands signals on. Returns the status as of waitpid. */
static int wait_for(pid_t ninja)
{
	int status;
	while (waitpid(ninja, &status, 0) < 0)
		if (errno == EINTR && caught)
			kill(ninja, caught);
	return status;
}

static enum launched run_piece(const char *folder, unsigned piece, unsigned pieces, unsigned jobs,
			       char *error, size_t error_size)
{
	fflush(stdout);
	pid_t ninja = fork();
	if (ninja == 0)
		become_ninja(folder, piece, pieces, jobs);
	int status = ninja > 0 ? wait_for(ninja) : -1;
	if (caught || (WIFEXITED(status) && WEXITSTATUS(status) == NINJA_INTERRUPTED))
		return LAUNCH_STOPPED;
	if (ninja > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return LAUNCH_DONE;
	if (ninja < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND))
		snprintf(error, error_size,
			 "ninja cannot be started: %s; install ninja-build (tools/setup does)",
			 ninja < 0 ? strerror(errno) : "not found");
	else
		snprintf(error, error_size, "ninja failed in %s; what it says above tells why", folder);
	return LAUNCH_FAILED;
}

enum launched launch_local(const struct plan *plan, const char *folder, unsigned jobs, int *stop_signal,
			   char *error, size_t error_size)
{
	struct sigaction before[2];
	enum launched outcome = LAUNCH_DONE;
	catch_signals(before);
	for (unsigned i = 0; i < plan->pieces && outcome == LAUNCH_DONE; i++)
		outcome = run_piece(folder, i, plan->pieces, jobs, error, error_size);
	*stop_signal = caught ? caught : SIGINT;
	restore_signals(before);
	return outcome;
}
