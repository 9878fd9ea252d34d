/* What the two halves of the mock share: its registers (mock_registers.c) and the hands of the test (mock_card.c). */
#ifndef KICKSTAND_TESTS_FIRMWARE_MOCK_INTERNAL_H
#define KICKSTAND_TESTS_FIRMWARE_MOCK_INTERNAL_H

#include "pcie/base.h"
#include "tests/check.h"
#include "tests/unit/firmware/mock_card.h"

/* ---- queues between test and firmware ---- */

static inline bool fifo_empty(const struct mock_fifo *fifo)
{
	return fifo->head == fifo->tail;
}

static inline unsigned fifo_count(const struct mock_fifo *fifo)
{
	return fifo->tail - fifo->head;
}

static inline void fifo_push(struct mock_fifo *fifo, uint32_t entry)
{
	assert_true(fifo_count(fifo) < ARRAY_SIZE(fifo->entry));
	fifo->entry[fifo->tail++ % ARRAY_SIZE(fifo->entry)] = entry;
}

static inline uint32_t fifo_pop(struct mock_fifo *fifo)
{
	assert_false(fifo_empty(fifo));
	return fifo->entry[fifo->head++ % ARRAY_SIZE(fifo->entry)];
}

static inline void set_half(uint64_t *field, bool high, uint32_t value)
{
	*field = high ? (uint32_t)*field | (uint64_t)value << 32 : *field >> 32 << 32 | value;
}

/* ---- slots and who has them ---- */

uint8_t *mock_slot_memory(const struct mock_card *mock, unsigned slot);
/* Slots in other than the firmware's hands are out of its reach, and what stood in a free one is gone. */
void mock_hand_over(struct mock_card *mock, unsigned slot, enum mock_owner owner);
/* -1 if none is free. */
int mock_take_slot(struct mock_card *mock, enum mock_owner owner);
void mock_give_slot(struct mock_card *mock, unsigned slot);
void mock_all_slots_free(struct mock_card *mock);
/* The address sanitizer lets the mock, too, look at a slot. */
void mock_open_slot(struct mock_card *mock, unsigned slot);

/* ---- the rest ---- */

/* The HAL's functions, which have no argument for it, work on this one. */
void mock_attach(struct mock_card *mock);
/* Queues, jobs, copies, completions: nothing is left of them. Slots stay where they are. */
void mock_engines_forget(struct mock_card *mock);
void mock_queue_defaults(struct mock_card *mock, unsigned queue);
void mock_make_pending(struct mock_card *mock, unsigned queue);

#endif
