/* Built twice: for the model, and with TWIN defined for the RTL twin. */
#include "tests/unit/rtl-model/csr_check.h"
#include "tests/unit/rtl-model/msix_bench.h"

static void mask(struct bench *b, unsigned vector, bool masked)
{
	write32(b, vector * ENTRY + CONTROL, masked);
}

static void function_mask(struct bench *b, bool masked)
{
	b->control.msix_function_mask = masked;
	msix_control_changed(b->msix, b->now_ps);
	run(b, b->now_ps + A_WHILE);
}

static void enable(struct bench *b, bool on)
{
	b->control.msix_enable = on;
	msix_control_changed(b->msix, b->now_ps);
	run(b, b->now_ps + A_WHILE);
}

static void power(struct bench *b, bool bus_master, unsigned power_state)
{
	b->control.bus_master = bus_master;
	b->control.power_state = power_state;
	msix_control_changed(b->msix, b->now_ps);
	run(b, b->now_ps + A_WHILE);
}

/* The bit of the vector in the PBA, by the layout of PCIe 6.0 §7.7.2.8. */
static bool pending(struct bench *b, unsigned vector)
{
	uint32_t pba = msix_pba_offset(msix_vector_count(&b->config));
	uint32_t qword = pba + vector / 64 * 8;
	uint64_t bits = read32(b, qword) | (uint64_t)read32(b, qword + 4) << 32;
	return bits >> vector % 64 & 1;
}

static unsigned pending_count(struct bench *b)
{
	unsigned vectors = msix_vector_count(&b->config), count = 0;
	for (uint32_t at = msix_pba_offset(vectors); at < msix_bar_bytes(vectors); at += 4)
		count += (unsigned)__builtin_popcount(read32(b, at));
	return count;
}

static void assert_message(const struct bench *b, unsigned index, unsigned vector)
{
	assert_true(index < b->count);
	assert_int_equal(b->message[index].addr, addr_of(vector));
	assert_int_equal(b->message[index].data, data_of(vector));
}

/* ---- layout and registers ---- */

static bool read_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t *value)
{
	return msix_csr_read(self, now_ps, offset, value);
}

static bool write_register(void *self, uint64_t now_ps, uint32_t offset, uint32_t value)
{
	return msix_csr_write(self, now_ps, offset, value);
}

static void test_msix_registers_reset_value_and_access(void **state)
{
	(void)state;
	static const struct csr_case cases[] = {
		{.offset = 0x00, .reset = 4321, .writable = UINT32_MAX},
		{.offset = 0x04, .reset = 77, .writable = 0xffff},
		{.offset = 0x08},
		{.offset = 0x0c, .writable = 1}, /* ADAPTIVE */
	};
	struct bench *b = BENCH(4, "msix.holdoff_ns=4321", "msix.threshold=77");
	const struct csr_block block = {b->msix, read_register, write_register};
	csr_check(&block, 0, cases, ARRAY_SIZE(cases));
	bench_free(b);
}

static void test_msix_vector_count_follows_configuration(void **state)
{
	(void)state;
	struct config config;
	config_defaults(&config);
	for (unsigned queues = 1; queues <= 64; queues++) {
		config.device.queues = queues;
		assert_int_equal(msix_vector_count(&config),
				 queues + 1); /* each queue, and the configuration */
	}
	config.msix.vectors = 2048;
	assert_int_equal(msix_vector_count(&config), 2048);
}

static void test_msix_table_and_pba_apart_for_every_count(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 2048; n++) {
		uint32_t pba = msix_pba_offset(n), bar = msix_bar_bytes(n);
		uint32_t pba_bytes = (n + 63) / 64 * 8;
		assert_int_equal(pba % 8, 0);
		assert_true(pba >= n * ENTRY);
		assert_true(pba + pba_bytes <= bar);
		assert_true(is_power_of_2(bar) && bar >= 4096);
	}
}

static void test_msix_reset_state(void **state)
{
	(void)state;
	static const unsigned counts[] = {1, 2, 33, 2048};
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		struct bench *b = BENCH(counts[i], NULL);
		for (int again = 0; again < 2; again++) {
			for (unsigned v = 0; v < counts[i]; v++) {
				assert_int_equal(read32(b, v * ENTRY), 0);
				assert_int_equal(read32(b, v * ENTRY + 4), 0);
				assert_int_equal(read32(b, v * ENTRY + DATA), 0);
				assert_int_equal(read32(b, v * ENTRY + CONTROL), 1);
			}
			assert_int_equal(pending_count(b), 0);
			/* Make it dirty, and reset. */
			program_all(b);
			mask(b, 0, true);
			event(b, b->now_ps, 0, false);
			event(b, b->now_ps, counts[i] - 1, true);
			msix_reset(b->msix);
			assert_int_equal(msix_waiting(b->msix), 0);
		}
		bench_free(b);
	}
}

/* ---- the table ---- */

static void test_msix_table_writes_act_on_enabled_bytes_only(void **state)
{
	(void)state;
	static const uint32_t existing[4] = {0xfffffffc, 0xffffffff, 0xffffffff, 0x00000001};
	struct rng rng;
	rng_seed(&rng, test_seed(2), 0);
	struct bench *b = BENCH(40, NULL);
	uint8_t shadow[40 * ENTRY] = {0};
	for (unsigned v = 0; v < 40; v++)
		shadow[v * ENTRY + CONTROL] = 1;
	for (unsigned n = 0; n < 20000; n++) {
		uint32_t offset = (uint32_t)rng_below(&rng, 40 * 4) * 4;
		uint32_t data = (uint32_t)rng_u64(&rng);
		uint8_t be = (uint8_t)rng_below(&rng, 16);
		msix_bar_write32(b->msix, 0, offset, data, be);
		for (unsigned i = 0; i < 4; i++)
			if (be >> i & 1)
				shadow[offset + i] = (uint8_t)(data >> 8 * i) &
						     (uint8_t)(existing[offset / 4 % 4] >> 8 * i);
		uint32_t probe = (uint32_t)rng_below(&rng, 40 * 4) * 4;
		assert_int_equal(read32(b, probe), load_le32(shadow + probe));
	}
	bench_free(b);
}

static void test_msix_other_offsets_read_zero_and_ignore_writes(void **state)
{
	(void)state;
	static const unsigned counts[] = {2, 128, 129, 2048};
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		struct bench *b = BENCH(counts[i], NULL);
		uint32_t table_end = counts[i] * ENTRY, pba = msix_pba_offset(counts[i]);
		program_all(b);
		function_mask(b, true);
		for (unsigned v = 0; v < counts[i]; v++)
			event(b, 0, v, false);
		/* The PBA is read-only. */
		for (uint32_t at = table_end; at < msix_bar_bytes(counts[i]); at += 4) {
			write32(b, at, 0x5a5a5a5a);
			write32(b, at, 0);
			bool in_pba = at >= pba && at < pba + (counts[i] + 31) / 32 * 4;
			if (!in_pba)
				assert_int_equal(read32(b, at), 0);
		}
		assert_int_equal(pending_count(b), counts[i]);
		for (unsigned v = 0; v < counts[i]; v++)
			assert_int_equal(read32(b, v * ENTRY + DATA), data_of(v));
		bench_free(b);
	}
}

/* ---- messages and masks ---- */

static void test_msix_event_sends_its_entry_for_every_vector(void **state)
{
	(void)state;
	struct bench *b = BENCH(2048, NULL);
	program_all(b);
	for (unsigned v = 0; v < 2048; v++) {
		uint64_t at_ps = edge_ps(b->now_ps) + v % PERIOD_PS;
		event(b, at_ps, v, v % 2);
		assert_int_equal(b->count, v + 1);
		assert_message(b, v, v);
		assert_int_equal(b->message[v].at_ps, edge_ps(at_ps) + PERIOD_PS); /* one cycle */
	}
	assert_int_equal(b->msix->stats.sent, 2048);
	bench_free(b);
}

static void test_msix_masked_vector_pends_at_its_bit_and_sends_once(void **state)
{
	(void)state;
	struct bench *b = BENCH(2048, NULL);
	program_all(b);
	for (unsigned v = 0; v < 2048; v++) {
		unsigned before = b->count;
		mask(b, v, true);
		for (unsigned n = 0; n < 3; n++)
			event(b, b->now_ps + 10, v, n % 2);
		assert_int_equal(b->count, before);
		assert_int_equal(pending_count(b), 1);
		assert_true(pending(b, v));
		assert_int_equal(msix_waiting(b->msix), 1);
		mask(b, v, false);
		run(b, b->now_ps + PS_PER_US);
		assert_int_equal(b->count, before + 1);
		assert_message(b, before, v);
		assert_int_equal(pending_count(b), 0);
	}
	assert_int_equal(b->msix->stats.masked, 3 * 2048);
	bench_free(b);
}

static void test_msix_function_mask_holds_all_and_keeps_entry_masks(void **state)
{
	(void)state;
	struct bench *b = BENCH(100, NULL);
	program_all(b);
	mask(b, 7, true);
	function_mask(b, true);
	for (unsigned v = 0; v < 100; v++)
		event(b, 10, v, false);
	assert_int_equal(b->count, 0);
	assert_int_equal(pending_count(b), 100);
	for (unsigned v = 0; v < 100; v++)
		assert_int_equal(read32(b, v * ENTRY + CONTROL), v == 7);
	mask(b, 3, true); /* entry masks can be changed meanwhile, and nothing is sent for it */
	mask(b, 3, false);
	mask(b, 4, true);
	assert_int_equal(b->count, 0);
	function_mask(b, false);
	run(b, b->now_ps + 100 * PERIOD_PS); /* one message a cycle */
	assert_int_equal(b->count, 98);
	assert_true(pending(b, 7) && pending(b, 4));
	assert_int_equal(pending_count(b), 2);
	mask(b, 7, false);
	mask(b, 4, false);
	assert_int_equal(b->count, 100);
	bool seen[100] = {false};
	for (unsigned i = 0; i < 100; i++) {
		unsigned v = (b->message[i].data - 0x40000000) / 3;
		assert_message(b, i, v);
		assert_false(seen[v]);
		seen[v] = true;
	}
	bench_free(b);
}

/* ---- MSI-X off ---- */

static void test_msix_disabled_sends_nothing(void **state)
{
	(void)state;
	struct bench *b = BENCH(4, NULL);
	program_all(b);
	enable(b, false);
	for (unsigned v = 0; v < 4; v++)
		event(b, 10 + v, v, v % 2);
	run(b, PS_PER_MS);
	assert_int_equal(b->count, 0);
	assert_int_equal(b->msix->stats.disabled, 4);
	assert_int_equal(pending_count(b), 0);
	enable(b, true);
	run(b, 2 * PS_PER_MS);
	assert_int_equal(b->count, 0); /* they went another way */
	bench_free(b);
}

/* Pending by a mask, held back by moderation, waiting for the channel: none is sent while MSI-X is off, and each is
 * sent once when it is on again. */
static void test_msix_disable_and_enable_keeps_events(void **state)
{
	(void)state;
	struct bench *b = BENCH(4, "msix.holdoff_ns=1000");
	program_all(b);
	event(b, 0, 1, true);
	assert_int_equal(b->count, 1);
	event(b, 100 * NS, 1, true); /* held */
	mask(b, 0, true);
	event(b, 200 * NS, 0, true); /* pending */
	power(b, false, 0);
	event(b, 300 * NS, 2, true); /* ready */
	enable(b, false);
	power(b, true, 0);
	run(b, PS_PER_MS);
	assert_int_equal(b->count, 1);
	mask(b, 0, false);
	assert_int_equal(b->count, 1);
	assert_int_equal(pending_count(b), 3);
	enable(b, true);
	run(b, 2 * PS_PER_MS);
	assert_int_equal(b->count, 4);
	static const unsigned turns[] = {2, 0, 1}; /* vector 1 was the last */
	for (unsigned i = 0; i < 3; i++)
		assert_message(b, 1 + i, turns[i]);
	assert_int_equal(msix_waiting(b->msix), 0);
	bench_free(b);
}

/* ---- Bus Master Enable, D3hot ---- */

static void test_msix_without_bus_master_waits(void **state)
{
	(void)state;
	static const struct {
		bool bus_master;
		unsigned power_state;
	} cases[] = {{false, 0}, {true, 3}, {false, 3}};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench *b = BENCH(4, NULL);
		program_all(b);
		power(b, cases[i].bus_master, cases[i].power_state);
		event(b, 10, 0, false);
		event(b, 20, 3, true);
		event(b, 30, 3, true);
		event(b, 40, 1, true);
		run(b, PS_PER_MS);
		assert_int_equal(b->count, 0);
		assert_int_equal(dma_request_fifo_count(&b->dma), 0);
		assert_int_equal(msix_waiting(b->msix), 3);
		mask(b, 1, true); /* still in time */
		power(b, true, 0);
		assert_int_equal(b->count, 2);
		assert_message(b, 0, 0);
		assert_message(b, 1, 3);
		assert_true(pending(b, 1));
		bench_free(b);
	}
}

/* ---- moderation ---- */

static void test_msix_holdoff_to_the_cycle(void **state)
{
	(void)state;
	static const uint64_t holdoffs_ns[] = {20, 37, 5000, 4000000000};
	for (unsigned i = 0; i < ARRAY_SIZE(holdoffs_ns); i++) {
		uint64_t holdoff_ps = holdoffs_ns[i] * NS, start_ps = 12000;
		struct bench *b = BENCH(2, NULL);
		csr_write(b, CSR_MSIX_HOLDOFF_NS, (uint32_t)holdoffs_ns[i]);
		program_all(b);
		start_ps = edge_ps(b->now_ps + 1000);
		event(b, start_ps, 1, true); /* nothing before it: at once */
		assert_int_equal(b->count, 1);
		/* The hold-off counts from when the message leaves. */
		uint64_t sent_ps = b->message[0].at_ps, over_ps = edge_ps(sent_ps + holdoff_ps);
		assert_int_equal(sent_ps, start_ps + PERIOD_PS);
		event(b, sent_ps + 1, 1, true);
		if (holdoff_ps > 3 * A_WHILE) {
			event(b, sent_ps + holdoff_ps / 2, 1, true);
			event(b, over_ps - A_WHILE - PERIOD_PS, 1, true);
		}
		run(b, over_ps + PERIOD_PS - 1);
		assert_int_equal(b->count, 1);
		assert_int_equal(pending_count(b), 0); /* not masked, so not pending */
		run(b, over_ps + PERIOD_PS);
		assert_int_equal(b->count, 2);
		assert_int_equal(b->message[1].at_ps, over_ps + PERIOD_PS);
		assert_int_equal(b->msix->stats.coalesced, holdoff_ps > 3 * A_WHILE ? 2 : 0);
		/* Just over: at once. */
		start_ps = edge_ps(b->message[1].at_ps + holdoff_ps) + PERIOD_PS;
		event(b, start_ps, 1, true);
		assert_int_equal(b->count, 3);
		assert_int_equal(b->message[2].at_ps, start_ps + PERIOD_PS);
		run(b, start_ps + 100 * holdoff_ps);
		assert_int_equal(b->count, 3);
		bench_free(b);
	}
}

static void test_msix_holdoff_change_counts_for_those_that_run(void **state)
{
	(void)state;
	struct bench *b = BENCH(3, "msix.holdoff_ns=1000");
	program_all(b);
	event(b, PS_PER_US, 1, true);
	event(b, b->now_ps, 2, true);
	event(b, b->now_ps, 1, true);
	assert_int_equal(b->count, 2);
	csr_write(b, CSR_MSIX_HOLDOFF_NS, 5000);
	run(b, 5900 * NS);
	assert_int_equal(b->count, 2);
	csr_write(b, CSR_MSIX_HOLDOFF_NS, 100); /* over already */
	assert_int_equal(b->count, 3);
	csr_write(b, CSR_MSIX_HOLDOFF_NS, 1000000);
	event(b, b->now_ps, 2, true); /* its hold-off was over, and does not start anew */
	assert_int_equal(b->count, 4);
	bench_free(b);
}

static void test_msix_threshold_ends_holdoff(void **state)
{
	(void)state;
	for (unsigned threshold = 1; threshold <= 6; threshold++) {
		struct bench *b = BENCH(2, "msix.holdoff_ns=1000000");
		csr_write(b, CSR_MSIX_THRESHOLD, threshold);
		program_all(b);
		event(b, b->now_ps, 1, true);
		for (unsigned n = 1; n < threshold; n++)
			event(b, b->now_ps, 1, true);
		assert_int_equal(b->count, 1);
		uint64_t at_ps = edge_ps(b->now_ps);
		event(b, at_ps, 1, true);
		assert_int_equal(b->count, 2);
		assert_int_equal(b->message[1].at_ps, at_ps + PERIOD_PS);
		bench_free(b);
	}
}

static void test_msix_lower_threshold_acts_at_once(void **state)
{
	(void)state;
	struct bench *b = BENCH(2, "msix.holdoff_ns=1000000");
	program_all(b);
	for (unsigned n = 0; n < 4; n++)
		event(b, 1000 + n, 1, true);
	assert_int_equal(b->count, 1);
	csr_write(b, CSR_MSIX_THRESHOLD, 3);
	assert_int_equal(b->count, 2);
	bench_free(b);
}

/* Configuration changes do not wait, and take with them what waits on the same vector. */
static void test_msix_unmoderated_event_is_not_held(void **state)
{
	(void)state;
	struct bench *b = BENCH(2, "msix.holdoff_ns=1000");
	program_all(b);
	event(b, 0, 0, false);
	event(b, 1, 0, false);
	assert_int_equal(b->count, 2);
	event(b, 10, 0, true);
	assert_int_equal(b->count, 2);
	event(b, 20, 0, false);
	assert_int_equal(b->count, 3);
	event(b, 30, 1, true); /* another vector has a hold-off of its own */
	assert_int_equal(b->count, 4);
	run(b, PS_PER_MS);
	assert_int_equal(b->count, 4);
	bench_free(b);
}

static void test_msix_masked_during_holdoff_pends_at_its_end(void **state)
{
	(void)state;
	struct bench *b = BENCH(2, "msix.holdoff_ns=1000");
	program_all(b);
	event(b, 0, 1, true);
	uint64_t over_ps = b->message[0].at_ps + PS_PER_US;
	event(b, 100, 1, true);
	mask(b, 1, true);
	run(b, over_ps - 1);
	assert_false(pending(b, 1));
	run(b, over_ps);
	assert_true(pending(b, 1));
	assert_int_equal(b->count, 1);
	/* An event held back behind a pending bit goes with it. */
	mask(b, 1, false);
	assert_int_equal(b->count, 2);
	event(b, b->now_ps, 1, true);
	mask(b, 1, true);
	event(b, b->now_ps, 1, false);
	assert_true(pending(b, 1));
	mask(b, 1, false);
	run(b, PS_PER_MS);
	assert_int_equal(b->count, 3);
	bench_free(b);
}

/* ---- back-pressure ---- */

static void test_msix_full_channel_loses_and_doubles_nothing(void **state)
{
	(void)state;
	struct bench *b = BENCH(2048, NULL);
	program_all(b);
	b->stalled = true;
	for (unsigned v = 0; v < 2048; v++)
		for (unsigned n = 0; n < 2; n++)
			event(b, 10 + v, v, n % 2);
	assert_true(dma_request_fifo_full(&b->dma));
	assert_int_equal(b->wake_ps, TIME_NEVER_PS);
	uint64_t steps = b->steps;
	run(b, PS_PER_MS);
	assert_int_equal(b->steps, steps); /* it sleeps until there is room */
	b->stalled = false;
	run(b, 2 * PS_PER_MS);
	/* Both events of the first 256 filled the channel; those of the others were merged while they waited. */
	assert_int_equal(b->count, b->msix->stats.sent);
	unsigned per_vector[2048] = {0};
	for (unsigned i = 0; i < b->count; i++) {
		unsigned v = (b->message[i].data - 0x40000000) / 3;
		assert_message(b, i, v);
		per_vector[v]++;
	}
	for (unsigned v = 0; v < 2048; v++)
		assert_int_equal(per_vector[v], v < 256 ? 2 : 1);
	bench_free(b);
}

/* The engine may hold one message besides its full channel: the data of that one has to stay as well. */
static void test_msix_message_data_stays_until_taken(void **state)
{
	(void)state;
	struct bench *b = BENCH(2048, NULL);
	program_all(b);
	b->stalled = true;
	for (unsigned v = 0; v < 600; v++)
		event(b, 10, v, false);
	struct dma_request in_work = dma_request_fifo_pop(&b->dma, b->now_ps);
	run(b, b->now_ps + A_WHILE); /* the room is used at once */
	assert_true(dma_request_fifo_full(&b->dma));
	assert_int_equal(load_le32(in_work.data), data_of(0));
	b->stalled = false;
	run(b, b->now_ps + 1000 * PERIOD_PS);
	assert_int_equal(b->count, 599);
	for (unsigned i = 0; i < 599; i++)
		assert_message(b, i, i + 1);
	bench_free(b);
}

/* ---- resets and remapping ---- */

static void make_busy(struct bench *b)
{
	program_all(b);
	event(b, b->now_ps, 1, true);
	event(b, b->now_ps, 1, true); /* held */
	mask(b, 2, true);
	event(b, b->now_ps, 2, false); /* pending */
	power(b, false, 0);
	event(b, b->now_ps, 3, false); /* ready */
	assert_int_equal(msix_waiting(b->msix), 3);
}

static void test_msix_virtio_reset_drops_events_and_keeps_table(void **state)
{
	(void)state;
	struct bench *b = BENCH(4, "msix.holdoff_ns=1000");
	make_busy(b);
	msix_drop_events(b->msix);
	assert_int_equal(msix_waiting(b->msix), 0);
	assert_int_equal(pending_count(b), 0);
	for (unsigned v = 0; v < 4; v++) {
		assert_int_equal(read32(b, v * ENTRY), (uint32_t)addr_of(v));
		assert_int_equal(read32(b, v * ENTRY + 4), (uint32_t)(addr_of(v) >> 32));
		assert_int_equal(read32(b, v * ENTRY + DATA), data_of(v));
		assert_int_equal(read32(b, v * ENTRY + CONTROL), v == 2);
	}
	mask(b, 2, false);
	power(b, true, 0);
	run(b, PS_PER_MS);
	assert_int_equal(b->count, 1); /* the one before the reset */
	event(b, 2 * PS_PER_MS, 1, true);
	event(b, 2 * PS_PER_MS, 2, true);
	assert_int_equal(b->count, 3);
	bench_free(b);
}

static void test_msix_function_reset_drops_events_and_table(void **state)
{
	(void)state;
	struct bench *b = BENCH(4, "msix.holdoff_ns=1000");
	make_busy(b);
	msix_reset(b->msix);
	power(b, true, 0);
	run(b, PS_PER_MS);
	assert_int_equal(b->count, 1);
	assert_int_equal(pending_count(b), 0);
	for (unsigned v = 0; v < 4; v++) {
		assert_int_equal(read32(b, v * ENTRY), 0);
		assert_int_equal(read32(b, v * ENTRY + CONTROL), 1);
	}
	program_all(b);
	run(b, 2 * PS_PER_MS);
	assert_int_equal(b->count, 1);
	bench_free(b);
}

/* Entry rewritten, masked as it should be or not, while its message waits: old or new, never a mix, and one. */
static void test_msix_rewritten_entry_sends_old_or_new(void **state)
{
	(void)state;
	for (unsigned words = 0; words <= 3; words++) {
		for (int masked = 0; masked < 2; masked++) {
			struct bench *b = BENCH(2, NULL);
			program_all(b);
			power(b, false, 0);
			event(b, 10, 1, true);
			if (masked)
				mask(b, 1, true);
			const uint32_t entry[3] = {0xabcd0000, 0x77, 0x1111};
			uint32_t expected[3] = {(uint32_t)addr_of(1), (uint32_t)(addr_of(1) >> 32),
						data_of(1)};
			for (unsigned i = 0; i < words; i++) {
				write32(b, ENTRY + 4 * i, entry[i]);
				expected[i] = entry[i];
			}
			if (masked)
				mask(b, 1, false);
			power(b, true, 0);
			for (unsigned i = 0; i < 3; i++) /* handed over: too late for these */
				write32(b, ENTRY + 4 * i, 0x5555);
			run(b, PS_PER_MS);
			assert_int_equal(b->count, 1);
			assert_int_equal(b->message[0].addr, expected[0] | (uint64_t)expected[1] << 32);
			assert_int_equal(b->message[0].data, expected[2]);
			bench_free(b);
		}
	}
}

/* ---- random ---- */

/* What may not get lost, vector by vector. */
struct expectation {
	bool owed;     /* an event came, and no message since */
	unsigned from; /* the first message that can be the one */
};

static void settle_messages(const struct bench *b, unsigned from, struct expectation *vectors)
{
	for (unsigned i = from; i < b->count; i++) {
		unsigned v = (b->message[i].data - 0x40000000) / 3;
		assert_message(b, i, v);
		if (i >= vectors[v].from)
			vectors[v].owed = false;
	}
}

static void random_action(struct bench *b, struct rng *rng, struct expectation *vectors, unsigned n)
{
	unsigned v = (unsigned)rng_below(rng, n);
	uint64_t draw = rng_below(rng, 100);
	if (draw < 50) {
		if (b->control.msix_enable)
			vectors[v] = (struct expectation){true, b->count + dma_request_fifo_count(&b->dma)};
		msix_event(b->msix, b->now_ps, v, rng_below(rng, 2));
	} else if (draw < 65) {
		run(b, b->now_ps + rng_below(rng, 300) * NS);
	} else if (draw < 80) {
		mask(b, v, rng_below(rng, 2));
	} else if (draw < 85) {
		function_mask(b, rng_below(rng, 2));
	} else if (draw < 89) {
		enable(b, rng_below(rng, 2));
	} else if (draw < 93) {
		power(b, rng_below(rng, 2), rng_below(rng, 2) ? 0 : 3);
	} else if (draw < 95) {
		assert_true(
			msix_csr_write(b->msix, b->now_ps, CSR_MSIX_THRESHOLD, (uint32_t)rng_below(rng, 4)));
	} else if (draw < 99) {
		b->stalled = rng_below(rng, 2);
	} else {
		msix_drop_events(b->msix);
		/* What the engine holds already is sent all the same; nothing else is owed. */
		for (unsigned i = 0; i < n; i++)
			vectors[i].owed = false;
	}
}

static void test_msix_random_events_and_masks_nothing_lost(void **state)
{
	(void)state;
	enum { VECTORS = 70, ACTIONS = 3000 };
	uint64_t seed = test_seed(5);
	for (unsigned i = 0; i < 60; i++) {
		struct rng rng;
		rng_seed(&rng, seed, i);
		struct bench *b = BENCH(VECTORS, i % 2 ? "msix.holdoff_ns=500" : "msix.holdoff_ns=0");
		struct expectation vectors[VECTORS] = {0};
		program_all(b);
		for (unsigned n = 0; n < ACTIONS; n++) {
			unsigned before = b->count;
			random_action(b, &rng, vectors, VECTORS);
			settle_messages(b, before, vectors);
			run(b, b->now_ps);
			settle_messages(b, before, vectors);
		}
		unsigned before = b->count;
		b->stalled = false;
		power(b, true, 0);
		function_mask(b, false);
		enable(b, true);
		for (unsigned v = 0; v < VECTORS; v++)
			mask(b, v, false);
		run(b, b->now_ps + PS_PER_MS);
		settle_messages(b, before, vectors);
		for (unsigned v = 0; v < VECTORS; v++)
			assert_false(vectors[v].owed);
		assert_int_equal(msix_waiting(b->msix), 0);
		assert_int_equal(pending_count(b), 0);
		const struct msix_stats *s = &b->msix->stats;
		assert_int_equal(s->sent, b->count);
		assert_true(s->sent + s->coalesced + s->disabled <= s->events);
		bench_free(b);
	}
}

/* ---- on the link ---- */

struct wired {
	struct config config;
	struct cfg_control control;
	struct link_dir *up, *down;
	struct dma *dma;
	struct msix *msix;
	uint16_t id;
};

static void wired_setup(struct wired *w)
{
	const struct link_config link = {
		.generation = 3, .lanes = 8, .ack_interval = 1000, .fc_interval = 1, .propagation_ps = 1000};
	const struct link_credits infinite = {.header = {0}};
	memset(w, 0, sizeof(*w));
	config_defaults(&w->config);
	w->id = 0x0308;
	w->control = (struct cfg_control){.bus_master = true,
					  .msix_enable = true,
					  .relaxed_ordering = true,
					  .no_snoop = true,
					  .mps_bytes = 128,
					  .mrrs_bytes = 512,
					  .completion_timeout_ps = TIME_NEVER_PS};
	w->up = link_dir_create(&link, &infinite, NULL);
	w->down = link_dir_create(&link, &infinite, NULL);
	link_dir_pair(w->up, w->down);
	const struct dma_ports dma_ports = {.up = w->up, .control = &w->control, .requester_id = &w->id};
	w->dma = dma_create(&w->config, &dma_ports);
	const struct msix_ports ports = {.control = &w->control, .dma = dma_requests(w->dma, DMA_MSIX)};
	w->msix = CREATE(&w->config, &ports);
	assert_true(w->dma && w->msix);
}

static void wired_free(struct wired *w)
{
	msix_free(w->msix);
	dma_free(w->dma);
	link_dir_free(w->up);
	link_dir_free(w->down);
}

static void wired_step(struct wired *w, uint64_t now_ps)
{
	for (unsigned i = 0; i < 20; i++) {
		msix_step(w->msix, now_ps + i * PERIOD_PS);
		dma_step(w->dma, now_ps + i * PERIOD_PS);
	}
}

static void test_msix_message_is_one_dw_memory_write(void **state)
{
	(void)state;
	static const struct {
		uint32_t addr_lo, addr_hi;
		uint8_t header[16];
		unsigned header_bytes;
	} cases[] = {
		/* MWr, Length 1, no attributes, TC 0; requester 0x0308, First BE F, Last BE 0 */
		{0xfee0300c, 0, {0x40, 0, 0, 1, 3, 8, 0, 0x0f, 0xfe, 0xe0, 0x30, 0x0c}, 12},
		{0xfee0300c, 9, {0x60, 0, 0, 1, 3, 8, 0, 0x0f, 0, 0, 0, 9, 0xfe, 0xe0, 0x30, 0x0c}, 16},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct wired w;
		struct link_rx rx;
		wired_setup(&w);
		msix_bar_write32(w.msix, 0, ENTRY, cases[i].addr_lo, 0xf);
		msix_bar_write32(w.msix, 0, ENTRY + 4, cases[i].addr_hi, 0xf);
		msix_bar_write32(w.msix, 0, ENTRY + DATA, 0x04030201, 0xf);
		msix_bar_write32(w.msix, 0, ENTRY + CONTROL, 0, 0xf);
		msix_event(w.msix, 0, 1, true);
		wired_step(&w, 0);
		assert_true(link_pop(w.up, PS_PER_US, &rx));
		assert_int_equal(rx.size, cases[i].header_bytes + 4);
		/* The tag of a posted request says nothing (TLP-016). */
		assert_memory_equal(rx.wire, cases[i].header, 6);
		assert_memory_equal(rx.wire + 7, cases[i].header + 7, cases[i].header_bytes - 7);
		static const uint8_t data[4] = {1, 2, 3, 4};
		assert_memory_equal(rx.wire + cases[i].header_bytes, data, 4);
		assert_int_equal(link_stats(w.up, PS_PER_US)->wire_bytes, i == 0 ? 24 : 28);
		assert_false(link_pop(w.up, PS_PER_MS, &rx));
		wired_free(&w);
	}
}

/* The used ring's write is done when the link has it; the message follows behind it, however full the link is. */
static void test_msix_message_follows_earlier_writes(void **state)
{
	(void)state;
	struct wired w;
	struct link_rx rx;
	static struct dma_done_fifo done;
	static uint8_t data[4096];
	wired_setup(&w);
	dma_done_fifo_clear(&done);
	dma_connect(w.dma, DMA_USED, &done);
	msix_bar_write32(w.msix, 0, ENTRY, 0xfee00000, 0xf);
	msix_bar_write32(w.msix, 0, ENTRY + CONTROL, 0, 0xf);
	uint64_t now_ps = 0;
	for (unsigned n = 0; n < 50; n++) {
		dma_request_fifo_push(
			dma_requests(w.dma, DMA_USED), now_ps,
			(struct dma_request){.addr = 0x10000 + n, .bytes = 1, .write = true, .data = data});
		dma_request_fifo_push(
			dma_requests(w.dma, DMA_MOVER), now_ps,
			(struct dma_request){
				.addr = 0x100000, .bytes = sizeof(data), .write = true, .data = data});
		while (!dma_done_fifo_ready(&done, now_ps)) {
			msix_step(w.msix, now_ps);
			dma_step(w.dma, now_ps);
			now_ps += PERIOD_PS;
		}
		dma_done_fifo_pop(&done, now_ps);
		msix_event(w.msix, now_ps, 1, true);
	}
	for (unsigned i = 0; i < 100000; i++, now_ps += PERIOD_PS) {
		msix_step(w.msix, now_ps);
		dma_step(w.dma, now_ps);
	}
	unsigned used = 0, messages = 0;
	while (link_pop(w.up, now_ps + PS_PER_MS, &rx)) {
		struct tlp tlp;
		assert_int_equal(tlp_decode(&tlp, rx.wire, rx.size), TLP_OK);
		used += tlp.addr >= 0x10000 && tlp.addr < 0x20000;
		messages += tlp.addr == 0xfee00000;
		assert_true(messages <= used);
	}
	assert_int_equal(used, 50);
	assert_int_equal(messages, 50);
	wired_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_msix_registers_reset_value_and_access),
		REQ_TEST(test_msix_vector_count_follows_configuration, "D-121 D-123"),
		REQ_TEST(test_msix_table_and_pba_apart_for_every_count, "INT-001"),
		REQ_TEST(test_msix_reset_state, "INT-003"),
		REQ_TEST(test_msix_table_writes_act_on_enabled_bytes_only, "INT-002 ACC-007"),
		REQ_TEST(test_msix_other_offsets_read_zero_and_ignore_writes, "INT-007 ACC-004"),
		REQ_TEST(test_msix_event_sends_its_entry_for_every_vector, "INT-004 D-124"),
		REQ_TEST(test_msix_masked_vector_pends_at_its_bit_and_sends_once, "INT-005"),
		REQ_TEST(test_msix_function_mask_holds_all_and_keeps_entry_masks, "INT-005 INT-006"),
		REQ_TEST(test_msix_disabled_sends_nothing, "INT-008"),
		REQ_TEST(test_msix_disable_and_enable_keeps_events, "INT-008"),
		REQ_TEST(test_msix_without_bus_master_waits, "INT-010"),
		cmocka_unit_test(test_msix_holdoff_to_the_cycle),
		cmocka_unit_test(test_msix_holdoff_change_counts_for_those_that_run),
		cmocka_unit_test(test_msix_threshold_ends_holdoff),
		cmocka_unit_test(test_msix_lower_threshold_acts_at_once),
		cmocka_unit_test(test_msix_unmoderated_event_is_not_held),
		REQ_TEST(test_msix_masked_during_holdoff_pends_at_its_end, "INT-005"),
		REQ_TEST(test_msix_full_channel_loses_and_doubles_nothing, "INT-005"),
		cmocka_unit_test(test_msix_message_data_stays_until_taken),
		REQ_TEST(test_msix_virtio_reset_drops_events_and_keeps_table, "RST-013 D-011"),
		REQ_TEST(test_msix_function_reset_drops_events_and_table, "INT-003"),
		REQ_TEST(test_msix_rewritten_entry_sends_old_or_new, "INT-009 V-076"),
		REQ_TEST(test_msix_random_events_and_masks_nothing_lost, "INT-005"),
		REQ_TEST(test_msix_message_is_one_dw_memory_write, "INT-004 INT-012 TLP-012"),
		REQ_TEST(test_msix_message_follows_earlier_writes, "INT-011"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
