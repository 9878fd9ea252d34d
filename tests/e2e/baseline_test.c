/* What a stock driver exercises (guide section 7), at both offload levels. Capabilities, the window and resize are in
 * device_requirements_test.c, flush semantics in device_medium_test.c, all ways to cut a request in framing_test.c. */
#include "tests/e2e/load.h"

#define SECTOR   100u
#define DISK     "ram:1M"
#define WRITE    VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define CAPACITY offsetof(struct virtio_blk_config, capacity)
#define PATTERN  0x6bu

static const struct machine_options small_disk = {.disk = DISK};

/* ---- bring-up ---- */

static void status_steps(struct machine *m)
{
	static const uint8_t steps[] = {0x01, 0x03, 0x0b, 0x0f};
	machine_find(m);
	const struct virtio_device *virtio = &m->blk.virtio;
	for (unsigned round = 0; round < 2; round++) {
		CHECK_EQUAL(virtio_reset(virtio, 1000000), 0);
		CHECK_EQUAL(virtio_status(virtio), 0);
		for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
			if (steps[i] == 0x0b) {
				uint64_t features = virtio_device_features(virtio);
				virtio_common_write(virtio, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
				virtio_common_write(virtio, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)features);
				virtio_common_write(virtio, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
				virtio_common_write(virtio, VIRTIO_PCI_COMMON_GF, 4,
						    (uint32_t)(features >> 32));
			}
			virtio_common_write(virtio, VIRTIO_PCI_COMMON_STATUS, 1, steps[i]);
			CHECK_EQUAL(virtio_status(virtio), steps[i]);
		}
	}
}

static void test_status_reads_back_exactly(void **state)
{
	(void)state;
	machine_run_levels(status_steps, NULL, NULL);
}

static void capacity(struct machine *m)
{
	machine_probe(m);
	uint64_t expected = MACHINE_DISK_BYTES / 512, addr = m->blk.virtio.device.addr + CAPACITY;
	uint64_t low = virtio_config_read(&m->blk.virtio, CAPACITY, 4);
	uint64_t high = virtio_config_read(&m->blk.virtio, CAPACITY + 4, 4);
	CHECK_EQUAL(low | high << 32, expected);
	CHECK_EQUAL(root_mmio_read(m->guest.root, addr, 8), expected);
}

static void test_capacity_reads_in_halves_and_whole(void **state)
{
	(void)state;
	machine_run_levels(capacity, NULL, NULL);
}

/* ---- requests as other drivers shape them ---- */

static void offer(struct machine *m, const struct machine_piece *pieces, unsigned count, bool table)
{
	uint16_t used = machine_used_index(m, 0);
	const struct machine_piece indirect = {table ? machine_table(m, pieces, count) : 0, 16 * count,
					       INDIRECT};
	if (table)
		machine_chain(m, 0, 0, &indirect, 1);
	else
		machine_chain(m, 0, 0, pieces, count);
	machine_offer(m, 0, 0);
	CHECK(machine_wait_used(m, 0, (uint16_t)(used + 1), 1000));
}

static void write_and_read(struct machine *m)
{
	uint8_t *disk = machine_disk(m);
	uint64_t joined_addr, status_addr;
	machine_probe(m);
	for (unsigned i = 0; i < 8; i++) {
		bool table = i & 1, two_to_write = i & 2, two_to_read = i & 4;
		struct machine_buffers out = machine_buffers(m, VIRTIO_BLK_T_OUT, SECTOR, 512);
		struct machine_buffers in = machine_buffers(m, VIRTIO_BLK_T_IN, SECTOR, 512);
		uint8_t *joined = machine_guarded(m, 16 + 512, DMA_TO_DEVICE, &joined_addr);
		uint8_t *with_status = machine_guarded(m, 512 + 1, DMA_FROM_DEVICE, &status_addr);
		memset(out.data, PATTERN + (int)i, 512);
		memcpy(joined, out.header, 16);
		memcpy(joined + 16, out.data, 512);
		const struct machine_piece put[] = {
			{out.header_addr, 16, 0}, {out.data_addr, 512, 0}, {out.status_addr, 1, WRITE}};
		const struct machine_piece put_joined[] = {{joined_addr, 528, 0},
							   {out.status_addr, 1, WRITE}};
		const struct machine_piece get[] = {
			{in.header_addr, 16, 0}, {in.data_addr, 512, WRITE}, {in.status_addr, 1, WRITE}};
		const struct machine_piece get_joined[] = {{in.header_addr, 16, 0},
							   {status_addr, 513, WRITE}};
		offer(m, two_to_write ? put_joined : put, two_to_write ? 2 : 3, table);
		CHECK_EQUAL(*out.status, VIRTIO_BLK_S_OK);
		offer(m, two_to_read ? get_joined : get, two_to_read ? 2 : 3, table);
		CHECK_EQUAL(two_to_read ? with_status[512] : *in.status, VIRTIO_BLK_S_OK);
		CHECK(memcmp(two_to_read ? with_status : in.data, out.data, 512) == 0);
		memcpy(disk + SECTOR * 512, out.data, 512);
		machine_check_disk(m, disk, 0, 0);
	}
	free(disk);
}

static void test_write_then_read_in_two_and_three_descriptors(void **state)
{
	(void)state;
	machine_run_levels(write_and_read, &small_disk, "guest.indirect=on", NULL);
}

static void zeroes_and_discard(struct machine *m)
{
	static const uint8_t none[4096];
	uint8_t data[4096];
	machine_probe(m);
	memset(data, PATTERN, sizeof(data));
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_OUT, SECTOR, data, sizeof(data), 1000), 0);
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_WRITE_ZEROES, SECTOR, NULL, sizeof(data), 1000), 0);
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_IN, SECTOR, data, sizeof(data), 1000), 0);
	CHECK(memcmp(data, none, sizeof(data)) == 0);
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_DISCARD, SECTOR, NULL, sizeof(data), 1000), 0);
}

static void test_zeroes_read_back_and_discard_completes(void **state)
{
	(void)state;
	machine_run_levels(zeroes_and_discard, &small_disk, NULL);
}

/* ---- interrupts ---- */

/* The message goes to an ordinary piece of memory, where its data can be looked at. */
static void message_in_memory(struct machine *m)
{
	uint8_t data[512];
	uint64_t config_addr, queue_addr;
	machine_probe(m);
	machine_wait_us(m, 50);
	CHECK_EQUAL(m->blk.queue[0].vector, 1);
	uint8_t *config_message = machine_guarded(m, 4, DMA_FROM_DEVICE, &config_addr);
	uint8_t *queue_message = machine_guarded(m, 4, DMA_FROM_DEVICE, &queue_addr);
	pci_msix_set(&m->blk.pci, 0, config_addr, 0x12345678);
	pci_msix_set(&m->blk.pci, 1, queue_addr, 0x9abcdef0);
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_IN, 0, data, sizeof(data), 1000), 0);
	machine_wait_us(m, 20);
	root_sync(m->guest.root);
	CHECK_EQUAL(load_le32(queue_message), 0x9abcdef0);
	CHECK_EQUAL(load_le32(config_message), 0);
	CHECK(device_resize(m->guest.device, 1000));
	machine_wait_us(m, 50);
	root_sync(m->guest.root);
	CHECK_EQUAL(load_le32(config_message), 0x12345678);
}

static void test_messages_carry_address_and_data_of_their_vectors(void **state)
{
	(void)state;
	machine_run_levels(message_in_memory, NULL, NULL);
}

static void used_event_2(struct machine *m)
{
	uint8_t data[512];
	machine_probe(m);
	struct virtqueue *vq = &m->blk.queue[0].vq;
	uint16_t vector = m->blk.queue[0].vector;
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_IN, 0, data, sizeof(data), 1000), 0);
	machine_wait_us(m, 20);
	CHECK(machine_took_interrupt(m, vector));
	uint64_t interrupts = root_stats(m->guest.root)->interrupts;
	for (uint16_t i = 1; i <= 2; i++) {
		struct machine_buffers buffers = machine_buffers(m, VIRTIO_BLK_T_FLUSH, 0, 0);
		const struct machine_piece flush[] = {{buffers.header_addr, 16, 0},
						      {buffers.status_addr, 1, WRITE}};
		store_le16(vq->avail + 4 + 2 * (size_t)vq->size, 2);
		machine_chain(m, 0, (uint16_t)(4 * i), flush, 2);
		machine_offer(m, 0, (uint16_t)(4 * i));
		CHECK(machine_wait_used(m, 0, (uint16_t)(i + 1), 1000));
		machine_wait_us(m, 20);
		CHECK_EQUAL(root_stats(m->guest.root)->interrupts, interrupts + (i == 2));
	}
	CHECK(machine_took_interrupt(m, vector));
}

static void test_used_event_2_is_silent_once_then_notifies(void **state)
{
	(void)state;
	machine_run_levels(used_event_2, NULL, NULL);
}

/* ---- sizes of queues ---- */

static void any_size(struct machine *m)
{
	machine_probe(m);
	unsigned size = m->blk.queue[0].vq.size;
	CHECK_EQUAL(size,
		    m->config.guest.queue_size ? m->config.guest.queue_size : m->config.device.queue_size);
	const struct load_settings settings = {
		.depth = min_u32(size, 8), .bytes_max = 4096, .keep_chains = size < 8};
	struct load load;
	load_begin(&load, m, &settings);
	load_run(&load, max_u32(500, 3 * size / 100));
	load_drain(&load);
}

static void test_queues_of_any_size_work(void **state)
{
	static const char *const sizes[] = {"guest.queue_size=1", "guest.queue_size=2", "guest.queue_size=4",
					    "guest.queue_size=16", "guest.queue_size=256"};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		machine_run_levels(any_size, NULL, "host.vcpus=1", "guest.indirect=on",
				   "device.queue_size=256", sizes[i], NULL);
	machine_run_levels(any_size, NULL, "host.vcpus=1", "device.queue_size=32768", NULL);
	machine_run_levels(any_size, NULL, "host.vcpus=1", "device.queue_size=2", "guest.indirect=on", NULL);
}

/* More than 2^16 requests through a ring of 8: every index wraps, the rings many times. */
static void wrap(struct machine *m)
{
	static const struct load_settings settings = {
		.depth = 8, .bytes_max = 512, .fixed = true, .limit_us = 100000};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	load_run(&load, 66000);
	load_drain(&load);
	CHECK_EQUAL(machine_used_index(m, 0), (uint16_t)load.done);
	CHECK(load.done > 65536);
}

static void test_indices_wrap(void **state)
{
	(void)state;
	machine_run_levels(wrap, &small_disk, "host.vcpus=1", "guest.queue_size=8", "guest.indirect=on",
			   "guest.check=off", "media.read_ns=500", "media.write_ns=500", NULL);
}

/* ---- several queues ---- */

static void queues_apart(struct machine *m)
{
	static const struct load_settings settings = {.depth = 4};
	struct load load;
	machine_probe(m);
	for (unsigned i = 0; i < m->blk.queues; i++)
		CHECK_EQUAL(m->blk.queue[i].vector, m->config.msix.vectors == 2 ? 1 : i + 1);
	load_begin(&load, m, &settings);
	load_run(&load, 1000);
	load_drain(&load);
	/* A queue that gets no work does not hold up the others, nor they it. */
	for (unsigned i = 0; i < m->blk.queues; i++)
		machine_check_queue(m, i);
}

static void test_queues_complete_independently(void **state)
{
	(void)state;
	machine_run_levels(queues_apart, NULL, "device.queues=8", "host.vcpus=1", NULL);
	machine_run_levels(queues_apart, NULL, "device.queues=8", "host.vcpus=1", "msix.vectors=2", NULL);
}

/* Queue 0 is reset again and again with reads in flight while the others carry a load. */
static void reset_one(struct machine *m)
{
	static const struct load_settings settings = {.depth = 4};
	struct load load;
	machine_probe(m);
	struct blk_queue *queue = &m->blk.queue[0];
	/* The load runs on queues 1 to 3 only. */
	m->blk.queue++;
	m->blk.queues--;
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < 20; i++) {
		struct machine_buffers buffers[4];
		for (uint16_t j = 0; j < 4; j++) {
			buffers[j] = machine_buffers(m, VIRTIO_BLK_T_IN, j, 4096);
			struct vring_desc *desc = &queue->vq.desc[3 * j];
			desc[0] = (struct vring_desc){buffers[j].header_addr, 16, VRING_DESC_F_NEXT,
						      (uint16_t)(3 * j + 1)};
			desc[1] = (struct vring_desc){buffers[j].data_addr, 4096, VRING_DESC_F_NEXT | WRITE,
						      (uint16_t)(3 * j + 2)};
			desc[2] = (struct vring_desc){buffers[j].status_addr, 1, WRITE, 0};
			store_le16(queue->vq.avail + 4 + 2 * (size_t)j, (uint16_t)(3 * j));
		}
		store_le16(queue->vq.avail + 2, 4);
		blk_kick(&m->blk, queue);
		load_run_ps(&load, rng_below(&m->rng, 20 * PS_PER_US));
		CHECK_EQUAL(virtio_queue_reset(&m->blk.virtio, 0, 1000000), 0);
		root_sync(m->guest.root);
		uint16_t used = load_le16(queue->vq.used + 2);
		uint8_t status[4] = {*buffers[0].status, *buffers[1].status, *buffers[2].status,
				     *buffers[3].status};
		load_run_ps(&load, 50 * PS_PER_US);
		CHECK_EQUAL(load_le16(queue->vq.used + 2), used);
		for (unsigned j = 0; j < 4; j++)
			CHECK_EQUAL(*buffers[j].status, status[j]);
		virtqueue_reset(&queue->vq);
		CHECK_EQUAL(virtio_queue_enable(&m->blk.virtio, 0, &queue->vq, queue->vector), 0);
	}
	load_drain(&load);
	CHECK(load.done > 100);
	m->blk.queue--;
	m->blk.queues++;
	machine_check_alive(m);
}

static void test_one_queue_is_reset_while_others_run(void **state)
{
	(void)state;
	machine_run_levels(reset_one, NULL, "device.queues=4", "host.vcpus=1", NULL);
}

/* ---- the end without warning ---- */

static void surprise(struct machine *m)
{
	static const struct load_settings settings = {.limit_us = 100000};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < 5; i++) {
		load_run_ps(&load, 50 * PS_PER_US + rng_below(&m->rng, 100 * PS_PER_US));
		root_hot_reset(m->guest.root);
		machine_wait_us(m, 100000);
		pci_restore(&m->blk.pci, &m->blk.settings.pci);
		machine_restart(m);
		load_forget(&load);
	}
	load_run(&load, 300);
	load_drain(&load);
}

static void test_reset_of_the_link_in_the_middle_of_traffic(void **state)
{
	(void)state;
	machine_run_levels(surprise, NULL, "device.queues=2", "host.vcpus=1", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_status_reads_back_exactly, "D-004 D-007"),
		REQ_TEST(test_capacity_reads_in_halves_and_whole, "D-074"),
		REQ_TEST(test_write_then_read_in_two_and_three_descriptors, "D-016"),
		REQ_TEST(test_zeroes_read_back_and_discard_completes, "D-156 D-154"),
		REQ_TEST(test_messages_carry_address_and_data_of_their_vectors, "D-124"),
		REQ_TEST(test_used_event_2_is_silent_once_then_notifies, "D-027 D-028"),
		REQ_TEST(test_queues_of_any_size_work, "D-015 G-085"),
		REQ_TEST(test_indices_wrap, "D-027"),
		REQ_TEST(test_queues_complete_independently, "D-124"),
		REQ_TEST(test_one_queue_is_reset_while_others_run, "D-013 D-014 D-088"),
		REQ_TEST(test_reset_of_the_link_in_the_middle_of_traffic, "D-004 D-011"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
