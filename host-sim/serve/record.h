/* Writes down what a guest does to the card, so that `kickstand run` can do it again (read_iolog).
 *
 * FILE becomes a fio I/O log of version 3 in which each queue is a file (q0, q1, …), in the order in which the card took
 * the requests from the rings; FILE.doorbells has a line "TIME_NS QUEUE" for each doorbell. Times are simulated time since
 * power-on. (Not version 2, though fio reads it too: fio 3.33 takes its waits, which are microseconds, for milliseconds.)
 *
 * Requests are known when they are given back, which they are out of order. They wait in a window until all taken before
 * them are through; one that takes longer than the window is written late. Only whole lines are written, and all there
 * are whenever the card is idle, so that a server which is killed leaves files that can be used. */
#ifndef KICKSTAND_HOST_SIM_SERVE_RECORD_H
#define KICKSTAND_HOST_SIM_SERVE_RECORD_H

#include "rtl-model/probe.h"

struct record;

struct record_stats {
	uint64_t requests; /* in FILE; those with several ranges are several lines */
	uint64_t left_out; /* given back without being in FILE: GET_ID, secure erase, refused ones */
	uint64_t late;     /* of `requests`, not where their times would have them */
	uint64_t doorbells;
};

/* Starts both files. NULL with a one-line reason. */
struct record *record_open(const char *path, unsigned queues, char *error, size_t error_size);

/* As observer.doorbell. */
void record_doorbell(struct record *record, uint64_t at_ps, unsigned queue);

/* As observer.retired; `oldest` is device_oldest_request. */
void record_retired(struct record *record, unsigned queue, const struct stamps *stamps,
		    const struct probe_work *work, uint64_t oldest);

/* Writes what is known if nothing is in flight. */
void record_flush_if_idle(struct record *record, uint64_t oldest);

const struct record_stats *record_stats(const struct record *record);

/* Writes the rest and frees the record. -1 with one line about the first thing that could not be written. */
MUST_USE int record_close(struct record *record, char *error, size_t error_size);

#endif
