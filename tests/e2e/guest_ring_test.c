/* The simulated guest's driver as a user of split rings (guide section 5.2): every chain it publishes is walked by a reader
 * that knows nothing of the driver, its wishes and kicks are compared with the rules, and memory is watched while the
 * device has it. */
#include "tests/e2e/shim.h"

#include "tests/e2e/load.h"

#define SIZE     MACHINE_QUEUE_SIZE
#define NEXT     VRING_DESC_F_NEXT
#define WRITE    VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define PIECES   130u

/* ---- a reader of chains ---- */

struct chain {
	unsigned pieces, readable;
	uint64_t bytes;
	struct vring_desc piece[PIECES];
};

static const struct vring_desc *table_at(struct machine *m, uint64_t addr, uint32_t bytes)
{
	const void *table = memory_at(&m->guest.memory, addr, bytes);
	CHECK(table != NULL);
	return table;
}

static void add(struct chain *chain, const struct vring_desc *desc)
{
	CHECK(desc->len != 0);
	CHECK(chain->pieces < PIECES);
	if (!(desc->flags & WRITE)) {
		CHECK_EQUAL(chain->readable, chain->pieces); /* G-035 */
		chain->readable++;
	}
	chain->piece[chain->pieces++] = *desc;
	chain->bytes += desc->len;
	CHECK(chain->bytes <= UINT64_C(1) << 32); /* G-037 */
}

static void read_table(struct machine *m, const struct virtqueue *vq, const struct vring_desc *from,
		       struct chain *chain)
{
	CHECK(vq->features.indirect); /* G-039 */
	CHECK(from->len != 0 && from->len % 16 == 0);
	unsigned entries = from->len / 16, index = 0;
	CHECK(entries <= vq->size); /* G-040 */
	const struct vring_desc *table = table_at(m, from->addr, from->len);
	for (unsigned i = 0; i < entries; i++) {
		CHECK(!(table[index].flags & INDIRECT));
		add(chain, &table[index]);
		if (!(table[index].flags & NEXT))
			return;
		CHECK(table[index].next < entries);
		if (vq->features.in_order)
			CHECK_EQUAL(table[index].next, index + 1); /* G-042 */
		index = table[index].next;
	}
	CHECK(!"a table without an end");
}

static void read_chain(struct machine *m, const struct virtqueue *vq, uint16_t head, struct chain *chain)
{
	const struct vring_desc *table = table_at(m, vq->desc_addr, 16u * vq->size);
	uint16_t index = head;
	*chain = (struct chain){0};
	for (unsigned i = 0; i < vq->size; i++) {
		CHECK(index < vq->size);
		if (table[index].flags & INDIRECT) {
			CHECK(!(table[index].flags & NEXT)); /* G-041 */
			read_table(m, vq, &table[index], chain);
			return;
		}
		add(chain, &table[index]);
		if (!(table[index].flags & NEXT))
			return;
		if (vq->features.in_order)
			CHECK_EQUAL(table[index].next, (index + 1u) % vq->size); /* G-038 */
		index = table[index].next;
	}
	CHECK(!"a chain without an end");
}

/* Header and lengths of a request (G-100..G-104, G-106). */
static void check_request(struct machine *m, const struct chain *chain)
{
	uint32_t readable = 0, writable = 0;
	for (unsigned i = 0; i < chain->pieces; i++)
		*(i < chain->readable ? &readable : &writable) += chain->piece[i].len;
	const uint8_t *header = memory_at(&m->guest.memory, chain->piece[0].addr, 16);
	CHECK(header != NULL && readable >= 16 && writable >= 1);
	uint64_t sector = load_le64(header + 8), capacity = m->blk.capacity_sectors;
	switch (load_le32(header)) {
	case VIRTIO_BLK_T_IN:
		CHECK_EQUAL((writable - 1) % 512, 0);
		CHECK(sector <= capacity && (writable - 1) / 512 <= capacity - sector);
		break;
	case VIRTIO_BLK_T_OUT:
		CHECK_EQUAL((readable - 16) % 512, 0);
		CHECK(sector <= capacity && (readable - 16) / 512 <= capacity - sector);
		break;
	case VIRTIO_BLK_T_FLUSH: CHECK(sector == 0 && readable == 16 && writable == 1); break;
	case VIRTIO_BLK_T_GET_ID: CHECK_EQUAL(writable, 21); break;
	case VIRTIO_BLK_T_DISCARD: {
		const uint8_t *range = memory_at(&m->guest.memory, chain->piece[1].addr, 16);
		/* One range, so there is nothing to assume of the others if it fails (G-107). */
		CHECK_EQUAL(readable - 16, 16);
		CHECK(virtio_config_read(&m->blk.virtio, offsetof(struct virtio_blk_config, max_discard_seg),
					 4) >= 1);
		CHECK_EQUAL(load_le32(range + 12), 0); /* flags */
		break;
	}
	case VIRTIO_BLK_T_WRITE_ZEROES: CHECK_EQUAL(readable - 16, 16); break;
	default: CHECK(!"a type the driver was not asked for");
	}
}

/* ---- at every publication ---- */

struct watcher {
	struct shim shim;
	uint16_t seen[4]; /* avail.idx as it was looked at last */
	unsigned chains, flushes;
};

/* The driver's full barrier behind the write of avail.idx: what the device can see now is all that counts. */
static void look_at_rings(struct shim *shim)
{
	struct watcher *watcher = (struct watcher *)shim;
	struct machine *m = shim->m;
	for (unsigned i = 0; i < m->blk.queues; i++) {
		const struct virtqueue *vq = &m->blk.queue[i].vq;
		uint16_t index = load_le16(vq->avail + 2), flags = load_le16(vq->avail);
		CHECK((uint16_t)(index - watcher->seen[i]) <= vq->size); /* G-043 */
		CHECK(vq->features.event_idx ? flags == 0 : flags <= 1); /* G-044, G-045 */
		for (; watcher->seen[i] != index; watcher->seen[i]++, watcher->chains++) {
			struct chain chain;
			read_chain(m, vq,
				   load_le16(vq->avail + 4 + 2 * (size_t)(watcher->seen[i] % vq->size)),
				   &chain);
			check_request(m, &chain);
			const uint8_t *header = memory_at(&m->guest.memory, chain.piece[0].addr, 16);
			watcher->flushes += load_le32(header) == VIRTIO_BLK_T_FLUSH;
		}
	}
}

static void published(struct machine *m)
{
	struct watcher watcher = {.chains = 0};
	struct blk_request request = {.type = VIRTIO_BLK_T_GET_ID, .data_bytes = 20};
	shim_insert(&watcher.shim, m);
	machine_probe(m);
	watcher.shim.sync = look_at_rings;
	load_check_alive(m, 1000);
	machine_memory(m, 20, DMA_FROM_DEVICE, &request.data_addr);
	CHECK_EQUAL(blk_submit(&m->blk, &m->blk.queue[0], &request), 0);
	blk_publish(&m->blk.queue[0]);
	CHECK_EQUAL(machine_request(m, 1, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 1000), 0);
	CHECK_EQUAL(machine_request(m, 1, VIRTIO_BLK_T_DISCARD, 5, NULL, 4096, 1000), 0);
	CHECK_EQUAL(machine_request(m, 1, VIRTIO_BLK_T_WRITE_ZEROES, 5, NULL, 4096, 1000), 0);
	CHECK(watcher.chains >= 1004);
	free(watcher.shim.log);
}

/* The driver negotiates FLUSH to flush: with it alone, or with a cache it could switch off, it takes the cache for a
 * write-back one, and a flush it is asked for goes to the device. */
static void flush_reaches_the_device(struct machine *m)
{
	struct watcher watcher = {.chains = 0};
	shim_insert(&watcher.shim, m);
	machine_probe(m);
	CHECK(virtio_has(&m->blk.virtio, VIRTIO_BLK_F_FLUSH));
	CHECK_EQUAL(virtio_has(&m->blk.virtio, VIRTIO_BLK_F_CONFIG_WCE), m->config.guest.config_wce);
	watcher.shim.sync = look_at_rings;
	for (unsigned i = 1; i <= 10; i++) {
		CHECK_EQUAL(machine_request(m, i % 4, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 1000), 0);
		CHECK_EQUAL(watcher.flushes, i);
	}
	free(watcher.shim.log);
}

static void test_flush_is_negotiated_to_be_used(void **state)
{
	(void)state;
	machine_run(flush_reaches_the_device, "device.queues=4", "host.vcpus=1", NULL);
	machine_run(flush_reaches_the_device, "device.queues=4", "host.vcpus=1", "guest.config_wce=on", NULL);
	machine_run(flush_reaches_the_device, "device.queues=4", "host.vcpus=1", "virtio.config_wce=off",
		    NULL);
}

static void test_published_chains_are_well_formed(void **state)
{
	static const char *const variants[] = {"guest.indirect=off", "guest.indirect=on",
					       "virtio.in_order=on", "guest.event_idx=off"};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(variants); i++)
		machine_run(published, "device.queues=4", "host.vcpus=1", variants[i], NULL);
	machine_run(published, "device.queues=4", "host.vcpus=1", "virtio.in_order=on", "guest.indirect=on",
		    NULL);
}

/* Nothing of a request can be seen before it is published, and then all of it: the index is written last. */
static void index_last(struct machine *m)
{
	struct blk_request request[3];
	machine_probe(m);
	struct blk_queue *queue = &m->blk.queue[0];
	const struct virtqueue *vq = &queue->vq;
	for (uint16_t round = 0; round < 50; round++) {
		uint16_t before = load_le16(vq->avail + 2);
		for (unsigned i = 0; i < 3; i++) {
			struct chain chain;
			request[i] = (struct blk_request){.type = VIRTIO_BLK_T_FLUSH};
			CHECK_EQUAL(blk_submit(&m->blk, queue, &request[i]), 0);
			CHECK_EQUAL(load_le16(vq->avail + 2), before);
			read_chain(m, vq, load_le16(vq->avail + 4 + 2 * (size_t)((before + i) % vq->size)),
				   &chain);
			check_request(m, &chain);
		}
		if (blk_publish(queue))
			blk_kick(&m->blk, queue);
		CHECK_EQUAL(load_le16(vq->avail + 2), (uint16_t)(before + 3));
		CHECK(machine_wait_used(m, 0, (uint16_t)(before + 3), 1000));
		while (blk_take(queue) != NULL)
			;
	}
}

static void test_index_is_written_last(void **state)
{
	(void)state;
	machine_run(index_last, NULL);
	machine_run(index_last, "guest.indirect=on", NULL);
}

/* ---- memory in the device's hands ---- */

static void exposed(struct machine *m)
{
	enum { COUNT = 12, BYTES = 4096 };
	struct blk_request request[COUNT];
	struct chain before[COUNT];
	uint8_t header[COUNT][32], data[BYTES];
	machine_probe(m);
	struct blk_queue *queue = &m->blk.queue[0];
	memset(data, 0x3c, sizeof(data));
	for (unsigned i = 0; i < COUNT; i++) {
		request[i] =
			(struct blk_request){.type = VIRTIO_BLK_T_OUT, .sector = 8 * i, .data_bytes = BYTES};
		memcpy(machine_memory(m, BYTES, DMA_TO_DEVICE, &request[i].data_addr), data, BYTES);
		CHECK_EQUAL(blk_submit(&m->blk, queue, &request[i]), 0);
		read_chain(m, &queue->vq, request[i].head, &before[i]);
		memcpy(header[i], &queue->header[request[i].memory], sizeof(header[i]));
		if (blk_publish(queue))
			blk_kick(&m->blk, queue);
		machine_wait_us(m, 1);
	}
	CHECK(machine_wait_used(m, 0, COUNT, 10000));
	for (unsigned i = 0; i < COUNT; i++) {
		struct chain after;
		read_chain(m, &queue->vq, request[i].head, &after);
		CHECK(memcmp(&after, &before[i], sizeof(after)) == 0);
		CHECK(memcmp(header[i], &queue->header[request[i].memory], sizeof(header[i])) == 0);
		CHECK(memcmp(memory_at(&m->guest.memory, request[i].data_addr, BYTES), data, BYTES) == 0);
	}
	while (blk_take(queue) != NULL)
		;
}

static void test_exposed_memory_is_left_alone(void **state)
{
	(void)state;
	machine_run(exposed, NULL);
	machine_run(exposed, "guest.indirect=on", NULL);
}

/* Before the device has confirmed the reset, the rings stand as they were. */
static void rings_until_reset(struct shim *shim, const struct access *access, uint32_t *value)
{
	unsigned offset = 0;
	if (shim_place(shim, access, &offset) != IN_COMMON || offset != VIRTIO_PCI_COMMON_STATUS)
		return;
	if (*value == 0x0f)
		CHECK_EQUAL(load_le16(shim->m->blk.queue[0].vq.avail + 2), shim->hits);
}

static void reset_in_flight(struct machine *m)
{
	struct shim shim;
	struct blk_request request = {.type = VIRTIO_BLK_T_FLUSH};
	shim_insert(&shim, m);
	machine_probe(m);
	struct blk_queue *queue = &m->blk.queue[0];
	for (shim.hits = 0; shim.hits < 5; shim.hits++)
		CHECK_EQUAL(blk_submit(&m->blk, queue, &request), 0);
	if (blk_publish(queue))
		blk_kick(&m->blk, queue);
	machine_wait_us(m, 20);
	shim.read = rings_until_reset;
	machine_restart(m);
	shim.read = NULL;
	CHECK_EQUAL(load_le16(queue->vq.avail + 2), 0);
	CHECK_EQUAL(load_le32(queue->vq.used), 0); /* G-048 */
	machine_check_alive(m);
	free(shim.log);
}

static void test_rings_are_taken_back_after_the_reset(void **state)
{
	(void)state;
	machine_run(reset_in_flight, "media.flush_ns=300000", NULL);
}

/* ---- when to kick ---- */

/* The device's wishes, written by hand: the card is kept out of the way by a ring it has not been told of. */
static bool publish_one(struct machine *m)
{
	static struct blk_request request;
	struct blk_queue *queue = &m->blk.queue[0];
	request = (struct blk_request){.type = VIRTIO_BLK_T_FLUSH};
	if (queue->vq.in_flight == SIZE / 2)
		virtqueue_reset(&queue->vq);
	queue->free_memories = SIZE;
	CHECK_EQUAL(blk_submit(&m->blk, queue, &request), 0);
	return blk_publish(queue);
}

static void wish(struct machine *m, uint16_t flags, uint16_t event)
{
	uint8_t *used = m->blk.queue[0].vq.used;
	store_le16(used, flags);
	store_le16(used + 4 + 8 * (size_t)SIZE, event);
}

static void kicks_by_flag(struct machine *m)
{
	machine_probe(m);
	CHECK_EQUAL(virtio_reset(&m->blk.virtio, 1000000), 0);
	virtqueue_reset(&m->blk.queue[0].vq);
	for (unsigned i = 0; i < 200; i++) {
		uint16_t flags = (uint16_t)rng_u64(&m->rng), event = (uint16_t)rng_u64(&m->rng);
		wish(m, flags, event);
		CHECK_EQUAL(publish_one(m), !(flags & VRING_USED_F_NO_NOTIFY));
	}
}

static void kicks_by_event(struct machine *m)
{
	machine_probe(m);
	CHECK_EQUAL(virtio_reset(&m->blk.virtio, 1000000), 0);
	struct virtqueue *vq = &m->blk.queue[0].vq;
	virtqueue_reset(vq);
	/* Around the end of the index. */
	vq->avail_index = vq->published = vq->kicked = 65500;
	for (unsigned i = 0; i < 200; i++) {
		uint16_t index = vq->avail_index;
		uint16_t event = (uint16_t)(index + rng_below(&m->rng, 3) - 1);
		wish(m, (uint16_t)rng_u64(&m->rng), event);
		if (vq->in_flight == SIZE / 2) {
			virtqueue_reset(vq);
			vq->avail_index = vq->published = vq->kicked = index;
			wish(m, 1, event);
		}
		CHECK_EQUAL(publish_one(m), event == index);
	}
	/* A batch steps over the wanted index. */
	virtqueue_reset(vq);
	struct blk_request request[8];
	for (unsigned i = 0; i < 8; i++) {
		request[i] = (struct blk_request){.type = VIRTIO_BLK_T_FLUSH};
		CHECK_EQUAL(blk_submit(&m->blk, &m->blk.queue[0], &request[i]), 0);
	}
	wish(m, 1, 3);
	CHECK(blk_publish(&m->blk.queue[0]));
	CHECK(!blk_publish(&m->blk.queue[0])); /* nothing new */
}

static void test_driver_kicks_when_it_is_asked_to(void **state)
{
	(void)state;
	machine_run(kicks_by_flag, "guest.event_idx=off", NULL);
	machine_run(kicks_by_event, NULL);
}

/* The device asks at the last moment: after the driver has written avail.idx, before it looks. */
static void ask_now(struct shim *shim)
{
	const struct virtqueue *vq = &shim->m->blk.queue[0].vq;
	if (load_le16(vq->avail + 2) != shim->hits)
		return;
	wish(shim->m, 0, (uint16_t)(shim->hits - 1));
}

static void barrier(struct machine *m)
{
	struct shim shim;
	shim_insert(&shim, m);
	machine_probe(m);
	CHECK_EQUAL(virtio_reset(&m->blk.virtio, 1000000), 0);
	virtqueue_reset(&m->blk.queue[0].vq);
	for (unsigned i = 1; i <= SIZE / 4; i++) {
		wish(m, 1, 0x8000); /* no kicks */
		shim.hits = i;
		shim.sync = ask_now;
		CHECK(publish_one(m));
		shim.sync = NULL;
	}
	free(shim.log);
}

static void test_driver_looks_for_wishes_behind_its_index(void **state)
{
	(void)state;
	machine_run(barrier, NULL);
	machine_run(barrier, "guest.event_idx=off", NULL);
}

/* ---- used elements that make no sense ---- */

/* A success that `len` does not cover is none: status or data lie beyond what the device says it has written. */
static void short_lengths(struct machine *m)
{
	static const struct {
		uint32_t type, data_bytes, len;
		uint8_t written, status;
	} cases[] = {
		{VIRTIO_BLK_T_IN, 512, 513, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_OK},
		{VIRTIO_BLK_T_IN, 512, 512, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_IOERR},
		{VIRTIO_BLK_T_IN, 512, 511, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_IOERR},
		{VIRTIO_BLK_T_IN, 512, 1, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_IOERR},
		{VIRTIO_BLK_T_IN, 512, 0, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_IOERR},
		{VIRTIO_BLK_T_IN, 512, 513, 0xff, 0xff}, /* never written */
		{VIRTIO_BLK_T_IN, 512, 0, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_S_UNSUPP},
		{VIRTIO_BLK_T_GET_ID, 20, 21, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_OK},
		{VIRTIO_BLK_T_GET_ID, 20, 20, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_IOERR},
		{VIRTIO_BLK_T_OUT, 512, 1, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_OK},
		{VIRTIO_BLK_T_OUT, 512, 0, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_IOERR},
		{VIRTIO_BLK_T_FLUSH, 0, 1, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_OK},
		{VIRTIO_BLK_T_FLUSH, 0, 0, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_IOERR},
	};
	machine_probe(m);
	struct blk_queue *queue = &m->blk.queue[0];
	CHECK_EQUAL(virtio_reset(&m->blk.virtio, 1000000), 0); /* the test is the device now */
	virtqueue_reset(&queue->vq);
	for (uint16_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct blk_request request = {.type = cases[i].type, .data_bytes = cases[i].data_bytes};
		machine_memory(m, 512, DMA_BOTH, &request.data_addr);
		CHECK_EQUAL(blk_submit(&m->blk, queue, &request), 0);
		blk_publish(queue);
		queue->status[request.memory] = cases[i].written;
		store_le32(queue->vq.used + 4 + 8 * (size_t)(i % SIZE), request.head);
		store_le32(queue->vq.used + 8 + 8 * (size_t)(i % SIZE), cases[i].len);
		store_le16(queue->vq.used + 2, (uint16_t)(i + 1));
		CHECK(blk_take(queue) == &request);
		CHECK_EQUAL(request.status, cases[i].status);
	}
	machine_restart(m);
	machine_check_alive(m);
}

static void test_driver_trusts_no_more_than_len_bytes(void **state)
{
	(void)state;
	machine_run(short_lengths, NULL);
	machine_run(short_lengths, "guest.indirect=on", NULL);
}

static void bad_elements(struct machine *m)
{
	machine_probe(m);
	struct blk_queue *queue = &m->blk.queue[0];
	uint8_t *used = queue->vq.used;
	uint8_t data[512];
	CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_IN, 0, data, sizeof(data), 1000), 0);
	CHECK_EQUAL(virtio_reset(&m->blk.virtio, 1000000), 0);
	static const uint32_t ids[] = {SIZE, UINT32_MAX, 0x10000, 5 /* not in flight */};
	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
		uint16_t index = queue->vq.used_index;
		store_le32(used + 4 + 8 * (size_t)(index % SIZE), ids[i]);
		store_le16(used + 2, (uint16_t)(index + 1));
		CHECK(blk_take(queue) == NULL);
		CHECK_EQUAL(queue->bad_used, i + 1);
	}
	machine_restart(m);
	machine_check_alive(m);
}

static void test_driver_survives_bad_used_elements(void **state)
{
	(void)state;
	machine_run(bad_elements, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_published_chains_are_well_formed,
			 "G-035 G-036 G-037 G-038 G-039 G-040 G-041 G-042 G-043 G-044 G-045 G-098 G-100 "
			 "G-101 G-102 G-103 "
			 "G-104 G-106 G-107"),
		REQ_TEST(test_flush_is_negotiated_to_be_used, "G-091 G-092"),
		REQ_TEST(test_driver_trusts_no_more_than_len_bytes, "G-047"),
		REQ_TEST(test_index_is_written_last, "G-051"),
		REQ_TEST(test_exposed_memory_is_left_alone, "G-023"),
		REQ_TEST(test_rings_are_taken_back_after_the_reset, "G-024 G-048"),
		REQ_TEST(test_driver_kicks_when_it_is_asked_to, "G-049 G-050"),
		REQ_TEST(test_driver_looks_for_wishes_behind_its_index, "G-052"),
		cmocka_unit_test(test_driver_survives_bad_used_elements),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
