#include "tests/e2e/vhost_user_client.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of a ring's memory: descriptors, available, used ring, then headers, status bytes and data. */
#define RING_BYTES    UINT64_C(0x80000)
#define AVAIL_OFFSET  0x2000u
#define USED_OFFSET   0x3000u
#define HEADER_OFFSET 0x5000u
#define STATUS_OFFSET 0x7000u
#define DATA_OFFSET   0x8000u

void vu_end(struct vu_client *c, struct served *server)
{
	vu_destroy(c);
	free(served_end(server));
}

void vu_end_with_another(struct served *server)
{
	struct vu_client c;
	vu_begin(&c, server, 4, SIZE);
	vu_write(&c, 3, SLOTS, 0, 1);
	vu_check(&c, 0, SLOTS, 0, 1);
	vu_end(&c, server);
}

struct served vu_serve(const char *options)
{
	return served_start("--vhost-user", options);
}

unsigned vu_fds_with_client(const struct served *server)
{
	struct vu_client c;
	vu_create(&c);
	vu_connect(&c, server);
	vu_get_u64(&c, 1);
	unsigned fds = served_fds(server);
	assert_int_equal(served_mappings(server), 0);
	vu_destroy(&c);
	return fds;
}

/* ---- the client ---- */

void vu_create(struct vu_client *c)
{
	memset(c, 0, sizeof(*c));
	c->fd = c->backend = c->inflight_fd = -1;
	c->memory_fd = memfd_create("vu_client", MFD_CLOEXEC);
	assert_int_equal(ftruncate(c->memory_fd, VU_MEMORY_BYTES), 0);
	c->memory = mmap(NULL, VU_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, c->memory_fd, 0);
	assert_true(c->memory != MAP_FAILED);
	for (unsigned i = 0; i < VU_RINGS; i++) {
		struct vu_ring *ring = &c->ring[i];
		ring->index = i;
		ring->at = i * RING_BYTES;
		ring->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ring->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ring->err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
}

void vu_destroy(struct vu_client *c)
{
	vu_disconnect(c);
	munmap(c->memory, VU_MEMORY_BYTES);
	close(c->memory_fd);
	if (c->inflight_fd >= 0)
		close(c->inflight_fd);
	for (unsigned i = 0; i < VU_RINGS; i++) {
		close(c->ring[i].kick);
		close(c->ring[i].call);
		close(c->ring[i].err);
	}
}

void vu_connect(struct vu_client *c, const struct served *server)
{
	for (unsigned i = 0; i < VU_TIMEOUT_MS / 10; i++) {
		c->fd = socket_connect(server->socket);
		if (c->fd >= 0) {
			c->protocol_features = 0;
			/* One client at a time: after the last one left, it takes a moment. */
			struct pollfd hang_up = {.fd = c->fd, .events = POLLIN};
			if (poll(&hang_up, 1, 20) == 0)
				return;
			close(c->fd);
			c->fd = -1;
		}
		if (program_ends(&server->child, 0.01))
			fail_msg("the server has ended\n%s", program_said(&server->child));
	}
	fail_msg("no connection to %s", server->socket);
}

void vu_disconnect(struct vu_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	if (c->backend >= 0)
		close(c->backend);
	c->fd = c->backend = -1;
}

/* ---- messages ---- */

/* The server may have hung up on what came before. */
void vu_send_raw(struct vu_client *c, const void *data, size_t bytes, const int *fds, unsigned count)
{
	socket_send(c->fd, data, bytes, fds, count);
}

void vu_send(struct vu_client *c, uint32_t request, uint32_t flags, const void *payload, uint32_t bytes,
	     const int *fds, unsigned count)
{
	uint8_t message[12 + 4096];
	assert_true(bytes <= 4096);
	store_le32(message, request);
	store_le32(message + 4, flags);
	store_le32(message + 8, bytes);
	if (bytes != 0)
		memcpy(message + 12, payload, bytes);
	vu_send_raw(c, message, 12 + bytes, fds, count);
}

/* Returns less than `bytes` only at the end of the connection. */
static size_t receive(struct vu_client *c, void *data, size_t bytes, int *fd)
{
	size_t done = 0;
	while (done < bytes) {
		union {
			char bytes[CMSG_SPACE(4 * sizeof(int))];
			struct cmsghdr align;
		} control = {0};
		struct pollfd ready = {.fd = c->fd, .events = POLLIN};
		struct iovec piece = {(uint8_t *)data + done, bytes - done};
		struct msghdr header = {.msg_iov = &piece,
					.msg_iovlen = 1,
					.msg_control = control.bytes,
					.msg_controllen = sizeof(control.bytes)};
		if (poll(&ready, 1, VU_TIMEOUT_MS) != 1)
			fail_msg("the server does not answer");
		ssize_t got = recvmsg(c->fd, &header, MSG_CMSG_CLOEXEC);
		if (got == 0 || (got < 0 && errno == ECONNRESET))
			return done;
		assert_true(got > 0);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
		if (cmsg) {
			assert_non_null(fd);
			memcpy(fd, CMSG_DATA(cmsg), sizeof(*fd));
		}
		done += (size_t)got;
	}
	return done;
}

void vu_reply(struct vu_client *c, uint32_t request, void *payload, uint32_t bytes, int *fd)
{
	uint8_t header[12];
	if (fd)
		*fd = -1;
	if (receive(c, header, sizeof(header), fd) != sizeof(header))
		fail_msg("the server hung up instead of answering request %u", request);
	assert_int_equal(load_le32(header), request);
	assert_int_equal(load_le32(header + 4), 0x5); /* version 1, reply, and nothing else */
	assert_int_equal(load_le32(header + 8), bytes);
	assert_int_equal(receive(c, payload, bytes, NULL), bytes);
}

bool vu_hung_up(struct vu_client *c)
{
	uint8_t byte;
	return receive(c, &byte, 1, NULL) == 0;
}

uint64_t vu_ask(struct vu_client *c, uint32_t request, const void *payload, uint32_t bytes, const int *fds,
		unsigned count)
{
	bool acknowledged = c->protocol_features >> 3 & 1;
	uint8_t answer[8] = {0};
	vu_send(c, request, acknowledged ? 0x9 : 0x1, payload, bytes, fds, count);
	if (acknowledged)
		vu_reply(c, request, answer, sizeof(answer), NULL);
	return load_le64(answer);
}

uint64_t vu_get_u64(struct vu_client *c, uint32_t request)
{
	uint8_t answer[8];
	vu_send(c, request, 0x1, NULL, 0, NULL, 0);
	vu_reply(c, request, answer, sizeof(answer), NULL);
	return load_le64(answer);
}

void vu_set_u64(struct vu_client *c, uint32_t request, uint64_t value)
{
	uint8_t payload[8];
	store_le64(payload, value);
	assert_int_equal(vu_ask(c, request, payload, sizeof(payload), NULL, 0), 0);
}

uint64_t vu_state(struct vu_client *c, uint32_t request, uint32_t index, uint32_t value)
{
	uint8_t payload[8];
	store_le32(payload, index);
	store_le32(payload + 4, value);
	return vu_ask(c, request, payload, sizeof(payload), NULL, 0);
}

/* ---- steps of the protocol ---- */

void vu_negotiate(struct vu_client *c, uint64_t without, uint64_t protocol_without)
{
	uint64_t features = vu_get_u64(c, 1);
	assert_true(features >> 30 & 1);
	uint64_t protocol = vu_get_u64(c, 15) & ~protocol_without;
	vu_set_u64(c, 16, protocol);
	c->protocol_features = protocol;
	vu_send(c, 3, 0x1, NULL, 0, NULL, 0);
	vu_set_u64(c, 2, features & ~without);
}

void vu_set_table(struct vu_client *c)
{
	uint8_t table[8 + 32] = {1};
	store_le64(table + 8, VU_GUEST_BASE);
	store_le64(table + 16, VU_MEMORY_BYTES);
	store_le64(table + 24, VU_USER_BASE);
	assert_int_equal(vu_ask(c, 5, table, sizeof(table), &c->memory_fd, 1), 0);
}

static void set_fd(struct vu_client *c, uint32_t request, unsigned ring, int fd)
{
	uint8_t payload[8];
	store_le64(payload, ring);
	assert_int_equal(vu_ask(c, request, payload, sizeof(payload), &fd, 1), 0);
}

void vu_start_ring(struct vu_client *c, unsigned index, uint16_t size, uint16_t base)
{
	struct vu_ring *ring = &c->ring[index];
	uint64_t at = VU_USER_BASE + ring->at;
	uint8_t addr[40] = {(uint8_t)index};
	ring->size = size;
	ring->requests = size / 3;
	assert_int_equal(vu_state(c, 8, index, size), 0);
	assert_int_equal(vu_state(c, 10, index, base), 0);
	store_le64(addr + 8, at);
	store_le64(addr + 16, at + USED_OFFSET);
	store_le64(addr + 24, at + AVAIL_OFFSET);
	assert_int_equal(vu_ask(c, 9, addr, sizeof(addr), NULL, 0), 0);
	set_fd(c, 13, index, ring->call);
	set_fd(c, 14, index, ring->err);
	set_fd(c, 12, index, ring->kick);
	assert_int_equal(vu_state(c, 18, index, 1), 0);
}

uint16_t vu_stop_ring(struct vu_client *c, unsigned ring)
{
	uint8_t state[8] = {(uint8_t)ring};
	vu_send(c, 11, 0x1, state, sizeof(state), NULL, 0);
	vu_reply(c, 11, state, sizeof(state), NULL);
	assert_int_equal(load_le32(state), ring);
	assert_true(load_le32(state + 4) <= UINT16_MAX);
	return (uint16_t)load_le32(state + 4);
}

void vu_get_inflight(struct vu_client *c, uint16_t queues, uint16_t size)
{
	uint8_t area[24] = {0};
	store_le16(area + 16, queues);
	store_le16(area + 18, size);
	vu_send(c, 31, 0x1, area, sizeof(area), NULL, 0);
	if (c->inflight_fd >= 0)
		close(c->inflight_fd);
	vu_reply(c, 31, c->inflight, sizeof(c->inflight), &c->inflight_fd);
	assert_true(c->inflight_fd >= 0);
}

void vu_set_inflight(struct vu_client *c)
{
	assert_int_equal(vu_ask(c, 32, c->inflight, sizeof(c->inflight), &c->inflight_fd, 1), 0);
}

void vu_open(struct vu_client *c, const struct served *server)
{
	vu_create(c);
	vu_connect(c, server);
	vu_negotiate(c, 0, 0);
}

void vu_begin(struct vu_client *c, const struct served *server, unsigned rings, uint16_t size)
{
	vu_open(c, server);
	vu_set_table(c);
	for (unsigned i = 0; i < rings; i++)
		vu_start_ring(c, i, size, 0);
}

/* ---- I/O ---- */

static uint8_t *ring_memory(struct vu_client *c, unsigned ring, uint64_t offset)
{
	return c->memory + c->ring[ring].at + offset;
}

static uint64_t guest_address(struct vu_client *c, const uint8_t *at)
{
	return VU_GUEST_BASE + (uint64_t)(at - c->memory);
}

void vu_clear_ring(struct vu_client *c, unsigned index, uint16_t start)
{
	struct vu_ring *ring = &c->ring[index];
	memset(ring_memory(c, index, 0), 0, HEADER_OFFSET);
	store_le16(ring_memory(c, index, AVAIL_OFFSET + 2), start);
	store_le16(ring_memory(c, index, USED_OFFSET + 2), start);
	ring->avail_next = ring->used_next = start;
	memset(ring->request, 0, sizeof(ring->request));
	ring->outstanding = 0;
}

uint8_t *vu_data(struct vu_client *c, unsigned ring, unsigned slot)
{
	return ring_memory(c, ring, DATA_OFFSET + slot * (uint64_t)VU_DATA_BYTES);
}

uint8_t vu_status(struct vu_client *c, unsigned ring, unsigned slot)
{
	return *(volatile uint8_t *)ring_memory(c, ring, STATUS_OFFSET + slot);
}

static void set_desc(struct vu_client *c, unsigned ring, unsigned index, const uint8_t *at, uint32_t bytes,
		     uint16_t flags)
{
	uint8_t *desc = ring_memory(c, ring, 16u * index);
	store_le64(desc, guest_address(c, at));
	store_le32(desc + 8, bytes);
	store_le16(desc + 12, flags);
	store_le16(desc + 14, (uint16_t)(index + 1));
}

void vu_submit(struct vu_client *c, unsigned index, unsigned slot, uint32_t type, uint64_t sector)
{
	struct vu_ring *ring = &c->ring[index];
	struct vu_request *request = &ring->request[slot];
	uint8_t *header = ring_memory(c, index, HEADER_OFFSET + 16u * slot);
	uint8_t *status = ring_memory(c, index, STATUS_OFFSET + slot);
	assert_true(slot < ring->requests && !request->out);
	store_le32(header, type);
	store_le32(header + 4, 0);
	store_le64(header + 8, sector);
	*status = 0xff;
	set_desc(c, index, 3 * slot, header, 16, 1);
	if (type == VIRTIO_BLK_T_FLUSH) {
		set_desc(c, index, 3 * slot + 1, status, 1, 2);
	} else {
		set_desc(c, index, 3 * slot + 1, vu_data(c, index, slot), VU_DATA_BYTES,
			 type == VIRTIO_BLK_T_IN ? 3 : 1);
		set_desc(c, index, 3 * slot + 2, status, 1, 2);
	}
	*request = (struct vu_request){.out = true};
	ring->outstanding++;
	store_le16(ring_memory(c, index, AVAIL_OFFSET + 4 + 2u * (ring->avail_next % ring->size)),
		   (uint16_t)(3 * slot));
	ring->avail_next++;
	__atomic_store_n((uint16_t *)(void *)ring_memory(c, index, AVAIL_OFFSET + 2), ring->avail_next,
			 __ATOMIC_SEQ_CST);
}

void vu_kick(struct vu_client *c, unsigned ring)
{
	uint64_t one = 1;
	assert_int_equal(write(c->ring[ring].kick, &one, sizeof(one)), sizeof(one));
}

unsigned vu_take(struct vu_client *c, unsigned index)
{
	struct vu_ring *ring = &c->ring[index];
	unsigned count = 0;
	while (__atomic_load_n((uint16_t *)(void *)ring_memory(c, index, USED_OFFSET + 2),
			       __ATOMIC_ACQUIRE) != ring->used_next) {
		const uint8_t *element =
			ring_memory(c, index, USED_OFFSET + 4 + 8u * (ring->used_next % ring->size));
		uint32_t head = load_le32(element);
		ring->used_next++;
		count++;
		assert_int_equal(head % 3, 0);
		assert_true(head / 3 < ring->requests);
		struct vu_request *request = &ring->request[head / 3];
		if (!request->out)
			fail_msg("ring %u: head %u comes back a second time", index, head);
		request->out = false;
		request->completions++;
		ring->outstanding--;
	}
	/* Interrupt for the next one, please. */
	store_le16(ring_memory(c, index, AVAIL_OFFSET + 4 + 2u * ring->size), ring->used_next);
	return count;
}

bool vu_signalled(int fd, int timeout_ms)
{
	uint64_t count;
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	if (poll(&ready, 1, timeout_ms) != 1)
		return false;
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	return true;
}

void vu_wait(struct vu_client *c, unsigned ring)
{
	while (vu_take(c, ring), c->ring[ring].outstanding != 0) {
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (vu_take(c, ring) == 0 && !vu_signalled(c->ring[ring].call, VU_TIMEOUT_MS))
			fail_msg("ring %u: %u requests do not come back", ring, c->ring[ring].outstanding);
	}
}

void vu_pattern(uint8_t *data, uint64_t seed, unsigned slot)
{
	uint64_t state = seed * 1000 + slot;
	for (unsigned i = 0; i < VU_DATA_BYTES; i += 8)
		store_le64(data + i, splitmix64(&state));
}

static void run(struct vu_client *c, unsigned ring, unsigned count, uint32_t type, uint64_t sector)
{
	for (unsigned slot = 0; slot < count; slot++)
		vu_submit(c, ring, slot, type, sector + 8u * slot);
	vu_kick(c, ring);
	vu_wait(c, ring);
	for (unsigned slot = 0; slot < count; slot++)
		assert_int_equal(vu_status(c, ring, slot), VIRTIO_BLK_S_OK);
}

void vu_write(struct vu_client *c, unsigned ring, unsigned count, uint64_t sector, uint64_t seed)
{
	for (unsigned slot = 0; slot < count; slot++)
		vu_pattern(vu_data(c, ring, slot), seed, slot);
	run(c, ring, count, VIRTIO_BLK_T_OUT, sector);
}

void vu_check(struct vu_client *c, unsigned ring, unsigned count, uint64_t sector, uint64_t seed)
{
	uint8_t expected[VU_DATA_BYTES];
	for (unsigned slot = 0; slot < count; slot++)
		memset(vu_data(c, ring, slot), 0xee, VU_DATA_BYTES);
	run(c, ring, count, VIRTIO_BLK_T_IN, sector);
	for (unsigned slot = 0; slot < count; slot++) {
		vu_pattern(expected, seed, slot);
		assert_memory_equal(vu_data(c, ring, slot), expected, VU_DATA_BYTES);
	}
}
