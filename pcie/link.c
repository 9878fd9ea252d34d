/* What both ends of a link direction call: making it, pushing, popping, asking. */
#include "pcie/link_dir.h"

#include <stdlib.h>
#include <string.h>

struct link_rate link_rate_of(const struct link_config *config)
{
	/* Bytes per ps and lane: GT/s times 8/10 or 128/130 over 8 bits, PCIe 6.0 §4.2. */
	static const struct link_rate lane[] = {
		[1] = {1, 4000}, [2] = {1, 2000}, [3] = {8, 8125}, [4] = {16, 8125}, [5] = {32, 8125},
	};
	ASSERT(config->generation >= 1 && config->generation < ARRAY_SIZE(lane));
	ASSERT(is_power_of_2(config->lanes) && config->lanes <= 16);
	/* Skip ordered sets: 4 bytes of every 1538 (PERF-002). */
	return (struct link_rate){
		.num = lane[config->generation].num * config->lanes * (1538 - 4),
		.den = lane[config->generation].den * 1538,
	};
}

/* ---- Making and pairing ---- */

static void reset_flow_control(struct link_dir *dir)
{
	for (unsigned i = 0; i < TLP_CLASS_COUNT; i++) {
		struct link_class *c = &dir->classes[i];
		c->headers = dir->advertised.header[i];
		c->data = dir->advertised.data[i];
		c->returns.head = c->returns.tail;
		memset(&c->withheld, 0, sizeof(c->withheld));
	}
	dir->acks.head = dir->acks.tail;
	dir->updates.head = dir->updates.tail;
	dir->unacked = 0;
	dir->hold_until_ps = 0;
	dir->nak_due_ps = dir->nak_ps = TIME_NEVER_PS;
}

struct link_dir *link_dir_create(const struct link_config *config, const struct link_credits *credits,
				 const struct link_receiver *receiver)
{
	ASSERT(config->ack_interval >= 1 && config->fc_interval >= 1);
	struct link_dir *dir = (struct link_dir *)calloc(1, sizeof(*dir));
	if (dir == NULL || !link_arena_init(&dir->arena)) {
		free(dir);
		return NULL;
	}
	dir->config = *config;
	dir->advertised = *credits;
	if (receiver != NULL)
		dir->receiver = *receiver;
	dir->rate = link_rate_of(config);
	for (unsigned i = 0; i < ARRAY_SIZE(dir->type_of); i++) {
		uint8_t dw0[4] = {(uint8_t)i};
		struct tlp tlp;
		(void)!tlp_decode(&tlp, dw0, sizeof(dw0));
		dir->type_of[i] = (uint8_t)tlp.type;
	}
	rng_seed(&dir->errors, config->seed, 0);
	dir->wake_ps = TIME_NEVER_PS;
	dir->popped = UINT64_MAX;
	reset_flow_control(dir);
	return dir;
}

void link_dir_pair(struct link_dir *a, struct link_dir *b)
{
	ASSERT(a != b && a->reverse == NULL && b->reverse == NULL);
	a->reverse = b;
	b->reverse = a;
}

void link_dir_free(struct link_dir *dir)
{
	if (dir == NULL)
		return;
	if (dir->reverse != NULL)
		dir->reverse->reverse = NULL;
	for (unsigned i = 0; i < TLP_CLASS_COUNT; i++) {
		link_ring_free(&dir->classes[i].queue);
		link_ring_free(&dir->classes[i].returns);
	}
	link_ring_free(&dir->sent);
	link_ring_free(&dir->acks);
	link_ring_free(&dir->updates);
	link_arena_free(&dir->arena);
	free(dir);
}

/* ---- Sender's side ---- */

/* A TLP whose Fmt/Type is undefined travels as a posted one: the receiver will find it malformed. */
static enum tlp_class class_of_wire(const struct link_dir *dir, const uint8_t *wire)
{
	enum tlp_type type = (enum tlp_type)dir->type_of[wire[0]];
	return type < TLP_TYPE_COUNT ? tlp_class_of(type) : TLP_POSTED;
}

/* Makes room in a queue. Posted and non-posted TLPs stay in push order: each is ready when those before it are.
 * Completions are sorted by ready time. */
static struct link_tlp *enqueue(struct link_class *c, enum tlp_class class_, uint64_t ready_ps, size_t size,
				bool urgent)
{
	struct link_ring *queue = &c->queue;
	uint64_t i = link_ring_add(queue, sizeof(struct link_tlp));
	if (class_ == TLP_COMPLETION)
		for (; i != queue->head && link_tlp_at(queue, i - 1)->ready_ps > ready_ps; i--)
			*link_tlp_at(queue, i) = *link_tlp_at(queue, i - 1);
	c->first_urgent = min_u64(c->first_urgent, i);

	struct link_tlp *t = link_tlp_at(queue, i);
	t->class_ = (uint8_t)class_;
	t->ready_ps = ready_ps;
	t->size = (uint32_t)size;
	t->urgent = urgent;
	t->class_end = c->sent_bytes + link_wire_bytes(t);
	if (i != queue->head) {
		const struct link_tlp *before = link_tlp_at(queue, i - 1);
		t->ready_ps = max_u64(ready_ps, before->ready_ps);
		t->class_end = before->class_end + link_wire_bytes(t);
	}
	return t;
}

/* What ordering and credits need to know, from the header. Credits are for the data that is there, and at most
 * all there are. */
static void describe(const struct link_dir *dir, struct link_tlp *t, const uint8_t *wire)
{
	uint32_t dw0 = load_be32(wire);
	uint32_t payload = min_u32(tlp_wire_payload_bytes(wire), t->size);
	uint32_t data = (payload + LINK_DATA_CREDIT_BYTES - 1) / LINK_DATA_CREDIT_BYTES;
	t->headers = dir->advertised.header[t->class_] != 0;
	t->data = (uint16_t)min_u32(data, dir->advertised.data[t->class_]);
	t->id = t->size >= 8 ? (uint16_t)(load_be32(wire + 4) >> 16) : 0;
	t->relaxed = t->class_ == TLP_COMPLETION && dw0 >> 13 & 1;
	t->ido = t->class_ == TLP_COMPLETION && dw0 >> 18 & 1;
}

/* Up to where the posted class has to be sent before `t` can go, as far as that is sure now. */
static uint64_t posted_ahead(const struct link_dir *dir, const struct link_tlp *t)
{
	const struct link_class *posted = &dir->classes[TLP_POSTED];
	if (link_ring_empty(&posted->queue) || t->class_ == TLP_POSTED)
		return 0;
	const struct link_tlp *last = link_tlp_at(&posted->queue, posted->queue.tail - 1);
	bool waits = t->class_ == TLP_NON_POSTED || (!t->relaxed && !t->ido && last->ready_ps <= t->ready_ps);
	return waits ? last->class_end : 0;
}

uint8_t *link_reserve(struct link_dir *dir, size_t size)
{
	return link_arena_reserve(&dir->arena, size);
}

void link_push_reserved(struct link_dir *dir, uint64_t ready_ps, size_t size)
{
	ASSERT(dir->reverse != NULL && size >= 4 && ready_ps >= dir->asked_ps);
	const struct link_receiver *receiver = &dir->receiver;
	uint64_t position = link_arena_commit(&dir->arena, size);
	const uint8_t *wire = link_arena_at(&dir->arena, position);
	bool urgent = receiver->urgent == NULL || receiver->urgent(receiver->ctx, wire, size);
	enum tlp_class class_ = class_of_wire(dir, wire);

	struct link_tlp *t = enqueue(&dir->classes[class_], class_, ready_ps, size, urgent);
	t->position = position;
	t->order = dir->pushes++;
	describe(dir, t, wire);
	t->posted_end = posted_ahead(dir, t);
	dir->queued_bytes += link_wire_bytes(t);
	dir->plan_valid = false;

	if (!urgent || receiver->wake == NULL)
		return;
	uint64_t at_ps = link_arrival_bound_ps(dir, t, dir->asked_ps);
	if (at_ps < dir->wake_ps) {
		dir->wake_ps = at_ps;
		receiver->wake(receiver->ctx, at_ps);
	}
}

void link_push(struct link_dir *dir, uint64_t ready_ps, const uint8_t *wire, size_t size)
{
	memcpy(link_reserve(dir, size), wire, size);
	link_push_reserved(dir, ready_ps, size);
}

uint64_t link_backlog_bytes(struct link_dir *dir, uint64_t now_ps)
{
	link_run_until(dir, now_ps);
	return dir->queued_bytes;
}

uint64_t link_drain_ps(struct link_dir *dir, uint64_t now_ps, uint64_t bytes)
{
	link_run_until(dir, now_ps);
	if (dir->queued_bytes <= bytes)
		return now_ps;
	uint64_t first_ps = TIME_NEVER_PS, fraction;
	for (unsigned i = 0; i < TLP_CLASS_COUNT; i++)
		first_ps = min_u64(first_ps, link_class_bound_ps(dir, (enum tlp_class)i, now_ps));
	if (first_ps == TIME_NEVER_PS)
		return TIME_NEVER_PS;
	return link_lanes_end_ps(dir, first_ps, dir->queued_bytes - bytes, &fraction) + 1;
}

/* ---- Receiver's side ---- */

bool link_pop(struct link_dir *dir, uint64_t now_ps, struct link_rx *rx)
{
	link_run_until(dir, now_ps);
	if (dir->popped != UINT64_MAX) {
		link_arena_release(&dir->arena, dir->popped);
		dir->popped = UINT64_MAX;
	}
	if (dir->sent.head == dir->settled)
		return false;
	const struct link_tlp *t = link_tlp_at(&dir->sent, dir->sent.head);
	if (t->arrive_ps > now_ps)
		return false;
	*rx = (struct link_rx){t->arrive_ps, link_arena_at(&dir->arena, t->position), t->size};
	dir->popped = t->position;
	dir->sent.head++;
	return true;
}

/* Index of the first urgent TLP of a ring, its tail if there is none. *known is where to go on searching. */
static uint64_t first_urgent(const struct link_ring *ring, uint64_t *known)
{
	*known = max_u64(*known, ring->head);
	while (*known != ring->tail && !link_tlp_at(ring, *known)->urgent)
		++*known;
	return *known;
}

/* Lower bound of the arrival of a TLP that has been sent, but has to be replayed with those before it. */
static uint64_t replay_bound_ps(const struct link_dir *dir, uint64_t index, uint64_t now_ps)
{
	uint64_t start_ps = max_u64(now_ps, dir->free_ps), first = dir->replay_next, bytes = 0, fraction;
	if (first > index) { /* not before the Nak has come */
		start_ps = max_u64(start_ps, min_u64(dir->nak_due_ps, dir->nak_ps));
		first = dir->settled;
	}
	for (uint64_t i = first; i <= index; i++)
		bytes += link_wire_bytes(link_tlp_at(&dir->sent, i));
	return link_lanes_end_ps(dir, start_ps, bytes, &fraction) + dir->config.propagation_ps;
}

uint64_t link_next_ps(struct link_dir *dir, uint64_t now_ps)
{
	link_run_until(dir, now_ps);
	uint64_t at_ps = TIME_NEVER_PS;
	uint64_t sent = first_urgent(&dir->sent, &dir->sent_urgent);
	if (sent != dir->sent.tail) {
		at_ps = sent < dir->settled ? link_tlp_at(&dir->sent, sent)->arrive_ps
					    : max_u64(replay_bound_ps(dir, sent, now_ps), now_ps + 1);
	} else {
		for (unsigned i = 0; i < TLP_CLASS_COUNT; i++) {
			struct link_class *c = &dir->classes[i];
			uint64_t queued = first_urgent(&c->queue, &c->first_urgent);
			if (queued != c->queue.tail)
				at_ps = min_u64(at_ps, link_arrival_bound_ps(
							       dir, link_tlp_at(&c->queue, queued), now_ps));
		}
	}
	dir->wake_ps = at_ps;
	return at_ps;
}

/* ---- Faults and figures ---- */

void link_hold_credits(struct link_dir *dir, uint64_t now_ps, uint64_t until_ps)
{
	link_run_until(dir, now_ps);
	dir->hold_until_ps = max_u64(dir->hold_until_ps, until_ps);
	for (uint64_t i = dir->updates.head; i != dir->updates.tail; i++) {
		struct link_dllp *update = link_dllp_at(&dir->updates, i);
		update->at_ps = max_u64(update->at_ps, until_ps);
	}
	dir->reverse->plan_valid = false;
}

static void lose_from(struct link_dir *dir, struct link_ring *ring, uint64_t first)
{
	for (uint64_t i = first; i != ring->tail; i++)
		link_arena_release(&dir->arena, link_tlp_at(ring, i)->position);
	ring->tail = first;
}

static void lose_everything(struct link_dir *dir, uint64_t now_ps)
{
	/* What has arrived has arrived, even if the receiver has not looked yet. */
	uint64_t arrived = dir->sent.head;
	while (arrived != dir->settled && link_tlp_at(&dir->sent, arrived)->arrive_ps <= now_ps)
		arrived++;
	lose_from(dir, &dir->sent, arrived);
	dir->settled = dir->replay_next = arrived;
	dir->sent_urgent = min_u64(dir->sent_urgent, arrived);
	for (unsigned i = 0; i < TLP_CLASS_COUNT; i++) {
		struct link_class *c = &dir->classes[i];
		lose_from(dir, &c->queue, c->queue.head);
		c->first_urgent = c->queue.head;
	}
	dir->queued_bytes = 0;
	dir->plan_valid = false;
	reset_flow_control(dir);
}

void link_down(struct link_dir *dir, uint64_t now_ps)
{
	link_run_until(dir, now_ps);
	lose_everything(dir, now_ps);
	lose_everything(dir->reverse, now_ps);
}

const struct link_stats *link_stats(struct link_dir *dir, uint64_t now_ps)
{
	link_run_until(dir, now_ps);
	link_account_stalls(dir, now_ps);
	unsigned __int128 bytes = dir->stats.wire_bytes + dir->stats.dllp_bytes;
	dir->stats.busy_ps = (uint64_t)(bytes * dir->rate.den / dir->rate.num);
	if (dir->free_ps > now_ps) /* started, but not through yet */
		dir->stats.busy_ps -= dir->free_ps - now_ps;
	return &dir->stats;
}
