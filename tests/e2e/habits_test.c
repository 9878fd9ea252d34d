/* What real drivers do although they should not, or need not (guide section 9): a tolerant device works with them. */
#include "tests/e2e/load.h"

#define BIT(n)         (UINT64_C(1) << (n))
#define STATUS         VIRTIO_PCI_COMMON_STATUS
#define Q_SELECT       VIRTIO_PCI_COMMON_Q_SELECT
#define WRITE          VRING_DESC_F_WRITE
#define RUN(body, ...) machine_run_levels(body, NULL, "host.vcpus=1", ##__VA_ARGS__, NULL)

static void set(struct machine *m, unsigned offset, unsigned bytes, uint32_t value)
{
	virtio_common_write(&m->blk.virtio, offset, bytes, value);
}

static void set_features(struct machine *m, uint64_t features)
{
	for (unsigned i = 0; i < 2; i++) {
		set(m, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		set(m, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> 32 * i));
	}
}

/* ---- wide accesses ---- */

static void wide_accesses(struct machine *m)
{
	machine_probe(m);
	CHECK_EQUAL(root_mmio_read(m->guest.root, m->blk.virtio.device.addr, 8), MACHINE_DISK_BYTES / 512);
	machine_renegotiate(m, 0);
	uint64_t common = m->blk.virtio.common.addr;
	for (unsigned i = 0; i < m->blk.queues; i++) {
		const struct virtqueue *vq = &m->blk.queue[i].vq;
		set(m, Q_SELECT, 2, i);
		root_mmio_write(m->guest.root, common + VIRTIO_PCI_COMMON_Q_DESCLO, 8, vq->desc_addr);
		root_mmio_write(m->guest.root, common + VIRTIO_PCI_COMMON_Q_AVAILLO, 8, vq->avail_addr);
		root_mmio_write(m->guest.root, common + VIRTIO_PCI_COMMON_Q_USEDLO, 8, vq->used_addr);
		CHECK_EQUAL(root_mmio_read(m->guest.root, common + VIRTIO_PCI_COMMON_Q_DESCLO, 8),
			    vq->desc_addr);
		set(m, VIRTIO_PCI_COMMON_Q_MSIX, 2, m->blk.queue[i].vector);
		set(m, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	}
	machine_driver_ok(m);
	load_check_alive(m, 200);
}

static void test_64_bit_accesses_work(void **state)
{
	(void)state;
	RUN(wide_accesses, "device.queues=2");
}

/* ---- haste ---- */

/* After power-up, and on a device that has been found but never used, a reset is over at once. */
static void hasty(struct machine *m)
{
	machine_find(m);
	struct blk_settings settings = m->blk.settings;
	for (unsigned round = 0; round < 3; round++) {
		set(m, STATUS, 1, 0);
		set(m, STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
		uint64_t features =
			BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_BLK_F_FLUSH);
		set_features(m, features);
		set(m, STATUS, 1,
		    VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
		CHECK_EQUAL(virtio_status(&m->blk.virtio), 0x0b);
	}
	/* Now as a whole: one queue, the rest of the bring-up, no look back, the first request at once. */
	m->blk.settings = settings;
	machine_probe(m);
	CHECK_EQUAL(virtio_reset(&m->blk.virtio, 1000000), 0);
	struct virtqueue *vq = &m->blk.queue[0].vq;
	virtqueue_reset(vq);
	set(m, STATUS, 1, 0);
	set(m, STATUS, 1, 0x03);
	set_features(m, BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM));
	set(m, STATUS, 1, 0x0b);
	set(m, Q_SELECT, 2, 0);
	const uint64_t addrs[] = {vq->desc_addr, vq->avail_addr, vq->used_addr};
	for (unsigned i = 0; i < 6; i++)
		set(m, VIRTIO_PCI_COMMON_Q_DESCLO + 4 * i, 4, (uint32_t)(addrs[i / 2] >> (i % 2 ? 32 : 0)));
	set(m, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	set(m, STATUS, 1, 0x0f);
	struct machine_buffers buffers = machine_buffers(m, VIRTIO_BLK_T_FLUSH, 0, 0);
	const struct machine_piece flush[] = {{buffers.header_addr, 16, 0}, {buffers.status_addr, 1, WRITE}};
	machine_chain(m, 0, 0, flush, 2);
	machine_offer(m, 0, 0);
	CHECK(machine_wait_used(m, 0, 1, 1000));
	CHECK_EQUAL(*buffers.status, VIRTIO_BLK_S_OK);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), 0x0f);
	machine_restart(m);
	machine_check_alive(m);
}

static void test_driver_that_never_looks_back_works(void **state)
{
	(void)state;
	RUN(hasty, "device.queues=4");
}

/* ---- less than there is ---- */

static void one_queue_of_many(struct machine *m)
{
	machine_probe(m);
	CHECK_EQUAL(m->blk.queues, 1);
	CHECK_EQUAL(m->blk.queue[0].vq.size, 4);
	static const struct load_settings settings = {.depth = 1, .bytes_max = 4096, .keep_chains = true};
	struct load load;
	load_begin(&load, m, &settings);
	load_run(&load, 300);
	load_drain(&load);
}

static void test_one_small_queue_of_many_works(void **state)
{
	(void)state;
	RUN(one_queue_of_many, "device.queues=16", "guest.queues=1", "device.queue_size=1024",
	    "guest.queue_size=4");
}

/* ---- registers touched while the device runs ---- */

/* queue_notify_off is read again, with queue_select, before each kick. */
static void selecting(struct machine *m)
{
	machine_probe(m);
	for (unsigned i = 0; i < 300; i++) {
		unsigned queue = (unsigned)rng_below(&m->rng, m->blk.queues);
		struct blk_request request = {.type = VIRTIO_BLK_T_FLUSH};
		uint16_t used = machine_used_index(m, queue);
		CHECK_EQUAL(blk_submit(&m->blk, &m->blk.queue[queue], &request), 0);
		blk_publish(&m->blk.queue[queue]);
		CHECK_EQUAL(virtio_queue_doorbell(&m->blk.virtio, queue), m->blk.queue[queue].doorbell);
		machine_kick(m, queue);
		virtio_queue_doorbell(&m->blk.virtio,
				      (unsigned)rng_below(&m->rng, 8)); /* some that do not exist */
		CHECK(machine_wait_used(m, queue, (uint16_t)(used + 1), 1000));
		CHECK(blk_take(&m->blk.queue[queue]) == &request);
		CHECK_EQUAL(request.status, VIRTIO_BLK_S_OK);
	}
}

static void test_queue_select_while_running_is_harmless(void **state)
{
	(void)state;
	RUN(selecting, "device.queues=4");
}

/* ---- careless kicks and wishes ---- */

/* Kicks that should have come do not; the next one makes up for all of them. */
static void missing_kicks(struct machine *m)
{
	machine_probe(m);
	struct blk_queue *queue = &m->blk.queue[0];
	static struct blk_request request[8];
	uint16_t published = 0;
	for (unsigned round = 0; round < 50; round++) {
		machine_wait_us(m, 20); /* the device is idle */
		for (unsigned i = 0; i < 8; i++) {
			request[i] = (struct blk_request){.type = VIRTIO_BLK_T_FLUSH};
			CHECK_EQUAL(blk_submit(&m->blk, queue, &request[i]), 0);
			blk_publish(queue);
			machine_wait_us(m, 1);
		}
		published = (uint16_t)(published + 8);
		machine_kick(m, 0);
		CHECK(machine_wait_used(m, 0, published, 1000));
		while (blk_take(queue) != NULL)
			;
	}
}

static void test_one_kick_makes_up_for_missing_ones(void **state)
{
	(void)state;
	RUN(missing_kicks);
	RUN(missing_kicks, "guest.event_idx=off");
}

/* An interrupt for every completion: used_event moves with every pop, or avail.flags goes on and off. */
static void eager(struct machine *m)
{
	machine_probe(m);
	struct blk_queue *queue = &m->blk.queue[0];
	for (unsigned i = 0; i < 200; i++) {
		struct blk_request request = {.type = VIRTIO_BLK_T_FLUSH};
		uint64_t interrupts = root_stats(m->guest.root)->interrupts;
		CHECK_EQUAL(blk_submit(&m->blk, queue, &request), 0);
		blk_publish(queue);
		machine_kick(m, 0);
		if (i % 2)
			virtqueue_disable_interrupts(&queue->vq);
		virtqueue_enable_interrupts(&queue->vq);
		CHECK(machine_wait_used(m, 0, (uint16_t)(i + 1), 1000));
		CHECK(blk_take(queue) == &request);
		machine_wait_us(m, 10);
		CHECK_EQUAL(root_stats(m->guest.root)->interrupts, interrupts + 1);
	}
}

static void test_interrupt_for_every_completion(void **state)
{
	(void)state;
	RUN(eager);
	RUN(eager, "guest.event_idx=off");
}

/* ---- layout ---- */

static void layout(struct machine *m)
{
	machine_probe(m);
	const struct virtio_device *virtio = &m->blk.virtio;
	const struct pci_bar *bar = &m->blk.pci.bar[4];
	const struct virtio_window *const windows[] = {&virtio->common, &virtio->isr, &virtio->device,
						       &virtio->notify};
	CHECK(virtio->notify_multiplier % 2 == 0 && virtio->notify_multiplier != 0);
	for (unsigned i = 0; i < ARRAY_SIZE(windows); i++)
		CHECK(windows[i]->addr >= bar->addr &&
		      windows[i]->addr + windows[i]->bytes <= bar->addr + bar->bytes);
}

static void test_structures_are_in_one_bar(void **state)
{
	(void)state;
	RUN(layout, "device.queues=64");
}

/* ---- teardown ---- */

/* The queue's memory is somebody else's as soon as status reads 0. */
static void freed(struct machine *m)
{
	static const struct load_settings settings = {.limit_us = 100000};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	load_run_ps(&load, 100 * PS_PER_US);
	CHECK_EQUAL(virtio_reset(&m->blk.virtio, 10000000), 0);
	root_sync(m->guest.root);
	uint64_t bytes = m->guest.memory.next - m->guest.memory.base;
	memset(m->guest.memory.data, 0xdb, bytes);
	machine_wait_us(m, 100000);
	root_sync(m->guest.root);
	for (uint64_t i = 0; i < bytes; i++)
		CHECK_EQUAL(m->guest.memory.data[i], 0xdb);
	blk_free(&m->blk);
	machine_probe(m); /* with memory of its own */
	machine_check_alive(m);
}

static void test_memory_may_be_freed_when_status_reads_0(void **state)
{
	(void)state;
	RUN(freed, "device.queues=2");
	RUN(freed, "device.queues=2", "media.read_ns=300000", "media.write_ns=300000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_64_bit_accesses_work, "D-074"),
		REQ_TEST(test_driver_that_never_looks_back_works, "D-006"),
		REQ_TEST(test_one_small_queue_of_many_works, "V-058"),
		REQ_TEST(test_queue_select_while_running_is_harmless, "V-063"),
		REQ_TEST(test_one_kick_makes_up_for_missing_ones, "D-036"),
		REQ_TEST(test_interrupt_for_every_completion, "D-025 D-027"),
		REQ_TEST(test_structures_are_in_one_bar, "D-097"),
		REQ_TEST(test_memory_may_be_freed_when_status_reads_0, "D-011"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
