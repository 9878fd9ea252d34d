#include "host-sim/sweep/collect.h"

#include "host-sim/sweep/csv.h"
#include "host-sim/sweep/folder.h"
#include "host-sim/sweep/metrics.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM_PREFIX "kickstand run: "
#define MESSAGE_MAX    500

struct collector {
	const char *folder;
	struct collected *collected;
	FILE *plan;
	struct new_file rows;
	struct csv csv;
	char *error;
	size_t error_size;
};

/* ---- one run ---- */

static json_t *load(const struct collector *c, const char *id, const char *ending)
{
	char path[FOLDER_PATH_MAX];
	snprintf(path, sizeof(path), "%s/points/%s%s", c->folder, id, ending);
	return json_load_file(path, 0, NULL);
}

/* Exit status and message of a run that failed; false if there is no such note. */
static bool load_failure(const struct collector *c, const char *id, int *status, char *message, size_t size)
{
	char path[FOLDER_PATH_MAX], line[MESSAGE_MAX + 32] = "";
	snprintf(path, sizeof(path), "%s/points/%s.failed", c->folder, id);
	FILE *in = fopen(path, "r");
	bool found = in && fscanf(in, "%d\n", status) == 1;
	if (found && !fgets(line, sizeof(line), in))
		snprintf(line, sizeof(line), *status > 128 ? "ended by signal %d" : "no message, status %d",
			 *status > 128 ? *status - 128 : *status);
	if (in)
		fclose(in);
	line[strcspn(line, "\n")] = '\0';
	bool ours = strncmp(line, PROGRAM_PREFIX, strlen(PROGRAM_PREFIX)) == 0;
	snprintf(message, size, "%.*s", (int)size - 1, line + (ours ? strlen(PROGRAM_PREFIX) : 0));
	return found;
}

static json_t *metrics_json(const json_t *run)
{
	json_t *object = json_object();
	double value[METRICS];
	if (!run)
		return object;
	metrics_of(run, value);
	for (unsigned i = 0; i < METRICS; i++)
		json_object_set_new(object, metrics[i].name,
				    isnan(value[i]) ? json_null() : json_real(value[i]));
	return object;
}

/* Takes over `run`; the row says what the configuration is, without repeating it. */
static json_t *make_row(json_t *plan, json_t *run, int status, const char *message)
{
	static const char *const first[] = {"point", "role", "seed", "id"};
	static const char *const then[] = {"command", "axes", "level"};
	json_t *row = json_object();
	for (size_t i = 0; i < ARRAY_SIZE(first); i++)
		json_object_set(row, first[i], json_object_get(plan, first[i]));
	json_object_set_new(row, "status", json_integer(status));
	json_object_set_new(row, "error", message ? json_string(message) : json_null());
	for (size_t i = 0; i < ARRAY_SIZE(then); i++)
		json_object_set(row, then[i], json_object_get(plan, then[i]));
	json_object_set_new(row, "metrics", metrics_json(run));
	json_object_set(row, "config", json_object_get(plan, "config"));
	/* Wall-clock figures differ between runs of the same command: rows are to be the same. */
	json_object_del(run, "kickstand");
	json_object_del(json_object_get(run, "sim"), "wall_s");
	json_object_del(json_object_get(run, "sim"), "ios_per_wall_s");
	json_object_set_new(row, "run", run ? run : json_null());
	return row;
}

static void note_failure(struct collector *c, const json_t *plan, const char *message)
{
	if (c->collected->failed++ == 0)
		snprintf(c->collected->first_failure, sizeof(c->collected->first_failure),
			 "point %lld seed %lld: %s",
			 (long long)json_integer_value(json_object_get(plan, "point")),
			 (long long)json_integer_value(json_object_get(plan, "seed")), message);
}

/* The run's row, or NULL if it has not run. */
static json_t *row_of(struct collector *c, json_t *plan)
{
	const char *id = json_string_value(json_object_get(plan, "id"));
	char message[MESSAGE_MAX];
	int status = 0;
	if (!id)
		return NULL;
	json_t *run = load(c, id, ".json");
	if (run) {
		c->collected->done++;
		return make_row(plan, run, 0, NULL);
	}
	if (!load_failure(c, id, &status, message, sizeof(message))) {
		c->collected->missing++;
		return NULL;
	}
	note_failure(c, plan, message);
	return make_row(plan, load(c, id, ".failed.json"), status, message);
}

/* ---- all of them ---- */

static int broken_plan(struct collector *c, uint64_t line)
{
	snprintf(c->error, c->error_size, "%s/plan.jsonl:%llu: not a line of a plan; start the sweep again",
		 c->folder, (unsigned long long)line);
	return -1;
}

static int put_rows(struct collector *c)
{
	char *line = NULL;
	size_t size = 0;
	int bad = 0;
	while (!bad && getline(&line, &size, c->plan) > 0) {
		json_t *plan = json_loads(line, 0, NULL);
		c->collected->runs++;
		json_t *row = plan ? row_of(c, plan) : NULL;
		bad = !plan || !json_object_get(plan, "id") ? broken_plan(c, c->collected->runs) : 0;
		if (row) {
			json_dumpf(row, c->rows.out, JSON_COMPACT | JSON_REAL_PRECISION(15));
			fputc('\n', c->rows.out);
			csv_learn(&c->csv, row);
		}
		json_decref(row);
		json_decref(plan);
	}
	free(line);
	return bad;
}

/* Columns are known when all rows have been seen, so the table is made from the rows' file. */
static int put_table(struct collector *c)
{
	struct new_file file = {0};
	char path[FOLDER_PATH_MAX], *line = NULL;
	size_t size = 0;
	snprintf(path, sizeof(path), "%s/results.jsonl", c->folder);
	FILE *in = fopen(path, "r");
	new_file_begin(&file, c->folder, "results.csv");
	if (in && file.out) {
		csv_head(&c->csv, file.out);
		while (getline(&line, &size, in) > 0) {
			json_t *row = json_loads(line, 0, NULL);
			if (row)
				csv_row(&c->csv, row, file.out);
			json_decref(row);
		}
	}
	free(line);
	if (in)
		fclose(in);
	return new_file_end(&file, c->error, c->error_size);
}

static int collect(struct collector *c)
{
	new_file_begin(&c->rows, c->folder, "results.jsonl");
	if (c->rows.out && put_rows(c) != 0)
		return -1;
	if (new_file_end(&c->rows, c->error, c->error_size) != 0)
		return -1;
	return put_table(c);
}

int collect_results(struct collected *collected, const char *folder, char *error, size_t error_size)
{
	struct collector c = {
		.folder = folder, .collected = collected, .error = error, .error_size = error_size};
	char path[FOLDER_PATH_MAX];
	*collected = (struct collected){0};
	snprintf(path, sizeof(path), "%s/plan.jsonl", folder);
	c.plan = fopen(path, "r");
	if (!c.plan) {
		snprintf(error, error_size, "%s: cannot read: %s; is it the folder of a sweep?", path,
			 strerror(errno));
		return -1;
	}
	csv_begin(&c.csv);
	int bad = collect(&c);
	new_file_drop(&c.rows);
	csv_end(&c.csv);
	fclose(c.plan);
	return bad;
}
