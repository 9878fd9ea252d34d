/* Which contents each sector of the disk may have.
 *
 * Most sectors have one: the original contents, or those of the last write. That is one word per sector, in
 * chunks of 64 sectors that exist only where something was written. While writes are in flight, or where they
 * overlapped or failed, a sector has a record of candidates instead.
 *
 * Time is the order of calls: every submission and completion has a tick, 1, 2, 3, … A write takes effect, in each
 * sector on its own, between its submission and its completion. So write A is superseded once a write B is
 * acknowledged that was submitted after A was done; A may still be what a read returns that was submitted before. */
#ifndef KICKSTAND_HOST_SIM_VERIFY_SHADOW_H
#define KICKSTAND_HOST_SIM_VERIFY_SHADOW_H

#include "pcie/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Contents of a sector: the write's generation and what it left there. 0 is the original contents. */
enum contents_kind { CONTENTS_DATA, CONTENTS_ZEROES, CONTENTS_ANY };
typedef uint64_t contents_t;

#define CONTENTS_ORIGINAL UINT64_C(0)
#define TICK_NEVER        UINT64_MAX

static inline contents_t contents_of(enum contents_kind kind, uint64_t generation)
{
	return generation << 2 | (uint64_t)kind;
}
static inline uint64_t contents_generation(contents_t c)
{
	return c >> 2;
}
static inline enum contents_kind contents_kind(contents_t c)
{
	return (enum contents_kind)(c & 3);
}

struct candidate {
	contents_t contents;
	uint64_t submitted;
	uint64_t done;       /* it has taken effect by then, or never will; TICK_NEVER while in flight */
	uint64_t acked;      /* reported as written; TICK_NEVER if not, or failed */
	uint64_t superseded; /* reads submitted later cannot return it; TICK_NEVER if they can */
	uint64_t buried; /* a flush submitted later rules it out after a power cut; TICK_NEVER if none does */
};

/* The candidates of one sector; `one` is used where there is no record. */
struct candidates {
	struct candidate *list;
	unsigned count;
	struct candidate one;
};

struct shadow;

/* Out of memory ends the program with a message, here and below. */
struct shadow *shadow_create(void);
void shadow_free(struct shadow *shadow);

/* How far back candidates are still needed. `reads`: when the oldest read in flight was submitted, TICK_NEVER if
 * there is none. `flushed`: when the last completed flush was submitted, TICK_NEVER if no power cut is to be
 * judged. */
struct horizon {
	uint64_t reads, flushed;
};

/* A write of `contents` to the sectors is submitted. */
void shadow_submit(struct shadow *shadow, uint64_t sector, uint64_t count, contents_t contents,
		   uint64_t tick);

/* The original contents of a sector with writes in flight: a copy is kept as long as they may matter. NULL: none kept. */
void shadow_keep_original(struct shadow *shadow, uint64_t sector, const uint8_t data[512]);
const uint8_t *shadow_kept_original(struct shadow *shadow, uint64_t sector);

/* That write is done. Returns whether superseded candidates are left that were still needed; shadow_prune is then
 * to be called when the horizon has passed `tick`. */
bool shadow_complete(struct shadow *shadow, uint64_t sector, uint64_t count, contents_t contents, bool ok,
		     uint64_t tick, struct horizon horizon);

/* Drops candidates of these sectors that are no longer needed. */
void shadow_prune(struct shadow *shadow, uint64_t sector, uint64_t count, struct horizon horizon);

/* What the sector may hold; valid until the next call that changes the shadow. */
void shadow_candidates(struct shadow *shadow, uint64_t sector, struct candidates *out);

/* True, with the contents, if the sector has only one candidate. */
bool shadow_settled(struct shadow *shadow, uint64_t sector, contents_t *contents);

/* How many sectors from `sector` on, `most` at most, certainly hold their original contents. */
uint32_t shadow_untouched(struct shadow *shadow, uint64_t sector, uint32_t most);

/* A read submitted at `submitted` and completed at `tick` returned exactly this candidate, so that it was in effect
 * at a moment between the two. True if that superseded others; shadow_prune as for shadow_complete. */
bool shadow_observe(struct shadow *shadow, uint64_t sector, contents_t contents, uint64_t submitted,
		    uint64_t tick);

/* The power went: everything not buried at a flush submitted at `flushed` is possible again, nothing else. */
void shadow_power_cut(struct shadow *shadow, uint64_t flushed, uint64_t tick);

/* Numbers of the chunks (sector / 64) that were ever written, ascending; *count of them, freed by the caller. */
#define SHADOW_CHUNK_SECTORS 64
uint64_t *shadow_chunks(const struct shadow *shadow, size_t *count);

size_t shadow_bytes(const struct shadow *shadow);

#ifdef __cplusplus
}
#endif
#endif
