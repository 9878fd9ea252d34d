/* A core with 64 KiB of program memory, 4 KiB of request memory and a bus that logs. With CORE_RTL defined it is the RTL core:
 * tests are compiled twice. */
#ifndef KICKSTAND_TESTS_CPU_FIXTURE_H
#define KICKSTAND_TESTS_CPU_FIXTURE_H

#include "rtl-model/blocks/cpu/cpu_rtl.h"
#include "tests/check.h"

#include "tests/unit/rtl-model/cpu_asm.h"

#ifdef CORE_RTL
#define CORE_CREATE cpu_rtl_create
#else
#define CORE_CREATE cpu_create
#endif

enum {
	TCM = (int)0x80000000,
	TCM_BYTES = 0x10000,
	SRAM = 0x20000000,
	SRAM_BYTES = 0x1000,
	REGS = 0x10000000, /* 1024 registers that keep what is written */
	REGS_BYTES = 0x1000,
	PERIOD_PS = 1000,
};

struct access {
	uint64_t at_ps;
	uint32_t addr, value;
	bool write;
};

struct core {
	struct cpu *cpu;
	uint8_t *tcm, *sram;
	uint32_t regs[REGS_BYTES / 4];
	struct access log[4096];
	unsigned accesses;
};

static inline void core_log(struct core *core, uint64_t at_ps, uint32_t addr, uint32_t value, bool write)
{
	assert_true(core->accesses < ARRAY_SIZE(core->log));
	core->log[core->accesses++] = (struct access){at_ps, addr, value, write};
}

static inline bool core_bus_read(void *ctx, uint64_t now_ps, uint32_t addr, uint32_t *value)
{
	struct core *core = ctx;
	if (addr - REGS >= REGS_BYTES)
		return false;
	*value = core->regs[(addr - REGS) / 4];
	core_log(core, now_ps, addr, *value, false);
	return true;
}

static inline bool core_bus_write(void *ctx, uint64_t now_ps, uint32_t addr, uint32_t value)
{
	struct core *core = ctx;
	if (addr - REGS >= REGS_BYTES)
		return false;
	core->regs[(addr - REGS) / 4] = value;
	core_log(core, now_ps, addr, value, true);
	return true;
}

typedef struct cpu *core_create_fn(const struct config *config, const struct cpu_bus *bus,
				   const struct cpu_memory memory[CPU_MEMORIES]);

/* A core of 1 GHz, so that a period is 1000 ps, and the default costs changed by `settings` ("core.x=1", NULL at the
 * end). `bus` NULL: the one above. */
static inline struct core *core_new_of(core_create_fn *create, const char *const *settings,
				       const struct cpu_bus *bus)
{
	struct core *core = calloc(1, sizeof(*core));
	struct config config;
	char error[200];
	assert_non_null(core);
	core->tcm = calloc(1, TCM_BYTES);
	core->sram = calloc(1, SRAM_BYTES);
	assert_true(core->tcm && core->sram);
	config_defaults(&config);
	assert_int_equal(config_set(&config, "core.clock_mhz=1000", error, sizeof(error)), 0);
	for (; settings && *settings; settings++)
		if (config_set(&config, *settings, error, sizeof(error)) != 0)
			fail_msg("%s", error);
	const struct cpu_memory memory[CPU_MEMORIES] = {{(uint32_t)TCM, TCM_BYTES, core->tcm},
							{SRAM, SRAM_BYTES, core->sram}};
	const struct cpu_bus own = {core, core_bus_read, core_bus_write};
	core->cpu = create(&config, bus ? bus : &own, memory);
	assert_non_null(core->cpu);
	return core;
}

static inline struct core *core_new(const char *const *settings, const struct cpu_bus *bus)
{
	return core_new_of(CORE_CREATE, settings, bus);
}

static inline void core_free(struct core *core)
{
	cpu_free(core->cpu);
	free(core->tcm);
	free(core->sram);
	free(core);
}

static inline void core_put(struct core *core, uint32_t offset, uint32_t word)
{
	assert_true(offset <= TCM_BYTES - 4);
	store_le32(core->tcm + offset, word);
}

/* Puts a program at the start of the memory and resets to it. */
static inline void core_load(struct core *core, const uint32_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		core_put(core, (uint32_t)(4 * i), words[i]);
	cpu_reset(core->cpu, 0, (uint32_t)TCM);
}

#define CORE_LOAD(core, ...)                                                                                 \
	do {                                                                                                 \
		const uint32_t words_[] = {__VA_ARGS__};                                                     \
		core_load(core, words_, ARRAY_SIZE(words_));                                                 \
	} while (0)

/* Lets time pass as the kernel would, with no other block in sight, until the core no longer runs. */
static inline void core_run(struct core *core)
{
	uint64_t now_ps = cpu_time_ps(core->cpu);
	for (unsigned i = 0; cpu_state(core->cpu) == CPU_RUNNING; i++) {
		assert_true(i < 100000);
		now_ps = cpu_step(core->cpu, now_ps, TIME_NEVER_PS);
	}
}

/* A change of an interrupt line by another block. */
struct line_event {
	uint64_t at_ps;
	unsigned bit;
	bool level;
};

/* Lets time pass up to `end_ps` as the kernel would, with the changes of lines as the only other events. At equal times
 * the line comes first. */
static inline void core_play(struct core *core, const struct line_event *events, size_t count,
			     uint64_t end_ps)
{
	size_t next = 0;
	uint64_t wake_ps = cpu_time_ps(core->cpu);
	for (;;) {
		uint64_t event_ps = next < count ? events[next].at_ps : TIME_NEVER_PS;
		uint64_t now_ps = min_u64(event_ps, wake_ps);
		if (now_ps > end_ps)
			return;
		for (; next < count && events[next].at_ps == now_ps; next++)
			cpu_set_interrupt(core->cpu, now_ps, events[next].bit, events[next].level);
		wake_ps = cpu_step(core->cpu, now_ps, next < count ? events[next].at_ps : TIME_NEVER_PS);
	}
}

static inline void core_steps(struct core *core, unsigned count)
{
	while (count--)
		cpu_single_step(core->cpu);
}

static inline uint32_t core_csr(const struct core *core, unsigned number)
{
	uint32_t value = 0;
	assert_true(cpu_get_csr(core->cpu, number, &value));
	return value;
}

static inline uint32_t core_reg(const struct core *core, unsigned index)
{
	return cpu_get_register(core->cpu, index);
}

static inline uint32_t core_pc(const struct core *core)
{
	return cpu_get_register(core->cpu, 32);
}

static inline uint64_t core_cycles(const struct core *core)
{
	return cpu_stats(core->cpu, cpu_time_ps(core->cpu)).cycles;
}

static inline uint64_t core_instructions(const struct core *core)
{
	return cpu_stats(core->cpu, cpu_time_ps(core->cpu)).instructions;
}

#endif
