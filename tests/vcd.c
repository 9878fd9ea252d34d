#include "tests/vcd.h"

#include <errno.h>
#include <search.h>

struct code {
	char text[16];
	size_t index; /* of its values */
};

struct reader {
	struct vcd vcd;
	char scope[400]; /* "model.dma." */
	void *codes;     /* tree of struct code */
	size_t signal_room, values_room, *change_room;
	size_t declared; /* codes in the header */
	uint64_t now_ps;
};

static int compare_codes(const void *a, const void *b)
{
	return strcmp(((const struct code *)a)->text, ((const struct code *)b)->text);
}

static void push_scope(struct reader *reader, const char *name)
{
	size_t length = strlen(reader->scope);
	assert_true(length + strlen(name) + 2 <= sizeof(reader->scope));
	snprintf(reader->scope + length, sizeof(reader->scope) - length, "%s.", name);
}

static void pop_scope(struct reader *reader)
{
	char *dot = strrchr(reader->scope, '.');
	assert_non_null(dot);
	while (dot > reader->scope && dot[-1] != '.')
		dot--;
	*dot = '\0';
}

static size_t new_values(struct reader *reader)
{
	struct vcd *vcd = &reader->vcd;
	if (vcd->codes == reader->values_room) {
		reader->values_room = reader->values_room * 2 + 64;
		vcd->values = realloc(vcd->values, reader->values_room * sizeof(*vcd->values));
		reader->change_room =
			realloc(reader->change_room, reader->values_room * sizeof(*reader->change_room));
		assert_non_null(vcd->values);
		assert_non_null(reader->change_room);
	}
	vcd->values[vcd->codes] = (struct vcd_values){0};
	reader->change_room[vcd->codes] = 0;
	return vcd->codes++;
}

/* Values that belong to a code, made when it is seen first. */
static size_t index_of(struct reader *reader, const char *text)
{
	struct code *code = calloc(1, sizeof(*code));
	assert_non_null(code);
	assert_true(strlen(text) < sizeof(code->text));
	strcpy(code->text, text);
	struct code *known = *(struct code **)tsearch(code, &reader->codes, compare_codes);
	if (known == code)
		code->index = new_values(reader);
	else
		free(code);
	return known->index;
}

static void declare(struct reader *reader, unsigned bits, const char *code, const char *name)
{
	struct vcd *vcd = &reader->vcd;
	if (vcd->signals == reader->signal_room) {
		reader->signal_room = reader->signal_room * 2 + 64;
		vcd->signal = realloc(vcd->signal, reader->signal_room * sizeof(*vcd->signal));
		assert_non_null(vcd->signal);
	}
	struct vcd_signal *signal = &vcd->signal[vcd->signals++];
	*signal = (struct vcd_signal){.bits = bits, .values = index_of(reader, code)};
	assert_true(asprintf(&signal->name, "%s%s", reader->scope, name) > 0);
}

static void read_header(struct reader *reader, FILE *in)
{
	char *line = NULL, code[16], name[200];
	size_t size = 0;
	bool in_ps = false;
	unsigned bits;
	while (getline(&line, &size, in) > 0 && !strstr(line, "$enddefinitions")) {
		in_ps |= strstr(line, "1 ps") || strstr(line, "1ps");
		if (sscanf(line, " $scope %*s %199s", name) == 1)
			push_scope(reader, name);
		else if (strstr(line, "$upscope"))
			pop_scope(reader);
		else if (sscanf(line, " $var %*s %u %15s %199s", &bits, code, name) == 3)
			declare(reader, bits, code, name);
	}
	free(line);
	assert_true(in_ps);
	reader->declared = reader->vcd.codes;
}

static void change(struct reader *reader, const char *code, uint64_t value)
{
	size_t index = index_of(reader, code);
	assert_true(index < reader->declared);
	struct vcd_values *values = &reader->vcd.values[index];
	struct vcd_change *last = values->changes ? &values->change[values->changes - 1] : NULL;
	if (last && last->value == value)
		return;
	if (values->changes == reader->change_room[index]) {
		reader->change_room[index] = reader->change_room[index] * 2 + 4;
		values->change =
			realloc(values->change, reader->change_room[index] * sizeof(*values->change));
		assert_non_null(values->change);
	}
	values->change[values->changes++] = (struct vcd_change){reader->now_ps, value};
}

/* "b0101 code": of long ones the last 64 digits. */
static void change_vector(struct reader *reader, char *line)
{
	char *blank = strchr(line, ' ');
	assert_non_null(blank);
	*blank = '\0';
	const char *digits = line + 1;
	if (blank - digits > 64)
		digits = blank - 64;
	if (*digits == 'x') /* before the first value */
		return;
	change(reader, blank + 1, strtoull(digits, NULL, 2));
}

static void read_changes(struct reader *reader, FILE *in)
{
	char *line = NULL;
	size_t size = 0;
	while (getline(&line, &size, in) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#') {
			uint64_t at_ps = strtoull(line + 1, NULL, 10);
			assert_true(at_ps >= reader->now_ps);
			reader->now_ps = at_ps;
		} else if (line[0] == 'b') {
			change_vector(reader, line);
		} else if (line[0] == '0' || line[0] == '1') {
			change(reader, line + 1, (uint64_t)(line[0] - '0'));
		}
	}
	free(line);
	reader->vcd.end_ps = reader->now_ps;
}

struct vcd vcd_read(const char *path)
{
	struct reader reader = {0};
	FILE *in = fopen(path, "r");
	if (!in)
		fail_msg("%s: %s", path, strerror(errno));
	read_header(&reader, in);
	read_changes(&reader, in);
	fclose(in);
	free(reader.change_room);
	tdestroy(reader.codes, free);
	return reader.vcd;
}

void vcd_free(struct vcd *vcd)
{
	for (size_t i = 0; i < vcd->signals; i++)
		free(vcd->signal[i].name);
	for (size_t i = 0; i < vcd->codes; i++)
		free(vcd->values[i].change);
	free(vcd->signal);
	free(vcd->values);
}

static const struct vcd_values *find(const struct vcd *vcd, const char *name)
{
	for (size_t i = 0; i < vcd->signals; i++)
		if (strcmp(vcd->signal[i].name, name) == 0)
			return &vcd->values[vcd->signal[i].values];
	return NULL;
}

bool vcd_has(const struct vcd *vcd, const char *name)
{
	return find(vcd, name) != NULL;
}

const struct vcd_values *vcd_of(const struct vcd *vcd, const char *name)
{
	const struct vcd_values *values = find(vcd, name);
	if (!values)
		fail_msg("no signal '%s'", name);
	return values;
}

uint64_t vcd_at(const struct vcd_values *values, uint64_t at_ps)
{
	assert_true(values->changes != 0);
	size_t from = 0, to = values->changes; /* the answer is in [from, to) */
	while (to - from > 1) {
		size_t middle = (from + to) / 2;
		if (values->change[middle].at_ps <= at_ps)
			from = middle;
		else
			to = middle;
	}
	return values->change[from].value;
}

uint64_t vcd_last(const struct vcd_values *values)
{
	return vcd_at(values, UINT64_MAX);
}

unsigned vcd_times(const struct vcd_values *values, uint64_t value)
{
	unsigned times = 0;
	for (size_t i = 1; i < values->changes; i++)
		times += values->change[i].value == value;
	return times;
}
