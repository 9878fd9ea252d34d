/* Views of guest rings, against a guest and a card that count their own way: the guest by what it has published and taken
 * back, the card from zero. Neither knows of offsets. */
#include "host-sim/serve/ring_view.h"
#include "tests/check.h"

#include <linux/virtio_ring.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE_MAX_TEST 64u
#define HISTORY       4096u

/* ---- the guest ---- */

struct guest {
	uint16_t size;
	uint8_t *avail, *used; /* rings as the virtio specification lays them out (2.7.6, 2.7.8) */
	uint16_t avail_next, used_next;
	bool out[SIZE_MAX_TEST]; /* heads given to the device */
	/* What the card has to see next, in order. */
	uint16_t expected[HISTORY];
	unsigned expected_first, expected_count;
};

static void guest_create(struct guest *guest, uint16_t size, uint16_t avail_next, uint16_t used_next)
{
	*guest = (struct guest){.size = size, .avail_next = avail_next, .used_next = used_next};
	guest->avail = calloc(1, 4 + 2u * size + 2);
	guest->used = calloc(1, 4 + 8u * size + 2);
	store_le16(guest->avail + 2, avail_next);
	store_le16(guest->used + 2, used_next);
}

static void guest_free(struct guest *guest)
{
	free(guest->avail);
	free(guest->used);
}

static void expect(struct guest *guest, uint16_t head)
{
	guest->expected[(guest->expected_first + guest->expected_count++) % HISTORY] = head;
}

static void guest_publish(struct guest *guest, uint16_t head)
{
	store_le16(guest->avail + 4 + 2u * (guest->avail_next % guest->size), head);
	guest->avail_next++;
	store_le16(guest->avail + 2, guest->avail_next);
	guest->out[head] = true;
	expect(guest, head);
}

/* Takes back one used buffer; -1 if there is none. Every head must have been out, once. */
static int guest_take(struct guest *guest, uint32_t *len)
{
	if (load_le16(guest->used + 2) == guest->used_next)
		return -1;
	const uint8_t *element = guest->used + 4 + 8u * (guest->used_next % guest->size);
	uint32_t head = load_le32(element);
	*len = load_le32(element + 4);
	guest->used_next++;
	assert_true(head < guest->size);
	assert_true(guest->out[head]);
	guest->out[head] = false;
	return (int)head;
}

static int guest_free_head(const struct guest *guest, struct rng *rng)
{
	unsigned start = (unsigned)rng_below(rng, guest->size);
	for (unsigned i = 0; i < guest->size; i++)
		if (!guest->out[(start + i) % guest->size])
			return (int)((start + i) % guest->size);
	return -1;
}

/* ---- the card ---- */

struct card_ring {
	struct ring_view *view;
	uint16_t size, next, used;
	uint16_t held[SIZE_MAX_TEST]; /* fetched and not given back */
	unsigned held_count;
};

/* As the root complex does it: whole DWs. */
static uint16_t card_read16(struct card_ring *card, uint32_t offset)
{
	uint8_t dw[4];
	ring_view_read_avail(card->view, offset & ~3u, 4, dw);
	return load_le16(dw + (offset & 2));
}

static uint16_t card_look(struct card_ring *card)
{
	return (uint16_t)(card_read16(card, 2) - card->next);
}

static uint16_t card_fetch(struct card_ring *card)
{
	uint16_t head = card_read16(card, 4 + 2u * (card->next % card->size));
	card->next++;
	card->held[card->held_count++] = head;
	return head;
}

static void write_pieces(struct card_ring *card, uint32_t offset, uint32_t bytes, const uint8_t *data,
			 uint32_t piece)
{
	for (uint32_t done = 0; done < bytes; done += piece)
		assert_true(ring_view_write_used(card->view, offset + done, min_u32(piece, bytes - done),
						 data + done));
}

/* Gives back `count` of what it holds, in any order, as one batch. Elements go in writes of `piece` bytes. */
static void card_give_back(struct card_ring *card, unsigned count, uint32_t piece, struct rng *rng)
{
	uint8_t data[8], index[2];
	for (unsigned i = 0; i < count; i++) {
		unsigned which = (unsigned)rng_below(rng, card->held_count);
		uint16_t head = card->held[which];
		card->held[which] = card->held[--card->held_count];
		store_le32(data, head);
		store_le32(data + 4, 1000u + head);
		write_pieces(card, 4 + 8u * (card->used % card->size), 8, data, piece);
		card->used++;
	}
	store_le16(index, card->used);
	assert_true(ring_view_write_used(card->view, 2, 2, index));
}

/* ---- property: everything offered is seen once and in order, everything given back arrives ---- */

struct setting {
	uint16_t size, used_next, redo, fresh;
};

static struct ring_view start_view(struct guest *guest, uint16_t base, struct inflight inflight)
{
	struct ring_view view;
	const struct ring_view_setup setup = {.size = guest->size,
					      .avail = guest->avail,
					      .used = guest->used,
					      .base = base,
					      .inflight = inflight};
	assert_int_equal(ring_view_create(&view, &setup), 0);
	return view;
}

/* A ring on which an earlier server has taken `redo` heads (in-flight area) and left `fresh` others untouched. */
static struct inflight prepare(struct guest *guest, const struct setting *setting, uint8_t *area,
			       struct rng *rng)
{
	struct inflight inflight = {.region = (void *)area, .size = setting->size};
	uint16_t used_next = setting->used_next, base = (uint16_t)(used_next + setting->redo);
	guest_create(guest, setting->size, base, used_next);
	memset(area, 0, 16 + 16u * setting->size);
	store_le16(area + 8, 1);
	store_le16(area + 10, setting->size);
	store_le16(area + 14, used_next);
	uint64_t counter = rng_below(rng, 1000);
	for (unsigned i = 0; i < setting->redo; i++) {
		int head = guest_free_head(guest, rng);
		guest->out[head] = true;
		area[16 + 16 * head] = 1;
		store_le64(area + 16 + 16 * head + 8, counter);
		counter += 1 + rng_below(rng, 3);
		expect(guest, (uint16_t)head);
	}
	for (unsigned i = 0; i < setting->fresh; i++)
		guest_publish(guest, (uint16_t)guest_free_head(guest, rng));
	return inflight;
}

static void check_events(struct guest *guest, struct card_ring *card, uint16_t used_start, struct rng *rng)
{
	uint16_t wish = (uint16_t)rng_below(rng, 65536);
	uint32_t tail = 4 + 2u * guest->size;
	uint8_t event[2];
	/* "Interrupt when used.idx passes wish": the card's used index counts from used_start. */
	store_le16(guest->avail + tail, wish);
	assert_int_equal(card_read16(card, tail), (uint16_t)(wish - used_start));
	/* "Kick when you publish what I look at next": for the guest that is its own next index, if all was seen. */
	if (card_look(card) == 0) {
		store_le16(event, card->next);
		assert_true(ring_view_write_used(card->view, 4 + 8u * guest->size, 2, event));
		assert_int_equal(load_le16(guest->used + 4 + 8u * guest->size), guest->avail_next);
	}
	store_le16(guest->avail, (uint16_t)rng_below(rng, 2));
	assert_int_equal(card_read16(card, 0), load_le16(guest->avail));
}

static void guest_turn(struct guest *guest, struct rng *rng)
{
	uint32_t len;
	int head;
	for (unsigned i = (unsigned)rng_below(rng, guest->size + 1); i > 0; i--) {
		head = guest_free_head(guest, rng);
		if (head >= 0)
			guest_publish(guest, (uint16_t)head);
	}
	while (rng_below(rng, 4) != 0 && (head = guest_take(guest, &len)) >= 0)
		assert_int_equal(len, 1000u + (unsigned)head);
}

static void card_turn(struct guest *guest, struct card_ring *card, struct rng *rng)
{
	static const uint32_t pieces[] = {8, 4, 2};
	unsigned seen = card_look(card);
	assert_true(seen <= guest->expected_count);
	for (unsigned i = 0; i < seen; i++) {
		assert_int_equal(card_fetch(card), guest->expected[guest->expected_first++ % HISTORY]);
		guest->expected_count--;
	}
	if (card->held_count != 0)
		card_give_back(card, (unsigned)rng_below(rng, card->held_count + 1),
			       pieces[rng_below(rng, 3)], rng);
}

static void finish(struct guest *guest, struct card_ring *card, struct rng *rng)
{
	uint32_t len;
	assert_int_equal(card_look(card), guest->expected_count);
	while (guest->expected_count != 0) {
		assert_int_equal(card_fetch(card), guest->expected[guest->expected_first++ % HISTORY]);
		guest->expected_count--;
	}
	card_give_back(card, card->held_count, 8, rng);
	while (guest_take(guest, &len) >= 0)
		;
	for (unsigned i = 0; i < guest->size; i++)
		assert_false(guest->out[i]);
	assert_true(ring_view_drained(card->view));
	assert_int_equal(ring_view_base(card->view), guest->avail_next);
}

static void run_setting(const struct setting *setting, unsigned turns, struct rng *rng)
{
	static uint64_t area[(16 + 16 * SIZE_MAX_TEST) / 8];
	struct guest guest;
	struct inflight inflight = prepare(&guest, setting, (uint8_t *)area, rng);
	/* The base the client gives is wrong on purpose: QEMU's is the used index after a server was killed. */
	struct ring_view view = start_view(&guest, setting->used_next, inflight);
	struct card_ring card = {.view = &view, .size = setting->size};
	assert_int_equal(view.redo, setting->redo);
	for (unsigned turn = 0; turn < turns; turn++) {
		guest_turn(&guest, rng);
		card_turn(&guest, &card, rng);
		check_events(&guest, &card, setting->used_next, rng);
	}
	finish(&guest, &card, rng);
	ring_view_free(&view);
	guest_free(&guest);
}

static void test_view_any_size_base_and_inflight_keeps_order_and_gives_back_once(void **state)
{
	struct rng rng;
	(void)state;
	rng_seed(&rng, test_seed(1), 0);
	for (uint16_t size = 1; size <= SIZE_MAX_TEST; size *= 2)
		for (uint16_t redo = 0; redo <= size; redo = (uint16_t)(redo + 1 + size / 8))
			for (unsigned i = 0; i < 6; i++) {
				const uint16_t starts[] = {0,
							   1,
							   65535,
							   65534,
							   (uint16_t)(65536 - size),
							   (uint16_t)rng_below(&rng, 65536)};
				const struct setting setting = {
					.size = size,
					.used_next = starts[i],
					.redo = redo,
					.fresh = (uint16_t)rng_below(&rng, size - redo + 1u)};
				run_setting(&setting, 40, &rng);
			}
}

/* More than 65536 requests, so that both sides' indices wrap. */
static void test_view_indices_wrap_on_both_sides(void **state)
{
	struct rng rng;
	(void)state;
	rng_seed(&rng, test_seed(2), 0);
	run_setting(&(struct setting){.size = 64, .used_next = 40000, .redo = 5}, 6000, &rng);
}

static void test_view_without_tracking_starts_at_the_given_base(void **state)
{
	struct guest guest;
	struct rng rng;
	(void)state;
	rng_seed(&rng, 3, 0);
	guest_create(&guest, 8, 65533, 65533);
	for (uint16_t head = 0; head < 5; head++)
		guest_publish(&guest, head);
	struct ring_view view = start_view(&guest, 65533, (struct inflight){.size = 8});
	struct card_ring card = {.view = &view, .size = 8};
	assert_int_equal(card_look(&card), 5);
	finish(&guest, &card, &rng);
	assert_int_equal(guest.used_next, 2);
	assert_int_equal(ring_view_base(&view), 2);
	ring_view_free(&view);
	guest_free(&guest);
}

/* ---- stop and go ---- */

static void test_view_frozen_shows_nothing_new_until_thawed(void **state)
{
	struct guest guest;
	struct rng rng;
	(void)state;
	rng_seed(&rng, 4, 0);
	guest_create(&guest, 8, 100, 100);
	guest_publish(&guest, 3);
	struct ring_view view = start_view(&guest, 100, (struct inflight){.size = 8});
	struct card_ring card = {.view = &view, .size = 8};
	assert_int_equal(card_look(&card), 1);
	ring_view_freeze(&view, true);
	guest_publish(&guest, 5);
	assert_int_equal(card_look(&card), 1);
	assert_false(ring_view_drained(&view));
	assert_int_equal(card_fetch(&card), 3);
	card_give_back(&card, 1, 8, &rng);
	assert_true(ring_view_drained(&view));
	assert_int_equal(ring_view_base(&view), 101); /* 5 is still to be taken */
	ring_view_freeze(&view, false);
	assert_int_equal(card_look(&card), 1);
	assert_int_equal(card_fetch(&card), 5);
	ring_view_free(&view);
	guest_free(&guest);
}

static void test_view_cut_lets_nothing_through(void **state)
{
	struct guest guest;
	struct rng rng;
	uint8_t before[4 + 8 * 8 + 2];
	(void)state;
	rng_seed(&rng, 5, 0);
	guest_create(&guest, 8, 0, 0);
	guest_publish(&guest, 3);
	struct ring_view view = start_view(&guest, 0, (struct inflight){.size = 8});
	struct card_ring card = {.view = &view, .size = 8};
	assert_int_equal(card_look(&card), 1);
	card_fetch(&card);
	view.cut = true;
	memcpy(before, guest.used, sizeof(before));
	card_give_back(&card, 1, 8, &rng);
	assert_memory_equal(guest.used, before, sizeof(before));
	ring_view_free(&view);
	guest_free(&guest);
}

/* used.flags of an earlier life would keep the guest from kicking for ever (virtio 1.4 §2.7.10.1). */
static void test_view_start_clears_no_notify(void **state)
{
	struct guest guest;
	(void)state;
	guest_create(&guest, 8, 0, 0);
	store_le16(guest.used, VRING_USED_F_NO_NOTIFY);
	struct ring_view view = start_view(&guest, 0, (struct inflight){.size = 8});
	assert_int_equal(load_le16(guest.used), 0);
	ring_view_free(&view);
	guest_free(&guest);
}

/* ---- windows ---- */

static void test_view_window_beyond_the_rings_reads_zero_and_drops_writes(void **state)
{
	struct guest guest;
	uint8_t data[64], zero[64] = {0};
	(void)state;
	guest_create(&guest, 4, 0, 0);
	struct ring_view view = start_view(&guest, 0, (struct inflight){.size = 4});
	memset(data, 0xff, sizeof(data));
	ring_view_read_avail(&view, 16, sizeof(data), data);
	assert_memory_equal(data, zero, sizeof(data));
	memset(data, 0xff, sizeof(data));
	ring_view_read_used(&view, 40, sizeof(data), data);
	assert_memory_equal(data, zero, sizeof(data));
	/* avail_event is the last field: writes beyond touch nothing (the sanitizer would tell). */
	assert_true(ring_view_write_used(&view, 38, sizeof(data), zero));
	assert_true(ring_view_write_used(&view, UINT32_MAX, 1, zero));
	ring_view_free(&view);
	guest_free(&guest);
}

static void test_view_windows_come_and_go_with_the_view(void **state)
{
	struct memory memory;
	struct guest guest;
	char error[100];
	(void)state;
	assert_int_equal(memory_create(&memory, 0, 0, error, sizeof(error)), 0);
	guest_create(&guest, 8, 0, 0);
	struct ring_view view = start_view(&guest, 0, (struct inflight){.size = 8}), other = view;
	assert_int_equal(ring_view_show(&view, &memory, 0x10000, 0x20000), 0);
	const struct memory_region *region = memory_find(&memory, 0x10000, 4);
	assert_non_null(region);
	assert_int_equal(region->access, MEMORY_READ);
	assert_non_null(memory_find(&memory, 0x20000, 72));
	assert_null(memory_find(&memory, 0x20000, 80));
	/* Somebody is there already: nothing is left behind. */
	other.memory = NULL;
	assert_int_equal(ring_view_show(&other, &memory, 0x30000, 0x20000), -1);
	assert_null(memory_find(&memory, 0x30000, 4));
	ring_view_free(&view);
	assert_int_equal(memory.regions, 0);
	memory_destroy(&memory);
	guest_free(&guest);
}

/* ---- hostile guests and areas ---- */

static void test_view_index_beyond_the_ring_is_shown_but_nothing_is_taken(void **state)
{
	static uint64_t area[(16 + 16 * 8) / 8];
	struct guest guest;
	(void)state;
	memset(area, 0, sizeof(area));
	guest_create(&guest, 8, 0, 0);
	struct ring_view view = start_view(&guest, 0, (struct inflight){.region = (void *)area, .size = 8});
	struct card_ring card = {.view = &view, .size = 8};
	store_le16(guest.avail + 2, 9);
	assert_int_equal(card_look(&card), 9); /* for the card to judge */
	assert_true(ring_view_drained(&view));
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(((uint8_t *)area)[16 + 16 * i], 0);
	ring_view_free(&view);
	guest_free(&guest);
}

static void test_view_head_that_changes_after_it_was_shown_stays_what_it_was(void **state)
{
	struct guest guest;
	(void)state;
	guest_create(&guest, 8, 0, 0);
	guest_publish(&guest, 3);
	struct ring_view view = start_view(&guest, 0, (struct inflight){.size = 8});
	struct card_ring card = {.view = &view, .size = 8};
	assert_int_equal(card_look(&card), 1);
	store_le16(guest.avail + 4, 6);
	assert_int_equal(card_fetch(&card), 3);
	ring_view_free(&view);
	guest_free(&guest);
}

static void test_view_used_index_that_jumps_is_refused(void **state)
{
	struct guest guest;
	uint8_t index[2];
	(void)state;
	guest_create(&guest, 8, 0, 0);
	struct ring_view view = start_view(&guest, 0, (struct inflight){.size = 8});
	store_le16(index, 9);
	assert_false(ring_view_write_used(&view, 2, 2, index));
	assert_int_equal(load_le16(guest.used + 2), 0);
	ring_view_free(&view);
	guest_free(&guest);
}

/* Whatever is in the area: no access out of it, never more heads than there are, none twice. */
static void test_inflight_random_area_gives_distinct_heads(void **state)
{
	static uint64_t area[(16 + 16 * SIZE_MAX_TEST) / 8 + 8];
	struct rng rng;
	(void)state;
	rng_seed(&rng, test_seed(6), 0);
	for (unsigned round = 0; round < 3000; round++) {
		uint16_t size = (uint16_t)(1u << rng_below(&rng, 7)), heads[SIZE_MAX_TEST];
		bool seen[SIZE_MAX_TEST] = {false}, valid;
		size_t bytes = 16 + 16u * size;
		for (size_t i = 0; i < ARRAY_SIZE(area); i++)
			area[i] = rng_u64(&rng) & (rng_below(&rng, 2) ? UINT64_MAX : 0x01010101);
		uint8_t guard[8];
		memcpy(guard, (uint8_t *)area + bytes, sizeof(guard));
		struct inflight inflight = {.region = (void *)area, .size = size};
		uint16_t count = inflight_recover(&inflight, (uint16_t)rng_u64(&rng), heads, &valid);
		assert_true(count <= size);
		for (uint16_t i = 0; i < count; i++) {
			assert_true(heads[i] < size && !seen[heads[i]]);
			seen[heads[i]] = true;
		}
		assert_memory_equal((uint8_t *)area + bytes, guard, sizeof(guard));
	}
}

/* The protocol's own example of a crash between publishing a batch and clearing its flags, as bytes. */
static void test_inflight_batch_published_but_flagged_is_not_done_again(void **state)
{
	static uint64_t area[(16 + 16 * 8) / 8];
	uint8_t *bytes = (uint8_t *)area;
	uint16_t heads[8];
	bool valid;
	(void)state;
	memset(area, 0, sizeof(area));
	store_le16(bytes + 8, 1);
	store_le16(bytes + 12, 5);  /* last_batch_head: 5, then 2 */
	store_le16(bytes + 14, 10); /* used_idx; the ring is at 12 */
	for (unsigned head = 2; head <= 6; head++) {
		bytes[16 + 16 * head] = 1;
		store_le64(bytes + 16 + 16 * head + 8, 100 - head);
	}
	store_le16(bytes + 16 + 16 * 5 + 6, 2);
	store_le16(bytes + 16 + 16 * 2 + 6, 3); /* of a batch before: not to be followed */
	struct inflight inflight = {.region = (void *)area, .size = 8};
	assert_int_equal(inflight_recover(&inflight, 12, heads, &valid), 3);
	assert_true(valid);
	assert_int_equal(heads[0], 6); /* by counter: 94, 96, 97 */
	assert_int_equal(heads[1], 4);
	assert_int_equal(heads[2], 3);
	assert_int_equal(load_le16(bytes + 14), 12);
	assert_int_equal(inflight.counter, 98);
}

/* ---- kill -9 at any instruction ---- */

#define KILL_SIZE 4u

/* Everything that outlives a server. */
struct survivor {
	uint64_t area[(16 + 16 * KILL_SIZE) / 8];
	_Alignas(8) uint8_t avail[4 + 2 * KILL_SIZE + 2];
	_Alignas(8) uint8_t used[4 + 8 * KILL_SIZE + 2];
};

static void publish_raw(struct survivor *s, uint16_t head)
{
	uint16_t index = load_le16(s->avail + 2);
	store_le16(s->avail + 4 + 2u * (index % KILL_SIZE), head);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*(volatile uint16_t *)(void *)(s->avail + 2) = (uint16_t)(index + 1);
}

static struct ring_view view_of(struct survivor *s)
{
	struct ring_view view;
	const struct ring_view_setup setup = {.size = KILL_SIZE,
					      .avail = s->avail,
					      .used = s->used,
					      .inflight = {.region = (void *)s->area, .size = KILL_SIZE}};
	if (ring_view_create(&view, &setup) != 0)
		abort();
	return view;
}

static void look_and_fetch(struct card_ring *card)
{
	for (unsigned count = card_look(card); count != 0; count--)
		card_fetch(card);
}

/* The server that is killed: batches of one and of several, in another order than they came, heads used again at once. */
static void doomed_server(struct survivor *s)
{
	struct rng rng;
	struct ring_view view = view_of(s);
	struct card_ring card = {.view = &view, .size = KILL_SIZE};
	rng_seed(&rng, 7, 0);
	for (uint16_t head = 0; head < 3; head++)
		publish_raw(s, head);
	look_and_fetch(&card);
	card_give_back(&card, 2, 8, &rng);
	publish_raw(s, card.held[0] != 1 ? 1 : 0);
	publish_raw(s, 3);
	look_and_fetch(&card);
	card_give_back(&card, 1, 4, &rng);
	card_give_back(&card, card.held_count, 8, &rng);
	_exit(0);
}

/* Heads out, as the guest knows them: published, and not found in the used ring. */
struct ledger {
	uint16_t avail, used;
	int out[KILL_SIZE];
	unsigned turn[KILL_SIZE]; /* when it was published last */
};

static void follow(struct ledger *ledger, const struct survivor *s)
{
	for (; ledger->avail != load_le16(s->avail + 2); ledger->avail++) {
		uint16_t head = load_le16(s->avail + 4 + 2u * (ledger->avail % KILL_SIZE));
		ledger->out[head]++;
		ledger->turn[head] = ledger->avail;
	}
	for (; ledger->used != load_le16(s->used + 2); ledger->used++)
		ledger->out[load_le32(s->used + 4 + 8u * (ledger->used % KILL_SIZE))]--;
}

/* The next server on a copy of what is left: it must do exactly what is out, in the old order. */
static void check_successor(const struct ledger *ledger, const struct survivor *left)
{
	struct survivor copy = *left;
	int found[KILL_SIZE] = {0};
	struct ring_view view = view_of(&copy);
	struct card_ring card = {.view = &view, .size = KILL_SIZE};
	look_and_fetch(&card);
	for (unsigned i = 0; i < card.held_count; i++) {
		found[card.held[i]]++;
		assert_true(i == 0 || ledger->turn[card.held[i - 1]] < ledger->turn[card.held[i]]);
	}
	assert_memory_equal(found, ledger->out, sizeof(found));
	ring_view_free(&view);
}

static void test_view_server_killed_at_any_instruction_loses_and_repeats_nothing(void **state)
{
	struct survivor *s =
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct survivor last;
	struct ledger ledger = {0};
	unsigned long steps = 0, changes = 0;
	int status;
	(void)state;
	assert_true(s != MAP_FAILED);
	memset(s, 0, sizeof(*s));
	memcpy(&last, s, sizeof(last));
	pid_t child = fork();
	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(99);
		raise(SIGSTOP);
		doomed_server(s);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 99)
		skip(); /* no tracing here */
	while (WIFSTOPPED(status)) {
		if (memcmp(&last, s, sizeof(last)) != 0) {
			memcpy(&last, s, sizeof(last));
			follow(&ledger, &last);
			check_successor(&ledger, &last);
			changes++;
		}
		steps++;
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* It has really been looked at between the stores: 5 heads with 4 stores each in the area alone. */
	assert_true(changes > 40);
	assert_int_equal(ledger.used, 5);
	printf("%lu instructions, %lu stores\n", steps, changes);
	munmap(s, sizeof(*s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_view_any_size_base_and_inflight_keeps_order_and_gives_back_once),
		cmocka_unit_test(test_view_indices_wrap_on_both_sides),
		cmocka_unit_test(test_view_without_tracking_starts_at_the_given_base),
		cmocka_unit_test(test_view_frozen_shows_nothing_new_until_thawed),
		cmocka_unit_test(test_view_cut_lets_nothing_through),
		cmocka_unit_test(test_view_start_clears_no_notify),
		cmocka_unit_test(test_view_window_beyond_the_rings_reads_zero_and_drops_writes),
		cmocka_unit_test(test_view_windows_come_and_go_with_the_view),
		cmocka_unit_test(test_view_index_beyond_the_ring_is_shown_but_nothing_is_taken),
		cmocka_unit_test(test_view_head_that_changes_after_it_was_shown_stays_what_it_was),
		cmocka_unit_test(test_view_used_index_that_jumps_is_refused),
		cmocka_unit_test(test_inflight_random_area_gives_distinct_heads),
		cmocka_unit_test(test_inflight_batch_published_but_flagged_is_not_done_again),
		cmocka_unit_test(test_view_server_killed_at_any_instruction_loses_and_repeats_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
