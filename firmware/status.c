/* device_status: negotiation, going live, resets (virtio 1.4 §2.1, §2.2, §2.4, §3.1). */
#include "firmware/card.h"
#include "firmware/virtio_defs.h"

/* Features a driver cannot do without on this card: D-052, D-054, and D-056 with them. */
static uint64_t required_features(const struct card *card)
{
	return card->offered & (FEATURE(F_VERSION_1) | FEATURE(F_ACCESS_PLATFORM));
}

static bool features_acceptable(const struct card *card, uint64_t features)
{
	if (reg_read(CSR_VIRTIO_DRIVER_FEATURES_BAD_ADDR))
		return false;
	return (features & ~card->offered) == 0 && /* V-042 */
	       (required_features(card) & ~features) == 0; /* V-043, V-044 */
}

static void negotiate(struct card *card, uint64_t features)
{
	card->negotiated = features;
	/* D-134: without FLUSH the writeback field starts as 0. */
	bool write_back = negotiated(card, F_BLK_FLUSH);
	uint32_t field = reg_read(CSR_VIRTIO_DEVICE_CONFIG_ADDR + CONFIG_WRITEBACK);
	reg_write(CSR_VIRTIO_DEVICE_CONFIG_ADDR + CONFIG_WRITEBACK, (field & ~UINT32_C(0xff)) | write_back);
	reg_write(CSR_VIRTIO_CONFIG_CHANGED_ADDR, CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK);
	reg_write(CSR_VIRTIO_CONFIG_WRITABLE_ADDR, negotiated(card, F_BLK_CONFIG_WCE));
	/* D-159, D-160, D-161 */
	card->write_through = !write_back;
	reg_write(CSR_NOTIFY_DATA_MODE_ADDR, negotiated(card, F_NOTIFICATION_DATA));
}

/* The driver has set the writeback field. */
void config_write_event(struct card *card)
{
	reg_write(CSR_VIRTIO_CONFIG_WRITTEN_ADDR, CSR_VIRTIO_CONFIG_WRITTEN_WRITEBACK_MASK);
	card->write_through = (reg_read(CSR_VIRTIO_DEVICE_CONFIG_ADDR + CONFIG_WRITEBACK) & 0xff) == 0;
}

/* Stops everything and forgets it. Returns when nothing of the old life can reach guest memory any more: engines
 * emptied, reads answered or timed out, accesses of the medium over. */
static void quiesce(struct card *card)
{
	reg_write(CSR_NOTIFY_ENABLE_LO_ADDR, 0);
	reg_write(CSR_NOTIFY_ENABLE_HI_ADDR, 0);
	reg_write(CSR_SYS_CARD_RESET_ADDR, CSR_SYS_CARD_RESET_ENGINES_MASK);
	while (reg_read(CSR_SYS_ENGINES_BUSY_ADDR) != 0)
		;
	poll_forget(card);
	queues_forget(card);
	card->negotiated = 0;
	card->write_through = false;
	card->live = card->broken = false;
	reg_write(CSR_VIRTIO_CONFIG_WRITABLE_ADDR, 0);
}

/* The driver wrote 0. Offers stay; queue state is in the hardware's hands and already gone. */
static void reset(struct card *card)
{
	bool was_live = card->live || card->broken;
	if (was_live)
		quiesce(card);
	card->negotiated = 0;
	uint32_t field = reg_read(CSR_VIRTIO_DEVICE_CONFIG_ADDR + CONFIG_WRITEBACK);
	reg_write(CSR_VIRTIO_DEVICE_CONFIG_ADDR + CONFIG_WRITEBACK, field | 1);
	reg_write(CSR_VIRTIO_CONFIG_CHANGED_ADDR, CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK);
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
	if (added & STATUS_FEATURES_OK) {
		uint64_t features = reg_read(CSR_VIRTIO_DRIVER_FEATURES_LO_ADDR) |
				    (uint64_t)reg_read(CSR_VIRTIO_DRIVER_FEATURES_HI_ADDR) << 32;
		if (features_acceptable(card, features))
			negotiate(card, features);
		else
			wanted &= ~STATUS_FEATURES_OK; /* D-007 */
	}
	if ((added & STATUS_DRIVER_OK) && !(wanted & STATUS_FEATURES_OK))
		wanted &= ~STATUS_DRIVER_OK; /* V-048: not live without agreed features */
	return wanted | (status & STATUS_NEEDS_RESET);
}

void status_event(struct card *card)
{
	uint32_t written = reg_read(CSR_VIRTIO_STATUS_WRITTEN_ADDR);
	uint32_t wanted = written & CSR_VIRTIO_STATUS_WRITTEN_VALUE_MASK;
	if (written & CSR_VIRTIO_STATUS_WRITTEN_RESET_MASK)
		reset(card);
	uint32_t status = written & CSR_VIRTIO_STATUS_WRITTEN_RESET_MASK ? 0 : reg_read(CSR_VIRTIO_STATUS_ADDR);
	uint32_t accepted = accept(card, status, wanted);
	bool go_live = (accepted & STATUS_DRIVER_OK) && !card->live && !card->broken;
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
	reg_write(CSR_NOTIFY_ENABLE_LO_ADDR, 0);
	reg_write(CSR_NOTIFY_ENABLE_HI_ADDR, 0);
	for (unsigned i = 0; i < card->queues; i++) {
		if (!card->queue[i].running)
			continue;
		reg_write(CSR_FETCH_QUEUE_SELECT_ADDR, i);
		reg_write(CSR_FETCH_QUEUE_CONTROL_ADDR, 0);
		reg_write(CSR_USED_QUEUE_SELECT_ADDR, i);
		reg_write(CSR_USED_QUEUE_CONTROL_ADDR, 0);
	}
	reg_write(CSR_VIRTIO_STATUS_ADDR, reg_read(CSR_VIRTIO_STATUS_ADDR) | STATUS_NEEDS_RESET);
	reg_write(CSR_VIRTIO_CONFIG_CHANGED_ADDR, CSR_VIRTIO_CONFIG_CHANGED_NOTIFY_MASK);
	console_print("device needs reset\n");
}
