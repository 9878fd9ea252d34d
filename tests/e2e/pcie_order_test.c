/* Ordering and flow control of the whole card: what the root complex sees of the TLP stream under every kind of
 * back-pressure (guides: ORD, FC). */
#include "tests/e2e/pcie_help.h"

#define QUEUES         4u
#define ELEMENT_BYTES  8u
#define USED_RING      4u /* used.flags, used.idx */
#define AVAIL_RING     4u /* avail.flags, avail.idx */
#define CARD_TAGS      1024u
#define QUEUE_SIZE_MAX 256u
#define ENTRIES_AGAIN  16u /* the firmware's own walk reads no more at a time */

/* ---- an observer on the link that knows the rings ---- */

struct ring_view {
	const struct blk_queue *queue;
	uint32_t id[QUEUE_SIZE_MAX];
	bool written[QUEUE_SIZE_MAX];     /* used elements not yet covered by used.idx */
	uint16_t used_index, avail_index; /* as the card has written and read them */
	uint16_t entry;                   /* ring entry to be read next */
	uint64_t index_writes;
	bool armed; /* avail_event written, avail.idx not read since */
};

struct observer {
	struct machine *m;
	struct ring_view ring[QUEUES];
	uint64_t tag_addr[CARD_TAGS]; /* of the reads outstanding */
	uint64_t interrupts[GUEST_VECTORS];
	uint64_t elements, checked_reads;
};

/* The request an element speaks of is finished in guest memory when the element comes (ORD-001). */
static void element_written(struct observer *o, struct ring_view *ring, unsigned position, uint32_t head)
{
	const struct virtqueue *vq = &ring->queue->vq;
	CHECK(position < vq->size);
	CHECK(head < vq->size);
	const struct blk_request *request = vq->head[head].cookie;
	CHECK(request != NULL);
	uint8_t status = ring->queue->status[request->memory];
	CHECK_EQUAL(status, VIRTIO_BLK_S_OK);
	const struct load_place *place = request->cookie;
	if (request->type == VIRTIO_BLK_T_IN) {
		CHECK(memcmp(load_data(place), load_expected(place), place->bytes) == 0);
		o->checked_reads++;
	}
	ring->written[position] = true;
	o->elements++;
}

/* TLPs end at multiples of Max_Payload_Size, which may be between id and len of an element. */
static void elements_written(struct observer *o, struct ring_view *ring, unsigned offset, const uint8_t *data,
			     uint32_t bytes)
{
	CHECK(offset % 4 == 0 && bytes % 4 == 0);
	for (uint32_t at = 0; at < bytes; at += 4) {
		unsigned position = (offset + at) / ELEMENT_BYTES;
		if ((offset + at) % ELEMENT_BYTES == 0)
			ring->id[position] = load_le32(data + at);
		else
			element_written(o, ring, position, ring->id[position]);
	}
}

/* used.idx covers nothing but elements that are there; in order one element stands for all up to its own. */
static void index_written(struct observer *o, struct ring_view *ring, uint16_t index)
{
	const struct virtqueue *vq = &ring->queue->vq;
	(void)o;
	CHECK(index != ring->used_index);
	CHECK((uint16_t)(index - ring->used_index) <= vq->size);
	CHECK(ring->written[ring->used_index % vq->size]);
	for (uint16_t i = ring->used_index; i != index; i++) {
		CHECK(ring->written[i % vq->size] || vq->features.in_order);
		ring->written[i % vq->size] = false;
	}
	ring->used_index = index;
	ring->index_writes++;
}

/* Data, status, element, used.idx, then the interrupt: there never are more of them than indices written. */
static void interrupt_sent(struct observer *o, const struct tlp *tlp)
{
	uint32_t vector = load_le32(tlp->payload) - GUEST_VECTOR_BASE;
	uint64_t causes = 0;
	CHECK(vector < GUEST_VECTORS);
	for (unsigned i = 0; i < o->m->blk.queues; i++)
		if (o->ring[i].queue->vector == vector)
			causes += o->ring[i].index_writes;
	CHECK(++o->interrupts[vector] <= causes);
}

static void write_seen(struct observer *o, const struct tlp *tlp)
{
	uint64_t addr;
	uint32_t bytes;
	tlp_get_span(tlp, &addr, &bytes);
	if (addr - ROOT_MSI_BASE < ROOT_MSI_BYTES) {
		interrupt_sent(o, tlp);
		return;
	}
	for (unsigned i = 0; i < o->m->blk.queues; i++) {
		struct ring_view *ring = &o->ring[i];
		const struct virtqueue *vq = &ring->queue->vq;
		uint64_t offset = addr - vq->used_addr,
			 elements_end = USED_RING + ELEMENT_BYTES * (uint64_t)vq->size;
		if (offset >= elements_end + 2)
			continue;
		if (offset == 2)
			index_written(o, ring, load_le16(tlp->payload + (addr & 3)));
		else if (offset == elements_end)
			ring->armed = true;
		else if (offset >= USED_RING)
			elements_written(o, ring, (unsigned)(offset - USED_RING), tlp->payload, bytes);
		else
			CHECK_EQUAL(offset, 0); /* used.flags */
	}
}

/* Entries are read only when an index that covers them has been read and has arrived (ORD-004). */
static void entries_read(struct ring_view *ring, unsigned position, unsigned count)
{
	const struct virtqueue *vq = &ring->queue->vq;
	/* Entries that found no room are read again. */
	unsigned back = (ring->entry - position) % vq->size;
	CHECK(back <= ENTRIES_AGAIN);
	ring->entry = (uint16_t)(ring->entry - back);
	CHECK(count <= (uint16_t)(ring->avail_index - ring->entry));
	ring->entry = (uint16_t)(ring->entry + count);
}

static void read_seen(struct observer *o, const struct tlp *tlp)
{
	uint64_t addr;
	uint32_t bytes;
	tlp_get_span(tlp, &addr, &bytes);
	o->tag_addr[tlp->tag] = addr;
	for (unsigned i = 0; i < o->m->blk.queues; i++) {
		struct ring_view *ring = &o->ring[i];
		const struct virtqueue *vq = &ring->queue->vq;
		uint64_t offset = addr - vq->avail_addr;
		if (offset == 0)
			ring->armed = false; /* the look behind avail_event (ORD-011) */
		else if (offset >= AVAIL_RING && offset < AVAIL_RING + 2 * (uint64_t)vq->size)
			entries_read(ring, (unsigned)(offset - AVAIL_RING) / 2, bytes / 2);
	}
}

/* What the card is told: avail.idx as it will see it. (The completion is on its way; a read that is based on it comes
 * later still.) */
static void completion_sent(struct observer *o, const struct tlp *tlp)
{
	if (!tlp->payload || tlp->requester_id != ROOT_BUS << 8)
		return;
	for (unsigned i = 0; i < o->m->blk.queues; i++)
		if (o->tag_addr[tlp->tag] == o->ring[i].queue->vq.avail_addr && tlp->length_dw == 1)
			o->ring[i].avail_index = load_le16(tlp->payload + 2);
}

static void observe(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct observer *o = ctx;
	struct tlp tlp;
	(void)at_ps;
	CHECK_EQUAL(tlp_decode(&tlp, wire, size), TLP_OK);
	if (!from_card) {
		if (tlp_class_of(tlp.type) == TLP_COMPLETION)
			completion_sent(o, &tlp);
		return;
	}
	CHECK_EQUAL(tlp.tc, 0);   /* ORD-012 */
	CHECK_EQUAL(tlp.attr, 0); /* ORD-002, ORD-003: no use is made of relaxed ordering, no-snoop and IDO */
	CHECK_EQUAL(tlp.at, 0);   /* CAP-010 */
	if (tlp.type == TLP_MWR)
		write_seen(o, &tlp);
	else if (tlp.type == TLP_MRD)
		read_seen(o, &tlp);
}

static void observe_begin(struct observer *o, struct machine *m)
{
	*o = (struct observer){.m = m};
	CHECK(m->blk.queues <= QUEUES);
	for (unsigned i = 0; i < m->blk.queues; i++)
		o->ring[i].queue = &m->blk.queue[i];
	root_tap(m->guest.root, observe, o);
}

static void observe_end(struct observer *o)
{
	machine_wait_us(o->m, 100);
	root_sync(o->m->guest.root);
	root_tap(o->m->guest.root, NULL, NULL);
	for (unsigned i = 0; i < o->m->blk.queues; i++) {
		CHECK(!o->ring[i].armed);
		CHECK_EQUAL(o->ring[i].used_index, o->ring[i].entry); /* all that was taken was given back */
		CHECK(o->ring[i].index_writes > 0);
	}
	CHECK(o->elements > 0 && o->checked_reads > 0);
}

/* ---- the order of the stream (ORD-001..ORD-004, ORD-011..ORD-013) ---- */

static void ordered_under_load(struct machine *m)
{
	static const struct load_settings settings = {.depth = 16};
	static struct observer observer;
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	observe_begin(&observer, m);
	load_run(&load, 1500);
	load_drain(&load);
	observe_end(&observer);
	if (m->config.link.error_ppm != 0)
		CHECK(device_stats(m->guest.device).up->replays > 0);
}

static void ordered_one_by_one(struct machine *m)
{
	static const struct load_settings settings = {.depth = 1, .bytes_max = 4096};
	static struct observer observer;
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	observe_begin(&observer, m);
	load_run(&load, 500);
	load_drain(&load);
	observe_end(&observer);
	/* Every request has raised the interrupt it was waited for with. */
	CHECK(load.interrupts >= 500 / m->blk.queues);
}

static void ordered_while_starved(struct machine *m)
{
	static const struct load_settings settings = {.depth = 16};
	static struct observer observer;
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	observe_begin(&observer, m);
	for (unsigned i = 0; i < 200; i++) {
		load_run_ps(&load, rng_below(&m->rng, 20 * PS_PER_US));
		device_hold_credits(m->guest.device, kernel_now_ps() + rng_below(&m->rng, 30 * PS_PER_US));
	}
	load_drain(&load);
	observe_end(&observer);
	const struct link_stats *up = device_stats(m->guest.device).up;
	CHECK(up->stall_credit_ps[TLP_POSTED] > 100 * PS_PER_US);
}

/* As many small requests as the card has slots for end at about the same time and cannot be told of: the longest batches of
 * used elements, and a full transmit queue. */
static void ordered_in_bursts(struct machine *m)
{
	static const struct load_settings settings = {
		.depth = MACHINE_QUEUE_SIZE, .bytes_max = 512, .fixed = true};
	static struct observer observer;
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	observe_begin(&observer, m);
	for (unsigned i = 0; i < 40; i++) {
		load_run_ps(&load, rng_below(&m->rng, 50 * PS_PER_US));
		device_hold_credits(m->guest.device, kernel_now_ps() + 100 * PS_PER_US);
	}
	load_drain(&load);
	observe_end(&observer);
}

/* Kinds of back-pressure and disorder. */
#define COMMON "host.vcpus=1", "device.queues=4", "guest.indirect=on", "guest.segment_bytes=512"
static const char *const kinds[][12] = {
	{COMMON},
	{COMMON, "link.posted_headers=1", "link.posted_data=16", "link.non_posted_headers=1",
	 "link.non_posted_data=1"},
	{COMMON, "link.error_ppm=100000"},
	{COMMON, "link.root_complex_jitter=100", "link.root_complex_ns=2000", "link.rcb_pieces=on"},
	{COMMON, "link.tags=2", "link.root_complex_jitter=100"},
	{COMMON, "link.gen=1", "link.lanes=1", "link.mps=128", "link.mrrs=128"},
	{COMMON, "link.mps=1024", "link.mrrs=4096", "link.tags=768", "link.root_complex_jitter=100"},
	{COMMON, "link.error_ppm=30000", "link.posted_headers=2", "link.posted_data=16",
	 "link.non_posted_headers=1", "link.root_complex_jitter=100", "link.tags=5"},
	{COMMON, "virtio.in_order=on", "used.batch=64"},
	{COMMON, "guest.event_idx=off", "used.batch=1"},
	{COMMON, "msix.holdoff_ns=5000", "msix.threshold=4"},
	{COMMON, "used.batch=256", "media.read_ns=0", "media.write_ns=0", "media.bandwidth_mbps=1000000"},
	{COMMON, "msix.vectors=2", "link.propagation_ns=1000"},
	{COMMON, "device.offload=firmware"},
};

/* The longest batch of used elements there can be, again and again. */
static void longest_batches(struct machine *m)
{
	static const struct load_settings settings = {
		.depth = QUEUE_SIZE_MAX, .bytes_max = 512, .fixed = true, .only_writes = true};
	static struct observer observer;
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	observe_begin(&observer, m);
	for (unsigned i = 0; i < 100; i++) {
		load_run_ps(&load, rng_below(&m->rng, 100 * PS_PER_US));
		device_hold_credits(m->guest.device, kernel_now_ps() + 30 * PS_PER_US);
	}
	load_drain(&load);
	root_tap(m->guest.root, NULL, NULL);
	CHECK(observer.elements > 5 * QUEUE_SIZE_MAX);
}

static void test_longest_used_batches_are_ordered(void **state)
{
	(void)state;
	machine_run(longest_batches, "host.vcpus=1", "device.queue_size=256", "guest.indirect=on",
		    "used.batch=256", "link.posted_headers=16", "media.write_ns=100", "media.parallelism=256",
		    NULL);
}

static void run_all_kinds(machine_body *body)
{
	static const struct machine_options options = {0};
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		printf("kind %u\n", i);
		machine_run_with(body, &options, kinds[i]);
	}
}

static void test_stream_under_load_is_ordered(void **state)
{
	(void)state;
	run_all_kinds(ordered_under_load);
}

static void test_stream_of_single_requests_is_ordered(void **state)
{
	(void)state;
	run_all_kinds(ordered_one_by_one);
}

static void test_stream_while_credits_starve_is_ordered(void **state)
{
	(void)state;
	run_all_kinds(ordered_while_starved);
}

static void test_stream_of_bursts_is_ordered(void **state)
{
	(void)state;
	run_all_kinds(ordered_in_bursts);
}

/* ---- pushing (ORD-007, ORD-008) ---- */

/* A register read brings all writes the card made before it. */
static void read_pushes_writes(struct machine *m)
{
	static const struct load_settings settings = {.depth = 16};
	struct load load;
	unsigned behind = 0;
	machine_probe(m);
	load_begin(&load, m, &settings);
	for (unsigned i = 0; i < 100; i++) {
		load_run_ps(&load, 5 * PS_PER_US + rng_below(&m->rng, 5 * PS_PER_US));
		if (i % 2)
			device_hold_credits(m->guest.device,
					    kernel_now_ps() + rng_below(&m->rng, 20 * PS_PER_US));
		root_sync(m->guest.root);
		const struct root_stats *seen = root_stats(m->guest.root);
		uint64_t made = device_stats(m->guest.device).dma->write_tlps;
		behind += seen->writes + seen->interrupts < made;
		virtio_common_read(&m->blk.virtio, VIRTIO_PCI_COMMON_NUMQ, 2);
		CHECK(seen->writes + seen->interrupts >= made);
	}
	CHECK(behind > 20); /* there was something to push */
	load_drain(&load);
}

static void test_register_read_pushes_earlier_writes(void **state)
{
	(void)state;
	machine_run(read_pushes_writes, "host.vcpus=1", "device.queues=2", NULL);
}

/* A read behind a doorbell or any other write arrives behind it. */
static void write_before_read(struct machine *m)
{
	machine_probe(m);
	const struct device_stats stats = device_stats(m->guest.device);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t doorbells = stats.endpoint->doorbells;
		uint16_t queue = (uint16_t)rng_below(&m->rng, 4);
		machine_kick(m, queue);
		virtio_common_write(&m->blk.virtio, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
		CHECK_EQUAL(virtio_common_read(&m->blk.virtio, VIRTIO_PCI_COMMON_Q_SELECT, 2), queue);
		CHECK_EQUAL(stats.endpoint->doorbells, doorbells + 1);
	}
}

static void test_read_behind_doorbell_arrives_behind_it(void **state)
{
	(void)state;
	machine_run(write_before_read, "device.queues=4", "link.error_ppm=50000", NULL);
}

/* ---- independence of directions (ORD-009, ORD-010, FC-005, FC-016, ACC-017) ---- */

/* While the host lets the card send nothing, the card goes on taking what comes: completions and more writes than there
 * are credits. */
static void accepts_while_blocked(struct machine *m)
{
	enum { WRITES = 1000 };
	static const struct load_settings settings = {.depth = 16};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	load_run(&load, 200);
	const struct device_stats stats = device_stats(m->guest.device);
	device_hold_credits(m->guest.device, kernel_now_ps() + 500 * PS_PER_US);
	load_run_ps(&load, 100 * PS_PER_US); /* until nothing goes any more */
	uint64_t taken = stats.endpoint->memory_writes, sent = stats.dma->write_tlps;
	for (unsigned i = 0; i < WRITES; i++)
		virtio_common_write(&m->blk.virtio, VIRTIO_PCI_COMMON_DFSELECT, 4, i);
	machine_wait_us(m, 100);
	CHECK(stats.endpoint->memory_writes >= taken + WRITES);
	CHECK(device_stats(m->guest.device).dma->write_tlps - sent < 64); /* it was blocked indeed */
	load_drain(&load);
	CHECK_EQUAL(virtio_common_read(&m->blk.virtio, VIRTIO_PCI_COMMON_DFSELECT, 4), WRITES - 1);
}

static void test_writes_are_accepted_while_the_card_cannot_send(void **state)
{
	(void)state;
	machine_run(accepts_while_blocked, "host.vcpus=1", "device.queues=2", "link.posted_headers=4", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_stream_under_load_is_ordered, "ORD-001 ORD-002 ORD-003 ORD-004 ORD-011 ORD-012 "
							    "ORD-013 INT-011 CAP-010 FC-005 FC-014 DLL-008"),
		REQ_TEST(test_stream_of_single_requests_is_ordered, "ORD-001 ORD-004 INT-011"),
		REQ_TEST(test_stream_while_credits_starve_is_ordered, "ORD-001 ORD-004 FC-004"),
		REQ_TEST(test_stream_of_bursts_is_ordered, "ORD-001 ORD-004"),
		REQ_TEST(test_longest_used_batches_are_ordered, "ORD-001"),
		REQ_TEST(test_register_read_pushes_earlier_writes, "ORD-007"),
		REQ_TEST(test_read_behind_doorbell_arrives_behind_it, "ORD-008 DLL-008 ACC-009"),
		REQ_TEST(test_writes_are_accepted_while_the_card_cannot_send,
			 "ORD-009 ORD-010 FC-005 ACC-017"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
