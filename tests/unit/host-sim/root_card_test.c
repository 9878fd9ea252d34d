/* What the root complex does with requests of the card: reads answered from memory, writes, interrupts, messages, and the
 * faults tests can inject. */
#include "tests/unit/host-sim/root_world.h"

/* ---- reads by the card ---- */

static void fill_memory(struct world *world)
{
	for (unsigned i = 0; i < 16384; i++)
		world->memory.data[i] = (uint8_t)(i * 7 + i / 256);
}

/* Independent of pcie/completion.c: what one read must bring. Returns the bytes of header and payload of its completions. */
static uint64_t check_completions(const struct world *world, unsigned first, uint64_t addr, uint32_t bytes,
				  uint32_t mps, uint32_t rcb, bool pieces)
{
	uint64_t at = addr, wire = 0;
	for (unsigned i = first; i < world->device.sent_count; i++) {
		const struct message *message = &world->device.sent[i];
		const struct tlp *cpl = &message->tlp;
		uint64_t left = addr + bytes - at;
		uint64_t end = min_u64(cpl->length_dw * 4u + (at & ~UINT64_C(3)), addr + bytes);
		assert_int_equal(cpl->type, TLP_CPLD);
		assert_int_equal(cpl->status, TLP_SC);
		assert_int_equal(cpl->byte_count, left);
		assert_int_equal(cpl->lower_addr, at & 0x7f);
		assert_true(cpl->length_dw * 4u <= mps);
		if (end != addr + bytes)
			assert_int_equal(end % rcb, 0);
		if (pieces)
			assert_true(end - at <= rcb && (at / rcb == (end - 1) / rcb));
		else if (end != addr + bytes) /* as large as may be */
			assert_true(end + rcb - (at & ~UINT64_C(3)) > mps);
		for (; at < end; at++)
			assert_int_equal(
				cpl->payload[at - (at & ~UINT64_C(3)) +
					     ((at & ~UINT64_C(3)) - ((addr + bytes - left) & ~UINT64_C(3)))],
				(uint8_t)((at - MEMORY_BASE) * 7 + (at - MEMORY_BASE) / 256));
		wire += message->size;
	}
	assert_int_equal(at, addr + bytes);
	return wire;
}

static void test_root_read_is_answered_in_pieces_of_mps_or_rcb(void **state)
{
	static const unsigned rcbs[] = {64, 128}, sizes[] = {128, 256, 512};
	(void)state;
	for (unsigned r = 0; r < 2; r++)
		for (unsigned s = 0; s < 3; s++)
			for (unsigned pieces = 0; pieces < 2; pieces++)
				for (uint32_t offset = 0; offset < 130; offset += 3)
					for (uint32_t bytes = 1; bytes <= 512; bytes = bytes * 3 + 1) {
						struct world *world = world_make();
						uint64_t addr = MEMORY_BASE + 4096 + offset;
						world->config.link.rcb = rcbs[r];
						world->config.link.mps = sizes[s];
						world->config.link.rcb_pieces = pieces;
						fill_memory(world);
						struct tlp read = request_of(TLP_MRD, addr, bytes, NULL);
						send_now(world, &read);
						check_completions(world, 0, addr, bytes, sizes[s], rcbs[r],
								  pieces);
						world_destroy(world);
					}
}

/* Each piece more costs a header of 12 bytes and framing of 8. */
static void test_root_pieces_of_rcb_cost_20_bytes_each(void **state)
{
	uint64_t wire[2];
	unsigned count[2];
	(void)state;
	for (unsigned pieces = 0; pieces < 2; pieces++) {
		struct world *world = world_make();
		world->config.link.rcb_pieces = pieces;
		fill_memory(world);
		struct tlp read = request_of(TLP_MRD, MEMORY_BASE + 4096, 512, NULL);
		send_now(world, &read);
		wire[pieces] = check_completions(world, 0, MEMORY_BASE + 4096, 512, 256, 64, pieces);
		count[pieces] = world->device.sent_count;
		world_destroy(world);
	}
	assert_int_equal(count[0], 2);
	assert_int_equal(count[1], 8);
	assert_int_equal(wire[1] + count[1] * LINK_TLP_OVERHEAD_BYTES -
				 (wire[0] + count[0] * LINK_TLP_OVERHEAD_BYTES),
			 20 * (8 - 2));
}

static void test_root_reads_overtake_each_other_but_none_itself(void **state)
{
	enum { READS = 32 };
	struct world *world = world_make();
	uint64_t last_ps[READS] = {0}, latest_ps = 0, total_ps = 0;
	unsigned next[READS] = {0}, overtaken = 0;
	(void)state;
	world->config.link.root_complex_jitter_pct = 100;
	fill_memory(world);
	for (uint16_t i = 0; i < READS; i++) {
		struct tlp read = request_of(TLP_MRD, MEMORY_BASE + 512u * i, 512, NULL);
		read.tag = i;
		send_now(world, &read);
	}
	assert_int_equal(world->device.sent_count, 2 * READS);
	for (unsigned i = 0; i < world->device.sent_count; i++) {
		const struct message *message = &world->device.sent[i];
		unsigned tag = message->tlp.tag;
		assert_int_equal(message->tlp.byte_count, next[tag]++ ? 256 : 512);
		assert_true(message->at_ps >= last_ps[tag]);
		last_ps[tag] = message->at_ps;
		overtaken += message->at_ps < latest_ps;
		latest_ps = max_u64(latest_ps, message->at_ps);
		total_ps += message->at_ps;
	}
	assert_true(overtaken > READS / 4);
	/* The mean is the one asked for, the standard deviation of it being 18 % here. */
	assert_in_range(total_ps / (2 * READS), 195 * PS_PER_NS, 700 * PS_PER_NS);
	/* Without jitter all take the same. */
	world->config.link.root_complex_jitter_pct = 0;
	world->device.sent_count = 0;
	for (uint16_t i = 0; i < READS; i++) {
		struct tlp read = request_of(TLP_MRD, MEMORY_BASE, 4, NULL);
		read.tag = i;
		send_now(world, &read);
		assert_int_equal(world->device.sent[i].at_ps, world->config.link.root_complex_ps);
		assert_int_equal(world->device.sent[i].tlp.tag, i);
		assert_int_equal(world->device.sent[i].tlp.requester_id, CARD);
	}
	world_destroy(world);
}

static void test_root_dma_outside_memory_is_refused_and_said(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t bytes;
	} cases[] = {
		{MEMORY_BASE - 4, 4},     {MEMORY_BASE - 4, 8}, {MEMORY_BASE + MEMORY_BYTES, 4},
		{MEMORY_BASE - 256, 256}, {0x1000, 64},         {UINT64_MAX - 3, 4},
		{UINT64_MAX - 4095, 256},
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *world = world_make();
		uint8_t data[256], before[256];
		memset(data, 0xaa, sizeof(data));
		fill_memory(world);
		memcpy(before, world->memory.data, sizeof(before));
		struct tlp read = request_of(TLP_MRD, cases[i].addr, 4, NULL);
		struct tlp write = request_of(TLP_MWR, cases[i].addr, 4, data);
		read.length_dw = write.length_dw = (uint16_t)(cases[i].bytes / 4);
		read.last_be = write.last_be = cases[i].bytes > 4 ? 0xf : 0;
		bool crosses = (cases[i].addr & 4095) + cases[i].bytes > 4096;
		read.tag = 9;
		send_now(world, &read);
		send_now(world, &write);
		if (crosses) { /* not even well-formed */
			assert_int_equal(world->device.sent_count, 0);
			assert_int_equal(root_stats(world->root)->violations, 2);
		} else {
			assert_int_equal(world->device.sent_count, 1);
			assert_int_equal(world->device.sent[0].tlp.type, TLP_CPL);
			assert_int_equal(world->device.sent[0].tlp.status, TLP_UR);
			assert_int_equal(world->device.sent[0].tlp.tag, 9);
			assert_int_equal(root_stats(world->root)->unsupported, 2);
		}
		assert_true(world->log_lines >= 2);
		assert_memory_equal(world->memory.data, before, sizeof(before));
		world_destroy(world);
	}
}

/* ---- memory that answers later ---- */

#define SLOW_BASE UINT64_C(0x40000000)

static bool ask(void *ctx, uint64_t addr, uint32_t bytes, unsigned token)
{
	unsigned *asked = ctx;
	assert_true(addr >= SLOW_BASE && bytes == 64);
	*asked = token;
	return true;
}

static void add_slow_memory(struct world *world, unsigned *asked)
{
	static const struct memory_ops ops = {.ask = ask};
	const struct memory_region region = {.base = SLOW_BASE,
					     .bytes = 4096,
					     .access = MEMORY_READ | MEMORY_WRITE,
					     .ops = &ops,
					     .ctx = asked};
	assert_int_equal(memory_add(&world->memory, &region), 0);
}

static void send_read(struct world *world, uint64_t addr, uint16_t tag)
{
	struct tlp read = request_of(TLP_MRD, addr, 64, NULL);
	read.tag = tag;
	send_now(world, &read);
}

static void test_root_read_is_answered_when_its_data_is_there(void **state)
{
	struct world *world = world_make();
	uint8_t data[64];
	unsigned token = 0;
	(void)state;
	memset(data, 0x5a, sizeof(data));
	add_slow_memory(world, &token);
	send_read(world, SLOW_BASE, 700);
	assert_int_equal(world->device.sent_count, 0);
	root_read_done(world->root, token, data);
	assert_int_equal(world->device.sent_count, 1);
	assert_int_equal(world->device.sent[0].tlp.tag, 700);
	assert_memory_equal(world->device.sent[0].tlp.payload, data, sizeof(data));
	root_read_done(world->root, token, data); /* once */
	assert_int_equal(world->device.sent_count, 1);
	/* No data after all. */
	send_read(world, SLOW_BASE + 64, 3);
	root_read_done(world->root, token, NULL);
	assert_int_equal(world->device.sent_count, 2);
	assert_int_equal(world->device.sent[1].tlp.status, TLP_UR);
	/* Forgotten by a reset. */
	send_read(world, SLOW_BASE, 4);
	root_hot_reset(world->root);
	root_read_done(world->root, token, data);
	assert_int_equal(world->device.sent_count, 2);
	world_destroy(world);
}

/* The card has given up a read and uses its tag for another: what comes late for the first must not be taken for data of the
 * second. */
static void test_root_late_data_is_not_sent_for_a_tag_that_is_used_again(void **state)
{
	struct world *world = world_make();
	uint8_t late[64];
	unsigned token = 0;
	(void)state;
	memset(late, 0x5a, sizeof(late));
	add_slow_memory(world, &token);
	fill_memory(world);
	send_read(world, SLOW_BASE, 5);
	send_read(world, MEMORY_BASE, 5);
	assert_int_equal(world->device.sent_count, 1);
	assert_memory_equal(world->device.sent[0].tlp.payload, world->memory.data, 64);
	root_read_done(world->root, token, late);
	assert_int_equal(world->device.sent_count, 1);
	/* The same with a second read that nobody answers (a fault of the host). */
	const struct root_fault drop = {
		.kind = ROOT_FAULT_DROP, .addr = MEMORY_BASE, .bytes = 64, .count = 1};
	root_inject(world->root, &drop);
	send_read(world, SLOW_BASE, 5);
	send_read(world, MEMORY_BASE, 5);
	root_read_done(world->root, token, late);
	assert_int_equal(world->device.sent_count, 1);
	world_destroy(world);
}

/* ---- writes by the card ---- */

/* All byte enables a write of one or two DWs may have (TLP-008), and longer ones: the bytes named change, all of them at
 * once: when root_receive is back the last of them is there, and not before (ORD-006). */
static void test_root_write_changes_the_bytes_enabled(void **state)
{
	uint8_t data[16];
	(void)state;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(0xa0 + i);
	for (unsigned dwords = 1; dwords <= 4; dwords++)
		for (unsigned first = 0; first < 16; first++)
			for (unsigned last = 0; last < 16; last++) {
				struct world *world = world_make();
				struct tlp write = {.type = TLP_MWR,
						    .requester_id = CARD,
						    .addr = MEMORY_BASE + 64,
						    .addr64 = true,
						    .length_dw = (uint16_t)dwords,
						    .first_be = (uint8_t)first,
						    .last_be = (uint8_t)last,
						    .payload = data};
				uint8_t wire[TLP_WIRE_BYTES_MAX];
				struct tlp decoded;
				size_t size = tlp_encode(&write, wire, sizeof(wire));
				bool legal = tlp_decode(&decoded, wire, size) == TLP_OK;
				root_receive(world->root, 0, wire, size);
				assert_int_equal(root_stats(world->root)->violations, !legal);
				for (unsigned i = 0; i < 16; i++) {
					unsigned dw = i / 4;
					unsigned be = dw == 0            ? first
						      : dw == dwords - 1 ? last
						      : dw < dwords      ? 0xf
									 : 0;
					bool changed = legal && (be >> i % 4 & 1);
					assert_int_equal(world->memory.data[64 + i], changed ? 0xa0 + i : 0);
				}
				assert_int_equal(world->memory.data[63] | world->memory.data[80], 0);
				world_destroy(world);
			}
}

static void test_root_interrupt_window_turns_writes_into_events(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t data;
		bool interrupt;
		unsigned cpu;
	} cases[] = {
		{ROOT_MSI_BASE, 0x20, true, 0},
		{ROOT_MSI_BASE + 0x1000, 0xff, true, 1},
		{ROOT_MSI_BASE + 0x3f000, 0x12345678, true, 63},
		{ROOT_MSI_BASE + ROOT_MSI_BYTES - 0x1000, 1, true, 255},
		{ROOT_MSI_BASE - 4, 0x20, false, 0},
		{ROOT_MSI_BASE + ROOT_MSI_BYTES, 0x20, false, 0},
		{MEMORY_BASE, 0x20, false, 0},
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *world = world_make();
		uint8_t data[4], wire[TLP_WIRE_BYTES_MAX];
		store_le32(data, cases[i].data);
		struct tlp tlp = request_of(TLP_MWR, cases[i].addr, 4, data);
		size_t size = tlp_encode(&tlp, wire, sizeof(wire));
		world->now_ps = 777;
		/* The link must not keep an interrupt waiting, but may a plain write. */
		assert_int_equal(root_urgent(world->root, wire, size), cases[i].interrupt);
		send_now(world, &tlp);
		assert_int_equal(world->interrupts, cases[i].interrupt);
		assert_int_equal(root_stats(world->root)->interrupts, cases[i].interrupt);
		if (cases[i].interrupt) {
			assert_int_equal(world->interrupt[0].cpu, cases[i].cpu);
			assert_int_equal(world->interrupt[0].vector, cases[i].data);
			assert_int_equal(world->interrupt[0].at_ps, 777);
			assert_int_equal(load_le32(world->memory.data), 0);
		}
		world_destroy(world);
	}
}

/* For a guest that has RAM where a PC's interrupts go. */
static void test_root_interrupt_window_at_the_top_leaves_the_other_to_memory(void **state)
{
	struct world *world = world_make_with(ROOT_MSI_BASE, ROOT_MSI_BASE_TOP);
	uint8_t wire[TLP_WIRE_BYTES_MAX];
	(void)state;
	write_word(world, ROOT_MSI_BASE + 0x3000, 0x1234);
	assert_int_equal(load_le32(world->memory.data + 0x3000), 0x1234);
	assert_int_equal(world->interrupts, 0);
	static const struct {
		uint64_t addr;
		bool interrupt;
	} cases[] = {
		{UINT64_C(0xffffffffffefff00), false},
		{UINT64_C(0xfffffffffff00000), true},
		{UINT64_C(0xfffffffffff3f000), true},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		const uint8_t data[4] = {0x20};
		struct tlp tlp = request_of(TLP_MWR, cases[i].addr, 4, data);
		size_t size = tlp_encode(&tlp, wire, sizeof(wire));
		assert_int_equal(root_urgent(world->root, wire, size), cases[i].interrupt);
		send_now(world, &tlp);
		assert_int_equal(world->interrupts, i);
	}
	assert_int_equal(world->interrupt[0].cpu, 0);
	assert_int_equal(world->interrupt[1].cpu, 0x3f);
	assert_int_equal(root_msi_addr(world->root, 0x3f), cases[2].addr);
	world_destroy(world);
}

/* An interrupt sees every write before it and none behind it. */
static void test_root_interrupts_keep_their_place_among_writes(void **state)
{
	struct world *world = world_make();
	(void)state;
	for (uint32_t i = 1; i <= 10; i++) {
		write_word(world, MEMORY_BASE, 2 * i);
		write_word(world, ROOT_MSI_BASE, i);
		write_word(world, MEMORY_BASE, 2 * i + 1);
		assert_int_equal(world->interrupt[i - 1].vector, i);
		assert_int_equal(world->interrupt[i - 1].seen, 2 * i);
	}
	world_destroy(world);
}

static void test_root_other_requests_and_messages_are_told_apart(void **state)
{
	static const enum tlp_type unsupported[] = {TLP_IORD, TLP_CFGRD0, TLP_CFGRD1, TLP_FETCHADD};
	struct world *world = world_make();
	uint8_t data[4] = {0};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(unsupported); i++) {
		struct tlp tlp = request_of(unsupported[i], MEMORY_BASE & UINT32_MAX, 4, data);
		tlp.last_be = 0;
		world->device.sent_count = 0;
		send_now(world, &tlp);
		assert_int_equal(world->device.sent_count, 1);
		assert_int_equal(world->device.sent[0].tlp.status, TLP_UR);
	}
	static const uint8_t codes[] = {TLP_MSG_ERR_COR, TLP_MSG_ERR_NONFATAL, TLP_MSG_ERR_FATAL,
					TLP_MSG_ASSERT_INTA, TLP_MSG_PME_TO_ACK};
	for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
		struct tlp tlp = {.type = TLP_MSG,
				  .requester_id = CARD,
				  .msg_code = codes[i],
				  .msg_route = codes[i] == TLP_MSG_ASSERT_INTA  ? TLP_ROUTE_LOCAL
					       : codes[i] == TLP_MSG_PME_TO_ACK ? TLP_ROUTE_GATHER
										: TLP_ROUTE_TO_RC};
		send_now(world, &tlp);
	}
	const struct root_stats *stats = root_stats(world->root);
	assert_int_equal(stats->err_cor, 1);
	assert_int_equal(stats->err_nonfatal, 1);
	assert_int_equal(stats->err_fatal, 1);
	assert_int_equal(stats->intx_messages, 1);
	assert_true(world->intx);
	assert_int_equal(world->log_lines, 0);
	struct tlp off = {.type = TLP_MSG,
			  .requester_id = CARD,
			  .msg_code = TLP_MSG_DEASSERT_INTA,
			  .msg_route = TLP_ROUTE_LOCAL};
	send_now(world, &off);
	assert_false(world->intx);
	off.msg_code = TLP_MSG_LTR;
	send_now(world, &off);
	assert_int_equal(world->log_lines, 1);
	world_destroy(world);
}

/* ---- faults ---- */

static void test_root_injected_faults_hit_the_reads_named(void **state)
{
	static const struct {
		enum root_fault_kind kind;
		unsigned completions;
		enum tlp_type type;
		unsigned status;
	} cases[] = {
		{ROOT_FAULT_UR, 1, TLP_CPL, TLP_UR},
		{ROOT_FAULT_CA, 1, TLP_CPL, TLP_CA},
		{ROOT_FAULT_CRS, 1, TLP_CPL, TLP_CRS},
		{ROOT_FAULT_RESERVED_STATUS, 1, TLP_CPL, 7},
		{ROOT_FAULT_NO_DATA, 1, TLP_CPL, TLP_SC},
		{ROOT_FAULT_DROP, 0, TLP_CPL, 0},
		{ROOT_FAULT_LATE, 1, TLP_CPLD, TLP_SC},
		{ROOT_FAULT_POISON, 1, TLP_CPLD, TLP_SC},
		{ROOT_FAULT_WRONG_TAG, 1, TLP_CPLD, TLP_SC},
		{ROOT_FAULT_BYTE_COUNT, 1, TLP_CPLD, TLP_SC},
		{ROOT_FAULT_LOWER_ADDRESS, 1, TLP_CPLD, TLP_SC},
		{ROOT_FAULT_DUPLICATE, 2, TLP_CPLD, TLP_SC},
		{ROOT_FAULT_WRONG_TC, 1, TLP_CPLD, TLP_SC},
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *world = world_make();
		struct device *device = &world->device;
		const struct root_fault fault = {.kind = cases[i].kind,
						 .addr = MEMORY_BASE + 100,
						 .bytes = 8,
						 .count = 1,
						 .skip = 1,
						 .delay_ps = 5 * PS_PER_US};
		struct tlp missed = request_of(TLP_MRD, MEMORY_BASE + 108, 8, NULL);
		struct tlp hit = request_of(TLP_MRD, MEMORY_BASE + 104, 8, NULL);
		root_inject(world->root, &fault);
		send_now(world, &missed);
		send_now(world, &hit); /* let through */
		assert_int_equal(device->sent_count, 2);
		send_now(world, &hit);
		assert_int_equal(device->sent_count, 2 + cases[i].completions);
		const struct tlp *good = &device->sent[1].tlp, *bad = &device->sent[2].tlp;
		if (cases[i].completions != 0) {
			assert_int_equal(bad->type, cases[i].type);
			assert_int_equal(bad->status, cases[i].status);
			assert_int_equal(bad->ep, cases[i].kind == ROOT_FAULT_POISON);
			assert_int_equal(bad->tag != good->tag, cases[i].kind == ROOT_FAULT_WRONG_TAG);
			assert_int_equal(bad->tc != good->tc, cases[i].kind == ROOT_FAULT_WRONG_TC);
			if (cases[i].type == TLP_CPLD) {
				assert_int_equal(bad->byte_count != good->byte_count,
						 cases[i].kind == ROOT_FAULT_BYTE_COUNT);
				assert_int_equal(bad->lower_addr != good->lower_addr,
						 cases[i].kind == ROOT_FAULT_LOWER_ADDRESS);
			}
			assert_int_equal(device->sent[2].at_ps - device->sent[1].at_ps, fault.delay_ps);
		}
		device->sent_count = 0; /* it is over */
		send_now(world, &hit);
		assert_int_equal(device->sent_count, 1);
		assert_int_equal(device->sent[0].tlp.type, TLP_CPLD);
		world_destroy(world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_root_read_is_answered_in_pieces_of_mps_or_rcb,
			 "RC-006 PERF-007 CPL-008 CPL-009 CPL-010"),
		REQ_TEST(test_root_pieces_of_rcb_cost_20_bytes_each, "PERF-007"),
		REQ_TEST(test_root_reads_overtake_each_other_but_none_itself, "RC-006"),
		REQ_TEST(test_root_dma_outside_memory_is_refused_and_said, "RC-007"),
		cmocka_unit_test(test_root_read_is_answered_when_its_data_is_there),
		cmocka_unit_test(test_root_late_data_is_not_sent_for_a_tag_that_is_used_again),
		REQ_TEST(test_root_write_changes_the_bytes_enabled, "ORD-006"),
		REQ_TEST(test_root_interrupt_window_turns_writes_into_events, "RC-008"),
		REQ_TEST(test_root_interrupt_window_at_the_top_leaves_the_other_to_memory, "RC-008"),
		REQ_TEST(test_root_interrupts_keep_their_place_among_writes, "RC-008 ORD-001"),
		cmocka_unit_test(test_root_other_requests_and_messages_are_told_apart),
		REQ_TEST(test_root_injected_faults_hit_the_reads_named, "RC-012"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
