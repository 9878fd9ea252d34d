/* Firmware and mock hardware side by side, and what tests make driver and engines do with them. */
#ifndef KICKSTAND_TESTS_FIRMWARE_FIXTURE_H
#define KICKSTAND_TESTS_FIRMWARE_FIXTURE_H

#include "firmware/card.h"
#include "pcie/base.h"
#include "tests/check.h"
#include "tests/unit/firmware/mock_card.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#define BIT(n) (UINT64_C(1) << (n))

/* Of virtio 1.4 and not in older kernel headers. */
#ifndef VIRTIO_BLK_F_LIFETIME
#define VIRTIO_BLK_F_LIFETIME 15
#endif
#ifndef VIRTIO_BLK_T_GET_LIFETIME
#define VIRTIO_BLK_T_GET_LIFETIME 10
#endif
#ifndef VIRTIO_F_NOTIFICATION_DATA
#define VIRTIO_F_NOTIFICATION_DATA 38
#endif

#define STATUS_ALL                                                                                           \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |                \
	 VIRTIO_CONFIG_S_DRIVER_OK)

/* A driver that takes what it has to. */
#define FEATURES_LEAST (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM))
#define FEATURES_USUAL                                                                                       \
	(FEATURES_LEAST | BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_DISCARD) |                              \
	 BIT(VIRTIO_BLK_F_WRITE_ZEROES) | BIT(VIRTIO_BLK_F_SECURE_ERASE) | BIT(VIRTIO_F_RING_RESET))

struct fixture {
	struct mock_card *mock;
	struct card *card;
	uint16_t sequence[QUEUES_MAX]; /* of the next request */
};

/* Power-on, up to where the firmware waits for the driver. */
void fixture_start(struct fixture *fixture, const struct mock_straps *straps);
void fixture_free(struct fixture *fixture);

/* Turns of the event loop, until the firmware sleeps. Fails if it never does. */
void settle(struct fixture *fixture);
void turns(struct fixture *fixture, unsigned count);

/* Writes device_status and reads it back. */
uint8_t write_status(struct fixture *fixture, uint8_t value);

/* ACKNOWLEDGE, DRIVER, features, FEATURES_OK. Returns the status read back. */
uint8_t negotiate_features(struct fixture *fixture, uint64_t features);

/* Programs and enables a queue at an address of its own in guest memory. */
void enable_queue(struct fixture *fixture, unsigned queue, uint16_t size);
uint64_t queue_address(unsigned queue); /* descriptor table; the rings are 0x4000 and 0x6000 behind it */

/* From power-on or after a reset to DRIVER_OK with all queues enabled. */
void go_live(struct fixture *fixture, uint64_t features);

/* A request as the fetch engine hands it over. */
struct request {
	unsigned queue;
	uint32_t type;
	uint64_t sector;
	uint32_t out_bytes, in_bytes; /* data, without header and status */
	uint16_t error;               /* RECORD_ERROR_* */
};

/* Puts it into FETCH.RECORD. Returns its slot. The segments are not filled in: firmware leaves them to the mover. */
unsigned offer(struct fixture *fixture, const struct request *request);

/* Same, and lets the firmware look at it. */
unsigned submit(struct fixture *fixture, const struct request *request);

/* Ends the job of a slot and lets the firmware look at it. */
void end_job(struct fixture *fixture, unsigned slot, uint32_t result, const void *data);

/* Fails unless there is exactly one completion more than `before`; returns it. */
const struct mock_completion *only_completion(const struct fixture *fixture, unsigned before);

/* Leaves requests of a queue in every stage there is: taken from the ring and not looked at, in the mover, back from it
 * and not looked at, with ranges being read or applied, given back and not written yet, without room in the used-ring
 * writer, and with IN_ORDER waiting for their turn. The used-ring writer is stalled. */
void fill_stages(struct fixture *fixture, unsigned queue);

/* Ends what the mover has in work, whatever it is. */
void end_all_jobs(struct fixture *fixture, uint32_t result);

/* Number of slots in anybody's hands. */
unsigned slots_in_use(const struct fixture *fixture);

#endif
