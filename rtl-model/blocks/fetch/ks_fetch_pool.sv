// The numbers 0 to 2**Log2 - 1 that are free: those given back, the last one first, then those not taken since the clear.
// So a clear needs no time, and few numbers are in use where few are needed.
module ks_fetch_pool #(
    parameter int unsigned Log2 = 6
) (
    input  logic            clk_i,
    input  logic            clear_i,
    input  logic            take_i,    // `number_o`, while `free_o` is not 0
    output logic [Log2-1:0] number_o,
    output logic [Log2:0]   free_o,
    output logic [Log2:0]   known_o,   // numbers below this have been taken since the clear
    input  logic            give_i,
    input  logic [Log2-1:0] give_number_i
);
  logic [Log2-1:0] stack_mem[2**Log2];  // asynchronous read
  logic [Log2:0] depth_q, known_q, free_q;
  logic [Log2-1:0] top;
  logic            from_stack;

  assign top        = depth_q[Log2-1:0] - 1'b1;
  assign from_stack = depth_q != '0;
  assign number_o   = from_stack ? stack_mem[top] : known_q[Log2-1:0];
  assign free_o     = free_q;
  assign known_o    = known_q;

  always_ff @(posedge clk_i) begin
    if (give_i) stack_mem[take_i && from_stack ? top : depth_q[Log2-1:0]] <= give_number_i;
    if (take_i != give_i) free_q <= take_i ? free_q - 1'b1 : free_q + 1'b1;
    if (take_i) begin
      if (!from_stack) known_q <= known_q + 1'b1;
      else if (!give_i) depth_q <= depth_q - 1'b1;
    end
    if (give_i && !(take_i && from_stack)) depth_q <= depth_q + 1'b1;
    if (clear_i) begin
      depth_q <= '0;
      known_q <= '0;
      free_q  <= {1'b1, {Log2{1'b0}}};
    end
  end

`ifdef KS_ASSERT
  logic [2**Log2-1:0] out_q;  // numbers that are taken
  always_ff @(posedge clk_i) begin
    if (take_i) out_q[number_o] <= 1'b1;
    if (give_i) out_q[give_number_i] <= 1'b0;
    if (clear_i) out_q <= '0;
    else begin
      assert (!(take_i && (free_q == '0 || out_q[number_o])));
      assert (!(give_i && !out_q[give_number_i]));
    end
  end
`endif
endmodule
