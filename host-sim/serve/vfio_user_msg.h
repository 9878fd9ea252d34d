/* The vfio-user protocol on paper: layouts, numbers, and what a message must satisfy before anybody acts on it.
 *
 * Pure functions over bytes, no sockets and no state. Integers are in host byte order, since both ends are on one
 * machine; every structure has its natural alignment, so it is copied in and out whole. Functions that return an int
 * return 0 or the errno value that goes into the error reply. */
#ifndef KICKSTAND_HOST_SIM_SERVE_VFIO_USER_MSG_H
#define KICKSTAND_HOST_SIM_SERVE_VFIO_USER_MSG_H

#include "pcie/base.h"

#define VFIO_USER_HEADER_BYTES 16u
#define VFIO_USER_FDS_MAX      16u
/* Largest transfer we take, and tell the client so. */
#define VFIO_USER_TRANSFER_MAX (1u << 20)
#define VFIO_USER_PAYLOAD_MAX  (VFIO_USER_TRANSFER_MAX + 32u)
#define VFIO_USER_PAGE_BYTES   4096u
#define VFIO_USER_MAPS_MAX     16384u
/* QEMU takes a VERSION reply no longer than its request, which has 193 characters of JSON and a NUL. */
#define VFIO_USER_JSON_MAX 194u

enum vfio_user_command {
	VFIO_USER_VERSION = 1,
	VFIO_USER_DMA_MAP = 2,
	VFIO_USER_DMA_UNMAP = 3,
	VFIO_USER_GET_INFO = 4,
	VFIO_USER_GET_REGION_INFO = 5,
	VFIO_USER_GET_REGION_IO_FDS = 6,
	VFIO_USER_GET_IRQ_INFO = 7,
	VFIO_USER_SET_IRQS = 8,
	VFIO_USER_REGION_READ = 9,
	VFIO_USER_REGION_WRITE = 10,
	VFIO_USER_DMA_READ = 11,  /* of the server */
	VFIO_USER_DMA_WRITE = 12, /* of the server */
	VFIO_USER_RESET = 13,
	VFIO_USER_REGION_WRITE_MULTI = 15,
	VFIO_USER_DEVICE_FEATURE = 16,
	VFIO_USER_MIG_DATA_READ = 17,
	VFIO_USER_MIG_DATA_WRITE = 18,
	VFIO_USER_COMMANDS
};

enum {
	VFIO_USER_TYPE_MASK = 0xf,
	VFIO_USER_IS_COMMAND = 0,
	VFIO_USER_IS_REPLY = 1,
	VFIO_USER_NO_REPLY = 0x10,
	VFIO_USER_IS_ERROR = 0x20,
};

struct vfio_user_header {
	uint16_t id, command;
	uint32_t bytes; /* of the whole message */
	uint32_t flags;
	uint32_t error; /* errno, with VFIO_USER_IS_ERROR */
};

enum { VFIO_USER_INFO_RESET = 1, VFIO_USER_INFO_PCI = 2 };

struct vfio_user_device_info {
	uint32_t argsz, flags, regions, irqs;
};

/* Regions of a PCI device: six BARs, ROM, configuration space, VGA. */
enum { VFIO_USER_REGION_ROM = 6, VFIO_USER_REGION_CONFIG = 7, VFIO_USER_REGIONS = 9 };
enum { VFIO_USER_REGION_MAY_READ = 1, VFIO_USER_REGION_MAY_WRITE = 2 };
#define VFIO_USER_CONFIG_BYTES 4096u

struct vfio_user_region_info {
	uint32_t argsz, flags, index, cap_offset;
	uint64_t bytes, fd_offset;
};

struct vfio_user_io_fds {
	uint32_t argsz, flags, index, count;
};

/* An ioeventfd: a write of `bytes` at `offset` may become a count on descriptor `fd_index` of the reply. */
struct vfio_user_io_fd {
	uint64_t offset, bytes;
	uint32_t fd_index, type, flags, padding;
	uint64_t datamatch;
};

enum {
	VFIO_USER_IRQ_INTX,
	VFIO_USER_IRQ_MSI,
	VFIO_USER_IRQ_MSIX,
	VFIO_USER_IRQ_ERROR,
	VFIO_USER_IRQ_REQUEST,
	VFIO_USER_IRQS
};
enum { VFIO_USER_IRQ_EVENTFD = 1, VFIO_USER_IRQ_MASKABLE = 2, VFIO_USER_IRQ_AUTOMASKED = 4 };

struct vfio_user_irq_info {
	uint32_t argsz, flags, index, count;
};

enum {
	VFIO_USER_SET_NONE = 1,
	VFIO_USER_SET_BOOL = 2,
	VFIO_USER_SET_EVENTFD = 4,
	VFIO_USER_SET_MASK = 8,
	VFIO_USER_SET_UNMASK = 16,
	VFIO_USER_SET_TRIGGER = 32,
};

/* Followed by `count` bytes with SET_BOOL. */
struct vfio_user_set_irqs {
	uint32_t argsz, flags, index, start, count;
};

/* Followed by the data, if there is any. */
struct vfio_user_access {
	uint64_t offset;
	uint32_t region, count;
};

/* Followed by so many struct vfio_user_write. */
struct vfio_user_multi {
	uint64_t writes;
};

struct vfio_user_write {
	uint64_t offset;
	uint32_t region, count;
	uint8_t data[8];
};

enum { VFIO_USER_DMA_MAY_READ = 1, VFIO_USER_DMA_MAY_WRITE = 2 };

struct vfio_user_dma_map {
	uint32_t argsz, flags;
	uint64_t fd_offset, addr, bytes;
};

enum { VFIO_USER_UNMAP_DIRTY = 1, VFIO_USER_UNMAP_ALL = 2 };

struct vfio_user_dma_unmap {
	uint32_t argsz, flags;
	uint64_t addr, bytes;
};

/* DMA_READ and DMA_WRITE, followed by the data. */
struct vfio_user_dma_access {
	uint64_t addr, count;
};

/* Where the data of DMA messages is. QEMU declares the count with 4 bytes and no padding behind it, but computes lengths as
 * if it were padded: its data begins at 12, and the message is 16 bytes and the data long all the same. */
enum vfio_user_layout { VFIO_USER_LAYOUT_DOCUMENTED, VFIO_USER_LAYOUT_QEMU };

/* ---- messages ---- */

void vfio_user_put_header(uint8_t wire[VFIO_USER_HEADER_BYTES], const struct vfio_user_header *header);
/* NULL, or why the stream cannot be followed any further. */
MUST_USE const char *vfio_user_get_header(const uint8_t wire[VFIO_USER_HEADER_BYTES],
					  struct vfio_user_header *header);
static inline size_t vfio_user_payload_bytes(const struct vfio_user_header *header)
{
	return header->bytes - VFIO_USER_HEADER_BYTES;
}

const char *vfio_user_command_name(unsigned command);

/* Whether a server has such a command, and size and number of descriptors are what it may have. */
MUST_USE int vfio_user_check_command(const struct vfio_user_header *header, unsigned fds);

/* ---- VERSION ---- */

struct vfio_user_version {
	uint16_t major, minor;
	bool json; /* the client has sent one */
	uint32_t max_msg_fds;
	uint64_t max_data_xfer_size, max_dma_maps, pgsizes;
	bool write_multiple, twin_socket;
};

/* Reads a VERSION payload of either side. What is not there has the protocol's default. */
MUST_USE int vfio_user_get_version(const uint8_t *payload, size_t bytes, struct vfio_user_version *version);
/* Writes the payload that offers `version`; returns its size. twin_socket is never offered. */
size_t vfio_user_put_version(const struct vfio_user_version *version, uint8_t *payload, size_t room);
/* What we answer a client. */
struct vfio_user_version vfio_user_answer_version(const struct vfio_user_version *client);

/* ---- checks of payloads ---- */

MUST_USE int vfio_user_check_map(const struct vfio_user_dma_map *map);
/* Accepts ranges up to and including the last byte of the address space. */
MUST_USE int vfio_user_check_unmap(const struct vfio_user_dma_unmap *unmap);
/* `irqs` is how many interrupts the index has. */
MUST_USE int vfio_user_check_set_irqs(const struct vfio_user_set_irqs *set, size_t payload_bytes,
				      unsigned fds, unsigned irqs);
/* An access to a region of `region_bytes`. */
MUST_USE int vfio_user_check_access(uint64_t offset, uint32_t count, uint64_t region_bytes);
/* The number of writes a REGION_WRITE_MULTI payload holds, or -1 if it is not what it says. */
int vfio_user_multi_writes(const uint8_t *payload, size_t bytes);
struct vfio_user_write vfio_user_multi_at(const uint8_t *payload, unsigned index);

/* ---- DMA messages ---- */

/* Writes a whole DMA_READ (data NULL) or DMA_WRITE message; returns its size. */
size_t vfio_user_put_dma(uint8_t *message, uint16_t id, uint32_t flags, enum vfio_user_layout layout,
			 uint64_t addr, uint32_t count, const uint8_t *data);
#define VFIO_USER_DMA_MESSAGE_BYTES(count)                                                                   \
	(VFIO_USER_HEADER_BYTES + sizeof(struct vfio_user_dma_access) + (count))

/* The data in the reply to a DMA_READ of `count` bytes; NULL if it is an error or not what was asked for. */
const uint8_t *vfio_user_dma_data(const struct vfio_user_header *header, const uint8_t *payload,
				  enum vfio_user_layout layout, uint64_t addr, uint32_t count);

#endif
