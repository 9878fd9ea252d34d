/* vhost-user messages: layouts, the table of requests, and what makes a message well-formed. No sockets and no state. The
 * protocol is QEMU's docs/interop/vhost-user.rst; numbers are in the byte order of the machine. */
#ifndef KICKSTAND_HOST_SIM_SERVE_VHOST_USER_MSG_H
#define KICKSTAND_HOST_SIM_SERVE_VHOST_USER_MSG_H

#include "pcie/base.h"

#define VHOST_USER_HEADER_BYTES  12u
#define VHOST_USER_PAYLOAD_BYTES 4096u /* more than any message has */
#define VHOST_USER_REGIONS_MAX   8u    /* of SET_MEM_TABLE */
#define VHOST_USER_CONFIG_BYTES  256u

/* vhost_user_header.flags */
#define VHOST_USER_VERSION_MASK 0x3u
#define VHOST_USER_VERSION      0x1u
#define VHOST_USER_REPLY        0x4u
#define VHOST_USER_NEED_REPLY   0x8u

/* Payload of SET_VRING_KICK, _CALL and _ERR. */
#define VHOST_USER_VRING_MASK  0xffu
#define VHOST_USER_VRING_NO_FD 0x100u

/* Feature bit 30, which virtio leaves to us: there are protocol features. */
#define VHOST_USER_F_PROTOCOL_FEATURES 30

enum vhost_user_protocol_feature {
	VHOST_USER_PROTOCOL_F_MQ = 0,
	VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
	VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
	VHOST_USER_PROTOCOL_F_CONFIG = 9,
	VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
	VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
	VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VHOST_USER_PROTOCOL_F_STATUS = 16,
};

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_GET_INFLIGHT_FD = 31,
	VHOST_USER_SET_INFLIGHT_FD = 32,
	VHOST_USER_RESET_DEVICE = 34,
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
	VHOST_USER_SET_STATUS = 39,
	VHOST_USER_GET_STATUS = 40,
	VHOST_USER_REQUESTS, /* one more than the last */
};

/* On the back-end channel, from us to the client. */
enum { VHOST_USER_BACKEND_CONFIG_CHANGE = 2 };

struct vhost_user_header {
	uint32_t request, flags, size; /* size of the payload */
};

struct vhost_user_vring_state {
	uint32_t index, num;
};

/* Addresses are the client's own (user addresses). */
struct vhost_user_vring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};

struct vhost_user_region {
	uint64_t guest, bytes, user, offset; /* of the region in what its descriptor maps */
};

struct vhost_user_table {
	uint32_t count, padding;
	struct vhost_user_region region[VHOST_USER_REGIONS_MAX];
};

struct vhost_user_single_region {
	uint64_t padding;
	struct vhost_user_region region;
};

struct vhost_user_config {
	uint32_t offset, size, flags;
	uint8_t data[VHOST_USER_CONFIG_BYTES];
};

struct vhost_user_inflight_area {
	uint64_t bytes, offset;
	uint16_t queues, queue_size;
};

struct vhost_user_message {
	struct vhost_user_header header;
	union {
		uint64_t u64;
		struct vhost_user_vring_state state;
		struct vhost_user_vring_addr addr;
		struct vhost_user_table table;
		struct vhost_user_single_region single;
		struct vhost_user_config config;
		struct vhost_user_inflight_area inflight;
		uint8_t bytes[VHOST_USER_PAYLOAD_BYTES];
	} payload;
};

struct vhost_user_request_info {
	const char *name;              /* NULL: not a request we know */
	uint16_t bytes_min, bytes_max; /* of the payload */
	uint8_t fds_min, fds_max;
	bool replies; /* has a reply of its own, so needs no acknowledgement */
};

/* Never NULL. */
const struct vhost_user_request_info *vhost_user_request_info(uint32_t request);

/* Whether the payload may be received. Returns NULL, or what is wrong with the header: then nothing can follow. */
const char *vhost_user_header_check(const struct vhost_user_header *header);

/* Whether payload and number of descriptors are what the request has. Returns NULL, or what is wrong. What the fields mean
 * (which rings there are, what addresses are good for) is not its business. Requests we do not know are well-formed. */
const char *vhost_user_message_check(const struct vhost_user_message *message, unsigned fds);

#endif
