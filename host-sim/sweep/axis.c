#include "host-sim/sweep/axis.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MILLI       1000
#define MILLI_MAX   INT64_C(1000000000000000000)
#define SPAN_DIGITS 15

/* ---- lists ---- */

static int add_item(struct axis *axis, const char *start, size_t length, const struct text_place *place)
{
	if (axis->levels == AXIS_LEVELS_MAX)
		return text_place_fail(place, "axis '%s' has more than %d values; take fewer", axis->name,
				       AXIS_LEVELS_MAX);
	struct axis_item *item = reallocarray(axis->item, axis->levels + 1, sizeof(*item));
	if (!item)
		return text_place_fail(place, "out of memory");
	axis->item = item;
	item[axis->levels] = (struct axis_item){.text = strndup(start, length), .line = place->line};
	if (!item[axis->levels].text)
		return text_place_fail(place, "out of memory");
	axis->levels++;
	return 0;
}

/* End of the item that starts here: the next comma outside of quotes. NULL if a quote is left open. */
static const char *item_end(const char *at)
{
	bool quoted = false;
	for (; *at && (quoted || *at != ','); at++)
		quoted ^= *at == '"';
	return quoted ? NULL : at;
}

int axis_add_list(struct axis *axis, const char *text, const struct text_place *place)
{
	axis->kind = AXIS_LIST;
	axis->values_line = place->line;
	while (true) {
		text += strspn(text, " \t");
		const char *end = item_end(text);
		if (!end)
			return text_place_fail(place, "a quote is not closed: %.60s", text);
		size_t length = (size_t)(end - text);
		while (length && isspace((unsigned char)text[length - 1]))
			length--;
		/* A comma at the end of a line that goes on in the next is no value. */
		if (length == 0 && *end)
			return text_place_fail(place, "a value is missing between commas");
		if (length && add_item(axis, text, length, place) != 0)
			return -1;
		if (!*end)
			return 0;
		text = end + 1;
	}
}

/* Puts the words of an item behind each other, quotes gone. Returns their number. */
static unsigned split_item(char *text)
{
	unsigned words = 0;
	char *out = text;
	while (true) {
		text += strspn(text, " \t");
		if (!*text)
			break;
		bool quoted = false;
		for (; *text && (quoted || !isblank((unsigned char)*text)); text++) {
			if (*text == '"')
				quoted = !quoted;
			else
				*out++ = *text;
		}
		if (*text)
			text++;
		*out++ = '\0';
		words++;
	}
	return words;
}

static const char *word_of(const char *text, unsigned number)
{
	while (number--)
		text += strlen(text) + 1;
	return text;
}

static int settle_list(struct axis *axis, struct text_place *place)
{
	for (unsigned i = 0; i < axis->levels; i++) {
		struct axis_item *item = &axis->item[i];
		place->line = item->line;
		char shown[61];
		snprintf(shown, sizeof(shown), "%s", item->text);
		unsigned words = split_item(item->text);
		if (words != axis->keys)
			return text_place_fail(
				place,
				"'%s' has %u values for the %u %s of axis '%s'; separate levels by "
				"commas and the keys' values by blanks",
				shown, words, axis->keys, axis->keys == 1 ? "key" : "keys", axis->name);
	}
	return 0;
}

/* ---- ranges ---- */

static bool parse_number(const char **text, int64_t *milli)
{
	static const char suffixes[] = "kKmMgG";
	const char *at = *text;
	int64_t value = 0;
	unsigned digits = 0;
	for (; isdigit((unsigned char)*at); at++, digits++)
		value = digits < SPAN_DIGITS ? value * 10 + (*at - '0') : value;
	if (digits == 0 || digits > SPAN_DIGITS)
		return false;
	value *= MILLI;
	const char *suffix = *at ? strchr(suffixes, *at) : NULL;
	if (suffix) {
		int64_t factor = INT64_C(1) << (10 * ((suffix - suffixes) / 2 + 1));
		if (value > MILLI_MAX / factor)
			return false;
		value *= factor;
		at++;
	} else if (at[0] == '.' && isdigit((unsigned char)at[1])) {
		int64_t unit = MILLI / 10;
		for (at++; isdigit((unsigned char)*at); at++, unit /= 10)
			value += (*at - '0') * unit;
	}
	*milli = value;
	*text = at;
	return true;
}

static void skip_blanks(const char **text)
{
	*text += strspn(*text, " \t");
}

static bool skip_word(const char **text, const char *word)
{
	skip_blanks(text);
	if (strncmp(*text, word, strlen(word)) != 0)
		return false;
	*text += strlen(word);
	skip_blanks(text);
	return true;
}

/* "A..B WORD C" */
static int parse_span(struct axis *axis, const char *text, const char *word, int64_t *third,
		      const struct text_place *place)
{
	const char *at = text;
	skip_blanks(&at);
	bool good = parse_number(&at, &axis->from_milli) && skip_word(&at, "..") &&
		    parse_number(&at, &axis->to_milli) && skip_word(&at, word) && parse_number(&at, third);
	skip_blanks(&at);
	if (!good || *at)
		return text_place_fail(place, "'%.60s' is not of the form A..B %s N, such as %s", text, word,
				       strcmp(word, "step") == 0 ? "0..10000 step 500"
								 : "100..100000 steps 7");
	if (axis->from_milli >= axis->to_milli)
		return text_place_fail(place, "'%.60s' does not rise; give the smaller number first", text);
	axis->values_line = place->line;
	return 0;
}

int axis_set_range(struct axis *axis, const char *text, const struct text_place *place)
{
	if (parse_span(axis, text, "step", &axis->step_milli, place) != 0)
		return -1;
	if (axis->step_milli <= 0)
		return text_place_fail(place, "a step of 0 never arrives; give a larger one");
	int64_t steps = (axis->to_milli - axis->from_milli) / axis->step_milli;
	if (steps >= AXIS_LEVELS_MAX)
		return text_place_fail(place, "axis '%s' has more than %d values; take a larger step",
				       axis->name, AXIS_LEVELS_MAX);
	axis->kind = AXIS_RANGE;
	axis->levels = (unsigned)steps + 1;
	return 0;
}

int axis_set_log(struct axis *axis, const char *text, const struct text_place *place)
{
	int64_t steps_milli = 0;
	if (parse_span(axis, text, "steps", &steps_milli, place) != 0)
		return -1;
	if (axis->from_milli == 0)
		return text_place_fail(place, "equal ratios cannot start at 0; start at 1, or give values");
	if (steps_milli % MILLI != 0 || steps_milli < 2 * MILLI ||
	    steps_milli > (int64_t)AXIS_LEVELS_MAX * MILLI)
		return text_place_fail(place, "'%.60s': give 2 to %d steps", text, AXIS_LEVELS_MAX);
	axis->kind = AXIS_LOG;
	axis->levels = (unsigned)(steps_milli / MILLI);
	return 0;
}

static int64_t span_value(const struct axis *axis, unsigned level)
{
	if (axis->kind == AXIS_RANGE)
		return axis->from_milli + level * axis->step_milli;
	if (level == 0)
		return axis->from_milli;
	if (level == axis->levels - 1)
		return axis->to_milli;
	double value = (double)axis->from_milli *
		       pow((double)axis->to_milli / (double)axis->from_milli, level / (axis->levels - 1.0));
	bool whole = axis->from_milli % MILLI == 0 && axis->to_milli % MILLI == 0;
	return whole ? llround(value / MILLI) * MILLI : llround(value);
}

static void format_milli(int64_t milli, char text[AXIS_TEXT_MAX])
{
	int length = snprintf(text, AXIS_TEXT_MAX, "%" PRId64 ".%03" PRId64, milli / MILLI, milli % MILLI);
	while (text[length - 1] == '0')
		text[--length] = '\0';
	if (text[length - 1] == '.')
		text[length - 1] = '\0';
}

/* ---- both ---- */

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Two levels of a list that are the same text. NULL if all differ. */
static char *find_twin(char **label, unsigned levels)
{
	qsort(label, levels, sizeof(*label), compare_text);
	for (unsigned i = 1; i < levels; i++)
		if (strcmp(label[i - 1], label[i]) == 0)
			return label[i];
	return NULL;
}

static int check_distinct_list(const struct axis *axis, const struct text_place *place)
{
	char **label = calloc(axis->levels, sizeof(*label)), text[AXIS_TEXT_MAX];
	bool complete = label != NULL;
	for (unsigned i = 0; complete && i < axis->levels; i++) {
		axis_label(axis, i, text);
		label[i] = strdup(text);
		complete = label[i] != NULL;
	}
	const char *twin = complete ? find_twin(label, axis->levels) : NULL;
	int bad = !complete ? text_place_fail(place, "out of memory")
		  : twin ? text_place_fail(place, "axis '%s' has '%s' twice; leave one out", axis->name, twin)
			 : 0;
	for (unsigned i = 0; label && i < axis->levels; i++)
		free(label[i]);
	free(label);
	return bad;
}

int axis_settle(struct axis *axis, struct text_place *place)
{
	place->line = axis->line;
	if (axis->kind == AXIS_EMPTY || axis->levels == 0)
		return text_place_fail(place, "axis '%s' has no values; add values, range or log",
				       axis->name);
	if (axis->kind == AXIS_LIST) {
		if (settle_list(axis, place) != 0)
			return -1;
		place->line = axis->values_line;
		return check_distinct_list(axis, place);
	}
	place->line = axis->values_line;
	if (axis->keys != 1)
		return text_place_fail(place, "axis '%s' varies %u keys; list their values with 'values'",
				       axis->name, axis->keys);
	for (unsigned i = 1; i < axis->levels; i++)
		if (span_value(axis, i) == span_value(axis, i - 1))
			return text_place_fail(
				place, "axis '%s' gives %" PRId64 " twice after rounding; take fewer steps",
				axis->name, span_value(axis, i) / MILLI);
	return 0;
}

void axis_value(const struct axis *axis, unsigned level, unsigned key, char text[AXIS_TEXT_MAX])
{
	ASSERT(level < axis->levels && key < axis->keys);
	if (axis->kind == AXIS_LIST)
		snprintf(text, AXIS_TEXT_MAX, "%s", word_of(axis->item[level].text, key));
	else
		format_milli(span_value(axis, level), text);
}

void axis_label(const struct axis *axis, unsigned level, char text[AXIS_TEXT_MAX])
{
	size_t length = 0;
	for (unsigned i = 0; i < axis->keys; i++) {
		char value[AXIS_TEXT_MAX];
		axis_value(axis, level, i, value);
		int added = snprintf(text + length, AXIS_TEXT_MAX - length, "%s%s", i ? " " : "", value);
		length = min_u64(length + (size_t)added, AXIS_TEXT_MAX - 1);
	}
}

void axis_free(struct axis *axis)
{
	for (unsigned i = 0; axis->item && i < axis->levels; i++)
		free(axis->item[i].text);
	free(axis->item);
	for (unsigned i = 0; i < axis->keys; i++)
		free(axis->key[i]);
	free(axis->name);
}
