#include "rtl-model/blocks/direct/direct.h"

#include <string.h>

#include <linux/virtio_blk.h>

#define SECTOR_BYTES 512u

void direct_init(struct direct *direct, const struct config *config, const struct direct_ports *ports)
{
	memset(direct, 0, sizeof(*direct));
	direct->ports = *ports;
	direct->period_ps = config_period_ps(config->device.clock_mhz);
	direct->cycles = config->direct.cycles;
	direct->records.consumer = ports->events;
	mover_direct_done(ports->mover)->consumer = ports->self;
	used_direct(ports->used)->producer = ports->self;
}

void direct_reset(struct direct *direct)
{
	slot_fifo_clear(&direct->records);
	memset(direct->inflight, 0, sizeof(direct->inflight));
	direct->requests = 0;
	direct->enabled = 0;
	direct->next_record_ps = direct->next_end_ps = 0;
}

static struct slot *slot_at(const struct direct *direct, unsigned slot)
{
	return (struct slot *)(direct->ports.sram + (size_t)slot * SLOT_BYTES);
}

static bool is_enabled(const struct direct *direct, unsigned queue)
{
	return direct->enabled >> queue & 1;
}

/* ---- from record to job ---- */

static bool on_medium(const struct direct *direct, uint64_t sector, uint64_t sectors)
{
	return sector <= direct->sectors && sectors <= direct->sectors - sector;
}

/* Data bytes of a request that can be served here, 0 if it cannot: what needs more than moving is the core's. */
static uint32_t data_bytes(const struct direct *direct, const struct slot *slot)
{
	if (slot->error != RECORD_ERROR_NONE || !is_enabled(direct, slot->queue))
		return 0;
	uint32_t bytes;
	if (slot->type == VIRTIO_BLK_T_IN)
		bytes = slot->writable_bytes - 1; /* the status byte */
	else if (slot->type == VIRTIO_BLK_T_OUT && !direct->read_only)
		bytes = slot->readable_bytes - HEADER_BYTES;
	else
		return 0;
	bool whole = bytes % SECTOR_BYTES == 0;
	return whole && on_medium(direct, slot->sector, bytes / SECTOR_BYTES) ? bytes : 0;
}

/* Whether a write has to be stable before it completes (virtio 1.4 §5.2.6.2). */
static bool stable(const struct direct *direct)
{
	switch (direct->cache) {
	case DIRECT_CACHE_WRITE_BACK: return false;
	case DIRECT_CACHE_AS_DRIVER_SAYS: return !direct->ports.write_back(direct->ports.ctx);
	default: return true;
	}
}

static void start(struct direct *direct, uint64_t now_ps, unsigned number, uint32_t bytes)
{
	struct slot *slot = slot_at(direct, number);
	bool write = slot->type == VIRTIO_BLK_T_OUT;
	slot->job_op = write ? JOB_WRITE : JOB_READ;
	slot->job_bytes = bytes;
	slot->job_offset = slot->sector * SECTOR_BYTES;
	slot->job_skip = write ? HEADER_BYTES : 0;
	slot->job_flags = write && stable(direct) ? JOB_FLAG_STABLE : 0;
	*(write ? &direct->stats.writes : &direct->stats.reads) += 1;
	direct->inflight[slot->queue]++;
	direct->requests++;
	mover_start_direct(direct->ports.mover, now_ps + direct->cycles * direct->period_ps, number);
}

static void take_record(struct direct *direct, uint64_t now_ps)
{
	unsigned number;
	if (now_ps < direct->next_record_ps || !direct->ports.take_record(direct->ports.ctx, now_ps, &number))
		return;
	direct->next_record_ps = now_ps + direct->cycles * direct->period_ps;
	uint32_t bytes = data_bytes(direct, slot_at(direct, number));
	if (bytes != 0) {
		start(direct, now_ps, number, bytes);
	} else {
		direct->stats.passed_on++;
		slot_fifo_push(&direct->records, direct->next_record_ps, (uint16_t)number);
	}
}

/* ---- from the job's end to the used ring ---- */

/* len of the used element: bytes written from the start of the writable part (virtio 1.4 §2.7.8.2). The status byte counts
 * only if everything before it was written too. */
static uint32_t used_bytes(const struct slot *slot, bool ok)
{
	uint32_t written = ok && slot->type == VIRTIO_BLK_T_IN ? slot->writable_bytes - 1 : 0;
	return written + 1 == slot->writable_bytes ? slot->writable_bytes : written;
}

static void complete(struct direct *direct, uint64_t now_ps, unsigned number)
{
	const struct slot *slot = slot_at(direct, number);
	bool ok = slot->job_result == JOB_RESULT_OK;
	direct->stats.completed++;
	direct->stats.failed += !ok;
	probe_stamp(direct->ports.probe, number, STAGE_USED_PUSH, now_ps);
	completion_fifo_push(used_direct(direct->ports.used), now_ps + direct->cycles * direct->period_ps,
			     (struct completion){
				     .slot = (uint16_t)number,
				     .queue = slot->queue,
				     .head = slot->head,
				     .status = ok ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR,
				     .len = used_bytes(slot, ok),
				     .status_addr = slot->status_addr,
			     });
}

static void take_end(struct direct *direct, uint64_t now_ps)
{
	struct job_fifo *done = mover_direct_done(direct->ports.mover);
	if (now_ps < direct->next_end_ps || !job_fifo_ready(done, now_ps))
		return;
	if (completion_fifo_full(used_direct(direct->ports.used))) {
		direct->stats.stall_used++;
		return; /* it wakes us when it has room */
	}
	unsigned number = job_fifo_pop(done, now_ps);
	unsigned queue = slot_at(direct, number)->queue;
	direct->next_end_ps = now_ps + direct->cycles * direct->period_ps;
	direct->inflight[queue]--;
	direct->requests--;
	if (is_enabled(direct, queue)) {
		complete(direct, now_ps, number);
	} else {
		direct->stats.dropped++;
		direct->ports.slot_free(direct->ports.ctx, now_ps, number);
	}
}

/* ---- the block ---- */

uint64_t direct_step(struct direct *direct, uint64_t now_ps)
{
	take_record(direct, now_ps);
	take_end(direct, now_ps);
	uint64_t next_ps = direct->ports.next_record_ps(direct->ports.ctx);
	if (next_ps != TIME_NEVER_PS || now_ps < direct->next_record_ps) /* another may come meanwhile */
		next_ps = max_u64(next_ps == TIME_NEVER_PS ? 0 : next_ps, direct->next_record_ps);
	uint64_t end_ps = job_fifo_next_ps(mover_direct_done(direct->ports.mover));
	if (end_ps != TIME_NEVER_PS && !completion_fifo_full(used_direct(direct->ports.used)))
		next_ps = min_u64(next_ps, max_u64(end_ps, direct->next_end_ps));
	return next_ps;
}

uint32_t direct_pop_record(struct direct *direct, uint64_t now_ps)
{
	if (!slot_fifo_ready(&direct->records, now_ps))
		return 0;
	uint16_t slot = slot_fifo_pop(&direct->records, now_ps);
	probe_stamp(direct->ports.probe, slot, STAGE_FIRMWARE, now_ps);
	return slot | CSR_FETCH_RECORD_VALID_MASK;
}

uint32_t direct_events(const struct direct *direct, uint64_t now_ps)
{
	return slot_fifo_ready(&direct->records, now_ps) ? CSR_SYS_EVENTS_RECORD_MASK : 0;
}

bool direct_busy(const struct direct *direct)
{
	return direct->requests != 0 || slot_fifo_count(&direct->records) != 0;
}

/* ---- registers ---- */

static bool queue_busy(const struct direct *direct, unsigned queue)
{
	if (direct->inflight[queue] != 0)
		return true;
	/* Records on their way to the core, which does not know them yet. */
	for (uint32_t i = direct->records.head; i != direct->records.tail; i++)
		if (slot_at(direct, direct->records.entry[i % slot_fifo_depth])->queue == queue)
			return true;
	return false;
}

bool direct_csr_read(struct direct *direct, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	(void)now_ps;
	switch (offset) {
	case CSR_DIRECT_ENABLE_LO: *value = (uint32_t)direct->enabled; return true;
	case CSR_DIRECT_ENABLE_HI: *value = (uint32_t)(direct->enabled >> 32); return true;
	case CSR_DIRECT_CONTROL:
		*value = (direct->read_only ? CSR_DIRECT_CONTROL_READ_ONLY_MASK : 0) |
			 direct->cache << CSR_DIRECT_CONTROL_CACHE_SHIFT;
		return true;
	case CSR_DIRECT_SECTORS_LO: *value = (uint32_t)direct->sectors; return true;
	case CSR_DIRECT_SECTORS_HI: *value = (uint32_t)(direct->sectors >> 32); return true;
	case CSR_DIRECT_QUEUE_SELECT: *value = direct->csr_queue; return true;
	case CSR_DIRECT_QUEUE_STATE: *value = queue_busy(direct, direct->csr_queue); return true;
	default: return false;
	}
}

bool direct_csr_write(struct direct *direct, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	(void)now_ps;
	switch (offset) {
	case CSR_DIRECT_ENABLE_LO: direct->enabled = (direct->enabled >> 32 << 32) | value; return true;
	case CSR_DIRECT_ENABLE_HI:
		direct->enabled = (uint32_t)direct->enabled | (uint64_t)value << 32;
		return true;
	case CSR_DIRECT_CONTROL:
		direct->read_only = value & CSR_DIRECT_CONTROL_READ_ONLY_MASK;
		direct->cache = (value & CSR_DIRECT_CONTROL_CACHE_MASK) >> CSR_DIRECT_CONTROL_CACHE_SHIFT;
		return true;
	case CSR_DIRECT_SECTORS_LO: direct->sectors = (direct->sectors >> 32 << 32) | value; return true;
	case CSR_DIRECT_SECTORS_HI:
		direct->sectors = (uint32_t)direct->sectors | (uint64_t)value << 32;
		return true;
	case CSR_DIRECT_QUEUE_SELECT: direct->csr_queue = value % QUEUES_MAX; return true;
	case CSR_DIRECT_QUEUE_STATE: return true; /* read-only */
	default: return false;
	}
}
