/* A real Linux guest is recorded, and what it did is replayed under other settings. */
#include "tests/e2e/guest_vm.h"

#define GUEST_S 180
#define QUEUES  4u

struct sums {
	double ios, bytes;
};

/* Of one action in a recording. */
static struct sums sum_of(const char *path, const char *action)
{
	struct sums sums = {0};
	char text[200], what[20];
	unsigned long long offset, length;
	FILE *in = fopen(path, "r");
	assert_non_null(in);
	while (fgets(text, sizeof(text), in)) {
		if (sscanf(text, "%*s q%*u %19s %llu %llu", what, &offset, &length) != 3 ||
		    strcmp(what, action) != 0)
			continue;
		sums.ios++;
		sums.bytes += (double)length;
	}
	fclose(in);
	return sums;
}

/* The guest's own count: Linux, Documentation/block/stat.rst. */
static void compare_with_the_guest(const char *serial, const char *log)
{
	double field[17];
	const char *at = strstr(serial, "stat: ");
	assert_non_null(at);
	at += strlen("stat: ");
	for (unsigned i = 0; i < 17; i++) {
		char *end;
		field[i] = strtod(at, &end);
		assert_true(end != at);
		at = end;
	}
	struct sums reads = sum_of(log, "read"), trims = sum_of(log, "trim");
	/* Before Linux, the firmware of the PC has read the boot sector. */
	assert_int_equal(reads.ios, field[0] + 1);
	assert_int_equal(reads.bytes, (field[2] + 1) * 512);
	/* Requests are not compared: Linux counts flushes without data as writes, and zeroes as one of any length. */
	assert_int_equal(sum_of(log, "write").bytes, field[6] * 512);
	assert_true(trims.ios >= field[11] && field[11] > 0);
	assert_int_equal(trims.bytes, field[13] * 512);
	assert_int_equal(sum_of(log, "sync").ios, field[15]);
	assert_true(field[15] > 0);
}

static void replay(const char *log, const char *more, const char *settings)
{
	char text[600], arguments[600];
	snprintf(text, sizeof(text), "[replay]\nread_iolog=%s\nnumjobs=%u\niodepth=64\n%s",
		 strrchr(log, '/') + 1, QUEUES, more);
	snprintf(arguments, sizeof(arguments), "--disk ram:64M --set device.queues=%u --job %s %s", QUEUES,
		 program_file_of("replay.fio", text), settings);
	json_t *root = program_run_json(arguments);
	assert_int_equal(json_at(root, "sim/errors"), 0);
	assert_int_equal(sum_of_jobs(root, "read/io_bytes"), sum_of(log, "read").bytes);
	assert_int_equal(sum_of_jobs(root, "write/io_bytes"), sum_of(log, "write").bytes);
	assert_int_equal(sum_of_jobs(root, "trim/io_bytes"), sum_of(log, "trim").bytes);
	assert_int_equal(sum_of_jobs(root, "sync/total_ios"), sum_of(log, "sync").ios);
	json_decref(root);
}

static void test_linux_is_recorded_and_replayed(void **state)
{
	static const char job[] = "set -e\n"
				  "cat /sys/block/vda/serial > /dev/null\n"
				  "/tools/mke2fs -q -t ext4 /dev/vda\n"
				  "mount -t ext4 /dev/vda /mnt\n"
				  "for i in 1 2 3 4; do\n"
				  "  (i=$i; seq 1 $((i * 30000)) > /mnt/file$i) &\n"
				  "done\n"
				  "wait\n"
				  "rm /mnt/file3\n"
				  "sync\n"
				  "fstrim /mnt\n"
				  "umount /mnt\n"
				  "echo 3 > /proc/sys/vm/drop_caches\n"
				  "mount -t ext4 -o ro /dev/vda /mnt\n"
				  "cat /mnt/file1 /mnt/file2 /mnt/file4 > /dev/null\n"
				  "umount /mnt\n"
				  "echo stat: $(cat /sys/block/vda/stat)\n";
	char arguments[600];
	json_error_t error;
	(void)state;
	const char *log = program_path_of("linux.log"), *json = program_path_of("serve.json");
	snprintf(arguments, sizeof(arguments), "--disk %s --set device.queues=%u --record %s --json %s",
		 program_image("record.img", UINT64_C(64) << 20, 0), QUEUES, log, json);
	struct served server = served_start("--vhost-user", arguments);
	struct guest_vm vm = vm_start(&server, QUEUES, job, "");
	char *serial = vm_end(&vm, GUEST_S);
	free(served_end(&server));
	compare_with_the_guest(serial, log);
	free(serial);
	/* Nothing is missing: what is not in the log (GET_ID) is counted. */
	json_t *root = json_load_file(json, 0, &error);
	assert_non_null(root);
	assert_int_equal(json_at(root, "record/requests") + json_at(root, "record/left_out"),
			 json_at(root, "serve/requests"));
	assert_true(json_at(root, "record/left_out") >= 1);
	assert_true(json_at(root, "record/doorbells") >= json_at(root, "device/doorbells/written"));
	json_decref(root);
	replay(log, "", "");
	replay(log, "replay_time_scale=1000\n",
	       "--set device.offload=firmware --set link.gen=3 --set link.lanes=4");
	replay(log, "replay_no_stall=1\n", "--set notify.holdoff_ns=2000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_linux_is_recorded_and_replayed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
