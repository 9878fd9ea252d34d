#include "rtl-model/blocks/sys/sys.h"
#include "rtl-model/csr_bus.h"
#include "tests/unit/rtl-model/csr_check.h"

/* Feature bits, virtio 1.4 §5.2.3 and §6. */
#define BIT(n) (UINT64_C(1) << (n))
enum {
	SIZE_MAX_BIT = 1,
	SEG_MAX = 2,
	RO = 5,
	BLK_SIZE = 6,
	FLUSH = 9,
	TOPOLOGY = 10,
	CONFIG_WCE = 11,
	MQ = 12,
	DISCARD = 13,
	WRITE_ZEROES = 14,
	LIFETIME = 15,
	SECURE_ERASE = 16,
	INDIRECT_DESC = 28,
	EVENT_IDX = 29,
	VERSION_1 = 32,
	ACCESS_PLATFORM = 33,
	IN_ORDER = 35,
	ORDER_PLATFORM = 36,
	NOTIFICATION_DATA = 38,
	RING_RESET = 40,
};

struct bench {
	struct config config;
	struct store_info store;
	struct cfg_control control;
	struct sys sys;
	uint32_t events, busy;
	uint64_t sectors, written_bytes;
	char log[512];
	size_t length;
};

PRINTF_LIKE(2, 3) static void note(struct bench *b, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	b->length += (size_t)vsnprintf(b->log + b->length, sizeof(b->log) - b->length, format, args);
	va_end(args);
	assert_true(b->length < sizeof(b->log));
}

static void expect(struct bench *b, const char *log)
{
	assert_string_equal(b->log, log);
	b->length = 0;
	b->log[0] = 0;
}

static uint32_t events(void *ctx, uint64_t now_ps)
{
	(void)now_ps;
	return ((struct bench *)ctx)->events;
}

static uint32_t busy(void *ctx)
{
	return ((struct bench *)ctx)->busy;
}

static uint64_t sectors(void *ctx)
{
	return ((struct bench *)ctx)->sectors;
}

static uint64_t written_bytes(void *ctx)
{
	return ((struct bench *)ctx)->written_bytes;
}

static void interrupt(void *ctx, uint64_t now_ps, bool level)
{
	note(ctx, "line %d at %u, ", level, (unsigned)now_ps);
}

static void ready(void *ctx, bool on)
{
	note(ctx, "ready %d, ", on);
}

static void engines_reset(void *ctx, uint64_t now_ps)
{
	note(ctx, "engines reset at %u, ", (unsigned)now_ps);
}

static void function_reset_done(void *ctx, uint64_t now_ps)
{
	note(ctx, "reset done at %u, ", (unsigned)now_ps);
}

static void panic(void *ctx, uint64_t now_ps, uint32_t code)
{
	note(ctx, "panic %u at %u, ", (unsigned)code, (unsigned)now_ps);
}

static void start(struct bench *b)
{
	const struct sys_ports ports = {.ctx = b,
					.control = &b->control,
					.events = events,
					.busy = busy,
					.sectors = sectors,
					.written_bytes = written_bytes,
					.interrupt = interrupt,
					.ready = ready,
					.engines_reset = engines_reset,
					.function_reset_done = function_reset_done,
					.panic = panic};
	sys_init(&b->sys, &b->config, &b->store, &ports);
}

static void bench_init(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	config_defaults(&b->config);
	b->store = (struct store_info){.bytes = 1 << 20, .can_flush = true};
	start(b);
}

static void set(struct bench *b, const char *assignment)
{
	char error[160];
	if (config_set(&b->config, assignment, error, sizeof(error)) != 0)
		fail_msg("%s", error);
}

static uint32_t get(struct bench *b, uint32_t offset)
{
	uint32_t value;
	assert_true(sys_csr_read(&b->sys, 0, offset, &value));
	return value;
}

static uint32_t get_media(struct bench *b, uint32_t offset)
{
	uint32_t value;
	assert_true(sys_media_csr_read(&b->sys, 0, offset, &value));
	return value;
}

static void put(struct bench *b, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	assert_true(sys_csr_write(&b->sys, now_ps, offset, value));
}

static uint64_t features(struct bench *b)
{
	return get(b, CSR_SYS_FEATURES_LO) | (uint64_t)get(b, CSR_SYS_FEATURES_HI) << 32;
}

/* ---- registers ---- */

static bool sys_read(void *self, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return sys_csr_read(self, now_ps, offset, value);
}

static bool sys_write(void *self, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return sys_csr_write(self, now_ps, offset, value);
}

static bool media_read(void *self, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return sys_media_csr_read(self, now_ps, offset, value);
}

static bool media_write(void *self, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return sys_media_csr_write(self, now_ps, offset, value);
}

static bool pcie_read(void *self, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return sys_pcie_csr_read(self, now_ps, offset, value);
}

static bool pcie_write(void *self, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return sys_pcie_csr_write(self, now_ps, offset, value);
}

static void test_sys_registers_reset_value_and_access(void **state)
{
	(void)state;
	static const struct csr_case cases[] = {
		{.offset = 0x00, .reset = 0x4b53544b},    /* "KTSK" */
		{.offset = 0x04, .reset = 1},             /* VERSION */
		{.offset = 0x08},                         /* EVENTS */
		{.offset = 0x0c, .writable = UINT32_MAX}, /* EVENT_ENABLE */
		{.offset = 0x10, .writable = 1},          /* READY */
		{.offset = 0x14, .writable = UINT32_MAX}, /* TRAP_* */
		{.offset = 0x18, .writable = UINT32_MAX},
		{.offset = 0x1c, .writable = UINT32_MAX},
		{.offset = 0x20, .action = true},      /* PANIC */
		{.offset = 0x24, .reset = 1},          /* OFFLOAD: fetch */
		{.offset = 0x28, .reset = 0x30006e44}, /* FEATURES, see below */
		{.offset = 0x2c, .reset = 0x00000113},
		{.offset = 0x30, .reset = 1},          /* QUEUES */
		{.offset = 0x34, .reset = 256},        /* QUEUE_SIZE */
		{.offset = 0x38},                      /* POLL_CYCLES */
		{.offset = 0x3c, .reset = 126},        /* SEG_MAX */
		{.offset = 0x40},                      /* SIZE_MAX */
		{.offset = 0x44, .reset = 1000000000}, /* CORE_HZ */
		{.offset = 0x48, .action = true},      /* CARD_RESET */
		{.offset = 0x4c},                      /* ENGINES_BUSY */
	};
	struct bench b;
	bench_init(&b);
	const struct csr_block block = {&b.sys, sys_read, sys_write};
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
}

static void test_sys_media_registers_reset_value_and_access(void **state)
{
	(void)state;
	static const struct csr_case cases[] = {
		{.offset = 0x00, .reset = 0x55667788}, {.offset = 0x04, .reset = 0x11223344},
		{.offset = 0x08, .reset = 0x22},       /* FLAGS: flush, lifetime */
		{.offset = 0x0c, .reset = 512},        /* BLOCK_BYTES */
		{.offset = 0x10, .reset = 3},          /* PHYSICAL_EXP: 512 to 4096 */
		{.offset = 0x14, .reset = 32},         /* OPTIMAL_BLOCKS: 16 KiB */
		{.offset = 0x18, .reset = 0x010101},   /* LIFETIME */
		{.offset = 0x20, .reset = 0x6b63696b}, /* SERIAL: "kick" */
		{.offset = 0x24, .reset = 0x6e617473}, /* "stan" */
		{.offset = 0x28, .reset = 0x30302d64}, /* "d-00" */
		{.offset = 0x2c, .reset = 0x30303030}, /* "0000" */
		{.offset = 0x30, .reset = 0x31303030}, /* "0001" */
	};
	struct bench b;
	bench_init(&b);
	b.config.sim.seed = 1;
	start(&b);
	b.sectors = UINT64_C(0x1122334455667788);
	const struct csr_block block = {&b.sys, media_read, media_write};
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
}

static void test_sys_pcie_registers_reset_value_and_access(void **state)
{
	(void)state;
	static const struct csr_case cases[] = {{.offset = 0x00}, {.offset = 0x04}};
	struct bench b;
	bench_init(&b);
	const struct csr_block block = {&b.sys, pcie_read, pcie_write};
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
}

/* ---- straps ---- */

static void test_sys_straps_equal_configuration(void **state)
{
	(void)state;
	static const struct {
		const char *setting;
		uint32_t offset, value;
	} cases[] = {
		{"device.offload=firmware", CSR_SYS_OFFLOAD, OFFLOAD_FIRMWARE},
		{"device.offload=fetch", CSR_SYS_OFFLOAD, OFFLOAD_FETCH},
		{"device.queues=64", CSR_SYS_QUEUES, 64},
		{"device.queue_size=32768", CSR_SYS_QUEUE_SIZE, 32768},
		{"device.seg_max=7", CSR_SYS_SEG_MAX, 7},
		{"device.size_max=65536", CSR_SYS_SIZE_MAX, 65536},
		{"core.clock_mhz=4000", CSR_SYS_CORE_HZ, 4000000000},
		{"core.clock_mhz=10", CSR_SYS_CORE_HZ, 10000000},
		{"core.poll_ns=2500", CSR_SYS_POLL_CYCLES, 2500},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench b;
		bench_init(&b);
		set(&b, cases[i].setting);
		start(&b);
		assert_int_equal(get(&b, cases[i].offset), cases[i].value);
	}
}

static void test_sys_poll_window_counts_core_cycles(void **state)
{
	(void)state;
	static const struct {
		const char *clock, *window;
		uint32_t cycles;
	} cases[] = {
		{"core.clock_mhz=500", "core.poll_ns=1000", 500},
		{"core.clock_mhz=10", "core.poll_ns=50", 0}, /* less than a cycle */
		{"core.clock_mhz=4000", "core.poll_ns=1000000000", 4000000000},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench b;
		bench_init(&b);
		set(&b, cases[i].clock);
		set(&b, cases[i].window);
		start(&b);
		assert_int_equal(get(&b, CSR_SYS_POLL_CYCLES), cases[i].cycles);
	}
}

static void test_sys_feature_bits_of_each_key(void **state)
{
	(void)state;
	static const struct {
		const char *off, *on;
		uint64_t bits;
	} cases[] = {
		{"device.size_max=0", "device.size_max=4096", BIT(SIZE_MAX_BIT)},
		{"device.read_only=off", "device.read_only=on", BIT(RO)},
		{"device.queues=1", "device.queues=2", BIT(MQ)},
		{"virtio.config_wce=off", "virtio.config_wce=on", BIT(CONFIG_WCE)},
		{"virtio.discard=off", "virtio.discard=on", BIT(DISCARD)},
		{"virtio.write_zeroes=off", "virtio.write_zeroes=on", BIT(WRITE_ZEROES)},
		{"virtio.secure_erase=off", "virtio.secure_erase=on", BIT(SECURE_ERASE)},
		{"virtio.lifetime=off", "virtio.lifetime=on", BIT(LIFETIME)},
		{"virtio.indirect=off", "virtio.indirect=on", BIT(INDIRECT_DESC)},
		{"virtio.event_idx=off", "virtio.event_idx=on", BIT(EVENT_IDX)},
		{"virtio.in_order=off", "virtio.in_order=on", BIT(IN_ORDER)},
		{"virtio.notification_data=off", "virtio.notification_data=on", BIT(NOTIFICATION_DATA)},
		{"virtio.ring_reset=off", "virtio.ring_reset=on", BIT(RING_RESET)},
		{"virtio.access_platform=off", "virtio.access_platform=on",
		 BIT(ACCESS_PLATFORM) | BIT(ORDER_PLATFORM)},
	};
	const uint64_t always = BIT(SEG_MAX) | BIT(BLK_SIZE) | BIT(FLUSH) | BIT(TOPOLOGY) | BIT(VERSION_1);
	struct bench b;
	bench_init(&b);
	assert_int_equal(features(&b), UINT64_C(0x11330006e44)); /* the default offer */
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		set(&b, cases[i].off);
	start(&b);
	assert_int_equal(features(&b), always);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		set(&b, cases[i].on);
		start(&b);
		assert_int_equal(features(&b), always | cases[i].bits);
		set(&b, cases[i].off);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		set(&b, cases[i].on);
	start(&b);
	uint64_t all = always;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		all |= cases[i].bits;
	assert_int_equal(features(&b), all);
}

/* ---- the medium ---- */

static void test_sys_media_flags_follow_the_store(void **state)
{
	(void)state;
	static const struct {
		struct store_info store;
		bool read_only;
		uint32_t flags;
	} cases[] = {
		{{.bytes = 512}, false, 0x20},
		{{.bytes = 512, .read_only = true}, false, 0x21},
		{{.bytes = 512}, true, 0x21},
		{{.bytes = 512, .can_flush = true}, false, 0x22},
		{{.bytes = 512, .can_discard = true}, false, 0x24},
		{{.bytes = 512, .can_zero = true}, false, 0x38}, /* erasing is writing zeroes */
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench b;
		bench_init(&b);
		b.store = cases[i].store;
		b.config.device.read_only = cases[i].read_only;
		start(&b);
		assert_int_equal(get_media(&b, CSR_MEDIA_FLAGS), cases[i].flags);
	}
}

static void test_sys_media_block_sizes(void **state)
{
	(void)state;
	static const struct {
		unsigned block_bytes, exp, optimal;
	} cases[] = {{512, 3, 32}, {1024, 2, 16}, {2048, 1, 8}, {4096, 0, 4}};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench b;
		bench_init(&b);
		b.config.media.block_bytes = cases[i].block_bytes;
		b.config.mover.chunk_bytes = 16384;
		start(&b);
		assert_int_equal(get_media(&b, CSR_MEDIA_BLOCK_BYTES), cases[i].block_bytes);
		assert_int_equal(get_media(&b, CSR_MEDIA_PHYSICAL_EXP), cases[i].exp);
		assert_int_equal(get_media(&b, CSR_MEDIA_OPTIMAL_BLOCKS), cases[i].optimal);
	}
}

static void test_sys_media_sectors_are_those_of_now(void **state)
{
	(void)state;
	struct bench b;
	bench_init(&b);
	b.sectors = 2048;
	assert_int_equal(get_media(&b, CSR_MEDIA_SECTORS_LO), 2048);
	b.sectors = UINT64_C(0x500000001);
	assert_int_equal(get_media(&b, CSR_MEDIA_SECTORS_LO), 1);
	assert_int_equal(get_media(&b, CSR_MEDIA_SECTORS_HI), 5);
}

static void test_sys_serial_is_20_characters_of_the_seed(void **state)
{
	(void)state;
	static const struct {
		uint64_t seed;
		const char *serial;
	} cases[] = {
		{0, "kickstand-0000000000"},          {42, "kickstand-0000000042"},
		{9999999999, "kickstand-9999999999"}, {10000000007, "kickstand-0000000007"},
		{UINT64_MAX, "kickstand-3709551615"},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench b;
		uint8_t serial[20];
		bench_init(&b);
		b.config.sim.seed = cases[i].seed;
		start(&b);
		for (unsigned n = 0; n < 5; n++)
			store_le32(serial + 4 * n, get_media(&b, CSR_MEDIA_SERIAL + 4 * n));
		assert_memory_equal(serial, cases[i].serial, 20);
	}
}

/* Percent of the rated life of 3000 overwrites: pre_eol_info and estimates of virtio 1.4 §5.2.6.2. */
static void test_sys_lifetime_figures(void **state)
{
	(void)state;
	static const struct {
		unsigned permille;
		uint8_t pre_eol, estimate;
	} cases[] = {
		{0, 1, 1},    {50, 1, 1},    {99, 1, 1},    {101, 1, 2},    {250, 1, 3},
		{555, 1, 6},  {799, 1, 8},   {801, 2, 9},   {899, 2, 9},    {901, 3, 10},
		{999, 3, 10}, {1001, 3, 11}, {1500, 3, 11}, {60000, 3, 11},
	};
	static const uint64_t sizes[] = {1000000 * UINT64_C(512), UINT64_C(1) << 40, UINT64_C(1) << 47};
	for (unsigned s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct bench b;
		bench_init(&b);
		b.store.bytes = sizes[s];
		start(&b);
		for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
			b.written_bytes = sizes[s] / 1000 * 3 * cases[i].permille * 1000;
			if (cases[i].permille > 1000 && sizes[s] > UINT64_C(1) << 46)
				b.written_bytes = UINT64_MAX; /* the product would not fit */
			uint32_t value = get_media(&b, CSR_MEDIA_LIFETIME);
			assert_int_equal(value & 0xff, cases[i].pre_eol);
			assert_int_equal(value >> 8 & 0xff, cases[i].estimate);
			assert_int_equal(value >> 16, cases[i].estimate);
		}
	}
}

/* Whatever the sizes, never a reserved value. */
static void test_sys_lifetime_never_reserved(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(165), 0);
	for (unsigned n = 0; n < 20000; n++) {
		struct bench b;
		bench_init(&b);
		b.store.bytes = (rng_u64(&rng) >> rng_below(&rng, 64)) & ~UINT64_C(511);
		start(&b);
		b.written_bytes = n % 3 == 0 ? UINT64_MAX : rng_u64(&rng) >> rng_below(&rng, 64);
		uint32_t value = get_media(&b, CSR_MEDIA_LIFETIME);
		assert_in_range(value & 0xff, 1, 3);
		assert_in_range(value >> 8 & 0xff, 1, 11);
		assert_int_equal(value >> 16, value >> 8 & 0xff);
	}
}

/* ---- events ---- */

static void test_sys_interrupt_line_follows_enabled_events(void **state)
{
	(void)state;
	struct bench b;
	bench_init(&b);
	b.events = 0x5;
	sys_step(&b.sys, 1);
	expect(&b, ""); /* nothing is enabled after reset */
	assert_int_equal(get(&b, CSR_SYS_EVENTS), 0x5);
	put(&b, 2, CSR_SYS_EVENT_ENABLE, 0x2);
	expect(&b, "");
	put(&b, 3, CSR_SYS_EVENT_ENABLE, 0x6);
	expect(&b, "line 1 at 3, ");
	sys_step(&b.sys, 4); /* only changes are told */
	expect(&b, "");
	b.events = 0x1;
	sys_step(&b.sys, 5);
	expect(&b, "line 0 at 5, ");
	b.events = 0x80000000;
	sys_step(&b.sys, 6);
	expect(&b, "");
	put(&b, 7, CSR_SYS_EVENT_ENABLE, UINT32_MAX);
	expect(&b, "line 1 at 7, ");
	put(&b, 8, CSR_SYS_EVENT_ENABLE, 0);
	expect(&b, "line 0 at 8, ");
}

static void test_sys_function_reset_event_until_done(void **state)
{
	(void)state;
	struct bench b;
	bench_init(&b);
	put(&b, 1, CSR_SYS_EVENT_ENABLE, UINT32_MAX);
	assert_true(sys_pcie_csr_write(&b.sys, 2, CSR_PCIE_FUNCTION_RESET, 1));
	expect(&b, ""); /* there is none to be done with */
	sys_function_reset(&b.sys, 3);
	expect(&b, "line 1 at 3, ");
	assert_int_equal(get(&b, CSR_SYS_EVENTS), CSR_SYS_EVENTS_FUNCTION_RESET_MASK);
	assert_true(sys_pcie_csr_write(&b.sys, 4, CSR_PCIE_FUNCTION_RESET, 0));
	assert_int_equal(get(&b, CSR_SYS_EVENTS), CSR_SYS_EVENTS_FUNCTION_RESET_MASK);
	assert_true(sys_pcie_csr_write(&b.sys, 5, CSR_PCIE_FUNCTION_RESET, 1));
	sys_step(&b.sys, 5);
	expect(&b, "reset done at 5, line 0 at 5, ");
	assert_int_equal(get(&b, CSR_SYS_EVENTS), 0);
}

static void test_sys_ready_panic_card_reset_reach_their_ports(void **state)
{
	(void)state;
	struct bench b;
	bench_init(&b);
	put(&b, 1, CSR_SYS_READY, 1);
	put(&b, 2, CSR_SYS_READY, 0);
	expect(&b, "ready 1, ready 0, ");
	put(&b, 3, CSR_SYS_CARD_RESET, 0xfffffffe);
	expect(&b, "");
	put(&b, 4, CSR_SYS_CARD_RESET, 1);
	expect(&b, "engines reset at 4, ");
	put(&b, 5, CSR_SYS_PANIC, 2);
	put(&b, 6, CSR_SYS_PANIC, 0);
	expect(&b, "panic 2 at 5, panic 0 at 6, ");
}

static void test_sys_engines_busy_and_pcie_state_are_live(void **state)
{
	(void)state;
	static const struct {
		struct cfg_control control;
		uint32_t state;
	} cases[] = {
		{{.bus_master = false}, 0},
		{{.bus_master = true}, 1},
		{{.msix_enable = true}, 2},
		{{.power_state = 3}, 4},
		{{.bus_master = true, .msix_enable = true, .power_state = 3}, 7},
	};
	struct bench b;
	bench_init(&b);
	b.busy = 0x2a;
	assert_int_equal(get(&b, CSR_SYS_ENGINES_BUSY), 0x2a);
	b.busy = 0;
	assert_int_equal(get(&b, CSR_SYS_ENGINES_BUSY), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t value;
		b.control = cases[i].control;
		assert_true(sys_pcie_csr_read(&b.sys, 0, CSR_PCIE_STATE, &value));
		assert_int_equal(value, cases[i].state);
	}
}

/* ---- the bus ---- */

struct probe {
	uint32_t offset, value;
	unsigned reads, writes;
};

static bool probe_read(void *ctx, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	struct probe *probe = ctx;
	(void)now_ps;
	probe->offset = offset;
	probe->reads++;
	*value = probe->value;
	return true;
}

static bool probe_write(void *ctx, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	struct probe *probe = ctx;
	(void)now_ps;
	probe->offset = offset;
	probe->value = value;
	probe->writes++;
	return true;
}

static void test_csr_bus_decodes_windows(void **state)
{
	(void)state;
	struct probe probe[16] = {{0}};
	struct csr_bus bus = {0};
	uint32_t value = 0;
	for (unsigned i = 0; i < 16; i++)
		if (i != 5)
			bus.window[i] = (struct csr_window){&probe[i], probe_read, probe_write};
	for (unsigned i = 0; i < 16; i++) {
		uint32_t addr = 0x10000000 + i * 0x1000 + 0xffc;
		assert_int_equal(csr_bus_write(&bus, 0, addr, i), i != 5);
		assert_int_equal(csr_bus_read(&bus, 0, addr, &value), i != 5);
		if (i != 5) {
			assert_int_equal(value, i);
			assert_int_equal(probe[i].offset, 0xffc);
		}
	}
	static const uint32_t nowhere[] = {0,          0x0ffffffc, 0x10010000, 0x10000001, 0x10000002,
					   0x1000fffe, 0x20000000, 0x80000000, 0xfffffffc};
	for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
		assert_false(csr_bus_read(&bus, 0, nowhere[i], &value));
		assert_false(csr_bus_write(&bus, 0, nowhere[i], 0));
	}
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(probe[i].reads, i != 5);
		assert_int_equal(probe[i].writes, i != 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sys_registers_reset_value_and_access),
		cmocka_unit_test(test_sys_media_registers_reset_value_and_access),
		cmocka_unit_test(test_sys_pcie_registers_reset_value_and_access),
		cmocka_unit_test(test_sys_straps_equal_configuration),
		cmocka_unit_test(test_sys_poll_window_counts_core_cycles),
		REQ_TEST(test_sys_feature_bits_of_each_key,
			 "D-005 D-051 D-053 D-058 D-059 D-132 D-133 D-136"),
		cmocka_unit_test(test_sys_media_flags_follow_the_store),
		cmocka_unit_test(test_sys_media_block_sizes),
		cmocka_unit_test(test_sys_media_sectors_are_those_of_now),
		cmocka_unit_test(test_sys_serial_is_20_characters_of_the_seed),
		REQ_TEST(test_sys_lifetime_figures, "D-165"),
		REQ_TEST(test_sys_lifetime_never_reserved, "D-165"),
		cmocka_unit_test(test_sys_interrupt_line_follows_enabled_events),
		cmocka_unit_test(test_sys_function_reset_event_until_done),
		cmocka_unit_test(test_sys_ready_panic_card_reset_reach_their_ports),
		cmocka_unit_test(test_sys_engines_busy_and_pcie_state_are_live),
		cmocka_unit_test(test_csr_bus_decodes_windows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
