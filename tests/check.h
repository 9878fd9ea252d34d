/* What every test program starts with: cmocka, and test names that carry requirement numbers.
 *
 *   REQ_TEST(test_split_at_page, "TLP-004 TLP-005")   in the table given to cmocka_run_group_tests
 *
 * makes a test called "test_split_at_page [TLP-004 TLP-005]". tests/run.py reads these names together
 * with the results, and `ninja requirements` lists which numbers a passing test covers. */
#ifndef KICKSTAND_TESTS_CHECK_H
#define KICKSTAND_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pcie/rng.h"

#define REQ_TEST(function, requirements)                                                                     \
	{                                                                                                    \
#function " [" requirements "]", function, NULL, NULL, NULL                                  \
	}

/* The seed of a randomised test: KICKSTAND_TEST_SEED if set, else `fallback`. Prints it, so that a failing
 * run shows how to repeat it. */
static inline uint64_t test_seed(uint64_t fallback)
{
	const char *text = getenv("KICKSTAND_TEST_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : fallback;
	printf("replay with KICKSTAND_TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

#endif
