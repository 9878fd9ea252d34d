#include "host-sim/commands.h"
#include "host-sim/options.h"
#include "host-sim/serve/report_serve.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char default_disk[] = "ram:64M";

struct arguments {
	struct config config;
	const char *vfio_user, *vhost_user;
	const char *disk, *json, *firmware, *record;
	enum loop_pace pace;
	bool quiet;
};

static void usage(FILE *out)
{
	fputs("usage: kickstand serve (--vhost-user PATH | --vfio-user PATH) [OPTION]...\n\n"
	      "Puts the card behind a socket, for QEMU or another client that brings the guest.\n\n"
	      "  --vhost-user PATH       socket of the vhost-user protocol: the client keeps the PCI "
	      "function\n"
	      "  --vfio-user PATH        socket of the vfio-user protocol: the whole PCI function\n"
	      "  --disk SPEC             ram:SIZE, null:SIZE, nbd:URI or a raw image file (default ram:64M)\n"
	      "  --pace free|wall        simulated time as fast as the host allows (default), or not ahead "
	      "of the clock\n"
	      "  --config FILE           INI file of configuration keys\n"
	      "  --set SECTION.KEY=VALUE one key, may be repeated; `kickstand config` lists them\n"
	      "  --seed N                the same as --set sim.seed=N\n"
	      "  --json FILE             figures for machines at the end, - for standard output (then no "
	      "report)\n"
	      "  --record FILE           what the guest does, as a fio I/O log for `read_iolog` of kickstand "
	      "run;\n"
	      "                          doorbells go to FILE.doorbells\n"
	      "  --firmware ELF          another firmware than the one built with the program\n"
	      "  --quiet                 no lines about clients on standard error\n"
	      "  --help                  this text\n\n"
	      "Ends at SIGINT or SIGTERM, with a report. Exit status: 0, 1 if the medium failed, 2 usage or\n"
	      "configuration error, 3 simulation error (firmware trap), with a state dump.\n",
	      out);
}

static int complain(const char *reason)
{
	fprintf(stderr, "kickstand serve: %s\n", reason);
	return EXIT_USAGE;
}

static int parse_pace(struct arguments *arguments, const char *value)
{
	if (strcmp(value, "free") == 0)
		arguments->pace = LOOP_FREE;
	else if (strcmp(value, "wall") == 0)
		arguments->pace = LOOP_WALL;
	else
		return complain("--pace: give free or wall");
	return -1;
}

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(struct arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{"vfio-user", required_argument, NULL, 'x'},
		{"vhost-user", required_argument, NULL, 'o'},
		{"config", required_argument, NULL, OPTION_CONFIG},
		{"set", required_argument, NULL, OPTION_SET},
		{"disk", required_argument, NULL, 'd'},
		{"seed", required_argument, NULL, OPTION_SEED},
		{"json", required_argument, NULL, 'J'},
		{"pace", required_argument, NULL, 'p'},
		{"firmware", required_argument, NULL, 'f'},
		{"record", required_argument, NULL, 'r'},
		{"quiet", no_argument, NULL, 'q'},
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
		case 'p':
			if (parse_pace(arguments, optarg) != -1)
				return EXIT_USAGE;
			break;
		case 'x': arguments->vfio_user = optarg; break;
		case 'o': arguments->vhost_user = optarg; break;
		case 'd': arguments->disk = optarg; break;
		case 'J': arguments->json = optarg; break;
		case 'f': arguments->firmware = optarg; break;
		case 'r': arguments->record = optarg; break;
		case 'q': arguments->quiet = true; break;
		case 'h': usage(stdout); return EXIT_OK;
		default: return EXIT_USAGE; /* getopt has said what is wrong */
		}
	}
	if (options_end(argc, argv, error, sizeof(error)) != 0)
		return complain(error);
	if (!arguments->vfio_user == !arguments->vhost_user)
		return complain("give either --vhost-user PATH or --vfio-user PATH");
	return -1;
}

static int finish(struct serve *serve, const struct arguments *arguments)
{
	char error[400];
	if (serve->outcome == SERVE_REFUSED)
		return complain(serve->error);
	if (serve->outcome == SERVE_FAILED) {
		fprintf(stderr, "kickstand serve: %s\n", serve->error);
		device_dump(serve->card.guest.device, stderr);
		return EXIT_SIMULATION;
	}
	if (!arguments->json || strcmp(arguments->json, "-") != 0)
		report_serve(serve, stdout);
	if (arguments->json && results_write_serve(serve, arguments->json, error, sizeof(error)) != 0)
		return complain(error);
	if (serve->record_error[0] != '\0')
		return complain(serve->record_error);
	const char *disk_error = store_error(serve->options.store);
	if (disk_error)
		fprintf(stderr, "kickstand serve: %s\n", disk_error);
	return disk_error ? EXIT_IO : EXIT_OK;
}

static int execute(const struct arguments *arguments, struct store *store)
{
	char firmware[4096];
	struct serve *serve = malloc(sizeof(*serve)); /* histograms make it large */
	if (!serve)
		return complain("out of memory");
	program_file("firmware/firmware.elf", firmware, sizeof(firmware));
	const struct serve_options options = {
		.config = &arguments->config,
		.front_end = arguments->vhost_user ? &vhost_user_front_end : &vfio_user_front_end,
		.path = arguments->vhost_user ? arguments->vhost_user : arguments->vfio_user,
		.store = store,
		.firmware_path = arguments->firmware ? arguments->firmware : firmware,
		.pace = arguments->pace,
		.record = arguments->record,
		.quiet = arguments->quiet,
	};
	serve_execute(serve, &options);
	int status = finish(serve, arguments);
	serve_destroy(serve);
	free(serve);
	return status;
}

int cmd_serve(int argc, char **argv)
{
	struct arguments arguments = {.disk = default_disk};
	char error[400];
	int status = parse_arguments(&arguments, argc, argv);
	if (status >= 0)
		return status;
	if (config_check(&arguments.config, error, sizeof(error)) != 0)
		return complain(error);
	struct store *store = store_open(arguments.disk, arguments.config.device.read_only,
					 arguments.config.sim.seed, error, sizeof(error));
	status = store ? execute(&arguments, store) : complain(error);
	store_close(store);
	return status;
}
