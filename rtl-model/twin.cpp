#include "rtl-model/twin.hpp"

namespace twin
{

bool wave_on;

VerilatedContext *context()
{
	static VerilatedContext *only = new VerilatedContext;
	return only;
}

void wave_rising(uint64_t now_ps)
{
	(void)now_ps;
}

void wave_falling(uint64_t now_ps, uint64_t period_ps)
{
	(void)now_ps;
	(void)period_ps;
}

} // namespace twin
