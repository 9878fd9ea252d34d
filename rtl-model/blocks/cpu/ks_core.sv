// The card's processor: RV32IMC, Zicsr, Zifencei, machine mode only, in three stages behind a fetch address.
//
//      fetch address -> D  decode: the TCM's data, 16-bit expansion, registers, branch prediction
//                    -> E  execute: arithmetic, branches, addresses, traps; here an instruction commits
//                    -> W  write-back: loaded data, product
//
// An instruction traps, and is interrupted, in E only, so that everything older has committed and nothing younger
// has done anything. Backward branches and jal are followed from D without loss; a branch that goes the other way, jalr and
// mret are redirected from E and lose one cycle; so does a load whose result the next instruction needs. Costs: README.md.
//
// Every input goes straight into a flip-flop: memories are read combinationally and their data registered here (flattened,
// the registers become those of the block RAM), the bus answers into a register, the straps are static.
module ks_core (
    input logic clk_i,
    input logic rst_ni,
    input logic clk_en_i,  // 0: the clock is gated; only the interrupt lines are sampled

    // Reset, and with restart_i a new beginning with registers and CSRs as they are (clk_en_i low). Static straps.
    input logic        restart_i,
    input logic [31:0] boot_addr_i,
    input logic [31:0] tcm_bytes_i,  // at csr_pkg::TCM_BASE

    // Instruction port of the TCM, which has a bank of even words and one of odd words: the word at `addr` and the one that
    // follows, that of the even bank low. Any 32 bits can be cut from them.
    output logic [31:0] fetch_addr_o,
    input  logic [63:0] fetch_words_i,

    // Data port of the TCM: reads both words of a pair, writes one.
    output logic [31:0] data_addr_o,
    output logic        data_write_o,
    output logic [ 3:0] data_be_o,
    output logic [31:0] data_wdata_o,
    input  logic [63:0] data_words_i,

    // Everything else in the address space. The request stands until ready comes with the answer; an error becomes an access
    // fault. The least an access takes is two cycles.
    output logic        bus_valid_o,
    output logic        bus_write_o,
    output logic [31:0] bus_addr_o,
    output logic [ 1:0] bus_size_o,  // log2 of the bytes
    output logic [ 3:0] bus_be_o,
    output logic [31:0] bus_wdata_o,
    input  logic        bus_ready_i,
    input  logic        bus_error_i,
    input  logic [31:0] bus_rdata_i,

    // Interrupt lines, levels: external, timer, software.
    input logic [2:0] irq_i,

    output logic sleep_o,   // in wfi: the clock may stop until an edge at which an enabled line is up
    output logic lockup_o,  // trapped at the trap handler
    output logic spin_o,    // at a jump to itself with no interrupt that could end it: the core stands

    // The instruction in E, for the world outside: what happens at the end of this cycle.
    output logic        start_o,       // the first cycle of an instruction: everything before it is done
    output logic        irq_matter_o,  // in this cycle something depends on the level of the lines
    output logic        attention_o,   // start_o, and one of: irq_matter_o, sleep_o, lockup_o, spin_o, bus_valid_o
    output logic        retire_o,
    output logic        exception_o,
    output logic        interrupt_o,
    output logic        transfer_o,    // the next instruction is not the next in memory
    output logic [31:0] pc_o,
    output logic [31:0] insn_o,        // as fetched
    output logic [31:0] next_pc_o,
    // And what W writes at the end of this cycle.
    output logic        wb_valid_o,
    output logic [ 4:0] wb_rd_o,
    output logic [31:0] wb_data_o
);
  // ---- state ------------------------------------------------------------------------------------------------

  logic [31:0] x_q[32]  /*verilator public_flat_rw*/;  // x0 is never written and never read

  logic [ 2:0] irq_q  /*verilator public_flat_rd*/;
  logic        sleep_q;
  logic        lockup_q;
  logic        fetch_q;     // D's address is valid, its instruction is being fetched: after reset
  logic        starting_q;  // no instruction has reached E since reset: the clock cycles do not count yet
  logic [31:0] tcm_bytes_q;

  // D
  logic        d_valid_q;
  logic [31:0] d_pc_q;
  logic [63:0] d_words_q;

  // E
  logic        e_valid_q;
  logic        e_busy_q;  // not the first cycle
  ks_core_pkg::op_t e_op_q;
  logic [ 3:0] e_cause_q;
  logic        e_tval_second_q;  // fetch fault of the second half
  logic [31:0] e_pc_q;
  logic [31:0] e_raw_q;
  logic [ 4:0] e_rd_q;
  logic        e_writes_q;
  logic [ 2:0] e_funct3_q;
  logic [ 2:0] e_alu_op_q;
  logic        e_alu_alt_q;
  logic        e_csr_writes_q;
  logic        e_predicted_q;  // branch: D has followed it
  logic [31:0] e_a_q;
  logic [31:0] e_b_q;
  logic        e_a_late_q;  // the operand is the product W has
  logic        e_b_late_q;
  logic [11:0] e_imm_q;     // offset of an address, number of a CSR
  logic [31:0] e_alt_q;     // auipc: the result; jal, jalr: the link; branch: where D has not gone

  // W
  logic        w_valid_q;  // writes a register
  logic [ 4:0] w_rd_q;
  logic        w_load_q;
  logic        w_bus_q;
  logic        w_mul_q;
  logic        w_mul_high_q;
  logic [ 2:0] w_funct3_q;
  logic [ 2:0] w_offset_q;
  logic [31:0] w_result_q;
  logic [63:0] w_tcm_words_q;
  logic [63:0] w_product_q;

  // Answer of the bus.
  logic        bus_done_q;
  logic        bus_error_q;
  logic [31:0] bus_rdata_q;

  // ---- W: the value written back ----------------------------------------------------------------------------

  logic [31:0] w_word;
  logic [31:0] w_shifted;
  logic [31:0] w_loaded;
  logic [31:0] w_product;
  logic [31:0] w_value;

  assign w_word    = w_bus_q ? bus_rdata_q : w_offset_q[2] ? w_tcm_words_q[63:32] : w_tcm_words_q[31:0];
  assign w_shifted = w_word >> {w_offset_q[1:0], 3'b000};
  assign w_product = w_mul_high_q ? w_product_q[63:32] : w_product_q[31:0];
  always_comb begin
    unique case (w_funct3_q)
      3'b000:  w_loaded = {{24{w_shifted[7]}}, w_shifted[7:0]};
      3'b001:  w_loaded = {{16{w_shifted[15]}}, w_shifted[15:0]};
      3'b100:  w_loaded = {24'd0, w_shifted[7:0]};
      3'b101:  w_loaded = {16'd0, w_shifted[15:0]};
      default: w_loaded = w_shifted;
    endcase
  end
  assign w_value = w_load_q ? w_loaded : w_mul_q ? w_product : w_result_q;

  // ---- E ------------------------------------------------------------------------------------------------------

  logic [31:0] e_a;
  logic [31:0] e_b;
  logic [31:0] alu_result;
  logic        equal;
  logic        less;
  logic        less_signed;
  logic        less_unsigned;
  logic        taken;
  logic        mispredicted;
  logic [31:0] address;
  logic        in_tcm;
  logic        misaligned;
  logic        go;         // E has an instruction and nothing keeps it from starting or going on
  logic        execute;    // and it is not interrupted
  logic        access;
  logic        bus_access;
  logic        bus_fault;
  logic        exception;
  logic        waits;
  logic        done;
  logic        retire;
  logic        redirect;
  logic        spin_lock;
  logic [31:0] redirect_pc;
  logic [31:0] e_result;
  logic [ 3:0] cause;
  logic [31:0] tval;
  logic        csr_illegal;
  logic [31:0] csr_rdata;
  logic [31:0] handler;
  logic [31:0] handler_base;
  logic [31:0] mepc;
  logic [ 2:0] mie;
  logic        irq_enabled;
  logic        irq_pending;
  logic        interrupt;
  logic        div_done;
  logic [31:0] div_result;
  logic [63:0] product;
  logic [ 4:0] shift;

  assign e_a = e_a_late_q ? w_product : e_a_q;
  assign e_b = e_b_late_q ? w_product : e_b_q;

  // Arithmetic, and the comparison of branches.
  assign equal         = e_a == e_b;
  assign less_unsigned = e_a < e_b;
  assign less_signed   = $signed(e_a) < $signed(e_b);
  assign less          = e_funct3_q[1] ? less_unsigned : less_signed;
  assign shift         = e_b[4:0];
  always_comb begin
    unique case (e_alu_op_q)
      3'b000: alu_result = e_alu_alt_q ? e_a - e_b : e_a + e_b;
      3'b001: alu_result = e_a << shift;
      3'b010: alu_result = {31'd0, less_signed};
      3'b011: alu_result = {31'd0, less_unsigned};
      3'b100: alu_result = e_a ^ e_b;
      3'b101: alu_result = e_alu_alt_q ? $signed($signed(e_a) >>> shift) : e_a >> shift;
      3'b110: alu_result = e_a | e_b;
      3'b111: alu_result = e_a & e_b;
    endcase
  end
  assign taken        = (e_funct3_q[2] ? less : equal) ^ e_funct3_q[0];
  assign mispredicted = e_op_q.branch && taken != e_predicted_q;

  // Sign-extended to 33 bits the four multiplications are one.
  logic signed [32:0] factor_a;
  logic signed [32:0] factor_b;
  assign factor_a = $signed({e_funct3_q[1:0] != 2'b11 && e_a[31], e_a});
  assign factor_b = $signed({!e_funct3_q[1] && e_b[31], e_b});
  assign product  = 64'(factor_a) * 64'(factor_b);

  ks_divider i_divider (
      .clk_i,
      .rst_ni,
      .clk_en_i,
      .start_i    (execute && e_op_q.div && !e_busy_q),
      .signed_i   (!e_funct3_q[0]),
      .remainder_i(e_funct3_q[1]),
      .dividend_i (e_a),
      .divisor_i  (e_b),
      .done_o     (div_done),
      .result_o   (div_result)
  );

  // Loads and stores. Misalignment is looked at before anything else (privileged ISA 3.7 allows either).
  assign address    = e_a + {{20{e_imm_q[11]}}, e_imm_q};
  assign access     = e_op_q.load || e_op_q.store;
  assign misaligned = access && ((e_funct3_q[0] && address[0]) || (e_funct3_q[1] && address[1:0] != 2'b00));
  assign in_tcm     = address - csr_pkg::TCM_BASE < tcm_bytes_q;
  assign bus_access = access && !misaligned && !in_tcm;
  assign bus_fault  = bus_access && bus_done_q && bus_error_q;

  // What becomes of the instruction.
  assign spin_lock = e_op_q.spin && !irq_enabled;
  assign go        = e_valid_q && !sleep_q && !lockup_q && !spin_lock;
  assign interrupt = go && !e_busy_q && irq_pending;
  assign execute   = go && !interrupt;
  assign waits     = (e_op_q.div && !div_done) || (bus_access && !bus_done_q);
  assign exception = execute && (e_op_q.trap || csr_illegal || misaligned || bus_fault);
  assign retire    = execute && !exception && !waits;
  assign done      = interrupt || exception || retire;

  always_comb begin
    redirect_pc = handler;
    if (!interrupt && !exception) begin
      redirect_pc = e_alt_q;  // mispredicted branch; fence.i, which fetches again what follows it
      if (e_op_q.jalr) redirect_pc = {address[31:1], 1'b0};
      if (e_op_q.mret) redirect_pc = mepc;
    end
  end
  assign redirect = interrupt || exception ||
      (retire && (mispredicted || e_op_q.jalr || e_op_q.mret || e_op_q.fence_i));

  always_comb begin
    e_result = alu_result;
    if (e_op_q.alt) e_result = e_alt_q;
    if (e_op_q.csr) e_result = csr_rdata;
    if (e_op_q.div) e_result = div_result;
  end

  always_comb begin
    cause = e_cause_q;
    tval  = e_raw_q;
    if (e_op_q.trap) begin
      if (e_cause_q == ks_core_pkg::CAUSE_FETCH_FAULT) tval = e_pc_q + (e_tval_second_q ? 32'd2 : 32'd0);
      if (e_cause_q == ks_core_pkg::CAUSE_BREAKPOINT) tval = e_pc_q;
      if (e_cause_q == ks_core_pkg::CAUSE_ECALL_M) tval = 32'd0;
    end else if (access) begin
      tval = address;
      if (e_op_q.load)
        cause = misaligned ? ks_core_pkg::CAUSE_LOAD_MISALIGNED : ks_core_pkg::CAUSE_LOAD_FAULT;
      else cause = misaligned ? ks_core_pkg::CAUSE_STORE_MISALIGNED : ks_core_pkg::CAUSE_STORE_FAULT;
    end
    if (interrupt) tval = 32'd0;
  end

  ks_csr i_csr (
      .clk_i,
      .rst_ni,
      .clk_en_i,
      .valid_i      (e_op_q.csr),
      .addr_i       (e_imm_q),
      .write_i      (e_csr_writes_q),
      .set_i        (e_funct3_q[1:0] == 2'b10),
      .clear_i      (e_funct3_q[1:0] == 2'b11),
      .operand_i    (e_a),
      .commit_i     (retire),
      .rdata_o      (csr_rdata),
      .illegal_o    (csr_illegal),
      .count_cycle_i(!starting_q && !sleep_q),
      .retire_i     (retire),
      .trap_i       (interrupt || exception),
      .interrupt_i  (interrupt),
      .cause_i      (cause),
      .tval_i       (tval),
      .pc_i         (e_pc_q),
      .mret_i       (retire && e_op_q.mret),
      .handler_o    (handler),
      .base_o       (handler_base),
      .mepc_o       (mepc),
      .irq_i        (irq_q),
      .mie_o        (mie),
      .irq_enabled_o(irq_enabled),
      .irq_pending_o(irq_pending)
  );

  // ---- D ------------------------------------------------------------------------------------------------------

  logic [31:0] d_raw;
  logic [31:0] d_expanded;
  logic [31:0] d_insn;
  logic        d_wide;
  ks_core_pkg::op_t d_op_decoded;
  ks_core_pkg::op_t d_op;
  logic [ 3:0] d_cause_decoded;
  logic        d_reads_rs1;
  logic        d_reads_rs2;
  logic        d_writes;
  logic        d_imm_b;
  logic        d_upper;
  logic [ 2:0] d_alu_op;
  logic        d_alu_alt;
  logic [ 4:0] d_rs1;
  logic [ 4:0] d_rs2;
  logic [31:0] d_offset;
  logic        d_outside;
  logic        d_second_outside;
  logic        d_fault;
  logic [31:0] d_sequential;
  logic [31:0] d_displacement;
  logic [31:0] d_target;
  logic        d_predict;  // goes to d_target
  logic        d_backward;
  logic        e_hit_rs1;
  logic        e_hit_rs2;
  logic        w_hit_rs1;
  logic        w_hit_rs2;
  logic [31:0] d_rs1_value;
  logic [31:0] d_rs2_value;
  logic [31:0] d_imm_b_value;
  logic        load_use;
  logic        e_ready;
  logic        d_advance;
  logic [31:0] next_pc;

  // Cut the instruction out of the two words: it begins at one of four halves.
  always_comb begin
    unique case (d_pc_q[2:1])
      2'b00: d_raw = d_words_q[31:0];
      2'b01: d_raw = d_words_q[47:16];
      2'b10: d_raw = d_words_q[63:32];
      2'b11: d_raw = {d_words_q[15:0], d_words_q[63:48]};
    endcase
  end

  ks_rvc i_rvc (
      .half_i(d_raw[15:0]),
      .word_o(d_expanded)
  );

  assign d_wide = d_raw[1:0] == 2'b11;
  assign d_insn = d_wide ? d_raw : d_expanded;
  assign d_rs1  = d_insn[19:15];
  assign d_rs2  = d_insn[24:20];

  ks_decode i_decode (
      .insn_i     (d_insn),
      .op_o       (d_op_decoded),
      .cause_o    (d_cause_decoded),
      .reads_rs1_o(d_reads_rs1),
      .reads_rs2_o(d_reads_rs2),
      .writes_rd_o(d_writes),
      .imm_b_o    (d_imm_b),
      .upper_o    (d_upper),
      .alu_op_o   (d_alu_op),
      .alu_alt_o  (d_alu_alt)
  );

  // Code runs from the TCM only.
  assign d_offset         = d_pc_q - csr_pkg::TCM_BASE;
  assign d_outside        = d_offset >= tcm_bytes_q;
  assign d_second_outside = d_wide && d_offset + 32'd2 >= tcm_bytes_q;
  assign d_fault          = d_outside || d_second_outside;

  always_comb begin
    d_op = d_op_decoded;
    if (d_fault) begin
      d_op      = '0;
      d_op.trap = 1'b1;
    end
  end

  // Where to go on. Static prediction: backward taken, forward not taken.
  assign d_sequential = d_pc_q + (d_wide ? 32'd4 : 32'd2);
  always_comb begin
    if (d_op_decoded.branch)
      d_displacement = {{20{d_insn[31]}}, d_insn[7], d_insn[30:25], d_insn[11:8], 1'b0};
    else if (d_op_decoded.jal)
      d_displacement = {{12{d_insn[31]}}, d_insn[19:12], d_insn[20], d_insn[30:21], 1'b0};
    else d_displacement = {d_insn[31:12], 12'd0};
  end
  assign d_target   = d_pc_q + d_displacement;
  assign d_backward = d_op.branch && d_insn[31];
  assign d_predict  = d_backward || d_op.jal;

  // Operands, from where they are newest. What a load or a multiplication in E will have is not there yet: the load's
  // user waits a cycle, a product comes from W into E.
  assign e_hit_rs1 = e_valid_q && e_writes_q && e_rd_q == d_rs1;
  assign e_hit_rs2 = e_valid_q && e_writes_q && e_rd_q == d_rs2;
  assign w_hit_rs1 = w_valid_q && w_rd_q == d_rs1;
  assign w_hit_rs2 = w_valid_q && w_rd_q == d_rs2;
  assign d_rs1_value = d_rs1 == 5'd0 ? 32'd0 : e_hit_rs1 ? e_result : w_hit_rs1 ? w_value : x_q[d_rs1];
  assign d_rs2_value = d_rs2 == 5'd0 ? 32'd0 : e_hit_rs2 ? e_result : w_hit_rs2 ? w_value : x_q[d_rs2];
  assign d_imm_b_value = d_upper ? {d_insn[31:12], 12'd0} : {{20{d_insn[31]}}, d_insn[31:20]};
  assign load_use = e_op_q.load && !d_fault && ((e_hit_rs1 && d_reads_rs1) || (e_hit_rs2 && d_reads_rs2));

  assign e_ready   = !e_valid_q || done;
  assign d_advance = d_valid_q && e_ready && !load_use;

  always_comb begin
    next_pc = d_predict ? d_target : d_sequential;
    if (fetch_q) next_pc = d_pc_q;
    if (redirect) next_pc = redirect_pc;
  end

  // ---- the edge ----------------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin
    irq_q       <= irq_i;
    tcm_bytes_q <= tcm_bytes_i;
    sleep_q     <= (sleep_q || (clk_en_i && retire && e_op_q.wfi && (irq_q & mie) == 3'd0)) && (irq_i & mie) == 3'd0;

    if (clk_en_i) begin
      bus_done_q  <= bus_ready_i;
      bus_error_q <= bus_error_i;
      bus_rdata_q <= bus_rdata_i;

      // Fetch to D.
      if (redirect || fetch_q || d_advance) begin
        fetch_q   <= 1'b0;
        d_valid_q <= 1'b1;
        d_pc_q    <= next_pc;
        d_words_q <= fetch_words_i;
      end

      // D to E.
      e_busy_q <= e_valid_q && go && !done;
      if (e_ready) e_valid_q <= d_advance && !redirect;
      if (d_advance) begin
        starting_q      <= 1'b0;
        e_op_q          <= d_op;
        e_cause_q       <= d_fault ? ks_core_pkg::CAUSE_FETCH_FAULT : d_cause_decoded;
        e_tval_second_q <= !d_outside;
        e_pc_q          <= d_pc_q;
        e_raw_q         <= d_wide ? d_raw : {16'd0, d_raw[15:0]};
        e_rd_q          <= d_insn[11:7];
        e_writes_q      <= d_writes && !d_fault;
        e_funct3_q      <= d_insn[14:12];
        e_alu_op_q      <= d_alu_op;
        e_alu_alt_q     <= d_alu_alt;
        e_csr_writes_q  <= d_insn[13:12] == 2'b01 || d_rs1 != 5'd0;
        e_predicted_q   <= d_predict;
        e_a_q           <= d_upper ? 32'd0 : d_op.csr && d_insn[14] ? {27'd0, d_rs1} : d_rs1_value;
        e_b_q           <= d_imm_b ? d_imm_b_value : d_rs2_value;
        e_a_late_q      <= e_op_q.mul && e_hit_rs1 && d_reads_rs1;
        e_b_late_q      <= e_op_q.mul && e_hit_rs2 && d_reads_rs2;
        e_imm_q         <= d_op.store ? {d_insn[31:25], d_insn[11:7]} : d_insn[31:20];
        e_alt_q         <= d_insn[6:2] == ks_core_pkg::OPCODE_AUIPC ||
            (d_op.branch && !d_predict) ? d_target : d_sequential;
      end else begin
        // W moves on while E waits.
        e_a_q      <= e_a;
        e_b_q      <= e_b;
        e_a_late_q <= 1'b0;
        e_b_late_q <= 1'b0;
      end

      // E to W.
      w_valid_q     <= retire && e_writes_q;
      w_rd_q        <= e_rd_q;
      w_load_q      <= e_op_q.load;
      w_bus_q       <= bus_access;
      w_mul_q       <= e_op_q.mul;
      w_mul_high_q  <= e_funct3_q != 3'b000;
      w_funct3_q    <= e_funct3_q;
      w_offset_q    <= address[2:0];
      w_result_q    <= e_result;
      w_tcm_words_q <= data_words_i;
      if (e_op_q.mul) w_product_q <= product;

      // W to the registers.
      if (w_valid_q) x_q[w_rd_q] <= w_value;

      if (exception && e_pc_q == handler_base) lockup_q <= 1'b1;
    end

    if (!rst_ni || restart_i) begin
      fetch_q    <= 1'b1;
      starting_q <= 1'b1;
      d_valid_q  <= 1'b0;
      d_pc_q     <= boot_addr_i;
      e_valid_q  <= 1'b0;
      e_busy_q   <= 1'b0;
    end
    if (!rst_ni) begin
      w_valid_q  <= 1'b0;
      sleep_q    <= 1'b0;
      lockup_q   <= 1'b0;
      bus_done_q <= 1'b0;
    end
  end

`ifdef KS_ASSERT
  // What the pipeline never does.
  logic bus_waiting_q;  // a request stood in the cycle before, unanswered
  logic [31:0] bus_addr_q;
  logic [31:0] bus_wdata_q;
  logic        bus_write_q;
  always_ff @(posedge clk_i) begin
    bus_waiting_q <= rst_ni && (clk_en_i ? bus_valid_o && !bus_ready_i : bus_waiting_q && !restart_i);
    bus_addr_q    <= bus_addr_o;
    bus_wdata_q   <= bus_wdata_o;
    bus_write_q   <= bus_write_o;
    if (rst_ni && clk_en_i) begin
      // x0 is not written.
      assert (!w_valid_q || w_rd_q != 5'd0);
      // An instruction ends in one way, and only while it may run.
      assert (3'(retire) + 3'(exception) + 3'(interrupt) <= 3'd1);
      assert (!(retire || exception || interrupt) || (e_valid_q && !sleep_q && !lockup_q));
      // Only an instruction that is in its first cycle is interrupted: nothing of it has been seen outside.
      assert (!interrupt || !e_busy_q);
      // What does not retire leaves no trace in memory, on the bus or in the registers.
      assert (!(interrupt || exception) || (!data_write_o && !bus_valid_o));
      assert (!e_valid_q || !redirect || done);
      // A request stands as it is until it is answered; an answer comes only to a request.
      assert (!bus_waiting_q || (bus_valid_o && bus_addr_o == bus_addr_q && bus_write_o == bus_write_q &&
          (!bus_write_o || bus_wdata_o == bus_wdata_q)));
      assert (!bus_ready_i || bus_valid_o);
      // Units with several cycles belong to the instruction in E.
      assert (!div_done || (e_valid_q && e_op_q.div && e_busy_q));
      assert (!bus_done_q || (e_valid_q && bus_access));
      // A product comes from W in the one cycle in which it is there.
      assert (!(e_valid_q && (e_a_late_q || e_b_late_q)) || w_mul_q);
      // D follows E without a hole: where E has an instruction, D has what comes after it.
      assert (!e_valid_q || d_valid_q);
      assert (d_pc_q[0] == 1'b0);
      // Exactly one unit is asked.
      assert (!e_valid_q || $onehot0({e_op_q.load, e_op_q.store, e_op_q.branch, e_op_q.jal, e_op_q.jalr, e_op_q.mul,
          e_op_q.div, e_op_q.csr, e_op_q.mret, e_op_q.wfi, e_op_q.fence_i, e_op_q.trap}));
    end
  end
`endif

  // ---- outputs -----------------------------------------------------------------------------------------------

  assign fetch_addr_o = next_pc;
  assign data_addr_o  = address;
  assign data_write_o = execute && e_op_q.store && in_tcm && !misaligned;
  assign data_be_o    = bus_be_o;
  assign data_wdata_o = bus_wdata_o;

  assign bus_valid_o = execute && bus_access && !bus_done_q;
  assign bus_write_o = e_op_q.store;
  assign bus_addr_o  = address;
  assign bus_size_o  = e_funct3_q[1:0];
  assign bus_wdata_o = e_b << {address[1:0], 3'b000};
  assign bus_be_o    = (e_funct3_q[1] ? 4'b1111 : e_funct3_q[0] ? 4'b0011 : 4'b0001) << address[1:0];

  assign sleep_o      = sleep_q;
  assign lockup_o     = lockup_q;
  assign spin_o       = e_valid_q && spin_lock;
  assign start_o      = e_valid_q && !e_busy_q;
  assign irq_matter_o = go && !e_busy_q && (irq_enabled || e_op_q.wfi || (e_op_q.csr && e_imm_q == 12'h344));
  assign attention_o  = start_o && (irq_matter_o || sleep_q || lockup_q || spin_lock || bus_valid_o);
  assign retire_o     = retire;
  assign exception_o  = exception;
  assign interrupt_o  = interrupt;
  assign transfer_o   = interrupt || exception ||
      (retire && ((e_op_q.branch && taken) || (e_op_q.jal && !e_op_q.spin) || e_op_q.jalr || e_op_q.mret));
  assign pc_o         = e_pc_q;
  assign insn_o       = e_raw_q;
  assign next_pc_o    = redirect ? redirect_pc : d_pc_q;
  assign wb_valid_o   = w_valid_q;
  assign wb_rd_o      = w_rd_q;
  assign wb_data_o    = w_value;
endmodule
