// The MSI-X generator: table, pending bits, masks, moderation. What it does is said in README.md; this is how.
//
// A vector for which there is something to send *waits*. If it is masked, or the function is, or MSI-X is off, that is
// what its bit in the PBA shows; otherwise it is sent. So nothing has to move when a mask changes, and nothing can be
// sent that is masked. One bit a vector for each: mask, wait, held (events held back), running (its hold-off runs; then it is
// in ks_holdoffs), in memories of 64-bit words, so that 2048 vectors cost no more time than 65.
//
// One operation a cycle: a message leaves; or else a hold-off ends, or something comes in (a register or the table is
// written, an event is taken), which take turns if both want to. Memories are read asynchronously.
module ks_msix #(
    parameter int unsigned VECTORS      = 2048,  // at most; at least 2
    parameter bit          MODERATION   = 1'b1,  // hold-off timer
    parameter bit          THRESHOLD    = 1'b1,  // count that ends it early
    parameter bit          ADAPTIVE     = 1'b1,  // hold-off that follows the vector's events
    parameter int unsigned CLASSES      = 8,     // lengths it has, a power of two
    parameter int unsigned HOLDOFF_BITS = 32,
    parameter int unsigned TIME_BITS    = 40,    // half its range must exceed a hold-off
    localparam int unsigned VECTOR_BITS = $clog2(VECTORS),
    localparam int unsigned LENGTHS     = ADAPTIVE ? CLASSES : 1,
    localparam int unsigned CLASS_BITS  = LENGTHS == 1 ? 1 : $clog2(LENGTHS),
    localparam int unsigned WORDS       = (VECTORS + 63) / 64,
    localparam int unsigned WORD_BITS   = WORDS == 1 ? 1 : $clog2(WORDS),
    localparam int unsigned WIDTH       = WORDS == 1 ? VECTORS : 64,
    localparam int unsigned PLACE_BITS  = $clog2(WIDTH)
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 reset_i,    // function reset: every entry masked and 0, no events
    input  logic                 drop_i,     // virtio reset: no events, the table stays
    input  logic [TIME_BITS-1:0] time_ns_i,  // free-running

    // Settings; hold-off, threshold and adaptive are reset values.
    input  logic [11:0]             vectors_i,
    input  logic [HOLDOFF_BITS-1:0] holdoff_ns_i,
    input  logic [15:0]             threshold_i,
    input  logic                    adaptive_i,

    // From configuration space. To be changed in cycles in which no message is taken.
    input  logic enable_i,
    input  logic function_mask_i,
    input  logic may_send_i,  // Bus Master Enable, and in D0

    input  logic                   event_valid_i,
    output logic                   event_ready_o,
    input  logic [VECTOR_BITS-1:0] event_vector_i,
    input  logic                   event_moderated_i,

    output logic        message_valid_o,
    input  logic        message_ready_i,
    output logic [63:0] message_addr_o,
    output logic [31:0] message_data_o,

    input  logic        bar_write_i,
    output logic        bar_ready_o,
    input  logic [15:0] bar_addr_i,  // DW aligned
    input  logic [31:0] bar_wdata_i,
    input  logic [3:0]  bar_be_i,
    output logic [31:0] bar_rdata_o,

    input  logic        csr_write_i,
    output logic        csr_ready_o,
    input  logic [11:0] csr_addr_i,
    input  logic [31:0] csr_wdata_i,
    output logic [31:0] csr_rdata_o,
    output logic        csr_exists_o,

    // For whoever gates the clock: a cycle is wanted now; or at that time.
    output logic                 active_o,
    output logic                 timer_o,
    output logic [TIME_BITS-1:0] deadline_ns_o,
    output logic [15:0]          waiting_o,  // vectors with an event that waits or is held

    output logic stat_event_o,
    output logic stat_sent_o,
    output logic stat_coalesced_o,
    output logic stat_masked_o,
    output logic stat_disabled_o
);
  typedef logic [VECTOR_BITS-1:0] vector_t;
  typedef logic [WORD_BITS-1:0] word_t;
  typedef logic [PLACE_BITS-1:0] place_t;
  typedef logic [WIDTH-1:0] bits_t;

  typedef enum logic [1:0] {
    RESET,    // the table is cleared, an entry a cycle
    DROP,     // events are forgotten, a word of vectors a cycle
    REVISIT,  // hold-off or threshold was written: what is held may go now
    RUN
  } state_e;

  typedef enum logic [2:0] {NOTHING, SEND, CLEAR_ENTRY, CLEAR_WORD, LOOK, EXPIRE, WRITE_TABLE, EVENT} operation_e;

  state_e state_d, state_q;
  operation_e operation;
  logic run, idle;
  vector_t walk_d, walk_q, vector;
  assign run = state_q == RUN;

  // ---- what is stored ----

  logic [31:0] addr_lo_m[VECTORS];
  logic [31:0] addr_hi_m[VECTORS];
  logic [31:0] data_m[VECTORS];
  logic [15:0] count_m[VECTORS];           // events held
  bits_t mask_m[WORDS];
  bits_t wait_m[WORDS];
  bits_t held_m[WORDS];
  bits_t running_m[WORDS];
  logic [WORDS-1:0] ready_d, ready_q;      // words with a vector that waits and is not masked
  logic [15:0] waiting_d, waiting_q;
  logic [HOLDOFF_BITS-1:0] holdoff_q;
  logic [15:0] threshold_q;
  logic adaptive_q;

  // A vector's word, and its place in that.
  function automatic logic [WORD_BITS-1:0] word_of(input logic [VECTOR_BITS-1:0] index);
    word_of = WORDS == 1 ? '0 : WORD_BITS'(index >> PLACE_BITS);
  endfunction

  // ---- the next message: in turn, from the vector behind the last one on ----

  vector_t last_q, pick;
  word_t last_word, next_word, pick_word;
  bits_t ready_last, behind_last, ready_pick, pick_bits;
  place_t pick_place;
  logic send;
  assign last_word    = word_of(last_q);
  assign ready_last   = wait_m[last_word] & ~mask_m[last_word];
  assign behind_last  = ready_last & ~((WIDTH'(2) << PLACE_BITS'(last_q)) - WIDTH'(1));
  assign pick_word    = behind_last != '0 || WORDS == 1 ? last_word : next_word;
  assign ready_pick   = wait_m[pick_word] & ~mask_m[pick_word];
  assign pick_bits    = behind_last != '0 ? behind_last : ready_pick;
  assign pick         = VECTOR_BITS'({pick_word, pick_place});

  if (WORDS == 1) begin : gen_one_word
    assign next_word = '0;
  end else begin : gen_words
    logic [WORDS-1:0] behind;
    assign behind = ready_q & ~((WORDS'(2) << last_word) - WORDS'(1));
    ks_first_set #(
        .SIZE(WORDS)
    ) i_word (
        .bits_i (behind != '0 ? behind : ready_q),
        .index_o(next_word)
    );
  end
  ks_first_set #(
      .SIZE(WIDTH)
  ) i_place (
      .bits_i (pick_bits),
      .index_o(pick_place)
  );

  assign message_valid_o = run && enable_i && !function_mask_i && may_send_i && ready_q != '0;
  assign message_addr_o  = {addr_hi_m[pick], addr_lo_m[pick]};
  assign message_data_o  = data_m[pick];
  assign send            = message_valid_o && message_ready_i;

  // ---- hold-offs that run, from the message before on ----

  logic list_add, list_remove, list_empty, list_over, is_over, expire, walk_valid, walk_last;
  vector_t list_first, walk;
  logic [CLASS_BITS-1:0] length;
  ks_holdoffs #(
      .SIZE        (VECTORS),
      .CLASSES     (LENGTHS),
      .TIME_BITS   (TIME_BITS),
      .HOLDOFF_BITS(HOLDOFF_BITS)
  ) i_list (
      .clk_i,
      .rst_ni,
      .clear_i      (!run && state_q != REVISIT),
      .time_ns_i,
      .longest_ns_i (holdoff_q),
      .add_i        (list_add),
      .add_class_i  (length),
      .remove_i     (list_remove),
      .index_i      (vector),
      .index_over_o (is_over),
      .empty_o      (list_empty),
      .over_o       (list_over),
      .over_index_o (list_first),
      .deadline_ns_o,
      .walk_start_i (run),
      .walk_step_i  (state_q == REVISIT),
      .walk_valid_o (walk_valid),
      .walk_index_o (walk),
`ifdef FORMAL
      .member_o     (members),
`endif
      .walk_last_o  (walk_last)
  );

  assign expire   = MODERATION && run && list_over;
  assign active_o = !run;
  assign timer_o  = MODERATION && !list_empty;

  // ---- the operation of this cycle and its vector ----

  logic is_table, expire_first_q, write;
  assign write         = csr_write_i && csr_ready_o;
  assign is_table      = bar_addr_i < {vectors_i, 4'h0};
  assign idle          = run && !send && !(expire && expire_first_q);
  assign csr_ready_o   = idle;
  assign bar_ready_o   = idle && !csr_write_i;
  assign event_ready_o = idle && !csr_write_i && !bar_write_i;

  always_comb begin
    operation = NOTHING;
    vector    = '0;
    if (state_q == RESET) begin
      operation = CLEAR_ENTRY;
      vector    = walk_q;
    end else if (state_q == DROP) begin
      operation = CLEAR_WORD;
      vector    = walk_q;
    end else if (state_q == REVISIT) begin
      operation = walk_valid ? LOOK : NOTHING;
      vector    = walk;
    end else if (send) begin
      operation = SEND;
      vector    = pick;
    end else if (bar_write_i && bar_ready_o) begin
      operation = is_table ? WRITE_TABLE : NOTHING;
      vector    = VECTOR_BITS'(bar_addr_i >> 4);
    end else if (event_valid_i && event_ready_o) begin
      operation = EVENT;
      vector    = event_vector_i;
    end else if (expire && !write) begin
      operation = EXPIRE;
      vector    = list_first;
    end
  end

  // ---- what it does ----

  word_t word;
  place_t place;
  bits_t one, mask_word, wait_word, held_word, running_word;
  logic is_masked, is_waiting, is_held, is_running, was_idle;
  assign word         = word_of(vector);
  assign place        = PLACE_BITS'(vector);
  assign one          = WIDTH'(1) << place;
  assign mask_word    = mask_m[word];
  assign wait_word    = wait_m[word];
  assign held_word    = held_m[word];
  assign running_word = running_m[word];
  assign is_masked    = mask_word[place];
  assign is_waiting   = wait_word[place];
  assign is_held      = MODERATION && held_word[place];
  assign is_running   = MODERATION && running_word[place];
  assign was_idle     = !is_waiting && !is_held;

  logic [15:0] count;
  logic enough, hold, fast, fire;  // all that has come for the vector is one message now
  assign count  = operation == LOOK ? count_m[vector] :
                  !is_held ? 16'd1 : count_m[vector] == '1 ? '1 : count_m[vector] + 1'b1;
  assign enough = THRESHOLD && threshold_q != '0 && count >= threshold_q;

  bits_t mask_d, wait_d, held_d, running_d;
  always_comb begin
    mask_d      = mask_word;
    wait_d      = wait_word;
    held_d      = held_word;
    running_d   = running_word;
    waiting_d   = waiting_q;
    list_add    = 1'b0;
    list_remove = 1'b0;
    hold        = 1'b0;
    fire        = 1'b0;
    unique case (operation)
      SEND: begin
        wait_d    = wait_word & ~one;
        waiting_d = waiting_q - 1'b1;
        list_add  = MODERATION && holdoff_q != '0 && fast;
      end
      EXPIRE: begin
        list_remove = 1'b1;
        fire        = is_held;
      end
      LOOK: begin
        fire        = is_held && (is_over || enough);
        list_remove = MODERATION && (fire || is_over);
      end
      WRITE_TABLE: if (bar_addr_i[3:2] == 2'd3 && bar_be_i[0]) mask_d = bar_wdata_i[0] ? mask_word | one : mask_word & ~one;
      EVENT:
      if (enable_i && !is_waiting) begin  // otherwise INTx has told the driver, or one message tells of both
        hold        = event_moderated_i && is_running && !is_over && !enough;
        fire        = !hold;
        list_remove = fire && is_running;
        if (was_idle) waiting_d = waiting_q + 1'b1;
      end
      default: ;
    endcase
    if (hold) held_d = held_word | one;
    if (fire) begin
      held_d = held_word & ~one;
      wait_d = wait_word | one;
    end
    if (list_add) running_d = running_word | one;
    if (list_remove) running_d = running_word & ~one;
    if (operation == CLEAR_ENTRY || operation == CLEAR_WORD) begin
      wait_d    = '0;
      held_d    = '0;
      running_d = '0;
      waiting_d = '0;
    end
    if (operation == CLEAR_ENTRY) mask_d = '1;
    ready_d       = operation == CLEAR_ENTRY ? '0 : ready_q;
    ready_d[word] = (wait_d & ~mask_d) != '0;
  end

  always_ff @(posedge clk_i) begin
    if (operation != NOTHING) begin
      mask_m[word]    <= mask_d;
      wait_m[word]    <= wait_d;
      held_m[word]    <= held_d;
      running_m[word] <= running_d;
      ready_q         <= ready_d;
      waiting_q       <= waiting_d;
    end
    if (hold) count_m[vector] <= count;
  end

  // ---- adaptive hold-off ----

  if (ADAPTIVE) begin : gen_pace
    logic pace_fast;
    logic [CLASS_BITS-1:0] pace_length;
    ks_pace #(
        .SIZE        (VECTORS),
        .CLASSES     (LENGTHS),
        .TIME_BITS   (TIME_BITS),
        .HOLDOFF_BITS(HOLDOFF_BITS)
    ) i_pace (
        .clk_i,
        .rst_ni,
        .clear_i     (state_q == RESET),
        .time_ns_i,
        .longest_ns_i(holdoff_q),
        .threshold_i (threshold_q),
        .arrive_i    (adaptive_q && operation == EVENT && enable_i && event_moderated_i),
        // It ends with the one event it has held.
        .forget_i    (adaptive_q && (operation == EXPIRE || operation == LOOK) && is_held && is_over && count_m[vector] == 16'd1),
        .index_i     (vector),
        .fast_o      (pace_fast),
        .class_o     (pace_length)
    );
    assign fast   = !adaptive_q || pace_fast;
    assign length = adaptive_q ? pace_length : '0;
  end else begin : gen_fixed
    assign fast   = 1'b1;
    assign length = '0;
  end

  // Address bits 1:0 are zero (PCIe 6.0 §7.7.2.9).
  logic clear_entry;
  logic [31:0] table_data;
  logic [3:0] lo_write, hi_write, data_write;
  assign clear_entry = operation == CLEAR_ENTRY;
  assign table_data  = clear_entry ? '0 : bar_wdata_i;
  always_comb begin
    lo_write   = clear_entry ? '1 : '0;
    hi_write   = clear_entry ? '1 : '0;
    data_write = clear_entry ? '1 : '0;
    if (operation == WRITE_TABLE) begin
      if (bar_addr_i[3:2] == 2'd0) lo_write = bar_be_i;
      if (bar_addr_i[3:2] == 2'd1) hi_write = bar_be_i;
      if (bar_addr_i[3:2] == 2'd2) data_write = bar_be_i;
    end
  end
  always_ff @(posedge clk_i) begin
    if (lo_write[0]) addr_lo_m[vector][7:0] <= {table_data[7:2], 2'b00};
    for (int i = 0; i < 4; i++) begin
      if (lo_write[i] && i != 0) addr_lo_m[vector][i*8+:8] <= table_data[i*8+:8];
      if (hi_write[i]) addr_hi_m[vector][i*8+:8] <= table_data[i*8+:8];
      if (data_write[i]) data_m[vector][i*8+:8] <= table_data[i*8+:8];
    end
  end

  // ---- states ----

  logic write_timer;
  assign write_timer = write && (csr_addr_i == csr_pkg::CSR_MSIX_HOLDOFF_NS || csr_addr_i == csr_pkg::CSR_MSIX_THRESHOLD);
  always_comb begin
    state_d = state_q;
    walk_d  = walk_q;
    unique case (state_q)
      RESET: begin
        walk_d = walk_q + 1'b1;
        if (12'(walk_q) == vectors_i - 1'b1) state_d = RUN;
      end
      DROP: begin
        walk_d = walk_q + VECTOR_BITS'(WIDTH);
        if (word == WORD_BITS'(WORDS - 1)) state_d = RUN;
      end
      REVISIT: begin
        if (walk_last) state_d = RUN;
      end
      RUN: begin
        if (write_timer) state_d = REVISIT;
      end
    endcase
    if (reset_i || (drop_i && state_q != RESET)) begin
      state_d = reset_i ? RESET : DROP;
      walk_d  = '0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q     <= RESET;
      walk_q      <= '0;
      last_q      <= VECTOR_BITS'(VECTORS - 1);
      expire_first_q <= 1'b0;
      holdoff_q   <= holdoff_ns_i;
      threshold_q <= threshold_i;
      adaptive_q  <= ADAPTIVE && adaptive_i;
    end else begin
      state_q <= state_d;
      walk_q  <= walk_d;
      if (operation == SEND) last_q <= pick;
      expire_first_q <= operation == WRITE_TABLE || operation == EVENT || write;
      if (write && csr_addr_i == csr_pkg::CSR_MSIX_HOLDOFF_NS) holdoff_q <= csr_wdata_i[HOLDOFF_BITS-1:0];
      if (write && csr_addr_i == csr_pkg::CSR_MSIX_THRESHOLD) threshold_q <= csr_wdata_i[15:0];
      if (write && csr_addr_i == csr_pkg::CSR_MSIX_ADAPTIVE) adaptive_q <= ADAPTIVE && csr_wdata_i[0];
    end
  end

  // ---- reads of BAR 1: the table, and the PBA at 0x800 or on the page behind a larger table ----

  logic [15:0] table_bytes, pba_start, pba_offset;
  vector_t entry;
  logic is_pba;
  word_t pba_word;
  logic [63:0] pba;
  bits_t shown;
  assign table_bytes = {vectors_i, 4'h0};
  assign pba_start   = table_bytes <= 16'h0800 ? 16'h0800 : (table_bytes + 16'h0fff) & 16'hf000;
  assign pba_offset  = bar_addr_i - pba_start;
  assign is_pba      = bar_addr_i >= pba_start && pba_offset < 16'(WORDS * 8);
  assign pba_word    = WORDS == 1 ? '0 : WORD_BITS'(pba_offset >> 3);
  assign shown       = wait_m[pba_word] & (enable_i && !function_mask_i ? mask_m[pba_word] : '1);
  assign pba         = 64'(shown);
  assign entry       = VECTOR_BITS'(bar_addr_i >> 4);

  bits_t entry_masks;
  assign entry_masks = mask_m[word_of(entry)];
  always_comb begin
    bar_rdata_o = '0;
    if (is_table) begin
      unique case (bar_addr_i[3:2])
        2'd0: bar_rdata_o = addr_lo_m[entry];
        2'd1: bar_rdata_o = addr_hi_m[entry];
        2'd2: bar_rdata_o = data_m[entry];
        2'd3: bar_rdata_o = 32'(entry_masks[PLACE_BITS'(entry)]);
      endcase
    end else if (is_pba) begin
      bar_rdata_o = bar_addr_i[2] ? pba[63:32] : pba[31:0];
    end
  end

  // ---- registers ----

  assign waiting_o = waiting_q;
  always_comb begin
    csr_exists_o = 1'b1;
    unique case (csr_addr_i)
      csr_pkg::CSR_MSIX_HOLDOFF_NS: csr_rdata_o = 32'(holdoff_q);
      csr_pkg::CSR_MSIX_THRESHOLD:  csr_rdata_o = 32'(threshold_q);
      csr_pkg::CSR_MSIX_PENDING:    csr_rdata_o = 32'(waiting_q);
      csr_pkg::CSR_MSIX_ADAPTIVE:   csr_rdata_o = 32'(adaptive_q);
      default: begin
        csr_rdata_o  = '0;
        csr_exists_o = 1'b0;
      end
    endcase
  end

  // ---- statistics ----

  assign stat_event_o     = operation == EVENT;
  assign stat_sent_o      = operation == SEND;
  assign stat_disabled_o  = operation == EVENT && !enable_i;
  assign stat_masked_o    = operation == EVENT && enable_i && (function_mask_i || is_masked);
  assign stat_coalesced_o = operation == EVENT && enable_i && !was_idle;

`ifdef KS_ASSERT
  // PCIe 6.0 §6.1.4.4, §6.1.4.5. An event is owed a message from when it is taken (while MSI-X is on) till a message of its
  // vector leaves or a reset drops it.
  logic [VECTORS-1:0] owed_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || operation == CLEAR_ENTRY) owed_q <= '0;
    else if (state_q == DROP) owed_q <= '0;
    else if (operation == SEND) owed_q[vector] <= 1'b0;
    else if (operation == EVENT && enable_i) owed_q[vector] <= 1'b1;
    if (rst_ni && run) begin
      assert (!event_valid_i || 12'(event_vector_i) < vectors_i);
      if (operation == SEND) begin
        // A masked or disabled vector never sends; nothing is sent twice, or without an event.
        assert (enable_i && !function_mask_i && may_send_i && !is_masked);
        assert (owed_q[vector]);
      end
      // What is owed waits or is held; what is held has a hold-off whose end will free it.
      if (operation != NOTHING) begin
        assert (owed_q[vector] == (is_waiting || is_held));
        assert (!is_waiting || !is_held);
        assert (!is_held || is_running);
      end
    end
  end

`ifdef FORMAL
  // The same for all vectors at once, and: pending bits show what is owed and blocked, all that is owed and not blocked is
  // offered, and the count is right. One word of vectors.
  logic [VECTORS-1:0] blocked, members, held, running;
  assign held    = MODERATION ? held_m[0] : '0;
  assign running = MODERATION ? running_m[0] : '0;
  logic [VECTOR_BITS:0] owed_count;
  assign blocked = enable_i && !function_mask_i ? mask_m[0] : '1;
  always_comb begin
    owed_count = '0;
    for (int i = 0; i < VECTORS; i++) owed_count = owed_count + (VECTOR_BITS + 1)'(owed_q[i]);
  end
  always_comb begin
    assume (vectors_i == 12'(VECTORS));
    assume (12'(event_vector_i) < vectors_i);
  end
  always_ff @(posedge clk_i)
    if (rst_ni && (run || state_q == REVISIT)) begin
      assert (owed_q == (wait_m[0] | held));
      assert ((wait_m[0] & held) == '0);
      assert ((held & ~running) == '0);
      assert ((wait_m[0] & running) == '0);
      assert (members == running);
      assert (pba == 64'(owed_q & ~held & blocked));
      assert (ready_q[0] == ((wait_m[0] & ~mask_m[0]) != '0));
      assert (message_valid_o == (run && may_send_i && (owed_q & ~held & ~blocked) != '0));
      assert (waiting_q == 16'(owed_count));
    end

  // Nobody is passed over for ever: once for every other vector at most.
  logic [VECTOR_BITS-1:0] victim;
  logic [VECTOR_BITS:0] passed_q, distance;  // from the vector behind the last one on
  assign victim   = $anyconst;
  assign distance = victim > last_q ? {1'b0, victim} - {1'b0, last_q} - 1'b1 :
                    {1'b0, victim} + (VECTOR_BITS + 1)'(VECTORS) - {1'b0, last_q} - 1'b1;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || !run || !wait_m[0][victim] || mask_m[0][victim] || (send && pick == victim)) passed_q <= '0;
    else if (send) passed_q <= passed_q + 1'b1;
    if (rst_ni) begin
      assert (last_q < VECTOR_BITS'(VECTORS) || VECTORS == 1 << VECTOR_BITS);
      assert (passed_q < (VECTOR_BITS + 1)'(VECTORS));
      assert (passed_q + distance < (VECTOR_BITS + 1)'(VECTORS));
    end
  end
`endif
`endif
endmodule
