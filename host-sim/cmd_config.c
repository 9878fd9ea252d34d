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

int cmd_config(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"set", required_argument, NULL, 's'},
		{"ini", no_argument, NULL, 'i'},          {"markdown", no_argument, NULL, 'm'},
		{"help", no_argument, NULL, 'h'},         {0},
	};
	struct config config;
	enum config_format format = CONFIG_FORMAT_TABLE;
	char error[400];
	int option;
	config_defaults(&config);
	optind = 1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c':
		case 's':
			if (option_config(&config, option == 'c', optarg, error, sizeof(error)) != 0) {
				fprintf(stderr, "kickstand config: %s\n", error);
				return EXIT_USAGE;
			}
			break;
		case 'i': format = CONFIG_FORMAT_INI; break;
		case 'm': format = CONFIG_FORMAT_MARKDOWN; break;
		case 'h': usage(stdout); return EXIT_OK;
		default: return EXIT_USAGE; /* getopt has said what is wrong */
		}
	}
	if (optind < argc) {
		fprintf(stderr, "kickstand config: unexpected argument '%s'\n", argv[optind]);
		return EXIT_USAGE;
	}
	config_print(&config, format, stdout);
	return EXIT_OK;
}
