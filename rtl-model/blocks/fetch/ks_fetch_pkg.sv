// What the parts of the fetch engine share: cookies of transfers and the limits of fetch's registers.
package ks_fetch_pkg;
  // What a transfer is for. A cookie is {length - 1, offset, number, kind}: number is the queue's, from TABLE on the walker's;
  // offset and length are those of a piece of the request header.
  localparam logic [2:0] KIND_INDEX  = 3'd0;
  localparam logic [2:0] KIND_RING   = 3'd1;
  localparam logic [2:0] KIND_ARM    = 3'd2;
  localparam logic [2:0] KIND_TABLE  = 3'd3;
  localparam logic [2:0] KIND_HEADER = 3'd4;
  localparam int unsigned COOKIE_BITS = 17;

  localparam logic [8:0] BATCH_MAX    = 9'd256;
  localparam logic [5:0] WINDOW_MAX   = 6'd32;  // descriptors of one read
  localparam logic [6:0] WALKERS_MAX  = 7'd64;
  localparam logic [2:0] HEADER_READS = 3'd4;   // of one chain, outstanding
endpackage
