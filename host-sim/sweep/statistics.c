#include "host-sim/sweep/statistics.h"

#include <math.h>
#include <stddef.h>

#include <gsl/gsl_cdf.h>

#define ROUNDING 1e-13 /* a spread this small against the mean comes from adding up, not from the sample */

/* The i-th value of the sample that is looked at; NAN if it does not count. */
static double at(const double *a, const double *b, unsigned i)
{
	return b ? a[i] - b[i] : a[i];
}

static double mean_of(const double *a, const double *b, unsigned count, unsigned *used)
{
	double sum = 0;
	*used = 0;
	for (unsigned i = 0; i < count; i++) {
		double value = at(a, b, i);
		if (!isnan(value)) {
			sum += value;
			(*used)++;
		}
	}
	return *used ? sum / *used : NAN;
}

static struct estimate estimate(const double *a, const double *b, unsigned count, double confidence)
{
	struct estimate e = {.half = NAN, .p = NAN};
	double squares = 0;
	e.mean = mean_of(a, b, count, &e.count);
	if (e.count < 2)
		return e;
	/* In two passes: figures are large against their spread. */
	for (unsigned i = 0; i < count; i++) {
		double off = at(a, b, i) - e.mean;
		if (!isnan(off))
			squares += off * off;
	}
	double error = sqrt(squares / (e.count - 1) / e.count), freedom = e.count - 1;
	if (error < ROUNDING * fabs(e.mean))
		error = 0;
	e.half = gsl_cdf_tdist_Pinv(0.5 + confidence / 2, freedom) * error;
	/* A sample without spread leaves no doubt. */
	e.p = error > 0 ? 2 * gsl_cdf_tdist_Q(fabs(e.mean) / error, freedom) : e.mean == 0;
	return e;
}

struct estimate estimate_mean(const double *value, unsigned count, double confidence)
{
	return estimate(value, NULL, count, confidence);
}

struct estimate estimate_difference(const double *a, const double *b, unsigned count, double confidence)
{
	return estimate(a, b, count, confidence);
}
