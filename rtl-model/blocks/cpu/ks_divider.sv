// Division and remainder: restoring, one bit of the quotient a cycle, in a time that does not depend on the operands. One
// cycle takes the operands' magnitudes, 32 divide, in the 34th the result is there with its sign.
module ks_divider (
    input  logic        clk_i,
    input  logic        rst_ni,
    input  logic        clk_en_i,
    input  logic        start_i,     // for one cycle, when idle
    input  logic        signed_i,
    input  logic        remainder_i, // which of the two is wanted
    input  logic [31:0] dividend_i,
    input  logic [31:0] divisor_i,
    output logic        done_o,      // in the one cycle in which the result is there
    output logic [31:0] result_o
);
  logic [ 5:0] left_q;       // steps, and the cycle of the result
  logic [31:0] quotient_q;   // the dividend's bits leave at the top while the quotient's come in at the bottom
  logic [31:0] remainder_q;
  logic [31:0] divisor_q;
  logic        remainder_wanted_q;
  logic        negate_q;
  logic [32:0] difference;
  logic [31:0] magnitude;

  assign difference = {remainder_q, quotient_q[31]} - {1'b0, divisor_q};
  assign magnitude  = remainder_wanted_q ? remainder_q : quotient_q;
  assign done_o     = left_q == 6'd1;
  assign result_o   = negate_q ? -magnitude : magnitude;

  always_ff @(posedge clk_i) begin
    if (clk_en_i) begin
      if (start_i) begin
        left_q             <= 6'd33;
        quotient_q         <= signed_i && dividend_i[31] ? -dividend_i : dividend_i;
        divisor_q          <= signed_i && divisor_i[31] ? -divisor_i : divisor_i;
        remainder_q        <= 32'd0;
        remainder_wanted_q <= remainder_i;
        // By 0 the quotient is all ones, whatever the signs, and the remainder the dividend (unprivileged ISA 7.2).
        negate_q <= signed_i && (remainder_i ? dividend_i[31] :
                                 (dividend_i[31] != divisor_i[31]) && divisor_i != 32'd0);
      end else if (left_q != 6'd0) begin
        left_q <= left_q - 6'd1;
        if (left_q != 6'd1) begin
          remainder_q <= difference[32] ? {remainder_q[30:0], quotient_q[31]} : difference[31:0];
          quotient_q  <= {quotient_q[30:0], !difference[32]};
        end
      end
    end
    if (!rst_ni) left_q <= 6'd0;
  end
endmodule
