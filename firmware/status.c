/* device_status: negotiation, going live, resets (virtio 1.4 §2.1, §2.2, §2.4, §3.1). */
#include "firmware/card.h"

/* Features a driver cannot do without on this card (D-052, D-054). ORDER_PLATFORM is not among them: it binds the driver
 * only, and the card orders its accesses the same way for all (D-056). */
#define REQUIRED_FEATURES (FEATURE(F_VERSION_1) | FEATURE(F_ACCESS_PLATFORM))

static bool features_acceptable(const struct card *card, uint64_t features)
{
	uint64_t required = card->offered & REQUIRED_FEATURES;
	if (reg_read(CSR_VIRTIO_DRIVER_FEATURES_BAD_ADDR))
		return false;
	return (features & ~card->offered) == 0 && /* V-042 */
	       (required & ~features) == 0;        /* V-043, V-044 */
}

/* What the driver reads as writeback; the card itself decides by it, too (write_flags in blk.c). */
static void set_writeback(const struct card *card, bool write_back)
{
	if (!offered(card, F_BLK_CONFIG_WCE))
		return;
	uint32_t field = reg_read(CSR_VIRTIO_DEVICE_CONFIG_ADDR + CONFIG_WRITEBACK);
	reg_write(CSR_VIRTIO_DEVICE_CONFIG_ADDR + CONFIG_WRITEBACK,
		  (field & ~CONFIG_WRITEBACK_MASK) | write_back);
	reg_write(CSR_VIRTIO_CONFIG_CHANGED_ADDR, CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK);
}

/* Offload level full: what the direct path has to know to serve writes as write_flags in blk.c says. */
static void set_direct_path(const struct card *card)
{
	uint32_t cache = DIRECT_CACHE_WRITE_THROUGH;
	if (negotiated(card, F_BLK_CONFIG_WCE))
		cache = DIRECT_CACHE_AS_DRIVER_SAYS;
	else if (negotiated(card, F_BLK_FLUSH))
		cache = DIRECT_CACHE_WRITE_BACK;
	reg_write(CSR_DIRECT_CONTROL_ADDR, (card->read_only ? CSR_DIRECT_CONTROL_READ_ONLY_MASK : 0) |
						   cache << CSR_DIRECT_CONTROL_CACHE_SHIFT);
}

static void negotiate(struct card *card, uint64_t features)
{
	card->negotiated = features;
	set_writeback(card, negotiated(card, F_BLK_FLUSH)); /* D-134 */
	reg_write(CSR_VIRTIO_CONFIG_WRITABLE_ADDR, negotiated(card, F_BLK_CONFIG_WCE));
	set_direct_path(card);
	reg_write(CSR_NOTIFY_DATA_MODE_ADDR, negotiated(card, F_NOTIFICATION_DATA));
}

/* Stops everything and forgets it. Returns when nothing of the old life can reach guest memory any more: engines
 * emptied, reads answered or timed out, accesses of the medium over (D-011). */
static void quiesce(struct card *card)
{
	reg_write(CSR_NOTIFY_ENABLE_LO_ADDR, 0);
	reg_write(CSR_NOTIFY_ENABLE_HI_ADDR, 0);
	reg_write(CSR_SYS_CARD_RESET_ADDR, CSR_SYS_CARD_RESET_ENGINES_MASK);
	while (reg_read(CSR_SYS_ENGINES_BUSY_ADDR) != 0)
		;
	poll_forget(card);
	rings_forget(card);
	completions_forget(card);
	queues_forget(card);
	card->live = card->broken = false;
	card->negotiated = 0;
	reg_write(CSR_VIRTIO_CONFIG_WRITABLE_ADDR, 0);
}

/* The PCIe function was reset: hardware has stopped the engines, everything has to be offered again. */
void function_reset_event(struct card *card)
{
	quiesce(card);
	card_offer(card);
	reg_write(CSR_PCIE_FUNCTION_RESET_ADDR, CSR_PCIE_FUNCTION_RESET_DONE_MASK);
}

/* Takes over status bits the driver has added; leaves out what it must not have. */
static uint32_t accept(struct card *card, uint32_t status, uint32_t wanted)
{
	uint32_t added = wanted & ~status;
	/* Agreed features stay (V-047), even if the driver wrote on before the answer, which has then been ignored. */
	if ((added & STATUS_FEATURES_OK) && card->negotiated == 0) {
		uint64_t features = reg_read(CSR_VIRTIO_DRIVER_FEATURES_LO_ADDR) |
				    (uint64_t)reg_read(CSR_VIRTIO_DRIVER_FEATURES_HI_ADDR) << 32;
		if (features_acceptable(card, features))
			negotiate(card, features);
		else
			wanted &= ~STATUS_FEATURES_OK; /* D-007 */
	}
	if (!(wanted & STATUS_FEATURES_OK))
		wanted &= ~STATUS_DRIVER_OK; /* V-048: not live without agreed features */
	return wanted | (status & STATUS_NEEDS_RESET);
}

void status_event(struct card *card)
{
	uint32_t written = reg_read(CSR_VIRTIO_STATUS_WRITTEN_ADDR);
	uint32_t status = 0;
	if (written & CSR_VIRTIO_STATUS_WRITTEN_RESET_MASK) {
		quiesce(card);
		set_writeback(card, true);
	} else {
		status = reg_read(CSR_VIRTIO_STATUS_ADDR);
	}
	uint32_t accepted = accept(card, status, written & CSR_VIRTIO_STATUS_WRITTEN_VALUE_MASK);
	bool go_live = (accepted & STATUS_DRIVER_OK) && !card->live;
	if (go_live)
		card->live = true;
	reg_write(CSR_VIRTIO_STATUS_ADDR, accepted | CSR_VIRTIO_STATUS_ANSWER_MASK);
	if (go_live)
		queues_start(card);
}

/* Something is wrong that only a reset can mend: stop all rings, tell the driver (D-002, D-003). */
void needs_reset(struct card *card)
{
	if (card->broken || !card->live)
		return;
	card->broken = true;
	for (unsigned i = 0; i < card->queues; i++)
		if (card->queue[i].running)
			queue_stop(card, i);
	reg_write(CSR_VIRTIO_STATUS_ADDR, reg_read(CSR_VIRTIO_STATUS_ADDR) | STATUS_NEEDS_RESET);
	reg_write(CSR_VIRTIO_CONFIG_CHANGED_ADDR, CSR_VIRTIO_CONFIG_CHANGED_NOTIFY_MASK);
	console_print("device needs reset\n");
}
