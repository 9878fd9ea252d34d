// Machine mode: the CSRs, the counters, and what traps do to them (privileged ISA 1.12, chapter 3). The bits that can be
// written, and the choices the manual leaves, stand in README.md.
module ks_csr (
    input  logic        clk_i,
    input  logic        rst_ni,
    input  logic        clk_en_i,

    // An access by the instruction in execute. `valid` without `commit` only asks.
    input  logic        valid_i,
    input  logic [11:0] addr_i,
    input  logic        write_i,
    input  logic        set_i,      // write the operand's bits as ones
    input  logic        clear_i,    // write the operand's bits as zeros
    input  logic [31:0] operand_i,
    input  logic        commit_i,
    output logic [31:0] rdata_o,
    output logic        illegal_o,

    input  logic        count_cycle_i,
    input  logic        retire_i,

    // Traps.
    input  logic        trap_i,       // an exception or an interrupt is taken
    input  logic        interrupt_i,  // it is the interrupt
    input  logic [3:0]  cause_i,
    input  logic [31:0] tval_i,
    input  logic [31:0] pc_i,
    input  logic        mret_i,
    output logic [31:0] handler_o,    // where the trap goes
    output logic [31:0] base_o,       // where exceptions go
    output logic [31:0] mepc_o,

    // Interrupts.
    input  logic [2:0] irq_i,  // external, timer, software: as sampled by the last edge
    output logic [2:0] mie_o,
    output logic irq_enabled_o,  // a line that went up would interrupt
    output logic irq_pending_o   // and one is up
);
  // Bit numbers of the interrupts in mip and mie, which are also their causes.
  localparam logic [3:0] SOFTWARE = 4'd3;
  localparam logic [3:0] TIMER = 4'd7;
  localparam logic [3:0] EXTERNAL = 4'd11;

  logic        mstatus_mie_q /*verilator public_flat_rd*/;
  logic        mstatus_mpie_q /*verilator public_flat_rd*/;
  logic [ 2:0] mie_q /*verilator public_flat_rd*/;
  logic [31:0] mtvec_q /*verilator public_flat_rd*/;
  logic [31:0] mscratch_q /*verilator public_flat_rd*/;
  logic [31:0] mepc_q /*verilator public_flat_rd*/;
  logic [31:0] mcause_q /*verilator public_flat_rd*/;
  logic [31:0] mtval_q /*verilator public_flat_rd*/;
  logic [63:0] mcycle_q /*verilator public_flat_rd*/;
  logic [63:0] minstret_q /*verilator public_flat_rd*/;

  logic        exists;
  logic [31:0] wdata;
  logic        write;
  logic [ 2:0] pending;
  logic [ 3:0] irq_number;
  logic [63:0] mcycle_next;
  logic [63:0] minstret_next;

  assign mcycle_next = mcycle_q + 64'd1;
  assign minstret_next = minstret_q + 64'd1;
  assign mie_o = mie_q;
  assign mepc_o = mepc_q;
  assign pending = irq_i & mie_q;
  assign irq_enabled_o = mstatus_mie_q && mie_q != 3'd0;
  assign irq_pending_o = mstatus_mie_q && pending != 3'd0;

  // Privileged ISA 3.1.9: external before software before timer.
  assign irq_number = pending[2] ? EXTERNAL : pending[0] ? SOFTWARE : TIMER;
  assign base_o = {mtvec_q[31:2], 2'b00};
  assign handler_o = base_o + (interrupt_i && mtvec_q[0] ? {26'd0, irq_number, 2'b00} : 32'd0);

  // Spread over the bits the manual gives them.
  function automatic logic [31:0] spread(input logic [2:0] lines);
    spread = {20'd0, lines[2], 3'd0, lines[1], 3'd0, lines[0], 3'd0};
  endfunction

  always_comb begin
    exists  = 1'b0;
    rdata_o = 32'd0;
    if (valid_i) begin
      exists = 1'b1;
      unique case (addr_i)
        12'h300: rdata_o = {19'd0, 2'b11, 3'd0, mstatus_mpie_q, 3'd0, mstatus_mie_q, 3'd0};
        12'h301: rdata_o = 32'h4000_1104;  // misa: 32 bits, I, M, C
        12'h304: rdata_o = spread(mie_q);
        12'h305: rdata_o = mtvec_q;
        12'h310: rdata_o = 32'd0;  // mstatush
        12'h340: rdata_o = mscratch_q;
        12'h341: rdata_o = mepc_q;
        12'h342: rdata_o = mcause_q;
        12'h343: rdata_o = mtval_q;
        12'h344: rdata_o = spread(irq_i);
        12'hb00, 12'hc00: rdata_o = mcycle_q[31:0];
        12'hb80, 12'hc80: rdata_o = mcycle_q[63:32];
        12'hb02, 12'hc02: rdata_o = minstret_q[31:0];
        12'hb82, 12'hc82: rdata_o = minstret_q[63:32];
        12'hf11, 12'hf12, 12'hf13, 12'hf14, 12'hf15: rdata_o = 32'd0;  // not implemented, but readable
        default: exists = 1'b0;
      endcase
    end
  end

  // Numbers that start with binary 11 are read-only (privileged ISA 2.1).
  assign illegal_o = valid_i && (!exists || (write_i && addr_i[11:10] == 2'b11));
  assign wdata = set_i ? rdata_o | operand_i : clear_i ? rdata_o & ~operand_i : operand_i;
  assign write = valid_i && write_i && commit_i;

  always_ff @(posedge clk_i) begin
    if (clk_en_i) begin
      if (count_cycle_i) mcycle_q <= mcycle_next;
      if (retire_i) minstret_q <= minstret_next;
      if (trap_i) begin
        mepc_q         <= pc_i;
        mcause_q       <= {interrupt_i, 27'd0, interrupt_i ? irq_number : cause_i};
        mtval_q        <= tval_i;
        mstatus_mpie_q <= mstatus_mie_q;
        mstatus_mie_q  <= 1'b0;
      end
      if (mret_i) begin
        mstatus_mie_q  <= mstatus_mpie_q;
        mstatus_mpie_q <= 1'b1;
      end
      if (write) begin
        unique case (addr_i)
          12'h300: begin
            mstatus_mie_q  <= wdata[3];
            mstatus_mpie_q <= wdata[7];
          end
          12'h304: mie_q <= {wdata[11], wdata[7], wdata[3]};
          12'h305: mtvec_q <= {wdata[31:2], 1'b0, wdata[0]};
          12'h340: mscratch_q <= wdata;
          12'h341: mepc_q <= {wdata[31:1], 1'b0};
          12'h342: mcause_q <= wdata;
          12'h343: mtval_q <= wdata;
          // A write takes effect after the instruction, which has been counted then: the other half shows that count.
          12'hb00: mcycle_q <= {mcycle_next[63:32], wdata};
          12'hb80: mcycle_q <= {wdata, mcycle_next[31:0]};
          12'hb02: minstret_q <= {minstret_next[63:32], wdata};
          12'hb82: minstret_q <= {wdata, minstret_next[31:0]};
          default: ;
        endcase
      end
    end
    if (!rst_ni) begin
      mstatus_mie_q  <= 1'b0;
      mstatus_mpie_q <= 1'b0;
      mie_q          <= 3'd0;
      mtvec_q        <= 32'd0;
      mscratch_q     <= 32'd0;
      mepc_q         <= 32'd0;
      mcause_q       <= 32'd0;
      mtval_q        <= 32'd0;
      mcycle_q       <= 64'd0;
      minstret_q     <= 64'd0;
    end
  end
endmodule
