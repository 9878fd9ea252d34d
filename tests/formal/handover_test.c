/* The hand-over between driver and card, as Promela models (ring.pml, notify.pml, polling.pml), searched completely by spin: no
 * lost wake-up, no deadlock, and something is always taken in the end. Each mutant has one mistake that drivers or devices are
 * known to make; spin has to find a way into a lost wake-up for it. */
#include "tests/check.h"

#include "pcie/base.h"

#include <errno.h>
#include <sys/stat.h>

static const struct model {
	const char *name, *file, *options;
} models[] = {
	{"event_idx", "notify.pml", ""}, /* defines EVENT_IDX itself */
	{"polling_flags", "polling.pml", ""},
	{"polling_event_idx", "polling.pml", "-DEVENT_IDX"},
};

/* Numbers as in ring.pml; `models`: bit n for models[n]. */
static const struct mutant {
	unsigned number, models;
	const char *name;
} mutants[] = {
	{1, 7, "no_look_after_arming"}, {2, 7, "look_before_arming"},       {3, 7, "read_passes_write"},
	{4, 7, "no_barrier"},           {5, 7, "doorbell_in_work_dropped"}, {6, 1, "never_disarmed"},
	{7, 1, "kicked_not_kept"},      {8, 6, "stop_without_look"},
};

/* What the search says; the caller frees it. `check`: SAFETY for deadlocks and assertions, or NP. */
static char *search(const struct model *model, const char *name, unsigned mutant, const char *check)
{
	char folder[96], command[1024];
	snprintf(folder, sizeof(folder), "build/formal/spin_%s", name);
	mkdir("build/formal", 0777);
	mkdir(folder, 0777);
	snprintf(command, sizeof(command),
		 "cd %s && rm -f log pan && spin -a %s -DMUTANT=%u ../../../tests/formal/%s >log 2>&1 && "
		 "gcc -O1 -w -D%s -DNFAIR=3 -o pan pan.c >>log 2>&1 && ./pan -m1000000 %s >>log 2>&1",
		 folder, model->options, mutant, model->file, check, strcmp(check, "NP") == 0 ? "-l -f" : "");
	if (system(command) == -1)
		fail_msg("cannot run spin: %s", strerror(errno));
	snprintf(command, sizeof(command), "%s/log", folder);
	FILE *file = fopen(command, "r");
	if (!file)
		fail_msg("cannot read %s: %s", command, strerror(errno));
	char *log = calloc(1, 1 << 16);
	assert_non_null(log);
	assert_true(fread(log, 1, (1 << 16) - 1, file) > 0);
	fclose(file);
	return log;
}

static void assert_says(const char *log, const char *text, bool expected)
{
	if ((strstr(log, text) != NULL) != expected)
		fail_msg("%s \"%s\" in:\n%s", expected ? "no" : "unexpected", text, log);
}

static void test_handover_model_loses_no_wake_up(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(models); i++) {
		char *log = search(&models[i], models[i].name, 0, "SAFETY");
		assert_says(log, "errors: 0", true);
		assert_says(log, "max search depth too small", false); /* nothing was left out */
		free(log);
	}
}

static void test_handover_model_goes_on(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(models); i++) {
		char name[64];
		snprintf(name, sizeof(name), "%s_progress", models[i].name);
		char *log = search(&models[i], name, 0, "NP");
		assert_says(log, "errors: 0", true);
		assert_says(log, "max search depth too small", false);
		free(log);
	}
}

static void test_handover_model_finds_every_mutant(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(mutants); i++) {
		for (unsigned m = 0; m < ARRAY_SIZE(models); m++) {
			if (!(mutants[i].models >> m & 1))
				continue;
			char name[96];
			snprintf(name, sizeof(name), "%s_%s", models[m].name, mutants[i].name);
			char *log = search(&models[m], name, mutants[i].number, "SAFETY");
			assert_says(log, "invalid end state", true);
			free(log);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_handover_model_loses_no_wake_up, "D-037 ORD-011 G-052"),
		cmocka_unit_test(test_handover_model_goes_on),
		cmocka_unit_test(test_handover_model_finds_every_mutant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
