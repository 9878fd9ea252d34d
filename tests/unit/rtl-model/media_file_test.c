/* Raw image files: real files in a directory under build/, with the system calls wrapped (-Wl,--wrap) so that they
 * can be counted, cut short and made to fail. */
#include "rtl-model/blocks/media/store.h"
#include "tests/check.h"
#include "tests/unit/rtl-model/media_dir.h"
#include "tests/unit/rtl-model/media_shadow.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

/* What the wrapped calls do; zeroed by each test's setup. */
static struct {
	struct rng *interrupt; /* NULL: whole transfers */
	int pread_errno, pwrite_errno, fdatasync_errno;
	int refused_modes;           /* fallocate fails if the mode has one of these bits */
	int refused_errno;           /* 0: EOPNOTSUPP */
	uint64_t block_device_bytes; /* not 0: files look like block devices of this size */
	unsigned fdatasyncs, pwrites, short_transfers, interruptions;
} sys;

ssize_t __real_pread(int fd, void *data, size_t bytes, off_t offset);
ssize_t __real_pwrite(int fd, const void *data, size_t bytes, off_t offset);
int __real_fdatasync(int fd);
int __real_fallocate(int fd, int mode, off_t offset, off_t bytes);
int __real_stat(const char *path, struct stat *status);
int __real_fstat(int fd, struct stat *status);
int __real_ioctl(int fd, unsigned long request, uint64_t *bytes);
ssize_t __wrap_pread(int fd, void *data, size_t bytes, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *data, size_t bytes, off_t offset);
int __wrap_fdatasync(int fd);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t bytes);
int __wrap_stat(const char *path, struct stat *status);
int __wrap_fstat(int fd, struct stat *status);
int __wrap_ioctl(int fd, unsigned long request, uint64_t *bytes);

/* Returns how much of a transfer to do, 0 to be interrupted. */
static size_t disturb(size_t bytes)
{
	if (!sys.interrupt || bytes == 0)
		return bytes;
	if (rng_below(sys.interrupt, 4) == 0) {
		sys.interruptions++;
		return 0;
	}
	sys.short_transfers++;
	return 1 + rng_below(sys.interrupt, bytes);
}

static int fail_with(int code)
{
	errno = code;
	return -1;
}

ssize_t __wrap_pread(int fd, void *data, size_t bytes, off_t offset)
{
	if (sys.pread_errno)
		return fail_with(sys.pread_errno);
	bytes = disturb(bytes);
	return bytes == 0 ? fail_with(EINTR) : __real_pread(fd, data, bytes, offset);
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
	sys.pwrites++;
	if (sys.pwrite_errno)
		return fail_with(sys.pwrite_errno);
	bytes = disturb(bytes);
	return bytes == 0 ? fail_with(EINTR) : __real_pwrite(fd, data, bytes, offset);
}

int __wrap_fdatasync(int fd)
{
	sys.fdatasyncs++;
	return sys.fdatasync_errno ? fail_with(sys.fdatasync_errno) : __real_fdatasync(fd);
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t bytes)
{
	if (mode & sys.refused_modes)
		return fail_with(sys.refused_errno ? sys.refused_errno : EOPNOTSUPP);
	return __real_fallocate(fd, mode, offset, bytes);
}

int __wrap_stat(const char *path, struct stat *status)
{
	int result = __real_stat(path, status);
	if (result == 0 && sys.block_device_bytes != 0)
		status->st_mode = S_IFBLK | 0600;
	return result;
}

int __wrap_fstat(int fd, struct stat *status)
{
	int result = __real_fstat(fd, status);
	if (result == 0 && sys.block_device_bytes != 0)
		status->st_mode = S_IFBLK | 0600;
	return result;
}

int __wrap_ioctl(int fd, unsigned long request, uint64_t *bytes)
{
	if (request != BLKGETSIZE64 || sys.block_device_bytes == 0)
		return __real_ioctl(fd, request, bytes);
	*bytes = sys.block_device_bytes;
	return 0;
}

static int calm(void **state)
{
	(void)state;
	memset(&sys, 0, sizeof(sys));
	return 0;
}

#define FILE_TEST(fn) cmocka_unit_test_setup(fn, calm)

/* ---- helpers ---- */

static const char *make_file(void **state, const char *name, off_t bytes, char path[PATH_MAX])
{
	int fd = open(dir_file(state, name, path), O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
	close(fd);
	return path;
}

static struct store *open_good(const char *spec, bool read_only)
{
	char error[8192] = "";
	struct store *store = store_open(spec, read_only, 1, error, sizeof(error));
	if (!store)
		fail_msg("%s", error);
	return store;
}

/* Asserts that it is refused with a line that names the file and says `words`. */
static void check_refused(const char *spec, bool read_only, const char *words)
{
	char error[8192] = "";
	assert_null(store_open(spec, read_only, 1, error, sizeof(error)));
	if (!strstr(error, spec) || !strstr(error, words) || strchr(error, '\n'))
		fail_msg("\"%s\" should name %s and say \"%s\"", error, spec, words);
}

static void fill(struct store *store, uint64_t offset, uint8_t value, size_t bytes)
{
	uint8_t *data = malloc(bytes);
	memset(data, value, bytes);
	assert_int_equal(store_write(store, offset, data, bytes), 0);
	free(data);
}

static void check_filled(struct store *store, uint64_t offset, uint8_t value, size_t bytes)
{
	uint8_t *data = malloc(bytes);
	assert_int_equal(store_read(store, offset, data, bytes), 0);
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(data[i], value);
	free(data);
}

static uint64_t allocated_bytes(const char *path)
{
	struct stat status;
	assert_int_equal(stat(path, &status), 0);
	return (uint64_t)status.st_blocks * 512;
}

/* ---- opening ---- */

static void test_open_missing_file_names_file_and_mend(void **state)
{
	char path[PATH_MAX], mend[PATH_MAX + 64];
	dir_file(state, "missing.img", path);
	snprintf(mend, sizeof(mend), "truncate -s 64M %s", path);
	check_refused(path, false, mend);
	check_refused(path, true, mend);
}

static void test_open_things_that_are_no_image_refused(void **state)
{
	char path[PATH_MAX];
	check_refused(((struct test_dir *)*state)->path, false, "is a directory");
	check_refused("/dev/null", false, "is a character device");
	assert_int_equal(mkfifo(dir_file(state, "fifo", path), 0600), 0);
	check_refused(path, false, "is a FIFO"); /* would wait for ever if it were opened */
	check_refused(path, true, "is a FIFO");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	dir_file(state, "socket", path);
	assert_true(strlen(path) < sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	check_refused(path, false, "is a socket");
	close(fd);
}

static void test_open_bad_sizes_refused(void **state)
{
	char path[PATH_MAX];
	check_refused(make_file(state, "empty", 0, path), false, "truncate -s 64M");
	check_refused(make_file(state, "odd", 1000, path), false, "truncate -s %512");
	check_refused(make_file(state, "odd", 511, path), true, "no multiple of 512");
}

static void test_open_unwritable_file_needs_read_only(void **state)
{
	char path[PATH_MAX];
	make_file(state, "protected", 4096, path);
	assert_int_equal(chmod(path, 0444), 0);
	assert_int_equal(chmod(((struct test_dir *)*state)->path, 0755), 0);
	bool root = geteuid() == 0;
	if (root)
		assert_int_equal(seteuid(65534), 0);
	bool reachable = faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0; /* by the user that is not root */
	if (reachable) {
		check_refused(path, false, "device.read_only=on");
		struct store *store = open_good(path, true);
		assert_true(store_info(store)->read_only);
		check_filled(store, 0, 0, 4096);
		store_close(store);
	}
	if (root)
		assert_int_equal(seteuid(0), 0);
	if (!reachable)
		skip();
}

static void test_open_lock_one_writer_or_many_readers(void **state)
{
	char path[PATH_MAX];
	make_file(state, "locked", 4096, path);
	struct store *writer = open_good(path, false);
	check_refused(path, false, "in use by another process");
	check_refused(path, true, "in use by another process");
	store_close(writer);
	struct store *reader = open_good(path, true), *second = open_good(path, true);
	check_refused(path, false, "in use by another process");
	store_close(reader);
	check_refused(path, false, "in use by another process");
	store_close(second);
	store_close(open_good(path, false));
}

static void test_open_lock_holds_between_processes(void **state)
{
	char path[PATH_MAX];
	make_file(state, "locked", 4096, path);
	struct store *writer = open_good(path, false);
	pid_t child = fork();
	if (child == 0) {
		char error[8192];
		_exit(store_open(path, true, 1, error, sizeof(error)) == NULL ? 42 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	store_close(writer);
}

static void test_open_file_tells_what_it_can(void **state)
{
	char path[PATH_MAX];
	make_file(state, "image", 1 << 20, path);
	struct store *store = open_good(path, false);
	const struct store_info *info = store_info(store);
	assert_int_equal(info->bytes, 1 << 20);
	assert_string_equal(info->kind, "file");
	assert_string_equal(info->spec, path);
	assert_true(info->can_flush);
	assert_true(info->can_zero);
	assert_false(info->read_only);
	store_close(store);
	assert_int_equal(allocated_bytes(path), 0); /* opening has changed nothing */
	sys.refused_modes = FALLOC_FL_PUNCH_HOLE;
	store = open_good(path, false);
	assert_false(store_info(store)->can_discard);
	store_close(store);
}

static void test_open_block_device_size_from_ioctl(void **state)
{
	char path[PATH_MAX];
	make_file(state, "device", 65536, path);
	sys.block_device_bytes = 32768;
	struct store *store = open_good(path, false);
	assert_int_equal(store_info(store)->bytes, 32768);
	fill(store, 0, 0x44, 32768);
	check_filled(store, 0, 0x44, 32768);
	sys.refused_modes = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
	sys.refused_errno = EINVAL; /* how block devices refuse ranges that are not in their blocks */
	assert_int_equal(store_discard(store, 512, 512), 0);
	assert_true(store_info(store)->can_discard);
	assert_int_equal(store_zero(store, 512, 512, true), 0);
	check_filled(store, 512, 0, 512);
	check_filled(store, 1024, 0x44, 512);
	store_close(store);
}

/* ---- access ---- */

static void test_file_random_operations_equal_shadow_and_file(void **state)
{
	char path[PATH_MAX];
	uint64_t seed = test_seed(21);
	struct shadow shadow = {.size = 300 * 1024, .discard_zeroes = true};
	for (unsigned round = 0; round < 3; round++) {
		struct rng rng;
		rng_seed(&rng, seed, round);
		shadow.unit = round == 0 ? 1 : 512;
		shadow.bytes = calloc(1, shadow.size);
		make_file(state, "shadow", (off_t)shadow.size, path);
		calm(NULL);
		sys.interrupt = round == 2 ? NULL : &rng;
		struct store *store = open_good(path, false);
		shadow_run(store, &shadow, seed + round, 1000);
		store_close(store);
		assert_true(round == 2 || (sys.short_transfers > 100 && sys.interruptions > 100));

		uint8_t *contents = malloc(shadow.size);
		FILE *file = fopen(path, "rb");
		assert_int_equal(fread(contents, 1, shadow.size, file), shadow.size);
		assert_int_equal(fgetc(file), EOF);
		fclose(file);
		assert_memory_equal(contents, shadow.bytes, shadow.size);
		free(contents);
		free(shadow.bytes);
	}
}

static void test_file_beyond_4_gib_offsets_kept(void **state)
{
	char path[PATH_MAX];
	const uint64_t size = UINT64_C(1) << 40;
	make_file(state, "large", (off_t)size, path);
	struct store *store = open_good(path, false);
	fill(store, size - 512, 0x11, 512);
	fill(store, UINT64_C(1) << 32, 0x22, 512);
	check_filled(store, 0, 0, 512);
	check_filled(store, size - 512, 0x11, 512);
	check_filled(store, UINT64_C(1) << 32, 0x22, 512);
	assert_int_equal(store_discard(store, 0, size), 0);
	check_filled(store, size - 512, 0, 512);
	store_close(store);
}

static void test_file_flush_is_fdatasync(void **state)
{
	char path[PATH_MAX];
	make_file(state, "flush", 8192, path);
	struct store *store = open_good(path, false);
	fill(store, 0, 1, 4096);
	assert_int_equal(sys.fdatasyncs, 0);
	assert_int_equal(store_flush(store), 0);
	assert_int_equal(sys.fdatasyncs, 1);
	assert_null(store_error(store));
	sys.fdatasync_errno = EIO;
	assert_int_equal(store_flush(store), -EIO);
	assert_non_null(strstr(store_error(store), path));
	assert_non_null(strstr(store_error(store), "flush"));
	store_close(store);
}

static void test_file_errors_reported_and_first_kept(void **state)
{
	char path[PATH_MAX], first[PATH_MAX + 256];
	uint8_t data[512] = {0};
	make_file(state, "errors", 8192, path);
	struct store *store = open_good(path, false);
	sys.pwrite_errno = ENOSPC;
	assert_int_equal(store_write(store, 4096, data, 512), -ENOSPC);
	snprintf(first, sizeof(first), "disk %s: write of 512 bytes at 4096 failed: No space left on device",
		 path);
	assert_string_equal(store_error(store), first);
	sys.pread_errno = EIO;
	assert_int_equal(store_read(store, 0, data, 512), -EIO);
	assert_string_equal(store_error(store), first);
	sys.pread_errno = 0;
	assert_int_equal(store_read(store, 0, data, 512), 0);
	store_close(store);
}

static void test_file_cut_by_somebody_else_is_an_error(void **state)
{
	char path[PATH_MAX];
	uint8_t data[4096];
	make_file(state, "cut", 8192, path);
	struct store *store = open_good(path, false);
	assert_int_equal(truncate(path, 6000), 0);
	assert_int_equal(store_read(store, 4096, data, 1904), 0);
	assert_int_equal(store_read(store, 4096, data, 4096), -EIO);
	assert_non_null(strstr(store_error(store), "has become shorter"));
	store_close(store);
}

static void test_file_discard_frees_blocks(void **state)
{
	char path[PATH_MAX];
	make_file(state, "discard", 1 << 20, path);
	struct store *store = open_good(path, false);
	if (!store_info(store)->can_discard)
		skip();
	fill(store, 0, 0x99, 1 << 20);
	assert_int_equal(store_flush(store), 0);
	uint64_t before = allocated_bytes(path);
	assert_true(before >= 1 << 20);
	assert_int_equal(store_discard(store, 65536, 524288), 0);
	assert_true(allocated_bytes(path) <= before - 524288);
	check_filled(store, 65536, 0, 524288);
	check_filled(store, 0, 0x99, 65536);
	check_filled(store, 65536 + 524288, 0x99, (1 << 20) - 65536 - 524288);
	store_close(store);
}

static void test_file_discard_refused_by_file_system_changes_nothing(void **state)
{
	char path[PATH_MAX];
	make_file(state, "no-holes", 65536, path);
	struct store *store = open_good(path, false);
	fill(store, 0, 0x99, 65536);
	sys.refused_modes = FALLOC_FL_PUNCH_HOLE;
	assert_int_equal(store_discard(store, 0, 65536), 0);
	assert_false(store_info(store)->can_discard);
	check_filled(store, 0, 0x99, 65536);
	assert_null(store_error(store));
	store_close(store);
}

static void test_file_zero_reads_zeroes_by_every_way(void **state)
{
	char path[PATH_MAX];
	static const struct {
		int refused_modes;
		bool may_unmap;
		bool allocated, by_data; /* expected: blocks are kept; zeroes were written as data */
	} cases[] = {
		{0, false, true, false},
		{0, true, false, false},
		{FALLOC_FL_PUNCH_HOLE, true, true, false},
		{FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE, true, true, true},
		{FALLOC_FL_ZERO_RANGE, false, true, true},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		calm(NULL);
		make_file(state, "zero", 1 << 20, path);
		struct store *store = open_good(path, false);
		fill(store, 0, 0x77, 1 << 20);
		assert_int_equal(store_flush(store), 0);
		uint64_t before = allocated_bytes(path);
		sys.refused_modes = cases[i].refused_modes;
		sys.pwrites = 0;
		assert_int_equal(store_zero(store, 4096, 200 * 1024, cases[i].may_unmap), 0);
		assert_int_equal(sys.pwrites != 0, cases[i].by_data);
		assert_int_equal(store_flush(store), 0);
		assert_int_equal(allocated_bytes(path) >= before, cases[i].allocated);
		check_filled(store, 0, 0x77, 4096);
		check_filled(store, 4096, 0, 200 * 1024);
		check_filled(store, 4096 + 200 * 1024, 0x77, (1 << 20) - 4096 - 200 * 1024);
		store_close(store);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(test_open_missing_file_names_file_and_mend),
		FILE_TEST(test_open_things_that_are_no_image_refused),
		FILE_TEST(test_open_bad_sizes_refused),
		FILE_TEST(test_open_unwritable_file_needs_read_only),
		FILE_TEST(test_open_lock_one_writer_or_many_readers),
		FILE_TEST(test_open_lock_holds_between_processes),
		FILE_TEST(test_open_file_tells_what_it_can),
		FILE_TEST(test_open_block_device_size_from_ioctl),
		FILE_TEST(test_file_random_operations_equal_shadow_and_file),
		FILE_TEST(test_file_beyond_4_gib_offsets_kept),
		FILE_TEST(test_file_flush_is_fdatasync),
		FILE_TEST(test_file_errors_reported_and_first_kept),
		FILE_TEST(test_file_cut_by_somebody_else_is_an_error),
		FILE_TEST(test_file_discard_frees_blocks),
		FILE_TEST(test_file_discard_refused_by_file_system_changes_nothing),
		FILE_TEST(test_file_zero_reads_zeroes_by_every_way),
	};
	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
