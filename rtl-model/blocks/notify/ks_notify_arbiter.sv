// Which of the eligible queues is served next (notify.arbitration): round robin from the one behind the last, strict by
// number, the one eligible for longest, or round robin in which a queue keeps its turn for `weight` services.
module ks_notify_arbiter #(
    parameter int unsigned QUEUES      = 64,
    parameter int unsigned ARBITRATION = 4,  // one of the arbitrations below, or 4: as arbitration_i says
    localparam int unsigned QUEUE_BITS = $clog2(QUEUES)
) (
    input  logic                  clk_i,
    input  logic                  rst_ni,
    input  logic                  clear_i,
    input  logic [1:0]            arbitration_i,
    input  logic [63:0]           weights_i,   // four bits a queue, repeated every 16 queues; 0 counts as 1
    input  logic [QUEUES-1:0]     enabled_i,
    input  logic [QUEUES-1:0]     eligible_i,
    output logic [QUEUE_BITS-1:0] pick_o,      // one of eligible_i, if there is one
    input  logic                  served_i,    // pick_o is served
    input  logic                  turn_i,      // turn_queue_i becomes eligible
    input  logic [QUEUE_BITS-1:0] turn_queue_i,
    input  logic                  sweep_start_i,  // queues have been disabled: forget them, a step a cycle
    input  logic                  sweep_i,
    output logic                  sweep_last_o,
`ifdef FORMAL
    output logic [QUEUES-1:0]     listed_o,
`endif
    output logic                  sweep_needed_o
);
  typedef enum logic [1:0] {ROUND_ROBIN, STRICT, OLDEST, WEIGHTED} arbitration_e;

  logic [1:0] arbitration;
  logic oldest;
  assign arbitration = ARBITRATION < 4 ? 2'(ARBITRATION) : arbitration_i;
  assign oldest      = arbitration == OLDEST;

  // ---- the first from a place on ----

  logic [QUEUE_BITS-1:0] last_q, first;
  logic [QUEUES-1:0] behind, candidates;
  assign behind     = eligible_i & ~((QUEUES'(2) << last_q) - QUEUES'(1));
  assign candidates = arbitration == STRICT || behind == '0 ? eligible_i : behind;

  ks_first_set #(
      .SIZE(QUEUES)
  ) i_first (
      .bits_i (candidates),
      .index_o(first)
  );

  // ---- weights ----

  logic [3:0] credit_q, weight;
  logic keeps_turn;
  assign weight     = weights_i[{4'(pick_o), 2'b00}+:4];
  assign keeps_turn = arbitration == WEIGHTED && eligible_i[last_q] && credit_q != '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      last_q   <= QUEUE_BITS'(QUEUES - 1);
      credit_q <= '0;
    end else if (clear_i) begin
      last_q   <= QUEUE_BITS'(QUEUES - 1);
      credit_q <= '0;
    end else if (served_i) begin
      last_q <= pick_o;
      if (pick_o == last_q && credit_q != '0) credit_q <= credit_q - 1'b1;
      else credit_q <= weight == '0 ? '0 : weight - 1'b1;
    end else if (!enabled_i[last_q]) begin
      credit_q <= '0;
    end
  end

  // ---- age: eligible queues in the order in which they became so ----

  logic [QUEUE_BITS-1:0] order_m[QUEUES];
  logic [QUEUE_BITS-1:0] head_q, tail_q, head_queue, put_queue;
  logic [QUEUE_BITS:0] count_q, left_q;
  logic take, put;
  assign head_queue = order_m[head_q];
  assign take       = oldest && (served_i || sweep_i);
  assign put        = oldest && (turn_i || (sweep_i && eligible_i[head_queue]));
  assign put_queue  = sweep_i ? head_queue : turn_queue_i;

  always_ff @(posedge clk_i) begin
    if (put) order_m[tail_q] <= put_queue;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      head_q  <= '0;
      tail_q  <= '0;
      count_q <= '0;
      left_q  <= '0;
    end else begin
      if (take) head_q <= head_q + 1'b1;
      if (put) tail_q <= tail_q + 1'b1;
      if (put && !take) count_q <= count_q + 1'b1;
      if (take && !put) count_q <= count_q - 1'b1;
      if (sweep_start_i) left_q <= count_q;
      if (sweep_i) left_q <= left_q - 1'b1;
      if (clear_i) begin
        head_q  <= '0;
        tail_q  <= '0;
        count_q <= '0;
      end
    end
  end

  assign sweep_needed_o = oldest && count_q != '0;
  assign sweep_last_o   = left_q == (QUEUE_BITS + 1)'(1);
  assign pick_o         = oldest ? head_queue : keeps_turn ? last_q : first;

`ifdef KS_ASSERT
  logic [QUEUE_BITS-1:0] end_of_entries;
  assign end_of_entries = head_q + count_q[QUEUE_BITS-1:0];
  always_ff @(posedge clk_i)
    if (rst_ni) begin
      assert (!served_i || eligible_i[pick_o]);
      assert (count_q <= (QUEUE_BITS + 1)'(QUEUES));
      assert (tail_q == end_of_entries);
      assert (!sweep_i || (left_q != '0 && left_q <= count_q));
    end

`ifdef FORMAL
  // Every eligible queue has an entry, no queue has two, and what has been swept is eligible.
  logic [QUEUES-1:0] listed;
  logic each_once, swept_right;
  assign listed_o = oldest ? listed : eligible_i;
  logic [QUEUE_BITS-1:0] entry;
  always_comb begin
    listed    = '0;
    each_once   = 1'b1;
    swept_right = 1'b1;
    for (int i = 0; i < QUEUES; i++) begin
      entry = order_m[QUEUE_BITS'(head_q+QUEUE_BITS'(i))];
      if (count_q > (QUEUE_BITS + 1)'(i)) begin
        if (listed[entry]) each_once = 1'b0;
        listed[entry] = 1'b1;
        if (sweep_i && (QUEUE_BITS + 1)'(i) >= left_q && !eligible_i[entry]) swept_right = 1'b0;
      end
    end
  end
  always_ff @(posedge clk_i)
    if (rst_ni && oldest) begin
      assert (each_once);
      assert (swept_right);
      assert ((eligible_i & ~listed) == '0);
    end

  // Round robin passes an eligible queue over once for every other queue at most.
  logic [QUEUE_BITS-1:0] victim;
  logic [QUEUE_BITS:0] passed_q;
  logic [QUEUE_BITS-1:0] distance;  // from the queue behind the last one on
  assign victim   = $anyconst;
  assign distance = victim - last_q - 1'b1;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i || !eligible_i[victim] || (served_i && pick_o == victim)) passed_q <= '0;
    else if (served_i) passed_q <= passed_q + 1'b1;
    if (rst_ni && arbitration == ROUND_ROBIN) begin
      assert (passed_q < (QUEUE_BITS + 1)'(QUEUES));
      assert (passed_q + distance < (QUEUE_BITS + 1)'(QUEUES));
    end
  end
`endif
`endif
endmodule
