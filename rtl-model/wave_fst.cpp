// Waves as FST, written by Verilator's library: the model's signals below the scope `model`, those of the RTL twins below
// `rtl`.
//
// Verilator looks at the values when a point of time is written, and takes strictly ascending times only. So whatever
// happens is written at once, in the order in which it happens: at its own time, or a picosecond after what was written
// last if that is later.
#include "rtl-model/twin.hpp"
#include "rtl-model/wave_format.h"

#include <verilated_fst_c.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace
{

struct high_clock {
	twin::clocked twin;
	uint64_t fall_ps;
};

struct writer {
	writer(const wave_source *model, const uint64_t *values) : source(*model), value(values) {}

	const wave_source &source; // the model's signals
	const uint64_t *value;     // and their values
	VerilatedFstC file;
	std::vector<high_clock> high; // clocks that are shown high
	uint64_t next_ps = 0;         // earliest time that can still be written
	uint64_t instant_ps = 0;      // that the kernel is at
	bool sampled = true; // the model's signals are written as they were at the end of this instant

	// All values as they are. A module's clock is low again as soon as the edge has been evaluated; what is seen here is the
	// picture of it.
	void write(uint64_t at_ps)
	{
		at_ps = std::max(at_ps, next_ps);
		for (const high_clock &clock : high)
			*clock.twin.clk = 1;
		file.dump(at_ps);
		for (const high_clock &clock : high)
			*clock.twin.clk = 0;
		next_ps = at_ps + 1;
	}

	// Shows the clocks low that fall by then. Verilator looks for changes only in modules that have been evaluated.
	void lower(uint64_t until_ps)
	{
		for (size_t i = high.size(); i-- > 0;) {
			if (high[i].fall_ps > until_ps)
				continue;
			high[i].twin.eval(high[i].twin.module);
			high.erase(high.begin() + static_cast<std::ptrdiff_t>(i));
		}
	}

	// Falling edges before `until_ps`.
	void write_falling_edges(uint64_t until_ps)
	{
		for (;;) {
			uint64_t first_ps = TIME_NEVER_PS;
			for (const high_clock &clock : high)
				first_ps = std::min(first_ps, clock.fall_ps);
			if (first_ps == TIME_NEVER_PS || std::max(first_ps, next_ps) >= until_ps)
				return;
			lower(first_ps);
			write(first_ps);
		}
	}

	void sample()
	{
		sampled = true;
		if (wave_sample(instant_ps))
			write(instant_ps);
	}
};

writer *only;

// ---- the model's signals, as Verilator's own modules declare theirs ----

void push_scope(void *scope, VerilatedFst *file, uint32_t)
{
	file->pushNamePrefix(static_cast<const char *>(scope));
}

void pop_scope(void *, VerilatedFst *file, uint32_t)
{
	file->popNamePrefix();
}

// Two words hold every signal's last value.
constexpr uint32_t codes_per_signal = 2;

void declare(void *ctx, VerilatedFst *file, uint32_t base)
{
	const wave_source &source = static_cast<writer *>(ctx)->source;
	for (unsigned i = 0; i < source.signals; i++) {
		std::string name(source.signal[i].name);
		std::replace(name.begin(), name.end(), '.', ' '); // between scopes
		uint32_t code = base + i * codes_per_signal;
		int bits = static_cast<int>(source.signal[i].bits);
		if (bits == 1)
			file->declBit(code, name.c_str(), -1, FST_VD_IMPLICIT, FST_VT_VCD_WIRE, false, -1);
		else
			file->declQuad(code, name.c_str(), -1, FST_VD_IMPLICIT, FST_VT_VCD_WIRE, false, -1,
				       bits - 1, 0);
	}
}

template <bool all> void write_model(void *ctx, VerilatedFst::Buffer *buffer)
{
	const writer *self = static_cast<writer *>(ctx);
	const uint32_t base = 1; // the model's signals are declared first
	for (unsigned i = 0; i < self->source.signals; i++) {
		uint32_t *old = buffer->oldp(base + i * codes_per_signal);
		int bits = static_cast<int>(self->source.signal[i].bits);
		uint64_t value = self->value[i];
		if (bits <= 32 && all)
			buffer->fullIData(old, static_cast<IData>(value), bits);
		else if (bits <= 32)
			buffer->chgIData(old, static_cast<IData>(value), bits);
		else if (all)
			buffer->fullQData(old, value, bits);
		else
			buffer->chgQData(old, value, bits);
	}
}

bool fst_open(const char *path, const wave_source *source, const uint64_t *value)
{
	static char model_scope[] = "model ", rtl_scope[] = "rtl ";
	twin::context()->traceEverOn(true);
	only = new writer(source, value);
	VerilatedFst *file = only->file.spTrace();
	file->set_time_unit("1ps");
	file->set_time_resolution("1ps");
	file->addInitCb(push_scope, model_scope);
	file->addInitCb(declare, only);
	file->addInitCb(pop_scope, nullptr);
	file->addFullCb(write_model<true>, only);
	file->addChgCb(write_model<false>, only);
	file->addInitCb(push_scope, rtl_scope);
	for (const twin::enlisted &twin : twin::all())
		twin.add(&only->file);
	file->addInitCb(pop_scope, nullptr);
	errno = 0;
	only->file.open(path);
	// The names stand in a file beside ours till the end, when they are mapped into memory: better have them all there
	// while the disk has room.
	std::fflush(nullptr);
	twin::wave_on = only->file.isOpen();
	return twin::wave_on;
}

void fst_begin(void *, uint64_t now_ps)
{
	only->write_falling_edges(now_ps);
	only->instant_ps = now_ps;
	only->sampled = false;
}

void fst_end(void *, uint64_t)
{
	only->sample();
}

void fst_close()
{
	only->write_falling_edges(TIME_NEVER_PS);
	twin::wave_on = false;
	only->file.close();
	delete only;
	only = nullptr;
}

// An FST file is a row of blocks: a byte that says what it is and eight with its length, the most significant first, which
// count themselves. Blocks that were not finished are of type "skip".
bool fst_whole(const char *path)
{
	std::FILE *file = std::fopen(path, "rb");
	bool seen[FST_BL_SKIP + 1] = {};
	uint8_t head[9];
	uint64_t at = 0;
	if (!file)
		return false;
	while (std::fseek(file, static_cast<long>(at), SEEK_SET) == 0 &&
	       std::fread(head, sizeof(head), 1, file) == 1) {
		uint64_t length = static_cast<uint64_t>(load_be32(head + 1)) << 32 | load_be32(head + 5);
		if (length < 8)
			break;
		seen[head[0]] = true;
		at += 1 + length;
	}
	bool to_the_end = std::fseek(file, 0, SEEK_END) == 0 && std::ftell(file) == static_cast<long>(at);
	std::fclose(file);
	bool names = seen[FST_BL_HIER] || seen[FST_BL_HIER_LZ4] || seen[FST_BL_HIER_LZ4DUO];
	return to_the_end && seen[FST_BL_HDR] && seen[FST_BL_GEOM] && names && !seen[FST_BL_SKIP];
}

} // namespace

extern const wave_format wave_fst = {".fst", fst_open, fst_begin, fst_end, fst_close, fst_whole};

unsigned wave_twins(void)
{
	return static_cast<unsigned>(twin::all().size());
}

namespace twin
{

bool wave_on;

void wave_before_edge(const clocked &twin, uint64_t now_ps)
{
	if (now_ps > only->instant_ps && !only->sampled)
		only->sample(); // a core that runs ahead of the kernel: nothing else happens before now
	only->write_falling_edges(now_ps);
	for (high_clock &clock : only->high)
		if (clock.twin.module == twin.module)
			clock.fall_ps = 0; // a second edge in no time
	only->lower(0);
	twin.eval(twin.module);
	only->write(now_ps != 0 ? now_ps - 1 : 0);
}

void wave_after_edge(const clocked &twin, uint64_t now_ps, uint64_t period_ps)
{
	only->high.push_back({twin, now_ps + period_ps / 2});
	only->write(now_ps);
}

} // namespace twin
