/* In-flight tracking (VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD): memory that outlives the server and says which heads of a split
 * ring have been taken and not given back, so that the next server can do them again.
 *
 * The order of stores is the protocol's. After a kill between any two of them, inflight_recover finds every head that the
 * client has not been given, and no other. What the client writes there itself can confuse nobody but the client. */
#ifndef KICKSTAND_HOST_SIM_SERVE_VHOST_USER_INFLIGHT_H
#define KICKSTAND_HOST_SIM_SERVE_VHOST_USER_INFLIGHT_H

#include "host-sim/serve/client_map.h"
#include "host-sim/serve/vhost_user_msg.h"

/* QueueRegionSplit and DescStateSplit of the protocol. */
struct inflight_desc {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next;    /* in the list of the last batch */
	uint64_t counter; /* heads are done again in this order */
};

struct inflight_region {
	uint64_t features;
	uint16_t version; /* 0: nothing has been written here */
	uint16_t desc_num;
	uint16_t last_batch_head;
	uint16_t used_idx;
	struct inflight_desc desc[];
};

/* Of one ring. */
struct inflight {
	struct inflight_region *region; /* NULL: not tracked */
	uint16_t size;
	uint64_t counter; /* next to give */
};

/* ---- the area of all rings ---- */

struct inflight_area {
	struct client_map map;
	uint16_t queues, queue_size;
};

/* Makes an area. Returns its descriptor, the caller's, and fills in `description`; -1 with errno if it cannot be had. */
int inflight_area_create(struct vhost_user_inflight_area *description);
/* Takes an area over. Returns 0, or -1 with a reason. */
MUST_USE int inflight_area_open(struct inflight_area *area,
				const struct vhost_user_inflight_area *description, int fd, char *error,
				size_t error_size);
void inflight_area_close(struct inflight_area *area);
/* The part of ring `queue`, of `size`; not tracked if the area has none. */
struct inflight inflight_of(const struct inflight_area *area, unsigned queue, uint16_t size);

/* ---- one ring ---- */

/* Looks at what an earlier server left. `used_idx` is the index of the used ring. Writes the heads to be done again to
 * heads[size], in their order, and returns their number. False in *valid: nothing had been written here yet. */
uint16_t inflight_recover(struct inflight *inflight, uint16_t used_idx, uint16_t *heads, bool *valid);

/* A head has been taken from the available ring. Like the others it does nothing if the ring is not tracked or the head is
 * none of its. */
void inflight_take(struct inflight *inflight, uint32_t head);

/* A batch is given back: `link` for each head, then the used index is published, then `end` for each head, then `used`. */
void inflight_link(struct inflight *inflight, uint32_t head);
void inflight_end(struct inflight *inflight, uint32_t head);
void inflight_used(struct inflight *inflight, uint16_t used_idx);

#endif
