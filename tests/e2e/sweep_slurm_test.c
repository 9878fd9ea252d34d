/* Sweeps as Slurm jobs: the scripts by themselves, and under a Slurm of the test's own (slurmctld, slurmd and munged, in a
 * folder, on free ports, with nothing of the system's touched). */
#include "tests/e2e/program.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static const char small_job[] = "[small]\nrw=randread\niodepth=4\nnumber_ios=40\n";

static const char *put_spec(const char *name, const char *text)
{
	char whole[1000];
	program_file_of("small.fio", small_job);
	snprintf(whole, sizeof(whole), "[sweep]\njob = small.fio\n%s", text);
	return program_file_of(name, whole);
}

static void plan(const char *spec, const char *out, const char *more)
{
	char arguments[2000];
	snprintf(arguments, sizeof(arguments), "sweep %s --out %s --launcher slurm%s", spec, out, more);
	struct program_result result = program_run(arguments, 120);
	if (result.status != 0)
		fail_msg("%s%s", result.out, result.err);
	program_free(&result);
}

static unsigned lines_of(const char *out, const char *name)
{
	char path[600];
	size_t bytes;
	unsigned lines = 0;
	snprintf(path, sizeof(path), "%s/%s", out, name);
	char *text = program_read_file(path, &bytes);
	for (size_t i = 0; i < bytes; i++)
		lines += text[i] == '\n';
	free(text);
	return lines;
}

static int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int shell(const char *format, ...)
{
	char *command;
	va_list args;
	va_start(args, format);
	assert_true(vasprintf(&command, format, args) > 0);
	va_end(args);
	printf("%s\n", command);
	fflush(stdout);
	int status = system(command);
	free(command);
	return status;
}

/* ---- without Slurm ---- */

static void test_slurm_scripts_are_good_shell_and_ask_for_every_piece(void **state)
{
	(void)state;
	const char *out = program_path_of("scripts");
	char path[600];
	size_t bytes;
	/* 45 runs are three pieces of up to 20. */
	plan(put_spec("scripts.ini", "[axis notify.holdoff_ns]\nrange = 0..44 step 1\n"), out, " --jobs 3");
	static const char *const scripts[] = {"sweep.sbatch", "collect.sbatch", "submit", "run-point"};
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++)
		assert_int_equal(shell("bash -n %s/%s && dash -n %s/%s", out, scripts[i], out, scripts[i]),
				 0);
	snprintf(path, sizeof(path), "%s/sweep.sbatch", out);
	char *text = program_read_file(path, &bytes);
	assert_non_null(strstr(text, "\n#SBATCH --array=0-2\n"));
	assert_non_null(strstr(text, "\n#SBATCH --cpus-per-task=3\n"));
	assert_non_null(strstr(text, "\n#SBATCH --chdir=\"/"));
	free(text);
	assert_int_equal(shell("test -f %s/ninja/2.ninja && ! test -f %s/ninja/3.ninja", out, out), 0);
}

/* What sbatch would do with the scripts, done by a shell: an environment per task, then the collection. */
static void test_slurm_tasks_do_all_points_in_any_order(void **state)
{
	(void)state;
	const char *out = program_path_of("tasks with blanks");
	char spec_path[700];
	char *folder = realpath(program_folder(), NULL);
	snprintf(spec_path, sizeof(spec_path), "%s",
		 put_spec("tasks.ini", "[axis notify.holdoff_ns]\nrange = 0..22 step 1\n"));
	/* '@' stands for a blank in the test's command lines. */
	char argument[300];
	snprintf(argument, sizeof(argument), "%s/tasks@with@blanks", program_folder());
	plan(spec_path, argument, "");
	for (int task = 1; task >= 0; task--)
		assert_int_equal(
			shell("cd '%s/tasks with blanks' && SLURM_ARRAY_TASK_ID=%d SLURM_CPUS_PER_TASK=2 sh "
			      "sweep.sbatch >slurm/%d.log",
			      folder, task, task),
			0);
	assert_int_equal(shell("cd '%s/tasks with blanks' && sh collect.sbatch", folder), 0);
	assert_int_equal(lines_of(out, "results.jsonl"), 23);
	/* A task that is run again has nothing to do. */
	assert_int_equal(shell("cd '%s/tasks with blanks' && SLURM_ARRAY_TASK_ID=1 sh sweep.sbatch | grep -q "
			       "'no work to "
			       "do'",
			       folder),
			 0);
	free(folder);
}

static void test_submit_without_slurm_is_an_error(void **state)
{
	(void)state;
	const char *spec = put_spec("one.ini", "");
	char line[1000];
	snprintf(line, sizeof(line), "env PATH=%s %s sweep %s --out %s --launcher slurm --submit",
		 program_path_of("nothing"), program_itself(), spec, program_path_of("unsent"));
	struct program_child child = program_spawn(line, 60);
	struct program_result result = program_wait(&child);
	assert_int_equal(result.status, 2);
	assert_non_null(strstr(result.err, "is Slurm installed, and slurmctld up?"));
	program_free(&result);
}

/* ---- with Slurm ---- */

static const char configuration[] = "ClusterName=kickstand\n"
				    "SlurmctldHost=%s(127.0.0.1)\n"
				    "SlurmctldPort=%u\n"
				    "SlurmdPort=%u\n"
				    "SlurmUser=%s\n"
				    "SlurmdUser=%s\n"
				    "AuthType=auth/munge\n"
				    "AuthInfo=socket=%s/munge/socket\n"
				    "CredType=cred/munge\n"
				    "StateSaveLocation=%s/state\n"
				    "SlurmdSpoolDir=%s/spool\n"
				    "SlurmctldPidFile=%s/slurmctld.pid\n"
				    "SlurmdPidFile=%s/slurmd.pid\n"
				    "ProctrackType=proctrack/linuxproc\n"
				    "TaskPlugin=task/none\n"
				    "SelectType=select/cons_tres\n"
				    "SelectTypeParameters=CR_Core\n"
				    "SwitchType=switch/none\n"
				    "MpiDefault=none\n"
				    "SchedulerType=sched/builtin\n"
				    "ReturnToService=2\n"
				    "NodeName=%s NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN\n"
				    "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n";

struct cluster {
	char folder[200];
	struct program_child daemon[3];
	unsigned daemons;
};

static unsigned free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static void put_configuration(const char *folder)
{
	char host[65], path[300];
	const struct passwd *user = getpwuid(getuid());
	assert_non_null(user);
	assert_int_equal(gethostname(host, sizeof(host)), 0);
	host[strcspn(host, ".")] = '\0';
	snprintf(path, sizeof(path), "%s/slurm.conf", folder);
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	fprintf(out, configuration, host, free_port(), free_port(), user->pw_name, user->pw_name, folder,
		folder, folder, folder, folder, host);
	fclose(out);
}

static void start_daemon(struct cluster *cluster, const char *format, const char *argument)
{
	char line[1000];
	snprintf(line, sizeof(line), format, argument, argument, argument, argument, argument);
	cluster->daemon[cluster->daemons++] = program_spawn(line, 300);
}

/* A key as munge wants it: a file and a folder that nobody else may write to. /tmp, because sockets have short paths. */
static void start_cluster(struct cluster *cluster)
{
	strcpy(cluster->folder, "/tmp/kickstand-slurm-XXXXXX");
	assert_non_null(mkdtemp(cluster->folder));
	assert_int_equal(shell("cd %s && chmod 755 . && mkdir -m 755 munge state spool && "
			       "head -c 1024 /dev/urandom >munge/key && chmod 600 munge/key",
			       cluster->folder),
			 0);
	put_configuration(cluster->folder);
	char path[300];
	snprintf(path, sizeof(path), "%s/slurm.conf", cluster->folder);
	setenv("SLURM_CONF", path, 1);
	setenv("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", 1);
	start_daemon(cluster,
		     "munged --foreground --force --key-file=%s/munge/key --socket=%s/munge/socket "
		     "--pid-file=%s/munge/pid --log-file=%s/munge/log --seed-file=%s/munge/seed",
		     cluster->folder);
	for (unsigned waited = 0; shell("test -S %s/munge/socket", cluster->folder) != 0; waited++) {
		assert_true(waited < 100);
		usleep(100000);
	}
	start_daemon(cluster, "slurmctld -D -f %s/slurm.conf", cluster->folder);
	start_daemon(cluster, "slurmd -D -f %s/slurm.conf", cluster->folder);
}

static void stop_cluster(struct cluster *cluster)
{
	while (cluster->daemons-- > 0) {
		struct program_child *daemon = &cluster->daemon[cluster->daemons];
		kill(daemon->pid, SIGTERM);
		program_ends(daemon, 10);
		program_kill(daemon);
	}
	shell("rm -rf %s", cluster->folder);
}

static bool node_is_idle(void)
{
	return shell("sinfo -h -o %%t 2>/dev/null | grep -q '^idle$'") == 0;
}

/* What the daemons said, when something went wrong. */
static void explain(struct cluster *cluster)
{
	for (unsigned i = 0; i < cluster->daemons; i++) {
		char *said = program_said(&cluster->daemon[i]);
		printf("---- daemon %u:\n%s\n", i, said);
		free(said);
	}
	shell("squeue; sinfo");
}

static bool wait_until(bool (*done)(const char *out), const char *out, unsigned limit_s)
{
	for (unsigned waited = 0; waited < 5 * limit_s; waited++) {
		if (done(out))
			return true;
		usleep(200000);
	}
	return false;
}

static bool is_idle(const char *out)
{
	(void)out;
	return node_is_idle();
}

static bool is_collected(const char *out)
{
	char path[600];
	snprintf(path, sizeof(path), "%s/results.csv", out);
	return access(path, F_OK) == 0;
}

static void test_slurm_runs_the_sweep_and_collects_it(void **state)
{
	(void)state;
	struct cluster cluster = {.daemons = 0};
	if (shell("export PATH=$PATH:/usr/sbin; command -v munged slurmctld slurmd sbatch >/dev/null") != 0)
		skip(); /* tools/setup installs them */
	const char *out = program_path_of("slurm");
	const char *spec =
		put_spec("slurm.ini", "repeats = 2\n[axis notify.holdoff_ns]\nrange = 0..19 step 1\n"
				      "[axis guest.queues]\nvalues = 1, 2\n");
	start_cluster(&cluster);
	bool good = wait_until(is_idle, out, 60);
	if (good) {
		/* 80 runs, 4 tasks; half of them fail, which the others and the collection survive. */
		plan(spec, out, " --submit");
		good = wait_until(is_collected, out, 120);
		/* The jobs' own daemons end with them, and nobody waits for these: not before the node is idle again. */
		good = good && wait_until(is_idle, out, 60);
	}
	if (!good)
		explain(&cluster);
	stop_cluster(&cluster);
	assert_true(good);
	assert_int_equal(lines_of(out, "results.jsonl"), 80);
	assert_int_equal(lines_of(out, "results.csv"), 81);
	assert_int_equal(shell("grep -c '\"status\":0' %s/results.jsonl | grep -qx 40", out), 0);
	assert_int_equal(shell("grep -q '40 runs failed' %s/slurm/collect.log", out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slurm_scripts_are_good_shell_and_ask_for_every_piece),
		cmocka_unit_test(test_slurm_tasks_do_all_points_in_any_order),
		cmocka_unit_test(test_submit_without_slurm_is_an_error),
		cmocka_unit_test(test_slurm_runs_the_sweep_and_collects_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
