/* Values of an axis: lists, ranges, log steps, and how wrong ones are refused. */
#include "tests/check.h"

#include "host-sim/sweep/axis.h"

static char error[400];

static struct text_place place_at(unsigned long line)
{
	return (struct text_place){.file = "spec", .line = line, .error = error, .error_size = sizeof(error)};
}

enum form { FORM_LIST, FORM_RANGE, FORM_LOG };

/* An axis with this many keys. Returns what reading and settling it say. */
static int make(struct axis *axis, enum form form, const char *text, unsigned keys)
{
	struct text_place place = place_at(7);
	*axis = (struct axis){.name = strdup("axis"), .line = 3};
	for (unsigned i = 0; i < keys; i++)
		axis->key[axis->keys++] = strdup("section.key");
	error[0] = '\0';
	int bad = form == FORM_LIST    ? axis_add_list(axis, text, &place)
		  : form == FORM_RANGE ? axis_set_range(axis, text, &place)
				       : axis_set_log(axis, text, &place);
	return bad ? bad : axis_settle(axis, &place);
}

static void check_levels(enum form form, const char *text, const char *const *expected)
{
	struct axis axis;
	char value[AXIS_TEXT_MAX];
	unsigned count = 0;
	if (make(&axis, form, text, 1) != 0)
		fail_msg("'%s': %s", text, error);
	for (; expected[count]; count++) {
		assert_true(count < axis.levels);
		axis_value(&axis, count, 0, value);
		assert_string_equal(value, expected[count]);
	}
	assert_int_equal(axis.levels, count);
	axis_free(&axis);
}

static void test_axis_list_gives_its_values_in_order(void **state)
{
	(void)state;
	check_levels(FORM_LIST, "1, 2,4 ,  8", (const char *const[]){"1", "2", "4", "8", NULL});
	check_levels(FORM_LIST, "on", (const char *const[]){"on", NULL});
	check_levels(FORM_LIST, "\"4k,16k\", 8k", (const char *const[]){"4k,16k", "8k", NULL});
	check_levels(FORM_LIST, "\"a b\",c", (const char *const[]){"a b", "c", NULL});
	check_levels(FORM_LIST, "round_robin,\tstrict", (const char *const[]){"round_robin", "strict", NULL});
}

static void test_axis_range_includes_its_ends(void **state)
{
	(void)state;
	check_levels(FORM_RANGE, "0..2000 step 500",
		     (const char *const[]){"0", "500", "1000", "1500", "2000", NULL});
	check_levels(FORM_RANGE, "1..4 step 2", (const char *const[]){"1", "3", NULL});
	check_levels(FORM_RANGE, "0..1 step 5", (const char *const[]){"0", NULL});
	check_levels(FORM_RANGE, " 1 .. 3  step  1 ", (const char *const[]){"1", "2", "3", NULL});
	check_levels(FORM_RANGE, "4k..12k step 4k", (const char *const[]){"4096", "8192", "12288", NULL});
	/* In binary fractions 0.1 three times is not 0.3. */
	check_levels(FORM_RANGE, "0..0.3 step 0.1", (const char *const[]){"0", "0.1", "0.2", "0.3", NULL});
	check_levels(FORM_RANGE, "0.125..0.375 step 0.125",
		     (const char *const[]){"0.125", "0.25", "0.375", NULL});
}

static void test_axis_log_has_equal_ratios(void **state)
{
	(void)state;
	check_levels(FORM_LOG, "1..256 steps 9",
		     (const char *const[]){"1", "2", "4", "8", "16", "32", "64", "128", "256", NULL});
	/* 10^2.5 = 316.2, 10^3.5 = 3162.3, 10^4.5 = 31622.8 */
	check_levels(FORM_LOG, "100..100000 steps 7",
		     (const char *const[]){"100", "316", "1000", "3162", "10000", "31623", "100000", NULL});
	check_levels(FORM_LOG, "4k..64k steps 3", (const char *const[]){"4096", "16384", "65536", NULL});
	check_levels(FORM_LOG, "0.5..2 steps 3", (const char *const[]){"0.5", "1", "2", NULL});
	check_levels(FORM_LOG, "3..7 steps 2", (const char *const[]){"3", "7", NULL});
}

static void test_axis_of_several_keys_has_a_value_for_each(void **state)
{
	(void)state;
	struct axis axis;
	char text[AXIS_TEXT_MAX];
	assert_int_equal(make(&axis, FORM_LIST, "3 8, 4 \"1 6\", 5  4", 2), 0);
	assert_int_equal(axis.levels, 3);
	axis_value(&axis, 1, 0, text);
	assert_string_equal(text, "4");
	axis_value(&axis, 1, 1, text);
	assert_string_equal(text, "1 6");
	axis_label(&axis, 2, text);
	assert_string_equal(text, "5 4");
	axis_free(&axis);
}

static void test_axis_list_goes_on_in_further_lines(void **state)
{
	(void)state;
	struct axis axis = {.name = strdup("axis"), .key = {strdup("a.b")}, .keys = 1};
	struct text_place place = place_at(4);
	char text[AXIS_TEXT_MAX];
	assert_int_equal(axis_add_list(&axis, "", &place), 0);
	place.line = 5;
	assert_int_equal(axis_add_list(&axis, "1, 2,", &place), 0);
	place.line = 6;
	assert_int_equal(axis_add_list(&axis, "3 4", &place), 0);
	assert_int_equal(axis.levels, 3);
	axis_free(&axis);
	/* The line of the item that is wrong, not of the first. */
	axis = (struct axis){.name = strdup("axis"), .key = {strdup("a.b")}, .keys = 1};
	place.line = 5;
	assert_int_equal(axis_add_list(&axis, "1, 2,", &place), 0);
	place.line = 6;
	assert_int_equal(axis_add_list(&axis, "3 4", &place), 0);
	assert_int_equal(axis_settle(&axis, &place), -1);
	assert_non_null(strstr(error, "spec:6: "));
	axis_value(&axis, 0, 0, text);
	assert_string_equal(text, "1");
	axis_free(&axis);
}

static void test_axis_mistakes_are_named(void **state)
{
	(void)state;
	static const struct {
		enum form form;
		unsigned keys;
		const char *text, *says;
	} cases[] = {
		{FORM_LIST, 1, "", "no values"},
		{FORM_LIST, 1, "1,,2", "missing between commas"},
		{FORM_LIST, 1, ", 1", "missing between commas"},
		{FORM_LIST, 1, "1, 2, 1", "'1' twice"},
		{FORM_LIST, 1, "1 2", "2 values for the 1 key"},
		{FORM_LIST, 2, "1 2, 3", "1 values for the 2 keys"},
		{FORM_LIST, 1, "\"4k", "quote is not closed"},
		{FORM_RANGE, 1, "0..10", "A..B step N"},
		{FORM_RANGE, 1, "0..10 step", "A..B step N"},
		{FORM_RANGE, 1, "0-10 step 1", "A..B step N"},
		{FORM_RANGE, 1, "0..10 steps 3", "A..B step N"},
		{FORM_RANGE, 1, "0..10 step 3x", "A..B step N"},
		{FORM_RANGE, 1, "0..10 step -1", "A..B step N"},
		{FORM_RANGE, 1, "a..10 step 1", "A..B step N"},
		{FORM_RANGE, 1, "0..1000000000000000000000 step 1", "A..B step N"},
		{FORM_RANGE, 1, "999999999999999G..1 step 1", "A..B step N"},
		{FORM_RANGE, 1, "10..0 step 1", "does not rise"},
		{FORM_RANGE, 1, "5..5 step 1", "does not rise"},
		{FORM_RANGE, 1, "0..10 step 0", "step of 0"},
		{FORM_RANGE, 1, "0..10 step 0.0001", "step of 0"},
		{FORM_RANGE, 1, "0..100000000 step 1", "more than 100000 values"},
		{FORM_RANGE, 2, "0..10 step 1", "varies 2 keys"},
		{FORM_LOG, 1, "0..10 steps 3", "cannot start at 0"},
		{FORM_LOG, 1, "1..10 steps 1", "2 to 100000 steps"},
		{FORM_LOG, 1, "1..10 steps 2.5", "2 to 100000 steps"},
		{FORM_LOG, 1, "1..10 steps 200000", "2 to 100000 steps"},
		{FORM_LOG, 1, "1..10 step 3", "A..B steps N"},
		{FORM_LOG, 1, "1..4 steps 9", "twice after rounding"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct axis axis;
		if (make(&axis, cases[i].form, cases[i].text, cases[i].keys) == 0)
			fail_msg("'%s' was accepted", cases[i].text);
		if (!strstr(error, cases[i].says) || strncmp(error, "spec:", 5) != 0)
			fail_msg("'%s': %s", cases[i].text, error);
		axis_free(&axis);
	}
}

/* Whatever is written there: a value or a message, never an access out of range. */
static void test_axis_random_text_never_harms(void **state)
{
	(void)state;
	static const char alphabet[] = "0123456789.., \t\"kMGstep steps-+xe";
	struct rng rng;
	unsigned good = 0;
	rng_seed(&rng, test_seed(5), 0);
	for (unsigned round = 0; round < 20000; round++) {
		char text[40], value[AXIS_TEXT_MAX];
		struct axis axis;
		size_t length = rng_below(&rng, sizeof(text) - 1);
		for (size_t i = 0; i < length; i++)
			text[i] = alphabet[rng_below(&rng, sizeof(alphabet) - 1)];
		text[length] = '\0';
		if (make(&axis, (enum form)rng_below(&rng, 3), text, 1 + (unsigned)rng_below(&rng, 2)) == 0) {
			good++;
			for (unsigned i = 0; i < axis.levels && i < 100; i++)
				axis_label(&axis, i, value);
		} else {
			assert_int_equal(strncmp(error, "spec:", 5), 0);
		}
		axis_free(&axis);
	}
	assert_true(good > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_axis_list_gives_its_values_in_order),
		cmocka_unit_test(test_axis_range_includes_its_ends),
		cmocka_unit_test(test_axis_log_has_equal_ratios),
		cmocka_unit_test(test_axis_of_several_keys_has_a_value_for_each),
		cmocka_unit_test(test_axis_list_goes_on_in_further_lines),
		cmocka_unit_test(test_axis_mistakes_are_named),
		cmocka_unit_test(test_axis_random_text_never_harms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
