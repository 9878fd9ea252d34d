#include "host-sim/connect/vfio_link.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A server that says nothing for so long is taken for dead. */
#define ANSWER_LIMIT_MS 30000
/* A server asks for no more than one read of a card at a time (PCIe: 4 KiB). */
#define ASK_BYTES_MAX 4096u

static void fail(struct vfio_link *link, const char *format, ...) PRINTF_LIKE(2, 3);

static void fail(struct vfio_link *link, const char *format, ...)
{
	va_list args;
	if (link->failure[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(link->failure, sizeof(link->failure), format, args);
	va_end(args);
}

static bool failed(const struct vfio_link *link)
{
	return link->failure[0] != '\0';
}

/* ---- receiving ---- */

static void wait_for(struct vfio_link *link, short events)
{
	struct pollfd poll_fd = {.fd = link->fd, .events = events};
	int result;
	do
		result = poll(&poll_fd, 1, ANSWER_LIMIT_MS);
	while (result < 0 && errno == EINTR);
	if (result == 0)
		fail(link, "the server has not answered for %d s", ANSWER_LIMIT_MS / 1000);
	else if (result < 0)
		fail(link, "%s", strerror(errno));
}

/* Receives exactly `bytes`. */
static void receive_bytes(struct vfio_link *link, void *data, size_t bytes)
{
	uint8_t *to = data;
	while (bytes != 0 && !failed(link)) {
		ssize_t got = recv(link->fd, to, bytes, MSG_DONTWAIT);
		if (got > 0) {
			to += got;
			bytes -= (size_t)got;
		} else if (got == 0 || errno == ECONNRESET) {
			fail(link, "the server has closed the connection");
		} else if (errno == EAGAIN) {
			wait_for(link, POLLIN);
		} else if (errno != EINTR) {
			fail(link, "%s", strerror(errno));
		}
	}
}

/* The next message, owner: caller. NULL if the connection has failed. */
static struct vfio_link_message *receive(struct vfio_link *link)
{
	uint8_t wire[VFIO_USER_HEADER_BYTES];
	struct vfio_user_header header;
	receive_bytes(link, wire, sizeof(wire));
	if (failed(link))
		return NULL;
	const char *reason = vfio_user_get_header(wire, &header);
	struct vfio_link_message *message =
		reason ? NULL : malloc(sizeof(*message) + vfio_user_payload_bytes(&header));
	if (!message) {
		fail(link, "the server has sent %s", reason ? reason : "more than there is memory for");
		return NULL;
	}
	message->next = NULL;
	message->header = header;
	receive_bytes(link, message->payload, vfio_user_payload_bytes(&header));
	if (!failed(link))
		return message;
	free(message);
	return NULL;
}

static bool something_there(const struct vfio_link *link)
{
	struct pollfd poll_fd = {.fd = link->fd, .events = POLLIN};
	return poll(&poll_fd, 1, 0) == 1;
}

/* What the server asks is kept until nothing else is half done. */
static void keep(struct vfio_link *link, struct vfio_link_message *message)
{
	*link->asked_last = message;
	link->asked_last = &message->next;
}

/* ---- sending: a message goes whole or not at all ---- */

static void send_message(struct vfio_link *link, const void *message, size_t bytes, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec piece = {(void *)(uintptr_t)message, bytes};
	struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1};
	if (fd >= 0) {
		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	while (!failed(link)) {
		ssize_t sent = sendmsg(link->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent == (ssize_t)bytes)
			return;
		if (sent >= 0) {
			fail(link, "a message was cut in two");
		} else if (errno == EAGAIN) {
			/* The server may be waiting for us to take something, too. */
			wait_for(link, POLLIN | POLLOUT);
			struct vfio_link_message *asked = something_there(link) ? receive(link) : NULL;
			if (asked)
				keep(link, asked);
		} else if (errno == EPIPE || errno == ECONNRESET) {
			fail(link, "the server has closed the connection");
		} else if (errno != EINTR) {
			fail(link, "%s", strerror(errno));
		}
	}
}

/* ---- the server's own requests ---- */

static void answer(struct vfio_link *link, const struct vfio_link_message *message)
{
	uint8_t reply[VFIO_USER_DMA_MESSAGE_BYTES(ASK_BYTES_MAX)];
	struct vfio_user_header header = message->header;
	struct vfio_user_dma_access access = {0};
	size_t bytes = vfio_user_payload_bytes(&header);
	bool write = header.command == VFIO_USER_DMA_WRITE;
	bool known = write || header.command == VFIO_USER_DMA_READ;
	if (bytes >= sizeof(access))
		memcpy(&access, message->payload, sizeof(access));
	bool fits = bytes >= sizeof(access) && access.count <= ASK_BYTES_MAX &&
		    bytes == sizeof(access) + (write ? access.count : 0);
	uint8_t *data =
		known && fits && link->memory ? memory_at(link->memory, access.addr, access.count) : NULL;
	if (data && write)
		memcpy(data, message->payload + sizeof(access), access.count);
	if (header.flags & VFIO_USER_NO_REPLY)
		return;
	header.bytes = (uint32_t)VFIO_USER_DMA_MESSAGE_BYTES(write ? 0 : access.count);
	header.flags = VFIO_USER_IS_REPLY;
	if (!data) {
		header.bytes = VFIO_USER_HEADER_BYTES;
		header.flags |= VFIO_USER_IS_ERROR;
		header.error = known ? EFAULT : ENOSYS;
	} else if (!write) {
		memcpy(reply + VFIO_USER_HEADER_BYTES + sizeof(access), data, access.count);
	}
	vfio_user_put_header(reply, &header);
	if (data)
		memcpy(reply + VFIO_USER_HEADER_BYTES, &access, sizeof(access));
	send_message(link, reply, header.bytes, -1);
}

static void answer_all(struct vfio_link *link)
{
	while (link->asked) {
		struct vfio_link_message *message = link->asked;
		link->asked = message->next;
		if (!link->asked)
			link->asked_last = &link->asked;
		if ((message->header.flags & VFIO_USER_TYPE_MASK) != VFIO_USER_IS_COMMAND)
			fail(link, "the server has answered what nobody asked");
		else
			answer(link, message);
		free(message);
	}
}

void vfio_link_serve(struct vfio_link *link)
{
	while (!failed(link) && something_there(link)) {
		struct vfio_link_message *message = receive(link);
		if (message)
			keep(link, message);
		answer_all(link);
	}
}

/* ---- requests ---- */

/* Sends a command; with `reply` waits for its answer, of at least `reply_bytes`, which are copied. Returns 0, or -1 with
 * errno, that of an error reply or EIO. */
static int request(struct vfio_link *link, unsigned command, const void *payload, size_t bytes, int fd,
		   void *reply, size_t reply_bytes, bool wait)
{
	uint8_t message[512];
	const struct vfio_user_header header = {
		.id = ++link->id,
		.command = (uint16_t)command,
		.bytes = (uint32_t)(VFIO_USER_HEADER_BYTES + bytes),
		.flags = VFIO_USER_IS_COMMAND | (wait ? 0 : VFIO_USER_NO_REPLY),
	};
	ASSERT(header.bytes <= sizeof(message));
	vfio_user_put_header(message, &header);
	memcpy(message + VFIO_USER_HEADER_BYTES, payload, bytes);
	send_message(link, message, header.bytes, fd);
	while (wait && !failed(link)) {
		struct vfio_link_message *answer = receive(link);
		if (!answer)
			break;
		bool is_reply = (answer->header.flags & VFIO_USER_TYPE_MASK) == VFIO_USER_IS_REPLY;
		if (!is_reply || answer->header.id != header.id) {
			keep(link, answer);
			answer_all(link);
			continue;
		}
		bool bad = answer->header.flags & VFIO_USER_IS_ERROR;
		size_t got = vfio_user_payload_bytes(&answer->header);
		errno = bad && answer->header.error ? (int)answer->header.error : EIO;
		if (!bad && got < reply_bytes)
			fail(link, "a reply to %s that is too short", vfio_user_command_name(command));
		else if (!bad && reply_bytes != 0)
			memcpy(reply, answer->payload, reply_bytes);
		free(answer);
		return bad || failed(link) ? -1 : 0;
	}
	errno = EIO;
	return failed(link) ? -1 : 0;
}

int vfio_link_read(struct vfio_link *link, unsigned region, uint64_t offset, unsigned bytes, void *data)
{
	const struct vfio_user_access access = {.offset = offset, .region = region, .count = bytes};
	uint8_t reply[sizeof(access) + 8];
	ASSERT(bytes <= 8);
	if (request(link, VFIO_USER_REGION_READ, &access, sizeof(access), -1, reply, sizeof(access) + bytes,
		    true) != 0)
		return -1;
	memcpy(data, reply + sizeof(access), bytes);
	return 0;
}

void vfio_link_write(struct vfio_link *link, unsigned region, uint64_t offset, unsigned bytes,
		     const void *data, bool wait)
{
	const struct vfio_user_access access = {.offset = offset, .region = region, .count = bytes};
	uint8_t payload[sizeof(access) + 8];
	ASSERT(bytes <= 8);
	memcpy(payload, &access, sizeof(access));
	memcpy(payload + sizeof(access), data, bytes);
	if (request(link, VFIO_USER_REGION_WRITE, payload, sizeof(access) + bytes, -1, NULL, 0, wait) != 0)
		fail(link, "the server refuses a write of %u bytes to region %u: %s", bytes, region,
		     strerror(errno));
}

void vfio_link_set_irqs(struct vfio_link *link, const struct vfio_user_set_irqs *set, int fd)
{
	if (request(link, VFIO_USER_SET_IRQS, set, sizeof(*set), fd, NULL, 0, true) != 0)
		fail(link, "the server refuses interrupt %u of index %u: %s", set->start, set->index,
		     strerror(errno));
}

int vfio_link_dma_map(struct vfio_link *link, const struct vfio_user_dma_map *map, int fd)
{
	int result = request(link, VFIO_USER_DMA_MAP, map, sizeof(*map), fd, NULL, 0, true);
	if (result != 0)
		fail(link, "the server refuses the guest's memory: %s", strerror(errno));
	return result;
}

/* ---- start ---- */

static int agree(struct vfio_link *link)
{
	const struct vfio_user_version offer = {
		.minor = 1,
		.max_msg_fds = VFIO_USER_FDS_MAX,
		.max_data_xfer_size = VFIO_USER_TRANSFER_MAX,
		.max_dma_maps = VFIO_USER_MAPS_MAX,
		.pgsizes = VFIO_USER_PAGE_BYTES,
	};
	uint8_t payload[4 + VFIO_USER_JSON_MAX];
	uint16_t version[2] = {UINT16_MAX};
	size_t bytes = vfio_user_put_version(&offer, payload, sizeof(payload));
	if (request(link, VFIO_USER_VERSION, payload, bytes, -1, version, sizeof(version), true) != 0)
		return -1;
	return version[0] == 0 ? 0 : -1;
}

static int ask(struct vfio_link *link)
{
	struct vfio_user_device_info info = {.argsz = sizeof(info)};
	struct vfio_user_irq_info irq = {.argsz = sizeof(irq), .index = VFIO_USER_IRQ_MSIX};
	if (request(link, VFIO_USER_GET_INFO, &info, sizeof(info), -1, &info, sizeof(info), true) != 0 ||
	    request(link, VFIO_USER_GET_IRQ_INFO, &irq, sizeof(irq), -1, &irq, sizeof(irq), true) != 0)
		return -1;
	link->msix_vectors = irq.count;
	for (unsigned i = 0; i < ARRAY_SIZE(link->bar_bytes); i++) {
		struct vfio_user_region_info region = {.argsz = sizeof(region), .index = i};
		if (request(link, VFIO_USER_GET_REGION_INFO, &region, sizeof(region), -1, &region,
			    sizeof(region), true) != 0)
			return -1;
		link->bar_bytes[i] = region.bytes;
	}
	return info.flags & VFIO_USER_INFO_PCI ? 0 : -1;
}

int vfio_link_open(struct vfio_link *link, const char *path, char *error, size_t error_size)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	*link = (struct vfio_link){.fd = -1};
	link->asked_last = &link->asked;
	if (strlen(path) >= sizeof(addr.sun_path)) {
		snprintf(error, error_size, "%.100s…: too long for a socket path", path);
		return -1;
	}
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (link->fd < 0 || connect(link->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
		snprintf(error, error_size, "%s: cannot connect: %s; start `kickstand serve --vfio-user %s`",
			 path, strerror(errno), path);
		vfio_link_close(link);
		return -1;
	}
	if (agree(link) == 0 && ask(link) == 0)
		return 0;
	snprintf(error, error_size, "%s: %s; is it a vfio-user server, and no other client there?", path,
		 failed(link) ? link->failure : "the server offers no such device");
	vfio_link_close(link);
	return -1;
}

void vfio_link_close(struct vfio_link *link)
{
	while (link->asked) {
		struct vfio_link_message *message = link->asked;
		link->asked = message->next;
		free(message);
	}
	link->asked_last = &link->asked;
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
}
