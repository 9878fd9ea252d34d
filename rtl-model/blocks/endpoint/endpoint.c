#include "rtl-model/blocks/endpoint/state.h"

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

/* ---- INTx (PCIe 6.0 §6.1.2.1, INT-013..INT-016) ---- */

/* In D3hot the wire stays as it is: a sleeping function sends no interrupts (§5.3.1.4.1). */
void update_intx(struct endpoint *endpoint, uint64_t now_ps)
{
	const struct cfg_control *control = &endpoint->cfg.control;
	bool assert_intx = endpoint->intx_level && !control->intx_disable && !endpoint->in_reset;
	cfg_space_set_interrupt_status(&endpoint->cfg, endpoint->intx_level);
	if (assert_intx == endpoint->intx_asserted || control->power_state != 0)
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
	endpoint->ports.function_reset(endpoint->ports.ctx, now_ps);
	cfg_space_reset(&endpoint->cfg, kind);
	update_intx(endpoint, now_ps); /* a wire still asserted is let go (RST-006) */
	msix_reset(endpoint->ports.msix);
	virtio_regs_reset(endpoint->ports.virtio, now_ps);
}

void function_level_reset(struct endpoint *endpoint, uint64_t now_ps)
{
	function_reset(endpoint, now_ps, CFG_RESET_FLR);
}

void endpoint_link_reset(struct endpoint *endpoint, uint64_t now_ps, bool fundamental)
{
	endpoint->intx_asserted = false; /* the other side forgets the wires (INT-016) */
	endpoint->intx_level = false;
	endpoint->held_count = 0; /* their answers would find no link */
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

/* ---- what arrives ---- */

/* Malformed, ECRC, unsupported or unexpected, poisoned: of several errors of one TLP the first of these is reported
 * (§6.2.3.2.3, ERR-027). */

static void poisoned_request(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in)
{
	report_error(endpoint, now_ps, AER_POISONED, is_non_posted(&in->tlp), in);
	if (is_non_posted(&in->tlp))
		reply_status(endpoint, now_ps, &in->tlp, TLP_UR);
}

static void request(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in)
{
	if (!request_has_target(endpoint, &in->tlp))
		unsupported(endpoint, now_ps, in);
	else if (has_poison(&in->tlp))
		poisoned_request(endpoint, now_ps, in); /* not carried out: ACC-015, ERR-013 */
	else
		request_execute(endpoint, now_ps, &in->tlp);
}

static void completion(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in)
{
	endpoint->stats.completions++;
	switch (dma_complete(endpoint->ports.dma, now_ps, &in->tlp)) {
	case DMA_COMPLETION_OK: break;
	case DMA_COMPLETION_UR: cfg_space_set_status(&endpoint->cfg, CFG_STATUS_REC_MASTER_ABORT); break;
	case DMA_COMPLETION_CA: cfg_space_set_status(&endpoint->cfg, CFG_STATUS_REC_TARGET_ABORT); break;
	case DMA_COMPLETION_POISONED:
		cfg_space_set_status(&endpoint->cfg, CFG_STATUS_MASTER_DATA_PARITY);
		report_error(endpoint, now_ps, AER_POISONED, false, in);
		break;
	case DMA_COMPLETION_UNEXPECTED:
		endpoint->stats.unexpected++;
		report_error(endpoint, now_ps, AER_UNEXPECTED_COMPLETION, true, in);
		break;
	}
}

/* ---- non-posted requests that wait for the firmware ---- */

static void hold(struct endpoint *endpoint, const struct arrival *in)
{
	struct held *held = &endpoint->held[(endpoint->held_first + endpoint->held_count++) % HELD_MAX];
	ASSERT(in->size <= sizeof(held->wire)); /* well-formed, non-posted */
	memcpy(held->wire, in->wire, in->size);
	held->size = in->size;
	endpoint->stats.held++;
}

/* Goes on with those that need not wait any more, as long as a doorbell would find room. */
static void release_held(struct endpoint *endpoint, uint64_t now_ps)
{
	while (endpoint->held_count != 0 && !doorbell_fifo_full(endpoint->ports.doorbells)) {
		const struct held *held = &endpoint->held[endpoint->held_first];
		struct arrival in = {.wire = held->wire, .size = held->size};
		enum tlp_error error = tlp_decode(&in.tlp, in.wire, in.size);
		ASSERT(error == TLP_OK);
		if (request_waits(endpoint, &in.tlp))
			return;
		/* Taken out first: what it does may release others. */
		endpoint->held_first = (endpoint->held_first + 1) % HELD_MAX;
		endpoint->held_count--;
		request(endpoint, now_ps, &in);
	}
}

static void non_posted(struct endpoint *endpoint, uint64_t now_ps, const struct arrival *in)
{
	if (endpoint->held_count == HELD_MAX) /* more than a requester has tags for */
		unsupported(endpoint, now_ps, in);
	else if (endpoint->held_count != 0 || request_waits(endpoint, &in->tlp))
		hold(endpoint, in);
	else
		request(endpoint, now_ps, in);
}

void endpoint_status_answered(struct endpoint *endpoint, uint64_t now_ps)
{
	release_held(endpoint, now_ps);
}

/* ---- checks of the receiver ---- */

static bool is_malformed(const struct endpoint *endpoint, struct arrival *in)
{
	if (tlp_decode(&in->tlp, in->wire, in->size) != TLP_OK)
		return true;
	return in->tlp.payload && in->tlp.length_dw * 4u > endpoint->cfg.control.mps_bytes; /* ERR-014 */
}

static void handle(struct endpoint *endpoint, uint64_t now_ps, const struct link_rx *rx)
{
	struct arrival in = {.wire = rx->wire, .size = rx->size};
	if (is_malformed(endpoint, &in)) {
		endpoint->stats.malformed++;
		report_error(endpoint, now_ps, AER_MALFORMED, false, &in);
		return;
	}
	if (endpoint->cfg.control.ecrc_check && !tlp_ecrc_ok(in.wire, in.size)) {
		endpoint->stats.bad_ecrc++;
		report_error(endpoint, now_ps, AER_ECRC, false, &in);
		return;
	}
	if (has_poison(&in.tlp)) {
		endpoint->stats.poisoned++;
		cfg_space_set_status(&endpoint->cfg, CFG_STATUS_DETECTED_PARITY);
	}
	switch (tlp_class_of(in.tlp.type)) {
	case TLP_POSTED: request(endpoint, now_ps, &in); break;
	case TLP_NON_POSTED: non_posted(endpoint, now_ps, &in); break;
	default: completion(endpoint, now_ps, &in);
	}
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
	release_held(endpoint, now_ps);
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
	report_error(endpoint, now_ps, AER_COMPLETION_TIMEOUT, false, NULL);
}

void endpoint_dma_pending(struct endpoint *endpoint, bool pending)
{
	cfg_space_set_transactions_pending(&endpoint->cfg, pending);
}

void endpoint_messages_sent(struct endpoint *endpoint, uint64_t now_ps)
{
	if (endpoint->held_count != 0)
		waker_wake(endpoint->ports.self, now_ps);
}

const struct endpoint_stats *endpoint_stats(const struct endpoint *endpoint)
{
	return &endpoint->stats;
}
