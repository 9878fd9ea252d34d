/* One axis of a sweep: the values that a key takes, or several keys together.
 *
 *   values = 1, 2, 4                 a list; "3 8, 4 16" for two keys that vary together; quotes keep commas and blanks
 *   range = 0..10000 step 500        evenly, the end included if a step meets it
 *   log = 100..100000 steps 7        that many values in equal ratios, rounded to whole numbers
 *
 * Numbers are kept in thousandths, so that 0.1 + 0.2 is 0.3; k, M and G are powers of 1024. */
#ifndef KICKSTAND_HOST_SIM_SWEEP_AXIS_H
#define KICKSTAND_HOST_SIM_SWEEP_AXIS_H

#include "host-sim/workloads/text_place.h"

#define AXIS_KEYS_MAX   8
#define AXIS_LEVELS_MAX 100000
#define AXIS_TEXT_MAX   200 /* of a value, its end included: a line of the specification is no longer */

enum axis_kind { AXIS_EMPTY, AXIS_LIST, AXIS_RANGE, AXIS_LOG };

struct axis {
	char *name;
	unsigned long line; /* of its section */
	char *key[AXIS_KEYS_MAX];
	unsigned keys;
	enum axis_kind kind;
	unsigned long values_line;
	unsigned levels;
	struct axis_item {
		char *text; /* the keys' values, behind each other with a NUL in between, once they are separated */
		unsigned long line;
	} * item; /* AXIS_LIST: one a level */
	int64_t from_milli, to_milli, step_milli;
};

/* What stands behind `values`, `range` or `log`; a list may be given in several pieces. -1 with the reason. */
MUST_USE int axis_add_list(struct axis *axis, const char *text, const struct text_place *place);
MUST_USE int axis_set_range(struct axis *axis, const char *text, const struct text_place *place);
MUST_USE int axis_set_log(struct axis *axis, const char *text, const struct text_place *place);

/* When keys and values are known: as many values a level as keys, no level twice. place->line is changed. */
MUST_USE int axis_settle(struct axis *axis, struct text_place *place);

/* The value of key number `key` at a level. */
void axis_value(const struct axis *axis, unsigned level, unsigned key, char text[AXIS_TEXT_MAX]);

/* All keys' values at a level, with blanks between them. */
void axis_label(const struct axis *axis, unsigned level, char text[AXIS_TEXT_MAX]);

void axis_free(struct axis *axis);

#endif
