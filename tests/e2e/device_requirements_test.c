/* What a driver finds before it does any I/O: identity, capabilities, features, registers, vectors, INTx, and how the device
 * tells of changes (guide sections 2.1 to 2.4 and 2.16 to 2.30). */
#include "tests/e2e/pcie_help.h"

#include <linux/virtio_ids.h>

#define BIT(n)         (UINT64_C(1) << (n))
#define QUEUES         4u
#define NO_VECTOR      VIRTIO_MSI_NO_VECTOR
#define Q_SELECT       VIRTIO_PCI_COMMON_Q_SELECT
#define Q_MSIX         VIRTIO_PCI_COMMON_Q_MSIX
#define Q_ENABLE       VIRTIO_PCI_COMMON_Q_ENABLE
#define Q_RESET        58u /* queue_reset, virtio 1.4 §4.1.4.3 */
#define CAPACITY       offsetof(struct virtio_blk_config, capacity)
#define ISR_QUEUE      1u
#define ISR_CONFIG     VIRTIO_PCI_ISR_CONFIG
#define RUN(body, ...) machine_run(body, "device.queues=4", "host.vcpus=1", ##__VA_ARGS__, NULL)

static uint32_t get(struct machine *m, unsigned offset, unsigned bytes)
{
	return virtio_common_read(&m->blk.virtio, offset, bytes);
}

static void set(struct machine *m, unsigned offset, unsigned bytes, uint32_t value)
{
	virtio_common_write(&m->blk.virtio, offset, bytes, value);
}

/* ---- identity and capabilities ---- */

static void identity(struct machine *m)
{
	machine_find(m);
	CHECK_EQUAL(config_read(m, PCI_VENDOR_ID, 2), 0x1af4);
	CHECK_EQUAL(config_read(m, PCI_DEVICE_ID, 2), 0x1040 + VIRTIO_ID_BLOCK);
	CHECK(config_read(m, PCI_REVISION_ID, 1) >= 1);
	CHECK(config_read(m, PCI_SUBSYSTEM_ID, 2) >= 0x40);
	machine_probe(m);
	machine_check_alive(m);
}

static void test_identity_is_that_of_a_modern_block_device(void **state)
{
	(void)state;
	RUN(identity);
}

/* Every virtio capability: kind, length, place. */
static void capabilities(struct machine *m)
{
	static const uint8_t lengths[] = {[VIRTIO_PCI_CAP_COMMON_CFG] = 16,
					  [VIRTIO_PCI_CAP_NOTIFY_CFG] = 20,
					  [VIRTIO_PCI_CAP_ISR_CFG] = 16,
					  [VIRTIO_PCI_CAP_DEVICE_CFG] = 16,
					  [VIRTIO_PCI_CAP_PCI_CFG] = 20};
	unsigned seen[ARRAY_SIZE(lengths)] = {0};
	machine_probe(m);
	bool data = virtio_device_features(&m->blk.virtio) & BIT(38 /* VIRTIO_F_NOTIFICATION_DATA */);
	for (unsigned at = 0; (at = pci_find_capability(&m->blk.pci, PCI_CAP_ID_VNDR, at)) != 0;) {
		unsigned type = config_read(m, at + VIRTIO_PCI_CAP_CFG_TYPE, 1);
		uint32_t offset = config_read(m, at + VIRTIO_PCI_CAP_OFFSET, 4);
		uint32_t bytes = config_read(m, at + VIRTIO_PCI_CAP_LENGTH, 4);
		CHECK(type < ARRAY_SIZE(lengths) && lengths[type] != 0);
		seen[type]++;
		CHECK(config_read(m, at + VIRTIO_PCI_CAP_LEN, 1) >= lengths[type]);
		if (type == VIRTIO_PCI_CAP_PCI_CFG)
			continue;
		unsigned bar = config_read(m, at + VIRTIO_PCI_CAP_BAR, 1);
		CHECK(bar < PCI_BARS);
		CHECK(offset <= m->blk.pci.bar[bar].bytes && bytes <= m->blk.pci.bar[bar].bytes - offset);
		if (type == VIRTIO_PCI_CAP_COMMON_CFG || type == VIRTIO_PCI_CAP_DEVICE_CFG)
			CHECK_EQUAL(offset % 4, 0);
		if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
			CHECK_EQUAL(offset % (data ? 4 : 2), 0);
	}
	/* One of each kind: there is no better or worse one (D-077). */
	for (unsigned type = VIRTIO_PCI_CAP_COMMON_CFG; type <= VIRTIO_PCI_CAP_PCI_CFG; type++)
		CHECK_EQUAL(seen[type], 1);
	/* MSI-X is the only kind of message, so two kinds cannot be enabled together (INT-017). */
	CHECK(m->blk.pci.msix != 0);
	CHECK_EQUAL(pci_find_capability(&m->blk.pci, PCI_CAP_ID_MSIX, m->blk.pci.msix), 0);
	CHECK_EQUAL(pci_find_capability(&m->blk.pci, PCI_CAP_ID_MSI, 0), 0);
	/* Notify addresses (§4.1.4.4.1). */
	uint32_t multiplier = m->blk.virtio.notify_multiplier, width = data ? 4 : 2;
	CHECK(multiplier == 0 || (is_power_of_2(multiplier) && multiplier % width == 0));
	for (unsigned i = 0; i < QUEUES; i++) {
		set(m, Q_SELECT, 2, i);
		CHECK(m->blk.virtio.notify.bytes >= get(m, VIRTIO_PCI_COMMON_Q_NOFF, 2) * multiplier + width);
	}
}

static void test_capabilities_are_all_there(void **state)
{
	(void)state;
	RUN(capabilities);
	RUN(capabilities, "virtio.notification_data=on");
}

/* ---- features ---- */

/* Bits that mean something for a block device behind PCI (virtio 1.4 §5.2.3, §6), legacy ones aside. */
#define KNOWN                                                                                                \
	(BIT(1) | BIT(2) | BIT(4) | BIT(5) | BIT(6) | BIT(9) | BIT(10) | BIT(11) | BIT(12) | BIT(13) |       \
	 BIT(14) | BIT(15) | BIT(16) | BIT(17) | BIT(28) | BIT(29) | BIT(32) | BIT(33) | BIT(34) | BIT(35) | \
	 BIT(36) | BIT(37) | BIT(38) | BIT(39) | BIT(40) | BIT(41) | BIT(43))

static void offer(struct machine *m)
{
	machine_find(m);
	uint64_t offered = virtio_device_features(&m->blk.virtio);
	CHECK_EQUAL(offered & ~KNOWN, 0);
	CHECK(offered & BIT(VIRTIO_F_VERSION_1));
	CHECK(offered & BIT(VIRTIO_BLK_F_FLUSH)); /* always, so with CONFIG_WCE, too */
	CHECK(!(offered & BIT(17 /* VIRTIO_BLK_F_ZONED */)));
	CHECK(!(offered & BIT(37 /* VIRTIO_F_SR_IOV */)));
	CHECK_EQUAL(offered >> VIRTIO_BLK_F_CONFIG_WCE & 1, m->config.virtio.config_wce);
	/* Windows without offered bits. */
	static const uint32_t windows[] = {2, 3, 0x80000000, UINT32_MAX};
	for (unsigned i = 0; i < ARRAY_SIZE(windows); i++) {
		set(m, VIRTIO_PCI_COMMON_DFSELECT, 4, windows[i]);
		CHECK_EQUAL(get(m, VIRTIO_PCI_COMMON_DF, 4), 0);
	}
}

static void test_offered_features_make_sense(void **state)
{
	static const struct machine_options null_disk = {.disk = "null:1M"};
	static const char *const none[] = {NULL};
	(void)state;
	RUN(offer);
	RUN(offer, "virtio.config_wce=off");
	RUN(offer, "virtio.discard=off", "virtio.write_zeroes=off", "virtio.indirect=off",
	    "virtio.event_idx=off");
	RUN(offer, "virtio.secure_erase=on", "virtio.lifetime=on", "virtio.in_order=on",
	    "virtio.notification_data=on");
	machine_run_with(offer, &null_disk, none);
}

/* Any subset with what the card cannot do without. */
static void subsets(struct machine *m)
{
	const uint64_t needed = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM);
	machine_find(m);
	uint64_t offered = virtio_device_features(&m->blk.virtio);
	for (unsigned i = 0; i < 100; i++) {
		uint64_t subset = (offered & rng_u64(&m->rng)) | needed;
		char error[200] = "";
		if (virtio_negotiate(&m->blk.virtio, subset, error, sizeof(error)) != 0) {
			printf("%s\n", error);
			CHECK(!"the subset is accepted");
		}
		CHECK_EQUAL(virtio_status(&m->blk.virtio), 0x0b);
		set(m, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
		CHECK_EQUAL(get(m, VIRTIO_PCI_COMMON_GF, 4), (uint32_t)subset);
		set(m, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
		CHECK_EQUAL(get(m, VIRTIO_PCI_COMMON_GF, 4), subset >> 32);
	}
}

static void test_any_subset_of_features_is_accepted(void **state)
{
	(void)state;
	RUN(subsets, "virtio.secure_erase=on", "virtio.lifetime=on", "virtio.in_order=on",
	    "virtio.notification_data=on");
}

/* Bits that are not offered: whatever the driver reads of them afterwards, FEATURES_OK does not come with them. */
static void invalid_bits(struct machine *m)
{
	machine_find(m);
	uint64_t offered = virtio_device_features(&m->blk.virtio);
	for (unsigned bit = 0; bit < 64; bit++) {
		uint32_t half = (uint32_t)(offered >> 32 * (bit / 32)), mask = (uint32_t)1 << bit % 32;
		if (offered & BIT(bit))
			continue;
		CHECK_EQUAL(virtio_reset(&m->blk.virtio, 1000000), 0);
		virtio_add_status(&m->blk.virtio, VIRTIO_CONFIG_S_ACKNOWLEDGE);
		virtio_add_status(&m->blk.virtio, VIRTIO_CONFIG_S_DRIVER);
		for (unsigned window = 0; window < 2; window++) {
			set(m, VIRTIO_PCI_COMMON_GFSELECT, 4, window);
			set(m, VIRTIO_PCI_COMMON_GF, 4,
			    (uint32_t)(offered >> 32 * window) | (window == bit / 32 ? mask : 0));
		}
		set(m, VIRTIO_PCI_COMMON_GFSELECT, 4, bit / 32);
		uint32_t seen = get(m, VIRTIO_PCI_COMMON_GF, 4);
		CHECK_EQUAL(seen & ~mask, half); /* the valid ones read back, the other may */
		virtio_add_status(&m->blk.virtio, VIRTIO_CONFIG_S_FEATURES_OK);
		CHECK_EQUAL(virtio_status(&m->blk.virtio), 0x03);
	}
	machine_probe(m);
	machine_check_alive(m);
}

static void test_invalid_features_do_not_pass_features_ok(void **state)
{
	(void)state;
	RUN(invalid_bits);
}

static void take_device_config(struct machine *m, uint32_t *words)
{
	for (unsigned i = 0; i < sizeof(struct virtio_blk_config) / 4; i++)
		words[i] = virtio_config_read(&m->blk.virtio, 4 * i, 4);
}

/* The fields are there for a driver that wants to know before it decides. */
static void early_config(struct machine *m)
{
	struct virtio_blk_config config;
	uint32_t before[sizeof(config) / 4], after[sizeof(config) / 4];
	machine_find(m);
	CHECK_EQUAL(virtio_reset(&m->blk.virtio, 1000000), 0);
	virtio_add_status(&m->blk.virtio, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	virtio_add_status(&m->blk.virtio, VIRTIO_CONFIG_S_DRIVER);
	take_device_config(m, before);
	memcpy(&config, before, sizeof(before));
	CHECK_EQUAL(config.capacity, MACHINE_DISK_BYTES / 512);
	CHECK_EQUAL(config.num_queues, QUEUES);
	CHECK_EQUAL(config.seg_max, m->config.device.seg_max);
	CHECK_EQUAL(config.blk_size, 512);
	CHECK_EQUAL(config.wce, 1);
	CHECK(config.max_discard_sectors != 0 && config.max_discard_seg != 0);
	CHECK(config.max_write_zeroes_sectors != 0 && config.max_write_zeroes_seg != 0);
	CHECK_EQUAL(config.write_zeroes_may_unmap, 1);
	CHECK_EQUAL(config.unused, 0);
	CHECK(config.unused1[0] == 0 && config.unused1[1] == 0 && config.unused1[2] == 0);
	machine_probe(m);
	take_device_config(m, after);
	CHECK(memcmp(before, after, sizeof(before)) == 0);
}

static void test_device_configuration_is_there_before_features_ok(void **state)
{
	(void)state;
	RUN(early_config);
}

/* ---- registers ---- */

/* 64-bit fields in halves, either first; the other half stays. */
static void halves(struct machine *m)
{
	static const unsigned fields[] = {VIRTIO_PCI_COMMON_Q_DESCLO, VIRTIO_PCI_COMMON_Q_AVAILLO,
					  VIRTIO_PCI_COMMON_Q_USEDLO};
	machine_find(m);
	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
		set(m, Q_SELECT, 2, i);
		set(m, fields[i] + 4, 4, 0x11111111);
		CHECK_EQUAL(get(m, fields[i], 4), 0);
		set(m, fields[i], 4, 0x22222220);
		CHECK_EQUAL(get(m, fields[i] + 4, 4), 0x11111111);
		set(m, fields[i] + 4, 4, 0x33333333);
		CHECK_EQUAL(get(m, fields[i], 4), 0x22222220);
		CHECK_EQUAL(get(m, fields[i] + 4, 4), 0x33333333);
	}
	uint32_t high = virtio_config_read(&m->blk.virtio, CAPACITY + 4, 4);
	uint32_t low = virtio_config_read(&m->blk.virtio, CAPACITY, 4);
	CHECK_EQUAL((uint64_t)high << 32 | low, MACHINE_DISK_BYTES / 512);
}

static void test_halves_of_64_bit_fields_are_independent(void **state)
{
	(void)state;
	RUN(halves);
}

/* What is left after a reset of a device that was in use: nothing. */
static void after_reset(struct machine *m)
{
	machine_probe(m);
	machine_check_alive(m);
	CHECK_EQUAL(virtio_reset(&m->blk.virtio, 1000000), 0);
	CHECK_EQUAL(get(m, VIRTIO_PCI_COMMON_MSIX, 2), NO_VECTOR);
	for (unsigned i = 0; i < QUEUES; i++) {
		set(m, Q_SELECT, 2, i);
		CHECK_EQUAL(get(m, Q_ENABLE, 2), 0);
		CHECK_EQUAL(get(m, Q_RESET, 2), 0);
		CHECK_EQUAL(get(m, Q_MSIX, 2), NO_VECTOR);
		CHECK_EQUAL(get(m, VIRTIO_PCI_COMMON_Q_SIZE, 2), MACHINE_QUEUE_SIZE);
		CHECK_EQUAL(get(m, VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0);
	}
	/* The same once RING_RESET is negotiated. */
	machine_renegotiate(m, 0);
	for (unsigned i = 0; i < QUEUES; i++) {
		set(m, Q_SELECT, 2, i);
		CHECK_EQUAL(get(m, Q_RESET, 2), 0);
		CHECK_EQUAL(get(m, Q_ENABLE, 2), 0);
	}
	machine_restart(m);
	machine_check_alive(m);
}

static void test_reset_leaves_nothing(void **state)
{
	(void)state;
	RUN(after_reset);
}

/* ---- the window in configuration space ---- */

static void window(struct machine *m)
{
	machine_probe(m);
	const struct virtio_device *virtio = &m->blk.virtio;
	unsigned bar = config_read(m, virtio->common.capability + VIRTIO_PCI_CAP_BAR, 1);
	uint64_t base = m->blk.pci.bar[bar].addr;
	const struct virtio_window *const parts[] = {&virtio->common, &virtio->device};
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
		for (unsigned offset = 0; offset < 64; offset++)
			for (unsigned bytes = 1; bytes <= 4; bytes *= 2)
				if (offset % bytes == 0)
					CHECK_EQUAL(
						virtio_window_read(virtio, bar,
								   (uint32_t)(parts[i]->addr - base) + offset,
								   bytes),
						root_mmio_read(m->guest.root, parts[i]->addr + offset,
							       bytes));
	/* A request with a doorbell through the window, on the second queue. */
	struct blk_request request = {.type = VIRTIO_BLK_T_FLUSH};
	CHECK_EQUAL(blk_submit(&m->blk, &m->blk.queue[1], &request), 0);
	blk_publish(&m->blk.queue[1]);
	virtio_window_write(virtio, bar, (uint32_t)(m->blk.queue[1].doorbell - base), 2, 1);
	CHECK(machine_wait_used(m, 1, 1, 1000));
	CHECK(blk_take(&m->blk.queue[1]) == &request);
	CHECK_EQUAL(request.status, VIRTIO_BLK_S_OK);
	/* A reset through the window. */
	virtio_window_write(virtio, bar, (uint32_t)(virtio->common.addr - base) + VIRTIO_PCI_COMMON_STATUS, 1,
			    0);
	CHECK_EQUAL(machine_wait_status(m, 0xff, false, 1000), 0);
	machine_restart(m);
	machine_check_alive(m);
}

static void test_window_does_what_direct_access_does(void **state)
{
	(void)state;
	RUN(window);
}

/* ---- MSI-X vectors ---- */

/* What came before is of no interest. */
static void forget_interrupts(struct machine *m)
{
	machine_wait_us(m, 20);
	for (unsigned i = 0; i <= QUEUES; i++)
		machine_took_interrupt(m, i);
}

/* One request on a queue; which vectors came? */
static unsigned vectors_of_request(struct machine *m, unsigned queue)
{
	uint8_t data[512];
	unsigned came = 0;
	forget_interrupts(m);
	CHECK_EQUAL(machine_request(m, queue, VIRTIO_BLK_T_IN, 0, data, sizeof(data), 1000), 0);
	machine_wait_us(m, 20);
	for (unsigned i = 0; i <= QUEUES; i++)
		came |= machine_took_interrupt(m, i) ? 1u << i : 0;
	return came;
}

static unsigned vectors_of_change(struct machine *m, uint64_t sectors)
{
	unsigned came = 0;
	forget_interrupts(m);
	CHECK(device_resize(m->guest.device, sectors));
	machine_wait_us(m, 50);
	for (unsigned i = 0; i <= QUEUES; i++)
		came |= machine_took_interrupt(m, i) ? 1u << i : 0;
	return came;
}

static void map(struct machine *m, unsigned queue, uint16_t vector)
{
	set(m, Q_SELECT, 2, queue);
	set(m, Q_MSIX, 2, vector);
	CHECK_EQUAL(get(m, Q_MSIX, 2), vector);
}

static void vectors(struct machine *m)
{
	uint64_t sectors = MACHINE_DISK_BYTES / 512;
	machine_probe(m);
	CHECK_EQUAL(m->blk.pci.msix_vectors, QUEUES + 1);
	for (uint16_t vector = 0; vector <= QUEUES; vector++) {
		/* Every event on one vector. */
		set(m, VIRTIO_PCI_COMMON_MSIX, 2, vector);
		CHECK_EQUAL(get(m, VIRTIO_PCI_COMMON_MSIX, 2), vector);
		for (unsigned queue = 0; queue < QUEUES; queue++)
			map(m, queue, vector);
		for (unsigned queue = 0; queue < QUEUES; queue++)
			CHECK_EQUAL(vectors_of_request(m, queue), 1u << vector);
		CHECK_EQUAL(vectors_of_change(m, --sectors), 1u << vector);
	}
	/* Each on one of its own, backwards. */
	set(m, VIRTIO_PCI_COMMON_MSIX, 2, QUEUES);
	for (unsigned queue = 0; queue < QUEUES; queue++)
		map(m, queue, (uint16_t)(QUEUES - 1 - queue));
	for (unsigned queue = 0; queue < QUEUES; queue++)
		CHECK_EQUAL(vectors_of_request(m, queue), 1u << (QUEUES - 1 - queue));
	CHECK_EQUAL(vectors_of_change(m, --sectors), 1u << QUEUES);
}

static void test_any_event_goes_to_any_vector(void **state)
{
	(void)state;
	RUN(vectors);
}

static void unmapped(struct machine *m)
{
	machine_probe(m);
	map(m, 1, NO_VECTOR);
	machine_check_alive(m);
	machine_wait_us(m, 50);
	const struct root_stats *stats = root_stats(m->guest.root);
	uint64_t interrupts = stats->interrupts;
	for (unsigned i = 0; i < 10; i++)
		CHECK_EQUAL(vectors_of_request(m, 1), 0);
	set(m, VIRTIO_PCI_COMMON_MSIX, 2, NO_VECTOR);
	CHECK_EQUAL(get(m, VIRTIO_PCI_COMMON_MSIX, 2), NO_VECTOR);
	CHECK_EQUAL(vectors_of_change(m, 1000), 0);
	CHECK_EQUAL(stats->interrupts, interrupts);
	CHECK_EQUAL(stats->intx_messages, 0);
	/* The others go on. */
	CHECK_EQUAL(vectors_of_request(m, 0), 1u << m->blk.queue[0].vector);
}

static void test_unmapped_events_interrupt_nobody(void **state)
{
	(void)state;
	RUN(unmapped);
}

/* ---- INTx and ISR status ---- */

static bool interrupt_status(struct machine *m)
{
	return config_read(m, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT;
}

static bool has_intx(void *ctx)
{
	return ((struct machine *)ctx)->guest.intx;
}

static void intx_comes(struct machine *m, uint8_t isr)
{
	CHECK(machine_wait_until(m, has_intx, m, 1000));
	CHECK(interrupt_status(m));
	/* The cause is there when the interrupt is; reading takes it away, and with it the interrupt. */
	CHECK_EQUAL(virtio_isr(&m->blk.virtio), isr);
	CHECK_EQUAL(virtio_isr(&m->blk.virtio), 0);
	machine_wait_us(m, 1);
	CHECK(!m->guest.intx);
	CHECK(!interrupt_status(m));
}

static void submit_flush(struct machine *m, unsigned queue, struct blk_request *request)
{
	*request = (struct blk_request){.type = VIRTIO_BLK_T_FLUSH};
	CHECK_EQUAL(blk_submit(&m->blk, &m->blk.queue[queue], request), 0);
	if (blk_publish(&m->blk.queue[queue]))
		machine_kick(m, queue);
}

static void intx(struct machine *m)
{
	struct blk_request request;
	machine_probe(m);
	CHECK_EQUAL(m->blk.vectors, 0);
	CHECK(!m->guest.intx);
	CHECK(!interrupt_status(m));
	for (unsigned i = 0; i < 20; i++) {
		struct blk_queue *queue = &m->blk.queue[i % QUEUES];
		submit_flush(m, i % QUEUES, &request);
		intx_comes(m, ISR_QUEUE);
		CHECK(blk_take(queue) == &request);
		virtqueue_enable_interrupts(&queue->vq);
	}
	CHECK(device_resize(m->guest.device, 1000));
	intx_comes(m, ISR_CONFIG);
	/* Both causes, one wire. */
	submit_flush(m, 0, &request);
	CHECK(device_resize(m->guest.device, 1001));
	machine_wait_us(m, 100);
	intx_comes(m, ISR_QUEUE | ISR_CONFIG);
	CHECK(blk_take(&m->blk.queue[0]) == &request);
	virtqueue_enable_interrupts(&m->blk.queue[0].vq);
	/* Interrupt Disable keeps the wire still, not the status (PCIe 6.0 §7.5.1.1.3). */
	pci_set_command(&m->blk.pci, PCI_COMMAND_INTX_DISABLE, 0);
	submit_flush(m, 1, &request);
	machine_wait_us(m, 100);
	CHECK(!m->guest.intx);
	CHECK(interrupt_status(m));
	pci_set_command(&m->blk.pci, 0, PCI_COMMAND_INTX_DISABLE);
	intx_comes(m, ISR_QUEUE);
	/* A reset takes the cause along. */
	CHECK(blk_take(&m->blk.queue[1]) == &request);
	virtqueue_enable_interrupts(&m->blk.queue[1].vq);
	submit_flush(m, 1, &request);
	CHECK(machine_wait_until(m, has_intx, m, 1000));
	CHECK_EQUAL(virtio_reset(&m->blk.virtio, 1000000), 0);
	machine_wait_us(m, 1);
	CHECK(!m->guest.intx);
	CHECK_EQUAL(virtio_isr(&m->blk.virtio), 0);
	CHECK_EQUAL(root_stats(m->guest.root)->interrupts, 0);
}

static void test_intx_follows_isr_status(void **state)
{
	(void)state;
	RUN(intx, "guest.msix=off");
}

static void needs_reset_by_intx(struct machine *m)
{
	machine_probe(m);
	machine_offer(m, 0, MACHINE_QUEUE_SIZE);
	intx_comes(m, ISR_CONFIG);
	CHECK(virtio_status(&m->blk.virtio) & VIRTIO_CONFIG_S_NEEDS_RESET);
	machine_restart(m);
	machine_check_alive(m);
}

static void test_needs_reset_is_told_by_intx(void **state)
{
	(void)state;
	RUN(needs_reset_by_intx, "guest.msix=off");
}

/* ---- changes of the configuration ---- */

static uint8_t generation(struct machine *m)
{
	return (uint8_t)get(m, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
}

static void resize(struct machine *m)
{
	static const uint64_t sizes[] = {1000, 32768, 1, 0, 20000, 32767};
	uint8_t data[512];
	machine_probe(m);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t before = generation(m);
		CHECK_EQUAL(vectors_of_change(m, sizes[i]), 1u << BLK_CONFIG_VECTOR);
		CHECK(virtio_isr(&m->blk.virtio) & ISR_CONFIG);
		CHECK(blk_config_changed(&m->blk));
		CHECK_EQUAL(m->blk.capacity_sectors, sizes[i]);
		CHECK(generation(m) != before);
		/* It is in force: the last sector is there, the one behind it is not. */
		if (sizes[i] != 0)
			CHECK_EQUAL(machine_request(m, 1, VIRTIO_BLK_T_IN, sizes[i] - 1, data, 512, 1000),
				    VIRTIO_BLK_S_OK);
		CHECK_EQUAL(machine_request(m, 1, VIRTIO_BLK_T_IN, sizes[i], data, 512, 1000),
			    VIRTIO_BLK_S_IOERR);
	}
	CHECK_EQUAL(virtio_status(&m->blk.virtio), 0x0f);
}

static void test_resize_is_told_and_in_force(void **state)
{
	(void)state;
	RUN(resize);
}

/* Before DRIVER_OK nobody is told, but the generation speaks; after it there is nothing left to tell. */
static void early_resize(struct machine *m)
{
	machine_probe(m);
	machine_renegotiate(m, 0);
	CHECK_EQUAL(virtio_config_read64(&m->blk.virtio, CAPACITY), MACHINE_DISK_BYTES / 512);
	uint8_t before = generation(m);
	CHECK_EQUAL(vectors_of_change(m, 1000), 0);
	CHECK(generation(m) != before);
	CHECK_EQUAL(virtio_config_read64(&m->blk.virtio, CAPACITY), 1000);
	before = generation(m);
	machine_wait_us(m, 100);
	CHECK_EQUAL(generation(m), before);
}

static void test_resize_before_driver_ok_changes_the_generation(void **state)
{
	(void)state;
	RUN(early_resize);
}

struct resizer {
	struct machine *m;
	uint64_t sectors;
	bool stop;
};

static void keep_resizing(void *arg)
{
	struct resizer *resizer = arg;
	for (unsigned i = 0; !resizer->stop; i++) {
		/* The halves never fit together: a torn capacity shows. */
		resizer->sectors = i % 2 ? 1 : 32768;
		device_resize(resizer->m->guest.device, resizer->sectors);
		kernel_wait_ps(3 * PS_PER_US + i % 7 * 100 * PS_PER_NS);
	}
}

/* The driver reads the capacity as it changes all the time: it sees one value or the other. More than 256 changes between
 * two reads of the generation cannot hide either. */
static void changing(struct machine *m)
{
	struct resizer resizer = {.m = m};
	machine_probe(m);
	kernel_thread_spawn("resizer", keep_resizing, &resizer);
	for (unsigned i = 0; i < 300; i++) {
		uint64_t sectors = virtio_config_read64(&m->blk.virtio, CAPACITY);
		CHECK(sectors == 1 || sectors == 32768);
	}
	resizer.stop = true;
	machine_wait_us(m, 50);
	virtio_config_read64(&m->blk.virtio, CAPACITY);
	uint8_t before = generation(m);
	for (unsigned i = 0; i < 256; i++) {
		CHECK(device_resize(m->guest.device, 100 + i));
		machine_wait_us(m, 5);
	}
	virtio_config_read64(&m->blk.virtio, CAPACITY);
	CHECK(generation(m) != before);
}

static void test_changes_cannot_hide_from_the_generation(void **state)
{
	(void)state;
	RUN(changing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_identity_is_that_of_a_modern_block_device, "D-068 D-069 D-071 D-072 D-073"),
		REQ_TEST(test_capabilities_are_all_there, "D-075 D-077 D-078 D-079 D-095 D-096 D-099 D-101 "
							  "D-103 D-104 D-109 D-110 D-117 INT-017"),
		REQ_TEST(test_offered_features_make_sense, "D-005 D-008 D-051 D-080 D-132 D-133 D-136"),
		REQ_TEST(test_any_subset_of_features_is_accepted, "D-006 D-081"),
		REQ_TEST(test_invalid_features_do_not_pass_features_ok, "D-082 D-081 D-007"),
		REQ_TEST(test_device_configuration_is_there_before_features_ok, "D-012 D-135"),
		REQ_TEST(test_halves_of_64_bit_fields_are_independent, "D-074"),
		REQ_TEST(test_reset_leaves_nothing, "D-085 D-086 D-127"),
		REQ_TEST(test_window_does_what_direct_access_does, "D-118 D-119"),
		REQ_TEST(test_any_event_goes_to_any_vector, "D-122 D-124 D-126 D-128"),
		REQ_TEST(test_unmapped_events_interrupt_nobody, "D-125 D-130 D-131"),
		REQ_TEST(test_intx_follows_isr_status, "D-105 D-106 D-107 D-108"),
		REQ_TEST(test_needs_reset_is_told_by_intx, "D-003"),
		REQ_TEST(test_resize_is_told_and_in_force, "D-149 D-150 D-083"),
		REQ_TEST(test_resize_before_driver_ok_changes_the_generation, "D-083"),
		REQ_TEST(test_changes_cannot_hide_from_the_generation, "D-083 G-010 G-011"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
