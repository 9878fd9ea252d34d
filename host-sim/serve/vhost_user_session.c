#include "host-sim/serve/vhost_user_session.h"

#include "host-sim/serve/vhost_user_request.h"

#include <stdio.h>

#define ACK_GOOD 0u
#define ACK_BAD  1u

/* ---- requests ---- */

static bool has(const struct vhost_user_session *session, unsigned feature)
{
	return session->protocol_features >> feature & 1;
}

static const struct vhost_user_handler *find_handler(uint32_t request)
{
	if (request >= VHOST_USER_REQUESTS)
		return NULL;
	if (vhost_user_ring_handlers[request].handle)
		return &vhost_user_ring_handlers[request];
	return vhost_user_device_handlers[request].handle ? &vhost_user_device_handlers[request] : NULL;
}

static int carry_out(struct vhost_user_exchange *x)
{
	const struct vhost_user_handler *handler = find_handler(x->message->header.request);
	if (!handler)
		return vhost_user_refuse(x, "not a request we know");
	if (handler->feature != 0 && !has(x->session, handler->feature - 1))
		return vhost_user_refuse(x, "its protocol feature was not accepted");
	return handler->handle(x);
}

static void say(const struct vhost_user_exchange *x, const char *reason)
{
	const struct vhost_user_header *header = &x->message->header;
	const char *name = vhost_user_request_info(header->request)->name;
	char number[20];
	snprintf(number, sizeof(number), "request %u", header->request);
	card_say(x->session->card->card, "vhost-user: %s: %s", name ? name : number, reason);
}

static enum vhost_user_outcome hang_up(const struct vhost_user_exchange *x, const char *reason)
{
	say(x, reason);
	return VHOST_USER_HANG_UP;
}

/* A failure: told the client if there is a way, and a person in any case. */
static enum vhost_user_outcome refused(struct vhost_user_exchange *x, bool acknowledge)
{
	uint32_t request = x->message->header.request;
	if (request == VHOST_USER_GET_INFLIGHT_FD) {
		say(x, x->reason);
		return VHOST_USER_ANSWER;
	}
	if (acknowledge && !vhost_user_request_info(request)->replies) {
		say(x, x->reason);
		vhost_user_reply_u64(x, ACK_BAD);
		return VHOST_USER_ANSWER;
	}
	if (!vhost_user_request_info(request)->name) { /* to be ignored */
		say(x, x->reason);
		return VHOST_USER_SILENT;
	}
	return hang_up(x, x->reason);
}

enum vhost_user_outcome vhost_user_session_handle(struct vhost_user_session *session,
						  const struct vhost_user_message *message,
						  struct channel_fds *fds, struct vhost_user_reply *reply)
{
	struct vhost_user_exchange x = {.session = session, .message = message, .fds = fds, .reply = reply};
	const char *fault = vhost_user_header_check(&message->header);
	bool acknowledge = has(session, VHOST_USER_PROTOCOL_F_REPLY_ACK) &&
			   (message->header.flags & VHOST_USER_NEED_REPLY);
	if (!fault)
		fault = vhost_user_message_check(message, fds->count);
	if (fault)
		return hang_up(&x, fault);
	reply->fd = -1;
	/* Exactly these flags: QEMU refuses a reply that asks for one. */
	reply->message.header = (struct vhost_user_header){.request = message->header.request,
							   .flags = VHOST_USER_VERSION | VHOST_USER_REPLY};
	if (carry_out(&x) != 0)
		return refused(&x, acknowledge);
	if (vhost_user_memory_lost(&session->memory))
		return hang_up(&x, "the client has made its memory smaller");
	if (vhost_user_request_info(message->header.request)->replies)
		return VHOST_USER_ANSWER;
	if (!acknowledge)
		return VHOST_USER_SILENT;
	vhost_user_reply_u64(&x, ACK_GOOD);
	return VHOST_USER_ANSWER;
}

/* ---- between requests ---- */

static uint64_t read_capacity(struct vhost_user_session *session)
{
	uint8_t config[VHOST_USER_CONFIG_BYTES];
	vhost_user_card_config(session->card, config);
	return load_le64(config);
}

/* Without waiting for an answer: the client may be blocked in a request of its own and asks for the configuration first. */
static void tell_config_change(struct vhost_user_session *session)
{
	const struct vhost_user_header header = {.request = VHOST_USER_BACKEND_CONFIG_CHANGE,
						 .flags = VHOST_USER_VERSION};
	if (session->backend.fd < 0)
		return;
	if (!channel_send_now(&session->backend, &header, sizeof(header)))
		card_say(session->card->card, "vhost-user: the client does not take the news of a changed "
					      "configuration");
}

void vhost_user_session_settle(struct vhost_user_session *session)
{
	if (!session->unsettled || !session->accepted)
		return;
	session->unsettled = false;
	bool live = session->card->live;
	vhost_user_card_settle(session->card, &session->memory, &session->inflight);
	/* While no driver was there the card had nobody to tell of a change. */
	if (!live && session->card->live && session->config_told &&
	    read_capacity(session) != session->capacity)
		tell_config_change(session);
}

bool vhost_user_session_config_changed(struct vhost_user_session *session)
{
	bool broken = vhost_user_card_check(session->card);
	if (vhost_user_memory_lost(&session->memory)) {
		card_say(session->card->card, "vhost-user: the client has made its memory smaller");
		return false;
	}
	if (!broken)
		tell_config_change(session);
	return true;
}

void vhost_user_session_begin(struct vhost_user_session *session, struct vhost_user_card *card)
{
	*session = (struct vhost_user_session){
		.card = card, .memory.card = &card->card->guest.memory, .backend.fd = -1};
	vhost_user_card_begin(card);
}

static void release(struct vhost_user_session *session)
{
	channel_close(&session->backend);
	inflight_area_close(&session->inflight);
	vhost_user_memory_clear(&session->memory);
}

void vhost_user_session_end(struct vhost_user_session *session)
{
	vhost_user_card_end(session->card);
	release(session);
}

void vhost_user_session_drop(struct vhost_user_session *session)
{
	vhost_user_card_drop(session->card);
	release(session);
}
