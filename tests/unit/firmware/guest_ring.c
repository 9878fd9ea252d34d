#include "tests/unit/firmware/guest_ring.h"

#define DESC_TABLE_BYTES 16u /* a descriptor */
#define MEMORY_BYTES     0x80000u
#define HEADER           16u

struct mock_straps firmware_straps(unsigned queues)
{
	struct mock_straps straps = mock_default_straps();
	straps.offload = OFFLOAD_FIRMWARE;
	straps.queues = queues;
	return straps;
}

void guest_ring_init(struct guest_ring *ring, struct fixture *fixture, unsigned queue, uint16_t size)
{
	const struct mock_queue *registers = &fixture->mock->queue[queue];
	memset(ring, 0, sizeof(*ring));
	ring->mock = fixture->mock;
	ring->queue = queue;
	ring->size = size;
	ring->desc = registers->desc;
	ring->avail = registers->driver;
	ring->used = registers->device;
	ring->memory = MOCK_GUEST_BASE + MOCK_GUEST_BYTES - (1 + queue % 4) * (uint64_t)MEMORY_BYTES;
	ring->free = size;
	memset(mock_guest(ring->mock, ring->avail, 6 + 2u * size), 0, 6 + 2u * size);
	memset(mock_guest(ring->mock, ring->used, 6 + 8u * size), 0, 6 + 8u * size);
}

uint64_t guest_ring_memory(struct guest_ring *ring, uint32_t bytes, struct rng *rng)
{
	uint64_t skip = rng ? rng_below(rng, 16) : 0;
	if (ring->memory_next + skip + bytes > MEMORY_BYTES)
		ring->memory_next = 0;
	uint64_t addr = ring->memory + ring->memory_next + skip;
	ring->memory_next += skip + bytes;
	return addr;
}

void guest_ring_desc(struct guest_ring *ring, uint64_t table, unsigned index, uint64_t addr, uint32_t bytes,
		     uint16_t flags, uint16_t next)
{
	uint8_t *desc = mock_guest(ring->mock, table + (uint64_t)DESC_TABLE_BYTES * index, DESC_TABLE_BYTES);
	store_le64(desc, addr);
	store_le32(desc + 8, bytes);
	store_le16(desc + 12, flags);
	store_le16(desc + 14, next);
}

void guest_ring_add(struct guest_ring *ring, uint16_t head)
{
	store_le16(mock_guest(ring->mock, ring->avail + 4 + 2u * (ring->added % ring->size), 2), head);
	ring->added++;
}

void guest_ring_publish(struct guest_ring *ring)
{
	ring->published = ring->added;
	store_le16(mock_guest(ring->mock, ring->avail + 2, 2), ring->published);
}

/* ---- chains ---- */

static void add_pieces(struct chain *chain, struct guest_ring *ring, struct rng *rng, uint32_t bytes,
		       bool write)
{
	unsigned room = PIECES_MAX / 2;
	while (bytes != 0) {
		uint32_t here = bytes;
		if (--room != 0 && rng_below(rng, 3) != 0)
			here = 1 + (uint32_t)rng_below(rng, rng_below(rng, 2) ? min_u32(bytes, 20) : bytes);
		uint64_t addr = guest_ring_memory(ring, here, rng);
		chain->pieces[chain->count++] = (struct piece){addr, here, write};
		*(write ? &chain->writable_bytes : &chain->readable_bytes) += here;
		bytes -= here;
	}
}

static void write_header(const struct chain *chain, struct guest_ring *ring)
{
	uint8_t header[HEADER];
	unsigned done = 0;
	store_le32(header, chain->type);
	store_le32(header + 4, 0x5a5a5a5a);
	store_le64(header + 8, chain->sector);
	for (unsigned i = 0; done < HEADER; i++) {
		uint32_t here = min_u32(chain->pieces[i].bytes, HEADER - done);
		memcpy(mock_guest(ring->mock, chain->pieces[i].addr, here), header + done, here);
		done += here;
	}
}

void chain_cut(struct chain *chain, struct guest_ring *ring, struct rng *rng, uint32_t type, uint64_t sector,
	       uint32_t out, uint32_t in)
{
	*chain = (struct chain){.type = type, .sector = sector};
	add_pieces(chain, ring, rng, HEADER + out, false);
	chain->readable = chain->count;
	add_pieces(chain, ring, rng, in + 1, true);
	write_header(chain, ring);
}

static uint16_t take_desc(struct guest_ring *ring, struct rng *rng)
{
	uint16_t index = (uint16_t)rng_below(rng, ring->size);
	assert_true(ring->free != 0);
	while (ring->busy[index])
		index = (uint16_t)((index + 1u) % ring->size);
	ring->busy[index] = true;
	ring->free--;
	return index;
}

/* Entry 0 first, the others anywhere in a table that may be larger than the chain. */
static void lay_out_indirect(const struct chain *chain, struct guest_ring *ring, struct rng *rng,
			     unsigned first, uint64_t table, unsigned entries)
{
	bool taken[2 * PIECES_MAX] = {true};
	unsigned index = 0;
	for (unsigned i = first; i < chain->count; i++) {
		unsigned next = (unsigned)rng_below(rng, entries);
		bool last = i + 1 == chain->count;
		while (!last && taken[next])
			next = (next + 1) % entries;
		taken[next] = true;
		guest_ring_desc(ring, table, index, chain->pieces[i].addr, chain->pieces[i].bytes,
				(uint16_t)((last ? 0 : VRING_DESC_F_NEXT) |
					   (chain->pieces[i].write ? VRING_DESC_F_WRITE : 0)),
				(uint16_t)next);
		index = next;
	}
}

uint16_t chain_lay_out(const struct chain *chain, struct guest_ring *ring, struct rng *rng, unsigned direct)
{
	uint16_t head = take_desc(ring, rng), index = head;
	for (unsigned i = 0; i < direct; i++) {
		bool last = i + 1 == chain->count;
		uint16_t next =
			last ? (uint16_t)rng_u64(rng) : take_desc(ring, rng); /* §2.7.5: not looked at */
		guest_ring_desc(ring, ring->desc, index, chain->pieces[i].addr, chain->pieces[i].bytes,
				(uint16_t)((last ? 0 : VRING_DESC_F_NEXT) |
					   (chain->pieces[i].write ? VRING_DESC_F_WRITE : 0)),
				next);
		index = next;
	}
	if (direct == chain->count)
		return head;
	unsigned entries = chain->count - direct + (unsigned)rng_below(rng, PIECES_MAX);
	uint64_t table = guest_ring_memory(ring, entries * DESC_TABLE_BYTES, rng);
	uint16_t write = rng_below(rng, 2) ? VRING_DESC_F_WRITE : 0; /* D-021: no effect */
	guest_ring_desc(ring, ring->desc, index, table, entries * DESC_TABLE_BYTES,
			(uint16_t)(VRING_DESC_F_INDIRECT | write), (uint16_t)rng_u64(rng));
	lay_out_indirect(chain, ring, rng, direct, table, entries);
	return head;
}

void guest_ring_release(struct guest_ring *ring, uint16_t head)
{
	for (;;) {
		const uint8_t *desc = mock_guest(ring->mock, ring->desc + (uint64_t)DESC_TABLE_BYTES * head,
						 DESC_TABLE_BYTES);
		assert_true(ring->busy[head]);
		ring->busy[head] = false;
		ring->free++;
		if (!(load_le16(desc + 12) & VRING_DESC_F_NEXT))
			return;
		head = load_le16(desc + 14);
	}
}

void chain_check(const struct chain *chain, const struct mock_card *mock, unsigned slot)
{
	const struct slot *job = &mock->job[slot];
	const struct slot_segment *segments = mock->job_segments[slot];
	const struct piece *last = &chain->pieces[chain->count - 1];
	assert_int_equal(job->type, chain->type);
	assert_true(job->sector == chain->sector);
	assert_true(job->readable_bytes == chain->readable_bytes &&
		    job->writable_bytes == chain->writable_bytes);
	assert_int_equal(job->segments, chain->count);
	assert_int_equal(job->readable_segments, chain->readable);
	assert_true(job->status_addr == last->addr + last->bytes - 1);
	for (unsigned i = 0; i < chain->count; i++) {
		assert_true(segments[i].addr == chain->pieces[i].addr);
		assert_int_equal(segments[i].bytes, chain->pieces[i].bytes);
		assert_int_equal(segments[i].flags, chain->pieces[i].write ? VRING_DESC_F_WRITE : 0);
	}
}
