// What the parts of the core share: codes of operations and of traps.
package ks_core_pkg;
  // Major opcodes, the two low bits (always 11) left out (unprivileged ISA, table 24.1).
  localparam logic [4:0] OPCODE_LOAD     = 5'b00000;
  localparam logic [4:0] OPCODE_MISC_MEM = 5'b00011;
  localparam logic [4:0] OPCODE_OP_IMM   = 5'b00100;
  localparam logic [4:0] OPCODE_AUIPC    = 5'b00101;
  localparam logic [4:0] OPCODE_STORE    = 5'b01000;
  localparam logic [4:0] OPCODE_OP       = 5'b01100;
  localparam logic [4:0] OPCODE_LUI      = 5'b01101;
  localparam logic [4:0] OPCODE_BRANCH   = 5'b11000;
  localparam logic [4:0] OPCODE_JALR     = 5'b11001;
  localparam logic [4:0] OPCODE_JAL      = 5'b11011;
  localparam logic [4:0] OPCODE_SYSTEM   = 5'b11100;

  // What execute does with an instruction. One bit a unit, so that execute asks for one bit instead of
  // decoding; none for what the arithmetic unit does (OP, OP-IMM, lui), and for fence.
  typedef struct packed {
    logic alt;      // result computed in decode: auipc, and the link of jal and jalr
    logic load;
    logic store;
    logic branch;
    logic jal;
    logic jalr;
    logic mul;
    logic div;
    logic csr;
    logic mret;
    logic wfi;
    logic fence_i;
    logic spin;     // jal to itself
    logic trap;     // traps whatever the operands: fetch fault, illegal, ecall, ebreak
  } op_t;

  // Exception codes (privileged ISA, table 3.6).
  localparam logic [3:0] CAUSE_FETCH_FAULT      = 4'd1;
  localparam logic [3:0] CAUSE_ILLEGAL          = 4'd2;
  localparam logic [3:0] CAUSE_BREAKPOINT       = 4'd3;
  localparam logic [3:0] CAUSE_LOAD_MISALIGNED  = 4'd4;
  localparam logic [3:0] CAUSE_LOAD_FAULT       = 4'd5;
  localparam logic [3:0] CAUSE_STORE_MISALIGNED = 4'd6;
  localparam logic [3:0] CAUSE_STORE_FAULT      = 4'd7;
  localparam logic [3:0] CAUSE_ECALL_M          = 4'd11;
endpackage
