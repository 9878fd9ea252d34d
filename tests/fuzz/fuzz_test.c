/* Runs the fuzzers for a bounded time, from a fixed seed, on what they find by themselves and on the corpus of a folder
 * below build/ that grows from run to run. `build/fuzz/NAME_fuzz build/fuzz/corpus/NAME` goes on for as long as one likes. */
#include "tests/check.h"

#include <sys/stat.h>

#define SECONDS 10

static void run_fuzzer(const char *name)
{
	char line[400];
	snprintf(line, sizeof(line),
		 "mkdir -p build/fuzz/corpus/%s && build/fuzz/%s_fuzz -seed=1 -max_total_time=%d "
		 "-max_len=4096 -verbosity=0 "
		 "-print_final_stats=1 -artifact_prefix=build/fuzz/%s- build/fuzz/corpus/%s",
		 name, name, SECONDS, name, name);
	printf("run: %s\n", line);
	fflush(stdout);
	assert_int_equal(system(line), 0);
}

static void test_fetch_engine_survives_any_guest_memory(void **state)
{
	(void)state;
	run_fuzzer("fetch");
}

static void test_vfio_user_messages_survive_any_bytes(void **state)
{
	(void)state;
	run_fuzzer("vfio_user");
}

static void test_vhost_user_messages_survive_any_bytes(void **state)
{
	(void)state;
	run_fuzzer("vhost_user");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fetch_engine_survives_any_guest_memory),
		cmocka_unit_test(test_vfio_user_messages_survive_any_bytes),
		cmocka_unit_test(test_vhost_user_messages_survive_any_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
