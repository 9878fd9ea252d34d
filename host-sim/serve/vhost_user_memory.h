/* The client's memory: regions shared by file descriptors, known by guest address (in descriptors) and by the client's own
 * address (of rings). */
#ifndef KICKSTAND_HOST_SIM_SERVE_VHOST_USER_MEMORY_H
#define KICKSTAND_HOST_SIM_SERVE_VHOST_USER_MEMORY_H

#include "host-sim/memory.h"
#include "host-sim/serve/client_map.h"
#include "host-sim/serve/vhost_user_msg.h"

#define VHOST_USER_SLOTS_MAX 64u
/* Above are addresses of ours (ring_view.h): no region may reach there. */
#define VHOST_USER_GUEST_END (UINT64_C(1) << 62)

struct vhost_user_slot {
	struct vhost_user_region region;
	struct client_map map;
};

struct vhost_user_memory {
	struct memory *card; /* what the card reaches */
	struct vhost_user_slot slot[VHOST_USER_SLOTS_MAX];
	unsigned count;
};

/* ADD_MEM_REG, REM_MEM_REG. Descriptors stay the caller's. Return 0, or -1 with a reason and nothing changed. */
MUST_USE int vhost_user_memory_add(struct vhost_user_memory *memory, const struct vhost_user_region *region,
				   int fd, char *error, size_t error_size);
MUST_USE int vhost_user_memory_remove(struct vhost_user_memory *memory,
				      const struct vhost_user_region *region, char *error, size_t error_size);

/* SET_MEM_TABLE in two steps, so that the rings can be stopped in between: prepare maps the new regions and tells whether
 * they are other ones; commit puts them in the place of the old ones. A failed prepare (-1, with a reason) leaves
 * everything as it was. */
struct vhost_user_memory_change {
	struct vhost_user_slot slot[VHOST_USER_REGIONS_MAX];
	unsigned count;
	bool same; /* as it is now: there is nothing to commit */
};
MUST_USE int vhost_user_memory_prepare(const struct vhost_user_memory *memory,
				       struct vhost_user_memory_change *change,
				       const struct vhost_user_table *table, const int *fds, char *error,
				       size_t error_size);
MUST_USE int vhost_user_memory_commit(struct vhost_user_memory *memory,
				      struct vhost_user_memory_change *change, char *error,
				      size_t error_size);

void vhost_user_memory_clear(struct vhost_user_memory *memory);

/* Where the client's [user, user + bytes) is, all in one region; its guest address in *guest. NULL if it is not. */
uint8_t *vhost_user_memory_at(const struct vhost_user_memory *memory, uint64_t user, uint64_t bytes,
			      uint64_t *guest);

/* Whether the client has taken some of it away (client_map.h). */
bool vhost_user_memory_lost(const struct vhost_user_memory *memory);

#endif
