/* Pieces of command lines that several commands share. */
#ifndef KICKSTAND_HOST_SIM_OPTIONS_H
#define KICKSTAND_HOST_SIM_OPTIONS_H

#include "rtl-model/config.h"

/* The options that change the configuration, as getopt_long returns them. */
enum {
	OPTION_CONFIG = 'c', /* --config FILE */
	OPTION_SET = 's',    /* --set SECTION.KEY=VALUE */
	OPTION_SEED = 'S',   /* --seed N */
};

/* Carries one of them out. Returns 0, or -1 with a one-line reason. */
MUST_USE int option_config(struct config *config, int option, const char *argument, char *error,
			   size_t error_size);

/* After getopt_long has returned -1: nothing may follow the options. `argv` is the command's own. Returns 0, or -1 with a
 * one-line reason. */
MUST_USE int options_end(int argc, char **argv, char *error, size_t error_size);

/* Path of a file that is built together with the program: `name` in the folder of the executable. */
void program_file(const char *name, char *path, size_t path_size);

#endif
