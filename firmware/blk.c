/* virtio-blk requests (virtio 1.4 §5.2.6): header checks, the job for the mover, the answer. */
#include "firmware/card.h"

/* len of the used element: bytes written from the start of the writable part (virtio 1.4 §2.7.8.2). The status byte
 * counts only if everything before it was written too. */
static uint32_t used_bytes(const struct slot *slot, uint32_t data_bytes)
{
	return data_bytes + 1 == slot->writable_bytes ? slot->writable_bytes : data_bytes;
}

static void finish(struct card *card, unsigned number, uint32_t status, uint32_t data_bytes)
{
	complete(card, number, status, used_bytes(slot_at(number), data_bytes));
}

static void start_job(unsigned number, uint32_t op)
{
	slot_at(number)->job_op = op;
	reg_write(CSR_MOVER_JOB_ADDR, number);
}

/* True if [sector, sector + sectors) is on the medium. */
static bool on_medium(const struct card *card, uint64_t sector, uint64_t sectors)
{
	return sector <= card->capacity_sectors &&
	       sectors <= card->capacity_sectors - sector; /* V-096..V-098 */
}

/* Whether what is written has to be stable before it completes (D-159, D-160). The driver may have changed the writeback
 * field just before the doorbell for this request, so a copy of ours could be out of date. */
static uint32_t write_flags(const struct card *card)
{
	bool write_back = negotiated(card, F_BLK_FLUSH);
	if (negotiated(card, F_BLK_CONFIG_WCE))
		write_back =
			reg_read(CSR_VIRTIO_DEVICE_CONFIG_ADDR + CONFIG_WRITEBACK) & CONFIG_WRITEBACK_MASK;
	return write_back ? 0 : JOB_FLAG_STABLE;
}

/* ---- IN, OUT ---- */

static void read_or_write(struct card *card, unsigned number, bool write)
{
	struct slot *slot = slot_at(number);
	uint64_t sector = slot->sector;
	uint32_t bytes = write ? slot->readable_bytes - HEADER_BYTES : slot->writable_bytes - 1;
	if ((write && card->read_only) || bytes % SECTOR_BYTES != 0 || /* D-151, V-093 */
	    !on_medium(card, sector, bytes / SECTOR_BYTES)) {
		finish(card, number, BLK_S_IOERR, 0);
		return;
	}
	if (bytes == 0) { /* V-095 */
		finish(card, number, BLK_S_OK, 0);
		return;
	}
	slot->job_bytes = bytes;
	slot->job_offset = sector * SECTOR_BYTES;
	slot->job_skip = write ? HEADER_BYTES : 0;
	slot->job_flags = write ? write_flags(card) : 0;
	start_job(number, write ? JOB_WRITE : JOB_READ);
}

/* ---- FLUSH, GET_ID, GET_LIFETIME ---- */

static void flush(unsigned number)
{
	slot_at(number)->job_flags = 0;
	start_job(number, JOB_FLUSH);
}

/* Sends the first `bytes` of the slot's small memory, as many as the driver has room for (V-114). */
static void answer_local(struct card *card, unsigned number, uint32_t bytes)
{
	struct slot *slot = slot_at(number);
	uint32_t room = slot->writable_bytes - 1;
	if (room == 0) {
		finish(card, number, BLK_S_OK, 0);
		return;
	}
	slot->job_bytes = min_u32(bytes, room);
	slot->job_skip = 0;
	start_job(number, JOB_LOCAL_TO_GUEST);
}

static void get_id(struct card *card, unsigned number)
{
	uint32_t *words = slot_local(number);
	for (unsigned i = 0; i < BLK_ID_BYTES / 4; i++)
		words[i] = reg_read(CSR_MEDIA_SERIAL_ADDR + 4 * i);
	answer_local(card, number, BLK_ID_BYTES);
}

static void get_lifetime(struct card *card, unsigned number)
{
	if (!negotiated(card, F_BLK_LIFETIME)) {
		finish(card, number, BLK_S_UNSUPP, 0);
		return;
	}
	uint32_t figures = reg_read(CSR_MEDIA_LIFETIME_ADDR);
	uint16_t *words = slot_local(number);
	for (unsigned i = 0; i < BLK_LIFETIME_BYTES / 2; i++)
		words[i] = figures >> 8 * i & 0xff;
	answer_local(card, number, BLK_LIFETIME_BYTES);
}

/* ---- DISCARD, WRITE_ZEROES, SECURE_ERASE ---- */

struct range {
	uint64_t sector;
	uint32_t sectors, flags;
};

static uint32_t range_count(const struct slot *slot)
{
	return (slot->readable_bytes - HEADER_BYTES) / RANGE_BYTES;
}

/* Unknown flags are checked in every range before anything else is: S_UNSUPP is mandatory (D-152, D-153, V-123). */
static uint32_t check_ranges(const struct card *card, unsigned number)
{
	const struct slot *slot = slot_at(number);
	const struct range *range = slot_local(number);
	uint32_t count = range_count(slot);
	uint32_t known_flags = slot->type == BLK_T_WRITE_ZEROES ? RANGE_FLAG_UNMAP : 0;
	for (unsigned i = 0; i < count; i++)
		if (range[i].flags & ~known_flags)
			return BLK_S_UNSUPP;
	for (unsigned i = 0; i < count; i++)
		if (range[i].sectors > RANGE_SECTORS_MAX ||              /* V-118 */
		    !on_medium(card, range[i].sector, range[i].sectors)) /* V-119 */
			return BLK_S_IOERR;
	return BLK_S_OK;
}

/* Applies the next range that is not empty, from range slot.fw_index on, or finishes. */
static void apply_next_range(struct card *card, unsigned number)
{
	static const uint8_t ops[] = {[BLK_T_DISCARD] = JOB_DISCARD,
				      [BLK_T_WRITE_ZEROES] = JOB_WRITE_ZEROES,
				      [BLK_T_SECURE_ERASE] = JOB_SECURE_ERASE};
	struct slot *slot = slot_at(number);
	const struct range *range = slot_local(number);
	while (slot->fw_index < range_count(slot) && range[slot->fw_index].sectors == 0) /* V-120 */
		slot->fw_index++;
	if (slot->fw_index == range_count(slot)) {
		finish(card, number, BLK_S_OK, 0);
		return;
	}
	range += slot->fw_index++;
	slot->job_offset = range->sector * SECTOR_BYTES;
	slot->job_range_bytes = (uint64_t)range->sectors * SECTOR_BYTES;
	slot->job_flags = write_flags(card) | (range->flags & RANGE_FLAG_UNMAP ? JOB_FLAG_UNMAP : 0);
	start_job(number, ops[slot->type]);
}

static void ranges(struct card *card, unsigned number, unsigned feature)
{
	struct slot *slot = slot_at(number);
	uint32_t bytes = slot->readable_bytes - HEADER_BYTES;
	if (!negotiated(card, feature)) { /* V-109, V-110 */
		finish(card, number, BLK_S_UNSUPP, 0);
		return;
	}
	if (card->read_only || bytes == 0 || bytes % RANGE_BYTES != 0 || bytes > RANGES_MAX * RANGE_BYTES) {
		finish(card, number, BLK_S_IOERR, 0); /* V-101, V-115, V-116, V-117 */
		return;
	}
	slot->job_bytes = bytes;
	slot->job_skip = HEADER_BYTES;
	start_job(number, JOB_GUEST_TO_LOCAL);
}

/* The ranges are here. They are looked at in this copy only, which the driver cannot change. */
static void ranges_read(struct card *card, unsigned number)
{
	uint32_t status = check_ranges(card, number);
	if (status != BLK_S_OK) {
		finish(card, number, status, 0);
		return;
	}
	slot_at(number)->fw_index = 0;
	apply_next_range(card, number);
}

/* ---- entry points ---- */

/* The fetch engine found the request bad. If only its header could not be read there is still a place for a status;
 * otherwise the driver's idea of the ring cannot be trusted any more. (Inlined, it would cost every good request a stack
 * frame.) */
static __attribute__((noinline)) void bad_request(struct card *card, unsigned number)
{
	if (slot_at(number)->error == RECORD_ERROR_DMA_HEADER) { /* V-018 */
		finish(card, number, BLK_S_IOERR, 0);
		return;
	}
	needs_reset(card);
	slot_drop(card, number);
}

/* A request has come from the ring. */
void blk_request(struct card *card, unsigned number)
{
	struct slot *slot = slot_at(number);
	struct queue_state *queue = &card->queue[slot->queue];
	queue->inflight++;
	if (!queue->running) {
		slot_drop(card, number);
		return;
	}
	if (slot->error != RECORD_ERROR_NONE) {
		bad_request(card, number);
		return;
	}
	switch (slot->type) {
	case BLK_T_IN: read_or_write(card, number, false); break;
	case BLK_T_OUT: read_or_write(card, number, true); break;
	case BLK_T_FLUSH: flush(number); break;
	case BLK_T_GET_ID: get_id(card, number); break;
	case BLK_T_GET_LIFETIME: get_lifetime(card, number); break;
	case BLK_T_DISCARD: ranges(card, number, F_BLK_DISCARD); break;
	case BLK_T_WRITE_ZEROES: ranges(card, number, F_BLK_WRITE_ZEROES); break;
	case BLK_T_SECURE_ERASE: ranges(card, number, F_BLK_SECURE_ERASE); break;
	default: finish(card, number, BLK_S_UNSUPP, 0); /* D-166, D-167, V-105..V-107, V-111 */
	}
}

/* The mover has ended the request's job. */
void blk_job_done(struct card *card, unsigned number)
{
	const struct slot *slot = slot_at(number);
	if (!card->queue[slot->queue].running) {
		slot_drop(card, number);
		return;
	}
	if (slot->job_result != JOB_RESULT_OK) {
		finish(card, number, BLK_S_IOERR, 0);
		return;
	}
	switch (slot->job_op) {
	case JOB_READ:
	case JOB_LOCAL_TO_GUEST: finish(card, number, BLK_S_OK, slot->job_bytes); break;
	case JOB_WRITE:
	case JOB_FLUSH: finish(card, number, BLK_S_OK, 0); break;
	case JOB_GUEST_TO_LOCAL: ranges_read(card, number); break;
	default:
		apply_next_range(card, number); /* one range of DISCARD, WRITE_ZEROES, SECURE_ERASE is done */
	}
}
