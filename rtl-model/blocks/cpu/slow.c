/* Instructions the execution loop leaves to a function: whatever traps, waits, changes who may interrupt, or touches
 * something else than memory. */
#include "rtl-model/blocks/cpu/state.h"

static void retire(struct iss *c, const struct insn *insn, uint32_t extra_cycles)
{
	c->account.count.cycles += (insn->cost >> COST_SHIFT) + extra_cycles;
	c->account.count.instructions++;
	c->pc += raw_bytes(insn->raw);
}

static uint32_t access_bytes(enum op op)
{
	switch (op) {
	case OP_LB:
	case OP_LBU:
	case OP_SB: return 1;
	case OP_LH:
	case OP_LHU:
	case OP_SH: return 2;
	default: return 4;
	}
}

/* What a register access sets off may raise an interrupt before the event that limited this step. */
static void forget_limit(struct iss *c)
{
	c->known_ps = iss_time_ps(c) + 1;
}

/* The loop has found the address misaligned or outside the memories, so it is a register of a block or a fault.
 * Misalignment is reported before anything else is looked at (privileged ISA §3.7 allows either). */
static bool load(struct iss *c, const struct insn *insn)
{
	uint32_t address = c->r[insn->rs1] + (uint32_t)insn->imm;
	uint32_t bytes = access_bytes(insn_op(insn));
	uint32_t value;
	if (address % bytes != 0) {
		cpu_exception(c, CAUSE_LOAD_MISALIGNED, address);
		return true;
	}
	if (iss_time_ps(c) > c->now_ps)
		return false;
	forget_limit(c);
	if (bytes != 4 || !c->bus.read || !c->bus.read(c->bus.ctx, iss_time_ps(c), address, &value)) {
		c->account.count.cycles += c->cycle_table.csr_read - 1; /* the fault is the bus's answer */
		cpu_exception(c, CAUSE_LOAD_FAULT, address);
		return true;
	}
	c->account.count.bus_reads++;
	c->account.count.bus_cycles += c->cycle_table.csr_read;
	c->r[insn->rd] = value;
	retire(c, insn, c->cycle_table.csr_read - 1);
	return true;
}

static bool store(struct iss *c, const struct insn *insn)
{
	uint32_t address = c->r[insn->rs1] + (uint32_t)insn->imm;
	uint32_t bytes = access_bytes(insn_op(insn));
	uint32_t value = c->r[insn->rs2];
	if (address % bytes != 0) {
		cpu_exception(c, CAUSE_STORE_MISALIGNED, address);
		return true;
	}
	if (bytes == 4 && address == c->htif.tohost) {
		store_le32(c->memory[0].data + (address - c->memory[0].base), value);
		retire(c, insn, 0);
		if (htif_serve(&c->htif))
			c->state = CPU_HALTED;
		return true;
	}
	if (iss_time_ps(c) > c->now_ps)
		return false;
	forget_limit(c);
	if (bytes != 4 || !c->bus.write || !c->bus.write(c->bus.ctx, iss_time_ps(c), address, value)) {
		c->account.count.cycles += c->cycle_table.csr_write - 1;
		cpu_exception(c, CAUSE_STORE_FAULT, address);
		return true;
	}
	c->account.count.bus_writes++;
	c->account.count.bus_cycles += c->cycle_table.csr_write;
	retire(c, insn, c->cycle_table.csr_write - 1);
	return true;
}

/* Zicsr. A CSR whose number starts with binary 11 is read-only; set and clear with x0 or 0 do not write. */
static bool access_csr(struct iss *c, const struct insn *insn)
{
	enum op op = insn_op(insn);
	unsigned number = insn->raw >> 20;
	bool exchange = op == OP_CSRRW || op == OP_CSRRWI;
	bool immediate = op == OP_CSRRWI || op == OP_CSRRSI || op == OP_CSRRCI;
	bool writes = exchange || insn->rs1 != 0;
	uint32_t operand = immediate ? insn->rs1 : c->r[insn->rs1];
	uint32_t old;

	if (!csr_read(c, number, &old) || (writes && number >> 10 == 3)) {
		cpu_exception(c, CAUSE_ILLEGAL, insn->raw);
		return true;
	}
	if (number == CSR_MIP && iss_time_ps(c) >= c->known_ps)
		return false;
	c->r[insn->rd] = old;
	retire(c, insn, 0);
	/* After the instruction has been counted: a write to mcycle or minstret takes effect last (unprivileged ISA
	 * §9.1, privileged ISA §3.1.10). */
	if (exchange)
		csr_write(c, number, operand);
	else if (writes)
		csr_write(c, number, op == OP_CSRRS || op == OP_CSRRSI ? old | operand : old & ~operand);
	return true;
}

/* A pending interrupt ends wfi even when mstatus.MIE is off (privileged ISA §3.3.3). */
static bool wait_for_interrupt(struct iss *c, const struct insn *insn)
{
	if (iss_time_ps(c) >= c->known_ps)
		return false;
	retire(c, insn, 0);
	if (!(c->machine.mip & c->machine.mie))
		c->state = CPU_ASLEEP;
	return true;
}

/* jal to itself. */
static void spin(struct iss *c, const struct insn *insn)
{
	if (!cpu_interruptible(c)) {
		c->state = CPU_STUCK;
		return;
	}
	uint32_t pc = c->pc;
	retire(c, insn, 0);
	c->r[insn->rd] = c->pc;
	c->pc = pc;
}

static void trap_return(struct iss *c, const struct insn *insn)
{
	uint32_t pc = c->pc;
	retire(c, insn, 0);
	cpu_leave_trap(c);
	transfers_add(&c->transfers, pc, c->pc);
}

static bool execute_decoded(struct iss *c, const struct insn *insn)
{
	switch (insn_op(insn)) {
	case OP_LB:
	case OP_LH:
	case OP_LW:
	case OP_LBU:
	case OP_LHU: return load(c, insn);
	case OP_SB:
	case OP_SH:
	case OP_SW: return store(c, insn);
	case OP_CSRRW:
	case OP_CSRRS:
	case OP_CSRRC:
	case OP_CSRRWI:
	case OP_CSRRSI:
	case OP_CSRRCI: return access_csr(c, insn);
	case OP_WFI: return wait_for_interrupt(c, insn);
	case OP_SPIN: spin(c, insn); return true;
	case OP_ECALL: cpu_exception(c, CAUSE_ECALL_M, 0); return true;
	case OP_EBREAK: cpu_exception(c, CAUSE_BREAKPOINT, c->pc); return true;
	case OP_ILLEGAL: cpu_exception(c, CAUSE_ILLEGAL, insn->raw); return true;
	case OP_MRET: trap_return(c, insn); return true;
	case OP_FENCE_I:
		retire(c, insn, 0);
		code_forget(&c->code);
		return true;
	default: ASSERT(false);
	}
	return false;
}

bool cpu_execute_slow(struct iss *c)
{
	if (!code_contains(&c->code, c->pc)) {
		cpu_exception(c, CAUSE_FETCH_FAULT, c->pc);
		return true;
	}
	const struct insn *insn = code_at(&c->code, c->pc);
	if (insn_op(insn) ==
	    OP_UNDECODED) { /* its second half lies outside the memory, and mtval names that part */
		cpu_exception(c, CAUSE_FETCH_FAULT, c->pc + 2);
		return true;
	}
	return execute_decoded(c, insn);
}
