/* A vhost-user client for tests: its own memory, its own split rings, every message by hand if need be. It shares nothing
 * with the server but the protocol: numbers and layouts here are typed from the protocol's text.
 *
 * All functions fail the test when something is not as it has to be. */
#ifndef KICKSTAND_TESTS_E2E_VHOST_USER_CLIENT_H
#define KICKSTAND_TESTS_E2E_VHOST_USER_CLIENT_H

#include "tests/check.h"
#include "tests/e2e/served.h"

#include <stdbool.h>

/* The server: --vhost-user. */
struct served vu_serve(const char *options);
/* How many descriptors it has open while a client is there who has said nothing much: what earlier ones have left would show.
 * There must be nothing of anybody's memory. */
unsigned vu_fds_with_client(const struct served *server);

/* ---- the client ---- */

#define VU_RINGS        4u
#define VU_MEMORY_BYTES (UINT64_C(4) << 20)
#define VU_GUEST_BASE   UINT64_C(0x40000000)
#define VU_USER_BASE    UINT64_C(0x700000000000)
#define VU_DATA_BYTES   4096u
#define VU_REQUESTS_MAX 85u /* of a ring of 256 */

#define VU_TIMEOUT_MS 20000

struct vu_request {
	bool out;
	unsigned completions; /* since it was submitted */
};

struct vu_ring {
	unsigned index;
	uint16_t size;
	uint64_t at; /* offset of its memory */
	uint16_t avail_next, used_next;
	int kick, call, err;
	struct vu_request request[VU_REQUESTS_MAX];
	unsigned requests, outstanding;
};

struct vu_client {
	int fd, memory_fd, backend;
	uint8_t *memory;
	uint64_t protocol_features;
	struct vu_ring ring[VU_RINGS];
	int inflight_fd;
	uint8_t inflight[24];
	bool connected_once;
};

void vu_create(struct vu_client *c);  /* memory, rings all zero */
void vu_destroy(struct vu_client *c); /* and disconnects */
void vu_connect(struct vu_client *c, const struct served *server);
void vu_disconnect(struct vu_client *c);

/* ---- messages ---- */

void vu_send_raw(struct vu_client *c, const void *data, size_t bytes, const int *fds, unsigned count);
void vu_send(struct vu_client *c, uint32_t request, uint32_t flags, const void *payload, uint32_t bytes,
	     const int *fds, unsigned count);
/* The reply to `request`, of exactly `bytes`, with a descriptor if `fd` is given. */
void vu_reply(struct vu_client *c, uint32_t request, void *payload, uint32_t bytes, int *fd);
/* Whether the server hangs up (nothing else may come). */
bool vu_hung_up(struct vu_client *c);
/* Sends with need-reply if acknowledged requests were negotiated; the answer, 0 if there is none. */
uint64_t vu_ask(struct vu_client *c, uint32_t request, const void *payload, uint32_t bytes, const int *fds,
		unsigned count);
uint64_t vu_get_u64(struct vu_client *c, uint32_t request);
void vu_set_u64(struct vu_client *c, uint32_t request, uint64_t value);
uint64_t vu_state(struct vu_client *c, uint32_t request, uint32_t index, uint32_t value);

/* ---- steps of the protocol ---- */

/* Features and protocol features: all that is offered, without bits of `without` and `protocol_without`. */
void vu_negotiate(struct vu_client *c, uint64_t without, uint64_t protocol_without);
void vu_set_table(struct vu_client *c);
/* NUM, BASE, ADDR, CALL, ERR, KICK, ENABLE. */
void vu_start_ring(struct vu_client *c, unsigned ring, uint16_t size, uint16_t base);
/* GET_VRING_BASE. */
uint16_t vu_stop_ring(struct vu_client *c, unsigned ring);
void vu_get_inflight(struct vu_client *c, uint16_t queues, uint16_t size);
void vu_set_inflight(struct vu_client *c);
/* A new client, connected, with everything negotiated. */
void vu_open(struct vu_client *c, const struct served *server);
/* The same with memory and `rings` rings of `size`. */
void vu_begin(struct vu_client *c, const struct served *server, unsigned rings, uint16_t size);

/* ---- I/O ---- */

/* Forgets the past: the ring as after a driver's reset, its indices at `index`. */
void vu_clear_ring(struct vu_client *c, unsigned ring, uint16_t index);

/* A request of virtio type `type` in place `slot` of the ring; 4 KiB of data at vu_data. */
void vu_submit(struct vu_client *c, unsigned ring, unsigned slot, uint32_t type, uint64_t sector);
void vu_kick(struct vu_client *c, unsigned ring);
uint8_t *vu_data(struct vu_client *c, unsigned ring, unsigned slot);
uint8_t vu_status(struct vu_client *c, unsigned ring, unsigned slot);
/* Takes what is in the used ring; each head must be out. Returns how many. */
unsigned vu_take(struct vu_client *c, unsigned ring);
/* Until everything submitted is back, woken by the call descriptor. */
void vu_wait(struct vu_client *c, unsigned ring);
/* Writes `count` slots of a pattern that depends on `seed` from `sector` on; reads it back and compares. */
void vu_write(struct vu_client *c, unsigned ring, unsigned count, uint64_t sector, uint64_t seed);
void vu_check(struct vu_client *c, unsigned ring, unsigned count, uint64_t sector, uint64_t seed);
void vu_pattern(uint8_t *data, uint64_t seed, unsigned slot);

bool vu_signalled(int eventfd, int timeout_ms);

/* ---- for test programs ---- */

#define SIZE        64u
#define SLOTS       (SIZE / 3)
#define FOUR_QUEUES "--disk ram:8M --set device.queues=4"
/* Requests take 4 ms of wall time: there is always something in flight. */
#define SLOW   "--pace wall --set media.write_ns=4000000 --set media.read_ns=4000000"
#define BIT(n) (UINT64_C(1) << (n))

/* The usual end of a test. */
void vu_end(struct vu_client *c, struct served *server);
/* The end after clients that meant no good: the next one is served on all rings. */
void vu_end_with_another(struct served *server);

#endif
