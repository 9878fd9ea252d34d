#include "rtl-model/blocks/dma/tags.h"

#include <string.h>

#define FIRST_10BIT 256u /* a 10-bit requester uses 256..1023: T9 and T8 are not both 0 (TAG-003) */

void tags_init(struct tags *tags)
{
	memset(tags, 0, sizeof(*tags));
	tags->in_flight = tags->resting = (struct tag_list){TAG_NONE, TAG_NONE, 0};
}

static struct tag_list *list_of(struct tags *tags, const struct tag *tag)
{
	return tag->state == TAG_IN_FLIGHT ? &tags->in_flight : &tags->resting;
}

static void leave(struct tags *tags, uint16_t number)
{
	struct tag *tag = &tags->tag[number];
	struct tag_list *list = list_of(tags, tag);
	*(tag->older == TAG_NONE ? &list->oldest : &tags->tag[tag->older].newer) = tag->newer;
	*(tag->newer == TAG_NONE ? &list->newest : &tags->tag[tag->newer].older) = tag->older;
	list->count--;
}

static void enter(struct tags *tags, uint16_t number, enum tag_state state, uint64_t now_ps)
{
	struct tag *tag = &tags->tag[number];
	tag->state = state;
	tag->since_ps = now_ps;
	struct tag_list *list = list_of(tags, tag);
	tag->older = list->newest;
	tag->newer = TAG_NONE;
	*(list->newest == TAG_NONE ? &list->oldest : &tags->tag[list->newest].newer) = number;
	list->newest = number;
	list->count++;
}

/* The search begins behind the tag taken last, so that a tag is free for a while before it is used again. Tags that are
 * still out from a time of wider tags count too: at worst fewer are in use than allowed. */
uint16_t tags_take(struct tags *tags, const struct cfg_control *control, unsigned limit, uint64_t now_ps)
{
	unsigned first = 0, count = control->extended_tag ? 256 : 32; /* TAG-002 */
	if (control->tag_10bit) {
		first = FIRST_10BIT;
		count = TAGS_MAX - FIRST_10BIT;
	}
	count = min_u32(count, limit);
	if (tags_used(tags) >= count)
		return TAG_NONE;
	for (unsigned i = 1; i <= count; i++) {
		unsigned at = (tags->last + i) % count;
		if (tags->tag[first + at].state != TAG_FREE)
			continue;
		tags->last = at;
		enter(tags, (uint16_t)(first + at), TAG_IN_FLIGHT, now_ps);
		return (uint16_t)(first + at);
	}
	return TAG_NONE;
}

void tags_rest(struct tags *tags, uint16_t number, uint64_t now_ps)
{
	leave(tags, number);
	enter(tags, number, TAG_RESTING, now_ps);
}

void tags_release(struct tags *tags, uint16_t number)
{
	leave(tags, number);
	tags->tag[number].state = TAG_FREE;
}
