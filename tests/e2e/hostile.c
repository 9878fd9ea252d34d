#include "tests/e2e/hostile.h"

#define STATUS_BYTES 64u
#define HOLE_BYTES   UINT64_C(0x10000)
#define TOP_BYTES    UINT64_C(256)
#define TABLE_BYTES  (HOSTILE_DESCS * sizeof(struct vring_desc))
#define QUEUE        0u
#define LIMIT_US     200000u /* longer than the card's completion timeout */

/* ---- the scene ---- */

static uint64_t hole(const struct machine *m)
{
	return m->guest.memory.base + m->guest.memory.bytes + 0x100000;
}

static uint64_t address_of(const struct hostile *h, const struct hostile_desc *desc)
{
	switch (desc->at) {
	case AT_HEADER: return h->header_addr + desc->offset;
	case AT_DATA: return h->data_addr + desc->offset;
	case AT_STATUS: return h->status_addr + desc->offset;
	case AT_TABLE: return h->table_addr + desc->offset;
	case AT_OTHER: return h->other_addr + desc->offset;
	case AT_HOLE: return hole(h->m) + desc->offset;
	case AT_TOP: return -TOP_BYTES + desc->offset;
	case AT_RING: return h->m->blk.queue[QUEUE].vq.desc_addr + desc->offset;
	case AT_NOTHING: return desc->offset;
	}
	return 0;
}

static void write_descs(const struct hostile *h, struct vring_desc *to, const struct hostile_desc *from)
{
	for (unsigned i = 0; i < HOSTILE_DESCS; i++)
		to[i] = (struct vring_desc){
			.addr = address_of(h, &from[i]),
			.len = from[i].bytes,
			.flags = from[i].flags,
			.next = from[i].next,
		};
}

static uint64_t first_sector(const struct hostile_row *row)
{
	return row->sector ? row->sector : HOSTILE_SECTOR;
}

static bool has_ranges(uint32_t type)
{
	return type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES ||
	       type == VIRTIO_BLK_T_SECURE_ERASE;
}

static void set_scene(struct hostile *h)
{
	struct machine *m = h->m;
	struct vring_desc *ring = m->blk.queue[QUEUE].vq.desc;
	h->header = machine_guarded(m, 16, DMA_TO_DEVICE, &h->header_addr);
	h->data = machine_guarded(m, HOSTILE_DATA_BYTES, DMA_BOTH, &h->data_addr);
	h->status = machine_guarded(m, STATUS_BYTES, DMA_FROM_DEVICE, &h->status_addr);
	h->table = machine_guarded(m, TABLE_BYTES, DMA_TO_DEVICE, &h->table_addr);
	/* Allowed, but not there. */
	root_allow(m->guest.root, hole(m), HOLE_BYTES, ROOT_READ | ROOT_WRITE);
	root_allow(m->guest.root, -TOP_BYTES, TOP_BYTES, ROOT_READ | ROOT_WRITE);
	store_le32(h->header, h->row->type);
	store_le32(h->header + 4, h->row->ioprio);
	store_le64(h->header + 8, first_sector(h->row));
	memset(h->data, HOSTILE_PATTERN, HOSTILE_DATA_BYTES);
	for (unsigned i = 0; has_ranges(h->row->type) && i < ARRAY_SIZE(h->row->ranges); i++) {
		store_le64(h->data + (size_t)16 * i, h->row->ranges[i].sector);
		store_le32(h->data + (size_t)16 * i + 8, h->row->ranges[i].sectors);
		store_le32(h->data + (size_t)16 * i + 12, h->row->ranges[i].flags);
	}
	memcpy(h->before, h->data, sizeof(h->before));
	memset(h->status, 0xff, STATUS_BYTES);
	const struct machine_piece other[] = {
		{h->header_addr, 16, 0}, {h->data_addr, 512, 0}, {h->status_addr, 1, WRITE}};
	h->other_addr = machine_table(m, other, ARRAY_SIZE(other));
	write_descs(h, ring, h->row->ring);
	void *table = h->table;
	write_descs(h, table, h->row->table);
	h->disk = machine_disk(m);
}

static void set_fault(const struct hostile *h)
{
	const struct hostile_desc at = {.at = h->row->fault_at};
	const struct root_fault fault = {
		.kind = h->row->fault, .addr = address_of(h, &at), .bytes = 16, .count = 1};
	if (h->row->fault != ROOT_FAULT_NONE)
		root_inject(h->m->guest.root, &fault);
}

/* ---- the answer ---- */

/* The byte the driver gets the status in: the last writable one of the chain. */
static uint8_t status_of(const struct hostile *h)
{
	for (unsigned i = 0; i < STATUS_BYTES; i++)
		if (h->status[i] != 0xff)
			return h->status[i];
	return 0xff;
}

static void expect_completion(struct hostile *h)
{
	const struct hostile_row *row = h->row;
	uint32_t id, len;
	CHECK(machine_wait_used(h->m, QUEUE, 1, LIMIT_US));
	machine_used_element(h->m, QUEUE, 0, &id, &len);
	CHECK_EQUAL(id, row->head);
	CHECK_EQUAL(status_of(h), row->status);
	CHECK_EQUAL(len, row->used_bytes);
	machine_check_disk(h->m, h->disk, row->changed_sector, row->changed_sectors);
	if (row->check)
		row->check(h);
	machine_expect_no_harm(h->m);
}

static void expect_needs_reset(struct hostile *h)
{
	machine_expect_stopped(h->m);
	CHECK_EQUAL(machine_used_index(h->m, QUEUE), 0);
	CHECK_EQUAL(status_of(h), 0xff);
	machine_check_disk(h->m, h->disk, 0, 0);
	CHECK(memcmp(h->data, h->before, sizeof(h->before)) == 0);
	machine_restart(h->m);
	machine_check_alive(h->m);
}

static void body(struct machine *m)
{
	const struct hostile_row *row = m->arg;
	struct hostile h = {.m = m, .row = row};
	printf("row: %s\n", row->name);
	machine_probe(m);
	if (row->without != 0)
		machine_start_without(m, row->without);
	set_scene(&h);
	set_fault(&h);
	machine_offer(m, QUEUE, row->head);
	if (row->completes)
		expect_completion(&h);
	else
		expect_needs_reset(&h);
	free(h.disk);
}

void hostile_run_all(const struct hostile_row *rows, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct machine_options options = {
			.arg = &rows[i], .disk = HOSTILE_DISK, .disk_writable = rows[i].disk_writable};
		machine_run_levels(body, &options, "device.queues=2", "guest.indirect=on", "host.vcpus=1",
				   rows[i].setting ? rows[i].setting : "guest.check=on", NULL);
	}
}

unsigned hostile_read_pieces(const struct machine_buffers *buffers, struct machine_piece *pieces,
			     unsigned count)
{
	unsigned data = count - 2;
	pieces[0] = (struct machine_piece){buffers->header_addr, 16, 0};
	for (unsigned i = 0; i < data; i++) {
		uint32_t bytes = i + 1 < data ? 16 : buffers->data_bytes - 16 * (data - 1);
		pieces[1 + i] = (struct machine_piece){buffers->data_addr + 16 * i, bytes, WRITE};
	}
	pieces[1 + data] = (struct machine_piece){buffers->status_addr, 1, WRITE};
	return count;
}
