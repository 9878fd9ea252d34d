#include "host-sim/serve/vhost_user_inflight.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static_assert(sizeof(struct inflight_desc) == 16, "DescStateSplit");
static_assert(offsetof(struct inflight_desc, next) == 6 && offsetof(struct inflight_desc, counter) == 8,
	      "DescStateSplit");
static_assert(offsetof(struct inflight_region, version) == 8 &&
		      offsetof(struct inflight_region, used_idx) == 14 &&
		      offsetof(struct inflight_region, desc) == 16,
	      "QueueRegionSplit");

#define VERSION        1u
#define REGION_ALIGN   64u
#define SIZE_MAX_SPLIT 32768u

/* A store that comes after all before it, for whoever looks when we are gone; and loads of what may change meanwhile. */
#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)
#define LOAD(field)         __atomic_load_n(&(field), __ATOMIC_RELAXED)

/* ---- the area ---- */

static uint64_t region_bytes(uint16_t queue_size)
{
	uint64_t bytes = sizeof(struct inflight_region) + (uint64_t)queue_size * sizeof(struct inflight_desc);
	return (bytes + REGION_ALIGN - 1) & ~(uint64_t)(REGION_ALIGN - 1);
}

int inflight_area_create(struct vhost_user_inflight_area *description)
{
	uint64_t bytes = description->queues * region_bytes(description->queue_size);
	int fd = memfd_create("kickstand-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)bytes) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
		close(fd);
		return -1;
	}
	description->bytes = bytes;
	description->offset = 0;
	return fd;
}

int inflight_area_open(struct inflight_area *area, const struct vhost_user_inflight_area *description, int fd,
		       char *error, size_t error_size)
{
	struct client_map map;
	if (description->queues == 0 || description->queue_size == 0 ||
	    description->queue_size > SIZE_MAX_SPLIT ||
	    description->bytes / description->queues < region_bytes(description->queue_size) ||
	    description->offset % sizeof(uint64_t) != 0) {
		snprintf(error, error_size, "%llu bytes at %llu are no area for %u queues of %u",
			 (unsigned long long)description->bytes, (unsigned long long)description->offset,
			 description->queues, description->queue_size);
		return -1;
	}
	if (client_map_create(&map, fd, description->offset, description->bytes, error, error_size) != 0)
		return -1;
	inflight_area_close(area);
	*area = (struct inflight_area){
		.map = map, .queues = description->queues, .queue_size = description->queue_size};
	return 0;
}

void inflight_area_close(struct inflight_area *area)
{
	client_map_destroy(&area->map);
	area->queues = 0;
}

struct inflight inflight_of(const struct inflight_area *area, unsigned queue, uint16_t size)
{
	struct inflight inflight = {.size = size};
	if (queue < area->queues && size <= area->queue_size)
		inflight.region = (void *)(area->map.data + queue * region_bytes(area->queue_size));
	return inflight;
}

/* ---- recovery ---- */

struct found {
	uint64_t counter;
	uint16_t head;
};

static int by_counter(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	if (x->counter != y->counter)
		return x->counter < y->counter ? -1 : 1;
	return x->head < y->head ? -1 : 1;
}

static void initialise(struct inflight *inflight, uint16_t used_idx)
{
	struct inflight_region *region = inflight->region;
	for (unsigned i = 0; i < inflight->size; i++)
		STORE(region->desc[i].inflight, 0);
	STORE(region->desc_num, inflight->size);
	STORE(region->used_idx, used_idx);
	STORE(region->version, VERSION);
}

/* The last batch was published, but not noted as ended. */
static void end_last_batch(struct inflight *inflight, uint16_t used_idx)
{
	struct inflight_region *region = inflight->region;
	uint16_t count = (uint16_t)(used_idx - LOAD(region->used_idx));
	uint16_t head = LOAD(region->last_batch_head);
	for (unsigned i = 0; i < count && i < inflight->size && head < inflight->size; i++) {
		STORE(region->desc[head].inflight, 0);
		head = LOAD(region->desc[head].next);
	}
	STORE(region->used_idx, used_idx);
}

uint16_t inflight_recover(struct inflight *inflight, uint16_t used_idx, uint16_t *heads, bool *valid)
{
	struct inflight_region *region = inflight->region;
	uint16_t count = 0;
	*valid = region && LOAD(region->version) != 0;
	if (!region)
		return 0;
	if (!*valid) {
		initialise(inflight, used_idx);
		return 0;
	}
	if (LOAD(region->used_idx) != used_idx)
		end_last_batch(inflight, used_idx);
	struct found *found = calloc(inflight->size, sizeof(*found));
	ASSERT(found);
	for (uint16_t i = 0; i < inflight->size; i++)
		if (LOAD(region->desc[i].inflight) == 1)
			found[count++] = (struct found){LOAD(region->desc[i].counter), i};
	qsort(found, count, sizeof(*found), by_counter);
	for (uint16_t i = 0; i < count; i++)
		heads[i] = found[i].head;
	inflight->counter = count == 0 ? 0 : found[count - 1].counter + 1;
	free(found);
	return count;
}

/* ---- in operation ---- */

static struct inflight_desc *desc_of(const struct inflight *inflight, uint32_t head)
{
	return inflight->region && head < inflight->size ? &inflight->region->desc[head] : NULL;
}

void inflight_take(struct inflight *inflight, uint32_t head)
{
	struct inflight_desc *desc = desc_of(inflight, head);
	if (!desc)
		return;
	STORE(desc->counter, inflight->counter++);
	STORE(desc->inflight, 1);
}

void inflight_link(struct inflight *inflight, uint32_t head)
{
	struct inflight_desc *desc = desc_of(inflight, head);
	if (!desc)
		return;
	STORE(desc->next, LOAD(inflight->region->last_batch_head));
	STORE(inflight->region->last_batch_head, (uint16_t)head);
}

void inflight_end(struct inflight *inflight, uint32_t head)
{
	struct inflight_desc *desc = desc_of(inflight, head);
	if (desc)
		STORE(desc->inflight, 0);
}

void inflight_used(struct inflight *inflight, uint16_t used_idx)
{
	if (inflight->region)
		STORE(inflight->region->used_idx, used_idx);
}
