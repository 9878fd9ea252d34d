/* Where a reader of text files is, and where it says what is wrong there. */
#ifndef KICKSTAND_HOST_SIM_WORKLOADS_TEXT_PLACE_H
#define KICKSTAND_HOST_SIM_WORKLOADS_TEXT_PLACE_H

#include "pcie/base.h"

struct text_place {
	const char *file;
	unsigned long line; /* from 1 */
	char *error;
	size_t error_size;
};

/* Puts "FILE:LINE: " and the reason into `error`. Returns -1. */
int text_place_fail(const struct text_place *place, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
