#include "rtl-model/blocks/virtio/virtio_regs.h"

#include "rtl-model/blocks/msix/msix.h"
#include "rtl-model/blocks/virtio/state.h"
#include "rtl-model/byte_enable.h"

#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#define NO_VECTOR               VIRTIO_MSI_NO_VECTOR
#define CONFIG_WRITEBACK_OFFSET 0x20u /* struct virtio_blk_config.wce */
#define ISR_QUEUE               1u
#define ISR_CONFIG              2u

/* Status bits a driver may set; the others belong to the device or are reserved (V-050). */
#define STATUS_DRIVER_BITS                                                                                   \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK |                  \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED)

void virtio_queue_regs_reset(struct virtio_regs *regs, unsigned queue)
{
	regs->queue[queue] =
		(struct virtio_queue_regs){.size = regs->queue_size_max, .msix_vector = NO_VECTOR};
}

/* What a virtio reset does to the driver's registers (virtio 1.4 §2.4, §4.1.4.3.1). */
static void driver_regs_reset(struct virtio_regs *regs)
{
	regs->device_feature_select = regs->driver_feature_select = 0;
	regs->driver_features = 0;
	regs->driver_features_bad = false;
	regs->config_msix_vector = NO_VECTOR;
	regs->queue_select = 0;
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		virtio_queue_regs_reset(regs, i);
	regs->queues_enabled = regs->queues_in_reset = 0;
	regs->writeback_writable = regs->writeback_written = false;
}

static void update_intx(struct virtio_regs *regs, uint64_t now_ps)
{
	bool level = regs->isr != 0 && !regs->ports.control->msix_enable;
	if (level == regs->intx_level)
		return;
	regs->intx_level = level;
	regs->ports.intx(regs->ports.ctx, now_ps, level);
}

static void set_isr(struct virtio_regs *regs, uint64_t now_ps, uint8_t isr)
{
	regs->isr = isr;
	update_intx(regs, now_ps);
}

void virtio_regs_init(struct virtio_regs *regs, const struct config *config, const struct virtio_ports *ports)
{
	memset(regs, 0, sizeof(*regs));
	regs->ports = *ports;
	regs->vectors = msix_vector_count(config);
	regs->generation_seen = true;
	driver_regs_reset(regs);
}

void virtio_regs_reset(struct virtio_regs *regs, uint64_t now_ps)
{
	driver_regs_reset(regs);
	set_isr(regs, now_ps, 0);
	regs->status = regs->wanted = 0;
	regs->unseen = regs->reset_seen = regs->resetting = regs->unanswered = false;
	regs->ports.answered(regs->ports.ctx, now_ps);
}

/* ---- device_status ---- */

/* Only a device that has been live can have anything in flight: otherwise the reset is over at once. */
static void status_reset(struct virtio_regs *regs, uint64_t now_ps)
{
	driver_regs_reset(regs);
	set_isr(regs, now_ps, 0);
	regs->wanted = 0;
	regs->reset_seen = true;
	if (regs->status & VIRTIO_CONFIG_S_DRIVER_OK)
		regs->resetting = true;
	else
		regs->status = 0;
}

static void write_status(struct virtio_regs *regs, uint64_t now_ps, uint8_t value)
{
	if (value == 0)
		status_reset(regs, now_ps);
	else if (regs->resetting)
		return; /* V-052 */
	else
		regs->wanted |= value & STATUS_DRIVER_BITS; /* bits only add up, V-049 */
	regs->unseen = regs->unanswered = true;
	waker_wake(regs->ports.events, now_ps);
	if (regs->resetting)
		regs->ports.answered(regs->ports.ctx, now_ps);
}

bool virtio_read_waits(const struct virtio_regs *regs, uint32_t offset, uint8_t be)
{
	return offset == VIRTIO_COMMON_OFFSET + VIRTIO_PCI_COMMON_STATUS && (be & 1) && regs->unanswered &&
	       !regs->resetting;
}

/* ---- reading the common configuration ---- */

static bool queue_exists(const struct virtio_regs *regs)
{
	return regs->queue_select < regs->num_queues;
}

static uint32_t feature_window(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> 32 * select) : 0;
}

static bool in_reset(const struct virtio_regs *regs, unsigned queue)
{
	return regs->queues_in_reset >> queue & 1;
}

/* A driver that reads anything of the device configuration after it changed sees another generation than it read
 * before. The generation counts only when somebody has seen it, so no number of changes makes it wrap (D-083). */
static void generation_read(struct virtio_regs *regs)
{
	if (regs->config_dirty && regs->generation_seen) {
		regs->generation++;
		regs->generation_seen = false;
	}
	regs->config_dirty = false;
}

static uint32_t read_queue(const struct virtio_regs *regs, uint32_t offset)
{
	static const struct virtio_queue_regs absent = {.msix_vector = NO_VECTOR};
	const struct virtio_queue_regs *queue =
		queue_exists(regs) ? &regs->queue[regs->queue_select] : &absent;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE: return queue->size | (uint32_t)queue->msix_vector << 16;
	case VIRTIO_PCI_COMMON_Q_ENABLE: /* queue_notify_off is the queue's number */
		return queue->enable | (queue_exists(regs) ? (uint32_t)regs->queue_select << 16 : 0);
	case VIRTIO_PCI_COMMON_Q_DESCLO: return (uint32_t)queue->desc;
	case VIRTIO_PCI_COMMON_Q_DESCHI: return (uint32_t)(queue->desc >> 32);
	case VIRTIO_PCI_COMMON_Q_AVAILLO: return (uint32_t)queue->driver;
	case VIRTIO_PCI_COMMON_Q_AVAILHI: return (uint32_t)(queue->driver >> 32);
	case VIRTIO_PCI_COMMON_Q_USEDLO: return (uint32_t)queue->device;
	case VIRTIO_PCI_COMMON_Q_USEDHI: return (uint32_t)(queue->device >> 32);
	case VIRTIO_PCI_COMMON_Q_NDATA:
		return queue_exists(regs) ? (uint32_t)in_reset(regs, regs->queue_select) << 16 : 0;
	default: return 0;
	}
}

/* Without side effect if no byte is enabled. */
static uint32_t read_common(struct virtio_regs *regs, uint32_t offset, uint8_t be)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT: return regs->device_feature_select;
	case VIRTIO_PCI_COMMON_DF: return feature_window(regs->device_features, regs->device_feature_select);
	case VIRTIO_PCI_COMMON_GFSELECT: return regs->driver_feature_select;
	case VIRTIO_PCI_COMMON_GF: return feature_window(regs->driver_features, regs->driver_feature_select);
	case VIRTIO_PCI_COMMON_MSIX: return regs->config_msix_vector | regs->num_queues << 16;
	case VIRTIO_PCI_COMMON_STATUS:
		if (be & 2) {
			generation_read(regs);
			regs->generation_seen = true;
		}
		return regs->status | (uint32_t)regs->generation << 8 | (uint32_t)regs->queue_select << 16;
	default: return read_queue(regs, offset);
	}
}

/* ---- writing it ---- */

static void write_driver_features(struct virtio_regs *regs, uint32_t value)
{
	if (regs->wanted & VIRTIO_CONFIG_S_FEATURES_OK)
		return; /* V-047 */
	if (regs->driver_feature_select < 2)
		set_half(&regs->driver_features, regs->driver_feature_select == 1, value);
	else
		regs->driver_features_bad |= value != 0;
}

static bool negotiated(const struct virtio_regs *regs, unsigned feature)
{
	return (regs->status & VIRTIO_CONFIG_S_FEATURES_OK) &&
	       ((regs->driver_features & regs->device_features) >> feature & 1);
}

/* A vector beyond the table cannot be mapped and reads back NO_VECTOR (virtio 1.4 §4.1.5.1.2.1, D-129). */
static uint16_t checked_vector(const struct virtio_regs *regs, uint32_t vector)
{
	return vector < regs->vectors ? (uint16_t)vector : NO_VECTOR;
}

static void write_queue_enable(struct virtio_regs *regs, uint64_t now_ps, struct virtio_queue_regs *queue,
			       uint16_t value)
{
	if (value != 1 || queue->enable)
		return; /* V-060, V-061 */
	queue->enable = true;
	regs->queues_enabled |= UINT64_C(1) << regs->queue_select;
	waker_wake(regs->ports.events, now_ps);
}

static void write_queue_reset(struct virtio_regs *regs, uint64_t now_ps,
			      const struct virtio_queue_regs *queue, uint16_t value)
{
	if (value != 1 || !queue->enable || !negotiated(regs, VIRTIO_F_RING_RESET))
		return; /* V-072, V-073 */
	regs->queues_in_reset |= UINT64_C(1) << regs->queue_select;
	waker_wake(regs->ports.events, now_ps);
}

static void write_queue_addr(struct virtio_queue_regs *queue, uint32_t offset, uint32_t value)
{
	uint64_t *const fields[3] = {&queue->desc, &queue->driver, &queue->device};
	unsigned index = (offset - VIRTIO_PCI_COMMON_Q_DESCLO) / 4;
	if (!queue->enable) /* V-059 */
		set_half(fields[index / 2], index & 1, value);
}

/* `value` is the whole DW as it would be, `be` the bytes that were written. */
static void write_queue(struct virtio_regs *regs, uint64_t now_ps, uint32_t offset, uint32_t value,
			uint8_t be)
{
	struct virtio_queue_regs *queue = &regs->queue[regs->queue_select];
	bool low_written = be & 0x3, high_written = be & 0xc;
	uint16_t low = (uint16_t)value, high = (uint16_t)(value >> 16);
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		if (low_written && !queue->enable && is_power_of_2(low) && low <= regs->queue_size_max)
			queue->size = low; /* else ignored: V-055, V-056, V-057 */
		if (high_written)
			queue->msix_vector = checked_vector(regs, high);
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if (low_written)
			write_queue_enable(regs, now_ps, queue, low);
		break;
	case VIRTIO_PCI_COMMON_Q_NDATA:
		if (high_written)
			write_queue_reset(regs, now_ps, queue, high);
		break;
	default:
		if (offset >= VIRTIO_PCI_COMMON_Q_DESCLO && offset <= VIRTIO_PCI_COMMON_Q_USEDHI)
			write_queue_addr(queue, offset, value);
	}
}

static void write_common(struct virtio_regs *regs, uint64_t now_ps, uint32_t offset, uint32_t data,
			 uint8_t be)
{
	uint32_t value = be_merge(read_common(regs, offset, 0), data, be);
	if (regs->resetting) { /* V-052, but a second reset does no harm (V-054) */
		if (offset == VIRTIO_PCI_COMMON_STATUS && (be & 1))
			write_status(regs, now_ps, (uint8_t)value);
		return;
	}
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT: regs->device_feature_select = value; break;
	case VIRTIO_PCI_COMMON_GFSELECT: regs->driver_feature_select = value; break;
	case VIRTIO_PCI_COMMON_GF: write_driver_features(regs, value); break;
	case VIRTIO_PCI_COMMON_MSIX:
		if (be & 3)
			regs->config_msix_vector = checked_vector(regs, value & 0xffff);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		if (be & 0xc)
			regs->queue_select = (uint16_t)(value >> 16);
		if (be & 1)
			write_status(regs, now_ps, (uint8_t)value);
		break;
	default:
		if (queue_exists(regs)) /* V-062, V-063 */
			write_queue(regs, now_ps, offset, value, be);
	}
}

/* ---- the three structures of the BAR ---- */

static uint32_t read_isr(struct virtio_regs *regs, uint64_t now_ps, uint8_t be)
{
	uint8_t isr = regs->isr;
	if (be & 1) /* read to clear, D-108; only if its byte is read, ACC-008 */
		set_isr(regs, now_ps, 0);
	return isr;
}

static uint32_t read_device_config(struct virtio_regs *regs, uint32_t offset, uint8_t be)
{
	if (offset >= DEVICE_CONFIG_BYTES)
		return 0;
	if (be != 0)
		generation_read(regs);
	return load_le32(regs->config + offset);
}

static void write_device_config(struct virtio_regs *regs, uint64_t now_ps, uint32_t offset, uint32_t data,
				uint8_t be)
{
	/* Only `writeback` is writable, and only if CONFIG_WCE was negotiated (V-081, V-082). */
	if (offset != CONFIG_WRITEBACK_OFFSET || !(be & 1) || !regs->writeback_writable)
		return;
	regs->config[CONFIG_WRITEBACK_OFFSET] = regs->staged[CONFIG_WRITEBACK_OFFSET] = (data & 0xff) != 0;
	regs->writeback_written = true;
	waker_wake(regs->ports.events, now_ps);
}

bool virtio_write_back(const struct virtio_regs *regs)
{
	return regs->config[CONFIG_WRITEBACK_OFFSET] != 0;
}

uint32_t virtio_bar_read32(struct virtio_regs *regs, uint64_t now_ps, uint32_t offset, uint8_t be)
{
	uint32_t within = offset % VIRTIO_STRUCTURE_BYTES;
	switch (offset - within) {
	case VIRTIO_COMMON_OFFSET: return read_common(regs, within, be);
	case VIRTIO_ISR_OFFSET: return within == 0 ? read_isr(regs, now_ps, be) : 0;
	case VIRTIO_DEVICE_OFFSET: return read_device_config(regs, within, be);
	default: return 0;
	}
}

void virtio_bar_write32(struct virtio_regs *regs, uint64_t now_ps, uint32_t offset, uint32_t data, uint8_t be)
{
	uint32_t within = offset % VIRTIO_STRUCTURE_BYTES;
	if (offset - within == VIRTIO_COMMON_OFFSET)
		write_common(regs, now_ps, within, data, be);
	else if (offset - within == VIRTIO_DEVICE_OFFSET)
		write_device_config(regs, now_ps, within, data, be);
}

/* ---- interrupts ---- */

static void interrupt(struct virtio_regs *regs, uint64_t now_ps, uint8_t isr, uint16_t vector)
{
	if (regs->resetting)
		return; /* nothing may be left of it when status reads 0, D-011 */
	/* Before the notification: D-105 for configuration changes whatever the kind of interrupt, D-106. */
	if (isr == ISR_CONFIG || !regs->ports.control->msix_enable)
		set_isr(regs, now_ps, regs->isr | isr);
	if (regs->ports.control->msix_enable && vector != NO_VECTOR) /* D-130, D-131 */
		regs->ports.msix(regs->ports.ctx, now_ps, vector, isr == ISR_QUEUE);
}

void virtio_queue_interrupt(struct virtio_regs *regs, uint64_t now_ps, unsigned queue)
{
	interrupt(regs, now_ps, ISR_QUEUE, regs->queue[queue].msix_vector);
}

void virtio_config_interrupt(struct virtio_regs *regs, uint64_t now_ps)
{
	interrupt(regs, now_ps, ISR_CONFIG, regs->config_msix_vector);
}

void virtio_control_changed(struct virtio_regs *regs, uint64_t now_ps)
{
	update_intx(regs, now_ps);
}

uint32_t virtio_events(const struct virtio_regs *regs)
{
	return (regs->unseen ? CSR_SYS_EVENTS_STATUS_MASK : 0) |
	       (regs->queues_in_reset ? CSR_SYS_EVENTS_QUEUE_RESET_MASK : 0) |
	       (regs->queues_enabled ? CSR_SYS_EVENTS_QUEUE_ENABLED_MASK : 0) |
	       (regs->writeback_written ? CSR_SYS_EVENTS_CONFIG_WRITE_MASK : 0);
}
