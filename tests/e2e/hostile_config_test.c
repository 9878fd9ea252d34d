/* Drivers that break the rules of negotiation and of the configuration registers (guide section 6.3): nothing they write
 * there may do more than it says, and a reset mends it. */
#include "tests/e2e/machine.h"

#include "rtl-model/blocks/virtio/virtio_regs.h"

#define BIT(n)    (UINT64_C(1) << (n))
#define QUEUES    4u
#define NO_QUEUE  QUEUES /* one that is not there */
#define Q_SELECT  VIRTIO_PCI_COMMON_Q_SELECT
#define Q_SIZE    VIRTIO_PCI_COMMON_Q_SIZE
#define Q_MSIX    VIRTIO_PCI_COMMON_Q_MSIX
#define Q_ENABLE  VIRTIO_PCI_COMMON_Q_ENABLE
#define Q_NOFF    VIRTIO_PCI_COMMON_Q_NOFF
#define Q_RESET   58u /* queue_reset, virtio 1.4 §4.1.4.3 */
#define STATUS    VIRTIO_PCI_COMMON_STATUS
#define NO_VECTOR VIRTIO_MSI_NO_VECTOR

#define ACKNOWLEDGE VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER      VIRTIO_CONFIG_S_DRIVER
#define FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define DRIVER_OK   VIRTIO_CONFIG_S_DRIVER_OK
#define LIVE        (ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)

#define RUN(body) machine_run(body, "device.queues=4", "host.vcpus=1", NULL)

/* ---- registers ---- */

static uint32_t get(struct machine *m, unsigned offset, unsigned bytes)
{
	return virtio_common_read(&m->blk.virtio, offset, bytes);
}

static void set(struct machine *m, unsigned offset, unsigned bytes, uint32_t value)
{
	virtio_common_write(&m->blk.virtio, offset, bytes, value);
}

static uint32_t get_queue(struct machine *m, unsigned queue, unsigned offset, unsigned bytes)
{
	set(m, Q_SELECT, 2, queue);
	return get(m, offset, bytes);
}

static void set_queue(struct machine *m, unsigned queue, unsigned offset, unsigned bytes, uint32_t value)
{
	set(m, Q_SELECT, 2, queue);
	set(m, offset, bytes, value);
}

/* One 32-bit window of driver_feature. */
static void set_features(struct machine *m, uint32_t window, uint32_t bits)
{
	set(m, VIRTIO_PCI_COMMON_GFSELECT, 4, window);
	set(m, VIRTIO_PCI_COMMON_GF, 4, bits);
}

static void begin_negotiation(struct machine *m)
{
	CHECK_EQUAL(virtio_reset(&m->blk.virtio, 1000000), 0);
	virtio_add_status(&m->blk.virtio, ACKNOWLEDGE);
	virtio_add_status(&m->blk.virtio, DRIVER);
}

static bool end_negotiation(struct machine *m)
{
	virtio_add_status(&m->blk.virtio, FEATURES_OK);
	return virtio_status(&m->blk.virtio) & FEATURES_OK;
}

static bool accepts(struct machine *m, uint64_t features)
{
	begin_negotiation(m);
	set_features(m, 0, (uint32_t)features);
	set_features(m, 1, (uint32_t)(features >> 32));
	return end_negotiation(m);
}

/* The device is as good as new for a driver that behaves. */
static void check_recovers(struct machine *m)
{
	machine_probe(m);
	machine_check_alive(m);
}

/* ---- features ---- */

static void unoffered_features(struct machine *m)
{
	machine_find(m);
	uint64_t offered = virtio_device_features(&m->blk.virtio);
	CHECK(accepts(m, offered));
	for (unsigned bit = 0; bit < 64; bit++)
		if (!(offered & BIT(bit)))
			CHECK(!accepts(m, offered | BIT(bit)));
	static const uint32_t windows[] = {2, 3, 0x7fffffff, UINT32_MAX};
	for (unsigned i = 0; i < ARRAY_SIZE(windows); i++) {
		begin_negotiation(m);
		set_features(m, 0, (uint32_t)offered);
		set_features(m, 1, (uint32_t)(offered >> 32));
		set_features(m, windows[i], 1);
		CHECK(!end_negotiation(m));
	}
	CHECK(accepts(m, offered));
	check_recovers(m);
}

static void test_feature_not_offered_is_refused(void **state)
{
	(void)state;
	RUN(unoffered_features);
}

static void missing_features(struct machine *m)
{
	machine_find(m);
	uint64_t offered = virtio_device_features(&m->blk.virtio);
	CHECK(!accepts(m, offered & ~BIT(VIRTIO_F_VERSION_1)));
	CHECK(!accepts(m, offered & ~BIT(VIRTIO_F_ACCESS_PLATFORM)));
	CHECK(!accepts(m, 0));
	CHECK(!accepts(m, BIT(VIRTIO_F_VERSION_1)));
	/* Nothing else is needed. */
	CHECK(accepts(m, BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM)));
	check_recovers(m);
}

static void test_required_feature_missing_is_refused(void **state)
{
	(void)state;
	RUN(missing_features);
}

static void cache_without_flush(struct machine *m)
{
	uint8_t data[512] = {1};
	machine_probe(m);
	machine_start_without(m, BIT(VIRTIO_BLK_F_FLUSH));
	CHECK(virtio_has(&m->blk.virtio, VIRTIO_BLK_F_CONFIG_WCE));
	CHECK_EQUAL(virtio_config_read(&m->blk.virtio, offsetof(struct virtio_blk_config, wce), 1), 0);
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_OUT, 0, data, sizeof(data), 1000), VIRTIO_BLK_S_OK);
	/* With FLUSH it starts as a write-back cache. */
	machine_restart(m);
	CHECK_EQUAL(virtio_config_read(&m->blk.virtio, offsetof(struct virtio_blk_config, wce), 1), 1);
	machine_check_alive(m);
}

static void test_cache_control_without_flush_starts_write_through(void **state)
{
	(void)state;
	machine_run(cache_without_flush, "guest.config_wce=on", NULL);
}

/* The agreed set counts, whatever is written later: here EVENT_IDX, which then decides who gets interrupts. */
static void late_features(struct machine *m)
{
	uint8_t data[512];
	machine_probe(m);
	uint64_t agreed = m->blk.virtio.features;
	CHECK(accepts(m, agreed));
	set_features(m, 0, 0);
	set_features(m, 1, UINT32_MAX);
	set_features(m, 2, 1);
	CHECK(virtio_status(&m->blk.virtio) & FEATURES_OK);
	set(m, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	CHECK_EQUAL(get(m, VIRTIO_PCI_COMMON_GF, 4), (uint32_t)agreed);
	for (unsigned i = 0; i < m->blk.queues; i++)
		machine_enable(m, i, &m->blk.queue[i].vq);
	machine_driver_ok(m);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), LIVE);
	/* used_event is heeded. */
	machine_took_interrupt(m, m->blk.queue[0].vector);
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_IN, 0, data, sizeof(data), 1000), 0);
	machine_wait_us(m, 10);
	CHECK(machine_took_interrupt(m, m->blk.queue[0].vector));
	store_le16(m->blk.queue[0].vq.avail + 4 + 2u * MACHINE_QUEUE_SIZE, 0x8000);
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_IN, 0, data, sizeof(data), 1000), 0);
	machine_wait_us(m, 10);
	CHECK(!machine_took_interrupt(m, m->blk.queue[0].vector));
	check_recovers(m);
}

static void test_features_written_after_features_ok_are_ignored(void **state)
{
	(void)state;
	RUN(late_features);
}

/* ---- status ---- */

static void live_without_features(struct machine *m)
{
	machine_probe(m);
	begin_negotiation(m);
	for (unsigned i = 0; i < m->blk.queues; i++)
		virtqueue_reset(&m->blk.queue[i].vq);
	machine_enable(m, 0, &m->blk.queue[0].vq);
	struct machine_buffers buffers = machine_buffers(m, VIRTIO_BLK_T_FLUSH, 0, 0);
	const struct machine_piece pieces[] = {{buffers.header_addr, 16, 0},
					       {buffers.status_addr, 1, VRING_DESC_F_WRITE}};
	machine_chain(m, 0, 0, pieces, ARRAY_SIZE(pieces));
	virtio_add_status(&m->blk.virtio, DRIVER_OK);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), ACKNOWLEDGE | DRIVER);
	machine_offer(m, 0, 0);
	machine_wait_us(m, 1000);
	CHECK_EQUAL(machine_used_index(m, 0), 0);
	CHECK_EQUAL(*buffers.status, 0xff);
	/* Nor does it help to refuse the features first. */
	set_features(m, 0, UINT32_MAX);
	CHECK(!end_negotiation(m));
	virtio_add_status(&m->blk.virtio, DRIVER_OK);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), ACKNOWLEDGE | DRIVER);
	machine_restart(m);
	machine_check_alive(m);
}

static void test_driver_ok_without_features_ok_is_not_live(void **state)
{
	(void)state;
	machine_run(live_without_features, NULL);
}

static void cleared_bits(struct machine *m)
{
	static const uint8_t values[] = {ACKNOWLEDGE, DRIVER, DRIVER_OK, ACKNOWLEDGE | DRIVER | FEATURES_OK,
					 FEATURES_OK};
	machine_probe(m);
	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		set(m, STATUS, 1, values[i]);
		CHECK_EQUAL(virtio_status(&m->blk.virtio), LIVE);
		machine_check_alive(m);
	}
	machine_restart(m);
	machine_check_alive(m);
}

static void test_status_bits_cannot_be_cleared(void **state)
{
	(void)state;
	RUN(cleared_bits);
}

static void foreign_bits(struct machine *m)
{
	machine_find(m);
	CHECK_EQUAL(virtio_reset(&m->blk.virtio, 1000000), 0);
	set(m, STATUS, 1, VIRTIO_CONFIG_S_NEEDS_RESET | 0x30);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), 0);
	machine_probe(m);
	set(m, STATUS, 1, LIVE | VIRTIO_CONFIG_S_NEEDS_RESET | 0x30);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), LIVE);
	machine_check_alive(m);
}

static void test_status_bits_of_the_device_cannot_be_set(void **state)
{
	(void)state;
	RUN(foreign_bits);
}

/* ---- queue registers ---- */

static void queue_sizes(struct machine *m)
{
	static const uint16_t bad[] = {0, 3, 5, 63, 65, 100, 128, 0x8000, 0xffff};
	machine_find(m);
	begin_negotiation(m);
	CHECK_EQUAL(get_queue(m, 0, Q_SIZE, 2), MACHINE_QUEUE_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		set_queue(m, 0, Q_SIZE, 2, bad[i]);
		CHECK_EQUAL(get(m, Q_SIZE, 2), MACHINE_QUEUE_SIZE);
	}
	for (uint16_t size = 1; size <= MACHINE_QUEUE_SIZE; size = (uint16_t)(size * 2)) {
		set_queue(m, 0, Q_SIZE, 2, size);
		CHECK_EQUAL(get(m, Q_SIZE, 2), size);
		set_queue(m, 0, Q_SIZE, 2, 0); /* leaves it as it was */
		CHECK_EQUAL(get(m, Q_SIZE, 2), size);
	}
	CHECK_EQUAL(get_queue(m, 1, Q_SIZE, 2), MACHINE_QUEUE_SIZE);
	check_recovers(m);
}

static void test_queue_size_that_cannot_be_is_ignored(void **state)
{
	(void)state;
	RUN(queue_sizes);
}

/* Sets everything but the size of a queue. */
static void enable_without_size(struct machine *m, unsigned queue)
{
	const struct virtqueue *vq = &m->blk.queue[queue].vq;
	const uint64_t addrs[] = {vq->desc_addr, vq->avail_addr, vq->used_addr};
	set(m, Q_SELECT, 2, queue);
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(addrs); i++)
		set(m, VIRTIO_PCI_COMMON_Q_DESCLO + 4 * i, 4, (uint32_t)(addrs[i / 2] >> (i % 2 ? 32 : 0)));
	set(m, Q_MSIX, 2, m->blk.queue[queue].vector);
	set(m, Q_ENABLE, 2, 1);
}

static void size_not_written(struct machine *m)
{
	machine_probe(m);
	machine_renegotiate(m, 0);
	for (unsigned i = 0; i < m->blk.queues; i++)
		enable_without_size(m, i);
	machine_driver_ok(m);
	/* More requests than any smaller ring would hold before it wraps. */
	for (unsigned i = 0; i < MACHINE_QUEUE_SIZE; i++)
		machine_check_queue(m, 0);
	machine_check_alive(m);
}

static void test_queue_size_not_written_is_the_maximum(void **state)
{
	(void)state;
	RUN(size_not_written);
}

/* Size and addresses of an enabled queue stay, in the registers and in fact. */
static void fields_after_enable(struct machine *m)
{
	machine_probe(m);
	set(m, Q_SELECT, 2, 0);
	uint32_t before[8];
	for (unsigned i = 0; i < ARRAY_SIZE(before); i++)
		before[i] = get(m, Q_SIZE + 4 * i, 4);
	set(m, Q_SIZE, 2, 16);
	for (unsigned i = 0; i < 6; i++)
		set(m, VIRTIO_PCI_COMMON_Q_DESCLO + 4 * i, 4, 0x1000 * i);
	for (unsigned i = 0; i < ARRAY_SIZE(before); i++)
		CHECK_EQUAL(get(m, Q_SIZE + 4 * i, 4), before[i]);
	machine_check_alive(m);
	machine_restart(m);
	machine_check_alive(m);
}

static void test_fields_of_enabled_queue_are_frozen(void **state)
{
	(void)state;
	RUN(fields_after_enable);
}

static void enable_values(struct machine *m)
{
	machine_probe(m);
	static const uint16_t values[] = {0, 1, 2, 0x100, 0x101, 0xffff};
	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		set_queue(m, 0, Q_ENABLE, 2, values[i]);
		CHECK_EQUAL(get(m, Q_ENABLE, 2), 1);
		machine_check_queue(m, 0);
	}
	CHECK_EQUAL(virtio_status(&m->blk.virtio), LIVE);
	/* On a queue that is not enabled only 1 does anything. */
	machine_renegotiate(m, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		if (values[i] == 1)
			continue;
		set_queue(m, 0, Q_ENABLE, 2, values[i]);
		CHECK_EQUAL(get(m, Q_ENABLE, 2), 0);
	}
	machine_restart(m);
	machine_check_alive(m);
}

static void test_queue_enable_takes_1_once(void **state)
{
	(void)state;
	RUN(enable_values);
}

/* Registers of a queue that is not there read as 0, NO_VECTOR for vectors, and writes go nowhere: least of all to a queue
 * whose number has the same low bits. */
static void absent_queues(struct machine *m)
{
	static const uint16_t absent[] = {NO_QUEUE, 63, 64, 64 + 1, 255, 256, 0x8000, 0xffff};
	machine_probe(m);
	machine_renegotiate(m, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(absent); i++) {
		set(m, Q_SELECT, 2, absent[i]);
		CHECK_EQUAL(get(m, Q_SELECT, 2), absent[i]);
		set(m, Q_SIZE, 2, 16);
		set(m, Q_MSIX, 2, 1);
		for (unsigned j = 0; j < 6; j++)
			set(m, VIRTIO_PCI_COMMON_Q_DESCLO + 4 * j, 4, 0x1000);
		set(m, Q_ENABLE, 2, 1);
		set(m, Q_RESET, 2, 1);
		CHECK_EQUAL(get(m, Q_SIZE, 2), 0);
		CHECK_EQUAL(get(m, Q_MSIX, 2), NO_VECTOR);
		CHECK_EQUAL(get(m, Q_ENABLE, 2), 0);
		CHECK_EQUAL(get(m, Q_RESET, 2), 0);
		for (unsigned j = 0; j < 6; j++)
			CHECK_EQUAL(get(m, VIRTIO_PCI_COMMON_Q_DESCLO + 4 * j, 4), 0);
	}
	for (unsigned i = 0; i < QUEUES; i++) {
		CHECK_EQUAL(get_queue(m, i, Q_SIZE, 2), MACHINE_QUEUE_SIZE);
		CHECK_EQUAL(get(m, Q_MSIX, 2), NO_VECTOR);
		CHECK_EQUAL(get(m, Q_ENABLE, 2), 0);
		CHECK_EQUAL(get(m, VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0);
		CHECK_EQUAL(get(m, Q_NOFF, 2), i);
	}
	for (unsigned i = 0; i < m->blk.queues; i++)
		machine_enable(m, i, &m->blk.queue[i].vq);
	machine_driver_ok(m);
	machine_check_alive(m);
}

static void test_absent_queue_reads_0_and_takes_nothing(void **state)
{
	(void)state;
	RUN(absent_queues);
}

static void queue_reset_not_negotiated(struct machine *m)
{
	static const uint16_t values[] = {0, 1, 2, 0xffff};
	machine_probe(m);
	machine_start_without(m, BIT(40 /* VIRTIO_F_RING_RESET */));
	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		set_queue(m, 0, Q_RESET, 2, values[i]);
		CHECK_EQUAL(get(m, Q_RESET, 2), 0);
		CHECK_EQUAL(get(m, Q_ENABLE, 2), 1);
		machine_check_queue(m, 0);
	}
}

static void test_queue_reset_without_negotiation_is_ignored(void **state)
{
	(void)state;
	RUN(queue_reset_not_negotiated);
	machine_run(queue_reset_not_negotiated, "device.queues=4", "host.vcpus=1", "virtio.ring_reset=off",
		    NULL);
}

static void queue_reset_values(struct machine *m)
{
	static const uint16_t ignored[] = {0, 2, 0x100, 0xffff};
	machine_probe(m);
	for (unsigned i = 0; i < ARRAY_SIZE(ignored); i++) {
		set_queue(m, 0, Q_RESET, 2, ignored[i]);
		CHECK_EQUAL(get(m, Q_RESET, 2), 0);
		CHECK_EQUAL(get(m, Q_ENABLE, 2), 1);
		machine_check_queue(m, 0);
	}
	/* A queue that is not enabled, before DRIVER_OK and after a reset of its own. */
	CHECK_EQUAL(virtio_queue_reset(&m->blk.virtio, 0, 1000000), 0);
	CHECK_EQUAL(virtio_queue_reset(&m->blk.virtio, 0, 1000000), 0);
	machine_check_queue(m, 1);
	virtqueue_reset(&m->blk.queue[0].vq);
	machine_enable(m, 0, &m->blk.queue[0].vq);
	machine_restart(m);
	machine_renegotiate(m, 0);
	CHECK_EQUAL(virtio_queue_reset(&m->blk.virtio, 0, 1000000), 0);
	CHECK_EQUAL(get(m, Q_ENABLE, 2), 0);
	machine_restart(m);
	machine_check_alive(m);
}

static void test_queue_reset_of_other_values_or_queues_is_harmless(void **state)
{
	(void)state;
	RUN(queue_reset_values);
}

/* ---- vectors ---- */

static void check_vectors(struct machine *m)
{
	static const uint16_t good[] = {0, 1, QUEUES, NO_VECTOR}, bad[] = {QUEUES + 1, 0x7ff, 0x800, 0xfffe};
	for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
		set(m, VIRTIO_PCI_COMMON_MSIX, 2, good[i]);
		CHECK_EQUAL(get(m, VIRTIO_PCI_COMMON_MSIX, 2), good[i]);
		set_queue(m, 1, Q_MSIX, 2, good[i]);
		CHECK_EQUAL(get(m, Q_MSIX, 2), good[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		set(m, VIRTIO_PCI_COMMON_MSIX, 2, 0);
		set(m, VIRTIO_PCI_COMMON_MSIX, 2, bad[i]);
		CHECK_EQUAL(get(m, VIRTIO_PCI_COMMON_MSIX, 2), NO_VECTOR);
		set_queue(m, 1, Q_MSIX, 2, 0);
		set_queue(m, 1, Q_MSIX, 2, bad[i]);
		CHECK_EQUAL(get(m, Q_MSIX, 2), NO_VECTOR);
	}
}

static void vectors(struct machine *m)
{
	machine_probe(m);
	check_vectors(m);
	machine_restart(m);
	machine_check_alive(m);
	/* The same while MSI-X is off: mapping does not depend on it. */
	pci_msix_enable(&m->blk.pci, false);
	check_vectors(m);
	machine_restart(m);
	machine_check_alive(m);
}

static void test_vector_out_of_range_reads_no_vector(void **state)
{
	(void)state;
	RUN(vectors);
}

/* ---- odd accesses ---- */

/* Registers are bytes: an access touches those it names, whatever its width and start. */
static void odd_widths(struct machine *m)
{
	machine_probe(m);
	machine_renegotiate(m, 0);
	uint64_t common = m->blk.virtio.common.addr;
	struct root *root = m->guest.root;
	/* queue_desc a byte at a time, in a wild order */
	static const uint8_t order[] = {5, 0, 7, 2, 1, 6, 3, 4};
	set(m, Q_SELECT, 2, 2);
	for (unsigned i = 0; i < 8; i++)
		root_mmio_write(root, common + VIRTIO_PCI_COMMON_Q_DESCLO + order[i], 1,
				0x11u * (order[i] + 1u));
	CHECK_EQUAL(root_mmio_read(root, common + VIRTIO_PCI_COMMON_Q_DESCLO, 8),
		    UINT64_C(0x8877665544332211));
	/* queue_select and queue_size share no bytes with their neighbours, but the wide access has both. */
	CHECK_EQUAL(get(m, Q_SIZE, 4), MACHINE_QUEUE_SIZE | (uint32_t)NO_VECTOR << 16);
	set(m, Q_SIZE, 4, 16 | 3u << 16);
	CHECK_EQUAL(get(m, Q_SIZE, 2), 16);
	CHECK_EQUAL(get(m, Q_MSIX, 2), 3);
	set(m, Q_MSIX, 1, 1); /* the low byte of it only: 0x0001 */
	CHECK_EQUAL(get(m, Q_MSIX, 2), 1);
	CHECK_EQUAL(get(m, Q_SIZE, 2), 16);
	/* The byte beside device_status is config_generation; the word behind it is queue_select. */
	uint8_t status = virtio_status(&m->blk.virtio);
	set(m, STATUS + 1, 1, 0);
	set(m, STATUS + 2, 2, 1);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), status);
	CHECK_EQUAL(get(m, Q_SELECT, 2), 1);
	/* A wide write of it carries status bits, too: here none that are new. */
	set(m, STATUS, 4, status | 3u << 16);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), status);
	CHECK_EQUAL(get(m, STATUS, 4) >> 16, 3);
	/* Reading the byte beside ISR status leaves it alone. */
	root_mmio_read(root, m->blk.virtio.isr.addr + 1, 1);
	machine_restart(m);
	machine_check_alive(m);
}

static void test_odd_widths_touch_the_bytes_they_name(void **state)
{
	(void)state;
	RUN(odd_widths);
}

static void read_only_fields(struct machine *m)
{
	static const struct {
		unsigned offset, bytes;
	} fields[] = {
		{VIRTIO_PCI_COMMON_DF, 4},
		{VIRTIO_PCI_COMMON_NUMQ, 2},
		{VIRTIO_PCI_COMMON_CFGGENERATION, 1},
		{Q_NOFF, 2},
		{VIRTIO_PCI_COMMON_Q_NDATA, 2},
		{60 /* admin_queue_index */, 2},
		{62 /* admin_queue_num */, 2},
	};
	machine_probe(m);
	set(m, Q_SELECT, 2, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
		uint32_t before = get(m, fields[i].offset, fields[i].bytes);
		set(m, fields[i].offset, fields[i].bytes, ~before);
		CHECK_EQUAL(get(m, fields[i].offset, fields[i].bytes), before);
	}
	machine_check_alive(m);
}

static void test_read_only_fields_stay(void **state)
{
	(void)state;
	RUN(read_only_fields);
}

/* Behind the end of each structure, up to the next one: constant, writable by nobody, and no error. */
static void beyond_structures(struct machine *m)
{
	machine_probe(m);
	const struct virtio_device *virtio = &m->blk.virtio;
	struct root *root = m->guest.root;
	const struct {
		uint64_t addr;
		unsigned first;
	} parts[] = {{virtio->common.addr, 64},
		     {virtio->isr.addr, 4},
		     {virtio->device.addr, sizeof(struct virtio_blk_config)}};
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
		for (unsigned offset = (parts[i].first + 3) & ~3u; offset < VIRTIO_STRUCTURE_BYTES;
		     offset += offset < 256 ? 4 : 508) {
			root_mmio_write(root, parts[i].addr + offset, 4, UINT32_MAX);
			struct tlp answer, request = {.type = TLP_MRD};
			uint8_t data[TLP_PAYLOAD_BYTES_MAX];
			tlp_set_span(&request, parts[i].addr + offset, 4);
			CHECK(root_request(root, &request, &answer, data));
			CHECK_EQUAL(answer.status, TLP_SC);
			CHECK_EQUAL(load_le32(data), 0);
		}
	}
	CHECK_EQUAL(virtio_status(virtio), LIVE);
	machine_check_alive(m);
}

static void test_space_behind_structures_is_constant(void **state)
{
	(void)state;
	RUN(beyond_structures);
}

static void device_config_writes(struct machine *m)
{
	struct virtio_blk_config before, after;
	uint8_t *bytes = (uint8_t *)&before;
	machine_probe(m);
	CHECK(!virtio_has(&m->blk.virtio, VIRTIO_BLK_F_CONFIG_WCE));
	for (unsigned i = 0; i < sizeof(before); i++)
		bytes[i] = (uint8_t)virtio_config_read(&m->blk.virtio, i, 1);
	for (unsigned i = 0; i < sizeof(before); i++)
		virtio_config_write(&m->blk.virtio, i, 1, bytes[i] ^ 1u);
	for (unsigned i = 0; i < sizeof(before) / 4 * 4; i += 4)
		virtio_config_write(&m->blk.virtio, i, 4, 0);
	bytes = (uint8_t *)&after;
	for (unsigned i = 0; i < sizeof(after); i++)
		bytes[i] = (uint8_t)virtio_config_read(&m->blk.virtio, i, 1);
	CHECK(memcmp(&before, &after, sizeof(before)) == 0);
	machine_check_alive(m);
}

static void test_device_configuration_is_read_only(void **state)
{
	(void)state;
	RUN(device_config_writes);
}

/* ---- the window in configuration space ---- */

static void bad_windows(struct machine *m)
{
	static const struct {
		unsigned bar;
		uint32_t offset;
		unsigned length;
	} bad[] = {
		{0, STATUS, 1},           {1, 0, 4},
		{5, STATUS, 1},           {7, STATUS, 1},
		{255, STATUS, 1}, /* no virtio structure */
		{4, STATUS, 0},           {4, STATUS, 3},
		{4, STATUS, 5},           {4, STATUS, 8},
		{4, STATUS, UINT32_MAX}, /* length */
		{4, STATUS + 1, 2},       {4, STATUS + 2, 4},
		{4, STATUS - 1, 2}, /* not a multiple */
		{4, VIRTIO_BAR_BYTES, 1}, {4, VIRTIO_BAR_BYTES, 4},
		{4, UINT32_MAX, 1},       {4, UINT32_MAX - 3, 4}, /* outside */
	};
	machine_probe(m);
	const struct host_ops *ops = m->ops;
	unsigned at = m->blk.virtio.pci_cfg.capability, data = at + sizeof(struct virtio_pci_cap);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		ops->config_write(ops->ctx, at + VIRTIO_PCI_CAP_BAR, 1, bad[i].bar);
		ops->config_write(ops->ctx, at + VIRTIO_PCI_CAP_OFFSET, 4, bad[i].offset);
		ops->config_write(ops->ctx, at + VIRTIO_PCI_CAP_LENGTH, 4, bad[i].length);
		ops->config_write(ops->ctx, data, 4, 0); /* would be a reset, or a mask bit */
		ops->config_read(ops->ctx, data, 4);
		CHECK_EQUAL(virtio_status(&m->blk.virtio), LIVE);
	}
	machine_check_alive(m);
}

static void test_bad_window_does_nothing(void **state)
{
	(void)state;
	RUN(bad_windows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_feature_not_offered_is_refused, "V-042 D-007 D-009"),
		REQ_TEST(test_required_feature_missing_is_refused, "V-043 V-044"),
		REQ_TEST(test_cache_control_without_flush_starts_write_through, "V-045 D-134"),
		REQ_TEST(test_features_written_after_features_ok_are_ignored, "V-047"),
		REQ_TEST(test_driver_ok_without_features_ok_is_not_live, "V-048"),
		REQ_TEST(test_status_bits_cannot_be_cleared, "V-049"),
		REQ_TEST(test_status_bits_of_the_device_cannot_be_set, "V-050"),
		REQ_TEST(test_queue_size_that_cannot_be_is_ignored, "V-055 V-056 V-057"),
		REQ_TEST(test_queue_size_not_written_is_the_maximum, "V-058"),
		REQ_TEST(test_fields_of_enabled_queue_are_frozen, "V-059"),
		REQ_TEST(test_queue_enable_takes_1_once, "V-060 V-061"),
		REQ_TEST(test_absent_queue_reads_0_and_takes_nothing, "V-062 V-063 D-091"),
		REQ_TEST(test_queue_reset_without_negotiation_is_ignored, "V-072"),
		REQ_TEST(test_queue_reset_of_other_values_or_queues_is_harmless, "V-073"),
		REQ_TEST(test_vector_out_of_range_reads_no_vector, "V-074 V-075 D-126 D-129"),
		REQ_TEST(test_odd_widths_touch_the_bytes_they_name, "V-078"),
		REQ_TEST(test_read_only_fields_stay, "V-079"),
		REQ_TEST(test_space_behind_structures_is_constant, "V-080"),
		REQ_TEST(test_device_configuration_is_read_only, "V-081 V-082"),
		REQ_TEST(test_bad_window_does_nothing, "V-083"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
