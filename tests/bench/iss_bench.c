/* How fast the instruction-set simulator is, its cycle model on: the mix of tests/programs on the default configuration,
 * best of several runs. The result is checked against the same text compiled for this machine. */
#include "rtl-model/blocks/cpu/cpu.h"
#include "tests/programs/mix.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PROGRAM   "build/programs/bench.elf"
#define RUNS      5
#define RAM_BASE  0x80000000
#define RAM_BYTES (1u << 20)

static double seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* One run from load to exit; its wall time, or -1 after an error that has been printed. */
static double run(const struct config *config, uint8_t *ram, struct cpu_stats *stats, unsigned *exit_code)
{
	const struct cpu_memory memory[CPU_MEMORIES] = {{RAM_BASE, RAM_BYTES, ram}, {0, 0, NULL}};
	struct cpu_program program;
	char error[300];
	if (cpu_load_elf(PROGRAM, memory, &program, error, sizeof(error)) != 0) {
		fprintf(stderr, "iss_bench: %s; build it with `ninja programs`\n", error);
		return -1;
	}
	struct cpu *cpu = cpu_create(config, NULL, memory);
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

int main(void)
{
	struct config config;
	struct cpu_stats stats;
	unsigned exit_code;
	double best_s = 0;
	uint8_t *ram = calloc(1, RAM_BYTES);
	if (!ram)
		return 1;
	config_defaults(&config);
	for (unsigned i = 0; i < RUNS; i++) {
		double wall_s = run(&config, ram, &stats, &exit_code);
		if (wall_s < 0)
			return 1;
		if (best_s == 0 || wall_s < best_s)
			best_s = wall_s;
	}
	free(ram);
	if (exit_code != (mix_run(MIX_ROUNDS) & 0x7fffffff)) {
		fprintf(stderr, "iss_bench: wrong checksum %#x\n", exit_code);
		return 1;
	}
	printf("iss: %.0f MIPS, %.3f cycles/instruction (%llu instructions, best of %d)\n",
	       (double)stats.instructions / best_s * 1e-6, (double)stats.cycles / (double)stats.instructions,
	       (unsigned long long)stats.instructions, RUNS);
	return 0;
}
