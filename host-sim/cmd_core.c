/* `kickstand core`: runs a bare RISC-V program on the core alone. */
#include "host-sim/commands.h"
#include "host-sim/results.h"
#include "rtl-model/blocks/cpu/cpu_rtl.h"
#include "rtl-model/config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RAM_BASE  UINT32_C(0x80000000)
#define RAM_BYTES (UINT32_C(16) << 20)

/* The exit status is the program's exit code, or this if it is larger. */
#define EXIT_CODE_MAX 255

static const char usage[] =
	"usage: kickstand core [options] ELF\n"
	"Runs a bare RV32IMC program, linked to 0x80000000, in 16 MiB of memory until it writes tohost.\n"
	"  --impl iss|rtl       what executes it: the instruction-set simulator (default) or the RTL core\n"
	"  --max-cycles N       give up after N cycles\n"
	"  --set core.KEY=VALUE cycle costs and clock, see `kickstand config`\n"
	"  --json FILE          write the result to FILE\n"
	"  --gdb PORT           wait for a debugger\n"
	"Exit status: the program's; 2 usage or ELF error; 3 the program did not end.\n";

struct options {
	struct config config;
	const char *elf, *json;
	uint64_t max_cycles; /* UINT64_MAX = no limit */
};

enum ending { ENDED, DEADLOCK, MAX_CYCLES, STUCK };

static const char *const ending_names[] = {
	[ENDED] = "exit",
	[DEADLOCK] = "deadlock",
	[MAX_CYCLES] = "max-cycles",
	[STUCK] = "stuck",
};

static const char *const ending_reasons[] = {
	[ENDED] = "wrote tohost",
	[DEADLOCK] = "sleeps in wfi and nothing can wake it",
	[MAX_CYCLES] = "did not end within --max-cycles",
	[STUCK] = "its trap handler traps, or it jumps to itself with no interrupt enabled",
};

struct result {
	enum ending ending;
	unsigned exit_code;
	struct cpu_stats stats;
	double wall_s;
};

PRINTF_LIKE(1, 2) static int usage_error(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("kickstand core: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return EXIT_USAGE;
}

/* ---- options ---------------------------------------------------------------------------------------------- */

static int set_impl(struct options *options, const char *value)
{
	if (strcmp(value, "rtl") == 0)
		options->config.core.impl = CONFIG_IMPL_RTL;
	else if (strcmp(value, "iss") == 0)
		options->config.core.impl = CONFIG_IMPL_MODEL;
	else
		return usage_error("--impl %s: not accepted; give iss or rtl", value);
	return 0;
}

static int set_max_cycles(struct options *options, const char *value)
{
	char *end;
	errno = 0;
	options->max_cycles = strtoull(value, &end, 0);
	if (value[0] < '0' || value[0] > '9' || *end || errno || options->max_cycles == 0)
		return usage_error("--max-cycles %s: not accepted; give a number of cycles from 1 to 2^64-1",
				   value);
	return 0;
}

static int set_key(struct options *options, const char *assignment)
{
	char error[300];
	if (strncmp(assignment, "core.", 5) != 0)
		return usage_error("--set %s: only the core is here; give core.KEY=VALUE", assignment);
	if (config_set(&options->config, assignment, error, sizeof(error)) != 0)
		return usage_error("--set %s", error);
	return 0;
}

enum { OPTION_IMPL = 256, OPTION_MAX_CYCLES, OPTION_SET, OPTION_JSON, OPTION_GDB, OPTION_HELP };

static const struct option long_options[] = {
	{"impl", required_argument, NULL, OPTION_IMPL},
	{"max-cycles", required_argument, NULL, OPTION_MAX_CYCLES},
	{"set", required_argument, NULL, OPTION_SET},
	{"json", required_argument, NULL, OPTION_JSON},
	{"gdb", required_argument, NULL, OPTION_GDB},
	{"help", no_argument, NULL, OPTION_HELP},
	{NULL, 0, NULL, 0},
};

static int take_option(struct options *options, int option, char **argv)
{
	switch (option) {
	case OPTION_IMPL: return set_impl(options, optarg);
	case OPTION_MAX_CYCLES: return set_max_cycles(options, optarg);
	case OPTION_SET: return set_key(options, optarg);
	case OPTION_JSON: options->json = optarg; return 0;
	case OPTION_GDB: return usage_error("--gdb: debugging is not implemented yet; leave the option out");
	case ':': return usage_error("%s: needs a value; see kickstand core --help", argv[optind - 1]);
	default: return usage_error("%s: no such option; see kickstand core --help", argv[optind - 1]);
	}
}

static int parse_options(struct options *options, int argc, char **argv)
{
	int option;
	*options = (struct options){.max_cycles = UINT64_MAX};
	config_defaults(&options->config);
	optind = 0; /* start anew: the caller may have parsed options too */
	while ((option = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (take_option(options, option, argv) != 0)
			return EXIT_USAGE;
	}
	if (optind + 1 != argc)
		return usage_error("%s; give one ELF file",
				   optind == argc ? "no program" : "more than one program");
	options->elf = argv[optind];
	return 0;
}

/* ---- the run ------------------------------------------------------------------------------------------------ */

/* Nothing else exists here, so the core is called at the times it asks for. The last cycles before the limit are
 * single-stepped, since cpu_step may run further than that. */
static enum ending run(struct cpu *cpu, uint64_t max_cycles)
{
	for (;;) {
		uint64_t cycles = cpu_stats(cpu, cpu_time_ps(cpu)).cycles;
		switch (cpu_state(cpu)) {
		case CPU_HALTED: return ENDED;
		case CPU_ASLEEP: return DEADLOCK;
		case CPU_STUCK: return STUCK;
		case CPU_RUNNING: break;
		}
		if (cycles >= max_cycles)
			return MAX_CYCLES;
		if (max_cycles - cycles > 2 * CPU_RUN_AHEAD_CYCLES)
			cpu_step(cpu, cpu_time_ps(cpu), TIME_NEVER_PS);
		else
			cpu_single_step(cpu);
	}
}

static double seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- reports ------------------------------------------------------------------------------------------------- */

static double ratio(double a, double b)
{
	return b > 0 ? a / b : 0;
}

static double cycles_per_instruction(const struct result *r)
{
	return ratio((double)r->stats.cycles, (double)r->stats.instructions);
}

static double mips(const struct result *r)
{
	return ratio((double)r->stats.instructions * 1e-6, r->wall_s);
}

static void print_result(const struct result *r)
{
	printf("exit code %u: %" PRIu64 " instructions, %" PRIu64 " cycles, CPI %.3f, %.1f MIPS in %.3f s\n",
	       r->exit_code, r->stats.instructions, r->stats.cycles, cycles_per_instruction(r), mips(r),
	       r->wall_s);
}

static void print_failure(const struct options *options, const struct result *r, const struct cpu *cpu)
{
	fprintf(stderr, "kickstand core: %s: %s: %s (%" PRIu64 " instructions, %" PRIu64 " cycles)\n",
		options->elf, ending_names[r->ending], ending_reasons[r->ending], r->stats.instructions,
		r->stats.cycles);
	cpu_dump(cpu, stderr);
}

static void add_key(void *ctx, const char *section, const char *key, const char *value)
{
	if (strcmp(section, "core") == 0)
		json_object_set_new(ctx, key, json_string(value));
}

static json_t *kickstand_object(const struct options *options)
{
	json_t *core = json_object();
	config_each(&options->config, add_key, core);
	return json_pack("{s:s, s:s, s:{s:o}}", "version", KICKSTAND_VERSION, "program", options->elf,
			 "config", "core", core);
}

static json_t *core_object(const struct result *r)
{
	return json_pack("{s:s, s:i, s:I, s:I, s:f, s:I}", "end", ending_names[r->ending], "exit_code",
			 (int)r->exit_code, "instructions", (json_int_t)r->stats.instructions, "cycles",
			 (json_int_t)r->stats.cycles, "cpi", cycles_per_instruction(r), "traps",
			 (json_int_t)r->stats.traps);
}

/* What depends on wall time stands apart under "wall": the rest is the same in every run. */
static int write_json(const struct options *options, const struct result *r)
{
	json_t *root = json_pack("{s:o, s:o, s:{s:f, s:f}}", "kickstand", kickstand_object(options), "core",
				 core_object(r), "wall", "seconds", r->wall_s, "mips", mips(r));
	errno = 0;
	int failed =
		!root || json_dump_file(root, options->json, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) != 0;
	json_decref(root);
	if (failed)
		return usage_error("%s: cannot write the result: %s; give another --json FILE", options->json,
				   strerror(errno));
	return 0;
}

static int report(const struct options *options, const struct result *r, const struct cpu *cpu)
{
	fflush(stdout); /* what the program has printed comes first */
	if (r->ending == ENDED)
		print_result(r);
	else
		print_failure(options, r, cpu);
	if (options->json && write_json(options, r) != 0)
		return EXIT_USAGE;
	if (r->ending != ENDED)
		return EXIT_SIMULATION;
	return (int)min_u32(r->exit_code, EXIT_CODE_MAX);
}

static int run_program(const struct options *options, struct cpu *cpu, const struct cpu_program *program)
{
	struct result result = {0};
	cpu_set_htif(cpu, program->tohost, program->fromhost, stdout);
	cpu_reset(cpu, 0, program->entry);
	double start = seconds_now();
	result.ending = run(cpu, options->max_cycles);
	result.wall_s = seconds_now() - start;
	result.exit_code = cpu_exit_code(cpu);
	result.stats = cpu_stats(cpu, cpu_time_ps(cpu));
	return report(options, &result, cpu);
}

static int load_and_run(const struct options *options, uint8_t *ram)
{
	const struct cpu_memory memory[CPU_MEMORIES] = {{RAM_BASE, RAM_BYTES, ram}, {0, 0, NULL}};
	struct cpu_program program;
	char error[400];
	if (cpu_load_elf(options->elf, memory, &program, error, sizeof(error)) != 0)
		return usage_error("%s", error);
	if (program.tohost == 0)
		return usage_error("%s: has no symbol tohost, so it could not end; define one", options->elf);
	struct cpu *cpu = options->config.core.impl == CONFIG_IMPL_RTL
				  ? cpu_rtl_create(&options->config, NULL, memory)
				  : cpu_create(&options->config, NULL, memory);
	if (!cpu)
		return usage_error("out of memory");
	int status = run_program(options, cpu, &program);
	cpu_free(cpu);
	return status;
}

int cmd_core(int argc, char **argv)
{
	struct options options;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			fputs(usage, stdout);
			return 0;
		}
	}
	if (parse_options(&options, argc, argv) != 0)
		return EXIT_USAGE;
	uint8_t *ram = calloc(1, RAM_BYTES);
	if (!ram)
		return usage_error("out of memory");
	int status = load_and_run(&options, ram);
	free(ram);
	return status;
}
