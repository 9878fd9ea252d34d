#include "host-sim/commands.h"
#include "host-sim/options.h"
#include "host-sim/report.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What runs without --job: the load the project's speed figures are given for. */
static const char default_job[] = "[randread]\n"
				  "rw=randread\n"
				  "bs=4k\n"
				  "iodepth=32\n"
				  "norandommap\n"
				  "io_size=400m\n";
static const char default_disk[] = "ram:64M";

struct arguments {
	struct config config;
	const char *job, *disk, *json, *trace, *wave, *firmware, *connect;
	bool verbose;
};

static void usage(FILE *out)
{
	fputs("usage: kickstand run [OPTION]...\n\n"
	      "Simulates a guest that finds the card behind its root port, brings up virtio-blk and does the "
	      "I/O of a fio\n"
	      "job, checks all data, and reports.\n\n"
	      "  --job FILE              fio job file; without it 4 KiB random reads at queue depth 32\n"
	      "  --disk SPEC             ram:SIZE, null:SIZE, nbd:URI or a raw image file (default ram:64M)\n"
	      "  --config FILE           INI file of configuration keys\n"
	      "  --set SECTION.KEY=VALUE one key, may be repeated; `kickstand config` lists them\n"
	      "  --seed N                the same as --set sim.seed=N\n"
	      "  --json FILE             results for machines, - for standard output (then no report)\n"
	      "  --trace FILE            timeline for Perfetto or chrome://tracing\n"
	      "  --wave FILE             the blocks' signals, for GTKWave: FILE.fst has those of the model "
	      "and "
	      "of RTL,\n"
	      "                          FILE.vcd (or any other name, .vcd is added) those of the model "
	      "only\n"
	      "  --firmware ELF          another firmware than the one built with the program\n"
	      "  --connect vfio-user:PATH  drive the card of `kickstand serve --vfio-user PATH` instead; "
	      "times are "
	      "the\n"
	      "                          wall clock's then, and --disk says what the server's disk held at "
	      "first, if\n"
	      "                          that is to be checked. With ,dma=messages at the end memory is not "
	      "shared\n"
	      "  --verbose               firmware console and notes on standard error\n"
	      "  --help                  this text\n\n"
	      "Exit status: 0 all I/O done and verified, 1 I/O or verification errors, 2 usage or "
	      "configuration error,\n"
	      "3 simulation error (deadlock, firmware trap, watchdog), with a state dump; 130 interrupted by "
	      "^C: the "
	      "jobs\n"
	      "end early, with their report.\n",
	      out);
}

static int complain(const char *reason)
{
	fprintf(stderr, "kickstand run: %s\n", reason);
	return EXIT_USAGE;
}

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(struct arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, OPTION_CONFIG},
		{"set", required_argument, NULL, OPTION_SET},
		{"job", required_argument, NULL, 'j'},
		{"disk", required_argument, NULL, 'd'},
		{"seed", required_argument, NULL, OPTION_SEED},
		{"json", required_argument, NULL, 'J'},
		{"trace", required_argument, NULL, 't'},
		{"wave", required_argument, NULL, 'w'},
		{"firmware", required_argument, NULL, 'f'},
		{"connect", required_argument, NULL, 'C'},
		{"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	char error[400];
	int option;
	config_defaults(&arguments->config);
	optind = 1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case OPTION_CONFIG:
		case OPTION_SET:
		case OPTION_SEED:
			if (option_config(&arguments->config, option, optarg, error, sizeof(error)) != 0)
				return complain(error);
			break;
		case 'j': arguments->job = optarg; break;
		case 'd': arguments->disk = optarg; break;
		case 'J': arguments->json = optarg; break;
		case 't': arguments->trace = optarg; break;
		case 'w': arguments->wave = optarg; break;
		case 'f': arguments->firmware = optarg; break;
		case 'C': arguments->connect = optarg; break;
		case 'v': arguments->verbose = true; break;
		case 'h': usage(stdout); return EXIT_OK;
		default: return EXIT_USAGE; /* getopt has said what is wrong */
		}
	}
	if (options_end(argc, argv, error, sizeof(error)) != 0)
		return complain(error);
	return -1;
}

static void log_line(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "%10.3f us  %s\n", (double)kernel_now_ps() / (double)PS_PER_US, line);
}

/* Set by the first ^C: signal handlers have no other way to tell. A second one ends the program at once. */
static volatile sig_atomic_t stop_signal;

static void note_signal(int number)
{
	stop_signal = number;
}

static void catch_interrupt(void)
{
	const struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESETHAND | SA_RESTART};
	struct sigaction before;
	/* Ignored from the start (nohup, a shell's background jobs): that is meant. */
	if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		sigaction(SIGINT, &action, NULL);
}

static int finish(struct run *run, const struct arguments *arguments)
{
	char error[400];
	if (run->outcome == RUN_REFUSED)
		return complain(run->error);
	if (run->outcome == RUN_LOST) {
		fprintf(stderr, "kickstand run: %s\n", run->error);
		return EXIT_IO;
	}
	if (run->outcome == RUN_FAILED) {
		fflush(stdout);
		fprintf(stderr, "kickstand run: %s\n", run->error);
		run_dump(run, stderr);
		return EXIT_SIMULATION;
	}
	if (!arguments->json || strcmp(arguments->json, "-") != 0)
		report_print(run, stdout);
	if (arguments->json && results_write(run, arguments->json, error, sizeof(error)) != 0)
		return complain(error);
	if (run->io_errors != 0) {
		fflush(stdout);
		fputs("kickstand run: ", stderr);
		report_first_error(run, stderr);
		return EXIT_IO;
	}
	return run->interrupted ? EXIT_SIGNAL + (int)stop_signal : EXIT_OK;
}

/* The server's disk: it is not ours to open, but what it holds can be looked up. */
static struct store_info disk_as_described(const char *spec)
{
	if (!spec)
		return (struct store_info){0};
	return (struct store_info){.spec = spec,
				   .kind = strncmp(spec, "ram:", 4) == 0    ? "ram"
					   : strncmp(spec, "null:", 5) == 0 ? "null"
					   : strncmp(spec, "nbd", 3) == 0   ? "nbd"
									    : "file"};
}

/* With either a disk for the card simulated here, or a card behind a socket. */
static int execute(const struct arguments *arguments, const struct fio_jobs *jobs, struct store *store,
		   struct vfio_client *remote)
{
	char firmware[4096], error[400];
	struct run *run = malloc(sizeof(*run)); /* histograms make it large */
	struct trace *trace = NULL;
	if (!run)
		return complain("out of memory");
	program_file("firmware/firmware.elf", firmware, sizeof(firmware));
	if (arguments->trace && !(trace = trace_open(arguments->trace, error, sizeof(error)))) {
		free(run);
		return complain(error);
	}
	const struct store_info remote_disk = disk_as_described(arguments->disk);
	const struct run_options options = {
		.remote = remote,
		.remote_disk = arguments->disk ? &remote_disk : NULL,
		.config = &arguments->config,
		.jobs = jobs,
		.store = store,
		.firmware_path = arguments->firmware ? arguments->firmware : firmware,
		.trace = trace,
		.wave = arguments->wave,
		.progress = isatty(STDERR_FILENO),
		.stop = &stop_signal,
		.log = arguments->verbose ? log_line : NULL,
	};
	catch_interrupt();
	run_execute(run, &options);
	int status = finish(run, arguments);
	if (trace && trace_close(trace, error, sizeof(error)) != 0)
		status = complain(error);
	run_destroy(run);
	free(run);
	return status;
}

static int execute_here(const struct arguments *arguments, const struct fio_jobs *jobs)
{
	char error[400];
	struct store *store = store_open(arguments->disk ? arguments->disk : default_disk,
					 arguments->config.device.read_only, arguments->config.sim.seed,
					 error, sizeof(error));
	int status = store ? execute(arguments, jobs, store, NULL) : complain(error);
	store_close(store);
	return status;
}

static int execute_there(struct arguments *arguments, const struct fio_jobs *jobs)
{
	char error[400];
	if (arguments->trace || arguments->wave || arguments->firmware)
		return complain(
			"--connect: the card is elsewhere; --trace, --wave and --firmware do not go with it");
	/* What the driver costs is what it costs here. */
	arguments->config.host.submit_ps = arguments->config.host.mmio_write_ps = 0;
	arguments->config.host.interrupt_ps = arguments->config.host.complete_ps = 0;
	struct vfio_client *remote = vfio_client_open(arguments->connect, error, sizeof(error));
	int status = remote ? execute(arguments, jobs, NULL, remote) : complain(error);
	vfio_client_close(remote);
	return status;
}

int cmd_run(int argc, char **argv)
{
	struct arguments arguments = {0};
	struct fio_jobs jobs;
	char error[400];
	int status = parse_arguments(&arguments, argc, argv);
	if (status >= 0)
		return status;
	if (config_check(&arguments.config, error, sizeof(error)) != 0)
		return complain(error);
	int bad = arguments.job ? fio_jobs_load(&jobs, arguments.job, error, sizeof(error))
				: fio_jobs_parse(&jobs, default_job, "built-in job", error, sizeof(error));
	if (bad)
		return complain(error);
	if (arguments.verbose)
		for (unsigned i = 0; i < jobs.notes; i++)
			fprintf(stderr, "%s\n", jobs.note[i]);
	status = arguments.connect ? execute_there(&arguments, &jobs) : execute_here(&arguments, &jobs);
	fio_jobs_free(&jobs);
	return status;
}
