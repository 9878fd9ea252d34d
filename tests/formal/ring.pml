/* Driver and card around one available ring: who tells whom that there is something to do. Included by notify.pml and polling.pml.
 *
 *  driver   host-sim/driver/virtqueue.c, virtqueue_publish: index, full barrier, then the look at avail_event or used.flags
 *  memory   what both see; the driver's store reaches it some time after the instruction (a store buffer), the card's
 *           requests in their order: a read does not pass the write before it (PCIe 6.0 §2.4.1)
 *  notify   rtl-model/blocks/notify: a pending bit
 *  engine   rtl-model/blocks/fetch/ring.c
 *
 * A lost wake-up shows as a deadlock: the driver waits for its buffers to come back, and all others rest. And as long as there
 * is something to do, the engine takes entries again and again (no non-progress cycles under weak fairness).
 *
 * Built with EVENT_IDX (virtio 1.4 §2.7.10) or without (used.flags, §2.7.7); MUTANT is the number of a mistake that spin
 * has to find, 0 for none. */

#define MOD  4 /* indices count modulo this, not 65536: they wrap, and are more than the ring's entries */
#define SIZE 2
#define minus(a, b) (((a) - (b) + MOD) % MOD)

#ifndef MUTANT
#define MUTANT 0
#endif
#define NO_LOOK_AFTER_ARMING     1 /* the engine rests as soon as it has asked for doorbells */
#define LOOK_BEFORE_ARMING       2 /* ... looks first, then asks */
#define READ_PASSES_WRITE        3 /* the link lets it, as if it were relaxed */
#define NO_BARRIER               4 /* the driver's look may come before its index is seen */
#define DOORBELL_IN_WORK_DROPPED 5 /* the engine forgets one that comes while it reads */
#define NEVER_DISARMED           6 /* the engine believes that avail_event is up to date for ever */
#define KICKED_NOT_KEPT          7 /* the driver forgets up to where it has decided */
#define STOP_WITHOUT_LOOK        8 /* polling ends where it stands */

/* ---- memory ---- */

byte avail_idx, avail_event;
bool no_notify; /* used.flags */
byte taken;     /* what the card has taken: the driver gets it back */

bool storing; /* the driver's store of avail.idx has not reached memory */
byte stored;

mtype = { WRITE_EVENT, WRITE_FLAGS, READ_INDEX };
chan up = [4] of { mtype, byte };
chan completion = [1] of { byte };
chan doorbells = [2] of { bit };
bool pending; /* of the notify unit */

active proctype store_buffer()
{
end:	do
	:: atomic { storing -> avail_idx = stored; storing = false }
	od
}

active proctype memory()
{
	byte value;
end:	do
	:: atomic { up?WRITE_EVENT(value) -> avail_event = value }
	:: atomic { up?WRITE_FLAGS(value) -> no_notify = value }
#if MUTANT == READ_PASSES_WRITE
	:: atomic { up??READ_INDEX(value) -> completion!avail_idx }
#else
	:: atomic { up?READ_INDEX(value) -> completion!avail_idx }
#endif
	od
}

active proctype notify()
{
end:	do
	:: atomic { doorbells?_ -> pending = true }
	od
}

/* ---- driver ---- */

active proctype driver()
{
	byte published, kicked;
	bool wanted;
	do
	:: atomic { /* a buffer, or two at once */
		minus(published, taken) < SIZE && !storing ->
		published = (published + 1) % MOD;
		if
		:: minus(published, taken) < SIZE -> published = (published + 1) % MOD
		:: true
		fi;
		stored = published;
		storing = true
	   }
#if MUTANT != NO_BARRIER
	   !storing; /* dma_sync: a full barrier */
#endif
	   atomic {
#ifdef EVENT_IDX
		wanted = minus(minus(published, avail_event), 1) < minus(published, kicked);
#else
		wanted = !no_notify;
#endif
#if MUTANT == KICKED_NOT_KEPT
		if :: wanted -> kicked = published :: else fi
#else
		kicked = published
#endif
	   }
	   if
	   :: wanted -> !storing; doorbells!1 /* stores keep their order */
	   :: else
	   fi
	:: taken != published -> taken == published /* idle: waits for all of them */
	od
}

/* ---- engine ---- */

mtype = { RESTING, READING, TAKING };
mtype state = RESTING;
byte next, seen;
bool armed, suppressed, again;
bool poll, poll_wanted, request_seen; /* polling.pml */

inline look()
{
	up!READ_INDEX(0);
	state = READING
}

inline write_event()
{
	armed = true;
	up!WRITE_EVENT(next)
}

inline write_flags(suppress)
{
	suppressed = suppress;
	up!WRITE_FLAGS(suppress)
}

inline ask_for_doorbells()
{
#ifdef EVENT_IDX
	write_event()
#else
	write_flags(0)
#endif
}

#ifdef EVENT_IDX
#define ASKS armed
#else
#define ASKS !suppressed
#endif

/* ring_empty */
inline nothing_left()
{
	if
	:: poll ->
#ifndef EVENT_IDX
		if :: !suppressed -> write_flags(1) :: else fi;
#endif
		look()
#if MUTANT == NO_LOOK_AFTER_ARMING
	:: !poll && !(ASKS) -> ask_for_doorbells(); state = RESTING
#elif MUTANT == LOOK_BEFORE_ARMING
	:: !poll && !(ASKS) -> up!READ_INDEX(0); ask_for_doorbells(); again = false; state = READING
#else
	:: !poll && !(ASKS) -> ask_for_doorbells(); again = false; look()
#endif
	:: !poll && ASKS && again -> again = false; look()
	:: !poll && ASKS && !again -> state = RESTING
	fi
}

active proctype engine()
{
end:	do
	:: atomic { /* fetch_ring_serve */
		pending -> pending = false;
		if
		:: state == RESTING -> look()
#if MUTANT != DOORBELL_IN_WORK_DROPPED
		:: state != RESTING -> again = true
#else
		:: state != RESTING
#endif
		fi
	   }
	:: atomic { /* fetch_ring_done: the index */
		completion?seen ->
		assert(minus(seen, next) <= SIZE);
		if
		:: seen != next -> state = TAKING
		:: else -> nothing_left()
		fi
	   }
	:: state == TAKING -> /* fetch_ring_done: some entries, as many as a read may bring */
progress: /* outside the atomic step, where spin would not see it */
	   atomic {
		next = (next + 1) % MOD;
		if
		:: next != seen -> next = (next + 1) % MOD
		:: true
		fi;
		taken = next;
#if MUTANT != NEVER_DISARMED
		armed = false;
#endif
		request_seen = true;
		if
		:: next == seen -> nothing_left()
		:: else
		fi
	   }
	:: atomic { /* fetch_ring_poll */
		poll != poll_wanted -> poll = poll_wanted;
		if
		:: poll && state == RESTING -> nothing_left()
#if MUTANT == STOP_WITHOUT_LOOK
		:: !poll && state == READING -> completion?seen; ask_for_doorbells(); state = RESTING
		:: !poll && state != READING
		:: poll && state != RESTING
#else
		:: else
#endif
		fi
	   }
	od
}
