/* The benchmark: the mix, its checksum as the exit code (31 bits). */
#include "tests/programs/mix.h"

#ifndef ROUNDS
#define ROUNDS MIX_ROUNDS
#endif

int main(void);

int main(void)
{
	return (int)(mix_run(ROUNDS) & 0x7fffffff);
}
