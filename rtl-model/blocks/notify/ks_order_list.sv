// A list of indices in the order in which they were added: time-outs of equal length end in that order, so only the
// head has to be compared with the time. An index is in the list once at most, and can be taken out anywhere.
//
// Doubly linked through two memories with one write port and asynchronous read, so one operation a cycle: add at the
// tail or remove. Used for hold-offs of queues (ks_notify) and of interrupt vectors (ks_msix).
module ks_order_list #(
    parameter int unsigned SIZE = 64,
    localparam int unsigned INDEX_BITS = $clog2(SIZE)
) (
    input  logic                  clk_i,
    input  logic                  rst_ni,
    input  logic                  clear_i,
    input  logic                  add_i,     // `index_i` is not in the list
    input  logic                  remove_i,  // `index_i` is in the list; not together with add_i
    input  logic [INDEX_BITS-1:0] index_i,
    output logic [INDEX_BITS-1:0] next_o,    // behind `index_i`, if that is not the tail
    output logic                  empty_o,
    output logic [INDEX_BITS-1:0] head_o,
`ifdef FORMAL
    output logic [SIZE-1:0]       member_o,
`endif
    output logic [INDEX_BITS-1:0] tail_o
);
  logic [INDEX_BITS-1:0] next_m[SIZE];
  logic [INDEX_BITS-1:0] prev_m[SIZE];
  logic [INDEX_BITS-1:0] head_d, head_q, tail_d, tail_q;
  logic                  empty_d, empty_q;

  logic [INDEX_BITS-1:0] next, prev;
  logic is_head, is_tail;
  assign next = next_m[index_i];
  assign prev = prev_m[index_i];
  assign is_head = index_i == head_q;
  assign is_tail = index_i == tail_q;

  logic next_write, prev_write;
  logic [INDEX_BITS-1:0] next_at, next_to, prev_at, prev_to;

  always_comb begin
    head_d     = head_q;
    tail_d     = tail_q;
    empty_d    = empty_q;
    next_write = 1'b0;
    prev_write = 1'b0;
    next_at    = tail_q;
    next_to    = index_i;
    prev_at    = index_i;
    prev_to    = tail_q;
    if (add_i) begin
      empty_d    = 1'b0;
      tail_d     = index_i;
      next_write = !empty_q;
      prev_write = !empty_q;
      if (empty_q) head_d = index_i;
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
    if (clear_i) empty_d = 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (next_write) next_m[next_at] <= next_to;
    if (prev_write) prev_m[prev_at] <= prev_to;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      head_q  <= '0;
      tail_q  <= '0;
      empty_q <= 1'b1;
    end else begin
      head_q  <= head_d;
      tail_q  <= tail_d;
      empty_q <= empty_d;
    end
  end

  assign next_o  = next;
  assign empty_o = empty_q;
  assign head_o  = head_q;
  assign tail_o  = tail_q;

`ifdef KS_ASSERT
  logic [SIZE-1:0] member_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) member_q <= '0;
    else if (add_i) member_q[index_i] <= 1'b1;
    else if (remove_i) member_q[index_i] <= 1'b0;
    if (rst_ni) begin
      assert (!add_i || !remove_i);
      assert (!add_i || !member_q[index_i]);
      assert (!remove_i || member_q[index_i]);
      assert (empty_q == (member_q == '0));
      assert (empty_q || (member_q[head_q] && member_q[tail_q]));
    end
  end

`ifdef FORMAL
  assign member_o = member_q;

  // From the head on along `next` every member is met once, the tail last, and `prev` leads back.
  logic [SIZE-1:0] met[SIZE+1];
  logic [INDEX_BITS-1:0] at[SIZE+1];
  logic [SIZE:0] linked, on_way;
  always_comb begin
    met[0]    = '0;
    at[0]     = head_q;
    on_way[0] = !empty_q;
    linked[0] = 1'b1;
    for (int i = 0; i < SIZE; i++) begin
      met[i+1]    = met[i];
      at[i+1]     = at[i];
      on_way[i+1] = 1'b0;
      linked[i+1] = 1'b1;
      if (on_way[i]) begin
        met[i+1]    = met[i] | (SIZE'(1) << at[i]);
        linked[i+1] = member_q[at[i]];
        if (at[i] != tail_q) begin
          on_way[i+1] = 1'b1;
          at[i+1]     = next_m[at[i]];
          if (prev_m[next_m[at[i]]] != at[i]) linked[i+1] = 1'b0;
        end
      end
    end
  end
  always_ff @(posedge clk_i)
    if (rst_ni) begin
      assert (met[SIZE] == member_q);
      assert (!on_way[SIZE]);
      assert (linked == '1);
    end
`endif
`endif
endmodule
