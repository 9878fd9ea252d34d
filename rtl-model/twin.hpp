// What the shells of the RTL twins share: one Verilator context, clock edges, waves.
//
// A twin's clock has its edges at multiples of its period. A shell clocks its module only while there is something to do; what
// the module has to know of time it gets as a number, not by counting edges.
#ifndef KICKSTAND_RTL_MODEL_TWIN_HPP
#define KICKSTAND_RTL_MODEL_TWIN_HPP

#include "pcie/base.h"

#include <verilated.h>

namespace twin
{

// Verilator's context: one per process, as waves ask for.
VerilatedContext *context();

// The first clock edge at or after at_ps.
inline uint64_t edge_ps(uint64_t at_ps, uint64_t period_ps)
{
	return (at_ps + period_ps - 1) / period_ps * period_ps;
}

// Writes what has changed to the waves; nothing if there are none. Times must not go back.
void wave_rising(uint64_t now_ps);
void wave_falling(uint64_t now_ps, uint64_t period_ps);
extern bool wave_on;

// One clock cycle: the rising edge at now_ps with the inputs as they are set, and the falling one behind it.
template <class Module> inline void cycle(Module &module, uint64_t now_ps, uint64_t period_ps)
{
	module.clk_i = 1;
	module.eval();
	if (__builtin_expect(wave_on, false))
		wave_rising(now_ps);
	module.clk_i = 0;
	module.eval();
	if (__builtin_expect(wave_on, false))
		wave_falling(now_ps, period_ps);
}

} // namespace twin

#endif
