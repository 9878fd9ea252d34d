// A twin to try waves and coverage with: adds its input to a sum at every clock edge.
module twin_counter (
  input  logic       clk_i,
  input  logic [7:0] add_i,
  output logic [7:0] next_o,  // what the next edge will make of the sum
  output logic [7:0] sum_o
);
  logic [7:0] sum_q;

  assign next_o = sum_q + add_i;
  assign sum_o  = sum_q;

  always_ff @(posedge clk_i) begin
    sum_q <= next_o;
    if (add_i == 8'hff) begin
      sum_q <= 8'h00;
    end
  end
endmodule
