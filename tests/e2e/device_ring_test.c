/* Rings as the device has to treat them (virtio 1.4 §2.7.7 to §2.7.10, §2.7.9): what it writes in which order, whom it
 * interrupts, when it wants to be kicked, and that it never sleeps through a buffer. */
#include "tests/e2e/load.h"

#define BIT(n) (UINT64_C(1) << (n))
#define SIZE   MACHINE_QUEUE_SIZE
#define WRITE  VRING_DESC_F_WRITE
#define DISK   "ram:1M"

static const struct machine_options small_disk = {.disk = DISK};

/* ---- the order of writes ---- */

/* Looks at guest memory as used.idx is about to be written: all it will cover has to be there. */
struct order {
	struct machine *m;
	uint16_t index[4];
	uint64_t elements, flag_writes, bad_flags;
};

static void check_element(const struct blk_queue *queue, uint16_t index)
{
	const struct virtqueue *vq = &queue->vq;
	const uint8_t *element = vq->used + 4 + 8 * (size_t)(index % vq->size);
	uint32_t head = load_le32(element), len = load_le32(element + 4);
	CHECK(head < vq->size);
	const struct blk_request *request = vq->head[head].cookie;
	CHECK(request != NULL);
	const struct load_place *place = request->cookie;
	CHECK_EQUAL(queue->status[request->memory], VIRTIO_BLK_S_OK);
	if (request->type == VIRTIO_BLK_T_IN) {
		CHECK_EQUAL(len, request->data_bytes + 1);
		CHECK(memcmp(load_data(place), load_expected(place), request->data_bytes) == 0);
	} else {
		CHECK_EQUAL(len, 1);
	}
}

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
		const struct blk_queue *queue = &order->m->blk.queue[i];
		uint16_t value = load_le16(tlp.payload + (addr & 3));
		if (addr == queue->vq.used_addr) {
			order->flag_writes++;
			order->bad_flags += queue->vq.features.event_idx ? value != 0 : value > 1;
		} else if (addr == queue->vq.used_addr + 2) {
			CHECK((uint16_t)(value - order->index[i]) <= queue->vq.size);
			for (; order->index[i] != value; order->index[i]++, order->elements++)
				check_element(queue, order->index[i]);
		}
	}
}

static void ordered(struct machine *m)
{
	static const struct load_settings settings = {.bytes_max = 4096};
	struct order order = {.m = m};
	struct load load;
	machine_probe(m);
	load_begin(&load, m, &settings);
	root_tap(m->guest.root, watch_order, &order);
	load_run(&load, 3000);
	load_drain(&load);
	root_sync(m->guest.root);
	root_tap(m->guest.root, NULL, NULL);
	CHECK_EQUAL(order.elements, load.done);
	CHECK_EQUAL(order.bad_flags, 0);
	/* Polling without EVENT_IDX uses the flag, so the check has seen something. */
	if (m->config.core.poll_ps != 0 && !m->config.guest.event_idx &&
	    m->config.device.offload == CONFIG_OFFLOAD_FETCH)
		CHECK(order.flag_writes > 0);
}

static void test_used_index_covers_only_what_is_there(void **state)
{
	(void)state;
	machine_run_levels(ordered, &small_disk, "device.queues=4", "host.vcpus=1", "guest.indirect=on",
			   NULL);
	machine_run_levels(ordered, &small_disk, "device.queues=4", "host.vcpus=1", "link.mps=128",
			   "media.jitter=100", NULL);
}

static void test_used_flags_are_0_with_event_idx_and_0_or_1_without(void **state)
{
	(void)state;
	machine_run_levels(ordered, &small_disk, "host.vcpus=1", "core.poll_ns=20000", NULL);
	machine_run_levels(ordered, &small_disk, "host.vcpus=1", "core.poll_ns=20000", "guest.event_idx=off",
			   NULL);
}

/* ---- interrupts ---- */

/* Publishes `count` flushes and waits until they are used. */
static void flushes(struct machine *m, unsigned count)
{
	struct virtqueue *vq = &m->blk.queue[0].vq;
	uint16_t first = machine_avail_index(m, 0);
	for (unsigned i = 0; i < count; i++) {
		uint16_t head = (uint16_t)(2 * i);
		store_le16(vq->avail + 4 + 2 * (size_t)((first + i) % SIZE), head);
	}
	machine_set_avail_index(m, 0, (uint16_t)(first + count));
	vq->published = (uint16_t)(first + count);
	machine_kick(m, 0);
	CHECK(machine_wait_used(m, 0, (uint16_t)(first + count), 1000));
	machine_wait_us(m, 20);
}

/* Descriptors 2i and 2i + 1 are a flush. */
static void lay_out_flushes(struct machine *m)
{
	struct machine_buffers buffers = machine_buffers(m, VIRTIO_BLK_T_FLUSH, 0, 0);
	const struct machine_piece pieces[] = {{buffers.header_addr, 16, 0}, {buffers.status_addr, 1, WRITE}};
	for (uint16_t i = 0; i + 1u < SIZE; i = (uint16_t)(i + 2))
		machine_chain(m, 0, i, pieces, 2);
}

static void set_used_event(struct machine *m, uint16_t value)
{
	struct virtqueue *vq = &m->blk.queue[0].vq;
	store_le16(vq->avail + 4 + 2 * (size_t)vq->size, value);
}

/* One batch, and whether an interrupt came. */
static void batch(struct machine *m, unsigned count, uint16_t event, bool wanted)
{
	set_used_event(m, event);
	flushes(m, count);
	CHECK_EQUAL(machine_took_interrupt(m, m->blk.queue[0].vector), wanted);
}

/* Batches of all sizes, used_event at random in and around them. An interrupt comes if and only if used_event is among the
 * elements of the batch. */
static void event_choices(struct machine *m)
{
	static const uint16_t counts[] = {1, 2, 3, 7, 16, 31};
	uint16_t index = 0;
	machine_probe(m);
	lay_out_flushes(m);
	for (unsigned i = 0; i < 300; i++) {
		uint16_t count = counts[rng_below(&m->rng, ARRAY_SIZE(counts))];
		uint16_t event = (uint16_t)(index + rng_below(&m->rng, 3 * count + 2u) - count);
		batch(m, count, event, (uint16_t)(event - index) < count);
		index = (uint16_t)(index + count);
	}
	machine_expect_no_harm(m);
}

/* To the end of the 16-bit index without an interrupt, then across it step by step. */
static void events_around_the_wrap(struct machine *m)
{
	uint16_t index = 0;
	machine_probe(m);
	lay_out_flushes(m);
	while (index < 65536 - 40) {
		batch(m, 31, (uint16_t)(index - 1), false);
		index = (uint16_t)(index + 31);
	}
	for (unsigned i = 0; i < 80; i++) {
		uint16_t count = (uint16_t)(1 + i % 4);
		bool wanted = i % 3 != 0;
		batch(m, count, (uint16_t)(index + (wanted ? rng_below(&m->rng, count) : count)), wanted);
		index = (uint16_t)(index + count);
	}
	CHECK(index < 1000);
	machine_expect_no_harm(m);
}

static void test_used_event_decides_who_is_interrupted(void **state)
{
	(void)state;
	machine_run_levels(event_choices, NULL, "media.flush_ns=100", "used.batch=64", NULL);
	machine_run_levels(event_choices, NULL, "media.flush_ns=100", "used.batch=4", NULL);
	machine_run(events_around_the_wrap, "media.flush_ns=100", NULL);
}

/* ---- kicks ---- */

/* A driver that kicks only when it is asked to, at times that have nothing to do with the device's: a buffer that is not
 * noticed stays for ever. */
static void sparse(struct machine *m)
{
	enum { COUNT = 3000, DEPTH = 3 };
	static struct blk_request request[DEPTH];
	bool busy[DEPTH] = {false};
	unsigned kicks = 0, done = 0, submitted = 0;
	machine_probe(m);
	struct blk_queue *queue = &m->blk.queue[0];
	uint64_t progress_ps = kernel_now_ps();
	while (done < COUNT) {
		unsigned i = (unsigned)rng_below(&m->rng, DEPTH);
		if (!busy[i] && submitted < COUNT) {
			request[i] = (struct blk_request){.type = VIRTIO_BLK_T_FLUSH, .cookie = &busy[i]};
			CHECK_EQUAL(blk_submit(&m->blk, queue, &request[i]), 0);
			busy[i] = true;
			submitted++;
			if (blk_publish(queue)) {
				blk_kick(&m->blk, queue);
				kicks++;
			}
		}
		kernel_wait_ps(
			rng_below(&m->rng, rng_below(&m->rng, 8) == 0 ? 10 * PS_PER_US : 500 * PS_PER_NS));
		struct blk_request *used;
		while ((used = blk_take(queue)) != NULL) {
			*(bool *)used->cookie = false;
			done++;
			progress_ps = kernel_now_ps();
		}
		CHECK(kernel_now_ps() - progress_ps < 1000 * PS_PER_US);
	}
	CHECK(kicks <= COUNT);
	/* Not every buffer of a busy device is worth a kick, and an idle one wants each. */
	printf("%u kicks for %u requests\n", kicks, COUNT);
}

static void test_no_buffer_is_slept_through(void **state)
{
	static const char *const variants[] = {"guest.event_idx=on", "guest.event_idx=off",
					       "notify.mode=fifo", "notify.holdoff_ns=700",
					       "core.poll_ns=3000"};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(variants); i++)
		machine_run_levels(sparse, NULL, "media.flush_ns=1000", variants[i], NULL);
	machine_run_levels(sparse, NULL, "media.flush_ns=1000", "core.poll_ns=3000", "guest.event_idx=off",
			   NULL);
}

static uint16_t avail_event(struct machine *m)
{
	root_sync(m->guest.root);
	return load_le16(m->blk.queue[0].vq.used + 4 + 8 * (size_t)SIZE);
}

/* An idle device asks for a kick at the next index, whatever has happened before. */
static void armed(struct machine *m)
{
	uint16_t index = 0;
	machine_probe(m);
	lay_out_flushes(m);
	machine_wait_us(m, 50);
	CHECK_EQUAL(avail_event(m), 0);
	for (unsigned i = 0; i < 100; i++) {
		unsigned count = 1 + (unsigned)rng_below(&m->rng, 31);
		flushes(m, count);
		index = (uint16_t)(index + count);
		machine_wait_us(m, 20);
		CHECK_EQUAL(avail_event(m), index);
	}
	/* A kick for nothing changes nothing. */
	for (unsigned i = 0; i < 20; i++)
		machine_kick(m, 0);
	machine_wait_us(m, 100);
	CHECK_EQUAL(avail_event(m), index);
	CHECK_EQUAL(machine_used_index(m, 0), index);
}

static void test_idle_device_asks_for_the_next_index(void **state)
{
	(void)state;
	machine_run_levels(armed, NULL, "media.flush_ns=1000", NULL);
}

/* ---- IN_ORDER ---- */

/* Requests of all kinds and durations, offered in rings by hand. One used element stands for a batch: it names the last of
 * it, in the place of the first. */
struct in_order {
	struct machine *m;
	uint16_t index, batches;
	uint8_t *status[SIZE]; /* of the request with this available index, modulo */
};

static void watch_batches(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct in_order *o = ctx;
	const struct virtqueue *vq = &o->m->blk.queue[0].vq;
	struct tlp tlp;
	uint64_t addr;
	uint32_t bytes;
	(void)at_ps;
	if (!machine_is_write(from_card, wire, size, &tlp, &addr, &bytes))
		return;
	if (addr != vq->used_addr + 2)
		return;
	uint16_t now = load_le16(tlp.payload + (addr & 3));
	CHECK((uint16_t)(now - o->index) <= SIZE && now != o->index);
	uint32_t id = load_le32(vq->used + 4 + 8 * (size_t)(o->index % SIZE));
	CHECK_EQUAL(id, load_le16(vq->avail + 4 + 2 * (size_t)((uint16_t)(now - 1) % SIZE)));
	for (; o->index != now; o->index++)
		CHECK(*o->status[o->index % SIZE] != 0xff);
	o->batches++;
}

static void in_order(struct machine *m)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_IN,    VIRTIO_BLK_T_IN,     VIRTIO_BLK_T_IN,
					 VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, 77 /* none */};
	struct in_order o = {.m = m};
	uint16_t published = 0;
	machine_probe(m);
	CHECK(virtio_has(&m->blk.virtio, VIRTIO_F_IN_ORDER));
	root_tap(m->guest.root, watch_batches, &o);
	for (unsigned round = 0; round < 40; round++) {
		unsigned count = 1 + (unsigned)rng_below(&m->rng, SIZE / 3);
		for (unsigned i = 0; i < count; i++) {
			uint32_t type = types[rng_below(&m->rng, ARRAY_SIZE(types))];
			uint32_t bytes = type == VIRTIO_BLK_T_IN ? 512 << rng_below(&m->rng, 6) : 64;
			/* Some reads fail at once, for they are outside the disk. */
			uint64_t sector = rng_below(&m->rng, 2200);
			struct machine_buffers buffers = machine_buffers(m, type, sector, bytes);
			const struct machine_piece pieces[] = {{buffers.header_addr, 16, 0},
							       {buffers.data_addr, bytes, WRITE},
							       {buffers.status_addr, 1, WRITE}};
			uint16_t head = (uint16_t)(3 * ((published + i) % (SIZE / 3)));
			machine_chain(m, 0, head, pieces, 3);
			o.status[(published + i) % SIZE] = buffers.status;
			store_le16(m->blk.queue[0].vq.avail + 4 + 2 * (size_t)((published + i) % SIZE), head);
		}
		published = (uint16_t)(published + count);
		machine_set_avail_index(m, 0, published);
		machine_kick(m, 0);
		CHECK(machine_wait_used(m, 0, published, 10000));
	}
	root_tap(m->guest.root, NULL, NULL);
	CHECK_EQUAL(o.index, published);
	CHECK(o.batches < published);
	machine_restart(m);
	machine_check_alive(m);
	load_check_alive(m, 500);
}

static void test_in_order_gives_back_in_order(void **state)
{
	(void)state;
	machine_run_levels(in_order, &small_disk, "virtio.in_order=on", "media.jitter=100", "host.vcpus=1",
			   "used.cycles=1000", NULL); /* so slow that batches form */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_used_index_covers_only_what_is_there, "D-029 D-030 D-031"),
		REQ_TEST(test_used_flags_are_0_with_event_idx_and_0_or_1_without, "D-032 D-033 D-034"),
		REQ_TEST(test_used_event_decides_who_is_interrupted, "D-027 D-028"),
		REQ_TEST(test_no_buffer_is_slept_through, "D-037 D-035"),
		REQ_TEST(test_idle_device_asks_for_the_next_index, "D-035 D-036"),
		REQ_TEST(test_in_order_gives_back_in_order, "D-055"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
