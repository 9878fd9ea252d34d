#include "host-sim/verify.h"

#include "host-sim/verify_pattern.h"
#include "tests/check.h"

#define SECTORS 4096
#define SEED    77

/* The original contents of sector s: its number in every word, negated. */
static int original(void *ctx, uint64_t sector, uint32_t count, uint8_t *data)
{
	uint64_t *calls = ctx;
	*calls += 1;
	for (uint64_t i = 0; i < (uint64_t)count * 64; i++)
		store_le64(data + i * 8, ~(sector + i / 64));
	return 0;
}

struct fixture {
	struct verify *v;
	uint64_t original_calls;
};

static void setup_with(struct fixture *f, bool power_cuts)
{
	f->original_calls = 0;
	f->v = verify_create(&(struct verify_config){.sectors = SECTORS,
						     .seed = SEED,
						     .original = {original, &f->original_calls, false},
						     .power_cuts = power_cuts});
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	setup_with(f, false);
	*state = f;
	return 0;
}

static int setup_power_cuts(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	setup_with(f, true);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	verify_free(f->v);
	free(f);
	return 0;
}

/* One sector's contents as a read may find them. */
enum { ORIGINAL = -1, ZEROES = -2, GARBAGE = -3 };

static void make(uint64_t sector, int what, uint8_t data[512])
{
	uint64_t unused = 0;
	if (what == ORIGINAL)
		original(&unused, sector, 1, data);
	else if (what == ZEROES)
		memset(data, 0, 512);
	else if (what == GARBAGE)
		memset(data, 0xa5, 512);
	else
		pattern_fill(SEED, sector, (uint64_t)what, data);
}

/* The verdict on a read submitted as `read` that found `what` in the sector. */
static bool sees(struct verify *v, uint32_t read, uint64_t sector, int what)
{
	struct verify_fault fault;
	uint8_t data[512];
	make(sector, what, data);
	bool good = verify_read_check(v, read, sector, 1, data, &fault);
	assert_true(good || (fault.sector == sector && fault.reason[0]));
	return good;
}

/* The same for a read submitted and completed now. */
static bool reads(struct verify *v, uint64_t sector, int what)
{
	uint32_t read = verify_read_submitted(v);
	bool good = sees(v, read, sector, what);
	verify_read_done(v, read);
	return good;
}

static uint32_t write_begin(struct verify *v, uint64_t sector)
{
	return verify_write_submitted(v, VERIFY_DATA, sector, 1);
}

/* A whole write of one sector; its generation. */
static int write_now(struct verify *v, uint64_t sector)
{
	uint32_t write = write_begin(v, sector);
	int generation = (int)verify_generation(v, write);
	verify_write_done(v, write, true);
	return generation;
}

static void test_pattern_each_sector_and_write_differs_in_every_word(void **state)
{
	uint8_t a[512], b[512];
	static const uint64_t cases[][4] = {{1, 1, 2, 1}, {1, 1, 1, 2}, {5, 9, 9, 5}, {0, 1, 1, 0}};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pattern_fill(SEED, cases[i][0], cases[i][1], a);
		pattern_fill(SEED, cases[i][2], cases[i][3], b);
		for (unsigned w = 0; w < 64; w++)
			if (w != 1 && w != 2)
				assert_true(load_le64(a + w * 8) != load_le64(b + w * 8));
	}
	/* … and no two words of a sector are alike, so that shifted data shows. */
	pattern_fill(SEED, 3, 4, a);
	for (unsigned w = 0; w < 64; w++)
		for (unsigned x = 0; x < w; x++)
			assert_true(load_le64(a + w * 8) != load_le64(a + x * 8));
}

static void test_pattern_identify_names_sector_and_generation(void **state)
{
	struct pattern_identity is;
	uint8_t data[512];
	(void)state;
	pattern_fill(SEED, 1234, 56, data);
	assert_true(pattern_identify(SEED, data, &is));
	assert_int_equal(is.sector, 1234);
	assert_int_equal(is.generation, 56);
	assert_true(is.whole);
	data[511] ^= 1;
	assert_true(pattern_identify(SEED, data, &is));
	assert_false(is.whole);
	data[0] ^= 1;
	assert_false(pattern_identify(SEED, data, &is));
	pattern_fill(SEED + 1, 1234, 56, data);
	assert_false(pattern_identify(SEED, data, &is));
}

static void test_verify_never_written_sectors_hold_original_contents(void **state)
{
	struct fixture *f = *state;
	assert_true(reads(f->v, 0, ORIGINAL));
	assert_true(reads(f->v, SECTORS - 1, ORIGINAL));
	assert_false(reads(f->v, 7, ZEROES));
	assert_false(reads(f->v, 7, GARBAGE));
	assert_false(reads(f->v, 7, 1));
	/* A long read asks for the contents in runs, not sector by sector. */
	static uint8_t data[1024 * 512];
	struct verify_fault fault;
	uint64_t unused = 0;
	original(&unused, 100, 1024, data);
	f->original_calls = 0;
	uint32_t read = verify_read_submitted(f->v);
	assert_true(verify_read_check(f->v, read, 100, 1024, data, &fault));
	assert_in_range(f->original_calls, 1, 17);
	data[900 * 512 + 5] ^= 1;
	assert_false(verify_read_check(f->v, read, 100, 1024, data, &fault));
	assert_int_equal(fault.sector, 1000);
	verify_read_done(f->v, read);
}

static void test_verify_unknown_original_contents_are_not_checked(void **state)
{
	struct verify *v = verify_create(&(struct verify_config){.sectors = 100, .seed = SEED});
	(void)state;
	assert_true(reads(v, 5, GARBAGE));
	int g = write_now(v, 5);
	assert_false(reads(v, 5, GARBAGE));
	assert_true(reads(v, 5, g));
	assert_true(reads(v, 6, GARBAGE));
	verify_free(v);
}

/* The medium itself, one sector long, or nothing. */
static int changing_medium(void *ctx, uint64_t sector, uint32_t count, uint8_t *data)
{
	const uint8_t *medium = *(const uint8_t **)ctx;
	assert_true(sector == 3 && count == 1);
	if (!medium)
		return -5;
	memcpy(data, medium, 512);
	return 0;
}

static bool reads_data(struct verify *v, uint32_t read, const uint8_t *data)
{
	struct verify_fault fault;
	return verify_read_check(v, read, 3, 1, data, &fault);
}

static void test_verify_originals_are_kept_where_the_medium_is_overwritten(void **state)
{
	uint8_t before[512], now[512];
	const uint8_t *medium = now;
	(void)state;
	struct verify *v = verify_create(&(struct verify_config){
		.sectors = 4, .seed = SEED, .original = {changing_medium, &medium, true}});
	memset(before, 0x77, sizeof(before));
	memcpy(now, before, sizeof(now));
	uint32_t read = verify_read_submitted(v);
	uint32_t write = verify_write_submitted(v, VERIFY_DATA, 3, 1);
	verify_fill(v, write, 3, 1, now); /* the write takes effect after the read */
	assert_true(reads_data(v, read, before));
	before[9] ^= 1;
	assert_false(reads_data(v, read, before));
	before[9] ^= 1;
	/* A write that failed may or may not have taken effect, long after. */
	verify_write_done(v, write, false);
	verify_read_done(v, read);
	read = verify_read_submitted(v);
	assert_true(reads_data(v, read, before));
	verify_read_done(v, read);
	/* Once nothing may return it, it is forgotten. */
	write = verify_write_submitted(v, VERIFY_DATA, 3, 1);
	size_t bytes = verify_memory_bytes(v);
	verify_write_done(v, write, true);
	assert_int_equal(verify_memory_bytes(v), bytes - 512);
	verify_free(v);
}

static void test_verify_originals_that_cannot_be_read_are_not_checked(void **state)
{
	uint8_t data[512] = {1};
	const uint8_t *medium = NULL;
	(void)state;
	struct verify *v = verify_create(&(struct verify_config){
		.sectors = 4, .seed = SEED, .original = {changing_medium, &medium, true}});
	uint32_t read = verify_read_submitted(v);
	assert_true(reads_data(v, read, data));
	uint32_t write = verify_write_submitted(v, VERIFY_DATA, 3, 1);
	assert_true(reads_data(v, read, data));
	verify_read_done(v, read);
	verify_write_done(v, write, true);
	read = verify_read_submitted(v);
	assert_false(reads_data(v, read, data));
	verify_read_done(v, read);
	verify_free(v);
}

static void test_verify_completed_write_supersedes_what_was_before(void **state)
{
	struct fixture *f = *state;
	int g1 = write_now(f->v, 9), g2 = write_now(f->v, 9);
	assert_true(reads(f->v, 9, g2));
	assert_false(reads(f->v, 9, g1));
	assert_false(reads(f->v, 9, ORIGINAL));
	assert_true(reads(f->v, 8, ORIGINAL));
	assert_true(reads(f->v, 10, ORIGINAL));
}

static void test_verify_write_in_flight_may_or_may_not_be_seen(void **state)
{
	struct fixture *f = *state;
	int g1 = write_now(f->v, 9);
	uint32_t write = write_begin(f->v, 9);
	int g2 = (int)verify_generation(f->v, write);
	assert_true(reads(f->v, 9, g1));
	assert_true(reads(f->v, 9, g2));
	/* It has been seen, so it has taken effect. */
	assert_false(reads(f->v, 9, g1));
	assert_false(reads(f->v, 9, ORIGINAL));
	verify_write_done(f->v, write, true);
	assert_true(reads(f->v, 9, g2));
}

static void test_verify_read_submitted_before_completion_may_see_the_old(void **state)
{
	struct fixture *f = *state;
	int g1 = write_now(f->v, 9);
	uint32_t early = verify_read_submitted(f->v);
	uint32_t write = write_begin(f->v, 9);
	int g2 = (int)verify_generation(f->v, write);
	uint32_t middle = verify_read_submitted(f->v);
	verify_write_done(f->v, write, true);
	uint32_t late = verify_read_submitted(f->v);
	assert_false(sees(f->v, late, 9, g1));
	assert_true(sees(f->v, middle, 9, g1));
	assert_true(sees(f->v, early, 9, g1));
	assert_true(sees(f->v, early, 9, g2));
	assert_true(sees(f->v, late, 9, g2));
	assert_false(sees(f->v, early, 9, ORIGINAL));
	verify_read_done(f->v, late);
	verify_read_done(f->v, middle);
	verify_read_done(f->v, early);
}

static void test_verify_overlapping_writes_leave_either_until_one_is_seen(void **state)
{
	struct fixture *f = *state;
	for (int first_seen = 0; first_seen < 2; first_seen++) {
		uint64_t sector = 20 + (uint64_t)first_seen;
		uint32_t a = write_begin(f->v, sector), b = write_begin(f->v, sector);
		int g[2] = {(int)verify_generation(f->v, a), (int)verify_generation(f->v, b)};
		verify_write_done(f->v, b, true);
		verify_write_done(f->v, a, true);
		assert_false(reads(f->v, sector, ORIGINAL));
		assert_true(reads(f->v, sector, g[first_seen]));
		assert_true(reads(f->v, sector, g[first_seen]));
		assert_false(reads(f->v, sector, g[!first_seen]));
	}
}

static void test_verify_two_reads_in_flight_may_see_different_writes(void **state)
{
	struct fixture *f = *state;
	uint32_t a = write_begin(f->v, 30), b = write_begin(f->v, 30);
	int ga = (int)verify_generation(f->v, a), gb = (int)verify_generation(f->v, b);
	uint32_t r1 = verify_read_submitted(f->v), r2 = verify_read_submitted(f->v);
	verify_write_done(f->v, a, true);
	verify_write_done(f->v, b, true);
	assert_true(sees(f->v, r1, 30, ga));
	assert_true(sees(f->v, r2, 30, gb)); /* r1 may have come between the two */
	verify_read_done(f->v, r1);
	verify_read_done(f->v, r2);
}

static void test_verify_failed_write_leaves_both_possibilities(void **state)
{
	struct fixture *f = *state;
	int g1 = write_now(f->v, 40);
	uint32_t write = write_begin(f->v, 40);
	int g2 = (int)verify_generation(f->v, write);
	verify_write_done(f->v, write, false);
	assert_true(reads(f->v, 40, g1)); /* … and now it is known not to have happened */
	assert_false(reads(f->v, 40, g2));
	write = write_begin(f->v, 41);
	int g3 = (int)verify_generation(f->v, write);
	verify_write_done(f->v, write, false);
	assert_true(reads(f->v, 41, g3));
	assert_false(reads(f->v, 41, ORIGINAL));
	/* A later write that succeeds settles it. */
	write = write_begin(f->v, 42);
	verify_write_done(f->v, write, false);
	int g5 = write_now(f->v, 42);
	assert_false(reads(f->v, 42, ORIGINAL));
	assert_true(reads(f->v, 42, g5));
}

static void test_verify_partly_failed_range_judged_by_sector(void **state)
{
	struct fixture *f = *state;
	uint32_t write = verify_write_submitted(f->v, VERIFY_DATA, 50, 4);
	int g = (int)verify_generation(f->v, write);
	verify_write_done(f->v, write, false);
	assert_true(reads(f->v, 50, g));
	assert_true(reads(f->v, 51, ORIGINAL));
	assert_true(reads(f->v, 52, g));
	assert_true(reads(f->v, 53, ORIGINAL));
	assert_false(reads(f->v, 51, g));
}

static void test_verify_zeroes_and_discard_have_their_own_rules(void **state)
{
	struct fixture *f = *state;
	uint32_t zero = verify_write_submitted(f->v, VERIFY_ZEROES, 60, 2);
	assert_true(reads(f->v, 60, ORIGINAL));
	assert_true(reads(f->v, 61, ZEROES));
	verify_write_done(f->v, zero, true);
	assert_true(reads(f->v, 60, ZEROES));
	assert_false(reads(f->v, 60, ORIGINAL));
	int g = write_now(f->v, 60);
	assert_false(reads(f->v, 60, ZEROES));
	uint32_t discard = verify_write_submitted(f->v, VERIFY_DISCARD, 60, 1);
	assert_true(reads(f->v, 60, GARBAGE));
	verify_write_done(f->v, discard, true);
	assert_true(reads(f->v, 60, g));
	assert_true(reads(f->v, 60, ZEROES));
	assert_true(reads(f->v, 60, GARBAGE));
	assert_true(reads(f->v, 60, ORIGINAL));
	assert_false(reads(f->v, 61, GARBAGE));
	int g2 = write_now(f->v, 60);
	assert_true(reads(f->v, 60, g2));
	assert_false(reads(f->v, 60, GARBAGE));
}

static void test_verify_reasons_say_what_was_expected_and_found(void **state)
{
	struct fixture *f = *state;
	struct verify_fault fault;
	uint8_t data[512];
	int g = 0;
	for (unsigned i = 0; i < 7; i++)
		g = write_now(f->v, 1234);
	assert_int_equal(g, 7);
	static const struct {
		uint64_t sector;
		int what;
		const char *reason;
	} rows[] = {
		{1234, 5, "expected generation 7 of sector 1234, found generation 5"},
		{1234, ZEROES, "expected generation 7 of sector 1234, found zeroes"},
		{1234, ORIGINAL, "expected generation 7 of sector 1234, found the original contents"},
		{1234, GARBAGE,
		 "expected generation 7 of sector 1234, found neither a write's data nor the original "
		 "contents, but a5 a5 a5 a5 …"},
		{99, 3, "expected the original contents of sector 99, found generation 3"},
	};
	uint32_t read = verify_read_submitted(f->v);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		make(rows[i].sector, rows[i].what, data);
		assert_false(verify_read_check(f->v, read, rows[i].sector, 1, data, &fault));
		assert_string_equal(fault.reason, rows[i].reason);
	}
	pattern_fill(SEED, 99, 4, data);
	assert_false(verify_read_check(f->v, read, 1234, 1, data, &fault));
	assert_string_equal(fault.reason,
			    "expected generation 7 of sector 1234, found generation 4 of sector 99");
	pattern_fill(SEED, 1234, 7, data);
	memset(data + 256, 0, 256);
	assert_false(verify_read_check(f->v, read, 1234, 1, data, &fault));
	assert_string_equal(
		fault.reason,
		"expected generation 7 of sector 1234, found damaged contents that begin as generation 7");
	uint32_t write = verify_write_submitted(f->v, VERIFY_ZEROES, 1234, 1);
	make(1234, 6, data);
	assert_false(verify_read_check(f->v, read, 1234, 1, data, &fault));
	assert_string_equal(fault.reason,
			    "expected generation 7 or the zeroes of generation 8 of sector 1234, found "
			    "generation 6");
	verify_write_done(f->v, write, true);
	verify_read_done(f->v, read);
}

static void test_verify_fill_gives_each_sector_of_the_write(void **state)
{
	struct fixture *f = *state;
	uint8_t data[8 * 512], expected[512];
	struct verify_fault fault;
	uint32_t write = verify_write_submitted(f->v, VERIFY_DATA, 60, 8); /* crosses a chunk of the shadow */
	verify_fill(f->v, write, 60, 3, data);
	verify_fill(f->v, write, 63, 5, data + 3 * 512);
	for (unsigned i = 0; i < 8; i++) {
		pattern_fill(SEED, 60 + i, verify_generation(f->v, write), expected);
		assert_memory_equal(data + i * 512, expected, 512);
	}
	verify_write_done(f->v, write, true);
	uint32_t read = verify_read_submitted(f->v);
	assert_true(verify_read_check(f->v, read, 60, 8, data, &fault));
	memcpy(data + 5 * 512, data + 4 * 512, 512);
	assert_false(verify_read_check(f->v, read, 60, 8, data, &fault));
	assert_int_equal(fault.sector, 65);
	verify_read_done(f->v, read);
}

/* A medium in memory for audits. */
struct medium {
	uint8_t data[SECTORS * 512];
	uint64_t sectors_read;
	uint64_t fails_at;
};

static int medium_read(void *ctx, uint64_t sector, uint32_t count, uint8_t *data)
{
	struct medium *m = ctx;
	m->sectors_read += count;
	if (m->fails_at >= sector && m->fails_at < sector + count)
		return -5;
	memcpy(data, m->data + sector * 512, (size_t)count * 512);
	return 0;
}

static struct medium *new_medium(void)
{
	struct medium *m = malloc(sizeof(*m));
	uint64_t unused = 0;
	original(&unused, 0, SECTORS, m->data);
	m->sectors_read = 0;
	m->fails_at = UINT64_MAX;
	return m;
}

static void test_verify_audit_counts_bad_sectors_and_names_the_first(void **state)
{
	struct fixture *f = *state;
	struct medium *m = new_medium();
	struct verify_fault fault;
	uint32_t write = verify_write_submitted(f->v, VERIFY_DATA, 1000, 16);
	verify_fill(f->v, write, 1000, 16, m->data + 1000 * 512);
	verify_write_done(f->v, write, true);
	assert_int_equal(verify_audit(f->v, VERIFY_AUDIT_ALL, medium_read, m, &fault), 0);
	assert_int_equal(m->sectors_read, SECTORS);
	m->sectors_read = 0;
	assert_int_equal(verify_audit(f->v, VERIFY_AUDIT_WRITTEN, medium_read, m, &fault), 0);
	assert_int_equal(m->sectors_read, 64); /* 1000..1015 lie in one chunk of 64 */
	m->data[1003 * 512] ^= 1;
	m->data[1009 * 512] ^= 1;
	memset(m->data + 3000 * 512, 0, 512); /* a stray write */
	assert_int_equal(verify_audit(f->v, VERIFY_AUDIT_WRITTEN, medium_read, m, &fault), 2);
	assert_int_equal(fault.sector, 1003);
	assert_int_equal(verify_audit(f->v, VERIFY_AUDIT_ALL, medium_read, m, &fault), 3);
	assert_int_equal(fault.sector, 1003);
	m->fails_at = 10;
	assert_int_equal(verify_audit(f->v, VERIFY_AUDIT_ALL, medium_read, m, &fault), 64 + 3);
	assert_int_equal(fault.sector, 0);
	assert_non_null(strstr(fault.reason, "cannot be read at sector 0"));
	free(m);
}

static void test_verify_flush_makes_acknowledged_writes_durable(void **state)
{
	struct fixture *f = *state;
	int g1 = write_now(f->v, 5);
	assert_int_equal(verify_durable_generation(f->v, 5), 0);
	uint64_t flush = verify_flush_submitted(f->v);
	int g2 = write_now(f->v, 5); /* after the flush was submitted: not covered by it */
	assert_int_equal(verify_durable_generation(f->v, 5), 0);
	verify_flush_done(f->v, flush, true);
	assert_int_equal(verify_durable_generation(f->v, 5), g1);
	flush = verify_flush_submitted(f->v);
	verify_flush_done(f->v, flush, false);
	assert_int_equal(verify_durable_generation(f->v, 5), g1);
	/* Completed out of order: the earlier one takes nothing back. */
	flush = verify_flush_submitted(f->v);
	int g3 = write_now(f->v, 5);
	uint64_t later = verify_flush_submitted(f->v);
	verify_flush_done(f->v, later, true);
	assert_int_equal(verify_durable_generation(f->v, 5), g3);
	uint32_t write = write_begin(f->v, 5);
	verify_flush_done(f->v, flush, true);
	assert_int_equal(verify_durable_generation(f->v, 5), g3);
	/* In flight when the flush is submitted is too late. */
	flush = verify_flush_submitted(f->v);
	verify_write_done(f->v, write, true);
	verify_flush_done(f->v, flush, true);
	assert_int_equal(verify_durable_generation(f->v, 5), g3);
	assert_true(g3 > g2);
	assert_int_equal(verify_durable_generation(f->v, 6), 0);
}

static void test_verify_power_cut_allows_flushed_and_later_generations_only(void **state)
{
	struct fixture *f = *state;
	for (int found = 0; found < 6; found++) {
		uint64_t sector = 100 + 64 * (uint64_t)found;
		int g1 = write_now(f->v, sector), g2 = write_now(f->v, sector);
		verify_flush_done(f->v, verify_flush_submitted(f->v), true);
		int g3 = write_now(f->v, sector);
		assert_false(reads(f->v, sector, g2)); /* with the power on, only the last */
		uint32_t lost = write_begin(f->v, sector);
		int g4 = (int)verify_generation(f->v, lost);
		verify_write_done(f->v, lost, false);
		verify_power_cut(f->v, false);
		const int may[6] = {g2, g3, g4, g1, ORIGINAL, GARBAGE};
		assert_int_equal(reads(f->v, sector, may[found]), found < 3);
		if (found < 3) /* what was found stays */
			for (int other = 0; other < 3; other++)
				assert_int_equal(reads(f->v, sector, may[other]), other == found);
	}
}

static void test_verify_power_cut_write_through_keeps_every_acknowledged_write(void **state)
{
	struct fixture *f = *state;
	int g1 = write_now(f->v, 5), g2 = write_now(f->v, 5);
	uint32_t lost = write_begin(f->v, 6);
	int g3 = (int)verify_generation(f->v, lost);
	verify_write_done(f->v, lost, false);
	verify_power_cut(f->v, true);
	assert_false(reads(f->v, 5, g1));
	assert_false(reads(f->v, 5, ORIGINAL));
	assert_true(reads(f->v, 5, g2));
	assert_true(reads(f->v, 6, g3));
	assert_false(reads(f->v, 6, ORIGINAL));
}

static void test_verify_power_cut_may_undo_a_write_that_was_read(void **state)
{
	struct fixture *f = *state;
	uint32_t write = write_begin(f->v, 5);
	int g = (int)verify_generation(f->v, write);
	assert_true(reads(f->v, 5, g));
	assert_false(reads(f->v, 5, ORIGINAL));
	verify_write_done(f->v, write, false);
	verify_flush_done(f->v, verify_flush_submitted(f->v), true);
	verify_power_cut(f->v, false); /* it was never acknowledged, so no flush has made it last */
	assert_true(reads(f->v, 5, ORIGINAL));
	assert_false(reads(f->v, 5, g));
}

static void test_verify_memory_follows_what_was_written(void **state)
{
	/* 16 TiB of disk. */
	struct verify *v = verify_create(&(struct verify_config){.sectors = UINT64_C(1) << 35, .seed = SEED});
	struct rng rng;
	(void)state;
	static uint32_t writes[32], in_flight_reads[32];
	rng_seed(&rng, 1, 0);
	assert_in_range(verify_memory_bytes(v), 0, 100000);
	for (unsigned i = 0; i < 10000; i++) { /* 4 KiB each, scattered, 32 in flight and as many reads */
		if (i >= 32) {
			verify_write_done(v, writes[i % 32], true);
			verify_read_done(v, in_flight_reads[i % 32]);
		}
		writes[i % 32] =
			verify_write_submitted(v, VERIFY_DATA, rng_below(&rng, UINT64_C(1) << 32) * 8, 8);
		in_flight_reads[i % 32] = verify_read_submitted(v);
	}
	for (unsigned i = 0; i < 32; i++) {
		verify_write_done(v, writes[i], true);
		verify_read_done(v, in_flight_reads[i]);
	}
	/* 40 MiB written; a chunk of 64 words and its place in the table for each write. */
	assert_in_range(verify_memory_bytes(v), 0, 10000 * 600);
	size_t before = verify_memory_bytes(v);
	for (unsigned i = 0; i < 50000; i++) { /* writing the same sectors again takes nothing more */
		uint32_t read = verify_read_submitted(v);
		uint32_t write = verify_write_submitted(v, VERIFY_DATA, i % 8, 1);
		verify_write_done(v, write, true);
		verify_read_done(v, read);
	}
	assert_in_range(verify_memory_bytes(v), before, before + 2000);
	verify_free(v);
}

#define WITH(f, setup) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pattern_each_sector_and_write_differs_in_every_word),
		cmocka_unit_test(test_pattern_identify_names_sector_and_generation),
		WITH(test_verify_never_written_sectors_hold_original_contents, setup),
		cmocka_unit_test(test_verify_unknown_original_contents_are_not_checked),
		cmocka_unit_test(test_verify_originals_are_kept_where_the_medium_is_overwritten),
		cmocka_unit_test(test_verify_originals_that_cannot_be_read_are_not_checked),
		WITH(test_verify_completed_write_supersedes_what_was_before, setup),
		WITH(test_verify_write_in_flight_may_or_may_not_be_seen, setup),
		WITH(test_verify_read_submitted_before_completion_may_see_the_old, setup),
		WITH(test_verify_overlapping_writes_leave_either_until_one_is_seen, setup),
		WITH(test_verify_two_reads_in_flight_may_see_different_writes, setup),
		WITH(test_verify_failed_write_leaves_both_possibilities, setup),
		WITH(test_verify_partly_failed_range_judged_by_sector, setup),
		WITH(test_verify_zeroes_and_discard_have_their_own_rules, setup),
		WITH(test_verify_reasons_say_what_was_expected_and_found, setup),
		WITH(test_verify_fill_gives_each_sector_of_the_write, setup),
		WITH(test_verify_audit_counts_bad_sectors_and_names_the_first, setup),
		WITH(test_verify_flush_makes_acknowledged_writes_durable, setup_power_cuts),
		WITH(test_verify_power_cut_allows_flushed_and_later_generations_only, setup_power_cuts),
		WITH(test_verify_power_cut_write_through_keeps_every_acknowledged_write, setup_power_cuts),
		WITH(test_verify_power_cut_may_undo_a_write_that_was_read, setup_power_cuts),
		cmocka_unit_test(test_verify_memory_follows_what_was_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
