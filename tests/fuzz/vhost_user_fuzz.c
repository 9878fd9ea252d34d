/* libFuzzer target: vhost-user messages, and their handlers, as far as they go without a card.
 *
 * The input is a byte whose lowest bit asks for a good start, and a series of messages: a byte for the number of descriptors and their kinds, a byte for how much of the payload
 * follows, the header, the payload. The card's side is a stub, which checks what the
 * handlers have to have checked. */
#include "tests/unit/host-sim/serve/vhost_user_stub.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGES_MAX 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- messages ---- */

static int descriptor(uint8_t kind)
{
	int fd, pair[2];
	switch (kind % 4) {
	case 0: return eventfd(0, EFD_CLOEXEC);
	case 1:
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		CHECK(fd >= 0 && ftruncate(fd, 1 << 16) == 0);
		return fd;
	case 2: return open("/dev/null", O_RDONLY | O_CLOEXEC);
	default:
		CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
		close(pair[1]);
		return pair[0];
	}
}

static size_t take(const uint8_t **data, size_t *size, void *to, size_t bytes)
{
	size_t have = bytes < *size ? bytes : *size;
	if (have != 0)
		memcpy(to, *data, have);
	*data += have;
	*size -= have;
	return have;
}

/* What comes first is likely to be a sensible message: version and flags, and the size that the request has. */
static void shape(struct vhost_user_header *header, uint8_t how)
{
	const struct vhost_user_request_info *info = vhost_user_request_info(header->request % 48);
	if (how & 1)
		header->request %= 48;
	if (how & 2)
		header->flags = how & 4 ? 0x9 : 0x1;
	if (how & 8)
		header->size = how & 16 ? info->bytes_max : info->bytes_min;
}

static void check_reply(const struct vhost_user_message *message, struct vhost_user_reply *reply)
{
	CHECK(reply->message.header.request == message->header.request);
	CHECK(reply->message.header.flags == 0x5);
	CHECK(reply->message.header.size <= VHOST_USER_PAYLOAD_BYTES);
	if (reply->fd >= 0)
		CHECK(close(reply->fd) == 0);
}

static bool one_message(struct vhost_user_session *session, const uint8_t **data, size_t *size)
{
	static struct vhost_user_reply reply;
	struct vhost_user_message message = {0};
	struct channel_fds fds = {.count = 0};
	uint8_t kinds[2];
	if (take(data, size, kinds, sizeof(kinds)) != sizeof(kinds) ||
	    take(data, size, &message.header, sizeof(message.header)) != sizeof(message.header))
		return false;
	shape(&message.header, kinds[1]);
	if (vhost_user_header_check(&message.header))
		return false;
	/* The payload is received whole or the connection is over: what is not in the input is zero. */
	take(data, size, message.payload.bytes, message.header.size);
	for (fds.count = 0; fds.count < (kinds[0] & 15u); fds.count++)
		fds.fd[fds.count] = descriptor((uint8_t)((kinds[0] >> 4) + fds.count / 4));
	enum vhost_user_outcome outcome = vhost_user_session_handle(session, &message, &fds, &reply);
	for (unsigned i = 0; i < fds.count; i++)
		if (fds.fd[i] >= 0)
			CHECK(close(fds.fd[i]) == 0);
	if (outcome == VHOST_USER_ANSWER)
		check_reply(&message, &reply);
	vhost_user_session_settle(session);
	return outcome != VHOST_USER_HANG_UP;
}

static void good_message(struct vhost_user_session *session, uint32_t request, const void *payload,
			 uint32_t bytes, int fd)
{
	static struct vhost_user_reply reply;
	struct vhost_user_message message = {.header = {request, VHOST_USER_VERSION, bytes}};
	struct channel_fds fds = {.fd = {fd}, .count = fd >= 0};
	memcpy(message.payload.bytes, payload, bytes);
	CHECK(vhost_user_session_handle(session, &message, &fds, &reply) == VHOST_USER_SILENT);
	channel_close_fds(&fds);
}

/* What random messages would hardly find: everything negotiated, memory, a ring that runs. */
static void good_start(struct vhost_user_session *session)
{
	const uint64_t all = STUB_FEATURES, ring = 0;
	const uint64_t protocol = UINT64_C(0x1b229); /* all that is offered */
	const struct vhost_user_vring_state state = {0, 1}, size = {0, 128};
	const struct vhost_user_single_region memory = {.region = {0, 1 << 16, 0x10000, 0}};
	const struct vhost_user_vring_addr addr = {.desc = 0x10000, .used = 0x12000, .avail = 0x11000};
	const struct vhost_user_inflight_area area = {1 << 14, 0, STUB_QUEUES, 128};
	good_message(session, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol, sizeof(protocol), -1);
	good_message(session, VHOST_USER_SET_FEATURES, &all, sizeof(all), -1);
	good_message(session, VHOST_USER_ADD_MEM_REG, &memory, sizeof(memory), descriptor(1));
	good_message(session, VHOST_USER_SET_INFLIGHT_FD, &area, sizeof(area), descriptor(1));
	good_message(session, VHOST_USER_SET_VRING_NUM, &size, sizeof(size), -1);
	good_message(session, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	good_message(session, VHOST_USER_SET_VRING_KICK, &ring, sizeof(ring), descriptor(0));
	good_message(session, VHOST_USER_SET_VRING_ENABLE, &state, sizeof(state), -1);
	vhost_user_session_settle(session);
	CHECK(session->card->ring[0].on_card);
}

/* The lowest free descriptor tells whether any was left open. */
static int free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct stub stub;
	static struct vhost_user_card card;
	static struct vhost_user_session session;
	int before = free_fd();
	stub_create(&stub, &card);
	vhost_user_session_begin(&session, &card);
	uint8_t how = 0;
	take(&data, &size, &how, sizeof(how));
	if (how & 1)
		good_start(&session);
	for (unsigned i = 0; i < MESSAGES_MAX && one_message(&session, &data, &size); i++)
		;
	vhost_user_session_end(&session);
	CHECK(stub.card.guest.memory.regions == 0);
	free(stub.card.guest.memory.region);
	CHECK(free_fd() == before);
	return 0;
}
