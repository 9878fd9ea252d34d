#include "tests/unit/firmware/mock_internal.h"

#include <linux/virtio_config.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(addr, bytes)   ((void)(addr), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(addr, bytes) ((void)(addr), (void)(bytes))
#endif

#define GARBAGE        0xa5
#define RING_RESET_BIT 40   /* VIRTIO_F_RING_RESET, virtio 1.4 §6 */
#define WRITEBACK      0x20 /* in struct virtio_blk_config, virtio 1.4 §5.2.4 */

/* ---- slots and who has them ---- */

uint8_t *mock_slot_memory(const struct mock_card *mock, unsigned slot)
{
	return mock->sram + (size_t)slot * SLOT_BYTES;
}

void mock_hand_over(struct mock_card *mock, unsigned slot, enum mock_owner owner)
{
	ASAN_UNPOISON_MEMORY_REGION(mock_slot_memory(mock, slot), SLOT_BYTES);
	if (owner == MOCK_FREE || owner == MOCK_FETCH)
		memset(mock_slot_memory(mock, slot), GARBAGE, SLOT_BYTES);
	mock->owner[slot] = owner;
	if (owner != MOCK_FIRMWARE && owner != MOCK_FETCH)
		ASAN_POISON_MEMORY_REGION(mock_slot_memory(mock, slot), SLOT_BYTES);
}

int mock_take_slot(struct mock_card *mock, enum mock_owner owner)
{
	if (mock->free_slots == 0)
		return -1;
	unsigned slot = mock->free_slot[--mock->free_slots];
	mock_hand_over(mock, slot, owner);
	return (int)slot;
}

void mock_give_slot(struct mock_card *mock, unsigned slot)
{
	mock_hand_over(mock, slot, MOCK_FREE);
	mock->free_slot[mock->free_slots++] = (uint16_t)slot;
}

void mock_all_slots_free(struct mock_card *mock)
{
	mock->free_slots = 0;
	for (unsigned i = mock->straps.slots; i-- != 0;)
		mock_give_slot(mock, i);
}

void mock_open_slot(struct mock_card *mock, unsigned slot)
{
	ASAN_UNPOISON_MEMORY_REGION(mock_slot_memory(mock, slot), SLOT_BYTES);
}

/* ---- creation, log ---- */

struct mock_straps mock_default_straps(void)
{
	return (struct mock_straps){
		.offload = OFFLOAD_FETCH,
		.queues = 1,
		.queue_size = 256,
		.seg_max = 126,
		.features = ~(UINT64_C(1) << 5), /* all but VIRTIO_BLK_F_RO */
		.sectors = 2048,
		.media_flags = CSR_MEDIA_FLAGS_FLUSH_MASK | CSR_MEDIA_FLAGS_DISCARD_MASK |
			       CSR_MEDIA_FLAGS_WRITE_ZEROES_MASK | CSR_MEDIA_FLAGS_SECURE_ERASE_MASK |
			       CSR_MEDIA_FLAGS_LIFETIME_MASK,
		.block_bytes = 512,
		.physical_exp = 3,
		.optimal_blocks = 32,
		.lifetime = 0x040301,
		.serial = "kickstand-0123456789",
		.slots = SLOTS,
	};
}

struct mock_card *mock_create(const struct mock_straps *straps)
{
	struct mock_card *mock = calloc(1, sizeof(*mock));
	assert_non_null(mock);
	mock->straps = *straps;
	mock->sram = aligned_alloc(64, SRAM_BYTES);
	mock->guest = calloc(1, MOCK_GUEST_BYTES);
	assert_true(mock->sram && mock->guest);
	memset(mock->sram, GARBAGE, SRAM_BYTES);
	mock->compare = UINT64_MAX;
	mock_all_slots_free(mock);
	mock_attach(mock);
	return mock;
}

void mock_free(struct mock_card *mock)
{
	ASAN_UNPOISON_MEMORY_REGION(mock->sram, SRAM_BYTES);
	free(mock->completed);
	free(mock->log);
	free(mock->guest);
	free(mock->sram);
	free(mock);
	mock_attach(NULL);
}

void mock_log_clear(struct mock_card *mock)
{
	mock->log_count = 0;
}

unsigned mock_count(const struct mock_card *mock, bool write, uint32_t addr)
{
	unsigned count = 0;
	for (size_t i = 0; i < mock->log_count; i++)
		count += mock->log[i].write == write && mock->log[i].addr == addr;
	return count;
}

long mock_last(const struct mock_card *mock, bool write, uint32_t addr, uint32_t *value)
{
	for (size_t i = mock->log_count; i-- != 0;) {
		if (mock->log[i].write != write || mock->log[i].addr != addr)
			continue;
		if (value)
			*value = mock->log[i].value;
		return (long)i;
	}
	return -1;
}

void mock_engines_forget(struct mock_card *mock)
{
	mock->records.head = mock->records.tail;
	mock->done.head = mock->done.tail;
	mock->services.head = mock->services.tail;
	mock->pushes.head = mock->pushes.tail;
	mock->copies_done.head = mock->copies_done.tail;
	mock->jobs = mock->copies = mock->copies_taken = 0;
	mock->fetch_faults = mock->used_faults = 0;
	mock->doorbells_enabled = 0;
	mock->direct_enabled = 0;
	mock->data_mode = false;
	for (unsigned i = 0; i < QUEUES_MAX; i++) {
		struct mock_queue *queue = &mock->queue[i];
		memset(queue->fetch, 0, sizeof(queue->fetch));
		memset(queue->used, 0, sizeof(queue->used));
		queue->fetch_busy = queue->used_busy = queue->service = false;
	}
}

/* ---- the driver's side ---- */

void mock_queue_defaults(struct mock_card *mock, unsigned index)
{
	struct mock_queue *queue = &mock->queue[index];
	queue->size = (uint16_t)mock->queue_size_max;
	queue->enable = false;
	queue->desc = queue->driver = queue->device = 0;
}

/* What a virtio reset does to the driver's registers (virtio 1.4 §2.4, §4.1.4.3.1). */
static void driver_registers_reset(struct mock_card *mock)
{
	mock->wanted = 0;
	mock->driver_features = 0;
	mock->driver_features_bad = false;
	mock->queues_resetting = mock->queues_enabled = 0;
	mock->writeback_writable = mock->writeback_written = false;
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		mock_queue_defaults(mock, i);
}

void mock_status_write(struct mock_card *mock, uint8_t value)
{
	const uint8_t drivers = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
				VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK |
				VIRTIO_CONFIG_S_FAILED;
	if (value != 0 && mock->resetting)
		return;
	if (value == 0) {
		driver_registers_reset(mock);
		mock->reset_seen = true;
		mock->resetting = mock->status & VIRTIO_CONFIG_S_DRIVER_OK;
		mock->status = mock->resetting ? mock->status : 0;
	}
	mock->wanted |= value & drivers;
	mock->unseen = mock->unanswered = true;
}

bool mock_status_read(const struct mock_card *mock, uint8_t *value)
{
	*value = mock->status;
	return mock->resetting || !mock->unanswered;
}

void mock_features_write(struct mock_card *mock, uint64_t features)
{
	if (!(mock->wanted & VIRTIO_CONFIG_S_FEATURES_OK))
		mock->driver_features = features;
}

void mock_queue_write(struct mock_card *mock, unsigned queue, uint16_t size, uint64_t desc, uint64_t driver,
		      uint64_t device)
{
	struct mock_queue *registers = &mock->queue[queue];
	if (registers->enable)
		return;
	registers->size = size;
	registers->desc = desc;
	registers->driver = driver;
	registers->device = device;
}

void mock_queue_enable(struct mock_card *mock, unsigned queue)
{
	if (queue >= mock->num_queues || mock->queue[queue].enable)
		return;
	mock->queue[queue].enable = true;
	mock->queues_enabled |= UINT64_C(1) << queue;
}

void mock_queue_reset(struct mock_card *mock, unsigned queue)
{
	if (mock->queue[queue].enable && mock->driver_features >> RING_RESET_BIT & 1)
		mock->queues_resetting |= UINT64_C(1) << queue;
}

bool mock_queue_in_reset(const struct mock_card *mock, unsigned queue)
{
	return mock->queues_resetting >> queue & 1;
}

void mock_writeback_write(struct mock_card *mock, uint8_t value)
{
	if (!mock->writeback_writable)
		return;
	mock->shown[WRITEBACK] = mock->staged[WRITEBACK] = value != 0;
	mock->writeback_written = true;
}

void mock_doorbell(struct mock_card *mock, unsigned queue)
{
	if (mock->doorbells_enabled >> queue & 1)
		mock_make_pending(mock, queue);
}

/* It may come in the middle of what the firmware does with a slot: those it has stay with it until it starts over. */
void mock_function_reset(struct mock_card *mock)
{
	mock_engines_forget(mock);
	mock->free_slots = 0;
	for (unsigned i = 0; i < mock->straps.slots; i++)
		if (mock->owner[i] != MOCK_FIRMWARE)
			mock_give_slot(mock, i);
	driver_registers_reset(mock);
	mock->status = 0;
	mock->unseen = mock->unanswered = mock->reset_seen = mock->resetting = false;
	mock->function_reset = true;
}

/* ---- the engines' side ---- */

struct slot *mock_slot(struct mock_card *mock, unsigned slot)
{
	void *memory = mock_slot_memory(mock, slot);
	assert_int_equal(mock->owner[slot], MOCK_FETCH);
	return memory;
}

int mock_slot_take(struct mock_card *mock, unsigned queue, uint16_t head, uint16_t sequence)
{
	int slot = mock_take_slot(mock, MOCK_FETCH);
	if (slot < 0)
		return -1;
	struct slot *memory = mock_slot(mock, (unsigned)slot);
	memory->queue = (uint16_t)queue;
	memory->head = head;
	memory->sequence = sequence;
	return slot;
}

void mock_record(struct mock_card *mock, unsigned slot)
{
	assert_int_equal(mock->owner[slot], MOCK_FETCH);
	mock_hand_over(mock, slot, MOCK_RECORD);
	fifo_push(&mock->records, slot);
}

static void job_forget(struct mock_card *mock, unsigned slot)
{
	unsigned at = 0;
	while (mock->job_order[at] != slot)
		at++;
	mock->jobs--;
	memmove(&mock->job_order[at], &mock->job_order[at + 1],
		(mock->jobs - at) * sizeof(mock->job_order[0]));
}

void mock_job_end(struct mock_card *mock, unsigned slot, uint32_t result, const void *data)
{
	void *memory = mock_slot_memory(mock, slot);
	assert_int_equal(mock->owner[slot], MOCK_JOB);
	mock_hand_over(mock, slot, MOCK_FIRMWARE);
	((struct slot *)memory)->job_result = result;
	((struct slot *)memory)->job_done_bytes = result == JOB_RESULT_OK ? mock->job[slot].job_bytes : 0;
	if (data)
		memcpy(mock_slot_memory(mock, slot) + SLOT_LOCAL_OFFSET, data, mock->job[slot].job_bytes);
	mock_hand_over(mock, slot, MOCK_DONE);
	job_forget(mock, slot);
	fifo_push(&mock->done, slot);
}

static bool in_guest(uint64_t addr, uint64_t bytes)
{
	return addr >= MOCK_GUEST_BASE && addr - MOCK_GUEST_BASE <= MOCK_GUEST_BYTES - bytes;
}

void *mock_guest(struct mock_card *mock, uint64_t addr, uint64_t bytes)
{
	assert_true(in_guest(addr, bytes));
	return mock->guest + (addr - MOCK_GUEST_BASE);
}

bool mock_copy_may_run(const struct mock_card *mock, unsigned index)
{
	for (unsigned i = 0; i < index; i++)
		if (mock->copy[i].to_guest)
			return false;
	return index < mock->copies;
}

/* Reads outside guest memory fail; writes are posted, so nobody hears of theirs. */
void mock_copy_run(struct mock_card *mock, unsigned index, bool fail)
{
	struct mock_copy copy = mock->copy[index];
	uint8_t *local = mock->sram + copy.local;
	bool reached = in_guest(copy.host, copy.bytes) && !fail;
	assert_true(mock_copy_may_run(mock, index));
	if (reached && copy.to_guest)
		memcpy(mock_guest(mock, copy.host, copy.bytes), local, copy.bytes);
	else if (reached)
		memcpy(local, mock_guest(mock, copy.host, copy.bytes), copy.bytes);
	mock->copies--;
	mock->copies_taken++;
	memmove(&mock->copy[index], &mock->copy[index + 1], (mock->copies - index) * sizeof(copy));
	fifo_push(&mock->copies_done, copy.tag | (reached || copy.to_guest ? 0 : CSR_COPY_DONE_ERROR_MASK));
}

static void note_completion(struct mock_card *mock, uint32_t pushed)
{
	uint32_t slot = pushed & CSR_USED_PUSH_SLOT_MASK;
	mock_open_slot(mock, slot);
	const void *memory = mock_slot_memory(mock, slot);
	const struct slot *request = memory;
	if ((mock->completions & (mock->completions + 1)) == 0) { /* 0, 1, 3, 7, …: room for as many again */
		size_t room = 2 * ((size_t)mock->completions + 1);
		mock->completed = realloc(mock->completed, room * sizeof(*mock->completed));
		assert_non_null(mock->completed);
	}
	mock->completed[mock->completions++] = (struct mock_completion){
		.slot = (uint16_t)slot,
		.queue = request->queue,
		.head = request->head,
		.sequence = request->sequence,
		.status = (uint8_t)(pushed >> CSR_USED_PUSH_STATUS_SHIFT),
		.len = mock->push_len[slot],
		.written = mock->queue[request->queue].used[5] & CSR_USED_QUEUE_CONTROL_RUN_MASK,
	};
}

void mock_used_run(struct mock_card *mock, unsigned limit)
{
	for (; limit != 0 && !fifo_empty(&mock->pushes); limit--) {
		uint32_t pushed = fifo_pop(&mock->pushes);
		note_completion(mock, pushed);
		mock_give_slot(mock, pushed & CSR_USED_PUSH_SLOT_MASK);
	}
}
