/* Configuration spaces that cannot be laid out are refused with a reason that names the culprit. */
#include "tests/unit/pcie/cfg_fixture.h"

static struct cfg_space cfg;

static void assert_refused(const struct cfg_space_config *config, const char *reason)
{
	char error[160] = "";
	assert_int_equal(cfg_space_init(&cfg, config, error, sizeof(error)), -1);
	if (!strstr(error, reason))
		fail_msg("got \"%s\", want \"%s\"", error, reason);
	assert_null(strchr(error, '\n'));
}

static void assert_accepted(const struct cfg_space_config *config)
{
	char error[160] = "";
	if (cfg_space_init(&cfg, config, error, sizeof(error)) != 0)
		fail_msg("%s", error);
}

static void test_cfg_check_bad_bar_is_refused(void **state)
{
	(void)state;
	static const struct {
		unsigned bar;
		struct cfg_bar as;
		const char *reason;
	} rows[] = {
		{0, {.size_bytes = 64}, "BAR0: size 64"},
		{0, {.size_bytes = 3000}, "BAR0: size 3000"},
		{0, {.size_bytes = UINT64_C(1) << 32}, "BAR0: size 4294967296"},
		{3, {.size_bytes = 4096, .is_64bit = true}, "BAR3: is 64-bit"},
		{5, {.size_bytes = 4096}, "BAR4: is 64-bit"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cfg_space_config config = default_config();
		config.bar[rows[i].bar] = rows[i].as;
		assert_refused(&config, rows[i].reason);
	}
	struct cfg_space_config config = default_config();
	config.bar[4] = (struct cfg_bar){0};
	config.bar[5] = (struct cfg_bar){.size_bytes = 4096, .is_64bit = true};
	config.virtio_cap_count = 0;
	assert_refused(&config, "BAR5: is 64-bit");
}

static void test_cfg_check_bad_number_is_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 13; i++) {
		struct cfg_space_config config = default_config();
		const char *reason = NULL;
		switch (i) {
		case 0: config.link_generation = 0, reason = "generation 0"; break;
		case 1: config.link_generation = 6, reason = "generation 6"; break;
		case 2: config.link_lanes = 0, reason = "0 lanes"; break;
		case 3: config.link_lanes = 3, reason = "3 lanes"; break;
		case 4: config.link_lanes = 32, reason = "32 lanes"; break;
		case 5: config.mps_supported_bytes = 64, reason = "payload 64"; break;
		case 6: config.mps_supported_bytes = 8192, reason = "payload 8192"; break;
		case 7: config.mps_supported_bytes = 384, reason = "payload 384"; break;
		case 8: config.class_code = 0x1000000, reason = "class code 0x1000000"; break;
		case 9: config.interrupt_pin = 5, reason = "pin 5"; break;
		case 10: config.msix_vectors = 0, reason = "0 MSI-X vectors"; break;
		case 11: config.msix_vectors = 2049, reason = "2049 MSI-X vectors"; break;
		case 12: config.mps_supported_bytes = 0, reason = "payload 0"; break;
		}
		assert_refused(&config, reason);
	}
}

static void test_cfg_check_extreme_numbers_are_accepted(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct cfg_space_config config = default_config();
		config.bar[1].size_bytes = 65536;
		config.msix_pba_offset = 0x8000; /* behind 2048 entries */
		config.msix_vectors = i ? 2048 : 1;
		config.mps_supported_bytes = i ? 4096 : 128;
		config.link_generation = i ? 5 : 1;
		config.link_lanes = i ? 16 : 1;
		config.interrupt_pin = i ? 4 : 0;
		config.class_code = i ? 0xffffff : 0;
		assert_accepted(&config);
	}
}

static void test_cfg_check_misplaced_msix_is_refused(void **state)
{
	(void)state;
	static const struct {
		unsigned vectors, bar;
		uint32_t table, pba;
		const char *reason; /* NULL = fine */
	} rows[] = {
		{128, 1, 0, 0x800, NULL}, /* the table ends where the PBA starts */
		{129, 1, 0, 0x800, "MSI-X table and MSI-X PBA overlap"},
		{5, 1, 0x808, 0x800, NULL},
		{64, 1, 0x808, 0x800, NULL},
		{65, 1, 0x808, 0x800, "overlap"}, /* PBA of 16 bytes */
		{65, 1, 0x810, 0x800, NULL},
		{5, 1, 4, 0x800, "MSI-X table: offset 0x4"},
		{5, 1, 0, 0x804, "MSI-X PBA: offset 0x804"},
		{5, 0, 0, 0x800, "BAR0 is not implemented"},
		{5, 6, 0, 0x800, "BAR6 is not implemented"},
		{5, 5, 0, 0x800, "BAR5 is not implemented"}, /* upper half of BAR4 */
		{5, 1, 0xfb0, 0, NULL},
		{5, 1, 0xfb8, 0, "MSI-X table: does not fit into BAR1"},
		{5, 1, 0, 0xff8, NULL},
		{5, 1, 0, 0x1000, "MSI-X PBA: does not fit into BAR1"},
		{5, 1, 0, 0xfffffff8, "MSI-X PBA: does not fit into BAR1"},
		{2048, 1, 0, 0x800, "MSI-X table: does not fit into BAR1"},
		{5, 4, 0x1000, 0x3800, "MSI-X table and virtio ISR overlap in BAR4"},
		{5, 4, 0x4000, 0, "MSI-X table: does not fit into BAR4"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cfg_space_config config = default_config();
		config.msix_vectors = rows[i].vectors;
		config.msix_bar = (uint8_t)rows[i].bar;
		config.msix_table_offset = rows[i].table;
		config.msix_pba_offset = rows[i].pba;
		if (rows[i].reason)
			assert_refused(&config, rows[i].reason);
		else
			assert_accepted(&config);
	}
}

static void test_cfg_check_bad_virtio_capability_is_refused(void **state)
{
	(void)state;
	static const struct {
		struct cfg_virtio_cap cap;
		const char *reason;
	} rows[] = {
		{{.cfg_type = 1, .bar = 4, .length = 64}, NULL},
		{{.cfg_type = 0, .bar = 4}, "virtio capability 0: type 0"},
		{{.cfg_type = 6, .bar = 4}, "virtio capability 0: type 6"},
		{{.cfg_type = 8, .bar = 4}, "virtio capability 0: type 8"},
		{{.cfg_type = 1, .bar = 2, .length = 64}, "virtio common configuration: BAR2"},
		{{.cfg_type = 1, .bar = 9, .length = 64}, "virtio common configuration: BAR9"},
		{{.cfg_type = 1, .bar = 4, .offset = 2, .length = 64},
		 "virtio common configuration: offset 0x2"},
		{{.cfg_type = 4, .bar = 4, .offset = 2, .length = 64},
		 "virtio device configuration: offset 0x2"},
		{{.cfg_type = 2, .bar = 4, .offset = 1, .length = 64}, "virtio notification: offset 0x1"},
		{{.cfg_type = 3, .bar = 4, .offset = 1, .length = 1}, NULL},
		{{.cfg_type = 3, .bar = 4, .offset = 0x3fff, .length = 2}, "virtio ISR: does not fit"},
		{{.cfg_type = 3, .bar = 4, .offset = 0xffffffff, .length = 1}, "virtio ISR: does not fit"},
		{{.cfg_type = 3, .bar = 4, .offset = 1, .length = 0xffffffff}, "virtio ISR: does not fit"},
		{{.cfg_type = 2, .bar = 4, .length = 64, .notify_off_multiplier = 1},
		 "notify_off_multiplier 1"},
		{{.cfg_type = 2, .bar = 4, .length = 64, .notify_off_multiplier = 6},
		 "notify_off_multiplier 6"},
		{{.cfg_type = 2, .bar = 4, .length = 64, .notify_off_multiplier = 2}, NULL},
		{{.cfg_type = 1, .bar = 1, .offset = 0x40, .length = 64}, "overlap in BAR1"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cfg_space_config config = default_config();
		config.virtio_cap = &rows[i].cap;
		config.virtio_cap_count = 1;
		if (rows[i].reason)
			assert_refused(&config, rows[i].reason);
		else
			assert_accepted(&config);
	}
}

static void test_cfg_check_too_many_virtio_capabilities_are_refused(void **state)
{
	(void)state;
	struct cfg_virtio_cap caps[8];
	struct cfg_space_config config = default_config();
	config.virtio_cap = caps;
	/* 0x90 + 7 * 16 = 0x100: seven fit. */
	for (unsigned n = 1; n <= 8; n++) {
		caps[n - 1] = (struct cfg_virtio_cap){.cfg_type = 3, .bar = 4, .length = 1};
		config.virtio_cap_count = n;
		if (n <= 7)
			assert_accepted(&config);
		else
			assert_refused(&config, "beyond 0xff");
	}
	caps[0] = caps[1] = (struct cfg_virtio_cap){.cfg_type = 5};
	config.virtio_cap_count = 2;
	assert_refused(&config, "2 virtio PCI configuration access");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_cfg_check_bad_bar_is_refused, "CFG-011"),
		cmocka_unit_test(test_cfg_check_bad_number_is_refused),
		cmocka_unit_test(test_cfg_check_extreme_numbers_are_accepted),
		REQ_TEST(test_cfg_check_misplaced_msix_is_refused, "INT-001"),
		REQ_TEST(test_cfg_check_bad_virtio_capability_is_refused, "D-078 D-096 D-097 D-110 INT-001"),
		REQ_TEST(test_cfg_check_too_many_virtio_capabilities_are_refused, "CFG-015"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
