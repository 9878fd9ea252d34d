#include "host-sim/workloads/iolog.h"
#include "host-sim/workloads/text_place.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_MAX 4096u
#define WORDS_MAX      5u
#define SECTOR_BYTES   512u

struct reader {
	struct iolog *log;
	struct text_place at;
	unsigned version;
	unsigned skip;
	size_t room;
	char *file[IOLOG_FILES_MAX];
	unsigned last_file; /* most lines are about the same one as the line before */
	uint64_t now_us;
	uint64_t first_us; /* of the first I/O; UINT64_MAX: none yet */
};

/* ---- words ---- */

/* Cuts a line into words. Returns their number, WORDS_MAX + 1 if there are more. */
static unsigned split(char *text, char *word[WORDS_MAX])
{
	unsigned words = 0;
	char *place = NULL;
	for (char *at = strtok_r(text, " \t\r\n", &place); at; at = strtok_r(NULL, " \t\r\n", &place)) {
		if (words == WORDS_MAX)
			return WORDS_MAX + 1;
		word[words++] = at;
	}
	return words;
}

static int number(struct reader *r, const char *what, const char *text, uint64_t limit, uint64_t *value)
{
	char *end;
	errno = 0;
	unsigned long long parsed = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end != '\0')
		return text_place_fail(&r->at, "%s '%.40s' is not a number", what, text);
	if (errno != 0 || parsed > limit)
		return text_place_fail(&r->at, "%s %.40s is too large; at most %" PRIu64 " can be replayed",
				       what, text, limit);
	*value = parsed;
	return 0;
}

/* ---- files ---- */

static int find_file(struct reader *r, const char *name)
{
	struct iolog *log = r->log;
	if (r->last_file < log->files && strcmp(r->file[r->last_file], name) == 0)
		return 0;
	for (unsigned i = 0; i < log->files; i++) {
		if (strcmp(r->file[i], name) == 0) {
			r->last_file = i;
			return 0;
		}
	}
	return -1;
}

static int add_file(struct reader *r, const char *name)
{
	struct iolog *log = r->log;
	if (find_file(r, name) == 0)
		return 0;
	if (log->files == IOLOG_FILES_MAX)
		return text_place_fail(&r->at, "more than %u files; split the log", IOLOG_FILES_MAX);
	r->file[log->files] = strdup(name);
	if (!r->file[log->files])
		return text_place_fail(&r->at, "out of memory");
	r->last_file = log->files++;
	return 0;
}

static int file_action(struct reader *r, const char *name, const char *action)
{
	if (strcmp(action, "add") == 0)
		return add_file(r, name);
	if (strcmp(action, "open") != 0 && strcmp(action, "close") != 0)
		return text_place_fail(
			&r->at, "unknown action '%.40s'; fio has add, open and close for files", action);
	if (find_file(r, name) != 0)
		return text_place_fail(&r->at, "file '%.60s' has no add line above", name);
	return 0;
}

/* ---- I/O ---- */

static int find_action(const char *action)
{
	static const char *const names[] = {
		[IO_READ] = "read", [IO_WRITE] = "write",       [IO_TRIM] = "trim",
		[IO_SYNC] = "sync", [IO_DATASYNC] = "datasync",
	};
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(action, names[i]) == 0)
			return (int)i;
	return -1;
}

static int check_range(struct reader *r, const struct iolog_entry *entry)
{
	if (entry->bytes == 0)
		return text_place_fail(&r->at, "an I/O of no bytes");
	if (entry->offset % SECTOR_BYTES != 0 || entry->bytes % SECTOR_BYTES != 0)
		return text_place_fail(
			&r->at, "offset %" PRIu64 " or length %u is not a multiple of 512, the disk's sector",
			entry->offset, entry->bytes);
	if (entry->bytes > UINT64_MAX - entry->offset)
		return text_place_fail(&r->at, "offset %" PRIu64 " plus length %u does not fit 64 bits",
				       entry->offset, entry->bytes);
	return 0;
}

static void note_range(struct reader *r, const struct iolog_entry *entry)
{
	struct iolog *log = r->log;
	uint32_t *max_bytes = &log->max_bytes[entry->ddir];
	*max_bytes = max_u32(*max_bytes, entry->bytes);
	if (entry->offset + entry->bytes > log->end_offset) {
		log->end_offset = entry->offset + entry->bytes;
		log->end_line = r->at.line;
	}
}

static int append(struct reader *r, const struct iolog_entry *entry)
{
	struct iolog *log = r->log;
	if (log->entries == r->room) {
		size_t room = r->room ? 2 * r->room : 256;
		struct iolog_entry *entries = reallocarray(log->entry, room, sizeof(*entries));
		if (!entries)
			return text_place_fail(&r->at, "out of memory; split the log");
		log->entry = entries;
		r->room = room;
	}
	log->entry[log->entries++] = *entry;
	r->first_us = min_u64(r->first_us, entry->at_us);
	return 0;
}

/* HOWTO: microseconds since the wait before. (fio 3.33 itself takes them for milliseconds since its start.) */
static int wait_action(struct reader *r, const char *time)
{
	uint64_t wait_us = 0;
	if (r->version == 3)
		return text_place_fail(&r->at, "version 3 has times instead of wait");
	if (number(r, "time", time, IOLOG_TIME_US_MAX, &wait_us) != 0)
		return -1;
	if (wait_us > IOLOG_TIME_US_MAX - r->now_us)
		return text_place_fail(&r->at, "the waits add up to more than 115 days");
	r->now_us += wait_us;
	return 0;
}

static int io_action(struct reader *r, const char *name, const char *action, const char *offset,
		     const char *length)
{
	struct iolog_entry entry = {.at_us = r->now_us};
	uint64_t bytes = 0;
	if (strcmp(action, "wait") == 0)
		return wait_action(r, offset);
	int ddir = find_action(action);
	if (ddir < 0)
		return text_place_fail(
			&r->at, "unknown action '%.40s'; fio has read, write, trim, sync, datasync and wait",
			action);
	if (find_file(r, name) != 0)
		return text_place_fail(&r->at, "file '%.60s' has no add line above", name);
	if (number(r, "offset", offset, UINT64_MAX, &entry.offset) != 0 ||
	    number(r, "length", length, ddir == IO_TRIM ? IOLOG_TRIM_BYTES_MAX : IOLOG_DATA_BYTES_MAX,
		   &bytes) != 0)
		return -1;
	if (r->skip >> ddir & 1)
		return 0;
	entry.file = (uint16_t)r->last_file;
	entry.ddir = (uint8_t)ddir;
	if (ddir >= IO_DIRECTIONS) {
		entry.offset = 0;
		return append(r, &entry);
	}
	entry.bytes = (uint32_t)bytes;
	if (check_range(r, &entry) != 0)
		return -1;
	note_range(r, &entry);
	return append(r, &entry);
}

/* ---- lines ---- */

static int read_header(struct reader *r, const char *text)
{
	if (strncmp(text, IOLOG_HEADER_V2, strlen(IOLOG_HEADER_V2)) == 0)
		r->version = 2;
	else if (strncmp(text, IOLOG_HEADER_V3, strlen(IOLOG_HEADER_V3)) == 0)
		r->version = 3;
	else
		return text_place_fail(
			&r->at, "no I/O log of version 2 or 3; give what fio's write_iolog or `kickstand "
				"serve --record` has written");
	return 0;
}

static int read_time(struct reader *r, const char *text)
{
	uint64_t time_us = 0;
	if (number(r, "time", text, IOLOG_TIME_US_MAX, &time_us) != 0)
		return -1;
	r->now_us = max_u64(r->now_us, time_us); /* fio takes a step back for no wait */
	return 0;
}

static int read_line(struct reader *r, char *text)
{
	char *words[WORDS_MAX], **word = words;
	if (strncmp(text, "fio version", 11) == 0)
		return text_place_fail(
			&r->at,
			"a second log begins: write_iolog adds to a file that exists; keep one log a file");
	unsigned count = split(text, words);
	if (count == 0)
		return 0;
	if (r->version == 3) {
		if (read_time(r, *word++) != 0)
			return -1;
		count--;
	}
	if (count == 2)
		return file_action(r, word[0], word[1]);
	if (count == 4)
		return io_action(r, word[0], word[1], word[2], word[3]);
	return text_place_fail(&r->at, "neither '%sFILE add|open|close' nor '%sFILE ACTION OFFSET LENGTH'",
			       r->version == 3 ? "TIME " : "", r->version == 3 ? "TIME " : "");
}

static int read_lines(struct reader *r, FILE *in)
{
	char text[LINE_BYTES_MAX];
	while (fgets(text, sizeof(text), in)) {
		r->at.line++;
		if (!strchr(text, '\n') && !feof(in))
			return text_place_fail(
				&r->at, "longer than %zu characters, or with a NUL byte; give a text file",
				sizeof(text) - 2);
		if ((r->at.line == 1 ? read_header(r, text) : read_line(r, text)) != 0)
			return -1;
	}
	if (ferror(in)) {
		snprintf(r->at.error, r->at.error_size, "%s: cannot read the I/O log: %s", r->log->name,
			 strerror(errno));
		return -1;
	}
	r->at.line += r->at.line == 0;
	if (r->version == 0)
		return read_header(r, "");
	if (r->log->entries == 0)
		return text_place_fail(&r->at, "the log has no I/O%s",
				       r->skip ? " but what replay_skip leaves out" : "");
	return 0;
}

/* fio, too, does not wait for the first I/O of a version 3 log. */
static void settle_times(struct reader *r)
{
	struct iolog *log = r->log;
	uint64_t start_us = r->version == 3 ? r->first_us : 0;
	for (size_t i = 0; i < log->entries; i++)
		log->entry[i].at_us -= start_us;
	log->end_us = r->now_us - start_us;
}

int iolog_read(struct iolog *log, FILE *in, const char *name, unsigned skip, char *error, size_t error_size)
{
	struct reader *r = calloc(1, sizeof(*r));
	*log = (struct iolog){.name = strdup(name)};
	if (!r || !log->name) {
		snprintf(error, error_size, "%s: out of memory", name);
		free(r);
		iolog_free(log);
		return -1;
	}
	r->log = log;
	r->skip = skip;
	r->first_us = UINT64_MAX;
	r->at = (struct text_place){.file = log->name, .error = error, .error_size = error_size};
	int failed = read_lines(r, in);
	if (!failed)
		settle_times(r);
	for (unsigned i = 0; i < log->files; i++)
		free(r->file[i]);
	free(r);
	if (failed)
		iolog_free(log);
	return failed;
}

int iolog_load(struct iolog *log, const char *path, unsigned skip, char *error, size_t error_size)
{
	FILE *in = fopen(path, "r");
	*log = (struct iolog){0};
	if (!in) {
		snprintf(error, error_size, "%s: cannot read the I/O log: %s", path, strerror(errno));
		return -1;
	}
	int failed = iolog_read(log, in, path, skip, error, error_size);
	fclose(in);
	return failed;
}

void iolog_free(struct iolog *log)
{
	free(log->entry);
	free(log->name);
	*log = (struct iolog){0};
}

int iolog_check(const struct iolog *log, uint64_t disk_bytes, char *error, size_t error_size)
{
	if (log->end_offset <= disk_bytes)
		return 0;
	snprintf(error, error_size,
		 "%s:%lu: the I/O ends at byte %" PRIu64 ", the disk at %" PRIu64 "; give a larger --disk",
		 log->name, log->end_line, log->end_offset, disk_bytes);
	return -1;
}
