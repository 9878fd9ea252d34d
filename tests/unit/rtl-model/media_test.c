/* The medium's times against schedules computed here in another way, its barrier, its errors and its effects. */
#include "rtl-model/blocks/media/media.h"
#include "tests/check.h"
#include "tests/unit/rtl-model/media_dir.h"

#include <errno.h>
#include <fcntl.h>

#define BLOCK 4096u

/* ---- the calls that reach the disk, in order ---- */

#define CALLS_MAX 64

static struct {
	char kind[CALLS_MAX]; /* 'w' pwrite, 's' fdatasync */
	uint64_t offset[CALLS_MAX];
	unsigned count;
} calls;

ssize_t __real_pwrite(int fd, const void *data, size_t bytes, off_t offset);
int __real_fdatasync(int fd);
ssize_t __wrap_pwrite(int fd, const void *data, size_t bytes, off_t offset);
int __wrap_fdatasync(int fd);

static void record_call(char kind, uint64_t offset)
{
	if (calls.count == CALLS_MAX)
		return;
	calls.kind[calls.count] = kind;
	calls.offset[calls.count++] = offset;
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
	record_call('w', (uint64_t)offset);
	return __real_pwrite(fd, data, bytes, offset);
}

int __wrap_fdatasync(int fd)
{
	record_call('s', 0);
	return __real_fdatasync(fd);
}

/* ---- a medium with a clock ---- */

struct result {
	uint64_t pushed_ps, start_ps, end_ps;
	int error;
	unsigned times_done;
};

struct rig {
	struct config config;
	struct store *store;
	struct media_done_fifo done;
	struct media *media;
	uint64_t now_ps, next_ps;
	uint64_t outstanding_ps; /* integral of media_outstanding over time */
	unsigned pushed, completed;
	unsigned channels_busy_max;
	struct result *result; /* by cookie */
};

static struct rig *rig_new(uint64_t read_ps, unsigned parallelism, unsigned bandwidth_mbps,
			   unsigned jitter_pct)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	config_defaults(&rig->config);
	rig->config.media.read_ps = read_ps;
	rig->config.media.parallelism = parallelism;
	rig->config.media.bandwidth_mbps = bandwidth_mbps;
	rig->config.media.jitter_pct = jitter_pct;
	rig->next_ps = TIME_NEVER_PS;
	return rig;
}

static void rig_begin(struct rig *rig, const char *spec, bool read_only)
{
	char error[4096] = "";
	rig->store = store_open(spec, read_only, 1, error, sizeof(error));
	if (!rig->store)
		fail_msg("%s", error);
	rig->media = media_create(&rig->config, rig->store, &rig->done);
	assert_non_null(rig->media);
}

static void rig_free(struct rig *rig)
{
	media_free(rig->media);
	store_close(rig->store);
	free(rig->result);
	free(rig);
}

static void rig_collect(struct rig *rig)
{
	while (media_done_fifo_ready(&rig->done, rig->now_ps)) {
		uint64_t end_ps = media_done_fifo_next_ps(&rig->done);
		struct media_done done = media_done_fifo_pop(&rig->done, rig->now_ps);
		struct result *result = &rig->result[done.cookie];
		result->start_ps = done.start_ps;
		result->end_ps = end_ps;
		result->error = done.error;
		result->times_done++;
		rig->completed++;
	}
	assert_int_equal(media_done_fifo_count(&rig->done), 0);
}

static void rig_pass(struct rig *rig, uint64_t to_ps)
{
	rig->outstanding_ps += media_outstanding(rig->media) * (to_ps - rig->now_ps);
	rig->now_ps = to_ps;
}

static void rig_step(struct rig *rig)
{
	rig->next_ps = media_step(rig->media, rig->now_ps);
	assert_true(rig->next_ps > rig->now_ps);
	if (media_channels_busy(rig->media) > rig->channels_busy_max)
		rig->channels_busy_max = media_channels_busy(rig->media);
	rig_collect(rig);
}

static void rig_run_until(struct rig *rig, uint64_t to_ps)
{
	while (rig->next_ps <= to_ps) {
		rig_pass(rig, rig->next_ps);
		rig_step(rig);
	}
	rig_pass(rig, to_ps);
}

static void rig_finish(struct rig *rig)
{
	while (rig->next_ps != TIME_NEVER_PS) {
		rig_pass(rig, rig->next_ps);
		rig_step(rig);
	}
	assert_int_equal(rig->completed, rig->pushed);
	assert_int_equal(media_outstanding(rig->media), 0);
	assert_int_equal(media_channels_busy(rig->media), 0);
	for (unsigned i = 0; i < rig->pushed; i++)
		assert_int_equal(rig->result[i].times_done, 1);
}

/* Pushes without letting the medium run. Returns the cookie, which counts from 0. */
static unsigned rig_queue(struct rig *rig, uint64_t at_ps, struct media_request request)
{
	request.cookie = rig->pushed++;
	if ((request.cookie & (request.cookie - 1)) == 0)
		rig->result = realloc(rig->result, (2 * (size_t)request.cookie + 1) * sizeof(*rig->result));
	rig->result[request.cookie] = (struct result){.pushed_ps = at_ps};
	media_request_fifo_push(media_requests(rig->media), at_ps, request);
	return request.cookie;
}

/* As the device does it: time has come to `at_ps`, and the push wakes the medium. */
static unsigned rig_push(struct rig *rig, uint64_t at_ps, struct media_request request)
{
	rig_run_until(rig, at_ps);
	unsigned cookie = rig_queue(rig, at_ps, request);
	rig_step(rig);
	return cookie;
}

static uint8_t scratch[1 << 20];

static struct media_request read_of(uint64_t offset, uint64_t bytes)
{
	return (struct media_request){.op = MEDIA_READ, .offset = offset, .bytes = bytes, .data = scratch};
}

static struct media_request write_of(uint64_t offset, uint64_t bytes, uint8_t *data)
{
	return (struct media_request){.op = MEDIA_WRITE, .offset = offset, .bytes = bytes, .data = data};
}

static struct media_request flush(void)
{
	return (struct media_request){.op = MEDIA_FLUSH};
}

/* ---- times ---- */

static void test_media_single_access_takes_latency_and_transfer(void **state)
{
	(void)state;
	static const struct {
		struct media_request request;
		uint64_t expect_ps; /* read 8 us, write 10 us, flush 20 us; 1000 MB/s is 1000 ps a byte */
	} cases[] = {
		{{.op = MEDIA_READ, .bytes = 4096, .data = scratch}, 8000000 + 4096000},
		{{.op = MEDIA_READ, .bytes = 512, .data = scratch}, 8000000 + 512000},
		{{.op = MEDIA_READ, .bytes = 0, .data = scratch}, 8000000},
		{{.op = MEDIA_WRITE, .bytes = 4096, .data = scratch}, 10000000 + 4096000},
		{{.op = MEDIA_WRITE, .bytes = 4096, .data = scratch, .stable = true}, 30000000 + 4096000},
		{{.op = MEDIA_FLUSH}, 20000000},
		{{.op = MEDIA_DISCARD, .bytes = 1 << 20}, 10000000},
		{{.op = MEDIA_WRITE_ZEROES, .bytes = 1 << 20}, 10000000},
		{{.op = MEDIA_WRITE_ZEROES, .bytes = 1 << 20, .stable = true}, 30000000},
		{{.op = MEDIA_SECURE_ERASE, .bytes = 1 << 20}, 10000000},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rig *rig = rig_new(8000000, 4, 1000, 0);
		rig_begin(rig, "ram:1M", false);
		rig_push(rig, 12345, cases[i].request);
		rig_finish(rig);
		assert_int_equal(rig->result[0].start_ps, 12345);
		assert_int_equal(rig->result[0].end_ps, 12345 + cases[i].expect_ps);
		assert_int_equal(rig->result[0].error, 0);
		assert_int_equal(media_stats(rig->media)->accesses[cases[i].request.op], 1);
		rig_free(rig);
	}
}

static void test_media_random_arrivals_equal_k_server_recurrence(void **state)
{
	(void)state;
	uint64_t seed = test_seed(41);
	static const unsigned channels[] = {1, 2, 7, 64};
	enum { ACCESSES = 3000 };
	for (size_t c = 0; c < ARRAY_SIZE(channels); c++) {
		unsigned k = channels[c];
		struct rng rng;
		rng_seed(&rng, seed, k);
		struct rig *rig = rig_new(5000000, k, 1000, 0);
		rig_begin(rig, "ram:64M", false);
		uint64_t *end_ps = calloc(ACCESSES, sizeof(*end_ps));
		uint64_t *start_ps = calloc(ACCESSES, sizeof(*start_ps));
		uint64_t at_ps = 0, stage_ps = 0, busy_ps = 0, stall_ps = 0, stage_stall_ps = 0;
		for (unsigned i = 0; i < ACCESSES; i++) {
			/* Load near what the channels and the stage can take, so that queues come and go. */
			at_ps += rng_exponential(&rng, k < 3 ? 7500000 / k : 2100000);
			uint64_t bytes = 512 * (1 + rng_below(&rng, 8));
			rig_push(rig, at_ps, read_of(0, bytes));
			/* Equal latencies keep the order, so access i gets the channel that access i - k leaves. */
			start_ps[i] = i < k ? at_ps : max_u64(at_ps, end_ps[i - k]);
			uint64_t begin_ps = max_u64(stage_ps, start_ps[i] + 5000000);
			stage_ps = begin_ps + bytes * 1000;
			stage_stall_ps += begin_ps - (start_ps[i] + 5000000);
			end_ps[i] = stage_ps;
			busy_ps += end_ps[i] - start_ps[i];
			stall_ps += start_ps[i] - at_ps;
		}
		rig_finish(rig);
		for (unsigned i = 0; i < ACCESSES; i++) {
			assert_int_equal(rig->result[i].start_ps, start_ps[i]);
			assert_int_equal(rig->result[i].end_ps, end_ps[i]);
		}
		assert_int_equal(media_stats(rig->media)->busy_ps, busy_ps);
		assert_int_equal(media_stats(rig->media)->stall_channel_ps, stall_ps);
		assert_int_equal(media_stats(rig->media)->stall_transfer_ps, stage_stall_ps);
		assert_true(rig->channels_busy_max <= k);
		free(start_ps);
		free(end_ps);
		rig_free(rig);
	}
}

static void test_media_equal_times_end_in_order_of_push(void **state)
{
	(void)state;
	struct rig *rig = rig_new(5000000, 64, 1000, 0);
	rig_begin(rig, "ram:1M", false);
	for (unsigned i = 0; i < 64; i++)
		rig_push(rig, 0, read_of(0, 512));
	rig_finish(rig);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(rig->result[i].end_ps, 5000000 + (i + 1) * 512000);
	rig_free(rig);
}

/* Steps taken late find the same times as steps taken in time. */
static void test_media_stepped_late_gives_same_times(void **state)
{
	(void)state;
	uint64_t seed = test_seed(42);
	struct rig *prompt = rig_new(5000000, 3, 777, 50), *late = rig_new(5000000, 3, 777, 50);
	rig_begin(prompt, "ram:1M", false);
	rig_begin(late, "ram:1M", false);
	struct rng rng;
	rng_seed(&rng, seed, 0);
	uint64_t at_ps = 0;
	for (unsigned i = 0; i < 1000; i++) {
		struct media_request request =
			rng_below(&rng, 10) == 0 ? flush() : read_of(0, 512 * rng_below(&rng, 9));
		at_ps += rng_below(&rng, 4000000);
		rig_push(prompt, at_ps, request);
		rig_queue(late, at_ps, request);
	}
	rig_finish(prompt);
	late->now_ps = prompt->now_ps;
	rig_step(late);
	rig_finish(late);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(late->result[i].start_ps, prompt->result[i].start_ps);
		assert_int_equal(late->result[i].end_ps, prompt->result[i].end_ps);
	}
	rig_free(prompt);
	rig_free(late);
}

/* Keeps `depth` reads outstanding until `accesses` have been pushed. */
static void run_closed_loop(struct rig *rig, unsigned depth, unsigned accesses, uint64_t bytes)
{
	while (rig->pushed < accesses) {
		while (rig->pushed - rig->completed < depth && rig->pushed < accesses)
			rig_push(rig, rig->now_ps, read_of(0, bytes));
		rig_pass(rig, rig->next_ps);
		rig_step(rig);
	}
	rig_finish(rig);
}

static void test_media_saturated_reaches_bandwidth(void **state)
{
	(void)state;
	static const unsigned rates_mbps[] = {7, 999, 3000, 12000, 64000};
	enum { ACCESSES = 20000 };
	for (size_t i = 0; i < ARRAY_SIZE(rates_mbps); i++) {
		unsigned mbps = rates_mbps[i];
		struct rig *rig = rig_new(1000000, 512, mbps, 20);
		rig_begin(rig, "ram:1M", false);
		run_closed_loop(rig, 512, ACCESSES, BLOCK);
		/* 10^12 ps a second, 10^6 bytes an MB. */
		uint64_t ideal_ps = (uint64_t)ACCESSES * BLOCK * 1000000 / mbps;
		uint64_t took_ps = rig->now_ps;
		assert_true(took_ps >= ideal_ps);
		assert_true(took_ps - ideal_ps <= ideal_ps / 100);
		assert_int_equal(media_stats(rig->media)->read_bytes, (uint64_t)ACCESSES * BLOCK);
		rig_free(rig);
	}
}

/* 3 MB/s do not divide 10^6: what each access leaves over must not be lost. */
static void test_media_uneven_bandwidth_is_exact_in_the_long_run(void **state)
{
	(void)state;
	struct rig *rig = rig_new(0, 8, 3, 0);
	rig_begin(rig, "ram:1M", false);
	run_closed_loop(rig, 8, 3000, 511);
	assert_int_equal(rig->now_ps, UINT64_C(3000) * 511 * 1000000 / 3);
	rig_free(rig);
}

static void test_media_latency_bound_rate_is_channels_over_latency(void **state)
{
	(void)state;
	struct rig *rig = rig_new(8000000, 16, 1000000, 0);
	rig_begin(rig, "ram:1M", false);
	run_closed_loop(rig, 100, 16000, 512); /* 512 bytes at 1 TB/s: 512 ps */
	assert_in_range(rig->now_ps, UINT64_C(1000) * 8000512, UINT64_C(1000) * 8000512 + 16 * 512);
	assert_int_equal(rig->channels_busy_max, 16);
	rig_free(rig);
}

static void test_media_jitter_mean_and_shape_are_exponential(void **state)
{
	(void)state;
	static const unsigned jitter_pcts[] = {10, 30, 100};
	enum { ACCESSES = 200000 };
	const uint64_t mean_ps = 8000000;
	for (size_t j = 0; j < ARRAY_SIZE(jitter_pcts); j++) {
		struct rig *rig = rig_new(mean_ps, 256, 1000, jitter_pcts[j]);
		rig->config.sim.seed = test_seed(43);
		rig_begin(rig, "ram:1M", false);
		run_closed_loop(rig, 256, ACCESSES, 0); /* no bytes, no transfer stage */
		uint64_t random_ps = mean_ps * jitter_pcts[j] / 100, fixed_ps = mean_ps - random_ps,
			 sum_ps = 0;
		unsigned above[4] = {0}; /* the random part above n times its mean */
		for (unsigned i = 0; i < ACCESSES; i++) {
			uint64_t took_ps = rig->result[i].end_ps - rig->result[i].start_ps;
			sum_ps += took_ps;
			assert_true(took_ps >= fixed_ps);
			assert_true(took_ps <= fixed_ps + 23 * random_ps);
			for (unsigned n = 0; n < 4; n++)
				above[n] += took_ps > fixed_ps + n * random_ps;
		}
		assert_in_range(sum_ps / ACCESSES, mean_ps * 98 / 100, mean_ps * 102 / 100);
		/* exp(-1), exp(-2), exp(-3) of 200000, each with some five standard deviations. */
		assert_in_range(above[1], 73576 - 1100, 73576 + 1100);
		assert_in_range(above[2], 27067 - 800, 27067 + 800);
		assert_in_range(above[3], 9957 - 500, 9957 + 500);
		rig_free(rig);
	}
}

static void test_media_random_load_obeys_littles_law(void **state)
{
	(void)state;
	struct rig *rig = rig_new(8000000, 8, 2000, 40);
	struct rng rng;
	rng_seed(&rng, test_seed(44), 0);
	rig_begin(rig, "ram:1M", false);
	uint64_t at_ps = 0, in_system_ps = 0, in_channel_ps = 0;
	for (unsigned i = 0; i < 20000; i++) {
		at_ps += rng_exponential(&rng, 2200000);
		if (rng_below(&rng, 200) == 0)
			rig_push(rig, at_ps, flush());
		else
			rig_push(rig, at_ps, read_of(0, BLOCK));
	}
	rig_finish(rig);
	for (unsigned i = 0; i < rig->pushed; i++) {
		in_system_ps += rig->result[i].end_ps - rig->result[i].pushed_ps;
		in_channel_ps += rig->result[i].end_ps - rig->result[i].start_ps;
	}
	/* Number in the system, summed over time = time in the system, summed over accesses; likewise the channels and
	 * the queues before them. */
	const struct media_stats *stats = media_stats(rig->media);
	assert_int_equal(rig->outstanding_ps, in_system_ps);
	assert_int_equal(stats->busy_ps, in_channel_ps);
	assert_int_equal(stats->stall_channel_ps + stats->stall_barrier_ps, in_system_ps - in_channel_ps);
	rig_free(rig);
}

static void test_media_same_seed_same_times_other_seed_other_times(void **state)
{
	(void)state;
	struct rig *rig[3];
	for (unsigned r = 0; r < 3; r++) {
		rig[r] = rig_new(8000000, 4, 2000, 50);
		rig[r]->config.sim.seed = r < 2 ? 5 : 6;
		rig[r]->config.media.error_ppm = 200000;
		rig_begin(rig[r], "ram:1M", false);
		run_closed_loop(rig[r], 16, 500, BLOCK);
	}
	unsigned differing = 0, failing_otherwise = 0;
	for (unsigned i = 0; i < 500; i++) {
		assert_memory_equal(&rig[0]->result[i], &rig[1]->result[i], sizeof(struct result));
		differing += rig[0]->result[i].end_ps != rig[2]->result[i].end_ps;
		failing_otherwise += rig[0]->result[i].error != rig[2]->result[i].error;
	}
	assert_true(differing > 400);
	assert_true(failing_otherwise > 80); /* 2 * 0.2 * 0.8 of 500 is 160 */
	for (unsigned r = 0; r < 3; r++)
		rig_free(rig[r]);
}

/* ---- flushes ---- */

static void test_media_flush_starts_after_everything_before_it(void **state)
{
	(void)state;
	uint64_t seed = test_seed(45);
	static const unsigned channels[] = {1, 3, 1000};
	for (size_t c = 0; c < ARRAY_SIZE(channels); c++) {
		struct rng rng;
		rng_seed(&rng, seed, c);
		struct rig *rig = rig_new(8000000, channels[c], 4000, 80);
		rig->config.sim.seed = seed;
		rig->config.media.flush_ps = 3000000;
		rig_begin(rig, "ram:1M", false);
		uint64_t at_ps = 0;
		enum { ACCESSES = 4000 };
		bool *is_flush = calloc(ACCESSES, sizeof(bool));
		for (unsigned i = 0; i < ACCESSES; i++) {
			at_ps += rng_below(&rng, 20000000 / min_u64(channels[c], 8));
			is_flush[i] = rng_below(&rng, 5) == 0;
			rig_push(rig, at_ps, is_flush[i] ? flush() : read_of(0, BLOCK));
		}
		rig_finish(rig);
		uint64_t all_done_ps = 0; /* everything before access i */
		for (unsigned i = 0; i < ACCESSES; i++) {
			const struct result *result = &rig->result[i];
			if (is_flush[i])
				assert_true(result->start_ps >= all_done_ps);
			if (is_flush[i] && channels[c] == 1000)
				assert_int_equal(result->start_ps, max_u64(all_done_ps, result->pushed_ps));
			if (!is_flush[i] && channels[c] == 1000) /* not held up by the flush before it */
				assert_int_equal(result->start_ps, result->pushed_ps);
			all_done_ps = max_u64(all_done_ps, result->end_ps);
		}
		free(is_flush);
		rig_free(rig);
	}
}

static void test_media_flush_makes_earlier_writes_stable(void **state)
{
	char path[PATH_MAX];
	static uint8_t data[BLOCK];
	int fd = open(dir_file(state, "flush", path), O_CREAT | O_RDWR | O_TRUNC, 0600);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	struct rig *rig = rig_new(8000000, 16, 4000, 100);
	rig_begin(rig, path, false);
	calls.count = 0;
	for (unsigned i = 0; i < 8; i++)
		rig_push(rig, 0, write_of(i * BLOCK, BLOCK, data));
	unsigned cookie = rig_push(rig, 0, flush());
	unsigned late = rig_push(rig, 0, write_of(100 * BLOCK, BLOCK, data));
	while (rig->result[cookie].times_done == 0) {
		rig_pass(rig, rig->next_ps);
		rig_step(rig);
	}
	/* At the instant the flush is done: every one of the eight writes, then fdatasync. */
	unsigned synced = 0, written = 0;
	while (synced < calls.count && calls.kind[synced] != 's')
		written += calls.offset[synced++] < 8 * BLOCK;
	assert_true(synced < calls.count);
	assert_int_equal(written, 8);
	rig_finish(rig);
	assert_int_equal(rig->result[late].error, 0);
	rig_free(rig);
}

static void test_media_stable_write_is_synced_before_it_is_done(void **state)
{
	char path[PATH_MAX];
	static uint8_t data[BLOCK];
	int fd = open(dir_file(state, "stable", path), O_CREAT | O_RDWR | O_TRUNC, 0600);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	struct rig *rig = rig_new(8000000, 16, 4000, 0);
	rig_begin(rig, path, false);
	calls.count = 0;
	struct media_request request = write_of(BLOCK, BLOCK, data);
	rig_push(rig, 0, request);
	rig_finish(rig);
	assert_int_equal(calls.count, 1);
	request.stable = true;
	rig_push(rig, rig->now_ps, request);
	rig_finish(rig);
	assert_int_equal(calls.count, 3);
	assert_memory_equal(calls.kind, "wws", 3);
	rig_free(rig);
}

static void test_media_many_flushes_end_in_order(void **state)
{
	(void)state;
	struct rig *rig = rig_new(1000000000, 2, 4000, 0);
	rig->config.media.flush_ps = 1000;
	rig_begin(rig, "ram:1M", false);
	rig_push(rig, 0, read_of(0, 0));
	for (unsigned i = 0; i < 1023; i++)
		rig_queue(rig, 0, flush());
	rig_step(rig);
	assert_int_equal(media_outstanding(rig->media), 1024);
	rig_finish(rig);
	for (unsigned i = 1; i < 1024; i++) /* one after the other, behind the read */
		assert_int_equal(rig->result[i].end_ps, 1000000000 + i * 1000);
	rig_free(rig);
}

/* ---- back-pressure ---- */

static void count_wake(void *ctx, uint64_t at_ps)
{
	(void)at_ps;
	++*(unsigned *)ctx;
}

static void test_media_full_queue_wakes_producer_when_it_drains(void **state)
{
	(void)state;
	unsigned wakes = 0;
	struct waker producer = {count_wake, &wakes};
	struct rig *rig = rig_new(1000000, 2, 1000000, 0);
	rig_begin(rig, "ram:1M", false);
	struct media_request_fifo *queue = media_requests(rig->media);
	queue->producer = &producer;
	rig_push(rig, 0, read_of(0, 0));
	rig_push(rig, 0, read_of(0, 0));
	while (!media_request_fifo_full(queue))
		rig_push(rig, 0, read_of(0, 0)); /* both channels are taken */
	assert_int_equal(wakes, 0);
	assert_int_equal(media_request_fifo_count(queue), 1024);
	assert_int_equal(media_outstanding(rig->media), 1026);
	rig_run_until(rig, 1000000);
	assert_int_equal(wakes, 1);
	assert_int_equal(media_request_fifo_count(queue), 1022);
	rig_finish(rig);
	assert_int_equal(rig->channels_busy_max, 2);
	assert_int_equal(rig->now_ps, 513 * UINT64_C(1000000));
	rig_free(rig);
}

/* ---- effects ---- */

static uint8_t byte_at(struct store *store, uint64_t offset)
{
	uint8_t value;
	assert_int_equal(store_read(store, offset, &value, 1), 0);
	return value;
}

static void test_media_write_takes_effect_at_its_end(void **state)
{
	(void)state;
	static uint8_t data[BLOCK];
	struct rig *rig = rig_new(8000000, 4, 1000, 0);
	rig_begin(rig, "ram:1M", false);
	uint8_t before = byte_at(rig->store, 5 * BLOCK);
	memset(data, before ^ 0x10, sizeof(data));
	rig_push(rig, 0, write_of(5 * BLOCK, BLOCK, data));
	rig_run_until(rig, 10000000 + 4096000 - 1);
	assert_int_equal(byte_at(rig->store, 5 * BLOCK), before);
	memset(data, before ^ 0x20, sizeof(data)); /* the data that counts is what is there at the end */
	rig_run_until(rig, 10000000 + 4096000);
	assert_int_equal(byte_at(rig->store, 5 * BLOCK), before ^ 0x20);
	assert_int_equal(media_stats(rig->media)->write_bytes, BLOCK);
	rig_free(rig);
}

static void test_media_overlapping_accesses_apply_in_order_of_end(void **state)
{
	(void)state;
	static uint8_t data[100][512];
	struct rig *rig = rig_new(8000000, 100, 100000, 100);
	rig->config.sim.seed = test_seed(46);
	rig_begin(rig, "ram:1M", false);
	for (unsigned i = 0; i < 100; i++) {
		memset(data[i], (int)i, 512);
		rig_push(rig, 0, write_of(0, 512, data[i]));
	}
	rig_finish(rig);
	unsigned last = 0;
	for (unsigned i = 0; i < 100; i++)
		if (rig->result[i].end_ps >= rig->result[last].end_ps)
			last = i;
	assert_int_equal(byte_at(rig->store, 0), last);
	rig_free(rig);
}

static void test_media_read_fills_buffer_at_its_end(void **state)
{
	(void)state;
	static uint8_t data[BLOCK + 1], expect[BLOCK];
	struct rig *rig = rig_new(8000000, 4, 1000, 0);
	rig_begin(rig, "ram:1M", false);
	memset(data, 0xee, sizeof(data));
	for (unsigned i = 0; i < BLOCK / 512; i++)
		store_pattern(1, 8 + i, expect + i * 512);
	rig_push(rig, 0,
		 (struct media_request){.op = MEDIA_READ, .offset = BLOCK, .bytes = BLOCK, .data = data});
	rig_run_until(rig, 8000000 + 4096000 - 1);
	for (unsigned i = 0; i < BLOCK; i++)
		assert_int_equal(data[i], 0xee);
	rig_finish(rig);
	assert_memory_equal(data, expect, BLOCK);
	assert_int_equal(data[BLOCK], 0xee);
	rig_free(rig);
}

static void test_media_zeroing_operations_leave_zeroes(void **state)
{
	(void)state;
	static const struct {
		enum media_op op;
		bool may_unmap;
	} cases[] = {{MEDIA_WRITE_ZEROES, false}, {MEDIA_WRITE_ZEROES, true}, {MEDIA_SECURE_ERASE, false}};
	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		struct rig *rig = rig_new(8000000, 4, 1000, 0);
		rig_begin(rig, "ram:1M", false);
		uint8_t before = byte_at(rig->store, 511), after = byte_at(rig->store, 512 + 9000);
		rig_push(rig, 0,
			 (struct media_request){.op = cases[c].op,
						.offset = 512,
						.bytes = 9000,
						.may_unmap = cases[c].may_unmap});
		rig_finish(rig);
		for (unsigned i = 0; i < 9000; i++)
			assert_int_equal(byte_at(rig->store, 512 + i), 0);
		assert_int_equal(byte_at(rig->store, 511), before);
		assert_int_equal(byte_at(rig->store, 512 + 9000), after);
		rig_free(rig);
	}
}

/* ---- errors ---- */

static void test_media_error_range_hits_what_touches_it(void **state)
{
	(void)state;
	static const struct {
		enum media_op op;
		uint64_t sector, sectors;
		bool error_reads, error_writes;
		int error;
	} cases[] = {
		/* The range is sectors 100..199. */
		{MEDIA_READ, 99, 1, true, true, 0},          {MEDIA_READ, 100, 1, true, true, -EIO},
		{MEDIA_READ, 199, 1, true, true, -EIO},      {MEDIA_READ, 200, 1, true, true, 0},
		{MEDIA_READ, 92, 8, true, true, 0},          {MEDIA_READ, 93, 8, true, true, -EIO},
		{MEDIA_READ, 50, 500, true, true, -EIO},     {MEDIA_READ, 150, 0, true, true, 0},
		{MEDIA_READ, 150, 1, false, true, 0},        {MEDIA_WRITE, 150, 1, false, true, -EIO},
		{MEDIA_WRITE, 150, 1, true, false, 0},       {MEDIA_WRITE_ZEROES, 150, 1, true, true, -EIO},
		{MEDIA_DISCARD, 150, 1, true, true, -EIO},   {MEDIA_SECURE_ERASE, 150, 1, true, true, -EIO},
		{MEDIA_SECURE_ERASE, 200, 1, true, true, 0}, {MEDIA_FLUSH, 0, 0, true, true, 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rig *rig = rig_new(8000000, 4, 1000, 0);
		rig->config.media.error_ppm = 1000000;
		rig->config.media.error_first_sector = 100;
		rig->config.media.error_last_sector = 199;
		rig->config.media.error_reads = cases[i].error_reads;
		rig->config.media.error_writes = cases[i].error_writes;
		rig_begin(rig, "ram:1M", false);
		static uint8_t data[500 * 512];
		memset(data, 0xee, sizeof(data));
		uint64_t offset = cases[i].sector * 512;
		uint8_t before[512], after[512];
		assert_int_equal(store_read(rig->store, offset, before, 512), 0);
		rig_push(rig, 0,
			 (struct media_request){.op = cases[i].op,
						.offset = offset,
						.bytes = cases[i].sectors * 512,
						.data = data});
		rig_finish(rig);
		assert_int_equal(rig->result[0].error, cases[i].error);
		assert_int_equal(media_stats(rig->media)->errors_injected, cases[i].error != 0);
		if (cases[i].error) /* the latency, and no transfer */
			assert_int_equal(rig->result[0].end_ps,
					 cases[i].op == MEDIA_READ ? 8000000 : 10000000);
		assert_int_equal(store_read(rig->store, offset, after, 512), 0);
		if (cases[i].error || cases[i].op == MEDIA_READ)
			assert_memory_equal(before, after, 512);
		for (size_t b = 0; cases[i].error && b < sizeof(data); b++)
			assert_int_equal(data[b], 0xee);
		assert_null(store_error(rig->store));
		rig_free(rig);
	}
}

static void test_media_error_rate_is_met_and_leaves_times_alone(void **state)
{
	(void)state;
	enum { ACCESSES = 50000 };
	struct rig *rig[2];
	uint64_t seed = test_seed(47);
	for (unsigned r = 0; r < 2; r++) {
		rig[r] = rig_new(8000000, 32, 1000, 60);
		rig[r]->config.sim.seed = seed;
		rig[r]->config.media.error_ppm = r * 100000;
		rig_begin(rig[r], "ram:1M", false);
		for (unsigned i = 0; i < ACCESSES;
		     i++) /* discards have no transfer that an error could leave out */
			rig_push(rig[r], i * UINT64_C(500000),
				 (struct media_request){.op = MEDIA_DISCARD, .bytes = 512});
		rig_finish(rig[r]);
	}
	unsigned errors = 0;
	for (unsigned i = 0; i < ACCESSES; i++) {
		errors += rig[1]->result[i].error != 0;
		assert_int_equal(rig[0]->result[i].error, 0);
		assert_int_equal(rig[0]->result[i].end_ps, rig[1]->result[i].end_ps);
	}
	assert_in_range(errors, 5000 - 350, 5000 + 350); /* five standard deviations */
	assert_int_equal(media_stats(rig[1]->media)->errors_injected, errors);
	rig_free(rig[0]);
	rig_free(rig[1]);
}

static void test_media_beyond_capacity_fails_and_touches_nothing(void **state)
{
	(void)state;
	static const struct {
		enum media_op op;
		uint64_t offset, bytes;
		int error;
	} cases[] = {
		/* The medium has been set to 100 sectors of a 1 MiB store. */
		{MEDIA_READ, 99 * 512, 512, 0},
		{MEDIA_READ, 100 * 512, 512, -EIO},
		{MEDIA_READ, 99 * 512, 1024, -EIO},
		{MEDIA_READ, 100 * 512, 0, 0},
		{MEDIA_READ, 101 * 512, 0, -EIO},
		{MEDIA_READ, UINT64_MAX - 511, 512, -EIO},
		{MEDIA_READ, UINT64_MAX, UINT32_MAX, -EIO},
		{MEDIA_WRITE, 100 * 512, 512, -EIO},
		{MEDIA_WRITE, UINT64_C(1) << 63, 512, -EIO},
		{MEDIA_DISCARD, 0, UINT64_MAX, -EIO},
		{MEDIA_DISCARD, 1, UINT64_MAX, -EIO},
		{MEDIA_DISCARD, 0, 101 * 512, -EIO},
		{MEDIA_WRITE_ZEROES, 512, 100 * 512, -EIO},
		{MEDIA_SECURE_ERASE, 512, 100 * 512, -EIO},
		{MEDIA_WRITE_ZEROES, 512, 99 * 512, 0},
		{MEDIA_FLUSH, UINT64_MAX, UINT64_MAX, 0},
	};
	static uint8_t data[1024];
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rig *rig = rig_new(8000000, 4, 1000, 0);
		rig_begin(rig, "ram:1M", false);
		assert_int_equal(media_sectors(rig->media), 2048);
		media_set_sectors(rig->media, 100);
		assert_int_equal(media_sectors(rig->media), 100);
		uint8_t expect[512], found[512];
		store_pattern(1, 100, expect);
		rig_push(rig, 0,
			 (struct media_request){.op = cases[i].op,
						.offset = cases[i].offset,
						.bytes = cases[i].bytes,
						.data = data});
		rig_finish(rig);
		assert_int_equal(rig->result[0].error, cases[i].error);
		assert_int_equal(media_stats(rig->media)->errors_range, cases[i].error != 0);
		assert_int_equal(store_read(rig->store, 100 * 512, found, 512), 0);
		assert_memory_equal(found, expect, 512);
		rig_free(rig);
	}
}

static void test_media_capacity_grows_up_to_the_store(void **state)
{
	(void)state;
	struct rig *rig = rig_new(8000000, 4, 1000, 0);
	rig_begin(rig, "ram:1M", false);
	media_set_sectors(rig->media, 10);
	media_set_sectors(rig->media, UINT64_MAX);
	assert_int_equal(media_sectors(rig->media), 2048);
	rig_push(rig, 0, read_of(2047 * 512, 512));
	rig_finish(rig);
	assert_int_equal(rig->result[0].error, 0);
	rig_free(rig);
}

static void test_media_store_errors_are_counted_and_handed_on(void **state)
{
	(void)state;
	struct rig *rig = rig_new(8000000, 4, 1000, 0);
	rig_begin(rig, "ram:1M", true);
	rig_push(rig, 0, write_of(0, 512, scratch));
	rig_push(rig, 0, (struct media_request){.op = MEDIA_DISCARD, .bytes = 512});
	rig_push(rig, 0, read_of(0, 512));
	rig_finish(rig);
	assert_int_equal(rig->result[0].error, -EROFS);
	assert_int_equal(rig->result[1].error, -EROFS);
	assert_int_equal(rig->result[2].error, 0);
	assert_int_equal(media_stats(rig->media)->errors_store, 2);
	assert_int_equal(media_stats(rig->media)->write_bytes, 0);
	assert_int_equal(media_stats(rig->media)->read_bytes, 512);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_media_single_access_takes_latency_and_transfer),
		cmocka_unit_test(test_media_random_arrivals_equal_k_server_recurrence),
		cmocka_unit_test(test_media_equal_times_end_in_order_of_push),
		cmocka_unit_test(test_media_stepped_late_gives_same_times),
		cmocka_unit_test(test_media_saturated_reaches_bandwidth),
		cmocka_unit_test(test_media_uneven_bandwidth_is_exact_in_the_long_run),
		cmocka_unit_test(test_media_latency_bound_rate_is_channels_over_latency),
		cmocka_unit_test(test_media_jitter_mean_and_shape_are_exponential),
		cmocka_unit_test(test_media_random_load_obeys_littles_law),
		cmocka_unit_test(test_media_same_seed_same_times_other_seed_other_times),
		cmocka_unit_test(test_media_flush_starts_after_everything_before_it),
		REQ_TEST(test_media_flush_makes_earlier_writes_stable, "D-161"),
		cmocka_unit_test(test_media_stable_write_is_synced_before_it_is_done),
		cmocka_unit_test(test_media_many_flushes_end_in_order),
		cmocka_unit_test(test_media_full_queue_wakes_producer_when_it_drains),
		cmocka_unit_test(test_media_write_takes_effect_at_its_end),
		cmocka_unit_test(test_media_overlapping_accesses_apply_in_order_of_end),
		cmocka_unit_test(test_media_read_fills_buffer_at_its_end),
		REQ_TEST(test_media_zeroing_operations_leave_zeroes, "D-156"),
		cmocka_unit_test(test_media_error_range_hits_what_touches_it),
		cmocka_unit_test(test_media_error_rate_is_met_and_leaves_times_alone),
		cmocka_unit_test(test_media_beyond_capacity_fails_and_touches_nothing),
		cmocka_unit_test(test_media_capacity_grows_up_to_the_store),
		cmocka_unit_test(test_media_store_errors_are_counted_and_handed_on),
	};
	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
