#include "host-sim/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int set_seed(struct config *config, const char *number, char *error, size_t error_size)
{
	char text[400];
	snprintf(text, sizeof(text), "sim.seed=%s", number);
	int bad = config_set(config, text, error, error_size);
	if (bad)
		snprintf(error, error_size, "--seed: '%s' is not a number", number);
	return bad;
}

int option_config(struct config *config, int option, const char *argument, char *error, size_t error_size)
{
	char reason[320];
	if (option == OPTION_CONFIG)
		return config_load(config, argument, error, error_size);
	if (option == OPTION_SEED)
		return set_seed(config, argument, error, error_size);
	ASSERT(option == OPTION_SET);
	int bad = config_set(config, argument, reason, sizeof(reason));
	if (bad)
		snprintf(error, error_size, "--set: %s", reason);
	return bad;
}

int options_end(int argc, char **argv, char *error, size_t error_size)
{
	if (optind >= argc)
		return 0;
	snprintf(error, error_size, "unexpected argument '%s'; `kickstand %s --help` lists the options",
		 argv[optind], argv[0]);
	return -1;
}

void program_file(const char *name, char *path, size_t path_size)
{
	char program[3072];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	program[length > 0 ? length : 0] = '\0';
	char *slash = strrchr(program, '/');
	if (slash)
		*slash = '\0';
	/* The sanitizer build stands in a folder below and shares what it does not build itself. */
	const char *parent =
		slash && strcmp(strrchr(program, '/') ? strrchr(program, '/') : "", "/sanitize") == 0 ? "/.."
												      : "";
	snprintf(path, path_size, "%s%s/%s", program, parent, name);
}
