#include "host-sim/commands.h"
#include "host-sim/results.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
	{"run", cmd_run, "simulate a guest doing a fio job's I/O through the card"},
	{"serve", cmd_serve, "put the card behind a socket, for QEMU and others"},
	{"sweep", cmd_sweep, "run many configurations, and put their results together"},
	{"compare", cmd_compare, "tell what changed between results, and whether by more than chance"},
	{"core", cmd_core, "run a bare program on the core"},
	{"config", cmd_config, "print every configuration key"},
};

static void usage(FILE *out)
{
	fprintf(out, "usage: kickstand COMMAND [OPTION]...\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fprintf(out, "\n`kickstand COMMAND --help` tells its options.\n");
}

/* Output that got lost on a full disk is a failure, too. */
static int checked(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	if (status != EXIT_USAGE)
		fprintf(stderr, "kickstand: standard output cannot be written: %s; is the disk full?\n",
			strerror(errno));
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return checked(commands[i].run(argc - 1, argv + 1));
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return checked(EXIT_OK);
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("kickstand " KICKSTAND_VERSION);
		return checked(EXIT_OK);
	}
	fprintf(stderr, "kickstand: unknown command '%s'; `kickstand --help` lists them\n", argv[1]);
	return EXIT_USAGE;
}
