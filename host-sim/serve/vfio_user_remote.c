#include "host-sim/serve/vfio_user.h"

#include <stdlib.h>
#include <string.h>

/* Memory the client keeps to itself is reached by asking it. Two things make this more than a message each way:
 *
 * - Clients differ in where the data of these messages is (enum vfio_user_layout). The first message sent is therefore a
 *   write of nothing: QEMU answers it with a header alone, others with what the protocol documents. Writes wait for
 *   that answer; the client's answers come in order, so the first data comes after it, too.
 * - Writes are not answered, and an interrupt goes another way, by eventfd. So that it does not overtake the data (PCIe
 *   6.0 §2.4.1), a read is sent after the writes and the interrupt waits for its answer. */

#define HELD_BYTES_MAX (16u << 20)

/* Writes ask for no reply. QEMU sends one all the same if the write fails, so they have an id that no question has. */
#define POSTED_ID UINT16_MAX
_Static_assert(VFIO_USER_ASKS <= POSTED_ID, "ids of questions");

/* A message that cannot be sent before the layout is known. */
struct vfio_user_held {
	struct vfio_user_held *next;
	uint16_t id;
	uint32_t flags;
	uint64_t addr;
	uint32_t bytes;
	bool write;
	uint8_t data[];
};

/* ---- what is outstanding ---- */

static struct vfio_user_ask *new_ask(struct vfio_user_remote *remote, enum vfio_user_ask_kind kind,
				     uint64_t addr, uint32_t bytes)
{
	for (unsigned i = 1; i <= VFIO_USER_ASKS; i++) {
		unsigned id = (remote->last + i) % VFIO_USER_ASKS;
		struct vfio_user_ask *ask = &remote->ask[id];
		if (ask->kind != VFIO_USER_ASK_FREE)
			continue;
		*ask = (struct vfio_user_ask){.kind = kind, .addr = addr, .bytes = bytes};
		remote->last = id;
		remote->outstanding++;
		return ask;
	}
	return NULL;
}

static uint16_t id_of(const struct vfio_user_remote *remote, const struct vfio_user_ask *ask)
{
	return (uint16_t)(ask - remote->ask);
}

/* ---- sending ---- */

static void send_dma(struct vfio_user *client, uint16_t id, uint32_t flags, uint64_t addr, uint32_t bytes,
		     const uint8_t *data)
{
	uint8_t message[VFIO_USER_DMA_MESSAGE_BYTES(4096)];
	ASSERT(bytes <= 4096);
	size_t size = vfio_user_put_dma(message, id, flags, client->remote.layout, addr, bytes, data);
	vfio_user_out_send(&client->out, message, size, NULL, 0);
}

static bool hold_back(struct vfio_user_remote *remote, uint16_t id, uint32_t flags, uint64_t addr,
		      uint32_t bytes, const uint8_t *data)
{
	struct vfio_user_held *held = NULL;
	if (remote->held_bytes < HELD_BYTES_MAX)
		held = malloc(sizeof(*held) + bytes);
	if (!held)
		return false;
	*held = (struct vfio_user_held){
		.id = id, .flags = flags, .addr = addr, .bytes = bytes, .write = data != NULL};
	if (data)
		memcpy(held->data, data, bytes);
	*remote->held_last = held;
	remote->held_last = &held->next;
	remote->held_bytes += sizeof(*held) + bytes;
	return true;
}

static void ask_layout(struct vfio_user *client, uint64_t addr)
{
	static const uint8_t nothing[1];
	struct vfio_user_remote *remote = &client->remote;
	struct vfio_user_ask *ask = new_ask(remote, VFIO_USER_ASK_LAYOUT, addr, 0);
	ASSERT(ask); /* the first one there is */
	remote->state = LAYOUT_ASKED;
	send_dma(client, id_of(remote, ask), 0, addr, 0, nothing);
}

/* Sends a read (data NULL) or a write, in order. False if there is no memory to keep it. */
static bool emit(struct vfio_user *client, uint16_t id, uint32_t flags, uint64_t addr, uint32_t bytes,
		 const uint8_t *data)
{
	struct vfio_user_remote *remote = &client->remote;
	if (remote->state == LAYOUT_UNKNOWN)
		ask_layout(client, addr);
	if (remote->state != LAYOUT_KNOWN && (data || remote->held))
		return hold_back(remote, id, flags, addr, bytes, data);
	send_dma(client, id, flags, addr, bytes, data);
	return true;
}

static void drop_held(struct vfio_user_remote *remote)
{
	while (remote->held) {
		struct vfio_user_held *held = remote->held;
		remote->held = held->next;
		free(held);
	}
	remote->held_last = &remote->held;
	remote->held_bytes = 0;
}

static void layout_known(struct vfio_user *client, const struct vfio_user_header *header)
{
	struct vfio_user_remote *remote = &client->remote;
	bool bare = header->bytes == VFIO_USER_HEADER_BYTES && !(header->flags & VFIO_USER_IS_ERROR);
	remote->state = LAYOUT_KNOWN;
	remote->layout = bare ? VFIO_USER_LAYOUT_QEMU : VFIO_USER_LAYOUT_DOCUMENTED;
	for (const struct vfio_user_held *held = remote->held; held; held = held->next)
		send_dma(client, held->id, held->flags, held->addr, held->bytes,
			 held->write ? held->data : NULL);
	drop_held(remote);
}

/* ---- what the card asks ---- */

static bool read_now(void *ctx, uint64_t addr, uint32_t bytes, uint8_t *data)
{
	(void)ctx;
	(void)addr;
	(void)bytes;
	(void)data;
	return false; /* only `ask` */
}

static bool ask_read(void *ctx, uint64_t addr, uint32_t bytes, unsigned token)
{
	struct vfio_user *client = ctx;
	struct vfio_user_remote *remote = &client->remote;
	/* The card uses a tag again only after giving up the read it had. */
	for (unsigned i = 0; i < VFIO_USER_ASKS && remote->outstanding != 0; i++)
		if (remote->ask[i].kind == VFIO_USER_ASK_READ && remote->ask[i].token == token)
			remote->ask[i].kind = VFIO_USER_ASK_DROP;
	/* A client that is gone answers nothing; its connection ends with a reset of the card. */
	if (client->out.broken)
		return true;
	struct vfio_user_ask *ask = new_ask(remote, VFIO_USER_ASK_READ, addr, bytes);
	if (!ask)
		return false;
	ask->token = token;
	if (!emit(client, id_of(remote, ask), 0, addr, bytes, NULL)) {
		ask->kind = VFIO_USER_ASK_FREE;
		remote->outstanding--;
		return false;
	}
	return true;
}

static bool write_later(void *ctx, uint64_t addr, uint32_t bytes, const uint8_t *data)
{
	struct vfio_user *client = ctx;
	client->remote.dirty = true;
	client->remote.addr = addr;
	return emit(client, POSTED_ID, VFIO_USER_NO_REPLY, addr, bytes, data);
}

const struct memory_ops vfio_user_remote_ops = {.read = read_now, .write = write_later, .ask = ask_read};

/* ---- interrupts behind writes ---- */

static void deliver(struct vfio_user *client)
{
	struct vfio_user_remote *remote = &client->remote;
	for (unsigned i = 0; i < CARD_VECTORS_MAX; i++)
		if (remote->now.vectors[i / 64] >> (i % 64) & 1)
			vfio_user_irq_vector(client, i);
	if (remote->now.intx)
		vfio_user_irq_intx(client);
	memset(&remote->now, 0, sizeof(remote->now));
}

/* Interrupts in `next` become those that wait for a new fence. */
static void send_fence(struct vfio_user *client)
{
	struct vfio_user_remote *remote = &client->remote;
	uint64_t addr = remote->addr & ~UINT64_C(3);
	struct vfio_user_ask *ask = new_ask(remote, VFIO_USER_ASK_FENCE, addr, 4);
	memcpy(&remote->now, &remote->next, sizeof(remote->now));
	memset(&remote->next, 0, sizeof(remote->next));
	remote->dirty = false;
	remote->fenced = ask && emit(client, id_of(remote, ask), 0, addr, 4, NULL);
	if (!remote->fenced)
		deliver(client); /* better early than never */
}

static bool any_next(const struct vfio_user_remote *remote)
{
	bool any = remote->next.intx;
	for (unsigned i = 0; i < VFIO_USER_VECTOR_WORDS; i++)
		any = any || remote->next.vectors[i] != 0;
	return any;
}

void vfio_user_remote_interrupt(struct vfio_user *client, int vector)
{
	struct vfio_user_remote *remote = &client->remote;
	if (vector < 0)
		remote->next.intx = true;
	else
		remote->next.vectors[vector / 64] |= UINT64_C(1) << (vector % 64);
	if (remote->fenced)
		return;
	if (remote->dirty) {
		send_fence(client);
	} else {
		memcpy(&remote->now, &remote->next, sizeof(remote->now));
		memset(&remote->next, 0, sizeof(remote->next));
		deliver(client);
	}
}

static void fence_passed(struct vfio_user *client)
{
	deliver(client);
	client->remote.fenced = false;
	if (any_next(&client->remote))
		send_fence(client);
}

/* ---- answers ---- */

const char *vfio_user_remote_reply(struct vfio_user *client, const struct vfio_user_header *header,
				   const uint8_t *payload)
{
	struct vfio_user_remote *remote = &client->remote;
	if (header->id == POSTED_ID && header->command == VFIO_USER_DMA_WRITE) {
		remote->refused_writes++;
		return NULL;
	}
	if (header->id >= VFIO_USER_ASKS || remote->ask[header->id].kind == VFIO_USER_ASK_FREE)
		return "a reply to nothing that was asked";
	const struct vfio_user_ask ask = remote->ask[header->id];
	remote->ask[header->id].kind = VFIO_USER_ASK_FREE;
	remote->outstanding--;
	switch (ask.kind) {
	case VFIO_USER_ASK_READ:
		root_read_done(client->card->guest.root, ask.token,
			       vfio_user_dma_data(header, payload, remote->layout, ask.addr, ask.bytes));
		break;
	case VFIO_USER_ASK_FENCE: fence_passed(client); break;
	case VFIO_USER_ASK_LAYOUT: layout_known(client, header); break;
	case VFIO_USER_ASK_FREE:
	case VFIO_USER_ASK_DROP: break;
	}
	return NULL;
}

/* ---- life ---- */

void vfio_user_remote_init(struct vfio_user *client)
{
	memset(&client->remote, 0, sizeof(client->remote));
	client->remote.held_last = &client->remote.held;
}

void vfio_user_remote_reset(struct vfio_user *client)
{
	struct vfio_user_remote *remote = &client->remote;
	for (unsigned i = 0; i < VFIO_USER_ASKS; i++)
		if (remote->ask[i].kind == VFIO_USER_ASK_READ || remote->ask[i].kind == VFIO_USER_ASK_FENCE)
			remote->ask[i].kind = VFIO_USER_ASK_DROP;
	memset(&remote->now, 0, sizeof(remote->now));
	memset(&remote->next, 0, sizeof(remote->next));
	remote->dirty = remote->fenced = false;
}

void vfio_user_remote_close(struct vfio_user *client)
{
	drop_held(&client->remote);
	vfio_user_remote_init(client);
}
