#include "host-sim/sweep/plan.h"

#include "host-sim/options.h"
#include "host-sim/results.h"
#include "host-sim/sweep/folder.h"
#include "host-sim/sweep/point.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct planner {
	const struct sweep_spec *spec;
	const char *folder;
	unsigned piece;
	struct plan *plan;
	struct point *point;       /* large */
	struct new_file lines;     /* plan.jsonl */
	struct new_file ninja;     /* the present piece */
	char (*id)[HASH_NAME_MAX]; /* of the runs in it */
	unsigned ids;
	char program[FOLDER_PATH_MAX], firmware[FOLDER_PATH_MAX];
	char *error;
	size_t error_size;
};

/* ---- run-point ---- */

/* A point that fails is a result, too: only an interruption, or a disk that takes no more, stops ninja. */
static const char script_head[] =
	"#!/bin/sh\n"
	"# Runs one point of the sweep: run-point ID. The options are in points/ID.args. The results become "
	"points/ID.json; if\n"
	"# the run fails, points/ID.failed says why, and points/ID.failed.json has what results there are.\n"
	"# Written by `kickstand sweep`.\n"
	"cd \"${0%/*}\" || exit 2\n"
	"point=points/$1\n"
	"part=$point.part-${SLURM_JOB_ID:-0}-$$\n"
	"rm -f \"$point.json\" \"$point.failed\" \"$point.failed.json\"\n"
	"read -r arguments <\"$point.args\" || exit 2\n"
	"trap 'rm -f \"$part\" \"$part-messages\"; exit 130' INT TERM HUP\n";
static const char script_tail[] =
	"status=$?\n"
	"case $status in\n"
	"0)\n"
	"\tmv \"$part\" \"$point.json\" && rm -f \"$part-messages\"\n"
	"\t;;\n"
	"130 | 143)\n"
	"\trm -f \"$part\" \"$part-messages\"\n"
	"\texit $status\n"
	"\t;;\n"
	"*)\n"
	"\tif [ -f \"$part\" ]; then mv \"$part\" \"$point.failed.json\"; fi\n"
	"\techo \"failed with exit status $status: $(head -n 1 \"$part-messages\")\"\n"
	"\t{ echo $status && cat \"$part-messages\"; } >\"$part-failed\" && mv \"$part-failed\" "
	"\"$point.failed\" && rm -f \"$part-messages\"\n"
	"\t;;\n"
	"esac\n";

static void put_shell_word(const char *text, FILE *out)
{
	fputc('\'', out);
	for (; *text; text++)
		fputs(*text == '\'' ? "'\\''" : (char[]){*text, '\0'}, out);
	fputc('\'', out);
}

static int put_script(struct planner *p)
{
	struct new_file file = {0};
	new_file_begin(&file, p->folder, "run-point");
	if (file.out) {
		fprintf(file.out, "%sprogram=", script_head);
		put_shell_word(p->program, file.out);
		fprintf(file.out,
			"\neval \"\\\"\\$program\\\" run $arguments --json \\\"\\$part\\\"\" >/dev/null "
			"2>\"$part-messages\" </dev/null\n%s",
			script_tail);
		fchmod(fileno(file.out), 0777 & ~022);
	}
	return new_file_end(&file, p->error, p->error_size);
}

/* ---- ninja ---- */

static void put_ninja_path(const char *path, FILE *out)
{
	for (; *path; path++) {
		if (strchr("$ :", *path))
			fputc('$', out);
		fputc(*path, out);
	}
}

static void put_ninja_text(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (*text == '$')
			fputc('$', out);
		fputc(*text, out);
	}
}

static void begin_piece(struct planner *p)
{
	char name[40];
	snprintf(name, sizeof(name), "ninja/%u.ninja", p->plan->pieces);
	new_file_begin(&p->ninja, p->folder, name);
	p->ids = 0;
	if (!p->ninja.out)
		return;
	/* As with a generator, only times count, and no log of commands: the piece a run is in may change. */
	fprintf(p->ninja.out,
		"# Written by `kickstand sweep`.\n"
		"ninja_required_version = 1.10\n"
		"builddir = ninja/%u\n"
		"rule point\n"
		"  command = ./run-point $id\n"
		"  description = $what\n"
		"  generator = 1\n"
		"build program: phony ",
		p->plan->pieces);
	put_ninja_path(p->program, p->ninja.out);
	fputc(' ', p->ninja.out);
	put_ninja_path(p->firmware, p->ninja.out);
	fputc('\n', p->ninja.out);
}

static int end_piece(struct planner *p)
{
	p->plan->pieces++;
	return new_file_end(&p->ninja, p->error, p->error_size);
}

/* Points may be the same: a baseline on the grid, values drawn twice. They run once. */
static bool is_in_piece(const struct planner *p, const char *id)
{
	for (unsigned i = 0; i < p->ids; i++)
		if (strcmp(p->id[i], id) == 0)
			return true;
	return false;
}

static void put_build(struct planner *p)
{
	const struct point *point = p->point;
	char label[600];
	FILE *out = p->ninja.out;
	point_label(point, p->spec, label, sizeof(label));
	fprintf(out,
		"build points/%s.json: point points/%s.args | program\n  id = %s\n  what = point %" PRIu64
		" seed %" PRIu64 ": ",
		point->id, point->id, point->id, point->number, point->seed);
	put_ninja_text(label, out);
	fputc('\n', out);
	memcpy(p->id[p->ids++], point->id, sizeof(point->id));
}

/* Of an earlier, larger plan. */
static void drop_other_pieces(const struct planner *p)
{
	char path[FOLDER_PATH_MAX];
	for (unsigned i = p->plan->pieces;; i++) {
		snprintf(path, sizeof(path), "%s/ninja/%u.ninja", p->folder, i);
		if (unlink(path) != 0)
			return;
	}
}

/* ---- runs ---- */

static int put_point_files(struct planner *p)
{
	const struct point *point = p->point;
	char name[80];
	int bad = 0;
	snprintf(name, sizeof(name), "jobs/%s", point->job_name);
	bad = folder_put(p->folder, name, point->job_text, p->error, p->error_size);
	snprintf(name, sizeof(name), "points/%s.args", point->id);
	char *line;
	if (bad || asprintf(&line, "%s\n", point->arguments) < 0)
		return -1;
	bad = folder_put(p->folder, name, line, p->error, p->error_size);
	free(line);
	return bad;
}

static void put_line(struct planner *p)
{
	json_t *row = point_json(p->point, p->spec);
	if (p->lines.out) {
		json_dumpf(row, p->lines.out, JSON_COMPACT | JSON_REAL_PRECISION(15));
		fputc('\n', p->lines.out);
	}
	json_decref(row);
}

static int put_run(struct planner *p)
{
	if (p->plan->runs % p->piece == 0) {
		if (p->plan->runs != 0 && end_piece(p) != 0)
			return -1;
		begin_piece(p);
	}
	p->plan->runs++;
	if (p->ninja.out && !is_in_piece(p, p->point->id))
		put_build(p);
	put_line(p);
	return put_point_files(p);
}

static int put_runs(struct planner *p)
{
	uint64_t points = design_points(&p->spec->design);
	for (uint64_t number = 0; number < points; number++) {
		for (unsigned seed = 0; seed < p->spec->seeds; seed++) {
			if (point_make(p->point, p->spec, number, seed) != 0) {
				snprintf(p->error, p->error_size, "out of memory");
				return -1;
			}
			int bad = put_run(p);
			point_free(p->point);
			if (bad)
				return -1;
		}
	}
	if (end_piece(p) != 0)
		return -1;
	drop_other_pieces(p);
	return new_file_end(&p->lines, p->error, p->error_size);
}

/* ---- sweep.json ---- */

static json_t *axis_json(const struct axis *axis)
{
	json_t *object = json_object(), *keys = json_array(), *values = json_array();
	char text[AXIS_TEXT_MAX];
	for (unsigned i = 0; i < axis->keys; i++)
		json_array_append_new(keys, json_string(axis->key[i]));
	for (unsigned i = 0; i < axis->levels; i++) {
		axis_label(axis, i, text);
		json_array_append_new(values, json_string(text));
	}
	json_object_set_new(object, "name", json_string(axis->name));
	json_object_set_new(object, "keys", keys);
	json_object_set_new(object, "values", values);
	return object;
}

static json_t *metrics_json(void)
{
	static const char *const better[] = {"less", "neither", "more"};
	json_t *array = json_array();
	for (unsigned i = 0; i < METRICS; i++)
		json_array_append_new(array,
				      json_pack("{s:s, s:s, s:s, s:s}", "name", metrics[i].name, "unit",
						metrics[i].unit, "better", better[metrics[i].better + 1],
						"meaning", metrics[i].meaning));
	return array;
}

static void add_goals(json_t *root, const struct sweep_spec *spec)
{
	json_t *constraints = json_array();
	for (unsigned i = 0; i < spec->constraints; i++) {
		const struct constraint *constraint = &spec->constraint[i];
		json_array_append_new(constraints,
				      json_pack("{s:s, s:s, s:f}", "metric", metrics[constraint->metric].name,
						"op", constraint->at_most ? "<=" : ">=", "value",
						constraint->value));
	}
	json_object_set_new(root, "constraints", constraints);
	json_object_set_new(root, "objective",
			    spec->objective == METRICS
				    ? json_null()
				    : json_pack("{s:s, s:s}", "metric", metrics[spec->objective].name, "goal",
						spec->maximise ? "maximise" : "minimise"));
}

static int put_summary(struct planner *p)
{
	const struct sweep_spec *spec = p->spec;
	static const char *const designs[] = {
		[DESIGN_GRID] = "grid", [DESIGN_LHS] = "lhs", [DESIGN_ONE_AT_A_TIME] = "one_at_a_time"};
	json_t *root = json_object(), *seeds = json_array(), *axes = json_array(), *baseline = json_object();
	const char *slash = strrchr(spec->path, '/');
	for (unsigned i = 0; i < spec->seeds; i++)
		json_array_append_new(seeds, json_integer((json_int_t)spec->seed[i]));
	for (unsigned i = 0; i < spec->design.axes; i++)
		json_array_append_new(axes, axis_json(&spec->axis[i]));
	for (unsigned i = 0; i < spec->baseline.count; i++)
		json_object_set_new(baseline, spec->baseline.item[i].key,
				    json_string(spec->baseline.item[i].value));
	json_object_set_new(root, "version", json_string(KICKSTAND_VERSION));
	json_object_set_new(root, "spec", json_string(slash ? slash + 1 : spec->path));
	json_object_set_new(root, "design", json_string(designs[spec->design.kind]));
	json_object_set_new(root, "points", json_integer((json_int_t)design_points(&spec->design)));
	json_object_set_new(root, "runs", json_integer((json_int_t)p->plan->runs));
	json_object_set_new(root, "seeds", seeds);
	json_object_set_new(root, "axes", axes);
	json_object_set_new(root, "baseline", baseline);
	add_goals(root, spec);
	json_object_set_new(root, "metrics", metrics_json());
	char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	json_decref(root);
	if (!text) {
		snprintf(p->error, p->error_size, "out of memory");
		return -1;
	}
	int bad = folder_put(p->folder, "sweep.json", text, p->error, p->error_size);
	free(text);
	return bad;
}

/* ---- all of it ---- */

static int find_program(struct planner *p)
{
	ssize_t length = readlink("/proc/self/exe", p->program, sizeof(p->program) - 1);
	p->program[length > 0 ? length : 0] = '\0';
	if (p->spec->firmware)
		snprintf(p->firmware, sizeof(p->firmware), "%s", p->spec->firmware);
	else
		program_file("firmware/firmware.elf", p->firmware, sizeof(p->firmware));
	if (access(p->firmware, R_OK) == 0 && !strchr(p->program, '\n') && !strchr(p->firmware, '\n'))
		return 0;
	snprintf(p->error, p->error_size, "%s: cannot be read: %s", p->firmware, strerror(errno));
	return -1;
}

static int put_all(struct planner *p)
{
	char jobs[FOLDER_PATH_MAX];
	snprintf(jobs, sizeof(jobs), "%s/jobs", p->folder);
	for (unsigned i = 0; i < p->spec->jobs; i++)
		if (job_template_copy_logs(&p->spec->job[i], jobs, p->error, p->error_size) != 0)
			return -1;
	if (put_script(p) != 0 || put_runs(p) != 0)
		return -1;
	return put_summary(p);
}

int plan_write(struct plan *plan, const struct sweep_spec *spec, const char *folder, unsigned piece,
	       char *error, size_t error_size)
{
	struct planner planner = {.spec = spec,
				  .folder = folder,
				  .piece = piece,
				  .plan = plan,
				  .point = calloc(1, sizeof(*planner.point)),
				  .id = calloc(piece, sizeof(*planner.id)),
				  .error = error,
				  .error_size = error_size};
	*plan = (struct plan){0};
	int bad = find_program(&planner);
	if (!bad && (!planner.point || !planner.id)) {
		snprintf(error, error_size, "out of memory");
		bad = -1;
	}
	if (!bad) {
		new_file_begin(&planner.lines, folder, "plan.jsonl");
		bad = put_all(&planner);
		new_file_drop(&planner.lines);
		new_file_drop(&planner.ninja);
	}
	free(planner.point);
	free(planner.id);
	return bad;
}
