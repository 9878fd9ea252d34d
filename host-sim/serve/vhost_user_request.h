/* What the requests of a vhost-user client do, one handler each, in tables that vhost_user_session.c looks up. */
#ifndef KICKSTAND_HOST_SIM_SERVE_VHOST_USER_REQUEST_H
#define KICKSTAND_HOST_SIM_SERVE_VHOST_USER_REQUEST_H

#include "host-sim/serve/vhost_user_session.h"

#define VHOST_USER_RING_SIZE_MAX 32768u

/* What a handler works with: the message has been checked, with the number of its descriptors. */
struct vhost_user_exchange {
	struct vhost_user_session *session;
	const struct vhost_user_message *message;
	struct channel_fds *fds;
	struct vhost_user_reply
		*reply;   /* its header is filled in; of a request without a reply it is not sent */
	char reason[200]; /* of a refusal */
};

struct vhost_user_handler {
	int (*handle)(struct vhost_user_exchange *x); /* 0, or -1: refused. NULL: there is no such request */
	unsigned feature; /* protocol feature that brings the request, plus 1; 0: none */
};

#define VHOST_USER_WITH(name) (VHOST_USER_PROTOCOL_F_##name + 1)

/* By request: of the device, and of a ring. */
extern const struct vhost_user_handler vhost_user_device_handlers[VHOST_USER_REQUESTS];
extern const struct vhost_user_handler vhost_user_ring_handlers[VHOST_USER_REQUESTS];

/* For handlers. The first returns -1. */
int vhost_user_refuse(struct vhost_user_exchange *x, const char *format, ...) PRINTF_LIKE(2, 3);
void vhost_user_reply_u64(struct vhost_user_exchange *x, uint64_t value);
/* A reply of `bytes` that the handler has filled in. */
void vhost_user_reply_bytes(struct vhost_user_exchange *x, uint32_t bytes);

/* Stops a ring and forgets its kick; the rest of it stays for the next start. */
void vhost_user_stop_ring(struct vhost_user_session *session, struct vhost_user_ring *ring);

#endif
