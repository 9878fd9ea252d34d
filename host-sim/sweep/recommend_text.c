/* The recommendation in sentences. */
#include "host-sim/sweep/recommend.h"

#include <math.h>
#include <string.h>

#define TIES_NAMED 2

static const char *plural(unsigned count, const char *one, const char *many)
{
	return count == 1 ? one : many;
}

/* "notify.holdoff_ns=500 job.iodepth=4" */
static void put_point(const struct study *study, unsigned index, FILE *out)
{
	const struct study_point *point = &study->point[index];
	fprintf(out, "point %llu", (unsigned long long)point->number);
	for (unsigned i = 0; i < study->axes; i++)
		fprintf(out, "%s%s=%s", i ? " " : " (", study->axis[i].name, study_value(study, point, i));
	fputs(study->axes ? ")" : "", out);
}

/* "17.23", "1.35M", "99999" */
static void put_number(double value, FILE *out)
{
	static const char *const suffixes[] = {"", "k", "M", "G", "T"};
	unsigned i = 0;
	bool plain = fabs(value) < 99999.5 || fabs(value) >= 1e15;
	while (!plain && fabs(value) >= 999.95) {
		value /= 1000;
		i++;
	}
	fprintf(out, "%.*g%s", plain && fabs(value) >= 9999.5 ? 5 : 4, value, suffixes[i]);
}

static void put_figure(const struct study *study, unsigned index, unsigned metric, FILE *out)
{
	const struct estimate *e = &study->point[index].estimate[metric];
	fprintf(out, "%s ", study->metric[metric].name);
	put_number(e->mean, out);
	if (!isnan(e->half)) {
		fputs(" ± ", out);
		fprintf(out, "%.2g %%", e->mean != 0 ? 100 * e->half / fabs(e->mean) : 0);
	}
}

static void put_constraints(const struct study *study, FILE *out)
{
	for (unsigned i = 0; i < study->constraints; i++) {
		const struct study_constraint *c = &study->constraint[i];
		fprintf(out, "%s%s %s ", i ? (i + 1 == study->constraints ? " and " : ", ") : "",
			study->metric[c->metric].name, c->at_most ? "<=" : ">=");
		put_number(c->bound, out);
	}
}

static void put_best(const struct recommendation *r, const struct study *study, FILE *out)
{
	fprintf(out, "%s ", study->maximise ? "Highest" : "Lowest");
	put_figure(study, r->best, study->objective, out);
	fputs(": ", out);
	put_point(study, r->best, out);
	if (r->best == study->baseline)
		fputs(", the baseline itself", out);
	fprintf(out, ", of %u %s", r->satisfying, plural(r->satisfying, "point", "points"));
	if (study->constraints) {
		fprintf(out, " (of %u) with ", r->considered);
		put_constraints(study, out);
	}
	fputs(".\n", out);
}

/* What is known of chance. */
static void put_certainty(const struct recommendation *r, const struct study *study, FILE *out)
{
	unsigned others = r->satisfying - 1;
	switch (r->verdict) {
	case VERDICT_ONE_SEED:
		fputs("It was run with one seed, so nobody knows whether its lead is more than chance; "
		      "repeat with several.\n",
		      out);
		if (r->ties)
			fprintf(out, "%u %s exactly the same figure.\n", r->ties,
				plural(r->ties, "other has", "others have"));
		return;
	case VERDICT_BEST:
		fprintf(out,
			"It is better than %s beyond chance (paired t tests over %u seeds, level %.2g in "
			"all).\n",
			others == 1 ? "the other" : "each of the others", study->seeds, 1 - STUDY_CONFIDENCE);
		return;
	case VERDICT_TIED:
		fprintf(out,
			"It is not told apart from %u of the %u others (paired t tests over %u seeds, level "
			"%.2g in "
			"all): choose among them by other figures, or take more seeds. The closest: ",
			r->ties, others, study->seeds, 1 - STUDY_CONFIDENCE);
		for (unsigned i = 0; i < r->ties && i < TIES_NAMED; i++) {
			fputs(i ? "; " : "", out);
			put_point(study, r->tie[i], out);
		}
		fputs(".\n", out);
		return;
	default: return;
	}
}

static void put_unsure_constraints(const struct recommendation *r, const struct study *study, FILE *out)
{
	for (unsigned i = 0; i < study->constraints; i++) {
		const struct study_constraint *c = &study->constraint[i];
		if (check_constraint(&study->point[r->best], c) != CHECK_UNSURE)
			continue;
		fprintf(out, "Its mean satisfies %s %s ", study->metric[c->metric].name,
			c->at_most ? "<=" : ">=");
		put_number(c->bound, out);
		fputs(", but the interval over seeds reaches over that bound: ", out);
		put_figure(study, r->best, c->metric, out);
		fputs(".\n", out);
	}
}

static void put_gain(const struct study *study, unsigned metric, const struct gain *gain, FILE *out)
{
	static const char *const words[] = {[GAIN_SAME] = "the same",
					    [GAIN_UNSURE] = "not certain",
					    [GAIN_CHANGED] = "",
					    [GAIN_BETTER] = "better",
					    [GAIN_WORSE] = "worse"};
	fprintf(out, "%s %+.1f %%", study->metric[metric].name, 100 * gain->change);
	if (!isnan(gain->low))
		fprintf(out, " (%+.1f to %+.1f; %s)", 100 * gain->low, 100 * gain->high, words[gain->kind]);
}

/* The objective, then what the constraints are about. */
static void put_gains(const struct recommendation *r, const struct study *study, FILE *out)
{
	const struct study_point *best = &study->point[r->best];
	struct gain gain;
	if (!gain_over_baseline(study, best, study->objective, &gain))
		return;
	fputs("Against the baseline: ", out);
	put_gain(study, study->objective, &gain, out);
	for (unsigned i = 0; i < study->constraints; i++) {
		unsigned metric = study->constraint[i].metric;
		if (metric != study->objective && gain_over_baseline(study, best, metric, &gain)) {
			fputs(", ", out);
			put_gain(study, metric, &gain, out);
		}
	}
	fputs(".\n", out);
}

static void put_baseline(const struct recommendation *r, const struct study *study, FILE *out)
{
	if (study->baseline == STUDY_NONE || r->best == study->baseline)
		return;
	const struct study_point *best = &study->point[r->best], *base = &study->point[study->baseline];
	put_gains(r, study, out);
	for (unsigned i = 0; i < r->ties; i++)
		if (r->tie[i] == study->baseline)
			fputs("The baseline is among those not told apart from it: nothing here is shown to "
			      "be better.\n",
			      out);
	for (unsigned i = 0; i < study->axes; i++)
		if (study->axis[i].load && best->at[i] != base->at[i])
			fprintf(out,
				"It differs from the baseline in %s, which is load, not card: part of the "
				"change comes from "
				"there.\n",
				study->axis[i].name);
}

static void put_none(const struct recommendation *r, const struct study *study, FILE *out)
{
	fprintf(out, "No point of %u satisfies ", r->considered);
	put_constraints(study, out);
	fputs(".\n", out);
	for (unsigned n = 0; n < r->nearests; n++) {
		const struct study_point *point = &study->point[r->nearest[n]];
		fputs(n ? "Then " : "Nearest is ", out);
		put_point(study, r->nearest[n], out);
		fputs(", which misses", out);
		for (unsigned i = 0, missed = 0; i < study->constraints; i++) {
			const struct study_constraint *c = &study->constraint[i];
			if (check_constraint(point, c) != CHECK_BROKEN)
				continue;
			fprintf(out, "%s %s %s ", missed++ ? " and" : "", study->metric[c->metric].name,
				c->at_most ? "<=" : ">=");
			put_number(c->bound, out);
			fputs(" with ", out);
			put_number(point->estimate[c->metric].mean, out);
		}
		fputs(".\n", out);
	}
}

static void put_left_out(const struct recommendation *r, const struct study *study, FILE *out)
{
	unsigned left = study->points - r->considered;
	if (left)
		fprintf(out,
			"%u %s not considered: a run of it failed, is missing, or gave no such figure.\n",
			left, plural(left, "point was", "points were"));
}

void recommendation_print(const struct recommendation *r, const struct study *study, FILE *out)
{
	switch (r->verdict) {
	case VERDICT_NO_OBJECTIVE:
		fputs("Nothing is recommended: the specification has no [objective].\n", out);
		return;
	case VERDICT_NO_FIGURES:
		fprintf(out, "Nothing can be recommended: no point has all its runs and %s.\n",
			study->metric[study->objective].name);
		return;
	case VERDICT_NONE: put_none(r, study, out); break;
	case VERDICT_ONLY:
	case VERDICT_ONE_SEED:
	case VERDICT_TIED:
	case VERDICT_BEST:
		put_best(r, study, out);
		put_certainty(r, study, out);
		put_unsure_constraints(r, study, out);
		put_baseline(r, study, out);
		break;
	}
	put_left_out(r, study, out);
}
