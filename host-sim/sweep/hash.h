/* FNV-1a: names for files by what is in them. Not against an adversary; at a million files two share a name with a chance of
 * one in ten million. */
#ifndef KICKSTAND_HOST_SIM_SWEEP_HASH_H
#define KICKSTAND_HOST_SIM_SWEEP_HASH_H

#include "pcie/base.h"

#define HASH_EMPTY    UINT64_C(0xcbf29ce484222325)
#define HASH_NAME_MAX 17 /* 16 digits */

static inline uint64_t hash_add(uint64_t hash, const void *data, size_t bytes)
{
	const uint8_t *at = (const uint8_t *)data;
	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash;
}

#endif
