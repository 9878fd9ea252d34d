/* Output in the two ways HTIF has, and the errors it answers. Exit code 0 if every answer was right. */
#include <stdint.h>

extern volatile uint64_t tohost, fromhost;
static char text[] = "hello from the core\n";

int main(void);

static void send(uint32_t low, uint32_t high)
{
	volatile uint32_t *words = (volatile uint32_t *)&tohost;
	words[1] = high;
	words[0] = low;
	while (fromhost == 0)
		;
	fromhost = 0;
}

static int32_t call(uint32_t number, uint32_t a0, uint32_t a1, uint32_t a2)
{
	static volatile uint64_t block[8] __attribute__((aligned(64)));
	block[0] = number;
	block[1] = a0;
	block[2] = a1;
	block[3] = a2;
	send((uint32_t)(uintptr_t)block, 0);
	return (int32_t)block[0];
}

static void put_character(char c)
{
	send((uint8_t)c, 0x01010000); /* device 1, command 1 */
}

enum { WRITE = 64, READ = 63, EBADF = 9, EFAULT = 14, ENOSYS = 38 };

int main(void)
{
	uint32_t length = sizeof(text) - 1;
	uint32_t address = (uint32_t)(uintptr_t)text;
	if (call(WRITE, 1, address, length) != (int32_t)length)
		return 1;
	if (call(WRITE, 2, address, 6) != 6)
		return 2;
	if (call(WRITE, 5, address, length) != -EBADF)
		return 3;
	if (call(WRITE, 1, 0x1000, length) != -EFAULT)
		return 4;
	if (call(WRITE, 1, address, 0x80000000) != -EFAULT)
		return 5;
	if (call(READ, 0, address, length) != -ENOSYS)
		return 6;
	for (const char *c = "world\n"; *c; c++)
		put_character(*c);
	return tohost == 0 ? 0 : 7;
}
