#include "rtl-model/twin.hpp"

#include <verilated_cov.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <unistd.h>

namespace twin
{

VerilatedContext *context()
{
	static VerilatedContext *only = new VerilatedContext;
	return only;
}

// ---- modules ----

static std::vector<enlisted> &list()
{
	static std::vector<enlisted> modules;
	return modules;
}

void enlist(const void *module, wave_add add)
{
	list().push_back({module, std::move(add)});
}

void withdraw(const void *module)
{
	auto is_it = [module](const enlisted &each) { return each.module == module; };
	list().erase(std::remove_if(list().begin(), list().end(), is_it), list().end());
}

const std::vector<enlisted> &all()
{
	return list();
}

// ---- coverage ----

struct kept {
	std::string path; // of what this process writes
	std::vector<std::shared_ptr<void>> modules;
};
static kept *coverage;

static void write_coverage()
{
	context()->coveragep()->write(coverage->path.c_str());
}

// Verilator counts inside the modules and reads the counters when it writes them. Every process leaves what its twins have
// counted; tools/coverage.py adds that up.
void keep(std::shared_ptr<void> module)
{
	const char *folder = std::getenv("KICKSTAND_COVERAGE");
	if (!folder) {
		context()->coveragep()->clear(); // it would grow with every module a test makes
		return;
	}
	if (!coverage) {
		coverage = new kept{std::string(folder) + "/" + program_invocation_short_name + "-" +
					    std::to_string(getpid()) + ".dat",
				    {}};
		std::atexit(write_coverage);
	}
	coverage->modules.push_back(std::move(module));
}

} // namespace twin
