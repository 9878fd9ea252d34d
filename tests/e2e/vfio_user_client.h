/* A vfio-user client for tests, message by message, with a small virtio-blk driver on top. It shares nothing with the
 * server but the protocol: numbers and layouts here are typed from the protocol's text.
 *
 * All functions fail the test when something is not as it has to be. */
#ifndef KICKSTAND_TESTS_E2E_VFIO_USER_CLIENT_H
#define KICKSTAND_TESTS_E2E_VFIO_USER_CLIENT_H

#include "tests/check.h"
#include "tests/e2e/served.h"

#include <stdbool.h>

/* ---- the server: --vfio-user ---- */

struct served vf_serve(const char *options);
/* How many descriptors it has open while a client is there who has only said hello: what earlier ones have left would show.
 * There must be nothing of anybody's memory. */
unsigned vf_fds_with_client(const struct served *server);

/* ---- messages ---- */

enum {
	VF_VERSION = 1,
	VF_DMA_MAP,
	VF_DMA_UNMAP,
	VF_GET_INFO,
	VF_REGION_INFO,
	VF_REGION_IO_FDS,
	VF_IRQ_INFO,
	VF_SET_IRQS,
	VF_REGION_READ,
	VF_REGION_WRITE,
	VF_DMA_READ,
	VF_DMA_WRITE,
	VF_RESET,
	VF_WRITE_MULTI = 15,
};
enum { VF_REPLY = 1, VF_NO_REPLY = 0x10, VF_ERROR = 0x20 };
enum { VF_NONE = 1, VF_BOOL = 2, VF_EVENTFD = 4, VF_MASK = 8, VF_UNMASK = 16, VF_TRIGGER = 32 };
enum { VF_INTX = 0, VF_MSIX = 2 };
enum { VF_CONFIG = 7 };

struct vf_message {
	uint16_t id, command;
	uint32_t size, flags, error;
	uint8_t payload[1 << 16];
	int fd[64];
	unsigned fds;
};

/* How the client's memory reaches the server. */
enum vf_share { VF_SHARED, VF_MESSAGES, VF_MESSAGES_QEMU };

struct vf_client {
	int fd;
	uint16_t id;
	bool zero_ids; /* as SPDK */
	enum vf_share share;
	int memory_fd;
	uint8_t *memory;
	struct vf_message last; /* reply or request last received */
	unsigned dma_reads, dma_writes;
	bool backwards;     /* answers reads in reverse order, two at a time */
	bool refuse_writes; /* answers DMA_WRITE with an error, asked to reply or not */
	struct vf_message kept;
	bool has_kept;
	uint64_t features;    /* the driver accepts */
	uint16_t avail, used; /* of the driver */
	int call;             /* eventfd */
	bool no_doorbell;
};

/* Connects and says hello with JSON (or the payload given). Destroy with vf_close. */
void vf_connect(struct vf_client *c, const struct served *server);
void vf_hello(struct vf_client *c);
void vf_open(struct vf_client *c, const struct served *server); /* both */
void vf_close(struct vf_client *c);

void vf_send_bytes(struct vf_client *c, const void *bytes, size_t size, const int *fds, unsigned fd_count);
/* A message with this header, whatever it says. */
void vf_send_raw(struct vf_client *c, uint16_t id, uint16_t command, uint32_t size, uint32_t flags,
		 const void *payload, size_t payload_bytes, const int *fds, unsigned fd_count);
/* The next message into c->last; false at the end of the connection. */
bool vf_receive(struct vf_client *c);
/* True if the server closes the connection without another message. */
bool vf_is_closed(struct vf_client *c);
/* True if nothing comes within 200 ms. */
bool vf_is_silent(struct vf_client *c);

/* Sends a command and waits for its reply, checking id, command and flags; serves DMA messages meanwhile. Returns the error
 * number, 0 for none; the reply is in c->last. */
uint32_t vf_call(struct vf_client *c, uint16_t command, const void *payload, size_t bytes, const int *fds,
		 unsigned fd_count);

/* ---- common ones ---- */

uint32_t vf_map(struct vf_client *c, uint64_t addr, uint64_t bytes, int fd, uint64_t offset, uint32_t flags);
uint32_t vf_unmap(struct vf_client *c, uint64_t addr, uint64_t bytes, uint32_t flags);
uint32_t vf_irqs(struct vf_client *c, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		 const int *fds, unsigned fd_count);
uint64_t vf_read(struct vf_client *c, uint32_t region, uint64_t offset, uint32_t bytes);
void vf_write(struct vf_client *c, uint32_t region, uint64_t offset, uint32_t bytes, uint64_t value);
void vf_post(struct vf_client *c, uint32_t region, uint64_t offset, uint32_t bytes, uint64_t value);
uint32_t vf_capability(struct vf_client *c, uint8_t id); /* offset in configuration space */

int vf_eventfd(void);
/* Waits for the eventfd and takes its count; 0 after `ms` without. */
uint64_t vf_wait(int eventfd, unsigned ms);

/* ---- the driver: one queue, rings and buffers in 4 MiB of memory ---- */

#define VF_BASE         UINT64_C(0x40000000)
#define VF_MEMORY_BYTES (UINT64_C(4) << 20)
#define VF_QUEUE_SIZE   64u
#define VF_DATA         0x100000u /* offset of data buffers in memory */
#define VF_BAR          4u
#define VF_STATUS       0x14u
#define VF_ISR          0x1000u
#define VF_NOTIFY       0x3000u

/* Memory, mapped for the card. */
void vf_share_memory(struct vf_client *c, enum vf_share share);
/* All of it: hello, memory, memory space and bus mastering switched on. */
void vf_begin(struct vf_client *c, const struct served *server, enum vf_share share);
/* c->call is signalled for vector 1; MSI-X on. */
void vf_bind_call(struct vf_client *c);
/* From reset to DRIVER_OK; `vector` of the queue, 0xffff for none. */
void vf_start(struct vf_client *c, uint16_t vector);
/* Adds a read (`write` false) of sectors at data addresses, one per piece, and rings. Returns its number, from 0 on. */
struct vf_piece {
	uint64_t addr;
	uint32_t bytes;
};
unsigned vf_submit(struct vf_client *c, bool write, uint64_t sector, const struct vf_piece *pieces,
		   unsigned count);
/* Waits until so many requests are used, serving DMA messages. */
void vf_wait_used(struct vf_client *c, uint16_t used);

/* Answers the card until it asks for nothing any more. A connection that is closed with a message unread is reset, which the
 * server may have to report. */
void vf_settle(struct vf_client *c);
uint16_t vf_used(const struct vf_client *c);
uint8_t vf_status(const struct vf_client *c, unsigned request); /* its status byte */
/* Reads 4 KiB at a sector to the data area and compares with the image. */
void vf_check_read(struct vf_client *c, const char *image, uint64_t sector);

#endif
