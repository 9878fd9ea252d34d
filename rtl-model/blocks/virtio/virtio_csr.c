/* The firmware's side of the virtio registers: block VIRTIO of the CSR bus. */
#include "rtl-model/blocks/virtio/state.h"

#include <string.h>

/* ---- device_status ---- */

static uint32_t take_status_written(struct virtio_regs *regs)
{
	uint32_t value = regs->wanted | (regs->reset_seen ? CSR_VIRTIO_STATUS_WRITTEN_RESET_MASK : 0) |
			 (regs->unanswered ? CSR_VIRTIO_STATUS_WRITTEN_PENDING_MASK : 0);
	regs->unseen = regs->reset_seen = false;
	return value;
}

static void write_status(struct virtio_regs *regs, uint64_t now_ps, uint32_t value)
{
	bool answer = value & CSR_VIRTIO_STATUS_ANSWER_MASK;
	if (answer && regs->unseen)
		return; /* the driver has written again: its reads wait for the answer to that */
	if (!answer && (regs->resetting || regs->reset_seen))
		return; /* what the firmware made of the life before the reset is of no interest any more */
	regs->status = (uint8_t)value;
	if (!answer)
		return;
	regs->resetting = regs->unanswered = false;
	regs->ports.answered(regs->ports.ctx, now_ps);
}

/* ---- queues ---- */

static void finish_queue_resets(struct virtio_regs *regs, uint64_t queues)
{
	for (uint64_t left = queues & regs->queues_in_reset; left != 0; left &= left - 1)
		virtio_queue_regs_reset(regs, (unsigned)__builtin_ctzll(left));
	regs->queues_in_reset &= ~queues;
}

static void set_queue_size_max(struct virtio_regs *regs, uint32_t value)
{
	regs->queue_size_max = value & CSR_VIRTIO_QUEUE_SIZE_MAX_SIZE_MASK;
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		if (!regs->queue[i].enable)
			regs->queue[i].size = regs->queue_size_max;
}

/* ---- device configuration ---- */

/* Offset in the device configuration of one of the DEVICE_CONFIG registers; -1 for others. */
static int config_offset(uint32_t offset)
{
	uint32_t within = offset - CSR_VIRTIO_DEVICE_CONFIG;
	return within < DEVICE_CONFIG_BYTES && within % 4 == 0 ? (int)within : -1;
}

static void config_changed(struct virtio_regs *regs, uint64_t now_ps, uint32_t value)
{
	if (value & CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK) {
		regs->config_dirty |= memcmp(regs->config, regs->staged, sizeof(regs->config)) != 0;
		memcpy(regs->config, regs->staged, sizeof(regs->config));
	}
	if (value & CSR_VIRTIO_CONFIG_CHANGED_NOTIFY_MASK)
		virtio_config_interrupt(regs, now_ps);
}

/* ---- the window ---- */

bool virtio_csr_read(struct virtio_regs *regs, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	const struct virtio_queue_regs *queue = &regs->queue[regs->csr_queue];
	(void)now_ps;
	if (config_offset(offset) >= 0) {
		*value = load_le32(regs->staged + config_offset(offset));
		return true;
	}
	switch (offset) {
	case CSR_VIRTIO_STATUS_WRITTEN: *value = take_status_written(regs); break;
	case CSR_VIRTIO_STATUS: *value = regs->status; break;
	case CSR_VIRTIO_DEVICE_FEATURES_LO: *value = (uint32_t)regs->device_features; break;
	case CSR_VIRTIO_DEVICE_FEATURES_HI: *value = (uint32_t)(regs->device_features >> 32); break;
	case CSR_VIRTIO_DRIVER_FEATURES_LO: *value = (uint32_t)regs->driver_features; break;
	case CSR_VIRTIO_DRIVER_FEATURES_HI: *value = (uint32_t)(regs->driver_features >> 32); break;
	case CSR_VIRTIO_DRIVER_FEATURES_BAD: *value = regs->driver_features_bad; break;
	case CSR_VIRTIO_NUM_QUEUES: *value = regs->num_queues; break;
	case CSR_VIRTIO_QUEUE_SIZE_MAX: *value = regs->queue_size_max; break;
	case CSR_VIRTIO_QUEUE_SELECT: *value = regs->csr_queue; break;
	case CSR_VIRTIO_QUEUE_SIZE: *value = queue->size; break;
	case CSR_VIRTIO_QUEUE_ENABLE: *value = queue->enable; break;
	case CSR_VIRTIO_QUEUE_DESC_LO: *value = (uint32_t)queue->desc; break;
	case CSR_VIRTIO_QUEUE_DESC_HI: *value = (uint32_t)(queue->desc >> 32); break;
	case CSR_VIRTIO_QUEUE_DRIVER_LO: *value = (uint32_t)queue->driver; break;
	case CSR_VIRTIO_QUEUE_DRIVER_HI: *value = (uint32_t)(queue->driver >> 32); break;
	case CSR_VIRTIO_QUEUE_DEVICE_LO: *value = (uint32_t)queue->device; break;
	case CSR_VIRTIO_QUEUE_DEVICE_HI: *value = (uint32_t)(queue->device >> 32); break;
	case CSR_VIRTIO_QUEUE_RESET_LO: *value = (uint32_t)regs->queues_in_reset; break;
	case CSR_VIRTIO_QUEUE_RESET_HI: *value = (uint32_t)(regs->queues_in_reset >> 32); break;
	case CSR_VIRTIO_QUEUE_ENABLED_LO: *value = (uint32_t)regs->queues_enabled; break;
	case CSR_VIRTIO_QUEUE_ENABLED_HI: *value = (uint32_t)(regs->queues_enabled >> 32); break;
	case CSR_VIRTIO_CONFIG_CHANGED: *value = 0; break;
	case CSR_VIRTIO_CONFIG_WRITTEN: *value = regs->writeback_written; break;
	case CSR_VIRTIO_CONFIG_WRITABLE: *value = regs->writeback_writable; break;
	default: return false;
	}
	return true;
}

bool virtio_csr_write(struct virtio_regs *regs, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	uint32_t ignored;
	if (config_offset(offset) >= 0) {
		store_le32(regs->staged + config_offset(offset), value);
		return true;
	}
	switch (offset) {
	case CSR_VIRTIO_STATUS: write_status(regs, now_ps, value); break;
	case CSR_VIRTIO_DEVICE_FEATURES_LO: set_half(&regs->device_features, false, value); break;
	case CSR_VIRTIO_DEVICE_FEATURES_HI: set_half(&regs->device_features, true, value); break;
	case CSR_VIRTIO_NUM_QUEUES:
		regs->num_queues = min_u32(value & CSR_VIRTIO_NUM_QUEUES_COUNT_MASK, QUEUES_MAX);
		break;
	case CSR_VIRTIO_QUEUE_SIZE_MAX: set_queue_size_max(regs, value); break;
	case CSR_VIRTIO_QUEUE_SELECT: regs->csr_queue = value % QUEUES_MAX; break;
	case CSR_VIRTIO_QUEUE_RESET_LO: finish_queue_resets(regs, value); break;
	case CSR_VIRTIO_QUEUE_RESET_HI: finish_queue_resets(regs, (uint64_t)value << 32); break;
	case CSR_VIRTIO_QUEUE_ENABLED_LO: regs->queues_enabled &= ~(uint64_t)value; break;
	case CSR_VIRTIO_QUEUE_ENABLED_HI: regs->queues_enabled &= ~((uint64_t)value << 32); break;
	case CSR_VIRTIO_CONFIG_CHANGED: config_changed(regs, now_ps, value); break;
	case CSR_VIRTIO_CONFIG_WRITTEN:
		regs->writeback_written &= !(value & CSR_VIRTIO_CONFIG_WRITTEN_WRITEBACK_MASK);
		break;
	case CSR_VIRTIO_CONFIG_WRITABLE:
		regs->writeback_writable = value & CSR_VIRTIO_CONFIG_WRITABLE_WRITEBACK_MASK;
		break;
	case CSR_VIRTIO_STATUS_WRITTEN: break; /* reading is what acts */
	default:
		return virtio_csr_read(regs, now_ps, offset,
				       &ignored); /* read-only registers ignore writes */
	}
	return true;
}
