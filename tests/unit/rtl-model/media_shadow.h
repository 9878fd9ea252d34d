/* Compares a store with a plain array that is given the same random operations. */
#ifndef KICKSTAND_TESTS_MEDIA_SHADOW_H
#define KICKSTAND_TESTS_MEDIA_SHADOW_H

#include "rtl-model/blocks/media/store.h"
#include "tests/check.h"

struct shadow {
	uint8_t *bytes; /* what the store has to hold */
	size_t size;
	size_t unit; /* offsets and lengths are multiples of this */
	bool discard_zeroes;
};

static inline void shadow_operation(struct store *store, const struct shadow *shadow, struct rng *rng,
				    uint8_t *buffer)
{
	size_t at = rng_below(rng, shadow->size / shadow->unit) * shadow->unit;
	size_t longest = shadow->size - at < 20000 ? shadow->size - at : 20000;
	size_t length = rng_below(rng, longest / shadow->unit + 1) * shadow->unit;
	switch (rng_below(rng, 8)) {
	case 0:
		assert_int_equal(store_zero(store, at, length, rng_below(rng, 2)), 0);
		memset(shadow->bytes + at, 0, length);
		break;
	case 1:
		if (!shadow->discard_zeroes)
			break;
		assert_int_equal(store_discard(store, at, length), 0);
		memset(shadow->bytes + at, 0, length);
		break;
	case 2:
	case 3:
	case 4:
		for (size_t i = 0; i < length; i++)
			buffer[i] = (uint8_t)rng_u64(rng);
		assert_int_equal(store_write(store, at, buffer, length), 0);
		memcpy(shadow->bytes + at, buffer, length);
		break;
	default:
		buffer[length] = 0xa5; /* guard */
		assert_int_equal(store_read(store, at, buffer, length), 0);
		assert_memory_equal(buffer, shadow->bytes + at, length);
		assert_int_equal(buffer[length], 0xa5);
	}
}

/* `shadow->bytes` is what the store holds now. */
static inline void shadow_run(struct store *store, const struct shadow *shadow, uint64_t seed,
			      unsigned operations)
{
	struct rng rng;
	uint8_t *buffer = (uint8_t *)malloc(shadow->size > 20001 ? shadow->size : 20001);
	rng_seed(&rng, seed, 0);
	for (unsigned i = 0; i < operations; i++)
		shadow_operation(store, shadow, &rng, buffer);
	assert_int_equal(store_read(store, 0, buffer, shadow->size), 0);
	assert_memory_equal(buffer, shadow->bytes, shadow->size);
	free(buffer);
}

#endif
