// The core with the memory it is synthesised with (ks_core_tile.sv), its clock never gated, against the simulator: whole
// programs end after the same number of cycles and leave the same memory.
#include "rtl-model/twin.hpp"

#include "ks_core_tile/Vks_core_tile.h"
#include "ks_core_tile/Vks_core_tile___024root.h"

#include "rtl-model/blocks/cpu/cpu.h"
#include "tests/unit/rtl-model/cpu_asm.h"

#include <csr.h>
#include <cstdlib>
#include <string>
#include <vector>

extern "C" {
#include "tests/check.h"
}

namespace
{

constexpr uint64_t period_ps = 1000;

struct tile {
	twin::instance<Vks_core_tile> rtl{"tile"};
	uint64_t cycles = 0;

	void edge() { twin::cycle(*rtl, cycles++ * period_ps, period_ps); }

	uint32_t word(uint32_t offset) const
	{
		const Vks_core_tile___024root *root = rtl->rootp;
		return offset & 4 ? root->ks_core_tile__DOT__i_tcm__DOT__odd_q[offset / 8]
				  : root->ks_core_tile__DOT__i_tcm__DOT__even_q[offset / 8];
	}

	void set_word(uint32_t offset, uint32_t value)
	{
		Vks_core_tile___024root *root = rtl->rootp;
		(offset & 4 ? root->ks_core_tile__DOT__i_tcm__DOT__odd_q[offset / 8]
			    : root->ks_core_tile__DOT__i_tcm__DOT__even_q[offset / 8]) = value;
	}

	// Loads the memory and resets; the first instruction executes in the third cycle from then on.
	explicit tile(const std::vector<uint8_t> &memory, uint32_t entry)
	{
		for (uint32_t offset = 0; offset < TCM_BYTES; offset += 4)
			set_word(offset, load_le32(&memory[offset]));
		rtl->boot_addr_i = entry;
		rtl->rst_ni = 0;
		rtl->eval(); // the clock low, so that the first edge is one
		edge();
		rtl->rst_ni = 1;
		edge();
		edge();
		cycles = 0;
	}
};

// The simulator's run of a program: memory before and after, cycles up to the store to tohost.
struct golden {
	std::vector<uint8_t> before = std::vector<uint8_t>(TCM_BYTES), after;
	struct cpu_program program = {};
	uint64_t cycles = 0;
	unsigned exit_code = 0;

	explicit golden(const char *path)
	{
		struct config config;
		char error[300];
		const struct cpu_memory place[CPU_MEMORIES] = {{TCM_BASE, TCM_BYTES, before.data()},
							       {0, 0, nullptr}};
		if (cpu_load_elf(path, place, &program, error, sizeof(error)) != 0)
			fail_msg("%s", error);
		after = before;
		const struct cpu_memory memory[CPU_MEMORIES] = {{TCM_BASE, TCM_BYTES, after.data()},
								{0, 0, nullptr}};
		config_defaults(&config);
		struct cpu *cpu = cpu_create(&config, nullptr, memory);
		assert_non_null(cpu);
		cpu_set_htif(cpu, program.tohost, program.fromhost, nullptr);
		cpu_reset(cpu, 0, program.entry);
		while (cpu_state(cpu) == CPU_RUNNING)
			cpu_step(cpu, cpu_time_ps(cpu), TIME_NEVER_PS);
		assert_int_equal(cpu_state(cpu), CPU_HALTED);
		cycles = cpu_stats(cpu, cpu_time_ps(cpu)).cycles;
		exit_code = cpu_exit_code(cpu);
		cpu_free(cpu);
	}
};

void test_core_tile_runs_programs_as_the_simulator_does(void **)
{
	static const char *const programs[] = {"end_exit", "compressed", "bench_tiny"};
	for (const char *name : programs) {
		golden want((std::string("build/programs/") + name + ".elf").c_str());
		tile got(want.before, want.program.entry);
		uint32_t tohost = want.program.tohost - TCM_BASE;
		while (got.word(tohost) == 0) {
			assert_true(got.cycles <= want.cycles);
			got.edge();
		}
		assert_int_equal(got.word(tohost) >> 1, want.exit_code);
		assert_int_equal(got.cycles, want.cycles);
		for (uint32_t offset = 0; offset < TCM_BYTES; offset += 4)
			if (got.word(offset) != load_le32(&want.after[offset]))
				fail_msg("%s: word %#x is %#x, not %#x", name, offset, got.word(offset),
					 load_le32(&want.after[offset]));
	}
}

std::vector<uint8_t> memory_of(std::initializer_list<uint32_t> words)
{
	std::vector<uint8_t> memory(TCM_BYTES);
	uint32_t offset = 0;
	for (uint32_t word : words) {
		store_le32(&memory[offset], word);
		offset += 4;
	}
	return memory;
}

// The clock runs on in wfi, but neither the core nor its cycle counter does.
void test_core_tile_does_nothing_in_wfi_until_a_line_goes_up(void **)
{
	constexpr uint32_t result = 0x100;
	tile t(memory_of({asm_csrrwi(ZERO, MIE, 8), ASM_WFI, asm_csrrs(A0, MCYCLE, ZERO), asm_auipc(A1, 0),
			  asm_sw(A0, A1, result - 12), asm_jal(ZERO, 0)}),
	       TCM_BASE);
	for (unsigned i = 0; i < 100; i++)
		t.edge();
	assert_true(t.rtl->sleep_o);
	t.rtl->irq_i = 2; // the timer, which is not enabled
	for (unsigned i = 0; i < 10; i++)
		t.edge();
	assert_true(t.rtl->sleep_o);
	t.rtl->irq_i = 3; // and software, which is
	for (unsigned i = 0; i < 10; i++)
		t.edge();
	assert_false(t.rtl->sleep_o);
	assert_int_equal(t.word(result), 2); // csrrwi and wfi
	assert_true(t.rtl->spin_o);          // the jump to itself, with mstatus.MIE off
}

// Requests stand until they are answered, with an error too.
void test_core_tile_waits_for_the_bus(void **)
{
	constexpr uint32_t result = 0x100;
	tile t(memory_of({asm_lui(A1, 0x10000000), asm_lw(A0, A1, 0x40), asm_auipc(A2, 0),
			  asm_sw(A0, A2, result - 8), asm_sb(A0, A1, 0x43), asm_jal(ZERO, 0)}),
	       TCM_BASE);
	for (unsigned i = 0; i < 50; i++)
		t.edge();
	assert_true(t.rtl->bus_valid_o);
	assert_false(t.rtl->bus_write_o);
	assert_int_equal(t.rtl->bus_addr_o, 0x10000040);
	assert_int_equal(t.rtl->bus_size_o, 2);
	t.rtl->bus_rdata_i = 0xcafef00d;
	t.rtl->bus_ready_i = 1;
	t.edge();
	t.rtl->bus_ready_i = 0;
	for (unsigned i = 0; i < 10; i++)
		t.edge();
	assert_int_equal(t.word(result), 0xcafef00d);
	assert_true(t.rtl->bus_valid_o && t.rtl->bus_write_o);
	assert_int_equal(t.rtl->bus_addr_o, 0x10000043);
	assert_int_equal(t.rtl->bus_size_o, 0);
	assert_int_equal(t.rtl->bus_be_o, 8);
	assert_int_equal(t.rtl->bus_wdata_o >> 24, 0x0d);
	t.rtl->bus_error_i = 1;
	t.rtl->bus_ready_i = 1;
	t.edge();
	t.rtl->bus_ready_i = 0;
	for (unsigned i = 0; i < 10; i++)
		t.edge();
	assert_true(t.rtl->lockup_o); // mtvec is 0, where there is no memory
}

} // namespace

int main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_core_tile_runs_programs_as_the_simulator_does),
		cmocka_unit_test(test_core_tile_does_nothing_in_wfi_until_a_line_goes_up),
		cmocka_unit_test(test_core_tile_waits_for_the_bus),
	};
	return cmocka_run_group_tests(tests, nullptr, nullptr);
}
