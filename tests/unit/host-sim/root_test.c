/* What the root complex does for the host: configuration, loads and stores, timeouts, credits, hot reset. Requests of the
 * card are in root_card_test.c, the checker in root_check_test.c. */
#include "tests/unit/host-sim/root_world.h"

/* ---- configuration requests ---- */

static void test_root_config_access_is_one_dw_with_its_bytes_enabled(void **state)
{
	static const struct {
		unsigned reg, bytes;
		uint8_t be;
		uint32_t read; /* of 0x44332211 */
	} cases[] = {
		{0x00, 4, 0xf, 0x44332211}, {0x04, 2, 0x3, 0x2211},      {0x06, 2, 0xc, 0x4433},
		{0x08, 1, 0x1, 0x11},       {0x09, 1, 0x2, 0x22},        {0x0e, 1, 0x4, 0x33},
		{0x0f, 1, 0x8, 0x44},       {0xffc, 4, 0xf, 0x44332211},
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *world = world_make();
		struct device *device = &world->device;
		device->request = answer;
		device->value = 0x44332211;
		assert_int_equal(root_config_read(world->root, cases[i].reg, cases[i].bytes), cases[i].read);
		root_config_write(world->root, cases[i].reg, cases[i].bytes, cases[i].read);
		assert_int_equal(device->sent_count, 2);
		for (unsigned j = 0; j < 2; j++) {
			const struct tlp *tlp = &device->sent[j].tlp;
			assert_int_equal(tlp->type, j ? TLP_CFGWR0 : TLP_CFGRD0);
			assert_int_equal(tlp->reg, cases[i].reg & ~3u);
			assert_int_equal(tlp->first_be, cases[i].be);
			assert_int_equal(tlp->length_dw, 1);
			assert_int_equal(tlp->dest_id, CARD);
		}
		for (unsigned byte = 0; byte < 4; byte++)
			if (cases[i].be >> byte & 1)
				assert_int_equal(device->sent[1].tlp.payload[byte], 0x11 * (byte + 1));
		world_destroy(world);
	}
}

static void test_root_config_read_that_fails_is_all_ones(void **state)
{
	static const enum tlp_status failures[] = {TLP_UR, TLP_CA};
	(void)state;
	for (unsigned i = 0; i <= ARRAY_SIZE(failures); i++) {
		struct world *world = world_make();
		bool timeout = i == ARRAY_SIZE(failures);
		world->device.request = timeout ? NULL : answer;
		if (!timeout)
			world->device.status = failures[i];
		assert_int_equal(root_config_read(world->root, 0, 4), UINT32_MAX);
		assert_int_equal(root_config_read(world->root, 2, 2), 0xffff);
		assert_int_equal(root_config_read(world->root, 9, 1), 0xff);
		root_config_write(world->root, 4, 2, 0); /* comes back, too */
		assert_int_equal(root_stats(world->root)->timeouts, timeout ? 4 : 0);
		assert_int_equal(world->now_ps, 4 * (timeout ? TIMEOUT_PS : PS_PER_US));
		world_destroy(world);
	}
}

static void answer_after_retries(struct device *device, uint64_t at_ps, const struct tlp *tlp)
{
	device->status = device->answers < 3 ? TLP_CRS : TLP_SC;
	answer(device, at_ps, tlp);
}

static void test_root_config_request_answered_crs_is_repeated(void **state)
{
	struct world *world = world_make();
	(void)state;
	world->device.request = answer_after_retries;
	world->device.value = 0x10421af4;
	assert_int_equal(root_config_read(world->root, 0, 4), 0x10421af4);
	assert_int_equal(world->device.answers, 4);
	assert_int_equal(root_stats(world->root)->crs_retries, 3);
	world->device.answers = 0;
	root_config_write(world->root, 4, 2, 6);
	assert_int_equal(world->device.answers, 4);
	assert_int_equal(world->device.sent[world->device.sent_count - 1].tlp.type, TLP_CFGWR0);
	/* A card that is never ready: a second, and it counts as absent. */
	uint64_t begin_ps = world->now_ps;
	world->device.request = answer;
	world->device.status = TLP_CRS;
	assert_int_equal(root_config_read(world->root, 0, 4), UINT32_MAX);
	assert_in_range(world->now_ps - begin_ps, PS_PER_S, PS_PER_S + PS_PER_MS);
	world_destroy(world);
}

/* ---- loads and stores ---- */

/* Every size at every alignment: pieces of the natural sizes, in order, together exactly the access. */
static void test_root_access_of_a_cpu_is_single_tlps_naturally_aligned(void **state)
{
	static const unsigned sizes[] = {1, 2, 4, 8};
	const uint64_t value = UINT64_C(0x8877665544332211);
	(void)state;
	for (unsigned s = 0; s < ARRAY_SIZE(sizes); s++)
		for (unsigned offset = 0; offset < 16; offset++) {
			struct world *world = world_make();
			unsigned bytes = sizes[s];
			uint64_t next = BAR + offset;
			root_mmio_write(world->root, BAR + offset, bytes, value);
			for (unsigned i = 0; i < world->device.sent_count; i++) {
				const struct tlp *tlp = &world->device.sent[i].tlp;
				uint64_t addr;
				uint32_t span;
				tlp_get_span(tlp, &addr, &span);
				assert_int_equal(tlp->type, TLP_MWR);
				assert_int_equal(addr, next);
				assert_true(is_power_of_2(span) && span <= 8 && addr % span == 0);
				for (unsigned j = 0; j < span; j++)
					assert_int_equal(tlp->payload[(addr & 3) + j],
							 0x11 * (addr + j - BAR - offset + 1));
				next += span;
			}
			assert_int_equal(next, BAR + offset + bytes);
			if (offset % bytes == 0)
				assert_int_equal(world->device.sent_count, 1);
			world_destroy(world);
		}
}

/* A card whose bytes are their own addresses. */
static void answer_address(struct device *device, uint64_t at_ps, const struct tlp *tlp)
{
	uint8_t data[8];
	struct tlp cpl;
	struct tlp_completer completer;
	uint64_t addr;
	uint32_t bytes;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(tlp->addr + i);
	device->answers++;
	tlp_completer_start(&completer, tlp, CARD);
	assert_true(tlp_completer_next(&completer, 128, 128, false, &cpl, &addr, &bytes));
	cpl.payload = data;
	world_of_now()->due_count = 0;
	send_later(world_of_now(), at_ps + PS_PER_US, &cpl);
}

static void test_root_load_brings_the_bytes_at_its_address(void **state)
{
	static const unsigned sizes[] = {1, 2, 4, 8};
	struct world *world = world_make();
	(void)state;
	world->device.request = answer_address;
	for (unsigned s = 0; s < ARRAY_SIZE(sizes); s++)
		for (unsigned offset = 0; offset < 16; offset++) {
			uint64_t expected = 0;
			for (unsigned i = 0; i < sizes[s]; i++)
				expected |= (uint64_t)(offset + i) << 8 * i;
			world->device.answers = 0;
			assert_int_equal(root_mmio_read(world->root, BAR + offset, sizes[s]), expected);
			if (offset % sizes[s] == 0)
				assert_int_equal(world->device.answers, 1);
		}
	world_destroy(world);
}

static void test_root_load_that_fails_or_times_out_is_all_ones(void **state)
{
	struct world *world = world_make();
	(void)state;
	world->device.request = answer;
	world->device.status = TLP_UR;
	assert_int_equal(root_mmio_read(world->root, BAR, 4), UINT32_MAX);
	assert_int_equal(root_mmio_read(world->root, BAR, 8), UINT64_MAX);
	world->device.status = TLP_CA;
	assert_int_equal(root_mmio_read(world->root, BAR, 1), 0xff);
	assert_int_equal(root_stats(world->root)->timeouts, 0);
	assert_int_equal(world->log_lines, 0);
	/* No answer: exactly the timeout, and it is said. */
	world->device.request = NULL;
	uint64_t begin_ps = world->now_ps;
	assert_int_equal(root_mmio_read(world->root, BAR, 2), 0xffff);
	assert_int_equal(world->now_ps, begin_ps + TIMEOUT_PS);
	assert_int_equal(root_stats(world->root)->timeouts, 1);
	assert_int_equal(world->log_lines, 1);
	assert_non_null(strstr(world->log, "MRd timed out"));
	world_destroy(world);
}

static void answer_late(struct device *device, uint64_t at_ps, const struct tlp *tlp)
{
	answer(device, at_ps + (device->answers == 0 ? TIMEOUT_PS : 0), tlp);
}

/* It belongs to nobody, also if another read has been sent meanwhile. */
static void test_root_late_completion_is_dropped(void **state)
{
	struct world *world = world_make();
	(void)state;
	world->device.request = answer_late;
	world->device.value = 0x11111111;
	assert_int_equal(root_mmio_read(world->root, BAR, 4), UINT32_MAX);
	struct message late = world->due[0];
	world->device.value = 0x22222222;
	world->device.request = answer;
	world->due_count = 0;
	world_pass(world, late.at_ps + PS_PER_US);
	root_receive(world->root, world->now_ps, late.wire, late.size);
	assert_int_equal(root_mmio_read(world->root, BAR, 4), 0x22222222);
	root_receive(world->root, world->now_ps, late.wire, late.size);
	assert_int_equal(root_mmio_read(world->root, BAR, 4), 0x22222222);
	world_destroy(world);
}

/* All of the 256 tags are used in turn and given back, also by requests that time out. */
static void test_root_tags_do_not_run_out(void **state)
{
	struct world *world = world_make();
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		world->device.request = i % 3 ? answer : NULL;
		world->device.value = i;
		assert_int_equal(root_mmio_read(world->root, BAR, 4), i % 3 ? i : UINT32_MAX);
	}
	world_destroy(world);
}

/* ---- posted writes while the host waits ---- */

static void write_meanwhile(struct device *device, uint64_t at_ps, const struct tlp *tlp)
{
	uint8_t data[4] = {0};
	struct tlp write = request_of(TLP_MWR, MEMORY_BASE, 4, data);
	struct tlp message = request_of(TLP_MWR, ROOT_MSI_BASE | 3u << 12, 4, data);
	answer(device, at_ps, tlp);
	struct message completion = world_of_now()->due[0];
	world_of_now()->due_count = 0;
	store_le32(data, 0xfeed);
	send_later(world_of_now(), at_ps + 1000, &write);
	store_le32(data, 0x21);
	send_later(world_of_now(), at_ps + 2000, &message);
	world_of_now()->due[world_of_now()->due_count++] = completion;
}

/* The card may need its writes taken before it can answer (RC-011). */
static void test_root_takes_writes_while_a_read_of_its_own_waits(void **state)
{
	struct world *world = world_make();
	(void)state;
	world->device.request = write_meanwhile;
	world->device.value = 7;
	assert_int_equal(root_mmio_read(world->root, BAR, 4), 7);
	assert_int_equal(load_le32(world->memory.data), 0xfeed);
	assert_int_equal(world->interrupts, 1);
	assert_int_equal(world->interrupt[0].at_ps, 2000);
	assert_int_equal(world->interrupt[0].seen, 0xfeed);
	world_destroy(world);
}

static void test_root_credits_are_those_of_public_models(void **state)
{
	struct config config;
	(void)state;
	config_defaults(&config);
	assert_int_equal(config.link.posted_headers, 64);
	assert_int_equal(config.link.posted_data, 1024);
	assert_int_equal(config.link.non_posted_headers, 64);
	assert_int_equal(config.link.non_posted_data, 64);
}

/* Receivers must not advertise more than half of what the counters of 8 and 12 bits tell apart. */
static void test_root_credits_beyond_half_a_counter_are_refused(void **state)
{
	static const struct {
		const char *setting;
		int result;
	} cases[] = {
		{"link.posted_headers=127", 0},     {"link.posted_headers=128", -1},
		{"link.posted_data=2047", 0},       {"link.posted_data=2048", -1},
		{"link.non_posted_headers=127", 0}, {"link.non_posted_headers=128", -1},
		{"link.non_posted_data=2047", 0},   {"link.non_posted_data=2048", -1},
	};
	struct config config;
	char error[200];
	(void)state;
	config_defaults(&config);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(config_set(&config, cases[i].setting, error, sizeof(error)),
				 cases[i].result);
}

/* ---- resets ---- */

static void reset_meanwhile(struct device *device, uint64_t at_ps, const struct tlp *tlp)
{
	(void)at_ps, (void)tlp;
	device->request = NULL;
	root_hot_reset(world_of_now()->root);
}

static void test_root_hot_reset_ends_what_waits(void **state)
{
	struct world *world = world_make();
	struct tlp assert_intx = {.type = TLP_MSG,
				  .requester_id = CARD,
				  .msg_code = TLP_MSG_ASSERT_INTA,
				  .msg_route = TLP_ROUTE_LOCAL};
	(void)state;
	send_now(world, &assert_intx);
	world->device.request = reset_meanwhile;
	assert_int_equal(root_mmio_read(world->root, BAR, 4), UINT32_MAX);
	assert_int_equal(world->now_ps, 0); /* at once */
	assert_int_equal(world->device.resets, 1);
	assert_int_equal(root_stats(world->root)->timeouts, 0);
	assert_false(world->intx);
	world->device.request = answer;
	world->device.value = 5;
	assert_int_equal(root_mmio_read(world->root, BAR, 4), 5);
	world_destroy(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_root_config_access_is_one_dw_with_its_bytes_enabled, "TLP-011"),
		REQ_TEST(test_root_config_read_that_fails_is_all_ones, "RC-003"),
		REQ_TEST(test_root_config_request_answered_crs_is_repeated, "RC-003"),
		REQ_TEST(test_root_access_of_a_cpu_is_single_tlps_naturally_aligned, "RC-005"),
		REQ_TEST(test_root_load_brings_the_bytes_at_its_address, "RC-005"),
		REQ_TEST(test_root_load_that_fails_or_times_out_is_all_ones, "RC-009"),
		cmocka_unit_test(test_root_late_completion_is_dropped),
		cmocka_unit_test(test_root_tags_do_not_run_out),
		REQ_TEST(test_root_takes_writes_while_a_read_of_its_own_waits, "RC-011"),
		REQ_TEST(test_root_credits_are_those_of_public_models, "FC-017"),
		REQ_TEST(test_root_credits_beyond_half_a_counter_are_refused, "FC-009"),
		cmocka_unit_test(test_root_hot_reset_ends_what_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
