/* Files of a sweep's folder: whoever reads one never sees half of it. */
#ifndef KICKSTAND_HOST_SIM_SWEEP_FOLDER_H
#define KICKSTAND_HOST_SIM_SWEEP_FOLDER_H

#include "pcie/base.h"

#include <stdio.h>

#define FOLDER_PATH_MAX 4096

/* Makes the folder and those below it that sweeps use. -1 with a one-line reason. */
MUST_USE int folder_make(const char *folder, char *error, size_t error_size);

/* Keeps other sweeps, and the programs this one starts, apart: for as long as any of them has the result open. -1 with a
 * one-line reason. */
MUST_USE int folder_lock(const char *folder, char *error, size_t error_size);

/* A file that is to take its name when it is complete. */
struct new_file {
	FILE *out; /* NULL: it could not be made */
	char path[FOLDER_PATH_MAX], part[FOLDER_PATH_MAX + 8];
};

void new_file_begin(struct new_file *file, const char *folder, const char *name);
/* -1 with a one-line reason if anything went wrong since the beginning. */
MUST_USE int new_file_end(struct new_file *file, char *error, size_t error_size);
void new_file_drop(struct new_file *file);

/* Writes a text file, unless it is there with that text: then its time stays. -1 with a one-line reason. */
MUST_USE int folder_put(const char *folder, const char *name, const char *text, char *error,
			size_t error_size);

#endif
