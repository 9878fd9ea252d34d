/* The firmware in the device, on the RTL core and the simulator in lockstep (core_pair.h), at work for a guest. */
#include "tests/e2e/load.h"
#include "tests/twin/core_pair.h"

static void work(struct machine *m)
{
	struct load load;
	machine_probe(m);
	load_begin(&load, m, m->arg);
	load_run(&load, 400);
	load_drain(&load);
	machine_check_alive(m);
	struct core_pair_figures figures = core_pair_check();
	/* Even at the level at which the firmware has least to do. */
	CHECK(figures.instructions > 5000);
	CHECK(figures.accesses > 100);
	CHECK(figures.sleeps > 2);
}

static void test_cores_agree_on_the_firmware(void **state)
{
	(void)state;
	static const struct load_settings settings = {.depth = 8, .bytes_max = 8192};
	const struct machine_options options = {.arg = &settings};
	machine_run_levels(work, &options, "host.vcpus=1", NULL);
}

static void resets(struct machine *m)
{
	machine_probe(m);
	for (unsigned i = 0; i < 3; i++) {
		machine_check_alive(m);
		machine_restart(m);
	}
	machine_check_alive(m);
	core_pair_check();
}

static void test_cores_agree_on_bring_up_and_reset(void **state)
{
	(void)state;
	machine_run_levels(resets, NULL, NULL);
}

/* Clocks whose edges do not meet, other costs of accesses, polling. */
static void test_cores_agree_with_other_clocks_and_costs(void **state)
{
	(void)state;
	static const struct load_settings settings = {.depth = 4, .bytes_max = 4096};
	const struct machine_options options = {.arg = &settings};
	machine_run_levels(work, &options, "host.vcpus=1", "core.clock_mhz=333", "core.csr_read_cycles=13",
			   "core.csr_write_cycles=5", "core.sram_cycles=2", NULL);
	machine_run_levels(work, &options, "host.vcpus=1", "core.clock_mhz=800", "device.clock_mhz=300",
			   NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cores_agree_on_the_firmware),
		cmocka_unit_test(test_cores_agree_on_bring_up_and_reset),
		cmocka_unit_test(test_cores_agree_with_other_clocks_and_costs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
