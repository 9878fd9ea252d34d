#include "tests/e2e/vfio_user_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS 20000
#define PIECES_MAX 8u

/* In the client's memory. */
#define DESC_OFFSET   0x0000u
#define AVAIL_OFFSET  0x1000u
#define USED_OFFSET   0x2000u
#define HEADER_OFFSET 0x3000u
#define STATUS_OFFSET 0x4000u
#define TABLE_OFFSET  0x5000u /* an indirect table per request */
#define TABLE_BYTES   256u

struct served vf_serve(const char *options)
{
	return served_start("--vfio-user", options);
}

unsigned vf_fds_with_client(const struct served *server)
{
	struct vf_client c;
	vf_open(&c, server);
	assert_int_equal(vf_read(&c, VF_CONFIG, 0, 4), 0x10421af4);
	unsigned fds = served_fds(server);
	assert_int_equal(served_mappings(server), 0);
	vf_close(&c);
	return fds;
}

/* ---- messages ---- */

void vf_send_bytes(struct vf_client *c, const void *bytes, size_t size, const int *fds, unsigned fd_count)
{
	assert_true(socket_send(c->fd, bytes, size, fds, fd_count));
}

void vf_send_raw(struct vf_client *c, uint16_t id, uint16_t command, uint32_t size, uint32_t flags,
		 const void *payload, size_t payload_bytes, const int *fds, unsigned fd_count)
{
	uint8_t *message = malloc(16 + payload_bytes);
	assert_non_null(message);
	memset(message, 0, 16);
	memcpy(message, &id, 2);
	memcpy(message + 2, &command, 2);
	memcpy(message + 4, &size, 4);
	memcpy(message + 8, &flags, 4);
	if (payload_bytes != 0)
		memcpy(message + 16, payload, payload_bytes);
	vf_send_bytes(c, message, 16 + payload_bytes, fds, fd_count);
	free(message);
}

static void take_fds(struct msghdr *header, struct vf_message *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_type != SCM_RIGHTS)
			continue;
		message->fds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(message->fd, CMSG_DATA(c), message->fds * sizeof(int));
	}
}

static bool receive_bytes(struct vf_client *c, void *bytes, size_t size, struct vf_message *message)
{
	union {
		char bytes[CMSG_SPACE(64 * sizeof(int))];
		struct cmsghdr align;
	} control;
	for (size_t done = 0; done < size;) {
		struct iovec piece = {(uint8_t *)bytes + done, size - done};
		struct msghdr header = {.msg_iov = &piece,
					.msg_iovlen = 1,
					.msg_control = control.bytes,
					.msg_controllen = sizeof(control.bytes)};
		struct pollfd ready = {.fd = c->fd, .events = POLLIN};
		assert_int_equal(poll(&ready, 1, TIMEOUT_MS), 1);
		ssize_t got = recvmsg(c->fd, &header, MSG_CMSG_CLOEXEC);
		if (got <= 0) {
			assert_true(got == 0 || errno == ECONNRESET);
			assert_int_equal(done, 0);
			return false;
		}
		/* QEMU wants the header in one piece. */
		assert_true(done != 0 || size != 16 || got == 16);
		take_fds(&header, message);
		done += (size_t)got;
	}
	return true;
}

bool vf_receive(struct vf_client *c)
{
	uint8_t header[16];
	struct vf_message *m = &c->last;
	m->fds = 0;
	if (!receive_bytes(c, header, sizeof(header), m))
		return false;
	memcpy(&m->id, header, 2);
	memcpy(&m->command, header + 2, 2);
	memcpy(&m->size, header + 4, 4);
	memcpy(&m->flags, header + 8, 4);
	memcpy(&m->error, header + 12, 4);
	assert_true(m->size >= 16 && m->size - 16 <= sizeof(m->payload));
	if (m->size > 16)
		assert_true(receive_bytes(c, m->payload, m->size - 16, m));
	return true;
}

bool vf_is_closed(struct vf_client *c)
{
	struct pollfd ready = {.fd = c->fd, .events = POLLIN};
	char byte;
	assert_int_equal(poll(&ready, 1, TIMEOUT_MS), 1);
	return recv(c->fd, &byte, 1, 0) <= 0;
}

bool vf_is_silent(struct vf_client *c)
{
	struct pollfd ready = {.fd = c->fd, .events = POLLIN};
	return poll(&ready, 1, 200) == 0;
}

/* ---- the server's own requests ---- */

static uint8_t *memory_at(const struct vf_client *c, uint64_t addr, uint64_t bytes)
{
	assert_true(addr >= VF_BASE && addr - VF_BASE <= VF_MEMORY_BYTES &&
		    bytes <= VF_MEMORY_BYTES - (addr - VF_BASE));
	return c->memory + (addr - VF_BASE);
}

static void answer_read(struct vf_client *c, const struct vf_message *m)
{
	uint8_t reply[16 + 4096 + 16] = {0};
	uint64_t addr, count;
	memcpy(&addr, m->payload, 8);
	memcpy(&count, m->payload + 8, 8);
	assert_int_equal(m->size, 32);
	assert_true(count <= 4096);
	memcpy(reply, m->payload, 16);
	memcpy(reply + (c->share == VF_MESSAGES_QEMU ? 12 : 16), memory_at(c, addr, count), count);
	vf_send_raw(c, m->id, m->command, (uint32_t)(32 + count), VF_REPLY, reply, 16 + count, NULL, 0);
}

/* As QEMU, whose error replies do not look at the flag. */
static void refuse(struct vf_client *c, const struct vf_message *m)
{
	uint8_t reply[16];
	store_le16(reply, m->id);
	store_le16(reply + 2, m->command);
	store_le32(reply + 4, sizeof(reply));
	store_le32(reply + 8, VF_REPLY | VF_ERROR);
	store_le32(reply + 12, ENODEV);
	vf_send_bytes(c, reply, sizeof(reply), NULL, 0);
}

static void take_write(struct vf_client *c, const struct vf_message *m)
{
	uint64_t addr;
	uint32_t count;
	memcpy(&addr, m->payload, 8);
	memcpy(&count, m->payload + 8, 4);
	assert_int_equal(m->size, 32 + count);
	if (c->refuse_writes && count != 0) {
		refuse(c, m);
		return;
	}
	memcpy(memory_at(c, addr, count), m->payload + (c->share == VF_MESSAGES_QEMU ? 12 : 16), count);
	if (m->flags & VF_NO_REPLY)
		return;
	vf_send_raw(c, m->id, m->command, c->share == VF_MESSAGES_QEMU ? 16 : 32, VF_REPLY, m->payload,
		    c->share == VF_MESSAGES_QEMU ? 0 : 16, NULL, 0);
}

static void answer_kept(struct vf_client *c)
{
	if (c->has_kept)
		answer_read(c, &c->kept);
	c->has_kept = false;
}

/* Handles a request in c->last. */
static void serve_one(struct vf_client *c)
{
	assert_int_equal(c->last.flags & 0xf, 0);
	assert_true(c->share != VF_SHARED);
	if (c->last.command == VF_DMA_WRITE) {
		answer_kept(c);
		take_write(c, &c->last);
		c->dma_writes++;
		return;
	}
	assert_int_equal(c->last.command, VF_DMA_READ);
	c->dma_reads++;
	if (c->backwards && !c->has_kept) {
		struct pollfd ready = {.fd = c->fd, .events = POLLIN};
		c->kept = c->last;
		c->has_kept = true;
		if (poll(&ready, 1, 5) == 1)
			return; /* until the next has been answered */
	} else {
		answer_read(c, &c->last);
	}
	answer_kept(c);
}

static bool serve_some(struct vf_client *c, int timeout_ms)
{
	struct pollfd ready = {.fd = c->fd, .events = POLLIN};
	if (poll(&ready, 1, timeout_ms) != 1)
		return false;
	assert_true(vf_receive(c));
	serve_one(c);
	return true;
}

void vf_settle(struct vf_client *c)
{
	while (serve_some(c, 500))
		;
}

/* ---- calls ---- */

uint32_t vf_call(struct vf_client *c, uint16_t command, const void *payload, size_t bytes, const int *fds,
		 unsigned fd_count)
{
	uint16_t id = c->zero_ids ? 0 : ++c->id;
	vf_send_raw(c, id, command, (uint32_t)(16 + bytes), 0, payload, bytes, fds, fd_count);
	for (;;) {
		assert_true(vf_receive(c));
		if ((c->last.flags & 0xf) == VF_REPLY)
			break;
		serve_one(c);
	}
	answer_kept(c);
	assert_int_equal(c->last.id, id);
	assert_int_equal(c->last.command, command);
	if (c->last.flags == VF_REPLY) {
		assert_int_equal(c->last.error, 0);
		return 0;
	}
	assert_int_equal(c->last.flags, VF_REPLY | VF_ERROR);
	assert_int_equal(c->last.size, 16);
	assert_true(c->last.error != 0);
	return c->last.error;
}

void vf_connect(struct vf_client *c, const struct served *server)
{
	memset(c, 0, sizeof(*c));
	c->memory_fd = c->call = -1;
	c->features = UINT64_C(3) << 32 | 1u << 28; /* VERSION_1, ACCESS_PLATFORM, indirect descriptors */
	c->fd = socket_connect(server->socket);
	assert_true(c->fd >= 0);
}

void vf_hello(struct vf_client *c)
{
	static const char payload[] =
		"\0\0\1\0{\"capabilities\":{\"max_msg_fds\":16,\"write_multiple\":true}}";
	assert_int_equal(vf_call(c, VF_VERSION, payload, sizeof(payload), NULL, 0), 0);
}

void vf_open(struct vf_client *c, const struct served *server)
{
	vf_connect(c, server);
	vf_hello(c);
}

void vf_close(struct vf_client *c)
{
	close(c->fd);
	if (c->memory)
		munmap(c->memory, VF_MEMORY_BYTES);
	if (c->memory_fd >= 0)
		close(c->memory_fd);
	if (c->call >= 0)
		close(c->call);
}

uint32_t vf_map(struct vf_client *c, uint64_t addr, uint64_t bytes, int fd, uint64_t offset, uint32_t flags)
{
	uint8_t payload[32];
	store_le32(payload, 32);
	store_le32(payload + 4, flags);
	store_le64(payload + 8, offset);
	store_le64(payload + 16, addr);
	store_le64(payload + 24, bytes);
	uint32_t error = vf_call(c, VF_DMA_MAP, payload, sizeof(payload), &fd, fd >= 0);
	if (!error)
		assert_int_equal(c->last.size, 16);
	return error;
}

uint32_t vf_unmap(struct vf_client *c, uint64_t addr, uint64_t bytes, uint32_t flags)
{
	uint8_t payload[24];
	store_le32(payload, 24);
	store_le32(payload + 4, flags);
	store_le64(payload + 8, addr);
	store_le64(payload + 16, bytes);
	uint32_t error = vf_call(c, VF_DMA_UNMAP, payload, sizeof(payload), NULL, 0);
	if (!error) {
		assert_int_equal(c->last.size, 40); /* the Rust crate waits for exactly so much */
		assert_memory_equal(c->last.payload, payload, 24);
	}
	return error;
}

uint32_t vf_irqs(struct vf_client *c, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		 const int *fds, unsigned fd_count)
{
	uint32_t payload[5 + 64] = {20, flags, index, start, count};
	size_t bytes = 20;
	if (flags & VF_BOOL) {
		memset(payload + 5, 1, count);
		bytes += count;
	}
	uint32_t error = vf_call(c, VF_SET_IRQS, payload, bytes, fds, fd_count);
	if (!error)
		assert_int_equal(c->last.size, 16);
	return error;
}

uint64_t vf_read(struct vf_client *c, uint32_t region, uint64_t offset, uint32_t bytes)
{
	uint8_t payload[16];
	uint64_t value = 0;
	store_le64(payload, offset);
	store_le32(payload + 8, region);
	store_le32(payload + 12, bytes);
	assert_int_equal(vf_call(c, VF_REGION_READ, payload, sizeof(payload), NULL, 0), 0);
	assert_int_equal(c->last.size, 32 + bytes);
	assert_memory_equal(c->last.payload, payload, 16);
	memcpy(&value, c->last.payload + 16, bytes < 8 ? bytes : 8);
	return value;
}

static void write_message(uint8_t *payload, uint32_t region, uint64_t offset, uint32_t bytes, uint64_t value)
{
	store_le64(payload, offset);
	store_le32(payload + 8, region);
	store_le32(payload + 12, bytes);
	store_le64(payload + 16, value);
}

void vf_write(struct vf_client *c, uint32_t region, uint64_t offset, uint32_t bytes, uint64_t value)
{
	uint8_t payload[24];
	write_message(payload, region, offset, bytes, value);
	assert_int_equal(vf_call(c, VF_REGION_WRITE, payload, 16 + bytes, NULL, 0), 0);
	assert_int_equal(c->last.size, 32);
	assert_memory_equal(c->last.payload, payload, 16);
}

void vf_post(struct vf_client *c, uint32_t region, uint64_t offset, uint32_t bytes, uint64_t value)
{
	uint8_t payload[24];
	write_message(payload, region, offset, bytes, value);
	vf_send_raw(c, ++c->id, VF_REGION_WRITE, 32 + bytes, VF_NO_REPLY, payload, 16 + bytes, NULL, 0);
}

uint32_t vf_capability(struct vf_client *c, uint8_t id)
{
	uint32_t at = (uint32_t)vf_read(c, VF_CONFIG, 0x34, 1);
	for (unsigned i = 0; i < 48 && at != 0; i++) {
		if (vf_read(c, VF_CONFIG, at, 1) == id)
			return at;
		at = (uint32_t)vf_read(c, VF_CONFIG, at + 1, 1);
	}
	fail_msg("no capability %#x", id);
	return 0;
}

int vf_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(fd >= 0);
	return fd;
}

uint64_t vf_wait(int fd, unsigned ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	uint64_t count = 0;
	if (poll(&ready, 1, (int)ms) == 1)
		assert_int_equal(read(fd, &count, 8), 8);
	return count;
}

/* ---- the driver ---- */

void vf_share_memory(struct vf_client *c, enum vf_share share)
{
	c->share = share;
	c->memory_fd = memfd_create("vf_client", MFD_CLOEXEC);
	assert_int_equal(ftruncate(c->memory_fd, VF_MEMORY_BYTES), 0);
	c->memory = mmap(NULL, VF_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, c->memory_fd, 0);
	assert_true(c->memory != MAP_FAILED);
	assert_int_equal(vf_map(c, VF_BASE, VF_MEMORY_BYTES, share == VF_SHARED ? c->memory_fd : -1, 0, 3),
			 0);
}

void vf_begin(struct vf_client *c, const struct served *server, enum vf_share share)
{
	vf_open(c, server);
	vf_share_memory(c, share);
	vf_write(c, VF_CONFIG, 4, 2, 6);
}

void vf_bind_call(struct vf_client *c)
{
	c->call = vf_eventfd();
	vf_write(c, VF_CONFIG, vf_capability(c, 0x11) + 2, 2, 0x8000);
	assert_int_equal(vf_irqs(c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 1, 1, &c->call, 1), 0);
}

static void write_addr(struct vf_client *c, uint32_t offset, uint64_t addr)
{
	vf_post(c, VF_BAR, offset, 4, (uint32_t)addr);
	vf_post(c, VF_BAR, offset + 4, 4, addr >> 32);
}

void vf_start(struct vf_client *c, uint16_t vector)
{
	memset(c->memory, 0, VF_DATA);
	c->avail = c->used = 0;
	vf_post(c, VF_BAR, VF_STATUS, 1, 0);
	while (vf_read(c, VF_BAR, VF_STATUS, 1) != 0)
		;
	vf_post(c, VF_BAR, VF_STATUS, 1, 1);
	vf_post(c, VF_BAR, VF_STATUS, 1, 3);
	vf_post(c, VF_BAR, 8, 4, 0);
	vf_post(c, VF_BAR, 12, 4, (uint32_t)c->features);
	vf_post(c, VF_BAR, 8, 4, 1);
	vf_post(c, VF_BAR, 12, 4, c->features >> 32);
	vf_post(c, VF_BAR, VF_STATUS, 1, 0x0b);
	assert_int_equal(vf_read(c, VF_BAR, VF_STATUS, 1), 0x0b);
	vf_post(c, VF_BAR, 22, 2, 0);
	vf_post(c, VF_BAR, 24, 2, VF_QUEUE_SIZE);
	write_addr(c, 32, VF_BASE + DESC_OFFSET);
	write_addr(c, 40, VF_BASE + AVAIL_OFFSET);
	write_addr(c, 48, VF_BASE + USED_OFFSET);
	vf_post(c, VF_BAR, 26, 2, vector);
	assert_int_equal(vf_read(c, VF_BAR, 26, 2), vector);
	vf_post(c, VF_BAR, 28, 2, 1);
	vf_post(c, VF_BAR, VF_STATUS, 1, 0x0f);
	assert_int_equal(vf_read(c, VF_BAR, VF_STATUS, 1), 0x0f);
}

static void put_desc(uint8_t *at, uint64_t addr, uint32_t bytes, bool writable, unsigned next)
{
	store_le64(at, addr);
	store_le32(at + 8, bytes);
	store_le16(at + 12, (uint16_t)((writable ? 2 : 0) | (next ? 1 : 0)));
	store_le16(at + 14, (uint16_t)next);
}

/* As an indirect table, or copied to the ring's own descriptors, four of them for each of the first 16 requests. */
static void publish_table(struct vf_client *c, unsigned slot, uint64_t table, unsigned count)
{
	uint8_t *desc = c->memory + DESC_OFFSET + 16 * slot;
	if (c->features & 1u << 28) {
		put_desc(desc, VF_BASE + table, 16 * count, false, 0);
		store_le16(desc + 12, 4); /* VIRTQ_DESC_F_INDIRECT */
		store_le16(c->memory + AVAIL_OFFSET + 4 + 2 * slot, (uint16_t)slot);
		return;
	}
	unsigned head = slot % 16 * 4;
	assert_true(count <= 4);
	desc = c->memory + DESC_OFFSET + 16 * head;
	memcpy(desc, c->memory + table, 16 * count);
	for (unsigned i = 0; i + 1 < count; i++)
		store_le16(desc + 16 * i + 14, (uint16_t)(head + i + 1));
	store_le16(c->memory + AVAIL_OFFSET + 4 + 2 * slot, (uint16_t)head);
}

unsigned vf_submit(struct vf_client *c, bool write, uint64_t sector, const struct vf_piece *pieces,
		   unsigned count)
{
	unsigned slot = c->avail % VF_QUEUE_SIZE;
	uint64_t table = TABLE_OFFSET + slot * TABLE_BYTES;
	uint8_t *header = c->memory + HEADER_OFFSET + 16 * slot, *at = c->memory + table;
	assert_true(count <= PIECES_MAX);
	memset(header, 0, 16);
	store_le32(header, write);
	store_le64(header + 8, sector);
	c->memory[STATUS_OFFSET + slot] = 0xff;
	put_desc(at, VF_BASE + HEADER_OFFSET + 16 * slot, 16, false, 1);
	for (unsigned i = 0; i < count; i++)
		put_desc(at + 16 * (i + 1), pieces[i].addr, pieces[i].bytes, !write, i + 2);
	put_desc(at + 16 * (count + 1), VF_BASE + STATUS_OFFSET + slot, 1, true, 0);
	publish_table(c, slot, table, count + 2);
	__atomic_store_n((uint16_t *)(void *)(c->memory + AVAIL_OFFSET + 2), ++c->avail, __ATOMIC_SEQ_CST);
	if (!c->no_doorbell)
		vf_post(c, VF_BAR, VF_NOTIFY, 2, 0);
	return c->avail - 1u;
}

uint16_t vf_used(const struct vf_client *c)
{
	return __atomic_load_n((uint16_t *)(void *)(c->memory + USED_OFFSET + 2), __ATOMIC_SEQ_CST);
}

void vf_wait_used(struct vf_client *c, uint16_t used)
{
	struct timespec begin, now;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	while (vf_used(c) != used) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - begin.tv_sec > TIMEOUT_MS / 1000)
			fail_msg("used index is %u, not %u", vf_used(c), used);
		if (c->share == VF_SHARED)
			usleep(1000);
		else
			serve_some(c, 10);
	}
	c->used = used;
}

uint8_t vf_status(const struct vf_client *c, unsigned request)
{
	return c->memory[STATUS_OFFSET + request % VF_QUEUE_SIZE];
}

void vf_check_read(struct vf_client *c, const char *image, uint64_t sector)
{
	const struct vf_piece piece = {VF_BASE + VF_DATA, 4096};
	uint8_t expected[4096];
	memset(c->memory + VF_DATA, 0xee, sizeof(expected));
	unsigned request = vf_submit(c, false, sector, &piece, 1);
	vf_wait_used(c, (uint16_t)(request + 1));
	int fd = open(image, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, expected, sizeof(expected), (off_t)(sector * 512)), sizeof(expected));
	close(fd);
	assert_int_equal(vf_status(c, request), 0);
	assert_memory_equal(c->memory + VF_DATA, expected, sizeof(expected));
}
