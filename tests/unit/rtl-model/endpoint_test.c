/* The endpoint at work: enumeration, capabilities, registers, doorbells, reads that wait, the configuration window. */
#include "tests/unit/pcie/cfg_fixture.h"
#include "tests/unit/rtl-model/endpoint_fixture.h"

#define COMMON (BAR4_ADDR + 0x0000)
#define ISR    (BAR4_ADDR + 0x1000)
#define CONFIG (BAR4_ADDR + 0x2000)
#define NOTIFY (BAR4_ADDR + 0x3000)

#define CARD(...) card_enumerated((const char *const[]){__VA_ARGS__, NULL})

/* ---- enumeration ---- */

static void test_endpoint_before_firmware_is_up_asks_to_retry(void **state)
{
	(void)state;
	struct card *card = card_create(NULL);
	uint8_t data[4] = {0};
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(cfg_read_status(card, 0), TLP_CRS);
		struct tlp write = config_request(TLP_CFGWR0, BAR4, 0xf, data);
		assert_int_equal(card_wait(card, card_send(card, &write)), TLP_CRS);
		assert_int_equal(mem_read(card, BAR4_ADDR, 4, data), TLP_UR); /* never CRS */
		mem_write(card, BAR4_ADDR, 4, data);
	}
	card_firmware_up(card);
	assert_int_equal(cfg_rd(card, 0), 0x10421af4);
	assert_int_equal(endpoint_stats(card->endpoint)->retried, 6);
	card_free(card);
}

static void test_endpoint_identity(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	assert_int_equal(cfg_rd(card, 0x00), 0x10421af4);    /* modern block device */
	assert_true((cfg_rd(card, 0x08) & 0xff) >= 1);       /* Revision ID */
	assert_int_equal(cfg_rd(card, 0x08) >> 8, 0x010000); /* class: SCSI storage, as QEMU's */
	assert_true(cfg_rd(card, 0x2c) >> 16 >= 0x40);       /* Subsystem Device ID */
	assert_int_equal(cfg_rd(card, 0x3c) >> 8 & 0xff, 1); /* INTA */
	card_free(card);
}

struct capabilities {
	unsigned count[256];    /* by capability ID */
	unsigned types[256];    /* vendor capabilities by cfg_type */
	unsigned at[256];       /* the first of each type */
	uint32_t words[256][6]; /* its words */
	unsigned msix;
};

/* Walks the list as a driver does. */
static void walk(struct card *card, struct capabilities *c)
{
	memset(c, 0, sizeof(*c));
	unsigned at = cfg_rd(card, 0x34) & 0xfc;
	for (unsigned n = 0; at != 0; n++) {
		assert_true(n < 48);
		uint32_t word = cfg_rd(card, at);
		unsigned id = word & 0xff, type = word >> 24, bytes = word >> 16 & 0xff;
		c->count[id]++;
		if (id == 0x11)
			c->msix = at;
		if (id == 9) {
			assert_true(bytes >= 16 && at + bytes <= 0x100);
			if (c->types[type]++ == 0)
				c->at[type] = at;
			for (unsigned i = 0; i < bytes / 4 && i < 6; i++)
				c->words[type][i] = cfg_rd(card, at + 4 * i);
		}
		at = word >> 8 & 0xfc;
	}
}

static void test_endpoint_capabilities_describe_the_structures(void **state)
{
	(void)state;
	static const struct {
		const char *queues, *vectors, *data;
	} cases[] = {
		{"device.queues=1", "msix.vectors=0", "virtio.notification_data=off"},
		{"device.queues=64", "msix.vectors=0", "virtio.notification_data=on"},
		{"device.queues=5", "msix.vectors=2048", "virtio.notification_data=on"},
		{"device.queues=64", "msix.vectors=1", "virtio.notification_data=off"},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct card *card = CARD(cases[i].queues, cases[i].vectors, cases[i].data);
		struct capabilities c;
		walk(card, &c);
		unsigned queues = card->config.device.queues;
		assert_true(c.count[0x01] == 1 && c.count[0x10] == 1 && c.count[0x11] == 1);
		for (unsigned type = 1; type <= 5; type++)
			assert_int_equal(c.types[type], 1);
		assert_int_equal(c.types[8], 0); /* no shared memory */
		assert_int_equal(c.count[9], 5);
		static const unsigned bytes[] = {0, 16, 20, 16, 16, 20};
		for (unsigned type = 1; type <= 4; type++) {
			assert_int_equal(c.words[type][0] >> 16 & 0xff, bytes[type]);
			assert_int_equal(c.words[type][1] & 0xff, 4); /* BAR */
		}
		assert_int_equal(c.words[5][0] >> 16 & 0xff, bytes[5]);
		assert_int_equal(c.words[1][2] % 4, 0); /* common configuration */
		assert_true(c.words[1][3] >= 0x40);
		assert_true(c.words[3][3] >= 1);
		assert_int_equal(c.words[4][2] % 4, 0); /* device configuration */
		assert_true(c.words[4][3] >= 96);
		uint32_t offset = c.words[2][2], length = c.words[2][3], multiplier = c.words[2][4];
		assert_int_equal(offset % 4, 0);
		assert_true(multiplier != 0 && multiplier % 4 == 0 && is_power_of_2(multiplier));
		assert_true(length >= 4);
		for (unsigned queue = 0; queue < queues; queue++) {
			mem_write_value(card, COMMON + 0x16, 2, queue);
			uint64_t notify_off = mem_read_value(card, COMMON + 0x1e, 2);
			assert_true(length >= notify_off * multiplier + 4);
		}
		/* Structures inside the BAR and apart. */
		for (unsigned a = 1; a <= 4; a++) {
			assert_true(c.words[a][2] + c.words[a][3] <= 0x4000);
			for (unsigned b = 1; b < a; b++)
				assert_true(c.words[a][2] + c.words[a][3] <= c.words[b][2] ||
					    c.words[b][2] + c.words[b][3] <= c.words[a][2]);
		}
		unsigned vectors = card->config.msix.vectors ? card->config.msix.vectors : queues + 1;
		assert_int_equal(cfg_rd(card, c.msix) >> 16 & 0x7ff, vectors - 1);
		card_free(card);
	}
}

static void test_endpoint_id_captured_from_configuration_writes(void **state)
{
	(void)state;
	struct card *card = card_create(NULL);
	uint8_t data[4] = {0};
	card_firmware_up(card);
	struct tlp read = config_request(TLP_CFGRD0, 0, 0xf, NULL);
	read.dest_id = 0x0500; /* a read captures nothing */
	card_wait(card, card_send(card, &read));
	assert_int_equal(card->seen[card->seen_count - 1].tlp.completer_id, 0);
	static const uint16_t ids[] = {0x0500, 0x0508, 0xffe0, 0x0300};
	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
		struct tlp write = config_request(TLP_CFGWR0, 0x3c, 0x1, data);
		write.dest_id = ids[i];
		card_wait(card, card_send(card, &write));
		assert_int_equal(card->seen[card->seen_count - 1].tlp.completer_id, ids[i]);
		read.dest_id = 0x7778; /* any bus and device number is answered */
		assert_int_equal(card_wait(card, card_send(card, &read)), TLP_SC);
		assert_int_equal(card->seen[card->seen_count - 1].tlp.completer_id, ids[i]);
		/* The card's own requests carry it too. */
		cfg_wr16(card, COMMAND, COMMAND_MASTER);
		write.dest_id = ids[i];
		card_wait(card, card_send(card, &write));
		card->masters = true;
		uint8_t byte = 0;
		dma_request_fifo_push(
			dma_requests(card->dma, DMA_COPY), card->sim.now_ps,
			(struct dma_request){.addr = 0x1000, .bytes = 1, .write = true, .data = &byte});
		card_run(card, PS_PER_US);
		assert_int_equal(card->seen[card->seen_count - 1].tlp.type, TLP_MWR);
		assert_int_equal(card->seen[card->seen_count - 1].tlp.requester_id, ids[i]);
	}
	card_free(card);
}

static void test_endpoint_other_functions_and_type1_unsupported(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	uint8_t data[4] = {0xff, 0xff, 0xff, 0xff};
	for (unsigned function = 1; function < 8; function++) {
		struct tlp read = config_request(TLP_CFGRD0, 0, 0xf, NULL);
		read.dest_id = (uint16_t)(CARD_ID | function);
		assert_int_equal(card_wait(card, card_send(card, &read)), TLP_UR);
		struct tlp write = config_request(TLP_CFGWR0, COMMAND, 0xf, data);
		write.dest_id = (uint16_t)(0x0900 | function);
		assert_int_equal(card_wait(card, card_send(card, &write)), TLP_UR);
	}
	struct tlp read = config_request(TLP_CFGRD1, 0, 0xf, NULL);
	assert_int_equal(card_wait(card, card_send(card, &read)), TLP_UR);
	struct tlp write = config_request(TLP_CFGWR1, COMMAND, 0xf, data);
	write.dest_id = 0x0900;
	assert_int_equal(card_wait(card, card_send(card, &write)), TLP_UR);
	assert_int_equal(cfg_rd(card, COMMAND) & 0xffff, COMMAND_MEMORY | COMMAND_MASTER);
	/* None of those writes was captured. */
	assert_int_equal(card->seen[card->seen_count - 1].tlp.completer_id, CARD_ID);
	card_free(card);
}

static void test_endpoint_unknown_configuration_registers(void **state)
{
	(void)state;
	static const unsigned registers[] = {0x28, 0x30, 0x38, 0xf0, 0x200, 0xffc};
	struct card *card = CARD(NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(registers); i++) {
		uint32_t before = cfg_rd(card, registers[i]);
		cfg_wr(card, registers[i], 0xffffffff); /* completes SC */
		assert_int_equal(cfg_rd(card, registers[i]), before);
	}
	cfg_wr(card, 0x00, 0); /* read-only */
	assert_int_equal(cfg_rd(card, 0x00), 0x10421af4);
	card_free(card);
}

/* ---- memory space ---- */

static void test_endpoint_memory_space_off_is_unsupported(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	uint8_t data[4];
	cfg_wr16(card, COMMAND, COMMAND_MASTER);
	assert_int_equal(mem_read(card, COMMON, 4, data), TLP_UR);
	mem_write_value(card, NOTIFY, 2, 0);
	mem_write_value(card, COMMON + 0x20, 4, 0x1234);
	cfg_wr16(card, COMMAND, COMMAND_MASTER | COMMAND_MEMORY);
	assert_int_equal(mem_read_value(card, COMMON + 0x20, 4), 0);
	assert_int_equal(card->doorbell_count, 0);
	assert_int_equal(endpoint_stats(card->endpoint)->unsupported, 3);
	card_free(card);
}

static void test_endpoint_addresses_outside_bars_unsupported(void **state)
{
	(void)state;
	static const uint64_t addrs[] = {NOWHERE,
					 BAR1_ADDR - 4,
					 BAR1_ADDR + 0x1000,
					 BAR4_ADDR - 4,
					 BAR4_ADDR + 0x4000,
					 BAR4_ADDR & 0xffffffff, /* its lower half */
					 UINT64_C(0xfffffffffffffffc)};
	struct card *card = CARD(NULL);
	uint8_t data[4];
	for (unsigned i = 0; i < ARRAY_SIZE(addrs); i++) {
		assert_int_equal(mem_read(card, addrs[i], 4, data), TLP_UR);
		mem_write_value(card, addrs[i], 4, 0xffffffff);
	}
	card_run(card, PS_PER_US);
	assert_int_equal(endpoint_stats(card->endpoint)->unsupported, 2 * ARRAY_SIZE(addrs));
	assert_int_equal(card->doorbell_count, 0);
	card_free(card);
}

/* The BAR is where it is when the request is looked at. */
static void test_endpoint_moved_bar_answers_at_new_address(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	uint8_t data[4];
	cfg_wr(card, BAR4, 0xffffffff); /* sizing with decode on: no crash */
	cfg_wr(card, BAR5, 0xffffffff);
	assert_int_equal(cfg_rd(card, BAR4), 0xffffc00c);
	assert_int_equal(mem_read(card, COMMON, 4, data), TLP_UR);
	cfg_wr(card, BAR4, 0x80000000);
	cfg_wr(card, BAR5, 0);
	assert_int_equal(mem_read_value(card, 0x80000012, 2), 1);
	card_free(card);
}

static void test_endpoint_bar_gaps_constant(void **state)
{
	(void)state;
	static const uint64_t addrs[] = {COMMON + 0x40, COMMON + 0xffc, ISR + 4,           ISR + 0xffc,
					 CONFIG + 96,   CONFIG + 0xffc, BAR1_ADDR + 0x7fc, BAR1_ADDR + 0xffc};
	struct card *card = CARD(NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(addrs); i++) {
		mem_write_value(card, addrs[i], 4, 0xffffffff);
		assert_int_equal(mem_read_value(card, addrs[i], 4), 0);
	}
	assert_int_equal(endpoint_stats(card->endpoint)->unsupported, 0);
	card_free(card);
}

/* ---- reads ---- */

/* A table of 2048 entries with known contents: 32 KiB to read from in any way. The fixture checks every completion. */
static void fill_table(struct card *card, uint8_t *table)
{
	struct rng rng;
	rng_seed(&rng, 11, 0);
	for (uint32_t at = 0; at < 0x8000; at += 4) {
		static const uint32_t existing[4] = {0xfffffffc, 0xffffffff, 0xffffffff, 1};
		uint32_t value = (uint32_t)rng_u64(&rng);
		msix_bar_write32(card->msix, 0, at, value, 0xf);
		store_le32(table + at, value & existing[at / 4 % 4]);
	}
}

static void test_endpoint_reads_of_any_span_split_right(void **state)
{
	(void)state;
	struct card *card = CARD("msix.vectors=2048");
	static uint8_t table[0x8000], data[4096];
	struct rng rng;
	rng_seed(&rng, test_seed(9), 0);
	fill_table(card, table);
	for (unsigned code = 0; code <= 3; code++) { /* Max_Payload_Size 128..1024 */
		cfg_wr16(card, DEVCTL, 0x2810 | code << 5);
		for (unsigned n = 0; n < 400; n++) {
			uint32_t page = (uint32_t)rng_below(&rng, 8) * 4096;
			uint32_t at = (uint32_t)rng_below(&rng, 4096);
			uint32_t bytes = rng_below(&rng, 2)
						 ? 1 + (uint32_t)rng_below(&rng, 4096 - at)
						 : 1 + (uint32_t)rng_below(&rng, min_u32(16, 4096 - at));
			assert_int_equal(mem_read(card, BAR1_ADDR + page + at, bytes, data), TLP_SC);
			assert_memory_equal(data, table + page + at, bytes);
		}
		assert_int_equal(mem_read(card, BAR1_ADDR, 4096, data), TLP_SC);
		unsigned completions = card->asked[(card->next_tag - 1) % TAGS].completions;
		assert_int_equal(completions, 4096 / (128u << code));
	}
	card_free(card);
}

/* The rows of CPL-005, CPL-006 and CPL-007, typed from the specification. */
static void test_endpoint_completion_byte_count_and_lower_address(void **state)
{
	(void)state;
	static const struct {
		uint8_t first_be, last_be;
		unsigned length_dw, offset, byte_count, lower_addr;
	} cases[] = {
		{0xf, 0, 1, 0x10, 4, 0x10},   {0x9, 0, 1, 0x10, 4, 0x10},   {0xd, 0, 1, 0x10, 4, 0x10},
		{0x5, 0, 1, 0x10, 3, 0x10},   {0x7, 0, 1, 0x10, 3, 0x10},   {0xa, 0, 1, 0x10, 3, 0x11},
		{0xe, 0, 1, 0x10, 3, 0x11},   {0x3, 0, 1, 0x10, 2, 0x10},   {0x6, 0, 1, 0x10, 2, 0x11},
		{0xc, 0, 1, 0x10, 2, 0x12},   {0x1, 0, 1, 0x10, 1, 0x10},   {0x2, 0, 1, 0x10, 1, 0x11},
		{0x4, 0, 1, 0x10, 1, 0x12},   {0x8, 0, 1, 0x10, 1, 0x13},   {0x0, 0, 1, 0x10, 1, 0x10},
		{0x8, 0xf, 2, 0x00, 5, 0x03}, {0xc, 0x3, 2, 0x7c, 4, 0x7e}, {0xf, 0xf, 16, 0x00, 64, 0x00},
	};
	struct card *card = CARD("msix.vectors=64");
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tlp read = memory_request(TLP_MRD, BAR1_ADDR + cases[i].offset, 4, NULL);
		read.length_dw = (uint16_t)cases[i].length_dw;
		read.first_be = cases[i].first_be;
		read.last_be = cases[i].last_be;
		assert_int_equal(card_wait(card, card_send(card, &read)), TLP_SC);
		const struct tlp *cpl = &card->seen[card->seen_count - 1].tlp;
		assert_int_equal(cpl->byte_count, cases[i].byte_count);
		assert_int_equal(cpl->lower_addr, cases[i].lower_addr);
		assert_int_equal(cpl->length_dw, cases[i].length_dw);
	}
	card_free(card);
}

static void test_endpoint_completion_copies_attributes_and_class(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	for (unsigned n = 0; n < 64; n++) {
		struct tlp read = memory_request(TLP_MRD, COMMON, 8, NULL);
		read.tc = n % 8;
		read.attr = n / 8;
		read.requester_id = (uint16_t)(n * 1031);
		assert_int_equal(card_wait(card, card_send(card, &read)),
				 TLP_SC); /* compared by the fixture */
		struct tlp nowhere = memory_request(TLP_MRD, NOWHERE, 8, NULL);
		nowhere.tc = n % 8;
		nowhere.attr = n / 8;
		nowhere.requester_id = (uint16_t)(n * 77);
		assert_int_equal(card_wait(card, card_send(card, &nowhere)), TLP_UR);
	}
	card_free(card);
}

static void raise_isr(struct card *card)
{
	virtio_config_interrupt(&card->virtio, card->sim.now_ps);
}

static void test_endpoint_zero_length_accesses_do_nothing(void **state)
{
	(void)state;
	static const uint64_t addrs[] = {COMMON + 0x14, ISR, CONFIG, NOTIFY, BAR1_ADDR + 12};
	struct card *card = CARD(NULL);
	static const uint8_t ones[4] = {0xff, 0xff, 0xff, 0xff};
	raise_isr(card);
	for (unsigned i = 0; i < ARRAY_SIZE(addrs); i++) {
		struct tlp read = memory_request(TLP_MRD, addrs[i], 4, NULL);
		read.first_be = 0;
		unsigned tag = card_send(card, &read);
		assert_int_equal(card_wait(card, tag), TLP_SC);
		assert_int_equal(card->asked[tag].completions, 1);
		assert_int_equal(card->seen[card->seen_count - 1].tlp.length_dw, 1);
		struct tlp write = memory_request(TLP_MWR, addrs[i], 4, ones);
		write.first_be = 0;
		card_send(card, &write);
	}
	card_run(card, PS_PER_US);
	assert_int_equal(card->doorbell_count, 0);
	assert_int_equal(mem_read_value(card, COMMON + 0x14, 1), 0);
	assert_int_equal(mem_read_value(card, BAR1_ADDR + 12, 4), 1);
	assert_int_equal(mem_read_value(card, ISR, 1), 2); /* still set */
	card_free(card);
}

/* A zero-length read behind a write comes back when the write has been taken. */
static void test_endpoint_zero_length_read_flushes_writes(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	for (unsigned n = 0; n < 20; n++)
		mem_write_value(card, COMMON + 0x20, 4, n);
	struct tlp read = memory_request(TLP_MRD, BAR1_ADDR, 4, NULL);
	read.first_be = 0;
	card_wait(card, card_send(card, &read));
	assert_int_equal(card->virtio.queue[0].desc, 19);
	card_free(card);
}

static void test_endpoint_isr_cleared_once_by_wide_read(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	uint8_t data[64];
	for (unsigned n = 0; n < 3; n++) {
		raise_isr(card);
		assert_int_equal(mem_read(card, ISR, n == 0 ? 1 : n == 1 ? 8 : 64, data), TLP_SC);
		assert_int_equal(data[0], 2);
		assert_int_equal(mem_read_value(card, ISR, 1), 0);
	}
	/* Not by its neighbours. */
	raise_isr(card);
	mem_read_value(card, ISR + 1, 1);
	mem_read_value(card, ISR + 2, 2);
	mem_read(card, ISR + 1, 40, data);
	assert_int_equal(mem_read_value(card, ISR, 1), 2);
	card_free(card);
}

/* With processing hints the byte enables are a steering tag: every byte is read (TLP-010). */
static void test_endpoint_read_with_hints_reads_all_bytes(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	for (unsigned tag = 0; tag < 256; tag += 51) {
		raise_isr(card);
		struct tlp read = memory_request(TLP_MRD, ISR, 4, NULL);
		read.th = true;
		read.first_be = tag & 0xf;
		read.last_be = tag >> 4;
		unsigned number = card_send(card, &read);
		assert_int_equal(card_wait(card, number), TLP_SC);
		assert_int_equal(card->asked[number].bytes, 4);
		assert_int_equal(card->asked[number].data[0], 2);
		assert_int_equal(mem_read_value(card, ISR, 1), 0);
	}
	card_free(card);
}

static void test_endpoint_registers_take_byte_lanes_and_wide_writes(void **state)
{
	(void)state;
	struct card *card = CARD("device.queues=4");
	uint8_t queue[24];
	for (unsigned i = 0; i < sizeof(queue); i++)
		queue[i] = (uint8_t)(0x10 + i);
	mem_write_value(card, COMMON + 0x16, 2, 3);
	mem_write(card, COMMON + 0x20, sizeof(queue), queue); /* three addresses at once */
	assert_int_equal(mem_read_value(card, COMMON + 0x20, 8), UINT64_C(0x1716151413121110));
	assert_int_equal(mem_read_value(card, COMMON + 0x30, 8), UINT64_C(0x2726252423222120));
	mem_write_value(card, COMMON + 0x25, 1, 0xee);
	assert_int_equal(mem_read_value(card, COMMON + 0x20, 8), UINT64_C(0x1716ee1413121110));
	assert_int_equal(mem_read_value(card, COMMON + 0x14, 1), 0); /* status is a lane of its own */
	assert_int_equal(mem_read_value(card, COMMON + 0x16, 2), 3);
	card_free(card);
}

/* ---- doorbells ---- */

/* An observer is told of each, with the time at which it gets to the notify unit. */
struct seen_doorbell {
	unsigned count, queue;
	uint64_t at_ps;
};

static void see_doorbell(void *ctx, uint64_t at_ps, unsigned queue)
{
	struct seen_doorbell *seen = ctx;
	seen->count++;
	seen->queue = queue;
	seen->at_ps = at_ps;
}

static void test_endpoint_doorbell_address_tells_the_queue(void **state)
{
	(void)state;
	struct card *card = CARD("device.queues=64");
	struct capabilities c;
	struct seen_doorbell seen = {0};
	card->probe.observer = (struct probe_observer){.ctx = &seen, .doorbell = see_doorbell};
	walk(card, &c);
	for (unsigned queue = 0; queue < 64; queue++) {
		mem_write_value(card, COMMON + 0x16, 2, queue);
		uint64_t notify_off = mem_read_value(card, COMMON + 0x1e, 2);
		uint64_t addr = BAR4_ADDR + c.words[2][2] + notify_off * c.words[2][4];
		uint64_t before_ps = card->sim.now_ps;
		/* The value may disagree. */
		mem_write_value(card, addr, queue % 2 ? 2 : 4, queue % 3 ? queue : 63 - queue);
		card_run(card, PS_PER_US);
		assert_int_equal(card->doorbell_count, queue + 1);
		assert_int_equal(card->doorbells[queue], queue);
		assert_int_equal(seen.count, queue + 1);
		assert_int_equal(seen.queue, queue);
		assert_true(seen.at_ps > before_ps && seen.at_ps < before_ps + PS_PER_US);
	}
	card_free(card);
}

static void test_endpoint_doorbell_width_and_lane(void **state)
{
	(void)state;
	static const struct {
		unsigned lane, bytes;
	} cases[] = {{0, 2}, {0, 1}, {0, 4}, {0, 8}, {2, 2}, {3, 1}, {0, 16}, {0, 64}};
	struct card *card = CARD("device.queues=64");
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t data[64];
		memset(data, 0xff, sizeof(data));
		mem_write(card, NOTIFY + 4 * 5 + cases[i].lane, cases[i].bytes, data);
		card_run(card, PS_PER_US);
		assert_int_equal(card->doorbell_count, i + 1); /* one, and of the right queue */
		assert_int_equal(card->doorbells[i], 5);
	}
	card_free(card);
}

static uint32_t next_doorbell_value(struct card *card)
{
	notify_sleep(card, true);
	card_run(card, PS_PER_US);
	assert_int_equal(doorbell_fifo_count(&card->notify->doorbells), 1);
	uint32_t value = doorbell_fifo_peek(&card->notify->doorbells)->value;
	notify_sleep(card, false);
	card_run(card, PS_PER_US);
	return value;
}

static void test_endpoint_doorbell_value_has_written_bytes_only(void **state)
{
	(void)state;
	struct card *card = CARD("virtio.notification_data=on");
	mem_write_value(card, NOTIFY, 4, 0x12340000);
	assert_int_equal(next_doorbell_value(card), 0x12340000);
	mem_write_value(card, NOTIFY, 2, 0x5678); /* no avail.idx came with it */
	assert_int_equal(next_doorbell_value(card), 0x5678);
	mem_write_value(card, NOTIFY + 2, 2, 0x9abc);
	assert_int_equal(next_doorbell_value(card), 0x9abc0000);
	card_free(card);
}

static void test_endpoint_notify_region_reads_zero(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	static const uint8_t zeroes[4096];
	uint8_t data[4096];
	assert_int_equal(mem_read(card, NOTIFY, 4096, data), TLP_SC);
	assert_memory_equal(data, zeroes, sizeof(data));
	assert_int_equal(card->doorbell_count, 0);
	card_free(card);
}

/* A read behind a doorbell is answered when the doorbell has been acted upon. */
static void test_endpoint_doorbell_before_read_behind_it(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	for (unsigned n = 1; n <= 20; n++) {
		mem_write_value(card, NOTIFY, 2, 0);
		mem_read_value(card, COMMON, 4);
		assert_int_equal(endpoint_stats(card->endpoint)->doorbells, n);
	}
	card_free(card);
}

/* More doorbells than the queue to the notify unit holds wait, and none is lost. */
static void test_endpoint_doorbell_burst_waits_for_room(void **state)
{
	(void)state;
	struct card *card = CARD("notify.mode=fifo", "notify.fifo_depth=1024");
	notify_sleep(card, true);
	for (unsigned n = 0; n < 300; n++)
		mem_write_value(card, NOTIFY, 2, 0);
	struct tlp read = memory_request(TLP_MRD, COMMON, 4, NULL);
	unsigned tag = card_send(card, &read);
	card_run(card, 10 * PS_PER_US);
	assert_true(doorbell_fifo_full(&card->notify->doorbells));
	assert_false(card->asked[tag].done); /* behind the doorbells */
	notify_sleep(card, false);
	assert_int_equal(card_wait(card, tag), TLP_SC);
	card_run(card, 100 * PS_PER_US);
	assert_int_equal(card->doorbell_count, 300);
	card_free(card);
}

/* ---- reads that wait for the firmware ---- */

static void test_endpoint_status_read_waits_and_posted_writes_pass(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	card->firmware_ps = 20 * PS_PER_US;
	mem_write_value(card, COMMON + 0x14, 1, 1);
	struct tlp status = memory_request(TLP_MRD, COMMON + 0x14, 1, NULL);
	struct tlp behind = memory_request(TLP_MRD, COMMON + 0x12, 2, NULL);
	struct tlp config = config_request(TLP_CFGRD0, 0, 0xf, NULL);
	unsigned tags[] = {card_send(card, &status), card_send(card, &behind), card_send(card, &config)};
	/* Posted writes and completions are accepted meanwhile. */
	mem_write_value(card, NOTIFY, 2, 0);
	program_vector(card, 0, 0xfee00000, 5);
	uint8_t data[8];
	dma_request_fifo_push(dma_requests(card->dma, DMA_COPY), card->sim.now_ps,
			      (struct dma_request){.addr = 0x1000, .bytes = 8, .data = data});
	card_run(card, 5 * PS_PER_US);
	assert_int_equal(card->doorbell_count, 1);
	assert_int_equal(msix_bar_read32(card->msix, 8), 5);
	assert_true(dma_done_fifo_ready(&card->dma_done, card->sim.now_ps));
	assert_int_equal(dma_done_fifo_pop(&card->dma_done, card->sim.now_ps).status, DMA_OK);
	for (unsigned i = 0; i < 3; i++)
		assert_false(card->asked[tags[i]].done);
	card_run(card, 20 * PS_PER_US);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(card->asked[tags[i]].done);
		assert_int_equal(card->asked[tags[i]].status, TLP_SC);
		assert_true(i == 0 || card->asked[tags[i]].done_ps > card->asked[tags[i - 1]].done_ps);
	}
	assert_int_equal(card->asked[tags[0]].data[0], 1);
	assert_int_equal(endpoint_stats(card->endpoint)->held, 3);
	card_free(card);
}

static void test_endpoint_status_polled_during_long_reset(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	bring_up_virtio(card);
	card->firmware_hangs = true;
	mem_write_value(card, COMMON + 0x14, 1, 0);
	for (unsigned n = 0; n < 50; n++)
		assert_int_equal(mem_read_value(card, COMMON + 0x14, 1), 0x0f);
	card->firmware_hangs = false;
	sim_wake(card->firmware_process, card->sim.now_ps);
	card_run(card, 10 * PS_PER_US);
	assert_int_equal(mem_read_value(card, COMMON + 0x14, 1), 0);
	card_free(card);
}

/* As many as there are tags, more than can be held: each is answered exactly once. */
static void test_endpoint_flood_of_waiting_reads_all_answered(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	unsigned tags[600], ok = 0;
	card->firmware_ps = 200 * PS_PER_US;
	mem_write_value(card, COMMON + 0x14, 1, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(tags); i++) {
		struct tlp read = i % 2 ? config_request(TLP_CFGRD0, 4 * (i % 64), 0xf, NULL)
					: memory_request(TLP_MRD, COMMON + 0x14, 1, NULL);
		tags[i] = card_send(card, &read);
	}
	card_run(card, 100 * PS_PER_US);
	for (unsigned i = 0; i < ARRAY_SIZE(tags); i++)
		assert_int_equal(card->asked[tags[i]].done, i >= 256); /* more than fit: UR at once */
	card_run(card, 200 * PS_PER_US);
	assert_true(card_all_answered(card));
	for (unsigned i = 0; i < ARRAY_SIZE(tags); i++)
		ok += card->asked[tags[i]].status == TLP_SC;
	assert_int_equal(ok, 256);
	assert_int_equal(mem_read_value(card, COMMON + 0x14, 1), 1);
	card_free(card);
}

/* Decided by the state when they are looked at: memory space is off by then. */
static void test_endpoint_held_request_decided_when_processed(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	static const uint8_t off[4] = {0};
	cfg_wr(card, COR_MASK, 0);
	card->firmware_ps = 20 * PS_PER_US;
	mem_write_value(card, COMMON + 0x14, 1, 1);
	struct tlp first = memory_request(TLP_MRD, COMMON + 0x14, 1, NULL);
	struct tlp command = config_request(TLP_CFGWR0, COMMAND, 0x3, off);
	struct tlp second = memory_request(TLP_MRD, COMMON + 0x14, 1, NULL);
	unsigned tags[] = {card_send(card, &first), card_send(card, &command), card_send(card, &second)};
	card_run(card, 50 * PS_PER_US);
	assert_int_equal(card->asked[tags[0]].status, TLP_SC);
	assert_int_equal(card->asked[tags[1]].status, TLP_SC);
	assert_int_equal(card->asked[tags[2]].status, TLP_UR);
	assert_true(card_all_answered(card));
	/* The header of the late error is logged like any other's. */
	assert_int_equal(cfg_rd(card, UNCOR_STATUS), 1u << AER_UNSUPPORTED_REQUEST);
	assert_int_equal(cfg_rd(card, HEADER_LOG + 8), (COMMON + 0x14) >> 32);
	assert_int_equal(cfg_rd(card, HEADER_LOG + 12), (COMMON + 0x14) & 0xffffffff);
	card_free(card);
}

/* ---- completions behind posted writes ---- */

static void test_endpoint_read_completion_pushes_earlier_writes(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	static uint8_t data[4096];
	for (unsigned n = 0; n < 30; n++) {
		unsigned from = card->seen_count;
		link_hold_credits(card->up, card->sim.now_ps, card->sim.now_ps + n % 3 * 2 * PS_PER_US);
		for (unsigned i = 0; i < 4; i++)
			dma_request_fifo_push(dma_requests(card->dma, DMA_COPY), card->sim.now_ps,
					      (struct dma_request){.addr = 0x100000 + i * 4096,
								   .bytes = 4096,
								   .write = true,
								   .data = data});
		unsigned done = 0;
		while (done < 4) { /* the card has written, and says so */
			card_run(card, 1000);
			while (dma_done_fifo_ready(&card->dma_done, card->sim.now_ps)) {
				dma_done_fifo_pop(&card->dma_done, card->sim.now_ps);
				done++;
			}
		}
		virtio_queue_interrupt(&card->virtio, card->sim.now_ps, 0);
		assert_int_equal(mem_read_value(card, ISR, 1), 1);
		unsigned written = 0;
		for (unsigned i = from; i + 1 < card->seen_count; i++) /* before the completion */
			written += card->seen[i].tlp.type == TLP_MWR ? card->seen[i].tlp.length_dw * 4 : 0;
		assert_int_equal(written, 4 * 4096);
		assert_int_equal(card->seen[card->seen_count - 1].tlp.type, TLP_CPLD);
		card_run(card, 10 * PS_PER_US);
	}
	card_free(card);
}

/* ---- the PCI configuration access window ---- */

static void set_window(struct card *card, unsigned bar, uint32_t offset, uint32_t length)
{
	cfg_wr_be(card, WINDOW + 4, bar, 0x1);
	cfg_wr(card, WINDOW + 8, offset);
	cfg_wr(card, WINDOW + 12, length);
}

static uint32_t window_rd(struct card *card, uint32_t offset, uint32_t length)
{
	set_window(card, 4, offset, length);
	return cfg_rd(card, WINDOW + 16);
}

static void window_wr(struct card *card, uint32_t offset, uint32_t length, uint32_t value)
{
	set_window(card, 4, offset, length);
	cfg_wr_be(card, WINDOW + 16, value, (uint8_t)((1u << length) - 1));
}

static void test_endpoint_window_reads_equal_direct_reads(void **state)
{
	(void)state;
	struct card *card = CARD("device.queues=3");
	mem_write_value(card, COMMON + 0x20, 8, UINT64_C(0x1122334455667788));
	for (uint32_t offset = 0; offset < 0x40; offset++)
		for (uint32_t length = 1; length <= 4; length *= 2)
			if (offset % length == 0)
				assert_int_equal(window_rd(card, offset, length),
						 mem_read_value(card, COMMON + offset, length));
	for (uint32_t offset = 0; offset < 100; offset++)
		for (uint32_t length = 1; length <= 4; length *= 2)
			if (offset % length == 0)
				assert_int_equal(window_rd(card, 0x2000 + offset, length),
						 mem_read_value(card, CONFIG + offset, length));
	card_free(card);
}

static void test_endpoint_window_writes_equal_direct_writes(void **state)
{
	(void)state;
	struct card *card = CARD("device.queues=3");
	window_wr(card, 0x16, 2, 2); /* queue_select */
	assert_int_equal(mem_read_value(card, COMMON + 0x16, 2), 2);
	window_wr(card, 0x20, 4, 0xcafe0001);
	window_wr(card, 0x26, 2, 0xbeef);
	window_wr(card, 0x24, 1, 0x77);
	assert_int_equal(mem_read_value(card, COMMON + 0x20, 8), UINT64_C(0xbeef0077cafe0001));
	window_wr(card, 0x14, 1, 3); /* device_status, and the read of it waits */
	assert_int_equal(window_rd(card, 0x14, 1), 3);
	window_wr(card, 0x14, 1, 0);
	assert_int_equal(mem_read_value(card, COMMON + 0x14, 1), 0);
	window_wr(card, 0x3000 + 4 * 2, 2, 2); /* doorbells */
	window_wr(card, 0x3000 + 4 * 1, 4, 1);
	card_run(card, PS_PER_US);
	assert_int_equal(card->doorbell_count, 2);
	assert_int_equal(card->doorbells[0], 2);
	assert_int_equal(card->doorbells[1], 1);
	raise_isr(card);
	assert_int_equal(window_rd(card, 0x1000, 1), 2); /* clears */
	assert_int_equal(window_rd(card, 0x1000, 1), 0);
	card_free(card);
}

static void test_endpoint_window_works_without_memory_space(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	cfg_wr16(card, COMMAND, 0);
	assert_int_equal(window_rd(card, 0x12, 2), 1); /* boot firmware that cannot map BARs */
	card_free(card);
}

static void test_endpoint_window_bad_settings_access_nothing(void **state)
{
	(void)state;
	static const struct {
		unsigned bar;
		uint32_t offset, length;
	} cases[] = {
		{4, 0x14, 0},       {4, 0x14, 3},   {4, 0x14, 8},       {4, 0x14, 0x80000001},
		{4, 0x15, 2},       {4, 0x16, 4},   {4, 0x13, 4},       {0, 0x14, 1},
		{1, 0x14, 1},       {5, 0x14, 1},   {6, 0x14, 1},       {255, 0x14, 1},
		{4, 0x4000, 1},     {4, 0x4000, 4}, {4, 0xfffffffc, 4}, {4, 0xffffffff, 1},
		{4, 0x80000014, 1},
	};
	struct card *card = CARD(NULL);
	bring_up_virtio(card);
	raise_isr(card);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		set_window(card, cases[i].bar, cases[i].offset, cases[i].length);
		struct virtio_regs before = card->virtio;
		cfg_wr(card, WINDOW + 16, 0);
		cfg_rd(card, WINDOW + 16);
		assert_memory_equal(&before, &card->virtio, sizeof(before));
	}
	assert_int_equal(card->doorbell_count, 0);
	assert_int_equal(mem_read_value(card, COMMON + 0x14, 1), 0x0f);
	card_free(card);
}

/* The other fields of the capability may be read and written without any access of the BAR. */
static void test_endpoint_window_fields_have_no_side_effect(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	raise_isr(card);
	set_window(card, 4, 0x1000, 1);
	for (unsigned i = 0; i < 4; i++)
		cfg_rd(card, WINDOW + 4 * i);
	struct tlp nothing = config_request(TLP_CFGRD0, WINDOW + 16, 0, NULL);
	assert_int_equal(card_wait(card, card_send(card, &nothing)), TLP_SC);
	assert_int_equal(cfg_rd(card, WINDOW + 16), 2);
	card_free(card);
}

/* All of them wait behind a status read, and are then carried out at once: more than the notify unit has room for. */
static void test_endpoint_held_window_doorbells_none_lost(void **state)
{
	(void)state;
	struct card *card = CARD("notify.mode=fifo", "notify.fifo_depth=1024");
	set_window(card, 4, 0x3000, 2);
	card->firmware_ps = 100 * PS_PER_US;
	mem_write_value(card, COMMON + 0x14, 1, 1);
	struct tlp status = memory_request(TLP_MRD, COMMON + 0x14, 1, NULL);
	card_send(card, &status);
	static const uint8_t data[4];
	for (unsigned n = 0; n < 200; n++) {
		struct tlp write = config_request(TLP_CFGWR0, WINDOW + 16, 0x3, data);
		card_send(card, &write);
	}
	card_run(card, 50 * PS_PER_US);
	assert_int_equal(endpoint_stats(card->endpoint)->held, 201);
	card_run(card, 300 * PS_PER_US);
	assert_true(card_all_answered(card));
	assert_int_equal(card->doorbell_count, 200);
	card_free(card);
}

/* ---- ECRC ---- */

static void test_endpoint_ecrc_on_everything_sent_once_enabled(void **state)
{
	(void)state;
	struct card *card = CARD("msix.vectors=2");
	cfg_wr(card, AER_CONTROL, 0x40); /* generation */
	unsigned from = card->seen_count;
	cfg_rd(card, 0);
	mem_read_value(card, COMMON, 8);
	struct tlp nowhere = memory_request(TLP_MRD, NOWHERE, 4, NULL);
	card_wait(card, card_send(card, &nowhere));
	cfg_wr16(card, COMMAND, COMMAND_MEMORY | COMMAND_MASTER);
	raise_isr(card); /* Assert_INTA */
	program_vector(card, 0, 0xfee00000, 1);
	msix_enable(card, true); /* Deassert_INTA */
	mem_write_value(card, COMMON + 0x10, 2, 0);
	mem_read_value(card, COMMON + 0x10, 2);
	virtio_config_interrupt(&card->virtio, card->sim.now_ps);
	card_run(card, PS_PER_US);
	for (unsigned i = from; i < card->seen_count; i++)
		assert_true(card->seen[i].tlp.td); /* and right: the fixture has checked */
	assert_int_equal(writes_since(card, from, 0xfee00000), 1);
	assert_int_equal(messages_since(card, from, TLP_MSG_ASSERT_INTA), 1);
	card_free(card);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_endpoint_before_firmware_is_up_asks_to_retry, "CPL-018"),
		REQ_TEST(test_endpoint_identity, "D-068 D-069 D-071 D-072 D-073"),
		REQ_TEST(test_endpoint_capabilities_describe_the_structures,
			 "D-050 D-075 D-078 D-079 D-095 D-096 D-097 D-098 D-099 D-100 D-101 D-102 D-103 "
			 "D-104 D-109 D-110 D-117 D-122 CAP-001"),
		REQ_TEST(test_endpoint_id_captured_from_configuration_writes, "CFG-005 CFG-006 CPL-003"),
		REQ_TEST(test_endpoint_other_functions_and_type1_unsupported, "CFG-004"),
		REQ_TEST(test_endpoint_unknown_configuration_registers, "ERR-030 CFG-003"),
		REQ_TEST(test_endpoint_memory_space_off_is_unsupported, "ACC-001"),
		REQ_TEST(test_endpoint_addresses_outside_bars_unsupported, "ACC-003"),
		REQ_TEST(test_endpoint_moved_bar_answers_at_new_address, "CFG-012"),
		REQ_TEST(test_endpoint_bar_gaps_constant, "ACC-004 V-080"),
		REQ_TEST(test_endpoint_reads_of_any_span_split_right,
			 "CPL-005 CPL-006 CPL-008 CPL-009 CPL-010 CPL-011 ACC-006 CAP-004"),
		REQ_TEST(test_endpoint_completion_byte_count_and_lower_address, "CPL-005 CPL-006 CPL-007"),
		REQ_TEST(test_endpoint_completion_copies_attributes_and_class, "CPL-003"),
		REQ_TEST(test_endpoint_zero_length_accesses_do_nothing, "TLP-009 ACC-008"),
		REQ_TEST(test_endpoint_zero_length_read_flushes_writes, "TLP-009"),
		REQ_TEST(test_endpoint_isr_cleared_once_by_wide_read, "ACC-008 D-108"),
		REQ_TEST(test_endpoint_read_with_hints_reads_all_bytes, "TLP-010"),
		REQ_TEST(test_endpoint_registers_take_byte_lanes_and_wide_writes, "ACC-006 ACC-007"),
		REQ_TEST(test_endpoint_doorbell_address_tells_the_queue, "V-067"),
		REQ_TEST(test_endpoint_doorbell_width_and_lane, "V-066 ACC-007"),
		cmocka_unit_test(test_endpoint_doorbell_value_has_written_bytes_only),
		REQ_TEST(test_endpoint_notify_region_reads_zero, "V-070"),
		REQ_TEST(test_endpoint_doorbell_before_read_behind_it, "ORD-008"),
		REQ_TEST(test_endpoint_doorbell_burst_waits_for_room, "ACC-017"),
		REQ_TEST(test_endpoint_status_read_waits_and_posted_writes_pass, "ORD-009"),
		REQ_TEST(test_endpoint_status_polled_during_long_reset, "ACC-018 D-084"),
		REQ_TEST(test_endpoint_flood_of_waiting_reads_all_answered, "CPL-001"),
		REQ_TEST(test_endpoint_held_request_decided_when_processed, "ERR-031"),
		REQ_TEST(test_endpoint_read_completion_pushes_earlier_writes, "ORD-007"),
		REQ_TEST(test_endpoint_window_reads_equal_direct_reads, "D-119"),
		REQ_TEST(test_endpoint_window_writes_equal_direct_writes, "D-118 D-119"),
		cmocka_unit_test(test_endpoint_window_works_without_memory_space),
		REQ_TEST(test_endpoint_window_bad_settings_access_nothing, "V-083"),
		REQ_TEST(test_endpoint_window_fields_have_no_side_effect, "D-119"),
		REQ_TEST(test_endpoint_held_window_doorbells_none_lost, "ACC-017 CPL-001"),
		REQ_TEST(test_endpoint_ecrc_on_everything_sent_once_enabled, "TLP-017"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
