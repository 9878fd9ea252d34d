/* The direct path (offload level `full`): reads and writes served without the core.
 *
 * It stands between the fetch engine and the core. A record that is a good IN or OUT request of a queue the firmware has
 * given to it becomes a job of the data mover, and its end a completion at the used-ring writer. All other records go on
 * to the core, which finds them in FETCH.RECORD as ever: flushes, discards, bad chains, requests beyond the medium.
 *
 * The firmware says per queue whether it may (DIRECT.ENABLE); a queue with IN_ORDER stays with the core, which alone knows
 * the order. A queue that is taken away keeps nothing: what is on the medium ends, and its slot is freed (virtio 1.4
 * §2.6.1: no buffer is given back after a queue reset). */
#ifndef KICKSTAND_BLOCKS_DIRECT_DIRECT_H
#define KICKSTAND_BLOCKS_DIRECT_DIRECT_H

#include "csr.h"
#include "pcie/base.h"
#include "rtl-model/blocks/mover/mover.h"
#include "rtl-model/blocks/used/used.h"
#include "rtl-model/config.h"
#include "rtl-model/fifo.h"
#include "rtl-model/probe.h"

#ifdef __cplusplus
extern "C" {
#endif

FIFO_DEFINE(slot_fifo, uint16_t, SLOTS);

/* records taken = served + passed on; served = completed + failed + dropped + in flight */
struct direct_stats {
	uint64_t passed_on; /* to the core */
	uint64_t reads, writes;
	uint64_t completed;
	uint64_t failed;     /* of them, ended with S_IOERR */
	uint64_t dropped;    /* ended when their queue had been taken away */
	uint64_t stall_used; /* ends that had to wait for room at the used-ring writer */
};

struct direct_ports {
	const struct waker *self;
	uint8_t *sram;
	struct probe *probe;
	const struct waker *events; /* woken when direct_events changes */
	struct mover *mover;
	struct used *used;
	void *ctx;
	/* The next record of the fetch engine, if there is one at now_ps; and when the one on its way gets there,
	 * TIME_NEVER_PS if none is. */
	bool (*take_record)(void *ctx, uint64_t now_ps, unsigned *slot);
	uint64_t (*next_record_ps)(void *ctx);
	void (*slot_free)(void *ctx, uint64_t now_ps, unsigned slot);
	/* Whether the driver has chosen a write-back cache (virtio 1.4 §5.2.5, writeback). */
	bool (*write_back)(void *ctx);
};

struct direct {
	struct direct_ports ports;
	uint64_t period_ps;
	unsigned cycles;
	/* registers */
	uint64_t enabled; /* bit n: queue n */
	uint64_t sectors;
	bool read_only;
	uint32_t cache;
	unsigned csr_queue;
	/* state */
	struct slot_fifo records; /* out, to the core */
	uint16_t inflight[QUEUES_MAX];
	unsigned requests; /* sum of them */
	uint64_t next_record_ps, next_end_ps;
	struct direct_stats stats;
};

/* Connects itself to the mover's and the used-ring writer's direct sides. */
void direct_init(struct direct *direct, const struct config *config, const struct direct_ports *ports);

/* Forgets all requests and takes all queues away; the other settings are kept. The mover and the used-ring writer are
 * reset by the caller. */
void direct_reset(struct direct *direct);

uint64_t direct_step(struct direct *direct, uint64_t now_ps);

/* FETCH.RECORD at offload level full: the next record for the core, CSR_FETCH_RECORD_*. */
uint32_t direct_pop_record(struct direct *direct, uint64_t now_ps);

/* Block DIRECT of the CSR bus. */
bool direct_csr_read(struct direct *direct, uint64_t now_ps, uint32_t offset, uint32_t *value);
bool direct_csr_write(struct direct *direct, uint64_t now_ps, uint32_t offset, uint32_t value);

/* CSR_SYS_EVENTS_RECORD while a record waits for the core. */
uint32_t direct_events(const struct direct *direct, uint64_t now_ps);

/* Requests being served, or records that wait for the core. */
bool direct_busy(const struct direct *direct);

#ifdef __cplusplus
}
#endif
#endif
