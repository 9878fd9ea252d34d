#include "host-sim/serve/record.h"

#include "host-sim/workloads/iolog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WINDOW           4096u /* requests, many times what the card can hold */
#define OUT_BYTES        (UINT32_C(64) << 10)
#define LINE_BYTES_MAX   100u
#define SECTOR_BYTES     512u
#define ZEROES_BYTES_MAX (UINT32_C(1) << 20) /* of one write that stands for zeroes */

/* A file written in whole lines. */
struct out {
	char *path;
	int fd;
	char buffer[OUT_BYTES];
	size_t used;
	uint64_t written;
	int error; /* errno of the first failure; nothing is written after it */
};

struct pending {
	uint64_t at_ps; /* when the card saw it */
	unsigned queue;
	struct probe_work work; /* number 0: empty */
};

struct record {
	struct out log, doorbells;
	struct pending window[WINDOW]; /* request n is at n % WINDOW */
	uint64_t next;                 /* number of the first request that is not through the window */
	unsigned waiting;              /* requests in it */
	uint64_t last_us;
	unsigned queues;
	struct record_stats stats;
};

/* ---- files ---- */

static void out_flush(struct out *out)
{
	for (size_t done = 0; done < out->used && out->error == 0;) {
		ssize_t bytes = write(out->fd, out->buffer + done, out->used - done);
		if (bytes > 0)
			done += (size_t)bytes;
		else if (bytes == 0 || errno != EINTR)
			out->error = bytes == 0 ? EIO : errno;
	}
	if (out->error == 0)
		out->written += out->used;
	else if (ftruncate(out->fd, (off_t)out->written) != 0) /* half a line would be misread */
		out->written = 0;
	out->used = 0;
}

static void PRINTF_LIKE(2, 3) out_line(struct out *out, const char *format, ...)
{
	va_list args;
	if (out->error != 0)
		return;
	if (OUT_BYTES - out->used < LINE_BYTES_MAX)
		out_flush(out);
	va_start(args, format);
	int length = vsnprintf(out->buffer + out->used, LINE_BYTES_MAX, format, args);
	va_end(args);
	ASSERT(length > 0 && (unsigned)length < LINE_BYTES_MAX);
	out->used += (size_t)length;
}

static int out_open(struct out *out, const char *path, const char *suffix, char *error, size_t error_size)
{
	out->fd = -1;
	if (asprintf(&out->path, "%s%s", path, suffix) < 0) {
		out->path = NULL;
		snprintf(error, error_size, "out of memory");
		return -1;
	}
	out->fd = open(out->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (out->fd >= 0)
		return 0;
	snprintf(error, error_size, "--record: cannot write %s: %s", out->path, strerror(errno));
	return -1;
}

/* -1 with a reason if anything could not be written. */
static int out_close(struct out *out, char *error, size_t error_size)
{
	out_flush(out);
	if (close(out->fd) != 0 && out->error == 0)
		out->error = errno;
	if (out->error == 0)
		return 0;
	snprintf(error, error_size, "--record: %s: %s; the recording stops after %" PRIu64 " bytes",
		 out->path, strerror(out->error), out->written);
	return -1;
}

static void record_free(struct record *record)
{
	free(record->log.path);
	free(record->doorbells.path);
	free(record);
}

struct record *record_open(const char *path, unsigned queues, char *error, size_t error_size)
{
	struct record *record = calloc(1, sizeof(*record));
	if (!record) {
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	record->next = 1;
	record->queues = queues;
	if (out_open(&record->log, path, "", error, error_size) != 0) {
		record_free(record);
		return NULL;
	}
	if (out_open(&record->doorbells, path, ".doorbells", error, error_size) != 0) {
		close(record->log.fd);
		record_free(record);
		return NULL;
	}
	out_line(&record->log, "%s\n", IOLOG_HEADER_V3);
	for (unsigned i = 0; i < queues; i++)
		out_line(&record->log, "0 q%u add\n0 q%u open\n", i, i);
	out_flush(&record->log);
	return record;
}

/* ---- requests ---- */

/* How a log names it; NULL: it has no word for it. Zeroes are written, in pieces as of a driver that has no better way. */
static const struct {
	const char *action;
	uint32_t bytes_max;
} actions[] = {
	[WORK_OTHER] = {NULL, 0},
	[WORK_READ] = {"read", IOLOG_DATA_BYTES_MAX},
	[WORK_WRITE] = {"write", IOLOG_DATA_BYTES_MAX},
	[WORK_FLUSH] = {"sync", 0},
	[WORK_DISCARD] = {"trim", IOLOG_TRIM_BYTES_MAX},
	[WORK_WRITE_ZEROES] = {"write", ZEROES_BYTES_MAX},
	[WORK_SECURE_ERASE] = {NULL, 0},
};

static void write_range(struct record *record, const struct pending *request, const struct work_range *range)
{
	uint64_t offset = range->sector * SECTOR_BYTES, left = range->bytes;
	while (left != 0) {
		uint64_t bytes = min_u64(left, actions[request->work.op].bytes_max);
		out_line(&record->log, "%" PRIu64 " q%u %s %" PRIu64 " %" PRIu64 "\n", record->last_us,
			 request->queue, actions[request->work.op].action, offset, bytes);
		offset += bytes;
		left -= bytes;
	}
}

static void write_request(struct record *record, const struct pending *request)
{
	const struct probe_work *work = &request->work;
	const char *action = actions[work->op].action;
	if (!action) {
		record->stats.left_out++;
		return;
	}
	record->stats.requests++;
	record->last_us = max_u64(record->last_us, request->at_ps / PS_PER_US);
	if (work->op == WORK_FLUSH)
		out_line(&record->log, "%" PRIu64 " q%u %s 0 0\n", record->last_us, request->queue, action);
	for (unsigned i = 0; i < work->ranges; i++)
		write_range(record, request, &work->range[i]);
}

/* What is through: requests below `end`, less those that were never given back. */
static void advance(struct record *record, uint64_t end)
{
	for (; record->next < end && record->waiting != 0; record->next++) {
		struct pending *request = &record->window[record->next % WINDOW];
		if (request->work.number != record->next)
			continue;
		write_request(record, request);
		request->work.number = 0;
		record->waiting--;
	}
	record->next = max_u64(record->next, end);
}

/* When the card saw the request; the engines stamp it earlier than the core does. */
static uint64_t seen_ps(const struct stamps *stamps)
{
	for (unsigned i = STAGE_HEAD; i < STAGE_COUNT; i++)
		if (stamps->at_ps[i] != TIME_NEVER_PS)
			return stamps->at_ps[i];
	return 0;
}

void record_retired(struct record *record, unsigned queue, const struct stamps *stamps,
		    const struct probe_work *work, uint64_t oldest)
{
	const struct pending request = {.at_ps = seen_ps(stamps), .queue = queue, .work = *work};
	if (work->number < record->next) {
		record->stats.late += actions[work->op].action != NULL;
		write_request(record, &request);
		return;
	}
	if (work->number - record->next >= WINDOW)
		advance(record, work->number - WINDOW + 1);
	record->window[work->number % WINDOW] = request;
	record->waiting++;
	advance(record, oldest);
}

void record_doorbell(struct record *record, uint64_t at_ps, unsigned queue)
{
	record->stats.doorbells++;
	out_line(&record->doorbells, "%" PRIu64 " %u\n", at_ps / PS_PER_NS, queue);
}

void record_flush_if_idle(struct record *record, uint64_t oldest)
{
	advance(record, oldest);
	if (record->waiting != 0)
		return;
	out_flush(&record->log);
	out_flush(&record->doorbells);
}

const struct record_stats *record_stats(const struct record *record)
{
	return &record->stats;
}

int record_close(struct record *record, char *error, size_t error_size)
{
	char second[300];
	advance(record, UINT64_MAX);
	for (unsigned i = 0; i < record->queues; i++)
		out_line(&record->log, "%" PRIu64 " q%u close\n", record->last_us, i);
	int failed = out_close(&record->doorbells, error, error_size);
	if (out_close(&record->log, second, sizeof(second)) != 0) {
		snprintf(error, error_size, "%s", second);
		failed = -1;
	}
	record_free(record);
	return failed;
}
