// What the shells of the RTL twins share: one Verilator context, named modules, clock edges, waves, coverage.
//
// A shell holds its module as a twin::instance and clocks it with twin::cycle; waves and coverage then come by themselves:
//
//	twin::instance<Vks_notify> rtl{"notify"};
//	rtl->db_valid_i = 1;
//	twin::cycle(*rtl, now_ps, period_ps);
//
// A twin's clock has its edges at multiples of its period. A shell clocks its module only while there is something to do; what
// the module has to know of time it gets as a number, not by counting edges.
#ifndef KICKSTAND_RTL_MODEL_TWIN_HPP
#define KICKSTAND_RTL_MODEL_TWIN_HPP

#include "pcie/base.h"

#include <verilated.h>
#include <verilated_fst_c.h>

#include <functional>
#include <memory>
#include <vector>

namespace twin
{

// Verilator's context: one per process, as waves ask for.
VerilatedContext *context();

// The first clock edge at or after at_ps.
inline uint64_t edge_ps(uint64_t at_ps, uint64_t period_ps)
{
	return (at_ps + period_ps - 1) / period_ps * period_ps;
}

// ---- what the waves want to know (wave_fst.cpp) ----

extern bool wave_on;
struct clocked {
	void *module;
	CData *clk;
	void (*eval)(void *module);
};
// An edge is about to come: the inputs are set.
void wave_before_edge(const clocked &twin, uint64_t now_ps);
// The edge has come; the clock is shown high for half a period from now on.
void wave_after_edge(const clocked &twin, uint64_t now_ps, uint64_t period_ps);

// ---- modules ----

using wave_add = std::function<void(VerilatedFstC *)>;

// The modules there are: waves show those that exist when they are opened.
struct enlisted {
	const void *module;
	wave_add add;
};
void enlist(const void *module, wave_add add);
void withdraw(const void *module);
const std::vector<enlisted> &all();

// Lets a module outlive its instance if its coverage is to be reported at the end (`ninja coverage`).
void keep(std::shared_ptr<void> module);

// A Verilated module. Its name is the scope of its signals in waves.
template <class Module> class instance
{
      public:
	explicit instance(const char *name) : module(std::make_shared<Module>(context(), name))
	{
		Module *traced = module.get();
		enlist(traced, [traced](VerilatedFstC *wave) { traced->trace(wave, 99); });
		keep(module);
	}
	~instance()
	{
		module->final();
		withdraw(module.get());
	}
	instance(const instance &) = delete;
	instance &operator=(const instance &) = delete;

	Module *operator->() const { return module.get(); }
	Module &operator*() const { return *module; }

      private:
	std::shared_ptr<Module> module;
};

// One clock cycle: the rising edge at now_ps with the inputs as they are set, and the falling one behind it.
template <class Module> inline void cycle(Module &module, uint64_t now_ps, uint64_t period_ps)
{
	const clocked twin = {&module, &module.clk_i, [](void *any) { static_cast<Module *>(any)->eval(); }};
	if (__builtin_expect(wave_on, false))
		wave_before_edge(twin, now_ps);
	module.clk_i = 1;
	module.eval();
	if (__builtin_expect(wave_on, false))
		wave_after_edge(twin, now_ps, period_ps);
	module.clk_i = 0;
	module.eval();
}

} // namespace twin

#endif
