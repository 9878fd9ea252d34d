// Expands a 16-bit instruction to the 32-bit instruction it abbreviates (C extension 2.0, chapter 16: every one has an
// equivalent). What is none gives 0, which is illegal. Combinational.
module ks_rvc (
    input  logic [15:0] half_i,
    output logic [31:0] word_o
);
  logic [4:0] rd;        // also rs1
  logic [4:0] rs2;
  logic [4:0] rd_low;    // three-bit fields name x8 to x15
  logic [4:0] rs2_low;
  logic [11:0] imm6;
  logic [20:1] jump;
  logic [12:1] branch;
  logic        bit12;
  logic        imm6_zero;

  assign bit12   = half_i[12];
  assign rd      = half_i[11:7];
  assign rs2     = half_i[6:2];
  assign rd_low  = {2'b01, half_i[9:7]};
  assign rs2_low = {2'b01, half_i[4:2]};
  assign imm6      = {{7{bit12}}, half_i[6:2]};
  assign imm6_zero = {bit12, half_i[6:2]} == 6'd0;
  assign jump = {{10{bit12}}, half_i[8], half_i[10:9], half_i[6], half_i[7], half_i[2], half_i[11],
                 half_i[5:3]};
  assign branch = {{5{bit12}}, half_i[6:5], half_i[2], half_i[11:10], half_i[4:3]};

  always_comb begin
    word_o = 32'd0;
    unique case ({
      half_i[1:0], half_i[15:13]
    })
      // Quadrant 0: loads and stores over three-bit registers.
      5'b00_000:  // c.addi4spn
      if (half_i[12:5] != 8'd0)
        word_o = {2'b00, half_i[10:7], half_i[12:11], half_i[5], half_i[6], 2'b00, 5'd2, 3'b000, rs2_low,
                  7'h13};
      5'b00_010:  // c.lw
      word_o = {5'd0, half_i[5], half_i[12:10], half_i[6], 2'b00, rd_low, 3'b010, rs2_low, 7'h03};
      5'b00_110:  // c.sw
      word_o = {5'd0, half_i[5], half_i[12], rs2_low, rd_low, 3'b010, half_i[11:10], half_i[6], 2'b00, 7'h23};

      // Quadrant 1: immediates and short jumps.
      5'b01_000:  // c.nop, c.addi
      word_o = {imm6, rd, 3'b000, rd, 7'h13};
      5'b01_001:  // c.jal
      word_o = {jump[20], jump[10:1], jump[11], jump[19:12], 5'd1, 7'h6f};
      5'b01_010:  // c.li
      word_o = {imm6, 5'd0, 3'b000, rd, 7'h13};
      5'b01_011:  // c.addi16sp, c.lui: an immediate of 0 is reserved
      if (!imm6_zero)
        word_o = rd == 5'd2 ?
            {{3{bit12}}, half_i[4:3], half_i[5], half_i[2], half_i[6], 4'd0, 5'd2, 3'b000, 5'd2, 7'h13} :
            {{15{bit12}}, half_i[6:2], rd, 7'h37};
      5'b01_100: begin
        unique case (half_i[11:10])
          2'b00: if (!bit12) word_o = {7'h00, rs2, rd_low, 3'b101, rd_low, 7'h13};  // c.srli
          2'b01: if (!bit12) word_o = {7'h20, rs2, rd_low, 3'b101, rd_low, 7'h13};  // c.srai
          2'b10: word_o = {imm6, rd_low, 3'b111, rd_low, 7'h13};                    // c.andi
          default: begin  // c.sub, c.xor, c.or, c.and; bit 12: words of RV64
            if (!bit12) begin
              unique case (half_i[6:5])
                2'b00:   word_o = {7'h20, rs2_low, rd_low, 3'b000, rd_low, 7'h33};
                2'b01:   word_o = {7'h00, rs2_low, rd_low, 3'b100, rd_low, 7'h33};
                2'b10:   word_o = {7'h00, rs2_low, rd_low, 3'b110, rd_low, 7'h33};
                default: word_o = {7'h00, rs2_low, rd_low, 3'b111, rd_low, 7'h33};
              endcase
            end
          end
        endcase
      end
      5'b01_101:  // c.j
      word_o = {jump[20], jump[10:1], jump[11], jump[19:12], 5'd0, 7'h6f};
      5'b01_110, 5'b01_111:  // c.beqz, c.bnez
      word_o = {branch[12], branch[10:5], 5'd0, rd_low, 2'b00, half_i[13], branch[4:1], branch[11], 7'h63};

      // Quadrant 2: stack-pointer-relative and full-register forms.
      5'b10_000:  // c.slli
      if (!bit12) word_o = {7'h00, rs2, rd, 3'b001, rd, 7'h13};
      5'b10_010:  // c.lwsp
      if (rd != 5'd0) word_o = {4'd0, half_i[3:2], bit12, half_i[6:4], 2'b00, 5'd2, 3'b010, rd, 7'h03};
      5'b10_100: begin
        if (rs2 != 5'd0) word_o = {7'h00, rs2, bit12 ? rd : 5'd0, 3'b000, rd, 7'h33};  // c.mv, c.add
        else if (rd != 5'd0) word_o = {12'd0, rd, 3'b000, 4'd0, bit12, 7'h67};         // c.jr, c.jalr
        else if (bit12) word_o = 32'h0010_0073;                                        // c.ebreak
      end
      5'b10_110:  // c.swsp
      word_o = {4'd0, half_i[8:7], half_i[12], rs2, 5'd2, 3'b010, half_i[11:9], 2'b00, 7'h23};
      default: ;  // floating point, reserved, and what is 32 bits long
    endcase
  end
endmodule
