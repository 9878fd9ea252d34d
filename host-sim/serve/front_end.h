/* A socket protocol: what serve.c asks of it. */
#ifndef KICKSTAND_HOST_SIM_SERVE_FRONT_END_H
#define KICKSTAND_HOST_SIM_SERVE_FRONT_END_H

#include "host-sim/serve/card.h"
#include "host-sim/serve/channel.h"

struct front_end {
	const char *name; /* as the command line has it: "vhost-user" */
	/* State that outlives connections. NULL when out of memory. */
	void *(*create)(struct card *card);
	void (*destroy)(void *front_end);
	/* Serves one connection, from a kernel thread, until it ends. Afterwards nothing of the client is left: no memory, no
	 * descriptor, no interrupt sink, and the card is ready for the next one. The channel stays the caller's. */
	void (*serve)(void *front_end, struct channel *channel);
};

extern const struct front_end vhost_user_front_end, vfio_user_front_end;

#endif
