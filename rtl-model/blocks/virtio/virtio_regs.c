#include "rtl-model/blocks/virtio/virtio_regs.h"

#include "rtl-model/blocks/msix/msix.h"

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

static uint32_t be_mask(uint8_t be)
{
	uint32_t mask = 0;
	for (unsigned i = 0; i < 4; i++)
		mask |= be >> i & 1 ? UINT32_C(0xff) << 8 * i : 0;
	return mask;
}

static void queue_regs_reset(struct virtio_regs *regs, unsigned index)
{
	regs->queue[index] =
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
		queue_regs_reset(regs, i);
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
	driver_regs_reset(regs);
}

void virtio_regs_reset(struct virtio_regs *regs, uint64_t now_ps)
{
	driver_regs_reset(regs);
	set_isr(regs, now_ps, 0);
	regs->status = regs->wanted = 0;
	regs->unseen = regs->reset_seen = regs->resetting = false;
	if (regs->unanswered) {
		regs->unanswered = false;
		regs->ports.answered(regs->ports.ctx, now_ps);
	}
}

/* ---- device_status ---- */

static void status_reset(struct virtio_regs *regs, uint64_t now_ps)
{
	driver_regs_reset(regs);
	set_isr(regs, now_ps, 0);
	regs->wanted = 0;
	regs->reset_seen = true;
	/* Only a device that has been live can have anything in flight: otherwise the reset is over at once. */
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
}

bool virtio_read_waits(const struct virtio_regs *regs, uint32_t offset, uint8_t be)
{
	return offset == (VIRTIO_COMMON_OFFSET | VIRTIO_PCI_COMMON_STATUS) && (be & 1) && regs->unanswered &&
	       !regs->resetting;
}

/* ---- common configuration ---- */

static bool queue_exists(const struct virtio_regs *regs)
{
	return regs->queue_select < regs->num_queues;
}

static uint64_t feature_window(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> 32 * select) : 0;
}

static bool in_reset(const struct virtio_regs *regs, unsigned queue)
{
	return regs->queues_in_reset >> queue & 1;
}

static bool negotiated(const struct virtio_regs *regs, unsigned feature)
{
	return regs->driver_features >> feature & 1;
}

/* A driver that reads anything of the device configuration after it changed sees a new generation, however often it
 * changed in between (D-083). */
static void generation_read(struct virtio_regs *regs)
{
	if (regs->config_dirty) {
		regs->config_dirty = false;
		regs->generation++;
	}
}

static uint32_t read_queue(const struct virtio_regs *regs, uint32_t offset)
{
	static const struct virtio_queue_regs absent = {.msix_vector = NO_VECTOR};
	const struct virtio_queue_regs *queue =
		queue_exists(regs) ? &regs->queue[regs->queue_select] : &absent;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE: return queue->size | (uint32_t)queue->msix_vector << 16;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
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

static uint32_t read_common(struct virtio_regs *regs, uint32_t offset, uint8_t be)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT: return regs->device_feature_select;
	case VIRTIO_PCI_COMMON_DF:
		return (uint32_t)feature_window(regs->device_features, regs->device_feature_select);
	case VIRTIO_PCI_COMMON_GFSELECT: return regs->driver_feature_select;
	case VIRTIO_PCI_COMMON_GF:
		return (uint32_t)feature_window(regs->driver_features, regs->driver_feature_select);
	case VIRTIO_PCI_COMMON_MSIX: return regs->config_msix_vector | regs->num_queues << 16;
	case VIRTIO_PCI_COMMON_STATUS:
		if (be & 2)
			generation_read(regs);
		return regs->status | (uint32_t)regs->generation << 8 | (uint32_t)regs->queue_select << 16;
	default: return read_queue(regs, offset);
	}
}

static void write_driver_features(struct virtio_regs *regs, uint32_t value)
{
	if (regs->wanted & VIRTIO_CONFIG_S_FEATURES_OK)
		return; /* V-047 */
	if (regs->driver_feature_select >= 2) {
		regs->driver_features_bad |= value != 0;
		return;
	}
	unsigned shift = 32 * regs->driver_feature_select;
	regs->driver_features = (regs->driver_features & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)value
												     << shift;
}

/* A vector beyond the table cannot be mapped and reads back NO_VECTOR (virtio 1.4 §4.1.5.1.2.1, D-129). */
static uint16_t checked_vector(const struct virtio_regs *regs, uint16_t vector)
{
	return vector < regs->vectors ? vector : NO_VECTOR;
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

static void write_queue_reset(struct virtio_regs *regs, uint64_t now_ps, struct virtio_queue_regs *queue,
			      uint16_t value)
{
	if (value != 1 || !queue->enable || !negotiated(regs, VIRTIO_F_RING_RESET))
		return; /* V-072, V-073 */
	regs->queues_in_reset |= UINT64_C(1) << regs->queue_select;
	waker_wake(regs->ports.events, now_ps);
}

static void set_half(uint64_t *field, bool high, uint32_t value)
{
	*field = high ? (*field & UINT32_MAX) | (uint64_t)value << 32
		      : (*field & ~(uint64_t)UINT32_MAX) | value;
}

static void write_queue_addr(struct virtio_queue_regs *queue, uint32_t offset, uint32_t value)
{
	uint64_t *const fields[3] = {&queue->desc, &queue->driver, &queue->device};
	unsigned index = (offset - VIRTIO_PCI_COMMON_Q_DESCLO) / 4;
	if (!queue->enable) /* V-059 */
		set_half(fields[index / 2], index & 1, value);
}

static void write_queue(struct virtio_regs *regs, uint64_t now_ps, uint32_t offset, uint32_t value,
			uint8_t be)
{
	struct virtio_queue_regs *queue = &regs->queue[regs->queue_select];
	if (!queue_exists(regs))
		return; /* V-062, V-063 */
	uint16_t low = (uint16_t)value, high = (uint16_t)(value >> 16);
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		if ((be & 3) && !queue->enable && is_power_of_2(low) && low <= regs->queue_size_max)
			queue->size = low; /* else ignored: V-055, V-056, V-057 */
		if (be & 0xc)
			queue->msix_vector = checked_vector(regs, high);
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if (be & 3)
			write_queue_enable(regs, now_ps, queue, low);
		break;
	case VIRTIO_PCI_COMMON_Q_NDATA:
		if (be & 0xc)
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
	uint32_t mask = be_mask(be);
	/* Bytes that are not enabled keep their value; reading for the merge has no side effect with be 0. */
	uint32_t value = (read_common(regs, offset, 0) & ~mask) | (data & mask);
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT: regs->device_feature_select = value; break;
	case VIRTIO_PCI_COMMON_GFSELECT: regs->driver_feature_select = value; break;
	case VIRTIO_PCI_COMMON_GF: write_driver_features(regs, value); break;
	case VIRTIO_PCI_COMMON_MSIX:
		if (be & 3)
			regs->config_msix_vector = checked_vector(regs, (uint16_t)value);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		if (be & 0xc)
			regs->queue_select = (uint16_t)(value >> 16);
		if (be & 1)
			write_status(regs, now_ps, (uint8_t)value);
		break;
	default: write_queue(regs, now_ps, offset, value, be);
	}
}

/* ---- the three structures of the BAR ---- */

static uint32_t read_device_config(struct virtio_regs *regs, uint32_t offset)
{
	generation_read(regs);
	return offset < DEVICE_CONFIG_BYTES ? load_le32(regs->config + offset) : 0;
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

uint32_t virtio_bar_read32(struct virtio_regs *regs, uint64_t now_ps, uint32_t offset, uint8_t be)
{
	uint32_t within = offset % VIRTIO_STRUCTURE_BYTES;
	switch (offset - within) {
	case VIRTIO_COMMON_OFFSET: return read_common(regs, within, be);
	case VIRTIO_ISR_OFFSET: {
		if (within != 0)
			return 0;
		uint8_t isr = regs->isr;
		if (be & 1) /* read to clear, D-108; only if its byte is read, ACC-008 */
			set_isr(regs, now_ps, 0);
		return isr;
	}
	case VIRTIO_DEVICE_OFFSET: return read_device_config(regs, within);
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

static void interrupt(struct virtio_regs *regs, uint64_t now_ps, uint8_t isr, uint16_t vector, bool queue)
{
	if (!regs->ports.control->msix_enable) {
		set_isr(regs, now_ps, regs->isr | isr); /* before the notification: D-105, D-106 */
		return;
	}
	if (isr == ISR_CONFIG)
		regs->isr |= isr;
	if (vector != NO_VECTOR) /* D-130, D-131 */
		regs->ports.msix(regs->ports.ctx, now_ps, vector, queue);
}

void virtio_queue_interrupt(struct virtio_regs *regs, uint64_t now_ps, unsigned queue)
{
	interrupt(regs, now_ps, ISR_QUEUE, regs->queue[queue].msix_vector, true);
}

void virtio_config_interrupt(struct virtio_regs *regs, uint64_t now_ps)
{
	interrupt(regs, now_ps, ISR_CONFIG, regs->config_msix_vector, false);
}

void virtio_control_changed(struct virtio_regs *regs, uint64_t now_ps)
{
	update_intx(regs, now_ps);
}

/* ---- the firmware's side ---- */

static void finish_queue_resets(struct virtio_regs *regs, uint64_t queues)
{
	for (uint64_t left = queues & regs->queues_in_reset; left != 0; left &= left - 1)
		queue_regs_reset(regs, (unsigned)__builtin_ctzll(left));
	regs->queues_in_reset &= ~queues;
}

static uint32_t read_status_written(struct virtio_regs *regs)
{
	uint32_t value = regs->wanted | (regs->reset_seen ? CSR_VIRTIO_STATUS_WRITTEN_RESET_MASK : 0) |
			 (regs->unanswered ? CSR_VIRTIO_STATUS_WRITTEN_PENDING_MASK : 0);
	regs->unseen = regs->reset_seen = false;
	return value;
}

static void write_csr_status(struct virtio_regs *regs, uint64_t now_ps, uint32_t value)
{
	bool answer = value & CSR_VIRTIO_STATUS_ANSWER_MASK;
	if (!answer && regs->resetting)
		return;
	if (answer && regs->unseen)
		return; /* the driver has written again: its reads wait for the answer to that */
	regs->status = (uint8_t)value;
	if (!answer)
		return;
	regs->resetting = regs->unanswered = false;
	regs->ports.answered(regs->ports.ctx, now_ps);
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

bool virtio_csr_read(struct virtio_regs *regs, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	const struct virtio_queue_regs *queue = &regs->queue[regs->csr_queue];
	(void)now_ps;
	if (offset >= CSR_VIRTIO_DEVICE_CONFIG && offset < CSR_VIRTIO_DEVICE_CONFIG + DEVICE_CONFIG_BYTES) {
		*value = load_le32(regs->staged + (offset - CSR_VIRTIO_DEVICE_CONFIG));
		return true;
	}
	switch (offset) {
	case CSR_VIRTIO_STATUS_WRITTEN: *value = read_status_written(regs); break;
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

static void set_num_queues(struct virtio_regs *regs, uint32_t value)
{
	regs->num_queues = min_u32(value & CSR_VIRTIO_NUM_QUEUES_COUNT_MASK, QUEUES_MAX);
}

static void set_queue_size_max(struct virtio_regs *regs, uint32_t value)
{
	regs->queue_size_max = (uint16_t)value;
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		if (!regs->queue[i].enable)
			regs->queue[i].size = regs->queue_size_max;
}

bool virtio_csr_write(struct virtio_regs *regs, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	if (offset >= CSR_VIRTIO_DEVICE_CONFIG && offset < CSR_VIRTIO_DEVICE_CONFIG + DEVICE_CONFIG_BYTES) {
		store_le32(regs->staged + (offset - CSR_VIRTIO_DEVICE_CONFIG), value);
		return true;
	}
	switch (offset) {
	case CSR_VIRTIO_STATUS: write_csr_status(regs, now_ps, value); break;
	case CSR_VIRTIO_DEVICE_FEATURES_LO: set_half(&regs->device_features, false, value); break;
	case CSR_VIRTIO_DEVICE_FEATURES_HI: set_half(&regs->device_features, true, value); break;
	case CSR_VIRTIO_NUM_QUEUES: set_num_queues(regs, value); break;
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
	case CSR_VIRTIO_CONFIG_WRITABLE: regs->writeback_writable = value & 1; break;
	default: {
		uint32_t ignored; /* read-only registers ignore writes, other offsets fault */
		bool unseen = regs->unseen, reset_seen = regs->reset_seen;
		bool known = virtio_csr_read(regs, now_ps, offset, &ignored);
		regs->unseen = unseen;
		regs->reset_seen = reset_seen;
		return known;
	}
	}
	return true;
}

uint32_t virtio_events(const struct virtio_regs *regs)
{
	uint32_t events = 0;
	if (regs->unseen)
		events |= CSR_SYS_EVENTS_STATUS_MASK;
	if (regs->queues_in_reset)
		events |= CSR_SYS_EVENTS_QUEUE_RESET_MASK;
	if (regs->queues_enabled)
		events |= CSR_SYS_EVENTS_QUEUE_ENABLED_MASK;
	if (regs->writeback_written)
		events |= CSR_SYS_EVENTS_CONFIG_WRITE_MASK;
	return events;
}
