/* The firmware's console: a transmit queue, drained at a fixed rate into lines of text.
 *
 * Characters that find the queue full are dropped and counted. Control characters other than tab and line feed
 * become '.', so that firmware cannot play tricks on a terminal; carriage returns vanish. */
#ifndef KICKSTAND_BLOCKS_UART_UART_H
#define KICKSTAND_BLOCKS_UART_UART_H

#include "pcie/base.h"
#include "rtl-model/fifo.h"

#ifdef __cplusplus
extern "C" {
#endif

#define UART_FIFO_CHARACTERS 256u
#define UART_CHARACTER_PS    (100 * PS_PER_NS)
#define UART_LINE_CHARACTERS 200u /* longer lines are cut into pieces */

/* Gets every line when its last character has left, without the line feed. The text is valid during the call. */
typedef void uart_line_fn(void *ctx, uint64_t now_ps, const char *text);

struct uart_stats {
	uint64_t sent, dropped; /* characters */
	uint64_t lines;
};

struct uart {
	const struct waker *self;
	uart_line_fn *sink;
	void *sink_ctx;
	uint8_t fifo[UART_FIFO_CHARACTERS];
	uint32_t head, tail;   /* free running */
	uint64_t head_done_ps; /* when the character at the head has left, if there is one */
	char line[UART_LINE_CHARACTERS + 1];
	unsigned line_characters;
	struct uart_stats stats;
};

/* `self` is woken when there is something to send again. */
void uart_init(struct uart *uart, const struct waker *self, uart_line_fn *sink, void *sink_ctx);

/* Drops what is queued; the line so far is handed over. */
void uart_reset(struct uart *uart, uint64_t now_ps);

/* Returns when the next character will have left, TIME_NEVER_PS if there is none. */
uint64_t uart_step(struct uart *uart, uint64_t now_ps);

/* End of a run: hands over everything that is queued, an unfinished line too. */
void uart_flush(struct uart *uart, uint64_t now_ps);

/* Registers of block UART. False: no such register. */
bool uart_csr_read(struct uart *uart, uint64_t now_ps, uint32_t offset, uint32_t *value);
bool uart_csr_write(struct uart *uart, uint64_t now_ps, uint32_t offset, uint32_t value);

/* A sink that writes "firmware 12.345678 us: TEXT" to a FILE, which is its ctx. */
void uart_log_line(void *file, uint64_t now_ps, const char *text);

#ifdef __cplusplus
}
#endif
#endif
