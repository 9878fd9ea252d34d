/* vhost-user rings with in-flight tracking: servers killed and connections lost in the middle of I/O, and areas that are not right. */
#include "tests/e2e/vhost_user_client.h"

#include <linux/virtio_blk.h>
#include <sys/mman.h>
#include <unistd.h>

#define DISK_BYTES (UINT64_C(8) << 20)

/* ---- recovery ---- */

/* What the client knows of the disk: the seed each sector block was last written with, and of a write that has been
 * submitted and has not come back. */
struct shadow {
	uint64_t seed[4 * SLOTS];
};

static void submit_writes(struct vu_client *c, struct shadow *shadow, unsigned rings, uint64_t round)
{
	for (unsigned ring = 0; ring < rings; ring++)
		for (unsigned slot = 0; slot < SLOTS; slot++) {
			if (c->ring[ring].request[slot].out)
				continue;
			shadow->seed[ring * SLOTS + slot] = round;
			vu_pattern(vu_data(c, ring, slot), round, slot);
			vu_submit(c, ring, slot, VIRTIO_BLK_T_OUT, 8 * (ring * SLOTS + slot));
		}
}

static void check_disk(struct vu_client *c, const struct shadow *shadow, unsigned rings)
{
	uint8_t expected[VU_DATA_BYTES];
	for (unsigned ring = 0; ring < rings; ring++) {
		for (unsigned slot = 0; slot < SLOTS; slot++) {
			memset(vu_data(c, ring, slot), 0, VU_DATA_BYTES);
			vu_submit(c, ring, slot, VIRTIO_BLK_T_IN, 8 * (ring * SLOTS + slot));
		}
		vu_kick(c, ring);
		vu_wait(c, ring);
		for (unsigned slot = 0; slot < SLOTS; slot++) {
			vu_pattern(expected, shadow->seed[ring * SLOTS + slot], slot);
			assert_memory_equal(vu_data(c, ring, slot), expected, VU_DATA_BYTES);
		}
	}
}

/* As QEMU does after a reconnection: features, the old area, memory, rings with the used index for a base. */
static void reconnect(struct vu_client *c, const struct served *server, unsigned rings)
{
	vu_disconnect(c);
	vu_connect(c, server);
	vu_negotiate(c, 0, 0);
	vu_set_inflight(c);
	vu_set_table(c);
	for (unsigned ring = 0; ring < rings; ring++)
		vu_start_ring(c, ring, SIZE, load_le16(c->memory + c->ring[ring].at + 0x3002));
}

/* Every write is done, and every head comes back exactly once (vu_take fails the test otherwise), however often and whenever
 * the server is killed. */
static void test_server_killed_in_flight_loses_and_repeats_nothing(void **state)
{
	char options[300];
	const char *disk = program_image("killed.img", DISK_BYTES, 0);
	const unsigned rings = 3;
	struct shadow shadow = {{0}};
	struct rng rng;
	struct vu_client c;
	(void)state;
	rng_seed(&rng, test_seed(1), 0);
	snprintf(options, sizeof(options),
		 "--disk %s --set device.queues=4 --pace wall --set media.write_ns=2000000", disk);
	struct served server = vu_serve(options);
	vu_open(&c, &server);
	for (unsigned ring = 0; ring < rings; ring++)
		vu_clear_ring(&c, ring, (uint16_t)(65400 + 50 * ring)); /* they wrap on the way */
	vu_get_inflight(&c, 4, SIZE);
	vu_set_inflight(&c);
	vu_set_table(&c);
	for (unsigned ring = 0; ring < rings; ring++)
		vu_start_ring(&c, ring, SIZE, c.ring[ring].avail_next);
	unsigned interrupted = 0;
	for (unsigned round = 1; round <= 25; round++) {
		/* Several waves, so that heads are in all states: given back and used again, taken, not yet taken. */
		for (unsigned wave = 0; wave < 3; wave++) {
			submit_writes(&c, &shadow, rings, round);
			for (unsigned ring = 0; ring < rings; ring++)
				vu_kick(&c, ring);
			usleep((unsigned)rng_below(&rng, 3000));
			for (unsigned ring = 0; ring < rings; ring++)
				vu_take(&c, ring);
		}
		served_kill(&server);
		for (unsigned ring = 0; ring < rings; ring++) {
			vu_take(&c, ring);
			interrupted += c.ring[ring].outstanding;
		}
		server = vu_serve(options);
		reconnect(&c, &server, rings);
		if (round % 5 == 0) {
			for (unsigned ring = 0; ring < rings; ring++)
				vu_wait(&c, ring);
			check_disk(&c, &shadow, rings);
		}
	}
	printf("%u requests were interrupted\n", interrupted);
	assert_true(interrupted > 100);
	vu_end(&c, &server);
}

/* The connection breaks, the server lives: the same. */
static void test_connection_lost_in_flight_loses_and_repeats_nothing(void **state)
{
	const unsigned rings = 3;
	struct shadow shadow = {{0}};
	struct vu_client c;
	struct rng rng;
	(void)state;
	rng_seed(&rng, test_seed(2), 0);
	struct served server = vu_serve(FOUR_QUEUES " --pace wall --set media.write_ns=2000000");
	vu_open(&c, &server);
	vu_get_inflight(&c, 3, SIZE);
	vu_set_inflight(&c);
	vu_set_table(&c);
	for (unsigned ring = 0; ring < rings; ring++)
		vu_start_ring(&c, ring, SIZE, 0);
	for (unsigned round = 1; round <= 30; round++) {
		submit_writes(&c, &shadow, rings, round);
		for (unsigned ring = 0; ring < rings; ring++)
			vu_kick(&c, ring);
		usleep((unsigned)rng_below(&rng, 4000));
		reconnect(&c, &server, rings);
		for (unsigned ring = 0; ring < rings; ring++)
			vu_wait(&c, ring);
	}
	check_disk(&c, &shadow, rings);
	vu_end(&c, &server);
}

/* QMP stop and cont: the area stays, and the base is the one that was returned. */
static void test_ring_with_tracking_stopped_and_restarted(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES);
	struct vu_client c;
	(void)state;
	vu_open(&c, &server);
	vu_get_inflight(&c, 1, SIZE);
	vu_set_inflight(&c);
	vu_set_table(&c);
	vu_start_ring(&c, 0, SIZE, 0);
	for (unsigned round = 0; round < 4; round++) {
		vu_write(&c, 0, SLOTS, 0, round);
		uint16_t base = vu_stop_ring(&c, 0);
		assert_int_equal(base, c.ring[0].avail_next);
		vu_set_inflight(&c);
		vu_start_ring(&c, 0, SIZE, base);
		vu_check(&c, 0, SLOTS, 0, round);
	}
	vu_end(&c, &server);
}

static void test_inflight_areas_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		uint64_t bytes, offset;
		uint16_t queues, size;
	} bad[] = {
		{1 << 20, 0, 5, 64},    {1 << 20, 0, 0, 64},    {1 << 20, 0, 1, 0},
		{1 << 20, 0, 1, 65535}, {64, 0, 1, 64},         {1040, 0, 1, 64}, /* a region is rounded up */
		{1 << 20, 4096, 1, 64}, {UINT64_MAX, 0, 1, 64}, {1 << 16, UINT64_MAX - 7, 1, 64},
		{1 << 16, 3, 1, 64},
	};
	struct served server = vu_serve(FOUR_QUEUES);
	struct vu_client c;
	uint8_t area[24], before[24];
	(void)state;
	vu_open(&c, &server);
	int fd = memfd_create("area", MFD_CLOEXEC), none;
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	memset(area, 0, sizeof(area));
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		store_le64(area, bad[i].bytes);
		store_le64(area + 8, bad[i].offset);
		store_le16(area + 16, bad[i].queues);
		store_le16(area + 18, bad[i].size);
		assert_int_not_equal(vu_ask(&c, 32, area, 24, &fd, 1), 0);
		assert_int_not_equal(vu_ask(&c, 32, area, 20, &fd, 1), 0);
		if (i > 3)
			continue;
		/* No area: size 0, no descriptor. */
		vu_send(&c, 31, 0x1, area, 24, NULL, 0);
		vu_reply(&c, 31, before, 24, &none);
		assert_int_equal(load_le64(before), 0);
		assert_int_equal(none, -1);
	}
	/* A ring larger than the area was made for does not run. */
	vu_get_inflight(&c, 4, 32);
	vu_set_inflight(&c);
	vu_set_table(&c);
	vu_start_ring(&c, 0, 64, 0);
	assert_true(vu_signalled(c.ring[0].err, VU_TIMEOUT_MS));
	vu_stop_ring(&c, 0);
	vu_start_ring(&c, 0, 32, 0);
	vu_write(&c, 0, 10, 0, 1);
	close(fd);
	vu_end(&c, &server);
}

/* Areas full of nonsense: the ring works or the device asks for a reset, and the next client is fine. */
static void test_inflight_area_of_random_bytes_harms_nobody(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES);
	struct rng rng;
	(void)state;
	rng_seed(&rng, test_seed(3), 0);
	for (unsigned round = 0; round < 12; round++) {
		struct vu_client c;
		vu_open(&c, &server);
		vu_get_inflight(&c, 1, SIZE);
		uint8_t *area = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, c.inflight_fd, 0);
		for (unsigned i = 0; i < 16 + 16 * SIZE; i++)
			area[i] = (uint8_t)(rng_u64(&rng) & (round % 2 ? 0xff : 1));
		munmap(area, 4096);
		vu_set_inflight(&c);
		vu_set_table(&c);
		vu_start_ring(&c, 0, SIZE, 0);
		c.ring[0].size = SIZE;
		vu_kick(&c, 0);
		usleep(10000);
		vu_stop_ring(&c, 0);
		vu_destroy(&c);
	}
	vu_end_with_another(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_killed_in_flight_loses_and_repeats_nothing),
		cmocka_unit_test(test_connection_lost_in_flight_loses_and_repeats_nothing),
		cmocka_unit_test(test_ring_with_tracking_stopped_and_restarted),
		cmocka_unit_test(test_inflight_areas_that_do_not_fit_are_refused),
		cmocka_unit_test(test_inflight_area_of_random_bytes_harms_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
