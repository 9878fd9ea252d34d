/* The console UART. */
#include "firmware/card.h"

void console_print(const char *text)
{
	for (; *text; text++)
		reg_write(CSR_UART_TRANSMIT_ADDR, (uint8_t)*text);
}

void console_print_number(uint32_t value)
{
	char digits[11];
	unsigned at = sizeof(digits);
	digits[--at] = '\0';
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	console_print(digits + at);
}
