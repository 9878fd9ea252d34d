/* Jobs on disks of every kind and size, odd ones first of all. */
#include "tests/e2e/nbd_server.h"
#include "tests/e2e/run_check.h"

#define SECTOR 512.0

static void check_on(const char *name, const char *disk, const char *job, unsigned depth, double reads,
		     double writes, double bytes)
{
	char options[400];
	snprintf(options, sizeof(options), "--disk %s", disk);
	const struct job_run run = {
		.name = name,
		.job = job,
		.options = options,
		.depth = depth,
		IO(reads, writes, 0, ANY, ANY, bytes),
	};
	check_job_runs(&run, 1);
}

/* Whole blocks are done, the rest behind the last one is left alone; single sectors reach everywhere. */
static void test_images_of_odd_sizes_are_used_to_the_end(void **state)
{
	(void)state;
	static const unsigned sectors[] = {1, 2, 7, 8, 9, 63, 65, 1023, 4097};
	for (size_t i = 0; i < ARRAY_SIZE(sectors); i++) {
		unsigned n = sectors[i], blocks = n / 8;
		char disk[300], ram[40];
		snprintf(disk, sizeof(disk), "%s", program_image("odd.img", n * 512, 50 + i));
		snprintf(ram, sizeof(ram), "ram:%u", n * 512);
		const char *const disks[] = {disk, ram};
		for (unsigned d = 0; d < 2; d++) {
			check_on("sectors", disks[d],
				 "[a]\nrw=randwrite\nbs=512\niodepth=16\nverify=crc32c\n", 16, n, n,
				 n * SECTOR);
			check_on("backwards order", disks[d],
				 "[a]\nrw=randread\nbs=512\niodepth=3\nloops=2\n", 3, 2 * n, 0, 0);
			if (blocks != 0)
				check_on("blocks", disks[d],
					 "[a]\nrw=write\nbs=4k\niodepth=8\nverify=crc32c\n", 8, blocks,
					 blocks, blocks * 8 * SECTOR);
			check_on("what fits", disks[d],
				 "[a]\nrw=randwrite\nbsrange=512-16k\niodepth=8\nverify=crc32c\n", 8, ANY,
				 ANY, n * SECTOR);
		}
		unlink(disk);
	}
}

static void test_region_larger_than_the_disk_is_refused(void **state)
{
	(void)state;
	static const char *const jobs[] = {
		"[a]\nrw=read\nbs=4k\n",             /* the disk is smaller than a block */
		"[a]\nrw=read\nbs=512\nsize=4k\n",   /* the region is larger than the disk */
		"[a]\nrw=read\nbs=512\noffset=8k\n", /* it begins behind the end */
		"[a]\nrw=read\nbs=512\nnumjobs=3\noffset_increment=2k\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		char arguments[300];
		snprintf(arguments, sizeof(arguments), "run --disk ram:3584 --job %s",
			 program_file_of("large.fio", jobs[i]));
		struct program_result result = program_run(arguments, 60);
		printf("%s", result.err);
		assert_int_equal(result.status, 2);
		assert_non_null(strstr(result.err, "'a'"));
		assert_string_equal(strchr(result.err, '\n'), "\n");
		program_free(&result);
	}
}

/* Far more than there is memory for: only what is touched counts. */
static void test_large_sparse_disks_cost_what_is_touched(void **state)
{
	(void)state;
	const char *job = "[a]\nrw=randrw\nbs=4k\niodepth=32\nnumber_ios=1000\nnorandommap\nverify=crc32c\n";
	check_on("ram", "ram:1T", job, 32, ANY, ANY, ANY);
	check_on("null", "null:4T", job, 32, ANY, ANY, ANY);
	const char *image = program_image("sparse.img", UINT64_C(64) << 30, 0);
	check_on("image", image, job, 32, ANY, ANY, ANY);
	unlink(image);
}

static void test_nbd_disks_do_all_io(void **state)
{
	(void)state;
	static const char *const servers[] = {
		"memory 8M",
		"--filter=nozero memory 8M",
		"--filter=cache memory 8M",
		"--filter=blocksize-policy memory 8M blocksize-minimum=512 blocksize-maximum=64K "
		"blocksize-error-policy=error",
	};
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
		struct nbd_server server = nbd_start(servers[i]);
		check_on(servers[i], server.disk,
			 "[global]\niodepth=8\nverify=crc32c\n[a]\nrw=randwrite\nbs=128k\nsize=4m\n[b]\nrw="
			 "randwrite\nbs=4k\n"
			 "offset=4m\nsize=1m\nfsync=50\n",
			 17, 32 + 256, 32 + 256, 5 * 1024 * 1024.0);
		nbd_stop(&server, SIGTERM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_images_of_odd_sizes_are_used_to_the_end),
		cmocka_unit_test(test_region_larger_than_the_disk_is_refused),
		cmocka_unit_test(test_large_sparse_disks_cost_what_is_touched),
		cmocka_unit_test(test_nbd_disks_do_all_io),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
