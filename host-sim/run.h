/* One run: the guest boots, probes the card, does the jobs' I/O; figures and checks come out. */
#ifndef KICKSTAND_HOST_SIM_RUN_H
#define KICKSTAND_HOST_SIM_RUN_H

#include "host-sim/client.h"
#include "host-sim/figures.h"
#include "host-sim/original.h"

struct run_options {
	const struct config *config;
	const struct fio_jobs *jobs;
	struct store *store;
	const char *firmware_path;
	struct trace *trace;                      /* NULL: none */
	bool progress;                            /* a line on standard error while it runs */
	void (*log)(void *ctx, const char *line); /* firmware console, checker; may be NULL */
	void *log_ctx;
};

enum run_outcome {
	RUN_DONE,    /* all I/O done; look at errors for how well */
	RUN_REFUSED, /* the jobs do not fit the card: usage error, see error */
	RUN_FAILED,  /* deadlock, watchdog, trap, a card that does not come up, a violated rule: see error */
};

struct run {
	struct run_options options;
	struct guest guest;
	struct blk_device blk;
	struct client_shared shared;
	struct stages stages;
	struct original original;
	struct client *client;
	unsigned clients;
	unsigned phase, phases;
	bool booted, over;
	struct figures start, end; /* before the first I/O and after the last */
	uint64_t audit_bad_sectors;
	struct verify_fault audit_fault;
	double wall_s;
	uint64_t io_errors; /* failed requests and wrong reads */
	enum run_outcome outcome;
	char error[512];
};

/* Runs to the end. Free with run_destroy. */
void run_execute(struct run *run, const struct run_options *options);
void run_destroy(struct run *run);

/* State of guest and card, for a person: after RUN_FAILED. */
void run_dump(struct run *run, FILE *out);

#endif
