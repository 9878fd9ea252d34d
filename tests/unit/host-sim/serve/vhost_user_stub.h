/* The card's side of a vhost-user session without a card (vhost_user_card.h), for tests of the session and for fuzzing: it
 * remembers what a ring was given, and checks what every handler has to have checked. */
#ifndef KICKSTAND_TESTS_UNIT_VHOST_USER_STUB_H
#define KICKSTAND_TESTS_UNIT_VHOST_USER_STUB_H

#include "host-sim/serve/vhost_user_session.h"

#include <stdlib.h>

#define STUB_QUEUES         4u
#define STUB_QUEUE_SIZE_MAX 256u
#define STUB_FEATURES       UINT64_C(0x130006a54)

/* In place of assertions: what calls it may be no test. */
#define CHECK(condition) ((condition) ? (void)0 : abort())

/* What the stub was asked. */
struct stub {
	struct card card;  /* of vhost_user_card.card */
	uint64_t capacity; /* for the configuration */
	unsigned parks, lines;
	bool broken;
};

/* Before vhost_user_session_begin. */
void stub_create(struct stub *stub, struct vhost_user_card *card);

#endif
