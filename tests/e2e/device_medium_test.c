/* What requests do to the medium (virtio 1.4 §5.2.6.2), on a real image file: which writes have to be on stable storage when.
 * The program is linked with --wrap=fdatasync: what the file holds when it is synchronised is what a power cut leaves. */
#include "tests/e2e/machine.h"

#include <fcntl.h>
#include <unistd.h>

#define SECTORS   256u
#define BYTES     (SECTORS * 512u)
#define BIT(n)    (UINT64_C(1) << (n))
#define WRITEBACK offsetof(struct virtio_blk_config, wce)
#define UNMAP     1u  /* VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP */
#define LIFETIME  10u /* VIRTIO_BLK_T_GET_LIFETIME */
#define LIMIT_US  10000u
#define IMAGE     "/tmp/kickstand-test-XXXXXX"

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

/* The image as a power cut now would leave it. The wrapper has no other way to hand it out. */
static uint8_t stable[BYTES];
static unsigned syncs;

int __wrap_fdatasync(int fd)
{
	int result = __real_fdatasync(fd);
	if (result == 0 && pread(fd, stable, sizeof(stable), 0) != (ssize_t)sizeof(stable))
		result = -1;
	syncs++;
	return result;
}

/* ---- running on an image ---- */

static void run_on_image(machine_body *body, const char *first, const char *second)
{
	char path[] = IMAGE;
	uint8_t sector[512];
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	for (unsigned i = 0; i < SECTORS; i++) {
		store_pattern(7, i, sector);
		assert_int_equal(write(fd, sector, sizeof(sector)), sizeof(sector));
	}
	close(fd);
	const struct machine_options options = {.disk = path};
	const char *const settings[] = {"device.queues=2", "host.vcpus=1", first ? first : "guest.check=on",
					second, NULL};
	machine_run_with(body, &options, settings);
	unlink(path);
}

static bool is_stable(const struct blk_request *request, const uint8_t *data)
{
	return memcmp(stable + request->sector * 512, data, request->data_bytes) == 0;
}

/* ---- writes one at a time ---- */

/* What the image holds when used.idx is written, which is when the driver may believe it is done. */
struct witness {
	struct machine *m;
	const struct blk_request *request;
	const uint8_t *data;
	bool seen, stable;
};

static void watch_used(void *ctx, uint64_t at_ps, bool from_card, const uint8_t *wire, size_t size)
{
	struct witness *witness = ctx;
	struct tlp tlp;
	uint64_t addr;
	uint32_t bytes;
	(void)at_ps;
	if (!machine_is_write(from_card, wire, size, &tlp, &addr, &bytes))
		return;
	if (addr != witness->m->blk.queue[0].vq.used_addr + 2)
		return;
	witness->seen = true;
	witness->stable = is_stable(witness->request, witness->data);
}

/* Writes a new pattern; true if it was stable when it was completed. */
static bool write_is_stable(struct machine *m, uint64_t sector, uint32_t bytes)
{
	struct blk_queue *queue = &m->blk.queue[0];
	struct blk_request request = {.type = VIRTIO_BLK_T_OUT, .sector = sector, .data_bytes = bytes};
	uint8_t *data = machine_guarded(m, bytes, DMA_TO_DEVICE, &request.data_addr);
	struct witness witness = {.m = m, .request = &request, .data = data};
	for (uint32_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)rng_u64(&m->rng);
	uint16_t used = machine_used_index(m, 0);
	root_tap(m->guest.root, watch_used, &witness);
	CHECK_EQUAL(blk_submit(&m->blk, queue, &request), 0);
	blk_publish(queue);
	machine_kick(m, 0);
	CHECK(machine_wait_used(m, 0, (uint16_t)(used + 1), LIMIT_US));
	root_tap(m->guest.root, NULL, NULL);
	CHECK(blk_take(queue) == &request);
	CHECK_EQUAL(request.status, VIRTIO_BLK_S_OK);
	CHECK(witness.seen);
	return witness.stable;
}

static void expect_stability(struct machine *m, bool expected)
{
	for (unsigned i = 0; i < 10; i++) {
		uint32_t bytes = 512 * (1 + (uint32_t)rng_below(&m->rng, 40));
		CHECK_EQUAL(write_is_stable(m, rng_below(&m->rng, SECTORS - 40), bytes), expected);
	}
}

static void without_cache_features(struct machine *m)
{
	machine_probe(m);
	machine_start_without(m, BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_CONFIG_WCE));
	expect_stability(m, true);
}

static void test_write_is_stable_if_neither_flush_nor_wce_is_negotiated(void **state)
{
	(void)state;
	run_on_image(without_cache_features, NULL, NULL);
	run_on_image(without_cache_features, "virtio.config_wce=off", NULL);
	run_on_image(without_cache_features, "device.offload=firmware", NULL);
}

/* Off, on and off again while the device runs. With the cache on writes need not be stable, and are not: the test sees the
 * difference. */
static void toggled_cache(struct machine *m)
{
	machine_probe(m);
	CHECK_EQUAL(virtio_config_read(&m->blk.virtio, WRITEBACK, 1), 1);
	for (unsigned i = 0; i < 6; i++) {
		virtio_config_write(&m->blk.virtio, WRITEBACK, 1, i % 2);
		CHECK_EQUAL(virtio_config_read(&m->blk.virtio, WRITEBACK, 1), i % 2);
		expect_stability(m, i % 2 == 0);
	}
	/* The field starts anew after a reset. */
	virtio_config_write(&m->blk.virtio, WRITEBACK, 1, 0);
	machine_restart(m);
	CHECK_EQUAL(virtio_config_read(&m->blk.virtio, WRITEBACK, 1), 1);
	expect_stability(m, false);
}

static void test_write_is_stable_if_writeback_is_0(void **state)
{
	(void)state;
	run_on_image(toggled_cache, "guest.config_wce=on", NULL);
	run_on_image(toggled_cache, "guest.config_wce=on", "device.offload=firmware");
}

/* CONFIG_WCE without FLUSH: it starts as write-through (D-134). */
static void wce_without_flush(struct machine *m)
{
	machine_probe(m);
	machine_start_without(m, BIT(VIRTIO_BLK_F_FLUSH));
	CHECK_EQUAL(virtio_config_read(&m->blk.virtio, WRITEBACK, 1), 0);
	expect_stability(m, true);
}

static void test_cache_is_off_if_only_wce_is_negotiated(void **state)
{
	(void)state;
	run_on_image(wce_without_flush, "guest.config_wce=on", NULL);
}

/* ---- writes and flushes in any order ---- */

#define PLACES 24u
#define PART   (SECTORS / PLACES) /* sectors each place has to itself */

struct place {
	struct blk_request request;
	uint8_t *data;
	bool busy, done, promised; /* promised: written before the flush that runs was submitted */
};

struct mix {
	struct machine *m;
	struct place place[PLACES];
	struct blk_request flush;
	bool flushing;
	unsigned flushes;
};

static void submit(struct mix *mix, struct blk_request *request)
{
	struct blk_queue *queue = &mix->m->blk.queue[rng_below(&mix->m->rng, 2)];
	CHECK_EQUAL(blk_submit(&mix->m->blk, queue, request), 0);
	if (blk_publish(queue))
		blk_kick(&mix->m->blk, queue);
}

static void submit_write(struct mix *mix, struct place *place)
{
	place->busy = true;
	place->done = place->promised = false;
	for (uint32_t i = 0; i < place->request.data_bytes; i++)
		place->data[i] = (uint8_t)rng_u64(&mix->m->rng);
	submit(mix, &place->request);
}

static void submit_flush(struct mix *mix)
{
	for (unsigned i = 0; i < PLACES; i++)
		mix->place[i].promised = mix->place[i].done;
	mix->flushing = true;
	mix->flush = (struct blk_request){.type = VIRTIO_BLK_T_FLUSH};
	submit(mix, &mix->flush);
}

static void take(struct mix *mix)
{
	struct blk_request *request;
	for (unsigned i = 0; i < 2; i++) {
		while ((request = blk_take(&mix->m->blk.queue[i])) != NULL) {
			CHECK_EQUAL(request->status, VIRTIO_BLK_S_OK);
			if (request != &mix->flush) {
				struct place *place = request->cookie;
				place->busy = false;
				place->done = true;
				continue;
			}
			for (unsigned j = 0; j < PLACES; j++)
				if (mix->place[j].promised)
					CHECK(is_stable(&mix->place[j].request, mix->place[j].data));
			mix->flushing = false;
			mix->flushes++;
		}
	}
}

static void mixed(struct machine *m)
{
	struct mix *mix = calloc(1, sizeof(*mix));
	ASSERT(mix);
	mix->m = m;
	machine_probe(m);
	for (unsigned i = 0; i < PLACES; i++) {
		struct place *place = &mix->place[i];
		place->request = (struct blk_request){.type = VIRTIO_BLK_T_OUT,
						      .sector = i * PART,
						      .data_bytes = PART * 512,
						      .cookie = place};
		place->data = machine_guarded(m, PART * 512, DMA_TO_DEVICE, &place->request.data_addr);
	}
	while (mix->flushes < 100) {
		struct place *place = &mix->place[rng_below(&m->rng, PLACES)];
		if (!place->busy && !place->promised)
			submit_write(mix, place);
		if (!mix->flushing && rng_below(&m->rng, 10) == 0)
			submit_flush(mix);
		machine_wait_us(m, rng_below(&m->rng, 5));
		take(mix);
		for (unsigned i = 0; !mix->flushing && i < PLACES; i++)
			mix->place[i].promised = false;
	}
	machine_wait_us(m, 1000);
	take(mix);
	CHECK(syncs >= 100);
	free(mix);
}

static void test_flush_makes_completed_writes_stable(void **state)
{
	(void)state;
	run_on_image(mixed, "media.jitter=100", NULL);
	run_on_image(mixed, "media.jitter=100", "guest.config_wce=on");
	run_on_image(mixed, "media.jitter=100", "device.offload=firmware");
	run_on_image(mixed, "media.jitter=100", "media.parallelism=1");
}

/* ---- ranges ---- */

static uint8_t change_range(struct machine *m, uint32_t type, uint64_t sector, uint32_t sectors,
			    uint32_t flags)
{
	struct blk_queue *queue = &m->blk.queue[0];
	struct blk_request request = {
		.type = type, .sector = sector, .sectors = sectors, .range_flags = flags};
	uint16_t used = machine_used_index(m, 0);
	CHECK_EQUAL(blk_submit(&m->blk, queue, &request), 0);
	blk_publish(queue);
	machine_kick(m, 0);
	CHECK(machine_wait_used(m, 0, (uint16_t)(used + 1), LIMIT_US));
	CHECK(blk_take(queue) == &request);
	return request.status;
}

static void zeroes(struct machine *m)
{
	static const uint8_t none[64 * 512];
	uint8_t data[64 * 512];
	uint8_t *disk = machine_disk(m);
	machine_probe(m);
	CHECK_EQUAL(virtio_config_read(&m->blk.virtio,
				       offsetof(struct virtio_blk_config, write_zeroes_may_unmap), 1),
		    store_info(m->store)->can_discard);
	for (unsigned i = 0; i < 40; i++) {
		uint32_t sectors = 1 + (uint32_t)rng_below(&m->rng, 64);
		uint64_t sector = rng_below(&m->rng, SECTORS - sectors + 1);
		CHECK_EQUAL(change_range(m, VIRTIO_BLK_T_WRITE_ZEROES, sector, sectors, i % 2 ? UNMAP : 0),
			    VIRTIO_BLK_S_OK);
		memset(disk + sector * 512, 0, (size_t)sectors * 512);
		machine_check_disk(m, disk, 0, 0);
		memset(data, 1, sizeof(data));
		CHECK_EQUAL(machine_request(m, 1, VIRTIO_BLK_T_IN, sector, data, sectors * 512, LIMIT_US),
			    VIRTIO_BLK_S_OK);
		CHECK(memcmp(data, none, (size_t)sectors * 512) == 0);
		/* Something to be zeroed again. */
		memset(data, 0x11 + (int)i, sizeof(data));
		CHECK_EQUAL(machine_request(m, 1, VIRTIO_BLK_T_OUT, 0, data, sizeof(data), LIMIT_US),
			    VIRTIO_BLK_S_OK);
		memcpy(disk, data, sizeof(data));
	}
	free(disk);
}

static void test_zeroes_are_zeroes_with_or_without_unmap(void **state)
{
	static const struct machine_options ram = {.disk = "ram:128k"};
	static const char *const settings[] = {"device.queues=2", "host.vcpus=1", NULL};
	(void)state;
	run_on_image(zeroes, NULL, NULL);
	machine_run_with(zeroes, &ram, settings);
}

/* Write-through is for zeroes, too. */
static void stable_zeroes(struct machine *m)
{
	static const uint8_t none[8 * 512];
	machine_probe(m);
	virtio_config_write(&m->blk.virtio, WRITEBACK, 1, 0);
	for (unsigned i = 0; i < 8; i++) {
		CHECK_EQUAL(change_range(m, VIRTIO_BLK_T_WRITE_ZEROES, 16 * i, 8, i % 2 ? UNMAP : 0),
			    VIRTIO_BLK_S_OK);
		CHECK(memcmp(stable + (size_t)16 * i * 512, none, sizeof(none)) == 0);
	}
}

static void test_zeroes_are_stable_if_writeback_is_0(void **state)
{
	(void)state;
	run_on_image(stable_zeroes, "guest.config_wce=on", NULL);
}

/* Discarded sectors may hold anything; the others hold what they did. */
static void discards(struct machine *m)
{
	uint8_t *disk = machine_disk(m);
	machine_probe(m);
	for (unsigned i = 0; i < 10; i++) {
		uint32_t sectors = 1 + (uint32_t)rng_below(&m->rng, 64);
		uint64_t sector = rng_below(&m->rng, SECTORS - sectors + 1);
		CHECK_EQUAL(change_range(m, VIRTIO_BLK_T_DISCARD, sector, sectors, 0), VIRTIO_BLK_S_OK);
		machine_check_disk(m, disk, sector, sectors);
		free(disk);
		disk = machine_disk(m);
	}
	machine_check_alive(m);
	free(disk);
}

static void test_discard_touches_nothing_else(void **state)
{
	(void)state;
	run_on_image(discards, NULL, NULL);
}

/* ---- read-only ---- */

static void read_only(struct machine *m)
{
	uint8_t data[4096] = {0};
	uint8_t *disk = machine_disk(m);
	machine_probe(m);
	CHECK(m->blk.read_only);
	for (unsigned i = 0; i < 2; i++) { /* accepted or not */
		CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_OUT, 8, data, sizeof(data), LIMIT_US),
			    VIRTIO_BLK_S_IOERR);
		CHECK_EQUAL(machine_request(m, 0, VIRTIO_BLK_T_IN, 8, data, sizeof(data), LIMIT_US),
			    VIRTIO_BLK_S_OK);
		CHECK(memcmp(data, disk + 8 * 512, sizeof(data)) == 0);
		memset(data, 0, sizeof(data));
		machine_check_disk(m, disk, 0, 0);
		machine_start_without(m, BIT(VIRTIO_BLK_F_RO));
	}
	free(disk);
}

static void test_read_only_device_takes_no_writes(void **state)
{
	(void)state;
	run_on_image(read_only, "device.read_only=on", NULL);
}

/* ---- what the device tells of the medium ---- */

static void lifetime(struct machine *m)
{
	uint8_t data[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	machine_probe(m);
	CHECK(virtio_has(&m->blk.virtio, 15 /* VIRTIO_BLK_F_LIFETIME */));
	CHECK_EQUAL(machine_request(m, 0, LIFETIME, 0, data, sizeof(data), LIMIT_US), VIRTIO_BLK_S_OK);
	CHECK(load_le16(data) <= 3);
	CHECK(load_le16(data + 2) <= 11);
	CHECK(load_le16(data + 4) <= 11);
}

static void test_lifetime_has_no_reserved_values(void **state)
{
	(void)state;
	run_on_image(lifetime, "virtio.lifetime=on", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_write_is_stable_if_neither_flush_nor_wce_is_negotiated, "D-159"),
		REQ_TEST(test_write_is_stable_if_writeback_is_0, "D-160"),
		REQ_TEST(test_cache_is_off_if_only_wce_is_negotiated, "D-134 D-160"),
		REQ_TEST(test_flush_makes_completed_writes_stable, "D-161"),
		REQ_TEST(test_zeroes_are_zeroes_with_or_without_unmap, "D-155 D-156 D-157"),
		REQ_TEST(test_zeroes_are_stable_if_writeback_is_0, "D-160"),
		REQ_TEST(test_discard_touches_nothing_else, "D-154"),
		REQ_TEST(test_read_only_device_takes_no_writes, "D-151 G-099"),
		REQ_TEST(test_lifetime_has_no_reserved_values, "D-165"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
