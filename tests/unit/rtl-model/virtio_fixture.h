/* The virtio registers with a driver and a firmware that do one access at a time. Offsets and values are typed from
 * virtio 1.4 §4.1.4.3, not taken from the headers the code uses. */
#ifndef KICKSTAND_TESTS_UNIT_RTL_MODEL_VIRTIO_FIXTURE_H
#define KICKSTAND_TESTS_UNIT_RTL_MODEL_VIRTIO_FIXTURE_H

#include "rtl-model/blocks/virtio/virtio_regs.h"
#include "tests/check.h"

enum {
	DEVICE_FEATURE_SELECT = 0x00,
	DEVICE_FEATURE = 0x04,
	DRIVER_FEATURE_SELECT = 0x08,
	DRIVER_FEATURE = 0x0c,
	CONFIG_MSIX_VECTOR = 0x10,
	NUM_QUEUES = 0x12,
	DEVICE_STATUS = 0x14,
	CONFIG_GENERATION = 0x15,
	QUEUE_SELECT = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_MSIX_VECTOR = 0x1a,
	QUEUE_ENABLE = 0x1c,
	QUEUE_NOTIFY_OFF = 0x1e,
	QUEUE_DESC = 0x20,
	QUEUE_DRIVER = 0x28,
	QUEUE_DEVICE = 0x30,
	QUEUE_NOTIF_CONFIG_DATA = 0x38,
	QUEUE_RESET = 0x3a,
	ADMIN_QUEUE_INDEX = 0x3c,
	ADMIN_QUEUE_NUM = 0x3e,
	ISR = 0x1000,
	DEVICE_CONFIG = 0x2000,
	WRITEBACK = DEVICE_CONFIG + 0x20,
	STATUS_ACK = 0x01,
	STATUS_DRIVER = 0x02,
	STATUS_DRIVER_OK = 0x04,
	STATUS_FEATURES_OK = 0x08,
	STATUS_NEEDS_RESET = 0x40,
	STATUS_FAILED = 0x80,
	NO_VECTOR = 0xffff,
};

#define RING_RESET (UINT64_C(1) << 40)
#define VERSION_1  (UINT64_C(1) << 32)

enum { VECTORS = 5, QUEUES = 7, SIZE_MAX_OFFERED = 256 };

struct regs_bench {
	struct config config;
	struct cfg_control control;
	struct virtio_regs regs;
	struct waker events;
	unsigned wakes, answers;
	bool intx;
	unsigned intx_changes;
	char msix[1024]; /* "VECTOR" or "VECTORm" if moderated, one after another */
	size_t msix_length;
	uint64_t now_ps;
};

static inline void bench_wake(void *ctx, uint64_t at_ps)
{
	(void)at_ps;
	((struct regs_bench *)ctx)->wakes++;
}

static inline void bench_msix(void *ctx, uint64_t now_ps, unsigned vector, bool queue)
{
	struct regs_bench *b = ctx;
	assert_int_equal(now_ps, b->now_ps);
	b->msix_length += (size_t)snprintf(b->msix + b->msix_length, sizeof(b->msix) - b->msix_length,
					   "%u%s ", vector, queue ? "m" : "");
	assert_true(b->msix_length < sizeof(b->msix));
}

static inline void bench_intx(void *ctx, uint64_t now_ps, bool level)
{
	struct regs_bench *b = ctx;
	(void)now_ps;
	assert_true(level != b->intx); /* changes only */
	b->intx = level;
	b->intx_changes++;
}

static inline void bench_answered(void *ctx, uint64_t now_ps)
{
	(void)now_ps;
	((struct regs_bench *)ctx)->answers++;
}

/* ---- the firmware ---- */

static inline void put(struct regs_bench *b, uint32_t offset, uint32_t value)
{
	assert_true(virtio_csr_write(&b->regs, b->now_ps, offset, value));
}

static inline uint32_t get(struct regs_bench *b, uint32_t offset)
{
	uint32_t value;
	assert_true(virtio_csr_read(&b->regs, b->now_ps, offset, &value));
	return value;
}

static inline void offer(struct regs_bench *b, uint64_t features)
{
	put(b, CSR_VIRTIO_DEVICE_FEATURES_LO, (uint32_t)features);
	put(b, CSR_VIRTIO_DEVICE_FEATURES_HI, (uint32_t)(features >> 32));
	put(b, CSR_VIRTIO_NUM_QUEUES, QUEUES);
	put(b, CSR_VIRTIO_QUEUE_SIZE_MAX, SIZE_MAX_OFFERED);
}

/* Takes note of what the driver wrote, and makes `status` of it. */
static inline uint32_t answer(struct regs_bench *b, uint8_t status)
{
	uint32_t written = get(b, CSR_VIRTIO_STATUS_WRITTEN);
	put(b, CSR_VIRTIO_STATUS, CSR_VIRTIO_STATUS_ANSWER_MASK | status);
	return written;
}

static inline void bench_init(struct regs_bench *b)
{
	memset(b, 0, sizeof(*b));
	config_defaults(&b->config);
	b->config.msix.vectors = VECTORS;
	b->events = (struct waker){bench_wake, b};
	const struct virtio_ports ports = {.ctx = b,
					   .control = &b->control,
					   .events = &b->events,
					   .msix = bench_msix,
					   .intx = bench_intx,
					   .answered = bench_answered};
	virtio_regs_init(&b->regs, &b->config, &ports);
	offer(b, VERSION_1 | RING_RESET | 0x30000200);
}

/* ---- the driver: accesses of any width at any byte, as the DWs and byte enables they are on the link ---- */

static inline uint64_t rd(struct regs_bench *b, uint32_t offset, unsigned bytes)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < bytes;) {
		uint32_t at = offset + i;
		unsigned lane = at % 4, take = min_u32(4 - lane, bytes - i);
		uint8_t be = (uint8_t)(((1u << take) - 1) << lane);
		uint32_t dw = virtio_bar_read32(&b->regs, b->now_ps, at - lane, be);
		for (unsigned n = 0; n < take; n++)
			value |= (uint64_t)(dw >> 8 * (lane + n) & 0xff) << 8 * (i + n);
		i += take;
	}
	return value;
}

/* The bytes that are not written carry rubbish. */
static inline void wr(struct regs_bench *b, uint32_t offset, unsigned bytes, uint64_t value)
{
	for (unsigned i = 0; i < bytes;) {
		uint32_t at = offset + i;
		unsigned lane = at % 4, take = min_u32(4 - lane, bytes - i);
		uint8_t be = (uint8_t)(((1u << take) - 1) << lane);
		uint32_t dw = 0x99999999;
		for (unsigned n = 0; n < take; n++) {
			dw &= ~(UINT32_C(0xff) << 8 * (lane + n));
			dw |= (uint32_t)(value >> 8 * (i + n) & 0xff) << 8 * (lane + n);
		}
		virtio_bar_write32(&b->regs, b->now_ps, at - lane, dw, be);
		i += take;
	}
}

/* A device in operation: features agreed, DRIVER_OK. */
static inline void go_live(struct regs_bench *b, uint64_t features)
{
	wr(b, DEVICE_STATUS, 1, STATUS_ACK | STATUS_DRIVER);
	answer(b, STATUS_ACK | STATUS_DRIVER);
	wr(b, DRIVER_FEATURE_SELECT, 4, 0);
	wr(b, DRIVER_FEATURE, 4, (uint32_t)features);
	wr(b, DRIVER_FEATURE_SELECT, 4, 1);
	wr(b, DRIVER_FEATURE, 4, features >> 32);
	wr(b, DEVICE_STATUS, 1, 0x0b);
	answer(b, 0x0b);
	wr(b, DEVICE_STATUS, 1, 0x0f);
	answer(b, 0x0f);
}

#endif
