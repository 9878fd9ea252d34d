/* The event loop: look what waits, serve it, sleep when nothing does. */
#include "firmware/card.h"

#define EVENT(name) CSR_SYS_EVENTS_##name##_MASK

static void requests_event(struct card *card)
{
	uint32_t record;
	while ((record = reg_read(CSR_FETCH_RECORD_ADDR)) & CSR_FETCH_RECORD_VALID_MASK) {
		unsigned slot = record & CSR_FETCH_RECORD_SLOT_MASK;
		if (card->poll_cycles != 0)
			poll_request_seen(card, slot_at(slot)->queue);
		blk_request(card, slot);
	}
}

static void jobs_event(struct card *card)
{
	uint32_t done;
	while ((done = reg_read(CSR_MOVER_DONE_ADDR)) & CSR_MOVER_DONE_VALID_MASK)
		blk_job_done(card, done & CSR_MOVER_DONE_SLOT_MASK);
}

/* RESIZE needs no argument: the medium knows its size. FAIL means nothing to a card that is not in use. */
static void mailbox_event(struct card *card)
{
	uint32_t message = reg_read(CSR_MAILBOX_RECEIVE_ADDR);
	uint32_t reply = MAILBOX_ACK;
	if (!(message & CSR_MAILBOX_RECEIVE_VALID_MASK))
		return;
	switch (message & CSR_MAILBOX_RECEIVE_CODE_MASK) {
	case MAILBOX_RESIZE: card_capacity_changed(card); break;
	case MAILBOX_FAIL:
		if (card->live)
			needs_reset(card);
		else
			reply = MAILBOX_NAK;
		break;
	default: reply = MAILBOX_NAK;
	}
	reg_write(CSR_MAILBOX_REPLY_ADDR, reply);
}

/* Everything that happens less than once per request. */
static void rare_events(struct card *card, uint32_t events)
{
	if (events & EVENT(FUNCTION_RESET))
		function_reset_event(card);
	if (events & EVENT(STATUS))
		status_event(card);
	if (events & EVENT(QUEUE_RESET))
		queue_reset_event(card);
	if (events & EVENT(QUEUE_ENABLED))
		queue_enabled_event(card);
	if (events & EVENT(CONFIG_WRITE)) /* nothing to do: writes look at the field themselves (blk.c) */
		reg_write(CSR_VIRTIO_CONFIG_WRITTEN_ADDR, CSR_VIRTIO_CONFIG_WRITTEN_WRITEBACK_MASK);
	if (events & EVENT(DMA_FAULT))
		ring_fault_event(card);
	if (events & EVENT(TIMER))
		poll_event(card);
	if (events & EVENT(MAILBOX))
		mailbox_event(card);
}

/* Work whose progress no event announces: the core comes back and looks. */
static inline bool must_look_again(const struct card *card)
{
	return card->waiting_first != 0 || rings_wait_for_slots(&card->rings) || card->resetting_queues != 0;
}

static void look_again(struct card *card)
{
	complete_waiting(card);
	if (rings_wait_for_slots(&card->rings))
		rings_retry(card);
	if (card->resetting_queues != 0)
		queue_resets_poll(card);
}

/* One turn of the event loop. */
static inline void turn(struct card *card)
{
	const uint32_t common = EVENT(RECORD) | EVENT(DONE) | EVENT(SERVICE) | EVENT(COPY);
	uint32_t events = reg_read(CSR_SYS_EVENTS_ADDR);
	/* Resets before requests that will not outlive them. */
	if (events & ~common)
		rare_events(card, events);
	/* Finished jobs first: they free slots, and their drivers have waited longest. */
	if (events & EVENT(DONE))
		jobs_event(card);
	if (events & EVENT(RECORD))
		requests_event(card);
	if (events & EVENT(COPY))
		ring_copy_event(card);
	if (events & EVENT(SERVICE))
		ring_service_event(card);
	if (must_look_again(card))
		look_again(card);
	else
		hal_wait();
}

#ifdef HAL_MOCK

void card_poll(struct card *card)
{
	turn(card);
}

#else

int main(void);
void trap_report(uint32_t cause, uint32_t pc, uint32_t value);

/* From start.S: tells the card and stops. */
void trap_report(uint32_t cause, uint32_t pc, uint32_t value)
{
	reg_write(CSR_SYS_TRAP_CAUSE_ADDR, cause);
	reg_write(CSR_SYS_TRAP_PC_ADDR, pc);
	reg_write(CSR_SYS_TRAP_VALUE_ADDR, value);
	hal_panic(PANIC_TRAP);
}

int main(void)
{
	static struct card the_card;
	card_init(&the_card);
	for (;;)
		turn(&the_card);
}

#endif
