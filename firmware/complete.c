/* Giving requests back: in the order in which they end, or with IN_ORDER in the order in which they were offered. */
#include "firmware/card.h"
#include "firmware/virtio_defs.h"

/* slot.fw_state while a finished request waits for its turn */
#define FINISHED UINT32_MAX

static void push(unsigned slot, uint32_t status, uint32_t used_bytes)
{
	while (reg_read(CSR_USED_STATE_ADDR) == 0)
		; /* the writer drains on its own: it needs nothing of us */
	reg_write(CSR_USED_PUSH_BYTES_ADDR, used_bytes);
	reg_write(CSR_USED_PUSH_ADDR, slot | status << CSR_USED_PUSH_STATUS_SHIFT);
}

/* Gives back the slot of a request that nobody wants to hear of any more. */
void slot_drop(struct card *card, unsigned slot)
{
	card->queue[slot_at(slot)->queue].inflight--;
	reg_write(CSR_FETCH_SLOT_FREE_ADDR, slot);
}

/* The queue is being reset: requests that only wait for their turn will never get it. */
void drop_finished(struct card *card, unsigned queue)
{
	if (!negotiated(card, F_IN_ORDER))
		return;
	for (unsigned i = 0; i < SLOTS; i++) {
		unsigned number = card->order[queue][i];
		struct slot *slot = slot_at(number);
		if (slot->queue == queue && slot->sequence % SLOTS == i && slot->fw_state == FINISHED) {
			slot->fw_state = 0;
			slot_drop(card, number);
		}
	}
}

static void complete_in_order(struct card *card, struct queue_state *queue, unsigned number)
{
	for (;;) {
		unsigned next = card->order[number][queue->next_sequence % SLOTS];
		const struct slot *slot = slot_at(next);
		if (slot->queue != number || slot->sequence != queue->next_sequence || slot->fw_state != FINISHED)
			return;
		slot_at(next)->fw_state = 0;
		queue->next_sequence++;
		queue->inflight--;
		push(next, slot->fw_status, slot->fw_index);
	}
}

void complete(struct card *card, unsigned number, uint32_t status, uint32_t used_bytes)
{
	struct slot *slot = slot_at(number);
	struct queue_state *queue = &card->queue[slot->queue];
	if (card->broken || queue->resetting) {
		slot_drop(card, number);
	} else if (negotiated(card, F_IN_ORDER)) {
		slot->fw_state = FINISHED;
		slot->fw_status = status;
		slot->fw_index = used_bytes;
		card->order[slot->queue][slot->sequence % SLOTS] = (uint16_t)number;
		complete_in_order(card, queue, slot->queue);
	} else {
		queue->inflight--;
		push(number, status, used_bytes);
	}
}
