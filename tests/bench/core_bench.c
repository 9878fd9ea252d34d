/* How fast the two implementations of the core are, and how fast the core they are: the mix of tests/programs on the default
 * configuration, best of several runs. The result is checked against the same text compiled for this machine. */
#include "rtl-model/blocks/cpu/cpu_rtl.h"
#include "tests/programs/mix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUNS      5
#define RAM_BASE  0x80000000
#define RAM_BYTES (1u << 20)

typedef struct cpu *create_fn(const struct config *config, const struct cpu_bus *bus,
			      const struct cpu_memory memory[CPU_MEMORIES]);

static const struct subject {
	const char *name, *program;
	unsigned rounds;
	create_fn *create;
} subjects[] = {
	{"iss", "build/programs/bench.elf", MIX_ROUNDS, cpu_create},
	{"rtl", "build/programs/bench_short.elf", MIX_ROUNDS_SHORT, cpu_rtl_create},
};

static double seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* One run from load to exit; its wall time, or -1 after an error that has been printed. */
static double run(const struct subject *subject, uint8_t *ram, struct cpu_stats *stats, unsigned *exit_code)
{
	const struct cpu_memory memory[CPU_MEMORIES] = {{RAM_BASE, RAM_BYTES, ram}, {0, 0, NULL}};
	struct cpu_program program;
	struct config config;
	char error[300];
	config_defaults(&config);
	if (cpu_load_elf(subject->program, memory, &program, error, sizeof(error)) != 0) {
		fprintf(stderr, "core_bench: %s; build it with `ninja programs`\n", error);
		return -1;
	}
	struct cpu *cpu = subject->create(&config, NULL, memory);
	if (!cpu)
		return -1;
	cpu_set_htif(cpu, program.tohost, program.fromhost, stdout);
	cpu_reset(cpu, 0, program.entry);
	double start = seconds_now();
	while (cpu_state(cpu) == CPU_RUNNING)
		cpu_step(cpu, cpu_time_ps(cpu), TIME_NEVER_PS);
	double wall_s = seconds_now() - start;
	*stats = cpu_stats(cpu, cpu_time_ps(cpu));
	*exit_code = cpu_exit_code(cpu);
	cpu_free(cpu);
	return wall_s;
}

static int measure(const struct subject *subject)
{
	struct cpu_stats stats;
	unsigned exit_code;
	double best_s = 0;
	uint8_t *ram = calloc(1, RAM_BYTES);
	if (!ram)
		return 1;
	for (unsigned i = 0; i < RUNS; i++) {
		double wall_s = run(subject, ram, &stats, &exit_code);
		if (wall_s < 0)
			return 1;
		if (best_s == 0 || wall_s < best_s)
			best_s = wall_s;
	}
	free(ram);
	if (exit_code != (mix_run(subject->rounds) & 0x7fffffff)) {
		fprintf(stderr, "core_bench: %s: wrong checksum %#x\n", subject->name, exit_code);
		return 1;
	}
	double instructions = (double)stats.instructions, cycles = (double)stats.cycles;
	printf("%s: %.1f million cycles/s, %.1f MIPS, %.3f cycles/instruction, %.3f rounds/s/MHz (%u rounds, "
	       "best of %d)\n",
	       subject->name, cycles / best_s * 1e-6, instructions / best_s * 1e-6, cycles / instructions,
	       subject->rounds * 1e6 / cycles, subject->rounds, RUNS);
	return 0;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_SIZE(subjects); i++) {
		if (argc > 1 && strcmp(argv[1], subjects[i].name) != 0)
			continue;
		if (measure(&subjects[i]) != 0)
			return 1;
	}
	return 0;
}
