/* How a link moves on: what its lanes carry, one TLP or DLLP after another, and what arrives does.
 *
 * Both directions advance together, action by action in order of time: a TLP or DLLP that starts on the lanes
 * of one has effects on the other only later, by at least its own length, so this order is exact. What is
 * chosen at each step is in link_choose.c. */
#include "pcie/link_dir.h"

#include <string.h>

/* Data credits of the largest TLP there is. */
#define DATA_CREDITS_MAX (TLP_PAYLOAD_BYTES_MAX / LINK_DATA_CREDIT_BYTES)

/* ---- Receiver: acknowledges, frees buffers, returns credits ---- */

/* Puts a DLLP into `queue`, to be sent on the reverse lanes. */
static void owe_dllp(struct link_dir *dir, struct link_ring *queue, struct link_dllp dllp)
{
	*link_dllp_at(queue, link_ring_add(queue, sizeof(dllp))) = dllp;
	dir->reverse->plan_valid = false;
}

/* Could the sender lack credits for the largest TLP with this many withheld and all buffers empty? */
static bool withheld_too_much(uint32_t advertised, uint32_t withheld, uint32_t largest)
{
	return advertised != 0 && advertised - withheld < min_u32(advertised, largest);
}

/* The buffer of `t` becomes free. One UpdateFC tells of fc_interval TLPs, and of fewer when the sender might
 * otherwise wait for ever. (No timer: FC-012's 30 µs is only there to heal lost DLLPs.) */
static void free_buffer(struct link_dir *dir, const struct link_tlp *t, uint64_t free_ps)
{
	struct link_class *c = &dir->classes[t->class_];
	if (t->headers == 0 && t->data == 0)
		return;
	c->withheld.tlps++;
	c->withheld.headers += t->headers;
	c->withheld.data += t->data;
	if (c->withheld.tlps < dir->config.fc_interval &&
	    !withheld_too_much(dir->advertised.header[t->class_], c->withheld.headers, 1) &&
	    !withheld_too_much(dir->advertised.data[t->class_], c->withheld.data, DATA_CREDITS_MAX))
		return;
	owe_dllp(dir, &dir->updates,
		 (struct link_dllp){
			 .at_ps = max_u64(free_ps + dir->config.fc_latency_ps, dir->hold_until_ps),
			 .headers = c->withheld.headers,
			 .data = c->withheld.data,
			 .class_ = (enum tlp_class)t->class_,
		 });
	memset(&c->withheld, 0, sizeof(c->withheld));
}

static void receive(struct link_dir *dir, const struct link_tlp *t)
{
	if (++dir->unacked == dir->config.ack_interval) {
		dir->unacked = 0;
		owe_dllp(dir, &dir->acks, (struct link_dllp){.at_ps = t->arrive_ps});
	}
	free_buffer(dir, t, t->arrive_ps + dir->config.drain_ps);
}

/* ---- Lanes ---- */

/* Occupies the lanes; returns when the last bit has left, rounded up. */
static uint64_t occupy_lanes(struct link_dir *dir, uint64_t start_ps, uint64_t bytes)
{
	uint64_t fraction;
	dir->free_ps = link_lanes_end_ps(dir, start_ps, bytes, &fraction);
	dir->free_fraction = fraction;
	return dir->free_ps + (fraction != 0);
}

/* Sends the TLP at a sent index, for the first time or again. The receiver takes it if it is the next in
 * sequence and its LCRC is good; a bad one it answers with one Nak and then drops all that follows until
 * the bad one has come again (§3.6.3). */
static void transmit(struct link_dir *dir, uint64_t index, uint64_t start_ps)
{
	struct link_tlp *t = link_tlp_at(&dir->sent, index);
	uint64_t arrive_ps = occupy_lanes(dir, start_ps, link_wire_bytes(t)) + dir->config.propagation_ps;
	dir->stats.wire_bytes += link_wire_bytes(t);
	bool good = !rng_chance_ppm(&dir->errors, dir->config.error_ppm);
	if (index != dir->settled)
		return;
	if (!good) {
		dir->nak_due_ps = arrive_ps;
		dir->reverse->plan_valid = false;
		return;
	}
	t->arrive_ps = arrive_ps;
	dir->settled++;
	receive(dir, t);
}

static void send_replay(struct link_dir *dir, uint64_t start_ps)
{
	if (dir->nak_ps <= start_ps) {
		dir->nak_ps = TIME_NEVER_PS;
		dir->replay_next = dir->settled;
	}
	dir->stats.replays++;
	transmit(dir, dir->replay_next++, start_ps);
}

static void take_credits(struct link_class *c, const struct link_tlp *t, uint64_t start_ps)
{
	for (; !link_ring_empty(&c->returns); c->returns.head++) {
		const struct link_dllp *update = link_dllp_at(&c->returns, c->returns.head);
		if (update->at_ps > start_ps)
			break;
		c->headers += update->headers;
		c->data += update->data;
	}
	ASSERT(t->headers <= c->headers && t->data <= c->data);
	c->headers -= t->headers;
	c->data -= t->data;
}

static void send_tlp(struct link_dir *dir, struct link_ring *queue, uint64_t start_ps)
{
	uint64_t index = link_ring_add(&dir->sent, sizeof(struct link_tlp));
	struct link_tlp *t = link_tlp_at(&dir->sent, index);
	*t = *link_tlp_at(queue, queue->head++);
	struct link_class *c = &dir->classes[t->class_];
	c->sent_bytes += link_wire_bytes(t);
	dir->queued_bytes -= link_wire_bytes(t);
	take_credits(c, t, start_ps);

	const uint8_t *wire = link_arena_at(&dir->arena, t->position);
	if (dir->type_of[wire[0]] < TLP_TYPE_COUNT)
		dir->stats.tlps[dir->type_of[wire[0]]]++;
	dir->stats.tlp_bytes += t->size;
	dir->stats.payload_bytes += min_u32(tlp_wire_payload_bytes(wire), t->size);

	dir->replay_next = dir->sent.tail;
	transmit(dir, index, start_ps);
}

static uint64_t occupy_lanes_with_dllp(struct link_dir *dir, uint64_t start_ps)
{
	dir->stats.dllps++;
	dir->stats.dllp_bytes += LINK_DLLP_BYTES;
	return occupy_lanes(dir, start_ps, LINK_DLLP_BYTES) + dir->config.propagation_ps;
}

static void send_nak(struct link_dir *dir, uint64_t start_ps)
{
	struct link_dir *other = dir->reverse;
	other->nak_due_ps = TIME_NEVER_PS;
	other->nak_ps = occupy_lanes_with_dllp(dir, start_ps);
	other->plan_valid = false;
}

/* An Ack or UpdateFC that the other direction's receiver owes. The Ack has no effect on arrival: replay buffers
 * are not modelled. */
static void send_dllp(struct link_dir *dir, struct link_ring *owed, uint64_t start_ps)
{
	struct link_dir *other = dir->reverse;
	struct link_dllp dllp = *link_dllp_at(owed, owed->head++);
	dllp.at_ps = occupy_lanes_with_dllp(dir, start_ps);
	if (owed == &other->updates) {
		struct link_ring *returns = &other->classes[dllp.class_].returns;
		*link_dllp_at(returns, link_ring_add(returns, sizeof(dllp))) = dllp;
		other->plan_valid = false;
	}
}

/* ---- Time ---- */

static void act(struct link_dir *dir)
{
	struct link_plan plan = dir->plan;
	link_account_stalls(dir, plan.start_ps);
	dir->plan_valid = false;
	switch (plan.what) {
	case LINK_SEND_DLLP: send_dllp(dir, plan.queue, plan.start_ps); break;
	case LINK_SEND_NAK: send_nak(dir, plan.start_ps); break;
	case LINK_SEND_REPLAY: send_replay(dir, plan.start_ps); break;
	case LINK_SEND_TLP: send_tlp(dir, plan.queue, plan.start_ps); break;
	case LINK_SEND_NOTHING: ASSERT(false);
	}
}

/* When `dir` sends next, if that is by now_ps. Busy lanes need no plan: a burst is planned once per TLP, when the one
 * before it is through, and not each time somebody asks. */
static uint64_t start_by(struct link_dir *dir, uint64_t now_ps)
{
	if (dir->free_ps > now_ps)
		return TIME_NEVER_PS;
	return dir->plan_valid ? dir->plan.start_ps : link_plan(dir)->start_ps;
}

void link_run_until(struct link_dir *dir, uint64_t now_ps)
{
	struct link_dir *other = dir->reverse;
	ASSERT(other != NULL);
	for (;;) {
		uint64_t own_ps = start_by(dir, now_ps), other_ps = start_by(other, now_ps);
		if (min_u64(own_ps, other_ps) > now_ps)
			break;
		act(other_ps < own_ps ? other : dir);
	}
	dir->asked_ps = other->asked_ps = max_u64(now_ps, dir->asked_ps);
}
