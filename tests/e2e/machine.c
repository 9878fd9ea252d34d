#include "tests/e2e/machine.h"

#include "host-sim/driver/settings.h"
#include "pcie/tlp.h"

#include <linux/virtio_blk.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_PS     (60 * PS_PER_S)
#define POLL_PS      (200 * PS_PER_NS)
#define POLL_MAX_PS  (100 * PS_PER_US)
#define ALIVE_SECTOR 8u
#define ALIVE_BYTES  4096u
#define GUARD_BYTES  64u
#define GUARD        0xa5u
#define SETTINGS_MAX 16u
#define MAX_BYTES    (UINT32_C(1) << 20) /* of a request's data */

void machine_check_failed(const char *condition, const char *file, int line)
{
	printf("%s:%d: at %" PRIu64 " ns: %s\n", file, line, kernel_now_ps() / PS_PER_NS, condition);
	fflush(stdout);
	_exit(1);
}

void machine_check_unequal(const char *a, uint64_t a_value, const char *b, uint64_t b_value, const char *file,
			   int line)
{
	printf("%s:%d: at %" PRIu64 " ns: %s is %#" PRIx64 ", %s is %#" PRIx64 "\n", file, line,
	       kernel_now_ps() / PS_PER_NS, a, a_value, b, b_value);
	fflush(stdout);
	_exit(1);
}

/* ---- running a case ---- */

struct job {
	struct machine *machine;
	machine_body *body;
};

static void run_body(void *arg)
{
	struct job *job = arg;
	job->body(job->machine);
	job->machine->done = true;
	kernel_stop();
}

static void log_line(void *user, const char *line)
{
	struct machine *m = user;
	m->log_lines++;
	snprintf(m->last_log, sizeof(m->last_log), "%s", line);
	printf("%10.3f us  %s\n", (double)kernel_now_ps() / (double)PS_PER_US, line);
}

static void configure(struct machine *m, const char *const *settings)
{
	char error[300];
	config_defaults(&m->config);
	CHECK(config_set(&m->config, "host.memory=64M", error, sizeof(error)) == 0);
	m->config.device.queue_size = MACHINE_QUEUE_SIZE;
#ifdef MACHINE_RTL
	m->config.device.impl = CONFIG_IMPL_RTL;
#endif
	for (; settings && *settings; settings++) {
		if (config_set(&m->config, *settings, error, sizeof(error)) != 0) {
			printf("%s\n", error);
			_exit(1);
		}
	}
	if (config_check(&m->config, error, sizeof(error)) != 0) {
		printf("%s\n", error);
		_exit(1);
	}
}

static void check_end(struct machine *m, const struct machine_options *options)
{
	const char *what = "";
	if (!m->done) {
		printf("the test did not end: %s\n",
		       kernel_next_ps() == TIME_NEVER_PS ? "deadlock" : "too long");
		device_dump(m->guest.device, stdout);
		_exit(1);
	}
	if (!options->may_fail)
		CHECK_EQUAL(device_failure(m->guest.device), DEVICE_OK);
	root_sync(m->guest.root);
	machine_check_guards(m);
	CHECK(root_stats(m->guest.root)->violations <= options->violations);
	if (options->may_stay_busy || options->may_fail)
		return;
	/* Longer than the longest completion timeout: nothing may be left waiting for anything. */
	kernel_run(kernel_now_ps() + 200 * PS_PER_MS);
	if (!device_quiescent(m->guest.device, &what)) {
		printf("not idle after the test: %s\n", what);
		device_dump(m->guest.device, stdout);
		_exit(1);
	}
}

_Noreturn static void child(machine_body *body, const struct machine_options *options,
			    const char *const *settings)
{
	static struct machine machine;
	struct machine *m = &machine;
	struct job job = {m, body};
	char error[300];
	configure(m, settings);
	m->arg = options->arg;
	rng_seed(&m->rng, test_seed(m->config.sim.seed), 0x74657374);
	m->store = store_open(options->disk ? options->disk : "ram:16M",
			      m->config.device.read_only && !options->disk_writable, m->config.sim.seed,
			      error, sizeof(error));
	if (!m->store) {
		printf("%s\n", error);
		_exit(1);
	}
	const struct guest_options guest = {.firmware_path = "build/firmware/firmware.elf",
					    .store = m->store,
					    .user = m,
					    .log = log_line};
	if (guest_create(&m->guest, &m->config, &guest, error, sizeof(error)) != 0) {
		printf("%s\n", error);
		_exit(1);
	}
	m->ops = &m->guest.ops;
	kernel_thread_spawn("body", run_body, &job);
	kernel_run(LIMIT_PS);
	check_end(m, options);
	blk_free(&m->blk);
	guest_destroy(&m->guest);
	store_close(m->store);
	free(m->guarded);
	fflush(stdout);
	_exit(0);
}

void machine_run_with(machine_body *body, const struct machine_options *options, const char *const *settings)
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		child(body, options, settings);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("the machine's process ended with status %#x", status);
}

/* The strings up to NULL, in an array that holds SETTINGS_MAX. */
static unsigned take_settings(const char **settings, va_list args)
{
	unsigned count = 0;
	for (;;) {
		assert_true(count < SETTINGS_MAX);
		settings[count] = va_arg(args, const char *);
		if (!settings[count])
			return count;
		count++;
	}
}

void machine_run(machine_body *body, ...)
{
	const struct machine_options options = {0};
	const char *settings[SETTINGS_MAX];
	va_list args;
	va_start(args, body);
	take_settings(settings, args);
	va_end(args);
	machine_run_with(body, &options, settings);
}

static bool firmware_polls(const char *const settings[], unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (strncmp(settings[i], "core.poll_ns=", strlen("core.poll_ns=")) == 0)
			return true;
	return false;
}

void machine_run_levels(machine_body *body, const struct machine_options *options, ...)
{
	static const struct machine_options none;
	const char *settings[SETTINGS_MAX + 1];
	va_list args;
	va_start(args, options);
	unsigned count = take_settings(settings, args);
	va_end(args);
	settings[count + 1] = NULL;
	settings[count] = "device.offload=fetch";
	machine_run_with(body, options ? options : &none, settings);
	settings[count] = "device.offload=firmware";
	machine_run_with(body, options ? options : &none, settings);
	if (firmware_polls(settings, count)) /* only after requests that it sees */
		return;
	settings[count] = "device.offload=full";
	machine_run_with(body, options ? options : &none, settings);
}

bool machine_is_write(bool from_card, const uint8_t *wire, size_t size, struct tlp *tlp, uint64_t *addr,
		      uint32_t *bytes)
{
	if (!from_card || tlp_decode(tlp, wire, size) != TLP_OK || tlp->type != TLP_MWR)
		return false;
	tlp_get_span(tlp, addr, bytes);
	return true;
}

/* ---- the ordinary driver ---- */

static void must(int result, const char *error)
{
	if (result == 0)
		return;
	printf("%s\n", error);
	machine_check_failed("the driver gets the card going", __FILE__, __LINE__);
}

void machine_probe(struct machine *m)
{
	struct blk_settings settings = blk_settings_of(&m->config, MAX_BYTES, m->guest.cpus);
	char error[300] = "";
	must(blk_probe(&m->blk, m->ops, &settings, error, sizeof(error)), error);
}

void machine_find(struct machine *m)
{
	struct blk_settings settings = blk_settings_of(&m->config, MAX_BYTES, m->guest.cpus);
	char error[300] = "";
	m->blk.settings = settings;
	must(pci_probe(&m->blk.pci, m->ops, &settings.pci, error, sizeof(error)), error);
	must(virtio_find(&m->blk.virtio, &m->blk.pci, error, sizeof(error)), error);
}

void machine_restart(struct machine *m)
{
	char error[300] = "";
	must(blk_restart(&m->blk, error, sizeof(error)), error);
}

void machine_renegotiate(struct machine *m, uint64_t without)
{
	char error[300] = "";
	must(virtio_negotiate(&m->blk.virtio, m->blk.virtio.features & ~without, error, sizeof(error)),
	     error);
	for (unsigned i = 0; i < m->blk.queues; i++)
		virtqueue_reset(&m->blk.queue[i].vq);
	if (m->blk.vectors)
		CHECK_EQUAL(virtio_config_vector(&m->blk.virtio, BLK_CONFIG_VECTOR), 0);
}

void machine_enable(struct machine *m, unsigned queue, const struct virtqueue *vq)
{
	CHECK_EQUAL(virtio_queue_enable(&m->blk.virtio, queue, vq, m->blk.queue[queue].vector), 0);
}

void machine_driver_ok(struct machine *m)
{
	virtio_add_status(&m->blk.virtio, VIRTIO_CONFIG_S_DRIVER_OK);
}

void machine_start_without(struct machine *m, uint64_t without)
{
	machine_renegotiate(m, without);
	for (unsigned i = 0; i < m->blk.queues; i++)
		machine_enable(m, i, &m->blk.queue[i].vq);
	machine_driver_ok(m);
}

void machine_wait_us(struct machine *m, uint64_t us)
{
	(void)m;
	kernel_wait_ps(us * PS_PER_US);
}

bool machine_wait_until(struct machine *m, bool (*condition)(void *ctx), void *ctx, uint64_t limit_us)
{
	uint64_t limit_ps = kernel_now_ps() + limit_us * PS_PER_US;
	for (;;) {
		root_sync(m->guest.root);
		if (condition(ctx))
			return true;
		if (kernel_now_ps() >= limit_ps)
			return false;
		kernel_wait_ps(POLL_PS);
	}
}

uint8_t machine_wait_status(struct machine *m, uint8_t mask, bool set, uint64_t limit_us)
{
	uint64_t limit_ps = kernel_now_ps() + limit_us * PS_PER_US, pause_ps = POLL_PS;
	for (;;) {
		uint8_t status = virtio_status(&m->blk.virtio);
		if ((status & mask) == (set ? mask : 0) || kernel_now_ps() >= limit_ps)
			return status;
		kernel_wait_ps(pause_ps);
		if (pause_ps < POLL_MAX_PS)
			pause_ps *= 2; /* a completion timeout takes milliseconds */
	}
}

bool machine_took_interrupt(struct machine *m, unsigned vector)
{
	uint64_t *pending = &m->guest.cpu[0].pending[vector / 64];
	uint64_t bit = UINT64_C(1) << (vector % 64);
	bool took = *pending & bit;
	*pending &= ~bit;
	return took;
}

uint8_t *machine_memory(struct machine *m, uint64_t bytes, enum dma_direction direction, uint64_t *addr)
{
	uint8_t *data = m->ops->dma_alloc(m->ops->ctx, bytes, 4096, direction, addr);
	CHECK(data != NULL);
	return data;
}

/* ---- guards ---- */

uint8_t *machine_guarded(struct machine *m, uint64_t bytes, enum dma_direction direction, uint64_t *addr)
{
	if (m->guarded_count == m->guarded_room) {
		m->guarded_room = m->guarded_room ? 2 * m->guarded_room : 64;
		m->guarded = realloc(m->guarded, m->guarded_room * sizeof(*m->guarded));
		ASSERT(m->guarded);
	}
	uint8_t *all = memory_alloc(&m->guest.memory, bytes + 2 * GUARD_BYTES, GUARD_BYTES, addr);
	CHECK(all != NULL);
	*addr += GUARD_BYTES;
	root_allow(m->guest.root, *addr, bytes,
		   (direction & DMA_TO_DEVICE ? ROOT_READ : 0) |
			   (direction & DMA_FROM_DEVICE ? ROOT_WRITE : 0));
	memset(all, GUARD, GUARD_BYTES);
	memset(all + GUARD_BYTES + bytes, GUARD, GUARD_BYTES);
	m->guarded[m->guarded_count++] = (struct machine_guarded){all + GUARD_BYTES, bytes};
	return all + GUARD_BYTES;
}

void machine_check_guards(struct machine *m)
{
	for (unsigned i = 0; i < m->guarded_count; i++) {
		const struct machine_guarded *guarded = &m->guarded[i];
		for (unsigned j = 0; j < GUARD_BYTES; j++) {
			CHECK_EQUAL(*(guarded->data - 1 - j), GUARD);
			CHECK_EQUAL(guarded->data[guarded->bytes + j], GUARD);
		}
	}
}

/* ---- the disk ---- */

uint8_t *machine_disk(struct machine *m)
{
	uint64_t bytes = store_info(m->store)->bytes;
	uint8_t *data = malloc(bytes);
	ASSERT(data);
	CHECK_EQUAL(store_read(m->store, 0, data, bytes), 0);
	return data;
}

void machine_check_disk(struct machine *m, const uint8_t *expected, uint64_t sector, uint64_t sectors)
{
	uint64_t total = store_info(m->store)->bytes / STORE_SECTOR_BYTES;
	uint8_t *now = machine_disk(m);
	for (uint64_t i = 0; i < total; i++) {
		if (i - sector < sectors)
			continue;
		uint64_t at = i * STORE_SECTOR_BYTES;
		if (memcmp(now + at, expected + at, STORE_SECTOR_BYTES) != 0) {
			printf("sector %" PRIu64 " has changed\n", i);
			machine_check_failed("the disk is as it was", __FILE__, __LINE__);
		}
	}
	free(now);
}

static bool has_used(void *ctx)
{
	return virtqueue_has_used(ctx);
}

unsigned machine_request(struct machine *m, unsigned queue_index, uint32_t type, uint64_t sector,
			 uint8_t *data, uint32_t bytes, uint64_t limit_us)
{
	struct blk_queue *queue = &m->blk.queue[queue_index];
	bool range = type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES ||
		     type == VIRTIO_BLK_T_SECURE_ERASE;
	struct blk_request request = {.type = type,
				      .sector = sector,
				      .sectors = range ? bytes / 512 : 0,
				      .data_bytes = range ? 0 : bytes};
	uint8_t *buffer = machine_memory(m, bytes ? bytes : 1, DMA_BOTH, &request.data_addr);
	if (data && type == VIRTIO_BLK_T_OUT)
		memcpy(buffer, data, bytes);
	CHECK(blk_submit(&m->blk, queue, &request) == 0);
	if (blk_publish(queue))
		blk_kick(&m->blk, queue);
	if (!machine_wait_until(m, has_used, &queue->vq, limit_us))
		return 0x100;
	CHECK(blk_take(queue) == &request);
	virtqueue_enable_interrupts(&queue->vq);
	if (data && type != VIRTIO_BLK_T_OUT)
		memcpy(data, buffer, bytes);
	return request.status;
}

void machine_check_queue(struct machine *m, unsigned queue)
{
	uint8_t out[ALIVE_BYTES], in[ALIVE_BYTES];
	for (unsigned j = 0; j < ALIVE_BYTES; j++)
		out[j] = (uint8_t)rng_u64(&m->rng);
	memset(in, 0, sizeof(in));
	if (!m->blk.read_only)
		CHECK_EQUAL(machine_request(m, queue, VIRTIO_BLK_T_OUT, ALIVE_SECTOR, out, ALIVE_BYTES, 1000),
			    0);
	CHECK_EQUAL(machine_request(m, queue, VIRTIO_BLK_T_IN, ALIVE_SECTOR, in, ALIVE_BYTES, 1000), 0);
	if (!m->blk.read_only)
		CHECK(memcmp(in, out, ALIVE_BYTES) == 0);
}

void machine_check_alive(struct machine *m)
{
	for (unsigned i = 0; i < m->blk.queues; i++)
		machine_check_queue(m, i);
}

/* ---- rings by hand ---- */

static struct virtqueue *vq_of(struct machine *m, unsigned queue)
{
	return &m->blk.queue[queue].vq;
}

void machine_desc(struct machine *m, unsigned queue, uint16_t index, uint64_t addr, uint32_t len,
		  uint16_t flags, uint16_t next)
{
	vq_of(m, queue)->desc[index] =
		(struct vring_desc){.addr = addr, .len = len, .flags = flags, .next = next};
}

uint16_t machine_avail_index(struct machine *m, unsigned queue)
{
	return load_le16(vq_of(m, queue)->avail + 2);
}

void machine_set_avail_index(struct machine *m, unsigned queue, uint16_t index)
{
	store_le16(vq_of(m, queue)->avail + 2, index);
}

void machine_kick(struct machine *m, unsigned queue)
{
	blk_kick(&m->blk, &m->blk.queue[queue]);
}

void machine_offer(struct machine *m, unsigned queue, uint16_t head)
{
	struct virtqueue *vq = vq_of(m, queue);
	uint16_t index = machine_avail_index(m, queue);
	store_le16(vq->avail + 4 + 2 * (size_t)(index & (vq->size - 1u)), head);
	machine_set_avail_index(m, queue, (uint16_t)(index + 1));
	vq->published = (uint16_t)(index + 1);
	machine_kick(m, queue);
}

uint16_t machine_used_index(struct machine *m, unsigned queue)
{
	root_sync(m->guest.root);
	return load_le16(vq_of(m, queue)->used + 2);
}

bool machine_wait_used(struct machine *m, unsigned queue, uint16_t index, uint64_t limit_us)
{
	uint64_t limit_ps = kernel_now_ps() + limit_us * PS_PER_US;
	while (machine_used_index(m, queue) != index) {
		if (kernel_now_ps() >= limit_ps)
			return false;
		kernel_wait_ps(POLL_PS);
	}
	return true;
}

void machine_used_element(struct machine *m, unsigned queue, uint16_t index, uint32_t *id, uint32_t *len)
{
	const struct virtqueue *vq = vq_of(m, queue);
	const uint8_t *element = vq->used + 4 + 8 * (size_t)(index & (vq->size - 1u));
	*id = load_le32(element);
	*len = load_le32(element + 4);
}

static void link_pieces(struct vring_desc *desc, uint16_t first, const struct machine_piece *pieces,
			unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		bool more = i + 1 < count;
		desc[first + i] = (struct vring_desc){
			.addr = pieces[i].addr,
			.len = pieces[i].bytes,
			.flags = (uint16_t)(pieces[i].flags | (more ? VRING_DESC_F_NEXT : 0)),
			.next = (uint16_t)(more ? first + i + 1 : 0),
		};
	}
}

void machine_chain(struct machine *m, unsigned queue, uint16_t first, const struct machine_piece *pieces,
		   unsigned count)
{
	CHECK(first + count <= vq_of(m, queue)->size);
	link_pieces(vq_of(m, queue)->desc, first, pieces, count);
}

uint64_t machine_table(struct machine *m, const struct machine_piece *pieces, unsigned count)
{
	uint64_t addr;
	void *table = machine_guarded(m, count * sizeof(struct vring_desc), DMA_TO_DEVICE, &addr);
	link_pieces(table, 0, pieces, count);
	return addr;
}

struct machine_buffers machine_buffers(struct machine *m, uint32_t type, uint64_t sector, uint32_t data_bytes)
{
	struct machine_buffers buffers = {.data_bytes = data_bytes};
	buffers.header = machine_guarded(m, 16, DMA_TO_DEVICE, &buffers.header_addr);
	buffers.data = machine_guarded(m, data_bytes ? data_bytes : 1, DMA_BOTH, &buffers.data_addr);
	buffers.status = machine_guarded(m, 1, DMA_FROM_DEVICE, &buffers.status_addr);
	store_le32(buffers.header, type);
	store_le32(buffers.header + 4, 0);
	store_le64(buffers.header + 8, sector);
	*buffers.status = 0xff;
	return buffers;
}

static void kick_all(struct machine *m)
{
	for (unsigned i = 0; i < m->blk.queues; i++)
		machine_kick(m, i);
}

void machine_expect_stopped(struct machine *m)
{
	uint16_t used[QUEUES_MAX];
	uint8_t status = machine_wait_status(m, VIRTIO_CONFIG_S_NEEDS_RESET, true, 100000);
	CHECK(status & VIRTIO_CONFIG_S_NEEDS_RESET);
	CHECK(status & VIRTIO_CONFIG_S_DRIVER_OK);
	machine_wait_us(m, 10);
	if (m->blk.vectors)
		CHECK(machine_took_interrupt(m, BLK_CONFIG_VECTOR));
	else
		CHECK(virtio_isr(&m->blk.virtio) & VIRTIO_PCI_ISR_CONFIG);
	/* Nothing is processed any more, and there is nothing more to tell. */
	for (unsigned i = 0; i < m->blk.queues; i++)
		used[i] = machine_used_index(m, i);
	uint64_t interrupts = root_stats(m->guest.root)->interrupts;
	kick_all(m);
	machine_wait_us(m, 1000);
	for (unsigned i = 0; i < m->blk.queues; i++)
		CHECK_EQUAL(machine_used_index(m, i), used[i]);
	CHECK_EQUAL(root_stats(m->guest.root)->interrupts, interrupts);
	CHECK(virtio_status(&m->blk.virtio) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

void machine_expect_needs_reset(struct machine *m)
{
	machine_expect_stopped(m);
	machine_restart(m);
	machine_check_alive(m);
}

void machine_expect_no_harm(struct machine *m)
{
	uint8_t live = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |
		       VIRTIO_CONFIG_S_DRIVER_OK;
	CHECK_EQUAL(virtio_status(&m->blk.virtio), live);
	for (unsigned i = 1; i < m->blk.queues; i++)
		machine_check_queue(m, i);
	CHECK_EQUAL(virtio_status(&m->blk.virtio), live);
	machine_restart(m);
	machine_check_alive(m);
}
