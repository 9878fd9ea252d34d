/* The driver's side of a split virtqueue against a device made by hand: one that reads the rings as the specification has
 * them (virtio 1.4 §2.7), and some that lie. */
#include "tests/check.h"

#include "host-sim/driver/virtqueue.h"

#define ARENA_BYTES (1u << 20)
#define ARENA_BASE  UINT64_C(0x40000000)
#define SIZE        16u
#define PIECES_MAX  8u
#define NEXT        VRING_DESC_F_NEXT
#define WRITE       VRING_DESC_F_WRITE
#define INDIRECT    VRING_DESC_F_INDIRECT

/* ---- a machine to run on ---- */

struct machine {
	struct host_ops ops;
	uint8_t *arena;
	uint64_t used_up;
	unsigned syncs;
	void (*on_sync)(struct machine *machine); /* the device writes just then */
	struct virtqueue vq;
	uint16_t seen, used; /* the device's: avail.idx handled, used.idx */
};

static void *dma_alloc(void *ctx, uint64_t bytes, uint64_t align, enum dma_direction direction,
		       uint64_t *addr)
{
	struct machine *machine = ctx;
	uint64_t at = (machine->used_up + align - 1) & ~(align - 1);
	(void)direction;
	if (at > ARENA_BYTES || bytes > ARENA_BYTES - at)
		return NULL;
	machine->used_up = at + bytes;
	*addr = ARENA_BASE + at;
	return machine->arena + at;
}

static void dma_sync(void *ctx)
{
	struct machine *machine = ctx;
	machine->syncs++;
	if (machine->on_sync)
		machine->on_sync(machine);
}

static void make(struct machine *machine, uint16_t size, struct virtqueue_features features)
{
	*machine = (struct machine){.arena = calloc(1, ARENA_BYTES)};
	machine->ops = (struct host_ops){.ctx = machine, .dma_alloc = dma_alloc, .dma_sync = dma_sync};
	assert_non_null(machine->arena);
	assert_int_equal(virtqueue_create(&machine->vq, &machine->ops, size, &features, PIECES_MAX), 0);
}

static void destroy(struct machine *machine)
{
	virtqueue_free(&machine->vq);
	free(machine->arena);
}

/* ---- a device ---- */

static uint16_t avail_idx(const struct machine *machine)
{
	return load_le16(machine->vq.avail + 2);
}

/* The head offered as number `index`. */
static uint16_t offered(const struct machine *machine, uint16_t index)
{
	return load_le16(machine->vq.avail + 4 + 2 * (size_t)(index % machine->vq.size));
}

static void write_used(struct machine *machine, uint16_t index, uint32_t id, uint32_t len)
{
	uint8_t *element = machine->vq.used + 4 + 8 * (size_t)(index % machine->vq.size);
	store_le32(element, id);
	store_le32(element + 4, len);
	store_le16(machine->vq.used + 2, (uint16_t)(index + 1));
}

static void use(struct machine *machine, uint32_t id, uint32_t len)
{
	write_used(machine, machine->used++, id, len);
}

struct chain {
	struct buffer piece[PIECES_MAX];
	bool writable[PIECES_MAX];
	unsigned count;
	uint16_t desc[PIECES_MAX]; /* of the ring's table */
	unsigned descs;
};

static void read_piece(const uint8_t *desc, struct chain *chain)
{
	assert_true(chain->count < PIECES_MAX);
	chain->piece[chain->count] = (struct buffer){load_le64(desc), load_le32(desc + 8)};
	chain->writable[chain->count++] = load_le16(desc + 12) & WRITE;
}

/* By the byte offsets of §2.7.5. */
static struct chain read_chain(const struct machine *machine, uint16_t head)
{
	const uint8_t *table = machine->arena + (machine->vq.desc_addr - ARENA_BASE);
	struct chain chain = {.count = 0};
	for (uint16_t index = head;;) {
		const uint8_t *desc = table + 16 * (size_t)index;
		uint16_t flags = load_le16(desc + 12);
		assert_true(index < machine->vq.size && chain.descs < PIECES_MAX);
		chain.desc[chain.descs++] = index;
		if (flags & INDIRECT) {
			const uint8_t *indirect = machine->arena + (load_le64(desc) - ARENA_BASE);
			uint32_t entries = load_le32(desc + 8) / 16;
			assert_int_equal(flags, INDIRECT);
			assert_int_equal(load_le32(desc + 8) % 16, 0);
			for (uint32_t i = 0; i < entries; i++) {
				bool last = i + 1 == entries;
				assert_int_equal(load_le16(indirect + 16 * i + 12) & NEXT, last ? 0 : NEXT);
				if (!last)
					assert_int_equal(load_le16(indirect + 16 * i + 14), i + 1);
				read_piece(indirect + 16 * i, &chain);
			}
			return chain;
		}
		read_piece(desc, &chain);
		if (!(flags & NEXT))
			return chain;
		index = load_le16(desc + 14);
	}
}

/* ---- requests ---- */

struct request {
	struct buffer piece[PIECES_MAX];
	unsigned readable, writable;
	int head;
};

static uint32_t writable_bytes(const struct request *request)
{
	uint32_t bytes = 0;
	for (unsigned i = 0; i < request->writable; i++)
		bytes += request->piece[request->readable + i].bytes;
	return bytes;
}

static void fill_random(struct rng *rng, struct request *request)
{
	unsigned count = 1 + (unsigned)rng_below(rng, PIECES_MAX);
	request->readable = (unsigned)rng_below(rng, count + 1);
	request->writable = count - request->readable;
	for (unsigned i = 0; i < count; i++)
		request->piece[i] = (struct buffer){rng_u64(rng), 1 + (uint32_t)rng_below(rng, 100000)};
}

/* A readable and a writable piece of 64 bytes each. */
static struct request simple_request(void)
{
	return (struct request){
		.piece = {{0x1000, 64}, {0x2000, 64}}, .readable = 1, .writable = 1, .head = -1};
}

static int add(struct machine *machine, struct request *request)
{
	request->head =
		virtqueue_add(&machine->vq, request->piece, request->readable, request->writable, request);
	return request->head;
}

static void check_chain(const struct machine *machine, const struct request *request)
{
	struct chain chain = read_chain(machine, (uint16_t)request->head);
	assert_int_equal(chain.count, request->readable + request->writable);
	for (unsigned i = 0; i < chain.count; i++) {
		assert_int_equal(chain.piece[i].addr, request->piece[i].addr);
		assert_int_equal(chain.piece[i].bytes, request->piece[i].bytes);
		assert_int_equal(chain.writable[i], i >= request->readable);
	}
}

/* ---- chains ---- */

static void test_virtqueue_parts_are_aligned_and_apart(void **state)
{
	static const uint16_t sizes[] = {1, 2, 16, 256, 4096};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct machine machine;
		make(&machine, sizes[i], (struct virtqueue_features){0});
		const struct virtqueue *vq = &machine.vq;
		assert_int_equal(vq->desc_addr % 16, 0);
		assert_int_equal(vq->avail_addr % 2, 0);
		assert_int_equal(vq->used_addr % 4, 0);
		assert_true(vq->avail_addr >= vq->desc_addr + 16u * sizes[i]);
		assert_true(vq->used_addr >= vq->avail_addr + 6 + 2u * sizes[i]);
		assert_true(ARENA_BASE + machine.used_up >= vq->used_addr + 6 + 8u * sizes[i]);
		destroy(&machine);
	}
}

static void test_virtqueue_without_memory_is_refused(void **state)
{
	static const struct virtqueue_features indirect = {.indirect = true};
	struct machine machine;
	(void)state;
	make(&machine, SIZE, (struct virtqueue_features){0});
	for (uint64_t left = 0; left < ARENA_BYTES / 2; left += 4096) {
		struct virtqueue vq;
		machine.used_up = ARENA_BYTES - left;
		if (virtqueue_create(&vq, &machine.ops, 1024, &indirect, PIECES_MAX) == 0) {
			/* table, two rings, 1024 indirect tables */
			assert_true(left >= 16 * 1024 + 2 * 1024 + 8 * 1024 + 16 * PIECES_MAX * 1024);
			virtqueue_free(&vq);
		} else {
			assert_true(left < 16 * 1024 + 4 * 4096 + 8 * 1024 + 16 * PIECES_MAX * 1024);
		}
	}
	destroy(&machine);
}

struct flight {
	struct request request[SIZE];
	bool busy[SIZE];
	unsigned busy_count, done;
};

/* No descriptor belongs to two chains, all chains are as they were added, and the free ones are the rest. */
static void check_flight(const struct machine *machine, const struct flight *flight)
{
	bool taken[SIZE] = {false};
	unsigned count = 0;
	for (unsigned i = 0; i < SIZE; i++) {
		if (!flight->busy[i])
			continue;
		check_chain(machine, &flight->request[i]);
		struct chain chain = read_chain(machine, (uint16_t)flight->request[i].head);
		for (unsigned j = 0; j < chain.descs; j++) {
			assert_false(taken[chain.desc[j]]);
			taken[chain.desc[j]] = true;
			count++;
		}
	}
	assert_int_equal(machine->vq.free_count, SIZE - count);
	assert_int_equal(machine->vq.in_flight, flight->busy_count);
}

static void submit_random(struct machine *machine, struct rng *rng, struct flight *flight)
{
	unsigned place = 0;
	while (place < SIZE && flight->busy[place])
		place++;
	if (place == SIZE)
		return;
	struct request *request = &flight->request[place];
	fill_random(rng, request);
	unsigned count = request->readable + request->writable;
	unsigned needed = machine->vq.features.indirect && count > 1 ? 1 : count;
	bool fits = needed <= machine->vq.free_count;
	uint16_t before = avail_idx(machine);
	assert_int_equal(add(machine, request) >= 0, fits);
	assert_int_equal(avail_idx(machine), before); /* not seen yet */
	if (!fits)
		return;
	flight->busy[place] = true;
	flight->busy_count++;
	virtqueue_publish(&machine->vq);
	assert_int_equal(avail_idx(machine), (uint16_t)(before + 1));
	assert_int_equal(offered(machine, before), request->head);
}

static void complete_random(struct machine *machine, struct rng *rng, struct flight *flight)
{
	unsigned place = (unsigned)rng_below(rng, SIZE);
	uint64_t bad = 0;
	uint16_t head;
	uint32_t len;
	if (!flight->busy[place])
		return;
	uint32_t wanted = (uint32_t)rng_below(rng, (uint64_t)writable_bytes(&flight->request[place]) + 1);
	assert_null(virtqueue_take(&machine->vq, &head, &len, &bad));
	use(machine, (uint32_t)flight->request[place].head, wanted);
	assert_ptr_equal(virtqueue_take(&machine->vq, &head, &len, &bad), &flight->request[place]);
	assert_int_equal(head, flight->request[place].head);
	assert_int_equal(len, wanted);
	assert_int_equal(bad, 0);
	flight->busy[place] = false;
	flight->busy_count--;
	flight->done++;
}

/* Far beyond the wrap of the 16-bit indices. */
static void test_virtqueue_random_requests_keep_their_descriptors_apart(void **state)
{
	struct rng rng;
	(void)state;
	rng_seed(&rng, test_seed(2), 0);
	for (unsigned indirect = 0; indirect < 2; indirect++) {
		struct machine machine;
		struct flight flight = {.busy_count = 0};
		make(&machine, SIZE, (struct virtqueue_features){.indirect = indirect});
		for (unsigned i = 0; i < 1500000; i++) {
			if (rng_below(&rng, 2))
				submit_random(&machine, &rng, &flight);
			else
				complete_random(&machine, &rng, &flight);
			if (i % 256 == 0)
				check_flight(&machine, &flight);
		}
		assert_true(flight.done > 0x10000);
		check_flight(&machine, &flight);
		destroy(&machine);
	}
}

/* A chain with more pieces than an indirect table has entries goes into the ring's table, one piece needs no table. */
static void test_virtqueue_indirect_is_used_where_it_fits(void **state)
{
	struct machine machine;
	struct request request = simple_request(), one = simple_request(), many = {.writable = PIECES_MAX};
	(void)state;
	make(&machine, SIZE, (struct virtqueue_features){.indirect = true});
	machine.vq.indirect_entries = PIECES_MAX - 1;
	one.readable = 0;
	for (unsigned i = 0; i < PIECES_MAX; i++)
		many.piece[i] = (struct buffer){0x1000 * (i + 1), 1 + i};
	assert_true(add(&machine, &request) >= 0);
	assert_true(machine.vq.desc[request.head].flags & INDIRECT);
	assert_true(add(&machine, &one) >= 0);
	assert_false(machine.vq.desc[one.head].flags & INDIRECT);
	assert_true(add(&machine, &many) >= 0);
	assert_false(machine.vq.desc[many.head].flags & INDIRECT);
	assert_int_equal(machine.vq.free_count, SIZE - 1 - 1 - PIECES_MAX);
	check_chain(&machine, &request);
	check_chain(&machine, &one);
	check_chain(&machine, &many);
	destroy(&machine);
}

static void test_virtqueue_reset_forgets_everything(void **state)
{
	struct machine machine;
	struct request request = simple_request();
	uint64_t bad = 0;
	uint16_t head;
	uint32_t len;
	(void)state;
	make(&machine, SIZE, (struct virtqueue_features){.event_idx = true});
	for (unsigned i = 0; i < 5; i++)
		assert_true(add(&machine, &request) >= 0);
	virtqueue_publish(&machine.vq);
	use(&machine, 0, 64);
	virtqueue_reset(&machine.vq);
	assert_int_equal(avail_idx(&machine), 0);
	assert_false(virtqueue_has_used(&machine.vq));
	assert_null(virtqueue_take(&machine.vq, &head, &len, &bad));
	assert_int_equal(machine.vq.free_count, SIZE);
	assert_int_equal(bad, 0);
	machine.used = 0;
	for (unsigned i = 0; i < SIZE / 2; i++) {
		assert_true(add(&machine, &request) >= 0);
		check_chain(&machine, &request);
	}
	assert_int_equal(add(&machine, &request), -1);
	destroy(&machine);
}

/* ---- notifications ---- */

/* With EVENT_IDX: a kick is due if any of the entries published now is the one the device has named (§2.7.10.1). */
static void test_virtqueue_kick_follows_avail_event_at_every_distance(void **state)
{
	static const uint16_t starts[] = {0, 1, 0x7ffe, 0xfff0, 0xfffe, 0xffff};
	struct machine machine;
	(void)state;
	make(&machine, SIZE, (struct virtqueue_features){.event_idx = true});
	for (unsigned s = 0; s < ARRAY_SIZE(starts); s++)
		for (unsigned count = 0; count <= 4; count++)
			for (int distance = -6; distance <= 6; distance++) {
				struct request request = simple_request();
				uint16_t event = (uint16_t)(starts[s] + distance);
				virtqueue_reset(&machine.vq);
				machine.vq.avail_index = machine.vq.published = machine.vq.kicked = starts[s];
				store_le16(machine.vq.used + 4 + 8u * SIZE, event);
				store_le16(machine.vq.used, 1); /* not heeded */
				for (unsigned i = 0; i < count; i++)
					assert_true(add(&machine, &request) >= 0);
				bool due = false;
				for (unsigned i = 0; i < count; i++)
					due = due || (uint16_t)(starts[s] + i) == event;
				assert_int_equal(virtqueue_publish(&machine.vq), due);
				assert_false(virtqueue_publish(&machine.vq)); /* nothing new */
			}
	destroy(&machine);
}

static void test_virtqueue_kick_follows_used_flags_without_event_idx(void **state)
{
	struct machine machine;
	(void)state;
	make(&machine, SIZE, (struct virtqueue_features){0});
	for (unsigned flags = 0; flags < 4; flags++) {
		struct request request = simple_request();
		virtqueue_reset(&machine.vq);
		store_le16(machine.vq.used, (uint16_t)flags);
		assert_true(add(&machine, &request) >= 0);
		assert_int_equal(virtqueue_publish(&machine.vq), !(flags & 1));
		assert_false(virtqueue_publish(&machine.vq));
	}
	destroy(&machine);
}

static void use_first(struct machine *machine)
{
	machine->on_sync = NULL;
	use(machine, 0, 64);
}

/* A buffer used in the moment in which interrupts are switched on again raises none, but is found (§2.7.7). */
static void test_virtqueue_enabling_interrupts_finds_what_came_meanwhile(void **state)
{
	(void)state;
	for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
		struct machine machine;
		struct request request = simple_request();
		make(&machine, SIZE, (struct virtqueue_features){.event_idx = event_idx});
		assert_true(add(&machine, &request) >= 0);
		virtqueue_publish(&machine.vq);
		virtqueue_disable_interrupts(&machine.vq);
		assert_int_equal(load_le16(machine.vq.avail), event_idx ? 0 : 1);
		assert_false(virtqueue_enable_interrupts(&machine.vq));
		assert_int_equal(load_le16(machine.vq.avail), 0);
		if (event_idx) /* behind the ring: the index of the next one used */
			assert_int_equal(load_le16(machine.vq.avail + 4 + 2 * SIZE), 0);
		virtqueue_disable_interrupts(&machine.vq);
		machine.on_sync = use_first; /* after the flag has been written */
		assert_true(virtqueue_enable_interrupts(&machine.vq));
		destroy(&machine);
	}
}

static void test_virtqueue_notification_data_is_the_index_published(void **state)
{
	struct machine machine;
	struct request request = simple_request();
	(void)state;
	make(&machine, SIZE, (struct virtqueue_features){0});
	machine.vq.avail_index = machine.vq.published = 0xfffe;
	assert_int_equal(virtqueue_notification_data(&machine.vq, 3), 0xfffe0003);
	assert_true(add(&machine, &request) >= 0);
	assert_int_equal(virtqueue_notification_data(&machine.vq, 3), 0xfffe0003);
	virtqueue_publish(&machine.vq);
	assert_int_equal(virtqueue_notification_data(&machine.vq, 3), 0xffff0003);
	destroy(&machine);
}

/* ---- IN_ORDER ---- */

/* Batches of any length: the device writes one element for each, at the first's place, with the last one's head. Buffers
 * skipped count as used completely (§2.7.9). */
static void test_virtqueue_in_order_batches_give_all_buffers_in_order(void **state)
{
	struct rng rng;
	(void)state;
	rng_seed(&rng, test_seed(3), 0);
	for (unsigned indirect = 0; indirect < 2; indirect++) {
		struct machine machine;
		struct request request[SIZE];
		uint64_t bad = 0, first = 0, last = 0;
		make(&machine, SIZE, (struct virtqueue_features){.in_order = true, .indirect = indirect});
		for (unsigned round = 0; round < 30000; round++) {
			while (last - first < SIZE && rng_below(&rng, 4) != 0) {
				fill_random(&rng, &request[last % SIZE]);
				if (add(&machine, &request[last % SIZE]) < 0)
					break;
				last++;
			}
			virtqueue_publish(&machine.vq);
			if (first == last)
				continue;
			unsigned batch = 1 + (unsigned)rng_below(&rng, last - first);
			const struct request *final = &request[(first + batch - 1) % SIZE];
			uint32_t final_len = (uint32_t)rng_below(&rng, (uint64_t)writable_bytes(final) + 1);
			write_used(&machine, machine.used, (uint32_t) final->head, final_len);
			machine.used = (uint16_t)(machine.used + batch);
			store_le16(machine.vq.used + 2, machine.used);
			for (unsigned i = 0; i < batch; i++, first++) {
				const struct request *expected = &request[first % SIZE];
				uint16_t head;
				uint32_t len;
				assert_ptr_equal(virtqueue_take(&machine.vq, &head, &len, &bad), expected);
				assert_int_equal(head, expected->head);
				assert_int_equal(len, i + 1 == batch ? final_len : writable_bytes(expected));
			}
			assert_false(virtqueue_has_used(&machine.vq));
		}
		assert_int_equal(bad, 0);
		destroy(&machine);
	}
}

/* ---- devices that lie ---- */

static void test_virtqueue_id_not_in_flight_is_skipped_and_counted(void **state)
{
	static const uint32_t ids[] = {
		SIZE, SIZE + 1, 0xffff, 0x10000, 0x10001, UINT32_MAX, 1 /* inside a chain */, 5};
	(void)state;
	for (unsigned in_order = 0; in_order < 2; in_order++) {
		struct machine machine;
		struct request request = simple_request();
		uint64_t bad = 0;
		uint16_t head;
		uint32_t len;
		make(&machine, SIZE, (struct virtqueue_features){.in_order = in_order});
		assert_int_equal(add(&machine, &request), 0);
		virtqueue_publish(&machine.vq);
		for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
			use(&machine, ids[i], 64);
			assert_null(virtqueue_take(&machine.vq, &head, &len, &bad));
			assert_int_equal(bad, i + 1);
		}
		/* Bad ones before a good one are gone through in one go. */
		use(&machine, SIZE, 64);
		use(&machine, 0, 64);
		assert_ptr_equal(virtqueue_take(&machine.vq, &head, &len, &bad), &request);
		assert_int_equal(bad, ARRAY_SIZE(ids) + 1);
		assert_int_equal(machine.vq.free_count, SIZE);
		destroy(&machine);
	}
}

static void test_virtqueue_buffer_used_twice_is_given_once(void **state)
{
	struct machine machine;
	struct request first = simple_request(), second = simple_request();
	uint64_t bad = 0;
	uint16_t head;
	uint32_t len;
	(void)state;
	make(&machine, SIZE, (struct virtqueue_features){0});
	assert_true(add(&machine, &first) >= 0 && add(&machine, &second) >= 0);
	virtqueue_publish(&machine.vq);
	use(&machine, (uint32_t)first.head, 64);
	use(&machine, (uint32_t)first.head, 64);
	assert_ptr_equal(virtqueue_take(&machine.vq, &head, &len, &bad), &first);
	assert_null(virtqueue_take(&machine.vq, &head, &len, &bad));
	assert_int_equal(bad, 1);
	assert_int_equal(machine.vq.in_flight, 1);
	assert_int_equal(machine.vq.free_count, SIZE - 2);
	check_chain(&machine, &second);
	destroy(&machine);
}

static void test_virtqueue_length_beyond_the_buffer_is_cut_and_counted(void **state)
{
	static const struct {
		uint32_t len, given;
		unsigned bad;
	} cases[] = {{0, 0, 0},
		     {63, 63, 0},
		     {64, 64, 0},
		     {65, 64, 1},
		     {128, 64, 1} /* the readable part does not count */,
		     {1u << 31, 64, 1},
		     {UINT32_MAX, 64, 1}};
	(void)state;
	for (unsigned in_order = 0; in_order < 2; in_order++) {
		struct machine machine;
		make(&machine, SIZE, (struct virtqueue_features){.in_order = in_order});
		for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
			struct request request = simple_request();
			uint64_t bad = 0;
			uint16_t head;
			uint32_t len;
			assert_true(add(&machine, &request) >= 0);
			virtqueue_publish(&machine.vq);
			use(&machine, (uint32_t)request.head, cases[i].len);
			assert_ptr_equal(virtqueue_take(&machine.vq, &head, &len, &bad), &request);
			assert_int_equal(len, cases[i].given);
			assert_int_equal(bad, cases[i].bad);
		}
		destroy(&machine);
	}
}

/* The driver goes by what it knows itself, not by what the device has left in the descriptors. */
static void test_virtqueue_descriptors_overwritten_by_the_device_do_no_harm(void **state)
{
	struct rng rng;
	(void)state;
	rng_seed(&rng, test_seed(4), 0);
	for (unsigned indirect = 0; indirect < 2; indirect++) {
		struct machine machine;
		struct flight flight = {.busy_count = 0};
		make(&machine, SIZE, (struct virtqueue_features){.indirect = indirect});
		for (unsigned i = 0; i < 5000; i++) {
			uint8_t *table = (uint8_t *)machine.vq.desc;
			/* Only what is free or has been used: the chains offered are looked at. */
			for (unsigned j = 0; j < 16 * SIZE && flight.busy_count == 0; j++)
				table[j] = (uint8_t)rng_u64(&rng);
			for (unsigned j = 0; j < 3; j++)
				submit_random(&machine, &rng, &flight);
			check_flight(&machine, &flight);
			for (unsigned j = 0; j < 16 * SIZE; j++)
				table[j] = (uint8_t)rng_u64(&rng);
			while (flight.busy_count != 0)
				complete_random(&machine, &rng, &flight);
		}
		destroy(&machine);
	}
}

/* An index that runs far ahead, backwards, or a ring full of noise: the driver comes to an end, and what it gives out is
 * what was in flight, each once. */
static void test_virtqueue_used_ring_of_noise_ends_and_gives_each_buffer_once(void **state)
{
	struct rng rng;
	(void)state;
	rng_seed(&rng, test_seed(5), 0);
	for (unsigned round = 0; round < 200; round++) {
		struct machine machine;
		struct request request[4];
		bool given[4] = {false};
		uint64_t bad = 0;
		uint16_t head;
		uint32_t len;
		make(&machine, SIZE,
		     (struct virtqueue_features){.in_order = round % 2, .indirect = round / 2 % 2});
		for (unsigned i = 0; i < ARRAY_SIZE(request); i++) {
			request[i] = simple_request();
			assert_true(add(&machine, &request[i]) >= 0);
		}
		virtqueue_publish(&machine.vq);
		for (unsigned i = 2; i < 4 + 8 * SIZE; i++)
			machine.vq.used[i] = (uint8_t)(rng_below(&rng, 4) ? 0 : rng_u64(&rng));
		const struct request *taken;
		while ((taken = virtqueue_take(&machine.vq, &head, &len, &bad)) != NULL) {
			assert_true(taken >= request && taken < request + ARRAY_SIZE(request));
			assert_false(given[taken - request]);
			given[taken - request] = true;
			assert_int_equal(head, taken->head);
			assert_true(len <= 64);
		}
		assert_true(bad <= 0x10000 + SIZE);
		destroy(&machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_virtqueue_parts_are_aligned_and_apart, "G-034"),
		cmocka_unit_test(test_virtqueue_without_memory_is_refused),
		REQ_TEST(test_virtqueue_random_requests_keep_their_descriptors_apart, "G-035 G-041 G-051"),
		cmocka_unit_test(test_virtqueue_indirect_is_used_where_it_fits),
		cmocka_unit_test(test_virtqueue_reset_forgets_everything),
		REQ_TEST(test_virtqueue_kick_follows_avail_event_at_every_distance, "G-050"),
		REQ_TEST(test_virtqueue_kick_follows_used_flags_without_event_idx, "G-049"),
		REQ_TEST(test_virtqueue_enabling_interrupts_finds_what_came_meanwhile, "G-044 G-045"),
		cmocka_unit_test(test_virtqueue_notification_data_is_the_index_published),
		cmocka_unit_test(test_virtqueue_in_order_batches_give_all_buffers_in_order),
		cmocka_unit_test(test_virtqueue_id_not_in_flight_is_skipped_and_counted),
		cmocka_unit_test(test_virtqueue_buffer_used_twice_is_given_once),
		cmocka_unit_test(test_virtqueue_length_beyond_the_buffer_is_cut_and_counted),
		cmocka_unit_test(test_virtqueue_descriptors_overwritten_by_the_device_do_no_harm),
		cmocka_unit_test(test_virtqueue_used_ring_of_noise_ends_and_gives_each_buffer_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
