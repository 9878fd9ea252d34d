#include "host-sim/compare/significance.h"

#include <math.h>
#include <stdlib.h>

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_statistics_double.h>

/* ---- Welch ---- */

/* Square of the mean's standard error. Rounding to steps spreads values by a twelfth of the step's square. */
static double error_squared(struct sample s)
{
	return (gsl_stats_variance(s.value, 1, s.count) + s.rounding * s.rounding / 12) / s.count;
}

struct welch welch(struct sample a, struct sample b, double confidence)
{
	struct welch result = {.change = NAN, .freedom = NAN, .p = NAN, .low = NAN, .high = NAN};
	if (a.count == 0 || b.count == 0)
		return result;
	result.change = gsl_stats_mean(b.value, 1, b.count) - gsl_stats_mean(a.value, 1, a.count);
	if (a.count < 2 || b.count < 2)
		return result;
	double of_a = error_squared(a), of_b = error_squared(b);
	double error = sqrt(of_a + of_b);
	if (error == 0) { /* figures that no seed changes: any change is certain */
		result.p = result.change == 0;
		result.low = result.high = result.change;
		return result;
	}
	result.freedom =
		(of_a + of_b) * (of_a + of_b) / (of_a * of_a / (a.count - 1) + of_b * of_b / (b.count - 1));
	result.p = 2 * gsl_cdf_tdist_Q(fabs(result.change) / error, result.freedom);
	double half = gsl_cdf_tdist_Pinv(0.5 + confidence / 2, result.freedom) * error;
	result.low = result.change - half;
	result.high = result.change + half;
	return result;
}

/* ---- Mann and Whitney ---- */

struct ranked {
	double value;
	bool of_a;
	unsigned rank2; /* twice the rank, so that ties have whole numbers */
};

static int compare_ranked(const void *a, const void *b)
{
	double x = ((const struct ranked *)a)->value, y = ((const struct ranked *)b)->value;
	return (x > y) - (x < y);
}

/* Both samples in order, values that are equal sharing the mean of their ranks. Returns the sum of t^3 - t over the ties. */
static double rank_all(struct ranked *all, unsigned count)
{
	double ties = 0;
	qsort(all, count, sizeof(*all), compare_ranked);
	for (unsigned i = 0, end; i < count; i = end) {
		for (end = i + 1; end < count && all[end].value == all[i].value; end++)
			;
		for (unsigned j = i; j < end; j++)
			all[j].rank2 = i + 1 + end;
		double tied = end - i;
		ties += tied * tied * tied - tied;
	}
	return ties;
}

/* Of all ways to choose the ranks of a, those whose sum lies as far from the middle as `sum2`, or farther. ways[k][s] counts
 * the ways to choose k ranks with the double sum s. */
static double exact_p(const struct ranked *all, unsigned count, unsigned chosen, unsigned sum2)
{
	unsigned most = count * (count + 1), middle = chosen * (count + 1);
	double *ways = calloc((size_t)(chosen + 1) * (most + 1), sizeof(*ways));
	if (!ways)
		return NAN;
	ways[0] = 1;
	for (unsigned i = 0; i < count; i++)
		for (unsigned k = chosen; k-- > 0;)
			for (unsigned s = 0; s + all[i].rank2 <= most; s++)
				ways[(size_t)(k + 1) * (most + 1) + s + all[i].rank2] +=
					ways[(size_t)k * (most + 1) + s];
	unsigned distance = sum2 > middle ? sum2 - middle : middle - sum2;
	double far = 0, total = 0;
	for (unsigned s = 0; s <= most; s++) {
		double number = ways[(size_t)chosen * (most + 1) + s];
		total += number;
		far += (s > middle ? s - middle : middle - s) >= distance ? number : 0;
	}
	free(ways);
	return far / total;
}

static double normal_p(unsigned a_count, unsigned b_count, unsigned sum2, double ties)
{
	double a = a_count, b = b_count, n = a + b;
	double off = fabs(sum2 / 2.0 - a * (n + 1) / 2);
	double variance = a * b / 12 * (n + 1 - ties / (n * (n - 1)));
	if (variance <= 0)
		return 1;
	return fmin(1, 2 * gsl_cdf_ugaussian_Q(fmax(0, off - 0.5) / sqrt(variance)));
}

double mann_whitney(struct sample a, struct sample b)
{
	unsigned count = a.count + b.count, sum2 = 0;
	if (a.count == 0 || b.count == 0)
		return NAN;
	struct ranked *all = calloc(count, sizeof(*all));
	if (!all)
		return NAN;
	for (unsigned i = 0; i < count; i++)
		all[i] = (struct ranked){.value = i < a.count ? a.value[i] : b.value[i - a.count],
					 .of_a = i < a.count};
	double ties = rank_all(all, count);
	for (unsigned i = 0; i < count; i++)
		sum2 += all[i].of_a ? all[i].rank2 : 0;
	double p = count <= EXACT_MAX ? exact_p(all, count, a.count, sum2)
				      : normal_p(a.count, b.count, sum2, ties);
	free(all);
	return p;
}

/* ---- several tests ---- */

static int compare_pointed(const void *a, const void *b)
{
	double x = **(double *const *)a, y = **(double *const *)b;
	return (x > y) - (x < y);
}

void holm(double *p, unsigned count)
{
	double **sorted = calloc(count + 1u, sizeof(*sorted)), least = 0;
	ASSERT(sorted); /* a pointer for each number there is already */
	for (unsigned i = 0; i < count; i++)
		sorted[i] = &p[i];
	qsort(sorted, count, sizeof(*sorted), compare_pointed);
	for (unsigned i = 0; i < count; i++) {
		least = fmax(least, fmin(1, *sorted[i] * (count - i)));
		*sorted[i] = least;
	}
	free(sorted);
}
