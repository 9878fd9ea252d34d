/* Memory of a vhost-user client: mapping what its descriptors give, and what happens when it takes that away. */
#include "host-sim/serve/vhost_user_memory.h"
#include "tests/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE UINT64_C(4096)

static int memfd_of(uint64_t bytes)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static unsigned open_fds(void)
{
	unsigned count = 0;
	DIR *folder = opendir("/proc/self/fd");
	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

/* Mappings of memory files in this process. */
static unsigned mappings(void)
{
	char line[400];
	unsigned count = 0;
	FILE *maps = fopen("/proc/self/maps", "r");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		count += strstr(line, "memfd:test") != NULL;
	fclose(maps);
	return count;
}

struct fixture {
	struct memory card;
	struct vhost_user_memory memory;
};

static int set_up(void **state)
{
	char error[100];
	struct fixture *f = calloc(1, sizeof(*f));
	assert_int_equal(memory_create(&f->card, 0, 0, error, sizeof(error)), 0);
	f->memory.card = &f->card;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	vhost_user_memory_clear(&f->memory);
	assert_int_equal(f->card.regions, 0);
	assert_int_equal(mappings(), 0);
	memory_destroy(&f->card);
	free(f);
	return 0;
}

static int add(struct fixture *f, uint64_t guest, uint64_t bytes, uint64_t user, uint64_t offset, int fd)
{
	char error[300] = "";
	const struct vhost_user_region region = {guest, bytes, user, offset};
	int result = vhost_user_memory_add(&f->memory, &region, fd, error, sizeof(error));
	assert_int_equal(result != 0, error[0] != '\0'); /* a reason with every failure */
	return result;
}

static void test_memory_region_is_shared_with_the_client_at_both_addresses(void **state)
{
	struct fixture *f = *state;
	int fd = memfd_of(4 * PAGE);
	uint64_t guest;
	assert_int_equal(add(f, 0x100000, 2 * PAGE, 0x7f0000000000, PAGE, fd), 0);
	uint8_t *client = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	client[PAGE + 5] = 77;
	uint8_t *ours = vhost_user_memory_at(&f->memory, 0x7f0000000005, 1, &guest);
	assert_non_null(ours);
	assert_int_equal(*ours, 77);
	assert_int_equal(guest, 0x100005);
	const struct memory_region *region = memory_find(&f->card, 0x100005, 1);
	assert_non_null(region);
	assert_ptr_equal(region->data + 5, ours);
	/* Up to the last byte and no further. */
	assert_non_null(vhost_user_memory_at(&f->memory, 0x7f0000000000 + PAGE, PAGE, &guest));
	assert_null(vhost_user_memory_at(&f->memory, 0x7f0000000000 + PAGE, PAGE + 1, &guest));
	assert_null(vhost_user_memory_at(&f->memory, 0x7effffffffff, 2, &guest));
	assert_null(vhost_user_memory_at(&f->memory, UINT64_MAX, 2, &guest));
	munmap(client, 4 * PAGE);
}

static void test_memory_bad_regions_are_refused_and_leave_nothing(void **state)
{
	struct fixture *f = *state;
	int fd = memfd_of(4 * PAGE), pipe_fds[2];
	const uint64_t user = 0x7f0000000000;
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(add(f, 0x100000, 2 * PAGE, user, 0, fd), 0);
	unsigned before = mappings();
	const struct {
		uint64_t guest, bytes, user, offset;
		int fd;
	} cases[] = {
		{0x200000, 0, user + 0x100000, 0, fd},                  /* empty */
		{0x200000, 5 * PAGE, user + 0x100000, 0, fd},           /* beyond the file */
		{0x200000, 2 * PAGE, user + 0x100000, 3 * PAGE, fd},    /* the same by offset */
		{0x200000, PAGE, user + 0x100000, UINT64_MAX - 10, fd}, /* offset that wraps */
		{0x200000, UINT64_MAX, user + 0x100000, 0, fd},         /* size that wraps */
		{UINT64_MAX - PAGE + 1, PAGE, user + 0x100000, 0, fd},  /* end of the address space */
		{UINT64_C(1) << 63, PAGE, user + 0x100000, 0, fd},      /* ours */
		{(UINT64_C(1) << 62) - PAGE, 2 * PAGE, user + 0x100000, 0, fd},
		{0x200000, 2 * PAGE, UINT64_MAX - PAGE, 0, fd},    /* user addresses wrap */
		{0x101000, PAGE, user + 0x100000, 0, fd},          /* overlaps by guest address */
		{0x200000, PAGE, user + PAGE, 0, fd},              /* overlaps by user address */
		{0x200000, PAGE, user + 0x100000, 0, pipe_fds[0]}, /* no file */
		{0x200000, PAGE, user + 0x100000, 0, -1},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(
			add(f, cases[i].guest, cases[i].bytes, cases[i].user, cases[i].offset, cases[i].fd),
			-1);
	int read_only = open("/proc/self/exe", O_RDONLY);
	assert_int_equal(add(f, 0x200000, PAGE, user + 0x100000, 0, read_only), -1);
	assert_int_equal(f->memory.count, 1);
	assert_int_equal(f->card.regions, 1);
	assert_int_equal(mappings(), before);
	/* Guests that are no PCs have RAM where a PC's interrupts go. */
	assert_int_equal(add(f, 0xfee00000 - PAGE, 2 * PAGE, user + 0x100000, 0, fd), 0);
	close(read_only);
	close(fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void test_memory_slots_are_limited_and_come_back(void **state)
{
	struct fixture *f = *state;
	char error[200];
	int fd = memfd_of(PAGE);
	for (unsigned i = 0; i < VHOST_USER_SLOTS_MAX; i++)
		assert_int_equal(add(f, i * PAGE, PAGE, 0x10000000 + i * PAGE, 0, fd), 0);
	assert_int_equal(add(f, 0x1000000, PAGE, 0x20000000, 0, fd), -1);
	/* Removed by guest address, user address and size; the offset does not count. */
	struct vhost_user_region region = {3 * PAGE, PAGE, 0x10000000 + 3 * PAGE, 999};
	assert_int_equal(vhost_user_memory_remove(&f->memory, &region, error, sizeof(error)), 0);
	assert_int_equal(vhost_user_memory_remove(&f->memory, &region, error, sizeof(error)), -1);
	assert_null(memory_find(&f->card, 3 * PAGE, 1));
	assert_int_equal(add(f, 0x1000000, PAGE, 0x20000000, 0, fd), 0);
	close(fd);
}

static int table_of(struct fixture *f, struct vhost_user_memory_change *change, unsigned count,
		    const int *fds, uint64_t step)
{
	char error[200];
	struct vhost_user_table table = {.count = count};
	for (unsigned i = 0; i < count; i++)
		table.region[i] = (struct vhost_user_region){i * step, PAGE, 0x50000000 + i * step, i * PAGE};
	return vhost_user_memory_prepare(&f->memory, change, &table, fds, error, sizeof(error));
}

static void test_table_same_again_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct vhost_user_memory_change change;
	char error[200];
	int fd = memfd_of(2 * PAGE);
	const int fds[] = {fd, fd};
	assert_int_equal(table_of(f, &change, 2, fds, 0x10000), 0);
	assert_false(change.same);
	assert_int_equal(vhost_user_memory_commit(&f->memory, &change, error, sizeof(error)), 0);
	const uint8_t *data = memory_find(&f->card, 0x10000, 1)->data;
	/* Another descriptor of the same file. */
	int again[] = {dup(fd), dup(fd)};
	unsigned before = mappings();
	assert_int_equal(table_of(f, &change, 2, again, 0x10000), 0);
	assert_true(change.same);
	assert_int_equal(mappings(), before);
	assert_ptr_equal(memory_find(&f->card, 0x10000, 1)->data, data);
	/* Another file at the same addresses. */
	int other = memfd_of(2 * PAGE);
	const int others[] = {other, other};
	assert_int_equal(table_of(f, &change, 2, others, 0x10000), 0);
	assert_false(change.same);
	assert_int_equal(vhost_user_memory_commit(&f->memory, &change, error, sizeof(error)), 0);
	assert_int_equal(mappings(), before);
	close(fd), close(other), close(again[0]), close(again[1]);
}

static void test_table_bad_one_leaves_the_old_one(void **state)
{
	struct fixture *f = *state;
	struct vhost_user_memory_change change;
	char error[200];
	int fd = memfd_of(2 * PAGE);
	const int fds[] = {fd, fd, fd};
	unsigned before = open_fds();
	assert_int_equal(table_of(f, &change, 2, fds, 0x10000), 0);
	assert_int_equal(vhost_user_memory_commit(&f->memory, &change, error, sizeof(error)), 0);
	assert_int_equal(table_of(f, &change, 3, fds, 0x10000), -1); /* the third is beyond the file */
	assert_int_equal(table_of(f, &change, 2, fds, 0x800), -1);   /* they overlap */
	assert_int_equal(f->memory.count, 2);
	assert_int_equal(mappings(), 2);
	assert_int_equal(open_fds(), before);
	close(fd);
}

static void test_memory_made_smaller_by_the_client_reads_zero(void **state)
{
	struct fixture *f = *state;
	int fd = memfd_of(8 * PAGE);
	uint64_t guest;
	assert_int_equal(add(f, 0, 8 * PAGE, 0x50000000, 0, fd), 0);
	volatile uint8_t *data = vhost_user_memory_at(&f->memory, 0x50000000, 8 * PAGE, &guest);
	data[7 * PAGE] = 5;
	assert_false(vhost_user_memory_lost(&f->memory));
	assert_int_equal(ftruncate(fd, (off_t)PAGE), 0);
	assert_int_equal(data[7 * PAGE], 0); /* would be the end of the process */
	data[6 * PAGE] = 1;
	assert_true(vhost_user_memory_lost(&f->memory));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_memory_region_is_shared_with_the_client_at_both_addresses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_memory_bad_regions_are_refused_and_leave_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_memory_slots_are_limited_and_come_back, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_table_same_again_changes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_table_bad_one_leaves_the_old_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_memory_made_smaller_by_the_client_reads_zero, set_up,
						tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
