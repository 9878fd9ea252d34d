#include "host-sim/workloads/skew.h"

#define MICRO             UINT64_C(1000000)
#define RANGES_PER_OCTAVE 32

/* 2^-(1/2), 2^-(1/4), … 2^-(1/65536), in 1/2^62. */
static const uint64_t negative_roots_q62[16] = {
	0x2d413cccfe779921, 0x35d13f32b5a75abd, 0x3ab031b9f7490e4b, 0x3d495f454921b30b,
	0x3ea0ecb6dc8a80ce, 0x3f4f83033d21b05d, 0x3fa784571ee3e212, 0x3fd3b2d65447b229,
	0x3fe9d59487236bb4, 0x3ff4e9d4703df842, 0x3ffa74acbdf6c9d5, 0x3ffd3a46ffc6e30f,
	0x3ffe9d1fa8010199, 0x3fff4e8ede053ad4, 0x3fffa747318376ac, 0x3fffd3a38961e6fe,
};

uint64_t exp2_negative_q62(uint64_t exponent_q16)
{
	uint64_t whole = exponent_q16 >> 16;
	uint64_t result = UINT64_C(1) << 62;
	for (unsigned i = 0; i < 16; i++)
		if (exponent_q16 >> (15 - i) & 1)
			result = (uint64_t)((unsigned __int128)result * negative_roots_q62[i] >> 62);
	return whole < 64 ? result >> whole : 0;
}

/* log2 of x >= 1 in 1/2^32: as log2_q16 of pcie/rng.h, to twice the digits. */
static uint64_t log2_q32(uint64_t x)
{
	unsigned exponent = 63u - (unsigned)__builtin_clzll(x);
	uint64_t mantissa = x << (63 - exponent); /* 1.63 */
	uint64_t result = (uint64_t)exponent << 32;
	for (uint64_t bit = UINT64_C(1) << 31; bit; bit >>= 1) {
		unsigned __int128 square = (unsigned __int128)mantissa * mantissa;
		bool above_2 = square >> 127;
		mantissa = (uint64_t)(square >> (above_2 ? 64 : 63));
		result |= above_2 ? bit : 0;
	}
	return result;
}

/* Cuts the ranks 0..count-1 into ranges no wider than 1/32 of their beginning. */
static void cut_ranges(struct skew *skew)
{
	uint64_t first = 0;
	skew->ranges = 0;
	while (first < skew->count) {
		ASSERT(skew->ranges < SKEW_RANGES_MAX);
		skew->first[skew->ranges++] = first;
		uint64_t width =
			max_u64(1, (UINT64_C(1) << (63 - __builtin_clzll(first + 1))) / RANGES_PER_OCTAVE);
		first += min_u64(width, skew->count - first);
	}
	skew->first[skew->ranges] = skew->count;
}

/* Rank r (from 0) weighs (r + 1)^-theta; a range weighs as much as its middle times its width. */
static void weigh_zipf(struct skew *skew, uint64_t theta_micro)
{
	unsigned __int128 sum[SKEW_RANGES_MAX], total = 0;
	unsigned shift = 0;
	for (unsigned i = 0; i < skew->ranges; i++) {
		uint64_t width = skew->first[i + 1] - skew->first[i];
		uint64_t twice_middle = skew->first[i] + skew->first[i + 1] + 1;
		uint64_t log_middle_q16 = log2_q16(twice_middle) - (1u << 16);
		total += (unsigned __int128)width * exp2_negative_q62(theta_micro * log_middle_q16 / MICRO);
		sum[i] = total;
	}
	while (total >> shift > UINT64_MAX)
		shift++;
	for (unsigned i = 0; i < skew->ranges; i++)
		skew->upto[i] = (uint64_t)(sum[i] >> shift);
}

/* fio draws rank count * u^k with k = log h / log(1 - h) and u even in 0..1, so that a part h of the blocks gets
 * a part 1 - h of the I/Os; ranks below b therefore weigh (b / count)^(1/k). */
static void weigh_pareto(struct skew *skew, uint64_t h_micro)
{
	uint64_t log_h = log2_q32(MICRO) - log2_q32(h_micro);
	uint64_t log_rest = log2_q32(MICRO) - log2_q32(MICRO - h_micro);
	unsigned __int128 reciprocal_k_q32 = ((unsigned __int128)log_rest << 32) / log_h;
	for (unsigned i = 0; i < skew->ranges; i++) {
		uint64_t below_q32 = log2_q32(skew->count) - log2_q32(skew->first[i + 1]);
		unsigned __int128 exponent_q16 = below_q32 * reciprocal_k_q32 >> 48;
		skew->upto[i] = exponent_q16 < 64 << 16 ? exp2_negative_q62((uint64_t)exponent_q16) : 0;
	}
}

void skew_init(struct skew *skew, enum fio_distribution kind, uint64_t micro, uint64_t count, uint64_t key)
{
	ASSERT(count > 0 && kind != FIO_UNIFORM);
	skew->kind = kind;
	skew->count = count;
	skew->micro = micro;
	permutation_init(&skew->scatter, count, key);
	cut_ranges(skew);
	if (kind == FIO_ZIPF)
		weigh_zipf(skew, micro);
	else if (kind == FIO_PARETO)
		weigh_pareto(skew, micro);
}

static uint64_t draw_rank(const struct skew *skew, struct rng *rng)
{
	uint64_t weight = rng_below(rng, skew->upto[skew->ranges - 1]);
	unsigned low = 0, high = skew->ranges - 1;
	while (low < high) {
		unsigned middle = (low + high) / 2;
		if (skew->upto[middle] > weight)
			high = middle;
		else
			low = middle + 1;
	}
	return skew->first[low] + rng_below(rng, skew->first[low + 1] - skew->first[low]);
}

/* The sum of twelve numbers even in 0..1 has deviation 1 around 6. What falls outside of the region is drawn
 * again. */
static uint64_t draw_normal(const struct skew *skew, struct rng *rng)
{
	const int64_t whole = INT64_C(100) * (int64_t)MICRO; /* 100 % */
	for (;;) {
		int64_t deviations_q32 = -(INT64_C(6) << 32);
		for (unsigned i = 0; i < 6; i++) {
			uint64_t two = rng_u64(rng);
			deviations_q32 += (int64_t)(two >> 32) + (int64_t)(two & UINT32_MAX);
		}
		__int128 place =
			(__int128)deviations_q32 * (int64_t)skew->micro + (__int128)(whole / 2 << 32);
		if (place < 0 || place >= (__int128)whole << 32)
			continue;
		return (uint64_t)(place * skew->count / ((__int128)whole << 32));
	}
}

uint64_t skew_draw(const struct skew *skew, struct rng *rng)
{
	if (skew->kind == FIO_NORMAL)
		return draw_normal(skew, rng);
	return permutation_at(&skew->scatter, draw_rank(skew, rng));
}
