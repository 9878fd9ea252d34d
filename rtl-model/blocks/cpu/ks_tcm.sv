// The core's tightly coupled memory: two banks, one of the even and one of the odd 32-bit words, so that 32 bits at any even
// address are read at once. Two ports: one reads instructions, the other reads or writes data. Reads are combinational: the
// core registers what it reads, and synthesis merges those registers into the block RAM.
module ks_tcm #(
    parameter int unsigned BYTES = csr_pkg::TCM_BYTES  // a power of two
) (
    input  logic        clk_i,
    input  logic [31:0] fetch_addr_i,
    output logic [63:0] fetch_words_o,  // the word at the address and the next one, that of the even bank low
    input  logic [31:0] data_addr_i,
    input  logic        data_write_i,
    input  logic [ 3:0] data_be_i,
    input  logic [31:0] data_wdata_i,
    output logic [63:0] data_words_o
);
  localparam int unsigned ROWS = BYTES / 8;
  localparam int unsigned ROW_BITS = $clog2(ROWS);

  logic [31:0] even_q[ROWS]  /*verilator public_flat_rw*/;
  logic [31:0] odd_q[ROWS]  /*verilator public_flat_rw*/;

  logic [ROW_BITS-1:0] fetch_row;
  logic [ROW_BITS-1:0] fetch_row_even;
  logic [ROW_BITS-1:0] data_row;

  assign fetch_row      = fetch_addr_i[3+:ROW_BITS];
  assign fetch_row_even = fetch_row + {{(ROW_BITS - 1) {1'b0}}, fetch_addr_i[2]};
  assign data_row       = data_addr_i[3+:ROW_BITS];
  assign fetch_words_o  = {odd_q[fetch_row], even_q[fetch_row_even]};
  assign data_words_o   = {odd_q[data_row], even_q[data_row]};

  always_ff @(posedge clk_i) begin
    for (int i = 0; i < 4; i++) begin
      if (data_write_i && data_be_i[i] && !data_addr_i[2]) even_q[data_row][8*i+:8] <= data_wdata_i[8*i+:8];
      if (data_write_i && data_be_i[i] && data_addr_i[2]) odd_q[data_row][8*i+:8] <= data_wdata_i[8*i+:8];
    end
  end

  // The core has looked at the addresses.
  logic unused_bits;
  assign unused_bits = ^{fetch_addr_i, data_addr_i};
endmodule
