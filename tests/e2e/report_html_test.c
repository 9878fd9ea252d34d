/* report.html in headless Chromium. report_html/run.mjs makes pages with the program and does what a reader would; it says of
 * every scenario how it went, and this looks at what it said. Its pictures stay in build/report-ui/pictures. */
#include "tests/e2e/program.h"

#include <unistd.h>

#define LIMIT_S 500

static const char pictures[] = "build/report-ui/pictures";

static char *outcome_of(const char *line)
{
	struct program_child child = program_spawn(line, LIMIT_S);
	struct program_result result = program_wait(&child);
	printf("%s%s", result.out, result.err);
	assert_int_equal(result.status, 0);
	free(result.err);
	return result.out;
}

static int set_up(void **state)
{
	char *line;
	/* The sanitizers watch the program that writes the pages; a browser shows the same pages as without them. */
	bool pages_only = strstr(program_itself(), "/sanitize/") != NULL;
	assert_true(asprintf(&line, "node tests/e2e/report_html/run.mjs %s %s %s%s", program_itself(),
			     program_folder(), pictures, pages_only ? " --pages-only" : "") > 0);
	*state = outcome_of(line);
	free(line);
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

/* A line "ok NAME 123 ms". */
static bool went_well(const char *outcome, const char *name)
{
	char line[100];
	snprintf(line, sizeof(line), "ok %s ", name);
	const char *found = strstr(outcome, line);
	return found && (found == outcome || found[-1] == '\n');
}

static void look_at(const char *outcome, const char *name)
{
	if (strstr(program_itself(), "/sanitize/") && strcmp(name, "pages_are_written") != 0)
		skip();
	if (!went_well(outcome, name))
		fail_msg("'%s' did not go well; alone: node tests/e2e/report_html/run.mjs %s FOLDER %s "
			 "--only %s",
			 name, program_itself(), pictures, name);
}

#define SCENARIO(name)                                                                                       \
	static void test_report_##name(void **state)                                                         \
	{                                                                                                    \
		look_at(*state, #name);                                                                      \
	}
#define SCENARIOS(_)                                                                                         \
	_(pages_are_written)                                                                                 \
	_(pictures_show_the_results)                                                                         \
	_(curves_and_knees_are_right)                                                                        \
	_(heat_map_cells_are_right)                                                                          \
	_(every_control_changes_what_is_seen)                                                                \
	_(filters_leave_points_out_everywhere)                                                               \
	_(table_sorts_and_filters)                                                                           \
	_(points_give_their_command)                                                                         \
	_(keyboard_reaches_every_point)                                                                      \
	_(pictures_can_be_saved)                                                                             \
	_(themes_are_readable)                                                                               \
	_(phone_is_readable)                                                                                 \
	_(recommendation_says_what_is_certain)                                                               \
	_(hostile_texts_stay_texts)                                                                          \
	_(missing_and_odd_figures_are_shown_as_such)                                                         \
	_(one_point_is_enough)                                                                               \
	_(five_hundred_points_are_shown)                                                                     \
	_(without_scripts_it_says_so)                                                                        \
	_(a_real_sweep_is_shown)

SCENARIOS(SCENARIO)

/* None of the script's scenarios is left out of the list above. */
static void test_report_scenarios_are_all_looked_at(void **state)
{
#define COUNT(name) +1
	unsigned said = 0;
	if (strstr(program_itself(), "/sanitize/"))
		skip();
	for (const char *line = *state; (line = strstr(line, "ok ")) != NULL; line++)
		said += line == (const char *)*state || line[-1] == '\n';
	assert_int_equal(said, 0 SCENARIOS(COUNT));
}

/* The page's own arithmetic, without a browser. */
static void test_report_functions_of_the_page_are_right(void **state)
{
	(void)state;
	free(outcome_of("node --test tests/unit/tools/report-ui/"));
}

int main(void)
{
#define ENTRY(name) cmocka_unit_test(test_report_##name),
	const struct CMUnitTest tests[] = {
		SCENARIOS(ENTRY) cmocka_unit_test(test_report_scenarios_are_all_looked_at),
		cmocka_unit_test(test_report_functions_of_the_page_are_right),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
