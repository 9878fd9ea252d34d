#include "tests/unit/firmware/fixture.h"

#define HEADER        16u
#define SETTLE_LIMIT  100000u
#define QUEUE_BYTES   0x8000u
#define DRIVER_OFFSET 0x4000u
#define DEVICE_OFFSET 0x6000u

void fixture_start(struct fixture *fixture, const struct mock_straps *straps)
{
	*fixture = (struct fixture){.mock = mock_create(straps), .card = calloc(1, sizeof(struct card))};
	assert_non_null(fixture->card);
	card_init(fixture->card);
	settle(fixture);
}

void fixture_free(struct fixture *fixture)
{
	mock_free(fixture->mock);
	free(fixture->card);
}

void turns(struct fixture *fixture, unsigned count)
{
	for (; count != 0; count--)
		card_poll(fixture->card);
}

void settle(struct fixture *fixture)
{
	unsigned left = SETTLE_LIMIT;
	do {
		if (left-- == 0)
			fail_msg("the firmware does not come to rest, events 0x%x",
				 mock_events(fixture->mock));
		fixture->mock->asleep = false;
		card_poll(fixture->card);
	} while (!fixture->mock->asleep);
}

uint8_t write_status(struct fixture *fixture, uint8_t value)
{
	uint8_t status;
	mock_status_write(fixture->mock, value);
	settle(fixture);
	assert_true(mock_status_read(fixture->mock, &status));
	return status;
}

uint8_t negotiate_features(struct fixture *fixture, uint64_t features)
{
	uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE;
	assert_int_equal(write_status(fixture, status), status);
	status |= VIRTIO_CONFIG_S_DRIVER;
	assert_int_equal(write_status(fixture, status), status);
	mock_features_write(fixture->mock, features);
	return write_status(fixture, status | VIRTIO_CONFIG_S_FEATURES_OK);
}

uint64_t queue_address(unsigned queue)
{
	return MOCK_GUEST_BASE + (uint64_t)queue * QUEUE_BYTES;
}

void enable_queue(struct fixture *fixture, unsigned queue, uint16_t size)
{
	uint64_t address = queue_address(queue);
	mock_queue_write(fixture->mock, queue, size, address, address + DRIVER_OFFSET,
			 address + DEVICE_OFFSET);
	mock_queue_enable(fixture->mock, queue);
	fixture->sequence[queue] = 0;
}

void go_live(struct fixture *fixture, uint64_t features)
{
	assert_int_equal(negotiate_features(fixture, features), STATUS_ALL & ~VIRTIO_CONFIG_S_DRIVER_OK);
	for (unsigned i = 0; i < fixture->mock->num_queues; i++)
		enable_queue(fixture, i, 256);
	assert_int_equal(write_status(fixture, STATUS_ALL), STATUS_ALL);
}

unsigned offer(struct fixture *fixture, const struct request *request)
{
	uint16_t sequence = fixture->sequence[request->queue]++;
	int slot = mock_slot_take(fixture->mock, request->queue, sequence % 256, sequence);
	assert_true(slot >= 0);
	struct slot *memory = mock_slot(fixture->mock, (unsigned)slot);
	memory->error = request->error;
	memory->segments = 2;
	memory->readable_segments = 1;
	memory->readable_bytes = HEADER + request->out_bytes;
	memory->writable_bytes = request->in_bytes + 1;
	memory->type = request->type;
	memory->ioprio = 0;
	memory->sector = request->sector;
	mock_record(fixture->mock, (unsigned)slot);
	return (unsigned)slot;
}

unsigned submit(struct fixture *fixture, const struct request *request)
{
	unsigned slot = offer(fixture, request);
	settle(fixture);
	return slot;
}

void end_job(struct fixture *fixture, unsigned slot, uint32_t result, const void *data)
{
	mock_job_end(fixture->mock, slot, result, data);
	settle(fixture);
}

const struct mock_completion *only_completion(const struct fixture *fixture, unsigned before)
{
	assert_int_equal(fixture->mock->completions, before + 1);
	return &fixture->mock->completed[before];
}

static const struct virtio_blk_discard_write_zeroes one_range = {.num_sectors = 8};

void end_all_jobs(struct fixture *fixture, uint32_t result)
{
	struct mock_card *mock = fixture->mock;
	while (mock->jobs != 0) {
		unsigned slot = mock->job_order[0];
		bool ranges = mock->job[slot].job_op == JOB_GUEST_TO_LOCAL;
		mock_job_end(mock, slot, result, ranges ? &one_range : NULL);
		turns(fixture, 4);
	}
}

void fill_stages(struct fixture *fixture, unsigned queue)
{
	struct mock_card *mock = fixture->mock;
	const struct request read = {.queue = queue, .type = VIRTIO_BLK_T_IN, .in_bytes = 4096};
	const struct request discard = {
		.queue = queue, .type = VIRTIO_BLK_T_DISCARD, .out_bytes = sizeof(one_range)};
	const struct request odd = {.queue = queue, .type = VIRTIO_BLK_T_IN, .in_bytes = 1};
	mock->used_stalled = true;
	submit(fixture, &read);    /* in the mover; with IN_ORDER the others wait for it */
	submit(fixture, &discard); /* ranges being read */
	unsigned applied = submit(fixture, &discard);
	end_job(fixture, applied, JOB_RESULT_OK, &one_range);
	for (unsigned i = 0; i < MOCK_PUSHES_MAX + 2; i++) { /* the last two have no room */
		offer(fixture, &odd);
		turns(fixture, 4);
	}
	unsigned done = offer(fixture, &read);
	turns(fixture, 4);
	mock_job_end(mock, done, JOB_RESULT_OK, NULL);
	offer(fixture, &read);
}

unsigned slots_in_use(const struct fixture *fixture)
{
	return fixture->mock->straps.slots - fixture->mock->free_slots;
}
