/* The vfio-user front-end inside: a client's connection and its parts, one file each.
 *
 *   vfio_user.c         the connection: messages in, replies out, dispatch
 *   vfio_user_config.c  configuration space: what the guest owns and what the link behind the socket keeps private
 *   vfio_user_region.c  accesses to regions become configuration and memory TLPs
 *   vfio_user_irq.c     interrupts of the card become counts on the client's eventfds
 *   vfio_user_dma.c     DMA_MAP and DMA_UNMAP: the memory the card reaches
 *   vfio_user_remote.c  memory without a descriptor: DMA_READ and DMA_WRITE messages
 *   vfio_user_notify.c  doorbells that do not come as messages: ioeventfds, drivers that never ring
 *   vfio_user_out.c     the way out: messages in order, without blocking the card
 *
 * Handlers run in the connection's kernel thread and return 0 or the errno value of the error reply. What the card does
 * (its DMA, its interrupts) calls in from the kernel and must not block. */
#ifndef KICKSTAND_HOST_SIM_SERVE_VFIO_USER_H
#define KICKSTAND_HOST_SIM_SERVE_VFIO_USER_H

#include "host-sim/driver/virtio.h"
#include "host-sim/serve/card.h"
#include "host-sim/serve/channel.h"
#include "host-sim/serve/client_map.h"
#include "host-sim/serve/vfio_user_msg.h"

struct vfio_user;

/* ---- the way out ---- */

struct vfio_user_out {
	struct channel channel; /* the same socket by a descriptor of its own, to wait on */
	struct vfio_user_out_message *first, **last;
	size_t queued_bytes;
	struct kernel_event *wake, *moved; /* for the sender; for those who wait for it */
	bool sending;                      /* the sender has taken a message and not finished it */
	bool broken;                       /* the client is gone or takes nothing: everything is dropped */
};

/* Once, from anywhere: spawns the thread that sends what could not be sent at once. */
void vfio_user_out_init(struct vfio_user_out *out);
void vfio_user_out_free(struct vfio_user_out *out);
/* Returns 0, or -1 with errno. */
MUST_USE int vfio_user_out_open(struct vfio_user_out *out, const struct channel *channel);
/* From a kernel thread: drops what is queued and waits for the sender to let go. */
void vfio_user_out_close(struct vfio_user_out *out);
/* From anywhere. Messages leave in order of the calls; descriptors must stay open until the connection ends. */
void vfio_user_out_send(struct vfio_user_out *out, const void *message, size_t bytes, const int *fds,
			unsigned fd_count);
/* There is so much queued that whoever makes more of it has to wait until the client has read some. */
bool vfio_user_out_full(const struct vfio_user_out *out);
/* From a kernel thread: waits while that is so. */
void vfio_user_out_wait(struct vfio_user_out *out);

/* ---- configuration space ---- */

/* Bits of a DW that the guest may set and read back, and that the card does not get to see. */
struct vfio_user_private {
	uint16_t reg;
	uint32_t mask;     /* which bits */
	uint32_t writable; /* of them, the guest can change */
	uint32_t reset;    /* the guest's value after a reset */
	uint32_t guest;
	uint32_t card; /* what the card has instead; BARs do not get there at all */
};

#define VFIO_USER_PRIVATES 9u /* COMMAND, six BARs, Device Control, Device Control 2 */

struct vfio_user_config {
	struct vfio_user_private part[VFIO_USER_PRIVATES];
	unsigned parts;
};

/* From here on the rest of the functions of one client; all but those marked "anywhere" from its thread. */

void vfio_user_config_init(struct vfio_user *client);
/* The card has just been reset and its private programming is in place: the guest's view follows. */
void vfio_user_config_reset(struct vfio_user *client);
/* `bytes` of 1, 2 or 4 inside a DW. */
uint32_t vfio_user_config_read(struct vfio_user *client, unsigned reg, unsigned bytes);
void vfio_user_config_write(struct vfio_user *client, unsigned reg, unsigned bytes, uint32_t value);

/* ---- regions ---- */

uint64_t vfio_user_region_bytes(const struct vfio_user *client, unsigned region);
int vfio_user_region_read(struct vfio_user *client, const struct vfio_user_access *access, uint8_t *data);
int vfio_user_region_write(struct vfio_user *client, const struct vfio_user_access *access,
			   const uint8_t *data);

/* ---- interrupts ---- */

#define VFIO_USER_VECTOR_WORDS ((CARD_VECTORS_MAX + 63) / 64)

struct vfio_user_irqs {
	int intx, mask, unmask; /* eventfds, -1: none; the last two are the client's to ask with */
	bool level;             /* of the card's INTA */
	bool masked;
	int vector[CARD_VECTORS_MAX];
	uint64_t signalled, unbound; /* interrupts delivered; to nobody */
	/* Our copy of the MSI-X table as the client sees it: the card's own points at us. */
	uint8_t table[CARD_VECTORS_MAX * 16];
	unsigned table_bar;
	uint64_t table_offset;
};

void vfio_user_irq_init(struct vfio_user *client);
unsigned vfio_user_irq_count(const struct vfio_user *client, unsigned index);
int vfio_user_irq_set(struct vfio_user *client, const uint8_t *payload, size_t bytes,
		      struct channel_fds *fds);
/* After a reset of the card: its table points at us again where the client has bound vectors. */
void vfio_user_irq_reset(struct vfio_user *client);
void vfio_user_irq_close(struct vfio_user *client);
/* From anywhere: as if the card had raised it and everything before it were in memory. */
void vfio_user_irq_vector(struct vfio_user *client, unsigned vector);
void vfio_user_irq_intx(struct vfio_user *client);

/* ---- memory ---- */

/* A file the client has sent a descriptor of, mapped once however many maps there are of it. */
struct vfio_user_file {
	struct client_map map;
	unsigned users;
	struct vfio_user_file *next;
};

struct vfio_user_map {
	struct vfio_user_dma_map request;
	struct vfio_user_file *file; /* NULL: by messages */
};

struct vfio_user_dma {
	struct vfio_user_map *map; /* by address */
	size_t maps, room;
	struct vfio_user_file *files;
};

int vfio_user_dma_map(struct vfio_user *client, const struct vfio_user_dma_map *request, int fd);
int vfio_user_dma_unmap(struct vfio_user *client, const struct vfio_user_dma_unmap *unmap);
/* Whether the client has made a file shorter that it lets us map. */
bool vfio_user_dma_lost(const struct vfio_user *client);
void vfio_user_dma_close(struct vfio_user *client);

/* ---- memory by messages ---- */

extern const struct memory_ops vfio_user_remote_ops;

#define VFIO_USER_ASKS 1280u /* more than the card has tags */

enum vfio_user_ask_kind {
	VFIO_USER_ASK_FREE,
	VFIO_USER_ASK_READ,   /* of the card */
	VFIO_USER_ASK_FENCE,  /* its answer says that all writes before it have been done */
	VFIO_USER_ASK_LAYOUT, /* its answer says what the client's messages look like */
	VFIO_USER_ASK_DROP,   /* nobody waits for it any more */
};

struct vfio_user_ask {
	enum vfio_user_ask_kind kind;
	unsigned token;
	uint64_t addr;
	uint32_t bytes;
};

struct vfio_user_remote {
	struct vfio_user_ask ask[VFIO_USER_ASKS]; /* by message id */
	unsigned last, outstanding;
	uint64_t
		refused_writes; /* the card's; as after a reset by the client, which has switched it off as a master */
	enum { LAYOUT_UNKNOWN, LAYOUT_ASKED, LAYOUT_KNOWN } state;
	enum vfio_user_layout layout;
	struct vfio_user_held *held, **held_last; /* until the layout is known */
	size_t held_bytes;
	/* Interrupts wait until writes by message before them have been done. */
	bool dirty;    /* a write since the last fence */
	bool fenced;   /* a fence is on its way */
	uint64_t addr; /* of the last write */
	struct {
		uint64_t vectors[VFIO_USER_VECTOR_WORDS];
		bool intx;
	} now, next; /* behind the fence on its way; behind the next one */
};

void vfio_user_remote_init(struct vfio_user *client);
/* A reply of the client. NULL, or why the stream cannot be followed any further. */
const char *vfio_user_remote_reply(struct vfio_user *client, const struct vfio_user_header *header,
				   const uint8_t *payload);
/* The card has forgotten its reads (a reset). */
void vfio_user_remote_reset(struct vfio_user *client);
void vfio_user_remote_close(struct vfio_user *client);
/* Anywhere: an interrupt, to be signalled once the writes before it are done; -1 is INTx. */
void vfio_user_remote_interrupt(struct vfio_user *client, int vector);

/* ---- doorbells ---- */

struct vfio_user_doorbell {
	struct vfio_user *client;
	unsigned queue;
	uint64_t addr;
	int eventfd; /* -1: none */
	/* of a driver that does not ring */
	uint64_t avail_addr; /* 0: not enabled */
	uint16_t avail_index;
};

struct vfio_user_notify {
	struct virtio_device virtio;
	bool known; /* virtio, doorbells */
	struct vfio_user_doorbell *doorbell;
	unsigned doorbells;
	bool polls; /* the client's driver never rings */
	bool rung;  /* it has, and its memory has been looked at */
	struct kernel_event *wake;
};

void vfio_user_notify_init(struct vfio_user *client);
int vfio_user_notify_fds(struct vfio_user *client, const struct vfio_user_io_fds *request);
/* The client's driver is one that writes available indices and nothing else: doorbells are rung for it. */
void vfio_user_notify_poll(struct vfio_user *client);
/* The driver has written device status; with `polls` only. */
void vfio_user_notify_status(struct vfio_user *client, uint8_t status);
/* The driver has written to `addr`: at the first doorbell, whether its ring is where it says. */
void vfio_user_notify_rung(struct vfio_user *client, uint64_t addr);
void vfio_user_notify_reset(struct vfio_user *client);
void vfio_user_notify_close(struct vfio_user *client);

/* ---- the client ---- */

struct vfio_user {
	struct card *card;
	struct channel *channel; /* NULL: nobody is there */
	struct vfio_user_version version;
	struct vfio_user_header header; /* of the message being handled */
	uint8_t *payload;               /* VFIO_USER_PAYLOAD_MAX */
	uint8_t *reply;                 /* header and payload */
	bool greeted;                   /* VERSION has been agreed on */
	bool waiting;                   /* for the client: its next message, or that it reads ours */
	unsigned unread;                /* posted writes since the last read */
	uint64_t refused_posted;        /* bad ones, which nobody can be told of */
	struct vfio_user_out out;
	struct vfio_user_config config;
	struct vfio_user_irqs irqs;
	struct vfio_user_dma dma;
	struct vfio_user_remote remote;
	struct vfio_user_notify notify;
};

/* Sends the reply to the message being handled, unless it asked for none. */
void vfio_user_reply(struct vfio_user *client, const void *payload, size_t bytes, const int *fds,
		     unsigned fd_count);

/* Waits until the client has read so much that there is room for more. */
void vfio_user_wait_for_room(struct vfio_user *client);

/* After a reset of the card of any kind: the guest's view of everything follows. */
void vfio_user_was_reset(struct vfio_user *client);

#endif
