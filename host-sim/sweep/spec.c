#include "host-sim/sweep/spec.h"

#include "host-sim/sweep/ini_file.h"
#include "host-sim/workloads/fio_options.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char default_disk[] = "ram:64M";
static const char job_key[] = "job", job_prefix[] = "job.";

/* What is being read, and where in the file. */
struct reading {
	struct sweep_spec *spec;
	const struct ini_file *file;
	struct text_place place;
	struct settings given; /* [set], as written */
	char *config_path;
	unsigned long config_line, design_line, points_line;
	struct axis jobs; /* `job` in [sweep]: an axis if there are several */
};

bool is_job_file(const char *key)
{
	return strcmp(key, job_key) == 0;
}

bool is_job_option(const char *key)
{
	return strncmp(key, job_prefix, strlen(job_prefix)) == 0;
}

static int fail(struct reading *r, const char *format, ...) PRINTF_LIKE(2, 3);

static int fail(struct reading *r, const char *format, ...)
{
	char text[400];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return text_place_fail(&r->place, "%s", text);
}

static int out_of_memory(struct reading *r)
{
	return fail(r, "out of memory");
}

/* Names in the file are relative to it. */
static char *beside(const char *spec_path, const char *name)
{
	const char *slash = strrchr(spec_path, '/');
	int folder = slash && name[0] != '/' ? (int)(slash + 1 - spec_path) : 0;
	char *path;
	return asprintf(&path, "%.*s%s", folder, spec_path, name) < 0 ? NULL : path;
}

static int set_once(struct reading *r, char **text, const char *name, const char *value)
{
	if (*text)
		return fail(r, "'%s' stands twice; remove one", name);
	*text = strdup(value);
	return *text ? 0 : out_of_memory(r);
}

static int parse_count(struct reading *r, const char *text, uint64_t max, uint64_t *value)
{
	char *end;
	errno = 0;
	*value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || *value > max)
		return fail(r, "'%.60s' is not accepted; give a number from 0 to %" PRIu64, text, max);
	return 0;
}

/* ---- [sweep] ---- */

static int set_design(struct reading *r, const struct ini_entry *entry)
{
	static const char *const names[] = {
		[DESIGN_GRID] = "grid", [DESIGN_LHS] = "lhs", [DESIGN_ONE_AT_A_TIME] = "one_at_a_time"};
	if (r->design_line)
		return fail(r, "'design' stands twice; remove one");
	r->design_line = entry->line;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(entry->value, names[i]) == 0) {
			r->spec->design.kind = (enum design_kind)i;
			return 0;
		}
	}
	return fail(r, "design '%.60s' is unknown; give grid, lhs or one_at_a_time", entry->value);
}

static int set_points(struct reading *r, const struct ini_entry *entry)
{
	if (r->points_line)
		return fail(r, "'points' stands twice; remove one");
	r->points_line = entry->line;
	if (parse_count(r, entry->value, SPEC_RUNS_MAX, &r->spec->design.lhs_points) != 0)
		return -1;
	return r->spec->design.lhs_points ? 0 : fail(r, "points: give at least 1");
}

static int set_design_seed(struct reading *r, const struct ini_entry *entry)
{
	return parse_count(r, entry->value, UINT64_MAX, &r->spec->design.seed);
}

static int add_seed(struct reading *r, uint64_t seed)
{
	struct sweep_spec *spec = r->spec;
	for (unsigned i = 0; i < spec->seeds; i++)
		if (spec->seed[i] == seed)
			return fail(r, "seed %" PRIu64 " stands twice; its runs would be the same", seed);
	if (spec->seeds == 10000)
		return fail(r, "more than 10000 seeds; take fewer");
	uint64_t *seeds = reallocarray(spec->seed, spec->seeds + 1, sizeof(*seeds));
	if (!seeds)
		return out_of_memory(r);
	spec->seed = seeds;
	seeds[spec->seeds++] = seed;
	return 0;
}

static int set_repeats(struct reading *r, const struct ini_entry *entry)
{
	if (r->spec->seeds)
		return fail(r, "the seeds are given already; give either 'seeds' or 'repeats', once");
	uint64_t repeats;
	if (parse_count(r, entry->value, 10000, &repeats) != 0)
		return -1;
	for (uint64_t i = 1; i <= repeats; i++)
		if (add_seed(r, i) != 0)
			return -1;
	return repeats ? 0 : fail(r, "repeats: give at least 1");
}

static int set_seeds(struct reading *r, const struct ini_entry *entry)
{
	if (r->spec->seeds && !entry->more)
		return fail(r, "the seeds are given already; give either 'seeds' or 'repeats', once");
	char *text = strdup(entry->value), *state;
	int bad = text ? 0 : out_of_memory(r);
	for (char *word = bad ? NULL : strtok_r(text, ", \t", &state); word && !bad;
	     word = strtok_r(NULL, ", \t", &state)) {
		uint64_t seed;
		bad = parse_count(r, word, UINT64_MAX, &seed);
		bad = bad ? bad : add_seed(r, seed);
	}
	free(text);
	return bad;
}

static int set_jobs(struct reading *r, const struct ini_entry *entry)
{
	if (r->jobs.levels && !entry->more)
		return fail(r, "'job' stands twice; give a list");
	if (r->jobs.levels == 0)
		r->jobs.line = entry->line;
	return axis_add_list(&r->jobs, entry->value, &r->place);
}

static int set_disk(struct reading *r, const struct ini_entry *entry)
{
	const char *colon = strchr(entry->value, ':');
	uint64_t bytes;
	if (set_once(r, &r->spec->disk, "disk", entry->value) != 0)
		return -1;
	bool here = strncmp(entry->value, "ram:", 4) == 0 || strncmp(entry->value, "null:", 5) == 0;
	if (!here)
		return fail(r,
			    "disk '%.100s' would be written to by points side by side; give ram:SIZE or "
			    "null:SIZE, whose times are the same",
			    entry->value);
	if (parse_bytes(colon + 1, &bytes) != 0 || bytes == 0 || bytes % 512 != 0)
		return fail(r,
			    "disk '%.100s': the size is not a number of whole sectors; give such as ram:64M",
			    entry->value);
	return 0;
}

static int set_config(struct reading *r, const struct ini_entry *entry)
{
	r->config_line = entry->line;
	return set_once(r, &r->config_path, "config", entry->value);
}

static int set_firmware(struct reading *r, const struct ini_entry *entry)
{
	if (r->spec->firmware)
		return fail(r, "'firmware' stands twice; remove one");
	char *path = beside(r->spec->path, entry->value);
	r->spec->firmware = path ? realpath(path, NULL) : NULL;
	int bad = !path                ? out_of_memory(r)
		  : !r->spec->firmware ? fail(r, "firmware %s: %s", path, strerror(errno))
				       : 0;
	free(path);
	return bad;
}

static int sweep_entry(struct reading *r, const struct ini_entry *entry)
{
	static const struct {
		const char *name;
		int (*set)(struct reading *r, const struct ini_entry *entry);
		bool list; /* may go on in the next line */
	} keys[] = {
		{"design", set_design, false},
		{"points", set_points, false},
		{"design_seed", set_design_seed, false},
		{"repeats", set_repeats, false},
		{"seeds", set_seeds, true},
		{"job", set_jobs, true},
		{"disk", set_disk, false},
		{"config", set_config, false},
		{"firmware", set_firmware, false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(entry->name, keys[i].name) == 0 && (keys[i].list || !entry->more))
			return keys[i].set(r, entry);
	return fail(
		r,
		"[sweep] has no key '%.60s'; it has design, points, design_seed, repeats, seeds, job, disk, "
		"config and firmware",
		entry->name);
}

/* ---- [set], [baseline] ---- */

static int add_setting(struct reading *r, struct settings *settings, const struct ini_entry *entry)
{
	for (unsigned i = 0; i < settings->count; i++)
		if (strcmp(settings->item[i].key, entry->name) == 0)
			return fail(r, "'%s' stands twice; remove one", entry->name);
	struct setting *item = reallocarray(settings->item, settings->count + 1, sizeof(*item));
	if (!item)
		return out_of_memory(r);
	settings->item = item;
	item += settings->count++;
	*item = (struct setting){strdup(entry->name), strdup(entry->value), entry->line};
	return item->key && item->value ? 0 : out_of_memory(r);
}

static int set_entry(struct reading *r, const struct ini_entry *entry)
{
	return add_setting(r, &r->given, entry);
}

static int baseline_entry(struct reading *r, const struct ini_entry *entry)
{
	return add_setting(r, &r->spec->baseline, entry);
}

static void free_settings(struct settings *settings)
{
	for (unsigned i = 0; i < settings->count; i++) {
		free(settings->item[i].key);
		free(settings->item[i].value);
	}
	free(settings->item);
	*settings = (struct settings){0};
}

/* ---- [axis NAME] ---- */

static struct axis *add_axis(struct reading *r, const char *name)
{
	struct design *design = &r->spec->design;
	if (design->axes == DESIGN_AXES_MAX) {
		fail(r, "more than %d axes; take fewer", DESIGN_AXES_MAX);
		return NULL;
	}
	struct axis *axis = reallocarray(r->spec->axis, design->axes + 1, sizeof(*axis));
	if (!axis) {
		out_of_memory(r);
		return NULL;
	}
	r->spec->axis = axis;
	axis += design->axes++;
	*axis = (struct axis){.name = strdup(name), .line = r->place.line};
	return axis;
}

static int add_key(struct reading *r, struct axis *axis, const char *key)
{
	if (axis->keys == AXIS_KEYS_MAX)
		return fail(r, "axis '%s' varies more than %d keys; take fewer", axis->name, AXIS_KEYS_MAX);
	axis->key[axis->keys] = strdup(key);
	return axis->key[axis->keys++] ? 0 : out_of_memory(r);
}

static int add_keys(struct reading *r, struct axis *axis, const char *text)
{
	char *copy = strdup(text), *state;
	int bad = copy ? 0 : out_of_memory(r);
	for (char *word = bad ? NULL : strtok_r(copy, ", \t", &state); word && !bad;
	     word = strtok_r(NULL, ", \t", &state))
		bad = add_key(r, axis, word);
	free(copy);
	return bad;
}

static struct axis *find_axis(const struct sweep_spec *spec, const char *name)
{
	for (unsigned i = 0; i < spec->design.axes; i++)
		if (strcmp(spec->axis[i].name, name) == 0)
			return &spec->axis[i];
	return NULL;
}

static int axis_entry(struct reading *r, const struct ini_entry *entry)
{
	struct axis *axis = find_axis(r->spec, strchr(entry->section, ' ') + 1);
	ASSERT(axis); /* made when its section was seen */
	if (strcmp(entry->name, "keys") == 0)
		return add_keys(r, axis, entry->value);
	bool list = strcmp(entry->name, "values") == 0;
	bool range = strcmp(entry->name, "range") == 0, log = strcmp(entry->name, "log") == 0;
	if (!list && !range && !log)
		return fail(r, "an axis has no '%.60s'; it has keys, and values, range or log", entry->name);
	if (axis->kind != AXIS_EMPTY && !(list && entry->more))
		return fail(r, "axis '%s' has its values already; give values, range or log, once",
			    axis->name);
	return list    ? axis_add_list(axis, entry->value, &r->place)
	       : range ? axis_set_range(axis, entry->value, &r->place)
		       : axis_set_log(axis, entry->value, &r->place);
}

static int axis_section(struct reading *r, const char *name)
{
	struct axis *axis = add_axis(r, name);
	return !axis ? -1 : axis->name ? 0 : out_of_memory(r);
}

/* ---- [constraints], [objective] ---- */

static int find_metric(struct reading *r, const char *name, enum metric_id *metric)
{
	char names[400];
	*metric = metric_find(name);
	if (*metric != METRICS)
		return 0;
	metric_names(names, sizeof(names));
	return fail(r, "there is no metric '%.60s'; there are %s", name, names);
}

/* inih cuts at the '=', so "p99_us <= 80" has the name "p99_us <". */
static int constraint_entry(struct reading *r, const struct ini_entry *entry)
{
	struct sweep_spec *spec = r->spec;
	struct constraint *constraint = &spec->constraint[spec->constraints];
	size_t length = strlen(entry->name);
	char name[64], *end;
	char comparison = length ? entry->name[length - 1] : '\0';
	if (comparison != '<' && comparison != '>')
		return fail(r, "a constraint is METRIC <= NUMBER or METRIC >= NUMBER");
	for (length--; length && entry->name[length - 1] == ' '; length--)
		;
	snprintf(name, sizeof(name), "%.*s", (int)length, entry->name);
	if (find_metric(r, name, &constraint->metric) != 0)
		return -1;
	if (spec->constraints == SPEC_CONSTRAINTS_MAX - 1)
		return fail(r, "too many constraints; take fewer");
	constraint->at_most = comparison == '<';
	constraint->value = strtod(entry->value, &end);
	if (end == entry->value || *end || !isfinite(constraint->value))
		return fail(r, "'%.60s' is not a number", entry->value);
	spec->constraints++;
	return 0;
}

static int objective_entry(struct reading *r, const struct ini_entry *entry)
{
	bool maximise = strcmp(entry->name, "maximise") == 0;
	if (!maximise && strcmp(entry->name, "minimise") != 0)
		return fail(r, "an objective is maximise = METRIC or minimise = METRIC");
	if (r->spec->objective != METRICS)
		return fail(r, "there is one objective; put the others into [constraints]");
	r->spec->maximise = maximise;
	return find_metric(r, entry->value, &r->spec->objective);
}

/* ---- sections ---- */

static const struct {
	const char *name;
	bool named;     /* [axis NAME] */
	bool continued; /* some of its values may go on in the next line */
	int (*entry)(struct reading *r, const struct ini_entry *entry);
} sections[] = {
	{"sweep", false, true, sweep_entry},
	{"set", false, false, set_entry},
	{"axis", true, true, axis_entry},
	{"baseline", false, false, baseline_entry},
	{"constraints", false, false, constraint_entry},
	{"objective", false, false, objective_entry},
};

/* The section's row of the table; ARRAY_SIZE if there is none. */
static size_t section_row(const char *name)
{
	size_t i = 0, length = strcspn(name, " ");
	while (i < ARRAY_SIZE(sections) &&
	       (strlen(sections[i].name) != length || strncmp(sections[i].name, name, length) != 0 ||
		sections[i].named != (name[length] != '\0')))
		i++;
	return i;
}

static int read_sections(struct reading *r)
{
	for (unsigned i = 0; i < r->file->sections; i++) {
		const struct ini_section *section = &r->file->section[i];
		r->place.line = section->line;
		size_t row = section_row(section->name);
		if (row == ARRAY_SIZE(sections))
			return fail(
				r,
				"unknown section [%s]; there are [sweep], [set], [axis NAME], [baseline], "
				"[constraints] and [objective]",
				section->name);
		for (unsigned j = 0; j < i; j++)
			if (strcmp(r->file->section[j].name, section->name) == 0)
				return fail(r, "section [%s] stands twice; put it together", section->name);
		if (sections[row].named && axis_section(r, strchr(section->name, ' ') + 1) != 0)
			return -1;
		r->spec->design.with_base |= strcmp(section->name, "baseline") == 0;
	}
	return 0;
}

static int read_entries(struct reading *r)
{
	for (unsigned i = 0; i < r->file->entries; i++) {
		const struct ini_entry *entry = &r->file->entry[i];
		size_t row = section_row(entry->section);
		r->place.line = entry->line;
		ASSERT(row < ARRAY_SIZE(sections));
		if (entry->more && !sections[row].continued)
			return fail(r,
				    "an indented line goes on with the one above; only lists have several");
		if (sections[row].entry(r, entry) != 0)
			return -1;
	}
	return 0;
}

/* ---- what depends on several lines ---- */

static const struct job_template *job_at(const struct sweep_spec *spec, const char *path)
{
	for (unsigned i = 0; i < spec->jobs; i++)
		if (strcmp(spec->job[i].path, path) == 0)
			return &spec->job[i];
	return NULL;
}

const struct job_template *sweep_spec_job(const struct sweep_spec *spec, const char *value)
{
	char *path = beside(spec->path, value);
	const struct job_template *job = path ? job_at(spec, path) : NULL;
	free(path);
	return job;
}

const char *sweep_spec_job_name(const struct sweep_spec *spec, const struct job_template *job)
{
	const char *slash = strrchr(spec->path, '/');
	size_t folder = slash ? (size_t)(slash + 1 - spec->path) : 0;
	return job->path + (strncmp(job->path, spec->path, folder) == 0 ? folder : 0);
}

/* A bad job file's message names the job file. */
static int load_job(struct reading *r, const char *value)
{
	struct sweep_spec *spec = r->spec;
	char *path = beside(spec->path, value);
	struct job_template *job = path ? reallocarray(spec->job, spec->jobs + 1, sizeof(*job)) : NULL;
	int bad = job ? 0 : out_of_memory(r);
	if (job) {
		spec->job = job;
		if (!job_at(spec, path)) {
			bad = job_template_load(&job[spec->jobs], path, r->place.error, r->place.error_size);
			spec->jobs += !bad;
		}
	}
	free(path);
	return bad;
}

static int check_job_option(struct reading *r, const char *option, const char *value)
{
	struct fio_job job;
	char reason[300];
	const char *name = fio_option_canonical(option);
	if (!name)
		return fail(r, "'%.60s' is no option of fio; docs/workloads.md has all", option);
	if (strcmp(name, "read_iolog") == 0)
		return fail(r, "the log to replay cannot be varied; vary the job file: job = a.fio, b.fio");
	fio_job_defaults(&job);
	switch (fio_option_apply(&job, name, value, reason, sizeof(reason))) {
	case FIO_TAKEN: return 0;
	case FIO_IGNORED: return fail(r, "job option '%s' would have no effect: %s", name, reason);
	case FIO_REFUSED: break;
	}
	return fail(r, "job option '%s'%s", name, reason);
}

/* Whether the key may have this value. */
static int check_value(struct reading *r, const char *key, const char *value)
{
	struct config config = r->spec->config;
	char assignment[AXIS_TEXT_MAX * 2], reason[300];
	if (is_job_file(key))
		return load_job(r, value);
	if (is_job_option(key))
		return check_job_option(r, key + strlen(job_prefix), value);
	if (strcmp(key, "sim.seed") == 0)
		return fail(r, "sim.seed is what differs between repeats; give [sweep] seeds");
	snprintf(assignment, sizeof(assignment), "%.199s=%.199s", key, value);
	if (config_set(&config, assignment, reason, sizeof(reason)) != 0)
		return fail(r, "%s", reason);
	return 0;
}

static int settle_config(struct reading *r)
{
	if (!r->config_path)
		return 0;
	char *path = beside(r->spec->path, r->config_path);
	int bad = path ? config_load(&r->spec->config, path, r->place.error, r->place.error_size)
		       : out_of_memory(r);
	free(path);
	return bad;
}

/* [set]: configuration keys go into the base configuration, the rest is kept. */
static int settle_set(struct reading *r)
{
	for (unsigned i = 0; i < r->given.count; i++) {
		struct setting *item = &r->given.item[i];
		char assignment[AXIS_TEXT_MAX * 2], reason[300];
		r->place.line = item->line;
		if (is_job_file(item->key))
			return fail(r, "the job file is given by job in [sweep]");
		if (check_value(r, item->key, item->value) != 0)
			return -1;
		const struct ini_entry entry = {.name = item->key, .value = item->value, .line = item->line};
		if (is_job_option(item->key)) {
			if (add_setting(r, &r->spec->set, &entry) != 0)
				return -1;
			continue;
		}
		snprintf(assignment, sizeof(assignment), "%.199s=%.199s", item->key, item->value);
		if (config_set(&r->spec->config, assignment, reason, sizeof(reason)) != 0)
			return fail(r, "%s", reason);
	}
	return 0;
}

static int settle_baseline(struct reading *r)
{
	for (unsigned i = 0; i < r->spec->baseline.count; i++) {
		const struct setting *item = &r->spec->baseline.item[i];
		r->place.line = item->line;
		if (check_value(r, item->key, item->value) != 0)
			return -1;
	}
	return 0;
}

/* Several job files are an axis, the outermost. */
static int settle_jobs(struct reading *r)
{
	struct sweep_spec *spec = r->spec;
	if (r->jobs.levels == 0 && !find_axis(spec, job_key)) {
		r->place.line = 1;
		return fail(r, "no job file; add job = FILE to [sweep]");
	}
	if (r->jobs.levels == 0)
		return 0;
	r->jobs.name = strdup(job_key);
	if (!r->jobs.name || add_key(r, &r->jobs, job_key) != 0)
		return out_of_memory(r);
	r->place.line = r->jobs.line;
	if (r->jobs.levels == 1)
		return axis_settle(&r->jobs, &r->place) != 0 ? -1 : load_job(r, r->jobs.item[0].text);
	if (!add_axis(r, ""))
		return -1;
	free(spec->axis[spec->design.axes - 1].name);
	memmove(spec->axis + 1, spec->axis, (spec->design.axes - 1) * sizeof(*spec->axis));
	spec->axis[0] = r->jobs;
	r->jobs = (struct axis){0};
	return 0;
}

static int check_levels(struct reading *r, const struct axis *axis)
{
	char value[AXIS_TEXT_MAX];
	for (unsigned i = 0; i < axis->levels; i++) {
		r->place.line = axis->item ? axis->item[i].line : axis->values_line;
		for (unsigned j = 0; j < axis->keys; j++) {
			axis_value(axis, i, j, value);
			if (check_value(r, axis->key[j], value) != 0)
				return -1;
		}
	}
	return 0;
}

/* The same key in two places would make one of them meaningless. */
static int check_key(struct reading *r, const struct axis *axis, unsigned number)
{
	const struct sweep_spec *spec = r->spec;
	const char *key = axis->key[number];
	r->place.line = axis->line;
	for (unsigned i = 0; i < r->given.count; i++)
		if (strcmp(r->given.item[i].key, key) == 0)
			return fail(r, "'%s' is varied here and set at line %lu; remove one", key,
				    r->given.item[i].line);
	for (const struct axis *other = spec->axis; other <= axis; other++)
		for (unsigned j = 0; j < (other == axis ? number : other->keys); j++)
			if (strcmp(other->key[j], key) == 0)
				return fail(r, "'%s' is varied twice, here and at line %lu; remove one", key,
					    other->line);
	return 0;
}

static int settle_axes(struct reading *r)
{
	struct sweep_spec *spec = r->spec;
	for (unsigned i = 0; i < spec->design.axes; i++) {
		struct axis *axis = &spec->axis[i];
		r->place.line = axis->line;
		/* [axis notify.holdoff_ns] names its only key. */
		if (axis->keys == 0 && (is_job_file(axis->name) || strchr(axis->name, '.')) &&
		    add_key(r, axis, axis->name) != 0)
			return -1;
		if (axis->keys == 0)
			return fail(r, "axis '%s' says nothing of what it varies; add keys = SECTION.KEY",
				    axis->name);
		if (axis_settle(axis, &r->place) != 0)
			return -1;
		for (unsigned j = 0; j < axis->keys; j++)
			if (check_key(r, axis, j) != 0)
				return -1;
		if (check_levels(r, axis) != 0)
			return -1;
		spec->design.levels[i] = axis->levels;
	}
	return 0;
}

uint64_t sweep_spec_runs(const struct sweep_spec *spec)
{
	uint64_t runs;
	return __builtin_mul_overflow(design_points(&spec->design), (uint64_t)spec->seeds, &runs) ? UINT64_MAX
												  : runs;
}

static unsigned job_options(const struct settings *settings)
{
	unsigned count = 0;
	for (unsigned i = 0; i < settings->count; i++)
		count += is_job_option(settings->item[i].key);
	return count;
}

/* A point's list of options has an end. */
static int check_job_options(struct reading *r)
{
	const struct sweep_spec *spec = r->spec;
	unsigned count = job_options(&spec->set) + job_options(&spec->baseline);
	for (unsigned i = 0; i < spec->design.axes; i++)
		for (unsigned j = 0; j < spec->axis[i].keys; j++)
			count += is_job_option(spec->axis[i].key[j]);
	if (count <= JOB_OPTIONS_MAX)
		return 0;
	r->place.line = 1;
	return fail(r, "more than %d job options; put the constant ones into the job file", JOB_OPTIONS_MAX);
}

static int settle_design(struct reading *r)
{
	struct sweep_spec *spec = r->spec;
	bool lhs = spec->design.kind == DESIGN_LHS;
	r->place.line = r->points_line ? r->points_line : r->design_line ? r->design_line : 1;
	if (lhs && !r->points_line)
		return fail(r, "a Latin hypercube needs its number of points; add points = N");
	if (!lhs && r->points_line)
		return fail(r, "points are for design = lhs; remove it, or change the design");
	if (spec->seeds == 0 && add_seed(r, spec->config.sim.seed) != 0)
		return -1;
	if (sweep_spec_runs(spec) > SPEC_RUNS_MAX)
		return fail(r, "more than %d runs; take fewer values, fewer seeds, or design = lhs",
			    SPEC_RUNS_MAX);
	return 0;
}

static int settle(struct reading *r)
{
	if (!r->spec->disk && !(r->spec->disk = strdup(default_disk)))
		return out_of_memory(r);
	r->place.line = r->config_line;
	if (settle_config(r) != 0 || settle_set(r) != 0 || settle_jobs(r) != 0 || settle_axes(r) != 0 ||
	    settle_baseline(r) != 0 || check_job_options(r) != 0)
		return -1;
	return settle_design(r);
}

int sweep_spec_load(struct sweep_spec *spec, const char *path, char *error, size_t error_size)
{
	struct ini_file file;
	*spec = (struct sweep_spec){.objective = METRICS, .design.seed = 1};
	if (ini_file_load(&file, path, error, error_size) != 0)
		return -1;
	struct reading reading = {
		.spec = spec,
		.file = &file,
		.place = {.file = path, .line = 1, .error = error, .error_size = error_size}};
	config_defaults(&spec->config);
	spec->path = strdup(path);
	int bad = spec->path ? 0 : out_of_memory(&reading);
	if (bad || read_sections(&reading) != 0 || read_entries(&reading) != 0 || settle(&reading) != 0)
		bad = -1;
	free_settings(&reading.given);
	free(reading.config_path);
	axis_free(&reading.jobs);
	ini_file_free(&file);
	if (bad)
		sweep_spec_free(spec);
	return bad;
}

void sweep_spec_free(struct sweep_spec *spec)
{
	for (unsigned i = 0; i < spec->design.axes; i++)
		axis_free(&spec->axis[i]);
	for (unsigned i = 0; i < spec->jobs; i++)
		job_template_free(&spec->job[i]);
	free_settings(&spec->set);
	free_settings(&spec->baseline);
	free(spec->axis);
	free(spec->job);
	free(spec->seed);
	free(spec->disk);
	free(spec->firmware);
	free(spec->path);
	*spec = (struct sweep_spec){0};
}
