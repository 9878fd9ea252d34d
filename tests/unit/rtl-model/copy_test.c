/* The copy engine: bytes between guest memory and the request memory, its limits, errors and tags. */
#include "rtl-model/blocks/copy/copy.h"
#include "tests/unit/rtl-model/csr_check.h"
#include "tests/unit/rtl-model/host_fixture.h"

#define GUEST_BASE  UINT64_C(0x1fffff000)
#define GUEST_BYTES UINT64_C(0x4000)
#define TO_GUEST    CSR_COPY_START_TO_GUEST_MASK

struct rig {
	struct sim sim;
	struct host *host;
	struct copy copy;
	struct waker events;
	unsigned event_wakes;
	uint8_t sram[SRAM_BYTES + 64]; /* with a guard behind */
};

static void count_wake(void *ctx, uint64_t at_ps)
{
	(void)at_ps;
	((struct rig *)ctx)->event_wakes++;
}

static struct rig *rig_create(uint64_t seed)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	rig->host = host_create(&rig->sim, GUEST_BASE, GUEST_BYTES, seed);
	memset(rig->host->allowed, HOST_READ | HOST_WRITE, GUEST_BYTES);
	rig->events = (struct waker){count_wake, rig};
	copy_init(&rig->copy, &rig->host->requests, rig->sram, &rig->events);
	rig->host->done = &rig->copy.done;
	memset(rig->sram + SRAM_BYTES, 0x5a, 64);
	return rig;
}

static void rig_free(struct rig *rig)
{
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(rig->sram[SRAM_BYTES + i], 0x5a);
	host_free(rig->host);
	free(rig);
}

static bool read_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return copy_csr_read(self, now_ps, offset, value);
}

static bool write_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return copy_csr_write(self, now_ps, offset, value);
}

static uint32_t get(struct rig *rig, uint32_t offset)
{
	uint32_t value;
	assert_true(copy_csr_read(&rig->copy, rig->sim.now_ps, offset, &value));
	return value;
}

static void start(struct rig *rig, uint64_t host, uint32_t local, uint32_t command)
{
	assert_true(copy_csr_write(&rig->copy, rig->sim.now_ps, CSR_COPY_HOST_LO, (uint32_t)host));
	assert_true(copy_csr_write(&rig->copy, rig->sim.now_ps, CSR_COPY_HOST_HI, (uint32_t)(host >> 32)));
	assert_true(copy_csr_write(&rig->copy, rig->sim.now_ps, CSR_COPY_LOCAL, local));
	assert_true(copy_csr_write(&rig->copy, rig->sim.now_ps, CSR_COPY_START, command));
}

static uint32_t command(uint32_t bytes, bool to_guest, uint32_t tag)
{
	return bytes | (to_guest ? TO_GUEST : 0) | tag << 16;
}

static void test_copy_registers_reset_value_and_access(void **state)
{
	(void)state;
	static const struct csr_case cases[] = {
		{.offset = CSR_COPY_HOST_LO, .writable = UINT32_MAX},
		{.offset = CSR_COPY_HOST_HI, .writable = UINT32_MAX},
		{.offset = CSR_COPY_LOCAL, .writable = 0xfffff},
		{.offset = CSR_COPY_START, .action = true},
		{.offset = CSR_COPY_DONE},
		{.offset = CSR_COPY_STATE, .reset = COPIES_MAX},
	};
	struct rig *rig = rig_create(1);
	const struct csr_block block = {&rig->copy, read_register, write_register};
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
	copy_reset(&rig->copy);
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
	rig_free(rig);
}

/* Any alignment on either side; not a byte beside the destination is touched. */
static void test_copy_moves_its_bytes_and_no_others(void **state)
{
	(void)state;
	static const uint32_t lengths[] = {1, 2, 3, 4, 7, 16, 63, 64, 65, 4095, 4096};
	struct rig *rig = rig_create(1);
	uint8_t expected_sram[SRAM_BYTES], expected_guest[GUEST_BYTES];
	struct rng rng;
	rng_seed(&rng, test_seed(1), 0);
	for (unsigned i = 0; i < SRAM_BYTES; i++)
		rig->sram[i] = (uint8_t)rng_u64(&rng);
	for (unsigned i = 0; i < GUEST_BYTES; i++)
		rig->host->memory[i] = (uint8_t)rng_u64(&rng);
	memcpy(expected_sram, rig->sram, SRAM_BYTES);
	memcpy(expected_guest, rig->host->memory, GUEST_BYTES);
	for (unsigned round = 0; round < 600; round++) {
		uint32_t bytes = lengths[rng_below(&rng, ARRAY_SIZE(lengths))];
		uint32_t local = (uint32_t)rng_below(&rng, SRAM_BYTES - bytes + 1);
		uint32_t offset = (uint32_t)rng_below(&rng, GUEST_BYTES - bytes + 1);
		bool to_guest = rng_below(&rng, 2);
		start(rig, GUEST_BASE + offset, local, command(bytes, to_guest, round));
		sim_run_for(&rig->sim, PS_PER_US);
		assert_int_equal(get(rig, CSR_COPY_DONE), round | CSR_COPY_DONE_VALID_MASK);
		if (to_guest)
			memcpy(expected_guest + offset, expected_sram + local, bytes);
		else
			memcpy(expected_sram + local, expected_guest + offset, bytes);
		assert_memory_equal(rig->sram, expected_sram, SRAM_BYTES);
		assert_memory_equal(rig->host->memory, expected_guest, GUEST_BYTES);
	}
	const struct copy_stats *stats = &rig->copy.stats;
	assert_int_equal(stats->to_guest + stats->from_guest, 600);
	assert_int_equal(stats->bytes, rig->host->read_bytes + rig->host->write_bytes);
	assert_int_equal(stats->failed, 0);
	rig_free(rig);
}

static void test_copy_outside_the_request_memory_is_refused(void **state)
{
	(void)state;
	static const struct {
		uint32_t local, bytes;
		bool ok;
	} rows[] = {
		{0, 0, false},
		{0, 1, true},
		{0, 4096, true},
		{0, 4097, false},
		{0, 0x1fff, false},
		{SRAM_BYTES - 1, 1, true},
		{SRAM_BYTES, 1, false},
		{SRAM_BYTES - 1, 2, false},
		{SRAM_BYTES - 4096, 4096, true},
		{SRAM_BYTES - 4095, 4096, false},
		{0xfffff, 1, false},
		{0xff000, 4096, false},
		{UINT32_MAX, 1, false}, /* the register has 20 bits */
		{0x80000000 | (SRAM_BYTES - 1), 1, true},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		for (unsigned to_guest = 0; to_guest < 2; to_guest++) {
			struct rig *rig = rig_create(1);
			start(rig, GUEST_BASE, rows[i].local, command(rows[i].bytes, to_guest, 3));
			assert_int_equal(copy_busy(&rig->copy), rows[i].ok);
			assert_int_equal(rig->copy.stats.refused, !rows[i].ok);
			assert_int_equal(get(rig, CSR_COPY_STATE), COPIES_MAX - rows[i].ok);
			sim_run_for(&rig->sim, PS_PER_US);
			assert_int_equal(get(rig, CSR_COPY_DONE),
					 rows[i].ok ? CSR_COPY_DONE_VALID_MASK | 3 : 0);
			assert_int_equal(rig->host->reads + rig->host->writes, rows[i].ok);
			assert_false(copy_busy(&rig->copy));
			rig_free(rig);
		}
}

static void test_copy_failed_read_is_told_and_leaves_memory_alone(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	host_unmap(rig->host, GUEST_BASE + 0x1000, 0x1000);
	memset(rig->sram, 0x77, SRAM_BYTES);
	start(rig, GUEST_BASE + 0x0fff, 0x100, command(2, false, 1));
	start(rig, GUEST_BASE + 0x0ffe, 0x200, command(2, false, 2));
	start(rig, GUEST_BASE + 0x1800, 0x300, command(64, true, 3)); /* posted: nobody hears of it */
	start(rig, UINT64_MAX - 3, 0x400, command(8, false, 4));
	sim_run_for(&rig->sim, PS_PER_US);
	uint32_t ends[5] = {0}, value;
	while ((value = get(rig, CSR_COPY_DONE)) != 0)
		ends[value & 0xffff] = value & ~UINT32_C(0xffff);
	assert_int_equal(ends[1], CSR_COPY_DONE_VALID_MASK | CSR_COPY_DONE_ERROR_MASK);
	assert_int_equal(ends[2], CSR_COPY_DONE_VALID_MASK);
	assert_int_equal(ends[3], CSR_COPY_DONE_VALID_MASK);
	assert_int_equal(ends[4], CSR_COPY_DONE_VALID_MASK | CSR_COPY_DONE_ERROR_MASK);
	assert_int_equal(rig->copy.stats.failed, 2);
	for (unsigned i = 0; i < SRAM_BYTES; i++)
		assert_int_equal(rig->sram[i], i >= 0x200 && i < 0x202 ? 0 : 0x77);
	rig_free(rig);
}

/* As many as announced, whatever their state; room comes back when an end is taken. */
static void test_copy_room_counts_copies_until_their_end_is_taken(void **state)
{
	(void)state;
	struct rig *rig = rig_create(1);
	bool seen[COPIES_MAX] = {false};
	rig->host->read_ps_max = 5 * PS_PER_US;
	rig->host->hold = true;
	for (unsigned i = 0; i < COPIES_MAX; i++) {
		assert_int_equal(get(rig, CSR_COPY_STATE), COPIES_MAX - i);
		start(rig, GUEST_BASE, 16 * i, command(16, i & 1, 0xff00 + i));
	}
	assert_int_equal(get(rig, CSR_COPY_STATE), 0);
	start(rig, GUEST_BASE, 0, command(16, false, 1));
	assert_int_equal(rig->copy.stats.refused, 1);
	assert_int_equal(copy_events(&rig->copy, rig->sim.now_ps), 0);
	assert_int_equal(get(rig, CSR_COPY_DONE), 0);
	host_set_hold(rig->host, false);
	sim_run_for(&rig->sim, 20 * PS_PER_US);
	assert_true(rig->event_wakes > 0);
	assert_int_equal(get(rig, CSR_COPY_STATE), 0); /* all are over, none is taken */
	for (unsigned i = 0; i < COPIES_MAX; i++) {
		assert_int_equal(copy_events(&rig->copy, rig->sim.now_ps), CSR_SYS_EVENTS_COPY_MASK);
		assert_true(copy_busy(&rig->copy));
		uint32_t value = get(rig, CSR_COPY_DONE);
		unsigned tag = (value & 0xffff) - 0xff00;
		assert_true(value >> 31 && tag < COPIES_MAX && !seen[tag]);
		seen[tag] = true;
		assert_int_equal(get(rig, CSR_COPY_STATE), i + 1);
	}
	assert_int_equal(copy_events(&rig->copy, rig->sim.now_ps), 0);
	assert_false(copy_busy(&rig->copy));
	rig_free(rig);
}

static void test_copy_reset_forgets_everything(void **state)
{
	(void)state;
	for (uint64_t reset_ps = 0; reset_ps < 2 * PS_PER_US; reset_ps += 19 * PS_PER_NS) {
		struct rig *rig = rig_create(reset_ps);
		rig->host->gap_ps = 30 * PS_PER_NS;
		memset(rig->host->memory, 0x33, GUEST_BYTES);
		for (unsigned i = 0; i < 30; i++)
			start(rig, GUEST_BASE + 64 * i, 64 * i, command(64, i % 3 == 0, i));
		sim_run_for(&rig->sim, reset_ps);
		host_abort(rig->host);
		copy_reset(&rig->copy);
		assert_false(copy_busy(&rig->copy));
		assert_int_equal(copy_events(&rig->copy, rig->sim.now_ps), 0);
		uint8_t before[30 * 64];
		memcpy(before, rig->sram, sizeof(before));
		uint64_t requests = rig->host->reads + rig->host->writes;
		sim_run_for(&rig->sim, 10 * PS_PER_US);
		assert_memory_equal(rig->sram, before, sizeof(before));
		assert_int_equal(rig->host->reads + rig->host->writes, requests);
		assert_int_equal(get(rig, CSR_COPY_DONE), 0);
		assert_int_equal(get(rig, CSR_COPY_STATE), COPIES_MAX);
		rig_free(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy_registers_reset_value_and_access),
		cmocka_unit_test(test_copy_moves_its_bytes_and_no_others),
		cmocka_unit_test(test_copy_outside_the_request_memory_is_refused),
		REQ_TEST(test_copy_failed_read_is_told_and_leaves_memory_alone, "ERR-004"),
		cmocka_unit_test(test_copy_room_counts_copies_until_their_end_is_taken),
		REQ_TEST(test_copy_reset_forgets_everything, "D-011 V-053"),
	};
	return cmocka_run_group_tests_name("copy", tests, NULL, NULL);
}
