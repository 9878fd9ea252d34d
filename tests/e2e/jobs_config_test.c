/* The same I/O on cards and guests of every kind: whatever is configured, all of it is done, verified, and adds up. */
#include "tests/e2e/run_check.h"

#define K 1024.0

/* Reads and writes of several sizes over the same 2 MiB, trims and flushes between them, all read back at the end. */
static const char mixed_job[] =
	"[global]\niodepth=12\nsize=1m\nverify=crc32c\n"
	"[m]\nrw=randrw\nbssplit=512/30:4k/50:24k/20\nnumber_ios=250\nfsync=25\nnumjobs=2\n"
	"[w]\nrw=randwrite\nbs=16k\noffset=512k\n"
	"[t]\nrw=randtrim\nbs=8k\nnumber_ios=20\niodepth=2\n";
#define MIXED_DEPTH (3 * 12 + 2 + 2) /* flushes come on top of the first job's depth */

static const struct {
	const char *name, *options;
} cases[] = {
	{"as it comes", ""},
	{"walked by firmware", "--set device.offload=firmware"},
	{"walked by firmware, four queues", "--set device.offload=firmware --set device.queues=4"},
	{"served without the core", "--set device.offload=full"},
	{"served without the core, four queues", "--set device.offload=full --set device.queues=4"},
	{"in RTL", "--set device.impl=rtl"},
	{"in RTL, walked by firmware", "--set device.impl=rtl --set device.offload=firmware"},
	{"in RTL, four queues, moderated", "--set device.impl=rtl --set device.queues=4 --set "
					   "notify.holdoff_ns=2000 --set msix.holdoff_ns=5000"},
	{"core in RTL only", "--set core.impl=rtl"},
	{"fetch engine in RTL only", "--set fetch.impl=rtl --set guest.indirect=on"},
	{"notify and interrupts in RTL", "--set notify.impl=rtl --set msix.impl=rtl --set device.queues=4"},
	{"oldest and narrowest link", "--set link.gen=1 --set link.lanes=1"},
	{"second generation", "--set link.gen=2 --set link.lanes=2"},
	{"third generation", "--set link.gen=3 --set link.lanes=4"},
	{"newest and widest link", "--set link.gen=5 --set link.lanes=16"},
	{"small packets", "--set link.mps=128 --set link.mrrs=128"},
	{"large packets", "--set link.mps=1024 --set link.mrrs=4096"},
	{"large read boundary", "--set link.rcb=128"},
	{"completions in pieces", "--set link.rcb_pieces=on"},
	{"few tags", "--set link.tags=4"},
	{"many tags", "--set link.tags=768"},
	{"replays", "--set link.error_ppm=5000"},
	{"few credits",
	 "--set link.posted_headers=1 --set link.posted_data=16 --set link.non_posted_headers=1"},
	{"notifications unhindered", "--set guest.event_idx=off"},
	{"no event index on the card", "--set virtio.event_idx=off"},
	{"line interrupts", "--set guest.msix=off"},
	{"line interrupts, four queues, by firmware",
	 "--set guest.msix=off --set device.queues=4 --set device.offload=firmware"},
	{"indirect descriptors", "--set guest.indirect=on"},
	{"indirect, in small pieces", "--set guest.indirect=on --set guest.segment_bytes=1024"},
	{"indirect by firmware",
	 "--set guest.indirect=on --set guest.segment_bytes=2048 --set device.offload=firmware"},
	{"small rings", "--set device.queue_size=8"},
	{"small rings by firmware", "--set device.queue_size=8 --set device.offload=firmware"},
	{"sixteen queues", "--set device.queues=16"},
	{"more CPUs than queues", "--set host.vcpus=4"},
	{"more queues than CPUs", "--set device.queues=8 --set host.vcpus=2"},
	{"one vector for all", "--set device.queues=4 --set msix.vectors=1"},
	{"two vectors", "--set device.queues=4 --set msix.vectors=2"},
	{"doorbell FIFO", "--set notify.mode=fifo --set device.queues=4"},
	{"doorbell FIFO of one", "--set notify.mode=fifo --set notify.fifo_depth=1 --set device.queues=4"},
	{"hold-off", "--set notify.holdoff_ns=3000 --set notify.threshold=4"},
	{"adaptive hold-off",
	 "--set notify.adaptive=on --set notify.holdoff_ns=9000 --set notify.threshold=4"},
	{"adaptive hold-off in RTL, four queues",
	 "--set notify.impl=rtl --set notify.adaptive=on --set notify.holdoff_ns=9000 "
	 "--set device.queues=4 --set guest.event_idx=off"},
	{"strict priority", "--set notify.arbitration=strict --set device.queues=4"},
	{"oldest first", "--set notify.arbitration=oldest --set device.queues=4"},
	{"by weight", "--set notify.arbitration=weighted --set notify.weights=4660 --set device.queues=4"},
	{"one at a time", "--set fetch.batch=1 --set fetch.prefetch=1 --set fetch.inflight=1"},
	{"interrupts moderated", "--set msix.holdoff_ns=20000 --set msix.threshold=8"},
	{"interrupts moderated adaptively",
	 "--set msix.adaptive=on --set msix.holdoff_ns=20000 --set msix.threshold=8"},
	{"interrupts moderated adaptively in RTL, four queues",
	 "--set msix.impl=rtl --set msix.adaptive=on --set msix.holdoff_ns=20000 --set device.queues=4"},
	{"polling", "--set core.poll_ns=20000"},
	{"polling by firmware",
	 "--set core.poll_ns=5000 --set device.offload=firmware --set device.queues=4"},
	{"in order", "--set virtio.in_order=on"},
	{"in order by firmware, four queues",
	 "--set virtio.in_order=on --set device.offload=firmware --set device.queues=4"},
	{"in order, hardware leaves it to the core", "--set virtio.in_order=on --set device.offload=full"},
	{"notification data", "--set virtio.notification_data=on --set device.queues=2"},
	{"one update each, without the core", "--set used.batch=1 --set device.offload=full"},
	{"one update each", "--set used.batch=1"},
	{"slow engines", "--set device.clock_mhz=100 --set core.clock_mhz=200"},
	{"little room on the card", "--set mover.buffers=4 --set mover.chunk_bytes=4096"},
	{"slow medium",
	 "--set media.read_ns=500000 --set media.write_ns=700000 --set media.flush_ns=2000000"},
	{"medium without delay", "--set media.read_ns=0 --set media.write_ns=0 --set media.flush_ns=0"},
	{"medium of one channel", "--set media.parallelism=1"},
	{"unsteady medium", "--set media.jitter=100 --set media.bandwidth_mbps=500"},
	{"memory below 4 GiB", "--set host.memory_base=0 --set host.memory=256M"},
	{"slow host", "--set host.interrupt_ns=5000 --set host.submit_ns=1000 --set host.complete_ns=1000"},
	{"host without delay", "--set host.interrupt_ns=0 --set host.submit_ns=0 --set host.complete_ns=0 "
			       "--set host.mmio_write_ns=0"},
	{"host without delay, small rings", "--set host.interrupt_ns=0 --set host.submit_ns=0 --set "
					    "host.complete_ns=0 --set device.queue_size=8"},
	{"cache switched by the driver", "--set guest.config_wce=on"},
	{"plain host memory", "--set virtio.access_platform=off"},
};

static void run_mixed(const char *name, const char *options)
{
	const struct job_run run = {
		.name = name,
		.job = mixed_job,
		.options = options,
		.depth = MIXED_DEPTH,
		/* Each clone's mix keeps its number; the second job's writes fill its region once. */
		IO(ANY, ANY, 20, ANY, ANY, ANY),
	};
	check_job_runs(&run, 1);
}

static void test_every_configuration_does_all_io(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		run_mixed(cases[i].name, cases[i].options);
}

/* What config_check refuses together. */
static bool contradict(const char *options)
{
	static const char *const pairs[][2] = {{"notify.adaptive=on", "notify.mode=fifo"},
					       {"device.offload=full", "core.poll_ns"}};
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (strstr(options, pairs[i][0]) && strstr(options, pairs[i][1]))
			return true;
	return false;
}

/* Three configurations together, drawn at random; keys set twice take the last value. */
static void test_configurations_combined_do_all_io(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(20), 0);
	for (unsigned i = 0; i < 30; i++) {
		char options[600];
		const char *part[3];
		do {
			for (unsigned p = 0; p < 3; p++)
				part[p] = cases[rng_below(&rng, ARRAY_SIZE(cases))].options;
			snprintf(options, sizeof(options), "%s %s %s --seed %u", part[0], part[1], part[2],
				 i + 1);
		} while (contradict(options));
		run_mixed("combined", options);
	}
}

/* What the guest asked of the disk does not depend on the card. */
static void test_io_is_the_same_on_every_card(void **state)
{
	(void)state;
	static const char *const options[] = {"",
					      "--set device.offload=firmware",
					      "--set guest.msix=off",
					      "--set link.gen=1 --set link.lanes=1",
					      "--set guest.indirect=on",
					      "--set media.read_ns=100000"};
	static const char *const paths[] = {"read/total_ios", "read/io_bytes", "write/total_ios",
					    "write/io_bytes", "sync/total_ios"};
	double first[ARRAY_SIZE(paths)];
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		char arguments[400];
		snprintf(arguments, sizeof(arguments), "%s --job %s", options[i],
			 program_file_of("same.fio",
					 "[a]\nrw=randrw\nbsrange=512-32k\niodepth=8\nsize=4m\nfsync=10\n"));
		json_t *root = program_run_json(arguments);
		for (size_t p = 0; p < ARRAY_SIZE(paths); p++) {
			double now = sum_of_jobs(root, paths[p]);
			if (i == 0)
				first[p] = now;
			assert_true(now == first[p]);
		}
		json_decref(root);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_configuration_does_all_io),
		cmocka_unit_test(test_configurations_combined_do_all_io),
		cmocka_unit_test(test_io_is_the_same_on_every_card),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
