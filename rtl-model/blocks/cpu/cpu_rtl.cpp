#include "rtl-model/blocks/cpu/cpu_rtl.h"

#include "rtl-model/blocks/cpu/common.h"
#include "rtl-model/twin.hpp"

#include "ks_core/Vks_core.h"
#include "ks_core/Vks_core___024root.h"

#include <algorithm>
#include <csr.h>
#include <new>

namespace
{

enum { PC = 32 };

/* The module's outputs show the cycle that begins at local time. Where an instruction begins (start_o) everything before it
 * is done: only there does the core stop. What that cycle depends on, interrupt lines and registers of other blocks,
 * is settled before its closing edge comes. */
struct cpu_rtl : cpu {
	twin::instance<Vks_core> rtl{"core"};
	struct cpu_memory memory[CPU_MEMORIES];
	struct cpu_bus bus;
	struct htif htif;
	struct account account;
	struct transfers transfers;
	uint32_t sram_cycles, read_cycles, write_cycles;

	enum cpu_state state;
	uint32_t lines;            /* levels, as bits of mip */
	uint32_t restart_pc;       /* if restart */
	bool restart;              /* the pipeline is empty; the first instruction is still to be fetched */
	uint32_t answer_cycles;    /* until the answer of the bus must come, 0 = none is due */
	uint64_t now_ps, known_ps; /* bus accesses happen up to now_ps, lines are known before known_ps */

	void (*trace)(void *ctx, const struct cpu_trace *entry);
	void *trace_ctx;

	/* ---- the module's surroundings ---- */

	uint64_t time_ps() const { return account_time_ps(&account); }

	/* Both words of a pair of memory 0, which may lie outside. */
	uint64_t pair(uint32_t offset) const
	{
		offset &= ~7u;
		return offset + 7 < memory[0].bytes ? load_le64(memory[0].data + offset) : 0;
	}

	/* The instruction port: the word at the address and the next one, the even one low. */
	uint64_t fetch() const
	{
		uint32_t offset = rtl->fetch_addr_o - memory[0].base;
		if (offset & 4)
			return (pair(offset) & ~UINT64_C(0xffffffff)) | (pair(offset + 4) & 0xffffffff);
		return pair(offset);
	}

	static uint32_t lanes(uint32_t be)
	{
		return (be & 1 ? 0xff : 0) | (be & 2 ? 0xff00 : 0) | (be & 4 ? 0xff0000 : 0) |
		       (be & 8 ? 0xff000000 : 0);
	}

	static void write_lanes(uint8_t *at, uint32_t be, uint32_t value)
	{
		store_le32(at, (load_le32(at) & ~lanes(be)) | (value & lanes(be)));
	}

	void write_tcm()
	{
		uint32_t address = rtl->data_addr_o & ~3u;
		write_lanes(memory[0].data + (address - memory[0].base), rtl->data_be_o, rtl->data_wdata_o);
		if (address == htif.tohost && rtl->data_be_o == 0xf && htif_serve(&htif))
			state = CPU_HALTED;
	}

	/* ---- clock edges ---- */

	/* An edge that takes no time: nothing happens in the core but what clk_en_i allows. */
	void edge()
	{
		rtl->fetch_words_i = fetch();
		rtl->clk_i = 1;
		rtl->eval();
		rtl->clk_i = 0;
		rtl->eval();
	}

	/* With the core's clock gated: only the interrupt lines are sampled. */
	void gated_edge()
	{
		rtl->clk_en_i = 0;
		edge();
		rtl->clk_en_i = 1;
	}

	/* The edge that ends the cycle the outputs show. */
	void cycle()
	{
		struct cpu_trace entry;
		struct cpu_stats *count = &account.count;
		bool ended = rtl->retire_o | rtl->exception_o | rtl->interrupt_o;
		rtl->fetch_words_i = fetch();
		rtl->data_words_i = pair(rtl->data_addr_o - memory[0].base);
		if (rtl->data_write_o)
			write_tcm();
		if (__builtin_expect(rtl->bus_ready_i | answer_cycles, 0))
			rtl->bus_ready_i = answer_cycles && --answer_cycles == 0;
		count->instructions += rtl->retire_o;
		count->traps += rtl->exception_o;
		count->interrupts += rtl->interrupt_o;
		if (rtl->transfer_o)
			transfers_add(&transfers, rtl->pc_o, rtl->next_pc_o);
		if (__builtin_expect(trace && ended, 0))
			entry = {0,
				 rtl->pc_o,
				 rtl->insn_o,
				 rtl->next_pc_o,
				 rtl->retire_o != 0,
				 rtl->interrupt_o != 0,
				 0,
				 0};
		twin::cycle(*rtl, time_ps(), account.period_ps);
		count->cycles++;
		if (__builtin_expect(trace && ended, 0)) {
			entry.at_ps = time_ps();
			entry.rd = rtl->wb_valid_o ? rtl->wb_rd_o : 0;
			entry.value = rtl->wb_valid_o ? rtl->wb_data_o : 0;
			trace(trace_ctx, &entry);
		}
	}

	/* ---- bus ---- */

	void answer(bool ok, uint32_t value, uint32_t cycles)
	{
		answer_cycles = cycles - 1;
		rtl->bus_error_i = !ok;
		rtl->bus_rdata_i = value;
	}

	void access_sram(uint8_t *at)
	{
		account.count.sram_accesses++;
		if (rtl->bus_write_o)
			write_lanes(at, rtl->bus_be_o, rtl->bus_wdata_o);
		answer(true, load_le32(at), sram_cycles);
	}

	/* Registers are aligned words. */
	void access_register()
	{
		struct cpu_stats *count = &account.count;
		bool word = rtl->bus_size_o == 2, write = rtl->bus_write_o, ok;
		uint32_t value = rtl->bus_wdata_o, cycles = write ? write_cycles : read_cycles;
		uint64_t at_ps = time_ps();
		known_ps = at_ps + 1; /* what the access sets off may raise an interrupt before the limit */
		if (write)
			ok = word && bus.write && bus.write(bus.ctx, at_ps, rtl->bus_addr_o, value);
		else
			ok = word && bus.read && bus.read(bus.ctx, at_ps, rtl->bus_addr_o, &value);
		if (ok) {
			(write ? count->bus_writes : count->bus_reads)++;
			count->bus_cycles += cycles;
		}
		answer(ok, value, cycles);
	}

	/* False if the access has to wait for its time. */
	bool access()
	{
		uint32_t offset = (rtl->bus_addr_o & ~3u) - memory[1].base;
		if (offset < memory[1].bytes) {
			access_sram(memory[1].data + offset);
			return true;
		}
		if (time_ps() > now_ps)
			return false;
		access_register();
		return true;
	}

	/* ---- running ---- */

	/* Fetches and decodes the first instruction, in no time. */
	void fill()
	{
		if (!restart)
			return;
		rtl->boot_addr_i = restart_pc;
		rtl->restart_i = 1;
		gated_edge();
		rtl->restart_i = 0;
		edge();
		edge();
		restart = false;
		ASSERT(rtl->start_o && rtl->pc_o == restart_pc);
	}

	/* Where an instruction begins: whether it may, now. `enough`: no more instructions are wanted. */
	bool begin(bool enough)
	{
		if (rtl->lockup_o)
			state = CPU_STUCK;
		else if (rtl->sleep_o)
			state = CPU_ASLEEP;
		if (state != CPU_RUNNING || enough)
			return false;
		if (rtl->spin_o) {
			state = CPU_STUCK;
			return false;
		}
		if (rtl->irq_matter_o) {
			if (time_ps() >= known_ps)
				return false;
			if (rtl->rootp->ks_core__DOT__irq_q != rtl->irq_i)
				gated_edge();
		}
		return !rtl->bus_valid_o || access();
	}

	/* Runs for `cycles` cycles, or if 0 to the end of one instruction; returns as cpu_step. */
	uint64_t run(uint64_t cycles)
	{
		const struct cpu_stats *count = &account.count;
		uint64_t end = cycles ? count->cycles + cycles : 0;
		uint64_t ended = count->instructions + count->traps;
		if (state != CPU_RUNNING)
			return TIME_NEVER_PS;
		fill();
		for (;;) {
			if (rtl->attention_o ||
			    (rtl->start_o && (state != CPU_RUNNING || count->cycles >= end))) {
				bool enough = cycles ? count->cycles >= end
						     : count->instructions + count->traps != ended;
				if (!begin(enough))
					return state == CPU_RUNNING ? time_ps() : TIME_NEVER_PS;
			}
			cycle();
		}
	}

	/* Empties the pipeline between two instructions, so that registers can be changed. */
	void drain()
	{
		if (restart)
			return;
		restart_pc = rtl->pc_o;
		restart = true;
		rtl->boot_addr_i = restart_pc;
		rtl->restart_i = 1;
		gated_edge();
		rtl->restart_i = 0;
		edge(); /* writes back what was on its way */
	}

	void reset(uint64_t at_ps, uint32_t entry)
	{
		rtl->rst_ni = 0;
		edge();
		rtl->rst_ni = 1;
		std::fill_n(&rtl->rootp->ks_core__DOT__x_q[0], 32, 0u);
		rtl->rootp->ks_core__DOT__x_q[0] = 0xbad; // x0 is not there: nothing may read it
		restart_pc = entry & ~1u;
		restart = true;
		answer_cycles = 0;
		rtl->bus_ready_i = 0;
		state = CPU_RUNNING;
		account_reset(&account, at_ps);
		transfers.count = 0;
		htif.exit_code = 0;
	}

	uint32_t get_register(unsigned index) const
	{
		if (index == PC)
			return restart ? restart_pc : rtl->pc_o;
		if (rtl->wb_valid_o && rtl->wb_rd_o == index)
			return rtl->wb_data_o; /* on its way */
		return index == 0 ? 0 : rtl->rootp->ks_core__DOT__x_q[index];
	}

	void set_register(unsigned index, uint32_t value)
	{
		drain();
		if (index == PC)
			restart_pc = value & ~1u;
		else if (index != 0)
			rtl->rootp->ks_core__DOT__x_q[index] = value;
	}

	bool get_csr(unsigned number, uint32_t *value) const;
};

cpu_rtl *rtl_of(struct cpu *cpu)
{
	return static_cast<cpu_rtl *>(cpu);
}

const cpu_rtl *rtl_of(const struct cpu *cpu)
{
	return static_cast<const cpu_rtl *>(cpu);
}

/* The lines as the module has them: external, timer, software. */
CData irq_of(uint32_t mip)
{
	return static_cast<CData>((mip >> 11 & 1) << 2 | (mip >> 7 & 1) << 1 | (mip >> 3 & 1));
}

uint32_t spread(CData lines)
{
	return (lines >> 2 & 1) << 11 | (lines >> 1 & 1) << 7 | (lines & 1) << 3;
}

/* What the module's CSRs read as between two instructions. */
bool cpu_rtl::get_csr(unsigned number, uint32_t *value) const
{
	const Vks_core___024root *root = rtl->rootp;
	switch (number) {
	case 0x300:
		*value = 0x1800 | root->ks_core__DOT__i_csr__DOT__mstatus_mpie_q << 7 |
			 root->ks_core__DOT__i_csr__DOT__mstatus_mie_q << 3;
		return true;
	case 0x301: *value = 0x40001104; return true;
	case 0x304: *value = spread(root->ks_core__DOT__i_csr__DOT__mie_q); return true;
	case 0x305: *value = root->ks_core__DOT__i_csr__DOT__mtvec_q; return true;
	case 0x340: *value = root->ks_core__DOT__i_csr__DOT__mscratch_q; return true;
	case 0x341: *value = root->ks_core__DOT__i_csr__DOT__mepc_q; return true;
	case 0x342: *value = root->ks_core__DOT__i_csr__DOT__mcause_q; return true;
	case 0x343: *value = root->ks_core__DOT__i_csr__DOT__mtval_q; return true;
	case 0x344: *value = lines; return true;
	case 0xb00:
	case 0xc00: *value = static_cast<uint32_t>(root->ks_core__DOT__i_csr__DOT__mcycle_q); return true;
	case 0xb80:
	case 0xc80:
		*value = static_cast<uint32_t>(root->ks_core__DOT__i_csr__DOT__mcycle_q >> 32);
		return true;
	case 0xb02:
	case 0xc02: *value = static_cast<uint32_t>(root->ks_core__DOT__i_csr__DOT__minstret_q); return true;
	case 0xb82:
	case 0xc82:
		*value = static_cast<uint32_t>(root->ks_core__DOT__i_csr__DOT__minstret_q >> 32);
		return true;
	case 0x310:
	case 0xf11:
	case 0xf12:
	case 0xf13:
	case 0xf14:
	case 0xf15: *value = 0; return true;
	default: return false;
	}
}

/* ---- the functions of cpu.h ---- */

uint64_t step(struct cpu *cpu, uint64_t now_ps, uint64_t limit_ps)
{
	cpu_rtl *c = rtl_of(cpu);
	uint64_t cycles = CPU_RUN_AHEAD_CYCLES;
	c->now_ps = now_ps;
	c->known_ps = max_u64(limit_ps, now_ps + 1);
	if (twin::wave_on) /* waves are written in order of time */
		cycles = std::clamp<uint64_t>(account_periods_until(&c->account, limit_ps), 1, cycles);
	return c->run(cycles);
}

void single_step(struct cpu *cpu)
{
	cpu_rtl *c = rtl_of(cpu);
	c->now_ps = c->known_ps = TIME_NEVER_PS;
	c->run(0);
}

void set_interrupt(struct cpu *cpu, uint64_t now_ps, unsigned bit, bool level)
{
	cpu_rtl *c = rtl_of(cpu);
	ASSERT(bit < 32 && (INTERRUPTS >> bit & 1));
	c->lines = level ? c->lines | 1u << bit : c->lines & ~(1u << bit);
	c->rtl->irq_i = irq_of(c->lines);
	if (c->state == CPU_ASLEEP && (c->lines & spread(c->rtl->rootp->ks_core__DOT__i_csr__DOT__mie_q))) {
		account_wake(&c->account, now_ps);
		c->gated_edge(); /* the core's clock runs again from that edge on */
		c->state = CPU_RUNNING;
	}
}

const struct cpu_ops ops = {
	.free = [](struct cpu *cpu) { delete rtl_of(cpu); },
	.reset = [](struct cpu *cpu, uint64_t now_ps, uint32_t entry) { rtl_of(cpu)->reset(now_ps, entry); },
	.step = step,
	.single_step = single_step,
	.set_interrupt = set_interrupt,
	.state = [](const struct cpu *cpu) { return rtl_of(cpu)->state; },
	.halt = [](struct cpu *cpu) { rtl_of(cpu)->state = CPU_HALTED; },
	.set_htif = [](struct cpu *cpu, uint32_t tohost, uint32_t fromhost,
		       FILE *console) { htif_set(&rtl_of(cpu)->htif, tohost, fromhost, console); },
	.exit_code = [](const struct cpu *cpu) { return rtl_of(cpu)->htif.exit_code; },
	.get_register =
		[](const struct cpu *cpu, unsigned index) {
			ASSERT(index <= PC);
			return rtl_of(cpu)->get_register(index);
		},
	.set_register =
		[](struct cpu *cpu, unsigned index, uint32_t value) {
			ASSERT(index <= PC);
			rtl_of(cpu)->set_register(index, value);
		},
	.get_csr = [](const struct cpu *cpu, unsigned number,
		      uint32_t *value) { return rtl_of(cpu)->get_csr(number, value); },
	.time_ps = [](const struct cpu *cpu) { return rtl_of(cpu)->time_ps(); },
	.stats =
		[](const struct cpu *cpu, uint64_t now_ps) {
			return account_stats(&rtl_of(cpu)->account, rtl_of(cpu)->state, now_ps);
		},
	.dump = [](const struct cpu *cpu, FILE *out) { dump_core(cpu, &rtl_of(cpu)->transfers, out); },
};

} // namespace

struct cpu *cpu_rtl_create(const struct config *config, const struct cpu_bus *bus,
			   const struct cpu_memory memory[CPU_MEMORIES])
{
	cpu_rtl *c = new (std::nothrow) cpu_rtl();
	if (!c)
		return nullptr;
	c->cpu::ops = &ops;
	ASSERT(memory[0].base == TCM_BASE);
	for (size_t i = 0; i < CPU_MEMORIES; i++) {
		ASSERT(memory[i].base % 4 == 0 && memory[i].bytes % 4 == 0);
		c->memory[i] = memory[i];
	}
	if (bus)
		c->bus = *bus;
	c->htif.memory = c->memory;
	c->account.period_ps = config_period_ps(config->core.clock_mhz);
	c->sram_cycles = config->core.sram_cycles;
	c->read_cycles = config->core.csr_read_cycles;
	c->write_cycles = config->core.csr_write_cycles;
	c->rtl->clk_en_i = 1;
	c->rtl->tcm_bytes_i = memory[0].bytes;
	c->rtl->eval(); /* the clock low, so that the first edge is one */
	cpu_set_htif(c, 0, 0, nullptr);
	cpu_reset(c, 0, memory[0].base);
	return c;
}

void cpu_rtl_set_trace(struct cpu *cpu, void (*trace)(void *ctx, const struct cpu_trace *entry), void *ctx)
{
	cpu_rtl *c = rtl_of(cpu);
	c->trace = trace;
	c->trace_ctx = ctx;
}
