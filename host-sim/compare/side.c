#include "host-sim/compare/side.h"

#include "host-sim/sweep/folder.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WHOLE_RUN "all jobs"

/* A file being read. */
struct reading {
	struct side *side;
	const char *path;
	unsigned long line; /* 0: the file is one document */
	long long point;    /* the only one wanted, or -1 */
	uint64_t rows;      /* that were wanted */
	char *error;
	size_t error_size;
};

static int fail(struct reading *r, const char *format, ...) PRINTF_LIKE(2, 3);

static int fail(struct reading *r, const char *format, ...)
{
	char text[600], place[32] = "";
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (r->line)
		snprintf(place, sizeof(place), ":%lu", r->line);
	snprintf(r->error, r->error_size, "%s%s: %s", r->path, place, text);
	return -1;
}

/* ---- figures of a run ---- */

static bool has_subject(const struct repeat *repeat, const char *name)
{
	for (unsigned i = 0; i < repeat->subjects; i++)
		if (strcmp(repeat->subject[i].name, name) == 0)
			return true;
	return false;
}

/* Clones that are reported apart have one name: the second is NAME.2, and so on. */
static struct subject *add_subject(struct repeat *repeat, const char *job, const char *direction)
{
	char name[400];
	snprintf(name, sizeof(name), "%.300s %s", job, direction);
	for (unsigned i = 2; has_subject(repeat, name); i++)
		snprintf(name, sizeof(name), "%.300s.%u %s", job, i, direction);
	struct subject *list = reallocarray(repeat->subject, repeat->subjects + 1, sizeof(*list));
	ASSERT(list); /* a few hundred bytes for each run that is in memory as JSON */
	repeat->subject = list;
	struct subject *subject = &list[repeat->subjects++];
	subject->name = strdup(*direction ? name : job);
	ASSERT(subject->name);
	for (unsigned i = 0; i < METRICS; i++)
		subject->value[i] = NAN;
	return subject;
}

static double percentile(const json_t *direction, const char *key, bool *completion)
{
	char path[60];
	snprintf(path, sizeof(path), "lat_ns/percentile/%s", key);
	double value = metric_number(direction, path);
	if (!isnan(value))
		return value / 1000;
	snprintf(path, sizeof(path), "clat_ns/percentile/%s", key);
	value = metric_number(direction, path);
	*completion |= !isnan(value);
	return value / 1000;
}

static void add_direction(struct repeat *repeat, const char *job, const json_t *figures, const char *name)
{
	bool *completion = &repeat->completion_percentiles;
	if (!(metric_number(figures, "total_ios") > 0))
		return;
	double *value = add_subject(repeat, job, name)->value;
	value[METRIC_IOPS] = metric_number(figures, "iops");
	value[METRIC_MBYTES_PER_S] = metric_number(figures, "bw_bytes") / 1e6;
	value[METRIC_MEAN_US] = metric_number(figures, "lat_ns/mean") / 1000;
	value[METRIC_MAX_US] = metric_number(figures, "lat_ns/max") / 1000;
	value[METRIC_P50_US] = percentile(figures, "50.000000", completion);
	value[METRIC_P90_US] = percentile(figures, "90.000000", completion);
	value[METRIC_P99_US] = percentile(figures, "99.000000", completion);
	value[METRIC_P99_9_US] = percentile(figures, "99.900000", completion);
}

static void add_jobs(struct repeat *repeat, const json_t *run)
{
	static const char *const directions[] = {"read", "write", "trim"};
	const json_t *job;
	size_t i;
	json_array_foreach(json_object_get(run, "jobs"), i, job)
	{
		const char *name = json_string_value(json_object_get(job, "jobname"));
		for (size_t d = 0; d < ARRAY_SIZE(directions); d++)
			add_direction(repeat, name ? name : "", json_object_get(job, directions[d]),
				      directions[d]);
	}
	/* The only one is the whole run, whose figures are there already. */
	if (repeat->subjects == 2) {
		free(repeat->subject[1].name);
		repeat->subjects = 1;
		repeat->completion_percentiles = false;
	}
}

static void take_figures(struct repeat *repeat, const json_t *run)
{
	metrics_of(run, add_subject(repeat, WHOLE_RUN, "")->value);
	add_jobs(repeat, run);
}

/* ---- configuration ---- */

static void put_text(json_t *config, const char *key, const json_t *value)
{
	char *number =
		json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	json_object_set_new(config, key, json_string(number ? number : json_string_value(value)));
	free(number);
}

static void put_all(json_t *config, const char *prefix, json_t *object)
{
	const char *key;
	json_t *value;
	json_object_foreach(object, key, value)
	{
		char name[700];
		snprintf(name, sizeof(name), "%.400s%s%.200s", prefix, *prefix ? "." : "", key);
		put_text(config, name, value);
	}
}

/* A document has sections with keys, a row "section.key". */
static json_t *config_of(json_t *given, const json_t *run)
{
	json_t *config = json_object(), *value;
	const json_t *job;
	const char *key;
	size_t i;
	json_object_foreach(given, key, value)
	{
		if (json_is_object(value))
			put_all(config, key, value);
		else
			put_text(config, key, value);
	}
	put_all(config, "job", json_object_get(run, "global options"));
	json_array_foreach(json_object_get(run, "jobs"), i, job)
	{
		char name[400];
		const char *text = json_string_value(json_object_get(job, "jobname"));
		snprintf(name, sizeof(name), "job[%.300s]", text ? text : "");
		put_all(config, name, json_object_get(job, "job options"));
	}
	json_object_del(config, "sim.seed");
	return config;
}

/* ---- cases ---- */

static struct compared_case *case_of(struct side *side, const char *label)
{
	/* Rows of a point follow each other, so it is looked for from the end. */
	for (unsigned i = side->count; i-- > 0;)
		if (strcmp(side->item[i].label, label) == 0)
			return &side->item[i];
	struct compared_case *list = reallocarray(side->item, side->count + 1, sizeof(*list));
	ASSERT(list);
	side->item = list;
	list[side->count] = (struct compared_case){.label = strdup(label)};
	ASSERT(list[side->count].label);
	return &list[side->count++];
}

static bool has_seed(const struct compared_case *item, uint64_t seed)
{
	for (unsigned i = 0; i < item->repeats; i++)
		if (item->repeat[i].seed == seed)
			return true;
	return false;
}

/* A key in which two configurations differ, or NULL. */
static const char *difference(json_t *a, json_t *b)
{
	const char *key;
	json_t *value;
	json_object_foreach(a, key, value)
	{
		if (!json_equal(value, json_object_get(b, key)))
			return key;
	}
	json_object_foreach(b, key, value)
	{
		if (!json_object_get(a, key))
			return key;
	}
	return NULL;
}

/* Takes over `config`. */
static int add_repeat(struct reading *r, struct compared_case *item, uint64_t seed, json_t *config,
		      const json_t *run)
{
	const char *key = item->config ? difference(item->config, config) : NULL;
	if (key) {
		int bad = fail(r,
			       "differs from the runs before it in %.200s; runs of one side differ in "
			       "sim.seed alone",
			       key);
		json_decref(config);
		return bad;
	}
	if (item->config)
		json_decref(config);
	else
		item->config = config;
	struct repeat *list = reallocarray(item->repeat, item->repeats + 1, sizeof(*list));
	ASSERT(list);
	item->repeat = list;
	list[item->repeats] = (struct repeat){.seed = seed};
	take_figures(&list[item->repeats++], run);
	return 0;
}

/* ---- files ---- */

static int add_document(struct reading *r, json_t *document)
{
	json_t *program = json_object_get(document, "kickstand");
	uint64_t seed = (uint64_t)json_integer_value(json_object_get(program, "seed"));
	if (!json_is_object(json_object_get(document, "total")) || !program)
		return fail(r, "no results of a run of this version; give what `kickstand run --json` wrote");
	if (json_is_true(json_object_get(json_object_get(document, "sim"), "interrupted")))
		return fail(r, "the run was interrupted, its figures are of a part of the job; run it again");
	struct compared_case *item = case_of(r->side, "");
	if (has_seed(item, seed))
		return fail(r,
			    "seed %" PRIu64 " is on this side already; the same run twice is no more certain",
			    seed);
	json_t *config = json_deep_copy(json_object_get(program, "config"));
	json_object_set(config, "disk", json_object_get(program, "disk"));
	json_object_set(config, "version", json_object_get(program, "version"));
	json_t *flat = config_of(config, document);
	json_decref(config);
	return add_repeat(r, item, seed, flat, document);
}

static void label_of(const json_t *row, char *label, size_t size)
{
	size_t length = 0;
	const char *key, *role = json_string_value(json_object_get(row, "role"));
	json_t *value;
	snprintf(label, size, "%s", role && strcmp(role, "baseline") == 0 ? "baseline" : "the only point");
	if (role && strcmp(role, "baseline") == 0)
		return;
	json_object_foreach(json_object_get(row, "axes"), key, value)
	{
		char *number = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
		if (length < size)
			length +=
				(size_t)snprintf(label + length, size - length, "%s%s=%s", length ? " " : "",
						 key, number ? number : json_string_value(value));
		free(number);
	}
}

static int add_row(struct reading *r, json_t *row)
{
	json_t *run = json_object_get(row, "run"), *point = json_object_get(row, "point");
	if (!json_is_integer(point) || !run)
		return fail(r, "not a row of a sweep; give results.jsonl of `kickstand sweep`");
	if (r->point >= 0 && json_integer_value(point) != r->point)
		return 0;
	r->rows++;
	if (json_integer_value(json_object_get(row, "status")) != 0) {
		r->side->left_out++;
		return 0;
	}
	char label[1000] = "";
	uint64_t seed = (uint64_t)json_integer_value(json_object_get(row, "seed"));
	if (r->point < 0)
		label_of(row, label, sizeof(label));
	struct compared_case *item = case_of(r->side, label);
	/* Points may be the same (values drawn twice), and so are their runs. */
	if (has_seed(item, seed))
		return 0;
	return add_repeat(r, item, seed, config_of(json_object_get(row, "config"), run), run);
}

static int add_rows(struct reading *r, FILE *in)
{
	char *line = NULL;
	size_t size = 0;
	int bad = 0;
	while (!bad && getline(&line, &size, in) > 0) {
		json_error_t error;
		json_t *row = json_loads(line, 0, &error);
		r->line++;
		bad = row ? add_row(r, row) : fail(r, "no JSON: %s", error.text);
		json_decref(row);
	}
	free(line);
	r->line = 0;
	if (!bad && r->rows == 0)
		return r->point < 0 ? fail(r, "no rows; start the sweep again")
				    : fail(r, "no point %lld; its rows have the numbers", r->point);
	return bad;
}

/* Rows stand one a line: then the first line is an object with a point. */
static bool begins_with_row(FILE *in)
{
	char *line = NULL;
	size_t size = 0;
	json_t *row = getline(&line, &size, in) > 0 ? json_loads(line, 0, NULL) : NULL;
	bool is_row = json_object_get(row, "point") != NULL;
	json_decref(row);
	free(line);
	rewind(in);
	return is_row;
}

static int add_open(struct reading *r, FILE *in)
{
	json_error_t error;
	if (r->point >= 0 || begins_with_row(in))
		return add_rows(r, in);
	json_t *document = json_loadf(in, 0, &error);
	if (!document)
		return fail(r, "line %d: no JSON: %s", error.line, error.text);
	int bad = add_document(r, document);
	json_decref(document);
	return bad;
}

/* "FILE#N", unless there is a file of that whole name. */
static long long cut_point(char *path)
{
	struct stat status;
	char *mark = strrchr(path, '#'), *end;
	if (!mark || stat(path, &status) == 0)
		return -1;
	long long point = strtoll(mark + 1, &end, 10);
	if (mark[1] < '0' || mark[1] > '9' || *end)
		return -1;
	*mark = '\0';
	return point;
}

int side_add(struct side *side, const char *path, char *error, size_t error_size)
{
	struct reading r = {.side = side, .path = path, .error = error, .error_size = error_size};
	char name[FOLDER_PATH_MAX], file[FOLDER_PATH_MAX + 16];
	struct stat status;
	snprintf(name, sizeof(name), "%s", path);
	r.point = cut_point(name);
	bool folder = stat(name, &status) == 0 && S_ISDIR(status.st_mode);
	snprintf(file, sizeof(file), "%s%s", name, folder ? "/results.jsonl" : "");
	FILE *in = fopen(file, "r");
	if (!in)
		return fail(&r, "cannot read: %s", strerror(errno));
	int bad = add_open(&r, in);
	fclose(in);
	return bad;
}

const struct compared_case *side_find(const struct side *side, const char *label, unsigned guess)
{
	if (guess < side->count && strcmp(side->item[guess].label, label) == 0)
		return &side->item[guess];
	for (unsigned i = 0; i < side->count; i++)
		if (strcmp(side->item[i].label, label) == 0)
			return &side->item[i];
	return NULL;
}

static void free_repeat(struct repeat *repeat)
{
	for (unsigned i = 0; i < repeat->subjects; i++)
		free(repeat->subject[i].name);
	free(repeat->subject);
}

void side_free(struct side *side)
{
	for (unsigned i = 0; i < side->count; i++) {
		struct compared_case *item = &side->item[i];
		for (unsigned j = 0; j < item->repeats; j++)
			free_repeat(&item->repeat[j]);
		free(item->repeat);
		free(item->label);
		json_decref(item->config);
	}
	free(side->item);
	*side = (struct side){0};
}
