/* Drivers that break the rules of split rings, against the whole card: the prescribed answer, then reset and work. */
#include "tests/e2e/machine.h"

static void head_out_of_range(struct machine *m)
{
	machine_probe(m);
	machine_offer(m, 0, MACHINE_QUEUE_SIZE);
	machine_expect_needs_reset(m);
}

static void test_head_out_of_range_needs_reset(void **state)
{
	(void)state;
	machine_run(head_out_of_range, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_head_out_of_range_needs_reset, "V-001"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
