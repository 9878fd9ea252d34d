/* Requests of the host carried out: memory by BAR, configuration, the window between the two, messages. */
#include "rtl-model/blocks/endpoint/state.h"
#include "rtl-model/byte_enable.h"

#define NO_BAR (-1)

/* pci_cfg_data, behind the fields all virtio capabilities have (virtio 1.4 §4.1.4.9). */
#define WINDOW_DATA 16u

/* ---- registers behind the BARs, one DW at a time ---- */

static uint32_t bar_read32(struct endpoint *endpoint, uint64_t now_ps, int bar, uint32_t offset, uint8_t be)
{
	if (bar == MSIX_BAR)
		return msix_bar_read32(endpoint->ports.msix, offset);
	if (offset >= VIRTIO_NOTIFY_OFFSET)
		return 0; /* V-070 */
	return virtio_bar_read32(endpoint->ports.virtio, now_ps, offset, be);
}

/* The address tells the queue; the value only carries avail.idx with NOTIFICATION_DATA (V-067). */
static void doorbell(struct endpoint *endpoint, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	uint16_t queue = (uint16_t)((offset - VIRTIO_NOTIFY_OFFSET) / VIRTIO_NOTIFY_MULTIPLIER);
	uint64_t at_ps = now_ps + endpoint->period_ps;
	endpoint->stats.doorbells++;
	probe_doorbell(endpoint->ports.probe, at_ps, queue);
	doorbell_fifo_push(endpoint->ports.doorbells, at_ps,
			   (struct doorbell){.queue = queue, .value = value});
}

static void bar_write32(struct endpoint *endpoint, uint64_t now_ps, int bar, uint32_t offset, uint32_t data,
			uint8_t be)
{
	if (be == 0)
		return; /* TLP-009 */
	if (bar == MSIX_BAR)
		msix_bar_write32(endpoint->ports.msix, now_ps, offset, data, be);
	else if (offset >= VIRTIO_NOTIFY_OFFSET)
		doorbell(endpoint, now_ps, offset, data & be_bits(be));
	else
		virtio_bar_write32(endpoint->ports.virtio, now_ps, offset, data, be);
}

/* ---- memory requests ---- */

/* BAR and offset in it, or NO_BAR. */
static int decode_bar(const struct endpoint *endpoint, const struct tlp *tlp, uint32_t *offset)
{
	uint64_t within = 0;
	int bar = cfg_space_decode(&endpoint->cfg, tlp->addr, tlp->length_dw * 4u, &within);
	*offset = (uint32_t)within;
	return bar < 0 || endpoint->in_reset ? NO_BAR : bar;
}

/* Byte enables of DW `i`. A read with processing hints has a steering tag in their place (TLP-010). */
static uint8_t dw_be(const struct tlp *tlp, unsigned i)
{
	if (tlp->th && tlp->type == TLP_MRD)
		return 0xf;
	if (i == 0)
		return tlp->first_be;
	return i == tlp->length_dw - 1u ? tlp->last_be : 0xf;
}

static bool memory_read_waits(const struct endpoint *endpoint, const struct tlp *tlp)
{
	uint32_t offset;
	if (decode_bar(endpoint, tlp, &offset) != VIRTIO_BAR)
		return false;
	for (unsigned i = 0; i < tlp->length_dw; i++)
		if (virtio_read_waits(endpoint->ports.virtio, offset + 4 * i, dw_be(tlp, i)))
			return true;
	return false;
}

static void memory_read(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *tlp)
{
	uint8_t data[TLP_PAYLOAD_BYTES_MAX];
	uint32_t offset;
	int bar = decode_bar(endpoint, tlp, &offset);
	endpoint->stats.memory_reads++;
	for (unsigned i = 0; i < tlp->length_dw; i++)
		store_le32(data + (size_t)4 * i,
			   bar_read32(endpoint, now_ps, bar, offset + 4 * i, dw_be(tlp, i)));
	reply_data(endpoint, now_ps, tlp, data);
}

static void memory_write(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *tlp)
{
	uint32_t offset;
	int bar = decode_bar(endpoint, tlp, &offset);
	endpoint->stats.memory_writes++;
	/* A doorbell is one register: what a wider write carries behind it is no second doorbell (V-066). */
	unsigned dwords = bar == VIRTIO_BAR && offset >= VIRTIO_NOTIFY_OFFSET ? 1 : tlp->length_dw;
	for (unsigned i = 0; i < dwords; i++)
		bar_write32(endpoint, now_ps, bar, offset + 4 * i, load_le32(tlp->payload + (size_t)4 * i),
			    dw_be(tlp, i));
}

/* ---- the PCI configuration access window (virtio 1.4 §4.1.4.9) ---- */

/* The DW it points at and the bytes of it, if it may be used: inside the virtio structures, aligned, 1, 2 or 4 bytes
 * (V-083), and the function awake. */
static bool window_target(const struct endpoint *endpoint, uint32_t *offset, uint8_t *be)
{
	struct cfg_virtio_window window = cfg_space_virtio_window(&endpoint->cfg);
	bool good_length = window.length == 1 || window.length == 2 || window.length == 4;
	if (window.bar != VIRTIO_BAR || !good_length || window.offset % window.length != 0 ||
	    window.offset > VIRTIO_BAR_BYTES - window.length || endpoint->cfg.control.power_state != 0)
		return false;
	*offset = window.offset & ~UINT32_C(3);
	*be = (uint8_t)(((1u << window.length) - 1) << (window.offset & 3));
	return true;
}

static bool reads_window(const struct endpoint *endpoint, const struct tlp *tlp)
{
	return tlp->reg == endpoint->cfg.virtio_window + WINDOW_DATA && tlp->first_be != 0;
}

static void window_write(struct endpoint *endpoint, uint64_t now_ps)
{
	uint32_t offset;
	uint8_t be;
	if (!window_target(endpoint, &offset, &be))
		return;
	uint32_t data = cfg_space_read32(&endpoint->cfg, endpoint->cfg.virtio_window + WINDOW_DATA);
	bar_write32(endpoint, now_ps, VIRTIO_BAR, offset, data << 8 * __builtin_ctz(be), be);
}

/* Puts what it reads into pci_cfg_data. */
static void window_read(struct endpoint *endpoint, uint64_t now_ps)
{
	uint32_t offset;
	uint8_t be;
	if (!window_target(endpoint, &offset, &be))
		return;
	uint32_t data = bar_read32(endpoint, now_ps, VIRTIO_BAR, offset, be) & be_bits(be);
	cfg_space_put32(&endpoint->cfg, endpoint->cfg.virtio_window + WINDOW_DATA,
			data >> 8 * __builtin_ctz(be));
}

/* ---- configuration requests ---- */

static bool config_read_waits(const struct endpoint *endpoint, const struct tlp *tlp)
{
	uint32_t offset;
	uint8_t be;
	return endpoint->ready && !endpoint->in_reset && reads_window(endpoint, tlp) &&
	       window_target(endpoint, &offset, &be) && virtio_read_waits(endpoint->ports.virtio, offset, be);
}

static void config_read(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *tlp)
{
	endpoint->stats.config_reads++;
	if (reads_window(endpoint, tlp))
		window_read(endpoint, now_ps);
	reply_dw(endpoint, now_ps, tlp, cfg_space_read32(&endpoint->cfg, tlp->reg));
}

static void control_changed(struct endpoint *endpoint, uint64_t now_ps)
{
	waker_wake(endpoint->ports.dma_wake, now_ps);
	msix_control_changed(endpoint->ports.msix, now_ps);
	virtio_control_changed(endpoint->ports.virtio, now_ps);
	update_intx(endpoint, now_ps);
}

static void config_write(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *tlp)
{
	const unsigned control =
		CFG_EFFECT_COMMAND | CFG_EFFECT_MSIX | CFG_EFFECT_POWER | CFG_EFFECT_DEVICE_CONTROL;
	endpoint->stats.config_writes++;
	endpoint->id = tlp->dest_id; /* captured from every Type 0 write (CFG-005) */
	unsigned effects =
		cfg_space_write32(&endpoint->cfg, tlp->reg, load_le32(tlp->payload), tlp->first_be);
	reply_status(endpoint, now_ps, tlp, TLP_SC); /* also before an FLR takes effect (RST-004) */
	if (effects & CFG_EFFECT_FLR) {
		function_level_reset(endpoint, now_ps);
		return;
	}
	if (effects & CFG_EFFECT_VIRTIO_WINDOW)
		window_write(endpoint, now_ps);
	if (effects & control)
		control_changed(endpoint, now_ps);
}

/* Until the firmware is up, at power-on and after a reset, software has to ask again (PCIe 6.0 §2.3.1, §6.6). */
static void config_request(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *tlp)
{
	if (!endpoint->ready || endpoint->in_reset) {
		endpoint->stats.retried++;
		reply_status(endpoint, now_ps, tlp, TLP_CRS);
	} else if (tlp->type == TLP_CFGRD0) {
		config_read(endpoint, now_ps, tlp);
	} else {
		config_write(endpoint, now_ps, tlp);
	}
}

/* ---- messages (ACC-013) ---- */

static bool message_known(const struct tlp *tlp)
{
	switch (tlp->msg_code) {
	case TLP_MSG_UNLOCK:
	case TLP_MSG_PM_ACTIVE_STATE_NAK:
	case TLP_MSG_PME_TURN_OFF:
	case TLP_MSG_VENDOR_TYPE1: return true;
	case TLP_MSG_SET_SLOT_POWER_LIMIT: return tlp->payload != NULL;
	default: return false;
	}
}

static void message(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *tlp)
{
	endpoint->stats.messages++;
	if (tlp->msg_code == TLP_MSG_PME_TURN_OFF)
		send_message(endpoint, now_ps, TLP_MSG_PME_TO_ACK, TLP_ROUTE_GATHER); /* RST-011 */
	else if (tlp->msg_code == TLP_MSG_SET_SLOT_POWER_LIMIT)
		cfg_space_set_slot_power(&endpoint->cfg, load_le32(tlp->payload));
}

/* ---- all of them ---- */

bool request_waits(const struct endpoint *endpoint, const struct tlp *tlp)
{
	if (dma_messages_wait(endpoint->ports.dma))
		return true;
	switch (tlp->type) {
	case TLP_MRD: return memory_read_waits(endpoint, tlp);
	case TLP_CFGRD0: return config_read_waits(endpoint, tlp);
	default: return false;
	}
}

bool request_has_target(const struct endpoint *endpoint, const struct tlp *tlp)
{
	uint32_t offset;
	switch (tlp->type) {
	case TLP_MRD:
	case TLP_MWR: return decode_bar(endpoint, tlp, &offset) != NO_BAR;
	case TLP_CFGRD0:
	case TLP_CFGWR0: return (tlp->dest_id & 7) == 0; /* CFG-004: only function 0 exists */
	case TLP_MSG:
	case TLP_MSGD: return message_known(tlp);
	default: return false; /* locked reads, I/O, Type 1, AtomicOps: ACC-010, ACC-011, ACC-012, CFG-004 */
	}
}

void request_execute(struct endpoint *endpoint, uint64_t now_ps, const struct tlp *tlp)
{
	switch (tlp->type) {
	case TLP_MRD: memory_read(endpoint, now_ps, tlp); break;
	case TLP_MWR: memory_write(endpoint, now_ps, tlp); break;
	case TLP_CFGRD0:
	case TLP_CFGWR0: config_request(endpoint, now_ps, tlp); break;
	default: message(endpoint, now_ps, tlp);
	}
}
