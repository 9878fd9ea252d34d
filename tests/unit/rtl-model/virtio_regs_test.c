/* The common configuration register by register, and the device configuration. The status protocol, queue reset
 * and interrupts are in virtio_status_test.c. */
#include "tests/unit/rtl-model/csr_check.h"
#include "tests/unit/rtl-model/virtio_fixture.h"

/* virtio 1.4 §4.1.4.3: what the driver may do with each field, and its value after reset. */
static const struct field {
	const char *name;
	uint32_t offset;
	unsigned bytes;
	bool writable, banked;
	uint64_t reset;
} fields[] = {
	{"device_feature_select", 0x00, 4, true, false, 0},
	{"device_feature", 0x04, 4, false, false, 0x30000200},
	{"driver_feature_select", 0x08, 4, true, false, 0},
	{"driver_feature", 0x0c, 4, true, false, 0},
	{"config_msix_vector", 0x10, 2, true, false, 0xffff},
	{"num_queues", 0x12, 2, false, false, QUEUES},
	{"device_status", 0x14, 1, true, false, 0},
	{"config_generation", 0x15, 1, false, false, 0},
	{"queue_select", 0x16, 2, true, false, 0},
	{"queue_size", 0x18, 2, true, true, SIZE_MAX_OFFERED},
	{"queue_msix_vector", 0x1a, 2, true, true, 0xffff},
	{"queue_enable", 0x1c, 2, true, true, 0},
	{"queue_notify_off", 0x1e, 2, false, true, 0},
	{"queue_desc", 0x20, 8, true, true, 0},
	{"queue_driver", 0x28, 8, true, true, 0},
	{"queue_device", 0x30, 8, true, true, 0},
	{"queue_notif_config_data", 0x38, 2, false, true, 0},
	{"queue_reset", 0x3a, 2, false, true, 0}, /* not negotiated here */
	{"admin_queue_index", 0x3c, 2, false, false, 0},
	{"admin_queue_num", 0x3e, 2, false, false, 0},
};

static bool read_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return virtio_csr_read(self, now_ps, offset, value);
}

static bool write_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return virtio_csr_write(self, now_ps, offset, value);
}

static void test_virtio_csr_reset_value_and_access(void **state)
{
	(void)state;
	struct csr_case cases[25 + 24] = {
		{.offset = 0x00},                   /* STATUS_WRITTEN */
		{.offset = 0x04, .writable = 0xff}, /* STATUS */
		{.offset = 0x08, .writable = ~0u},  /* DEVICE_FEATURES */
		{.offset = 0x0c, .writable = ~0u},
		{.offset = 0x10}, /* DRIVER_FEATURES */
		{.offset = 0x14},
		{.offset = 0x18},
		{.offset = 0x1c, .action = true}, /* NUM_QUEUES: up to 64 */
		{.offset = 0x20, .action = true}, /* QUEUE_SIZE_MAX: changes QUEUE_SIZE */
		{.offset = 0x24, .writable = 0x3f},
		{.offset = 0x28}, /* QUEUE_*: the driver's */
		{.offset = 0x2c},
		{.offset = 0x30},
		{.offset = 0x34},
		{.offset = 0x38},
		{.offset = 0x3c},
		{.offset = 0x40},
		{.offset = 0x44},
		{.offset = 0x48}, /* QUEUE_RESET, rw1c */
		{.offset = 0x4c},
		{.offset = 0x50, .action = true}, /* CONFIG_CHANGED */
		{.offset = 0x54},                 /* CONFIG_WRITTEN, rw1c */
		{.offset = 0x58, .writable = 1},
		{.offset = 0x5c}, /* QUEUE_ENABLED, rw1c */
		{.offset = 0x60},
	};
	for (unsigned i = 0; i < 24; i++)
		cases[25 + i] = (struct csr_case){.offset = 0x100 + 4 * i, .writable = ~0u};
	struct regs_bench b;
	bench_init(&b);
	const struct virtio_ports ports = b.regs.ports;
	virtio_regs_init(&b.regs, &b.config, &ports); /* before any offer */
	const struct csr_block block = {&b.regs, read_register, write_register};
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
}

static void test_virtio_csr_counts_are_bounded(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	put(&b, CSR_VIRTIO_NUM_QUEUES, 65);
	assert_int_equal(get(&b, CSR_VIRTIO_NUM_QUEUES), 64);
	put(&b, CSR_VIRTIO_NUM_QUEUES, 64);
	assert_int_equal(rd(&b, NUM_QUEUES, 2), 64);
	put(&b, CSR_VIRTIO_QUEUE_SIZE_MAX, 32768);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_SIZE_MAX), 32768);
	assert_int_equal(rd(&b, QUEUE_SIZE, 2), 32768);
}

/* ---- fields ---- */

static void test_virtio_common_reset_values(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
		if (rd(&b, fields[i].offset, fields[i].bytes) != fields[i].reset)
			fail_msg("%s", fields[i].name);
	for (unsigned queue = 0; queue < QUEUES; queue++) {
		wr(&b, QUEUE_SELECT, 2, queue);
		for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
			uint64_t expected = fields[i].offset == QUEUE_NOTIFY_OFF ? queue : fields[i].reset;
			if (fields[i].banked && rd(&b, fields[i].offset, fields[i].bytes) != expected)
				fail_msg("%s of queue %u", fields[i].name, queue);
		}
	}
}

static void test_virtio_common_writable_fields_read_back(void **state)
{
	(void)state;
	static const struct {
		uint32_t offset;
		unsigned bytes;
		uint64_t value;
	} cases[] = {
		{DEVICE_FEATURE_SELECT, 4, 0xdeadbeef},
		{DRIVER_FEATURE_SELECT, 4, 1},
		{DRIVER_FEATURE, 4, 0x89abcdef},
		{CONFIG_MSIX_VECTOR, 2, 4},
		{QUEUE_SELECT, 2, 6},
		{QUEUE_SIZE, 2, 64},
		{QUEUE_MSIX_VECTOR, 2, 3},
		{QUEUE_DESC, 8, 0x1122334455667788},
		{QUEUE_DRIVER, 8, 0x99aabbccddeeff00},
		{QUEUE_DEVICE, 8, 0xfedcba9876543210},
		{QUEUE_ENABLE, 2, 1},
	};
	struct regs_bench b;
	bench_init(&b);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		wr(&b, cases[i].offset, cases[i].bytes, cases[i].value);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(rd(&b, cases[i].offset, cases[i].bytes), cases[i].value);
	/* The firmware sees the same. */
	put(&b, CSR_VIRTIO_QUEUE_SELECT, 6);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_SIZE), 64);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_ENABLE), 1);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_DESC_LO), 0x55667788);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_DESC_HI), 0x11223344);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_DRIVER_LO), 0xddeeff00);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_DRIVER_HI), 0x99aabbcc);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_DEVICE_LO), 0x76543210);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_DEVICE_HI), 0xfedcba98);
	assert_int_equal(get(&b, CSR_VIRTIO_DRIVER_FEATURES_HI), 0x89abcdef);
	assert_int_equal(get(&b, CSR_VIRTIO_DRIVER_FEATURES_LO), 0);
}

static void test_virtio_common_read_only_fields_ignore_writes(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	wr(&b, QUEUE_SELECT, 2, 3);
	struct virtio_regs before = b.regs;
	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].writable)
			continue;
		static const uint64_t values[] = {0, 1, UINT64_MAX};
		for (unsigned n = 0; n < ARRAY_SIZE(values); n++)
			wr(&b, fields[i].offset, fields[i].bytes, values[n]);
		if (memcmp(&before, &b.regs, sizeof(before)) != 0)
			fail_msg("%s", fields[i].name);
	}
	assert_int_equal(b.wakes, 0);
}

static void test_virtio_queue_fields_are_banked(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	for (unsigned queue = 0; queue < QUEUES; queue++) {
		wr(&b, QUEUE_SELECT, 2, queue);
		wr(&b, QUEUE_SIZE, 2, UINT64_C(2) << queue);
		wr(&b, QUEUE_MSIX_VECTOR, 2, queue % VECTORS);
		wr(&b, QUEUE_DESC, 8, UINT64_C(0x100000000) * queue + 0x1000);
		wr(&b, QUEUE_DRIVER, 8, UINT64_C(0x100000000) * queue + 0x2000);
		wr(&b, QUEUE_DEVICE, 8, UINT64_C(0x100000000) * queue + 0x3000);
		if (queue % 2)
			wr(&b, QUEUE_ENABLE, 2, 1);
	}
	for (unsigned queue = 0; queue < QUEUES; queue++) {
		wr(&b, QUEUE_SELECT, 2, queue);
		assert_int_equal(rd(&b, QUEUE_SIZE, 2), 2u << queue);
		assert_int_equal(rd(&b, QUEUE_MSIX_VECTOR, 2), queue % VECTORS);
		assert_int_equal(rd(&b, QUEUE_DESC, 8), UINT64_C(0x100000000) * queue + 0x1000);
		assert_int_equal(rd(&b, QUEUE_DRIVER, 8), UINT64_C(0x100000000) * queue + 0x2000);
		assert_int_equal(rd(&b, QUEUE_DEVICE, 8), UINT64_C(0x100000000) * queue + 0x3000);
		assert_int_equal(rd(&b, QUEUE_ENABLE, 2), queue % 2);
		assert_int_equal(rd(&b, QUEUE_NOTIFY_OFF, 2), queue);
	}
}

static void test_virtio_64bit_fields_take_halves_in_any_order(void **state)
{
	(void)state;
	static const uint32_t offsets[] = {QUEUE_DESC, QUEUE_DRIVER, QUEUE_DEVICE};
	struct regs_bench b;
	bench_init(&b);
	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
		wr(&b, offsets[i] + 4, 4, 0x11111111);
		assert_int_equal(rd(&b, offsets[i], 8), UINT64_C(0x1111111100000000));
		wr(&b, offsets[i], 4, 0x22222222);
		assert_int_equal(rd(&b, offsets[i], 8), UINT64_C(0x1111111122222222));
		wr(&b, offsets[i] + 4, 4, 0x33333333);
		assert_int_equal(rd(&b, offsets[i] + 4, 4), 0x33333333);
		assert_int_equal(rd(&b, offsets[i], 4), 0x22222222);
		wr(&b, offsets[i], 8, UINT64_C(0x4444444455555555)); /* the habit of §9 */
		assert_int_equal(rd(&b, offsets[i], 8), UINT64_C(0x4444444455555555));
	}
}

/* Any bytes of a register may be written by themselves: the others stay. */
static void test_virtio_byte_enables_touch_enabled_bytes_only(void **state)
{
	(void)state;
	static const uint32_t plain[] = {0x00, 0x08, 0x20, 0x24, 0x28, 0x2c, 0x30, 0x34};
	struct rng rng;
	rng_seed(&rng, test_seed(78), 0);
	struct regs_bench b;
	bench_init(&b);
	uint32_t shadow[ARRAY_SIZE(plain)] = {0};
	for (unsigned n = 0; n < 20000; n++) {
		unsigned i = (unsigned)rng_below(&rng, ARRAY_SIZE(plain));
		unsigned lane = (unsigned)rng_below(&rng, 4), bytes = 1 + (unsigned)rng_below(&rng, 4 - lane);
		uint32_t value = (uint32_t)rng_u64(&rng);
		wr(&b, plain[i] + lane, bytes, value);
		for (unsigned k = 0; k < bytes; k++) {
			shadow[i] &= ~(UINT32_C(0xff) << 8 * (lane + k));
			shadow[i] |= (value >> 8 * k & 0xff) << 8 * (lane + k);
		}
		unsigned probe = (unsigned)rng_below(&rng, ARRAY_SIZE(plain));
		assert_int_equal(rd(&b, plain[probe], 4), shadow[probe]);
	}
}

/* Fields that share a DW: writing one has no effect on its neighbours. */
static void test_virtio_access_of_one_field_leaves_neighbours(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	wr(&b, QUEUE_SELECT, 2, 2);
	wr(&b, QUEUE_MSIX_VECTOR, 2, 4);
	wr(&b, QUEUE_SIZE, 2, 32);
	assert_int_equal(rd(&b, QUEUE_MSIX_VECTOR, 2), 4);
	wr(&b, CONFIG_MSIX_VECTOR, 2, 1);
	assert_int_equal(b.regs.unanswered, false); /* device_status has not been written by any of this */
	wr(&b, DEVICE_STATUS, 1, STATUS_ACK);
	assert_int_equal(rd(&b, QUEUE_SELECT, 2), 2);
	/* One byte of a 16-bit field. */
	wr(&b, QUEUE_SIZE + 1, 1, 1); /* 0x0020 -> 0x0120: no power of 2 */
	assert_int_equal(rd(&b, QUEUE_SIZE, 2), 32);
	wr(&b, QUEUE_SIZE, 1, 0);
	assert_int_equal(rd(&b, QUEUE_SIZE, 2), 32);
	wr(&b, QUEUE_SIZE, 1, 128);
	assert_int_equal(rd(&b, QUEUE_SIZE, 2), 128);
	wr(&b, QUEUE_ENABLE + 1, 1, 1); /* 0x0100 */
	assert_int_equal(rd(&b, QUEUE_ENABLE, 2), 0);
	/* Reads of any width see the fields side by side. */
	assert_int_equal(rd(&b, 0x16, 4), 2 | 128u << 16);
	assert_int_equal(rd(&b, 0x12, 1), QUEUES);
	assert_int_equal(rd(&b, 0x13, 1), 0);
	assert_int_equal(rd(&b, 0x10, 8),
			 1 | (uint64_t)QUEUES << 16 | UINT64_C(2) << 48); /* status not answered yet: 0 */
}

static void test_virtio_zero_byte_enables_do_nothing(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	go_live(&b, VERSION_1);
	virtio_config_interrupt(&b.regs, 0);
	put(&b, CSR_VIRTIO_DEVICE_CONFIG, 5);
	put(&b, CSR_VIRTIO_CONFIG_CHANGED, CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK);
	struct virtio_regs before = b.regs;
	for (uint32_t offset = 0; offset < 0x3000; offset += 4) {
		virtio_bar_read32(&b.regs, 0, offset, 0);
		virtio_bar_write32(&b.regs, 0, offset, 0xffffffff, 0);
	}
	assert_memory_equal(&before, &b.regs, sizeof(before));
}

static void test_virtio_beyond_structures_constant(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	for (uint32_t i = 0; i < 24; i++)
		put(&b, CSR_VIRTIO_DEVICE_CONFIG + 4 * i, UINT32_MAX);
	put(&b, CSR_VIRTIO_CONFIG_CHANGED, CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK);
	struct virtio_regs before = b.regs;
	for (uint32_t offset = 0; offset < 0x3000; offset += 4) {
		bool defined = offset < 0x40 || offset == ISR ||
			       (offset >= DEVICE_CONFIG && offset < DEVICE_CONFIG + 96);
		if (defined)
			continue;
		wr(&b, offset, 4, 0x12345678);
		assert_int_equal(rd(&b, offset, 4), 0);
	}
	wr(&b, ISR, 4, UINT32_MAX);
	wr(&b, ADMIN_QUEUE_INDEX, 4, UINT32_MAX);
	assert_memory_equal(&before, &b.regs, sizeof(before));
}

/* ---- features ---- */

static void test_virtio_device_feature_window_for_any_selector(void **state)
{
	(void)state;
	static const struct {
		uint32_t select, expected;
	} cases[] = {{0, 0x30000200}, {1, 0x00000101}, {2, 0},         {3, 0},
		     {4, 0},          {31, 0},         {32, 0},        {33, 0},
		     {0x80000000, 0}, {0x08000000, 0}, {0xffffffff, 0}};
	struct regs_bench b;
	bench_init(&b);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		wr(&b, DEVICE_FEATURE_SELECT, 4, cases[i].select);
		assert_int_equal(rd(&b, DEVICE_FEATURE, 4), cases[i].expected);
	}
}

static void test_virtio_driver_feature_reads_back(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	wr(&b, DRIVER_FEATURE_SELECT, 4, 0);
	wr(&b, DRIVER_FEATURE, 4, 0x30000000);
	wr(&b, DRIVER_FEATURE_SELECT, 4, 1);
	assert_int_equal(rd(&b, DRIVER_FEATURE, 4), 0);
	wr(&b, DRIVER_FEATURE, 4, 0x00000101);
	for (unsigned again = 0; again < 2; again++) {
		wr(&b, DRIVER_FEATURE_SELECT, 4, 0);
		assert_int_equal(rd(&b, DRIVER_FEATURE, 4), 0x30000000);
		wr(&b, DRIVER_FEATURE_SELECT, 4, 1);
		assert_int_equal(rd(&b, DRIVER_FEATURE, 4), 0x00000101);
		wr(&b, DRIVER_FEATURE_SELECT, 4, 2);
		assert_int_equal(rd(&b, DRIVER_FEATURE, 4), 0);
	}
	assert_int_equal(get(&b, CSR_VIRTIO_DRIVER_FEATURES_LO), 0x30000000);
	assert_int_equal(get(&b, CSR_VIRTIO_DRIVER_FEATURES_HI), 0x00000101);
}

static void test_virtio_driver_feature_beyond_63_is_told_to_firmware(void **state)
{
	(void)state;
	static const uint32_t selects[] = {2, 3, 32, 0x80000000, 0xffffffff};
	for (unsigned i = 0; i < ARRAY_SIZE(selects); i++) {
		struct regs_bench b;
		bench_init(&b);
		wr(&b, DRIVER_FEATURE_SELECT, 4, selects[i]);
		wr(&b, DRIVER_FEATURE, 4, 0);
		assert_int_equal(get(&b, CSR_VIRTIO_DRIVER_FEATURES_BAD), 0);
		wr(&b, DRIVER_FEATURE, 4, 0x100);
		assert_int_equal(get(&b, CSR_VIRTIO_DRIVER_FEATURES_BAD), 1);
		assert_int_equal(get(&b, CSR_VIRTIO_DRIVER_FEATURES_LO), 0);
		assert_int_equal(get(&b, CSR_VIRTIO_DRIVER_FEATURES_HI), 0);
		wr(&b, DEVICE_STATUS, 1, 0);
		answer(&b, 0);
		assert_int_equal(get(&b, CSR_VIRTIO_DRIVER_FEATURES_BAD), 0);
	}
}

static void test_virtio_driver_feature_frozen_after_features_ok(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	wr(&b, DRIVER_FEATURE, 4, 0x10000000);
	wr(&b, DEVICE_STATUS, 1, 0x0b);
	/* Even before the firmware has looked: what it judges is what the driver had then. */
	wr(&b, DRIVER_FEATURE, 4, 0x30000200);
	wr(&b, DRIVER_FEATURE_SELECT, 4, 2);
	wr(&b, DRIVER_FEATURE, 4, 1);
	assert_int_equal(get(&b, CSR_VIRTIO_DRIVER_FEATURES_LO), 0x10000000);
	assert_int_equal(get(&b, CSR_VIRTIO_DRIVER_FEATURES_BAD), 0);
	answer(&b, 0x0b);
	wr(&b, DRIVER_FEATURE_SELECT, 4, 0);
	wr(&b, DRIVER_FEATURE, 4, 0);
	assert_int_equal(rd(&b, DRIVER_FEATURE, 4), 0x10000000);
}

/* ---- vectors ---- */

static void test_virtio_vectors_map_or_read_back_no_vector(void **state)
{
	(void)state;
	static const struct {
		uint16_t written, read;
	} cases[] = {{0, 0},          {4, 4}, {0xffff, 0xffff}, {3, 3}, {5, 0xffff},      {1, 1},
		     {0x7ff, 0xffff}, {2, 2}, {0x800, 0xffff},  {0, 0}, {0xfffe, 0xffff}, {0x104, 0xffff}};
	static const uint32_t vector_fields[] = {CONFIG_MSIX_VECTOR, QUEUE_MSIX_VECTOR};
	for (int enabled = 0; enabled < 2; enabled++) {
		struct regs_bench b;
		bench_init(&b);
		b.control.msix_enable = enabled;
		for (unsigned f = 0; f < ARRAY_SIZE(vector_fields); f++) {
			for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
				wr(&b, vector_fields[f], 2, cases[i].written);
				assert_int_equal(rd(&b, vector_fields[f], 2), cases[i].read);
			}
		}
		wr(&b, CONFIG_MSIX_VECTOR, 2, 2);
		wr(&b, QUEUE_MSIX_VECTOR, 2, 2); /* shared */
		wr(&b, DEVICE_STATUS, 1, 0);
		answer(&b, 0);
		assert_int_equal(rd(&b, CONFIG_MSIX_VECTOR, 2), NO_VECTOR);
		assert_int_equal(rd(&b, QUEUE_MSIX_VECTOR, 2), NO_VECTOR);
	}
}

/* ---- queues ---- */

static void test_virtio_queue_size_takes_powers_of_2_up_to_the_offer(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	uint32_t expected = SIZE_MAX_OFFERED; /* never written: the maximum */
	assert_int_equal(rd(&b, QUEUE_SIZE, 2), expected);
	for (uint32_t value = 0; value < 0x10000; value++) {
		wr(&b, QUEUE_SIZE, 2, value);
		if (value != 0 && value <= SIZE_MAX_OFFERED && (value & (value - 1)) == 0)
			expected = value;
		assert_int_equal(rd(&b, QUEUE_SIZE, 2), expected);
	}
}

static void test_virtio_enabled_queue_is_frozen(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	wr(&b, QUEUE_SIZE, 2, 16);
	wr(&b, QUEUE_DESC, 8, 0x1000);
	wr(&b, QUEUE_DRIVER, 8, 0x2000);
	wr(&b, QUEUE_DEVICE, 8, 0x3000);
	wr(&b, QUEUE_ENABLE, 2, 1);
	wr(&b, QUEUE_SIZE, 2, 32);
	wr(&b, QUEUE_DESC, 8, 0x9000);
	wr(&b, QUEUE_DRIVER + 4, 4, 9);
	wr(&b, QUEUE_DEVICE, 4, 9);
	assert_int_equal(rd(&b, QUEUE_SIZE, 2), 16);
	assert_int_equal(rd(&b, QUEUE_DESC, 8), 0x1000);
	assert_int_equal(rd(&b, QUEUE_DRIVER, 8), 0x2000);
	assert_int_equal(rd(&b, QUEUE_DEVICE, 8), 0x3000);
	wr(&b, QUEUE_MSIX_VECTOR, 2, 1); /* may be remapped at any time */
	assert_int_equal(rd(&b, QUEUE_MSIX_VECTOR, 2), 1);
}

static void test_virtio_queue_enable_accepts_one_only(void **state)
{
	(void)state;
	static const uint16_t bad[] = {0, 2, 3, 0x101, 0x8001, 0xffff};
	struct regs_bench b;
	bench_init(&b);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		wr(&b, QUEUE_ENABLE, 2, bad[i]);
		assert_int_equal(rd(&b, QUEUE_ENABLE, 2), 0);
	}
	assert_int_equal(virtio_events(&b.regs), 0);
	wr(&b, QUEUE_ENABLE, 2, 1);
	assert_int_equal(rd(&b, QUEUE_ENABLE, 2), 1);
	assert_int_equal(virtio_events(&b.regs), CSR_SYS_EVENTS_QUEUE_ENABLED_MASK);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_ENABLED_LO), 1);
	put(&b, CSR_VIRTIO_QUEUE_ENABLED_LO, 1);
	assert_int_equal(virtio_events(&b.regs), 0);
	unsigned wakes = b.wakes;
	wr(&b, QUEUE_ENABLE, 2, 1); /* again: no second event */
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		wr(&b, QUEUE_ENABLE, 2, bad[i]);
		assert_int_equal(rd(&b, QUEUE_ENABLE, 2), 1);
	}
	assert_int_equal(virtio_events(&b.regs), 0);
	assert_int_equal(b.wakes, wakes);
}

static void test_virtio_queue_enabled_events_of_all_queues(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	put(&b, CSR_VIRTIO_NUM_QUEUES, 64);
	static const unsigned queues[] = {0, 31, 32, 63};
	for (unsigned i = 0; i < ARRAY_SIZE(queues); i++) {
		wr(&b, QUEUE_SELECT, 2, queues[i]);
		wr(&b, QUEUE_ENABLE, 2, 1);
	}
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_ENABLED_LO), 0x80000001);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_ENABLED_HI), 0x80000001);
	put(&b, CSR_VIRTIO_QUEUE_ENABLED_LO, 1);
	put(&b, CSR_VIRTIO_QUEUE_ENABLED_HI, 0x80000000);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_ENABLED_LO), 0x80000000);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_ENABLED_HI), 1);
}

static void test_virtio_absent_queue_reads_zero_and_takes_nothing(void **state)
{
	(void)state;
	static const unsigned absent[] = {QUEUES, 63, 64, 65, 255, 256, 1023, 0x8000, 0xffff};
	for (unsigned i = 0; i < ARRAY_SIZE(absent); i++) {
		struct regs_bench b;
		bench_init(&b);
		go_live(&b, VERSION_1 | RING_RESET);
		wr(&b, QUEUE_SELECT, 2, absent[i]);
		struct virtio_regs before = b.regs;
		wr(&b, QUEUE_SIZE, 2, 16);
		wr(&b, QUEUE_MSIX_VECTOR, 2, 1);
		wr(&b, QUEUE_DESC, 8, UINT64_MAX);
		wr(&b, QUEUE_DRIVER, 8, UINT64_MAX);
		wr(&b, QUEUE_DEVICE, 8, UINT64_MAX);
		wr(&b, QUEUE_ENABLE, 2, 1);
		wr(&b, QUEUE_RESET, 2, 1);
		assert_memory_equal(&before, &b.regs, sizeof(before));
		assert_int_equal(rd(&b, QUEUE_SIZE, 2), 0);
		assert_int_equal(rd(&b, QUEUE_ENABLE, 2), 0);
		assert_int_equal(rd(&b, QUEUE_RESET, 2), 0);
		assert_int_equal(rd(&b, QUEUE_MSIX_VECTOR, 2), NO_VECTOR);
		assert_int_equal(rd(&b, QUEUE_DESC, 8), 0);
		assert_int_equal(rd(&b, QUEUE_SELECT, 2), absent[i]);
	}
}

/* ---- device configuration ---- */

static void fill_config(struct regs_bench *b, uint32_t seed)
{
	for (uint32_t i = 0; i < 24; i++)
		put(b, CSR_VIRTIO_DEVICE_CONFIG + 4 * i, seed + i * 0x01010101);
}

static void test_virtio_device_config_shown_by_commit_before_features_ok(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	fill_config(&b, 0x10203040);
	for (uint32_t i = 0; i < 24; i++)
		assert_int_equal(rd(&b, DEVICE_CONFIG + 4 * i, 4), 0);
	put(&b, CSR_VIRTIO_CONFIG_CHANGED, CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK);
	for (uint32_t i = 0; i < 24; i++)
		assert_int_equal(rd(&b, DEVICE_CONFIG + 4 * i, 4), 0x10203040 + i * 0x01010101);
	/* Capacity: halves, 64 bits, bytes. */
	assert_int_equal(rd(&b, DEVICE_CONFIG, 8), UINT64_C(0x1121314110203040));
	assert_int_equal(rd(&b, DEVICE_CONFIG + 4, 4), 0x11213141);
	for (unsigned i = 0; i < 96; i++)
		assert_int_equal(rd(&b, DEVICE_CONFIG + i, 1),
				 (0x10203040 + i / 4 * 0x01010101) >> i % 4 * 8 & 0xff);
}

static void test_virtio_device_config_writes_ignored_but_writeback(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	fill_config(&b, 0);
	put(&b, CSR_VIRTIO_CONFIG_CHANGED, CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK);
	for (int writable = 0; writable < 2; writable++) {
		put(&b, CSR_VIRTIO_CONFIG_WRITABLE, (uint32_t)writable);
		struct virtio_regs before = b.regs;
		for (unsigned i = 0; i < 0x1000; i++)
			if (DEVICE_CONFIG + i != WRITEBACK)
				wr(&b, DEVICE_CONFIG + i, 1, 0x5a);
		for (unsigned i = 0; i < 0x1000; i += 2)
			if (DEVICE_CONFIG + i != WRITEBACK)
				wr(&b, DEVICE_CONFIG + i, 2, 0x5a5a);
		assert_memory_equal(&before, &b.regs, sizeof(before));
	}
}

static void test_virtio_writeback_written_only_if_negotiated(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	put(&b, CSR_VIRTIO_DEVICE_CONFIG + 0x20, 0x00070001); /* num_queues 7, writeback 1 */
	put(&b, CSR_VIRTIO_CONFIG_CHANGED, CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK);
	wr(&b, WRITEBACK, 1, 0);
	assert_int_equal(rd(&b, WRITEBACK, 1), 1);
	assert_int_equal(virtio_events(&b.regs), 0);
	put(&b, CSR_VIRTIO_CONFIG_WRITABLE, 1);
	wr(&b, WRITEBACK, 1, 0);
	assert_int_equal(rd(&b, WRITEBACK, 1), 0);
	assert_int_equal(virtio_events(&b.regs), CSR_SYS_EVENTS_CONFIG_WRITE_MASK);
	assert_int_equal(get(&b, CSR_VIRTIO_CONFIG_WRITTEN), 1);
	assert_int_equal(get(&b, CSR_VIRTIO_DEVICE_CONFIG + 0x20), 0x00070000);
	put(&b, CSR_VIRTIO_CONFIG_WRITTEN, 0);
	assert_int_equal(virtio_events(&b.regs), CSR_SYS_EVENTS_CONFIG_WRITE_MASK);
	put(&b, CSR_VIRTIO_CONFIG_WRITTEN, 1);
	assert_int_equal(virtio_events(&b.regs), 0);
	wr(&b, WRITEBACK, 4, 0xffffff02); /* a wider access: only the byte that is writable changes */
	assert_int_equal(rd(&b, WRITEBACK, 4), 0x00070001);
	/* A commit by the firmware keeps what the driver wrote. */
	wr(&b, WRITEBACK, 1, 0);
	put(&b, CSR_VIRTIO_DEVICE_CONFIG, 99);
	put(&b, CSR_VIRTIO_CONFIG_CHANGED, CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK);
	assert_int_equal(rd(&b, WRITEBACK, 1), 0);
	/* A reset takes the permission away. */
	wr(&b, DEVICE_STATUS, 1, 0);
	answer(&b, 0);
	wr(&b, WRITEBACK, 1, 1);
	assert_int_equal(rd(&b, WRITEBACK, 1), 0);
}

/* ---- config_generation ---- */

static void change_config(struct regs_bench *b, uint64_t capacity)
{
	put(b, CSR_VIRTIO_DEVICE_CONFIG, (uint32_t)capacity);
	put(b, CSR_VIRTIO_DEVICE_CONFIG + 4, (uint32_t)(capacity >> 32));
	put(b, CSR_VIRTIO_CONFIG_CHANGED, CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK);
}

static void test_virtio_generation_changes_however_many_changes(void **state)
{
	(void)state;
	static const unsigned counts[] = {1, 2, 255, 256, 257, 512, 65536};
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		struct regs_bench b;
		bench_init(&b);
		change_config(&b, 1);
		rd(&b, DEVICE_CONFIG, 4);
		uint64_t before = rd(&b, CONFIG_GENERATION, 1);
		assert_int_equal(rd(&b, CONFIG_GENERATION, 1), before); /* nothing changed */
		for (unsigned n = 0; n < counts[i]; n++)
			change_config(&b, 1000 + n);
		rd(&b, DEVICE_CONFIG, 4);
		assert_true(rd(&b, CONFIG_GENERATION, 1) != before);
		/* The same when the driver reads something after each change. */
		before = rd(&b, CONFIG_GENERATION, 1);
		for (unsigned n = 0; n < counts[i]; n++) {
			change_config(&b, n);
			rd(&b, DEVICE_CONFIG, 4);
		}
		assert_true(rd(&b, CONFIG_GENERATION, 1) != before);
	}
}

static void test_virtio_generation_stays_without_change(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	change_config(&b, 77);
	rd(&b, DEVICE_CONFIG, 8);
	uint64_t before = rd(&b, CONFIG_GENERATION, 1);
	change_config(&b, 77); /* the same values */
	put(&b, CSR_VIRTIO_CONFIG_CHANGED, CSR_VIRTIO_CONFIG_CHANGED_NOTIFY_MASK);
	put(&b, CSR_VIRTIO_DEVICE_CONFIG, 5); /* not committed */
	rd(&b, DEVICE_CONFIG, 8);
	assert_int_equal(rd(&b, CONFIG_GENERATION, 1), before);
}

/* The driver's loop of §2.5.1: equal generations before and after mean that the values belong together. */
static void test_virtio_generation_guards_reads_of_several_fields(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(83), 0);
	struct regs_bench b;
	bench_init(&b);
	uint64_t version = 1;
	change_config(&b, version * UINT64_C(0x100000001));
	unsigned consistent = 0, retried = 0;
	for (unsigned n = 0; n < 20000; n++) {
		unsigned changes[4];
		for (unsigned i = 0; i < 4; i++)
			changes[i] = rng_below(&rng, 10) ? 0 : (unsigned)rng_below(&rng, 3) * 128 + 1;
		uint64_t before, after, lo, hi;
		for (unsigned k = 0; k < changes[0]; k++)
			change_config(&b, ++version * UINT64_C(0x100000001));
		before = rd(&b, CONFIG_GENERATION, 1);
		for (unsigned k = 0; k < changes[1]; k++)
			change_config(&b, ++version * UINT64_C(0x100000001));
		lo = rd(&b, DEVICE_CONFIG, 4);
		for (unsigned k = 0; k < changes[2]; k++)
			change_config(&b, ++version * UINT64_C(0x100000001));
		hi = rd(&b, DEVICE_CONFIG + 4, 4);
		for (unsigned k = 0; k < changes[3]; k++)
			change_config(&b, ++version * UINT64_C(0x100000001));
		after = rd(&b, CONFIG_GENERATION, 1);
		if (before == after) {
			assert_int_equal(lo, hi);
			consistent++;
		} else {
			retried++;
		}
	}
	assert_true(consistent > 1000 && retried > 1000);
}

/* ---- hostile accesses ---- */

/* Whatever driver and firmware do, the registers hold values the engines can work with. */
static void test_virtio_random_accesses_keep_registers_sane(void **state)
{
	(void)state;
	uint64_t seed = test_seed(80);
	for (unsigned i = 0; i < 40; i++) {
		struct rng rng;
		rng_seed(&rng, seed, i);
		struct regs_bench b;
		bench_init(&b);
		for (unsigned n = 0; n < 3000; n++) {
			uint32_t offset = rng_below(&rng, 4) ? (uint32_t)rng_below(&rng, 16) * 4
							     : (uint32_t)rng_below(&rng, 0x3000 / 4) * 4;
			uint32_t data = rng_below(&rng, 2) ? (uint32_t)rng_u64(&rng)
							   : (uint32_t)rng_below(&rng, 4) * 0x00010001;
			uint8_t be = (uint8_t)rng_below(&rng, 16);
			uint32_t ignored;
			b.msix_length = 0;
			switch (rng_below(&rng, 8)) {
			case 0: virtio_bar_read32(&b.regs, 0, offset, be); break;
			case 1: virtio_read_waits(&b.regs, offset, be); break;
			case 2:
				virtio_csr_read(&b.regs, 0, (uint32_t)rng_below(&rng, 0x200), &ignored);
				break;
			case 3:
				answer(&b, (uint8_t)rng_below(&rng, 256));
				virtio_queue_interrupt(&b.regs, 0, (unsigned)rng_below(&rng, 64));
				virtio_config_interrupt(&b.regs, 0);
				break;
			case 4:
				b.control.msix_enable = rng_below(&rng, 2);
				virtio_control_changed(&b.regs, 0);
				put(&b, CSR_VIRTIO_QUEUE_RESET_LO, (uint32_t)rng_u64(&rng));
				break;
			default: virtio_bar_write32(&b.regs, 0, offset, data, be);
			}
			assert_int_equal(b.intx, b.regs.isr != 0 && !b.control.msix_enable);
		}
		for (unsigned q = 0; q < 64; q++) {
			const struct virtio_queue_regs *queue = &b.regs.queue[q];
			assert_true(is_power_of_2(queue->size) && queue->size <= SIZE_MAX_OFFERED);
			assert_true(queue->msix_vector < VECTORS || queue->msix_vector == NO_VECTOR);
			assert_true(q < QUEUES || !queue->enable);
		}
		assert_true(b.regs.config_msix_vector < VECTORS || b.regs.config_msix_vector == NO_VECTOR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_virtio_csr_reset_value_and_access),
		cmocka_unit_test(test_virtio_csr_counts_are_bounded),
		REQ_TEST(test_virtio_common_reset_values, "D-085 D-127"),
		cmocka_unit_test(test_virtio_common_writable_fields_read_back),
		REQ_TEST(test_virtio_common_read_only_fields_ignore_writes, "D-094 V-079"),
		cmocka_unit_test(test_virtio_queue_fields_are_banked),
		REQ_TEST(test_virtio_64bit_fields_take_halves_in_any_order, "D-074"),
		REQ_TEST(test_virtio_byte_enables_touch_enabled_bytes_only, "V-078 ACC-007"),
		REQ_TEST(test_virtio_access_of_one_field_leaves_neighbours, "V-078"),
		REQ_TEST(test_virtio_zero_byte_enables_do_nothing, "ACC-008 V-078"),
		REQ_TEST(test_virtio_beyond_structures_constant, "V-080 ACC-004"),
		REQ_TEST(test_virtio_device_feature_window_for_any_selector, "D-080"),
		REQ_TEST(test_virtio_driver_feature_reads_back, "D-081"),
		cmocka_unit_test(test_virtio_driver_feature_beyond_63_is_told_to_firmware),
		REQ_TEST(test_virtio_driver_feature_frozen_after_features_ok, "V-047"),
		REQ_TEST(test_virtio_vectors_map_or_read_back_no_vector,
			 "D-124 D-125 D-126 D-127 D-128 D-129 V-074 V-075"),
		REQ_TEST(test_virtio_queue_size_takes_powers_of_2_up_to_the_offer,
			 "D-092 V-055 V-056 V-057 V-058"),
		REQ_TEST(test_virtio_enabled_queue_is_frozen, "V-059"),
		REQ_TEST(test_virtio_queue_enable_accepts_one_only, "V-060 V-061"),
		cmocka_unit_test(test_virtio_queue_enabled_events_of_all_queues),
		REQ_TEST(test_virtio_absent_queue_reads_zero_and_takes_nothing, "D-091 V-062 V-063"),
		REQ_TEST(test_virtio_device_config_shown_by_commit_before_features_ok, "D-012 D-074"),
		REQ_TEST(test_virtio_device_config_writes_ignored_but_writeback, "V-082"),
		REQ_TEST(test_virtio_writeback_written_only_if_negotiated, "V-081"),
		REQ_TEST(test_virtio_generation_changes_however_many_changes, "D-083"),
		cmocka_unit_test(test_virtio_generation_stays_without_change),
		REQ_TEST(test_virtio_generation_guards_reads_of_several_fields, "D-083"),
		cmocka_unit_test(test_virtio_random_accesses_keep_registers_sane),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
