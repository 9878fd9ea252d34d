/* Random streams of TLPs, well-formed and spoilt, while the card works: it never crashes, every non-posted request with a
 * well-formed header gets exactly one complete answer, and the link keeps going. */
#include "tests/unit/pcie/cfg_fixture.h"
#include "tests/unit/rtl-model/endpoint_fixture.h"

#define COMMON (BAR4_ADDR + 0x0000)

struct fuzz {
	struct card *card;
	struct rng rng;
	uint8_t payload[4096];
	uint8_t dma_data[8192];
	bool unanswered[TAGS]; /* may have been dropped: its digest was wrong */
};

static uint64_t below(struct fuzz *f, uint64_t bound)
{
	return rng_below(&f->rng, bound);
}

static uint64_t random_addr(struct fuzz *f)
{
	static const uint64_t places[] = {
		BAR4_ADDR,
		BAR4_ADDR + 0x10,
		BAR4_ADDR + 0x14,
		BAR4_ADDR + 0x18,
		BAR4_ADDR + 0x1000,
		BAR4_ADDR + 0x2000,
		BAR4_ADDR + 0x2020,
		BAR4_ADDR + 0x3000,
		BAR1_ADDR,
		BAR1_ADDR + 0x800,
		NOWHERE,
	};
	uint64_t draw = below(f, 10);
	if (draw == 0)
		return rng_u64(&f->rng) & ~UINT64_C(3);
	if (draw < 4)
		return (draw == 1 ? BAR1_ADDR : BAR4_ADDR) + below(f, 0x4000 / 4) * 4;
	return places[below(f, ARRAY_SIZE(places))] + below(f, 3) * 4;
}

/* Configuration registers that matter, and any other. */
static unsigned random_register(struct fuzz *f)
{
	static const unsigned registers[] = {
		COMMAND,  BAR1,       BAR4,           BAR5,        PMCSR,       MSIX,        DEVCTL,
		LNKCTL,   DEVCTL2,    WINDOW + 4,     WINDOW + 8,  WINDOW + 12, WINDOW + 16, UNCOR_STATUS,
		COR_MASK, UNCOR_MASK, UNCOR_SEVERITY, AER_CONTROL, AER_CONTROL};
	return below(f, 5) ? registers[below(f, ARRAY_SIZE(registers))] : (unsigned)below(f, 1024) * 4;
}

static uint32_t random_value(struct fuzz *f)
{
	static const uint32_t values[] = {0,     1,     3,      4,          0x0b,   0x0f,   0x406,
					  0x100, 0x140, 0x8000, 0x80000000, 0x3000, 0x2810, UINT32_MAX};
	return below(f, 3) ? values[below(f, ARRAY_SIZE(values))] : (uint32_t)rng_u64(&f->rng);
}

static struct tlp random_tlp(struct fuzz *f)
{
	static const enum tlp_type types[] = {
		TLP_MRD,    TLP_MRD,    TLP_MRD,   TLP_MWR,  TLP_MWR,  TLP_MWR,    TLP_CFGRD0, TLP_CFGRD0,
		TLP_CFGWR0, TLP_CFGWR0, TLP_MRDLK, TLP_IORD, TLP_IOWR, TLP_CFGRD1, TLP_CFGWR1, TLP_FETCHADD,
		TLP_SWAP,   TLP_CAS,    TLP_MSG,   TLP_MSGD, TLP_CPL,  TLP_CPLD,   TLP_CPLLK,  TLP_CPLDLK};
	static const uint8_t codes[] = {0x00, 0x14, 0x19, 0x20, 0x30, 0x50, 0x7e, 0x7f};
	struct tlp tlp = {.type = types[below(f, ARRAY_SIZE(types))], .payload = f->payload};
	uint64_t addr = random_addr(f);
	uint32_t room = 4096 - (uint32_t)(addr % 4096);
	store_le32(f->payload, random_value(f));
	store_le32(f->payload + 4, random_value(f));
	tlp_set_span(&tlp, addr,
		     below(f, 8) ? 1 + (uint32_t)below(f, min_u32(room, 16)) : 1 + (uint32_t)below(f, room));
	if (tlp.type != TLP_MRD && tlp.type != TLP_MWR && tlp.type != TLP_MRDLK) {
		tlp.length_dw = below(f, 10) ? 1 : (uint16_t)(1 + below(f, 8));
		tlp.last_be = 0;
		bool addressed = tlp.type == TLP_FETCHADD || tlp.type == TLP_SWAP || tlp.type == TLP_CAS;
		tlp.addr64 &= addressed;
		tlp.addr &= addressed ? UINT64_MAX : UINT32_MAX;
	}
	if (tlp.length_dw == 1 && below(f, 4) == 0)
		tlp.first_be = (uint8_t)below(f, 16);
	tlp.requester_id = (uint16_t)below(f, 3);
	tlp.dest_id = (uint16_t)(below(f, 8) ? CARD_ID : rng_u64(&f->rng));
	tlp.reg = (uint16_t)random_register(f);
	tlp.tc = below(f, 10) ? 0 : (uint8_t)below(f, 8);
	tlp.attr = below(f, 5) ? 0 : (uint8_t)below(f, 8);
	tlp.ep = below(f, 20) == 0;
	tlp.td = below(f, 10) == 0;
	tlp.th = below(f, 20) == 0;
	tlp.tag = (uint16_t)below(f, 1024);
	tlp.completer_id = (uint16_t)below(f, 2);
	tlp.status = (uint8_t)below(f, 8);
	tlp.byte_count = (uint16_t)(1 + below(f, 64));
	tlp.lower_addr = (uint8_t)below(f, 128);
	tlp.msg_code = codes[below(f, ARRAY_SIZE(codes))];
	tlp.msg_route = (uint8_t)below(f, 6);
	return tlp;
}

/* A completion for one of the card's own reads, right or nearly so. */
static struct tlp random_completion(struct fuzz *f)
{
	for (unsigned i = 0; i < 20 && f->card->seen_count != 0; i++) {
		const struct tlp *req = &f->card->seen[below(f, f->card->seen_count)].tlp;
		if (req->type != TLP_MRD)
			continue;
		struct tlp cpl;
		tlp_completion_without_data(&cpl, req, ROOT_ID,
					    below(f, 6) ? TLP_SC : (enum tlp_status)below(f, 8));
		cpl.type = below(f, 6) ? TLP_CPLD : TLP_CPL;
		cpl.length_dw =
			below(f, 3) ? (uint16_t)min_u32(req->length_dw, 32) : (uint16_t)(1 + below(f, 32));
		cpl.byte_count =
			below(f, 3) ? (uint16_t)(req->length_dw * 4) : (uint16_t)(1 + below(f, 4096));
		cpl.ep = below(f, 8) == 0;
		cpl.payload = f->payload;
		return cpl;
	}
	return random_tlp(f);
}

static void spoil(struct fuzz *f, uint8_t *wire, size_t *size)
{
	switch (below(f, 4)) {
	case 0:
		for (unsigned i = 0; i < 1 + below(f, 4); i++)
			wire[below(f, min_u32((uint32_t)*size, 20))] ^= (uint8_t)(1u << below(f, 8));
		break;
	case 1: *size = 4 + below(f, *size); break;
	case 2:
		for (size_t i = 0; i < *size && i < 64; i++)
			wire[i] = (uint8_t)rng_u64(&f->rng);
		break;
	default: *size -= *size > 8 ? below(f, 4) : 0;
	}
}

/* Sends the bytes. If they are a well-formed non-posted request, it gets a tag of its own and has to be answered. */
static void send_bytes(struct fuzz *f, uint8_t *wire, size_t size)
{
	struct tlp tlp;
	if (tlp_decode(&tlp, wire, size) == TLP_OK && tlp_class_of(tlp.type) == TLP_NON_POSTED) {
		unsigned tag = f->card->next_tag++ % TAGS;
		struct asked *asked = &f->card->asked[tag];
		if (asked->used && !asked->done)
			return; /* a requester has that many tags and no more */
		wire[6] = (uint8_t)tag;
		wire[1] = (uint8_t)((wire[1] & 0x77) | (tag >> 9 & 1) << 7 | (tag >> 8 & 1) << 3);
		tlp.tag = (uint16_t)tag;
		*asked = (struct asked){.used = true, .req = tlp};
		if (tlp.type == TLP_MRD) {
			uint64_t addr;
			uint32_t bytes;
			tlp_get_span(&tlp, &addr, &bytes);
			tlp_requester_start(&asked->expect, addr, bytes ? bytes : 1, tlp.tc, tlp.attr);
		}
		if (tlp.td && below(f, 2))
			store_le32(wire + size - 4, tlp_ecrc(wire, size - 4));
		f->unanswered[tag] = !tlp_ecrc_ok(wire, size);
	}
	card_send_wire(f->card, wire, size);
}

static void send_random(struct fuzz *f)
{
	uint8_t wire[TLP_WIRE_BYTES_MAX + 8] = {0};
	struct tlp tlp = below(f, 10) == 0 ? random_completion(f) : random_tlp(f);
	size_t size = tlp_encode(&tlp, wire, TLP_WIRE_BYTES_MAX);
	assert_true(size != 0);
	if (below(f, 4) == 0)
		spoil(f, wire, &size);
	send_bytes(f, wire, size);
}

/* What the card itself is busy with. */
static void card_activity(struct fuzz *f)
{
	struct card *card = f->card;
	uint64_t now_ps = card->sim.now_ps;
	struct dma_request_fifo *requests = dma_requests(card->dma, DMA_COPY);
	switch (below(f, 8)) {
	case 0: virtio_queue_interrupt(&card->virtio, now_ps, (unsigned)below(f, 64)); break;
	case 1: virtio_config_interrupt(&card->virtio, now_ps); break;
	case 2:
		card->firmware_hangs = below(f, 2);
		sim_wake(card->firmware_process, now_ps);
		break;
	case 3: card->answers_reads = below(f, 2); break;
	case 4: notify_sleep(card, below(f, 4) == 0); break;
	default:
		if (dma_request_fifo_count(requests) < 64 && dma_done_fifo_count(&card->dma_done) < 64)
			dma_request_fifo_push(requests, now_ps,
					      (struct dma_request){.addr = rng_u64(&f->rng) >> below(f, 64),
								   .bytes = 1 + (uint32_t)below(f, 4096),
								   .write = below(f, 2),
								   .data = f->dma_data + below(f, 4096)});
	}
	while (dma_done_fifo_ready(&card->dma_done, now_ps))
		dma_done_fifo_pop(&card->dma_done, now_ps);
}

/* Everything that waits gets its chance. */
static void calm_down(struct fuzz *f)
{
	struct card *card = f->card;
	card->firmware_hangs = false;
	card->answers_reads = true;
	sim_wake(card->firmware_process, card->sim.now_ps);
	notify_sleep(card, false);
	for (unsigned i = 0; i < 20; i++) {
		card_run(card, 100 * PS_PER_US);
		while (dma_done_fifo_ready(&card->dma_done, card->sim.now_ps))
			dma_done_fifo_pop(&card->dma_done, card->sim.now_ps);
	}
}

static void expect_all_answered(struct fuzz *f)
{
	for (unsigned i = 0; i < TAGS; i++) {
		const struct asked *asked = &f->card->asked[i];
		if (asked->used && !asked->done && !f->unanswered[i])
			fail_msg("%s with tag %u has no complete answer", tlp_type_name(asked->req.type), i);
	}
}

/* After an FLR it is a card like any other. */
static void expect_usable(struct fuzz *f)
{
	struct card *card = f->card;
	memset(card->asked, 0, sizeof(card->asked));
	cfg_wr(card, AER_CONTROL, 0);
	cfg_wr_be(card, DEVCTL, 0x8000, 0x2);
	card_run(card, 100 * PS_PER_US);
	cfg_wr(card, BAR4, (uint32_t)BAR4_ADDR);
	cfg_wr(card, BAR5, (uint32_t)(BAR4_ADDR >> 32));
	cfg_wr16(card, COMMAND, COMMAND_MEMORY | COMMAND_MASTER);
	bring_up_virtio(card);
	assert_int_equal(mem_read_value(card, COMMON + 0x12, 2), 1);
}

static void add_stats(struct endpoint_stats *total, const struct endpoint_stats *s)
{
	total->config_reads += s->config_reads;
	total->config_writes += s->config_writes;
	total->memory_reads += s->memory_reads;
	total->memory_writes += s->memory_writes;
	total->doorbells += s->doorbells;
	total->completions += s->completions;
	total->messages += s->messages;
	total->unsupported += s->unsupported;
	total->malformed += s->malformed;
	total->poisoned += s->poisoned;
	total->bad_ecrc += s->bad_ecrc;
	total->unexpected += s->unexpected;
	total->retried += s->retried;
	total->held += s->held;
	total->error_messages += s->error_messages;
	total->intx_messages += s->intx_messages;
	total->resets += s->resets;
}

static void fuzz_once(uint64_t seed, unsigned stream, bool enumerated, struct endpoint_stats *total)
{
	struct fuzz *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	rng_seed(&f->rng, seed, stream);
	f->card = enumerated ? card_enumerated(NULL) : card_create(NULL);
	if (!enumerated && stream % 2)
		card_firmware_up(f->card);
	f->card->mps_varies = f->card->masters = true;
	for (unsigned n = 0; n < 600; n++) {
		send_random(f);
		if (below(f, 3) == 0)
			card_activity(f);
		if (below(f, 4) == 0)
			card_run(f->card, below(f, 2 * PS_PER_US));
		if (enumerated && n % 200 == 199) { /* it may have been switched off by now */
			calm_down(f);
			expect_all_answered(f);
			expect_usable(f);
		}
	}
	calm_down(f);
	expect_all_answered(f);
	assert_int_equal(link_backlog_bytes(f->card->down, f->card->sim.now_ps), 0);
	if (!endpoint_in_reset(f->card->endpoint) && enumerated)
		expect_usable(f);
	add_stats(total, endpoint_stats(f->card->endpoint));
	card_free(f->card);
	free(f);
}

static void test_endpoint_random_tlps_every_request_answered_once(void **state)
{
	(void)state;
	uint64_t seed = test_seed(2024);
	struct endpoint_stats t = {0};
	for (unsigned i = 0; i < 400; i++)
		fuzz_once(seed, i, true, &t);
	/* The streams reach everything. */
	const uint64_t counts[] = {t.config_reads,   t.config_writes, t.memory_reads, t.memory_writes,
				   t.doorbells,      t.completions,   t.messages,     t.unsupported,
				   t.malformed,      t.poisoned,      t.bad_ecrc,     t.unexpected,
				   t.error_messages, t.retried,       t.held,         t.intx_messages,
				   t.resets};
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++)
		assert_true(counts[i] > 100);
}

static void test_endpoint_random_tlps_before_enumeration(void **state)
{
	(void)state;
	uint64_t seed = test_seed(2025);
	struct endpoint_stats t = {0};
	for (unsigned i = 0; i < 100; i++)
		fuzz_once(seed, i, false, &t);
	assert_true(t.retried > 100 && t.unsupported > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQ_TEST(test_endpoint_random_tlps_every_request_answered_once, "CPL-001 ACC-017 ERR-033"),
		REQ_TEST(test_endpoint_random_tlps_before_enumeration, "CPL-001"),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
