/* Reading wire bytes from text and comparing TLPs, for the tests of pcie/. */
#ifndef KICKSTAND_TESTS_UNIT_PCIE_TLP_ASSERT_H
#define KICKSTAND_TESTS_UNIT_PCIE_TLP_ASSERT_H

#include "pcie/tlp.h"
#include "tests/check.h"

static inline unsigned hex_digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;
}

/* "40000001 0100000f …": bytes in transmission order; blanks are ignored. Returns the count. */
static inline size_t bytes_of_hex(const char *text, uint8_t *bytes, size_t capacity)
{
	size_t digits = 0;
	for (; *text; text++) {
		if (*text == ' ')
			continue;
		assert_true(digits / 2 < capacity);
		uint8_t *byte = &bytes[digits / 2];
		*byte = (uint8_t)(digits % 2 ? *byte << 4 | hex_digit(*text) : hex_digit(*text));
		digits++;
	}
	assert_int_equal(digits % 2, 0);
	return digits / 2;
}

/* The bytes in a block of exactly their size, so that the sanitizer sees any access outside. */
static inline uint8_t *exact_copy(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size);
	assert_true(copy != NULL || size == 0);
	if (size != 0)
		memcpy(copy, bytes, size);
	return copy;
}

/* Every field but the payload pointer, whose bytes are compared instead. */
static inline void assert_tlp_equal(const struct tlp *got, const struct tlp *want)
{
	assert_int_equal(got->type, want->type);
	assert_int_equal(got->addr64, want->addr64);
	assert_int_equal(got->td, want->td);
	assert_int_equal(got->ep, want->ep);
	assert_int_equal(got->th, want->th);
	assert_int_equal(got->tc, want->tc);
	assert_int_equal(got->attr, want->attr);
	assert_int_equal(got->at, want->at);
	assert_int_equal(got->length_dw, want->length_dw);
	assert_int_equal(got->requester_id, want->requester_id);
	assert_int_equal(got->tag, want->tag);
	assert_int_equal(got->first_be, want->first_be);
	assert_int_equal(got->last_be, want->last_be);
	assert_int_equal(got->addr, want->addr);
	assert_int_equal(got->dest_id, want->dest_id);
	assert_int_equal(got->reg, want->reg);
	assert_int_equal(got->completer_id, want->completer_id);
	assert_int_equal(got->status, want->status);
	assert_int_equal(got->bcm, want->bcm);
	assert_int_equal(got->byte_count, want->byte_count);
	assert_int_equal(got->lower_addr, want->lower_addr);
	assert_int_equal(got->msg_code, want->msg_code);
	assert_int_equal(got->msg_route, want->msg_route);
	assert_int_equal(got->msg_dw2, want->msg_dw2);
	assert_int_equal(got->msg_dw3, want->msg_dw3);
	assert_int_equal(got->payload == NULL, want->payload == NULL);
	if (want->payload)
		assert_memory_equal(got->payload, want->payload, want->length_dw * 4u);
}

#endif
