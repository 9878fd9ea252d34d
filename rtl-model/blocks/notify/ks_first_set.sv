// The lowest bit that is set in `bits_i`, if there is one.
module ks_first_set #(
    parameter int unsigned SIZE = 64,
    localparam int unsigned INDEX_BITS = $clog2(SIZE)
) (
    input  logic [SIZE-1:0]       bits_i,
    output logic [INDEX_BITS-1:0] index_o
);
  logic [SIZE-1:0] first;  // that bit alone
  assign first = bits_i & -bits_i;

  for (genvar place = 0; place < INDEX_BITS; place++) begin : gen_index
    logic [SIZE-1:0] has_place;  // indices with a 1 at this place
    for (genvar i = 0; i < SIZE; i++) begin : gen_has_place
      assign has_place[i] = ((i >> place) & 1) != 0;
    end
    assign index_o[place] = |(first & has_place);
  end
endmodule
