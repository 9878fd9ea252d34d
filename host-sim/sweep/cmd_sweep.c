#include "host-sim/commands.h"
#include "host-sim/sweep/collect.h"
#include "host-sim/sweep/folder.h"
#include "host-sim/sweep/launch.h"
#include "host-sim/sweep/report_html.h"
#include "host-sim/sweep/slurm.h"

#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOCAL_PIECE 1000 /* runs that ninja gets at a time: what it keeps of each is memory */
#define JOBS_MAX    4096

struct arguments {
	const char *spec, *folder;
	unsigned jobs; /* 0 = not given */
	bool slurm, submit, collect, report;
};

static void usage(FILE *out)
{
	fputs("usage: kickstand sweep SPEC --out DIR [OPTION]...\n"
	      "       kickstand sweep --collect --out DIR\n"
	      "       kickstand sweep --report --out DIR\n\n"
	      "Runs every point that the specification asks for, several at a time, and writes "
	      "DIR/results.csv and\n"
	      "DIR/results.jsonl, one row a run, and DIR/report.html, a page for a browser; docs/report.md "
	      "describes it. Started\n"
	      "again, it goes on where it was stopped, and runs only what is new or older than the program. "
	      "docs/sweep.md describes\n"
	      "the specification and the rows.\n\n"
	      "  --out DIR              folder for everything the sweep writes; made if it is not there\n"
	      "  --jobs N               runs at a time (default: one a CPU; with Slurm one a task)\n"
	      "  --launcher local|slurm run here, or write a job array: DIR/submit hands it to Slurm\n"
	      "  --submit               with --launcher slurm: hand it over at once\n"
	      "  --collect              only put together the results that are there\n"
	      "  --report               only write DIR/report.html anew, from the rows that are there\n"
	      "  --help                 this text\n\n"
	      "Exit status: 0 all runs done, 1 some failed (their rows say why), 2 usage error or a "
	      "specification that\n"
	      "cannot be used, 130 interrupted by ^C.\n",
	      out);
}

static int complain(const char *reason)
{
	fprintf(stderr, "kickstand sweep: %s\n", reason);
	return EXIT_USAGE;
}

static int complain_of(const char *format, const char *word)
{
	char text[300];
	snprintf(text, sizeof(text), format, word);
	return complain(text);
}

static bool parse_jobs(const char *text, unsigned *jobs)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);
	*jobs = (unsigned)value;
	return text[0] >= '0' && text[0] <= '9' && !*end && value >= 1 && value <= JOBS_MAX;
}

static int check_arguments(const struct arguments *arguments)
{
	if (!arguments->folder)
		return complain("where to? give --out DIR");
	if (!arguments->spec && !arguments->collect && !arguments->report)
		return complain("which sweep? give a specification: kickstand sweep SPEC --out DIR");
	if (arguments->spec && arguments->collect)
		return complain_of("--collect takes what is in DIR; leave out '%.200s'", arguments->spec);
	if (arguments->spec && arguments->report)
		return complain_of("--report takes what is in DIR; leave out '%.200s'", arguments->spec);
	if (arguments->submit && !arguments->slurm)
		return complain("--submit goes with --launcher slurm");
	return -1;
}

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(struct arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{"out", required_argument, NULL, 'o'},      {"jobs", required_argument, NULL, 'j'},
		{"launcher", required_argument, NULL, 'l'}, {"submit", no_argument, NULL, 's'},
		{"collect", no_argument, NULL, 'c'},        {"report", no_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},           {0},
	};
	int option;
	optind = 1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'o': arguments->folder = optarg; break;
		case 'j':
			if (!parse_jobs(optarg, &arguments->jobs))
				return complain_of("--jobs: '%.60s' is not a number from 1 to 4096", optarg);
			break;
		case 'l':
			arguments->slurm = strcmp(optarg, "slurm") == 0;
			if (!arguments->slurm && strcmp(optarg, "local") != 0)
				return complain_of("--launcher: '%.60s' is unknown; give local or slurm",
						   optarg);
			break;
		case 's': arguments->submit = true; break;
		case 'c': arguments->collect = true; break;
		case 'r': arguments->report = true; break;
		case 'h': usage(stdout); return EXIT_OK;
		default: return EXIT_USAGE; /* getopt has said what is wrong */
		}
	}
	if (optind < argc)
		arguments->spec = argv[optind++];
	if (optind < argc)
		return complain_of("unexpected argument '%.200s'; `kickstand sweep --help` lists the options",
				   argv[optind]);
	return check_arguments(arguments);
}

static unsigned cpus(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* Prints the recommendation, too. */
static int report(const char *folder)
{
	char error[FOLDER_PATH_MAX + 300];
	int bad = report_html_make(folder, stdout, error, sizeof(error));
	if (bad < 0)
		return complain(error);
	if (bad > 0) {
		printf("no report: %s\n", error);
		return EXIT_OK;
	}
	printf("pictures and figures: %s/report.html\n", folder);
	return EXIT_OK;
}

static int collect(const char *folder)
{
	struct collected result;
	char error[FOLDER_PATH_MAX + 300];
	if (collect_results(&result, folder, error, sizeof(error)) != 0)
		return complain(error);
	printf("%" PRIu64 " of %" PRIu64 " runs done: %s/results.csv, %s/results.jsonl\n", result.done,
	       result.runs, folder, folder);
	fflush(stdout);
	if (result.failed != 0)
		fprintf(stderr, "kickstand sweep: %" PRIu64 " %s failed, the first: %s\n", result.failed,
			result.failed == 1 ? "run" : "runs", result.first_failure);
	if (result.missing != 0)
		fprintf(stderr,
			"kickstand sweep: %" PRIu64 " %s not been done yet; start the sweep again to go on\n",
			result.missing, result.missing == 1 ? "run has" : "runs have");
	if (result.done + result.failed != 0 && report(folder) != EXIT_OK)
		return EXIT_USAGE;
	return result.failed || result.missing ? EXIT_IO : EXIT_OK;
}

static int run_here(const struct plan *plan, const struct arguments *arguments)
{
	char error[FOLDER_PATH_MAX + 300];
	int stop_signal;
	unsigned jobs = arguments->jobs ? arguments->jobs : cpus();
	switch (launch_local(plan, arguments->folder, jobs, &stop_signal, error, sizeof(error))) {
	case LAUNCH_DONE: return collect(arguments->folder);
	case LAUNCH_STOPPED: collect(arguments->folder); return EXIT_SIGNAL + stop_signal;
	case LAUNCH_FAILED: break;
	}
	return complain(error);
}

static int hand_to_slurm(const struct plan *plan, const struct arguments *arguments)
{
	char error[FOLDER_PATH_MAX + 300];
	if (slurm_write(plan, arguments->folder, arguments->jobs ? arguments->jobs : 1, error,
			sizeof(error)) != 0)
		return complain(error);
	if (!arguments->submit) {
		printf("%u array %s; hand them to Slurm with: %s/submit [SBATCH OPTION]...\n", plan->pieces,
		       plan->pieces == 1 ? "task" : "tasks", arguments->folder);
		return EXIT_OK;
	}
	return slurm_submit(arguments->folder, error, sizeof(error)) == 0 ? EXIT_OK : complain(error);
}

static int sweep(const struct sweep_spec *spec, const struct arguments *arguments)
{
	char error[FOLDER_PATH_MAX + 300];
	struct plan plan;
	unsigned piece = arguments->slurm ? slurm_piece(sweep_spec_runs(spec)) : LOCAL_PIECE;
	if (folder_make(arguments->folder, error, sizeof(error)) != 0)
		return complain(error);
	int lock = folder_lock(arguments->folder, error, sizeof(error));
	if (lock < 0)
		return complain(error);
	if (plan_write(&plan, spec, arguments->folder, piece, error, sizeof(error)) != 0) {
		close(lock);
		return complain(error);
	}
	printf("%" PRIu64 " points, %u %s each: %" PRIu64 " runs\n", design_points(&spec->design),
	       spec->seeds, spec->seeds == 1 ? "run" : "runs", plan.runs);
	int status = arguments->slurm ? hand_to_slurm(&plan, arguments) : run_here(&plan, arguments);
	close(lock);
	return status;
}

int cmd_sweep(int argc, char **argv)
{
	struct arguments arguments = {0};
	struct sweep_spec spec;
	char error[800];
	int status = parse_arguments(&arguments, argc, argv);
	if (status >= 0)
		return status;
	if (arguments.collect)
		return collect(arguments.folder);
	if (arguments.report)
		return report(arguments.folder);
	if (sweep_spec_load(&spec, arguments.spec, error, sizeof(error)) != 0)
		return complain(error);
	status = sweep(&spec, &arguments);
	sweep_spec_free(&spec);
	return status;
}
