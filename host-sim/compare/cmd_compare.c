#include "host-sim/commands.h"
#include "host-sim/compare/compare.h"
#include "host-sim/results.h"

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 10000

struct arguments {
	struct compare_options options;
	const char *json;
	/* --a and --b, each with several files; or plain files, the first against each of the others */
	const char **file[2];
	unsigned files[2];
};

static void usage(FILE *out)
{
	char names[400];
	metric_names(names, sizeof(names));
	fputs("usage: kickstand compare A B [B]... [OPTION]...\n"
	      "       kickstand compare --a FILE... --b FILE... [OPTION]...\n\n"
	      "Prints what changed from A to B: configuration, and every figure with its change, its "
	      "significance over seeds,\n"
	      "and whether it is better or worse. A and B are results of `kickstand run --json`, the "
	      "results.jsonl of a sweep\n"
	      "or its folder (points with the same values are compared), or FILE.jsonl#N for point N of a "
	      "sweep. With more\n"
	      "than two files the first is compared with each of the others. Runs with several seeds: --a "
	      "and --b take\n"
	      "several files each.\n\n"
	      "  --max-regression METRIC=LIMIT  exit status 1 if METRIC becomes worse by more than LIMIT, "
	      "such as p99=5% or\n"
	      "                                 core_load=0.05, and significantly so where there are seeds; "
	      "may be repeated\n"
	      "  --test welch|mann-whitney      the test for significance (default: Welch's t-test)\n"
	      "  --alpha P                      level of significance (default 0.05)\n"
	      "  --json FILE                    the comparison for machines, - for standard output (then no "
	      "table)\n"
	      "  --help                         this text\n\n",
	      out);
	fprintf(out, "Metrics: %s.\n\n", names);
	fputs("Exit status: 0 compared, no figure past its limit; 1 some are; 2 usage error or a file that "
	      "cannot be used.\n",
	      out);
}

static int complain(const char *reason)
{
	fprintf(stderr, "kickstand compare: %s\n", reason);
	return EXIT_USAGE;
}

/* ---- arguments ---- */

static int bad_limit(const char *text)
{
	char reason[300];
	snprintf(reason, sizeof(reason),
		 "--max-regression: '%.100s' is not METRIC=LIMIT, such as p99=5%% or core_load=0.05", text);
	return complain(reason);
}

/* Returns -1 to go on, else the exit status. */
static int add_limit(struct compare_options *options, const char *text)
{
	char name[40], names[400], reason[500], *end;
	const char *equals = strchr(text, '=');
	if (!equals || (size_t)(equals - text) >= sizeof(name))
		return bad_limit(text);
	snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
	enum metric_id metric = metric_find(name);
	if (metric == METRICS) {
		metric_names(names, sizeof(names));
		snprintf(reason, sizeof(reason), "--max-regression: no metric '%s'; there are %s", name,
			 names);
		return complain(reason);
	}
	if (metrics[metric].better == 0) {
		snprintf(reason, sizeof(reason),
			 "--max-regression: neither more nor less of %s is worse; choose another metric",
			 metrics[metric].name);
		return complain(reason);
	}
	struct limit limit = {.set = true, .value = strtod(equals + 1, &end)};
	limit.relative = *end == '%';
	end += limit.relative;
	if (end == equals + 1 || *end || !isfinite(limit.value) || limit.value < 0)
		return bad_limit(text);
	limit.value /= limit.relative ? 100 : 1;
	options->limit[metric] = limit;
	return -1;
}

static int set_test(struct compare_options *options, const char *text)
{
	bool welch = strcmp(text, "welch") == 0;
	if (!welch && strcmp(text, "mann-whitney") != 0)
		return complain("--test: give welch or mann-whitney");
	options->test = welch ? TEST_WELCH : TEST_MANN_WHITNEY;
	return -1;
}

static int set_alpha(struct compare_options *options, const char *text)
{
	char *end;
	options->alpha = strtod(text, &end);
	if (end == text || *end || !(options->alpha > 0 && options->alpha < 1))
		return complain("--alpha: give a number between 0 and 1, such as 0.05");
	return -1;
}

static int add_file(struct arguments *arguments, unsigned side, const char *path)
{
	const char **list = reallocarray(arguments->file[side], arguments->files[side] + 1, sizeof(*list));
	if (!list)
		return complain("out of memory");
	arguments->file[side] = list;
	list[arguments->files[side]++] = path;
	return -1;
}

/* Plain files: the first is a. Returns -1 to go on, else the exit status. */
static int parse_arguments(struct arguments *arguments, int argc, char **argv, bool *several)
{
	static const struct option options[] = {
		{"a", required_argument, NULL, 'a'},
		{"b", required_argument, NULL, 'b'},
		{"max-regression", required_argument, NULL, 'm'},
		{"test", required_argument, NULL, 't'},
		{"alpha", required_argument, NULL, 'p'},
		{"json", required_argument, NULL, 'J'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option, side = -1, status = -1;
	optind = 1;
	while (status < 0 && (option = getopt_long(argc, argv, "-", options, NULL)) != -1) {
		switch (option) {
		case 'a':
		case 'b':
			side = option - 'a';
			status = add_file(arguments, (unsigned)side, optarg);
			break;
		case 1: /* a file without an option: of the side that was named last */
			*several = *several || side < 0;
			status = add_file(arguments, side >= 0 ? (unsigned)side : arguments->files[0] != 0,
					  optarg);
			break;
		case 'm': status = add_limit(&arguments->options, optarg); break;
		case 't': status = set_test(&arguments->options, optarg); break;
		case 'p': status = set_alpha(&arguments->options, optarg); break;
		case 'J': arguments->json = optarg; break;
		case 'h': usage(stdout); return EXIT_OK;
		default: return EXIT_USAGE; /* getopt has said what is wrong */
		}
	}
	if (status >= 0)
		return status;
	if (*several && side >= 0)
		return complain("give either files, or --a FILE... and --b FILE...");
	if (arguments->files[0] == 0 || arguments->files[1] == 0)
		return complain("two sides are needed: kickstand compare A B, or --a FILE... --b FILE...");
	return -1;
}

/* ---- comparing ---- */

static int load_side(struct side *side, const char *const *file, unsigned files)
{
	char error[FILES_MAX];
	*side = (struct side){0};
	for (unsigned i = 0; i < files; i++)
		if (side_add(side, file[i], error, sizeof(error)) != 0)
			return complain(error);
	return -1;
}

static void print_sides(const struct arguments *arguments, const struct side *a, const struct side *b,
			const char *const *file, unsigned files)
{
	const struct {
		const char *name;
		const char *const *file;
		unsigned files;
		const struct side *side;
	} sides[] = {{"a", arguments->file[0], arguments->files[0], a}, {"b", file, files, b}};
	for (size_t i = 0; i < ARRAY_SIZE(sides); i++) {
		printf("%s  %s", sides[i].name, sides[i].file[0]);
		if (sides[i].files > 1)
			printf(" and %u more", sides[i].files - 1);
		if (sides[i].side->left_out != 0)
			printf(" (%" PRIu64 " failed runs left out)", sides[i].side->left_out);
		fputc('\n', stdout);
	}
	fputc('\n', stdout);
}

/* Side b are the files given. Adds its document to `documents`. */
static int compare_with(const struct arguments *arguments, const struct side *a, const char *const *file,
			unsigned files, json_t *documents)
{
	struct side b;
	struct comparison comparison;
	char error[500];
	int status = load_side(&b, file, files);
	if (status < 0 && compare_sides(&comparison, a, &b, &arguments->options, error, sizeof(error)) == 0) {
		if (!arguments->json || strcmp(arguments->json, "-") != 0) {
			print_sides(arguments, a, &b, file, files);
			comparison_print(&comparison, &arguments->options, stdout);
		}
		json_t *document = comparison_json(&comparison);
		json_object_set_new(document, "b", json_string(file[0]));
		json_array_append_new(documents, document);
		status = comparison.past_limits != 0 ? EXIT_IO : EXIT_OK;
		comparison_free(&comparison);
	} else if (status < 0) {
		comparison_free(&comparison);
		status = complain(error);
	}
	side_free(&b);
	return status;
}

static int compare_all(const struct arguments *arguments, const struct side *a, bool several,
		       json_t *documents)
{
	if (!several)
		return compare_with(arguments, a, arguments->file[1], arguments->files[1], documents);
	int worst = EXIT_OK;
	for (unsigned i = 0; i < arguments->files[1]; i++) {
		if (i != 0 && (!arguments->json || strcmp(arguments->json, "-") != 0))
			fputc('\n', stdout);
		int status = compare_with(arguments, a, &arguments->file[1][i], 1, documents);
		worst = status > worst ? status : worst;
	}
	return worst;
}

static int write_json(const struct arguments *arguments, json_t *documents)
{
	char error[500];
	json_t *root = json_object();
	json_object_set_new(root, "version", json_string(KICKSTAND_VERSION));
	json_object_set_new(root, "a", json_string(arguments->file[0][0]));
	json_object_set_new(root, "test",
			    json_string(arguments->options.test == TEST_WELCH ? "welch" : "mann-whitney"));
	json_object_set_new(root, "correction", json_string("holm"));
	json_object_set_new(root, "alpha", json_real(arguments->options.alpha));
	json_object_set(root, "comparisons", documents);
	if (results_dump(root, arguments->json, error, sizeof(error)) != 0)
		return complain(error);
	return EXIT_OK;
}

int cmd_compare(int argc, char **argv)
{
	struct arguments arguments = {.options = {.alpha = 0.05}};
	struct side a;
	bool several = false;
	int status = parse_arguments(&arguments, argc, argv, &several);
	if (status < 0) {
		json_t *documents = json_array();
		status = load_side(&a, arguments.file[0], arguments.files[0]);
		if (status < 0)
			status = compare_all(&arguments, &a, several, documents);
		if (status != EXIT_USAGE && arguments.json && write_json(&arguments, documents) != EXIT_OK)
			status = EXIT_USAGE;
		json_decref(documents);
		side_free(&a);
	}
	free(arguments.file[0]);
	free(arguments.file[1]);
	return status;
}
