// The slots of the request memory: which are free, and how many of those are promised to ring entries.
module ks_fetch_slots (
    input  logic       clk_i,
    input  logic       clear_i,
    // For the dispatcher, from what was promised; for the firmware, from what was not.
    input  logic       take_i,
    input  logic       alloc_i,
    output logic [7:0] number_o,
    output logic [8:0] used_o,
    output logic [8:0] room_o,     // free and not promised
    // A slot comes back; not in a cycle of take or alloc. One that is not in use is left alone.
    input  logic       give_i,
    input  logic [7:0] give_number_i,
    output logic       given_o,    // it was in use
    // Entries about to be read, and those that turn out not to be taken.
    input  logic [8:0] promise_i,
    input  logic [8:0] release_i,
    input  logic       drop_i      // a promised one is not needed
);
  logic [8:0] free, known, promised_q;
  logic taken_mem[2**8];  // asynchronous read; of known slots
  logic out;

  assign out     = take_i || alloc_i;
  assign given_o = give_i && {1'b0, give_number_i} < known && taken_mem[give_number_i];
  assign used_o  = 9'd256 - free;
  assign room_o  = free - promised_q;

  ks_fetch_pool #(
      .Log2(8)
  ) u_pool (
      .clk_i,
      .clear_i,
      .take_i(out),
      .number_o,
      .free_o(free),
      .known_o(known),
      .give_i(given_o),
      .give_number_i
  );

  logic [7:0] taken_number;
  assign taken_number = out ? number_o : give_number_i;

  always_ff @(posedge clk_i) begin
    if (out || given_o) taken_mem[taken_number] <= out;
    if (promise_i != 9'd0 || release_i != 9'd0 || take_i || drop_i)
      promised_q <= promised_q + promise_i - release_i - {8'd0, take_i || drop_i};
    if (clear_i) promised_q <= '0;
`ifdef KS_ASSERT
    if (!clear_i) begin
      assert (promised_q <= free);
      assert (promise_i <= room_o);
      assert ({1'b0, release_i} + {9'd0, take_i || drop_i} <= {1'b0, promised_q});
      assert (!(take_i && alloc_i) && !(give_i && out) && !(take_i && drop_i));
      assert (!(alloc_i && (promise_i != '0 || room_o == '0)));
    end
`endif
  end
endmodule
