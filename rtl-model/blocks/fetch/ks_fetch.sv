// The descriptor-fetch engine (split virtqueues, virtio 1.4 §2.7): see README.md.
//
//   services ──► ring ──heads──► chain ──records──► FETCH.RECORD
//                 │▲               │▲
//        requests ▼└─ completions ─▼┘           slots: who may have how many
//
// Every input is taken into a register first, and every output comes from registers (but for `csr_known_o`).
//
// Of the DMA engine it is expected that it takes a request sooner or later whatever becomes of completions: there are at most
// 4 for a walker and 3 for a queue.
module ks_fetch (
    input  logic         clk_i,
    input  logic         rst_ni,
    input  logic         clear_i,         // forgets everything but the limits: queues stopped, slots free. Meanwhile
                                          // an access is taken in every cycle, of which only writes of limits matter
    // What the limits are after a reset.
    input  logic [8:0]   batch_i,
    input  logic [5:0]   prefetch_i,
    input  logic [6:0]   inflight_i,
    // Queues to serve, from the notify unit.
    input  logic         svc_valid_i,
    output logic         svc_ready_o,
    input  logic [5:0]   svc_queue_i,
    input  logic         svc_hint_valid_i,
    input  logic [15:0]  svc_hint_i,      // avail.idx the driver claims
    // Transfers to and from guest memory. A write is of 2 bytes.
    output logic         req_valid_o,
    input  logic         req_ready_i,
    output logic [63:0]  req_addr_o,
    output logic [9:0]   req_bytes_o,
    output logic         req_write_o,
    output logic [15:0]  req_wdata_o,
    output logic [16:0]  req_cookie_o,
    // They are back: data in beats of 16 bytes from the first byte on; one beat if they failed, or of a write.
    input  logic         cpl_valid_i,
    output logic         cpl_ready_o,
    input  logic [16:0]  cpl_cookie_i,
    input  logic         cpl_failed_i,
    input  logic         cpl_last_i,
    input  logic [63:0]  cpl_lo_i,        // bytes 7:0
    input  logic [63:0]  cpl_hi_i,        // bytes 15:8
    // Request memory, in rows of 16 bytes.
    output logic         mem_valid_o,
    output logic [15:0]  mem_row_o,
    output logic [15:0]  mem_be_o,
    output logic [63:0]  mem_lo_o,
    output logic [63:0]  mem_hi_o,
    // Registers: an access is taken when valid and ready; read data comes with `csr_rvalid_o`, usually in the cycle after the next.
    input  logic         csr_valid_i,
    input  logic         csr_write_i,
    input  logic [11:0]  csr_addr_i,
    input  logic [31:0]  csr_wdata_i,
    output logic         csr_ready_o,
    output logic         csr_known_o,     // there is a register at csr_addr_i
    output logic         csr_rvalid_o,
    output logic [31:0]  csr_rdata_o,
    // Bits of SYS.EVENTS.
    output logic         event_record_o,
    output logic         event_fault_o,
    // State. Not `active`: nothing changes before something comes in, the clock may rest.
    output logic         active_o,
    output logic         busy_o,
    output logic [8:0]   slots_used_o,
    output logic [6:0]   walkers_busy_o,
    // What happens in this cycle, for statistics.
    output logic         stat_service_o,
    output logic         stat_empty_service_o,
    output logic         stat_index_read_o,
    output logic         stat_ring_read_o,
    output logic [8:0]   stat_ring_entries_o,
    output logic         stat_descriptor_read_o,
    output logic         stat_descriptor_o,
    output logic         stat_indirect_o,
    output logic         stat_header_read_o,
    output logic         stat_arm_write_o,
    output logic         stat_request_o,
    output logic         stat_bad_chain_o,
    output logic         stat_fault_o,
    output logic         stat_no_slot_o,
    output logic         stat_no_walker_o,
    // And for observers of requests: a service of `see_queue_o` began, ring entries of it were taken (stat_ring_entries_o); the oldest
    // entry got a slot, or was dropped; a record was handed over. In the cycle after an access: a slot was given back, or could not be.
    output logic [5:0]   see_queue_o,
    output logic         see_live_o,
    output logic         see_start_o,
    output logic [7:0]   see_start_slot_o,
    output logic         see_drop_o,
    output logic [7:0]   see_record_slot_o,
    output logic         see_given_o,
    output logic [7:0]   see_given_slot_o,
    output logic         see_bad_free_o
);
  // ---- limits, and clearing of tables after a reset ----
  logic       clear;
  logic       init_q;
  logic [5:0] init_queue_q;
  logic [8:0] batch_q;
  logic [5:0] prefetch_q;
  logic [6:0] inflight_q;
  logic [5:0] csr_queue_q;
  assign clear = clear_i || !rst_ni;

  always_ff @(posedge clk_i) begin
    if (init_q) begin
      init_queue_q <= init_queue_q + 6'd1;
      if (init_queue_q == 6'd63) init_q <= 1'b0;
    end
    if (clear) begin
      init_q       <= 1'b1;
      init_queue_q <= 6'd0;
    end
  end

  // ---- input registers ----
  logic         svc_valid_q, svc_hint_valid_q, svc_pop;
  logic [5:0]   svc_queue_q;
  logic [15:0]  svc_hint_q;
  logic         cpl_valid_q, cpl_failed_q, cpl_last_q, ring_cpl_pop, chain_cpl_pop;
  logic [16:0]  cpl_cookie_q;
  logic [63:0]  cpl_lo_q, cpl_hi_q;

  assign svc_ready_o = !init_q && (!svc_valid_q || svc_pop);
  assign cpl_ready_o = !init_q && (!cpl_valid_q || ring_cpl_pop || chain_cpl_pop);

  always_ff @(posedge clk_i) begin
    if (svc_ready_o) begin
      svc_valid_q <= svc_valid_i;
      if (svc_valid_i) begin
        svc_queue_q      <= svc_queue_i;
        svc_hint_valid_q <= svc_hint_valid_i;
        svc_hint_q       <= svc_hint_i;
      end
    end
    if (cpl_ready_o) begin
      cpl_valid_q <= cpl_valid_i;
      if (cpl_valid_i) begin
        cpl_cookie_q <= cpl_cookie_i;
        cpl_failed_q <= cpl_failed_i;
        cpl_last_q   <= cpl_last_i;
        cpl_lo_q     <= cpl_lo_i;
        cpl_hi_q     <= cpl_hi_i;
      end
    end
    if (clear) begin
      svc_valid_q <= 1'b0;
      cpl_valid_q <= 1'b0;
    end
  end

  // ---- rings ----
  logic        ring_req, ring_ready, ring_write, room_lock;
  logic [63:0] ring_addr;
  logic [9:0]  ring_bytes;
  logic [15:0] ring_wdata;
  logic [2:0]  ring_kind;
  logic [5:0]  ring_queue;
  logic [8:0]  room, promise, release_count;
  logic        head_push, head_pop, head_empty;
  logic [5:0]  new_queue, head_queue;
  logic [15:0] new_head, new_sequence, head, head_sequence;
  logic [63:0] head_desc;
  logic [15:0] head_size;
  logic        head_live;
  logic [5:0]  walked_queue;
  logic        walked_indirect;
  logic        ended, drop, start;
  logic [5:0]  ended_queue;
  logic        fault;
  logic        ring_active, ring_busy, chain_active;
  logic        reg_write, reg_read, reg_settled, reg_writable;
  logic [31:0] reg_rdata;

  ks_fetch_ring u_ring (
      .clk_i,
      .clear_i(clear),
      .init_i(init_q),
      .init_queue_i(init_queue_q),
      .reg_write_i(reg_write),
      .reg_read_i(reg_read),
      .reg_addr_i(csr_addr_q),
      .reg_queue_i(csr_queue_q),
      .reg_wdata_i(csr_wdata_q),
      .reg_rdata_o(reg_rdata),
      .reg_settled_o(reg_settled),
      .reg_writable_o(reg_writable),
      .head_valid_i(!head_empty),
      .head_queue_i(head_queue),
      .head_desc_o(head_desc),
      .head_size_o(head_size),
      .head_live_o(head_live),
      .walked_queue_i(walked_queue),
      .walked_indirect_o(walked_indirect),
      .svc_valid_i(svc_valid_q && !csr_valid_q),  // after what was written before it
      .svc_queue_i(svc_queue_q),
      .svc_hint_valid_i(svc_hint_valid_q),
      .svc_hint_i(svc_hint_q),
      .svc_pop_o(svc_pop),
      .cpl_valid_i(cpl_valid_q),
      .cpl_kind_i(cpl_cookie_q[2:0]),
      .cpl_queue_i(cpl_cookie_q[8:3]),
      .cpl_failed_i(cpl_failed_q),
      .cpl_last_i(cpl_last_q),
      .cpl_lo_i(cpl_lo_q),
      .cpl_hi_i(cpl_hi_q),
      .cpl_pop_o(ring_cpl_pop),
      .req_valid_o(ring_req),
      .req_ready_i(ring_ready),
      .req_addr_o(ring_addr),
      .req_bytes_o(ring_bytes),
      .req_write_o(ring_write),
      .req_wdata_o(ring_wdata),
      .req_kind_o(ring_kind),
      .req_queue_o(ring_queue),
      .batch_i(batch_q),
      .room_i(room),
      .room_lock_o(room_lock),
      .promise_o(promise),
      .release_o(release_count),
      .head_push_o(head_push),
      .head_queue_o(new_queue),
      .head_o(new_head),
      .head_sequence_o(new_sequence),
      .ended_i(ended),
      .ended_queue_i(ended_queue),
      .fault_o(fault),
      .queue_o(see_queue_o),
      .busy_o(ring_busy),
      .active_o(ring_active),
      .stat_service_o,
      .service_live_o(see_live_o),
      .stat_empty_service_o,
      .stat_index_read_o,
      .stat_ring_read_o,
      .stat_arm_write_o,
      .take_count_o(stat_ring_entries_o),
      .stat_no_slot_o
  );

  // ---- heads: every one is sure of a slot, so there is always room for it ----
  logic unused_head_full;
  ks_fetch_fifo #(
      .Width(38),
      .DepthLog2(8)
  ) u_heads (
      .clk_i,
      .clear_i(clear),
      .push_i(head_push),
      .data_i({new_queue, new_head, new_sequence}),
      .pop_i(head_pop),
      .data_o({head_queue, head, head_sequence}),
      .empty_o(head_empty),
      .full_o(unused_head_full)
  );

  // ---- chains ----
  logic        chain_req, chain_ready;
  logic [63:0] chain_addr;
  logic [9:0]  chain_bytes;
  logic [16:0] chain_cookie;
  logic [7:0]  slot, record_slot;
  logic        record_push, record_full;
  logic [5:0]  record_queue;

  ks_fetch_chain u_chain (
      .clk_i,
      .clear_i(clear),
      .prefetch_i(prefetch_q),
      .inflight_i(inflight_q),
      .head_valid_i(!head_empty),
      .head_queue_i(head_queue),
      .head_i(head),
      .head_sequence_i(head_sequence),
      .head_desc_i(head_desc),
      .head_size_i(head_size),
      .head_live_i(head_live),
      .head_pop_o(head_pop),
      .drop_o(drop),
      .start_o(start),
      .slot_i(slot),
      .walked_queue_o(walked_queue),
      .walked_indirect_i(walked_indirect),
      .cpl_valid_i(cpl_valid_q),
      .cpl_kind_i(cpl_cookie_q[2:0]),
      .cpl_walker_i(cpl_cookie_q[8:3]),
      .cpl_offset_i(cpl_cookie_q[12:9]),
      .cpl_length_i(cpl_cookie_q[16:13]),
      .cpl_failed_i(cpl_failed_q),
      .cpl_last_i(cpl_last_q),
      .cpl_lo_i(cpl_lo_q),
      .cpl_hi_i(cpl_hi_q),
      .cpl_pop_o(chain_cpl_pop),
      .req_valid_o(chain_req),
      .req_ready_i(chain_ready),
      .req_addr_o(chain_addr),
      .req_bytes_o(chain_bytes),
      .req_cookie_o(chain_cookie),
      .mem_valid_o,
      .mem_row_o,
      .mem_be_o,
      .mem_lo_o,
      .mem_hi_o,
      .record_full_i(record_full),
      .record_push_o(record_push),
      .record_slot_o(record_slot),
      .record_queue_o(record_queue),
      .walkers_busy_o,
      .active_o(chain_active),
      .stat_descriptor_o,
      .stat_descriptor_read_o,
      .stat_indirect_o,
      .stat_header_read_o,
      .stat_bad_chain_o,
      .stat_no_walker_o
  );

  // ---- requests: rings before chains; one is shown, one may wait behind it ----
  logic        req_valid_q, req_write_q, wait_valid_q, wait_write_q;
  logic [63:0] req_addr_q, wait_addr_q;
  logic [9:0]  req_bytes_q, wait_bytes_q;
  logic [15:0] req_wdata_q, wait_wdata_q;
  logic [16:0] req_cookie_q, wait_cookie_q;
  logic        req_push;

  assign ring_ready   = !wait_valid_q;
  assign chain_ready  = !wait_valid_q && !ring_req;
  assign req_push     = !wait_valid_q && (ring_req || chain_req);
  assign req_valid_o  = req_valid_q;
  assign req_addr_o   = req_addr_q;
  assign req_bytes_o  = req_bytes_q;
  assign req_write_o  = req_write_q;
  assign req_wdata_o  = req_wdata_q;
  assign req_cookie_o = req_cookie_q;

  always_ff @(posedge clk_i) begin
    if (req_push) begin
      wait_addr_q   <= ring_req ? ring_addr : chain_addr;
      wait_bytes_q  <= ring_req ? ring_bytes : chain_bytes;
      wait_write_q  <= ring_req && ring_write;
      wait_wdata_q  <= ring_wdata;
      wait_cookie_q <= ring_req ? {8'd0, ring_queue, ring_kind} : chain_cookie;
    end
    if (!req_valid_q || req_ready_i) begin
      req_valid_q  <= wait_valid_q || req_push;
      wait_valid_q <= 1'b0;
      if (req_push) begin
        req_addr_q   <= ring_req ? ring_addr : chain_addr;
        req_bytes_q  <= ring_req ? ring_bytes : chain_bytes;
        req_write_q  <= ring_req && ring_write;
        req_wdata_q  <= ring_wdata;
        req_cookie_q <= ring_req ? {8'd0, ring_queue, ring_kind} : chain_cookie;
      end else if (wait_valid_q) begin
        req_addr_q   <= wait_addr_q;
        req_bytes_q  <= wait_bytes_q;
        req_write_q  <= wait_write_q;
        req_wdata_q  <= wait_wdata_q;
        req_cookie_q <= wait_cookie_q;
      end
    end else if (req_push) begin
      wait_valid_q <= 1'b1;
    end
    if (clear) begin
      req_valid_q  <= 1'b0;
      wait_valid_q <= 1'b0;
    end
  end

  // ---- records ----
  logic       record_empty, record_pop;
  logic [7:0] next_slot;
  logic [5:0] next_queue;
  ks_fetch_fifo #(
      .Width(14),
      .DepthLog2(8)
  ) u_records (
      .clk_i,
      .clear_i(clear),
      .push_i(record_push),
      .data_i({record_slot, record_queue}),
      .pop_i(record_pop),
      .data_o({next_slot, next_queue}),
      .empty_o(record_empty),
      .full_o(record_full)
  );
  assign ended       = drop || record_pop;  // not both: see csr_ready_o
  assign ended_queue = drop ? head_queue : next_queue;

  // ---- slots ----
  logic alloc, give, given;
  ks_fetch_slots u_slots (
      .clk_i,
      .clear_i(clear),
      .take_i(start),
      .alloc_i(alloc),
      .number_o(slot),
      .used_o(slots_used_o),
      .room_o(room),
      .give_i(give && csr_wdata_q[31:8] == 24'd0),
      .give_number_i(csr_wdata_q[7:0]),
      .given_o(given),
      .promise_i(promise),
      .release_i(release_count),
      .drop_i(drop)
  );

  // ---- registers ----
  logic        csr_valid_q, csr_write_q, csr_go, read, write;
  logic [11:0] csr_addr_q;
  logic [31:0] csr_wdata_q;
  assign csr_known_o = csr_addr_i <= csr_pkg::CSR_FETCH_INFLIGHT && csr_addr_i[1:0] == 2'd0;  // no gaps

  // What needs the same memory as something else in this cycle waits; and so does what shows the outcome of a write of
  // QUEUE_CONTROL.
  always_comb begin
    csr_go     = 1'b0;
    read       = 1'b0;
    write      = 1'b0;
    record_pop = 1'b0;
    alloc      = 1'b0;
    give       = 1'b0;
    if (csr_valid_q && !init_q) begin
      unique case (csr_addr_q)
        csr_pkg::CSR_FETCH_RECORD: csr_go = !drop;
        csr_pkg::CSR_FETCH_SLOT_ALLOC: csr_go = !start && !room_lock && reg_settled;
        csr_pkg::CSR_FETCH_SLOT_FREE: csr_go = !start;
        csr_pkg::CSR_FETCH_QUEUE_CONTROL, csr_pkg::CSR_FETCH_QUEUE_STATE: csr_go = csr_write_q ? reg_writable : reg_settled;
        csr_pkg::CSR_FETCH_FAULT_LO, csr_pkg::CSR_FETCH_FAULT_HI: csr_go = csr_write_q ? !fault : reg_settled;
        default: csr_go = reg_writable;
      endcase
      read  = csr_go && !csr_write_q;
      write = csr_go && csr_write_q;
      if (read) begin
        record_pop = csr_addr_q == csr_pkg::CSR_FETCH_RECORD && !record_empty;
        alloc      = csr_addr_q == csr_pkg::CSR_FETCH_SLOT_ALLOC && room != 9'd0;
      end
      give = write && csr_addr_q == csr_pkg::CSR_FETCH_SLOT_FREE;
    end
  end
  assign csr_ready_o = !csr_valid_q || csr_go;
  assign reg_read    = read;
  assign reg_write   = write;

  function automatic logic [8:0] clamp(logic [31:0] value, logic [8:0] max);
    clamp = value == 32'd0 ? 9'd1 : value > {23'd0, max} ? max : value[8:0];
  endfunction

  logic [63:0] faults_q;
  logic [31:0] rdata_q;
  logic        rvalid_q, given_q, bad_free_q;
  logic [7:0]  given_slot_q;

  always_ff @(posedge clk_i) begin
    if (csr_ready_o || clear) begin
      csr_valid_q <= csr_valid_i;
      csr_write_q <= csr_write_i;
      csr_addr_q  <= csr_addr_i;
      csr_wdata_q <= csr_wdata_i;
    end
    if (fault) faults_q[see_queue_o] <= 1'b1;
    rdata_q    <= 32'd0;
    rvalid_q   <= read;
    given_q    <= given;
    if (given) given_slot_q <= csr_wdata_q[7:0];
    bad_free_q <= give && !given;
    if (write || (clear && csr_valid_q && csr_write_q))
      unique case (csr_addr_q)
        csr_pkg::CSR_FETCH_FAULT_LO:     faults_q[31:0] <= faults_q[31:0] & ~csr_wdata_q;
        csr_pkg::CSR_FETCH_FAULT_HI:     faults_q[63:32] <= faults_q[63:32] & ~csr_wdata_q;
        // Those that survive a clear.
        csr_pkg::CSR_FETCH_QUEUE_SELECT: csr_queue_q <= csr_wdata_q[5:0];
        csr_pkg::CSR_FETCH_BATCH:        batch_q <= clamp(csr_wdata_q, ks_fetch_pkg::BATCH_MAX);
        csr_pkg::CSR_FETCH_PREFETCH:     prefetch_q <= 6'(clamp(csr_wdata_q, {3'd0, ks_fetch_pkg::WINDOW_MAX}));
        csr_pkg::CSR_FETCH_INFLIGHT:     inflight_q <= 7'(clamp(csr_wdata_q, {2'd0, ks_fetch_pkg::WALKERS_MAX}));
        default:                         ;
      endcase
    if (read)
      unique case (csr_addr_q)
        csr_pkg::CSR_FETCH_RECORD:       if (!record_empty) rdata_q <= {1'b1, 23'd0, next_slot};
        csr_pkg::CSR_FETCH_SLOT_ALLOC:   if (alloc) rdata_q <= {1'b1, 23'd0, slot};
        csr_pkg::CSR_FETCH_QUEUE_SELECT: rdata_q <= {26'd0, csr_queue_q};
        csr_pkg::CSR_FETCH_FAULT_LO:     rdata_q <= faults_q[31:0];
        csr_pkg::CSR_FETCH_FAULT_HI:     rdata_q <= faults_q[63:32];
        csr_pkg::CSR_FETCH_BATCH:        rdata_q <= {23'd0, batch_q};
        csr_pkg::CSR_FETCH_PREFETCH:     rdata_q <= {26'd0, prefetch_q};
        csr_pkg::CSR_FETCH_INFLIGHT:     rdata_q <= {25'd0, inflight_q};
        default:                         ;
      endcase
    if (clear) faults_q <= 64'd0;
    if (!rst_ni) begin
      batch_q     <= batch_i;
      prefetch_q  <= prefetch_i;
      inflight_q  <= inflight_i;
      csr_queue_q <= 6'd0;
      csr_valid_q <= 1'b0;
    end
  end

  assign csr_rvalid_o      = rvalid_q;
  assign csr_rdata_o       = rdata_q | reg_rdata;
  assign see_given_o       = given_q;
  assign see_given_slot_o  = given_slot_q;
  assign see_bad_free_o    = bad_free_q;
  assign event_record_o    = !record_empty;
  assign event_fault_o     = faults_q != 64'd0;
  assign active_o          = init_q || csr_valid_q || svc_valid_q || cpl_valid_q || ring_active || chain_active || req_valid_o;
  assign busy_o            = ring_busy || csr_valid_q;
  assign stat_request_o    = record_push;
  assign stat_fault_o      = fault;
  assign see_start_o       = start;
  assign see_start_slot_o  = slot;
  assign see_drop_o        = drop;
  assign see_record_slot_o = record_slot;

`ifdef KS_ASSERT
  logic        req_was_q;
  logic [107:0] req_before_q;
  always_ff @(posedge clk_i) begin
    req_was_q    <= req_valid_o && !req_ready_i && !clear;
    req_before_q <= {req_addr_o, req_bytes_o, req_write_o, req_wdata_o, req_cookie_o};
    if (!clear) begin
      // A request stays as it is until it is taken, and is one the DMA engine can do.
      assert (!req_was_q || (req_valid_o && req_before_q == {req_addr_o, req_bytes_o, req_write_o, req_wdata_o, req_cookie_o}));
      assert (!req_valid_o || (req_bytes_o != 10'd0 && req_bytes_o <= 10'd512 && (!req_write_o || req_bytes_o == 10'd2)));
      assert (!(drop && record_pop));
    end
  end
`endif
endmodule
