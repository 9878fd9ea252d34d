#include "tests/e2e/load.h"

#define SECTOR    512u
#define GUARD     0xa5u
#define SHIFT_MAX 4096u
#define CPU(load) (&(load)->m->guest.cpu[0])

/* ---- memory ---- */

static void fill_random(struct rng *rng, uint8_t *data, uint32_t bytes)
{
	ASSERT(bytes % 8 == 0);
	for (uint32_t i = 0; i < bytes; i += 8)
		store_le64(data + i, rng_u64(rng));
}

static uint32_t buffer_bytes(const struct load *load)
{
	return load->settings.bytes_max + SHIFT_MAX + 2 * LOAD_GUARD_BYTES;
}

static uint8_t *data_of(const struct load_place *place)
{
	return place->buffer + LOAD_GUARD_BYTES + place->shift;
}

const uint8_t *load_data(const struct load_place *place)
{
	return data_of(place);
}

const uint8_t *load_expected(const struct load_place *place)
{
	return place->expected + (size_t)place->sector * SECTOR;
}

static void set_guards(const struct load_place *place)
{
	memset(data_of(place) - LOAD_GUARD_BYTES, GUARD, LOAD_GUARD_BYTES);
	memset(data_of(place) + place->bytes, GUARD, LOAD_GUARD_BYTES);
}

static void check_guards(const struct load_place *place)
{
	for (unsigned i = 1; i <= LOAD_GUARD_BYTES; i++) {
		CHECK_EQUAL(*(data_of(place) - i), GUARD);
		CHECK_EQUAL(data_of(place)[place->bytes + i - 1], GUARD);
	}
}

static void place_begin(struct load *load, unsigned number, unsigned per_queue)
{
	struct load_place *place = &load->place[number];
	uint32_t bytes = load->settings.bytes_max;
	place->load = load;
	place->queue = &load->m->blk.queue[number / per_queue];
	place->first_sector = (uint64_t)number * bytes / SECTOR;
	place->buffer = machine_memory(load->m, buffer_bytes(load), DMA_BOTH, &place->buffer_addr);
	place->expected = calloc(1, bytes);
	ASSERT(place->expected);
	CHECK(place->first_sector + bytes / SECTOR <= load->m->blk.capacity_sectors);
	CHECK_EQUAL(store_read(load->m->store, place->first_sector * SECTOR, place->expected, bytes), 0);
	place->known = true;
}

void load_begin(struct load *load, struct machine *m, const struct load_settings *settings)
{
	*load = (struct load){.m = m, .settings = *settings};
	if (load->settings.depth == 0)
		load->settings.depth = 8;
	if (load->settings.bytes_max == 0)
		load->settings.bytes_max = 16384;
	if (load->settings.write_pct == 0)
		load->settings.write_pct = 50;
	if (load->settings.limit_us == 0)
		load->settings.limit_us = 10000;
	load->places = m->blk.queues * load->settings.depth;
	load->place = calloc(load->places, sizeof(*load->place));
	ASSERT(load->place);
	for (unsigned i = 0; i < load->places; i++)
		place_begin(load, i, load->settings.depth);
}

/* ---- submission ---- */

/* Which part of the place's sectors, and where in the buffer. A part whose contents are unknown is written as a whole. */
static void choose(struct load *load, struct load_place *place)
{
	struct rng *rng = &load->m->rng;
	const struct load_settings *settings = &load->settings;
	uint32_t sectors = settings->bytes_max / SECTOR;
	bool write = rng_below(rng, 100) < settings->write_pct;
	write = (write || settings->only_writes) && !settings->only_reads;
	place->sector = 0;
	place->bytes = settings->bytes_max;
	place->shift = 0;
	if (!place->known)
		write = !settings->only_reads;
	if (place->known && !settings->fixed) {
		place->sector = (uint32_t)rng_below(rng, sectors);
		place->bytes = SECTOR * (1 + (uint32_t)rng_below(rng, sectors - place->sector));
	}
	if (!settings->fixed)
		place->shift = (uint32_t)rng_below(rng, SHIFT_MAX);
	place->request = (struct blk_request){
		.type = write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
		.sector = place->first_sector + place->sector,
		.data_addr = place->buffer_addr + LOAD_GUARD_BYTES + place->shift,
		.data_bytes = place->bytes,
		.cookie = place,
	};
}

/* A chain of another shape every time: cut at odd places or not at all, direct or in a table. */
static void choose_chain(struct load *load, struct load_place *place)
{
	struct rng *rng = &load->m->rng;
	struct blk_device *blk = &load->m->blk;
	if (load->settings.keep_chains || load->settings.fixed)
		return;
	uint32_t piece = 1 + (uint32_t)rng_below(rng, 2 * place->bytes);
	unsigned pieces_max = min_u32(blk->seg_max ? blk->seg_max : 1, place->queue->vq.size - 2u);
	blk->settings.segment_bytes = max_u32(piece, (place->bytes + pieces_max - 1) / pieces_max);
	place->queue->vq.features.indirect = place->queue->vq.indirect && rng_below(rng, 2);
}

static bool submit(struct load *load, struct load_place *place)
{
	uint32_t segment_bytes = load->m->blk.settings.segment_bytes;
	choose(load, place);
	choose_chain(load, place);
	set_guards(place);
	if (place->request.type == VIRTIO_BLK_T_OUT)
		fill_random(&load->m->rng, data_of(place), place->bytes);
	else
		memset(data_of(place), GUARD, place->bytes);
	bool full = blk_submit(&load->m->blk, place->queue, &place->request) != 0;
	load->m->blk.settings.segment_bytes = segment_bytes;
	place->queue->vq.features.indirect = place->queue->vq.indirect != NULL;
	if (full)
		return false;
	place->busy = true;
	load->in_flight++;
	return true;
}

static void submit_all(struct load *load)
{
	for (unsigned i = 0; i < load->places; i++)
		if (!load->place[i].busy)
			submit(load, &load->place[i]);
	for (unsigned i = 0; i < load->m->blk.queues; i++)
		if (blk_publish(&load->m->blk.queue[i]))
			blk_kick(&load->m->blk, &load->m->blk.queue[i]);
}

/* ---- completion ---- */

static void check_success(struct load_place *place)
{
	const struct blk_request *request = &place->request;
	uint8_t *expected = place->expected + (size_t)place->sector * SECTOR;
	bool write = request->type == VIRTIO_BLK_T_OUT;
	/* In order, only the last request of a batch has its length told (virtio 1.4 §2.7.9). */
	if (request->used_bytes != 0 || !place->queue->vq.features.in_order)
		CHECK_EQUAL(request->used_bytes, write ? 1 : place->bytes + 1);
	if (write) {
		memcpy(expected, data_of(place), place->bytes);
		place->known = place->known || place->bytes == place->load->settings.bytes_max;
		return;
	}
	if (place->known)
		CHECK(memcmp(data_of(place), expected, place->bytes) == 0);
}

static void complete(struct load *load, struct load_place *place)
{
	if (load->completed)
		load->completed(load->ctx, place);
	place->busy = false;
	load->in_flight--;
	load->done++;
	check_guards(place);
	if (place->request.status == VIRTIO_BLK_S_OK) {
		check_success(place);
		return;
	}
	CHECK_EQUAL(place->request.status, VIRTIO_BLK_S_IOERR);
	CHECK(load->settings.errors_allowed);
	load->errors++;
	if (place->request.type == VIRTIO_BLK_T_OUT)
		place->known = false;
}

static void take_used(struct load *load, struct blk_queue *queue)
{
	do {
		struct blk_request *request;
		virtqueue_disable_interrupts(&queue->vq);
		while ((request = blk_take(queue)) != NULL)
			complete(load, request->cookie);
	} while (virtqueue_enable_interrupts(&queue->vq));
	CHECK_EQUAL(queue->bad_used, 0);
}

void load_look(struct load *load)
{
	for (unsigned i = 0; i < load->m->blk.queues; i++)
		take_used(load, &load->m->blk.queue[i]);
}

/* What the interrupts that have come ask for. False if there are none. */
static bool serve_interrupts(struct load *load)
{
	uint64_t vectors[GUEST_VECTORS / 64];
	bool intx;
	struct blk_device *blk = &load->m->blk;
	if (!guest_cpu_interrupts(CPU(load), vectors, &intx))
		return false;
	load->interrupts++;
	uint8_t isr = intx ? virtio_isr(&blk->virtio) : 0;
	load->config_interrupts += (vectors[0] >> BLK_CONFIG_VECTOR & 1) || (isr & VIRTIO_PCI_ISR_CONFIG);
	for (unsigned i = 0; i < blk->queues; i++) {
		struct blk_queue *queue = &blk->queue[i];
		bool message = queue->vector < GUEST_VECTORS &&
			       vectors[queue->vector / 64] >> (queue->vector % 64) & 1;
		if (message || (isr & 1))
			take_used(load, queue);
	}
	return true;
}

static void fail_waiting(struct load *load)
{
	for (unsigned i = 0; i < load->m->blk.queues; i++) {
		struct blk_queue *queue = &load->m->blk.queue[i];
		printf("queue %u: %u in flight, %s used\n", i, queue->vq.in_flight,
		       virtqueue_has_used(&queue->vq) ? "some" : "none");
	}
	device_dump(load->m->guest.device, stdout);
	machine_check_failed("requests complete, and interrupts tell of it", __FILE__, __LINE__);
}

/* Runs until `done` requests have completed, simulated time has come to until_ps, or, without submission, nothing is in
 * flight. */
static void run(struct load *load, uint64_t done, uint64_t until_ps, bool submission)
{
	uint64_t limit_ps = load->settings.limit_us * PS_PER_US, progress_ps = kernel_now_ps(),
		 before = load->done;
	while (load->done < done && kernel_now_ps() < until_ps) {
		if (submission)
			submit_all(load);
		if (load->in_flight == 0)
			return;
		if (!serve_interrupts(load))
			guest_cpu_wait(CPU(load), min_u64(until_ps, progress_ps + limit_ps));
		if (load->done != before)
			progress_ps = kernel_now_ps();
		else if (kernel_now_ps() - progress_ps >= limit_ps)
			fail_waiting(load);
		before = load->done;
	}
}

void load_run(struct load *load, uint64_t count)
{
	run(load, load->done + count, TIME_NEVER_PS, true);
}

void load_run_ps(struct load *load, uint64_t ps)
{
	run(load, UINT64_MAX, kernel_now_ps() + ps, true);
}

void load_drain(struct load *load)
{
	run(load, UINT64_MAX, TIME_NEVER_PS, false);
	CHECK_EQUAL(load->in_flight, 0);
}

void load_forget(struct load *load)
{
	uint64_t vectors[GUEST_VECTORS / 64];
	bool intx;
	guest_cpu_interrupts(CPU(load), vectors, &intx);
	for (unsigned i = 0; i < load->places; i++) {
		struct load_place *place = &load->place[i];
		if (place->busy && place->request.type == VIRTIO_BLK_T_OUT)
			place->known = false;
		place->busy = false;
	}
	load->in_flight = 0;
}

void load_check_alive(struct machine *m, uint64_t count)
{
	static const struct load_settings settings = {0};
	struct load load;
	load_begin(&load, m, &settings);
	load_run(&load, count);
	load_drain(&load);
}
