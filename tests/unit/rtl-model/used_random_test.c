/* The used-ring writer against drivers that sleep until they are interrupted, in random interleavings: everything completed
 * is seen, no entry is announced by used.idx before it and its status byte are there, and every interrupt has a reason. */
#include "tests/unit/rtl-model/used_fixture.h"

#define RUNS        1500u
#define COMPLETIONS 200u /* of a run */
#define QUEUES      3u
#define RING_MAX    64u
#define GUEST_BYTES UINT64_C(0x10000)

struct driver {
	struct vq *vq;
	bool asleep, stopping;
	uint64_t wake_ps;        /* interrupt handler runs then */
	unsigned interrupts;     /* of vq, taken note of */
	uint16_t seen;           /* used entries taken */
	uint16_t offered;        /* requests given to the device so far */
	uint16_t completed;      /* of them, pushed by the firmware */
	uint64_t status;         /* where the status bytes are, by ring index */
	uint8_t nonce[RING_MAX]; /* by ring index: status of the last completion there */
	uint16_t announced;      /* used.idx in memory */
};

struct world {
	struct rig *rig;
	struct rng rng;
	struct driver driver[QUEUES];
	unsigned pushed;
	unsigned slept;
};

static uint32_t below(struct world *w, uint32_t bound)
{
	return (uint32_t)rng_below(&w->rng, bound);
}

static uint16_t id_of(const struct driver *d, uint16_t index)
{
	return (uint16_t)(index * 7 + d->vq->number);
}

/* used.idx becomes visible: what it covers has to be visible already (D-029, D-030). */
static void check_visible(void *ctx, const struct dma_request *request, const uint8_t *data)
{
	struct world *w = ctx;
	for (unsigned q = 0; q < QUEUES; q++) {
		struct driver *d = &w->driver[q];
		if (request->addr != d->vq->used + 2)
			continue;
		uint16_t now = load_le16(data), first = d->announced;
		assert_true((uint16_t)(now - d->announced) <= d->vq->size);
		for (uint16_t i = d->announced; i != now; i++) {
			unsigned at = i % d->vq->size;
			assert_int_equal(*guest(w->rig, d->status + at, 1), d->nonce[at]);
			if (!d->vq->in_order) {
				assert_int_equal(element_id(w->rig, d->vq, i), id_of(d, i));
				assert_int_equal(element_len(w->rig, d->vq, i), i);
			}
		}
		if (d->vq->in_order) {
			assert_int_equal(element_id(w->rig, d->vq, first), id_of(d, (uint16_t)(now - 1)));
			assert_int_equal(element_len(w->rig, d->vq, first), (uint16_t)(now - 1));
		}
		d->announced = now;
	}
}

static void note_taken(void *ctx, const struct dma_request *request)
{
	rig_taken(((struct world *)ctx)->rig, request);
}

static void note_answered(void *ctx, const struct dma_request *request)
{
	rig_answered(((struct world *)ctx)->rig, request);
}

static void begin_queue(struct world *w, unsigned q)
{
	struct driver *d = &w->driver[q];
	uint16_t size = (uint16_t)(1u << below(w, 7));
	w->rig->free_addr = GUEST_BASE + q * 0x1000;
	*d = (struct driver){.vq = vq_create(w->rig, q, size, below(w, 2), below(w, 2))};
	d->status = guest_alloc(w->rig, RING_MAX, 1, HOST_WRITE);
}

/* ---- the driver ---- */

static void offer(struct world *w, struct driver *d)
{
	uint16_t room = (uint16_t)(d->vq->size - (uint16_t)(d->offered - d->seen));
	d->offered = (uint16_t)(d->offered + below(w, room + 1));
}

/* Takes what used.idx shows, and asks to be woken by the next entry, or by the one after the next few. Then looks again
 * before it sleeps (G-056). */
static void drain_and_sleep(struct world *w, struct driver *d)
{
	d->seen = used_idx(w->rig, d->vq);
	offer(w, d);
	if (!d->vq->event_idx && below(w, 2))
		set_avail_flags(w->rig, d->vq, 1);
	if (below(w, 3) == 0)
		return; /* stays awake */
	uint16_t outstanding = (uint16_t)(d->offered - d->seen), later = 0;
	if (d->vq->event_idx && below(w, 2) && outstanding > 1)
		later = (uint16_t)below(w, outstanding);
	if (d->vq->event_idx)
		set_used_event(w->rig, d->vq, (uint16_t)(d->seen + later));
	else
		set_avail_flags(w->rig, d->vq, (uint16_t)(below(w, 2) ? 0 : 0xfffe));
	d->asleep = (uint16_t)(used_idx(w->rig, d->vq) - d->seen) <= later;
	w->slept += d->asleep;
}

static void take_interrupts(struct world *w)
{
	for (unsigned q = 0; q < QUEUES; q++) {
		struct driver *d = &w->driver[q];
		if (d->vq->interrupts != d->interrupts && d->asleep)
			d->wake_ps = min_u64(d->wake_ps ? d->wake_ps : TIME_NEVER_PS,
					     w->rig->sim.now_ps + below(w, 1000) * PS_PER_NS);
		d->interrupts = d->vq->interrupts;
		if (d->wake_ps != 0 && d->wake_ps <= w->rig->sim.now_ps) {
			d->asleep = false;
			d->wake_ps = 0;
		}
	}
}

/* ---- the firmware ---- */

static bool complete_one(struct world *w, struct driver *d)
{
	unsigned slot = below(w, SLOTS);
	if (d->stopping || d->completed == d->offered || w->rig->slot_out[slot] ||
	    get(w->rig, CSR_USED_STATE) == 0)
		return false;
	uint16_t index = d->completed++;
	unsigned at = index % d->vq->size;
	d->nonce[at] = (uint8_t)below(w, 256);
	push(w->rig, d->vq, slot, id_of(d, index), d->nonce[at], index, d->status + at);
	w->pushed++;
	return true;
}

static void poll_stop(struct world *w, unsigned q)
{
	struct driver *d = &w->driver[q];
	if (!d->stopping || queue_busy(w->rig, q))
		return;
	sim_run(&w->rig->sim, max_u64(w->rig->sim.now_ps, w->rig->host->visible_ps));
	d->vq->interrupt_due = false; /* of a queue that was stopped */
	begin_queue(w, q);
}

static void act(struct world *w)
{
	unsigned q = below(w, QUEUES);
	struct driver *d = &w->driver[q];
	switch (below(w, 100)) {
	case 0 ... 49:
		for (unsigned i = 1 + below(w, 12); i != 0; i--)
			complete_one(w, d);
		break;
	case 50 ... 89:
		if (!d->asleep)
			drain_and_sleep(w, d);
		break;
	case 90: set(w->rig, CSR_USED_BATCH, 1 + below(w, 20)); break;
	case 91: host_set_hold(w->rig->host, below(w, 3) == 0); break;
	case 92:
		if (below(w, 8) == 0) {
			d->stopping = true;
			queue_run(w->rig, q, false);
		}
		break;
	default: break;
	}
	poll_stop(w, below(w, QUEUES));
}

/* The firmware completes everything, the drivers do nothing but wait to be woken. */
static void wind_up(struct world *w)
{
	host_set_hold(w->rig->host, false);
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned q = 0; q < QUEUES; q++) {
			struct driver *d = &w->driver[q];
			poll_stop(w, q);
			while (complete_one(w, d))
				;
			if (!d->asleep && !d->stopping) {
				uint16_t before = d->offered;
				drain_and_sleep(w, d);
				d->offered = before; /* no new work */
				if (d->asleep && d->vq->event_idx)
					set_used_event(w->rig, d->vq, d->seen);
				d->asleep = d->asleep && used_idx(w->rig, d->vq) == d->seen;
			}
		}
		sim_run_for(&w->rig->sim, 2 * PS_PER_US);
		take_interrupts(w);
	}
}

static void random_run(uint64_t seed, unsigned *slept)
{
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	rng_seed(&w->rng, seed, 0);
	struct rig *rig = w->rig = rig_create(GUEST_BYTES, seed);
	rig->config.used.batch = 1 + below(w, 20);
	rig->config.used.cycles = 1 + below(w, 10);
	rig->host->read_ps_max = below(w, 3000) * PS_PER_NS;
	rig->host->read_ps_min = rig->host->read_ps_max / 4;
	rig->host->write_ps_max = below(w, 1000) * PS_PER_NS;
	rig->host->gap_ps = below(w, 2) ? 0 : below(w, 30) * PS_PER_NS;
	rig_start(rig);
	for (unsigned q = 0; q < QUEUES; q++)
		begin_queue(w, q);
	rig->host->ctx = w;
	rig->host->taken = note_taken;
	rig->host->answered = note_answered;
	rig->host->written = check_visible;
	for (unsigned steps = 0; w->pushed < COMPLETIONS && steps < 20000; steps++) {
		act(w);
		sim_run_for(&rig->sim, below(w, 2) ? 0 : below(w, 500) * PS_PER_NS);
		take_interrupts(w);
	}
	wind_up(w);
	assert_false(used_busy(rig->used));
	for (unsigned q = 0; q < QUEUES; q++) {
		const struct driver *d = &w->driver[q];
		assert_int_equal(d->completed, d->offered);
		assert_int_equal(used_idx(rig, d->vq), d->completed);
		assert_int_equal(d->seen, d->completed);
	}
	assert_int_equal(used_stats(rig->used)->completions + used_stats(rig->used)->dropped, w->pushed);
	assert_int_equal(rig->slots_freed, w->pushed);
	assert_int_equal(used_stats(rig->used)->faults, 0);
	*slept += w->slept;
	rig_free(rig);
	free(w);
}

static void test_used_sleeping_driver_is_always_woken(void **state)
{
	(void)state;
	uint64_t seed = test_seed(1);
	unsigned slept = 0;
	for (unsigned i = 0; i < RUNS; i++)
		random_run(seed * 1000003 + i, &slept);
	assert_true(slept > 5 * RUNS); /* the runs are about something */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_used_sleeping_driver_is_always_woken,
			 "D-013 D-023 D-024 D-025 D-026 D-027 D-028 D-029 D-030 D-055 V-025 V-071"),
	};
	return cmocka_run_group_tests_name("used random", tests, NULL, NULL);
}
