// Hold-offs that run: of queues (ks_notify) and of interrupt vectors (ks_msix). Their lengths are the longest one, halved a number
// of times: the class. Those of a class are equally long and end in the order in which they began, so each class is a
// list of which only the head has to be compared with the time. Of several that are over the longest class is shown.
//
// One operation a cycle: add or remove. `start_m` and `class_m` are read asynchronously.
module ks_holdoffs #(
    parameter int unsigned SIZE         = 64,
    parameter int unsigned CLASSES      = 8,  // a power of two
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

    input  logic                    add_i,       // `index_i` begins, now; it is in no list
    input  logic [CLASS_BITS-1:0]   add_class_i,
    input  logic                    remove_i,    // `index_i` is in a list; not together with add_i
    input  logic [INDEX_BITS-1:0]   index_i,
    output logic                    index_over_o,  // that of `index_i`, if it runs

    output logic                    empty_o,
    output logic                    over_o,
    output logic [INDEX_BITS-1:0]   over_index_o,
    output logic [TIME_BITS-1:0]    deadline_ns_o,  // of the one that ends first

    // A walk along all that run, for whoever must look at each: the longest class first, then by age. Started in the cycle before
    // its first step. In a step `index_i` is where it stands, and may be removed.
    input  logic                    walk_start_i,
    input  logic                    walk_step_i,
    output logic                    walk_valid_o,  // it stands at one
    output logic [INDEX_BITS-1:0]   walk_index_o,
`ifdef FORMAL
    output logic [SIZE-1:0]         member_o,
`endif
    output logic                    walk_last_o
);
  logic [TIME_BITS-1:0]  start_m[SIZE];
  logic [CLASS_BITS-1:0] class_m[SIZE];

  logic [TIME_BITS-1:0] longest;
  assign longest = TIME_BITS'(longest_ns_i);

  logic [CLASS_BITS-1:0] index_class;
  assign index_class  = CLASSES == 1 ? '0 : class_m[index_i];
  assign index_over_o = time_ns_i - start_m[index_i] >= (longest >> index_class);

  always_ff @(posedge clk_i) begin
    if (add_i) begin
      start_m[index_i] <= time_ns_i;
      class_m[index_i] <= add_class_i;
    end
  end

  // ---- a list for each class ----

  logic [CLASSES-1:0]            empty, over;
  logic [CLASSES*INDEX_BITS-1:0] heads, tails;
  logic [CLASSES*TIME_BITS-1:0]  ends;
  logic [INDEX_BITS-1:0]         next;
`ifdef FORMAL
  logic [CLASSES*SIZE-1:0] members;
`endif

  ks_order_list #(
      .SIZE (SIZE),
      .LISTS(CLASSES)
  ) i_lists (
      .clk_i,
      .rst_ni,
      .clear_i,
      .add_i,
      .remove_i,
      .list_i   (add_i ? add_class_i : index_class),
      .index_i,
      .next_o   (next),
`ifdef FORMAL
      .members_o(members),
`endif
      .empty_o  (empty),
      .heads_o  (heads),
      .tails_o  (tails)
  );

  for (genvar i = 0; i < CLASSES; i++) begin : gen_class
    logic [TIME_BITS-1:0] start, length;
    assign start                        = start_m[heads[i*INDEX_BITS+:INDEX_BITS]];
    assign length                       = longest >> i;
    assign over[i]                      = !empty[i] && time_ns_i - start >= length;
    assign ends[i*TIME_BITS+:TIME_BITS] = start + length;
  end

  assign empty_o = empty == '1;
  assign over_o  = over != '0;

  logic [TIME_BITS-1:0] sooner;
  always_comb begin
    over_index_o  = '0;
    deadline_ns_o = '0;
    sooner        = '0;
    for (int i = CLASSES - 1; i >= 0; i--) begin
      if (over[i]) over_index_o = heads[i*INDEX_BITS+:INDEX_BITS];
    end
    for (int i = 0; i < CLASSES; i++) begin
      sooner = ends[i*TIME_BITS+:TIME_BITS] - deadline_ns_o;
      if (!empty[i] && ((empty | ~((CLASSES'(1) << i) - 1'b1)) == '1 || sooner[TIME_BITS-1])) deadline_ns_o = ends[i*TIME_BITS+:TIME_BITS];
    end
  end

  // ---- the walk: classes in which nothing runs are left out ----

  logic [CLASS_BITS-1:0] class_q, class_next;
  logic [INDEX_BITS-1:0] walk_q;
  logic [CLASSES-1:0] to_come;  // classes with something to walk along, behind this one
  logic class_done;
  assign to_come      = ~empty & (walk_start_i ? '1 : ~((CLASSES'(2) << class_q) - 1'b1));
  assign class_done   = empty[class_q] || walk_q == tails[class_q*INDEX_BITS+:INDEX_BITS];
  assign walk_valid_o = !empty[class_q];
  assign walk_index_o = walk_q;
  assign walk_last_o  = class_done && to_come == '0;

  always_comb begin
    class_next = '0;
    for (int i = CLASSES - 1; i >= 0; i--) begin
      if (to_come[i]) class_next = CLASS_BITS'(i);
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      class_q <= '0;
      walk_q  <= '0;
    end else if (walk_start_i || (walk_step_i && class_done)) begin
      class_q <= class_next;
      walk_q  <= heads[class_next*INDEX_BITS+:INDEX_BITS];
    end else if (walk_step_i) begin
      walk_q <= next;
    end
  end

`ifdef KS_ASSERT
  always_ff @(posedge clk_i)
    if (rst_ni) begin
      assert (!walk_step_i || !walk_valid_o || index_i == walk_q);
    end

`ifdef FORMAL
  // An index is in the list of its class and in no other one, and a walk stands in the list of its class.
  logic [SIZE-1:0] rightly, walked;
  assign walked = members[class_q*SIZE+:SIZE];
  always_comb begin
    member_o = '0;
    rightly  = '1;
    for (int i = 0; i < CLASSES; i++) begin
      member_o = member_o | members[i*SIZE+:SIZE];
      for (int at = 0; at < SIZE; at++) begin
        if (members[i*SIZE+at] && CLASSES != 1 && class_m[at] != CLASS_BITS'(i)) rightly[at] = 1'b0;
      end
    end
  end
  always_ff @(posedge clk_i)
    if (rst_ni) begin
      assert (rightly == '1);
      assert (!walk_step_i || !walk_valid_o || (walk_q <= INDEX_BITS'(SIZE - 1) && walked[walk_q]));
    end
`endif
`endif
endmodule
