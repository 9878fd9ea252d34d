/* Ordering, credits and link errors: what the root complex sees of the TLP stream, under every kind of back-pressure. */
#include "tests/e2e/pcie_help.h"

static void body(struct machine *m)
{
	machine_probe(m);
	load_check_alive(m, 5000);
}

static void test_x(void **state)
{
	(void)state;
	machine_run(body, "device.queues=4", "host.vcpus=1", "guest.indirect=on", "guest.segment_bytes=512",
		    NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_x, ""),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
