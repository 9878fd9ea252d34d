// A queue. The head is to be seen in the cycle after the push; the memory is read asynchronously.
module ks_fetch_fifo #(
    parameter int unsigned Width = 8,
    parameter int unsigned DepthLog2 = 4
) (
    input  logic             clk_i,
    input  logic             clear_i,
    input  logic             push_i,
    input  logic [Width-1:0] data_i,
    input  logic             pop_i,
    output logic [Width-1:0] data_o,
    output logic             empty_o,
    output logic             full_o
);
  logic [Width-1:0] mem[2**DepthLog2];
  logic [DepthLog2:0] head_q, tail_q;  // free running

  assign empty_o = head_q == tail_q;
  assign full_o  = tail_q - head_q == {1'b1, {DepthLog2{1'b0}}};
  assign data_o  = mem[head_q[DepthLog2-1:0]];

  always_ff @(posedge clk_i) begin
    if (push_i) begin
      mem[tail_q[DepthLog2-1:0]] <= data_i;
      tail_q <= tail_q + 1'b1;
    end
    if (pop_i) head_q <= head_q + 1'b1;
    if (clear_i) begin
      head_q <= '0;
      tail_q <= '0;
    end
`ifdef KS_ASSERT
    if (!clear_i) begin
      assert (!(push_i && full_o));
      assert (!(pop_i && empty_o));
    end
`endif
  end
endmodule
