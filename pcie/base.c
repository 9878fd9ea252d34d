#include "pcie/base.h"

#include <stdio.h>
#include <stdlib.h>

void assert_failed(const char *condition, const char *file, int line)
{
	fflush(stdout);
	fprintf(stderr, "kickstand: internal error: %s:%d: %s\n", file, line, condition);
	abort();
}
