#include "host-sim/original.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SECTOR_BYTES 512u

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)
#define STRIDE UINT64_C(0xd1342543de82ef95)

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

typedef uint64_t four_words __attribute__((vector_size(32)));

/* The documented contents of a ram: disk (store_pattern in store.h), computed here a second time, so that an error in
 * the card's copy shows. Every verified read of such a disk pays for it, hence four words at a time. */
static void ram_sector(uint64_t seed, uint64_t sector, uint8_t *data)
{
	uint64_t word = mix(mix(seed + GOLDEN) + (sector + 1) * GOLDEN);
	four_words words = {word, word + STRIDE, word + 2 * STRIDE, word + 3 * STRIDE};
	for (unsigned at = 0; at < SECTOR_BYTES; at += sizeof(words), words += 4 * STRIDE)
		memcpy(data + at, &words, sizeof(words)); /* little-endian, as the hosts we run on */
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "ram_sector stores words as they are");

bool original_open(struct original *original, const struct store_info *info, uint64_t seed)
{
	char error[200];
	*original = (struct original){.info = info, .seed = seed, .fd = -1};
	if (strcmp(info->kind, "file") == 0) {
		original->fd = open(info->spec, O_RDONLY | O_CLOEXEC);
		return original->fd >= 0;
	}
	if (strcmp(info->kind, "nbd") == 0) {
		original->store = store_open(info->spec, true, seed, error, sizeof(error));
		return original->store != NULL;
	}
	return true;
}

void original_close(struct original *original)
{
	if (original->fd >= 0)
		close(original->fd);
	store_close(original->store);
	original->fd = -1;
	original->store = NULL;
}

static int file_read(int fd, uint64_t offset, uint8_t *data, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t got = pread(fd, data + done, bytes - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -EIO;
		done += (size_t)got;
	}
	return 0;
}

int original_read(void *ctx, uint64_t sector, uint32_t count, uint8_t *data)
{
	struct original *original = ctx;
	size_t bytes = (size_t)count * SECTOR_BYTES;
	if (original->store)
		return store_read(original->store, sector * SECTOR_BYTES, data, bytes);
	if (original->fd >= 0)
		return file_read(original->fd, sector * SECTOR_BYTES, data, bytes);
	for (uint32_t i = 0; i < count; i++)
		ram_sector(original->seed, sector + i, data + (size_t)i * SECTOR_BYTES);
	return 0;
}
