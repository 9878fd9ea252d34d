/* The vhost-user front-end: connections. What a request means is in vhost_user_request*.c, what becomes of the rings in
 * vhost_user_card.c. */
#include "host-sim/serve/front_end.h"
#include "host-sim/serve/vhost_user_session.h"
#include "rtl-model/kernel.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct vhost_user {
	struct vhost_user_card card;
	struct vhost_user_session session;
	struct channel *channel; /* NULL: nobody is connected */
	/* Looks at configuration interrupts: that takes register accesses, for which an interrupt has no time. */
	struct kernel_event *changed_event;
	bool changed;
	struct vhost_user_message message;
	struct vhost_user_reply reply;
};

/* ---- configuration interrupts ---- */

static void config_changed(void *ctx)
{
	struct vhost_user *vu = ctx;
	vu->changed = true;
	kernel_event_notify(vu->changed_event, kernel_now_ps());
}

static void watch_config(void *arg)
{
	struct vhost_user *vu = arg;
	for (;;) {
		while (!vu->changed)
			kernel_event_wait(vu->changed_event);
		vu->changed = false;
		/* The thread that serves the connection finds it at an end. */
		if (vu->channel && !vhost_user_session_config_changed(&vu->session) && vu->channel)
			shutdown(vu->channel->fd, SHUT_RDWR);
	}
}

/* ---- messages ---- */

static bool more_to_read(const struct channel *channel)
{
	struct pollfd poll_fd = {.fd = channel->fd, .events = POLLIN};
	return poll(&poll_fd, 1, 0) == 1;
}

/* The next message, whole. False at the end of the connection; if that is not as it should be, it is said. */
static bool receive(struct vhost_user *vu, struct channel_fds *fds)
{
	struct vhost_user_header *header = &vu->message.header;
	enum channel_result result = channel_receive(vu->channel, header, sizeof(*header), fds);
	if (result == CHANNEL_OK) {
		const char *fault = vhost_user_header_check(header);
		if (fault) {
			card_say(vu->card.card, "vhost-user: request %u: %s", header->request, fault);
			return false;
		}
		result = channel_receive(vu->channel, vu->message.payload.bytes, header->size, fds);
		if (result == CHANNEL_END)
			result = CHANNEL_TRUNCATED;
	}
	if (result != CHANNEL_OK && result != CHANNEL_END && !loop_stopping(vu->channel->loop))
		card_say(vu->card.card, "vhost-user: %s", channel_result_name(result));
	return result == CHANNEL_OK;
}

static bool send_reply(struct vhost_user *vu)
{
	struct vhost_user_reply *reply = &vu->reply;
	enum channel_result result = channel_send(vu->channel, &reply->message, VHOST_USER_HEADER_BYTES,
						  &reply->fd, reply->fd >= 0);
	if (result == CHANNEL_OK)
		result = channel_send(vu->channel, reply->message.payload.bytes, reply->message.header.size,
				      NULL, 0);
	if (reply->fd >= 0)
		close(reply->fd);
	return result == CHANNEL_OK;
}

/* One request. False: the connection is at its end. */
static bool serve_request(struct vhost_user *vu)
{
	struct channel_fds fds = {.count = 0};
	enum vhost_user_outcome outcome = VHOST_USER_HANG_UP;
	if (receive(vu, &fds))
		outcome = vhost_user_session_handle(&vu->session, &vu->message, &fds, &vu->reply);
	channel_close_fds(&fds);
	return outcome == VHOST_USER_SILENT || (outcome == VHOST_USER_ANSWER && send_reply(vu));
}

/* ---- the front-end ---- */

static void *create(struct card *card)
{
	struct vhost_user *vu = calloc(1, sizeof(*vu));
	if (!vu)
		return NULL;
	vu->card.card = card;
	vu->card.config_changed = config_changed;
	vu->card.ctx = vu;
	vu->changed_event = kernel_event_create();
	kernel_thread_spawn("vhost_user_config", watch_config, vu);
	return vu;
}

/* Simulated time is over; a connection may have been cut off in the middle. */
static void destroy(void *front_end)
{
	struct vhost_user *vu = front_end;
	if (vu->channel)
		vhost_user_session_drop(&vu->session);
	kernel_event_free(vu->changed_event);
	free(vu);
}

static void serve(void *front_end, struct channel *channel)
{
	struct vhost_user *vu = front_end;
	char error[200];
	if (vhost_user_card_find(&vu->card, error, sizeof(error)) != 0) {
		card_say(vu->card.card, "vhost-user: %s", error);
		return;
	}
	vhost_user_session_begin(&vu->session, &vu->card);
	vu->channel = channel;
	while (serve_request(vu))
		if (!more_to_read(channel))
			vhost_user_session_settle(&vu->session);
	vhost_user_session_end(&vu->session);
	vu->channel = NULL;
}

const struct front_end vhost_user_front_end = {
	.name = "vhost-user", .create = create, .destroy = destroy, .serve = serve};
