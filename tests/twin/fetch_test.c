/* The fetch engine's C model beside its RTL twin: the same drivers' rings, good and bad, the same registers, each with latency
 * and back-pressure of its own. What is architecture has to be the same: every record and its slot byte for byte, every
 * transfer, the order of a ring's transfers and of a chain's, what is written to guest memory, registers and statistics. */
#include "rtl-model/blocks/fetch/fetch_rtl.h"
#include "tests/unit/rtl-model/fetch_fixture.h"

#define RUNS          400u
#define QUEUES        4u
#define RING_MAX      256u
#define GUEST_BYTES   UINT64_C(0x80000)
#define QUEUE_BYTES   UINT64_C(0x4000)
#define BUFFERS       (GUEST_BASE + QUEUES * QUEUE_BYTES)
#define TRANSFERS_MAX 8192u
#define PLACES_MAX    4096u
#define LONG_PS       (300 * PS_PER_US)

enum { MODEL, TWIN_RTL, SIDES };

struct transfer {
	uint64_t addr;
	uint32_t bytes;
	bool write;
	uint16_t value; /* written */
};

struct side {
	struct rig *rig;
	struct transfer transfer[TRANSFERS_MAX];
	unsigned transfers;
	const bool *timed; /* see struct pair */
	/* records of a phase, by queue and sequence number */
	bool seen[QUEUES][RING_MAX];
	uint8_t slot[QUEUES][RING_MAX][SLOT_LOCAL_OFFSET];
	unsigned records;
	uint16_t last_sequence[QUEUES];
	uint64_t looks; /* index reads, of phases in which their number is a matter of time */
};

/* Guest memory that only one chain has to do with. */
struct place {
	uint64_t addr, bytes;
	unsigned chain;
};

struct pair {
	struct side side[SIDES];
	struct rng rng;
	struct vq vq[QUEUES];
	unsigned queues;
	uint64_t free_addr;
	/* of the phase */
	struct place place[PLACES_MAX];
	unsigned places, chains;
	unsigned offered[QUEUES];
	bool bad;   /* there are chains that break rules */
	bool timed; /* numbers of reads are a matter of time */
};

static uint32_t below(struct pair *p, uint32_t bound)
{
	return (uint32_t)rng_below(&p->rng, bound);
}

static struct rig *model_of(struct pair *p)
{
	return p->side[MODEL].rig;
}

/* Rings lie behind the descriptor table in their queue's memory. */
static bool same_ring(uint64_t a, uint64_t b)
{
	return a / QUEUE_BYTES == b / QUEUE_BYTES && a % QUEUE_BYTES >= 16 * RING_MAX &&
	       b % QUEUE_BYTES >= 16 * RING_MAX;
}

/* Of index reads with nothing in between only one counts where their number is a matter of time. */
static bool is_repeated(const struct side *side, const struct transfer *t)
{
	for (unsigned i = side->transfers; i-- != 0;)
		if (same_ring(side->transfer[i].addr, t->addr))
			return memcmp(&side->transfer[i], t, sizeof(*t)) == 0;
	return false;
}

static void trace(void *ctx, const struct dma_request *request)
{
	struct side *side = ctx;
	struct transfer t;
	memset(&t, 0, sizeof(t)); /* compared with memcmp */
	t.addr = request->addr;
	t.bytes = request->bytes;
	t.write = request->write;
	t.value = request->write ? load_le16(request->data) : 0;
	if (*side->timed && is_repeated(side, &t))
		return;
	assert_true(side->transfers < TRANSFERS_MAX);
	side->transfer[side->transfers++] = t;
}

/* ---- both at once ---- */

static void set_both(struct pair *p, uint32_t offset, uint32_t value)
{
	for (unsigned s = 0; s < SIDES; s++)
		set(p->side[s].rig, offset, value);
}

static uint32_t get_both(struct pair *p, uint32_t offset)
{
	uint32_t value = get(model_of(p), offset);
	assert_int_equal(get(p->side[TWIN_RTL].rig, offset), value);
	return value;
}

static void run_both(struct pair *p, uint64_t ps)
{
	for (unsigned s = 0; s < SIDES; s++)
		sim_run_for(&p->side[s].rig->sim, ps);
}

static void control_both(struct pair *p, unsigned q, uint32_t value)
{
	set_both(p, CSR_FETCH_QUEUE_SELECT, p->vq[q].number);
	set_both(p, CSR_FETCH_QUEUE_CONTROL, value);
}

static void kick_both(struct pair *p, unsigned q)
{
	bool hinted = below(p, 3) == 0;
	uint16_t hint = (uint16_t)(p->vq[q].index - (below(p, 3) ? 0 : below(p, 3)));
	for (unsigned s = 0; s < SIDES; s++) {
		struct rig *rig = p->side[s].rig;
		while (service_fifo_full(&rig->fetch->services))
			sim_run_for(&rig->sim, 10 * PS_PER_NS);
		serve_hinted(rig, &p->vq[q], hinted, hint);
	}
}

/* ---- the driver: writes guest memory of the model's side, which is copied to the other's ---- */

static uint64_t take_memory(struct pair *p, uint64_t bytes, uint64_t align)
{
	uint64_t addr = (p->free_addr + align - 1) & ~(align - 1);
	if (addr + bytes > GUEST_BASE + GUEST_BYTES)
		addr = BUFFERS;
	p->free_addr = addr + bytes;
	if (p->places < PLACES_MAX)
		p->place[p->places++] = (struct place){addr, bytes, p->chains};
	return addr;
}

/* Header in pieces, data, status; up to more segments than there may be. */
static struct chain random_chain(struct pair *p)
{
	struct chain chain = {0};
	unsigned data = below(p, 20) ? below(p, 5) : below(p, 131), have = 0;
	while (have < 16) {
		uint32_t bytes = below(p, 3) ? 16 - have : 1 + below(p, 16 - have);
		uint32_t more = bytes == 16 - have && below(p, 4) == 0 ? below(p, 1000) : 0;
		uint64_t addr = take_memory(p, 16, 1);
		for (uint32_t i = 0; i < bytes; i++)
			guest(model_of(p), addr + i, 1)[0] = (uint8_t)below(p, 256);
		chain.piece[chain.count++] = (struct piece){addr, bytes + more, false};
		have += bytes;
	}
	bool to_card = below(p, 2);
	for (unsigned i = 0; i < data && chain.count < PIECES_MAX - 1; i++)
		chain.piece[chain.count++] =
			(struct piece){rng_u64(&p->rng) >> 8, 1 + below(p, 0x20000), !to_card};
	chain.piece[chain.count++] = (struct piece){rng_u64(&p->rng) >> 8, 1, true};
	return chain;
}

/* A word of a descriptor is changed to something a driver had better not write. */
static void spoil(struct pair *p, uint64_t desc)
{
	static const uint64_t addrs[] = {0,       UINT64_MAX - 100, UINT64_MAX - 30,
					 BUFFERS, GUEST_BASE - 8,   GUEST_BASE + GUEST_BYTES - 4};
	static const uint32_t lengths[] = {0, 1, 15, 16, 17, 32, 48, 0x7fffffff, 0xfffffff0, UINT32_MAX};
	uint8_t *bytes = guest(model_of(p), desc, 16);
	p->bad = true;
	switch (below(p, 6)) {
	case 0: store_le64(bytes, addrs[below(p, ARRAY_SIZE(addrs))]); break;
	case 1: store_le32(bytes + 8, lengths[below(p, ARRAY_SIZE(lengths))]); break;
	case 2: store_le16(bytes + 12, (uint16_t)below(p, 8)); break;
	case 3: store_le16(bytes + 12, (uint16_t)rng_u64(&p->rng)); break;
	case 4: store_le16(bytes + 14, (uint16_t)below(p, RING_MAX)); break;
	default: store_le16(bytes + 14, (uint16_t)rng_u64(&p->rng)); break;
	}
}

/* Writes pieces from `first` on as descriptors, where `at` says where the i-th one is, chained. */
static void write_desc(struct pair *p, uint64_t at, const struct piece *piece, bool more, unsigned next)
{
	unsigned reserved = below(p, 10) ? 0 : below(p, 0x1000) << 3;
	put_desc_at(model_of(p), at, piece->addr, piece->bytes,
		    (uint16_t)((piece->write ? WRITE : 0) | (more ? NEXT : 0) | reserved), (uint16_t)next);
}

/* An indirect table whose entries are chained in any order, the first one first. */
static uint64_t write_table(struct pair *p, const struct chain *chain, unsigned first, bool spoiled)
{
	unsigned count = chain->count - first, place[PIECES_MAX];
	uint64_t table = take_memory(p, 16 * (uint64_t)count, below(p, 2) ? 16 : 1);
	for (unsigned i = 0; i < count; i++)
		place[i] = i;
	for (unsigned i = count; below(p, 3) == 0 && i > 2; i--) { /* not the first */
		unsigned other = 1 + below(p, i - 1), moved = place[i - 1];
		place[i - 1] = place[other];
		place[other] = moved;
	}
	for (unsigned i = 0; i < count; i++)
		write_desc(p, table + 16 * (uint64_t)place[i], &chain->piece[first + i], i + 1 < count,
			   i + 1 < count ? place[i + 1] : below(p, 65536));
	if (spoiled)
		spoil(p, table + 16 * (uint64_t)below(p, count));
	return table;
}

/* Adds a chain from descriptor `*desc` on; false if there are not enough of them. */
static bool offer(struct pair *p, unsigned q, unsigned *desc)
{
	struct vq *vq = &p->vq[q];
	struct chain chain = random_chain(p);
	bool indirect = (vq->indirect && below(p, 2)) || below(p, 50) == 0, spoiled = below(p, 4) == 0;
	unsigned direct = chain.count, head = *desc;
	if (indirect)
		direct = below(p, 2) ? 1 : 1 + below(p, chain.count);
	if (*desc + direct > vq->size)
		return false;
	uint64_t at = vq->desc + 16 * (uint64_t)head;
	for (unsigned i = 0; i < direct; i++)
		write_desc(p, at + 16 * (uint64_t)i, &chain.piece[i], i + 1 < direct, head + i + 1);
	if (indirect) {
		unsigned first = direct - 1;
		uint64_t table = write_table(p, &chain, first, spoiled && below(p, 2));
		p->bad |= !vq->indirect;
		put_desc_at(model_of(p), at + 16 * (uint64_t)first, table, 16 * (chain.count - first),
			    (uint16_t)(INDIRECT | (below(p, 2) ? WRITE : 0)), (uint16_t)below(p, 65536));
	}
	if (spoiled)
		spoil(p, at + 16 * (uint64_t)below(p, direct));
	if (p->places < PLACES_MAX)
		p->place[p->places++] = (struct place){at, 16 * (uint64_t)direct, p->chains};
	*desc += direct;
	p->chains++;
	add_head(model_of(p), vq, (uint16_t)(below(p, 60) ? head : vq->size + below(p, 1000)));
	p->offered[q]++;
	return true;
}

/* Fills the queue's ring with up to `most` chains. */
static void offer_some(struct pair *p, unsigned q, unsigned most)
{
	unsigned desc = 0;
	most = min_u32(most, p->vq[q].size);
	for (unsigned i = 0; i < most; i++)
		if (!offer(p, q, &desc))
			break;
	publish(model_of(p), &p->vq[q]);
}

static void copy_memory(struct pair *p)
{
	memcpy(p->side[TWIN_RTL].rig->host->memory, model_of(p)->host->memory, GUEST_BYTES);
}

/* ---- comparison ---- */

static unsigned queue_of(struct pair *p, unsigned number)
{
	for (unsigned q = 0; q < p->queues; q++)
		if (p->vq[q].number == number)
			return q;
	fail_msg("record of queue %u", number);
	return 0;
}

static void take_records(struct pair *p, unsigned s, bool in_order)
{
	struct side *side = &p->side[s];
	int number;
	while ((number = take_record(side->rig)) >= 0) {
		const struct slot *slot = slot_of(side->rig, (unsigned)number);
		unsigned q = queue_of(p, slot->queue), at = slot->sequence % RING_MAX;
		assert_false(side->seen[q][at]);
		if (in_order)
			assert_int_equal(slot->sequence, side->last_sequence[q]);
		side->last_sequence[q]++;
		side->seen[q][at] = true;
		assert_true(slot->segments <= SLOT_SEGMENTS_MAX);
		memcpy(side->slot[q][at], slot,
		       SLOT_SEGMENT_OFFSET + slot->segments * sizeof(struct slot_segment));
		side->records++;
		free_slot(side->rig, (unsigned)number);
	}
}

/* `all`: both have the same ones; else what both have is the same. */
static void compare_records(struct pair *p, bool all)
{
	const struct side *model = &p->side[MODEL], *rtl = &p->side[TWIN_RTL];
	for (unsigned q = 0; q < p->queues; q++)
		for (unsigned i = 0; i < RING_MAX; i++) {
			const struct slot *slot = (const struct slot *)(const void *)model->slot[q][i];
			if (all)
				assert_int_equal(rtl->seen[q][i], model->seen[q][i]);
			if (model->seen[q][i] && rtl->seen[q][i])
				assert_memory_equal(rtl->slot[q][i], slot,
						    SLOT_SEGMENT_OFFSET +
							    slot->segments * sizeof(struct slot_segment));
		}
}

static int by_content(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct transfer));
}

/* What belongs to `[addr, addr + bytes)`, in its order. */
static unsigned select_transfers(const struct side *side, uint64_t addr, uint64_t bytes, struct transfer *out)
{
	unsigned count = 0;
	for (unsigned i = 0; i < side->transfers; i++)
		if (side->transfer[i].addr - addr < bytes)
			out[count++] = side->transfer[i];
	return count;
}

static void compare_order(struct pair *p, uint64_t addr, uint64_t bytes)
{
	static struct transfer model[TRANSFERS_MAX], rtl[TRANSFERS_MAX];
	unsigned count = select_transfers(&p->side[MODEL], addr, bytes, model);
	assert_int_equal(select_transfers(&p->side[TWIN_RTL], addr, bytes, rtl), count);
	assert_memory_equal(rtl, model, count * sizeof(*model));
}

/* A chain's transfers in its order: they are found by the memory that it alone uses. */
static unsigned chain_transfers(const struct pair *p, const struct side *side, unsigned chain,
				struct transfer *out)
{
	unsigned count = 0;
	for (unsigned i = 0; i < side->transfers; i++)
		for (unsigned k = 0; k < p->places; k++) {
			const struct place *place = &p->place[k];
			const struct transfer *t = &side->transfer[i];
			if (place->chain == chain && t->addr >= place->addr &&
			    t->addr - place->addr < place->bytes) {
				out[count++] = *t;
				break;
			}
		}
	return count;
}

static void compare_transfers(struct pair *p)
{
	struct side *model = &p->side[MODEL], *rtl = &p->side[TWIN_RTL];
	for (unsigned q = 0; q < p->queues; q++) {
		/* Both rings: index, entries, and the wish for a doorbell before the index is read again. */
		compare_order(p, p->vq[q].desc + 16 * RING_MAX, QUEUE_BYTES - 16 * RING_MAX);
	}
	if (!p->bad && p->places < PLACES_MAX)
		for (unsigned c = 0; c < p->chains; c++) {
			struct transfer a[256], b[256];
			unsigned count = chain_transfers(p, model, c, a);
			assert_int_equal(chain_transfers(p, rtl, c, b), count);
			assert_memory_equal(b, a, count * sizeof(*a));
		}
	if (p->timed)
		return;
	assert_int_equal(rtl->transfers, model->transfers);
	qsort(model->transfer, model->transfers, sizeof(*model->transfer), by_content);
	qsort(rtl->transfer, rtl->transfers, sizeof(*rtl->transfer), by_content);
	assert_memory_equal(rtl->transfer, model->transfer, model->transfers * sizeof(*model->transfer));
}

static void compare_state(struct pair *p)
{
	for (unsigned q = 0; q < p->queues; q++) {
		set_both(p, CSR_FETCH_QUEUE_SELECT, p->vq[q].number);
		get_both(p, CSR_FETCH_QUEUE_STATE);
		get_both(p, CSR_FETCH_QUEUE_CONTROL);
	}
	get_both(p, CSR_FETCH_FAULT_LO);
	get_both(p, CSR_FETCH_FAULT_HI);
	assert_memory_equal(p->side[TWIN_RTL].rig->host->memory, model_of(p)->host->memory, GUEST_BYTES);
	for (unsigned s = 0; s < SIDES; s++) {
		const struct rig *rig = p->side[s].rig;
		assert_false(fetch_events(rig->fetch, rig->sim.now_ps) & CSR_SYS_EVENTS_RECORD_MASK);
		assert_at_rest(p->side[s].rig);
		assert_int_equal(slots_in_use(p->side[s].rig), 0);
	}
}

static void compare_statistics(struct pair *p)
{
	const struct fetch_stats *model = stats_of(model_of(p)), *rtl = stats_of(p->side[TWIN_RTL].rig);
	for (unsigned s = 0; p->timed && s < SIDES; s++)
		p->side[s].looks = p->side[s].rig->fetch->stats.index_reads;
	assert_int_equal(rtl->index_reads - p->side[TWIN_RTL].looks,
			 model->index_reads - p->side[MODEL].looks);
	assert_int_equal(rtl->services, model->services);
	assert_int_equal(rtl->empty_services, model->empty_services);
	assert_int_equal(rtl->ring_entries, model->ring_entries);
	assert_int_equal(rtl->descriptor_reads, model->descriptor_reads);
	assert_int_equal(rtl->descriptors, model->descriptors);
	assert_int_equal(rtl->indirect_tables, model->indirect_tables);
	assert_int_equal(rtl->header_reads, model->header_reads);
	assert_int_equal(rtl->arm_writes, model->arm_writes);
	assert_int_equal(rtl->requests, model->requests);
	assert_int_equal(rtl->bad_chains, model->bad_chains);
	assert_int_equal(rtl->faults, model->faults);
	assert_int_equal(rtl->bad_frees, model->bad_frees);
}

/* ---- phases ---- */

static void begin_phase(struct pair *p)
{
	p->places = p->chains = 0;
	p->free_addr = BUFFERS;
	p->bad = p->timed = false;
	memset(p->offered, 0, sizeof(p->offered));
	for (unsigned s = 0; s < SIDES; s++) {
		struct side *side = &p->side[s];
		side->transfers = side->records = 0;
		memset(side->seen, 0, sizeof(side->seen));
		for (unsigned q = 0; q < p->queues; q++)
			side->last_sequence[q] = p->vq[q].added;
	}
}

/* A queue begins a life. */
static void begin_queue(struct pair *p, unsigned q)
{
	struct vq *vq = &p->vq[q];
	*vq = (struct vq){
		.number = vq->number,
		.size = (uint16_t)(1u << (below(p, 4) ? 5 + below(p, 4) : below(p, 9))),
		.event_idx = below(p, 2),
		.indirect = below(p, 2),
		.desc = GUEST_BASE + q * QUEUE_BYTES,
	};
	vq->avail = vq->desc + 16 * RING_MAX;
	vq->used = vq->avail + 6 + 2 * RING_MAX + 2 * below(p, 8);
	memset(guest(model_of(p), vq->avail, 4), 0, 4);
	copy_memory(p);
	for (unsigned s = 0; s < SIDES; s++)
		program(p->side[s].rig, vq);
}

/* Until all that was offered has come, or the queue has stopped. */
static void settle(struct pair *p, bool in_order)
{
	for (unsigned s = 0; s < SIDES; s++) {
		struct rig *rig = p->side[s].rig;
		for (unsigned i = 0; i < 10000 && (!host_idle(rig->host) || fetch_busy(rig->fetch) || i < 2);
		     i++) {
			sim_run_for(&rig->sim, LONG_PS);
			take_records(p, s, in_order);
		}
	}
}

static bool any_fault(struct pair *p)
{
	return get_both(p, CSR_FETCH_FAULT_LO) != 0 || get_both(p, CSR_FETCH_FAULT_HI) != 0;
}

/* Statistics of a phase in which much was a matter of time are of no further use. */
static void forget_statistics(struct pair *p)
{
	for (unsigned s = 0; s < SIDES; s++) {
		rig_settle(p->side[s].rig);
		p->side[s].rig->fetch->stats = (struct fetch_stats){0};
		p->side[s].looks = 0;
	}
}

static void end_phase(struct pair *p, bool in_order)
{
	settle(p, in_order);
	compare_state(p);
	if (any_fault(p)) {
		compare_records(p, false); /* heads that had no walker yet are dropped */
		forget_statistics(p);
	} else {
		compare_records(p, true);
		compare_transfers(p);
		compare_statistics(p);
	}
	for (unsigned s = 0; s < SIDES; s++)
		p->side[s].rig->host->unmapped_count = 2;
}

/* Chains in some of the rings, a doorbell for each. */
static void phase_plain(struct pair *p, bool in_order)
{
	for (unsigned q = 0; q < p->queues; q++)
		if (below(p, 3))
			offer_some(p, q, 1 + below(p, 60));
	copy_memory(p);
	for (unsigned q = 0; q < p->queues; q++)
		kick_both(p, q);
	end_phase(p, in_order);
}

/* Something cannot be read. */
static void phase_errors(struct pair *p, bool in_order)
{
	for (unsigned q = 0; q < p->queues; q++)
		offer_some(p, q, 1 + below(p, 40));
	copy_memory(p);
	for (unsigned i = 1 + below(p, 3); i != 0; i--) {
		const struct vq *vq = &p->vq[below(p, p->queues)];
		const uint64_t addrs[] = {vq->avail, vq->avail + 4 + 2 * below(p, vq->size),
					  vq->desc + 16 * below(p, vq->size), BUFFERS + below(p, 0x1000)};
		uint64_t addr = addrs[below(p, ARRAY_SIZE(addrs))];
		for (unsigned s = 0; s < SIDES; s++)
			host_unmap(p->side[s].rig->host, addr, 16);
	}
	for (unsigned q = 0; q < p->queues; q++)
		kick_both(p, q);
	end_phase(p, in_order);
}

/* avail.idx that no driver may write. */
static void phase_index(struct pair *p, bool in_order)
{
	unsigned q = below(p, p->queues);
	struct vq *vq = &p->vq[q];
	offer_some(p, q, below(p, 10));
	store_le16(guest(model_of(p), vq->avail + 2, 2), (uint16_t)(vq->index + vq->size + below(p, 60000)));
	copy_memory(p);
	kick_both(p, q);
	end_phase(p, in_order);
}

/* Polled queues find what is added without a doorbell. */
static void phase_poll(struct pair *p, bool in_order)
{
	p->timed = true;
	for (unsigned q = 0; q < p->queues; q++)
		control_both(p, q, 3);
	run_both(p, 5 * PS_PER_US);
	for (unsigned q = 0; q < p->queues; q++)
		if (below(p, 2))
			offer_some(p, q, 1 + below(p, 20));
	/* The used rings are the engines' own. */
	for (unsigned q = 0; q < p->queues; q++)
		for (uint64_t at = p->vq[q].desc; at < p->vq[q].used; at += 2)
			memcpy(guest(p->side[TWIN_RTL].rig, at, 2), guest(model_of(p), at, 2), 2);
	memcpy(guest(p->side[TWIN_RTL].rig, BUFFERS, GUEST_BASE + GUEST_BYTES - BUFFERS),
	       guest(model_of(p), BUFFERS, GUEST_BASE + GUEST_BYTES - BUFFERS),
	       GUEST_BASE + GUEST_BYTES - BUFFERS);
	run_both(p, LONG_PS);
	for (unsigned q = 0; q < p->queues; q++)
		control_both(p, q, 1);
	end_phase(p, in_order);
}

/* More requests than slots. */
static void phase_short(struct pair *p, bool in_order)
{
	unsigned keep = 1 + below(p, 10);
	uint16_t kept[SIDES][SLOTS];
	unsigned count = 0;
	p->timed = true; /* how many entries a read brings depends on who has the slots */
	for (; count + keep < SLOTS; count++)
		for (unsigned s = 0; s < SIDES; s++)
			kept[s][count] = (uint16_t)get(p->side[s].rig, CSR_FETCH_SLOT_ALLOC);
	for (unsigned q = 0; q < p->queues; q++)
		offer_some(p, q, 60);
	copy_memory(p);
	for (unsigned q = 0; q < p->queues; q++)
		kick_both(p, q);
	settle(p, in_order);
	for (unsigned s = 0; s < SIDES; s++)
		for (unsigned i = 0; i < count; i++)
			free_slot(p->side[s].rig, kept[s][i]);
	settle(p, in_order);
	compare_records(p, true);
	compare_state(p);
}

/* Queues are stopped in the middle of it, and begin again when nothing of the old life is left. What either side has taken is
 * the same, as far as both have. */
static void phase_stop(struct pair *p, bool in_order)
{
	for (unsigned q = 0; q < p->queues; q++)
		offer_some(p, q, 1 + below(p, 50));
	copy_memory(p);
	for (unsigned q = 0; q < p->queues; q++)
		kick_both(p, q);
	run_both(p, below(p, 5000) * PS_PER_NS);
	for (unsigned q = 0; q < p->queues; q++)
		control_both(p, q, 0);
	settle(p, in_order);
	compare_records(p, false);
	for (unsigned s = 0; s < SIDES; s++)
		assert_at_rest(p->side[s].rig);
	set_both(p, CSR_FETCH_FAULT_LO, UINT32_MAX);
	set_both(p, CSR_FETCH_FAULT_HI, UINT32_MAX);
	for (unsigned q = 0; q < p->queues; q++)
		begin_queue(p, q);
}

static void revive_queues(struct pair *p)
{
	for (unsigned q = 0; q < p->queues; q++) {
		set_both(p, CSR_FETCH_QUEUE_SELECT, p->vq[q].number);
		if (!(get_both(p, CSR_FETCH_QUEUE_STATE) & CSR_FETCH_QUEUE_STATE_FAULT_MASK))
			continue;
		set_both(p, CSR_FETCH_FAULT_LO, UINT32_MAX);
		set_both(p, CSR_FETCH_FAULT_HI, UINT32_MAX);
		control_both(p, q, 0);
		begin_queue(p, q);
	}
}

static struct rig *create_rig(struct pair *p, unsigned s, const struct config *config, uint64_t seed)
{
	struct rig *rig = rig_create(GUEST_BYTES, seed + s);
	struct host *host = rig->host;
	rig->create = s == MODEL ? fetch_create : fetch_rtl_create;
	rig->config = *config;
	memset(host->allowed, HOST_READ | HOST_WRITE, GUEST_BYTES);
	host_unmap(host, 0, GUEST_BASE);
	host_unmap(host, GUEST_BASE + GUEST_BYTES, UINT64_MAX - GUEST_BASE - GUEST_BYTES);
	rig_start(rig);
	p->side[s].timed = &p->timed;
	host->ctx = &p->side[s];
	host->taken = trace;
	return rig;
}

static struct pair *create_pair(uint64_t seed)
{
	struct pair *p = calloc(1, sizeof(*p));
	struct config config;
	assert_non_null(p);
	rng_seed(&p->rng, seed, 3);
	config_defaults(&config);
	config.fetch.batch = below(p, 2) ? 16 : 1 + below(p, 256);
	config.fetch.prefetch = below(p, 2) ? 4 : 1 + below(p, 32);
	config.fetch.inflight = below(p, 4) ? 1 + below(p, 64) : 1;
	for (unsigned s = 0; s < SIDES; s++)
		p->side[s].rig = create_rig(p, s, &config, seed);
	uint64_t min_ps = below(p, 500) * PS_PER_NS, max_ps = min_ps + below(p, 1500) * PS_PER_NS;
	uint64_t write_ps = below(p, 800) * PS_PER_NS, gap_ps = below(p, 2) ? 0 : below(p, 40) * PS_PER_NS;
	for (unsigned s = 0; s < SIDES; s++) {
		struct host *host = p->side[s].rig->host;
		host->read_ps_min = min_ps;
		host->read_ps_max = max_ps;
		host->write_ps_max = write_ps;
		host->gap_ps = gap_ps;
	}
	fetch_rtl_stall(p->side[TWIN_RTL].rig->fetch, seed, below(p, 2) ? 0 : below(p, 90));
	p->queues = 1 + below(p, QUEUES);
	unsigned number = below(p, 10);
	for (unsigned q = 0; q < p->queues; q++) {
		p->vq[q].number = number;
		number += 1 + below(p, 17);
		begin_queue(p, q);
	}
	return p;
}

static void random_run(uint64_t seed)
{
	struct pair *p = create_pair(seed);
	bool in_order = p->side[MODEL].rig->config.fetch.inflight == 1;
	for (unsigned phase = 0; phase < 8; phase++) {
		begin_phase(p);
		switch (below(p, 12)) {
		case 0: phase_errors(p, in_order); break;
		case 1: phase_index(p, in_order); break;
		case 2:
		case 3: phase_poll(p, in_order); break;
		case 4:
			phase_short(p, in_order);
			forget_statistics(p);
			break;
		case 5:
			phase_stop(p, in_order);
			forget_statistics(p);
			break;
		default: phase_plain(p, in_order); break;
		}
		revive_queues(p);
	}
	for (unsigned s = 0; s < SIDES; s++)
		rig_free(p->side[s].rig);
	free(p);
}

static void test_fetch_twin_does_what_the_model_does(void **state)
{
	(void)state;
	uint64_t seed = test_seed(1);
	for (unsigned i = 0; i < RUNS; i++)
		random_run(seed * 1000003 + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fetch_twin_does_what_the_model_does),
	};
	return cmocka_run_group_tests_name("fetch model and twin", tests, NULL, NULL);
}
