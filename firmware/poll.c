/* Adaptive polling: after a request the fetch engine goes on reading the ring for a while, with doorbells suppressed, in
 * the hope that another comes soon. The window grows when polling was given up just too early and shrinks when it
 * was in vain, between 1/16 of the configured window and all of it. That no kick is lost when polling ends is the fetch
 * engine's doing: it enables doorbells, then looks once more. */
#include "firmware/card.h"

#define WINDOW_SHRINK_LIMIT 16u

static uint64_t timer_now(void)
{
	uint32_t low = reg_read(CSR_TIMER_TIME_LO_ADDR); /* latches the upper half */
	return low | (uint64_t)reg_read(CSR_TIMER_TIME_HI_ADDR) << 32;
}

static void timer_set(uint64_t at)
{
	reg_write(CSR_TIMER_COMPARE_LO_ADDR, (uint32_t)at);
	reg_write(CSR_TIMER_COMPARE_HI_ADDR, (uint32_t)(at >> 32));
}

static void set_polling(unsigned queue, bool poll)
{
	reg_write(CSR_FETCH_QUEUE_SELECT_ADDR, queue);
	reg_write(CSR_FETCH_QUEUE_CONTROL_ADDR, CSR_FETCH_QUEUE_CONTROL_RUN_MASK |
							(poll ? CSR_FETCH_QUEUE_CONTROL_POLL_MASK : 0));
}

void poll_request_seen(struct card *card, unsigned queue)
{
	struct poll_state *poll = &card->queue[queue].poll;
	if (card->offload == OFFLOAD_FIRMWARE)
		return; /* the core walks the rings itself and has no one to leave the polling to */
	uint64_t now = timer_now();
	if (poll->window_cycles == 0)
		poll->window_cycles = card->poll_cycles;
	bool begin = !poll->active;
	if (begin) {
		if (now - poll->stopped_at < card->poll_cycles && poll->window_cycles < card->poll_cycles)
			poll->window_cycles *= 2; /* a little longer and it would have been seen */
		poll->active = true;
		set_polling(queue, true);
	}
	poll->deadline = now + poll->window_cycles;
	if (begin)
		poll_event(card);
}

/* Ends polling whose window is over and sets the timer for the earliest of the others. Requests move deadlines on without
 * setting the timer anew: it then comes early, finds nothing over, and is set again here. */
void poll_event(struct card *card)
{
	uint64_t now = timer_now(), next = UINT64_MAX;
	for (unsigned i = 0; i < card->queues; i++) {
		struct poll_state *poll = &card->queue[i].poll;
		if (!poll->active)
			continue;
		if (poll->deadline > now) {
			next = poll->deadline < next ? poll->deadline : next;
			continue;
		}
		poll->active = false;
		poll->stopped_at = now;
		if (poll->window_cycles > card->poll_cycles / WINDOW_SHRINK_LIMIT)
			poll->window_cycles /= 2;
		if (card->queue[i].running && !card->queue[i].resetting && !card->broken)
			set_polling(i, false);
	}
	timer_set(next);
}

void poll_forget(struct card *card)
{
	for (unsigned i = 0; i < QUEUES_MAX; i++)
		card->queue[i].poll = (struct poll_state){ 0 };
	timer_set(UINT64_MAX);
}
