/* Bugs that offload cards of others had in the field: each shows here that this one has not. The numbers are the vendor's,
 * from the release notes listed in the guides' reference numbers. (DMA during a host's restart, 4357139, is what
 * pcie_reset_test.c is about.) */
#include "tests/e2e/pcie_help.h"

/* ---- 3809646: an interrupt overtakes the used ring it tells of ---- */

/* Looks at the card's TLPs as they arrive at the root complex. */
struct order {
	struct machine *m;
	uint64_t updates[16], messages[16]; /* of used.idx, and interrupts, per queue */
	uint64_t interrupts, overtaken;
};

static void watch_order(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct order *order = ctx;
	struct tlp tlp;
	uint64_t addr;
	uint32_t bytes;
	(void)at_ps;
	if (!machine_is_write(from_card, wire, size, &tlp, &addr, &bytes))
		return;
	for (unsigned i = 0; i < order->m->blk.queues; i++) {
		uint64_t index_addr = order->m->blk.queue[i].vq.used_addr + 2;
		if (addr <= index_addr && index_addr < addr + bytes)
			order->updates[i]++;
	}
	/* Vector n is queue n - 1's; vector 0 is for configuration changes. */
	unsigned entry =
		tlp.addr - ROOT_MSI_BASE < ROOT_MSI_BYTES ? load_le32(tlp.payload) - GUEST_VECTOR_BASE : 0;
	if (entry == 0)
		return;
	CHECK(entry <= order->m->blk.queues);
	order->interrupts++;
	/* Each interrupt tells of an update of its own, which has to be there before it. */
	order->overtaken += ++order->messages[entry - 1] > order->updates[entry - 1];
}

static void interrupts_stay_behind(struct machine *m)
{
	static const struct load_settings settings = {.depth = 16};
	struct order order = {.m = m};
	struct load load;
	machine_probe(m);
	CHECK(m->blk.queues <= ARRAY_SIZE(order.updates) && m->blk.vectors == m->blk.queues + 1);
	root_tap(m->guest.root, watch_order, &order);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < 40; i++) {
		/* The host takes nothing for a while: everything piles up in the card. */
		if (i % 4 == 3)
			device_hold_credits(m->guest.device,
					    kernel_now_ps() + rng_below(&m->rng, 30 * PS_PER_US));
		load_run(&load, 100);
	}
	load_drain(&load); /* no completion is missed */
	root_tap(m->guest.root, NULL, NULL);
	CHECK_EQUAL(order.overtaken, 0);
	CHECK(order.interrupts >= 100);
}

static void test_3809646_interrupt_never_overtakes_the_used_ring(void **state)
{
	(void)state;
#define LOAD "host.vcpus=1", "device.queues=4", "guest.indirect=on", "guest.segment_bytes=4096"
	machine_run(interrupts_stay_behind, LOAD, NULL);
	machine_run(interrupts_stay_behind, LOAD, "link.gen=1", "link.lanes=1", "guest.event_idx=off", NULL);
	machine_run(interrupts_stay_behind, LOAD, "link.posted_headers=1", "link.posted_data=64",
		    "link.error_ppm=20000", NULL);
	machine_run(interrupts_stay_behind, LOAD, "device.offload=firmware", "link.posted_headers=1", NULL);
}

/* ---- 4436211: a hang with indirect descriptors ---- */

static void direct_and_indirect(struct machine *m)
{
	/* The load chooses for each request anew, and cuts it into pieces at random. */
	static const struct load_settings settings = {.depth = 8, .bytes_max = 65536};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	load_run(&load, 3000);
	load_drain(&load);
}

static void test_4436211_direct_and_indirect_chains_mix(void **state)
{
	(void)state;
	machine_run(direct_and_indirect, "host.vcpus=1", "device.queues=2", "guest.indirect=on",
		    "guest.segment_bytes=2048", NULL);
	machine_run(direct_and_indirect, "host.vcpus=1", "device.queues=2", "guest.indirect=on",
		    "guest.segment_bytes=2048", "device.offload=firmware", NULL);
	machine_run(direct_and_indirect, "host.vcpus=1", "device.queues=2", "guest.indirect=on",
		    "guest.segment_bytes=2048", "fetch.batch=1", "fetch.inflight=1", "fetch.prefetch=1",
		    NULL);
}

/* ---- 4176109: fewer vectors than queues ---- */

static void shared_vectors(struct machine *m)
{
	machine_probe(m);
	CHECK(m->blk.vectors < m->blk.queues + 1);
	load_check_alive(m, 2000);
}

static void test_4176109_queues_share_vectors(void **state)
{
	static const char *const vectors[] = {"msix.vectors=1", "msix.vectors=2", "msix.vectors=3",
					      "msix.vectors=8"};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++)
		machine_run(shared_vectors, "host.vcpus=1", "device.queues=8", "guest.indirect=on",
			    "guest.segment_bytes=4096", vectors[i], NULL);
}

/* ---- 4161786: resets under churn ---- */

static void one_reset(struct machine *m)
{
	switch (rng_below(&m->rng, 8)) {
	case 0:
		pci_function_reset(&m->blk.pci);
		recover_function(m);
		break;
	case 1:
		root_hot_reset(m->guest.root);
		recover_function(m);
		break;
	default: CHECK_EQUAL(virtio_reset(&m->blk.virtio, 1000000000), 0); machine_restart(m);
	}
}

static void churn(struct machine *m)
{
	static const struct load_settings settings = {.depth = 16, .bytes_max = 8192};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < 2000; i++) {
		load_run_ps(&load, rng_below(&m->rng, 30 * PS_PER_US));
		one_reset(m);
		load_forget(&load);
	}
	/* Nothing has leaked: as much is in flight at once as at the start, on every queue. */
	load_run(&load, 2000);
	load_drain(&load);
	for (unsigned i = 0; i < m->blk.queues; i++)
		machine_check_queue(m, i);
	machine_wait_us(m, 120000); /* tags rest as long as a late completion may take */
	CHECK_EQUAL(device_stats(m->guest.device).dma->tags_in_use, 0);
}

static void test_4161786_thousands_of_resets_leave_nothing_behind(void **state)
{
	(void)state;
	machine_run(churn, "host.vcpus=1", "device.queues=4", "guest.indirect=on", "guest.segment_bytes=4096",
		    NULL);
	machine_run(churn, "host.vcpus=1", "device.queues=4", "guest.indirect=on", "guest.segment_bytes=4096",
		    "device.offload=firmware", NULL);
}

/* ---- 3773346: corruption around size_max ---- */

#define SIZE_MAX_BYTES 4096u
#define PIECES_MAX     32u

/* Data of `bytes` cut into pieces of `piece`: written in these, read back in one, and the other way round. */
static void write_and_read(struct machine *m, uint32_t bytes, uint32_t piece)
{
	struct machine_piece pieces[PIECES_MAX + 2];
	for (unsigned way = 0; way < 2; way++) {
		for (unsigned k = 0; k < 2; k++) { /* first the write, then the read */
			uint32_t cut = (k == 0) == (way == 0) ? piece : bytes;
			uint16_t flags = k == 0 ? 0 : VRING_DESC_F_WRITE;
			struct machine_buffers b =
				machine_buffers(m, k == 0 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, 64, bytes);
			unsigned count = 0;
			if (k == 0)
				for (uint32_t i = 0; i < bytes; i++)
					b.data[i] = (uint8_t)(i * 7 + i / 251 + piece + way);
			pieces[count++] = (struct machine_piece){b.header_addr, 16, 0};
			for (uint32_t at = 0; at < bytes; at += cut) {
				CHECK(count <= PIECES_MAX);
				pieces[count++] = (struct machine_piece){b.data_addr + at,
									 min_u32(cut, bytes - at), flags};
			}
			pieces[count++] = (struct machine_piece){b.status_addr, 1, VRING_DESC_F_WRITE};
			machine_chain(m, 0, 0, pieces, count);
			uint16_t used = machine_used_index(m, 0);
			machine_offer(m, 0, 0);
			CHECK(machine_wait_used(m, 0, (uint16_t)(used + 1), 10000));
			CHECK_EQUAL(*b.status, VIRTIO_BLK_S_OK);
			for (uint32_t i = 0; k == 1 && i < bytes; i++)
				CHECK_EQUAL(b.data[i], (uint8_t)(i * 7 + i / 251 + piece + way));
		}
	}
	machine_check_guards(m);
}

static void segments_around_the_limit(struct machine *m)
{
	static const uint32_t pieces[] = {
		SIZE_MAX_BYTES / 2,     SIZE_MAX_BYTES - 512, SIZE_MAX_BYTES - 1,
		SIZE_MAX_BYTES,         SIZE_MAX_BYTES + 1,   SIZE_MAX_BYTES + 512,
		2 * SIZE_MAX_BYTES - 1, 2 * SIZE_MAX_BYTES,   3 * SIZE_MAX_BYTES + 3};
	machine_probe(m);
	CHECK_EQUAL(m->blk.size_max, SIZE_MAX_BYTES);
	CHECK_EQUAL(m->blk.seg_max, 8);
	for (unsigned i = 0; i < ARRAY_SIZE(pieces); i++)
		/* up to seg_max segments, that many, and more */
		for (unsigned segments = 7; segments <= 9; segments++)
			write_and_read(m, (pieces[i] * segments) & ~511u, pieces[i]);
}

static void test_3773346_segments_around_size_max_and_seg_max_keep_their_data(void **state)
{
	(void)state;
	machine_run(segments_around_the_limit, "host.vcpus=1", "device.size_max=4096", "device.seg_max=8",
		    "guest.event_idx=off", NULL);
	machine_run(segments_around_the_limit, "host.vcpus=1", "device.size_max=4096", "device.seg_max=8",
		    "guest.event_idx=off", "device.offload=firmware", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_3809646_interrupt_never_overtakes_the_used_ring),
		cmocka_unit_test(test_4436211_direct_and_indirect_chains_mix),
		cmocka_unit_test(test_4176109_queues_share_vectors),
		cmocka_unit_test(test_4161786_thousands_of_resets_leave_nothing_behind),
		cmocka_unit_test(test_3773346_segments_around_size_max_and_seg_max_keep_their_data),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
