#include "host-sim/workloads/text_place.h"

#include <stdarg.h>
#include <stdio.h>

int text_place_fail(const struct text_place *place, const char *format, ...)
{
	va_list args;
	int length = snprintf(place->error, place->error_size, "%s:%lu: ", place->file, place->line);
	if (length < 0 || (size_t)length >= place->error_size)
		return -1;
	va_start(args, format);
	vsnprintf(place->error + length, place->error_size - (size_t)length, format, args);
	va_end(args);
	return -1;
}
