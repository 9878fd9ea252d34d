#include "host-sim/sweep/study.h"

#include "host-sim/stages.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 40

/* What is being read, and where its troubles are told. */
struct reading {
	struct study *study;
	const char *folder, *file;
	unsigned long line;
	char *error;
	size_t error_size;
	unsigned room; /* points that study->point has room for */
};

static int fail(struct reading *r, const char *format, ...) PRINTF_LIKE(2, 3);

static int fail(struct reading *r, const char *format, ...)
{
	char reason[300], place[32] = "";
	va_list args;
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	if (r->line)
		snprintf(place, sizeof(place), ":%lu", r->line);
	snprintf(r->error, r->error_size, "%s/%s%s: %s", r->folder, r->file, place, reason);
	return -1;
}

static int out_of_memory(struct reading *r)
{
	return fail(r, "out of memory");
}

/* The file is the program's own work, but may come from another version of it, or through an editor. */
static int not_ours(struct reading *r, const char *what)
{
	return fail(r, "no %s; is it written by `kickstand sweep`? Run the sweep again", what);
}

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

/* ---- sweep.json ---- */

static int better_of(const char *text)
{
	return strcmp(text, "more") == 0 ? 1 : strcmp(text, "less") == 0 ? -1 : 0;
}

static int read_metrics(struct reading *r)
{
	struct study *study = r->study;
	const json_t *list = json_object_get(study->sweep, "metrics"), *item;
	size_t i, own = json_array_size(list);
	if (own == 0)
		return not_ours(r, "metrics");
	study->metric = calloc(own + SPAN_COUNT, sizeof(*study->metric));
	if (!study->metric)
		return out_of_memory(r);
	json_array_foreach(list, i, item)
	{
		study->metric[i] = (struct study_metric){
			.name = text_at(item, "name"),
			.unit = text_at(item, "unit"),
			.meaning = text_at(item, "meaning"),
			.better = better_of(text_at(item, "better")),
		};
	}
	for (unsigned s = 0; s < SPAN_COUNT; s++)
		study->metric[own + s] = (struct study_metric){.name = span_name((enum span)s),
							       .unit = "ns",
							       .meaning = span_meaning((enum span)s),
							       .stage = true};
	study->metrics = (unsigned)own + SPAN_COUNT;
	return 0;
}

static unsigned metric_named(const struct study *study, const char *name)
{
	for (unsigned i = 0; i < study->metrics && name; i++)
		if (!study->metric[i].stage && strcmp(study->metric[i].name, name) == 0)
			return i;
	return STUDY_NONE;
}

/* The text of a value: rows have numbers as numbers. */
static json_t *value_text(const json_t *value)
{
	char number[NUMBER_MAX];
	if (json_is_string(value))
		return json_string(json_string_value(value));
	if (json_is_integer(value))
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		snprintf(number, sizeof(number), "%.15g", json_real_value(value));
	else
		snprintf(number, sizeof(number), "%s", json_is_true(value) ? "true" : "(none)");
	return json_string(number);
}

static bool varies_job(const json_t *item)
{
	const json_t *key;
	size_t i;
	json_array_foreach(json_object_get(item, "keys"), i, key)
	{
		const char *name = json_string_value(key);
		if (name && (strcmp(name, "job") == 0 || strncmp(name, "job.", 4) == 0))
			return true;
	}
	return false;
}

static int read_axes(struct reading *r)
{
	struct study *study = r->study;
	const json_t *list = json_object_get(study->sweep, "axes"), *item, *value;
	size_t i, v;
	study->axis = calloc(json_array_size(list) + 1, sizeof(*study->axis));
	if (!study->axis)
		return out_of_memory(r);
	json_array_foreach(list, i, item)
	{
		struct study_axis *axis = &study->axis[study->axes++];
		axis->name = text_at(item, "name");
		axis->load = varies_job(item);
		axis->values = json_array();
		json_array_foreach(json_object_get(item, "values"), v, value)
		{
			json_array_append_new(axis->values, value_text(value));
		}
	}
	return 0;
}

static int read_constraints(struct reading *r)
{
	struct study *study = r->study;
	const json_t *list = json_object_get(study->sweep, "constraints"), *item;
	size_t i;
	study->constraint = calloc(json_array_size(list) + 1, sizeof(*study->constraint));
	if (!study->constraint)
		return out_of_memory(r);
	json_array_foreach(list, i, item)
	{
		struct study_constraint *constraint = &study->constraint[study->constraints++];
		constraint->metric = metric_named(study, text_at(item, "metric"));
		constraint->at_most = strcmp(text_at(item, "op"), "<=") == 0;
		constraint->bound = json_number_value(json_object_get(item, "value"));
		if (constraint->metric == STUDY_NONE)
			return not_ours(r, "metric of a constraint");
	}
	const json_t *objective = json_object_get(study->sweep, "objective");
	study->objective = metric_named(study, json_string_value(json_object_get(objective, "metric")));
	study->maximise = strncmp(text_at(objective, "goal"), "max", 3) == 0;
	return 0;
}

static int read_sweep(struct reading *r)
{
	char path[4096];
	json_error_t error;
	r->file = "sweep.json";
	snprintf(path, sizeof(path), "%s/%s", r->folder, r->file);
	r->study->sweep = json_load_file(path, 0, &error);
	if (!r->study->sweep)
		return fail(r, "%s; `kickstand sweep SPEC --out DIR` makes it", error.text);
	r->study->seeds = (unsigned)json_array_size(json_object_get(r->study->sweep, "seeds"));
	if (r->study->seeds == 0)
		return not_ours(r, "seeds");
	return read_metrics(r) != 0 || read_axes(r) != 0 ? -1 : read_constraints(r);
}

/* ---- results.jsonl ---- */

/* Base values come from the configuration: 2048 there may be 2048.0 in the specification. */
static bool same_value(const char *a, const char *b)
{
	char *a_end, *b_end;
	double a_number = strtod(a, &a_end), b_number = strtod(b, &b_end);
	bool numbers = *a && *b && !*a_end && !*b_end;
	return numbers ? a_number == b_number : strcmp(a, b) == 0;
}

/* The index of a row's value among those of the axis; at the base it may be a new one. */
static int index_of_value(struct study_axis *axis, const json_t *row, unsigned *index)
{
	const json_t *level = json_object_get(json_object_get(row, "level"), axis->name), *known;
	size_t i, count = json_array_size(axis->values);
	*index = (unsigned)json_integer_value(level);
	if (json_is_integer(level) && *index < count)
		return 0;
	json_t *text = value_text(json_object_get(json_object_get(row, "axes"), axis->name));
	json_array_foreach(axis->values, i, known)
	{
		if (text && same_value(json_string_value(known), json_string_value(text))) {
			json_decref(text);
			*index = (unsigned)i;
			return 0;
		}
	}
	*index = (unsigned)count;
	return json_array_append_new(axis->values, text);
}

static struct study_point *point_numbered(struct study *study, uint64_t number)
{
	/* Rows of a point follow each other. */
	for (unsigned i = study->points; i-- > 0;)
		if (study->point[i].number == number)
			return &study->point[i];
	return NULL;
}

static int start_point(struct reading *r, const json_t *row, uint64_t number)
{
	struct study *study = r->study;
	size_t values = (size_t)study->metrics * study->seeds;
	if (study->points == STUDY_POINTS_MAX) {
		fail(r, "more than %d points, too many for a report; look at results.csv", STUDY_POINTS_MAX);
		return 1;
	}
	if (study->points == r->room) {
		unsigned room = r->room ? 2 * r->room : 64;
		struct study_point *list = reallocarray(study->point, room, sizeof(*list));
		if (!list)
			return out_of_memory(r);
		study->point = list;
		r->room = room;
	}
	struct study_point *point = &study->point[study->points++];
	*point = (struct study_point){
		.number = number,
		.baseline = strcmp(text_at(row, "role"), "baseline") == 0,
		.at = calloc(study->axes + 1, sizeof(*point->at)),
		.runs = json_array(),
		.value = calloc(values + 1, sizeof(*point->value)),
		.estimate = calloc(study->metrics, sizeof(*point->estimate)),
	};
	if (!point->at || !point->runs || !point->value || !point->estimate)
		return out_of_memory(r);
	for (size_t i = 0; i < values; i++)
		point->value[i] = NAN;
	for (unsigned i = 0; i < study->axes; i++)
		if (index_of_value(&study->axis[i], row, &point->at[i]) != 0)
			return out_of_memory(r);
	return 0;
}

/* A run's figure; whatever is no number is missing. */
static double figure(const struct study_metric *metric, const json_t *row)
{
	const json_t *stages = json_object_get(json_object_get(row, "run"), "stages_ns");
	const json_t *value = metric->stage ? json_object_get(json_object_get(stages, metric->name), "mean")
					    : json_object_get(json_object_get(row, "metrics"), metric->name);
	double number = json_number_value(value);
	return json_is_number(value) && isfinite(number) ? number : NAN;
}

static unsigned index_of_seed(const struct study *study, const json_t *seed)
{
	const json_t *known;
	size_t i;
	json_array_foreach(json_object_get(study->sweep, "seeds"), i, known)
	{
		if (json_equal(known, seed))
			return (unsigned)i;
	}
	return STUDY_NONE;
}

static json_t *run_of(const json_t *row, bool good)
{
	const char *error = json_string_value(json_object_get(row, "error"));
	json_t *run = json_pack("{s:O, s:s, s:s}", "seed", json_object_get(row, "seed"), "command",
				text_at(row, "command"), "id", text_at(row, "id"));
	if (run && !good)
		json_object_set_new(run, "error", json_string(error ? error : "it gave no results"));
	return run;
}

static int add_run(struct reading *r, struct study_point *point, const json_t *row)
{
	const struct study *study = r->study;
	unsigned seed = index_of_seed(study, json_object_get(row, "seed"));
	bool good =
		json_is_object(json_object_get(row, "run")) && !json_is_string(json_object_get(row, "error"));
	if (seed == STUDY_NONE)
		return not_ours(r, "seed that sweep.json names");
	if (json_array_size(point->runs) == study->seeds)
		return fail(r, "more runs of a point than seeds; run the sweep again");
	if (json_array_append_new(point->runs, run_of(row, good)) != 0)
		return out_of_memory(r);
	for (unsigned m = 0; m < study->metrics && good; m++)
		point->value[(size_t)m * study->seeds + seed] = figure(&study->metric[m], row);
	return 0;
}

static int read_row(struct reading *r, const char *line, size_t length)
{
	json_error_t error;
	json_t *row = json_loadb(line, length, 0, &error);
	if (!row)
		return fail(r, "%s; run the sweep again", error.text);
	const json_t *number = json_object_get(row, "point");
	int bad = json_is_integer(number) ? 0 : not_ours(r, "point");
	uint64_t wanted = (uint64_t)json_integer_value(number);
	if (!bad && !point_numbered(r->study, wanted))
		bad = start_point(r, row, wanted);
	if (!bad)
		bad = add_run(r, point_numbered(r->study, wanted), row);
	json_decref(row);
	return bad;
}

static int read_rows(struct reading *r)
{
	char path[4096], *line = NULL;
	size_t size = 0;
	ssize_t length;
	int bad = 0;
	r->file = "results.jsonl";
	snprintf(path, sizeof(path), "%s/%s", r->folder, r->file);
	FILE *in = fopen(path, "r");
	if (!in)
		return fail(r, "%s; `kickstand sweep SPEC --out DIR` makes it", strerror(errno));
	while (!bad && (length = getline(&line, &size, in)) > 0) {
		r->line++;
		bad = read_row(r, line, (size_t)length);
	}
	if (!bad && ferror(in))
		bad = fail(r, "cannot be read: %s", strerror(errno));
	free(line);
	fclose(in);
	r->line = 0;
	return bad == 0 && r->study->points == 0 ? not_ours(r, "rows") : bad;
}

/* ---- when all rows are there ---- */

static void free_point(struct study_point *point)
{
	free(point->at);
	json_decref(point->runs);
	free(point->value);
	free(point->estimate);
}

static const char *run_id(const struct study_point *point)
{
	return text_at(json_array_get(point->runs, 0), "id");
}

/* The base of a sweep is often one of its points once more, with the same commands. One point is kept: the later, whose
 * values are written as in the specification. */
static int join_equal_points(struct study *study)
{
	json_t *known = json_object(); /* id to index */
	unsigned kept = 0;
	int bad = known ? 0 : -1;
	for (unsigned i = 0; i < study->points && !bad; i++) {
		struct study_point point = study->point[i];
		const json_t *same = json_object_get(known, run_id(&point));
		if (same) {
			struct study_point *first = &study->point[json_integer_value(same)];
			point.baseline |= first->baseline;
			free_point(first);
			*first = point;
			study->point[i] = (struct study_point){0};
			continue;
		}
		if (run_id(&point)[0])
			bad = json_object_set_new(known, run_id(&point), json_integer(kept));
		study->point[i] = (struct study_point){0};
		study->point[kept++] = point;
	}
	if (!bad)
		study->points = kept;
	json_decref(known);
	return bad;
}

static void settle_point(const struct study *study, struct study_point *point)
{
	const json_t *run;
	size_t i;
	point->complete = json_array_size(point->runs) == study->seeds;
	json_array_foreach(point->runs, i, run)
	{
		point->complete &= !json_object_get(run, "error");
	}
	for (unsigned m = 0; m < study->metrics; m++)
		point->estimate[m] =
			estimate_mean(study_samples(study, point, m), study->seeds, STUDY_CONFIDENCE);
}

static int settle(struct reading *r)
{
	struct study *study = r->study;
	if (join_equal_points(study) != 0)
		return out_of_memory(r);
	study->baseline = STUDY_NONE;
	for (unsigned i = 0; i < study->points; i++) {
		settle_point(study, &study->point[i]);
		if (study->point[i].baseline)
			study->baseline = i;
	}
	return 0;
}

int study_load(struct study *study, const char *folder, char *error, size_t error_size)
{
	struct reading reading = {.study = study, .folder = folder, .error = error, .error_size = error_size};
	*study = (struct study){0};
	int bad = read_sweep(&reading);
	if (!bad)
		bad = read_rows(&reading);
	if (!bad)
		bad = settle(&reading);
	if (bad)
		study_free(study);
	return bad;
}

void study_free(struct study *study)
{
	for (unsigned i = 0; i < study->points; i++)
		free_point(&study->point[i]);
	for (unsigned i = 0; i < study->axes; i++)
		json_decref(study->axis[i].values);
	free(study->point);
	free(study->axis);
	free(study->metric);
	free(study->constraint);
	json_decref(study->sweep);
	*study = (struct study){0};
}

const char *study_value(const struct study *study, const struct study_point *point, unsigned axis)
{
	return json_string_value(json_array_get(study->axis[axis].values, point->at[axis]));
}

const double *study_samples(const struct study *study, const struct study_point *point, unsigned metric)
{
	return &point->value[(size_t)metric * study->seeds];
}
