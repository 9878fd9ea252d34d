#include "host-sim/workloads/fio_value.h"

#include "tests/check.h"

#define BAD UINT64_MAX

static void test_fio_parse_bytes_units_as_in_howto(void **state)
{
	/* The examples of fio's HOWTO, "Parameter types", and the edges. */
	static const struct {
		const char *text;
		uint64_t with_1024, with_1000;
	} rows[] = {
		{"0", 0, 0},
		{"4096", 4096, 4096},
		{"4096b", 4096, 4096},
		{"4096B", 4096, 4096},
		{"0x1000", 4096, 4096},
		{"0X10k", 16384, 16000},
		{"4k", 4096, 4000},
		{"4kb", 4096, 4000},
		{"4kB", 4096, 4000},
		{"4K", 4096, 4000},
		{"4KB", 4096, 4000},
		{"4ki", 4000, 4096},
		{"4KiB", 4000, 4096},
		{"1m", 1048576, 1000000},
		{"1024k", 1048576, 1024000},
		{"1mi", 1000000, 1048576},
		{"1000ki", 1000000, 1024000},
		{"1t", 1099511627776, 1000000000000},
		{"1024g", 1099511627776, 1024000000000},
		{"1ti", 1000000000000, 1099511627776},
		{"2p", UINT64_C(2) << 50, 2000000000000000},
		{"18446744073709551615", BAD, BAD},
		{"18446744073709551616", BAD, BAD},
		{"99999999999p", BAD, BAD},
		{"", BAD, BAD},
		{"k", BAD, BAD},
		{"-1", BAD, BAD},
		{"+1", BAD, BAD},
		{" 1", BAD, BAD},
		{"4x", BAD, BAD},
		{"4kk", BAD, BAD},
		{"4kib ", BAD, BAD},
		{"0x", BAD, BAD},
		{"0x0x10", BAD, BAD},
		{"4.5k", BAD, BAD},
		{"4z", BAD, BAD},
		{"(4*1024)", BAD, BAD},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t binary = BAD, decimal = BAD;
		int failed = fio_parse_bytes(rows[i].text, 1024, &binary) != 0;
		failed += fio_parse_bytes(rows[i].text, 1000, &decimal) != 0;
		bool number = strcmp(rows[i].text, "18446744073709551615") == 0;
		if (failed != (rows[i].with_1024 == BAD && !number ? 2 : 0) || binary != rows[i].with_1024 ||
		    decimal != rows[i].with_1000)
			fail_msg("'%s': %d failed, %llu and %llu", rows[i].text, failed,
				 (unsigned long long)binary, (unsigned long long)decimal);
	}
}

static void test_fio_parse_amount_percent_bounds(void **state)
{
	static const struct {
		const char *text;
		bool good, percent;
		uint64_t value;
	} rows[] = {
		{"1%", true, true, 1},    {"100%", true, true, 100}, {"64m", true, false, 64 << 20},
		{"0%", false, false, 0},  {"101%", false, false, 0}, {"5%%", false, false, 0},
		{"5k%", false, false, 0}, {"%", false, false, 0},    {"3z", false, false, 0},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fio_amount amount = {0};
		assert_int_equal(fio_parse_amount(rows[i].text, 1024, &amount) == 0, rows[i].good);
		assert_int_equal(amount.percent, rows[i].percent);
		assert_int_equal(amount.value, rows[i].value);
	}
}

static void test_fio_parse_time_units(void **state)
{
	static const struct {
		const char *text;
		uint64_t seconds_ps, micro_ps; /* read where seconds, or microseconds, are the default */
	} rows[] = {
		{"0", 0, 0},
		{"7", 7000000000000, 7000000},
		{"7s", 7000000000000, 7000000000000},
		{"7sec", 7000000000000, 7000000000000},
		{"7ms", 7000000000, 7000000000},
		{"7msec", 7000000000, 7000000000},
		{"7us", 7000000, 7000000},
		{"7USEC", 7000000, 7000000},
		{"10m", 600000000000000, 600000000000000},
		{"2h", 7200000000000000, 7200000000000000},
		{"1d", 86400000000000000, 86400000000000000},
		{"300d", BAD, BAD},
		{"99999999999", BAD, 99999999999000000},
		{"1.5s", BAD, BAD},
		{"7x", BAD, BAD},
		{"s", BAD, BAD},
		{"", BAD, BAD},
		{"-1s", BAD, BAD},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t seconds = BAD, micro = BAD;
		int a = fio_parse_time(rows[i].text, PS_PER_S, &seconds);
		int b = fio_parse_time(rows[i].text, PS_PER_US, &micro);
		assert_int_equal(a, rows[i].seconds_ps == BAD ? -1 : 0);
		assert_int_equal(b, rows[i].micro_ps == BAD ? -1 : 0);
		assert_int_equal(seconds, rows[i].seconds_ps);
		assert_int_equal(micro, rows[i].micro_ps);
	}
}

static void test_fio_parse_micro_decimals_exact(void **state)
{
	static const struct {
		const char *text;
		uint64_t micro;
	} rows[] = {
		{"1", 1000000},
		{"1.2", 1200000},
		{"0.000001", 1},
		{"99.99", 99990000},
		{"1.", 1000000},
		{"1.0000001", BAD},
		{".5", BAD},
		{"1e3", BAD},
		{"0x10", BAD},
		{"1.2.3", BAD},
		{"-1", BAD},
		{"99999999999999", BAD},
		{"18446744073709.6", BAD},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t micro = BAD;
		assert_int_equal(fio_parse_micro(rows[i].text, &micro), rows[i].micro == BAD ? -1 : 0);
		assert_int_equal(micro, rows[i].micro);
	}
}

static void test_fio_parse_bool_only_0_and_1(void **state)
{
	bool value = false;
	(void)state;
	assert_int_equal(fio_parse_bool("1", &value), 0);
	assert_true(value);
	assert_int_equal(fio_parse_bool("0", &value), 0);
	assert_false(value);
	for (const char *const *bad = (const char *const[]){"", "2", "true", "01", "1 ", NULL}; *bad; bad++)
		assert_int_equal(fio_parse_bool(*bad, &value), -1);
}

static void test_fio_next_piece_splits_and_refuses_long_ones(void **state)
{
	const char *text = "ab,,c";
	char piece[3];
	(void)state;
	assert_int_equal(fio_next_piece(&text, ',', piece, sizeof(piece)), 0);
	assert_string_equal(piece, "ab");
	assert_int_equal(fio_next_piece(&text, ',', piece, sizeof(piece)), 0);
	assert_string_equal(piece, "");
	assert_int_equal(fio_next_piece(&text, ',', piece, sizeof(piece)), 0);
	assert_string_equal(piece, "c");
	assert_null(text);
	text = "abc,d";
	assert_int_equal(fio_next_piece(&text, ',', piece, sizeof(piece)), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fio_parse_bytes_units_as_in_howto),
		cmocka_unit_test(test_fio_parse_amount_percent_bounds),
		cmocka_unit_test(test_fio_parse_time_units),
		cmocka_unit_test(test_fio_parse_micro_decimals_exact),
		cmocka_unit_test(test_fio_parse_bool_only_0_and_1),
		cmocka_unit_test(test_fio_next_piece_splits_and_refuses_long_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
