/* Which points a sweep has: each is a level per axis. Points are worked out from their number, so that a design of any size
 * costs no memory.
 *
 *   grid           every combination; the last axis changes fastest
 *   lhs            Latin hypercube: with n points every axis is cut into n equal parts, and each part is used once
 *   one_at_a_time  the base point, then each axis through its levels while the others stay at the base */
#ifndef KICKSTAND_HOST_SIM_SWEEP_DESIGN_H
#define KICKSTAND_HOST_SIM_SWEEP_DESIGN_H

#include "pcie/base.h"

#define DESIGN_AXES_MAX 32
#define DESIGN_BASE     (-1) /* in place of a level: as in the base */

enum design_kind { DESIGN_GRID, DESIGN_LHS, DESIGN_ONE_AT_A_TIME };

struct design {
	enum design_kind kind;
	unsigned axes;
	unsigned levels[DESIGN_AXES_MAX];
	uint64_t lhs_points;
	uint64_t seed;  /* of lhs */
	bool with_base; /* point 0 is the base; always so in one_at_a_time */
};

/* Number of points; UINT64_MAX if it does not fit. */
uint64_t design_points(const struct design *design);

/* The levels of a point below design_points. */
void design_point(const struct design *design, uint64_t point, int level[DESIGN_AXES_MAX]);

#endif
