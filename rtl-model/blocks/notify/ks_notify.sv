// The notify unit: doorbells in, "serve this queue" out. What it does is said in README.md; this is how.
//
// A queue's pending bit is `holding` (in ks_holdoffs, waiting for the end of its hold-off) or eligible (a candidate for
// ks_notify_arbiter). In mode fifo doorbells stand in ks_notify_fifo as well. One operation a cycle changes a queue: the
// hold-off ends, or something comes in (a register is written, a doorbell is taken), which take turns if both want to. A
// service leaves beside it.
// A register write with consequences for many queues is worked off one queue a cycle, while nothing else happens.
module ks_notify #(
    parameter int unsigned QUEUES       = csr_pkg::QUEUES_MAX,  // a power of two, 2 to 64
    parameter int unsigned FIFO_DEPTH   = 1024,  // a power of two; 0: mode pending only
    parameter bit          HOLDOFF      = 1'b1,  // hold-off timer
    parameter bit          THRESHOLD    = 1'b1,  // count that ends it early
    parameter bit          ADAPTIVE     = 1'b1,  // hold-off that follows the queue's doorbells
    parameter int unsigned CLASSES      = 8,     // lengths it has, a power of two
    parameter int unsigned ARBITRATION  = 4,     // ks_notify_arbiter
    parameter int unsigned HOLDOFF_BITS = 32,
    parameter int unsigned TIME_BITS    = 40,    // half its range must exceed a hold-off
    localparam int unsigned QUEUE_BITS = $clog2(QUEUES),
    localparam int unsigned LENGTHS    = ADAPTIVE ? CLASSES : 1,
    localparam int unsigned CLASS_BITS = LENGTHS == 1 ? 1 : $clog2(LENGTHS),
    localparam int unsigned DEPTH      = FIFO_DEPTH == 0 ? 2 : FIFO_DEPTH,
    localparam int unsigned DEPTH_BITS = $clog2(DEPTH)
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 clear_i,    // forgets all doorbells and disables all queues
    input  logic [TIME_BITS-1:0] time_ns_i,  // free-running

    // Settings; hold-off, threshold and adaptive are reset values.
    input  logic                    fifo_mode_i,
    input  logic [DEPTH_BITS:0]     fifo_limit_i,
    input  logic [1:0]              arbitration_i,
    input  logic [63:0]             weights_i,
    input  logic [HOLDOFF_BITS-1:0] holdoff_ns_i,
    input  logic [15:0]             threshold_i,
    input  logic                    adaptive_i,

    input  logic        doorbell_valid_i,
    output logic        doorbell_ready_o,
    input  logic [15:0] doorbell_queue_i,
    input  logic [15:0] doorbell_hint_i,  // upper half of what was written

    // Until it is taken, a service may give way to another one.
    output logic                  service_valid_o,
    input  logic                  service_ready_i,
    output logic [QUEUE_BITS-1:0] service_queue_o,
    output logic                  service_hint_valid_o,
    output logic [15:0]           service_hint_o,
    output logic                  service_doorbell_o,  // there is a doorbell behind it, the first at service_time_ns_o
    output logic [TIME_BITS-1:0]  service_time_ns_o,

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
    output logic [63:0]          waiting_o,  // queues with a doorbell or kick that waits

    output logic stat_written_o,
    output logic stat_coalesced_o,
    output logic stat_serviced_o,
    output logic stat_dropped_o,
    output logic stat_ignored_o,
    output logic stat_fifo_full_o,
    output logic stat_own_kick_o
);
  typedef logic [QUEUE_BITS-1:0] queue_t;
  typedef logic [QUEUES-1:0] queues_t;
  typedef logic [TIME_BITS-1:0] when_t;

  typedef enum logic [2:0] {
    RUN,
    REVISIT,      // hold-off or threshold was written: queues in the list may be eligible now
    DROP,         // queues were disabled: pending ones are forgotten
    SWEEP_ORDER,  // ... also by the arbiter
    SWEEP_FIFO    // ... and by the FIFO
  } state_e;

  state_e state_d, state_q;
  logic run;
  assign run = state_q == RUN;

  // ---- registers ----

  logic [63:0]             enabled_word, enabled_d;
  queues_t                 enabled_q;
  logic [HOLDOFF_BITS-1:0] holdoff_q;
  logic [15:0]             threshold_q;
  logic                    adaptive_q;
  logic                    data_mode_q;
  logic                    write;
  assign enabled_word = 64'(enabled_q);

  // ---- queues ----

  queues_t pending_d, pending_q;    // to be served
  queues_t eligible_d, eligible_q;  // of them: now
  queues_t own_d, own_q;            // the firmware has kicked it
  queues_t rung_d, rung_q;          // a doorbell has come since it became pending
  when_t since_m[QUEUES];           // ... the first, or the kick if there is none
  logic [15:0] count_m[QUEUES];     // doorbells
  logic [16:0] hint_m[QUEUES];      // valid and hint of the last one

  // ---- a service leaves ----

  logic from_fifo, fifo_due, serve, serve_fifo, serve_pending;
  logic fifo_empty;
  queue_t pick, fifo_queue;
  when_t pick_since, fifo_time, age_difference;
  logic [16:0] fifo_hint, pick_hint;
  logic any_eligible;
  queues_t pick_mask;

  // What is shown depends on registers only, the time of the last edge among them: it cannot change in the middle of a cycle.
  when_t time_q;
  always_ff @(posedge clk_i) time_q <= time_ns_i;

  // A hold-off that started at `start` is over at `now`.
  function automatic logic over(input logic [TIME_BITS-1:0] start, input logic [TIME_BITS-1:0] now);
    over = !HOLDOFF || now - start >= TIME_BITS'(holdoff_q);
  endfunction

  assign any_eligible = eligible_q != '0;
  assign pick_since   = since_m[pick];
  assign pick_hint    = hint_m[pick];
  assign pick_mask    = QUEUES'(1) << pick;
  assign fifo_due     = FIFO_DEPTH != 0 && !fifo_empty && over(fifo_time, time_q);
  // Who came first goes first, so neither side can keep the other waiting for ever.
  assign age_difference = pick_since - fifo_time;
  assign from_fifo      = fifo_due && (!any_eligible || !age_difference[TIME_BITS-1]);

  assign service_valid_o      = run && (any_eligible || fifo_due);
  assign service_queue_o      = from_fifo ? fifo_queue : pick;
  assign service_doorbell_o   = from_fifo || rung_q[pick];
  assign service_time_ns_o    = from_fifo ? fifo_time : pick_since;
  // The firmware wants the ring looked at, whatever the driver said.
  assign service_hint_valid_o = from_fifo ? fifo_hint[16] : pick_hint[16] && rung_q[pick] && !own_q[pick];
  assign service_hint_o       = !service_hint_valid_o ? '0 : from_fifo ? fifo_hint[15:0] : pick_hint[15:0];
  assign serve                = service_valid_o && service_ready_i;
  assign serve_fifo           = serve && from_fifo;
  assign serve_pending        = serve && !from_fifo;

  // Pending bits as they are after this service: a doorbell that comes in its cycle is not covered by it.
  queues_t kept, pending, eligible, own, rung;
  assign kept     = serve_pending ? ~pick_mask : '1;
  assign pending  = pending_q & kept;
  assign eligible = eligible_q & kept;
  assign own      = own_q & kept;
  assign rung     = rung_q & kept;

  // ---- the operation of this cycle and its queue ----

  typedef enum logic [2:0] {NOTHING, MATURE, LOOK, FORGET, KICK, RING, IGNORE} operation_e;

  operation_e operation;
  queue_t queue, walk, list_first, drop_first;
  logic list_empty, list_over, mature, mature_first_q, walk_valid, walk_last;
  when_t list_deadline;
  queues_t drops, fifo_queued;
  logic is_enabled;

  assign mature           = HOLDOFF && run && list_over;
  assign csr_ready_o      = run && !(mature && mature_first_q);
  assign write            = csr_write_i && csr_ready_o;
  assign doorbell_ready_o = csr_ready_o && !csr_write_i;
  assign drops            = pending_q & ~enabled_q;

  always_comb begin
    operation  = NOTHING;
    queue      = '0;
    is_enabled = 1'b0;
    if (state_q == REVISIT) begin
      operation = walk_valid ? LOOK : NOTHING;
      queue     = walk;
    end else if (state_q == DROP) begin
      operation = drops != '0 ? FORGET : NOTHING;
      queue     = drop_first;
    end else if (write && csr_addr_i == csr_pkg::CSR_NOTIFY_KICK) begin
      queue      = QUEUE_BITS'(csr_wdata_i[7:0]);
      is_enabled = 8'(queue) == csr_wdata_i[7:0] && enabled_q[queue];
      operation  = is_enabled ? KICK : NOTHING;
    end else if (doorbell_valid_i && doorbell_ready_o) begin
      queue      = QUEUE_BITS'(doorbell_queue_i);
      is_enabled = 16'(queue) == doorbell_queue_i && enabled_q[queue];
      operation  = is_enabled ? RING : IGNORE;
    end else if (mature && !write) begin
      operation = MATURE;
      queue     = list_first;
    end
    if (!run && state_q != REVISIT && state_q != DROP) operation = NOTHING;
  end

  // ---- what it does ----

  logic is_pending, is_holding, is_eligible, is_over, enough, turn, fast, list_add, list_remove, fifo_full, fifo_push;
  logic [15:0] count;
  logic [CLASS_BITS-1:0] length;
  assign is_pending  = pending[queue];
  assign is_eligible = eligible[queue];
  assign is_holding  = is_pending && !is_eligible;
  assign count       = operation == LOOK ? count_m[queue] :
                       !rung[queue] ? 16'd1 : count_m[queue] == '1 ? '1 : count_m[queue] + 1'b1;
  assign enough      = THRESHOLD && threshold_q != '0 && count >= threshold_q;
  // While a queue is pending, its doorbells join that: behind one that has fallen back, all fall back.
  assign fifo_push   = FIFO_DEPTH != 0 && operation == RING && fifo_mode_i && !is_pending && !fifo_full;

  always_comb begin
    pending_d   = pending;
    eligible_d  = eligible;
    own_d       = own;
    rung_d      = rung;
    turn        = 1'b0;  // the queue becomes eligible
    list_add    = 1'b0;
    list_remove = 1'b0;
    unique case (operation)
      MATURE: begin
        turn        = 1'b1;
        list_remove = 1'b1;
      end
      LOOK: begin
        turn        = is_over || enough;
        list_remove = turn;
      end
      FORGET: begin
        pending_d[queue]  = 1'b0;
        eligible_d[queue] = 1'b0;
        own_d[queue]      = 1'b0;
        rung_d[queue]     = 1'b0;
        list_remove       = is_holding;
      end
      KICK: begin
        pending_d[queue] = 1'b1;
        own_d[queue]     = 1'b1;
        turn             = !is_eligible;
        list_remove      = is_holding;
      end
      RING:
      if (!fifo_push) begin
        pending_d[queue] = 1'b1;
        rung_d[queue]    = 1'b1;
        turn             = !is_eligible && (!HOLDOFF || holdoff_q == '0 || enough || (!is_pending && !fast));
        list_remove      = is_holding && turn;
        list_add         = !is_pending && !turn;
      end
      default: ;
    endcase
    if (turn) eligible_d[queue] = 1'b1;
    if (clear_i) begin
      pending_d  = '0;
      eligible_d = '0;
      own_d      = '0;
      rung_d     = '0;
    end
  end

  always_ff @(posedge clk_i) begin
    if ((operation == RING && !rung[queue]) || (operation == KICK && !is_pending)) since_m[queue] <= time_ns_i;
    if (operation == RING) begin
      count_m[queue] <= count;
      hint_m[queue]  <= {data_mode_q, doorbell_hint_i};
    end
  end

  // ---- states ----

  logic order_needed, order_last, fifo_last, disables;
  always_comb begin
    state_d   = state_q;
    enabled_d = enabled_word;
    if (write && csr_addr_i == csr_pkg::CSR_NOTIFY_ENABLE_LO) enabled_d[31:0] = csr_wdata_i;
    if (write && csr_addr_i == csr_pkg::CSR_NOTIFY_ENABLE_HI) enabled_d[63:32] = csr_wdata_i;
    disables = (enabled_word & ~enabled_d) != '0;
    unique case (state_q)
      RUN: begin
        if (disables) state_d = DROP;
        if (write && (csr_addr_i == csr_pkg::CSR_NOTIFY_HOLDOFF_NS || csr_addr_i == csr_pkg::CSR_NOTIFY_THRESHOLD))
          state_d = REVISIT;
      end
      REVISIT: if (walk_last) state_d = RUN;
      DROP:
      if (drops == '0)
        state_d = order_needed ? SWEEP_ORDER : (fifo_queued & ~enabled_q) != '0 ? SWEEP_FIFO : RUN;
      SWEEP_ORDER: if (order_last) state_d = (fifo_queued & ~enabled_q) != '0 ? SWEEP_FIFO : RUN;
      SWEEP_FIFO: if (fifo_last) state_d = RUN;
      default: state_d = RUN;
    endcase
    if (clear_i) begin
      state_d   = RUN;
      enabled_d = '0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q     <= RUN;
      enabled_q   <= '0;
      pending_q   <= '0;
      eligible_q  <= '0;
      own_q       <= '0;
      rung_q      <= '0;
      data_mode_q <= 1'b0;
      mature_first_q <= 1'b0;
    end else begin
      state_q    <= state_d;
      enabled_q  <= enabled_d[QUEUES-1:0];
      pending_q  <= pending_d;
      eligible_q <= eligible_d;
      own_q      <= own_d;
      rung_q     <= rung_d;
      // Only what is done changes whose turn it is, so a clock that stands still in between changes nothing.
      if (write || operation == RING || operation == IGNORE) mature_first_q <= 1'b1;
      else if (operation == MATURE) mature_first_q <= 1'b0;
      if (write && csr_addr_i == csr_pkg::CSR_NOTIFY_DATA_MODE) data_mode_q <= csr_wdata_i[0];
      if (clear_i) begin
        data_mode_q    <= 1'b0;
        mature_first_q <= 1'b0;
      end
    end
  end

  // Reset values from outside: loaded in the cycles of the reset, not by it.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      holdoff_q   <= holdoff_ns_i;
      threshold_q <= threshold_i;
      adaptive_q  <= ADAPTIVE && adaptive_i;
    end else if (write) begin
      if (csr_addr_i == csr_pkg::CSR_NOTIFY_HOLDOFF_NS) holdoff_q <= csr_wdata_i[HOLDOFF_BITS-1:0];
      if (csr_addr_i == csr_pkg::CSR_NOTIFY_THRESHOLD) threshold_q <= csr_wdata_i[15:0];
      if (csr_addr_i == csr_pkg::CSR_NOTIFY_ADAPTIVE) adaptive_q <= ADAPTIVE && csr_wdata_i[0];
    end
  end

  // ---- parts ----

  logic sweep_order_start, sweep_fifo_start, fifo_dropped;
  assign sweep_order_start = state_q != SWEEP_ORDER && state_d == SWEEP_ORDER;
  assign sweep_fifo_start  = state_q != SWEEP_FIFO && state_d == SWEEP_FIFO;

  ks_first_set #(
      .SIZE(QUEUES)
  ) i_drop_first (
      .bits_i (drops),
      .index_o(drop_first)
  );

  ks_holdoffs #(
      .SIZE        (QUEUES),
      .CLASSES     (LENGTHS),
      .TIME_BITS   (TIME_BITS),
      .HOLDOFF_BITS(HOLDOFF_BITS)
  ) i_list (
      .clk_i,
      .rst_ni,
      .clear_i,
      .time_ns_i,
      .longest_ns_i (holdoff_q),
      .add_i        (list_add),
      .add_class_i  (length),
      .remove_i     (list_remove),
      .index_i      (queue),
      .index_over_o (is_over),
      .empty_o      (list_empty),
      .over_o       (list_over),
      .over_index_o (list_first),
      .deadline_ns_o(list_deadline),
      .walk_start_i (run),
      .walk_step_i  (state_q == REVISIT),
      .walk_valid_o (walk_valid),
      .walk_index_o (walk),
`ifdef FORMAL
      .member_o     (members),
`endif
      .walk_last_o  (walk_last)
  );

  if (ADAPTIVE) begin : gen_pace
    logic pace_fast;
    logic [CLASS_BITS-1:0] pace_length;
    ks_pace #(
        .SIZE        (QUEUES),
        .CLASSES     (LENGTHS),
        .TIME_BITS   (TIME_BITS),
        .HOLDOFF_BITS(HOLDOFF_BITS)
    ) i_pace (
        .clk_i,
        .rst_ni,
        .clear_i,
        .time_ns_i,
        .longest_ns_i(holdoff_q),
        .threshold_i (threshold_q),
        .arrive_i    (adaptive_q && operation == RING && !fifo_push),
        // It ends with the doorbell that began it.
        .forget_i    (adaptive_q && operation == MATURE && count_m[queue] == 16'd1),
        .index_i     (queue),
        .fast_o      (pace_fast),
        .class_o     (pace_length)
    );
    assign fast   = !adaptive_q || pace_fast;
    assign length = adaptive_q ? pace_length : '0;
  end else begin : gen_fixed
    assign fast   = 1'b1;
    assign length = '0;
  end

  ks_notify_arbiter #(
      .QUEUES     (QUEUES),
      .ARBITRATION(ARBITRATION)
  ) i_arbiter (
      .clk_i,
      .rst_ni,
      .clear_i,
      .arbitration_i,
      .weights_i,
      .enabled_i     (enabled_q),
      .eligible_i    (eligible_q),
      .pick_o        (pick),
      .served_i      (serve_pending),
      .turn_i        (turn),
      .turn_queue_i  (queue),
      .sweep_start_i (sweep_order_start),
      .sweep_i       (state_q == SWEEP_ORDER),
      .sweep_last_o  (order_last),
`ifdef FORMAL
      .listed_o      (listed),
`endif
      .sweep_needed_o(order_needed)
  );

  ks_notify_fifo #(
      .QUEUES   (QUEUES),
      .DEPTH    (DEPTH),
      .TIME_BITS(TIME_BITS)
  ) i_fifo (
      .clk_i,
      .rst_ni,
      .clear_i,
      .limit_i         (fifo_limit_i),
      .push_i          (fifo_push),
      .push_queue_i    (queue),
      .push_time_i     (time_ns_i),
      .push_hint_i     ({data_mode_q, doorbell_hint_i}),
      .full_after_pop_o(fifo_full),
      .pop_i           (serve_fifo),
      .empty_o         (fifo_empty),
      .head_queue_o    (fifo_queue),
      .head_time_o     (fifo_time),
      .head_hint_o     (fifo_hint),
      .queued_o        (fifo_queued),
      .enabled_i       (enabled_q),
      .sweep_start_i   (sweep_fifo_start),
      .sweep_i         (state_q == SWEEP_FIFO),
      .sweep_last_o    (fifo_last),
      .sweep_dropped_o (fifo_dropped)
  );

  // ---- registers, outside view ----

  assign waiting_o = 64'(pending_q) | 64'(fifo_queued);

  always_comb begin
    csr_exists_o = 1'b1;
    unique case (csr_addr_i)
      csr_pkg::CSR_NOTIFY_ENABLE_LO:  csr_rdata_o = enabled_word[31:0];
      csr_pkg::CSR_NOTIFY_ENABLE_HI:  csr_rdata_o = enabled_word[63:32];
      csr_pkg::CSR_NOTIFY_KICK:       csr_rdata_o = '0;
      csr_pkg::CSR_NOTIFY_HOLDOFF_NS: csr_rdata_o = 32'(holdoff_q);
      csr_pkg::CSR_NOTIFY_THRESHOLD:  csr_rdata_o = 32'(threshold_q);
      csr_pkg::CSR_NOTIFY_PENDING_LO: csr_rdata_o = waiting_o[31:0];
      csr_pkg::CSR_NOTIFY_PENDING_HI: csr_rdata_o = waiting_o[63:32];
      csr_pkg::CSR_NOTIFY_DATA_MODE:  csr_rdata_o = 32'(data_mode_q);
      csr_pkg::CSR_NOTIFY_ADAPTIVE:   csr_rdata_o = 32'(adaptive_q);
      default: begin
        csr_rdata_o  = '0;
        csr_exists_o = 1'b0;
      end
    endcase
  end

  // ---- sleep ----

  logic list_waits, fifo_waits, fifo_first;
  when_t fifo_deadline, list_behind_fifo;
  assign list_waits       = HOLDOFF && !list_empty;
  assign fifo_waits       = FIFO_DEPTH != 0 && !fifo_empty && !fifo_due;
  assign fifo_deadline    = fifo_time + TIME_BITS'(holdoff_q);
  assign list_behind_fifo = list_deadline - fifo_deadline;
  assign fifo_first       = fifo_waits && (!list_waits || !list_behind_fifo[TIME_BITS-1]);
  assign active_o         = !run;
  assign timer_o          = list_waits || fifo_waits;
  assign deadline_ns_o    = fifo_first ? fifo_deadline : list_deadline;

  // ---- statistics ----

  assign stat_written_o   = operation == RING;
  assign stat_ignored_o   = operation == IGNORE;
  assign stat_coalesced_o = operation == RING && !fifo_push && rung[queue];
  assign stat_fifo_full_o = operation == RING && fifo_mode_i && !is_pending && !fifo_push;
  assign stat_serviced_o  = serve && service_doorbell_o;
  assign stat_dropped_o   = (operation == FORGET && rung[queue]) || fifo_dropped;
  assign stat_own_kick_o  = operation == KICK;

`ifdef KS_ASSERT
  // A doorbell written is never lost: from the cycle in which it is taken till its queue is served or disabled, the queue has
  // its pending bit or an entry in the FIFO. A service of the cycle in which it is taken comes too early for it.
  queues_t owed_d, owed_q;
  queue_t rung_queue;
  logic is_taken;
  assign rung_queue = QUEUE_BITS'(doorbell_queue_i);
  assign is_taken   = doorbell_valid_i && doorbell_ready_o && doorbell_queue_i < 16'(QUEUES) && enabled_q[rung_queue];
  always_comb begin
    owed_d = owed_q;
    if (serve) owed_d[service_queue_o] = 1'b0;
    if (is_taken) owed_d[rung_queue] = 1'b1;
    owed_d = owed_d & enabled_d[QUEUES-1:0];
  end

  always_ff @(posedge clk_i) begin
    owed_q <= rst_ni ? owed_d : '0;
    if (rst_ni) begin
      assert ((owed_q & ~(pending_q | fifo_queued)) == '0);
      // What is pending is for a reason, and eligible or held off.
      assert (pending_q == (own_q | rung_q));
      assert ((eligible_q & ~pending_q) == '0);
      assert ((own_q & ~eligible_q) == '0);
      assert (list_empty == ((pending_q & ~eligible_q) == '0));
      // Nothing is done for a queue that is disabled.
      assert (state_q == DROP || (pending_q & ~enabled_q) == '0);
      assert (state_q == DROP || state_q == SWEEP_ORDER || state_q == SWEEP_FIFO || (fifo_queued & ~enabled_q) == '0);
      assert (!serve || enabled_q[service_queue_o]);
    end
  end

`ifdef FORMAL
  always_comb assume (FIFO_DEPTH == 0 || fifo_limit_i == (DEPTH_BITS + 1)'(DEPTH));

  // The list holds the queues that hold off, the arbiter knows those that are eligible.
  queues_t members, listed;
  always_ff @(posedge clk_i)
    if (rst_ni) begin
      assert (members == (pending_q & ~eligible_q));
      assert (state_q == DROP || state_q == SWEEP_ORDER || listed == eligible_q);
    end
`endif
`endif
endmodule
