/* Points of a sweep: which configuration, job and command each has, and when two of them are the same run. */
#include "tests/check.h"

#include "host-sim/sweep/point.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static const char *path_of(const char *name)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *out = fopen(path_of(name), "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "build/tests/point-%d", (int)getpid());
	mkdir(folder, 0777);
	put("one.fio", "[one]\nrw=randread\niodepth=8\nnumber_ios=100\n");
	put("two.fio", "[two]\nrw=randwrite\n");
	put("base.ini", "[link]\ngen = 3\n");
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	char command[200];
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static void load(struct sweep_spec *spec, const char *text)
{
	char error[800], path[128];
	put("spec.ini", text);
	snprintf(path, sizeof(path), "%s", path_of("spec.ini"));
	if (sweep_spec_load(spec, path, error, sizeof(error)) != 0)
		fail_msg("%s", error);
}

static struct point *make(const struct sweep_spec *spec, uint64_t number, unsigned seed)
{
	struct point *point = calloc(1, sizeof(*point));
	assert_non_null(point);
	assert_int_equal(point_make(point, spec, number, seed), 0);
	return point;
}

static void drop(struct point *point)
{
	point_free(point);
	free(point);
}

static void test_point_applies_base_set_and_axes(void **state)
{
	(void)state;
	struct sweep_spec spec;
	load(&spec, "[sweep]\njob=one.fio\nconfig=base.ini\nseeds=7,9\n[set]\ndevice.queues=2\njob.bs=8k\n"
		    "[axis notify.holdoff_ns]\nvalues=0,250\n[axis job.iodepth]\nvalues=1,32\n");
	struct point *point = make(&spec, 2, 1);
	assert_int_equal(point->seed, 9);
	assert_int_equal(point->config.link.gen, 3);
	assert_int_equal(point->config.device.queues, 2);
	assert_int_equal(point->config.notify.holdoff_ps, 250000);
	assert_int_equal(point->config.sim.seed, 9);
	assert_non_null(strstr(point->job_text, "bs=8k\niodepth=1\n"));
	char expected[300];
	snprintf(expected, sizeof(expected),
		 "--job jobs/%s --disk ram:64M --set link.gen=3 --set device.queues=2 --set "
		 "notify.holdoff_ns=250 --seed 9",
		 point->job_name);
	assert_string_equal(point->arguments, expected);
	drop(point);
	sweep_spec_free(&spec);
}

static void test_baseline_replaces_and_adds(void **state)
{
	(void)state;
	struct sweep_spec spec;
	load(&spec,
	     "[sweep]\njob=one.fio\n[axis notify.holdoff_ns]\nvalues=0,250\n[axis job.iodepth]\nvalues=1,32\n"
	     "[baseline]\nguest.event_idx=off\njob.iodepth=4\n");
	struct point *base = make(&spec, 0, 0), *first = make(&spec, 1, 0);
	assert_true(base->baseline);
	assert_false(base->config.guest.event_idx);
	assert_int_equal(base->config.notify.holdoff_ps, 0);
	assert_non_null(strstr(base->job_text, "iodepth=4\n"));
	/* On a grid it is a point by itself. */
	assert_false(first->baseline);
	assert_true(first->config.guest.event_idx);
	assert_non_null(strstr(first->job_text, "iodepth=1\n"));
	drop(base);
	drop(first);
	sweep_spec_free(&spec);
}

static void test_one_at_a_time_keeps_the_baseline_on_other_axes(void **state)
{
	(void)state;
	struct sweep_spec spec;
	load(&spec,
	     "[sweep]\njob=one.fio\ndesign=one_at_a_time\n[axis notify.holdoff_ns]\nvalues=0,250\n"
	     "[axis notify.threshold]\nvalues=0,4,8\n[baseline]\nnotify.threshold=2\nguest.event_idx=off\n");
	struct point *point = make(&spec, 2, 0); /* hold-off 250 */
	assert_int_equal(point->config.notify.holdoff_ps, 250000);
	assert_int_equal(point->config.notify.threshold, 2);
	assert_false(point->config.guest.event_idx);
	drop(point);
	point = make(&spec, 5, 0); /* threshold 8 */
	assert_int_equal(point->config.notify.holdoff_ps, 0);
	assert_int_equal(point->config.notify.threshold, 8);
	drop(point);
	sweep_spec_free(&spec);
}

static void test_points_with_the_same_settings_are_the_same_run(void **state)
{
	(void)state;
	struct sweep_spec spec;
	load(&spec, "[sweep]\njob=one.fio\n[axis notify.holdoff_ns]\nvalues=2000,2000.0,2000.5\n");
	struct point *a = make(&spec, 0, 0), *b = make(&spec, 1, 0), *c = make(&spec, 2, 0);
	assert_string_equal(a->id, b->id);
	assert_string_not_equal(a->id, c->id);
	assert_non_null(strstr(c->arguments, "notify.holdoff_ns=2000.500"));
	drop(a);
	drop(b);
	drop(c);
	sweep_spec_free(&spec);
}

static void id_of(const char *text, char id[HASH_NAME_MAX])
{
	struct sweep_spec spec;
	load(&spec, text);
	struct point *point = make(&spec, design_points(&spec.design) - 1, spec.seeds - 1);
	memcpy(id, point->id, HASH_NAME_MAX);
	drop(point);
	sweep_spec_free(&spec);
}

/* The name depends on what the run is, and not on where in which sweep it stands. */
static void test_point_name_follows_everything_that_matters(void **state)
{
	(void)state;
	char name[HASH_NAME_MAX], other[HASH_NAME_MAX];
	id_of("[sweep]\njob=one.fio\n[axis notify.threshold]\nvalues=1,4\n", name);
	static const char *const same[] = {
		"[sweep]\njob=one.fio\n[set]\nnotify.threshold=4\n",
		"[sweep]\njob=two.fio, one.fio\n[axis notify.threshold]\nvalues=0,3,4\n",
		"[sweep]\njob=one.fio\ndesign=one_at_a_time\n[axis link.gen]\nvalues=3\n[axis "
		"notify.threshold]\nvalues=4\n",
		"[sweep]\njob=one.fio\nseeds=5,1\nconfig=base.ini\n[set]\nlink.gen=4\nnotify.threshold=4\n",
	};
	static const char *const different[] = {
		"[sweep]\njob=one.fio\n[set]\nnotify.threshold=5\n",
		"[sweep]\njob=two.fio\n[set]\nnotify.threshold=4\n",
		"[sweep]\njob=one.fio\ndisk=ram:32M\n[set]\nnotify.threshold=4\n",
		"[sweep]\njob=one.fio\nseeds=2\n[set]\nnotify.threshold=4\n",
		"[sweep]\njob=one.fio\nfirmware=base.ini\n[set]\nnotify.threshold=4\n",
		"[sweep]\njob=one.fio\n[set]\nnotify.threshold=4\njob.bs=8k\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		id_of(same[i], other);
		assert_string_equal(name, other);
	}
	for (size_t i = 0; i < ARRAY_SIZE(different); i++) {
		id_of(different[i], other);
		assert_string_not_equal(name, other);
	}
	put("one.fio", "[one]\nrw=randread\niodepth=8\nnumber_ios=101\n");
	id_of(same[0], other);
	assert_string_not_equal(name, other);
	put("one.fio", "[one]\nrw=randread\niodepth=8\nnumber_ios=100\n");
}

/* What the shell makes of the arguments is what was meant. */
static void test_point_command_survives_a_shell(void **state)
{
	(void)state;
	struct sweep_spec spec;
	char command[1000], line[300];
	put("it's $HOME.elf", "");
	load(&spec, "[sweep]\njob=one.fio\nfirmware=it's $HOME.elf\n");
	struct point *point = make(&spec, 0, 0);
	snprintf(command, sizeof(command), "set -- %s; shift 5; echo \"$1\"", point->arguments);
	FILE *shell = popen(command, "r");
	assert_non_null(shell);
	assert_non_null(fgets(line, sizeof(line), shell));
	assert_int_equal(pclose(shell), 0);
	line[strcspn(line, "\n")] = '\0';
	assert_string_equal(line, spec.firmware);
	drop(point);
	sweep_spec_free(&spec);
}

static void test_point_json_has_values_as_numbers_and_words(void **state)
{
	(void)state;
	struct sweep_spec spec;
	load(&spec,
	     "[sweep]\njob=one.fio\n[axis notify.holdoff_ns]\nvalues=0,250\n[axis job.bs]\nvalues=4k,8k\n"
	     "[axis link]\nkeys=link.gen link.lanes\nvalues=3 8\n[baseline]\nlink.gen=5\n");
	struct point *point = make(&spec, 4, 0), *base = make(&spec, 0, 0);
	json_t *row = point_json(point, &spec), *base_row = point_json(base, &spec);
	json_t *axes = json_object_get(row, "axes"), *base_axes = json_object_get(base_row, "axes");
	assert_string_equal(json_string_value(json_object_get(row, "role")), "point");
	assert_string_equal(json_string_value(json_object_get(base_row, "role")), "baseline");
	assert_int_equal(json_integer_value(json_object_get(axes, "notify.holdoff_ns")), 250);
	assert_string_equal(json_string_value(json_object_get(axes, "job.bs")), "8k");
	assert_string_equal(json_string_value(json_object_get(axes, "link")), "3 8");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(row, "level"), "job.bs")), 1);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(row, "config"), "link.gen")), 3);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(row, "config"), "guest.event_idx")), "on");
	/* At the base: what it is there, as far as it is known; a job option that the file does not give is not. */
	assert_string_equal(json_string_value(json_object_get(base_axes, "link")), "5 8");
	assert_int_equal(json_integer_value(json_object_get(base_axes, "notify.holdoff_ns")), 0);
	assert_true(json_is_null(json_object_get(base_axes, "job.bs")));
	assert_true(json_is_null(json_object_get(json_object_get(base_row, "level"), "link")));
	const char *command = json_string_value(json_object_get(row, "command"));
	assert_int_equal(strncmp(command, "kickstand run --job jobs/", 25), 0);
	char label[200];
	assert_string_equal(sweep_spec_job_name(&spec, base->job), "one.fio");
	point_label(point, &spec, label, sizeof(label));
	assert_string_equal(label, "notify.holdoff_ns=250 job.bs=8k link=3 8");
	json_decref(row);
	json_decref(base_row);
	drop(point);
	drop(base);
	sweep_spec_free(&spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_point_applies_base_set_and_axes),
		cmocka_unit_test(test_baseline_replaces_and_adds),
		cmocka_unit_test(test_one_at_a_time_keeps_the_baseline_on_other_axes),
		cmocka_unit_test(test_points_with_the_same_settings_are_the_same_run),
		cmocka_unit_test(test_point_name_follows_everything_that_matters),
		cmocka_unit_test(test_point_command_survives_a_shell),
		cmocka_unit_test(test_point_json_has_values_as_numbers_and_words),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
