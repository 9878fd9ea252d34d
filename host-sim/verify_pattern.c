#include "host-sim/verify_pattern.h"

#include "pcie/rng.h"

#include <endian.h>
#include <string.h>

#define WORDS (SECTOR_BYTES / 8)
#define STEP  UINT64_C(0x9e3779b97f4a7c15)

static uint64_t check_word(uint64_t seed, uint64_t sector, uint64_t generation)
{
	uint64_t state =
		seed ^ sector * UINT64_C(0xd1342543de82ef95) ^ generation * UINT64_C(0xaf251af3b0f025b5);
	return splitmix64(&state);
}

static void make_words(uint64_t seed, uint64_t sector, uint64_t generation, uint64_t words[WORDS])
{
	uint64_t check = check_word(seed, sector, generation);
	for (unsigned i = 0; i < WORDS; i++)
		words[i] = htole64(check + i * STEP);
	words[1] = htole64(sector);
	words[2] = htole64(generation);
}

void pattern_fill(uint64_t seed, uint64_t sector, uint64_t generation, uint8_t data[SECTOR_BYTES])
{
	uint64_t words[WORDS];
	make_words(seed, sector, generation, words);
	memcpy(data, words, SECTOR_BYTES);
}

bool pattern_matches(uint64_t seed, uint64_t sector, uint64_t generation, const uint8_t data[SECTOR_BYTES])
{
	uint64_t words[WORDS];
	make_words(seed, sector, generation, words);
	return memcmp(data, words, SECTOR_BYTES) == 0;
}

bool pattern_identify(uint64_t seed, const uint8_t data[SECTOR_BYTES], struct pattern_identity *identity)
{
	identity->sector = load_le64(data + 8);
	identity->generation = load_le64(data + 16);
	identity->whole = pattern_matches(seed, identity->sector, identity->generation, data);
	return load_le64(data) == check_word(seed, identity->sector, identity->generation);
}

bool all_zero(const uint8_t *data, size_t bytes)
{
	return bytes == 0 || (data[0] == 0 && memcmp(data, data + 1, bytes - 1) == 0);
}
