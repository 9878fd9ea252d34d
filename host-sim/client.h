/* A running fio job (one clone): makes its I/Os, keeps its queue depth, checks what comes back.
 *
 * Clones belong to a CPU and a queue. The CPU's loop (run.c) calls client_run when the CPU is free and client_complete
 * for each request of the clone that has come back; both charge the CPU. */
#ifndef KICKSTAND_HOST_SIM_CLIENT_H
#define KICKSTAND_HOST_SIM_CLIENT_H

#include "host-sim/driver/blk.h"
#include "host-sim/guest.h"
#include "host-sim/job_report.h"
#include "host-sim/stages.h"
#include "host-sim/trace.h"
#include "host-sim/verify.h"
#include "host-sim/workloads/io_gen.h"

/* What all clones of a run share. */
struct client_shared {
	struct guest *guest;
	struct blk_device *blk;
	struct verify *verify; /* NULL: nothing is checked */
	struct stages *stages;
	struct trace *trace; /* NULL: none */
	/* The card's stamps of the request last retired at each queue and head. */
	struct stamps *retired; /* [queue * queue_size + head] */
	uint64_t seed;
	uint64_t completed; /* requests of all clones, well or not */
	uint64_t last_completion_ps;
	uint64_t bad_reads;
	struct verify_fault first_fault; /* of a read */
	char first_error[400];           /* line about the first failed request, "" = none */
	bool dead;                       /* the card needs a reset: nothing will come back */
};

enum client_state { CLIENT_WAITS, CLIENT_RUNS, CLIENT_DRAINS, CLIENT_OVER };

struct client_io {
	struct blk_request request;
	struct client *client;
	struct io io;
	struct guest_stamps stamps;
	uint8_t *data;
	uint32_t verify_handle;
	uint64_t flush_handle;
	struct client_io *next_free;
};

struct client {
	struct client_shared *shared;
	const struct fio_job *job;
	unsigned clone;
	struct guest_cpu *cpu;
	struct blk_queue *queue;
	struct io_gen *gen;
	struct job_stats *stats;
	struct client_io *io, *free;
	unsigned depth, in_flight;
	unsigned taken;            /* completions since the queue was last full */
	bool refill;               /* the queue has run low: fill it up again */
	struct client_io *refused; /* did not fit the ring: next to go */
	enum client_state state;
	uint64_t start_ps;
};

/* Takes the clone's buffers from guest memory. Returns 0, or -1 with a one-line reason naming the job and the mend. */
MUST_USE int client_init(struct client *client, struct client_shared *shared, const struct fio_job *job,
			 unsigned clone, struct guest_cpu *cpu, struct blk_queue *queue, char *error,
			 size_t error_size);
void client_free(struct client *client);

/* Whether card and ring can take the job's requests at all: -1 with a one-line reason. */
MUST_USE int client_check_job(const struct blk_device *blk, const struct fio_job *job, char *error,
			      size_t error_size);

/* Largest data transfer of a job; trims have none. */
uint32_t client_max_bytes(const struct fio_job *job);

/* The clone may begin `start_ps` from now on. */
void client_begin(struct client *client, uint64_t start_ps);

/* Submits as many I/Os as are due, up to one batch. Returns true if it did something; else *wake_ps is when there may
 * be something (TIME_NEVER_PS: after a completion). */
bool client_run(struct client *client, uint64_t *wake_ps);

/* One of the clone's requests has come back; `cpu` runs the interrupt handler, since `handler_ps`. */
void client_complete(struct client_io *io, struct guest_cpu *cpu, uint64_t handler_ps);

/* Ends the clone early. */
void client_stop(struct client *client);

static inline bool client_over(const struct client *client)
{
	return client->state == CLIENT_OVER;
}

#endif
