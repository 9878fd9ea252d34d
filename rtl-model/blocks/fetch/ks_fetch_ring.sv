// Available rings (virtio 1.4 §2.7.6, §2.7.10): the contexts of all queues and one machine that serves them, an event at a
// time. An event is a service, a transfer that is back, a write of QUEUE_CONTROL, or room for a queue that waits for slots.
//
//   IDLE    an event is chosen, its queue's context and registers are fetched
//   EVENT   what it means for the queue
//   ACT     what the queue does next: a first transfer is asked for, the context goes back
//   SECOND  the second transfer, where one goes with another: avail.idx behind avail_event, entries beside avail.idx
//
// Entries are kept as they were read, by queue, until avail.idx is known to cover them; then they are handed on as heads, one a
// cycle, beside the machine.
module ks_fetch_ring (
    input  logic         clk_i,
    input  logic         clear_i,
    input  logic         init_i,           // after a clear: entry `init_queue_i` of every table is cleared
    input  logic [5:0]   init_queue_i,
    // Registers QUEUE_DESC_LO to QUEUE_STATE of a queue. A write of QUEUE_CONTROL is an event: until it has been chosen, writes
    // wait; until it is over, reads do.
    input  logic         reg_write_i,
    input  logic         reg_read_i,
    input  logic [11:0]  reg_addr_i,
    input  logic [5:0]   reg_queue_i,
    input  logic [31:0]  reg_wdata_i,
    output logic [31:0]  reg_rdata_o,      // of a read in the last cycle, else 0
    output logic         reg_settled_o,
    output logic         reg_writable_o,
    // What the walkers want to know of queues.
    input  logic         head_valid_i,
    input  logic [5:0]   head_queue_i,
    output logic [63:0]  head_desc_o,
    output logic [15:0]  head_size_o,
    output logic         head_live_o,      // the queue runs
    input  logic [5:0]   walked_queue_i,
    output logic         walked_indirect_o,  // negotiated
    // Services.
    input  logic         svc_valid_i,
    input  logic [5:0]   svc_queue_i,
    input  logic         svc_hint_valid_i,
    input  logic [15:0]  svc_hint_i,
    output logic         svc_pop_o,
    // Transfers of the ring that are back.
    input  logic         cpl_valid_i,
    input  logic [2:0]   cpl_kind_i,
    input  logic [5:0]   cpl_queue_i,
    input  logic         cpl_failed_i,
    input  logic         cpl_last_i,
    input  logic [63:0]  cpl_lo_i,
    input  logic [63:0]  cpl_hi_i,
    output logic         cpl_pop_o,
    // Transfers wanted.
    output logic         req_valid_o,
    input  logic         req_ready_i,
    output logic [63:0]  req_addr_o,
    output logic [9:0]   req_bytes_o,
    output logic         req_write_o,
    output logic [15:0]  req_wdata_o,
    output logic [2:0]   req_kind_o,
    output logic [5:0]   req_queue_o,
    // Slots.
    input  logic [8:0]   batch_i,
    input  logic [8:0]   room_i,
    output logic         room_lock_o,      // room is being looked at
    output logic [8:0]   promise_o,
    output logic [8:0]   release_o,
    // Heads.
    output logic         head_push_o,
    output logic [5:0]   head_queue_o,
    output logic [15:0]  head_o,
    output logic [15:0]  head_sequence_o,
    // A head was dropped, or its record taken.
    input  logic         ended_i,
    input  logic [5:0]   ended_queue_i,
    // What goes on.
    output logic         fault_o,
    output logic [5:0]   queue_o,          // of this cycle's event: fault, service, take
    output logic         busy_o,
    output logic         active_o,
    output logic         stat_service_o,
    output logic         service_live_o,   // with it: the queue runs
    output logic         stat_empty_service_o,
    output logic         stat_index_read_o,
    output logic         stat_ring_read_o,
    output logic         stat_arm_write_o,
    output logic [8:0]   take_count_o,     // entries taken
    output logic         stat_no_slot_o
);
  typedef enum logic [2:0] {
    QueueStopped,
    QueueResting,   // waits for a service
    QueueReading,   // avail.idx, entries or, on the driver's word, both are being read
    QueueWaitRoom,  // entries are known to be there, slots are short
    QueueFault
  } queue_state_e;

  typedef struct packed {
    queue_state_e state;
    logic [4:0]  error;
    logic [15:0] next;        // available index to take next
    logic [15:0] seen;        // avail.idx as read last
    logic [8:0]  entries;     // being read or just read; promised slots
    logic [1:0]  wanted;      // reads that have to come back before the next step
    logic [2:0]  transfers;   // outstanding
    logic        armed;       // avail_event is at `next`, and avail.idx was or is being read behind that
    logic        suppressed;  // used.flags is NO_NOTIFY
    logic        again;       // a service came while busy
    logic        quiet;       // the service that started this has found nothing yet
    logic        poll;
  } context_t;

  typedef enum logic [1:0] {
    StIdle,
    StEvent,
    StAct,
    StSecond
  } state_e;

  typedef enum logic [2:0] {
    EvControl,
    EvService,
    EvIndex,
    EvRing,
    EvArm,
    EvRoom
  } event_e;

  // Whose turn was last.
  typedef enum logic [1:0] {
    TurnTransfer,
    TurnService,
    TurnRoom
  } turn_e;

  localparam logic [15:0] NO_NOTIFY = 16'd1;  // VIRTQ_USED_F_NO_NOTIFY

  // ---- tables, by queue; read asynchronously into working registers ----
  context_t    context_mem[64];
  logic [63:0] desc_mem[64], avail_mem[64], used_mem[64];
  logic [17:0] config_mem[64];  // indirect, event_idx, size
  // Chains that were taken, and those of them that are over: one writer each.
  logic [8:0] taken_mem[64], ended_mem[64];

  // ---- the machine's state ----
  state_e      state_q, state_d;
  event_e      event_q;
  turn_e       turn_q;
  logic [5:0]  queue_q;
  context_t    context_q, context_d;
  logic [63:0] desc_q, avail_q, used_q;
  logic [15:0] size_q;
  logic        event_idx_q;
  logic        chains_q;          // of the queue, at work
  logic        failed_q;
  logic [15:0] index_q;           // avail.idx as it has come
  logic        hint_valid_q;
  logic [15:0] hint_q;
  logic        start_q, start_d;  // ACT: a service begins; else go on
  logic        second_ring_q, second_ring_d;
  logic        context_we;

  logic        control_valid_q, control_run_q, control_poll_q;
  logic [5:0]  control_queue_q;
  logic [63:0] live_q, rooms_q;
  logic [5:0]  room_turn_q;
  logic [8:0]  transfers_q;       // of all queues
  logic [8:0]  chains_all_q;

  // ---- choosing an event ----
  logic       pick, pick_transfer, pick_service, pick_room;
  event_e     pick_event;
  logic [5:0] pick_queue;
  logic       transfer_ready, expander_holds;
  logic       room_ready;

  logic        expand_q;          // the expander is at work
  logic [5:0]  expand_queue_q;

  // The next queue after the one that was given room last.
  function automatic logic [5:0] next_room(logic [63:0] wanted, logic [5:0] last);
    logic [63:0] after, pool, one;
    after = wanted & (64'hffff_ffff_ffff_fffe << last);
    pool  = after != 64'd0 ? after : wanted;
    one   = pool & -pool;
    next_room = {
      |(one & 64'hffff_ffff_0000_0000),
      |(one & 64'hffff_0000_ffff_0000),
      |(one & 64'hff00_ff00_ff00_ff00),
      |(one & 64'hf0f0_f0f0_f0f0_f0f0),
      |(one & 64'hcccc_cccc_cccc_cccc),
      |(one & 64'haaaa_aaaa_aaaa_aaaa)
    };
  endfunction

  assign expander_holds = expand_q && expand_queue_q == cpl_queue_i && cpl_kind_i == ks_fetch_pkg::KIND_RING;
  assign transfer_ready = cpl_valid_i && cpl_last_i && cpl_kind_i <= ks_fetch_pkg::KIND_ARM && !expander_holds;
  assign room_ready     = rooms_q != 64'd0 && room_i != 9'd0;

  // In turn, so that none of them can keep the others waiting; the firmware's word goes first.
  always_comb begin
    pick_transfer = 1'b0;
    pick_service  = 1'b0;
    pick_room     = 1'b0;
    pick          = 1'b0;
    pick_event    = EvControl;
    pick_queue    = control_queue_q;
    if (state_q == StIdle && !init_i) begin
      pick = control_valid_q || transfer_ready || svc_valid_i || room_ready;
      if (!control_valid_q) begin
        unique case (turn_q)
          TurnTransfer: begin
            pick_service  = svc_valid_i;
            pick_room     = room_ready && !svc_valid_i;
            pick_transfer = transfer_ready && !svc_valid_i && !room_ready;
          end
          TurnService: begin
            pick_room     = room_ready;
            pick_transfer = transfer_ready && !room_ready;
            pick_service  = svc_valid_i && !room_ready && !transfer_ready;
          end
          default: begin
            pick_transfer = transfer_ready;
            pick_service  = svc_valid_i && !transfer_ready;
            pick_room     = room_ready && !transfer_ready && !svc_valid_i;
          end
        endcase
        if (pick_transfer) begin
          pick_event = cpl_kind_i == ks_fetch_pkg::KIND_INDEX ? EvIndex : cpl_kind_i == ks_fetch_pkg::KIND_RING ? EvRing : EvArm;
          pick_queue = cpl_queue_i;
        end
        if (pick_service) begin
          pick_event = EvService;
          pick_queue = svc_queue_i;
        end
        if (pick_room) begin
          pick_event = EvRoom;
          pick_queue = next_room(rooms_q, room_turn_q);
        end
      end
    end
  end

  assign svc_pop_o = pick_service;
  assign cpl_pop_o = pick_transfer ||
      (cpl_valid_i && !cpl_last_i && cpl_kind_i == ks_fetch_pkg::KIND_RING && !expander_holds);

  // ---- what an event means ----
  logic [15:0] mask, ahead, wish;
  logic [8:0]  take, count;
  logic        rings_fit;

  // The smallest of what is wanted, what is left to the end of the ring, a batch, and the room there is.
  function automatic logic [8:0] entries_to_read(logic [15:0] wanted, logic [15:0] to_end, logic [8:0] batch, logic [8:0] room);
    logic [15:0] least;
    least = wanted < to_end ? wanted : to_end;
    if ({7'd0, batch} < least) least = {7'd0, batch};
    if ({7'd0, room} < least) least = {7'd0, room};
    entries_to_read = least[8:0];
  endfunction

  // Table or ring of `bytes` at `addr` ends within the address space (V-020).
  function automatic logic fits(logic [63:0] addr, logic [19:0] bytes);
    logic        wraps;
    logic [63:0] unused_last;
    {wraps, unused_last} = {1'b0, addr} + {45'd0, bytes - 20'd1};
    fits = !wraps;
  endfunction

  logic        do_arm, do_index, do_ring;
  logic [15:0] arm_value;
  logic [2:0]  kind;
  logic        fault, expand;
  logic [4:0]  error;

  always_comb begin
    state_d              = state_q;
    context_d            = context_q;
    context_we           = 1'b0;
    start_d              = start_q;
    second_ring_d        = second_ring_q;
    mask                 = size_q - 16'd1;
    ahead                = 16'd0;
    wish                 = 16'd0;
    take                 = 9'd0;
    count                = 9'd0;
    rings_fit            = 1'b0;
    do_arm               = 1'b0;
    do_index             = 1'b0;
    do_ring              = 1'b0;
    arm_value            = 16'd0;
    kind                 = ks_fetch_pkg::KIND_INDEX;
    fault                = 1'b0;
    error                = 5'd0;
    expand               = 1'b0;
    req_valid_o          = 1'b0;
    promise_o            = 9'd0;
    release_o            = 9'd0;
    stat_service_o       = 1'b0;
    service_live_o       = 1'b0;
    stat_empty_service_o = 1'b0;
    stat_index_read_o    = 1'b0;
    stat_ring_read_o     = 1'b0;
    stat_arm_write_o     = 1'b0;
    stat_no_slot_o       = 1'b0;

    unique case (state_q)
      StIdle: if (pick) state_d = StEvent;

      StEvent: begin
        state_d    = StIdle;
        context_we = 1'b1;
        start_d    = 1'b0;
        unique case (event_q)
          EvControl: begin
            // A start needs a size that is a power of 2, and everything of an earlier life to be over.
            if (control_run_q && context_q.state == QueueStopped && size_q != 16'd0 && (size_q & mask) == 16'd0 &&
                context_q.transfers == 3'd0 && !chains_q) begin
              context_d       = '0;
              context_d.state = QueueResting;
              context_d.poll  = context_q.poll;
              rings_fit = fits(desc_q, {size_q, 4'd0}) && fits(avail_q, {3'd0, size_q, 1'b0} + 20'd6) &&
                  fits(used_q, {1'b0, size_q, 3'd0} + 20'd6);
              fault = !rings_fit;
              error = csr_pkg::RECORD_ERROR_ADDRESS_WRAP[4:0];
            end else if (!control_run_q && context_q.state != QueueStopped) begin
              context_d.state   = QueueStopped;
              context_d.entries = 9'd0;
              release_o         = context_q.entries;
            end
            if (control_poll_q && !context_q.poll && context_d.state == QueueResting && !fault) begin
              state_d    = StAct;
              context_we = 1'b0;
            end
            context_d.poll = control_poll_q;
          end

          EvService: begin
            stat_service_o = 1'b1;
            service_live_o = context_q.state != QueueStopped && context_q.state != QueueFault;
            if (context_q.state == QueueResting) begin
              context_d.quiet = 1'b1;
              start_d         = 1'b1;
              state_d         = StAct;
              context_we      = 1'b0;
            end else if (service_live_o) begin
              context_d.again = 1'b1;
            end
          end

          EvRoom: begin
            state_d    = StAct;
            context_we = 1'b0;
          end

          default: begin  // a transfer
            context_d.transfers = context_q.transfers - 3'd1;
            if (context_q.state == QueueReading && event_q != EvArm) begin
              context_d.wanted = context_q.wanted - 2'd1;
              if (event_q == EvIndex && !failed_q) context_d.seen = index_q;
              if (failed_q) begin  // V-029
                fault = 1'b1;
                error = csr_pkg::RECORD_ERROR_DMA_RING[4:0];
              end else if (event_q == EvIndex && index_q - context_q.next > size_q) begin  // V-021, V-022
                context_d.seen = context_q.seen;
                fault          = 1'b1;
                error          = csr_pkg::RECORD_ERROR_AVAIL_RANGE[4:0];
              end else begin
                // The entries that were read, as far as avail.idx covers them: on the driver's word more may have been.
                ahead = context_d.seen - context_q.next;
                take  = {7'd0, context_q.entries} < ahead ? context_q.entries : ahead[8:0];
                if (context_d.wanted != 2'd0) take = 9'd0;
                if (take != 9'd0 && expand_q) begin
                  state_d    = StEvent;  // the expander is not ready for them
                  context_we = 1'b0;
                  context_d  = context_q;
                end else begin
                  if (event_q == EvIndex) begin
                    stat_empty_service_o = context_q.quiet && index_q == context_q.next;
                    context_d.quiet      = 1'b0;
                  end
                  if (context_d.wanted == 2'd0) begin
                    expand            = take != 9'd0;
                    release_o         = context_q.entries - take;
                    context_d.entries = 9'd0;
                    context_d.next    = context_q.next + {7'd0, take};
                    if (expand) context_d.armed = 1'b0;  // avail_event is behind now
                    state_d    = StAct;
                    context_we = 1'b0;
                  end
                end
              end
            end
          end
        endcase
        if (fault) begin
          context_d.state   = QueueFault;
          context_d.error   = error;
          context_d.entries = 9'd0;
          release_o         = context_q.entries;
        end
      end

      StAct: begin
        ahead = context_q.seen - context_q.next;
        wish  = start_q ? hint_q - context_q.next : ahead;
        count = entries_to_read(wish, size_q - (context_q.next & mask), batch_i, room_i);
        if (start_q) begin
          do_index = 1'b1;  // also confirms the hint (V-068)
          do_ring  = hint_valid_q && wish <= size_q && count != 9'd0;
        end else if (ahead != 16'd0) begin
          do_ring = count != 9'd0;
          if (!do_ring) begin
            context_d.state = QueueWaitRoom;
            stat_no_slot_o  = 1'b1;
          end
        end else if (context_q.poll) begin
          // Keep the driver from ringing, and go on looking. With EVENT_IDX avail_event stays behind: nothing to do.
          do_arm               = !event_idx_q && !context_q.suppressed;
          arm_value            = NO_NOTIFY;
          do_index             = 1'b1;
          context_d.suppressed = context_q.suppressed || do_arm;
        end else if (event_idx_q ? !context_q.armed : context_q.suppressed) begin
          // Ask for a doorbell, and look once more behind that (D-037, ORD-011).
          do_arm          = 1'b1;
          arm_value       = event_idx_q ? context_q.next : 16'd0;
          do_index        = 1'b1;
          context_d.again = 1'b0;
          if (event_idx_q) context_d.armed = 1'b1;
          else context_d.suppressed = 1'b0;
        end else if (context_q.again) begin
          do_index        = 1'b1;
          context_d.again = 1'b0;
        end else begin
          context_d.state = QueueResting;
        end
        kind = do_arm ? ks_fetch_pkg::KIND_ARM : do_index ? ks_fetch_pkg::KIND_INDEX : ks_fetch_pkg::KIND_RING;
        req_valid_o = do_index || do_ring;
        if (req_valid_o) context_d.state = QueueReading;
        context_d.transfers = context_q.transfers + {2'd0, do_arm} + {2'd0, do_index} + {2'd0, do_ring};
        context_d.wanted    = context_q.wanted + {1'b0, do_index} + {1'b0, do_ring};
        if (do_ring) context_d.entries = count;
        if (!req_valid_o || req_ready_i) begin
          context_we        = 1'b1;
          promise_o         = do_ring ? count : 9'd0;
          stat_arm_write_o  = do_arm;
          stat_index_read_o = do_index;
          stat_ring_read_o  = do_ring;
          second_ring_d     = do_ring;
          state_d           = do_index && (do_arm || do_ring) ? StSecond : StIdle;
        end else begin
          context_d = context_q;  // once more in the next cycle
        end
      end

      StSecond: begin
        req_valid_o = 1'b1;
        kind        = second_ring_q ? ks_fetch_pkg::KIND_RING : ks_fetch_pkg::KIND_INDEX;
        count       = context_q.entries;
        if (req_ready_i) state_d = StIdle;
      end
    endcase
  end

  // Available ring: flags, idx, entries of 2 bytes from 4 on. Used ring: flags, idx, elements of 8 bytes from 4 on, avail_event.
  logic [63:0] offset;
  always_comb begin
    offset      = 64'd0;
    req_bytes_o = 10'd4;
    req_addr_o  = 64'd0;
    if (req_valid_o) begin
      unique case (kind)
        ks_fetch_pkg::KIND_RING: begin
          offset      = {47'd0, context_q.next & mask, 1'b0} + 64'd4;
          req_bytes_o = {count, 1'b0};
        end
        ks_fetch_pkg::KIND_ARM: begin
          if (event_idx_q) offset = {45'd0, size_q, 3'd0} + 64'd4;
          req_bytes_o = 10'd2;
        end
        default: ;
      endcase
      req_addr_o = (kind == ks_fetch_pkg::KIND_ARM ? used_q : avail_q) + offset;
    end
  end
  assign req_kind_o  = kind;
  assign req_write_o = kind == ks_fetch_pkg::KIND_ARM;
  assign req_wdata_o = arm_value;
  assign req_queue_o = queue_q;

  assign fault_o      = fault;
  assign queue_o      = queue_q;
  assign take_count_o = expand ? take : 9'd0;
  assign room_lock_o  = state_q == StAct;
  assign busy_o       = transfers_q != 9'd0 || chains_all_q != 9'd0 || state_q != StIdle || control_valid_q;
  assign active_o     = state_q != StIdle || control_valid_q || room_ready || expand_q;

  // ---- the machine's registers ----
  logic [5:0]  context_addr;
  context_t    context_wdata;
  assign context_addr  = init_i ? init_queue_i : queue_q;
  assign context_wdata = init_i ? '0 : context_d;

  always_ff @(posedge clk_i) begin
    state_q       <= state_d;
    start_q       <= start_d;
    second_ring_q <= second_ring_d;
    context_q     <= context_d;
    if (pick) begin
      event_q      <= pick_event;
      queue_q      <= pick_queue;
      context_q    <= context_mem[pick_queue];
      desc_q       <= desc_mem[pick_queue];
      avail_q      <= avail_mem[pick_queue];
      used_q       <= used_mem[pick_queue];
      size_q       <= config_mem[pick_queue][15:0];
      event_idx_q  <= config_mem[pick_queue][16];
      chains_q     <= taken_mem[pick_queue] != ended_mem[pick_queue];
      failed_q     <= cpl_failed_i;
      index_q      <= cpl_lo_i[31:16];
      hint_valid_q <= svc_hint_valid_i;
      hint_q       <= svc_hint_i;
      if (pick_transfer) turn_q <= TurnTransfer;
      if (pick_service) turn_q <= TurnService;
      if (pick_room) begin
        turn_q      <= TurnRoom;
        room_turn_q <= pick_queue;
      end
    end
    if (init_i || context_we) context_mem[context_addr] <= context_wdata;
    if (context_we) begin
      live_q[queue_q]  <= context_d.state != QueueStopped && context_d.state != QueueFault;
      rooms_q[queue_q] <= context_d.state == QueueWaitRoom;
    end
    if (init_i || expand)
      taken_mem[context_addr] <= init_i ? 9'd0 : taken_mem[queue_q] + take_count_o;
    // Transfers begin in ACT and end in IDLE.
    if (pick_transfer) transfers_q <= transfers_q - 9'd1;
    else if (state_q == StAct)
      transfers_q <= transfers_q + {8'd0, stat_arm_write_o} + {8'd0, stat_index_read_o} + {8'd0, stat_ring_read_o};
    if (clear_i) begin
      state_q     <= StIdle;
      turn_q      <= TurnTransfer;
      live_q      <= 64'd0;
      rooms_q     <= 64'd0;
      transfers_q <= 9'd0;
      room_turn_q <= 6'd0;
    end
  end

  // ---- chains that are over ----
  logic [5:0] ended_addr;
  assign ended_addr = init_i ? init_queue_i : ended_queue_i;
  always_ff @(posedge clk_i) begin
    if (init_i || ended_i) ended_mem[ended_addr] <= init_i ? 9'd0 : ended_mem[ended_addr] + 9'd1;
    if (expand || ended_i) chains_all_q <= chains_all_q + take_count_o - {8'd0, ended_i};
    if (clear_i) chains_all_q <= 9'd0;
  end

  // ---- entries as they were read: 32 rows of 8 for every queue, read synchronously ----
  logic [63:0] ring_lo_mem[2048], ring_hi_mem[2048];
  logic [4:0]  beat_q;  // row of the completion that is coming
  logic        ring_we;
  logic [10:0] ring_waddr;
  assign ring_we    = cpl_valid_i && cpl_pop_o && cpl_kind_i == ks_fetch_pkg::KIND_RING;
  assign ring_waddr = {cpl_queue_i, beat_q};

  always_ff @(posedge clk_i) begin
    if (ring_we) begin
      ring_lo_mem[ring_waddr] <= cpl_lo_i;
      ring_hi_mem[ring_waddr] <= cpl_hi_i;
      beat_q <= cpl_last_i ? 5'd0 : beat_q + 5'd1;
    end
    if (clear_i) beat_q <= 5'd0;
  end

  // ---- the expander: entries that were taken become heads ----
  logic        row_valid_q;
  logic [63:0] row_lo_q, row_hi_q;
  logic [4:0]  row_q;         // to be read next
  logic [2:0]  lane_q;
  logic [8:0]  left_q;
  logic [15:0] sequence_q;
  logic        row_read;
  logic [63:0] half;

  assign row_read        = expand_q && (!row_valid_q || lane_q == 3'd7);
  assign half            = lane_q[2] ? row_hi_q : row_lo_q;
  assign head_push_o     = expand_q && row_valid_q;
  assign head_queue_o    = expand_queue_q;
  assign head_o          = half[{lane_q[1:0], 4'd0}+:16];
  assign head_sequence_o = sequence_q;

  always_ff @(posedge clk_i) begin
    if (row_read) begin
      row_lo_q <= ring_lo_mem[{expand_queue_q, row_q}];
      row_hi_q <= ring_hi_mem[{expand_queue_q, row_q}];
    end
    if (expand) begin
      expand_q       <= 1'b1;
      expand_queue_q <= queue_q;
      left_q         <= take;
      sequence_q     <= context_q.next;
      row_q          <= 5'd0;
      lane_q         <= 3'd0;
      row_valid_q    <= 1'b0;
    end else if (expand_q) begin
      row_valid_q <= 1'b1;
      if (row_read) row_q <= row_q + 5'd1;
      if (row_valid_q) begin
        lane_q     <= lane_q + 3'd1;
        left_q     <= left_q - 9'd1;
        sequence_q <= sequence_q + 16'd1;
        if (left_q == 9'd1) expand_q <= 1'b0;
      end
    end
    if (clear_i) expand_q <= 1'b0;
  end

  // ---- registers ----
  logic        config_we;
  logic [5:0]  word_addr;
  logic [1:0]  unused_config;  // event_idx, and indirect of a head's queue
  logic [16:0] unused_walked;

  always_comb begin
    {unused_config, head_size_o} = '0;
    head_desc_o                  = '0;
    head_live_o                  = 1'b0;
    if (head_valid_i) begin
      {unused_config, head_size_o} = config_mem[head_queue_i];
      head_desc_o                  = desc_mem[head_queue_i];
      head_live_o                  = live_q[head_queue_i];
    end
  end
  assign {walked_indirect_o, unused_walked} = config_mem[walked_queue_i];
  assign word_addr      = init_i ? init_queue_i : reg_queue_i;
  assign config_we      = reg_write_i && reg_addr_i == csr_pkg::CSR_FETCH_QUEUE_CONFIG;
  assign reg_writable_o = !control_valid_q;
  assign reg_settled_o  = !control_valid_q && (state_q == StIdle || state_q == StSecond);

  // The other half of a 64-bit register stays as it is.
  function automatic logic [63:0] merge(logic [63:0] old, logic high, logic [31:0] value);
    merge = high ? {value, old[31:0]} : {old[63:32], value};
  endfunction

  logic        high, desc_we, avail_we, used_we;
  assign high     = reg_addr_i[2];
  assign desc_we  = reg_write_i && reg_addr_i[11:3] == csr_pkg::CSR_FETCH_QUEUE_DESC_LO[11:3];
  assign avail_we = reg_write_i && reg_addr_i[11:3] == csr_pkg::CSR_FETCH_QUEUE_AVAIL_LO[11:3];
  assign used_we  = reg_write_i && reg_addr_i[11:3] == csr_pkg::CSR_FETCH_QUEUE_USED_LO[11:3];

  always_ff @(posedge clk_i) begin
    if (init_i || desc_we) desc_mem[word_addr] <= init_i ? 64'd0 : merge(desc_mem[word_addr], high, reg_wdata_i);
    if (init_i || avail_we) avail_mem[word_addr] <= init_i ? 64'd0 : merge(avail_mem[word_addr], high, reg_wdata_i);
    if (init_i || used_we) used_mem[word_addr] <= init_i ? 64'd0 : merge(used_mem[word_addr], high, reg_wdata_i);
    if (init_i || config_we) config_mem[word_addr] <= init_i ? 18'd0 : reg_wdata_i[17:0];
    if (reg_write_i && reg_addr_i == csr_pkg::CSR_FETCH_QUEUE_CONTROL) begin
      control_valid_q <= 1'b1;
      control_queue_q <= reg_queue_i;
      control_run_q   <= reg_wdata_i[csr_pkg::CSR_FETCH_QUEUE_CONTROL_RUN_LSB];
      control_poll_q  <= reg_wdata_i[csr_pkg::CSR_FETCH_QUEUE_CONTROL_POLL_LSB];
    end else if (pick) begin
      control_valid_q <= 1'b0;  // goes first
    end
    if (clear_i) control_valid_q <= 1'b0;
  end

  context_t    shown;  // what the registers show of a queue
  logic [31:0] rdata_q;
  logic        unused_shown;
  assign shown        = context_mem[reg_queue_i];
  assign unused_shown = ^{shown.seen, shown.entries, shown.wanted, shown.armed, shown.suppressed, shown.again, shown.quiet};
  assign reg_rdata_o = rdata_q;
  always_ff @(posedge clk_i) begin
    rdata_q <= 32'd0;
    if (reg_read_i)
      unique case (reg_addr_i)
        csr_pkg::CSR_FETCH_QUEUE_DESC_LO:  rdata_q <= desc_mem[reg_queue_i][31:0];
        csr_pkg::CSR_FETCH_QUEUE_DESC_HI:  rdata_q <= desc_mem[reg_queue_i][63:32];
        csr_pkg::CSR_FETCH_QUEUE_AVAIL_LO: rdata_q <= avail_mem[reg_queue_i][31:0];
        csr_pkg::CSR_FETCH_QUEUE_AVAIL_HI: rdata_q <= avail_mem[reg_queue_i][63:32];
        csr_pkg::CSR_FETCH_QUEUE_USED_LO:  rdata_q <= used_mem[reg_queue_i][31:0];
        csr_pkg::CSR_FETCH_QUEUE_USED_HI:  rdata_q <= used_mem[reg_queue_i][63:32];
        csr_pkg::CSR_FETCH_QUEUE_CONFIG:   rdata_q <= {14'd0, config_mem[reg_queue_i]};
        csr_pkg::CSR_FETCH_QUEUE_CONTROL:
        rdata_q <= {30'd0, shown.poll, shown.state != QueueStopped};
        csr_pkg::CSR_FETCH_QUEUE_STATE:
        rdata_q <= {
          shown.next,
          3'd0,
          shown.error,
          6'd0,
          shown.state == QueueFault,
          shown.transfers != 3'd0 || taken_mem[reg_queue_i] != ended_mem[reg_queue_i]
        };
        default: ;
      endcase
  end

`ifdef KS_ASSERT
  logic        req_was_q;
  logic [63:0] addr_was_q;
  always_ff @(posedge clk_i) begin
    req_was_q  <= req_valid_o && !req_ready_i && state_q == StSecond && !clear_i;
    addr_was_q <= req_addr_o;
    if (!clear_i && !init_i) begin
      assert (!(req_was_q && (!req_valid_o || addr_was_q != req_addr_o)));
      assert (!(context_we && context_d.transfers > 3'd3));
      assert (!(pick_transfer && transfers_q == 9'd0));
      assert (!(state_q == StEvent && event_q != EvControl && event_q != EvService && event_q != EvRoom &&
                context_q.transfers == 3'd0));
      assert (!(expand && expand_q));
      assert (!(reg_write_i && control_valid_q && reg_addr_i == csr_pkg::CSR_FETCH_QUEUE_CONTROL));
    end
  end
`endif
endmodule
