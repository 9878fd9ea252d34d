/* Arbitrary bytes as guest memory, rings included, under the fetch engine: whatever it reads there, it stays within the
 * rings as they were programmed, hands over only requests that keep the limits, and ends. (host_fixture.h fails if it touches
 * memory outside; AddressSanitizer if it touches ours.) */
#include "tests/unit/rtl-model/fetch_fixture.h"

#define MEMORY_BYTES 4096u
#define HEAD_BYTES   8u /* of the input: how the queue is programmed */
#define SERVICES     3u
#define LIMIT_PS     (20 * PS_PER_MS)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the engine hands over keeps the limits the firmware counts on. */
static void take_records(struct rig *rig)
{
	int number;
	for (unsigned taken = 0; (number = take_record(rig)) >= 0; taken++) {
		const struct slot *slot = slot_of(rig, (unsigned)number);
		ASSERT(taken <= SLOTS && slot->queue == 0 && slot->segments <= SLOT_SEGMENTS_MAX);
		free_slot(rig, (unsigned)number);
	}
}

static struct vq queue_of(const uint8_t *head)
{
	return (struct vq){
		.size = (uint16_t)(1u << head[0] % 9),
		.event_idx = head[1] & 1,
		.indirect = head[1] & 2,
		.desc = GUEST_BASE + (uint64_t)(head[2] % 16) * 256,
		.avail = GUEST_BASE + (uint64_t)(head[3] % 16) * 256,
		.used = GUEST_BASE + (uint64_t)(head[4] % 16) * 256,
	};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < HEAD_BYTES)
		return 0;
	/* Rings may begin anywhere in the input's part of memory and end behind it. */
	struct rig *rig = rig_create(4 * MEMORY_BYTES, data[5]);
	const struct vq vq = queue_of(data);
	memset(rig->host->allowed, HOST_READ | HOST_WRITE, 4 * MEMORY_BYTES);
	memcpy(guest(rig, GUEST_BASE, MEMORY_BYTES), data + HEAD_BYTES,
	       min_u64(size - HEAD_BYTES, MEMORY_BYTES));
	/* Everything else is somewhere, but not in memory. */
	host_unmap(rig->host, 0, GUEST_BASE);
	host_unmap(rig->host, GUEST_BASE + 4 * MEMORY_BYTES, UINT64_MAX - GUEST_BASE - 4 * MEMORY_BYTES);
	rig_start(rig);
	program(rig, &vq);
	for (unsigned i = 0; i < SERVICES; i++) {
		serve(rig, &vq);
		sim_run_for(&rig->sim, LIMIT_PS / SERVICES);
		take_records(rig);
		sim_run_for(&rig->sim, LIMIT_PS / SERVICES);
		take_records(rig);
	}
	rig_free(rig);
	return 0;
}
