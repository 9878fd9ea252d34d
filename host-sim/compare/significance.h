/* Whether two samples differ by more than chance. Distributions come from the GNU Scientific Library.
 *
 * welch          Welch's t-test: means, variances not assumed equal. Degrees of freedom after Welch and Satterthwaite.
 * mann_whitney   Mann and Whitney's rank test, exact with ties (all ways to share out the ranks are counted) up to
 *                EXACT_MAX values, above with the normal approximation, corrected for ties and continuity.
 *
 * All are two-sided. A sample of fewer than two values gives no p (NAN) with Welch's test, an empty one none with either. */
#ifndef KICKSTAND_HOST_SIM_COMPARE_SIGNIFICANCE_H
#define KICKSTAND_HOST_SIM_COMPARE_SIGNIFICANCE_H

#include "pcie/base.h"

#define EXACT_MAX 50

struct sample {
	const double *value;
	unsigned count;
	double rounding; /* width of the steps in which the values come, 0 = exact: adds to the spread */
};

struct welch {
	double change; /* mean of b less mean of a */
	double freedom; /* degrees of freedom; NAN if neither sample has any spread: then p is 0 or 1, and certain */
	double p;         /* chance of a change as large or larger if the true means were the same */
	double low, high; /* confidence interval of the change; NAN without p */
};

struct welch welch(struct sample a, struct sample b, double confidence);

/* p, or NAN if memory ran out. */
double mann_whitney(struct sample a, struct sample b);

/* Holm's correction: p of each of `count` tests becomes that of a family in which the chance of any false alarm is kept. */
void holm(double *p, unsigned count);

#endif
