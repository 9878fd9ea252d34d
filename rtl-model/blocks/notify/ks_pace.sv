// How fast doorbells of a queue, or events of an interrupt vector, come, and the hold-off that follows from that: rtl-model/pace.h,
// which has the reasons. `last_m` and `mean_m` are read asynchronously.
module ks_pace #(
    parameter int unsigned SIZE         = 64,
    parameter int unsigned CLASSES      = 8,
    parameter int unsigned TIME_BITS    = 40,
    parameter int unsigned HOLDOFF_BITS = 32,
    localparam int unsigned INDEX_BITS = $clog2(SIZE),
    localparam int unsigned CLASS_BITS = CLASSES == 1 ? 1 : $clog2(CLASSES)
) (
    input  logic                    clk_i,
    input  logic                    rst_ni,
    input  logic                    clear_i,
    input  logic [TIME_BITS-1:0]    time_ns_i,
    input  logic [HOLDOFF_BITS-1:0] longest_ns_i,
    input  logic [15:0]             threshold_i,

    input  logic                    arrive_i,  // one of `index_i` has come
    input  logic                    forget_i,  // its last hold-off was in vain; not together with arrive_i
    input  logic [INDEX_BITS-1:0]   index_i,
    output logic                    fast_o,    // worth a hold-off, what arrives in this cycle included
    output logic [CLASS_BITS-1:0]   class_o    // of that hold-off
);
`ifdef FORMAL
  // Whatever is decided, nothing may be lost.
  assign fast_o  = $anyseq;
  assign class_o = $anyseq;
`else
  localparam int unsigned WANTED_BITS = HOLDOFF_BITS + 16;

  logic [TIME_BITS-1:0]    last_m[SIZE];
  logic [HOLDOFF_BITS-1:0] mean_m[SIZE];
  logic [SIZE-1:0]         known_q;

  logic known;
  logic [TIME_BITS-1:0] interval;
  logic [HOLDOFF_BITS-1:0] mean, mean_d;
  assign known    = known_q[index_i];
  assign mean     = mean_m[index_i];
  assign interval = time_ns_i - last_m[index_i];
  always_comb begin
    mean_d = mean;
    if (arrive_i && !known) mean_d = longest_ns_i;
    else if (arrive_i && interval <= TIME_BITS'(longest_ns_i)) mean_d = mean - (mean >> 2) + (interval[HOLDOFF_BITS-1:0] >> 2);
  end

  always_ff @(posedge clk_i) begin
    if (arrive_i) begin
      last_m[index_i] <= time_ns_i;
      mean_m[index_i] <= mean_d;
    end
  end
  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) known_q <= '0;
    else if (arrive_i || forget_i) known_q[index_i] <= arrive_i;
  end

  // The threshold as a power of two, rounded up, gives the time for that many without a multiplier.
  logic [15:0] below_threshold;
  logic [4:0] shift;
  logic [WANTED_BITS-1:0] wanted, longest;
  assign longest = WANTED_BITS'(longest_ns_i);
  always_comb begin
    below_threshold = threshold_i - 1'b1;
    shift           = '0;
    for (int i = 0; i < 16; i++) begin
      if (below_threshold[i]) shift = 5'(i + 1);
    end
    wanted  = WANTED_BITS'(mean_d) << shift;
    fast_o  = (known || arrive_i) && mean_d <= longest_ns_i >> 1;
    class_o = '0;
    for (int i = 1; i < CLASSES; i++) begin
      if (threshold_i != '0 && wanted <= (longest >> i)) class_o = CLASS_BITS'(i);
    end
  end
`endif
endmodule
