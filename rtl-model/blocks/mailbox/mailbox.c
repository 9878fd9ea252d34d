#include "rtl-model/blocks/mailbox/mailbox.h"

#include <string.h>

void mailbox_init(struct mailbox *mailbox, const struct waker *self, mailbox_reply_fn *reply, void *reply_ctx)
{
	memset(mailbox, 0, sizeof(*mailbox));
	mailbox->reply = reply;
	mailbox->reply_ctx = reply_ctx;
	mailbox->messages.consumer = self;
}

bool mailbox_send(struct mailbox *mailbox, uint64_t now_ps, uint16_t code, uint64_t argument)
{
	if (mailbox_fifo_full(&mailbox->messages))
		return false;
	mailbox->stats.sent++;
	mailbox_fifo_push(&mailbox->messages, now_ps, (struct mailbox_message){code, argument});
	return true;
}

bool mailbox_event(const struct mailbox *mailbox, uint64_t now_ps)
{
	return mailbox_fifo_ready(&mailbox->messages, now_ps);
}

static void answer(struct mailbox *mailbox, uint64_t now_ps, bool ack)
{
	struct mailbox_message message = mailbox->taken;
	mailbox->unanswered = false;
	if (ack)
		mailbox->stats.acks++;
	else
		mailbox->stats.naks++;
	if (mailbox->reply)
		mailbox->reply(mailbox->reply_ctx, now_ps, &message, ack);
}

static void take(struct mailbox *mailbox, uint64_t now_ps)
{
	struct mailbox_message next = mailbox_fifo_pop(&mailbox->messages, now_ps);
	if (mailbox->unanswered)
		answer(mailbox, now_ps, false);
	mailbox->taken = next;
	mailbox->unanswered = true;
}

void mailbox_reset(struct mailbox *mailbox, uint64_t now_ps)
{
	/* Counted first: what is sent from within an answer belongs to the time after the reset. */
	uint32_t waiting = mailbox_fifo_count(&mailbox->messages);
	if (mailbox->unanswered)
		answer(mailbox, now_ps, false);
	for (; waiting != 0; waiting--) {
		take(mailbox, now_ps);
		answer(mailbox, now_ps, false);
	}
	mailbox->taken = (struct mailbox_message){0};
}

bool mailbox_csr_read(struct mailbox *mailbox, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	switch (offset) {
	case CSR_MAILBOX_RECEIVE:
		*value = 0;
		if (mailbox_event(mailbox, now_ps)) {
			take(mailbox, now_ps);
			*value = CSR_MAILBOX_RECEIVE_VALID_MASK | mailbox->taken.code;
		}
		return true;
	case CSR_MAILBOX_ARGUMENT_LO: *value = (uint32_t)mailbox->taken.argument; return true;
	case CSR_MAILBOX_ARGUMENT_HI: *value = (uint32_t)(mailbox->taken.argument >> 32); return true;
	case CSR_MAILBOX_REPLY: *value = 0; return true;
	default: return false;
	}
}

static void firmware_reply(struct mailbox *mailbox, uint64_t now_ps, uint32_t code)
{
	if (!mailbox->unanswered || (code != MAILBOX_ACK && code != MAILBOX_NAK)) {
		mailbox->stats.stray_replies++;
		return;
	}
	answer(mailbox, now_ps, code == MAILBOX_ACK);
}

bool mailbox_csr_write(struct mailbox *mailbox, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case CSR_MAILBOX_RECEIVE:
	case CSR_MAILBOX_ARGUMENT_LO:
	case CSR_MAILBOX_ARGUMENT_HI: return true;
	case CSR_MAILBOX_REPLY:
		firmware_reply(mailbox, now_ps, value & CSR_MAILBOX_REPLY_CODE_MASK);
		return true;
	default: return false;
	}
}
