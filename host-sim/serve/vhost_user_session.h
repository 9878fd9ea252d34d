/* A vhost-user connection without its socket: what the client has set, and what each request does. */
#ifndef KICKSTAND_HOST_SIM_SERVE_VHOST_USER_SESSION_H
#define KICKSTAND_HOST_SIM_SERVE_VHOST_USER_SESSION_H

#include "host-sim/serve/channel.h"
#include "host-sim/serve/vhost_user_card.h"

struct vhost_user_session {
	struct vhost_user_card *card;
	struct vhost_user_memory memory;
	struct inflight_area inflight;
	struct channel backend; /* requests of ours; fd -1: none */
	uint64_t protocol_features;
	bool accepted;    /* SET_FEATURES has come */
	uint8_t status;   /* as the client has set it */
	bool leaving;     /* status 0 has come: rings are let go of without further notice */
	bool unsettled;   /* a ring may be ready to start: vhost_user_session_settle */
	bool config_told; /* GET_CONFIG has been answered, with this capacity */
	uint64_t capacity;
};

void vhost_user_session_begin(struct vhost_user_session *session, struct vhost_user_card *card);
/* Nothing of the client is left; the card is reset. */
void vhost_user_session_end(struct vhost_user_session *session);
/* The same without simulated time, the card being left as it is. */
void vhost_user_session_drop(struct vhost_user_session *session);

enum vhost_user_outcome {
	VHOST_USER_SILENT, /* nothing to send */
	VHOST_USER_ANSWER, /* send the reply */
	VHOST_USER_HANG_UP /* the connection is to be closed; has been said why */
};

struct vhost_user_reply {
	struct vhost_user_message message;
	int fd; /* to go with it, to be closed then; -1: none */
};

/* Carries out a request. Descriptors it keeps are taken out of `fds`; the caller closes the others. A request that is not
 * well-formed, or refused without a way to tell the client, ends the connection. */
enum vhost_user_outcome vhost_user_session_handle(struct vhost_user_session *session,
						  const struct vhost_user_message *message,
						  struct channel_fds *fds, struct vhost_user_reply *reply);

/* Starts rings that are ready: not after each request, because several come in a row. */
void vhost_user_session_settle(struct vhost_user_session *session);

/* The card's configuration interrupt has come. False: the client is to be disconnected. */
bool vhost_user_session_config_changed(struct vhost_user_session *session);

#endif
