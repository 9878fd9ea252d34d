/* device_status and resets, queue reset, ISR and interrupts. */
#include "tests/unit/rtl-model/virtio_fixture.h"

#define ANSWER        CSR_VIRTIO_STATUS_ANSWER_MASK
#define WRITTEN_RESET CSR_VIRTIO_STATUS_WRITTEN_RESET_MASK
#define PENDING       CSR_VIRTIO_STATUS_WRITTEN_PENDING_MASK
#define EVENT_STATUS  CSR_SYS_EVENTS_STATUS_MASK

static bool status_waits(const struct regs_bench *b)
{
	return virtio_read_waits(&b->regs, 0x14, 1);
}

/* ---- device_status ---- */

static void test_virtio_status_read_waits_for_the_answer(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	assert_false(status_waits(&b));
	wr(&b, DEVICE_STATUS, 1, STATUS_ACK);
	assert_int_equal(virtio_events(&b.regs), EVENT_STATUS);
	assert_int_equal(b.wakes, 1);
	assert_true(status_waits(&b));
	/* Only a read of that byte waits. */
	for (uint32_t offset = 0; offset < 0x40; offset += 4)
		for (uint8_t be = 0; be < 16; be++)
			assert_int_equal(virtio_read_waits(&b.regs, offset, be), offset == 0x14 && (be & 1));
	assert_int_equal(get(&b, CSR_VIRTIO_STATUS_WRITTEN), PENDING | STATUS_ACK);
	assert_int_equal(virtio_events(&b.regs), 0);
	assert_true(status_waits(&b)); /* looked at is not answered */
	put(&b, CSR_VIRTIO_STATUS, ANSWER | STATUS_ACK);
	assert_false(status_waits(&b));
	assert_int_equal(b.answers, 1);
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), STATUS_ACK);
	assert_int_equal(get(&b, CSR_VIRTIO_STATUS_WRITTEN), STATUS_ACK);
}

static void test_virtio_status_readbacks_of_bring_up(void **state)
{
	(void)state;
	static const uint8_t steps[] = {0x01, 0x03, 0x0b, 0x0f};
	struct regs_bench b;
	bench_init(&b);
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		wr(&b, DEVICE_STATUS, 1, steps[i]);
		assert_int_equal(answer(&b, steps[i]) & 0xff, steps[i]);
		assert_int_equal(rd(&b, DEVICE_STATUS, 1), steps[i]);
	}
}

static void test_virtio_status_written_again_before_answer_waits_on(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	wr(&b, DEVICE_STATUS, 1, STATUS_ACK);
	get(&b, CSR_VIRTIO_STATUS_WRITTEN);
	wr(&b, DEVICE_STATUS, 1, STATUS_ACK | STATUS_DRIVER);
	put(&b, CSR_VIRTIO_STATUS, ANSWER | STATUS_ACK); /* answers what is out of date */
	assert_true(status_waits(&b));
	assert_int_equal(b.answers, 0);
	assert_int_equal(get(&b, CSR_VIRTIO_STATUS), 0);
	assert_int_equal(virtio_events(&b.regs), EVENT_STATUS);
	answer(&b, STATUS_ACK | STATUS_DRIVER);
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 3);
}

static void test_virtio_status_bits_only_add_up(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	wr(&b, DEVICE_STATUS, 1, 0x0b);
	wr(&b, DEVICE_STATUS, 1, 0x01); /* clears bits: ignored */
	assert_int_equal(answer(&b, 0x0b), PENDING | 0x0b);
	wr(&b, DEVICE_STATUS, 1, 0x04);
	assert_int_equal(answer(&b, 0x0f), PENDING | 0x0f);
	wr(&b, DEVICE_STATUS, 1, STATUS_FAILED);
	assert_int_equal(answer(&b, 0x8f), PENDING | 0x8f);
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0x8f);
	wr(&b, DEVICE_STATUS, 1, 0); /* FAILED is got rid of by a reset */
	answer(&b, 0);
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0);
}

static void test_virtio_status_device_bits_not_settable_by_driver(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	wr(&b, DEVICE_STATUS, 1, 0xff);
	assert_int_equal(answer(&b, 0x0f), PENDING | 0x8f);
	struct regs_bench again;
	bench_init(&again);
	wr(&again, DEVICE_STATUS, 1,
	   0x70); /* SUSPEND (not offered), reserved, NEEDS_RESET: no reset either */
	assert_int_equal(answer(&again, 0), PENDING);
}

/* The device sets NEEDS_RESET by itself; that is no answer to anything. */
static void test_virtio_status_needs_reset_shown_at_once(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	go_live(&b, VERSION_1);
	put(&b, CSR_VIRTIO_STATUS, 0x0f | STATUS_NEEDS_RESET);
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0x4f);
	assert_false(status_waits(&b));
	/* While a write waits for its answer, too. */
	wr(&b, DEVICE_STATUS, 1, STATUS_FAILED);
	put(&b, CSR_VIRTIO_STATUS, 0x0f | STATUS_NEEDS_RESET);
	assert_true(status_waits(&b));
	answer(&b, 0xcf);
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0xcf);
}

/* ---- reset by the driver ---- */

static void dirty(struct regs_bench *b)
{
	wr(b, DEVICE_FEATURE_SELECT, 4, 1);
	wr(b, CONFIG_MSIX_VECTOR, 2, 0);
	for (unsigned queue = 0; queue < QUEUES; queue++) {
		wr(b, QUEUE_SELECT, 2, queue);
		wr(b, QUEUE_SIZE, 2, 8);
		wr(b, QUEUE_MSIX_VECTOR, 2, 1);
		wr(b, QUEUE_DESC, 8, 0x1000);
		wr(b, QUEUE_DRIVER, 8, 0x2000);
		wr(b, QUEUE_DEVICE, 8, 0x3000);
		wr(b, QUEUE_ENABLE, 2, 1);
	}
	wr(b, QUEUE_RESET, 2, 1); /* of the last */
}

static void assert_clean(struct regs_bench *b)
{
	assert_int_equal(rd(b, DEVICE_FEATURE_SELECT, 4), 0);
	assert_int_equal(rd(b, DRIVER_FEATURE_SELECT, 4), 0);
	assert_int_equal(rd(b, DRIVER_FEATURE, 4), 0);
	assert_int_equal(rd(b, CONFIG_MSIX_VECTOR, 2), NO_VECTOR);
	assert_int_equal(rd(b, QUEUE_SELECT, 2), 0);
	for (unsigned queue = 0; queue < QUEUES; queue++) {
		wr(b, QUEUE_SELECT, 2, queue);
		assert_int_equal(rd(b, QUEUE_SIZE, 2), SIZE_MAX_OFFERED);
		assert_int_equal(rd(b, QUEUE_MSIX_VECTOR, 2), NO_VECTOR);
		assert_int_equal(rd(b, QUEUE_ENABLE, 2), 0);
		assert_int_equal(rd(b, QUEUE_RESET, 2), 0);
		assert_int_equal(rd(b, QUEUE_DESC, 8), 0);
		assert_int_equal(rd(b, QUEUE_DRIVER, 8), 0);
		assert_int_equal(rd(b, QUEUE_DEVICE, 8), 0);
	}
	assert_int_equal(rd(b, ISR, 1), 0);
	assert_false(b->intx);
}

static void test_virtio_reset_of_idle_device_over_at_once(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	wr(&b, DEVICE_STATUS, 1, 0x0b);
	answer(&b, 0x0b);
	dirty(&b);
	wr(&b, DEVICE_STATUS, 1, 0);
	assert_true(status_waits(&b)); /* the firmware has to have heard of it */
	assert_int_equal(answer(&b, 0), PENDING | WRITTEN_RESET);
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0);
	assert_clean(&b);
}

static void test_virtio_reset_of_live_device_reads_old_status_until_done(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	go_live(&b, VERSION_1 | RING_RESET);
	dirty(&b);
	wr(&b, DEVICE_STATUS, 1, 0);
	assert_false(status_waits(&b)); /* polling goes on */
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0x0f);
	assert_int_equal(get(&b, CSR_VIRTIO_STATUS_WRITTEN), PENDING | WRITTEN_RESET);
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0x0f);
	put(&b, CSR_VIRTIO_STATUS, 0x4f); /* a late thought of the firmware */
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0x0f);
	put(&b, CSR_VIRTIO_STATUS, ANSWER);
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0);
	assert_clean(&b);
	go_live(&b, VERSION_1); /* and up again */
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0x0f);
}

/* A read that already waits for an answer must not wait for the end of a reset written meanwhile. */
static void test_virtio_reset_of_live_device_releases_waiting_reads(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	go_live(&b, VERSION_1);
	wr(&b, DEVICE_STATUS, 1, STATUS_FAILED);
	assert_true(status_waits(&b));
	unsigned answers = b.answers;
	wr(&b, DEVICE_STATUS, 1, 0);
	assert_false(status_waits(&b));
	assert_int_equal(b.answers, answers + 1);
}

static void test_virtio_writes_during_reset_ignored(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	put(&b, CSR_VIRTIO_CONFIG_WRITABLE, 1);
	go_live(&b, VERSION_1 | RING_RESET);
	wr(&b, DEVICE_STATUS, 1, 0);
	/* A driver that does not poll: none of this counts. */
	wr(&b, DEVICE_STATUS, 1, STATUS_ACK | STATUS_DRIVER);
	wr(&b, DRIVER_FEATURE_SELECT, 4, 1);
	wr(&b, DRIVER_FEATURE, 4, 1);
	wr(&b, WRITEBACK, 1, 1);
	dirty(&b);
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0x0f);
	assert_int_equal(virtio_events(&b.regs), EVENT_STATUS);
	assert_int_equal(answer(&b, 0), PENDING | WRITTEN_RESET);
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0);
	assert_clean(&b);
}

static void test_virtio_second_reset_during_reset_harmless(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	go_live(&b, VERSION_1);
	wr(&b, DEVICE_STATUS, 1, 0);
	get(&b, CSR_VIRTIO_STATUS_WRITTEN);
	wr(&b, DEVICE_STATUS, 1, 0);
	wr(&b, DEVICE_STATUS, 1, 0);
	put(&b, CSR_VIRTIO_STATUS, ANSWER); /* of the first: the firmware has another look */
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0x0f);
	assert_int_equal(answer(&b, 0), PENDING | WRITTEN_RESET);
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0);
	assert_int_equal(virtio_events(&b.regs), 0);
}

/* Drivers that write 0 and go on at once, on a device that is not live (§9 of the requirements). */
static void test_virtio_reset_and_bring_up_without_polling(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	wr(&b, DEVICE_STATUS, 1, STATUS_ACK);
	wr(&b, DEVICE_STATUS, 1, 0);
	wr(&b, DEVICE_STATUS, 1, STATUS_ACK | STATUS_DRIVER);
	wr(&b, DRIVER_FEATURE_SELECT, 4, 1);
	wr(&b, DRIVER_FEATURE, 4, 1);
	wr(&b, DEVICE_STATUS, 1, 0x0b);
	wr(&b, QUEUE_ENABLE, 2, 1);
	wr(&b, DEVICE_STATUS, 1, 0x0f);
	assert_int_equal(answer(&b, 0x0f), PENDING | WRITTEN_RESET | 0x0f);
	assert_int_equal(get(&b, CSR_VIRTIO_DRIVER_FEATURES_HI), 1);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_ENABLED_LO), 1);
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0x0f);
}

/* The firmware is about to say NEEDS_RESET when the driver writes 0: the old life must not come back. */
static void test_virtio_stale_status_of_firmware_after_reset_dropped(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	wr(&b, DEVICE_STATUS, 1, 0x0b);
	answer(&b, 0x0b);
	uint32_t seen = get(&b, CSR_VIRTIO_STATUS);
	wr(&b, DEVICE_STATUS, 1, 0);
	put(&b, CSR_VIRTIO_STATUS, seen | STATUS_NEEDS_RESET);
	assert_int_equal(get(&b, CSR_VIRTIO_STATUS), 0);
	answer(&b, 0);
	assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0);
}

static void test_virtio_function_reset_is_power_up_state(void **state)
{
	(void)state;
	for (int answered = 0; answered < 2; answered++) {
		struct regs_bench b;
		bench_init(&b);
		go_live(&b, VERSION_1 | RING_RESET);
		dirty(&b);
		virtio_queue_interrupt(&b.regs, 0, 0);
		virtio_config_interrupt(&b.regs, 0);
		assert_true(b.intx);
		if (!answered)
			wr(&b, DEVICE_STATUS, 1, STATUS_FAILED);
		virtio_regs_reset(&b.regs, 0);
		assert_int_equal(rd(&b, DEVICE_STATUS, 1), 0);
		assert_false(status_waits(&b));
		assert_clean(&b);
		assert_int_equal(virtio_events(&b.regs), 0);
		assert_int_equal(get(&b, CSR_VIRTIO_STATUS_WRITTEN), 0);
	}
}

/* ---- queue reset ---- */

static void test_virtio_queue_reset_reads_one_until_finished(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	put(&b, CSR_VIRTIO_NUM_QUEUES, 64);
	go_live(&b, VERSION_1 | RING_RESET);
	static const unsigned queues[] = {0, 31, 32, 63};
	for (unsigned i = 0; i < ARRAY_SIZE(queues); i++) {
		wr(&b, QUEUE_SELECT, 2, queues[i]);
		wr(&b, QUEUE_SIZE, 2, 8);
		wr(&b, QUEUE_DESC, 8, 0x1000);
		wr(&b, QUEUE_MSIX_VECTOR, 2, 1);
		assert_int_equal(rd(&b, QUEUE_RESET, 2), 0);
		wr(&b, QUEUE_ENABLE, 2, 1);
		assert_int_equal(rd(&b, QUEUE_RESET, 2), 0);
	}
	put(&b, CSR_VIRTIO_QUEUE_ENABLED_LO, UINT32_MAX);
	put(&b, CSR_VIRTIO_QUEUE_ENABLED_HI, UINT32_MAX);
	wr(&b, QUEUE_SELECT, 2, 32);
	wr(&b, QUEUE_RESET, 2, 1);
	assert_int_equal(rd(&b, QUEUE_RESET, 2), 1);
	assert_int_equal(rd(&b, QUEUE_ENABLE, 2), 1);
	assert_int_equal(virtio_events(&b.regs), CSR_SYS_EVENTS_QUEUE_RESET_MASK);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_RESET_LO), 0);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_RESET_HI), 1);
	wr(&b, QUEUE_RESET, 2, 0); /* cannot be taken back */
	assert_int_equal(rd(&b, QUEUE_RESET, 2), 1);
	put(&b, CSR_VIRTIO_QUEUE_RESET_HI, 0);
	put(&b, CSR_VIRTIO_QUEUE_RESET_HI, 0x80000000); /* queue 63 is not in reset */
	assert_int_equal(rd(&b, QUEUE_RESET, 2), 1);
	put(&b, CSR_VIRTIO_QUEUE_RESET_HI, 1);
	assert_int_equal(rd(&b, QUEUE_RESET, 2), 0);
	assert_int_equal(rd(&b, QUEUE_ENABLE, 2), 0);
	assert_int_equal(rd(&b, QUEUE_SIZE, 2), SIZE_MAX_OFFERED);
	assert_int_equal(rd(&b, QUEUE_DESC, 8), 0);
	assert_int_equal(rd(&b, QUEUE_MSIX_VECTOR, 2), NO_VECTOR);
	assert_int_equal(virtio_events(&b.regs), 0);
	/* The others have not noticed. */
	for (unsigned i = 0; i < ARRAY_SIZE(queues); i++) {
		if (queues[i] == 32)
			continue;
		wr(&b, QUEUE_SELECT, 2, queues[i]);
		assert_int_equal(rd(&b, QUEUE_ENABLE, 2), 1);
		assert_int_equal(rd(&b, QUEUE_SIZE, 2), 8);
		assert_int_equal(rd(&b, QUEUE_DESC, 8), 0x1000);
		assert_int_equal(rd(&b, QUEUE_RESET, 2), 0);
	}
}

static void test_virtio_queue_reset_then_enabled_with_new_parameters(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	go_live(&b, VERSION_1 | RING_RESET);
	wr(&b, QUEUE_SIZE, 2, 8);
	wr(&b, QUEUE_DESC, 8, 0x1000);
	wr(&b, QUEUE_ENABLE, 2, 1);
	wr(&b, QUEUE_RESET, 2, 1);
	wr(&b, QUEUE_DESC, 8, 0x5000); /* too early: still in reset */
	put(&b, CSR_VIRTIO_QUEUE_RESET_LO, 1);
	assert_int_equal(rd(&b, QUEUE_DESC, 8), 0);
	put(&b, CSR_VIRTIO_QUEUE_ENABLED_LO, 1);
	wr(&b, QUEUE_SIZE, 2, 128);
	wr(&b, QUEUE_DESC, 8, 0x7000);
	wr(&b, QUEUE_MSIX_VECTOR, 2, 3);
	wr(&b, QUEUE_ENABLE, 2, 1);
	assert_int_equal(rd(&b, QUEUE_RESET, 2), 0);
	assert_int_equal(rd(&b, QUEUE_ENABLE, 2), 1);
	assert_int_equal(virtio_events(&b.regs), CSR_SYS_EVENTS_QUEUE_ENABLED_MASK);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_SIZE), 128);
	assert_int_equal(get(&b, CSR_VIRTIO_QUEUE_DESC_LO), 0x7000);
}

static void test_virtio_queue_reset_without_negotiation_ignored(void **state)
{
	(void)state;
	static const struct {
		uint64_t offered, accepted;
		uint8_t status; /* as the firmware answers FEATURES_OK */
	} cases[] = {
		{VERSION_1 | RING_RESET, VERSION_1, 0x0b},              /* not accepted */
		{VERSION_1, VERSION_1 | RING_RESET, 0x03},              /* not offered */
		{VERSION_1 | RING_RESET, VERSION_1 | RING_RESET, 0x03}, /* FEATURES_OK refused */
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct regs_bench b;
		bench_init(&b);
		offer(&b, cases[i].offered);
		wr(&b, DRIVER_FEATURE_SELECT, 4, 1);
		wr(&b, DRIVER_FEATURE, 4, cases[i].accepted >> 32);
		wr(&b, DEVICE_STATUS, 1, 0x0b);
		answer(&b, cases[i].status);
		wr(&b, QUEUE_ENABLE, 2, 1);
		put(&b, CSR_VIRTIO_QUEUE_ENABLED_LO, 1);
		wr(&b, QUEUE_RESET, 2, 1);
		assert_int_equal(rd(&b, QUEUE_RESET, 2), 0);
		assert_int_equal(rd(&b, QUEUE_ENABLE, 2), 1);
		assert_int_equal(virtio_events(&b.regs), 0);
	}
}

static void test_virtio_queue_reset_other_values_or_disabled_queue(void **state)
{
	(void)state;
	static const uint16_t values[] = {0, 2, 3, 0x100, 0x101, 0xffff};
	struct regs_bench b;
	bench_init(&b);
	go_live(&b, VERSION_1 | RING_RESET);
	wr(&b, QUEUE_RESET, 2, 1); /* not enabled: over before it began */
	assert_int_equal(rd(&b, QUEUE_RESET, 2), 0);
	assert_int_equal(rd(&b, QUEUE_ENABLE, 2), 0);
	wr(&b, QUEUE_ENABLE, 2, 1);
	put(&b, CSR_VIRTIO_QUEUE_ENABLED_LO, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		wr(&b, QUEUE_RESET, 2, values[i]);
		assert_int_equal(rd(&b, QUEUE_RESET, 2), 0);
		assert_int_equal(rd(&b, QUEUE_ENABLE, 2), 1);
	}
	assert_int_equal(virtio_events(&b.regs), 0);
}

static void test_virtio_device_reset_ends_queue_reset(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	go_live(&b, VERSION_1 | RING_RESET);
	wr(&b, QUEUE_ENABLE, 2, 1);
	wr(&b, QUEUE_RESET, 2, 1);
	wr(&b, DEVICE_STATUS, 1, 0);
	assert_int_equal(rd(&b, QUEUE_RESET, 2), 0);
	assert_int_equal(virtio_events(&b.regs), EVENT_STATUS);
	answer(&b, 0);
	/* The firmware's late end of it does nothing to the next life. */
	go_live(&b, VERSION_1 | RING_RESET);
	wr(&b, QUEUE_ENABLE, 2, 1);
	put(&b, CSR_VIRTIO_QUEUE_RESET_LO, 1);
	assert_int_equal(rd(&b, QUEUE_ENABLE, 2), 1);
}

/* ---- ISR and INTx ---- */

static void test_virtio_isr_bits_and_intx_without_msix(void **state)
{
	(void)state;
	static const struct {
		bool queue, config;
		uint8_t isr;
	} cases[] = {{true, false, 1}, {false, true, 2}, {true, true, 3}};
	struct regs_bench b;
	bench_init(&b);
	go_live(&b, VERSION_1);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned changes = b.intx_changes;
		for (unsigned again = 0; again < 3; again++) { /* several events are one level */
			if (cases[i].queue)
				virtio_queue_interrupt(&b.regs, 0, again);
			if (cases[i].config)
				virtio_config_interrupt(&b.regs, 0);
		}
		assert_true(b.intx);
		assert_int_equal(b.intx_changes, changes + 1);
		assert_int_equal(rd(&b, ISR, 1), cases[i].isr);
		assert_false(b.intx);
		assert_int_equal(rd(&b, ISR, 1), 0);
		assert_int_equal(b.intx_changes, changes + 2);
	}
	assert_string_equal(b.msix, "");
}

static void test_virtio_isr_cleared_by_its_own_byte_only(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	go_live(&b, VERSION_1);
	virtio_queue_interrupt(&b.regs, 0, 0);
	rd(&b, ISR + 1, 1);
	rd(&b, ISR + 1, 3);
	rd(&b, ISR + 2, 2);
	virtio_bar_read32(&b.regs, 0, ISR, 0);
	virtio_bar_read32(&b.regs, 0, ISR + 4, 0xf);
	wr(&b, ISR, 4, UINT32_MAX);
	wr(&b, ISR, 1, 0);
	assert_true(b.intx);
	assert_int_equal(rd(&b, ISR, 4), 1); /* upper bytes are 0 */
	assert_false(b.intx);
}

static void test_virtio_interrupts_go_to_mapped_vectors_with_msix(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	go_live(&b, VERSION_1);
	b.control.msix_enable = true;
	virtio_control_changed(&b.regs, 0);
	wr(&b, CONFIG_MSIX_VECTOR, 2, 4);
	static const unsigned vectors[] = {2, 0, 4, 2};
	for (unsigned queue = 0; queue < 4; queue++) {
		wr(&b, QUEUE_SELECT, 2, queue);
		wr(&b, QUEUE_MSIX_VECTOR, 2, vectors[queue]);
	}
	b.now_ps = 777;
	for (unsigned queue = 0; queue < 4; queue++)
		virtio_queue_interrupt(&b.regs, 777, queue);
	virtio_config_interrupt(&b.regs, 777);
	assert_string_equal(b.msix, "2m 0m 4m 2m 4 ");
	assert_int_equal(b.intx_changes, 0);
	assert_int_equal(rd(&b, ISR, 1), 2); /* the configuration bit whatever the kind of interrupt */
}

static void test_virtio_unmapped_events_raise_nothing_with_msix(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	go_live(&b, VERSION_1);
	b.control.msix_enable = true;
	virtio_control_changed(&b.regs, 0);
	wr(&b, QUEUE_MSIX_VECTOR, 2, 1);
	wr(&b, QUEUE_MSIX_VECTOR, 2, NO_VECTOR);
	virtio_queue_interrupt(&b.regs, 0, 0);
	virtio_queue_interrupt(&b.regs, 0, 63);
	virtio_config_interrupt(&b.regs, 0);
	assert_string_equal(b.msix, "");
	assert_int_equal(b.intx_changes, 0);
}

static void test_virtio_intx_follows_msix_enable(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	go_live(&b, VERSION_1);
	virtio_queue_interrupt(&b.regs, 0, 0);
	assert_true(b.intx);
	b.control.msix_enable = true;
	virtio_control_changed(&b.regs, 0);
	assert_false(b.intx);
	b.control.msix_enable = false;
	virtio_control_changed(&b.regs, 0);
	assert_true(b.intx); /* ISR is still set */
	rd(&b, ISR, 1);
	assert_false(b.intx);
}

static void test_virtio_config_changed_notify_interrupts(void **state)
{
	(void)state;
	struct regs_bench b;
	bench_init(&b);
	go_live(&b, VERSION_1);
	put(&b, CSR_VIRTIO_CONFIG_CHANGED, CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK);
	assert_false(b.intx);
	put(&b, CSR_VIRTIO_DEVICE_CONFIG, 5);
	put(&b, CSR_VIRTIO_CONFIG_CHANGED,
	    CSR_VIRTIO_CONFIG_CHANGED_COMMIT_MASK | CSR_VIRTIO_CONFIG_CHANGED_NOTIFY_MASK);
	assert_true(b.intx);
	assert_int_equal(rd(&b, ISR, 1), 2);
	assert_int_equal(rd(&b, DEVICE_CONFIG, 4), 5);
}

/* Engines that have not heard of the reset yet still report: the driver must not hear of it. */
static void test_virtio_no_interrupt_while_and_after_reset(void **state)
{
	(void)state;
	for (int msix = 0; msix < 2; msix++) {
		struct regs_bench b;
		bench_init(&b);
		go_live(&b, VERSION_1);
		b.control.msix_enable = msix;
		wr(&b, CONFIG_MSIX_VECTOR, 2, 0);
		wr(&b, QUEUE_MSIX_VECTOR, 2, 1);
		if (!msix)
			virtio_queue_interrupt(&b.regs, 0, 0);
		wr(&b, DEVICE_STATUS, 1, 0);
		assert_false(b.intx);
		virtio_queue_interrupt(&b.regs, 0, 0);
		virtio_config_interrupt(&b.regs, 0);
		put(&b, CSR_VIRTIO_CONFIG_CHANGED, CSR_VIRTIO_CONFIG_CHANGED_NOTIFY_MASK);
		assert_false(b.intx);
		answer(&b, 0);
		assert_false(b.intx);
		assert_int_equal(rd(&b, ISR, 1), 0);
		assert_string_equal(b.msix, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_virtio_status_read_waits_for_the_answer),
		cmocka_unit_test(test_virtio_status_readbacks_of_bring_up),
		cmocka_unit_test(test_virtio_status_written_again_before_answer_waits_on),
		REQ_TEST(test_virtio_status_bits_only_add_up, "V-049 V-051"),
		REQ_TEST(test_virtio_status_device_bits_not_settable_by_driver, "V-050"),
		REQ_TEST(test_virtio_status_needs_reset_shown_at_once, "D-002"),
		REQ_TEST(test_virtio_reset_of_idle_device_over_at_once, "D-010 D-085 D-127"),
		REQ_TEST(test_virtio_reset_of_live_device_reads_old_status_until_done,
			 "D-084 D-085 D-086 D-127 ACC-018"),
		REQ_TEST(test_virtio_reset_of_live_device_releases_waiting_reads, "ACC-018"),
		REQ_TEST(test_virtio_writes_during_reset_ignored, "V-052"),
		REQ_TEST(test_virtio_second_reset_during_reset_harmless, "V-054"),
		cmocka_unit_test(test_virtio_reset_and_bring_up_without_polling),
		cmocka_unit_test(test_virtio_stale_status_of_firmware_after_reset_dropped),
		REQ_TEST(test_virtio_function_reset_is_power_up_state, "D-004 RST-008"),
		REQ_TEST(test_virtio_queue_reset_reads_one_until_finished,
			 "D-014 D-086 D-087 D-088 D-089 D-090"),
		REQ_TEST(test_virtio_queue_reset_then_enabled_with_new_parameters, "D-015 D-087"),
		REQ_TEST(test_virtio_queue_reset_without_negotiation_ignored, "V-072"),
		REQ_TEST(test_virtio_queue_reset_other_values_or_disabled_queue, "V-073"),
		REQ_TEST(test_virtio_device_reset_ends_queue_reset, "D-086"),
		REQ_TEST(test_virtio_isr_bits_and_intx_without_msix, "D-105 D-106 D-108"),
		REQ_TEST(test_virtio_isr_cleared_by_its_own_byte_only, "ACC-008 D-108"),
		REQ_TEST(test_virtio_interrupts_go_to_mapped_vectors_with_msix, "D-105 D-124 INT-008"),
		REQ_TEST(test_virtio_unmapped_events_raise_nothing_with_msix, "D-125 D-130 D-131"),
		REQ_TEST(test_virtio_intx_follows_msix_enable, "INT-008"),
		REQ_TEST(test_virtio_config_changed_notify_interrupts, "D-105"),
		REQ_TEST(test_virtio_no_interrupt_while_and_after_reset, "D-011"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
