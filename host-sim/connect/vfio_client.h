/* A card behind a vfio-user socket, as a machine for the driver: the other implementation of driver/host_ops.h.
 *
 * Does what QEMU does: configuration space and BARs by messages, the MSI-X table kept here with an eventfd per vector,
 * guest memory shared by descriptor. The guest machine (guest.h) has CPUs and memory as always, but no root complex and
 * no card; its time is to follow the clock on the wall (LOOP_WALL), since the card's own time is elsewhere. */
#ifndef KICKSTAND_HOST_SIM_CONNECT_VFIO_CLIENT_H
#define KICKSTAND_HOST_SIM_CONNECT_VFIO_CLIENT_H

#include "host-sim/guest.h"
#include "host-sim/serve/loop.h"

struct vfio_client;

/* Connects and agrees on a version. `address` is "vfio-user:PATH"; with ",dma=messages" at its end the memory is not
 * shared: the server asks for what it wants. NULL with a one-line reason. */
struct vfio_client *vfio_client_open(const char *address, char *error, size_t error_size);
void vfio_client_close(struct vfio_client *client);

/* Builds the machine, its memory mapped for the card, its interrupts watched for by `loop`. Destroy it with guest_destroy,
 * before the client is closed. Returns 0, or -1 with a one-line reason. */
MUST_USE int vfio_client_guest(struct vfio_client *client, struct guest *guest, const struct config *config,
			       struct loop *loop, char *error, size_t error_size);

/* Why nothing works any more; NULL while it does. Registers read all ones then. */
const char *vfio_client_failure(const struct vfio_client *client);
const char *vfio_client_address(const struct vfio_client *client);

#endif
