/* Pseudo-random numbers that are the same on every machine: integers only, state in the caller's struct.
 *
 * splitmix64 seeds, xoshiro256** draws (Blackman & Vigna). Latency tails use the exponential
 * distribution in fixed point, so that simulated time never depends on a C library's floating point. */
#ifndef KICKSTAND_PCIE_RNG_H
#define KICKSTAND_PCIE_RNG_H

#include "pcie/base.h"

struct rng {
	uint64_t s[4];
};

static inline uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* `stream` keeps users of one seed apart (queue number, block number, …). */
static inline void rng_seed(struct rng *r, uint64_t seed, uint64_t stream)
{
	uint64_t state = seed ^ (stream * UINT64_C(0xd1342543de82ef95) + 1);
	for (int i = 0; i < 4; i++)
		r->s[i] = splitmix64(&state);
}

static inline uint64_t rng_u64(struct rng *r)
{
	uint64_t result = r->s[1] * 5;
	result = (result << 7 | result >> 57) * 9;
	uint64_t t = r->s[1] << 17;
	r->s[2] ^= r->s[0];
	r->s[3] ^= r->s[1];
	r->s[1] ^= r->s[2];
	r->s[0] ^= r->s[3];
	r->s[2] ^= t;
	r->s[3] = r->s[3] << 45 | r->s[3] >> 19;
	return result;
}

/* Uniform in 0..bound-1, bound > 0 (the bias of the multiply is below 2^-32 for bounds below 2^32). */
static inline uint64_t rng_below(struct rng *r, uint64_t bound)
{
	return (uint64_t)(((unsigned __int128)rng_u64(r) * bound) >> 64);
}

/* True with a chance of `ppm` in a million. */
static inline bool rng_chance_ppm(struct rng *r, uint32_t ppm)
{
	return ppm != 0 && rng_below(r, 1000000) < ppm;
}

/* log2(x) of x in [1, 2^32), in 1/65536, by repeated squaring of the mantissa. */
static inline uint32_t log2_q16(uint64_t x)
{
	unsigned exponent = 63u - (unsigned)__builtin_clzll(x);
	uint64_t mantissa = exponent > 31 ? x >> (exponent - 31) : x << (31 - exponent); /* 1.31 */
	uint32_t result = exponent << 16;
	for (uint32_t bit = 1u << 15; bit != 0; bit >>= 1) {
		mantissa = mantissa * mantissa >> 31;
		if (mantissa >> 32) {
			mantissa >>= 1;
			result |= bit;
		}
	}
	return result;
}

/* Exponentially distributed with the given mean, cut at 22 times the mean. */
static inline uint64_t rng_exponential(struct rng *r, uint64_t mean)
{
	uint64_t u = (rng_u64(r) >> 32) + 1;                                    /* 1..2^32 */
	uint64_t nats_q16 = ((UINT64_C(32) << 16) - log2_q16(u)) * 45426 >> 16; /* ln 2 in q16 */
	return (uint64_t)((unsigned __int128)mean * nats_q16 >> 16);
}

#endif
