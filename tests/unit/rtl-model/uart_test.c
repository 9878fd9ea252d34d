#include "rtl-model/blocks/uart/uart.h"
#include "csr.h"
#include "tests/unit/rtl-model/csr_check.h"

#define NS PS_PER_NS

/* Everything the sink has been given: "TIME_NS:TEXT|" a line. */
struct log {
	char text[65536];
	size_t length;
};

static void log_line(void *ctx, uint64_t now_ps, const char *text)
{
	struct log *log = ctx;
	log->length += (size_t)snprintf(log->text + log->length, sizeof(log->text) - log->length, "%llu:%s|",
					(unsigned long long)(now_ps / NS), text);
}

static void check_log(const struct log *log, const char *expect)
{
	assert_string_equal(log->text, expect);
}

static bool read_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return uart_csr_read(self, now_ps, offset, value);
}

static bool write_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return uart_csr_write(self, now_ps, offset, value);
}

static void send(struct uart *uart, uint64_t now_ps, const char *text)
{
	for (; *text; text++)
		assert_true(uart_csr_write(uart, now_ps, CSR_UART_TRANSMIT, (uint8_t)*text));
}

static uint32_t room(struct uart *uart, uint64_t now_ps)
{
	uint32_t value;
	assert_true(uart_csr_read(uart, now_ps, CSR_UART_STATE, &value));
	return value;
}

struct wakes {
	unsigned count;
	uint64_t last_ps;
};

static void note_wake(void *ctx, uint64_t at_ps)
{
	struct wakes *wakes = ctx;
	wakes->count++;
	wakes->last_ps = at_ps;
}

static void test_uart_registers_reset_value_and_access(void **state)
{
	(void)state;
	static const struct csr_case cases[] = {
		{.offset = CSR_UART_TRANSMIT, .reset = 0, .action = true},
		{.offset = CSR_UART_STATE, .reset = 256},
	};
	struct log log = {0};
	struct uart uart;
	uart_init(&uart, NULL, log_line, &log);
	struct csr_block block = {&uart, read_register, write_register};
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
	assert_true(uart_csr_write(&uart, 0, CSR_UART_TRANSMIT, 0xffffff00 | 'x')); /* only BYTE counts */
	assert_true(uart_csr_write(&uart, 0, CSR_UART_TRANSMIT, '\n'));
	uart_flush(&uart, 0);
	check_log(&log, "0:x|");
}

static void test_uart_line_arrives_when_its_last_character_has_left(void **state)
{
	(void)state;
	struct wakes wakes = {0};
	struct waker self = {note_wake, &wakes};
	struct log log = {0};
	struct uart uart;
	uart_init(&uart, &self, log_line, &log);
	send(&uart, 1000 * NS, "hello\nx");
	assert_int_equal(wakes.count, 1); /* the first character starts it, the others follow by themselves */
	assert_int_equal(wakes.last_ps, 1100 * NS);
	uint64_t next_ps = wakes.last_ps;
	for (unsigned i = 1; i <= 7; i++) {
		assert_int_equal(next_ps, (1000 + 100 * i) * NS);
		assert_int_equal(log.length != 0, i > 6);
		next_ps = uart_step(&uart, next_ps);
	}
	assert_int_equal(next_ps, TIME_NEVER_PS);
	check_log(&log, "1600:hello|");
	send(&uart, 9000 * NS, "y\n");
	assert_int_equal(wakes.count, 2);
	assert_int_equal(uart_step(&uart, 9100 * NS), 9200 * NS);
	assert_int_equal(uart_step(&uart, 9200 * NS), TIME_NEVER_PS);
	check_log(&log, "1600:hello|9200:xy|");
}

static void test_uart_full_queue_drops_and_counts(void **state)
{
	(void)state;
	struct log log = {0};
	struct uart uart;
	uart_init(&uart, NULL, log_line, &log);
	for (unsigned i = 0; i < 256; i++) {
		assert_int_equal(room(&uart, 0), 256 - i);
		send(&uart, 0, "a");
	}
	assert_int_equal(room(&uart, 0), 0);
	send(&uart, 0, "bc");
	assert_int_equal(uart.stats.dropped, 2);
	assert_int_equal(room(&uart, 99 * NS), 0);
	assert_int_equal(room(&uart, 100 * NS), 1); /* seen without a step in between */
	send(&uart, 100 * NS, "\n");
	assert_int_equal(uart.stats.dropped, 2);
	assert_int_equal(room(&uart, 1100 * NS), 10);
	assert_int_equal(uart_step(&uart, 25700 * NS), TIME_NEVER_PS);
	assert_int_equal(room(&uart, 25700 * NS), 256);
	assert_int_equal(uart.stats.sent, 257);
	assert_null(strchr(log.text, 'b'));
}

static void test_uart_long_lines_are_cut(void **state)
{
	(void)state;
	struct log log = {0};
	struct uart uart;
	char expect[512], run[201];
	uart_init(&uart, NULL, log_line, &log);
	for (unsigned i = 0; i < 201; i++)
		send(&uart, 0, "z");
	send(&uart, 0, "\n");
	uart_step(&uart, 30000 * NS);
	memset(run, 'z', 200);
	run[200] = '\0';
	snprintf(expect, sizeof(expect), "20100:%s|20200:z|", run);
	check_log(&log, expect);

	memset(&log, 0, sizeof(log)); /* a line of exactly the limit is one line */
	for (unsigned i = 0; i < 200; i++)
		send(&uart, 30000 * NS, "z");
	send(&uart, 30000 * NS, "\n");
	uart_step(&uart, 60000 * NS);
	snprintf(expect, sizeof(expect), "50100:%s|", run);
	check_log(&log, expect);
}

static void test_uart_control_characters_are_harmless(void **state)
{
	(void)state;
	struct log log = {0};
	struct uart uart;
	uart_init(&uart, NULL, log_line, &log);
	send(&uart, 0, "\x1b[2J\ttab\r\n\x07\x7f\xc3\xa4\n\n");
	assert_true(uart_csr_write(&uart, 0, CSR_UART_TRANSMIT, 0));
	uart_flush(&uart, 0);
	check_log(&log, "0:.[2J\ttab|0:..\xc3\xa4|0:|0:.|");
}

static void test_uart_flush_hands_over_unfinished_line(void **state)
{
	(void)state;
	struct log log = {0};
	struct uart uart;
	uart_init(&uart, NULL, log_line, &log);
	uart_flush(&uart, 0);
	check_log(&log, "");
	send(&uart, 0, "panic: no end");
	uart_step(&uart, 300 * NS);
	uart_flush(&uart, 350 * NS);
	check_log(&log, "350:panic: no end|");
	assert_int_equal(uart_step(&uart, 400 * NS), TIME_NEVER_PS);
}

static void test_uart_reset_drops_queue_and_keeps_what_has_left(void **state)
{
	(void)state;
	struct log log = {0};
	struct uart uart;
	uart_init(&uart, NULL, log_line, &log);
	send(&uart, 0, "abcdef\n");
	uart_reset(&uart, 300 * NS);
	check_log(&log, "300:abc|");
	assert_int_equal(room(&uart, 300 * NS), 256);
	assert_int_equal(uart_step(&uart, 300 * NS), TIME_NEVER_PS);
	send(&uart, 1000 * NS, "g\n");
	uart_step(&uart, 1200 * NS);
	check_log(&log, "300:abc|1200:g|");
}

/* Any text, at any pace: nothing is lost while there is room, and a character leaves every 100 ns at most. */
static void test_uart_random_text_arrives_whole(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(51), 0);
	struct log *log = calloc(1, sizeof(*log));
	struct uart uart;
	char expect[20000] = "", found[20000] = "";
	size_t length = 0;
	uint64_t now_ps = 0;
	uart_init(&uart, NULL, log_line, log);
	while (length < 10000) {
		now_ps += rng_below(&rng, 300 * NS);
		if (room(&uart, now_ps) == 0)
			continue;
		char text[2] = {rng_below(&rng, 20) == 0 ? '\n' : (char)('a' + rng_below(&rng, 26)), '\0'};
		send(&uart, now_ps, text);
		expect[length++] = text[0] == '\n' ? '|' : text[0];
	}
	send(&uart, now_ps + 100000 * NS, "\n");
	expect[length] = '|';
	uart_step(&uart, now_ps + 200000 * NS);
	size_t at = 0;
	for (const char *c = log->text; *c; c++) /* without the times */
		if ((*c < '0' || *c > '9') && *c != ':')
			found[at++] = *c;
	assert_string_equal(found, expect);
	assert_int_equal(uart.stats.dropped, 0);
	assert_int_equal(uart.stats.sent, length + 1);
	free(log);
}

static void test_uart_log_line_names_time_and_source(void **state)
{
	(void)state;
	char text[128] = "";
	FILE *file = fmemopen(text, sizeof(text), "w");
	uart_log_line(file, 12345678, "ready");
	uart_log_line(file, 3 * PS_PER_S + 7, "");
	fclose(file);
	assert_string_equal(text, "firmware 12.345678 us: ready\nfirmware 3000000.000007 us: \n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uart_registers_reset_value_and_access),
		cmocka_unit_test(test_uart_line_arrives_when_its_last_character_has_left),
		cmocka_unit_test(test_uart_full_queue_drops_and_counts),
		cmocka_unit_test(test_uart_long_lines_are_cut),
		cmocka_unit_test(test_uart_control_characters_are_harmless),
		cmocka_unit_test(test_uart_flush_hands_over_unfinished_line),
		cmocka_unit_test(test_uart_reset_drops_queue_and_keeps_what_has_left),
		cmocka_unit_test(test_uart_random_text_arrives_whole),
		cmocka_unit_test(test_uart_log_line_names_time_and_source),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
