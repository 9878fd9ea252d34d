#include "host-sim/sweep/design.h"

#include "host-sim/workloads/random_map.h"
#include "pcie/rng.h"

/* Points without the base. */
static uint64_t varied_points(const struct design *design)
{
	uint64_t points = design->kind == DESIGN_GRID ? 1 : 0;
	if (design->kind == DESIGN_LHS)
		return design->lhs_points;
	for (unsigned i = 0; i < design->axes; i++)
		if (design->kind == DESIGN_ONE_AT_A_TIME)
			points += design->levels[i];
		else if (__builtin_mul_overflow(points, (uint64_t)design->levels[i], &points))
			return UINT64_MAX;
	return points;
}

static bool has_base(const struct design *design)
{
	return design->with_base || design->kind == DESIGN_ONE_AT_A_TIME;
}

uint64_t design_points(const struct design *design)
{
	uint64_t points = varied_points(design);
	return has_base(design) && points != UINT64_MAX ? points + 1 : points;
}

static void grid_point(const struct design *design, uint64_t point, int *level)
{
	for (unsigned i = design->axes; i-- > 0;) {
		level[i] = (int)(point % design->levels[i]);
		point /= design->levels[i];
	}
}

/* The part of an axis that a point uses comes from a permutation of its own; the place in the part is drawn, which matters
 * where an axis has more levels than there are points. */
static void lhs_point(const struct design *design, uint64_t point, int *level)
{
	for (unsigned i = 0; i < design->axes; i++) {
		struct permutation order;
		struct rng rng;
		rng_seed(&rng, design->seed, i);
		permutation_init(&order, design->lhs_points, rng_u64(&rng));
		uint64_t part = permutation_at(&order, point);
		rng_seed(&rng, design->seed ^ part, design->axes + i);
		uint64_t place = part << 32 | rng_u64(&rng) >> 32; /* in 2^-32 parts */
		level[i] = (int)(((unsigned __int128)place * design->levels[i] / design->lhs_points) >> 32);
	}
}

static void one_at_a_time_point(const struct design *design, uint64_t point, int *level)
{
	for (unsigned i = 0; i < design->axes; i++) {
		if (point < design->levels[i]) {
			level[i] = (int)point;
			return;
		}
		point -= design->levels[i];
	}
}

void design_point(const struct design *design, uint64_t point, int level[DESIGN_AXES_MAX])
{
	ASSERT(point < design_points(design));
	for (unsigned i = 0; i < design->axes; i++)
		level[i] = DESIGN_BASE;
	if (has_base(design) && point-- == 0)
		return;
	switch (design->kind) {
	case DESIGN_GRID: grid_point(design, point, level); break;
	case DESIGN_LHS: lhs_point(design, point, level); break;
	case DESIGN_ONE_AT_A_TIME: one_at_a_time_point(design, point, level); break;
	}
}
