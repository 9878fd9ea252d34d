#include "tests/unit/firmware/mock_internal.h"

#include "firmware/hal.h"

#define QUEUE_SIZE_BITS 0xffffu

static struct mock_card *the_mock;

void mock_attach(struct mock_card *mock)
{
	the_mock = mock;
}

static void must_be_firmwares(const struct mock_card *mock, uint32_t slot, const char *what)
{
	if (slot >= SLOTS || mock->owner[slot] != MOCK_FIRMWARE)
		fail_msg("%s of slot %u, which is in other hands", what, slot);
}

/* ---- SYS ---- */

uint32_t mock_events(const struct mock_card *mock)
{
	const struct {
		bool there;
		uint32_t event;
	} sources[] = {
		{!fifo_empty(&mock->records), CSR_SYS_EVENTS_RECORD_MASK},
		{!fifo_empty(&mock->done), CSR_SYS_EVENTS_DONE_MASK},
		{!fifo_empty(&mock->copies_done), CSR_SYS_EVENTS_COPY_MASK},
		{!fifo_empty(&mock->services), CSR_SYS_EVENTS_SERVICE_MASK},
		{mock->unseen, CSR_SYS_EVENTS_STATUS_MASK},
		{mock->queues_resetting != 0, CSR_SYS_EVENTS_QUEUE_RESET_MASK},
		{mock->writeback_written, CSR_SYS_EVENTS_CONFIG_WRITE_MASK},
		{mock->function_reset, CSR_SYS_EVENTS_FUNCTION_RESET_MASK},
		{mock->now >= mock->compare, CSR_SYS_EVENTS_TIMER_MASK},
		{!fifo_empty(&mock->mail), CSR_SYS_EVENTS_MAILBOX_MASK},
		{mock->fetch_faults != 0 || mock->used_faults != 0, CSR_SYS_EVENTS_DMA_FAULT_MASK},
		{mock->queues_enabled != 0, CSR_SYS_EVENTS_QUEUE_ENABLED_MASK},
	};
	uint32_t events = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(sources); i++)
		events |= sources[i].there ? sources[i].event : 0;
	return events;
}

static uint32_t engines_busy(struct mock_card *mock)
{
	if (mock->busy_left == 0)
		return 0;
	mock->busy_left--;
	return CSR_SYS_ENGINES_BUSY_DMA_MASK;
}

static bool sys_read(struct mock_card *mock, uint32_t offset, uint32_t *value)
{
	const struct mock_straps *straps = &mock->straps;
	switch (offset) {
	case CSR_SYS_ID: *value = 0x4b53544b; return true;
	case CSR_SYS_VERSION: *value = 1; return true;
	case CSR_SYS_EVENTS: *value = mock_events(mock); return true;
	case CSR_SYS_EVENT_ENABLE: *value = mock->event_enable; return true;
	case CSR_SYS_OFFLOAD: *value = straps->offload; return true;
	case CSR_SYS_FEATURES_LO: *value = (uint32_t)straps->features; return true;
	case CSR_SYS_FEATURES_HI: *value = (uint32_t)(straps->features >> 32); return true;
	case CSR_SYS_QUEUES: *value = straps->queues; return true;
	case CSR_SYS_QUEUE_SIZE: *value = straps->queue_size; return true;
	case CSR_SYS_POLL_CYCLES: *value = straps->poll_cycles; return true;
	case CSR_SYS_SEG_MAX: *value = straps->seg_max; return true;
	case CSR_SYS_SIZE_MAX: *value = straps->size_max; return true;
	case CSR_SYS_ENGINES_BUSY: *value = engines_busy(mock); return true;
	default: return false;
	}
}

static bool sys_write(struct mock_card *mock, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case CSR_SYS_EVENT_ENABLE: mock->event_enable = value; return true;
	case CSR_SYS_READY: mock->ready = value & 1; return true;
	case CSR_SYS_CARD_RESET:
		if (value & 1) {
			mock->busy_left = mock->busy_reads;
			mock_engines_forget(mock);
			mock_all_slots_free(mock);
		}
		return true;
	default: return false;
	}
}

/* ---- VIRTIO, the firmware's side ---- */

static uint32_t half(uint64_t value, bool high)
{
	return (uint32_t)(high ? value >> 32 : value);
}

static uint32_t status_written(struct mock_card *mock)
{
	uint32_t value = mock->wanted | (mock->reset_seen ? CSR_VIRTIO_STATUS_WRITTEN_RESET_MASK : 0) |
			 (mock->unanswered ? CSR_VIRTIO_STATUS_WRITTEN_PENDING_MASK : 0);
	mock->unseen = mock->reset_seen = false;
	return value;
}

static bool virtio_read(struct mock_card *mock, uint32_t offset, uint32_t *value)
{
	const struct mock_queue *queue = &mock->queue[mock->virtio_select];
	if (offset >= CSR_VIRTIO_DEVICE_CONFIG && offset < CSR_VIRTIO_DEVICE_CONFIG + DEVICE_CONFIG_BYTES) {
		*value = load_le32(mock->staged + (offset - CSR_VIRTIO_DEVICE_CONFIG));
		return true;
	}
	switch (offset) {
	case CSR_VIRTIO_STATUS_WRITTEN: *value = status_written(mock); return true;
	case CSR_VIRTIO_STATUS: *value = mock->status; return true;
	case CSR_VIRTIO_DRIVER_FEATURES_LO: *value = half(mock->driver_features, false); return true;
	case CSR_VIRTIO_DRIVER_FEATURES_HI: *value = half(mock->driver_features, true); return true;
	case CSR_VIRTIO_DRIVER_FEATURES_BAD: *value = mock->driver_features_bad; return true;
	case CSR_VIRTIO_QUEUE_SIZE: *value = queue->size; return true;
	case CSR_VIRTIO_QUEUE_ENABLE: *value = queue->enable; return true;
	case CSR_VIRTIO_QUEUE_DESC_LO: *value = half(queue->desc, false); return true;
	case CSR_VIRTIO_QUEUE_DESC_HI: *value = half(queue->desc, true); return true;
	case CSR_VIRTIO_QUEUE_DRIVER_LO: *value = half(queue->driver, false); return true;
	case CSR_VIRTIO_QUEUE_DRIVER_HI: *value = half(queue->driver, true); return true;
	case CSR_VIRTIO_QUEUE_DEVICE_LO: *value = half(queue->device, false); return true;
	case CSR_VIRTIO_QUEUE_DEVICE_HI: *value = half(queue->device, true); return true;
	case CSR_VIRTIO_QUEUE_RESET_LO: *value = half(mock->queues_resetting, false); return true;
	case CSR_VIRTIO_QUEUE_RESET_HI: *value = half(mock->queues_resetting, true); return true;
	case CSR_VIRTIO_QUEUE_ENABLED_LO: *value = half(mock->queues_enabled, false); return true;
	case CSR_VIRTIO_QUEUE_ENABLED_HI: *value = half(mock->queues_enabled, true); return true;
	default: return false;
	}
}

/* An answer to writes the firmware has not seen all of is none: the driver's reads wait on. */
static void write_status(struct mock_card *mock, uint32_t value)
{
	bool answer = value & CSR_VIRTIO_STATUS_ANSWER_MASK;
	if (answer ? mock->unseen : mock->resetting)
		return;
	mock->status = (uint8_t)value;
	if (answer)
		mock->resetting = mock->unanswered = false;
}

static void finish_queue_resets(struct mock_card *mock, uint64_t queues)
{
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		if (queues & mock->queues_resetting & UINT64_C(1) << i)
			mock_queue_defaults(mock, i);
	mock->queues_resetting &= ~queues;
}

static void config_changed(struct mock_card *mock, uint32_t value)
{
	if (value & CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK) {
		memcpy(mock->shown, mock->staged, sizeof(mock->shown));
		mock->commits++;
	}
	mock->config_interrupts += (value & CSR_VIRTIO_CONFIG_CHANGED_NOTIFY_MASK) != 0;
}

static void set_queue_size_max(struct mock_card *mock, uint32_t value)
{
	mock->queue_size_max = value & QUEUE_SIZE_BITS;
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		if (!mock->queue[i].enable)
			mock->queue[i].size = (uint16_t)mock->queue_size_max;
}

static bool virtio_write(struct mock_card *mock, uint32_t offset, uint32_t value)
{
	if (offset >= CSR_VIRTIO_DEVICE_CONFIG && offset < CSR_VIRTIO_DEVICE_CONFIG + DEVICE_CONFIG_BYTES) {
		store_le32(mock->staged + (offset - CSR_VIRTIO_DEVICE_CONFIG), value);
		return true;
	}
	switch (offset) {
	case CSR_VIRTIO_STATUS: write_status(mock, value); return true;
	case CSR_VIRTIO_DEVICE_FEATURES_LO: set_half(&mock->device_features, false, value); return true;
	case CSR_VIRTIO_DEVICE_FEATURES_HI: set_half(&mock->device_features, true, value); return true;
	case CSR_VIRTIO_NUM_QUEUES: mock->num_queues = value; return true;
	case CSR_VIRTIO_QUEUE_SIZE_MAX: set_queue_size_max(mock, value); return true;
	case CSR_VIRTIO_QUEUE_SELECT: mock->virtio_select = value % QUEUES_MAX; return true;
	case CSR_VIRTIO_QUEUE_RESET_LO: finish_queue_resets(mock, value); return true;
	case CSR_VIRTIO_QUEUE_RESET_HI: finish_queue_resets(mock, (uint64_t)value << 32); return true;
	case CSR_VIRTIO_QUEUE_ENABLED_LO: mock->queues_enabled &= ~(uint64_t)value; return true;
	case CSR_VIRTIO_QUEUE_ENABLED_HI: mock->queues_enabled &= ~((uint64_t)value << 32); return true;
	case CSR_VIRTIO_CONFIG_CHANGED: config_changed(mock, value); return true;
	case CSR_VIRTIO_CONFIG_WRITTEN: mock->writeback_written &= !(value & 1); return true;
	case CSR_VIRTIO_CONFIG_WRITABLE: mock->writeback_writable = value & 1; return true;
	default: return false;
	}
}

/* ---- NOTIFY ---- */

void mock_make_pending(struct mock_card *mock, unsigned queue)
{
	if (mock->straps.offload != OFFLOAD_FIRMWARE || mock->queue[queue].service)
		return;
	mock->queue[queue].service = true;
	fifo_push(&mock->services, queue);
}

static uint32_t pop_service(struct mock_card *mock)
{
	while (!fifo_empty(&mock->services)) {
		uint32_t queue = fifo_pop(&mock->services);
		mock->queue[queue].service = false;
		if (mock->doorbells_enabled >> queue & 1)
			return queue | CSR_NOTIFY_SERVICE_VALID_MASK;
	}
	return 0;
}

static bool notify_read(struct mock_card *mock, uint32_t offset, uint32_t *value)
{
	switch (offset) {
	case CSR_NOTIFY_ENABLE_LO: *value = half(mock->doorbells_enabled, false); return true;
	case CSR_NOTIFY_ENABLE_HI: *value = half(mock->doorbells_enabled, true); return true;
	case CSR_NOTIFY_SERVICE: *value = pop_service(mock); return true;
	default: return false;
	}
}

static bool notify_write(struct mock_card *mock, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case CSR_NOTIFY_ENABLE_LO: set_half(&mock->doorbells_enabled, false, value); return true;
	case CSR_NOTIFY_ENABLE_HI: set_half(&mock->doorbells_enabled, true, value); return true;
	case CSR_NOTIFY_KICK:
		if (mock->doorbells_enabled >> value & 1) { /* else a function reset was quicker */
			mock->queue[value].kicks++;
			mock_make_pending(mock, value);
		}
		return true;
	case CSR_NOTIFY_DATA_MODE: mock->data_mode = value & 1; return true;
	default: return false;
	}
}

/* ---- FETCH ---- */

static uint32_t pop_record(struct mock_card *mock)
{
	if (fifo_empty(&mock->records))
		return 0;
	uint32_t slot = fifo_pop(&mock->records);
	mock_hand_over(mock, slot, MOCK_FIRMWARE);
	return slot | CSR_FETCH_RECORD_VALID_MASK;
}

static uint32_t alloc_slot(struct mock_card *mock)
{
	int slot = mock_take_slot(mock, MOCK_FETCH);
	if (slot < 0)
		return 0;
	mock_hand_over(mock, (unsigned)slot, MOCK_FIRMWARE);
	return (uint32_t)slot | CSR_FETCH_SLOT_ALLOC_VALID_MASK;
}

static bool fetch_read(struct mock_card *mock, uint32_t offset, uint32_t *value)
{
	const struct mock_queue *queue = &mock->queue[mock->fetch_select];
	switch (offset) {
	case CSR_FETCH_RECORD: *value = pop_record(mock); return true;
	case CSR_FETCH_SLOT_ALLOC: *value = alloc_slot(mock); return true;
	case CSR_FETCH_QUEUE_STATE: *value = queue->fetch_busy; return true;
	case CSR_FETCH_FAULT_LO: *value = half(mock->fetch_faults, false); return true;
	case CSR_FETCH_FAULT_HI: *value = half(mock->fetch_faults, true); return true;
	default: return false;
	}
}

static bool fetch_write(struct mock_card *mock, uint32_t offset, uint32_t value)
{
	if (offset >= CSR_FETCH_QUEUE_DESC_LO && offset <= CSR_FETCH_QUEUE_CONTROL) {
		struct mock_queue *queue = &mock->queue[mock->fetch_select];
		uint32_t *word = &queue->fetch[(offset - CSR_FETCH_QUEUE_DESC_LO) / 4];
		queue->starts += offset == CSR_FETCH_QUEUE_CONTROL && !(*word & 1) && (value & 1);
		*word = value;
		return true;
	}
	switch (offset) {
	case CSR_FETCH_SLOT_FREE:
		must_be_firmwares(mock, value, "freeing");
		mock_give_slot(mock, value);
		return true;
	case CSR_FETCH_QUEUE_SELECT: mock->fetch_select = value % QUEUES_MAX; return true;
	case CSR_FETCH_FAULT_LO: mock->fetch_faults &= ~(uint64_t)value; return true;
	case CSR_FETCH_FAULT_HI: mock->fetch_faults &= ~((uint64_t)value << 32); return true;
	default: return false;
	}
}

/* ---- DIRECT ---- */

static bool direct_read(struct mock_card *mock, uint32_t offset, uint32_t *value)
{
	switch (offset) {
	case CSR_DIRECT_ENABLE_LO: *value = half(mock->direct_enabled, false); return true;
	case CSR_DIRECT_ENABLE_HI: *value = half(mock->direct_enabled, true); return true;
	case CSR_DIRECT_QUEUE_STATE: *value = mock->direct_busy >> mock->direct_select & 1; return true;
	default: return false;
	}
}

static bool direct_write(struct mock_card *mock, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case CSR_DIRECT_ENABLE_LO: set_half(&mock->direct_enabled, false, value); return true;
	case CSR_DIRECT_ENABLE_HI: set_half(&mock->direct_enabled, true, value); return true;
	case CSR_DIRECT_CONTROL: mock->direct_control = value; return true;
	case CSR_DIRECT_SECTORS_LO: set_half(&mock->direct_sectors, false, value); return true;
	case CSR_DIRECT_SECTORS_HI: set_half(&mock->direct_sectors, true, value); return true;
	case CSR_DIRECT_QUEUE_SELECT: mock->direct_select = value % QUEUES_MAX; return true;
	default: return false;
	}
}

/* ---- MOVER ---- */

/* What the mover refuses, or can only do harm with. */
static void check_job(const struct slot *slot)
{
	bool to_guest = slot->job_op == JOB_READ || slot->job_op == JOB_LOCAL_TO_GUEST;
	bool local = slot->job_op == JOB_LOCAL_TO_GUEST || slot->job_op == JOB_GUEST_TO_LOCAL;
	uint64_t room = to_guest ? slot->writable_bytes : slot->readable_bytes;
	assert_in_range(slot->job_op, JOB_READ, JOB_GUEST_TO_LOCAL);
	if (slot->job_op == JOB_FLUSH)
		return;
	if (!local)
		assert_int_equal(slot->job_offset % 512, 0);
	if (slot->job_op == JOB_DISCARD || slot->job_op == JOB_WRITE_ZEROES ||
	    slot->job_op == JOB_SECURE_ERASE) {
		assert_true(slot->job_range_bytes != 0 && slot->job_range_bytes % 512 == 0);
		return;
	}
	assert_in_range(slot->job_bytes, 1, local ? SLOT_LOCAL_BYTES : UINT32_MAX);
	assert_true((uint64_t)slot->job_skip + slot->job_bytes <= room - to_guest);
}

static void push_job(struct mock_card *mock, uint32_t slot)
{
	must_be_firmwares(mock, slot, "job");
	memcpy(&mock->job[slot], mock_slot_memory(mock, slot), sizeof(struct slot));
	memcpy(mock->job_local[slot], mock_slot_memory(mock, slot) + SLOT_LOCAL_OFFSET, SLOT_LOCAL_BYTES);
	memcpy(mock->job_segments[slot], mock_slot_memory(mock, slot) + SLOT_SEGMENT_OFFSET,
	       sizeof(mock->job_segments[slot]));
	check_job(&mock->job[slot]);
	mock_hand_over(mock, slot, MOCK_JOB);
	mock->job_order[mock->jobs++] = (uint16_t)slot;
	mock->jobs_started++;
}

static uint32_t pop_done(struct mock_card *mock)
{
	if (fifo_empty(&mock->done))
		return 0;
	uint32_t slot = fifo_pop(&mock->done);
	mock_hand_over(mock, slot, MOCK_FIRMWARE);
	return slot | CSR_MOVER_DONE_VALID_MASK;
}

static bool mover_read(struct mock_card *mock, uint32_t offset, uint32_t *value)
{
	if (offset != CSR_MOVER_DONE)
		return false;
	*value = pop_done(mock);
	return true;
}

static bool mover_write(struct mock_card *mock, uint32_t offset, uint32_t value)
{
	if (offset != CSR_MOVER_JOB)
		return false;
	push_job(mock, value);
	return true;
}

/* ---- COPY ---- */

static void start_copy(struct mock_card *mock, uint32_t value)
{
	struct mock_copy copy = {
		.host = mock->copy_host,
		.local = mock->copy_local,
		.bytes = value & CSR_COPY_START_BYTES_MASK,
		.to_guest = value & CSR_COPY_START_TO_GUEST_MASK,
		.tag = (uint16_t)(value >> CSR_COPY_START_TAG_SHIFT),
	};
	assert_true(mock->copies + mock->copies_taken < MOCK_COPIES_MAX);
	assert_in_range(copy.bytes, 1, 4096);
	assert_true(copy.local <= SRAM_BYTES - copy.bytes);
	if (copy.local < SRAM_SCRATCH_OFFSET)
		must_be_firmwares(mock, copy.local / SLOT_BYTES, "copy");
	mock->copy[mock->copies++] = copy;
}

static uint32_t pop_copy(struct mock_card *mock)
{
	if (fifo_empty(&mock->copies_done))
		return 0;
	mock->copies_taken--;
	return fifo_pop(&mock->copies_done) | CSR_COPY_DONE_VALID_MASK;
}

static bool copy_read(struct mock_card *mock, uint32_t offset, uint32_t *value)
{
	switch (offset) {
	case CSR_COPY_DONE: *value = pop_copy(mock); return true;
	case CSR_COPY_STATE: *value = MOCK_COPIES_MAX - mock->copies - mock->copies_taken; return true;
	default: return false;
	}
}

static bool copy_write(struct mock_card *mock, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case CSR_COPY_HOST_LO: set_half(&mock->copy_host, false, value); return true;
	case CSR_COPY_HOST_HI: set_half(&mock->copy_host, true, value); return true;
	case CSR_COPY_LOCAL: mock->copy_local = value & CSR_COPY_LOCAL_OFFSET_MASK; return true;
	case CSR_COPY_START: start_copy(mock, value); return true;
	default: return false;
	}
}

/* ---- USED ---- */

static void push_completion(struct mock_card *mock, uint32_t value)
{
	uint32_t slot = value & CSR_USED_PUSH_SLOT_MASK;
	must_be_firmwares(mock, slot, "completion");
	assert_true(fifo_count(&mock->pushes) < MOCK_PUSHES_MAX);
	mock->push_len[slot] = mock->push_bytes;
	mock->push_queue[slot] = ((const struct slot *)(const void *)mock_slot_memory(mock, slot))->queue;
	mock_hand_over(mock, slot, MOCK_USED);
	fifo_push(&mock->pushes, value);
	if (!mock->used_stalled)
		mock_used_run(mock, 1);
}

static bool used_ring_writer_holds(const struct mock_card *mock, unsigned queue)
{
	bool holds = mock->queue[queue].used_busy;
	for (unsigned i = mock->pushes.head; i != mock->pushes.tail; i++)
		holds |= mock->push_queue[mock->pushes.entry[i % ARRAY_SIZE(mock->pushes.entry)] & 0xffff] ==
			 queue;
	return holds;
}

static bool used_read(struct mock_card *mock, uint32_t offset, uint32_t *value)
{
	switch (offset) {
	case CSR_USED_STATE: *value = MOCK_PUSHES_MAX - fifo_count(&mock->pushes); return true;
	case CSR_USED_QUEUE_STATE: *value = used_ring_writer_holds(mock, mock->used_select); return true;
	case CSR_USED_FAULT_LO: *value = half(mock->used_faults, false); return true;
	case CSR_USED_FAULT_HI: *value = half(mock->used_faults, true); return true;
	default: return false;
	}
}

static bool used_write(struct mock_card *mock, uint32_t offset, uint32_t value)
{
	if (offset >= CSR_USED_QUEUE_USED_LO && offset <= CSR_USED_QUEUE_CONTROL) {
		mock->queue[mock->used_select].used[(offset - CSR_USED_QUEUE_USED_LO) / 4] = value;
		return true;
	}
	switch (offset) {
	case CSR_USED_PUSH_BYTES: mock->push_bytes = value; return true;
	case CSR_USED_PUSH: push_completion(mock, value); return true;
	case CSR_USED_QUEUE_SELECT: mock->used_select = value % QUEUES_MAX; return true;
	case CSR_USED_FAULT_LO: mock->used_faults &= ~(uint64_t)value; return true;
	case CSR_USED_FAULT_HI: mock->used_faults &= ~((uint64_t)value << 32); return true;
	default: return false;
	}
}

/* ---- TIMER, UART, MAILBOX, MEDIA, PCIE ---- */

static bool timer_read(struct mock_card *mock, uint32_t offset, uint32_t *value)
{
	switch (offset) {
	case CSR_TIMER_TIME_LO:
		mock->latched_hi = half(mock->now, true);
		*value = half(mock->now, false);
		return true;
	case CSR_TIMER_TIME_HI: *value = mock->latched_hi; return true;
	default: return false;
	}
}

static bool timer_write(struct mock_card *mock, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case CSR_TIMER_COMPARE_LO: mock->compare_lo = value; return true;
	case CSR_TIMER_COMPARE_HI: mock->compare = (uint64_t)value << 32 | mock->compare_lo; return true;
	default: return false;
	}
}

static bool uart_write(struct mock_card *mock, uint32_t offset, uint32_t value)
{
	if (offset != CSR_UART_TRANSMIT)
		return false;
	if (mock->console_bytes < sizeof(mock->console) - 1)
		mock->console[mock->console_bytes++] = (char)value;
	return true;
}

static bool mailbox_read(struct mock_card *mock, uint32_t offset, uint32_t *value)
{
	if (offset != CSR_MAILBOX_RECEIVE)
		return false;
	*value = fifo_empty(&mock->mail) ? 0 : fifo_pop(&mock->mail) | CSR_MAILBOX_RECEIVE_VALID_MASK;
	return true;
}

static bool mailbox_write(struct mock_card *mock, uint32_t offset, uint32_t value)
{
	if (offset != CSR_MAILBOX_REPLY)
		return false;
	mock->replies[mock->reply_count++ % ARRAY_SIZE(mock->replies)] = value;
	return true;
}

static bool media_read(struct mock_card *mock, uint32_t offset, uint32_t *value)
{
	const struct mock_straps *straps = &mock->straps;
	if (offset >= CSR_MEDIA_SERIAL && offset < CSR_MEDIA_SERIAL + sizeof(straps->serial)) {
		*value = load_le32(straps->serial + (offset - CSR_MEDIA_SERIAL));
		return true;
	}
	switch (offset) {
	case CSR_MEDIA_SECTORS_LO: *value = half(straps->sectors, false); return true;
	case CSR_MEDIA_SECTORS_HI: *value = half(straps->sectors, true); return true;
	case CSR_MEDIA_FLAGS: *value = straps->media_flags; return true;
	case CSR_MEDIA_BLOCK_BYTES: *value = straps->block_bytes; return true;
	case CSR_MEDIA_PHYSICAL_EXP: *value = straps->physical_exp; return true;
	case CSR_MEDIA_OPTIMAL_BLOCKS: *value = straps->optimal_blocks; return true;
	case CSR_MEDIA_LIFETIME: *value = straps->lifetime; return true;
	default: return false;
	}
}

static bool pcie_write(struct mock_card *mock, uint32_t offset, uint32_t value)
{
	if (offset != CSR_PCIE_FUNCTION_RESET)
		return false;
	if (value & 1) {
		mock->function_reset = false;
		mock->function_resets_done++;
	}
	return true;
}

/* ---- the HAL ---- */

static const struct {
	bool (*read)(struct mock_card *mock, uint32_t offset, uint32_t *value);
	bool (*write)(struct mock_card *mock, uint32_t offset, uint32_t value);
} blocks[] = {
	[CSR_SYS_INDEX] = {sys_read, sys_write},
	[CSR_VIRTIO_INDEX] = {virtio_read, virtio_write},
	[CSR_NOTIFY_INDEX] = {notify_read, notify_write},
	[CSR_FETCH_INDEX] = {fetch_read, fetch_write},
	[CSR_DIRECT_INDEX] = {direct_read, direct_write},
	[CSR_MOVER_INDEX] = {mover_read, mover_write},
	[CSR_COPY_INDEX] = {copy_read, copy_write},
	[CSR_USED_INDEX] = {used_read, used_write},
	[CSR_TIMER_INDEX] = {timer_read, timer_write},
	[CSR_UART_INDEX] = {NULL, uart_write},
	[CSR_MAILBOX_INDEX] = {mailbox_read, mailbox_write},
	[CSR_MEDIA_INDEX] = {media_read, NULL},
	[CSR_PCIE_INDEX] = {NULL, pcie_write},
};

static void let_others_act(struct mock_card *mock, bool write, uint32_t addr)
{
	if (mock->meanwhile)
		mock->meanwhile(mock->meanwhile_ctx, write, addr);
}

static void log_access(struct mock_card *mock, bool write, uint32_t addr, uint32_t value)
{
	if (mock->log_count == mock->log_room) {
		mock->log_room = mock->log_room ? 2 * mock->log_room : 1024;
		mock->log = realloc(mock->log, mock->log_room * sizeof(*mock->log));
		assert_non_null(mock->log);
	}
	mock->log[mock->log_count++] = (struct mock_access){write, addr, value};
}

uint32_t reg_read(uint32_t addr)
{
	uint32_t block = (addr - CSR_BASE) / CSR_WINDOW_BYTES, value = 0;
	let_others_act(the_mock, false, addr);
	if (block >= ARRAY_SIZE(blocks) || !blocks[block].read ||
	    !blocks[block].read(the_mock, addr % CSR_WINDOW_BYTES, &value))
		fail_msg("read of 0x%08x", addr);
	log_access(the_mock, false, addr, value);
	return value;
}

void reg_write(uint32_t addr, uint32_t value)
{
	uint32_t block = (addr - CSR_BASE) / CSR_WINDOW_BYTES;
	let_others_act(the_mock, true, addr);
	log_access(the_mock, true, addr, value);
	if (block >= ARRAY_SIZE(blocks) || !blocks[block].write ||
	    !blocks[block].write(the_mock, addr % CSR_WINDOW_BYTES, value))
		fail_msg("write of 0x%08x", addr);
}

uint8_t *hal_sram(void)
{
	return the_mock->sram;
}

void hal_wait(void)
{
	the_mock->asleep = (mock_events(the_mock) & the_mock->event_enable) == 0;
}

void hal_panic(uint32_t code)
{
	fail_msg("firmware panic %u", code);
	abort(); /* fail_msg does not come back */
}
