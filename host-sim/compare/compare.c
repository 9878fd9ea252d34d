#include "host-sim/compare/compare.h"

#include "host-sim/compare/significance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Less than this is rounding: figures are sums of doubles. */
#define ROUNDING 1e-12

struct comparing {
	struct comparison *result;
	const struct compare_options *options;
	double *a, *b; /* room for a figure's samples */
};

/* ---- keys ---- */

static void add_key(struct comparison *result, const char *key, const json_t *a, const json_t *b)
{
	for (unsigned i = 0; i < result->keys; i++) {
		if (strcmp(result->key[i].key, key) == 0) {
			result->key[i].cases++;
			return;
		}
	}
	struct key_change *list = reallocarray(result->key, result->keys + 1, sizeof(*list));
	ASSERT(list);
	result->key = list;
	list[result->keys++] = (struct key_change){
		.key = key, .a = json_string_value(a), .b = json_string_value(b), .cases = 1};
}

static void compare_keys(struct comparison *result, json_t *a, json_t *b)
{
	const char *key;
	json_t *value;
	json_object_foreach(a, key, value)
	{
		const json_t *other = json_object_get(b, key);
		if (!json_equal(value, other))
			add_key(result, key, value, other);
	}
	json_object_foreach(b, key, value)
	{
		if (!json_object_get(a, key))
			add_key(result, key, NULL, value);
	}
}

/* ---- figures ---- */

static unsigned samples_of(const struct compared_case *item, const char *subject, enum metric_id metric,
			   double *sample)
{
	unsigned count = 0;
	for (unsigned i = 0; i < item->repeats; i++) {
		const struct repeat *repeat = &item->repeat[i];
		for (unsigned j = 0; j < repeat->subjects; j++)
			if (strcmp(repeat->subject[j].name, subject) == 0 &&
			    !isnan(repeat->subject[j].value[metric]))
				sample[count++] = repeat->subject[j].value[metric];
	}
	return count;
}

static double mean_of(const double *value, unsigned count)
{
	double sum = 0;
	for (unsigned i = 0; i < count; i++)
		sum += value[i];
	return sum / count;
}

static struct sample take_sample(const struct compared_case *item, const char *subject, enum metric_id metric,
				 double *room)
{
	struct sample sample = {.value = room, .count = samples_of(item, subject, metric, room)};
	if (metrics[metric].rounded)
		sample.rounding = METRIC_RESOLUTION * mean_of(room, sample.count);
	return sample;
}

static struct change *new_change(struct comparison *result)
{
	struct change *list = reallocarray(result->change, result->changes + 1, sizeof(*list));
	ASSERT(list);
	result->change = list;
	return &list[result->changes++];
}

static void add_change(struct comparing *c, const struct compared_case *a, const struct compared_case *b,
		       const char *subject, enum metric_id metric)
{
	struct sample of_a = take_sample(a, subject, metric, c->a);
	struct sample of_b = take_sample(b, subject, metric, c->b);
	if (of_a.count == 0 || of_b.count == 0)
		return;
	struct welch test = welch(of_a, of_b, 1 - c->options->alpha);
	struct change *change = new_change(c->result);
	*change = (struct change){.of = a,
				  .subject = subject,
				  .metric = metric,
				  .a_count = of_a.count,
				  .b_count = of_b.count,
				  .a_mean = mean_of(c->a, of_a.count),
				  .b_mean = mean_of(c->b, of_b.count),
				  .change = test.change,
				  .low = test.low,
				  .high = test.high,
				  .p = test.p,
				  .certain = !isnan(test.p) && isnan(test.freedom)};
	if (fabs(change->change) <= ROUNDING * fmax(fabs(change->a_mean), fabs(change->b_mean)))
		change->change = 0;
	if (c->options->test == TEST_MANN_WHITNEY && !isnan(test.p) && !change->certain)
		change->p = mann_whitney(of_a, of_b);
	change->p_holm = change->p;
	c->result->few_seeds |= isnan(change->p);
}

static void compare_case(struct comparing *c, const struct compared_case *a, const struct compared_case *b)
{
	c->a = calloc(a->repeats, sizeof(*c->a));
	c->b = calloc(b->repeats, sizeof(*c->b));
	ASSERT(c->a && c->b);
	const struct repeat *first = &a->repeat[0];
	for (unsigned i = 0; i < first->subjects; i++)
		for (unsigned metric = 0; metric < METRICS; metric++)
			add_change(c, a, b, first->subject[i].name, (enum metric_id)metric);
	c->result->completion_percentiles |= first->completion_percentiles;
	compare_keys(c->result, a->config, b->config);
	free(c->a);
	free(c->b);
}

/* ---- verdicts ---- */

static bool in_family(const struct comparing *c, const struct change *change, bool limited)
{
	return c->options->limit[change->metric].set == limited && !isnan(change->p) && !change->certain;
}

/* Corrects the p of the figures with a limit, or of those without: two families, so that a gate on one figure does not
 * become blunt by all the others that are shown. Returns how many tests it has. */
static unsigned correct_family(const struct comparing *c, bool limited)
{
	struct comparison *result = c->result;
	double *p = calloc(result->changes + 1u, sizeof(*p));
	unsigned count = 0, next = 0;
	ASSERT(p);
	for (unsigned i = 0; i < result->changes; i++)
		if (in_family(c, &result->change[i], limited))
			p[count++] = result->change[i].p;
	holm(p, count);
	for (unsigned i = 0; i < result->changes; i++)
		if (in_family(c, &result->change[i], limited))
			result->change[i].p_holm = p[next++];
	free(p);
	return count;
}

/* A percentile that moved by a step of its histogram may have moved by nothing. */
static bool is_rounding(const struct change *change)
{
	double step = METRIC_RESOLUTION * fmax(fabs(change->a_mean), fabs(change->b_mean));
	return metrics[change->metric].rounded && fabs(change->change) <= step;
}

/* Without seeds to tell chance from change, the change itself counts. */
static bool is_past(const struct change *change, const struct limit *limit)
{
	double worse = -metrics[change->metric].better * change->change;
	double most = limit->relative ? limit->value * fabs(change->a_mean) : limit->value;
	return limit->set && worse > most && !is_rounding(change) &&
	       (isnan(change->p) || change->significant);
}

static void judge(const struct comparing *c)
{
	struct comparison *result = c->result;
	result->tests = correct_family(c, false);
	result->limit_tests = correct_family(c, true);
	for (unsigned i = 0; i < result->changes; i++) {
		struct change *change = &result->change[i];
		change->significant =
			change->p_holm < c->options->alpha && change->change != 0 && !is_rounding(change);
		change->past_limit = is_past(change, &c->options->limit[change->metric]);
		result->past_limits += change->past_limit;
	}
}

int change_direction(const struct change *change)
{
	int better = metrics[change->metric].better;
	bool known = isnan(change->p) ? change->change != 0 : change->significant;
	return !known ? 0 : change->change > 0 ? better : -better;
}

static int check_limits(const struct comparing *c, char *error, size_t error_size)
{
	bool seen[METRICS] = {false};
	for (unsigned i = 0; i < c->result->changes; i++)
		seen[c->result->change[i].metric] = true;
	for (unsigned i = 0; i < METRICS; i++) {
		if (c->options->limit[i].set && !seen[i]) {
			snprintf(error, error_size,
				 "--max-regression: %s is not in these results on both sides; leave it out",
				 metrics[i].name);
			return -1;
		}
	}
	return 0;
}

int compare_sides(struct comparison *comparison, const struct side *a, const struct side *b,
		  const struct compare_options *options, char *error, size_t error_size)
{
	struct comparing c = {.result = comparison, .options = options};
	*comparison = (struct comparison){0};
	for (unsigned i = 0; i < a->count; i++) {
		const struct compared_case *other = side_find(b, a->item[i].label, i);
		if (other) {
			compare_case(&c, &a->item[i], other);
			comparison->cases++;
		} else {
			comparison->only_a++;
		}
	}
	comparison->only_b = b->count - comparison->cases;
	if (comparison->changes == 0) {
		snprintf(
			error, error_size,
			"nothing stands on both sides: the sweeps have no point with the same values (FILE#N "
			"picks a point)");
		return -1;
	}
	judge(&c);
	return check_limits(&c, error, error_size);
}

void comparison_free(struct comparison *comparison)
{
	free(comparison->change);
	free(comparison->key);
	*comparison = (struct comparison){0};
}
