/* I/O under test conditions: keeps requests in flight on all queues, with random sizes, alignments and chain shapes, sleeps
 * until interrupts come as a driver does, and compares every byte.
 *
 * Each of the `depth` places of a queue owns a part of the disk and a buffer with guard bytes, so what a read must bring
 * is known at any time. A completion without its interrupt, or an interrupt before its completion can be seen, shows as
 * a request that never ends: load_run fails then. */
#ifndef KICKSTAND_TESTS_E2E_LOAD_H
#define KICKSTAND_TESTS_E2E_LOAD_H

#include "tests/e2e/machine.h"

struct load_settings {
	unsigned depth;     /* requests in flight per queue; 0 = 8 */
	uint32_t bytes_max; /* largest request, a multiple of 512; 0 = 16 KiB */
	unsigned write_pct; /* of requests; the others read; 0 = 50 */
	bool fixed;         /* all requests have bytes_max, aligned, in one piece */
	bool only_reads, only_writes;
	bool keep_chains;    /* descriptors as the driver's settings have them, not mixed */
	bool errors_allowed; /* S_IOERR is counted, not a failure */
	uint64_t limit_us;   /* longest wait for any completion; 0 = 10 ms */
};

struct load_place {
	struct load *load;
	struct blk_request request;
	struct blk_queue *queue;
	uint64_t first_sector; /* its part of the disk: bytes_max of it */
	uint8_t *buffer;       /* LOAD_GUARD_BYTES before and behind the largest request at any alignment */
	uint64_t buffer_addr;
	uint8_t *expected; /* what its part of the disk holds, */
	bool known;        /* if that is known: not after a write that failed */
	bool busy;
	uint32_t shift;         /* of the data in the buffer, behind the guard */
	uint32_t sector, bytes; /* of the request, in its part */
};

struct load {
	struct machine *m;
	struct load_settings settings;
	struct load_place *place;
	unsigned places, in_flight;
	uint64_t done, errors, interrupts;
	uint64_t config_interrupts; /* of vector 0, or ISR bit 1 */
	/* Called before a request is looked at, if set. */
	void (*completed)(void *ctx, struct load_place *place);
	void *ctx;
};

#define LOAD_GUARD_BYTES 64u

/* For the driver as it was probed. All interrupt vectors have to go to CPU 0 (host.vcpus=1). */
void load_begin(struct load *load, struct machine *m, const struct load_settings *settings);

/* Keeps the queues full until `count` more requests have completed, or for `ps`; the rest stays in flight. */
void load_run(struct load *load, uint64_t count);
void load_run_ps(struct load *load, uint64_t ps);

/* Waits for everything in flight. */
void load_drain(struct load *load);

/* After a reset: what was in flight never completes, what it was to write is unknown. */
void load_forget(struct load *load);

/* Looks at all used rings without an interrupt, as a driver does that has just changed the kind of interrupt. */
void load_look(struct load *load);

/* Where the request's data is in guest memory, and what a read must bring. */
const uint8_t *load_data(const struct load_place *place);
const uint8_t *load_expected(const struct load_place *place);

/* load_begin, load_run, load_drain: the card works. */
void load_check_alive(struct machine *m, uint64_t count);

#endif
