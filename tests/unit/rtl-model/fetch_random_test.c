/* The fetch engine against a driver that rings only when the device has asked for it, in random interleavings: nothing may be
 * lost, taken twice or changed, whatever is polled, stopped, reset or short in between; and nothing may be read before that
 * on which it depends (ORD-004). */
#include "tests/unit/rtl-model/fetch_fixture.h"

#define RUNS        1500u
#define REQUESTS    120u /* of a run */
#define QUEUES      3u
#define RING_MAX    64u
#define GUEST_BYTES UINT64_C(0x100000)
#define NAMED_MAX   4096u
#define DATA_BASE   UINT64_C(0x7000000000) /* buffers: the engine has no business there */

struct offer {
	bool out;
	uint16_t sequence;
	unsigned descs; /* of the table */
	struct chain chain;
};

struct driver {
	struct vq vq;
	struct offer offer[RING_MAX]; /* by head */
	uint16_t free_desc[RING_MAX];
	unsigned free_count;
	uint16_t next_desc[RING_MAX]; /* as the driver chained them */
	bool kick_due;                /* published, not yet thought about a doorbell */
	bool bell;                    /* a doorbell is on its way */
	bool poll, stopping;
	/* what the engine may know */
	uint16_t known_index;
	bool known_desc[RING_MAX];
};

struct world {
	struct rig *rig;
	struct rng rng;
	struct driver driver[QUEUES];
	unsigned offered, seen;
	bool hints;
	uint16_t held[SLOTS];
	unsigned held_count;
	struct host_range named[NAMED_MAX]; /* the last ones */
	unsigned named_count;
};

static uint32_t below(struct world *w, uint32_t bound)
{
	return (uint32_t)rng_below(&w->rng, bound);
}

/* ---- what may be read when ---- */

static bool inside(uint64_t addr, uint64_t start, uint64_t bytes)
{
	return addr >= start && addr - start < bytes;
}

static void name(struct world *w, uint64_t addr, uint64_t bytes)
{
	if (bytes != 0)
		w->named[w->named_count++ % NAMED_MAX] = (struct host_range){addr, bytes};
}

/* A request leaves: what it is based on must have been answered before. */
static void check_taken(void *ctx, const struct dma_request *request)
{
	struct world *w = ctx;
	for (unsigned q = 0; q < QUEUES; q++) {
		struct driver *d = &w->driver[q];
		const struct vq *vq = &d->vq;
		if (request->write && inside(request->addr, vq->used, 6 + 8 * (uint64_t)vq->size))
			return;
		if (request->addr == vq->avail)
			return;
		if (inside(request->addr, vq->avail, 4 + 2 * (uint64_t)vq->size)) {
			uint16_t known = (uint16_t)(d->known_index - fetched(w->rig, q));
			assert_true(w->hints || request->bytes / 2 <= known);
			return;
		}
		if (inside(request->addr, vq->desc, 16 * (uint64_t)vq->size)) {
			assert_true(d->known_desc[(request->addr - vq->desc) / 16]);
			return;
		}
	}
	assert_false(request->write);
	for (unsigned i = 0; i < min_u32(w->named_count, NAMED_MAX); i++)
		if (inside(request->addr, w->named[i].addr, w->named[i].bytes))
			return;
	fail_msg("read at %#llx that nothing has named", (unsigned long long)request->addr);
}

static void learn_descs(struct world *w, struct driver *d, const uint8_t *data, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i += 16) {
		uint16_t flags = load_le16(data + i + 12), next = load_le16(data + i + 14);
		name(w, load_le64(data + i), load_le32(data + i + 8));
		if ((flags & NEXT) && next < d->vq.size)
			d->known_desc[next] = true;
	}
}

static void learn(void *ctx, const struct dma_request *request)
{
	struct world *w = ctx;
	for (unsigned q = 0; q < QUEUES; q++) {
		struct driver *d = &w->driver[q];
		const struct vq *vq = &d->vq;
		if (request->addr == vq->avail)
			d->known_index = load_le16(request->data + 2);
		else if (inside(request->addr, vq->avail, 4 + 2 * (uint64_t)vq->size))
			for (uint32_t i = 0; i < request->bytes; i += 2)
				d->known_desc[load_le16(request->data + i) % RING_MAX] = true;
		else if (inside(request->addr, vq->desc, 16 * (uint64_t)vq->size))
			learn_descs(w, d, request->data, request->bytes);
	}
	/* Of an indirect table every entry is named by the table. */
	if (request->bytes % 16 == 0 && request->addr % 16 == 0)
		learn_descs(w, &(struct driver){0}, request->data, request->bytes);
}

/* ---- the driver ---- */

static void begin_queue(struct world *w, unsigned q)
{
	struct driver *d = &w->driver[q];
	uint16_t size = (uint16_t)(1u << below(w, 7));
	w->rig->free_addr = GUEST_BASE + q * 0x1000;
	*d = (struct driver){.vq = vq_create(w->rig, q, size, below(w, 2), below(w, 2))};
	for (unsigned i = 0; i < size; i++)
		d->free_desc[d->free_count++] = (uint16_t)i;
	program(w->rig, &d->vq);
	d->bell = true; /* the firmware looks at every ring once */
}

static struct chain random_chain(struct world *w, uint64_t memory)
{
	struct chain chain = {0};
	unsigned pieces = 2 + below(w, 5), have = 0;
	w->rig->free_addr = memory;
	for (unsigned i = 0; i < 16; i++)
		chain.header[i] = (uint8_t)below(w, 256);
	while (have < 16) {
		uint32_t bytes = below(w, 3) ? 16 - have : 1 + below(w, 16 - have);
		add_header_piece(w->rig, &chain, have, bytes);
		have += bytes;
	}
	for (unsigned i = 0; i < pieces; i++)
		chain.piece[chain.count++] =
			(struct piece){DATA_BASE + below(w, 1u << 30), 1 + below(w, 70000), i > 0};
	return chain;
}

/* Direct, indirect, or direct with the rest in a table. False if there are not enough descriptors. */
static bool offer_one(struct world *w, struct driver *d)
{
	if (d->free_count == 0)
		return false;
	uint16_t head = d->free_desc[d->free_count - 1];
	struct chain chain = random_chain(w, GUEST_BASE + 0x8000 + 0x200 * (d->vq.number * RING_MAX + head));
	unsigned direct = chain.count, table_from = chain.count;
	if (d->vq.indirect && below(w, 2)) {
		table_from = below(w, 3) ? 0 : below(w, chain.count);
		direct = table_from + 1;
	}
	if (direct > d->free_count)
		return false;
	uint16_t desc[PIECES_MAX];
	for (unsigned i = 0; i < direct; i++)
		desc[i] = d->free_desc[--d->free_count];
	for (unsigned i = 0; i < direct; i++) {
		const struct piece *piece = &chain.piece[i];
		unsigned next = i + 1 < direct ? desc[i + 1] : 0;
		if (i == table_from)
			put_desc(w->rig, &d->vq, desc[i], put_table(w->rig, &chain, table_from),
				 16 * (chain.count - table_from),
				 (uint16_t)(INDIRECT | (below(w, 2) ? WRITE : 0)), 0);
		else
			put_desc(w->rig, &d->vq, desc[i], piece->addr, piece->bytes,
				 (uint16_t)((piece->write ? WRITE : 0) | (i + 1 < direct ? NEXT : 0)),
				 (uint16_t)next);
		d->next_desc[desc[i]] = (uint16_t)next;
	}
	d->offer[desc[0]] = (struct offer){true, d->vq.added, direct, chain};
	add_head(w->rig, &d->vq, desc[0]);
	w->offered++;
	return true;
}

/* ---- the rest of the card ---- */

static void take_back(struct driver *d, uint16_t head)
{
	struct offer *offer = &d->offer[head];
	uint16_t desc = head;
	assert_true(offer->out);
	offer->out = false;
	for (unsigned i = 0; i < offer->descs; i++) {
		d->free_desc[d->free_count++] = desc;
		desc = d->next_desc[desc];
	}
}

static void take_records(struct world *w)
{
	int number;
	while ((number = take_record(w->rig)) >= 0) {
		const struct slot *slot = slot_of(w->rig, (unsigned)number);
		struct driver *d = &w->driver[slot->queue];
		w->held[w->held_count++] = (uint16_t)number;
		if (d->stopping)
			continue; /* the firmware drops it */
		assert_true(slot->head < d->vq.size && d->offer[slot->head].out);
		assert_int_equal(slot->sequence, d->offer[slot->head].sequence);
		assert_record(w->rig, (unsigned)number, &d->vq, slot->head, slot->sequence,
			      &d->offer[slot->head].chain);
		take_back(d, slot->head); /* done at once, as far as the driver is concerned */
		w->seen++;
	}
}

static void free_some(struct world *w, unsigned count)
{
	while (count-- != 0 && w->held_count != 0) {
		unsigned i = below(w, w->held_count);
		free_slot(w->rig, w->held[i]);
		w->held[i] = w->held[--w->held_count];
	}
}

/* The notify unit: one pending bit a queue. */
static void ring_bells(struct world *w)
{
	for (unsigned q = 0; q < QUEUES; q++) {
		struct driver *d = &w->driver[q];
		if (!d->bell || service_fifo_full(&w->rig->fetch->services))
			continue;
		d->bell = false;
		/* Hints are right when the doorbell is written, and get old on the way. */
		uint16_t hint = (uint16_t)(d->vq.index - (below(w, 2) ? below(w, 4) : 0));
		serve_hinted(w->rig, &d->vq, w->hints, hint);
	}
}

static unsigned abandon(struct driver *d)
{
	unsigned count = 0;
	for (unsigned i = 0; i < RING_MAX; i++)
		count += d->offer[i].out;
	return count;
}

static void poll_stop(struct world *w, unsigned q)
{
	struct driver *d = &w->driver[q];
	if (!d->stopping || (queue_get(w->rig, q, CSR_FETCH_QUEUE_STATE) & CSR_FETCH_QUEUE_STATE_BUSY_MASK))
		return;
	take_records(w);
	/* The driver learns of the end by a read, which comes behind everything the card has written (ORD-007). */
	sim_run(&w->rig->sim, max_u64(w->rig->sim.now_ps, w->rig->host->visible_ps));
	w->offered -= abandon(d);
	begin_queue(w, q);
}

static void reset_all(struct world *w)
{
	host_abort(w->rig->host);
	fetch_reset(w->rig->fetch);
	w->held_count = 0;
	sim_run(&w->rig->sim, max_u64(w->rig->sim.now_ps, w->rig->host->visible_ps));
	for (unsigned q = 0; q < QUEUES; q++) {
		w->offered -= abandon(&w->driver[q]);
		begin_queue(w, q);
	}
}

static void act(struct world *w)
{
	unsigned q = below(w, QUEUES);
	struct driver *d = &w->driver[q];
	switch (below(w, 200)) {
	case 0 ... 59:
		for (unsigned i = 1 + below(w, 8); i != 0 && !d->stopping && w->offered < REQUESTS; i--)
			offer_one(w, d);
		if (below(w, 2) == 0)
			break;
		/* fall through */
	case 60 ... 99:
		if (!d->stopping) {
			publish(w->rig, &d->vq);
			d->kick_due = true;
		}
		break;
	case 100 ... 139:
		if (d->kick_due && !d->stopping)
			d->bell |= kick_wanted(w->rig, &d->vq);
		d->kick_due = false;
		break;
	case 140 ... 159: ring_bells(w); break;
	case 160 ... 169: take_records(w); break;
	case 170 ... 179: free_some(w, below(w, 40)); break;
	case 180 ... 189:
		if (!d->stopping) {
			d->poll = below(w, 2);
			queue_set(w->rig, q, CSR_FETCH_QUEUE_CONTROL, 1 | d->poll << 1);
		}
		break;
	case 190:
		d->stopping = true;
		d->bell = d->kick_due = false;
		queue_set(w->rig, q, CSR_FETCH_QUEUE_CONTROL, 0);
		break;
	case 191:
		if (below(w, 4) == 0)
			reset_all(w);
		break;
	default: break;
	}
	for (unsigned i = 0; i < QUEUES; i++)
		poll_stop(w, i);
}

/* Everything on its way gets there; then the engine has to come to rest with nothing left in the rings. */
static void wind_up(struct world *w)
{
	for (unsigned round = 0; round < 400; round++) {
		for (unsigned q = 0; q < QUEUES; q++) {
			struct driver *d = &w->driver[q];
			poll_stop(w, q);
			if (d->stopping)
				continue;
			if (d->poll)
				queue_set(w->rig, q, CSR_FETCH_QUEUE_CONTROL, 1);
			d->poll = false;
			if (d->vq.index != d->vq.added || d->kick_due) {
				publish(w->rig, &d->vq);
				d->bell |= kick_wanted(w->rig, &d->vq);
				d->kick_due = false;
			}
		}
		ring_bells(w);
		take_records(w);
		free_some(w, SLOTS);
		sim_run_for(&w->rig->sim, PS_PER_US);
	}
}

static void random_run(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	rng_seed(&w->rng, seed, 0);
	struct rig *rig = w->rig = rig_create(GUEST_BYTES, seed);
	rig->config.fetch.batch = 1 + below(w, 20);
	rig->config.fetch.prefetch = 1 + below(w, 8);
	rig->config.fetch.inflight = 1 + below(w, 10);
	rig->host->read_ps_min = below(w, 100) * PS_PER_NS;
	rig->host->read_ps_max = rig->host->read_ps_min + below(w, 2000) * PS_PER_NS;
	rig->host->write_ps_max = below(w, 1000) * PS_PER_NS;
	rig->host->gap_ps = below(w, 2) ? 0 : below(w, 50) * PS_PER_NS;
	rig_start(rig);
#ifdef TWIN
	fetch_rtl_stall(rig->fetch, seed, below(w, 2) ? 0 : below(w, 90));
#endif
	w->hints = below(w, 2);
	rig->host->ctx = w;
	rig->host->taken = check_taken;
	rig->host->answered = learn;
	for (unsigned q = 0; q < QUEUES; q++)
		begin_queue(w, q);
	if (below(w, 2)) /* few slots */
		for (unsigned i = 1 + below(w, 12); i < SLOTS; i++)
			w->held[w->held_count++] = (uint16_t)get(rig, CSR_FETCH_SLOT_ALLOC);
	unsigned kept = w->held_count;
	for (unsigned steps = 0; w->offered < REQUESTS && steps < 20000; steps++) {
		act(w);
		if (w->held_count > kept && w->held_count - kept > 6)
			free_some(w, 2);
		sim_run_for(&rig->sim, below(w, 2) ? 0 : below(w, 400) * PS_PER_NS);
	}
	wind_up(w);
	assert_int_equal(w->seen, w->offered);
	assert_at_rest(rig);
	assert_int_equal(slots_in_use(rig), 0);
	assert_int_equal(get(rig, CSR_FETCH_FAULT_LO), 0);
	for (unsigned q = 0; q < QUEUES; q++) {
		const struct vq *vq = &w->driver[q].vq;
		assert_int_equal(fetched(rig, q), vq->added);
		if (vq->event_idx)
			assert_int_equal(avail_event(rig, vq), vq->added);
		assert_int_equal(used_flags(rig, vq), 0); /* D-034, and D-032 with doorbells wanted */
	}
	assert_int_equal(rig->fetch->stats.bad_chains, 0);
	rig_free(rig);
	free(w);
}

static void test_fetch_random_interleavings_lose_nothing(void **state)
{
	(void)state;
	uint64_t seed = test_seed(1);
	for (unsigned i = 0; i < RUNS; i++)
		random_run(seed * 1000003 + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_fetch_random_interleavings_lose_nothing,
			 "D-011 D-013 D-014 D-015 D-016 D-020 D-021 D-022 D-032 D-034 D-035 D-036 D-037 "
			 "ORD-004 V-068"),
	};
	return cmocka_run_group_tests_name("fetch random", tests, NULL, NULL);
}
