#include "host-sim/sweep/ini_file.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTION_MAX 49 /* what inih keeps of a section's name */

struct reader {
	struct ini_file *file;
	FILE *in;
	struct text_place place;
	bool indented; /* the present line */
	bool failed;
};

/* The first one counts. */
static void fail(struct reader *reader, const char *what)
{
	if (!reader->failed)
		text_place_fail(&reader->place, "%s", what);
	reader->failed = true;
}

static void add_section(struct reader *reader, const char *line)
{
	size_t length = strcspn(line + 1, "]");
	struct ini_file *file = reader->file;
	if (length > SECTION_MAX) {
		fail(reader, "the section's name is too long; take one of up to 49 characters");
		return;
	}
	struct ini_section *section = reallocarray(file->section, file->sections + 1, sizeof(*section));
	char *name = strndup(line + 1, length);
	if (section)
		file->section = section;
	if (section && name) {
		section[file->sections++] = (struct ini_section){name, reader->place.line};
		return;
	}
	free(name);
	fail(reader, "out of memory");
}

static const char *without_mark(const char *line, unsigned long number)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	return number == 1 && strncmp(line, byte_order_mark, 3) == 0 ? line + 3 : line;
}

/* inih's way to get a line. It calls no handler for a section, so sections are noticed here. */
static char *next_line(char *line, int size, void *user)
{
	struct reader *reader = user;
	if (reader->failed || !fgets(line, size, reader->in))
		return NULL;
	reader->place.line++;
	if (!strchr(line, '\n') && !feof(reader->in))
		fail(reader, "the line is too long or no text; let a list go on in the next line, indented");
	const char *start = without_mark(line, reader->place.line);
	const char *text = start + strspn(start, " \t");
	reader->indented = text != start;
	if (*text == '[' && reader->indented)
		fail(reader, "a [section] starts at the beginning of its line; remove the blanks");
	else if (*text == '[')
		add_section(reader, text);
	return reader->failed ? NULL : line;
}

/* inih's call for "name = value"; 0 is a mistake. */
static int add_entry(void *user, const char *section, const char *name, const char *value)
{
	struct reader *reader = user;
	struct ini_file *file = reader->file;
	struct ini_entry *entry = reallocarray(file->entry, file->entries + 1, sizeof(*entry));
	if (!entry) {
		fail(reader, "out of memory");
		return 0;
	}
	file->entry = entry;
	entry += file->entries++;
	*entry = (struct ini_entry){.section = strdup(section),
				    .name = strdup(name),
				    .value = strdup(value ? value : ""),
				    .line = reader->place.line,
				    .more = reader->indented};
	if (!entry->section || !entry->name || !entry->value)
		fail(reader, "out of memory");
	else if (file->sections == 0)
		fail(reader, "this is outside of any section; write [sweep] above");
	return !reader->failed;
}

int ini_file_load(struct ini_file *file, const char *path, char *error, size_t error_size)
{
	struct reader reader = {.file = file,
				.place = {.file = path, .error = error, .error_size = error_size}};
	*file = (struct ini_file){0};
	reader.in = fopen(path, "r");
	if (!reader.in) {
		snprintf(error, error_size, "%s: cannot read: %s", path, strerror(errno));
		return -1;
	}
	int line = ini_parse_stream(next_line, &reader, add_entry, &reader);
	bool unreadable = ferror(reader.in);
	if (unreadable)
		snprintf(error, error_size, "%s: cannot read: %s", path, strerror(errno));
	fclose(reader.in);
	/* The first mistake counts: inih's own may stand before ours. */
	if (line > 0 && !unreadable && (!reader.failed || (unsigned long)line < reader.place.line)) {
		reader.place.line = (unsigned long)line;
		reader.failed = false;
		fail(&reader, "not a [section] or key = value line (constraints have <= or >=)");
	}
	if (line < 0)
		fail(&reader, "out of memory");
	if (line == 0 && !reader.failed && !unreadable)
		return 0;
	ini_file_free(file);
	return -1;
}

void ini_file_free(struct ini_file *file)
{
	for (unsigned i = 0; i < file->entries; i++) {
		free(file->entry[i].section);
		free(file->entry[i].name);
		free(file->entry[i].value);
	}
	for (unsigned i = 0; i < file->sections; i++)
		free(file->section[i].name);
	free(file->entry);
	free(file->section);
	*file = (struct ini_file){0};
}
