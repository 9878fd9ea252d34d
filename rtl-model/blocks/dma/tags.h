/* Tags of the card's reads: which numbers may be used, which are taken, and since when (PCIe 6.0 §2.2.6.2).
 *
 * A tag is free, in flight (its read waits for completions), or resting: its read has failed without a final
 * completion, and a late one must not be taken for another read's (TAG-006). Private to blocks/dma. */
#ifndef KICKSTAND_BLOCKS_DMA_TAGS_H
#define KICKSTAND_BLOCKS_DMA_TAGS_H

#include "pcie/cfg_space.h"
#include "pcie/tlp.h"

#define TAGS_MAX 1024u /* 10 bits */
#define TAG_NONE UINT16_MAX

enum tag_state { TAG_FREE, TAG_IN_FLIGHT, TAG_RESTING };

struct tag {
	enum tag_state state;
	uint16_t older, newer; /* of the same state */
	uint64_t since_ps;     /* in this state */
	/* the user's: */
	uint16_t read;
	struct tlp_requester expect;
	uint8_t *data; /* where the next byte goes */
};

/* Tags of one state in order of age. */
struct tag_list {
	uint16_t oldest, newest;
	unsigned count;
};

struct tags {
	struct tag tag[TAGS_MAX];
	struct tag_list in_flight, resting;
	unsigned last; /* taken last, counted from the first usable one */
};

/* All tags free. */
void tags_init(struct tags *tags);

/* Takes a free tag of those that `control` lets the function use, `limit` at most in use at a time; TAG_NONE if there
 * is none. */
uint16_t tags_take(struct tags *tags, const struct cfg_control *control, unsigned limit, uint64_t now_ps);

/* In flight to resting. */
void tags_rest(struct tags *tags, uint16_t number, uint64_t now_ps);

/* To free. */
void tags_release(struct tags *tags, uint16_t number);

static inline unsigned tags_used(const struct tags *tags)
{
	return tags->in_flight.count + tags->resting.count;
}

#endif
