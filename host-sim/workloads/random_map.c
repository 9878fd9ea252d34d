#include "host-sim/workloads/random_map.h"

#include "pcie/rng.h"

#include <stdlib.h>
#include <string.h>

void permutation_init(struct permutation *p, uint64_t count, uint64_t key)
{
	ASSERT(count > 0);
	unsigned bits = count > 1 ? 64u - (unsigned)__builtin_clzll(count - 1) : 1;
	*p = (struct permutation){.count = count, .mask = UINT64_MAX >> (64 - bits), .shift = (bits + 1) / 2};
	for (unsigned i = 0; i < PERMUTATION_ROUNDS; i++) {
		p->round[i].add = splitmix64(&key);
		p->round[i].multiply = splitmix64(&key) | 1;
	}
}

/* Each step (adding, multiplying by an odd number, folding high bits into low ones) can be undone modulo the power
 * of 2 at or above count. Where the result falls outside of 0..count-1, the walk along its cycle goes on until
 * it is inside; fewer than two steps on average. */
uint64_t permutation_at(const struct permutation *p, uint64_t index)
{
	ASSERT(index < p->count);
	do {
		for (unsigned i = 0; i < PERMUTATION_ROUNDS; i++) {
			index = (index + p->round[i].add) * p->round[i].multiply & p->mask;
			index ^= index >> p->shift;
		}
	} while (index >= p->count);
	return index;
}

static size_t bitmap_bytes(const struct random_map *map)
{
	return (map->order.count + 63) / 64 * sizeof(uint64_t);
}

int random_map_init(struct random_map *map, uint64_t blocks, uint64_t key, bool several)
{
	*map = (struct random_map){.key = key};
	permutation_init(&map->order, blocks, key);
	if (!several)
		return 0;
	map->done = calloc(1, bitmap_bytes(map));
	return map->done ? 0 : -1;
}

void random_map_free(struct random_map *map)
{
	free(map->done);
	*map = (struct random_map){0};
}

void random_map_restart(struct random_map *map, uint64_t key)
{
	permutation_init(&map->order, map->order.count, key);
	map->key = key;
	map->next = 0;
	if (map->done)
		memset(map->done, 0, bitmap_bytes(map));
}

static bool covered(const struct random_map *map, uint64_t block)
{
	return map->done && (map->done[block / 64] >> block % 64 & 1);
}

bool random_map_draw(struct random_map *map, uint64_t *block)
{
	while (map->next < map->order.count) {
		*block = permutation_at(&map->order, map->next++);
		if (!covered(map, *block))
			return true;
	}
	return false;
}

uint64_t random_map_room(const struct random_map *map, uint64_t block, uint64_t most)
{
	uint64_t room = 0;
	while (room < most && block + room < map->order.count && !covered(map, block + room))
		room++;
	return room;
}

void random_map_cover(struct random_map *map, uint64_t block, uint64_t count)
{
	for (uint64_t i = block; map->done && i < block + count; i++)
		map->done[i / 64] |= UINT64_C(1) << i % 64;
}
