#include "host-sim/options.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int option_config(struct config *config, bool is_file, const char *argument, char *error, size_t error_size)
{
	char reason[320];
	int bad = is_file ? config_load(config, argument, reason, sizeof(reason))
			  : config_set(config, argument, reason, sizeof(reason));
	if (bad)
		snprintf(error, error_size, "%s%s", is_file ? "" : "--set: ", reason);
	return bad;
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
