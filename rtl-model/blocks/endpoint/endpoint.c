#include "rtl-model/blocks/endpoint/endpoint.h"

#include <stdlib.h>
#include <string.h>

#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>

/* The vendor of all virtio devices and the modern device IDs (virtio 1.4 §4.1.2). */
#define VENDOR_ID           0x1af4u
#define DEVICE_ID           (0x1040u + VIRTIO_ID_BLOCK)
#define SUBSYSTEM_ID        0x1100u /* as QEMU's */
#define CLASS_SCSI_STORAGE  0x010000u
#define MPS_SUPPORTED_BYTES 1024u

/* As many non-posted requests as one requester can have outstanding with 8-bit tags. */
#define HELD_MAX 256u

/* A TLP as it came, decoded; `wire` (for the error log) is gone when it had to wait. */
struct arrival {
	struct tlp tlp;
	const uint8_t *wire;
	size_t size;
};

struct held {
	struct arrival in;
	uint8_t data[4]; /* of configuration writes */
};

struct endpoint {
	struct endpoint_ports ports;
	struct cfg_space cfg;
	uint16_t id; /* bus, device, function as captured (CFG-005) */
	bool ready;  /* the firmware has set SYS.READY */
	bool in_reset;
	uint64_t period_ps;
	unsigned register_cycles;
	bool intx_level;    /* the virtio registers' */
	bool intx_asserted; /* what the host was told */
	struct held held[HELD_MAX];
	unsigned held_first, held_count;
	struct endpoint_stats stats;
};

/* ---- sending ---- */

static void send(struct endpoint *endpoint, uint64_t ready_ps, const struct tlp *tlp)
{
	uint8_t *wire = link_reserve(endpoint->ports.up, TLP_WIRE_BYTES_MAX);
	size_t size = tlp_encode(tlp, wire, TLP_WIRE_BYTES_MAX);
	ASSERT(size != 0);
	link_push_reserved(endpoint->ports.up, ready_ps, size);
}

static uint64_t answer_ps(const struct endpoint *endpoint, uint64_t now_ps, unsigned dwords)
{
	return now_ps + (endpoint->register_cycles + dwords - 1) * endpoint->period_ps;
}

static void answer(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *req, enum tlp_status status)
{
	struct tlp cpl;
	tlp_completion_without_data(&cpl, req, endpoint->id, status);
	send(endpoint, answer_ps(endpoint, now_ps, 1), &cpl);
}

static void send_message(struct endpoint *endpoint, uint64_t now_ps, enum tlp_message code,
			 enum tlp_route route)
{
	struct tlp message = {
		.type = TLP_MSG,
		.addr64 = true,
		.requester_id = endpoint->id,
		.msg_code = (uint8_t)code,
		.msg_route = (uint8_t)route,
	};
	send(endpoint, now_ps, &message);
}

/* ---- errors ---- */

static void log_error(struct endpoint *endpoint, uint64_t now_ps, enum cfg_aer error, bool advisory,
		      const struct arrival *in)
{
	int message =
		cfg_space_log_error(&endpoint->cfg, error, advisory, in ? in->wire : NULL, in ? in->size : 0);
	if (message < 0)
		return;
	endpoint->stats.error_messages++;
	send_message(endpoint, now_ps, (enum tlp_message)message, TLP_ROUTE_TO_RC);
}

static bool is_non_posted(const struct tlp *tlp)
{
	return tlp_class_of(tlp->type) == TLP_NON_POSTED;
}

/* Unsupported Request: an error of its own if posted, else the completion tells the requester and the log only
 * notes it (ERR-001, ERR-002). */
static void unsupported(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in)
{
	endpoint->stats.unsupported++;
	log_error(endpoint, now_ps, AER_UNSUPPORTED_REQUEST, is_non_posted(&in->tlp), in);
	if (is_non_posted(&in->tlp))
		answer(endpoint, now_ps, &in->tlp, TLP_UR);
}

/* Completer Abort: a request we decode but that breaks our programming model (ERR-003). */
static void completer_abort(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in)
{
	endpoint->stats.aborted++;
	log_error(endpoint, now_ps, AER_COMPLETER_ABORT, is_non_posted(&in->tlp), in);
	if (!is_non_posted(&in->tlp))
		return;
	cfg_space_set_status(&endpoint->cfg, CFG_STATUS_SIG_TARGET_ABORT);
	answer(endpoint, now_ps, &in->tlp, TLP_CA);
}

static void malformed(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in)
{
	endpoint->stats.malformed++;
	log_error(endpoint, now_ps, AER_MALFORMED, false, in);
}

/* ---- INTx (PCIe 6.0 §6.1.2.1, INT-013..INT-016) ---- */

static void update_intx(struct endpoint *endpoint, uint64_t now_ps)
{
	bool assert_intx = endpoint->intx_level && !endpoint->cfg.control.intx_disable && !endpoint->in_reset;
	cfg_space_set_interrupt_status(&endpoint->cfg, endpoint->intx_level);
	if (assert_intx == endpoint->intx_asserted)
		return;
	endpoint->intx_asserted = assert_intx;
	endpoint->stats.intx_messages++;
	send_message(endpoint, now_ps, assert_intx ? TLP_MSG_ASSERT_INTA : TLP_MSG_DEASSERT_INTA,
		     TLP_ROUTE_LOCAL);
}

void endpoint_set_intx(struct endpoint *endpoint, uint64_t now_ps, bool level)
{
	endpoint->intx_level = level;
	update_intx(endpoint, now_ps);
}

/* ---- resets (PCIe 6.0 §6.6) ---- */

static void function_reset(struct endpoint *endpoint, uint64_t now_ps, enum cfg_reset kind)
{
	endpoint->stats.resets++;
	endpoint->in_reset = true;
	endpoint->held_count = 0;
	endpoint->ports.function_reset(endpoint->ports.ctx, now_ps);
	update_intx(endpoint, now_ps); /* a wire still asserted is let go (RST-006) */
	cfg_space_reset(&endpoint->cfg, kind);
	msix_reset(endpoint->ports.msix);
	virtio_regs_reset(endpoint->ports.virtio, now_ps);
}

void endpoint_link_reset(struct endpoint *endpoint, uint64_t now_ps, bool fundamental)
{
	endpoint->intx_asserted = false; /* the other side forgets the wires (INT-016) */
	endpoint->intx_level = false;
	function_reset(endpoint, now_ps, fundamental ? CFG_RESET_FUNDAMENTAL : CFG_RESET_HOT);
	endpoint->id = 0;
}

void endpoint_set_ready(struct endpoint *endpoint, bool ready)
{
	endpoint->ready = ready;
}

void endpoint_reset_done(struct endpoint *endpoint)
{
	endpoint->in_reset = false;
}

bool endpoint_in_reset(const struct endpoint *endpoint)
{
	return endpoint->in_reset;
}

/* ---- BARs ---- */

static uint32_t bar_read32(struct endpoint *endpoint, uint64_t now_ps, int bar, uint32_t offset, uint8_t be)
{
	if (bar == MSIX_BAR)
		return msix_bar_read32(endpoint->ports.msix, offset);
	if (offset >= VIRTIO_NOTIFY_OFFSET)
		return 0; /* V-070 */
	return virtio_bar_read32(endpoint->ports.virtio, now_ps, offset, be);
}

/* The address tells the queue; the value only carries avail.idx with NOTIFICATION_DATA (V-067). */
static void doorbell(struct endpoint *endpoint, uint64_t now_ps, uint32_t offset, uint32_t data)
{
	endpoint->stats.doorbells++;
	doorbell_fifo_push(
		endpoint->ports.doorbells, now_ps + endpoint->period_ps,
		(struct doorbell){
			.queue = (uint16_t)((offset - VIRTIO_NOTIFY_OFFSET) / VIRTIO_NOTIFY_MULTIPLIER),
			.value = data,
		});
}

static void bar_write32(struct endpoint *endpoint, uint64_t now_ps, int bar, uint32_t offset, uint32_t data,
			uint8_t be)
{
	if (be == 0)
		return;
	if (bar == MSIX_BAR)
		msix_bar_write32(endpoint->ports.msix, now_ps, offset, data, be);
	else if (offset >= VIRTIO_NOTIFY_OFFSET)
		doorbell(endpoint, now_ps, offset, data);
	else
		virtio_bar_write32(endpoint->ports.virtio, now_ps, offset, data, be);
}

/* Byte enables of DW `i` of a request. */
static uint8_t dw_be(const struct tlp *tlp, unsigned i)
{
	if (i == 0)
		return tlp->first_be;
	return i == tlp->length_dw - 1u ? tlp->last_be : 0xf;
}

static bool read_waits(const struct endpoint *endpoint, int bar, uint32_t offset, const struct tlp *tlp)
{
	if (bar != VIRTIO_BAR)
		return false;
	for (unsigned i = 0; i < tlp->length_dw; i++)
		if (virtio_read_waits(endpoint->ports.virtio, offset + 4 * i, dw_be(tlp, i)))
			return true;
	return false;
}

static void send_read_data(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *req,
			   const uint8_t *data)
{
	struct tlp_completer completer;
	struct tlp cpl;
	uint64_t addr;
	uint32_t bytes;
	const struct cfg_control *control = &endpoint->cfg.control;
	tlp_completer_start(&completer, req, endpoint->id);
	/* An endpoint's Read Completion Boundary is 128 bytes (CPL-009). */
	while (tlp_completer_next(&completer, control->mps_bytes, 128, false, &cpl, &addr, &bytes)) {
		cpl.payload = data + ((addr & ~UINT64_C(3)) - req->addr);
		cpl.td = control->ecrc_generate;
		send(endpoint, answer_ps(endpoint, now_ps, req->length_dw), &cpl);
	}
}

/* ---- requests. Each returns false if the request has to wait. ---- */

/* BAR and offset of a memory request; answers it itself and returns -1 if it hits nothing. */
static int decode_bar(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in, uint32_t *offset)
{
	const struct tlp *tlp = &in->tlp;
	uint64_t within = 0;
	int bar = cfg_space_decode(&endpoint->cfg, tlp->addr, tlp->length_dw * 4u, &within);
	if (bar == CFG_DECODE_OVERRUN)
		completer_abort(endpoint, now_ps, in);
	else if (bar < 0 || endpoint->in_reset)
		unsupported(endpoint, now_ps, in);
	*offset = (uint32_t)within;
	return endpoint->in_reset ? -1 : bar;
}

static bool memory_read(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in)
{
	const struct tlp *tlp = &in->tlp;
	uint8_t data[TLP_PAYLOAD_BYTES_MAX];
	uint32_t offset;
	int bar = decode_bar(endpoint, now_ps, in, &offset);
	if (bar < 0)
		return true;
	if (read_waits(endpoint, bar, offset, tlp))
		return false;
	for (unsigned i = 0; i < tlp->length_dw; i++)
		store_le32(data + (size_t)4 * i,
			   bar_read32(endpoint, now_ps, bar, offset + 4 * i, dw_be(tlp, i)));
	endpoint->stats.memory_reads++;
	send_read_data(endpoint, now_ps, tlp, data);
	return true;
}

static void memory_write(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in)
{
	const struct tlp *tlp = &in->tlp;
	uint32_t offset;
	int bar = decode_bar(endpoint, now_ps, in, &offset);
	if (bar < 0)
		return;
	endpoint->stats.memory_writes++;
	/* A doorbell is one register: what a wider write carries behind it is no second doorbell (V-066). */
	unsigned dwords = bar == VIRTIO_BAR && offset >= VIRTIO_NOTIFY_OFFSET ? 1 : tlp->length_dw;
	for (unsigned i = 0; i < dwords; i++)
		bar_write32(endpoint, now_ps, bar, offset + 4 * i, load_le32(tlp->payload + (size_t)4 * i),
			    dw_be(tlp, i));
}

/* Where the PCI configuration access window points, if it may be used: inside the virtio structures, aligned, 1, 2 or 4
 * bytes (virtio 1.4 §4.1.4.9.1, V-083). */
static bool window_target(const struct endpoint *endpoint, uint32_t *offset, uint8_t *be)
{
	struct cfg_virtio_window window = cfg_space_virtio_window(&endpoint->cfg);
	bool good_length = window.length == 1 || window.length == 2 || window.length == 4;
	if (window.bar != VIRTIO_BAR || !good_length || window.offset % window.length != 0 ||
	    window.offset > VIRTIO_BAR_BYTES - window.length)
		return false;
	*offset = window.offset & ~UINT32_C(3);
	*be = (uint8_t)(((1u << window.length) - 1) << (window.offset & 3));
	return true;
}

static void window_write(struct endpoint *endpoint, uint64_t now_ps)
{
	uint32_t offset;
	uint8_t be;
	if (!window_target(endpoint, &offset, &be))
		return;
	uint32_t data = cfg_space_read32(&endpoint->cfg, endpoint->cfg.virtio_window + 16u);
	unsigned shift = 8u * (unsigned)__builtin_ctz(be);
	bar_write32(endpoint, now_ps, VIRTIO_BAR, offset, data << shift, be);
}

static bool window_read(struct endpoint *endpoint, uint64_t now_ps)
{
	uint32_t offset;
	uint8_t be;
	if (!window_target(endpoint, &offset, &be))
		return true;
	if (virtio_read_waits(endpoint->ports.virtio, offset, be))
		return false;
	uint32_t data = bar_read32(endpoint, now_ps, VIRTIO_BAR, offset, be);
	unsigned first = (unsigned)__builtin_ctz(be), bytes = (unsigned)__builtin_popcount(be);
	uint32_t mask = bytes == 4 ? UINT32_MAX : (UINT32_C(1) << 8 * bytes) - 1;
	cfg_space_put32(&endpoint->cfg, endpoint->cfg.virtio_window + 16u, (data >> 8 * first) & mask);
	return true;
}

static void control_changed(struct endpoint *endpoint, uint64_t now_ps)
{
	waker_wake(endpoint->ports.dma_wake, now_ps);
	msix_control_changed(endpoint->ports.msix, now_ps);
	virtio_control_changed(endpoint->ports.virtio, now_ps);
	update_intx(endpoint, now_ps);
}

static bool config_read(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *tlp)
{
	uint8_t data[4];
	struct tlp cpl;
	if (endpoint->cfg.virtio_window && tlp->reg == endpoint->cfg.virtio_window + 16u &&
	    tlp->first_be != 0 && !window_read(endpoint, now_ps))
		return false;
	endpoint->stats.config_reads++;
	store_le32(data, cfg_space_read32(&endpoint->cfg, tlp->reg));
	tlp_completion_without_data(&cpl, tlp, endpoint->id, TLP_SC);
	cpl.type = TLP_CPLD;
	cpl.length_dw = 1;
	cpl.payload = data;
	send(endpoint, answer_ps(endpoint, now_ps, 1), &cpl);
	return true;
}

static void config_write(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *tlp)
{
	endpoint->stats.config_writes++;
	endpoint->id = tlp->dest_id; /* captured from every Type 0 write (CFG-005) */
	unsigned effects =
		cfg_space_write32(&endpoint->cfg, tlp->reg, load_le32(tlp->payload), tlp->first_be);
	answer(endpoint, now_ps, tlp, TLP_SC); /* also before an FLR takes effect (RST-004) */
	if (effects & CFG_EFFECT_FLR) {
		function_reset(endpoint, now_ps, CFG_RESET_FLR);
		return;
	}
	if (effects & CFG_EFFECT_VIRTIO_WINDOW)
		window_write(endpoint, now_ps);
	if (effects & (CFG_EFFECT_COMMAND | CFG_EFFECT_MSIX | CFG_EFFECT_POWER | CFG_EFFECT_DEVICE_CONTROL))
		control_changed(endpoint, now_ps);
}

static bool config_request(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in)
{
	const struct tlp *tlp = &in->tlp;
	if ((tlp->dest_id & 7) != 0) { /* CFG-004: only function 0 exists */
		unsupported(endpoint, now_ps, in);
		return true;
	}
	if (!endpoint->ready || endpoint->in_reset) {
		endpoint->stats.retried++;
		answer(endpoint, now_ps, &in->tlp, TLP_CRS);
		return true;
	}
	if (tlp->type == TLP_CFGRD0)
		return config_read(endpoint, now_ps, tlp);
	config_write(endpoint, now_ps, tlp);
	return true;
}

static void message(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in)
{
	const struct tlp *tlp = &in->tlp;
	endpoint->stats.messages++;
	switch (tlp->msg_code) {
	case TLP_MSG_UNLOCK:
	case TLP_MSG_PM_ACTIVE_STATE_NAK:
	case TLP_MSG_VENDOR_TYPE1: break; /* ACC-013 */
	case TLP_MSG_PME_TURN_OFF:
		send_message(endpoint, now_ps, TLP_MSG_PME_TO_ACK, TLP_ROUTE_GATHER);
		break;
	case TLP_MSG_SET_SLOT_POWER_LIMIT:
		if (tlp->payload)
			cfg_space_set_slot_power(&endpoint->cfg, load_le32(tlp->payload));
		break;
	default: unsupported(endpoint, now_ps, in);
	}
}

static void completion(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in)
{
	endpoint->stats.completions++;
	switch (dma_complete(endpoint->ports.dma, now_ps, &in->tlp)) {
	case DMA_COMPLETION_OK: break;
	case DMA_COMPLETION_UR: cfg_space_set_status(&endpoint->cfg, CFG_STATUS_REC_MASTER_ABORT); break;
	case DMA_COMPLETION_CA: cfg_space_set_status(&endpoint->cfg, CFG_STATUS_REC_TARGET_ABORT); break;
	case DMA_COMPLETION_POISONED: break; /* logged with all poisoned TLPs */
	case DMA_COMPLETION_UNEXPECTED:
		endpoint->stats.unexpected++;
		log_error(endpoint, now_ps, AER_UNEXPECTED_COMPLETION, true, in);
		break;
	}
}

/* A non-posted request. False if it has to wait for the firmware. */
static bool non_posted(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in)
{
	const struct tlp *tlp = &in->tlp;
	switch (tlp->type) {
	case TLP_CFGRD0:
	case TLP_CFGWR0: return config_request(endpoint, now_ps, in);
	case TLP_MRD: return memory_read(endpoint, now_ps, in);
	default: /* locked reads, I/O, Type 1, AtomicOps: ACC-010, ACC-011, ACC-012, CFG-004 */
		unsupported(endpoint, now_ps, in);
		return true;
	}
}

static void hold(struct endpoint *endpoint, const struct arrival *in)
{
	struct held *held = &endpoint->held[(endpoint->held_first + endpoint->held_count++) % HELD_MAX];
	held->in = (struct arrival){.tlp = in->tlp};
	if (in->tlp.payload) {
		memcpy(held->data, in->tlp.payload, sizeof(held->data));
		held->in.tlp.payload = held->data;
	}
	endpoint->stats.held++;
}

void endpoint_status_answered(struct endpoint *endpoint, uint64_t now_ps)
{
	while (endpoint->held_count != 0) {
		if (!non_posted(endpoint, now_ps, &endpoint->held[endpoint->held_first].in))
			return;
		if (endpoint->held_count == 0) /* a reset has dropped them all */
			return;
		endpoint->held_first = (endpoint->held_first + 1) % HELD_MAX;
		endpoint->held_count--;
	}
}

/* Poisoned TLPs are never executed; their data is of no use (ACC-015, ERR-012, ERR-013). */
static void poisoned(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in)
{
	const struct tlp *tlp = &in->tlp;
	endpoint->stats.poisoned++;
	cfg_space_set_status(&endpoint->cfg, CFG_STATUS_DETECTED_PARITY);
	log_error(endpoint, now_ps, AER_POISONED, is_non_posted(&in->tlp), in);
	if (tlp_class_of(tlp->type) == TLP_COMPLETION)
		completion(endpoint, now_ps, in);
	else if (is_non_posted(&in->tlp))
		answer(endpoint, now_ps, &in->tlp, TLP_UR);
}

static void request(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in)
{
	if (!is_non_posted(&in->tlp)) {
		if (in->tlp.type == TLP_MWR)
			memory_write(endpoint, now_ps, in);
		else
			message(endpoint, now_ps, in);
	} else if (endpoint->held_count == HELD_MAX) { /* more than a requester has tags for */
		unsupported(endpoint, now_ps, in);
	} else if (endpoint->held_count != 0 || !non_posted(endpoint, now_ps, in)) {
		hold(endpoint, in);
	}
}

static void handle(struct endpoint *endpoint, uint64_t now_ps, const struct link_rx *rx)
{
	struct arrival in = {.wire = rx->wire, .size = rx->size};
	const struct cfg_control *control = &endpoint->cfg.control;
	enum tlp_error error = tlp_decode(&in.tlp, rx->wire, rx->size);
	if (error != TLP_OK || (in.tlp.payload && in.tlp.length_dw * 4u > control->mps_bytes))
		malformed(endpoint, now_ps, &in); /* ERR-014..ERR-023 */
	else if (control->ecrc_check && !tlp_ecrc_ok(rx->wire, rx->size))
		log_error(endpoint, now_ps, AER_ECRC, false, &in);
	else if (in.tlp.ep && in.tlp.payload)
		poisoned(endpoint, now_ps, &in);
	else if (tlp_class_of(in.tlp.type) == TLP_COMPLETION)
		completion(endpoint, now_ps, &in);
	else
		request(endpoint, now_ps, &in);
}

/* ---- the block ---- */

struct endpoint *endpoint_create(const struct config *config, char *error, size_t error_size)
{
	static const struct cfg_virtio_cap caps[] = {
		{VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_BAR, VIRTIO_COMMON_OFFSET, VIRTIO_STRUCTURE_BYTES, 0},
		{VIRTIO_PCI_CAP_ISR_CFG, VIRTIO_BAR, VIRTIO_ISR_OFFSET, VIRTIO_STRUCTURE_BYTES, 0},
		{VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_BAR, VIRTIO_DEVICE_OFFSET, VIRTIO_STRUCTURE_BYTES, 0},
		{VIRTIO_PCI_CAP_NOTIFY_CFG, VIRTIO_BAR, VIRTIO_NOTIFY_OFFSET, VIRTIO_STRUCTURE_BYTES,
		 VIRTIO_NOTIFY_MULTIPLIER},
		{VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0, 0},
	};
	unsigned vectors = msix_vector_count(config);
	const struct cfg_space_config layout = {
		.vendor_id = VENDOR_ID,
		.device_id = DEVICE_ID,
		.subsystem_vendor_id = VENDOR_ID,
		.subsystem_id = SUBSYSTEM_ID,
		.revision_id = 1,
		.class_code = CLASS_SCSI_STORAGE,
		.bar[MSIX_BAR] = {.size_bytes = msix_bar_bytes(vectors)},
		/* Prefetchable although reading ISR has a side effect: only so can it lie above 4 GiB, and
		 * guests know it like this from QEMU (CFG-013). */
		.bar[VIRTIO_BAR] = {.size_bytes = VIRTIO_BAR_BYTES, .is_64bit = true, .prefetchable = true},
		.interrupt_pin = 1,
		.msix_vectors = vectors,
		.msix_bar = MSIX_BAR,
		.msix_pba_offset = msix_pba_offset(vectors),
		.link_generation = config->link.gen,
		.link_lanes = config->link.lanes,
		.mps_supported_bytes = MPS_SUPPORTED_BYTES,
		.extended_tag_supported = true,
		.tag_10bit_requester_supported = true,
		.serial_number = config->sim.seed,
		.virtio_cap = caps,
		.virtio_cap_count = ARRAY_SIZE(caps),
	};
	struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
	if (!endpoint) {
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	endpoint->period_ps = config_period_ps(config->device.clock_mhz);
	endpoint->register_cycles = config->device.register_cycles;
	if (cfg_space_init(&endpoint->cfg, &layout, error, error_size) != 0) {
		free(endpoint);
		return NULL;
	}
	return endpoint;
}

void endpoint_connect(struct endpoint *endpoint, const struct endpoint_ports *ports)
{
	endpoint->ports = *ports;
	ports->doorbells->producer = ports->self;
}

void endpoint_free(struct endpoint *endpoint)
{
	free(endpoint);
}

const struct cfg_control *endpoint_control(const struct endpoint *endpoint)
{
	return &endpoint->cfg.control;
}

const uint16_t *endpoint_id(const struct endpoint *endpoint)
{
	return &endpoint->id;
}

const struct cfg_space *endpoint_cfg_space(const struct endpoint *endpoint)
{
	return &endpoint->cfg;
}

uint64_t endpoint_step(struct endpoint *endpoint, uint64_t now_ps)
{
	struct link_rx rx;
	/* A doorbell must find room; the notify unit makes some within a cycle and wakes us. */
	while (!doorbell_fifo_full(endpoint->ports.doorbells)) {
		if (!link_pop(endpoint->ports.down, now_ps, &rx))
			return link_next_ps(endpoint->ports.down, now_ps);
		handle(endpoint, now_ps, &rx);
	}
	return TIME_NEVER_PS;
}

void endpoint_dma_timeout(struct endpoint *endpoint, uint64_t now_ps)
{
	log_error(endpoint, now_ps, AER_COMPLETION_TIMEOUT, false, NULL);
}

void endpoint_dma_pending(struct endpoint *endpoint, bool pending)
{
	cfg_space_set_transactions_pending(&endpoint->cfg, pending);
}

const struct endpoint_stats *endpoint_stats(const struct endpoint *endpoint)
{
	return &endpoint->stats;
}
