/* Giving requests back: in the order in which they end, or with IN_ORDER in the order in which they were offered.
 *
 * The used-ring writer takes a limited number of completions, and takes no more while the host lets it write nothing
 * (Bus Master Enable clear, no credits). What it has no room for waits in a line, so that the event loop goes on and
 * a driver that resets the card is answered. */
#include "firmware/card.h"

/* While a finished request waits, slot.fw_status and slot.fw_index keep its status and len, and slot.fw_link is the next in
 * line. Links and tables hold slot + 1, so that 0 is nobody. */

/* Gives back the slot of a request that nobody wants to hear of any more. */
void slot_drop(struct card *card, unsigned slot)
{
	card->queue[slot_at(slot)->queue].inflight--;
	reg_write(CSR_FETCH_SLOT_FREE_ADDR, slot);
}

/* False if there is no room. The writer is asked for its room only when what is known of it is used up: nobody else
 * pushes. */
static bool push(struct card *card, unsigned slot, uint32_t status, uint32_t used_bytes)
{
	if (card->push_room == 0) {
		card->push_room = reg_read(CSR_USED_STATE_ADDR);
		if (card->push_room == 0)
			return false;
	}
	card->push_room--;
	card->queue[slot_at(slot)->queue].inflight--;
	reg_write(CSR_USED_PUSH_BYTES_ADDR, used_bytes);
	reg_write(CSR_USED_PUSH_ADDR, slot | status << CSR_USED_PUSH_STATUS_SHIFT);
	return true;
}

static void give_back(struct card *card, unsigned number, uint32_t status, uint32_t used_bytes)
{
	struct slot *slot = slot_at(number);
	if (card->waiting_first == 0 && push(card, number, status, used_bytes))
		return;
	slot->fw_status = status;
	slot->fw_index = used_bytes;
	slot->fw_link = 0;
	if (card->waiting_first == 0)
		card->waiting_first = (uint16_t)(number + 1);
	else
		slot_at(card->waiting_last - 1u)->fw_link = number + 1;
	card->waiting_last = (uint16_t)(number + 1);
}

/* Goes on with the line. A slot that has been pushed or dropped is in other hands, hence the look at its link before. */
void complete_waiting(struct card *card)
{
	while (card->waiting_first != 0) {
		unsigned number = card->waiting_first - 1u;
		const struct slot *slot = slot_at(number);
		uint16_t next = (uint16_t)slot->fw_link;
		if (!card->queue[slot->queue].running)
			slot_drop(card, number);
		else if (!push(card, number, slot->fw_status, slot->fw_index))
			return;
		card->waiting_first = next;
	}
}

/* ---- IN_ORDER ---- */

static void complete_in_order(struct card *card, unsigned number, uint32_t status, uint32_t used_bytes)
{
	struct slot *slot = slot_at(number);
	struct queue_state *queue = &card->queue[slot->queue];
	uint16_t *finished = card->finished[slot->queue];
	slot->fw_status = status;
	slot->fw_index = used_bytes;
	finished[slot->sequence % SLOTS] = (uint16_t)(number + 1);
	for (;;) {
		uint16_t *turn = &finished[queue->next_sequence % SLOTS];
		if (*turn == 0)
			return;
		number = *turn - 1u;
		*turn = 0;
		queue->next_sequence++;
		slot = slot_at(number);
		give_back(card, number, slot->fw_status, slot->fw_index);
	}
}

/* The queue has been stopped: requests that only wait for their turn will never get it. */
void drop_finished(struct card *card, unsigned queue)
{
	uint16_t *finished = card->finished[queue];
	if (!negotiated(card, F_IN_ORDER))
		return;
	for (unsigned i = 0; i < SLOTS; i++) {
		if (finished[i] != 0)
			slot_drop(card, finished[i] - 1u);
		finished[i] = 0;
	}
}

/* ---- entry points ---- */

void complete(struct card *card, unsigned number, uint32_t status, uint32_t used_bytes)
{
	if (negotiated(card, F_IN_ORDER))
		complete_in_order(card, number, status, used_bytes);
	else
		give_back(card, number, status, used_bytes);
}

/* Everything has been reset, the slots are in other hands. What waited must not be taken for requests of the next life. */
void completions_forget(struct card *card)
{
	card->waiting_first = 0;
	if (!negotiated(card, F_IN_ORDER))
		return;
	for (unsigned queue = 0; queue < card->queues; queue++)
		for (unsigned i = 0; i < SLOTS; i++)
			card->finished[queue][i] = 0;
}
