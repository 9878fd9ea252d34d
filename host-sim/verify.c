#include "host-sim/verify.h"

#include "host-sim/verify_pattern.h"
#include "host-sim/verify_shadow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_SLOT UINT32_MAX

struct write {
	uint64_t sector, count;
	contents_t contents;
	uint32_t next_free;
};

/* Reads in flight form a list in the order of their submission, the oldest first. */
struct read {
	uint64_t submitted;
	uint32_t before, behind; /* NO_SLOT at the ends; `behind` also links free slots */
};

/* Sectors with superseded candidates that something still needs, in the order of `tick`. */
struct leftover {
	uint64_t sector, count, tick;
};

struct verify {
	struct verify_config config;
	struct shadow *shadow;
	uint64_t tick, generation;

	struct write *write;
	uint32_t writes, free_write, writes_in_flight;
	struct read *read;
	uint32_t reads, free_read, oldest_read, newest_read;

	uint64_t flushed;          /* when the last completed flush was submitted */
	struct leftover *leftover; /* ring; the number of slots is a power of 2 */
	size_t leftover_slots, leftover_first, leftovers;

	uint8_t scratch[SHADOW_CHUNK_SECTORS * SECTOR_BYTES];
	uint8_t medium[SHADOW_CHUNK_SECTORS * SECTOR_BYTES];
};

static void *need(void *memory)
{
	if (memory)
		return memory;
	fputs("verify: out of memory; use less iodepth, or turn verification off\n", stderr);
	exit(2);
}

struct verify *verify_create(const struct verify_config *config)
{
	struct verify *v = need(calloc(1, sizeof(*v)));
	v->config = *config;
	v->shadow = shadow_create();
	v->free_write = v->free_read = v->oldest_read = v->newest_read = NO_SLOT;
	return v;
}

void verify_free(struct verify *v)
{
	if (!v)
		return;
	shadow_free(v->shadow);
	free(v->write);
	free(v->read);
	free(v->leftover);
	free(v);
}

static struct horizon horizon(const struct verify *v)
{
	return (struct horizon){
		.reads = v->oldest_read == NO_SLOT ? TICK_NEVER : v->read[v->oldest_read].submitted,
		.flushed = v->config.power_cuts ? v->flushed : TICK_NEVER,
	};
}

static void add_leftover(struct verify *v, uint64_t sector, uint64_t count, uint64_t tick)
{
	if (v->leftovers == v->leftover_slots) {
		size_t slots = v->leftover_slots ? v->leftover_slots * 2 : 64;
		struct leftover *ring = need(malloc(slots * sizeof(*ring)));
		for (size_t i = 0; i < v->leftovers; i++)
			ring[i] = v->leftover[(v->leftover_first + i) & (v->leftover_slots - 1)];
		free(v->leftover);
		v->leftover = ring;
		v->leftover_slots = slots;
		v->leftover_first = 0;
	}
	v->leftover[(v->leftover_first + v->leftovers++) & (v->leftover_slots - 1)] =
		(struct leftover){sector, count, tick};
}

/* Settles what nothing needs any longer, now that the horizon may have moved. */
static void drop_leftovers(struct verify *v)
{
	struct horizon h = horizon(v);
	uint64_t passed = min_u64(h.reads, h.flushed);
	while (v->leftovers && v->leftover[v->leftover_first].tick < passed) {
		struct leftover old = v->leftover[v->leftover_first];
		v->leftover_first = (v->leftover_first + 1) & (v->leftover_slots - 1);
		v->leftovers--;
		shadow_prune(v->shadow, old.sector, old.count, h);
	}
}

static void check_range(const struct verify *v, uint64_t sector, uint64_t count)
{
	ASSERT(sector <= v->config.sectors && count <= v->config.sectors - sector);
}

/* What is about to be overwritten is needed for reads under way, and should the write fail. */
static void submit_keeping_originals(struct verify *v, const struct write *w)
{
	const struct verify_original *original = &v->config.original;
	for (uint64_t s = w->sector, end = w->sector + w->count; s < end;) {
		uint32_t most = (uint32_t)min_u64(end - s, SHADOW_CHUNK_SECTORS);
		uint32_t run = shadow_untouched(v->shadow, s, most);
		bool known = run != 0 && original->read(original->ctx, s, run, v->scratch) == 0;
		run = max_u32(run, 1);
		shadow_submit(v->shadow, s, run, w->contents, v->tick);
		for (uint32_t i = 0; known && i < run; i++)
			shadow_keep_original(v->shadow, s + i, v->scratch + (size_t)i * SECTOR_BYTES);
		s += run;
	}
}

uint32_t verify_write_submitted(struct verify *v, enum verify_write_kind kind, uint64_t sector,
				uint64_t count)
{
	static const enum contents_kind kinds[] = {
		[VERIFY_DATA] = CONTENTS_DATA,
		[VERIFY_ZEROES] = CONTENTS_ZEROES,
		[VERIFY_DISCARD] = CONTENTS_ANY,
	};
	uint32_t slot = v->free_write;
	check_range(v, sector, count);
	if (slot != NO_SLOT) {
		v->free_write = v->write[slot].next_free;
	} else {
		slot = v->writes++;
		v->write = need(reallocarray(v->write, v->writes, sizeof(*v->write)));
	}
	v->writes_in_flight++;
	v->write[slot] = (struct write){
		.sector = sector, .count = count, .contents = contents_of(kinds[kind], ++v->generation)};
	++v->tick;
	if (v->config.original.read && v->config.original.overwritten)
		submit_keeping_originals(v, &v->write[slot]);
	else
		shadow_submit(v->shadow, sector, count, v->write[slot].contents, v->tick);
	return slot;
}

uint64_t verify_generation(const struct verify *v, uint32_t write)
{
	return contents_generation(v->write[write].contents);
}

void verify_fill(const struct verify *v, uint32_t write, uint64_t sector, uint32_t count, uint8_t *data)
{
	const struct write *w = &v->write[write];
	ASSERT(contents_kind(w->contents) == CONTENTS_DATA && sector >= w->sector &&
	       sector + count <= w->sector + w->count);
	for (uint32_t i = 0; i < count; i++)
		pattern_fill(v->config.seed, sector + i, contents_generation(w->contents),
			     data + (size_t)i * SECTOR_BYTES);
}

void verify_write_done(struct verify *v, uint32_t write, bool ok)
{
	struct write *w = &v->write[write];
	uint64_t tick = ++v->tick;
	ASSERT(v->writes_in_flight > 0);
	if (shadow_complete(v->shadow, w->sector, w->count, w->contents, ok, tick, horizon(v)))
		add_leftover(v, w->sector, w->count, tick);
	v->writes_in_flight--;
	w->next_free = v->free_write;
	v->free_write = write;
}

uint32_t verify_read_submitted(struct verify *v)
{
	uint32_t slot = v->free_read;
	if (slot != NO_SLOT) {
		v->free_read = v->read[slot].behind;
	} else {
		slot = v->reads++;
		v->read = need(reallocarray(v->read, v->reads, sizeof(*v->read)));
	}
	v->read[slot] = (struct read){.submitted = ++v->tick, .before = v->newest_read, .behind = NO_SLOT};
	if (v->newest_read == NO_SLOT)
		v->oldest_read = slot;
	else
		v->read[v->newest_read].behind = slot;
	v->newest_read = slot;
	return slot;
}

void verify_read_done(struct verify *v, uint32_t read)
{
	struct read *r = &v->read[read];
	bool was_oldest = v->oldest_read == read;
	if (r->before == NO_SLOT)
		v->oldest_read = r->behind;
	else
		v->read[r->before].behind = r->behind;
	if (r->behind == NO_SLOT)
		v->newest_read = r->before;
	else
		v->read[r->behind].before = r->before;
	r->behind = v->free_read;
	v->free_read = read;
	if (was_oldest)
		drop_leftovers(v);
}

uint64_t verify_flush_submitted(struct verify *v)
{
	return ++v->tick;
}

void verify_flush_done(struct verify *v, uint64_t flush, bool ok)
{
	if (!ok || flush <= v->flushed)
		return;
	v->flushed = flush;
	drop_leftovers(v);
}

static bool is_original(const struct verify *v, uint64_t sector, const uint8_t *data)
{
	const uint8_t *kept = shadow_kept_original(v->shadow, sector);
	uint8_t expected[SECTOR_BYTES];
	if (!v->config.original.read)
		return true;
	if (kept)
		return memcmp(kept, data, SECTOR_BYTES) == 0;
	if (v->config.original.read(v->config.original.ctx, sector, 1, expected) != 0)
		return true;
	return memcmp(expected, data, SECTOR_BYTES) == 0;
}

static bool contents_match(const struct verify *v, contents_t contents, uint64_t sector, const uint8_t *data)
{
	if (contents == CONTENTS_ORIGINAL)
		return is_original(v, sector, data);
	switch (contents_kind(contents)) {
	case CONTENTS_DATA:
		return pattern_matches(v->config.seed, sector, contents_generation(contents), data);
	case CONTENTS_ZEROES: return all_zero(data, SECTOR_BYTES);
	case CONTENTS_ANY: return true;
	}
	return false;
}

static int describe_contents(contents_t contents, char *text, size_t size)
{
	if (contents == CONTENTS_ORIGINAL)
		return snprintf(text, size, "the original contents");
	return snprintf(text, size, "%s %" PRIu64,
			contents_kind(contents) == CONTENTS_ZEROES ? "the zeroes of generation"
								   : "generation",
			contents_generation(contents));
}

/* "generation 7 or the original contents"; the first few of many. */
static void describe_expected(const struct candidates *candidates, uint64_t submitted, char *text,
			      size_t size)
{
	size_t used = 0;
	unsigned named = 0;
	text[0] = '\0';
	for (unsigned i = 0; i < candidates->count && named < 3; i++) {
		if (candidates->list[i].superseded < submitted)
			continue;
		if (named++ && used < size)
			used += (size_t)snprintf(text + used, size - used, " or ");
		if (used < size)
			used += (size_t)describe_contents(candidates->list[i].contents, text + used,
							  size - used);
	}
}

static void describe_found(const struct verify *v, uint64_t sector, const uint8_t *data, char *text,
			   size_t size)
{
	struct pattern_identity is;
	char elsewhere[48] = "";
	if (pattern_identify(v->config.seed, data, &is)) {
		if (is.sector != sector)
			snprintf(elsewhere, sizeof(elsewhere), " of sector %" PRIu64, is.sector);
		snprintf(text, size, "%sgeneration %" PRIu64 "%s",
			 is.whole ? "" : "damaged contents that begin as ", is.generation, elsewhere);
	} else if (all_zero(data, SECTOR_BYTES)) {
		snprintf(text, size, "zeroes");
	} else if (v->config.original.read && is_original(v, sector, data)) {
		snprintf(text, size, "the original contents");
	} else {
		snprintf(text, size,
			 "neither a write's data nor the original contents, but %02x %02x %02x %02x …",
			 data[0], data[1], data[2], data[3]);
	}
}

static void describe_fault(const struct verify *v, const struct candidates *candidates, uint64_t submitted,
			   uint64_t sector, const uint8_t *data, struct verify_fault *fault)
{
	char expected[120], found[100];
	describe_expected(candidates, submitted, expected, sizeof(expected));
	describe_found(v, sector, data, found, sizeof(found));
	fault->sector = sector;
	snprintf(fault->reason, sizeof(fault->reason), "expected %s of sector %" PRIu64 ", found %s",
		 expected, sector, found);
}

/* Checks one sector against its candidates. What a read has shown is only known if a single one matches: two
 * writes of zeroes look alike. */
static bool check_sector(struct verify *v, uint64_t submitted, uint64_t sector, const uint8_t *data,
			 struct verify_fault *fault)
{
	struct candidates candidates;
	contents_t seen = CONTENTS_ORIGINAL;
	unsigned matching = 0;
	shadow_candidates(v->shadow, sector, &candidates);
	for (unsigned i = 0; i < candidates.count; i++) {
		const struct candidate *c = &candidates.list[i];
		if (c->superseded < submitted || !contents_match(v, c->contents, sector, data))
			continue;
		seen = c->contents;
		matching++;
	}
	if (matching == 0) {
		describe_fault(v, &candidates, submitted, sector, data, fault);
		return false;
	}
	if (matching == 1 && candidates.count > 1 &&
	    shadow_observe(v->shadow, sector, seen, submitted, v->tick))
		add_leftover(v, sector, 1, v->tick);
	return true;
}

/* A run of sectors never written, compared at once; names the first that differs. */
static bool check_untouched(struct verify *v, uint64_t submitted, uint64_t sector, uint32_t count,
			    const uint8_t *data, struct verify_fault *fault)
{
	if (!v->config.original.read)
		return true;
	while (count) {
		uint32_t part = min_u32(count, SHADOW_CHUNK_SECTORS);
		int error = v->config.original.read(v->config.original.ctx, sector, part, v->scratch);
		if (error == 0 && memcmp(v->scratch, data, (size_t)part * SECTOR_BYTES) != 0)
			break;
		sector += part;
		data += (size_t)part * SECTOR_BYTES;
		count -= part;
	}
	for (uint32_t i = 0; i < count; i++)
		if (!check_sector(v, submitted, sector + i, data + (size_t)i * SECTOR_BYTES, fault))
			return false;
	return true;
}

static bool check_range_as_of(struct verify *v, uint64_t submitted, uint64_t sector, uint32_t count,
			      const uint8_t *data, struct verify_fault *fault)
{
	for (uint32_t i = 0; i < count;) {
		const uint8_t *at = data + (size_t)i * SECTOR_BYTES;
		contents_t contents;
		uint32_t run = 1;
		bool settled = shadow_settled(v->shadow, sector + i, &contents);
		bool good;
		if (settled && contents == CONTENTS_ORIGINAL) {
			run = shadow_untouched(v->shadow, sector + i, count - i);
			good = check_untouched(v, submitted, sector + i, run, at, fault);
		} else {
			good = (settled && contents_match(v, contents, sector + i, at)) ||
			       check_sector(v, submitted, sector + i, at, fault);
		}
		if (!good)
			return false;
		i += run;
	}
	return true;
}

bool verify_read_check(struct verify *v, uint32_t read, uint64_t sector, uint32_t count, const uint8_t *data,
		       struct verify_fault *fault)
{
	check_range(v, sector, count);
	++v->tick;
	return check_range_as_of(v, v->read[read].submitted, sector, count, data, fault);
}

uint64_t verify_durable_generation(const struct verify *v, uint64_t sector)
{
	struct candidates candidates;
	uint64_t generation = 0;
	ASSERT(v->config.power_cuts);
	shadow_candidates(v->shadow, sector, &candidates);
	for (unsigned i = 0; i < candidates.count; i++)
		if (candidates.list[i].acked < v->flushed || candidates.count == 1)
			generation = max_u64(generation, contents_generation(candidates.list[i].contents));
	return generation;
}

void verify_power_cut(struct verify *v, bool write_through)
{
	ASSERT(v->config.power_cuts && v->writes_in_flight == 0 && v->oldest_read == NO_SLOT);
	uint64_t tick = ++v->tick;
	shadow_power_cut(v->shadow, write_through ? tick : v->flushed, tick);
	v->leftovers = 0;
}

/* Checks `count` sectors of the medium, one by one after the first that is bad. */
static uint64_t audit_part(struct verify *v, uint64_t sector, uint32_t count, verify_medium_read *read,
			   void *ctx, struct verify_fault *fault)
{
	struct verify_fault later;
	uint64_t bad = 0;
	int error = read(ctx, sector, count, v->medium);
	if (error) {
		fault->sector = sector;
		snprintf(fault->reason, sizeof(fault->reason),
			 "the medium cannot be read at sector %" PRIu64 ": %s", sector, strerror(-error));
		return count;
	}
	uint64_t now = ++v->tick;
	if (check_range_as_of(v, now, sector, count, v->medium, fault))
		return 0;
	for (uint64_t s = fault->sector; s < sector + count; s++)
		bad += !check_sector(v, now, s, v->medium + (s - sector) * SECTOR_BYTES, &later);
	return bad;
}

static uint64_t audit_chunk(struct verify *v, uint64_t number, verify_medium_read *read, void *ctx,
			    struct verify_fault *fault, uint64_t bad_before)
{
	struct verify_fault later;
	uint64_t sector = number * SHADOW_CHUNK_SECTORS;
	uint32_t count = (uint32_t)min_u64(SHADOW_CHUNK_SECTORS, v->config.sectors - sector);
	return audit_part(v, sector, count, read, ctx, bad_before ? &later : fault);
}

uint64_t verify_audit(struct verify *v, enum verify_audit_scope scope, verify_medium_read *read, void *ctx,
		      struct verify_fault *fault)
{
	uint64_t bad = 0;
	if (scope == VERIFY_AUDIT_ALL) {
		for (uint64_t n = 0; n * SHADOW_CHUNK_SECTORS < v->config.sectors; n++)
			bad += audit_chunk(v, n, read, ctx, fault, bad);
		return bad;
	}
	size_t chunks;
	uint64_t *number = shadow_chunks(v->shadow, &chunks);
	for (size_t i = 0; i < chunks; i++)
		bad += audit_chunk(v, number[i], read, ctx, fault, bad);
	free(number);
	return bad;
}

size_t verify_memory_bytes(const struct verify *v)
{
	return shadow_bytes(v->shadow) + v->leftover_slots * sizeof(struct leftover);
}
