#include "host-sim/serve/vhost_user_memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool overlap(uint64_t base_a, uint64_t bytes_a, uint64_t base_b, uint64_t bytes_b)
{
	return base_a <= base_b ? base_b - base_a < bytes_a : base_a - base_b < bytes_b;
}

/* What no table can change. */
static const char *region_fault(const struct vhost_user_region *region)
{
	if (region->bytes == 0)
		return "is empty";
	if (region->guest >= VHOST_USER_GUEST_END || region->bytes > VHOST_USER_GUEST_END - region->guest)
		return "is beyond the guest addresses a client can use (62 bits)";
	if (region->user + (region->bytes - 1) < region->user)
		return "runs past the end of the client's addresses";
	return NULL;
}

static int refuse(const struct vhost_user_region *region, const char *fault, char *error, size_t error_size)
{
	snprintf(error, error_size, "region of %#" PRIx64 " bytes at guest address %#" PRIx64 " %s",
		 region->bytes, region->guest, fault);
	return -1;
}

static bool collides(const struct vhost_user_region *a, const struct vhost_user_region *b)
{
	return overlap(a->guest, a->bytes, b->guest, b->bytes) ||
	       overlap(a->user, a->bytes, b->user, b->bytes);
}

static int map_region(struct vhost_user_slot *slot, const struct vhost_user_region *region, int fd,
		      char *error, size_t error_size)
{
	char reason[120];
	const char *fault = region_fault(region);
	if (fault)
		return refuse(region, fault, error, error_size);
	slot->region = *region;
	if (client_map_create(&slot->map, fd, region->offset, region->bytes, reason, sizeof(reason)) == 0)
		return 0;
	snprintf(error, error_size, "region at guest address %#" PRIx64 ": %s", region->guest, reason);
	return -1;
}

/* Lets the card have it. */
static int show(struct vhost_user_memory *memory, const struct vhost_user_slot *slot, char *error,
		size_t error_size)
{
	const struct memory_region region = {.base = slot->region.guest,
					     .bytes = slot->region.bytes,
					     .access = MEMORY_READ | MEMORY_WRITE,
					     .data = slot->map.data};
	if (memory_add(memory->card, &region) != 0)
		return refuse(&slot->region, "cannot be had: out of memory", error, error_size);
	memory->slot[memory->count++] = *slot;
	return 0;
}

static void drop(struct vhost_user_memory *memory, unsigned index)
{
	struct vhost_user_slot *slot = &memory->slot[index];
	bool known = memory_remove(memory->card, slot->region.guest, slot->region.bytes);
	ASSERT(known);
	client_map_destroy(&slot->map);
	memory->slot[index] = memory->slot[--memory->count];
}

/* ---- single regions ---- */

int vhost_user_memory_add(struct vhost_user_memory *memory, const struct vhost_user_region *region, int fd,
			  char *error, size_t error_size)
{
	struct vhost_user_slot slot;
	if (memory->count == VHOST_USER_SLOTS_MAX)
		return refuse(region, "is one more than there are slots", error, error_size);
	for (unsigned i = 0; i < memory->count; i++)
		if (collides(region, &memory->slot[i].region))
			return refuse(region, "overlaps another", error, error_size);
	if (map_region(&slot, region, fd, error, error_size) != 0)
		return -1;
	if (show(memory, &slot, error, error_size) == 0)
		return 0;
	client_map_destroy(&slot.map);
	return -1;
}

int vhost_user_memory_remove(struct vhost_user_memory *memory, const struct vhost_user_region *region,
			     char *error, size_t error_size)
{
	for (unsigned i = 0; i < memory->count; i++) {
		const struct vhost_user_region *known = &memory->slot[i].region;
		if (known->guest != region->guest || known->user != region->user ||
		    known->bytes != region->bytes)
			continue;
		drop(memory, i);
		return 0;
	}
	return refuse(region, "is not known", error, error_size);
}

/* ---- the whole table ---- */

static bool same_slot(const struct vhost_user_slot *a, const struct vhost_user_slot *b)
{
	return memcmp(&a->region, &b->region, sizeof(a->region)) == 0 && a->map.dev == b->map.dev &&
	       a->map.ino == b->map.ino && !client_map_lost(&b->map);
}

static bool same_table(const struct vhost_user_memory *memory, const struct vhost_user_memory_change *change)
{
	if (memory->count != change->count)
		return false;
	for (unsigned i = 0; i < change->count; i++) {
		bool found = false;
		for (unsigned j = 0; j < memory->count && !found; j++)
			found = same_slot(&change->slot[i], &memory->slot[j]);
		if (!found)
			return false;
	}
	return true;
}

static void forget(struct vhost_user_memory_change *change)
{
	for (unsigned i = 0; i < change->count; i++)
		client_map_destroy(&change->slot[i].map);
	change->count = 0;
}

int vhost_user_memory_prepare(const struct vhost_user_memory *memory, struct vhost_user_memory_change *change,
			      const struct vhost_user_table *table, const int *fds, char *error,
			      size_t error_size)
{
	*change = (struct vhost_user_memory_change){0};
	for (unsigned i = 0; i < table->count; i++) {
		bool bad = false;
		for (unsigned j = 0; j < i && !bad; j++)
			bad = collides(&table->region[i], &table->region[j]);
		if (bad)
			refuse(&table->region[i], "overlaps another", error, error_size);
		if (bad || map_region(&change->slot[i], &table->region[i], fds[i], error, error_size) != 0) {
			forget(change);
			return -1;
		}
		change->count++;
	}
	change->same = same_table(memory, change);
	if (change->same)
		forget(change);
	return 0;
}

int vhost_user_memory_commit(struct vhost_user_memory *memory, struct vhost_user_memory_change *change,
			     char *error, size_t error_size)
{
	unsigned taken = 0;
	if (change->same)
		return 0;
	vhost_user_memory_clear(memory);
	while (taken < change->count && show(memory, &change->slot[taken], error, error_size) == 0)
		change->slot[taken++].map.data = NULL; /* not ours any more */
	bool whole = taken == change->count;
	forget(change);
	return whole ? 0 : -1;
}

void vhost_user_memory_clear(struct vhost_user_memory *memory)
{
	while (memory->count != 0)
		drop(memory, memory->count - 1);
}

uint8_t *vhost_user_memory_at(const struct vhost_user_memory *memory, uint64_t user, uint64_t bytes,
			      uint64_t *guest)
{
	for (unsigned i = 0; i < memory->count; i++) {
		const struct vhost_user_slot *slot = &memory->slot[i];
		const struct vhost_user_region *region = &slot->region;
		if (user < region->user || bytes > region->bytes ||
		    user - region->user > region->bytes - bytes)
			continue;
		*guest = region->guest + (user - region->user);
		return slot->map.data + (user - region->user);
	}
	return NULL;
}

bool vhost_user_memory_lost(const struct vhost_user_memory *memory)
{
	for (unsigned i = 0; i < memory->count; i++)
		if (client_map_lost(&memory->slot[i].map))
			return true;
	return false;
}
