/* What a vhost-user session does between client and card, the card being a stub. (Everything that needs rings that really run
 * is in tests/e2e/vhost_user_test.c.) */
#include "tests/check.h"
#include "tests/unit/host-sim/serve/vhost_user_stub.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
	struct stub stub;
	struct vhost_user_card card;
	struct vhost_user_session session;
	struct vhost_user_reply reply;
	int backend; /* the client's end */
	int memory;
};

static enum vhost_user_outcome request(struct fixture *f, uint32_t number, const void *payload,
				       uint32_t bytes, int fd)
{
	struct vhost_user_message message = {.header = {number, 0x1, bytes}};
	struct channel_fds fds = {.fd = {fd}, .count = fd >= 0};
	if (bytes != 0)
		memcpy(message.payload.bytes, payload, bytes);
	enum vhost_user_outcome outcome = vhost_user_session_handle(&f->session, &message, &fds, &f->reply);
	channel_close_fds(&fds);
	return outcome;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const uint64_t protocol = 0x1b229, features = STUB_FEATURES | 1 << 30;
	int pair[2];
	stub_create(&f->stub, &f->card);
	vhost_user_session_begin(&f->session, &f->card);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	f->backend = pair[0];
	f->memory = memfd_create("session", MFD_CLOEXEC);
	assert_int_equal(ftruncate(f->memory, 1 << 16), 0);
	assert_int_equal(request(f, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol, 8, -1), VHOST_USER_SILENT);
	assert_int_equal(request(f, VHOST_USER_SET_FEATURES, &features, 8, -1), VHOST_USER_SILENT);
	assert_int_equal(request(f, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, pair[1]), VHOST_USER_SILENT);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	vhost_user_session_end(&f->session);
	assert_int_equal(f->stub.card.guest.memory.regions, 0);
	free(f->stub.card.guest.memory.region);
	if (f->backend >= 0)
		close(f->backend);
	close(f->memory);
	free(f);
	return 0;
}

static void set_table(struct fixture *f, uint64_t guest)
{
	struct vhost_user_table table = {.count = 1, .region = {{guest, 1 << 16, 0x10000, 0}}};
	assert_int_equal(request(f, VHOST_USER_SET_MEM_TABLE, &table, 8 + 32, dup(f->memory)),
			 VHOST_USER_SILENT);
}

static void start_ring(struct fixture *f)
{
	const struct vhost_user_vring_state size = {0, 128}, on = {0, 1};
	const struct vhost_user_vring_addr addr = {.desc = 0x10000, .used = 0x12000, .avail = 0x11000};
	const uint64_t ring = 0;
	set_table(f, 0);
	request(f, VHOST_USER_SET_VRING_NUM, &size, sizeof(size), -1);
	request(f, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	request(f, VHOST_USER_SET_VRING_KICK, &ring, sizeof(ring), eventfd(0, 0));
	request(f, VHOST_USER_SET_VRING_ENABLE, &on, sizeof(on), -1);
	vhost_user_session_settle(&f->session);
	assert_true(f->card.ring[0].on_card);
}

static void get_config(struct fixture *f)
{
	const struct vhost_user_config config = {.size = 57};
	assert_int_equal(request(f, VHOST_USER_GET_CONFIG, &config, 69, -1), VHOST_USER_ANSWER);
}

/* BACKEND_CONFIG_CHANGE_MSG: number 2, version 1, no need-reply, no payload. */
static bool told_of_change(const struct fixture *f)
{
	static const uint8_t message[12] = {2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0};
	uint8_t got[13];
	ssize_t bytes = read(f->backend, got, sizeof(got));
	if (bytes <= 0)
		return false;
	assert_int_equal(bytes, 12);
	assert_memory_equal(got, message, 12);
	return true;
}

static void test_config_change_is_told_on_the_backend_channel(void **state)
{
	struct fixture *f = *state;
	assert_true(vhost_user_session_config_changed(&f->session));
	assert_true(told_of_change(f));
	/* A device that needs a reset has not changed its configuration. */
	f->stub.broken = true;
	assert_true(vhost_user_session_config_changed(&f->session));
	assert_false(told_of_change(f));
}

static void test_config_change_is_not_waited_for(void **state)
{
	struct fixture *f = *state;
	unsigned lines = f->stub.lines;
	/* The client does not read. */
	for (unsigned i = 0; i < 100000 && f->stub.lines == lines; i++)
		assert_true(vhost_user_session_config_changed(&f->session));
	assert_int_not_equal(f->stub.lines, lines);
	/* Or is gone. */
	close(f->backend);
	f->backend = -1;
	lines = f->stub.lines;
	assert_true(vhost_user_session_config_changed(&f->session));
	assert_int_equal(f->stub.lines, lines + 1);
}

static void test_capacity_changed_while_no_ring_ran_is_told_at_the_start(void **state)
{
	struct fixture *f = *state;
	get_config(f);
	f->stub.capacity = 2000;
	start_ring(f);
	assert_true(told_of_change(f));
}

static void test_capacity_unchanged_at_the_start_is_no_news(void **state)
{
	struct fixture *f = *state;
	get_config(f);
	start_ring(f);
	assert_false(told_of_change(f));
}

static void test_table_that_is_the_same_does_not_stop_the_rings(void **state)
{
	struct fixture *f = *state;
	start_ring(f);
	unsigned parks = f->stub.parks;
	set_table(f, 0);
	assert_int_equal(f->stub.parks, parks);
	set_table(f, 0x100000);
	assert_int_equal(f->stub.parks, parks + 1);
	vhost_user_session_settle(&f->session);
	assert_true(f->card.ring[0].on_card);
}

/* The server must not block in read or write of a client's descriptor. */
static void test_event_descriptors_are_made_non_blocking(void **state)
{
	struct fixture *f = *state;
	static const uint32_t requests[] = {VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_CALL,
					    VHOST_USER_SET_VRING_ERR};
	const uint64_t ring = 1;
	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
		int fd = eventfd(0, EFD_CLOEXEC), copy = dup(fd);
		assert_int_equal(request(f, requests[i], &ring, sizeof(ring), fd), VHOST_USER_SILENT);
		assert_true(fcntl(copy, F_GETFL) & O_NONBLOCK);
		close(copy);
		assert_int_equal(request(f, requests[i], &ring, sizeof(ring), dup(f->memory)),
				 VHOST_USER_HANG_UP);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_config_change_is_told_on_the_backend_channel, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_config_change_is_not_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_capacity_changed_while_no_ring_ran_is_told_at_the_start,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_capacity_unchanged_at_the_start_is_no_news, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_table_that_is_the_same_does_not_stop_the_rings, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_event_descriptors_are_made_non_blocking, set_up,
						tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
