#include "host-sim/commands.h"
#include "host-sim/results.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
	{"run", cmd_run, "simulate a guest doing a fio job's I/O through the card"},
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

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return EXIT_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("kickstand " KICKSTAND_VERSION);
		return EXIT_OK;
	}
	fprintf(stderr, "kickstand: unknown command '%s'; `kickstand --help` lists them\n", argv[1]);
	return EXIT_USAGE;
}
