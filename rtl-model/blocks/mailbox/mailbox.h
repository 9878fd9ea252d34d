/* The mailbox: messages from the card's management (the command line, a test) to the firmware, each with a code and
 * a 64-bit argument, and one answer to each.
 *
 * Every message sent gets exactly one answer, ACK or NAK: the firmware's, or NAK when the firmware takes the next
 * message without answering, and NAK for everything still waiting at a reset. */
#ifndef KICKSTAND_BLOCKS_MAILBOX_MAILBOX_H
#define KICKSTAND_BLOCKS_MAILBOX_MAILBOX_H

#include "csr.h"
#include "pcie/base.h"
#include "rtl-model/fifo.h"

#ifdef __cplusplus
extern "C" {
#endif

struct mailbox_message {
	uint16_t code; /* MAILBOX_RESIZE … */
	uint64_t argument;
};

FIFO_DEFINE(mailbox_fifo, struct mailbox_message, 16);

/* The answer to `message`. May send again from within the call. */
typedef void mailbox_reply_fn(void *ctx, uint64_t now_ps, const struct mailbox_message *message, bool ack);

struct mailbox_stats {
	uint64_t sent, acks, naks;
	uint64_t stray_replies; /* of the firmware, to no message or with an unknown code */
};

struct mailbox {
	struct mailbox_fifo messages;
	mailbox_reply_fn *reply;
	void *reply_ctx;
	struct mailbox_message taken; /* by the firmware, last */
	bool unanswered;              /* taken has no answer yet */
	struct mailbox_stats stats;
};

/* `self` is woken for each message. `reply` NULL: nobody waits for answers. */
void mailbox_init(struct mailbox *mailbox, const struct waker *self, mailbox_reply_fn *reply,
		  void *reply_ctx);

/* False: no room, try again after an answer. */
MUST_USE bool mailbox_send(struct mailbox *mailbox, uint64_t now_ps, uint16_t code, uint64_t argument);

void mailbox_reset(struct mailbox *mailbox, uint64_t now_ps);

/* Level of the MAILBOX event: a message waits. */
bool mailbox_event(const struct mailbox *mailbox, uint64_t now_ps);

/* Registers of block MAILBOX. False: no such register. */
bool mailbox_csr_read(struct mailbox *mailbox, uint64_t now_ps, uint32_t offset, uint32_t *value);
bool mailbox_csr_write(struct mailbox *mailbox, uint64_t now_ps, uint32_t offset, uint32_t value);

#ifdef __cplusplus
}
#endif
#endif
