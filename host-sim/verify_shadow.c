#include "host-sim/verify_shadow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORIGINAL_BYTES  512
#define RECORD_CAPACITY 3 /* the one before, a write in flight, and one that overlaps */
#define TAG_RECORD      3 /* in place of a contents_kind: the word is a pointer to a record */

struct record {
	unsigned count, capacity;
	struct record *next_free;
	uint8_t *original; /* copy of the sector's original contents, NULL: none kept */
	struct candidate candidate[];
};

struct chunk {
	uint64_t number;
	uint64_t word[SHADOW_CHUNK_SECTORS]; /* contents_t, or struct record * | TAG_RECORD */
};

struct shadow {
	struct chunk **slot; /* hash table: open addressing, never more than half full */
	size_t slots, chunks;
	struct chunk *last;          /* found: the next sector asked for is most often beside */
	struct record *free_records; /* of RECORD_CAPACITY */
	size_t bytes;
};

static void *need(void *memory)
{
	if (memory)
		return memory;
	fputs("verify: out of memory; write to a smaller part of the disk, or turn verification off\n",
	      stderr);
	exit(2);
}

static size_t record_size(unsigned capacity)
{
	return sizeof(struct record) + capacity * sizeof(struct candidate);
}

static struct record *new_record(struct shadow *shadow, unsigned capacity)
{
	struct record *record = shadow->free_records;
	if (capacity == RECORD_CAPACITY && record) {
		shadow->free_records = record->next_free;
	} else {
		record = need(malloc(record_size(capacity)));
		shadow->bytes += record_size(capacity);
		record->capacity = capacity;
	}
	record->count = 0;
	record->original = NULL;
	return record;
}

static void free_record(struct shadow *shadow, struct record *record)
{
	if (record->original)
		shadow->bytes -= ORIGINAL_BYTES;
	free(record->original);
	if (record->capacity == RECORD_CAPACITY) {
		record->next_free = shadow->free_records;
		shadow->free_records = record;
		return;
	}
	shadow->bytes -= record_size(record->capacity);
	free(record);
}

static struct record *record_of(uint64_t word)
{
	return (word & 3) == TAG_RECORD ? (struct record *)(uintptr_t)(word & ~UINT64_C(3)) : NULL;
}

static uint64_t record_word(const struct record *record)
{
	return (uint64_t)(uintptr_t)record | TAG_RECORD;
}

static size_t home_slot(const struct shadow *shadow, uint64_t number)
{
	return (size_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (shadow->slots - 1);
}

static struct chunk *find_chunk(struct shadow *shadow, uint64_t number)
{
	if (shadow->last && shadow->last->number == number)
		return shadow->last;
	size_t i = home_slot(shadow, number);
	while (shadow->slot[i] && shadow->slot[i]->number != number)
		i = (i + 1) & (shadow->slots - 1);
	if (shadow->slot[i])
		shadow->last = shadow->slot[i];
	return shadow->slot[i];
}

static void insert_chunk(struct shadow *shadow, struct chunk *chunk)
{
	size_t i = home_slot(shadow, chunk->number);
	while (shadow->slot[i])
		i = (i + 1) & (shadow->slots - 1);
	shadow->slot[i] = chunk;
}

static void grow_table(struct shadow *shadow)
{
	struct chunk **old = shadow->slot;
	size_t old_slots = shadow->slots;
	shadow->slots *= 2;
	shadow->slot = need(calloc(shadow->slots, sizeof(struct chunk *)));
	shadow->bytes += old_slots * sizeof(struct chunk *);
	for (size_t i = 0; i < old_slots; i++)
		if (old[i])
			insert_chunk(shadow, old[i]);
	free(old);
}

static struct chunk *need_chunk(struct shadow *shadow, uint64_t number)
{
	struct chunk *chunk = find_chunk(shadow, number);
	if (chunk)
		return chunk;
	if (++shadow->chunks * 2 > shadow->slots)
		grow_table(shadow);
	chunk = need(calloc(1, sizeof(*chunk)));
	shadow->bytes += sizeof(*chunk);
	chunk->number = number;
	insert_chunk(shadow, chunk);
	return chunk;
}

struct shadow *shadow_create(void)
{
	struct shadow *shadow = need(calloc(1, sizeof(*shadow)));
	shadow->slots = 64;
	shadow->slot = need(calloc(shadow->slots, sizeof(struct chunk *)));
	shadow->bytes = sizeof(*shadow) + shadow->slots * sizeof(struct chunk *);
	return shadow;
}

void shadow_free(struct shadow *shadow)
{
	for (size_t i = 0; i < shadow->slots; i++) {
		for (unsigned s = 0; shadow->slot[i] && s < SHADOW_CHUNK_SECTORS; s++) {
			struct record *record = record_of(shadow->slot[i]->word[s]);
			if (record)
				free_record(shadow, record);
		}
		free(shadow->slot[i]);
	}
	while (shadow->free_records) {
		struct record *record = shadow->free_records;
		shadow->free_records = record->next_free;
		free(record);
	}
	free(shadow->slot);
	free(shadow);
}

static uint64_t *need_word(struct shadow *shadow, uint64_t sector)
{
	return &need_chunk(shadow, sector / SHADOW_CHUNK_SECTORS)->word[sector % SHADOW_CHUNK_SECTORS];
}

static struct candidate settled(contents_t contents)
{
	return (struct candidate){.contents = contents, .superseded = TICK_NEVER, .buried = TICK_NEVER};
}

static void add_candidate(struct shadow *shadow, uint64_t *word, struct candidate candidate)
{
	struct record *record = record_of(*word);
	if (!record) {
		record = new_record(shadow, RECORD_CAPACITY);
		record->candidate[record->count++] = settled(*word);
	} else if (record->count == record->capacity) {
		struct record *larger = new_record(shadow, record->capacity * 2);
		memcpy(larger->candidate, record->candidate, record->count * sizeof(candidate));
		larger->count = record->count;
		larger->original = record->original;
		record->original = NULL;
		free_record(shadow, record);
		record = larger;
	}
	record->candidate[record->count++] = candidate;
	*word = record_word(record);
}

void shadow_submit(struct shadow *shadow, uint64_t sector, uint64_t count, contents_t contents, uint64_t tick)
{
	const struct candidate candidate = {
		.contents = contents,
		.submitted = tick,
		.done = TICK_NEVER,
		.acked = TICK_NEVER,
		.superseded = TICK_NEVER,
		.buried = TICK_NEVER,
	};
	for (uint64_t s = sector; s < sector + count; s++)
		add_candidate(shadow, need_word(shadow, s), candidate);
}

void shadow_keep_original(struct shadow *shadow, uint64_t sector, const uint8_t data[512])
{
	struct record *record = record_of(*need_word(shadow, sector));
	ASSERT(record && !record->original);
	record->original = need(malloc(ORIGINAL_BYTES));
	memcpy(record->original, data, ORIGINAL_BYTES);
	shadow->bytes += ORIGINAL_BYTES;
}

const uint8_t *shadow_kept_original(struct shadow *shadow, uint64_t sector)
{
	const struct record *record = record_of(*need_word(shadow, sector));
	return record ? record->original : NULL;
}

static bool needed(const struct candidate *c, struct horizon horizon)
{
	return c->superseded >= horizon.reads ||
	       (horizon.flushed != TICK_NEVER && c->buried >= horizon.flushed);
}

/* A device that contradicts itself can leave nothing that is possible; then what was possible last stays. */
static void keep_last(struct record *record)
{
	struct candidate *last = &record->candidate[0];
	for (unsigned i = 1; i < record->count; i++)
		if (record->candidate[i].superseded >= last->superseded)
			last = &record->candidate[i];
	record->candidate[0] = *last;
	record->candidate[0].superseded = TICK_NEVER;
	record->count = 1;
}

/* Drops what is no longer needed. A single candidate that is done is the sector's settled contents. True if more
 * than one is left, some of them superseded. */
static bool prune(struct shadow *shadow, uint64_t *word, struct horizon horizon)
{
	struct record *record = record_of(*word);
	unsigned kept = 0;
	bool later = false;
	if (!record)
		return false;
	for (unsigned i = 0; i < record->count; i++)
		kept += needed(&record->candidate[i], horizon);
	if (kept == 0)
		keep_last(record);
	kept = 0;
	for (unsigned i = 0; i < record->count; i++) {
		const struct candidate *c = &record->candidate[i];
		if (!needed(c, horizon))
			continue;
		later = later || c->superseded != TICK_NEVER;
		record->candidate[kept++] = *c;
	}
	record->count = kept;
	if (kept > 1 || record->candidate[0].done == TICK_NEVER)
		return later;
	*word = record->candidate[0].contents;
	free_record(shadow, record);
	return false;
}

static struct candidate *find_candidate(struct record *record, contents_t contents)
{
	for (unsigned i = 0; record && i < record->count; i++)
		if (record->candidate[i].contents == contents)
			return &record->candidate[i];
	return NULL;
}

static void acknowledge(struct record *record, struct candidate *written, uint64_t tick)
{
	written->acked = tick;
	for (unsigned i = 0; i < record->count; i++) {
		struct candidate *other = &record->candidate[i];
		if (other->done >= written->submitted)
			continue;
		other->superseded = min_u64(other->superseded, tick);
		other->buried = min_u64(other->buried, tick);
	}
}

bool shadow_complete(struct shadow *shadow, uint64_t sector, uint64_t count, contents_t contents, bool ok,
		     uint64_t tick, struct horizon horizon)
{
	bool later = false;
	for (uint64_t s = sector; s < sector + count; s++) {
		uint64_t *word = need_word(shadow, s);
		struct record *record = record_of(*word);
		struct candidate *written = find_candidate(record, contents);
		/* Gone if a read showed that a later write overtook it, and that was acknowledged. */
		if (!written)
			continue;
		written->done = min_u64(written->done, tick);
		if (ok)
			acknowledge(record, written, tick);
		later = prune(shadow, word, horizon) || later;
	}
	return later;
}

void shadow_prune(struct shadow *shadow, uint64_t sector, uint64_t count, struct horizon horizon)
{
	for (uint64_t s = sector; s < sector + count; s++)
		prune(shadow, need_word(shadow, s), horizon);
}

void shadow_candidates(struct shadow *shadow, uint64_t sector, struct candidates *out)
{
	const struct chunk *chunk = find_chunk(shadow, sector / SHADOW_CHUNK_SECTORS);
	uint64_t word = chunk ? chunk->word[sector % SHADOW_CHUNK_SECTORS] : CONTENTS_ORIGINAL;
	struct record *record = record_of(word);
	if (record) {
		out->list = record->candidate;
		out->count = record->count;
		return;
	}
	out->one = settled(word);
	out->list = &out->one;
	out->count = 1;
}

bool shadow_settled(struct shadow *shadow, uint64_t sector, contents_t *contents)
{
	const struct chunk *chunk = find_chunk(shadow, sector / SHADOW_CHUNK_SECTORS);
	*contents = chunk ? chunk->word[sector % SHADOW_CHUNK_SECTORS] : CONTENTS_ORIGINAL;
	return (*contents & 3) != TAG_RECORD;
}

uint32_t shadow_untouched(struct shadow *shadow, uint64_t sector, uint32_t most)
{
	uint32_t run = 0;
	while (run < most) {
		uint64_t s = sector + run;
		uint64_t behind = SHADOW_CHUNK_SECTORS - s % SHADOW_CHUNK_SECTORS;
		const struct chunk *chunk = find_chunk(shadow, s / SHADOW_CHUNK_SECTORS);
		if (!chunk) {
			run = (uint32_t)min_u64(run + behind, most);
			continue;
		}
		if (chunk->word[s % SHADOW_CHUNK_SECTORS] != CONTENTS_ORIGINAL)
			break;
		run++;
	}
	return run;
}

/* The observed write was in effect at a moment after both `submitted` and its own submission. Whatever had taken
 * effect before that moment had therefore done so before the observed write did, and was overwritten by it; and
 * what was only submitted after that (a write that failed) never took effect. */
bool shadow_observe(struct shadow *shadow, uint64_t sector, contents_t contents, uint64_t submitted,
		    uint64_t tick)
{
	bool later = false;
	struct record *record = record_of(*need_word(shadow, sector));
	struct candidate *seen = find_candidate(record, contents);
	if (!seen)
		return false;
	uint64_t moment = max_u64(submitted, seen->submitted);
	seen->done = min_u64(seen->done, tick);
	for (unsigned i = 0; i < record->count; i++) {
		struct candidate *other = &record->candidate[i];
		if (other == seen || other->done >= moment)
			continue;
		other->superseded =
			other->submitted > seen->done ? 0 : min_u64(other->superseded, seen->done);
		later = true;
	}
	return later;
}

static void cut_sector(struct shadow *shadow, uint64_t *word, uint64_t flushed, uint64_t tick)
{
	struct record *record = record_of(*word);
	const struct horizon none = {.reads = TICK_NEVER, .flushed = TICK_NEVER};
	if (!record)
		return;
	for (unsigned i = 0; i < record->count; i++) {
		struct candidate *c = &record->candidate[i];
		if (c->buried < flushed)
			continue;
		c->done = min_u64(c->done, tick);
		c->superseded = c->buried = TICK_NEVER;
	}
	prune(shadow, word, none);
}

void shadow_power_cut(struct shadow *shadow, uint64_t flushed, uint64_t tick)
{
	for (size_t i = 0; i < shadow->slots; i++)
		for (unsigned s = 0; shadow->slot[i] && s < SHADOW_CHUNK_SECTORS; s++)
			cut_sector(shadow, &shadow->slot[i]->word[s], flushed, tick);
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

uint64_t *shadow_chunks(const struct shadow *shadow, size_t *count)
{
	uint64_t *numbers = need(malloc((shadow->chunks + 1) * sizeof(*numbers)));
	*count = 0;
	for (size_t i = 0; i < shadow->slots; i++)
		if (shadow->slot[i])
			numbers[(*count)++] = shadow->slot[i]->number;
	qsort(numbers, *count, sizeof(*numbers), compare_numbers);
	return numbers;
}

size_t shadow_bytes(const struct shadow *shadow)
{
	return shadow->bytes;
}
