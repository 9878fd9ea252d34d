/* The order of random I/O that hits every block once per pass, as fio's random map does.
 *
 * A keyed permutation of the block numbers gives the order without remembering it. Where I/Os have several sizes
 * they also cover blocks behind the one drawn; then a bitmap remembers which are done. */
#ifndef KICKSTAND_HOST_SIM_WORKLOADS_RANDOM_MAP_H
#define KICKSTAND_HOST_SIM_WORKLOADS_RANDOM_MAP_H

#include "pcie/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PERMUTATION_ROUNDS 4

/* A bijection of 0..count-1. */
struct permutation {
	uint64_t count, mask;
	unsigned shift;
	struct {
		uint64_t add, multiply;
	} round[PERMUTATION_ROUNDS];
};

/* count > 0 */
void permutation_init(struct permutation *p, uint64_t count, uint64_t key);
uint64_t permutation_at(const struct permutation *p, uint64_t index);

struct random_map {
	struct permutation order;
	uint64_t next;  /* index into the order */
	uint64_t *done; /* a bit per block; NULL where each draw is one block */
	uint64_t key;   /* of this pass; the next pass's follows from it */
};

/* `several` where a draw may cover more than one block. -1 if out of memory. */
MUST_USE int random_map_init(struct random_map *map, uint64_t blocks, uint64_t key, bool several);
void random_map_free(struct random_map *map);

/* Starts a new pass, in the order `key` gives. */
void random_map_restart(struct random_map *map, uint64_t key);

/* Draws a block not covered yet; false if there is none, and the pass over. */
MUST_USE bool random_map_draw(struct random_map *map, uint64_t *block);

/* How many blocks from `block` on are not covered, `most` at most. */
uint64_t random_map_room(const struct random_map *map, uint64_t block, uint64_t most);

/* Marks blocks as covered. */
void random_map_cover(struct random_map *map, uint64_t block, uint64_t count);

#ifdef __cplusplus
}
#endif
#endif
