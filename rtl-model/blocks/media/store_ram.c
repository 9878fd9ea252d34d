/* A disk in memory that costs only what has been written.
 *
 * The address range is reserved without memory behind it. One bit a page tells whether the page has been written;
 * until then its contents are store_pattern and are computed when they are read, which is as fast as copying them
 * and needs no memory, so a 64 GiB disk can be read end to end. */
#include "pcie/rng.h"
#include "rtl-model/blocks/media/store_ops.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096u

struct store_ram {
	struct store store;
	uint64_t seed;
	uint8_t *data;
	size_t data_bytes;
	uint8_t *written; /* bit n: page n is in `data` */
	size_t written_bytes;
};

/* A vector type, because the compiler does not find the vectors in a plain loop by itself. */
typedef uint64_t two_words __attribute__((vector_size(16), aligned(1), may_alias));
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the words of the pattern are little-endian");

void store_pattern(uint64_t seed, uint64_t sector, uint8_t data[512])
{
	const uint64_t step = UINT64_C(0xd1342543de82ef95);
	uint64_t state = seed;
	state = splitmix64(&state) + sector * UINT64_C(0x9e3779b97f4a7c15);
	uint64_t first = splitmix64(&state);
	two_words words = {first, first + step};
	for (unsigned at = 0; at < STORE_SECTOR_BYTES; at += sizeof(words)) {
		*(two_words *)(data + at) = words;
		words += 2 * step;
	}
}

/* Fills `data` with what the never written bytes from `offset` on hold. */
static void read_pattern(uint64_t seed, uint64_t offset, uint8_t *data, size_t bytes)
{
	uint8_t sector[STORE_SECTOR_BYTES];
	while (bytes != 0) {
		size_t skip = offset % STORE_SECTOR_BYTES;
		size_t piece = (size_t)min_u64(bytes, STORE_SECTOR_BYTES - skip);
		if (piece == STORE_SECTOR_BYTES) {
			store_pattern(seed, offset / STORE_SECTOR_BYTES, data);
		} else {
			store_pattern(seed, offset / STORE_SECTOR_BYTES, sector);
			memcpy(data, sector + skip, piece);
		}
		offset += piece;
		data += piece;
		bytes -= piece;
	}
}

static bool is_written(const struct store_ram *ram, uint64_t page)
{
	return ram->written[page / 8] >> (page % 8) & 1;
}

static void set_written(struct store_ram *ram, uint64_t page)
{
	ram->written[page / 8] |= (uint8_t)(1u << (page % 8));
}

/* Makes the page's contents real before a part of it is changed. */
static void fill_page(struct store_ram *ram, uint64_t page)
{
	if (is_written(ram, page))
		return;
	uint64_t offset = page * PAGE_BYTES;
	read_pattern(ram->seed, offset, ram->data + offset,
		     (size_t)min_u64(PAGE_BYTES, ram->store.info.bytes - offset));
	set_written(ram, page);
}

static size_t bytes_to_page_end(uint64_t offset, uint64_t bytes)
{
	return (size_t)min_u64(bytes, PAGE_BYTES - offset % PAGE_BYTES);
}

static int ram_read(struct store *store, uint64_t offset, void *data, size_t bytes)
{
	struct store_ram *ram = (struct store_ram *)store;
	uint8_t *to = data;
	while (bytes != 0) {
		size_t piece = bytes_to_page_end(offset, bytes);
		if (is_written(ram, offset / PAGE_BYTES))
			memcpy(to, ram->data + offset, piece);
		else
			read_pattern(ram->seed, offset, to, piece);
		offset += piece;
		to += piece;
		bytes -= piece;
	}
	return 0;
}

static int ram_write(struct store *store, uint64_t offset, const void *data, size_t bytes)
{
	struct store_ram *ram = (struct store_ram *)store;
	const uint8_t *from = data;
	while (bytes != 0) {
		size_t piece = bytes_to_page_end(offset, bytes);
		if (piece < PAGE_BYTES)
			fill_page(ram, offset / PAGE_BYTES);
		memcpy(ram->data + offset, from, piece);
		set_written(ram, offset / PAGE_BYTES);
		offset += piece;
		from += piece;
		bytes -= piece;
	}
	return 0;
}

static void zero_part_of_page(struct store_ram *ram, uint64_t offset, size_t bytes)
{
	fill_page(ram, offset / PAGE_BYTES);
	memset(ram->data + offset, 0, bytes);
}

/* Whole pages go back to the system and read as zeroes. */
static int ram_zero(struct store *store, uint64_t offset, uint64_t bytes, bool may_unmap)
{
	(void)may_unmap; /* memory does not tell the two apart */
	struct store_ram *ram = (struct store_ram *)store;
	uint64_t end = offset + bytes;
	if (offset % PAGE_BYTES != 0) {
		size_t head = bytes_to_page_end(offset, bytes);
		zero_part_of_page(ram, offset, head);
		offset += head;
	}
	uint64_t last_page = end / PAGE_BYTES;
	if (offset < last_page * PAGE_BYTES) {
		if (madvise(ram->data + offset, last_page * PAGE_BYTES - offset, MADV_DONTNEED) != 0)
			return -errno;
		for (uint64_t page = offset / PAGE_BYTES; page < last_page; page++)
			set_written(ram, page);
		offset = last_page * PAGE_BYTES;
	}
	if (offset < end)
		zero_part_of_page(ram, offset, (size_t)(end - offset));
	return 0;
}

static int ram_discard(struct store *store, uint64_t offset, uint64_t bytes)
{
	return ram_zero(store, offset, bytes, true);
}

static int ram_flush(struct store *store)
{
	(void)store;
	return 0;
}

static void ram_close(struct store *store)
{
	struct store_ram *ram = (struct store_ram *)store;
	if (ram->data)
		munmap(ram->data, ram->data_bytes);
	if (ram->written)
		munmap(ram->written, ram->written_bytes);
	free(ram);
}

static const struct store_ops ram_ops = {ram_read, ram_write, ram_flush, ram_discard, ram_zero, ram_close};

static uint8_t *reserve(size_t bytes)
{
	void *at =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	/* A huge page would make every scattered write cost 2 MiB. */
	madvise(at, bytes, MADV_NOHUGEPAGE);
	return at;
}

struct store *store_ram_open(const char *spec, bool read_only, uint64_t seed, char *error, size_t error_size)
{
	uint64_t bytes;
	if (!store_parse_size(spec, &bytes, error, error_size))
		return NULL;
	struct store_ram *ram = calloc(1, sizeof(*ram));
	if (!ram)
		return store_fail(error, error_size, spec, "out of memory");
	ram->store.ops = &ram_ops;
	ram->store.info = (struct store_info){
		.bytes = bytes, .read_only = read_only, .can_discard = true, .can_zero = true, .kind = "ram"};
	ram->seed = seed;
	ram->data_bytes = bytes;
	ram->written_bytes = bytes / PAGE_BYTES / 8 + 1;
	ram->data = reserve(ram->data_bytes);
	ram->written = reserve(ram->written_bytes);
	if (ram->data && ram->written)
		return &ram->store;
	ram_close(&ram->store);
	return store_fail(error, error_size, spec,
			  "cannot reserve %" PRIu64 " bytes of address space (%s); make it smaller", bytes,
			  strerror(ENOMEM));
}
