/* The client's end of a vfio-user socket: requests and their replies, and what the server asks in between.
 *
 * Calls block the whole program until the reply is there, as a CPU is stalled by a register read. The first failure is
 * for good: everything after it fails at once. */
#ifndef KICKSTAND_HOST_SIM_CONNECT_VFIO_LINK_H
#define KICKSTAND_HOST_SIM_CONNECT_VFIO_LINK_H

#include "host-sim/memory.h"
#include "host-sim/serve/vfio_user_msg.h"

struct vfio_link_message {
	struct vfio_link_message *next;
	struct vfio_user_header header;
	uint8_t payload[];
};

struct vfio_link {
	int fd;
	uint16_t id;
	struct memory *memory; /* for the server's DMA_READ and DMA_WRITE; NULL: none */
	uint64_t bar_bytes[6];
	unsigned msix_vectors;
	struct vfio_link_message *asked, **asked_last; /* of the server, not answered yet */
	char failure[200];                             /* "" = none */
};

/* Connects, agrees on the version, asks for BARs and vectors. Returns 0, or -1 with a one-line reason that names the
 * socket. */
MUST_USE int vfio_link_open(struct vfio_link *link, const char *path, char *error, size_t error_size);
void vfio_link_close(struct vfio_link *link);

/* At most 8 bytes. Returns 0, or -1 if it was refused or the connection has failed. */
MUST_USE int vfio_link_read(struct vfio_link *link, unsigned region, uint64_t offset, unsigned bytes,
			    void *data);
/* With `wait` until it has been carried out, else posted. */
void vfio_link_write(struct vfio_link *link, unsigned region, uint64_t offset, unsigned bytes,
		     const void *data, bool wait);
/* One interrupt, with its eventfd or none (-1). */
void vfio_link_set_irqs(struct vfio_link *link, const struct vfio_user_set_irqs *set, int fd);
MUST_USE int vfio_link_dma_map(struct vfio_link *link, const struct vfio_user_dma_map *map, int fd);

/* Answers whatever the server has asked by now. */
void vfio_link_serve(struct vfio_link *link);

#endif
