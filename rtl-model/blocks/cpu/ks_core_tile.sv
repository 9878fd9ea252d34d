// The core with its memory: what is synthesised. The clock runs on in wfi, during which the core does nothing; where it is
// gated instead, the gate's enable is !sleep_o or a line of irq_i that is enabled.
module ks_core_tile #(
    parameter int unsigned TCM_BYTES = csr_pkg::TCM_BYTES
) (
    input logic clk_i,
    input logic rst_ni,
    input logic [31:0] boot_addr_i,

    output logic        bus_valid_o,
    output logic        bus_write_o,
    output logic [31:0] bus_addr_o,
    output logic [ 1:0] bus_size_o,
    output logic [ 3:0] bus_be_o,
    output logic [31:0] bus_wdata_o,
    input  logic        bus_ready_i,
    input  logic        bus_error_i,
    input  logic [31:0] bus_rdata_i,

    input logic [2:0] irq_i,

    output logic sleep_o,
    output logic lockup_o,
    output logic spin_o
);
  logic [31:0] fetch_addr;
  logic [63:0] fetch_words;
  logic [31:0] data_addr;
  logic        data_write;
  logic [ 3:0] data_be;
  logic [31:0] data_wdata;
  logic [63:0] data_words;
  // For an observer.
  logic unused_start;
  logic unused_irq_matter;
  logic unused_attention;
  logic unused_retire;
  logic unused_exception;
  logic unused_interrupt;
  logic unused_transfer;
  logic [31:0] unused_pc;
  logic [31:0] unused_insn;
  logic [31:0] unused_next_pc;
  logic unused_wb_valid;
  logic [4:0] unused_wb_rd;
  logic [31:0] unused_wb_data;

  ks_core i_core (
      .clk_i,
      .rst_ni,
      .clk_en_i     (1'b1),
      .restart_i    (1'b0),
      .boot_addr_i,
      .tcm_bytes_i  (TCM_BYTES),
      .fetch_addr_o (fetch_addr),
      .fetch_words_i(fetch_words),
      .data_addr_o  (data_addr),
      .data_write_o (data_write),
      .data_be_o    (data_be),
      .data_wdata_o (data_wdata),
      .data_words_i (data_words),
      .bus_valid_o,
      .bus_write_o,
      .bus_addr_o,
      .bus_size_o,
      .bus_be_o,
      .bus_wdata_o,
      .bus_ready_i,
      .bus_error_i,
      .bus_rdata_i,
      .irq_i,
      .sleep_o,
      .lockup_o,
      .spin_o,
      .start_o      (unused_start),
      .irq_matter_o (unused_irq_matter),
      .attention_o  (unused_attention),
      .retire_o     (unused_retire),
      .exception_o  (unused_exception),
      .interrupt_o  (unused_interrupt),
      .transfer_o   (unused_transfer),
      .pc_o         (unused_pc),
      .insn_o       (unused_insn),
      .next_pc_o    (unused_next_pc),
      .wb_valid_o   (unused_wb_valid),
      .wb_rd_o      (unused_wb_rd),
      .wb_data_o    (unused_wb_data)
  );

  ks_tcm #(
      .BYTES(TCM_BYTES)
  ) i_tcm (
      .clk_i,
      .fetch_addr_i (fetch_addr),
      .fetch_words_o(fetch_words),
      .data_addr_i  (data_addr),
      .data_write_i (data_write),
      .data_be_i    (data_be),
      .data_wdata_i (data_wdata),
      .data_words_o (data_words)
  );
endmodule
