// Lists of indices in the order in which they were added: time-outs of equal length end in that order, so only the
// head of a list has to be compared with the time. An index is in one list at most, there once, and can be taken out anywhere; so
// all lists share their links.
//
// Doubly linked through two memories with one write port and asynchronous read, so one operation a cycle: add at the
// tail or remove. Used for hold-offs of queues (ks_notify) and of interrupt vectors (ks_msix), a list for each length.
module ks_order_list #(
    parameter int unsigned SIZE  = 64,
    parameter int unsigned LISTS = 8,
    localparam int unsigned INDEX_BITS = $clog2(SIZE),
    localparam int unsigned LIST_BITS  = LISTS == 1 ? 1 : $clog2(LISTS)
) (
    input  logic                        clk_i,
    input  logic                        rst_ni,
    input  logic                        clear_i,
    input  logic                        add_i,     // `index_i` is in no list
    input  logic                        remove_i,  // `index_i` is in the list; not together with add_i
    input  logic [LIST_BITS-1:0]        list_i,
    input  logic [INDEX_BITS-1:0]       index_i,
    output logic [INDEX_BITS-1:0]       next_o,    // behind `index_i`, if that is not the tail
    output logic [LISTS-1:0]            empty_o,
    output logic [LISTS*INDEX_BITS-1:0] heads_o,
`ifdef FORMAL
    output logic [LISTS*SIZE-1:0]       members_o,
`endif
    output logic [LISTS*INDEX_BITS-1:0] tails_o
);
  logic [INDEX_BITS-1:0] next_m[SIZE];
  logic [INDEX_BITS-1:0] prev_m[SIZE];
  logic [LISTS*INDEX_BITS-1:0] heads_q, tails_q;
  logic [LISTS-1:0] empty_q;

  logic [INDEX_BITS-1:0] next, prev, head, head_d, tail, tail_d;
  logic is_head, is_tail, is_empty, empty_d;
  assign next     = next_m[index_i];
  assign prev     = prev_m[index_i];
  assign head     = heads_q[list_i*INDEX_BITS+:INDEX_BITS];
  assign tail     = tails_q[list_i*INDEX_BITS+:INDEX_BITS];
  assign is_empty = empty_q[list_i];
  assign is_head  = index_i == head;
  assign is_tail  = index_i == tail;

  logic next_write, prev_write;
  logic [INDEX_BITS-1:0] next_at, next_to, prev_at, prev_to;

  always_comb begin
    head_d     = head;
    tail_d     = tail;
    empty_d    = is_empty;
    next_write = 1'b0;
    prev_write = 1'b0;
    next_at    = tail;
    next_to    = index_i;
    prev_at    = index_i;
    prev_to    = tail;
    if (add_i) begin
      empty_d    = 1'b0;
      tail_d     = index_i;
      next_write = !is_empty;
      prev_write = !is_empty;
      if (is_empty) head_d = index_i;
    end else if (remove_i) begin
      next_at    = prev;
      next_to    = next;
      prev_at    = next;
      prev_to    = prev;
      next_write = !is_head && !is_tail;
      prev_write = !is_head && !is_tail;
      empty_d    = is_head && is_tail;
      if (is_head) head_d = next;
      if (is_tail) tail_d = prev;
    end
  end

  always_ff @(posedge clk_i) begin
    if (next_write) next_m[next_at] <= next_to;
    if (prev_write) prev_m[prev_at] <= prev_to;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      heads_q <= '0;
      tails_q <= '0;
      empty_q <= '1;
    end else begin
      if (add_i || remove_i) begin
        heads_q[list_i*INDEX_BITS+:INDEX_BITS] <= head_d;
        tails_q[list_i*INDEX_BITS+:INDEX_BITS] <= tail_d;
        empty_q[list_i]                        <= empty_d;
      end
      if (clear_i) empty_q <= '1;
    end
  end

  assign next_o  = next;
  assign empty_o = empty_q;
  assign heads_o = heads_q;
  assign tails_o = tails_q;

`ifdef KS_ASSERT
  logic [SIZE-1:0] listed_q;  // is in one of the lists
  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) listed_q <= '0;
    else if (add_i) listed_q[index_i] <= 1'b1;
    else if (remove_i) listed_q[index_i] <= 1'b0;
    if (rst_ni) begin
      assert (!add_i || !remove_i);
      assert (!add_i || !listed_q[index_i]);
      assert (!remove_i || (listed_q[index_i] && !is_empty));
      assert (!(add_i || remove_i) || is_empty || (listed_q[head] && listed_q[tail]));
    end
  end

`ifdef FORMAL
  logic [SIZE-1:0] in_lists;
  always_comb begin
    in_lists = '0;
    for (int i = 0; i < LISTS; i++) in_lists = in_lists | members_o[i*SIZE+:SIZE];
  end
  always_ff @(posedge clk_i) if (rst_ni) assert (in_lists == listed_q);

  // From the head of a list on along `next` every member is met once, the tail last, and `prev` leads back.
  for (genvar i = 0; i < LISTS; i++) begin : gen_list
    logic [INDEX_BITS-1:0] first, last;
    logic [SIZE-1:0] member_q;
    logic [SIZE-1:0] met[SIZE+1];
    logic [INDEX_BITS-1:0] at[SIZE+1];
    logic [SIZE:0] linked, on_way;
    assign first = heads_q[i*INDEX_BITS+:INDEX_BITS];
    assign last  = tails_q[i*INDEX_BITS+:INDEX_BITS];
    assign members_o[i*SIZE+:SIZE] = member_q;
    always_comb begin
      met[0]    = '0;
      at[0]     = first;
      on_way[0] = !empty_q[i];
      linked[0] = 1'b1;
      for (int n = 0; n < SIZE; n++) begin
        met[n+1]    = met[n];
        at[n+1]     = at[n];
        on_way[n+1] = 1'b0;
        linked[n+1] = 1'b1;
        if (on_way[n]) begin
          met[n+1]    = met[n] | (SIZE'(1) << at[n]);
          linked[n+1] = member_q[at[n]];
          if (at[n] != last) begin
            on_way[n+1] = 1'b1;
            at[n+1]     = next_m[at[n]];
            if (prev_m[next_m[at[n]]] != at[n]) linked[n+1] = 1'b0;
          end
        end
      end
    end
    always_ff @(posedge clk_i) begin
      if (!rst_ni || clear_i) member_q <= '0;
      else if (list_i == LIST_BITS'(i)) begin
        if (add_i) member_q[index_i] <= 1'b1;
        else if (remove_i) member_q[index_i] <= 1'b0;
      end
      if (rst_ni) begin
        assert (!remove_i || list_i != LIST_BITS'(i) || member_q[index_i]);
        assert (empty_q[i] == (member_q == '0));
        assert (empty_q[i] || (member_q[first] && member_q[last]));
        assert (met[SIZE] == member_q);
        assert (!on_way[SIZE]);
        assert (linked == '1);
      end
    end
  end
`endif
`endif
endmodule
