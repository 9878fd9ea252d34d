#include "rtl-model/blocks/uart/uart.h"

#include "csr.h"

#include <inttypes.h>
#include <stdio.h>

void uart_init(struct uart *uart, const struct waker *self, uart_line_fn *sink, void *sink_ctx)
{
	*uart = (struct uart){.self = self, .sink = sink, .sink_ctx = sink_ctx};
}

/* ---- lines ---- */

static void end_line(struct uart *uart, uint64_t now_ps)
{
	uart->line[uart->line_characters] = '\0';
	uart->line_characters = 0;
	uart->stats.lines++;
	uart->sink(uart->sink_ctx, now_ps, uart->line);
}

static void add_to_line(struct uart *uart, uint64_t now_ps, uint8_t character)
{
	uart->stats.sent++;
	if (character == '\n') {
		end_line(uart, now_ps);
		return;
	}
	if (character == '\r')
		return;
	if (uart->line_characters == UART_LINE_CHARACTERS)
		end_line(uart, now_ps);
	bool is_control = (character < ' ' && character != '\t') || character == 0x7f;
	uart->line[uart->line_characters++] = is_control ? '.' : (char)character;
}

void uart_log_line(void *file, uint64_t now_ps, const char *text)
{
	fprintf(file, "firmware %" PRIu64 ".%06" PRIu64 " us: %s\n", now_ps / PS_PER_US, now_ps % PS_PER_US,
		text);
}

/* ---- the transmit queue ---- */

static uint32_t queued(const struct uart *uart)
{
	return uart->tail - uart->head;
}

static uint8_t take(struct uart *uart)
{
	return uart->fifo[uart->head++ % UART_FIFO_CHARACTERS];
}

uint64_t uart_step(struct uart *uart, uint64_t now_ps)
{
	while (queued(uart) != 0 && uart->head_done_ps <= now_ps) {
		add_to_line(uart, uart->head_done_ps, take(uart));
		uart->head_done_ps += UART_CHARACTER_PS;
	}
	return queued(uart) != 0 ? uart->head_done_ps : TIME_NEVER_PS;
}

static void transmit(struct uart *uart, uint64_t now_ps, uint8_t character)
{
	if (queued(uart) == UART_FIFO_CHARACTERS) {
		uart->stats.dropped++;
		return;
	}
	uart->fifo[uart->tail++ % UART_FIFO_CHARACTERS] = character;
	if (queued(uart) == 1) {
		uart->head_done_ps = now_ps + UART_CHARACTER_PS;
		waker_wake(uart->self, uart->head_done_ps);
	}
}

void uart_flush(struct uart *uart, uint64_t now_ps)
{
	while (queued(uart) != 0)
		add_to_line(uart, now_ps, take(uart));
	if (uart->line_characters != 0)
		end_line(uart, now_ps);
}

void uart_reset(struct uart *uart, uint64_t now_ps)
{
	uart_step(uart, now_ps);
	uart->head = uart->tail;
	uart_flush(uart, now_ps);
}

/* ---- registers ---- */

bool uart_csr_read(struct uart *uart, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	switch (offset) {
	case CSR_UART_TRANSMIT: *value = 0; return true;
	case CSR_UART_STATE:
		uart_step(uart, now_ps);
		*value = UART_FIFO_CHARACTERS - queued(uart);
		return true;
	default: return false;
	}
}

bool uart_csr_write(struct uart *uart, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case CSR_UART_TRANSMIT:
		uart_step(uart, now_ps);
		transmit(uart, now_ps, (uint8_t)(value & CSR_UART_TRANSMIT_BYTE_MASK));
		return true;
	case CSR_UART_STATE: return true;
	default: return false;
	}
}
