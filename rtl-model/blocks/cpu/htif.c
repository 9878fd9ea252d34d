/* The host-target interface of bare RISC-V programs: two 64-bit words in memory, of which the program writes one. */
#include "rtl-model/blocks/cpu/common.h"

#include <errno.h>

enum { SYSCALL_WRITE = 64 };

/* Device and command in the upper half of tohost: byte 7 and byte 6. */
#define CONSOLE_PUT_CHARACTER 0x01010000u

static uint32_t check_word(const struct htif *h, uint32_t address)
{
	if (address == 0)
		return HTIF_NONE;
	ASSERT(address % 4 == 0 && address - h->memory[0].base < h->memory[0].bytes);
	return address;
}

void htif_set(struct htif *h, uint32_t tohost, uint32_t fromhost, FILE *console)
{
	h->tohost = check_word(h, tohost);
	h->fromhost = check_word(h, fromhost);
	h->console = console;
}

/* `bytes` bytes of memory at `address`, NULL if they are not all there. */
static uint8_t *locate(const struct htif *h, uint64_t address, uint64_t bytes)
{
	for (size_t i = 0; i < CPU_MEMORIES; i++) {
		const struct cpu_memory *m = &h->memory[i];
		uint64_t offset = address - m->base;
		if (address >= m->base && offset <= m->bytes && bytes <= m->bytes - offset)
			return m->data + offset;
	}
	return NULL;
}

static int64_t write_console(struct htif *h, uint64_t file, uint64_t address, uint64_t bytes)
{
	if (file != 1 && file != 2)
		return -EBADF;
	const uint8_t *text = locate(h, address, bytes);
	if (!text)
		return -EFAULT;
	if (h->console)
		fwrite(text, 1, bytes, h->console);
	return (int64_t)bytes;
}

static void system_call(struct htif *h, uint32_t address)
{
	uint8_t *words = locate(h, address, 64);
	if (!words)
		return; /* nowhere to put an error; the acknowledgement alone must do */
	int64_t result = -ENOSYS;
	if (load_le64(words) == SYSCALL_WRITE)
		result = write_console(h, load_le64(words + 8), load_le64(words + 16), load_le64(words + 24));
	store_le64(words, (uint64_t)result);
}

static void acknowledge(struct htif *h, uint64_t answer)
{
	uint8_t *tohost = locate(h, h->tohost, 8);
	uint8_t *fromhost = h->fromhost == HTIF_NONE ? NULL : locate(h, h->fromhost, 8);
	if (tohost)
		store_le64(tohost, 0);
	if (fromhost)
		store_le64(fromhost, answer);
}

bool htif_serve(struct htif *h)
{
	uint32_t low = load_le32(locate(h, h->tohost, 4));
	const uint8_t *next = locate(h, (uint64_t)h->tohost + 4, 4);
	if (next && load_le32(next) == CONSOLE_PUT_CHARACTER) {
		if (h->console)
			fputc((int)(low & 0xff), h->console);
		acknowledge(h, (uint64_t)CONSOLE_PUT_CHARACTER << 32 | 0x100 | (low & 0xff));
	} else if (low & 1) {
		h->exit_code = low >> 1;
		return true;
	} else if (low) {
		system_call(h, low);
		acknowledge(h, 1);
	}
	return false;
}
