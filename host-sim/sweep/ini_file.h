/* An INI file as a list of its lines: inih reads it, this adds what it keeps to itself, where everything stands. */
#ifndef KICKSTAND_HOST_SIM_SWEEP_INI_FILE_H
#define KICKSTAND_HOST_SIM_SWEEP_INI_FILE_H

#include "host-sim/workloads/text_place.h"

struct ini_entry {
	char *section, *name, *value;
	unsigned long line;
	bool more; /* an indented line that goes on with the value of the name above it */
};

struct ini_section {
	char *name;
	unsigned long line;
};

struct ini_file {
	struct ini_entry *entry;
	unsigned entries;
	struct ini_section *section; /* those without entries, too */
	unsigned sections;
};

/* -1 with "FILE:LINE: what; the mend", *file then being empty. */
MUST_USE int ini_file_load(struct ini_file *file, const char *path, char *error, size_t error_size);
void ini_file_free(struct ini_file *file);

#endif
