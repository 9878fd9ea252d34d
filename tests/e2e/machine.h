/* A whole machine in a test: simulated guest, link, card with the real firmware, a small disk.
 *
 * SystemC can be elaborated once per process, so every case runs in a child of its own:
 *
 *   static void body(struct machine *m) { machine_probe(m); … CHECK(…); }
 *   static void test_x(void **state) { (void)state; machine_run(body, "device.queues=4", NULL); }
 *
 * The body is a kernel thread and may use everything of host-sim that blocks. CHECK ends the child; cmocka's assertions
 * must not be used in it (they jump, and there is nowhere to jump to on a thread's stack). */
#ifndef KICKSTAND_TESTS_E2E_MACHINE_H
#define KICKSTAND_TESTS_E2E_MACHINE_H

#include "host-sim/driver/blk.h"
#include "host-sim/guest.h"
#include "tests/check.h"

#include <inttypes.h>

#define MACHINE_DISK_BYTES (UINT64_C(16) << 20)
#define MACHINE_QUEUE_SIZE 64u

struct machine {
	struct config config;
	struct store *store;
	struct guest guest;
	struct blk_device blk;
	const struct host_ops *ops;
	struct rng rng;
	const void *arg; /* machine_options.arg */
	unsigned log_lines;
	char last_log[200];
	bool done;
	struct machine_guarded {
		uint8_t *data;
		uint64_t bytes;
	} * guarded;
	unsigned guarded_count, guarded_room;
};

typedef void machine_body(struct machine *m);

/* Runs the body on a machine configured by "section.key=value" strings, NULL at the end. Fails the test with the child's
 * output if the body fails, the card fails (trap, assertion), guest.check finds a violation, the machine deadlocks, or the
 * body needs more than a minute of simulated time. After the body everything in the card must come to rest. */
void machine_run(machine_body *body, ...);

/* The same on a disk of the caller's choice (store_open); guest.check violations are allowed up to `violations`. */
struct machine_options {
	const void *arg;    /* for the body: m->arg */
	const char *disk;   /* NULL = ram:16M */
	bool disk_writable; /* even with device.read_only */
	unsigned violations;
	bool may_stay_busy; /* the body leaves the card in the middle of something */
	bool may_fail;      /* the card itself may stop; the body's checks decide */
};
void machine_run_with(machine_body *body, const struct machine_options *options, const char *const *settings);

/* Once with the fetch engine walking the rings and once with the firmware: what a driver sees must be the same. `options`
 * may be NULL. */
void machine_run_levels(machine_body *body, const struct machine_options *options, ...);

#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			machine_check_failed(#condition, __FILE__, __LINE__);                                \
	} while (0)
#define CHECK_EQUAL(a, b)                                                                                    \
	do {                                                                                                 \
		uint64_t check_a = (uint64_t)(a), check_b = (uint64_t)(b);                                   \
		if (check_a != check_b)                                                                      \
			machine_check_unequal(#a, check_a, #b, check_b, __FILE__, __LINE__);                 \
	} while (0)
_Noreturn void machine_check_failed(const char *condition, const char *file, int line);
_Noreturn void machine_check_unequal(const char *a, uint64_t a_value, const char *b, uint64_t b_value,
				     const char *file, int line);

/* For taps (root_tap): whether this is a memory write of the card, and where it goes. */
bool machine_is_write(bool from_card, const uint8_t *wire, size_t size, struct tlp *tlp, uint64_t *addr,
		      uint32_t *bytes);

/* ---- for bodies ---- */

/* Brings the device up with the ordinary driver and the configuration's [guest] settings. */
void machine_probe(struct machine *m);

/* Only finds it: PCI enumeration and virtio capabilities, nothing negotiated. m->blk.pci and m->blk.virtio are usable. */
void machine_find(struct machine *m);

/* After a reset by whatever means: the driver starts over on the same queues. */
void machine_restart(struct machine *m);

/* One request through queue `queue`, waiting for its completion by interrupt at most `limit_us` of simulated time.
 * Returns the status byte, or 0x100 if it did not complete. `data` is copied into and out of guest memory. */
unsigned machine_request(struct machine *m, unsigned queue, uint32_t type, uint64_t sector, uint8_t *data,
			 uint32_t bytes, uint64_t limit_us);

/* After machine_probe, queues set up by hand: reset and everything up to FEATURES_OK and the configuration vector, with the
 * features of machine_probe except `without` (bits); then machine_enable for queues, then DRIVER_OK. The queues'
 * memory is as new. */
void machine_renegotiate(struct machine *m, uint64_t without);
/* Size, addresses and the usual vector of a queue, as `vq` has them. */
void machine_enable(struct machine *m, unsigned queue, const struct virtqueue *vq);
void machine_driver_ok(struct machine *m);
/* All of these, with every queue as it was. The rings are for use by hand: the driver does not know of the missing features. */
void machine_start_without(struct machine *m, uint64_t without);

/* Writes a pattern to sectors 8..15, reads it back, compares: the queue, or all of them, are alive. */
void machine_check_queue(struct machine *m, unsigned queue);
void machine_check_alive(struct machine *m);

/* Guest memory for a test's own purposes; the checker allows the card what `direction` says. */
uint8_t *machine_memory(struct machine *m, uint64_t bytes, enum dma_direction direction, uint64_t *addr);

/* The same with guard bytes on both sides, which machine_check_guards, and the end of the test, look at. */
uint8_t *machine_guarded(struct machine *m, uint64_t bytes, enum dma_direction direction, uint64_t *addr);
void machine_check_guards(struct machine *m);

/* What the disk holds, read past the card; the caller frees it. */
uint8_t *machine_disk(struct machine *m);
/* The disk must hold this still, except `sectors` sectors from `sector` on. */
void machine_check_disk(struct machine *m, const uint8_t *expected, uint64_t sector, uint64_t sectors);

/* Lets simulated time pass. */
void machine_wait_us(struct machine *m, uint64_t us);

/* Waits until `condition(ctx)` holds, at most limit_us; true if it does. */
bool machine_wait_until(struct machine *m, bool (*condition)(void *ctx), void *ctx, uint64_t limit_us);

/* Waits until device_status has all bits of `mask` set or clear; returns the status read last. */
uint8_t machine_wait_status(struct machine *m, uint8_t mask, bool set, uint64_t limit_us);

/* Has an interrupt for MSI-X vector `vector` come to CPU 0 since the last call? Clears it. */
bool machine_took_interrupt(struct machine *m, unsigned vector);

/* ---- rings by hand ---- */

/* A queue set up and enabled by the driver, whose rings the test writes itself. Chains are built descriptor by
 * descriptor; machine_offer publishes a head and kicks regardless of suppression. */
void machine_desc(struct machine *m, unsigned queue, uint16_t index, uint64_t addr, uint32_t len,
		  uint16_t flags, uint16_t next);
void machine_offer(struct machine *m, unsigned queue, uint16_t head);
void machine_kick(struct machine *m, unsigned queue);
void machine_set_avail_index(struct machine *m, unsigned queue, uint16_t index);
uint16_t machine_avail_index(struct machine *m, unsigned queue);
uint16_t machine_used_index(struct machine *m, unsigned queue);
/* Waits for used.idx to reach `index`. */
bool machine_wait_used(struct machine *m, unsigned queue, uint16_t index, uint64_t limit_us);
void machine_used_element(struct machine *m, unsigned queue, uint16_t index, uint32_t *id, uint32_t *len);

/* A chain of hand-made descriptors, linked one after the other. `flags` besides NEXT. */
struct machine_piece {
	uint64_t addr;
	uint32_t bytes;
	uint16_t flags; /* VRING_DESC_F_WRITE, VRING_DESC_F_INDIRECT */
};
/* In descriptors first, first + 1, … of the queue. */
void machine_chain(struct machine *m, unsigned queue, uint16_t first, const struct machine_piece *pieces,
		   unsigned count);
/* In an indirect table of its own, whose address is returned. */
uint64_t machine_table(struct machine *m, const struct machine_piece *pieces, unsigned count);

/* Header, one data buffer and status in guarded memory of their own, for hand-made chains. The status byte is 0xff. */
struct machine_buffers {
	uint64_t header_addr, data_addr, status_addr;
	uint8_t *header, *data, *status;
	uint32_t data_bytes;
};
struct machine_buffers machine_buffers(struct machine *m, uint32_t type, uint64_t sector,
				       uint32_t data_bytes);

/* The usual answer to a driver's violation: DEVICE_NEEDS_RESET, one configuration interrupt, no further processing of any
 * queue, whatever the driver does; then reset, start over, and the device works (guides' "NR"). */
void machine_expect_needs_reset(struct machine *m);
/* The first half of that: without the reset. */
void machine_expect_stopped(struct machine *m);

/* The opposite: the device has not asked for a reset. Its other queues work, and after a reset all do. */
void machine_expect_no_harm(struct machine *m);

#endif
