/* vhost-user clients that vanish, send nonsense, or have rings of nonsense: answered or disconnected, nothing left behind. */
#include "tests/e2e/vhost_user_client.h"

#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- clients that vanish ---- */

typedef void step_fn(struct vu_client *c);

static void step_nothing(struct vu_client *c)
{
	(void)c;
}
static void step_negotiate(struct vu_client *c)
{
	vu_negotiate(c, 0, 0);
}
static void step_backend(struct vu_client *c)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(vu_ask(c, 21, NULL, 0, &pair[1], 1), 0);
	close(pair[1]);
	c->backend = pair[0];
}
static void step_inflight(struct vu_client *c)
{
	vu_get_inflight(c, 4, SIZE);
	vu_set_inflight(c);
}
static void step_table(struct vu_client *c)
{
	vu_set_table(c);
}
static void step_rings(struct vu_client *c)
{
	for (unsigned i = 0; i < 4; i++)
		vu_start_ring(c, i, SIZE, 0);
}
static void step_submit(struct vu_client *c)
{
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned slot = 0; slot < SLOTS; slot++)
			vu_submit(c, i, slot, VIRTIO_BLK_T_IN, 8 * slot);
		vu_kick(c, i);
	}
}
static void step_let_it_run(struct vu_client *c)
{
	(void)c;
	usleep(5000);
}
static void step_stop_unanswered(struct vu_client *c)
{
	const uint8_t stop[8] = {0};
	vu_send(c, 11, 0x1, stop, sizeof(stop), NULL, 0);
}
static void step_half_header(struct vu_client *c)
{
	vu_send_raw(c, "\1\0\0\0\1\0", 6, NULL, 0);
}
static void step_half_payload(struct vu_client *c)
{
	vu_send_raw(c, "\5\0\0\0\1\0\0\0\x28\0\0\0\1\0\0\0\0\0", 18, &c->memory_fd, 1);
}

static void test_client_that_vanishes_in_any_state_leaves_nothing(void **state)
{
	static step_fn *const steps[] = {step_nothing,  step_negotiate,  step_backend,
					 step_inflight, step_table,      step_rings,
					 step_submit,   step_let_it_run, step_stop_unanswered};
	static step_fn *const last[] = {step_nothing, step_half_header, step_half_payload};
	struct served server = vu_serve(FOUR_QUEUES " " SLOW);
	struct vu_client c;
	(void)state;
	unsigned fds = vu_fds_with_client(&server);
	for (unsigned stop = 0; stop < ARRAY_SIZE(steps); stop++)
		for (unsigned how = 0; how < ARRAY_SIZE(last); how++) {
			vu_create(&c);
			vu_connect(&c, &server);
			for (unsigned i = 0; i <= stop; i++)
				steps[i](&c);
			last[how](&c);
			vu_destroy(&c);
			assert_int_equal(vu_fds_with_client(&server), fds);
		}
	vu_begin(&c, &server, 4, SIZE);
	for (unsigned i = 0; i < 4; i++)
		vu_write(&c, i, SLOTS, 0, i);
	vu_end(&c, &server);
}

/* SIGTERM with a client connected and requests in flight: an orderly end (and no leaks: the sanitizer's build tells). */
static void test_server_ends_orderly_in_any_state_of_a_client(void **state)
{
	static step_fn *const steps[] = {step_nothing,  step_negotiate,  step_backend,
					 step_inflight, step_table,      step_rings,
					 step_submit,   step_let_it_run, step_stop_unanswered};
	(void)state;
	for (unsigned stop = 0; stop < ARRAY_SIZE(steps); stop++) {
		struct served server = vu_serve(FOUR_QUEUES " " SLOW);
		struct vu_client c;
		vu_create(&c);
		vu_connect(&c, &server);
		for (unsigned i = 0; i <= stop; i++)
			steps[i](&c);
		free(served_end(&server));
		vu_destroy(&c);
	}
}

/* ---- messages that are not right ---- */

enum answer { HANGS_UP, REFUSES, IGNORES };

static void test_malformed_requests_end_the_connection_or_are_refused(void **state)
{
	static const struct {
		const char *what;
		uint32_t request, flags, bytes;
		uint8_t payload[16];
		unsigned fds;
		enum answer answer;
	} cases[] = {
		{"no version", 1, 0x0, 0, {0}, 0, HANGS_UP},
		{"a reply", 1, 0x5, 0, {0}, 0, HANGS_UP},
		{"a payload where none is", 1, 0x1, 8, {0}, 0, HANGS_UP},
		{"no payload", 2, 0x1, 0, {0}, 0, HANGS_UP},
		{"descriptors where none are", 2, 0x1, 8, {0}, 1, HANGS_UP},
		{"a table without its descriptor", 5, 0x9, 8, {1}, 0, HANGS_UP},
		{"a table of 9 regions", 5, 0x9, 8, {9}, 8, HANGS_UP},
		{"more descriptors than regions", 5, 0x9, 8, {0}, 3, HANGS_UP},
		{"too many descriptors", 1, 0x1, 0, {0}, 64, HANGS_UP},
		{"no ring 4", 8, 0x9, 8, {4, 0, 0, 0, 64}, 0, REFUSES},
		{"no ring 255", 12, 0x9, 8, {255}, 1, REFUSES},
		{"a ring of 0", 8, 0x9, 8, {0}, 0, REFUSES},
		{"a ring of 3", 8, 0x9, 8, {0, 0, 0, 0, 3}, 0, REFUSES},
		{"a ring of 65536", 8, 0x9, 8, {0, 0, 0, 0, 0, 0, 1}, 0, REFUSES},
		{"more than device.queue_size", 8, 0x9, 8, {0, 0, 0, 0, 0, 4}, 0, REFUSES},
		{"a base of 65536", 10, 0x9, 8, {0, 0, 0, 0, 0, 0, 1}, 0, REFUSES},
		{"the base of no ring", 11, 0x1, 8, {9}, 0, HANGS_UP},
		{"kick: no eventfd", 12, 0x9, 8, {0}, 1, REFUSES},
		{"call: no eventfd", 13, 0x9, 8, {0}, 1, REFUSES},
		{"polling", 12, 0x9, 8, {0, 1}, 0, REFUSES},
		{"call: none with a descriptor", 13, 0x1, 8, {0, 1}, 1, HANGS_UP},
		{"enable 2", 18, 0x9, 8, {0, 0, 0, 0, 2}, 0, REFUSES},
		{"status 256", 39, 0x9, 8, {0, 1}, 0, REFUSES},
		{"configuration beyond its end", 24, 0x1, 13, {0, 1, 0, 0, 1}, 0, HANGS_UP},
		{"a region of nothing", 37, 0x9, 40, {0}, 1, REFUSES},
		{"a region that is not there", 38, 0x9, 40, {0}, 0, REFUSES},
		{"a log", 6, 0x9, 16, {0}, 1, REFUSES},
		{"an IOTLB entry", 22, 0x9, 32, {0}, 0, REFUSES},
		{"in-band kick", 35, 0x9, 8, {0}, 0, REFUSES},
		{"request 0", 0, 0x9, 0, {0}, 0, REFUSES},
		{"request 1000 with descriptors", 1000, 0x9, 100, {0}, 5, REFUSES},
		{"request 1000, not acknowledged", 1000, 0x1, 100, {0}, 5, IGNORES},
		{"4097 bytes", 1000, 0x1, 4097, {0}, 0, HANGS_UP},
		{"4 GiB", 5, 0x1, UINT32_MAX, {0}, 0, HANGS_UP},
	};
	struct served server = vu_serve(FOUR_QUEUES);
	struct vu_client c;
	unsigned fds = vu_fds_with_client(&server);
	int files[64];
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(files); i++)
		files[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t message[12 + 4096] = {0}, answer[8];
		printf("%s\n", cases[i].what);
		vu_open(&c, &server);
		store_le32(message, cases[i].request);
		store_le32(message + 4, cases[i].flags);
		store_le32(message + 8, cases[i].bytes);
		memcpy(message + 12, cases[i].payload, sizeof(cases[i].payload));
		vu_send_raw(&c, message, 12 + min_u32(cases[i].bytes, 4096), files, cases[i].fds);
		if (cases[i].answer == HANGS_UP)
			assert_true(vu_hung_up(&c));
		if (cases[i].answer == REFUSES) {
			vu_reply(&c, cases[i].request, answer, sizeof(answer), NULL);
			assert_int_not_equal(load_le64(answer), 0);
		}
		if (cases[i].answer != HANGS_UP) /* and goes on */
			assert_int_equal(vu_get_u64(&c, 17), 4);
		vu_destroy(&c);
		assert_int_equal(vu_fds_with_client(&server), fds);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(files); i++)
		close(files[i]);
	char *log = served_end(&server);
	/* One line each, and it names the request. */
	unsigned lines = 0;
	for (const char *at = log; (at = strstr(at, "vhost-user: ")); at++)
		lines++;
	if (lines != ARRAY_SIZE(cases))
		printf("%s\n", log);
	assert_int_equal(lines, ARRAY_SIZE(cases));
	assert_non_null(strstr(log, "SET_VRING_NUM: there is no ring 4"));
	assert_non_null(strstr(log, "device.queue_size"));
	free(log);
}

static void test_requests_without_their_protocol_feature_are_refused(void **state)
{
	static const struct {
		uint32_t request, bytes;
		unsigned fds;
	} cases[] = {{21, 0, 1}, {25, 13, 0}, {32, 24, 1}, {34, 0, 0}, {37, 40, 1}, {38, 40, 0}, {39, 8, 0}};
	struct served server = vu_serve(FOUR_QUEUES);
	struct vu_client c;
	const uint8_t payload[64] = {0};
	(void)state;
	vu_create(&c);
	vu_connect(&c, &server);
	vu_negotiate(&c, 0, UINT64_MAX & ~BIT(3));
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_not_equal(
			vu_ask(&c, cases[i].request, payload, cases[i].bytes, &c.memory_fd, cases[i].fds), 0);
	vu_send(&c, 24, 0x1, payload, 12, NULL, 0);
	assert_true(vu_hung_up(&c));
	vu_end(&c, &server);
}

/* Bytes as they come: whatever they are, the next client is served. */
static void test_random_messages_leave_the_server_whole(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES);
	struct rng rng;
	struct vu_client c;
	(void)state;
	rng_seed(&rng, test_seed(4), 0);
	for (unsigned round = 0; round < 150; round++) {
		vu_create(&c);
		vu_connect(&c, &server);
		if (round % 3 != 0) {
			vu_negotiate(&c, 0, BIT(3));
			vu_set_table(&c);
		}
		if (round % 3 == 2)
			for (unsigned i = 0; i < 4; i++)
				vu_start_ring(&c, i, SIZE, 0);
		for (unsigned i = 0; i < 20; i++) {
			uint8_t message[12 + 64];
			unsigned bytes = (unsigned)rng_below(&rng, 8) * 8;
			for (unsigned j = 0; j < sizeof(message); j++)
				message[j] = (uint8_t)(rng_u64(&rng) >> rng_below(&rng, 9));
			store_le32(message, (uint32_t)rng_below(&rng, 41));
			store_le32(message + 4, 1);
			store_le32(message + 8, bytes);
			if (rng_below(&rng, 2)) /* small numbers make sense more often */
				memset(message + 13, 0, 3);
			const int fds[] = {c.memory_fd, c.ring[0].kick};
			vu_send_raw(&c, message, 12 + bytes, fds + rng_below(&rng, 2),
				    (unsigned)rng_below(&rng, 2));
		}
		vu_destroy(&c);
	}
	vu_end_with_another(&server);
}

/* ---- rings that are not right ---- */

static void expect_refused_addresses(struct vu_client *c, uint64_t desc, uint64_t used, uint64_t avail)
{
	uint8_t addr[40] = {0};
	vu_start_ring(c, 0, SIZE, 0);
	vu_stop_ring(c, 0);
	while (vu_signalled(c->ring[0].err, 0))
		;
	store_le64(addr + 8, desc);
	store_le64(addr + 16, used);
	store_le64(addr + 24, avail);
	uint64_t refused = vu_ask(c, 9, addr, sizeof(addr), NULL, 0);
	uint8_t kick[8] = {0};
	assert_int_equal(vu_ask(c, 12, kick, sizeof(kick), &c->ring[0].kick, 1), 0);
	if (refused == 0) /* found out when it starts */
		assert_true(vu_signalled(c->ring[0].err, VU_TIMEOUT_MS));
	vu_stop_ring(c, 0);
}

static void test_ring_addresses_outside_memory_do_not_run(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES);
	const uint64_t good = VU_USER_BASE, past = VU_USER_BASE + VU_MEMORY_BYTES;
	struct vu_client c;
	(void)state;
	vu_begin(&c, &server, 0, SIZE);
	expect_refused_addresses(&c, 0, good + 0x3000, good + 0x2000);
	expect_refused_addresses(&c, past, good + 0x3000, good + 0x2000);
	expect_refused_addresses(&c, past - 16 * SIZE + 16, good + 0x3000, good + 0x2000);
	expect_refused_addresses(&c, good, past - 8 * SIZE, good + 0x2000);
	expect_refused_addresses(&c, good, good + 0x3000, past - 2 * SIZE - 4);
	expect_refused_addresses(&c, UINT64_MAX & ~15ull, UINT64_MAX & ~15ull, UINT64_MAX & ~15ull);
	expect_refused_addresses(&c, VU_GUEST_BASE, VU_GUEST_BASE + 0x3000, VU_GUEST_BASE + 0x2000);
	expect_refused_addresses(&c, good + 8, good + 0x3000, good + 0x2000);
	expect_refused_addresses(&c, good, good + 0x3002, good + 0x2000);
	expect_refused_addresses(&c, good, good + 0x3000, good + 0x2001);
	/* The last places where they do fit. */
	vu_start_ring(&c, 0, SIZE, 0);
	vu_write(&c, 0, SLOTS, 0, 1);
	vu_end(&c, &server);
}

static void poison_index(struct vu_client *c)
{
	store_le16(c->memory + c->ring[0].at + 0x2002, (uint16_t)(c->ring[0].avail_next + SIZE + 1));
}
static void poison_head(struct vu_client *c)
{
	store_le16(c->memory + c->ring[0].at + 0x2004 + 2u * (c->ring[0].avail_next % SIZE), 9999);
	store_le16(c->memory + c->ring[0].at + 0x2002, (uint16_t)(c->ring[0].avail_next + 1));
}
static void poison_loop(struct vu_client *c)
{
	uint8_t *desc = c->memory + c->ring[0].at;
	store_le64(desc, VU_GUEST_BASE);
	store_le32(desc + 8, 16);
	store_le16(desc + 12, 1);
	store_le16(desc + 14, 0);
	poison_head(c);
	store_le16(c->memory + c->ring[0].at + 0x2004 + 2u * (c->ring[0].avail_next % SIZE), 0);
}

/* The device asks for a reset; the client is told by the error descriptor and the status, can stop the ring, start over, and all
 * is well. */
static void test_ring_that_makes_no_sense_needs_a_reset_and_recovers(void **state)
{
	static step_fn *const poisons[] = {poison_index, poison_head, poison_loop};
	struct served server = vu_serve(FOUR_QUEUES);
	struct vu_client c;
	(void)state;
	vu_begin(&c, &server, 2, SIZE);
	vu_set_u64(&c, 39, 0xf);
	for (unsigned i = 0; i < ARRAY_SIZE(poisons); i++) {
		vu_write(&c, 0, SLOTS, 0, i);
		poisons[i](&c);
		vu_kick(&c, 0);
		assert_true(vu_signalled(c.ring[0].err, VU_TIMEOUT_MS));
		assert_true(vu_get_u64(&c, 40) & VIRTIO_CONFIG_S_NEEDS_RESET);
		vu_set_u64(&c, 39, 0);
		for (unsigned ring = 0; ring < 2; ring++) {
			vu_stop_ring(&c, ring);
			vu_clear_ring(&c, ring, 0);
			while (vu_signalled(c.ring[ring].err, 0))
				;
			vu_start_ring(&c, ring, SIZE, 0);
		}
		vu_set_u64(&c, 39, 0xf);
		assert_int_equal(vu_get_u64(&c, 40), 0xf);
		vu_check(&c, 0, SLOTS, 0, i);
		vu_check(&c, 1, SLOTS, 0, i);
	}
	vu_end(&c, &server);
}

/* Rings full of random bytes, rewritten while the card looks. */
static void test_ring_of_random_bytes_harms_nobody(void **state)
{
	struct served server = vu_serve(FOUR_QUEUES);
	struct rng rng;
	struct vu_client c;
	(void)state;
	rng_seed(&rng, test_seed(5), 0);
	for (unsigned round = 0; round < 20; round++) {
		vu_begin(&c, &server, 1, SIZE);
		for (unsigned i = 0; i < 40; i++) {
			for (unsigned j = 0; j < 300; j++)
				c.memory[rng_below(&rng, 0x4000)] = (uint8_t)rng_u64(&rng);
			/* An index the card goes along with. */
			store_le16(c.memory + 0x2002, (uint16_t)(i * rng_below(&rng, 4)));
			vu_kick(&c, 0);
			usleep(200);
		}
		if (round % 2)
			vu_stop_ring(&c, 0);
		vu_destroy(&c);
	}
	vu_end_with_another(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_that_vanishes_in_any_state_leaves_nothing),
		cmocka_unit_test(test_server_ends_orderly_in_any_state_of_a_client),
		cmocka_unit_test(test_malformed_requests_end_the_connection_or_are_refused),
		cmocka_unit_test(test_requests_without_their_protocol_feature_are_refused),
		cmocka_unit_test(test_random_messages_leave_the_server_whole),
		cmocka_unit_test(test_ring_addresses_outside_memory_do_not_run),
		cmocka_unit_test(test_ring_that_makes_no_sense_needs_a_reset_and_recovers),
		cmocka_unit_test(test_ring_of_random_bytes_harms_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
