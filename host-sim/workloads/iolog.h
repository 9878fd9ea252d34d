/* fio I/O logs ("Trace file format v2" and "v3" in fio's HOWTO): what was done when, to which of several files.
 *
 * Read whole, as they are replayed (read_iolog). Files are not told apart by where they are, since all are on the one
 * disk; their order in the log says which clone replays them. `kickstand serve --record` writes version 3 with a file per
 * queue (host-sim/serve/record.h). */
#ifndef KICKSTAND_HOST_SIM_WORKLOADS_IOLOG_H
#define KICKSTAND_HOST_SIM_WORKLOADS_IOLOG_H

#include "host-sim/workloads/io.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IOLOG_HEADER_V2 "fio version 2 iolog"
#define IOLOG_HEADER_V3 "fio version 3 iolog"

#define IOLOG_FILES_MAX      1024u
#define IOLOG_DATA_BYTES_MAX (UINT32_C(1) << 30)             /* of a read or write, as with bs */
#define IOLOG_TRIM_BYTES_MAX ((UINT32_C(1) << 31) - 512)     /* max_discard_sectors of the card */
#define IOLOG_TIME_US_MAX    (UINT64_C(10000000) * 1000000u) /* 115 days */

struct iolog_entry {
	uint64_t at_us;  /* from the first I/O (v3), or what the waits before it add up to (v2) */
	uint64_t offset; /* 0 for flushes, as is `bytes` */
	uint32_t bytes;
	uint16_t file;
	uint8_t ddir; /* enum io_ddir */
};

struct iolog {
	struct iolog_entry *entry;
	size_t entries;                    /* at least one */
	uint64_t end_us;                   /* of the log; a replay that starts over does so then */
	unsigned files;                    /* numbered in the order of their "add" lines */
	uint32_t max_bytes[IO_DIRECTIONS]; /* 0 = none of that kind */
	/* What reaches furthest on the disk. */
	uint64_t end_offset;
	unsigned long end_line;
	char *name; /* of the log, for messages */
};

/* Reads a log, less the kinds of I/O in `skip` (a bit per enum io_ddir). -1 with one line "LOG:LINE: what; the mend" on any
 * error, *log then being empty. Owner: caller, iolog_free. */
MUST_USE int iolog_load(struct iolog *log, const char *path, unsigned skip, char *error, size_t error_size);

/* The same from an open file; `name` is used in messages. */
MUST_USE int iolog_read(struct iolog *log, FILE *in, const char *name, unsigned skip, char *error,
			size_t error_size);

void iolog_free(struct iolog *log);

/* Whether all of it is inside a disk of this size: -1 with one line that names the log's line. */
MUST_USE int iolog_check(const struct iolog *log, uint64_t disk_bytes, char *error, size_t error_size);

#ifdef __cplusplus
}
#endif
#endif
