// Decodes one 32-bit instruction (16-bit ones have been expanded). Combinational. The instruction set is that of insn.h;
// everything else is illegal.
module ks_decode (
    input  logic [31:0] insn_i,
    output ks_core_pkg::op_t op_o,
    output logic [ 3:0] cause_o,      // of op_o.trap
    output logic        reads_rs1_o,
    output logic        reads_rs2_o,
    output logic        writes_rd_o,  // and rd is not x0
    output logic        imm_b_o,      // operand b is an immediate
    output logic        upper_o,      // it is that of lui
    output logic [ 2:0] alu_op_o,     // funct3 of the operation
    output logic        alu_alt_o     // sub, sra
);
  logic [6:0] funct7;
  logic [2:0] funct3;
  logic       has_rd;

  assign funct3 = insn_i[14:12];
  assign funct7 = insn_i[31:25];
  assign writes_rd_o = has_rd && insn_i[11:7] != 5'd0;

  always_comb begin
    op_o        = '0;
    cause_o     = ks_core_pkg::CAUSE_ILLEGAL;
    reads_rs1_o = 1'b0;
    reads_rs2_o = 1'b0;
    has_rd      = 1'b0;
    imm_b_o     = 1'b0;
    upper_o     = 1'b0;
    alu_op_o    = funct3;
    alu_alt_o   = 1'b0;
    if (insn_i[1:0] != 2'b11) begin
      op_o.trap = 1'b1;
    end else begin
      unique case (insn_i[6:2])
        ks_core_pkg::OPCODE_LUI: begin
          has_rd   = 1'b1;
          imm_b_o  = 1'b1;
          upper_o  = 1'b1;
          alu_op_o = 3'b000;
        end
        ks_core_pkg::OPCODE_AUIPC: begin
          op_o.alt = 1'b1;
          has_rd   = 1'b1;
        end
        ks_core_pkg::OPCODE_JAL: begin
          op_o.alt  = 1'b1;
          op_o.spin = {insn_i[31:21], insn_i[20], insn_i[19:12]} == 20'd0;
          has_rd    = 1'b1;
          op_o.jal  = 1'b1;
        end
        ks_core_pkg::OPCODE_JALR: begin
          op_o.alt    = funct3 == 3'b000;
          op_o.jalr   = funct3 == 3'b000;
          op_o.trap   = funct3 != 3'b000;
          has_rd      = funct3 == 3'b000;
          reads_rs1_o = funct3 == 3'b000;
        end
        ks_core_pkg::OPCODE_BRANCH: begin
          op_o.branch = funct3[2:1] != 2'b01;
          op_o.trap   = funct3[2:1] == 2'b01;
          reads_rs1_o = funct3[2:1] != 2'b01;
          reads_rs2_o = funct3[2:1] != 2'b01;
        end
        ks_core_pkg::OPCODE_LOAD: begin
          if (funct3 == 3'b011 || funct3[2:1] == 2'b11) begin
            op_o.trap = 1'b1;
          end else begin
            op_o.load   = 1'b1;
            has_rd      = 1'b1;
            reads_rs1_o = 1'b1;
          end
        end
        ks_core_pkg::OPCODE_STORE: begin
          if (funct3[2] || funct3 == 3'b011) begin
            op_o.trap = 1'b1;
          end else begin
            op_o.store  = 1'b1;
            reads_rs1_o = 1'b1;
            reads_rs2_o = 1'b1;
          end
        end
        ks_core_pkg::OPCODE_OP_IMM: begin
          imm_b_o   = 1'b1;
          alu_alt_o = funct3 == 3'b101 && funct7[5];
          if ((funct3 == 3'b001 && funct7 != 7'h00) ||
              (funct3 == 3'b101 && {funct7[6], funct7[4:0]} != 6'd0)) begin
            op_o.trap = 1'b1;
          end else begin
            has_rd      = 1'b1;
            reads_rs1_o = 1'b1;
          end
        end
        ks_core_pkg::OPCODE_OP: begin
          alu_alt_o   = funct7[5];
          reads_rs1_o = 1'b1;
          reads_rs2_o = 1'b1;
          has_rd      = 1'b1;
          if (funct7 == 7'h01) begin
            op_o.mul = !funct3[2];
            op_o.div = funct3[2];
          end else if (funct7 != 7'h00 && !(funct7 == 7'h20 && (funct3 == 3'b000 || funct3 == 3'b101))) begin
            op_o.trap   = 1'b1;
            reads_rs1_o = 1'b0;
            reads_rs2_o = 1'b0;
            has_rd      = 1'b0;
          end
        end
        ks_core_pkg::OPCODE_MISC_MEM: begin  // fence: one hart, memory in order, nothing to do
          op_o.fence_i = funct3 == 3'b001;
          op_o.trap    = funct3[2:1] != 2'b00;
        end
        ks_core_pkg::OPCODE_SYSTEM: begin
          if (funct3[1:0] != 2'b00) begin
            op_o.csr    = 1'b1;
            has_rd      = 1'b1;
            reads_rs1_o = !funct3[2];
          end else begin
            op_o.mret = insn_i == 32'h3020_0073;
            op_o.wfi  = insn_i == 32'h1050_0073;
            op_o.trap = !op_o.mret && !op_o.wfi;
            if (insn_i == 32'h0000_0073) cause_o = ks_core_pkg::CAUSE_ECALL_M;
            if (insn_i == 32'h0010_0073) cause_o = ks_core_pkg::CAUSE_BREAKPOINT;
          end
        end
        default: op_o.trap = 1'b1;
      endcase
    end
  end
endmodule
