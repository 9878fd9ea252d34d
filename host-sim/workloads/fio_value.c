#include "host-sim/workloads/fio_value.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* An unsigned number; *end is behind it. */
static int parse_number(const char *text, uint64_t *value, const char **end)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	char *after;
	if (hex ? !isxdigit((unsigned char)text[2]) : !isdigit((unsigned char)text[0]))
		return -1;
	errno = 0;
	*value = strtoull(text, &after, hex ? 16 : 10);
	*end = after;
	return errno ? -1 : 0;
}

static int scale(uint64_t value, uint64_t factor, uint64_t *product)
{
	uint64_t result;
	if (__builtin_mul_overflow(value, factor, &result))
		return -1;
	*product = result;
	return 0;
}

/* The factor of "", "b", "k", "kb", "ki", "kib", …; 0 if there is no such suffix. */
static uint64_t bytes_factor(const char *suffix, unsigned kb_base)
{
	static const char prefixes[] = "kmgtp";
	if (suffix[0] == '\0' || strcasecmp(suffix, "b") == 0)
		return 1;
	const char *prefix = strchr(prefixes, tolower((unsigned char)suffix[0]));
	if (!prefix)
		return 0;
	const char *rest = suffix + 1;
	bool iec = tolower((unsigned char)rest[0]) == 'i';
	if (iec)
		rest++;
	if (rest[0] != '\0' && strcasecmp(rest, "b") != 0)
		return 0;
	uint64_t base = iec == (kb_base == 1000) ? 1024 : 1000;
	uint64_t factor = base;
	for (const char *p = prefixes; p < prefix; p++)
		factor *= base;
	return factor;
}

int fio_parse_bytes(const char *text, unsigned kb_base, uint64_t *bytes)
{
	uint64_t value;
	const char *suffix;
	if (parse_number(text, &value, &suffix) != 0)
		return -1;
	uint64_t factor = bytes_factor(suffix, kb_base);
	return factor ? scale(value, factor, bytes) : -1;
}

int fio_parse_amount(const char *text, unsigned kb_base, struct fio_amount *amount)
{
	uint64_t value;
	const char *suffix;
	if (parse_number(text, &value, &suffix) != 0)
		return -1;
	if (strcmp(suffix, "%") == 0) {
		if (value < 1 || value > 100)
			return -1;
		*amount = (struct fio_amount){.value = value, .percent = true};
		return 0;
	}
	if (fio_parse_bytes(text, kb_base, &value) != 0)
		return -1;
	*amount = (struct fio_amount){.value = value};
	return 0;
}

int fio_parse_time(const char *text, uint64_t unit_ps, uint64_t *ps)
{
	static const struct {
		const char *suffix;
		uint64_t ps;
	} units[] = {
		{"us", PS_PER_US},    {"usec", PS_PER_US},    {"ms", PS_PER_MS},
		{"msec", PS_PER_MS},  {"s", PS_PER_S},        {"sec", PS_PER_S},
		{"m", 60 * PS_PER_S}, {"h", 3600 * PS_PER_S}, {"d", 86400 * PS_PER_S},
	};
	uint64_t value;
	const char *suffix;
	if (parse_number(text, &value, &suffix) != 0)
		return -1;
	if (suffix[0] == '\0')
		return scale(value, unit_ps, ps);
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strcasecmp(suffix, units[i].suffix) == 0)
			return scale(value, units[i].ps, ps);
	return -1;
}

int fio_parse_bool(const char *text, bool *value)
{
	if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
		return -1;
	*value = text[0] == '1';
	return 0;
}

int fio_parse_micro(const char *text, uint64_t *micro)
{
	uint64_t whole, result;
	const char *end;
	if (strncasecmp(text, "0x", 2) == 0 || parse_number(text, &whole, &end) != 0 ||
	    scale(whole, 1000000, &result) != 0)
		return -1;
	if (*end == '.') {
		uint64_t unit = 100000;
		for (end++; isdigit((unsigned char)*end) && unit; end++, unit /= 10)
			if (__builtin_add_overflow(result, (uint64_t)(*end - '0') * unit, &result))
				return -1;
	}
	if (*end)
		return -1;
	*micro = result;
	return 0;
}

int fio_next_piece(const char **text, char separator, char *piece, size_t size)
{
	const char *end = strchr(*text, separator);
	size_t length = end ? (size_t)(end - *text) : strlen(*text);
	if (length >= size)
		return -1;
	memcpy(piece, *text, length);
	piece[length] = '\0';
	*text = end ? end + 1 : NULL;
	return 0;
}
