/* MSI-X and INTx with the real driver: masks, pending bits, message addresses, switching kinds under load (guides: INT). */
#include "tests/e2e/pcie_help.h"

#define QUEUE_VECTOR 1u /* of queue 0; vector 0 is for configuration changes */
#define ISR_QUEUE    1u

/* ---- the table ---- */

static uint64_t entry_at(const struct machine *m, unsigned entry)
{
	return m->blk.pci.msix_table + UINT64_C(16) * entry;
}

static uint64_t pba_at(struct machine *m)
{
	uint32_t pba = config_read(m, m->blk.pci.msix + PCI_MSIX_PBA, 4);
	return m->blk.pci.bar[pba & PCI_MSIX_PBA_BIR].addr + (pba & PCI_MSIX_PBA_OFFSET);
}

static bool is_pending(struct machine *m, unsigned entry)
{
	return root_mmio_read(m->guest.root, pba_at(m) + entry / 64 * 8, 8) >> entry % 64 & 1;
}

static void set_control(struct machine *m, uint16_t control)
{
	config_write(m, m->blk.pci.msix + PCI_MSIX_FLAGS, 2, control);
}

/* ---- a queue whose next completion is an event ---- */

/* A request that ends with used_event where the driver's last look was: so it is an event. */
static void cause_event(struct machine *m)
{
	uint8_t data[512];
	virtqueue_enable_interrupts(&m->blk.queue[0].vq);
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_IN, 0, data, sizeof(data), 1000), VIRTIO_BLK_S_OK);
	machine_wait_us(m, 5);
}

static void forget_interrupts(struct machine *m)
{
	for (unsigned i = 0; i < m->blk.vectors; i++)
		machine_took_interrupt(m, i);
}

/* ---- what goes over the link ---- */

struct watch {
	unsigned messages; /* MSI-X */
	uint64_t addr;     /* where one is looked for */
	struct tlp last;
	uint32_t data;
	size_t wire_bytes;
	unsigned assertions, deassertions;
};

static void watch_interrupts(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct watch *watch = ctx;
	struct tlp tlp;
	(void)at_ps;
	CHECK_EQUAL(tlp_decode(&tlp, wire, size), TLP_OK);
	if (!from_card)
		return;
	if (tlp.type == TLP_MWR && (tlp.addr - ROOT_MSI_BASE < ROOT_MSI_BYTES || tlp.addr == watch->addr)) {
		watch->messages++;
		watch->last = tlp;
		watch->data = load_le32(tlp.payload);
		watch->wire_bytes = size + LINK_TLP_OVERHEAD_BYTES;
	} else if (tlp.type == TLP_MSG) { /* INT-013 */
		CHECK(tlp.msg_code == TLP_MSG_ASSERT_INTA || tlp.msg_code == TLP_MSG_DEASSERT_INTA);
		CHECK_EQUAL(tlp.msg_route, TLP_ROUTE_LOCAL);
		CHECK_EQUAL(tlp.tc, 0);
		CHECK_EQUAL(tlp.attr, 0);
		CHECK_EQUAL(tlp.requester_id, ROOT_BUS << 8);
		*(tlp.msg_code == TLP_MSG_ASSERT_INTA ? &watch->assertions : &watch->deassertions) += 1;
		/* Level changes only. */
		CHECK(watch->assertions == watch->deassertions ||
		      watch->assertions == watch->deassertions + 1);
	}
}

static void watch_begin(struct machine *m, struct watch *watch)
{
	root_sync(m->guest.root);
	*watch = (struct watch){0};
	root_tap(m->guest.root, watch_interrupts, watch);
}

/* ---- layout and reset values (INT-001..INT-003, INT-007) ---- */

static void layout(struct machine *m)
{
	machine_find(m);
	uint32_t table = config_read(m, m->blk.pci.msix + PCI_MSIX_TABLE, 4);
	uint32_t pba = config_read(m, m->blk.pci.msix + PCI_MSIX_PBA, 4);
	unsigned vectors = (config_read(m, m->blk.pci.msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
	uint32_t table_start = table & PCI_MSIX_TABLE_OFFSET, table_end = table_start + 16 * vectors;
	uint32_t pba_start = pba & PCI_MSIX_PBA_OFFSET, pba_end = pba_start + (vectors + 63) / 64 * 8;
	CHECK_EQUAL(vectors, m->config.msix.vectors);
	CHECK_EQUAL(table & PCI_MSIX_TABLE_BIR, pba & PCI_MSIX_PBA_BIR);
	CHECK(table_end <= pba_start || pba_end <= table_start);
	CHECK(max_u32(table_end, pba_end) <= m->blk.pci.bar[table & PCI_MSIX_TABLE_BIR].bytes);
	CHECK_EQUAL(config_read(m, m->blk.pci.msix + PCI_MSIX_FLAGS, 2) &
			    (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL),
		    0);
	for (unsigned i = 0; i < vectors; i++)
		CHECK_EQUAL(root_mmio_read(m->guest.root, entry_at(m, i) + PCI_MSIX_ENTRY_VECTOR_CTRL, 4), 1);
	for (uint32_t at = pba_start; at < pba_end; at += 8) {
		uint64_t addr = m->blk.pci.bar[pba & PCI_MSIX_PBA_BIR].addr + at;
		CHECK_EQUAL(root_mmio_read(m->guest.root, addr, 8), 0);
		root_mmio_write(m->guest.root, addr, 8, UINT64_MAX);
		CHECK_EQUAL(root_mmio_read(m->guest.root, addr, 8), 0);
	}
	/* The last entry is one like all others, by DW, by QW, and by less without harm. */
	uint64_t last = entry_at(m, vectors - 1);
	root_mmio_write(m->guest.root, last, 8, UINT64_C(0x1234567812345678));
	root_mmio_write(m->guest.root, last + 8, 8, UINT64_C(0xffffffffcafecafe));
	CHECK_EQUAL(root_mmio_read(m->guest.root, last, 4), 0x12345678);
	CHECK_EQUAL(root_mmio_read(m->guest.root, last + 4, 4), 0x12345678);
	CHECK_EQUAL(root_mmio_read(m->guest.root, last + 8, 8), UINT64_C(0x00000001cafecafe));
	root_mmio_write(m->guest.root, last + 9, 1, 0x11);
	root_mmio_write(m->guest.root, last + 10, 2, 0x2233);
	root_mmio_read(m->guest.root, last + 8, 1);
	root_mmio_read(m->guest.root, last + 8, 2);
	/* Message Address has its low bits 0. */
	root_mmio_write(m->guest.root, last, 4, UINT32_MAX);
	CHECK_EQUAL(root_mmio_read(m->guest.root, last, 4), UINT32_MAX & ~3u);
}

static void test_table_and_pba_lie_as_they_should(void **state)
{
	static const char *const sizes[] = {"msix.vectors=1", "msix.vectors=2", "msix.vectors=65",
					    "msix.vectors=2048"};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		machine_run(layout, sizes[i], NULL);
}

/* ---- the message (INT-004, INT-009, INT-012) ---- */

static void check_message(struct machine *m, uint64_t addr, uint32_t data)
{
	struct watch watch;
	uint64_t entry = entry_at(m, QUEUE_VECTOR);
	root_mmio_write(m->guest.root, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 1);
	root_mmio_write(m->guest.root, entry, 4, (uint32_t)addr);
	root_mmio_write(m->guest.root, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 4, (uint32_t)(addr >> 32));
	root_mmio_write(m->guest.root, entry + PCI_MSIX_ENTRY_DATA, 4, data);
	root_mmio_write(m->guest.root, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
	watch_begin(m, &watch);
	watch.addr = addr;
	cause_event(m);
	root_sync(m->guest.root);
	root_tap(m->guest.root, NULL, NULL);
	CHECK_EQUAL(watch.messages, 1);
	CHECK_EQUAL(watch.last.addr, addr);
	CHECK_EQUAL(watch.last.addr64, addr >> 32 != 0);
	CHECK_EQUAL(watch.last.length_dw, 1);
	CHECK_EQUAL(watch.last.first_be, 0xf);
	CHECK_EQUAL(watch.last.last_be, 0);
	CHECK_EQUAL(watch.last.attr, 0);
	CHECK_EQUAL(watch.last.tc, 0);
	CHECK_EQUAL(watch.last.requester_id, ROOT_BUS << 8);
	CHECK_EQUAL(watch.data, data);
	CHECK_EQUAL(watch.wire_bytes, addr >> 32 ? 28 : 24);
}

static void messages(struct machine *m)
{
	uint64_t above;
	machine_probe(m);
	uint8_t *memory = machine_memory(m, 64, DMA_FROM_DEVICE, &above);
	CHECK(above >> 32 != 0);
	check_message(m, ROOT_MSI_BASE, GUEST_VECTOR_BASE + 7);
	CHECK(machine_took_interrupt(m, 7));
	check_message(m, ROOT_MSI_BASE | 0xff000, 0xdeadbeef); /* a CPU that is not there */
	check_message(m, above, 0x01020304);
	CHECK_EQUAL(load_le32(memory), 0x01020304);
	check_message(m, above + 60, 0xfffefdfc);
	CHECK_EQUAL(load_le32(memory + 60), 0xfffefdfc);
	check_message(m, ROOT_MSI_BASE, GUEST_VECTOR_BASE + QUEUE_VECTOR);
}

static void test_message_is_what_the_entry_says(void **state)
{
	(void)state;
	machine_run(messages, "host.vcpus=1", "link.tags=1", NULL);
}

/* ---- masks (INT-005, INT-006) ---- */

static void masks(struct machine *m)
{
	const uint16_t enabled = PCI_MSIX_FLAGS_ENABLE;
	struct watch watch;
	machine_probe(m);
	for (unsigned function = 0; function < 2; function++) {
		forget_interrupts(m);
		if (function)
			set_control(m, enabled | PCI_MSIX_FLAGS_MASKALL);
		else
			pci_msix_mask(&m->blk.pci, QUEUE_VECTOR, true);
		watch_begin(m, &watch);
		CHECK(!is_pending(m, QUEUE_VECTOR));
		for (unsigned i = 0; i < 3; i++) { /* several events make one */
			cause_event(m);
			CHECK(is_pending(m, QUEUE_VECTOR));
		}
		CHECK(!is_pending(m, 0));
		CHECK_EQUAL(root_mmio_read(m->guest.root,
					   entry_at(m, QUEUE_VECTOR) + PCI_MSIX_ENTRY_VECTOR_CTRL, 4),
			    !function);
		CHECK_EQUAL(watch.messages, 0);
		root_mmio_write(m->guest.root, pba_at(m), 8, 0); /* read-only, INT-007 */
		CHECK(is_pending(m, QUEUE_VECTOR));
		if (function)
			set_control(m, enabled);
		else
			pci_msix_mask(&m->blk.pci, QUEUE_VECTOR, false);
		machine_wait_us(m, 5);
		CHECK_EQUAL(watch.messages, 1);
		CHECK(machine_took_interrupt(m, QUEUE_VECTOR));
		CHECK(!is_pending(m, QUEUE_VECTOR));
		cause_event(m);
		CHECK_EQUAL(watch.messages, 2);
		root_tap(m->guest.root, NULL, NULL);
	}
	/* Both masks: each alone holds. */
	pci_msix_mask(&m->blk.pci, QUEUE_VECTOR, true);
	set_control(m, enabled | PCI_MSIX_FLAGS_MASKALL);
	watch_begin(m, &watch);
	cause_event(m);
	set_control(m, enabled);
	machine_wait_us(m, 5);
	CHECK(is_pending(m, QUEUE_VECTOR));
	CHECK_EQUAL(watch.messages, 0);
	set_control(m, enabled | PCI_MSIX_FLAGS_MASKALL);
	pci_msix_mask(&m->blk.pci, QUEUE_VECTOR, false);
	machine_wait_us(m, 5);
	CHECK_EQUAL(watch.messages, 0);
	set_control(m, enabled);
	machine_wait_us(m, 5);
	CHECK_EQUAL(watch.messages, 1);
	root_tap(m->guest.root, NULL, NULL);
}

static void test_masked_event_is_pending_and_sent_once(void **state)
{
	(void)state;
	machine_run(masks, "host.vcpus=1", "device.queues=2", NULL);
	machine_run(masks, "host.vcpus=1", "device.queues=2", "msix.holdoff_ns=1000",
		    "device.offload=firmware", NULL);
}

/* A reset with an event pending behind a mask ends, and the event is gone. */
static void reset_while_pending(struct machine *m)
{
	machine_probe(m);
	pci_msix_mask(&m->blk.pci, QUEUE_VECTOR, true);
	cause_event(m);
	CHECK(is_pending(m, QUEUE_VECTOR));
	forget_interrupts(m);
	CHECK_EQUAL(virtio_reset(&m->blk.virtio, 10000000), 0);
	pci_msix_mask(&m->blk.pci, QUEUE_VECTOR, false);
	machine_wait_us(m, 100);
	CHECK(!machine_took_interrupt(m, QUEUE_VECTOR));
	machine_restart(m);
	load_check_alive(m, 50);
}

static void test_reset_drops_pending_events(void **state)
{
	(void)state;
	machine_run(reset_while_pending, "host.vcpus=1", NULL);
}

/* ---- enable, bus master (INT-008, INT-010) ---- */

static void enables(struct machine *m)
{
	struct watch watch;
	machine_probe(m);
	pci_set_command(&m->blk.pci, 0, PCI_COMMAND_INTX_DISABLE);
	watch_begin(m, &watch);
	cause_event(m);
	CHECK_EQUAL(watch.messages, 1);
	CHECK_EQUAL(virtio_isr(&m->blk.virtio), 0); /* not used with MSI-X */
	/* Off: the wire. */
	set_control(m, 0);
	cause_event(m);
	CHECK_EQUAL(watch.messages, 1);
	CHECK_EQUAL(watch.assertions, 1);
	CHECK(m->guest.intx);
	/* On: the wire is let go, whatever it was asserted for. */
	set_control(m, PCI_MSIX_FLAGS_ENABLE);
	machine_wait_us(m, 5);
	CHECK_EQUAL(watch.deassertions, 1);
	CHECK(!m->guest.intx);
	cause_event(m);
	CHECK_EQUAL(watch.messages, 2);
	CHECK_EQUAL(watch.assertions, 1);
	root_tap(m->guest.root, NULL, NULL);
}

static void test_enable_chooses_between_messages_and_wire(void **state)
{
	(void)state;
	machine_run(enables, "host.vcpus=1", NULL);
}

/* Held until the function may master again. */
static void without_bus_master(struct machine *m)
{
	static const struct load_settings settings = {.only_reads = true};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < 50; i++) {
		load_run_ps(&load, rng_below(&m->rng, 40 * PS_PER_US));
		pci_set_command(&m->blk.pci, 0, PCI_COMMAND_MASTER);
		uint64_t interrupts = root_stats(m->guest.root)->interrupts;
		machine_wait_us(m, 100);
		CHECK_EQUAL(root_stats(m->guest.root)->interrupts, interrupts);
		pci_set_command(&m->blk.pci, PCI_COMMAND_MASTER, 0);
	}
	load_drain(&load); /* no interrupt is lost */
}

static void test_messages_wait_for_bus_master(void **state)
{
	(void)state;
	machine_run(without_bus_master, "host.vcpus=1", "device.queues=2", NULL);
}

/* ---- under load ---- */

#define LOAD_SETTINGS "host.vcpus=1", "device.queues=4", "guest.indirect=on", "guest.segment_bytes=4096"

static void random_mask(struct machine *m)
{
	unsigned entry = (unsigned)rng_below(&m->rng, m->blk.vectors);
	switch (rng_below(&m->rng, 3)) {
	case 0: pci_msix_mask(&m->blk.pci, entry, true); break;
	case 1: pci_msix_mask(&m->blk.pci, entry, false); break;
	default: set_control(m, PCI_MSIX_FLAGS_ENABLE | (rng_below(&m->rng, 2) ? PCI_MSIX_FLAGS_MASKALL : 0));
	}
}

static void unmask_all(struct machine *m)
{
	for (unsigned i = 0; i < m->blk.vectors; i++)
		pci_msix_mask(&m->blk.pci, i, false);
	set_control(m, PCI_MSIX_FLAGS_ENABLE);
}

/* Masks come and go: nothing is lost, and while all is masked nothing comes. */
static void masks_under_load(struct machine *m)
{
	static const struct load_settings settings = {.bytes_max = 4096};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < 300; i++) {
		random_mask(m);
		load_run_ps(&load, rng_below(&m->rng, 10 * PS_PER_US));
		if (i % 10 != 0)
			continue;
		set_control(m, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
		uint64_t interrupts = root_stats(m->guest.root)->interrupts;
		load_run_ps(&load, 30 * PS_PER_US);
		CHECK_EQUAL(root_stats(m->guest.root)->interrupts, interrupts);
		unmask_all(m);
		load_run(&load, 20);
	}
	unmask_all(m);
	load_drain(&load);
}

static void test_masks_under_load_lose_nothing(void **state)
{
	(void)state;
	machine_run(masks_under_load, LOAD_SETTINGS, NULL);
	machine_run(masks_under_load, LOAD_SETTINGS, "msix.vectors=2", NULL);
	machine_run(masks_under_load, LOAD_SETTINGS, "guest.event_idx=off", "msix.holdoff_ns=3000",
		    "msix.threshold=3", NULL);
	machine_run(masks_under_load, LOAD_SETTINGS, "link.error_ppm=50000", "link.posted_headers=1",
		    "device.offload=firmware", NULL);
}

/* MSI-X off and on again, with requests in flight; the driver looks at its rings once after each change. */
static void switching_under_load(struct machine *m)
{
	static const struct load_settings settings = {.bytes_max = 4096};
	struct load load;
	machine_probe(m);
	pci_set_command(&m->blk.pci, 0, PCI_COMMAND_INTX_DISABLE);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < 100; i++) {
		pci_msix_enable(&m->blk.pci, i % 2);
		uint64_t interrupts = root_stats(m->guest.root)->interrupts;
		uint64_t wires = root_stats(m->guest.root)->intx_messages;
		load_look(&load);
		load_run(&load, 1 + rng_below(&m->rng, 50));
		if (i % 2 == 0)
			CHECK_EQUAL(root_stats(m->guest.root)->interrupts, interrupts);
		else
			CHECK(root_stats(m->guest.root)->intx_messages <= wires + 1);
	}
	load_drain(&load);
}

static void test_switching_msix_under_load_loses_nothing(void **state)
{
	(void)state;
	machine_run(switching_under_load, LOAD_SETTINGS, NULL);
	machine_run(switching_under_load, LOAD_SETTINGS, "device.offload=firmware", "msix.holdoff_ns=2000",
		    NULL);
}

static void intx_load(struct machine *m)
{
	struct watch watch;
	machine_probe(m);
	watch_begin(m, &watch);
	load_check_alive(m, 1000);
	root_tap(m->guest.root, NULL, NULL);
	CHECK_EQUAL(watch.messages, 0);
	CHECK(watch.assertions >= 20);
	CHECK_EQUAL(watch.assertions, watch.deassertions);
}

static void test_load_on_intx_loses_nothing(void **state)
{
	(void)state;
	machine_run(intx_load, LOAD_SETTINGS, "guest.msix=off", NULL);
	machine_run(intx_load, LOAD_SETTINGS, "guest.msix=off", "guest.event_idx=off", "link.error_ppm=50000",
		    NULL);
}

/* ---- INTx (INT-013..INT-015, TLP-012, TLP-013) ---- */

static bool interrupt_status(struct machine *m)
{
	return config_read(m, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT;
}

static void wires(struct machine *m)
{
	struct watch watch;
	machine_probe(m);
	watch_begin(m, &watch);
	CHECK(!interrupt_status(m));
	cause_event(m);
	CHECK_EQUAL(watch.assertions, 1);
	CHECK(m->guest.intx && interrupt_status(m));
	cause_event(m); /* asserted already */
	CHECK_EQUAL(watch.assertions, 1);
	/* Interrupt Disable lets go; the status bit stays. */
	pci_set_command(&m->blk.pci, PCI_COMMAND_INTX_DISABLE, 0);
	CHECK(!m->guest.intx && interrupt_status(m));
	CHECK_EQUAL(watch.deassertions, 1);
	pci_set_command(&m->blk.pci, 0, PCI_COMMAND_INTX_DISABLE);
	CHECK(m->guest.intx);
	CHECK_EQUAL(watch.assertions, 2);
	/* Reading ISR ends it, with Deassert_INTA before the completion of the read (posted pushes). */
	CHECK_EQUAL(virtio_isr(&m->blk.virtio), ISR_QUEUE);
	CHECK(!m->guest.intx && !interrupt_status(m));
	CHECK_EQUAL(watch.deassertions, 2);
	CHECK_EQUAL(virtio_isr(&m->blk.virtio), 0);
	/* Disabled before the event: nothing but the status bit. */
	pci_set_command(&m->blk.pci, PCI_COMMAND_INTX_DISABLE, 0);
	cause_event(m);
	CHECK(!m->guest.intx && interrupt_status(m));
	CHECK_EQUAL(watch.assertions, 2);
	CHECK_EQUAL(virtio_isr(&m->blk.virtio), ISR_QUEUE);
	pci_set_command(&m->blk.pci, 0, PCI_COMMAND_INTX_DISABLE);
	CHECK_EQUAL(watch.assertions, 2);
	/* Messages need no Bus Master Enable. */
	cause_event(m);
	CHECK(m->guest.intx);
	pci_set_command(&m->blk.pci, 0, PCI_COMMAND_MASTER);
	CHECK_EQUAL(virtio_isr(&m->blk.virtio), ISR_QUEUE);
	CHECK(!m->guest.intx);
	CHECK_EQUAL(watch.deassertions, 3);
	device_mail(m->guest.device, MAILBOX_FAIL, 0); /* a configuration change of the card's own */
	machine_wait_us(m, 20);
	CHECK(m->guest.intx);
	CHECK_EQUAL(watch.assertions, 4);
	CHECK_EQUAL(watch.messages, 0);
	root_tap(m->guest.root, NULL, NULL);
}

static void test_intx_follows_its_level(void **state)
{
	(void)state;
	machine_run(wires, "host.vcpus=1", "guest.msix=off", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_table_and_pba_lie_as_they_should, "INT-001 INT-002 INT-003 INT-007"),
		REQ_TEST(test_message_is_what_the_entry_says, "INT-004 INT-009 INT-012 TLP-003 TLP-012"),
		REQ_TEST(test_masked_event_is_pending_and_sent_once, "INT-005 INT-006 INT-007"),
		REQ_TEST(test_reset_drops_pending_events, "INT-005 RST-013"),
		REQ_TEST(test_enable_chooses_between_messages_and_wire, "INT-008"),
		REQ_TEST(test_messages_wait_for_bus_master, "INT-010 ACC-002"),
		REQ_TEST(test_masks_under_load_lose_nothing, "INT-005 INT-006 INT-011"),
		REQ_TEST(test_switching_msix_under_load_loses_nothing, "INT-008"),
		REQ_TEST(test_load_on_intx_loses_nothing, "INT-008 INT-013"),
		REQ_TEST(test_intx_follows_its_level, "INT-013 INT-014 INT-015 TLP-012 TLP-013 RC-010"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
