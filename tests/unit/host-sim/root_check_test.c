/* The checker of the root complex (RC-013): what it flags, and what it lets pass. */
#include "tests/unit/host-sim/root_world.h"

#include <linux/pci_regs.h>

#define LOW_BASE UINT64_C(0x10000) /* for addresses below 4 GiB */

enum {
	RING = 0x1000,      /* offsets of pieces of 4096 bytes: written in order */
	READ_ONLY = 0x2000, /* the card may read it */
	WRITE_ONLY = 0x3000,
	BOTH = 0x4000,
	TAKEN_BACK = 0x5000,
};

static void allow(struct world *world, uint64_t base)
{
	root_allow(world->root, base + BOTH, 4096, ROOT_READ | ROOT_WRITE);
	root_allow(world->root, base + RING, 4096, ROOT_WRITE | ROOT_ORDERED);
	root_allow(world->root, base + TAKEN_BACK, 4096, ROOT_READ | ROOT_WRITE);
	root_allow(world->root, base + READ_ONLY, 4096, ROOT_READ);
	root_allow(world->root, base + WRITE_ONLY, 4096, ROOT_WRITE);
	root_allow(world->root, base + TAKEN_BACK, 4096, 0);
}

static void test_root_checker_flags_requests_that_break_a_rule(void **state)
{
	static const struct {
		const char *said; /* NULL: nothing is wrong */
		enum tlp_type type;
		uint64_t at; /* in memory, or in the interrupt window */
		uint32_t bytes;
		uint8_t attr, tc;
		uint16_t id;
		bool low, force_64;
	} cases[] = {
		{NULL, TLP_MWR, BOTH, 256, 0, 0, CARD, false, false},
		{NULL, TLP_MRD, BOTH, 512, 0, 0, CARD, false, false},
		{NULL, TLP_MRD, READ_ONLY + 4095, 1, 0, 0, CARD, false, false},
		{NULL, TLP_MWR, WRITE_ONLY + 1, 2, 0, 0, CARD, false, false},
		{NULL, TLP_MWR, RING, 64, 0, 0, CARD, false, false},
		{NULL, TLP_MWR, BOTH, 64, TLP_ATTR_RELAXED, 0, CARD, false, false}, /* data may be relaxed */
		{NULL, TLP_MWR, ROOT_MSI_BASE, 4, 0, 0, CARD, false, false},
		{NULL, TLP_MWR, BOTH, 64, 0, 0, CARD, true, false},
		{"Max_Payload_Size", TLP_MWR, BOTH, 260, 0, 0, CARD, false, false},
		{"Max_Read_Request_Size", TLP_MRD, BOTH, 516, 0, 0, CARD, false, false},
		{"4DW", TLP_MWR, BOTH, 64, 0, 0, CARD, true, true},
		{"4DW", TLP_MRD, BOTH, 64, 0, 0, CARD, true, true},
		{"Requester ID", TLP_MRD, BOTH, 64, 0, 0, 0, false, false},
		{"Requester ID", TLP_MWR, BOTH, 64, 0, 0, CARD + 8, false, false},
		{"relaxed ordering", TLP_MWR, RING, 8, TLP_ATTR_RELAXED, 0, CARD, false, false},
		{"interrupt message", TLP_MWR, ROOT_MSI_BASE, 4, TLP_ATTR_RELAXED, 0, CARD, false, false},
		{"interrupt message", TLP_MWR, ROOT_MSI_BASE, 4, TLP_ATTR_NO_SNOOP, 0, CARD, false, false},
		{"interrupt message", TLP_MWR, ROOT_MSI_BASE, 4, 0, 1, CARD, false, false},
		{"interrupt message", TLP_MWR, ROOT_MSI_BASE, 8, 0, 0, CARD, false, false},
		{"interrupt message", TLP_MWR, ROOT_MSI_BASE, 2, 0, 0, CARD, false, false},
		{"read of memory", TLP_MRD, WRITE_ONLY, 4, 0, 0, CARD, false, false},
		{"read of memory", TLP_MRD, RING, 4, 0, 0, CARD, false, false},
		{"read of memory", TLP_MRD, TAKEN_BACK, 4, 0, 0, CARD, false, false},
		{"read of memory", TLP_MRD, 0x6000, 4, 0, 0, CARD, false, false}, /* never offered */
		{"read of memory", TLP_MRD, 0, 4, 0, 0, CARD, false, false},
		{"write to memory", TLP_MWR, READ_ONLY, 4, 0, 0, CARD, false, false},
		{"write to memory", TLP_MWR, TAKEN_BACK + 4092, 4, 0, 0, CARD, false, false},
		{"write to memory", TLP_MWR, 0x6000, 1, 0, 0, CARD, false, false},
	};
	(void)state;
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		unsigned c = i / 2;
		bool checks = i % 2;
		uint64_t base = cases[c].low ? LOW_BASE : MEMORY_BASE;
		struct world *world = world_make_at(base);
		uint8_t data[1024] = {0};
		allow(world, base);
		world->config.guest.check = checks;
		struct tlp tlp = request_of(cases[c].type,
					    cases[c].at < MEMORY_BYTES ? base + cases[c].at : cases[c].at,
					    cases[c].bytes, data);
		tlp.attr = cases[c].attr;
		tlp.tc = cases[c].tc;
		tlp.requester_id = cases[c].id;
		tlp.addr64 |= cases[c].force_64;
		send_now(world, &tlp);
		bool flagged = checks && cases[c].said;
		assert_int_equal(root_stats(world->root)->violations, flagged);
		assert_int_equal(world->log_lines, flagged);
		if (flagged)
			assert_non_null(strstr(world->log, cases[c].said));
		world_destroy(world);
	}
}

/* These the receiver throws away, whether it checks or not. */
static void test_root_checker_flags_malformed_requests(void **state)
{
	static const struct {
		uint64_t addr;
		uint16_t length_dw;
		uint8_t first_be, last_be;
	} cases[] = {
		{MEMORY_BASE + 0xffc, 2, 0xf, 0xf},  /* across 4 KiB */
		{MEMORY_BASE + 0xf00, 65, 0xf, 0x1}, /* by one byte */
		{MEMORY_BASE, 2, 0xf, 0},            /* byte enables */
		{MEMORY_BASE, 2, 0, 0xf},
		{MEMORY_BASE, 1, 0xf, 0xf},
		{MEMORY_BASE, 3, 0x7, 0xf},
		{MEMORY_BASE, 3, 0xf, 0xe},
	};
	(void)state;
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		struct world *world = world_make();
		uint8_t data[512];
		memset(data, 0xaa, sizeof(data));
		struct tlp tlp = {.type = i % 2 ? TLP_MWR : TLP_MRD,
				  .requester_id = CARD,
				  .addr = cases[i / 2].addr,
				  .addr64 = true,
				  .length_dw = cases[i / 2].length_dw,
				  .first_be = cases[i / 2].first_be,
				  .last_be = cases[i / 2].last_be,
				  .payload = data};
		send_now(world, &tlp);
		assert_int_equal(root_stats(world->root)->violations, 1);
		assert_non_null(strstr(world->log, "malformed"));
		assert_int_equal(world->device.sent_count, 0);
		for (unsigned j = 0; j < 0x2000; j++)
			assert_int_equal(world->memory.data[j], 0);
		world_destroy(world);
	}
}

static void test_root_checker_flags_a_tag_in_use(void **state)
{
	struct world *world = world_make();
	struct tlp read = request_of(TLP_MRD, MEMORY_BASE, 4, NULL);
	(void)state;
	for (uint16_t tag = 0; tag < 300; tag += 7) {
		read.tag = tag;
		send_now(world, &read);
	}
	assert_int_equal(root_stats(world->root)->violations, 0);
	read.tag = 14;
	send_now(world, &read);
	assert_int_equal(root_stats(world->root)->violations, 1);
	assert_non_null(strstr(world->log, "tag"));
	/* Once it is answered it is free. */
	world_pass(world, world->config.link.root_complex_ps);
	send_now(world, &read);
	assert_int_equal(root_stats(world->root)->violations, 1);
	/* And after a reset of the link. */
	send_now(world, &read);
	assert_int_equal(root_stats(world->root)->violations, 2);
	root_hot_reset(world->root);
	send_now(world, &read);
	assert_int_equal(root_stats(world->root)->violations, 2);
	world_destroy(world);
}

/* From the moment on in which the host has read back that it is off: what was on its way before has then arrived. */
static void test_root_checker_flags_writes_without_bus_master(void **state)
{
	struct world *world = world_make();
	(void)state;
	world->device.request = answer;
	root_config_write(world->root, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	write_word(world, MEMORY_BASE, 1); /* sent before the write was seen */
	assert_int_equal(root_stats(world->root)->violations, 0);
	world->device.value = PCI_COMMAND_MEMORY;
	root_config_read(world->root, PCI_COMMAND, 2);
	write_word(world, MEMORY_BASE, 2);
	write_word(world, ROOT_MSI_BASE, 0x20);
	assert_int_equal(root_stats(world->root)->violations, 2);
	assert_non_null(strstr(world->log, "Bus Master"));
	root_config_write(world->root, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	write_word(world, MEMORY_BASE, 3);
	assert_int_equal(root_stats(world->root)->violations, 2);
	world_destroy(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_root_checker_flags_requests_that_break_a_rule, "RC-013"),
		REQ_TEST(test_root_checker_flags_malformed_requests, "RC-013"),
		REQ_TEST(test_root_checker_flags_a_tag_in_use, "RC-013"),
		REQ_TEST(test_root_checker_flags_writes_without_bus_master, "RC-013"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
