#include "host-sim/serve/vhost_user_msg.h"

#include <assert.h>

static_assert(sizeof(struct vhost_user_header) == 12, "header");
static_assert(sizeof(struct vhost_user_vring_state) == 8, "vring state");
static_assert(sizeof(struct vhost_user_vring_addr) == 40, "vring address");
static_assert(sizeof(struct vhost_user_region) == 32, "memory region");
static_assert(sizeof(struct vhost_user_single_region) == 40, "single memory region");
/* 20 bytes mean something; QEMU sends the structure with its padding, and expects it back. */
static_assert(sizeof(struct vhost_user_inflight_area) == 24, "inflight description");

#define TABLE_HEADER_BYTES  8u
#define CONFIG_HEADER_BYTES 12u
#define INFLIGHT_BYTES_MIN  20u

#define NO_PAYLOAD           0, 0
#define OF(type)             sizeof(type), sizeof(type)
#define FROM_TO(least, most) (least), (most)

const struct vhost_user_request_info *vhost_user_request_info(uint32_t request)
{
	/* payload bytes, descriptors, own reply */
	static const struct vhost_user_request_info info[VHOST_USER_REQUESTS] = {
		[VHOST_USER_GET_FEATURES] = {"GET_FEATURES", NO_PAYLOAD, 0, 0, true},
		[VHOST_USER_SET_FEATURES] = {"SET_FEATURES", OF(uint64_t), 0, 0, false},
		[VHOST_USER_SET_OWNER] = {"SET_OWNER", NO_PAYLOAD, 0, 0, false},
		[VHOST_USER_RESET_OWNER] = {"RESET_OWNER", NO_PAYLOAD, 0, 0, false},
		[VHOST_USER_SET_MEM_TABLE] = {"SET_MEM_TABLE",
					      FROM_TO(TABLE_HEADER_BYTES, sizeof(struct vhost_user_table)), 0,
					      VHOST_USER_REGIONS_MAX, false},
		[VHOST_USER_SET_VRING_NUM] = {"SET_VRING_NUM", OF(struct vhost_user_vring_state), 0, 0,
					      false},
		[VHOST_USER_SET_VRING_ADDR] = {"SET_VRING_ADDR", OF(struct vhost_user_vring_addr), 0, 0,
					       false},
		[VHOST_USER_SET_VRING_BASE] = {"SET_VRING_BASE", OF(struct vhost_user_vring_state), 0, 0,
					       false},
		[VHOST_USER_GET_VRING_BASE] = {"GET_VRING_BASE", OF(struct vhost_user_vring_state), 0, 0,
					       true},
		[VHOST_USER_SET_VRING_KICK] = {"SET_VRING_KICK", OF(uint64_t), 0, 1, false},
		[VHOST_USER_SET_VRING_CALL] = {"SET_VRING_CALL", OF(uint64_t), 0, 1, false},
		[VHOST_USER_SET_VRING_ERR] = {"SET_VRING_ERR", OF(uint64_t), 0, 1, false},
		[VHOST_USER_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", NO_PAYLOAD, 0, 0, true},
		[VHOST_USER_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", OF(uint64_t), 0, 0, false},
		[VHOST_USER_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", NO_PAYLOAD, 0, 0, true},
		[VHOST_USER_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", OF(struct vhost_user_vring_state), 0, 0,
						 false},
		[VHOST_USER_SET_BACKEND_REQ_FD] = {"SET_BACKEND_REQ_FD", NO_PAYLOAD, 1, 1, false},
		[VHOST_USER_GET_CONFIG] = {"GET_CONFIG",
					   FROM_TO(CONFIG_HEADER_BYTES, sizeof(struct vhost_user_config)), 0,
					   0, true},
		[VHOST_USER_SET_CONFIG] = {"SET_CONFIG",
					   FROM_TO(CONFIG_HEADER_BYTES, sizeof(struct vhost_user_config)), 0,
					   0, false},
		[VHOST_USER_GET_INFLIGHT_FD] = {"GET_INFLIGHT_FD",
						FROM_TO(INFLIGHT_BYTES_MIN,
							sizeof(struct vhost_user_inflight_area)),
						0, 0, true},
		[VHOST_USER_SET_INFLIGHT_FD] = {"SET_INFLIGHT_FD",
						FROM_TO(INFLIGHT_BYTES_MIN,
							sizeof(struct vhost_user_inflight_area)),
						1, 1, false},
		[VHOST_USER_RESET_DEVICE] = {"RESET_DEVICE", NO_PAYLOAD, 0, 0, false},
		[VHOST_USER_GET_MAX_MEM_SLOTS] = {"GET_MAX_MEM_SLOTS", NO_PAYLOAD, 0, 0, true},
		[VHOST_USER_ADD_MEM_REG] = {"ADD_MEM_REG", OF(struct vhost_user_single_region), 1, 1, false},
		/* Some clients send the region's descriptor again; it has to be closed. */
		[VHOST_USER_REM_MEM_REG] = {"REM_MEM_REG", OF(struct vhost_user_single_region), 0, 1, false},
		[VHOST_USER_SET_STATUS] = {"SET_STATUS", OF(uint64_t), 0, 0, false},
		[VHOST_USER_GET_STATUS] = {"GET_STATUS", NO_PAYLOAD, 0, 0, true},
	};
	return &info[request < VHOST_USER_REQUESTS ? request : 0];
}

const char *vhost_user_header_check(const struct vhost_user_header *header)
{
	const struct vhost_user_request_info *info = vhost_user_request_info(header->request);
	if ((header->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION)
		return "not of protocol version 1";
	if (header->flags & VHOST_USER_REPLY)
		return "a reply, where only requests can be";
	if (header->size > VHOST_USER_PAYLOAD_BYTES)
		return "longer than any message";
	if (info->name && (header->size < info->bytes_min || header->size > info->bytes_max))
		return "of a wrong size";
	return NULL;
}

/* ---- payloads whose parts have to fit each other ---- */

static const char *check_table(const struct vhost_user_message *message, unsigned fds)
{
	const struct vhost_user_table *table = &message->payload.table;
	if (table->count > VHOST_USER_REGIONS_MAX)
		return "with more regions than a table can have";
	if (message->header.size != TABLE_HEADER_BYTES + table->count * sizeof(struct vhost_user_region))
		return "of a wrong size for its number of regions";
	if (fds != table->count)
		return "without exactly one file descriptor per region";
	return NULL;
}

static const char *check_vring_fd(const struct vhost_user_message *message, unsigned fds)
{
	bool none = message->payload.u64 & VHOST_USER_VRING_NO_FD;
	if (message->payload.u64 & ~(uint64_t)(VHOST_USER_VRING_MASK | VHOST_USER_VRING_NO_FD))
		return "with bits that mean nothing";
	if (fds != (none ? 0 : 1))
		return none ? "with a file descriptor it says it does not have" : "without a file descriptor";
	return NULL;
}

/* The payload may be longer than the bytes it says it has: SPDK always sends the whole structure. */
static const char *check_config(const struct vhost_user_message *message)
{
	const struct vhost_user_config *config = &message->payload.config;
	if (config->size > VHOST_USER_CONFIG_BYTES || config->offset > VHOST_USER_CONFIG_BYTES - config->size)
		return "beyond the end of the configuration space";
	if (message->header.size < CONFIG_HEADER_BYTES + config->size)
		return "shorter than the bytes it says it has";
	return NULL;
}

const char *vhost_user_message_check(const struct vhost_user_message *message, unsigned fds)
{
	const struct vhost_user_request_info *info = vhost_user_request_info(message->header.request);
	if (!info->name)
		return NULL;
	if (fds < info->fds_min || fds > info->fds_max)
		return "with a wrong number of file descriptors";
	switch (message->header.request) {
	case VHOST_USER_SET_MEM_TABLE: return check_table(message, fds);
	case VHOST_USER_SET_VRING_KICK:
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR: return check_vring_fd(message, fds);
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_SET_CONFIG: return check_config(message);
	default: return NULL;
	}
}
