/* Adaptive polling: after a request the fetch engine goes on reading the ring for a while, with doorbells suppressed, in
 * the hope that another comes soon. Whether polling was given up too early or was in vain is known when the next request
 * comes: the window then grows or shrinks, between 1/16 of the configured window and all of it. That no kick is lost when
 * polling ends is the fetch engine's doing: it enables doorbells, then looks once more.
 *
 * Windows are shorter than 2^31 cycles, so the lower half of the time is enough to compare times by. */
#include "firmware/card.h"

#define WINDOW_SHRINK_LIMIT 16u

static uint32_t now_low(void)
{
	return reg_read(CSR_TIMER_TIME_LO_ADDR); /* latches the upper half */
}

static bool is_past(uint32_t at, uint32_t now)
{
	return (int32_t)(at - now) <= 0;
}

/* `now` is what now_low gave last. */
static void set_timer(struct card *card, uint32_t now, uint32_t at)
{
	uint64_t time = ((uint64_t)reg_read(CSR_TIMER_TIME_HI_ADDR) << 32 | now) + (at - now);
	reg_write(CSR_TIMER_COMPARE_LO_ADDR, (uint32_t)time);
	reg_write(CSR_TIMER_COMPARE_HI_ADDR, (uint32_t)(time >> 32));
	card->timer_set = true;
	card->timer_at = at;
}

static void stop_timer(struct card *card)
{
	reg_write(CSR_TIMER_COMPARE_LO_ADDR, UINT32_MAX);
	reg_write(CSR_TIMER_COMPARE_HI_ADDR, UINT32_MAX);
	card->timer_set = false;
}

static void set_polling(unsigned queue, bool poll)
{
	reg_write(CSR_FETCH_QUEUE_SELECT_ADDR, queue);
	reg_write(CSR_FETCH_QUEUE_CONTROL_ADDR,
		  CSR_FETCH_QUEUE_CONTROL_RUN_MASK | (poll ? CSR_FETCH_QUEUE_CONTROL_POLL_MASK : 0));
}

/* A request has come after polling had ended: would the whole window have caught it? */
static void adapt_window(struct poll_state *poll, uint32_t longest, uint32_t now)
{
	uint32_t last_request_at = poll->deadline - poll->window_cycles;
	if (poll->window_cycles == 0)
		poll->window_cycles = longest;
	else if (now - last_request_at < longest)
		poll->window_cycles = min_u32(poll->window_cycles * 2, longest);
	else if (poll->window_cycles > longest / WINDOW_SHRINK_LIMIT)
		poll->window_cycles /= 2;
}

static void begin(struct card *card, unsigned queue, uint32_t now)
{
	struct poll_state *poll = &card->queue[queue].poll;
	adapt_window(poll, card->poll_cycles, now);
	poll->active = true;
	set_polling(queue, true);
	if (!card->timer_set || is_past(now + poll->window_cycles, card->timer_at))
		set_timer(card, now, now + poll->window_cycles);
}

/* Moves the queue's deadline on. The timer stays: it then comes early, finds nothing over, and is set again. */
void poll_request_seen(struct card *card, unsigned queue)
{
	struct poll_state *poll = &card->queue[queue].poll;
	if (!card->queue[queue].running)
		return;
	uint32_t now = now_low();
	if (!poll->active)
		begin(card, queue, now);
	poll->deadline = now + poll->window_cycles;
}

static void end(struct card *card, unsigned queue)
{
	card->queue[queue].poll.active = false;
	if (card->queue[queue].running)
		set_polling(queue, false);
}

/* Ends polling whose window is over and sets the timer for the earliest of the others. */
void poll_event(struct card *card)
{
	uint32_t now = now_low(), next = 0;
	bool any = false;
	for (unsigned i = 0; i < card->queues; i++) {
		const struct poll_state *poll = &card->queue[i].poll;
		if (!poll->active)
			continue;
		if (is_past(poll->deadline, now)) {
			end(card, i);
			continue;
		}
		if (!any || is_past(poll->deadline, next))
			next = poll->deadline;
		any = true;
	}
	if (any)
		set_timer(card, now, next);
	else
		stop_timer(card);
}

void poll_forget(struct card *card)
{
	for (unsigned i = 0; i < card->queues; i++)
		card->queue[i].poll = (struct poll_state){0};
	stop_timer(card);
}
