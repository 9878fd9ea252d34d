/* An unmodified Linux under the distribution's QEMU (vhost-user-blk-pci) on the served card: it probes, makes a file system,
 * works on it, syncs, reboots and loses its server; afterwards the image is clean and holds what it should. */
#include "tests/e2e/guest_vm.h"

#include <sys/stat.h>
#include <unistd.h>

#define BOOT_S 60
#define WORK_S 120

static const char *disk_arguments(const char *name, unsigned queues, char *text, size_t size)
{
	const char *image = program_image(name, UINT64_C(64) << 20, 0);
	snprintf(text, size, "--disk %s --set device.queues=%u", image, queues);
	return image;
}

/* e2fsck finds nothing to mend. */
static void check_file_system(const char *image)
{
	char line[600];
	snprintf(line, sizeof(line), "e2fsck -fn %s", image);
	assert_int_equal(system(line), 0);
}

/* sha256 of a file inside the image, as the host's own tools see it. */
static void check_file(const char *image, const char *file, const char *serial)
{
	char line[1000], sum[100] = "", mark[200];
	snprintf(line, sizeof(line), "debugfs -R 'cat %s' %s 2>/dev/null | sha256sum", file, image);
	FILE *in = popen(line, "r");
	assert_non_null(in);
	assert_non_null(fgets(sum, sizeof(sum), in));
	pclose(in);
	sum[64] = '\0';
	snprintf(mark, sizeof(mark), "%s  /mnt%s", sum, file);
	if (!strstr(serial, mark))
		fail_msg("%s on the image has sha256 %s, not what the guest wrote", file, sum);
}

static void check_linux_works(const char *image_name, const char *settings)
{
	static const char job[] =
		"set -e\n"
		"echo queues $(ls /sys/block/vda/mq | wc -l)\n"
		"cat /sys/block/vda/serial; echo\n"
		"/tools/mke2fs -q -t ext4 /dev/vda\n"
		"mount -t ext4 /dev/vda /mnt\n"
		"for i in 1 2 3 4; do\n"
		"  (i=$i; seq 1 $((i * 50000)) > /mnt/file$i) &\n"
		"done\n"
		"wait\n"
		"dd if=/dev/urandom of=/mnt/random bs=64k count=160 conv=fsync 2>/dev/null\n"
		"rm /mnt/file3\n"
		"sync\n"
		"fstrim /mnt\n"
		"cd /mnt; sha256sum file1 file2 file4 random > /tmp/sums; cd /\n"
		"umount /mnt\n"
		"echo 3 > /proc/sys/vm/drop_caches\n"
		"mount -t ext4 -o ro /dev/vda /mnt\n"
		"(cd /mnt; sha256sum -c /tmp/sums)\n"
		"sha256sum /mnt/file1 /mnt/random\n"
		"umount /mnt\n";
	char arguments[400];
	const char *image = disk_arguments(image_name, 4, arguments, sizeof(arguments));
	strcat(arguments, settings);
	struct served server = served_start("--vhost-user", arguments);
	struct guest_vm vm = vm_start(&server, 4, job, "");
	char *serial = vm_end(&vm, BOOT_S + WORK_S);
	assert_non_null(strstr(serial, "queues 4"));
	free(served_end(&server));
	check_file_system(image);
	check_file(image, "/file1", serial);
	check_file(image, "/random", serial);
	free(serial);
}

static void test_linux_makes_a_file_system_and_works_on_it(void **state)
{
	(void)state;
	check_linux_works("ext4.img", "");
}

/* The same with the RTL of notify, fetch, msix and core in place of their models. */
static void test_linux_works_on_the_rtl(void **state)
{
	(void)state;
	check_linux_works("rtl.img", " --set device.impl=rtl");
}

/* Two boots of one guest on one server: what the first wrote is there in the second. */
static void test_linux_reboots(void **state)
{
	static const char job[] = "set -e\n"
				  "if ! mount -t ext4 /dev/vda /mnt 2>/dev/null; then\n"
				  "  /tools/mke2fs -q -t ext4 /dev/vda\n"
				  "  mount -t ext4 /dev/vda /mnt\n"
				  "  seq 1 100000 > /mnt/first\n"
				  "  sync\n"
				  "  umount /mnt\n"
				  "  echo first boot done\n"
				  "  reboot -f\n"
				  "fi\n"
				  "sha256sum /mnt/first\n"
				  "umount /mnt\n"
				  "echo second boot done\n";
	char arguments[400];
	(void)state;
	const char *image = disk_arguments("reboot.img", 2, arguments, sizeof(arguments));
	struct served server = served_start("--vhost-user", arguments);
	struct guest_vm vm = vm_start(&server, 2, job, "");
	char *serial = vm_end(&vm, 2 * BOOT_S + WORK_S);
	assert_non_null(strstr(serial, "first boot done"));
	assert_non_null(strstr(serial, "second boot done"));
	free(served_end(&server));
	check_file_system(image);
	check_file(image, "/first", serial);
	free(serial);
}

/* Writes that go on while the server is killed and comes back, and while the machine is stopped and continued. */
static const char busy_job[] = "set -e\n"
			       "/tools/mke2fs -q -t ext4 /dev/vda\n"
			       "mount -t ext4 /dev/vda /mnt\n"
			       "dd if=/dev/urandom of=/tmp/source bs=64k count=64 2>/dev/null\n"
			       "cp /tmp/source /mnt/before; sync; echo before is synced\n"
			       "for i in $(seq 1 12); do\n"
			       "  dd if=/tmp/source of=/mnt/f$i bs=64k conv=fsync 2>/dev/null; echo file $i\n"
			       "done\n"
			       "echo 3 > /proc/sys/vm/drop_caches\n"
			       "for i in $(seq 1 12); do cmp /tmp/source /mnt/f$i; done\n"
			       "sha256sum /mnt/before /mnt/f5 /mnt/f12\n"
			       "umount /mnt\n";

static void check_busy_job(struct guest_vm *vm, const char *image, struct served *server)
{
	char *serial = vm_end(vm, BOOT_S + WORK_S);
	assert_null(strstr(serial, "I/O error"));
	free(served_end(server));
	check_file_system(image);
	check_file(image, "/before", serial);
	check_file(image, "/f5", serial);
	check_file(image, "/f12", serial);
	free(serial);
}

static void test_server_killed_in_the_middle_loses_nothing(void **state)
{
	char arguments[400], text[32];
	(void)state;
	const char *image = disk_arguments("killed.img", 2, arguments, sizeof(arguments));
	struct served server = served_start("--vhost-user", arguments);
	struct guest_vm vm = vm_start(&server, 2, busy_job, "");
	vm_wait_for(&vm, "before is synced", BOOT_S + WORK_S);
	for (unsigned i = 2; i <= 6; i += 2) {
		snprintf(text, sizeof(text), "file %u\r\n", i);
		vm_wait_for(&vm, text, WORK_S);
		usleep(20000);
		served_kill(&server);
		served_restart(&server, arguments);
	}
	check_busy_job(&vm, image, &server);
}

static void test_guest_stopped_and_continued_goes_on(void **state)
{
	char arguments[400], text[32];
	(void)state;
	const char *image = disk_arguments("stopped.img", 2, arguments, sizeof(arguments));
	struct served server = served_start("--vhost-user", arguments);
	struct guest_vm vm = vm_start(&server, 2, busy_job, "");
	for (unsigned i = 1; i <= 7; i += 2) {
		snprintf(text, sizeof(text), "file %u\r\n", i);
		vm_wait_for(&vm, text, BOOT_S + WORK_S);
		vm_monitor(&vm, "stop");
		usleep(100000);
		vm_monitor(&vm, "cont");
	}
	check_busy_job(&vm, image, &server);
}

static void test_idle_guest_costs_nothing(void **state)
{
	static const char job[] = "mount -t ext4 /dev/vda /mnt 2>/dev/null\n"
				  "dd if=/dev/vda of=/dev/null bs=4k count=100 2>/dev/null\n"
				  "echo now idle\n"
				  "sleep 6\n"
				  "echo still there\n"
				  "dd if=/dev/vda of=/dev/null bs=4k count=100 skip=200 2>/dev/null\n";
	char arguments[400];
	(void)state;
	disk_arguments("idle.img", 2, arguments, sizeof(arguments));
	struct served server = served_start("--vhost-user", arguments);
	struct guest_vm vm = vm_start(&server, 2, job, "");
	vm_wait_for(&vm, "now idle", BOOT_S);
	usleep(500000);
	double before_s = served_cpu_s(&server);
	usleep(4000000);
	double used_s = served_cpu_s(&server) - before_s;
	free(vm_end(&vm, BOOT_S));
	free(served_end(&server));
	assert_true(used_s <= 0.04); /* 1 % of the 4 s */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_linux_makes_a_file_system_and_works_on_it),
		cmocka_unit_test(test_linux_works_on_the_rtl),
		cmocka_unit_test(test_linux_reboots),
		cmocka_unit_test(test_server_killed_in_the_middle_loses_nothing),
		cmocka_unit_test(test_guest_stopped_and_continued_goes_on),
		cmocka_unit_test(test_idle_guest_costs_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
