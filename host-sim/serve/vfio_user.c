#include "host-sim/serve/vfio_user.h"

#include "host-sim/serve/front_end.h"
#include "rtl-model/kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A client that sends without end does not keep others from being looked at. */
#define TURN_MESSAGES 64u
#define TURN_PS       PS_PER_US

/* ---- replies ---- */

void vfio_user_reply(struct vfio_user *client, const void *payload, size_t bytes, const int *fds,
		     unsigned fd_count)
{
	const struct vfio_user_header reply = {
		.id = client->header.id,
		.command = client->header.command,
		.bytes = (uint32_t)(VFIO_USER_HEADER_BYTES + bytes),
		.flags = VFIO_USER_IS_REPLY,
	};
	if (client->header.flags & VFIO_USER_NO_REPLY)
		return;
	vfio_user_put_header(client->reply, &reply);
	if (bytes != 0 && payload != client->reply + VFIO_USER_HEADER_BYTES)
		memcpy(client->reply + VFIO_USER_HEADER_BYTES, payload, bytes);
	vfio_user_out_send(&client->out, client->reply, reply.bytes, fds, fd_count);
}

/* An error reply is a header alone. What was posted has nobody to be told. */
static void reply_error(struct vfio_user *client, int error)
{
	struct vfio_user_header reply = client->header;
	if (client->header.flags & VFIO_USER_NO_REPLY) {
		client->refused_posted++;
		return;
	}
	reply.bytes = VFIO_USER_HEADER_BYTES;
	reply.flags = VFIO_USER_IS_REPLY | VFIO_USER_IS_ERROR;
	reply.error = (uint32_t)error;
	vfio_user_out_send(&client->out, &reply, sizeof(reply), NULL, 0);
}

/* ---- commands ---- */

static int version(struct vfio_user *client)
{
	uint8_t payload[4 + VFIO_USER_JSON_MAX];
	if (client->greeted)
		return EINVAL;
	int error = vfio_user_get_version(client->payload, vfio_user_payload_bytes(&client->header),
					  &client->version);
	if (error || client->version.major != 0)
		return error ? error : ENOTSUP;
	const struct vfio_user_version answer = vfio_user_answer_version(&client->version);
	client->greeted = true;
	/* A client without a word about itself is SPDK, whose driver never rings. */
	if (!client->version.json)
		vfio_user_notify_poll(client);
	vfio_user_reply(client, payload, vfio_user_put_version(&answer, payload, sizeof(payload)), NULL, 0);
	return 0;
}

static int dma_map(struct vfio_user *client, struct channel_fds *fds)
{
	struct vfio_user_dma_map map;
	memcpy(&map, client->payload, sizeof(map));
	int error = vfio_user_dma_map(client, &map, fds->count ? fds->fd[0] : -1);
	if (!error)
		vfio_user_reply(client, NULL, 0, NULL, 0);
	return error;
}

static int dma_unmap(struct vfio_user *client)
{
	struct vfio_user_dma_unmap unmap;
	memcpy(&unmap, client->payload, sizeof(unmap));
	int error = vfio_user_dma_unmap(client, &unmap);
	if (!error)
		vfio_user_reply(client, &unmap, sizeof(unmap), NULL, 0);
	return error;
}

static int get_info(struct vfio_user *client)
{
	struct vfio_user_device_info info;
	memcpy(&info, client->payload, sizeof(info));
	if (info.argsz < sizeof(info))
		return EINVAL;
	info = (struct vfio_user_device_info){.argsz = sizeof(info),
					      .flags = VFIO_USER_INFO_RESET | VFIO_USER_INFO_PCI,
					      .regions = VFIO_USER_REGIONS,
					      .irqs = VFIO_USER_IRQS};
	vfio_user_reply(client, &info, sizeof(info), NULL, 0);
	return 0;
}

/* Regions that are not there have size 0: some clients ask for every index and give up at an error. */
static int get_region_info(struct vfio_user *client)
{
	struct vfio_user_region_info info;
	memcpy(&info, client->payload, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= VFIO_USER_REGIONS)
		return EINVAL;
	uint64_t bytes = vfio_user_region_bytes(client, info.index);
	info = (struct vfio_user_region_info){
		.argsz = sizeof(info),
		.flags = bytes ? VFIO_USER_REGION_MAY_READ | VFIO_USER_REGION_MAY_WRITE : 0,
		.index = info.index,
		.bytes = bytes,
	};
	vfio_user_reply(client, &info, sizeof(info), NULL, 0);
	return 0;
}

static int get_region_io_fds(struct vfio_user *client)
{
	struct vfio_user_io_fds request;
	memcpy(&request, client->payload, sizeof(request));
	return vfio_user_notify_fds(client, &request);
}

static int get_irq_info(struct vfio_user *client)
{
	static const uint32_t flags[VFIO_USER_IRQS] = {
		[VFIO_USER_IRQ_INTX] =
			VFIO_USER_IRQ_EVENTFD | VFIO_USER_IRQ_MASKABLE | VFIO_USER_IRQ_AUTOMASKED,
		[VFIO_USER_IRQ_MSIX] = VFIO_USER_IRQ_EVENTFD,
	};
	struct vfio_user_irq_info info;
	memcpy(&info, client->payload, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= VFIO_USER_IRQS)
		return EINVAL;
	info.argsz = sizeof(info);
	info.flags = flags[info.index];
	info.count = vfio_user_irq_count(client, info.index);
	vfio_user_reply(client, &info, sizeof(info), NULL, 0);
	return 0;
}

static int set_irqs(struct vfio_user *client, struct channel_fds *fds)
{
	int error = vfio_user_irq_set(client, client->payload, vfio_user_payload_bytes(&client->header), fds);
	if (!error)
		vfio_user_reply(client, NULL, 0, NULL, 0);
	return error;
}

static int region_read(struct vfio_user *client)
{
	uint8_t *reply = client->reply + VFIO_USER_HEADER_BYTES;
	struct vfio_user_access access;
	memcpy(&access, client->payload, sizeof(access));
	int error = vfio_user_region_read(client, &access, reply + sizeof(access));
	if (error)
		return error;
	memcpy(reply, &access, sizeof(access));
	vfio_user_reply(client, reply, sizeof(access) + access.count, NULL, 0);
	return 0;
}

static int region_write(struct vfio_user *client)
{
	struct vfio_user_access access;
	memcpy(&access, client->payload, sizeof(access));
	if (vfio_user_payload_bytes(&client->header) - sizeof(access) != access.count)
		return EINVAL;
	int error = vfio_user_region_write(client, &access, client->payload + sizeof(access));
	if (!error)
		vfio_user_reply(client, &access, sizeof(access), NULL, 0);
	return error;
}

/* Up to the first bad one; the reply says how many were done. */
static int region_write_multi(struct vfio_user *client)
{
	int count = vfio_user_multi_writes(client->payload, vfio_user_payload_bytes(&client->header));
	struct vfio_user_multi done = {0};
	if (count < 0)
		return EINVAL;
	for (int i = 0; i < count; i++) {
		const struct vfio_user_write write = vfio_user_multi_at(client->payload, (unsigned)i);
		const struct vfio_user_access access = {write.offset, write.region, write.count};
		if (write.count > sizeof(write.data) ||
		    vfio_user_region_write(client, &access, write.data) != 0)
			return EINVAL;
		done.writes++;
	}
	vfio_user_reply(client, &done, sizeof(done), NULL, 0);
	return 0;
}

static int reset(struct vfio_user *client)
{
	card_reset(client->card);
	vfio_user_was_reset(client);
	vfio_user_reply(client, NULL, 0, NULL, 0);
	return 0;
}

static int handle(struct vfio_user *client, struct channel_fds *fds)
{
	int error = vfio_user_check_command(&client->header, fds->count);
	if (error)
		return error;
	switch (client->header.command) {
	case VFIO_USER_VERSION: return version(client);
	case VFIO_USER_DMA_MAP: return dma_map(client, fds);
	case VFIO_USER_DMA_UNMAP: return dma_unmap(client);
	case VFIO_USER_GET_INFO: return get_info(client);
	case VFIO_USER_GET_REGION_INFO: return get_region_info(client);
	case VFIO_USER_GET_REGION_IO_FDS: return get_region_io_fds(client);
	case VFIO_USER_GET_IRQ_INFO: return get_irq_info(client);
	case VFIO_USER_SET_IRQS: return set_irqs(client, fds);
	case VFIO_USER_REGION_READ: return region_read(client);
	case VFIO_USER_REGION_WRITE: return region_write(client);
	case VFIO_USER_RESET: return reset(client);
	case VFIO_USER_REGION_WRITE_MULTI: return region_write_multi(client);
	default: return EINVAL; /* migration, which there is none of */
	}
}

/* ---- the connection ---- */

/* The card waits for the client's answer to a read, or for the client to take what it wrote, and the client has asked for
 * nothing that takes simulated time: that stands still, or the card's timeouts would pass because the client is slow. */
static bool held(void *ctx)
{
	const struct vfio_user *client = ctx;
	return client->waiting && (client->remote.outstanding != 0 || vfio_user_out_full(&client->out));
}

void vfio_user_was_reset(struct vfio_user *client)
{
	vfio_user_remote_reset(client);
	vfio_user_config_reset(client);
	vfio_user_irq_reset(client);
	vfio_user_notify_reset(client);
}

void vfio_user_wait_for_room(struct vfio_user *client)
{
	client->waiting = true;
	vfio_user_out_wait(&client->out);
	client->waiting = false;
}

/* Receives the next message. NULL, or why the connection ends: "" if nothing is wrong with that. */
static const char *receive(struct vfio_user *client, struct channel_fds *fds)
{
	uint8_t wire[VFIO_USER_HEADER_BYTES];
	enum channel_result result = channel_receive(client->channel, wire, sizeof(wire), fds);
	if (result == CHANNEL_END)
		return client->out.broken || client->out.queued_bytes != 0
			       ? "the client is gone, or takes no messages"
			       : "";
	const char *reason = result == CHANNEL_OK ? vfio_user_get_header(wire, &client->header)
						  : channel_result_name(result);
	if (reason)
		return reason;
	result = channel_receive(client->channel, client->payload, vfio_user_payload_bytes(&client->header),
				 fds);
	if (result == CHANNEL_OK)
		return NULL;
	return result == CHANNEL_END ? channel_result_name(CHANNEL_TRUNCATED) : channel_result_name(result);
}

static const char *wait_for_message(struct vfio_user *client, struct channel_fds *fds)
{
	vfio_user_wait_for_room(client);
	client->waiting = true;
	const char *reason = receive(client, fds);
	client->waiting = false;
	return reason;
}

static const char *serve_message(struct vfio_user *client, struct channel_fds *fds)
{
	const char *reason = wait_for_message(client, fds);
	if (reason)
		return reason;
	if ((client->header.flags & VFIO_USER_TYPE_MASK) == VFIO_USER_IS_REPLY)
		return vfio_user_remote_reply(client, &client->header, client->payload);
	bool first = !client->greeted;
	int error = first && client->header.command != VFIO_USER_VERSION ? EINVAL : handle(client, fds);
	if (error)
		reply_error(client, error);
	if (first && error)
		return "it did not begin with an acceptable VERSION";
	if (vfio_user_dma_lost(client))
		return "it has made a file shorter that it had given as memory";
	return NULL;
}

static void begin(struct vfio_user *client, struct channel *channel)
{
	client->channel = channel;
	client->greeted = client->waiting = false;
	client->unread = 0;
	client->refused_posted = 0;
	vfio_user_remote_init(client);
	vfio_user_config_init(client);
	vfio_user_config_reset(client);
	vfio_user_irq_init(client);
	client->card->sink.held = held;
}

/* QEMU aborts when a socket is closed with its bytes unread, which it finds reset. So the client learns of the end first,
 * and from then on cannot send. */
static void hang_up(const struct channel *channel)
{
	uint8_t scrap[4096];
	shutdown(channel->fd, SHUT_RDWR);
	while (recv(channel->fd, scrap, sizeof(scrap), MSG_DONTWAIT) > 0)
		;
}

/* Gives back everything of the client's; the card must not be using it any more. */
static void release(struct vfio_user *client)
{
	vfio_user_irq_close(client);
	vfio_user_notify_close(client);
	vfio_user_dma_close(client);
	vfio_user_remote_close(client);
	client->channel = NULL;
}

static void end(struct vfio_user *client, const char *reason)
{
	if (*reason)
		card_say(client->card, "vfio-user: client disconnected: %s", reason);
	if (client->refused_posted != 0)
		card_say(client->card, "vfio-user: %" PRIu64 " bad commands that asked for no reply",
			 client->refused_posted);
	if (client->remote.refused_writes != 0)
		card_say(client->card, "vfio-user: %" PRIu64 " writes of the card that the client refused",
			 client->remote.refused_writes);
	hang_up(client->channel);
	/* When everything ends, so does simulated time: vfio_user_destroy does the rest. */
	if (loop_stopping(client->card->loop))
		return;
	vfio_user_out_close(&client->out);
	card_reset(client->card);
	release(client);
}

static void serve(void *front_end, struct channel *channel)
{
	struct vfio_user *client = front_end;
	const char *reason = NULL;
	if (vfio_user_out_open(&client->out, channel) != 0) {
		card_say(client->card, "vfio-user: %s", strerror(errno));
		return;
	}
	begin(client, channel);
	for (unsigned turn = 1; !reason; turn++) {
		struct channel_fds fds = {.count = 0};
		reason = serve_message(client, &fds);
		channel_close_fds(&fds);
		if (turn % TURN_MESSAGES == 0)
			kernel_wait_ps(TURN_PS);
	}
	end(client, reason);
}

static void *create(struct card *card)
{
	struct vfio_user *client = calloc(1, sizeof(*client));
	if (!client)
		return NULL;
	client->card = card;
	client->payload = malloc(VFIO_USER_PAYLOAD_MAX);
	client->reply = malloc(VFIO_USER_HEADER_BYTES + VFIO_USER_PAYLOAD_MAX);
	if (!client->payload || !client->reply) {
		free(client->payload);
		free(client->reply);
		free(client);
		return NULL;
	}
	vfio_user_out_init(&client->out);
	vfio_user_notify_init(client);
	return client;
}

static void destroy(void *front_end)
{
	struct vfio_user *client = front_end;
	if (client->channel)
		release(client);
	vfio_user_out_free(&client->out);
	kernel_event_free(client->notify.wake);
	free(client->payload);
	free(client->reply);
	free(client);
}

const struct front_end vfio_user_front_end = {
	.name = "vfio-user", .create = create, .destroy = destroy, .serve = serve};
