/* Estimates over seeds. Runs of a point differ in their seed alone, so their figures are a sample; runs of two points with the
 * same seed get the same random choices where they can, which is why points are compared seed by seed (A. Law, Simulation
 * Modeling and Analysis, 10.2: the paired-t approach; it needs neither independence nor equal variances of the two). */
#ifndef KICKSTAND_HOST_SIM_SWEEP_STATISTICS_H
#define KICKSTAND_HOST_SIM_SWEEP_STATISTICS_H

/* The mean of a sample with Student's t interval mean +- half; `p` is the chance of a mean as far from 0 or farther if the
 * true one were 0 (two-sided). Without values the mean is NAN; with fewer than two there is no interval: half and p are NAN. */
struct estimate {
	unsigned count;
	double mean, half, p;
};

/* `confidence` such as 0.95. Values that are NAN do not count. */
struct estimate estimate_mean(const double *value, unsigned count, double confidence);

/* The mean of a[i] - b[i], over those i where neither is NAN. */
struct estimate estimate_difference(const double *a, const double *b, unsigned count, double confidence);

#endif
