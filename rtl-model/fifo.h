/* Bounded queues between blocks.
 *
 * The consumer owns the queue and the producer holds a pointer to it. An entry becomes visible at the time it
 * was pushed for, which is how pipeline and clock-crossing latency between two blocks is expressed.
 * A push wakes the consumer, a pop from a full queue wakes the producer; both hooks may be unset (unit
 * tests call the step functions themselves).
 *
 *   FIFO_DEFINE(record_fifo, struct record, 256)
 *
 * defines struct record_fifo and record_fifo_{full,push,ready,peek,pop,count,clear,next_ps}. */
#ifndef KICKSTAND_RTL_MODEL_FIFO_H
#define KICKSTAND_RTL_MODEL_FIFO_H

#include "pcie/base.h"

/* Asks for a block's step function to be called at a time (or now if that has passed). */
struct waker {
	void (*wake)(void *ctx, uint64_t at_ps);
	void *ctx;
};

static inline void waker_wake(const struct waker *w, uint64_t at_ps)
{
	if (w && w->wake)
		w->wake(w->ctx, at_ps);
}

#define FIFO_DEFINE(name, type, depth_)                                                                      \
	enum { name##_depth = (depth_) };                                                                    \
	struct name {                                                                                        \
		uint32_t head, tail; /* free running */                                                      \
		const struct waker *consumer, *producer;                                                     \
		uint64_t visible_ps[depth_];                                                                 \
		type entry[depth_];                                                                          \
	};                                                                                                   \
	static inline uint32_t name##_count(const struct name *f)                                            \
	{                                                                                                    \
		return f->tail - f->head;                                                                    \
	}                                                                                                    \
	static inline bool name##_full(const struct name *f)                                                 \
	{                                                                                                    \
		return name##_count(f) == (depth_);                                                          \
	}                                                                                                    \
	static inline void name##_push(struct name *f, uint64_t at_ps, type v)                               \
	{                                                                                                    \
		ASSERT(!name##_full(f));                                                                     \
		f->visible_ps[f->tail % (depth_)] = at_ps;                                                   \
		f->entry[f->tail % (depth_)] = v;                                                            \
		f->tail++;                                                                                   \
		waker_wake(f->consumer, at_ps);                                                              \
	}                                                                                                    \
	/* When the head becomes visible; never if empty. */                                                 \
	static inline uint64_t name##_next_ps(const struct name *f)                                          \
	{                                                                                                    \
		return f->head == f->tail ? TIME_NEVER_PS : f->visible_ps[f->head % (depth_)];               \
	}                                                                                                    \
	static inline bool name##_ready(const struct name *f, uint64_t now_ps)                               \
	{                                                                                                    \
		return name##_next_ps(f) <= now_ps;                                                          \
	}                                                                                                    \
	static inline type *name##_peek(struct name *f)                                                      \
	{                                                                                                    \
		ASSERT(f->head != f->tail);                                                                  \
		return &f->entry[f->head % (depth_)];                                                        \
	}                                                                                                    \
	static inline type name##_pop(struct name *f, uint64_t now_ps)                                       \
	{                                                                                                    \
		ASSERT(name##_ready(f, now_ps));                                                             \
		type v = f->entry[f->head % (depth_)];                                                       \
		bool was_full = name##_full(f);                                                              \
		f->head++;                                                                                   \
		if (was_full)                                                                                \
			waker_wake(f->producer, now_ps);                                                     \
		return v;                                                                                    \
	}                                                                                                    \
	static inline void name##_clear(struct name *f)                                                      \
	{                                                                                                    \
		f->head = f->tail;                                                                           \
	}                                                                                                    \
	struct name

#endif
