#include "rtl-model/blocks/timer/timer.h"
#include "csr.h"
#include "tests/unit/rtl-model/csr_check.h"

#define PERIOD_PS 1000

static bool read_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return timer_csr_read(self, now_ps, offset, value);
}

static bool write_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return timer_csr_write(self, now_ps, offset, value);
}

static uint32_t get(struct timer *timer, uint64_t now_ps, uint32_t offset)
{
	uint32_t value;
	assert_true(timer_csr_read(timer, now_ps, offset, &value));
	return value;
}

static void set_compare(struct timer *timer, uint64_t now_ps, uint64_t cycles)
{
	assert_true(timer_csr_write(timer, now_ps, CSR_TIMER_COMPARE_LO, (uint32_t)cycles));
	assert_true(timer_csr_write(timer, now_ps, CSR_TIMER_COMPARE_HI, (uint32_t)(cycles >> 32)));
}

static void count_wake(void *ctx, uint64_t at_ps)
{
	(void)at_ps;
	++*(unsigned *)ctx;
}

static void test_timer_registers_reset_value_and_access(void **state)
{
	(void)state;
	static const struct csr_case cases[] = {
		{.offset = CSR_TIMER_TIME_LO, .reset = 0},
		{.offset = CSR_TIMER_TIME_HI, .reset = 0},
		{.offset = CSR_TIMER_COMPARE_LO, .reset = 0xffffffff, .writable = 0xffffffff},
		{.offset = CSR_TIMER_COMPARE_HI, .reset = 0xffffffff, .writable = 0xffffffff},
	};
	struct timer timer;
	timer_init(&timer, PERIOD_PS, NULL);
	struct csr_block block = {&timer, read_register, write_register};
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
	timer_reset(&timer);
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
}

static void test_timer_time_counts_whole_cycles_of_any_clock(void **state)
{
	(void)state;
	static const uint64_t periods_ps[] = {250, 1000, 1333, 100000};
	for (size_t i = 0; i < ARRAY_SIZE(periods_ps); i++) {
		struct timer timer;
		timer_init(&timer, periods_ps[i], NULL);
		for (uint64_t cycles = 0; cycles < 100; cycles++) {
			assert_int_equal(get(&timer, cycles * periods_ps[i], CSR_TIMER_TIME_LO), cycles);
			assert_int_equal(get(&timer, (cycles + 1) * periods_ps[i] - 1, CSR_TIMER_TIME_LO),
					 cycles);
		}
	}
}

static void test_timer_low_read_latches_high_half(void **state)
{
	(void)state;
	struct timer timer;
	timer_init(&timer, PERIOD_PS, NULL);
	const uint64_t wrap_ps = (UINT64_C(5) << 32) * PERIOD_PS;
	assert_int_equal(get(&timer, wrap_ps - 1, CSR_TIMER_TIME_LO), 0xffffffff);
	assert_int_equal(get(&timer, wrap_ps + 7 * PERIOD_PS, CSR_TIMER_TIME_HI),
			 4); /* belongs to the low half above */
	assert_int_equal(get(&timer, wrap_ps + 8 * PERIOD_PS, CSR_TIMER_TIME_LO), 8);
	assert_int_equal(get(&timer, wrap_ps + 9 * PERIOD_PS, CSR_TIMER_TIME_HI), 5);
}

static void test_timer_event_is_level_from_compare_on(void **state)
{
	(void)state;
	struct timer timer;
	timer_init(&timer, PERIOD_PS, NULL);
	assert_false(timer_event(&timer, 0));
	assert_int_equal(timer_step(&timer, 0), TIME_NEVER_PS);
	set_compare(&timer, 0, 100);
	assert_int_equal(timer_step(&timer, 5), 100 * PERIOD_PS);
	assert_false(timer_event(&timer, 100 * PERIOD_PS - 1));
	assert_true(timer_event(&timer, 100 * PERIOD_PS));
	assert_true(timer_event(&timer, 1000 * PERIOD_PS));
	assert_int_equal(timer_step(&timer, 100 * PERIOD_PS), TIME_NEVER_PS);
	set_compare(&timer, 1000 * PERIOD_PS, 1001); /* serving it takes the level away */
	assert_false(timer_event(&timer, 1000 * PERIOD_PS));
	assert_int_equal(timer_step(&timer, 1000 * PERIOD_PS), 1001 * PERIOD_PS);
	set_compare(&timer, 1000 * PERIOD_PS, 0);
	assert_true(timer_event(&timer, 1000 * PERIOD_PS));
}

static void test_timer_compare_changes_with_high_half_only(void **state)
{
	(void)state;
	unsigned wakes = 0;
	struct waker self = {count_wake, &wakes};
	struct timer timer;
	timer_init(&timer, PERIOD_PS, &self);
	set_compare(&timer, 0, (UINT64_C(1) << 32) + 5);
	assert_int_equal(wakes, 1);
	assert_true(timer_csr_write(&timer, 0, CSR_TIMER_COMPARE_LO, 0));
	assert_int_equal(wakes, 1);
	assert_int_equal(timer_step(&timer, 0), ((UINT64_C(1) << 32) + 5) * PERIOD_PS);
	assert_true(timer_csr_write(&timer, 0, CSR_TIMER_COMPARE_HI, 0));
	assert_int_equal(wakes, 2);
	assert_true(timer_event(&timer, 0));
}

static void test_timer_compare_beyond_all_time_never_comes(void **state)
{
	(void)state;
	struct timer timer;
	timer_init(&timer, PERIOD_PS, NULL);
	const uint64_t last = (TIME_NEVER_PS - 1) / PERIOD_PS;
	set_compare(&timer, 0, last);
	assert_int_equal(timer_step(&timer, 0), last * PERIOD_PS);
	set_compare(&timer, 0, last + 1);
	assert_int_equal(timer_step(&timer, 0), TIME_NEVER_PS);
	set_compare(&timer, 0, UINT64_MAX);
	assert_int_equal(timer_step(&timer, 0), TIME_NEVER_PS);
}

static void test_timer_reset_ends_event_and_keeps_time(void **state)
{
	(void)state;
	struct timer timer;
	timer_init(&timer, PERIOD_PS, NULL);
	set_compare(&timer, 0, 10);
	assert_true(timer_event(&timer, 50 * PERIOD_PS));
	timer_reset(&timer);
	assert_false(timer_event(&timer, 50 * PERIOD_PS));
	assert_int_equal(get(&timer, 50 * PERIOD_PS, CSR_TIMER_TIME_LO), 50);
	assert_int_equal(get(&timer, 50 * PERIOD_PS, CSR_TIMER_COMPARE_HI), CSR_TIMER_COMPARE_HI_RESET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timer_registers_reset_value_and_access),
		cmocka_unit_test(test_timer_time_counts_whole_cycles_of_any_clock),
		cmocka_unit_test(test_timer_low_read_latches_high_half),
		cmocka_unit_test(test_timer_event_is_level_from_compare_on),
		cmocka_unit_test(test_timer_compare_changes_with_high_half_only),
		cmocka_unit_test(test_timer_compare_beyond_all_time_never_comes),
		cmocka_unit_test(test_timer_reset_ends_event_and_keeps_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
