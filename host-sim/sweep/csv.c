#include "host-sim/sweep/csv.h"

#include <string.h>

#define NAME_MAX_BYTES 400

void csv_begin(struct csv *csv)
{
	csv->columns = json_object();
}

void csv_end(struct csv *csv)
{
	json_decref(csv->columns);
}

static void flatten(json_t *flat, const char *name, json_t *value)
{
	char below[NAME_MAX_BYTES];
	const char *key;
	json_t *child;
	size_t i;
	if (json_is_object(value)) {
		json_object_foreach(value, key, child)
		{
			snprintf(below, sizeof(below), "%s%s%s", name, *name ? "." : "", key);
			flatten(flat, below, child);
		}
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, child)
		{
			snprintf(below, sizeof(below), "%s.%zu", name, i);
			flatten(flat, below, child);
		}
	} else if (!json_object_get(flat, name)) {
		json_object_set(flat, name, value);
	}
}

/* Axes, metrics and configuration keys under their own names: an axis of one key is that key. */
static json_t *flat_row(const json_t *row)
{
	static const struct {
		const char *key, *prefix;
	} parts[] = {{"point", "point"},     {"role", "role"}, {"seed", "seed"}, {"status", "status"},
		     {"error", "error"},     {"axes", ""},     {"metrics", ""},  {"id", "id"},
		     {"command", "command"}, {"config", ""},   {"run", "run"}};
	json_t *flat = json_object();
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		json_t *value = json_object_get(row, parts[i].key);
		if (value && !(json_is_null(value) && strcmp(parts[i].key, "run") == 0))
			flatten(flat, parts[i].prefix, value);
	}
	return flat;
}

void csv_learn(struct csv *csv, const json_t *row)
{
	json_t *flat = flat_row(row), *value;
	const char *key;
	json_object_foreach(flat, key, value)
	{
		if (!json_object_get(csv->columns, key))
			json_object_set_new(csv->columns, key, json_true());
	}
	json_decref(flat);
}

static void put_text(const char *text, FILE *out)
{
	if (!text[strcspn(text, ",\"\r\n")]) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void put_value(const json_t *value, FILE *out)
{
	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_STRING: put_text(json_string_value(value), out); break;
	case JSON_INTEGER: fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value)); break;
	case JSON_REAL: fprintf(out, "%.15g", json_real_value(value)); break;
	case JSON_TRUE: fputc('1', out); break;
	case JSON_FALSE: fputc('0', out); break;
	default: break; /* nothing known: an empty field */
	}
}

void csv_head(const struct csv *csv, FILE *out)
{
	const char *key, *separator = "";
	json_t *value;
	json_object_foreach(csv->columns, key, value)
	{
		fputs(separator, out);
		put_text(key, out);
		separator = ",";
	}
	fputs("\r\n", out);
}

void csv_row(const struct csv *csv, const json_t *row, FILE *out)
{
	json_t *flat = flat_row(row), *value;
	const char *key, *separator = "";
	json_object_foreach(csv->columns, key, value)
	{
		fputs(separator, out);
		put_value(json_object_get(flat, key), out);
		separator = ",";
	}
	fputs("\r\n", out);
	json_decref(flat);
}
