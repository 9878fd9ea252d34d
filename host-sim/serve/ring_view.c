#include "host-sim/serve/ring_view.h"

#include <stdlib.h>
#include <string.h>

/* Available ring: flags, idx, ring[] of 2 bytes, used_event; used ring: flags, idx, ring[] of 8 bytes, avail_event. */
#define FLAGS_OFFSET  0u
#define INDEX_OFFSET  2u
#define RING_OFFSET   4u
#define ENTRY_BYTES   2u
#define ELEMENT_BYTES 8u
#define TAIL_BYTES    6u /* of either ring, besides its elements */

uint32_t ring_avail_bytes(uint16_t size)
{
	return TAIL_BYTES + ENTRY_BYTES * size;
}

uint32_t ring_used_bytes(uint16_t size)
{
	return TAIL_BYTES + ELEMENT_BYTES * size;
}

/* The card reads and writes whole DWs. */
static uint32_t window_bytes(uint32_t ring_bytes)
{
	return (ring_bytes + 3) & ~3u;
}

static uint32_t used_event_offset(const struct ring_view *view)
{
	return RING_OFFSET + ENTRY_BYTES * view->size;
}

static uint32_t avail_event_offset(const struct ring_view *view)
{
	return RING_OFFSET + ELEMENT_BYTES * view->size;
}

/* ---- guest memory: one access per field ---- */

static uint16_t load16(const uint8_t *at)
{
	return __atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_ACQUIRE);
}

static void store16(uint8_t *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)(void *)at, value, __ATOMIC_RELEASE);
}

static void store32(uint8_t *at, uint32_t value)
{
	__atomic_store_n((uint32_t *)(void *)at, value, __ATOMIC_RELEASE);
}

/* What was stored before is seen by the guest before what is loaded from now on was written: avail_event and avail.idx,
 * used.idx and used_event (virtio 1.4 §2.7.7.2, §2.7.10.1). */
static void full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* ---- available ring ---- */

static uint16_t slot_of(const struct ring_view *view, uint16_t index)
{
	return index & (uint16_t)(view->size - 1);
}

static uint8_t *entry_image(struct ring_view *view, uint16_t index)
{
	return view->avail_image + RING_OFFSET + (size_t)ENTRY_BYTES * slot_of(view, index);
}

/* Copies what the guest has published since, and notes it as taken. */
static void expose(struct ring_view *view, uint16_t index)
{
	for (; view->exposed != index; view->exposed++) {
		uint16_t slot = slot_of(view, (uint16_t)(view->exposed + view->avail_offset));
		uint16_t head = load16(view->guest_avail + RING_OFFSET + (size_t)ENTRY_BYTES * slot);
		store_le16(entry_image(view, view->exposed), head);
		inflight_take(&view->inflight, head);
	}
}

static void look_at_index(struct ring_view *view)
{
	full_barrier();
	uint16_t index = (uint16_t)(load16(view->guest_avail + INDEX_OFFSET) - view->avail_offset);
	if (view->frozen || view->cut)
		index = view->exposed;
	/* An index that jumps by more than the ring holds is shown as it is, for the card to judge; nothing of it is taken. */
	else if ((uint16_t)(index - view->exposed) <= view->size)
		expose(view, index);
	store_le16(view->avail_image + INDEX_OFFSET, index);
}

static void look_at_used_event(struct ring_view *view)
{
	full_barrier();
	uint16_t event = load16(view->guest_avail + used_event_offset(view));
	store_le16(view->avail_image + used_event_offset(view), (uint16_t)(event - view->used_offset));
}

static bool touches(uint32_t offset, uint32_t bytes, uint32_t field)
{
	return offset < field + 2 && field < offset + bytes;
}

static void read_image(const uint8_t *image, uint32_t image_bytes, uint32_t offset, uint32_t bytes,
		       uint8_t *data)
{
	uint32_t have = offset < image_bytes ? min_u32(bytes, image_bytes - offset) : 0;
	memcpy(data, image + (have != 0 ? offset : 0), have);
	memset(data + have, 0, bytes - have);
}

void ring_view_read_avail(struct ring_view *view, uint32_t offset, uint32_t bytes, uint8_t *data)
{
	if (touches(offset, bytes, FLAGS_OFFSET))
		store_le16(view->avail_image + FLAGS_OFFSET, load16(view->guest_avail + FLAGS_OFFSET));
	if (touches(offset, bytes, INDEX_OFFSET))
		look_at_index(view);
	if (touches(offset, bytes, used_event_offset(view)))
		look_at_used_event(view);
	read_image(view->avail_image, window_bytes(ring_avail_bytes(view->size)), offset, bytes, data);
}

/* ---- used ring ---- */

/* The half of an element that is at `offset` of the window, as the card has written it, goes to the guest's slot for it. */
static void put_element_word(struct ring_view *view, uint32_t offset)
{
	uint32_t at = offset - RING_OFFSET;
	uint16_t slot = slot_of(view, (uint16_t)(at / ELEMENT_BYTES + view->used_offset));
	store32(view->guest_used + RING_OFFSET + (size_t)ELEMENT_BYTES * slot + at % ELEMENT_BYTES,
		load_le32(view->used_image + offset));
}

static uint32_t used_head(const struct ring_view *view, uint16_t index)
{
	return load_le32(view->used_image + RING_OFFSET + (size_t)ELEMENT_BYTES * slot_of(view, index));
}

/* Publishes a batch, in the order that in-flight tracking prescribes. */
static bool publish(struct ring_view *view, uint16_t index)
{
	uint16_t first = view->used, guest_index = (uint16_t)(index + view->used_offset);
	if ((uint16_t)(index - first) > view->size)
		return false;
	for (uint16_t i = first; i != index; i++)
		inflight_link(&view->inflight, used_head(view, i));
	store16(view->guest_used + INDEX_OFFSET, guest_index);
	for (uint16_t i = first; i != index; i++)
		inflight_end(&view->inflight, used_head(view, i));
	inflight_used(&view->inflight, guest_index);
	view->used = index;
	return true;
}

bool ring_view_write_used(struct ring_view *view, uint32_t offset, uint32_t bytes, const uint8_t *data)
{
	uint32_t event = avail_event_offset(view), end = event + 2;
	if (offset >= end || view->cut)
		return true;
	bytes = min_u32(bytes, end - offset);
	memcpy(view->used_image + offset, data, bytes);
	for (uint32_t word = max_u32(offset & ~3u, RING_OFFSET); word < event && word < offset + bytes;
	     word += 4)
		put_element_word(view, word);
	if (touches(offset, bytes, FLAGS_OFFSET))
		store16(view->guest_used + FLAGS_OFFSET, load_le16(view->used_image + FLAGS_OFFSET));
	if (touches(offset, bytes, event))
		store16(view->guest_used + event,
			(uint16_t)(load_le16(view->used_image + event) + view->avail_offset));
	return !touches(offset, bytes, INDEX_OFFSET) ||
	       publish(view, load_le16(view->used_image + INDEX_OFFSET));
}

void ring_view_read_used(struct ring_view *view, uint32_t offset, uint32_t bytes, uint8_t *data)
{
	read_image(view->used_image, window_bytes(ring_used_bytes(view->size)), offset, bytes, data);
}

/* ---- start and end ---- */

/* Heads that an earlier server took and did not give back come first. */
static void find_start(struct ring_view *view, uint16_t base, uint16_t *heads)
{
	uint16_t used_idx = load16(view->guest_used + INDEX_OFFSET);
	bool valid;
	uint16_t redo = inflight_recover(&view->inflight, used_idx, heads, &valid);
	/* Whatever base the client gives: what has been taken is what was given back and what is in flight. */
	if (valid)
		base = (uint16_t)(used_idx + redo);
	view->redo = view->exposed = redo;
	view->used_offset = used_idx;
	view->avail_offset = (uint16_t)(base - redo);
	for (uint16_t i = 0; i < redo; i++)
		store_le16(entry_image(view, i), heads[i]);
}

int ring_view_create(struct ring_view *view, const struct ring_view_setup *setup)
{
	ASSERT(is_power_of_2(setup->size));
	*view = (struct ring_view){.size = setup->size,
				   .guest_avail = setup->avail,
				   .guest_used = setup->used,
				   .inflight = setup->inflight};
	uint16_t *heads = calloc(setup->size, sizeof(*heads));
	view->avail_image = calloc(1, window_bytes(ring_avail_bytes(setup->size)));
	view->used_image = calloc(1, window_bytes(ring_used_bytes(setup->size)));
	bool ok = heads && view->avail_image && view->used_image;
	if (ok) {
		find_start(view, setup->base, heads);
		/* A wish of an earlier life not to be kicked; the card begins without one. */
		store16(view->guest_used + FLAGS_OFFSET, 0);
	} else {
		ring_view_free(view);
	}
	free(heads);
	return ok ? 0 : -1;
}

void ring_view_free(struct ring_view *view)
{
	ring_view_hide(view);
	free(view->avail_image);
	free(view->used_image);
	*view = (struct ring_view){0};
}

void ring_view_freeze(struct ring_view *view, bool frozen)
{
	view->frozen = frozen;
}

bool ring_view_drained(const struct ring_view *view)
{
	return view->used == view->exposed;
}

uint16_t ring_view_base(const struct ring_view *view)
{
	return (uint16_t)(view->used + view->avail_offset);
}

/* ---- windows ---- */

static bool read_avail_window(void *ctx, uint64_t addr, uint32_t bytes, uint8_t *data)
{
	struct ring_view *view = ctx;
	ring_view_read_avail(view, (uint32_t)(addr - view->avail_addr), bytes, data);
	return true;
}

static bool write_avail_window(void *ctx, uint64_t addr, uint32_t bytes, const uint8_t *data)
{
	(void)ctx, (void)addr, (void)bytes, (void)data;
	return false; /* the driver's, not the device's */
}

static bool read_used_window(void *ctx, uint64_t addr, uint32_t bytes, uint8_t *data)
{
	struct ring_view *view = ctx;
	ring_view_read_used(view, (uint32_t)(addr - view->used_addr), bytes, data);
	return true;
}

static bool write_used_window(void *ctx, uint64_t addr, uint32_t bytes, const uint8_t *data)
{
	struct ring_view *view = ctx;
	return ring_view_write_used(view, (uint32_t)(addr - view->used_addr), bytes, data);
}

int ring_view_show(struct ring_view *view, struct memory *memory, uint64_t avail_addr, uint64_t used_addr)
{
	static const struct memory_ops avail_ops = {.read = read_avail_window, .write = write_avail_window};
	static const struct memory_ops used_ops = {.read = read_used_window, .write = write_used_window};
	const struct memory_region avail = {.base = avail_addr,
					    .bytes = window_bytes(ring_avail_bytes(view->size)),
					    .access = MEMORY_READ,
					    .ops = &avail_ops,
					    .ctx = view};
	const struct memory_region used = {.base = used_addr,
					   .bytes = window_bytes(ring_used_bytes(view->size)),
					   .access = MEMORY_READ | MEMORY_WRITE,
					   .ops = &used_ops,
					   .ctx = view};
	ASSERT(!view->memory);
	if (memory_add(memory, &avail) != 0)
		return -1;
	if (memory_add(memory, &used) != 0) {
		memory_remove(memory, avail.base, avail.bytes);
		return -1;
	}
	view->memory = memory;
	view->avail_addr = avail_addr;
	view->used_addr = used_addr;
	return 0;
}

void ring_view_hide(struct ring_view *view)
{
	if (!view->memory)
		return;
	memory_remove(view->memory, view->avail_addr, window_bytes(ring_avail_bytes(view->size)));
	memory_remove(view->memory, view->used_addr, window_bytes(ring_used_bytes(view->size)));
	view->memory = NULL;
}
