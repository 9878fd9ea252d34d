/* The verifier against two independent models: every order in which the writes of a short history may have taken
 * effect, and a simulated disk that obeys the rules. */
#include "host-sim/verify.h"

#include "host-sim/verify_pattern.h"
#include "tests/check.h"

#define SEED 5

/* A history of reads and writes of one sector. An operation takes effect at one moment between its begin and end. A
 * write that failed or is still in flight may not take effect at all. */
#define OPS_MAX 12
struct op {
	bool read;
	int value;      /* generation written or found; 0 = original contents */
	int begin, end; /* end = INT_MAX while in flight */
	bool may_miss;  /* a write that need not take effect */
	uint32_t handle;
};

struct history {
	struct op op[OPS_MAX];
	unsigned count;
};

/* Whether operations can take effect one after the other, those in `done` having done so and left `value`. An
 * operation can be next if no other that is left ended before it began. */
static bool can_finish(const struct history *h, unsigned done, int value)
{
	bool all = true;
	for (unsigned i = 0; i < h->count; i++)
		all = all && (done >> i & 1 || h->op[i].may_miss);
	if (all)
		return true;
	for (unsigned i = 0; i < h->count; i++) {
		bool next = !(done >> i & 1);
		for (unsigned j = 0; j < h->count && next; j++)
			next = done >> j & 1 || h->op[j].may_miss || h->op[j].end >= h->op[i].begin;
		if (!next || (h->op[i].read && h->op[i].value != value))
			continue;
		/* One that may miss and has missed its time cannot come later. */
		bool late = false;
		for (unsigned j = 0; j < h->count; j++)
			late = late || (done >> j & 1 && h->op[j].begin > h->op[i].end);
		if (!late && can_finish(h, done | 1u << i, h->op[i].read ? value : h->op[i].value))
			return true;
	}
	return false;
}

static int original(void *ctx, uint64_t sector, uint32_t count, uint8_t *data)
{
	(void)ctx;
	memset(data, 0x11, (size_t)count * 512);
	store_le64(data, sector);
	return 0;
}

static void contents(uint64_t sector, int value, uint8_t data[512])
{
	if (value)
		pattern_fill(SEED, sector, (uint64_t)value, data);
	else
		original(NULL, sector, 1, data);
}

struct tally {
	unsigned reads, legal;
};

/* Plays a random history and compares the verdict on each read with the search over all orders. */
static void play(struct rng *rng, struct tally *tally)
{
	struct history h = {.count = 0};
	struct verify *v = verify_create(
		&(struct verify_config){.sectors = 64, .seed = SEED, .original = {original, NULL, false}});
	int now = 0, generations = 0;
	while (now < 40) {
		unsigned pick = (unsigned)rng_below(rng, 4);
		now++;
		if (pick < 2 && h.count < OPS_MAX) {
			struct op *op = &h.op[h.count++];
			*op = (struct op){.read = pick, .begin = now, .end = INT32_MAX, .may_miss = !pick};
			if (op->read) {
				op->handle = verify_read_submitted(v);
				op->value = -1;
			} else {
				op->handle = verify_write_submitted(v, VERIFY_DATA, 9, 1);
				op->value = (int)verify_generation(v, op->handle);
				generations = op->value;
			}
			continue;
		}
		if (h.count == 0)
			continue;
		unsigned which = (unsigned)rng_below(rng, h.count);
		struct op *op = &h.op[which];
		if (op->end != INT32_MAX)
			continue;
		op->end = now;
		if (!op->read) {
			op->may_miss = rng_below(rng, 4) == 0;
			verify_write_done(v, op->handle, !op->may_miss);
			continue;
		}
		/* Only reads that are done are in the history that is searched. */
		struct history so_far = {.count = 0};
		struct verify_fault fault;
		uint8_t data[512];
		op->value = (int)rng_below(rng, (uint64_t)generations + 1);
		for (unsigned i = 0; i < h.count; i++)
			if (!h.op[i].read || h.op[i].end != INT32_MAX)
				so_far.op[so_far.count++] = h.op[i];
		contents(9, op->value, data);
		bool legal = can_finish(&so_far, 0, 0);
		bool good = verify_read_check(v, op->handle, 9, 1, data, &fault);
		verify_read_done(v, op->handle);
		if (legal && !good)
			fail_msg("a legal read was refused: %s", fault.reason);
		if (good && !legal)
			fail_msg("an illegal read of generation %d was passed", op->value);
		tally->reads++;
		tally->legal += legal;
		if (!legal) /* it tells nothing about the others */
			*op = h.op[--h.count];
	}
	verify_free(v);
}

static void test_verify_agrees_with_all_orders_of_short_histories(void **state)
{
	struct rng rng;
	struct tally tally = {0};
	(void)state;
	rng_seed(&rng, test_seed(21), 0);
	for (unsigned round = 0; round < 8000; round++)
		play(&rng, &tally);
	assert_in_range(tally.legal, 10000, tally.reads - 5000); /* many of both kinds */
}

/* A simulated disk. Each sector of a write takes effect at some moment between submission and completion, each
 * sector of a read is taken at some such moment. A volatile cache is in front of the medium: after a power
 * cut, a sector holds what it held at the last flush, or anything it held since. */
#define DISK_SECTORS 192
#define FLIGHT       24
#define HELD_MAX     64

enum value_kind { V_ORIGINAL, V_DATA, V_ZEROES, V_ANY };
struct value {
	enum value_kind kind;
	uint64_t generation;
};

enum bug { BUG_NONE, BUG_LOST_WRITE, BUG_STALE_READ, BUG_WRONG_SECTOR, BUG_TORN, BUG_LOST_FLUSHED, BUGS };

struct flight {
	enum { IDLE, WRITE, READ, FLUSH } what;
	uint32_t handle, count, moved; /* sectors that have taken effect */
	uint64_t sector, flush;
	struct value value;
	bool fails;
	uint8_t data[16][512];
};

struct disk {
	struct rng rng;
	struct verify *v;
	struct value now[DISK_SECTORS], before[DISK_SECTORS];
	struct value held[DISK_SECTORS][HELD_MAX]; /* since the last flush, that of the flush first */
	unsigned holds[DISK_SECTORS];
	struct flight flight[FLIGHT];
	enum bug bug;
	bool discards; /* which would excuse anything */
	unsigned injected, faults, power_cuts;
};

static void put(struct disk *d, uint64_t sector, struct value value)
{
	d->before[sector] = d->now[sector];
	d->now[sector] = value;
	if (d->holds[sector] == HELD_MAX) /* the cache writes back when it is full */
		d->holds[sector] = 0;
	d->held[sector][d->holds[sector]++] = value;
}

static void take(struct disk *d, uint64_t sector, struct value value, uint8_t data[512])
{
	if (value.kind == V_ANY)
		value.kind = (enum value_kind)rng_below(&d->rng, 3) == V_ORIGINAL ? V_ORIGINAL : V_ZEROES;
	if (value.kind == V_ZEROES)
		memset(data, 0, 512);
	else
		contents(sector, value.kind == V_DATA ? (int)value.generation : 0, data);
}

static bool inject(struct disk *d, enum bug bug)
{
	if (d->bug != bug || d->injected || rng_below(&d->rng, 50))
		return false;
	d->injected++;
	return true;
}

/* The next sector of an operation in flight takes effect. */
static void move_on(struct disk *d, struct flight *f)
{
	uint64_t sector = f->sector + f->moved;
	uint8_t *data = f->data[f->moved % 16];
	f->moved++;
	if (f->what == WRITE) {
		bool missed = f->fails && rng_below(&d->rng, 2);
		if (!missed && !(f->value.kind == V_DATA && !f->fails && inject(d, BUG_LOST_WRITE)))
			put(d, sector, f->value);
		return;
	}
	take(d, sector, d->now[sector], data);
	if (d->now[sector].kind == V_DATA && d->before[sector].kind != V_ANY && inject(d, BUG_STALE_READ))
		take(d, sector, d->before[sector], data);
	if (d->now[sector].kind == V_DATA && inject(d, BUG_WRONG_SECTOR))
		contents(sector + 1, (int)d->now[sector].generation, data);
	if (d->now[sector].kind == V_DATA && inject(d, BUG_TORN))
		memset(data + 448, 0, 64);
}

static void submit(struct disk *d, struct flight *f)
{
	static const enum verify_write_kind kinds[] = {VERIFY_DATA, VERIFY_DATA, VERIFY_ZEROES,
						       VERIFY_DISCARD};
	static const enum value_kind values[] = {V_DATA, V_DATA, V_ZEROES, V_ANY};
	unsigned pick = (unsigned)rng_below(&d->rng, 20);
	unsigned kind = (unsigned)rng_below(&d->rng, d->discards ? 4 : 3);
	f->moved = 0;
	f->count = 1 + (uint32_t)rng_below(&d->rng, 16);
	f->sector = rng_below(&d->rng, DISK_SECTORS - f->count);
	if (pick == 0) {
		f->what = FLUSH;
		f->count = 0;
		f->flush = verify_flush_submitted(d->v);
	} else if (pick < 10) {
		f->what = READ;
		f->handle = verify_read_submitted(d->v);
	} else {
		f->what = WRITE;
		f->fails = rng_below(&d->rng, 10) == 0;
		f->handle = verify_write_submitted(d->v, kinds[kind], f->sector, f->count);
		f->value = (struct value){values[kind], verify_generation(d->v, f->handle)};
	}
}

static void check_read(struct disk *d, struct flight *f)
{
	struct verify_fault fault;
	if (verify_read_check(d->v, f->handle, f->sector, f->count, f->data[0], &fault))
		return;
	d->faults++;
	if (!d->injected)
		fail_msg("false alarm: %s", fault.reason);
}

static void complete(struct disk *d, struct flight *f)
{
	while (f->moved < f->count)
		move_on(d, f);
	if (f->what == WRITE) {
		verify_write_done(d->v, f->handle, !f->fails);
	} else if (f->what == READ) {
		check_read(d, f);
		verify_read_done(d->v, f->handle);
	} else {
		for (unsigned s = 0; s < DISK_SECTORS; s++) {
			d->held[s][0] = d->now[s];
			d->holds[s] = 1;
		}
		verify_flush_done(d->v, f->flush, true);
	}
	f->what = IDLE;
}

static int read_medium(void *ctx, uint64_t sector, uint32_t count, uint8_t *data)
{
	struct disk *d = ctx;
	for (uint32_t i = 0; i < count; i++)
		take(d, sector + i, d->now[sector + i], data + (size_t)i * 512);
	return 0;
}

static void audit(struct disk *d)
{
	struct verify_fault fault;
	uint64_t bad = verify_audit(d->v, VERIFY_AUDIT_ALL, read_medium, d, &fault);
	d->faults += bad > 0;
	if (bad && !d->injected)
		fail_msg("false alarm: %s", fault.reason);
}

static void cut_power(struct disk *d)
{
	for (unsigned i = 0; i < FLIGHT; i++) {
		struct flight *f = &d->flight[i];
		if (f->what == WRITE)
			verify_write_done(d->v, f->handle, false);
		else if (f->what == READ)
			verify_read_done(d->v, f->handle);
		f->what = IDLE;
	}
	verify_power_cut(d->v, false);
	d->power_cuts++;
	for (unsigned s = 0; s < DISK_SECTORS; s++) {
		if (!d->holds[s])
			continue;
		struct value left = d->held[s][rng_below(&d->rng, d->holds[s])];
		/* A flushed write that is gone. */
		if (d->held[s][0].kind == V_DATA && d->holds[s] == 1 && inject(d, BUG_LOST_FLUSHED))
			left = (struct value){V_ORIGINAL, 0};
		d->before[s] = d->now[s] = left;
		d->held[s][0] = left;
		d->holds[s] = 1;
	}
	audit(d);
}

static struct disk *run_disk(enum bug bug, bool power_cuts, uint64_t seed, unsigned steps)
{
	struct disk *d = calloc(1, sizeof(*d));
	rng_seed(&d->rng, seed, (uint64_t)bug);
	d->bug = bug;
	d->discards = bug == BUG_NONE;
	d->v = verify_create(&(struct verify_config){.sectors = DISK_SECTORS,
						     .seed = SEED,
						     .original = {original, NULL, false},
						     .power_cuts = power_cuts});
	for (unsigned s = 0; s < DISK_SECTORS; s++)
		d->holds[s] = 1; /* the original contents */
	for (unsigned i = 0; i < steps; i++) {
		struct flight *f = &d->flight[rng_below(&d->rng, FLIGHT)];
		if (power_cuts && rng_below(&d->rng, 400) == 0)
			cut_power(d);
		else if (f->what == IDLE)
			submit(d, f);
		else if (f->moved < f->count && rng_below(&d->rng, 4))
			move_on(d, f);
		else
			complete(d, f);
	}
	for (unsigned i = 0; i < FLIGHT; i++)
		if (d->flight[i].what != IDLE)
			complete(d, &d->flight[i]);
	audit(d);
	verify_free(d->v);
	return d;
}

static void test_verify_correct_disk_raises_no_alarm(void **state)
{
	uint64_t seed = test_seed(4);
	(void)state;
	for (unsigned round = 0; round < 10; round++) {
		struct disk *d = run_disk(BUG_NONE, round % 2, seed + round, 20000);
		assert_int_equal(d->faults, 0);
		assert_int_equal(d->power_cuts > 10, round % 2);
		free(d);
	}
}

/* One error in a long run. A stale read is not always wrong (it may come from a moment still allowed), a lost write
 * not always noticed (overwritten before it was read); most must be, and contents that were never written there
 * always. */
static void test_verify_single_error_is_found(void **state)
{
	static const struct {
		enum bug bug;
		bool power_cuts;
		unsigned percent;
	} rows[] = {
		{BUG_LOST_WRITE, false, 10}, {BUG_STALE_READ, false, 10},  {BUG_WRONG_SECTOR, false, 100},
		{BUG_TORN, false, 100},      {BUG_LOST_FLUSHED, true, 50},
	};
	uint64_t seed = test_seed(5);
	(void)state;
	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		unsigned injected = 0, found = 0;
		for (unsigned round = 0; round < 60; round++) {
			struct disk *d = run_disk(rows[r].bug, rows[r].power_cuts, seed + round, 3000);
			injected += d->injected;
			found += d->injected && d->faults;
			free(d);
		}
		assert_in_range(injected, 30, 60);
		assert_in_range(found * 100, rows[r].percent * injected, 100 * injected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verify_agrees_with_all_orders_of_short_histories),
		cmocka_unit_test(test_verify_correct_disk_raises_no_alarm),
		cmocka_unit_test(test_verify_single_error_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
