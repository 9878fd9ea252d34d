/* What a link direction sends next, and when: the ordering rules of PCIe 6.0 §2.4.1 and the credit gate of
 * §2.6.1. Nothing here changes what the link will do. */
#include "pcie/link_dir.h"

static struct link_tlp *first_of(const struct link_class *c)
{
	return link_tlp_at(&c->queue, c->queue.head);
}

/* Rows "non-posted" and "completion", column "posted" of the ordering table: has `t` to wait for posted TLP `p`?
 * A read waits for what was pushed before it even if that is ready later: the sender counts on pushing. */
static bool pushes_ahead(const struct link_tlp *p, const struct link_tlp *t)
{
	bool earlier = p->order < t->order;
	if (t->class_ == TLP_NON_POSTED)
		return earlier || p->ready_ps < t->ready_ps;
	return p->ready_ps < t->ready_ps || (p->ready_ps == t->ready_ps && earlier);
}

static inline bool behind_posted(const struct link_dir *dir, const struct link_tlp *t)
{
	const struct link_ring *posted = &dir->classes[TLP_POSTED].queue;
	if (t->class_ == TLP_POSTED || t->relaxed || link_ring_empty(posted))
		return false;
	/* Posted TLPs get ready in push order: if the first is not ahead of t, none is. With IDO only those
	 * of the same ID count. */
	for (uint64_t i = posted->head; i != posted->tail; i++) {
		const struct link_tlp *p = link_tlp_at(posted, i);
		if (!pushes_ahead(p, t))
			return false;
		if (!t->ido || p->id == t->id)
			return true;
	}
	return false;
}

/* When the sender has the credits for `t`, the first of its class: 0 if it has them. */
static inline uint64_t credits_ps(const struct link_class *c, const struct link_tlp *t)
{
	uint32_t headers = c->headers, data = c->data;
	uint64_t at_ps = 0;
	if (t->headers <= headers && t->data <= data) /* mostly */
		return 0;
	for (uint64_t i = c->returns.head; t->headers > headers || t->data > data; i++) {
		if (i == c->returns.tail)
			return TIME_NEVER_PS;
		const struct link_dllp *update = link_dllp_at(&c->returns, i);
		headers += update->headers;
		data += update->data;
		at_ps = update->at_ps;
	}
	return at_ps;
}

/* When the first TLP of a class can start: TIME_NEVER_PS if it has to wait for a posted TLP, or the credits it needs
 * are not on their way. */
static inline uint64_t class_start_ps(const struct link_dir *dir, enum tlp_class class_)
{
	const struct link_class *c = &dir->classes[class_];
	const struct link_tlp *t = first_of(c);
	if (behind_posted(dir, t))
		return TIME_NEVER_PS;
	return max_u64(max_u64(t->ready_ps, dir->free_ps), credits_ps(c, t));
}

/* First ready, first served, among those that can start at the same time. */
static void plan_tlp(struct link_dir *dir, struct link_plan *plan)
{
	const struct link_tlp *best = NULL;
	for (unsigned i = 0; i < TLP_CLASS_COUNT; i++) {
		if (link_ring_empty(&dir->classes[i].queue))
			continue;
		uint64_t start_ps = class_start_ps(dir, (enum tlp_class)i);
		if (start_ps == TIME_NEVER_PS || start_ps > plan->start_ps)
			continue;
		const struct link_tlp *t = first_of(&dir->classes[i]);
		if (start_ps == plan->start_ps && best != NULL &&
		    (t->ready_ps > best->ready_ps ||
		     (t->ready_ps == best->ready_ps && t->order > best->order)))
			continue;
		best = t;
		*plan = (struct link_plan){LINK_SEND_TLP, start_ps, &dir->classes[i].queue};
	}
}

/* Replays go before new TLPs, since sequence numbers have to stay in order (§3.6.2). While a Nak is on its
 * way the sender goes on with new TLPs. */
static void plan_replay(const struct link_dir *dir, struct link_plan *plan)
{
	uint64_t start_ps = TIME_NEVER_PS;
	if (dir->replay_next != dir->sent.tail)
		start_ps = dir->free_ps;
	else if (dir->nak_ps != TIME_NEVER_PS)
		start_ps = max_u64(dir->free_ps, dir->nak_ps);
	if (start_ps <= plan->start_ps && start_ps != TIME_NEVER_PS)
		*plan = (struct link_plan){.what = LINK_SEND_REPLAY, .start_ps = start_ps};
}

/* DLLPs that are due go before TLPs (the recommended priorities of §3.6.2), so that a saturated sender does
 * not starve the other side of credits. Among them the one that is due first. */
static void plan_dllp(const struct link_dir *dir, struct link_plan *plan)
{
	struct link_dir *owing = dir->reverse;
	struct link_ring *queues[] = {&owing->acks, &owing->updates};
	struct link_plan dllp = {LINK_SEND_NAK, owing->nak_due_ps, NULL};
	for (unsigned i = 0; i < ARRAY_SIZE(queues); i++) {
		if (link_ring_empty(queues[i]))
			continue;
		uint64_t due_ps = link_dllp_at(queues[i], queues[i]->head)->at_ps;
		if (due_ps < dllp.start_ps)
			dllp = (struct link_plan){LINK_SEND_DLLP, due_ps, queues[i]};
	}
	if (dllp.start_ps == TIME_NEVER_PS)
		return;
	dllp.start_ps = max_u64(dllp.start_ps, dir->free_ps);
	if (dllp.start_ps <= plan->start_ps)
		*plan = dllp;
}

const struct link_plan *link_plan(struct link_dir *dir)
{
	if (!dir->plan_valid) {
		struct link_plan plan = {.what = LINK_SEND_NOTHING, .start_ps = TIME_NEVER_PS};
		plan_tlp(dir, &plan);
		plan_replay(dir, &plan);
		plan_dllp(dir, &plan);
		dir->plan = plan;
		dir->plan_valid = true;
	}
	return &dir->plan;
}

/* Lower bound of the arrival of the next UpdateFC that has not been sent by now_ps. It is owed already, or owed
 * for a TLP yet to be sent. */
static uint64_t next_update_bound_ps(const struct link_dir *dir, uint64_t now_ps)
{
	const struct link_dir *reverse = dir->reverse;
	uint64_t due_ps = link_ring_empty(&dir->updates)
				  ? max_u64(now_ps, dir->hold_until_ps)
				  : link_dllp_at(&dir->updates, dir->updates.head)->at_ps;
	if (due_ps == TIME_NEVER_PS)
		return TIME_NEVER_PS;
	uint64_t start_ps = max_u64(due_ps, reverse->free_ps), fraction;
	return link_lanes_end_ps(reverse, start_ps, LINK_DLLP_BYTES, &fraction) +
	       reverse->config.propagation_ps;
}

uint64_t link_class_bound_ps(const struct link_dir *dir, enum tlp_class class_, uint64_t now_ps)
{
	const struct link_class *c = &dir->classes[class_];
	if (link_ring_empty(&c->queue))
		return TIME_NEVER_PS;
	const struct link_tlp *t = first_of(c);
	if (behind_posted(dir, t))
		return link_class_bound_ps(dir, TLP_POSTED, now_ps);
	uint64_t credit_ps = credits_ps(c, t);
	if (credit_ps == TIME_NEVER_PS)
		credit_ps = next_update_bound_ps(dir, now_ps);
	return max_u64(max_u64(now_ps, credit_ps), max_u64(t->ready_ps, dir->free_ps));
}

uint64_t link_arrival_bound_ps(const struct link_dir *dir, const struct link_tlp *t, uint64_t now_ps)
{
	const struct link_class *posted = &dir->classes[TLP_POSTED], *own = &dir->classes[t->class_];
	uint64_t first_ps = link_class_bound_ps(dir, (enum tlp_class)t->class_, now_ps);
	uint64_t bytes = link_wire_bytes(t), fraction;
	if (first_ps == TIME_NEVER_PS)
		return TIME_NEVER_PS;

	/* On its own, from when it is ready; */
	uint64_t alone_ps = link_lanes_end_ps(dir, max_u64(t->ready_ps, dir->free_ps), bytes, &fraction);
	alone_ps += fraction != 0;
	/* and behind all that must go before it, without gaps. */
	if (t->class_end > own->sent_bytes)
		bytes = max_u64(bytes, t->class_end - own->sent_bytes);
	if (t->posted_end > posted->sent_bytes) {
		bytes += t->posted_end - posted->sent_bytes;
		first_ps = min_u64(first_ps, link_class_bound_ps(dir, TLP_POSTED, now_ps));
	}
	uint64_t end_ps = link_lanes_end_ps(dir, first_ps, bytes, &fraction);
	end_ps += fraction != 0;
	return max_u64(alone_ps, end_ps) + dir->config.propagation_ps;
}

void link_account_stalls(struct link_dir *dir, uint64_t until_ps)
{
	uint64_t idle_ps = max_u64(dir->free_ps, dir->stalls_until_ps);
	if (until_ps <= idle_ps)
		return;
	for (unsigned i = 0; i < TLP_CLASS_COUNT; i++) {
		const struct link_class *c = &dir->classes[i];
		if (link_ring_empty(&c->queue) || behind_posted(dir, first_of(c)))
			continue;
		uint64_t from_ps = max_u64(idle_ps, first_of(c)->ready_ps);
		uint64_t to_ps = min_u64(until_ps, credits_ps(c, first_of(c)));
		if (to_ps > from_ps)
			dir->stats.stall_credit_ps[i] += to_ps - from_ps;
	}
	dir->stalls_until_ps = until_ps;
}
