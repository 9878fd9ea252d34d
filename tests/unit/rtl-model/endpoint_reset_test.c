/* Interrupts of both kinds, Bus Master Enable, power states and resets at the endpoint. */
#include "tests/unit/pcie/cfg_fixture.h"
#include "tests/unit/rtl-model/endpoint_fixture.h"

#define COMMON (BAR4_ADDR + 0x0000)
#define ISR    (BAR4_ADDR + 0x1000)
#define NOTIFY (BAR4_ADDR + 0x3000)
#define VECTOR 0xfee01000u /* where MSI-X messages go */

#define CARD(...) card_enumerated((const char *const[]){__VA_ARGS__, NULL})

enum { INTERRUPT_STATUS = 1 << 3 };

static bool interrupt_status(struct card *card)
{
	return cfg_rd(card, COMMAND) >> 16 & INTERRUPT_STATUS;
}

static void set_command(struct card *card, uint32_t value)
{
	cfg_wr16(card, COMMAND, value);
}

static void set_power(struct card *card, unsigned state)
{
	cfg_wr_be(card, PMCSR, state, 0x1);
}

static void queue_event(struct card *card)
{
	virtio_queue_interrupt(&card->virtio, card->sim.now_ps, 0);
	card_run(card, PS_PER_US);
}

static void config_event(struct card *card)
{
	virtio_config_interrupt(&card->virtio, card->sim.now_ps);
	card_run(card, PS_PER_US);
}

static unsigned asserts(const struct card *card, unsigned from)
{
	return messages_since(card, from, TLP_MSG_ASSERT_INTA);
}

static unsigned deasserts(const struct card *card, unsigned from)
{
	return messages_since(card, from, TLP_MSG_DEASSERT_INTA);
}

/* DMA of the test's own through the card's engine. */
static void push_dma(struct card *card, uint64_t addr, uint32_t bytes, bool write, uint8_t *data)
{
	dma_request_fifo_push(
		dma_requests(card->dma, DMA_COPY), card->sim.now_ps,
		(struct dma_request){.addr = addr, .bytes = bytes, .write = write, .data = data});
}

/* ---- INTx ---- */

static void test_endpoint_intx_messages_on_level_changes_only(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	unsigned from = card->seen_count;
	for (unsigned n = 0; n < 3; n++) {
		queue_event(card);
		config_event(card);
	}
	assert_int_equal(asserts(card, from), 1);
	assert_int_equal(deasserts(card, from), 0);
	const struct tlp *message = &card->seen[from].tlp;
	assert_int_equal(message->type, TLP_MSG);
	assert_int_equal(message->msg_code, 0x20);
	assert_int_equal(message->msg_route, TLP_ROUTE_LOCAL);
	assert_int_equal(message->tc, 0);
	assert_int_equal(message->attr, 0);
	assert_int_equal(message->requester_id, CARD_ID);
	assert_true(interrupt_status(card));
	assert_int_equal(mem_read_value(card, ISR, 1), 3);
	assert_int_equal(deasserts(card, from), 1);
	assert_false(interrupt_status(card));
	mem_read_value(card, ISR, 1);
	queue_event(card);
	assert_int_equal(asserts(card, from), 2);
	assert_int_equal(deasserts(card, from), 1);
	card_free(card);
}

static void test_endpoint_interrupt_disable_masks_wire_not_status(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	const uint32_t on = COMMAND_MEMORY | COMMAND_MASTER;
	unsigned from = card->seen_count;
	queue_event(card);
	set_command(card, on | COMMAND_INTX_DISABLE); /* while asserted */
	assert_int_equal(deasserts(card, from), 1);
	assert_true(interrupt_status(card));
	set_command(card, on); /* with the cause still there */
	assert_int_equal(asserts(card, from), 2);
	mem_read_value(card, ISR, 1);
	assert_int_equal(deasserts(card, from), 2);
	set_command(card, on | COMMAND_INTX_DISABLE);
	queue_event(card);
	assert_int_equal(asserts(card, from), 2);
	assert_true(interrupt_status(card));
	mem_read_value(card, ISR, 1);
	assert_false(interrupt_status(card));
	set_command(card, on);
	assert_int_equal(asserts(card, from), 2);
	assert_int_equal(deasserts(card, from), 2);
	card_free(card);
}

static void test_endpoint_intx_without_bus_master(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	set_command(card, COMMAND_MEMORY);
	card->masters = false;
	unsigned from = card->seen_count;
	queue_event(card);
	assert_int_equal(asserts(card, from), 1);
	mem_read_value(card, ISR, 1);
	assert_int_equal(deasserts(card, from), 1);
	card_free(card);
}

/* ---- MSI-X ---- */

static struct card *card_with_msix(void)
{
	struct card *card = CARD("msix.vectors=3");
	program_vector(card, 0, VECTOR, 10);
	program_vector(card, 1, VECTOR + 4, 11);
	msix_enable(card, true);
	mem_write_value(card, COMMON + 0x10, 2, 0);
	mem_write_value(card, COMMON + 0x1a, 2, 1);
	assert_int_equal(mem_read_value(card, COMMON + 0x1a, 2), 1);
	return card;
}

static void test_endpoint_msix_and_intx_exclude_each_other(void **state)
{
	(void)state;
	struct card *card = card_with_msix();
	unsigned from = card->seen_count;
	queue_event(card);
	config_event(card);
	assert_int_equal(writes_since(card, from, VECTOR), 1);
	assert_int_equal(writes_since(card, from, VECTOR + 4), 1);
	assert_int_equal(asserts(card, from), 0);
	assert_false(interrupt_status(card));
	mem_read_value(card, ISR, 1);
	/* Off: INTx. On again while asserted: let go. */
	msix_enable(card, false);
	from = card->seen_count;
	queue_event(card);
	assert_int_equal(asserts(card, from), 1);
	msix_enable(card, true);
	assert_int_equal(deasserts(card, from), 1);
	queue_event(card);
	assert_int_equal(writes_since(card, from, VECTOR + 4), 1);
	assert_int_equal(asserts(card, from), 1);
	card_free(card);
}

static void test_endpoint_msix_masks_by_register_writes(void **state)
{
	(void)state;
	struct card *card = card_with_msix();
	unsigned from = card->seen_count;
	mem_write_value(card, BAR1_ADDR + 16 + 12, 4, 1);
	mem_read_value(card, BAR1_ADDR + 16 + 12, 4); /* from here on it is masked */
	queue_event(card);
	queue_event(card);
	assert_int_equal(writes_since(card, from, VECTOR + 4), 0);
	assert_int_equal(mem_read_value(card, BAR1_ADDR + 0x800, 8), 1 << 1);
	mem_write_value(card, BAR1_ADDR + 16 + 12, 4, 0);
	card_run(card, PS_PER_US);
	assert_int_equal(writes_since(card, from, VECTOR + 4), 1);
	assert_int_equal(mem_read_value(card, BAR1_ADDR + 0x800, 8), 0);
	/* The whole function. */
	cfg_wr_be(card, MSIX, 0xc0000000, 0xc);
	queue_event(card);
	config_event(card);
	assert_int_equal(mem_read_value(card, BAR1_ADDR + 0x800, 8), 3);
	cfg_wr_be(card, MSIX, 0x80000000, 0xc);
	card_run(card, PS_PER_US);
	assert_int_equal(writes_since(card, from, VECTOR + 4), 2);
	assert_int_equal(writes_since(card, from, VECTOR), 1);
	card_free(card);
}

/* Entry and unmask in one write of four DWs, as some drivers do: the message has all of the new entry. */
static void test_endpoint_msix_entry_in_one_write(void **state)
{
	(void)state;
	struct card *card = card_with_msix();
	mem_write_value(card, BAR1_ADDR + 12, 4, 1);
	mem_read_value(card, BAR1_ADDR + 12, 4);
	config_event(card);
	unsigned from = card->seen_count;
	program_vector(card, 0, 0xfee02000, 99);
	card_run(card, PS_PER_US);
	assert_int_equal(writes_since(card, from, 0xfee02000), 1);
	assert_int_equal(load_le32(card->seen[card->seen_count - 1].tlp.payload), 99);
	card_free(card);
}

/* ---- Bus Master Enable ---- */

static void test_endpoint_bus_master_off_sends_no_requests(void **state)
{
	(void)state;
	static uint8_t data[2048];
	struct card *card = card_with_msix();
	set_command(card, COMMAND_MEMORY);
	card_run(card, 10 * PS_PER_US);
	card->masters = false; /* from here the fixture refuses them */
	push_dma(card, 0x10000, sizeof(data), true, data);
	push_dma(card, 0x20000, sizeof(data), false, data);
	queue_event(card);
	card_run(card, 100 * PS_PER_US);
	/* Completions go on. */
	assert_int_equal(mem_read_value(card, COMMON + 0x12, 2), 1);
	assert_int_equal(cfg_rd(card, 0), 0x10421af4);
	unsigned from = card->seen_count;
	card->masters = true;
	set_command(card, COMMAND_MEMORY | COMMAND_MASTER);
	card_run(card, 100 * PS_PER_US);
	assert_int_equal(dma_done_fifo_count(&card->dma_done), 2); /* nothing hangs, nothing is lost */
	assert_int_equal(writes_since(card, from, VECTOR + 4), 1);
	card_free(card);
}

/* ---- D3hot ---- */

static void test_endpoint_d3hot_takes_configuration_and_messages_only(void **state)
{
	(void)state;
	static uint8_t data[64];
	struct card *card = card_with_msix();
	mem_write_value(card, COMMON + 0x20, 4, 0x1234);
	mem_read_value(card, COMMON + 0x20, 4);
	set_power(card, 3);
	card->masters = false;
	card_run(card, PS_PER_US);
	unsigned from = card->seen_count;
	assert_int_equal(mem_read(card, COMMON, 4, data), TLP_UR);
	mem_write_value(card, NOTIFY, 2, 0);
	mem_write_value(card, COMMON + 0x20, 4, 0x5678);
	push_dma(card, 0x10000, sizeof(data), true, data);
	queue_event(card);
	struct tlp off = message_tlp(TLP_MSG_PME_TURN_OFF, TLP_ROUTE_BROADCAST, NULL);
	card_send(card, &off);
	card_run(card, 10 * PS_PER_US);
	assert_int_equal(messages_since(card, from, TLP_MSG_PME_TO_ACK), 1);
	assert_int_equal(requests_since(card, from), 0);
	/* Nor by way of the configuration window. */
	cfg_wr_be(card, WINDOW + 4, 4, 0x1);
	cfg_wr(card, WINDOW + 8, 0x20);
	cfg_wr(card, WINDOW + 12, 4);
	cfg_wr(card, WINDOW + 16, 0x9999);
	assert_int_equal(cfg_rd(card, PMCSR) & 3, 3);
	/* Back, with everything kept (No_Soft_Reset). */
	assert_int_equal(cfg_rd(card, PMCSR) & 0x8, 0x8);
	card->masters = true;
	set_power(card, 0);
	card_run(card, 10 * PS_PER_US);
	assert_int_equal(mem_read_value(card, COMMON + 0x20, 4), 0x1234);
	assert_int_equal(card->doorbell_count, 0);
	assert_int_equal(writes_since(card, from, 0x10000), 1);
	assert_int_equal(writes_since(card, from, VECTOR + 4), 1);
	card_free(card);
}

static void test_endpoint_d3hot_sends_no_intx(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	set_power(card, 3);
	unsigned from = card->seen_count;
	queue_event(card);
	assert_int_equal(asserts(card, from), 0);
	assert_true(interrupt_status(card));
	set_power(card, 0);
	assert_int_equal(asserts(card, from), 1);
	card_free(card);
}

/* ---- function-level reset ---- */

static void flr(struct card *card)
{
	cfg_wr_be(card, DEVCTL, 0x8000, 0x2);
}

/* Configuration requests are to be repeated until the firmware is through. */
static void wait_for_reset(struct card *card)
{
	card_run(card, 10 * PS_PER_US);
	assert_int_equal(cfg_read_status(card, 0), TLP_SC);
}

static void test_endpoint_flr_completes_the_write_first(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	flr(card); /* SC, else the fixture fails */
	assert_int_equal(card->seen[card->seen_count - 1].tlp.completer_id, CARD_ID);
	assert_int_equal(card->function_resets, 1);
	assert_int_equal(cfg_read_status(card, 0), TLP_CRS);
	uint8_t data[4];
	assert_int_equal(mem_read(card, COMMON, 4, data), TLP_UR);
	mem_write_value(card, NOTIFY, 2, 0);
	struct tlp write = config_request(TLP_CFGWR0, BAR4, 0xf, data);
	assert_int_equal(card_wait(card, card_send(card, &write)), TLP_CRS);
	wait_for_reset(card);
	assert_int_equal(card->doorbell_count, 0);
	card_free(card);
}

static void test_endpoint_flr_resets_all_but_what_belongs_to_the_link(void **state)
{
	(void)state;
	struct card *card = card_with_msix();
	bring_up_virtio(card);
	static const uint8_t power[4] = {0x19};
	struct tlp slot = message_tlp(TLP_MSG_SET_SLOT_POWER_LIMIT, TLP_ROUTE_LOCAL, power);
	card_send(card, &slot);
	cfg_wr16(card, DEVCTL, 0x513f); /* MPS 256, MRRS 4096, extended tags, errors */
	cfg_wr16(card, LNKCTL, 0x00c8); /* common clock, extended sync, RCB 128 */
	cfg_wr16(card, DEVCTL2, 0x1001);
	mem_write_value(card, COMMON + 0x20, 8, 0x1000);
	mem_write_value(card, COMMON + 0x1c, 2, 1);
	mem_write_value(card, BAR1_ADDR + 12, 4, 1);
	config_event(card); /* pending */
	flr(card);
	wait_for_reset(card);
	assert_int_equal(cfg_rd(card, COMMAND) & 0xffff, 0);
	assert_int_equal(cfg_rd(card, BAR1), 0);
	assert_int_equal(cfg_rd(card, BAR4), 0xc);
	assert_int_equal(cfg_rd(card, BAR5), 0);
	assert_int_equal(cfg_rd(card, MSIX) >> 30, 0);
	assert_int_equal(cfg_rd(card, DEVCTL) & 0xffff, 0x2830); /* MPS kept, the rest as after reset */
	assert_int_equal(cfg_rd(card, LNKCTL) & 0xffff, 0x00c8);
	assert_int_equal(cfg_rd(card, DEVCTL2) & 0xffff, 0);
	assert_int_equal(cfg_rd(card, DEVCAP) >> 18 & 0xff, 0x19);
	cfg_wr(card, BAR1, (uint32_t)BAR1_ADDR);
	cfg_wr(card, BAR4, (uint32_t)BAR4_ADDR);
	cfg_wr(card, BAR5, (uint32_t)(BAR4_ADDR >> 32));
	set_command(card, COMMAND_MEMORY | COMMAND_MASTER);
	assert_int_equal(mem_read_value(card, COMMON + 0x14, 1), 0);
	assert_int_equal(mem_read_value(card, COMMON + 0x10, 2), 0xffff);
	assert_int_equal(mem_read_value(card, COMMON + 0x1a, 2), 0xffff);
	assert_int_equal(mem_read_value(card, COMMON + 0x20, 8), 0);
	assert_int_equal(mem_read_value(card, COMMON + 0x1c, 2), 0);
	for (unsigned v = 0; v < 3; v++) {
		assert_int_equal(mem_read_value(card, BAR1_ADDR + 16 * v, 4), 0);
		assert_int_equal(mem_read_value(card, BAR1_ADDR + 16 * v + 12, 4), 1);
	}
	assert_int_equal(mem_read_value(card, BAR1_ADDR + 0x800, 8), 0);
	assert_int_equal(mem_read_value(card, ISR, 1), 0);
	card_free(card);
}

static void test_endpoint_flr_lets_intx_go(void **state)
{
	(void)state;
	static const unsigned power_states[] = {0, 3};
	for (unsigned i = 0; i < ARRAY_SIZE(power_states); i++) {
		struct card *card = CARD(NULL);
		queue_event(card);
		set_power(card, power_states[i]);
		unsigned from = card->seen_count;
		flr(card);
		card_run(card, PS_PER_US);
		assert_int_equal(deasserts(card, from), 1);
		wait_for_reset(card);
		assert_false(interrupt_status(card));
		assert_int_equal(asserts(card, from), 0);
		card_free(card);
	}
}

/* Everything is in flight: DMA both ways, MSI-X, INTx. What has reached the link by then may still come out; nothing
 * after that. */
static void test_endpoint_flr_without_preparation_sends_nothing_after(void **state)
{
	(void)state;
	static uint8_t data[65536];
	struct rng rng;
	rng_seed(&rng, test_seed(32), 0);
	for (unsigned n = 0; n < 40; n++) {
		struct card *card = card_with_msix();
		card->answers_reads = false;
		uint8_t guard[4096] = {0};
		memset(data, 0, 4096);
		for (unsigned i = 0; i < 4; i++) {
			push_dma(card, 0x100000, sizeof(data), true, data + 4096 * (i % 2));
			push_dma(card, 0x200000, 4096, false, data);
		}
		for (unsigned i = 0; i < 10; i++)
			virtio_queue_interrupt(&card->virtio, card->sim.now_ps, 0);
		sim_wake(card->dma_process, card->sim.now_ps);
		card_run(card, rng_below(&rng, 20) * PS_PER_US);
		uint8_t reset[4];
		store_le32(reset, 0x8000);
		struct tlp write = config_request(TLP_CFGWR0, DEVCTL, 0x2, reset);
		unsigned tag = card_send(card, &write);
		while (card->function_resets == 0)
			card_run(card, PS_PER_NS);
		/* What the link holds at this moment drains; its transmit buffer is 2 KiB. */
		uint64_t backlog = link_backlog_bytes(card->up, card->sim.now_ps);
		assert_true(backlog <= 4096);
		card_run(card, 2 * PS_PER_US);
		card->masters = false;
		assert_int_equal(card_wait(card, tag), TLP_SC);
		/* Late completions are dropped. */
		unsigned seen = card->seen_count;
		for (unsigned i = 0; i < seen; i++) {
			if (card->seen[i].tlp.type != TLP_MRD)
				continue;
			static const uint8_t ones[128] = {[0 ... 127] = 0xff};
			struct tlp req = card->seen[i].tlp, cpl;
			tlp_completion_without_data(&cpl, &req, ROOT_ID, TLP_SC);
			cpl.type = TLP_CPLD;
			cpl.length_dw = 32;
			cpl.byte_count = (uint16_t)(req.length_dw * 4);
			cpl.payload = ones;
			card_send(card, &cpl);
		}
		card_run(card, 200 * PS_PER_US);
		assert_memory_equal(data, guard, 4096);
		assert_int_equal(cfg_read_status(card, 0), TLP_SC);
		assert_int_equal(requests_since(card, seen), 0);
		card_free(card);
	}
}

/* Requests behind the FLR that had to wait are answered as what comes during the reset is. */
static void test_endpoint_flr_behind_waiting_read_answers_all(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	uint8_t reset[4];
	store_le32(reset, 0x8000);
	mem_write_value(card, COMMON + 0x14, 1, 1);
	struct tlp reqs[] = {
		memory_request(TLP_MRD, COMMON + 0x14, 1, NULL),
		config_request(TLP_CFGWR0, DEVCTL, 0x2, reset),
		config_request(TLP_CFGRD0, 0, 0xf, NULL),
		memory_request(TLP_MRD, COMMON + 0x14, 1, NULL),
	};
	static const unsigned expected[] = {TLP_SC, TLP_SC, TLP_CRS, TLP_UR};
	unsigned tags[4];
	for (unsigned i = 0; i < 4; i++)
		tags[i] = card_send(card, &reqs[i]);
	card_run(card, 10 * PS_PER_US);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(card->asked[tags[i]].done);
		assert_int_equal(card->asked[tags[i]].status, expected[i]);
	}
	assert_int_equal(cfg_read_status(card, 0), TLP_SC);
	card_free(card);
}

/* The firmware never answers the status write, and the host gives up with an FLR. */
static void test_endpoint_flr_of_hanging_firmware_by_other_tag(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	card->firmware_hangs = true;
	mem_write_value(card, COMMON + 0x14, 1, 1);
	card_run(card, PS_PER_MS);
	flr(card); /* no read waits, so it gets through */
	assert_int_equal(cfg_read_status(card, 0), TLP_CRS);
	card->firmware_hangs = false;
	sim_wake(card->firmware_process, card->sim.now_ps);
	wait_for_reset(card);
	card_free(card);
}

/* ---- link reset ---- */

static void link_reset(struct card *card, bool fundamental)
{
	link_down(card->up, card->sim.now_ps);
	dma_link_down(card->dma, card->sim.now_ps);
	endpoint_link_reset(card->endpoint, card->sim.now_ps, fundamental);
	for (unsigned i = 0; i < TAGS; i++) /* the root complex forgets its requests too */
		card->asked[i].used = false;
}

static void test_endpoint_hot_reset_with_everything_in_flight(void **state)
{
	(void)state;
	static uint8_t data[65536];
	for (unsigned n = 0; n < 20; n++) {
		struct card *card = card_with_msix();
		card->answers_reads = n % 2;
		for (unsigned i = 0; i < 4; i++) {
			push_dma(card, 0x100000, sizeof(data), true, data);
			push_dma(card, 0x200000, sizeof(data), false, data);
		}
		queue_event(card);
		mem_write_value(card, COMMON + 0x14, 1, 1);
		struct tlp status = memory_request(TLP_MRD, COMMON + 0x14, 1, NULL);
		card_send(card, &status);
		card_run(card, n * 100 * PS_PER_NS);
		link_reset(card, false);
		unsigned from = card->seen_count;
		card_run(card, 100 * PS_PER_NS); /* what had arrived by then */
		card->masters = false;
		card_run(card, 100 * PS_PER_US);
		assert_int_equal(asserts(card, from) + deasserts(card, from),
				 0); /* the wires are forgotten */
		assert_int_equal(cfg_rd(card, COMMAND) & 0xffff, 0);
		assert_int_equal(cfg_rd(card, BAR4), 0xc);
		assert_int_equal(cfg_rd(card, DEVCTL) & 0xffff, 0x2810);
		assert_int_equal(card->seen[card->seen_count - 1].tlp.completer_id,
				 0); /* the number is lost */
		/* And up again. */
		cfg_wr(card, BAR4, (uint32_t)BAR4_ADDR);
		cfg_wr(card, BAR5, (uint32_t)(BAR4_ADDR >> 32));
		set_command(card, COMMAND_MEMORY);
		bring_up_virtio(card);
		card_free(card);
	}
}

static void test_endpoint_hot_reset_forgets_asserted_intx(void **state)
{
	(void)state;
	struct card *card = CARD(NULL);
	queue_event(card);
	link_reset(card, false);
	unsigned from = card->seen_count;
	wait_for_reset(card);
	assert_int_equal(asserts(card, from) + deasserts(card, from), 0);
	queue_event(card); /* a new cause */
	assert_int_equal(asserts(card, from), 1);
	card_free(card);
}

static void test_endpoint_sticky_bits_survive_hot_not_fundamental_reset(void **state)
{
	(void)state;
	for (int fundamental = 0; fundamental < 2; fundamental++) {
		struct card *card = CARD(NULL);
		mem_write_value(card, NOWHERE, 4, 0);
		cfg_wr(card, UNCOR_MASK, 0);
		mem_write_value(card, NOWHERE, 4, 0);
		card_run(card, PS_PER_US);
		assert_int_equal(cfg_rd(card, UNCOR_STATUS), 1u << 20);
		link_reset(card, fundamental);
		wait_for_reset(card);
		assert_int_equal(cfg_rd(card, UNCOR_STATUS), fundamental ? 0 : 1u << 20);
		assert_int_equal(cfg_rd(card, UNCOR_MASK), fundamental ? 0x00400000 : 0);
		card_free(card);
	}
}

/* ---- virtio reset ---- */

static void test_endpoint_virtio_reset_leaves_pci_state(void **state)
{
	(void)state;
	struct card *card = card_with_msix();
	bring_up_virtio(card);
	uint8_t before[4096], after[4096], table_before[64], table_after[64];
	for (unsigned i = 0; i < 4096; i += 4)
		store_le32(before + i, cfg_space_read32(endpoint_cfg_space(card->endpoint), (uint16_t)i));
	mem_read(card, BAR1_ADDR, sizeof(table_before), table_before);
	mem_write_value(card, COMMON + 0x14, 1, 0);
	card_run(card, 10 * PS_PER_US);
	assert_int_equal(mem_read_value(card, COMMON + 0x14, 1), 0);
	for (unsigned i = 0; i < 4096; i += 4)
		store_le32(after + i, cfg_space_read32(endpoint_cfg_space(card->endpoint), (uint16_t)i));
	mem_read(card, BAR1_ADDR, sizeof(table_after), table_after);
	assert_memory_equal(before, after, sizeof(before));
	assert_memory_equal(table_before, table_after, sizeof(table_before));
	card_free(card);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_endpoint_intx_messages_on_level_changes_only,
			 "INT-013 INT-014 D-107 TLP-012 TLP-013"),
		REQ_TEST(test_endpoint_interrupt_disable_masks_wire_not_status, "INT-013 INT-014 D-107"),
		REQ_TEST(test_endpoint_intx_without_bus_master, "INT-015 ACC-002"),
		REQ_TEST(test_endpoint_msix_and_intx_exclude_each_other, "INT-008"),
		REQ_TEST(test_endpoint_msix_masks_by_register_writes, "INT-005"),
		REQ_TEST(test_endpoint_msix_entry_in_one_write, "INT-009"),
		REQ_TEST(test_endpoint_bus_master_off_sends_no_requests, "ACC-002 INT-010 V-084"),
		REQ_TEST(test_endpoint_d3hot_takes_configuration_and_messages_only,
			 "ACC-016 RST-010 RST-011"),
		cmocka_unit_test(test_endpoint_d3hot_sends_no_intx),
		REQ_TEST(test_endpoint_flr_completes_the_write_first, "RST-004 RST-005"),
		REQ_TEST(test_endpoint_flr_resets_all_but_what_belongs_to_the_link,
			 "RST-004 RST-008 INT-003 V-085"),
		REQ_TEST(test_endpoint_flr_lets_intx_go, "RST-006 INT-016"),
		REQ_TEST(test_endpoint_flr_without_preparation_sends_nothing_after,
			 "RST-005 RST-007 ERR-032"),
		REQ_TEST(test_endpoint_flr_behind_waiting_read_answers_all, "RST-005"),
		cmocka_unit_test(test_endpoint_flr_of_hanging_firmware_by_other_tag),
		REQ_TEST(test_endpoint_hot_reset_with_everything_in_flight, "RST-002 RST-009 ERR-032"),
		REQ_TEST(test_endpoint_hot_reset_forgets_asserted_intx, "INT-016"),
		REQ_TEST(test_endpoint_sticky_bits_survive_hot_not_fundamental_reset, "RST-002"),
		REQ_TEST(test_endpoint_virtio_reset_leaves_pci_state, "RST-013"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
