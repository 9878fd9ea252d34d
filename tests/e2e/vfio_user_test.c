/* `kickstand serve --vfio-user` by the message: protocol, memory, interrupts, resets, and clients that misbehave. */
#include "tests/e2e/vfio_user_client.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define IMAGE_BYTES (UINT64_C(1) << 20)

static struct served serve_image(const char **image, const char *more)
{
	char options[400];
	*image = program_image("disk.img", IMAGE_BYTES, 7);
	snprintf(options, sizeof(options), "--disk %s %s", *image, more);
	return vf_serve(options);
}

/* The server still serves: a client comes, and reads the vendor. */
static void check_alive(const struct served *server)
{
	vf_fds_with_client(server);
}

static unsigned count_lines(const char *text, const char *part)
{
	unsigned lines = 0;
	for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
		lines++;
	return lines;
}

static void end_server(struct served *server)
{
	char *err = served_end(server);
	if (strstr(err, "checker:") || strstr(err, "no memory there"))
		fail_msg("%s", err);
	free(err);
}

static void end(struct vf_client *c, struct served *server)
{
	vf_close(c);
	end_server(server);
}

/* ---- 1: framing ---- */

static void test_framing_message_in_pieces_is_answered(void **state)
{
	(void)state;
	struct served server = vf_serve("");
	struct vf_client c;
	vf_open(&c, &server);
	const uint8_t message[32] = {7, 0, 4, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16};
	vf_send_bytes(&c, message, 5, NULL, 0);
	assert_true(vf_is_silent(&c));
	vf_send_bytes(&c, message + 5, 20, NULL, 0);
	assert_true(vf_is_silent(&c));
	vf_send_bytes(&c, message + 25, 7, NULL, 0);
	assert_true(vf_receive(&c));
	assert_int_equal(c.last.id, 7);
	assert_int_equal(c.last.flags, VF_REPLY);
	assert_int_equal(c.last.size, 32);
	end(&c, &server);
}

static void test_framing_errors_end_the_connection_with_one_line(void **state)
{
	(void)state;
	static const struct {
		uint16_t command;
		uint32_t size, flags;
	} cases[] = {
		{VF_GET_INFO, 15, 0},          /* shorter than a header */
		{VF_GET_INFO, UINT32_MAX, 0},  /* longer than anything */
		{VF_REGION_WRITE, 2 << 20, 0}, /* longer than a transfer may be */
		{VF_GET_INFO, 32, 1},          /* a reply to nothing */
		{VF_GET_INFO, 32, 7},          /* no type */
	};
	struct served server = vf_serve("");
	unsigned fds = vf_fds_with_client(&server);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint8_t payload[16] = {16};
		struct vf_client c;
		vf_open(&c, &server);
		vf_send_raw(&c, 1, cases[i].command, cases[i].size, cases[i].flags, payload, 16, NULL, 0);
		assert_true(vf_is_closed(&c));
		vf_close(&c);
	}
	assert_int_equal(vf_fds_with_client(&server), fds);
	char *err = served_end(&server);
	assert_int_equal(count_lines(err, "client disconnected:"), sizeof(cases) / sizeof(cases[0]));
	free(err);
}

static void test_framing_bad_commands_are_answered_and_the_connection_goes_on(void **state)
{
	(void)state;
	static const struct {
		uint16_t command;
		uint32_t payload;
		uint32_t error;
	} cases[] = {
		{99, 0, ENOSYS},           {14, 8, ENOSYS},
		{VF_DMA_READ, 16, ENOSYS}, {VF_DMA_WRITE, 24, ENOSYS},
		{16, 8, EINVAL},           {17, 8, EINVAL},
		{18, 8, EINVAL},           {VF_GET_INFO, 8, EINVAL},
		{VF_RESET, 4, EINVAL},     {VF_DMA_MAP, 16, EINVAL},
		{VF_SET_IRQS, 12, EINVAL}, {VF_REGION_READ, 8, EINVAL},
	};
	struct served server = vf_serve("");
	struct vf_client c;
	const uint8_t payload[64] = {0};
	vf_open(&c, &server);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(vf_call(&c, cases[i].command, payload, cases[i].payload, NULL, 0),
				 cases[i].error);
		/* Without a reply wanted there is none, not even for an error. */
		vf_send_raw(&c, 99, cases[i].command, 16 + cases[i].payload, VF_NO_REPLY, payload,
			    cases[i].payload, NULL, 0);
	}
	assert_int_equal(vf_read(&c, VF_CONFIG, 0, 2), 0x1af4);
	end(&c, &server);
}

/* ---- 2: VERSION ---- */

#define QEMU_LIKE "\0\0\0\0{\"capabilities\":{\"max_msg_fds\":16,\"write_multiple\":true}}"

static void test_version_answers_suit_each_client(void **state)
{
	(void)state;
	static const struct {
		const char *payload;
		size_t bytes;
		uint16_t minor;
	} cases[] = {
		{QEMU_LIKE, sizeof(QEMU_LIKE), 0},
		{"\0\0\1\0", 4, 1},
		{"\0\0\1\0{}", 7, 1},
		{"\0\0\2\0{}", 7, 1},
	};
	struct served server = vf_serve("");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vf_client c;
		vf_connect(&c, &server);
		assert_int_equal(vf_call(&c, VF_VERSION, cases[i].payload, cases[i].bytes, NULL, 0), 0);
		assert_int_equal(load_le16(c.last.payload), 0);
		assert_int_equal(load_le16(c.last.payload + 2), cases[i].minor);
		assert_true(c.last.size <= 16 + 4 + 194);
		assert_int_equal(c.last.payload[c.last.size - 17], 0);
		json_t *root = json_loads((const char *)c.last.payload + 4, 0, NULL);
		assert_true(json_is_object(json_object_get(root, "capabilities")));
		assert_int_equal(json_at(root, "capabilities/max_msg_fds"), 16);
		assert_int_equal(json_object_get(json_object_get(root, "capabilities"), "write_multiple") !=
					 NULL,
				 i == 0);
		json_decref(root);
		/* A second one is an error, and the connection stays. */
		assert_int_equal(vf_call(&c, VF_VERSION, cases[i].payload, cases[i].bytes, NULL, 0), EINVAL);
		assert_int_equal(vf_read(&c, VF_CONFIG, 0, 2), 0x1af4);
		vf_close(&c);
	}
	end_server(&server);
}

static void test_version_that_is_wrong_ends_the_connection(void **state)
{
	(void)state;
	static const struct {
		uint16_t command;
		const char *payload;
		size_t bytes;
	} cases[] = {
		{VF_VERSION, "\1\0\0\0{}", 7}, /* major */
		{VF_VERSION, "\0\0\0\0{}", 6}, /* no NUL */
		{VF_VERSION, "\0\0\0\0nonsense", 13},
		{VF_VERSION, "\0\0", 2},
		{VF_GET_INFO, "0123456789abcdef", 16}, /* not first */
		{VF_RESET, "", 0},
	};
	struct served server = vf_serve("");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vf_client c;
		vf_connect(&c, &server);
		assert_true(vf_call(&c, cases[i].command, cases[i].payload, cases[i].bytes, NULL, 0) != 0);
		assert_true(vf_is_closed(&c));
		vf_close(&c);
	}
	check_alive(&server);
	end_server(&server);
}

/* ---- 3: memory ---- */

static int new_memfd(uint64_t bytes)
{
	int fd = memfd_create("vf_client", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

#define END UINT64_C(0) /* 2^64 */

static void test_maps_are_checked_and_taken_away_again(void **state)
{
	(void)state;
	const uint64_t mib = 1 << 20;
	struct served server = vf_serve("");
	struct vf_client c;
	vf_open(&c, &server);
	unsigned fds = served_fds(&server);
	int fd = new_memfd(4 * mib), closed_for_writing = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(vf_map(&c, 0, mib, fd, 0, 3), 0);
	assert_int_equal(vf_map(&c, mib, mib, fd, mib, 1), 0);
	assert_int_equal(vf_map(&c, 16 * mib, mib, -1, 0, 1), 0); /* a firmware's window: by messages */
	assert_true(served_mappings(&server) >= 1);
	/* What cannot be. */
	assert_int_equal(vf_map(&c, 32 * mib, mib, fd, 3 * mib + 4096, 3), EINVAL);
	assert_int_equal(vf_map(&c, 32 * mib, mib, fd, UINT64_MAX - 4095, 3), EINVAL);
	assert_int_equal(vf_map(&c, 32 * mib, 8 * mib, fd, 0, 3), EINVAL);
	assert_int_equal(vf_map(&c, 32 * mib, 0, fd, 0, 3), EINVAL);
	assert_int_equal(vf_map(&c, 32 * mib + 1, 4096, fd, 0, 3), EINVAL);
	assert_int_equal(vf_map(&c, UINT64_MAX - 4095, 8192, fd, 0, 3), EINVAL);
	assert_int_equal(vf_map(&c, UINT64_MAX - 4095, 4096, fd, 0, 3), EINVAL); /* the last MiB is taken */
	assert_int_equal(vf_map(&c, END - mib, 4096, fd, 0, 3), EINVAL);
	assert_int_equal(vf_map(&c, END - mib - 4096, 8192, fd, 0, 3), EINVAL);
	assert_int_equal(vf_map(&c, 32 * mib, 4096, fd, 0, 0), EINVAL);
	assert_int_equal(vf_map(&c, 32 * mib, 4096, fd, 0, 8 | 3), EINVAL);
	assert_true(vf_map(&c, 32 * mib, 4096, pipes[0], 0, 3) != 0);
	assert_true(vf_map(&c, 32 * mib, 4096, closed_for_writing, 0, 3) != 0);
	/* Overlaps; the same again is nothing new. */
	assert_int_equal(vf_map(&c, 0, mib, fd, 0, 3), 0);
	assert_int_equal(vf_map(&c, 0, mib, fd, mib, 3), EEXIST);
	assert_int_equal(vf_map(&c, 0, mib, fd, 0, 1), EEXIST);
	assert_int_equal(vf_map(&c, mib - 4096, 4096, fd, 0, 3), EEXIST);
	assert_int_equal(vf_map(&c, mib - 4096, 8192, -1, 0, 3), EEXIST);
	assert_int_equal(vf_map(&c, 0, 64 * mib, -1, 0, 3), EEXIST);
	/* Unmapping: whole maps, any number of them, up to the end of everything. */
	assert_int_equal(vf_unmap(&c, 4096, mib, 0), EINVAL);
	assert_int_equal(vf_unmap(&c, 0, mib + 4096, 0), EINVAL);
	assert_int_equal(vf_unmap(&c, 0, 0, 0), EINVAL);
	assert_int_equal(vf_unmap(&c, 0, mib, 1), EINVAL);
	assert_int_equal(vf_unmap(&c, UINT64_C(1) << 40, mib, 0), 0); /* nothing there */
	assert_int_equal(vf_unmap(&c, 0, 2 * mib, 0), 0);
	assert_int_equal(served_mappings(&server), 0);
	assert_int_equal(vf_map(&c, 0, mib, fd, 0, 3), 0);
	assert_int_equal(vf_map(&c, END - mib - 4096, 4096, fd, 0, 3), 0);
	assert_int_equal(vf_unmap(&c, 0xfef00000, 0xffffffff01100000, 0), 0);
	assert_int_equal(vf_map(&c, END - mib - 4096, 4096, fd, 4096, 3), 0);
	assert_int_equal(vf_unmap(&c, 0, 0, 2), 0);
	assert_int_equal(vf_unmap(&c, 0, 4096, 2), EINVAL);
	assert_int_equal(served_mappings(&server), 0);
	served_expect_fds(&server, fds);
	close(fd);
	close(closed_for_writing);
	close(pipes[0]);
	close(pipes[1]);
	end(&c, &server);
}

/* A guest that is no PC has RAM where a PC's interrupts go. */
static void test_maps_over_the_interrupts_of_a_pc_are_memory(void **state)
{
	(void)state;
	const char *image;
	struct served server = serve_image(&image, "");
	struct vf_client c;
	uint8_t expected[8192];
	vf_begin(&c, &server, VF_SHARED);
	vf_bind_call(&c);
	assert_int_equal(vf_map(&c, 0xfec00000, 0x300000, c.memory_fd, 0, 3), 0);
	vf_start(&c, 1);
	/* 0xfedff000 to 0xfee01000 */
	const struct vf_piece piece = {0xfec00000 + 0x1ff000, sizeof(expected)};
	vf_submit(&c, false, 8, &piece, 1);
	assert_true(vf_wait(c.call, 5000) != 0);
	assert_int_equal(vf_used(&c), 1);
	assert_int_equal(vf_status(&c, 0), 0);
	int fd = open(image, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, expected, sizeof(expected), 4096), sizeof(expected));
	close(fd);
	assert_memory_equal(c.memory + 0x1ff000, expected, sizeof(expected));
	end(&c, &server);
}

static void test_maps_too_many_are_refused(void **state)
{
	(void)state;
	struct served server = vf_serve("");
	struct vf_client c;
	vf_open(&c, &server);
	int fd = new_memfd(4096);
	uint32_t error = 0;
	uint64_t maps = 0;
	for (; maps < 20000 && !error; maps++)
		error = vf_map(&c, 8192 * maps, 4096, fd, 0, 3);
	assert_int_equal(error, ENOSPC);
	assert_int_equal(maps, 16384 + 1);
	assert_int_equal(vf_unmap(&c, 0, 0, 2), 0);
	assert_int_equal(vf_map(&c, 0, 4096, fd, 0, 3), 0);
	close(fd);
	end(&c, &server);
}

static void test_io_crosses_maps_and_respects_read_only(void **state)
{
	(void)state;
	const char *image;
	struct served server = serve_image(&image, "");
	struct vf_client c;
	vf_open(&c, &server);
	vf_share_memory(&c, VF_SHARED);
	/* Three pages side by side, in another order in the file; then one that must not be written. */
	const uint64_t at = UINT64_C(0x80000000);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(vf_map(&c, at + 4096 * i, 4096, c.memory_fd,
					VF_DATA + 4096 * (uint64_t)(5 - 2 * i), 3),
				 0);
	assert_int_equal(vf_map(&c, at + 3 * 4096, 4096, c.memory_fd, VF_DATA + 8 * 4096, 1), 0);
	vf_write(&c, VF_CONFIG, 4, 2, 6);
	vf_start(&c, 0xffff);
	const struct vf_piece pieces[] = {{at + 512, 3 * 4096 - 1024}};
	unsigned request = vf_submit(&c, false, 16, pieces, 1);
	vf_wait_used(&c, 1);
	assert_int_equal(vf_status(&c, request), 0);
	uint8_t expected[3 * 4096];
	int fd = open(image, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, expected, sizeof(expected), 16 * 512), sizeof(expected));
	close(fd);
	const uint8_t *data = c.memory + VF_DATA;
	assert_memory_equal(data + 5 * 4096 + 512, expected, 3584);
	assert_memory_equal(data + 3 * 4096, expected + 3584, 4096);
	assert_memory_equal(data + 1 * 4096, expected + 7680, 3584);
	/* A read into memory that is read-only: nothing is written there, and nothing else breaks. */
	memset(c.memory + VF_DATA + 8 * 4096, 0x55, 4096);
	const struct vf_piece forbidden[] = {{at + 3 * 4096, 4096}};
	vf_submit(&c, false, 16, forbidden, 1);
	vf_wait_used(&c, 2);
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(c.memory[VF_DATA + 8 * 4096 + i], 0x55);
	/* A write from it is fine. */
	request = vf_submit(&c, true, 64, forbidden, 1);
	vf_wait_used(&c, 3);
	assert_int_equal(vf_status(&c, request), 0);
	vf_check_read(&c, image, 64);
	vf_close(&c);
	free(served_end(&server));
}

static void test_unmap_waits_for_io_that_runs(void **state)
{
	(void)state;
	const char *image;
	struct served server = serve_image(&image, "--set media.read_ns=20000000 --pace wall");
	struct vf_client c;
	vf_begin(&c, &server, VF_SHARED);
	vf_start(&c, 0xffff);
	const struct vf_piece piece = {VF_BASE + VF_DATA, 4096};
	for (unsigned i = 0; i < 8; i++)
		vf_submit(&c, false, i, &piece, 1);
	assert_int_equal(vf_used(&c), 0);
	assert_int_equal(vf_unmap(&c, VF_BASE, VF_MEMORY_BYTES, 0), 0);
	/* With the reply nothing will touch it any more, and what had begun has ended. */
	assert_int_equal(vf_used(&c), 8);
	assert_int_equal(served_mappings(&server), 0);
	end(&c, &server);
}

static void test_file_that_shrinks_does_not_end_the_server(void **state)
{
	(void)state;
	const char *image;
	struct served server = serve_image(&image, "");
	struct vf_client c;
	vf_open(&c, &server);
	unsigned fds = served_fds(&server);
	vf_share_memory(&c, VF_SHARED);
	vf_write(&c, VF_CONFIG, 4, 2, 6);
	vf_start(&c, 0xffff);
	vf_check_read(&c, image, 0);
	assert_int_equal(ftruncate(c.memory_fd, 0), 0);
	vf_post(&c, VF_BAR, VF_NOTIFY, 2, 0); /* the card looks at a ring that is gone */
	for (unsigned i = 0; i < 200; i++) {
		const uint8_t message[32] = {7, 0, 4, 0, 32, 0, 0, 0, VF_NO_REPLY, 0, 0, 0, 0, 0, 0, 0, 16};
		if (send(c.fd, message, sizeof(message), MSG_NOSIGNAL) < 0)
			break;
		usleep(1000);
	}
	assert_true(vf_is_closed(&c));
	vf_close(&c);
	assert_int_equal(vf_fds_with_client(&server), fds);
	char *err = served_end(&server);
	assert_non_null(strstr(err, "shorter"));
	free(err);
}

/* ---- memory by messages ---- */

static void check_messages(enum vf_share share, bool backwards)
{
	const char *image;
	struct served server = serve_image(&image, "--set device.queues=2");
	struct vf_client c;
	vf_begin(&c, &server, share);
	c.backwards = backwards;
	vf_bind_call(&c);
	vf_start(&c, 1);
	for (unsigned i = 0; i < 20; i++)
		vf_check_read(&c, image, 8 * i);
	/* Writes, and several at once. */
	const struct vf_piece piece = {VF_BASE + VF_DATA + 8192, 16384};
	for (unsigned i = 0; i < piece.bytes; i++)
		c.memory[VF_DATA + 8192 + i] = (uint8_t)(i * 31 + i / 256);
	for (unsigned i = 0; i < 8; i++)
		vf_submit(&c, true, 512 + 32 * i, &piece, 1);
	vf_wait_used(&c, 28);
	for (unsigned i = 20; i < 28; i++)
		assert_int_equal(vf_status(&c, i), 0);
	/* Registers are served while the card's reads are not. */
	vf_submit(&c, false, 0, &(const struct vf_piece){VF_BASE + VF_DATA, 4096}, 1);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(vf_read(&c, VF_BAR, VF_STATUS, 1), 0x0f);
	vf_wait_used(&c, 29);
	vf_check_read(&c, image, 512 + 32 * 7);
	assert_true(c.dma_reads > 30 && c.dma_writes > 30);
	assert_true(vf_wait(c.call, 1000) != 0);
	end(&c, &server);
}

static void test_messages_carry_memory_as_documented(void **state)
{
	(void)state;
	check_messages(VF_MESSAGES, false);
}

static void test_messages_carry_memory_as_qemu_has_it(void **state)
{
	(void)state;
	check_messages(VF_MESSAGES_QEMU, false);
}

static void test_messages_may_be_answered_in_another_order(void **state)
{
	(void)state;
	check_messages(VF_MESSAGES, true);
}

/* An interrupt must not be there before the data that was sent by message. */
static void test_messages_interrupt_comes_behind_data(void **state)
{
	(void)state;
	const char *image;
	struct served server = serve_image(&image, "");
	struct vf_client c;
	vf_begin(&c, &server, VF_MESSAGES);
	vf_bind_call(&c);
	vf_start(&c, 1);
	const struct vf_piece piece = {VF_BASE + VF_DATA, 4096};
	for (unsigned i = 0; i < 50; i++) {
		vf_submit(&c, false, i, &piece, 1);
		/* One message at a time, with a look at the interrupt after each. */
		while (vf_used(&c) != i + 1) {
			assert_int_equal(vf_wait(c.call, 0), 0);
			assert_true(vf_receive(&c));
			uint64_t addr, count;
			memcpy(&addr, c.last.payload, 8);
			memcpy(&count, c.last.payload + 8, 8);
			uint8_t *at = c.memory + (addr - VF_BASE), reply[16 + 4096];
			if (c.last.command == VF_DMA_WRITE) {
				memcpy(at, c.last.payload + 16, count);
				if (!(c.last.flags & VF_NO_REPLY))
					vf_send_raw(&c, c.last.id, VF_DMA_WRITE, 32, VF_REPLY, c.last.payload,
						    16, NULL, 0);
				continue;
			}
			memcpy(reply, c.last.payload, 16);
			memcpy(reply + 16, at, count);
			vf_send_raw(&c, c.last.id, VF_DMA_READ, (uint32_t)(32 + count), VF_REPLY, reply,
				    16 + count, NULL, 0);
		}
		c.used = (uint16_t)(i + 1);
		/* Now the read that goes before the interrupt, and whatever else is to come. */
		for (unsigned tries = 0; vf_wait(c.call, 10) == 0; tries++) {
			assert_true(tries < 500);
			vf_wait_used(&c, c.used);
			struct vf_message *m = &c.last;
			if (recv(c.fd, m->payload, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
				continue;
			assert_true(vf_receive(&c));
			uint8_t reply[16 + 4096];
			uint64_t addr, count;
			memcpy(&addr, m->payload, 8);
			memcpy(&count, m->payload + 8, 8);
			if (m->command == VF_DMA_WRITE) {
				memcpy(c.memory + (addr - VF_BASE), m->payload + 16, count);
				continue;
			}
			memcpy(reply, m->payload, 16);
			memcpy(reply + 16, c.memory + (addr - VF_BASE), count);
			vf_send_raw(&c, m->id, VF_DMA_READ, (uint32_t)(32 + count), VF_REPLY, reply,
				    16 + count, NULL, 0);
		}
	}
	end(&c, &server);
}

/* QEMU answers a write that it cannot carry out, as after a reset, although none of them asks for a reply. */
static void test_messages_refused_writes_are_told_from_reads(void **state)
{
	(void)state;
	const char *image;
	struct served server = serve_image(&image, "");
	struct vf_client c;
	vf_begin(&c, &server, VF_MESSAGES_QEMU);
	vf_bind_call(&c);
	vf_start(&c, 1);
	vf_check_read(&c, image, 0);
	while (vf_wait(c.call, 10) == 0)
		vf_read(&c, VF_BAR, VF_STATUS, 1);
	c.refuse_writes = true;
	unsigned writes = c.dma_writes;
	const struct vf_piece piece = {VF_BASE + VF_DATA, 16384};
	vf_submit(&c, false, 64, &piece, 1);
	/* Its interrupt comes, and nothing else. */
	while (vf_wait(c.call, 10) == 0)
		assert_int_equal(vf_read(&c, VF_BAR, VF_STATUS, 1), 0x0f);
	assert_true(c.dma_writes > writes);
	assert_int_equal(vf_used(&c), 1);
	c.refuse_writes = false;
	for (unsigned i = 0; i < 4; i++)
		vf_check_read(&c, image, 8 * i);
	vf_settle(&c);
	vf_close(&c);
	char *err = served_end(&server);
	assert_non_null(strstr(err, "writes of the card that the client refused"));
	assert_null(strstr(err, "client disconnected"));
	free(err);
}

/* Time that a client takes to read or answer must not become simulated time: the card would give up its reads (its
 * completion timeout is 50 ms) and ask for a reset. */
static void check_slow_client(const char *options)
{
	const char *image;
	struct served server = serve_image(&image, options);
	struct vf_client c;
	vf_begin(&c, &server, VF_MESSAGES);
	vf_start(&c, 0xffff);
	vf_check_read(&c, image, 0);
	/* More than the socket holds and the server is ready to keep; then a doorbell, which makes the card read again. */
	const struct vf_piece big = {VF_BASE + VF_DATA, 256 << 10};
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 6; i++)
			vf_submit(&c, false, 0, &big, 1);
		vf_wait_used(&c, (uint16_t)(c.used + 1)); /* it has begun */
		usleep(100000);
		vf_submit(&c, false, 0, &big, 1);
		usleep(200000);
		vf_wait_used(&c, c.avail);
		assert_int_equal(vf_read(&c, VF_BAR, VF_STATUS, 1), 0x0f);
	}
	vf_check_read(&c, image, 8);
	end(&c, &server);
}

static void test_messages_slow_client_does_not_make_the_card_time_out(void **state)
{
	(void)state;
	check_slow_client("");
	check_slow_client("--pace wall");
}

/* Requests in flight may read more than the server is ready to keep for the client: the card waits, and none is lost. */
static void test_messages_more_in_flight_than_the_server_keeps_is_read_in_time(void **state)
{
	(void)state;
	struct served server = vf_serve("--disk ram:64M --set link.mps=1024");
	struct vf_client c;
	const struct vf_piece pieces[] = {{VF_BASE + VF_DATA, 1 << 20},
					  {VF_BASE + VF_DATA + (1 << 20), 1 << 20},
					  {VF_BASE + VF_DATA + (2 << 20), 1 << 20}};
	vf_begin(&c, &server, VF_MESSAGES);
	vf_start(&c, 0xffff);
	for (unsigned i = 0; i < 60; i++)
		vf_submit(&c, false, 0, pieces, 3);
	usleep(300000);
	vf_wait_used(&c, 60);
	for (unsigned i = 0; i < 60; i++)
		assert_int_equal(vf_status(&c, i), 0);
	end(&c, &server);
}

static void test_messages_unanswered_do_not_hold_up_the_next_client(void **state)
{
	(void)state;
	const char *image;
	struct served server = serve_image(&image, "");
	struct vf_client c;
	vf_begin(&c, &server, VF_MESSAGES);
	/* DRIVER_OK makes the card look at the ring: it asks, and is never answered. */
	vf_post(&c, VF_BAR, 22, 2, 0);
	vf_post(&c, VF_BAR, 32, 4, (uint32_t)VF_BASE);
	vf_post(&c, VF_BAR, 40, 4, (uint32_t)VF_BASE + 0x1000);
	vf_post(&c, VF_BAR, 48, 4, (uint32_t)VF_BASE + 0x2000);
	vf_post(&c, VF_BAR, 28, 2, 1);
	vf_post(&c, VF_BAR, VF_STATUS, 1, 3);
	vf_post(&c, VF_BAR, 8, 4, 1);
	vf_post(&c, VF_BAR, 12, 4, 3);
	vf_post(&c, VF_BAR, VF_STATUS, 1, 0x0b);
	vf_post(&c, VF_BAR, VF_STATUS, 1, 0x0f);
	assert_true(vf_receive(&c));
	assert_true(c.last.command == VF_DMA_WRITE || c.last.command == VF_DMA_READ);
	vf_close(&c);
	vf_begin(&c, &server, VF_SHARED);
	vf_start(&c, 0xffff);
	vf_check_read(&c, image, 8);
	end(&c, &server);
}

/* ---- 4: interrupts ---- */

static void test_interrupts_follow_every_row_of_set_irqs(void **state)
{
	(void)state;
	struct served server = vf_serve("--set device.queues=16 --set host.vcpus=16");
	struct vf_client c;
	int fd[18], pipes[2];
	vf_open(&c, &server);
	unsigned fds = served_fds(&server);
	const uint8_t ask[16] = {16, 0, 0, 0, 0, 0, 0, 0, VF_MSIX};
	assert_int_equal(vf_call(&c, VF_IRQ_INFO, ask, 16, NULL, 0), 0);
	assert_int_equal(load_le32(c.last.payload + 4), 1);
	assert_int_equal(load_le32(c.last.payload + 12), 17);
	for (unsigned i = 0; i < 18; i++)
		fd[i] = vf_eventfd();
	assert_int_equal(pipe(pipes), 0);
	/* Bind 16 at once, then the test trigger: each is signalled once. */
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 0, 16, fd, 16), 0);
	served_expect_fds(&server, fds + 16);
	assert_int_equal(vf_irqs(&c, VF_NONE | VF_TRIGGER, VF_MSIX, 2, 3, NULL, 0), 0);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(vf_wait(fd[i], 0), i >= 2 && i < 5);
	assert_int_equal(vf_irqs(&c, VF_BOOL | VF_TRIGGER, VF_MSIX, 7, 2, NULL, 0), 0);
	assert_int_equal(vf_wait(fd[7], 0) + vf_wait(fd[8], 0), 2);
	/* Replace one, unbind some without descriptors, then all. */
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 3, 1, &fd[17], 1), 0);
	assert_int_equal(vf_irqs(&c, VF_NONE | VF_TRIGGER, VF_MSIX, 3, 1, NULL, 0), 0);
	assert_int_equal(vf_wait(fd[17], 0), 1);
	assert_int_equal(vf_wait(fd[3], 0), 0);
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 0, 2, NULL, 0), 0);
	served_expect_fds(&server, fds + 14);
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 16, 1, NULL, 0),
			 0); /* QEMU's step 3 */
	assert_int_equal(vf_irqs(&c, VF_NONE | VF_TRIGGER, VF_MSIX, 0, 0, NULL, 0), 0);
	served_expect_fds(&server, fds);
	/* What must be refused, keeping nothing. */
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 0, 1, pipes, 1), EINVAL);
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 0, 3, fd, 2), EINVAL);
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 0, 17, fd, 17), EINVAL);
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 17, 1, fd, 1), EINVAL);
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, 1, 0, 1, fd, 1), EINVAL);
	assert_int_equal(vf_irqs(&c, VF_NONE | VF_MASK, VF_MSIX, 0, 1, NULL, 0), EINVAL);
	assert_int_equal(vf_irqs(&c, VF_NONE | VF_TRIGGER, 9, 0, 0, NULL, 0), EINVAL);
	served_expect_fds(&server, fds);
	/* INTx: bound, triggered, and the client's own descriptors to mask and unmask. */
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_INTX, 0, 1, fd, 1), 0);
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_MASK, VF_INTX, 0, 1, fd + 1, 1), 0);
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_UNMASK, VF_INTX, 0, 1, fd + 2, 1), 0);
	assert_int_equal(vf_irqs(&c, VF_NONE | VF_TRIGGER, VF_INTX, 0, 1, NULL, 0), 0);
	assert_int_equal(vf_wait(fd[0], 0), 1);
	assert_int_equal(vf_irqs(&c, VF_NONE | VF_TRIGGER, VF_INTX, 0, 0, NULL, 0), 0);
	for (unsigned i = 0; i < 18; i++)
		close(fd[i]);
	close(pipes[0]);
	close(pipes[1]);
	end(&c, &server);
}

static void check_msix(struct vf_client *c, const char *image, unsigned reads)
{
	for (unsigned i = 0; i < reads; i++) {
		vf_check_read(c, image, 8 * i);
		assert_int_equal(vf_wait(c->call, 2000), 1);
	}
}

static void test_interrupts_by_msix_stop_and_start_with_their_descriptor(void **state)
{
	(void)state;
	const char *image;
	struct served server = serve_image(&image, "");
	struct vf_client c;
	vf_begin(&c, &server, VF_SHARED);
	c.call = vf_eventfd();
	uint32_t msix = vf_capability(&c, 0x11);
	/* QEMU's order: enabled and masked, bound without a descriptor, unmasked, then bound. */
	vf_write(&c, VF_CONFIG, msix + 2, 2, 0xc000);
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 0, 1, NULL, 0), 0);
	vf_write(&c, VF_CONFIG, msix + 2, 2, 0x8000);
	vf_start(&c, 1);
	/* Not bound yet: pending in the card, delivered when bound. */
	vf_check_read(&c, image, 0);
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 1, 1, &c.call, 1), 0);
	assert_true(vf_wait(c.call, 2000) >= 1);
	check_msix(&c, image, 5);
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 1, 1, NULL, 0), 0);
	vf_check_read(&c, image, 8);
	assert_int_equal(vf_wait(c.call, 100), 0);
	int other = vf_eventfd();
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 1, 1, &other, 1), 0);
	assert_true(vf_wait(other, 2000) >= 1);
	/* Replaced while requests are on their way: one of the two gets each. */
	const struct vf_piece piece = {VF_BASE + VF_DATA, 512};
	for (unsigned i = 0; i < 20; i++) {
		vf_submit(&c, false, i, &piece, 1);
		assert_int_equal(
			vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 1, 1, i % 2 ? &other : &c.call, 1), 0);
	}
	vf_wait_used(&c, (uint16_t)(c.used + 20));
	uint64_t got = 0;
	for (unsigned i = 0; i < 20 && got == 0; i++)
		got += vf_wait(other, 50) + vf_wait(c.call, 50);
	assert_true(got >= 1);
	/* A descriptor whose counter is full is no reason to wait. */
	const uint64_t full = UINT64_MAX - 1;
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 1, 1, &other, 1), 0);
	vf_wait(other, 50);
	assert_int_equal(write(other, &full, 8), 8);
	vf_check_read(&c, image, 8);
	vf_check_read(&c, image, 16);
	close(other);
	end(&c, &server);
}

static void test_interrupts_by_intx_mask_themselves_until_unmasked(void **state)
{
	(void)state;
	const char *image;
	struct served server = serve_image(&image, "");
	struct vf_client c;
	vf_begin(&c, &server, VF_SHARED);
	c.call = vf_eventfd();
	int unmask = vf_eventfd();
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_INTX, 0, 1, &c.call, 1), 0);
	vf_start(&c, 0xffff);
	for (unsigned i = 0; i < 5; i++) {
		vf_check_read(&c, image, 8 * i);
		assert_int_equal(vf_wait(c.call, 2000), 1);
		/* Not read yet: asserted still, so signalled again when unmasked. */
		if (i == 2) {
			assert_int_equal(vf_irqs(&c, VF_NONE | VF_UNMASK, VF_INTX, 0, 1, NULL, 0), 0);
			assert_int_equal(vf_wait(c.call, 2000), 1);
		}
		assert_int_equal(vf_read(&c, VF_BAR, VF_ISR, 1), 1);
		assert_int_equal(vf_irqs(&c, VF_NONE | VF_UNMASK, VF_INTX, 0, 1, NULL, 0), 0);
		assert_int_equal(vf_wait(c.call, 20), 0);
	}
	/* Masked by the client: nothing, until it asks by its own descriptor. */
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_UNMASK, VF_INTX, 0, 1, &unmask, 1), 0);
	assert_int_equal(vf_irqs(&c, VF_NONE | VF_MASK, VF_INTX, 0, 1, NULL, 0), 0);
	vf_check_read(&c, image, 80);
	assert_int_equal(vf_wait(c.call, 100), 0);
	const uint64_t one = 1;
	assert_int_equal(write(unmask, &one, 8), 8);
	assert_int_equal(vf_wait(c.call, 2000), 1);
	assert_int_equal(vf_read(&c, VF_BAR, VF_ISR, 1), 1);
	assert_int_equal(vf_irqs(&c, VF_NONE | VF_UNMASK, VF_INTX, 0, 1, NULL, 0), 0);
	/* INTx Disable of COMMAND is the card's to respect. */
	vf_write(&c, VF_CONFIG, 4, 2, 0x406);
	vf_check_read(&c, image, 88);
	assert_int_equal(vf_wait(c.call, 100), 0);
	vf_write(&c, VF_CONFIG, 4, 2, 0x006);
	assert_int_equal(vf_wait(c.call, 2000), 1);
	close(unmask);
	end(&c, &server);
}

/* ---- 5: regions ---- */

static uint32_t access_error(struct vf_client *c, bool write, uint64_t offset, uint32_t region,
			     uint32_t count, uint32_t data_bytes)
{
	uint8_t payload[16 + 8192] = {0};
	store_le64(payload, offset);
	store_le32(payload + 8, region);
	store_le32(payload + 12, count);
	return vf_call(c, write ? VF_REGION_WRITE : VF_REGION_READ, payload, 16 + (write ? data_bytes : 0),
		       NULL, 0);
}

static void test_regions_are_described(void **state)
{
	(void)state;
	struct served server = vf_serve("");
	struct vf_client c;
	vf_open(&c, &server);
	const uint8_t ask[16] = {16};
	assert_int_equal(vf_call(&c, VF_GET_INFO, ask, 16, NULL, 0), 0);
	assert_int_equal(load_le32(c.last.payload), 16);
	assert_int_equal(load_le32(c.last.payload + 4), 3);
	assert_int_equal(load_le32(c.last.payload + 8), 9);
	assert_int_equal(load_le32(c.last.payload + 12), 5);
	for (unsigned i = 0; i < 9; i++) {
		/* SPDK sends the room for the reply along. */
		uint8_t payload[4064] = {0xe0, 0x0f, 0, 0, 0, 0, 0, 0, (uint8_t)i};
		assert_int_equal(vf_call(&c, VF_REGION_INFO, payload, i % 2 ? 32 : 4064, NULL, 0), 0);
		assert_int_equal(c.last.size, 48);
		assert_int_equal(c.last.fds, 0);
		uint64_t bytes = load_le64(c.last.payload + 16);
		uint32_t flags = load_le32(c.last.payload + 4);
		assert_int_equal(load_le32(c.last.payload), 32);
		assert_int_equal(load_le32(c.last.payload + 8), i);
		assert_int_equal(flags, bytes ? 3 : 0);
		if (i == 4)
			assert_int_equal(bytes, 0x4000);
		if (i == 7)
			assert_int_equal(bytes, 4096);
		if (i == 5 || i == 6 || i == 8)
			assert_int_equal(bytes, 0);
	}
	const uint8_t nine[32] = {32, 0, 0, 0, 0, 0, 0, 0, 9}, small[32] = {31};
	assert_int_equal(vf_call(&c, VF_REGION_INFO, nine, 32, NULL, 0), EINVAL);
	assert_int_equal(vf_call(&c, VF_REGION_INFO, small, 32, NULL, 0), EINVAL);
	end(&c, &server);
}

static void test_regions_accept_every_size_and_alignment_inside(void **state)
{
	(void)state;
	struct served server = vf_serve("");
	struct vf_client c;
	uint8_t config[4096];
	vf_open(&c, &server);
	vf_read(&c, VF_CONFIG, 0, 4096);
	memcpy(config, c.last.payload + 16, 4096);
	assert_int_equal(load_le32(config), 0x10421af4);
	for (unsigned offset = 0; offset < 128; offset++)
		for (unsigned bytes = 1; bytes <= 8; bytes++) {
			vf_read(&c, VF_CONFIG, offset, bytes);
			assert_memory_equal(c.last.payload + 16, config + offset, bytes);
		}
	/* Device configuration (capacity 64 MiB: 0x20000 sectors) and common configuration by every size. */
	for (unsigned bytes = 1; bytes <= 8; bytes++)
		for (unsigned offset = 0; offset + bytes <= 8; offset++) {
			uint64_t value = vf_read(&c, VF_BAR, 0x2000 + offset, bytes);
			uint64_t mask = bytes == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * bytes) - 1;
			assert_int_equal(value, (UINT64_C(0x20000) >> 8 * offset) & mask);
		}
	/* Ends, nothing, and wrapping. */
	assert_int_equal(access_error(&c, false, 4092, VF_CONFIG, 4, 0), 0);
	assert_int_equal(access_error(&c, false, 4093, VF_CONFIG, 4, 0), EINVAL);
	assert_int_equal(access_error(&c, false, 0, VF_CONFIG, 0, 0), EINVAL);
	assert_int_equal(access_error(&c, false, 0, VF_CONFIG, 4097, 0), EINVAL);
	assert_int_equal(access_error(&c, false, UINT64_MAX, VF_CONFIG, 1, 0), EINVAL);
	assert_int_equal(access_error(&c, false, UINT64_MAX - 1, VF_CONFIG, UINT32_MAX, 0), EINVAL);
	assert_int_equal(access_error(&c, false, 0x3ff8, VF_BAR, 8, 0), 0);
	assert_int_equal(access_error(&c, false, 0x3ff9, VF_BAR, 8, 0), EINVAL);
	assert_int_equal(access_error(&c, false, 0, 5, 4, 0), EINVAL);
	assert_int_equal(access_error(&c, false, 0, 6, 4, 0), EINVAL);
	assert_int_equal(access_error(&c, false, 0, 9, 4, 0), EINVAL);
	assert_int_equal(access_error(&c, false, 0, UINT32_MAX, 4, 0), EINVAL);
	assert_int_equal(access_error(&c, true, 0, VF_BAR, 4, 3), EINVAL);
	assert_int_equal(access_error(&c, true, 0, VF_BAR, 4, 5), EINVAL);
	assert_int_equal(access_error(&c, true, 0x3ffe, VF_BAR, 4, 4), EINVAL);
	assert_int_equal(access_error(&c, true, 0, VF_BAR, 0, 0), EINVAL);
	end(&c, &server);
}

static void test_regions_writes_by_the_dozen_arrive_in_order(void **state)
{
	(void)state;
	uint8_t payload[8 + 200 * 24] = {0};
	struct served server = vf_serve("");
	struct vf_client c;
	vf_open(&c, &server);
	vf_write(&c, VF_CONFIG, 4, 2, 6);
	static const unsigned counts[] = {1, 200};
	for (unsigned n = 0; n < 2; n++) {
		unsigned count = counts[n];
		store_le64(payload, count);
		for (unsigned i = 0; i < count; i++) {
			uint8_t *entry = payload + 8 + 24 * i;
			store_le64(entry, 8); /* device_feature_select of the driver */
			store_le32(entry + 8, VF_BAR);
			store_le32(entry + 12, 4);
			store_le64(entry + 16, i + 1);
		}
		assert_int_equal(vf_call(&c, VF_WRITE_MULTI, payload, 8 + 24 * count, NULL, 0), 0);
		assert_int_equal(c.last.size, 24);
		assert_int_equal(load_le64(c.last.payload), count);
		assert_int_equal(vf_read(&c, VF_BAR, 8, 4), count);
	}
	/* More than there are, too wide, and outside. */
	assert_int_equal(vf_call(&c, VF_WRITE_MULTI, payload, 8 + 24 * 199, NULL, 0), EINVAL);
	store_le64(payload, 1);
	store_le32(payload + 8 + 12, 9);
	assert_int_equal(vf_call(&c, VF_WRITE_MULTI, payload, 32, NULL, 0), EINVAL);
	store_le32(payload + 8 + 12, 4);
	store_le64(payload + 8, 0x4000);
	assert_int_equal(vf_call(&c, VF_WRITE_MULTI, payload, 32, NULL, 0), EINVAL);
	end(&c, &server);
}

static void test_config_bars_are_the_guests_and_nobodys(void **state)
{
	(void)state;
	struct served server = vf_serve("");
	struct vf_client c;
	vf_open(&c, &server);
	/* Cloud Hypervisor sizes BARs through the server (PCIe 6.0 §7.5.1.2.1). */
	assert_int_equal(vf_read(&c, VF_CONFIG, 0x20, 4), 0xc);
	vf_write(&c, VF_CONFIG, 0x20, 4, 0xffffffff);
	vf_write(&c, VF_CONFIG, 0x24, 4, 0xffffffff);
	assert_int_equal(vf_read(&c, VF_CONFIG, 0x20, 4), 0xffffc00c);
	assert_int_equal(vf_read(&c, VF_CONFIG, 0x24, 4), 0xffffffff);
	vf_write(&c, VF_CONFIG, 0x30, 4, 0xfffff800);
	assert_int_equal(vf_read(&c, VF_CONFIG, 0x30, 4), 0); /* no ROM */
	/* Whatever stands there, and memory space off: the registers answer by BAR and offset (SPDK). */
	assert_int_equal(vf_read(&c, VF_CONFIG, 4, 2), 0);
	assert_int_equal(vf_read(&c, VF_BAR, 0x2000, 4), 0x20000);
	vf_write(&c, VF_CONFIG, 0x20, 4, 0xfebf8000);
	vf_write(&c, VF_CONFIG, 0x24, 1, 0x12);
	assert_int_equal(vf_read(&c, VF_CONFIG, 0x20, 4), 0xfebf800c);
	assert_int_equal(vf_read(&c, VF_CONFIG, 0x24, 4), 0xffffff12);
	assert_int_equal(vf_read(&c, VF_BAR, 0x2000, 4), 0x20000);
	/* COMMAND is read back as written, memory space included; SeaBIOS writes 0x103. */
	vf_write(&c, VF_CONFIG, 4, 2, 0x103);
	assert_int_equal(vf_read(&c, VF_CONFIG, 4, 2) & 0x106, 0x102);
	vf_write(&c, VF_CONFIG, 4, 2, 0x100);
	assert_int_equal(vf_read(&c, VF_CONFIG, 4, 2) & 6, 0);
	assert_int_equal(vf_read(&c, VF_BAR, 0x2000, 4), 0x20000);
	/* So are the payload sizes the guest chooses for a link that is not ours. */
	uint32_t control = vf_capability(&c, 0x10) + 8;
	assert_int_equal(vf_read(&c, VF_CONFIG, control, 2) & 0x70e0, 0x2000);
	vf_write(&c, VF_CONFIG, control, 2, 0x5020);
	assert_int_equal(vf_read(&c, VF_CONFIG, control, 2) & 0x70e0, 0x5020);
	end(&c, &server);
}

/* The guest's root port supports 128 bytes; the link behind the socket goes on with its own. */
static void test_config_payload_size_of_the_guest_does_not_break_the_link(void **state)
{
	(void)state;
	const char *image;
	struct served server = serve_image(&image, "--set link.mps=512 --set link.mrrs=4096");
	struct vf_client c;
	vf_begin(&c, &server, VF_SHARED);
	vf_write(&c, VF_CONFIG, vf_capability(&c, 0x10) + 8, 2, 0x0000);
	vf_start(&c, 0xffff);
	const struct vf_piece piece = {VF_BASE + VF_DATA, 65536};
	for (unsigned i = 0; i < 8; i++)
		vf_submit(&c, true, 128 * i, &piece, 1);
	vf_wait_used(&c, 8);
	vf_check_read(&c, image, 0);
	end(&c, &server);
}

/* ---- 6 and 7: order ---- */

static void test_order_read_sees_posted_writes(void **state)
{
	(void)state;
	struct served server = vf_serve("");
	struct vf_client c;
	vf_open(&c, &server);
	for (unsigned i = 0; i < 3000; i++) {
		vf_post(&c, VF_BAR, 8, 4, i);
		if (i % 10 == 9)
			assert_int_equal(vf_read(&c, VF_BAR, 8, 4), i);
	}
	end(&c, &server);
}

struct checker {
	struct vf_client *client;
	unsigned interrupts, late;
};

/* With each interrupt the used index has gone on. */
static void *check_order(void *arg)
{
	struct checker *checker = arg;
	uint16_t seen = 0;
	while (seen != 2000) {
		if (vf_wait(checker->client->call, 5000) == 0)
			break;
		uint16_t used = vf_used(checker->client);
		checker->late += used == seen;
		checker->interrupts++;
		seen = used;
	}
	return NULL;
}

static void test_order_interrupt_comes_behind_the_used_ring(void **state)
{
	(void)state;
	const char *image;
	struct served server = serve_image(&image, "");
	struct vf_client c;
	struct checker checker = {.client = &c};
	pthread_t thread;
	vf_begin(&c, &server, VF_SHARED);
	vf_bind_call(&c);
	vf_start(&c, 1);
	assert_int_equal(pthread_create(&thread, NULL, check_order, &checker), 0);
	const struct vf_piece piece = {VF_BASE + VF_DATA, 4096};
	for (unsigned i = 0; i < 2000; i++) {
		vf_submit(&c, false, i % 1024, &piece, 1);
		while ((uint16_t)(c.avail - vf_used(&c)) >= 4)
			sched_yield();
	}
	vf_wait_used(&c, 2000);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(checker.interrupts > 100);
	/* Two interrupts may come for one look at the ring: the second finds nothing new. */
	assert_true(checker.late <= checker.interrupts / 2);
	end(&c, &server);
}

/* ---- 8: resets ---- */

static void bring_up(struct vf_client *c, const char *image)
{
	vf_write(c, VF_CONFIG, 4, 2, 6);
	vf_write(c, VF_CONFIG, vf_capability(c, 0x11) + 2, 2, 0x8000);
	vf_start(c, 1);
	vf_wait(c->call, 0);
	check_msix(c, image, 3);
}

static void submit_some(struct vf_client *c)
{
	const struct vf_piece piece = {VF_BASE + VF_DATA + 65536, 65536};
	for (unsigned i = 0; i < 16; i++)
		vf_submit(c, false, 8 * i, &piece, 1);
}

static void test_resets_of_every_kind_leave_a_card_that_works(void **state)
{
	(void)state;
	const char *image;
	struct served server = serve_image(&image, "");
	struct vf_client c;
	vf_open(&c, &server);
	vf_share_memory(&c, VF_SHARED);
	c.call = vf_eventfd();
	assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 1, 1, &c.call, 1), 0);
	uint32_t flr = vf_capability(&c, 0x10) + 8;
	for (unsigned round = 0; round < 3; round++) {
		/* DEVICE_RESET with requests on their way, twice. BARs are not written again, vectors not bound again. */
		bring_up(&c, image);
		submit_some(&c);
		assert_int_equal(vf_call(&c, VF_RESET, NULL, 0, NULL, 0), 0);
		assert_int_equal(c.last.size, 16);
		uint16_t used = vf_used(&c);
		assert_int_equal(vf_call(&c, VF_RESET, NULL, 0, NULL, 0), 0);
		assert_int_equal(vf_read(&c, VF_CONFIG, 4, 2), 0);
		assert_int_equal(vf_read(&c, VF_BAR, VF_STATUS, 1), 0);
		usleep(20000);
		assert_int_equal(vf_used(&c), used); /* nothing moves in memory after the reply */
		/* Function-level reset by the guest. */
		bring_up(&c, image);
		submit_some(&c);
		vf_write(&c, VF_CONFIG, flr, 2, vf_read(&c, VF_CONFIG, flr, 2) | 0x8000);
		used = vf_used(&c);
		assert_int_equal(vf_read(&c, VF_CONFIG, 4, 2), 0);
		assert_int_equal(vf_read(&c, VF_BAR, VF_STATUS, 1), 0);
		usleep(20000);
		assert_int_equal(vf_used(&c), used);
		/* Status 0 with a live queue. */
		bring_up(&c, image);
		submit_some(&c);
		vf_post(&c, VF_BAR, VF_STATUS, 1, 0);
		while (vf_read(&c, VF_BAR, VF_STATUS, 1) != 0)
			;
		used = vf_used(&c);
		usleep(20000);
		assert_int_equal(vf_used(&c), used);
	}
	bring_up(&c, image);
	/* D3hot and back keeps everything (No_Soft_Reset). */
	uint32_t power = vf_capability(&c, 1) + 4;
	vf_write(&c, VF_CONFIG, power, 2, 3);
	assert_int_equal(vf_read(&c, VF_BAR, VF_STATUS, 1), 0xff); /* asleep: UR, all ones */
	vf_write(&c, VF_CONFIG, power, 2, 0);
	check_msix(&c, image, 3);
	end(&c, &server);
}

/* ---- 9: other clients ---- */

static void test_clients_spdk_is_served_without_doorbells(void **state)
{
	(void)state;
	const char *image;
	/* It does not accept ACCESS_PLATFORM. */
	struct served server = serve_image(&image, "--set virtio.access_platform=off");
	struct vf_client c;
	vf_connect(&c, &server);
	c.zero_ids = true;
	c.no_doorbell = true;
	c.features = UINT64_C(1) << 32;
	assert_int_equal(vf_call(&c, VF_VERSION, "\0\0\1\0", 4, NULL, 0), 0);
	vf_share_memory(&c, VF_SHARED);
	/* It sets bus mastering and INTx Disable, and never memory space. */
	vf_write(&c, VF_CONFIG, 4, 2, 0x404);
	vf_start(&c, 0xffff);
	for (unsigned i = 0; i < 20; i++)
		vf_check_read(&c, image, 8 * i);
	usleep(200000); /* the server looks seldom now */
	vf_check_read(&c, image, 8);
	/* It sends the map's descriptor with the unmap. */
	uint8_t payload[24];
	unsigned fds = served_fds(&server);
	store_le32(payload, 24);
	store_le32(payload + 4, 0);
	store_le64(payload + 8, VF_BASE);
	store_le64(payload + 16, VF_MEMORY_BYTES);
	assert_int_equal(vf_call(&c, VF_DMA_UNMAP, payload, 24, &c.memory_fd, 1), 0);
	assert_int_equal(c.last.size, 40);
	served_expect_fds(&server, fds);
	end(&c, &server);
}

/* In pace wall, too, a card that has done its work costs nothing. Whether the end of a slice of time coincides with an event
 * depends on when requests come in, hence several times. */
static void test_clients_with_nothing_to_do_cost_no_time(void **state)
{
	(void)state;
	const char *image;
	struct served server = serve_image(&image, "--pace wall");
	struct vf_client c;
	vf_begin(&c, &server, VF_SHARED);
	vf_start(&c, 0xffff);
	for (unsigned i = 0; i < 10; i++) {
		vf_check_read(&c, image, 8 * i);
		usleep(20000); /* what is behind the request is done */
		double before_s = served_cpu_s(&server);
		usleep(200000);
		double used_s = served_cpu_s(&server) - before_s;
		if (used_s > 0.05)
			fail_msg("%.2f s of CPU time in 0.2 s without a request", used_s);
	}
	end(&c, &server);
}

/* Of its memory the client sends a descriptor, and writes to copies of its own. */
static void test_clients_that_share_nothing_get_a_hint(void **state)
{
	(void)state;
	struct served server = vf_serve("");
	for (unsigned private = 0; private < 2; private ++) {
		struct vf_client c;
		vf_open(&c, &server);
		vf_share_memory(&c, VF_SHARED);
		if (private)
			assert_ptr_equal(mmap(c.memory, VF_MEMORY_BYTES, PROT_READ | PROT_WRITE,
					      MAP_PRIVATE | MAP_FIXED, c.memory_fd, 0),
					 c.memory);
		vf_write(&c, VF_CONFIG, 4, 2, 6);
		vf_start(&c, 0xffff);
		for (unsigned i = 0; i < 3; i++)
			vf_submit(&c, false, 0, &(const struct vf_piece){VF_BASE + VF_DATA, 4096}, 1);
		assert_int_equal(vf_read(&c, VF_BAR, VF_STATUS, 1), 0x0f);
		vf_close(&c);
	}
	char *err = served_end(&server);
	assert_int_equal(count_lines(err, "share=on"), 1);
	free(err);
}

static void test_clients_are_given_ioeventfds_for_doorbells(void **state)
{
	(void)state;
	const char *image;
	struct served server = serve_image(&image, "--set device.queues=4");
	struct vf_client c;
	vf_begin(&c, &server, VF_SHARED);
	uint8_t ask[16] = {16, 0, 0, 0, 0, 0, 0, 0, VF_BAR};
	assert_int_equal(vf_call(&c, VF_REGION_IO_FDS, ask, 16, NULL, 0), 0);
	assert_int_equal(c.last.size, 32); /* too little room: how much it takes, and nothing else */
	assert_int_equal(c.last.fds, 0);
	assert_int_equal(load_le32(c.last.payload), 16 + 4 * 40);
	assert_int_equal(load_le32(c.last.payload + 12), 4);
	store_le32(ask, 16 + 4 * 40);
	assert_int_equal(vf_call(&c, VF_REGION_IO_FDS, ask, 16, NULL, 0), 0);
	assert_int_equal(c.last.fds, 4);
	int fd[4];
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *entry = c.last.payload + 16 + 40 * i;
		assert_int_equal(load_le64(entry), VF_NOTIFY + 4 * i);
		assert_int_equal(load_le64(entry + 8), 2);
		fd[load_le32(entry + 16)] = c.last.fd[i];
		assert_int_equal(load_le32(entry + 20), 0); /* ioeventfd */
	}
	/* Rung by descriptor alone. */
	c.no_doorbell = true;
	vf_start(&c, 0xffff);
	vf_read(&c, VF_BAR, VF_STATUS, 1);
	usleep(20000);
	for (unsigned i = 0; i < 10; i++) {
		const struct vf_piece piece = {VF_BASE + VF_DATA, 4096};
		const uint64_t one = 1;
		unsigned request = vf_submit(&c, false, i, &piece, 1);
		assert_int_equal(write(fd[0], &one, 8), 8);
		vf_wait_used(&c, (uint16_t)(request + 1));
	}
	for (unsigned i = 0; i < 4; i++)
		close(fd[i]);
	/* None for other regions; wrong requests. */
	ask[8] = VF_CONFIG;
	assert_int_equal(vf_call(&c, VF_REGION_IO_FDS, ask, 16, NULL, 0), 0);
	assert_int_equal(load_le32(c.last.payload + 12), 0);
	ask[8] = 6;
	assert_int_equal(vf_call(&c, VF_REGION_IO_FDS, ask, 16, NULL, 0), EINVAL);
	ask[8] = VF_BAR;
	ask[12] = 1;
	assert_int_equal(vf_call(&c, VF_REGION_IO_FDS, ask, 16, NULL, 0), EINVAL);
	end(&c, &server);
}

/* ---- hostile ones ---- */

static void test_hostile_second_client_is_turned_away(void **state)
{
	(void)state;
	struct served server = vf_serve("");
	struct vf_client first, second;
	vf_open(&first, &server);
	for (unsigned i = 0; i < 3; i++) {
		vf_connect(&second, &server);
		assert_true(vf_is_closed(&second));
		vf_close(&second);
	}
	assert_int_equal(vf_read(&first, VF_CONFIG, 0, 2), 0x1af4);
	vf_close(&first);
	check_alive(&server);
	end_server(&server);
}

static void test_hostile_descriptors_are_closed_on_every_path(void **state)
{
	(void)state;
	struct served server = vf_serve("");
	struct vf_client c;
	int fd[64];
	for (unsigned i = 0; i < 64; i++)
		fd[i] = vf_eventfd();
	vf_open(&c, &server);
	unsigned fds = served_fds(&server);
	const uint8_t payload[64] = {0};
	for (uint16_t command = 0; command < 25; command++)
		assert_true(vf_call(&c, command, payload, 32, fd, 64) != 0);
	served_expect_fds(&server, fds);
	/* More than there is room for ends the connection. */
	vf_send_raw(&c, 1, VF_GET_INFO, 16 + 64, 0, payload, 20, fd, 64);
	vf_send_bytes(&c, payload, 44, fd, 64);
	assert_true(vf_is_closed(&c));
	vf_close(&c);
	vf_open(&c, &server);
	served_expect_fds(&server, fds);
	vf_close(&c);
	for (unsigned i = 0; i < 64; i++)
		close(fd[i]);
	end_server(&server);
}

/* A client vanishes in the middle of anything; the next one finds a card as new. */
static void test_hostile_client_that_vanishes_leaves_nothing(void **state)
{
	(void)state;
	const char *image;
	struct served server = serve_image(&image, "");
	struct rng rng;
	rng_seed(&rng, test_seed(3), 0);
	unsigned fds = vf_fds_with_client(&server);
	for (unsigned round = 0; round < 60; round++) {
		struct vf_client c;
		unsigned stage = (unsigned)rng_below(&rng, 7);
		vf_connect(&c, &server);
		if (stage == 0)
			vf_send_bytes(&c, "\1\0\1\0\40\0", 6, NULL, 0); /* half a header */
		if (stage >= 1)
			vf_hello(&c);
		if (stage >= 2)
			vf_share_memory(&c, round % 3 ? VF_SHARED : VF_MESSAGES);
		if (stage >= 3) {
			c.call = vf_eventfd();
			assert_int_equal(vf_irqs(&c, VF_EVENTFD | VF_TRIGGER, VF_MSIX, 1, 1, &c.call, 1), 0);
		}
		if (stage >= 4)
			vf_write(&c, VF_CONFIG, 4, 2, 6);
		if (stage >= 5 && c.share == VF_SHARED) {
			vf_start(&c, 1);
			submit_some(&c);
		}
		if (stage == 6)
			vf_send_raw(&c, 1, VF_REGION_WRITE, 16 + 4000, 0, "half", 4, NULL, 0);
		vf_close(&c);
	}
	struct vf_client c;
	vf_begin(&c, &server, VF_SHARED);
	assert_int_equal(vf_read(&c, VF_BAR, VF_STATUS, 1), 0);
	vf_start(&c, 0xffff);
	vf_check_read(&c, image, 8);
	vf_close(&c);
	assert_int_equal(vf_fds_with_client(&server), fds);
	end_server(&server);
}

/* Bytes without sense, after a good start: answered or disconnected, and the server is there for the next. */
static void test_hostile_noise_is_survived(void **state)
{
	(void)state;
	struct served server = vf_serve("");
	struct rng rng;
	rng_seed(&rng, test_seed(11), 0);
	unsigned fds = vf_fds_with_client(&server);
	for (unsigned round = 0; round < 40; round++) {
		struct vf_client c;
		vf_open(&c, &server);
		for (unsigned i = 0; i < 100; i++) {
			uint8_t message[16 + 64];
			uint32_t payload = (uint32_t)rng_below(&rng, 64);
			for (unsigned at = 0; at < sizeof(message); at++)
				message[at] = rng_below(&rng, 3) ? (uint8_t)rng_below(&rng, 40) : 0;
			store_le16(message + 2, (uint16_t)rng_below(&rng, 20));
			store_le32(message + 4, 16 + payload);
			store_le32(message + 8, rng_below(&rng, 2) ? VF_NO_REPLY : 0);
			if (rng_below(&rng, 200) == 0)
				message[4 + rng_below(&rng, 8)] ^= 0xff;
			if (send(c.fd, message, 16 + payload, MSG_NOSIGNAL) < 0)
				break;
			while (recv(c.fd, c.last.payload, sizeof(c.last.payload), MSG_DONTWAIT) > 0)
				;
		}
		vf_close(&c);
	}
	assert_int_equal(vf_fds_with_client(&server), fds);
	free(served_end(&server));
}

/* A client that asks and never takes an answer does not make the server grow without end. */
/* A server that ends under a client who goes on sending says so by the end of the stream, not by a reset of it. */
static void test_hostile_no_client_finds_its_connection_reset(void **state)
{
	(void)state;
	uint8_t message[34] = {1, 0, VF_REGION_WRITE, 0, 34, 0, 0, 0, VF_NO_REPLY};
	store_le64(message + 16, VF_NOTIFY);
	store_le32(message + 16 + 8, VF_BAR);
	store_le32(message + 16 + 12, 2);
	for (unsigned i = 0; i < 30; i++) {
		struct served server = vf_serve("");
		struct vf_client c;
		vf_open(&c, &server);
		for (unsigned sent = 0; send(c.fd, message, sizeof(message), MSG_NOSIGNAL) > 0; sent++)
			if (sent == 1000)
				kill(server.child.pid, SIGTERM);
		assert_int_equal(errno, EPIPE);
		assert_int_equal(recv(c.fd, message, sizeof(message), 0), 0);
		end(&c, &server);
	}
}

static void test_hostile_client_that_does_not_read_is_slowed_down(void **state)
{
	(void)state;
	struct served server = vf_serve("");
	struct vf_client c;
	uint8_t message[32] = {1, 0, VF_REGION_READ, 0, 32};
	store_le32(message + 16 + 8, VF_CONFIG);
	store_le32(message + 16 + 12, 4096);
	vf_open(&c, &server);
	unsigned sent = 0, tries = 0;
	for (; sent < 200000 && tries < 100; tries++) {
		while (send(c.fd, message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(message)) {
			sent++;
			tries = 0;
		}
		usleep(10000);
	}
	assert_true(sent < 200000);
	vf_close(&c);
	check_alive(&server);
	end_server(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_framing_message_in_pieces_is_answered),
		cmocka_unit_test(test_framing_errors_end_the_connection_with_one_line),
		cmocka_unit_test(test_framing_bad_commands_are_answered_and_the_connection_goes_on),
		cmocka_unit_test(test_version_answers_suit_each_client),
		cmocka_unit_test(test_version_that_is_wrong_ends_the_connection),
		cmocka_unit_test(test_maps_are_checked_and_taken_away_again),
		cmocka_unit_test(test_maps_over_the_interrupts_of_a_pc_are_memory),
		cmocka_unit_test(test_maps_too_many_are_refused),
		cmocka_unit_test(test_io_crosses_maps_and_respects_read_only),
		cmocka_unit_test(test_unmap_waits_for_io_that_runs),
		cmocka_unit_test(test_file_that_shrinks_does_not_end_the_server),
		cmocka_unit_test(test_messages_carry_memory_as_documented),
		cmocka_unit_test(test_messages_carry_memory_as_qemu_has_it),
		cmocka_unit_test(test_messages_may_be_answered_in_another_order),
		cmocka_unit_test(test_messages_interrupt_comes_behind_data),
		cmocka_unit_test(test_messages_refused_writes_are_told_from_reads),
		cmocka_unit_test(test_messages_slow_client_does_not_make_the_card_time_out),
		cmocka_unit_test(test_messages_more_in_flight_than_the_server_keeps_is_read_in_time),
		cmocka_unit_test(test_messages_unanswered_do_not_hold_up_the_next_client),
		cmocka_unit_test(test_interrupts_follow_every_row_of_set_irqs),
		cmocka_unit_test(test_interrupts_by_msix_stop_and_start_with_their_descriptor),
		cmocka_unit_test(test_interrupts_by_intx_mask_themselves_until_unmasked),
		cmocka_unit_test(test_regions_are_described),
		cmocka_unit_test(test_regions_accept_every_size_and_alignment_inside),
		cmocka_unit_test(test_regions_writes_by_the_dozen_arrive_in_order),
		cmocka_unit_test(test_config_bars_are_the_guests_and_nobodys),
		cmocka_unit_test(test_config_payload_size_of_the_guest_does_not_break_the_link),
		cmocka_unit_test(test_order_read_sees_posted_writes),
		cmocka_unit_test(test_order_interrupt_comes_behind_the_used_ring),
		cmocka_unit_test(test_resets_of_every_kind_leave_a_card_that_works),
		cmocka_unit_test(test_clients_spdk_is_served_without_doorbells),
		cmocka_unit_test(test_clients_with_nothing_to_do_cost_no_time),
		cmocka_unit_test(test_clients_that_share_nothing_get_a_hint),
		cmocka_unit_test(test_clients_are_given_ioeventfds_for_doorbells),
		cmocka_unit_test(test_hostile_second_client_is_turned_away),
		cmocka_unit_test(test_hostile_descriptors_are_closed_on_every_path),
		cmocka_unit_test(test_hostile_client_that_vanishes_leaves_nothing),
		cmocka_unit_test(test_hostile_noise_is_survived),
		cmocka_unit_test(test_hostile_no_client_finds_its_connection_reset),
		cmocka_unit_test(test_hostile_client_that_does_not_read_is_slowed_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
