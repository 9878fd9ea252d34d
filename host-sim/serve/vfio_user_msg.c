#include "host-sim/serve/vfio_user_msg.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Bounds of the VERSION text: jansson's recursion and memory are bounded by it. */
#define JSON_BYTES_MAX 4096u

_Static_assert(sizeof(struct vfio_user_header) == 16 && sizeof(struct vfio_user_device_info) == 16 &&
		       sizeof(struct vfio_user_region_info) == 32 && sizeof(struct vfio_user_io_fds) == 16 &&
		       sizeof(struct vfio_user_io_fd) == 40 && sizeof(struct vfio_user_irq_info) == 16 &&
		       sizeof(struct vfio_user_set_irqs) == 20 && sizeof(struct vfio_user_access) == 16 &&
		       sizeof(struct vfio_user_write) == 24 && sizeof(struct vfio_user_dma_map) == 32 &&
		       sizeof(struct vfio_user_dma_unmap) == 24 && sizeof(struct vfio_user_dma_access) == 16,
	       "layouts of the protocol");

/* What a client may send: payload sizes and descriptors. */
static const struct {
	const char *name;
	uint32_t payload_min, payload_max, fds_max;
} commands[VFIO_USER_COMMANDS] = {
	[VFIO_USER_VERSION] = {"VERSION", 4, 4 + JSON_BYTES_MAX, 0},
	[VFIO_USER_DMA_MAP] = {"DMA_MAP", 32, 32, 1},
	[VFIO_USER_DMA_UNMAP] = {"DMA_UNMAP", 24, 24, 1}, /* SPDK sends the map's descriptor along */
	[VFIO_USER_GET_INFO] = {"DEVICE_GET_INFO", 16, 16, 0},
	[VFIO_USER_GET_REGION_INFO] = {"DEVICE_GET_REGION_INFO", 32, 65536, 0}, /* SPDK: the reply's room */
	[VFIO_USER_GET_REGION_IO_FDS] = {"DEVICE_GET_REGION_IO_FDS", 16, 65536, 0},
	[VFIO_USER_GET_IRQ_INFO] = {"DEVICE_GET_IRQ_INFO", 16, 16, 0},
	[VFIO_USER_SET_IRQS] = {"DEVICE_SET_IRQS", 20, 20 + 65536, VFIO_USER_FDS_MAX},
	[VFIO_USER_REGION_READ] = {"REGION_READ", 16, 16, 0},
	[VFIO_USER_REGION_WRITE] = {"REGION_WRITE", 16, 16 + VFIO_USER_TRANSFER_MAX, 0},
	[VFIO_USER_RESET] = {"DEVICE_RESET", 0, 0, 0},
	[VFIO_USER_REGION_WRITE_MULTI] = {"REGION_WRITE_MULTI", 8, 8 + VFIO_USER_TRANSFER_MAX, 0},
	[VFIO_USER_DEVICE_FEATURE] = {"DEVICE_FEATURE", 8, VFIO_USER_TRANSFER_MAX, 0},
	[VFIO_USER_MIG_DATA_READ] = {"MIG_DATA_READ", 8, 8, 0},
	[VFIO_USER_MIG_DATA_WRITE] = {"MIG_DATA_WRITE", 8, 8 + VFIO_USER_TRANSFER_MAX, 0},
};

/* ---- messages ---- */

void vfio_user_put_header(uint8_t wire[VFIO_USER_HEADER_BYTES], const struct vfio_user_header *header)
{
	memcpy(wire, header, sizeof(*header));
}

const char *vfio_user_get_header(const uint8_t wire[VFIO_USER_HEADER_BYTES], struct vfio_user_header *header)
{
	memcpy(header, wire, sizeof(*header));
	unsigned type = header->flags & VFIO_USER_TYPE_MASK;
	if (header->bytes < VFIO_USER_HEADER_BYTES)
		return "a message shorter than its header";
	if (header->bytes > VFIO_USER_HEADER_BYTES + VFIO_USER_PAYLOAD_MAX)
		return "a message longer than any may be";
	if (type != VFIO_USER_IS_COMMAND && type != VFIO_USER_IS_REPLY)
		return "a message that is neither command nor reply";
	return NULL;
}

const char *vfio_user_command_name(unsigned command)
{
	return command < VFIO_USER_COMMANDS && commands[command].name ? commands[command].name : "?";
}

int vfio_user_check_command(const struct vfio_user_header *header, unsigned fds)
{
	size_t bytes = vfio_user_payload_bytes(header);
	if (header->command >= VFIO_USER_COMMANDS || !commands[header->command].name)
		return ENOSYS;
	if (bytes < commands[header->command].payload_min || bytes > commands[header->command].payload_max ||
	    fds > commands[header->command].fds_max)
		return EINVAL;
	return 0;
}

/* ---- VERSION ---- */

static const struct vfio_user_version defaults = {
	.max_msg_fds = 1,
	.max_data_xfer_size = 1u << 20,
	.max_dma_maps = 65535,
	.pgsizes = 4096,
};

/* Takes a member that is a number from `least` on, if it is there. */
static int get_number(const json_t *object, const char *key, uint64_t least, uint64_t most, uint64_t *value)
{
	const json_t *member = json_object_get(object, key);
	if (!member)
		return 0;
	if (!json_is_integer(member) || json_integer_value(member) < 0)
		return EINVAL;
	*value = (uint64_t)json_integer_value(member);
	return *value < least || *value > most ? EINVAL : 0;
}

static int get_bool(const json_t *object, const char *key, bool *value)
{
	const json_t *member = json_object_get(object, key);
	if (!member)
		return 0;
	*value = json_is_true(member);
	return json_is_boolean(member) ? 0 : EINVAL;
}

static int get_capabilities(const json_t *capabilities, struct vfio_user_version *version)
{
	const json_t *twin = json_object_get(capabilities, "twin_socket");
	uint64_t fds = version->max_msg_fds;
	int error = get_number(capabilities, "max_msg_fds", 0, UINT32_MAX, &fds);
	version->max_msg_fds = (uint32_t)fds;
	if (!error)
		error = get_number(capabilities, "max_data_xfer_size", 1, INT64_MAX,
				   &version->max_data_xfer_size);
	if (!error)
		error = get_number(capabilities, "max_dma_maps", 0, INT64_MAX, &version->max_dma_maps);
	if (!error)
		error = get_number(capabilities, "pgsizes", 1, INT64_MAX, &version->pgsizes);
	if (!error)
		error = get_bool(capabilities, "write_multiple", &version->write_multiple);
	if (!error && twin)
		error = json_is_object(twin) ? get_bool(twin, "supported", &version->twin_socket) : EINVAL;
	return error;
}

int vfio_user_get_version(const uint8_t *payload, size_t bytes, struct vfio_user_version *version)
{
	*version = defaults;
	if (bytes < 4 || bytes > 4 + JSON_BYTES_MAX)
		return EINVAL;
	memcpy(&version->major, payload, 2);
	memcpy(&version->minor, payload + 2, 2);
	if (bytes == 4)
		return 0;
	const char *text = (const char *)payload + 4;
	const char *end = memchr(text, '\0', bytes - 4);
	if (!end)
		return EINVAL;
	version->json = true;
	json_t *root = json_loadb(text, (size_t)(end - text), JSON_REJECT_DUPLICATES, NULL);
	const json_t *capabilities = json_object_get(root, "capabilities");
	int error = json_is_object(root) ? 0 : EINVAL;
	if (!error && capabilities)
		error = json_is_object(capabilities) ? get_capabilities(capabilities, version) : EINVAL;
	json_decref(root);
	return error;
}

size_t vfio_user_put_version(const struct vfio_user_version *version, uint8_t *payload, size_t room)
{
	ASSERT(room >= 4 + VFIO_USER_JSON_MAX);
	memcpy(payload, &version->major, 2);
	memcpy(payload + 2, &version->minor, 2);
	json_t *root = json_pack("{s:{s:I,s:I,s:I,s:I}}", "capabilities", "max_msg_fds",
				 (json_int_t)version->max_msg_fds, "max_data_xfer_size",
				 (json_int_t)version->max_data_xfer_size, "max_dma_maps",
				 (json_int_t)version->max_dma_maps, "pgsizes", (json_int_t)version->pgsizes);
	if (version->write_multiple)
		json_object_set_new(json_object_get(root, "capabilities"), "write_multiple", json_true());
	size_t bytes = json_dumpb(root, (char *)payload + 4, VFIO_USER_JSON_MAX - 1, JSON_COMPACT);
	ASSERT(root && bytes != 0 && bytes < VFIO_USER_JSON_MAX);
	json_decref(root);
	payload[4 + bytes] = '\0';
	return 4 + bytes + 1;
}

struct vfio_user_version vfio_user_answer_version(const struct vfio_user_version *client)
{
	return (struct vfio_user_version){
		.major = 0,
		.minor = client->minor < 1 ? client->minor : 1,
		.json = true,
		.max_msg_fds = VFIO_USER_FDS_MAX,
		.max_data_xfer_size = VFIO_USER_TRANSFER_MAX,
		.max_dma_maps = VFIO_USER_MAPS_MAX,
		.pgsizes = VFIO_USER_PAGE_BYTES,
		.write_multiple = client->write_multiple,
	};
}

/* ---- checks of payloads ---- */

static bool aligned(uint64_t value)
{
	return value % VFIO_USER_PAGE_BYTES == 0;
}

int vfio_user_check_map(const struct vfio_user_dma_map *map)
{
	if (map->argsz < sizeof(*map) ||
	    (map->flags & ~(uint32_t)(VFIO_USER_DMA_MAY_READ | VFIO_USER_DMA_MAY_WRITE)) || map->flags == 0)
		return EINVAL;
	if (map->bytes == 0 || !aligned(map->addr) || !aligned(map->bytes) || !aligned(map->fd_offset))
		return EINVAL;
	if (map->addr + (map->bytes - 1) < map->addr || map->fd_offset + (map->bytes - 1) < map->fd_offset)
		return EINVAL;
	return 0;
}

int vfio_user_check_unmap(const struct vfio_user_dma_unmap *unmap)
{
	if (unmap->argsz < sizeof(*unmap))
		return EINVAL;
	if (unmap->flags == VFIO_USER_UNMAP_ALL)
		return unmap->addr == 0 && unmap->bytes == 0 ? 0 : EINVAL;
	if (unmap->flags != 0 || unmap->bytes == 0)
		return EINVAL;
	return unmap->addr + (unmap->bytes - 1) < unmap->addr ? EINVAL : 0;
}

static bool one_bit(uint32_t flags, uint32_t mask)
{
	return is_power_of_2(flags & mask);
}

int vfio_user_check_set_irqs(const struct vfio_user_set_irqs *set, size_t payload_bytes, unsigned fds,
			     unsigned irqs)
{
	const uint32_t kinds = VFIO_USER_SET_NONE | VFIO_USER_SET_BOOL | VFIO_USER_SET_EVENTFD;
	const uint32_t actions = VFIO_USER_SET_MASK | VFIO_USER_SET_UNMASK | VFIO_USER_SET_TRIGGER;
	if (set->argsz < sizeof(*set) || set->index >= VFIO_USER_IRQS || (set->flags & ~(kinds | actions)) ||
	    !one_bit(set->flags, kinds) || !one_bit(set->flags, actions))
		return EINVAL;
	/* Only INTx can be masked this way. */
	if (set->index != VFIO_USER_IRQ_INTX && !(set->flags & VFIO_USER_SET_TRIGGER))
		return EINVAL;
	if (set->count == 0) {
		bool whole = set->flags == (VFIO_USER_SET_NONE | VFIO_USER_SET_TRIGGER) && set->start == 0;
		return whole && fds == 0 ? 0 : EINVAL;
	}
	if (set->start >= irqs || set->count > irqs - set->start)
		return EINVAL;
	size_t data_bytes = set->flags & VFIO_USER_SET_BOOL ? set->count : 0;
	if (payload_bytes != sizeof(*set) + data_bytes)
		return EINVAL;
	if (fds != 0 && (!(set->flags & VFIO_USER_SET_EVENTFD) || fds != set->count))
		return EINVAL;
	return 0;
}

int vfio_user_check_access(uint64_t offset, uint32_t count, uint64_t region_bytes)
{
	if (count == 0 || count > VFIO_USER_TRANSFER_MAX || offset > region_bytes ||
	    count > region_bytes - offset)
		return EINVAL;
	return 0;
}

int vfio_user_multi_writes(const uint8_t *payload, size_t bytes)
{
	struct vfio_user_multi multi;
	if (bytes < sizeof(multi))
		return -1;
	memcpy(&multi, payload, sizeof(multi));
	if (multi.writes > (bytes - sizeof(multi)) / sizeof(struct vfio_user_write))
		return -1;
	return (int)multi.writes;
}

struct vfio_user_write vfio_user_multi_at(const uint8_t *payload, unsigned index)
{
	struct vfio_user_write write;
	memcpy(&write, payload + sizeof(struct vfio_user_multi) + index * sizeof(write), sizeof(write));
	return write;
}

/* ---- DMA messages ---- */

static size_t data_offset(enum vfio_user_layout layout)
{
	return layout == VFIO_USER_LAYOUT_QEMU ? 12 : sizeof(struct vfio_user_dma_access);
}

size_t vfio_user_put_dma(uint8_t *message, uint16_t id, uint32_t flags, enum vfio_user_layout layout,
			 uint64_t addr, uint32_t count, const uint8_t *data)
{
	const struct vfio_user_dma_access access = {.addr = addr, .count = count};
	const struct vfio_user_header header = {
		.id = id,
		.command = data ? VFIO_USER_DMA_WRITE : VFIO_USER_DMA_READ,
		.bytes = (uint32_t)VFIO_USER_DMA_MESSAGE_BYTES(data ? count : 0),
		.flags = VFIO_USER_IS_COMMAND | flags,
	};
	uint8_t *payload = message + VFIO_USER_HEADER_BYTES;
	vfio_user_put_header(message, &header);
	memset(payload, 0, header.bytes - VFIO_USER_HEADER_BYTES);
	memcpy(payload, &access, sizeof(access));
	if (data)
		memcpy(payload + data_offset(layout), data, count);
	return header.bytes;
}

const uint8_t *vfio_user_dma_data(const struct vfio_user_header *header, const uint8_t *payload,
				  enum vfio_user_layout layout, uint64_t addr, uint32_t count)
{
	struct vfio_user_dma_access access;
	if ((header->flags & VFIO_USER_IS_ERROR) || header->command != VFIO_USER_DMA_READ ||
	    vfio_user_payload_bytes(header) != sizeof(access) + count)
		return NULL;
	memcpy(&access, payload, sizeof(access));
	if (access.addr != addr || (uint32_t)access.count != count)
		return NULL;
	return payload + data_offset(layout);
}
