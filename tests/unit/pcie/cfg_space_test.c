/* Registers of the configuration space: what they reset to, what can be written, what a write has an
 * effect on, what resets keep. */
#include "tests/unit/pcie/cfg_fixture.h"

static struct cfg_space cfg; /* 24 KiB, set up anew by each test */

/* Every register that is not zero and read-only, by hand from PCIe 6.0 §7.5 to §7.9 and virtio 1.4 §4.1.4. */
static const struct reg {
	uint16_t at;
	uint32_t reset, writable, rw1c;
} regs[] = {
	{0x00, 0x10421af4, 0, 0},
	{COMMAND, 0x00100000, 0x0546, 0xf9000000},
	{0x08, 0x01000001, 0, 0},
	{0x0c, 0, 0xff, 0}, /* Cache Line Size; Latency Timer, Header Type and BIST 0 */
	{BAR1, 0, 0xfffff000, 0},
	{BAR4, 0x0000000c, 0xffffc000, 0},
	{BAR5, 0, 0xffffffff, 0},
	{0x2c, 0x11001af4, 0, 0},
	{0x34, PMC, 0, 0},
	{0x3c, 0x00000100, 0xff, 0},
	{PMC, 0x00034801, 0, 0},
	{PMCSR, 0x00000008, 0x3, 0},       /* No_Soft_Reset */
	{MSIX, 0x00045411, 0xc0000000, 0}, /* 5 vectors */
	{MSIX + 4, 0x00000001, 0, 0},
	{MSIX + 8, 0x00000801, 0, 0},
	{EXPRESS, 0x00029010, 0, 0},
	{DEVCAP, 0x10008022, 0, 0}, /* FLR, role-based, extended tag, 512 bytes */
	{DEVCTL, 0x00002810, 0x79ff, 0x000f0000},
	{LNKCAP, 0x00400083, 0, 0},
	{LNKCTL, 0x10830000, 0x00cb, 0},
	{DEVCAP2, 0x0003001f, 0, 0},
	{DEVCTL2, 0, 0x131f, 0},
	{LNKCAP2, 0x0000000e, 0, 0},
	{LNKCTL2, 0x001e0003, 0xff9f, 0},
	{0x90, 0x0110a009, 0, 0}, /* common configuration */
	{0x94, 0x00000004, 0, 0},
	{0x9c, 0x00001000, 0, 0},
	{0xa0, 0x0310b009, 0, 0}, /* ISR */
	{0xa4, 0x00000004, 0, 0},
	{0xa8, 0x00001000, 0, 0},
	{0xac, 0x00001000, 0, 0},
	{0xb0, 0x0410c009, 0, 0}, /* device configuration */
	{0xb4, 0x00000004, 0, 0},
	{0xb8, 0x00002000, 0, 0},
	{0xbc, 0x00001000, 0, 0},
	{0xc0, 0x0214d409, 0, 0}, /* notification */
	{0xc4, 0x00000004, 0, 0},
	{0xc8, 0x00003000, 0, 0},
	{0xcc, 0x00001000, 0, 0},
	{0xd0, 0x00000004, 0, 0},
	{WINDOW, 0x05140009, 0, 0},
	{WINDOW + 4, 0, 0xff, 0},
	{WINDOW + 8, 0, 0xffffffff, 0},
	{WINDOW + 12, 0, 0xffffffff, 0},
	{WINDOW + 16, 0, 0xffffffff, 0},
	{AER, 0x14820001, 0, 0},
	{UNCOR_STATUS, 0, 0, 0x005ff030},
	{UNCOR_MASK, 0x00400000, 0x005ff030, 0},
	{UNCOR_SEVERITY, 0x00462030, 0x005ff030, 0},
	{COR_STATUS, 0, 0, 0x0000f1c1},
	{COR_MASK, 0x0000e000, 0x0000f1c1, 0},
	{AER_CONTROL, 0x000000a0, 0x00000140, 0},
	{SERIAL, 0x00010003, 0, 0},
	{SERIAL + 4, 0x89abcdef, 0, 0},
	{SERIAL + 8, 0x01234567, 0, 0},
};

static struct reg reg_at(unsigned at)
{
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		if (regs[i].at == at)
			return regs[i];
	return (struct reg){.at = (uint16_t)at};
}

static void test_cfg_space_resets_to_the_listed_registers_and_zero_elsewhere(void **state)
{
	(void)state;
	cfg_setup(&cfg);
	for (unsigned at = 0; at < 4096; at += 4)
		assert_int_equal(cfg_read(&cfg, at), reg_at(at).reset);
}

static uint32_t bits_of_be(unsigned be)
{
	return (be & 1 ? 0xffu : 0) | (be & 2 ? 0xff00u : 0) | (be & 4 ? 0xff0000u : 0) |
	       (be & 8 ? 0xff000000u : 0);
}

static void test_cfg_space_writes_change_writable_bits_of_enabled_bytes_only(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(31), 0);
	for (unsigned at = 0; at < 4096; at += 4) {
		const struct reg reg = reg_at(at);
		cfg_setup(&cfg);
		uint32_t want = reg.reset;
		for (unsigned i = 0; i < 64; i++) {
			unsigned be = i < 16 ? i : (unsigned)rng_below(&rng, 16);
			uint32_t data = i < 32 ? ~0u : (uint32_t)rng_u64(&rng),
				 mask = bits_of_be(be) & reg.writable;
			if (at == PMCSR)
				data |= 0x3; /* power states have a test of their own */
			cfg_space_write32(&cfg, (uint16_t)at, data, (uint8_t)be);
			want = (want & ~mask) | (data & mask);
			assert_int_equal(cfg_read(&cfg, at), want);
		}
		/* Nothing else moved. */
		for (unsigned other = 0; other < 0x160; other += 4)
			if (other != at)
				assert_int_equal(cfg_read(&cfg, other), reg_at(other).reset);
	}
}

static void test_cfg_space_rw1c_bits_clear_by_written_ones_of_enabled_bytes_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		const struct reg *reg = &regs[i];
		for (unsigned be = 0; be < 16 && reg->rw1c; be++) {
			cfg_setup(&cfg);
			cfg_space_put32(&cfg, reg->at, reg->reset | reg->rw1c);
			cfg_space_write32(&cfg, reg->at, reg->reset & ~reg->rw1c,
					  (uint8_t)be); /* zeros: kept */
			assert_int_equal(cfg_read(&cfg, reg->at) & reg->rw1c, reg->rw1c);
			cfg_space_write32(&cfg, reg->at, reg->reset | reg->rw1c, (uint8_t)be);
			assert_int_equal(cfg_read(&cfg, reg->at) & reg->rw1c, reg->rw1c & ~bits_of_be(be));
		}
	}
}

/* As software sizes a BAR: save, write ones, read, restore; size = two's complement of the address bits. */
static void test_cfg_space_bar_sizing_gives_the_sizes(void **state)
{
	(void)state;
	static const uint64_t sizes_32[] = {128, 4096, 65536, UINT64_C(1) << 31};
	static const uint64_t sizes_64[] = {128, 16384, UINT64_C(1) << 32, UINT64_C(1) << 40,
					    UINT64_C(1) << 63};
	for (size_t i = 0; i < ARRAY_SIZE(sizes_32); i++) {
		struct cfg_space_config config = default_config();
		config.bar[0] = (struct cfg_bar){.size_bytes = sizes_32[i], .prefetchable = i % 2};
		assert_int_equal(cfg_space_init(&cfg, &config, NULL, 0), 0);
		cfg_write(&cfg, BAR0, 0xffffffff);
		uint32_t got = cfg_read(&cfg, BAR0);
		assert_int_equal(got & 0xf, i % 2 ? 0x8 : 0x0);
		assert_int_equal(~(got & ~0xfu) + 1, sizes_32[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sizes_64); i++) {
		struct cfg_space_config config = default_config();
		config.bar[2] = (struct cfg_bar){.size_bytes = sizes_64[i], .is_64bit = true};
		assert_int_equal(cfg_space_init(&cfg, &config, NULL, 0), 0);
		cfg_write(&cfg, 0x18, 0xffffffff);
		cfg_write(&cfg, 0x1c, 0xffffffff);
		uint64_t got = cfg_read(&cfg, 0x18) | (uint64_t)cfg_read(&cfg, 0x1c) << 32;
		assert_int_equal(got & 0xf, 0x4);
		assert_int_equal(~(got & ~UINT64_C(0xf)) + 1, sizes_64[i]);
	}
}

static void test_cfg_space_unimplemented_bars_and_rom_read_0_after_writing_ones(void **state)
{
	(void)state;
	static const unsigned at[] = {0x10, 0x18, 0x1c, 0x30};
	cfg_setup(&cfg);
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		assert_int_equal(cfg_write(&cfg, at[i], 0xfffff800), 0);
		assert_int_equal(cfg_write(&cfg, at[i], 0xffffffff), 0);
		assert_int_equal(cfg_read(&cfg, at[i]), 0);
	}
}

/* What SeaBIOS and Linux write: addresses with and without type bits, Command with I/O Space. */
static void test_cfg_space_bar_address_is_taken_with_or_without_type_bits(void **state)
{
	(void)state;
	cfg_setup(&cfg);
	assert_int_equal(cfg_write(&cfg, BAR4, 0xfebf800c), CFG_EFFECT_BAR);
	assert_int_equal(cfg_write(&cfg, BAR4, 0xfebf8000), 0);
	assert_int_equal(cfg_read(&cfg, BAR4), 0xfebf800c);
	assert_int_equal(cfg.control.bar_addr[4], 0xfebf8000);
	assert_int_equal(cfg_write(&cfg, BAR5, 0x12), CFG_EFFECT_BAR);
	assert_int_equal(cfg.control.bar_addr[4], 0x12febf8000);
	assert_int_equal(cfg_write16(&cfg, COMMAND, 0x0103), CFG_EFFECT_COMMAND);
	assert_int_equal(cfg_read(&cfg, COMMAND) & 0xffff, 0x0102);
}

static int decode(uint64_t addr, uint32_t bytes, uint64_t want_offset)
{
	uint64_t offset = 0xdead;
	int bar = cfg_space_decode(&cfg, addr, bytes, &offset);
	assert_int_equal(offset, bar < 0 ? 0xdead : want_offset);
	return bar;
}

static void test_cfg_space_decode_finds_the_bar_that_holds_the_whole_access(void **state)
{
	(void)state;
	cfg_setup(&cfg);
	cfg_enable(&cfg);
	assert_int_equal(decode(0xfebf1000, 4, 0), 1);
	assert_int_equal(decode(0xfebf1ffc, 4, 0xffc), 1);
	assert_int_equal(decode(0xfebf1804, 0, 0x804), 1); /* zero-length */
	assert_int_equal(decode(0x900004000, 8, 0), 4);
	assert_int_equal(decode(0x900007000, 2, 0x3000), 4);
	assert_int_equal(decode(0x900007fff, 1, 0x3fff), 4);
	/* outside */
	assert_int_equal(decode(0xfebf0fff, 4, 0), CFG_DECODE_NONE);
	assert_int_equal(decode(0xfebf2000, 4, 0), CFG_DECODE_NONE);
	assert_int_equal(decode(0x00004000, 4, 0), CFG_DECODE_NONE); /* upper half counts */
	assert_int_equal(decode(0x900008000, 4, 0), CFG_DECODE_NONE);
	assert_int_equal(decode(0x1febf1000, 4, 0), CFG_DECODE_NONE);
	assert_int_equal(decode(0, 4, 0), CFG_DECODE_NONE);
	assert_int_equal(decode(UINT64_MAX, 1, 0), CFG_DECODE_NONE);
	/* past the end */
	assert_int_equal(decode(0xfebf1ffc, 8, 0), CFG_DECODE_OVERRUN);
	assert_int_equal(decode(0x900007ffe, 4, 0), CFG_DECODE_OVERRUN);
	assert_int_equal(decode(0xfebf1000, UINT32_MAX, 0), CFG_DECODE_OVERRUN);
}

static void test_cfg_space_decode_needs_memory_space_and_d0(void **state)
{
	(void)state;
	cfg_setup(&cfg);
	cfg_enable(&cfg);
	assert_true(cfg_control_may_master(&cfg.control));
	cfg_write16(&cfg, COMMAND, COMMAND_MASTER);
	assert_int_equal(decode(0xfebf1000, 4, 0), CFG_DECODE_NONE);
	assert_true(cfg_control_may_master(&cfg.control));
	cfg_write16(&cfg, COMMAND, COMMAND_MEMORY);
	assert_int_equal(decode(0xfebf1000, 4, 0), 1);
	assert_false(cfg_control_may_master(&cfg.control));
	cfg_write16(&cfg, COMMAND, COMMAND_MEMORY | COMMAND_MASTER);
	assert_int_equal(cfg_write(&cfg, PMCSR, 3), CFG_EFFECT_POWER);
	assert_int_equal(decode(0xfebf1000, 4, 0), CFG_DECODE_NONE);
	assert_false(cfg_control_may_master(&cfg.control));
	/* Configuration still works in D3hot; back in D0 nothing is lost (No_Soft_Reset). */
	cfg_write(&cfg, BAR1, 0xfebf3000);
	assert_int_equal(cfg_write(&cfg, PMCSR, 0), CFG_EFFECT_POWER);
	assert_int_equal(decode(0xfebf3000, 4, 0), 1);
	assert_int_equal(decode(0x900004000, 4, 0), 4);
	assert_true(cfg_control_may_master(&cfg.control));
}

/* BARs take any value while they are enabled: an access is decided by what they say at that time. */
static void test_cfg_space_decode_during_sizing_uses_the_present_value(void **state)
{
	(void)state;
	cfg_setup(&cfg);
	cfg_enable(&cfg);
	cfg_write(&cfg, BAR4, 0xffffffff);
	assert_int_equal(decode(0x900004000, 4, 0), CFG_DECODE_NONE);
	assert_int_equal(decode(0x9ffffc000, 4, 0), 4);
	cfg_write(&cfg, BAR5, 0xffffffff);
	assert_int_equal(decode(0xffffffffffffc000, 4, 0), 4);
	assert_int_equal(decode(UINT64_MAX, 1, 0x3fff), 4);
	assert_int_equal(decode(UINT64_MAX, 4, 0), CFG_DECODE_OVERRUN);
	cfg_write(&cfg, BAR4, 0x00004000);
	cfg_write(&cfg, BAR5, 0x9);
	assert_int_equal(decode(0x900004000, 4, 0), 4);
}

static void test_cfg_space_power_states_not_supported_are_not_taken(void **state)
{
	(void)state;
	static const struct {
		unsigned from, to, want;
	} rows[] = {{0, 1, 0}, {0, 2, 0}, {0, 3, 3}, {3, 1, 3}, {3, 2, 3}, {3, 0, 0}, {3, 3, 3}};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cfg_setup(&cfg);
		cfg_write(&cfg, PMCSR, rows[i].from);
		unsigned effects = cfg_write(&cfg, PMCSR, rows[i].to);
		assert_int_equal(cfg_read(&cfg, PMCSR), 0x8 | rows[i].want);
		assert_int_equal(cfg.control.power_state, rows[i].want);
		assert_int_equal(effects, rows[i].want != rows[i].from ? CFG_EFFECT_POWER : 0);
	}
}

static void test_cfg_space_writes_report_what_they_changed(void **state)
{
	(void)state;
	static const struct {
		uint16_t reg;
		uint32_t data;
		uint8_t be;
		unsigned want;
	} rows[] = {
		{COMMAND, COMMAND_MEMORY, 0x3, CFG_EFFECT_COMMAND},
		{COMMAND, COMMAND_MEMORY, 0x3, 0}, /* again: nothing changes */
		{COMMAND, COMMAND_MEMORY | COMMAND_MASTER, 0x1, CFG_EFFECT_COMMAND},
		{COMMAND, COMMAND_INTX_DISABLE, 0x2, CFG_EFFECT_COMMAND},
		{COMMAND, COMMAND_INTX_DISABLE | COMMAND_SERR, 0x2, 0},
		{BAR1, 0xfebf1000, 0xf, CFG_EFFECT_BAR},
		{BAR1, 0, 0x1, 0},
		{0x3c, 11, 0x1, 0},
		{MSIX, 0x80000000, 0xf, CFG_EFFECT_MSIX},
		{MSIX, 0xc0000000, 0x8, CFG_EFFECT_MSIX},
		{MSIX, 0x40000000, 0x8, CFG_EFFECT_MSIX},
		{MSIX, 0x00000000, 0x7, 0},
		{PMCSR, 3, 0x1, CFG_EFFECT_POWER},
		{DEVCTL, 0x2811, 0x1, CFG_EFFECT_DEVICE_CONTROL},
		{DEVCTL, 0x2830, 0x1, CFG_EFFECT_DEVICE_CONTROL},
		{DEVCTL, 0x5830, 0x2, CFG_EFFECT_DEVICE_CONTROL},
		{DEVCTL, 0x583f, 0x3, CFG_EFFECT_DEVICE_CONTROL},
		{DEVCTL, 0xd83f, 0x3, CFG_EFFECT_FLR},
		{DEVCTL, 0x8000, 0x1,
		 CFG_EFFECT_DEVICE_CONTROL}, /* byte 1 not enabled: no FLR, error enables off */
		{LNKCTL, 0x0040, 0x3, 0},
		{LNKCTL, 0x0048, 0x3, CFG_EFFECT_DEVICE_CONTROL},
		{DEVCTL2, 0x0001, 0x3, CFG_EFFECT_DEVICE_CONTROL},
		{DEVCTL2, 0x0010, 0x3, CFG_EFFECT_DEVICE_CONTROL},
		{AER_CONTROL, 0x0140, 0xf, CFG_EFFECT_DEVICE_CONTROL},
		{WINDOW + 4, 4, 0x1, 0},
		{WINDOW + 8, 0x1000, 0xf, 0},
		{WINDOW + 12, 1, 0xf, 0},
		{WINDOW + 16, 0, 0x1, CFG_EFFECT_VIRTIO_WINDOW},
		{WINDOW + 16, 0, 0x0, 0},
		{0x00, 0xffffffff, 0xf, 0},
		{0x200, 0xffffffff, 0xf, 0},
		{0xffc, 0xffffffff, 0xf, 0},
	};
	cfg_setup(&cfg);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(cfg_space_write32(&cfg, rows[i].reg, rows[i].data, rows[i].be),
				 rows[i].want);
}

static void test_cfg_space_initiate_flr_reads_0_and_resets_nothing_by_itself(void **state)
{
	(void)state;
	cfg_setup(&cfg);
	cfg_enable(&cfg);
	assert_int_equal(cfg_write(&cfg, DEVCTL, 0x2810 | 0x8000), CFG_EFFECT_FLR);
	assert_int_equal(cfg_read(&cfg, DEVCTL), 0x2810);
	assert_true(cfg.control.memory_space);
}

static void test_cfg_space_control_follows_the_registers(void **state)
{
	(void)state;
	cfg_setup(&cfg);
	const struct cfg_control *c = &cfg.control;
	assert_false(c->memory_space || c->bus_master || c->intx_disable || c->msix_enable ||
		     c->msix_function_mask || c->extended_tag || c->tag_10bit || c->ido_request ||
		     c->ido_completion || c->ecrc_generate || c->ecrc_check);
	assert_true(c->relaxed_ordering && c->no_snoop);
	assert_int_equal(c->mps_bytes, 128);
	assert_int_equal(c->mrrs_bytes, 512);
	assert_int_equal(c->rcb_bytes, 64);
	assert_int_equal(c->power_state, 0);

	cfg_write16(&cfg, COMMAND, COMMAND_INTX_DISABLE | COMMAND_MASTER | COMMAND_MEMORY);
	assert_true(c->memory_space && c->bus_master && c->intx_disable);
	cfg_write(&cfg, MSIX, 0xc0000000);
	assert_true(c->msix_enable && c->msix_function_mask);
	cfg_write(&cfg, MSIX, 0x80000000);
	assert_true(c->msix_enable && !c->msix_function_mask);
	cfg_write16(&cfg, DEVCTL, 0x5120); /* MRRS 4096, extended tag, MPS 256; RO and no snoop off */
	assert_true(c->extended_tag && !c->relaxed_ordering && !c->no_snoop);
	assert_int_equal(c->mps_bytes, 256);
	assert_int_equal(c->mrrs_bytes, 4096);
	cfg_write16(&cfg, LNKCTL, 0x0008);
	assert_int_equal(c->rcb_bytes, 128);
	cfg_write16(&cfg, DEVCTL2, 0x1100);
	assert_true(c->tag_10bit && c->ido_request && !c->ido_completion);
	cfg_write16(&cfg, DEVCTL2, 0x0200);
	assert_true(!c->tag_10bit && !c->ido_request && c->ido_completion);
	cfg_write(&cfg, AER_CONTROL, 0x40);
	assert_true(c->ecrc_generate && !c->ecrc_check);
	cfg_write(&cfg, AER_CONTROL, 0x100);
	assert_true(!c->ecrc_generate && c->ecrc_check);
}

static void test_cfg_space_payload_sizes_decode_and_stop_at_what_is_supported(void **state)
{
	(void)state;
	for (unsigned supported = 0; supported < 6; supported++) {
		struct cfg_space_config config = default_config();
		config.mps_supported_bytes = 128u << supported;
		assert_int_equal(cfg_space_init(&cfg, &config, NULL, 0), 0);
		assert_int_equal(cfg_read(&cfg, DEVCAP) & 7, supported);
		for (unsigned code = 0; code < 8; code++) {
			cfg_write16(&cfg, DEVCTL, code << 5 | code << 12);
			assert_int_equal(cfg_read(&cfg, DEVCTL) & 0x70e0, code << 5 | code << 12);
			assert_int_equal(cfg.control.mps_bytes,
					 128u << (code < supported ? code : supported));
			assert_int_equal(cfg.control.mrrs_bytes, 128u << (code < 5 ? code : 5));
		}
	}
}

static void test_cfg_space_tag_enables_exist_only_where_supported(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct cfg_space_config config = default_config();
		config.extended_tag_supported = i & 1;
		config.tag_10bit_requester_supported = i & 2;
		assert_int_equal(cfg_space_init(&cfg, &config, NULL, 0), 0);
		assert_int_equal(cfg_read(&cfg, DEVCAP) >> 5 & 1, i & 1);
		assert_int_equal(cfg_read(&cfg, DEVCAP2) >> 16 & 3, i & 2 ? 3 : 1); /* completer always */
		cfg_write16(&cfg, DEVCTL, 0x0100);
		cfg_write16(&cfg, DEVCTL2, 0x1000);
		assert_int_equal(cfg.control.extended_tag, i & 1);
		assert_int_equal(cfg.control.tag_10bit, i >> 1);
	}
}

static void test_cfg_space_completion_timeout_lies_in_the_range_chosen(void **state)
{
	(void)state;
	static const struct {
		unsigned code;
		uint64_t min_us, max_us;
	} ranges[] = {
		{0, 10000, 50000}, /* at least 10 ms recommended of 50 us .. 50 ms */
		{1, 50, 100},
		{2, 1000, 10000},
		{5, 16000, 55000},
		{6, 65000, 210000},
		{9, 260000, 900000},
		{10, 1000000, 3500000},
		{13, 4000000, 13000000},
		{14, 17000000, 64000000},
		{3, 10000, 50000}, /* reserved: as default */
		{4, 10000, 50000},
		{15, 10000, 50000},
	};
	cfg_setup(&cfg);
	assert_int_equal(cfg_read(&cfg, DEVCAP2) & 0x1f, 0x1f); /* ranges A to D, disable */
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		cfg_write16(&cfg, DEVCTL2, ranges[i].code);
		assert_in_range(cfg.control.completion_timeout_ps, ranges[i].min_us * PS_PER_US,
				ranges[i].max_us * PS_PER_US);
		cfg_write16(&cfg, DEVCTL2, ranges[i].code | 0x10);
		assert_true(cfg.control.completion_timeout_ps == TIME_NEVER_PS);
	}
}

static void test_cfg_space_link_registers_show_generation_and_lanes(void **state)
{
	(void)state;
	for (unsigned generation = 1; generation <= 5; generation++) {
		for (unsigned lanes = 1; lanes <= 16; lanes *= 2) {
			struct cfg_space_config config = default_config();
			config.link_generation = generation;
			config.link_lanes = lanes;
			assert_int_equal(cfg_space_init(&cfg, &config, NULL, 0), 0);
			assert_int_equal(cfg_read(&cfg, LNKCAP) & 0x3ff, generation | lanes << 4);
			assert_int_equal(cfg_read(&cfg, LNKCTL) >> 16 & 0x3ff, generation | lanes << 4);
			assert_int_equal(cfg_read(&cfg, LNKCTL2) & 0xf, generation);
			assert_int_equal(cfg_read(&cfg, LNKCAP2), (2u << generation) - 2);
		}
	}
}

static void test_cfg_space_capability_list_is_the_expected_chain(void **state)
{
	(void)state;
	static const uint8_t ids[] = {0x01, 0x11, 0x10, 0x09, 0x09, 0x09, 0x09, 0x09};
	cfg_setup(&cfg);
	assert_int_equal(cfg_read(&cfg, COMMAND) >> 16 & 0x10, 0x10);
	unsigned at = cfg_read(&cfg, 0x34) & 0xff;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		assert_true(at >= 0x40 && at % 4 == 0);
		assert_int_equal(cfg_read(&cfg, at) & 0xff, ids[i]);
		at = cfg_read(&cfg, at) >> 8 & 0xff;
	}
	assert_int_equal(at, 0);
	assert_int_equal(cfg.pm, PMC);
	assert_int_equal(cfg.msix, MSIX);
	assert_int_equal(cfg.pcie, EXPRESS);
	assert_int_equal(cfg.virtio_window, WINDOW);
}

/* AER and Device Serial Number; no SR-IOV (0x10), ATS (0x0f), PASID (0x1b) or anything else. */
static void test_cfg_space_extended_capabilities_are_aer_and_serial_number_only(void **state)
{
	(void)state;
	cfg_setup(&cfg);
	assert_int_equal(cfg.aer, 0x100);
	assert_int_equal(cfg_read(&cfg, 0x100), 0x14820001);      /* AER version 2, next 0x148 */
	assert_int_equal(cfg_read(&cfg, 0x148), 0x00010003);      /* serial number version 1, last */
	assert_int_equal(cfg_read(&cfg, DEVCAP2) >> 6 & 0xf, 0);  /* no AtomicOp completer or routing */
	assert_int_equal(cfg_read(&cfg, DEVCAP2) >> 20 & 0x3, 0); /* no extended Fmt, no prefixes */
}

static void test_cfg_space_virtio_caps_are_in_the_order_given(void **state)
{
	(void)state;
	static const struct cfg_virtio_cap caps[] = {
		{.cfg_type = 5,
		 .bar = 4,
		 .offset = 8,
		 .length = 4}, /* fields of the window are the driver's */
		{.cfg_type = 2, .bar = 4, .offset = 0x3000, .length = 0x800, .notify_off_multiplier = 0},
		{.cfg_type = 1, .bar = 0, .offset = 0x40, .length = 64},
	};
	struct cfg_space_config config = default_config();
	config.bar[0].size_bytes = 128;
	config.virtio_cap = caps;
	config.virtio_cap_count = ARRAY_SIZE(caps);
	assert_int_equal(cfg_space_init(&cfg, &config, NULL, 0), 0);
	assert_int_equal(cfg.virtio_window, VIRTIO);
	assert_int_equal(cfg_read(&cfg, VIRTIO), 0x0514a409);
	assert_int_equal(cfg_read(&cfg, VIRTIO + 4), 0);
	assert_int_equal(cfg_read(&cfg, VIRTIO + 8), 0);
	assert_int_equal(cfg_read(&cfg, 0xa4), 0x0214b809);
	assert_int_equal(cfg_read(&cfg, 0xac), 0x3000);
	assert_int_equal(cfg_read(&cfg, 0xb8), 0x01100009);
	assert_int_equal(cfg_read(&cfg, 0xc0), 0x40);
	assert_int_equal(cfg_read(&cfg, 0xc4), 64);
	config.virtio_cap_count = 0;
	assert_int_equal(cfg_space_init(&cfg, &config, NULL, 0), 0);
	assert_int_equal(cfg.virtio_window, 0);
	assert_int_equal(cfg_read(&cfg, EXPRESS) >> 8 & 0xff, 0);
	assert_int_equal(cfg_write(&cfg, 0x10, 0), 0);
}

static void test_cfg_space_virtio_window_is_what_the_driver_wrote(void **state)
{
	(void)state;
	cfg_setup(&cfg);
	cfg_write(&cfg, WINDOW + 4, 0xffffff04); /* id and padding are not writable */
	cfg_write(&cfg, WINDOW + 8, 0x3000);
	cfg_space_write32(&cfg, WINDOW + 12, 2, 0x1);
	struct cfg_virtio_window w = cfg_space_virtio_window(&cfg);
	assert_int_equal(w.bar, 4);
	assert_int_equal(w.offset, 0x3000);
	assert_int_equal(w.length, 2);
	assert_int_equal(cfg_read(&cfg, WINDOW + 4), 4);
	/* The device puts read data in place; a write is seen by the endpoint as the register's value. */
	cfg_space_put32(&cfg, WINDOW + 16, 0xcafe);
	assert_int_equal(cfg_read(&cfg, WINDOW + 16), 0xcafe);
	assert_int_equal(cfg_space_write32(&cfg, WINDOW + 16, 0x12345678, 0x3), CFG_EFFECT_VIRTIO_WINDOW);
	assert_int_equal(cfg_read(&cfg, WINDOW + 16), 0x5678);
}

static void test_cfg_space_status_bits_of_traffic_are_set_and_cleared(void **state)
{
	(void)state;
	static const unsigned bits[] = {CFG_STATUS_SIG_TARGET_ABORT, CFG_STATUS_REC_TARGET_ABORT,
					CFG_STATUS_REC_MASTER_ABORT, CFG_STATUS_DETECTED_PARITY};
	static const unsigned numbers[] = {11, 12, 13, 15};
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		cfg_setup(&cfg);
		cfg_space_set_status(&cfg, bits[i]);
		assert_int_equal(cfg_read(&cfg, COMMAND) >> 16, 0x10 | 1u << numbers[i]);
		cfg_write16(&cfg, COMMAND, 0xffff);
		assert_int_equal(cfg_read(&cfg, COMMAND) >> 16, 0x10 | 1u << numbers[i]);
		cfg_write(&cfg, COMMAND, 1u << (16 + numbers[i]));
		assert_int_equal(cfg_read(&cfg, COMMAND) >> 16, 0x10);
	}
	/* Master Data Parity Error only with Parity Error Response. */
	cfg_setup(&cfg);
	cfg_space_set_status(&cfg, CFG_STATUS_MASTER_DATA_PARITY | CFG_STATUS_DETECTED_PARITY);
	assert_int_equal(cfg_read(&cfg, COMMAND) >> 16, 0x8010);
	cfg_write16(&cfg, COMMAND, COMMAND_PARITY);
	cfg_space_set_status(&cfg, CFG_STATUS_MASTER_DATA_PARITY);
	assert_int_equal(cfg_read(&cfg, COMMAND) >> 16, 0x8110);
}

static void test_cfg_space_interrupt_status_shows_the_level_whatever_interrupt_disable(void **state)
{
	(void)state;
	cfg_setup(&cfg);
	cfg_space_set_interrupt_status(&cfg, true);
	assert_int_equal(cfg_read(&cfg, COMMAND) >> 16, 0x18);
	assert_int_equal(cfg_write16(&cfg, COMMAND, COMMAND_INTX_DISABLE), CFG_EFFECT_COMMAND);
	assert_int_equal(cfg_read(&cfg, COMMAND) >> 16, 0x18);
	cfg_write(&cfg, COMMAND, 0xffff0000); /* read-only to software */
	assert_int_equal(cfg_read(&cfg, COMMAND) >> 16, 0x18);
	cfg_space_set_interrupt_status(&cfg, false);
	assert_int_equal(cfg_read(&cfg, COMMAND) >> 16, 0x10);
	cfg_write16(&cfg, COMMAND, COMMAND_INTX_DISABLE);
	cfg_space_set_interrupt_status(&cfg, true);
	assert_int_equal(cfg_read(&cfg, COMMAND) >> 16, 0x18);
}

static void test_cfg_space_transactions_pending_is_device_status_bit_5(void **state)
{
	(void)state;
	cfg_setup(&cfg);
	cfg_space_set_transactions_pending(&cfg, true);
	assert_int_equal(cfg_read(&cfg, DEVCTL) >> 16, 0x20);
	cfg_write(&cfg, DEVCTL, 0xffff2810);
	assert_int_equal(cfg_read(&cfg, DEVCTL) >> 16, 0x20);
	cfg_space_set_transactions_pending(&cfg, false);
	assert_int_equal(cfg_read(&cfg, DEVCTL) >> 16, 0);
}

static void test_cfg_space_slot_power_is_captured_until_hot_reset(void **state)
{
	(void)state;
	cfg_setup(&cfg);
	cfg_space_set_slot_power(&cfg, 0xfffffd19); /* 25, scale 1; upper bits reserved */
	assert_int_equal(cfg_read(&cfg, DEVCAP), 0x10008022 | 0x19u << 18 | 1u << 26);
	cfg_space_reset(&cfg, CFG_RESET_FLR);
	assert_int_equal(cfg_read(&cfg, DEVCAP), 0x10008022 | 0x19u << 18 | 1u << 26);
	cfg_space_set_slot_power(&cfg, 0x04b);
	assert_int_equal(cfg_read(&cfg, DEVCAP), 0x10008022 | 0x4bu << 18);
	cfg_space_reset(&cfg, CFG_RESET_HOT);
	assert_int_equal(cfg_read(&cfg, DEVCAP), 0x10008022);
}

/* Sets every bit software can set, and every status bit. */
static void fill(void)
{
	cfg_setup(&cfg);
	for (unsigned at = 0; at < 0x160; at += 4) {
		cfg_write(&cfg, at, ~0u);
		cfg_space_put32(&cfg, (uint16_t)at, cfg_read(&cfg, at) | reg_at(at).rw1c);
	}
	for (unsigned i = 0; i < 4; i++)
		cfg_space_put32(&cfg, (uint16_t)(HEADER_LOG + 4 * i), 0x11111111 * (i + 1));
	cfg_space_put32(&cfg, AER_CONTROL, cfg_read(&cfg, AER_CONTROL) | 18);
	cfg_space_set_slot_power(&cfg, 0x3ff);
	cfg_space_set_interrupt_status(&cfg, true);
	cfg_space_set_transactions_pending(&cfg, true);
}

static void test_cfg_space_resets_keep_what_they_should_and_nothing_else(void **state)
{
	(void)state;
	/* Bits kept: by hot reset, by FLR. All else returns to its reset value. */
	static const struct {
		uint16_t at;
		uint32_t hot, flr;
	} kept[] = {
		{DEVCAP, 0, 0x0ffc0000},   /* captured slot power */
		{DEVCTL, 0, 0x000000e0},   /* MPS */
		{LNKCTL, 0, 0x000000cb},   /* ASPM, RCB, common clock, extended sync */
		{LNKCTL2, 0xff9f, 0xff9f}, /* sticky */
		{UNCOR_STATUS, 0x005ff030, 0x005ff030},
		{UNCOR_MASK, 0x005ff030, 0x005ff030},
		{UNCOR_SEVERITY, 0x005ff030, 0x005ff030},
		{COR_STATUS, 0xf1c1, 0xf1c1},
		{COR_MASK, 0xf1c1, 0xf1c1},
		{AER_CONTROL, 0x15f, 0x15f},
		{HEADER_LOG, ~0u, ~0u},
		{HEADER_LOG + 4, ~0u, ~0u},
		{HEADER_LOG + 8, ~0u, ~0u},
		{HEADER_LOG + 12, ~0u, ~0u},
	};
	static const enum cfg_reset kinds[] = {CFG_RESET_FUNDAMENTAL, CFG_RESET_HOT, CFG_RESET_FLR};
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		static uint32_t before[0x400];
		fill();
		for (unsigned at = 0; at < 4096; at += 4)
			before[at / 4] = cfg_read(&cfg, at);
		cfg_space_reset(&cfg, kinds[k]);
		for (unsigned at = 0; at < 4096; at += 4) {
			uint32_t mask = 0;
			for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
				if (kept[i].at == at && kinds[k] != CFG_RESET_FUNDAMENTAL)
					mask = kinds[k] == CFG_RESET_HOT ? kept[i].hot : kept[i].flr;
			assert_int_equal(cfg_read(&cfg, at),
					 (before[at / 4] & mask) | (reg_at(at).reset & ~mask));
		}
		/* The decoded state goes along. */
		assert_false(cfg.control.memory_space || cfg.control.bus_master || cfg.control.msix_enable ||
			     cfg.control.intx_disable || cfg.control.tag_10bit || cfg.control.extended_tag);
		assert_int_equal(cfg.control.power_state, 0);
		assert_int_equal(cfg.control.mrrs_bytes, 512);
		assert_int_equal(cfg.control.mps_bytes, kinds[k] == CFG_RESET_FLR ? 512 : 128);
		assert_int_equal(cfg.control.bar_addr[4], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_cfg_space_resets_to_the_listed_registers_and_zero_elsewhere,
			 "CFG-001 CFG-003 TLP-006 CAP-001 CAP-002 CAP-005 CAP-007 INT-003"),
		REQ_TEST(test_cfg_space_writes_change_writable_bits_of_enabled_bytes_only,
			 "CFG-001 CFG-002 CFG-003 ERR-030"),
		REQ_TEST(test_cfg_space_rw1c_bits_clear_by_written_ones_of_enabled_bytes_only,
			 "CFG-002 CAP-006"),
		REQ_TEST(test_cfg_space_bar_sizing_gives_the_sizes, "CFG-008 CFG-009 CFG-011"),
		REQ_TEST(test_cfg_space_unimplemented_bars_and_rom_read_0_after_writing_ones, "CFG-010"),
		REQ_TEST(test_cfg_space_bar_address_is_taken_with_or_without_type_bits, "CFG-008 CFG-014"),
		REQ_TEST(test_cfg_space_decode_finds_the_bar_that_holds_the_whole_access, "ACC-003 ACC-005"),
		REQ_TEST(test_cfg_space_decode_needs_memory_space_and_d0, "ACC-001 ACC-016 RST-010"),
		REQ_TEST(test_cfg_space_decode_during_sizing_uses_the_present_value, "CFG-009 CFG-012"),
		REQ_TEST(test_cfg_space_power_states_not_supported_are_not_taken, "RST-010"),
		REQ_TEST(test_cfg_space_writes_report_what_they_changed, "CFG-002 CAP-004"),
		REQ_TEST(test_cfg_space_initiate_flr_reads_0_and_resets_nothing_by_itself, "RST-004"),
		REQ_TEST(test_cfg_space_control_follows_the_registers, "CAP-002 CAP-004 TAG-002 TAG-003"),
		REQ_TEST(test_cfg_space_payload_sizes_decode_and_stop_at_what_is_supported,
			 "CAP-003 CAP-004 TLP-005 TLP-006"),
		REQ_TEST(test_cfg_space_tag_enables_exist_only_where_supported, "TAG-002 TAG-003"),
		REQ_TEST(test_cfg_space_completion_timeout_lies_in_the_range_chosen, "TAG-008"),
		cmocka_unit_test(test_cfg_space_link_registers_show_generation_and_lanes),
		REQ_TEST(test_cfg_space_capability_list_is_the_expected_chain, "CAP-001 CFG-015"),
		REQ_TEST(test_cfg_space_extended_capabilities_are_aer_and_serial_number_only,
			 "CAP-001 CAP-007 CFG-015"),
		REQ_TEST(test_cfg_space_virtio_caps_are_in_the_order_given, "CAP-001 CFG-015"),
		cmocka_unit_test(test_cfg_space_virtio_window_is_what_the_driver_wrote),
		REQ_TEST(test_cfg_space_status_bits_of_traffic_are_set_and_cleared,
			 "CFG-007 ERR-003 ERR-004 ERR-012 ERR-013"),
		REQ_TEST(test_cfg_space_interrupt_status_shows_the_level_whatever_interrupt_disable,
			 "INT-014"),
		REQ_TEST(test_cfg_space_transactions_pending_is_device_status_bit_5, "TAG-011"),
		REQ_TEST(test_cfg_space_slot_power_is_captured_until_hot_reset, "ACC-013 RST-002 RST-004"),
		REQ_TEST(test_cfg_space_resets_keep_what_they_should_and_nothing_else,
			 "RST-002 RST-004 RST-006"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
