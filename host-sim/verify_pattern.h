/* What the guest writes to the disk: sectors that say which sector and which write they are.
 *
 *   word 0   check = mix(seed, sector, generation)      (64-bit little-endian words)
 *   word 1   sector
 *   word 2   generation: the number of the write, from 1 on
 *   word i   check + i * an odd constant
 */
#ifndef KICKSTAND_HOST_SIM_VERIFY_PATTERN_H
#define KICKSTAND_HOST_SIM_VERIFY_PATTERN_H

#include "pcie/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SECTOR_BYTES 512

void pattern_fill(uint64_t seed, uint64_t sector, uint64_t generation, uint8_t data[SECTOR_BYTES]);

bool pattern_matches(uint64_t seed, uint64_t sector, uint64_t generation, const uint8_t data[SECTOR_BYTES]);

/* Which sector and generation the data begins as; `whole` if it is all of that. False if it is no pattern of this
 * seed. */
struct pattern_identity {
	uint64_t sector, generation;
	bool whole;
};
bool pattern_identify(uint64_t seed, const uint8_t data[SECTOR_BYTES], struct pattern_identity *identity);

bool all_zero(const uint8_t *data, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
