#include "host-sim/commands.h"
#include "host-sim/options.h"

#include <getopt.h>
#include <stdio.h>

static void usage(FILE *out)
{
	fputs("usage: kickstand config [--config FILE] [--set SECTION.KEY=VALUE]... [--ini | --markdown]\n\n"
	      "Prints every key with its value, unit, default and meaning; as an INI file with --ini.\n",
	      out);
}

static int complain(const char *reason)
{
	fprintf(stderr, "kickstand config: %s\n", reason);
	return EXIT_USAGE;
}

int cmd_config(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, OPTION_CONFIG},
		{"set", required_argument, NULL, OPTION_SET},
		{"ini", no_argument, NULL, 'i'},
		{"markdown", no_argument, NULL, 'm'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct config config;
	enum config_format format = CONFIG_FORMAT_TABLE;
	char error[400];
	int option;
	config_defaults(&config);
	optind = 1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case OPTION_CONFIG:
		case OPTION_SET:
			if (option_config(&config, option, optarg, error, sizeof(error)) != 0)
				return complain(error);
			break;
		case 'i': format = CONFIG_FORMAT_INI; break;
		case 'm': format = CONFIG_FORMAT_MARKDOWN; break;
		case 'h': usage(stdout); return EXIT_OK;
		default: return EXIT_USAGE; /* getopt has said what is wrong */
		}
	}
	if (options_end(argc, argv, error, sizeof(error)) != 0)
		return complain(error);
	config_print(&config, format, stdout);
	return EXIT_OK;
}
