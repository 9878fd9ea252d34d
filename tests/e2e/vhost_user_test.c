/* `kickstand serve --vhost-user` against a client of our own (vhost_user_client.h): what QEMU, SPDK and others rely on. */
#include "tests/e2e/vhost_user_client.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <sys/mman.h>
#include <unistd.h>

#define DISK_BYTES (UINT64_C(8) << 20)

/* ---- negotiation ---- */

static void test_negotiation_offers_what_the_card_has_and_the_protocol_carries(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES);
	struct vu_client c;
	(void)state;
	vu_create(&c);
	vu_connect(&c, &server);
	uint64_t features = vu_get_u64(&c, 1);
	const unsigned there[] = {VIRTIO_BLK_F_FLUSH,          VIRTIO_BLK_F_BLK_SIZE,   VIRTIO_BLK_F_MQ,   30,
				  VIRTIO_RING_F_INDIRECT_DESC, VIRTIO_RING_F_EVENT_IDX, VIRTIO_F_VERSION_1};
	const unsigned never[] = {26 /* log */,      VIRTIO_F_ACCESS_PLATFORM,   VIRTIO_F_RING_PACKED,
				  VIRTIO_F_IN_ORDER, 38 /* notification data */, 40 /* ring reset */};
	for (unsigned i = 0; i < ARRAY_SIZE(there); i++)
		assert_true(features >> there[i] & 1);
	for (unsigned i = 0; i < ARRAY_SIZE(never); i++)
		assert_false(features >> never[i] & 1);
	/* MQ, REPLY_ACK, BACKEND_REQ, CONFIG, INFLIGHT_SHMFD, RESET_DEVICE, CONFIGURE_MEM_SLOTS, STATUS */
	assert_int_equal(vu_get_u64(&c, 15),
			 BIT(0) | BIT(3) | BIT(5) | BIT(9) | BIT(12) | BIT(13) | BIT(15) | BIT(16));
	assert_int_equal(vu_get_u64(&c, 17), 4);
	vu_negotiate(&c, 0, 0);
	assert_true(vu_get_u64(&c, 36) >= 8);
	vu_end(&c, &server);
}

static void test_features_not_offered_are_refused(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES);
	struct vu_client c;
	uint8_t payload[8];
	(void)state;
	vu_open(&c, &server);
	store_le64(payload, vu_get_u64(&c, 1) | BIT(34));
	assert_int_not_equal(vu_ask(&c, 2, payload, 8, NULL, 0), 0);
	store_le64(payload, BIT(14));
	assert_int_not_equal(vu_ask(&c, 16, payload, 8, NULL, 0), 0);
	/* Without a way to say no, the connection is the answer. */
	vu_disconnect(&c);
	vu_connect(&c, &server);
	store_le64(payload, BIT(34));
	vu_send(&c, 2, 0x1, payload, 8, NULL, 0);
	assert_true(vu_hung_up(&c));
	vu_end(&c, &server);
}

static void read_config(struct vu_client *c, uint32_t offset, uint32_t size, uint32_t payload,
			uint8_t *config)
{
	uint8_t message[12 + 256] = {0};
	store_le32(message, offset);
	store_le32(message + 4, size);
	vu_send(c, 24, 0x1, message, payload, NULL, 0);
	vu_reply(c, 24, message, payload, NULL);
	assert_int_equal(load_le32(message), offset);
	assert_int_equal(load_le32(message + 4), size);
	memcpy(config, message + 12, size);
}

static uint64_t write_cache_mode(struct vu_client *c, uint32_t offset, uint32_t size, uint8_t value,
				 uint32_t payload)
{
	uint8_t message[12 + 256] = {0};
	store_le32(message, offset);
	store_le32(message + 4, size);
	message[12] = value;
	return vu_ask(c, 25, message, payload, NULL, 0);
}

static void test_config_is_the_cards_in_the_size_that_was_asked_for(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES);
	struct vu_client c;
	uint8_t config[256], part[256];
	(void)state;
	vu_open(&c, &server);
	read_config(&c, 0, 57, 69, config); /* QEMU 7.2 */
	assert_int_equal(load_le64(config), DISK_BYTES / 512);
	assert_int_equal(load_le32(config + 20), 512); /* blk_size */
	assert_int_equal(load_le16(config + 34), 4);   /* num_queues */
	read_config(&c, 0, 256, 268, part);            /* SPDK */
	assert_memory_equal(part, config, 57);
	read_config(&c, 34, 2, 14, part);
	assert_memory_equal(part, config + 34, 2);
	read_config(&c, 255, 1, 13, part);
	assert_int_equal(part[0], 0);
	vu_end(&c, &server);
}

static void test_config_cache_mode_is_kept_over_a_restart_of_the_rings(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES " --set virtio.config_wce=on");
	struct vu_client c;
	uint8_t mode;
	(void)state;
	vu_begin(&c, &server, 1, SIZE);
	read_config(&c, 32, 1, 13, &mode);
	assert_int_equal(mode, 1);
	assert_int_equal(write_cache_mode(&c, 32, 1, 0, 13), 0);
	read_config(&c, 32, 1, 13, &mode);
	assert_int_equal(mode, 0);
	vu_start_ring(&c, 0, SIZE, vu_stop_ring(&c, 0));
	vu_write(&c, 0, SLOTS, 0, 1);
	read_config(&c, 32, 1, 13, &mode);
	assert_int_equal(mode, 0);
	assert_int_equal(write_cache_mode(&c, 32, 1, 1, 268), 0); /* SPDK's form */
	read_config(&c, 32, 1, 13, &mode);
	assert_int_equal(mode, 1);
	/* Everything else is read-only. */
	assert_int_not_equal(write_cache_mode(&c, 0, 8, 1, 20), 0);
	assert_int_not_equal(write_cache_mode(&c, 32, 2, 1, 14), 0);
	vu_end(&c, &server);
}

/* ---- I/O ---- */

static void test_io_on_all_rings_reaches_the_disk(void **state)
{
	char options[200];
	const char *disk = program_image("disk.img", DISK_BYTES, 0);
	struct vu_client c;
	size_t bytes;
	uint8_t expected[VU_DATA_BYTES];
	(void)state;
	snprintf(options, sizeof(options), "--disk %s --set device.queues=4", disk);
	struct served server = vu_serve(options);
	vu_begin(&c, &server, 4, SIZE);
	for (unsigned ring = 0; ring < 4; ring++)
		vu_write(&c, ring, SLOTS, 2000 * ring, 10 + ring);
	for (unsigned ring = 0; ring < 4; ring++)
		vu_check(&c, 3 - ring, SLOTS, 2000 * ring, 10 + ring);
	vu_submit(&c, 0, 0, VIRTIO_BLK_T_FLUSH, 0);
	vu_kick(&c, 0);
	vu_wait(&c, 0);
	assert_int_equal(vu_status(&c, 0, 0), VIRTIO_BLK_S_OK);
	char *image = program_read_file(disk, &bytes);
	for (unsigned ring = 0; ring < 4; ring++)
		for (unsigned slot = 0; slot < SLOTS; slot++) {
			vu_pattern(expected, 10 + ring, slot);
			assert_memory_equal(image + (2000u * ring + 8u * slot) * 512u, expected,
					    VU_DATA_BYTES);
		}
	free(image);
	vu_end(&c, &server);
}

static void test_io_works_for_clients_of_other_habits(void **state)
{
	static const struct {
		uint64_t without, protocol_without;
	} habits[] = {
		{0, UINT64_MAX & ~BIT(9)},            /* CONFIG alone: the least QEMU can do */
		{0, UINT64_MAX & ~(BIT(0) | BIT(9))}, /* SPDK */
		{BIT(VIRTIO_RING_F_EVENT_IDX), 0},
		{BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_RING_F_INDIRECT_DESC), 0},
		{BIT(30), 0},                 /* no protocol features: rings are enabled from the start */
		{BIT(VIRTIO_F_VERSION_1), 0}, /* a legacy driver */
	};
	struct served server = vu_serve(FOUR_QUEUES);
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(habits); i++) {
		struct vu_client c;
		vu_create(&c);
		vu_connect(&c, &server);
		vu_negotiate(&c, habits[i].without, habits[i].protocol_without);
		assert_int_equal(vu_get_u64(&c, 17), 4);
		vu_set_table(&c);
		vu_start_ring(&c, 1, SIZE, 0);
		vu_write(&c, 1, SLOTS, 0, i);
		vu_check(&c, 1, SLOTS, 0, i);
		vu_destroy(&c);
	}
	free(served_end(&server));
}

/* SPDK: SET_VRING_ENABLE comes before anything else of the ring. */
static void test_ring_enabled_before_all_else_starts_when_all_is_known(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES);
	struct vu_client c;
	(void)state;
	vu_open(&c, &server);
	for (uint32_t i = 0; i < 4; i++) /* also those that are never set up: SeaBIOS uses one */
		assert_int_equal(vu_state(&c, 18, i, 1), 0);
	vu_set_table(&c);
	vu_kick(&c, 2); /* before the server even knows the descriptor */
	vu_start_ring(&c, 2, SIZE, 0);
	vu_write(&c, 2, SLOTS, 0, 3);
	vu_check(&c, 2, SLOTS, 0, 3);
	vu_end(&c, &server);
}

/* What is in the ring when it starts needs no kick. */
static void test_ring_with_requests_is_served_without_a_kick(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES);
	struct vu_client c;
	(void)state;
	vu_open(&c, &server);
	vu_set_table(&c);
	c.ring[0].size = SIZE;
	c.ring[0].requests = SLOTS;
	for (unsigned slot = 0; slot < 5; slot++)
		vu_submit(&c, 0, slot, VIRTIO_BLK_T_IN, 0);
	vu_start_ring(&c, 0, SIZE, 0);
	vu_wait(&c, 0);
	vu_end(&c, &server);
}

/* ---- stop and go ---- */

static void test_ring_stopped_goes_on_where_it_was(void **state)
{
	static const uint16_t starts[] = {0, 65530};
	struct served server = vu_serve(FOUR_QUEUES);
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(starts); i++) {
		struct vu_client c;
		vu_open(&c, &server);
		vu_set_table(&c);
		vu_clear_ring(&c, 0, starts[i]);
		vu_start_ring(&c, 0, SIZE, starts[i]);
		for (unsigned round = 0; round < 6; round++) {
			vu_write(&c, 0, 1 + round, 0, round);
			assert_int_equal(vu_stop_ring(&c, 0), c.ring[0].avail_next);
			vu_start_ring(&c, 0, SIZE, c.ring[0].avail_next);
			vu_check(&c, 0, 1 + round, 0, round);
		}
		vu_destroy(&c);
	}
	free(served_end(&server));
}

/* GET_VRING_BASE: everything taken is given back first, and afterwards there is silence. */
static void stop_in_flight(const char *options)
{
	struct served server = vu_serve(options);
	struct vu_client c;
	(void)server;
	vu_begin(&c, &server, 2, SIZE);
	for (unsigned round = 0; round < 8; round++) {
		struct vu_ring *ring = &c.ring[0];
		for (unsigned slot = 0; slot < SLOTS; slot++) {
			vu_pattern(vu_data(&c, 0, slot), round, slot);
			vu_submit(&c, 0, slot, VIRTIO_BLK_T_OUT, 8 * slot);
			vu_submit(&c, 1, slot, VIRTIO_BLK_T_IN, 4000);
		}
		vu_kick(&c, 0);
		vu_kick(&c, 1);
		usleep(700 * round);
		uint16_t base = vu_stop_ring(&c, 0);
		vu_take(&c, 0);
		/* used index and next available index agree: nothing is in between. */
		assert_int_equal(ring->used_next, base);
		assert_true((uint16_t)(ring->avail_next - base) == ring->outstanding);
		uint8_t before[0x1000];
		memcpy(before, c.memory + ring->at + 0x3000, sizeof(before));
		while (vu_signalled(ring->call, 0))
			;
		vu_wait(&c, 1); /* the other ring is alive meanwhile */
		assert_memory_equal(before, c.memory + ring->at + 0x3000, sizeof(before));
		assert_false(vu_signalled(ring->call, 20));
		vu_start_ring(&c, 0, SIZE, base);
		vu_wait(&c, 0);
		vu_check(&c, 0, SLOTS, 0, round);
	}
	vu_end(&c, &server);
}

static void test_ring_stopped_in_flight_is_drained_and_others_go_on(void **state)
{
	(void)state;
	stop_in_flight(FOUR_QUEUES " " SLOW);
	stop_in_flight(FOUR_QUEUES);
	stop_in_flight(FOUR_QUEUES " " SLOW " --set device.offload=firmware");
}

/* Without VIRTIO_F_RING_RESET the card is restarted around the rings that stay. */
static void test_ring_stopped_on_a_card_without_queue_reset(void **state)
{
	(void)state;
	stop_in_flight(FOUR_QUEUES " " SLOW " --set virtio.ring_reset=off");
	stop_in_flight(FOUR_QUEUES " --set virtio.ring_reset=off --set msix.vectors=1");
}

static void test_ring_disabled_takes_nothing_until_enabled(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES);
	struct vu_client c;
	(void)state;
	vu_begin(&c, &server, 1, SIZE);
	vu_write(&c, 0, SLOTS, 0, 1);
	assert_int_equal(vu_state(&c, 18, 0, 0), 0);
	for (unsigned slot = 0; slot < 3; slot++)
		vu_submit(&c, 0, slot, VIRTIO_BLK_T_IN, 0);
	vu_kick(&c, 0);
	usleep(50000);
	assert_int_equal(vu_take(&c, 0), 0);
	assert_int_equal(vu_state(&c, 18, 0, 1), 0);
	vu_wait(&c, 0);
	/* Disabled with requests waiting, then stopped: the base is before them. */
	assert_int_equal(vu_state(&c, 18, 0, 0), 0);
	vu_submit(&c, 0, 0, VIRTIO_BLK_T_IN, 0);
	vu_kick(&c, 0);
	uint16_t base = vu_stop_ring(&c, 0);
	assert_int_equal((uint16_t)(c.ring[0].avail_next - base), 1);
	vu_start_ring(&c, 0, SIZE, base);
	vu_wait(&c, 0);
	vu_end(&c, &server);
}

/* QEMU 7.2 sets status 0 and asks for the base afterwards; others set status 0 and start over. */
static void test_status_zero_leaves_rings_until_they_are_stopped_or_set_up(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES);
	struct vu_client c;
	(void)state;
	vu_begin(&c, &server, 1, SIZE);
	vu_set_u64(&c, 39, 0xf);
	assert_int_equal(vu_get_u64(&c, 40), 0xf);
	vu_write(&c, 0, SLOTS, 0, 1);
	vu_set_u64(&c, 39, 0);
	assert_int_equal(vu_stop_ring(&c, 0), c.ring[0].avail_next);
	vu_start_ring(&c, 0, SIZE, c.ring[0].avail_next);
	vu_set_u64(&c, 39, 0xf);
	vu_check(&c, 0, SLOTS, 0, 1);
	/* A running ring is not set up by mistake … */
	assert_int_not_equal(vu_state(&c, 8, 0, 32), 0);
	assert_int_not_equal(vu_state(&c, 10, 0, 0), 0);
	/* … but after status 0. */
	vu_set_u64(&c, 39, 0);
	vu_clear_ring(&c, 0, 0);
	vu_start_ring(&c, 0, 32, 0);
	vu_check(&c, 0, 10, 0, 1);
	vu_end(&c, &server);
}

static void test_reset_device_forgets_rings_and_keeps_memory(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES);
	struct vu_client c;
	(void)state;
	vu_begin(&c, &server, 2, SIZE);
	vu_write(&c, 1, SLOTS, 0, 1);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(vu_ask(&c, 34, NULL, 0, NULL, 0), 0);
		vu_clear_ring(&c, 0, 0);
		vu_submit(&c, 0, 0, VIRTIO_BLK_T_IN, 0);
		vu_kick(&c, 0);
		usleep(20000);
		assert_int_equal(vu_take(&c, 0), 0);
		vu_start_ring(&c, 0, SIZE, 0);
		vu_wait(&c, 0);
		vu_check(&c, 0, SLOTS, 0, 1);
	}
	vu_end(&c, &server);
}

static void test_features_changed_between_starts_take_effect(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES);
	struct vu_client c;
	(void)state;
	vu_begin(&c, &server, 1, SIZE);
	vu_write(&c, 0, SLOTS, 0, 1);
	uint64_t features = vu_get_u64(&c, 1);
	vu_start_ring(&c, 0, SIZE, vu_stop_ring(&c, 0));
	/* While a ring runs: it goes on with the new ones. Without EVENT_IDX every completion interrupts. */
	vu_set_u64(&c, 2, features & ~BIT(VIRTIO_RING_F_EVENT_IDX));
	vu_check(&c, 0, SLOTS, 0, 1);
	vu_set_u64(&c, 2, features);
	vu_check(&c, 0, SLOTS, 0, 1);
	vu_end(&c, &server);
}

/* ---- memory ---- */

static uint64_t region(struct vu_client *c, uint32_t request, uint64_t guest, uint64_t bytes, uint64_t user,
		       uint64_t offset, int fd)
{
	uint8_t message[40] = {0};
	store_le64(message + 8, guest);
	store_le64(message + 16, bytes);
	store_le64(message + 24, user);
	store_le64(message + 32, offset);
	return vu_ask(c, request, message, sizeof(message), &fd, fd >= 0);
}

static void test_memory_slots_work_without_a_table(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES);
	const uint64_t half = VU_MEMORY_BYTES / 2;
	struct vu_client c;
	(void)state;
	vu_open(&c, &server);
	assert_int_equal(region(&c, 37, VU_GUEST_BASE, half, VU_USER_BASE, 0, c.memory_fd), 0);
	assert_int_equal(region(&c, 37, VU_GUEST_BASE + half, half, VU_USER_BASE + half, half, c.memory_fd),
			 0);
	assert_int_not_equal(region(&c, 37, VU_GUEST_BASE, 4096, 0x1000, 0, c.memory_fd), 0);
	vu_start_ring(&c, 0, SIZE, 0);
	vu_write(&c, 0, SLOTS, 0, 1);
	/* A region goes and comes back while the ring runs; the ring is in the other one. */
	assert_int_equal(region(&c, 38, VU_GUEST_BASE + half, half, VU_USER_BASE + half, 0, -1), 0);
	vu_check(&c, 0, SLOTS, 0, 1);
	assert_int_not_equal(region(&c, 38, VU_GUEST_BASE + half, half, VU_USER_BASE + half, 0, -1), 0);
	assert_int_equal(region(&c, 37, VU_GUEST_BASE + half, half, VU_USER_BASE + half, half, c.memory_fd),
			 0);
	/* The ring's own memory goes: it stops, says so, and goes on when the memory is there again. */
	assert_int_equal(region(&c, 38, VU_GUEST_BASE, half, VU_USER_BASE, 0, c.memory_fd), 0);
	assert_true(vu_signalled(c.ring[0].err, VU_TIMEOUT_MS));
	vu_submit(&c, 0, 0, VIRTIO_BLK_T_IN, 0);
	vu_kick(&c, 0);
	usleep(20000);
	assert_int_equal(vu_take(&c, 0), 0);
	assert_int_equal(region(&c, 37, VU_GUEST_BASE, half, VU_USER_BASE, 0, c.memory_fd), 0);
	vu_wait(&c, 0);
	vu_check(&c, 0, SLOTS, 0, 1);
	vu_end(&c, &server);
}

static void test_memory_table_changes_under_running_rings(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES " " SLOW);
	struct vu_client c;
	uint8_t table[8 + 2 * 32] = {2};
	(void)state;
	vu_begin(&c, &server, 2, SIZE);
	int other = memfd_create("other", MFD_CLOEXEC);
	assert_int_equal(ftruncate(other, 8192), 0);
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned slot = 0; slot < SLOTS; slot++) {
			vu_pattern(vu_data(&c, 0, slot), round, slot);
			vu_submit(&c, 0, slot, VIRTIO_BLK_T_OUT, 8 * slot);
		}
		vu_kick(&c, 0);
		usleep(1000 * round);
		/* One region more, at another place each time; every second time the table of before. */
		if (round % 2 == 0) {
			const int fds[] = {c.memory_fd, other};
			store_le64(table + 8, VU_GUEST_BASE);
			store_le64(table + 16, VU_MEMORY_BYTES);
			store_le64(table + 24, VU_USER_BASE);
			store_le64(table + 40, 0x1000 * round);
			store_le64(table + 48, 8192);
			store_le64(table + 56, 0x1000);
			assert_int_equal(vu_ask(&c, 5, table, sizeof(table), fds, 2), 0);
		} else {
			vu_set_table(&c);
		}
		vu_wait(&c, 0);
		vu_check(&c, 1, SLOTS, 0, round);
	}
	close(other);
	vu_end(&c, &server);
}

/* A client that makes its memory shorter hurts itself only. */
static void test_memory_taken_away_does_not_end_the_server(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES);
	struct vu_client c, next;
	(void)state;
	vu_begin(&c, &server, 2, SIZE);
	vu_write(&c, 0, SLOTS, 0, 1);
	for (unsigned slot = 0; slot < SLOTS; slot++)
		vu_submit(&c, 0, slot, VIRTIO_BLK_T_IN, 0);
	assert_int_equal(ftruncate(c.memory_fd, 0), 0);
	vu_kick(&c, 0);
	vu_kick(&c, 1);
	assert_true(vu_hung_up(&c));
	vu_disconnect(&c);
	vu_begin(&next, &server, 4, SIZE);
	vu_check(&next, 0, SLOTS, 0, 1);
	assert_int_equal(ftruncate(c.memory_fd, VU_MEMORY_BYTES), 0);
	vu_destroy(&c);
	vu_end(&next, &server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_negotiation_offers_what_the_card_has_and_the_protocol_carries),
		cmocka_unit_test(test_features_not_offered_are_refused),
		cmocka_unit_test(test_config_is_the_cards_in_the_size_that_was_asked_for),
		cmocka_unit_test(test_config_cache_mode_is_kept_over_a_restart_of_the_rings),
		cmocka_unit_test(test_io_on_all_rings_reaches_the_disk),
		cmocka_unit_test(test_io_works_for_clients_of_other_habits),
		cmocka_unit_test(test_ring_enabled_before_all_else_starts_when_all_is_known),
		cmocka_unit_test(test_ring_with_requests_is_served_without_a_kick),
		cmocka_unit_test(test_ring_stopped_goes_on_where_it_was),
		cmocka_unit_test(test_ring_stopped_in_flight_is_drained_and_others_go_on),
		cmocka_unit_test(test_ring_stopped_on_a_card_without_queue_reset),
		cmocka_unit_test(test_ring_disabled_takes_nothing_until_enabled),
		cmocka_unit_test(test_status_zero_leaves_rings_until_they_are_stopped_or_set_up),
		cmocka_unit_test(test_reset_device_forgets_rings_and_keeps_memory),
		cmocka_unit_test(test_features_changed_between_starts_take_effect),
		cmocka_unit_test(test_memory_slots_work_without_a_table),
		cmocka_unit_test(test_memory_table_changes_under_running_rings),
		cmocka_unit_test(test_memory_taken_away_does_not_end_the_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
