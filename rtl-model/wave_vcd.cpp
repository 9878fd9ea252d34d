// Waves as VCD, written by SystemC.
#include "rtl-model/wave_format.h"

#include <cstdio>
#include <string>
#include <systemc>

namespace
{

sc_core::sc_trace_file *file;

bool vcd_open(const char *path, const wave_source *source, const uint64_t *value)
{
	// SystemC names the file itself: what it is given and ".vcd".
	std::string base(path);
	base.resize(base.size() - 4);
	file = sc_core::sc_create_vcd_trace_file(base.c_str());
	file->set_time_unit(1, sc_core::SC_PS);
	for (unsigned i = 0; i < source->signals; i++) {
		// SystemC knows two 64-bit types and overloads sc_trace on both.
		const sc_dt::uint64 &traced = *reinterpret_cast<const sc_dt::uint64 *>(&value[i]);
		sc_core::sc_trace(file, traced, source->signal[i].name,
				  static_cast<int>(source->signal[i].bits));
	}
	return true;
}

void vcd_begin(void *, uint64_t) {}

// SystemC writes what has changed when time goes on.
void vcd_end(void *, uint64_t now_ps)
{
	wave_sample(now_ps);
}

void vcd_close()
{
	sc_core::sc_close_vcd_trace_file(file);
	file = nullptr;
}

// It goes on to the present time, which is when SystemC ends it.
bool vcd_whole(const char *path)
{
	const std::string end = "\n#" + std::to_string(sc_core::sc_time_stamp().value()) + "\n";
	char tail[8192] = "";
	std::FILE *written = std::fopen(path, "r");
	if (!written)
		return false;
	if (std::fseek(written, -static_cast<long>(sizeof(tail) - 1), SEEK_END) != 0)
		std::rewind(written); // it is shorter
	std::size_t bytes = std::fread(tail, 1, sizeof(tail) - 1, written);
	std::fclose(written);
	return bytes != 0 && tail[bytes - 1] == '\n' && std::string(tail).find(end) != std::string::npos;
}

} // namespace

extern const wave_format wave_vcd = {".vcd", vcd_open, vcd_begin, vcd_end, vcd_close, vcd_whole};
