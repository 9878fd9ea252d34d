#include "host-sim/sweep/point.h"

#include "host-sim/workloads/fio_options.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- which values ---- */

static void set_option(struct point *point, const char *option, const char *value)
{
	const char *name = fio_option_canonical(option);
	for (unsigned i = 0; i < point->options; i++) {
		if (strcmp(point->option[i].name, name) == 0) {
			point->option[i].value = value;
			return;
		}
	}
	/* More than the limit are refused with the specification: spec.c counts them. */
	ASSERT(point->options < JOB_OPTIONS_MAX);
	point->option[point->options++] = (struct job_option){name, value};
}

/* Values were checked with the specification. */
static void apply(struct point *point, const struct sweep_spec *spec, const char *key, const char *value)
{
	char assignment[AXIS_TEXT_MAX * 2], error[300];
	if (is_job_file(key)) {
		point->job = sweep_spec_job(spec, value);
		return;
	}
	if (is_job_option(key)) {
		set_option(point, strchr(key, '.') + 1, value);
		return;
	}
	snprintf(assignment, sizeof(assignment), "%.199s=%.199s", key, value);
	int bad = config_set(&point->config, assignment, error, sizeof(error));
	ASSERT(!bad);
}

static void apply_settings(struct point *point, const struct sweep_spec *spec,
			   const struct settings *settings)
{
	for (unsigned i = 0; i < settings->count; i++)
		apply(point, spec, settings->item[i].key, settings->item[i].value);
}

static void apply_axes(struct point *point, const struct sweep_spec *spec)
{
	bool based = false;
	for (unsigned i = 0; i < spec->design.axes; i++)
		based |= point->level[i] == DESIGN_BASE;
	if (point->baseline || based)
		apply_settings(point, spec, &spec->baseline);
	for (unsigned i = 0; i < spec->design.axes; i++) {
		const struct axis *axis = &spec->axis[i];
		for (unsigned j = 0; j < axis->keys && point->level[i] != DESIGN_BASE; j++) {
			axis_value(axis, (unsigned)point->level[i], j, point->text[i][j]);
			apply(point, spec, axis->key[j], point->text[i][j]);
		}
	}
}

/* ---- its command ---- */

static void put_quoted(const char *text, FILE *out)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=,%+@-";
	if (*text && strspn(text, plain) == strlen(text)) {
		fputs(text, out);
		return;
	}
	fputc('\'', out);
	for (; *text; text++)
		fputs(*text == '\'' ? "'\\''" : (char[]){*text, '\0'}, out);
	fputc('\'', out);
}

/* Keys come in the same order for every configuration, so two of them are compared as texts, line by line. */
static void put_key_line(void *ctx, const char *section, const char *key, const char *value)
{
	fprintf(ctx, "%s.%s=%s\n", section, key, value);
}

static char *config_text(const struct config *config)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	config_each(config, put_key_line, out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static int put_changed_keys(const struct config *config, FILE *out)
{
	struct config defaults;
	config_defaults(&defaults);
	defaults.sim.seed = config->sim.seed; /* has an option of its own */
	char *text = config_text(config), *other = config_text(&defaults);
	char *text_state, *other_state;
	char *line = text ? strtok_r(text, "\n", &text_state) : NULL;
	char *other_line = other ? strtok_r(other, "\n", &other_state) : NULL;
	for (; line && other_line;
	     line = strtok_r(NULL, "\n", &text_state), other_line = strtok_r(NULL, "\n", &other_state)) {
		if (strcmp(line, other_line) != 0) {
			fputs(" --set ", out);
			put_quoted(line, out);
		}
	}
	int bad = text && other ? 0 : -1;
	free(text);
	free(other);
	return bad;
}

static char *arguments_of(const struct point *point, const struct sweep_spec *spec)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	fprintf(out, "--job jobs/%s --disk ", point->job_name);
	put_quoted(spec->disk, out);
	if (spec->firmware) {
		fputs(" --firmware ", out);
		put_quoted(spec->firmware, out);
	}
	int bad = put_changed_keys(&point->config, out);
	fprintf(out, " --seed %" PRIu64, point->seed);
	if (fclose(out) == 0 && !bad)
		return text;
	free(text);
	return NULL;
}

int point_make(struct point *point, const struct sweep_spec *spec, uint64_t number, unsigned seed)
{
	point->number = number;
	point->seed = spec->seed[seed];
	point->config = spec->config;
	point->config.sim.seed = point->seed;
	point->job = &spec->job[0];
	point->options = 0;
	point->job_text = point->arguments = NULL;
	design_point(&spec->design, number, point->level);
	point->baseline =
		number == 0 && (spec->design.with_base || spec->design.kind == DESIGN_ONE_AT_A_TIME);
	apply_settings(point, spec, &spec->set);
	apply_axes(point, spec);
	point->job_text = job_template_text(point->job, point->option, point->options);
	if (!point->job_text)
		return -1;
	snprintf(point->job_name, sizeof(point->job_name), "%016" PRIx64 ".fio",
		 hash_add(HASH_EMPTY, point->job_text, strlen(point->job_text)));
	point->arguments = arguments_of(point, spec);
	if (!point->arguments) {
		point_free(point);
		return -1;
	}
	snprintf(point->id, sizeof(point->id), "%016" PRIx64,
		 hash_add(HASH_EMPTY, point->arguments, strlen(point->arguments)));
	return 0;
}

void point_free(struct point *point)
{
	free(point->job_text);
	free(point->arguments);
	point->job_text = point->arguments = NULL;
}

/* ---- for readers ---- */

void point_label(const struct point *point, const struct sweep_spec *spec, char *text, size_t size)
{
	size_t length = 0;
	snprintf(text, size, "%s", point->baseline ? "baseline" : "as it is");
	for (unsigned i = 0; i < spec->design.axes && length < size; i++) {
		const struct axis *axis = &spec->axis[i];
		char value[AXIS_TEXT_MAX];
		if (point->level[i] == DESIGN_BASE)
			continue;
		axis_label(axis, (unsigned)point->level[i], value);
		length += (size_t)snprintf(text + length, size - length, "%s%s=%s", length ? " " : "",
					   axis->name, value);
	}
}

/* Numbers as numbers, so that readers of rows can calculate with them. */
static json_t *value_json(const char *text)
{
	json_t *number = json_loads(text, JSON_DECODE_ANY, NULL);
	if (json_is_number(number))
		return number;
	json_decref(number);
	return json_string(text);
}

static void add_key(void *ctx, const char *section, const char *key, const char *value)
{
	char name[96];
	snprintf(name, sizeof(name), "%s.%s", section, key);
	json_object_set_new(ctx, name, value_json(value));
}

/* What a key is at this point although no axis gives it: at the base. */
static void base_value(const struct point *point, const struct sweep_spec *spec, const json_t *config,
		       const char *key, char *text, size_t size)
{
	text[0] = '\0';
	if (is_job_file(key)) {
		snprintf(text, size, "%s", sweep_spec_job_name(spec, point->job));
	} else if (is_job_option(key)) {
		const char *name = fio_option_canonical(strchr(key, '.') + 1);
		for (unsigned i = 0; i < point->options; i++)
			if (strcmp(point->option[i].name, name) == 0) {
				snprintf(text, size, "%s", point->option[i].value);
				return;
			}
		if (!job_template_option(point->job, name, text, size))
			text[0] = '\0';
	} else {
		const json_t *value = json_object_get(config, key);
		char *number = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
		snprintf(text, size, "%s",
			 json_is_string(value) ? json_string_value(value)
			 : number              ? number
					       : "");
		free(number);
	}
}

static json_t *axis_json(const struct point *point, const struct sweep_spec *spec, const struct axis *axis,
			 int level, const json_t *config)
{
	char text[AXIS_TEXT_MAX] = "";
	size_t length = 0;
	if (level != DESIGN_BASE) {
		axis_label(axis, (unsigned)level, text);
		return value_json(text);
	}
	for (unsigned i = 0; i < axis->keys; i++) {
		char value[AXIS_TEXT_MAX];
		base_value(point, spec, config, axis->key[i], value, sizeof(value));
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", i ? " " : "", value);
		length = min_u64(length, sizeof(text) - 1);
	}
	return text[0] ? value_json(text) : json_null();
}

json_t *point_json(const struct point *point, const struct sweep_spec *spec)
{
	json_t *row = json_object(), *axes = json_object(), *levels = json_object(), *config = json_object();
	char *command;
	config_each(&point->config, add_key, config);
	for (unsigned i = 0; i < spec->design.axes; i++) {
		const struct axis *axis = &spec->axis[i];
		int level = point->level[i];
		json_object_set_new(axes, axis->name, axis_json(point, spec, axis, level, config));
		json_object_set_new(levels, axis->name,
				    level == DESIGN_BASE ? json_null() : json_integer(level));
	}
	json_object_set_new(row, "point", json_integer((json_int_t)point->number));
	json_object_set_new(row, "role", json_string(point->baseline ? "baseline" : "point"));
	json_object_set_new(row, "seed", json_integer((json_int_t)point->seed));
	json_object_set_new(row, "id", json_string(point->id));
	if (asprintf(&command, "kickstand run %s", point->arguments) > 0) {
		json_object_set_new(row, "command", json_string(command));
		free(command);
	}
	json_object_set_new(row, "axes", axes);
	json_object_set_new(row, "level", levels);
	json_object_set_new(row, "config", config);
	return row;
}
