/* Drivers that reset, kick, remap and pull the plug at bad moments (guide section 6.3), with requests in flight, at both
 * offload levels: nothing late, nothing lost, no queue that suffers from another. */
#include "tests/e2e/pcie_help.h"

#include "rtl-model/blocks/virtio/virtio_regs.h"

#define BIT(n)   (UINT64_C(1) << (n))
#define Q_SELECT VIRTIO_PCI_COMMON_Q_SELECT
#define Q_ENABLE VIRTIO_PCI_COMMON_Q_ENABLE
#define Q_RESET  58u /* queue_reset, virtio 1.4 §4.1.4.3 */
#define STATUS   VIRTIO_PCI_COMMON_STATUS
#define LIVE                                                                                                 \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |                \
	 VIRTIO_CONFIG_S_DRIVER_OK)
#define SLOW_US        200u /* the slow medium below */
#define SLOW           "media.read_ns=200000", "media.write_ns=200000", "media.jitter=0"
#define RUN(body, ...) machine_run_levels(body, NULL, "device.queues=2", "host.vcpus=1", ##__VA_ARGS__, NULL)

static uint32_t get(struct machine *m, unsigned offset, unsigned bytes)
{
	return virtio_common_read(&m->blk.virtio, offset, bytes);
}

static void set(struct machine *m, unsigned offset, unsigned bytes, uint32_t value)
{
	virtio_common_write(&m->blk.virtio, offset, bytes, value);
}

/* A read of sector `sector`, published without a kick. */
static struct machine_buffers publish_read(struct machine *m, unsigned queue, uint16_t head, uint64_t sector)
{
	struct virtqueue *vq = &m->blk.queue[queue].vq;
	struct machine_buffers buffers = machine_buffers(m, VIRTIO_BLK_T_IN, sector, 512);
	const struct machine_piece pieces[] = {{buffers.header_addr, 16, 0},
					       {buffers.data_addr, 512, VRING_DESC_F_WRITE},
					       {buffers.status_addr, 1, VRING_DESC_F_WRITE}};
	uint16_t index = machine_avail_index(m, queue);
	machine_chain(m, queue, head, pieces, ARRAY_SIZE(pieces));
	store_le16(vq->avail + 4 + 2 * (size_t)(index % vq->size), head);
	machine_set_avail_index(m, queue, (uint16_t)(index + 1));
	vq->published = (uint16_t)(index + 1);
	return buffers;
}

static void start_load(struct machine *m, struct load *load)
{
	static const struct load_settings settings = {.limit_us = 100000};
	load_begin(load, m, &settings);
	load_run_ps(load, 100 * PS_PER_US);
	CHECK(load->in_flight > 0);
}

/* After a reset by whatever means. */
static void begin_again(struct machine *m, struct load *load)
{
	machine_restart(m);
	load_forget(load);
	load_run(load, 200);
	load_drain(load);
}

/* ---- resets ---- */

static void failed_while_running(struct machine *m)
{
	struct load load;
	machine_probe(m);
	start_load(m, &load);
	virtio_add_status(&m->blk.virtio, VIRTIO_CONFIG_S_FAILED);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), LIVE | VIRTIO_CONFIG_S_FAILED);
	load_drain(&load);
	begin_again(m, &load);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), LIVE);
}

static void test_failed_while_running_harms_nothing(void **state)
{
	(void)state;
	RUN(failed_while_running);
}

/* A driver that does not wait. Until the reset is over it reads the old status and what it writes is lost. */
static void hasty(struct machine *m)
{
	struct load load;
	machine_probe(m);
	start_load(m, &load);
	uint64_t begin_ps = kernel_now_ps();
	set(m, STATUS, 1, 0);
	set(m, STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	set(m, STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), LIVE);
	set(m, STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
	set(m, STATUS, 1, LIVE);
	uint8_t status;
	while ((status = virtio_status(&m->blk.virtio)) == LIVE)
		machine_wait_us(m, 1);
	CHECK_EQUAL(status, 0);
	CHECK(kernel_now_ps() - begin_ps < 2 * SLOW_US * PS_PER_US);
	begin_again(m, &load);
}

static void test_writes_during_a_reset_are_ignored(void **state)
{
	(void)state;
	RUN(hasty, SLOW);
}

static void reset_in_flight(struct machine *m)
{
	struct load load;
	struct quiet quiet;
	machine_probe(m);
	for (unsigned i = 0; i < 20; i++) {
		if (i == 0)
			start_load(m, &load);
		else
			load_run_ps(&load, rng_below(&m->rng, 100 * PS_PER_US));
		CHECK_EQUAL(virtio_reset(&m->blk.virtio, 10 * SLOW_US * 1000), 0);
		quiet_begin(m, &quiet);
		quiet_end(m, &quiet, 2 * SLOW_US);
		CHECK_EQUAL(virtio_status(&m->blk.virtio), 0);
		machine_restart(m);
		load_forget(&load);
	}
	load_run(&load, 500);
	load_drain(&load);
}

static void test_reset_with_requests_in_flight_is_quiet_afterwards(void **state)
{
	(void)state;
	RUN(reset_in_flight);
	RUN(reset_in_flight, SLOW);
}

static void reset_twice(struct machine *m)
{
	struct load load;
	machine_probe(m);
	start_load(m, &load);
	for (unsigned i = 0; i < 5; i++) {
		set(m, STATUS, 1, 0);
		machine_wait_us(m, i);
	}
	CHECK_EQUAL(machine_wait_status(m, 0xff, false, 2 * SLOW_US), 0);
	set(m, STATUS, 1, 0);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), 0);
	begin_again(m, &load);
}

static void test_reset_during_a_reset_is_harmless(void **state)
{
	(void)state;
	RUN(reset_twice, SLOW);
}

/* ---- kicks ---- */

/* Everything is ready except DRIVER_OK. With it, the ring is looked at without another kick. */
static void early_kick(struct machine *m)
{
	struct quiet quiet;
	machine_probe(m);
	machine_renegotiate(m, 0);
	for (unsigned i = 0; i < 2; i++)
		machine_enable(m, i, &m->blk.queue[i].vq);
	struct machine_buffers first = publish_read(m, 0, 0, 5), second = publish_read(m, 1, 0, 6);
	quiet_begin(m, &quiet);
	for (unsigned i = 0; i < 10; i++) {
		machine_kick(m, i % 2);
		machine_wait_us(m, 10);
	}
	quiet_end(m, &quiet, 1000);
	machine_driver_ok(m);
	CHECK(machine_wait_used(m, 0, 1, 1000));
	CHECK(machine_wait_used(m, 1, 1, 1000));
	CHECK_EQUAL(*first.status, VIRTIO_BLK_S_OK);
	CHECK_EQUAL(*second.status, VIRTIO_BLK_S_OK);
	machine_restart(m);
	machine_check_alive(m);
}

static void test_kick_before_driver_ok_waits_for_it(void **state)
{
	(void)state;
	RUN(early_kick);
}

/* Doorbells of queues that are not enabled, not there, or beyond all queues. */
static void strange_doorbells(struct machine *m)
{
	machine_probe(m);
	machine_renegotiate(m, 0);
	machine_enable(m, 1, &m->blk.queue[1].vq);
	machine_driver_ok(m);
	struct quiet quiet;
	machine_wait_us(m, 50);
	struct machine_buffers buffers = publish_read(m, 0, 0, 5);
	quiet_begin(m, &quiet);
	for (unsigned i = 0; i < VIRTIO_STRUCTURE_BYTES / VIRTIO_NOTIFY_MULTIPLIER; i += i < 130 ? 1 : 61)
		if (i != 1)
			m->ops->mmio_write(m->ops->ctx,
					   m->blk.virtio.notify.addr + i * VIRTIO_NOTIFY_MULTIPLIER, 2, i);
	quiet_end(m, &quiet, 1000);
	CHECK_EQUAL(*buffers.status, 0xff);
	machine_check_queue(m, 1);
	machine_restart(m);
	machine_check_alive(m);
}

static void test_kick_of_other_queues_is_ignored(void **state)
{
	(void)state;
	RUN(strange_doorbells);
}

/* Any write to the doorbell of queue 0 is a kick of queue 0, and of no other. */
static void odd_doorbells(struct machine *m)
{
	static const struct {
		unsigned offset, bytes;
		uint64_t value;
	} writes[] = {
		{0, 2, 0},          {0, 1, 0},      {0, 4, 0},          {0, 8, 0},
		{0, 8, UINT64_MAX}, {2, 2, 0},      {3, 1, 1},          /* width */
		{0, 2, 1},          {0, 2, 0xffff}, {0, 4, UINT32_MAX}, /* value */
	};
	machine_probe(m);
	machine_check_alive(m);
	machine_start_without(m, 0);
	publish_read(m, 1, 0, 6);
	machine_wait_us(m, 50);
	uint16_t other = machine_used_index(m, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
		struct machine_buffers buffers = publish_read(m, 0, (uint16_t)(3 * i), i);
		root_mmio_write(m->guest.root, m->blk.queue[0].doorbell + writes[i].offset, writes[i].bytes,
				writes[i].value);
		CHECK(machine_wait_used(m, 0, (uint16_t)(i + 1), 1000));
		CHECK_EQUAL(*buffers.status, VIRTIO_BLK_S_OK);
	}
	/* Queue 1 has been looked at when it started, but for none of these. */
	uint16_t late = machine_avail_index(m, 1);
	publish_read(m, 1, 3, 7);
	root_mmio_write(m->guest.root, m->blk.queue[0].doorbell, 8, 1);
	machine_wait_us(m, 100);
	CHECK_EQUAL(machine_used_index(m, 1), other);
	CHECK_EQUAL(other, late);
	machine_kick(m, 1);
	CHECK(machine_wait_used(m, 1, (uint16_t)(other + 1), 1000));
	machine_restart(m);
	machine_check_alive(m);
}

static void test_odd_kick_is_a_kick_of_its_queue(void **state)
{
	(void)state;
	RUN(odd_doorbells);
}

/* NOTIFICATION_DATA says where avail.idx is; it is not believed. */
static void absurd_notification_data(struct machine *m)
{
	machine_probe(m);
	CHECK(virtio_has(&m->blk.virtio, 38 /* VIRTIO_F_NOTIFICATION_DATA */));
	for (uint16_t i = 0; i < 200; i++) {
		struct machine_buffers buffers = publish_read(m, 0, (uint16_t)(3 * (i % 20)), i);
		static const uint16_t offsets[] = {0, 1, 2, 16, 63, 64, 65, 0x7fff, 0x8000, 0xffff};
		uint16_t wrong = (uint16_t)(i + offsets[rng_below(&m->rng, ARRAY_SIZE(offsets))]);
		m->ops->mmio_write(m->ops->ctx, m->blk.queue[0].doorbell, 4, (uint32_t)wrong << 16);
		CHECK(machine_wait_used(m, 0, (uint16_t)(i + 1), 1000));
		CHECK_EQUAL(*buffers.status, VIRTIO_BLK_S_OK);
		machine_wait_us(m, 5);
		CHECK_EQUAL(machine_used_index(m, 0), i + 1);
	}
	CHECK_EQUAL(virtio_status(&m->blk.virtio), LIVE);
	machine_restart(m);
	machine_check_alive(m);
}

static void test_wrong_notification_data_is_not_believed(void **state)
{
	(void)state;
	RUN(absurd_notification_data, "virtio.notification_data=on");
}

#define STORM 20000u

static void storm(struct machine *m)
{
	uint8_t data[4096];
	machine_probe(m);
	machine_check_alive(m);
	machine_wait_us(m, 50);
	uint64_t reads = root_stats(m->guest.root)->reads, interrupts = root_stats(m->guest.root)->interrupts;
	unsigned requests = 0;
	uint64_t slowest_ps = 0;
	for (unsigned i = 0; i < STORM; i++) {
		machine_kick(m, 0);
		if (i % 500 != 0)
			continue;
		uint64_t begin_ps = kernel_now_ps();
		CHECK_EQUAL(machine_request(m, 1, VIRTIO_BLK_T_IN, 0, data, sizeof(data), 1000), 0);
		slowest_ps = max_u64(slowest_ps, kernel_now_ps() - begin_ps);
		requests++;
	}
	machine_wait_us(m, 1000);
	CHECK(slowest_ps < 100 * PS_PER_US);
	/* At most one look at the ring for a kick; the other queue's requests read a few things, too. */
	CHECK(root_stats(m->guest.root)->reads - reads <= STORM + requests * 16);
	CHECK(root_stats(m->guest.root)->interrupts - interrupts <= requests);
	machine_check_alive(m);
}

static void test_kick_storm_leaves_the_other_queue_alone(void **state)
{
	(void)state;
	RUN(storm);
}

static void kick_while_broken(struct machine *m)
{
	struct quiet quiet;
	machine_probe(m);
	machine_offer(m, 0, MACHINE_QUEUE_SIZE);
	machine_expect_stopped(m);
	publish_read(m, 1, 0, 0);
	quiet_begin(m, &quiet);
	for (unsigned i = 0; i < STORM / 10; i++)
		machine_kick(m, i % 2);
	quiet_end(m, &quiet, 1000);
	machine_restart(m);
	machine_check_alive(m);
}

static void test_kicks_of_a_broken_device_are_ignored(void **state)
{
	(void)state;
	RUN(kick_while_broken);
}

static void doorbell_reads(struct machine *m)
{
	struct quiet quiet;
	machine_probe(m);
	machine_check_alive(m);
	machine_start_without(m, 0);
	machine_wait_us(m, 50);
	publish_read(m, 0, 0, 5);
	quiet_begin(m, &quiet);
	for (unsigned bytes = 1; bytes <= 8; bytes *= 2)
		for (unsigned i = 0; i < 4; i++)
			CHECK_EQUAL(root_mmio_read(m->guest.root, m->blk.queue[i % 2].doorbell, bytes), 0);
	quiet_end(m, &quiet, 1000);
	machine_kick(m, 0);
	CHECK(machine_wait_used(m, 0, 1, 1000));
	machine_restart(m);
	machine_check_alive(m);
}

static void test_reading_a_doorbell_does_nothing(void **state)
{
	(void)state;
	RUN(doorbell_reads);
}

/* ---- queue reset ---- */

/* Queue 0 is reset with slow reads in flight; queue 1 has some, too. */
static void queue_reset_in_flight(struct machine *m)
{
	struct machine_buffers mine[8], other[8];
	machine_probe(m);
	uint64_t begin_ps = kernel_now_ps();
	for (unsigned i = 0; i < 8; i++) {
		mine[i] = publish_read(m, 0, (uint16_t)(3 * i), i);
		other[i] = publish_read(m, 1, (uint16_t)(3 * i), i);
	}
	machine_kick(m, 0);
	machine_kick(m, 1);
	machine_wait_us(m, 50);
	set(m, Q_SELECT, 2, 0);
	set(m, Q_RESET, 2, 1);
	CHECK_EQUAL(get(m, Q_RESET, 2), 1);
	CHECK_EQUAL(get(m, Q_ENABLE, 2), 1);
	while (get(m, Q_RESET, 2) != 0) {
		CHECK(kernel_now_ps() - begin_ps < 2 * SLOW_US * PS_PER_US);
		machine_wait_us(m, 1);
		set(m, Q_SELECT, 2, 0);
	}
	CHECK_EQUAL(get(m, Q_ENABLE, 2), 0);
	/* Not before the medium has ended its work for it. */
	CHECK(kernel_now_ps() - begin_ps > SLOW_US * PS_PER_US);
	uint64_t memory_bytes = m->guest.memory.next - m->guest.memory.base;
	machine_wait_us(m, 10);
	CHECK(machine_wait_used(m, 1, 8, 1000));
	machine_wait_us(m, 50);
	CHECK(machine_took_interrupt(m, m->blk.queue[1].vector));
	uint8_t *before = malloc(memory_bytes);
	ASSERT(before);
	memcpy(before, m->guest.memory.data, memory_bytes);
	machine_kick(m, 0);
	machine_wait_us(m, 1000);
	root_sync(m->guest.root);
	CHECK(memcmp(before, m->guest.memory.data, memory_bytes) == 0);
	free(before);
	CHECK_EQUAL(machine_used_index(m, 0), 0);
	CHECK(!machine_took_interrupt(m, m->blk.queue[0].vector));
	for (unsigned i = 0; i < 8; i++) {
		CHECK_EQUAL(*mine[i].status, 0xff);
		CHECK_EQUAL(*other[i].status, VIRTIO_BLK_S_OK);
	}
	/* It comes back from index 0 on, and smaller. */
	virtqueue_reset(&m->blk.queue[0].vq);
	struct virtqueue vq = m->blk.queue[0].vq;
	m->blk.queue[0].vq.size = vq.size = 16;
	machine_enable(m, 0, &vq);
	struct machine_buffers again = publish_read(m, 0, 0, 3);
	machine_kick(m, 0);
	CHECK(machine_wait_used(m, 0, 1, 1000));
	CHECK_EQUAL(*again.status, VIRTIO_BLK_S_OK);
	m->blk.queue[0].vq.size = MACHINE_QUEUE_SIZE;
	machine_restart(m);
	machine_check_alive(m);
}

static void test_queue_reset_waits_for_its_requests(void **state)
{
	(void)state;
	RUN(queue_reset_in_flight, SLOW);
}

/* ---- interrupts ---- */

struct vector_count {
	uint32_t data;
	unsigned count;
};

static void count_vector(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct vector_count *vector = ctx;
	struct tlp tlp;
	(void)at_ps;
	if (from_card && tlp_decode(&tlp, wire, size) == TLP_OK && tlp.type == TLP_MWR &&
	    tlp.addr - ROOT_MSI_BASE < ROOT_MSI_BYTES && load_le32(tlp.payload) == vector->data)
		vector->count++;
}

/* The queue's vector changes back and forth while it works. The driver listens to both. */
static void remapped(struct machine *m)
{
	uint8_t data[512];
	uint16_t vectors[2] = {1, 2};
	machine_probe(m);
	for (unsigned i = 0; i < 50; i++) {
		struct vector_count old = {.data = GUEST_VECTOR_BASE + vectors[i % 2]};
		for (unsigned j = 0; j < 4; j++) {
			struct machine_buffers buffers = publish_read(m, 0, (uint16_t)(3 * j), j);
			(void)buffers;
		}
		machine_kick(m, 0);
		kernel_wait_ps(rng_below(&m->rng, 20 * PS_PER_US));
		set(m, Q_SELECT, 2, 0);
		set(m, VIRTIO_PCI_COMMON_Q_MSIX, 2, vectors[(i + 1) % 2]);
		CHECK_EQUAL(get(m, VIRTIO_PCI_COMMON_Q_MSIX, 2), vectors[(i + 1) % 2]);
		root_tap(m->guest.root, count_vector, &old);
		CHECK(machine_wait_used(m, 0, (uint16_t)(4 * (i + 1)), 1000));
		machine_wait_us(m, 20);
		root_tap(m->guest.root, NULL, NULL);
		CHECK(old.count <= 1);
		bool first = machine_took_interrupt(m, 1), second = machine_took_interrupt(m, 2);
		CHECK(first || second);
		store_le16(m->blk.queue[0].vq.avail + 4 + 2u * MACHINE_QUEUE_SIZE, (uint16_t)(4 * (i + 1)));
	}
	CHECK_EQUAL(machine_request(m, 1, VIRTIO_BLK_T_IN, 0, data, sizeof(data), 1000), 0);
	machine_restart(m);
	machine_check_alive(m);
}

static void test_remapped_vector_is_late_at_most_once(void **state)
{
	(void)state;
	RUN(remapped);
}

#define NOWHERE UINT64_C(0x300000000000)

static void message_nowhere(struct machine *m)
{
	uint8_t data[512];
	uint64_t addr;
	uint32_t value;
	machine_probe(m);
	root_allow(m->guest.root, NOWHERE, 4, ROOT_WRITE);
	pci_msix_set(&m->blk.pci, m->blk.queue[0].vector, NOWHERE, 0x1234);
	uint64_t unsupported = root_stats(m->guest.root)->unsupported;
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_IN, 0, data, sizeof(data), 1000), 0);
	machine_wait_us(m, 50);
	root_sync(m->guest.root);
	CHECK_EQUAL(root_stats(m->guest.root)->unsupported, unsupported + 1);
	CHECK(!machine_took_interrupt(m, m->blk.queue[0].vector));
	machine_check_queue(m, 1);
	m->ops->msi_message(m->ops->ctx, 0, m->blk.queue[0].vector, &addr, &value);
	pci_msix_set(&m->blk.pci, m->blk.queue[0].vector, addr, value);
	load_check_alive(m, 100);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), LIVE);
}

static void test_message_to_nowhere_is_a_lost_interrupt(void **state)
{
	(void)state;
	RUN(message_nowhere);
}

/* ---- PCI ---- */

static void bus_master_off(struct machine *m)
{
	struct load load;
	struct quiet quiet;
	machine_probe(m);
	start_load(m, &load);
	for (unsigned i = 0; i < 10; i++) {
		pci_set_command(&m->blk.pci, 0, PCI_COMMAND_MASTER);
		CHECK(!(config_read(m, PCI_COMMAND, 2) &
			PCI_COMMAND_MASTER)); /* reading pushes what was on its way */
		quiet_begin(m, &quiet);
		machine_kick(m, 0);
		CHECK_EQUAL(virtio_status(&m->blk.virtio), LIVE);
		quiet_end(m, &quiet, 1000);
		pci_set_command(&m->blk.pci, PCI_COMMAND_MASTER, 0);
		load_run_ps(&load, rng_below(&m->rng, 100 * PS_PER_US));
	}
	load_run(&load, 200);
	load_drain(&load);
}

static void test_bus_master_off_holds_everything_until_it_is_on(void **state)
{
	(void)state;
	RUN(bus_master_off);
}

static void reset_without_bus_master(struct machine *m)
{
	struct load load;
	struct quiet quiet;
	machine_probe(m);
	start_load(m, &load);
	pci_set_command(&m->blk.pci, 0, PCI_COMMAND_MASTER);
	machine_wait_us(m, 100);
	CHECK_EQUAL(virtio_reset(&m->blk.virtio, 10000000), 0);
	quiet_begin(m, &quiet);
	pci_set_command(&m->blk.pci, PCI_COMMAND_MASTER, 0);
	quiet_end(m, &quiet, 1000);
	begin_again(m, &load);
}

static void test_reset_ends_without_bus_master(void **state)
{
	(void)state;
	RUN(reset_without_bus_master);
}

static void memory_space_off(struct machine *m)
{
	struct load load;
	machine_probe(m);
	start_load(m, &load);
	pci_set_command(&m->blk.pci, 0, PCI_COMMAND_MEMORY);
	CHECK_EQUAL(root_mmio_read(m->guest.root, m->blk.virtio.common.addr, 4), UINT32_MAX);
	machine_kick(m, 0);
	load_drain(&load); /* what the card has begun goes on */
	pci_set_command(&m->blk.pci, PCI_COMMAND_MEMORY, 0);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), LIVE);
	load_run(&load, 200);
	load_drain(&load);
}

static void test_memory_space_off_loses_accesses_only(void **state)
{
	(void)state;
	RUN(memory_space_off);
}

static void d3hot(struct machine *m)
{
	struct load load;
	struct quiet quiet;
	machine_probe(m);
	start_load(m, &load);
	unsigned control = m->blk.pci.pm + PCI_PM_CTRL;
	config_write(m, control, 2, config_read(m, control, 2) | 3);
	CHECK_EQUAL(config_read(m, control, 2) & 3, 3);
	quiet_begin(m, &quiet);
	CHECK_EQUAL(root_mmio_read(m->guest.root, m->blk.virtio.common.addr, 4), UINT32_MAX);
	quiet_end(m, &quiet, 1000);
	config_write(m, control, 2, config_read(m, control, 2) & ~3u);
	machine_wait_us(m, 10000);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), LIVE);
	load_run(&load, 200); /* No_Soft_Reset: nothing was lost */
	load_drain(&load);
}

static void test_d3hot_holds_everything_until_d0(void **state)
{
	(void)state;
	RUN(d3hot);
}

#define REGISTERS 24u

/* All of the common configuration a driver can set, for two queues; and the device's own. */
static void take_registers(struct machine *m, uint32_t *value)
{
	static const uint8_t global[] = {VIRTIO_PCI_COMMON_DFSELECT, VIRTIO_PCI_COMMON_GFSELECT,
					 VIRTIO_PCI_COMMON_GF, VIRTIO_PCI_COMMON_MSIX};
	unsigned n = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(global); i++)
		value[n++] = get(m, global[i], 4);
	value[n++] = virtio_status(&m->blk.virtio);
	value[n++] = get(m, Q_SELECT, 2);
	for (unsigned queue = 0; queue < 2; queue++) {
		set(m, Q_SELECT, 2, queue);
		for (unsigned i = 0; i < 8; i++)
			value[n++] = get(m, VIRTIO_PCI_COMMON_Q_SIZE + 4 * i, 4);
		value[n++] = get(m, Q_RESET, 2);
	}
	ASSERT(n == REGISTERS);
}

static void flr(struct machine *m)
{
	struct load load;
	struct quiet quiet;
	uint32_t first[REGISTERS], now[REGISTERS];
	machine_find(m);
	take_registers(m, first);
	machine_probe(m);
	start_load(m, &load);
	config_write(m, m->blk.pci.pcie + PCI_EXP_DEVCTL, 2,
		     config_read(m, m->blk.pci.pcie + PCI_EXP_DEVCTL, 2) | PCI_EXP_DEVCTL_BCR_FLR);
	quiet_begin(m, &quiet);
	quiet_end(m, &quiet, 100000);
	pci_restore(&m->blk.pci, &m->blk.settings.pci);
	take_registers(m, now);
	CHECK(memcmp(first, now, sizeof(first)) == 0);
	CHECK_EQUAL(now[4], 0); /* device_status */
	begin_again(m, &load);
}

static void test_function_level_reset_is_like_power_up(void **state)
{
	(void)state;
	RUN(flr);
	RUN(flr, SLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_failed_while_running_harms_nothing, "V-051"),
		REQ_TEST(test_writes_during_a_reset_are_ignored, "V-052 D-084"),
		REQ_TEST(test_reset_with_requests_in_flight_is_quiet_afterwards, "V-053 D-010 D-011"),
		REQ_TEST(test_reset_during_a_reset_is_harmless, "V-054"),
		REQ_TEST(test_kick_before_driver_ok_waits_for_it, "V-064 D-001"),
		REQ_TEST(test_kick_of_other_queues_is_ignored, "V-065"),
		REQ_TEST(test_odd_kick_is_a_kick_of_its_queue, "V-066 V-067"),
		REQ_TEST(test_wrong_notification_data_is_not_believed, "V-068"),
		REQ_TEST(test_kick_storm_leaves_the_other_queue_alone, "V-069 D-036"),
		REQ_TEST(test_kicks_of_a_broken_device_are_ignored, "V-069"),
		REQ_TEST(test_reading_a_doorbell_does_nothing, "V-070"),
		REQ_TEST(test_queue_reset_waits_for_its_requests,
			 "V-071 D-013 D-014 D-015 D-087 D-088 D-089 D-090"),
		REQ_TEST(test_remapped_vector_is_late_at_most_once, "V-076"),
		REQ_TEST(test_message_to_nowhere_is_a_lost_interrupt, "V-077"),
		REQ_TEST(test_bus_master_off_holds_everything_until_it_is_on, "V-084"),
		REQ_TEST(test_reset_ends_without_bus_master, "V-084"),
		REQ_TEST(test_memory_space_off_loses_accesses_only, "V-085"),
		REQ_TEST(test_d3hot_holds_everything_until_d0, "V-085"),
		REQ_TEST(test_function_level_reset_is_like_power_up, "V-085 D-004"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
