#include "rtl-model/blocks/mailbox/mailbox.h"
#include "tests/unit/rtl-model/csr_check.h"

#define VALID UINT32_C(0x80000000)

/* The answers: "CODE:ARGUMENT=ack@TIME " each. */
struct replies {
	char text[8192];
	size_t length;
	struct mailbox *send_again; /* a manager that does not give up, for `again` times */
	unsigned again;
};

static void note_reply(void *ctx, uint64_t now_ps, const struct mailbox_message *message, bool ack)
{
	struct replies *replies = ctx;
	replies->length +=
		(size_t)snprintf(replies->text + replies->length, sizeof(replies->text) - replies->length,
				 "%u:%llu=%s@%llu ", message->code, (unsigned long long)message->argument,
				 ack ? "ack" : "nak", (unsigned long long)now_ps);
	if (replies->again != 0) {
		replies->again--;
		assert_true(mailbox_send(replies->send_again, now_ps, message->code, message->argument + 1));
	}
}

static bool read_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return mailbox_csr_read(self, now_ps, offset, value);
}

static bool write_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return mailbox_csr_write(self, now_ps, offset, value);
}

static uint32_t get(struct mailbox *mailbox, uint64_t now_ps, uint32_t offset)
{
	uint32_t value;
	assert_true(mailbox_csr_read(mailbox, now_ps, offset, &value));
	return value;
}

static void reply(struct mailbox *mailbox, uint64_t now_ps, uint32_t code)
{
	assert_true(mailbox_csr_write(mailbox, now_ps, CSR_MAILBOX_REPLY, code));
}

static void count_wake(void *ctx, uint64_t at_ps)
{
	(void)at_ps;
	++*(unsigned *)ctx;
}

static void test_mailbox_registers_reset_value_and_access(void **state)
{
	(void)state;
	static const struct csr_case cases[] = {
		{.offset = CSR_MAILBOX_RECEIVE, .reset = 0},
		{.offset = CSR_MAILBOX_ARGUMENT_LO, .reset = 0},
		{.offset = CSR_MAILBOX_ARGUMENT_HI, .reset = 0},
		{.offset = CSR_MAILBOX_REPLY, .reset = 0, .action = true},
	};
	struct mailbox mailbox;
	struct replies replies = {0};
	mailbox_init(&mailbox, NULL, note_reply, &replies);
	struct csr_block block = {&mailbox, read_register, write_register};
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
	assert_true(mailbox_send(&mailbox, 0, MAILBOX_RESIZE, UINT64_MAX));
	assert_int_equal(get(&mailbox, 0, CSR_MAILBOX_RECEIVE), VALID | MAILBOX_RESIZE);
	mailbox_reset(&mailbox, 0);
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
}

static void test_mailbox_messages_taken_in_order_and_answered(void **state)
{
	(void)state;
	unsigned wakes = 0;
	struct waker self = {count_wake, &wakes};
	struct mailbox mailbox;
	struct replies replies = {0};
	mailbox_init(&mailbox, &self, note_reply, &replies);
	assert_false(mailbox_event(&mailbox, 0));
	assert_true(mailbox_send(&mailbox, 5, MAILBOX_RESIZE, UINT64_C(0x123456789abcdef0)));
	assert_true(mailbox_send(&mailbox, 6, MAILBOX_READ_ONLY, 1));
	assert_int_equal(wakes, 2);
	assert_true(mailbox_event(&mailbox, 6));
	assert_int_equal(get(&mailbox, 10, CSR_MAILBOX_RECEIVE), VALID | MAILBOX_RESIZE);
	assert_int_equal(get(&mailbox, 10, CSR_MAILBOX_ARGUMENT_LO), 0x9abcdef0);
	assert_int_equal(get(&mailbox, 10, CSR_MAILBOX_ARGUMENT_HI), 0x12345678);
	assert_true(mailbox_event(&mailbox, 10)); /* the second still waits */
	reply(&mailbox, 11, MAILBOX_ACK);
	assert_int_equal(get(&mailbox, 12, CSR_MAILBOX_RECEIVE), VALID | MAILBOX_READ_ONLY);
	assert_false(mailbox_event(&mailbox, 12));
	assert_int_equal(get(&mailbox, 12, CSR_MAILBOX_ARGUMENT_LO), 1);
	assert_int_equal(get(&mailbox, 12, CSR_MAILBOX_ARGUMENT_HI), 0);
	reply(&mailbox, 13, MAILBOX_NAK);
	assert_int_equal(get(&mailbox, 14, CSR_MAILBOX_RECEIVE), 0);
	assert_int_equal(get(&mailbox, 14, CSR_MAILBOX_ARGUMENT_LO),
			 1); /* still that of the message taken last */
	assert_string_equal(replies.text, "1:1311768467463790320=ack@11 3:1=nak@13 ");
	assert_int_equal(mailbox.stats.stray_replies, 0);
}

static void test_mailbox_stray_replies_counted_and_dropped(void **state)
{
	(void)state;
	struct mailbox mailbox;
	struct replies replies = {0};
	mailbox_init(&mailbox, NULL, note_reply, &replies);
	reply(&mailbox, 1, MAILBOX_ACK); /* to nothing */
	assert_true(mailbox_send(&mailbox, 2, MAILBOX_FAIL, 7));
	reply(&mailbox, 3, MAILBOX_ACK); /* before taking it */
	get(&mailbox, 4, CSR_MAILBOX_RECEIVE);
	reply(&mailbox, 5, 0);
	reply(&mailbox, 6, MAILBOX_FAIL);
	reply(&mailbox, 7, 0xffff);
	assert_string_equal(replies.text, "");
	reply(&mailbox, 8, 0xabcd0000 | MAILBOX_ACK); /* only CODE counts */
	reply(&mailbox, 9, MAILBOX_ACK);              /* a second time */
	assert_string_equal(replies.text, "5:7=ack@8 ");
	assert_int_equal(mailbox.stats.stray_replies, 6);
}

static void test_mailbox_unanswered_message_is_nak_when_next_is_taken(void **state)
{
	(void)state;
	struct mailbox mailbox;
	struct replies replies = {0};
	mailbox_init(&mailbox, NULL, note_reply, &replies);
	assert_true(mailbox_send(&mailbox, 0, MAILBOX_RESIZE, 1));
	assert_true(mailbox_send(&mailbox, 0, MAILBOX_RESIZE, 2));
	get(&mailbox, 1, CSR_MAILBOX_RECEIVE);
	get(&mailbox, 2, CSR_MAILBOX_RECEIVE);
	assert_string_equal(replies.text, "1:1=nak@2 ");
	get(&mailbox, 3, CSR_MAILBOX_RECEIVE); /* nothing there: the second can still be answered */
	reply(&mailbox, 4, MAILBOX_ACK);
	assert_string_equal(replies.text, "1:1=nak@2 1:2=ack@4 ");
}

static void test_mailbox_full_refuses_and_keeps_order(void **state)
{
	(void)state;
	struct mailbox mailbox;
	mailbox_init(&mailbox, NULL, NULL, NULL);
	for (unsigned i = 0; i < 16; i++)
		assert_true(mailbox_send(&mailbox, 0, MAILBOX_LOG_LEVEL, i));
	assert_false(mailbox_send(&mailbox, 0, MAILBOX_LOG_LEVEL, 16));
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(get(&mailbox, 0, CSR_MAILBOX_RECEIVE), VALID | MAILBOX_LOG_LEVEL);
		assert_int_equal(get(&mailbox, 0, CSR_MAILBOX_ARGUMENT_LO), i);
		reply(&mailbox, 0, MAILBOX_ACK); /* with nobody to hear it */
	}
	assert_int_equal(get(&mailbox, 0, CSR_MAILBOX_RECEIVE), 0);
	assert_int_equal(mailbox.stats.sent, 16);
	assert_int_equal(mailbox.stats.acks, 16);
}

static void test_mailbox_reset_answers_everything_with_nak(void **state)
{
	(void)state;
	struct mailbox mailbox;
	struct replies replies = {.send_again = &mailbox};
	mailbox_init(&mailbox, NULL, note_reply, &replies);
	for (unsigned i = 1; i <= 3; i++)
		assert_true(mailbox_send(&mailbox, 0, MAILBOX_RESIZE, i * 10));
	get(&mailbox, 1, CSR_MAILBOX_RECEIVE);
	replies.again = 1;
	mailbox_reset(&mailbox, 2);
	assert_string_equal(replies.text, "1:10=nak@2 1:20=nak@2 1:30=nak@2 ");
	assert_int_equal(get(&mailbox, 3, CSR_MAILBOX_RECEIVE),
			 VALID | MAILBOX_RESIZE); /* sent from within the reset */
	assert_int_equal(get(&mailbox, 3, CSR_MAILBOX_ARGUMENT_LO), 11);
	reply(&mailbox, 4, MAILBOX_ACK);
	assert_int_equal(mailbox.stats.naks, 3);
	assert_int_equal(mailbox.stats.acks, 1);
}

enum { ROUNDS = 100000 };

static void count_answer(void *ctx, uint64_t now_ps, const struct mailbox_message *message, bool ack)
{
	(void)now_ps;
	(void)ack;
	((uint8_t *)ctx)[message->argument]++;
}

/* Whatever the firmware does, every message gets one answer. */
static void test_mailbox_random_firmware_every_message_answered_once(void **state)
{
	(void)state;
	struct rng rng;
	rng_seed(&rng, test_seed(61), 0);
	uint8_t *answers = calloc(ROUNDS, 1);
	bool *sent = calloc(ROUNDS, sizeof(*sent));
	struct mailbox mailbox;
	mailbox_init(&mailbox, NULL, count_answer, answers);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t value, offset = (uint32_t)rng_below(&rng, 0x20);
		switch (rng_below(&rng, 8)) {
		case 0:
		case 1:
		case 2: sent[i] = mailbox_send(&mailbox, i, MAILBOX_RESIZE, i); break;
		case 3: reply(&mailbox, i, (uint32_t)rng_below(&rng, 6)); break;
		case 4: mailbox_csr_write(&mailbox, i, offset, (uint32_t)rng_u64(&rng)); break;
		case 5:
			if (rng_below(&rng, 100) == 0)
				mailbox_reset(&mailbox, i);
			break;
		default: mailbox_csr_read(&mailbox, i, offset, &value);
		}
	}
	mailbox_reset(&mailbox, ROUNDS);
	for (unsigned i = 0; i < ROUNDS; i++)
		assert_int_equal(answers[i], sent[i]);
	assert_true(mailbox.stats.acks > 100);
	assert_true(mailbox.stats.naks > 100);
	free(answers);
	free(sent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mailbox_registers_reset_value_and_access),
		cmocka_unit_test(test_mailbox_messages_taken_in_order_and_answered),
		cmocka_unit_test(test_mailbox_stray_replies_counted_and_dropped),
		cmocka_unit_test(test_mailbox_unanswered_message_is_nak_when_next_is_taken),
		cmocka_unit_test(test_mailbox_full_refuses_and_keeps_order),
		cmocka_unit_test(test_mailbox_reset_answers_everything_with_nak),
		cmocka_unit_test(test_mailbox_random_firmware_every_message_answered_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
