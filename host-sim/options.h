/* Pieces of command lines that several commands share. */
#ifndef KICKSTAND_HOST_SIM_OPTIONS_H
#define KICKSTAND_HOST_SIM_OPTIONS_H

#include "rtl-model/config.h"

/* --config FILE or --set SECTION.KEY=VALUE. Returns 0, or -1 with a one-line reason. */
MUST_USE int option_config(struct config *config, bool is_file, const char *argument, char *error,
			   size_t error_size);

/* Path of a file that is built together with the program: `name` in the folder of the executable. */
void program_file(const char *name, char *path, size_t path_size);

#endif
