// Descriptor chains (virtio 1.4 §2.7.5, §5.2.6): from a head to a checked list of segments and the request header.
//
// Three parts work side by side. The dispatcher gives heads a slot and a walker and asks for the first descriptors, a head a cycle.
// The scrubber clears the rest of a new slot's first 128 bytes whenever the memory port is free. The parser takes what has been
// read for a walker, one read at a time:
//
//   IDLE    a completion comes up, its walker's state is fetched; the first descriptor goes into the window
//   WALK    a descriptor a cycle, as they come: checks, segment into the slot
//   WINDOW  the chain goes on elsewhere: the next descriptors are asked for
//   DONE    the chain ends here: sums and status address into the slot
//   PIECE   a piece of the header is looked up
//   HEADER  and asked for
//   DATA    a piece of the header has come, into the slot with it
//   SUMS    a bad chain's sums into the slot
//   RECORD  the rest of the slot; the record is handed over, the walker is free
module ks_fetch_chain (
    input  logic         clk_i,
    input  logic         clear_i,
    input  logic [5:0]   prefetch_i,
    input  logic [6:0]   inflight_i,
    // Heads.
    input  logic         head_valid_i,
    input  logic [5:0]   head_queue_i,
    input  logic [15:0]  head_i,
    input  logic [15:0]  head_sequence_i,
    input  logic [63:0]  head_desc_i,      // its queue's descriptor table
    input  logic [15:0]  head_size_i,
    input  logic         head_live_i,      // its queue runs
    output logic         head_pop_o,
    output logic         drop_o,           // its queue was stopped: it was never taken (D-013)
    output logic         start_o,          // it has a walker and slot `slot_i`
    input  logic [7:0]   slot_i,
    output logic [5:0]   walked_queue_o,   // whose chain is being parsed
    input  logic         walked_indirect_i,
    // Transfers that are back.
    input  logic         cpl_valid_i,
    input  logic [2:0]   cpl_kind_i,
    input  logic [5:0]   cpl_walker_i,
    input  logic [3:0]   cpl_offset_i,
    input  logic [3:0]   cpl_length_i,     // less 1
    input  logic         cpl_failed_i,
    input  logic         cpl_last_i,
    input  logic [63:0]  cpl_lo_i,
    input  logic [63:0]  cpl_hi_i,
    output logic         cpl_pop_o,
    // Transfers wanted: reads.
    output logic         req_valid_o,
    input  logic         req_ready_i,
    output logic [63:0]  req_addr_o,
    output logic [9:0]   req_bytes_o,
    output logic [ks_fetch_pkg::COOKIE_BITS-1:0] req_cookie_o,
    // Request memory, in rows of 16 bytes.
    output logic         mem_valid_o,
    output logic [15:0]  mem_row_o,
    output logic [15:0]  mem_be_o,
    output logic [63:0]  mem_lo_o,
    output logic [63:0]  mem_hi_o,
    // Records.
    input  logic         record_full_i,
    output logic         record_push_o,
    output logic [7:0]   record_slot_o,
    output logic [5:0]   record_queue_o,
    // What goes on.
    output logic [6:0]   walkers_busy_o,
    output logic         active_o,
    output logic         stat_descriptor_o,
    output logic         stat_descriptor_read_o,
    output logic         stat_indirect_o,
    output logic         stat_header_read_o,
    output logic         stat_bad_chain_o,
    output logic         stat_no_walker_o
);
  typedef enum logic [3:0] {
    StIdle,
    StWalk,
    StWindow,
    StDone,
    StPiece,
    StHeader,
    StData,
    StSums,
    StRecord
  } state_e;

  // Which request it is.
  typedef struct packed {
    logic [5:0]  queue_number;
    logic [7:0]  slot;
    logic [15:0] head;
    logic [15:0] sequence_number;
  } request_t;

  // Where the walk is.
  typedef struct packed {
    logic        indirect;  // in an indirect table now
    logic [27:0] entries;   // in the table
    logic [7:0]  walked;    // links followed in it: as many as entries mean a loop. Every link has a segment, so 8 bits will do
    logic [15:0] first;     // window that was read
    logic [5:0]  count;
  } walk_t;

  // What has been found.
  typedef struct packed {
    logic [7:0] segments;
    logic [7:0] readable_segments;
    logic [4:0] found;       // bytes of the header whose place is known
    logic [4:0] pieces;      // in as many pieces
    logic [4:0] asked;       // bytes of the header asked for
    logic [4:0] next_piece;
    logic [2:0] outstanding;
    logic       failed;      // a piece could not be read
  } found_t;

  localparam logic [4:0] HEADER_BYTES = csr_pkg::HEADER_BYTES[4:0];
  localparam logic [7:0] SEGMENTS_MAX = csr_pkg::SLOT_SEGMENTS_MAX[7:0];
  localparam logic [7:0] SEGMENT_ROW  = csr_pkg::SLOT_SEGMENT_OFFSET[11:4];
  localparam logic [7:0] SUMS_ROW     = csr_pkg::SLOT_WRITABLE_BYTES_OFFSET[11:4];
  localparam logic [7:0] HEADER_ROW   = csr_pkg::SLOT_TYPE_OFFSET[11:4];

  function automatic logic [15:0] row_of(logic [7:0] slot, logic [7:0] row);  // SLOT_BYTES are 3 * 64 rows
    row_of = {1'b0, slot, 7'd0} + {2'd0, slot, 6'd0} + {8'd0, row};
  endfunction

  function automatic logic [ks_fetch_pkg::COOKIE_BITS-1:0] cookie_of(logic [2:0] kind, logic [5:0] walker);
    cookie_of = {8'd0, walker, kind};
  endfunction

  // ---- walkers: numbers, and their state in memories that are read asynchronously into the parser's registers ----
  logic       walker_give;
  logic [5:0] walker;
  logic [6:0] walkers_free, unused_known;
  ks_fetch_pool #(
      .Log2(6)
  ) u_walkers (
      .clk_i,
      .clear_i,
      .take_i(start_o),
      .number_o(walker),
      .free_o(walkers_free),
      .known_o(unused_known),
      .give_i(walker_give),
      .give_number_i(walker_q)
  );
  assign walkers_busy_o = 7'd64 - walkers_free;

  logic [45:0] request_mem[64];
  logic [63:0] table_mem[64];
  logic [58:0] walk_mem[64];
  logic [63:0] sums_mem[64];   // readable, writable bytes
  logic [39:0] found_mem[64];
  // Where the header is: up to 16 pieces a walker, {bytes, address}; read synchronously.
  logic [68:0] piece_mem[1024];

  // ---- the parser's registers ----
  state_e      state_q, state_d;
  logic [5:0]  walker_q;
  request_t    request_q;
  logic [63:0] table_q, table_d;
  walk_t       walk_q, walk_d;
  found_t      found_q, found_d;
  logic [31:0] readable_q, readable_d, writable_q, writable_d;
  logic [4:0]  error_q, error_d;
  logic [63:0] last_q, last_d;   // last byte of the segment added last
  logic [68:0] piece_q;
  logic [4:0]  at_q, at_d;       // descriptor in the window
  logic [5:0]  loaded_q;         // descriptors that are in the window
  logic        loading_q;        // more of them are coming
  logic        state_we;         // the walker's state goes back

  // ---- the window: descriptors of one read, read asynchronously ----
  logic [63:0] window_lo_mem[32], window_hi_mem[32];
  logic        window_we;
  assign window_we = cpl_pop_o && cpl_kind_i == ks_fetch_pkg::KIND_TABLE;

  // A head beyond its table: its walker has nothing to read.
  logic        bad_head_q;
  logic [5:0]  bad_head_walker_q;
  logic        bad_head_pick;

  logic [63:0] scrubbing_q;      // walkers whose slots are not cleared yet
  logic        pick_table, pick_header;
  assign bad_head_pick = state_q == StIdle && bad_head_q && !scrubbing_q[bad_head_walker_q] && !loading_q;
  assign pick_table    = state_q == StIdle && !bad_head_pick && cpl_valid_i && !loading_q &&
      cpl_kind_i == ks_fetch_pkg::KIND_TABLE && !scrubbing_q[cpl_walker_i];
  assign pick_header   = state_q == StIdle && !bad_head_pick && cpl_valid_i && !loading_q &&
      cpl_kind_i == ks_fetch_pkg::KIND_HEADER;
  assign cpl_pop_o     = pick_table || (cpl_valid_i && loading_q) || state_q == StData;

  // ---- one descriptor ----
  logic [63:0] addr, last;
  logic [31:0] bytes;
  logic [15:0] next;
  logic [12:0] unused_flags;
  logic        has_next, is_write, is_indirect;
  logic [1:0]  too_long;
  logic [31:0] unused_total;
  logic [4:0]  missing;
  logic [7:0]  walked;
  logic [5:0]  window;
  logic        piece_we;
  logic [4:0]  piece_bytes;
  logic        parser_req;
  logic [63:0] parser_addr;
  logic [9:0]  parser_bytes;
  logic [ks_fetch_pkg::COOKIE_BITS-1:0] parser_cookie;
  logic        mem_we;
  logic [7:0]  mem_in_slot;
  logic [15:0] mem_be;
  logic [63:0] mem_lo, mem_hi;

  always_comb begin
    state_d            = state_q;
    table_d            = table_q;
    walk_d             = walk_q;
    found_d            = found_q;
    readable_d         = readable_q;
    writable_d         = writable_q;
    error_d            = error_q;
    last_d             = last_q;
    at_d               = at_q;
    state_we           = 1'b0;
    walker_give        = 1'b0;
    addr               = 64'd0;
    bytes              = 32'd0;
    unused_flags       = 13'd0;
    next               = 16'd0;
    last               = 64'd0;
    has_next           = 1'b0;
    is_write           = 1'b0;
    is_indirect        = 1'b0;
    too_long           = 2'd0;
    unused_total       = 32'd0;
    missing            = 5'd0;
    walked             = 8'd0;
    window             = 6'd0;
    piece_we           = 1'b0;
    piece_bytes        = 5'd0;
    parser_req         = 1'b0;
    parser_addr        = 64'd0;
    parser_bytes       = 10'd0;
    parser_cookie      = '0;
    mem_we             = 1'b0;
    mem_in_slot        = 8'd0;
    mem_be             = 16'hffff;
    mem_lo             = 64'd0;
    mem_hi             = 64'd0;
    record_push_o      = 1'b0;
    stat_descriptor_o  = 1'b0;
    stat_indirect_o    = 1'b0;
    stat_header_read_o = 1'b0;

    unique case (state_q)
      StIdle: begin
        at_d    = 5'd0;
        error_d = csr_pkg::RECORD_ERROR_NONE[4:0];
        if (bad_head_pick) begin
          error_d = csr_pkg::RECORD_ERROR_HEAD_RANGE[4:0];
          state_d = StSums;
        end else if (pick_table) begin
          state_d = StWalk;
          if (cpl_failed_i) begin  // V-014, V-029
            error_d = csr_pkg::RECORD_ERROR_DMA_DESCRIPTOR[4:0];
            state_d = StSums;
          end
        end else if (pick_header) begin
          state_d = StData;
        end
      end

      StWalk:
      if ({1'b0, at_q} < loaded_q) begin
        addr        = window_lo_mem[at_q];
        {next, unused_flags, is_indirect, is_write, has_next, bytes} = window_hi_mem[at_q];
        last        = addr + {32'd0, bytes - 32'd1};
        stat_descriptor_o = 1'b1;
        if (is_indirect) begin
          // The chain goes on, from its first entry, in a table of its own. WRITE means nothing here (D-021).
          table_d          = addr;
          walk_d.indirect  = 1'b1;
          walk_d.entries   = bytes[31:4];
          walk_d.walked    = 8'd0;
          walk_d.first     = 16'd0;
          state_d          = StSums;
          if (!walked_indirect_i) error_d = csr_pkg::RECORD_ERROR_INDIRECT_NOT_NEGOTIATED[4:0];  // V-008
          else if (walk_q.indirect) error_d = csr_pkg::RECORD_ERROR_INDIRECT_NESTED[4:0];  // V-009
          else if (has_next) error_d = csr_pkg::RECORD_ERROR_INDIRECT_AND_NEXT[4:0];  // V-010, V-011
          else if (bytes == 32'd0 || bytes[3:0] != 4'd0) error_d = csr_pkg::RECORD_ERROR_INDIRECT_LENGTH[4:0];  // V-012, V-013
          else if (last < addr) error_d = csr_pkg::RECORD_ERROR_ADDRESS_WRAP[4:0];  // V-020
          else begin
            stat_indirect_o = 1'b1;
            state_d         = StWindow;
          end
        end else begin
          {too_long, unused_total} = {2'd0, readable_q} + {2'd0, writable_q} + {2'd0, bytes};
          state_d = StSums;
          if (bytes == 32'd0) error_d = csr_pkg::RECORD_ERROR_ZERO_LENGTH[4:0];  // V-016, V-017
          else if (last < addr) error_d = csr_pkg::RECORD_ERROR_ADDRESS_WRAP[4:0];  // V-020
          else if (!is_write && writable_q != 32'd0) error_d = csr_pkg::RECORD_ERROR_ORDER[4:0];  // V-015
          else if (found_q.segments == SEGMENTS_MAX || too_long != 2'd0)
            error_d = csr_pkg::RECORD_ERROR_TOO_LONG[4:0];  // V-005, V-007
          else if (has_next && {12'd0, next} >= walk_q.entries) error_d = csr_pkg::RECORD_ERROR_NEXT_RANGE[4:0];  // V-002, V-003
          else begin
            mem_we           = 1'b1;
            mem_in_slot      = SEGMENT_ROW + found_q.segments;
            mem_lo           = addr;
            mem_hi           = {30'd0, is_write, 1'b0, bytes};
            found_d.segments = found_q.segments + 8'd1;
            last_d           = last;
            if (is_write) begin
              writable_d = writable_q + bytes;
            end else begin
              readable_d = readable_q + bytes;
              found_d.readable_segments = found_q.readable_segments + 8'd1;
              missing = HEADER_BYTES - found_q.found;
              if (missing != 5'd0) begin
                piece_we       = 1'b1;
                piece_bytes    = bytes < {27'd0, missing} ? bytes[4:0] : missing;
                found_d.found  = found_q.found + piece_bytes;
                found_d.pieces = found_q.pieces + 5'd1;
              end
            end
            walked = walk_q.walked + 8'd1;
            if (!has_next) begin
              state_d = StDone;
            end else if ({20'd0, walked} == walk_q.entries) begin  // V-004, V-006
              error_d = csr_pkg::RECORD_ERROR_LOOP[4:0];
            end else begin
              walk_d.walked = walked;
              if (next >= walk_q.first && {1'b0, next} < {1'b0, walk_q.first} + {11'd0, walk_q.count}) begin
                at_d    = next[4:0] - walk_q.first[4:0];
                state_d = StWalk;
              end else begin
                walk_d.first = next;
                state_d      = StWindow;
              end
            end
          end
        end
      end

      StWindow: begin
        // A chain in the table usually goes on behind its head; an indirect table is one chain and its length is known.
        window = walk_q.indirect ? ks_fetch_pkg::WINDOW_MAX : prefetch_i;
        if (walk_q.entries - {12'd0, walk_q.first} < {22'd0, window}) window = walk_q.entries[5:0] - walk_q.first[5:0];
        walk_d.count  = window;
        parser_req    = 1'b1;
        parser_addr   = table_q + {44'd0, walk_q.first, 4'd0};
        parser_bytes  = {window, 4'd0};
        parser_cookie = cookie_of(ks_fetch_pkg::KIND_TABLE, walker_q);
        if (req_ready_i) begin
          state_we = 1'b1;
          state_d  = StIdle;
        end
      end

      StDone: begin
        state_d = StHeader;
        if (writable_q == 32'd0) begin  // V-086: nowhere to put a status
          error_d = csr_pkg::RECORD_ERROR_NO_STATUS[4:0];
          state_d = StSums;
        end else begin
          mem_we      = 1'b1;
          mem_in_slot = SUMS_ROW;
          mem_lo      = {32'd0, writable_q};
          mem_hi      = last_q;
          if (readable_q < {27'd0, HEADER_BYTES}) begin  // V-087
            error_d = csr_pkg::RECORD_ERROR_SHORT_HEADER[4:0];
            state_d = StRecord;
          end
        end
      end

      StPiece: state_d = StHeader;

      StHeader: begin
        // The first 16 device-readable bytes, wherever the driver has put them (D-016); a few pieces at a time.
        parser_req    = 1'b1;
        parser_addr   = piece_q[63:0];
        parser_bytes  = {5'd0, piece_q[68:64]};
        parser_cookie = {piece_q[67:64] - 4'd1, found_q.asked[3:0], walker_q, ks_fetch_pkg::KIND_HEADER};
        if (req_ready_i) begin
          stat_header_read_o  = 1'b1;
          found_d.asked       = found_q.asked + piece_q[68:64];
          found_d.next_piece  = found_q.next_piece + 5'd1;
          found_d.outstanding = found_q.outstanding + 3'd1;
          state_d             = StPiece;
          if (found_d.asked == HEADER_BYTES || found_d.outstanding == ks_fetch_pkg::HEADER_READS) begin
            state_we = 1'b1;
            state_d  = StIdle;
          end
        end
      end

      StData: begin
        if (!cpl_failed_i) begin
          mem_we      = 1'b1;
          mem_in_slot = HEADER_ROW;
          mem_be      = (16'hffff >> (4'd15 - cpl_length_i)) << cpl_offset_i;
          {mem_hi, mem_lo} = {cpl_hi_i, cpl_lo_i} << {cpl_offset_i, 3'd0};
        end
        found_d.failed      = found_q.failed || cpl_failed_i;
        found_d.outstanding = found_q.outstanding - 3'd1;
        if (found_d.outstanding != 3'd0) begin
          state_we = 1'b1;
          state_d  = StIdle;
        end else if (found_d.failed) begin
          error_d = csr_pkg::RECORD_ERROR_DMA_HEADER[4:0];
          state_d = StRecord;
        end else if (found_q.asked == HEADER_BYTES) begin
          state_d = StRecord;
        end else begin
          state_d = StPiece;
        end
      end

      StSums: begin
        mem_we      = 1'b1;
        mem_in_slot = SUMS_ROW;
        mem_lo      = {32'd0, writable_q};
        state_d     = StRecord;
      end

      default:  // RECORD
      if (!record_full_i) begin
        mem_we        = 1'b1;
        mem_lo        = {8'd0, found_q.segments, 11'd0, error_q, request_q.head, 10'd0, request_q.queue_number};
        mem_hi        = {readable_q, request_q.sequence_number, 8'd0, found_q.readable_segments};
        record_push_o = 1'b1;
        walker_give   = 1'b1;
        state_d       = StIdle;
      end
    endcase
  end

  assign walked_queue_o   = request_q.queue_number;
  assign record_slot_o    = request_q.slot;
  assign record_queue_o   = request_q.queue_number;
  assign stat_bad_chain_o = record_push_o && error_q != csr_pkg::RECORD_ERROR_NONE[4:0];

  // ---- the dispatcher ----
  logic        head_bad, dispatch_req, walker_ready, window_busy;
  logic [15:0] head_rest;
  logic [5:0]  head_window;
  logic        stalled, stalled_q;

  assign window_busy = state_q == StWindow || state_q == StHeader || state_q == StData;  // may write a walker's state
  always_comb begin
    head_pop_o   = 1'b0;
    drop_o       = 1'b0;
    start_o      = 1'b0;
    dispatch_req = 1'b0;
    head_bad     = 1'b0;
    head_rest    = 16'd0;
    head_window  = 6'd0;
    stalled      = 1'b0;
    walker_ready = walkers_busy_o < inflight_i;
    if (head_valid_i) begin
      head_bad    = head_i >= head_size_i;  // V-001
      head_rest   = head_size_i - head_i;
      head_window = head_rest < {10'd0, prefetch_i} ? head_rest[5:0] : prefetch_i;
      if (!head_live_i) begin
        drop_o     = 1'b1;
        head_pop_o = 1'b1;
      end else if (!walker_ready) begin
        stalled = 1'b1;
      end else if (!window_busy) begin
        dispatch_req = !head_bad;
        start_o      = head_bad ? !bad_head_q : req_ready_i;
        head_pop_o   = start_o;
      end
    end
  end

  always_comb begin
    req_valid_o  = parser_req || dispatch_req;
    req_addr_o   = parser_addr;
    req_bytes_o  = parser_bytes;
    req_cookie_o = parser_cookie;
    if (dispatch_req) begin
      req_addr_o   = head_desc_i + {44'd0, head_i, 4'd0};
      req_bytes_o  = {head_window, 4'd0};
      req_cookie_o = cookie_of(ks_fetch_pkg::KIND_TABLE, walker);
    end
  end
  assign stat_descriptor_read_o = req_ready_i && (dispatch_req || state_q == StWindow);
  assign stat_no_walker_o       = stalled && !stalled_q;

  // ---- the scrubber: what the parser does not write of a slot's first 128 bytes is 0 ----
  localparam logic [7:0] SCRUB_FIRST = HEADER_ROW;
  localparam logic [7:0] SCRUB_LAST  = SEGMENT_ROW - 8'd1;
  logic        scrub_empty, unused_scrub_full, scrub, scrub_end;
  logic [5:0]  scrub_walker;
  logic [7:0]  scrub_slot, scrub_row_q;
  ks_fetch_fifo #(
      .Width(14),
      .DepthLog2(6)
  ) u_scrub (
      .clk_i,
      .clear_i,
      .push_i(start_o),
      .data_i({walker, slot_i}),
      .pop_i(scrub_end),
      .data_o({scrub_walker, scrub_slot}),
      .empty_o(scrub_empty),
      .full_o(unused_scrub_full)
  );
  assign scrub     = !scrub_empty && !mem_we;
  assign scrub_end = scrub && scrub_row_q == SCRUB_LAST;

  assign mem_valid_o = mem_we || scrub;
  always_comb begin
    mem_row_o = 16'd0;
    if (mem_we) mem_row_o = row_of(request_q.slot, mem_in_slot);
    else if (scrub) mem_row_o = row_of(scrub_slot, scrub_row_q);
  end
  assign mem_be_o    = mem_be;
  assign mem_lo_o    = mem_lo;
  assign mem_hi_o    = mem_hi;

  // ---- registers ----
  logic        walker_we;
  logic [5:0]  walker_addr;
  assign walker_we   = state_we || start_o;  // never both: see window_busy
  assign walker_addr = state_we ? walker_q : walker;

  logic [5:0]  picked;
  walk_t       first_walk;
  assign picked     = bad_head_pick ? bad_head_walker_q : cpl_walker_i;
  assign first_walk = {1'b0, 12'd0, head_size_i, 8'd0, head_i, head_window};

  always_ff @(posedge clk_i) begin
    state_q    <= state_d;
    table_q    <= table_d;
    walk_q     <= walk_d;
    found_q    <= found_d;
    readable_q <= readable_d;
    writable_q <= writable_d;
    error_q    <= error_d;
    last_q     <= last_d;
    at_q       <= at_d;
    stalled_q  <= stalled;
    if (state_q == StIdle) begin
      walker_q                 <= picked;
      request_q                <= request_mem[picked];
      table_q                  <= table_mem[picked];
      walk_q                   <= walk_mem[picked];
      {readable_q, writable_q} <= sums_mem[picked];
      found_q                  <= found_mem[picked];
    end
    if (start_o) request_mem[walker] <= {head_queue_i, slot_i, head_i, head_sequence_i};
    if (walker_we) begin
      table_mem[walker_addr] <= state_we ? table_q : head_desc_i;
      walk_mem[walker_addr]  <= state_we ? walk_d : first_walk;
      sums_mem[walker_addr]  <= state_we ? {readable_q, writable_q} : 64'd0;
      found_mem[walker_addr] <= state_we ? found_d : '0;
    end
    if (piece_we) piece_mem[{walker_q, found_q.pieces[3:0]}] <= {piece_bytes, addr};
    if (state_q == StDone || state_q == StPiece) piece_q <= piece_mem[{walker_q, found_q.next_piece[3:0]}];
    if (window_we) begin
      window_lo_mem[pick_table ? 5'd0 : loaded_q[4:0]] <= cpl_lo_i;
      window_hi_mem[pick_table ? 5'd0 : loaded_q[4:0]] <= cpl_hi_i;
      loaded_q  <= pick_table ? 6'd1 : loaded_q + 6'd1;
      loading_q <= !cpl_last_i;
    end
    if (bad_head_pick) bad_head_q <= 1'b0;
    if (start_o && head_bad) begin
      bad_head_q        <= 1'b1;
      bad_head_walker_q <= walker;
    end
    if (scrub) scrub_row_q <= scrub_end ? SCRUB_FIRST : scrub_row_q + 8'd1;
    if (scrub_end) scrubbing_q[scrub_walker] <= 1'b0;
    if (start_o) scrubbing_q[walker] <= 1'b1;
    if (clear_i) begin
      state_q     <= StIdle;
      loading_q   <= 1'b0;
      bad_head_q  <= 1'b0;
      scrubbing_q <= 64'd0;
      scrub_row_q <= SCRUB_FIRST;
      stalled_q   <= 1'b0;
    end
  end

  assign active_o = state_q != StIdle || bad_head_q || loading_q || !scrub_empty ||
      (head_valid_i && (drop_o || walker_ready));

`ifdef KS_ASSERT
  logic [15:0] slot_first_row;
  assign slot_first_row = row_of(mem_we ? request_q.slot : scrub_slot, 8'd0);
  always_ff @(posedge clk_i)
    if (!clear_i) begin
      assert (!(mem_valid_o && (mem_row_o < slot_first_row || mem_row_o - slot_first_row >= 16'd136)));
      assert (!(state_we && start_o));
      assert (!(piece_we && found_q.pieces == 5'd16));
      assert (!(state_q == StHeader && found_q.next_piece >= found_q.pieces));
      assert (!(state_q == StData && (!cpl_valid_i || cpl_kind_i != ks_fetch_pkg::KIND_HEADER)));
      assert (!(window_we && !pick_table && loaded_q[5]));
    end
`endif
endmodule
