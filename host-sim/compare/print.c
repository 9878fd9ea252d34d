/* What a comparison says, for persons and for machines. */
#include "host-sim/compare/compare.h"

#include <math.h>
#include <string.h>

/* ---- for persons ---- */

/* Four digits, as far as they mean something. */
static const char *short_number(double value, char text[24])
{
	double size = fabs(value);
	int decimals = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4;
	snprintf(text, 24, "%.*f", decimals, value);
	return text;
}

static double percent(double part, double of)
{
	return of != 0 ? 100 * part / fabs(of) : part != 0 ? INFINITY : 0;
}

static const char *verdict(const struct change *change)
{
	static const char *const known[] = {"worse", "differs", "better"};
	static const char *const maybe[] = {"worse?", "differs", "better?"};
	int direction = change_direction(change) + 1;
	if (change->past_limit)
		return "PAST ITS LIMIT";
	if (change->change == 0)
		return "same";
	if (isnan(change->p))
		return maybe[direction];
	return change->significant ? known[direction] : "not significant";
}

static void print_change(const struct change *change, FILE *out)
{
	char a[24], b[24], relative[24] = "", interval[40] = "", p[24] = "";
	const struct metric *metric = &metrics[change->metric];
	double part = percent(change->change, change->a_mean);
	snprintf(relative, sizeof(relative), isinf(part) ? "new" : "%+.2f %%", part);
	if (!isnan(change->low) && change->a_mean != 0)
		snprintf(interval, sizeof(interval), "%+.2f..%+.2f %%", percent(change->low, change->a_mean),
			 percent(change->high, change->a_mean));
	if (!isnan(change->p_holm))
		snprintf(p, sizeof(p), change->p_holm < 0.0001 ? "<0.0001" : "%.4f", change->p_holm);
	fprintf(out, "  %-22s %-7s %12s %12s %11s %20s %8s  %s\n", metric->name, metric->unit,
		short_number(change->a_mean, a), short_number(change->b_mean, b), relative, interval, p,
		verdict(change));
}

static void print_keys(const struct comparison *comparison, FILE *out)
{
	if (comparison->keys == 0) {
		fprintf(out, "configuration: no difference\n\n");
		return;
	}
	fprintf(out, "configuration\n");
	for (unsigned i = 0; i < comparison->keys; i++) {
		const struct key_change *key = &comparison->key[i];
		fprintf(out, "  %-40s %s -> %s", key->key, key->a ? key->a : "(none)",
			key->b ? key->b : "(none)");
		if (comparison->cases > 1)
			fprintf(out, "   in %u of %u points", key->cases, comparison->cases);
		fputc('\n', out);
	}
	fputc('\n', out);
}

static bool is_shown(const struct comparison *comparison, const struct change *change)
{
	return comparison->cases == 1 || change->significant || change->past_limit;
}

static void print_heading(const struct change *change, FILE *out)
{
	char a[24], b[24];
	snprintf(a, sizeof(a), "a (n=%u)", change->a_count);
	snprintf(b, sizeof(b), "b (n=%u)", change->b_count);
	if (*change->of->label)
		fprintf(out, "%s\n", change->of->label);
	fprintf(out, "%-32s %12s %12s %11s %20s %8s\n", change->subject, a, b, "change", "interval", "p");
}

static void print_changes(const struct comparison *comparison, FILE *out)
{
	const struct change *previous = NULL;
	for (unsigned i = 0; i < comparison->changes; i++) {
		const struct change *change = &comparison->change[i];
		if (!is_shown(comparison, change))
			continue;
		if (!previous || previous->of != change->of ||
		    strcmp(previous->subject, change->subject) != 0)
			print_heading(change, out);
		print_change(change, out);
		previous = change;
	}
	if (previous)
		fputc('\n', out);
}

/* Of a rank test: all of a before all of b, or behind. */
static double smallest_p(const struct comparison *comparison)
{
	double least = 1;
	for (unsigned i = 0; i < comparison->changes; i++) {
		const struct change *change = &comparison->change[i];
		double orders = 1;
		for (unsigned j = 1; j <= change->a_count; j++)
			orders *= (double)(change->b_count + j) / j;
		least = fmin(least, isnan(change->p) ? 1 : 2 / orders);
	}
	return least;
}

static void print_notes(const struct comparison *comparison, const struct compare_options *options, FILE *out)
{
	unsigned tests = comparison->tests + comparison->limit_tests;
	if (tests != 0) {
		fprintf(out, "%u %s tests (two-sided), p corrected by Holm's method", tests,
			options->test == TEST_WELCH ? "Welch's t" : "Mann-Whitney");
		if (comparison->limit_tests != 0 && comparison->tests != 0)
			fprintf(out, " over the %u with a limit and over the %u others",
				comparison->limit_tests, comparison->tests);
		fprintf(out, ": significant below %g; intervals hold with %g %%, each by itself\n",
			options->alpha, 100 * (1 - options->alpha));
	}
	if (comparison->few_seeds)
		fprintf(out,
			"one run on a side: whether a change is more than chance needs several seeds on both "
			"(--a, --b, or a sweep with repeats)\n");
	if (tests != 0 && options->test == TEST_MANN_WHITNEY && smallest_p(comparison) >= options->alpha)
		fprintf(out, "with so few seeds no rank test can be significant: its p is at least %.2g\n",
			smallest_p(comparison));
	if (comparison->completion_percentiles)
		fprintf(out,
			"percentiles of single jobs are without submission (fio's clat), unless the jobs "
			"have lat_percentiles=1\n");
	if (comparison->cases > 1)
		fprintf(out, "%u points compared, shown is what is significant or past a limit\n",
			comparison->cases);
	if (comparison->only_a != 0 || comparison->only_b != 0)
		fprintf(out, "not compared: %u points that only a has, %u that only b has\n",
			comparison->only_a, comparison->only_b);
	if (comparison->past_limits != 0)
		fprintf(out, "%u %s past its limit\n", comparison->past_limits,
			comparison->past_limits == 1 ? "figure is" : "figures are");
}

void comparison_print(const struct comparison *comparison, const struct compare_options *options, FILE *out)
{
	print_keys(comparison, out);
	print_changes(comparison, out);
	print_notes(comparison, options, out);
}

/* ---- for machines ---- */

static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *side_json(double mean, unsigned count)
{
	return json_pack("{s:o, s:i}", "mean", number(mean), "seeds", (int)count);
}

static json_t *change_json(const struct change *change)
{
	static const char *const words[] = {"worse", "neither", "better"};
	json_t *object = json_object();
	json_object_set_new(object, "point", json_string(change->of->label));
	json_object_set_new(object, "subject", json_string(change->subject));
	json_object_set_new(object, "metric", json_string(metrics[change->metric].name));
	json_object_set_new(object, "unit", json_string(metrics[change->metric].unit));
	json_object_set_new(object, "a", side_json(change->a_mean, change->a_count));
	json_object_set_new(object, "b", side_json(change->b_mean, change->b_count));
	json_object_set_new(object, "change", number(change->change));
	json_object_set_new(object, "change_percent", number(percent(change->change, change->a_mean)));
	json_object_set_new(object, "low", number(change->low));
	json_object_set_new(object, "high", number(change->high));
	json_object_set_new(object, "p", number(change->p));
	json_object_set_new(object, "p_holm", number(change->p_holm));
	json_object_set_new(object, "significant", json_boolean(change->significant));
	json_object_set_new(object, "direction", json_string(words[change_direction(change) + 1]));
	json_object_set_new(object, "past_limit", json_boolean(change->past_limit));
	return object;
}

static json_t *key_json(const struct key_change *key)
{
	json_t *object = json_object();
	json_object_set_new(object, "key", json_string(key->key));
	json_object_set_new(object, "a", key->a ? json_string(key->a) : json_null());
	json_object_set_new(object, "b", key->b ? json_string(key->b) : json_null());
	json_object_set_new(object, "points", json_integer(key->cases));
	return object;
}

json_t *comparison_json(const struct comparison *comparison)
{
	json_t *root = json_object(), *changes = json_array(), *keys = json_array();
	for (unsigned i = 0; i < comparison->keys; i++)
		json_array_append_new(keys, key_json(&comparison->key[i]));
	for (unsigned i = 0; i < comparison->changes; i++)
		json_array_append_new(changes, change_json(&comparison->change[i]));
	json_object_set_new(root, "points", json_integer(comparison->cases));
	json_object_set_new(root, "only_a", json_integer(comparison->only_a));
	json_object_set_new(root, "only_b", json_integer(comparison->only_b));
	json_object_set_new(root, "tests", json_integer(comparison->tests));
	json_object_set_new(root, "tests_with_limit", json_integer(comparison->limit_tests));
	json_object_set_new(root, "past_limits", json_integer(comparison->past_limits));
	json_object_set_new(root, "configuration", keys);
	json_object_set_new(root, "changes", changes);
	return root;
}
