/* A card behind a socket, from start to the last report: `kickstand serve`. */
#ifndef KICKSTAND_HOST_SIM_SERVE_SERVE_H
#define KICKSTAND_HOST_SIM_SERVE_SERVE_H

#include "host-sim/figures.h"
#include "host-sim/serve/front_end.h"
#include "host-sim/serve/record.h"
#include "host-sim/stages.h"

struct serve_options {
	const struct config *config;
	const struct front_end *front_end;
	const char *path; /* of the socket */
	struct store *store;
	const char *firmware_path;
	enum loop_pace pace;
	const char *record; /* file for what the guest does; NULL: none */
	bool quiet;         /* no lines about clients coming and going */
};

enum serve_outcome {
	SERVE_DONE,
	SERVE_REFUSED, /* the socket or the card cannot be had: see error */
	SERVE_FAILED,  /* firmware trap, a card that does not come up: see error */
};

struct serve {
	struct serve_options options;
	struct card card;
	struct loop *loop;
	struct listener listener;
	void *front_end;
	int signals;   /* signalfd */
	int client_fd; /* of the client being served */
	uint64_t clients, refused;
	struct figures start, end; /* card up, and last */
	struct stages stages;
	uint64_t requests;
	struct record *record; /* while serving; NULL: none */
	struct record_stats recorded;
	char record_error[300]; /* "" = none */
	struct loop_stats loop_stats;
	enum serve_outcome outcome;
	char error[400];
};

/* Serves clients one after the other until SIGINT or SIGTERM. Free with serve_destroy. */
void serve_execute(struct serve *serve, const struct serve_options *options);
void serve_destroy(struct serve *serve);

#endif
