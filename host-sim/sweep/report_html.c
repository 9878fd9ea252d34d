#include "host-sim/sweep/report_html.h"

#include "host-sim/sweep/folder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const char report_page_head[], report_page_tail[];

/* ---- metrics ---- */

/* How the page shows them: a label, the unit it scales by, and what they are about. */
static const struct look {
	const char *name, *label, *unit, *role;
	bool headline; /* in the comparison with the baseline, whatever the objective */
} looks[] = {
	{"iops", "IOPS", "1/s", "throughput", true},
	{"mbytes_per_s", "data rate", "MB/s", "throughput", false},
	{"mean_us", "mean latency", "us", "latency", true},
	{"p50_us", "p50 latency", "us", "latency", false},
	{"p90_us", "p90 latency", "us", "latency", false},
	{"p99_us", "p99 latency", "us", "latency", true},
	{"p99_9_us", "p99.9 latency", "us", "latency", true},
	{"max_us", "largest latency", "us", "latency", false},
	{"doorbells_per_io", "doorbells per I/O", "", "cost", true},
	{"services_per_io", "queue services per I/O", "", "cost", true},
	{"interrupts_per_io", "interrupts per I/O", "", "cost", true},
	{"core_load", "core load", "ratio", "utilisation", true},
	{"core_cycles_per_io", "core cycles per I/O", "cycles", "cost", false},
	{"link_up_load", "link load, to host", "ratio", "utilisation", false},
	{"link_down_load", "link load, to card", "ratio", "utilisation", false},
	{"link_up_bytes_per_io", "link bytes per I/O, to host", "bytes", "cost", false},
	{"link_down_bytes_per_io", "link bytes per I/O, to card", "bytes", "cost", false},
	{"medium_load", "medium load", "ratio", "utilisation", false},
	{"guest_load", "guest CPU load", "ratio", "utilisation", true},
};

static struct look look_of(const struct study_metric *metric)
{
	if (metric->stage)
		return (struct look){metric->name, metric->name, metric->unit, "stage", false};
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++)
		if (strcmp(looks[i].name, metric->name) == 0)
			return looks[i];
	return (struct look){metric->name, metric->name, metric->unit, "other", false};
}

static json_t *metric_json(const struct study_metric *metric)
{
	const struct look look = look_of(metric);
	return json_pack("{s:s, s:s, s:s, s:s?, s:s, s:s}", "name", metric->name, "label", look.label, "unit",
			 look.unit, "better",
			 metric->better > 0   ? "more"
			 : metric->better < 0 ? "less"
					      : NULL,
			 "role", look.role, "help", metric->meaning);
}

/* ---- points ---- */

static json_t *number_json(double value)
{
	/* Numbers that are next to nothing in any unit end the arithmetic of charts. */
	return !isfinite(value) ? json_null() : json_real(fabs(value) < 1e-100 ? 0 : value);
}

static const char *command_of(const json_t *run)
{
	const char *text = json_string_value(json_object_get(run, "command"));
	return text ? text : "";
}

/* The words that all commands of a point begin with: seeds differ at the end. */
static size_t common_length(const json_t *runs)
{
	const char *first = command_of(json_array_get(runs, 0));
	size_t length = strlen(first), i;
	const json_t *run;
	json_array_foreach(runs, i, run)
	{
		size_t same = 0;
		while (same < length && first[same] == command_of(run)[same])
			same++;
		length = same;
	}
	while (length > 0 && first[length] != '\0' && first[length - 1] != ' ')
		length--;
	return length;
}

static json_t *runs_json(const json_t *runs, size_t common)
{
	json_t *array = json_array();
	const json_t *run;
	size_t i;
	json_array_foreach(runs, i, run)
	{
		json_t *error = json_object_get(run, "error");
		json_t *item = json_pack("{s:O, s:s}", "seed", json_object_get(run, "seed"), "tail",
					 command_of(run) + common);
		if (error)
			json_object_set(item, "error", error);
		json_array_append_new(array, item);
	}
	return array;
}

static json_t *meets_json(const struct study *study, const struct study_point *point)
{
	for (unsigned i = 0; i < study->constraints; i++)
		if (check_constraint(point, &study->constraint[i]) == CHECK_MISSING)
			return json_null();
	return json_boolean(satisfies(study, point));
}

static json_t *point_json(const struct study *study, const struct study_point *point)
{
	json_t *at = json_array(), *mean = json_array(), *half = json_array();
	size_t common = common_length(point->runs);
	for (unsigned i = 0; i < study->axes; i++)
		json_array_append_new(at, json_integer(point->at[i]));
	for (unsigned m = 0; m < study->metrics; m++) {
		json_array_append_new(mean, number_json(point->estimate[m].mean));
		json_array_append_new(half, number_json(point->estimate[m].half));
	}
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:s%, s:o}", "number", (json_int_t)point->number, "at",
			 at, "mean", mean, "half", half, "meets", meets_json(study, point), "command",
			 command_of(json_array_get(point->runs, 0)), common, "runs",
			 runs_json(point->runs, common));
}

/* ---- the recommendation ---- */

static json_t *checks_json(const struct study *study, const struct study_point *point)
{
	static const char *const states[] = {[CHECK_MISSING] = "missing",
					     [CHECK_BROKEN] = "broken",
					     [CHECK_UNSURE] = "unsure",
					     [CHECK_MET] = "met"};
	json_t *array = json_array();
	for (unsigned i = 0; i < study->constraints; i++) {
		const struct study_constraint *c = &study->constraint[i];
		const struct estimate *e = &point->estimate[c->metric];
		json_array_append_new(array,
				      json_pack("{s:i, s:s, s:f, s:o, s:o, s:s}", "metric", (int)c->metric,
						"op", c->at_most ? "<=" : ">=", "bound", c->bound, "mean",
						number_json(e->mean), "half", number_json(e->half), "state",
						states[check_constraint(point, c)]));
	}
	return array;
}

static bool is_compared(const struct study *study, unsigned metric)
{
	for (unsigned i = 0; i < study->constraints; i++)
		if (study->constraint[i].metric == metric)
			return true;
	return look_of(&study->metric[metric]).headline;
}

static void add_gain(json_t *array, const struct study *study, const struct study_point *best,
		     unsigned metric)
{
	static const char *const kinds[] = {[GAIN_SAME] = "same",
					    [GAIN_UNSURE] = "unsure",
					    [GAIN_CHANGED] = "changed",
					    [GAIN_BETTER] = "better",
					    [GAIN_WORSE] = "worse"};
	struct gain gain;
	if (gain_over_baseline(study, best, metric, &gain))
		json_array_append_new(array,
				      json_pack("{s:i, s:f, s:o, s:o, s:s}", "metric", (int)metric, "change",
						gain.change, "low", number_json(gain.low), "high",
						number_json(gain.high), "verdict", kinds[gain.kind]));
}

static json_t *gains_json(const struct study *study, const struct study_point *best)
{
	json_t *array = json_array();
	add_gain(array, study, best, study->objective);
	for (unsigned m = 0; m < study->metrics; m++)
		if (m != study->objective && is_compared(study, m))
			add_gain(array, study, best, m);
	return array;
}

static json_t *nearest_json(const struct recommendation *r, const struct study *study)
{
	json_t *array = json_array();
	for (unsigned i = 0; i < r->nearests; i++)
		json_array_append_new(array, json_pack("{s:i, s:o}", "point", (int)r->nearest[i], "checks",
						       checks_json(study, &study->point[r->nearest[i]])));
	return array;
}

static json_t *sentences_json(const struct recommendation *r, const struct study *study)
{
	char *text = NULL, *state;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	json_t *array = json_array();
	if (!out)
		return array;
	recommendation_print(r, study, out);
	if (fclose(out) == 0)
		for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
			json_array_append_new(array, json_string(line));
	free(text);
	return array;
}

static json_t *recommendation_json(const struct recommendation *r, const struct study *study)
{
	static const char *const verdicts[] = {
		[VERDICT_NO_OBJECTIVE] = "no_objective",
		[VERDICT_NO_FIGURES] = "no_figures",
		[VERDICT_NONE] = "none",
		[VERDICT_ONLY] = "only",
		[VERDICT_ONE_SEED] = "one_seed",
		[VERDICT_TIED] = "tied",
		[VERDICT_BEST] = "best",
	};
	json_t *ties = json_array();
	json_t *object = json_pack("{s:s, s:b, s:o, s:o, s:o}", "verdict", verdicts[r->verdict],
				   "constrained", study->constraints != 0, "text", sentences_json(r, study),
				   "nearest", nearest_json(r, study), "ties", ties);
	for (unsigned i = 0; i < r->ties; i++)
		json_array_append_new(ties, json_integer(r->tie[i]));
	if (object && r->best != STUDY_NONE) {
		const struct study_point *best = &study->point[r->best];
		json_object_set_new(object, "best", json_integer(r->best));
		json_object_set_new(object, "objective", json_integer(study->objective));
		json_object_set_new(object, "checks", checks_json(study, best));
		json_object_set_new(object, "gains", gains_json(study, best));
	}
	return object;
}

/* ---- the page ---- */

json_t *report_html_data(const struct study *study, const struct recommendation *r)
{
	json_t *axes = json_array(), *metrics = json_array(), *points = json_array();
	for (unsigned i = 0; i < study->axes; i++)
		json_array_append_new(axes, json_pack("{s:s, s:b, s:O}", "name", study->axis[i].name, "load",
						      study->axis[i].load, "values", study->axis[i].values));
	for (unsigned i = 0; i < study->metrics; i++)
		json_array_append_new(metrics, metric_json(&study->metric[i]));
	for (unsigned i = 0; i < study->points; i++)
		json_array_append_new(points, point_json(study, &study->point[i]));
	return json_pack("{s:O?, s:O?, s:O?, s:i, s:O, s:o, s:o, s:o, s:o, s:o}", "title",
			 json_object_get(study->sweep, "spec"), "design",
			 json_object_get(study->sweep, "design"), "version",
			 json_object_get(study->sweep, "version"), "confidence",
			 (int)lround(STUDY_CONFIDENCE * 100), "seeds", json_object_get(study->sweep, "seeds"),
			 "axes", axes, "metrics", metrics, "points", points, "baseline",
			 study->baseline == STUDY_NONE ? json_null() : json_integer(study->baseline),
			 "recommendation", recommendation_json(r, study));
}

/* In a script element "</script" would end it, and "<!--" begin something stranger; in JSON these characters stand in texts
 * only, where an escape says the same. */
static int put_escaped(const char *text, size_t size, void *out)
{
	for (size_t i = 0; i < size; i++) {
		if (strchr("<>&", text[i]) && text[i] != '\0')
			fprintf(out, "\\u%04x", text[i]);
		else
			fputc(text[i], out);
	}
	return 0;
}

void report_html_put(const json_t *data, FILE *out)
{
	fputs(report_page_head, out);
	json_dump_callback(data, put_escaped, out, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(7));
	fputs(report_page_tail, out);
}

static int write_page(const struct study *study, const struct recommendation *r, const char *folder,
		      char *error, size_t error_size)
{
	struct new_file file;
	json_t *data = report_html_data(study, r);
	if (!data) {
		snprintf(error, error_size, "%s/report.html: out of memory", folder);
		return -1;
	}
	new_file_begin(&file, folder, "report.html");
	if (file.out)
		report_html_put(data, file.out);
	json_decref(data);
	return new_file_end(&file, error, error_size);
}

int report_html_make(const char *folder, FILE *out, char *error, size_t error_size)
{
	struct study study;
	struct recommendation r;
	int bad = study_load(&study, folder, error, error_size);
	if (bad)
		return bad;
	bad = recommend(&r, &study);
	if (bad) {
		snprintf(error, error_size, "%s/report.html: out of memory", folder);
	} else {
		if (out)
			recommendation_print(&r, &study, out);
		bad = write_page(&study, &r, folder, error, error_size);
		recommendation_free(&r);
	}
	study_free(&study);
	return bad;
}
