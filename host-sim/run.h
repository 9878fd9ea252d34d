/* One run: the guest boots, probes the card, does the jobs' I/O; figures and checks come out. */
#ifndef KICKSTAND_HOST_SIM_RUN_H
#define KICKSTAND_HOST_SIM_RUN_H

#include "host-sim/client.h"
#include "host-sim/connect/vfio_client.h"
#include "host-sim/figures.h"
#include "host-sim/original.h"

#include <signal.h>

struct run_options {
	const struct config *config;
	const struct fio_jobs *jobs;
	struct store *store;
	const char *firmware_path;
	struct trace *trace; /* NULL: none */
	/* Drive a card behind a socket instead: there is no store then, and no firmware, trace or wave. NULL: none. */
	struct vfio_client *remote;
	const struct store_info *remote_disk;     /* what its disk held at the start; NULL: not known */
	const char *wave;                         /* VCD or FST file of the card's signals; NULL: none */
	bool progress;                            /* a line on standard error while it runs */
	const volatile sig_atomic_t *stop;        /* not 0: end the jobs early; may be NULL */
	void (*log)(void *ctx, const char *line); /* firmware console, checker; may be NULL */
	void *log_ctx;
};

enum run_outcome {
	RUN_DONE,    /* all I/O done; look at errors for how well */
	RUN_REFUSED, /* the jobs do not fit the card: usage error, see error */
	RUN_LOST,    /* the served card went away in the middle: see error */
	RUN_FAILED,  /* deadlock, watchdog, trap, a card that does not come up, a violated rule: see error */
};

struct run {
	struct run_options options;
	struct guest guest;
	struct loop *loop; /* with a card behind a socket: simulated time follows the wall clock */
	struct blk_device blk;
	struct client_shared shared;
	struct stages stages;
	struct original original;
	struct client *client;
	unsigned clients;
	unsigned phase, phases;
	bool booted, over;
	bool interrupted;          /* run_options.stop came before the jobs' end */
	struct figures start, end; /* before the first I/O and after the last */
	uint64_t audit_bad_sectors;
	struct verify_fault audit_fault;
	double wall_s, begin_s, shown_s; /* the run's, and when it began and last showed progress */
	bool shown;
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
