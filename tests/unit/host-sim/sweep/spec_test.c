/* Specifications of sweeps: what a good one gives, and that every wrong one is refused with file, line and the mend. */
#include "tests/check.h"

#include "host-sim/sweep/spec.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static const char *path_of(const char *name)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void put(const char *name, const char *text, size_t length)
{
	FILE *out = fopen(path_of(name), "w");
	assert_non_null(out);
	assert_int_equal(fwrite(text, 1, length, out), length);
	fclose(out);
}

static int make_folder(void **state)
{
	(void)state;
	static const char job[] = "[global]\nbs=4k\n[one]\nrw=randread\niodepth=8\nnumber_ios=100\n";
	static const char config[] = "[link]\ngen = 3\n[notify]\nholdoff_ns = 700\n";
	snprintf(folder, sizeof(folder), "build/tests/spec-%d", (int)getpid());
	mkdir(folder, 0777);
	put("one.fio", job, sizeof(job) - 1);
	put("two.fio", job, sizeof(job) - 1);
	put("bad.fio", "[one]\nrw=sideways\n", 18);
	put("base.ini", config, sizeof(config) - 1);
	put("my.elf", "elf", 3);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	static const char *const names[] = {"one.fio",  "two.fio", "bad.fio",
					    "base.ini", "my.elf",  "spec.ini"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(path_of(names[i]));
	return rmdir(folder);
}

static char error[800];

static int load(struct sweep_spec *spec, const char *text)
{
	char path[128];
	put("spec.ini", text, strlen(text));
	snprintf(path, sizeof(path), "%s", path_of("spec.ini"));
	error[0] = '\0';
	return sweep_spec_load(spec, path, error, sizeof(error));
}

static void load_good(struct sweep_spec *spec, const char *text)
{
	if (load(spec, text) != 0)
		fail_msg("%s", error);
}

/* ---- good ones ---- */

static const char everything[] = "; a comment\n"
				 "[sweep]\n"
				 "design = grid\n"
				 "job = one.fio\n"
				 "disk = null:1G\n"
				 "config = base.ini\n"
				 "firmware = my.elf\n"
				 "seeds = 3, 5\n"
				 "  8\n"
				 "\n"
				 "[set]\n"
				 "device.queues = 4\n"
				 "job.number_ios = 500\n"
				 "\n"
				 "[axis notify.holdoff_ns]\n"
				 "range = 0..2000 step 500 ; in ns\n"
				 "\n"
				 "[axis job.iodepth]\n"
				 "log = 1..64 steps 7\n"
				 "\n"
				 "[axis link]\n"
				 "keys = link.gen, link.lanes\n"
				 "values = 3 8, 4 4,\n"
				 "  4 8\n"
				 "\n"
				 "[baseline]\n"
				 "notify.holdoff_ns = 100\n"
				 "guest.event_idx = off\n"
				 "job.iodepth = 2\n"
				 "\n"
				 "[constraints]\n"
				 "p99_us <= 80\n"
				 "core_load <= 0.7\n"
				 "iops >= 1e5\n"
				 "\n"
				 "[objective]\n"
				 "minimise = doorbells_per_io\n";

static void test_spec_with_everything_is_read(void **state)
{
	(void)state;
	struct sweep_spec spec;
	load_good(&spec, everything);
	assert_string_equal(spec.disk, "null:1G");
	assert_int_equal(spec.firmware[0], '/');
	assert_non_null(strstr(spec.firmware, "/my.elf"));
	assert_int_equal(spec.config.link.gen, 3);
	assert_int_equal(spec.config.notify.holdoff_ps, 700000);
	assert_int_equal(spec.config.device.queues, 4);
	assert_int_equal(spec.set.count, 1);
	assert_string_equal(spec.set.item[0].key, "job.number_ios");
	assert_int_equal(spec.seeds, 3);
	assert_int_equal(spec.seed[0], 3);
	assert_int_equal(spec.seed[2], 8);
	assert_int_equal(spec.design.kind, DESIGN_GRID);
	assert_int_equal(spec.design.axes, 3);
	assert_int_equal(design_points(&spec.design), 1 + 5 * 7 * 3);
	assert_int_equal(sweep_spec_runs(&spec), 106 * 3);
	assert_string_equal(spec.axis[0].key[0], "notify.holdoff_ns");
	assert_string_equal(spec.axis[2].name, "link");
	assert_string_equal(spec.axis[2].key[1], "link.lanes");
	assert_int_equal(spec.baseline.count, 3);
	assert_int_equal(spec.constraints, 3);
	assert_int_equal(spec.constraint[0].metric, METRIC_P99_US);
	assert_true(spec.constraint[0].at_most && spec.constraint[0].value == 80);
	assert_true(!spec.constraint[2].at_most && spec.constraint[2].value == 100000);
	assert_int_equal(spec.objective, METRIC_DOORBELLS_PER_IO);
	assert_false(spec.maximise);
	assert_int_equal(spec.jobs, 1);
	sweep_spec_free(&spec);
}

static void test_spec_with_the_least_has_defaults(void **state)
{
	(void)state;
	struct sweep_spec spec;
	load_good(&spec, "[sweep]\njob=one.fio\n");
	assert_string_equal(spec.disk, "ram:64M");
	assert_null(spec.firmware);
	assert_int_equal(design_points(&spec.design), 1);
	assert_int_equal(spec.seeds, 1);
	assert_int_equal(spec.seed[0], 1);
	assert_int_equal(spec.objective, METRICS);
	sweep_spec_free(&spec);
}

static void test_spec_repeats_are_seeds_from_1(void **state)
{
	(void)state;
	struct sweep_spec spec;
	load_good(&spec, "[sweep]\njob=one.fio\nrepeats=4\n");
	assert_int_equal(spec.seeds, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(spec.seed[i], i + 1);
	sweep_spec_free(&spec);
}

static void test_spec_with_several_jobs_has_them_as_outermost_axis(void **state)
{
	(void)state;
	struct sweep_spec spec;
	load_good(&spec, "[sweep]\njob=one.fio,\n  two.fio\n[axis link.gen]\nvalues=3,4,5\n");
	assert_int_equal(spec.design.axes, 2);
	assert_string_equal(spec.axis[0].name, "job");
	assert_string_equal(spec.axis[1].name, "link.gen");
	assert_int_equal(design_points(&spec.design), 6);
	assert_int_equal(spec.jobs, 2);
	assert_ptr_not_equal(sweep_spec_job(&spec, "one.fio"), sweep_spec_job(&spec, "two.fio"));
	assert_null(sweep_spec_job(&spec, "three.fio"));
	sweep_spec_free(&spec);
	load_good(&spec, "[sweep]\n[axis job]\nvalues=two.fio, one.fio\n");
	assert_int_equal(spec.design.axes, 1);
	assert_int_equal(spec.jobs, 2);
	sweep_spec_free(&spec);
}

static void test_spec_designs_are_told_apart(void **state)
{
	(void)state;
	struct sweep_spec spec;
	load_good(
		&spec,
		"[sweep]\njob=one.fio\ndesign=lhs\npoints=50\ndesign_seed=9\n[axis link.gen]\nvalues=3,4\n");
	assert_int_equal(design_points(&spec.design), 50);
	assert_int_equal(spec.design.seed, 9);
	sweep_spec_free(&spec);
	load_good(&spec, "[sweep]\njob=one.fio\ndesign=one_at_a_time\n[axis link.gen]\nvalues=3,4\n"
			 "[axis fetch.batch]\nvalues=1,8,16\n");
	assert_int_equal(design_points(&spec.design), 6);
	sweep_spec_free(&spec);
}

static void test_spec_names_are_relative_to_it(void **state)
{
	(void)state;
	struct sweep_spec spec;
	char text[300], whole[200], *here = realpath(folder, NULL);
	snprintf(whole, sizeof(whole), "%s/one.fio", here);
	snprintf(text, sizeof(text), "[sweep]\njob=%s\n", whole);
	load_good(&spec, text);
	assert_string_equal(spec.job[0].path, whole);
	sweep_spec_free(&spec);
	free(here);
}

/* ---- wrong ones ---- */

static void test_spec_mistakes_are_named_with_their_line(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned line;
		const char *says;
	} cases[] = {
		/* form */
		{"[sweep]\njob=one.fio\nnonsense\n", 3, "[section] or key = value"},
		{"[sweep\njob=one.fio\n", 1, "[section] or key = value"},
		{"job=one.fio\n", 1, "outside of any section"},
		{"[sweep]\njob=one.fio\n  [set]\n", 3, "beginning of its line"},
		{"[sweep]\njob=one.fio\n[sweep]\n", 3, "stands twice"},
		{"[swep]\njob=one.fio\n", 1, "unknown section [swep]"},
		{"[sweep]\njob=one.fio\n[axis]\nvalues=1\n", 3, "unknown section [axis]"},
		{"[sweep]\njob=one.fio\n[set x]\n", 3, "unknown section [set x]"},
		{"[sweep]\njob=one.fio\n[axis aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n", 3,
		 "up to 49 characters"},
		/* [sweep] */
		{"[sweep]\njob=one.fio\ncolour=red\n", 3, "no key 'colour'"},
		{"[sweep]\njob=one.fio\ndesign=circle\n", 3, "grid, lhs or one_at_a_time"},
		{"[sweep]\njob=one.fio\ndesign=grid\ndesign=lhs\n", 4, "stands twice"},
		{"[sweep]\njob=one.fio\ndesign=lhs\n", 3, "add points = N"},
		{"[sweep]\njob=one.fio\npoints=5\n", 3, "design = lhs"},
		{"[sweep]\njob=one.fio\ndesign=lhs\npoints=0\n", 4, "at least 1"},
		{"[sweep]\njob=one.fio\ndesign=lhs\npoints=many\n", 4, "'many'"},
		{"[sweep]\njob=one.fio\nrepeats=0\n", 3, "at least 1"},
		{"[sweep]\njob=one.fio\nrepeats=-1\n", 3, "'-1'"},
		{"[sweep]\njob=one.fio\nrepeats=3\nseeds=1\n", 4, "given already"},
		{"[sweep]\njob=one.fio\nseeds=1, 2, 1\n", 3, "seed 1 stands twice"},
		{"[sweep]\njob=one.fio\nseeds=a\n", 3, "'a'"},
		{"[sweep]\njob=one.fio\ndisk=ram:64M\ndisk=ram:1G\n", 4, "stands twice"},
		{"[sweep]\njob=one.fio\ndisk=disk.img\n", 3, "give ram:SIZE"},
		{"[sweep]\njob=one.fio\ndisk=nbd:unix:/x\n", 3, "give ram:SIZE"},
		{"[sweep]\njob=one.fio\ndisk=ram:big\n", 3, "ram:64M"},
		{"[sweep]\njob=one.fio\ndisk=ram:100\n", 3, "whole sectors"},
		{"[sweep]\njob=one.fio\nfirmware=none.elf\n", 3, "No such file"},
		{"[sweep]\njob=one.fio\n  two.fio\njob=one.fio\n", 4, "give a list"},
		{"[sweep]\ndesign=grid\n  lhs\n", 3, "no key"},
		{"[sweep]\nrepeats=2\n", 1, "no job file"},
		/* [set] and [baseline] */
		{"[sweep]\njob=one.fio\n[set]\nlink.gn=3\n", 4, "link.gn"},
		{"[sweep]\njob=one.fio\n[set]\nlink.gen=9\n", 4, "1 to 5"},
		{"[sweep]\njob=one.fio\n[set]\nlink.gen=3\nlink.gen=4\n", 5, "stands twice"},
		{"[sweep]\njob=one.fio\n[set]\nlink.gen=3\n  4\n", 5, "only lists"},
		{"[sweep]\njob=one.fio\n[set]\nsim.seed=3\n", 4, "seeds"},
		{"[sweep]\njob=one.fio\n[set]\njob=two.fio\n", 4, "[sweep]"},
		{"[sweep]\njob=one.fio\n[set]\njob.iodpth=3\n", 4, "iodpth"},
		{"[sweep]\njob=one.fio\n[set]\njob.iodepth=deep\n", 4, "iodepth"},
		{"[sweep]\njob=one.fio\n[set]\njob.group=3\n", 4, "group"},
		{"[sweep]\njob=one.fio\n[set]\njob.read_iolog=x\n", 4, "vary the job file"},
		{"[sweep]\njob=one.fio\n[set]\njob.ioengine_opt=3\n", 4, "ioengine_opt"},
		{"[sweep]\njob=one.fio\n[baseline]\nlink.lanes=5\n", 4, "power of 2"},
		/* [axis] */
		{"[sweep]\njob=one.fio\n[axis link.gen]\n", 3, "no values"},
		{"[sweep]\njob=one.fio\n[axis link.gen]\nvalues=\n", 3, "no values"},
		{"[sweep]\njob=one.fio\n[axis link]\nvalues=3\n", 3, "add keys"},
		{"[sweep]\njob=one.fio\n[axis link.gen]\nvalue=3\n", 4, "keys, and values, range or log"},
		{"[sweep]\njob=one.fio\n[axis link.gen]\nvalues=3\nrange=3..4 step 1\n", 5, "already"},
		{"[sweep]\njob=one.fio\n[axis link.gen]\nvalues=3\nvalues=4\n", 5, "already"},
		{"[sweep]\njob=one.fio\n[axis link.gen]\nvalues=3,\n 4,\n 9\n", 6, "1 to 5"},
		{"[sweep]\njob=one.fio\n[axis link.gen]\nrange=3..7 step 1\n", 4, "1 to 5"},
		{"[sweep]\njob=one.fio\n[axis link.gn]\nvalues=3\n", 4, "link.gn"},
		{"[sweep]\njob=one.fio\n[axis sim.seed]\nvalues=3\n", 4, "seeds"},
		{"[sweep]\njob=one.fio\n[axis x]\nkeys=link.gen\nvalues=3 4\n", 5,
		 "separate levels by commas"},
		{"[sweep]\njob=one.fio\n[axis x]\nkeys=link.gen link.lanes\nrange=1..2 step 1\n", 5,
		 "list their values"},
		{"[sweep]\njob=one.fio\n[axis x]\nkeys=a.b c.d e.f g.h i.j k.l m.n o.p q.r\nvalues=1\n", 4,
		 "more than 8 keys"},
		{"[sweep]\njob=one.fio\n[set]\nlink.gen=3\n[axis link.gen]\nvalues=4\n", 5, "set at line 4"},
		{"[sweep]\njob=one.fio\n[axis link.gen]\nvalues=4\n[axis x]\nkeys=link.gen\nvalues=3\n", 5,
		 "here and at line 3"},
		{"[sweep]\njob=one.fio, two.fio\n[axis job]\nvalues=one.fio\n", 3, "varied twice"},
		{"[sweep]\njob=one.fio\n[axis job.ioengine]\nvalues=libaio, \"a b\"\n", 4, "ioengine"},
		/* [constraints], [objective] */
		{"[sweep]\njob=one.fio\n[constraints]\np99_us < 80\n", 4, "<= or >="},
		{"[sweep]\njob=one.fio\n[constraints]\np99_us = 80\n", 4, "METRIC <= NUMBER"},
		{"[sweep]\njob=one.fio\n[constraints]\np98_us <= 80\n", 4, "p99_us"},
		{"[sweep]\njob=one.fio\n[constraints]\np99_us <= fast\n", 4, "'fast' is not a number"},
		{"[sweep]\njob=one.fio\n[constraints]\np99_us <= nan\n", 4, "not a number"},
		{"[sweep]\njob=one.fio\n[objective]\nbest = iops\n", 4, "maximise"},
		{"[sweep]\njob=one.fio\n[objective]\nmaximise = speed\n", 4, "no metric 'speed'"},
		{"[sweep]\njob=one.fio\n[objective]\nmaximise = iops\nminimise = p99\n", 5, "one objective"},
		/* size */
		{"[sweep]\njob=one.fio\n[axis notify.holdoff_ns]\nrange=0..2000 step 1\n[axis "
		 "msix.holdoff_ns]\n"
		 "range=0..2000 step 1\n",
		 1, "more than 1000000 runs"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sweep_spec spec;
		char place[160];
		snprintf(place, sizeof(place), "%s:%u: ", path_of("spec.ini"), cases[i].line);
		if (load(&spec, cases[i].text) == 0)
			fail_msg("accepted: %s", cases[i].text);
		if (strncmp(error, place, strlen(place)) != 0 || !strstr(error, cases[i].says) ||
		    strchr(error, '\n'))
			fail_msg("%s\nis answered: %s\nnot %s … %s", cases[i].text, error, place,
				 cases[i].says);
		assert_null(spec.axis);
	}
}

static void test_spec_mistakes_in_other_files_name_these(void **state)
{
	(void)state;
	struct sweep_spec spec;
	assert_int_equal(load(&spec, "[sweep]\njob=bad.fio\n"), -1);
	assert_non_null(strstr(error, "bad.fio:2: "));
	assert_int_equal(load(&spec, "[sweep]\njob=none.fio\n"), -1);
	assert_non_null(strstr(error, "none.fio: "));
	assert_int_equal(load(&spec, "[sweep]\njob=one.fio\nconfig=none.ini\n"), -1);
	assert_non_null(strstr(error, "none.ini: cannot read"));
	assert_int_equal(load(&spec, "[sweep]\njob=one.fio\nconfig=one.fio\n"), -1);
	assert_non_null(strstr(error, "one.fio:"));
	assert_int_equal(sweep_spec_load(&spec, "/nonexistent.ini", error, sizeof(error)), -1);
	assert_non_null(strstr(error, "/nonexistent.ini: cannot read: No such file"));
	assert_int_equal(sweep_spec_load(&spec, "build", error, sizeof(error)), -1);
	assert_non_null(strstr(error, "build: "));
}

static void test_spec_lines_that_inih_would_cut_are_refused(void **state)
{
	(void)state;
	struct sweep_spec spec;
	char text[500] = "[sweep]\njob=one.fio\n[axis notify.holdoff_ns]\nvalues=";
	while (strlen(text) < 400)
		strcat(text, "1000, ");
	strcat(text, "2\n");
	assert_int_equal(load(&spec, text), -1);
	assert_non_null(strstr(error, ":4: the line is too long"));
}

/* ---- whatever else a file may hold ---- */

static void test_spec_damaged_at_random_is_read_or_refused(void **state)
{
	(void)state;
	static const char *const scraps[] = {"[",      "]",  "=",    "\n",           " ",
					     ",",      "..", "step", "values = ",    "[axis x]\n",
					     "job = ", "\"", ";",    "\xef\xbb\xbf", "999999999999999999999",
					     "-1",     "k"};
	struct rng rng;
	unsigned good = 0;
	rng_seed(&rng, test_seed(21), 0);
	for (unsigned round = 0; round < 3000; round++) {
		char text[2 * sizeof(everything)];
		struct sweep_spec spec;
		strcpy(text, everything);
		for (uint64_t change = rng_below(&rng, 3) + 1; change != 0; change--) {
			size_t length = strlen(text), at = rng_below(&rng, length);
			const char *scrap = scraps[rng_below(&rng, ARRAY_SIZE(scraps))];
			size_t cut = rng_below(&rng, 2) ? rng_below(&rng, 12) : 0;
			cut = cut < length - at ? cut : length - at;
			memmove(text + at, text + at + cut, length - at - cut + 1);
			if (rng_below(&rng, 2) && strlen(text) + strlen(scrap) < sizeof(text)) {
				memmove(text + at + strlen(scrap), text + at, strlen(text + at) + 1);
				memcpy(text + at, scrap, strlen(scrap));
			}
		}
		if (load(&spec, text) == 0) {
			int level[DESIGN_AXES_MAX];
			good++;
			design_point(&spec.design, design_points(&spec.design) - 1, level);
			sweep_spec_free(&spec);
		} else {
			assert_true(strstr(error, ": ") != NULL);
			assert_null(strchr(error, '\n'));
		}
	}
	printf("%u of 3000 were still good\n", good);
	assert_in_range(good, 100, 2900);
}

static void test_spec_of_random_bytes_is_refused(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(22), 0);
	for (unsigned round = 0; round < 500; round++) {
		char text[600], path[128];
		struct sweep_spec spec;
		size_t length = rng_below(&rng, sizeof(text));
		for (size_t i = 0; i < length; i++)
			text[i] = (char)rng_u64(&rng);
		put("spec.ini", text, length);
		snprintf(path, sizeof(path), "%s", path_of("spec.ini"));
		assert_int_equal(sweep_spec_load(&spec, path, error, sizeof(error)), -1);
		assert_int_equal(strncmp(error, path, strlen(path)), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spec_with_everything_is_read),
		cmocka_unit_test(test_spec_with_the_least_has_defaults),
		cmocka_unit_test(test_spec_repeats_are_seeds_from_1),
		cmocka_unit_test(test_spec_with_several_jobs_has_them_as_outermost_axis),
		cmocka_unit_test(test_spec_designs_are_told_apart),
		cmocka_unit_test(test_spec_names_are_relative_to_it),
		cmocka_unit_test(test_spec_mistakes_are_named_with_their_line),
		cmocka_unit_test(test_spec_mistakes_in_other_files_name_these),
		cmocka_unit_test(test_spec_lines_that_inih_would_cut_are_refused),
		cmocka_unit_test(test_spec_damaged_at_random_is_read_or_refused),
		cmocka_unit_test(test_spec_of_random_bytes_is_refused),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
