/* Walking along the segment list of a slot. The list is in the firmware's memory: nothing here relies on what it says.
 * Private to blocks/mover. */
#ifndef KICKSTAND_BLOCKS_MOVER_CURSOR_H
#define KICKSTAND_BLOCKS_MOVER_CURSOR_H

#include "csr.h"
#include "pcie/base.h"

/* A place in the segment list of a slot. */
struct cursor {
	uint16_t segment;
	uint32_t within;
};

/* Bytes that can be moved at the cursor in one piece. 0: the list ends there. */
static inline uint32_t cursor_piece(const struct slot_segment *segments, const struct cursor *at)
{
	if (at->segment >= SLOT_SEGMENTS_MAX || segments[at->segment].bytes <= at->within)
		return 0;
	return segments[at->segment].bytes - at->within;
}

/* False if the list ends before. */
static inline bool cursor_advance(const struct slot_segment *segments, struct cursor *at, uint32_t bytes)
{
	while (bytes != 0) {
		uint32_t here = cursor_piece(segments, at);
		if (here == 0)
			return false;
		if (bytes < here) {
			at->within += bytes;
			return true;
		}
		bytes -= here;
		at->segment++;
		at->within = 0;
	}
	return true;
}

#endif
