#include "host-sim/verify_pattern.h"

#include "pcie/rng.h"

#include <endian.h>
#include <string.h>

#define STEP UINT64_C(0x9e3779b97f4a7c15)

static uint64_t check_word(uint64_t seed, uint64_t sector, uint64_t generation)
{
	uint64_t state =
		seed ^ sector * UINT64_C(0xd1342543de82ef95) ^ generation * UINT64_C(0xaf251af3b0f025b5);
	return splitmix64(&state);
}

/* Two words a step, which the compiler turns into vector code. */
void pattern_fill(uint64_t seed, uint64_t sector, uint64_t generation, uint8_t data[SECTOR_BYTES])
{
	uint64_t check = check_word(seed, sector, generation);
	uint64_t word[2] = {check, check + STEP};
	for (unsigned i = 0; i < SECTOR_BYTES; i += sizeof(word)) {
		const uint64_t little[2] = {htole64(word[0]), htole64(word[1])};
		memcpy(data + i, little, sizeof(little));
		word[0] += 2 * STEP;
		word[1] += 2 * STEP;
	}
	store_le64(data + 8, sector);
	store_le64(data + 16, generation);
}

bool pattern_matches(uint64_t seed, uint64_t sector, uint64_t generation, const uint8_t data[SECTOR_BYTES])
{
	uint8_t expected[SECTOR_BYTES];
	pattern_fill(seed, sector, generation, expected);
	return memcmp(data, expected, SECTOR_BYTES) == 0;
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
