/* Message framing (virtio 1.4 §2.7.4): the same request cut into descriptors in every way, direct, in a table, or begun in
 * the one and ended in the other. The outcome must be the same; the checker sees to it that no piece is read that is to
 * be written, nor the other way round, and guard bytes stand around each piece. */
#include "tests/e2e/machine.h"

#define PIECES_MAX 48u
#define SECTOR     100u
#define DISK       "ram:1M"
#define WRITE      VRING_DESC_F_WRITE
#define INDIRECT   VRING_DESC_F_INDIRECT

/* How the pieces get into the ring. */
enum shape {
	SHAPE_DIRECT,
	SHAPE_TABLE,
	SHAPE_WRITABLE_TABLE, /* WRITE on the descriptor of the table, which means nothing (D-021) */
	SHAPE_MIXED,          /* some descriptors direct, the rest in a table (D-022) */
	SHAPE_SCATTERED,      /* direct, the chain jumping about in the queue's table */
	SHAPES,
};

/* Lengths of the pieces, 0 at the end; the last length is repeated until everything is used up. */
struct cut {
	const char *name;
	uint32_t readable[PIECES_MAX], writable[PIECES_MAX];
	uint32_t type, data_bytes;
};

struct request {
	uint8_t readable[16 + 4096], writable[4096 + 1];
	uint32_t readable_bytes, writable_bytes;
	struct machine_piece piece[PIECES_MAX];
	uint8_t *memory[PIECES_MAX];
	unsigned pieces, readable_pieces;
};

/* ---- making a request ---- */

static void add_piece(struct machine *m, struct request *r, const uint8_t *data, uint32_t bytes,
		      bool writable)
{
	CHECK(r->pieces < PIECES_MAX);
	struct machine_piece *piece = &r->piece[r->pieces];
	enum dma_direction direction = writable ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
	r->memory[r->pieces] = machine_guarded(m, bytes, direction, &piece->addr);
	memcpy(r->memory[r->pieces], data, bytes);
	piece->bytes = bytes;
	piece->flags = writable ? WRITE : 0;
	r->pieces++;
	r->readable_pieces += !writable;
}

static void cut_up(struct machine *m, struct request *r, const uint32_t *lengths, bool writable)
{
	uint32_t left = writable ? r->writable_bytes : r->readable_bytes;
	const uint8_t *data = writable ? r->writable : r->readable;
	while (left != 0) {
		uint32_t bytes = min_u32(left, *lengths);
		add_piece(m, r, data, bytes, writable);
		data += bytes;
		left -= bytes;
		if (lengths[1] != 0)
			lengths++;
	}
}

static void make_request(struct machine *m, struct request *r, const struct cut *cut)
{
	bool out = cut->type == VIRTIO_BLK_T_OUT;
	*r = (struct request){.readable_bytes = 16 + (out ? cut->data_bytes : 0),
			      .writable_bytes = 1 + (out ? 0 : cut->data_bytes)};
	store_le32(r->readable, cut->type);
	store_le64(r->readable + 8, SECTOR);
	for (uint32_t i = 16; i < r->readable_bytes; i++)
		r->readable[i] = (uint8_t)rng_u64(&m->rng);
	memset(r->writable, 0xee, sizeof(r->writable));
	cut_up(m, r, cut->readable, false);
	cut_up(m, r, cut->writable, true);
}

/* A chain that visits every seventh descriptor, around the queue's table. */
static uint16_t scatter(struct machine *m, const struct request *r)
{
	uint16_t head = 13, at = head;
	for (unsigned i = 0; i < r->pieces; i++) {
		bool more = i + 1 < r->pieces;
		uint16_t next = (uint16_t)((at + 7) % MACHINE_QUEUE_SIZE);
		machine_desc(m, 0, at, r->piece[i].addr, r->piece[i].bytes,
			     (uint16_t)(r->piece[i].flags | (more ? VRING_DESC_F_NEXT : 0)), more ? next : 0);
		at = next;
	}
	return head;
}

/* Returns the head. */
static uint16_t place(struct machine *m, const struct request *r, enum shape shape, unsigned direct)
{
	struct machine_piece pieces[PIECES_MAX + 1];
	if (shape == SHAPE_SCATTERED)
		return scatter(m, r);
	if (shape == SHAPE_DIRECT)
		direct = r->pieces;
	if (shape == SHAPE_TABLE || shape == SHAPE_WRITABLE_TABLE)
		direct = 0;
	memcpy(pieces, r->piece, direct * sizeof(*pieces));
	unsigned count = direct, rest = r->pieces - direct;
	if (rest != 0)
		pieces[count++] = (struct machine_piece){
			machine_table(m, r->piece + direct, rest), 16 * rest,
			(uint16_t)(INDIRECT | (shape == SHAPE_WRITABLE_TABLE ? WRITE : 0))};
	machine_chain(m, 0, 3, pieces, count);
	return 3;
}

/* ---- and what came of it ---- */

static void gather(struct request *r)
{
	uint8_t *to = r->writable;
	for (unsigned i = r->readable_pieces; i < r->pieces; i++) {
		memcpy(to, r->memory[i], r->piece[i].bytes);
		to += r->piece[i].bytes;
	}
}

static void check_readable(const struct request *r)
{
	const uint8_t *from = r->readable;
	for (unsigned i = 0; i < r->readable_pieces; i++) {
		CHECK(memcmp(from, r->memory[i], r->piece[i].bytes) == 0);
		from += r->piece[i].bytes;
	}
}

static void expect_done(struct machine *m, struct request *r, uint16_t head, uint16_t used, uint8_t *disk)
{
	uint32_t id, len, data_bytes = r->writable_bytes - 1;
	bool out = load_le32(r->readable) == VIRTIO_BLK_T_OUT;
	CHECK(machine_wait_used(m, 0, (uint16_t)(used + 1), 1000));
	machine_used_element(m, 0, used, &id, &len);
	CHECK_EQUAL(id, head);
	CHECK_EQUAL(len, r->writable_bytes);
	gather(r);
	CHECK_EQUAL(r->writable[data_bytes], VIRTIO_BLK_S_OK);
	if (out)
		memcpy(disk + SECTOR * 512, r->readable + 16, r->readable_bytes - 16);
	CHECK(memcmp(r->writable, disk + SECTOR * 512, data_bytes) == 0);
	machine_check_disk(m, disk, 0, 0);
	check_readable(r);
	machine_check_guards(m);
}

/* Every shape of one cut. */
static void all_shapes(struct machine *m)
{
	const struct cut *cut = m->arg;
	uint8_t *disk = machine_disk(m);
	uint16_t used = 0;
	printf("cut: %s\n", cut->name);
	machine_probe(m);
	for (unsigned shape = 0; shape < SHAPES; shape++) {
		struct request r;
		make_request(m, &r, cut);
		unsigned first = shape == SHAPE_MIXED ? 1 : 0, last = shape == SHAPE_MIXED ? r.pieces - 1 : 0;
		for (unsigned direct = first; direct <= last; direct++) {
			uint16_t head = place(m, &r, (enum shape)shape, direct);
			machine_offer(m, 0, head);
			expect_done(m, &r, head, used++, disk);
		}
	}
	machine_expect_no_harm(m);
	free(disk);
}

static void run_cuts(const struct cut *cuts, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct machine_options options = {.arg = &cuts[i], .disk = DISK};
		machine_run_levels(all_shapes, &options, "guest.indirect=on", NULL);
	}
}

#define RUN(cuts) run_cuts(cuts, ARRAY_SIZE(cuts))
#define OUT       .type = VIRTIO_BLK_T_OUT, .data_bytes = 512
#define IN        .type = VIRTIO_BLK_T_IN, .data_bytes = 512

static void test_header_in_pieces_works(void **state)
{
	static const struct cut cuts[] = {
		{"write, 1 + 15", {1, 15, 512}, {1}, OUT},
		{"write, 15 + 1", {15, 1, 512}, {1}, OUT},
		{"write, 8 + 8", {8, 8, 512}, {1}, OUT},
		{"write, 4 + 4 + 8", {4, 4, 8, 512}, {1}, OUT},
		{"write, 16 x 1", {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 512}, {1}, OUT},
		{"read, 1 + 15", {1, 15}, {512, 1}, IN},
		{"read, 16 x 1", {1}, {512, 1}, IN},
	};
	(void)state;
	RUN(cuts);
}

static void test_header_with_data_works(void **state)
{
	static const struct cut cuts[] = {
		{"in one", {528}, {1}, OUT},
		{"and one byte of it", {17, 511}, {1}, OUT},
		{"the data's last byte alone", {527, 1}, {1}, OUT},
		{"half the header with the data", {8, 520}, {1}, OUT},
	};
	(void)state;
	RUN(cuts);
}

static void test_data_with_status_works(void **state)
{
	static const struct cut cuts[] = {
		{"in one", {16}, {513}, IN},
		{"and one byte of it", {16}, {511, 2}, IN},
		{"alone", {16}, {512, 1}, IN},
	};
	(void)state;
	RUN(cuts);
}

static void test_data_in_odd_pieces_works(void **state)
{
	static const struct cut cuts[] = {
		{"write, 1 and 511", {16, 1, 511}, {1}, OUT},
		{"write, 13s", {16, 13}, {1}, OUT},
		{"write, 255s", {16, 255}, {1}, OUT},
		{"read, 1 and 511", {16}, {1, 511, 1}, IN},
		{"read, 13s", {16}, {13}, IN},
		{"read, 171s", {16}, {171, 171, 171}, IN},
		{"read of a page, 127s", {16}, {127}, .type = VIRTIO_BLK_T_IN, .data_bytes = 4096},
		{"write of a page, 127s", {16, 127}, {1}, .type = VIRTIO_BLK_T_OUT, .data_bytes = 4096},
	};
	(void)state;
	RUN(cuts);
}

/* ---- at random ---- */

/* Cuts `bytes` into at most `pieces`, small ones among them. */
static void random_lengths(struct machine *m, uint32_t *lengths, uint32_t bytes, unsigned pieces)
{
	for (unsigned i = 0; bytes != 0; i++) {
		uint32_t longest = rng_below(&m->rng, 4) == 0 ? min_u32(bytes, 9) : bytes;
		lengths[i] = i + 1 == pieces ? bytes : 1 + (uint32_t)rng_below(&m->rng, longest);
		bytes -= lengths[i];
	}
}

static void random_cuts(struct machine *m)
{
	uint8_t *disk = machine_disk(m);
	machine_probe(m);
	for (uint16_t i = 0; i < 200; i++) {
		struct cut cut = {.data_bytes = 512 * (1 + (uint32_t)rng_below(&m->rng, 8))};
		struct request r;
		cut.type = rng_below(&m->rng, 2) ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
		bool out = cut.type == VIRTIO_BLK_T_OUT;
		random_lengths(m, cut.readable, 16 + (out ? cut.data_bytes : 0), out ? 24 : 12);
		random_lengths(m, cut.writable, 1 + (out ? 0 : cut.data_bytes), out ? 1 : 24);
		make_request(m, &r, &cut);
		enum shape shape = (enum shape)rng_below(&m->rng, SHAPES);
		uint16_t head = place(m, &r, shape, (unsigned)rng_below(&m->rng, r.pieces + 1));
		machine_offer(m, 0, head);
		expect_done(m, &r, head, i, disk);
	}
	machine_expect_no_harm(m);
	free(disk);
}

static void test_random_cuts_work(void **state)
{
	static const struct machine_options options = {.disk = DISK};
	(void)state;
	machine_run_levels(random_cuts, &options, "guest.indirect=on", NULL);
	machine_run_levels(random_cuts, &options, "guest.indirect=on", "fetch.prefetch=1", "link.mps=128",
			   "link.mrrs=128", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_header_in_pieces_works, "V-088 D-016"),
		REQ_TEST(test_header_with_data_works, "V-089 D-016"),
		REQ_TEST(test_data_with_status_works, "V-090 D-016"),
		REQ_TEST(test_data_in_odd_pieces_works, "V-092 D-016"),
		REQ_TEST(test_random_cuts_work, "D-016 D-018 D-019 D-020 D-021 D-022"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
