// Doorbells one by one, in the order in which they came (notify.mode=fifo). Memories with asynchronous read.
//
// When queues have been disabled, what they have here is dropped by sweeping: every entry is taken from the head and,
// unless its queue is disabled, put back at the tail, which keeps the order and leaves no holes.
module ks_notify_fifo #(
    parameter int unsigned QUEUES    = 64,
    parameter int unsigned DEPTH     = 64,  // a power of two, at least 2
    parameter int unsigned TIME_BITS = 40,
    localparam int unsigned QUEUE_BITS = $clog2(QUEUES),
    localparam int unsigned DEPTH_BITS = $clog2(DEPTH)
) (
    input  logic                  clk_i,
    input  logic                  rst_ni,
    input  logic                  clear_i,
    input  logic [DEPTH_BITS:0]   limit_i,  // entries it may hold

    input  logic                  push_i,   // not when full, not with sweep_i
    input  logic [QUEUE_BITS-1:0] push_queue_i,
    input  logic [TIME_BITS-1:0]  push_time_i,
    input  logic [16:0]           push_hint_i,
    output logic                  full_after_pop_o,

    input  logic                  pop_i,    // not when empty, not with sweep_i
    output logic                  empty_o,
    output logic [QUEUE_BITS-1:0] head_queue_o,
    output logic [TIME_BITS-1:0]  head_time_o,
    output logic [16:0]           head_hint_o,

    output logic [QUEUES-1:0]     queued_o,  // queues that have an entry
    input  logic [QUEUES-1:0]     enabled_i,
    input  logic                  sweep_start_i,
    input  logic                  sweep_i,   // a step, until sweep_last_o
    output logic                  sweep_last_o,
    output logic                  sweep_dropped_o
);
  logic [QUEUE_BITS-1:0] queue_m[DEPTH];
  logic [TIME_BITS-1:0]  time_m[DEPTH];
  logic [16:0]           hint_m[DEPTH];
  logic [DEPTH_BITS-1:0] newest_m[QUEUES];  // where a queue's last entry stands: its bit of queued_o goes with that
  logic [DEPTH_BITS-1:0] head_q, tail_q;
  logic [DEPTH_BITS:0]   count_q, left_q;  // left to sweep
  logic [QUEUES-1:0]     queued_d, queued_q;

  logic take, put;
  logic [QUEUE_BITS-1:0] put_queue;
  assign take            = pop_i || sweep_i;
  assign sweep_dropped_o = sweep_i && !enabled_i[head_queue_o];
  assign put             = push_i || (sweep_i && !sweep_dropped_o);
  assign put_queue       = sweep_i ? head_queue_o : push_queue_i;

  always_comb begin
    queued_d = queued_q;
    if (take && newest_m[head_queue_o] == head_q) queued_d[head_queue_o] = 1'b0;
    if (put) queued_d[put_queue] = 1'b1;
    if (clear_i) queued_d = '0;
  end

  always_ff @(posedge clk_i) begin
    if (put) begin
      queue_m[tail_q]     <= put_queue;
      time_m[tail_q]      <= sweep_i ? head_time_o : push_time_i;
      hint_m[tail_q]      <= sweep_i ? head_hint_o : push_hint_i;
      newest_m[put_queue] <= tail_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      head_q   <= '0;
      tail_q   <= '0;
      count_q  <= '0;
      left_q   <= '0;
      queued_q <= '0;
    end else begin
      queued_q <= queued_d;
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

  assign empty_o          = count_q == '0;
  assign full_after_pop_o = count_q == limit_i && !pop_i;
  assign head_queue_o     = queue_m[head_q];
  assign head_time_o      = time_m[head_q];
  assign head_hint_o      = hint_m[head_q];
  assign queued_o         = queued_q;
  assign sweep_last_o     = left_q == (DEPTH_BITS + 1)'(1);

`ifdef KS_ASSERT
  logic [DEPTH_BITS-1:0] end_of_entries;
  assign end_of_entries = head_q + count_q[DEPTH_BITS-1:0];
  always_ff @(posedge clk_i)
    if (rst_ni) begin
      assert (!push_i || !sweep_i);
      assert (!push_i || pop_i || count_q < limit_i);
      assert (!take || count_q != '0);
      assert (count_q <= (DEPTH_BITS + 1)'(DEPTH));
      assert (!sweep_i || (left_q != '0 && left_q <= count_q));
      assert (tail_q == end_of_entries);
    end

`ifdef FORMAL
  // A queue's bit is set if and only if it has an entry.
  // Entries that have been swept are of queues that are enabled.
  logic [QUEUES-1:0] found, newest_right;
  logic swept_right;
  logic [DEPTH_BITS-1:0] at;
  always_comb begin
    found        = '0;
    newest_right = '1;
    swept_right  = 1'b1;
    for (int i = 0; i < DEPTH; i++) begin
      at = head_q + DEPTH_BITS'(i);
      if (count_q > (DEPTH_BITS + 1)'(i)) begin
        found[queue_m[at]]        = 1'b1;
        newest_right[queue_m[at]] = newest_m[queue_m[at]] == at;  // the last one has the last word
        if (sweep_i && (DEPTH_BITS + 1)'(i) >= left_q && !enabled_i[queue_m[at]]) swept_right = 1'b0;
      end
    end
  end
  always_ff @(posedge clk_i)
    if (rst_ni) begin
      assert (found == queued_q);
      assert (newest_right == '1);
      assert (swept_right);
    end
`endif
`endif
endmodule
