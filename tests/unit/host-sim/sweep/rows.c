#include "tests/unit/host-sim/sweep/rows.h"

#include "pcie/base.h"

#include <math.h>
#include <unistd.h>

static json_t *metric(const char *name, const char *better)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "name", name, "unit", "", "better", better, "meaning", name);
}

void rows_begin(struct rows *rows, unsigned seeds)
{
	json_t *values = json_array(), *numbers = json_array();
	*rows = (struct rows){.list = json_array(), .seeds = seeds};
	assert_true(seeds <= ROWS_SEEDS_MAX);
	snprintf(rows->folder, sizeof(rows->folder), "/tmp/kickstand-rows-XXXXXX");
	assert_non_null(mkdtemp(rows->folder));
	for (char digit[] = "0"; digit[0] <= '9'; digit[0]++)
		json_array_append_new(values, json_string(digit));
	for (unsigned i = 0; i < seeds; i++)
		json_array_append_new(numbers, json_integer(i + 1));
	rows->sweep = json_pack("{s:s, s:s, s:s, s:o, s:[{s:s, s:[s], s:o}], s:[], s:n, s:[o, o, o]}",
				"version", "1", "spec", "study.ini", "design", "grid", "seeds", numbers,
				"axes", "name", "card.x", "keys", "card.x", "values", values, "constraints",
				"objective", "metrics", metric("iops", "more"), metric("p99_us", "less"),
				metric("doorbells_per_io", "less"));
	assert_non_null(rows->sweep);
}

void rows_constrain(struct rows *rows, const char *name, const char *op, double bound)
{
	json_array_append_new(json_object_get(rows->sweep, "constraints"),
			      json_pack("{s:s, s:s, s:f}", "metric", name, "op", op, "value", bound));
}

void rows_objective(struct rows *rows, const char *name, const char *goal)
{
	json_object_set_new(rows->sweep, "objective", json_pack("{s:s, s:s}", "metric", name, "goal", goal));
}

static json_t *number(double value)
{
	return isnan(value) ? json_null() : json_real(value);
}

static json_t *good_run(void)
{
	return json_pack("{s:{s:{s:f}, s:{s:f}}}", "stages_ns", "submit", "mean", 150.0, "medium", "mean",
			 8000.0);
}

void rows_add(struct rows *rows, const char *role, const double *iops, const double *p99_us,
	      const char *error)
{
	unsigned point = (unsigned)json_array_size(rows->list) / rows->seeds;
	for (unsigned i = 0; i < rows->seeds; i++) {
		const char *bad = i + 1 == rows->seeds ? error : NULL;
		char id[32], command[64];
		snprintf(id, sizeof(id), "%u-%u", point, i);
		snprintf(command, sizeof(command), "kickstand run --set card.x=%u --seed %u", point % 10,
			 i + 1);
		json_t *row =
			json_pack("{s:i, s:s, s:i, s:s, s:i, s:s?, s:s, s:{s:i}, s:{s:i}, s:{s:o, s:o, s:f}}",
				  "point", (int)point, "role", role, "seed", (int)i + 1, "id", id, "status",
				  bad ? 3 : 0, "error", bad, "command", command, "axes", "card.x",
				  (int)point % 10, "level", "card.x", (int)point % 10, "metrics", "iops",
				  number(iops[i]), "p99_us", number(p99_us[i]), "doorbells_per_io", 0.5);
		json_object_set_new(row, "run", bad ? json_null() : good_run());
		assert_int_equal(json_array_append_new(rows->list, row), 0);
	}
}

json_t *rows_last(struct rows *rows, unsigned seed)
{
	return json_array_get(rows->list, json_array_size(rows->list) - rows->seeds + seed);
}

void rows_write(const struct rows *rows)
{
	char path[128];
	const json_t *row;
	size_t i;
	snprintf(path, sizeof(path), "%s/sweep.json", rows->folder);
	assert_int_equal(json_dump_file(rows->sweep, path, 0), 0);
	snprintf(path, sizeof(path), "%s/results.jsonl", rows->folder);
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	json_array_foreach(rows->list, i, row)
	{
		json_dumpf(row, out, JSON_COMPACT);
		fputc('\n', out);
	}
	assert_int_equal(fclose(out), 0);
}

void rows_end(struct rows *rows)
{
	static const char *const files[] = {"sweep.json", "results.jsonl", "report.html"};
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char path[128];
		snprintf(path, sizeof(path), "%s/%s", rows->folder, files[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(rows->folder), 0);
	json_decref(rows->sweep);
	json_decref(rows->list);
}
